//! `credits`: what published evidence comes to.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::DataKind;

#[derive(Subcommand)]
pub(crate) enum CreditsCommand {
    /// List what each owner is credited: the credit with its interval, what is paid and owed, and
    /// what is flagged for people to look at.
    List {
        #[command(flatten)]
        epoch: Epoch,
    },
    /// Say why an owner is credited what it is, and what would have changed it.
    Explain {
        /// The owner: its name in the roster, or at least four digits of the beginning of its key.
        owner: String,
        #[command(flatten)]
        epoch: Epoch,
    },
    /// Check the credits against the rounds that they come of: that the evidence is what the holders
    /// opened and attested; with --plan and --pool that they opened it for the right fold and
    /// directions; with --config that your own numbers are those of what you sent.
    ///
    /// With --plan and --pool the run's models are computed again from the published sums, each
    /// round's fold is drawn from the pool and trained on, as holders did. Without, their votes are
    /// taken for that. The answer says what was computed here and what is attested only. Needs no
    /// network. Exit code 6 if something does not hold.
    Verify {
        /// The folder with round-0001, round-0002, ..., as the coordinator publishes it.
        folder: PathBuf,
        /// The folder with the settled credits; by default `credits` in the folder.
        #[arg(long)]
        credits: Option<PathBuf>,
        /// Your own roster.
        #[arg(long)]
        roster: PathBuf,
        /// Your client.toml, to check your own numbers.
        #[arg(long)]
        config: Option<PathBuf>,
        /// The run's plan.
        #[arg(long, requires = "pool")]
        plan: Option<PathBuf>,
        /// The validation pool: the very file that coordinator and holders have.
        #[arg(long, requires = "plan")]
        pool: Option<PathBuf>,
        #[command(flatten)]
        kind: DataKind,
    },
    /// Write the proof of your own numbers in a round, as evidence for a dispute: the projections of what
    /// you sent, from which your numbers follow. Whoever has the file knows more of your update than the
    /// three numbers that are published: hand it to reviewers only.
    Prove {
        /// The folder with round-0001, round-0002, ..., as the coordinator publishes it.
        folder: PathBuf,
        /// Your own roster.
        #[arg(long)]
        roster: PathBuf,
        /// Your client.toml.
        #[arg(long, env = "COVEY_CONFIG", default_value = "client.toml")]
        config: PathBuf,
        /// The round.
        #[arg(long)]
        round: u32,
        /// The file to write; never one that is there.
        #[arg(long)]
        out: PathBuf,
    },
    /// Check such a proof, also somebody else's: whether the numbers that follow from it are those that are
    /// published. Exit code 6 if they are others.
    Judge {
        /// The proof.
        file: PathBuf,
        /// The folder with round-0001, round-0002, ..., as the coordinator publishes it.
        folder: PathBuf,
        /// Your own roster.
        #[arg(long)]
        roster: PathBuf,
    },
    /// Settle the evidence again and compare with what was published, byte for byte.
    ///
    /// The first difference is named. Exit code 6 if there is one.
    Recompute {
        /// The folder with credits.json and evidence-0001.json, evidence-0002.json, ...
        folder: PathBuf,
        /// The folder of the epoch before this one: debts must be those that it left. Without it
        /// they are taken as they stand in credits.json.
        #[arg(long)]
        before: Option<PathBuf>,
    },
}

/// An epoch that was published.
#[derive(Args)]
pub(crate) struct Epoch {
    /// The folder with credits.json and evidence-0001.json, evidence-0002.json, ...
    pub(crate) folder: PathBuf,
    /// Your own roster, for the owners' names.
    #[arg(long)]
    pub(crate) roster: Option<PathBuf>,
}
