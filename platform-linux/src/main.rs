//! The `soundpost` program.

// There can be only one in a program, so no library of this workspace sets it.
critical_section::set_impl!(soundpost_linux::cs::PriorityInheriting);

fn main() -> std::process::ExitCode {
    soundpost_linux::cli::main()
}
