//! Sound cards by the USB port that they are in, which stays when cards are numbered anew.
//!
//! `1-1.2` is bus 1, port 1 of its root hub, port 2 of the hub in that: the name of the device in `/sys/bus/usb`, and a
//! part of the path that `/sys/class/sound/card0/device` points to.

use std::fs;
use std::path::Path;

/// Where the kernel lists its cards.
const SYSFS: &str = "/sys/class/sound";

/// The number of the card in this port.
///
/// # Errors
/// What there is instead, in words.
pub(super) fn card(port: &str) -> Result<u32, String> {
    card_in(Path::new(SYSFS), port)
}

fn card_in(sysfs: &Path, port: &str) -> Result<u32, String> {
    let cards = cards(sysfs);
    let found = cards.iter().find(|(_, ports)| ports.last().is_some_and(|last| last == port));
    found.map(|(number, _)| *number).ok_or_else(|| {
        let known: Vec<_> =
            cards.iter().filter_map(|(_, ports)| ports.last()).map(|port| format!("usb:{port}")).collect();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        format!("no sound card is in this USB port; there are: {known}")
    })
}

/// The port of a card, if it is in one.
pub(super) fn port(card: u32) -> Option<String> {
    cards(Path::new(SYSFS)).into_iter().find(|(number, _)| *number == card)?.1.pop()
}

/// The cards, and the ports on the way to each: the last one is its own.
fn cards(sysfs: &Path) -> Vec<(u32, Vec<String>)> {
    let entries = fs::read_dir(sysfs).into_iter().flatten().flatten();
    let card = |entry: fs::DirEntry| {
        let number = entry.file_name().to_str()?.strip_prefix("card")?.parse().ok()?;
        let path = fs::canonicalize(entry.path().join("device")).ok()?;
        let parts = path.iter().filter_map(|part| part.to_str());
        Some((number, parts.filter(|part| is_port(part)).map(str::to_owned).collect()))
    };
    let mut cards: Vec<_> = entries.filter_map(card).collect();
    cards.sort_unstable();
    cards
}

/// `1-1.2`, and not `usb1` (a root hub) or `1-1.2:1.0` (an interface).
pub(super) fn is_port(name: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    name.split_once('-').is_some_and(|(bus, ports)| digits(bus) && ports.split('.').all(digits))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn a_port_is_told_from_a_hub_and_an_interface() {
        for name in ["1-1", "1-1.2", "12-3.4.5"] {
            assert!(is_port(name), "{name}");
        }
        for name in ["usb1", "1-1:1.0", "1-1.2:1.0", "1-", "-1", "1-1.", "", "pci0000", "0000-00.a"] {
            assert!(!is_port(name), "{name}");
        }
    }

    #[test]
    fn cards_are_found_by_their_own_port_whatever_their_number() {
        let root = tempfile::tempdir().unwrap();
        let sysfs = root.path().join("class/sound");
        for (card, device) in [
            ("card0", "devices/platform/hdmi"),
            ("card3", "devices/pci0000:00/usb1/1-1/1-1.2/1-1.2:1.0"),
            ("card1", "devices/pci0000:00/usb1/1-1/1-1:1.0"),
        ] {
            let device = root.path().join(device);
            fs::create_dir_all(&device).unwrap();
            fs::create_dir_all(sysfs.join(card)).unwrap();
            symlink(device, sysfs.join(card).join("device")).unwrap();
        }
        fs::create_dir_all(sysfs.join("pcmC0D0p")).unwrap();
        assert_eq!(card_in(&sysfs, "1-1.2"), Ok(3));
        assert_eq!(card_in(&sysfs, "1-1"), Ok(1), "not the card behind it");
        let error = card_in(&sysfs, "2-1").unwrap_err();
        assert!(error.contains("there are: usb:1-1, usb:1-1.2"), "{error}");
        assert!(card_in(Path::new("/nonexistent"), "1-1").unwrap_err().contains("there are: none"));
    }
}
