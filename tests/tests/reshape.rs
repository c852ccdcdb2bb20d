//! Streams change while somebody listens, and nobody hears the change: no sample is missing, stream time goes on, nothing
//! clicks. libopus behind the real engine; one decoder hears all of it.

use soundpost_core::codec::{CodecError, Decode, Encode, Input};
use soundpost_core::config::{Application, Change, Channels, Content, Direction, FrameLen, Quality, Stream, Tuning};
use soundpost_core::engine::capture::{Capture, Command, Outcome, Shape};
use soundpost_core::time::{Instant, Span};
use soundpost_core::wire::Frame;
use soundpost_linux::opus::{OpusDecoder, OpusEncoder};
use soundpost_sim::dice::Dice;
use std::f64::consts::PI;
use std::time::Duration;

/// Speech modes look ahead so much further.
const STEP: u64 = 192;
/// Sound is compared in pieces of 5 ms.
const PIECE: usize = 240;

/// A tone that glides from 300 to 1300 Hz and back, every four seconds, without an end: whatever is not smooth in what is
/// heard of it is a fault. It begins so many samples after its lowest.
#[derive(Clone, Copy, Default)]
struct Chirp(u64);

impl Chirp {
    fn at(self, n: u64) -> i16 {
        let t = (self.0 + n) as f64 / 48_000.0;
        let slow = 2.0 * PI / 4.0;
        let phase = 2.0 * PI * (800.0 * t + 500.0 / slow * (1.0 - (slow * t).cos()));
        (8_000.0 * phase.sin()) as i16
    }
}

/// An encoder that takes no care of seams: the control.
struct Careless(OpusEncoder);

impl Encode for Careless {
    fn encode(&mut self, pcm: &[i16], out: &mut [u8]) -> Result<usize, CodecError> {
        self.0.encode(pcm, out)
    }

    fn lookahead(&self) -> u32 {
        self.0.lookahead()
    }

    fn retune(&mut self, tuning: Tuning) -> Result<(), CodecError> {
        self.0.retune(tuning)
    }
}

/// A change of the stream, and when it was heard.
#[derive(Debug)]
struct Seam {
    at: u64,
    from: Stream,
    to: Stream,
}

#[derive(Default)]
struct Heard {
    chirp: Chirp,
    sound: Vec<f64>,
    /// Where each frame begins, and by how much it trails what was captured.
    trails: Vec<(u64, u64)>,
    seams: Vec<Seam>,
    /// Encoders that were made, and settings that were changed.
    reshapes: Vec<Duration>,
    retunes: Vec<Duration>,
    /// What the audio thread took for a frame, and for one after which another encoder took over.
    frames: Vec<Duration>,
    swaps: Vec<Duration>,
    /// Packets with next to nothing in them.
    pauses: usize,
}

impl Heard {
    /// By how much what is heard at `n` trails what was captured.
    fn trail(&self, n: u64) -> u64 {
        let after = self.trails.partition_point(|(begins, _)| *begins <= n);
        self.trails[after.saturating_sub(1)].1
    }

    /// What should be heard at `n`.
    fn ought(&self, n: u64) -> f64 {
        f64::from(self.chirp.at(n.saturating_sub(self.trail(n))))
    }

    /// Power of the sound in the piece that begins at `n`, of what it should be, and of the difference.
    fn piece(&self, n: u64) -> [f64; 3] {
        let mut powers = [0.0; 3];
        for n in n..n + PIECE as u64 {
            let (is, ought) = (self.sound[n as usize], self.ought(n));
            for (power, value) in powers.iter_mut().zip([is, ought, is - ought]) {
                *power += value * value;
            }
        }
        powers
    }

    /// How loud each piece is, in decibels against how loud it should be.
    fn loudness(&self) -> impl Iterator<Item = (u64, f64)> {
        let pieces = (10..self.sound.len() / PIECE - 1).map(|piece| (piece * PIECE) as u64);
        pieces.map(|n| {
            let [is, ought, _] = self.piece(n);
            (n, 10.0 * (is / ought).log10())
        })
    }

    /// The least and the most of that.
    fn levels(&self) -> (f64, f64) {
        self.loudness().fold((0.0, 0.0), |(least, most), (_, db)| (db.min(least), db.max(most)))
    }

    /// How alike each 50 ms are to what they should be. What is in its place is more alike than what is a sample off.
    fn likeness(&self) -> impl Iterator<Item = (u64, f64)> {
        (4_800..self.sound.len() - 2_400).step_by(2_400).map(|begin| {
            let is = &self.sound[begin..begin + 2_400];
            let ought: Vec<f64> = (begin..begin + 2_400).map(|n| self.ought(n as u64)).collect();
            let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
            (begin as u64, dot(is, &ought) / (dot(is, is) * dot(&ought, &ought)).sqrt())
        })
    }

