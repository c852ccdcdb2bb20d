//! The 32 bytes in front of every message.

use super::{ARGUMENTS_MAX, COMMAND_LEAD, WireError};
use crate::capacity::{CLIENT_NAME_MAX, PAYLOAD_MAX};
use crate::time::{Instant, MediaTime};

/// Bytes of a header.
pub const HEADER_LEN: usize = 32;

/// The version of the protocol that is spoken here.
pub const VERSION: u8 = 1;

const MAGIC: [u8; 2] = *b"SP";

/// What a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u8)]
pub enum Kind {
    /// Client → daemon, first of all: who I am and what I want.
    Hello = 1,
    /// Daemon → client: welcome, and what the stream is like.
    Welcome = 2,
    /// Daemon → client: what was wrong. The connection closes after it.
    Error = 3,
    /// One Opus packet, either way.
    Packet = 4,
    /// Client → daemon: send me your status.
    StatusRequest = 5,
    /// Daemon → client: status, as JSON.
    Status = 6,
    /// Either way: I leave in good order.
    Bye = 7,
    /// Receiver of packets → their sender, if both said that they know it: what arrived.
    Report = 8,
    /// Controller → daemon: do this.
    Command = 9,
    /// Daemon → controller: what became of it.
    Answer = 10,
    /// Daemon → client, if both said that they know it: something that happened.
    Notice = 11,
}

impl Kind {
    /// The kind with the highest number.
    pub const LAST: Self = Self::Notice;

    /// All kinds, in the order of their numbers.
    pub const ALL: [Self; 11] = [
        Self::Hello,
        Self::Welcome,
        Self::Error,
        Self::Packet,
        Self::StatusRequest,
        Self::Status,
        Self::Bye,
        Self::Report,
        Self::Command,
        Self::Answer,
        Self::Notice,
    ];

    /// The shortest and the longest payload of this kind, in bytes.
    #[must_use]
    pub const fn payload_bounds(self) -> (usize, usize) {
        match self {
            Self::Hello => (4, 4 + CLIENT_NAME_MAX),
            Self::Welcome | Self::Report | Self::Notice => (16, 16),
            Self::Error => (2, 512),
            Self::Packet => (1, PAYLOAD_MAX),
            Self::StatusRequest | Self::Bye => (0, 0),
            Self::Status => (2, u16::MAX as usize),
            Self::Command => (COMMAND_LEAD, COMMAND_LEAD + ARGUMENTS_MAX),
            Self::Answer => (COMMAND_LEAD, u16::MAX as usize),
        }
    }
}

/// Marks on a packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Flags(pub u32);

impl Flags {
    /// Nothing to remark.
    pub const NONE: Self = Self(0);
    /// The first packet of a stream: forget what came before.
    pub const START: Self = Self(1);
    /// Sound was lost between the packet before and this one.
    pub const GAP: Self = Self(1 << 1);
    /// A copy of an earlier packet is in front of this one: see [`redundant`](super::redundant).
    pub const COPY: Self = Self(1 << 2);

    /// Whether all marks of `other` are set.
    #[must_use]
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// The marks of both.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// These marks without those of `other`.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

/// The header of a message. The last four fields belong to packets and are zero elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Header {
    /// What the message is.
    pub kind: Kind,
    /// Bytes of payload.
    pub length: u16,
    /// Counts packets, one by one; wraps.
    pub sequence: u32,
    /// Marks.
    pub flags: Flags,
    /// Stream time of the packet's first sample.
    pub media: MediaTime,
    /// When the first sample that a decoder makes of the packet was captured, on the sender's
    /// `CLOCK_MONOTONIC` (that is the codec's look-ahead before the packet's own first sample); zero if the
    /// sender does not say.
    pub captured: Instant,
}

