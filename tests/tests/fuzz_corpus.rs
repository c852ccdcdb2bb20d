//! The bodies of the fuzz targets over the inputs that are kept: seeds, and whatever once broke a promise.

// It is a library there, and what it offers is public.
#[allow(unreachable_pub)]
#[path = "../fuzz/src/lib.rs"]
mod fuzz;

use std::fs;
use std::path::Path;

/// What is kept for each target stays small enough to be looked at.
const FILES_MAX: usize = 200;
const BYTES_MAX: u64 = 300 << 10;

/// Runs a body over every input in its folder.
fn replay(target: &str) {
    let (_, body) = fuzz::BODIES.into_iter().find(|(name, _)| *name == target).expect("a target");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(target);
    let inputs = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut count = 0;
    for input in inputs {
        let path = input.expect("an entry").path();
        let bytes = fs::read(&path).expect("a readable file");
        println!("{}", path.display());
        body(&bytes);
        count += 1;
    }
    assert!(count >= 5, "{count} inputs for {target}");
    // What is in no folder: nothing, and everything of one byte.
    body(&[]);
    (0..=u8::MAX).for_each(|byte| body(&[byte]));
}

macro_rules! replays {
    ($($target:ident,)*) => {
        $(#[test]
        fn $target() {
            replay(stringify!($target));
        })*

        #[test]
        fn every_target_is_replayed() {
            assert_eq!(fuzz::BODIES.map(|(name, _)| name), [$(stringify!($target)),*]);
        }
    };
}

replays![wire_parse, wire_control, pool_ops, playback_ops, capture_ops, opus_toc, wav_and_uri,];

#[test]
fn what_is_kept_is_small() {
    let folders = fuzz::BODIES.map(|(name, _)| Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(name));
    let files = folders.iter().flat_map(|folder| fs::read_dir(folder).expect("a folder for each target"));
    let sizes: Vec<u64> = files.map(|file| file.expect("an entry").metadata().expect("a file").len()).collect();
    assert!(sizes.len() <= FILES_MAX, "{} files", sizes.len());
    assert!(sizes.iter().sum::<u64>() <= BYTES_MAX, "{} bytes", sizes.iter().sum::<u64>());
}