    /// Says what is too soft, too loud or not alike, and which change came before.
    fn print_faults(&self) {
        let before = |n: u64| self.seams.iter().rev().find(|seam| seam.at < n);
        for (n, db) in self.loudness().filter(|(_, db)| !(-6.0..4.0).contains(db)) {
            println!("{db:.1} dB at {n}, after {:?}", before(n + PIECE as u64));
        }
        for (n, alike) in self.likeness().filter(|(_, alike)| *alike < 0.8) {
            println!("{alike:.2} alike at {n}, after {:?}", before(n + 2_400));
        }
    }

    /// Error of a piece, in decibels below what it should be.
    fn error(&self, n: u64) -> f64 {
        let [_, ought, error] = self.piece(n);
        10.0 * (error / ought).log10()
    }
}

/// Captures the chirp in these streams, one after the other, each for so many samples or a little more.
fn listen<E: Encode>(streams: &[Stream], each: u64, make: impl Fn(&Stream) -> E) -> Heard {
    listen_to(Chirp::default(), streams, each, make)
}

fn listen_to<E: Encode>(chirp: Chirp, streams: &[Stream], each: u64, make: impl Fn(&Stream) -> E) -> Heard {
    let first = streams[0];
    let mut engine = Capture::new(make(&first), first);
    let mut decoder = OpusDecoder::new(Channels::Stereo).expect("a decoder");
    let (mut heard, mut frame) = (Heard { chirp, ..Heard::default() }, Frame::EMPTY);
    for to in streams {
        let from = *engine.stream();
        let mut at = engine.media_time().0;
        match from.diff(*to) {
            Change::None => {}
            Change::Retune(tuning, length) => {
                let began = std::time::Instant::now();
                engine.apply(Command::Retune(tuning, length));
                heard.retunes.push(began.elapsed());
            }
            Change::Reshape(stream) => {
                // The present encoder codes one frame more.
                at += u64::from(from.frame.samples());
                let began = std::time::Instant::now();
                engine.reshape(Shape { encoder: make(&stream), stream });
                heard.reshapes.push(began.elapsed());
                engine.apply(Command::Reshape);
            }
        }
        if from != *to {
            heard.seams.push(Seam { at, from, to: *to });
        }
        let until = at + each;
        while engine.media_time().0 < until {
            while !engine.is_full() {
                let n = engine.media_time().0;
                let period: Vec<i16> =
                    (n..n + 64).flat_map(|n| vec![chirp.at(n); engine.stream().channels.count()]).collect();
                engine.feed(Instant::from_micros(1_000_000).plus(Span::from_samples(n)), &period);
            }
            let began = std::time::Instant::now();
            assert_eq!(engine.encode(&mut frame), Outcome::Coded);
            let took = began.elapsed();
            if engine.take_spent().is_some() { &mut heard.swaps } else { &mut heard.frames }.push(took);
            let header = frame.header;
            heard.pauses += usize::from(header.length <= 2);
            assert_eq!(header.media.0, heard.sound.len() as u64, "stream time goes on, sample by sample");
            let captured = Instant::from_micros(1_000_000).plus(Span::from_samples(header.media.0));
            heard.trails.push((header.media.0, captured.since(header.captured).as_samples()));
            let mut pcm = [0; 5760];
            let samples = decoder.decode(Input::Packet(frame.payload()), &mut pcm).expect("a packet");
            heard.sound.extend(pcm[..samples * 2].chunks(2).map(|both| f64::from(both[0])));
        }
        assert_eq!(engine.stream(), to, "it is what was asked for");
    }
    let report = engine.report();
    let changes = heard.retunes.len() + heard.reshapes.len();
    assert_eq!(u64::from(report.changes), changes as u64, "every change is acknowledged");
    assert_eq!(report.encode_errors, 0);
    heard
}

fn opus(stream: &Stream) -> OpusEncoder {
    OpusEncoder::new(stream).expect("an encoder")
}

fn careless(stream: &Stream) -> Careless {
    Careless(opus(stream))
}

/// All that can be coded.
fn all_streams() -> Vec<Stream> {
    let contents = [Content::Voice, Content::Program];
    let presets = Quality::ALL
        .into_iter()
        .flat_map(|quality| contents.into_iter().map(move |content| quality.stream(Direction::Capture, content)));
    presets.flat_map(|stream| FrameLen::ALL.map(|frame| stream.with_frame(frame))).collect()
}

