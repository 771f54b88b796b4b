//! `researcher.toml`.

use std::path::{Path, PathBuf};

use covey_aggregation::net::{Route, TransportChoice};
use covey_aggregation::program::Failure;
use covey_aggregation::program::config::{beside, read};
use serde::Deserialize;

/// The configuration's name in a researcher's folder.
pub const CONFIG_FILE: &str = "researcher.toml";

/// A researcher's configuration, its paths made absolute.
#[derive(Clone, Debug)]
pub struct Config {
    /// The coordinator's address, `host:port`.
    pub coordinator: String,
    /// What to reach it by.
    pub transport: TransportChoice,
    /// The folder with identity.key, member.pem, authority.pem, roster.json.
    pub folder: PathBuf,
}

/// The file as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(rename = "schema")]
    _schema: Schema,
    coordinator: String,
    #[serde(default)]
    transport: TransportChoice,
    #[serde(default = "here")]
    folder: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
enum Schema {
    #[serde(rename = "researcher/1")]
    Researcher1,
}

fn here() -> PathBuf {
    PathBuf::from(".")
}

impl Config {
    /// Reads a configuration.
    ///
    /// # Errors
    /// [`Failure`] with file and line.
    pub fn read(path: &Path) -> Result<Self, Failure> {
        let file: File = read(path).map_err(|error| {
            let failure = Failure::from(error);
            if path.exists() {
                return failure;
            }
            failure.with_help(
                "name a researcher's configuration with --config or COVEY_RESEARCHER; \
                 covey-client init --role researcher makes one",
            )
        })?;
        let (coordinator, transport) = (file.coordinator, file.transport);
        Ok(Self { coordinator, transport, folder: beside(path, &file.folder) })
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
            r#"schema = "researcher/1"
coordinator = {coordinator:?}   # host:port, UDP, or TCP where UDP does not get through
folder = "."                    # identity.key, member.pem, authority.pem, roster.json
# transport = "auto"            # auto: QUIC (UDP), and TLS over TCP where nothing answers; quic, tcp
"#
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_template_is_a_configuration_and_an_owners_is_none() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join(CONFIG_FILE);
        std::fs::write(&path, Config::template("a.example:1")).expect("written");
        let config = Config::read(&path).expect("read");
        assert_eq!(config.coordinator, "a.example:1");
        assert!(config.folder.starts_with(folder.path()));
        std::fs::write(&path, crate::Config::template("a.example:1")).expect("written");
        let error = Config::read(&path).expect_err("an owner's").to_string();
        assert!(error.contains("researcher.toml:12:2: unknown field `data`"), "{error}");
        let missing = Config::read(&folder.path().join("none.toml")).expect_err("no file");
        assert!(missing.help.is_some_and(|help| help.contains("--config")));
    }
}
