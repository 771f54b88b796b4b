//! Joining by an invite: keys are born here, a request goes to the coordinator of the invite and to
//! nobody else, and what comes back is checked before it is stored. Interrupted, it goes on where it
//! was: the same key asks again.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use serde::Serialize;
use tokio::time::sleep;

use crate::config::SealingKey;
use crate::net::Boxed;
use crate::net::authority::AUTHORITY_FILE;
use crate::net::certificate::{Claim, authority_digest};
use crate::net::enrolment::{Answer, Application, Desk, NotEnrolled, Waiting};
use crate::net::membership::MEMBER_FILE;
use crate::net::roster_file::{ROSTER_FILE, write_roster};
use crate::net::{
    FileError, IdentityKey, Invite, LinkError, Request, Route, TransportChoice, Way, files,
};
use crate::party::{Name, Role};
use crate::program::answer::Failure;
use crate::program::enrol::key_of;
use crate::program::exit::Exit;
use crate::program::words::key_words;
use crate::roster::succession::CertifiedRoster;

/// What configurations begin with, and a choice takes the place of.
pub const TRANSPORT_LINE: &str = "# transport = \"auto\"";

/// Wait before it dials again after the link was lost.
const AGAIN: Duration = Duration::from_secs(1);

/// What is needed to join.
pub struct Joining<'a> {
    /// Where the member's files go.
    pub folder: &'a Path,
    /// The invite.
    pub invite: &'a Invite,
    /// Holders only.
    pub sealing_key: Option<SealingKey>,
    /// Name and text of the configuration to begin with.
    pub config: (&'a str, &'a str),
    /// What to dial by; a choice other than the usual is written into the configuration.
    pub transport: TransportChoice,
    /// Longest time to wait for others.
    pub patience: Duration,
}

/// What goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The coordinator is the invite's, and has the request.
    Asked {
        /// Its address.
        address: String,
        /// What carries the connection.
        way: Way,
        /// This key, in words.
        words: String,
    },
    /// It is not over yet.
    Waiting(Waiting),
    /// The certificate is here.
    Certified,
    /// The link is lost; it dials again.
    Again(String),
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Asked { address, way, words } => write!(
                f,
                "the coordinator at {address} is the invite's (its authority's certificate is the one \
                 in the invite); it is reached by {way}\nthis key is {words}; it was made here, and never leaves"
            ),
            Self::Waiting(waiting) => {
                write!(f, "waiting: {waiting} (Ctrl-C is safe; the same command goes on)")
            }
            Self::Certified => f.write_str("the certificate is here"),
            Self::Again(error) => write!(f, "{error}; dialling again"),
        }
    }
}

/// A member, now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Joined {
    /// The federation.
    pub federation: Name,
    /// Its name in it.
    pub name: Name,
    /// Its role.
    pub role: Role,
    /// Its key, in words.
    pub key_words: String,
    /// The roster's digest.
    pub roster: String,
    /// The roster's number.
    pub number: u32,
    /// Key holders, and their keys in words.
    pub holders: Vec<(Name, String)>,
    /// Data owners.
    pub data_owners: usize,
    /// Its configuration, to be edited.
    pub config: PathBuf,
}

impl fmt::Display for Joined {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} is a {} of {} now", self.name, self.role, self.federation)?;
        writeln!(f, "roster {}, digest {}", self.number, self.roster)?;
        writeln!(f, "only these key holders together can open a sum; compare a few with them:")?;
        for (name, words) in &self.holders {
            writeln!(f, "  {name:<20} {words}")?;
        }
        writeln!(f, "data owners: {}", self.data_owners)?;
        write!(f, "next: look through {}", self.config.display())
    }
}

/// Joins; `watch` hears what goes on.
///
/// # Errors
/// [`Failure`]: a file, the link, the coordinator's no, or others that did not do their part in time.
pub fn join<'a>(
    joining: Joining<'a>,
    watch: &'a mut (dyn FnMut(Progress) + Send),
) -> Boxed<'a, Result<Joined, Failure>> {
    Box::pin(join_with(joining, watch))
}

