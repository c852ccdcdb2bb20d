//! Counts what an audio thread must not do: calls of the heap, and of locks.
//!
//! This program *defines* `malloc`, `pthread_mutex_lock` and their kin, and hands each call on to the C library after
//! counting it. A program's own definitions come before those of its libraries, so that everything in it is counted:
//! Rust's `Box` and `Vec`, whose allocator calls `malloc`, libopus, which is linked into it, and every shared
//! library. Only what the calling thread does inside [`counted`] counts. (glibc alone: it has second names for its
//! heap that can be handed on to, and `dlsym` for the rest.)
//!
//! One thing is not seen: a lock of Rust's standard library that nobody else holds is one compare-and-swap and calls
//! nothing. When it has to wait it makes the system call `futex`, and that counts. The core has no standard library,
//! and C has no such locks.

use std::cell::Cell;
use std::ffi::{CStr, c_char, c_int, c_long, c_void};
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

/// What a thread did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Calls that take memory from the heap or give it back.
    pub(crate) heap: u64,
    /// Calls that take a lock or wait for one.
    pub(crate) locks: u64,
}

thread_local! {
    // Without destructors: such variables are part of a thread from its start and cost no call.
    static ARMED: Cell<bool> = const { Cell::new(false) };
    static COUNTS: Cell<Counts> = const { Cell::new(Counts { heap: 0, locks: 0 }) };
}

/// Does `work` and says what it did.
pub(crate) fn counted<R>(work: impl FnOnce() -> R) -> (R, Counts) {
    COUNTS.set(Counts::default());
    ARMED.set(true);
    let result = work();
    ARMED.set(false);
    (result, COUNTS.get())
}

fn the_heap() {
    if ARMED.get() {
        let counts = COUNTS.get();
        COUNTS.set(Counts { heap: counts.heap + 1, ..counts });
    }
}

fn a_lock() {
    if ARMED.get() {
        let counts = COUNTS.get();
        COUNTS.set(Counts { locks: counts.locks + 1, ..counts });
    }
}

/// The function that would have been called without this program's own of that name.
fn next(known: &AtomicPtr<c_void>, name: &CStr) -> *mut c_void {
    let function = known.load(Ordering::Acquire);
    if !function.is_null() {
        return function;
    }
    // SAFETY: a string that ends with a zero; the answer is an address or nothing.
    let function = unsafe { libc::dlsym(libc::RTLD_NEXT, name.as_ptr()) };
    assert!(!function.is_null(), "no {name:?}");
    known.store(function, Ordering::Release);
    function
}

/// Defines a C function that counts with `$count` and calls the next one of its name.
macro_rules! hand_on {
    ($count:ident: $(fn $name:ident($($argument:ident: $kind:ty),*) -> $result:ty;)*) => {
        $(
            #[unsafe(no_mangle)]
            unsafe extern "C" fn $name($($argument: $kind),*) -> $result {
                static NEXT: AtomicPtr<c_void> = AtomicPtr::new(ptr::null_mut());
                const NAME: &CStr = match CStr::from_bytes_with_nul(concat!(stringify!($name), "\0").as_bytes()) {
                    Ok(name) => name,
                    Err(_) => panic!(),
                };
                $count();
                // SAFETY: the C library's function of that name has this signature; the caller's promises are its.
                unsafe {
                    let next: unsafe extern "C" fn($($kind),*) -> $result = core::mem::transmute(next(&NEXT, NAME));
                    next($($argument),*)
                }
            }
        )*
    };
}

type Pointer = *mut c_void;

hand_on! { a_lock:
    fn pthread_mutex_lock(mutex: Pointer) -> c_int;
    fn pthread_mutex_trylock(mutex: Pointer) -> c_int;
    fn pthread_mutex_timedlock(mutex: Pointer, until: Pointer) -> c_int;
    fn pthread_rwlock_rdlock(lock: Pointer) -> c_int;
    fn pthread_rwlock_wrlock(lock: Pointer) -> c_int;
    fn pthread_spin_lock(lock: Pointer) -> c_int;
    fn pthread_cond_wait(condition: Pointer, mutex: Pointer) -> c_int;
    fn pthread_cond_timedwait(condition: Pointer, mutex: Pointer, until: Pointer) -> c_int;
    fn sem_wait(semaphore: Pointer) -> c_int;
}

// The heap under glibc's second names: `dlsym` may itself want memory.
unsafe extern "C" {
    fn __libc_malloc(size: usize) -> Pointer;
    fn __libc_calloc(count: usize, size: usize) -> Pointer;
    fn __libc_realloc(old: Pointer, size: usize) -> Pointer;
    fn __libc_memalign(align: usize, size: usize) -> Pointer;
    fn __libc_free(old: Pointer);
}

#[unsafe(no_mangle)]
unsafe extern "C" fn malloc(size: usize) -> Pointer {
    the_heap();
    // SAFETY: as the caller promises; so in all the following.
    unsafe { __libc_malloc(size) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn calloc(count: usize, size: usize) -> Pointer {
    the_heap();
    // SAFETY: see `malloc`.
    unsafe { __libc_calloc(count, size) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn realloc(old: Pointer, size: usize) -> Pointer {
    the_heap();
    // SAFETY: see `malloc`.
    unsafe { __libc_realloc(old, size) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn memalign(align: usize, size: usize) -> Pointer {
    the_heap();
    // SAFETY: see `malloc`.
    unsafe { __libc_memalign(align, size) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn aligned_alloc(align: usize, size: usize) -> Pointer {
    the_heap();
    // SAFETY: see `malloc`.
    unsafe { __libc_memalign(align, size) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn posix_memalign(made: *mut Pointer, align: usize, size: usize) -> c_int {
    the_heap();
    // SAFETY: see `malloc`.
    let new = unsafe { __libc_memalign(align, size) };
    if new.is_null() {
        return libc::ENOMEM;
    }
    // SAFETY: the caller's room for the answer.
    unsafe { *made = new };
    0
}

#[unsafe(no_mangle)]
unsafe extern "C" fn free(old: Pointer) {
    if !old.is_null() {
        the_heap();
    }
    // SAFETY: see `malloc`.
    unsafe { __libc_free(old) }
}

/// The C function takes as many arguments as the call has; on 64-bit Linux handing on all six there can be is the same.
#[unsafe(no_mangle)]
unsafe extern "C" fn syscall(
    number: c_long,
    a: c_long,
    b: c_long,
    c: c_long,
    d: c_long,
    e: c_long,
    f: c_long,
) -> c_long {
    static NEXT: AtomicPtr<c_void> = AtomicPtr::new(ptr::null_mut());
    if number == libc::SYS_futex {
        a_lock();
    }
    // SAFETY: the C library's `syscall`, with the arguments that this one was given.
    unsafe {
        let next: unsafe extern "C" fn(c_long, ...) -> c_long = core::mem::transmute(next(&NEXT, c"syscall"));
        next(number, a, b, c, d, e, f)
    }
}

/// Calls the C library as a C program would: memory that is not Rust's.
pub(crate) fn duplicate_as_c_does(text: &CStr) {
    unsafe extern "C" {
        fn strdup(text: *const c_char) -> *mut c_char;
    }
    // SAFETY: a string that ends with a zero; what is made of it is given back to where it came from.
    unsafe { libc::free(strdup(text.as_ptr()).cast()) };
}
