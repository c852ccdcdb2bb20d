//! The ear at a speaker: it knows of each sample which one it is, and so how old it is and whether it was heard
//! before.

use super::Court;
use crate::codec::{CONCEALED, Number};
use crate::model::card::Mic;
use crate::model::source::{MARKERS, marker};
use serde::{Deserialize, Serialize};
use soundpost_core::time::{Instant, Span};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

/// Values may be off by so much and still be that sample: a resampler lays them between two.
const NEAR: u16 = 6;
/// So many samples in a row, off by next to nothing, settle which ones they are: sounds that are laid over each other
/// look like others for shorter.
const SURE: usize = 32;
/// To be sure of old ones it takes more: where two ramps fade into each other at one level, their sum bends, and for
/// some forty samples it rises as samples do.
const SURE_OF_OLD: usize = 96;
const NEXT_TO_NOTHING: u16 = 2;
/// So many zeros in a row are no silence yet.
const CROSSING: usize = 8;
/// So close to where numbers begin anew a resampler rings: no ear hears that, for no sound does this.
const RINGING: u64 = 40;
/// Less than that is how a resampler lays samples between samples.
const BETWEEN: u64 = 64;
/// What is put in may wait so long before it is heard, in samples.
const WAITING: u64 = 4_800;
/// What is as near as that is found again easily: a stretched voice.
const OF_LATE: u64 = 1_440;
/// The first samples of a piece may be faded so far that they are not known again.
const FADE_MAX: u64 = 240;
/// So many runs are remembered: one for each period, and for each piece in it, of more than a tenth of a second.
const RUNS: usize = 256;

/// What has been heard so far, in samples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heard {
    /// Real sound.
    pub real: u64,
    /// Made up by the decoder.
    pub concealed: u64,
    /// Silence that nobody sent.
    pub silent: u64,
    /// Faded, or laid over each other.
    pub blended: u64,
    /// Never heard, although what came after them was.
    pub skipped: u64,
    /// Heard twice.
    pub repeated: u64,
    /// Jumps ahead and back.
    pub jumps: u64,
}

/// Samples in a row that were heard.
#[derive(Clone, Copy, Debug)]
struct Run {
    /// The number of the first.
    first: u64,
    /// How much had been heard before it, of whatever kind.
    place: u64,
}

/// Something that was heard before.
#[derive(Clone, Copy, Debug)]
struct Suspect {
    found: u64,
    place: u64,
    /// How much was heard since.
    ago: u64,
    at: Instant,
}

/// How old sound is when it is heard.
#[derive(Clone, Debug, Default)]
pub struct Ages {
    /// How much was heard in each millisecond of age.
    bins: Vec<u32>,
    count: u64,
    sum_us: u64,
}

impl Ages {
    fn add(&mut self, age: Span) {
        let bin = (age.as_micros() / 1000).min(9_999) as usize;
        if self.bins.len() <= bin {
            self.bins.resize(bin + 1, 0);
        }
        self.bins[bin] += 1;
        self.count += 1;
        self.sum_us += age.as_micros();
    }

    /// The mean, in milliseconds; `None` if nothing was heard.
    #[must_use]
    pub fn mean_ms(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum_us as f64 / self.count as f64 / 1000.0)
    }

    /// The age that `percent` of what was heard did not exceed, in milliseconds.
    #[must_use]
    pub fn percentile_ms(&self, percent: f64) -> Option<f64> {
        let wanted = (self.count as f64 * percent / 100.0).ceil() as u64;
        let mut seen = 0;
        let bin = self.bins.iter().position(|count| {
            seen += u64::from(*count);
            seen >= wanted.max(1)
        });
        bin.map(|bin| bin as f64 + 0.5)
    }
}

