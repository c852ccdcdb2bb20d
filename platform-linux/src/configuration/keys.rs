//! Every key there is: what it is called, what it may be, what it is by default, what it does.

use super::Values;
use crate::daemon::access::AllowList;
use crate::gpio::PinName;
use crate::http::Listen;
use crate::pcm::Volume;
use soundpost_core::capacity::CLIENTS_LIMIT;
use soundpost_core::config::{Bitrate, Channels, Complexity, Content, FrameLen, Rate, SignalKind, switch};
use std::path::PathBuf;
use std::str::FromStr;

/// What it takes to change a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    /// It takes effect between two frames.
    Frame,
    /// The next talker is told.
    Talker,
    /// It takes effect between two periods.
    Period,
    /// The device is opened anew.
    Device,
    /// The daemon is started anew.
    Restart,
}

/// A key.
#[derive(Debug)]
pub struct Key {
    /// Its section and name, with a point between.
    pub full: &'static str,
    /// What kind of value, and in what unit.
    pub kind: &'static str,
    /// What it means that there is none; nothing for keys that always have one.
    pub unset: &'static str,
    /// A value to show.
    pub example: &'static str,
    /// What it does.
    pub doc: &'static str,
    /// What it takes to change it.
    pub takes: Takes,
    /// Reads a value.
    pub take: fn(&mut Values, &str) -> Result<(), String>,
    /// Writes it, if there is one.
    pub show: fn(&Values) -> Option<String>,
}

impl Key {
    /// The key of this name, with its section.
    #[must_use]
    pub fn find(full: &str) -> Option<&'static Self> {
        KEYS.iter().find(|key| key.full == full)
    }

    /// The section that it is in.
    #[must_use]
    pub fn section(&self) -> &'static str {
        self.full.split_once('.').map_or("", |(section, _)| section)
    }

    /// Its name there.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.full.split_once('.').map_or(self.full, |(_, name)| name)
    }

    /// The variable of the environment that sets it.
    #[must_use]
    pub fn variable(&self) -> String {
        format!("SOUNDPOST_{}", self.full.replace(['.', '-'], "_").to_uppercase())
    }

    /// What may be written there, in words: they are those of the error about a value that is nothing at all.
    #[must_use]
    pub fn allowed(&self) -> String {
        let said = (self.take)(&mut Values::default(), "").err().unwrap_or_default();
        said.split_once("allowed: ").map_or(said.clone(), |(_, allowed)| allowed.to_owned())
    }
}

fn parsed<T: FromStr<Err: ToString>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|error: T::Err| error.to_string())
}

fn some<T: FromStr<Err: ToString>>(text: &str) -> Result<Option<T>, String> {
    parsed(text).map(Some)
}

fn flag(text: &str) -> Result<Option<bool>, String> {
    switch(text).map(Some).map_err(|error| error.to_string())
}

fn bare_flag(text: &str) -> Result<bool, String> {
    switch(text).map_err(|error| error.to_string())
}

fn path(text: &str) -> Result<Option<PathBuf>, String> {
    path_to(text, "where a socket can be made")
}

fn file(text: &str) -> Result<Option<PathBuf>, String> {
    path_to(text, "a file that only the daemon's user and group can read")
}

fn directory(text: &str) -> Result<Option<PathBuf>, String> {
    path_to(text, "a directory that the daemon may write to")
}

fn path_to(text: &str, what: &str) -> Result<Option<PathBuf>, String> {
    if text.is_empty() { Err(format!("no path; allowed: a path to {what}")) } else { Ok(Some(text.into())) }
}

pub(crate) fn clients(text: &str) -> Result<usize, String> {
    let count = text.parse::<usize>().ok().filter(|count| (1..=CLIENTS_LIMIT).contains(count));
    count.ok_or_else(|| format!("not a number of clients; allowed: 1 to {CLIENTS_LIMIT}"))
}

