//! Lines of the GPIO character device as pins of `embedded-hal`.
//!
//! A line is named `gpiochip0/17`, with what is special about it behind commas. Once it is had, nobody else can
//! have it, and it does one system call for each reading or writing. Which level means what is for core to know:
//! here a pin is high or low.

use embedded_hal::digital::{ErrorKind, ErrorType, InputPin, OutputPin, PinState};
use gpiocdev::line::{Bias, EdgeDetection, Value};
use gpiocdev::{Chip, Request};
use soundpost_core::board::Polarity;
use std::fmt;
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

const ALLOWED: &str = "gpiochipN/LINE, such as gpiochip0/17, and behind it ,active-low ,pull-up or ,pull-down";

/// A line, as it is named on the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PinName {
    chip: u32,
    line: u32,
    /// Which level means yes.
    pub polarity: Polarity,
    bias: Option<Bias>,
}

/// Text that names no line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PinNameError {
    /// Not of that form.
    #[error("{0:?} names no pin; allowed: {ALLOWED}")]
    Form(String),
    /// An option that a line does not have, or two that exclude each other.
    #[error("{0:?} is no option of a pin, or does not go with the others; allowed: {ALLOWED}")]
    Option(String),
}

impl FromStr for PinName {
    type Err = PinNameError;

    fn from_str(text: &str) -> Result<Self, PinNameError> {
        let mut parts = text.split(',');
        let name = parts.next().and_then(|name| name.strip_prefix("gpiochip")?.split_once('/'));
        let number = |digits: &str| digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok()).flatten();
        let numbers = name.and_then(|(chip, line)| Some((number(chip)?, number(line)?)));
        let (chip, line) = numbers.ok_or_else(|| PinNameError::Form(text.to_owned()))?;
        let mut pin = Self { chip, line, polarity: Polarity::ActiveHigh, bias: None };
        for option in parts {
            match (option, pin.bias) {
                ("active-low", _) => pin.polarity = Polarity::ActiveLow,
                ("pull-up", None) => pin.bias = Some(Bias::PullUp),
                ("pull-down", None) => pin.bias = Some(Bias::PullDown),
                _ => return Err(PinNameError::Option(option.to_owned())),
            }
        }
        Ok(pin)
    }
}

impl fmt::Display for PinName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "gpiochip{}/{}", self.chip, self.line)?;
        f.write_str(if self.polarity == Polarity::ActiveLow { ",active-low" } else { "" })?;
        f.write_str(match self.bias {
            Some(Bias::PullUp) => ",pull-up",
            Some(Bias::PullDown) => ",pull-down",
            _ => "",
        })
    }
}

impl PinName {
    /// Whether both name the same line, whatever else they say of it.
    #[must_use]
    pub const fn is_same_line(&self, other: &Self) -> bool {
        self.chip == other.chip && self.line == other.line
    }

    fn chip_path(&self) -> PathBuf {
        PathBuf::from(format!("/dev/gpiochip{}", self.chip))
    }
}

/// Why a line could not be had, or does not do what it should.
#[derive(Debug, thiserror::Error)]
pub enum GpioError {
    /// There is no such chip.
    #[error("pin {0}: there is no {chip}; `gpiodetect` lists what there is", chip = .0.chip_path().display())]
    NoChip(PinName),
    /// This user may not.
    #[error("pin {0}: no permission for {chip}; is this user in its group?", chip = .0.chip_path().display())]
    Permission(PinName),
    /// The chip has fewer lines.
    #[error("pin {pin}: the chip has lines 0 to {last}", last = .lines.saturating_sub(1))]
    NoLine {
        /// What was asked for.
        pin: PinName,
        /// How many there are.
        lines: u32,
    },
    /// Somebody else has it.
    #[error("pin {pin}: the line is in use by {by}")]
    Busy {
        /// What was asked for.
        pin: PinName,
        /// What the one who has it calls itself.
        by: String,
    },
    /// An output with a pull resistor.
    #[error("pin {0}: an output has no pull-up or pull-down")]
    Bias(PinName),
    /// Two parts on one line.
    #[error("pin {0} is named twice; each part needs a line of its own")]
    Twice(PinName),
    /// What else the system says.
    #[error("pin {pin}: {source}")]
    System {
        /// What was asked for.
        pin: PinName,
        /// What the system says.
        source: gpiocdev::Error,
    },
}

