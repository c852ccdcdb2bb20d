//! One client, from its greeting to its leaving.
//!
//! Whatever a client sends, the worst that happens is that it is told what was wrong and sent away.

use super::commands;
use super::hub::Hub;
use super::roster::Client;
use crate::rt::now;
use crate::socket::{self, Received, Sent};
use soundpost_core::capacity::{CONTROL_QUEUE_BYTES, FRAME_SAMPLES_MAX, LISTENER_QUEUE_BYTES, PAYLOAD_MAX};
use soundpost_core::codec::opus_samples;
use soundpost_core::config::{Allowance, LIMITS, TIMING};
use soundpost_core::flood::Bucket;
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
    // One whose identity the kernel does not tell is gone already.
    let Ok(peer) = client.peer_cred() else { return };
    let place = match hub.roster.enter(peer.uid(), peer.gid()) {
        Ok(place) => place,
        Err((code, text)) => return hub.roster.refuse(&client, code, &text),
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
                    // Who was told to leave is told nothing more, whatever it sent meanwhile.
                    biased;
                    () = leave.notified() => match hub.roster.was_replaced(member.id) {
                        true => End::Fault(ErrorCode::Replaced, "another talker took over".to_owned()),
                        false => End::InOrder,
                    },
                    end = converse(&hub, member, &client, &mut room) => end,
                };
                (Some(member.id), end)
            }
            Err(end) => (None, end),
        };
        // First of all it gets no more packets: what it is told is the last that it hears.
        if let Some(id) = id {
            hub.part(id, matches!(end, End::Vanished));
        }
        if let End::Fault(code, text) = &end {
            hub.roster.refuse(&client, *code, text);
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
    let Hello { role, takeover, additions, name } = hello;
    socket::bound_queue(client, if role == Role::Listener { LISTENER_QUEUE_BYTES } else { CONTROL_QUEUE_BYTES });
    let peer = client.peer_cred().map_err(|_| End::Vanished)?;
    let newcomer = Client::new(Rc::clone(client), role, name, additions, (peer.pid(), peer.uid()));
    let leave = Rc::clone(&newcomer.leave);
    let id = hub.join(newcomer, takeover).map_err(|(code, text)| End::Fault(code, text))?;
    let welcome = Welcome { additions, ..hub.describe(id, role) };
    if socket::send_control(client, Kind::Welcome, &welcome.emit()) != Sent::Yes {
        hub.part(id, true);
        return Err(End::Vanished);
    }
    Ok((Member { id, role, redundancy: additions.redundancy }, leave))
}

/// Serves what the client asks for until it goes.
async fn converse(hub: &Rc<Hub>, member: Member, client: &UnixSeqpacket, room: &mut [u8]) -> End {
    let Member { id, role, redundancy } = member;
    let mut rates = Rates::new();
    let mut watch: Option<commands::Watch> = None;
    loop {
        let message = match &mut watch {
            None => next(client, room).await,
            Some(watch) => tokio::select! {
                told = watch.next(hub) => match watch.tell(client, &told) {
                    Sent::Gone => return End::Vanished,
                    Sent::Yes | Sent::Full => continue,
                },
                message = next(client, room) => message,
            },
        };
        let (header, payload) = match message {
            Ok(message) => message,
            Err(end) => return end,
        };
        if let Err(end) = rates.take(header.kind) {
            return end;
        }
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
            (Kind::Command, Role::Controller) => match commands::obey(hub, client, &mut watch, payload) {
                Ok(Sent::Gone) => return End::Vanished,
                Ok(Sent::Yes | Sent::Full) => {}
                Err(error) => return malformed(error),
            },
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

/// What a client may still send now. Sound and requests have allowances of their own, so that who asks much talks on.
struct Rates {
    audio: Bucket,
    control: Bucket,
}

impl Rates {
    fn new() -> Self {
        let time = now();
        Self { audio: Bucket::new(LIMITS.audio, time), control: Bucket::new(LIMITS.control, time) }
    }

    fn take(&mut self, kind: Kind) -> Result<(), End> {
        let (bucket, Allowance { burst, per_second }, what) = match kind {
            Kind::Packet | Kind::Report => (&mut self.audio, LIMITS.audio, "packets"),
            _ => (&mut self.control, LIMITS.control, "requests"),
        };
        if bucket.take(now()) {
            return Ok(());
        }
        let text = format!("{what} come too fast; allowed: {burst} at once, then {per_second} a second");
        Err(End::Fault(ErrorCode::TooFast, text))
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
