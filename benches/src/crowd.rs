//! Members by the thousand, enrolled, and the coordinator that serves them.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use covey_aggregation::net::authority::AUTHORITY_FILE;
use covey_aggregation::net::membership::MEMBER_FILE;
use covey_aggregation::net::request::REQUEST_FILE;
use covey_aggregation::net::roster_file::ROSTER_FILE;
use covey_aggregation::net::{IdentityKey, Request};
use covey_aggregation::party::{Name, Role};
use covey_aggregation::program::Stop;
use covey_coordinator::Coordinator;
use covey_coordinator::cli::{Enrol, Init};
use covey_coordinator::config::Config;
use covey_coordinator::setup;
use tokio::sync::broadcast::error::RecvError;
use zeroize::Zeroizing;

/// Key holders: no federation is without.
pub const HOLDERS: usize = 4;

/// A federation in a temporary folder.
pub struct Crowd {
    folder: tempfile::TempDir,
    owners: usize,
}

fn name(text: &str) -> Result<Name, String> {
    text.parse().map_err(|_| format!("{text:?} is no name"))
}

fn said(error: impl std::fmt::Display) -> String {
    error.to_string()
}

impl Crowd {
    /// Makes keys and certificates of so many owners, and of four holders, who will find the
    /// coordinator at `address`. The operator has no plan, and listens at any port.
    ///
    /// # Errors
    /// What could not be made.
    pub fn found(owners: usize, address: &str) -> Result<Self, String> {
        let crowd = Self { folder: tempfile::tempdir().map_err(said)?, owners };
        let dir = crowd.operator();
        let init =
            Init { dir: dir.clone(), federation: name("crowd")?, name: name("coordinator")? };
        setup::init(&init).map_err(said)?;
        let mut requests = Vec::new();
        for index in 0..HOLDERS {
            let folder = crowd.holder(index);
            covey_committee::init::init(&folder, name(&format!("holder-{index}"))?, address)
                .map_err(said)?;
            requests.push(folder.join(REQUEST_FILE));
        }
        for index in 0..owners {
            let folder = crowd.owner(index);
            fs::create_dir(&folder).map_err(said)?;
            let mut seed = [7; 32];
            seed[..8].copy_from_slice(&(index as u64).to_le_bytes());
            let key = IdentityKey::from_seed(Zeroizing::new(seed));
            key.create(&folder).map_err(said)?;
            let request =
                Request::create(&key, name(&format!("owner-{index}"))?, Role::DataOwner, None);
            let path = folder.join(REQUEST_FILE);
            fs::write(&path, request.map_err(said)?.to_json()).map_err(said)?;
            requests.push(path);
        }
        setup::enrol(&Enrol { dir: dir.clone(), requests, print: false }).map_err(said)?;
        crowd.hand_out()?;
        fs::write(dir.join("coordinator.toml"), "listen = \"127.0.0.1:0\"\n").map_err(said)?;
        Ok(crowd)
    }

    /// Gives every member its certificate, and everybody the roster.
    fn hand_out(&self) -> Result<(), String> {
        let dir = self.operator();
        let holders = (0..HOLDERS).map(|index| (self.holder(index), format!("holder-{index}")));
        let owners = (0..self.owners).map(|index| (self.owner(index), format!("owner-{index}")));
        for (folder, name) in holders.chain(owners) {
            let issued = dir.join("issued").join(name);
            for from in [issued.join(MEMBER_FILE), dir.join(AUTHORITY_FILE), dir.join(ROSTER_FILE)]
            {
                let to = folder.join(from.file_name().unwrap_or_default());
                // Linked: a list of all members for each of them would take a disk.
                fs::hard_link(&from, &to).map_err(said)?;
            }
        }
        Ok(())
    }

    /// How many owners there are.
    #[must_use]
    pub const fn owners(&self) -> usize {
        self.owners
    }

    /// The folder of everything.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The operator's folder.
    #[must_use]
    pub fn operator(&self) -> PathBuf {
        self.folder.path().join("operator")
    }

    /// The operator's settings.
    #[must_use]
    pub fn config(&self) -> String {
        self.operator().join("coordinator.toml").to_string_lossy().into_owned()
    }

    /// A holder's folder.
    #[must_use]
    pub fn holder(&self, index: usize) -> PathBuf {
        self.folder.path().join(format!("holder-{index}"))
    }

    /// An owner's folder.
    #[must_use]
    pub fn owner(&self, index: usize) -> PathBuf {
        self.folder.path().join(format!("owner-{index}"))
    }
}

/// Serves as a coordinator, prints where, and then one line of JSON for each thing that happens.
///
/// # Errors
/// Why it does not, or why its run did not come to its end.
pub fn coordinate(config: Option<&String>) -> Result<(), String> {
    let config = Path::new(config.ok_or("no settings")?);
    let config = Config::load(config).map_err(said)?;
    let runtime = tokio::runtime::Runtime::new().map_err(said)?;
    runtime.block_on(async {
        let (_stopper, stop) = Stop::manual();
        let mut running = Coordinator::start(config, stop).await.map_err(said)?;
        let address: SocketAddr = running.address();
        println!("{address}");
        loop {
            match running.next_event().await {
                Ok(event) => println!("{}", event.to_json()),
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => break,
            }
        }
        running.finished().await.map(|_| ()).map_err(said)
    })
}
