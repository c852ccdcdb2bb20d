//! Metrics: the text is what Prometheus reads, the page in the documents lists them all, and they move.

use crate::house::{House, SOON};
use soundpost_client::Heard;
use soundpost_client::blocking::{Listener, Talker};
use soundpost_tests::until;
use std::collections::{BTreeMap, BTreeSet};

const PAGE: &str = include_str!("../../../docs/control.md");

/// Every sample by its name and labels.
fn samples(text: &str) -> BTreeMap<String, f64> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let sample = |line: &str| {
        let (name, value) = line.rsplit_once(' ').expect("a name and a value");
        (name.to_owned(), value.parse().unwrap_or_else(|_| panic!("{line}: no number")))
    };
    lines.map(sample).collect()
}

fn name(sample: &str) -> &str {
    sample.split('{').next().expect("a name")
}

#[test]
fn the_text_is_well_formed_and_the_documents_list_every_metric() {
    let house = House::open(&[]);
    let reply = house.get("/metrics");
    assert_eq!(reply.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    let text = reply.text();
    let mut kinds = BTreeMap::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, words) = help.split_once(' ').expect("a name and what it is");
            assert!(words.ends_with('.'), "{line}");
            let kind =
                lines.next().and_then(|line| line.strip_prefix("# TYPE ")?.strip_prefix(name)?.strip_prefix(' '));
            assert!(kinds.insert(name.to_owned(), kind.expect("a type").to_owned()).is_none(), "{name} twice");
        } else {
            // Samples stand behind their own head.
            assert_eq!(
                kinds.keys().filter(|known| *known == name(line.split(' ').next().expect("a name"))).count(),
                1,
                "{line}"
            );
        }
    }
    for (name, kind) in &kinds {
        assert_eq!(name.ends_with("_total"), kind == "counter", "{name} is a {kind}");
        assert!(name.starts_with("soundpost_"), "{name}");
    }
    assert!(samples(&text).len() > 150, "{}", samples(&text).len());
    let rows = PAGE.lines().filter_map(|line| line.strip_prefix("| `soundpost_"));
    let listed: BTreeSet<_> = rows.map(|row| format!("soundpost_{}", row.split('`').next().expect("a name"))).collect();
    assert_eq!(listed, kinds.into_keys().collect::<BTreeSet<_>>());
}

#[test]
fn figures_move_with_what_they_count() {
    let house = House::open(&[]);
    let read = || samples(&house.get("/metrics").text());
    let before = read();
    let mut listener = Listener::connect(&house.socket(), "ear").expect("a listener");
    for _ in 0..20 {
        assert!(matches!(listener.hear().expect("sound"), Heard::Packet(..) | Heard::Dropped { .. }));
    }
    let mut talker = Talker::connect(&house.socket(), "mouth", false).expect("the floor is free");
    talker.say(&[0xf8, 0xff, 0xfe]).expect("taken");
    house.mute(true);
    let moved = [
        "soundpost_frames_received_total{direction=\"capture\"}",
        "soundpost_frames_received_total{direction=\"playback\"}",
        "soundpost_bytes_processed_total{direction=\"capture\"}",
        "soundpost_capture_stream_seconds_total",
        "soundpost_clients",
        "soundpost_clients_listed{role=\"listener\"}",
        "soundpost_clients_listed{role=\"talker\"}",
        "soundpost_changes_total",
        "soundpost_http_answers_total{status=\"2xx\"}",
        "soundpost_muted_by{direction=\"capture\",by=\"command\"}",
        "soundpost_muted{direction=\"capture\"}",
        "soundpost_capture_frames_unsent_total{reason=\"muted\"}",
        "soundpost_last_frame_timestamp_seconds{direction=\"capture\"}",
        "soundpost_playback_playing",
    ];
    let grown = |name: &str| {
        let after = read();
        after.get(name).copied().unwrap_or(0.0) > before.get(name).copied().unwrap_or(0.0)
    };
    // What somebody says lasts a moment; so it is said until it is seen.
    for name in moved {
        assert!(
            until(SOON, || {
                let _ = talker.say(&[0xf8, 0xff, 0xfe]);
                grown(name)
            }),
            "{name} does not move: {:?}",
            read().get(name)
        );
    }
    for process in ["daemon", "capture", "playback"] {
        let figure = |name: &str| read()[&format!("soundpost_process_{name}{{process=\"{process}\"}}")];
        assert!(figure("resident_memory_bytes") > 1e6 && figure("up") == 1.0, "{process}");
        assert!(figure("virtual_memory_bytes") >= figure("resident_memory_bytes"), "{process}");
    }
    let crashes = "soundpost_worker_crashes_total{direction=\"capture\"}";
    let worker = house.get("/api/v1/status").json()["capture"]["worker"]["pid"].as_i64().expect("a process");
    // SAFETY: a signal to a process of our own daemon.
    assert_eq!(unsafe { libc::kill(worker as libc::pid_t, libc::SIGKILL) }, 0);
    assert!(until(SOON, || read()[crashes] == 1.0 && read()["soundpost_worker_up{direction=\"capture\"}"] == 1.0));
}
