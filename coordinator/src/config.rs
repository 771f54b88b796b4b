//! `coordinator.toml`: from what was typed to what is meant. Every field is checked where it is
//! parsed, so a mistake is reported with file, line and column; paths are relative to the file.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

use covey_aggregation::limits::{
    BODY_BYTES_PER_S_MIN, BODY_WINDOW_MS, HANDSHAKE_MS, HANDSHAKES_BEFORE_RETRY, HANDSHAKES_MAX,
    HANDSHAKES_PER_ADDRESS_MAX, HEADER_MS, IDLE_MS, LINKS_PER_MEMBER_MAX, REQUESTS_BURST_S,
    REQUESTS_PER_S_MAX, STREAMS_MAX, TCP_CONNECTIONS_MAX,
};
use covey_aggregation::net::files::{self, FileError};
use covey_aggregation::net::{Bounds, Doors, TcpDoor, Versions};
use covey_aggregation::program::config::{ConfigError, beside};
use covey_model::data::DataSource;
use serde::Deserialize;

use crate::ledger::Founding;
use crate::storage::blobs::settings::{Endpoint, ObjectsSettings, ObjectsUrl, S3Settings};
use crate::storage::place::Databases;
use crate::storage::registry::Quotas;

/// Largest configuration file; a larger one is something else.
const CONFIG_BYTES_MAX: u64 = 64 * 1024;

/// A coordinator's settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// UDP address to listen on.
    pub listen: SocketAddr,
    /// Where TLS over TCP is taken, for members whose UDP does not get through; at the same port by
    /// default.
    pub listen_tcp: TcpDoor,
    /// TCP address of health and metrics, by plain HTTP; none by default.
    pub admin: Option<SocketAddr>,
    /// TCP address of the page, by plain HTTP; none by default.
    pub page: Option<SocketAddr>,
    /// Folder with `identity.key`, `member.pem`, `authority.pem` and `roster.json`.
    pub member_dir: PathBuf,
    /// Folder of the journal, the stored contributions and what is published.
    pub state_dir: PathBuf,
    /// Where the journal, the runs and the members are recorded.
    pub databases: Databases,
    /// Where bulk bytes lie; none for `state_dir`.
    pub objects: Option<ObjectsSettings>,
    /// The plan to run; none to take plans from researchers.
    pub plan: Option<PathBuf>,
    /// Data to evaluate the model on after every round, if there are any.
    pub test_data: Option<DataSource>,
    /// The validation pool that owners are credited by, if there is one.
    pub validation_data: Option<DataSource>,
    /// When a run may begin.
    pub start: Start,
    /// How much loss and failure is borne.
    pub rounds: Rounds,
    /// How much researchers may use.
    pub queue: QueueRules,
    /// Who may join, and how.
    pub members: MemberRules,
    /// What the ledger begins with.
    pub ledger: Founding,
    /// What a peer may use.
    pub limits: Limits,
    /// What is asked for beside the plan; typed at the command line, never in the file.
    pub asked: Asked,
}

/// Where settings say that things are.
pub struct Places {
    /// The state folder.
    pub state_dir: PathBuf,
    /// Stores.
    pub databases: Databases,
    /// Bulk bytes.
    pub objects: Option<ObjectsSettings>,
}

/// What the operator asks for beside the plan, which stays as it is. Recorded with the run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// Begin a new run from a round of an earlier one.
    pub resume_from: Option<ResumePoint>,
    /// Try rounds up to this number, beyond the plan's.
    pub rounds: Option<u32>,
}

/// A round of an earlier run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResumePoint {
    /// The state folder of that run.
    pub state_dir: PathBuf,
    /// The round; 0 is before the first.
    pub round: u32,
}

/// A text that is no [`ResumePoint`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("write STATE_DIR@ROUND, such as old/state@5")]
pub struct NoResumePoint;

impl std::str::FromStr for ResumePoint {
    type Err = NoResumePoint;

