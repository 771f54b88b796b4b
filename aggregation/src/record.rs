//! What a machine remembers. A machine's state is a fold of its records, and start-up folds them
//! with the same functions as live work does. Encoded by [`crate::wire`], one record after
//! another; new kinds are appended at the end of an enum, so that old journals stay readable.
//!
//! # Decision
//! An effect never leaves a machine before every record decided before it is durable. That is
//! more than the protocol asks (it asks it of receipts and signatures), costs nothing when a
//! driver stores all waiting records with one flush, and leaves nothing to think about.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::audit::crediting::Directed;
use crate::audit::drawing::Drawing;
use crate::audit::list::Proven;
use crate::audit::part::Agreed;
use crate::config::HolderIndex;
use crate::hash::Digest;
use crate::limits::{COMPONENTS_MAX, HOLDER_FAULTS_MAX};
use crate::message::{
    Certificate, Countersignature, Decline, HolderFault, MissingReason, Outcome, Receipt,
    SignedHeader,
};
use crate::party::PartyId;
use crate::round::{Opened, Terms};
use crate::time::Time;
use crate::wire::bounded;

/// A record's place among the records of its machine, from 0.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Sequence(pub u64);

/// What the coordinator remembers of a round.
///
/// Not recorded is what can be asked for again and is answered alike: the holders' checks, votes
/// short of a certificate, and releases (150 kB and more each); in an audit, the holders' values of
/// a beacon and their parts of an opening, short of enough.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum RoundRecord {
    /// The round begins: Select.
    Opened {
        /// What everybody is asked to agree to.
        terms: Box<Terms>,
        /// When.
        at: Time,
    },
    /// Q holders countersigned: Collect.
    Collecting {
        /// By ascending holder.
        countersignatures: Vec<Countersignature>,
        /// When.
        at: Time,
    },
    /// A contribution is in; its bulk bytes were durable before.
    Contributed {
        /// Its header.
        header: Box<SignedHeader>,
        /// When.
        at: Time,
    },
    /// A client will not take part.
    Declined {
        /// Who.
        client: PartyId,
        /// Why.
        reason: Decline,
    },
    /// Collect is closed: Vote, first step.
    Checking {
        /// When.
        at: Time,
    },
    /// U is fixed: Vote, second step.
    Voting {
        /// Header digests in the order of their clients.
        set: Vec<Digest>,
        /// Contributions left out, ascending.
        dropped: Vec<(PartyId, MissingReason)>,
        /// What holders did wrong so far.
        #[serde(deserialize_with = "bounded::<_, _, HOLDER_FAULTS_MAX>")]
        faults: Vec<(HolderIndex, HolderFault)>,
        /// When.
        at: Time,
    },
    /// U is certified: Release.
    Certified {
        /// Q votes.
        certificate: Certificate,
        /// When.
        at: Time,
    },
    /// Done or Abandon.
    Ended {
        /// How.
        outcome: Outcome,
        /// What was opened, when Done.
        opened: Option<Opened>,
        /// When.
        at: Time,
    },
    /// The beacon of the rows is drawn, and that of the fold where there is credit: clients prove.
    Proving {
        /// The beacon of the rows.
        rows: Drawing,
        /// The beacon of the fold.
        fold: Option<Drawing>,
        /// When.
        at: Time,
    },
    /// A client's proof is in.
    Proven {
        /// As received.
        proven: Box<Proven>,
    },
    /// A client says that it has no proof.
    Unproven {
        /// Who.
        client: PartyId,
        /// Why.
        reason: Decline,
    },
    /// No more proofs are taken: holders vote for their list.
    Listing {
        /// When.
        at: Time,
    },
    /// The list is certified: holders draw the beacon of the check.
    Listed {
        /// Q votes.
        certificate: Certificate,
        /// When.
        at: Time,
    },
    /// The beacon of the check is drawn: holders open the proofs.
    OpeningProofs {
        /// The beacon.
        check: Drawing,
        /// When.
        at: Time,
    },
    /// The proofs are opened: holders judge.
    Judging {
        /// What was opened of each component, in canonical order.
        #[serde(deserialize_with = "bounded::<_, _, COMPONENTS_MAX>")]
        parts: Vec<Agreed>,
        /// Public values of all proofs.
        #[serde(with = "serde_bytes")]
        public: Vec<u8>,
        /// Clients of U that did not pass, ascending.
        failed: Vec<(PartyId, MissingReason)>,
        /// What holders did wrong so far.
        #[serde(deserialize_with = "bounded::<_, _, HOLDER_FAULTS_MAX>")]
        faults: Vec<(HolderIndex, HolderFault)>,
        /// When.
        at: Time,
    },
    /// The verdict is certified: Release, for the accepted set.
    Accepted {
        /// Q votes.
        certificate: Certificate,
        /// When.
        at: Time,
    },
    /// The sum is open, and the terms have credit: Credit.
    Summed {
        /// What was opened.
        opened: Opened,
        /// When.
        at: Time,
    },
    /// Directions and functions are computed: holders open numbers.
    Directed {
        /// What they are.
        directed: Box<Directed>,
        /// Projections of the opened sum.
        projections: Vec<i64>,
        /// When.
        at: Time,
    },
    /// The numbers are open: holders attest what they make.
    Numbered {
        /// What was opened of each component, in canonical order.
        #[serde(deserialize_with = "bounded::<_, _, COMPONENTS_MAX>")]
        parts: Vec<Agreed>,
        /// When.
        at: Time,
    },
    /// The evidence is attested.
    Credited {
        /// Q votes.
        certificate: Certificate,
        /// When.
        at: Time,
    },
    /// Collect is over with too few contributions, and extended once.
    Extended {
        /// When.
        at: Time,
    },
}