/// A thousand streams that differ from one to the next, each about as often.
fn a_thousand() -> Vec<Stream> {
    let all = all_streams();
    // Steps that share no factor with their number, so that each pass meets all, in another order.
    let steps = [1, 5, 7, 11, 13, 17, 19, 23, 25, 29, 31, 35, 37, 41, 43, 47];
    let mut at = 0;
    (0..1_001)
        .map(|n| {
            at = (at + steps[n / all.len() % steps.len()]) % all.len();
            all[at]
        })
        .collect()
}

/// The worst errors: in pieces that touch a seam between streams of which `is_asked` says so, and in all that do not.
fn errors(heard: &Heard, is_asked: impl Fn(&Seam) -> bool) -> [f64; 2] {
    let mut worst = [f64::MIN; 2];
    for seam in heard.seams.iter().filter(|seam| is_asked(seam) && seam.at > 10_000) {
        worst[0] = worst[0].max(heard.error(seam.at)).max(heard.error(seam.at - PIECE as u64 / 2));
        let steady = (1..8).map(|piece| heard.error(seam.at + 2_400 + piece * PIECE as u64));
        worst[1] = steady.fold(worst[1], f64::max);
    }
    worst
}

fn mean_micros(times: &[Duration]) -> f64 {
    times.iter().sum::<Duration>().as_secs_f64() * 1e6 / times.len().max(1) as f64
}

#[test]
fn a_thousand_changes_of_preset_frame_and_channels_leave_no_hole_no_burst_and_no_step() {
    let streams = a_thousand();
    let heard = listen(&streams, 4_800, opus);
    let changes = heard.seams.len();
    assert!(changes >= 1_000 && heard.retunes.len() + heard.reshapes.len() == changes);
    for seam in &heard.seams {
        let same = seam.from.channels == seam.to.channels && seam.from.application == seam.to.application;
        let [from, to] = [seam.from.frame_bytes(), seam.to.frame_bytes() * 2];
        let saves = to < from || (to == from && seam.to.frame < FrameLen::Ms10);
        let frames = [seam.from.frame, seam.to.frame];
        let is_short = frames.iter().any(|frame| *frame < FrameLen::Ms10);
        let modes = seam.from.application == Application::Voip && is_short && frames[0] != frames[1];
        let retune = same && !saves && !modes;
        assert_eq!(
            matches!(seam.from.diff(seam.to), Change::Retune(..)),
            retune,
            "no new encoder where none is needed"
        );
    }
    // Loudness, every 5 ms: neither a hole nor a burst.
    let (least, most) = heard.levels();
    let worst = heard.likeness().map(|(_, alike)| alike).fold(1.0, f64::min);
    // What trails longer is never jumped over: a chirp is never quiet.
    let jumps = heard.trails.windows(2).filter(|pair| pair[1].1 < pair[0].1).count();
    println!(
        "{changes} changes, {} of them other encoders: level {least:.1} to {most:.1} dB, correlation at least {worst:.3}, \
         {jumps} jumps; another encoder takes {:.0} µs to make elsewhere; the audio thread takes {:.1} µs for a retune, and \
         {:.0} µs for a frame with a swap, {:.0} µs without",
        heard.reshapes.len(),
        mean_micros(&heard.reshapes),
        mean_micros(&heard.retunes),
        mean_micros(&heard.swaps),
        mean_micros(&heard.frames),
    );
    assert_eq!(jumps, 0);
    assert!(least > -6.0 && most < 4.0, "{least} to {most} dB");
    // The least is that of speech modes at 16 kbit/s, which do not keep the waveform of tones.
    assert!(worst > 0.8, "{worst}");
}

/// From any stream to any other, at any moment of the sound, after any time: `SOUNDPOST_CHANGES` times, or a thousand.
#[test]
fn changes_in_no_order_and_at_any_moment_leave_no_hole_and_no_burst() {
    let (all, each_take) = (all_streams(), 500);
    let changes = std::env::var("SOUNDPOST_CHANGES").map_or(1_000, |text| text.parse().expect("a number"));
    let (mut dice, mut made, mut worst) = (Dice::new(1, "changes"), 0, (0.0_f64, 0.0_f64));
    let mut alike = 1.0;
    // Speech modes that *begin* in a tone take a moment to get it right.
    let first = Quality::High.stream(Direction::Capture, Content::Program);
    while made < changes {
        let others = (1..each_take).map(|_| *dice.pick(&all));
        let streams: Vec<_> = std::iter::once(first).chain(others).collect();
        let heard = listen_to(Chirp(dice.between(0, 4 * 48_000)), &streams, dice.between(2_400, 12_000), opus);
        let (least, most) = heard.levels();
        (made, worst) = (made + heard.seams.len(), (worst.0.min(least), worst.1.max(most)));
        alike = heard.likeness().map(|(_, alike)| alike).fold(alike, f64::min);
        heard.print_faults();
    }
    println!("{made} changes: level {:.1} to {:.1} dB, correlation at least {alike:.3}", worst.0, worst.1);
    assert!(worst.0 > -8.0 && worst.1 < 4.0, "{} to {} dB", worst.0, worst.1);
    assert!(alike > 0.8, "{alike}");
}

