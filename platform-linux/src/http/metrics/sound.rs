//! Figures of sound: packets, delay, devices, and what was made up.

use super::Kind::{Counter, Gauge};
use super::{Page, both, count, flag, one_of, ratio, seconds, unix_time};
use crate::daemon::status::{CaptureStatus, DeviceStatus, MetricsStatus, PlaybackStatus, PoolStatus, Status};

pub(super) fn write(page: &mut Page, status: &Status) {
    packets(page, [&status.capture.metrics, &status.playback.metrics]);
    muting(page, status);
    let devices = [&status.capture.device, &status.playback.device];
    device(page, devices);
    trouble(page, devices);
    pools(page, [&status.capture.pool, &status.playback.pool]);
    capture(page, &status.capture);
    lost(page, &status.playback);
    delay(page, &status.playback);
}

/// What the seed's system counted.
fn packets(page: &mut Page, metrics: [&MetricsStatus; 2]) {
    let each = |of: fn(&MetricsStatus) -> u64| metrics.map(|metrics| count(of(metrics)));
    page.both("frames_received_total", Counter, "Packets handed on.", each(|m| m.frames_received));
    page.both("frames_dropped_total", Counter, "Packets that were not.", each(|m| m.frames_dropped));
    page.both("bytes_processed_total", Counter, "Coded bytes.", each(|m| m.bytes_processed));
    page.both("connection_drops_total", Counter, "Clients that vanished.", each(|m| m.connection_drops));
    let last = metrics.map(|m| m.last_frame_age_ms.map(|age| unix_time() - seconds(age)));
    page.maybe("last_frame_timestamp_seconds", Gauge, "When the latest packet came, since 1970.", last);
    let latency = metrics.map(|m| m.average_latency_ms.map(seconds));
    page.maybe("average_latency_seconds", Gauge, "Smoothed latency.", latency);
}

fn muting(page: &mut Page, status: &Status) {
    let muted = both(
        status,
        |status| flag(status.capture.muted),
        |status| flag(status.playback.muted || status.mutes.playback_by_command),
    );
    page.both("muted", Gauge, "Whether it is muted.", muted);
    let mutes = status.mutes;
    let by = [
        vec![("command", flag(mutes.capture_by_command)), ("switch", flag(mutes.capture_by_switch))],
        vec![("command", flag(mutes.playback_by_command))],
    ];
    page.grid(("muted_by", Gauge, "Whether it is muted by this."), "by", by);
    let gains = [status.capture.gain_db, status.playback.gain_db].map(ratio);
    page.both("gain_ratio", Gauge, "How many times louder sound goes out than it came in.", gains);
}

fn device(page: &mut Page, devices: [&DeviceStatus; 2]) {
    const STATES: [&str; 6] = ["running", "stopped", "opened", "lost", "stuck", "ended"];
    let states = devices.map(|device| one_of(&STATES, &device.state));
    page.grid(("device_state", Gauge, "Which of these states the device is in."), "state", states);
    let info = devices.map(|device| vec![(device.device.as_str(), 1.0)]);
    page.grid(("device_info", Gauge, "The device."), "device", info);
    let each = |of: fn(&DeviceStatus) -> f64| devices.map(of);
    page.both("device_up", Gauge, "Whether sound moves.", each(|d| flag(d.state == "running")));
    page.both("device_rate_hertz", Gauge, "The device's own rate.", each(|d| f64::from(d.rate_hz)));
    page.both("device_channels", Gauge, "The device's channels.", each(|d| f64::from(d.channels)));
    let period = each(|d| f64::from(d.period_samples) / 48_000.0);
    page.both("device_period_seconds", Gauge, "Sound in a period.", period);
    let buffer = each(|d| f64::from(d.buffer_samples) / 48_000.0);
    page.both("device_buffer_seconds", Gauge, "Sound that its buffer has room for.", buffer);
    let latency = each(|d| seconds(d.latency_ms));
    page.both("device_latency_seconds", Gauge, "The most that sound waits in it.", latency);
    let level = each(|d| d.level_dbfs.map_or(0.0, ratio));
    page.both("level_peak_ratio", Gauge, "Peak level, of full scale.", level);
}

fn trouble(page: &mut Page, devices: [&DeviceStatus; 2]) {
    let each = |of: fn(&DeviceStatus) -> f64| devices.map(of);
    page.both("xruns_total", Counter, "Times that a device ran over or dry.", each(|d| count(d.xruns)));
    let troubles = devices.map(|device| {
        let from = device.recoveries;
        let all = [from.suspends, from.stops, from.breaks, from.losses].map(f64::from);
        ["suspended", "clock_stopped", "failed", "gone"].into_iter().zip(all).collect()
    });
    page.grid(("device_troubles_total", Counter, "What went wrong with a device."), "trouble", troubles);
    let steps = devices.map(|device| {
        let from = device.recoveries;
        let all = [from.resumes, from.prepares, from.restarts, from.reopens, from.open_failures].map(f64::from);
        ["resume", "prepare", "restart", "reopen", "open_failed"].into_iter().zip(all).collect()
    });
    page.grid(("device_recoveries_total", Counter, "What was done about it."), "step", steps);
    let work = devices.map(|device| {
        let work = device.work;
        let all = [work.median_us, work.p999_us, work.longest_us].map(|us| us as f64 / 1e6);
        ["0.5", "0.999", "1"].into_iter().zip(all).collect()
    });
    page.grid(("work_seconds", Gauge, "How long an audio thread works at a time."), "quantile", work);
    let late = devices.map(|device| {
        let all = device.work.late_turns.map(f64::from);
        ["1", "2", "4", "8"].into_iter().zip(all).collect()
    });
    page.grid(("late_turns_total", Counter, "Turns longer than so many periods."), "periods", late);
}

