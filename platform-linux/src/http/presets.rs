//! The presets, as a table: what each is coded with, for each direction and kind of content.

use serde::Serialize;
use soundpost_core::config::{Application, Content, Direction, Quality};

/// A preset.
#[derive(Serialize)]
struct Preset {
    quality: String,
    direction: &'static str,
    content: &'static str,
    bitrate_bps: u32,
    channels: usize,
    frame_ms: f64,
    rate_hz: u32,
    application: &'static str,
    signal: &'static str,
    complexity: u8,
    vbr: bool,
    dtx: bool,
    expected_loss_percent: u8,
}

/// All of them, as JSON.
pub(super) fn json() -> String {
    let mut presets = Vec::new();
    for quality in Quality::ALL {
        for direction in [Direction::Capture, Direction::Playback] {
            for content in [Content::Voice, Content::Program] {
                presets.push(preset(quality, direction, content));
            }
        }
    }
    // Texts and numbers: nothing in it can fail to be JSON.
    format!("{{\"presets\":{}}}", serde_json::to_string(&presets).unwrap_or_default())
}

fn preset(quality: Quality, direction: Direction, content: Content) -> Preset {
    let stream = quality.stream(direction, content);
    let tuning = stream.tuning;
    Preset {
        quality: quality.to_string(),
        direction: crate::worker::process::name(direction),
        content: content.name(),
        bitrate_bps: tuning.bitrate.bps(),
        channels: stream.channels.count(),
        frame_ms: f64::from(stream.frame.samples()) / 48.0,
        rate_hz: tuning.rate.hz(),
        application: match stream.application {
            Application::Voip => "voip",
            Application::LowDelay => "lowdelay",
        },
        signal: tuning.signal.name(),
        complexity: tuning.complexity.get(),
        vbr: tuning.vbr,
        dtx: tuning.dtx,
        expected_loss_percent: tuning.expected_loss_percent,
    }
}
