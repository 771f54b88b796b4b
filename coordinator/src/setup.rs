//! `init` and `enrol`: the operator's work on a federation's folder.
//!
//! ```text
//! authority.key authority.pem    the federation's authority; the key stays here
//! identity.key member.pem        this coordinator
//! roster.json                    everybody; members take a copy when enrolment is over
//! coordinator.toml               settings
//! issued/<name>/{member.pem,authority.pem}   to hand to each member
//! ```

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use covey_aggregation::config::CommitteeShape;
use covey_aggregation::net::authority::{AUTHORITY_FILE, AUTHORITY_KEY_FILE, Authority, Validity};
use covey_aggregation::net::files::{self, FileError};
use covey_aggregation::net::key::{IdentityKey, KEY_FILE};
use covey_aggregation::net::membership::MEMBER_FILE;
use covey_aggregation::net::request::Request;
use covey_aggregation::net::roster_file::{ROSTER_FILE, add_member, read_roster, write_roster};
use covey_aggregation::party::Role;
use covey_aggregation::program::enrol::secret;
use covey_aggregation::program::{Exit, Failure};
use covey_aggregation::roster::{Member, Roster};
use serde_json::{Value, json};

use crate::cli::{Enrol, Init};

/// How long a member's certificate is valid. Renewal is by enrolling again.
const MEMBER_DAYS: u32 = 365;

/// The settings file's name.
pub const CONFIG_FILE: &str = "coordinator.toml";

/// What `init` writes as [`CONFIG_FILE`].
const CONFIG: &str = include_str!("setup/coordinator.toml");

/// What a command has to say when it is done.
pub struct Answer {
    /// For people.
    pub text: String,
    /// For programs.
    pub data: Value,
}

/// Creates a federation.
///
/// # Errors
/// [`Failure`]: the folder has one already, or cannot be written.
pub fn init(options: &Init) -> Result<Answer, Failure> {
    let dir = &options.dir;
    for name in
        [AUTHORITY_KEY_FILE, AUTHORITY_FILE, KEY_FILE, MEMBER_FILE, ROSTER_FILE, CONFIG_FILE]
    {
        if dir.join(name).exists() {
            return Err(file_failure(FileError::Exists { path: dir.join(name) }));
        }
    }
    files::create_private_folder(dir).map_err(file_failure)?;
    let now = SystemTime::now();
    let authority = Authority::create(options.federation.clone(), secret()?, now)
        .map_err(certificate_failure)?;
    let key = IdentityKey::from_seed(secret()?);
    let member = Member {
        name: options.name.clone(),
        id: key.id(),
        role: Role::Coordinator,
        sealing_key: None,
    };
    let roster =
        Roster::founding(options.federation.clone(), authority.digest(), vec![member.clone()]);
    let validity = Validity { from: now, days: MEMBER_DAYS };
    let certificate = authority.issue(&member, validity).map_err(certificate_failure)?;
    authority.save(dir).map_err(file_failure)?;
    key.create(dir).map_err(file_failure)?;
    write(&dir.join(MEMBER_FILE), &certificate)?;
    write_roster(&dir.join(ROSTER_FILE), &roster).map_err(file_failure)?;
    write(&dir.join(CONFIG_FILE), CONFIG)?;
    let shown = dir.display();
    let federation = &options.federation;
    Ok(Answer {
        text: format!(
            "created the federation {federation} in {shown}\n\
             keep {AUTHORITY_KEY_FILE} and {KEY_FILE} secret, and back them up\n\
             next: serve it, and invite key holders and owners:\n  \
             covey-coordinator serve --config {shown}/{CONFIG_FILE}\n  \
             covey-coordinator invite create --dir {shown} --role key-holder --name NAME --address \
             HOST:PORT"
        ),
        data: json!({ "dir": dir, "federation": federation, "roster": roster.digest().to_string() }),
    })
}

