//! A small ledger as a federation would write it: signed by everybody with their own keys, read by
//! the book entry by entry. The same [`Shape`] gives the same bytes. For tests, pages and pictures; its
//! keys are nobody's, and the publications that its rounds name are not part of it.

mod rounds;
mod story;

pub use self::story::{Voter, stranger};

use std::collections::BTreeMap;

use covey_aggregation::config::HolderIndex;
use covey_aggregation::hash::Digest;
use covey_aggregation::message::Vote;
use covey_aggregation::party::{Name, PartyId, Role};
use covey_aggregation::roster::succession::{CertifiedRoster, sign};
use covey_aggregation::roster::{Member, Roster};
use covey_aggregation::signing::{Identity, Statement as Kind};
use covey_aggregation::sum::sealed_box::SealingSecret;
use zeroize::Zeroizing;

use crate::book::{Book, Refused};
use crate::charter::Charter;
use crate::document::sha256;
use crate::entry::{Body, Entry, Leaving, SeatVote};
use crate::facts::{self, Facts};
use crate::payout::{Address, keccak256};
use crate::statement::{Says, Signed, Statement};

/// When the example's federation began: 2026-11-02, 08:00 UTC.
pub const BEGAN_MS: u64 = 1_793_606_400_000;

/// Budget of a round of the example's plans, in credits.
pub const BUDGET: u32 = 1000;

const HOLDERS: [&str; 4] = ["eth-zurich", "uni-nantes", "north-dao", "open-lab"];

/// How large an example is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Another seed gives other scores.
    pub seed: u64,
    /// Data owners from the beginning; at least 6, so that one can be missing.
    pub owners: usize,
    /// Rounds of each run; at least 3.
    pub rounds: u32,
}

impl Default for Shape {
    fn default() -> Self {
        Self { seed: 1, owners: 6, rounds: 4 }
    }
}

/// A ledger, everything that it names, and everybody's keys.
pub struct Example {
    /// What it was made from.
    pub shape: Shape,
    /// What the entries say.
    pub book: Book,
    /// The entries' bytes, in order: the leaves of the log.
    pub entries: Vec<Vec<u8>>,
    /// The documents that entries name, by SHA-256 digest.
    pub documents: BTreeMap<Digest, Vec<u8>>,
    /// The coordinator: keeper of the log.
    pub coordinator: Identity,
    /// The committee, in order: witnesses of the log.
    pub holders: Vec<Identity>,
    /// Data owners, in the order in which they joined.
    pub owners: Vec<Identity>,
    /// Who launches runs.
    pub researcher: Identity,
    /// The roster that is in force.
    pub roster: Roster,
    /// The time of the next entry.
    pub now_ms: u64,
    /// Opened examples of the validation pool, ascending.
    retired: Vec<u32>,
    state: covey_aggregation::credit::CreditState,
}

/// Some number that follows from a seed and labels.
fn draw(seed: u64, labels: &[&str]) -> u64 {
    let text = format!("{seed}/{}", labels.join("/"));
    let Digest(bytes) = sha256(text.as_bytes());
    bytes.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
}

fn some_digest(seed: u64, labels: &[&str]) -> Digest {
    sha256(format!("{seed}/{}", labels.join("/")).as_bytes())
}

/// What the keys of somebody of an example follow from; the name is that in its roster.
#[must_use]
pub fn key_seed(seed: u64, who: &str) -> Zeroizing<[u8; 32]> {
    Zeroizing::new(some_digest(seed, &["key", who]).0)
}

fn identity(seed: u64, who: &str) -> Identity {
    Identity::from_seed(&key_seed(seed, who))
}

impl Example {
    /// The whole story: a run of [`Shape::rounds`] rounds with credits, a dispute that is upheld, one that
    /// is rejected and one that is open, proposals, a payout, and a second run that goes on.
    ///
    /// # Errors
    /// [`Refused`], where the shape is too small for the story.
    pub fn new(shape: Shape) -> Result<Self, Refused> {
        Self::new_by(shape, some_digest(shape.seed, &["authority"]))
    }

    /// The same of a federation with this authority.
    ///
    /// # Errors
    /// As [`Example::new`].
    pub fn new_by(shape: Shape, authority: Digest) -> Result<Self, Refused> {
        let mut example = Self::founded_by(shape, authority)?;
        example.tell()?;
        Ok(example)
    }