impl embedded_hal::digital::Error for GpioError {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Other
    }
}

/// Finds out why a line could not be had before asking for it: the kernel says only that it cannot.
fn check(pin: &PinName) -> Result<(), GpioError> {
    let path = pin.chip_path();
    if let Err(error) = std::fs::File::open(&path) {
        return Err(match error.kind() {
            io::ErrorKind::NotFound => GpioError::NoChip(pin.clone()),
            io::ErrorKind::PermissionDenied => GpioError::Permission(pin.clone()),
            _ => system(pin)(error.into()),
        });
    }
    let chip = Chip::from_path(&path).map_err(system(pin))?;
    let lines = chip.info().map_err(system(pin))?.num_lines;
    if pin.line >= lines {
        return Err(GpioError::NoLine { pin: pin.clone(), lines });
    }
    let info = chip.line_info(pin.line).map_err(system(pin))?;
    if info.used {
        let by = if info.consumer.is_empty() { "somebody else".to_owned() } else { info.consumer };
        return Err(GpioError::Busy { pin: pin.clone(), by });
    }
    Ok(())
}

fn system(pin: &PinName) -> impl Fn(gpiocdev::Error) -> GpioError {
    move |source| GpioError::System { pin: pin.clone(), source }
}

/// A line that is had.
#[derive(Debug)]
struct Line {
    pin: PinName,
    request: Request,
}

/// A line that is driven.
#[derive(Debug)]
pub struct OutPin(Line);

impl OutPin {
    /// Takes the line and drives it to `level` in one go.
    ///
    /// # Errors
    /// [`GpioError`].
    pub fn open(pin: &PinName, what: &str, level: PinState) -> Result<Self, GpioError> {
        if pin.bias.is_some() {
            return Err(GpioError::Bias(pin.clone()));
        }
        check(pin)?;
        let mut builder = Request::builder();
        builder.on_chip(pin.chip_path()).with_consumer(consumer(what)).with_line(pin.line).as_output(value(level));
        let request = builder.request().map_err(system(pin))?;
        Ok(Self(Line { pin: pin.clone(), request }))
    }
}

impl ErrorType for OutPin {
    type Error = GpioError;
}

impl OutputPin for OutPin {
    fn set_low(&mut self) -> Result<(), GpioError> {
        self.set_state(PinState::Low)
    }

    fn set_high(&mut self) -> Result<(), GpioError> {
        self.set_state(PinState::High)
    }

    fn set_state(&mut self, state: PinState) -> Result<(), GpioError> {
        self.0.request.set_lone_value(value(state)).map_err(system(&self.0.pin))
    }
}

/// A line that is read.
#[derive(Clone, Debug)]
pub struct InPin(Arc<Line>);

impl InPin {
    /// Takes the line; with news of its edges if it has such, else without.
    ///
    /// # Errors
    /// [`GpioError`].
    pub fn open(pin: &PinName, what: &str) -> Result<Self, GpioError> {
        check(pin)?;
        let mut builder = Request::builder();
        builder.on_chip(pin.chip_path()).with_consumer(consumer(what)).with_line(pin.line).as_input();
        builder.with_bias(pin.bias).with_edge_detection(EdgeDetection::BothEdges);
        // Expanders without an interrupt have no edges: such a line is looked at now and then.
        let request = builder.request().or_else(|_| builder.with_edge_detection(None).request());
        Ok(Self(Arc::new(Line { pin: pin.clone(), request: request.map_err(system(pin))? })))
    }

