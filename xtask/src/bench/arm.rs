//! Instructions on 32-bit ARM: what a packet and a pull cost beside the decoding of the packet.
//!
//! `tests/arm` does each job so many times, then more often, in QEMU, which is asked to say which blocks of instructions
//! it translates and which of them it runs. The difference of both counts is the job alone. They are instructions, exact
//! and the same on every machine; pipelines and caches are not in them.

use super::trace::in_parallel;
use super::{Goal, verdict};
use crate::needs;
use crate::steps::{self, output, root, succeed};
use crate::toolchain::{self, ARM};
use std::collections::HashMap;
use std::fmt::Write;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What Linux says on a board with a Cortex-A7: libopus reads there whether it may use NEON.
const CPUINFO: &str = "model name\t: ARMv7 Processor rev 5 (v7l)\n\
    Features\t: half thumb fastmult vfp edsp neon vfpv3 tls vfpv4 idiva idivt vfpd32 lpae\n\
    CPU architecture: 7\n";

/// A job of `tests/arm`, and how often it is done.
#[derive(Clone, Copy, Debug)]
struct Job {
    group: &'static str,
    case: &'static str,
    few: u32,
    many: u32,
}

/// Everything is done by whole seconds of packets, for some things are done once a second.
const fn job(group: &'static str, case: &'static str) -> Job {
    Job { group, case, few: 100, many: 200 }
}

/// What is short is done more often.
const fn short(group: &'static str, case: &'static str) -> Job {
    Job { group, case, few: 1_000, many: 3_000 }
}

const MONO: &str = "actuators: mono";
const STEREO: &str = "actuators: stereo";
const DECODE: &str = "libopus: decode 20 ms";
const ACTUATORS: [(&str, &str); 6] = [
    ("resample 10 ms, at rest", "resample 10 ms, at rest"),
    ("resample 10 ms, 300 ppm", "resample 10 ms, 300 ppm"),
    ("hear 10 ms", "listen to 10 ms, for the stretch"),
    ("remove a period", "remove a period"),
    ("insert a period", "insert a period"),
    ("look for a period in noise, in vain", "look for a period in noise, in vain"),
];
/// Encoding, by preset and content, with the frames in a second.
const ENCODE: &str = "encode";
const ENCODES: [(&str, u32); 8] = [
    ("low voice", 25),
    ("medium voice", 50),
    ("high voice", 50),
    ("ultra voice", 100),
    ("low program", 25),
    ("medium program", 50),
    ("high program", 50),
    ("ultra program", 100),
];
const PACKET: Job = short("playout", "policy: a packet");
const PULLS: Job = short("playout", "policy: a packet and two pulls");
const ACCEPT: Job = short("playout", "engine: a packet accepted");
const ALL: Job = job("playout", "engine: a packet accepted and two pulls, all of it");

/// How instructions are counted.
#[derive(Clone, Copy, Debug)]
enum Way {
    /// By the blocks that are run, and how many each has.
    Blocks,
    /// One by one: ten times as slow.
    Single,
}

pub(super) fn run(traces: &[PathBuf], yes: bool) -> Result<(), String> {
    if let Some(trace) = traces.first() {
        return Err(format!("`arm` plays no traces: {}", trace.display()));
    }
    let packages = ["cmake", "make", "gcc-arm-linux-gnueabihf", "libc6-dev-armhf-cross", "qemu-user-static"];
    needs::ensure_packages(&packages, yes)?;
    toolchain::ensure_target(ARM)?;
    let (program, board) = (build()?, board()?);
    let actuators = ACTUATORS.iter().flat_map(|(case, _)| [job(MONO, case), job(STEREO, case)]);
    let jobs = [job(MONO, DECODE), job(STEREO, DECODE), PACKET, PULLS, ACCEPT, ALL];
    // The longest first.
    let encodes = ENCODES.map(|(case, frames)| Job { few: frames, many: 2 * frames, ..job(ENCODE, case) });
    let jobs: Vec<Job> = jobs.into_iter().chain(actuators).chain(encodes).collect();
    let done = in_parallel(&jobs, |job| job.count(&program, &board, Way::Blocks));
    let counts = done.into_iter().collect::<Result<Vec<f64>, _>>()?;
    let counts = Counts(jobs.into_iter().zip(counts).map(|(job, count)| ((job.group, job.case), count)).collect());
    println!("\n{}", counts.table());
    println!("{}", counts.encodes());
    println!("{}", sizes(&program)?);
    let check = Job { few: 50, many: 60, ..PACKET };
    let [blocks, single] = [Way::Blocks, Way::Single].map(|way| check.count(&program, &board, way));
    verdict(&counts.goals(blocks?, single?))
}

