//! Why a book refuses an entry.

use covey_aggregation::credit::{BadEvidence, BadTerms};
use covey_aggregation::hash::Digest;
use covey_aggregation::party::{Name, PartyId};

use super::seats::BadVotes;
use crate::charter::BadCharter;
use crate::document::BadDocument;
use crate::entry::{BadEntry, HeldBack, Verdict};
use crate::payout::Address;
use crate::statement::BadStatement;

/// An entry that the rules forbid, with its place in the ledger.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("entry {index}: {refused}")]
pub struct Fault {
    /// Which entry, from 0.
    pub index: u64,
    /// Why.
    pub refused: Refused,
}

/// Why an entry is refused. Unless it says otherwise, the coordinator is at fault, who wrote it.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Refused {
    /// Not an entry.
    #[error(transparent)]
    Entry(#[from] BadEntry),
    /// The first entry is another one than the founding.
    #[error("a ledger begins with its founding, and has no second one")]
    Founding,
    /// The founding is of no federation.
    #[error("the founding: {0}")]
    BadFounding(&'static str),
    /// Of another federation.
    #[error("it is of the federation {0}")]
    OtherFederation(Name),
    /// Before the entry before it.
    #[error("it is of {got} ms, the entry before it of {last} ms")]
    TimeWentBack {
        /// Its time.
        got: u64,
        /// That of the entry before it.
        last: u64,
    },
    /// There is an entry about the same already.
    #[error("entry {first} is about {subject} already")]
    Duplicate {
        /// What both are about.
        subject: String,
        /// The other entry.
        first: u64,
    },
    /// A document that is needed.
    #[error(transparent)]
    Document(#[from] BadDocument),
    /// A list that is not ascending, or has something twice.
    #[error("{0} are not ascending, each once")]
    Order(&'static str),

    /// Nobody's key.
    #[error("{} is no member", Digest(.0.0))]
    UnknownMember(PartyId),
    /// A member that may not do this.
    #[error("{} is not {what}", Digest(.member.0))]
    MayNot {
        /// Who.
        member: PartyId,
        /// What it would have to be.
        what: &'static str,
    },
    /// A member already, or its name is another's.
    #[error("{0} is a member already, by name or by key")]
    MemberTwice(Name),
    /// A roster that is older than one in the ledger, or another one of its number.
    #[error("roster {got} after roster {last}, or another one of the same number")]
    Roster {
        /// Its number.
        got: u32,
        /// The last one's.
        last: u32,
    },
    /// Votes of the committee that do not hold.
    #[error("the {what}: {bad}")]
    Votes {
        /// For what.
        what: &'static str,
        /// What is wrong.
        bad: BadVotes,
    },

    /// Not a run of this ledger.
    #[error("no plan of the run {0} was accepted")]
    UnknownRun(Digest),
    /// The plan's text is not what the entry says of it.
    #[error("the plan: {0}")]
    Plan(String),
    /// No terms of credit.
    #[error("the terms of credit: {0}")]
    BadTerms(#[from] BadTerms),
    /// Other terms than those of the run.
    #[error("the terms of credit are not those of the run")]
    OtherTerms,
    /// Rounds out of order.
    #[error("round {got} where round {expected} is next")]
    RoundOrder {
        /// What it should be.
        expected: u32,
        /// What it is.
        got: u32,
    },
    /// A round that this needs is not in the ledger, or nothing was opened in it.
    #[error("no sum of round {0} was opened, by this ledger")]
    NoRound(u32),
    /// The round begins with another model than the one before it came to.
    #[error("round {0} begins with another model than the one before it came to")]
    ModelChain(u32),
    /// The numbers of a round contradict each other.
    #[error("round {round}: {what}")]
    Round {
        /// Which.
        round: u32,
        /// What is wrong.
        what: &'static str,
    },
    /// Examples of a pool that were opened before.
    #[error("example {0} of the validation pool was opened before")]
    FoldAgain(u32),
    /// The fold is not one of its pool.
    #[error("the fold: {0}")]
    Fold(&'static str),
    /// The evidence contradicts the round.
    #[error("the evidence: {0}")]
    Evidence(&'static str),
    /// The attestation is none, or of something else.
    #[error("the attestation: {0}")]
    Attestation(&'static str),
    /// The run is not over.
    #[error("the run {0} is not over")]
    NotEnded(Digest),
    /// The evidence cannot be settled.
    #[error("the evidence cannot be settled: {0}")]
    Settle(#[from] BadEvidence),
    /// The debts brought in are not those left before.
    #[error("the debts brought in are not those that the settlement before it left")]
    OtherDebts,
    /// The settlement does not follow.
    #[error("the settlement does not follow from the evidence, the terms and the debts{}",
        .0.map_or_else(String::new, |owner| format!(" (first for {})", Digest(owner.0))))]
    OtherSettlement(Option<PartyId>),
    /// No credits of the run.
    #[error("the credits of the run {0} are not settled")]
    NotSettled(Digest),

    /// A statement that no ledger takes: whoever signed it is at fault, too.
    #[error(transparent)]
    Statement(#[from] BadStatement),
    /// A statement that is not newer than the member's last of its kind.
    #[error("the statement has number {got}, the member's last of this kind has {last}")]
    Replayed {
        /// Its number.
        got: u64,
        /// The last one's.
        last: u64,
    },
    /// Too many open at once.
    #[error("{open} of the member's are open, the charter allows {max}")]
    Quota {
        /// So many.
        open: u32,
        /// Most.
        max: u32,
    },
    /// The owner has no account in the run.
    #[error("{} has no account in the credits of the run", Digest(.0.0))]
    NoAccount(PartyId),
    /// The window is over.
    #[error("the credits could be disputed until {end_ms} ms")]
    WindowOver {
        /// When it ended.
        end_ms: u64,
    },
    /// The remedy makes no difference, or cannot be.
    #[error("the remedy: {0}")]
    Remedy(&'static str),
    /// The same member disputes the same credit already.
    #[error("the member disputes this credit already")]
    DisputedAlready,
    /// No such dispute or proposal, or it is decided.
    #[error("no open dispute or proposal is {0}")]
    NotOpen(Digest),
    /// Not a reviewer.
    #[error("{} does not review", Digest(.0.0))]
    NotReviewer(PartyId),
    /// A party to what is judged.
    #[error("{} would judge its own", Digest(.0.0))]
    OwnCause(PartyId),
    /// A second vote.
    #[error("{} has voted already", Digest(.0.0))]
    VotedTwice(PartyId),
    /// After the deadline.
    #[error("votes were due by {end_ms} ms")]
    VoteOver {
        /// When.
        end_ms: u64,
    },
    /// Decided otherwise than the votes say.
    #[error("decided as {got:?}, the votes make it {expected:?}")]
    OtherVerdict {
        /// What the entry says.
        got: Verdict,
        /// What follows from the votes; none where it cannot be decided yet.
        expected: Option<Verdict>,
    },
    /// The votes, the difference or the end of the window are not those that follow.
    #[error("the {0} of the decision are not those that follow from the ledger")]
    OtherDecision(&'static str),
    /// A change that cannot be.
    #[error("what is proposed cannot be: {0}")]
    Change(&'static str),
    /// A charter that nobody can live by.
    #[error(transparent)]
    Charter(#[from] BadCharter),
    /// The owner reported the round already, or was not asked.
    #[error("the report: {0}")]
    Compute(&'static str),

    /// Payouts out of order.
    #[error("payout {got} where payout {expected} is next")]
    PayoutOrder {
        /// What it should be.
        expected: u32,
        /// What it is.
        got: u32,
    },
    /// A run that cannot be paid yet.
    #[error("the run {run} cannot be paid: {why}")]
    NotPayable {
        /// Which.
        run: Digest,
        /// Why.
        why: crate::payout::NotPayable,
    },
    /// Something is paid that must be held back.
    #[error("the credit of {} in the run {} must be held back: {:?}",
        Digest(.0.owner.0), .0.run, .0.why)]
    MustHoldBack(HeldBack),
    /// Something is held back that must not be.
    #[error("the credit of {} in the run {} is held back without a reason",
        Digest(.0.owner.0), .0.run)]
    HeldBack(HeldBack),
    /// Paid to an address that no member set.
    #[error("no member set the address {0}")]
    UnsignedAddress(Address),
    /// An address would have less than before.
    #[error("the address {address} had {had} and would have {got}")]
    Shrinks {
        /// Which.
        address: Address,
        /// What an earlier payout gave it.
        had: u128,
        /// What this one says.
        got: u128,
    },
    /// Another amount than follows.
    #[error("the address {address} should have {expected} and would have {got}")]
    OtherAmount {
        /// Which.
        address: Address,
        /// What follows from the ledger.
        expected: u128,
        /// What the payout says.
        got: u128,
    },
    /// Another payout than follows, beside its amounts.
    #[error("the {0} of the payout is not what follows from the ledger")]
    OtherPayout(&'static str),
    /// Nothing to pay, or too much.
    #[error(transparent)]
    Payout(#[from] crate::payout::NoPayout),
}