fn pools(page: &mut Page, pools: [&PoolStatus; 2]) {
    let each = |of: fn(&PoolStatus) -> u32| pools.map(|pool| f64::from(of(pool)));
    page.both("pool_slots_in_use", Gauge, "Slots that are lent.", each(|pool| pool.in_use));
    page.both("pool_slots_high_water", Gauge, "Most slots ever lent at once.", each(|pool| pool.high_water));
    let claims = pools.map(|pool| vec![("found", f64::from(pool.hits)), ("none_left", f64::from(pool.misses))]);
    page.grid(("pool_claims_total", Counter, "Claims of a slot, by how they ended."), "result", claims);
}

fn capture(page: &mut Page, capture: &CaptureStatus) {
    let samples = |samples: u64| samples as f64 / 48_000.0;
    page.each(("capture_quality", Gauge, "The preset."), "quality", [(&capture.quality, Some(1.0))]);
    let bitrate = f64::from(capture.bitrate_bps);
    page.one("capture_bitrate_bits_per_second", Gauge, "Coded bits a second.", bitrate);
    page.one("capture_channels", Gauge, "Coded channels.", capture.channels as f64);
    page.one("capture_frame_seconds", Gauge, "Sound in a packet.", seconds(capture.frame_ms));
    let (stream, lost) = (samples(capture.stream_samples), samples(capture.lost_samples));
    page.one("capture_stream_seconds_total", Counter, "Stream time, gaps included.", stream);
    page.one("capture_lost_seconds_total", Counter, "Sound that the device lost.", lost);
    let frames = [
        ("no_slot", capture.dropped_no_slot),
        ("ring_full", capture.dropped_ring_full),
        ("gap", capture.gap_frames),
        ("muted", capture.muted_frames),
        ("encode_error", capture.encode_errors),
    ];
    page.counts("capture_frames_unsent_total", "Frames that were not sent.", "reason", frames);
    let loss = f64::from(capture.expected_loss_percent) / 100.0;
    page.one("capture_expected_loss_ratio", Gauge, "Loss that the encoder is prepared for.", loss);
    let (name, help) = ("capture_delay_growth_seconds", "How much longer packets take to listeners than of late.");
    page.head(name, Gauge, help);
    if let Some(growth) = capture.governor.delay_growth_ms {
        page.sample(name, &[], seconds(growth));
    }
}

fn lost(page: &mut Page, playback: &PlaybackStatus) {
    let packets = [
        ("late", playback.late),
        ("duplicate", playback.duplicates),
        ("overflow", playback.overflow),
        ("decode_error", playback.decode_errors),
        ("lost", playback.lost),
    ];
    page.counts("playback_packets_unplayed_total", "Packets that were not played.", "reason", packets);
    let sound = [
        ("concealed", playback.concealed_ms),
        ("recovered", playback.recovered_ms),
        ("copied", playback.copied_ms),
        ("held", playback.held_ms),
        ("silent", playback.silent_ms),
        ("cut", playback.cut_ms),
        ("inserted", playback.inserted_ms),
    ];
    let sound = sound.map(|(how, ms)| (how, Some(seconds(ms))));
    page.each(("playback_sound_seconds_total", Counter, "Sound that was not played as it was sent."), "how", sound);
    let steps = [
        ("hold", playback.holds),
        ("removal", playback.removals),
        ("insertion", playback.insertions),
        ("resync", playback.resyncs),
    ];
    page.counts("playback_steps_total", "What was done to the delay.", "step", steps);
    let copies = count(playback.spare_copies);
    page.one("playback_spare_copies_total", Counter, "Copies that nobody needed.", copies);
}

fn delay(page: &mut Page, playback: &PlaybackStatus) {
    page.one("playback_playing", Gauge, "Whether somebody is being played.", flag(playback.playing));
    for (name, help, ms) in [
        ("playback_depth_seconds", "Delay beyond what the fastest packet of late needed.", playback.depth_ms),
        ("playback_target_seconds", "Delay aimed at.", playback.target_ms),
        ("playback_floor_seconds", "Delay that the lateness of packets asks for.", playback.floor_ms),
        ("playback_pull_allowance_seconds", "Delay held for a late audio thread.", playback.pull_allowance_ms),
        ("playback_queued_seconds", "Sound in the device's queue.", playback.queued_ms),
    ] {
        page.one(name, Gauge, help, seconds(ms));
    }
    let drift = f64::from(playback.drift_ppm) / 1e6;
    page.one("playback_drift_ratio", Gauge, "By how much the sender's clock is slow.", drift);
    let pace = f64::from(playback.pace.ppm) / 1e6;
    page.one("playback_pace_ratio", Gauge, "By how much the card was told to run faster.", pace);
}
