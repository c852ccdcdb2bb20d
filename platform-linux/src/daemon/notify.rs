//! What the service manager is told, if there is one: systemd's protocol of datagrams, which is lines of `NAME=value`.
//!
//! The watchdog is fed while both directions make progress, or their supervisors are seeing to it: a daemon that lives but
//! whose sound was given up starves it, and is started anew if the unit says so.

use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::Path;
use std::time::Duration;

/// The service manager, or nobody.
#[derive(Debug, Default)]
pub(super) struct Manager {
    line: Option<UnixDatagram>,
    /// How often it wants to hear of us.
    watchdog: Option<Duration>,
}

impl Manager {
    /// As the environment says.
    pub(super) fn from_environment() -> Self {
        let Some(address) = std::env::var_os("NOTIFY_SOCKET") else { return Self::default() };
        let number = |name: &str| std::env::var(name).ok()?.parse::<u64>().ok();
        let ours = number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(std::process::id()));
        let watchdog = number("WATCHDOG_USEC").filter(|micros| ours && *micros > 0).map(Duration::from_micros);
        let address = match address.as_bytes() {
            [b'@', name @ ..] => SocketAddr::from_abstract_name(name),
            _ => SocketAddr::from_pathname(Path::new(&address)),
        };
        let line = address.and_then(|address| {
            let line = UnixDatagram::unbound()?;
            line.set_nonblocking(true)?;
            line.connect_addr(&address)?;
            Ok(line)
        });
        let line =
            line.inspect_err(|error| tracing::warn!("the service manager cannot be told anything: {error}")).ok();
        Self { line, watchdog }
    }

    /// Tells it something.
    pub(super) fn say(&self, lines: &str) {
        if let Some(Err(error)) = self.line.as_ref().map(|line| line.send(lines.as_bytes())) {
            tracing::debug!("the service manager was not told: {error}");
        }
    }

    /// When it is to hear of us: twice as often as it wants to.
    pub(super) fn meals(&self) -> Meals {
        let often = self.watchdog.filter(|_| self.line.is_some());
        Meals(often.map(|often| tokio::time::interval(often / 2)))
    }
}

/// The times at which a watchdog is fed.
#[derive(Debug)]
pub(super) struct Meals(Option<tokio::time::Interval>);

impl Meals {
    /// Waits for the next; for ever if there is no watchdog.
    pub(super) async fn next(&mut self) {
        match &mut self.0 {
            Some(interval) => _ = interval.tick().await,
            None => std::future::pending().await,
        }
    }
}
