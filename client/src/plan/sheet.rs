//! What a plan means for an owner: what its machine reads, what leaves it, who sees what of that, and
//! what protects it. All of it is computed from the plan and the terms of its rounds.

use std::fmt;

use covey_aggregation::config::{RoundConfig, Weighting};
use covey_aggregation::credit::Training;
use covey_aggregation::limits::{MULTIPLICITY_MAX, MULTIPLICITY_MIN};
use covey_aggregation::plan::{Credit, Data, Plan, Target, Tokens};
use serde::Serialize;

use super::explain::Part;
use super::quantity::{bytes, count};
use crate::check::{self, PlanSummary};
use crate::volume::Volume;

/// What leaves an owner's machine.
#[derive(Debug, Serialize)]
pub struct Sheet {
    /// The plan's name.
    pub name: String,
    /// Its purpose, word for word.
    pub purpose: String,
    /// Digest of its bytes.
    pub digest: String,
    /// Rounds of the plan.
    pub rounds: u32,
    /// Key holders that the bytes are counted for.
    pub holders: usize,
    /// Bytes sent in a round, by what they are.
    pub bytes: Volume,
    /// Bytes sent in a round.
    pub bytes_round: u64,
    /// Bytes sent in all rounds of the plan.
    pub bytes_run: u64,
    /// Numbers that leave in a round, inside the encryption.
    pub values: Values,
    /// Numbers about the owner alone that are published in a round, beside pass or fail.
    pub released_numbers: u8,
    /// The same in words, by what they are about.
    pub parts: Vec<Part>,
}

/// Numbers inside the encryption, of which only the sums with those of other owners are opened.
#[derive(Debug, Serialize)]
pub struct Values {
    /// Of the update.
    pub update: u64,
    /// Of the second vector, where the strategy has one.
    pub control: u64,
    /// Whether one more says that the update was, or was not, within the clip.
    pub vote: bool,
    /// Counts of held-out examples.
    pub counters: u16,
    /// Whether the number of examples is among them.
    pub examples: bool,
}

impl Sheet {
    /// That of a plan, in rounds of these terms; `file`: the plan's bytes.
    #[must_use]
    pub fn new(plan: &Plan, terms: &RoundConfig, file: &[u8]) -> Self {
        let summary = check::summary_of(plan, terms, file);
        let volume = Volume::of(terms);
        let (round, rounds) = (volume.total(), summary.rounds);
        let run = round * u64::from(rounds);
        let mut amount = inside(plan, &summary);
        amount.push(format!("in all {} a round, {} in {rounds} rounds", bytes(round), bytes(run)));
        let mut not_sent = vec![never()];
        if terms.quantiser.weighting == Weighting::Uniform {
            not_sent.push("how many examples there are".to_owned());
        }
        let parts = vec![
            Part { title: "reads", lines: reads(plan) },
            Part { title: "leaves, every round", lines: amount },
            Part { title: "who sees what", lines: seen(plan, terms) },
            Part { title: "not sent", lines: not_sent },
            Part { title: "privacy", lines: protects(plan, terms.dimension) },
        ];
        Self {
            released_numbers: summary.released_numbers,
            holders: summary.holders,
            values: Values {
                update: terms.dimension,
                control: if terms.control.is_some() { terms.dimension } else { 0 },
                vote: terms.noise.is_some_and(|noise| noise.votes() > 0),
                counters: terms.counters,
                examples: terms.quantiser.weighting != Weighting::Uniform,
            },
            name: summary.name,
            purpose: summary.purpose,
            digest: summary.digest,
            bytes: volume,
            bytes_round: round,
            bytes_run: run,
            rounds,
            parts,
        }
    }
}

impl fmt::Display for Sheet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, purpose, digest, .. } = self;
        write!(f, "{name}: {purpose}\ndigest {digest}")?;
        for Part { title, lines } in &self.parts {
            write!(f, "\n\n{title}")?;
            for line in lines {
                write!(f, "\n  - {line}")?;
            }
        }
        Ok(())
    }
}

/// What is told to whom.
fn seen(plan: &Plan, terms: &RoundConfig) -> Vec<String> {
    let mut lines = vec![
        format!("the coordinator: the ciphertext, which tells it nothing by itself; {}", clear()),
        "each key holder: keys that were made for this round and sealed to it, and no ciphertext \
         that it could open alone"
            .to_owned(),
        format!(
            "everybody who reads what is published: the sum of at least {} updates, and who is in it",
            terms.contributions_min
        ),
    ];
    if terms.is_audited() {
        lines.push("everybody: whether the update passed the audit".to_owned());
    }
    lines.extend(alone(plan));
    lines
}

