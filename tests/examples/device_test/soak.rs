//! For long: both directions at once, and nothing may be lost or grow.

use serde_json::Value;

use crate::bench::{Bench, figure, sentences};
use crate::table::{Outcome, Row};

/// Let go by before the first look, in seconds.
const WARM_UP: u64 = 10;
/// Looks at memory and descriptors.
const LOOKS: u64 = 20;
/// Memory of all processes may differ by so much from look to look: allocators give back late.
const GROWTH_KIB: f64 = 64.0;
/// A period of 128 samples, in ms.
const PERIOD_MS: f64 = 128.0 / 48.0;

/// Captures from a cable for a listener, plays a talker on another cable.
pub(crate) fn soak(bench: &mut Bench) -> Outcome {
    bench.put_wav("/tmp/speech.wav", &sentences(10.0))?;
    let seconds = bench.soak.as_secs();
    let pause = seconds as f64 / LOOKS as f64;
    bench.run(&format!(
        "start --capture alsa:hw:Loopback,1,0 --playback alsa:hw:Loopback,0,1
        while tail -c +45 /tmp/speech.wav; do :; done 2>/dev/null |
            aplay -q -D hw:Loopback,0,0 -t raw -f S16_LE -r 48000 -c 1 --buffer-time=400000 2>/tmp/aplay.log &
        soundpost listen -o null >/tmp/listen.log 2>&1 &
        soundpost talk -i 'file:/tmp/speech.wav?loop' >/tmp/talk.log 2>&1 &
        sleep {WARM_UP}
        house
        statuses=$(printf '/proc/%s/status ' $house) folders=$(printf '/proc/%s/fd ' $house)
        soundpost status --json >/tmp/early.json
        for _ in $(seq {LOOKS}); do
            sleep {pause}
            echo $(awk '/^VmRSS/ {{ sum += $2 }} END {{ print sum }}' $statuses) $(ls $folders | grep -c '^[0-9]') >>/tmp/looks
        done
        soundpost status --json >/tmp/late.json
        stop
        killall aplay 2>/dev/null
        true"
    ))?;
    let (early, late) = (bench.json("/tmp/early.json")?, bench.json("/tmp/late.json")?);
    let looks = String::from_utf8(bench.guest.get("/tmp/looks")?)?;
    let column = |n: usize| looks.lines().filter_map(move |line| line.split(' ').nth(n)?.parse::<f64>().ok());
    let spread = |n: usize| {
        let (least, most) = column(n).fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), v| (a.min(v), b.max(v)));
        // A look that saw nothing is no good news.
        if column(n).count() as u64 == LOOKS { (most, most - least) } else { (f64::NAN, f64::NAN) }
    };
    let ((memory, growth), (files, opened)) = (spread(0), spread(1));
    let since = |path: &str| figure(&late, path) - figure(&early, path);
    let passed = since("/uptime_s");
    let owed = passed * 1e3 / figure(&late, "/capture/frame_ms");
    let sent = since("/capture/metrics/frames_received");
    let mut rows = vec![
        Row::new("the board's time", format!("{passed:.0} s"), format!("≥ {seconds} s"), passed >= seconds as f64),
        Row::new("looks", looks.lines().count(), LOOKS, looks.lines().count() as u64 == LOOKS),
        Row::at_most(&format!("memory, of {memory:.0} KiB, differs by"), growth, GROWTH_KIB, "KiB"),
        Row::at_most(&format!("descriptors, {files:.0}, differ by"), opened, 0.0, ""),
        Row::new("packets sent", format!("{sent:.0} of {owed:.0}"), "± 2", (sent - owed).abs() <= 2.0),
    ];
    for path in [
        "/capture/device/xruns",
        "/capture/lost_samples",
        "/playback/device/xruns",
        "/playback/lost",
        "/playback/concealed_ms",
        "/playback/held_ms",
        "/playback/resyncs",
    ] {
        rows.push(Row::at_most(&path[1..].replace('/', " "), since(path), 0.0, ""));
    }
    rows.extend(work(&early, &late, passed));
    Ok(rows)
}

/// What the codec took, beside the time that there is for it, and turns of the threads that took longer than a period.
fn work(early: &Value, late: &Value, seconds: f64) -> Vec<Row> {
    let frame = figure(late, "/capture/frame_ms");
    let made = [("capture", "a frame is coded", frame), ("playback", "a period is made", PERIOD_MS)];
    let rows = made.into_iter().flat_map(|(side, what, there_is)| {
        let work = |name: &str| ["", side, "device", "work", name].join("/");
        let taken = figure(late, &work("p999_us")) / 1e3;
        let turns = |status: &Value| (0..4).map(|n| figure(status, &work(&format!("late_turns/{n}")))).sum::<f64>();
        let allowed = seconds * 1e3 / PERIOD_MS / 1e3;
        [
            Row::at_most(&format!("{what} in, but for one in a thousand"), taken, there_is, "ms"),
            Row::at_most(&format!("{side}: turns longer than a period"), turns(late) - turns(early), allowed, ""),
        ]
    });
    rows.collect()
}
