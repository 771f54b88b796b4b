//! The command line.

mod audit;
mod credits;
mod mcp;
mod policy;
mod privacy;
mod run;
mod runs;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use covey_aggregation::net::TransportChoice;
use covey_aggregation::party::{Name, Role};
use covey_aggregation::program::service::ServiceCommand;
use covey_ledger::desk::DeskCommand;
use covey_model::device::DeviceChoice;

use crate::sim::{Attack, Partition};

use crate::plan::Template;

pub(crate) use audit::{Audit, AuditCommand, AuditLog, ExportFormat};
pub(crate) use credits::{CreditsCommand, Epoch};
pub(crate) use mcp::Mcp;
pub(crate) use policy::PolicyCommand;
pub(crate) use privacy::PrivacyCommand;
pub(crate) use run::{Export, LiveCommand, RunCommand};
pub(crate) use runs::RunsCommand;

/// Take part in federated learning with data that stay here, or ask for it.
#[derive(Parser)]
#[command(name = "covey-client", version, after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// Answer with JSON on stdout: one object, or one per line for `start`, `sim` and `run watch`.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXAMPLES: &str = "Examples:
  covey-client join COVEY1-... --dir ./st-marys
  covey-client init --name st-marys --dir ./st-marys --coordinator covey.example.org:7443
  covey-client plan new digits --template image
  covey-client plan check digits.toml
  covey-client plan explain digits.toml
  covey-client plan explain digits.toml --privacy --data train.csv --test-data test.csv
  covey-client plan diff digits.toml digits-2.toml
  covey-client plan schema > plan.schema.json
  covey-client data preview ./readmissions.csv
  covey-client data check ./digits.csv.gz --plan plan.toml
  covey-client data add readmissions ./readmissions.csv --dir ./st-marys
  covey-client data mock --plan plan.toml --rows 100 -o mock.csv
  covey-client sim plan.toml --data ./digits.csv.gz --clients 100 --partition dirichlet:0.5
  covey-client init --role researcher --name alice --dir ./alice --coordinator covey.example.org:7443
  covey-client run submit digits.toml --watch --config ./alice/researcher.toml
  covey-client run list --all --config ./alice/researcher.toml
  covey-client run wait digits --timeout 2h --config ./alice/researcher.toml
  covey-client run compare digits digits-2 --config ./alice/researcher.toml
  covey-client run export digits --format hf-folder --out ./model --config ./alice/researcher.toml
  covey-client run export ./published --plan plan.toml --format hf-folder --out ./model
  covey-client credits list ./epoch --roster ./st-marys/roster.json
  covey-client credits explain st-marys ./epoch --roster ./st-marys/roster.json
  covey-client credits recompute ./epoch
  covey-client credits verify ./published --roster ./st-marys/roster.json --config ./st-marys/client.toml
  covey-client policy check ./st-marys/policy.toml
  covey-client policy test plan.toml --config ./st-marys/client.toml
  covey-client privacy budget --config ./st-marys/client.toml
  covey-client privacy explain plan.toml
  covey-client credits verify ./published --roster ./st-marys/roster.json --plan plan.toml --pool pool.csv
  covey-client start --config ./st-marys/client.toml
  covey-client doctor --config ./st-marys/client.toml --plan plan.toml
  sudo covey-client service install --config ./st-marys/client.toml
  covey-client pause --config ./st-marys/client.toml
  covey-client audit --since 7d --config ./st-marys/client.toml
  covey-client audit verify --config ./st-marys/client.toml
  covey-client receipts --config ./st-marys/client.toml
  covey-client audit export --format csv --out sent.csv --config ./st-marys/client.toml
  covey-client runs list --config ./st-marys/client.toml
  covey-client runs leaves 01d9 --config ./st-marys/client.toml
  covey-client runs approve 01d9 --config ./st-marys/client.toml
  covey-client runs deny 01d9 --reason 'not for insurers' --config ./st-marys/client.toml
  covey-client ledger verify ./published --config ./st-marys/client.toml
  covey-client ledger credits ./published digits st-marys --config ./st-marys/client.toml
  covey-client dispute open --run digits --owner st-marys --pay 130.5 --why 'the old model' \
    --ledger ./published --config ./st-marys/client.toml
  covey-client address set 0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed --config ./st-marys/client.toml
  covey-client payout preview --ledger ./published --config ./st-marys/client.toml
  covey-client mcp --ledger ./published --config ./st-marys/client.toml