impl Header {
    /// A header for `length` bytes of payload.
    ///
    /// # Errors
    /// [`WireError::Length`] if a message of that kind cannot have that length.
    pub fn new(kind: Kind, length: usize) -> Result<Self, WireError> {
        let (min, max) = kind.payload_bounds();
        let short = u16::try_from(length).ok().filter(|_| (min..=max).contains(&length));
        Ok(Self {
            kind,
            length: short.ok_or(WireError::Length { got: length, min, max })?,
            sequence: 0,
            flags: Flags::NONE,
            media: MediaTime::ZERO,
            captured: Instant::ZERO,
        })
    }

    /// Reads the header at the front of `bytes`.
    ///
    /// # Errors
    /// [`WireError`]; what is wrong is reported as soon as it can be seen.
    pub fn parse(bytes: &[u8]) -> Result<Self, WireError> {
        let short = WireError::Incomplete { needed: HEADER_LEN };
        let magic = *bytes.first_chunk::<2>().ok_or(short)?;
        if magic != MAGIC {
            return Err(WireError::Magic(magic));
        }
        let head = bytes.first_chunk::<HEADER_LEN>().ok_or(short)?;
        let [_, _, version, kind, l0, l1, _, _, rest @ ..] = *head;
        let [s0, s1, s2, s3, f0, f1, f2, f3, times @ ..] = rest;
        let [m0, m1, m2, m3, m4, m5, m6, m7, c0, c1, c2, c3, c4, c5, c6, c7] = times;
        if version != VERSION {
            return Err(WireError::Version(version));
        }
        let kind = Kind::ALL.into_iter().find(|k| *k as u8 == kind).ok_or(WireError::Kind(kind))?;
        Ok(Self {
            sequence: u32::from_le_bytes([s0, s1, s2, s3]),
            flags: Flags(u32::from_le_bytes([f0, f1, f2, f3])),
            media: MediaTime(u64::from_le_bytes([m0, m1, m2, m3, m4, m5, m6, m7])),
            captured: Instant::from_micros(u64::from_le_bytes([c0, c1, c2, c3, c4, c5, c6, c7])),
            ..Self::new(kind, usize::from(u16::from_le_bytes([l0, l1])))?
        })
    }

