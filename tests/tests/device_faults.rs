//! A device that goes wrong in every way there is, under the whole daemon: what is lost, how long that takes, and that
//! nothing else suffers. Each test prints what docs/devices.md says.

use soundpost_tests::proc::Program;
use soundpost_tests::rig::{Trouble, Wishes};
use soundpost_tests::until;
use std::time::{Duration, Instant};

const SOON: Duration = Duration::from_secs(20);

/// A daemon with such devices.
struct House {
    dir: tempfile::TempDir,
    microphone: Trouble,
    speaker: Trouble,
    daemon: Program,
}

impl House {
    fn open(wishes: Wishes) -> Self {
        Self::with(Trouble::new(wishes), Trouble::new(wishes), ["", ""])
    }

    /// With further devices to choose from.
    fn with(microphone: Trouble, speaker: Trouble, more: [&str; 2]) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let socket = dir.path().join("s.sock").display().to_string();
        let [capture, playback] = [microphone.uri() + more[0], speaker.uri() + more[1]];
        let args = ["run", "--socket", &socket, "--capture", &capture, "--playback", &playback];
        let daemon = Program::spawn(&args, &microphone.envs());
        daemon.wait_for_line(|line| line.contains("is ready"), SOON);
        Self { dir, microphone, speaker, daemon }
    }

    fn socket(&self) -> String {
        self.dir.path().join("s.sock").display().to_string()
    }

    fn status(&self) -> serde_json::Value {
        let mut asked = Program::spawn(&["status", "--json", "--socket", &self.socket()], &[]);
        assert!(asked.wait_exit(SOON).success(), "{}", asked.output());
        serde_json::from_str(asked.output().lines().next().expect("a line")).expect("JSON")
    }

    /// Waits until a device is in a state; returns the status then.
    fn wait_for(&self, direction: &str, state: &str) -> serde_json::Value {
        let mut status = serde_json::Value::Null;
        let found = until(SOON, || {
            status = self.status();
            status[direction]["device"]["state"] == state
        });
        assert!(found, "{direction} is not {state}: {}", status[direction]["device"]);
        status
    }

    /// Processor time of a direction's worker so far: that is who waits for the device.
    fn cpu(&self, direction: &str) -> Duration {
        let pid = self.status()[direction]["worker"]["pid"].as_u64().expect("a process");
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("a process");
        let after = stat.rsplit(')').next().expect("fields");
        let ticks: u64 = after.split_whitespace().skip(11).take(2).map(|n| n.parse::<u64>().expect("a number")).sum();
        Duration::from_millis(ticks * 10)
    }

    /// How long until the device moves frames beyond what it has, and how often it was tried until then.
    fn until_sound(&self, device: &Trouble) -> Duration {
        let (began, moved) = (Instant::now(), device.seen().moved);
        assert!(until(SOON, || device.seen().moved > moved), "no sound; the daemon says:\n{}", self.daemon.output());
        began.elapsed()
    }

    fn recovered(&self, direction: &str, what: &str) -> u64 {
        self.status()[direction]["device"]["recoveries"][what].as_u64().expect("a count")
    }
}

fn count(status: &serde_json::Value, what: &str) -> u64 {
    status["capture"][what].as_u64().expect("a count")
}

/// One xrun after the other, each while sound moves.
fn storm(device: &Trouble, xruns: u32) {
    for _ in 0..xruns {
        let moved = device.seen().moved;
        device.change(|wishes| wishes.xruns = 1);
        assert!(until(SOON, || device.xruns_to_come() == 0 && device.seen().moved > moved + 2_000), "no sound");
    }
}