/// Hears what a speaker plays of what a microphone captured.
#[derive(Debug)]
pub struct Ear {
    mic: Rc<RefCell<Mic>>,
    court: Court,
    who: &'static str,
    /// Number of the sample that should come next.
    expected: Option<u64>,
    /// Number of the sample after the last one that was heard for certain.
    certain: u64,
    /// How much was heard, of whatever kind.
    place: u64,
    /// The same, when a sample that was expected was heard last.
    followed: u64,
    /// What was heard of late, the latest at the end.
    runs: VecDeque<Run>,
    /// Where it was, and how much the player had put in by then.
    inserted: VecDeque<(u64, u64)>,
    /// What was heard again since that was known.
    suspects: Vec<Suspect>,
    /// The newest sample when what was decoded last was made.
    decoded: Number,
    /// A new stream began: what it plays may have been heard before.
    pardoned: bool,
    heard: Heard,
    ages: Ages,
    /// Age of what was heard latest.
    age: Option<Span>,
    /// Keeps what is heard: its samples, as they are.
    kept: Option<Vec<i16>>,
    /// It hears sound, not markers: how old that is it is told.
    deaf: bool,
}

impl Ear {
    /// An ear that listens for the samples of `mic`.
    #[must_use]
    pub fn new(mic: Rc<RefCell<Mic>>, court: Court, who: &'static str) -> Self {
        Self {
            mic,
            court,
            who,
            expected: None,
            certain: 0,
            place: 0,
            followed: 0,
            runs: VecDeque::with_capacity(RUNS),
            inserted: VecDeque::with_capacity(RUNS),
            suspects: Vec::new(),
            decoded: Number::default(),
            pardoned: true,
            heard: Heard::default(),
            ages: Ages::default(),
            age: None,
            kept: None,
            deaf: false,
        }
    }

    /// Where the decoder says what it decoded last.
    #[must_use]
    pub fn decoded(&self) -> Number {
        Rc::clone(&self.decoded)
    }

    /// Hears real sound, which does not say which samples it is.
    pub const fn listen_to_sound(&mut self) {
        self.deaf = true;
    }

    /// Keeps everything from now on.
    pub fn keep(&mut self) {
        self.kept = Some(Vec::new());
    }

    /// What was kept.
    pub fn take_kept(&mut self) -> Vec<i16> {
        self.kept.take().unwrap_or_default()
    }

    /// The sender or the player began anew: nobody remembers what was heard.
    pub const fn pardon(&mut self) {
        self.pardoned = true;
    }

    /// What has been heard so far.
    #[must_use]
    pub const fn heard(&self) -> Heard {
        self.heard
    }

    /// How old it was.
    #[must_use]
    pub const fn ages(&self) -> &Ages {
        &self.ages
    }

    /// Forgets the ages so far.
    pub fn forget_ages(&mut self) {
        self.ages = Ages::default();
    }

    /// How old what was heard latest was.
    #[must_use]
    pub const fn age(&self) -> Option<Span> {
        self.age
    }

    /// Number of the sample that should come next.
    #[must_use]
    pub const fn position(&self) -> Option<u64> {
        self.expected
    }

    /// Hears a period whose first sample sounds `at`.
    pub fn hear(&mut self, pcm: &[i16], at: Instant) {
        if let Some(kept) = &mut self.kept {
            kept.extend_from_slice(pcm);
        }
        if self.deaf {
            return;
        }
        self.age = None;
        let mut from = 0;
        while let Some(rest) = pcm.get(from..).filter(|rest| !rest.is_empty()) {
            let taken = self.take(rest, at.plus(Span::from_samples(from as u64)));
            self.place += taken as u64;
            from += taken;
        }
    }

    /// The player says that it has put in so many samples so far: that much, and no more, may be heard again.
    pub fn judge(&mut self, inserted: u64) {
        let known = self.inserted.back().map_or(0, |(_, known)| *known);
        if inserted < known {
            self.inserted.clear();
        }
        if inserted != known {
            remember(&mut self.inserted, (self.place, inserted));
        }
        for Suspect { found, place, ago, at } in std::mem::take(&mut self.suspects) {
            let since = place.saturating_sub(ago + WAITING);
            let before = self.inserted.iter().rev().find(|(place, _)| *place < since);
            let allowed = inserted - before.map_or(0, |(_, inserted)| *inserted);
            if ago > allowed + BETWEEN + FADE_MAX {
                let words = format!(
                    "{}: sample {found} again, {ago} samples after it was heard; {allowed} were put in on purpose",
                    self.who
                );
                self.court.accuse("order", at, words);
            }
        }
    }

