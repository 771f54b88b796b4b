//! Start-up: the same transitions as live work, from the records.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::config::set_digest;
use crate::hash::Digest;
use crate::message::{Phase, SignedHeader};
use crate::party::PartyId;
use crate::record::{Outbox, RoundRecord, Sequence};
use crate::signing::Identity;
use crate::time::Time;

use super::release::Releasing;
use super::vote::{Checking, Voting};
use super::{BadTerms, Round, Stage, Standing};

/// Records that no honest run of this machine writes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Corrupt {
    /// There is none.
    #[error("no record")]
    Empty,
    /// The first record does not open a round, or a later one opens another.
    #[error("record {0}: a round begins with its opening and has only one")]
    Opening(u64),
    /// The terms do not hold together.
    #[error("the recorded terms: {0}")]
    Terms(#[from] BadTerms),
    /// A record of another phase.
    #[error("record {at}: does not belong in phase {phase:?}")]
    OutOfPhase {
        /// Its place.
        at: u64,
        /// The phase that the records before it lead to.
        phase: Phase,
    },
    /// A record about a client or contribution that does not fit.
    #[error("record {0}: names a client or contribution that does not fit")]
    Client(u64),
}

impl Round {
    /// The round that wrote `records`, all of them durable. The phase at hand gets its whole time
    /// again from `now` on, and its question is asked again at once. A round that has ended says
    /// so again.
    ///
    /// # Errors
    /// [`Corrupt`], by the first record that does not follow from those before it.
    pub fn replay(
        records: impl IntoIterator<Item = RoundRecord>,
        identity: Arc<Identity>,
        now: Time,
    ) -> Result<Self, Corrupt> {
        let mut records = records.into_iter();
        let first = records.next().ok_or(Corrupt::Empty)?;
        let RoundRecord::Opened { terms, at } = first else { return Err(Corrupt::Opening(0)) };
        terms.validate()?;
        let mut round = Self::blank((*terms).clone(), identity, Outbox::new(0));
        round.apply(RoundRecord::Opened { terms, at }, Sequence(0));
        let mut count = 1;
        for record in records {
            round.check_follows(&record, count)?;
            round.apply(record, Sequence(count));
            count += 1;
        }
        round.outbox = Outbox::new(count);
        round.restart_clock(now);
        round.tell_everybody();
        round.measure_again();
        round.direct_again();
        round.ask(now);
        Ok(round)
    }

    /// Whether an honest run can have written `record` next.
    fn check_follows(&self, record: &RoundRecord, at: u64) -> Result<(), Corrupt> {
        let fits = match (record, &self.stage) {
            (RoundRecord::Opened { .. }, _) => return Err(Corrupt::Opening(at)),
            (RoundRecord::Collecting { .. }, Stage::Select)
            | (RoundRecord::Checking { .. }, Stage::Collect)
            | (RoundRecord::Certified { .. }, Stage::Vote(_)) => true,
            (RoundRecord::Extended { .. }, Stage::Collect) => {
                !self.is_extended && self.terms.timings.collect_again_ms > 0
            }
            (RoundRecord::Contributed { header, .. }, Stage::Collect) => {
                return self.check_waiting(&header.header.client, at);
            }
            (RoundRecord::Declined { client, .. }, Stage::Collect) => {
                return self.check_waiting(client, at);
            }
            (RoundRecord::Voting { set, .. }, Stage::Check(_)) => {
                let picked = self.picked(set);
                let picked = picked.iter().map(|signed| signed.header.digest());
                let fits = picked.eq(set.iter().copied());
                return if fits { Ok(()) } else { Err(Corrupt::Client(at)) };
            }
            (RoundRecord::Ended { .. }, stage) => !matches!(stage, Stage::Ended(_)),
            (record, Stage::Audit(auditing)) => return self.check_audit(auditing, record, at),
            (RoundRecord::Summed { .. }, Stage::Release(_)) => self.terms.config.credit.is_some(),
            (record, Stage::Credit(crediting)) => self.check_credit(crediting, record),
            _ => false,
        };
        if fits { Ok(()) } else { Err(Corrupt::OutOfPhase { at, phase: self.phase() }) }
    }

