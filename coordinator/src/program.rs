//! The program: arguments in, exit code out.

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser as _;
use covey_aggregation::program::answer::{note, print_line};
use covey_aggregation::program::service::{Place, Program};
use covey_aggregation::program::{Exit, Failure, Format, Stop};
use serde_json::json;
use tokio::sync::broadcast::error::RecvError;

use crate::backup;
use crate::cli::{self, Cli, Command};
use crate::config::Config;
use crate::coordinator::Coordinator;
use crate::doctor;
use crate::event::{Event, SCHEMA_VERSION};
use crate::ledger::export;
use crate::migrate;
use crate::office;
use crate::page;
use crate::payout;
use crate::published;
use crate::restore::{self, Restore};
use crate::setup::{self, Answer};
use crate::status;
use crate::telemetry::Telemetry;

/// Runs `covey-coordinator` with these arguments, the first being the program's name.
pub fn main(args: impl Iterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(message) => {
            // Help and version come this way too, and go to stdout. Nowhere to print is no error.
            let _ = message.print();
            let exit = if message.use_stderr() { Exit::BadInput } else { Exit::Done };
            return exit.into();
        }
    };
    let format = Format::json(cli.json);
    let serves = matches!(cli.command, Command::Serve(_));
    let done = Telemetry::start(serves).and_then(|telemetry| {
        let done = run(&cli, format);
        telemetry.finish();
        done
    });
    let exit = match done {
        Ok(exit) => exit,
        Err(failure) if cli.json && serves => {
            print_line(&last_line(&failure));
            failure.exit
        }
        Err(failure) => format.fail(&failure),
    };
    exit.into()
}

/// The last line of a stream of events that ends with a failure.
fn last_line(failure: &Failure) -> String {
    let Failure { code, message, help, .. } = failure;
    json!({
        "schema_version": SCHEMA_VERSION,
        "status": "error",
        "terminal": true,
        "error": { "code": code, "message": message, "hint": help },
    })
    .to_string()
}

/// For systemd. Draining ends the round at hand.
const PROGRAM: Program<'_> = Program {
    name: "covey-coordinator",
    verb: "serve",
    description: "Covey: the untrusted middle of a federation",
    config: setup::CONFIG_FILE,
    drain_seconds: 300,
};

fn place(config: &Path) -> Result<Place, Failure> {
    let Config { member_dir, state_dir, .. } = Config::load(config)?;
    Ok(Place { folder: member_dir, state: state_dir, uses_gpu: false })
}

