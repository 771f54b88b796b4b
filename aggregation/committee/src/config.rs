//! `holder.toml`.

use std::path::{Path, PathBuf};

use covey_aggregation::program::config::{ConfigError, beside, read};
use serde::Deserialize;

/// The configuration's name in a holder's folder.
pub const CONFIG_FILE: &str = "holder.toml";

/// A holder's configuration. Paths are relative to the file.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Version of this file's format.
    #[serde(rename = "schema")]
    _schema: Schema,
    /// The coordinator's address, `host:port`.
    pub coordinator: String,
    /// The folder with identity.key, sealing.key, member.pem, authority.pem, roster.json.
    #[serde(default = "here")]
    pub folder: PathBuf,
    /// The folder with the holder's records. Never run two holders with one, nor copy it.
    #[serde(default = "state")]
    pub state: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
enum Schema {
    #[serde(rename = "holder/1")]
    Holder1,
}

fn here() -> PathBuf {
    PathBuf::from(".")
}

fn state() -> PathBuf {
    PathBuf::from("state")
}

impl Config {
    /// Reads a configuration.
    ///
    /// # Errors
    /// [`ConfigError`] with file and line.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let mut config: Self = read(path)?;
        config.folder = beside(path, &config.folder);
        config.state = beside(path, &config.state);
        Ok(config)
    }

    /// The text of a new configuration.
    #[must_use]
    pub fn template(coordinator: &str) -> String {
        format!(
            "schema = \"holder/1\"\n\
             coordinator = {coordinator:?}  # host:port, UDP\n\
             # The folder with identity.key, sealing.key, member.pem, authority.pem, roster.json.\n\
             folder = \".\"\n\
             state = \"state\"              # what was signed; never copy it to run it twice\n"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_template_is_a_configuration_with_paths_beside_it() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join(CONFIG_FILE);
        std::fs::write(&path, Config::template("a.example:1")).expect("written");
        let config = Config::read(&path).expect("read");
        assert_eq!(config.coordinator, "a.example:1");
        assert_eq!(config.state, folder.path().join("state"));
    }
}
