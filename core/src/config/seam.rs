//! How frames are coded where one encoder takes over from another.

use super::FrameLen;

/// Bitrates of the frames beside a seam, which have to do without prediction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Seam {
    /// Bits a second for each channel: enough, and enough for libopus to prefer CELT to its speech modes.
    pub bps: u32,
    /// The same for frames that are too short for speech modes: what each frame costs anyway is a larger part there.
    pub short_bps: u32,
    /// So many samples behind a seam are coded like that, or one frame: fewer bytes at once would be heard, too.
    pub samples: u32,
}

/// The one way that seams are coded.
pub const SEAM: Seam = Seam { bps: 64_000, short_bps: 128_000, samples: FrameLen::Ms10.samples() };

impl Seam {
    /// Bits a second for a frame of so many samples.
    #[must_use]
    pub const fn bps_of(self, samples: u32) -> u32 {
        if samples < FrameLen::Ms10.samples() { self.short_bps } else { self.bps }
    }
}
