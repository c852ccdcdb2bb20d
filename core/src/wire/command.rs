//! What a controller asks for, what it is answered, and what the daemon tells on its own.
//!
//! Numbers that are not known here stay numbers: a verb is answered with [`Outcome::UnknownVerb`], a notice is passed
//! over. So verbs and notices can be added while older programs go on.

use super::WireError;
use crate::config::Direction;

/// Something that a controller may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u16)]
pub enum Verb {
    /// Which verbs there are. No arguments.
    Verbs = 0,
    /// How the daemon is doing. No arguments.
    Status = 1,
    /// Mute or unmute a direction: two bytes, see [`Mute`].
    Mute = 2,
    /// Other values for keys of the configuration: see [`Assignments`].
    Set = 3,
    /// Read the configuration's file again. No arguments.
    Reload = 4,
    /// Have a direction's worker run: its number, as in [`Mute`].
    Start = 5,
    /// Have it not run: the same.
    Stop = 6,
    /// Try again the workers that were given up. No arguments.
    Reset = 7,
    /// Tell every change from now on, each in another answer. No arguments.
    Watch = 8,
}

impl Verb {
    /// All verbs, in the order of their numbers.
    pub const ALL: [Self; 9] = [
        Self::Verbs,
        Self::Status,
        Self::Mute,
        Self::Set,
        Self::Reload,
        Self::Start,
        Self::Stop,
        Self::Reset,
        Self::Watch,
    ];

    /// The verb's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Verbs => "verbs",
            Self::Status => "status",
            Self::Mute => "mute",
            Self::Set => "set",
            Self::Reload => "reload",
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Reset => "reset",
            Self::Watch => "watch",
        }
    }

    /// The verb with this number, if it is known here.
    #[must_use]
    pub fn from_number(number: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|verb| *verb as u16 == number)
    }
}

/// A controller's wish: a tag of four bytes that comes back with the answer, the verb's number, two bytes of zero, and
/// the verb's arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Command<'a> {
    /// Comes back with the answer.
    pub tag: u32,
    /// What is wished for; perhaps a number that is not known here.
    pub verb: u16,
    /// More about it.
    pub arguments: &'a [u8],
}

/// The most bytes of a verb's arguments.
pub const ARGUMENTS_MAX: usize = 248;

impl<'a> Command<'a> {
    /// Reads a command's payload.
    ///
    /// # Errors
    /// [`WireError::Incomplete`] if it is cut short.
    pub fn parse(payload: &'a [u8]) -> Result<Self, WireError> {
        let (tag, verb, arguments) = split(payload)?;
        Ok(Self { tag, verb, arguments })
    }

    /// Writes the payload into `out`; returns its length.
    ///
    /// # Errors
    /// [`WireError::Length`] if it does not fit.
    pub fn emit(&self, out: &mut [u8]) -> Result<usize, WireError> {
        join(self.tag, self.verb, self.arguments, out)
    }
}

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u16)]
pub enum Outcome {
    /// It is done; the text is JSON.
    Done = 0,
    /// The verb is not known here; the text names those that are.
    UnknownVerb = 1,
    /// An argument has a value that it cannot have; the text names it and what is allowed.
    BadArgument = 2,
    /// It cannot be done now; the text says why.
    Unavailable = 3,
}

impl Outcome {
    /// All outcomes, in the order of their numbers.
    pub const ALL: [Self; 4] = [Self::Done, Self::UnknownVerb, Self::BadArgument, Self::Unavailable];
}

/// The answer to a command: its tag, how it ended, two bytes of zero, and a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Answer<'a> {
    /// That of the command.
    pub tag: u32,
    /// How it ended; perhaps a number that is not known here, which is no success.
    pub outcome: u16,
    /// JSON if it is done, else why not, in words.
    pub text: &'a str,
}

impl<'a> Answer<'a> {
    /// Reads an answer's payload.
    ///
    /// # Errors
    /// [`WireError`] if it is cut short or no text.
    pub fn parse(payload: &'a [u8]) -> Result<Self, WireError> {
        let (tag, outcome, text) = split(payload)?;
        let text = core::str::from_utf8(text).map_err(|_| WireError::Text("answer"))?;
        Ok(Self { tag, outcome, text })
    }

    /// Writes the payload into `out`; returns its length.
    ///
    /// # Errors
    /// [`WireError::Length`] if it does not fit.
    pub fn emit(&self, out: &mut [u8]) -> Result<usize, WireError> {
        join(self.tag, self.outcome, self.text.as_bytes(), out)
    }

    /// Whether the command is done.
    #[must_use]
    pub const fn is_done(&self) -> bool {
        self.outcome == Outcome::Done as u16
    }
}

/// Bytes in front of a command's arguments and of an answer's text.
pub const COMMAND_LEAD: usize = 8;

