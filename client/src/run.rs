//! Runs on a live coordinator: what a researcher has done, sees, and takes away.
//!
//! - [`config`](self): `researcher.toml`
//! - [`talk`](self): one link to the coordinator, one request after the other
//! - [`view`](self): how runs and rounds are shown, to people and to programs
//! - [`submit`](self): a plan becomes a run; [`follow`](self): watch and wait
//! - [`compare`](self): two runs side by side; [`fetch`](self): what a run published

mod compare;
mod config;
mod fetch;
mod follow;
mod submit;
mod talk;
mod view;

use std::fmt;
use std::path::Path;

use covey_aggregation::party::Name;
use covey_aggregation::program::{Exit, Failure, Format, Stop};
use covey_aggregation::research::{FromResearcher, Order, ToResearcher};
use serde::Serialize;

use crate::arguments::{Export, LiveCommand, RunCommand};
use crate::export;

pub use config::{CONFIG_FILE, Config};
pub use view::{RoundView, RunView};

use talk::{Talk, out_of_turn};

/// Carries one command out.
pub(crate) fn carry_out(command: RunCommand, format: Format) -> Result<Exit, Failure> {
    match command {
        RunCommand::Live(command) => runtime()?.block_on(live(command, format)),
        RunCommand::Export(wanted) => take_away(wanted, format).map(|()| Exit::Done),
    }
}

/// These commands wait, and compute nothing.
fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    let built = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    built.map_err(|error| Failure::new(Exit::Failed, "RUNTIME", error))
}

async fn live(command: LiveCommand, format: Format) -> Result<Exit, Failure> {
    match command {
        LiveCommand::Submit { plan, name, watch, researcher } => {
            let config = Config::read(&researcher.config)?;
            let submitted = submit::submit(&config, &plan, name).await?;
            if watch {
                let run = submitted.id()?;
                submitted.tell(format);
                return follow::watch(&config, &run, format, stop()?).await;
            }
            format.answer(&submitted, &submitted);
        }
        LiveCommand::List { all, researcher } => {
            let mut talk = Talk::open(&Config::read(&researcher.config)?).await?;
            let listing = list(&mut talk, all).await?;
            format.answer(&listing, &listing);
        }
        LiveCommand::Show { run, researcher } => {
            let mut talk = Talk::open(&Config::read(&researcher.config)?).await?;
            let shown = show(&mut talk, &run).await?;
            format.answer(&shown, &shown);
        }
        LiveCommand::Watch { run, researcher } => {
            return follow::watch(&Config::read(&researcher.config)?, &run, format, stop()?).await;
        }
        LiveCommand::Wait { run, timeout, researcher } => {
            let config = Config::read(&researcher.config)?;
            let ended = follow::wait(&config, &run, timeout, stop()?).await?;
            format.answer(&ended, &ended);
        }
        LiveCommand::Compare { before, after, researcher } => {
            let mut talk = Talk::open(&Config::read(&researcher.config)?).await?;
            let compared = compare::compare(&mut talk, &before, &after).await?;
            format.answer(&compared, &compared);
        }
        LiveCommand::Pause { run, researcher } => {
            order(&researcher.config, &run, Order::Pause, format).await?;
        }
        LiveCommand::Resume { run, researcher } => {
            order(&researcher.config, &run, Order::Resume, format).await?;
        }
        LiveCommand::Stop { run, researcher } => {
            order(&researcher.config, &run, Order::Stop, format).await?;
        }
    }
    Ok(Exit::Done)
}

/// For commands that last: a signal ends them in order. It ends the others at once, as usual.
fn stop() -> Result<Stop, Failure> {
    Stop::on_signals().map_err(|error| Failure::new(Exit::Failed, "RUNTIME", error))
}

/// Several runs.
#[derive(Debug, Serialize)]
struct Listing {
    runs: Vec<RunView>,
}

/// A run with its rounds.
#[derive(Debug, Serialize)]
struct Shown {
    run: RunView,
    rounds: Vec<RoundView>,
}

/// A run that was ordered to do something.
#[derive(Debug, Serialize)]
struct Ordered {
    run: RunView,
    /// Whether the order changed anything.
    changed: bool,
}

