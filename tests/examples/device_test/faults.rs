//! The processes in trouble: they stand still, they end, they are killed.

use soundpost_tests::RATE;

use crate::bench::{Bench, count, figure, sentences};
use crate::table::{Outcome, Row};

/// How long the processes stand still, in ms, one after the other. A capture buffer holds 85 ms.
const STALLS: [u32; 16] = [30, 200, 50, 130, 70, 100, 40, 160, 30, 180, 60, 110, 45, 150, 65, 120];
const CAPTURE_BUFFER_MS: u32 = 85;
/// Sound that may be missing beyond the stall: a period of 128 samples, and 5 ms.
const BEYOND_MS: f64 = 128.0 / 48.0 + 5.0;

/// `SIGSTOP` for a while, again and again, while it captures and plays a tone.
pub(crate) fn stalls(bench: &mut Bench) -> Outcome {
    let tone = sine(45.0);
    bench.put_wav("/tmp/tone.wav", &tone)?;
    let list = STALLS.map(|ms| format!("0.{ms:03}")).join(" ");
    bench.run(&format!(
        "start --capture alsa:hw:Loopback,1,0 --playback alsa:hw:Loopback,0,1
        aplay -q -D hw:Loopback,0,0 /tmp/tone.wav &
        soundpost talk -i tone:1000 >/tmp/talk.log 2>&1 &
        talker=$!
        arecord -q -D hw:Loopback,1,1 -f S16_LE -r 48000 -c 2 -d 36 --buffer-time=400000 /tmp/played.wav &
        recorder=$!
        sleep 6
        house
        fresh /tmp/before.json
        for pause in {list}; do
            now; from=$now
            kill -STOP $house
            sleep $pause
            kill -CONT $house
            now; echo $from $now >>/tmp/stalls
            sleep 1.4
        done
        fresh /tmp/after.json
        wait $recorder
        kill $talker
        stop"
    ))?;
    let (before, after) = (bench.json("/tmp/before.json")?, bench.json("/tmp/after.json")?);
    let text = String::from_utf8(bench.guest.get("/tmp/stalls")?)?;
    let stalls: Vec<f64> = text.lines().filter_map(length_ms).collect();
    let gaps = gaps_ms(&bench.get_wav("/tmp/played.wav")?);
    bench.say(&format!("stalls {stalls:.0?} ms\ngaps   {gaps:.0?} ms"));
    let since = |path: &str| count(&after, path).wrapping_sub(count(&before, path));
    let long = STALLS.iter().filter(|ms| **ms > CAPTURE_BUFFER_MS).count() as u64;
    let worst = stalls.iter().zip(&gaps).map(|(stall, gap)| gap - stall).fold(f64::NEG_INFINITY, f64::max);
    // Stream time counts what the device lost, so it keeps up with the clock.
    let passed = figure(&after, "/uptime_s") - figure(&before, "/uptime_s");
    let behind = passed * 1e3 - since("/capture/stream_samples") as f64 / 48.0;
    Ok(vec![
        Row::exactly("stalls", stalls.len() as u64, STALLS.len() as u64),
        Row::exactly("gaps in what was played", gaps.len() as u64, STALLS.len() as u64),
        Row::at_most("worst gap beyond its stall", worst, BEYOND_MS, "ms"),
        Row::exactly("xruns of playback", since("/playback/device/xruns"), STALLS.len() as u64),
        Row::exactly("xruns of capture (stalls longer than its buffer)", since("/capture/device/xruns"), long),
        // Each of eight counts by a clock that moves in lumps of 8 ms.
        Row::at_most("stream time off the clock after them", behind.abs(), 64.0, "ms"),
        Row::exactly("resyncs", since("/playback/resyncs"), 0),
    ])
}

fn sine(seconds: f64) -> Vec<f32> {
    let step = std::f64::consts::TAU * 1000.0 / RATE as f64;
    (0..(seconds * RATE as f64) as usize).map(|n| (0.3 * (step * n as f64).sin()) as f32).collect()
}

/// The length of a stall from a line with two times in ns.
fn length_ms(line: &str) -> Option<f64> {
    let (from, to) = line.split_once(' ')?;
    Some((to.parse::<i64>().ok()? - from.parse::<i64>().ok()?) as f64 / 1e6)
}

