//! The payloads of greetings, refusals and reports.

use super::WireError;
use crate::config::{Channels, ConfigError, FrameLen};

/// What a client wants to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u8)]
pub enum Role {
    /// Receives captured packets.
    Listener = 1,
    /// Sends packets to be played.
    Talker = 2,
    /// Asks for status.
    Observer = 3,
    /// Asks for status, and tells the daemon what to do.
    Controller = 4,
}

impl Role {
    /// All roles, in the order of their numbers.
    pub const ALL: [Self; 4] = [Self::Listener, Self::Talker, Self::Observer, Self::Controller];

    /// The role's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Listener => "listener",
            Self::Talker => "talker",
            Self::Observer => "observer",
            Self::Controller => "controller",
        }
    }
}

/// What somebody understands beyond version 1 as it was, one bit each. Bits that are not known are passed over, and a
/// daemon answers with those that both know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Additions {
    /// Copies in packets, and reports.
    pub redundancy: bool,
    /// Notices.
    pub notices: bool,
}

impl Additions {
    /// None.
    pub const NONE: Self = Self { redundancy: false, notices: false };

    const fn parse(bits: u8) -> Self {
        Self { redundancy: bits & 1 != 0, notices: bits & 2 != 0 }
    }

    const fn emit(self) -> u8 {
        self.redundancy as u8 | ((self.notices as u8) << 1)
    }
}

/// A client's greeting: role, flags, additions, a byte of zero, and a name of at most 64 bytes of UTF-8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Hello<'a> {
    /// What the client wants to be.
    pub role: Role,
    /// A talker that replaces the one who is talking.
    pub takeover: bool,
    /// What it understands. Who does not ask for something is sent none of that.
    pub additions: Additions,
    /// What the client calls itself, for logs and status.
    pub name: &'a str,
}

impl<'a> Hello<'a> {
    /// Reads a greeting's payload.
    ///
    /// # Errors
    /// [`WireError`] naming the field.
    pub fn parse(payload: &'a [u8]) -> Result<Self, WireError> {
        let too_short = WireError::Incomplete { needed: 4 };
        let ([role, flags, additions, _], name) = payload.split_first_chunk::<4>().ok_or(too_short)?;
        let known = Role::ALL.into_iter().find(|known| *known as u8 == *role);
        let role = known.ok_or(WireError::Field("role", u32::from(*role)))?;
        if *flags > 1 {
            return Err(WireError::Field("hello flags", u32::from(*flags)));
        }
        let name = core::str::from_utf8(name).map_err(|_| WireError::Text("name"))?;
        Ok(Self { role, takeover: *flags == 1, additions: Additions::parse(*additions), name })
    }

    /// Writes the payload into `out`; returns its length.
    ///
    /// # Errors
    /// [`WireError::Length`] if it does not fit.
    pub fn emit(&self, out: &mut [u8]) -> Result<usize, WireError> {
        let length = self.name.len().saturating_add(4);
        let too_long = WireError::Length { got: length, min: 4, max: out.len() };
        let out = out.get_mut(..length).ok_or(too_long)?;
        let (head, name) = out.split_first_chunk_mut::<4>().ok_or(too_long)?;
        *head = [self.role as u8, u8::from(self.takeover), self.additions.emit(), 0];
        name.iter_mut().zip(self.name.bytes()).for_each(|(to, from)| *to = from);
        Ok(length)
    }
}

/// The daemon's answer to a greeting, 16 bytes: what the stream in the client's direction is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Welcome {
    /// The client's number, for logs.
    pub client: u32,
    /// Coded channels (a talker may send either).
    pub channels: Channels,
    /// Sound in one packet (a talker may send any length up to 60 ms).
    pub frame: FrameLen,
    /// Coded bits a second.
    pub bitrate_bps: u32,
    /// What the client asked for and the daemon knows, too.
    pub additions: Additions,
}

impl Welcome {
    /// Reads a welcome's payload.
    ///
    /// # Errors
    /// [`WireError`] naming the field.
    pub fn parse(payload: &[u8]) -> Result<Self, WireError> {
        let fields = payload.first_chunk::<16>().ok_or(WireError::Incomplete { needed: 16 })?;
        let [c0, c1, c2, c3, channels, additions, f0, f1, b0, b1, b2, b3, _, _, _, _] = *fields;
        let samples = u32::from(u16::from_le_bytes([f0, f1]));
        let channels = Channels::from_count(u32::from(channels)).map_err(|error| match error {
            ConfigError::Channels(count) => WireError::Field("channels", count),
            _ => WireError::Field("channels", 0),
        })?;
        Ok(Self {
            client: u32::from_le_bytes([c0, c1, c2, c3]),
            channels,
            frame: FrameLen::from_samples(samples).ok_or(WireError::Field("frame samples", samples))?,
            bitrate_bps: u32::from_le_bytes([b0, b1, b2, b3]),
            additions: Additions::parse(additions),
        })
    }

