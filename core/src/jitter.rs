//! Packets that arrived and wait to be played, in the order of stream time.

use crate::capacity::STORE_PACKETS;
use crate::codec::{Extent, Payload};
use crate::time::{Instant, MediaTime};

/// A packet that arrived.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Arrival<P> {
    /// Where it stands in its stream.
    pub extent: Extent,
    /// When it arrived.
    pub arrived: Instant,
    /// When its first sample was captured, if the sender says.
    pub captured: Option<Instant>,
    /// Its bytes.
    pub payload: P,
}

/// What became of a packet that was put into the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Stored {
    /// It waits for its time.
    Kept,
    /// There is one for that stream time already.
    Duplicate,
    /// It waits, in place of the copy of it that was here.
    Confirmed,
    /// It waits; the oldest one had to go to make room.
    Displaced,
}

/// At most [`STORE_PACKETS`] packets, sorted by stream time.
#[derive(Debug)]
pub struct Store<P> {
    packets: heapless::Vec<Arrival<P>, STORE_PACKETS>,
    most: usize,
}

impl<P: Payload> Default for Store<P> {
    fn default() -> Self {
        Self::new()
    }
}

impl<P: Payload> Store<P> {
    /// An empty store.
    #[must_use]
    pub const fn new() -> Self {
        Self { packets: heapless::Vec::new(), most: STORE_PACKETS }
    }

    /// Puts a packet in its place. When the store is full the oldest packet goes: the newest sound is the
    /// one worth having. A packet takes the place of its copy.
    pub fn insert(&mut self, arrival: Arrival<P>) -> Stored {
        let media = arrival.extent.media;
        if let Some(other) = self.packets.iter_mut().find(|other| other.extent.media == media) {
            if !other.payload.is_copy() || arrival.payload.is_copy() {
                return Stored::Duplicate;
            }
            *other = arrival;
            return Stored::Confirmed;
        }
        let stored = if self.packets.len() >= self.most {
            drop(self.take_front());
            Stored::Displaced
        } else {
            Stored::Kept
        };
        let place = self.packets.iter().take_while(|other| other.extent.media < media).count();
        // Cannot fail: there is room, and the place is not beyond the end (which `min` says to the compiler too).
        let _ = self.packets.insert(place.min(self.packets.len()), arrival);
        stored
    }

    /// Keeps at most so many, if that is less than it has room for; at least one.
    pub fn limit(&mut self, most: usize) {
        self.most = most.clamp(1, STORE_PACKETS);
    }

    /// How many packets it may hold.
    #[must_use]
    pub const fn room(&self) -> usize {
        self.most
    }

    /// All packets, in the order of stream time.
    pub fn iter(&self) -> impl Iterator<Item = &Arrival<P>> {
        self.packets.iter()
    }

    /// The packet, or its copy, that begins there.
    #[must_use]
    pub fn at(&self, media: MediaTime) -> Option<&Arrival<P>> {
        self.packets.iter().find(|packet| packet.extent.media == media)
    }

    /// The packet with the earliest stream time.
    #[must_use]
    pub fn front(&self) -> Option<&Arrival<P>> {
        self.packets.first()
    }

    /// Takes the packet with the earliest stream time out.
    pub fn take_front(&mut self) -> Option<Arrival<P>> {
        if self.packets.is_empty() { None } else { Some(self.packets.remove(0)) }
    }

    /// Stream time of the end of the latest packet.
    #[must_use]
    pub fn end(&self) -> Option<MediaTime> {
        self.packets.last().map(|last| last.extent.end())
    }

    /// Throws everything out.
    pub fn clear(&mut self) {
        self.packets.clear();
    }

    /// How many packets wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.packets.len()
    }

    /// Whether none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.packets.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    /// A packet is known by its stream time; a copy is one of an odd number.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    struct Numbered(u64);

    impl Payload for Numbered {
        fn with_bytes<R>(&self, read: impl FnOnce(&[u8]) -> R) -> R {
            read(&self.0.to_le_bytes())
        }

        fn is_copy(&self) -> bool {
            self.0 % 2 == 1
        }
    }

    fn packet(media: u64) -> Arrival<Numbered> {
        let extent = Extent { media: MediaTime(media), samples: 960 };
        Arrival { extent, arrived: Instant::ZERO, captured: None, payload: Numbered(media) }
    }

    fn copy(media: u64) -> Arrival<Numbered> {
        Arrival { payload: Numbered(media + 1), ..packet(media) }
    }

    #[test]
    fn a_packet_takes_the_place_of_its_copy_and_never_the_other_way_round() {
        let mut store = Store::new();
        assert_eq!(store.insert(copy(0)), Stored::Kept);
        assert_eq!(store.insert(copy(0)), Stored::Duplicate);
        assert_eq!(store.insert(packet(0)), Stored::Confirmed);
        assert_eq!(store.insert(copy(0)), Stored::Duplicate);
        assert_eq!(store.insert(packet(0)), Stored::Duplicate);
        assert_eq!(store.take_front().map(|p| p.payload), Some(Numbered(0)));
        assert!(store.is_empty());
    }

    #[test]
    fn packets_come_out_in_stream_order_and_only_once() {
        let mut store = Store::new();
        for media in [1920, 0, 2880, 960] {
            assert_eq!(store.insert(packet(media)), Stored::Kept);
        }
        assert_eq!(store.insert(packet(960)), Stored::Duplicate);
        let order: Vec<_> = core::iter::from_fn(|| store.take_front()).map(|p| p.payload.0).collect();
        assert_eq!(order, [0, 960, 1920, 2880]);
    }

    #[test]
    fn a_full_store_gives_up_its_oldest() {
        let mut store = Store::new();
        for n in 0..STORE_PACKETS as u64 {
            assert_eq!(store.insert(packet(n * 960)), Stored::Kept);
        }
        assert_eq!(store.insert(packet(100_000)), Stored::Displaced);
        assert_eq!(store.front().map(|p| p.payload), Some(Numbered(960)));
        assert_eq!(store.end(), Some(MediaTime(100_960)));
        assert_eq!(store.len(), STORE_PACKETS);
    }
}
