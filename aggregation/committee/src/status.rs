//! What is stored, and whether the holder is running. Changes nothing.

use std::fmt;

use covey_aggregation::net::Membership;
use covey_aggregation::net::text::to_hex;
use covey_aggregation::program::linked::{LinkedBy, LinkedFile};
use covey_aggregation::program::{Failure, Journal, StateFolder};
use covey_aggregation::record::HolderRecord;
use serde::Serialize;

use crate::config::Config;

/// The holder's records, in its state folder.
pub const JOURNAL_FILE: &str = "holder.redb";

/// What can be said about a holder from its own files.
#[derive(Debug, Serialize)]
pub struct Status {
    /// Its name.
    pub name: String,
    /// Its role.
    pub role: String,
    /// Its public key, in hexadecimal.
    pub id: String,
    /// Its federation.
    pub federation: String,
    /// Digest of the roster it has pinned.
    pub roster: String,
    /// The coordinator's address.
    pub coordinator: String,
    /// Whether a program is running with its state.
    pub is_running: bool,
    /// What it is linked by, if it is.
    pub link: Option<LinkedBy>,
    /// What it has signed; unknown while it is running, which has the records to itself.
    pub signed: Option<Signed>,
}

/// How often a holder has signed what.
#[derive(Debug, Default, Serialize)]
pub struct Signed {
    /// Rounds whose terms it accepted.
    pub countersigned: u64,
    /// Rounds it voted in.
    pub voted: u64,
    /// Audits it gave its verdict in.
    pub judged: u64,
    /// Rounds it released its part of the key for.
    pub released: u64,
    /// Rounds whose evidence it attested.
    pub attested: u64,
    /// Rosters it signed.
    pub rosters: u64,
}

impl Status {
    /// Reads the files that `config` names.
    ///
    /// # Errors
    /// [`Failure`], naming the file.
    pub fn read(config: &Config) -> Result<Self, Failure> {
        let membership =
            Membership::load(&config.folder).map_err(|error| Failure::identity(&error))?;
        let member = membership.member();
        let is_running = StateFolder::is_in_use(&config.state);
        let path = config.state.join(JOURNAL_FILE);
        let signed = if is_running {
            None
        } else if path.exists() {
            let (_, records) = Journal::open(&path, &member.id)?;
            Some(count(&records))
        } else {
            Some(Signed::default())
        };
        Ok(Self {
            name: member.name.to_string(),
            role: member.role.to_string(),
            id: to_hex(&member.id.0),
            federation: membership.federation().to_string(),
            roster: membership.roster().digest().to_string(),
            coordinator: config.coordinator.clone(),
            is_running,
            link: is_running.then(|| LinkedFile::read(&config.state)).flatten(),
            signed,
        })
    }
}

fn count(records: &[HolderRecord]) -> Signed {
    let mut signed = Signed::default();
    for record in records {
        match record {
            HolderRecord::Countersigned { .. } => signed.countersigned += 1,
            HolderRecord::Voted { .. } => signed.voted += 1,
            HolderRecord::Judged { .. } => signed.judged += 1,
            HolderRecord::Released { .. } => signed.released += 1,
            HolderRecord::Attested { .. } => signed.attested += 1,
            HolderRecord::Approved { .. } => signed.rosters += 1,
            // Every list of proofs is followed by a verdict, and opened numbers by an attestation,
            // which is what counts.
            HolderRecord::Listed { .. } | HolderRecord::Numbered { .. } => {}
        }
    }
    signed
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} ({}) of federation {}", self.name, self.role, self.federation)?;
        writeln!(f, "key          {}", self.id)?;
        writeln!(f, "roster       {}", self.roster)?;
        writeln!(f, "coordinator  {}", self.coordinator)?;
        match &self.signed {
            None => match &self.link {
                Some(link) => write!(f, "running, linked {link}"),
                None => write!(f, "running, without a link"),
            },
            Some(signed) => write!(
                f,
                "not running; signed so far: {} terms, {} votes, {} verdicts, {} releases, {} rounds' \
                 evidence, {} rosters",
                signed.countersigned,
                signed.voted,
                signed.judged,
                signed.released,
                signed.attested,
                signed.rosters
            ),
        }
    }
}
