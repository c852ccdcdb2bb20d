//! Where HTTP is served, and to whom: an address, and a token without which nobody beyond this machine is let in.

use soundpost_core::capacity::HTTP_TOKEN_MIN;
use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Where HTTP is served if nobody says otherwise.
pub const DEFAULT: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 4886));

/// Where HTTP is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listen {
    /// Nowhere.
    Off,
    /// At this address.
    At(SocketAddr),
}

impl FromStr for Listen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "" | "off" => Ok(Self::Off),
            address => address.parse().map(Self::At).map_err(|_| {
                format!("{text:?} is no address; allowed: ADDRESS:PORT, such as {DEFAULT} or [::1]:80, or off")
            }),
        }
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.write_str("off"),
            Self::At(address) => address.fmt(f),
        }
    }
}

/// Why HTTP is not served.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The address.
    #[error(
        "http.listen {address}: {source}{}; choose another address with --http ADDRESS:PORT or http.listen, or `off`",
        owner(source)
    )]
    Bind {
        /// Where.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// Everybody could command the daemon.
    #[error(
        "http.listen {0}: whoever reaches that address could listen and talk here; allowed: 127.0.0.1:PORT or \
         [::1]:PORT, or any address with a token: put {HTTP_TOKEN_MIN} or more characters into a file and name it with \
         --http-token-file or http.token-file"
    )]
    Open(SocketAddr),
    /// The token.
    #[error("http.token-file {path}: {why}")]
    Token {
        /// Its file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
}

fn owner(source: &io::Error) -> &'static str {
    if source.kind() == io::ErrorKind::AddrInUse { " (another program listens there)" } else { "" }
}

/// A secret of whoever may command the daemon.
#[derive(Clone)]
pub(crate) struct Token(String);

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token")
    }
}

impl Token {
    fn read(path: &Path) -> Result<Self, HttpError> {
        let wrong = |why: String| HttpError::Token { path: path.to_owned(), why };
        let mode = std::fs::metadata(path).map_err(|e| wrong(format!("cannot be read: {e}")))?.mode() & 0o777;
        if mode & 0o007 != 0 {
            return Err(wrong(format!("everybody can get at it (mode {mode:04o}); allowed: mode 0600 or 0640")));
        }
        let text = std::fs::read_to_string(path).map_err(|e| wrong(format!("cannot be read: {e}")))?;
        let token = text.trim();
        let is_plain = token.bytes().all(|byte| byte.is_ascii_graphic());
        if token.len() < HTTP_TOKEN_MIN || !is_plain {
            return Err(wrong(format!(
                "holds {} bytes; allowed: one line of {HTTP_TOKEN_MIN} or more letters, digits and signs, without blanks",
                token.len()
            )));
        }
        Ok(Self(token.to_owned()))
    }

    /// Whether it is this one. How long that takes says nothing about the token but its length.
    pub(crate) fn is(&self, other: &str) -> bool {
        let (ours, theirs) = (self.0.as_bytes(), other.as_bytes());
        let differences = ours.iter().zip(theirs).fold(0, |sum, (a, b)| std::hint::black_box(sum | (a ^ b)));
        ours.len() == theirs.len() && differences == 0
    }
}

/// A place where HTTP is served.
#[derive(Debug)]
pub(crate) struct Counter {
    pub(crate) listener: TcpListener,
    pub(crate) address: SocketAddr,
    pub(crate) token: Option<Token>,
}

impl Counter {
    /// Where to find it.
    pub(crate) fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// Listens as it was asked for. What nobody asked for and cannot be done is no fault: then there is none.
    ///
    /// # Errors
    /// [`HttpError`].
    pub(crate) fn open(listen: Option<Listen>, token_file: Option<&Path>) -> Result<Option<Self>, HttpError> {
        let token = token_file.map(Token::read).transpose()?;
        let address = match listen {
            Some(Listen::Off) => return Ok(None),
            Some(Listen::At(address)) => address,
            None => DEFAULT,
        };
        if token.is_none() && !address.ip().is_loopback() {
            return Err(HttpError::Open(address));
        }
        let bound = TcpListener::bind(address).and_then(|listener| {
            listener.set_nonblocking(true)?;
            let address = listener.local_addr()?;
            Ok(Self { listener, address, token })
        });
        match bound.map_err(|source| HttpError::Bind { address, source }) {
            Ok(counter) => Ok(Some(counter)),
            Err(error) if listen.is_none() => {
                tracing::warn!("no control over HTTP: {error}");
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn an_address_needs_its_port_and_off_is_one_too() {
        for (text, listen) in
            [("127.0.0.1:80", Some("127.0.0.1:80")), ("[::1]:80", Some("[::1]:80")), ("off", None), ("", None)]
        {
            let expected = listen.map_or(Listen::Off, |address| Listen::At(address.parse().unwrap()));
            assert_eq!(text.parse(), Ok(expected));
        }
        for bad in ["127.0.0.1", ":80", "localhost:80", "1.2.3.4:70000", "on"] {
            assert!(bad.parse::<Listen>().unwrap_err().contains("allowed: ADDRESS:PORT"), "{bad}");
        }
    }

    #[test]
    fn nobody_listens_beyond_this_machine_without_a_token() {
        for address in ["0.0.0.0:0", "[::]:0", "192.168.1.1:0"] {
            let error = Counter::open(Some(address.parse().unwrap()), None).unwrap_err().to_string();
            assert!(error.contains(address) && error.contains("--http-token-file"), "{error}");
        }
    }

    #[test]
    fn a_token_is_a_secret_of_some_length_in_a_file_of_ones_own() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        let read = |text: &str, mode| {
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            Token::read(&path)
        };
        let token = read("0123456789abcdef\n", 0o640).unwrap();
        assert!(token.is("0123456789abcdef"));
        for other in ["", "0123456789abcde", "0123456789abcdeF", "0123456789abcdef0"] {
            assert!(!token.is(other), "{other}");
        }
        assert!(!format!("{token:?}").contains("0123"));
        for (text, mode, named) in [
            ("0123456789abcdef", 0o644, "0600"),
            ("short", 0o600, "16"),
            ("0123456789abcde f", 0o600, "without blanks"),
        ] {
            let error = read(text, mode).unwrap_err().to_string();
            assert!(error.contains("token") && error.contains(named), "{error}");
        }
        std::fs::remove_file(&path).unwrap();
        assert!(Token::read(&path).unwrap_err().to_string().contains("cannot be read"));
    }

    #[test]
    fn a_taken_port_is_an_error_for_who_asked_for_it() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        let error = Counter::open(Some(Listen::At(address)), None).unwrap_err().to_string();
        assert!(error.contains("another program") && error.contains("--http"), "{error}");
    }
}