async fn join_with(
    joining: Joining<'_>,
    watch: &mut (dyn FnMut(Progress) + Send),
) -> Result<Joined, Failure> {
    let Joining { folder, invite, sealing_key, config, transport, patience } = joining;
    let file = |error: FileError| Failure::file(&error);
    files::create_private_folder(folder).map_err(file)?;
    if folder.join(ROSTER_FILE).exists() {
        let exists = FileError::Exists { path: folder.join(ROSTER_FILE) };
        let failure = Failure { exit: Exit::BadInput, ..Failure::file(&exists) };
        return Err(failure.with_help("this folder is a member's already; take another with --dir"));
    }
    let key = key_of(folder)?;
    let config_path = folder.join(config.0);
    if !config_path.exists() {
        let text = with_transport(config.1, transport);
        files::write_durably(&config_path, text.as_bytes()).map_err(file)?;
    }
    let request = Request::create(&key, invite.name.clone(), invite.role, sealing_key)
        .map_err(|error| Failure::new(Exit::Failed, "REQUEST", error))?;
    let route = Route::new(invite.address.clone(), transport);
    let newcomer = Newcomer { folder, invite, route, key: &key, request: request.to_json() };
    let certified = newcomer.ask_until_member(Instant::now() + patience, watch).await?;
    let roster = newcomer.take_roster(&certified)?;
    let holders = roster.roster.with_role(Role::Holder);
    Ok(Joined {
        federation: invite.federation.clone(),
        name: invite.name.clone(),
        role: invite.role,
        key_words: key_words(&key.id()),
        roster: roster.roster.digest().to_string(),
        number: roster.roster.number,
        holders: holders.map(|one| (one.name.clone(), key_words(&one.id))).collect(),
        data_owners: roster.roster.with_role(Role::DataOwner).count(),
        config: config_path,
    })
}

/// Somebody on the way in.
struct Newcomer<'a> {
    folder: &'a Path,
    invite: &'a Invite,
    route: Route,
    key: &'a IdentityKey,
    request: String,
}

/// The text of a configuration with another transport than the usual.
fn with_transport(template: &str, choice: TransportChoice) -> String {
    match choice {
        TransportChoice::Auto => template.to_owned(),
        other => template.replacen(TRANSPORT_LINE, &format!("transport = \"{other}\""), 1),
    }
}

/// How one connection ended.
enum Step {
    Member(Box<CertifiedRoster>),
    Lost(LinkError),
}

