//! The clients' proofs. Ends when every client of the set has proved or declined, or at its
//! deadline. Who has no proof is left out, and named.

use crate::audit::list::Proven;
use crate::message::{AbandonReason, Decline, Refusal, SignedHeader, ToClient};
use crate::party::PartyId;
use crate::record::RoundRecord;
use crate::time::Time;

use super::Round;

impl Round {
    /// Asks every client of the set that has not answered.
    pub(in crate::round) fn ask_proofs(&mut self) {
        let (Some(certificate), Some((rows, _))) = (&self.certificate, &self.audited.rows) else {
            return;
        };
        let (certificate, rows) = (certificate.clone(), rows.clone());
        let clients = self.set.iter().map(|signed| signed.header.client);
        let open: Vec<_> = clients.filter(|client| !self.audited.has_answered(client)).collect();
        for client in open {
            let (certificate, rows) = (certificate.clone(), rows.clone());
            let round_ctx = self.context;
            self.tell_client(client, ToClient::Prove { round_ctx, certificate, rows });
        }
    }

    /// Only a client of the set has anything to prove.
    fn is_in_set(&self, client: &PartyId) -> bool {
        let by_client = |signed: &SignedHeader| signed.header.client.cmp(client);
        self.set.binary_search_by(by_client).is_ok()
    }

    pub(in crate::round) fn handle_proven(
        &mut self,
        now: Time,
        from: PartyId,
        proven: Box<Proven>,
    ) -> Result<(), Refusal> {
        if proven.client != from {
            return Err(Refusal::Malformed("the proof of another client".into()));
        }
        if let Some((known, _)) = self.audited.proofs.get(&from) {
            return if *known == *proven { Ok(()) } else { Err(Refusal::Conflict) };
        }
        if !self.is_proving() {
            return Err(Refusal::WrongPhase);
        }
        if !self.is_in_set(&from) {
            return Err(Refusal::NotAdmitted);
        }
        if self.audited.unproven.contains_key(&from) {
            return Err(Refusal::Conflict);
        }
        let question = self.question().ok_or(Refusal::WrongPhase)?;
        proven.check(&question).map_err(|bad| Refusal::Malformed(bad.to_string()))?;
        self.commit(RoundRecord::Proven { proven });
        self.conclude_proofs(now);
        Ok(())
    }

    pub(in crate::round) fn handle_unproven(
        &mut self,
        now: Time,
        from: PartyId,
        reason: Decline,
    ) -> Result<(), Refusal> {
        if !self.is_in_set(&from) || self.audited.has_answered(&from) {
            return Ok(());
        }
        self.commit(RoundRecord::Unproven { client: from, reason });
        self.conclude_proofs(now);
        Ok(())
    }

    fn conclude_proofs(&mut self, now: Time) {
        let answered = self.audited.proofs.len() + self.audited.unproven.len();
        if answered == self.set.len() {
            self.close_proofs(now);
        }
    }

    pub(super) fn close_proofs(&mut self, now: Time) {
        let got = self.audited.proofs.len() as u32;
        let needed = self.terms.config.contributions_min;
        if got < needed {
            let unproven = self.unproven();
            self.dropped.extend(unproven);
            self.abandon(now, AbandonReason::TooFewContributions { got, needed });
            return;
        }
        self.commit(RoundRecord::Listing { at: now });
        self.ask(now);
    }
}
