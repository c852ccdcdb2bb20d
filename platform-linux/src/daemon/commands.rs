//! What a controller asks for is done here, at once, and answered.
//!
//! A verb that is added gets a number in core's `Verb` and an arm here; clients find out by asking for `verbs`, or by
//! being answered that it is not known.

use super::control;
use super::hub::Hub;
use crate::socket::{self, Sent};
use serde_json::json;
use soundpost_core::wire::{Answer, Assignments, Command, Kind, Mute, Outcome, Verb, WireError, parse_direction};
use std::rc::Rc;
use tokio_seqpacket::UnixSeqpacket;

/// Does what a command says and answers it. What finds no room is lost: the client does not read its answers.
///
/// # Errors
/// [`WireError`] if the payload is no command at all.
pub(super) fn obey(hub: &Rc<Hub>, client: &UnixSeqpacket, payload: &[u8]) -> Result<Sent, WireError> {
    let command = Command::parse(payload)?;
    let (outcome, text) = match perform(hub, &command) {
        Ok(text) => (Outcome::Done, text),
        Err(refused) => refused,
    };
    let mut room = vec![0; text.len() + soundpost_core::wire::COMMAND_LEAD];
    let length = Answer { tag: command.tag, outcome: outcome as u16, text: &text }.emit(&mut room)?;
    Ok(socket::send_control(client, Kind::Answer, &room[..length]))
}

fn perform(hub: &Rc<Hub>, command: &Command<'_>) -> Result<String, (Outcome, String)> {
    let bad = |error: WireError| (Outcome::BadArgument, error.to_string());
    match Verb::from_number(command.verb) {
        Some(verb @ (Verb::Verbs | Verb::Status | Verb::Reload | Verb::Reset)) if !command.arguments.is_empty() => {
            let text = format!("{} takes no arguments; {} bytes came", verb.name(), command.arguments.len());
            Err((Outcome::BadArgument, text))
        }
        Some(Verb::Verbs) => {
            let names: serde_json::Map<_, _> =
                Verb::ALL.into_iter().map(|verb| (verb.name().to_owned(), json!(verb as u16))).collect();
            Ok(json!(names).to_string())
        }
        Some(Verb::Status) => Ok(hub.status().to_json()),
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