/// What an owner's machine reads.
pub(super) fn reads(plan: &Plan) -> Vec<String> {
    let mut lines = Vec::new();
    match &plan.data {
        Data::Image(image) => lines.push(format!(
            "pictures of {} x {} pixels with {} number(s) each, and their labels",
            image.height, image.width, image.channels
        )),
        Data::Tabular(tabular) => {
            let names: Vec<_> = tabular.columns.iter().map(|column| column.name.as_str()).collect();
            lines.push(format!(
                "the columns {} and {}, no others",
                names.join(", "),
                tabular.column
            ));
        }
        Data::Text(text) => lines.push(match text.tokens {
            Tokens::Bytes => format!("text, {} bytes at a time", text.context),
            Tokens::Characters { .. } => format!("text, {} characters at a time", text.context),
        }),
    }
    let classes = plan.data.classes();
    match &plan.data {
        Data::Text(_) => lines.push("the model learns to predict the next one".to_owned()),
        Data::Tabular(tabular) if matches!(tabular.target, Target::Number(_)) => {
            lines.push(format!("the model learns to predict the number in {}", tabular.column));
        }
        _ if classes.len() <= 12 => {
            lines.push(format!("the model learns to tell apart: {}", classes.join(", ")));
        }
        _ => lines.push(format!("the model learns to tell apart {} classes", classes.len())),
    }
    let rows = plan.data.rows();
    if rows.holdout > 0.0 {
        let share = 100.0 * rows.holdout;
        lines.push(format!("{share} % of the examples are kept out of training, to measure"));
    }
    if rows.minimum > 1 {
        lines.push(format!("an owner with fewer than {} examples takes no part", rows.minimum));
    }
    lines
}

/// What leaves an owner's machine in a round, all of it.
pub(super) fn leaves(plan: &Plan, summary: &PlanSummary) -> Vec<String> {
    let mut lines = inside(plan, summary);
    lines.extend(alone(plan));
    lines.push(clear());
    lines.push(format!("never: {}", never()));
    lines
}

/// What leaves inside the encryption, and how many bytes that is.
fn inside(plan: &Plan, summary: &PlanSummary) -> Vec<String> {
    let secure = &plan.secure_aggregation;
    let mut lines = vec![
        summary.sends.clone(),
        format!(
            "a number of the update has {} bits and is within +-{}; the whole update is at \
             most {} long (L2 norm){}",
            secure.bits,
            secure.range,
            secure.clip_norm,
            if plan.clipping().is_some() {
                " in the first round; later both follow the owners' updates, together"
            } else {
                ""
            }
        ),
        format!(
            "{} of ciphertext, and {} of keys for a committee of {}",
            bytes(summary.bytes_payload),
            bytes(summary.bytes_fixed),
            if summary.holders == 4 { "four" } else { "seven" },
        ),
    ];
    if summary.bytes_proof > 0 {
        lines.push(format!(
            "{} of proof, for the audit: random numbers to whoever reads them, from which the \
             committee learns whether the update is within its bounds{}, and nothing else",
            bytes(summary.bytes_proof),
            if plan.credit.is_some() { " and the three numbers of its credit" } else { "" }
        ));
    }
    lines
}

/// What is told about the owner alone, and to whom.
fn alone(plan: &Plan) -> Vec<String> {
    let mut lines: Vec<_> = plan.credit.as_ref().map(published).into_iter().collect();
    lines.push(match plan.training.weighting {
        Weighting::Uniform => {
            "all owners count alike: the number of examples is not sent".to_owned()
        }
        Weighting::CappedExamples(cap) => format!(
            "an owner counts by its examples, as {} where it has more; the number travels inside \
             the encryption{}",
            count(cap.into()),
            if plan.publishes_examples() {
                ", and as updates are audited it is published as well, to divide the sum by"
            } else {
                ""
            }
        ),
    });
    lines.extend(plan.credit.as_ref().and_then(weighed));
    lines
}

fn clear() -> String {
    "in the clear: its name, the round, hashes of what it sends; or that it does not take part, and \
     which of seven reasons"
        .to_owned()
}

fn never() -> String {
    "examples, labels, gradients, losses, or its update by itself".to_owned()
}

/// What is told about one owner alone, and to whom.
fn published(credit: &Credit) -> String {
    format!(
        "published for its credit, with its name, to everybody who reads the published rounds: \
         pass or fail, and three numbers a round (s, novelty and harm), which say how its update \
         goes with the direction that {} examples of a public validation pool would have trained",
        count(credit.fold.into())
    )
}

/// What its past evidence does to an owner's next updates.
fn weighed(credit: &Credit) -> Option<String> {
    let words = format!(
        "from its third round of evidence on, its update counts {MULTIPLICITY_MIN} to \
         {MULTIPLICITY_MAX} times in the sum, by its mean part of the claims beside the others', \
         or not at all where that is far below theirs; then it is measured and credited \
         nevertheless. Everybody can compute how often each counts"
    );
    (credit.training == Training::Evidence).then_some(words)
}

/// What protects an owner.
pub(super) fn protects(plan: &Plan, parameters: u64) -> Vec<String> {
    let cohort = &plan.cohort;
    let floor = if cohort.minimum < 10 { "; many owners' rules ask for 10" } else { "" };
    let weighs = plan.credit.is_some_and(|credit| credit.training == Training::Evidence);
    let counting = if weighs {
        "; updates that count for nothing are none of these, and where too few would count, all \
         count once"
    } else {
        ""
    };
    let mut lines = vec![
        format!(
            "only the sum of {} to {} updates is opened, once a round; with fewer, nothing\
             {counting}{floor}",
            cohort.minimum, cohort.maximum
        ),
        "a committee of key holders opens it: with four, two of them and the coordinator would \
         have to work together to see one update; with seven, three"
            .to_owned(),
    ];
    match plan.privacy {
        None => lines.push(
            "the sum itself is not hidden and no noise is added: if all others in it work \
             together, they know the last one's update"
                .to_owned(),
        ),
        Some(_) => lines.extend(plan.guarantee(parameters)),
    }
    lines.push(plan.audit_notice().to_owned());
    lines.push(
        "each owner's own rules are checked before it trains and again before it sends".to_owned(),
    );
    lines
}