/// Silences of 3 ms and more between the first and the last sound of a tone that should go on.
fn gaps_ms(heard: &[f32]) -> Vec<f64> {
    const WINDOW: usize = RATE / 4000;
    let peaks: Vec<f32> = heard.chunks(WINDOW).map(|chunk| chunk.iter().fold(0.0, |a, b| b.abs().max(a))).collect();
    let loudest = peaks.iter().copied().fold(0.0, f32::max);
    // A window is a quarter of a vibration: two of them hold a peak.
    let loud: Vec<usize> = (0..peaks.len()).filter(|n| peaks[*n] > 0.1 * loudest).collect();
    let gap = |pair: &[usize]| (pair[1] - pair[0] - 1) as f64 * WINDOW as f64 / RATE as f64 * 1e3;
    loud.windows(2).map(gap).filter(|ms| *ms >= 3.0).collect()
}

/// Ended and started, killed and started, while a talker and a listener would go on.
pub(crate) fn restarts(bench: &mut Bench) -> Outcome {
    bench.put_wav("/tmp/speech.wav", &sentences(5.0))?;
    let mut rows = Vec::new();
    bench.run("start --capture alsa:hw:Loopback,1,0 --playback alsa:hw:Loopback,0,1")?;
    for (how, signal) in [("ended", "-TERM"), ("killed", "-KILL")] {
        let times = bench.run(&format!(
            "soundpost listen -o null --for 60s >/tmp/listen.log 2>&1 &
            listener=$!
            soundpost talk -i 'file:/tmp/speech.wav?loop' >/tmp/talk.log 2>&1 &
            talker=$!
            sleep 2
            now; echo $now
            stop {signal}
            now; echo $now
            start --capture alsa:hw:Loopback,1,0 --playback alsa:hw:Loopback,0,1
            now; echo $now
            soundpost listen -o null --for 1s --json >/tmp/heard.json 2>/dev/null
            soundpost status --json >/tmp/status.json
            # Both were told, or saw, that the daemon was gone; an error is what the second one ends with.
            wait $listener $talker || true
            now; echo $now"
        ))?;
        let at: Vec<f64> = times.lines().filter_map(|line| Some(line.parse::<i64>().ok()? as f64 / 1e6)).collect();
        let &[from, gone, back, left] = &at[..] else { return Err(format!("four times, not {times:?}").into()) };
        let (heard, status) = (bench.json("/tmp/heard.json")?, bench.json("/tmp/status.json")?);
        let name = |what: &str| format!("{how}: {what}");
        rows.push(Row::at_most(&name("gone after"), gone - from, 500.0, "ms"));
        rows.push(Row::at_most(&name("answers again after"), back - gone, 1000.0, "ms"));
        for device in ["/capture/device/state", "/playback/device/state"] {
            let state = status.pointer(device).and_then(serde_json::Value::as_str).unwrap_or("–");
            rows.push(Row::new(&name(&device[1..].replace("/device/state", "")), state, "running", state == "running"));
        }
        rows.push(Row::at_most(&name("its clients have ended after"), left - from, 5_000.0, "ms"));
        let packets = count(&heard, "/metrics/frames_received");
        rows.push(Row::new(&name("packets heard in the second after"), packets, "≥ 45", (45..100).contains(&packets)));
    }
    bench.run("stop")?;
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_of_a_tone_are_found_and_its_vibrations_are_none() {
        let mut heard = [vec![0.0; 4_800], sine(1.0), vec![0.0; 4_800]].concat();
        assert!(gaps_ms(&heard).is_empty());
        heard[20_000..20_480].fill(0.0);
        heard[30_000..30_048].fill(0.0);
        let gaps = gaps_ms(&heard);
        assert!(gaps.len() == 1 && (gaps[0] - 10.0).abs() < 0.6, "{gaps:?}");
    }

    #[test]
    fn a_stall_is_from_one_time_to_the_other() {
        assert_eq!(length_ms("4294967296000 4294998296000"), Some(31.0));
        assert_eq!(length_ms("4294967296000"), None);
    }
}
