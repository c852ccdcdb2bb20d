//! Runs a firmware on an emulated board, decodes its `defmt` frames and prints them as lines.
//!
//! `soundpost-on-target BOARD FIRMWARE`: the board is one that `qemu-system-arm -M help` lists. Exits with 0 if the
//! firmware said through semihosting that all went well, and with 1 otherwise or when it does not end.

use defmt_decoder::{DecodeError, StreamDecoder, Table};
use std::io::{Error, ErrorKind, Read};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// A run takes seconds, and half a minute where the emulator goes step by step; one that takes so long hangs.
const DEADLINE: Duration = Duration::from_secs(240);

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [board, firmware] = &arguments[..] else {
        eprintln!("error: usage: soundpost-on-target BOARD FIRMWARE");
        return ExitCode::from(2);
    };
    match run(board, firmware) {
        Ok(()) => ExitCode::SUCCESS,
        Err(what) => {
            eprintln!("error: {what}");
            ExitCode::FAILURE
        }
    }
}

fn run(board: &str, firmware: &str) -> Result<(), String> {
    let elf = std::fs::read(firmware).map_err(|error| format!("cannot read {firmware}: {error}"))?;
    let table = Table::parse(&elf).map_err(|error| format!("{firmware}: {error}"))?;
    let table = table.ok_or_else(|| format!("{firmware} holds no texts of defmt"))?;
    let mut decoder = table.new_stream_decoder();
    let mut emulator = emulate(board, firmware)?;
    let result = listen(&mut emulator, decoder.as_mut());
    // It has ended, or it never would.
    let _ = emulator.kill();
    let status = emulator.wait().map_err(|error| format!("cannot wait for the emulator: {error}"))?;
    result?;
    if status.success() { Ok(()) } else { Err(format!("the firmware failed ({status})")) }
}

/// Starts the emulator. It counts instructions as time, a nanosecond each, so that a run is the same each time, and
/// translates them one by one: else an interrupt comes only at the end of a block of them, and seldom between the
/// reading and the writing of a word.
fn emulate(board: &str, firmware: &str) -> Result<Child, String> {
    let mut command = Command::new("qemu-system-arm");
    command.args(["-M", board, "-display", "none", "-serial", "none", "-monitor", "none", "-icount", "shift=0"]);
    command.args(one_by_one()?);
    command.args(["-chardev", "stdio,id=log", "-semihosting-config", "enable=on,target=native,chardev=log"]);
    command.args(["-kernel", firmware]).stdin(Stdio::null()).stdout(Stdio::piped());
    command.spawn().map_err(|error| cannot_start(&error))
}

fn cannot_start(error: &Error) -> String {
    match error.kind() {
        ErrorKind::NotFound => {
            "qemu-system-arm is missing; on Debian and its relatives it is in the package qemu-system-arm".to_owned()
        }
        _ => format!("cannot start qemu-system-arm: {error}"),
    }
}

/// How this emulator is told to translate one instruction at a time: that changed with version 8.1.
fn one_by_one() -> Result<&'static [&'static str], String> {
    let printed = Command::new("qemu-system-arm").arg("--version").output().map_err(|error| cannot_start(&error))?;
    let printed = String::from_utf8_lossy(&printed.stdout).into_owned();
    let mut numbers = printed.split(|c: char| !c.is_ascii_digit()).filter_map(|number| number.parse::<u32>().ok());
    let version = numbers.next().zip(numbers.next()).ok_or("qemu-system-arm does not say its version")?;
    Ok(if version < (8, 1) { &["-singlestep"] } else { &["-accel", "tcg,one-insn-per-tb=on"] })
}

/// Prints what the firmware says until it ends.
fn listen(emulator: &mut Child, decoder: &mut dyn StreamDecoder) -> Result<(), String> {
    let pieces = pieces(emulator);
    let end = Instant::now() + DEADLINE;
    loop {
        match pieces.recv_timeout(end.saturating_duration_since(Instant::now())) {
            Ok(piece) => decoder.received(&piece),
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
            Err(RecvTimeoutError::Timeout) => {
                return Err(format!("the firmware did not end within {} s", DEADLINE.as_secs()));
            }
        }
        loop {
            match decoder.decode() {
                Ok(frame) => println!("{}", frame.display_message()),
                Err(DecodeError::UnexpectedEof) => break,
                Err(DecodeError::Malformed) => return Err("the firmware sent what is no frame of defmt".to_owned()),
            }
        }
    }
}

/// What comes out of the emulator, piece by piece, until it ends.
fn pieces(emulator: &mut Child) -> Receiver<Vec<u8>> {
    let (sender, pieces) = channel();
    if let Some(mut output) = emulator.stdout.take() {
        std::thread::spawn(move || {
            let mut room = [0; 4096];
            while let Ok(got @ 1..) = output.read(&mut room) {
                if sender.send(room[..got].to_vec()).is_err() {
                    return;
                }
            }
        });
    }
    pieces
}
