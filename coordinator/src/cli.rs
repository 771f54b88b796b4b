//! What was typed.

use std::convert::Infallible;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::{Args, Parser, Subcommand, ValueEnum};
use covey_aggregation::limits::ROUNDS_MAX;
use covey_aggregation::net::invite::InviteId;
use covey_aggregation::party::{Name, Role};
use covey_aggregation::program::service::ServiceCommand;
use covey_aggregation::program::{Exit, Failure};

use crate::config::{Asked, ResumePoint};
use crate::storage::members::Approval;
use crate::storage::place::{BadUrl, Databases};

/// The untrusted middle of a federation: collects, adds and publishes sealed updates.
#[derive(Debug, Parser)]
#[command(name = "covey-coordinator", version, arg_required_else_help = true)]
#[command(after_help = "Examples:\n  \
    covey-coordinator init --dir federation --federation digits\n  \
    covey-coordinator invite create --dir federation --role data-owner --name st-marys\n  \
    covey-coordinator member list --dir federation\n  \
    covey-coordinator enrol --dir federation holder-1/request.json owner-1/request.json\n  \
    covey-coordinator doctor --config federation/coordinator.toml\n  \
    covey-coordinator serve --config federation/coordinator.toml\n  \
    sudo covey-coordinator service install --config federation/coordinator.toml\n  \
    covey-coordinator serve --config again.toml --resume-from federation/state@5\n  \
    covey-coordinator backup --config federation/coordinator.toml --to backup --key backup.key\n  \
    covey-coordinator restore --verify --from backup --key backup.key\n  \
    covey-coordinator restore --from backup --key backup.key --dir again\n\n\
    Exit codes: 0 done, 1 failed, 2 bad input, 3 timed out, 4 no connection or not authorised,\n\
    130 Ctrl-C, 143 SIGTERM")]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// Answer in JSON on stdout; `serve` prints one event per line.
    #[arg(long, global = true, env = "COVEY_JSON")]
    pub json: bool,
    /// Say less on stderr.
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// Where journal, runs and members are recorded, instead of what coordinator.toml says:
    /// postgres://USER@HOST/DATABASE, or files. Others on this machine can read what is typed here:
    /// keep a password in PGPASSFILE, or give the URL by the environment.
    #[arg(long, global = true, value_name = "URL", env = "COVEY_DATABASE", hide_env_values = true)]
    pub database: Option<DatabaseText>,
}

/// A URL as typed. It is read later, and never shown: it may hold a password.
#[derive(Clone)]
pub struct DatabaseText(String);

impl std::str::FromStr for DatabaseText {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Debug for DatabaseText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DatabaseText(..)")
    }
}

impl Cli {
    /// The database that was asked for, if one was.
    ///
    /// # Errors
    /// [`Failure`]: it is none.
    pub fn databases(&self) -> Result<Option<Databases>, Failure> {
        let Some(DatabaseText(text)) = &self.database else { return Ok(None) };
        let read = text.parse().map(Some);
        read.map_err(|error: BadUrl| {
            Failure::new(Exit::BadInput, "BAD_DATABASE", format!("--database: {error}"))
        })
    }
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Create a federation: its authority, this coordinator, a commented coordinator.toml
    Init(Init),
    /// Invite somebody to become a member
    #[command(subcommand)]
    Invite(Invite),
    /// Show members; approve, suspend or end a membership
    #[command(subcommand)]
    Member(MemberCommand),
    /// Check members' requests and issue their certificates, where files are exchanged
    Enrol(Enrol),
    /// Run the plan of the settings, or the plans that researchers submit
    Serve(Serve),
    /// Serve the page of the stored ledger, also without a coordinator that runs
    Page(PageOptions),
    /// Look for everything that the operator would have to put right before `serve`: settings, keys,
    /// certificate, clock, roster, state folder, database, port, plan, data. Exit code 1 when there is a problem
    Doctor(Doctor),
    /// Run the coordinator as a service of systemd
    #[command(subcommand)]
    Service(ServiceCommand),
    /// Tell how the run in a state folder is going, and which runs were submitted
    Status(Status),
    /// Copy everything that a coordinator needs to go on elsewhere into a folder, also while it serves
    Backup(Backup),
    /// Make a coordinator of a backup, with SQLite files or on a server; or only check a backup
    Restore(Restore),
    /// Bring stores that an older program wrote to this program's format, as `serve` does
    Migrate(Migrate),
    /// Get what was published, wherever it lies
    #[command(subcommand)]
    Published(Published),
    /// The ledger
    #[command(subcommand)]
    Ledger(Ledger),
    /// Payouts: have the next one recorded in the ledger, or see those that are
    #[command(subcommand)]
    Payout(Payout),
}

