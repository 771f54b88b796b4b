//! Collect: clients train and contribute. Ends when every admitted client has contributed or
//! declined, when the minimum cannot be reached any more, or at its deadline, which is extended once
//! for too few contributions if the terms say so.
//!
//! # Decision
//! A receipt promises that the contribution is counted or named with a reason. It is an effect
//! behind the contribution's record, so it cannot leave before that is durable.

use crate::message::{AbandonReason, Decline, Phase, Receipt, Refusal, SignedHeader, ToClient};
use crate::party::PartyId;
use crate::record::RoundRecord;
use crate::signing::Statement;
use crate::time::Time;

use super::{Round, Stage, Standing};

impl Round {
    /// A contribution is in: its bulk bytes are checked against `header` and durable. The same
    /// header again is answered by the same receipt.
    ///
    /// # Errors
    /// [`Refusal`], to be told to the client; the bytes may be deleted.
    pub fn handle_contribution(
        &mut self,
        now: Time,
        from: PartyId,
        header: SignedHeader,
    ) -> Result<(), Refusal> {
        self.handle_timeout(now);
        self.may_contribute(&from, &header)?;
        if self.is_known(&from, &header) {
            let receipt = self.sign_receipt(&header.header.digest());
            self.tell_client(from, ToClient::Receipt(receipt));
            return Ok(());
        }
        let receipt = self.sign_receipt(&header.header.digest());
        self.commit(RoundRecord::Contributed { header: Box::new(header), at: now });
        self.tell_client(from, ToClient::Receipt(receipt));
        self.conclude_collect(now);
        Ok(())
    }

    /// Whether the bulk bytes behind `header` should be accepted from `from`: a cheap check
    /// before any of them are. Ask [`Self::known_answer`] first.
    ///
    /// # Errors
    /// [`Refusal`], to be told to the client.
    pub fn may_contribute(&self, from: &PartyId, header: &SignedHeader) -> Result<(), Refusal> {
        if header.header.round_ctx != self.context {
            return Err(Refusal::UnknownRound);
        }
        let standing = self.clients.get(from).ok_or(Refusal::NotAdmitted)?;
        if header.header.client != *from {
            return Err(Refusal::Malformed("the header names another client".into()));
        }
        if header.header.shape() != Some(self.terms.config.shape) {
            let why = "the header has not one hash per component and holder";
            return Err(Refusal::Malformed(why.into()));
        }
        header.verify().map_err(|_| Refusal::BadSignature)?;
        if matches!(self.stage, Stage::Ended(_)) {
            return Err(Refusal::UnknownRound);
        }
        match standing {
            Standing::Contributed { digest, .. } if *digest == header.header.digest() => Ok(()),
            Standing::Contributed { .. } | Standing::Declined(_) => Err(Refusal::Conflict),
            Standing::Waiting if self.phase() == Phase::Collect => Ok(()),
            Standing::Waiting => Err(Refusal::WrongPhase),
        }
    }

    /// What to answer to an upload of `header` without taking its bytes: the receipt when it is
    /// stored already, the end when the round is over.
    #[must_use]
    pub fn known_answer(&self, from: &PartyId, header: &SignedHeader) -> Option<ToClient> {
        if header.header.round_ctx != self.context || !self.clients.contains_key(from) {
            return None;
        }
        if let Stage::Ended(outcome) = &self.stage {
            let (round_ctx, outcome) = (self.context, outcome.for_client(from));
            return Some(ToClient::Ended { round_ctx, outcome });
        }
        let digest = header.header.digest();
        let receipt = self.receipt(from)?;
        (receipt.header == digest).then_some(ToClient::Receipt(receipt))
    }

    /// The receipt of a client whose contribution is durably recorded.
    #[must_use]
    pub fn receipt(&self, client: &PartyId) -> Option<Receipt> {
        match self.clients.get(client)? {
            Standing::Contributed { digest, sequence, .. } if self.outbox.is_durable(*sequence) => {
                Some(self.sign_receipt(digest))
            }
            _ => None,
        }
    }

    fn sign_receipt(&self, header: &crate::hash::Digest) -> Receipt {
        let signature = self.identity.sign(Statement::Receipt, &self.context, &header.0);
        Receipt { round_ctx: self.context, header: *header, signature }
    }

    fn is_known(&self, from: &PartyId, header: &SignedHeader) -> bool {
        matches!(
            self.clients.get(from),
            Some(Standing::Contributed { digest, .. }) if *digest == header.header.digest()
        )
    }

    pub(super) fn handle_decline(
        &mut self,
        now: Time,
        from: PartyId,
        reason: Decline,
    ) -> Result<(), Refusal> {
        match self.clients.get(&from) {
            Some(Standing::Declined(_)) => return Ok(()),
            // Of its proof, and too late to matter.
            Some(Standing::Contributed { .. }) if self.audited.has_rows() => return Ok(()),
            Some(Standing::Contributed { .. }) => return Err(Refusal::Conflict),
            _ if self.phase() != Phase::Collect => return Err(Refusal::WrongPhase),
            _ => {}
        }
        self.commit(RoundRecord::Declined { client: from, reason });
        self.conclude_collect(now);
        Ok(())
    }

    /// Offers the round to all clients that have not answered.
    pub(super) fn ask_collect(&mut self) {
        let waiting = |(&client, standing): (&PartyId, &Standing)| {
            (*standing == Standing::Waiting).then_some(client)
        };
        let waiting: Vec<_> = self.clients.iter().filter_map(waiting).collect();
        for client in waiting {
            let config = Box::new(self.terms.config.clone());
            let countersignatures = self.countersignatures.clone();
            self.tell_client(client, ToClient::Open { config, countersignatures });
        }
    }

    fn conclude_collect(&mut self, now: Time) {
        let possible = self.contributed + self.waiting;
        let reachable = possible >= self.terms.config.contributions_min as usize;
        if self.waiting == 0 || !reachable {
            self.close_collect(now);
        }
    }

    /// Its time is over.
    pub(super) fn expire_collect(&mut self, now: Time) {
        let is_short = self.contributed < self.terms.config.contributions_min as usize;
        if is_short && !self.is_extended && self.terms.timings.collect_again_ms > 0 {
            self.commit(RoundRecord::Extended { at: now });
            self.ask(now);
            return;
        }
        self.close_collect(now);
    }

    pub(super) fn close_collect(&mut self, now: Time) {
        let got = self.contributed as u32;
        let needed = self.terms.config.contributions_min;
        if got < needed {
            self.abandon(now, AbandonReason::TooFewContributions { got, needed });
            return;
        }
        self.commit(RoundRecord::Checking { at: now });
        self.ask(now);
    }
}
