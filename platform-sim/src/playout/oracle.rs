//! The optimum: the schedule of delays that costs least, for somebody who knows the whole trace beforehand.
//!
//! Moon, Kurose and Towsley (1998) bound what players can reach by dynamic programming, for delays that change between
//! talkspurts. Here the delay changes at any pull, on a grid of 1 ms: by 1 ms for free now and then, as a resampler
//! does it that nobody hears, and by any amount at the price of made-up sound, inserted to raise the delay or left out
//! to lower it. What a pull plays must have arrived by then; what has not is made up.
//!
//! It is a yardstick. A player that takes out periods and puts them in is faster than a resampler at times, and one that
//! does not see the future is worse at nearly all.

use super::run::Options;
use crate::trace::Trace;
use serde::Serialize;
use std::fmt;

/// Delays are multiples of this, and sound is there or not by so much.
const GRID_US: i64 = 1_000;
/// One step of the grid is free each so often: 0.5 % of time.
const FREE_EVERY_US: i64 = 200 * GRID_US;

/// The best that can be done. Times in ms, shares in percent of the time that is judged.
#[derive(Clone, Debug, Serialize)]
pub struct Optimum {
    /// The trace.
    pub trace: String,
    /// Mean delay.
    pub mean_delay_ms: f64,
    /// Made up, or left out.
    pub concealed_pct: f64,
    /// Mean delay and the price of what is made up, at 5 s.
    pub j5_ms: f64,
    /// The same at the price that was asked for, for which it is the least.
    pub j_ms: f64,
    /// Seconds that were judged.
    pub judged_s: f64,
}

/// The best way to have come to one delay.
#[derive(Clone, Copy, Debug, Default)]
struct Way {
    /// Delay summed over pulls, and the price of what was made up, in us.
    cost: i64,
    made_up_us: i64,
}

impl Way {
    fn or(self, other: Self) -> Self {
        if other.cost < self.cost { other } else { self }
    }
}

/// What it costs to play `trace` as well as can be. Of the options, the price, the pulls and what is excluded matter.
#[must_use]
pub fn optimum(trace: &Trace, options: &Options) -> Optimum {
    let (period, base) = (i64::from(options.pull_us), trace.base_us());
    let price = options.lambda_ms * 1000.0 / period as f64;
    let made_up = |us: i64| Way { cost: (us as f64 * price) as i64, made_up_us: us };
    let media = Media::of(trace);
    let mut ways = vec![Way::default(); delays(trace, options)];
    let mut missing = vec![0; ways.len()];
    let mut pulls = 0;
    let end = trace.packets.last().map_or(0, |packet| packet.send_us);
    let times = (i64::from(options.phase_us)..end).step_by(options.pull_us as usize);
    for at in times.skip_while(|at| *at < options.excluded_us) {
        if pulls > 0 {
            let free = at / FREE_EVERY_US != (at - period) / FREE_EVERY_US;
            change(&mut ways, made_up(GRID_US), free);
        }
        media.missing(at, at - base, period, &mut missing);
        for (n, (way, missing)) in (0..).zip(ways.iter_mut().zip(&missing)) {
            let lack = made_up(*missing);
            way.cost += n * GRID_US + lack.cost;
            way.made_up_us += lack.made_up_us;
        }
        pulls += 1;
    }
    let best = ways.into_iter().reduce(Way::or).unwrap_or_default();
    let judged_us = (pulls * period).max(1) as f64;
    let concealed = best.made_up_us as f64 / judged_us;
    let j_ms = best.cost as f64 / pulls.max(1) as f64 / 1000.0;
    let mean_delay_ms = j_ms - options.lambda_ms * concealed;
    Optimum {
        trace: trace.name.clone(),
        mean_delay_ms,
        concealed_pct: 100.0 * concealed,
        j5_ms: mean_delay_ms + 5_000.0 * concealed,
        j_ms,
        judged_s: judged_us / 1e6,
    }
}

/// How many delays are of any use: up to the one at which nothing is late, or that costs more than no sound at all.
fn delays(trace: &Trace, options: &Options) -> usize {
    let latest = trace.packets.iter().filter_map(|packet| Some(packet.arrival_us? - packet.send_us)).max();
    let excess_us = latest.unwrap_or(0) - trace.base_us();
    let most_us = excess_us + i64::from(trace.packet_ms) * 1000 + i64::from(options.pull_us);
    (most_us.min((options.lambda_ms * 1000.0) as i64) / GRID_US + 2) as usize
}

/// Changes the delay in all ways that are worth it: any step costs what made-up sound does, and where it is free one
/// does not.
fn change(ways: &mut [Way], step: Way, free: bool) {
    if free {
        let mut lower = None;
        for n in 0..ways.len() {
            let here = ways[n];
            let best = [lower, ways.get(n + 1).copied()].into_iter().flatten().fold(here, Way::or);
            lower = Some(here);
            ways[n] = best;
        }
    }
    let stepped = |from: Way| Way { cost: from.cost + step.cost, made_up_us: from.made_up_us + step.made_up_us };
    for n in 1..ways.len() {
        ways[n] = ways[n].or(stepped(ways[n - 1]));
    }
    for n in (1..ways.len()).rev() {
        ways[n - 1] = ways[n - 1].or(stepped(ways[n]));
    }
}

/// Pieces of stream time on the receiver's clock, one after the other.
struct Media(Vec<Piece>);

struct Piece {
    from_us: i64,
    to_us: i64,
    /// Never, if it was lost.
    arrival_us: Option<i64>,
}

