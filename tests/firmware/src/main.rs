//! Tests of the core on a microcontroller: real interrupts, no operating system, no allocator.
//!
//! Each test is a function that panics when something is wrong. What is said goes out as `defmt` frames through
//! semihosting; the test `on_target` of the workspace decodes it and compares the names. Lines begin with `passed`,
//! `failed`, `figure` or `done`. The program ends the emulator itself, with success only after all tests.
#![no_std]
#![no_main]

mod board;
mod cycle;
mod mechanism;
mod policy;
mod toy;

use core::cell::Cell;
use core::panic::PanicInfo;
use critical_section::Mutex;
use defmt_semihosting as _;
use semihosting::process::exit;

/// The name of a test, and the test.
type Test = (&'static str, fn());

/// A list of tests, each under the name of its function.
macro_rules! tests {
    ($($module:ident :: $name:ident,)*) => {
        &[$((stringify!($name), $module::$name),)*]
    };
}

const TESTS: &[Test] = tests![
    mechanism::a_pool_lends_every_slot_once_and_says_when_it_is_empty,
    mechanism::a_slot_comes_back_when_its_last_holder_lets_go,
    mechanism::an_interrupt_and_the_program_never_hold_the_same_slot,
    mechanism::the_newest_value_of_an_interrupt_is_read_whole,
    mechanism::every_kind_of_message_survives_the_wire_cut_anywhere,
    mechanism::greetings_and_refusals_survive_the_wire,
    mechanism::what_is_wrong_with_a_message_is_named,
    policy::packets_come_out_in_stream_order_and_only_once,
    policy::a_full_store_gives_up_its_oldest,
    policy::delay_that_nobody_needs_is_gone_in_ten_seconds,
    policy::a_late_packet_raises_the_goal_and_quiet_brings_it_back,
    policy::every_one_of_the_six_numbers_moves,
    cycle::what_is_captured_is_heard_sample_for_sample,
    cycle::a_lost_packet_is_made_up_for_and_nothing_else_changes,
    cycle::xruns_and_mute_leave_stream_time_on_its_grid,
    cycle::a_starved_pool_drops_frames_and_comes_back,
];

static RUNNING: Mutex<Cell<&str>> = Mutex::new(Cell::new("nothing"));

#[cortex_m_rt::entry]
fn main() -> ! {
    for (name, test) in TESTS {
        critical_section::with(|token| RUNNING.borrow(token).set(name));
        let ((), bytes) = board::stack_used_by(test);
        defmt::println!("passed {=str} (stack {=u32} bytes)", name, bytes);
    }
    cycle::print_sizes();
    policy::print_costs();
    defmt::println!("done {=usize}", TESTS.len());
    exit(0)
}

#[panic_handler]
fn on_panic(info: &PanicInfo<'_>) -> ! {
    cortex_m::interrupt::disable();
    let name = critical_section::with(|token| RUNNING.borrow(token).get());
    defmt::error!("failed {=str}: {}", name, defmt::Display2Format(info));
    exit(1)
}

/// A fault of the processor: an address that does not exist, or code that is none.
#[cortex_m_rt::exception]
unsafe fn HardFault(frame: &cortex_m_rt::ExceptionFrame) -> ! {
    panic!("hard fault at {:#010x}", frame.pc());
}
