//! What lies in an audio slot: a packet with its header, ready to be sent.

use super::redundant::{self, Parts};
use super::{Flags, Header, Kind, WireError};
use crate::capacity::PAYLOAD_MAX;
use crate::time::{Instant, MediaTime};

/// A packet and its header. Only the first `header.length` bytes of the room mean anything.
#[derive(Clone, Copy, Debug)]
pub struct Frame {
    /// The packet's header.
    pub header: Header,
    room: [u8; PAYLOAD_MAX],
}

impl Frame {
    /// An empty frame, to fill a pool with.
    pub const EMPTY: Self = Self {
        header: Header {
            kind: Kind::Packet,
            length: 0,
            sequence: 0,
            flags: Flags::NONE,
            media: MediaTime::ZERO,
            captured: Instant::ZERO,
        },
        room: [0; PAYLOAD_MAX],
    };

    /// The payload: the coded bytes, and a copy in front of them if the flags say so.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        self.room.get(..usize::from(self.header.length)).unwrap_or(&[])
    }

    /// The payload taken apart.
    #[must_use]
    pub fn parts(&self) -> Parts<'_> {
        let payload = self.payload();
        // What came in by `fill` can be taken apart.
        redundant::split(self.header.flags, payload).unwrap_or(Parts { packet: payload, copy: None })
    }

    /// All the room there is for coded bytes.
    pub fn room_mut(&mut self) -> &mut [u8] {
        &mut self.room
    }

    /// Takes a packet from the wire: the one copy on the way in.
    ///
    /// # Errors
    /// [`WireError`] if the payload does not fit the header or the room, or if a copy in it is none.
    pub fn fill(&mut self, header: Header, payload: &[u8]) -> Result<(), WireError> {
        let wrong = WireError::Length { got: payload.len(), min: 1, max: PAYLOAD_MAX };
        if payload.len() != usize::from(header.length) {
            return Err(wrong);
        }
        redundant::split(header.flags, payload)?;
        self.room.get_mut(..payload.len()).ok_or(wrong)?.copy_from_slice(payload);
        self.header = header;
        Ok(())
    }
}

// The header alone: nobody reads coded bytes in a log.
#[cfg(feature = "defmt")]
impl defmt::Format for Frame {
    fn format(&self, to: defmt::Formatter<'_>) {
        self.header.format(to);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_holds_what_its_header_says() {
        let mut frame = Frame::EMPTY;
        assert!(frame.payload().is_empty());
        let header = Header::new(Kind::Packet, 3).unwrap();
        frame.fill(header, &[1, 2, 3]).unwrap();
        assert_eq!(frame.payload(), [1, 2, 3]);
        assert!(frame.fill(header, &[1, 2]).is_err());
        let copied = Header { flags: Flags::COPY, ..header };
        assert!(frame.fill(copied, &[1, 2, 3]).is_err());
        assert_eq!(frame.payload(), [1, 2, 3], "a refused packet changes nothing");
        assert_eq!(frame.parts(), Parts { packet: &[1, 2, 3], copy: None });
    }
}
