//! Times that can be compared on a machine that does other things as well.
//!
//! All cases of a group take turns, a short while each, round after round. A ratio is made within a round,
//! where both sides met the same machine, and the median is taken of the ratios.

use crate::cases::{Case, Group};
use std::time::Duration;

/// Rounds, and how long a sample is. On one thread samples are shorter than the turns that the kernel gives to
/// others, so most of them are not interrupted. Two threads must first meet, so there are fewer, longer ones.
const fn plan(threads: u32) -> (usize, Duration) {
    if threads == 1 { (201, Duration::from_micros(500)) } else { (41, Duration::from_millis(2)) }
}

/// One case's line.
pub(crate) struct Timing {
    /// Median of the rounds.
    pub(crate) nanoseconds: f64,
    /// Median of the rounds' ratios to the first case.
    pub(crate) ratio: f64,
    /// One ratio in ten is below this.
    pub(crate) low: f64,
    /// One ratio in ten is above this.
    pub(crate) high: f64,
}

/// Lets the cases take turns. The first one is what the others are compared with.
pub(crate) fn race(group: &Group) -> Vec<Timing> {
    let (turns, sample) = plan(group.threads);
    let cases = group.cases;
    let times: Vec<u64> = cases.iter().map(|case| enough(case, sample)).collect();
    let mut rounds: Vec<Vec<f64>> = vec![Vec::new(); cases.len()];
    for round in 0..turns {
        // Another one begins each time: what the one before leaves in the caches is nobody's advantage.
        for place in (0..cases.len()).map(|place| (place + round) % cases.len()) {
            let took = (cases[place].run)(times[place]);
            rounds[place].push(took.as_secs_f64() * 1e9 / times[place] as f64);
        }
    }
    rounds.iter().map(|mine| compare(mine, &rounds[0])).collect()
}

/// How often a case must run to fill a sample.
fn enough(case: &Case, sample: Duration) -> u64 {
    let mut times = 100_u64;
    while (case.run)(times) < sample {
        times *= 2;
    }
    times
}

fn compare(mine: &[f64], ours: &[f64]) -> Timing {
    let ratios: Vec<f64> = mine.iter().zip(ours).map(|(mine, ours)| mine / ours).collect();
    Timing {
        nanoseconds: quantile(mine, 0.5),
        ratio: quantile(&ratios, 0.5),
        low: quantile(&ratios, 0.1),
        high: quantile(&ratios, 0.9),
    }
}

fn quantile(values: &[f64], part: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[((sorted.len() - 1) as f64 * part).round() as usize]
}
