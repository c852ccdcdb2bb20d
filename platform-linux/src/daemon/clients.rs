//! One client, from its greeting to its leaving.
//!
//! Whatever a client sends, the worst that happens is that it is told what was wrong and sent away.

use super::hub::{Client, Hub};
use crate::rt::now;
use crate::socket::{self, Received, Sent};
use soundpost_core::capacity::{CLIENTS_MAX, FRAME_SAMPLES_MAX, LISTENER_QUEUE_BYTES, PAYLOAD_MAX};
use soundpost_core::codec::opus_samples;
use soundpost_core::config::TIMING;
use soundpost_core::redundancy::{Redundancy, Tally};
use soundpost_core::wire::redundant;
use soundpost_core::wire::{ErrorCode, Flags, HEADER_LEN, Header, Hello, Kind, Report, Role, Welcome, WireError};
use std::rc::Rc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio_seqpacket::UnixSeqpacket;

/// The longest message that a client may send.
const MESSAGE_MAX: usize = HEADER_LEN + PAYLOAD_MAX;

/// How a client's time ended.
enum End {
    /// It said goodbye, or was told why it has to go.
    InOrder,
    /// It vanished.
    Vanished,
    /// It broke the rules.
    Fault(ErrorCode, String),
}

/// Serves a client that just connected, in a task of its own.
pub(super) fn welcome(hub: &Rc<Hub>, client: UnixSeqpacket) {
    let hub = Rc::clone(hub);
    let Some(place) = hub.antechamber() else {
        let text = format!("{CLIENTS_MAX} clients have not introduced themselves yet; try again later");
        socket::send_fault(&client, ErrorCode::TooManyClients, &text);
        return;
    };
    tokio::task::spawn_local(async move {
        let client = Rc::new(client);
        let mut room = vec![0; MESSAGE_MAX].into_boxed_slice();
        let greeting = introduce(&hub, &client, &mut room);
        let deadline = Duration::from_micros(TIMING.greeting_deadline.as_micros());
        let joined = tokio::time::timeout(deadline, greeting).await;
        drop(place);
        let late = || End::Fault(ErrorCode::Unexpected, format!("no Hello within {} s", deadline.as_secs()));
        let (id, end) = match joined.unwrap_or_else(|_| Err(late())) {
            Ok((member, leave)) => {
                let end = tokio::select! {
                    () = leave.notified() => End::InOrder,
                    end = converse(&hub, member, &client, &mut room) => end,
                };
                (Some(member.id), end)
            }
            Err(end) => (None, end),
        };
        if let End::Fault(code, text) = &end {
            let peer = client.peer_cred().ok().and_then(|peer| peer.pid()).unwrap_or(0);
            tracing::warn!("client of process {peer} sent away: {text}");
            socket::send_fault(&client, *code, text);
        }
        if let Some(id) = id {
            hub.part(id, matches!(end, End::Vanished));
        }
    });
}

/// What of a client decides about what it may send.
#[derive(Clone, Copy)]
struct Member {
    id: u32,
    role: Role,
    redundancy: bool,
}

/// Waits for the greeting and answers it.
async fn introduce(hub: &Hub, client: &Rc<UnixSeqpacket>, room: &mut [u8]) -> Result<(Member, Rc<Notify>), End> {
    let (header, payload) = next(client, room).await?;
    if header.kind != Kind::Hello {
        return Err(End::Fault(ErrorCode::Unexpected, format!("{:?} before Hello", header.kind)));
    }
    let hello = Hello::parse(payload).map_err(malformed)?;
    if hello.role == Role::Listener {
        socket::bound_queue(client, LISTENER_QUEUE_BYTES);
    }
    let leave = Rc::new(Notify::new());
    let peer = client.peer_cred().map_err(|_| End::Vanished)?;
    let (role, redundancy) = (hello.role, hello.redundancy);
    let newcomer = Client {
        socket: Rc::clone(client),
        role: hello.role,
        name: hello.name.to_owned(),
        pid: peer.pid(),
        uid: peer.uid(),
        since: now(),
        packets: 0,
        dropped: 0,
        copies: 0,
        redundancy: redundancy.then(Redundancy::new),
        tally: Tally::new(),
        leave: Rc::clone(&leave),
    };
    let id = hub.join(newcomer, hello.takeover).map_err(|(code, text)| End::Fault(code, text))?;
    let welcome = Welcome { redundancy, ..hub.describe(id, role) };
    if socket::send_control(client, Kind::Welcome, &welcome.emit()) != Sent::Yes {
        hub.part(id, true);
        return Err(End::Vanished);
    }
    Ok((Member { id, role, redundancy }, leave))
}

/// Serves what the client asks for until it goes.
async fn converse(hub: &Hub, member: Member, client: &UnixSeqpacket, room: &mut [u8]) -> End {
    let Member { id, role, redundancy } = member;
    loop {
        let (header, payload) = match next(client, room).await {
            Ok(message) => message,
            Err(end) => return end,
        };
        match (header.kind, role) {
            (Kind::Packet, Role::Talker) => {
                // What was not agreed upon means nothing.
                let flags = if redundancy { header.flags } else { header.flags.without(Flags::COPY) };
                if let Err(end) = check(flags, payload) {
                    return end;
                }
                hub.take_packet(id, Header { flags, ..header }, payload);
            }
            (Kind::Report, Role::Listener) if redundancy => match Report::parse(payload) {
                Ok(report) => hub.take_report(id, report),
                Err(error) => return malformed(error),
            },
            (Kind::StatusRequest, _) => {
                let status = hub.status().to_json();
                if socket::send_control(client, Kind::Status, status.as_bytes()) == Sent::Gone {
                    return End::Vanished;
                }
            }
            (Kind::Bye, _) => return End::InOrder,
            (kind, role) => {
                let text = format!("a {} may not send {kind:?}", role.name());
                return End::Fault(ErrorCode::Unexpected, text);
            }
        }
        // A client that floods gives the others their turn.
        tokio::task::yield_now().await;
    }
}

async fn next<'a>(client: &UnixSeqpacket, room: &'a mut [u8]) -> Result<(Header, &'a [u8]), End> {
    match socket::receive(client, room).await {
        Ok(Received::Message(header, payload)) => Ok((header, payload)),
        Ok(Received::Malformed(error)) => Err(malformed(error)),
        Ok(Received::Closed) | Err(_) => Err(End::Vanished),
    }
}

fn malformed(error: WireError) -> End {
    let code = match error {
        WireError::Version(_) => ErrorCode::Version,
        _ => ErrorCode::Malformed,
    };
    End::Fault(code, error.to_string())
}

/// Whether a talker's packet, and the copy in it, can be played.
fn check(flags: Flags, payload: &[u8]) -> Result<(), End> {
    let parts = redundant::split(flags, payload).map_err(malformed)?;
    for bytes in [Some(parts.packet), parts.copy.map(|copy| copy.bytes)].into_iter().flatten() {
        match opus_samples(bytes) {
            Some(samples) if samples as usize <= FRAME_SAMPLES_MAX => {}
            samples => return Err(End::Fault(ErrorCode::Malformed, too_long(samples))),
        }
    }
    Ok(())
}

fn too_long(samples: Option<u32>) -> String {
    match samples {
        Some(samples) => format!("the packet holds {} ms of sound; allowed: 2.5 to 60 ms", samples / 48),
        None => "the payload is not an Opus packet; allowed: one Opus packet of 2.5 to 60 ms".to_owned(),
    }
}