/// Checks requests, and issues certificates unless only asked to print.
///
/// # Errors
/// [`Failure`]: a request proves nothing, or is in conflict with the roster. Then nothing is
/// changed.
pub fn enrol(options: &Enrol) -> Result<Answer, Failure> {
    let dir = &options.dir;
    let roster_path = dir.join(ROSTER_FILE);
    let mut roster = read_roster(&roster_path).map_err(|error| {
        file_failure(error).with_help("create the federation first: covey-coordinator init")
    })?;
    let mut newcomers = Vec::new();
    for path in &options.requests {
        let request = Request::read(path).map_err(file_failure)?;
        let member = request.member().clone();
        let is_new = add_member(&mut roster, &member).map_err(|error| {
            let what = format!("{}: {error}", path.display());
            Failure::new(Exit::BadInput, "NOT_ENROLLED", what)
        })?;
        newcomers.push((member, is_new));
    }
    if roster.number > 0 && newcomers.iter().any(|(_, is_new)| *is_new) {
        let what = "the key holders have signed a list of members: who joins now joins by invite";
        return Err(Failure::new(Exit::BadInput, "NOT_ENROLLED", what)
            .with_help("covey-coordinator invite create"));
    }
    if roster.with_role(Role::Coordinator).count() != 1 {
        let what = "a request asks for the role of a coordinator; a federation has exactly one";
        return Err(Failure::new(Exit::BadInput, "NOT_ENROLLED", what));
    }
    if options.print {
        return Ok(answer(&roster, &newcomers, None));
    }
    let authority = Authority::load(dir, &roster).map_err(file_failure)?;
    let issued = dir.join("issued");
    for (member, _) in &newcomers {
        issue(&authority, member, &issued.join(member.name.as_str()))?;
    }
    // Last: whoever is in the roster has its certificate.
    write_roster(&roster_path, &roster).map_err(file_failure)?;
    Ok(answer(&roster, &newcomers, Some(&issued)))
}

fn issue(authority: &Authority, member: &Member, folder: &Path) -> Result<(), Failure> {
    let validity = Validity { from: SystemTime::now(), days: MEMBER_DAYS };
    let certificate = authority.issue(member, validity).map_err(certificate_failure)?;
    files::create_private_folder(folder).map_err(file_failure)?;
    write(&folder.join(MEMBER_FILE), &certificate)?;
    write(&folder.join(AUTHORITY_FILE), authority.pem())
}

fn answer(roster: &Roster, newcomers: &[(Member, bool)], issued: Option<&PathBuf>) -> Answer {
    let mut text = String::new();
    for (member, is_new) in newcomers {
        let standing = if *is_new { "new" } else { "known, certificate renewed" };
        let (name, role, id) = (&member.name, member.role, member.id);
        text += &format!("{name}  {role}  key {id}  proofs hold  {standing}\n");
    }
    let holders = roster.with_role(Role::Holder).count();
    let owners = roster.with_role(Role::DataOwner).count();
    let researchers = roster.with_role(Role::Researcher).count();
    text += &format!("{holders} holders and {owners} data owners in the roster");
    text += &match researchers {
        0 => "\n".to_owned(),
        _ => format!(", and {researchers} researchers, who take part in no round\n"),
    };
    match issued {
        None => text += "nothing changed (--print)",
        Some(issued) => {
            text += &format!(
                "certificates are in {}; hand each member its folder and, once all are enrolled, \
                 {ROSTER_FILE}\nread the roster's digest aloud to every member: {}",
                issued.display(),
                roster.digest()
            );
        }
    }
    if CommitteeShape::of_members(holders).is_none() {
        text += "\nbefore a run can start the roster needs 4 or 7 holders";
    }
    let enrolled = newcomers
        .iter()
        .map(|(member, is_new)| json!({ "name": member.name, "role": member.role, "new": is_new }));
    let data = json!({
        "enrolled": enrolled.collect::<Vec<_>>(),
        "changed": issued.is_some(),
        "issued": issued,
        "roster": roster.digest().to_string(),
        "holders": holders,
        "data_owners": owners,
        "researchers": researchers,
    });
    Answer { text, data }
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    files::write_durably(path, text.as_bytes()).map_err(file_failure)
}

