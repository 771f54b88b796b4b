//! What researchers are served with: one link, one request after the other. Reads the registry,
//! the journals of runs and what is published; writes the registry and nothing else. It takes no
//! part in rounds and sends nothing that is not public, but for who is awaited at the moment.
//!
//! Other members come here too, to have their statements recorded in the ledger, and for nothing else.
//!
//! - [`check`](self): whether a plan may be submitted
//! - [`answer`](self): every request but watching
//! - [`status`](self): how a run and its rounds are
//! - [`watch`](self): a run as it goes on
//! - [`published`](self): pieces of what a round published

mod answer;
mod check;
mod published;
mod status;
mod watch;

use std::path::PathBuf;
use std::sync::Arc;

use covey_aggregation::limits::RESEARCH_LINKS_MAX;
use covey_aggregation::message;
use covey_aggregation::net::GuestList;
use covey_aggregation::net::error::{CloseReason, LinkError};
use covey_aggregation::net::link::{ControlReceiver, ControlSender, Link, Links};
use covey_aggregation::party::Role;
use covey_aggregation::research::{FromResearcher, Refusal, ToResearcher};
use covey_aggregation::roster::Member;
use covey_aggregation::wire::Malformed;
use tokio::sync::{Mutex, Semaphore, watch as watching};
use tokio::time::sleep;

use crate::allowance::Allowance;
use crate::clock::Clock;
use crate::driver::Events;
use crate::ledger::Ledger;
use crate::storage::StorageError;
use crate::storage::blobs::Depot;
use crate::storage::place::Databases;
use crate::storage::registry::{NotRecorded, Registry};
use crate::view::View;

/// How long a researcher should wait when the disk is in trouble or too many are there.
const RETRY_AFTER_MS: u64 = 2000;

/// Requests that made no sense before a link is closed.
const MALFORMED_MAX: u32 = 3;

/// What researchers are served with.
pub struct Desk {
    registry: Arc<Mutex<Registry>>,
    changes: watching::Receiver<u64>,
    view: watching::Receiver<View>,
    state_dir: PathBuf,
    databases: Databases,
    depot: Depot,
    guests: GuestList,
    clock: Clock,
    events: Events,
    ledger: Ledger,
    /// Whether plans are taken; else only looked at.
    is_open: bool,
    places: Semaphore,
}

/// What a desk is made of.
pub struct DeskParts {
    /// Runs.
    pub registry: Arc<Mutex<Registry>>,
    /// What goes on.
    pub view: watching::Receiver<View>,
    /// The state folder.
    pub state_dir: PathBuf,
    /// Where stores are.
    pub databases: Databases,
    /// Where bulk bytes are.
    pub depot: Depot,
    /// Everybody.
    pub guests: GuestList,
    /// Time.
    pub clock: Clock,
    /// To the operator.
    pub events: Events,
    /// The ledger.
    pub ledger: Ledger,
    /// Whether plans are taken.
    pub is_open: bool,
}

impl Desk {
    /// A desk with nobody at it.
    pub async fn new(parts: DeskParts) -> Self {
        let DeskParts {
            registry,
            view,
            state_dir,
            databases,
            depot,
            guests,
            clock,
            events,
            ledger,
            is_open,
        } = parts;
        let changes = registry.lock().await.changes();
        let places = Semaphore::new(RESEARCH_LINKS_MAX);
        Self {
            registry,
            changes,
            view,
            state_dir,
            databases,
            depot,
            guests,
            clock,
            events,
            ledger,
            is_open,
            places,
        }
    }
}

/// Why a request has no answer.
enum Trouble {
    /// The researcher is told.
    Refused(Refusal),
    /// This coordinator's disk.
    Storage(StorageError),
    /// The link is of no more use.
    Link(LinkError),
}

impl From<NotRecorded> for Trouble {
    fn from(error: NotRecorded) -> Self {
        match error {
            NotRecorded::Refused(refusal) => Self::Refused(refusal),
            NotRecorded::Storage(error) => Self::Storage(error),
        }
    }
}

impl From<Refusal> for Trouble {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<StorageError> for Trouble {
    fn from(error: StorageError) -> Self {
        Self::Storage(error)
    }
}

impl From<LinkError> for Trouble {
    fn from(error: LinkError) -> Self {
        Self::Link(error)
    }
}

/// Serves one researcher's link until it ends.
pub async fn serve(link: Link, desk: Arc<Desk>, allowance: &Allowance) {
    let Link { peer, sender, receiver, links, .. } = link;
    let Ok(_place) = desk.places.try_acquire() else {
        links.close(CloseReason::Busy);
        return;
    };
    let refusing = tokio::spawn(refuse_bulk(links.clone()));
    let mut talk = Talk { member: peer, sender, desk: &desk, allowance };
    let ended = talk.serve(receiver).await;
    refusing.abort();
    links.close(match ended {
        Err(error) => error.close_reason(),
        Ok(()) => CloseReason::Finished,
    });
}

/// Bulk streams are for rounds.
async fn refuse_bulk(links: Links) {
    let (role, needs) = (Role::Researcher, Role::DataOwner);
    let refusal = message::Refusal::NotAllowed { role, needs };
    while let Ok(stream) = links.accept_bulk().await {
        if let Err(error) = stream.refuse(refusal.clone()).await {
            tracing::debug!(%error, "a researcher's bulk stream ended early");
        }
    }
}

/// One researcher, being served.
struct Talk<'a> {
    member: Member,
    sender: ControlSender,
    desk: &'a Desk,
    allowance: &'a Allowance,
}

impl Talk<'_> {
    async fn serve(&mut self, mut receiver: ControlReceiver) -> Result<(), LinkError> {
        let (mut waiting, mut malformed) = (None, 0);
        loop {
            let request = match waiting.take() {
                Some(request) => request,
                None => match receiver.receive::<FromResearcher>().await {
                    Ok(Some(request)) => request,
                    Ok(None) => return Ok(()),
                    // The frame was whole, so the next one can be found.
                    Err(LinkError::Malformed(
                        why @ (Malformed::Shape { .. } | Malformed::Version { .. }),
                    )) => {
                        self.sender.send(&ToResearcher::Refused(Refusal::Malformed)).await?;
                        malformed += 1;
                        if malformed >= MALFORMED_MAX {
                            return Err(LinkError::Malformed(why));
                        }
                        continue;
                    }
                    Err(error) => return Err(error),
                },
            };
            // Requests are served one after the other: who asks too much waits, and nobody else does.
            while let Err(wait) = self.allowance.take(&self.member.id) {
                sleep(wait).await;
            }
            let role = self.member.role;
            let may = role == Role::Researcher || matches!(request, FromResearcher::State { .. });
            let answered = match request {
                _ if !may => Err(Refusal::NotResearcher { role }.into()),
                FromResearcher::Watch { run, after } => {
                    self.watch(&run, after, &mut receiver).await.map(|next| waiting = next)
                }
                request => self.answer(request).await,
            };
            let refusal = match answered {
                Ok(()) => continue,
                Err(Trouble::Refused(refusal)) => refusal,
                Err(Trouble::Storage(error)) => {
                    tracing::error!(%error, "a researcher's request is not answered");
                    Refusal::Busy { retry_after_ms: RETRY_AFTER_MS }
                }
                Err(Trouble::Link(error)) => return Err(error),
            };
            self.sender.send(&ToResearcher::Refused(refusal)).await?;
        }
    }
}
