//! A coordinator as a whole: what the binary, the tests and the demo start.

use covey_aggregation::net::Boxed;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use covey_aggregation::config::CommitteeShape;
use covey_aggregation::net::authority::AUTHORITY_KEY_FILE;
use covey_aggregation::net::certificate::validity_of;
use covey_aggregation::net::error::{CloseReason, LinkError};
use covey_aggregation::net::listener::{Arrival, Listener};
use covey_aggregation::net::membership::{MEMBER_FILE, Membership};
use covey_aggregation::net::{Authority, GuestList};
use covey_aggregation::party::Role;
use covey_aggregation::program::{Exit, Failure, StateFolder, Stop};
use covey_aggregation::roster::succession::CertifiedRoster;
use covey_aggregation::roster::{BadRoster, Roster};
use covey_aggregation::signing::Identity;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{Mutex, Semaphore, broadcast, mpsc, watch};
use tokio::task::JoinHandle;

use crate::admin::{Admin, Readiness};
use crate::allowance::Allowance;
use crate::clock::Clock;
use crate::config::{Asked, Config};
use crate::driver::{Driver, Events, Parts};
use crate::event::{Event, RunSummary};
use crate::learning::{Learning, OwnData};
use crate::ledger::files::LedgerFiles;
use crate::ledger::{Keeper, KeeperParts, Ledger};
use crate::metrics::Metrics;
use crate::page::{Page, PageParts};
use crate::queue::Queue;
use crate::registrar::{self, Registrar, RegistrarParts};
use crate::research::{Desk, DeskParts};
use crate::room::Room;
use crate::run::{Carried, Past, Run};
use crate::session::{self, Input, SessionId, Shared};
use crate::setup::file_failure;
use crate::storage::blobs::Depot;
use crate::storage::faults::Faults;
use crate::storage::journal::Journal;
use crate::storage::members::Members;
use crate::storage::place::{self, Databases};
use crate::storage::registry::Registry;
use crate::storage::shelf::Shelf;
use crate::upload::Turns;
use crate::view::View;

pub use crate::storage::place::JOURNAL_FILE;

/// Inputs waiting for the driver; beyond it sessions wait, and QUIC tells their peers.
const INPUTS_WAITING_MAX: usize = 1024;

/// What the operator is told beside it when a member has a roster that this coordinator does not know.
const ROSTER_BEHIND: &str = "; after restoring an older backup take over a key holder's roster.json: \
                             covey-coordinator member adopt";

/// How often the program looks whether it still holds its stores.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Events kept for a listener that is slow; it loses the oldest beyond them.
const EVENTS_KEPT: usize = 4096;

/// The middle of a federation.
pub struct Coordinator;

/// A coordinator at work.
pub struct Running {
    address: SocketAddr,
    tcp: Option<SocketAddr>,
    admin: Option<SocketAddr>,
    page: Option<SocketAddr>,
    events: broadcast::Receiver<Event>,
    work: JoinHandle<Result<RunSummary, Failure>>,
}

