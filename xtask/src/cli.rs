//! The command line: which verbs there are, what each accepts, and the help texts.
//!
//! Parsing is a pure function of the arguments. It promises that nothing is silently ignored: a word
//! that no verb knows comes back as an error that names the word and what is allowed in its place.

use std::ffi::OsString;
use std::fmt::Write;

/// What can be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    Run,
    Test,
    Embedded,
    Lint,
    Msrv,
    Ci,
    Prove,
    Bench,
    Fuzz,
    Cross,
    DeviceTest,
    /// Break what can break while sound goes on.
    Chaos,
}

/// A command line that was understood.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Command {
    Help(Option<Verb>),
    Do(Verb, Options),
}

/// What came after the verb.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Options {
    /// Install what is missing without asking.
    pub(crate) yes: bool,
    /// A check that cannot be made here is no failure.
    pub(crate) optional: bool,
    /// `prove`: only say which promises there are.
    pub(crate) list: bool,
    /// `prove`: leave out what takes minutes.
    pub(crate) skip_slow: bool,
    /// `prove`: write today's figures down as the ones to compare with.
    pub(crate) bless: bool,
    /// `prove`: break each promise in a copy, and see whether that is noticed.
    pub(crate) mutate: bool,
    /// `device-test`: how long the last test goes on.
    pub(crate) soak: Option<OsString>,
    /// `fuzz`: for how many minutes.
    pub(crate) minutes: Option<OsString>,
    /// `fuzz`: what the dice begin with.
    pub(crate) seed: Option<OsString>,
    /// For `run`: arguments of the daemon. For `test`: filters and arguments of the test programs. For `prove`:
    /// names of promises. For `device-test`: names of tests.
    pub(crate) rest: Vec<OsString>,
}