    fn from_str(text: &str) -> Result<Self, NoResumePoint> {
        let (folder, round) = text.rsplit_once('@').ok_or(NoResumePoint)?;
        let round = round.parse().map_err(|_| NoResumePoint)?;
        if folder.is_empty() {
            return Err(NoResumePoint);
        }
        Ok(Self { state_dir: folder.into(), round })
    }
}

/// When a round may begin. It needs the committee's quorum and as many owners as the plan's
/// minimum; the first round after a start also waits, for a while, for everybody else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Start {
    /// Longest wait for what a round cannot do without, in seconds. Then the run stops, and says
    /// whom it waited for.
    pub wait_s: Positive,
    /// Once that is there, longest wait for the others before the first round, in seconds.
    pub settle_s: Positive,
    /// Owners that the first round cannot do without; by default the plan's minimum.
    pub owners: Option<Positive>,
}

impl Default for Start {
    fn default() -> Self {
        Self { wait_s: Positive::of(600), settle_s: Positive::of(10), owners: None }
    }
}

/// How much loss and failure is borne. (How long each phase may take is for the plan to say.)
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rounds {
    /// What is unanswered is asked again after this time, in milliseconds.
    pub resend_ms: Positive,
    /// Rounds abandoned one after the other before the run stops.
    pub abandons_in_a_row_max: Positive,
}

impl Default for Rounds {
    fn default() -> Self {
        Self { resend_ms: Positive::of(3000), abandons_in_a_row_max: Positive::of(3) }
    }
}

/// How much researchers may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct QueueRules {
    /// Runs that take turns, a round each; 1 carries out one after another.
    pub runs_at_once: Positive,
    /// Runs that are not over, of all researchers.
    pub runs_open_max: Positive,
    /// Runs that are not over, of one researcher.
    pub runs_each_max: Positive,
    /// Rounds of a plan.
    pub rounds_max: Positive,
}

impl Default for QueueRules {
    fn default() -> Self {
        let Quotas { runs_at_once, runs_open, runs_each, rounds } = Quotas::default();
        Self {
            runs_at_once: Positive::of(runs_at_once),
            runs_open_max: Positive::of(runs_open),
            runs_each_max: Positive::of(runs_each),
            rounds_max: Positive::of(rounds),
        }
    }
}

impl QueueRules {
    /// As the registry keeps them.
    #[must_use]
    pub const fn quotas(&self) -> Quotas {
        Quotas {
            runs_at_once: self.runs_at_once.value(),
            runs_open: self.runs_open_max.value(),
            runs_each: self.runs_each_max.value(),
            rounds: self.rounds_max.value(),
        }
    }
}

/// Who may join, and how.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MemberRules {
    /// What invites say of where this coordinator is, `host:port`; none to say it with each invite.
    pub address: Option<String>,
    /// Key holders of a committee that is founded by invites: 4 or 7.
    pub holders: Positive,
    /// How long certificates of members are valid, in days. Members renew theirs by themselves.
    pub certificate_days: Positive,
}

impl Default for MemberRules {
    fn default() -> Self {
        Self { address: None, holders: Positive::of(4), certificate_days: Positive::of(7) }
    }
}

