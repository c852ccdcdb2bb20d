//! What is lost and how long packets take is reported, and what is reported lost makes packets bring copies along: both
//! ends of a direction as the daemon, `listen` and `talk` have them. Only the listener with ears reports. No preset has
//! redundancy in-band.

use super::clients::Bytes;
use super::{Event, Way, World};
use crate::outcome::Repeats;
use crate::scenario::Redundancy as Wanted;
use soundpost_core::config::Stream;
use soundpost_core::redundancy::{Redundancy, Tally, copies};
use soundpost_core::wire::{Frame, HEADER_LEN, Header, Report, redundant};

/// Both ends of the talk about loss.
#[derive(Debug, Default)]
pub(super) struct Talk {
    /// At the receiver.
    tally: Tally,
    /// At the sender.
    policy: Redundancy,
    /// The packet before, while copies are sent.
    before: Option<(Header, Bytes)>,
    pub(super) repeats: Repeats,
}

impl Talk {
    /// A packet as bytes, and the same for who gets copies.
    pub(super) fn write(&mut self, frame: &Frame, stream: &Stream) -> (Bytes, Bytes) {
        let write =
            |header: &Header, parts: &[&[u8]]| -> Bytes { [&[&header.emit()[..]], parts].concat().concat().into() };
        let plain = write(&frame.header, &[frame.payload()]);
        let joined = self.before.take().and_then(|(header, bytes)| {
            let (header, lead) = redundant::join(&frame.header, &header)?;
            Some(write(&header, &[&lead, &bytes[HEADER_LEN..], frame.payload()]))
        });
        if copies(stream, self.policy.need()) {
            self.before = Some((frame.header, plain.clone()));
        }
        self.repeats.copies += u64::from(joined.is_some());
        let rich = joined.unwrap_or_else(|| plain.clone());
        self.repeats.bytes += plain.len() as u64;
        self.repeats.copied_bytes += (rich.len() - plain.len()) as u64;
        (plain, rich)
    }
}

impl World<'_, '_, '_> {
    /// A packet came: perhaps its sender is to be told.
    pub(super) fn count(&mut self, way: Way, header: &Header) {
        if self.scenario.redundancy == Wanted::None {
            return;
        }
        let now = self.now();
        let Some(report) = self.line(way).talk.tally.received(now, header.sequence, header.captured) else { return };
        let back = match way {
            Way::Capture => self.clients[0].link.least(),
            Way::Playback => self.talker_link.least(),
        };
        self.announce(now.plus(back), Event::Report(way, report));
    }

    /// The sender is told.
    pub(super) fn heed(&mut self, way: Way, report: Report) {
        let now = self.now();
        self.line(way).care.told(now, report);
        let talk = &mut self.line(way).talk;
        let before = talk.policy.need();
        talk.policy.observe(now, report);
        let need = talk.policy.need();
        if need != before {
            talk.repeats.changes += 1;
            self.log(|| format!("{way:?}: prepared for {need} % of loss, was {before} %"));
        }
    }
}
