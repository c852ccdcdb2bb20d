//! The only module that names atomics.
//!
//! Everything above asks for one thing: a word of bits that several contexts change. Where the target has
//! compare-and-swap it is a native atomic; where it has not (a Cortex-M0), read-modify-write runs inside a
//! critical section that the final binary supplies.

pub(crate) use word::Word;

#[cfg(target_has_atomic = "32")]
mod word {
    use core::sync::atomic::{AtomicU32, Ordering};

    /// A shared word. Every operation is an acquire and a release.
    #[derive(Debug)]
    pub(crate) struct Word(AtomicU32);

    impl Word {
        pub(crate) const fn new(value: u32) -> Self {
            Self(AtomicU32::new(value))
        }

        pub(crate) fn load(&self) -> u32 {
            self.0.load(Ordering::Acquire)
        }

        pub(crate) fn store(&self, value: u32) {
            self.0.store(value, Ordering::Release);
        }

        pub(crate) fn swap(&self, value: u32) -> u32 {
            self.0.swap(value, Ordering::AcqRel)
        }

        /// Replaces the value by what `change` makes of it, unless that is nothing. Returns the old value
        /// and whether it was replaced.
        pub(crate) fn update(&self, change: impl Fn(u32) -> Option<u32>) -> (u32, bool) {
            match self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, change) {
                Ok(old) => (old, true),
                Err(old) => (old, false),
            }
        }
    }
}

#[cfg(not(target_has_atomic = "32"))]
mod word {
    use core::sync::atomic::{AtomicU32, Ordering};

    /// A shared word. Every change happens inside a critical section.
    #[derive(Debug)]
    pub(crate) struct Word(AtomicU32);

    impl Word {
        pub(crate) const fn new(value: u32) -> Self {
            Self(AtomicU32::new(value))
        }

        pub(crate) fn load(&self) -> u32 {
            self.0.load(Ordering::Acquire)
        }

        pub(crate) fn store(&self, value: u32) {
            self.0.store(value, Ordering::Release);
        }

        pub(crate) fn swap(&self, value: u32) -> u32 {
            self.update(|_| Some(value)).0
        }

        /// Replaces the value by what `change` makes of it, unless that is nothing. Returns the old value
        /// and whether it was replaced.
        pub(crate) fn update(&self, change: impl Fn(u32) -> Option<u32>) -> (u32, bool) {
            critical_section::with(|_| {
                let old = self.load();
                match change(old) {
                    Some(new) => {
                        self.store(new);
                        (old, true)
                    }
                    None => (old, false),
                }
            })
        }
    }
}
