//! States of a card that are no fault of it: the system sleeps, nobody listens at the other end of a USB cable, the
//! machine has a bad second.

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

/// Makes a USB sound gadget, plugged into a host on this same board that never asks for sound.
const GADGET: &str = "mount -t configfs none /sys/kernel/config
    for module in $(cat /modules/gadget); do
        insmod /modules/$module.ko || exit 1
    done
    gadget=/sys/kernel/config/usb_gadget/sound
    mkdir -p $gadget/strings/0x409 $gadget/configs/c.1/strings/0x409 $gadget/functions/uac2.usb0
    echo 0x1d6b >$gadget/idVendor
    echo 0x0101 >$gadget/idProduct
    echo 48000 >$gadget/functions/uac2.usb0/p_srate
    echo 48000 >$gadget/functions/uac2.usb0/c_srate
    ln -s $gadget/functions/uac2.usb0 $gadget/configs/c.1
    ls /sys/class/udc >$gadget/UDC";

/// How long its processor time is looked at, in seconds.
const IDLE_S: u64 = 10;
/// Of which it may use so many ms.
const IDLE_MS: f64 = 300.0;

/// A gadget's clock is its host's: while that does not ask for sound, it stands still.
pub(crate) fn gadget(bench: &mut Bench) -> Outcome {
    bench.run(GADGET)?;
    let ticks = bench.run(&format!(
        "spent() {{ cut -d' ' -f14,15 /proc/$(cat /tmp/daemon.pid)/stat; }}
        start --capture alsa:hw:CARD=UAC2Gadget,DEV=0 --playback alsa:hw:CARD=UAC2Gadget,DEV=0
        soundpost talk -i tone:1000 >/tmp/talk.log 2>&1 &
        sleep 2
        kill $!
        soundpost status --json >/tmp/before.json
        amixer -c UAC2Gadget contents >/tmp/controls
        spent
        sleep {IDLE_S}
        spent
        soundpost status --json >/tmp/after.json
        gadget=/sys/kernel/config/usb_gadget/sound
        echo '' >$gadget/UDC
        sleep 1.5
        soundpost status --json >/tmp/gone.json
        ls /sys/class/udc >$gadget/UDC
        until [ -d /proc/asound/UAC2Gadget ]; do sleep 0.01; done
        sleep 1
        soundpost status --json >/tmp/back.json
        stop"
    ))?;
    let spent: Vec<f64> =
        ticks.lines().map(|line| line.split(' ').filter_map(|n| n.parse::<f64>().ok()).sum()).collect();
    let &[from, to] = &spent[..] else { return Err(format!("two times, not {spent:?}").into()) };
    let (before, after) = (bench.json("/tmp/before.json")?, bench.json("/tmp/after.json")?);
    let (gone, back) = (bench.json("/tmp/gone.json")?, bench.json("/tmp/back.json")?);
    let control = before.pointer("/playback/pace/control").and_then(Value::as_str).unwrap_or("–").to_owned();
    let listening = before.pointer("/playback/pace/listening").cloned().unwrap_or_default();
    let mut rows = vec![
        state(&before, "capture", "stopped"),
        state(&before, "playback", "stopped"),
        Row::new("its pace is set by", &control, "Playback Pitch 1000000", control == "Playback Pitch 1000000"),
        Row::new("its host listens", &listening, "false", listening == Value::Bool(false)),
        // A tick of that clock is 10 ms, whatever the kernel's own is.
        Row::at_most(&format!("processor time in {IDLE_S} s of it"), (to - from) * 10.0, IDLE_MS, "ms"),
        state(&gone, "capture", "lost"),
        state(&gone, "playback", "lost"),
    ];
    for side in ["capture", "playback"] {
        let open = back.pointer(&format!("/{side}/device/state")).and_then(Value::as_str).unwrap_or("–");
        let is_open = ["opened", "stopped"].contains(&open);
        rows.push(Row::new(&format!("{side}, a second after it is plugged in again, is"), open, "open", is_open));
        let opened = count(&after, &format!("/{side}/device/recoveries/reopens"));
        // At every fourth deadline of half a second.
        rows.push(Row::at_most(&format!("{side} was opened again"), opened as f64, IDLE_S as f64 / 2.0 + 2.0, "times"));
    }
    Ok(rows)
}

/// Stops of the process that a longer queue would have covered, in ms.
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
        read -r pid </tmp/daemon.pid
        for pause in {list}; do
            kill -STOP $pid; sleep $pause; kill -CONT $pid
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
        Row::at_most("longer by, 40 s later", last - first, 0.1, "ms"),
        Row::at_most("xruns while it came back", since("/playback/device/xruns"), 0.0, ""),
        Row::at_most("sound made up while it came back", since("/playback/concealed_ms"), 0.0, "ms"),
    ])
}
