//! Whose keys a command signs with, and the way to its coordinator: what all configurations of members
//! have in common.

use std::path::{Path, PathBuf};

use clap::Args;
use covey_aggregation::net::{Membership, Route, TransportChoice};
use covey_aggregation::program::config::{beside, read};
use covey_aggregation::program::desk::state;
use covey_aggregation::program::{Exit, Failure};
use covey_aggregation::research::StatementBytes;
use serde::Deserialize;

use super::Desk;

/// Which configuration.
#[derive(Clone, Debug, Default, Args)]
pub struct Configured {
    /// Your configuration: client.toml, researcher.toml or holder.toml. Without it, the one in the folder
    /// that you are in
    #[arg(long, value_name = "FILE", env = "COVEY_CONFIG")]
    pub config: Option<PathBuf>,
}

/// A member's own place.
#[derive(Clone, Debug)]
pub struct Seat {
    /// The folder with identity.key, member.pem, authority.pem, roster.json.
    pub folder: PathBuf,
    /// The way to the coordinator.
    pub route: Route,
}

/// What a seat needs of a configuration; the rest is the business of the program that it is for.
#[derive(Deserialize)]
struct File {
    coordinator: String,
    #[serde(default)]
    transport: TransportChoice,
    #[serde(default)]
    folder: PathBuf,
}

impl Configured {
    /// The configuration; none where none is given and none is there.
    #[must_use]
    pub fn path(&self, desk: &Desk<'_>) -> Option<PathBuf> {
        let there = || desk.configs.iter().map(PathBuf::from).find(|path| path.exists());
        self.config.clone().or_else(there)
    }

    /// Reads the seat.
    ///
    /// # Errors
    /// [`Failure`]: there is no configuration, or it is bad.
    pub fn seat(&self, desk: &Desk<'_>) -> Result<Seat, Failure> {
        let path = self.path(desk).ok_or_else(|| {
            let message = format!("none of {} is in this folder", desk.configs.join(", "));
            Failure::new(Exit::BadInput, "NO_CONFIG", message)
                .with_help("name your configuration with --config")
        })?;
        Seat::read(&path)
    }
}

impl Seat {
    /// Reads what every member's configuration says.
    ///
    /// # Errors
    /// [`Failure`] with file and line.
    pub fn read(path: &Path) -> Result<Self, Failure> {
        let File { coordinator, transport, folder } = read(path)?;
        Ok(Self { folder: beside(path, &folder), route: Route::new(coordinator, transport) })
    }

    /// The member, with its keys and the roster that it has pinned.
    ///
    /// # Errors
    /// [`Failure`]: a file is missing, or they do not belong together.
    pub fn membership(&self) -> Result<Membership, Failure> {
        Membership::load(&self.folder).map_err(|error| Failure::identity(&error))
    }
}

/// Sends a signed statement to the coordinator; the number of its entry.
///
/// # Errors
/// [`Failure`]: the member's files, the link, or the ledger's rules.
pub fn send(seat: &Seat, statement: StatementBytes) -> Result<u64, Failure> {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = runtime.map_err(|error| Failure::new(Exit::Failed, "RUNTIME", error))?;
    runtime.block_on(state(&seat.folder, &seat.route, statement))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_members_configuration_is_one_of_a_seat() {
        let folder = tempfile::tempdir().expect("a folder");
        for text in [
            "schema = \"client/1\"\ncoordinator = \"a:1\"\nfolder = \"keys\"\n[data]\npath = \"x\"\n",
            "schema = \"researcher/1\"\ncoordinator = \"a:1\"\nfolder = \"keys\"\n",
            "schema = \"holder/1\"\ncoordinator = \"a:1\"\nfolder = \"keys\"\nstate = \"s\"\n",
        ] {
            let path = folder.path().join("x.toml");
            std::fs::write(&path, text).expect("written");
            let seat = Seat::read(&path).expect("a seat");
            assert_eq!(seat.folder, folder.path().join("keys"));
        }
    }

    #[test]
    fn a_missing_configuration_is_asked_for() {
        let desk = Desk { configs: &["none-of-these.toml"], ..Desk::new(&[]) };
        let failure = Configured::default().seat(&desk).expect_err("none is there");
        assert_eq!((failure.exit, failure.code), (Exit::BadInput, "NO_CONFIG"));
        let path = Some(PathBuf::from("/nowhere/client.toml"));
        let failure = Configured { config: path }.seat(&desk).expect_err("not there");
        assert_eq!((failure.exit, failure.code), (Exit::BadInput, "BAD_CONFIG"));
    }
}
