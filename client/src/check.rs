//! Plans and data, before anything runs: everything that is wrong, and what a plan would cost.

use std::fmt;
use std::path::{Path, PathBuf};

use covey_aggregation::config::{CommitteeShape, Noise, RoundConfig};
use covey_aggregation::limits::PLAN_BYTES_MAX;
use covey_aggregation::net::files;
use covey_aggregation::plan::{Code, Plan, PlanErrors, Unit};
use covey_aggregation::program::{Exit, Failure};
use covey_model::data::{DataError, DataSource, Dataset, Parts, ReadLimits, mock};
use covey_model::task::Task;
use serde::Serialize;
use serde_json::json;

use crate::plan::excerpt;
use crate::volume::Volume;

/// A plan that holds together.
#[derive(Debug, Serialize)]
pub struct PlanSummary {
    /// Its name.
    pub name: String,
    /// Its purpose, word for word.
    pub purpose: String,
    /// Digest of its bytes.
    pub digest: String,
    /// Rounds.
    pub rounds: u32,
    /// Parameters of its model.
    pub parameters: u64,
    /// Bytes of one contribution's chunks.
    pub bytes_payload: u64,
    /// Bytes of one contribution beside its chunks, with a committee of so many holders.
    pub bytes_fixed: u64,
    /// Key holders that the bytes are counted for.
    pub holders: usize,
    /// Fewest contributions that are opened.
    pub contributions_min: u32,
    /// Most contributions that are summed.
    pub contributions_max: u32,
    /// Bytes of the proof that an owner sends in the audit of a round; 0 where there is none.
    pub bytes_proof: u64,
    /// What leaves an owner's machine in every round, in words.
    pub sends: String,
    /// Numbers about each owner alone that are published in every round, beside pass or fail.
    pub released_numbers: u8,
    /// What everybody must be told about the audit.
    pub audit: String,
    /// What the plan costs an owner's privacy; none where it adds no noise.
    pub privacy: Option<PrivacySummary>,
}

/// What a plan's noise comes to.
#[derive(Debug, Serialize)]
pub struct PrivacySummary {
    /// Whose presence is hidden: `owner` or `record`.
    pub unit: &'static str,
    /// Epsilon of one round; of records, for an owner of the plan's fewest examples.
    pub epsilon_round: f64,
    /// Epsilon of all rounds of the plan.
    pub epsilon: f64,
    /// The delta of both.
    pub delta: f64,
    /// Standard deviation of the noise on each number of the mean update, where as few owners as may
    /// be are in the sum, at least; none where the noise is in the training.
    pub noise_of_mean: Option<f64>,
    /// How the clip follows the owners' updates, if it does.
    pub clipping: Option<ClippingSummary>,
}

/// A clip that follows the owners' updates.
#[derive(Debug, Serialize)]
pub struct ClippingSummary {
    /// The share of owners whose updates are to be within it.
    pub quantile: f64,
    /// Standard deviation of the noise on that share, where as few owners as may be are in the sum.
    pub noise_of_share: f64,
}

/// Data that fit a plan. Shown on this machine only.
#[derive(Debug, Serialize)]
pub struct DataSummary {
    /// Examples.
    pub examples: usize,
    /// Of them, those that are not trained on but kept to measure the model.
    pub held_out: usize,
    /// Numbers of one example; of text, tokens of a window.
    pub features: usize,
    /// Examples of each class, in the plan's order; none where no class is predicted.
    pub class_counts: Vec<u32>,
}

/// Synthetic data that were written.
#[derive(Debug, Serialize)]
pub struct MockSummary {
    /// Where.
    pub file: PathBuf,
    /// How many examples.
    pub rows: u64,
    /// The seed that gives the same again.
    pub seed: u64,
}

/// Checks a plan as the coordinator and every client do.
///
/// # Errors
/// [`Failure`] with every error, each with line, column, code and help.
pub fn plan(path: &Path) -> Result<PlanSummary, Failure> {
    let (plan, task, bytes) = read_plan(path)?;
    Ok(summary(&plan, &task, &bytes))
}

