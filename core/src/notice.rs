//! A value larger than a word that is rarely written and read by anybody, in a critical section.
//!
//! Where [`Latest`](crate::latest::Latest) has one writer and one reader who never wait, a `Notice` has any number
//! of either, and each of them waits for the others, as long as it takes to copy a `T`. So it is for what is cold:
//! how a device is doing, not what it plays. The final binary says what a critical section is: interrupts off, or a
//! lock that lends its holder the priority of who waits for it.
#![allow(unsafe_code)]

use crate::sync::{Cell, constant, exclusive};

/// A `T` on a notice board.
#[derive(Debug)]
pub struct Notice<T>(Cell<T>);

// SAFETY: the value is only reached inside a critical section, in which one context is at a time, and only copies
// of it leave; they go from one thread to another, hence `T: Send`.
unsafe impl<T: Send> Sync for Notice<T> {}

impl<T: Copy> Notice<T> {
    constant! {
        /// A board that says `value`, usable in a `static`.
        #[must_use]
        pub fn new(value: T) -> Self {
            Self(Cell::new(value))
        }
    }

    /// Says `value` from now on.
    pub fn post(&self, value: T) {
        // SAFETY: nobody else is in a critical section, and nobody reaches the value outside of one.
        exclusive(|| self.0.with_mut(|said| unsafe { said.write(value) }));
    }

    /// What was said last.
    #[must_use]
    pub fn read(&self) -> T {
        // SAFETY: as in `post`; the value was written by `new` at the latest.
        exclusive(|| self.0.with(|said| unsafe { said.read() }))
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::thread;

    #[test]
    fn what_was_said_last_stands() {
        static NOTICE: Notice<(u32, &str)> = Notice::new((1, "runs"));
        assert_eq!([NOTICE.read(), NOTICE.read()], [(1, "runs"); 2]);
        NOTICE.post((2, "lost"));
        assert_eq!(NOTICE.read(), (2, "lost"));
    }

    #[test]
    fn nobody_reads_half_a_notice_whoever_writes() {
        static NOTICE: Notice<[u64; 16]> = Notice::new([0; 16]);
        let rounds = if cfg!(miri) { 50 } else { 5_000 };
        thread::scope(|scope| {
            for writer in 1..=2_u64 {
                scope.spawn(move || (0..rounds).for_each(|n| NOTICE.post([n << 8 | writer; 16])));
            }
            for _ in 0..rounds {
                let value = NOTICE.read();
                assert_eq!(value, [value[0]; 16]);
            }
        });
    }
}