/// What a peer may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Contributions received at once; each takes a thread and 256 KiB. Others are told to try
    /// again.
    pub uploads_max: Positive,
    /// Longest time for one upload, in seconds: a slower client is cut off, and may come again.
    pub upload_s: Positive,
    /// Messages waiting for one peer; a peer that lets more pile up is disconnected.
    pub queue_max: Positive,
    /// Malformed messages from one peer before it is disconnected.
    pub malformed_max: Positive,
    /// Threads that add up contributions.
    pub summing_threads: Positive,
    /// Longest wait for a handshake, and for the greeting after it, in seconds.
    pub handshake_s: Positive,
    /// Longest wait for the first frame of a bulk stream, in seconds.
    pub header_s: Positive,
    /// A link from which nothing came for so long is lost, in seconds. Members send something every
    /// five.
    pub idle_s: Positive,
    /// What somebody who has begun to send has to send in a second, in bytes, on the average.
    pub body_bytes_per_s: Positive,
    /// How long they may send less, in seconds.
    pub body_window_s: Positive,
    /// Streams of one link at once, 8 at most.
    pub streams_max: Positive,
    /// Links of one member at once. Of a holder or an owner the newest counts, and the others are
    /// closed.
    pub links_per_member_max: Positive,
    /// Handshakes under way, over QUIC and over TCP each.
    pub handshakes_max: Positive,
    /// Handshakes under way from which on a newcomer has to prove its address (QUIC Retry).
    pub handshakes_before_retry: Positive,
    /// Handshakes under way from one address, over TCP.
    pub handshakes_per_address_max: Positive,
    /// Connections over TCP; each takes a descriptor (`ulimit -n`).
    pub tcp_connections_max: Positive,
    /// Requests and messages of one member in a second, in the long run. More are refused with
    /// `busy`, or wait.
    pub requests_per_s: Positive,
    /// Seconds' worth of them that a member may ask at once.
    pub requests_burst_s: Positive,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            uploads_max: Positive::of(64),
            upload_s: Positive::of(600),
            queue_max: Positive::of(256),
            malformed_max: Positive::of(3),
            summing_threads: Positive::of(2),
            handshake_s: Positive::seconds(HANDSHAKE_MS),
            header_s: Positive::seconds(HEADER_MS),
            idle_s: Positive::seconds(IDLE_MS),
            body_bytes_per_s: Positive::of(BODY_BYTES_PER_S_MIN),
            body_window_s: Positive::seconds(BODY_WINDOW_MS),
            streams_max: Positive::of(STREAMS_MAX),
            links_per_member_max: Positive::of(LINKS_PER_MEMBER_MAX as u32),
            handshakes_max: Positive::of(HANDSHAKES_MAX as u32),
            handshakes_before_retry: Positive::of(HANDSHAKES_BEFORE_RETRY as u32),
            handshakes_per_address_max: Positive::of(HANDSHAKES_PER_ADDRESS_MAX as u32),
            tcp_connections_max: Positive::of(TCP_CONNECTIONS_MAX as u32),
            requests_per_s: Positive::of(REQUESTS_PER_S_MAX),
            requests_burst_s: Positive::of(REQUESTS_BURST_S),
        }
    }
}

impl Limits {
    /// Those of the listener.
    #[must_use]
    pub fn bounds(&self) -> Bounds {
        let time = |seconds: Positive| Duration::from_millis(seconds.seconds_in_ms());
        Bounds {
            handshake: time(self.handshake_s),
            header: time(self.header_s),
            idle: time(self.idle_s),
            body_bytes_per_s: self.body_bytes_per_s.value(),
            body_window: time(self.body_window_s),
            streams: self.streams_max.value(),
            links_per_member: self.links_per_member_max.size(),
            handshakes: self.handshakes_max.size(),
            handshakes_before_retry: self.handshakes_before_retry.size(),
            handshakes_per_address: self.handshakes_per_address_max.size(),
            tcp_connections: self.tcp_connections_max.size(),
        }
    }
}

/// A whole number of at least one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Positive(NonZeroU32);

impl Positive {
    /// `value`, or one for zero.
    #[must_use]
    pub const fn of(value: u32) -> Self {
        match NonZeroU32::new(value) {
            Some(value) => Self(value),
            None => Self(NonZeroU32::MIN),
        }
    }

    const fn seconds(ms: u64) -> Self {
        Self::of((ms / 1000) as u32)
    }

    /// The number.
    #[must_use]
    pub const fn value(self) -> u32 {
        self.0.get()
    }

    /// The number as a size.
    #[must_use]
    pub const fn size(self) -> usize {
        self.0.get() as usize
    }

    /// As seconds, in milliseconds.
    #[must_use]
    pub fn seconds_in_ms(self) -> u64 {
        u64::from(self.0.get()) * 1000
    }
}

