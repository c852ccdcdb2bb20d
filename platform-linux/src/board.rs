//! Lamp, switch and amplifier of a Linux board, wired to capture and playback.
//!
//! What holds when is core's business (`soundpost_core::board`); here lines are opened, parts called and faults
//! told. Lamp and switch are served by the I/O thread, whose system calls on lines do not wait. The amplifier
//! has a thread of its own, because switching it takes a while.

use crate::gpio::{Edges, GpioError, InPin, OutPin, PinName};
use crate::rt::now;
use embedded_hal::delay::DelayNs;
use soundpost_core::board::{
    AmpGate, AmpHold, LampFault, LiveLamp, Microphone, MicrophoneGuard, MuteSwitch, Muted, effective_mute,
};
use soundpost_core::config::BOARD;
use soundpost_core::time::{Instant, Span};
use std::io;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

/// Which part is on which line.
#[derive(Clone, Debug, Default)]
pub struct Wiring {
    /// The lamp that is lit while the microphone is live.
    pub lamp: Option<PinName>,
    /// The switch that mutes the microphone.
    pub mute_switch: Option<PinName>,
    /// The amplifier's power.
    pub amp: Option<PinName>,
}

impl Wiring {
    /// Whether capture is to begin muted: there is a switch to be read or a lamp to be lit first.
    #[must_use]
    pub const fn begins_muted(&self) -> Muted {
        Muted(self.lamp.is_some() || self.mute_switch.is_some())
    }

    /// # Errors
    /// [`GpioError::Twice`] if two parts are on one line.
    fn check(&self) -> Result<(), GpioError> {
        let mut seen: Vec<&PinName> = Vec::new();
        for pin in [&self.lamp, &self.mute_switch, &self.amp].into_iter().flatten() {
            if seen.iter().any(|other| other.is_same_line(pin)) {
                return Err(GpioError::Twice(pin.clone()));
            }
            seen.push(pin);
        }
        Ok(())
    }
}

/// The parts on their lines: lamp dark, amplifier off, nothing read yet.
#[derive(Debug)]
pub struct Parts {
    lamp: Option<LiveLamp<OutPin>>,
    switch: Option<InSwitch>,
    amp: Option<AmpGate<OutPin, Sleep>>,
}

#[derive(Debug)]
struct InSwitch {
    switch: MuteSwitch<InPin>,
    pin: InPin,
}

impl Parts {
    /// Takes the lines.
    ///
    /// # Errors
    /// [`GpioError`].
    pub fn open(wiring: &Wiring) -> Result<Self, GpioError> {
        wiring.check()?;
        let lamp = wiring.lamp.as_ref().map(|name| {
            let pin = OutPin::open(name, "lamp", name.polarity.level(false))?;
            LiveLamp::new(pin, name.polarity).map_err(|(LampFault::NotLit(error) | LampFault::NotDark(error))| error)
        });
        let switch = wiring.mute_switch.as_ref().map(|name| {
            let pin = InPin::open(name, "mute switch")?;
            Ok(InSwitch { switch: MuteSwitch::new(pin.clone(), name.polarity), pin })
        });
        let amp = wiring.amp.as_ref().map(|name| {
            let pin = OutPin::open(name, "amplifier", name.polarity.level(false))?;
            AmpGate::new(pin, Sleep, name.polarity)
        });
        Ok(Self { lamp: lamp.transpose()?, switch: switch.transpose()?, amp: amp.transpose()? })
    }

    /// What serves the microphone, if there is anything to serve, and the amplifier.
    #[must_use]
    pub fn split(self) -> (Option<Panel>, Option<AmpGate<OutPin, Sleep>>) {
        let Self { lamp, switch, amp } = self;
        let panel = (lamp.is_some() || switch.is_some()).then(|| Panel {
            guard: MicrophoneGuard::new(lamp),
            switch,
            lamp_failed: false,
            switch_failed: false,
        });
        (panel, amp)
    }
}

/// Lamp and switch, and the guard between them. When this is dropped the lamp goes dark: drop capture first.
#[derive(Debug)]
pub struct Panel {
    guard: MicrophoneGuard<OutPin>,
    switch: Option<InSwitch>,
    /// Faults that have been told.
    lamp_failed: bool,
    switch_failed: bool,
}

impl Panel {
    /// News of the switch's edges, if there is a switch and its line has edges.
    #[must_use]
    pub fn edges(&self) -> Option<Edges> {
        self.switch.as_ref().and_then(|switch| switch.pin.edges().ok())
    }

    /// Reads the switch; returns when it has to be read again at the latest.
    pub fn read_switch(&mut self) -> Instant {
        let time = now();
        let pause = time.plus(BOARD.look_pause);
        let Some(InSwitch { switch, .. }) = &mut self.switch else { return pause };
        match switch.sample(time) {
            Ok(change) => {
                if std::mem::take(&mut self.switch_failed) {
                    tracing::info!("the mute switch can be read again");
                }
                if let Some(Muted(muted)) = change {
                    tracing::info!("the switch {} the microphone", if muted { "mutes" } else { "unmutes" });
                }
            }
            Err(error) => {
                if !std::mem::replace(&mut self.switch_failed, true) {
                    tracing::error!("the mute switch cannot be read, so the microphone is muted: {error}");
                }
            }
        }
        switch.settles_at().map_or(pause, |at| at.min(pause))
    }

