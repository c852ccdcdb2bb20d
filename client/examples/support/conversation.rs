//! One conversation with a daemon that breaks its rules, and what the daemon owes in return.

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketFlags, SocketType};
use rustix::net::{connect, recv, send, socket_with};
use soundpost_core::wire::{self, ErrorCode, Fault, HEADER_LEN, Header, Kind};
use std::fmt;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;

/// How long the daemon may take to answer, on a machine that is busy.
const PATIENCE_S: i64 = 60;

/// What a tormentor did, and was answered.
#[derive(Default)]
pub(crate) struct Tally {
    conversations: u64,
    messages: u64,
    vanished: u64,
    /// Errors by their codes.
    errors: [u64; ErrorCode::ALL.len()],
}

impl Tally {
    pub(crate) fn plus(mut self, other: &Self) -> Self {
        self.conversations += other.conversations;
        self.messages += other.messages;
        self.vanished += other.vanished;
        self.errors.iter_mut().zip(other.errors).for_each(|(sum, more)| *sum += more);
        self
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { conversations, messages, vanished, .. } = self;
        write!(f, "{conversations} conversations, {messages} messages, {vanished} vanished; told why:")?;
        let told = ErrorCode::ALL.iter().zip(self.errors).filter(|(_, count)| *count > 0);
        told.into_iter().try_for_each(|(code, count)| write!(f, " {code:?} {count}"))
    }
}

/// Random numbers (xorshift64*), the same for equal seeds.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// Below `end`.
    fn below(&mut self, end: usize) -> usize {
        (self.next() >> 33) as usize % end.max(1)
    }

    fn one_in(&mut self, chances: usize) -> bool {
        self.below(chances) == 0
    }

    fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| (self.next() >> 40) as u8).collect()
    }

    /// A length: often short, sometimes at an edge, seldom longer than anything may be.
    fn length(&mut self) -> usize {
        match self.below(8) {
            0 => 0,
            1 => [1, 2, 3, 4, 7, 8, 9, 15, 16, 17, 68, 69, 256, 257, 512, 3831, 3832][self.below(17)],
            2 => self.below(5_000),
            3 if self.one_in(4) => self.below(120_000),
            _ => self.below(64),
        }
    }
}

/// Has one conversation.
///
/// # Errors
/// In words, what the daemon did that it should not, or did not do that it should.
pub(crate) fn torment(path: &Path, dice: &mut Dice, tally: &mut Tally) -> Result<(), String> {
    let mut talk = Talk::begin(path)?;
    tally.conversations += 1;
    let vanishes = dice.one_in(10);
    let messages = script(dice);
    for message in &messages {
        tally.messages += 1;
        if !talk.say(message)? {
            break;
        }
    }
    if vanishes {
        tally.vanished += 1;
        return Ok(());
    }
    // What no conversation survives: too short to be a message. If it is over already this changes nothing.
    talk.say(b"?")?;
    let code = talk.hear_out()?;
    let Some(count) = tally.errors.get_mut(usize::from(code).wrapping_sub(1)) else {
        return Err(format!("an Error of code {code}, which there is not"));
    };
    *count += 1;
    if code == ErrorCode::TooFast as u16 && messages.len() < 50 {
        // Connected too often. Others are to get through, too.
        std::thread::park_timeout(Duration::from_millis(20));
    }
    Ok(())
}

/// What is said in one conversation. None of it is a goodbye: that would owe nothing.
fn script(dice: &mut Dice) -> Vec<Vec<u8>> {
    let mut messages = match dice.below(6) {
        // Not the protocol at all.
        0 => {
            let length = dice.length().max(1);
            vec![dice.bytes(length)]
        }
        // A greeting with a few bytes changed.
        1 => {
            let mut bytes = hello(dice);
            for _ in 0..=dice.below(3) {
                let at = dice.below(bytes.len());
                bytes[at] = dice.next() as u8;
            }
            vec![bytes]
        }
        // No greeting.
        2 => vec![any_message(dice)],
        // A flood of one message.
        3 if dice.one_in(8) => {
            let kind = [Kind::StatusRequest, Kind::Command, Kind::Packet, Kind::Report][dice.below(4)];
            let payload = match kind {
                Kind::StatusRequest => Vec::new(),
                Kind::Packet => vec![0xf8, 0xff, 0xfe],
                Kind::Command => vec![0, 0, 0, 0, 1, 0, 0, 0],
                _ => vec![0; 16],
            };
            let mut messages = vec![hello(dice)];
            messages.extend(std::iter::repeat_n(message(kind as u8, &payload), 50 + dice.below(2_000)));
            messages
        }
        _ => vec![hello(dice)],
    };
    for _ in 0..dice.below(12) {
        messages.push(if dice.one_in(3) { any_message(dice) } else { likely_message(dice) });
    }
    messages.retain(|message| message.get(3) != Some(&(Kind::Bye as u8)) || wire::parse(message).is_err());
    messages
}

fn message(kind: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![0; HEADER_LEN];
    out[..4].copy_from_slice(&[b'S', b'P', wire::VERSION, kind]);
    out[4..6].copy_from_slice(&(payload.len() as u16).to_le_bytes());
    out.extend(payload);
    out
}

/// A greeting that is almost always good.
fn hello(dice: &mut Dice) -> Vec<u8> {
    let name_length = dice.below(64);
    let name: Vec<u8> = dice.bytes(name_length).iter().map(|byte| byte & 0x7f).collect();
    let role = if dice.one_in(20) { dice.next() as u8 } else { 1 + dice.below(4) as u8 };
    let head = [role, u8::from(dice.one_in(3)), dice.next() as u8, dice.next() as u8];
    message(Kind::Hello as u8, &[&head[..], &name].concat())
}

