//! `client.toml`.

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use covey_aggregation::net::{Route, TransportChoice};
use covey_aggregation::party::Name;
use covey_aggregation::program::Failure;
use covey_aggregation::program::config::{ConfigError, beside, read};
use covey_model::data::DataSource;
use covey_model::device::{DeviceChoice, DeviceRules, Fallback, Precision};
use serde::{Deserialize, Deserializer};

use crate::datasets::{DATASETS_FILE, Datasets};
use crate::policy::{BadPolicy, POLICY_FILE, Policy};

/// The configuration's name in an owner's folder.
pub const CONFIG_FILE: &str = "client.toml";

/// An owner's configuration, its paths made absolute.
#[derive(Clone, Debug)]
pub struct Config {
    /// The coordinator's address, `host:port`.
    pub coordinator: String,
    /// What to reach it by.
    pub transport: TransportChoice,
    /// The folder with identity.key, member.pem, authority.pem, roster.json, datasets.toml.
    pub folder: PathBuf,
    /// The folder with records and sealed updates. Never run two clients with one, nor copy it.
    pub state: PathBuf,
    /// Where to train: `auto`, `cpu` or `cuda:0`; what to do where a card cannot be used; and
    /// how much of its memory may be used.
    pub device: DeviceRules,
    /// The data to train on.
    pub data: DataSource,
    /// The name of the data in datasets.toml, if they are named so.
    pub data_name: Option<Name>,
    /// What the owner allows.
    pub policy: Policy,
    /// Where the account of what was told about the data is kept; beside the data if not given.
    pub privacy_account: Option<PathBuf>,
}

/// A configuration that cannot be used, or its policy.
#[derive(Debug, thiserror::Error)]
pub enum BadConfig {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The policy that it names.
    #[error(transparent)]
    Policy(#[from] BadPolicy),
}

impl From<BadConfig> for Failure {
    fn from(bad: BadConfig) -> Self {
        match bad {
            BadConfig::Config(error) => error.into(),
            BadConfig::Policy(error) => error.into(),
        }
    }
}

/// The file as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(rename = "schema")]
    _schema: Schema,
    coordinator: String,
    #[serde(default, deserialize_with = "word")]
    transport: TransportChoice,
    #[serde(default = "here")]
    folder: PathBuf,
    #[serde(default = "state")]
    state: PathBuf,
    #[serde(default = "auto", deserialize_with = "word")]
    device: DeviceChoice,
    #[serde(default, deserialize_with = "word")]
    device_fallback: Fallback,
    #[serde(default, deserialize_with = "word")]
    device_precision: Precision,
    #[serde(deserialize_with = "data")]
    data: Data,
    #[serde(default = "policy")]
    policy: PathBuf,
    #[serde(default)]
    privacy_account: Option<PathBuf>,
}

/// The data to train on: `name = "..."` alone, or a source.
enum Data {
    Named(Name),
    Source(DataSource),
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

fn policy() -> PathBuf {
    PathBuf::from(POLICY_FILE)
}

const fn auto() -> DeviceChoice {
    DeviceChoice::Auto
}

/// Anything that is written as one word.
fn word<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err: Display>,
{
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(serde::de::Error::custom)
}

fn data<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Data, D::Error> {
    use serde::de::Error as _;
    let mut table = toml::Table::deserialize(deserializer)?;
    match table.remove("name") {
        None => DataSource::deserialize(table).map(Data::Source).map_err(D::Error::custom),
        Some(toml::Value::String(name)) if table.is_empty() => {
            name.parse().map(Data::Named).map_err(D::Error::custom)
        }
        Some(_) => Err(D::Error::custom(
            "`name` is the name of data in datasets.toml, and stands alone: remove the other fields",
        )),
    }
}

impl Config {
    /// Reads a configuration and the policy that it names.
    ///
    /// # Errors
    /// [`BadConfig`] with file and line.
    pub fn read(path: &Path) -> Result<Self, BadConfig> {
        let file: File = read(path)?;
        let wrong = |message| ConfigError { path: path.to_owned(), at: None, message };
        let policy = Policy::read(&beside(path, &file.policy))?;
        let folder = beside(path, &file.folder);
        let (data_name, data) = match file.data {
            Data::Source(mut source) => {
                for file in source.paths_mut() {
                    *file = beside(path, file);
                }
                (None, source)
            }
            Data::Named(name) => {
                let source = Datasets::read(&folder)?.get(&name).cloned().ok_or_else(|| {
                    let file = folder.join(DATASETS_FILE);
                    wrong(format!(
                        "data.name = \"{name}\" is not in {}; add it with covey-client data add",
                        file.display()
                    ))
                })?;
                (Some(name), source)
            }
        };
        Ok(Self {
            coordinator: file.coordinator,
            transport: file.transport,
            state: beside(path, &file.state),
            device: DeviceRules {
                choice: file.device,
                fallback: file.device_fallback,
                memory_bytes_max: policy.limits.device_memory_bytes_max,
                precision: file.device_precision,
            },
            policy,
            privacy_account: file.privacy_account.map(|account| beside(path, &account)),
            folder,
            data,
            data_name,
        })
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
            r#"schema = "client/1"
coordinator = {coordinator:?}   # host:port, UDP, or TCP where UDP does not get through
folder = "."                    # identity.key, member.pem, authority.pem, roster.json
state = "state"                 # records and sealed updates; never copy it to run it twice
policy = "policy.toml"          # what you allow to run and to leave; nobody upstream can loosen it
device = "auto"                 # auto, cpu, cuda:0
# device_fallback = "cpu"       # train on the processor if the card cannot be used; else an error
# device_precision = "bf16"     # what to train in on a card that can; else f32
# transport = "auto"            # auto: QUIC (UDP), and TLS over TCP where nothing answers; quic, tcp
# privacy_account = "account.json" # what was told about the data; if not given, beside the data

[data]                          # stays on this machine
format = "csv"                  # or parquet, images, idx, npy, safetensors, text; or only: name = "..."
path = "data.csv"               # images: folder; idx: images, labels; npy: features, labels
"#
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &str) -> Result<Config, BadConfig> {
        read_with(text, &Policy::new(Vec::new()).to_string())
    }

