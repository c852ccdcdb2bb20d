//! What docs/control.md says to type, typed: each example with curl runs, and answers as the page says.
//!
//! An answer in JSON has to have every name that the page shows, with the same kind of value; words are the same, except
//! for those that end in `…`. Of another answer, each line that the page shows is to begin one of those that came.

use crate::house::{House, SOON};
use serde_json::Value;
use soundpost_tests::proc::Program;
use soundpost_tests::until;

const PAGE: &str = include_str!("../../../docs/control.md");

/// Each example: what is typed, and what the page says comes.
fn examples() -> Vec<(String, String)> {
    let blocks = PAGE.split("```console\n").skip(1).map(|rest| rest.split("```").next().expect("a block ends"));
    let example = |block: &str| {
        let (typed, comes) = block.split_once('\n').unwrap_or((block, ""));
        let mut typed = typed.strip_prefix("$ ").expect("a prompt").to_owned();
        let mut comes = comes;
        // A line that ends in a backslash goes on.
        while let Some(begun) = typed.strip_suffix('\\') {
            let (more, rest) = comes.split_once('\n').expect("it goes on");
            typed = format!("{begun}{}", more.trim_start());
            comes = rest;
        }
        (typed, comes.trim_end().to_owned())
    };
    blocks.map(example).collect()
}

/// Whether what came is as the page says.
fn fits(shown: &Value, came: &Value) -> bool {
    match (shown, came) {
        (Value::Object(shown), Value::Object(came)) => {
            shown.iter().all(|(name, value)| came.get(name).is_some_and(|came| fits(value, came)))
        }
        // What is shown stands for all of them.
        (Value::Array(shown), Value::Array(came)) => {
            shown.iter().all(|shown| came.iter().any(|came| fits(shown, came)))
        }
        (Value::String(shown), Value::String(came)) => match shown.strip_suffix('…') {
            Some(begin) => came.starts_with(begin),
            None => shown == came,
        },
        (Value::Number(_), Value::Number(_)) => true,
        (Value::Bool(shown), Value::Bool(came)) => shown == came,
        (shown, came) => shown.is_null() && came.is_null(),
    }
}

fn check(shown: &str, came: &str) -> bool {
    if let Ok(shown) = serde_json::from_str::<Value>(shown) {
        return serde_json::from_str(came).is_ok_and(|came: Value| fits(&shown, &came));
    }
    let lines: Vec<_> = came.lines().map(str::trim_end).collect();
    shown.lines().all(|line| match line.split_once('…') {
        Some((begin, _)) => lines.iter().any(|came| came.starts_with(begin)),
        None => lines.contains(&line),
    })
}

#[test]
fn every_example_of_the_page_runs_and_answers_as_it_says() {
    let dir = tempfile::tempdir().expect("a directory");
    let token = dir.path().join("token");
    let house = House::open(&[]);
    assert!(until(SOON, || house.get("/healthz").status == 200), "sound moves");
    let examples = examples();
    assert!(examples.iter().filter(|(typed, _)| typed.starts_with("curl")).count() >= 12, "{}", examples.len());
    for (typed, shown) in examples {
        let typed =
            typed.replace("127.0.0.1:4886", &house.host).replace("/etc/soundpost.token", &token.display().to_string());
        let mut program = Program::run("sh", &["-c", &typed], &[]);
        let status = program.wait_exit(SOON);
        // Who follows events is ended by its own clock.
        assert!(status.success() || typed.contains("--max-time"), "{typed}: {status}\n{}", program.output());
        let came = program.output();
        assert!(check(&shown, &came), "{typed}\n--- the page says\n{shown}\n--- it answers\n{came}");
    }
}

#[test]
fn a_page_that_tells_something_else_is_caught() {
    let came = "{\"a\": {\"b\": 1, \"c\": \"running\"}, \"d\": [1, \"x\"]}";
    for good in ["{}", "{\"a\": {\"b\": 7}}", "{\"a\": {\"c\": \"run…\"}}", "{\"d\": [\"x\"]}"] {
        assert!(check(good, came), "{good}");
    }
    for bad in ["{\"z\": 1}", "{\"a\": {\"b\": \"1\"}}", "{\"a\": {\"c\": \"lost\"}}", "{\"d\": [\"y\"]}", "[]"] {
        assert!(!check(bad, came), "{bad}");
    }
    assert!(check("id: …\nevent: x", "event: x\nid: 7\n") && !check("event: y", "event: x\n"));
}
