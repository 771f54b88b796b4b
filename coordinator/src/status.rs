//! `status`: how the run in a state folder is going, and which runs were submitted, read beside the
//! program that writes it.

use covey_aggregation::hash::Digest;
use covey_aggregation::limits::FRAME_BYTES_MAX;
use covey_aggregation::message::Outcome;
use covey_aggregation::net::Boxed;
use covey_aggregation::plan::Plan;
use covey_aggregation::program::{Exit, Failure};
use covey_aggregation::wire;
use serde_json::json;

use crate::config::Config;
use crate::coordinator::journal_of;
use crate::setup::Answer;
use crate::storage::blobs::Depot;
use crate::storage::journal::RoundRow;
use crate::storage::registry::{Registry, RunEntry, run_folder};

/// Tells how a run is going.
///
/// # Errors
/// [`Failure`] when there is no run.
pub fn status(config: &Config) -> Boxed<'_, Result<Answer, Failure>> {
    Box::pin(of_run(config))
}

async fn of_run(config: &Config) -> Result<Answer, Failure> {
    let mut journal = journal_of(&config.databases, &config.state_dir).await?;
    let Some(run) = journal.run().await? else { return submitted(config).await };
    let rounds = journal.rounds().await?;
    let next = rounds.last().map_or(run.first_round, |last| last.round + 1);
    let is_open = !journal.replay(next, 0).await?.is_empty();
    let state = match &run.ending {
        Some(ending) => ending.clone(),
        None if is_open => format!("in round {next}"),
        None => format!("before round {next}"),
    };
    let mut text = format!("run {}: {state}\n", run.run.short());
    if let Some(reason) = &run.reason {
        text += &format!("  over: {reason}\n");
    }
    let changes = journal.changes().await?;
    for change in &changes {
        text += &format!("  changed by {}: {}\n", change.by, change.what);
    }
    let layout = plan_of(config, &run.plan).and_then(|plan| plan.layout());
    let scores = |round: &RoundRow| {
        let layout = layout.as_ref().filter(|_| round.aggregate.is_some())?;
        layout.read(&round.counters).ok()
    };
    for round in &rounds {
        text += &line(round);
        if let Some(scores) = scores(round) {
            text += &format!("    the owners, of the model it began with: {scores}\n");
        }
    }
    let rows = rounds.iter().map(|round| {
        json!({
            "round": round.round,
            "done": round.aggregate.is_some(),
            "model": round.model.to_string(),
            "accuracy": round.accuracy,
            "loss": round.loss,
            "federated": scores(round),
            "ended_ms": round.ended.0,
        })
    });
    let data = json!({
        "run": run.run.to_string(),
        "plan": run.plan.to_string(),
        "state": state,
        "reason": run.reason,
        "origin": run.origin.map(|(run, round)| json!({ "run": run.to_string(), "round": round })),
        "rounds_max": run.rounds,
        "changes": changes.iter().map(|change| {
            json!({ "at_ms": change.at.0, "by": change.by, "what": change.what })
        }).collect::<Vec<_>>(),
        "started_ms": run.started.0,
        "rounds": rows.collect::<Vec<_>>(),
    });
    Ok(Answer { text: text.trim_end().to_owned(), data })
}

/// The runs that researchers submitted.
async fn submitted(config: &Config) -> Result<Answer, Failure> {
    let runs = match Registry::open_existing(&config.databases.runs(&config.state_dir)).await? {
        Some(mut registry) => registry.rows(true).await?,
        None => Vec::new(),
    };
    if runs.is_empty() {
        return Err(Failure::new(
            Exit::Failed,
            "NO_RUN",
            "no run has begun, and none is submitted",
        ));
    }
    let line = |run: &RunEntry| {
        let RunEntry { name, by_name, state, rounds, rounds_over, .. } = run;
        let reason = run.reason.as_ref().map_or_else(String::new, |why| format!(": {why}"));
        let short = run.run.short();
        format!("run {short} {name} of {by_name}: {state}, round {rounds_over} of {rounds}{reason}")
    };
    let text: Vec<_> = runs.iter().map(line).collect();
    let data = runs.iter().map(|run| {
        json!({
            "run": run.run.to_string(),
            "name": run.name,
            "plan": run.plan.to_string(),
            "by": run.by_name,
            "submitted_ms": run.submitted.0,
            "state": run.state.word(),
            "reason": run.reason,
            "rounds": run.rounds,
            "rounds_over": run.rounds_over,
            "rounds_done": run.rounds_done,
            "folder": run_folder(&config.state_dir, &run.run),
        })
    });
    let data = json!({ "submitted": data.collect::<Vec<_>>() });
    Ok(Answer { text: text.join("\n"), data })
}

/// The run's own plan, where it can be read: the settings may name another one by now.
fn plan_of(config: &Config, digest: &Digest) -> Option<Plan> {
    let depot = Depot::new(&config.state_dir, config.objects.as_ref()).ok()?;
    let bytes = depot.read().object(digest).ok()??;
    Plan::from_bytes(&bytes).ok()
}

fn line(round: &RoundRow) -> String {
    let how = match wire::decode::<Outcome>(&round.outcome, FRAME_BYTES_MAX as usize) {
        Ok(Outcome::Done(report)) => format!("done, {} counted", report.counted.len()),
        Ok(Outcome::Abandoned { reason, .. }) => format!("abandoned: {reason}"),
        Err(_) => "written by another version".to_owned(),
    };
    let accuracy = round
        .accuracy
        .map_or_else(String::new, |accuracy| format!(", accuracy {:.2} %", accuracy * 100.0));
    format!("  round {}: {how}{accuracy}\n", round.round)
}