    fn read_with(text: &str, policy: &str) -> Result<Config, BadConfig> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join(CONFIG_FILE);
        std::fs::write(&path, text).expect("written");
        std::fs::write(folder.path().join(POLICY_FILE), policy).expect("written");
        Config::read(&path)
    }

    #[test]
    fn the_template_is_a_configuration() {
        let config = read_text(&Config::template("a.example:1")).expect("read");
        assert_eq!(config.coordinator, "a.example:1");
        assert_eq!(config.policy, Policy::new(Vec::new()));
        let DataSource::Csv { path, .. } = config.data else { panic!("not a CSV file") };
        assert!(path.is_absolute(), "{path:?}");
        // What is commented out is a setting, too.
        let text = Config::template("a.example:1").replace("\n# ", "\n");
        let policy = Policy::new(Vec::new()).to_string();
        let policy = policy.replace("# device_memory_bytes_max", "device_memory_bytes_max");
        let config = read_with(&text, &policy).expect("read");
        let expected = DeviceRules {
            choice: DeviceChoice::Auto,
            fallback: Fallback::Cpu,
            memory_bytes_max: Some(8_000_000_000),
            precision: Precision::Bf16,
        };
        assert_eq!(config.device, expected);
    }

    #[test]
    fn each_fault_of_a_configuration_is_said_with_its_line() {
        let good = Config::template("a.example:1");
        let bad = [
            (good.replace("client/1", "client/9"), "client.toml:1:10: "),
            (good.replace("state =", "stat ="), "client.toml:4:1: unknown field `stat`"),
            (good.replace("\"auto\"", "\"gpu\""), "client.toml:6:10: \"gpu\" is no device"),
            (
                good.replace("# device_fallback = \"cpu\"", "device_fallback = \"gpu\""),
                "client.toml:7:19: \"gpu\" is no fallback",
            ),
            (
                good.replace("# transport = \"auto\"", "transport = \"udp\""),
                "client.toml:9:13: \"udp\" is no transport: write auto, quic or tcp",
            ),
            (good.replace("\"csv\"", "\"xls\""), "unknown variant `xls`"),
            (good.replace("path =", "file ="), "`file`"),
            (good.replace("format = \"csv\"", "name = \"x\""), "stands alone"),
            (good.replace("= \"csv\"", "= \"idx\""), "unknown field `path`"),
            (good.clone() + "[limits]\nmax_rounds = 3\n", "unknown field `limits`"),
            (good.replace("coordinator =", "# coordinator ="), "missing field `coordinator`"),
            (good.replace("\"policy.toml\"", "\"none.toml\""), "none.toml"),
        ];
        for (text, expected) in bad {
            let error = read_text(&text).expect_err(&text).to_string();
            assert!(error.contains(expected), "{error}\nexpected {expected}");
        }
    }
}