impl Media {
    fn of(trace: &Trace) -> Self {
        let length = i64::from(trace.packet_ms) * 1000;
        let mut pieces = Vec::with_capacity(trace.packets.len());
        for (n, packet) in trace.packets.iter().enumerate() {
            let next = trace.packets.get(n + 1);
            let (from_us, arrival_us) = (packet.send_us, packet.arrival_us);
            // A packet lasts until the next one begins: the sender's clock may be another. Numbers that are left out
            // are packets that were lost.
            let to_us = next.filter(|next| next.seq == packet.seq + 1).map_or(from_us + length, |next| next.send_us);
            pieces.push(Piece { from_us, to_us, arrival_us });
            if let Some(next) = next.filter(|next| next.send_us > to_us) {
                pieces.push(Piece { from_us: to_us, to_us: next.send_us, arrival_us: None });
            }
        }
        Self(pieces)
    }

    /// How much is not there at `at` of the period that begins at `now` less the delay, for each delay of the grid. Each
    /// millisecond is there if its first instant is.
    fn missing(&self, at: i64, now: i64, period: i64, missing: &mut [i64]) {
        missing.fill(0);
        let earliest = now - missing.len() as i64 * GRID_US;
        let first = self.0.partition_point(|piece| piece.to_us <= earliest);
        let pieces = self.0[first..].iter().take_while(|piece| piece.from_us < now + period);
        for piece in pieces.filter(|piece| piece.arrival_us.is_none_or(|arrival| arrival > at)) {
            // The delays at which the period touches it.
            let least = ((now - piece.to_us).max(0) / GRID_US) as usize;
            let most = ((now + period - piece.from_us).max(0) / GRID_US) as usize;
            for (n, missing) in missing.iter_mut().enumerate().take(most + 1).skip(least) {
                let begin = now - n as i64 * GRID_US;
                let whole = |us: i64| ((us - begin + GRID_US - 1).div_euclid(GRID_US) * GRID_US).clamp(0, period);
                *missing += whole(piece.to_us) - whole(piece.from_us);
            }
        }
    }
}

impl fmt::Display for Optimum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} · the optimum, the trace being known · {:.0} s judged", self.trace, self.judged_s)?;
        writeln!(f, "  delay      {:.1} ms on average", self.mean_delay_ms)?;
        writeln!(f, "  concealed  {:.3} %", self.concealed_pct)?;
        writeln!(f, "  cost J5    {:.1} ms ({:.1} ms at the price asked for)", self.j5_ms, self.j_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    /// Packets of 20 ms that take 5 ms, and as much longer as `late` says, for 20 s, so 2 000 pulls: delays summed over
    /// them in ms, and what was made up in ms.
    fn solved(late: impl Fn(i64) -> Option<i64>, price_ms: f64, phase_us: u32) -> (f64, f64) {
        let arrival = |n| late(n).map_or(-1, |late| n * 20_000 + 5_000 + late);
        let text =
            (0..1_001).fold("# P=20\n".to_owned(), |text, n| text + &format!("{n},{},{}\n", n * 20_000, arrival(n)));
        let trace = Trace::parse(Path::new("by-hand"), &text).unwrap();
        let options = Options { phase_us, excluded_us: 0, lambda_ms: price_ms, ..Options::default() };
        let optimum = optimum(&trace, &options);
        assert!((optimum.j_ms - optimum.mean_delay_ms - price_ms / 100.0 * optimum.concealed_pct).abs() < 1e-6);
        assert_eq!(optimum.judged_s, 20.0);
        ((optimum.mean_delay_ms * 2_000.0).round(), (optimum.concealed_pct * 200.0).round())
    }

    #[test]
    fn what_comes_with_its_pull_needs_no_delay() {
        assert_eq!(solved(|_| Some(0), 5_000.0, 5_000), (0.0, 0.0));
    }

    #[test]
    fn what_comes_behind_its_pull_waits_for_the_next_one() {
        assert_eq!(solved(|n| Some(if n == 500 { 0 } else { 1_300 }), 5_000.0, 5_000), (10.0 * 2_000.0, 0.0));
        // Pulls 1.3 ms before packets: 8.7 ms, of whose last millisecond the first instant must be there.
        assert_eq!(solved(|_| Some(0), 5_000.0, 3_700), (8.0 * 2_000.0, 0.0));
    }

    #[test]
    fn what_is_lost_costs_its_length() {
        assert_eq!(solved(|n| (n != 500).then_some(0), 5_000.0, 5_000), (0.0, 20.0));
    }

    #[test]
    fn for_one_late_packet_delay_grows_only_if_gaps_are_dear() {
        let late = |n| Some(if n == 500 { 30_000 } else { 0 });
        // To be 30 ms behind when it comes takes six seconds up and six down, 1 ms each 20 pulls: 180 ms for a second.
        // To leave it out costs 20 ms of sound: at 5 s that is 100, at 20 s it is 400.
        assert_eq!(solved(late, 5_000.0, 5_000), (0.0, 20.0));
        assert_eq!(solved(late, 20_000.0, 5_000), (20.0 * 30.0 * 30.0, 0.0));
    }

    #[test]
    fn where_all_becomes_late_what_is_foreseen_is_free_and_the_rest_jumps() {
        // From 5 s on 40 ms more. There are 25 free steps until then, and the last of them still is cheaper than 1 ms
        // made up. Two pulls can be played from what is there, one needs 5 ms more, and the next the last 10 ms.
        let before = 20.0 * (1..25).sum::<i32>() as f64;
        let behind = 40.0 * 1_500.0 - 15.0 - 15.0 - 10.0;
        assert_eq!(solved(|n| Some(if n < 250 { 0 } else { 40_000 }), 5_000.0, 5_000), (before + behind, 15.0));
    }
}
