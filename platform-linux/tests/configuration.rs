//! Configuration: what a file, the environment and the command line say reaches what the daemon does, all of it or nothing,
//! and what is written about the keys is what the table of keys says.

use proptest::prelude::*;
use soundpost_core::config::{Change as StreamChange, Direction};
use soundpost_linux::configuration::{
    Change, Effective, Fault, KEYS, Live, Origin, Place, Sources, TAKE_BACK, Values, load, page,
};
use std::path::{Path, PathBuf};

const NAME: &str = "mine.toml";

fn of_file(text: &str) -> Result<Effective, Vec<Fault>> {
    load(&Sources { file: Some((PathBuf::from(NAME), text.to_owned())), ..Sources::default() })
}

fn good(text: &str) -> Effective {
    of_file(text).unwrap_or_else(|faults| panic!("{text}: {faults:?}"))
}

fn refused(text: &str) -> Vec<String> {
    of_file(text).expect_err("it must be refused").iter().map(ToString::to_string).collect()
}

/// A file that says only this.
fn saying(full: &str, value: &str) -> String {
    let (section, name) = full.split_once('.').expect("a section and a name");
    format!("[{section}]\n{name} = {}\n", page::quoted(value))
}

#[test]
fn the_documents_are_written_from_the_table() {
    for (name, text) in [("configuration.md", page::reference()), ("soundpost.example.toml", page::example())] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").join(name);
        if std::env::var("GOLDEN").as_deref() == Ok("write") {
            std::fs::write(&path, &text).expect("it can be written");
        }
        let kept = std::fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(text, kept, "docs/{name} is not what the table says; GOLDEN=write writes it");
    }
}

#[test]
fn the_example_says_nothing_and_with_its_marks_taken_away_every_key() {
    assert_eq!(good(&page::example()).values(), &Values::default());
    let said = |line: &str| KEYS.iter().any(|key| line.starts_with(&format!("{} = ", key.name())));
    let bare: Vec<_> = page::example()
        .lines()
        .map(|line| line.strip_prefix("# ").filter(|l| said(l)).unwrap_or(line).to_owned())
        .collect();
    let all = good(&bare.join("\n"));
    for key in KEYS {
        assert!(matches!(all.origin(key), Origin::File(..)), "{}: {}", key.full, bare.join("\n"));
    }
}

#[test]
fn every_key_can_be_said_in_a_file_in_the_environment_and_on_the_command_line_and_the_last_one_wins() {
    for key in KEYS {
        let text = saying(key.full, key.example);
        let from_file = good(&text);
        assert_eq!(from_file.origin(key), Origin::File(NAME.into(), 2), "{}", key.full);
        let mut sources = Sources {
            file: Some((NAME.into(), text)),
            environment: vec![(key.variable(), key.example.to_owned())],
            command_line: Vec::new(),
            set: Vec::new(),
        };
        let all = |sources: &Sources| load(sources).unwrap_or_else(|faults| panic!("{faults:?}"));
        assert_eq!(all(&sources).origin(key), Origin::Environment(key.variable()));
        assert_eq!(all(&sources).values(), from_file.values());
        sources.command_line = vec![(key.full, key.example.to_owned())];
        assert_eq!(all(&sources).origin(key), Origin::CommandLine);
        // And what is printed can be read back.
        assert_eq!(good(&from_file.text()).values(), from_file.values(), "{}", from_file.text());
    }
}

