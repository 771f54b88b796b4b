//! Disputes, proposals, votes.

use std::collections::BTreeSet;

use covey_aggregation::hash::Digest;
use covey_aggregation::party::PartyId;

use super::members::At;
use super::records::{CreditsRecord, DisputeRecord, ProposalRecord, State, Status};
use super::{Book, Refused};
use crate::document::Documents;
use crate::entry::{Difference, ProposalDecided, Resolution, Verdict};
use crate::review::{Ballot, Poll, Settled, differences};
use crate::statement::{BadStatement, Change, Reviewers, Says, Signed};

/// How it is decided, by which votes, and what changes.
pub(super) type Decision = (Verdict, Vec<Digest>, Vec<Difference>);

impl Book {
    pub(super) fn dispute_opened(
        &mut self,
        (index, time_ms): At,
        signed: &Signed,
    ) -> Result<(), Refused> {
        let Says::Dispute(dispute) = &signed.statement.says else {
            return Err(BadStatement::Kind.into());
        };
        self.check_signed(signed, &[Status::Active, Status::Suspended, Status::Left])?;
        let by = signed.statement.member;
        let at = self.run_index(&dispute.run)?;
        let credits = self.runs[at].credits.as_ref().ok_or(Refused::NotSettled(dispute.run))?;
        if time_ms > credits.window_end_ms {
            return Err(Refused::WindowOver { end_ms: credits.window_end_ms });
        }
        if credits.settlement.of(&dispute.owner).is_none() {
            return Err(Refused::NoAccount(dispute.owner));
        }
        let own = self.disputes.values().filter(|one| one.by == by && one.state == State::Open);
        let own: Vec<_> = own.collect();
        let is_same = |one: &&DisputeRecord| {
            one.dispute.run == dispute.run && one.dispute.owner == dispute.owner
        };
        if own.iter().any(is_same) {
            return Err(Refused::DisputedAlready);
        }
        check_quota(own.len(), self.charter().disputes_open_max)?;
        let differences = differences(credits.settled(), &dispute.owner, &dispute.remedy)
            .map_err(Refused::Remedy)?;
        let touched = differences.iter().map(|one| one.owner);
        let poll = self.poll(time_ms, touched.chain([by, dispute.owner]).collect());
        let record = DisputeRecord {
            id: signed.id(),
            by,
            entry: index,
            opened_ms: time_ms,
            dispute: dispute.clone(),
            differences,
            poll,
            state: State::Open,
        };
        self.remember(signed);
        if let Some(credits) = &mut self.runs[at].credits {
            credits.disputes.push(record.id);
        }
        self.disputes.insert(record.id, record);
        Ok(())
    }

    pub(super) fn dispute_withdrawn(
        &mut self,
        (index, _): At,
        signed: &Signed,
    ) -> Result<(), Refused> {
        let Says::Withdraw(withdraw) = &signed.statement.says else {
            return Err(BadStatement::Kind.into());
        };
        self.check_signed(signed, &[Status::Active, Status::Suspended, Status::Left])?;
        let id = withdraw.dispute;
        let dispute = self.disputes.get(&id).filter(|one| one.state == State::Open);
        let dispute = dispute.ok_or(Refused::NotOpen(id))?;
        if dispute.by != signed.statement.member {
            let what = "who opened this dispute";
            return Err(Refused::MayNot { member: signed.statement.member, what });
        }
        self.remember(signed);
        if let Some(dispute) = self.disputes.get_mut(&id) {
            dispute.state = State::Withdrawn(index);
        }
        Ok(())
    }

    pub(super) fn proposal_opened(
        &mut self,
        (index, time_ms): At,
        signed: &Signed,
    ) -> Result<(), Refused> {
        let Says::Proposal(proposal) = &signed.statement.says else {
            return Err(BadStatement::Kind.into());
        };
        self.check_signed(signed, &[Status::Active])?;
        let by = signed.statement.member;
        let own = self.proposals.values().filter(|one| one.by == by && one.state == State::Open);
        check_quota(own.count(), self.charter().proposals_open_max)?;
        self.check_change(&proposal.change)?;
        let poll = self.poll(time_ms, self.parties_to(&proposal.change));
        let record = ProposalRecord {
            id: signed.id(),
            by,
            entry: index,
            opened_ms: time_ms,
            proposal: proposal.clone(),
            poll,
            state: State::Open,
        };
        self.remember(signed);
        self.proposals.insert(record.id, record);
        Ok(())
    }

