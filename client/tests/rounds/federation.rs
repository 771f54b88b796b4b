//! A federation on disk, enrolled as people do it, with data and holders that really run.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use covey_aggregation::config::RoundConfig;
use covey_aggregation::net::authority::AUTHORITY_FILE;
use covey_aggregation::net::membership::MEMBER_FILE;
use covey_aggregation::net::roster_file::{ROSTER_FILE, add_member};
use covey_aggregation::net::{
    Authority, IdentityKey, Membership, Request, Validity, files, write_roster,
};
use covey_aggregation::party::{Name, Role};
use covey_aggregation::program::stop::Stopper;
use covey_aggregation::program::{Failure, Signal, Stop};
use covey_aggregation::roster::Roster;
use covey_aggregation::sum::quantise::Quantised;
use covey_client::{Client, Config, Event, Observer};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use zeroize::Zeroizing;

/// A plan of a tiny model on a table of two columns.
pub(crate) const PLAN: &str = r#"
schema = "plan/1"
name = "halves"
purpose = "Learn which half of the plane a point lies in"
seed = 7
[data]
kind = "tabular"
target = { column = "side", classes = ["left", "right"] }
columns = [
  { name = "x", type = "float", min = -1, max = 1 },
  { name = "y", type = "float", min = -1, max = 1 },
]
[model]
layers = [{ kind = "linear", out = 8 }, { kind = "tanh" }, { kind = "linear", out = 2 }]
[training]
rounds = 3
local_epochs = 1
batch_size = 8
optimizer = { name = "sgd", lr = 0.1, momentum = 0.0 }
weighting = { capped_examples = 30 }
[cohort]
minimum = 3
maximum = 10
[secure_aggregation]
profile = "A"
bits = 12
range = 0.5
clip_norm = 5.0
audit = "off"
"#;

pub(crate) struct Federation {
    folder: TempDir,
    authority: Authority,
    pub(crate) roster: Roster,
}

fn name(text: &str) -> Name {
    text.parse().expect("a name")
}

impl Federation {
    /// A coordinator "c", holders "kh-1" to "kh-4", and these owners.
    pub(crate) fn new(owners: &[&str]) -> Self {
        let secret = Zeroizing::new([3; 32]);
        let now = SystemTime::now();
        let authority = Authority::create(name("test"), secret, now).expect("an authority");
        let (federation, digest) = (name("test"), authority.digest());
        let roster = Roster::founding(federation, digest, Vec::new());
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut this = Self { folder, authority, roster };
        let coordinator = this.path("c");
        files::create_private_folder(&coordinator).expect("a folder");
        let key = IdentityKey::from_seed(Zeroizing::new([4; 32]));
        key.create(&coordinator).expect("a key");
        let request = Request::create(&key, name("c"), Role::Coordinator, None);
        this.add(&request.expect("a request"));
        for holder in 1..=4 {
            let holder = format!("kh-{holder}");
            let made = covey_committee::init::init(&this.path(&holder), name(&holder), "unset:1");
            this.add(&Request::read(&made.expect("made").request).expect("a request"));
        }
        for owner in owners {
            let made = covey_client::init::init(&this.path(owner), name(owner), "unset:1");
            this.add(&Request::read(&made.expect("made").request).expect("a request"));
        }
        for member in &this.roster.members {
            this.certify(member.name.as_str());
        }
        this
    }

    pub(crate) fn path(&self, member: &str) -> PathBuf {
        self.folder.path().join(member)
    }

    fn add(&mut self, request: &Request) {
        add_member(&mut self.roster, request.member()).expect("a new member");
    }

    fn certify(&self, member: &str) {
        self.certify_for(member, Validity { from: SystemTime::now(), days: 7 });
    }

    /// Gives a member a certificate of these dates.
    pub(crate) fn certify_for(&self, member: &str, validity: Validity) {
        let found = self.roster.members.iter().find(|one| one.name.as_str() == member);
        let pem = self.authority.issue(found.expect("enrolled"), validity).expect("issued");
        let folder = self.path(member);
        let write = |file: &str, text: &str| {
            files::write_durably(&folder.join(file), text.as_bytes()).expect("written");
        };
        write(MEMBER_FILE, &pem);
        write(AUTHORITY_FILE, self.authority.pem());
        write_roster(&folder.join(ROSTER_FILE), &self.roster).expect("written");
    }

    pub(crate) fn membership(&self, member: &str) -> Arc<Membership> {
        Arc::new(Membership::load(&self.path(member)).expect("a membership"))
    }

    /// Starts a holder.
    pub(crate) fn hold(&self, holder: &str, coordinator: &str) -> Running {
        let path = self.path(holder).join("holder.toml");
        let text = fs::read_to_string(&path).expect("read").replace("unset:1", coordinator);
        fs::write(&path, text).expect("written");
        let config = covey_committee::config::Config::read(&path).expect("a configuration");
        let (stopper, stop) = Stop::manual();
        let task =
            tokio::spawn(
                async move { covey_committee::serve::serve(&config, stop, &mut |_| {}).await },
            );
        Running { stopper, task, events: Arc::default() }
    }

