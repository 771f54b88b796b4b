//! What a book keeps of entries.

use std::collections::{BTreeMap, BTreeSet};

use covey_aggregation::credit::{CreditTerms, Debt, RoundEvidence, Settlement};
use covey_aggregation::hash::Digest;
use covey_aggregation::party::{Name, PartyId, Role};
use covey_aggregation::plan::{Plan, RoundCost, Unit};
use covey_privacy::delta::Delta;
use covey_privacy::spent::Spent;
use serde::Serialize;

use crate::entry::{
    Body, Difference, Entry, Kind, Participation, PayoutMade, PlanAccepted, RoundClosed, RunEnded,
    Verdict,
};
use crate::form::hex;
use crate::payout::Address;
use crate::review::Poll;
use crate::statement::{Compute, Dispute, Proposal};

/// An entry, for lists and searches.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EntryRecord {
    /// From 0.
    pub index: u64,
    /// Its time.
    pub time_ms: u64,
    /// What it is about.
    pub kind: Kind,
    /// What names it.
    pub subject: String,
    /// The run that it belongs to.
    #[serde(with = "hex")]
    pub run: Option<Digest>,
    /// The round of that run.
    pub round: Option<u32>,
    /// The members that it names as its subject or author, ascending.
    #[serde(with = "hex::list")]
    pub members: Vec<PartyId>,
    /// Digests that it can be found by, beside that of the run.
    #[serde(with = "hex::list")]
    pub digests: Vec<Digest>,
}

/// A member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MemberRecord {
    /// Its key.
    #[serde(with = "hex")]
    pub id: PartyId,
    /// Its name.
    pub name: Name,
    /// What it may do.
    pub role: Role,
    /// Whether it still may.
    pub status: Status,
    /// Why it no longer may, in words.
    pub why: Option<String>,
    /// Entries about its membership, ascending.
    pub history: Vec<u64>,
    /// Where it is paid, with the entry that says so.
    pub address: Option<(Address, u64)>,
    /// Entries that set or took back an address, ascending.
    pub addresses: Vec<(u64, Option<Address>)>,
}

/// Whether somebody is a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// It is.
    Active,
    /// Not for now; it may dispute, and what it is owed is kept.
    Suspended,
    /// It left; it may still dispute and set an address.
    Left,
    /// Its key is no longer good.
    Revoked,
}

/// A run.
#[derive(Clone, Debug, Serialize)]
pub struct RunRecord {
    /// What was accepted.
    pub plan: PlanAccepted,
    /// The entry that says so.
    pub entry: u64,
    /// Its time.
    pub accepted_ms: u64,
    /// Rounds that are asked for now.
    pub rounds_asked: u32,
    /// What its credits are settled by now; none where it gives none.
    pub terms: Option<CreditTerms>,
    /// Every terms that evidence may have been made for, by digest.
    #[serde(skip)]
    pub terms_ever: BTreeSet<Digest>,
    /// The charter that was in force when the plan was accepted: its place among the book's.
    pub charter: usize,
    /// What each of its sums costs an owner, where the plan adds noise to them and its text is at hand.
    #[serde(skip)]
    pub privacy: Option<RunPrivacy>,
    /// Rounds that are over, by number.
    pub rounds: BTreeMap<u32, RoundRecord>,
    /// How it ended, with the entry that says so; none while it goes on.
    pub ended: Option<(RunEnded, u64)>,
    /// What its owners are credited.
    pub credits: Option<CreditsRecord>,
    /// The largest pool that reviewers approved, with the decision's entry.
    pub budget: Option<(u64, u64)>,
}

/// What sums with noise cost an owner.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RunPrivacy {
    /// The delta that the plan counts at.
    pub delta: Delta,
    /// What one round costs.
    pub round: RoundCost,
}

impl RunPrivacy {
    /// Of a plan for a model of so many parameters; none where sums carry no noise.
    pub(super) fn of(plan: &Plan, parameters: u64) -> Option<Self> {
        let privacy = plan.privacy.as_ref()?;
        // What a round costs one of an owner's examples hangs on how many it has.
        matches!(privacy.unit, Unit::Owner { .. }).then_some(())?;
        Some(Self { delta: privacy.delta, round: plan.round_cost(parameters, 1)? })
    }

    /// Epsilon of so many rounds together, rounded up: composed, which is less than their sum.
    #[must_use]
    pub fn epsilon(&self, rounds: u32) -> f64 {
        let mut spent = Spent::default();
        let count = self.round.count.saturating_mul(rounds.into());
        if count > 0 && spent.add(self.round.event, count).is_err() {
            return f64::INFINITY;
        }
        spent.epsilon(self.delta).least()
    }
}

