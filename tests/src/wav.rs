//! Recordings: what programs under test read.

use std::path::Path;

/// One channel, as everything here has it.
pub const MONO: hound::WavSpec = hound::WavSpec {
    channels: 1,
    sample_rate: crate::RATE as u32,
    bits_per_sample: 16,
    sample_format: hound::SampleFormat::Int,
};

/// Writes a recording.
///
/// # Panics
///
/// When there is no room for it.
pub fn write(path: &Path, samples: impl IntoIterator<Item = i16>) {
    let mut file = hound::WavWriter::create(path, MONO).expect("a file");
    samples.into_iter().for_each(|sample| file.write_sample(sample).expect("room on the disk"));
    file.finalize().expect("a whole file");
}
