//! Reading the file: everything that is wrong is told at once.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use covey_aggregation::limits::{
    CONFIG_BYTES_MAX, CONTRIBUTIONS_FLOOR, CONTRIBUTIONS_MAX, COUNTERS_MAX, LOCAL_EPOCHS_MAX,
    PARAMETERS_MAX, PRIVACY_DELTA_MIN, ROUNDS_MAX,
};
use covey_aggregation::net::{FileError, files};
use covey_aggregation::party::Name;
use covey_aggregation::plan::reading::{Collector, Field, Section, root};
use covey_aggregation::plan::schema::{self, Form, PLAN};
use covey_aggregation::plan::{Code, PlanErrors};
use covey_aggregation::program::{Exit, Failure};
use covey_privacy::budget::Budget;

use super::{Allow, Limits, Policy, Require, Unknown};
use crate::check::file_failure;

/// The version of the format that this code reads.
pub const SCHEMA: &str = "policy/1";

/// Most threads that a policy may name: more than any machine of today has.
const THREADS_MAX: u64 = 4096;

/// Key holders of the largest committee.
const KEY_HOLDERS_MAX: u64 = 7;

/// A policy that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BadPolicy {
    /// It is not there, or cannot be read.
    #[error("the policy: {0}")]
    File(#[from] FileError),
    /// It says something that no policy says.
    #[error("{}: {errors}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// Its text.
        text: String,
        /// Everything that is wrong.
        errors: PlanErrors,
    },
}

impl From<BadPolicy> for Failure {
    fn from(bad: BadPolicy) -> Self {
        match bad {
            BadPolicy::File(_) => Self::new(Exit::BadInput, "NO_POLICY", bad)
                .with_help("write one to begin with: covey-client policy init FILE"),
            BadPolicy::Content { path, text, errors } => {
                file_failure("BAD_POLICY", &path, text.as_bytes(), &errors)
            }
        }
    }
}

impl Policy {
    /// Reads a policy.
    ///
    /// # Errors
    /// [`BadPolicy`] with everything that is wrong.
    pub fn read(path: &Path) -> Result<Self, BadPolicy> {
        let text = files::read_text(path, CONFIG_BYTES_MAX)?;
        Self::parse(&text).map_err(|errors| {
            let path = path.to_owned();
            BadPolicy::Content { path, text, errors }
        })
    }

    /// Reads the text of a policy.
    ///
    /// # Errors
    /// [`PlanErrors`]: everything that is wrong, in the order of the text. They are told as those
    /// of plans are.
    pub fn parse(text: &str) -> Result<Self, PlanErrors> {
        let mut errors = Collector::new(text);
        match read(text, &mut errors) {
            Some(policy) if errors.is_empty() => Ok(policy),
            _ => Err(errors.finish()),
        }
    }
}

fn read(text: &str, errors: &mut Collector<'_>) -> Option<Policy> {
    let mut root = root(text, "a policy", SCHEMA, errors)?;
    let unknown = match root.optional("unknown") {
        Some(field) => field.choice(errors, &[("ask", Unknown::Ask), ("deny", Unknown::Deny)]),
        None => Some(Unknown::default()),
    };
    let limits = match root.optional("limits") {
        Some(field) => field.section(errors).and_then(|section| read_limits(section, errors)),
        None => Some(Limits::default()),
    };
    let require = match root.optional("require") {
        Some(field) => field.section(errors).and_then(|section| read_require(section, errors)),
        None => Some(Require::default()),
    };
    let help = "add a section [allow] with `purposes = [...]`: what your data may be used for";
    let allow = root.section(errors, "allow", help);
    let allow = allow.and_then(|section| read_allow(section, errors));
    let datasets = match root.optional("dataset") {
        Some(field) => read_datasets(field, errors),
        None => Some(BTreeMap::new()),
    };
    root.finish(errors);
    Some(Policy {
        unknown: unknown?,
        limits: limits?,
        require: require?,
        allow: allow?,
        datasets: datasets?,
    })
}

/// A whole number that need not be there: `Some(None)` where it is not.
fn whole(
    section: &mut Section<'_>,
    errors: &mut Collector<'_>,
    name: &'static str,
    bounds: std::ops::RangeInclusive<u64>,
) -> Option<Option<u64>> {
    match section.optional(name) {
        Some(field) => field.whole(errors, bounds).map(|at| Some(at.value)),
        None => Some(None),
    }
}