    fn poll(&self, opened_ms: u64, parties: BTreeSet<PartyId>) -> Poll {
        let charter = self.charter();
        let deadline_ms = opened_ms.saturating_add(charter.vote_window_ms);
        Poll { quorum: charter.quorum, deadline_ms, parties, ballots: Vec::new() }
    }

    /// Whether a change can be made now.
    fn check_change(&self, change: &Change) -> Result<(), Refused> {
        match change {
            Change::Budget(budget) => {
                let run = &self.runs[self.run_index(&budget.run)?];
                match run.terms {
                    Some(_) => Ok(()),
                    None => Err(Refused::Change("the run gives no credit")),
                }
            }
            Change::Charter(charter) => Ok(charter.check(self.reviewers.len())?),
            Change::Reviewers(change) => {
                Ok(self.charter().check(self.reviewers_after(change)?.len())?)
            }
        }
    }

    fn reviewers_after(&self, change: &Reviewers) -> Result<BTreeSet<PartyId>, Refused> {
        if change.add.is_empty() && change.remove.is_empty() {
            return Err(Refused::Change("nobody begins or ceases to review"));
        }
        let mut after = self.reviewers.clone();
        for one in &change.remove {
            if !after.remove(one) {
                return Err(Refused::NotReviewer(*one));
            }
        }
        for one in &change.add {
            let is_active = |member: &super::MemberRecord| member.status == Status::Active;
            self.member_who(one, "an active member", is_active)?;
            if !after.insert(*one) {
                return Err(Refused::Change("somebody reviews already"));
            }
        }
        Ok(after)
    }

    fn parties_to(&self, change: &Change) -> BTreeSet<PartyId> {
        match change {
            Change::Budget(budget) => {
                let run = self.run(&budget.run);
                run.map(|run| run.plan.launched_by).into_iter().collect()
            }
            Change::Charter(_) => BTreeSet::new(),
            Change::Reviewers(change) => change.add.iter().chain(&change.remove).copied().collect(),
        }
    }

    pub(super) fn vote_cast(&mut self, at: At, signed: &Signed) -> Result<(), Refused> {
        let Says::Vote(vote) = signed.statement.says else {
            return Err(BadStatement::Kind.into());
        };
        self.check_signed(signed, &[Status::Active])?;
        let (reviewer, id) = (signed.statement.member, signed.id());
        if !self.reviewers.contains(&reviewer) {
            return Err(Refused::NotReviewer(reviewer));
        }
        let (entry, time_ms) = at;
        let poll = self.open_poll(&vote.on).ok_or(Refused::NotOpen(vote.on))?;
        if poll.parties.contains(&reviewer) {
            return Err(Refused::OwnCause(reviewer));
        }
        if poll.ballots.iter().any(|ballot| ballot.reviewer == reviewer) {
            return Err(Refused::VotedTwice(reviewer));
        }
        if time_ms > poll.deadline_ms {
            return Err(Refused::VoteOver { end_ms: poll.deadline_ms });
        }
        poll.ballots.push(Ballot { reviewer, id, choice: vote.choice, entry });
        self.remember(signed);
        Ok(())
    }

    fn open_poll(&mut self, on: &Digest) -> Option<&mut Poll> {
        let dispute = self.disputes.get_mut(on).filter(|one| one.state == State::Open);
        let proposal = self.proposals.get_mut(on).filter(|one| one.state == State::Open);
        dispute.map(|one| &mut one.poll).or_else(|| proposal.map(|one| &mut one.poll))
    }

    pub(super) fn resolved(
        &mut self,
        (index, time_ms): At,
        body: &Resolution,
        documents: &dyn Documents,
    ) -> Result<(), Refused> {
        let differences = body.differences.get(documents)?;
        let expected = self.resolution(&body.dispute, time_ms)?;
        let verdict = expected.as_ref().map(|(verdict, ..)| *verdict);
        let (got, other) = (body.verdict, Refused::OtherDecision);
        let Some((_, votes, follow)) = expected.filter(|(verdict, ..)| *verdict == got) else {
            return Err(Refused::OtherVerdict { got, expected: verdict });
        };
        if body.votes != votes {
            return Err(other("votes"));
        }
        if differences != follow {
            return Err(other("differences"));
        }
        let dispute = self.disputes.get(&body.dispute).ok_or(Refused::NotOpen(body.dispute))?;
        let run = dispute.dispute.run;
        let at = self.run_index(&run)?;
        let credits = self.runs[at].credits.as_mut().ok_or(Refused::NotSettled(run))?;
        if body.window_end_ms != credits.window_end_ms {
            return Err(other("window"));
        }
        credits.add(&differences);
        if let Some(dispute) = self.disputes.get_mut(&body.dispute) {
            dispute.state = State::Decided(got, index);
        }
        Ok(())
    }

