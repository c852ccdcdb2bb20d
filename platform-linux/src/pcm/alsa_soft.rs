//! An open ALSA device whose thresholds change while it runs, on a thread that may not use the heap.
//!
//! `alsa::PCM` takes memory for its software parameters each time that they are asked for. Here it does so once.
#![allow(clippy::mem_forget, reason = "what self_cell writes forgets the guard of a half-made value on purpose")]

use alsa::pcm::{PCM, SwParams};
use self_cell::self_cell;
use std::fmt;
use std::ops::Deref;

self_cell!(
    struct Parts {
        owner: PCM,
        #[covariant]
        dependent: SwParams,
    }
);

/// A device, and room for its software parameters. It is a [`PCM`] otherwise.
pub(super) struct SoftPcm(Parts);

// SAFETY: the parameters are plain memory that nobody else knows of, and the reference in them is to the device that
// they move with; `PCM` is `Send` itself.
unsafe impl Send for SoftPcm {}

impl SoftPcm {
    /// For a device that has its hardware parameters.
    pub(super) fn new(pcm: PCM) -> alsa::Result<Self> {
        Parts::try_new(pcm, PCM::sw_params_current).map(Self)
    }

    /// Changes what `set` changes, and leaves the rest as it is.
    pub(super) fn tune(&self, set: impl FnOnce(&SwParams<'_>) -> alsa::Result<()>) -> alsa::Result<()> {
        let params = self.0.borrow_dependent();
        set(params)?;
        self.sw_params(params)
    }
}

impl Deref for SoftPcm {
    type Target = PCM;

    fn deref(&self) -> &PCM {
        self.0.borrow_owner()
    }
}

impl fmt::Debug for SoftPcm {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.debug_tuple("SoftPcm").finish_non_exhaustive()
    }
}
