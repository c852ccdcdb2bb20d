//! How much clients may do.

/// So many at once, and so many a second from then on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Allowance {
    /// The most at once.
    pub burst: u32,
    /// What comes back each second.
    pub per_second: u32,
}

/// What the daemon takes from clients before it sends them away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Limits {
    /// Connections of one user. The burst lets everybody come back at once after a restart of the daemon.
    pub connections: Allowance,
    /// Packets and reports of one client. The shortest frames are 400 a second; a talker that was held up for a while
    /// sends what has gathered.
    pub audio: Allowance,
    /// Requests of one client. Each costs the daemon as much as some packets to a listener.
    pub control: Allowance,
    /// Requests over HTTP, of all together: a page that asks every tenth of a second on twenty screens.
    pub http: Allowance,
    /// Log lines about clients that were sent away; the rest is counted.
    pub refusal_lines: Allowance,
    /// Log lines about clients that come and go.
    pub visitor_lines: Allowance,
}

/// The limits of every client.
pub const LIMITS: Limits = Limits {
    connections: Allowance { burst: 1200, per_second: 200 },
    audio: Allowance { burst: 1000, per_second: 1000 },
    control: Allowance { burst: 100, per_second: 50 },
    http: Allowance { burst: 1000, per_second: 200 },
    refusal_lines: Allowance { burst: 20, per_second: 1 },
    visitor_lines: Allowance { burst: 200, per_second: 5 },
};
