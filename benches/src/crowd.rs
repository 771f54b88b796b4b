//! Data owners, enrolled and linked.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use covey_aggregation::net::authority::AUTHORITY_FILE;
use covey_aggregation::net::membership::MEMBER_FILE;
use covey_aggregation::net::request::REQUEST_FILE;
use covey_aggregation::net::roster_file::ROSTER_FILE;
use covey_aggregation::net::{Dialer, IdentityKey, Link, Membership, Request};
use covey_aggregation::party::{Name, Role};
use covey_coordinator::cli::{Enrol, Init};
use covey_coordinator::setup;
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

/// Handshakes at once.
const AT_ONCE: usize = 32;

/// Key holders: no federation is without.
const HOLDERS: usize = 4;

/// A federation in a temporary folder.
pub(crate) struct Crowd {
    folder: tempfile::TempDir,
    clients: usize,
}

/// Linked owners.
pub(crate) struct Links(Vec<Link>);

fn name(text: &str) -> Result<Name, String> {
    text.parse().map_err(|_| format!("{text:?} is no name"))
}

fn said(error: impl std::fmt::Display) -> String {
    error.to_string()
}

impl Crowd {
    /// Makes keys and certificates of so many owners.
    pub(crate) fn found(clients: usize) -> Result<Self, String> {
        let crowd = Self { folder: tempfile::tempdir().map_err(said)?, clients };
        let dir = crowd.folder.path().join("operator");
        let init =
            Init { dir: dir.clone(), federation: name("crowd")?, name: name("coordinator")? };
        setup::init(&init).map_err(said)?;
        let mut requests = Vec::new();
        for index in 0..HOLDERS {
            let folder = crowd.folder.path().join(format!("holder-{index}"));
            let who = name(&format!("holder-{index}"))?;
            covey_committee::init::init(&folder, who, "127.0.0.1:1").map_err(said)?;
            requests.push(folder.join(REQUEST_FILE));
        }
        for index in 0..clients {
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
        for index in 0..clients {
            let (folder, issued) = (crowd.owner(index), dir.join(format!("issued/owner-{index}")));
            for from in [issued.join(MEMBER_FILE), dir.join(AUTHORITY_FILE), dir.join(ROSTER_FILE)]
            {
                let to = folder.join(from.file_name().unwrap_or_default());
                // Linked: a list of all members for each of them would take a disk.
                fs::hard_link(&from, &to).map_err(said)?;
            }
        }
        fs::write(dir.join("coordinator.toml"), "listen = \"127.0.0.1:0\"\n").map_err(said)?;
        Ok(crowd)
    }

    /// The operator's settings: no plan, any port.
    pub(crate) fn config(&self) -> String {
        let path = self.folder.path().join("operator/coordinator.toml");
        path.to_string_lossy().into_owned()
    }

    fn owner(&self, index: usize) -> PathBuf {
        self.folder.path().join(format!("owner-{index}"))
    }

    /// Links all of them.
    pub(crate) async fn dial(&self, address: SocketAddr) -> Result<Links, String> {
        let places = Arc::new(Semaphore::new(AT_ONCE));
        let mut dialling = tokio::task::JoinSet::new();
        for index in 0..self.clients {
            let (folder, places) = (self.owner(index), Arc::clone(&places));
            dialling.spawn(async move {
                let _place = places.acquire().await.map_err(said)?;
                link(&folder, address).await.map_err(|why| format!("owner-{index}: {why}"))
            });
        }
        let mut links = Vec::with_capacity(self.clients);
        while let Some(linked) = dialling.join_next().await {
            links.push(linked.map_err(said)??);
        }
        Ok(Links(links))
    }
}

/// One owner. Who dials keeps nothing but the link: not the list of all others.
async fn link(folder: &Path, address: SocketAddr) -> Result<Link, String> {
    let membership = Arc::new(Membership::load(folder).map_err(said)?);
    let mut dialer = Dialer::new(membership, address.to_string()).map_err(said)?;
    dialer.connect_once().await.map_err(said)
}

impl Links {
    #[cfg(test)]
    pub(crate) const fn len(&self) -> usize {
        self.0.len()
    }

    /// How many of them end in this time.
    pub(crate) async fn lost_within(&self, time: Duration) -> usize {
        tokio::time::sleep(time).await;
        let mut lost = 0;
        for link in &self.0 {
            // Ready at once where it has ended.
            let ended = tokio::time::timeout(Duration::ZERO, link.links.closed()).await;
            lost += usize::from(ended.is_ok());
        }
        lost
    }
}
