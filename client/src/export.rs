//! A trained model taken away: computed again from what a run published, or read from a file, and
//! written in the forms of other tools.
//!
//! # Decisions
//! - A model of a run is never taken on the coordinator's word: it is computed from the plan's
//!   first model and the published sums, and every round must have begun with the model that the
//!   rounds before it lead to. With the roster, the ciphertexts are added again as well.
//! - What was and what was not checked goes into the card and into provenance.json.
//! - Files that are there are never overwritten.

mod card;
mod config;

use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use covey_aggregation::hash::Digest;
use covey_aggregation::plan::Plan;
use covey_aggregation::program::{Exit, Failure};
use covey_model::export::{ExportError, Metadata, onnx, safetensors, script};
use covey_model::task::Task;
use covey_model::weights;
use serde::Serialize;

use crate::check::read_plan;
use crate::replay::{self, Replayed};

/// The form of an exported model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Form {
    /// model.safetensors, with the names and layout of PyTorch.
    Safetensors,
    /// model.safetensors, config.json, load.py (the model in PyTorch), README.md (its card),
    /// provenance.json and plan.toml.
    HfFolder,
    /// model.onnx.
    Onnx,
}

/// What to export, and how.
#[derive(Clone, Debug)]
pub struct Options {
    /// The folder of a run's published rounds, the coordinator's state folder, or a file with
    /// parameters.
    pub from: PathBuf,
    /// The run's plan.
    pub plan: PathBuf,
    /// The model after this round, 0 for the one that the run began with; of the last published
    /// round if not given.
    pub round: Option<u32>,
    /// In which form.
    pub form: Form,
    /// The folder to write to; made if need be.
    pub out: PathBuf,
    /// The reader's own roster: with it, everything published is checked.
    pub roster: Option<PathBuf>,
}

/// A model that was exported.
#[derive(Debug, Serialize)]
pub struct Exported {
    /// The folder.
    pub folder: PathBuf,
    /// The files in it that were written.
    pub files: Vec<&'static str>,
    /// In which form.
    pub form: Form,
    /// The plan's name.
    pub plan: String,
    /// The run, where it is known.
    pub run: Option<String>,
    /// The round after which it is, where it is known.
    pub round: Option<u32>,
    /// Digest of the parameters, as rounds name them.
    pub model: String,
    /// How many of them.
    pub parameters: usize,
    /// What was checked, and what was not.
    pub checked: Vec<String>,
}

/// A model and where it comes from.
struct Model {
    plan: Plan,
    plan_bytes: Vec<u8>,
    task: Task,
    parameters: Vec<f32>,
    digest: Digest,
    /// The run, where the model was computed from one.
    replayed: Option<Replayed>,
}

/// Exports a model.
///
/// # Errors
/// [`Failure`]: the plan or the file is bad, a round is missing or does not follow from the ones
/// before it ([`Exit::Unverified`]), a layer cannot be said in that form, a file is there already.
pub fn export(options: &Options) -> Result<Exported, Failure> {
    let model = Model::read(options)?;
    let files = model.files(options.form)?;
    write(&options.out, &files)?;
    Ok(Exported {
        folder: options.out.clone(),
        files: files.iter().map(|(name, _)| *name).collect(),
        form: options.form,
        plan: model.plan.name.to_string(),
        run: model.replayed.as_ref().map(|run| run.run.to_string()),
        round: model.replayed.as_ref().map(|run| run.round),
        model: model.digest.to_string(),
        parameters: model.parameters.len(),
        checked: model.checked(),
    })
}

impl Model {
    fn read(options: &Options) -> Result<Self, Failure> {
        let (plan, task, plan_bytes) = read_plan(&options.plan)?;
        let task = match task.start() {
            Some(start) if start.file.is_some() => weights::started(task, &options.plan)
                .map_err(|error| Failure::new(Exit::BadInput, "BAD_START", error))?,
            _ => task,
        };
        if options.from.is_dir() {
            let roster = options.roster.as_deref();
            let source = replay::Source { from: &options.from, round: options.round, roster };
            let (task, parameters, replayed) =
                replay::replay(&source, (&plan, Plan::digest(&plan_bytes)), task)?;
            let digest = task.parameters_digest(&parameters);
            let replayed = Some(replayed);
            return Ok(Self { plan, plan_bytes, task, parameters, digest, replayed });
        }
        if options.round.is_some() || options.roster.is_some() {
            let message = format!("{} is one model, not a run with rounds", options.from.display());
            return Err(Failure::new(Exit::BadInput, "NO_RUN", message).with_help(
                "give the folder of the published rounds, or leave out --round and --roster",
            ));
        }
        let parameters = weights::read_model(&options.from, &task)
            .map_err(|error| Failure::new(Exit::BadInput, "BAD_MODEL", error))?;
        let digest = task.parameters_digest(&parameters);
        Ok(Self { plan, plan_bytes, task, parameters, digest, replayed: None })
    }