/// What tells speech from noise in libopus takes a tone for noise after a fifth of a second.
#[test]
fn a_tone_that_goes_on_is_no_silence_and_silence_is() {
    let low = Quality::Low.stream(Direction::Capture, Content::Voice);
    let mut taken_for_noise = 0;
    for frame in FrameLen::ALL {
        let stream = [low.with_frame(frame)];
        let heard = listen(&stream, 8 * 48_000, opus);
        let (least, most) = heard.levels();
        assert_eq!(heard.pauses, 0, "{frame}");
        assert!(least > -6.0 && most < 6.0, "{frame}: {least} to {most} dB");
        taken_for_noise += listen(&stream, 8 * 48_000, careless).pauses;
        let mut engine = Capture::new(opus(&stream[0]), stream[0]);
        let (mut packet, mut pauses) = (Frame::EMPTY, 0);
        for _ in 0..8 * 48_000 / frame.samples() {
            engine.feed(Instant::ZERO, &vec![0; frame.samples() as usize]);
            assert_eq!(engine.encode(&mut packet), Outcome::Coded);
            pauses += usize::from(packet.header.length <= 2);
        }
        assert!(pauses > 0, "{frame}: nothing is left out of silence");
    }
    assert!(taken_for_noise > 0, "the control");
}

/// Both without speech modes, which follow the waveform closely enough to see a seam of a hundredth.
#[test]
fn a_seam_between_celt_encoders_cannot_be_told_from_any_other_place() {
    let [mono, stereo] =
        [Content::Voice, Content::Program].map(|content| Quality::High.stream(Direction::Capture, content));
    let turns: Vec<_> = (0..60).map(|n| if n % 2 == 0 { mono } else { stereo }).collect();
    let [seams, elsewhere] = errors(&listen(&turns, 9_600, opus), |_| true);
    let [bare, _] = errors(&listen(&turns, 9_600, careless), |_| true);
    println!("the error is {seams:.1} dB at seams and {elsewhere:.1} dB elsewhere; {bare:.1} dB without care");
    assert!(seams < -28.0 && seams < elsewhere + 6.0, "{seams} dB, {elsewhere} dB");
    assert!(bare > -12.0, "the control: {bare} dB");
}

#[test]
fn between_speech_modes_and_none_the_look_ahead_changes_and_no_sample_is_lost() {
    let [low, medium] =
        [Quality::Low, Quality::Medium].map(|quality| quality.stream(Direction::Capture, Content::Voice));
    let turns: Vec<_> = (0..40).map(|n| if n % 2 == 0 { medium } else { low }).collect();
    let heard = listen(&turns, 9_600, opus);
    let [into, steady] = errors(&heard, |seam| seam.to.application == Application::Voip);
    let [out_of, _] = errors(&heard, |seam| seam.to.application == Application::LowDelay);
    println!("into speech modes {into:.1} dB, out of them {out_of:.1} dB; within them {steady:.1} dB");
    // Once it trails by the longer look-ahead it stays so, as long as there is no quiet moment to make up for it.
    let steps: Vec<_> = heard.trails.windows(2).filter(|pair| pair[0].1 != pair[1].1).collect();
    assert_eq!(steps.len(), 1, "{steps:?}");
    assert_eq!(steps[0][1].1 - steps[0][0].1, STEP);
    assert!(out_of < steady + 3.0 && into < steady + 3.0, "{into} dB, {out_of} dB, {steady} dB");
}

/// Without speech modes, in a stream that has them: settings alone would leave holes of up to −14 dB.
#[test]
fn from_one_short_frame_to_another_is_not_heard_either() {
    let program = Quality::Low.stream(Direction::Capture, Content::Program);
    let [shorter, longer] = [FrameLen::Ms2_5, FrameLen::Ms5].map(|frame| program.with_frame(frame));
    for start in (0..4 * 48_000).step_by(4_800) {
        let heard = listen_to(Chirp(start), &[shorter, longer, shorter], 9_600, opus);
        let alike = heard.likeness().map(|(_, alike)| alike).fold(1.0, f64::min);
        assert!(heard.levels().0 > -6.0 && alike > 0.8, "{start}: {:?}, {alike}", heard.levels());
    }
}