    fn check_waiting(&self, client: &PartyId, at: u64) -> Result<(), Corrupt> {
        let waiting = self.clients.get(client) == Some(&Standing::Waiting);
        if waiting { Ok(()) } else { Err(Corrupt::Client(at)) }
    }

    /// The contributions that `set` names, in the order of their clients.
    fn picked(&self, set: &[Digest]) -> Arc<[SignedHeader]> {
        if let Some(all) = self.announced.as_ref().filter(|all| all.len() == set.len()) {
            return Arc::clone(all);
        }
        let set: BTreeSet<_> = set.iter().collect();
        let is_in = |signed: &&SignedHeader| set.contains(&signed.header.digest());
        self.contributions().filter(is_in).cloned().collect()
    }

    /// What a record changes. Live work and start-up both come through here.
    pub(super) fn apply(&mut self, record: RoundRecord, sequence: Sequence) {
        let timings = self.terms.timings;
        match record {
            RoundRecord::Opened { at, .. } => {
                self.opened_at = at;
                self.deadline = at.after_ms(timings.select_ms);
            }
            RoundRecord::Collecting { countersignatures, at } => {
                for one in &countersignatures {
                    self.committee.countersign(one.clone());
                }
                self.countersignatures = countersignatures;
                self.stage = Stage::Collect;
                self.deadline = at.after_ms(timings.collect_ms);
            }
            RoundRecord::Extended { at } => {
                self.is_extended = true;
                self.deadline = at.after_ms(timings.collect_again_ms);
            }
            RoundRecord::Contributed { header, .. } => {
                let (client, digest) = (header.header.client, header.header.digest());
                let standing = Standing::Contributed { header, digest, sequence };
                self.clients.insert(client, standing);
                self.waiting -= 1;
                self.contributed += 1;
            }
            RoundRecord::Declined { client, reason } => {
                self.clients.insert(client, Standing::Declined(reason));
                self.waiting -= 1;
            }
            RoundRecord::Checking { at } => {
                self.stage = Stage::Check(Checking::new(at.after_ms(timings.vote_ms / 2)));
                self.deadline = at.after_ms(timings.vote_ms);
            }
            RoundRecord::Voting { set, dropped, faults, at } => {
                for (holder, fault) in faults {
                    self.committee.restore_fault(holder, fault);
                }
                self.dropped = dropped.into_iter().collect();
                self.set = self.picked(&set);
                self.stage = Stage::Vote(Voting::new(&self.context, set, at));
            }
            RoundRecord::Certified { certificate, at } => {
                self.certificate = Some(certificate);
                if self.terms.config.is_audited() {
                    self.begin_audit(at);
                } else {
                    self.begin_release(at);
                }
            }
            RoundRecord::Ended { outcome, opened, .. } => {
                self.opened = opened;
                self.stage = Stage::Ended(outcome);
            }
            RoundRecord::Summed { .. }
            | RoundRecord::Directed { .. }
            | RoundRecord::Numbered { .. }
            | RoundRecord::Credited { .. } => self.apply_credit(record),
            record => self.apply_audit(record),
        }
    }

    /// The key of the set at hand is to be released.
    pub(super) fn begin_release(&mut self, at: Time) {
        let headers: Vec<_> = self.set.iter().map(|signed| signed.header.digest()).collect();
        let digest = set_digest(&self.context, &headers);
        self.stage = Stage::Release(Releasing::new(headers, digest, at));
        self.deadline = at.after_ms(self.terms.timings.release_ms);
    }

    /// The phase at hand begins at `now`.
    fn restart_clock(&mut self, now: Time) {
        let timings = self.terms.timings;
        let phase_ms = match &mut self.stage {
            Stage::Select => timings.select_ms,
            Stage::Collect if self.is_extended => timings.collect_again_ms,
            Stage::Collect => timings.collect_ms,
            Stage::Check(checking) => {
                *checking = Checking::new(now.after_ms(timings.vote_ms / 2));
                timings.vote_ms
            }
            Stage::Vote(voting) => {
                voting.restart(now);
                timings.vote_ms
            }
            Stage::Audit(auditing) => auditing.restart(now, &timings),
            Stage::Release(releasing) => {
                releasing.restart(now);
                timings.release_ms
            }
            Stage::Credit(crediting) => crediting.restart(now, &timings),
            Stage::Ended(_) => return,
        };
        self.deadline = now.after_ms(phase_ms);
    }
}