    /// The header as bytes.
    #[must_use]
    pub fn emit(&self) -> [u8; HEADER_LEN] {
        let [magic0, magic1] = MAGIC;
        let [l0, l1] = self.length.to_le_bytes();
        let [s0, s1, s2, s3] = self.sequence.to_le_bytes();
        let [f0, f1, f2, f3] = self.flags.0.to_le_bytes();
        let [m0, m1, m2, m3, m4, m5, m6, m7] = self.media.0.to_le_bytes();
        let [c0, c1, c2, c3, c4, c5, c6, c7] = self.captured.as_micros().to_le_bytes();
        [
            magic0,
            magic1,
            VERSION,
            self.kind as u8,
            l0,
            l1,
            0,
            0,
            s0,
            s1,
            s2,
            s3,
            f0,
            f1,
            f2,
            f3,
            m0,
            m1,
            m2,
            m3,
            m4,
            m5,
            m6,
            m7,
            c0,
            c1,
            c2,
            c3,
            c4,
            c5,
            c6,
            c7,
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::super::{emit, parse};
    use super::*;
    use proptest::prelude::*;
    use std::vec::Vec;

    fn message(kind: Kind) -> Vec<u8> {
        let payload = std::vec![7_u8; kind.payload_bounds().0];
        let mut out = std::vec![0; HEADER_LEN + payload.len()];
        let length = emit(kind, &payload, &mut out).unwrap();
        assert_eq!(length, out.len());
        out
    }

    #[test]
    fn every_kind_survives_the_wire() {
        for kind in Kind::ALL {
            let bytes = message(kind);
            let (header, payload, rest) = parse(&bytes).unwrap();
            assert_eq!((header.kind, payload.len(), rest.len()), (kind, kind.payload_bounds().0, 0));
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        assert_eq!(Header::parse(b"S"), Err(WireError::Incomplete { needed: 32 }));
        assert_eq!(Header::parse(b"GET / HTTP/1.1\r\n"), Err(WireError::Magic(*b"GE")));
        let mut bytes = message(Kind::Bye);
        bytes[2] = 9;
        assert_eq!(Header::parse(&bytes), Err(WireError::Version(9)));
        bytes[2] = VERSION;
        bytes[3] = 0;
        assert_eq!(Header::parse(&bytes), Err(WireError::Kind(0)));
        bytes[3] = Kind::Packet as u8;
        bytes[4..6].copy_from_slice(&60_000_u16.to_le_bytes());
        assert_eq!(Header::parse(&bytes), Err(WireError::Length { got: 60_000, min: 1, max: PAYLOAD_MAX }));
    }

    #[test]
    fn every_kind_and_version_number_and_every_edge_of_a_length_is_taken_or_named() {
        for number in 0..=u8::MAX {
            let mut bytes = message(Kind::Bye);
            bytes[2] = number;
            assert_eq!(Header::parse(&bytes).is_ok(), number == VERSION);
            bytes[2] = VERSION;
            bytes[3] = number;
            let expected = Kind::ALL.into_iter().find(|kind| *kind as u8 == number);
            match (Header::parse(&bytes), expected) {
                (Ok(header), Some(kind)) => assert_eq!((header.kind, kind.payload_bounds().0), (kind, 0)),
                (Err(WireError::Length { got: 0, min, .. }), Some(kind)) => assert_eq!(min, kind.payload_bounds().0),
                (Err(error), None) => assert_eq!(error, WireError::Kind(number)),
                (result, expected) => panic!("{number}: {result:?}, {expected:?}"),
            }
        }
        for kind in Kind::ALL {
            let (min, max) = kind.payload_bounds();
            for length in [0, min.saturating_sub(1), min, min + 1, max.saturating_sub(1), max, max + 1, 1 << 16] {
                let made = Header::new(kind, length);
                assert_eq!(made.is_ok(), (min..=max).contains(&length), "{kind:?} of {length}");
                assert!(made.is_err() || made.and_then(|header| Header::parse(&header.emit())) == made);
            }
        }
    }

    proptest! {
        // Under Miri, which is slow and has no folder to keep failures in: few.
        #![proptest_config(ProptestConfig {
            cases: if cfg!(miri) { 4 } else { 256 },
            failure_persistence: if cfg!(miri) { None } else { ProptestConfig::default().failure_persistence },
            ..ProptestConfig::default()
        })]

        #[test]
        fn any_header_survives_the_wire(sequence: u32, flags: u32, media: u64, captured: u64, length in 1..=3832_u16) {
            let header = Header {
                kind: Kind::Packet, length: length.min(PAYLOAD_MAX as u16), sequence, flags: Flags(flags),
                media: MediaTime(media), captured: Instant::from_micros(captured),
            };
            prop_assert_eq!(Header::parse(&header.emit()), Ok(header));
        }

        #[test]
        fn any_bytes_parse_or_say_why(bytes: Vec<u8>) {
            if let Ok((header, payload, rest)) = parse(&bytes) {
                prop_assert_eq!(usize::from(header.length), payload.len());
                prop_assert_eq!(HEADER_LEN + payload.len() + rest.len(), bytes.len());
            }
        }

        #[test]
        fn a_message_is_found_however_the_bytes_arrive(cut in 0_usize..100, kind in 0_usize..11) {
            let bytes = message(Kind::ALL[kind]);
            let cut = cut.min(bytes.len());
            match parse(&bytes[..cut]) {
                Ok(_) => prop_assert_eq!(cut, bytes.len()),
                Err(WireError::Incomplete { needed }) => prop_assert!(needed > cut && needed <= bytes.len()),
                Err(other) => prop_assert!(false, "{:?}", other),
            }
        }
    }
}
