//! Cards whose clock can be told how fast to run, and whose other end says whether anybody listens.
//!
//! A USB gadget (`f_uac2`) has `Playback Pitch 1000000`, in millionths, and `Playback Rate`, which is 0 while the host does
//! not record. A loopback (`snd-aloop`) has `PCM Rate Shift 100000`, in steps of ten millionths the other way round; it
//! belongs to the other end of the cable.

use alsa::Output;
use alsa::ctl::{ElemId, ElemIface};
use alsa::hctl::HCtl;
use alsa::pcm::{Info, PCM};
use serde::Serialize;
use std::ffi::CString;

/// Controls that set a pace: name, what stands for no change, and millionths faster in a step.
const PACES: [(&str, i32, i32); 2] =
    [("Playback Pitch 1000000", 1_000_000, 1), ("PCM Rate Shift 100000", 100_000, -10)];

/// What says whether the other end is open.
const LISTENING: &str = "Playback Rate";

/// What a card's clock is told by; found when it is opened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Pace {
    /// The ALSA name of the card's controls.
    card: String,
    device: u32,
    subdevice: u32,
    /// The control, with what stands for no change, and millionths in a step.
    control: Option<(&'static str, i32, i32)>,
    /// There is a control that says whether anybody listens.
    tells: bool,
}

/// The controls of a card, open.
pub struct PaceControl {
    hctl: HCtl,
    pace: Pace,
}

impl std::fmt::Debug for PaceControl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PaceControl").field("pace", &self.pace).finish_non_exhaustive()
    }
}

/// The ALSA name of the controls of a PCM's card.
pub(super) fn controls(info: &Info, name: &str) -> String {
    // The controls of a plugin have its name, by convention.
    if info.get_card() < 0 { name.to_owned() } else { format!("hw:{}", info.get_card()) }
}

impl Pace {
    /// What there is for a playback device, if there is anything.
    pub(super) fn probe(pcm: &PCM, name: &str) -> Option<Self> {
        let info = pcm.info().ok()?;
        let card = controls(&info, name);
        let (device, subdevice) = (info.get_device(), info.get_subdevice());
        let mut pace = Self { card, device, subdevice, control: None, tells: false };
        // What has no controls says so in more words than anybody wants.
        let _silenced = Output::local_error_handler().ok()?;
        let hctl = pace.hctl().ok()?;
        pace.control = PACES.into_iter().find(|(name, ..)| hctl.find_elem(&pace.element(name)).is_some());
        pace.tells = hctl.find_elem(&pace.element(LISTENING)).is_some();
        (pace.control.is_some() || pace.tells).then_some(pace)
    }

    /// The name of the control that sets the pace.
    #[must_use]
    pub fn name(&self) -> Option<&'static str> {
        self.control.map(|(name, ..)| name)
    }

    /// Opens the controls.
    ///
    /// # Errors
    /// What ALSA says.
    pub fn control(&self) -> alsa::Result<PaceControl> {
        Ok(PaceControl { hctl: self.hctl()?, pace: self.clone() })
    }

    fn hctl(&self) -> alsa::Result<HCtl> {
        let hctl = HCtl::new(&self.card, true)?;
        hctl.load()?;
        Ok(hctl)
    }

    fn element(&self, name: &str) -> ElemId {
        let mut id = ElemId::new(ElemIface::PCM);
        // The names are ours and have no NUL in them.
        id.set_name(&CString::new(name).unwrap_or_default());
        let loopback = name == PACES[1].0;
        id.set_device(if loopback { self.device ^ 1 } else { self.device });
        id.set_subdevice(self.subdevice);
        id
    }
}

impl PaceControl {
    /// Tells the card to run so many millionths faster than by itself.
    ///
    /// # Errors
    /// What ALSA says, of a card that cannot run so fast for instance.
    pub fn set(&self, ppm: i32) -> alsa::Result<()> {
        let Some((name, rest, step)) = self.pace.control else { return Ok(()) };
        let gone = || alsa::Error::new("snd_hctl_find_elem", libc::ENOENT);
        let element = self.hctl.find_elem(&self.pace.element(name)).ok_or_else(gone)?;
        let mut value = element.read()?;
        value.set_integer(0, rest + ppm / step).ok_or_else(gone)?;
        element.write(&value).map(|_| ())
    }

    /// Whether somebody listens at the other end, if the card says that.
    #[must_use]
    pub fn listening(&self) -> Option<bool> {
        let element = self.hctl.find_elem(&self.pace.element(LISTENING))?;
        Some(element.read().ok()?.get_integer(0)? != 0)
    }
}
