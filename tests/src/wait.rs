//! Waiting for a condition that nobody announces. Promises to return as soon as the condition
//! holds (within about a millisecond) and never later than the deadline plus one evaluation of it.

use std::thread;
use std::time::{Duration, Instant};

const PAUSE: Duration = Duration::from_millis(1);

/// Evaluates `condition` until it holds or the deadline has passed; says whether it held.
pub fn until(deadline: Duration, mut condition: impl FnMut() -> bool) -> bool {
    until_some(deadline, || condition().then_some(())).is_some()
}

/// Evaluates `attempt` until it yields something or the deadline has passed.
pub fn until_some<T>(deadline: Duration, attempt: impl FnMut() -> Option<T>) -> Option<T> {
    until_some_every(PAUSE, deadline, attempt)
}

/// The same for what may not be asked so often.
pub fn until_some_every<T>(pause: Duration, deadline: Duration, mut attempt: impl FnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + deadline;
    loop {
        let result = attempt();
        if result.is_some() || Instant::now() >= end {
            return result;
        }
        thread::park_timeout(pause);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn returns_when_the_condition_holds_or_the_time_is_up() {
        let mut calls = 0;
        assert!(until(Duration::from_secs(5), || {
            calls += 1;
            calls == 3
        }));
        assert!(!until(Duration::ZERO, || false));
        assert_eq!(until_some(Duration::ZERO, || Some(7)), Some(7));
    }
}
