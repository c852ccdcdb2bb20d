//! Who may connect, and how often.
//!
//! The kernel says which user and group a peer is of; what it says cannot be forged. Without a list everybody may
//! connect whom the rights of the socket's file let in. With one, the file lets everybody in and the list decides, so
//! that who is refused can be told why. Root and the daemon's own user may always.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use soundpost_core::capacity::{ALLOWED_MAX, HTTP_CONNECTIONS_MAX};
use std::fmt;
use std::str::FromStr;

/// One entry of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Party {
    /// As it was written.
    said: String,
    users: Vec<u32>,
    group: Option<u32>,
}

impl FromStr for Party {
    type Err = String;

    /// `user:NAME`, `user:NUMBER`, `group:NAME` or `group:NUMBER`; names are those of /etc/passwd and /etc/group.
    fn from_str(text: &str) -> Result<Self, String> {
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        Self::find(text, &read("/etc/passwd"), &read("/etc/group"))
    }
}

impl Party {
    fn find(text: &str, users: &str, groups: &str) -> Result<Self, String> {
        let wrong = |what: String| format!("{what}; allowed: user:NAME, user:NUMBER, group:NAME or group:NUMBER");
        let (kind, name) = text.split_once(':').ok_or_else(|| wrong(format!("{text:?} is neither user nor group")))?;
        let said = text.to_owned();
        let number = name.parse::<u32>().ok();
        match kind {
            "user" => {
                let known = entry(users, name, None).and_then(|fields| fields.get(2)?.parse().ok());
                let user = number.or(known).ok_or_else(|| wrong(format!("there is no user {name:?}")))?;
                Ok(Self { said, users: vec![user], group: None })
            }
            "group" => {
                let found = entry(groups, name, number);
                let known = found.as_ref().and_then(|fields| fields.get(2)?.parse().ok());
                let group = number.or(known).ok_or_else(|| wrong(format!("there is no group {name:?}")))?;
                // The kernel tells the peer's first group only; that it has others is in the file.
                let members = found.and_then(|fields| fields.get(3).copied()).unwrap_or_default().split(',');
                let number = |member: &str| entry(users, member, None)?.get(2)?.parse().ok();
                Ok(Self { said, users: members.filter_map(number).collect(), group: Some(group) })
            }
            _ => Err(wrong(format!("{kind:?} is neither user nor group"))),
        }
    }

    fn has(&self, user: u32, group: u32) -> bool {
        self.users.contains(&user) || self.group == Some(group)
    }
}

/// The fields of the line with this name, or this number, in a file such as /etc/group.
fn entry<'a>(file: &'a str, name: &str, number: Option<u32>) -> Option<Vec<&'a str>> {
    let lines = file.lines().map(|line| line.split(':').collect::<Vec<_>>());
    lines.into_iter().find(|fields| {
        let has_number = number.is_some() && fields.get(2).and_then(|field| field.parse().ok()) == number;
        has_number || fields.first() == Some(&name)
    })
}

/// Everybody who may connect; when it is empty, whoever can.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AllowList(Vec<Party>);

impl FromStr for AllowList {
    type Err = String;

    /// One or several, separated by commas.
    fn from_str(text: &str) -> Result<Self, String> {
        Self::new(text.split(',').map(|party| party.trim().parse()).collect::<Result<_, _>>()?)
    }
}

impl fmt::Display for AllowList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let said: Vec<&str> = self.0.iter().map(|party| party.said.as_str()).collect();
        f.write_str(&said.join(","))
    }
}

impl AllowList {
    /// A list of these.
    ///
    /// # Errors
    /// In words, if there are too many.
    pub fn new(parties: Vec<Party>) -> Result<Self, String> {
        if parties.len() > ALLOWED_MAX {
            return Err(format!("{} users and groups are named; allowed: up to {ALLOWED_MAX}", parties.len()));
        }
        Ok(Self(parties))
    }

    /// Whether there is nothing on it.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a peer of this user and group may connect.
    ///
    /// # Errors
    /// In words, naming who may.
    pub fn check(&self, user: u32, group: u32) -> Result<(), String> {
        let own = rustix::process::geteuid().as_raw();
        if self.is_empty() || user == 0 || user == own || self.0.iter().any(|party| party.has(user, group)) {
            return Ok(());
        }
        let named: Vec<&str> = self.0.iter().map(|party| party.said.as_str()).collect();
        Err(format!("user {user} of group {group} may not connect; allowed: root, user {own} and {}", named.join(", ")))
    }
}

/// Sees to it that so many clients have descriptors, and as many that have not introduced themselves yet.
pub(super) fn make_room_for(clients: usize) {
    let needed = u64::try_from(clients)
        .unwrap_or(u64::MAX)
        .saturating_mul(2)
        .saturating_add(OTHERS + HTTP_CONNECTIONS_MAX as u64);
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current.is_none_or(|current| current >= needed) {
        return;
    }
    let possible = maximum.map_or(needed, |maximum| maximum.min(needed));
    let raised = setrlimit(Resource::Nofile, Rlimit { current: Some(possible), maximum });
    if possible < needed || raised.is_err() {
        tracing::warn!("{clients} clients need {needed} descriptors; this system grants {possible}");
    }
}

/// Descriptors besides clients': devices, pins, signals, logs, what libraries hold.
const OTHERS: u64 = 128;

#[cfg(test)]
mod tests {
    use super::*;

    const USERS: &str = "root:x:0:0::/root:/bin/sh\nalice:x:1000:1000::/home/alice:/bin/sh\nbob:x:1001:1001:::\n";
    const GROUPS: &str = "root:x:0:\naudio:x:29:alice,nobody-else\nbroken\n";

    fn party(text: &str) -> Party {
        Party::find(text, USERS, GROUPS).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn names_and_numbers_are_found() {
        assert!(party("user:alice").has(1000, 7) && party("user:1000").has(1000, 7));
        assert!(!party("user:alice").has(1001, 1000), "a group of the same number");
        for audio in ["group:audio", "group:29"] {
            assert!(party(audio).has(1001, 29), "its first group");
            assert!(party(audio).has(1000, 1000), "a member by the file");
            assert!(!party(audio).has(1001, 1001), "neither");
        }
        assert!(party("group:4711").has(5, 4711), "a group without a name");
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, named) in [
            ("alice", "\"alice\" is neither user nor group"),
            ("owner:alice", "\"owner\" is neither"),
            ("user:carol", "no user \"carol\""),
            ("group:video", "no group \"video\""),
            ("user:-1", "no user \"-1\""),
        ] {
            let error = Party::find(text, USERS, GROUPS).expect_err(text);
            assert!(error.contains(named) && error.contains("allowed: user:NAME"), "{error}");
        }
        assert!(AllowList::new(vec![party("user:bob"); ALLOWED_MAX + 1]).is_err());
    }

    #[test]
    fn who_is_not_on_the_list_is_told_who_is() {
        let list = AllowList::new(vec![party("user:alice"), party("group:audio")]).expect("a short list");
        let own = rustix::process::geteuid().as_raw();
        for (user, group) in [(0, 0), (own, 9), (1000, 1), (1001, 29)] {
            assert_eq!(list.check(user, group), Ok(()));
        }
        let error = list.check(4711, 4712).expect_err("a stranger");
        assert!(error.contains("user 4711") && error.contains("user:alice, group:audio"), "{error}");
        assert_eq!(AllowList::default().check(4711, 4712), Ok(()), "the socket's rights decide");
    }
}
