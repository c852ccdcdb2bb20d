//! Packages of Debian for 32-bit ARM, unpacked below the target directory.
//!
//! apt does it, with a state of its own there: the package lists and the architectures of this machine stay as they
//! are, and nobody needs to be root. Where the packages come from is what this machine's own sources say.

use crate::steps::{output, output_of, retry, succeed};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Packages that are unpacked into one folder.
pub(super) struct Group {
    /// The folder's name.
    name: &'static str,
    wanted: &'static [Wanted],
}

/// A package, by its name or by who depends on it: the names of some carry a version.
enum Wanted {
    Named(&'static str),
    /// The first one with this beginning that the other one depends on.
    DependencyOf(&'static str, &'static str),
}

/// What the program is linked with.
pub(super) const LIBRARIES: Group = Group {
    name: "libraries",
    wanted: &[Wanted::Named("libasound2-dev"), Wanted::DependencyOf("libasound2-dev", "libasound2")],
};

/// What runs on the emulated board besides the program.
pub(super) const SYSTEM: Group = Group {
    name: "system",
    wanted: &[
        Wanted::DependencyOf("linux-image-armmp", "linux-image-"),
        Wanted::Named("busybox-static"),
        Wanted::Named("alsa-utils"),
        Wanted::Named("libasound2-data"),
    ],
};

/// Unpacks a group, unless that was done before; returns the folder.
pub(super) fn unpacked(group: &Group, board: &Path) -> Result<PathBuf, String> {
    let folder = board.join(group.name);
    let complete = board.join(format!("{}.complete", group.name));
    if complete.is_file() {
        return Ok(folder);
    }
    let apt = Apt::new(board)?;
    let downloads = board.join(format!("{}.packages", group.name));
    retry(&format!("fetching the packages for {}", group.name), || {
        empty(&downloads)?;
        apt.update();
        let names = group.wanted.iter().map(|wanted| apt.resolve(wanted)).collect::<Result<Vec<_>, _>>()?;
        apt.download(&names, &downloads)
    })
    .map_err(|error| {
        format!(
            "{error}. The board is made of Debian's packages for armhf; the sources of this machine (/etc/apt) have to \
             offer them"
        )
    })?;
    empty(&folder)?;
    for package in files(&downloads)? {
        let mut unpack = Command::new("dpkg-deb");
        unpack.arg("--extract").arg(&package).arg(&folder);
        succeed(unpack)?;
    }
    // The next time needs neither them nor a network.
    fs::remove_dir_all(&downloads).map_err(|error| format!("cannot remove {}: {error}", downloads.display()))?;
    fs::write(&complete, "").map_err(|error| format!("cannot write {}: {error}", complete.display()))?;
    Ok(folder)
}

/// apt for another architecture, with a state of its own.
struct Apt {
    configuration: PathBuf,
}

impl Apt {
    fn new(board: &Path) -> Result<Self, String> {
        let state = board.join("apt");
        let trouble = |error| format!("cannot prepare {}: {error}", state.display());
        for folder in ["lists/partial", "archives/partial"] {
            fs::create_dir_all(state.join(folder)).map_err(trouble)?;
        }
        // Nothing is installed, as far as it knows.
        fs::write(state.join("status"), "").map_err(trouble)?;
        let configuration = state.join("apt.conf");
        let text = format!(
            "APT::Architecture \"armhf\";\n\
             APT::Architectures {{ \"armhf\"; }};\n\
             APT::Sandbox::User \"root\";\n\
             Acquire::Languages \"none\";\n\
             Dir::State \"{0}\";\n\
             Dir::State::status \"{0}/status\";\n\
             Dir::Cache \"{0}\";\n",
            state.display()
        );
        fs::write(&configuration, text).map_err(trouble)?;
        Ok(Self { configuration })
    }

    fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(arguments).env("APT_CONFIG", &self.configuration);
        command
    }

    /// A list that could not be fetched may belong to something that is not needed here.
    fn update(&self) {
        if let Err(error) = succeed(self.command("apt-get", &["--quiet", "update"])) {
            println!("{error}; going on with the package lists that are there");
        }
    }

    fn resolve(&self, wanted: &Wanted) -> Result<String, String> {
        match wanted {
            Wanted::Named(name) => Ok((*name).to_string()),
            Wanted::DependencyOf(dependent, beginning) => {
                let said = output_of(self.command("apt-cache", &["depends", dependent]));
                let said = said.ok_or_else(|| format!("no source offers the package {dependent} for armhf"))?;
                let found = dependency(&said, beginning).map(str::to_string);
                found.ok_or_else(|| format!("{dependent} for armhf depends on no {beginning}…"))
            }
        }
    }

    fn download(&self, names: &[String], to: &Path) -> Result<(), String> {
        let mut command = self.command("apt-get", &["--quiet", "download"]);
        command.args(names).current_dir(to);
        succeed(command)
    }
}

/// The first package with this beginning in what `apt-cache depends` printed.
fn dependency<'a>(printed: &'a str, beginning: &str) -> Option<&'a str> {
    let names = printed.lines().filter_map(|line| line.trim().strip_prefix("Depends: "));
    names.map(str::trim).find(|name| name.starts_with(beginning))
}

fn empty(folder: &Path) -> Result<(), String> {
    let trouble = |error| format!("cannot empty {}: {error}", folder.display());
    if folder.exists() {
        fs::remove_dir_all(folder).map_err(trouble)?;
    }
    fs::create_dir_all(folder).map_err(trouble)
}

fn files(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let entries = fs::read_dir(folder).map_err(|error| format!("cannot read {}: {error}", folder.display()))?;
    Ok(entries.filter_map(|entry| Some(entry.ok()?.path())).collect())
}

/// The folder where Debian keeps libraries of this architecture, below an unpacked group.
pub(super) fn libraries(unpacked: &Path) -> PathBuf {
    unpacked.join("usr/lib/arm-linux-gnueabihf")
}

/// Where the C library for ARM lies on this machine, as its compiler says.
pub(super) fn c_library(file: &str) -> Result<PathBuf, String> {
    let question = format!("-print-file-name={file}");
    let said = output(&["arm-linux-gnueabihf-gcc", &question]).unwrap_or_default();
    let path = PathBuf::from(said.trim());
    // It repeats the bare name of what it does not find.
    if path.is_absolute() { Ok(path) } else { Err(format!("the C compiler for 32-bit ARM has no {file}")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_a_version_is_found_among_the_dependencies() {
        let printed = "linux-image-armmp\n  Depends: linux-image-6.1.0-50-armmp\n  Suggests: linux-image-x\n";
        assert_eq!(dependency(printed, "linux-image-"), Some("linux-image-6.1.0-50-armmp"));
        let printed = "libasound2-dev\n  Depends: libc6-dev\n  Depends: libasound2t64\n";
        assert_eq!(dependency(printed, "libasound2"), Some("libasound2t64"));
        assert_eq!(dependency("x\n", "libasound2"), None);
    }
}
