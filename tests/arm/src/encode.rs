//! What each preset's encoder does for a frame.

use soundpost_core::codec::Encode;
use soundpost_core::config::{Content, Direction, Quality};
use soundpost_linux::opus::OpusEncoder;

/// The title of these jobs.
pub(crate) const TITLE: &str = "encode";

const SECOND: usize = 48_000;

/// Every preset with everything that it captures: `low voice`, say.
pub(crate) fn jobs() -> impl Iterator<Item = (String, Quality, Content)> {
    let contents = [Content::Voice, Content::Program];
    Quality::ALL.into_iter().flat_map(move |quality| {
        contents.into_iter().map(move |content| (format!("{quality} {}", content.name()), quality, content))
    })
}

/// Codes so many frames of a buzz that swells and fades, with noise.
pub(crate) fn run(quality: Quality, content: Content, times: u32) {
    let stream = quality.stream(Direction::Capture, content);
    let channels = stream.channels.count();
    let mut noise = 1_u32;
    let mut value = |n: usize| {
        noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let swell = (n / 64 % 256).min(255 - n / 64 % 256) as i32;
        let buzz = if n % 320 < 60 { 9_000 } else { -2_000 };
        ((buzz + (noise >> 20) as i32 - 2_048) * swell / 128) as i16
    };
    let sound: Vec<i16> = (0..SECOND * channels).map(|n| value(n / channels)).collect();
    let mut encoder = OpusEncoder::new(&stream).expect("a preset is valid");
    let mut room = [0; 4_000];
    for frame in sound.chunks_exact(stream.frame_values()).cycle().take(times as usize) {
        encoder.encode(frame, &mut room).expect("a frame is coded");
    }
}
