//! The simulator as somebody uses it: what it says to bad scenarios, that worlds which once broke a promise keep it, and
//! tables of what loss, jitter and crashes cost, to be reviewed like code.

use soundpost_core::config::{FrameLen, Quality};
use soundpost_sim::outcome::Direction;
use soundpost_sim::scenario::{Fault, Kind, Link, Listener, Part, Redundancy, SHIPPED, Scenario};
use soundpost_sim::swarm;
use soundpost_sim::units::{Kbps, Percent, Time};
use soundpost_sim::world::{self, Options};
use std::fmt::Write;
use std::path::{Path, PathBuf};

fn refused(text: &str) -> String {
    Scenario::parse("mine.toml", text, None).expect_err("it must be refused").to_string()
}

#[test]
fn a_bad_scenario_is_refused_by_file_line_key_and_what_is_allowed() {
    let said = refused("title = \"x\"\nduration = \"10s\"\nspeeker = 1\n");
    assert!(said.starts_with("mine.toml: "), "{said}");
    assert!(said.contains("line 3") && said.contains("speeker") && said.contains("speaker"), "{said}");

    let said = refused("title = \"x\"\nduration = \"10 parsecs\"\n");
    assert!(said.contains("line 2") && said.contains("duration") && said.contains("\"1.5s\""), "{said}");

    let said = refused("title = \"x\"\nduration = \"10s\"\n[[listener]]\n[listener.link]\nloss = 140\n");
    assert!(said.contains("line 5") && said.contains("loss") && said.contains("from 0 to 100"), "{said}");

    let said = refused("title = \"x\"\nduration = \"10s\"\n[talker]\nlink = { trace = \"moon\" }\n");
    assert!(said.contains("line 4") && said.contains("trace") && said.contains("moon"), "{said}");

    let fault = "title = \"x\"\nduration = \"10s\"\n\n[[fault]]\nat = \"1s\"\nfor = \"1s\"\n";
    let said = refused(&format!("{fault}kind = \"stall\"\non = \"speaker\"\n"));
    assert!(said.contains("line 4") && said.contains("talker-link, listener-link"), "{said}");
    let said = refused(&format!("{fault}kind = \"loss\"\non = \"talker-link\"\n"));
    assert!(said.contains("loss needs `percent`"), "{said}");
    let said = refused(&format!("{fault}kind = \"crash\"\non = \"capture-worker\"\n"));
    assert!(said.contains("crash happens at once"), "{said}");
    let said = refused(&format!("{fault}kind = \"explode\"\non = \"speaker\"\n"));
    assert!(said.contains("line 7") && said.contains("explode") && said.contains("`unplug`"), "{said}");

    let said = refused("title = \"x\"\nduration = \"10s\"\nheal = \"10s\"\n");
    assert!(said.contains("line 3") && said.contains("before the end"), "{said}");
    let said = Scenario::find("no-such-thing").expect_err("there is none").to_string();
    assert!(said.contains("no-such-thing") && said.contains("wifi-busy"), "{said}");
}

#[test]
fn a_trace_that_no_link_can_replay_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("early.csv");
    std::fs::write(&path, "# P=20\n0,9000,5000,1\n1,29000,30000,1\n").expect("a file");
    let link = Link { trace: Some(path), ..Link::default() };
    let said = world::run(&lan(link), 1, Options::default()).expect_err("it must be refused");
    assert!(said.contains("early.csv") && said.contains("seq 0") && said.contains("before send_us"), "{said}");
}

#[test]
fn what_comes_with_the_program_is_valid_and_is_described() {
    assert!(SHIPPED.len() >= 12);
    for (name, text) in SHIPPED {
        let scenario = Scenario::parse(name, text, None).unwrap_or_else(|error| panic!("{error}"));
        assert!(scenario.about.len() > 40 && !scenario.title.is_empty(), "{name}");
        // As it would be written down, it is the same scenario.
        let written = Scenario::parse(name, &scenario.text(), None).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(written, scenario);
    }
}

/// Worlds that once broke a promise, each with a word of why. They are run for ever.
#[test]
fn worlds_that_once_broke_a_promise_keep_it() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../platform-sim/kept");
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(&folder).expect("kept worlds").map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    assert!(files.len() >= 5);
    for file in files {
        let scenario = Scenario::find(file.to_str().expect("text")).unwrap_or_else(|error| panic!("{error}"));
        assert!(!scenario.about.is_empty(), "{}: why it is kept", file.display());
        let seed = scenario.seed.expect("its seed");
        let (outcome, _) = world::run(&scenario, seed, Options::default()).expect("it can be run");
        assert!(outcome.verdicts.is_empty(), "{}: {:?}", file.display(), outcome.verdicts);
    }
}