fn run(cli: &Cli, format: Format) -> Result<Exit, Failure> {
    let answer = |Answer { text, data }| {
        format.answer(&text, &data);
        Exit::Done
    };
    match &cli.command {
        Command::Invite(command) => {
            let databases = cli.databases()?;
            runtime()?.block_on(office::invite(command, databases)).map(answer)
        }
        Command::Member(command) => {
            let databases = cli.databases()?;
            runtime()?.block_on(office::member(command, databases)).map(answer)
        }
        Command::Init(options) => setup::init(options).map(answer),
        Command::Enrol(options) => setup::enrol(options).map(answer),
        Command::Doctor(options) => {
            let diagnosis = doctor::examine_with(&options.config, cli.databases()?);
            format.answer(&diagnosis, &diagnosis);
            Ok(diagnosis.exit())
        }
        Command::Service(command) => {
            let installed = command.carry_out(&PROGRAM, place)?;
            format.answer(&installed, &installed);
            Ok(Exit::Done)
        }
        Command::Published(cli::Published::Fetch(options)) => {
            let config = load(cli, &options.config)?;
            runtime()?.block_on(published::fetch_by(options, &config)).map(answer)
        }
        Command::Ledger(cli::Ledger::Export(options)) => {
            export::export(options, &load(cli, &options.config)?).map(answer)
        }
        Command::Payout(command) => {
            let config = load(cli, command.config())?;
            runtime()?.block_on(payout::payout(command, &config)).map(answer)
        }
        Command::Status(options) => {
            let config = load(cli, &options.config)?;
            runtime()?.block_on(status::status(&config)).map(answer)
        }
        Command::Backup(options) => {
            let config = load(cli, &options.config)?;
            let taken = backup::backup(&config, &options.to, &options.key);
            runtime()?.block_on(taken).map(answer)
        }
        Command::Restore(options) => {
            let options = Restore {
                from: &options.from,
                key: &options.key,
                dir: options.dir.as_deref(),
                state_dir: options.state_dir.as_deref(),
                databases: cli.databases()?,
                verify: options.verify,
            };
            restore::check_asked(&options)?;
            runtime()?.block_on(restore::restore(options)).map(answer)
        }
        Command::Migrate(options) => {
            let config = load(cli, &options.config)?;
            runtime()?.block_on(migrate::migrate(&config, options.dry_run)).map(answer)
        }
        Command::Page(options) => {
            let config = load(cli, &options.config)?;
            let address = options.listen.or(config.page).ok_or_else(|| {
                Failure::new(Exit::BadInput, "NO_ADDRESS", "no address to serve the page at")
                    .with_help("give one: --listen 127.0.0.1:8443, or page = ... in the settings")
            })?;
            runtime()?.block_on(async {
                let stop = Stop::on_signals();
                let stop = stop.map_err(|error| Failure::new(Exit::Failed, "NO_SIGNALS", error))?;
                page::serve(&config, address, stop).await
            })?;
            Ok(Exit::Done)
        }
        Command::Serve(options) => {
            let config = Config { asked: options.asked(), ..load(cli, &options.config)? };
            let runtime = runtime()?;
            let served = runtime.block_on(serve(cli, config));
            // A worker that still adds up has been told that nobody wants the result.
            runtime.shutdown_timeout(Duration::from_secs(1));
            served.map(|()| Exit::Done)
        }
    }
}

/// The settings, with what was typed beside them.
fn load(cli: &Cli, path: &Path) -> Result<Config, Failure> {
    let mut config = Config::load(path)?;
    if let Some(databases) = cli.databases()? {
        config.databases = databases;
    }
    Ok(config)
}

fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    let built = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    built.map_err(|error| Failure::new(Exit::Failed, "NO_THREADS", error))
}

async fn serve(cli: &Cli, config: Config) -> Result<(), Failure> {
    let no_signals = |error: std::io::Error| Failure::new(Exit::Failed, "NO_SIGNALS", error);
    let stop = Stop::on_signals().map_err(no_signals)?;
    let mut halt = stop.clone();
    let mut drain = stop.clone();
    tokio::spawn(async move {
        drain.draining().await;
        note("finishing the step at hand; asked once more, it stops at once");
    });
    tokio::select! {
        signal = halt.halted() => {
            Err(Failure::new(signal.into(), "STOPPED", "stopped at once; serving again goes on"))
        }
        served = carry_out(cli, config, stop) => served,
    }
}

async fn carry_out(cli: &Cli, config: Config, stop: Stop) -> Result<(), Failure> {
    let mut running = Coordinator::start(config, stop).await?;
    if let Some(address) = running.admin_address()
        && !cli.quiet
    {
        note(format!("health and metrics at http://{address}/readyz and /metrics"));
    }
    if let Some(address) = running.page_address()
        && !cli.quiet
    {
        note(format!("the page is at http://{address}/"));
    }
    loop {
        match running.next_event().await {
            Ok(event) => say(&event, cli),
            Err(RecvError::Lagged(lost)) => tracing::warn!(lost, "events were not printed"),
            Err(RecvError::Closed) => break,
        }
    }
    let finished = Event::Finished(running.finished().await?);
    // The answer: on stdout in either form.
    print_line(&if cli.json { finished.to_json() } else { finished.to_string() });
    Ok(())
}

/// One event: a line for programs on stdout, or one for people on stderr.
fn say(event: &Event, cli: &Cli) {
    if cli.json {
        print_line(&event.to_json());
    } else if !cli.quiet {
        note(event);
    }
}