Exit codes: 0 done, 1 failed, 2 bad input, 3 timed out, 4 no access, 5 against the owner's rules,
6 verification failed, 130 Ctrl-C, 143 SIGTERM.";

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Make a data owner's or a researcher's keys and the request to send to the operator.
    Init {
        /// The name to ask for.
        #[arg(long)]
        name: Name,
        /// What to be: a data owner takes part in rounds, a researcher submits and watches runs.
        #[arg(long, value_enum, default_value_t)]
        role: MemberRole,
        /// Folder for keys, certificate and configuration; made if need be.
        #[arg(long)]
        dir: PathBuf,
        /// The coordinator's address, for the configuration.
        #[arg(long, default_value = "127.0.0.1:7443")]
        coordinator: String,
    },
    /// Join a federation by an invite, as a data owner or a researcher: makes the keys here, and waits
    /// until the key holders have signed the list of members.
    Join {
        /// The invite: the line that the operator handed over; `-` reads it from stdin.
        #[arg(env = "COVEY_INVITE", hide_env_values = true)]
        invite: String,
        /// Folder for keys, certificate and configuration; made if need be.
        #[arg(long)]
        dir: PathBuf,
        /// What to reach the coordinator by: auto (QUIC over UDP, and TLS over TCP where nothing
        /// answers), quic or tcp.
        #[arg(long, default_value_t)]
        transport: TransportChoice,
        /// Longest wait for the operator and the key holders, in seconds.
        #[arg(long, default_value_t = 24 * 3600)]
        timeout_s: u64,
    },
    /// End this membership: the coordinator shuts this key out at once. Receipts and credits stay.
    Leave {
        /// The owner's configuration.
        #[arg(long, env = "COVEY_CONFIG", default_value = "client.toml")]
        config: PathBuf,
        /// Do it; there is no way back but another invite.
        #[arg(long)]
        yes: bool,
    },
    /// Take part in rounds until stopped. Ctrl-C once drains, twice stops.
    Start {
        /// The owner's configuration.
        #[arg(long, env = "COVEY_CONFIG", default_value = "client.toml")]
        config: PathBuf,
        /// Where to train: auto, cpu, or cuda:N for the NVIDIA card of that number. In place of
        /// the configuration's `device`.
        #[arg(long)]
        device: Option<DeviceChoice>,
    },
    /// What you allow: your own limits, which nobody upstream can loosen.
    #[command(subcommand, after_help = policy::EXAMPLES)]
    Policy(PolicyCommand),
    /// Differential privacy: what was told about your data so far, and what a plan would tell.
    #[command(subcommand, after_help = privacy::EXAMPLES)]
    Privacy(PrivacyCommand),
    /// Runs that were offered to you: look at them, approve or deny them.
    #[command(subcommand, after_help = runs::EXAMPLES)]
    Runs(RunsCommand),
    /// Plans: begin one, check it, read it in plain words, compare two.
    #[command(subcommand)]
    Plan(PlanCommand),
    /// Data, looked at here only.
    #[command(subcommand)]
    Data(DataCommand),
    /// Try a plan: a whole federation in this process, with the real training, encryption and
    /// machines, and no network. The models are those that real owners with the same keys and
    /// data come to.
    Sim(Box<Simulation>),
    /// Runs on a live coordinator, and the models that came of runs.
    ///
    /// It takes a researcher's certificate (`init --role researcher`). Runs are carried out one
    /// after another: what is submitted while one goes on waits in a queue. RUN is a run's name, or
    /// its digest, or at least four digits of the beginning of that.
    #[command(subcommand)]
    Run(RunCommand),
    /// Credits of a folder that holds evidence: list them, explain one, compute all again.
    ///
    /// Evidence is three numbers of each owner in each round, which the key holders open where the plan
    /// has [credit]. The coordinator settles a run's evidence once it is over, into `credits` beside its
    /// published rounds.
    #[command(subcommand)]
    Credits(CreditsCommand),
    /// Take no part until `resume`, also after a restart. A running client finishes what it has
    /// sealed, declines everything else, and then leaves the coordinator.
    Pause {
        /// The owner's configuration.
        #[arg(long, env = "COVEY_CONFIG", default_value = "client.toml")]
        config: PathBuf,
    },
    /// Look for everything that the owner would have to put right before `start`: configuration,
    /// keys, certificate, clock, roster, state folder, log, data, device, and the way to the
    /// coordinator, which is dialled and told nothing. Exit code 1 when there is a problem.
    Doctor {
        /// The owner's configuration.
        #[arg(long, env = "COVEY_CONFIG", default_value = "client.toml")]
        config: PathBuf,
        /// Also whether the data fit this plan.
        #[arg(long)]
        plan: Option<PathBuf>,
    },
    /// Run the client as a service of systemd.
    #[command(subcommand)]
    Service(ServiceCommand),
    /// End a pause.
    Resume {
        /// The owner's configuration.
        #[arg(long, env = "COVEY_CONFIG", default_value = "client.toml")]
        config: PathBuf,
    },
    /// Show everything that this client has sent: a log in which each entry holds the hash of the
    /// one before, written to the disk before the message left.
    ///
    /// An entry is for one message: when, what kind, how many bytes, their SHA-256, to whom, of
    /// which run and round where that is known. A contribution's encrypted bytes are one entry.
    /// What cannot be logged is not sent. The log is in the state folder, in files of lines of
    /// JSON.
    Audit(Audit),
    /// Check every receipt: that the rounds in which this owner was counted, and its credits, are in the
    /// ledger, cosigned by the key holders. Needs nobody but the owner's own roster. Exit code 6 when one does not hold.
    Receipts {
        /// The owner's configuration.
        #[arg(long, env = "COVEY_CONFIG", default_value = "client.toml")]
        config: PathBuf,
    },
    /// Say who this owner is, what it has contributed, and whether the program is running.
    Status {
        /// The owner's configuration.
        #[arg(long, env = "COVEY_CONFIG", default_value = "client.toml")]
        config: PathBuf,
    },
    #[command(flatten)]
    Desk(DeskCommand),
    /// Let an assistant or another program use these commands: the Model Context Protocol over stdio.
    /// Nothing is written, signed or sent unless --allow-write is given.
    Mcp(Mcp),
}

