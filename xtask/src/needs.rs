//! What a verb needs from the machine besides Rust, and how Debian calls it.
//!
//! Each need is probed by its effect (does `cmake --version` run, does pkg-config find ALSA), never by
//! a package database, so anything that does the job counts, wherever it came from. Nothing is
//! installed without consent: a person is asked, `--yes` or the variable `CI` answers beforehand, and
//! where neither is possible the exact commands are printed instead.

use crate::steps::{self, retry};
use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

/// How much a verb is going to do, and so how much it needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Scope {
    /// Building and running the program.
    Build,
    /// Building the program for a small ARM board.
    Board,
    /// Building every package and running every test.
    Everything,
    /// One measurement, which asks for it by the name of its package.
    Named,
}

/// One thing that must be there.
#[derive(Debug)]
struct Need {
    /// What it is called in general.
    name: &'static str,
    /// What for.
    why: &'static str,
    /// The package on Debian and its relatives.
    debian: &'static str,
    /// The smallest scope that needs it.
    scope: Scope,
    probe: Probe,
}

/// How to find out whether a need is met.
#[derive(Debug)]
enum Probe {
    /// One of these programs runs and succeeds.
    Runs(&'static [&'static [&'static str]]),
    /// pkg-config knows this library.
    Library(&'static str),
    /// This file is in the folder where ALSA keeps its plugins.
    AlsaPlugin(&'static str),
}

static NEEDS: [Need; 18] = [
    Need {
        name: "pkg-config",
        why: "tells the build where C libraries are",
        debian: "pkg-config",
        scope: Scope::Build,
        probe: Probe::Runs(&[&["pkg-config", "--version"]]),
    },
    Need {
        name: "ALSA library with headers",
        why: "capture and playback of sound",
        debian: "libasound2-dev",
        scope: Scope::Build,
        probe: Probe::Library("alsa"),
    },
    Need {
        name: "cmake",
        why: "configures libopus, which is built from source",
        debian: "cmake",
        scope: Scope::Build,
        probe: Probe::Runs(&[&["cmake", "--version"]]),
    },
    Need {
        name: "make",
        why: "builds libopus",
        debian: "make",
        scope: Scope::Build,
        probe: Probe::Runs(&[&["make", "--version"], &["ninja", "--version"]]),
    },
    Need {
        name: "JACK server (jackd)",
        why: "the sound card of the behaviour tests",
        debian: "jackd2",
        scope: Scope::Everything,
        probe: Probe::Runs(&[&["jackd", "--version"]]),
    },
    Need {
        name: "JACK library with headers",
        why: "the tests play and record through JACK",
        debian: "libjack-jackd2-dev",
        scope: Scope::Everything,
        probe: Probe::Library("jack"),
    },
    Need {
        name: "JACK plugin of ALSA",
        why: "connects the tested program to the tests' JACK server",
        debian: "libasound2-plugins",
        scope: Scope::Everything,
        probe: Probe::AlsaPlugin("libasound_module_pcm_jack.so"),
    },
    Need {
        name: "espeak-ng",
        why: "speaks the sentences that the tests send",
        debian: "espeak-ng",
        scope: Scope::Everything,
        probe: Probe::Runs(&[&["espeak-ng", "--version"]]),
    },
    Need {
        name: "sox",
        why: "converts and inspects recordings in the tests",
        debian: "sox",
        scope: Scope::Everything,
        probe: Probe::Runs(&[&["sox", "--version"]]),
    },
    Need {
        name: "arecord and aplay",
        why: "the measuring rig measures itself with them",
        debian: "alsa-utils",
        scope: Scope::Everything,
        probe: Probe::Runs(&[&["arecord", "--version"]]),
    },
    Need {
        name: "Python 3",
        why: "runs the example client",
        debian: "python3",
        scope: Scope::Everything,
        probe: Probe::Runs(&[&["python3", "--version"]]),
    },
    Need {
        name: "curl",
        why: "runs the examples of docs/control.md",
        debian: "curl",
        scope: Scope::Everything,
        probe: Probe::Runs(&[&["curl", "--version"]]),
    },
    Need {
        name: "QEMU for ARM",
        why: "runs tests on emulated microcontrollers and an emulated board",
        debian: "qemu-system-arm",
        scope: Scope::Everything,
        probe: Probe::Runs(&[&["qemu-system-arm", "--version"]]),
    },
    Need {
        name: "Chromium",
        why: "shows the simulator's report, wide and narrow",
        debian: "chromium",
        scope: Scope::Everything,
        probe: Probe::Runs(&[&["chromium", "--version"]]),
    },
    Need {
        name: "C compiler for 32-bit ARM",
        why: "links what is built for small boards",
        debian: "gcc-arm-linux-gnueabihf",
        scope: Scope::Board,
        probe: Probe::Runs(&[&["arm-linux-gnueabihf-gcc", "--version"]]),
    },
    Need {
        name: "C library for 32-bit ARM",
        why: "is linked into what is built for small boards",
        debian: "libc6-dev-armhf-cross",
        scope: Scope::Board,
        probe: Probe::Runs(&[&["test", "-e", "/usr/arm-linux-gnueabihf/lib/libc.a"]]),
    },
    Need {
        name: "QEMU for ARM programs",
        why: "runs the simulator as a small board would",
        debian: "qemu-user-static",
        scope: Scope::Everything,
        probe: Probe::Runs(&[&["qemu-arm-static", "--version"]]),
    },
    Need {
        name: "SpeexDSP library with headers",
        why: "has a jitter buffer, to be measured beside ours",
        debian: "libspeexdsp-dev",
        scope: Scope::Named,
        probe: Probe::Library("speexdsp"),
    },
];

impl Probe {
    fn is_met(&self) -> bool {
        match self {
            Self::Runs(programs) => programs.iter().any(|program| runs(program)),
            Self::Library(library) => runs(&["pkg-config", "--exists", library]),
            Self::AlsaPlugin(file) => steps::output(&["pkg-config", "--variable=libdir", "alsa"])
                .is_some_and(|folder| Path::new(folder.trim()).join("alsa-lib").join(file).exists()),
        }
    }
}

/// Whether this command line can be started here and succeeds; it is run without any output.
pub(crate) fn runs(command: &[&str]) -> bool {
    Command::new(command[0])
        .args(&command[1..])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Sees to it that everything in `scope` is there, or says what to do.
pub(crate) fn ensure(scope: Scope, yes: bool) -> Result<(), String> {
    provide(|need| need.scope <= scope, yes)
}

/// The same for what is in these packages of Debian.
pub(crate) fn ensure_packages(packages: &[&str], yes: bool) -> Result<(), String> {
    provide(|need| packages.contains(&need.debian), yes)
}

fn provide(meant: impl Fn(&Need) -> bool, yes: bool) -> Result<(), String> {
    let lacking = || NEEDS.iter().filter(|need| meant(need) && !need.probe.is_met()).collect::<Vec<_>>();
    let missing = lacking();
    if missing.is_empty() {
        return Ok(());
    }
    println!("Missing on this machine:\n{}", table(&missing));
    if !runs(&["apt-get", "--version"]) {
        return Err("this machine has no apt-get; install the above with its package manager and try again".to_string());
    }
    let prefix = privilege(steps::output(&["id", "-u"]).as_deref());
    let agreed = yes || std::env::var_os("CI").is_some_and(|value| !value.is_empty());
    if !agreed {
        if !io::stdin().is_terminal() {
            return Err(format!(
                "cannot ask here whether to install it. Pass --yes, or run this and try again:\n{}",
                commands(prefix, &missing)
            ));
        }
        if !ask(&commands(prefix, &missing))? {
            return Err("not installed, so this stops here".to_string());
        }
    }
    // Asks for the password, if one is needed, once and before anything else.
    if !prefix.is_empty() && !allowed(prefix) {
        return Err(format!(
            "may not install packages as this user. As root, run this and try again:\n{}",
            commands(&[], &missing)
        ));
    }
    // A mirror in the middle of a sync fails now and succeeds soon after. A list that could not be
    // fetched is no failure by itself: it may belong to something that is not needed here.
    retry("installing packages", || {
        if let Err(error) = steps::succeed(command(&update_command(prefix))) {
            println!("{error}; going on with the package lists that are there");
        }
        steps::succeed(command(&install_command(prefix, &missing)))
    })
    .map_err(|error| {
        format!("{error}. Once that is solved, run this and try again:\n{}", commands(prefix, &missing))
    })?;
    let still = lacking();
    if still.is_empty() {
        return Ok(());
    }
    Err(format!("the packages are installed, yet these are still not usable:\n{}", table(&still)))
}

fn table(needs: &[&Need]) -> String {
    let mut text = String::new();
    for need in needs {
        let _ = writeln!(text, "  {:<26} {}", need.name, need.why);
    }
    text
}

/// What has to stand before a command that changes the system, given what `id -u` printed.
fn privilege(user: Option<&str>) -> &'static [&'static str] {
    match user.map(str::trim) {
        Some("0") => &[],
        _ => &["sudo"],
    }
}

/// Whether the system lets this user run a command with this prefix.
fn allowed(prefix: &[&str]) -> bool {
    steps::succeed(command(&[prefix, &["true"]].concat())).is_ok()
}

fn update_command(prefix: &[&'static str]) -> Vec<&'static str> {
    [prefix, &["apt-get", "update"]].concat()
}

fn install_command(prefix: &[&'static str], needs: &[&Need]) -> Vec<&'static str> {
    let mut words = [
        prefix,
        &["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "install"],
        // On a machine that has just started, its own updates may hold the lock for a while.
        &["--yes", "--no-install-recommends", "--option=DPkg::Lock::Timeout=120"],
    ]
    .concat();
    words.extend(needs.iter().map(|need| need.debian));
    words
}

/// Both commands, as a person would type them.
fn commands(prefix: &[&'static str], needs: &[&Need]) -> String {
    format!("  {}\n  {}", update_command(prefix).join(" "), install_command(prefix, needs).join(" "))
}

fn command(words: &[&str]) -> Command {
    let mut command = Command::new(words[0]);
    command.args(&words[1..]);
    command
}

fn ask(commands: &str) -> Result<bool, String> {
    print!("To install it, this runs:\n{commands}\nGo on? [Y/n] ");
    let mut answer = String::new();
    io::stdout()
        .flush()
        .and_then(|()| io::stdin().read_line(&mut answer))
        .map_err(|error| format!("cannot ask whether to install it: {error}"))?;
    Ok(is_consent(&answer))
}

/// An empty line takes the default, which is yes; no line at all (end of input) is no consent.
fn is_consent(line: &str) -> bool {
    line.ends_with('\n') && matches!(line.trim().to_ascii_lowercase().as_str(), "" | "y" | "yes")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packages(scope: Scope) -> Vec<&'static str> {
        NEEDS.iter().filter(|need| need.scope <= scope).map(|need| need.debian).collect()
    }

    #[test]
    fn building_needs_no_package_of_the_tests() {
        assert_eq!(packages(Scope::Build), ["pkg-config", "libasound2-dev", "cmake", "make"]);
        let everything = packages(Scope::Everything);
        assert!(everything.starts_with(&packages(Scope::Build)));
        let board = packages(Scope::Board);
        assert!(board.contains(&"gcc-arm-linux-gnueabihf") && !board.contains(&"chromium"));
        for package in [
            "jackd2",
            "libjack-jackd2-dev",
            "libasound2-plugins",
            "espeak-ng",
            "sox",
            "alsa-utils",
            "python3",
            "qemu-system-arm",
            "chromium",
        ] {
            assert!(everything.contains(&package), "{package}");
        }
        assert!(!everything.contains(&"libspeexdsp-dev"), "only what is measured beside ours needs it");
    }

    #[test]
    fn root_installs_without_sudo_and_everyone_else_with_it() {
        let alsa: Vec<&Need> = NEEDS.iter().filter(|need| need.name.starts_with("ALSA")).collect();
        let by_root = install_command(privilege(Some("0\n")), &alsa).join(" ");
        assert!(by_root.starts_with("env DEBIAN_FRONTEND=noninteractive apt-get install "));
        assert!(by_root.ends_with(" libasound2-dev"));
        assert!(by_root.contains(" --no-install-recommends "));
        let by_user = install_command(privilege(Some("1000\n")), &alsa).join(" ");
        assert_eq!(by_user, format!("sudo {by_root}"));
        assert_eq!(privilege(None), ["sudo"]);
        assert_eq!(commands(&[], &alsa), format!("  apt-get update\n  {by_root}"));
    }

    #[test]
    fn a_missing_thing_is_told_by_its_general_name_and_purpose() {
        let sox: Vec<&Need> = NEEDS.iter().filter(|need| need.name == "sox").collect();
        assert_eq!(table(&sox), "  sox                        converts and inspects recordings in the tests\n");
    }

    #[test]
    fn only_a_line_that_agrees_is_consent() {
        for line in ["\n", "y\n", "Yes\n", " Y \n"] {
            assert!(is_consent(line), "{line:?}");
        }
        for line in ["", "n\n", "no\n", "what?\n", "y"] {
            assert!(!is_consent(line), "{line:?}");
        }
    }

    #[test]
    fn a_probe_tells_by_effect() {
        assert!(runs(&["true"]));
        assert!(!runs(&["false"]));
        assert!(!runs(&["no-such-program-anywhere"]));
        assert!(Probe::Runs(&[&["false"], &["true"]]).is_met());
        assert!(!Probe::Runs(&[&["false"]]).is_met());
        assert!(!Probe::Library("no-such-library-anywhere").is_met());
        assert!(!Probe::AlsaPlugin("no_such_plugin.so").is_met());
    }
}