fn split(payload: &[u8]) -> Result<(u32, u16, &[u8]), WireError> {
    let short = WireError::Incomplete { needed: COMMAND_LEAD };
    let (lead, rest) = payload.split_first_chunk::<COMMAND_LEAD>().ok_or(short)?;
    let [t0, t1, t2, t3, n0, n1, _, _] = *lead;
    Ok((u32::from_le_bytes([t0, t1, t2, t3]), u16::from_le_bytes([n0, n1]), rest))
}

fn join(tag: u32, number: u16, rest: &[u8], out: &mut [u8]) -> Result<usize, WireError> {
    let length = rest.len().saturating_add(COMMAND_LEAD);
    let too_long = WireError::Length { got: length, min: COMMAND_LEAD, max: out.len() };
    let (lead, room) =
        out.get_mut(..length).and_then(|out| out.split_first_chunk_mut::<COMMAND_LEAD>()).ok_or(too_long)?;
    let [t0, t1, t2, t3] = tag.to_le_bytes();
    let [n0, n1] = number.to_le_bytes();
    *lead = [t0, t1, t2, t3, n0, n1, 0, 0];
    room.copy_from_slice(rest);
    Ok(length)
}

/// The arguments of [`Verb::Mute`]: a direction (1 capture, 2 playback), and 1 to mute or 0 to unmute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Mute {
    /// What is muted.
    pub direction: Direction,
    /// Whether it is.
    pub muted: bool,
}

impl Mute {
    /// Reads the arguments.
    ///
    /// # Errors
    /// [`WireError`] naming the field.
    pub const fn parse(arguments: &[u8]) -> Result<Self, WireError> {
        let [direction, muted] = *arguments else {
            return Err(WireError::Length { got: arguments.len(), min: 2, max: 2 });
        };
        let direction = match parse_direction(&[direction]) {
            Ok(direction) => direction,
            Err(error) => return Err(error),
        };
        match muted {
            0 | 1 => Ok(Self { direction, muted: muted == 1 }),
            other => Err(WireError::Field("mute (0 or 1)", other as u32)),
        }
    }

    /// The arguments.
    #[must_use]
    pub const fn emit(self) -> [u8; 2] {
        let [direction] = emit_direction(self.direction);
        [direction, self.muted as u8]
    }
}

/// Reads the arguments of [`Verb::Start`] and [`Verb::Stop`]: a direction.
///
/// # Errors
/// [`WireError`] naming the field.
pub const fn parse_direction(arguments: &[u8]) -> Result<Direction, WireError> {
    match *arguments {
        [1] => Ok(Direction::Capture),
        [2] => Ok(Direction::Playback),
        [other] => Err(WireError::Field("direction (1 capture, 2 playback)", other as u32)),
        _ => Err(WireError::Length { got: arguments.len(), min: 1, max: 1 }),
    }
}

/// A direction as an argument.
#[must_use]
pub const fn emit_direction(direction: Direction) -> [u8; 1] {
    match direction {
        Direction::Capture => [1],
        Direction::Playback => [2],
    }
}

/// The arguments of [`Verb::Set`]: lines of UTF-8, each `KEY=VALUE`, with the whole name of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Assignments<'a>(&'a str);

impl<'a> Assignments<'a> {
    /// Reads the arguments.
    ///
    /// # Errors
    /// [`WireError::Text`] if there is none, or a line without `=` or without a key.
    pub fn parse(arguments: &'a [u8]) -> Result<Self, WireError> {
        let text = core::str::from_utf8(arguments).map_err(|_| WireError::Text("assignments"))?;
        let is_one = |line: &str| line.split_once('=').is_some_and(|(key, _)| !key.is_empty());
        // An empty text has one line, an empty one.
        if text.split('\n').all(is_one) {
            Ok(Self(text))
        } else {
            Err(WireError::Text("assignments (lines of KEY=VALUE)"))
        }
    }

    /// Keys and values.
    pub fn iter(&self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        self.0.split('\n').filter_map(|line| line.split_once('='))
    }
}

/// What the daemon tells a client on its own, 16 bytes, if the client asked for that in its greeting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Notice {
    /// Packets were dropped for this client: one that listens did not read in time, one that talks sent too many.
    Dropped {
        /// Since the notice before, if there was one.
        fresh: u32,
        /// Since it was welcomed.
        total: u64,
    },
    /// Something that is not known here.
    Unknown(u16),
}

/// The number of [`Notice::Dropped`].
const DROPPED: u16 = 1;

impl Notice {
    /// Reads a notice's payload.
    ///
    /// # Errors
    /// [`WireError::Incomplete`] if it is cut short.
    pub fn parse(payload: &[u8]) -> Result<Self, WireError> {
        let fields = payload.first_chunk::<16>().ok_or(WireError::Incomplete { needed: 16 })?;
        let [w0, w1, _, _, f0, f1, f2, f3, t0, t1, t2, t3, t4, t5, t6, t7] = *fields;
        Ok(match u16::from_le_bytes([w0, w1]) {
            DROPPED => Self::Dropped {
                fresh: u32::from_le_bytes([f0, f1, f2, f3]),
                total: u64::from_le_bytes([t0, t1, t2, t3, t4, t5, t6, t7]),
            },
            other => Self::Unknown(other),
        })
    }

