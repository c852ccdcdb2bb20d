//! `run --report`, `--wav` and `report`, from the command line to the files.

use std::path::Path;
use std::process::{Command, Output};

const SCENARIO: &str = r#"
    title = "Short"
    duration = "3s"
    [[listener]]
    link = { delay = "3ms", jitter = "2ms", loss = 1.0 }
    [talker]
    link = { delay = "3ms" }
"#;

fn sim(folder: &Path, args: &[&str]) -> Output {
    std::fs::write(folder.join("short.toml"), SCENARIO).unwrap();
    Command::new(env!("CARGO_BIN_EXE_soundpost-sim")).args(args).current_dir(folder).output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Whether there are the sounds of both directions in a page.
fn sounds(page: &str) -> usize {
    page.matches("src=\"data:audio/wav;base64,UklGR").count()
}

#[test]
fn a_run_and_its_figures_give_the_same_page() {
    let folder = tempfile::tempdir().unwrap();
    let run = sim(folder.path(), &["run", "short.toml", "--seed", "5", "--json", "--report", "a.html"]);
    assert!(run.status.success(), "{}", said(&run));
    std::fs::write(folder.path().join("a.json"), &run.stdout).unwrap();
    let again = sim(folder.path(), &["report", "a.json", "-o", "b.html"]);
    assert!(again.status.success(), "{}", said(&again));
    let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
    let (page, second) = (read("a.html"), read("b.html"));
    // The figures themselves may be off in the last of their digits: they have been written and read once more.
    let shown = |page: &str| page.split("<script type=\"application/json\"").next().map(str::to_owned);
    assert!(shown(&page) == shown(&second), "they differ");
    assert!(page.contains("soundpost-sim run short.toml --seed 5"));
    assert_eq!(sounds(&page), if cfg!(feature = "opus") { 2 } else { 0 });
    assert_eq!(page.contains("without libopus"), !cfg!(feature = "opus"));
}

#[cfg(feature = "opus")]
#[test]
fn what_was_heard_is_as_long_as_the_run_and_is_sound() {
    let folder = tempfile::tempdir().unwrap();
    for args in [&["--wav", "a"][..], &["--wav", "b", "--codec", "opus", "--report", "b.html"]] {
        let run = sim(folder.path(), &[&["run", "short.toml"], args].concat());
        assert!(run.status.success(), "{}", said(&run));
    }
    for file in ["a/capture.wav", "a/playback.wav", "b/capture.wav", "b/playback.wav"] {
        let mut wav = hound::WavReader::open(folder.path().join(file)).unwrap();
        assert_eq!((wav.spec().channels, wav.spec().sample_rate, wav.spec().bits_per_sample), (1, 48_000, 16));
        assert!((2.8..=3.0).contains(&(f64::from(wav.duration()) / 48_000.0)), "{file}: {}", wav.duration());
        let loudest = wav.samples::<i16>().map(|sample| sample.unwrap().unsigned_abs()).max().unwrap();
        assert!(loudest > 1_000, "{file}: {loudest}");
    }
    let page = std::fs::read_to_string(folder.path().join("b.html")).unwrap();
    assert_eq!(sounds(&page), 2);
    assert!(page.contains("the sound of this very run"));
}

#[test]
fn what_cannot_be_read_or_written_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let put = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    put("list.json", "[1, 2]");
    put("other.json", "{\"name\": \"soundpost\"}");
    put("wrong.json", "{\n  \"title\": \"x\",\n  \"about\": 7\n}");
    for (args, named) in [
        (&["run", "short.toml", "--report", "no/where/a.html"][..], &["no/where/a.html", "No such file"][..]),
        (&["run", "short.toml", "--report", "."], &["cannot be written to ."]),
        (&["run", "short.toml", "--wav", "short.toml"], &["--wav", "short.toml"]),
        (&["run", "short.toml", "--wav", "w", "--codec", "marker"], &["--wav", "leave out --codec"]),
        (&["report", "none.json", "-o", "a.html"], &["none.json", "No such file"]),
        (&["report", "list.json", "-o", "a.html"], &["list.json", "no JSON object", "--json"]),
        (&["report", "other.json", "-o", "a.html"], &["other.json", "missing field `title`"]),
        (&["report", "wrong.json", "-o", "a.html"], &["wrong.json", "field `about`", "line 3"]),
    ] {
        let run = sim(folder.path(), args);
        assert_eq!(run.status.code(), Some(2), "{args:?}: {}", said(&run));
        for name in named {
            assert!(said(&run).contains(name), "{args:?} does not name {name:?}: {}", said(&run));
        }
    }
    assert!(!folder.path().join("a.html").exists());
}