/// Roles of this program's users.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum MemberRole {
    /// Holds private data and trains on it.
    #[default]
    DataOwner,
    /// Asks for runs and watches them.
    Researcher,
}

impl From<MemberRole> for Role {
    fn from(role: MemberRole) -> Self {
        match role {
            MemberRole::DataOwner => Self::DataOwner,
            MemberRole::Researcher => Self::Researcher,
        }
    }
}

#[derive(Subcommand)]
pub(crate) enum PlanCommand {
    /// Write a plan to begin with, complete and with comments.
    New {
        /// Its name.
        name: Name,
        /// What it is for.
        #[arg(long, value_enum)]
        template: Template,
        /// The file to write, never one that is there; NAME.toml if not given.
        #[arg(short, long)]
        output: Option<PathBuf>,
    },
    /// Tell everything that is wrong with a plan, and what it would cost an owner.
    Check {
        /// The plan.
        file: PathBuf,
    },
    /// Say in plain words what a plan does: what is trained, what leaves each machine, how much,
    /// how long, what protects it; and every field with its meaning.
    Explain {
        /// The plan.
        file: PathBuf,
        /// Of a plan with noise: what more and less of it would cost and bring. Each amount is
        /// simulated, on data that are made up unless some are given.
        #[arg(long)]
        privacy: bool,
        /// The examples of all clients together: public ones, or made with `data mock`.
        #[arg(long, requires_all = ["privacy", "test_data"])]
        data: Option<PathBuf>,
        /// What the model is measured on.
        #[arg(long, requires = "data")]
        test_data: Option<PathBuf>,
        /// How many clients; the plan's cohort.minimum if not given.
        #[arg(long, requires = "data")]
        clients: Option<usize>,
    },
    /// Print the JSON Schema of plans, for editors and other programs.
    Schema,
    /// Tell what differs between two plans, and what of it changes what leaves an owner's machine.
    Diff {
        /// The first plan.
        before: PathBuf,
        /// The second plan.
        after: PathBuf,
    },
}

#[derive(Subcommand)]
pub(crate) enum DataCommand {
    /// Give data a name, which client.toml and the other commands then use.
    Add {
        /// The name.
        name: Name,
        /// A file, or a folder of pictures with one folder for each class.
        path: PathBuf,
        #[command(flatten)]
        kind: DataKind,
        #[command(flatten)]
        folder: DataFolder,
    },
    /// List the data that have a name.
    List {
        #[command(flatten)]
        folder: DataFolder,
    },
    /// Forget a name. The data stay where they are.
    Remove {
        /// The name.
        name: Name,
        #[command(flatten)]
        folder: DataFolder,
    },
    /// Show what is in data, and a [data] section to begin a plan with. Nothing leaves this
    /// machine.
    Preview {
        /// A name, or a file or folder.
        data: PathBuf,
        #[command(flatten)]
        kind: DataKind,
        #[command(flatten)]
        folder: DataFolder,
    },
    /// Tell whether data fit a plan. Nothing leaves this machine.
    Check {
        /// A name, or a file or folder.
        data: PathBuf,
        #[command(flatten)]
        kind: DataKind,
        #[command(flatten)]
        folder: DataFolder,
        /// The plan.
        #[arg(long)]
        plan: PathBuf,
        /// Most bytes of memory to read into; half of what is free if not given.
        #[arg(long)]
        dataset_bytes_max: Option<u64>,
    },
    /// Write synthetic data of a plan's form: CSV of tables and images, or a text. They are drawn
    /// from the plan and the seed alone; no owner's value is in them.
    Mock {
        /// The plan.
        #[arg(long)]
        plan: PathBuf,
        /// Rows, images or windows of text.
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
        rows: u64,
        /// Equal seeds give equal files.
        #[arg(long, default_value_t = 0)]
        seed: u64,
        /// The file to write; never one that is there.
        #[arg(short, long)]
        output: PathBuf,
    },
}

