//! What many listeners cost, and what a stalled one does to the others: `cargo xtask bench ipc`.
//!
//! A daemon of its own serves real listeners on a real socket, all read by this one thread. A hop is the time from when
//! the last sample of a frame was captured until a listener has the packet: coding, the way between the daemon's
//! threads, the sends to all listeners before this one, and the wait until this thread reads. Prints Markdown and judges.

#[path = "support/house.rs"]
mod house;

use house::{House, argument, cpu_ns, now_us};
use rustix::event::epoll;
use soundpost_client::blocking::Connection;
use soundpost_client::{Additions, Event, Hello, Role};
use std::os::fd::OwnedFd;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Look-ahead of the encoder at the default preset, in samples.
const LOOKAHEAD: u64 = 120;

/// How much longer the others' slowest hundredth may take when one stalls.
const RATIO_MAX: f64 = 1.25;

type Failure = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<bool, Failure> {
    let seconds: u64 = argument("--seconds")?.unwrap_or(10);
    println!("| listeners | packets/s | lost | hop p50 | hop p99 | I/O thread | per listener and packet |");
    println!("|--:|--:|--:|--:|--:|--:|--:|");
    let mut idle = 0.0;
    for count in [0, 1, 10, 100, 500] {
        let house = House::open(&["--clients-max", "600"])?;
        let mut crowd = Crowd::join(&house, count)?;
        // The first packets come while the last listeners join.
        crowd.read(Duration::from_secs(1), None)?;
        let (begin, before) = (Instant::now(), cpu_ns(house.id())?);
        let mut seen = crowd.read(Duration::from_secs(seconds), None)?;
        let (took, used) = (begin.elapsed(), (cpu_ns(house.id())? - before) as f64);
        if count == 0 {
            idle = used / took.as_secs_f64();
            continue;
        }
        let each = (used - idle * took.as_secs_f64()) / seen.hops.len().max(1) as f64;
        let (p50, p99) = (seen.percentile(50), seen.percentile(99));
        println!(
            "| {count} | {:.0} | {} | {p50} µs | {p99} µs | {:.1} % | {:.1} µs |",
            seen.hops.len() as f64 / took.as_secs_f64(),
            seen.lost,
            used / took.as_nanos() as f64 * 100.0,
            each / 1000.0,
        );
    }
    stalled(seconds)
}

/// 500 listeners, one of whom reads in every other slice only.
fn stalled(seconds: u64) -> Result<bool, Failure> {
    let house = House::open(&["--clients-max", "600"])?;
    let mut crowd = Crowd::join(&house, 500)?;
    crowd.read(Duration::from_secs(1), None)?;
    let (mut ratios, mut all, mut one) = (Vec::new(), Seen::default(), Seen::default());
    let mut told = 0;
    for slice in 0..seconds.max(5) {
        let slice_time = Duration::from_secs(1);
        let mut pair = [Seen::default(), Seen::default()];
        // Which comes first changes, so that a slow drift of the machine favours neither.
        for turn in 0..2 {
            let stalls = (turn + slice) % 2 == 1;
            pair[usize::from(stalls)] = crowd.read(slice_time, stalls.then_some(0))?;
            if stalls {
                told += crowd.drain(0)?;
            }
        }
        let [mut without, mut with] = pair;
        ratios.push(f64::from(with.percentile(99)) / f64::from(without.percentile(99).max(1)));
        all.add(without);
        one.add(with);
    }
    ratios.sort_by(f64::total_cmp);
    let ratio = ratios[ratios.len() / 2];
    println!("\n| 500 listeners | hop p50 | hop p99 |\n|---|--:|--:|");
    for (name, seen) in [("all read", &mut all), ("one stalls", &mut one)] {
        println!("| {name} | {} µs | {} µs |", seen.percentile(50), seen.percentile(99));
    }
    println!();
    let lost = all.lost + one.lost;
    let goals = [
        (
            "p99 of the others, to when all read",
            format!("{ratio:.2} (median of pairs; at most {RATIO_MAX})"),
            ratio <= RATIO_MAX,
        ),
        ("packets that the others lost", format!("{lost} (0)"), lost == 0),
        ("packets that the stalled one was told it lost", format!("{told} (more than 0)"), told > 0),
    ];
    for (says, found, holds) in &goals {
        println!("{}  {says}: {found}", if *holds { "PASS" } else { "FAIL" });
    }
    Ok(goals.iter().all(|(_, _, holds)| *holds))
}

