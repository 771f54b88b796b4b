//! A plan becomes a run, or is refused.

use std::fmt;
use std::path::Path;

use covey_aggregation::limits::PLAN_BYTES_MAX;
use covey_aggregation::net::files;
use covey_aggregation::party::Name;
use covey_aggregation::plan::Plan;
use covey_aggregation::program::answer::{note, print_line};
use covey_aggregation::program::{Exit, Failure, Format};
use covey_aggregation::research::{FromResearcher, PlanBytes, RunState, RunStatus, ToResearcher};
use serde::Serialize;
use serde_json::json;

use super::talk::{Talk, out_of_turn};
use super::view::{FaultView, RunView};
use super::{Config, follow};
use crate::check::parse_plan;
use crate::plan::excerpt;

/// A plan that was taken.
#[derive(Debug, Serialize)]
pub(super) struct Submitted {
    run: RunView,
    /// Whether it was not there before.
    new: bool,
}

/// Sends a plan.
///
/// # Errors
/// [`Failure`]: there is no link, or the coordinator refused the plan and why.
pub(super) async fn submit(
    config: &Config,
    path: &Path,
    name: Option<Name>,
) -> Result<Submitted, Failure> {
    let bytes = files::read(path, PLAN_BYTES_MAX.into())
        .map_err(|error| Failure::new(Exit::BadInput, "BAD_PLAN", error))?;
    let name = match name.or_else(|| name_of(&bytes)) {
        Some(name) => name,
        // A plan without a name is no plan; this tells what else is wrong with it.
        None => parse_plan(bytes.clone(), path)?.0.name,
    };
    let too_long = || Failure::new(Exit::BadInput, "BAD_PLAN", "the plan is too long");
    let plan = PlanBytes::new(bytes.clone()).ok_or_else(too_long)?;
    let mut talk = Talk::open(config).await?;
    let answer = talk.ask(&FromResearcher::Submit { name, plan }).await?;
    let ToResearcher::Submitted { run, is_new } = answer else { return Err(out_of_turn()) };
    if run.plan != Plan::digest(&bytes) {
        let what = "the coordinator recorded another plan than the one that was sent";
        return Err(Failure::new(Exit::Unverified, "OTHER_PLAN", what));
    }
    if run.state == RunState::Refused {
        return Err(refused(*run, path, &bytes));
    }
    Ok(Submitted { run: RunView::of(*run), new: is_new })
}

/// The name in a plan's file, even where other things in it are wrong.
fn name_of(bytes: &[u8]) -> Option<Name> {
    let table: toml::Table = toml::from_slice(bytes).ok()?;
    table.get("name")?.as_str()?.parse().ok()
}

/// The plan was refused; told as `plan check` tells it.
fn refused(run: RunStatus, path: &Path, bytes: &[u8]) -> Failure {
    let run = RunView::of(run);
    let text = String::from_utf8_lossy(bytes);
    let line = |fault: &FaultView| {
        let source = excerpt(&text, fault.line, fault.column).filter(|_| fault.line > 0);
        let source = source.map_or_else(String::new, |source| format!("\n{source}"));
        match fault.line {
            0 => format!("{}: {fault}", path.display()),
            _ => format!("{}:{}:{}: {fault}{source}", path.display(), fault.line, fault.column),
        }
    };
    let lines: Vec<_> = run.faults.iter().map(line).collect();
    let message = format!(
        "the coordinator refused the plan and recorded that as {}: {} error(s)\n{}",
        run.short(),
        run.faults.len(),
        lines.join("\n")
    );
    Failure::new(Exit::BadInput, "PLAN_REFUSED", message)
        .with_help("mend the plan and submit it again; covey-client plan check tells most of this")
        .with_details(json!({ "run": run }))
}

impl Submitted {
    /// The run.
    ///
    /// # Errors
    /// Never: a digest has the form of a name.
    pub(super) fn id(&self) -> Result<Name, Failure> {
        self.run.run.parse().map_err(|error| Failure::new(Exit::Failed, "BUG", error))
    }

    /// Tells it before the run is watched.
    pub(super) fn tell(&self, format: Format) {
        match format {
            Format::Text => note(self),
            Format::Json => print_line(&follow::line("submitted", self, false)),
        }
    }
}

impl fmt::Display for Submitted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_new = if self.new { "submitted" } else { "submitted before; this is the same run" };
        write!(f, "{is_new}\n{}\nnext: covey-client run watch {}", self.run, self.run.name)
    }
}
