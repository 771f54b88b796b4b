//! `holder.toml`.

use std::path::{Path, PathBuf};

use covey_aggregation::net::{Route, TransportChoice};
use covey_aggregation::program::config::{ConfigError, beside, read};
use covey_model::data::DataSource;
use serde::Deserialize;

use crate::approvals::Approve;

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
    /// What to reach it by.
    #[serde(default)]
    pub transport: TransportChoice,
    /// The folder with identity.key, sealing.key, member.pem, authority.pem, roster.json.
    #[serde(default = "here")]
    pub folder: PathBuf,
    /// The folder with the holder's records. Never run two holders with one, nor copy it.
    #[serde(default = "state")]
    pub state: PathBuf,
    /// This holder's copy of the validation pool, where plans with credit are to be carried out.
    #[serde(default)]
    pub validation_data: Option<DataSource>,
    /// Who comes and goes.
    #[serde(default)]
    pub members: Members,
    /// Whether a state that is older than what this holder has signed is gone on with: typed for one start.
    #[serde(skip)]
    pub accept_loss: bool,
}

/// How this holder comes to sign who comes and goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Members {
    /// By rule, or by hand.
    #[serde(default)]
    pub approve: Approve,
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
        for file in config.validation_data.iter_mut().flat_map(DataSource::paths_mut) {
            *file = beside(path, file);
        }
        Ok(config)
    }

    /// The way to the coordinator.
    #[must_use]
    pub fn route(&self) -> Route {
        Route::new(self.coordinator.clone(), self.transport)
    }

    /// The text of a new configuration.
    #[must_use]
    pub fn template(coordinator: &str) -> String {
        format!(
            "schema = \"holder/1\"\n\
             coordinator = {coordinator:?}  # host:port, UDP, or TCP where UDP does not get through\n\
             # auto: QUIC (UDP), and TLS over TCP where nothing answers; quic, tcp\n\
             # transport = \"auto\"\n\
             # The folder with identity.key, sealing.key, member.pem, authority.pem, roster.json.\n\
             folder = \".\"\n\
             state = \"state\"              # what was signed; never copy it to run it twice\n\
             # Plans with credit need the validation pool: the very file that the coordinator and the\n\
             # other holders have.\n\
             # validation_data = {{ format = \"csv\", path = \"pool.csv\" }}\n\
             \n\
             [members]\n\
             # Who comes and goes is signed by a quorum of the holders: by rule (\"auto\"), or by you\n\
             # (\"by-hand\": covey-committee members list, approve, deny).\n\
             approve = \"auto\"\n"
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