#[test]
fn an_xrun_of_capture_costs_a_period_and_resets_nothing() {
    let house = House::open(Wishes::default());
    let before = house.status();
    storm(&house.microphone, 50);
    // The status is as old as the worker's last report.
    let seen = house.microphone.seen();
    let mut status = house.status();
    let all = |status: &serde_json::Value| status["capture"]["device"]["xruns"].as_u64() >= Some(50);
    assert!(
        until(SOON, || {
            status = house.status();
            all(&status)
        }),
        "{}",
        status["capture"]
    );
    let lost = count(&status, "lost_samples") - count(&before, "lost_samples");
    let xruns = status["capture"]["device"]["xruns"].as_u64().expect("a count");
    assert_eq!(
        (seen.opens, seen.closes, status["capture"]["device"]["recoveries"]["restarts"].as_u64()),
        (1, 0, Some(0))
    );
    assert!(xruns >= 50 && status["capture"]["device"]["state"] == "running", "{}", status["capture"]);
    assert_eq!(u64::from(seen.prepares), 1 + xruns, "each is prepared once");
    let each = Duration::from_secs_f64(lost as f64 / 48_000.0 / xruns as f64);
    let longest = Duration::from_micros(seen.gap_us);
    println!("capture xrun: {xruns} of them lost {each:?} each; not running for {longest:?} at most");
    assert!(each <= Duration::from_micros(2_667 + 5_000), "{each:?}");
}

#[test]
fn an_xrun_of_playback_is_heard_for_less_than_a_period_and_5_ms() {
    let house = House::open(Wishes::default());
    let talker = Program::spawn(&["talk", "-i", "tone:440", "--socket", &house.socket()], &[]);
    talker.wait_for_line(|line| line.contains("talking"), SOON);
    assert!(until(SOON, || house.speaker.seen().values > 1_000_000), "the talker is not heard");
    let mut gaps: Vec<_> = (0..50)
        .map(|_| {
            house.speaker.forget_gaps();
            storm(&house.speaker, 1);
            let seen = house.speaker.seen();
            Duration::from_micros(seen.gap_us) + Duration::from_secs_f64(f64::from(seen.silent) / 48_000.0)
        })
        .collect();
    gaps.sort();
    let (median, worst) = (gaps[25], gaps[49]);
    println!("playback xrun: silent for {median:?} (median of 50), {worst:?} at most");
    // The worst one is the machine's.
    assert!(median <= Duration::from_micros(2_667 + 5_000), "{gaps:?}");
    assert_eq!((house.speaker.seen().opens, house.microphone.seen().opens), (1, 1));
}

#[test]
fn a_device_that_fails_for_ever_is_tried_less_and_less_and_costs_nothing() {
    let house = House::open(Wishes::default());
    house.microphone.change(|wishes| wishes.io_errno = libc::EIO as u32);
    let status = house.wait_for("capture", "lost");
    let why = &status["capture"]["device"]["reason"];
    assert!(why.as_str().is_some_and(|why| why.contains("Input/output error")), "{why}");
    // The quick attempts are over after three seconds.
    assert!(until(SOON, || house.microphone.seen().opens >= 8), "it is not tried");
    let (began, cpu, opens) = (Instant::now(), house.cpu("capture"), house.microphone.seen().opens);
    assert!(until(SOON, || began.elapsed() >= Duration::from_secs(5)));
    let (used, tried) = (house.cpu("capture") - cpu, house.microphone.seen().opens - opens);
    println!("EIO for ever: {tried} attempts in 5 s, {used:?} of processor time for the worker that waits");
    assert!(tried <= 3, "{tried} attempts");
    assert!(used <= Duration::from_millis(50), "{used:?} of 5 s");
    assert_eq!(house.status()["playback"]["device"]["state"], "running", "the other direction does not care");
    house.microphone.change(|wishes| wishes.io_errno = 0);
    let back = house.until_sound(&house.microphone);
    println!("EIO no more: sound after {back:?}");
    assert!(back <= Duration::from_millis(10_500));
    house.wait_for("capture", "running");
}