impl Verb {
    const ALL: [Self; 12] = [
        Self::Run,
        Self::Test,
        Self::Embedded,
        Self::Cross,
        Self::DeviceTest,
        Self::Chaos,
        Self::Lint,
        Self::Msrv,
        Self::Prove,
        Self::Bench,
        Self::Fuzz,
        Self::Ci,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Run => "run",
            Self::Test => "test",
            Self::Embedded => "embedded",
            Self::Lint => "lint",
            Self::Msrv => "msrv",
            Self::Ci => "ci",
            Self::Prove => "prove",
            Self::Bench => "bench",
            Self::Fuzz => "fuzz",
            Self::Cross => "cross",
            Self::DeviceTest => "device-test",
            Self::Chaos => "chaos",
        }
    }

    fn summary(self) -> &'static str {
        match self {
            Self::Run => "Build soundpost and start it; on a fresh machine, install what that needs",
            Self::Test => "Run every test, and build the core for microcontrollers",
            Self::Embedded => "Build the core for microcontrollers, with and without defmt",
            Self::Lint => "Check format, clippy, documentation, and the dependencies' licences",
            Self::Msrv => "Check that the oldest promised Rust still takes the workspace",
            Self::Ci => "Everything continuous integration runs: lint, test, prove, msrv",
            Self::Bench => {
                "Measure playout beside other players and beside the codec, and many listeners, and judge it"
            }
            Self::Fuzz => "Torment the public socket of a real daemon, and see that it stands that",
            Self::Cross => "Build soundpost for a small ARM board that runs Linux",
            Self::DeviceTest => "Run soundpost on an emulated ARM board with a real kernel and its sound drivers",
            Self::Chaos => "Break workers, clients and descriptors at random while sound goes on, and judge it",
            Self::Prove => "Check each promise that this project makes, and say by which figure it holds",
        }
    }

    fn synopsis(self) -> &'static str {
        match self {
            Self::Run => "run [--yes] [-- SOUNDPOST-ARGUMENT…]",
            Self::Test => "test [--yes] [FILTER…] [-- TEST-ARGUMENT…]",
            Self::Embedded => "embedded",
            Self::Lint => "lint [--yes]",
            Self::Msrv => "msrv [--yes] [--optional]",
            Self::Ci => "ci [--yes]",
            Self::Bench => "bench [--yes] NAME [TRACE…]",
            Self::Fuzz => "fuzz [--minutes N] [--seed S] socket",
            Self::Cross => "cross [--yes]",
            Self::DeviceTest => "device-test [--yes] [--soak TIME] [NAME…]",
            Self::Chaos => "chaos [--yes] [--minutes N] [--seed S]",
            Self::Prove => "prove [--list] [--skip-slow] [--optional] [--bless] [--mutate] [NAME…]",
        }
    }

    fn flags(self) -> &'static [&'static str] {
        match self {
            Self::Run | Self::Test | Self::Lint | Self::Ci | Self::Bench | Self::Cross => &["--yes", "--help"],
            Self::DeviceTest => &["--yes", "--soak", "--help"],
            Self::Fuzz => &["--minutes", "--seed", "--help"],
            Self::Chaos => &["--yes", "--minutes", "--seed", "--help"],
            Self::Embedded => &["--help"],
            Self::Msrv => &["--yes", "--optional", "--help"],
            Self::Prove => &["--list", "--skip-slow", "--optional", "--bless", "--mutate", "--help"],
        }
    }

    fn details(self) -> &'static str {
        match self {
            Self::Run => {
                "Finds out which of the things the build needs are missing (the headers of ALSA,\n\
                 pkg-config, cmake, make) and installs them on Debian and its relatives. Builds in\n\
                 release mode, says what to try next, and becomes `soundpost run`, so Ctrl-C ends\n\
                 the daemon the way it should end. Everything after `--` goes to `soundpost run`:\n\n\
                 \x20 cargo xtask run -- --help\n"
            }
            Self::Test => {
                "Installs what the tests use besides the build's needs (a JACK server, ALSA's JACK\n\
                 plugin, a speech synthesizer, sox), builds the daemon, runs `cargo test` on the\n\
                 whole workspace, then does what `embedded` does. All steps run, even after one\n\
                 failed. Up to three tests in real time that failed run again, each alone, and the\n\
                 summary names those that passed only then. With a FILTER only the tests with such a\n\
                 name run, and no embedded builds. Everything after `--` goes to the test programs:\n\n\
                 \x20 cargo xtask test playback -- --nocapture\n"
            }
            Self::Embedded => {
                "Adds the Rust targets thumbv7em-none-eabihf and thumbv6m-none-eabi if they are\n\
                 missing and builds soundpost-core for both, without and with the feature defmt.\n"
            }
            Self::Lint => {
                "cargo fmt --check, clippy and rustdoc with every warning an error, and cargo deny\n\
                 (licences, bans, sources) when cargo-deny is installed. All steps run, even after\n\
                 one failed. Adds rustfmt and clippy through rustup if they are missing.\n"
            }
            Self::Msrv => {
                "Checks the workspace with the Rust that `rust-version` in Cargo.toml names, and\n\
                 installs that toolchain through rustup if it is missing. Builds in the subfolder\n\
                 `msrv` of the target directory.\n"
            }
            Self::Ci => {
                "Runs .ci/run, the script of the continuous integration. That also installs\n\
                 cargo-deny if it is missing, which takes minutes.\n"
            }
            Self::Bench => {
                "Each NAME measures one thing, prints a Markdown table and fails if a goal is not reached.\n\
                 Minutes each.\n\n\
                 \x20 playout   every trace of tests/traces with every profile, beside the optimum and what\n\
                 \x20           WebRTC's NetEq did on the same packets (docs/playout.md)\n\
                 \x20 peers     the same by the jitter buffer of libspeexdsp and the crate `neteq`\n\
                 \x20 arm       instructions of a packet and a pull on 32-bit ARM, beside a decode\n\
                 \x20           (docs/benchmarks.md)\n\
                 \x20 ipc       1 to 500 listeners of a daemon: time, cost, and what a stalled one does to the\n\
                 \x20           others (docs/benchmarks.md)\n\n\
                 With TRACE, `playout` and `peers` play that instead: lines of seq,send_us,arr_us,talk.\n\n\
                 \x20 cargo xtask bench playout my-office.csv\n"
            }
            Self::Fuzz => {
                "Starts a daemon as it is built for tests and talks to its socket: random bytes, greetings with bytes\n\
                 changed, messages of every kind and length, floods, clients that vanish. Fails if the daemon\n\
                 dies, closes a connection without saying why, says anything after that, grows, keeps a\n\
                 descriptor, or loses a packet for a listener that breaks no rule (docs/proofs.md).\n\n\
                 \x20 cargo xtask fuzz socket --minutes 1 --seed 7\n"
            }
            Self::Cross => {
                "Builds `soundpost` in release mode for ARMv7 with hardware floating point (Cortex-A7 and its\n\
                 relatives), and prints where it lies and how large it is. Installs the C compiler for that;\n\
                 alsa-lib for ARM is fetched with apt into the target directory, which changes nothing on\n\
                 this machine. The program needs glibc and libasound.so.2 on the board.\n"
            }
            Self::DeviceTest => {
                "Does what `cross` does, fetches Debian's kernel for ARM, makes a board of both, starts it in\n\
                 QEMU and tests soundpost there, on the kernel's own sound drivers: a loop of two cards, a\n\
                 clock that is turned, stalls, a USB card that is pulled out, restarts, and a soak. Prints\n\
                 a table of figures and limits (docs/devices.md says what each one means). The board's time\n\
                 is counted in its own instructions, so a busy machine makes it slow, not wrong.\n\
                 What the board said last is kept in `board/last` of the target directory.\n\n\
                 \x20 cargo xtask device-test --soak 30s\n\
                 \x20 cargo xtask device-test loop usb\n"
            }
            Self::Chaos => {
                "Kills, faults and stops workers, sends packets full of noise, lets clients come by the\n\
                 hundred to vanish, flood or stall, and leaves no descriptors; two minutes long, or as\n\
                 said. One listener and one talker never reconnect. Prints its seed, what\n\
                 was heard and what is left:\n\n\
                 \x20 cargo xtask chaos --minutes 10 --seed 7\n"
            }
            Self::Prove => {
                "Checks the named promises, or all of them, and prints a line for each: whether it holds,\n\
                 how long that took to find out, and the figure. docs/proofs.md says what each one\n\
                 means and which change to the sources breaks it.\n\n\
                 \x20 cargo xtask prove --list\n\
                 \x20 cargo xtask prove no-panic sizes\n\
                 \x20 cargo xtask prove --mutate\n"
            }
        }
    }
}