impl Coordinator {
    /// Checks everything that can be checked before anybody is involved, and starts; `stop` tells
    /// it when to stop. Must be called within a tokio runtime of more than one thread.
    ///
    /// # Errors
    /// [`Failure`]: a file, the plan, the state folder, the port.
    pub fn start(config: Config, stop: Stop) -> Boxed<'static, Result<Running, Failure>> {
        Self::start_with(config, stop, Faults::none())
    }

    /// The same with a storage that fails as `faults` says.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn start_with(
        config: Config,
        stop: Stop,
        faults: Faults,
    ) -> Boxed<'static, Result<Running, Failure>> {
        Box::pin(Self::begin(config, stop, faults))
    }

    async fn begin(config: Config, stop: Stop, faults: Faults) -> Result<Running, Failure> {
        // A committee that is not complete may still be founded by invites.
        let membership = Membership::load_founding(&config.member_dir).map_err(file_failure)?;
        let membership = Arc::new(membership);
        membership
            .require(Role::Coordinator)
            .map_err(|stranger| Failure::new(Exit::NoAccess, "BAD_IDENTITY", stranger))?;
        check_committee(membership.roster(), config.members.holders.size())?;
        let learning = learning(&config).await?;
        let lock = StateFolder::open(&config.state_dir)?;
        let databases = &config.databases;
        let folders = [config.state_dir.as_path(), &config.member_dir];
        place::check(databases, &folders)?;
        let depot = Depot::new(&config.state_dir, config.objects.as_ref())?;
        let blobs = Arc::new(depot.open()?);
        let shelf = Arc::new(Shelf::new(depot.clone(), blobs));
        let journal = Journal::open(databases.journal(&config.state_dir)).await?;
        let journal = journal.with_faults(&faults);
        let registry = Registry::open_at(&databases.runs(&config.state_dir)).await?;
        let mut registry = registry.with_faults(&faults);
        registry.set_quotas(config.queue.quotas());
        let (registrar, guests) = registrar(&config, &membership, &faults).await?;
        // Now that all of them are open: a name that was mistyped is not remembered.
        place::settle(databases, &folders)?;
        let listener = Listener::bind(config.doors(), Arc::clone(&membership), guests.clone());
        let listener = listener.map_err(link_failure)?;
        let (address, tcp) = (listener.address(), listener.tcp_address());
        let (sender, events) = broadcast::channel(EVENTS_KEPT);
        let certificate =
            validity_of(&config.member_dir.join(MEMBER_FILE)).map_err(file_failure)?;
        let metrics = Arc::new(Metrics::new(Some(certificate.1)));
        let counting = Arc::clone(&metrics);
        let tell: Events = Arc::new(move |event: &Event| {
            counting.see(event);
            // An error means only that nobody listens.
            let _ = sender.send(event.clone());
        });
        let (inputs, waiting) = mpsc::channel(INPUTS_WAITING_MAX);
        let room = Arc::new(Room::of(config.state_dir.clone()));
        let admin = match config.admin {
            Some(address) => {
                let readiness = Readiness::of(&inputs, stop.clone(), Arc::clone(&room));
                Some(Admin::open(address, Arc::clone(&metrics), readiness).await?)
            }
            None => None,
        };
        tell(&Event::Listening { address, tcp });
        let (view, clock) = (watch::Sender::new(View::default()), Clock::start());
        let wish = registry.wish();
        let registry = Arc::new(Mutex::new(registry));
        let (ledger, ends) = Ledger::new();
        let keeper = KeeperParts {
            identity: Arc::clone(membership.identity()),
            registrar: Arc::clone(&registrar),
            registry: Arc::clone(&registry),
            databases: databases.clone(),
            state_dir: config.state_dir.clone(),
            depot: depot.clone(),
            founding: config.ledger.clone(),
            clock,
            inputs: inputs.clone(),
            events: Arc::clone(&tell),
        };
        let keeper = Keeper::new(keeper, ends);
        let (page_depot, page_view) = (depot.clone(), view.subscribe());
        let desk = Desk::new(DeskParts {
            registry: Arc::clone(&registry),
            view: view.subscribe(),
            state_dir: config.state_dir.clone(),
            databases: databases.clone(),
            depot,
            guests,
            clock,
            events: Arc::clone(&tell),
            ledger: ledger.clone(),
            is_open: learning.is_none(),
        });
        let page = PageParts {
            guests: registrar.guests().clone(),
            files: LedgerFiles::new(page_depot),
            shown: ledger.watch(),
            view: Some((page_view, clock)),
        };
        let shared = Shared {
            inputs,
            shelf: Arc::clone(&shelf),
            limits: config.limits,
            uploads: Arc::new(Semaphore::new(config.limits.uploads_max.size())),
            turns: Turns::default(),
            desk: Arc::new(desk.await),
            registrar: Arc::clone(&registrar),
            allowance: Allowance::new(
                config.limits.requests_per_s.value(),
                config.limits.requests_burst_s.value(),
            ),
            metrics,
        };
        let driver = Driver::new(Parts {
            journal,
            shelf,
            roster: Arc::clone(membership.roster()),
            federation_dir: config.member_dir.clone(),
            registrar,
            holders: config.members.holders.size(),
            registry,
            ledger,
            wish,
            view,
            state_dir: config.state_dir.clone(),
            databases: databases.clone(),
            room,
            clock,
            inputs: waiting,
            events: tell,
            stop,
            summing_threads: config.limits.summing_threads.size(),
        });
        let identity = Arc::clone(membership.identity());
        let page = match config.page {
            Some(address) => Some(Page::open(address, page).await?),
            None => None,
        };
        let office = Office { driver, learning: learning.map(Arc::new), identity, config };
        let admin_address = admin.as_ref().map(Admin::address);
        let page_address = page.as_ref().map(Page::address);
        let doors = Doors { lock, admin, page, keeper };
        let work = tokio::spawn(work(office, listener, shared, doors));
        Ok(Running { address, tcp, admin: admin_address, page: page_address, events, work })
    }
}

