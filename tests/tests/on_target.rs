//! The core on microcontrollers: `tests/firmware` on emulated boards.
//!
//! QEMU counts instructions and knows nothing of pipelines or caches: what is compared here is behaviour, and the
//! figures that are printed (`-- --nocapture`) are instructions.

use soundpost_tests::proc::Program;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// Fetching and building everything on a slow machine; the run itself has a deadline of its own.
const DEADLINE: Duration = Duration::from_secs(600);

/// Every test of the firmware: one that is not run any more is missed here.
const TESTS: [&str; 16] = [
    "a_pool_lends_every_slot_once_and_says_when_it_is_empty",
    "a_slot_comes_back_when_its_last_holder_lets_go",
    "an_interrupt_and_the_program_never_hold_the_same_slot",
    "the_newest_value_of_an_interrupt_is_read_whole",
    "every_kind_of_message_survives_the_wire_cut_anywhere",
    "greetings_and_refusals_survive_the_wire",
    "what_is_wrong_with_a_message_is_named",
    "packets_come_out_in_stream_order_and_only_once",
    "a_full_store_gives_up_its_oldest",
    "delay_that_nobody_needs_is_gone_in_ten_seconds",
    "a_late_packet_raises_the_goal_and_quiet_brings_it_back",
    "every_one_of_the_six_numbers_moves",
    "what_is_captured_is_heard_sample_for_sample",
    "a_lost_packet_is_made_up_for_and_nothing_else_changes",
    "xruns_and_mute_leave_stream_time_on_its_grid",
    "a_starved_pool_drops_frames_and_comes_back",
];

/// A target directory of its own, so that this cargo does not wait for the one that runs the tests.
fn target_dir() -> PathBuf {
    let here = std::env::current_exe().expect("this program is a file");
    here.ancestors().nth(3).expect("it lies in a target directory").join("firmware")
}

/// Builds the firmware for `target` in `profile`, runs it on the board that its folder names, and checks that every
/// test passed.
fn all_tests_pass(target: &str, profile: &str) {
    let qemu = Command::new("qemu-system-arm").arg("--version").stdout(Stdio::null()).status();
    assert!(qemu.is_ok(), "qemu-system-arm is missing; on Debian it is in the package qemu-system-arm");
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("firmware"));
    command.args(["run", "--quiet", "--locked", "--target", target, "--profile", profile]);
    command.env("CARGO_TARGET_DIR", target_dir()).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut firmware = Program::start(command);
    let status = firmware.wait_exit(DEADLINE);
    let output = firmware.output();
    assert!(status.success(), "{target}: {status}");
    let passed: Vec<&str> = output.lines().filter_map(|line| line.strip_prefix("passed ")?.split(' ').next()).collect();
    assert_eq!(passed, TESTS);
    assert!(output.lines().any(|line| line == "done 16"), "it ended before its time");
    output.lines().filter(|line| line.starts_with("figure ")).for_each(|line| println!("{target}, {profile}: {line}"));
}

#[test]
fn the_core_passes_its_tests_on_a_cortex_m4_with_every_check_on() {
    all_tests_pass("thumbv7em-none-eabihf", "dev");
}

#[test]
fn the_core_passes_its_tests_on_a_cortex_m4_as_it_is_released() {
    all_tests_pass("thumbv7em-none-eabihf", "release");
}

/// Built for a Cortex-M0, where shared words are changed in critical sections.
#[test]
fn the_core_passes_its_tests_without_compare_and_swap() {
    all_tests_pass("thumbv6m-none-eabi", "dev");
}