    /// Mutes, unmutes and lights, as far as that can be done now.
    pub fn guard(&mut self, remote: Muted, capture: &mut impl Microphone) {
        let hardware = self.switch.as_ref().map(|switch| switch.switch.muted());
        let fault = self.guard.step(effective_mute(hardware, remote), capture).err();
        let failed = fault.is_some();
        if failed != std::mem::replace(&mut self.lamp_failed, failed) {
            match fault {
                Some(LampFault::NotLit(error)) => {
                    tracing::error!("the lamp cannot be lit, so the microphone is muted: {error}");
                }
                Some(LampFault::NotDark(error)) => tracing::error!("the lamp may be lit although muted: {error}"),
                None => tracing::info!("the lamp works again"),
            }
        }
    }

    /// Whether capture was told to mute, taken or not.
    #[must_use]
    pub const fn told(&self) -> Muted {
        self.guard.told()
    }

    /// The lamp, in a word.
    #[must_use]
    pub fn lamp(&self) -> Option<&'static str> {
        self.guard.lamp().map(|shown| match shown {
            Some(true) => "lit",
            Some(false) => "dark",
            None => "failed",
        })
    }

    /// The switch, in a word.
    #[must_use]
    pub fn switch(&self) -> Option<&'static str> {
        let switch = self.switch.as_ref()?;
        Some(match (self.switch_failed, switch.switch.muted()) {
            (true, _) => "failed",
            (false, Muted(true)) => "muted",
            (false, Muted(false)) => "live",
        })
    }
}

/// Waits by sleeping.
#[derive(Clone, Copy, Debug)]
pub struct Sleep;

impl DelayNs for Sleep {
    fn delay_ns(&mut self, ns: u32) {
        std::thread::sleep(Duration::from_nanos(u64::from(ns)));
    }
}

const OFF: u8 = 0;
const ON: u8 = 1;
const FAILED: u8 = 2;

/// The amplifier and the thread that switches it. When this is dropped it goes off in order: drop playback
/// afterwards.
#[derive(Debug)]
pub struct Amp {
    wishes: Option<mpsc::Sender<bool>>,
    hold: AmpHold,
    wished: bool,
    shown: Arc<AtomicU8>,
    handle: Option<JoinHandle<()>>,
}

impl Amp {
    /// Starts the thread. Playback is silent until somebody is to be heard: that is what `hush` is told.
    ///
    /// # Errors
    /// If the system has no more threads.
    pub fn start(gate: AmpGate<OutPin, Sleep>, hush: impl Fn(bool) + Send + 'static) -> io::Result<Self> {
        hush(true);
        let (wishes, inbox) = mpsc::channel();
        let shown = Arc::new(AtomicU8::new(OFF));
        let show = Arc::clone(&shown);
        let handle =
            Builder::new().name("amplifier".to_owned()).spawn(move || switch_amp(gate, &hush, &inbox, &show))?;
        Ok(Self { wishes: Some(wishes), hold: AmpHold::default(), wished: false, shown, handle: Some(handle) })
    }

    /// Says whether somebody is to be heard.
    pub fn tend(&mut self, time: Instant, busy: bool) {
        let wanted = self.hold.wanted(time, busy);
        // The thread works off what it is told; one that failed is tried again with the next change.
        if wanted != self.wished
            && let Some(wishes) = &self.wishes
            && wishes.send(wanted).is_ok()
        {
            self.wished = wanted;
        }
    }

    /// How it stands, in a word.
    #[must_use]
    pub fn shown(&self) -> &'static str {
        match self.shown.load(Ordering::Relaxed) {
            OFF => "off",
            ON => "on",
            _ => "failed",
        }
    }
}

impl Drop for Amp {
    fn drop(&mut self) {
        self.wishes = None;
        if self.handle.take().is_some_and(|handle| handle.join().is_err()) {
            tracing::error!("the amplifier's thread panicked");
        }
    }
}

/// Does what is wished until nobody can wish any more; then the amplifier goes off.
fn switch_amp(mut gate: AmpGate<OutPin, Sleep>, hush: &dyn Fn(bool), wishes: &mpsc::Receiver<bool>, shown: &AtomicU8) {
    let mut running = true;
    while running {
        let wish = wishes.recv().map(|first| wishes.try_iter().last().unwrap_or(first));
        running = wish.is_ok();
        let done = match wish {
            Ok(true) => gate.open(|| hush(false)),
            Ok(false) | Err(_) => gate.close(|| hush(true)),
        };
        let state = match &done {
            Ok(()) if gate.is_on() => ON,
            Ok(()) => OFF,
            Err(_) => FAILED,
        };
        shown.store(state, Ordering::Relaxed);
        if let Err(error) = done {
            tracing::error!("the amplifier cannot be switched: {error}");
        }
    }
}

/// From now until `at`.
pub(crate) fn until(at: Instant) -> Duration {
    Duration::from_micros(at.since(now()).max(Span::from_micros(1)).as_micros())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_parts_on_one_line_are_refused_before_any_is_touched() {
        let pin = |text: &str| Some(text.parse().unwrap());
        let lamp = pin("gpiochip4000000/1");
        let wiring = Wiring { lamp, mute_switch: None, amp: pin("gpiochip4000000/1,active-low") };
        assert!(matches!(Parts::open(&wiring), Err(GpioError::Twice(_))));
        assert_eq!(wiring.begins_muted(), Muted(true));
        assert_eq!(Wiring { lamp: None, ..wiring }.begins_muted(), Muted(false), "an amplifier mutes nothing");
    }
}