impl<'de> Deserialize<'de> for Positive {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = i64::deserialize(deserializer)?;
        let wrong =
            || serde::de::Error::custom(format!("{value}: need a number from 1 to {}", u32::MAX));
        u32::try_from(value).ok().and_then(NonZeroU32::new).map(Self).ok_or_else(wrong)
    }
}

/// The file as typed.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Typed {
    #[serde(deserialize_with = "address")]
    listen: SocketAddr,
    #[serde(default, deserialize_with = "tcp_door")]
    listen_tcp: TcpDoor,
    admin: Option<toml::Spanned<Address>>,
    page: Option<Address>,
    #[serde(default)]
    admin_public: bool,
    #[serde(default)]
    member_dir: PathBuf,
    #[serde(default = "default_state_dir")]
    state_dir: PathBuf,
    #[serde(default)]
    database: Database,
    objects: Option<ObjectsUrl>,
    s3: Option<toml::Spanned<S3Settings>>,
    plan: Option<toml::Spanned<PathBuf>>,
    test_data: Option<toml::Spanned<DataSource>>,
    validation_data: Option<toml::Spanned<DataSource>>,
    #[serde(default)]
    start: Start,
    #[serde(default)]
    rounds: Rounds,
    #[serde(default)]
    queue: QueueRules,
    #[serde(default)]
    members: MemberRules,
    #[serde(default)]
    ledger: Founding,
    #[serde(default)]
    limits: Limits,
}

/// An address with its port.
struct Address(SocketAddr);

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        address(deserializer).map(Self)
    }
}

/// A database by its URL, which is never said again: it may hold a password.
#[derive(Default)]
struct Database(Databases);

impl<'de> Deserialize<'de> for Database {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map(Self).map_err(serde::de::Error::custom)
    }
}

fn default_state_dir() -> PathBuf {
    PathBuf::from("state")
}

fn address<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<SocketAddr, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(|_| {
        let example = "need an address with a port, such as \"0.0.0.0:7443\"";
        serde::de::Error::custom(format!("{text:?}: {example}"))
    })
}

/// `"same"`, `"off"`, or an address.
fn tcp_door<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<TcpDoor, D::Error> {
    let text = String::deserialize(deserializer)?;
    match text.as_str() {
        "same" => Ok(TcpDoor::Same),
        "off" => Ok(TcpDoor::Off),
        address => address.parse().map(TcpDoor::At).map_err(|_| {
            let what = "need \"same\" (the port of `listen`), \"off\", or an address with a port";
            serde::de::Error::custom(format!("{text:?}: {what}"))
        }),
    }
}

impl Config {
    /// Where the listener listens, and its limits.
    #[must_use]
    pub fn doors(&self) -> Doors {
        let (bounds, versions) = (self.limits.bounds(), Versions::default());
        Doors { quic: self.listen, tcp: self.listen_tcp, bounds, versions }
    }

