//! A few turns of both cranks with a toy codec: short enough for Miri, which runs rings, pools and cells with it.

use super::*;
use crate::capacity::{COMMAND_RING_LEN, HANDOVER_RING_LEN};
use crate::codec::{CodecError, Decode, Input};
use crate::config::{Channels, Content, Direction, FrameLen, Quality, Tuning};
use crate::engine::capture::Command;
use crate::engine::playback::Playback;
use crate::latest::Latest;
use crate::meter::PlaybackReport;
use crate::port::{PcmOut, Read};
use crate::recovery::Step;
use heapless::spsc::Queue;
use std::cell::Cell;
use std::vec::Vec;

const PERIOD: usize = 120;
const SLOTS: usize = 4;
const SOUND: i16 = 1_000;

/// Codes a frame as its first value, after the first byte of an Opus packet of 2.5 ms.
struct Toy;

impl Encode for Toy {
    fn encode(&mut self, pcm: &[i16], out: &mut [u8]) -> Result<usize, CodecError> {
        let [low, high] = pcm[0].to_le_bytes();
        out[..3].copy_from_slice(&[28 << 3, low, high]);
        Ok(3)
    }

    fn lookahead(&self) -> u32 {
        0
    }

    fn retune(&mut self, _tuning: Tuning) -> Result<(), CodecError> {
        Ok(())
    }
}

impl Decode for Toy {
    fn decode(&mut self, input: Input<'_>, pcm: &mut [i16]) -> Result<usize, CodecError> {
        pcm.fill(if let Input::Packet(&[_, low, high]) = input { i16::from_le_bytes([low, high]) } else { -1 });
        Ok(pcm.len())
    }
}

/// A clock that the capture device moves, and a device for either direction. It runs over once.
struct Desk<'a> {
    clock: &'a Cell<Instant>,
    reads: u32,
    heard: &'a Cell<Option<i16>>,
    /// It answers, and has no sound.
    stands: bool,
}

impl Clock for &Cell<Instant> {
    fn now(&mut self) -> Instant {
        self.get()
    }
}

impl PcmIn for Desk<'_> {
    fn channels(&self) -> usize {
        1
    }

    fn period(&self) -> usize {
        PERIOD
    }

    fn read(&mut self, into: &mut [i16]) -> Result<Read, PcmError> {
        self.clock.set(self.clock.get().plus(Span::from_samples(PERIOD as u64)));
        self.reads += 1;
        if self.stands {
            return Ok(Read { samples: 0, pending: 0 });
        }
        if self.reads == 3 {
            return Err(PcmError::Xrun);
        }
        into.fill(SOUND);
        Ok(Read { samples: PERIOD as u32, pending: 0 })
    }

    fn recover(&mut self, _step: Step) -> Result<(), PcmError> {
        Ok(())
    }
}

impl PcmOut for Desk<'_> {
    fn channels(&self) -> usize {
        1
    }

    fn period(&self) -> usize {
        PERIOD
    }

    fn wait(&mut self) -> Result<(), PcmError> {
        Ok(())
    }

    fn queued(&mut self) -> u32 {
        PERIOD as u32
    }

    fn write(&mut self, from: &[i16]) -> Result<(), PcmError> {
        self.heard.set(from.iter().copied().max());
        Ok(())
    }

    fn recover(&mut self, _step: Step) -> Result<(), PcmError> {
        Ok(())
    }
}

