//! The only module that names atomics, critical sections and cells of shared memory.
//!
//! Everything above asks for three things: a `Word` of bits that several contexts change, a `Cell` of memory
//! that changes hands by such a word, and `exclusive` access for what is rare and larger than a word. What they
//! are made of depends on what the crate is built for:
//!
//! | built for | a word | a cell | exclusive |
//! |---|---|---|---|
//! | targets with compare-and-swap | native atomic | `UnsafeCell` | the binary's critical section |
//! | targets without it (Cortex-M0), or `--cfg sectioned` | changed in the critical section | `UnsafeCell` | the same |
//! | `--cfg loom`, with or without `--cfg sectioned` | the same, on loom's atomics | loom's | loom's mutex |
//!
//! In the last row `model` can weaken the orderings and leave out the section, so that a test can show that the
//! models notice. Elsewhere nothing of that exists, and a cell costs nothing.
#![allow(unsafe_code)]

pub(crate) use base::{Cell, cells, exclusive, words};
pub(crate) use word::Word;

/// A constructor that is `const`, except on loom, whose atomics and cells cannot be made by the compiler.
macro_rules! constant {
    ($(#[$doc:meta])* $seen:vis fn $name:ident($($argument:ident: $kind:ty),*) -> $made:ty $body:block) => {
        #[cfg(not(loom))]
        $(#[$doc])*
        $seen const fn $name($($argument: $kind),*) -> $made $body

        #[cfg(loom)]
        $(#[$doc])*
        $seen fn $name($($argument: $kind),*) -> $made $body
    };
}
pub(crate) use constant;

#[cfg(not(loom))]
mod base {
    use super::Word;
    use core::cell::UnsafeCell;
    pub(super) use core::sync::atomic::{AtomicU32, Ordering};

    /// The ordering that is meant.
    pub(super) const fn order(meant: Ordering) -> Ordering {
        meant
    }

    /// Does `work` while no other context does such work. For what is cold: never on an audio thread.
    pub(crate) fn exclusive<R>(work: impl FnOnce() -> R) -> R {
        critical_section::with(|_| work())
    }

    /// Memory that several contexts reach, one after the other or to read only; who may is for the owner to know.
    ///
    /// The pointer is lent to a closure so that loom can see how long it is used.
    #[derive(Debug)]
    #[repr(transparent)]
    pub(crate) struct Cell<T>(UnsafeCell<T>);

    impl<T> Cell<T> {
        pub(crate) const fn new(value: T) -> Self {
            Self(UnsafeCell::new(value))
        }

        #[inline(always)]
        pub(crate) fn with<R>(&self, read: impl FnOnce(*const T) -> R) -> R {
            read(self.0.get())
        }

        #[inline(always)]
        pub(crate) fn with_mut<R>(&self, write: impl FnOnce(*mut T) -> R) -> R {
            write(self.0.get())
        }
    }

    /// `N` cells that hold `fill`.
    pub(crate) const fn cells<T: Copy, const N: usize>(fill: T) -> [Cell<T>; N] {
        // SAFETY: a `Cell<T>` has the layout of `T`, and both arrays have `N` of them.
        unsafe { core::mem::transmute_copy::<[T; N], [Cell<T>; N]>(&[fill; N]) }
    }

    /// `N` words that are zero.
    pub(crate) const fn words<const N: usize>() -> [Word; N] {
        [const { Word::new(0) }; N]
    }
}

#[cfg(loom)]
mod base {
    pub(super) use super::model::order;
    pub(crate) use super::model::{cells, exclusive, words};
    pub(crate) type Cell<T> = loom::cell::UnsafeCell<T>;
    pub(super) use loom::sync::atomic::{AtomicU32, Ordering};
}

#[cfg(all(target_has_atomic = "32", not(sectioned)))]
mod word {
    use super::base::{AtomicU32, Ordering, order};

    /// A shared word. Every operation but [`tally`](Self::tally) is an acquire and a release.
    #[derive(Debug)]
    pub(crate) struct Word(AtomicU32);

    impl Word {
        constant! {
            pub(crate) fn new(value: u32) -> Self {
                Self(AtomicU32::new(value))
            }
        }

        pub(crate) fn load(&self) -> u32 {
            self.0.load(order(Ordering::Acquire))
        }

        pub(crate) fn store(&self, value: u32) {
            self.0.store(value, order(Ordering::Release));
        }

        pub(crate) fn swap(&self, value: u32) -> u32 {
            self.0.swap(value, order(Ordering::AcqRel))
        }

        /// Replaces the value by what `change` makes of it, unless that is nothing. Returns the old value
        /// and whether it was replaced.
        pub(crate) fn update(&self, change: impl Fn(u32) -> Option<u32>) -> (u32, bool) {
            match self.0.fetch_update(order(Ordering::AcqRel), order(Ordering::Acquire), change) {
                Ok(old) => (old, true),
                Err(old) => (old, false),
            }
        }

        /// An [`update`](Self::update) that orders nothing else: for statistics.
        pub(crate) fn tally(&self, change: impl Fn(u32) -> Option<u32>) {
            let _ = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, change);
        }
    }
}

#[cfg(any(not(target_has_atomic = "32"), sectioned))]
mod word {
    use super::base::{AtomicU32, Ordering, exclusive, order};

    /// A shared word. Every change happens inside a critical section; only looking at it does not need one.
    #[derive(Debug)]
    pub(crate) struct Word(AtomicU32);

    impl Word {
        constant! {
            pub(crate) fn new(value: u32) -> Self {
                Self(AtomicU32::new(value))
            }
        }

        pub(crate) fn load(&self) -> u32 {
            self.0.load(order(Ordering::Acquire))
        }

        pub(crate) fn store(&self, value: u32) {
            self.swap(value);
        }

        pub(crate) fn swap(&self, value: u32) -> u32 {
            self.update(|_| Some(value)).0
        }

        /// Replaces the value by what `change` makes of it, unless that is nothing. Returns the old value
        /// and whether it was replaced.
        pub(crate) fn update(&self, change: impl Fn(u32) -> Option<u32>) -> (u32, bool) {
            exclusive(|| {
                let old = self.load();
                match change(old) {
                    Some(new) => {
                        self.0.store(new, order(Ordering::Release));
                        (old, true)
                    }
                    None => (old, false),
                }
            })
        }

        /// An [`update`](Self::update) for statistics.
        pub(crate) fn tally(&self, change: impl Fn(u32) -> Option<u32>) {
            self.update(change);
        }
    }
}

/// What only models on loom have: weaknesses put in on purpose.
#[cfg(loom)]
pub mod model {
    use super::{Cell, Word};
    use loom::sync::atomic::Ordering;

    /// What is left out of every operation.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Weakness {
        /// Nothing.
        None,
        /// What was written before need not be visible to who sees the new value.
        NoRelease,
        /// Who sees the new value need not see what was written before.
        NoAcquire,
        /// Neither.
        Relaxed,
        /// Critical sections exclude nobody.
        Unguarded,
    }

    std::thread_local! {
        // All threads of a model run on the one thread of its test.
        static WEAKNESS: core::cell::Cell<Weakness> = const { core::cell::Cell::new(Weakness::None) };
    }

    loom::lazy_static! {
        static ref SECTION: loom::sync::Mutex<()> = loom::sync::Mutex::new(());
    }

    /// Weakens every word of the models that run on this thread.
    pub fn weaken(weakness: Weakness) {
        WEAKNESS.set(weakness);
    }

    pub(super) fn order(meant: Ordering) -> Ordering {
        match (WEAKNESS.get(), meant) {
            (Weakness::Relaxed, _)
            | (Weakness::NoRelease, Ordering::Release)
            | (Weakness::NoAcquire, Ordering::Acquire) => Ordering::Relaxed,
            (Weakness::NoRelease, Ordering::AcqRel) => Ordering::Acquire,
            (Weakness::NoAcquire, Ordering::AcqRel) => Ordering::Release,
            (_, meant) => meant,
        }
    }

    pub(crate) fn exclusive<R>(work: impl FnOnce() -> R) -> R {
        let _held = (WEAKNESS.get() != Weakness::Unguarded).then(|| SECTION.lock());
        work()
    }

    pub(crate) fn cells<T: Copy, const N: usize>(fill: T) -> [Cell<T>; N] {
        core::array::from_fn(|_| Cell::new(fill))
    }

    pub(crate) fn words<const N: usize>() -> [Word; N] {
        core::array::from_fn(|_| Word::new(0))
    }
}

/// The critical section of this crate's own tests.
#[cfg(all(test, not(loom)))]
mod section {
    use std::cell::Cell;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread;

    static TAKEN: AtomicBool = AtomicBool::new(false);
    std::thread_local!(static MINE: Cell<bool> = const { Cell::new(false) });

    struct Spinning;
    critical_section::set_impl!(Spinning);

    // SAFETY: between `acquire` and `release`, `TAKEN` keeps every other thread in the loop.
    unsafe impl critical_section::Impl for Spinning {
        unsafe fn acquire() -> bool {
            if MINE.get() {
                return true;
            }
            while TAKEN.swap(true, Ordering::Acquire) {
                thread::yield_now();
            }
            MINE.set(true);
            false
        }

        unsafe fn release(within_another: bool) {
            if !within_another {
                MINE.set(false);
                TAKEN.store(false, Ordering::Release);
            }
        }
    }
}