    fn files(&self, form: Form) -> Result<Vec<(&'static str, Vec<u8>)>, Failure> {
        let (task, parameters, words) = (&self.task, &self.parameters[..], self.words());
        let weights =
            || safetensors(task, parameters, &words).map(|bytes| ("model.safetensors", bytes));
        let files = match form {
            Form::Safetensors => vec![weights().map_err(refused)?],
            Form::Onnx => {
                vec![("model.onnx", onnx(task, parameters, &words).map_err(refused)?)]
            }
            Form::HfFolder => vec![
                ("load.py", script(task).map_err(refused)?.into_bytes()),
                weights().map_err(refused)?,
                ("config.json", json(&config::config(self)?)),
                ("provenance.json", json(&self.provenance())),
                ("README.md", card::card(self).into_bytes()),
                ("plan.toml", self.plan_bytes.clone()),
            ],
        };
        Ok(files)
    }

    /// What goes into the model's file itself.
    fn words(&self) -> Metadata {
        let mut words = Metadata::from([
            ("covey.plan".to_owned(), self.plan.name.to_string()),
            ("covey.plan_digest".to_owned(), Plan::digest(&self.plan_bytes).to_string()),
            ("covey.model_digest".to_owned(), self.digest.to_string()),
        ]);
        if let Some(run) = &self.replayed {
            words.insert("covey.run".to_owned(), run.run.to_string());
            words.insert("covey.round".to_owned(), run.round.to_string());
        }
        words
    }

    /// What was checked, and what was not, in sentences.
    fn checked(&self) -> Vec<String> {
        match &self.replayed {
            Some(run) => run.checked(),
            None => vec![
                "not checked: where the parameters come from; they were read from a file"
                    .to_owned(),
            ],
        }
    }

    fn provenance(&self) -> Provenance<'_> {
        Provenance {
            schema_version: 1,
            exported_by: concat!("covey-client ", env!("CARGO_PKG_VERSION")),
            plan: self.plan.name.to_string(),
            plan_digest: Plan::digest(&self.plan_bytes).to_string(),
            manifest_digest: self.task.manifest_digest().to_string(),
            model_digest: self.digest.to_string(),
            checked: self.checked(),
            run: self.replayed.as_ref(),
        }
    }
}

/// Where a model comes from.
#[derive(Serialize)]
struct Provenance<'a> {
    schema_version: u32,
    exported_by: &'static str,
    plan: String,
    plan_digest: String,
    manifest_digest: String,
    model_digest: String,
    checked: Vec<String>,
    #[serde(flatten)]
    run: Option<&'a Replayed>,
}

fn json(value: &impl Serialize) -> Vec<u8> {
    let mut bytes = serde_json::to_vec_pretty(value).unwrap_or_default();
    bytes.push(b'\n');
    bytes
}

pub(crate) fn refused(error: ExportError) -> Failure {
    let help = match &error {
        ExportError::NoEquivalent { .. } | ExportError::TooLong { .. } => {
            "choose another form: --format hf-folder or safetensors"
        }
        ExportError::Family => "choose --format safetensors",
        ExportError::NoBase => {
            "put the file that the plan starts from beside it, and name it: \
             `file = \"model.safetensors\"` in model.start"
        }
        _ => "give the plan that the model was trained by",
    };
    Failure::new(Exit::BadInput, "CANNOT_EXPORT", error).with_help(help)
}

/// Writes all files or says which one it could not.
fn write(folder: &Path, files: &[(&'static str, Vec<u8>)]) -> Result<(), Failure> {
    let failed = |path: &Path, error: io::Error| {
        let message = format!("cannot write {}: {error}", path.display());
        Failure::new(Exit::Failed, "FILE", message)
    };
    fs::create_dir_all(folder).map_err(|error| failed(folder, error))?;
    let exists = |path: &Path| {
        let message = format!("{} exists already and is not overwritten", path.display());
        Failure::new(Exit::BadInput, "EXISTS", message)
            .with_help("choose another folder with --out")
    };
    // Before anything is written.
    if let Some((name, _)) = files.iter().find(|(name, _)| folder.join(name).exists()) {
        return Err(exists(&folder.join(name)));
    }
    for (name, bytes) in files {
        let path = folder.join(name);
        let file = OpenOptions::new().write(true).create_new(true).open(&path);
        let mut file = file.map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => exists(&path),
            _ => failed(&path, error),
        })?;
        let written = file.write_all(bytes).and_then(|()| file.sync_all());
        written.map_err(|error| failed(&path, error))?;
    }
    Ok(())
}

impl fmt::Display for Exported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { folder, files, plan, parameters, model, .. } = self;
        write!(f, "{}: {}", folder.display(), files.join(", "))?;
        write!(f, "\nmodel   {model} of plan {plan}, {parameters} parameters")?;
        if let (Some(run), Some(round)) = (&self.run, self.round) {
            write!(f, "\nrun     {run}, after round {round}")?;
        }
        for line in &self.checked {
            write!(f, "\n  - {line}")?;
        }
        if self.form == Form::HfFolder {
            write!(f, "\ntry it:  python {}", folder.join("load.py").display())?;
        }
        Ok(())
    }
}