#[test]
fn what_goes_in_comes_out_and_every_slot_comes_back() {
    let pool: Pool<Frame, SLOTS> = Pool::new(Frame::EMPTY);
    let mut queues = (Queue::<_, COMMAND_RING_LEN>::new(), Queue::<_, HANDOVER_RING_LEN>::new());
    let mut arrivals = Queue::<_, HANDOVER_RING_LEN>::new();
    let mut cells = (Latest::new(CaptureReport::default()), Latest::new(PlaybackReport::default()));
    let (mut command, commands) = queues.0.split();
    let (packets, mut handed_over) = queues.1.split();
    let (mut arrival, arrived) = arrivals.split();
    let ((captured, mut capture_report), (played, mut playback_report)) = (cells.0.split(), cells.1.split());
    let (clock, heard) = (Cell::new(Instant::ZERO), Cell::new(None));
    let desk = || Desk { clock: &clock, reads: 0, heard: &heard, stands: false };

    let stream = Quality::Medium.stream(Direction::Capture, Content::Voice).with_frame(FrameLen::Ms2_5);
    let links = CaptureLinks { pool: &pool, commands, packets, reports: captured };
    let mut microphone = CaptureRig::new(desk(), &clock, Capture::new(Toy, stream), links);
    let playback = Playback::new(Toy, Channels::Mono);
    let mut speaker = PlaybackRig::new(desk(), &clock, playback, arrived, played);

    let mut loudest = Vec::new();
    for turn in 0..24 {
        if turn == 18 || turn == 21 {
            command.enqueue(Command::Mute(turn == 18)).unwrap();
        }
        microphone.turn().unwrap();
        while let Some(frame) = handed_over.dequeue() {
            // One packet is lost on the way.
            if frame.with(|frame| frame.header.sequence) != 5 {
                arrival.enqueue(Inbound { arrived: clock.get(), frame: frame.clone() }).unwrap();
            }
        }
        speaker.turn().unwrap();
        loudest.extend(heard.take());
    }
    assert!(loudest.contains(&SOUND) && loudest.len() == 24, "{loudest:?}");
    let (sent, seen) = (capture_report.read(), playback_report.read());
    assert_eq!((sent.sent, sent.xruns, sent.gap_frames, sent.muted), (20, 1, 1, 3));
    assert!(seen.metrics.frames_received == 19 && seen.concealed_samples > 0, "{seen:?}");
    drop((microphone, speaker, arrival, handed_over));
    drop((queues, arrivals));
    assert_eq!(pool.stats().in_use, 0, "I4: every slot is back");
}

#[test]
fn a_device_that_wakes_us_without_sound_stands_still_all_the_same() {
    let pool: Pool<Frame, SLOTS> = Pool::new(Frame::EMPTY);
    let mut queues = (Queue::<_, COMMAND_RING_LEN>::new(), Queue::<_, HANDOVER_RING_LEN>::new());
    let mut cell = Latest::new(CaptureReport::default());
    let (_command, commands) = queues.0.split();
    let (packets, _packets) = queues.1.split();
    let (reports, _reports) = cell.split();
    let (clock, heard) = (Cell::new(Instant::ZERO), Cell::new(None));
    let desk = Desk { clock: &clock, reads: 3, heard: &heard, stands: true };
    let stream = Quality::Medium.stream(Direction::Capture, Content::Voice).with_frame(FrameLen::Ms2_5);
    let links = CaptureLinks { pool: &pool, commands, packets, reports };
    let mut microphone = CaptureRig::new(desk, &clock, Capture::new(Toy, stream), links);

    let mut stopped = 0;
    while clock.get() < Instant::ZERO.plus(Span::from_millis(600)) {
        microphone.turn().unwrap();
        stopped += u32::from(microphone.recovery().trouble().is_some());
        if stopped == 1 {
            let after = clock.get().since(Instant::ZERO).as_micros();
            assert!((500_000..510_000).contains(&after), "{after}");
        }
    }
    assert!(stopped > 30, "it goes on standing still");
    assert_eq!((microphone.recovery().counts().stops, microphone.recovery().counts().restarts), (1, 1));
    microphone.device().stands = false;
    microphone.turn().unwrap();
    assert_eq!(microphone.recovery().trouble(), None);
    // And for ever: it is opened again at every fourth deadline.
    microphone.device().stands = true;
    let lost = (0..10_000).find_map(|_| microphone.turn().err());
    assert_eq!(lost, Some(PcmError::Stopped));
}