/// A committee is complete, or may become so by invites.
fn check_committee(roster: &Roster, holders: usize) -> Result<(), Failure> {
    if CommitteeShape::of_members(holders).is_none() {
        let what = format!("members.holders is {holders}: a committee has 4 or 7 key holders");
        return Err(Failure::new(Exit::BadInput, "BAD_CONFIG", what));
    }
    match roster.validate() {
        Ok(()) => Ok(()),
        Err(BadRoster::Holders(seated)) if seated < holders => Ok(()),
        Err(bad) => Err(Failure::new(Exit::NoAccess, "BAD_IDENTITY", bad)),
    }
}

/// Who joins and leaves, and whom the listener lets in.
async fn registrar(
    config: &Config,
    membership: &Membership,
    faults: &Faults,
) -> Result<(Arc<Registrar>, GuestList), Failure> {
    let roster = membership.roster().as_ref().clone();
    let members = Members::open_at(&config.databases.members(&config.member_dir)).await?;
    let mut members = members.with_faults(faults);
    members.belong_to(&roster.authority).await?;
    let votes = members.roster_of(&roster.digest()).await?.map(|known| known.votes);
    let guests = GuestList::new(CertifiedRoster { roster, votes: votes.unwrap_or_default() });
    let authority = match config.member_dir.join(AUTHORITY_KEY_FILE).exists() {
        true => {
            Some(Authority::load(&config.member_dir, membership.roster()).map_err(file_failure)?)
        }
        false => None,
    };
    let certificate_days = config.members.certificate_days.value();
    let parts = RegistrarParts { members, authority, guests: guests.clone(), certificate_days };
    let registrar = Registrar::new(parts);
    let renewed = registrar.renew_own(membership);
    renewed.map_err(|error| Failure::new(Exit::NoAccess, "BAD_IDENTITY", error))?;
    Ok((Arc::new(registrar), guests))
}

/// The plan that the settings name, made ready.
async fn learning(config: &Config) -> Result<Option<Learning>, Failure> {
    let Some(plan) = config.plan.clone() else {
        if config.asked == Asked::default() {
            return Ok(None);
        }
        let what = "--resume-from and --rounds are about the plan that the settings name, and \
                    they name none";
        return Err(Failure::new(Exit::BadInput, "NO_PLAN", what)
            .with_help("add plan = \"plan.toml\" to coordinator.toml"));
    };
    let (test_data, pool) = (config.test_data.clone(), config.validation_data.clone());
    let load = move || {
        let data = OwnData { test: test_data.as_ref(), validation: pool.as_ref() };
        Learning::load(&plan, data)
    };
    let learning = tokio::task::spawn_blocking(load).await;
    learning.map_err(|_| Failure::new(Exit::Failed, "BUG", "reading the plan failed"))?.map(Some)
}

/// What there is to do, and who does it.
struct Office {
    driver: Driver,
    /// The plan that the settings name; none to take plans from researchers.
    learning: Option<Arc<Learning>>,
    identity: Arc<Identity>,
    config: Config,
}

impl Office {
    async fn carry_out(&mut self) -> Result<RunSummary, Failure> {
        self.driver.remember_rosters().await?;
        self.driver.found().await?;
        let (driver, config) = (&mut self.driver, self.config.clone());
        let identity = Arc::clone(&self.identity);
        let Some(learning) = &self.learning else {
            let under_way = BTreeMap::new();
            match (Queue { driver, identity, config, under_way }).serve().await? {}
        };
        let learning = Arc::clone(learning);
        let past = &mut Past::default();
        let mut run = Run { driver, learning, identity, config, submitted: None, past };
        match run.carry_out().await? {
            Carried::Over(summary) => Ok(*summary),
            // Nobody can order a run that nobody submitted, and it has no others beside it.
            Carried::Paused | Carried::Turn => {
                Err(Failure::new(Exit::Failed, "BUG", "the run was paused"))
            }
        }
    }
}