/// A round.
#[derive(Clone, Debug, Serialize)]
pub struct RoundRecord {
    /// What was said when it was over.
    pub closed: RoundClosed,
    /// The entry that says so.
    pub entry: u64,
    /// Its time.
    pub closed_ms: u64,
    /// What became of every invited owner, ascending.
    pub owners: Vec<Participation>,
    /// The fold: its entry, and the examples that were opened.
    pub fold: Option<(u64, Vec<u32>)>,
    /// What it says about its owners, with the entry that says so.
    pub evidence: Option<(u64, RoundEvidence)>,
    /// What owners say that it took, ascending by key.
    pub compute: Vec<Given<Compute>>,
}

/// What a member said, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Given<T> {
    /// Who.
    #[serde(with = "hex")]
    pub member: PartyId,
    /// The entry.
    pub entry: u64,
    /// What.
    pub what: T,
}

/// A run's credits.
#[derive(Clone, Debug, Serialize)]
pub struct CreditsRecord {
    /// The run.
    #[serde(with = "hex")]
    pub run: Digest,
    /// Its place among the settlements, from 1: the epoch.
    pub epoch: u32,
    /// The entry.
    pub entry: u64,
    /// Its time.
    pub settled_ms: u64,
    /// Until then they may be disputed.
    pub window_end_ms: u64,
    /// What they are settled by.
    pub terms: CreditTerms,
    /// The evidence, ascending by round.
    pub rounds: Vec<RoundEvidence>,
    /// The debts brought in.
    pub carried: Vec<Debt>,
    /// What came of it.
    pub settlement: Settlement,
    /// What resolutions changed since, ascending by owner.
    pub differences: Vec<Difference>,
    /// The disputes about it, in the order of their entries.
    #[serde(with = "hex::list")]
    pub disputes: Vec<Digest>,
    /// Whether the run gives more than is free of a vote, and none approved it.
    pub needs_approval: bool,
}

impl CreditsRecord {
    /// What an owner is paid: by the settlement, and what resolutions changed.
    #[must_use]
    pub fn payment_micro(&self, owner: &PartyId) -> u64 {
        let settled = self.settlement.of(owner).map_or(0, |account| account.payment_micro);
        settled.saturating_add_signed(self.difference_micro(owner))
    }

    /// What resolutions changed for an owner.
    #[must_use]
    pub fn difference_micro(&self, owner: &PartyId) -> i64 {
        let at = self.differences.binary_search_by_key(owner, |one| one.owner);
        at.map_or(0, |at| self.differences[at].micro)
    }
}

/// Where a dispute or a proposal stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// It is voted on.
    Open,
    /// Its author withdrew it, by this entry.
    Withdrawn(u64),
    /// It was decided, by this entry.
    Decided(Verdict, u64),
}

/// A dispute.
#[derive(Clone, Debug, Serialize)]
pub struct DisputeRecord {
    /// What names it.
    #[serde(with = "hex")]
    pub id: Digest,
    /// Who opened it.
    #[serde(with = "hex")]
    pub by: PartyId,
    /// Its entry.
    pub entry: u64,
    /// Its time.
    pub opened_ms: u64,
    /// What is doubted, and what should be.
    pub dispute: Dispute,
    /// How payments change if it is upheld.
    pub differences: Vec<Difference>,
    /// The vote.
    pub poll: Poll,
    /// Where it stands.
    pub state: State,
}

/// A proposal.
#[derive(Clone, Debug, Serialize)]
pub struct ProposalRecord {
    /// What names it.
    #[serde(with = "hex")]
    pub id: Digest,
    /// Who made it.
    #[serde(with = "hex")]
    pub by: PartyId,
    /// Its entry.
    pub entry: u64,
    /// Its time.
    pub opened_ms: u64,
    /// What it is.
    pub proposal: Proposal,
    /// The vote.
    pub poll: Poll,
    /// Where it stands.
    pub state: State,
}

/// A payout.
#[derive(Clone, Debug, Serialize)]
pub struct PayoutRecord {
    /// Its entry.
    pub entry: u64,
    /// Its time.
    pub made_ms: u64,
    /// What it says.
    pub payout: PayoutMade,
    /// What each address has since, ascending; token units in decimal digits.
    pub amounts: Vec<(Address, String)>,
    /// What is held back.
    pub held_back: Vec<crate::entry::HeldBack>,
}

impl EntryRecord {
    pub(super) fn of(index: u64, entry: &Entry) -> Self {
        let (run, round) = place(&entry.body);
        let mut members = named(&entry.body);
        members.sort_unstable();
        members.dedup();
        Self {
            index,
            time_ms: entry.time_ms,
            kind: entry.body.kind(),
            subject: entry.body.subject(),
            run,
            round,
            members,
            digests: digests(&entry.body),
        }
    }
}