/// Builds the program for ARM.
fn build() -> Result<PathBuf, String> {
    let mut build = steps::cargo(["build", "--release", "--locked"]);
    toolchain::for_arm(&mut build);
    let folder = steps::target_dir()?.join("arm");
    build.arg("--target-dir").arg(&folder).current_dir(root().join("tests/arm"));
    succeed(build)?;
    Ok(folder.join(ARM).join("release/soundpost-arm"))
}

/// A folder in which the emulator looks first for the files that the program opens.
fn board() -> Result<PathBuf, String> {
    let folder = steps::target_dir()?.join("arm/board");
    let written = std::fs::create_dir_all(folder.join("proc"))
        .and_then(|()| std::fs::write(folder.join("proc/cpuinfo"), CPUINFO));
    written.map(|()| folder).map_err(|error| format!("cannot write what describes the board: {error}"))
}

impl Job {
    /// Instructions of the job done once.
    fn count(self, program: &Path, board: &Path, way: Way) -> Result<f64, String> {
        let count = |times: u32| {
            let mut command = Command::new("qemu-arm-static");
            command.arg("-L").arg(board).args(match way {
                Way::Blocks => &["-d", "in_asm,exec,nochain"][..],
                Way::Single => &["-singlestep", "-d", "in_asm,exec,nochain"],
            });
            command.arg(program).args([self.group, self.case, &times.to_string()]);
            counted(command).map_err(|error| format!("{}, {}: {error}", self.group, self.case))
        };
        let (few, many) = (count(self.few)?, count(self.many)?);
        Ok(many.saturating_sub(few) as f64 / f64::from(self.many - self.few))
    }
}

/// Runs a program in QEMU and counts its instructions by what QEMU logs.
fn counted(mut command: Command) -> Result<u64, String> {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| format!("cannot start the emulator: {error}"))?;
    let log = child.stderr.take().ok_or("the emulator has no log")?;
    let counted = instructions(log);
    let status = child.wait().map_err(|error| format!("cannot wait for the emulator: {error}"))?;
    if status.success() { counted } else { Err(format!("{status}")) }
}

/// The instructions that were run, by QEMU's log: each block is listed when it is translated, right before it is run
/// for the first time, and named by its address whenever it is run.
fn instructions(log: impl Read) -> Result<u64, String> {
    let (mut log, mut line) = (BufReader::new(log), Vec::new());
    let mut lengths: HashMap<Vec<u8>, u64> = HashMap::new();
    let (mut translated, mut sum) = (None, 0);
    loop {
        line.clear();
        let read = log.read_until(b'\n', &mut line).map_err(|error| format!("cannot read the log: {error}"))?;
        if read == 0 {
            return if sum > 0 { Ok(sum) } else { Err("the emulator logged nothing".to_owned()) };
        } else if let Some(run) = line.strip_prefix(b"Trace 0: ") {
            let block = run.split(|byte| *byte == b' ').next().unwrap_or(run);
            if let Some(length) = translated.take() {
                lengths.insert(block.to_owned(), length);
            }
            sum += lengths.get(block).ok_or("a block is run that was never listed")?;
        } else if line.starts_with(b"IN:") {
            translated = Some(0);
        } else if line.starts_with(b"0x") {
            translated = translated.map(|length| length + 1);
        }
    }
}

/// Instructions of each job.
struct Counts(HashMap<(&'static str, &'static str), f64>);

impl Counts {
    fn of(&self, group: &str, case: &str) -> f64 {
        self.0.get(&(group, case)).copied().unwrap_or(f64::NAN)
    }

    fn job(&self, job: Job) -> f64 {
        self.of(job.group, job.case)
    }

    /// A pull, by what a packet and two of them take.
    fn pull(&self) -> f64 {
        (self.job(PULLS) - self.job(PACKET)) / 2.0
    }

    /// What is decided, stored and counted for a packet and the two pulls that play it.
    fn books(&self) -> f64 {
        self.job(ACCEPT) + 2.0 * self.pull()
    }

    fn table(&self) -> String {
        let decodes = [MONO, STEREO].map(|group| self.of(group, DECODE));
        let [mono, stereo] = decodes;
        let share = |count: f64, decode: f64| match 100.0 * count / decode {
            little if little < 10.0 => format!("{little:.1} %"),
            percent => format!("{percent:.0} %"),
        };
        let mut text = String::from(
            "| | mono, instructions | of a decode | stereo, instructions | of a decode |\n|---|--:|--:|--:|--:|\n",
        );
        let _ = writeln!(text, "| libopus: decode 20 ms | {mono:.0} | 100 % | {stereo:.0} | 100 % |");
        for (name, count) in [
            ("policy, a packet", self.job(PACKET)),
            ("policy, a pull of 10 ms", self.pull()),
            ("a packet accepted: policy, store, counters", self.job(ACCEPT)),
            ("a packet accepted and two pulls decided", self.books()),
            ("a packet accepted and two pulls at rest, all but the decode", self.job(ALL)),
        ] {
            let _ = writeln!(text, "| {name} | {count:.0} | {} | – | – |", share(count, mono));
        }
        for (case, name) in ACTUATORS {
            let [one, two] = [MONO, STEREO].map(|group| self.of(group, case));
            let _ = writeln!(text, "| {name} | {one:.0} | {} | {two:.0} | {} |", share(one, mono), share(two, stereo));
        }
        text
    }