    /// The payload.
    #[must_use]
    pub fn emit(&self) -> [u8; 16] {
        let (what, fresh, total) = match *self {
            Self::Dropped { fresh, total } => (DROPPED, fresh, total),
            Self::Unknown(what) => (what, 0, 0),
        };
        let [w0, w1] = what.to_le_bytes();
        let [f0, f1, f2, f3] = fresh.to_le_bytes();
        let [t0, t1, t2, t3, t4, t5, t6, t7] = total.to_le_bytes();
        [w0, w1, 0, 0, f0, f1, f2, f3, t0, t1, t2, t3, t4, t5, t6, t7]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::string::String;
    use std::vec::Vec;

    proptest! {
        #![proptest_config(ProptestConfig {
            cases: if cfg!(miri) { 4 } else { 256 },
            failure_persistence: if cfg!(miri) { None } else { ProptestConfig::default().failure_persistence },
            ..ProptestConfig::default()
        })]

        #[test]
        fn commands_answers_and_notices_survive_the_wire(
            tag: u32, number: u16, arguments: Vec<u8>, text: String, fresh: u32, total: u64,
        ) {
            let mut out = std::vec![0; COMMAND_LEAD + arguments.len().max(text.len())];
            let command = Command { tag, verb: number, arguments: &arguments };
            let length = command.emit(&mut out).unwrap();
            prop_assert_eq!(Command::parse(&out[..length]), Ok(command));
            let answer = Answer { tag, outcome: number, text: &text };
            let length = answer.emit(&mut out).unwrap();
            prop_assert_eq!(Answer::parse(&out[..length]), Ok(answer));
            let notice = Notice::Dropped { fresh, total };
            prop_assert_eq!(Notice::parse(&notice.emit()), Ok(notice));
        }
    }

    #[test]
    fn what_is_not_known_stays_a_number() {
        assert_eq!(Verb::from_number(2), Some(Verb::Mute));
        assert!(Verb::ALL.into_iter().enumerate().all(|(n, verb)| n == verb as usize));
        assert_eq!(Verb::from_number(999), None);
        assert!(Verb::ALL.into_iter().all(|verb| Verb::from_number(verb as u16) == Some(verb)));
        assert_eq!(Notice::parse(&Notice::Unknown(7).emit()), Ok(Notice::Unknown(7)));
        let answer = Answer { tag: 1, outcome: 77, text: "" };
        assert!(!answer.is_done());
        assert!(Outcome::ALL.into_iter().enumerate().all(|(n, outcome)| n == outcome as usize));
    }

    #[test]
    fn what_is_wrong_is_named() {
        assert_eq!(Command::parse(&[0; 7]), Err(WireError::Incomplete { needed: 8 }));
        assert_eq!(Answer::parse(&[0, 0, 0, 0, 0, 0, 0, 0, 0xff]), Err(WireError::Text("answer")));
        assert_eq!(Notice::parse(&[0; 15]), Err(WireError::Incomplete { needed: 16 }));
        assert!(Command { tag: 0, verb: 0, arguments: &[0; 3] }.emit(&mut [0; 10]).is_err());
        for mute in [true, false].map(|muted| Mute { direction: Direction::Playback, muted }) {
            assert_eq!(Mute::parse(&mute.emit()), Ok(mute));
        }
        assert_eq!(Mute::parse(&[3, 0]), Err(WireError::Field("direction (1 capture, 2 playback)", 3)));
        assert_eq!(Mute::parse(&[1, 2]), Err(WireError::Field("mute (0 or 1)", 2)));
        assert_eq!(Mute::parse(&[1]), Err(WireError::Length { got: 1, min: 2, max: 2 }));
        for direction in [Direction::Capture, Direction::Playback] {
            assert_eq!(parse_direction(&emit_direction(direction)), Ok(direction));
        }
        assert_eq!(parse_direction(&[0]), Err(WireError::Field("direction (1 capture, 2 playback)", 0)));
        assert_eq!(parse_direction(&[]), Err(WireError::Length { got: 0, min: 1, max: 1 }));
    }

    #[test]
    fn assignments_are_lines_and_a_value_may_be_anything_else() {
        let said = Assignments::parse(b"a.b=c=d\ne=").unwrap();
        assert_eq!(said.iter().collect::<Vec<_>>(), [("a.b", "c=d"), ("e", "")]);
        for bad in [&b""[..], b"a", b"=b", b"a=b\n", b"\xff=b"] {
            assert!(matches!(Assignments::parse(bad), Err(WireError::Text(_))), "{bad:?}");
        }
    }
}
