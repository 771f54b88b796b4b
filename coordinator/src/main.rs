//! The program; everything is in the library, so that others can start it too.

fn main() -> std::process::ExitCode {
    covey_coordinator::main(std::env::args_os())
}