/// A message as a client might send it.
fn likely_message(dice: &mut Dice) -> Vec<u8> {
    match dice.below(6) {
        0 => message(Kind::StatusRequest as u8, &[]),
        1 => {
            let arguments_length = dice.below(4);
            let arguments = dice.bytes(arguments_length);
            let verb = dice.below(5) as u8;
            let tag = dice.bytes(4);
            // Muting would be no fault, but the witness would hear nothing for a while.
            let arguments = if verb == 2 && arguments.first() == Some(&1) { vec![1, 0] } else { arguments };
            message(Kind::Command as u8, &[&tag[..], &[verb, 0, 0, 0], &arguments].concat())
        }
        2 => message(Kind::Report as u8, &dice.bytes(16)),
        _ => {
            let length = dice.length().clamp(1, 3831);
            let mut packet = message(Kind::Packet as u8, &[&[0xf8][..], &dice.bytes(length - 1)].concat());
            let stamps = dice.bytes(24);
            packet[8..32].copy_from_slice(&stamps);
            packet
        }
    }
}

/// Any kind, known or not, of any length, which it may or may not say.
fn any_message(dice: &mut Dice) -> Vec<u8> {
    let (kind, length) = (dice.below(14) as u8, dice.length());
    let mut bytes = message(kind, &dice.bytes(length));
    match dice.below(6) {
        0 => bytes.truncate(dice.below(bytes.len()).max(1)),
        1 => {
            let more = 1 + dice.below(40);
            let more = dice.bytes(more);
            bytes.extend(more);
        }
        2 => {
            let head = dice.bytes(28);
            bytes[4..32].copy_from_slice(&head);
        }
        3 => bytes[2] = dice.next() as u8,
        _ => {}
    }
    bytes
}

/// A connection, with what the daemon said on it.
struct Talk {
    socket: OwnedFd,
    room: Vec<u8>,
    /// The code of the Error that came.
    refused: Option<u16>,
    ended: bool,
}

impl Talk {
    fn begin(path: &Path) -> Result<Self, String> {
        let connected = || {
            let socket = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
            connect(&socket, &SocketAddrUnix::new(path)?)?;
            Ok(socket)
        };
        let socket = connected().map_err(|error: Errno| format!("cannot connect: {error}"))?;
        Ok(Self { socket, room: vec![0; HEADER_LEN + usize::from(u16::MAX)], refused: None, ended: false })
    }

    /// Sends a message, and takes what comes meanwhile; false if the conversation is over.
    fn say(&mut self, bytes: &[u8]) -> Result<bool, String> {
        loop {
            self.take_what_is_there()?;
            if self.ended {
                return Ok(false);
            }
            match send(&self.socket, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
                Ok(_) => return Ok(true),
                // Longer than a socket holds: as good as not said.
                Err(Errno::MSGSIZE | Errno::NOBUFS) => return Ok(true),
                Err(Errno::AGAIN) => self.wait(PollFlags::IN | PollFlags::OUT)?,
                // It is closed. What was said before is still to be heard.
                Err(Errno::PIPE | Errno::CONNRESET | Errno::NOTCONN) => return Ok(false),
                Err(error) => return Err(format!("cannot send: {error}")),
            }
        }
    }

    /// Listens to the end; returns the code of the Error that came.
    fn hear_out(&mut self) -> Result<u16, String> {
        while !self.ended {
            self.wait(PollFlags::IN)?;
            self.take_what_is_there()?;
        }
        self.refused.ok_or_else(|| "the daemon closed without an Error".to_owned())
    }

    fn wait(&self, flags: PollFlags) -> Result<(), String> {
        let patience = rustix::time::Timespec { tv_sec: PATIENCE_S, tv_nsec: 0 };
        match poll(&mut [PollFd::new(&self.socket, flags)], Some(&patience)) {
            Ok(0) => Err(format!("the daemon did nothing for {PATIENCE_S} s")),
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(error) => Err(format!("cannot wait: {error}")),
        }
    }

    fn take_what_is_there(&mut self) -> Result<(), String> {
        loop {
            match recv(&self.socket, &mut *self.room, RecvFlags::DONTWAIT) {
                Ok((0, _)) => {
                    self.ended = true;
                    return Ok(());
                }
                Ok((got, _)) => self.heard(got)?,
                Err(Errno::AGAIN) => return Ok(()),
                // Said once; what the daemon said last comes after it.
                Err(Errno::CONNRESET | Errno::INTR) => {}
                Err(error) => return Err(format!("cannot receive: {error}")),
            }
        }
    }

    fn heard(&mut self, got: usize) -> Result<(), String> {
        let (header, payload, _) = wire::parse(&self.room[..got])
            .map_err(|error| format!("the daemon does not speak the protocol: {error}"))?;
        if self.refused.is_some() {
            return Err(format!("{:?} after an Error", header.kind));
        }
        match header {
            Header { kind: Kind::Error, .. } => {
                let (code, text) = Fault::read(payload).map_err(|error| format!("an Error that is none: {error}"))?;
                if text.is_empty() {
                    return Err(format!("an Error of code {code} without a word"));
                }
                self.refused = Some(code);
                Ok(())
            }
            Header { kind: Kind::Hello | Kind::Command | Kind::StatusRequest, .. } => {
                Err(format!("the daemon sends {:?}", header.kind))
            }
            _ => Ok(()),
        }
    }
}
