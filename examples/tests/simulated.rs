//! A simulation comes to the same models as the real programs: a coordinator, four key holders and
//! owners over QUIC, each with its own files, against `covey-client sim` in the same process.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use covey_aggregation::net::authority::AUTHORITY_FILE;
use covey_aggregation::net::membership::MEMBER_FILE;
use covey_aggregation::net::request::{REQUEST_FILE, Request};
use covey_aggregation::net::roster_file::ROSTER_FILE;
use covey_aggregation::party::{Name, Role};
use covey_aggregation::plan::Plan;
use covey_aggregation::program::Stop;
use covey_client::sim::{
    Event as Simulated, Options, Partition, RoundSummary, owner_key, simulate,
};
use covey_client::{Client, Config as ClientConfig};
use covey_committee::config::{CONFIG_FILE as HOLDER_CONFIG, Config as HolderConfig};
use covey_coordinator::cli::{Enrol, Init};
use covey_coordinator::config::Config;
use covey_coordinator::event::Event;
use covey_coordinator::{Coordinator, setup};
use covey_model::data::{DataSource, Header, Pool, ReadLimits};
use covey_model::device::DeviceChoice;

const OWNERS: usize = 4;
const ROUNDS: u32 = 3;
const SEED: u64 = 9;

/// Longest wait; far beyond what a busy machine needs.
const PATIENCE: Duration = Duration::from_secs(120);

/// A table of two numbers, a class, and a column that the plan does not read. Momentum at home,
/// control variates, weights, a holdout and federated metrics: all that a round can carry.
const PLAN: &str = r#"
schema = "plan/1"
name = "halves"
purpose = "Learn which half of the plane a point lies in"
seed = 7
[data]
kind = "tabular"
holdout = 0.25
target = { column = "side", classes = ["left", "right"] }
columns = [
  { name = "x", type = "float", min = -1, max = 1 },
  { name = "y", type = "float", min = -1, max = 1 },
]
[model]
layers = [{ kind = "linear", out = 8 }, { kind = "tanh" }, { kind = "dropout", p = 0.1 },
          { kind = "linear", out = 2 }]
[training]
rounds = 3
local_epochs = 2
batch_size = 8
optimizer = { name = "sgd", lr = 0.1 }
weighting = "uniform"
[strategy]
name = "scaffold"
range = 4
clip_norm = 20
[evaluation]
metrics = ["accuracy", "loss"]
[cohort]
minimum = 3
maximum = 10
deadlines = { select = "60s", collect = "60s", vote = "60s", release = "60s" }
[secure_aggregation]
profile = "A"
bits = 12
range = 0.5
clip_norm = 5.0
audit = "off"
"#;

fn rows() -> Vec<String> {
    let row = |i: u32| {
        let x = f64::from(i * 7 % 190) / 95.0 - 1.0;
        let y = f64::from(i * 31 % 130) / 65.0 - 1.0;
        let side = if x + 0.3 * y > 0.0 { "right" } else { "left" };
        format!("{x:.4},{y:.4},clinic-{},{side}", i % 3)
    };
    (0..200).map(row).collect()
}

const HEADER: &str = "x,y,clinic,side";

fn csv(path: &Path) -> DataSource {
    DataSource::Csv { path: path.to_owned(), header: Header::Present }
}

fn write(path: &Path, text: &str) {
    fs::write(path, text).expect("written");
}

fn name(text: &str) -> Name {
    text.parse().expect("a name")
}

/// What a simulation needs, in a folder.
struct Bench {
    folder: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let bench = Self { folder: tempfile::tempdir().expect("a folder") };
        write(&bench.path("plan.toml"), PLAN);
        write(&bench.path("all.csv"), &format!("{HEADER}\n{}\n", rows().join("\n")));
        bench
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn options(&self) -> Options {
        Options {
            plan: self.path("plan.toml"),
            data: vec![csv(&self.path("all.csv"))],
            test_data: Some(csv(&self.path("all.csv"))),
            clients: OWNERS,
            partition: Partition::ByColumn("clinic".to_owned()),
            dropout: 0.0,
            attacks: Vec::new(),
            is_sealed: true,
            rounds: None,
            seed: Some(SEED),
            device: DeviceChoice::Cpu,
            workers: Some(2),
            dataset_bytes_max: None,
        }
    }
}

