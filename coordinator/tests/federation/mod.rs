//! A whole federation in one process over real QUIC: this coordinator, the real key holders, and
//! owners that drive the real `Participant` with small made-up updates.
#![allow(dead_code, reason = "each test file uses its part")]

pub(crate) mod owner;
pub(crate) mod researcher;

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use covey_aggregation::message::SignedHeader;
use covey_aggregation::net::membership::MEMBER_FILE;
use covey_aggregation::net::request::{REQUEST_FILE, Request};
use covey_aggregation::net::roster_file::ROSTER_FILE;
use covey_aggregation::net::{
    Bulk, BulkError, IdentityKey, Membership, Offered, Outline, authority::AUTHORITY_FILE,
    read_roster,
};
use covey_aggregation::party::{Name, Role};
use covey_aggregation::plan::Plan;
use covey_aggregation::program::stop::Stopper;
use covey_aggregation::program::{Failure, Stop};
use covey_aggregation::publication::{Publication, RoundResult};
use covey_aggregation::strategy::Stepped;
use covey_committee::config::{CONFIG_FILE as HOLDER_CONFIG, Config as HolderConfig};
use covey_coordinator::cli::{Enrol, Init};
use covey_coordinator::config::Config;
use covey_coordinator::coordinator::JOURNAL_FILE;
use covey_coordinator::event::{Event, RoundSummary, RunSummary};
use covey_coordinator::storage::faults::Faults;
use covey_coordinator::{Coordinator, setup};
use covey_model::task::Task;
use owner::Owner;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use zeroize::Zeroizing;

/// After this long without an answer the coordinator sends a message again, and names in the end
/// who did not answer.
pub(crate) const RESEND_MS: u64 = 300;

/// Longest wait in a test; far beyond what a busy machine needs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// The validation pool, in the folder of the operator and of each holder.
pub(crate) const POOL_FILE: &str = "pool.csv";

/// How settings declare it.
fn validation_data() -> String {
    let path = POOL_FILE;
    format!("validation_data = {{ format = \"csv\", path = \"{path}\", header = \"absent\" }}\n")
}

/// Sends a contribution, or what the coordinator does not have of it.
pub(crate) async fn contribute(
    bulk: &Bulk,
    header: &SignedHeader,
    bytes: &[u8],
) -> Result<(), BulkError> {
    let Offered::Wanted(sending) = bulk.offer(header, bytes.len() as u64).await? else {
        return Ok(());
    };
    let mut rest = &bytes[usize::try_from(sending.from()).expect("in memory")..];
    sending.send(&Outline::of(rest), &mut rest, |_| {}).await
}

pub(crate) fn name(text: &str) -> Name {
    text.parse().expect("a name")
}

/// Folders of all members, enrolled.
pub(crate) struct Federation {
    folder: TempDir,
    pub(crate) address: SocketAddr,
    holders: usize,
    owners: usize,
    researchers: &'static [&'static str],
}

/// What a test chooses of its plan.
pub(crate) struct PlanOptions {
    pub(crate) rounds: u32,
    pub(crate) minimum: u32,
    pub(crate) collect: &'static str,
    pub(crate) vote: &'static str,
    pub(crate) on_shortfall: &'static str,
    pub(crate) weighting: &'static str,
    pub(crate) holdout: f64,
    pub(crate) is_audited: bool,
    /// Rows of a validation pool that coordinator and holders have; none without.
    pub(crate) pool_rows: usize,
    /// Further sections.
    pub(crate) more: &'static str,
}

impl Default for PlanOptions {
    fn default() -> Self {
        Self {
            rounds: 1,
            minimum: 3,
            collect: "60s",
            vote: "60s",
            on_shortfall: "skip-round",
            weighting: "{ capped_examples = 500 }",
            holdout: 0.0,
            is_audited: false,
            pool_rows: 0,
            more: "",
        }
    }
}

impl PlanOptions {
    /// The plan's text.
    pub(crate) fn text(&self) -> String {
        let Self { rounds, minimum, collect, vote, weighting, holdout, is_audited, more, .. } =
            self;
        let on_shortfall = self.on_shortfall;
        let (profile, audit) = if *is_audited { ("B", "closed") } else { ("A", "off") };
        format!(
            "schema = \"plan/1\"\nname = \"small\"\npurpose = \"A test\"\nseed = 7\n\
             [data]\nkind = \"image\"\nheight = 2\nwidth = 2\npixel_max = 16\nclasses = 2\nholdout = {holdout:?}\n\
             [model]\nlayers = [{{ kind = \"flatten\" }}, {{ kind = \"linear\", out = 2 }}]\n\
             [training]\nrounds = {rounds}\nbatch_size = 4\n\
             optimizer = {{ name = \"sgd\", lr = 0.1 }}\nweighting = {weighting}\n\
             [cohort]\nminimum = {minimum}\nmaximum = 10\non_shortfall = \"{on_shortfall}\"\n\
             deadlines = {{ select = \"60s\", collect = \"{collect}\", vote = \"{vote}\", \
             release = \"60s\" }}\n\
             [secure_aggregation]\nprofile = \"{profile}\"\nbits = 12\nrange = 0.5\nclip_norm = 20.0\n\
             audit = \"{audit}\"\n{more}"
        )
    }
}