fn flag(
    section: &mut Section<'_>,
    errors: &mut Collector<'_>,
    name: &'static str,
    default: bool,
) -> Option<bool> {
    section.optional(name).map_or(Some(default), |field| field.boolean(errors))
}

fn read_limits(mut section: Section<'_>, errors: &mut Collector<'_>) -> Option<Limits> {
    let default = Limits::default();
    let hours = match section.optional("hours") {
        Some(field) => field.text(errors).and_then(|at| {
            let hours = at.value.parse();
            if let Err(no) = &hours {
                let help = "write it in UTC, such as `hours = \"20:00-06:00\"`";
                errors.push(&at.span, Code::OutOfRange, format!("limits.hours: {no}"), help);
            }
            hours.ok().map(Some)
        }),
        None => Some(None),
    };
    let mut number = |name, bounds| whole(&mut section, errors, name, bounds);
    let threads = number("threads", 1..=THREADS_MAX);
    let bytes = 1..=u64::MAX >> 1;
    let dataset = number("dataset_bytes_max", bytes.clone());
    let device = number("device_memory_bytes_max", bytes.clone());
    let upload = number("upload_bytes_per_day_max", bytes);
    let rounds = number("max_rounds", 1..=ROUNDS_MAX.into());
    let extra = number("extra_rounds", 0..=ROUNDS_MAX.into());
    let epochs = number("max_local_epochs", 1..=LOCAL_EPOCHS_MAX.into());
    let counters = number("max_counters", 0..=COUNTERS_MAX.into());
    let released = number("max_released", 0..=u8::MAX.into());
    let control = flag(&mut section, errors, "control", default.control);
    let report = flag(&mut section, errors, "report_compute", default.report_compute);
    section.finish(errors);
    // All are within their bounds, so no cast cuts.
    Some(Limits {
        hours: hours?,
        threads: threads?.map(|threads| threads as usize),
        dataset_bytes_max: dataset?,
        device_memory_bytes_max: device?,
        upload_bytes_per_day_max: upload?,
        max_rounds: rounds?.map_or(default.max_rounds, |rounds| rounds as u32),
        extra_rounds: extra?.map_or(default.extra_rounds, |rounds| rounds as u32),
        max_local_epochs: epochs?.map(|epochs| epochs as u32),
        max_counters: counters?.map_or(default.max_counters, |counters| counters as u16),
        control: control?,
        max_released: released?.map_or(default.max_released, |released| released as u8),
        report_compute: report?,
    })
}

fn read_require(mut section: Section<'_>, errors: &mut Collector<'_>) -> Option<Require> {
    let default = Require::default();
    let audit = flag(&mut section, errors, "audit", default.audit);
    let cohort = match section.optional("min_cohort") {
        Some(field) => field.whole(errors, 0..=CONTRIBUTIONS_MAX.into()).map(|at| {
            if at.value < CONTRIBUTIONS_FLOOR.into() {
                let message = format!("require.min_cohort = {} protects nobody", at.value);
                let help = format!("use at least {CONTRIBUTIONS_FLOOR}; 10 is better");
                errors.push(&at.span, Code::CohortTooSmall, message, help);
            }
            at.value as u32
        }),
        None => Some(default.min_cohort),
    };
    let holders = match section.optional("key_holders") {
        Some(field) => field.section(errors).and_then(|mut holders| {
            let least = holders.whole(errors, "at_least", 1..=KEY_HOLDERS_MAX);
            holders.finish(errors);
            least.map(|at| Some(at.value as u32))
        }),
        None => Some(None),
    };
    let clip = match section.optional("clip_max") {
        Some(field) => field.positive(errors).map(|at| Some(at.value as f32)),
        None => Some(None),
    };
    let privacy = match section.optional("privacy") {
        Some(field) => {
            let span = field.span.clone();
            field.section(errors).and_then(|section| read_budget(section, &span, errors)).map(Some)
        }
        None => Some(None),
    };
    section.finish(errors);
    Some(Require {
        audit: audit?,
        min_cohort: cohort?,
        key_holders_at_least: holders?,
        clip_max: clip?,
        privacy: privacy?,
    })
}