/// The rounds of a simulation.
fn rounds_of(options: &Options) -> Vec<RoundSummary> {
    let mut rounds = Vec::new();
    let mut tell = |event: &Simulated| {
        eprintln!("{event}");
        if let Simulated::Round(summary) = event {
            rounds.push(summary.clone());
        }
    };
    simulate(options, &mut tell).expect("simulated");
    rounds
}

fn models(rounds: &[RoundSummary]) -> Vec<&str> {
    rounds.iter().map(|round| round.model.as_str()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_simulation_comes_to_the_models_of_the_real_programs_round_by_round() {
    let bench = Bench::new();
    let federation = Federation::enrol(&bench);
    let real = tokio::time::timeout(PATIENCE, federation.run()).await.expect("in time");
    let options = bench.options();
    let simulated = tokio::task::spawn_blocking(move || rounds_of(&options));
    let simulated = simulated.await.expect("no panic");
    assert_eq!((real.len(), simulated.len()), (ROUNDS as usize, ROUNDS as usize));
    for (real, simulated) in real.iter().zip(&simulated) {
        assert!(real.done && simulated.done, "{real:?} {simulated:?}");
        assert_eq!(real.model, simulated.model, "round {}", real.round);
        assert_eq!(real.counted.len(), simulated.counted);
        assert_eq!((real.weight, &real.federated), (simulated.weight, &simulated.federated));
        assert_eq!((real.accuracy, real.loss), (simulated.accuracy, simulated.loss));
    }
    let accuracy = simulated.last().and_then(|round| round.accuracy).expect("measured");
    assert!(accuracy > 0.8, "{accuracy}");
}

#[test]
fn with_or_without_encryption_and_on_any_number_of_threads_the_models_are_the_same() {
    let bench = Bench::new();
    let mut options = bench.options();
    (options.clients, options.dropout) = (12, 0.3);
    options.attacks = vec!["boost:2".parse().expect("an attack"), "noise:1".parse().expect("one")];
    let sealed = rounds_of(&options);
    options.is_sealed = false;
    let clear = rounds_of(&options);
    assert_eq!((sealed.len(), clear.len()), (ROUNDS as usize, ROUNDS as usize));
    for (sealed, clear) in sealed.iter().zip(&clear) {
        assert!(sealed.encrypted && !clear.encrypted);
        assert_eq!(sealed.model, clear.model, "round {}", sealed.round);
        assert_eq!((&sealed.missing, sealed.weight), (&clear.missing, clear.weight));
        assert_eq!((&sealed.federated, sealed.attackers), (&clear.federated, clear.attackers));
    }
    options.workers = Some(5);
    assert_eq!(models(&clear), models(&rounds_of(&options)));
    options.seed = Some(SEED + 1);
    assert_ne!(models(&clear), models(&rounds_of(&options)));
}

/// The folders of a federation whose owners are the clients of the simulation.
struct Federation {
    operator: PathBuf,
    holders: Vec<PathBuf>,
    owners: Vec<PathBuf>,
    address: String,
}

impl Federation {
    fn enrol(bench: &Bench) -> Self {
        let address = covey_examples::free_address().expect("a free port").to_string();
        let operator = bench.path("operator");
        let federation = (name("test"), name("coordinator"));
        let init = Init { dir: operator.clone(), federation: federation.0, name: federation.1 };
        setup::init(&init).expect("created");
        let holders: Vec<_> = (0..4).map(|one| bench.path(&format!("holder-{one}"))).collect();
        let owners: Vec<_> = (0..OWNERS).map(|one| bench.path(&format!("owner-{one}"))).collect();
        for (one, folder) in holders.iter().enumerate() {
            let made =
                covey_committee::init::init(folder, name(&format!("holder-{one}")), &address);
            made.expect("a holder's keys");
        }
        for (one, folder) in owners.iter().enumerate() {
            fs::create_dir(folder).expect("created");
            let key = owner_key(SEED, one);
            key.create(folder).expect("written");
            let name = name(&format!("owner-{one}"));
            let request = Request::create(&key, name, Role::DataOwner, None);
            write(&folder.join(REQUEST_FILE), &request.expect("a request").to_json());
        }
        let all = || holders.iter().chain(&owners);
        let requests = all().map(|folder| folder.join(REQUEST_FILE)).collect();
        setup::enrol(&Enrol { dir: operator.clone(), requests, print: false }).expect("enrolled");
        for folder in all() {
            let issued = operator.join("issued").join(folder.file_name().expect("a name"));
            for file in [MEMBER_FILE, AUTHORITY_FILE] {
                fs::copy(issued.join(file), folder.join(file)).expect("handed out");
            }
            fs::copy(operator.join(ROSTER_FILE), folder.join(ROSTER_FILE)).expect("handed out");
        }
        let this = Self { operator, holders, owners, address };
        this.settle(bench);
        this
    }

    /// Writes everybody's settings, and every owner's share of the rows as a file of its own.
    fn settle(&self, bench: &Bench) {
        let plan = Plan::parse(PLAN).expect("a plan");
        let (source, limits) = (csv(&bench.path("all.csv")), ReadLimits::default());
        let pool = Pool::load(&source, &plan.data, plan.seed, limits).expect("read");
        let partition = bench.options().partition;
        let parts = partition.divide(&pool, &source, &plan, OWNERS, SEED).expect("divided");
        for (folder, part) in self.owners.iter().zip(parts) {
            let own: Vec<_> = part.iter().map(|row| rows()[*row].clone()).collect();
            write(&folder.join("data.csv"), &format!("{HEADER}\n{}\n", own.join("\n")));
            let config = format!(
                "schema = \"client/1\"\ncoordinator = {:?}\ndevice = \"cpu\"\n\
                 data = {{ format = \"csv\", path = \"data.csv\" }}\n",
                self.address
            );
            write(&folder.join("client.toml"), &config);
            let policy = "schema = \"policy/1\"\nallow = { purposes = [\"*\"] }\n";
            write(&folder.join("policy.toml"), policy);
        }
        fs::copy(bench.path("plan.toml"), self.operator.join("plan.toml")).expect("copied");
        fs::copy(bench.path("all.csv"), self.operator.join("test.csv")).expect("copied");
        let config = format!(
            "listen = \"{}\"\nplan = \"plan.toml\"\n\
             test_data = {{ format = \"csv\", path = \"test.csv\" }}\n\
             [start]\nwait_s = 100\nsettle_s = 60\nowners = {OWNERS}\n\
             [rounds]\nresend_ms = 300\nabandons_in_a_row_max = 1\n",
            self.address
        );
        write(&self.operator.join("coordinator.toml"), &config);
    }

    /// Carries the plan out; its rounds.
    async fn run(&self) -> Vec<covey_coordinator::event::RoundSummary> {
        for folder in &self.holders {
            let config = HolderConfig::read(&folder.join(HOLDER_CONFIG)).expect("valid");
            tokio::spawn(async move {
                let (_stopper, stop) = Stop::manual();
                covey_committee::serve::serve(&config, stop, &mut |_| {}).await
            });
        }
        for folder in &self.owners {
            let config = ClientConfig::read(&folder.join("client.toml")).expect("valid");
            tokio::spawn(async move {
                let (_stopper, stop) = Stop::manual();
                Client::new(config).run(stop, &mut |_| {}).await
            });
        }
        let config = Config::load(&self.operator.join("coordinator.toml")).expect("valid");
        let (_stopper, stop) = Stop::manual();
        let mut running = Coordinator::start(config, stop).await.expect("started");
        let mut rounds = Vec::new();
        while let Ok(event) = running.next_event().await {
            eprintln!("{event}");
            if let Event::Round(summary) = event {
                rounds.push(*summary);
            }
        }
        running.finished().await.expect("done");
        rounds
    }
}
