//! What the person who runs a holder says of rosters. By rule everything that follows from the roster at
//! hand is signed; by hand nothing is that a person has not seen. What is asked and what is said lie in
//! the state folder, so that the program that holds the key and the command that the person types need
//! not be one.
//!
//! ```text
//! rosters/<digest>.json      what is asked, to be read
//! rosters/<digest>.approved  the person says yes
//! rosters/<digest>.denied    the person says no
//! ```

use std::fmt;
use std::path::{Path, PathBuf};

use covey_aggregation::hash::Digest;
use covey_aggregation::holder::Approval;
use covey_aggregation::net::membership::Membership;
use covey_aggregation::net::{FileError, files, read_roster, write_roster};
use covey_aggregation::party::{Name, Role};
use covey_aggregation::program::words::key_words;
use covey_aggregation::program::{Exit, Failure};
use covey_aggregation::roster::Roster;
use serde::{Deserialize, Serialize};

use crate::config::Config;

/// The folder, in the state folder.
const ROSTERS_FOLDER: &str = "rosters";

/// How a holder comes to sign a roster.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Approve {
    /// Whatever follows from the roster at hand.
    #[default]
    Auto,
    /// What a person has approved.
    ByHand,
}

/// The folder and the rule.
pub(crate) struct Approvals {
    folder: PathBuf,
    rule: Approve,
}

impl Approvals {
    pub(crate) fn new(state: &Path, rule: Approve) -> Self {
        Self { folder: state.join(ROSTERS_FOLDER), rule }
    }

    /// What is said of `next`, which would come after `current`. What nobody has said anything of is
    /// written down for a person to see.
    pub(crate) fn ask(&self, current: &Roster, next: &Roster) -> Result<Approval, FileError> {
        if self.rule == Approve::Auto {
            return Ok(Approval::Yes);
        }
        let digest = next.digest();
        if self.path(&digest, "denied").exists() {
            return Ok(Approval::No);
        }
        if self.path(&digest, "approved").exists() {
            return Ok(Approval::Yes);
        }
        let asked = self.path(&digest, "json");
        // What does not follow is refused by the machine, and is nothing to ask a person about.
        if current.check_next(next).is_ok() && !asked.exists() {
            files::create_private_folder(&self.folder)?;
            write_roster(&asked, next)?;
        }
        Ok(Approval::Open)
    }

    fn path(&self, digest: &Digest, kind: &str) -> PathBuf {
        self.folder.join(format!("{digest}.{kind}"))
    }
}

/// Rosters that wait for a person's word.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Waiting {
    /// How this holder comes to sign.
    pub rule: Approve,
    /// Each, the newest last.
    pub rosters: Vec<Asked>,
}

/// A roster that the coordinator asks to have signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Asked {
    /// Its digest.
    pub digest: String,
    /// Its number.
    pub number: u32,
    /// What was said: open, approved or denied.
    pub said: &'static str,
    /// Who would come: name, role, key in words.
    pub joined: Vec<(Name, Role, String)>,
    /// Who would go.
    pub left: Vec<Name>,
}

impl fmt::Display for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.rule {
            Approve::Auto => write!(f, "rosters are signed by rule (members.approve = \"auto\")")?,
            Approve::ByHand => write!(f, "rosters are signed by hand")?,
        }
        for one in &self.rosters {
            write!(f, "\nroster {} ({}), {}", one.number, one.digest, one.said)?;
            for (name, role, words) in &one.joined {
                write!(f, "\n  joins  {name:<20} {role:<12} {words}")?;
            }
            for name in &one.left {
                write!(f, "\n  leaves {name}")?;
            }
        }
        Ok(())
    }
}