#[test]
fn every_fault_is_named_by_line_key_value_and_what_is_allowed() {
    let said = refused("[capture]\nquality = \"best\"\nframe = 30\nspeed = 1\n[bord]\n[playback]\ndevice = [\"a\"]\n");
    let named = [
        ["mine.toml, line 2: capture.quality: ", "\"best\"", "allowed: low, medium, high or ultra"],
        ["mine.toml, line 3: capture.frame: ", "\"30\"", "allowed: 2.5ms, 5ms"],
        ["mine.toml, line 4: capture.speed: ", "no such key (its value is 1)", "allowed: in [capture]: device, "],
        ["mine.toml, line 5: [bord]: ", "no such section", "allowed: the sections [capture], [playback]"],
        ["mine.toml, line 7: playback.device: ", "[\"a\"]", "allowed: alsa:NAME"],
    ];
    assert_eq!(said.len(), named.len(), "{said:?}");
    for (said, named) in said.iter().zip(named) {
        assert!(named.iter().all(|part| said.contains(part)), "{said}: {named:?}");
    }
    assert!(refused("[capture\n")[0].starts_with("mine.toml, line 1: "));
    assert!(refused("x = 1\n")[0].contains("line 1: x: "));
    // A path may be anything but nothing.
    for key in KEYS {
        let value = if key.kind == "path" { "" } else { "\u{1}" };
        let said = refused(&saying(key.full, value)).concat();
        assert!(said.contains("line 2") && said.contains(key.full) && said.contains("allowed: "), "{said}");
    }
    let variables = [("SOUNDPOST_CAPTURE_SPEED", "1"), ("SOUNDPOST", "x"), ("HOME", "/")];
    let environment = variables.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    let faults = load(&Sources { environment, ..Sources::default() }).expect_err("it must be refused");
    assert!(faults.len() == 1 && faults[0].to_string().contains("SOUNDPOST_CAPTURE_SPEED: "), "{faults:?}");
}

#[test]
fn what_two_configurations_differ_by_is_the_smallest_change() {
    let from = good("");
    let diff = |text: &str| from.diff(&good(text));
    assert_eq!(diff(""), []);
    assert_eq!(diff("[capture]\nquality = \"medium\"\n"), [], "saying what is so anyway");
    assert!(matches!(diff("[capture]\nbitrate = \"96k\"\n")[..], [Change::Capture(StreamChange::Retune(..))]));
    let program = diff("[capture]\ncontent = \"program\"\n");
    assert!(matches!(program[..], [Change::Capture(StreamChange::Reshape(_))]), "{program:?}");
    assert_eq!(diff("[capture]\ndevice = \"null\"\n"), [Change::Device(Direction::Capture)]);
    assert!(matches!(diff("[playback]\nquality = \"low\"\n")[..], [Change::Talk(_)]));
    assert_eq!(diff("[board]\nlamp = \"gpiochip0/1\"\n"), [Change::Restart("board.lamp")]);
    let many = diff("[capture]\nquality = \"low\"\n[playback]\ndevice = \"null\"\nprofile = \"low\"\n");
    let expected = matches!(many[..], [Change::Capture(_), Change::Profile(_), Change::Device(Direction::Playback)]);
    assert!(expected, "{many:?}");
}

