//! Files, with landlock: what is not listed here can be neither opened nor made, whoever the user is.
//!
//! It holds for the thread that calls and for those that it starts afterwards, so it is put up before there are others.

use crate::pcm::{Choice, Uri};
use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, PathBeneath, PathFd, Ruleset, RulesetAttr,
    RulesetCreated, RulesetCreatedAttr, RulesetError, RulesetStatus, Scope,
};
use soundpost_core::config::Direction;
use std::path::{Path, PathBuf};

/// The newest that is known here; of an older kernel's, as much is used as it has.
const KNOWN: ABI = ABI::V6;

/// What sound cards and their library need to be read: configuration, libraries, what the kernel tells of cards.
const READ: [&str; 12] = [
    "/usr/share/alsa",
    "/etc/alsa",
    "/etc/asound.conf",
    "/etc/ld.so.cache",
    "/usr/lib",
    "/lib",
    "/proc/asound",
    "/proc/self",
    "/sys/class/sound",
    "/sys/bus",
    "/sys/devices",
    "/dev/urandom",
];

/// What they need to be read and written.
const WRITTEN: [&str; 2] = ["/dev/snd", "/dev/null"];

/// Restricts files to what these devices need; says to what.
pub(super) fn restrict(choice: &Choice, direction: Direction) -> String {
    match try_restrict(choice, direction) {
        Ok(RulesetStatus::FullyEnforced | RulesetStatus::PartiallyEnforced) => allowed(choice).to_owned(),
        Ok(RulesetStatus::NotEnforced) => "all that its user may: this kernel has no landlock".to_owned(),
        Err(error) => {
            tracing::warn!("files are not restricted: {error}");
            format!("all that its user may: {error}")
        }
    }
}

fn allowed(choice: &Choice) -> &'static str {
    let recorded = choice.uris().iter().any(|uri| matches!(uri, Uri::File { .. }));
    match (has_cards(choice), recorded) {
        (true, true) => "sound cards, their configuration and the recording",
        (true, false) => "sound cards and their configuration",
        (false, true) => "the recording",
        (false, false) => "none",
    }
}

fn has_cards(choice: &Choice) -> bool {
    choice.uris().iter().any(|uri| matches!(uri, Uri::Alsa(_) | Uri::Usb { .. } | Uri::Auto))
}

fn try_restrict(choice: &Choice, direction: Direction) -> Result<RulesetStatus, RulesetError> {
    let rules = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(KNOWN))?
        .handle_access(AccessNet::from_all(KNOWN))?
        .scope(Scope::from_all(KNOWN))?
        .create()?;
    let mut rules = Some(rules);
    if has_cards(choice) {
        let private =
            ["ALSA_CONFIG_PATH", "ALSA_CONFIG_DIR", "ALSA_PLUGIN_DIR"].into_iter().filter_map(std::env::var_os);
        let home = std::env::var_os("HOME").map(PathBuf::from);
        let home = home.into_iter().flat_map(|home| [home.join(".asoundrc"), home.join(".config/alsa")]);
        for path in READ.into_iter().map(PathBuf::from).chain(private.map(PathBuf::from)).chain(home) {
            add(&mut rules, &path, AccessFs::from_read(KNOWN))?;
        }
        let written = AccessFs::from_read(KNOWN) | AccessFs::WriteFile | AccessFs::IoctlDev;
        for path in WRITTEN {
            add(&mut rules, Path::new(path), written)?;
        }
    }
    for uri in choice.uris() {
        let Uri::File { path, .. } = uri else { continue };
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        match direction {
            Direction::Capture => add(&mut rules, path, BitFlags::from(AccessFs::ReadFile))?,
            Direction::Playback => {
                let recorded = AccessFs::ReadFile | AccessFs::WriteFile | AccessFs::Truncate | AccessFs::MakeReg;
                add(&mut rules, folder, recorded)?;
            }
        }
    }
    rules.map_or(Ok(RulesetStatus::NotEnforced), |rules| rules.restrict_self().map(|status| status.ruleset))
}

/// Allows `access` beneath a path, if there is one.
fn add(rules: &mut Option<RulesetCreated>, path: &Path, access: BitFlags<AccessFs>) -> Result<(), RulesetError> {
    let Ok(fd) = PathFd::new(path) else { return Ok(()) };
    // What is no folder has no rights of folders.
    let access = if path.is_dir() { access } else { access & AccessFs::from_file(KNOWN) };
    if let Some(before) = rules.take() {
        *rules = Some(before.add_rule(PathBeneath::new(fd, access))?);
    }
    Ok(())
}