/// What a plan comes to with a committee of four; `bytes`: its file.
pub(crate) fn summary(plan: &Plan, task: &Task, bytes: &[u8]) -> PlanSummary {
    summary_of(plan, &terms(plan, task, CommitteeShape::Four), bytes)
}

/// A round's terms with such a committee, as far as they follow from the plan.
pub(crate) fn terms(plan: &Plan, task: &Task, shape: CommitteeShape) -> RoundConfig {
    let mut terms = plan.layout_terms(task.parameters() as u64);
    terms.shape = shape;
    // As in the plan's own terms: none where the rounds cannot be audited.
    if let Some(packing) = terms.derive_packing() {
        terms.packing = packing;
    }
    terms
}

/// What a plan comes to in rounds of these terms; `bytes`: its file.
pub(crate) fn summary_of(plan: &Plan, terms: &RoundConfig, bytes: &[u8]) -> PlanSummary {
    let Volume { update, keys, proof } = Volume::of(terms);
    PlanSummary {
        name: plan.name.to_string(),
        purpose: plan.purpose.clone(),
        digest: Plan::digest(bytes).to_string(),
        rounds: plan.training.rounds,
        parameters: terms.dimension,
        bytes_payload: update,
        bytes_fixed: keys,
        holders: terms.shape.members(),
        contributions_min: terms.contributions_min,
        contributions_max: terms.contributions_max,
        bytes_proof: proof,
        sends: plan.sends(terms.dimension),
        released_numbers: plan.released_numbers(),
        audit: plan.audit_notice().to_owned(),
        privacy: privacy_of(plan, terms),
    }
}

fn privacy_of(plan: &Plan, terms: &RoundConfig) -> Option<PrivacySummary> {
    let privacy = plan.privacy.as_ref()?;
    let share = terms.noise.as_ref().and_then(|noise| noise.share().ok());
    let least = f64::from(terms.contributions_min);
    Some(PrivacySummary {
        unit: match privacy.unit {
            Unit::Owner { .. } => "owner",
            Unit::Record { .. } => "record",
        },
        epsilon_round: plan.epsilon(terms.dimension, 1)?,
        epsilon: plan.epsilon(terms.dimension, plan.training.rounds)?,
        delta: privacy.delta.get(),
        noise_of_mean: share.map(|share| (share.to_f64() / least).sqrt() * terms.quantiser.step()),
        clipping: plan.clipping().zip(terms.noise.zip(share)).map(|(clipping, (noise, share))| {
            let vote = 2.0 * f64::from(noise.vote_units);
            let noise_of_share = (share.to_f64() / least).sqrt() / vote;
            ClippingSummary { quantile: clipping.quantile, noise_of_share }
        }),
    })
}

/// Checks data against a plan.
///
/// # Errors
/// [`Failure`], naming file, line and column.
pub fn data(
    source: &DataSource,
    plan: &Path,
    dataset_bytes_max: Option<u64>,
) -> Result<DataSummary, Failure> {
    let (plan, ..) = read_plan(plan)?;
    let limits = read_limits(dataset_bytes_max);
    let parts = Parts::load(source, &plan.data, plan.seed, limits);
    let Parts { training, holdout } = parts.map_err(|error| data_failure(&error))?;
    let held_out = holdout.as_ref().map_or(0, Dataset::len);
    let mut class_counts = training.class_counts();
    if let Some(holdout) = &holdout {
        for (count, more) in class_counts.iter_mut().zip(holdout.class_counts()) {
            *count += more;
        }
    }
    Ok(DataSummary {
        examples: training.len() + held_out,
        held_out,
        features: training.features(),
        class_counts,
    })
}

/// Half of the free memory, unless the owner says how many bytes.
pub(crate) fn read_limits(dataset_bytes_max: Option<u64>) -> ReadLimits {
    dataset_bytes_max
        .map_or_else(ReadLimits::default, |dataset_bytes_max| ReadLimits { dataset_bytes_max })
}

