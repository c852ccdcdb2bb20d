//! Log lines of the core: what rarely happens and somebody may want to know about.
//!
//! With the feature `defmt` a line costs the audio thread a few bytes in a buffer: words are put together elsewhere.
//! With `tracing` it is an event for whoever subscribed, who formats it there and then: for the simulator and for
//! tests, never for a program with a deadline. With neither a line is nothing at all. Reports count; a line is there
//! only for what a count does not tell.

/// Hands a line of some level on to whoever takes it.
macro_rules! line {
    ($level:ident, $words:literal $(, $value:expr)* $(,)?) => {{
        #[cfg(feature = "defmt")]
        defmt::$level!($words $(, $value)*);
        #[cfg(all(feature = "tracing", not(feature = "defmt")))]
        tracing::$level!($words $(, $value)*);
        #[cfg(not(any(feature = "defmt", feature = "tracing")))]
        let _ = ($(&$value,)*);
    }};
}

/// Something is wrong, and the core carries on.
macro_rules! warn_line {
    ($($line:tt)*) => { $crate::fmt::line!(warn, $($line)*) };
}

/// Something happens, for who looks closely.
macro_rules! debug_line {
    ($($line:tt)*) => { $crate::fmt::line!(debug, $($line)*) };
}

// (Not plain `warn`: that is the name of an attribute.)
pub(crate) use {debug_line, line, warn_line};