    /// How an open dispute is decided at a time, with the votes and what changes; `None` while it is
    /// not. What an earlier resolution of the same run has changed already is taken into account: the
    /// remedy says what shall be paid, not what is added.
    pub(super) fn resolution(&self, id: &Digest, now_ms: u64) -> Result<Option<Decision>, Refused> {
        let dispute = self.disputes.get(id).filter(|one| one.state == State::Open);
        let dispute = dispute.ok_or(Refused::NotOpen(*id))?;
        let Some((verdict, votes)) = dispute.poll.verdict(now_ms) else { return Ok(None) };
        let mut follow = Vec::new();
        if verdict == Verdict::Upheld {
            let credits = self.run(&dispute.dispute.run).and_then(|run| run.credits.as_ref());
            for one in &dispute.differences {
                let done = credits.map_or(0, |credits| credits.difference_micro(&one.owner));
                let micro = one.micro - done;
                follow.extend((micro != 0).then_some(Difference { owner: one.owner, micro }));
            }
        }
        Ok(Some((verdict, votes, follow)))
    }

    pub(super) fn decided(
        &mut self,
        (index, time_ms): At,
        body: &ProposalDecided,
    ) -> Result<(), Refused> {
        let expected = self.decision(&body.proposal, time_ms)?;
        let verdict = expected.as_ref().map(|(verdict, _)| *verdict);
        let got = body.verdict;
        let Some((_, votes)) = expected.filter(|(verdict, _)| *verdict == got) else {
            return Err(Refused::OtherVerdict { got, expected: verdict });
        };
        if body.votes != votes {
            return Err(Refused::OtherDecision("votes"));
        }
        if let Some(proposal) = self.proposals.get_mut(&body.proposal) {
            proposal.state = State::Decided(got, index);
            if got == Verdict::Upheld {
                let change = proposal.proposal.change.clone();
                self.change(index, change)?;
            }
        }
        Ok(())
    }

    /// How an open proposal is decided at a time, and by which votes. One that was approved and can no
    /// longer be has lapsed.
    pub(super) fn decision(
        &self,
        id: &Digest,
        now_ms: u64,
    ) -> Result<Option<(Verdict, Vec<Digest>)>, Refused> {
        let proposal = self.proposals.get(id).filter(|one| one.state == State::Open);
        let proposal = proposal.ok_or(Refused::NotOpen(*id))?;
        let verdict = proposal.poll.verdict(now_ms);
        let can_be = self.check_change(&proposal.proposal.change).is_ok();
        Ok(verdict.map(|(verdict, votes)| match verdict {
            Verdict::Upheld if !can_be => (Verdict::Lapsed, votes),
            _ => (verdict, votes),
        }))
    }

    /// Makes a change that was checked.
    fn change(&mut self, index: u64, change: Change) -> Result<(), Refused> {
        match change {
            Change::Budget(budget) => {
                let at = self.run_index(&budget.run)?;
                let run = &mut self.runs[at];
                run.budget = Some((budget.pool_micro, index));
                let free = self.charters[run.charter].1.budget_free_micro;
                if let Some(credits) = &mut run.credits {
                    let pool = credits.settlement.pool_micro;
                    credits.needs_approval = pool > budget.pool_micro.max(free);
                }
            }
            Change::Charter(charter) => self.charters.push((index, charter)),
            Change::Reviewers(change) => self.reviewers = self.reviewers_after(&change)?,
        }
        Ok(())
    }
}

fn check_quota(open: usize, max: u32) -> Result<(), Refused> {
    let open = open as u32;
    if open >= max { Err(Refused::Quota { open, max }) } else { Ok(()) }
}

impl CreditsRecord {
    /// What they were settled from.
    #[must_use]
    pub fn settled(&self) -> Settled<'_> {
        let Self { terms, rounds, carried, settlement, .. } = self;
        Settled { terms, rounds, carried, settlement }
    }

    fn add(&mut self, differences: &[Difference]) {
        for one in differences {
            match self.differences.binary_search_by_key(&one.owner, |other| other.owner) {
                Ok(at) => self.differences[at].micro += one.micro,
                Err(at) => self.differences.insert(at, *one),
            }
        }
        self.differences.retain(|one| one.micro != 0);
    }
}
