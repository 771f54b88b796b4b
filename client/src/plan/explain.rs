//! A plan in plain words: what is trained, what leaves each machine, how much and for how long,
//! and what protects it.

use std::fmt;
use std::path::Path;

use covey_aggregation::config::Audit;
use covey_aggregation::plan::Plan;
use covey_aggregation::plan::schema::{Form, Need, PLAN, Section};
use covey_aggregation::program::Failure;
use serde::Serialize;
use toml::{Table, Value};

use super::diff::table;
use super::fields::{Held, brief, elements_of, held, inline, section_of, variant_of};
use super::quantity::{bytes, count, duration};
use super::sheet::{leaves, protects, reads};
use crate::check::{self, PlanSummary};

/// A plan in plain words.
#[derive(Debug, Serialize)]
pub struct Explanation {
    /// What the plan comes to, in numbers.
    #[serde(flatten)]
    pub summary: PlanSummary,
    /// Bytes that an owner sends in all rounds, at most.
    pub bytes_sent_max: u64,
    /// Bytes of the model that an owner is sent in a round.
    pub bytes_model: u64,
    /// The longest a round may take, in milliseconds.
    pub round_ms_max: u64,
    /// The same in words, by what they are about.
    pub parts: Vec<Part>,
    /// Every field, as written or as its default stands.
    pub fields: Vec<Line>,
}

/// What is said about one thing.
#[derive(Debug, Serialize)]
pub struct Part {
    /// What it is about.
    pub title: &'static str,
    /// Sentences.
    pub lines: Vec<String>,
}

/// One field.
#[derive(Debug, Serialize)]
pub struct Line {
    /// Its name.
    pub field: String,
    /// Its value.
    pub value: String,
    /// Whether nobody wrote it.
    pub is_default: bool,
    /// What it means.
    pub about: String,
}

/// Explains a plan.
///
/// # Errors
/// [`Failure`] when it is no valid plan.
pub fn explain(path: &Path) -> Result<Explanation, Failure> {
    let (plan, task, file) = check::read_plan(path)?;
    let summary = check::summary(&plan, &task, &file);
    let table = table(&file)?;
    let deadlines = plan.cohort.deadlines;
    let phases =
        [deadlines.select_ms, deadlines.collect_ms, deadlines.vote_ms, deadlines.release_ms];
    let again_ms = plan.cohort.collect_again_ms();
    let audit_ms = match plan.secure_aggregation.audit {
        Audit::Off => 0,
        // Clients prove; holders draw, list, draw, as long as a vote each, and open and judge.
        Audit::Closed { .. } => {
            deadlines.audit_ms + 3 * deadlines.vote_ms + 2 * deadlines.release_ms
        }
    };
    let round_ms_max = phases.iter().sum::<u64>() + again_ms + audit_ms;
    let bytes_model = 4 * summary.parameters;
    let bytes_round = summary.bytes_payload + summary.bytes_fixed + summary.bytes_proof;
    let bytes_sent_max = bytes_round * u64::from(summary.rounds);
    let parts = vec![
        Part { title: "what is trained", lines: trained(&plan, &summary, &table) },
        Part { title: "what an owner's machine reads", lines: reads(&plan) },
        Part { title: "what leaves it, every round", lines: leaves(&plan, &summary) },
        Part {
            title: "how much",
            lines: vec![
                format!(
                    "sent by an owner: {} a round, {} in {} rounds",
                    bytes(bytes_round),
                    bytes(bytes_sent_max),
                    summary.rounds
                ),
                format!("sent to it: the model, {} a round", bytes(bytes_model)),
            ],
        },
        Part { title: "how long", lines: takes(&plan, &phases, audit_ms) },
        Part { title: "what protects it", lines: protects(&plan, summary.parameters) },
    ];
    let mut fields = Vec::new();
    list(&PLAN, &table, "", &mut fields);
    Ok(Explanation { summary, bytes_sent_max, bytes_model, round_ms_max, parts, fields })
}

fn trained(plan: &Plan, summary: &PlanSummary, table: &Table) -> Vec<String> {
    let at = |path: &[&str]| {
        let mut value = table.get(*path.first()?)?;
        for key in &path[1..] {
            value = value.get(key)?;
        }
        Some(value)
    };
    let mut lines = Vec::new();
    let layers = at(&["model", "layers"]).and_then(Value::as_array);
    match layers {
        Some(layers) => {
            let words: Vec<_> = layers.iter().map(brief).collect();
            let parameters = count(summary.parameters);
            lines.push(format!("a model of {parameters} parameters: {}", words.join(", ")));
        }
        None => {
            let family = at(&["model", "family"]).map(brief).unwrap_or_default();
            let parameters = count(summary.parameters);
            lines.push(format!("a model of the family {family}, of {parameters} parameters"));
        }
    }
    if at(&["model", "lora"]).is_some() {
        lines.push("only adapters of this model are trained, and only they travel".to_owned());
    }
    let training = &plan.training;
    let work = match at(&["training", "local_steps"]) {
        Some(steps) => format!("{steps} steps"),
        None => format!("{} pass(es) over its data", training.local_epochs),
    };
    let optimizer = at(&["training", "optimizer"]).map(brief).unwrap_or_default();
    lines.push(format!(
        "in each of {} rounds an owner makes {work}, {} examples a step, by {optimizer}",
        summary.rounds, training.batch_size
    ));
    let strategy = plan.strategy.name();
    lines.push(format!("strategy {strategy}: {}", meaning_of_strategy(strategy)));
    lines
}