/// Files of a member's folder: missing ones are input, others are about identity.
pub(crate) fn file_failure(error: FileError) -> Failure {
    let (exit, code) = match &error {
        FileError::Read { .. } => (Exit::BadInput, "FILE_UNREADABLE"),
        FileError::Write { .. } => (Exit::Failed, "FILE_UNWRITABLE"),
        FileError::Content { .. } => (Exit::NoAccess, "BAD_IDENTITY"),
        FileError::Exposed { .. } => (Exit::NoAccess, "SECRET_EXPOSED"),
        FileError::Exists { .. } => (Exit::BadInput, "FILE_EXISTS"),
    };
    Failure::new(exit, code, error)
}

fn certificate_failure(error: impl std::fmt::Display) -> Failure {
    Failure::new(Exit::Failed, "CERTIFICATE", format!("cannot sign a certificate: {error}"))
}

#[cfg(test)]
mod tests {
    use covey_aggregation::party::Name;
    use zeroize::Zeroizing;

    use super::*;

    fn options(dir: &Path) -> Init {
        let name = |text: &str| text.parse::<Name>().expect("a name");
        Init { dir: dir.to_owned(), federation: name("test"), name: name("coordinator") }
    }

    #[test]
    fn the_written_settings_are_valid_and_show_the_defaults() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join(CONFIG_FILE);
        let config = crate::config::Config::parse(CONFIG, &path).expect("valid");
        assert_eq!(config.plan, None);
        assert_eq!(config.databases, crate::storage::place::Databases::Files);
        assert_eq!(config.members, crate::config::MemberRules::default());
        assert_eq!(config.start, crate::config::Start::default());
        assert_eq!(config.rounds, crate::config::Rounds::default());
        assert_eq!(config.limits, crate::config::Limits::default());
    }

    #[test]
    fn the_limits_that_the_written_settings_show_are_all_there_are_with_their_defaults() {
        let (_, section) = CONFIG.split_once("[limits]\n").expect("a section");
        let (section, _) = section.split_once("\n\n").expect("its end");
        let shown = section.lines().filter_map(|line| line.strip_prefix("# "));
        let shown = shown.filter(|line| line.contains(" = ")).collect::<Vec<_>>();
        let limits: crate::config::Limits = toml::from_str(&shown.join("\n")).expect("limits");
        assert_eq!(limits, crate::config::Limits::default());
        let fields = format!("{limits:?}").matches("Positive(").count();
        assert_eq!(shown.len(), fields, "one line for each");
    }

    #[test]
    fn a_federation_is_never_overwritten() {
        let folder = tempfile::tempdir().expect("a folder");
        init(&options(folder.path())).expect("created");
        let failure = init(&options(folder.path())).err().expect("refused");
        assert_eq!((failure.exit, failure.code), (Exit::BadInput, "FILE_EXISTS"));
    }

    #[test]
    fn a_newcomer_is_enrolled_once_and_renewed_later() {
        let folder = tempfile::tempdir().expect("a folder");
        init(&options(folder.path())).expect("created");
        let key = IdentityKey::from_seed(Zeroizing::new([3; 32]));
        let name = "owner-1".parse().expect("a name");
        let request = Request::create(&key, name, Role::DataOwner, None).expect("made");
        let path = folder.path().join("request.json");
        std::fs::write(&path, request.to_json()).expect("written");
        let enrolment =
            |print| Enrol { dir: folder.path().to_owned(), requests: vec![path.clone()], print };
        let roster = || read_roster(&folder.path().join(ROSTER_FILE)).expect("read").members.len();

        let shown = enrol(&enrolment(true)).expect("shown");
        assert_eq!((shown.data["enrolled"][0]["new"].as_bool(), roster()), (Some(true), 1));
        enrol(&enrolment(false)).expect("enrolled");
        let again = enrol(&enrolment(false)).expect("renewed");
        assert_eq!((again.data["enrolled"][0]["new"].as_bool(), roster()), (Some(false), 2));
        let issued = folder.path().join("issued/owner-1");
        assert!(issued.join(MEMBER_FILE).exists() && issued.join(AUTHORITY_FILE).exists());
    }
}