/// What listeners saw.
#[derive(Default)]
struct Seen {
    hops: Vec<u32>,
    /// Packets missing in the sequences.
    lost: u64,
}

impl Seen {
    fn percentile(&mut self, percent: usize) -> u32 {
        self.hops.sort_unstable();
        self.hops.get((self.hops.len() * percent / 100).min(self.hops.len().saturating_sub(1))).copied().unwrap_or(0)
    }

    fn add(&mut self, other: Self) {
        self.hops.extend(other.hops);
        self.lost += other.lost;
    }
}

struct Crowd {
    listeners: Vec<Connection>,
    /// The last sequence that each got.
    sequences: Vec<Option<u32>>,
    epoll: OwnedFd,
}

impl Crowd {
    fn join(house: &House, count: usize) -> Result<Self, Failure> {
        let additions = Additions { redundancy: false, notices: true };
        let hello = Hello { role: Role::Listener, takeover: false, additions, name: "bench" };
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let mut crowd = Self { sequences: vec![None; count], listeners: Vec::new(), epoll };
        for at in 0..count {
            crowd.listeners.push(Connection::open(house.socket(), &hello, Some(Duration::from_secs(30)))?);
            crowd.attend(at)?;
            // Those who are here already read meanwhile.
            crowd.read(Duration::ZERO, None)?;
        }
        Ok(crowd)
    }

    fn attend(&self, at: usize) -> Result<(), Failure> {
        let data = epoll::EventData::new_u64(at as u64);
        Ok(epoll::add(&self.epoll, &self.listeners[at], data, epoll::EventFlags::IN)?)
    }

    /// Reads for so long whatever comes, but not what comes to the one who `stalls`.
    fn read(&mut self, time: Duration, stalls: Option<usize>) -> Result<Seen, Failure> {
        let end = Instant::now() + time;
        let mut seen = Seen::default();
        if let Some(stalls) = stalls {
            epoll::delete(&self.epoll, &self.listeners[stalls])?;
        }
        let mut events = Vec::with_capacity(1024);
        loop {
            let left = end.saturating_duration_since(Instant::now()).min(Duration::from_millis(100));
            let left = rustix::time::Timespec { tv_sec: 0, tv_nsec: left.subsec_nanos().into() };
            events.clear();
            epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut events), Some(&left))?;
            for event in &events {
                self.hear(event.data.u64() as usize, &mut seen)?;
            }
            if Instant::now() >= end {
                break;
            }
        }
        if let Some(stalls) = stalls {
            self.attend(stalls)?;
        }
        Ok(seen)
    }

    fn hear(&mut self, at: usize, seen: &mut Seen) -> Result<(), Failure> {
        let frame = u64::from(self.listeners[at].welcome.frame.samples());
        if let Event::Packet(header, _) = self.listeners[at].event()? {
            let whole = (frame + LOOKAHEAD) * 1000 / 48;
            let hop = now_us().saturating_sub(header.captured.as_micros() + whole);
            seen.hops.push(u32::try_from(hop).unwrap_or(u32::MAX));
            let before = self.sequences[at].replace(header.sequence);
            seen.lost += before.map_or(0, |before| u64::from(header.sequence.wrapping_sub(before).wrapping_sub(1)));
        }
        Ok(())
    }

    /// Lets one read what has waited for it until it is told how much it lost; returns that.
    fn drain(&mut self, at: usize) -> Result<u64, Failure> {
        loop {
            match self.listeners[at].event()? {
                Event::Dropped { fresh, .. } => {
                    // The next packet is the first after the hole.
                    self.sequences[at] = None;
                    return Ok(fresh.into());
                }
                Event::Packet(header, _) => self.sequences[at] = Some(header.sequence),
                _ => {}
            }
        }
    }
}