    /// Writes an owner's configuration and data of `examples` points.
    pub(crate) fn settle(&self, owner: &str, coordinator: &str, purposes: &str, examples: u32) {
        let config = format!(
            r#"schema = "client/1"
coordinator = {coordinator:?}
device = "cpu"
data = {{ format = "csv", path = "data.csv" }}
"#
        );
        let path = self.path(owner);
        fs::write(path.join("client.toml"), config).expect("written");
        self.allow(owner, &format!("[allow]\npurposes = [{purposes:?}]"));
        let mut rows = "x,y,side\n".to_owned();
        for i in 0..examples {
            let x = f64::from(i * 7 % 19) / 9.5 - 1.0;
            let y = f64::from(i * 5 % 13) / 6.5 - 1.0;
            let side = if x + 0.3 * y > 0.0 { "right" } else { "left" };
            rows += &format!("{x:.4},{y:.4},{side}\n");
        }
        fs::write(path.join("data.csv"), rows).expect("written");
    }

    /// Writes an owner's policy.
    pub(crate) fn allow(&self, owner: &str, policy: &str) {
        let policy = format!("schema = \"policy/1\"\n{policy}\n");
        fs::write(self.path(owner).join("policy.toml"), policy).expect("written");
    }

    pub(crate) fn config(&self, owner: &str) -> Config {
        Config::read(&self.path(owner).join("client.toml")).expect("a configuration")
    }

    /// Starts an owner's client.
    pub(crate) fn start(&self, owner: &str, observer: Option<Arc<dyn Observer>>) -> Running {
        let mut client = Client::new(self.config(owner));
        if let Some(observer) = observer {
            client = client.with_observer(observer);
        }
        let (stopper, stop) = Stop::manual();
        let events: Arc<Mutex<Vec<Event>>> = Arc::default();
        let seen = Arc::clone(&events);
        let task = tokio::spawn(async move {
            let mut watch = |event| seen.lock().unwrap_or_else(PoisonError::into_inner).push(event);
            client.run(stop, &mut watch).await
        });
        Running { stopper, task, events }
    }
}

/// A program that runs in a task.
pub(crate) struct Running {
    pub(crate) stopper: Stopper,
    pub(crate) task: JoinHandle<Result<Signal, Failure>>,
    events: Arc<Mutex<Vec<Event>>>,
}

impl Running {
    pub(crate) fn events(&self) -> Vec<Event> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Asks it to stop, once, and waits.
    pub(crate) async fn stop(self) -> Signal {
        self.stopper.ask(Signal::Interrupt);
        self.task.await.expect("no panic").expect("no failure")
    }

    /// Ends it as a kill does: nothing more is said or stored.
    pub(crate) async fn kill(self) {
        self.task.abort();
        assert!(self.task.await.is_err_and(|error| error.is_cancelled()));
    }
}

/// An update in the clear.
struct Entry {
    round: u32,
    units: Vec<i32>,
    weight: u64,
    control: Vec<i32>,
    counters: Vec<u64>,
}

/// Keeps every update in the clear.
#[derive(Default)]
pub(crate) struct Ledger(Mutex<Vec<Entry>>);

impl Ledger {
    /// Sums and weights of a round over the updates of several owners.
    pub(crate) fn sum(ledgers: &[Arc<Self>], round: u32) -> (Vec<i32>, u64) {
        let mut total = (Vec::new(), 0);
        for ledger in ledgers {
            let entries = ledger.0.lock().unwrap_or_else(PoisonError::into_inner);
            let last = entries.iter().rev().find(|entry| entry.round == round);
            let Entry { units, weight, .. } = last.expect("an update of this round");
            total.0.resize(units.len(), 0);
            total.0.iter_mut().zip(units).for_each(|(sum, unit)| *sum += unit);
            total.1 += weight;
        }
        total
    }

    /// Control and counters of the owner's update in a round.
    pub(crate) fn beside(&self, round: u32) -> (Vec<i32>, Vec<u64>) {
        let entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let last = entries.iter().rev().find(|entry| entry.round == round);
        let Entry { control, counters, .. } = last.expect("an update of this round");
        (control.clone(), counters.clone())
    }
}

impl Observer for Ledger {
    fn quantised(&self, terms: &RoundConfig, quantised: &Quantised) {
        let units = quantised.units().collect();
        let entry = Entry {
            round: terms.round,
            units,
            weight: quantised.weight().into(),
            control: quantised.control_units().collect(),
            counters: quantised.counters().to_vec(),
        };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(entry);
    }
}

/// Waits, with patience for a busy machine, until something has happened.
pub(crate) async fn until(what: &str, mut happened: impl FnMut() -> bool) {
    for _ in 0..6000 {
        if happened() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("never happened: {what}");
}

/// Files in a folder.
pub(crate) fn files_in(folder: &Path) -> usize {
    fs::read_dir(folder).map_or(0, Iterator::count)
}