#[test]
fn a_device_that_is_pulled_out_and_put_back_is_heard_within_a_second() {
    let house = House::open(Wishes::default());
    let mut times = Vec::new();
    for device in [&house.microphone, &house.speaker] {
        let direction = if std::ptr::eq(device, &house.microphone) { "capture" } else { "playback" };
        for _ in 0..3 {
            device.change(|wishes| wishes.gone = 1);
            let status = house.wait_for(direction, "lost");
            assert!(
                status[direction]["device"]["reason"]
                    .as_str()
                    .is_some_and(|why| why.to_lowercase().contains("no such device"))
            );
            device.change(|wishes| wishes.gone = 0);
            times.push(house.until_sound(device));
            house.wait_for(direction, "running");
        }
        assert_eq!(house.recovered(direction, "losses"), 3);
    }
    let worst = times.iter().max().expect("six");
    println!("pulled out and put back: sound after {worst:?} at most, without any news from the kernel");
    assert!(*worst <= Duration::from_secs(1), "{times:?}");
    let status = house.status();
    assert!(count(&status, "lost_samples") > 0 && count(&status, "gap_frames") > 0, "the gap is in the books");
}

#[test]
fn a_driver_that_keeps_a_call_is_told_with_its_name_and_only_that_direction_suffers() {
    let house = House::open(Wishes::default());
    for (device, direction, call) in [(&house.microphone, "capture", "read"), (&house.speaker, "playback", "write")] {
        device.change(|wishes| wishes.hang = 1);
        let began = Instant::now();
        // The watch says so after a second and a half; the worker is killed for it after two, whichever is seen first.
        let (stuck, gone) =
            (format!("{direction}: the audio thread is stuck in {call}"), format!("{direction} worker: "));
        house.daemon.wait_for_line(|line| line.contains(&stuck) || line.contains(&gone), SOON);
        let told = began.elapsed();
        let other = if direction == "capture" { "playback" } else { "capture" };
        assert_eq!(house.status()[other]["device"]["state"], "running");
        device.change(|wishes| wishes.hang = 0);
        let back = house.until_sound(device);
        println!("{direction} hangs: told after {told:?}; sound {back:?} after it returns");
        house.wait_for(direction, "running");
    }
}

#[test]
fn a_clock_that_stands_still_is_a_state_and_is_heard_at_once_when_it_goes_on() {
    let house = House::open(Wishes::default());
    let sides = [(&house.microphone, "capture"), (&house.speaker, "playback")];
    // It wakes nobody any more, or wakes us for nothing.
    for (stopped, (device, direction)) in [1, 2].into_iter().flat_map(|how| sides.map(|side| (how, side))) {
        device.change(|wishes| wishes.stopped = stopped);
        let (began, cpu) = (Instant::now(), house.cpu(direction));
        let status = house.wait_for(direction, "stopped");
        let (seen, used) = (began.elapsed(), house.cpu(direction) - cpu);
        assert_eq!(status[direction]["device"]["reason"], "its clock stands still");
        device.change(|wishes| wishes.stopped = 0);
        let back = house.until_sound(device);
        let how = if stopped == 1 { "stops" } else { "stops and wakes us" };
        println!(
            "{direction} clock {how}: said after {seen:?} ({used:?} of processor time); sound {back:?} after it goes on"
        );
        assert!(back <= Duration::from_millis(100), "{back:?}");
        assert_eq!(device.seen().opens, 1, "it was never closed");
        house.wait_for(direction, "running");
    }
}

#[test]
fn a_clock_that_stands_still_for_long_is_opened_again_now_and_then_at_no_cost() {
    let house = House::open(Wishes::default());
    house.microphone.change(|wishes| wishes.stopped = 1);
    house.wait_for("capture", "stopped");
    let (began, cpu) = (Instant::now(), house.cpu("capture"));
    // Meanwhile it got another rate, as HDMI does.
    house.microphone.change(|wishes| *wishes = wishes.rates(&[44_100]));
    assert!(until(SOON, || house.microphone.seen().opens == 2), "it is not opened again");
    let (after, used) = (began.elapsed(), house.cpu("capture") - cpu);
    house.microphone.change(|wishes| wishes.stopped = 0);
    let back = house.until_sound(&house.microphone);
    let status = house.wait_for("capture", "running");
    assert_eq!(status["capture"]["device"]["rate_hz"], 44_100);
    println!(
        "a stopped clock is opened again after {after:?} ({used:?} of processor time); sound {back:?} after it goes on"
    );
    assert!(used <= Duration::from_millis(150), "{used:?}");
}

