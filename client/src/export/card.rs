//! README.md: the model's card.

use std::fmt::Write as _;

use covey_aggregation::evaluation::Scores;
use covey_aggregation::plan::Plan;

use super::Model;
use crate::replay::Replayed;

/// The card.
pub(super) fn card(model: &Model) -> String {
    let plan = &model.plan;
    let mut text = format!(
        "---\nlibrary_name: pytorch\ntags:\n- federated-learning\n- covey\n---\n\n# {}\n\n",
        plan.name
    );
    for line in plan.purpose.lines() {
        let _ = writeln!(text, "> {line}");
    }
    // Of a file that was given, nobody knows.
    let made = match &model.replayed {
        Some(_) => {
            ", trained by data owners together: their data stayed with them, and only sums of \
             their updates were opened"
        }
        None => " for this plan",
    };
    let _ = writeln!(
        text,
        "\nA model of {} parameters{made}.\n\n## Use\n\n```python\nfrom load import \
         load\n\nmodel = load()  # torch.nn.Module\n```\n\n`python load.py` prints the sizes; \
         `python load.py inputs.npy outputs.npy` answers. `config.json` says what every number of \
         an input and of an output means.",
        model.parameters.len()
    );
    results(&mut text, model);
    origin(&mut text, model);
    let _ = writeln!(
        text,
        "\n## Limits\n\n- Nobody checked that the owners' data are genuine, or for whom they \
         stand.\n- {}\n- No noise was added: what the model learned of single examples was not \
         limited.",
        sentence(plan.audit_notice())
    );
    let source = String::from_utf8_lossy(&model.plan_bytes);
    let fence = fence(&source);
    let _ = writeln!(text, "\n## Plan\n\n{fence}toml\n{}\n{fence}", source.trim_end());
    text
}

fn results(text: &mut String, model: &Model) {
    let Some(run) = &model.replayed else { return };
    let _ = writeln!(text, "\n## Results\n");
    match &run.scores {
        Some(scores) => {
            let _ = writeln!(text, "Of this model, measured by the owners {scores}.\n");
        }
        None => {
            let _ = writeln!(text, "No published round measured this model itself.\n");
        }
    }
    let metrics: Vec<&str> = scored(run).next().map_or_else(Vec::new, |scores| {
        scores.metrics.keys().map(|metric| metric.name()).collect()
    });
    let _ = writeln!(
        text,
        "Metrics of a round are of the model that it began with, on examples that owners kept out \
         of training.\n"
    );
    let heads: String = metrics.iter().map(|metric| format!(" {metric} |")).collect();
    let lines = "---|".repeat(metrics.len());
    let _ = writeln!(text, "| round | owners in the sum | absent |{heads}\n|---|---|---|{lines}");
    for round in &run.rounds {
        let values = round.scores.as_ref().map_or_else(
            || " |".repeat(metrics.len()),
            |scores| scores.metrics.values().map(|value| format!(" {value:.4} |")).collect(),
        );
        let diverged = if round.diverged.is_some() { " (not applied)" } else { "" };
        let _ = writeln!(
            text,
            "| {}{diverged} | {} | {} |{values}",
            round.round, round.contributions, round.absent
        );
    }
}

fn scored(run: &Replayed) -> impl Iterator<Item = &Scores> {
    run.rounds.iter().filter_map(|round| round.scores.as_ref()).filter(|one| one.examples > 0)
}

fn origin(text: &mut String, model: &Model) {
    let _ = writeln!(text, "\n## Where it comes from\n");
    if let Some(run) = &model.replayed {
        let _ = writeln!(text, "- run `{}`, after round {}", run.run, run.round);
        let _ = writeln!(text, "- federation `{}`", run.federation);
    }
    let _ = writeln!(text, "- plan `{}`", Plan::digest(&model.plan_bytes));
    let _ = writeln!(text, "- parameters `{}`", model.digest);
    for line in model.checked() {
        let _ = writeln!(text, "- {line}");
    }
    let _ = writeln!(text, "\nEvery digest, round by round, is in `provenance.json`.");
}

fn sentence(text: &str) -> String {
    let mut characters = text.chars();
    let first = characters.next().map(|first| first.to_uppercase().to_string());
    format!("{}{}.", first.unwrap_or_default(), characters.as_str())
}

/// More backquotes than the text has in a row.
fn fence(text: &str) -> String {
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    "`".repeat(longest.max(2) + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_cannot_break_out_of_its_fence() {
        assert_eq!(fence("a = 1"), "```");
        assert_eq!(fence("# ```` and ``"), "`````");
    }
}
