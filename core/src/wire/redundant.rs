//! A packet that brings a copy of the one before it along, after RFC 2198.
//!
//! As there, the copy goes in front. What leads says how long it is and how many samples earlier it begins. A copy is
//! sent only to who said that it understands one, and only if both still fit a packet's room.

use super::{Flags, Header, Kind, WireError};

/// Bytes in front of a copy.
pub const LEAD_LEN: usize = 4;

/// What lies in the payload of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parts<'a> {
    /// The packet that the header speaks of.
    pub packet: &'a [u8],
    /// An earlier one.
    pub copy: Option<Copied<'a>>,
}

/// A copy of an earlier packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Copied<'a> {
    /// How many samples earlier it begins.
    pub before: u16,
    /// The bytes of that packet.
    pub bytes: &'a [u8],
}

/// Takes a payload apart.
///
/// # Errors
/// [`WireError`] naming the field, if the flags promise a copy and what is there is none.
pub fn split(flags: Flags, payload: &[u8]) -> Result<Parts<'_>, WireError> {
    if !flags.has(Flags::COPY) {
        return Ok(Parts { packet: payload, copy: None });
    }
    let short = WireError::Length { got: payload.len(), min: LEAD_LEN + 2, max: crate::capacity::PAYLOAD_MAX };
    let ([l0, l1, b0, b1], rest) = payload.split_first_chunk::<LEAD_LEN>().ok_or(short)?;
    let (length, before) = (u16::from_le_bytes([*l0, *l1]), u16::from_le_bytes([*b0, *b1]));
    if before == 0 {
        return Err(WireError::Field("copy's distance", 0));
    }
    let wrong = WireError::Field("copy's length", u32::from(length));
    match rest.split_at_checked(usize::from(length)) {
        Some((bytes @ [_, ..], packet @ [_, ..])) => Ok(Parts { packet, copy: Some(Copied { before, bytes }) }),
        _ => Err(wrong),
    }
}

/// How a packet is sent with a copy of `before`: its header, and what leads. The payload is that lead, then the bytes
/// of `before`, then those of the packet.
///
/// `None` if they do not belong together (nothing was sent between, and one follows the other) or if both are too long.
#[must_use]
pub fn join(packet: &Header, before: &Header) -> Option<(Header, [u8; LEAD_LEN])> {
    if packet.flags.has(Flags::START) || packet.flags.has(Flags::GAP) || packet.media <= before.media {
        return None;
    }
    let distance = u16::try_from(packet.media.since(before.media)).ok()?;
    let length = usize::from(packet.length).saturating_add(usize::from(before.length)).saturating_add(LEAD_LEN);
    let Header { length, .. } = Header::new(Kind::Packet, length).ok()?;
    let [l0, l1] = before.length.to_le_bytes();
    let [b0, b1] = distance.to_le_bytes();
    Some((Header { length, flags: packet.flags.with(Flags::COPY), ..*packet }, [l0, l1, b0, b1]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capacity::PAYLOAD_MAX;
    use crate::time::MediaTime;
    use proptest::prelude::*;
    use std::vec::Vec;

    fn header(length: usize, media: u64) -> Header {
        Header { media: MediaTime(media), ..Header::new(Kind::Packet, length).unwrap() }
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            cases: if cfg!(miri) { 4 } else { 256 },
            failure_persistence: if cfg!(miri) { None } else { ProptestConfig::default().failure_persistence },
            ..ProptestConfig::default()
        })]

        #[test]
        fn what_is_joined_comes_apart_as_it_was(
            packet in proptest::collection::vec(any::<u8>(), 1..2000),
            before in proptest::collection::vec(any::<u8>(), 1..2000),
            distance in 1..=u16::MAX,
        ) {
            let (this, earlier) = (header(packet.len(), 1 << 20), header(before.len(), (1 << 20) - u64::from(distance)));
            let Some((joined, lead)) = join(&this, &earlier) else {
                prop_assert!(packet.len() + before.len() + LEAD_LEN > PAYLOAD_MAX);
                return Ok(());
            };
            let payload = [&lead[..], &before, &packet].concat();
            prop_assert_eq!(usize::from(joined.length), payload.len());
            prop_assert_eq!(joined.media, this.media);
            let copy = Some(Copied { before: distance, bytes: &before[..] });
            prop_assert_eq!(split(joined.flags, &payload), Ok(Parts { packet: &packet[..], copy }));
        }

        #[test]
        fn any_bytes_come_apart_or_say_why(bytes: Vec<u8>) {
            prop_assert_eq!(split(Flags::NONE, &bytes), Ok(Parts { packet: &bytes[..], copy: None }));
            if let Ok(Parts { packet, copy: Some(copy) }) = split(Flags::COPY, &bytes) {
                prop_assert!(copy.before > 0 && !packet.is_empty() && !copy.bytes.is_empty());
                prop_assert_eq!(LEAD_LEN + packet.len() + copy.bytes.len(), bytes.len());
            }
        }
    }

    #[test]
    fn what_does_not_follow_brings_no_copy_along() {
        let (this, before) = (header(10, 1920), header(10, 960));
        assert!(join(&this, &before).is_some());
        assert!(join(&before, &this).is_none() && join(&this, &this).is_none(), "not earlier");
        for flag in [Flags::START, Flags::GAP] {
            assert!(join(&Header { flags: flag, ..this }, &before).is_none(), "sound is missing between");
        }
        assert!(join(&header(10, 960 + 65_536), &before).is_none(), "too far");
        assert!(join(&header(PAYLOAD_MAX - 14, 1920), &before).is_some());
        assert!(join(&header(PAYLOAD_MAX - 13, 1920), &before).is_none(), "too long");
    }

    #[test]
    fn what_is_no_copy_is_named() {
        let length = |length| Err(WireError::Field("copy's length", length));
        assert!(matches!(split(Flags::COPY, &[1, 0, 192]), Err(WireError::Length { got: 3, min: 6, .. })));
        assert_eq!(split(Flags::COPY, &[0, 0, 192, 3, 7]), length(0));
        assert_eq!(split(Flags::COPY, &[1, 0, 192, 3, 7]), length(1));
        assert_eq!(split(Flags::COPY, &[2, 0, 192, 3, 7]), length(2));
        assert_eq!(split(Flags::COPY, &[1, 0, 0, 0, 7, 8]), Err(WireError::Field("copy's distance", 0)));
        assert!(split(Flags::COPY, &[1, 0, 192, 3, 7, 8]).is_ok());
    }
}
