//! Another player plays a trace, by the method of `tests/traces/README.md`: `soundpost-peers PLAYER TRACE` prints what
//! `soundpost-sim playout --json` prints, as far as it applies.
//!
//! What a player says of itself does not count. Each pull is judged by which sound it played: where in the stream it is
//! from, and how much of it was none.

mod neteq;
mod speex;

use soundpost_sim::playout::Options;
use soundpost_sim::trace::Trace;
use std::path::Path;
use std::process::ExitCode;

/// Someone who gets packets, and is asked for sound.
trait Player {
    /// Packet `seq` comes at `at_us`.
    fn arrive(&mut self, at_us: i64, seq: u64);
    /// The device asks for a period at `at_us`.
    fn pull(&mut self, at_us: i64) -> Pull;
}

/// What came of one pull. Places in the stream are in microseconds of it.
#[derive(Clone, Copy, Debug, Default)]
struct Pull {
    /// So far inside the pull the first real sound begins, and where that is from.
    first: Option<(i64, i64)>,
    /// Not real, or real and left out.
    made_up_us: i64,
    /// Times that time was stretched.
    operations: u32,
}

/// What a device asks for.
const PERIOD_US: i64 = 10_000;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [player, trace] = &arguments[..] else { return refuse("soundpost-peers PLAYER TRACE".to_owned()) };
    let trace = match Trace::read(Path::new(trace)) {
        Ok(trace) => trace,
        Err(wrong) => return refuse(wrong.to_string()),
    };
    let packet_us = i64::from(trace.packet_ms) * 1_000;
    match player.as_str() {
        "speexdsp" => judge(&trace, &mut speex::Speex::new(packet_us)),
        "neteq-crate" => judge(&trace, &mut neteq::Crate::new(&trace)),
        other => return refuse(format!("there is no player `{other}`; allowed: speexdsp, neteq-crate")),
    }
    ExitCode::SUCCESS
}

fn refuse(why: String) -> ExitCode {
    eprintln!("error: {why}");
    ExitCode::from(2)
}

/// Lets it play the whole trace, and prints what was heard.
fn judge(trace: &Trace, player: &mut dyn Player) {
    let options = Options::default();
    let mut arrivals: Vec<(i64, u64)> =
        trace.packets.iter().filter_map(|packet| Some((packet.arrival_us?, packet.seq))).collect();
    arrivals.sort_unstable();
    let mut arrivals = arrivals.into_iter().peekable();
    let end = trace.packets.last().map_or(0, |packet| packet.send_us);
    let (mut delays, mut judged_us, mut made_up_us, mut operations) = (Vec::new(), 0, 0, 0);
    for at in (i64::from(options.phase_us)..end).step_by(PERIOD_US as usize) {
        while let Some((arrived, seq)) = arrivals.next_if(|(arrived, _)| *arrived <= at) {
            player.arrive(arrived, seq);
        }
        let pull = player.pull(at);
        if at < options.excluded_us {
            continue;
        }
        judged_us += PERIOD_US;
        made_up_us += pull.made_up_us;
        operations += pull.operations;
        delays.extend(pull.first.map(|(inside, from)| {
            let sample = u64::try_from(from * 6 / 125).unwrap_or(0);
            at + inside - trace.capture_us(sample) - trace.base_us()
        }));
    }
    delays.sort_unstable();
    let judged = judged_us.max(1) as f64;
    let mean = delays.iter().sum::<i64>() as f64 / delays.len().max(1) as f64 / 1e3;
    let p95 = delays.get(delays.len() * 95 / 100).copied().unwrap_or(0) as f64 / 1e3;
    let concealed = made_up_us as f64 / judged * 100.0;
    let operations = f64::from(operations) * 60e6 / judged;
    println!(
        "{{\"mean_delay_ms\":{mean},\"p95_delay_ms\":{p95},\"concealed_pct\":{concealed},\
         \"stretch_ops_per_min\":{operations},\"j5_ms\":{}}}",
        mean + 50.0 * concealed
    );
}