    /// Reads and checks a configuration file.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        Self::parse(&read(path)?, path)
    }

    /// What the file at `path` says of where members find this coordinator.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn address_of(path: &Path) -> Result<Option<String>, ConfigError> {
        let text = read(path)?;
        Ok(typed(&text, path)?.members.address)
    }

    /// Where the file at `path` says the stores are; files where there is no such file.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn databases_of(path: &Path) -> Result<Databases, ConfigError> {
        if !path.exists() {
            return Ok(Databases::Files);
        }
        let text = read(path)?;
        Ok(typed(&text, path)?.database.0)
    }

    /// Where the text of the file at `path` says that state, stores and bulk bytes are, whatever else
    /// is in it.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn places_of(text: &str, path: &Path) -> Result<Places, ConfigError> {
        let typed = typed(text, path)?;
        let mut s3 = typed.s3.map(toml::Spanned::into_inner).unwrap_or_default();
        if let Some(file) = &mut s3.credentials {
            *file = beside(path, file);
        }
        Ok(Places {
            state_dir: beside(path, &typed.state_dir),
            databases: typed.database.0,
            objects: typed.objects.map(|url| ObjectsSettings { url, s3 }),
        })
    }

    /// Checks the text of the file at `path`, whose folder relative paths start from.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        let wrong = |offset: usize, message: String| {
            let at = Some(place(text, offset));
            ConfigError { path: path.to_owned(), at, message }
        };
        let typed: Typed = toml::from_str(text).map_err(|error| {
            wrong(error.span().map_or(0, |span| span.start), error.message().to_owned())
        })?;
        let admin = typed.admin.map(|admin| {
            let (at, offset) = (admin.get_ref().0, admin.span().start);
            if at.ip().is_loopback() || typed.admin_public {
                return Ok(at);
            }
            let what = "admin is plain HTTP, for everybody who reaches it: use a loopback address \
                        such as \"127.0.0.1:9443\", or say admin_public = true";
            Err(wrong(offset, what.to_owned()))
        });
        let existing = |file: &Path, name: &str, offset: usize| {
            let file = beside(path, file);
            if file.exists() {
                Ok(file)
            } else {
                Err(wrong(offset, format!("{name}: there is no {}", file.display())))
            }
        };
        let plan = typed.plan.map(|plan| existing(plan.get_ref(), "plan", plan.span().start));
        let plan = plan.transpose()?;
        let data = |typed: Option<toml::Spanned<DataSource>>, key| {
            let Some(typed) = typed else { return Ok(None) };
            let offset = typed.span().start;
            let mut source = typed.into_inner();
            for file in source.paths_mut() {
                *file = existing(file, key, offset)?;
            }
            Ok(Some(source))
        };
        let test_data = data(typed.test_data, "test_data")?;
        let validation_data = data(typed.validation_data, "validation_data")?;
        let objects = match (typed.objects, typed.s3) {
            (None, None) => None,
            (None, Some(s3)) => {
                let what = "[s3] says how a bucket is reached, and `objects` names none";
                return Err(wrong(s3.span().start, what.to_owned()));
            }
            (Some(url), s3) => {
                let offset = s3.as_ref().map_or(0, |s3| s3.span().start);
                let mut s3 = s3.map(toml::Spanned::into_inner).unwrap_or_default();
                if s3.endpoint.as_ref().is_some_and(Endpoint::is_plain) && !s3.allow_http {
                    let what = "the endpoint is plain HTTP: use https, or say allow_http = true";
                    return Err(wrong(offset, what.to_owned()));
                }
                if let Some(file) = &mut s3.credentials {
                    *file = existing(file, "credentials", offset)?;
                }
                Some(ObjectsSettings { url, s3 })
            }
        };
        Ok(Self {
            listen: typed.listen,
            listen_tcp: typed.listen_tcp,
            objects,
            admin: admin.transpose()?,
            page: typed.page.map(|page| page.0),
            member_dir: beside(path, &typed.member_dir),
            state_dir: beside(path, &typed.state_dir),
            databases: typed.database.0,
            plan,
            test_data,
            validation_data,
            start: typed.start,
            rounds: typed.rounds,
            queue: typed.queue,
            members: typed.members,
            ledger: typed.ledger,
            limits: typed.limits,
            asked: Asked::default(),
        })
    }
}

fn read(path: &Path) -> Result<String, ConfigError> {
    let error = |message| ConfigError { path: path.to_owned(), at: None, message };
    let bytes = files::read(path, CONFIG_BYTES_MAX).map_err(|fault| match fault {
        // The path is named already.
        FileError::Read { source, .. } => error(format!("cannot be read: {source}")),
        other => error(other.to_string()),
    })?;
    String::from_utf8(bytes).map_err(|_| error("not a text file".to_owned()))
}

fn typed(text: &str, path: &Path) -> Result<Typed, ConfigError> {
    toml::from_str(text).map_err(|error| {
        let at = Some(place(text, error.span().map_or(0, |span| span.start)));
        ConfigError { path: path.to_owned(), at, message: error.message().to_owned() }
    })
}

/// Line and column, from 1, of a byte offset.
fn place(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().map_or(0, |rest| rest.chars().count()) + 1;
    (line, column)
}