/// Mostly files as people write them, with something wrong here and there.
fn files() -> impl Strategy<Value = String> {
    const WORDS: [&str; 10] =
        ["\"high\"", "20", "true", "\"null\"", "96000", "[1, 2]", "1979-05-27", "{ a = 1 }", "0x10", "1_0"];
    let value = prop_oneof![
        proptest::sample::select(&WORDS[..]).prop_map(str::to_owned),
        any::<i64>().prop_map(|n| n.to_string()),
        any::<f64>().prop_map(|n| format!("{n:?}")),
        ".{0,12}".prop_map(|text| format!("{text:?}")),
        ".{0,6}",
    ];
    let known = || (0..KEYS.len()).prop_map(|n| &KEYS[n]);
    let key = prop_oneof![
        8 => known().prop_map(|key| key.full.to_owned()),
        1 => "[a-z]{1,6}\\.[a-z-]{1,6}",
        1 => ".{0,8}",
    ];
    let right = known().prop_map(|key| (key.full.to_owned(), page::quoted(key.example)));
    let line = prop_oneof![3 => right, 2 => (key, value)].prop_map(|(key, value)| format!("{key} = {value}\n"));
    let stray = proptest::option::weighted(0.2, any::<char>());
    (proptest::collection::vec(line, 0..6), 0..200_usize, stray).prop_map(|(lines, at, stray)| {
        let mut text: String = lines.concat();
        if let Some(stray) = stray {
            let at = (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
            text.insert(at, stray);
        }
        text
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(3_000) })]

    /// Either all of it applies, so that writing it down and reading that again gives the same; or every fault is named.
    #[test]
    fn any_file_applies_fully_or_changes_nothing_and_names_the_fault(text in files()) {
        match of_file(&text) {
            Ok(effective) => {
                let written = effective.text();
                let again = of_file(&written);
                prop_assert!(again.is_ok_and(|again| again.values() == effective.values()), "{text}\n{written}");
            }
            Err(faults) => {
                prop_assert!(!faults.is_empty());
                for fault in faults {
                    let Origin::File(_, line) = &fault.origin else { panic!("{fault}") };
                    let lines = text.split('\n').count();
                    prop_assert!((1..=lines).contains(line) && !fault.why.is_empty(), "{fault}: {text}");
                    prop_assert!(fault.key.is_empty() || fault.why.contains("allowed: "), "{fault}");
                }
            }
        }
    }

    #[test]
    fn any_text_at_all_does_no_harm(text in "\\PC{0,200}") {
        let _ = of_file(&text);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(500) })]

    /// A file that is read again holds as it is, with what was set beside it; or everything is as it was.
    #[test]
    fn any_file_that_is_read_again_applies_fully_or_changes_nothing(before in files(), after in files()) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join(NAME);
        let write = |text: &str| std::fs::write(&path, text).expect("it can be written");
        write(&before);
        let load = || Live::load(Place::Named(path.clone()), Vec::new(), Vec::new());
        // What is set is nothing that either file says.
        let Ok(live) = load() else { return Ok(()) };
        let set = [("playback.gain".to_owned(), "-7.5dB".to_owned())];
        let live = live.with(&set).expect("it may be set");
        let values = live.effective().values().clone();
        write(&after);
        match (live.anew(), load()) {
            (Ok(anew), Ok(alone)) => {
                let said = |text: &str| of_file(text).expect("it is good").said("playback.gain").map(str::to_owned);
                // The newest word holds.
                let expected = if said(&before) == said(&after) { alone.with(&set).expect("it may be set") } else { alone };
                prop_assert_eq!(anew.effective().values(), expected.effective().values());
            }
            (Err(again), Err(alone)) => prop_assert_eq!(again, alone),
            (again, alone) => prop_assert!(false, "{again:?} and {alone:?}"),
        }
        prop_assert_eq!(live.effective().values(), &values);
    }
}

#[test]
fn what_is_set_holds_until_it_is_taken_back_or_the_file_says_something_else() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join(NAME);
    let write = |text: &str| std::fs::write(&path, text).expect("it can be written");
    let frame = |live: &Live| live.effective().values().own.frame.map(soundpost_core::config::FrameLen::name);
    write("[capture]\nframe = \"20ms\"\n");
    let live = Live::load(Place::Named(path.clone()), Vec::new(), Vec::new()).expect("a good file");
    let set = |live: &Live, key: &str, value: &str| live.with(&[(key.to_owned(), value.to_owned())]);
    let live = set(&live, "capture.frame", "10ms").expect("it may be set");
    write("[capture]\nframe = \"20ms\"\nquality = \"high\"\n");
    let live = live.anew().expect("a good file");
    assert_eq!(frame(&live), Some("10ms"), "the file says what it said before");
    assert_eq!(frame(&set(&live, "capture.frame", TAKE_BACK).expect("it may be taken back")), Some("20ms"));
    write("[capture]\nframe = \"40ms\"\n");
    assert_eq!(frame(&live.anew().expect("a good file")), Some("40ms"), "the file says something else");
    for (key, value, named) in [
        ("capture.frame", "30ms", "allowed: 2.5ms"),
        ("capture.speed", "1", "allowed: in [capture]: device"),
        ("speed", "1", "allowed: the sections [capture]"),
        ("socket.path", "/other", "restart"),
        ("socket.path", TAKE_BACK, "restart"),
    ] {
        let said = set(&live, key, value).expect_err(key).iter().map(ToString::to_string).collect::<String>();
        assert!(said.contains(key) && said.contains(value) && said.contains(named), "{said}");
    }
    std::fs::remove_file(&path).expect("it is there");
    let said = live.anew().expect_err("there is no file")[0].to_string();
    assert!(said.contains(NAME) && said.contains("cannot read"), "{said}");
}
