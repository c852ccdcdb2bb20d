//! What is ordered over HTTP: the same verbs as on the socket, with the same answers.

use super::Shop;
use super::body::Body;
use super::problem::{Problem, json};
use crate::configuration::{KEYS, Key, TAKE_BACK, Takes, Values};
use crate::daemon::control::{self, Applied, Refused, Verb};
use crate::daemon::hub::Hub;
use hyper::{Response, StatusCode};
use serde::Serialize;
use serde_json::{Map, Value, json};
use soundpost_core::config::Direction;

/// What was done, or why nothing was.
fn obey(shop: &Shop, verb: Verb, refusal: StatusCode) -> Result<Applied, Problem> {
    control::obey(&shop.hub, verb).map_err(|refused| problem(&refused, refusal))
}

fn problem(refused: &Refused, status: StatusCode) -> Problem {
    let first = refused.faults.first();
    let field = first.map_or("", |fault| &fault.key);
    let value = first.map(|fault| fault.value.clone());
    let allowed = first.and_then(|fault| fault.allowed.clone());
    Problem::new(status, field, &refused.to_string()).about(value, allowed)
}

fn answer(applied: &Applied) -> Response<Body> {
    // Texts and numbers: nothing in it can fail to be JSON.
    json(StatusCode::OK, serde_json::to_string(applied).unwrap_or_default())
}

/// Sets keys of the configuration, all or none.
pub(super) fn set(shop: &Shop, object: &Map<String, Value>) -> Result<Response<Body>, Problem> {
    let mut said = Vec::new();
    for (key, value) in object {
        let value = match value {
            Value::String(text) => text.clone(),
            Value::Number(_) | Value::Bool(_) => value.to_string(),
            Value::Null => TAKE_BACK.to_owned(),
            Value::Array(_) | Value::Object(_) => {
                let allowed = Key::find(key).map_or_else(|| "a key of the configuration".to_owned(), Key::allowed);
                return Err(Problem::bad(key, &value.to_string(), &allowed));
            }
        };
        said.push((key.clone(), value));
    }
    if said.is_empty() {
        return Err(Problem::bad("body", "{}", "keys of the configuration, such as {\"capture.quality\": \"high\"}"));
    }
    Ok(answer(&obey(shop, Verb::Set(said), StatusCode::BAD_REQUEST)?))
}

/// Reads the configuration's file again.
pub(super) fn reload(shop: &Shop) -> Result<Response<Body>, Problem> {
    // It is not the request that is wrong then.
    Ok(answer(&obey(shop, Verb::Reload, StatusCode::CONFLICT)?))
}

/// Has a direction run, or not.
pub(super) fn run(shop: &Shop, direction: Direction, runs: bool) -> Result<Response<Body>, Problem> {
    let verb = if runs { Verb::Start(direction) } else { Verb::Stop(direction) };
    Ok(answer(&obey(shop, verb, StatusCode::CONFLICT)?))
}

/// Has a direction begin anew.
pub(super) fn renew(shop: &Shop, direction: Direction) -> Result<Response<Body>, Problem> {
    Ok(answer(&obey(shop, Verb::Renew(direction), StatusCode::CONFLICT)?))
}

/// Mutes directions or not; then who mutes what, and a word about what a command could not do.
pub(super) fn mute(shop: &Shop, object: &Map<String, Value>) -> Result<Response<Body>, Problem> {
    const ALLOWED: &str = "\"capture\" and \"playback\", one or both, each true or false";
    let mut wishes = Vec::new();
    for (name, value) in object {
        let direction = match name.as_str() {
            "capture" => Direction::Capture,
            "playback" => Direction::Playback,
            _ => return Err(Problem::bad(name, &value.to_string(), &format!("not there; there may be {ALLOWED}"))),
        };
        let muted = value.as_bool().ok_or_else(|| Problem::bad(name, &value.to_string(), "true or false"))?;
        wishes.push((direction, muted));
    }
    if wishes.is_empty() {
        return Err(Problem::bad("body", "{}", ALLOWED));
    }
    let mut notes = Vec::new();
    for (direction, muted) in wishes {
        notes.extend(obey(shop, Verb::Mute { direction, muted }, StatusCode::CONFLICT)?.notes);
    }
    Ok(json(StatusCode::OK, mutes(&shop.hub, &notes)))
}

/// Who mutes what.
pub(super) fn mutes(hub: &Hub, notes: &[String]) -> String {
    let status = hub.mute_status();
    let by = |by_command, by_switch| json!({ "muted": by_command || by_switch, "by_command": by_command, "by_switch": by_switch });
    json!({
        "capture": by(status.capture_by_command, status.capture_by_switch),
        "playback": by(status.playback_by_command, false),
        "notes": notes,
    })
    .to_string()
}

/// A key as it is.
#[derive(Serialize)]
struct Entry {
    key: &'static str,
    value: Option<String>,
    origin: String,
    default: Option<String>,
    /// What it means that there is no value.
    unset: Option<&'static str>,
    /// It can be set while the daemon runs.
    live: bool,
    kind: &'static str,
    allowed: String,
    doc: &'static str,
}

/// What holds, and where each value comes from.
pub(super) fn config(hub: &Hub) -> String {
    let live = hub.live.borrow();
    let effective = live.effective();
    let defaults = Values::default();
    let entry = |key: &'static Key| Entry {
        key: key.full,
        value: (key.show)(effective.values()),
        origin: effective.origin(key).to_string(),
        default: (key.show)(&defaults),
        unset: Some(key.unset).filter(|unset| !unset.is_empty()),
        live: key.takes != Takes::Restart,
        kind: key.kind,
        allowed: key.allowed(),
        doc: key.doc,
    };
    let file = live.place().path().display().to_string();
    json!({ "generation": hub.generation(), "file": file, "keys": KEYS.iter().map(entry).collect::<Vec<_>>() })
        .to_string()
}