/// A row of the table: `take` and `show` are the same for all, but for the field and how its text is read.
macro_rules! key {
    ($full:literal, $kind:literal, $unset:literal, $example:literal, $takes:ident, $($field:ident).+ = $parse:expr, $show:expr, $doc:literal) => {
        Key {
            full: $full,
            kind: $kind,
            unset: $unset,
            example: $example,
            doc: $doc,
            takes: Takes::$takes,
            take: |values, text| {
                values.$($field).+ = $parse(text)?;
                Ok(())
            },
            show: |values| $show(&values.$($field).+),
        }
    };
}

fn shown(value: &impl ToString) -> Option<String> {
    Some(value.to_string())
}

fn maybe<T: ToString>(value: &Option<T>) -> Option<String> {
    value.as_ref().map(ToString::to_string)
}

/// All keys, in the order of the file.
pub const KEYS: &[Key] = &[
    key!(
        "capture.device",
        "device or several, separated by commas",
        "",
        "alsa:hw:CARD=tc358743,auto",
        Device,
        capture = parsed,
        shown,
        "Where sound comes from; several are tried in this order."
    ),
    key!(
        "capture.content",
        "word",
        "",
        "program",
        Frame,
        content = parsed,
        |content: &Content| Some(content.name().to_owned()),
        "What is captured: a microphone, which is coded in mono, or a programme (HDMI, line in), in stereo."
    ),
    key!(
        "capture.quality",
        "word",
        "",
        "high",
        Frame,
        quality = parsed,
        shown,
        "The preset that is coded with; the keys below override its parts."
    ),
    key!(
        "capture.adapt",
        "switch",
        "",
        "false",
        Frame,
        adapt = bare_flag,
        shown,
        "Whether a worse preset is used for as long as the network or the processor does not carry that one."
    ),
    key!(
        "capture.frame",
        "milliseconds",
        "the preset's",
        "10ms",
        Frame,
        own.frame = some::<FrameLen>,
        maybe,
        "Sound in one packet: shorter is less delay and more overhead."
    ),
    key!(
        "capture.bitrate",
        "bits a second, k for thousand",
        "the preset's",
        "96k",
        Frame,
        own.bitrate = some::<Bitrate>,
        maybe_bitrate,
        "Coded bits a second, packet headers not counted."
    ),
    key!(
        "capture.rate",
        "hertz, k for thousand",
        "the preset's",
        "16k",
        Frame,
        own.rate = some::<Rate>,
        |rate: &Option<Rate>| rate.map(|rate| rate.hz().to_string()),
        "Sampling rate whose band is coded at most."
    ),
    key!(
        "capture.channels",
        "number",
        "the preset's",
        "1",
        Frame,
        own.channels = some::<Channels>,
        |channels: &Option<Channels>| channels.map(|channels| channels.count().to_string()),
        "Coded channels."
    ),
    key!(
        "capture.complexity",
        "number",
        "the preset's",
        "3",
        Frame,
        own.complexity = some::<Complexity>,
        |effort: &Option<Complexity>| effort.map(|effort| effort.get().to_string()),
        "How hard the encoder works: the price is the processor's time."
    ),
    key!(
        "capture.signal",
        "word",
        "the preset's",
        "voice",
        Frame,
        own.signal = some::<SignalKind>,
        |kind: &Option<SignalKind>| kind.map(|kind| kind.name().to_owned()),
        "What kind of sound the encoder expects."
    ),
    key!(
        "capture.vbr",
        "switch",
        "the preset's",
        "false",
        Frame,
        own.vbr = flag,
        maybe,
        "Packets are as large as the sound needs; else all of one size."
    ),
    key!(
        "capture.dtx",
        "switch",
        "the preset's",
        "true",
        Frame,
        own.dtx = flag,
        maybe,
        "Next to nothing is sent during silence, as long as it is below −40 dB of full scale."
    ),
    key!(
        "capture.gain",
        "decibels",
        "",
        "-6dB",
        Period,
        capture_gain = parsed,
        shown,
        "How much louder or softer sound is sent than it is captured."
    ),
    key!(
        "capture.volume-control",
        "name of a control and its volume",
        "no control is touched",
        "Mic=40%",
        Device,
        capture_volume = some::<Volume>,
        maybe,
        "What the card's own volume is set to."
    ),
    key!(
        "playback.device",
        "device or several, separated by commas",
        "",
        "usb:1-1.2",
        Device,
        playback = parsed,
        shown,
        "Where a talker's sound goes; several are tried in this order."
    ),
    key!(
        "playback.quality",
        "word",
        "",
        "low",
        Talker,
        talk = parsed,
        shown,
        "The preset that talkers are asked to send."
    ),
    key!(
        "playback.profile",
        "word",
        "",
        "low",
        Period,
        profile = parsed,
        shown,
        "What sound is played with, delay or gaps."
    ),
    key!(
        "playback.gain",
        "decibels",
        "",
        "3dB",
        Period,
        playback_gain = parsed,
        shown,
        "How much louder or softer a talker is played."
    ),
    key!(
        "playback.volume-control",
        "name of a control and its volume",
        "no control is touched",
        "Master=-6dB",
        Device,
        playback_volume = some::<Volume>,
        maybe,
        "What the card's own volume is set to."
    ),
    key!(
        "board.lamp",
        "pin",
        "there is none",
        "gpiochip0/17",
        Restart,
        lamp = some::<PinName>,
        maybe,
        "A lamp that is lit while the microphone is live."
    ),
    key!(
        "board.mute-switch",
        "pin",
        "there is none",
        "gpiochip0/27,pull-up",
        Restart,
        mute_switch = some::<PinName>,
        maybe,
        "A switch that mutes the microphone."
    ),
    key!(
        "board.amp",
        "pin",
        "there is none",
        "gpiochip0/22,active-low",
        Restart,
        amp = some::<PinName>,
        maybe,
        "The amplifier's power, on while somebody talks."
    ),
    key!(
        "socket.path",
        "path",
        "$XDG_RUNTIME_DIR/soundpost.sock, else /run/soundpost/soundpost.sock",
        "/run/soundpost/other.sock",
        Restart,
        socket = path,
        maybe_path,
        "The socket that listeners and talkers connect to."
    ),
    key!(
        "socket.allow",
        "users and groups, separated by commas",
        "whoever the rights of the socket's file let in",
        "user:1000,group:29",
        Restart,
        allow = parsed,
        |allow: &AllowList| (!allow.is_empty()).then(|| allow.to_string()),
        "Who may connect. Root and the daemon's own user always may."
    ),
    key!(
        "socket.clients-max",
        "number",
        "",
        "10",
        Restart,
        clients_max = clients,
        shown,
        "How many clients may be connected at once."
    ),
    key!(
        "http.listen",
        "address and port",
        "127.0.0.1:4886, or nowhere if another program listens there",
        "127.0.0.1:8080",
        Restart,
        listen = some::<Listen>,
        maybe,
        "Where status, control and metrics are served over HTTP."
    ),
    key!(
        "http.token-file",
        "path",
        "whoever is on this machine may ask, and nobody else",
        "/etc/soundpost.token",
        Restart,
        token_file = file,
        maybe_path,
        "The file with the token that everybody has to show over HTTP."
    ),
    key!(
        "state.directory",
        "path",
        "$STATE_DIRECTORY, as systemd sets it; without it, nothing is kept",
        "/var/lib/soundpost",
        Restart,
        state = directory,
        maybe_path,
        "The directory for what outlasts the daemon: what was muted."
    ),
    key!(
        "workers.in-process",
        "switch",
        "",
        "true",
        Restart,
        in_process = bare_flag,
        shown,
        "Capture and playback are threads of the daemon: no protection from crashes, some memory saved."
    ),
];

fn maybe_path(path: &Option<PathBuf>) -> Option<String> {
    path.as_ref().map(|path| path.display().to_string())
}

fn maybe_bitrate(bitrate: &Option<Bitrate>) -> Option<String> {
    bitrate.map(|bitrate| bitrate.bps().to_string())
}
