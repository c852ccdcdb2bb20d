//! What a worker is left with, once its devices are open: as little as those devices allow.
//!
//! A worker decodes what strangers send. So it gives away, for good, what it does not need: privileges, files, sockets and
//! other processes. What it needs depends on its devices. Three levels: *sealed* is for devices that are never opened
//! again, *devices* for sound cards of the kernel, which come and go, *plugins* for any other name of ALSA, behind which a
//! sound server or any library may be. What the kernel or the processor does not have is done without, and the status says
//! so: nothing here keeps sound from being made.

mod calls;
mod files;

use crate::pcm::{Choice, Uri};
use rustix::process::{Resource, Rlimit};
use rustix::thread::{CapabilitySet, CapabilitySets};
use serde::{Deserialize, Serialize};
use soundpost_core::capacity::WORKER_DESCRIPTORS;
use soundpost_core::config::Direction;
use std::fmt;

/// What is in force, for the status.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sandbox {
    /// `sealed`, `devices` or `plugins`; `none` for a thread.
    pub level: String,
    /// No program that it starts could have more rights.
    pub no_new_privileges: bool,
    /// Capabilities that are left to its threads.
    pub capabilities: Vec<String>,
    /// What landlock allows, or why it does not forbid anything.
    pub files: String,
    /// What seccomp allows, or why it does not forbid anything.
    pub calls: String,
}

impl fmt::Display for Sandbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.level == NONE {
            return f.write_str("none: it shares this process");
        }
        let left = if self.capabilities.is_empty() { "none".to_owned() } else { self.capabilities.join(", ") };
        write!(f, "{}: files: {}; calls: {}; capabilities: {left}", self.level, self.files, self.calls)
    }
}

const NONE: &str = "none";

/// How much is taken away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    /// Nothing will be opened any more.
    Sealed,
    /// Sound cards of the kernel may be opened again.
    Devices,
    /// A library does what nobody here knows.
    Plugins,
}

impl Level {
    const fn name(self) -> &'static str {
        match self {
            Self::Sealed => "sealed",
            Self::Devices => "devices",
            Self::Plugins => "plugins",
        }
    }

    fn of(uri: &Uri) -> Self {
        match uri {
            Uri::File { .. } | Uri::Tone(_) | Uri::Null => Self::Sealed,
            Uri::Usb { .. } => Self::Devices,
            Uri::Alsa(name) if is_card(name) => Self::Devices,
            Uri::Alsa(_) => Self::Plugins,
            // Where a sound server has the cards, it is asked for sound.
            Uri::Auto if has_sound_server() => Self::Plugins,
            Uri::Auto => Self::Devices,
        }
    }
}

/// Whether a name of ALSA can be nothing but a card of the kernel.
fn is_card(name: &str) -> bool {
    ["hw", "plughw"].iter().any(|kind| name.strip_prefix(kind).is_some_and(|rest| rest.starts_with(':')))
}

fn has_sound_server() -> bool {
    let Some(folder) = std::env::var_os("XDG_RUNTIME_DIR") else { return false };
    let folder = std::path::Path::new(&folder);
    ["pulse/native", "pipewire-0"].iter().any(|socket| folder.join(socket).exists())
}

/// What is put around a worker.
#[derive(Clone, Debug)]
pub struct Fence {
    level: Option<Level>,
    choice: Choice,
    direction: Direction,
}

impl Fence {
    /// What fits these devices; nothing where the worker is not a process of its own.
    #[must_use]
    pub fn of(choice: &Choice, direction: Direction, confined: bool) -> Self {
        let level = choice.uris().iter().map(Level::of).max().filter(|_| confined);
        Self { level, choice: choice.clone(), direction }
    }

