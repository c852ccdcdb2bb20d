//! Devices that take sound in lumps, machines that are late, and long runs of both.

use super::*;

const PERIOD: u32 = TIMING.period_samples;

/// A device that takes sound in lumps, from a queue that is filled as soon as the device has taken some.
struct Device {
    queue: Queue,
    now: Instant,
    held: u32,
    dry: u32,
}

impl Device {
    fn new() -> Self {
        let queue = Queue::new(PERIOD, TIMING.playback_periods, TIMING.capture_periods);
        let held = queue.periods() * PERIOD;
        let now = Instant::ZERO.plus(Span::from_millis(1_000));
        let mut this = Self { queue, now, held, dry: 0 };
        this.queue.on_look(now, held - PERIOD);
        this
    }

    fn takes(&mut self, samples: u32) {
        self.now = self.now.plus(Span::from_samples(samples.into()));
        if samples < self.held {
            self.queue.on_look(self.now, self.held - samples);
        } else {
            self.dry += 1;
            self.queue.on_dry(self.now);
            // It begins anew behind silence.
            self.queue.on_look(self.now, (self.queue.periods() - 1) * PERIOD);
        }
        self.held = self.queue.periods() * PERIOD;
    }

    /// For so many seconds, a lump of `samples` at a time.
    fn runs(&mut self, seconds: u64, samples: u32) {
        let end = self.now.plus(Span::from_millis(seconds * 1_000));
        while self.now < end {
            self.takes(samples);
        }
    }
}

#[test]
fn a_device_that_takes_a_period_at_a_time_gets_no_more_than_it_began_with() {
    let mut device = Device::new();
    device.runs(3_600, PERIOD);
    assert_eq!((device.queue.periods(), device.dry), (TIMING.playback_periods, 0));
}

#[test]
fn whatever_lump_a_device_takes_its_queue_is_soon_long_enough_and_no_longer() {
    for lump in 1..TIMING.playback_periods_max * PERIOD {
        let mut device = Device::new();
        device.runs(1, lump);
        let dry = device.dry;
        assert!(dry <= TIMING.playback_periods_max - TIMING.playback_periods, "{lump}: {dry}");
        device.runs(100, lump);
        assert_eq!(device.dry, dry, "{lump}");
        let spare = device.queue.periods() * PERIOD - lump;
        assert!(device.queue.periods() == TIMING.playback_periods || spare < 3 * PERIOD / 2, "{lump}: {spare}");
    }
}

#[test]
fn next_to_nothing_left_is_enough_to_know() {
    let mut device = Device::new();
    device.takes(3 * PERIOD - PERIOD / 4 + 1);
    assert_eq!((device.queue.periods(), device.dry), (4, 0));
}

#[test]
fn a_bad_minute_lengthens_the_queue_and_the_delay_comes_back() {
    let mut device = Device::new();
    for _ in 0..100 {
        device.runs(1, PERIOD);
        device.takes(5 * PERIOD);
    }
    assert_eq!((device.queue.periods(), device.dry), (6, 3));
    // A while for each of three periods, and what was left of the while that was bad.
    device.runs(41, PERIOD);
    assert_eq!((device.queue.periods(), device.dry), (TIMING.playback_periods, 3));
}

#[test]
fn a_machine_that_stood_still_is_no_reason_to_keep_more() {
    let mut device = Device::new();
    for _ in 0..100 {
        device.runs(1, PERIOD);
        device.takes(TIMING.playback_periods_max * PERIOD + 1);
    }
    assert_eq!((device.queue.periods(), device.dry), (TIMING.playback_periods, 100));
}

#[test]
fn what_is_needed_now_and_then_is_kept_after_a_few_mistakes() {
    // Every 25 s for an hour: it gives back after 10 s, after 20 s, and then never in time.
    let mut device = Device::new();
    for _ in 0..144 {
        device.runs(25, PERIOD);
        device.takes(3 * PERIOD);
    }
    assert!(device.dry <= 4, "{}", device.dry);
    assert!(device.queue.periods() == 4);
    // A day later it is as it was: nothing is for ever.
    device.runs(86_400, PERIOD);
    assert_eq!(device.queue.periods(), TIMING.playback_periods);
}

#[test]
fn no_device_gets_more_than_it_has_room_for_or_less_than_it_began_with() {
    let mut small = Queue::new(PERIOD, 2, 2);
    assert!(!small.on_dry(Instant::ZERO));
    let mut large = Queue::new(PERIOD, 8, 32);
    assert!(!large.on_look(Instant::ZERO, 0) && large.periods() == 8);
    assert!(!large.on_look(Instant::ZERO.plus(Span::from_millis(60_000)), 7 * PERIOD) && large.periods() == 8);
}

#[test]
fn who_takes_as_long_to_make_sound_as_what_is_left_lasts_gets_a_longer_queue_before_it_is_dry() {
    let at = |us: u64| Instant::from_micros(1_000_000 + us);
    for (left, took_us, longer) in [
        (PERIOD, 0, false),
        (PERIOD, 1_900, false),
        (PERIOD, 2_100, true),
        (PERIOD, 3_900, true),
        (2 * PERIOD, 3_900, false),
        // It stood still for longer than any queue.
        (PERIOD, 20_000, false),
    ] {
        let mut queue = Queue::new(PERIOD, TIMING.playback_periods, TIMING.capture_periods);
        queue.on_look(at(0), left);
        assert_eq!(queue.on_sound(at(took_us)), longer, "{left} {took_us}");
        assert_eq!(queue.periods(), TIMING.playback_periods + u32::from(longer));
    }
}