impl Newcomer<'_> {
    async fn ask_until_member(
        &self,
        until: Instant,
        watch: &mut (dyn FnMut(Progress) + Send),
    ) -> Result<CertifiedRoster, Failure> {
        let mut last = None;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let asked = tokio::time::timeout(left, self.ask(&mut last, watch)).await;
            match asked {
                Ok(Ok(Step::Member(certified))) => return Ok(*certified),
                Ok(Ok(Step::Lost(error))) => watch(Progress::Again(error.to_string())),
                Ok(Err(failure)) => return Err(failure),
                Err(_) => return Err(too_late(last.as_ref())),
            }
            sleep(AGAIN).await;
        }
    }

    /// Asks over one connection. Before there ever was an answer a lost link is a failure.
    async fn ask(
        &self,
        last: &mut Option<Waiting>,
        watch: &mut (dyn FnMut(Progress) + Send),
    ) -> Result<Step, Failure> {
        let dialled = Desk::dial_invited(self.invite, &self.route, self.key).await;
        let mut desk = match dialled {
            Ok(desk) => desk,
            Err(error) if last.is_some() && !error.is_permanent() => return Ok(Step::Lost(error)),
            Err(error) => return Err(Failure::link(&error)),
        };
        let (address, words) = (self.invite.address.clone(), key_words(&self.key.id()));
        let secret = self.invite.secret.clone();
        let binding = secret.binding(&self.request, desk.exporter());
        let (invite, request) = (self.invite.id, self.request.clone());
        let application = Application::Join { invite, secret, request, binding };
        if let Err(error) = desk.ask(&application).await {
            return Ok(Step::Lost(error));
        }
        if last.is_none() {
            watch(Progress::Asked { address, way: desk.way().clone(), words });
        }
        let step = loop {
            match desk.answer().await {
                Ok(Some(Answer::Wait(waiting))) => {
                    if last.as_ref() != Some(&waiting) {
                        watch(Progress::Waiting(waiting.clone()));
                    }
                    *last = Some(waiting);
                }
                Ok(Some(Answer::Certificate { member, authority })) => {
                    self.take_certificate(&desk, &member, &authority)?;
                    watch(Progress::Certified);
                }
                Ok(Some(Answer::Member(certified))) => break Step::Member(certified),
                Ok(Some(Answer::Refused(refusal))) => return Err(refused(&refusal)),
                Ok(Some(Answer::Left)) => return Err(strange("it answers out of turn")),
                Ok(None) => break Step::Lost(LinkError::Truncated),
                Err(error) => break Step::Lost(error),
            }
        };
        desk.close().await;
        Ok(step)
    }

    /// Stores a certificate that is this key's, under the invite's authority.
    fn take_certificate(&self, desk: &Desk, member: &str, authority: &str) -> Result<(), Failure> {
        let der = |pem: &str| {
            CertificateDer::from_pem_slice(pem.as_bytes())
                .map_err(|_| strange("what it sent is no certificate"))
        };
        let (certificate, issuer) = (der(member)?, der(authority)?);
        if authority_digest(&issuer) != self.invite.authority || !desk.is_authority(&issuer) {
            return Err(strange("the authority it sent is not the invite's"));
        }
        let claim = Claim::read(&certificate).map_err(|stranger| strange(&stranger.to_string()))?;
        let invite = self.invite;
        let is_ours = claim.key == self.key.id()
            && claim.name == invite.name
            && claim.role == invite.role
            && claim.federation == invite.federation;
        if !is_ours {
            return Err(strange("the certificate it sent is for somebody else"));
        }
        let file = |error: FileError| Failure::file(&error);
        files::write_durably(&self.folder.join(AUTHORITY_FILE), authority.as_bytes())
            .map_err(file)?;
        files::write_durably(&self.folder.join(MEMBER_FILE), member.as_bytes()).map_err(file)
    }

    /// Stores a roster that this key is in.
    fn take_roster<'c>(&self, it: &'c CertifiedRoster) -> Result<&'c CertifiedRoster, Failure> {
        let (roster, invite) = (&it.roster, self.invite);
        roster.validate().map_err(|bad| strange(&bad.to_string()))?;
        if roster.federation != invite.federation || roster.authority != invite.authority {
            return Err(strange("its list of members is of another federation"));
        }
        if roster.number > 0 {
            roster.check_votes(it).map_err(|bad| strange(&bad.to_string()))?;
        }
        let is_in =
            |one: &crate::roster::Member| one.name == invite.name && one.role == invite.role;
        if !roster.member(&self.key.id()).is_some_and(is_in) {
            return Err(strange("its list of members lacks this one"));
        }
        let file = |error: FileError| Failure::file(&error);
        write_roster(&self.folder.join(ROSTER_FILE), roster).map_err(file)?;
        Ok(it)
    }
}

/// Reads an invite that was typed, or for `-` the first line of stdin; `other` is the program for other
/// roles than `roles`.
///
/// # Errors
/// [`Failure`]: it is none, or for another role.
pub fn read_invite_of(text: &str, roles: &[Role], other: &str) -> Result<Invite, Failure> {
    let mut line = zeroize::Zeroizing::new(text.to_owned());
    if text == "-" {
        line.clear();
        let read = std::io::stdin().read_line(&mut line);
        read.map_err(|error| Failure::new(Exit::BadInput, "BAD_INVITE", error))?;
    }
    let text = line.as_str();
    let invite = Invite::from_text(text)
        .map_err(|error| Failure::new(Exit::BadInput, "BAD_INVITE", error))?;
    if roles.contains(&invite.role) {
        return Ok(invite);
    }
    let what = format!("this invite is for a {}", invite.role);
    Err(Failure::new(Exit::BadInput, "OTHER_ROLE", what).with_help(format!("use {other} join")))
}

fn too_late(last: Option<&Waiting>) -> Failure {
    let what = match last {
        Some(waiting) => format!("not a member yet: {waiting}"),
        None => "the coordinator did not answer in time".to_owned(),
    };
    Failure::new(Exit::TimedOut, "NOT_YET", what)
        .with_help("run the same command again to go on; the invite keeps its value")
}

fn strange(what: &str) -> Failure {
    Failure::new(Exit::NoAccess, "BAD_COORDINATOR", format!("the coordinator is not right: {what}"))
}

fn refused(refusal: &NotEnrolled) -> Failure {
    let exit = if *refusal == NotEnrolled::Busy { Exit::TimedOut } else { Exit::NoAccess };
    Failure::new(exit, "NOT_ENROLLED", refusal)
}