    fn encodes(&self) -> String {
        let mut text = String::from(
            "| encoding | instructions of a frame | million a second | of a 1 GHz core at one a cycle |\n|---|--:|--:|--:|\n",
        );
        for (case, frames) in ENCODES {
            let frame = self.of(ENCODE, case);
            let second = frame * f64::from(frames) / 1e6;
            let _ = writeln!(text, "| {case} | {frame:.0} | {second:.1} | {:.1} % |", second / 10.0);
        }
        text
    }

    fn goals(&self, blocks: f64, single: f64) -> Vec<Goal> {
        let books = self.books() / self.of(MONO, DECODE);
        let stretches = [MONO, STEREO].into_iter().flat_map(|group| {
            ["remove a period", "insert a period"].map(|case| self.of(group, case) / self.of(group, DECODE))
        });
        let dearest = stretches.fold(0.0, f64::max);
        vec![
            Goal {
                says: "policy and bookkeeping of a packet and its pulls are at most 3 % of a decode",
                found: format!("{:.1} %", 100.0 * books),
                holds: books <= 0.03,
            },
            Goal {
                says: "a stretch is at most one decode",
                found: format!("{dearest:.2} at most"),
                holds: dearest <= 1.0,
            },
            Goal {
                says: "instructions counted by blocks are as many as one by one",
                found: format!("{blocks:.1} and {single:.1} of a packet"),
                holds: (blocks / single - 1.0).abs() < 0.001,
            },
        ]
    }
}

/// What the program says of the states that it keeps.
fn sizes(program: &Path) -> Result<String, String> {
    let listed = output(&["qemu-arm-static", &program.display().to_string()]).ok_or("the program lists nothing")?;
    let sizes = listed.lines().filter_map(|line| line.strip_prefix("size\t")?.split_once('\t'));
    let text = sizes.map(|(what, bytes)| format!("{what} {bytes}")).collect::<Vec<_>>().join(" · ");
    Ok(format!("State in bytes: {text}\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "----------------\nIN: main\n0x00010340:  460b  mov  r3, r1\n0x00010342:  b500  push {lr}\n\n\
                       Trace 0: 0x7f00 [00/00010340/00/00] main\nTrace 0: 0x7f00 [00/00010340/00/00] main\n\
                       ----------------\nIN: \n0x00010350:  460b  mov  r3, r1\n\n\
                       Trace 0: 0x7f80 [00/00010350/00/00] \nTrace 0: 0x7f00 [00/00010340/00/00] main\n";

    #[test]
    fn a_block_counts_as_often_as_it_is_run() {
        assert_eq!(instructions(LOG.as_bytes()), Ok(2 + 2 + 1 + 2));
        assert!(instructions("Trace 0: 0x7f00 [00] main\n".as_bytes()).is_err());
        assert!(instructions("".as_bytes()).is_err());
    }

    #[test]
    fn each_goal_can_be_missed() {
        let counts = |accept: f64, stretch: f64| {
            let all = [
                (job(MONO, DECODE), 100_000.0),
                (job(STEREO, DECODE), 200_000.0),
                (PACKET, 100.0),
                (PULLS, 1_100.0),
                (ACCEPT, accept),
                (job(MONO, "remove a period"), stretch),
                (job(MONO, "insert a period"), stretch),
                (job(STEREO, "remove a period"), stretch),
                (job(STEREO, "insert a period"), stretch),
            ];
            Counts(all.into_iter().map(|(job, count)| ((job.group, job.case), count)).collect())
        };
        let verdicts = |counts: Counts, single| counts.goals(100.0, single).iter().map(|goal| goal.holds).collect();
        assert_eq!(verdicts(counts(1_900.0, 99_000.0), 100.0), [true, true, true]);
        let missed: Vec<bool> = verdicts(counts(2_100.0, 101_000.0), 99.0);
        assert_eq!(missed, [false, false, false]);
        assert!(counts(1_900.0, 99_000.0).table().contains("| policy, a pull of 10 ms | 500 | 0.5 % |"));
    }
}
