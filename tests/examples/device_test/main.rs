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
mod table;
mod usb;

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use bench::Bench;
use soundpost_tests::guest::{CONSOLE, Guest};
use table::{Outcome, Table};

/// How long the soak goes on unless something else is asked for.
const SOAK: Duration = Duration::from_secs(600);

/// A test: its name, what it shows, and itself.
type Test = (&'static str, &'static str, fn(&mut Bench) -> Outcome);

const TESTS: [Test; 6] = [
    ("loop", "speech through a loop of the kernel, captured and played", loops::both_ways),
    ("clock", "a card whose clock is turned by 300 millionths is followed", loops::turned_clock),
    ("stall", "the process stands still for 30 to 200 ms, again and again", faults::stalls),
    ("usb", "a USB card is pulled out while it plays, and plugged in again", usb::replugged),
    ("restart", "the daemon is ended, and killed, and started again", faults::restarts),
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
    match wanted(std::env::args().skip(1)).and_then(|wanted| run(&wanted)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
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

/// Runs the tests, each on a board of its own: what one does to the kernel is no concern of the next.
fn run(wanted: &Wanted) -> Result<bool, String> {
    let mut table = Table::default();
    for (name, says, test) in TESTS {
        if !wanted.names.is_empty() && !wanted.names.iter().any(|wanted| wanted == name) {
            continue;
        }
        println!("==> {name}: {says}");
        let began = Instant::now();
        let folder = wanted.folder.join(name);
        // What is left of the last time would be taken for what was found now.
        let _ = fs::remove_dir_all(&folder);
        let outcome = Guest::start(&wanted.kernel, &wanted.image, &folder).map_err(Into::into).and_then(|guest| {
            println!("    the board is up after {:.1} s", began.elapsed().as_secs_f64());
            let mut bench = Bench::new(guest, folder.clone(), wanted.soak)?;
            let outcome = test(&mut bench);
            bench.keep_logs();
            outcome
        });
        if !table.add(name, outcome, began.elapsed()) {
            println!("    what the board said: {} and the files beside it", folder.join(CONSOLE).display());
        }
    }
    println!("\n{table}");
    Ok(table.is_passed())
}