fn read_budget(
    mut section: Section<'_>,
    span: &std::ops::Range<usize>,
    errors: &mut Collector<'_>,
) -> Option<Budget> {
    let help = "write `privacy = { epsilon = 8.0, delta = 1e-6 }`";
    let epsilon = section.positive(errors, "epsilon");
    let delta = section.required(errors, "delta", help).and_then(|field| field.number(errors));
    section.finish(errors);
    let (epsilon, delta) = (epsilon?, delta?);
    let budget = Budget::new(epsilon.value, delta.value);
    if let Err(bad) = &budget {
        errors.push(span, Code::Privacy, format!("require.privacy: {bad}"), help);
    }
    if delta.value < PRIVACY_DELTA_MIN {
        let message = format!("require.privacy.delta = {} is too small", delta.value);
        errors.push(&delta.span, Code::Privacy, message, "use 1e-12 or more, such as 1e-6");
    }
    budget.ok()
}

fn read_allow(mut section: Section<'_>, errors: &mut Collector<'_>) -> Option<Allow> {
    let help = "write `purposes = [\"*readmission*\"]`, with \"*\" for any text";
    let purposes = section.required(errors, "purposes", help);
    let purposes = purposes.and_then(|field| read_texts(field, errors));
    let layers = match section.optional("layers") {
        Some(field) => read_layers(field, errors).map(Some),
        None => Some(None),
    };
    let parameters = whole(&mut section, errors, "max_parameters", 1..=PARAMETERS_MAX);
    section.finish(errors);
    Some(Allow { purposes: purposes?, layers: layers?, max_parameters: parameters? })
}

fn read_texts(field: Field<'_>, errors: &mut Collector<'_>) -> Option<Vec<String>> {
    let fields = field.list(errors)?;
    let texts: Vec<_> =
        fields.into_iter().map(|field| field.text(errors).map(|at| at.value)).collect();
    texts.into_iter().collect()
}

fn read_layers(field: Field<'_>, errors: &mut Collector<'_>) -> Option<BTreeSet<&'static str>> {
    let words: Vec<_> = layer_words().into_iter().map(|word| (word, word)).collect();
    let fields = field.list(errors)?;
    let layers: Vec<_> = fields.into_iter().map(|field| field.choice(errors, &words)).collect();
    layers.into_iter().collect()
}

/// The words for layers, from the description of plans.
pub(super) fn layer_words() -> Vec<&'static str> {
    let form = |fields: &'static [schema::Field], name| {
        fields.iter().find(|field| field.name == name).map(|field| &field.form)
    };
    let Some(Form::Section(model)) = form(PLAN.fields, "model") else { return Vec::new() };
    let Some(Form::List(Form::Section(layer), ..)) = form(model.fields, "layers") else {
        return Vec::new();
    };
    layer.cases.map_or_else(Vec::new, |cases| cases.cases.iter().map(|case| case.word).collect())
}

fn read_datasets(
    field: Field<'_>,
    errors: &mut Collector<'_>,
) -> Option<BTreeMap<String, BTreeSet<String>>> {
    let mut datasets = BTreeMap::new();
    let mut is_whole = true;
    for field in field.list(errors)? {
        let span = field.span.clone();
        let Some(mut section) = field.section(errors) else {
            is_whole = false;
            continue;
        };
        let help = "write the name that the data have by covey-client data add";
        let name = section.required(errors, "name", help).and_then(|field| field.text(errors));
        let help = "list the columns that may be read, the label's too";
        let columns = section.required(errors, "columns", help);
        let columns = columns.and_then(|field| read_texts(field, errors));
        section.finish(errors);
        let Some((name, columns)) = name.zip(columns) else {
            is_whole = false;
            continue;
        };
        if let Err(error) = name.value.parse::<Name>() {
            let help = "names have lower-case letters, digits, '-' or '.'";
            errors.push(&name.span, Code::Text, format!("dataset.name: {error}"), help);
        }
        if datasets.insert(name.value.clone(), columns.into_iter().collect()).is_some() {
            let message = format!("two [[dataset]] have the name {:?}", name.value);
            errors.push(&span, Code::Duplicate, message, "put their columns into one list");
        }
    }
    is_whole.then_some(datasets)
}