/// What a holder remembers: its signatures. Durable before the signature leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum HolderRecord {
    /// It accepted a round's terms.
    Countersigned {
        /// The run.
        run: Digest,
        /// The round's number.
        round: u32,
        /// The terms.
        round_ctx: Digest,
    },
    /// It voted.
    Voted {
        /// The run.
        run: Digest,
        /// The terms.
        round_ctx: Digest,
        /// H(U).
        set: Digest,
    },
    /// It released its component sums.
    Released {
        /// The run.
        run: Digest,
        /// The terms.
        round_ctx: Digest,
        /// H(U), or H(U') where the round was audited.
        set: Digest,
    },
    /// It voted for the list of an audit's proofs.
    Listed {
        /// The run.
        run: Digest,
        /// The terms.
        round_ctx: Digest,
        /// H(Lambda).
        list: Digest,
    },
    /// It voted for an audit's verdict.
    Judged {
        /// The run.
        run: Digest,
        /// The terms.
        round_ctx: Digest,
        /// The verdict's digest.
        verdict: Digest,
    },
    /// It opened the credit's numbers.
    Numbered {
        /// The run.
        run: Digest,
        /// The terms.
        round_ctx: Digest,
        /// Digest of the functions.
        functions: Digest,
    },
    /// It attested a round's evidence, and what was opened of the pool by then.
    Attested {
        /// The run.
        run: Digest,
        /// The terms.
        round_ctx: Digest,
        /// Digest of the attestation.
        attestation: Digest,
        /// The validation pool.
        pool: Digest,
        /// Folds of it that were opened.
        opened: u32,
        /// Digest of their examples.
        retired: Digest,
    },
    /// It signed a roster.
    Approved {
        /// The roster's number.
        number: u32,
        /// Its digest.
        roster: Digest,
    },
}

