//! The first file system of a kernel: a cpio archive in the format "newc" (kernel: `Documentation/driver-api/
//! early-userspace/buffer-format.rst`). Not compressed: an emulated processor would unpack it slowly.

use std::fs;
use std::path::Path;

/// What stands in `mode` besides the rights.
const FILE: u32 = 0o100_000;
const FOLDER: u32 = 0o040_000;
const CHARACTER_DEVICE: u32 = 0o020_000;

/// An archive under way.
#[derive(Default)]
pub(super) struct Image {
    bytes: Vec<u8>,
    entries: u32,
}

impl Image {
    /// A folder; those above it have to come first.
    pub(super) fn folder(&mut self, path: &str) {
        self.entry(path, FOLDER | 0o755, (0, 0), &[]);
    }

    /// A file that may be run.
    pub(super) fn file(&mut self, path: &str, contents: &[u8]) {
        self.entry(path, FILE | 0o755, (0, 0), contents);
    }

    /// A character device.
    pub(super) fn device(&mut self, path: &str, major: u32, minor: u32) {
        self.entry(path, CHARACTER_DEVICE | 0o600, (major, minor), &[]);
    }

    /// A file of this machine.
    pub(super) fn copy(&mut self, from: &Path, path: &str) -> Result<(), String> {
        let contents = fs::read(from).map_err(|error| format!("cannot read {}: {error}", from.display()))?;
        self.file(path, &contents);
        Ok(())
    }

    /// A folder of this machine with everything in it; links become what they point to.
    pub(super) fn copy_all(&mut self, from: &Path, path: &str) -> Result<(), String> {
        self.folder(path);
        let entries = fs::read_dir(from).map_err(|error| format!("cannot read {}: {error}", from.display()))?;
        let mut paths: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
        paths.sort();
        for below in paths {
            let name = below.file_name().unwrap_or_default().to_string_lossy();
            let to = format!("{path}/{name}");
            if below.is_dir() { self.copy_all(&below, &to)? } else { self.copy(&below, &to)? }
        }
        Ok(())
    }

    /// The whole archive.
    pub(super) fn finish(mut self) -> Vec<u8> {
        self.entry("TRAILER!!!", 0, (0, 0), &[]);
        self.bytes
    }

    fn entry(&mut self, path: &str, mode: u32, device: (u32, u32), contents: &[u8]) {
        self.entries += 1;
        let (size, name) = (contents.len() as u32, path.len() as u32 + 1);
        // Number, mode, owner, group, links, time, size, device that it lies on, device that it is, name, checksum.
        let fields = [self.entries, mode, 0, 0, 1, 0, size, 0, 0, device.0, device.1, name, 0];
        self.bytes.extend(b"070701");
        for field in fields {
            self.bytes.extend(format!("{field:08x}").bytes());
        }
        self.bytes.extend(path.bytes());
        self.bytes.push(0);
        self.align();
        self.bytes.extend(contents);
        self.align();
    }

    fn align(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_has_its_headers_names_and_contents_at_multiples_of_four() {
        let mut image = Image::default();
        image.folder("a");
        image.file("a/b", b"hello");
        let bytes = image.finish();
        assert_eq!(bytes.len() % 4, 0);
        let at = |text: &[u8]| bytes.windows(text.len()).position(|window| window == text);
        assert_eq!(&bytes[..14], b"07070100000001");
        assert_eq!(at(b"a/b\0").map(|at| at % 4), Some(2), "110 bytes after a multiple of four");
        let hello = at(b"hello\0\0\0").unwrap();
        assert!(hello % 4 == 0 && bytes[hello + 8..].starts_with(b"070701"));
        assert!(at(b"TRAILER!!!\0").is_some());
        // The size is the seventh field.
        let second = at(b"a/b\0").unwrap() - 110;
        assert_eq!(&bytes[second + 6 + 6 * 8..second + 6 + 7 * 8], b"00000005");
    }
}
