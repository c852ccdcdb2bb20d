//! What lies in an audio slot: a packet with its header, ready to be sent.

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

    /// The coded bytes.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        self.room.get(..usize::from(self.header.length)).unwrap_or(&[])
    }

    /// All the room there is for coded bytes.
    pub fn room_mut(&mut self) -> &mut [u8] {
        &mut self.room
    }

    /// Takes a packet from the wire: the one copy on the way in.
    ///
    /// # Errors
    /// [`WireError::Length`] if the payload does not fit the header or the room.
    pub fn fill(&mut self, header: Header, payload: &[u8]) -> Result<(), WireError> {
        let wrong = WireError::Length { got: payload.len(), min: 1, max: PAYLOAD_MAX };
        if payload.len() != usize::from(header.length) {
            return Err(wrong);
        }
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
        assert_eq!(frame.payload(), [1, 2, 3], "a refused packet changes nothing");
    }
}
