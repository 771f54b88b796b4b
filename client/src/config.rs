//! `client.toml`.

use std::path::{Path, PathBuf};

use covey_aggregation::program::config::{ConfigError, beside, read};
use covey_model::data::DataSource;
use covey_model::device::DeviceChoice;
use serde::{Deserialize, Deserializer};

use crate::limits::Limits;

/// The configuration's name in an owner's folder.
pub const CONFIG_FILE: &str = "client.toml";

/// An owner's configuration. Paths are relative to the file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Version of this file's format.
    #[serde(rename = "schema")]
    _schema: Schema,
    /// The coordinator's address, `host:port`.
    pub coordinator: String,
    /// The folder with identity.key, member.pem, authority.pem, roster.json.
    #[serde(default = "here")]
    pub folder: PathBuf,
    /// The folder with records and sealed updates. Never run two clients with one, nor copy it.
    #[serde(default = "state")]
    pub state: PathBuf,
    /// Where to train: `auto`, `cpu` or `cuda:0`.
    #[serde(default = "auto", deserialize_with = "device")]
    pub device: DeviceChoice,
    /// The data to train on.
    pub data: DataSource,
    /// What the owner allows.
    pub limits: Limits,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
enum Schema {
    #[serde(rename = "client/1")]
    Client1,
}

fn here() -> PathBuf {
    PathBuf::from(".")
}

fn state() -> PathBuf {
    PathBuf::from("state")
}

const fn auto() -> DeviceChoice {
    DeviceChoice::Auto
}

fn device<'de, D: Deserializer<'de>>(deserializer: D) -> Result<DeviceChoice, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(serde::de::Error::custom)
}

impl Config {
    /// Reads a configuration.
    ///
    /// # Errors
    /// [`ConfigError`] with file and line.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let mut config: Self = read(path)?;
        config.limits.check().map_err(|message| ConfigError {
            path: path.to_owned(),
            at: None,
            message,
        })?;
        config.folder = beside(path, &config.folder);
        config.state = beside(path, &config.state);
        let files: &mut [&mut PathBuf] = match &mut config.data {
            DataSource::Csv { path, .. } => &mut [path],
            DataSource::Idx { images, labels } => &mut [images, labels],
        };
        for file in files {
            **file = beside(path, file);
        }
        Ok(config)
    }

    /// The text of a new configuration. Allows nothing yet: that is for the owner to say.
    #[must_use]
    pub fn template(coordinator: &str) -> String {
        format!(
            r#"schema = "client/1"
coordinator = {coordinator:?}   # host:port, UDP
folder = "."                    # identity.key, member.pem, authority.pem, roster.json
state = "state"                 # records and sealed updates; never copy it to run it twice
device = "auto"                 # auto, cpu, cuda:0

[data]                          # stays on this machine
format = "csv"                  # csv, or: format = "idx", images = "...", labels = "..."
path = "data.csv"               # plain or gzip

[limits]                        # what may run here; nobody upstream can loosen it
purposes = []                   # purposes allowed, "*" for any text: ["*readmission*"]
max_rounds = 200                # no plan with more rounds
extra_rounds = 0                # rounds beyond the plan's, if the operator extends the run
max_counters = 4096             # counts of held-out examples that may leave, inside the sum
control = true                  # whether SCAFFOLD's second vector may leave, inside the sum
min_contributions = 3           # nothing is opened with fewer owners; 10 is better
"#
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &str) -> Result<Config, ConfigError> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join(CONFIG_FILE);
        std::fs::write(&path, text).expect("written");
        Config::read(&path)
    }

    #[test]
    fn the_template_is_a_configuration_that_allows_nothing() {
        let config = read_text(&Config::template("a.example:1")).expect("read");
        assert_eq!(config.coordinator, "a.example:1");
        assert!(config.limits.purposes.is_empty());
        let DataSource::Csv { path, .. } = config.data else { panic!("not a CSV file") };
        assert!(path.is_absolute(), "{path:?}");
    }

    #[test]
    fn each_fault_of_a_configuration_is_said_with_its_line() {
        let good = Config::template("a.example:1");
        let bad = [
            (good.replace("client/1", "client/9"), "client.toml:1:10: "),
            (good.replace("state =", "stat ="), "client.toml:4:1: unknown field `stat`"),
            (good.replace("\"auto\"", "\"gpu\""), "client.toml:5:10: \"gpu\" is no device"),
            (good.replace("\"csv\"", "\"xls\""), "unknown variant `xls`"),
            (good.replace("path =", "file ="), "`file`"),
            (good.replace("= 200", "= -1"), "client.toml:13:14: "),
            (good.replace("[limits]", "[limit]"), "unknown field `limit`"),
            (good.replace("min_contributions = 3", "min_contributions = 2"), "at least 3"),
            (good.replace("max_rounds = 200", "max_rounds = 200\nepsilon = 1"), "`epsilon`"),
            (good.replace("coordinator =", "# coordinator ="), "missing field `coordinator`"),
            (good.replace("purposes = []", ""), "missing field `purposes`"),
        ];
        for (text, expected) in bad {
            let error = read_text(&text).expect_err(&text).to_string();
            assert!(error.contains(expected), "{error}\nexpected {expected}");
        }
    }
}
