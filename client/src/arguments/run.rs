//! `run`: what a researcher does with a live coordinator, and with what runs published.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use covey_aggregation::party::Name;
use covey_aggregation::plan::parse_duration_ms;

use crate::export::Form;

#[derive(Subcommand)]
pub(crate) enum RunCommand {
    #[command(flatten)]
    Live(LiveCommand),
    /// Take a model away in the form of other tools.
    ///
    /// A model of a run is computed again from what the run published; the coordinator is not
    /// trusted for it. Of a live coordinator's run all of that is fetched and checked against your
    /// own roster.
    Export(Export),
}

/// What is asked of a live coordinator.
#[derive(Subcommand)]
pub(crate) enum LiveCommand {
    /// Send a plan to the coordinator, which checks it, records it and carries it out.
    ///
    /// It is carried out after the runs before it. The same plan under the same name is the same
    /// run, so sending it again is safe. A plan that is refused is recorded with the reasons, and
    /// takes no name.
    Submit {
        /// The plan.
        plan: PathBuf,
        /// The run's name; the plan's if not given. No two runs have the same.
        #[arg(long)]
        name: Option<Name>,
        /// Watch the run until it is over. Ctrl-C leaves it going.
        #[arg(long)]
        watch: bool,
        #[command(flatten)]
        researcher: Researcher,
    },
    /// List the runs that are not over, in the order of the queue.
    List {
        /// Also those that are over, and plans that were refused.
        #[arg(long)]
        all: bool,
        #[command(flatten)]
        researcher: Researcher,
    },
    /// Tell how a run is, what it waits for, and how each of its rounds was.
    Show {
        /// The run.
        run: Name,
        #[command(flatten)]
        researcher: Researcher,
    },
    /// Tell how a run goes on until it is over, and whom it waits for.
    ///
    /// Its phase, whom and what it waits for and how long at most, and every round. Ctrl-C leaves
    /// the run going. Exit codes as of `wait`; while a run is paused or held, it goes on watching.
    Watch {
        /// The run.
        run: Name,
        #[command(flatten)]
        researcher: Researcher,
    },
    /// Wait until a run is over, and say how it ended.
    ///
    /// Exit codes: 0 it is done; 1 it was stopped, has failed or diverged; 2 its plan was refused; 3
    /// the time is over, or the coordinator holds the run because something needs a person.
    Wait {
        /// The run.
        run: Name,
        /// Longest wait, such as 90s, 10m or 2h; none if not given.
        #[arg(long, value_parser = duration)]
        timeout: Option<Duration>,
        #[command(flatten)]
        researcher: Researcher,
    },
    /// Lay two runs side by side: what differs in their plans, and their metrics by round.
    Compare {
        /// The first run.
        before: Name,
        /// The second run.
        after: Name,
        #[command(flatten)]
        researcher: Researcher,
    },
    /// Have your run finish the round at hand and begin no further one.
    ///
    /// The next run of the queue is carried out meanwhile.
    Pause {
        /// The run.
        run: Name,
        #[command(flatten)]
        researcher: Researcher,
    },
    /// Have your run go on after a pause, or after the coordinator held it.
    ///
    /// It goes on once the run at hand is over.
    Resume {
        /// The run.
        run: Name,
        #[command(flatten)]
        researcher: Researcher,
    },
    /// End your run for good.
    ///
    /// Its round is abandoned and nothing of it is opened, unless the committee is releasing its key
    /// already: then the round is finished. Earlier rounds stay.
    Stop {
        /// The run.
        run: Name,
        #[command(flatten)]
        researcher: Researcher,
    },
}

/// What is taken away, from where, and in which form.
#[derive(Args)]
pub(crate) struct Export {
    /// The folder of a run's published rounds, the coordinator's state folder, a file with
    /// parameters (safetensors, or a model as a run stores it); or, where there is no such file
    /// or folder, or with --config, a RUN of the coordinator.
    #[arg(value_name = "PATH|RUN")]
    pub(crate) from: PathBuf,
    /// The run's plan. Of a RUN the coordinator's is taken if none is given.
    #[arg(long)]
    pub(crate) plan: Option<PathBuf>,
    /// The model after this round, 0 for the one that the run began with; of the last
    /// published round if not given.
    #[arg(long)]
    pub(crate) round: Option<u32>,
    /// safetensors (PyTorch's names and layout), hf-folder (with a script that is the model in
    /// PyTorch, a card and where it comes from), or onnx.
    #[arg(long, value_enum)]
    pub(crate) format: Form,
    /// The folder to write to; made if need be. No file in it is overwritten.
    #[arg(short, long)]
    pub(crate) out: PathBuf,
    /// Your own roster: with it every signature is checked and every ciphertext added again.
    /// Of a RUN it is the one in your folder.
    #[arg(long)]
    pub(crate) roster: Option<PathBuf>,
    /// Of a RUN, fetch the opened sums only, not every owner's ciphertexts: much less to fetch,
    /// but signatures and ciphertexts are not checked.
    #[arg(long)]
    pub(crate) sums_only: bool,
    /// The researcher's configuration.
    #[arg(long, value_name = "FILE", env = "COVEY_RESEARCHER")]
    pub(crate) config: Option<PathBuf>,
}

/// Who asks.
#[derive(Args)]
pub(crate) struct Researcher {
    /// The researcher's configuration, as `init --role researcher` writes it.
    #[arg(
        long,
        value_name = "FILE",
        env = "COVEY_RESEARCHER",
        default_value = crate::run::CONFIG_FILE
    )]
    pub(crate) config: PathBuf,
}

fn duration(text: &str) -> Result<Duration, String> {
    let ms = parse_duration_ms(text).filter(|ms| *ms > 0);
    ms.map(Duration::from_millis).ok_or_else(|| "write a time such as 90s, 10m or 2h".to_owned())
}
