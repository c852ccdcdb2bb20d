//! How much memory things take: each is the size of a symbol, readable without running anything.

use crate::world::Codec;
use crate::{Microphone, Packet, Speaker, Waiting};
use core::mem::{MaybeUninit, size_of};
use heapless::spsc::Queue;
use soundpost_core::capacity::{CAPTURE_SLOTS, COMMAND_RING_LEN, HANDOVER_RING_LEN, PLAYBACK_SLOTS};
use soundpost_core::cycle::Inbound;
use soundpost_core::engine::capture::{Capture, Command};
use soundpost_core::engine::playback::Playback;
use soundpost_core::latest::Latest;
use soundpost_core::meter::{CaptureReport, PlaybackReport};
use soundpost_core::pool::Pool;
use soundpost_core::resample::Resampler;
use soundpost_core::stretch::Stretch;
use soundpost_core::supervise::Supervisor;
use soundpost_core::wire::Frame;

/// As many bytes as a value of `$type` has, under a name that `cargo xtask prove sizes` looks for.
macro_rules! size {
    ($name:ident, $type:ty) => {
        #[unsafe(export_name = concat!("size_", stringify!($name)))]
        static $name: [MaybeUninit<u8>; size_of::<$type>()] = [MaybeUninit::uninit(); size_of::<$type>()];
    };
}

#[allow(non_upper_case_globals)]
mod of {
    use super::*;

    size!(frame, Frame);
    size!(capture_engine, Capture<Codec>);
    size!(capture_rig, Microphone);
    size!(capture_pool, Pool<Frame, CAPTURE_SLOTS>);
    size!(capture_ring, Queue<Packet, HANDOVER_RING_LEN>);
    size!(capture_report, Latest<CaptureReport>);
    size!(command_ring, Queue<Command, COMMAND_RING_LEN>);
    size!(playback_engine, Playback<Codec, Waiting>);
    size!(playback_rig, Speaker);
    size!(playback_pool, Pool<Frame, PLAYBACK_SLOTS>);
    size!(playback_ring, Queue<Inbound<'static, PLAYBACK_SLOTS>, HANDOVER_RING_LEN>);
    size!(playback_report, Latest<PlaybackReport>);
    size!(supervisor, Supervisor);
    size!(resampler, Resampler);
    size!(stretch, Stretch);
}
