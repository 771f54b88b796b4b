//! Rounds.

use covey_aggregation::hash::Digest;
use covey_aggregation::party::Role;
use covey_aggregation::signing::Statement;

use super::members::At;
use super::records::{Given, RoundRecord, Status};
use super::{Book, Refused};
use crate::document::Documents;
use crate::entry::{FoldOpened, Missing, MissingCode, Participation, RoundClosed, RoundOutcome};
use crate::statement::{BadStatement, Says, Signed};

impl Book {
    pub(super) fn round_closed(
        &mut self,
        (index, time_ms): At,
        body: &RoundClosed,
        documents: &dyn Documents,
    ) -> Result<(), Refused> {
        let at = self.run_index(&body.run)?;
        let (last, model) = self.runs[at].last();
        let (expected, got) = (last + 1, body.round);
        if got != expected {
            return Err(Refused::RoundOrder { expected, got });
        }
        if model.is_some_and(|model| model != body.model_before) {
            return Err(Refused::ModelChain(got));
        }
        let owners = body.owners.get(documents)?;
        check_owners(body, &owners)?;
        let is_owner = |member: &super::MemberRecord| member.role == Role::DataOwner;
        for one in &owners {
            self.member_who(&one.owner, "a data owner", is_owner)?;
        }
        if let Some(published) = &body.published {
            let signed = (&body.round_ctx, &published.set);
            self.check_votes("set", Statement::Vote, signed, &published.votes)?;
        }
        let record = RoundRecord {
            closed: body.clone(),
            entry: index,
            closed_ms: time_ms,
            owners,
            fold: None,
            evidence: None,
            compute: Vec::new(),
        };
        self.runs[at].rounds.insert(got, record);
        Ok(())
    }

    /// A round whose sum was opened.
    pub(super) fn opened_round(
        &self,
        run: &Digest,
        round: u32,
    ) -> Result<(usize, &RoundRecord), Refused> {
        let at = self.run_index(run)?;
        let record = self.runs[at].rounds.get(&round);
        let record = record.filter(|record| record.closed.published.is_some());
        Ok((at, record.ok_or(Refused::NoRound(round))?))
    }

    pub(super) fn fold_opened(
        &mut self,
        (index, _): At,
        body: &FoldOpened,
        documents: &dyn Documents,
    ) -> Result<(), Refused> {
        let (at, _) = self.opened_round(&body.run, body.round)?;
        let examples = body.examples.get(documents)?;
        if !examples.is_sorted_by(|one, next| one < next) {
            return Err(Refused::Order("examples of a fold"));
        }
        let opened = self.pools.get(&body.pool);
        let before = opened.map_or(0, std::collections::BTreeSet::len);
        if body.retired as usize != before {
            return Err(Refused::Fold("not so many examples were opened before"));
        }
        let again = |example: &&u32| opened.is_some_and(|opened| opened.contains(*example));
        if let Some(example) = examples.iter().find(again) {
            return Err(Refused::FoldAgain(*example));
        }
        self.pools.entry(body.pool).or_default().extend(&examples);
        if let Some(round) = self.runs[at].rounds.get_mut(&body.round) {
            round.fold = Some((index, examples));
        }
        Ok(())
    }

    pub(super) fn compute_reported(
        &mut self,
        (index, _): At,
        signed: &Signed,
    ) -> Result<(), Refused> {
        let Says::Compute(compute) = signed.statement.says else {
            return Err(BadStatement::Kind.into());
        };
        self.check_signed(signed, &[Status::Active, Status::Suspended, Status::Left])?;
        let member = signed.statement.member;
        let at = self.run_index(&compute.run)?;
        let round = self.runs[at].rounds.get(&compute.round);
        let round = round.ok_or(Refused::NoRound(compute.round))?;
        if round.owners.binary_search_by_key(&member, |one| one.owner).is_err() {
            return Err(Refused::Compute("the owner was not asked in this round"));
        }
        let place = round.compute.binary_search_by_key(&member, |given| given.member);
        let Err(place) = place else {
            return Err(Refused::Compute("the owner has reported this round"));
        };
        self.remember(signed);
        if let Some(round) = self.runs[at].rounds.get_mut(&compute.round) {
            round.compute.insert(place, Given { member, entry: index, what: compute });
        }
        Ok(())
    }
}

/// Whether the contribution of an owner arrived, though it may be missing from the sum. One that is
/// missing because the round was abandoned had contributed.
#[must_use]
pub(crate) const fn has_joined(missing: Option<&Missing>) -> bool {
    match missing {
        None => true,
        Some(missing) => !matches!(missing.code, MissingCode::NoAnswer | MissingCode::Declined),
    }
}

fn check_owners(body: &RoundClosed, owners: &[Participation]) -> Result<(), Refused> {
    let wrong = |what| Err(Refused::Round { round: body.round, what });
    if !owners.is_sorted_by(|one, next| one.owner < next.owner) {
        return Err(Refused::Order("owners of a round"));
    }
    let counted = owners.iter().filter(|one| one.missing.is_none()).count();
    let joined = owners.iter().filter(|one| has_joined(one.missing.as_ref())).count();
    let counts = [(body.invited, owners.len()), (body.joined, joined), (body.counted, counted)];
    if counts.iter().any(|(said, listed)| *said as usize != *listed) {
        return wrong("its counts are not those of its list of owners");
    }
    let is_opened = body.published.is_some();
    let is_sound = match body.outcome {
        RoundOutcome::Done => is_opened && counted == owners.len(),
        RoundOutcome::Degraded => is_opened && counted < owners.len(),
        RoundOutcome::Abandoned => !is_opened && counted == 0 && body.reason.is_some(),
    };
    if !is_sound {
        return wrong("its outcome is not that of its owners and its sum");
    }
    if !is_opened && body.model_before != body.model_after {
        return wrong("nothing was opened, and the model changed");
    }
    Ok(())
}