/// Writes synthetic data of a plan's form.
///
/// # Errors
/// [`Failure`] when the plan is bad, asks for more rows, or the file is there or cannot be written.
pub fn mock(plan: &Path, rows: u64, seed: u64, output: &Path) -> Result<MockSummary, Failure> {
    let (plan, ..) = read_plan(plan)?;
    let minimum = plan.data.rows().minimum;
    if rows < minimum.into() {
        let message = format!("{rows} rows, the plan asks every owner for {minimum} to train on");
        return Err(Failure::new(Exit::BadInput, "TOO_FEW_ROWS", message)
            .with_help("give more with --rows; a holdout takes its share on top"));
    }
    if output.exists() {
        let message = format!("{} exists already and is not overwritten", output.display());
        return Err(
            Failure::new(Exit::BadInput, "EXISTS", message).with_help("choose another file")
        );
    }
    mock::write(output, &plan.data, rows, seed).map_err(|error| {
        let message = format!("cannot write {}: {error}", output.display());
        Failure::new(Exit::Failed, "FILE", message)
    })?;
    Ok(MockSummary { file: output.to_owned(), rows, seed })
}

/// The same error with a help that says where an owner sets the limit it names.
pub(crate) fn with_setting(error: &DataError) -> DataError {
    let setting = "limits.dataset_bytes_max in policy.toml, or --dataset-bytes-max";
    let help = error.help.replace("dataset_bytes_max", setting);
    DataError { help, ..error.clone() }
}

/// The failure of an owner's file.
pub(crate) fn data_failure(error: &DataError) -> Failure {
    let error = with_setting(error);
    let place = error.place.to_string();
    let detail = json!({
        "kind": error.kind.as_str(), "file": error.path.display().to_string(),
        "place": place.trim_start_matches(", "), "message": error.problem, "help": error.help,
    });
    Failure::new(Exit::BadInput, "DATA", error).with_details(json!([detail]))
}

pub(crate) fn read_plan(path: &Path) -> Result<(Plan, Task, Vec<u8>), Failure> {
    let bytes = files::read(path, PLAN_BYTES_MAX.into())
        .map_err(|error| Failure::new(Exit::BadInput, "BAD_PLAN", error))?;
    parse_plan(bytes, path)
}

/// A plan of these bytes, which errors are told of as those of the file `path`.
pub(crate) fn parse_plan(bytes: Vec<u8>, path: &Path) -> Result<(Plan, Task, Vec<u8>), Failure> {
    let plan = Plan::from_bytes(&bytes).map_err(|errors| plan_failure(path, &bytes, &errors))?;
    let task = Task::from_plan(&plan).map_err(|error| {
        let (line, column) = (error.line, error.column);
        let detail = json!({
            "code": Code::Family.as_str(), "file": path.display().to_string(), "line": line,
            "column": column, "message": error.problem, "help": error.help,
        });
        Failure::new(
            Exit::BadInput,
            "BAD_PLAN",
            format!("{}:{line}:{column}: {error}", path.display()),
        )
        .with_details(json!([detail]))
    })?;
    noise(&plan, &task)?;
    Ok((plan, task, bytes))
}

/// Each contribution's noise. Of a family's model only here is known whether it fits.
pub(crate) fn noise(plan: &Plan, task: &Task) -> Result<Option<Noise>, Failure> {
    let parameters = task.parameters() as u64;
    plan.noise(parameters).map_err(|bad| {
        let what = format!("the noise of a model of {parameters} parameters: {bad}");
        Failure::new(Exit::BadInput, "BAD_PLAN", what).with_help(
            "raise secure_aggregation.range or cohort.minimum, or lower privacy.noise_multiplier",
        )
    })
}

fn plan_failure(path: &Path, bytes: &[u8], errors: &PlanErrors) -> Failure {
    file_failure("BAD_PLAN", path, bytes, errors)
}

/// The failure of a file that is read as plans are: every error with its line.
pub(crate) fn file_failure(
    code: &'static str,
    path: &Path,
    bytes: &[u8],
    errors: &PlanErrors,
) -> Failure {
    let errors = errors.errors();
    let text = String::from_utf8_lossy(bytes);
    let lines: Vec<String> = errors
        .iter()
        .map(|error| {
            let (line, column) = (error.line, error.column);
            let source = excerpt(&text, line, column).map(|source| format!("\n{source}"));
            let source = source.unwrap_or_default();
            format!("{}:{line}:{column}: {error}{source}", path.display())
        })
        .collect();
    let details = errors.iter().map(|error| {
        json!({
            "code": error.code.as_str(), "file": path.display().to_string(), "line": error.line,
            "column": error.column, "message": error.message, "help": error.help,
        })
    });
    let message = format!("{} error(s)\n{}", errors.len(), lines.join("\n"));
    Failure::new(Exit::BadInput, code, message).with_details(details.collect())
}

