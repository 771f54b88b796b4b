//! What members say for the record, and sign: disputes, votes, proposals, addresses, compute.
//!
//! The signed text is the compact JSON of a [`Statement`], in the one form that entries have. It is
//! signed as [`covey_aggregation::signing::Statement::Member`] with the digest of the federation's
//! authority as context, so it counts in one federation only; and it has a number that grows from one
//! statement of a member to its next of the same kind, so nobody can bring it twice, or an old one after a
//! new one.
//! A program that signs takes the time in milliseconds for it, or one more than the last.

use covey_aggregation::hash::Digest;
use covey_aggregation::limits::TEXT_BYTES_MAX;
use covey_aggregation::party::PartyId;
use covey_aggregation::signing::{self, BadSignature, Identity, Signature};
use serde::{Deserialize, Serialize};

use crate::charter::Charter;
use crate::document::{Document, sha256};
use crate::entry::{
    AddressSet, Body, ComputeReported, DisputeOpened, DisputeWithdrawn, INTEGER_MAX,
    ProposalOpened, VoteCast,
};
use crate::form::hex;
use crate::payout::Address;

/// Most bytes of what a member says in its own words.
pub const WORDS_BYTES_MAX: usize = 8 * TEXT_BYTES_MAX;

/// Most documents that a dispute may bring.
pub const EVIDENCE_MAX: usize = 16;

/// Most rounds, or reviewers, that one statement names.
pub const LIST_MAX: usize = 1024;

/// What a member says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Statement {
    /// Digest of the federation's authority ([`covey_aggregation::roster::Roster::authority`]).
    #[serde(with = "hex")]
    pub federation: Digest,
    /// Who says it.
    #[serde(with = "hex")]
    pub member: PartyId,
    /// Larger than that of the member's last statement of this kind.
    pub number: u64,
    /// What.
    pub says: Says,
}

/// What it says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Says {
    /// "I doubt this credit."
    Dispute(Dispute),
    /// "I withdraw my dispute."
    Withdraw(Withdraw),
    /// "This is my vote" (reviewers).
    Vote(Vote),
    /// "I propose this."
    Proposal(Proposal),
    /// "Pay me here."
    Address(SetAddress),
    /// "This round took me so much" (data owners).
    Compute(Compute),
}

/// A doubt about one owner's credit in one run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dispute {
    /// The run.
    #[serde(with = "hex")]
    pub run: Digest,
    /// Whose credit.
    #[serde(with = "hex")]
    pub owner: PartyId,
    /// What should be instead.
    pub remedy: Remedy,
    /// Why, in words.
    pub why: String,
    /// What shows it: documents, such as the proof of the owner's own numbers.
    pub evidence: Vec<Document>,
}

/// What should be instead.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Remedy {
    /// The owner is paid this many micro-credits; the others' payments stay.
    Pay(u64),
    /// The run is settled without these rounds, ascending.
    Without(Vec<u32>),
}

/// The end of one's own dispute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Withdraw {
    /// Which ([`Signed::id`]).
    #[serde(with = "hex")]
    pub dispute: Digest,
}

/// A vote.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Vote {
    /// On which dispute or proposal ([`Signed::id`]).
    #[serde(with = "hex")]
    pub on: Digest,
    /// Yes: the dispute's remedy, or what is proposed, shall be.
    pub choice: Choice,
}

/// Yes or no.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Choice {
    /// Uphold a dispute, approve a proposal.
    Yes,
    /// Reject it.
    No,
}

/// A proposal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proposal {
    /// What shall be.
    pub change: Change,
    /// Why, in words.
    pub why: String,
}

/// What shall be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// A run may give so much.
    Budget(Budget),
    /// Another charter.
    Charter(Charter),
    /// Others review.
    Reviewers(Reviewers),
}

/// The reward budget of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    /// The run.
    #[serde(with = "hex")]
    pub run: Digest,
    /// Largest pool of its rounds together, in micro-credits.
    pub pool_micro: u64,
}

