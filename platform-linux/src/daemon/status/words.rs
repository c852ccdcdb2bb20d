//! The status as a table for people.

use super::{BoardStatus, MetricsStatus, PlaybackStatus, Status};
use std::fmt;

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let yes_no = |yes| if yes { "yes" } else { "no" };
        let (capture, playback) = (&self.capture, &self.playback);
        writeln!(f, "soundpost {} · process {} · up {:.0} s", self.version, self.pid, self.uptime_s)?;
        writeln!(f, "  socket     {}", self.socket)?;
        writeln!(f, "  real-time  {}, memory locked {}", yes_no(self.realtime), yes_no(self.memory_locked))?;
        writeln!(f, "capture{}", if capture.muted { " (muted)" } else { "" })?;
        write!(f, "{}{}", capture.worker, capture.device)?;
        let governor = &capture.governor;
        if governor.ceiling != capture.quality {
            writeln!(f, "  wished     {}, and not possible because of {}", governor.ceiling, governor.reason)?;
        }
        if let Some(growth) = governor.delay_growth_ms {
            writeln!(f, "  listeners  packets take {growth:.0} ms longer than the fastest of the last minute")?;
        }
        if capture.changes.asked != capture.changes.applied {
            let (asked, applied) = (capture.changes.asked, capture.changes.applied);
            writeln!(f, "  change     {asked} is asked for, {applied} is in effect")?;
        }
        writeln!(
            f,
            "  stream     {} · {} kbit/s · {} ch · {} ms frames · prepared for {} % of loss",
            capture.quality,
            capture.bitrate_bps / 1000,
            capture.channels,
            capture.frame_ms,
            capture.expected_loss_percent
        )?;
        write!(f, "{}", capture.metrics)?;
        writeln!(
            f,
            "  lost       {} samples in {} xruns; {} frames to scarcity",
            capture.lost_samples,
            capture.device.xruns,
            capture.dropped_no_slot + capture.dropped_ring_full
        )?;
        if capture.gain_db != 0.0 {
            writeln!(f, "  gain       {:+} dB", capture.gain_db)?;
        }
        let idle = if playback.playing { "" } else { " (idle)" };
        writeln!(
            f,
            "playback{idle}{}",
            if playback.muted || self.mutes.playback_by_command { " (muted)" } else { "" }
        )?;
        if let Some(worker) = &playback.worker {
            write!(f, "{worker}")?;
        }
        write!(f, "{playback}")?;
        write!(f, "{}", self.board)?;
        writeln!(f, "clients    {}", self.clients_connected)?;
        for client in &self.clients {
            let pid = client.pid.map_or_else(|| "?".to_owned(), |pid| pid.to_string());
            write!(
                f,
                "  {:<9}#{:<4}{:<20} process {pid:<8}{:>9} packets {:>6} dropped {:>8.1} s",
                client.role, client.id, client.name, client.packets, client.dropped, client.connected_s
            )?;
            match client.loss_percent.filter(|loss| *loss > 0.0 || client.copies > 0) {
                Some(loss) => writeln!(f, ", loses {loss:.1} %, {} copies", client.copies)?,
                None => writeln!(f)?,
            }
        }
        Ok(())
    }
}

impl fmt::Display for BoardStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [("lamp", &self.lamp), ("mute switch", &self.mute_switch), ("amplifier", &self.amp)];
        let there = parts.into_iter().filter_map(|(name, state)| Some(format!("{name} {}", state.as_ref()?)));
        let there: Vec<_> = there.collect();
        if there.is_empty() { Ok(()) } else { writeln!(f, "board      {}", there.join(" · ")) }
    }
}

impl fmt::Display for PlaybackStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}{}", self.device, self.pace, self.metrics)?;
        if self.gain_db != 0.0 {
            writeln!(f, "  gain       {:+} dB", self.gain_db)?;
        }
        writeln!(
            f,
            "  delay      {:.1} ms held (aim {:.1} ms), {:.1} ms queued; sender's clock {:+} ppm slow",
            self.depth_ms, self.target_ms, self.queued_ms, self.drift_ppm
        )?;
        writeln!(
            f,
            "  made up    {:.0} ms for lost, {:.0} ms for late packets; {:.0} ms rebuilt, {:.0} ms from copies",
            self.concealed_ms, self.held_ms, self.recovered_ms, self.copied_ms
        )?;
        writeln!(
            f,
            "  stretched  {:.0} ms taken out in {} pieces, {:.0} ms put in in {}; {} packets lost, {} late; {} xruns, {} resyncs",
            self.cut_ms,
            self.removals,
            self.inserted_ms,
            self.insertions,
            self.lost,
            self.late,
            self.device.xruns,
            self.resyncs
        )
    }
}

impl fmt::Display for MetricsStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let latency = self.average_latency_ms.map_or_else(|| "–".to_owned(), |ms| format!("{ms:.1} ms"));
        writeln!(
            f,
            "  packets    {} ({} KiB), {} dropped; latency {latency}; {} clients vanished",
            self.frames_received,
            self.bytes_processed / 1024,
            self.frames_dropped,
            self.connection_drops
        )
    }
}
