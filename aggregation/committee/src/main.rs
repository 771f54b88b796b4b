//! The program `covey-committee`.

use std::process::ExitCode;

fn main() -> ExitCode {
    covey_committee::main(std::env::args_os())
}