    /// Takes what is of one kind off the front; returns how much that was.
    fn take(&mut self, rest: &[i16], at: Instant) -> usize {
        if let Some(next) = self.expected {
            let run = follows(rest, next, NEAR);
            // After something else a few of them prove nothing: whatever fades passes through the value that is expected.
            let proves = self.followed == self.place || run >= SURE;
            if run > 0 && proves {
                self.follow(rest, next, run, at);
                return run;
            }
        }
        let made_up = rest.iter().take_while(|value| **value == CONCEALED).count();
        if made_up > 0 {
            self.heard.concealed += made_up as u64;
            return made_up;
        }
        let silent = rest.iter().take_while(|value| **value == 0).count();
        // One or two are where a fade passes through zero.
        if silent > CROSSING {
            self.heard.silent += silent as u64;
            return silent;
        }
        if let Some(found) = self.locate(rest) {
            self.jump(found, at);
            return 0;
        }
        // Between two things: it goes on in time, whatever it is.
        let rings = self.expected.is_some_and(|next| (next + RINGING) % MARKERS < 2 * RINGING);
        *(if rings { &mut self.heard.real } else { &mut self.heard.blended }) += 1;
        self.expected = self.expected.map(|next| next + 1);
        1
    }

    fn follow(&mut self, rest: &[i16], next: u64, run: usize, at: Instant) {
        remember(&mut self.runs, Run { first: next, place: self.place });
        self.heard.real += run as u64;
        if self.age.is_none() {
            let captured = self.mic.borrow().captured(next);
            let age = captured.map_or(Span::ZERO, |captured| at.since(captured));
            self.age = Some(age);
            self.ages.add(age);
        }
        // What lies between two samples is carried on from where it really is.
        let last = next + run as u64 - 1;
        let off = i64::from(rest[run - 1]) - i64::from(marker(last));
        self.certain = (last + 1).saturating_add_signed(off);
        self.expected = Some(self.certain);
        self.followed = self.place + run as u64;
    }

    /// Which sample this is, if enough of it follows to be sure. Numbers begin anew after two thirds of a second; of
    /// those that fit it is the newest that can have been in what was decoded of late.
    fn locate(&self, rest: &[i16]) -> Option<u64> {
        let value = u64::try_from(rest[0]).ok()?.checked_sub(1)?;
        let newest = self.decoded.get();
        let found = newest.checked_sub((newest % MARKERS + MARKERS - value) % MARKERS)?;
        let sure = if found + OF_LATE < self.certain { SURE_OF_OLD } else { SURE };
        rest.get(..sure).filter(|head| follows(head, found, NEXT_TO_NOTHING) == sure).map(|_| found)
    }

    fn jump(&mut self, found: u64, at: Instant) {
        let pardoned = std::mem::take(&mut self.pardoned);
        let known = self.expected.replace(found);
        let ago = self.ago(found);
        let Some(next) = known else { return };
        self.heard.skipped += found.saturating_sub(next);
        let back = self.certain.saturating_sub(found);
        if back > BETWEEN {
            self.heard.repeated += ago.min(back);
            if ago > BETWEEN && !pardoned {
                self.suspects.push(Suspect { found, place: self.place, ago, at });
            }
        }
        self.heard.jumps += u64::from(found != next);
    }

    /// How much was heard since this sample was, or should have been. Numbers alone do not tell: what is put in once
    /// more may lie on both sides of a gap that was passed over.
    fn ago(&self, found: u64) -> u64 {
        let run = self.runs.iter().rev().find(|run| run.first <= found + FADE_MAX);
        run.map_or(self.place, |run| (self.place + run.first).saturating_sub(run.place + found))
    }
}

fn remember<T>(list: &mut VecDeque<T>, item: T) {
    if list.len() == RUNS {
        list.pop_front();
    }
    list.push_back(item);
}

