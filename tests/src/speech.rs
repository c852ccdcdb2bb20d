//! Something worth listening to: synthetic speech. Promises the same samples for the same text on
//! the same machine, at 48 kHz mono, spoken by `espeak-ng` and converted by `sox`.

use std::io::Write;
use std::process::{Command, Stdio};
use std::thread;

use crate::RATE;

/// Speaks `text` for exactly so many seconds. A text that is over before is spoken again, each time
/// with another pitch and pace, so that no stretch of the signal resembles another.
///
/// # Panics
///
/// When `espeak-ng` or `sox` is missing or fails.
pub fn speech(text: &str, seconds: f64) -> Vec<f32> {
    let frames = (seconds * RATE as f64).round() as usize;
    let mut signal = Vec::with_capacity(frames);
    for round in 0.. {
        if signal.len() >= frames {
            break;
        }
        let spoken = speak(text, 40 + (round * 17) % 50, 150 + (round * 23) % 40);
        assert!(!spoken.is_empty(), "espeak-ng has nothing to say about {text:?}");
        signal.extend(spoken.into_iter().map(|sample| f32::from(sample) / 32768.0));
    }
    signal.truncate(frames);
    signal
}

/// A signal as 16-bit samples.
pub fn to_i16(signal: &[f32]) -> Vec<i16> {
    signal.iter().map(|sample| (sample * 32768.0).round().clamp(-32768.0, 32767.0) as i16).collect()
}

/// 16-bit samples as a signal between -1 and 1.
pub fn to_f32(samples: &[i16]) -> Vec<f32> {
    samples.iter().map(|&sample| f32::from(sample) / 32768.0).collect()
}

fn speak(text: &str, pitch: usize, words_per_minute: usize) -> Vec<i16> {
    let mut espeak = Command::new("espeak-ng");
    espeak.args(["--stdout", "-p", &pitch.to_string(), "-s", &words_per_minute.to_string(), text]);
    let wav = filter(espeak, "espeak-ng", Vec::new());
    let mut sox = Command::new("sox");
    // The length in the header of a piped WAV file is a guess, and sox says so without -V1.
    sox.args(["-V1", "-D", "--ignore-length", "-t", "wav", "-"]);
    sox.args(["-r", &RATE.to_string(), "-c", "1", "-b", "16", "-e", "signed", "-L"]);
    sox.args(["-t", "raw", "-"]);
    let raw = filter(sox, "sox", wav);
    raw.as_chunks().0.iter().map(|pair| i16::from_le_bytes(*pair)).collect()
}

fn filter(mut command: Command, package: &str, input: Vec<u8>) -> Vec<u8> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = crate::spawn::spawn_bound(command)
        .unwrap_or_else(|e| panic!("cannot run {package} (install the package {package}): {e}"));
    let mut stdin = child.stdin.take().expect("a pipe");
    // A program that does not read to the end closes the pipe; its exit status tells more.
    let feeder = thread::spawn(move || stdin.write_all(&input).is_ok());
    let output = child.wait_with_output().expect("a child of ours can be waited for");
    feeder.join().expect("the feeder does not panic");
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{package} failed:\n{complaints}");
    output.stdout
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speech_is_loud_enough_and_as_long_as_asked_for() {
        let signal = speech("One, two, three.", 4.0);
        assert_eq!(signal.len(), 4 * RATE);
        let peak = signal.iter().fold(0.0f32, |peak, s| peak.max(s.abs()));
        assert!((0.1..=1.0).contains(&peak), "peak {peak}");
        assert_eq!(to_f32(&to_i16(&signal)), signal);
    }
}