/// What a client remembers of rounds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ParticipantRecord {
    /// It sealed its one contribution to a round and stored all of its bytes.
    Sealed {
        /// The run.
        run: Digest,
        /// The round's number.
        round: u32,
        /// The terms.
        round_ctx: Digest,
        /// Digest of the header.
        header: Digest,
    },
    /// The coordinator's promise.
    Receipted {
        /// As received.
        receipt: Receipt,
    },
    /// The round is over for this client.
    Ended {
        /// The terms.
        round_ctx: Digest,
        /// Whether its contribution is in the sum.
        counted: bool,
    },
}

/// The next thing a machine wants done.
pub(crate) enum Step<R, E> {
    /// Store this.
    Append(Sequence, R),
    /// Do this; everything decided before it is durable.
    Effect(E),
}

/// What a machine wants done, in order: records at once, everything else only when all records
/// appended before it are durable.
pub(crate) struct Outbox<R, E> {
    /// Records ever appended.
    appended: u64,
    /// Of these, durable.
    durable: u64,
    records: VecDeque<(Sequence, R)>,
    /// Each with the number of records that must be durable first; ascending.
    effects: VecDeque<(u64, E)>,
}

impl<R, E> Outbox<R, E> {
    /// For a machine that already has `durable` records stored.
    pub(crate) const fn new(durable: u64) -> Self {
        Self { appended: durable, durable, records: VecDeque::new(), effects: VecDeque::new() }
    }

    /// Wants `record` stored.
    pub(crate) fn append(&mut self, record: R) -> Sequence {
        let sequence = Sequence(self.appended);
        self.appended += 1;
        self.records.push_back((sequence, record));
        sequence
    }

    /// Wants `effect` done once everything appended so far is durable.
    pub(crate) fn push(&mut self, effect: E) {
        self.effects.push_back((self.appended, effect));
    }

    /// Records up to and including `upto` are durable.
    pub(crate) fn stored(&mut self, upto: Sequence) {
        self.durable = self.durable.max(upto.0.saturating_add(1)).min(self.appended);
    }

    /// Whether the record `sequence` is durable.
    pub(crate) const fn is_durable(&self, sequence: Sequence) -> bool {
        sequence.0 < self.durable
    }

    /// The next thing to do.
    pub(crate) fn poll(&mut self) -> Option<Step<R, E>> {
        if let Some((sequence, record)) = self.records.pop_front() {
            return Some(Step::Append(sequence, record));
        }
        let Some((needed, _)) = self.effects.front() else {
            // Nothing is wanted, often for long: a round that told thousands keeps no room for it.
            (self.records, self.effects) = (VecDeque::new(), VecDeque::new());
            return None;
        };
        if *needed > self.durable {
            return None;
        }
        self.effects.pop_front().map(|(_, effect)| Step::Effect(effect))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drain(outbox: &mut Outbox<char, char>) -> String {
        std::iter::from_fn(|| outbox.poll())
            .map(|step| match step {
                Step::Append(_, record) => record,
                Step::Effect(effect) => effect,
            })
            .collect()
    }

    #[test]
    fn effects_wait_for_the_records_before_them_and_only_for_those() {
        let mut outbox = Outbox::new(0);
        outbox.push('a');
        let first = outbox.append('R');
        outbox.push('b');
        let second = outbox.append('S');
        outbox.push('c');
        assert_eq!(drain(&mut outbox), "RSa");
        outbox.stored(first);
        assert_eq!(drain(&mut outbox), "b");
        assert!(outbox.is_durable(first) && !outbox.is_durable(second));
        outbox.stored(second);
        assert_eq!(drain(&mut outbox), "c");
    }

    #[test]
    fn a_claim_to_have_stored_what_was_never_appended_opens_nothing() {
        let mut outbox = Outbox::new(2);
        outbox.stored(Sequence(u64::MAX));
        let third = outbox.append('R');
        outbox.push('a');
        assert_eq!(third, Sequence(2));
        assert_eq!(drain(&mut outbox), "R");
        outbox.stored(Sequence(1));
        assert_eq!(drain(&mut outbox), "");
        outbox.stored(third);
        assert_eq!(drain(&mut outbox), "a");
    }
}
