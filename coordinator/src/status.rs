//! `status`: how the run in a state folder is going, read beside the program that writes it.

use covey_aggregation::limits::FRAME_BYTES_MAX;
use covey_aggregation::message::Outcome;
use covey_aggregation::program::{Exit, Failure};
use covey_aggregation::wire;
use serde_json::json;

use crate::config::Config;
use crate::coordinator::journal_of;
use crate::setup::Answer;
use crate::storage::journal::RoundRow;

/// Tells how a run is going.
///
/// # Errors
/// [`Failure`] when there is no run.
pub async fn status(config: &Config) -> Result<Answer, Failure> {
    let mut journal = journal_of(&config.state_dir).await?;
    let Some(run) = journal.run().await? else {
        return Err(Failure::new(Exit::Failed, "NO_RUN", "no run has begun"));
    };
    let rounds = journal.rounds().await?;
    let next = rounds.last().map_or(1, |last| last.round + 1);
    let is_open = !journal.replay(next, 0).await?.is_empty();
    let state = match &run.ending {
        Some(ending) => ending.clone(),
        None if is_open => format!("in round {next}"),
        None => format!("before round {next}"),
    };
    let mut text = format!("run {}: {state}\n", run.run.short());
    for round in &rounds {
        text += &line(round);
    }
    let rows = rounds.iter().map(|round| {
        json!({
            "round": round.round,
            "done": round.aggregate.is_some(),
            "model": round.model.to_string(),
            "accuracy": round.accuracy,
            "loss": round.loss,
            "ended_ms": round.ended.0,
        })
    });
    let data = json!({
        "run": run.run.to_string(),
        "plan": run.plan.to_string(),
        "state": state,
        "started_ms": run.started.0,
        "rounds": rows.collect::<Vec<_>>(),
    });
    Ok(Answer { text: text.trim_end().to_owned(), data })
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
