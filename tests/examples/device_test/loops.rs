//! Sound through `snd-aloop`: what is played to one side of a cable is recorded from the other, at the kernel's own
//! pace. Cable N is played to as `hw:Loopback,0,N` and recorded from as `hw:Loopback,1,N`.

use serde_json::Value;
use soundpost_tests::RATE;
use soundpost_tests::measure::{Continuity, Limits, continuity_with};

use crate::bench::{Bench, count, figure, sentences};
use crate::table::{Outcome, Row};

/// Length of what is spoken, in seconds.
const SPOKEN: f64 = 10.0;

/// Speech is captured from a cable and heard; speech is sent and played to another cable.
pub(crate) fn both_ways(bench: &mut Bench) -> Outcome {
    let speech = sentences(SPOKEN);
    bench.put_wav("/tmp/speech.wav", &speech)?;
    bench.run(
        "start --capture alsa:hw:Loopback,1,0 --playback alsa:hw:Loopback,0,1
        soundpost listen -o file:/tmp/heard.wav --for 13s --json >/tmp/heard.json 2>/tmp/listen.log &
        sleep 1
        aplay -q -D hw:Loopback,0,0 /tmp/speech.wav
        wait $!
        arecord -q -D hw:Loopback,1,1 -f S16_LE -r 48000 -c 2 -d 13 --buffer-time=400000 /tmp/played.wav &
        sleep 1
        soundpost talk -i file:/tmp/speech.wav >/tmp/talk.log 2>&1
        wait $!
        soundpost status --json >/tmp/status.json
        stop",
    )?;
    let (heard, played) = (bench.get_wav("/tmp/heard.wav")?, bench.get_wav("/tmp/played.wav")?);
    let mut rows = judged(bench, "captured", &continuity_with(&speech, &heard, LUMPS)).into_iter().collect::<Vec<_>>();
    rows.extend(judged(bench, "played", &continuity_with(&speech, &played, LUMPS)));
    let status = bench.json("/tmp/status.json")?;
    rows.push(Row::exactly("xruns of capture", count(&status, "/capture/device/xruns"), 0));
    // Before that, it cannot know that this card takes 8 ms at once.
    let xruns = figure(&status, "/playback/device/xruns");
    rows.push(Row::at_most("xruns of playback, until its queue is long enough", xruns, 3.0, ""));
    rows.push(Row::at_most("playback latency", figure(&status, "/playback/metrics/average_latency_ms"), 100.0, "ms"));
    Ok(rows)
}

/// What counts as present in what comes through a cable: it moves in lumps of 8 ms, and a player's delay sways with them.
const LUMPS: Limits = Limits { tolerance_ms: 30.0, search_ms: 120.0, peak: 0.4, energy: 0.02, hole_ms: 12.0 };

fn judged(bench: &Bench, way: &str, heard: &Continuity) -> [Row; 2] {
    // The first line sums it up; after that comes every piece that is not in its place.
    bench.say(&format!("{way}: {}", heard.to_string().lines().take(12).collect::<Vec<_>>().join("\n")));
    let there = heard.windows() - heard.missing() - heard.moved();
    let all = heard.windows();
    [
        Row::new(
            &format!("{way}: pieces of speech in place"),
            format!("{there} of {all}"),
            "all",
            there == all && all > 0,
        ),
        Row::exactly(&format!("{way}: holes"), heard.holes.len() as u64, 0),
    ]
}

/// Speech for the turned clock, in seconds: the first part is for the player to find its delay.
const SETTLING: f64 = 16.0;
const JUDGED: f64 = 24.0;
/// How far off the estimate of a drift may be, in millionths: a cable moves in lumps of 8 ms.
const OFF_PPM: f64 = 60.0;
/// How far off what the card is told may be: it is told once here, after 20 s of looking at those lumps (172 to 370 of
/// 300 in five runs), and the resampler makes up for the rest.
const TOLD_OFF_PPM: f64 = 250.0;

/// The control of a cable's clock.
const SHIFT: &str = "PCM Rate Shift 100000";

/// A talker whose card is fast, then slow: the daemon's card has to follow it.
pub(crate) fn turned_clock(bench: &mut Bench) -> Outcome {
    let speech = sentences(SETTLING + JUDGED);
    bench.put_wav("/tmp/speech.wav", &speech)?;
    let mut rows = Vec::new();
    for ppm in [300_i32, -300] {
        // A larger number is a slower card.
        let rate = 100_000 - ppm / 10;
        bench.run(&format!(
            "turn_clock 2 {rate}
            start --capture null --playback alsa:hw:Loopback,0,1
            arecord -q -D hw:Loopback,1,1 -f S16_LE -r 48000 -c 2 -d {record} --buffer-time=400000 /tmp/played{ppm}.wav &
            recorder=$!
            soundpost talk -i alsa:hw:Loopback,1,2 >/tmp/talk.log 2>&1 &
            talker=$!
            # Who opens a cable first says what it carries; two at once may disagree, and then it carries silence.
            until grep -q rate /proc/asound/Loopback/pcm1c/sub2/hw_params; do sleep 0.02; done
            aplay -q -D plughw:Loopback,0,2 /tmp/speech.wav 2>/tmp/aplay.log &
            sleep {SETTLING}
            soundpost status --json >/tmp/early.json
            sleep {JUDGED}
            soundpost status --json >/tmp/late.json
            wait $recorder
            kill $talker
            stop",
            record = SETTLING + JUDGED + 2.0,
        ))?;
        let (early, late) = (bench.json("/tmp/early.json")?, bench.json("/tmp/late.json")?);
        let drift = figure(&late, "/playback/drift_ppm");
        // What is slow by so much, says the status: the other way round.
        let off = (drift + f64::from(ppm)).abs();
        let name = |what: &str| format!("{ppm:+} ppm: {what}");
        rows.push(Row::new(&name("drift found"), format!("{:+} ppm", -drift), format!("± {OFF_PPM}"), off <= OFF_PPM));
        // The daemon's own card can be told, too: the control is the kernel's.
        let control = late.pointer("/playback/pace/control").and_then(Value::as_str).unwrap_or("–");
        rows.push(Row::new(&name("its own card has"), control, SHIFT, control == SHIFT));
        let told = figure(&late, "/playback/pace/ppm");
        let follows = (told - f64::from(ppm)).abs() <= TOLD_OFF_PPM;
        rows.push(Row::new(
            &name("and is told"),
            format!("{told:+} ppm"),
            format!("{ppm:+} ± {TOLD_OFF_PPM}"),
            follows,
        ));
        let since = |path: &str| figure(&late, path) - figure(&early, path);
        rows.push(Row::at_most(&name("xruns"), since("/playback/device/xruns"), 0.0, ""));
        for path in ["/playback/concealed_ms", "/playback/held_ms"] {
            rows.push(Row::at_most(&name(&path.replace("/playback/", "").replace("_ms", "")), since(path), 0.0, "ms"));
        }
        let wander = since("/playback/metrics/average_latency_ms").abs();
        rows.push(Row::at_most(&name("latency wandered by"), wander, 10.0, "ms"));
        let second = &speech[(SETTLING * RATE as f64) as usize..];
        let heard = continuity_with(second, &bench.get_wav(&format!("/tmp/played{ppm}.wav"))?, LUMPS);
        rows.extend(judged(bench, &format!("{ppm:+} ppm"), &heard));
    }
    Ok(rows)
}