    /// The payload.
    #[must_use]
    pub fn emit(&self) -> [u8; 16] {
        let [c0, c1, c2, c3] = self.client.to_le_bytes();
        let [f0, f1, _, _] = self.frame.samples().to_le_bytes();
        let [b0, b1, b2, b3] = self.bitrate_bps.to_le_bytes();
        let channels = self.channels.count() as u8;
        [c0, c1, c2, c3, channels, self.additions.emit(), f0, f1, b0, b1, b2, b3, 0, 0, 0, 0]
    }
}

/// What arrived of a stream, 16 bytes, the last four of them zero. What is counted counts from the stream's beginning and
/// wraps, so that a report that is lost takes nothing with it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Report {
    /// Packets that should have come by now, by their sequence numbers.
    pub expected: u32,
    /// Those of them that came, each counted once.
    pub received: u32,
    /// What the fastest packet since the last report took: when it came by the receiver's clock, less when it was captured
    /// by the sender's, in microseconds modulo 2^32. The clocks may be far apart, so only differences mean anything. On the
    /// wire zero says that it was not measured, as clients do that know nothing of it; so zero is sent as one.
    pub delay_us: Option<u32>,
}

impl Report {
    /// Reads a report's payload.
    ///
    /// # Errors
    /// [`WireError::Incomplete`] if it is cut short.
    pub fn parse(payload: &[u8]) -> Result<Self, WireError> {
        let fields = payload.first_chunk::<16>().ok_or(WireError::Incomplete { needed: 16 })?;
        let [e0, e1, e2, e3, r0, r1, r2, r3, d0, d1, d2, d3, ..] = *fields;
        let delay_us = u32::from_le_bytes([d0, d1, d2, d3]);
        Ok(Self {
            expected: u32::from_le_bytes([e0, e1, e2, e3]),
            received: u32::from_le_bytes([r0, r1, r2, r3]),
            delay_us: (delay_us > 0).then_some(delay_us),
        })
    }

    /// What was lost since an earlier report, in millionths; `None` if nothing was to come.
    #[must_use]
    pub fn loss_since(self, before: Self) -> Option<u32> {
        let expected = self.expected.wrapping_sub(before.expected);
        if expected == 0 || expected > u32::MAX / 2 {
            return None;
        }
        // What came late after all makes up for what was reported lost before.
        let received = self.received.wrapping_sub(before.received).min(expected);
        let lost = u64::from(expected.saturating_sub(received));
        // No more than a million.
        lost.saturating_mul(1_000_000).checked_div(u64::from(expected)).map(|loss| loss as u32)
    }

    /// The smaller one of two delays as reports have them, which wrap.
    #[must_use]
    pub const fn faster(one: u32, other: u32) -> u32 {
        if one.wrapping_sub(other).cast_signed() < 0 { one } else { other }
    }

    /// The payload.
    #[must_use]
    pub fn emit(&self) -> [u8; 16] {
        let [e0, e1, e2, e3] = self.expected.to_le_bytes();
        let [r0, r1, r2, r3] = self.received.to_le_bytes();
        let [d0, d1, d2, d3] = self.delay_us.map_or(0, |delay| delay.max(1)).to_le_bytes();
        [e0, e1, e2, e3, r0, r1, r2, r3, d0, d1, d2, d3, 0, 0, 0, 0]
    }
}

/// Why the daemon closes a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u16)]
pub enum ErrorCode {
    /// The bytes are not a message.
    Malformed = 1,
    /// Another version of the protocol.
    Version = 2,
    /// A message that this role may not send, or not now.
    Unexpected = 3,
    /// Somebody else is talking.
    Busy = 4,
    /// A newer talker took over.
    Replaced = 5,
    /// As many clients as the daemon serves.
    TooManyClients = 6,
    /// There is nothing to hear: the recording that the daemon captured is over.
    Unavailable = 7,
    /// This user may not connect.
    Forbidden = 8,
    /// Too many connections or messages in too short a time.
    TooFast = 9,
}

impl ErrorCode {
    /// All codes, in the order of their numbers.
    pub const ALL: [Self; 9] = [
        Self::Malformed,
        Self::Version,
        Self::Unexpected,
        Self::Busy,
        Self::Replaced,
        Self::TooManyClients,
        Self::Unavailable,
        Self::Forbidden,
        Self::TooFast,
    ];
}

/// A refusal: a code for programs and a text for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Fault<'a> {
    /// What is wrong.
    pub code: ErrorCode,
    /// The same in words, naming the thing and what is allowed.
    pub text: &'a str,
}

impl<'a> Fault<'a> {
    /// Reads a refusal's payload.
    ///
    /// # Errors
    /// [`WireError`] naming the field.
    pub fn parse(payload: &'a [u8]) -> Result<Self, WireError> {
        let (code, text) = Self::read(payload)?;
        let known = ErrorCode::ALL.into_iter().find(|known| *known as u16 == code);
        Ok(Self { code: known.ok_or(WireError::Field("error code", u32::from(code)))?, text })
    }

    /// Reads a refusal's payload whose code is perhaps not known here.
    ///
    /// # Errors
    /// [`WireError`] naming the field.
    pub fn read(payload: &'a [u8]) -> Result<(u16, &'a str), WireError> {
        let (code, text) = payload.split_first_chunk::<2>().ok_or(WireError::Incomplete { needed: 2 })?;
        let text = core::str::from_utf8(text).map_err(|_| WireError::Text("error text"))?;
        Ok((u16::from_le_bytes(*code), text))
    }

