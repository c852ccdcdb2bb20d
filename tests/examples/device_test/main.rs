//! Soundpost on an emulated ARM board with the kernel's own sound drivers; `cargo xtask device-test` makes the board
//! and starts this.
//!
//! Usage: `device_test --kernel FILE --image FILE --folder FOLDER [--soak TIME] [NAME…]`. Without names, every test
//! runs. What the board said and what was recorded there is left in the folder. Everything is judged by samples,
//! counts, and times that the board itself measured.

mod bench;
mod faults;
mod loops;
mod soak;
mod states;
mod table;
mod usb;

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use bench::Bench;
use soundpost_tests::guest::Guest;
use table::{Outcome, Table};

/// How long the soak goes on unless something else is asked for.
const SOAK: Duration = Duration::from_secs(600);

/// A test: its name, what it shows, and itself.
type Test = (&'static str, &'static str, fn(&mut Bench) -> Outcome);

/// The shortest first.
const TESTS: [Test; 8] = [
    ("loop", "speech through a loop of the kernel, captured and played", loops::both_ways),
    ("sleep", "the kernel puts every device to sleep and wakes them, while they play", states::sleeps),
    ("restart", "the daemon is ended, and killed, and started again", faults::restarts),
    ("stall", "the processes stand still for 30 to 200 ms, again and again", faults::stalls),
    ("queue", "held up for a moment, the delay grows and comes back", states::comes_back),
    ("usb", "a USB card is pulled out while it plays, and plugged in again", usb::replugged),
    ("clock", "a card whose clock is turned by 300 millionths is followed", loops::turned_clock),
    ("soak", "both ways at once for long: nothing lost, nothing grows", soak::soak),
];

struct Wanted {
    kernel: PathBuf,
    image: PathBuf,
    folder: PathBuf,
    soak: Duration,
    names: Vec<String>,
}

fn main() -> ExitCode {
    match wanted(std::env::args().skip(1)) {
        Ok(wanted) if run(&wanted) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}

/// Understands the command line.
fn wanted(mut words: impl Iterator<Item = String>) -> Result<Wanted, String> {
    let mut found =
        Wanted { kernel: PathBuf::new(), image: PathBuf::new(), folder: PathBuf::new(), soak: SOAK, names: Vec::new() };
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
        match word.as_str() {
            "--kernel" => found.kernel = value()?.into(),
            "--image" => found.image = value()?.into(),
            "--folder" => found.folder = value()?.into(),
            "--soak" => found.soak = time(&value()?)?,
            name if TESTS.iter().any(|test| test.0 == name) => found.names.push(word),
            _ => {
                let names = TESTS.map(|test| test.0).join(", ");
                return Err(format!("there is no test {word:?}; allowed: {names}"));
            }
        }
    }
    for (flag, path) in [("--kernel", &found.kernel), ("--image", &found.image), ("--folder", &found.folder)] {
        if path.as_os_str().is_empty() {
            return Err(format!("{flag} is missing; `cargo xtask device-test` gives all that is needed"));
        }
    }
    Ok(found)
}

/// A length of time: `30s`, `10m`, `2h`.
fn time(text: &str) -> Result<Duration, String> {
    let wrong = || format!("--soak takes a whole number and s, m or h, such as 30s, 10m or 2h; not {text:?}");
    let number = |unit| text.strip_suffix(unit).and_then(|number| number.parse::<u32>().ok());
    let seconds = number('s').or_else(|| number('m')?.checked_mul(60)).or_else(|| number('h')?.checked_mul(3600));
    seconds.filter(|seconds| *seconds > 0).map(|seconds| Duration::from_secs(seconds.into())).ok_or_else(wrong)
}

/// Runs the tests, each on a board of its own, as many at once as there are processors: what one does to its kernel is
/// no concern of another, and how fast this machine is matters to none.
fn run(wanted: &Wanted) -> bool {
    let is_wanted = |test: &&Test| wanted.names.is_empty() || wanted.names.iter().any(|name| name == test.0);
    // The longest first, so that none is left alone at the end.
    let queue = Mutex::new(TESTS.iter().filter(is_wanted).collect::<Vec<_>>());
    let table = Mutex::new(Table::default());
    let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).pop();
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while let Some(test) = next() {
                    let began = Instant::now();
                    println!("{:<8} starts: {}", test.0, test.1);
                    let outcome = alone(wanted, *test);
                    table.lock().unwrap_or_else(PoisonError::into_inner).add(test.0, outcome, began.elapsed());
                }
            });
        }
    });
    let table = table.into_inner().unwrap_or_else(PoisonError::into_inner);
    println!("\n{table}");
    if !table.is_passed() {
        println!("What each board said, and what was recorded there: {}", wanted.folder.display());
    }
    table.is_passed()
}

/// One test, on a fresh board.
fn alone(wanted: &Wanted, (name, _, test): Test) -> Outcome {
    let folder = wanted.folder.join(name);
    // What is left of the last time would be taken for what was found now.
    let _ = fs::remove_dir_all(&folder);
    let began = Instant::now();
    let guest = Guest::start(&wanted.kernel, &wanted.image, &folder)?;
    let mut bench = Bench::new(name, guest, folder, wanted.soak)?;
    bench.say(&format!("the board is up after {:.1} s", began.elapsed().as_secs_f64()));
    let outcome = test(&mut bench);
    bench.keep_logs();
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Wanted, String> {
        wanted(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn a_command_line_is_understood_or_refused_by_name() {
        let found = parsed("--kernel k --image i --folder f --soak 2h usb loop").unwrap();
        assert_eq!((found.soak, found.names), (Duration::from_secs(7200), vec!["usb".to_owned(), "loop".to_owned()]));
        assert_eq!(parsed("--kernel k --image i --folder f").unwrap().soak, SOAK);
        for (line, named) in [
            ("--kernel k --image i", "--folder"),
            ("--image", "needs a value"),
            ("speed", "\"speed\"; allowed: loop"),
            ("--soak 10", "10m"),
            ("--soak 0s", "0s"),
            ("--soak 99999999999999999999s", "10m"),
        ] {
            let error = parsed(line).err().unwrap();
            assert!(error.contains(named), "{line}: {error}");
        }
    }
}
