//! The header of a packet: to bytes, and back with every check.

use super::{Case, Group, alone};
use serde::{Deserialize, Serialize};
use soundpost_core::capacity::PAYLOAD_MAX;
use soundpost_core::time::{Instant, MediaTime};
use soundpost_core::wire::{Flags, HEADER_LEN, Header, Kind, VERSION};
use std::hint::black_box;
use std::time::Duration;
use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

pub(crate) const GROUPS: &[Group] = &[
    Group {
        title: "wire: emit a header",
        what: "A packet's header becomes bytes.",
        threads: 1,
        cases: &[
            Case { name: "soundpost `Header::emit`, 32 bytes", run: emit_ours },
            Case { name: "`zerocopy`, the same 32 bytes", run: emit_zerocopy },
            Case { name: "`serde` and `postcard`, 20 bytes", run: emit_postcard },
        ],
    },
    Group {
        title: "wire: parse a header",
        what: "Bytes become a packet's header. Magic, version, kind and length are checked by all.",
        threads: 1,
        cases: &[
            Case { name: "soundpost `Header::parse`", run: parse_ours },
            Case { name: "`zerocopy`", run: parse_zerocopy },
            Case { name: "`serde` and `postcard`", run: parse_postcard },
        ],
    },
];

/// The header after an hour of stream.
fn header(sequence: u32) -> Header {
    Header {
        kind: Kind::Packet,
        length: 160,
        sequence,
        flags: Flags::NONE,
        media: MediaTime(48_000 * 3600),
        captured: Instant::from_micros(86_400_000_000),
    }
}

/// The same for `zerocopy`: the layout of `docs/protocol.md`.
#[derive(Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
struct Laid {
    magic: [u8; 2],
    version: u8,
    kind: u8,
    length: U16,
    zero: U16,
    sequence: U32,
    flags: U32,
    media: U64,
    captured: U64,
}

/// The same for `serde`; `postcard` writes small numbers in fewer bytes.
#[derive(Clone, Copy, Serialize, Deserialize)]
struct Spelt {
    magic: [u8; 2],
    version: u8,
    kind: u8,
    length: u16,
    sequence: u32,
    flags: u32,
    media: u64,
    captured: u64,
}

impl From<Header> for Laid {
    fn from(header: Header) -> Self {
        Self {
            magic: *b"SP",
            version: VERSION,
            kind: header.kind as u8,
            length: header.length.into(),
            zero: U16::ZERO,
            sequence: header.sequence.into(),
            flags: header.flags.0.into(),
            media: header.media.0.into(),
            captured: header.captured.as_micros().into(),
        }
    }
}

impl From<Header> for Spelt {
    fn from(header: Header) -> Self {
        Self {
            magic: *b"SP",
            version: VERSION,
            kind: header.kind as u8,
            length: header.length,
            sequence: header.sequence,
            flags: header.flags.0,
            media: header.media.0,
            captured: header.captured.as_micros(),
        }
    }
}

/// The checks that `Header::parse` makes, for those whose tools make none.
fn checked(magic: [u8; 2], version: u8, kind: u8, length: u16) -> Option<(Kind, u16)> {
    let kind = Kind::ALL.into_iter().find(|known| *known as u8 == kind)?;
    let (min, max) = kind.payload_bounds();
    let good = magic == *b"SP" && version == VERSION && (min..=max).contains(&usize::from(length));
    good.then_some((kind, length))
}

impl Laid {
    fn header(&self) -> Option<Header> {
        let (kind, length) = checked(self.magic, self.version, self.kind, self.length.get())?;
        Some(Header {
            kind,
            length,
            sequence: self.sequence.get(),
            flags: Flags(self.flags.get()),
            media: MediaTime(self.media.get()),
            captured: Instant::from_micros(self.captured.get()),
        })
    }
}

impl Spelt {
    fn header(&self) -> Option<Header> {
        let (kind, length) = checked(self.magic, self.version, self.kind, self.length)?;
        Some(Header {
            kind,
            length,
            sequence: self.sequence,
            flags: Flags(self.flags),
            media: MediaTime(self.media),
            captured: Instant::from_micros(self.captured),
        })
    }
}

fn emit_ours(times: u64) -> Duration {
    let header = header(70_000);
    alone(times, || {
        black_box(black_box(&header).emit());
    })
}

fn emit_zerocopy(times: u64) -> Duration {
    let header = header(70_000);
    assert_eq!(Laid::from(header).as_bytes(), header.emit(), "the same bytes");
    alone(times, || {
        let bytes: [u8; HEADER_LEN] = zerocopy::transmute!(Laid::from(*black_box(&header)));
        black_box(bytes);
    })
}

fn emit_postcard(times: u64) -> Duration {
    let (header, mut room) = (header(70_000), [0; 48]);
    alone(times, || {
        let bytes = postcard::to_slice(&Spelt::from(*black_box(&header)), &mut room).expect("room enough");
        black_box(bytes);
    })
}

fn parse_ours(times: u64) -> Duration {
    parsed(times, &header(70_000).emit(), |bytes| Header::parse(bytes).ok())
}

fn parse_zerocopy(times: u64) -> Duration {
    parsed(times, Laid::from(header(70_000)).as_bytes(), |bytes| Laid::ref_from_bytes(bytes).ok()?.header())
}

fn parse_postcard(times: u64) -> Duration {
    let mut room = [0; 48];
    let bytes = postcard::to_slice(&Spelt::from(header(70_000)), &mut room).expect("room enough");
    assert_eq!(bytes.len(), 20, "as the table says");
    parsed(times, bytes, |bytes| postcard::from_bytes::<Spelt>(bytes).ok()?.header())
}

/// Times a parser of good bytes, after seeing that it refuses bad ones.
fn parsed(times: u64, bytes: &[u8], parse: impl Fn(&[u8]) -> Option<Header>) -> Duration {
    assert_eq!(parse(bytes), Some(header(70_000)));
    for wrong in [0, 1, 2, 3] {
        let mut bytes = bytes.to_vec();
        bytes[wrong] = 0xee;
        assert_eq!(parse(&bytes), None, "byte {wrong} is looked at");
    }
    assert!(usize::from(header(0).length) < PAYLOAD_MAX);
    alone(times, || {
        black_box(parse(black_box(bytes))).expect("a header");
    })
}
