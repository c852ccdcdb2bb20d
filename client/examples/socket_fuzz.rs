//! Torments the public socket of a daemon from outside: `cargo xtask fuzz socket`.
//!
//! Tormentors send random bytes, mutated greetings, random messages of every kind and length, floods, and vanish; equal
//! seeds torment equally. Every conversation ends with a message that breaks the rules, unless one before did, so the
//! daemon owes it an Error, and nothing after that but the end. Meanwhile a witness listens, and whatever it
//! misses must be explained. At the end the daemon lives, answers, and holds no more memory and descriptors than
//! before.

#[path = "support/conversation.rs"]
mod conversation;
#[path = "support/house.rs"]
mod house;

use conversation::{Dice, Tally, torment};
use house::{House, argument};
use soundpost_client::blocking::{Controller, Listener};
use soundpost_client::{Direction, Error, Heard};
use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Conversations at the same time.
const TORMENTORS: u64 = 4;

/// Memory that may be used more than after the first tenth of the time: what a heap keeps in pieces.
const GROWTH_MAX_KB: u64 = 1024;

type Failure = Box<dyn std::error::Error + Send + Sync>;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Failure> {
    let time = Duration::from_secs(argument("--seconds")?.unwrap_or(10));
    let seed = argument("--seed")?.unwrap_or_else(house::now_us);
    println!("seed {seed}, {} s", time.as_secs());
    let mut house = House::open(&[]).map_err(|error| error.to_string())?;
    let witness = Listener::connect(house.socket(), "witness")?;
    let process = format!("/proc/{}", house.id());
    let descriptors = |process: &str| std::fs::read_dir(Path::new(process).join("fd")).map(Iterator::count);
    let (over, before) = (AtomicBool::new(false), descriptors(&process)?);
    let (begin, mut memory, mut most) = (Instant::now(), Vec::new(), 0);
    let (tally, heard) = thread::scope(|scope| {
        let watching = scope.spawn(|| watch(witness, &over));
        let tormentors: Vec<_> = (0..TORMENTORS)
            .map(|n| {
                let (socket, mut dice) = (house.socket(), Dice::new(seed.wrapping_add(n)));
                scope.spawn(move || -> Result<Tally, Failure> {
                    let mut tally = Tally::default();
                    while begin.elapsed() < time {
                        torment(socket, &mut dice, &mut tally).map_err(|error| format!("tormentor {n}: {error}"))?;
                    }
                    Ok(tally)
                })
            })
            .collect();
        while begin.elapsed() < time && !tormentors.iter().all(thread::ScopedJoinHandle::is_finished) {
            memory.push(resident_kb(&process).unwrap_or(0));
            most = most.max(descriptors(&process).unwrap_or(0));
            thread::park_timeout(time / 50);
        }
        let mut sum: Result<Tally, Failure> = Ok(Tally::default());
        for tormentor in tormentors {
            let tally = tormentor.join().map_err(|_| "a tormentor panicked")?;
            sum = sum.and_then(|sum: Tally| Ok(sum.plus(&tally?)));
        }
        // Should somebody have muted it after all, the witness would wait for ever.
        over.store(true, Ordering::Relaxed);
        settled(&house, |controller| controller.mute(Direction::Capture, false))?;
        let heard = watching.join().map_err(|_| "the witness panicked")?;
        Ok::<_, Failure>((sum?, heard?))
    })?;
    if !house.lives() {
        return Err("the daemon died".into());
    }
    println!("{tally}");
    println!(
        "witness: {} packets, {} missing, {} of them because it was slow itself",
        heard.packets, heard.missing, heard.told
    );
    let status = settled(&house, Controller::status)?;
    let late = number(&status, "dropped_ring_full")? + number(&status, "dropped_no_slot")?;
    if heard.missing > heard.told + late {
        return Err(
            format!("the witness misses {} packets, and {} are explained", heard.missing, heard.told + late).into()
        );
    }
    println!("{late} packets were late within the daemon");
    // Descriptors of conversations that just ended go with them.
    let end = Instant::now() + Duration::from_secs(20);
    while descriptors(&process)? > before {
        if Instant::now() > end {
            return Err(format!("{} descriptors, {before} before", descriptors(&process)?).into());
        }
        thread::park_timeout(Duration::from_millis(20));
    }
    println!("descriptors: {before} before, {most} at most, {} after", descriptors(&process)?);
    let (warm, last) = (memory.get(memory.len() / 10).copied().unwrap_or(0), resident_kb(&process)?);
    println!("resident memory: {warm} KB after a tenth of the time, {last} KB after all");
    if last > warm + GROWTH_MAX_KB {
        return Err(format!("memory grew from {warm} to {last} KB").into());
    }
    Ok(())
}

/// What the witness got.
#[derive(Default)]
struct Witnessed {
    packets: u64,
    missing: u64,
    told: u64,
}

fn watch(mut witness: Listener, over: &AtomicBool) -> Result<Witnessed, Failure> {
    let (mut seen, mut before) = (Witnessed::default(), None);
    while !over.load(Ordering::Relaxed) {
        match witness.hear() {
            Ok(Heard::Packet(header, _)) => {
                seen.packets += 1;
                let missing = before.map_or(0, |before: u32| header.sequence.wrapping_sub(before).wrapping_sub(1));
                seen.missing += u64::from(missing);
                before = Some(header.sequence);
            }
            Ok(Heard::Dropped { fresh, .. }) => seen.told += u64::from(fresh),
            Ok(Heard::Bye) => return Err("the daemon said goodbye to the witness".into()),
            Err(error) => return Err(format!("witness: {error}").into()),
        }
    }
    witness.leave();
    Ok(seen)
}

/// What a controller is answered, as soon as the daemon lets this user in again.
fn settled(house: &House, ask: fn(&mut Controller) -> Result<String, Error>) -> Result<String, Failure> {
    let end = Instant::now() + Duration::from_secs(20);
    loop {
        match house.controller().and_then(|mut controller| ask(&mut controller)) {
            Ok(answer) => return Ok(answer),
            Err(Error::Refused { .. }) if Instant::now() < end => thread::park_timeout(Duration::from_millis(100)),
            Err(error) => return Err(format!("after all, the daemon does not answer: {error}").into()),
        }
    }
}

/// The first number of that name in JSON.
fn number(json: &str, name: &str) -> Result<u64, Failure> {
    let after = json.split(&format!("\"{name}\":")).nth(1).ok_or_else(|| format!("no {name}"))?;
    let digits: String = after.chars().take_while(char::is_ascii_digit).collect();
    Ok(digits.parse()?)
}

fn resident_kb(process: &str) -> Result<u64, Failure> {
    let text = std::fs::read_to_string(format!("{process}/status"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    Ok(line.trim().trim_end_matches("kB").trim().parse()?)
}
