//! `soundpost devices`: which devices there are, and what each can do.

use super::Outcome;
use crate::pcm::devices::{self, Device};
use clap::Args;

/// List sound devices and what each can do.
#[derive(Debug, Args)]
pub(super) struct Devices {
    /// As one line of JSON.
    #[arg(long)]
    json: bool,
}

impl Devices {
    pub(super) fn run(self) -> Outcome {
        let devices = devices::list();
        let text = if self.json { serde_json::to_string(&devices)? + "\n" } else { listing(&devices) };
        Ok(super::print(&text)?)
    }
}

fn listing(devices: &[Device]) -> String {
    let mut text = String::new();
    for direction in ["capture", "playback"] {
        text += &format!("{direction}\n");
        let of_direction = || devices.iter().filter(|device| device.direction == direction);
        of_direction().for_each(|device| text += &paragraph(device));
        if of_direction().next().is_none() {
            text += "  (no ALSA device)\n";
        }
    }
    text += "without a sound card\n";
    for (uri, words) in devices::BUILT_IN {
        text += &format!("  {uri:<28}{words}\n");
    }
    text
}

fn paragraph(device: &Device) -> String {
    let mut text = format!("  {}\n      {}\n", device.uri, device.description);
    if let Some(can) = &device.abilities {
        let (least, most) = can.channels;
        let channels = if least == most { least.to_string() } else { format!("{least} to {most}") };
        let rates: Vec<_> = can.rates_hz.iter().map(|hz| (f64::from(*hz) / 1000.0).to_string()).collect();
        let (short, long) = can.period_ms;
        text += &format!(
            "      {channels} ch · {} kHz · {} · periods {short} to {long} ms\n",
            rates.join(" "),
            can.formats.join(" ")
        );
    }
    if let Some(chosen) = &device.chosen {
        let used = chosen.channels_used.as_ref().map_or_else(String::new, |used| format!(" ({used} used)"));
        text += &format!(
            "      would run at {} kHz {} {} ch{used}, period {} ms, buffer {} ms: {} ms of latency\n",
            f64::from(chosen.rate_hz) / 1000.0,
            chosen.format,
            chosen.channels,
            chosen.period_ms,
            chosen.buffer_ms,
            chosen.latency_ms
        );
    }
    if let Some(error) = &device.error {
        text += &format!("      cannot be opened: {error}\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pcm::devices::{Abilities, Chosen};

    #[test]
    fn a_device_is_shown_with_what_it_can_do_in_units() {
        let abilities = Abilities {
            channels: (1, 2),
            rates_hz: vec![44_100, 48_000],
            formats: vec!["S16"],
            period_ms: (1.33, 20.0),
        };
        let chosen = Chosen {
            format: "S16".into(),
            rate_hz: 44_100,
            channels: 4,
            channels_used: Some("3 and 4".to_owned()),
            period_ms: 2.67,
            buffer_ms: 8.0,
            latency_ms: 8.73,
        };
        let device = Device {
            uri: "alsa:hw:0".to_owned(),
            direction: "capture",
            description: "A card".to_owned(),
            abilities: Some(abilities),
            chosen: Some(chosen),
            error: None,
        };
        let text = paragraph(&device);
        assert!(text.contains("1 to 2 ch · 44.1 48 kHz · S16 · periods 1.33 to 20 ms"), "{text}");
        let would = "would run at 44.1 kHz S16 4 ch (3 and 4 used), period 2.67 ms, buffer 8 ms: 8.73 ms of latency";
        assert!(text.contains(would), "{text}");
    }
}