/// What the coordinator asks this holder to sign, after the roster at hand.
///
/// # Errors
/// [`Failure`], naming the file.
pub fn waiting(config: &Config) -> Result<Waiting, Failure> {
    let membership = Membership::load(&config.folder).map_err(|error| Failure::identity(&error))?;
    let approvals = Approvals::new(&config.state, config.members.approve);
    let mut rosters = Vec::new();
    let entries = std::fs::read_dir(&approvals.folder).into_iter().flatten().flatten();
    for path in entries.map(|entry| entry.path()) {
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let next = read_roster(&path).map_err(|error| Failure::file(&error))?;
        let current = membership.roster();
        if current.check_next(&next).is_err() {
            continue;
        }
        let (digest, changes) = (next.digest(), current.changes(&next));
        let said = if approvals.path(&digest, "denied").exists() {
            "denied"
        } else if approvals.path(&digest, "approved").exists() {
            "approved"
        } else {
            "open"
        };
        rosters.push(Asked {
            digest: digest.to_string(),
            number: next.number,
            said,
            joined: changes
                .joined
                .iter()
                .map(|one| (one.name.clone(), one.role, key_words(&one.id)))
                .collect(),
            left: changes.left.into_iter().map(|one| one.name).collect(),
        });
    }
    rosters.sort_by_key(|one| one.number);
    Ok(Waiting { rule: config.members.approve, rosters })
}

/// Says yes or no to the roster whose digest begins so; the holder signs when it is asked next, within a
/// second.
///
/// # Errors
/// [`Failure`]: there is none, or more than one.
pub fn say(config: &Config, begin: &str, is_approved: bool) -> Result<Asked, Failure> {
    let mut found: Vec<_> =
        waiting(config)?.rosters.into_iter().filter(|one| one.digest.starts_with(begin)).collect();
    let (Some(mut asked), true) = (found.pop(), found.is_empty()) else {
        let what = format!("there is not exactly one roster whose digest begins with {begin:?}");
        return Err(Failure::new(Exit::BadInput, "NO_ROSTER", what)
            .with_help("covey-committee members list"));
    };
    if asked.said != "open" {
        let what = format!("roster {} was {} already", asked.number, asked.said);
        return Err(Failure::new(Exit::BadInput, "SAID", what));
    }
    let said = if is_approved { "approved" } else { "denied" };
    let path = config.state.join(ROSTERS_FOLDER).join(format!("{}.{said}", asked.digest));
    files::write_durably(&path, b"").map_err(|error| Failure::file(&error))?;
    asked.said = said;
    Ok(asked)
}

#[cfg(test)]
mod tests {
    use covey_aggregation::config::SealingKey;
    use covey_aggregation::party::PartyId;
    use covey_aggregation::roster::Member;

    use super::*;

    /// A founding roster, and the next one with an owner more.
    fn pair() -> (Roster, Roster) {
        let member = |name: String, id: u8, role| {
            let key = || SealingKey { ml_kem: vec![id; 1184].into(), x25519: [id; 32] };
            let sealing_key = (role == Role::Holder).then(key);
            Member { name: name.parse().expect("a name"), id: PartyId([id; 32]), role, sealing_key }
        };
        let mut members = vec![member("c".to_owned(), 1, Role::Coordinator)];
        members.extend((2..6).map(|id| member(format!("kh-{id}"), id, Role::Holder)));
        let first = Roster::founding("f".parse().expect("a name"), Digest::ZERO, members);
        let mut members = first.members.clone();
        members.push(member("ada".to_owned(), 9, Role::DataOwner));
        let next = first.next(1, members);
        (first, next)
    }

    #[test]
    fn by_hand_nothing_is_signed_that_nobody_approved() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (first, next) = pair();
        let by_rule = Approvals::new(folder.path(), Approve::Auto);
        assert_eq!(by_rule.ask(&first, &next).expect("asked"), Approval::Yes);
        let by_hand = Approvals::new(folder.path(), Approve::ByHand);
        assert_eq!(by_hand.ask(&first, &next).expect("asked"), Approval::Open);
        let asked = by_hand.path(&next.digest(), "json");
        assert_eq!(read_roster(&asked).expect("written down"), next);
        files::write_durably(&by_hand.path(&next.digest(), "approved"), b"").expect("written");
        assert_eq!(by_hand.ask(&first, &next).expect("asked"), Approval::Yes);
        files::write_durably(&by_hand.path(&next.digest(), "denied"), b"").expect("written");
        assert_eq!(by_hand.ask(&first, &next).expect("asked"), Approval::No);
    }

    #[test]
    fn what_does_not_follow_is_no_question_for_a_person() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (first, mut next) = pair();
        next.previous = Digest::ZERO;
        let by_hand = Approvals::new(folder.path(), Approve::ByHand);
        assert_eq!(by_hand.ask(&first, &next).expect("asked"), Approval::Open);
        assert!(!by_hand.path(&next.digest(), "json").exists());
    }
}
