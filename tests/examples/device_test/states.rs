//! What is no fault of a card: the system sleeps, the machine has a bad second.

use serde_json::Value;

use crate::bench::{Bench, count, figure};
use crate::table::{Outcome, Row};

/// Times that the system sleeps.
const NIGHTS: u64 = 3;
/// Sound moves again so soon after the system is awake, in ms.
const AWAKE_MS: f64 = 1_000.0;

/// Writes down when the system is awake, and when both positions have moved since.
const AWAKE: &str = "place() { sed -n 's/^hw_ptr *: //p' /proc/asound/Loopback/pcm$1/sub$2/status; }
    night() {
        echo freeze >/sys/power/state
        now; awake=$now
        for pcm in '1c 0' '0p 1'; do
            set -- $pcm
            before=$(place $1 $2)
            for _ in $(seq 1000); do
                place=$(place $1 $2)
                [ -n \"$place\" ] && [ \"$place\" != \"$before\" ] && break
                sleep 0.002
            done
        done
        now; echo $awake $now
    }";

/// The kernel puts every device to sleep and wakes them again, while it captures and plays.
pub(crate) fn sleeps(bench: &mut Bench) -> Outcome {
    let times = bench.run(&format!(
        "{AWAKE}
        echo 1 >/sys/module/suspend/parameters/pm_test_delay
        echo devices >/sys/power/pm_test
        start --capture alsa:hw:Loopback,1,0 --playback alsa:hw:Loopback,0,1
        soundpost listen -o null >/tmp/listen.log 2>&1 &
        soundpost talk -i tone:1000 >/tmp/talk.log 2>&1 &
        sleep 3
        for _ in $(seq {NIGHTS}); do
            night
            sleep 2
        done
        soundpost status --json >/tmp/before.json
        sleep 2
        soundpost status --json >/tmp/after.json
        stop"
    ))?;
    bench.say(&format!("awake, and heard again, in ns: {}", times.trim().replace('\n', "; ")));
    let awake = |line: &str| {
        let (from, to) = line.split_once(' ')?;
        Some((to.parse::<i64>().ok()? - from.parse::<i64>().ok()?) as f64 / 1e6)
    };
    let nights: Vec<f64> = times.lines().filter_map(awake).collect();
    let slowest = nights.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let (before, after) = (bench.json("/tmp/before.json")?, bench.json("/tmp/after.json")?);
    let mut rows = vec![
        Row::exactly("nights", nights.len() as u64, NIGHTS),
        Row::at_most("longest time from being awake to sound both ways", slowest, AWAKE_MS, "ms"),
    ];
    for side in ["capture", "playback"] {
        let suspends = count(&before, &format!("/{side}/device/recoveries/suspends"));
        rows.push(Row::exactly(&format!("{side}: nights that it noticed"), suspends, NIGHTS));
        rows.push(state(&after, side, "running"));
    }
    let sent = figure(&after, "/capture/metrics/frames_received") - figure(&before, "/capture/metrics/frames_received");
    let owed = (figure(&after, "/uptime_s") - figure(&before, "/uptime_s")) * 1e3 / figure(&after, "/capture/frame_ms");
    let packets = format!("{sent:.0} of {owed:.0}");
    rows.push(Row::new("packets after the last one", packets, "± 2", (sent - owed).abs() <= 2.0));
    rows.push(Row::exactly("clients lost", count(&after, "/playback/metrics/connection_drops"), 0));
    Ok(rows)
}

fn state(status: &Value, side: &str, wanted: &str) -> Row {
    let found = status.pointer(&format!("/{side}/device/state")).and_then(Value::as_str).unwrap_or("–");
    Row::new(&format!("{side} is"), found, wanted, found == wanted)
}

/// Stops of the processes that a longer queue would have covered, in ms.
const HICCUPS: [u32; 8] = [9, 11, 10, 12, 9, 11, 10, 12];
/// A period of 128 samples, in ms.
const PERIOD_MS: f64 = 128.0 / 48.0;

/// Held up for a moment, again and again: the card's queue becomes longer, and shorter again.
pub(crate) fn comes_back(bench: &mut Bench) -> Outcome {
    let list = HICCUPS.map(|ms| format!("0.{ms:03}")).join(" ");
    let looks = bench.run(&format!(
        "look() {{
            for _ in $(seq 20); do
                soundpost status --json >/tmp/status.json
                sed -n 's/.*\"queued_ms\": *\\([0-9.]*\\).*/\\1/p' /tmp/status.json
                sleep 0.05
            done | sort -n | tail -n 1
        }}
        start --capture null --playback alsa:hw:Loopback,0,1
        soundpost talk -i tone:1000 >/tmp/talk.log 2>&1 &
        sleep 12
        look
        house
        for pause in {list}; do
            kill -STOP $house; sleep $pause; kill -CONT $house
            sleep 0.3
        done
        look
        cp /tmp/status.json /tmp/before.json
        sleep 38
        look
        cp /tmp/status.json /tmp/after.json
        stop"
    ))?;
    let held: Vec<f64> = looks.lines().filter_map(|line| line.trim().parse().ok()).collect();
    let &[first, most, last] = &held[..] else { return Err(format!("three looks, not {looks:?}").into()) };
    let (before, after) = (bench.json("/tmp/before.json")?, bench.json("/tmp/after.json")?);
    let since = |path: &str| figure(&after, path) - figure(&before, path);
    Ok(vec![
        Row::at_most("queue at first", first, 6.0 * PERIOD_MS, "ms"),
        Row::at_least("longer by, after hiccups", most - first, PERIOD_MS - 0.1, "ms"),
        Row::at_most("longer by, 40 s later", last - first, PERIOD_MS / 2.0, "ms"),
        Row::at_most("xruns while it came back", since("/playback/device/xruns"), 0.0, ""),
        Row::at_most("sound made up while it came back", since("/playback/concealed_ms"), 0.0, "ms"),
    ])
}