/// Who begins and who ceases to review.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reviewers {
    /// Who begins, ascending.
    #[serde(with = "hex::list")]
    pub add: Vec<PartyId>,
    /// Who ceases, ascending.
    #[serde(with = "hex::list")]
    pub remove: Vec<PartyId>,
}

/// Where a member is paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetAddress {
    /// The address; none takes it back, and nothing more is paid.
    pub address: Option<Address>,
}

/// What a round took an owner: its own word, which nobody can check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Compute {
    /// The run.
    #[serde(with = "hex")]
    pub run: Digest,
    /// The round.
    pub round: u32,
    /// Examples that were trained on, each as often as it was.
    pub examples: u64,
    /// How long the device worked, in milliseconds.
    pub device_ms: u64,
    /// Bytes sent.
    pub bytes_up: u64,
    /// Bytes received.
    pub bytes_down: u64,
    /// What the device does in a second of the reference benchmark, in millions of floating-point
    /// operations; 0 where it was not run.
    pub benchmark_mflops: u64,
}

/// A statement that no ledger takes, whoever signs it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadStatement {
    /// Not signed by who it says.
    #[error(transparent)]
    Signature(#[from] BadSignature),
    /// For another federation.
    #[error("a statement for another federation")]
    OtherFederation,
    /// Words too long.
    #[error("{got} bytes of words, at most {WORDS_BYTES_MAX} are allowed")]
    Words {
        /// So many.
        got: usize,
    },
    /// Too many of something, or not ascending.
    #[error("{what}: at most {max}, ascending, each once")]
    List {
        /// Of what.
        what: &'static str,
        /// Most.
        max: usize,
    },
    /// A number that is not counted exactly.
    #[error("a number beyond {INTEGER_MAX}")]
    Number,
    /// The entry is of another kind than the statement.
    #[error("a statement of another kind than its entry")]
    Kind,
    /// Not the text of a signed statement.
    #[error("not a signed statement: {0}")]
    Shape(String),
}

/// A statement and its signature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signed {
    /// What is said.
    pub statement: Statement,
    /// By its member, over [`Statement::text`].
    #[serde(with = "hex")]
    pub signature: Signature,
}

impl Says {
    /// The kind, in one word.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Dispute(_) => "dispute",
            Self::Withdraw(_) => "withdraw",
            Self::Vote(_) => "vote",
            Self::Proposal(_) => "proposal",
            Self::Address(_) => "address",
            Self::Compute(_) => "compute",
        }
    }

    /// The run and the round that it is about.
    #[must_use]
    pub const fn place(&self) -> (Option<Digest>, Option<u32>) {
        match self {
            Self::Dispute(dispute) => (Some(dispute.run), None),
            Self::Compute(compute) => (Some(compute.run), Some(compute.round)),
            Self::Proposal(Proposal { change: Change::Budget(budget), .. }) => {
                (Some(budget.run), None)
            }
            _ => (None, None),
        }
    }

    fn check(&self) -> Result<(), BadStatement> {
        let words = |text: &str| match text.len() {
            got if got > WORDS_BYTES_MAX => Err(BadStatement::Words { got }),
            _ => Ok(()),
        };
        let exact = |value: u64| match value {
            0..=INTEGER_MAX => Ok(()),
            _ => Err(BadStatement::Number),
        };
        match self {
            Self::Dispute(dispute) => {
                words(&dispute.why)?;
                ascending("documents", &dispute.evidence, EVIDENCE_MAX)?;
                match &dispute.remedy {
                    Remedy::Pay(micro) => exact(*micro),
                    Remedy::Without(rounds) => ascending("rounds", rounds, LIST_MAX),
                }
            }
            Self::Proposal(proposal) => {
                words(&proposal.why)?;
                match &proposal.change {
                    Change::Budget(budget) => exact(budget.pool_micro),
                    Change::Charter(_) => Ok(()),
                    Change::Reviewers(Reviewers { add, remove }) => {
                        ascending("reviewers", add, LIST_MAX)?;
                        ascending("reviewers", remove, LIST_MAX)
                    }
                }
            }
            Self::Compute(one) => [one.examples, one.device_ms, one.bytes_up, one.bytes_down]
                .into_iter()
                .chain([one.benchmark_mflops])
                .try_for_each(exact),
            Self::Withdraw(_) | Self::Vote(_) | Self::Address(_) => Ok(()),
        }
    }
}

