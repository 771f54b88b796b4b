//! What is stored, and whether the client is running. Changes nothing.

use std::fmt;

use covey_aggregation::net::Membership;
use covey_aggregation::net::text::to_hex;
use covey_aggregation::program::linked::{LinkedBy, LinkedFile};
use covey_aggregation::program::{Failure, Journal, StateFolder};
use covey_aggregation::record::ParticipantRecord;
use serde::Serialize;

use crate::config::Config;
use crate::pause::Pause;

/// The client's records, in its state folder.
pub const JOURNAL_FILE: &str = "client.redb";

/// What can be said about a client from its own files.
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
    /// Whether its owner has paused it.
    pub is_paused: bool,
    /// What it has contributed; unknown while it is running, which has the records to itself.
    pub contributed: Option<Contributed>,
}

/// How many rounds came how far.
#[derive(Debug, Default, Serialize)]
pub struct Contributed {
    /// Updates sealed.
    pub sealed: u64,
    /// Receipts for them.
    pub receipts: u64,
    /// Of them, counted in a sum.
    pub counted: u64,
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
        let contributed = if is_running {
            None
        } else if path.exists() {
            let (_, records) = Journal::open(&path, &member.id)?;
            Some(count(&records))
        } else {
            Some(Contributed::default())
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
            is_paused: Pause::of(&config.state).is_set(),
            contributed,
        })
    }
}

fn count(records: &[ParticipantRecord]) -> Contributed {
    let mut contributed = Contributed::default();
    for record in records {
        match record {
            ParticipantRecord::Sealed { .. } => contributed.sealed += 1,
            ParticipantRecord::Receipted { .. } => contributed.receipts += 1,
            ParticipantRecord::Ended { counted: true, .. } => contributed.counted += 1,
            ParticipantRecord::Ended { .. } => {}
        }
    }
    contributed
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} ({}) of federation {}", self.name, self.role, self.federation)?;
        writeln!(f, "key          {}", self.id)?;
        writeln!(f, "roster       {}", self.roster)?;
        writeln!(f, "coordinator  {}", self.coordinator)?;
        if self.is_paused {
            writeln!(f, "paused       takes no part until: covey-client resume")?;
        }
        match &self.contributed {
            None => match &self.link {
                Some(link) => write!(f, "running, linked {link}"),
                None => write!(f, "running, without a link"),
            },
            Some(contributed) => write!(
                f,
                "not running; so far: {} updates sealed, {} receipts, {} counted",
                contributed.sealed, contributed.receipts, contributed.counted
            ),
        }
    }
}
