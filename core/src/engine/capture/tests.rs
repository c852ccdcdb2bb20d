//! Mute and gain of the capture engine, against an encoder that keeps what it is given.

use super::*;
use crate::codec::CodecError;
use crate::config::{Content, Direction, Quality};
use proptest::prelude::*;
use std::vec::Vec;

const SOUND: i16 = 10_000;
const PERIOD: usize = 128;

/// Keeps the sound of all frames.
#[derive(Default)]
struct Tape(Vec<Vec<i16>>);

impl Encode for Tape {
    fn encode(&mut self, pcm: &[i16], out: &mut [u8]) -> Result<usize, CodecError> {
        self.0.push(pcm.to_vec());
        out[0] = 0;
        Ok(1)
    }

    fn lookahead(&self) -> u32 {
        0
    }

    fn retune(&mut self, _tuning: Tuning) -> Result<(), CodecError> {
        Ok(())
    }
}

struct Desk {
    engine: Capture<Tape>,
    frame: Frame,
    now: Instant,
}

impl Desk {
    fn new(frame: FrameLen) -> Self {
        let stream = Quality::Medium.stream(Direction::Capture, Content::Voice).with_frame(frame);
        Self { engine: Capture::new(Tape::default(), stream), frame: Frame::EMPTY, now: Instant::ZERO }
    }

    /// As the crank does: what the device holds when the microphone is unmuted was captured while muted.
    fn mute(&mut self, muted: bool) {
        self.engine.apply(Command::Mute(muted));
        if !muted {
            self.engine.hear_from(self.now);
        }
    }

    fn capture(&mut self, value: i16) {
        let (pcm, mut from) = ([value; PERIOD], 0);
        while from < PERIOD {
            let at = self.now.plus(Span::from_samples(from as u64));
            from += self.engine.feed(at, &pcm[from..]);
            if !self.engine.is_full() {
                continue;
            }
            if self.engine.is_muted() {
                self.engine.mute();
            } else {
                assert_eq!(self.engine.encode(&mut self.frame), Outcome::Coded);
            }
        }
        self.now = self.now.plus(Span::from_samples(PERIOD as u64));
    }
}

#[test]
fn mute_fades_the_frame_under_way_and_what_comes_behind_is_not_in_it() {
    let mut desk = Desk::new(FrameLen::Ms20);
    for _ in 0..9 {
        desk.capture(SOUND);
    }
    desk.mute(true);
    for _ in 0..30 {
        desk.capture(-7);
    }
    desk.mute(false);
    for _ in 0..30 {
        desk.capture(SOUND);
    }
    let frames = &desk.engine.encoder.0;
    let closing = &frames[1];
    // Nine periods are 192 samples more than a frame.
    assert!(closing[..144].iter().all(|value| *value == SOUND), "{closing:?}");
    assert!(closing[144..192].windows(2).all(|pair| (0..=SOUND / 48 + 1).contains(&(pair[0] - pair[1]))));
    assert!(closing[192..].iter().all(|value| *value == 0));
    assert!(frames[2][0] == 0 && frames[2][100] == SOUND && frames[2].is_sorted(), "{:?}", &frames[2][..60]);
    assert!(desk.frame.header.media.0 > 0 && desk.engine.report().muted >= 3);
}

#[test]
fn muted_and_unmuted_within_a_frame_is_silence_to_its_end() {
    let mut desk = Desk::new(FrameLen::Ms60);
    desk.capture(SOUND);
    desk.mute(true);
    desk.capture(-7);
    desk.mute(false);
    for _ in 0..70 {
        desk.capture(SOUND);
    }
    let frames = &desk.engine.encoder.0;
    assert!(frames[0][128..].iter().all(|value| *value == 0), "{:?}", &frames[0][..300]);
    assert_eq!((frames[1][0], frames[1][500], desk.engine.report().muted), (0, SOUND, 0));
}

#[test]
fn too_little_to_fade_is_not_sent() {
    let mut desk = Desk::new(FrameLen::Ms2_5);
    desk.capture(SOUND);
    desk.mute(true);
    desk.capture(-7);
    assert_eq!((desk.engine.encoder.0.len(), desk.engine.report().muted), (1, 1));
}

#[test]
fn gain_is_reached_on_a_ramp_and_told() {
    let mut desk = Desk::new(FrameLen::Ms20);
    let gain = "-6dB".parse().unwrap();
    desk.engine.apply(Command::Gain(gain));
    for _ in 0..16 {
        desk.capture(SOUND);
    }
    let frames = &desk.engine.encoder.0;
    assert!(frames[0].windows(2).all(|pair| (0..=22).contains(&(pair[0] - pair[1]))));
    assert!((5_000..5_025).contains(&frames[0][240]) && frames[1].iter().all(|value| *value == frames[0][240]));
    assert_eq!((desk.engine.report().gain, desk.engine.report().level.peak), (gain, frames[1][0] as u16));
}

proptest! {
    /// Whenever it is muted and unmuted, whatever the frames are: nothing that was captured meanwhile leaves, and no step
    /// in what is sent is larger than the fade's, except where listeners were told of a gap.
    #[test]
    fn nothing_captured_while_muted_leaves_and_no_edge_clicks(
        frame in 0_usize..6, plan in prop::collection::vec((any::<bool>(), 1_usize..20), 1..12),
    ) {
        let mut desk = Desk::new(FrameLen::ALL[frame]);
        for (muted, periods) in plan {
            if muted != desk.engine.report().is_muted {
                desk.mute(muted);
            }
            for _ in 0..periods {
                desk.capture(if muted { -7 } else { SOUND });
            }
        }
        for pcm in &desk.engine.encoder.0 {
            prop_assert!(!pcm.contains(&-7) && pcm.iter().all(|value| (0..=SOUND).contains(value)));
            prop_assert!(pcm.windows(2).all(|pair| pair[0].abs_diff(pair[1]) <= SOUND as u16 / 48 + 1));
        }
    }
}
