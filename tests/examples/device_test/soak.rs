//! For long: both directions at once, and nothing may be lost or grow.

use crate::bench::{Bench, figure, sentences};
use crate::table::{Outcome, Row};

/// Let go by before the first look, in seconds.
const WARM_UP: u64 = 10;
/// Looks at memory and descriptors.
const LOOKS: u64 = 20;
/// Memory may differ by so much from look to look: allocators give back late.
const GROWTH_KIB: f64 = 64.0;

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
        read -r pid </tmp/daemon.pid
        soundpost status --json >/tmp/early.json
        for _ in $(seq {LOOKS}); do
            sleep {pause}
            echo $(sed -n 's/^VmRSS:[^0-9]*\\([0-9]*\\) kB/\\1/p' /proc/$pid/status) $(ls /proc/$pid/fd | wc -l) >>/tmp/looks
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
    Ok(rows)
}