    /// News of its edges, on the runtime of this thread.
    ///
    /// # Errors
    /// What the system says.
    pub fn edges(&self) -> io::Result<Edges> {
        // SAFETY: the descriptor is in a `Request` that nobody closes or replaces while this clone of its `Arc`
        // lives, and the clone lives inside the `AsyncFd`.
        let fd = unsafe { AsyncFd::register_with_interest(self.clone(), Interest::READABLE) };
        Ok(Edges(fd.map_err(io::Error::from)?))
    }
}

impl AsRawFd for InPin {
    fn as_raw_fd(&self) -> RawFd {
        self.0.request.as_raw_fd()
    }
}

impl ErrorType for InPin {
    type Error = GpioError;
}

impl InputPin for InPin {
    fn is_high(&mut self) -> Result<bool, GpioError> {
        let value = self.0.request.lone_value().map_err(system(&self.0.pin))?;
        Ok(value == Value::Active)
    }

    fn is_low(&mut self) -> Result<bool, GpioError> {
        self.is_high().map(|high| !high)
    }
}

/// Hears the edges of a line.
#[derive(Debug)]
pub struct Edges(AsyncFd<InPin>);

impl Edges {
    /// Waits for an edge, and forgets those that are there: what matters is the level, and that is read.
    ///
    /// # Errors
    /// What the system says.
    pub async fn next(&self) -> io::Result<()> {
        let mut ready = self.0.readable().await?;
        let request = &ready.get_inner().0.request;
        while request.has_edge_event().map_err(io::Error::other)? {
            request.read_edge_event().map_err(io::Error::other)?;
        }
        ready.clear_ready();
        Ok(())
    }
}

fn consumer(what: &str) -> String {
    format!("soundpost {what}")
}

fn value(level: PinState) -> Value {
    match level {
        PinState::High => Value::Active,
        PinState::Low => Value::Inactive,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pin(text: &str) -> PinName {
        text.parse().unwrap()
    }

    #[test]
    fn names_survive_being_written_and_read() {
        for text in
            ["gpiochip0/17", "gpiochip12/0,active-low", "gpiochip1/3,active-low,pull-up", "gpiochip0/1,pull-down"]
        {
            assert_eq!(pin(text).to_string(), text);
        }
        assert!(pin("gpiochip0/1,pull-up").is_same_line(&pin("gpiochip0/1,active-low")));
        assert!(!pin("gpiochip0/1").is_same_line(&pin("gpiochip1/1")));
    }

    #[test]
    fn what_names_no_pin_is_told_what_does() {
        for text in ["", "17", "gpiochip0", "gpiochip0/", "gpiochip/1", "gpiochip0/+1", "gpiochip0/99999999999", "led0"]
        {
            let error = text.parse::<PinName>().unwrap_err().to_string();
            assert!(error.contains("such as gpiochip0/17"), "{text}: {error}");
        }
        for text in ["gpiochip0/1,", "gpiochip0/1,low", "gpiochip0/1,pull-up,pull-down"] {
            assert!(matches!(text.parse::<PinName>(), Err(PinNameError::Option(_))), "{text}");
        }
    }

    #[test]
    fn a_chip_that_is_not_there_is_named() {
        let name = pin("gpiochip4000000/1");
        let error = OutPin::open(&name, "lamp", PinState::Low).unwrap_err();
        assert!(error.to_string().contains("there is no /dev/gpiochip4000000"), "{error}");
        assert!(matches!(InPin::open(&name, "switch"), Err(GpioError::NoChip(_))));
    }

    #[test]
    fn an_output_takes_no_pull_resistor() {
        let error = OutPin::open(&pin("gpiochip4000000/1,pull-up"), "lamp", PinState::Low).unwrap_err();
        assert!(matches!(error, GpioError::Bias(_)), "{error}");
    }
}
