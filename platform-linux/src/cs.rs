//! Critical sections on Linux: one lock that lends its holder the priority of who waits for it.
//!
//! Nothing on an audio thread needs one while its device runs; but when it says that the device is lost, or back, the
//! I/O thread may be just reading, at an ordinary priority. With a plain lock any busy program could then keep the
//! audio thread waiting. A program says that it wants these with
//! `critical_section::set_impl!(soundpost_linux::cs::PriorityInheriting);`.

use std::cell::UnsafeCell;
use std::mem::MaybeUninit;
use std::sync::OnceLock;

/// The implementation to set.
#[derive(Debug)]
pub struct PriorityInheriting;

#[cfg(test)]
critical_section::set_impl!(PriorityInheriting);

/// A lock of the C library, which must not move once it was used: it only exists in a static.
struct Lock(UnsafeCell<libc::pthread_mutex_t>);

// SAFETY: it is what several threads lock, through a pointer, as the C library wants it.
unsafe impl Sync for Lock {}
// SAFETY: it is moved before it is first used, never after.
unsafe impl Send for Lock {}

static LOCK: OnceLock<Lock> = OnceLock::new();

impl Lock {
    /// A lock that its holder may take again. Without inheritance, where a kernel has none.
    fn new() -> Self {
        let mut kind = MaybeUninit::<libc::pthread_mutexattr_t>::uninit();
        let mut lock = UnsafeCell::new(libc::PTHREAD_MUTEX_INITIALIZER);
        let kind = kind.as_mut_ptr();
        // SAFETY: the attributes are initialised before and destroyed after they are used; the lock is not in use.
        unsafe {
            libc::pthread_mutexattr_init(kind);
            libc::pthread_mutexattr_settype(kind, libc::PTHREAD_MUTEX_RECURSIVE);
            libc::pthread_mutexattr_setprotocol(kind, libc::PTHREAD_PRIO_INHERIT);
            if libc::pthread_mutex_init(lock.get_mut(), kind) != 0 {
                libc::pthread_mutexattr_setprotocol(kind, libc::PTHREAD_PRIO_NONE);
                libc::pthread_mutex_init(lock.get_mut(), kind);
            }
            libc::pthread_mutexattr_destroy(kind);
        }
        Self(lock)
    }
}

// SAFETY: between `acquire` and `release` the lock is held by the calling thread, which may take it several times;
// taking and giving it back are an acquire and a release.
unsafe impl critical_section::Impl for PriorityInheriting {
    unsafe fn acquire() -> bool {
        // SAFETY: a recursive lock in a static; it fails only after 2^32 times without a release.
        unsafe { libc::pthread_mutex_lock(LOCK.get_or_init(Lock::new).0.get()) };
        // The lock itself counts how often it was taken.
        false
    }

    unsafe fn release(_state: bool) {
        if let Some(lock) = LOCK.get() {
            // SAFETY: this thread holds it: the caller promises that it came from `acquire`.
            unsafe { libc::pthread_mutex_unlock(lock.0.get()) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    #[test]
    fn one_thread_at_a_time_and_the_same_one_again() {
        static COUNT: critical_section::Mutex<std::cell::Cell<u32>> =
            critical_section::Mutex::new(std::cell::Cell::new(0));
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..5_000 {
                        critical_section::with(|outer| {
                            let before = COUNT.borrow(outer).get();
                            critical_section::with(|inner| COUNT.borrow(inner).set(before + 1));
                        });
                    }
                });
            }
        });
        assert_eq!(critical_section::with(|cs| COUNT.borrow(cs).get()), 20_000);
    }

    #[test]
    fn the_holder_inherits_the_priority_of_who_waits() {
        // The kernel knows the holder of a lock that inherits: the word of the lock is its thread number, which an
        // ordinary lock of glibc's does not hold there.
        let word = || {
            let lock = LOCK.get_or_init(Lock::new).0.get().cast::<libc::pid_t>();
            // SAFETY: the first field of the lock, which lives for ever; read while this thread holds it.
            unsafe { lock.read_volatile() }
        };
        // SAFETY: no argument, no memory.
        let thread = unsafe { libc::gettid() };
        if cfg!(target_env = "gnu") {
            assert_eq!(critical_section::with(|_| word()) & 0x3fff_ffff, thread);
        }
    }
}
