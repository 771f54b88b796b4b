//! Evidence and credits.

use covey_aggregation::credit::pool::retired_digest;
use covey_aggregation::credit::{Attestation, RoundEvidence, Settlement, evidence_digest, settle};
use covey_aggregation::limits::FRAME_BYTES_MAX;
use covey_aggregation::party::PartyId;
use covey_aggregation::signing::Statement;
use covey_aggregation::wire;

use super::members::At;
use super::records::{CreditsRecord, RoundRecord};
use super::{Book, Refused};
use crate::document::Documents;
use crate::entry::{CreditsSettled, EvidenceGiven};

impl Book {
    pub(super) fn evidence_given(
        &mut self,
        (index, _): At,
        body: &EvidenceGiven,
        documents: &dyn Documents,
    ) -> Result<(), Refused> {
        let (at, round) = self.opened_round(&body.run, body.round)?;
        if !self.runs[at].terms_ever.contains(&body.terms) {
            return Err(Refused::OtherTerms);
        }
        let evidence = body.evidence.get(documents)?;
        check_evidence(round, &evidence)?;
        let bytes = body.attestation.get(documents)?.0;
        let attestation: Attestation = wire::decode(&bytes, FRAME_BYTES_MAX as usize)
            .map_err(|_| Refused::Attestation("not one"))?;
        let is_of_it = attestation.run == body.run
            && attestation.round == body.round
            && attestation.evidence == evidence_digest(&evidence);
        if !is_of_it {
            return Err(Refused::Attestation("of other evidence"));
        }
        self.check_pool(&attestation, round)?;
        let signed = (&round.closed.round_ctx, &attestation.digest());
        self.check_votes("evidence", Statement::Evidence, signed, &body.votes)?;
        if let Some(round) = self.runs[at].rounds.get_mut(&body.round) {
            round.evidence = Some((index, evidence));
        }
        Ok(())
    }

    /// What holders attest to have been opened of the pool is what the ledger says.
    fn check_pool(&self, attestation: &Attestation, round: &RoundRecord) -> Result<(), Refused> {
        let state = &attestation.state;
        let opened = self.pools.get(&state.pool).filter(|_| round.fold.is_some());
        let opened = opened.ok_or(Refused::Attestation("of a fold that is not in the ledger"))?;
        let opened: Vec<u32> = opened.iter().copied().collect();
        let is_it = retired_digest(&state.pool, &opened) == state.retired;
        is_it.then_some(()).ok_or(Refused::Attestation("other examples of the pool were opened"))
    }

    pub(super) fn credits_settled(
        &mut self,
        (index, time_ms): At,
        body: &CreditsSettled,
        documents: &dyn Documents,
    ) -> Result<(), Refused> {
        let at = self.run_index(&body.run)?;
        let run = &self.runs[at];
        if run.ended.is_none() {
            return Err(Refused::NotEnded(body.run));
        }
        if run.terms != Some(body.terms) {
            return Err(Refused::OtherTerms);
        }
        let carried = body.carried.get(documents)?;
        if carried != self.debts {
            return Err(Refused::OtherDebts);
        }
        let rounds = self.evidence_of(at);
        let settlement = settle(&body.terms, &rounds, &carried)?;
        let said = body.settlement.get(documents)?;
        if said != settlement {
            return Err(Refused::OtherSettlement(first_difference(&said, &settlement)));
        }
        let approved = run.budget.map_or(0, |(micro, _)| micro);
        let free = self.charters[run.charter].1.budget_free_micro;
        let epoch = self.settled.len() as u32 + 1;
        self.debts = settlement.debts();
        self.settled.push(at);
        let window = self.charter().dispute_window_ms;
        self.runs[at].credits = Some(CreditsRecord {
            run: body.run,
            epoch,
            entry: index,
            settled_ms: time_ms,
            window_end_ms: time_ms.saturating_add(window),
            terms: body.terms,
            rounds,
            carried,
            needs_approval: settlement.pool_micro > approved.max(free),
            settlement,
            differences: Vec::new(),
            disputes: Vec::new(),
        });
        Ok(())
    }

    /// The evidence of a run so far, ascending by round.
    fn evidence_of(&self, at: usize) -> Vec<RoundEvidence> {
        let rounds = self.runs[at].rounds.values();
        rounds.filter_map(|round| round.evidence.as_ref().map(|(_, one)| one.clone())).collect()
    }
}

fn check_evidence(round: &RoundRecord, evidence: &RoundEvidence) -> Result<(), Refused> {
    if evidence.round() != round.closed.round || *evidence.context() != round.closed.round_ctx {
        return Err(Refused::Evidence("of another round"));
    }
    let counted = round.owners.iter().filter(|one| one.missing.is_none()).map(|one| one.owner);
    let is_of_them = evidence.contributions().iter().map(|one| one.owner).eq(counted);
    is_of_them.then_some(()).ok_or(Refused::Evidence("not of exactly the owners in the sum"))
}

/// The first owner whose account differs.
fn first_difference(said: &Settlement, settled: &Settlement) -> Option<PartyId> {
    let mut said_only = said.accounts.iter().filter(|one| settled.of(&one.owner) != Some(one));
    let missing = settled.accounts.iter().find(|one| said.of(&one.owner).is_none());
    said_only.next().or(missing).map(|account| account.owner)
}