/// A port of loopback that was free a moment ago, for both UDP and TCP.
pub(crate) fn free_port() -> SocketAddr {
    loop {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = socket.local_addr().expect("bound");
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
}

impl Federation {
    /// Enrols a coordinator, 4 holders and `owners` owners, and writes plan and test data.
    pub(crate) fn new(owners: usize, plan: &PlanOptions) -> Self {
        Self::with_researchers(owners, plan, &[])
    }

    /// Likewise, with researchers of these names.
    pub(crate) fn with_researchers(
        owners: usize,
        plan: &PlanOptions,
        researchers: &'static [&'static str],
    ) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let address = free_port();
        let federation = Self { folder, address, holders: 4, owners, researchers };
        let dir = federation.dir();
        setup::init(&Init {
            dir: dir.clone(),
            federation: name("test"),
            name: name("coordinator"),
        })
        .expect("created");
        let mut requests = Vec::new();
        for index in 0..federation.holders {
            let folder = federation.holder(index);
            let address = federation.address.to_string();
            covey_committee::init::init(&folder, name(&format!("holder-{index}")), &address)
                .expect("a holder's keys");
            requests.push(folder.join(REQUEST_FILE));
        }
        for index in 0..federation.owners {
            requests.push(federation.create_owner(index));
        }
        for (index, researcher) in (0..).zip(researchers) {
            requests.push(federation.create_member(researcher, Role::Researcher, 200 + index));
        }
        setup::enrol(&Enrol { dir, requests, print: false }).expect("enrolled");
        federation.hand_out();
        federation.write_plan(plan);
        federation.write_pool(plan.pool_rows);
        federation
    }

    /// A coordinator alone, with a plan: everybody else joins by invite.
    pub(crate) fn empty(plan: &PlanOptions) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let address = free_port();
        let federation = Self { folder, address, holders: 0, owners: 0, researchers: &[] };
        let (dir, name) = (federation.dir(), name("coordinator"));
        setup::init(&Init { dir, federation: "test".parse().expect("a name"), name })
            .expect("created");
        federation.write_plan(plan);
        federation
    }

    /// Enrols one more owner: the roster is another one then.
    pub(crate) fn enrol_another(&self) {
        let requests = vec![self.create_member("late", Role::DataOwner, 100)];
        setup::enrol(&Enrol { dir: self.dir(), requests, print: false }).expect("enrolled");
    }

    /// The operator's folder.
    pub(crate) fn dir(&self) -> PathBuf {
        self.folder.path().join("operator")
    }

    pub(crate) fn holder(&self, index: usize) -> PathBuf {
        self.folder.path().join(format!("holder-{index}"))
    }

    pub(crate) fn owner(&self, index: usize) -> PathBuf {
        self.folder.path().join(format!("owner-{index}"))
    }

    pub(crate) fn path(&self, member: &str) -> PathBuf {
        self.folder.path().join(member)
    }

    fn create_owner(&self, index: usize) -> PathBuf {
        let seed = u8::try_from(index).expect("few owners") + 1;
        self.create_member(&format!("owner-{index}"), Role::DataOwner, seed)
    }

    fn create_member(&self, member: &str, role: Role, seed: u8) -> PathBuf {
        let folder = self.path(member);
        fs::create_dir(&folder).expect("created");
        let key = IdentityKey::from_seed(Zeroizing::new([seed; 32]));
        key.create(&folder).expect("written");
        let request = Request::create(&key, name(member), role, None);
        let path = folder.join(REQUEST_FILE);
        fs::write(&path, request.expect("a request").to_json()).expect("written");
        path
    }

    /// Gives every member its certificate, and everybody the roster.
    fn hand_out(&self) {
        let holders = (0..self.holders).map(|i| (self.holder(i), format!("holder-{i}")));
        let owners = (0..self.owners).map(|i| (self.owner(i), format!("owner-{i}")));
        let researchers = self.researchers.iter().map(|name| (self.path(name), (*name).to_owned()));
        for (folder, name) in holders.chain(owners).chain(researchers) {
            let issued = self.dir().join("issued").join(name);
            for file in [MEMBER_FILE, AUTHORITY_FILE] {
                fs::copy(issued.join(file), folder.join(file)).expect("handed out");
            }
            fs::copy(self.dir().join(ROSTER_FILE), folder.join(ROSTER_FILE)).expect("handed out");
        }
    }

    fn write_plan(&self, options: &PlanOptions) {
        fs::write(self.dir().join("plan.toml"), options.text()).expect("written");
        fs::write(self.dir().join("test.csv"), "1,2,3,4,0\n16,15,14,13,1\n").expect("written");
    }

    /// Gives the operator and every holder a pool of so many rows, half of them of either class.
    fn write_pool(&self, rows: usize) {
        if rows == 0 {
            return;
        }
        let row = |i: usize| {
            let pixel = |k: usize| (i * (7 + 4 * k) + 3 * k) % 17;
            format!("{},{},{},{},{}\n", pixel(0), pixel(1), pixel(2), pixel(3), i % 2)
        };
        let text: String = (0..rows).map(row).collect();
        for folder in (0..self.holders).map(|i| self.holder(i)).chain([self.dir()]) {
            fs::write(folder.join(POOL_FILE), &text).expect("written");
        }
        for path in (0..self.holders).map(|i| self.holder(i).join(HOLDER_CONFIG)) {
            let settings = validation_data() + &fs::read_to_string(&path).expect("read");
            fs::write(path, settings).expect("written");
        }
    }

    /// The operator's settings without a plan.
    pub(crate) fn open_config(&self, owners: usize) -> Config {
        let mut config = self.config(owners);
        config.plan = None;
        config
    }

    /// The operator's settings; the first round needs `owners` owners.
    pub(crate) fn config(&self, owners: usize) -> Config {
        let has_pool = self.dir().join(POOL_FILE).exists();
        let pool = if has_pool { validation_data() } else { String::new() };
        let text = format!(
            "listen = \"{}\"\nplan = \"plan.toml\"\n\
             test_data = {{ format = \"csv\", path = \"test.csv\", header = \"absent\" }}\n{pool}\
             [start]\nwait_s = 100\nsettle_s = 60\nowners = {owners}\n\
             [rounds]\nresend_ms = {RESEND_MS}\nabandons_in_a_row_max = 1\n",
            self.address
        );
        let path = self.dir().join("coordinator.toml");
        fs::write(&path, text).expect("written");
        Config::load(&path).expect("valid")
    }

    pub(crate) fn membership(&self, folder: &Path) -> Arc<Membership> {
        Arc::new(Membership::load(folder).expect("enrolled"))
    }

    /// The bundle of a round.
    pub(crate) fn publication(&self, round: u32) -> Publication {
        let path = self.published().join(format!("round-{round:04}/publication.covey"));
        Publication::decode(&fs::read(path).expect("published")).expect("well-formed")
    }

    /// The plan's model, and the first `rounds` rounds computed again from their published sums:
    /// what each opened, and what it left. Each started from what the one before it left.
    pub(crate) fn replay(&self, rounds: u32) -> (Task, Vec<(RoundResult, Stepped)>) {
        let text = fs::read_to_string(self.dir().join("plan.toml")).expect("read");
        let plan = Plan::parse(&text).expect("a plan");
        let task = Task::from_plan(&plan).expect("a model");
        let mut parameters = task.initial_parameters();
        let mut state = plan.initial_state(parameters.len());
        let mut replayed = Vec::new();
        for round in 1..=rounds {
            let result = self.publication(round).result;
            assert_eq!(result.config.model, task.parameters_digest(&parameters), "round {round}");
            let place = (&parameters[..], &state);
            let step = plan.strategy.step(1.0, place, &result.config, &result.aggregate);
            let stepped = step.expect("finite");
            (parameters, state) = (stepped.parameters.clone(), stepped.state.clone());
            replayed.push((result, stepped));
        }
        (task, replayed)
    }

    pub(crate) fn published(&self) -> PathBuf {
        self.dir().join("state/published")
    }

    /// The outside check of everything published.
    pub(crate) fn is_verified(&self) -> bool {
        let roster = self.dir().join(ROSTER_FILE);
        let report = covey_committee::verify::verify_folder(&self.published(), &roster, |_| {});
        report.expect("readable").is_verified
    }

    pub(crate) fn roster(&self) -> covey_aggregation::roster::Roster {
        read_roster(&self.dir().join(ROSTER_FILE)).expect("readable")
    }

    /// Starts a holder in the current runtime. Aborting the task kills it.
    pub(crate) fn start_holder(&self, index: usize) -> JoinHandle<()> {
        let config = HolderConfig::read(&self.holder(index).join(HOLDER_CONFIG)).expect("valid");
        tokio::spawn(async move {
            let (_stopper, stop) = Stop::manual();
            let served = covey_committee::serve::serve(&config, stop, &mut |_| {}).await;
            served.expect("a holder serves until it is stopped");
        })
    }
}