/// The run and round that an entry belongs to.
fn place(body: &Body) -> (Option<Digest>, Option<u32>) {
    match body {
        Body::PlanAccepted(body) => (Some(body.run), None),
        Body::RunExtended(body) => (Some(body.run), None),
        Body::RoundClosed(body) => (Some(body.run), Some(body.round)),
        Body::FoldOpened(body) => (Some(body.run), Some(body.round)),
        Body::EvidenceGiven(body) => (Some(body.run), Some(body.round)),
        Body::RunEnded(body) => (Some(body.run), None),
        Body::CreditsSettled(body) => (Some(body.run), None),
        Body::ComputeReported(body) => body.signed.statement.says.place(),
        Body::DisputeOpened(body) => body.signed.statement.says.place(),
        Body::ProposalOpened(body) => body.signed.statement.says.place(),
        _ => (None, None),
    }
}

/// The members that an entry names as its subject or author.
fn named(body: &Body) -> Vec<PartyId> {
    match body {
        Body::Founding(body) => {
            let seats = std::iter::once(&body.coordinator).chain(&body.holders);
            let others = body.members.iter().map(|member| member.id);
            seats.map(|seat| seat.id).chain(others).collect()
        }
        Body::MemberJoined(body) => vec![body.id],
        Body::MemberLeft(body) => vec![body.id],
        Body::PlanAccepted(body) => vec![body.launched_by],
        Body::RunExtended(body) => vec![body.by],
        Body::ComputeReported(body) => body.signed.named(),
        Body::DisputeOpened(body) => body.signed.named(),
        Body::DisputeWithdrawn(body) => body.signed.named(),
        Body::VoteCast(body) => body.signed.named(),
        Body::ProposalOpened(body) => body.signed.named(),
        Body::AddressSet(body) => body.signed.named(),
        _ => Vec::new(),
    }
}

/// What an entry can be found by.
fn digests(body: &Body) -> Vec<Digest> {
    match body {
        Body::Founding(body) => vec![body.roster, body.roster_document.sha256],
        Body::MemberJoined(body) => vec![body.roster.digest],
        Body::MemberLeft(body) => vec![body.roster.digest],
        Body::PlanAccepted(body) => vec![body.plan, body.document.sha256],
        Body::RoundClosed(body) => {
            let models = [body.round_ctx, body.model_before, body.model_after];
            let published = body.published.iter();
            let published =
                published.flat_map(|one| [one.document.sha256, one.blake3, one.aggregate, one.set]);
            models.into_iter().chain(published).collect()
        }
        Body::FoldOpened(body) => vec![body.pool],
        Body::RunEnded(body) => vec![body.model],
        Body::DisputeOpened(body) => vec![body.signed.id()],
        Body::DisputeWithdrawn(body) => vec![body.signed.id()],
        Body::VoteCast(body) => vec![body.signed.id()],
        Body::ProposalOpened(body) => vec![body.signed.id()],
        Body::Resolution(body) => vec![body.dispute],
        Body::ProposalDecided(body) => vec![body.proposal],
        Body::PayoutMade(body) => vec![body.root, body.file.sha256],
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAN: &str = r#"schema = "plan/1"
name = "digits"
purpose = "Learn to read digits"
seed = 42
data = { kind = "image", height = 8, width = 8, classes = 10 }
model = { layers = [{ kind = "flatten" }, { kind = "linear", out = 10 }] }
[training]
rounds = 16
batch_size = 32
optimizer = { name = "sgd", lr = 0.05 }
weighting = "uniform"
[cohort]
minimum = 10
maximum = 20
[secure_aggregation]
profile = "B"
bits = 16
range = 16
clip_norm = 1.0
audit = "closed"
"#;

    #[test]
    fn rounds_with_noise_cost_together_what_the_plan_says_and_less_than_one_by_one() {
        let plan = |more: &str| Plan::parse(&format!("{PLAN}{more}")).expect("a plan");
        let owners = plan("[privacy]\nunit = \"owner\"\nnoise_multiplier = 2.0\ndelta = 1e-6\n");
        let privacy = RunPrivacy::of(&owners, 650).expect("noise");
        for rounds in [0, 1, 16] {
            assert_eq!(Some(privacy.epsilon(rounds)), owners.epsilon(650, rounds));
        }
        assert!(privacy.epsilon(16) < 8.0 * privacy.epsilon(1));
        assert_eq!(RunPrivacy::of(&plan(""), 650), None);
        let records = plan(
            "[privacy]\nunit = \"record\"\nclip_norm = 1.0\nnoise_multiplier = 2.0\ndelta = 1e-6\n",
        );
        assert_eq!(RunPrivacy::of(&records, 650), None);
    }
}
