//! Plans to begin with. Each is complete: it passes `plan check` as it is, and says in comments
//! what to change.

use std::fmt;
use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use covey_aggregation::party::Name;
use covey_aggregation::program::{Exit, Failure};
use serde::Serialize;

/// What a plan to begin with is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Template {
    /// Rows of a table, such as patients, and a class to predict.
    Tabular,
    /// Small pictures, and a convolutional network.
    Image,
    /// Small pictures, and a network without convolutions.
    ImageMlp,
    /// Running text, and a transformer that predicts the next character.
    Text,
}

impl Template {
    /// The plan, under this name.
    #[must_use]
    pub fn plan(self, name: &Name) -> String {
        let text = match self {
            Self::Tabular => include_str!("templates/tabular.toml"),
            Self::Image => include_str!("templates/image.toml"),
            Self::ImageMlp => include_str!("templates/image-mlp.toml"),
            Self::Text => include_str!("templates/text.toml"),
        };
        text.replacen("name = \"NAME\"", &format!("name = \"{name}\""), 1)
    }
}

/// A plan that was written.
#[derive(Debug, Serialize)]
pub struct NewPlan {
    /// Where.
    pub file: PathBuf,
    /// From which template.
    pub template: Template,
}

/// Writes a plan to begin with: `output`, or the name with `.toml`.
///
/// # Errors
/// [`Failure`] when the file is there already or cannot be written.
pub fn create(name: &Name, template: Template, output: Option<&Path>) -> Result<NewPlan, Failure> {
    let file = output.map_or_else(|| PathBuf::from(format!("{name}.toml")), Path::to_owned);
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&file)
        .and_then(|mut opened| opened.write_all(template.plan(name).as_bytes()));
    match written {
        Ok(()) => Ok(NewPlan { file, template }),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let message = format!("{} exists already and is not overwritten", file.display());
            Err(Failure::new(Exit::BadInput, "EXISTS", message)
                .with_help("choose another name, or another file with --output"))
        }
        Err(error) => {
            let message = format!("cannot write {}: {error}", file.display());
            Err(Failure::new(Exit::Failed, "FILE", message))
        }
    }
}

impl fmt::Display for NewPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = self.file.display();
        writeln!(f, "{file} is a plan to begin with: read its comments and change what they say")?;
        writeln!(f, "next:  covey-client plan check {file}")?;
        write!(f, "       covey-client plan explain {file}")
    }
}
