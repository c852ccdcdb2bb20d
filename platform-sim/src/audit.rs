//! Critical sections with an auditor: one that is entered from the audio path is a fault, and says so.
//!
//! A test sets it with `critical_section::set_impl!(soundpost_sim::audit::Auditor);` (there can be only one in a
//! program, so no library of this workspace does) and turns the crank inside [`audio_path`].

use std::cell::Cell;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The implementation to set.
#[derive(Debug)]
pub struct Auditor;

static LOCK: Mutex<()> = Mutex::new(());

thread_local! {
    static IN_AUDIO_PATH: Cell<bool> = const { Cell::new(false) };
    static HELD: Cell<Option<MutexGuard<'static, ()>>> = const { Cell::new(None) };
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

/// Does `work` as audio threads do: a critical section in it is a fault.
///
/// # Panics
/// If `work` enters a critical section, in a program whose critical sections are the [`Auditor`]'s.
pub fn audio_path<R>(work: impl FnOnce() -> R) -> R {
    struct Back(bool);
    impl Drop for Back {
        fn drop(&mut self) {
            IN_AUDIO_PATH.set(self.0);
        }
    }
    let _back = Back(IN_AUDIO_PATH.replace(true));
    work()
}

// SAFETY: from `acquire` to `release` the calling thread holds the lock, or it holds it already.
unsafe impl critical_section::Impl for Auditor {
    unsafe fn acquire() -> bool {
        assert!(!IN_AUDIO_PATH.get(), "I5: the audio path entered a critical section");
        if INSIDE.replace(true) {
            return true;
        }
        HELD.set(Some(LOCK.lock().unwrap_or_else(PoisonError::into_inner)));
        false
    }

    unsafe fn release(within_another: bool) {
        if !within_another {
            INSIDE.set(false);
            drop(HELD.take());
        }
    }
}

#[cfg(test)]
critical_section::set_impl!(Auditor);

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic::catch_unwind;

    #[test]
    fn critical_sections_are_allowed_everywhere_but_in_the_audio_path() {
        assert_eq!(critical_section::with(|_| critical_section::with(|_| 1)), 1);
        let audited = catch_unwind(|| audio_path(|| critical_section::with(|_| 2)));
        let words = audited.unwrap_err();
        assert_eq!(words.downcast_ref(), Some(&"I5: the audio path entered a critical section"));
        assert_eq!(critical_section::with(|_| 3), 3, "what was audited left nothing behind");
    }

    #[test]
    fn one_thread_at_a_time() {
        static COUNT: critical_section::Mutex<Cell<u32>> = critical_section::Mutex::new(Cell::new(0));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..5_000 {
                        critical_section::with(|cs| COUNT.borrow(cs).set(COUNT.borrow(cs).get() + 1));
                    }
                });
            }
        });
        assert_eq!(critical_section::with(|cs| COUNT.borrow(cs).get()), 20_000);
    }
}
