//! A coordinator as a whole: what the binary, the tests and the demo start.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use covey_aggregation::net::error::{CloseReason, LinkError};
use covey_aggregation::net::listener::{Arrival, Listener};
use covey_aggregation::net::membership::Membership;
use covey_aggregation::party::Role;
use covey_aggregation::program::{Exit, Failure, StateFolder, Stop};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{Semaphore, broadcast, mpsc, watch};
use tokio::task::JoinHandle;

use crate::config::Config;
use crate::driver::{Driver, Events, Parts};
use crate::event::{Event, RunSummary};
use crate::learning::Learning;
use crate::run::Run;
use crate::session::{self, Input, SessionId, Shared};
use crate::setup::file_failure;
use crate::storage::blobs::Blobs;
use crate::storage::journal::Journal;

/// The journal's name in the state folder.
pub const JOURNAL_FILE: &str = "journal.db";

/// Inputs waiting for the driver; beyond it sessions wait, and QUIC tells their peers.
const INPUTS_WAITING_MAX: usize = 1024;

/// Events kept for a listener that is slow; it loses the oldest beyond them.
const EVENTS_KEPT: usize = 4096;

/// The middle of a federation.
pub struct Coordinator;

/// A coordinator at work.
pub struct Running {
    address: SocketAddr,
    events: broadcast::Receiver<Event>,
    work: JoinHandle<Result<RunSummary, Failure>>,
}

impl Coordinator {
    /// Checks everything that can be checked before anybody is involved, and starts; `stop` tells
    /// it when to stop. Must be called within a tokio runtime of more than one thread.
    ///
    /// # Errors
    /// [`Failure`]: a file, the plan, the state folder, the port.
    pub async fn start(config: Config, stop: Stop) -> Result<Running, Failure> {
        let membership = Arc::new(Membership::load(&config.member_dir).map_err(file_failure)?);
        membership
            .require(Role::Coordinator)
            .map_err(|stranger| Failure::new(Exit::NoAccess, "BAD_IDENTITY", stranger))?;
        let (plan, test_data) = (config.plan.clone(), config.test_data.clone());
        let load = move || Learning::load(&plan, test_data.as_ref());
        let learning = tokio::task::spawn_blocking(load).await;
        let learning = learning
            .map_err(|_| Failure::new(Exit::Failed, "BUG", "reading the plan failed"))??;
        let lock = StateFolder::open(&config.state_dir)?;
        let blobs = Arc::new(Blobs::open(&config.state_dir)?);
        let journal = Journal::open(&config.state_dir.join(JOURNAL_FILE)).await?;
        let listener =
            Listener::bind(config.listen, Arc::clone(&membership)).map_err(link_failure)?;
        let address = listener.address();
        let (sender, events) = broadcast::channel(EVENTS_KEPT);
        let tell: Events = Arc::new(move |event: &Event| {
            // An error means only that nobody listens.
            let _ = sender.send(event.clone());
        });
        tell(&Event::Listening { address });
        let (inputs, waiting) = mpsc::channel(INPUTS_WAITING_MAX);
        let shared = Shared {
            inputs,
            blobs: Arc::clone(&blobs),
            limits: config.limits,
            uploads: Arc::new(Semaphore::new(config.limits.uploads_max.size())),
        };
        let driver = Driver::new(Parts {
            journal,
            blobs,
            roster: Arc::clone(membership.roster()),
            inputs: waiting,
            events: tell,
            stop,
            summing_threads: config.limits.summing_threads.size(),
        });
        let identity = Arc::clone(membership.identity());
        let run = Run { driver, learning: Arc::new(learning), identity, config };
        let work = tokio::spawn(work(run, listener, shared, lock));
        Ok(Running { address, events, work })
    }
}

/// Carries the run out, and puts everything in order at its end.
async fn work(
    mut run: Run,
    listener: Listener,
    shared: Shared,
    lock: StateFolder,
) -> Result<RunSummary, Failure> {
    let (close, closed) = watch::channel(());
    let admitting = tokio::spawn(admit(listener, Arc::new(shared), closed));
    let outcome = run.carry_out().await;
    let reason = match &outcome {
        Ok(_) => CloseReason::Finished,
        Err(_) => CloseReason::ShuttingDown,
    };
    if let Err(error) = run.driver.drain(reason).await {
        tracing::error!(%error, "the last step could not be stored");
    }
    drop(close);
    let _ = admitting.await;
    let Run { driver, .. } = run;
    if let Err(error) = driver.journal.close().await {
        tracing::error!(%error, "the journal was not closed in order; it will be at the next start");
    }
    // Only now may another coordinator use the folder.
    drop(lock);
    outcome
}

/// Takes in whoever dials, until `closed` ends.
async fn admit(mut listener: Listener, shared: Arc<Shared>, mut closed: watch::Receiver<()>) {
    let mut sessions = 0;
    loop {
        let arrival = tokio::select! {
            arrival = listener.accept() => arrival,
            _ = closed.changed() => break,
        };
        match arrival {
            Some(Arrival::Link(link)) => {
                sessions += 1;
                tokio::spawn(session::serve(*link, SessionId(sessions), Arc::clone(&shared)));
            }
            Some(Arrival::Refused { address, error }) => {
                let why = error.to_string();
                // A full queue is no reason to make everybody wait at the door.
                let _ = shared.inputs.try_send(Input::TurnedAway { address, why });
            }
            None => break,
        }
    }
    listener.close().await;
}

impl Running {
    /// Where members dial in.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits for the next thing it says.
    ///
    /// # Errors
    /// `Lagged` when events were lost because nobody read them, `Closed` after the last one.
    pub async fn next_event(&mut self) -> Result<Event, RecvError> {
        self.events.recv().await
    }

    /// Waits for the end.
    ///
    /// # Errors
    /// [`Failure`]: why it did not carry the plan out.
    pub async fn finished(self) -> Result<RunSummary, Failure> {
        let ended = self.work.await;
        ended.unwrap_or_else(|_| Err(Failure::new(Exit::Failed, "BUG", "the coordinator died")))
    }
}

fn link_failure(error: LinkError) -> Failure {
    let code = match &error {
        LinkError::PortInUse { .. } => "PORT_IN_USE",
        LinkError::Credentials(_) => "BAD_IDENTITY",
        _ => "CANNOT_LISTEN",
    };
    Failure::new(Exit::NoAccess, code, error)
}

/// The journal of a state folder, to look at.
///
/// # Errors
/// [`Failure`] when there is none.
pub async fn journal_of(state_dir: &Path) -> Result<Journal, Failure> {
    let path = state_dir.join(JOURNAL_FILE);
    if !path.exists() {
        let what = format!("no run has begun: there is no {}", path.display());
        return Err(Failure::new(Exit::Failed, "NO_RUN", what)
            .with_help("start one: covey-coordinator serve --config FILE"));
    }
    Ok(Journal::open_to_read(&path).await?)
}
