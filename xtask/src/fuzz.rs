//! Torment from outside: `cargo xtask fuzz`.
//!
//! The one thing that is tormented so far is the public socket of a real daemon, as it is built for tests, with every
//! assertion in it. (What `tests/fuzz` does is another thing: functions, from inside, with a compiler's help.)

use crate::cli::Options;
use crate::steps::{self, cargo, succeed};

/// What can be tormented.
const SUBJECTS: [&str; 1] = ["socket"];

/// Torments what was named.
pub(crate) fn run(options: &Options) -> Result<(), String> {
    let known = SUBJECTS.join(", ");
    match options.rest.as_slice() {
        [] => return Err(format!("what is to be fuzzed is missing; it is one of {known}")),
        [subject] if *subject == *SUBJECTS[0] => {}
        [other, ..] => return Err(format!("`{}` cannot be fuzzed; allowed: {known}", other.to_string_lossy())),
    }
    let number = |name: &str, value: &Option<std::ffi::OsString>| match value {
        None => Ok(None),
        Some(word) => {
            let wrong =
                || format!("`{name}` cannot be `{}`; allowed: a whole number from 1 on", word.to_string_lossy());
            let value = word.to_str().and_then(|word| word.parse::<u64>().ok());
            value.filter(|value| *value > 0).map(Some).ok_or_else(wrong)
        }
    };
    let minutes = number("--minutes", &options.minutes)?.unwrap_or(10);
    socket(minutes.saturating_mul(60), number("--seed", &options.seed)?)
}

/// Torments the public socket for so long.
pub(crate) fn socket(seconds: u64, seed: Option<u64>) -> Result<(), String> {
    succeed(cargo(["build", "-p", "soundpost-linux"]))?;
    let daemon = steps::target_dir()?.join("debug/soundpost");
    let mut fuzz = cargo(["run", "--quiet", "-p", "soundpost-client", "--example", "socket_fuzz", "--", "--daemon"]);
    fuzz.arg(daemon).args(["--seconds", &seconds.to_string()]);
    if let Some(seed) = seed {
        fuzz.args(["--seed", &seed.to_string()]);
    }
    succeed(fuzz)
}
