//! Data owners that are linked, and stay.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use covey_aggregation::net::{Dialer, Link, Membership};
use covey_benches::crowd::Crowd;
use tokio::sync::Semaphore;

/// Handshakes at once.
const AT_ONCE: usize = 32;

/// Linked owners.
pub(crate) struct Links(Vec<Link>);

fn said(error: impl std::fmt::Display) -> String {
    error.to_string()
}

impl Links {
    /// Links all owners of a crowd.
    pub(crate) async fn dial(crowd: &Crowd, address: SocketAddr) -> Result<Self, String> {
        let places = Arc::new(Semaphore::new(AT_ONCE));
        let mut dialling = tokio::task::JoinSet::new();
        for index in 0..crowd.owners() {
            let (folder, places): (PathBuf, _) = (crowd.owner(index), Arc::clone(&places));
            dialling.spawn(async move {
                let _place = places.acquire().await.map_err(said)?;
                link(&folder, address).await.map_err(|why| format!("owner-{index}: {why}"))
            });
        }
        let mut links = Vec::with_capacity(crowd.owners());
        while let Some(linked) = dialling.join_next().await {
            links.push(linked.map_err(said)??);
        }
        Ok(Self(links))
    }

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

/// One owner. Who dials keeps nothing but the link: not the list of all others.
async fn link(folder: &Path, address: SocketAddr) -> Result<Link, String> {
    let membership = Arc::new(Membership::load(folder).map_err(said)?);
    let mut dialer = Dialer::new(membership, address.to_string()).map_err(said)?;
    dialer.connect_once().await.map_err(said)
}