    /// The founding alone.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn founded(shape: Shape) -> Result<Self, Refused> {
        Self::founded_by(shape, some_digest(shape.seed, &["authority"]))
    }

    /// The same of a federation with this authority.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn founded_by(shape: Shape, authority: Digest) -> Result<Self, Refused> {
        let seed = shape.seed;
        let holders: Vec<_> = HOLDERS.iter().map(|name| identity(seed, name)).collect();
        let owners: Vec<_> =
            (1..=shape.owners).map(|one| identity(seed, &owner_name(one))).collect();
        let (coordinator, researcher) = (identity(seed, "north"), identity(seed, "ada"));
        let member = |name: &str, id: PartyId, role| Member {
            name: plain(name),
            id,
            role,
            sealing_key: (role == Role::Holder).then(|| {
                let halves = [some_digest(seed, &[name, "1"]), some_digest(seed, &[name, "2"])];
                let mut bytes = Zeroizing::new([0; 96]);
                bytes[..32].copy_from_slice(&halves[0].0);
                bytes[32..64].copy_from_slice(&halves[1].0);
                SealingSecret::from_seed(&bytes).public()
            }),
        };
        let mut members = vec![member("north", coordinator.id(), Role::Coordinator)];
        let seats = HOLDERS.iter().zip(&holders);
        members.extend(seats.map(|(name, key)| member(name, key.id(), Role::Holder)));
        members.extend(
            (1..)
                .zip(&owners)
                .map(|(number, key)| member(&owner_name(number), key.id(), Role::DataOwner)),
        );
        members.push(member("ada", researcher.id(), Role::Researcher));
        let roster = Roster::founding(plain("north"), authority, members);
        // Two holders, two owners and the researcher.
        let reviewers = [&holders[0], &holders[1], &owners[0], &owners[1], &researcher];
        let reviewers = reviewers.map(Identity::id);
        let free = u64::from(BUDGET) * u64::from(shape.rounds) * covey_aggregation::credit::MICRO;
        let charter = Charter::usual(reviewers.len(), free);
        let facts = facts::founding(&roster, &reviewers, charter);
        let facts = facts.ok_or(Refused::BadFounding("no committee"))?;
        let body = facts.bodies.into_iter().next().ok_or(Refused::Founding)?;
        let first = Entry::new(plain("north"), BEGAN_MS, body);
        let pool = some_digest(seed, &["pool"]);
        Ok(Self {
            shape,
            book: Book::found(&first)?,
            entries: vec![first.encode()?],
            documents: facts.documents.into_iter().map(|bytes| (sha256(&bytes), bytes)).collect(),
            coordinator,
            holders,
            owners,
            researcher,
            roster,
            now_ms: BEGAN_MS,
            retired: Vec::new(),
            state: covey_aggregation::credit::CreditState::first(pool),
        })
    }

    /// Writes an entry, a second after the last one or later.
    ///
    /// # Errors
    /// [`Refused`]: then nothing is written.
    pub fn write(&mut self, body: impl Into<Body>) -> Result<u64, Refused> {
        self.now_ms = self.now_ms.max(self.book.time_ms() + 1000);
        let entry = Entry::new(self.book.federation().clone(), self.now_ms, body);
        let bytes = entry.encode()?;
        let index = self.book.apply(&entry, &self.documents)?;
        self.entries.push(bytes);
        Ok(index)
    }

    /// Writes facts that the ledger has not yet, with their documents.
    ///
    /// # Errors
    /// [`Refused`], at the first entry that is.
    pub fn write_facts(&mut self, facts: Facts) -> Result<(), Refused> {
        self.documents.extend(facts.documents.into_iter().map(|bytes| (sha256(&bytes), bytes)));
        for body in facts.bodies {
            if !self.book.has(&body) {
                self.write(body)?;
            }
        }
        Ok(())
    }

    /// What a member says, signed, with the next number of its kind.
    #[must_use]
    pub fn say(&self, who: &Identity, says: Says) -> Signed {
        let (federation, member) = (self.book.founding().authority, who.id());
        let number = self.book.last_number(&member, &says).unwrap_or(0).max(self.now_ms) + 1;
        Statement { federation, member, number, says }.sign(who)
    }

    /// Writes all decisions that are due.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn write_due(&mut self) -> Result<(), Refused> {
        while let Some((body, document)) = self.book.due(self.now_ms).into_iter().next() {
            self.documents.extend(document.map(|bytes| (sha256(&bytes), bytes)));
            self.write(body)?;
        }
        Ok(())
    }

    /// Lets time pass.
    pub const fn wait_ms(&mut self, ms: u64) {
        self.now_ms += ms;
    }

    /// The votes of a quorum of the committee.
    #[must_use]
    pub fn votes(&self, kind: Kind, context: &Digest, digest: &Digest) -> Vec<SeatVote> {
        let seats = self.holders.iter().zip(0..).take(self.book.founding().quorum as usize);
        let vote = |(key, holder): (&Identity, u8)| SeatVote {
            holder,
            signature: key.sign(kind, context, &digest.0),
        };
        seats.map(vote).collect()
    }

    /// Puts a roster in force, and writes who came and who left.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn change_members(&mut self, members: Vec<Member>) -> Result<(), Refused> {
        let roster = self.roster.next(self.roster.number + 1, members);
        let digest = roster.digest();
        let votes = self.holders.iter().zip(0..).skip(1).map(|(key, holder)| Vote {
            holder: HolderIndex(holder),
            signature: sign(key, &digest),
        });
        let certified = CertifiedRoster { votes: votes.collect(), roster };
        let left = |_: &PartyId| (Leaving::Left, "its data may no longer be used".to_owned());
        let facts = facts::members(&self.roster, &certified, left);
        self.write_facts(facts)?;
        self.roster = certified.roster;
        Ok(())
    }

    /// The address that belongs to a key of the example.
    #[must_use]
    pub fn address_of(&self, id: &PartyId) -> Address {
        let mut address = [0; 20];
        address.copy_from_slice(&keccak256(&id.0).0[12..]);
        Address(address)
    }
}

fn owner_name(number: usize) -> String {
    format!("clinic-{number}")
}

fn plain(name: &str) -> Name {
    // Only names of this file are made, all of which are plain.
    name.parse().unwrap_or_else(|_| unreachable!("{name} is a name"))
}

#[cfg(test)]
mod tests;