impl fmt::Display for PlanSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let per = |bytes: u64| bytes as f64 / self.parameters.max(1) as f64;
        writeln!(f, "plan ok: {} ({})", self.name, self.purpose)?;
        writeln!(f, "digest         {}", self.digest)?;
        writeln!(f, "rounds         {}", self.rounds)?;
        writeln!(f, "parameters     {}", self.parameters)?;
        writeln!(
            f,
            "leaves         per round {} bytes of ciphertext and {} of keys and header: {:.2} \
             bytes per parameter (plain f32: 4)",
            self.bytes_payload,
            self.bytes_fixed,
            per(self.bytes_payload + self.bytes_fixed)
        )?;
        if self.bytes_proof > 0 {
            writeln!(f, "audit          a proof of {} bytes more", self.bytes_proof)?;
        }
        writeln!(
            f,
            "sums           of {} to {} contributions",
            self.contributions_min, self.contributions_max
        )?;
        writeln!(f, "each round     {}", self.sends)?;
        if let Some(privacy) = &self.privacy {
            let PrivacySummary { unit, epsilon_round, epsilon, delta, noise_of_mean, clipping } =
                privacy;
            write!(
                f,
                "privacy        of every {unit}: epsilon {epsilon_round:.3} a round, {epsilon:.3} in \
                 {} rounds, at delta {delta:e}",
                self.rounds
            )?;
            match noise_of_mean {
                Some(noise) => writeln!(
                    f,
                    "; noise of {noise:.2e} on each number of the mean of {} updates",
                    self.contributions_min
                )?,
                None => writeln!(f, ", for an owner of the plan's fewest examples")?,
            }
            if let Some(ClippingSummary { quantile, noise_of_share }) = clipping {
                writeln!(
                    f,
                    "clip           follows the updates: {:.0} % of them are to be within it, a share \
                     that is known to +-{:.1} % a round",
                    100.0 * quantile,
                    100.0 * noise_of_share
                )?;
            }
        } else {
            writeln!(f, "privacy        no noise: nothing bounds what sums tell about one owner")?;
        }
        if self.released_numbers > 0 {
            writeln!(
                f,
                "published      of each owner and round pass or fail, and {} numbers",
                self.released_numbers
            )?;
        }
        write!(f, "note           {}", self.audit)
    }
}

impl fmt::Display for DataSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "data ok: {} examples of {} numbers", self.examples, self.features)?;
        if self.held_out > 0 {
            write!(f, ", {} of them held out", self.held_out)?;
        }
        let counts: Vec<String> = self.class_counts.iter().map(u32::to_string).collect();
        if !counts.is_empty() {
            write!(f, "\nper class: {} (shown here only)", counts.join(" "))?;
        }
        Ok(())
    }
}

impl fmt::Display for MockSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, rows, seed } = self;
        write!(f, "{}: {rows} synthetic examples, seed {seed}; none is real", file.display())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of a family's model the plan does not say how many parameters there are: only the task does.
    #[test]
    fn noise_without_room_is_told_once_the_model_is_known() {
        let text = include_str!("../../examples/plans/digits-private.toml");
        let (mut plan, task, _) =
            parse_plan(text.as_bytes().to_vec(), Path::new("plan.toml")).expect("a plan");
        assert!(noise(&plan, &task).expect("it has room").is_some());
        plan.secure_aggregation.range = 0.5;
        let failure = noise(&plan, &task).expect_err("no room");
        let (told, help) = (failure.to_string(), failure.help.unwrap_or_default());
        assert!(told.contains("a model of 650 parameters") && told.contains("leaves 0"), "{told}");
        assert!(help.contains("secure_aggregation.range"), "{help}");
    }
}
