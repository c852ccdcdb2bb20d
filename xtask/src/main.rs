//! Every developer verb of this workspace: `cargo xtask --help` lists them.
//!
//! A verb first finds out what the machine lacks for it and offers to install that, so each one
//! works on a machine that has only Rust, a C compiler and git. It exits with 0 when all went well,
//! with 1 when something failed (and says what to do about it), and with 2 when it was called wrongly.
//! No dependencies: the first command on a fresh machine starts at once.

mod again;
mod arm;
mod bench;
mod cli;
mod fuzz;
mod needs;
mod prove;
mod sim;
mod steps;
mod tidy;
mod toolchain;

use cli::{Command, Options, Verb};
use needs::Scope;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{self, ExitCode};
use steps::{Report, State, cargo, root, succeed};

fn main() -> ExitCode {
    let command = match cli::parse(std::env::args_os().skip(1)) {
        Ok(command) => command,
        Err(wrong) => {
            eprintln!("error: {wrong}");
            return ExitCode::from(2);
        }
    };
    let result = match command {
        Command::Help(verb) => {
            print!("{}", cli::help(verb));
            Ok(())
        }
        Command::Do(verb, options) => perform(verb, options),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("error: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn perform(verb: Verb, options: Options) -> Result<(), String> {
    match verb {
        Verb::Run => run(options),
        Verb::Test => test(&options),
        Verb::Embedded => embedded(),
        Verb::Lint => lint(&options),
        Verb::Msrv => msrv(&options),
        Verb::Ci => ci(&options),
        Verb::Prove => prove::run(&options),
        Verb::Bench => bench::run(&options),
        Verb::Fuzz => fuzz::run(&options),
        Verb::Cross => arm::cross(&options),
        Verb::DeviceTest => arm::device_test(&options),
        Verb::Chaos => chaos(&options),
    }
}

/// Breaks what can break while sound goes on.
fn chaos(options: &Options) -> Result<(), String> {
    needs::ensure(Scope::Everything, options.yes)?;
    succeed(cargo(["build", "-p", "soundpost-linux"]))?;
    let mut run = cargo(["run", "-p", "soundpost-tests", "--example", "chaos", "--"]);
    for (flag, value) in [("--minutes", &options.minutes), ("--seed", &options.seed)] {
        value.iter().for_each(|value| _ = run.arg(flag).arg(value));
    }
    succeed(run)
}

/// Installs what is missing, builds the program, and becomes it: signals go straight to the daemon.
fn run(options: Options) -> Result<(), String> {
    needs::ensure(Scope::Build, options.yes)?;
    succeed(cargo(["build", "--release", "-p", "soundpost-linux"]))?;
    let program = steps::target_dir()?.join("release/soundpost");
    println!("\n{}\n", next_things(&shown(&program)));
    let error = process::Command::new(&program).arg("run").args(options.rest).exec();
    Err(format!("cannot start {}: {error}", program.display()))
}

fn next_things(program: &str) -> String {
    format!(
        "soundpost starts now; Ctrl-C ends it. The address that it prints after `control` shows in a browser\n\
         how it is doing. In a second terminal, try:\n\
         \x20 {program} listen                    hear what this machine captures\n\
         \x20 {program} talk -i file:hello.wav    play a recording through it\n\
         \x20 {program} status                    see how it is doing\n\
         \x20 {program} devices                   see which sound devices there are"
    )
}

/// The way a person would type `path` here: relative when it lies below the current directory.
fn shown(path: &Path) -> String {
    let here = std::env::current_dir().unwrap_or_default();
    path.strip_prefix(here).unwrap_or(path).display().to_string()
}

/// The daemon, every test, and (unless only some tests were asked for) the embedded builds.
fn test(options: &Options) -> Result<(), String> {
    needs::ensure(Scope::Everything, options.yes)?;
    let mut report = Report::default();
    // The firmware that some tests run on an emulated board is built for these.
    report.step("embedded targets", || toolchain::ensure_targets().map(|()| State::Passed));
    // The behaviour tests start the real program, so it has to be there before they run.
    report.step("build the daemon", || succeed(cargo(["build", "-p", "soundpost-linux"])).map(|()| State::Passed));
    report.step("tests of the workspace", || again::tests(&options.rest));
    if options.rest.is_empty() {
        report.step("ten seconds of torment on the public socket", || fuzz::socket(10, None).map(|()| State::Passed));
        report.step("every scenario of the simulator", || sim::scenarios().map(|()| State::Passed));
        report.step("two minutes of worlds drawn from seeds", || {
            sim::swarm("2", sim::first_seed().as_deref()).map(|said| println!("{said}")).map(|()| State::Passed)
        });
        embedded_steps(&mut report);
    } else {
        report.skip("simulator and embedded builds", "only the named tests were asked for");
    }
    report.finish()
}

/// Builds the core for microcontrollers.
fn embedded() -> Result<(), String> {
    let mut report = Report::default();
    embedded_steps(&mut report);
    report.finish()
}

fn embedded_steps(report: &mut Report) {
    report.step("embedded targets", || toolchain::ensure_targets().map(|()| State::Passed));
    for target in toolchain::EMBEDDED {
        for (with, features) in [("", &[][..]), (" with defmt", &["--features", "defmt"])] {
            let name = format!("core{with} for {target}");
            report.step(&name, || succeed(steps::embedded_build(target, features)).map(|()| State::Passed));
        }
    }
}

/// Format, clippy, documentation, and licences and sources of the dependencies.
fn lint(options: &Options) -> Result<(), String> {
    needs::ensure(Scope::Everything, options.yes)?;
    toolchain::ensure_components()?;
    let mut report = Report::default();
    report.step("format", || {
        succeed(cargo(["fmt", "--all", "--check"]))
            .map(|()| State::Passed)
            .map_err(|error| format!("{error}; `cargo fmt --all` puts it right"))
    });
    report.step("clippy", || {
        let mut clippy = cargo(["clippy", "--workspace", "--all-targets"]);
        clippy.args(["--", "-D", "warnings"]);
        succeed(clippy).map(|()| State::Passed)
    });
    // It is no member of the workspace: it has a panic handler and no std.
    report.step("format and clippy of the probe", || {
        let folder = root().join("tests/probe");
        let mut format = cargo(["fmt", "--check"]);
        format.current_dir(&folder);
        succeed(format)?;
        let mut clippy = cargo(["clippy", "--release", "--target-dir"]);
        clippy.arg(steps::target_dir()?.join("probe")).args(["--", "-D", "warnings"]).current_dir(&folder);
        succeed(clippy).map(|()| State::Passed)
    });
    report.step("documentation", || {
        let mut doc = cargo(["doc", "--workspace", "--no-deps"]);
        doc.env("RUSTDOCFLAGS", "-D warnings");
        succeed(doc).map(|()| State::Passed)
    });
    if toolchain::has_subcommand("deny") {
        report.step("licences and sources", || {
            // No advisories: they come from a database fetched anew each time, so that check
            // answers differently from day to day on the same commit.
            succeed(cargo(["deny", "check", "licenses", "bans", "sources"])).map(|()| State::Passed)
        });
    } else {
        report.skip("licences and sources", "no cargo-deny here: `cargo install --locked cargo-deny`");
    }
    report.finish()
}

/// Checks that the oldest promised compiler still takes the whole workspace.
fn msrv(options: &Options) -> Result<(), String> {
    needs::ensure(Scope::Everything, options.yes)?;
    let manifest = root().join("Cargo.toml");
    let text =
        std::fs::read_to_string(&manifest).map_err(|error| format!("cannot read {}: {error}", manifest.display()))?;
    let promised =
        toolchain::rust_version(&text).ok_or("the root Cargo.toml has no rust-version = \"…\" that names a version")?;
    let mut report = Report::default();
    report.step(&format!("check with Rust {promised}"), || {
        let Some(mut check) = toolchain::cargo_of(promised)? else {
            let why = format!("NOT checked: Rust {promised} cannot be installed");
            return if options.optional {
                Ok(State::Skipped(why))
            } else {
                Err(format!("{why}; install it, or pass --optional to let that be"))
            };
        };
        // Its own folder: two compilers in one would rebuild everything at each change of hands.
        check.args(["check", "--workspace", "--all-targets", "--target-dir"]).arg(steps::target_dir()?.join("msrv"));
        succeed(check).map(|()| State::Passed)
    });
    report.finish()
}

/// Becomes the script that continuous integration runs, so there is one list of what that is.
fn ci(options: &Options) -> Result<(), String> {
    needs::ensure(Scope::Everything, options.yes)?;
    let script = root().join(".ci/run");
    let error = process::Command::new("bash").arg(&script).exec();
    Err(format!("cannot start bash {}: {error}", script.display()))
}
