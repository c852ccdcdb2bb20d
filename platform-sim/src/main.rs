//! The `soundpost-sim` program.

// An audio path that enters a critical section ends the run.
critical_section::set_impl!(soundpost_sim::audit::Auditor);

fn main() -> std::process::ExitCode {
    soundpost_sim::cli::main()
}
