//! The parts of Rust that a verb needs: compilers, targets, components.
//!
//! What is already installed is used as it is, by whatever means it came, so nothing here needs a
//! network or rustup when nothing is missing. What is missing comes through rustup, tried several times.

use crate::needs::runs;
use crate::steps::{cargo, in_workspace, output, retry, succeed};
use std::fmt;
use std::path::Path;
use std::process::Command;

/// The microcontroller targets the core is built for: Cortex-M4F and Cortex-M0.
pub(crate) const EMBEDDED: [&str; 2] = ["thumbv7em-none-eabihf", "thumbv6m-none-eabi"];

/// Small boards that run Linux: ARMv7 with hardware floating point, such as Cortex-A7.
pub(crate) const ARM: &str = "armv7-unknown-linux-gnueabihf";

/// A version of Rust.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Version(u32, u32, u32);

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.0, self.1, self.2)
    }
}

impl Version {
    /// Reads `1.88` and `1.88.0`; what is left out is zero.
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('.').map(|part| part.parse().ok());
        let version = Self(parts.next()??, parts.next()??, parts.next().unwrap_or(Some(0))?);
        parts.next().is_none().then_some(version)
    }
}

/// The `rust-version` that a Cargo.toml states.
pub(crate) fn rust_version(manifest: &str) -> Option<Version> {
    let value = manifest.lines().find_map(|line| {
        let (key, value) = line.split_once('=')?;
        (key.trim() == "rust-version").then_some(value)
    })?;
    Version::parse(value.split('"').nth(1)?)
}

/// The version in what `rustc --version` prints; that of a nightly is the release it becomes.
fn compiler_version(printed: &str) -> Option<Version> {
    let word = printed.split_whitespace().nth(1)?;
    Version::parse(word.split('-').next()?)
}

/// Installs through rustup, several times if need be, or says what is to be installed by hand.
fn rustup(what: &str, arguments: &[&str]) -> Result<(), String> {
    if !runs(&["rustup", "--version"]) {
        return Err(format!(
            "{what} is missing, and so is rustup, which would install it: \
             get rustup (https://rustup.rs), or install {what} the way Rust was installed here"
        ));
    }
    retry(&format!("installing {what}"), || {
        let mut command = Command::new("rustup");
        command.args(arguments);
        succeed(command)
    })
}

/// Sees to it that the core can be built for [`EMBEDDED`].
pub(crate) fn ensure_targets() -> Result<(), String> {
    let missing = EMBEDDED.into_iter().filter(|target| !has_target(target));
    let missing: Vec<&str> = missing.collect();
    if missing.is_empty() {
        return Ok(());
    }
    let what = format!("the Rust target {}", missing.join(" and "));
    rustup(&what, &[&["target", "add"], &missing[..]].concat())
}

/// Sees to it that code for `target` can be built.
pub(crate) fn ensure_target(target: &str) -> Result<(), String> {
    if has_target(target) { Ok(()) } else { rustup(&format!("the Rust target {target}"), &["target", "add", target]) }
}

/// Lets a build of cargo's make a program for [`ARM`] with nothing left to load.
pub(crate) fn for_arm(build: &mut Command) {
    build.args(["--target", ARM]);
    build.env("CARGO_TARGET_ARMV7_UNKNOWN_LINUX_GNUEABIHF_LINKER", "arm-linux-gnueabihf-gcc");
    build.env("CARGO_TARGET_ARMV7_UNKNOWN_LINUX_GNUEABIHF_RUSTFLAGS", "-C target-feature=+crt-static");
    // Else libopus, which chooses at run time, is not compiled: its files for NEON may not use it.
    build.env("CFLAGS_armv7_unknown_linux_gnueabihf", "-mfpu=neon -mfloat-abi=hard");
}

fn has_target(target: &str) -> bool {
    output(&["rustc", "--print", "target-libdir", "--target", target])
        .is_some_and(|folder| Path::new(folder.trim()).is_dir())
}

/// Sees to it that `cargo fmt` and `cargo clippy` are there.
pub(crate) fn ensure_components() -> Result<(), String> {
    for (subcommand, component) in [("fmt", "rustfmt"), ("clippy", "clippy")] {
        if !has_subcommand(subcommand) {
            rustup(component, &["component", "add", component])?;
        }
    }
    Ok(())
}

/// Whether `cargo SUBCOMMAND` works here. (Rustup's stand-in for a missing component is there, but
/// does not run.)
pub(crate) fn has_subcommand(subcommand: &str) -> bool {
    let probe = cargo([subcommand, "--version"]).output();
    probe.is_ok_and(|output| output.status.success())
}

/// A cargo of exactly this version, installed if need be; nothing if it cannot be had here, although
/// the compiler in use is new enough.
pub(crate) fn cargo_of(version: Version) -> Result<Option<Command>, String> {
    let name = version.to_string();
    let here = output(&["rustc", "--version"]).and_then(|printed| compiler_version(&printed));
    if here == Some(version) {
        return Ok(Some(cargo([])));
    }
    let is_installed = || runs(&["rustup", "run", &name, "cargo", "--version"]);
    if !is_installed() {
        let what = format!("Rust {name}");
        let install = ["toolchain", "install", &name, "--profile", "minimal"];
        if let Err(error) = rustup(&what, &install) {
            println!("{error}");
            return match here {
                Some(here) if here >= version => Ok(None),
                Some(here) => {
                    Err(format!("the Rust in use is {here}, older than the {version} this workspace asks for"))
                }
                None => Err("cannot tell the version of the Rust in use".to_string()),
            };
        }
    }
    let mut command = Command::new("rustup");
    command.args(["run", &name, "cargo"]);
    in_workspace(&mut command);
    Ok(Some(command))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_promised_version_is_read_from_the_manifest() {
        let manifest = "[workspace.package]\nedition = \"2024\"\nrust-version = \"1.88\"\n";
        assert_eq!(rust_version(manifest), Some(Version(1, 88, 0)));
        assert_eq!(rust_version("rust-version=\"1.90.1\" # why"), Some(Version(1, 90, 1)));
        assert_eq!(rust_version("# rust-version = \"1.88\""), None);
        assert_eq!(rust_version("rust-version.workspace = true"), None);
        assert_eq!(rust_version("rust-version = \"new\""), None);
        assert_eq!(rust_version(""), None);
    }

    #[test]
    fn this_workspace_promises_a_version() {
        let manifest = std::fs::read_to_string(crate::steps::root().join("Cargo.toml")).unwrap();
        assert!(rust_version(&manifest) >= Some(Version(1, 85, 0)));
    }

    #[test]
    fn a_toolchain_is_named_by_all_three_numbers() {
        assert_eq!(Version(1, 88, 0).to_string(), "1.88.0");
        assert_eq!(Version::parse("1"), None);
        assert_eq!(Version::parse("1.2.3.4"), None);
    }

    #[test]
    fn the_compiler_in_use_is_compared_by_number() {
        let stable = compiler_version("rustc 1.95.0 (59807616e 2026-04-14)\n");
        assert_eq!(stable, Some(Version(1, 95, 0)));
        assert_eq!(compiler_version("rustc 1.97.0-nightly (abc 2026-05-01)"), Some(Version(1, 97, 0)));
        assert!(compiler_version("rustc 1.100.0 (x)") > stable);
        assert_eq!(compiler_version("something else"), None);
    }

    #[test]
    fn a_target_that_does_not_exist_is_not_there() {
        assert!(!has_target("no-such-target"));
    }
}
