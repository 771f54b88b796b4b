//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use covey_aggregation::party::Name;

/// Take part in federated learning with data that stay here.
#[derive(Parser)]
#[command(name = "covey-client", version, after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// Answer with JSON on stdout: one object, or one per line for `start`.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXAMPLES: &str = "Examples:
  covey-client init --name st-marys --dir ./st-marys --coordinator covey.example.org:7443
  covey-client plan check plan.toml
  covey-client data preview ./readmissions.csv
  covey-client data check ./digits.csv.gz --plan plan.toml
  covey-client data add readmissions ./readmissions.csv --dir ./st-marys
  covey-client data mock --plan plan.toml --rows 100 -o mock.csv
  covey-client start --config ./st-marys/client.toml

Exit codes: 0 done, 1 failed, 2 bad input, 3 timed out, 4 no access, 5 against the owner's rules,
6 verification failed, 130 Ctrl-C, 143 SIGTERM.";

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Make an owner's keys and the request to send to the operator.
    Init {
        /// The name to ask for.
        #[arg(long)]
        name: Name,
        /// Folder for keys, certificate and configuration; made if need be.
        #[arg(long)]
        dir: PathBuf,
        /// The coordinator's address, for the configuration.
        #[arg(long, default_value = "127.0.0.1:7443")]
        coordinator: String,
    },
    /// Take part in rounds until stopped. Ctrl-C once drains, twice stops.
    Start {
        /// The owner's configuration.
        #[arg(long, env = "COVEY_CONFIG", default_value = "client.toml")]
        config: PathBuf,
    },
    /// Plans.
    #[command(subcommand)]
    Plan(PlanCommand),
    /// Data, looked at here only.
    #[command(subcommand)]
    Data(DataCommand),
    /// Say who this owner is, what it has contributed, and whether the program is running.
    Status {
        /// The owner's configuration.
        #[arg(long, env = "COVEY_CONFIG", default_value = "client.toml")]
        config: PathBuf,
    },
}

#[derive(Subcommand)]
pub(crate) enum PlanCommand {
    /// Tell everything that is wrong with a plan, and what it would cost an owner.
    Check {
        /// The plan.
        file: PathBuf,
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

/// What data are, where a path does not tell.
#[derive(Args)]
pub(crate) struct DataKind {
    /// The labels of an IDX or .npy pair.
    #[arg(long)]
    pub(crate) labels: Option<PathBuf>,
    /// csv, parquet, images, idx, npy, safetensors or text; told by the file if not given.
    #[arg(long)]
    pub(crate) format: Option<covey_model::data::Format>,
}

/// Where names of data are kept.
#[derive(Args)]
pub(crate) struct DataFolder {
    /// The owner's folder, with datasets.toml.
    #[arg(long, default_value = ".")]
    pub(crate) dir: PathBuf,
}
