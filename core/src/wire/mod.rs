//! Bytes and their meaning, version 1 of the protocol in `docs/protocol.md`. No I/O.
//!
//! A message is a [`Header`] of 32 bytes and a payload. Parsing is incremental: [`parse`] takes whatever
//! bytes are there and returns a whole message and the rest, or says how many bytes it needs. Numbers are
//! little-endian. Every byte string either parses or yields a [`WireError`] that says what is wrong.

mod command;
mod control;
mod frame;
mod header;
pub mod redundant;

pub use command::{
    ARGUMENTS_MAX, Answer, Assignments, COMMAND_LEAD, Command, Mute, Notice, Outcome, Verb, emit_direction,
    parse_direction,
};
pub use control::{Additions, ErrorCode, Fault, Hello, Report, Role, Welcome};
pub use frame::Frame;
pub use header::{Flags, HEADER_LEN, Header, Kind, VERSION};

/// The bytes are not a message of this protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum WireError {
    /// So far it may be one; it takes this many bytes in all.
    Incomplete {
        /// Bytes needed, from the start of the message.
        needed: usize,
    },
    /// It does not begin with `SP`.
    Magic([u8; 2]),
    /// A version that is not spoken here.
    Version(u8),
    /// A kind of message that does not exist.
    Kind(u8),
    /// A payload that is too short or too long for its kind.
    Length {
        /// What the header says.
        got: usize,
        /// The least.
        min: usize,
        /// The most.
        max: usize,
    },
    /// A field has a value that it cannot have.
    Field(&'static str, u32),
    /// A name or text is not UTF-8.
    Text(&'static str),
}

impl core::fmt::Display for WireError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Incomplete { needed } => {
                write!(f, "message cut short: {needed} bytes are needed")
            }
            Self::Magic([a, b]) => write!(f, "not a soundpost message: starts with {a:02x} {b:02x}, not 53 50"),
            Self::Version(version) => write!(f, "protocol version {version} is not spoken here; allowed: {VERSION}"),
            Self::Kind(kind) => write!(f, "message kind {kind} does not exist; allowed: 1 to {}", Kind::LAST as u8),
            Self::Length { got, min, max } => {
                write!(f, "payload of {got} bytes; allowed for this kind of message: {min} to {max}")
            }
            Self::Field(name, value) => write!(f, "field {name} cannot be {value}"),
            Self::Text(name) => write!(f, "field {name} is not UTF-8"),
        }
    }
}

impl core::error::Error for WireError {}

/// Splits the first message off `bytes`: its header, its payload, and what follows it.
///
/// # Errors
/// [`WireError::Incomplete`] if more bytes are needed, anything else if these cannot become a message.
pub fn parse(bytes: &[u8]) -> Result<(Header, &[u8], &[u8]), WireError> {
    let header = Header::parse(bytes)?;
    let end = HEADER_LEN.saturating_add(usize::from(header.length));
    let needed = WireError::Incomplete { needed: end };
    let (message, rest) = bytes.split_at_checked(end).ok_or(needed)?;
    let payload = message.get(HEADER_LEN..).ok_or(needed)?;
    Ok((header, payload, rest))
}

/// Writes a message without stream fields (anything but a packet) into `out`; returns its length.
///
/// # Errors
/// [`WireError::Length`] if it does not fit into `out` or into a message of that kind.
pub fn emit(kind: Kind, payload: &[u8], out: &mut [u8]) -> Result<usize, WireError> {
    let header = Header::new(kind, payload.len())?;
    let end = HEADER_LEN.saturating_add(payload.len());
    let room = out.len().saturating_sub(HEADER_LEN);
    let too_long = WireError::Length { got: payload.len(), min: 0, max: room };
    let message = out.get_mut(..end).ok_or(too_long)?;
    let (head, body) = message.split_at_mut_checked(HEADER_LEN).ok_or(too_long)?;
    head.copy_from_slice(&header.emit());
    body.copy_from_slice(payload);
    Ok(end)
}