/// `payout`.
#[derive(Debug, Subcommand)]
pub enum Payout {
    /// Have the next payout recorded by the coordinator that serves: its file, and an entry of the ledger
    /// that names it. Who is paid what follows from credits, reviews and addresses; nobody chooses. Asked
    /// twice it is recorded once. Refused while a dispute is open on credits in it
    Record(PayoutRecord),
    /// Show the payouts in the ledger, where their files are, and one that is asked for
    List(PayoutList),
}

/// `payout record`.
#[derive(Debug, Args)]
pub struct PayoutRecord {
    /// The configuration.
    #[arg(long, value_name = "FILE", default_value = "coordinator.toml", env = "COVEY_CONFIG")]
    pub config: PathBuf,
    /// Only these runs, beside those of earlier payouts: names, or beginnings of digests. Without it, all
    /// that can be paid.
    #[arg(long, value_name = "RUN", num_args = 1..)]
    pub run: Vec<String>,
    /// Hold credits under dispute back and pay all others, which stand.
    #[arg(long)]
    pub hold_back: bool,
    /// Only say what it would come to.
    #[arg(long)]
    pub dry_run: bool,
    /// How long to wait for it, in seconds. What was asked for stays so.
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    pub wait_s: u64,
}

/// `payout list`.
#[derive(Debug, Args)]
pub struct PayoutList {
    /// The configuration.
    #[arg(long, value_name = "FILE", default_value = "coordinator.toml", env = "COVEY_CONFIG")]
    pub config: PathBuf,
}

impl Payout {
    /// The configuration.
    #[must_use]
    pub fn config(&self) -> &Path {
        match self {
            Self::Record(options) => &options.config,
            Self::List(options) => &options.config,
        }
    }
}

/// `ledger`.
#[derive(Debug, Subcommand)]
pub enum Ledger {
    /// Copy the ledger into a folder, as everybody checks it offline (covey-committee ledger verify): its
    /// log at the published size, the documents that its entries name, the rosters. Also while it serves;
    /// again, what is new
    Export(LedgerExport),
}

/// `ledger export`.
#[derive(Debug, Args)]
pub struct LedgerExport {
    /// The configuration.
    #[arg(long, value_name = "FILE", default_value = "coordinator.toml", env = "COVEY_CONFIG")]
    pub config: PathBuf,
    /// Where to.
    #[arg(long, value_name = "DIR")]
    pub to: PathBuf,
    /// Also the signed results of rounds (without the encrypted contributions: published fetch has them).
    #[arg(long)]
    pub publications: bool,
}

/// `backup`.
///
/// It holds what the database holds, as text that no database is needed to read; all bulk bytes; and
/// the federation's folder with its keys, encrypted. Every file's digest is in the manifest, which is
/// written last. Going from SQLite to PostgreSQL, or back, is a backup and a restore with --database.
#[derive(Debug, Args)]
pub struct Backup {
    /// The configuration.
    #[arg(long, value_name = "FILE", default_value = "coordinator.toml", env = "COVEY_CONFIG")]
    pub config: PathBuf,
    /// A folder that is empty or not there yet.
    #[arg(long, value_name = "DIR")]
    pub to: PathBuf,
    /// The key that the federation's folder is encrypted with; made if there is none. Whoever has it
    /// and the backup has the federation's keys; whoever has lost it cannot restore.
    #[arg(long, value_name = "FILE")]
    pub key: PathBuf,
}

/// `restore`.
#[derive(Debug, Args)]
pub struct Restore {
    /// The backup.
    #[arg(long, value_name = "DIR")]
    pub from: PathBuf,
    /// The key that it was made with.
    #[arg(long, value_name = "FILE")]
    pub key: PathBuf,
    /// The federation's folder to be, empty or not there yet. Without it nothing is restored.
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
    /// The state folder to be, where it is not the one that the restored settings say.
    #[arg(long, value_name = "DIR", requires = "dir")]
    pub state_dir: Option<PathBuf>,
    /// Restore the stores into a temporary place first, replay every round of every journal as a
    /// start does, and look whether everything that they name is there. (Digests are always checked.)
    #[arg(long)]
    pub verify: bool,
}