/// Understands the words after `cargo xtask`, or says what is wrong with them.
pub(crate) fn parse(words: impl IntoIterator<Item = OsString>) -> Result<Command, String> {
    let mut words = words.into_iter();
    let allowed = Verb::ALL.map(Verb::name).join(", ");
    let Some(first) = words.next() else {
        return Err(format!("a verb is missing; it is one of {allowed}. `cargo xtask --help` says more"));
    };
    let first = first.to_string_lossy();
    if first == "--help" || first == "-h" {
        return Ok(Command::Help(None));
    }
    let Some(verb) = Verb::ALL.into_iter().find(|verb| verb.name() == first) else {
        let kind = if first.starts_with('-') { "flag" } else { "verb" };
        return Err(format!(
            "there is no {kind} `{first}`; a verb is one of {allowed}. `cargo xtask --help` says more"
        ));
    };

    let mut options = Options::default();
    while let Some(word) = words.next() {
        let text = word.to_string_lossy();
        match &*text {
            "--help" | "-h" => return Ok(Command::Help(Some(verb))),
            "--" if takes_rest(verb) => options.rest.extend(words.by_ref()),
            "--yes" if verb.flags().contains(&"--yes") => options.yes = true,
            "--optional" if verb.flags().contains(&"--optional") => options.optional = true,
            "--list" if verb == Verb::Prove => options.list = true,
            "--skip-slow" if verb == Verb::Prove => options.skip_slow = true,
            "--bless" if verb == Verb::Prove => options.bless = true,
            "--mutate" if verb == Verb::Prove => options.mutate = true,
            "--soak" if verb == Verb::DeviceTest => {
                let missing = "`--soak` needs a length of time, such as 30s, 10m or 2h";
                options.soak = Some(words.next().ok_or(missing)?);
            }
            "--minutes" if matches!(verb, Verb::Fuzz | Verb::Chaos) => {
                options.minutes = Some(words.next().ok_or("`--minutes` needs a whole number")?);
            }
            "--seed" if matches!(verb, Verb::Fuzz | Verb::Chaos) => {
                options.seed = Some(words.next().ok_or("`--seed` needs a whole number")?);
            }
            _ if matches!(verb, Verb::Test | Verb::Prove | Verb::Bench | Verb::Fuzz | Verb::DeviceTest)
                && !text.starts_with('-') =>
            {
                options.rest.push(word);
            }
            _ => return Err(refusal(verb, &text)),
        }
    }
    Ok(Command::Do(verb, options))
}

fn takes_rest(verb: Verb) -> bool {
    matches!(verb, Verb::Run | Verb::Test)
}

fn refusal(verb: Verb, word: &str) -> String {
    let kind = if word.starts_with('-') { "flag" } else { "argument" };
    let mut text = format!("`{}` takes no {kind} `{word}`; allowed: {}", verb.name(), verb.flags().join(", "));
    if takes_rest(verb) {
        let whose = match verb {
            Verb::Run => "soundpost",
            _ => "the test programs",
        };
        let _ = write!(text, ", and after `--` the arguments of {whose}");
    }
    text
}