/// A simulation.
#[derive(Args)]
pub(crate) struct Simulation {
    /// The plan.
    pub(crate) plan: PathBuf,
    /// The examples of all clients: a name, or a file or folder. With by-file once for each client.
    /// Synthetic ones, of which no metric means anything, if not given.
    #[arg(long)]
    pub(crate) data: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) kind: DataKind,
    #[command(flatten)]
    pub(crate) folder: DataFolder,
    /// Examples that the model is measured on after every round: a name, or a file or folder.
    #[arg(long)]
    pub(crate) test_data: Option<PathBuf>,
    /// How many clients: 10, or with by-file as many as files, if not given. A round has at most
    /// the plan's cohort.maximum of them.
    #[arg(long)]
    pub(crate) clients: Option<usize>,
    /// Who has which examples: iid; dirichlet:A (by class, uneven for a small A); by-column:NAME
    /// (a client has one value of that column of a CSV or Parquet file, or one class); by-file
    /// (a client has what one --data names).
    #[arg(long, default_value = "iid")]
    pub(crate) partition: Partition,
    /// Probability that a client vanishes from a round after it was offered.
    #[arg(long, default_value_t = 0.0)]
    pub(crate) dropout: f64,
    /// N clients attack; may be given several times, the seed says who. By their data:
    /// label-flip:N, label-noise:N:SHARE (0.6 if not given), feature-noise:N:DEVIATION (1),
    /// poison:N:CLASS:AS (examples of one class labelled as another). By their update:
    /// sign-flip:N:FACTOR (1), boost:N:FACTOR (10), noise:N:DEVIATION (0.1),
    /// free-rider:N:zero|random|replay|boosted-replay (zero). By who they are: duplicate:N (the same examples two
    /// by two), sybil:N (one owner's examples divided among N), claim:N:FACTOR (5 times its
    /// examples).
    #[arg(long = "attack")]
    pub(crate) attacks: Vec<Attack>,
    /// Add updates in the clear: no encryption, no machine of the protocol. The same models,
    /// sooner; says nothing of what the protocol costs.
    #[arg(long)]
    pub(crate) no_crypto: bool,
    /// Rounds; the plan's if not given.
    #[arg(long)]
    pub(crate) rounds: Option<u32>,
    /// Seed of keys, division, dropout and attacks; the plan's if not given. What training draws
    /// hangs on the plan's seed.
    #[arg(long)]
    pub(crate) seed: Option<u64>,
    /// Where to train: auto, cpu or cuda:0.
    #[arg(long, default_value = "auto")]
    pub(crate) device: DeviceChoice,
    /// Threads that train and seal; one for each processor if not given.
    #[arg(long)]
    pub(crate) workers: Option<usize>,
    /// Most bytes of memory to read data into; half of what is free if not given.
    #[arg(long)]
    pub(crate) dataset_bytes_max: Option<u64>,
}

/// What data are, where a path does not tell.
#[derive(Args, Default)]
pub(crate) struct DataKind {
    /// The labels of an IDX or .npy pair.
    #[arg(long)]
    pub(crate) labels: Option<PathBuf>,
    /// csv, parquet, images, idx, npy, safetensors or text; told by the file if not given.
    #[arg(long)]
    pub(crate) format: Option<covey_model::data::Format>,
}

/// Whose configuration it is.
#[derive(Args)]
pub(crate) struct OwnerConfig {
    /// The owner's configuration.
    #[arg(long, env = "COVEY_CONFIG", default_value = "client.toml")]
    pub(crate) config: PathBuf,
}

/// Where names of data are kept.
#[derive(Args)]
pub(crate) struct DataFolder {
    /// The owner's folder, with datasets.toml.
    #[arg(long, default_value = ".")]
    pub(crate) dir: PathBuf,
}