/// How many of `values` are the samples from number `next` on, nearly.
fn follows(values: &[i16], next: u64, off: u16) -> usize {
    let mut done = 0;
    while done < values.len() {
        let n = next + done as u64;
        // Up to where the numbers begin anew.
        let run = usize::try_from(MARKERS - n % MARKERS).unwrap_or(usize::MAX).min(values.len() - done);
        let first = marker(n);
        let matching = values[done..done + run]
            .iter()
            .zip(first..=i16::MAX)
            .take_while(|(value, n)| value.abs_diff(*n) <= off)
            .count();
        done += matching;
        if matching < run {
            break;
        }
    }
    done
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::VirtualClock;
    use crate::model::card::{CardOptions, MicPort};
    use crate::model::source::Source;
    use soundpost_core::port::PcmIn;

    const CARD: CardOptions =
        CardOptions { drift_ppm: 0.0, wander_ppm: 0.0, period: 480, room: 4_800, grain: 1, short_reads: false };

    /// An ear for a microphone that has captured a second.
    fn ear() -> (Ear, Court, Instant) {
        let clock = VirtualClock::default();
        let card = Rc::new(RefCell::new(Mic::new(Instant::ZERO, CARD, Source::Markers, 1, "m")));
        let mut port = MicPort { card: Rc::clone(&card), clock: clock.clone() };
        for n in 1..=100 {
            clock.advance_to(Instant::from_micros(n * 10_000));
            assert_eq!(port.read(&mut [0; 480]).unwrap().samples, 480);
        }
        let court = Court::default();
        let ear = Ear::new(card, court.clone(), "ear");
        ear.decoded().set(48_000);
        (ear, court, clock.time())
    }

    fn samples(range: std::ops::Range<u64>) -> Vec<i16> {
        range.map(marker).collect()
    }

    #[test]
    fn it_knows_how_old_what_it_hears_is() {
        let (mut ear, court, now) = ear();
        ear.hear(&samples(40_000..40_480), now);
        let age = ear.age().unwrap().as_micros() as i64;
        assert!((age - (1_000_000 - 833_333)).abs() < 50, "{age}");
        assert_eq!((ear.heard().real, ear.position()), (480, Some(40_480)));
        assert!(court.is_content());
    }

    #[test]
    fn what_is_skipped_made_up_silent_or_blended_is_told_apart() {
        let (mut ear, court, now) = ear();
        ear.hear(&samples(32_000..33_000), now);
        ear.hear(&[CONCEALED; 240], now);
        ear.hear(&samples(33_960..34_000), now);
        ear.hear(&[0; 100], now);
        ear.hear(&[-5, 7_000, -9], now);
        ear.hear(&samples(34_003..34_043), now);
        let heard = ear.heard();
        assert_eq!((heard.real, heard.concealed, heard.silent, heard.blended), (1_080, 240, 100, 3));
        assert_eq!((heard.skipped, heard.jumps, heard.repeated), (960, 1, 0));
        assert!(court.is_content());
    }

    #[test]
    fn silence_is_not_mistaken_for_numbers_that_begin_anew() {
        let (mut ear, court, now) = ear();
        ear.hear(&samples(32_000..32_760), now);
        ear.hear(&[-5_000; 7], now);
        ear.hear(&[0; 100], now);
        ear.hear(&samples(32_762..33_000), now);
        let heard = ear.heard();
        // (Beside the place where numbers begin anew what is blended counts as ringing.)
        assert_eq!((heard.real, heard.silent, heard.blended), (1_005, 100, 0));
        ear.judge(0);
        assert!(court.is_content());
    }

    #[test]
    fn what_was_put_in_on_purpose_may_be_heard_again_and_nothing_else() {
        let (mut ear, court, now) = ear();
        ear.hear(&samples(40_000..41_000), now);
        ear.judge(0);
        ear.hear(&samples(40_600..41_000), now);
        ear.judge(400);
        assert!(court.is_content());
        ear.hear(&samples(40_600..41_000), now);
        ear.judge(800);
        assert!(court.is_content());
        ear.hear(&samples(39_080..39_500), now);
        ear.judge(800);
        assert_eq!(court.verdicts()[0].judge, "order");
    }

    #[test]
    fn what_was_resampled_is_still_recognised() {
        let (mut ear, court, now) = ear();
        // 0.5 % faster: 201 samples in the time of 200.
        let fast: Vec<i16> = (0..8_000).map(|n| marker(34_000 + n * 201 / 200)).collect();
        fast.chunks(128).for_each(|period| ear.hear(period, now));
        assert_eq!((ear.heard().real, ear.heard().jumps), (8_000, 0));
        assert_eq!(ear.position(), Some(34_000 + 7_999 * 201 / 200 + 1));
        assert!(court.is_content());
    }
}
