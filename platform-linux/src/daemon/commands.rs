//! What a controller asks for is done here, at once, and answered.
//!
//! A verb that is added gets a number in core's `Verb` and an arm here; clients find out by asking for `verbs`, or by
//! being answered that it is not known.

use super::control;
use super::hub::Hub;
use super::news::{Follower, Told};
use crate::socket::{self, Sent};
use serde_json::json;
use soundpost_core::wire::{Answer, Assignments, Command, Kind, Mute, Outcome, Verb, WireError, parse_direction};
use std::rc::Rc;
use tokio_seqpacket::UnixSeqpacket;

/// Does what a command says and answers it. What finds no room is lost: the client does not read its answers.
///
/// # Errors
/// [`WireError`] if the payload is no command at all.
pub(super) fn obey(
    hub: &Rc<Hub>,
    client: &UnixSeqpacket,
    watch: &mut Option<Watch>,
    payload: &[u8],
) -> Result<Sent, WireError> {
    let command = Command::parse(payload)?;
    let (outcome, text) = match perform(hub, &command) {
        Ok(text) => (Outcome::Done, text),
        Err(refused) => refused,
    };
    if command.verb == Verb::Watch as u16 && outcome == Outcome::Done {
        // What changes from here on is told; what was before is in the answer.
        *watch = Some(Watch { tag: command.tag, follower: hub.news.follow(), missed: 0 });
    }
    answer(client, command.tag, outcome, &text)
}

fn answer(client: &UnixSeqpacket, tag: u32, outcome: Outcome, text: &str) -> Result<Sent, WireError> {
    let mut room = vec![0; text.len() + soundpost_core::wire::COMMAND_LEAD];
    let length = Answer { tag, outcome: outcome as u16, text }.emit(&mut room)?;
    Ok(socket::send_control(client, Kind::Answer, &room[..length]))
}

/// A controller that is told every change.
#[derive(Debug)]
pub(super) struct Watch {
    /// That of its command, and so of every answer.
    tag: u32,
    follower: Follower,
    /// Changes that found no room, and that it does not know of yet.
    missed: u64,
}

impl Watch {
    /// Waits for what is to be told next. A wait that is given up loses nothing.
    pub(super) async fn next(&mut self, hub: &Hub) -> Told {
        self.follower.next(&hub.news).await
    }

    /// Tells it, and before that, how many changes it missed.
    pub(super) fn tell(&mut self, client: &UnixSeqpacket, told: &Told) -> Sent {
        let say = |text: &str| answer(client, self.tag, Outcome::Done, text).unwrap_or(Sent::Full);
        let (text, fresh) = match told {
            Told::Change(_, text) => (Some(text), 1),
            Told::Missed(count) => (None, *count),
        };
        let before = self.missed + if text.is_none() { fresh } else { 0 };
        if before > 0 {
            let sent = say(&json!({ "missed": before }).to_string());
            if sent != Sent::Yes {
                self.missed += fresh;
                return sent;
            }
            self.missed = 0;
        }
        let Some(text) = text else { return Sent::Yes };
        let sent = say(text);
        self.missed += u64::from(sent != Sent::Yes);
        sent
    }
}

fn perform(hub: &Rc<Hub>, command: &Command<'_>) -> Result<String, (Outcome, String)> {
    let bad = |error: WireError| (Outcome::BadArgument, error.to_string());
    match Verb::from_number(command.verb) {
        Some(verb @ (Verb::Verbs | Verb::Status | Verb::Reload | Verb::Reset | Verb::Watch))
            if !command.arguments.is_empty() =>
        {
            let text = format!("{} takes no arguments; {} bytes came", verb.name(), command.arguments.len());
            Err((Outcome::BadArgument, text))
        }
        Some(Verb::Verbs) => {
            let names: serde_json::Map<_, _> =
                Verb::ALL.into_iter().map(|verb| (verb.name().to_owned(), json!(verb as u16))).collect();
            Ok(json!(names).to_string())
        }
        Some(Verb::Status | Verb::Watch) => Ok(hub.status().to_json()),
        Some(Verb::Mute) => {
            let Mute { direction, muted } = Mute::parse(command.arguments).map_err(bad)?;
            done(hub, control::Verb::Mute { direction, muted })?;
            Ok(json!(hub.mute_status()).to_string())
        }
        Some(Verb::Set) => {
            let said = Assignments::parse(command.arguments).map_err(bad)?;
            done(hub, control::Verb::Set(said.iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()))
        }
        Some(Verb::Reload) => done(hub, control::Verb::Reload),
        Some(Verb::Start) => done(hub, control::Verb::Start(parse_direction(command.arguments).map_err(bad)?)),
        Some(Verb::Stop) => done(hub, control::Verb::Stop(parse_direction(command.arguments).map_err(bad)?)),
        Some(Verb::Reset) => done(hub, control::Verb::Reset),
        None => {
            let known = Verb::ALL.map(|verb| format!("{} {}", verb as u16, verb.name()));
            Err((Outcome::UnknownVerb, format!("verb {} does not exist; allowed: {}", command.verb, known.join(", "))))
        }
    }
}

fn done(hub: &Rc<Hub>, verb: control::Verb) -> Result<String, (Outcome, String)> {
    match control::obey(hub, verb) {
        Ok(applied) => Ok(json!(applied).to_string()),
        Err(refused) => Err((Outcome::BadArgument, refused.to_string())),
    }
}