/// `migrate`.
#[derive(Debug, Args)]
pub struct Migrate {
    /// The configuration.
    #[arg(long, value_name = "FILE", default_value = "coordinator.toml", env = "COVEY_CONFIG")]
    pub config: PathBuf,
    /// Only say what would be done.
    #[arg(long)]
    pub dry_run: bool,
}

/// `page`.
#[derive(Debug, Args)]
pub struct PageOptions {
    /// The configuration.
    #[arg(long, value_name = "FILE", default_value = "coordinator.toml", env = "COVEY_CONFIG")]
    pub config: PathBuf,
    /// Address to serve it at, by plain HTTP, instead of the settings' `page`.
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Option<SocketAddr>,
}

/// `published`.
#[derive(Debug, Subcommand)]
pub enum Published {
    /// Copy everything that was published into a folder, as `covey-committee verify` and the commands of
    /// covey-client read it; again, what is new. For a federation whose bytes are in a bucket
    Fetch(PublishedFetch),
}

/// `published fetch`.
#[derive(Debug, Args)]
pub struct PublishedFetch {
    /// The configuration.
    #[arg(long, value_name = "FILE", default_value = "coordinator.toml", env = "COVEY_CONFIG")]
    pub config: PathBuf,
    /// Where to.
    #[arg(long, value_name = "DIR")]
    pub to: PathBuf,
    /// Of this run that was submitted: its name, or the beginning of its id.
    #[arg(long, value_name = "RUN")]
    pub run: Option<Name>,
}

/// `init`.
#[derive(Debug, Args)]
pub struct Init {
    /// A new folder for the federation.
    #[arg(long, value_name = "DIR")]
    pub dir: PathBuf,
    /// The federation's name: lower-case letters, digits, '-' and '.'.
    #[arg(long, value_name = "NAME")]
    pub federation: Name,
    /// The coordinator's name.
    #[arg(long, value_name = "NAME", default_value = "coordinator")]
    pub name: Name,
}

/// `enrol`.
#[derive(Debug, Args)]
pub struct Enrol {
    /// The federation's folder.
    #[arg(long, value_name = "DIR")]
    pub dir: PathBuf,
    /// Requests, as `covey-committee init` and `covey-client init` write them.
    #[arg(required = true, value_name = "REQUEST.json")]
    pub requests: Vec<PathBuf>,
    /// Only show what is asked for and whether its proofs hold; change nothing.
    #[arg(long)]
    pub print: bool,
}

/// `invite`.
#[derive(Debug, Subcommand)]
pub enum Invite {
    /// Make an invite: one line for one person, for one use
    Create(InviteCreate),
    /// Show all invites and what became of them; never their secrets
    List(FederationDir),
    /// Take back an invite that was not used
    Revoke {
        /// The federation's folder.
        #[command(flatten)]
        dir: FederationDir,
        /// Which, as `invite list` shows it.
        id: InviteId,
    },
}

/// `invite create`.
#[derive(Debug, Args)]
pub struct InviteCreate {
    /// The federation's folder.
    #[command(flatten)]
    pub dir: FederationDir,
    /// What the newcomer becomes.
    #[arg(long, value_enum)]
    pub role: InvitedRole,
    /// What it is called in the federation.
    #[arg(long, value_name = "NAME")]
    pub name: Name,
    /// For how long the invite is good: 30m, 24h, 7d.
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = lifetime)]
    pub expires: u64,
    /// Whether you have to approve whoever comes; by default only key holders.
    #[arg(long, value_enum)]
    pub approval: Option<Approval>,
    /// Where the newcomer finds the coordinator; by default members.address of the settings.
    #[arg(long, value_name = "HOST:PORT")]
    pub address: Option<String>,
}

/// `member`.
#[derive(Debug, Subcommand)]
pub enum MemberCommand {
    /// Show everybody and where they stand
    List(FederationDir),
    /// Let somebody in who waits, or who was suspended
    Approve(MemberName),
    /// Shut a member out until it is approved again; live connections end within a second
    Suspend(MemberName),
    /// End a membership for good; live connections end within a second, and the name is free
    Revoke(MemberName),
    /// After restoring an older backup: take over the newer list of members that the others have.
    /// While the coordinator does not serve
    Adopt(Adopt),
}