/// A coordinator in a runtime of its own, so that it can be killed like a process.
pub(crate) struct Operator {
    runtime: Option<Runtime>,
    pub(crate) events: mpsc::UnboundedReceiver<Event>,
    work: JoinHandle<Result<RunSummary, Failure>>,
    pub(crate) stopper: Stopper,
    state_dir: PathBuf,
}

impl Operator {
    pub(crate) fn start(config: Config) -> Self {
        Self::start_with(config, Faults::none())
    }

    /// With a storage that fails as `faults` says.
    pub(crate) fn start_with(config: Config, faults: Faults) -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let (stopper, stop) = Stop::manual();
        let (sender, events) = mpsc::unbounded_channel();
        let state_dir = config.state_dir.clone();
        let work = runtime.spawn(async move {
            let running = Coordinator::start_with(config, stop, faults).await;
            let mut running = running.inspect_err(|failure| eprintln!("{failure}"))?;
            while let Ok(event) = running.next_event().await {
                eprintln!("{event}");
                // The test may be satisfied already.
                let _ = sender.send(event);
            }
            running.finished().await
        });
        Self { runtime: Some(runtime), events, work, stopper, state_dir }
    }

    /// Waits for an event that `wanted` picks.
    pub(crate) async fn wait_for<T>(&mut self, mut wanted: impl FnMut(&Event) -> Option<T>) -> T {
        let found = async {
            loop {
                let event = self.events.recv().await.expect("it goes on");
                if let Some(found) = wanted(&event) {
                    return found;
                }
            }
        };
        tokio::time::timeout(PATIENCE, found).await.expect("in time")
    }

    /// Waits for the end.
    pub(crate) async fn finished(&mut self) -> Result<RunSummary, Failure> {
        let ended = tokio::time::timeout(PATIENCE, &mut self.work).await.expect("in time");
        ended.expect("no panic")
    }

    /// Ends it as a crash would: nothing is finished, nobody is told.
    pub(crate) async fn kill(mut self) {
        let runtime = self.runtime.take().expect("running");
        let killed = tokio::task::spawn_blocking(move || runtime.shutdown_timeout(PATIENCE));
        killed.await.expect("gone");
        // The database works on threads of its own, which a process that is killed takes along. Here
        // they may still write what they had begun, under the eyes of the next life.
        let closed = async {
            while is_open(&self.state_dir) {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(PATIENCE, closed).await.expect("closed in time");
    }
}

/// Whether this program has a file open below `folder`, where Linux tells. Elsewhere whether there is
/// a log of the journal's writes: whoever closes it last takes that away.
fn is_open(folder: &Path) -> bool {
    let Ok(descriptors) = fs::read_dir("/proc/self/fd") else {
        return folder.join(format!("{JOURNAL_FILE}-wal")).exists();
    };
    let folder = folder.canonicalize().expect("a folder");
    let files = descriptors.flatten().flat_map(|descriptor| fs::read_link(descriptor.path()));
    // A closed descriptor is no link any more.
    files.into_iter().any(|file| file.starts_with(&folder))
}

impl Drop for Operator {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// A federation at work.
pub(crate) struct Members {
    pub(crate) holders: Vec<JoinHandle<()>>,
    pub(crate) owners: Vec<Owner>,
    /// One for each owner: whether it may prepare.
    pub(crate) gates: Vec<watch::Sender<bool>>,
}

impl Members {
    pub(crate) fn start(federation: &Federation, owners: usize) -> Self {
        let holders = (0..4).map(|index| federation.start_holder(index)).collect();
        let (gates, owners) = (0..owners)
            .map(|index| {
                let (gate, open) = watch::channel(true);
                let membership = federation.membership(&federation.owner(index));
                let address = federation.address.to_string();
                (gate, owner::start(index, membership, address, open))
            })
            .unzip();
        Self { holders, owners, gates }
    }

    /// Waits until an owner has heard how its round ended.
    pub(crate) async fn wait_until_counted(&self, index: usize, rounds: usize) {
        let diary = Arc::clone(&self.owners[index].diary);
        let counted = async {
            while diary.lock().expect("a diary").counted.len() < rounds {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(PATIENCE, counted).await.expect("in time");
    }
}

pub(crate) fn round_of(event: &Event) -> Option<RoundSummary> {
    match event {
        Event::Round(summary) => Some(RoundSummary::clone(summary)),
        _ => None,
    }
}