fn meaning_of_strategy(name: &str) -> &'static str {
    let field = PLAN.fields.iter().find(|field| field.name == "strategy");
    let Some(Form::Section(section)) = field.map(|field| &field.form) else { return "" };
    let variants = section.variants();
    let words = variants.iter().flat_map(|variant| &variant.words);
    words.into_iter().find(|(_, word, _)| *word == name).map_or("", |(.., about)| *about)
}

fn takes(plan: &Plan, phases: &[u64; 4], audit_ms: u64) -> Vec<String> {
    let again_ms = plan.cohort.collect_again_ms();
    let round_ms_max = phases.iter().sum::<u64>() + again_ms + audit_ms;
    let [select, collect, vote, release] = phases.map(duration);
    let audit = match audit_ms {
        0 => String::new(),
        ms => format!("{} to audit it, ", duration(ms)),
    };
    let again = match again_ms {
        0 => String::new(),
        ms => format!(" (once more {} if too few have)", duration(ms)),
    };
    vec![
        format!(
            "a round takes at most {}: {select} to find the owners, {collect} to train and send{again}, \
             {vote} to agree on the set, {audit}{release} to open the sum; it goes on as soon as all have \
             answered",
            duration(round_ms_max)
        ),
        format!(
            "the run takes at most {}",
            duration(round_ms_max.saturating_mul(plan.training.rounds.into()))
        ),
    ]
}

/// Every field of a section, in the order of its description.
fn list(section: &'static Section, table: &Table, path: &str, lines: &mut Vec<Line>) {
    let Some(variant) = variant_of(section, table) else { return };
    let words = variant.words.iter().map(|(field, _, about)| (*field, Some(*about)));
    let fields = words.chain(variant.fields.iter().map(|field| (*field, None)));
    for (field, of_word) in fields {
        let name = match path {
            "" => field.name.to_owned(),
            path => format!("{path}.{}", field.name),
        };
        let of_word = of_word.or_else(|| meaning(&field.form, table.get(field.name)?));
        let about =
            [Some(field.about), of_word].into_iter().flatten().collect::<Vec<_>>().join(" ");
        let mut push = |field, value, is_default, about| {
            lines.push(Line { field, value, is_default, about });
        };
        match held(table, field) {
            Held::Default(default) => push(name, default.to_owned(), true, about),
            Held::Absent => {
                // A section of which every field has a default stands without being written.
                if let Form::Section(inner) = field.form
                    && is_optional(inner)
                {
                    list(inner, &Table::new(), &name, lines);
                }
            }
            Held::Written(value) => {
                let elements = elements_of(&field.form).zip(value.as_array());
                let elements = elements.filter(|(_, all)| all.iter().any(Value::is_table));
                if let Some((inner, table)) = section_of(&field.form, value).zip(value.as_table()) {
                    list(inner, table, &name, lines);
                } else if let Some((of, values)) = elements {
                    for (index, value) in values.iter().enumerate() {
                        let about = of_element(of, value).unwrap_or(field.about).to_owned();
                        push(format!("{name}[{index}]"), brief(value), false, about);
                    }
                } else {
                    push(name, inline(value), false, about);
                }
            }
        }
    }
}

/// What a word means, where a field holds one of a list.
fn meaning(form: &'static Form, value: &Value) -> Option<&'static str> {
    match form {
        Form::Words(words) => {
            words.iter().find(|(word, _)| value.as_str() == Some(word)).map(|(_, about)| *about)
        }
        Form::Either(forms) => forms.iter().find_map(|form| meaning(form, value)),
        _ => None,
    }
}

/// What an element of a list does: the meaning of its word.
fn of_element(of: &'static Form, value: &Value) -> Option<&'static str> {
    let variant = variant_of(section_of(of, value)?, value.as_table()?)?;
    variant.words.last().map(|(.., about)| *about)
}

fn is_optional(section: &Section) -> bool {
    section.cases.is_none()
        && section.fields.iter().all(|field| matches!(field.need, Need::Default(_)))
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let PlanSummary { name, purpose, digest, .. } = &self.summary;
        write!(f, "{name}: {purpose}\ndigest {digest}")?;
        for Part { title, lines } in &self.parts {
            write!(f, "\n\n{title}")?;
            for line in lines {
                write!(f, "\n  - {line}")?;
            }
        }
        write!(f, "\n\nevery field")?;
        for Line { field, value, is_default, about } in &self.fields {
            let default = if *is_default { " (default)" } else { "" };
            write!(f, "\n  {field} = {value}{default}\n      {about}")?;
        }
        Ok(())
    }
}
