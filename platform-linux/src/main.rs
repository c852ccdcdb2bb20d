//! The `soundpost` program.

fn main() -> std::process::ExitCode {
    soundpost_linux::cli::main()
}
