//! Those who listen, and the hub's way of serving them: each has a bounded queue of its own, and who does not keep up
//! loses its own newest packets.

use crate::model::link::Link;
use soundpost_core::capacity::LISTENER_QUEUE_BYTES;
use soundpost_core::time::Instant;
use soundpost_core::wire::{self, Flags, redundant};
use std::collections::VecDeque;
use std::rc::Rc;

/// A packet as it goes over a wire.
pub(super) type Bytes = Rc<[u8]>;

/// What a queued packet costs of a listener's room: the kernel counts its own overhead too.
const OVERHEAD: usize = 512;

/// What became of a client's packets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Served {
    /// Packets that there were for it.
    pub(super) offered: u64,
    /// Packets that found no room.
    pub(super) dropped: u64,
    /// Packets that it got, copies included.
    pub(super) got: u64,
}

/// Somebody who listens.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) link: Link,
    pub(super) served: Served,
    /// It reads nothing; what is here waits.
    stalled: Option<VecDeque<Bytes>>,
    /// The first one listens with a speaker of its own.
    pub(super) has_ears: bool,
    /// It has not left.
    pub(super) here: bool,
    /// Packets on their way.
    pub(super) under_way: u64,
    /// Coded bytes in a frame of what it is sent, if that is not the packet's own size.
    modelled: Option<u32>,
}

/// A packet on its way: when it arrives, and as what.
pub(super) type Delivery = (Instant, Bytes);

impl Client {
    pub(super) fn new(link: Link, has_ears: bool) -> Self {
        Self { link, served: Served::default(), stalled: None, has_ears, here: true, under_way: 0, modelled: None }
    }

    /// There is a packet for it.
    pub(super) fn offer(&mut self, now: Instant, packet: &Bytes, modelled: Option<u32>) -> Vec<Delivery> {
        self.modelled = modelled;
        if !self.here {
            return Vec::new();
        }
        self.served.offered += 1;
        let Some(waiting) = &mut self.stalled else { return self.send(now, packet) };
        let used: usize = waiting.iter().map(|packet| packet.len() + OVERHEAD).sum();
        if used + packet.len() + OVERHEAD <= LISTENER_QUEUE_BYTES {
            waiting.push_back(Rc::clone(packet));
        } else {
            self.served.dropped += 1;
        }
        Vec::new()
    }

    /// It stops reading.
    pub(super) fn stall(&mut self) {
        self.stalled.get_or_insert_default();
    }

    /// It reads again.
    pub(super) fn resume(&mut self, now: Instant) -> Vec<Delivery> {
        let waiting = self.stalled.take().unwrap_or_default();
        waiting.iter().flat_map(|packet| self.send(now, packet)).collect()
    }

    /// Packets that wait for it to read.
    pub(super) fn waiting(&self) -> u64 {
        self.stalled.as_ref().map_or(0, VecDeque::len) as u64
    }

    fn send(&mut self, now: Instant, packet: &Bytes) -> Vec<Delivery> {
        let deliveries = through(&mut self.link, now, packet, self.modelled);
        self.under_way += deliveries.len() as u64;
        deliveries
    }
}

/// What a packet's own header is on a network: RTP's.
const RTP_BYTES: usize = 12;

/// What a packet takes of a link's bandwidth. The marker codec's are as large as if a stream had been coded.
fn weight(packet: &Bytes, modelled: Option<u32>) -> usize {
    let Some(frame_bytes) = modelled else { return packet.len() };
    let has_copy = wire::parse(packet).is_ok_and(|(header, ..)| header.flags.has(Flags::COPY));
    let copy = if has_copy { redundant::LEAD_LEN + frame_bytes as usize } else { 0 };
    RTP_BYTES + copy + frame_bytes as usize
}

/// Sends a packet over a link; `modelled` says how many coded bytes its sound stands for, if not for its own.
pub(super) fn through(link: &mut Link, now: Instant, packet: &Bytes, modelled: Option<u32>) -> Vec<Delivery> {
    let fate = link.send(now, weight(packet, modelled));
    let arrivals = fate.arrivals.into_iter().flatten();
    let arrives = |at| match fate.garbled {
        Some(garble) => (at, garbled(packet, garble)),
        None => (at, Rc::clone(packet)),
    };
    arrivals.map(arrives).collect()
}

/// The packet with a byte of its sound changed. What changes a header, or where a copy belongs, is caught by every
/// transport's checksum.
fn garbled(packet: &Bytes, (place, change): (u16, u8)) -> Bytes {
    let has_copy = wire::parse(packet).is_ok_and(|(header, ..)| header.flags.has(Flags::COPY));
    let sound = wire::HEADER_LEN + if has_copy { redundant::LEAD_LEN } else { 0 };
    let mut bytes = packet.to_vec();
    let payload = bytes.get_mut(sound + 1..).unwrap_or(&mut []);
    let index = payload.len() * usize::from(place) / 65_536;
    if let Some(byte) = payload.get_mut(index) {
        *byte ^= change;
    }
    bytes.into()
}
