//! Prints how the actuators of the playback change a sound, as a table in Markdown, and draws what they do.
//!
//!     cargo run --release -p soundpost-tests --example sound_quality [DIRECTORY]
//!
//! With a directory, spectrograms are written there as PNG: above the original, below what came of it, white lines
//! where something was done. 480 ms from left to right, 8 kHz from bottom to top, 60 dB from black to white.

use soundpost_core::config::Content;
use soundpost_tests::actuators::{Treated, played, report, spoken};
use soundpost_tests::measure::{opinion, spectrum};
use std::path::{Path, PathBuf};

const WIDTH: usize = 480;
const HEIGHT: usize = 128;
/// Samples from one column to the next, and in a column.
const STEP: usize = 48;
const WINDOW: usize = 768;

fn main() -> std::io::Result<()> {
    let directory = std::env::args().nth(1).map(PathBuf::from);
    for (name, content, sound) in [("speech", Content::Voice, spoken()), ("music", Content::Program, played())] {
        println!("### {name}\n");
        println!("| | seams | a minute | SNR, all | SNR, seams | distance, all | distance, seams | level | PESQ |");
        println!("|---|--:|--:|--:|--:|--:|--:|--:|--:|");
        for (what, treated) in report(&sound, content) {
            print_row(what, &treated, content == Content::Voice);
            if let Some(directory) = &directory
                && let Some(verb) = drawn(what)
            {
                draw(&directory.join(format!("{name}-{verb}.png")), &treated)?;
            }
        }
        println!();
    }
    Ok(())
}

fn print_row(what: &str, treated: &Treated, voice: bool) {
    let (all, seams) = (treated.all(), treated.at_seams());
    let minutes = treated.sound.len() as f64 / 48_000.0 / 60.0;
    let pesq = if voice { format!("{:.2}", opinion(&treated.original, &treated.sound)) } else { "–".into() };
    println!(
        "| {what} | {} | {:.0} | {:.1} | {:.1} | {:.2} | {:.2} | {:+.2} | {pesq} |",
        treated.seams.len(),
        treated.seams.len() as f64 / minutes,
        all.snr,
        seams.snr,
        all.distance,
        seams.distance,
        treated.louder(),
    );
}

/// What the picture of this is called, if there is one.
fn drawn(what: &str) -> Option<&'static str> {
    Some(match what {
        "resampled by 0.5 %" => "resample",
        "periods removed, calm" => "remove",
        "periods inserted, calm" => "insert",
        "both in turn, blindly (for comparison)" => "blind",
        "one packet in 11 concealed by libopus" => "conceal",
        "one packet in 25 passed over" => "splice",
        _ => return None,
    })
}

/// Draws what is around a seam with loud sound about it.
fn draw(path: &Path, treated: &Treated) -> std::io::Result<()> {
    let span = WIDTH * STEP;
    let power = |at: usize| {
        let piece = treated.sound.get(at.saturating_sub(2400)..at + 2400).unwrap_or(&[]);
        piece.iter().map(|v| v * v).sum::<f32>()
    };
    let inside = |at: &usize| *at > span && *at + span < treated.sound.len();
    let middles = treated.seams.iter().map(|seam| seam.start).filter(inside);
    let middle = middles.max_by(|a, b| power(*a).total_cmp(&power(*b))).expect("a seam");
    let from = middle - span / 2;
    let before = picture(&treated.original, treated.origin(from));
    let mut after = picture(&treated.sound, from);
    // Of a resampler, all is a seam.
    for seam in treated.seams.iter().filter(|seam| seam.len() != 960 || path.to_string_lossy().contains("conceal")) {
        for edge in [seam.start, seam.end] {
            if let Some(column) = edge.checked_sub(from).map(|at| at / STEP).filter(|column| *column < WIDTH) {
                (0..12).for_each(|row| after[row * WIDTH + column] = 15);
            }
        }
    }
    let gap = vec![15; 2 * WIDTH];
    std::fs::write(path, png(WIDTH, &[before, gap, after].concat()))
}

/// Sixteen shades, row by row from the top.
fn picture(sound: &[f32], from: usize) -> Vec<u8> {
    let mut shades = vec![0; WIDTH * HEIGHT];
    for column in 0..WIDTH {
        let at = (from + column * STEP).saturating_sub(WINDOW / 2).min(sound.len() - WINDOW);
        let spectrum = spectrum(&sound[at..at + WINDOW]);
        for row in 0..HEIGHT {
            // 62.5 Hz to a line of the spectrum, so one row each up to 8 kHz; 36 dB is a loud sine.
            let shade = (spectrum[HEIGHT - 1 - row] - 36.0 + 60.0) / 60.0 * 15.0;
            shades[row * WIDTH + column] = shade.clamp(0.0, 15.0) as u8;
        }
    }
    shades
}

/// A PNG of four bits a pixel. Nothing is compressed: a block holds up to 65 535 bytes as they are.
fn png(width: usize, shades: &[u8]) -> Vec<u8> {
    let packed = |row: &[u8]| row.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect::<Vec<u8>>();
    let rows: Vec<u8> = shades.chunks(width).flat_map(|row| [vec![0], packed(row)].concat()).collect();
    let mut data = vec![0x78, 0x01];
    let blocks = rows.chunks(65_535).count();
    for (number, block) in rows.chunks(65_535).enumerate() {
        let length = block.len() as u16;
        data.push(u8::from(number + 1 == blocks));
        data.extend([length.to_le_bytes(), (!length).to_le_bytes()].concat());
        data.extend(block);
    }
    let (a, b) = rows.iter().fold((1_u32, 0_u32), |(a, b), byte| {
        let a = (a + u32::from(*byte)) % 65_521;
        (a, (b + a) % 65_521)
    });
    data.extend((b << 16 | a).to_be_bytes());
    let size = [(width as u32).to_be_bytes(), ((shades.len() / width) as u32).to_be_bytes()].concat();
    let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
    for (kind, content) in [(b"IHDR", [size, vec![4, 0, 0, 0, 0]].concat()), (b"IDAT", data), (b"IEND", Vec::new())] {
        file.extend((content.len() as u32).to_be_bytes());
        let named = [&kind[..], &content].concat();
        file.extend(&named);
        file.extend(crc(&named).to_be_bytes());
    }
    file
}

fn crc(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 })
    })
}