fn ascending<T: Ord>(what: &'static str, list: &[T], max: usize) -> Result<(), BadStatement> {
    let holds = list.len() <= max && list.is_sorted_by(|one, next| one < next);
    holds.then_some(()).ok_or(BadStatement::List { what, max })
}

impl Statement {
    /// The text that is signed.
    #[must_use]
    pub fn text(&self) -> String {
        // Structures with strings, integers and lists: there is nothing that JSON cannot say.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Signs it; `identity` is that of the member.
    #[must_use]
    pub fn sign(self, identity: &Identity) -> Signed {
        let text = self.text();
        let kind = signing::Statement::Member;
        let signature = identity.sign(kind, &self.federation, text.as_bytes());
        Signed { statement: self, signature }
    }
}

impl Signed {
    /// What names the statement: the SHA-256 digest of its text. Disputes and proposals are known by
    /// it.
    #[must_use]
    pub fn id(&self) -> Digest {
        sha256(self.statement.text().as_bytes())
    }

    /// From the JSON of a file or a message.
    ///
    /// # Errors
    /// [`BadStatement::Shape`]; nothing else is checked ([`Signed::check`]).
    pub fn parse(json: &[u8]) -> Result<Self, BadStatement> {
        serde_json::from_slice(json).map_err(|error| BadStatement::Shape(error.to_string()))
    }

    /// Checks all that can be without the ledger: signature, federation, lengths.
    ///
    /// # Errors
    /// [`BadStatement`], by the first fault.
    pub fn check(&self, federation: &Digest) -> Result<(), BadStatement> {
        let statement = &self.statement;
        if statement.federation != *federation {
            return Err(BadStatement::OtherFederation);
        }
        if statement.number > INTEGER_MAX {
            return Err(BadStatement::Number);
        }
        statement.says.check()?;
        let (kind, text) = (signing::Statement::Member, statement.text());
        let member = &statement.member;
        Ok(member.verify(kind, federation, text.as_bytes(), &self.signature)?)
    }

    /// Who signed, and whom it is about.
    pub(crate) fn named(&self) -> Vec<PartyId> {
        let by = [self.statement.member];
        match &self.statement.says {
            Says::Dispute(dispute) => by.into_iter().chain([dispute.owner]).collect(),
            Says::Proposal(Proposal { change: Change::Reviewers(reviewers), .. }) => {
                by.iter().chain(&reviewers.add).chain(&reviewers.remove).copied().collect()
            }
            _ => by.to_vec(),
        }
    }

    /// The subject of the entry that it makes.
    pub(crate) fn subject(&self) -> String {
        let Statement { member, number, says, .. } = &self.statement;
        format!("{}/{}/{number}", says.word(), Digest(member.0))
    }

    /// The entry that it makes.
    #[must_use]
    pub fn into_body(self) -> Body {
        let signed = self;
        match signed.statement.says {
            Says::Dispute(_) => DisputeOpened { signed }.into(),
            Says::Withdraw(_) => DisputeWithdrawn { signed }.into(),
            Says::Vote(_) => VoteCast { signed }.into(),
            Says::Proposal(_) => ProposalOpened { signed }.into(),
            Says::Address(_) => AddressSet { signed }.into(),
            Says::Compute(_) => ComputeReported { signed }.into(),
        }
    }
}