/// `member adopt`.
#[derive(Debug, Args)]
pub struct Adopt {
    /// The federation's folder.
    #[command(flatten)]
    pub dir: FederationDir,
    /// roster.json of a key holder or an owner, or a file of published/rosters.
    #[arg(value_name = "ROSTER")]
    pub roster: PathBuf,
}

/// A member.
#[derive(Debug, Args)]
pub struct MemberName {
    /// The federation's folder.
    #[command(flatten)]
    pub dir: FederationDir,
    /// Its name.
    pub name: Name,
}

/// The federation's folder.
#[derive(Debug, Args)]
pub struct FederationDir {
    /// The federation's folder.
    #[arg(long = "dir", value_name = "DIR", env = "COVEY_FEDERATION")]
    pub path: PathBuf,
}

/// What somebody can be invited as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum InvitedRole {
    /// Holds private data and trains on it.
    DataOwner,
    /// Asks for runs and watches them.
    Researcher,
    /// Holds a part of the key; only while the federation is founded.
    KeyHolder,
}

impl From<InvitedRole> for Role {
    fn from(role: InvitedRole) -> Self {
        match role {
            InvitedRole::DataOwner => Self::DataOwner,
            InvitedRole::Researcher => Self::Researcher,
            InvitedRole::KeyHolder => Self::Holder,
        }
    }
}

/// Longest life of an invite: whoever needs longer gets another.
const INVITE_DAYS_MAX: u64 = 30;

/// A time such as `30m`, `24h`, `7d`, in seconds.
fn lifetime(text: &str) -> Result<u64, String> {
    let wrong = || format!("write a time such as 30m, 24h or 7d, up to {INVITE_DAYS_MAX}d");
    let unit = text.chars().last().ok_or_else(wrong)?;
    let count: u64 = text[..text.len() - unit.len_utf8()].parse().map_err(|_| wrong())?;
    let seconds = match unit {
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        _ => return Err(wrong()),
    };
    let seconds = count.checked_mul(seconds).ok_or_else(wrong)?;
    let is_good = seconds > 0 && seconds <= INVITE_DAYS_MAX * 86_400;
    if is_good { Ok(seconds) } else { Err(wrong()) }
}

/// `serve`.
///
/// With a `plan` in the settings it carries out that plan and ends. Without one it waits for plans
/// that researchers submit (`covey-client run submit`), records each, and carries them out one
/// after another until it is stopped; after a restart it goes on where it was.
///
/// A plan's strategy decides what owners send: the update, clipped and rounded (fedavg, fedavgm,
/// fedadam, fedyogi, fedprox), or with it the change of a control variate, as many numbers again
/// (scaffold). `[evaluation]` adds exact counts of how the model does on held-out examples. All of
/// it is opened as a sum over owners only. A run ends after its rounds, or by the plan's `[stop]`
/// rules, and says why.
#[derive(Debug, Args)]
pub struct Serve {
    /// The configuration.
    #[arg(long, value_name = "FILE", default_value = "coordinator.toml", env = "COVEY_CONFIG")]
    pub config: PathBuf,
    /// Begin a new run from this round of an earlier one: its model and what its strategy keeps.
    /// Rounds count on from there. The earlier run's folder is only read.
    #[arg(long, value_name = "STATE_DIR@ROUND")]
    pub resume_from: Option<ResumePoint>,
    /// Try rounds up to this number, beyond the plan's; also of a run that is done. Owners take
    /// part only if their own limits allow rounds beyond the plan (limits.extra_rounds).
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(ROUNDS_MAX)))]
    pub rounds: Option<u32>,
}

impl Serve {
    /// What is asked for beside the plan.
    #[must_use]
    pub fn asked(&self) -> Asked {
        Asked { resume_from: self.resume_from.clone(), rounds: self.rounds }
    }
}

/// `status`.
#[derive(Debug, Args)]
pub struct Status {
    /// The configuration.
    #[arg(long, value_name = "FILE", default_value = "coordinator.toml", env = "COVEY_CONFIG")]
    pub config: PathBuf,
}

/// `doctor`.
#[derive(Debug, Args)]
pub struct Doctor {
    /// The configuration.
    #[arg(long, value_name = "FILE", default_value = "coordinator.toml", env = "COVEY_CONFIG")]
    pub config: PathBuf,
}
