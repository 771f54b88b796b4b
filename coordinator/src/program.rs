//! The program: arguments in, exit code out.

use std::ffi::OsString;
use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser as _;
use serde_json::json;
use tokio::sync::broadcast::error::RecvError;

use crate::cli::{Cli, Command, Serve};
use crate::config::Config;
use crate::coordinator::Coordinator;
use crate::event::Event;
use crate::failure::{Exit, Failure};
use crate::setup::{self, Answer};
use crate::{shutdown, status};

/// Runs `covey-coordinator` with these arguments, the first being the program's name.
pub fn main(args: impl Iterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are answers; printing them can only fail when nobody reads.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let filter = tracing_subscriber::EnvFilter::try_from_env("COVEY_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn"));
    // Fails only when the program is embedded and the other has set one up.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .without_time()
        .try_init();
    match run(&cli) {
        Ok(answer) => {
            if let Some(answer) = answer {
                say(&answer, cli.json);
            }
            ExitCode::SUCCESS
        }
        Err(failure) => {
            failure.report(cli.json);
            ExitCode::from(failure.exit as u8)
        }
    }
}

fn run(cli: &Cli) -> Result<Option<Answer>, Failure> {
    match &cli.command {
        Command::Init(options) => setup::init(options).map(Some),
        Command::Enrol(options) => setup::enrol(options).map(Some),
        Command::Status(options) => {
            let config = Config::load(&options.config)?;
            runtime()?.block_on(status::status(&config)).map(Some)
        }
        Command::Serve(options) => {
            let runtime = runtime()?;
            let served = runtime.block_on(serve(cli, options));
            // A worker that still adds up has been told that nobody wants the result.
            runtime.shutdown_timeout(Duration::from_secs(1));
            served.map(|()| None)
        }
    }
}

fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    let built = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    built.map_err(|error| Failure::new(Exit::Failed, "NO_THREADS", error))
}

fn say(answer: &Answer, json: bool) {
    let mut stdout = std::io::stdout();
    // A reader that has gone away has no use for the answer.
    let _ = if json {
        let line = json!({ "schema_version": 1, "status": "ok", "data": answer.data });
        writeln!(stdout, "{line}")
    } else {
        writeln!(stdout, "{}", answer.text)
    };
}

async fn serve(cli: &Cli, options: &Serve) -> Result<(), Failure> {
    let config = Config::load(&options.config)?;
    let mut running = Coordinator::start(config).await?;
    tokio::spawn(shutdown::listen(running.stopper()));
    let (json, quiet) = (cli.json, cli.quiet);
    loop {
        match running.next_event().await {
            Ok(event) => print(&event, json, quiet),
            Err(RecvError::Lagged(lost)) => tracing::warn!(lost, "events were not printed"),
            Err(RecvError::Closed) => break,
        }
    }
    let finished = Event::Finished(running.finished().await?);
    if json {
        print(&finished, true, quiet);
    } else {
        let _ = writeln!(std::io::stdout(), "{finished}");
    }
    Ok(())
}

/// One event: a line for programs on stdout, or one for people on stderr.
fn print(event: &Event, json: bool, quiet: bool) {
    // A reader that has gone away must not stop the run.
    if json {
        let _ = writeln!(std::io::stdout(), "{}", event.to_json());
    } else if !quiet {
        let _ = writeln!(std::io::stderr(), "{event}");
    }
}
