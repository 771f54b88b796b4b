//! The key holder of a federation, and the check that anybody can run on what was published.
//! Needs no data, no model, no database server; the other programs run without it only in that
//! nothing can be opened then.
//!
//! - [`init`]: a holder's keys are born
//! - [`config`]: the file `holder.toml`
//! - [`approvals`]: what the person says of who comes and goes
//! - [`serve`]: the key holder at work
//! - [`doctor`]: what a person would have to put right before it serves
//! - [`status`]: what is stored, and whether it is running
//! - [`verify`]: everything published, computed again
//!
//! The program is [`main`]; the binary only calls it, and so may a wrapper.

pub mod approvals;
mod arguments;
pub mod config;
mod directing;
pub mod doctor;
mod forks;
pub mod init;
mod rereads;
pub mod sealing;
pub mod serve;
pub mod status;
pub mod verify;
mod witnessing;

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser as _;
use covey_aggregation::net::TransportChoice;
use covey_aggregation::program::answer::{Failure, Format, note};
use covey_aggregation::program::joining::{Joined, read_invite_of};
use covey_aggregation::program::service::{Place, Program};
use covey_aggregation::program::{Exit, Stop};
use covey_ledger::desk::{Desk, carry_out};

use arguments::{Arguments, Command, MembersCommand, Said};

/// Runs the program with these arguments (the first is its own name).
pub fn main(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(message) => {
            // Help and version come this way too, and go to stdout. Nowhere to print is no error.
            let _ = message.print();
            let exit = if message.use_stderr() { Exit::BadInput } else { Exit::Done };
            return exit.into();
        }
    };
    let format = Format::json(arguments.json);
    run(arguments, format).unwrap_or_else(|failure| format.fail(&failure)).into()
}

fn run(arguments: Arguments, format: Format) -> Result<Exit, Failure> {
    match arguments.command {
        Command::Init { name, dir, coordinator } => {
            let enrolment = init::init(&dir, name, &coordinator)?;
            format.answer(&enrolment, &enrolment);
            Ok(Exit::Done)
        }
        Command::Join { invite, dir, transport, timeout_s } => {
            let joined = join(&invite, &dir, (transport, Duration::from_secs(timeout_s)))?;
            format.answer(&joined, &joined);
            Ok(Exit::Done)
        }
        Command::Members(MembersCommand::List { config }) => {
            let waiting = approvals::waiting(&config::Config::read(&config)?)?;
            format.answer(&waiting, &waiting);
            Ok(Exit::Done)
        }
        Command::Members(MembersCommand::Approve(Said { digest, config })) => {
            say(&config, &digest, true, format)
        }
        Command::Members(MembersCommand::Deny(Said { digest, config })) => {
            say(&config, &digest, false, format)
        }
        Command::Serve { config, accept_loss } => {
            let mut config = config::Config::read(&config)?;
            config.accept_loss = accept_loss;
            serve_until_stopped(&config)
        }
        Command::Status { config } => {
            let status = status::Status::read(&config::Config::read(&config)?)?;
            format.answer(&status, &status);
            Ok(Exit::Done)
        }
        Command::Doctor { config } => {
            let diagnosis = doctor::examine(&config)?;
            format.answer(&diagnosis, &diagnosis);
            Ok(diagnosis.exit())
        }
        Command::Service(command) => {
            let installed = command.carry_out(&PROGRAM, place)?;
            format.answer(&installed, &installed);
            Ok(Exit::Done)
        }
        Command::Verify { dir, roster } => {
            let report = verify::verify_folder(&dir, &roster, |progress| note(progress))?;
            format.answer(&report, &report);
            Ok(if report.is_verified { Exit::Done } else { Exit::Unverified })
        }
        Command::Desk(command) => carry_out(&command, &Desk::new(&[config::CONFIG_FILE]), format),
    }
}

fn say(config: &Path, digest: &str, is_approved: bool, format: Format) -> Result<Exit, Failure> {
    let asked = approvals::say(&config::Config::read(config)?, digest, is_approved)?;
    let text = format!("roster {} ({}): {}", asked.number, asked.digest, asked.said);
    format.answer(&text, &asked);
    Ok(Exit::Done)
}

fn join(invite: &str, folder: &Path, how: (TransportChoice, Duration)) -> Result<Joined, Failure> {
    let roles = [covey_aggregation::party::Role::Holder];
    let invite = read_invite_of(invite, &roles, "covey-client")?;
    runtime()?.block_on(init::join(&invite, folder, how, &mut |progress| note(progress)))
}

fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Exit::Failed, "RUNTIME", error))
}

/// For systemd. Draining takes two minutes at most.
const PROGRAM: Program<'_> = Program {
    name: "covey-committee",
    verb: "serve",
    description: "Covey: key holder of a federation",
    config: config::CONFIG_FILE,
    drain_seconds: 150,
};

fn place(config: &Path) -> Result<Place, Failure> {
    let config::Config { folder, state, .. } = config::Config::read(config)?;
    Ok(Place { folder, state, uses_gpu: false })
}

fn serve_until_stopped(config: &config::Config) -> Result<Exit, Failure> {
    let failed = |error: std::io::Error| Failure::new(Exit::Failed, "RUNTIME", error);
    runtime()?.block_on(async {
        let stop = Stop::on_signals().map_err(failed)?;
        let signal = serve::serve(config, stop, &mut |event| note(event)).await?;
        Ok(signal.into())
    })
}
