//! Whether a coordinator's memory stays flat while contributions come, and how fast they do.
//! `cargo run --release --bin load`: 1,000 contributions of 1 MB each in a round, in two minutes.
//!
//! A coordinator with its real storage runs as a process of its own. Data owners, each with a key, a
//! certificate, a link over QUIC and the real machine of a client, and the four real key holders, all in
//! this program, do two rounds of a plan with it. Owners seal first, into files; then all send at once, as
//! many at a time as the coordinator takes (`limits.uploads_max`, 64). Both share this machine's
//! processors. Beside it stands a plain process that takes as many bytes over plain TCP into files, each
//! synced to the disk before it is answered, and the disk alone.
//!
//! `--owners N`: so many instead. `--parameters N`: of the model (that of 1 MB if not given).
//! `--json`: one object per figure.

mod disk;
mod federation;
mod owner;
mod round;
mod sampling;

use std::process::ExitCode;
use std::time::Duration;

use covey_benches::crowd::coordinate;
use covey_benches::{Conditions, Figure, Process, Report, number};
use serde::Serialize;

use federation::Federation;
use round::Round;

const OWNERS: usize = 1_000;

/// In the first one every link is used for the first time, which takes memory for each; the second one
/// shows what contributions take.
const ROUNDS: u32 = 2;

/// What stands beside it is measured so often, and the best counts.
const REPEATS: usize = 3;

/// Parameters of the model; their sealed update takes about 1 MB with a cohort of 1,000.
const PARAMETERS: usize = 266_000;

/// Argument of a coordinator's process; its settings follow.
const COORDINATOR: &str = "--coordinator";

/// Argument of a plain process; the folder that it writes to follows.
const PLAIN: &str = "--plain";

/// What `--help` says.
const HELP: &str = "How a coordinator bears large rounds: memory, bytes in a second, time.

Usage: load [--owners N] [--parameters N] [--json]

  --owners N      data owners, of each one contribution (1000)
  --parameters N  parameters of the model (266000: a contribution of about 1 MB)
  --json          one JSON object for each figure";

/// Longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(3600);

/// Under which terms a figure was taken.
#[derive(Clone, Serialize)]
struct Terms {
    #[serde(skip)]
    text: String,
    owners: usize,
    contribution_bytes: u64,
    round: u32,
    cores: usize,
}

impl Conditions for Terms {
    fn text(&self) -> &str {
        &self.text
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let done = match arguments.first().map(String::as_str) {
        Some(COORDINATOR) => coordinate(arguments.get(1)),
        Some(PLAIN) => disk::take_plainly(arguments.get(1)),
        _ if arguments.iter().any(|argument| argument == "--help") => {
            println!("{HELP}");
            Ok(())
        }
        _ => measure(&arguments),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(what) => {
            eprintln!("load: {what}");
            ExitCode::FAILURE
        }
    }
}

fn measure(arguments: &[String]) -> Result<(), String> {
    let report = Report::from_arguments();
    let owners = number(arguments, "--owners")?.unwrap_or(OWNERS);
    let parameters = number(arguments, "--parameters")?.unwrap_or(PARAMETERS);
    let runtime = tokio::runtime::Runtime::new().map_err(|error| error.to_string())?;
    report.note(&format!("{owners} data owners are enrolled, seal, and send; {ROUNDS} rounds"));
    let federation = Federation::found(owners, parameters)?;
    let coordinator = Process::start(&[COORDINATOR, &federation.crowd.config()])?;
    let alone = coordinator.resident_bytes()?;
    let members = runtime.block_on(federation.start(coordinator.address))?;
    let mut rounds = Vec::new();
    for round in 1..=ROUNDS {
        rounds.push(runtime.block_on(Round::of(round, &members, &coordinator))?);
    }
    let peak = coordinator.peak_bytes()?;
    drop((members, coordinator));
    let bytes = rounds.first().map_or(0, |round| round.sealed.contribution_bytes);
    report.note("the same bytes into files alone, and over plain TCP into files");
    let (limit, plain) = disk::best_of(REPEATS, federation.crowd.folder(), owners, bytes)?;
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    for (number, round) in (1..).zip(&rounds) {
        let text = format!("{owners} owners, {:.2} MB each, round {number}", bytes as f64 / 1e6);
        let terms = Terms { text, owners, contribution_bytes: bytes, round: number, cores };
        round.report(&report, &terms, (&plain, limit));
    }
    let text = format!("{owners} owners, {:.2} MB each", bytes as f64 / 1e6);
    let terms = Terms { text, owners, contribution_bytes: bytes, round: ROUNDS, cores };
    let figure = |name, bytes: u64| Figure::new(name, &terms, bytes as f64 / 1e6, "MB resident");
    report.figure(&figure("load.alone", alone));
    report.figure(&figure("load.peak", peak));
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use covey_aggregation::program::Stop;
    use covey_coordinator::Coordinator;
    use covey_coordinator::config::Config;
    use covey_coordinator::event::Event;

    use super::*;

    #[test]
    fn a_few_owners_are_counted_in_every_round() {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let federation = Federation::found(4, 2_000).expect("enrolled");
        let config = Config::load(Path::new(&federation.crowd.config())).expect("valid");
        let (_stopper, stop) = Stop::manual();
        runtime.block_on(async {
            let mut running = Coordinator::start(config, stop).await.expect("it serves");
            let members = federation.start(running.address()).await.expect("linked");
            for round in 1..=ROUNDS {
                let sealed = members.sealed(round, Duration::from_secs(60)).await.expect("sealed");
                assert!(sealed.contribution_bytes > 2_000, "{}", sealed.contribution_bytes);
                members.send(round);
                let counted = loop {
                    match running.next_event().await.expect("it goes on") {
                        Event::Round(summary) => break summary.counted.len(),
                        _ => continue,
                    }
                };
                assert_eq!((counted, members.promised(round)), (4, 4));
            }
        });
    }
}
