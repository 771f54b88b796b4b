//! The program `covey-client`.

use std::process::ExitCode;

fn main() -> ExitCode {
    covey_client::main(std::env::args_os())
}
