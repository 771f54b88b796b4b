//! `datasets.toml`: names of an owner's data, in its folder.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use covey_aggregation::net::files;
use covey_aggregation::party::Name;
use covey_aggregation::program::config::{ConfigError, read};
use covey_aggregation::program::{Exit, Failure};
use covey_model::data::DataSource;
use serde::{Deserialize, Serialize};

/// The file's name in an owner's folder.
pub const DATASETS_FILE: &str = "datasets.toml";

/// Named data. Paths are absolute.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Datasets {
    schema: Schema,
    #[serde(default)]
    datasets: BTreeMap<String, DataSource>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
enum Schema {
    #[default]
    #[serde(rename = "datasets/1")]
    Datasets1,
}

/// A name that was given or forgotten.
#[derive(Debug, Serialize)]
pub struct Change {
    name: String,
    source: DataSource,
    file: PathBuf,
    #[serde(skip)]
    was_added: bool,
}

impl Datasets {
    /// Reads the names in an owner's folder; none where there is no such file.
    ///
    /// # Errors
    /// [`ConfigError`] with file and line.
    pub fn read(folder: &Path) -> Result<Self, ConfigError> {
        let path = folder.join(DATASETS_FILE);
        if path.exists() { read(&path) } else { Ok(Self::default()) }
    }

    /// The data of a name.
    #[must_use]
    pub fn get(&self, name: &Name) -> Option<&DataSource> {
        self.datasets.get(name.as_str())
    }

    fn write(&self, folder: &Path) -> Result<PathBuf, Failure> {
        let path = folder.join(DATASETS_FILE);
        let text =
            toml::to_string(self).map_err(|error| Failure::new(Exit::Failed, "FILE", error))?;
        files::write_durably(&path, text.as_bytes()).map_err(|error| Failure::file(&error))?;
        Ok(path)
    }
}

/// Gives data a name.
///
/// # Errors
/// [`Failure`] when the name is taken by other data, or a file is missing. Giving the same data
/// the same name again changes nothing.
pub fn add(folder: &Path, name: Name, source: &DataSource) -> Result<Change, Failure> {
    let mut source = source.clone();
    for path in source.paths_mut() {
        *path = path.canonicalize().map_err(|error| {
            let message = format!("cannot read {}: {error}", path.display());
            Failure::new(Exit::BadInput, "DATA", message).with_help("check the path of the data")
        })?;
    }
    let mut datasets = Datasets::read(folder)?;
    if datasets.get(&name).is_some_and(|known| *known != source) {
        let message = format!("there are other data named {name} in {}", folder.display());
        return Err(Failure::new(Exit::BadInput, "NAME_TAKEN", message)
            .with_help(format!("choose another name, or first: covey-client data remove {name}")));
    }
    datasets.datasets.insert(name.to_string(), source.clone());
    let file = datasets.write(folder)?;
    Ok(Change { name: name.to_string(), source, file, was_added: true })
}

/// Forgets a name.
///
/// # Errors
/// [`Failure`] when there is no such name.
pub fn remove(folder: &Path, name: &Name) -> Result<Change, Failure> {
    let mut datasets = Datasets::read(folder)?;
    let Some(source) = datasets.datasets.remove(name.as_str()) else {
        return Err(unknown(folder, name));
    };
    let file = datasets.write(folder)?;
    Ok(Change { name: name.to_string(), source, file, was_added: false })
}

/// The failure of a name that nothing has, nor any file here.
pub(crate) fn unknown(folder: &Path, name: &Name) -> Failure {
    let message = format!(
        "no data named {name} in {}, and no such file",
        folder.join(DATASETS_FILE).display()
    );
    Failure::new(Exit::BadInput, "NO_DATA", message).with_help(
        "see covey-client data list, give a path, or name data with covey-client data add; --dir \
         says which owner's folder",
    )
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, source, file, was_added } = self;
        if !was_added {
            return write!(f, "{name} is forgotten ({}); the data stay", file.display());
        }
        writeln!(f, "{name} is {} ({})", place(source), file.display())?;
        writeln!(f, "in client.toml:  [data]  name = \"{name}\"")?;
        write!(f, "next:  covey-client data check {name} --plan PLAN")
    }
}

impl fmt::Display for Datasets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.datasets.is_empty() {
            return write!(f, "no data have a name; give one: covey-client data add NAME PATH");
        }
        let lines: Vec<String> = self
            .datasets
            .iter()
            .map(|(name, source)| format!("{name:<20} {}", place(source)))
            .collect();
        f.write_str(&lines.join("\n"))
    }
}

fn place(source: &DataSource) -> String {
    let paths: Vec<String> = source.paths().iter().map(|path| path.display().to_string()).collect();
    format!("{} {}", source.format().as_str(), paths.join(", "))
}