#[test]
fn another_rate_is_taken_up_when_the_device_comes_back_with_it() {
    let house = House::open(Wishes::default());
    for rate in [44_100, 96_000, 32_000, 48_000] {
        house.microphone.change(|wishes| *wishes = Wishes { gone: 1, ..wishes.rates(&[rate]) });
        house.wait_for("capture", "lost");
        house.microphone.change(|wishes| wishes.gone = 0);
        let back = house.until_sound(&house.microphone);
        let status = house.wait_for("capture", "running");
        println!("new rate {rate}: sound after {back:?}");
        assert_eq!(status["capture"]["device"]["rate_hz"], rate);
        assert!(back <= Duration::from_secs(1));
    }
}

#[test]
fn a_device_that_was_asleep_goes_on_whether_it_can_resume_or_not() {
    let house = House::open(Wishes::default());
    for device in [&house.microphone, &house.speaker] {
        device.change(|wishes| wishes.suspended = 2);
        let began = Instant::now();
        assert!(until(SOON, || device.seen().resumes > 0), "nobody resumes it");
        house.until_sound(device);
        let back = began.elapsed();
        println!("suspended, can resume: sound after {back:?}");
        assert!(device.seen().resumes == 1 && device.seen().opens == 1 && back <= Duration::from_millis(200));
    }
    house.microphone.change(|wishes| wishes.suspended = 1);
    house.wait_for("capture", "lost");
    house.microphone.change(|wishes| wishes.suspended = 0);
    let back = house.until_sound(&house.microphone);
    println!("suspended for long, cannot resume: sound after {back:?}");
    let status = house.wait_for("capture", "running");
    assert!(status["capture"]["device"]["recoveries"]["suspends"].as_u64() >= Some(2), "{status}");
    assert!(back <= Duration::from_secs(4));
}

#[test]
fn a_device_that_is_taken_at_the_start_is_refused_and_later_is_waited_for() {
    let house = House::open(Wishes::default());
    let other = house.dir.path().join("other.sock").display().to_string();
    let args = ["run", "--socket", &other, "--capture", &house.microphone.uri(), "--playback", "null"];
    let mut second = Program::spawn(&args, &house.microphone.envs());
    assert_eq!(second.wait_exit(SOON).code(), Some(1));
    assert!(second.output().contains("another program is using it"), "{}", second.output());
    // It is lost, and somebody else was quicker.
    house.microphone.change(|wishes| (wishes.gone, wishes.open_errno) = (1, libc::EBUSY as u32));
    house.wait_for("capture", "lost");
    house.microphone.change(|wishes| wishes.gone = 0);
    let why = || house.status()["capture"]["device"]["reason"].as_str().unwrap_or_default().to_owned();
    assert!(until(SOON, || why().contains("another program is using it")), "{}", why());
    assert!(why().starts_with("No such device"), "what went wrong first: {}", why());
    house.microphone.change(|wishes| wishes.open_errno = 0);
    assert!(house.until_sound(&house.microphone) <= Duration::from_secs(1));
}

/// That the device in use is this one, and why.
fn is_used(status: &serde_json::Value, direction: &str, device: &Trouble, why: &str) -> bool {
    let words = status[direction]["device"]["device"].as_str().expect("words");
    words.contains(&device.name()) && words.split(", because ").nth(1).is_some_and(|because| because.contains(why))
}

