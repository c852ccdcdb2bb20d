//! A USB sound card that comes and goes: QEMU's, whose sound ends up in a WAV file on this machine.

use soundpost_tests::RATE;
use soundpost_tests::guest::USB_SOUND;
use soundpost_tests::measure::delay;

use crate::bench::{Bench, count, sentences};
use crate::table::{Outcome, Row};

/// Times that it is pulled out: each falls at another moment of the pause between two attempts to open it.
const ROUNDS: usize = 4;
/// Sound is back so soon after the card is there, in ms.
const BACK_MS: f64 = 1_000.0;
/// How alike a piece of what the card played and a place in what was said have to be.
const ALIKE: f64 = 0.7;
/// Part of the pieces that have to be.
const RECOGNISED: f64 = 0.8;
/// Mean energy of a piece below which there is nothing to recognise.
const QUIET: f64 = 1e-4;
/// Loud pieces that three seconds of speech have at least.
const PIECES_MIN: usize = 12;

/// Waits for the card, then for its sound to move, and writes both times down.
const WATCH: &str = "rm -f /tmp/back
    {
        until [ -d /proc/asound/Audio ]; do sleep 0.002; done
        now; appeared=$now
        until grep -q 'hw_ptr *: [1-9]' /proc/asound/Audio/pcm0p/sub0/status 2>/dev/null; do sleep 0.002; done
        now; echo $appeared $now >/tmp/back
    } &";

/// What [`WATCH`] saw, in ms; waits for it.
const SEEN: &str = "for _ in $(seq 1000); do
        [ -s /tmp/back ] && break
        sleep 0.02
    done
    cat /tmp/back";

/// Pulled out while it plays, and plugged in again.
pub(crate) fn replugged(bench: &mut Bench) -> Outcome {
    let speech = sentences(10.0);
    bench.put_wav("/tmp/speech.wav", &speech)?;
    // Without the loop, the card is number 0; with it, it will be number 1.
    bench.run("rmmod snd_aloop")?;
    bench.run(WATCH)?;
    bench.guest.plug()?;
    bench.run(
        "until [ -d /proc/asound/Audio ]; do sleep 0.01; done
        start --capture null --playback alsa:hw:CARD=Audio,DEV=0
        soundpost talk -i 'file:/tmp/speech.wav?loop' >/tmp/talk.log 2>&1 &
        sleep 3",
    )?;
    let first_number = number(bench)?;
    bench.run(SEEN)?;
    let mut back = Vec::new();
    let mut worst = 1.0_f64;
    for round in 0..=ROUNDS {
        bench.guest.unplug()?;
        bench.run("while [ -d /proc/asound/Audio ]; do sleep 0.01; done")?;
        // The next card's sound goes into the same file.
        bench.keep(USB_SOUND, &format!("usb-{round}.wav"))?;
        let part = recognised(&speech, &bench.wav_here(USB_SOUND)?);
        bench.say(&format!("round {round}: {:.0} % of what was played is recognised", part * 100.0));
        worst = worst.min(part);
        if round == ROUNDS {
            break;
        }
        if round == 0 {
            bench.run("insmod /modules/snd_aloop.ko")?;
        }
        // Each time at another moment.
        bench.run(&format!("sleep 2.{round}7"))?;
        bench.run(WATCH)?;
        bench.guest.plug()?;
        let seen = bench.run(SEEN)?;
        let times =
            seen.trim().split_once(' ').and_then(|(a, b)| Some((a.parse::<i64>().ok()?, b.parse::<i64>().ok()?)));
        let (appeared, moved) = times.ok_or_else(|| format!("the sound does not come back: {seen:?}"))?;
        back.push((moved - appeared) as f64 / 1e6);
        bench.run("sleep 3")?;
    }
    bench.say(&format!("back after {back:.0?} ms"));
    let again = bench.run("soundpost status --json >/tmp/status.json; cat /proc/asound/cards; stop")?;
    let status = bench.json("/tmp/status.json")?;
    let last_number = if again.contains("Loopback") { 1 } else { 0 };
    let slowest = back.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    Ok(vec![
        Row::exactly("times it came back", back.len() as u64, ROUNDS as u64),
        Row::at_most("longest time from the card to its sound", slowest, BACK_MS, "ms"),
        Row::new("its number", format!("{first_number}, then {last_number}"), "another", first_number != last_number),
        Row::at_least("part of what it played each time that was said", worst, RECOGNISED, ""),
        Row::exactly("clients lost", count(&status, "/playback/metrics/connection_drops"), 0),
    ])
}

/// The number of the card.
fn number(bench: &mut Bench) -> Result<i32, Box<dyn std::error::Error>> {
    let link = bench.run("readlink /proc/asound/Audio")?;
    Ok(link.trim().trim_start_matches("card").parse()?)
}

/// Of the pieces of a recording that hold sound, how many are somewhere in what was said. Short ones: a player that
/// finds its delay plays a little faster or slower.
fn recognised(speech: &[f32], heard: &[f32]) -> f64 {
    const PIECE: usize = RATE / 10;
    let energy = |piece: &[f32]| piece.iter().map(|s| f64::from(s * s)).sum::<f64>() / PIECE as f64;
    let loud: Vec<&[f32]> = heard.chunks_exact(PIECE).filter(|piece| energy(piece) > QUIET).collect();
    let found = loud.iter().filter(|piece| delay(piece, speech).peak >= ALIKE).count();
    if loud.len() < PIECES_MIN { 0.0 } else { found as f64 / loud.len() as f64 }
}