async fn list(talk: &mut Talk, all: bool) -> Result<Listing, Failure> {
    talk.say(&FromResearcher::List { all }).await?;
    let mut runs = Vec::new();
    loop {
        match talk.answer().await? {
            ToResearcher::Run(status) => runs.push(RunView::of(*status)),
            ToResearcher::End => return Ok(Listing { runs }),
            _ => return Err(out_of_turn()),
        }
    }
}

async fn show(talk: &mut Talk, run: &Name) -> Result<Shown, Failure> {
    let ToResearcher::Run(status) = talk.ask(&FromResearcher::Show { run: run.clone() }).await?
    else {
        return Err(out_of_turn());
    };
    let (run, mut rounds) = (RunView::of(*status), Vec::new());
    loop {
        match talk.answer().await? {
            ToResearcher::Round(line) => rounds.push(RoundView::of(*line)),
            ToResearcher::End => return Ok(Shown { run, rounds }),
            _ => return Err(out_of_turn()),
        }
    }
}

async fn order(config: &Path, run: &Name, order: Order, format: Format) -> Result<(), Failure> {
    let mut talk = Talk::open(&Config::read(config)?).await?;
    let request = FromResearcher::Order { run: run.clone(), order };
    let ToResearcher::Ordered { run, is_changed } = talk.ask(&request).await? else {
        return Err(out_of_turn());
    };
    let ordered = Ordered { run: RunView::of(*run), changed: is_changed };
    format.answer(&ordered, &ordered);
    Ok(())
}

/// Exports from a file, a folder, or a run of the coordinator.
fn take_away(wanted: Export, format: Format) -> Result<(), Failure> {
    let Export { from, plan, round, format: form, out, roster, sums_only, config } = wanted;
    let exported = if config.is_none() && from.exists() {
        let plan = plan.ok_or_else(|| {
            Failure::new(Exit::BadInput, "NO_PLAN", "the run's plan is not given")
                .with_help("give it with --plan: the very file that was run")
        })?;
        export::export(&export::Options { from, plan, round, form, out, roster })?
    } else {
        let run = from.to_str().and_then(|text| text.parse::<Name>().ok());
        let run = run.ok_or_else(|| {
            let message = format!("{} is no file, no folder and no run", from.display());
            Failure::new(Exit::BadInput, "NO_RUN", message)
        })?;
        let config = Config::read(config.as_deref().unwrap_or_else(|| Path::new(CONFIG_FILE)))?;
        let fetched = runtime()?.block_on(fetch::fetch(&config, &run, round, !sums_only))?;
        let roster = match (roster, sums_only) {
            (_, true) => None,
            (None, false) => {
                Some(config.folder.join(covey_aggregation::net::roster_file::ROSTER_FILE))
            }
            (roster, false) => roster,
        };
        export::export(&export::Options {
            from: fetched.published(),
            plan: plan.unwrap_or_else(|| fetched.plan()),
            round,
            form,
            out,
            roster,
        })?
    };
    format.answer(&exported, &exported);
    Ok(())
}

impl fmt::Display for Listing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.runs.is_empty() {
            return f.write_str("no runs; submit one: covey-client run submit PLAN");
        }
        let width = self.runs.iter().map(|run| run.name.as_str().len()).max().unwrap_or(0).max(4);
        write!(
            f,
            "{:<8}  {:<width$}  {:<8}  {:>9}  {:<12}  NOTE",
            "RUN", "NAME", "STATE", "ROUNDS", "BY"
        )?;
        for run in &self.runs {
            let rounds = format!("{}/{}", run.rounds_over, run.rounds);
            write!(
                f,
                "\n{:<8}  {:<width$}  {:<8}  {rounds:>9}  {:<12}  {}",
                run.short(),
                run.name.as_str(),
                run.state,
                run.by.as_str(),
                run.note(),
            )?;
        }
        Ok(())
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.run)?;
        self.rounds.iter().try_for_each(|round| write!(f, "\n{round}"))
    }
}

impl fmt::Display for Ordered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let already = if self.changed { "" } else { " already" };
        write!(f, "{}{already}", self.run.line())
    }
}
