//! A daemon with HTTP at a port of its own, and a client that is no library: it sees every byte.

use serde_json::Value;
use soundpost_tests::proc::Program;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::time::Duration;

pub(crate) const SOON: Duration = Duration::from_secs(60);

pub(crate) struct House {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) daemon: Program,
    /// Address and port.
    pub(crate) host: String,
}

impl House {
    /// On the synthetic source, at a free port.
    pub(crate) fn open(args: &[&str]) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        Self::open_in(dir, &[&["--http", "127.0.0.1:0"], args].concat())
    }

    pub(crate) fn open_in(dir: tempfile::TempDir, args: &[&str]) -> Self {
        let daemon = Self::start(&dir, args);
        let line = daemon.wait_for_line(|line| line.trim_start().starts_with("control "), SOON);
        let host = line.split("http://").nth(1).expect("an address").trim_end_matches('/').to_owned();
        Self { dir, daemon, host }
    }

    /// One of which it is not known whether it serves HTTP.
    pub(crate) fn start(dir: &tempfile::TempDir, args: &[&str]) -> Program {
        let socket = dir.path().join("s.sock").display().to_string();
        let always = ["run", "--capture", "tone:", "--playback", "null", "--socket", &socket];
        Program::spawn(&[&always, args].concat(), &[])
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.dir.path().join("s.sock")
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.host).expect("a connection");
        stream.set_read_timeout(Some(SOON)).expect("a deadline");
        stream
    }

    /// Sends these bytes and reads until the daemon closes.
    pub(crate) fn raw(&self, bytes: &[u8]) -> Reply {
        let mut stream = self.connect();
        // It may be refused before all of it is sent.
        let _ = stream.write_all(bytes);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        Reply::of(&answer)
    }

    pub(crate) fn ask(&self, method: &str, path: &str, lines: &[(&str, &str)], body: &str) -> Reply {
        let mut head = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\n");
        if !lines.iter().any(|(name, _)| *name == "Host") {
            head.push_str(&format!("Host: {}\r\n", self.host));
        }
        lines.iter().for_each(|(name, value)| head.push_str(&format!("{name}: {value}\r\n")));
        if !body.is_empty() {
            head.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        self.raw(format!("{head}\r\n{body}").as_bytes())
    }

    pub(crate) fn get(&self, path: &str) -> Reply {
        self.ask("GET", path, &[], "")
    }

    pub(crate) fn post(&self, path: &str) -> Reply {
        self.ask("POST", path, &[], "")
    }

    fn with(&self, method: &str, path: &str, body: &Value) -> Reply {
        self.ask(method, path, &[("Content-Type", "application/json")], &body.to_string())
    }

    pub(crate) fn patch(&self, path: &str, body: &Value) -> Reply {
        self.with("PATCH", path, body)
    }

    pub(crate) fn put(&self, path: &str, body: &Value) -> Reply {
        self.with("PUT", path, body)
    }

    /// Mutes the microphone or not.
    pub(crate) fn mute(&self, muted: bool) -> Value {
        self.put("/api/v1/mute", &serde_json::json!({ "capture": muted })).json()
    }

    pub(crate) fn soundpost(&self, args: &[&str]) -> Program {
        Program::spawn(&[args, &["--socket", &self.socket().display().to_string()]].concat(), &[])
    }
}

/// An answer; with the status 0 if there was none.
#[derive(Debug, Default)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    pub(crate) fn of(bytes: &[u8]) -> Self {
        let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { return Self::default() };
        let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        Self { status, head, body: bytes[end + 4..].to_vec() }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}
