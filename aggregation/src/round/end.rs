//! Done and Abandon: who was counted, who was not and why, who failed.

use crate::message::{AbandonReason, MissingReason, NoCredit, Outcome, Report, ToClient, ToHolder};
use crate::party::PartyId;
use crate::record::RoundRecord;
use crate::time::Time;

use super::{Opened, Round, RoundEffect, Stage, Standing};

impl Round {
    /// The operator ends the round. Whatever was not opened stays closed.
    pub fn stop(&mut self, now: Time) {
        if !matches!(self.stage, Stage::Ended(_)) {
            // What is open stays open: only nobody is credited for it.
            if matches!(self.stage, Stage::Credit(_)) {
                let why = AbandonReason::Stopped.to_string();
                self.end_without_credit(now, NoCredit::NotDirected(why));
            } else {
                self.abandon(now, AbandonReason::Stopped);
            }
        }
    }

    pub(super) fn abandon(&mut self, now: Time, reason: AbandonReason) {
        let report = self.report(now, Vec::new());
        self.end(now, Outcome::Abandoned { reason, report }, None);
    }

    pub(super) fn end(&mut self, now: Time, outcome: Outcome, opened: Option<Opened>) {
        self.commit(RoundRecord::Ended { outcome, opened, at: now });
        self.tell_everybody();
    }

    /// Everybody in the cohort but `counted` (ascending) is named with the reason.
    pub(super) fn report(&mut self, now: Time, counted: Vec<PartyId>) -> Report {
        self.note_absent(now);
        let missing = self
            .clients
            .iter()
            .filter(|(client, _)| counted.binary_search(client).is_err())
            .map(|(client, standing)| {
                let reason = self.dropped.get(client).copied();
                (*client, reason.unwrap_or_else(|| why_missing(standing)))
            })
            .collect();
        Report { counted, missing, faults: self.committee.faults(), no_credit: None }
    }

    /// The round's end, as an effect and as a message to everybody.
    pub(super) fn tell_everybody(&mut self) {
        let Stage::Ended(outcome) = &self.stage else { return };
        self.outbox.push(RoundEffect::Ended(outcome.clone()));
        let clients: Vec<_> = self.clients.keys().copied().collect();
        for client in clients {
            self.tell_end(client);
        }
        let holders: Vec<_> = self.committee.seats().map(|(_, id)| id).collect();
        for holder in holders {
            self.tell_end_to_holder(holder);
        }
    }

    /// Tells one client how it ended, if it has.
    pub(super) fn tell_end(&mut self, client: PartyId) {
        if let Stage::Ended(outcome) = &self.stage {
            let (round_ctx, outcome) = (self.context, outcome.for_client(&client));
            self.tell_client(client, ToClient::Ended { round_ctx, outcome });
        }
    }

    pub(super) fn tell_end_to_holder(&mut self, holder: PartyId) {
        if let Stage::Ended(outcome) = &self.stage {
            let (round_ctx, outcome) = (self.context, outcome.clone());
            self.tell_holder(holder, ToHolder::Ended { round_ctx, outcome });
        }
    }
}

const fn why_missing(standing: &Standing) -> MissingReason {
    match standing {
        Standing::Waiting => MissingReason::NoAnswer,
        Standing::Declined(reason) => MissingReason::Declined(*reason),
        Standing::Contributed { .. } => MissingReason::Abandoned,
    }
}