    /// What can be given away before the devices are open, and has to be before there are threads.
    #[must_use]
    pub fn put_up(&self) -> Sandbox {
        let Some(level) = self.level else { return Sandbox { level: NONE.to_owned(), ..Sandbox::default() } };
        let no_new_privileges = rustix::thread::set_no_new_privs(true).is_ok();
        let limit = |resource, most: u64| {
            rustix::process::setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) })
        };
        for (resource, most) in [(Resource::Core, 0), (Resource::Nofile, WORKER_DESCRIPTORS)] {
            if let Err(error) = limit(resource, most) {
                tracing::warn!("the sandbox cannot set a limit: {error}");
            }
        }
        let files = match level {
            Level::Plugins => "all that its user may: libraries and sound servers need them".to_owned(),
            _ => files::restrict(&self.choice, self.direction),
        };
        let capabilities = drop_capabilities(self.needs_owner_rights());
        let calls = "not restricted yet".to_owned();
        Sandbox { level: level.name().to_owned(), no_new_privileges, capabilities, files, calls }
    }

    /// The rest, for all threads at once.
    pub fn close(&self, sandbox: &mut Sandbox) {
        let Some(level) = self.level else { return };
        sandbox.calls = match level {
            Level::Sealed => calls::allow_only(false),
            Level::Devices => calls::allow_only(true),
            Level::Plugins => calls::forbid(),
        }
        .unwrap_or_else(|why| {
            tracing::warn!("system calls are not restricted: {why}");
            format!("all ({why})")
        });
    }

    /// Recordings and sound servers may be another user's, and root is used to that being no matter.
    fn needs_owner_rights(&self) -> bool {
        self.level == Some(Level::Plugins) || self.choice.uris().iter().any(|uri| matches!(uri, Uri::File { .. }))
    }
}

/// Gives away all capabilities of this thread and of those that it will start, but for what real-time audio needs;
/// returns what is left.
fn drop_capabilities(owner: bool) -> Vec<String> {
    const KEPT: [(&str, CapabilitySet, bool); 4] = [
        ("sys_nice", CapabilitySet::SYS_NICE, false),
        ("ipc_lock", CapabilitySet::IPC_LOCK, false),
        ("dac_override", CapabilitySet::DAC_OVERRIDE, true),
        ("dac_read_search", CapabilitySet::DAC_READ_SEARCH, true),
    ];
    let kept = || KEPT.into_iter().filter(|(.., of_owner)| owner || !of_owner);
    let Ok(had) = rustix::thread::capabilities(None) else { return vec!["unknown".to_owned()] };
    let all = kept().fold(CapabilitySet::empty(), |all, (_, one, _)| all | one);
    let left = CapabilitySets {
        effective: had.effective & all,
        permitted: had.permitted & all,
        inheritable: CapabilitySet::empty(),
    };
    let _ = rustix::thread::clear_ambient_capability_set();
    if let Err(error) = rustix::thread::set_capabilities(None, left) {
        tracing::warn!("the sandbox cannot give capabilities away: {error}");
        return vec!["as before".to_owned()];
    }
    kept().filter(|(_, one, _)| left.permitted.contains(*one)).map(|(name, ..)| name.to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_open_device_of_a_choice_decides() {
        for (text, level) in [
            ("tone:", Level::Sealed),
            ("null", Level::Sealed),
            ("file:a.wav", Level::Sealed),
            ("alsa:hw:0,0", Level::Devices),
            ("alsa:plughw:CARD=PCH,DEV=0,null", Level::Devices),
            ("usb:1-1.2,tone:", Level::Devices),
            ("alsa:default", Level::Plugins),
            ("alsa:hwdep", Level::Plugins),
            ("alsa:plug:'hw:0'", Level::Plugins),
            ("usb:1-1,alsa:jack", Level::Plugins),
        ] {
            let choice: Choice = text.parse().unwrap();
            assert_eq!(Fence::of(&choice, Direction::Playback, true).level, Some(level), "{text}");
            assert_eq!(Fence::of(&choice, Direction::Playback, false).level, None);
        }
    }

    #[test]
    fn around_a_thread_there_is_nothing() {
        let fence = Fence::of(&"null".parse().unwrap(), Direction::Capture, false);
        let mut sandbox = fence.put_up();
        fence.close(&mut sandbox);
        assert_eq!(sandbox, Sandbox { level: NONE.to_owned(), ..Sandbox::default() });
    }
}