    /// Writes the payload into `out`, the text cut where `out` ends; returns its length.
    pub fn emit(&self, out: &mut [u8]) -> usize {
        let mut room = self.text.len().min(out.len().saturating_sub(2));
        while !self.text.is_char_boundary(room) {
            room = room.saturating_sub(1);
        }
        let code = (self.code as u16).to_le_bytes();
        let bytes = code.iter().chain(self.text.as_bytes().iter().take(room));
        out.iter_mut().zip(bytes).map(|(to, from)| *to = *from).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn greetings_survive_the_wire() {
        for role in Role::ALL {
            for (takeover, redundancy) in [(false, false), (true, false), (false, true)] {
                let additions = Additions { redundancy, notices: takeover };
                let hello = Hello { role, takeover, additions, name: "küche" };
                let mut bytes = [0; 68];
                let length = hello.emit(&mut bytes).unwrap();
                assert_eq!(Hello::parse(&bytes[..length]), Ok(hello));
            }
        }
    }

    #[test]
    fn bad_greetings_name_the_field() {
        assert_eq!(Hello::parse(&[1, 0, 0]), Err(WireError::Incomplete { needed: 4 }));
        assert_eq!(Hello::parse(&[9, 0, 0, 0]), Err(WireError::Field("role", 9)));
        assert_eq!(Hello::parse(&[1, 2, 0, 0]), Err(WireError::Field("hello flags", 2)));
        assert_eq!(Hello::parse(&[1, 0, 0, 0, 0xff]), Err(WireError::Text("name")));
        assert!(
            Hello { role: Role::Talker, takeover: false, additions: Additions::NONE, name: "abcde" }
                .emit(&mut [0; 8])
                .is_err()
        );
    }

    #[test]
    fn additions_that_are_not_known_are_passed_over() {
        assert_eq!(Hello::parse(&[1, 0, 0xfe, 0]).unwrap().additions, Additions { redundancy: false, notices: true });
        assert_eq!(Hello::parse(&[1, 0, 0xfc, 0xff]).unwrap().additions, Additions::NONE);
    }

    #[test]
    fn welcomes_survive_the_wire_for_every_frame_length() {
        for frame in FrameLen::ALL {
            let additions = Additions { redundancy: frame > FrameLen::Ms10, notices: frame > FrameLen::Ms20 };
            let channels = Channels::Stereo;
            let welcome = Welcome { client: 0xdead_beef, channels, frame, bitrate_bps: 96_000, additions };
            assert_eq!(Welcome::parse(&welcome.emit()), Ok(welcome));
        }
        let (channels, frame) = (Channels::Mono, FrameLen::Ms5);
        let mut bytes = Welcome { client: 1, channels, frame, bitrate_bps: 1, additions: Additions::NONE }.emit();
        bytes[4] = 3;
        assert_eq!(Welcome::parse(&bytes), Err(WireError::Field("channels", 3)));
        bytes[4] = 2;
        bytes[6] = 1;
        assert_eq!(Welcome::parse(&bytes), Err(WireError::Field("frame samples", 1)));
    }

    #[test]
    fn reports_survive_the_wire_and_leave_room_for_more() {
        for delay_us in [Some(1), Some(u32::MAX), None] {
            let report = Report { expected: 3, received: 2, delay_us };
            assert_eq!(Report::parse(&report.emit()), Ok(report));
        }
        let old = [1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(Report::parse(&old).unwrap().delay_us, None, "who knows nothing of it sends zeros");
        let zero = Report { delay_us: Some(0), ..Report::default() };
        assert_eq!(Report::parse(&zero.emit()).unwrap().delay_us, Some(1), "to be told from them");
        let report = Report { expected: 0x0102_0304, received: u32::MAX, delay_us: Some(0x0506_0708) };
        let mut bytes = report.emit();
        assert_eq!(bytes[8..], [8, 7, 6, 5, 0, 0, 0, 0]);
        bytes[12..].fill(9);
        assert_eq!(Report::parse(&bytes), Ok(report), "what it will mean one day is not looked at");
        assert_eq!(Report::parse(&bytes[..15]), Err(WireError::Incomplete { needed: 16 }));
    }

    #[test]
    fn refusals_survive_the_wire_and_are_cut_between_characters() {
        for code in ErrorCode::ALL {
            let mut bytes = [0; 32];
            let length = Fault { code, text: "nö" }.emit(&mut bytes);
            assert_eq!(Fault::parse(&bytes[..length]), Ok(Fault { code, text: "nö" }));
        }
        let mut tight = [0; 4];
        let length = Fault { code: ErrorCode::Busy, text: "nö" }.emit(&mut tight);
        assert_eq!(Fault::parse(&tight[..length]).unwrap().text, "n");
        assert_eq!(Fault::parse(&[99, 0]), Err(WireError::Field("error code", 99)));
        assert_eq!(Fault::read(&[99, 0, b'x']), Ok((99, "x")));
    }
}
