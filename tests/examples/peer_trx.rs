//! What another program of the same kind achieves: measures the mouth-to-ear delay of `trx` (Opus
//! over RTP, here on the loopback interface) on the test rig and prints it. Where its buffers
//! settle differs from start to start, so it is started several times.
//!
//! Usage: `peer_trx [FRAME [BUFFER_MS [JITTER_MS [RUNS]]]]`; the defaults are trx's own, 960 frames
//! (20 ms) and 16 ms each, and 5 runs.

use std::net::UdpSocket;
use std::time::Duration;

use soundpost_tests::measure::{Delays, Train};
use soundpost_tests::proc::Program;
use soundpost_tests::rig::{AlsaConf, Jack, Probe, mouth_to_ear};

const SOON: Duration = Duration::from_secs(20);
const REACH: f64 = 0.4;
const CHIRPS: usize = 20;

fn main() {
    let argument =
        |n: usize, default: usize| std::env::args().nth(n).map_or(default, |text| text.parse().expect("a number"));
    let [frame, buffer, jitter] = [(1, 960), (2, 16), (3, 16)].map(|(n, d)| argument(n, d));
    println!("trx, frames of {frame}, buffer {buffer} ms, jitter buffer {jitter} ms");
    let runs: Vec<Delays> = (0..argument(4, 5)).map(|seed| run([frame, buffer, jitter], seed as u64)).collect();
    let mut sorted: Vec<f64> = runs.iter().flat_map(|run| run.sorted.clone()).collect();
    sorted.sort_by(f64::total_cmp);
    let missing = runs.iter().map(|run| run.missing).sum();
    let worst_peak = runs.iter().map(|run| run.worst_peak).fold(1.0, f64::min);
    println!("all runs: {}", Delays { sorted, missing, worst_peak });
}

fn run(numbers: [usize; 3], seed: u64) -> Delays {
    let jack = Jack::start();
    let probe = Probe::open(&jack, "probe", 1, 1);
    let (mic, spk) = (probe.output(0), probe.input(0));
    let conf = AlsaConf::builder(&jack).capture("mic", &[&mic]).playback("spk", &[&spk]).write();
    let port = free_port().to_string();
    let [frame, buffer, jitter] = numbers.map(|number| number.to_string());
    let common = ["-h", "127.0.0.1", "-p", &port, "-c", "1", "-m", &buffer];
    let hear = [&common[..], &["-d", "spk", "-j", &jitter]].concat();
    let talk = [&common[..], &["-d", "mic", "-f", &frame, "-b", "32"]].concat();
    let listener = Program::run("trx-rx", &hear, &conf.envs());
    let talker = Program::run("trx-tx", &talk, &conf.envs());
    assert!(probe.wait_connected(&mic, SOON), "trx-tx did not come:\n{}", talker.output());
    assert!(probe.wait_connected(&spk, SOON), "trx-rx did not come:\n{}", listener.output());
    // The first seconds tell about start-up; the delay wanted is the one that stays.
    mouth_to_ear(&probe, &Train::new(5, REACH, !seed), 0);
    let delays = mouth_to_ear(&probe, &Train::new(CHIRPS, REACH, seed), 0).found;
    println!("  {delays}");
    delays
}

/// An even port number (RTP's custom) that nobody uses at the moment.
fn free_port() -> u16 {
    let free = || UdpSocket::bind("127.0.0.1:0").ok()?.local_addr().ok().map(|at| at.port());
    (0..1000).find_map(|_| free().filter(|port| port % 2 == 0)).expect("a free port")
}