/// The help for one verb, or for all of them.
pub(crate) fn help(verb: Option<Verb>) -> String {
    let mut text = String::new();
    match verb {
        None => {
            text.push_str("Usage: cargo xtask VERB [FLAG…]\n\nVerbs:\n");
            for verb in Verb::ALL {
                let _ = writeln!(text, "  {:<11} {}", verb.name(), verb.summary());
            }
            text.push_str(
                "\n`cargo xtask VERB --help` says what a verb does and takes.\n\
                 Start with `cargo xtask run`.\n",
            );
        }
        Some(verb) => {
            let _ = write!(text, "{}.\n\nUsage: cargo xtask {}\n\n{}", verb.summary(), verb.synopsis(), verb.details());
            text.push_str("\nFlags:\n");
            for flag in verb.flags() {
                let meaning = match *flag {
                    "--yes" => "Install what is missing without asking (the same as setting CI)",
                    "--optional" => "When what a check needs cannot be had here, say so and do not fail",
                    "--list" => "Say which promises there are",
                    "--skip-slow" => "Leave out what takes minutes, unless it is named",
                    "--bless" => "Write today's sizes to docs/sizes.md",
                    "--soak" => "How long the soak goes on, in the board's time [default: 10m]",
                    "--minutes" if verb == Verb::Chaos => "For how long [default: 2]",
                    "--minutes" => "For how long [default: 10]",
                    "--seed" => "What the dice begin with; equal seeds torment equally [default: the time]",
                    "--mutate" => "Break each promise in a copy of the tree and see whether that is noticed",
                    _ => "Print this",
                };
                let _ = writeln!(text, "  {flag:<11} {meaning}");
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Command, String> {
        parse(line.split_whitespace().map(OsString::from))
    }

    fn options(line: &str) -> (Verb, Options) {
        match parsed(line) {
            Ok(Command::Do(verb, options)) => (verb, options),
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn each_verb_is_found_by_its_name_and_shown_in_the_help() {
        for verb in Verb::ALL {
            assert_eq!(options(verb.name()), (verb, Options::default()));
            assert!(help(None).contains(verb.summary()));
            assert!(help(Some(verb)).contains(verb.synopsis()));
            for flag in verb.flags() {
                assert!(help(Some(verb)).contains(flag), "{verb:?} {flag}");
            }
        }
    }

    #[test]
    fn help_is_asked_for_alone_or_of_a_verb() {
        assert_eq!(parsed("--help"), Ok(Command::Help(None)));
        assert_eq!(parsed("-h"), Ok(Command::Help(None)));
        assert_eq!(parsed("run --yes --help"), Ok(Command::Help(Some(Verb::Run))));
    }

    #[test]
    fn what_follows_two_dashes_goes_to_the_program_untouched() {
        let (verb, options) = options("run --yes -- --help --yes -- x");
        assert_eq!(verb, Verb::Run);
        assert!(options.yes);
        assert_eq!(options.rest, ["--help", "--yes", "--", "x"]);
    }

    #[test]
    fn filters_of_tests_need_no_dashes() {
        let (_, options) = options("test one --yes two -- --nocapture");
        assert!(options.yes);
        assert_eq!(options.rest, ["one", "two", "--nocapture"]);
    }

    #[test]
    fn an_unknown_word_is_named_together_with_what_is_allowed() {
        let unknown_verb = parsed("tset").unwrap_err();
        assert!(unknown_verb.contains("verb `tset`") && unknown_verb.contains("run, test"));
        assert!(parsed("").unwrap_err().contains("run, test"));
        assert!(parsed("--yes").unwrap_err().contains("flag `--yes`"));

        let unknown_flag = parsed("run --loud").unwrap_err();
        assert!(unknown_flag.contains("flag `--loud`") && unknown_flag.contains("--yes, --help"));
        assert!(unknown_flag.contains("after `--`"));
        let argument = parsed("lint core").unwrap_err();
        assert!(argument.contains("argument `core`") && !argument.contains("after `--`"));
        assert!(parsed("lint -- x").is_err());
    }

    #[test]
    fn a_soak_has_a_length_and_tests_have_names() {
        let (verb, options) = options("device-test --soak 30s loop usb");
        assert_eq!((verb, options.soak), (Verb::DeviceTest, Some("30s".into())));
        assert_eq!(options.rest, ["loop", "usb"]);
        assert!(parsed("device-test --soak").unwrap_err().contains("such as 30s"));
        assert!(parsed("cross --soak 30s").is_err());
    }

    #[test]
    fn a_flag_belongs_to_the_verbs_that_list_it() {
        assert!(options("msrv --optional").1.optional);
        assert!(parsed("test --optional").is_err());
        assert!(parsed("embedded --yes").is_err());
    }
}