/// What is open while there is work.
struct Doors {
    lock: StateFolder,
    admin: Option<Admin>,
    page: Option<Page>,
    keeper: Keeper,
}

/// Carries out what there is, and puts everything in order at its end.
async fn work(
    mut office: Office,
    listener: Listener,
    shared: Shared,
    doors: Doors,
) -> Result<RunSummary, Failure> {
    let Doors { lock, admin, page, keeper } = doors;
    // Open as long as this goes on.
    let _page = page;
    let (close, closed) = watch::channel(());
    let watching = registrar::watch_members(Arc::clone(&shared.registrar), shared.inputs.clone());
    let watching = tokio::spawn(watching);
    let registry = Arc::clone(&office.driver.registry);
    let keeping = tokio::spawn(watch_store(registry, shared.inputs.clone()));
    let keeper = tokio::spawn(keeper.keep());
    let admitting = tokio::spawn(admit(listener, Arc::new(shared), closed));
    let outcome = office.carry_out().await;
    watching.abort();
    keeping.abort();
    keeper.abort();
    let reason = match &outcome {
        Ok(_) => CloseReason::Finished,
        Err(_) => CloseReason::ShuttingDown,
    };
    if let Err(error) = office.driver.drain(reason).await {
        tracing::error!(%error, "the last step could not be stored");
    }
    drop(close);
    let _ = admitting.await;
    let Office { driver, .. } = office;
    if let Err(error) = driver.journal.close().await {
        tracing::error!(%error, "the journal was not closed in order; it will be at the next start");
    }
    if let Some(admin) = admin {
        admin.close().await;
    }
    // Only now may another coordinator use the folder.
    drop(lock);
    outcome
}

/// Tells the driver when this program may no longer write its records, also while there is nothing to
/// write: then another coordinator may have taken over.
async fn watch_store(registry: Arc<Mutex<Registry>>, inputs: mpsc::Sender<Input>) {
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let found = registry.lock().await.check_hold().await;
        if let Err(error) = found {
            // A driver that is gone has heard of it otherwise.
            let _ = inputs.send(Input::StoreLost(error)).await;
            return;
        }
    }
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
            Some(Arrival::Applicant(applicant)) => {
                let (address, shared) = (applicant.address, Arc::clone(&shared));
                tokio::spawn(async move {
                    let registrar = Arc::clone(&shared.registrar);
                    if let Some(why) = registrar::serve(*applicant, registrar).await {
                        let why = why.to_string();
                        let _ = shared.inputs.try_send(Input::NotEnrolled { address, why });
                    }
                });
            }
            // It takes the new list over, and dials again.
            Some(Arrival::Refused { error: LinkError::Closed(CloseReason::NewRoster), .. }) => {}
            Some(Arrival::Refused { address, error }) => {
                let mut why = error.to_string();
                if matches!(error, LinkError::Closed(CloseReason::OtherRoster)) {
                    why += ROSTER_BEHIND;
                }
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

    /// Where members dial in over TCP, if they may.
    #[must_use]
    pub const fn tcp_address(&self) -> Option<SocketAddr> {
        self.tcp
    }

    /// Where health and metrics are served, if they are.
    #[must_use]
    pub const fn admin_address(&self) -> Option<SocketAddr> {
        self.admin
    }

    /// Where the page is served, if it is.
    #[must_use]
    pub const fn page_address(&self) -> Option<SocketAddr> {
        self.page
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
pub async fn journal_of(databases: &Databases, state_dir: &Path) -> Result<Journal, Failure> {
    place::check(databases, &[state_dir])?;
    match Journal::open_existing(databases.journal(state_dir)).await? {
        Some(journal) => Ok(journal),
        None => {
            let shown = databases.journal(state_dir);
            let what = format!("no run has begun: there is no {shown}");
            Err(Failure::new(Exit::Failed, "NO_RUN", what)
                .with_help("start one: covey-coordinator serve --config FILE"))
        }
    }
}