#[test]
fn the_best_device_that_is_there_is_used_and_a_better_one_is_taken_back_without_a_gap() {
    let gone = Wishes { gone: 1, ..Wishes::default() };
    let (second_mic, second_speaker) =
        (Trouble::new(Wishes::default()), Trouble::new(Wishes::default().channels(1, 1)));
    let more = [format!(",{}", second_mic.uri()), format!(",{},null", second_speaker.uri())];
    let house = House::with(Trouble::new(gone), Trouble::new(gone), [&more[0], &more[1]]);
    let sides = [("capture", &house.microphone, &second_mic), ("playback", &house.speaker, &second_speaker)];
    for (direction, first, second) in sides {
        assert!(is_used(&house.status(), direction, second, "no such device"), "{}", house.status()[direction]);
        first.change(|wishes| wishes.gone = 0);
        let began = Instant::now();
        let before = house.status();
        assert!(until(SOON, || is_used(&house.status(), direction, first, "it is the first choice")), "not taken back");
        let taken = began.elapsed();
        let lost = count(&house.status(), "lost_samples") - count(&before, "lost_samples");
        let lost = Duration::from_secs_f64(lost as f64 / 48_000.0);
        println!("{direction}: a better device is back in use after {taken:?}, for a gap of {lost:?}");
        assert!(taken <= Duration::from_secs(8) && lost <= Duration::from_millis(30), "{taken:?} {lost:?}");
        // And when it goes again, the other one is there at once.
        let moved = second.seen().moved;
        first.change(|wishes| wishes.gone = 1);
        let began = Instant::now();
        assert!(until(SOON, || second.seen().moved > moved + 1_000), "the second is not used");
        println!("{direction}: the next device is in use after {:?}", began.elapsed());
        assert!(began.elapsed() <= Duration::from_secs(1));
    }
}

#[test]
fn a_device_without_a_signal_gives_way_to_the_next_and_is_taken_back_when_it_has_one() {
    let second = Trouble::new(Wishes::default());
    let house = House::with(
        Trouble::new(Wishes::default()),
        Trouble::new(Wishes::default()),
        [&format!(",{}", second.uri()), ""],
    );
    assert!(is_used(&house.status(), "capture", &house.microphone, "it is the first choice"));
    house.microphone.change(|wishes| wishes.stopped = 1);
    let began = Instant::now();
    assert!(until(SOON, || second.seen().moved > 0), "the second is not used");
    println!("no signal: the next device is in use after {:?}", began.elapsed());
    assert!(began.elapsed() <= Duration::from_secs(3));
    house.wait_for("capture", "running");
    assert!(is_used(&house.status(), "capture", &second, "failed of late"), "{}", house.status()["capture"]);
    // It is tried, and does not prove itself.
    let opens = house.microphone.seen().opens;
    assert!(until(SOON, || house.microphone.seen().opens > opens), "nobody looks after it");
    assert!(is_used(&house.status(), "capture", &second, ""), "it has no signal");
    house.microphone.change(|wishes| wishes.stopped = 0);
    assert!(until(SOON, || is_used(&house.status(), "capture", &house.microphone, "it is the first choice")));
}

#[test]
fn a_card_that_can_be_told_how_fast_to_run_takes_over_from_the_resampler() {
    // The gadget's control is in millionths, the loopback's in tens of them, the other way round.
    std::thread::scope(|scope| {
        for (pace, control, rest) in [(1, "Playback Pitch 1000000", 1_000_000), (2, "PCM Rate Shift 100000", 100_000)] {
            scope.spawn(move || {
                let speaker = Trouble::new(Wishes { pace, ppm: 400, ..Wishes::default() });
                let house = House::with(Trouble::new(Wishes::default()), speaker, ["", ""]);
                assert_eq!(house.status()["playback"]["pace"]["listening"], false);
                house.speaker.change(|wishes| wishes.listening = 1);
                let talker = Program::spawn(&["talk", "-i", "tone:440", "--socket", &house.socket()], &[]);
                talker.wait_for_line(|line| line.contains("talking"), SOON);
                // Ours is 400 ppm fast: told to be slower by that, it is right.
                let ppm = || (house.speaker.seen().told - rest) * if pace == 1 { 1 } else { -10 };
                let found = until(Duration::from_secs(60), || (-430..=-370).contains(&ppm()));
                let status = house.status();
                // A card that runs dry again and again is measured anew each time: then the machine is to blame.
                let dry = status["playback"]["device"]["xruns"].as_u64().expect("a count") > 3;
                assert!(found || dry, "told {} ppm; {}", ppm(), status["playback"]);
                if !found {
                    println!("{control}: not judged, the machine lets the card run dry");
                }
                assert_eq!(status["playback"]["pace"]["control"], control);
                assert_eq!(status["playback"]["pace"]["listening"], true);
                println!("{control}: {} ppm for a card that is 400 ppm fast", ppm());
            });
        }
    });
}