#[test]
fn equal_seeds_give_equal_worlds_and_others_do_not() {
    let hash = |seed| world::run(&swarm::draw(7), seed, Options::default()).expect("no files").0.trace_hash;
    assert_eq!(hash(7), hash(7));
    assert_ne!(hash(7), hash(8));
}

fn lan(link: Link) -> Scenario {
    Scenario {
        title: "table".to_owned(),
        duration: "60s".parse().expect("a time"),
        listener: vec![Listener { link, ..Listener::default() }],
        ..Scenario::default()
    }
}

/// Compares with the table that is checked in; `GOLDEN=write` writes it.
fn golden(name: &str, table: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden").join(name);
    if std::env::var("GOLDEN").as_deref() == Ok("write") {
        std::fs::write(&path, table).expect("the table can be written");
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(table, kept, "tests/golden/{name} is another; GOLDEN=write writes it, and a person has to agree");
}

#[test]
fn what_loss_and_jitter_cost_is_what_the_table_says() {
    let mut table = "# Not real sound in % and mean delay in ms, by loss (rows) and mean jitter (columns), without redundancy; 60 s, 20 ms frames, 5 ms link\n\n| loss | 0 ms | 2 ms | 5 ms | 10 ms | 20 ms |\n|---|--:|--:|--:|--:|--:|\n".to_owned();
    for loss in [0.0, 1.0, 5.0, 20.0] {
        let _ = write!(table, "| {loss} % |");
        for jitter in [0, 2, 5, 10, 20] {
            let link = Link { delay: Time::ms(5), jitter: Time::ms(jitter), loss: Percent(loss), ..Link::default() };
            let plain = Scenario { redundancy: Redundancy::None, ..lan(link) };
            let (outcome, _) = world::run(&plain, 1, Options::default()).expect("no files");
            assert!(outcome.verdicts.is_empty(), "{:?}", outcome.verdicts);
            let way = outcome.capture.expect("somebody listens");
            let _ = write!(table, " {:.2} / {:.0} |", way.not_real_percent, way.delay.mean);
        }
        table.push('\n');
    }
    golden("loss-jitter.md", &table);
}

#[test]
fn what_crashes_cost_is_what_the_table_says() {
    let mut table = "# Share of five minutes in which the listener heard real sound, by crashes of the worker in that time\n\n| crashes | real sound | restarts | given up |\n|--:|--:|--:|--:|\n".to_owned();
    for crashes in [0_u64, 1, 5, 10, 20, 40] {
        let mut scenario = lan(Link { delay: Time::ms(5), ..Link::default() });
        scenario.duration = "5m".parse().expect("a time");
        let at = |n: u64| Time::ms(5_000 + n * 290_000 / crashes);
        scenario.fault =
            (0..crashes).map(|n| Fault::new(at(n), Time::default(), Part::CaptureWorker, Kind::Crash)).collect();
        let (outcome, _) = world::run(&scenario, 1, Options::default()).expect("no files");
        assert!(outcome.verdicts.is_empty(), "{:?}", outcome.verdicts);
        let way = outcome.capture.expect("somebody listens");
        let real = 100.0 - way.not_real_percent;
        let _ = writeln!(table, "| {crashes} | {real:.2} % | {} | {} |", way.restarts, way.gave_up);
    }
    golden("crashes.md", &table);
}

/// Five minutes of loss, and what is heard of it, without redundancy and with: how many packets bring a copy along, and how
/// often the policy changed its mind.
#[test]
fn what_redundancy_saves_and_costs_is_what_the_table_says() {
    let mut table = "# Not real sound in % and mean delay in ms, by loss, without redundancy and with; packets that bring a copy along, and changes of level. 5 min, 5 ms link, 2 ms jitter\n\n| loss | frame | none | adaptive | with a copy | changes |\n|---|---|--:|--:|--:|--:|\n".to_owned();
    for frame in [FrameLen::Ms10, FrameLen::Ms20] {
        for loss in [0.0, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0] {
            let link = Link { delay: Time::ms(5), jitter: Time::ms(2), loss: Percent(loss), ..Link::default() };
            let [none, adaptive] = [Redundancy::None, Redundancy::Adaptive].map(|redundancy| {
                let duration = "5m".parse().expect("a time");
                let scenario = Scenario { redundancy, duration, frame: Some(frame), ..lan(link.clone()) };
                let (outcome, _) = world::run(&scenario, 1, Options::default()).expect("no files");
                assert!(outcome.verdicts.is_empty(), "{:?}", outcome.verdicts);
                outcome.capture.expect("somebody listens")
            });
            let repeats = adaptive.repeats;
            let share = repeats.copies as f64 * 100.0 / adaptive.link[0] as f64;
            let [without, with] =
                [&none, &adaptive].map(|way| format!("{:.2} / {:.0}", way.not_real_percent, way.delay.mean));
            let _ = writeln!(table, "| {loss} % | {frame} | {without} | {with} | {share:.0} % | {} |", repeats.changes);
            assert_eq!(none.repeats.copies + none.counted.copied, 0);
            assert!(repeats.changes <= 12, "it does not tremble: {repeats:?} at {loss} %");
            if loss == 0.0 {
                assert_eq!(repeats.copies, 0, "nothing is sent twice for nothing");
            } else if (2.0..=10.0).contains(&loss) {
                let (before, after) = (none.not_real_percent, adaptive.not_real_percent);
                assert!(after < before / 3.0, "{after} % of {before} % are left at {loss} %");
            }
        }
    }
    golden("redundancy.md", &table);
}

#[test]
fn when_loss_is_over_copies_are_too_and_the_delay_is_what_it_was() {
    let mut scenario = lan(Link { delay: Time::ms(5), ..Link::default() });
    scenario.duration = "5m".parse().expect("a time");
    let loss = Fault {
        percent: Some(Percent(5.0)),
        ..Fault::new(Time::ms(60_000), Time::ms(60_000), Part::ListenerLink, Kind::Loss)
    };
    let mut run = |fault: Vec<Fault>| {
        scenario.fault = fault;
        world::run(&scenario, 1, Options::default()).expect("no files").0.capture.expect("somebody listens")
    };
    let (calm, lossy) = (run(Vec::new()), run(vec![loss]));
    assert_eq!(calm.repeats.copies, 0);
    // A minute of loss at 50 packets a second, and half a minute of caution.
    assert!((2_900..5_000).contains(&lossy.repeats.copies), "{:?}", lossy.repeats);
    let at_the_end = |way: &Direction| way.series.iter().rev().take(60).map(|point| point.target).fold(0.0, f64::max);
    assert!(at_the_end(&lossy) < at_the_end(&calm) + 2.0, "{} ms, {} ms", at_the_end(&lossy), at_the_end(&calm));
}

/// The governor's four trials, each five minutes, from the best preset: when it changed to what, and why; and what was
/// heard with it and without.
#[test]
fn what_the_governor_does_is_what_the_table_says() {
    let mut table = "# The governor's decisions, from ultra, and not real sound in % and mean delay in ms, governed and not; 5 min, trouble from 60 s on\n".to_owned();
    let link = Link { delay: Time::ms(10), jitter: Time::ms(2), ..Link::default() };
    let fault = |kind, on, at, lasts| Fault::new(Time::ms(at), Time::ms(lasts), on, kind);
    let squeeze =
        |kbps: f64| Fault { bandwidth: Some(Kbps(kbps)), ..fault(Kind::Squeeze, Part::ListenerLink, 60_000, 60_000) };
    let loss = |percent, lasts| Fault {
        percent: Some(Percent(percent)),
        ..fault(Kind::Loss, Part::ListenerLink, 60_000, lasts)
    };
    let starve =
        Fault { audio: Some(Time::ms(12)), io: Some(Time::ms(40)), ..fault(Kind::Starve, Part::Host, 60_000, 30_000) };
    for (name, faults, most) in [
        ("bandwidth drops to 100 kbit/s for a minute", vec![squeeze(100.0)], 8),
        ("bandwidth drops to 35 kbit/s for a minute", vec![squeeze(35.0)], 8),
        ("one second of loss", vec![loss(90.0, 1_000)], 2),
        ("14 % of loss that is not ours, for two minutes", vec![loss(14.0, 120_000)], 4),
        ("the processor is busy with something else for 30 s", vec![starve], 8),
    ] {
        let run = |govern| {
            let mut scenario = lan(link.clone());
            scenario.duration = "5m".parse().expect("a time");
            (scenario.preset, scenario.govern, scenario.fault) = (Quality::Ultra, govern, faults.clone());
            let (outcome, _) = world::run(&scenario, 1, Options::default()).expect("no files");
            assert!(outcome.verdicts.is_empty(), "{:?}", outcome.verdicts);
            outcome.capture.expect("somebody listens")
        };
        let (with, without) = (run(true), run(false));
        assert!(without.turns.is_empty());
        let _ = writeln!(
            table,
            "\n## {name}\n\nNot real {:.2} %, {:.0} ms governed; {:.2} %, {:.0} ms not.\n",
            with.not_real_percent, with.delay.mean, without.not_real_percent, without.delay.mean
        );
        for turn in &with.turns {
            let _ = writeln!(table, "- {:.0} s: {} ({})", turn.at_s, turn.quality, turn.reason);
        }
        assert!(with.turns.len() <= most, "{name}: it does not tremble: {:?}", with.turns);
        let last = with.series.last().expect("points");
        assert_eq!(last.quality, Quality::Ultra as u8, "{name}: it comes back");
    }
    golden("quality.md", &table);
}
