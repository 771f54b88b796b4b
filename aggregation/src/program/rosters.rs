//! The rosters that the rounds of a run were held under. A reader has pinned one; others count if a
//! quorum of its committee signed them, or if they are the one before one that counts.
//!
//! ```text
//! rosters/<digest>.roster   a roster and its signatures
//! ```

use std::path::{Path, PathBuf};

use crate::hash::Digest;
use crate::limits::MEMBER_FILE_BYTES_MAX;
use crate::net::{files, read_roster};
use crate::program::{Exit, Failure};
use crate::roster::Roster;
use crate::roster::succession::CertifiedRoster;
use crate::wire;

/// The folder, beside the folders of rounds.
pub const ROSTERS_FOLDER: &str = "rosters";

/// The name of a roster's file.
#[must_use]
pub fn roster_file(digest: &Digest) -> String {
    format!("{digest}.roster")
}

/// Rosters that count.
pub struct Rosters {
    pinned: Roster,
    others: Vec<(Digest, Roster)>,
}

impl Rosters {
    /// The reader's own, and what is published beside it in `folder`, or beside `folder` where it is a
    /// round's.
    ///
    /// # Errors
    /// [`Failure`] when the reader's own cannot be read. What is published and does not count is left out:
    /// a round under it is of another federation then.
    pub fn read(pinned: &Path, folder: &Path) -> Result<Self, Failure> {
        let pinned = read_roster(pinned)
            .map_err(|error| Failure::new(Exit::BadInput, "BAD_ROSTER", error))?;
        let beside = folder.parent().unwrap_or(folder);
        let found = [folder, beside].map(|folder| folder.join(ROSTERS_FOLDER));
        let files = found.iter().flat_map(std::fs::read_dir).flatten().flatten();
        let files: Vec<PathBuf> = files.map(|entry| entry.path()).collect();
        Ok(Self::of(pinned, files.iter().filter_map(|path| read(path)).collect()))
    }

    fn of(pinned: Roster, mut published: Vec<CertifiedRoster>) -> Self {
        published.retain(|one| pinned.is_of_same_seats(&one.roster));
        let (signed, mut rest): (Vec<_>, Vec<_>) =
            published.into_iter().partition(|one| pinned.check_votes(one).is_ok());
        let mut others: Vec<_> =
            signed.into_iter().map(|one| (one.roster.digest(), one.roster)).collect();
        // The founding one has no signatures; the one after it names it.
        loop {
            let names = |digest: Digest| {
                pinned.previous == digest || others.iter().any(|(_, one)| one.previous == digest)
            };
            let Some(place) = rest.iter().position(|one| names(one.roster.digest())) else { break };
            let roster = rest.swap_remove(place).roster;
            others.push((roster.digest(), roster));
        }
        Self { pinned, others }
    }

    /// The one that `digest` names; the reader's own where none that counts does.
    #[must_use]
    pub fn of_round(&self, digest: &Digest) -> &Roster {
        let other = self.others.iter().find(|(known, _)| known == digest);
        other.map_or(&self.pinned, |(_, roster)| roster)
    }

    /// The reader's own.
    #[must_use]
    pub const fn pinned(&self) -> &Roster {
        &self.pinned
    }
}

fn read(path: &Path) -> Option<CertifiedRoster> {
    let bytes = files::read(path, MEMBER_FILE_BYTES_MAX).ok()?;
    wire::decode(&bytes, usize::try_from(MEMBER_FILE_BYTES_MAX).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::HolderIndex;
    use crate::fixture::Federation;
    use crate::message::Vote;
    use crate::roster::succession::sign;

    fn signed(federation: &Federation, roster: Roster) -> CertifiedRoster {
        let digest = roster.digest();
        let vote = |holder: u8| Vote {
            holder: HolderIndex(holder),
            signature: sign(&federation.holders[usize::from(holder)], &digest),
        };
        CertifiedRoster { votes: (0..3).map(vote).collect(), roster }
    }

    #[test]
    fn rounds_under_earlier_and_later_rosters_count_if_the_committee_signed_them() {
        let federation = Federation::new();
        let founding = federation.roster.clone();
        let fewer = |roster: &Roster| roster.members[..roster.members.len() - 1].to_vec();
        let second = founding.next(1, fewer(&founding));
        let third = second.next(2, fewer(&second));
        let mut forged = third.next(3, fewer(&third));
        let bare = |roster: &Roster| CertifiedRoster { roster: roster.clone(), votes: Vec::new() };
        let published = || {
            vec![
                bare(&founding),
                signed(&federation, second.clone()),
                signed(&federation, third.clone()),
                bare(&forged),
            ]
        };
        for pinned in [&founding, &second, &third] {
            let rosters = Rosters::of(pinned.clone(), published());
            for one in [&founding, &second, &third] {
                assert_eq!(rosters.of_round(&one.digest()), one);
            }
            assert_eq!(rosters.of_round(&forged.digest()), pinned, "nobody signed it");
        }
        forged.authority = Digest::ZERO;
        let rosters = Rosters::of(founding.clone(), vec![signed(&federation, forged.clone())]);
        assert_eq!(rosters.of_round(&forged.digest()), &founding, "another authority");
    }
}
