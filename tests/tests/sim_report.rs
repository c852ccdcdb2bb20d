//! The simulator's report in a real browser: nothing sticks out, at a desk or on a phone, and nothing complains.

use soundpost_sim::report::{self, Audio, page::page, sound};
use soundpost_sim::scenario::Scenario;
use soundpost_sim::world::{self, Options};
use soundpost_tests::proc::Program;
use std::path::Path;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(90);

/// Trouble of all kinds, and words that are hard to break.
const SCENARIO: &str = r#"
    title = "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft <script>oops()</script>"
    about = "Everything at once."
    duration = "20s"
    [[listener]]
    count = 3
    card = { drift = 80.0 }
    link = { delay = "5ms", jitter = "8ms", loss = 2.0 }
    [talker]
    card = { drift = -80.0 }
    link = { delay = "5ms", jitter = "8ms", loss = 2.0 }
    [expect]
    not-real = 0.1
    p95-delay = "100ms"
    [[fault]]
    at = "4s"
    for = "300ms"
    on = "listener-link"
    kind = "stall"
    [[fault]]
    at = "8s"
    on = "playback-worker"
    kind = "crash"
    [[fault]]
    at = "12s"
    for = "2s"
    on = "talker-link"
    kind = "delay"
    extra = "50ms"
"#;

/// A page around the report: how wide it becomes, with and without its script, and what its read-out says.
const AROUND: &str = r#"<!DOCTYPE html><meta charset="utf-8"><title>around</title><body><pre id="said"></pre><script>
const say = (words) => { document.getElementById("said").textContent += words + "\n"; };
for (const width of [1280, 390]) for (const scripts of [true, false]) {
  const frame = document.createElement("iframe");
  frame.style.cssText = `width:${width}px;height:900px;border:0`;
  if (!scripts) frame.setAttribute("sandbox", "allow-same-origin");
  frame.onload = () => {
    const inner = frame.contentDocument;
    say(`width ${width} ${scripts} ${inner.documentElement.scrollWidth}`);
    const plots = [...inner.querySelectorAll("svg.plot")];
    say(`plots ${plots.length > 5 && plots.every((plot) => plot.getBoundingClientRect().width > width / 2)}`);
    if (!scripts) return;
    const at = plots[0].getBoundingClientRect();
    const options = { clientX: at.left + at.width / 2, clientY: at.top + 50, bubbles: true };
    plots[0].dispatchEvent(new frame.contentWindow.PointerEvent("pointermove", options));
    say(`read ${inner.querySelector(".read").textContent}`);
  };
  frame.src = "REPORT";
  document.body.append(frame);
}
</script>"#;

/// What the browser and the page around `report` say.
fn show(folder: &Path, report: &str) -> String {
    let around = folder.join("around.html");
    std::fs::write(folder.join("report.html"), report).expect("a file can be written");
    std::fs::write(&around, AROUND.replace("REPORT", "report.html")).expect("a file can be written");
    let profile = format!("--user-data-dir={}", folder.join("profile").display());
    let page = format!("file://{}", around.display());
    // No sandbox: everything that is shown was made here, and containers do not permit one.
    let args = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--hide-scrollbars",
        "--disable-dev-shm-usage",
        "--allow-file-access-from-files",
        "--enable-logging=stderr",
        "--window-size=1400,1000",
        &profile,
        "--dump-dom",
        &page,
    ];
    let mut browser = Program::run("chromium", &args, &[]);
    let status = browser.wait_exit(SOON);
    assert!(status.success(), "{}", browser.output());
    browser.output()
}

#[test]
fn the_report_fits_a_desk_and_a_phone_without_a_complaint() {
    let folder = tempfile::tempdir().expect("a folder");
    let scenario = Scenario::parse("test", SCENARIO, None).expect("a scenario");
    let (mut outcome, _) = world::run(&scenario, 3, Options::default()).expect("it runs");
    outcome.command = format!("soundpost-sim run {} --seed 3", "a-very-long-path/".repeat(20));
    let clip = |way: &Option<_>| {
        way.as_ref().map(|way| {
            let tone: Vec<i16> = (0..96).map(|n| n * 100).cycle().take(960_000).collect();
            sound::clip(&tone, way, sound::choose(way, outcome.duration_s)).expect("a clip")
        })
    };
    let audio =
        Audio { capture: clip(&outcome.capture), playback: clip(&outcome.playback), note: "A tone.".to_owned() };
    let said = show(folder.path(), &page(&outcome, &audio));
    for (width, scripts) in [(1280, true), (1280, false), (390, true), (390, false)] {
        assert!(said.contains(&format!("width {width} {scripts} {width}\n")), "it is wider than {width}: {said}");
    }
    assert_eq!(said.matches("plots true").count(), 4, "{said}");
    assert_eq!(said.matches("read At 10").count(), 2, "{said}");
    // Frames in a sandbox say that their script was not run.
    let complaints: Vec<_> =
        said.lines().filter(|line| line.contains("CONSOLE") && !line.contains("Blocked script execution")).collect();
    assert!(complaints.is_empty(), "{complaints:#?}");
    assert!(report::read(&folder.path().join("report.html")).is_err());
}

#[test]
fn what_sticks_out_or_fails_is_noticed() {
    let folder = tempfile::tempdir().expect("a folder");
    let said = show(
        folder.path(),
        "<!DOCTYPE html><body style=\"margin:0\"><div style=\"width:600px\">wide</div><script>missing()</script>",
    );
    assert!(said.contains("width 390 true 600\n"), "{said}");
    assert!(said.lines().any(|line| line.contains("CONSOLE") && line.contains("missing is not defined")), "{said}");
}
