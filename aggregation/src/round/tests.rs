//! The coordinator's machine, phase by phase; here, what the tests have in common.

mod collect;
mod end;
mod release;
mod replay;
mod select;
mod vote;

use super::*;
use crate::config::{CommitteeShape, set_digest};
use crate::fixture::{
    Federation, MINIMUM, OWNERS, Spoil, TIMINGS, digests, drain_round, identity, resign,
};
use crate::message::{
    AbandonReason, Complaint, ComplaintKind, Envelope, HolderFault, MissingReason, Phase, Receipt,
    Release,
};
use crate::signing::Statement;
use crate::sum::seal::Sealed;
use crate::sum::share::{BadBox, component_sums, open_envelope};

/// Boxes of all contributions.
struct Boxes<'a>(&'a [Sealed]);

impl BoxSource for Boxes<'_> {
    fn sealed_box(&self, header: &Digest, holder: HolderIndex) -> Option<Vec<u8>> {
        let sealed = self.0.iter().find(|one| one.header.header.digest() == *header)?;
        sealed.boxes.get(usize::from(holder.0)).cloned()
    }
}

/// A round, and everybody who answers it.
struct Bench {
    federation: Federation,
    round: Round,
    context: Digest,
    sealed: Vec<Sealed>,
    now: Time,
}

impl Bench {
    /// In Select.
    fn new() -> Self {
        let federation = Federation::new();
        let terms = federation.terms(1);
        let sealed = (0..OWNERS).map(|index| federation.sealed(&terms.config, index)).collect();
        let context = terms.config.context();
        let identity = federation.coordinator.clone();
        let round = Round::open(terms, identity, Time(0)).expect("good terms");
        Self { federation, round, context, sealed, now: Time(0) }
    }

    /// In Collect.
    fn collecting() -> Self {
        let mut bench = Self::new();
        for holder in 0..4 {
            bench.countersign(holder).expect("a good countersignature");
        }
        bench
    }

    /// In Vote, all contributions in.
    fn checking() -> Self {
        let mut bench = Self::collecting();
        for owner in 0..OWNERS {
            bench.contribute(owner).expect("a good contribution");
        }
        bench
    }

    /// In Vote, the set fixed.
    fn voting() -> Self {
        let mut bench = Self::checking();
        for holder in 0..4 {
            bench.checked(holder, Vec::new()).expect("a good answer");
        }
        bench
    }

    /// In Release.
    fn releasing() -> Self {
        let mut bench = Self::voting();
        for holder in 0..3 {
            bench.vote(holder).expect("a good vote");
        }
        bench
    }

    fn holder_says(&mut self, holder: usize, message: FromHolder) -> Result<(), Refusal> {
        let from = self.federation.holders[holder].id();
        self.round.handle_holder(self.now, from, message, &Boxes(&self.sealed))
    }

    fn countersign(&mut self, holder: usize) -> Result<(), Refusal> {
        let signature = self.federation.countersignature(holder, &self.context);
        let round_ctx = self.context;
        self.holder_says(holder, FromHolder::Countersigned { round_ctx, signature })
    }

    fn contribute(&mut self, owner: usize) -> Result<(), Refusal> {
        let (from, header) = (self.owner(owner), self.sealed[owner].header.clone());
        self.round.handle_contribution(self.now, from, header)
    }

    fn owner(&self, owner: usize) -> PartyId {
        self.federation.owners[owner].id()
    }

    fn checked(&mut self, holder: usize, complaints: Vec<Complaint>) -> Result<(), Refusal> {
        let (round_ctx, total) = (self.context, OWNERS as u32);
        self.holder_says(holder, FromHolder::Checked { round_ctx, total, complaints })
    }

    fn complaint(&self, holder: usize, owner: usize, kind: ComplaintKind) -> Complaint {
        let header = self.sealed[owner].header.header.digest();
        let (round_ctx, index) = (self.context, HolderIndex(holder as u8));
        let body = Complaint::body(&header, index, &kind);
        let signer = &self.federation.holders[holder];
        let signature = signer.sign(Statement::Complaint, &round_ctx, &body);
        Complaint { round_ctx, header, holder: index, kind, signature }
    }

    fn vote(&mut self, holder: usize) -> Result<(), Refusal> {
        let (round_ctx, set) = (self.context, set_digest(&self.context, &self.set()));
        let vote = self.federation.vote(holder, &round_ctx, &set);
        self.holder_says(holder, FromHolder::Voted { round_ctx, set, vote })
    }

    fn set(&self) -> Vec<Digest> {
        self.round.set().iter().map(|signed| signed.header.digest()).collect()
    }

    fn release(&self, holder: usize) -> Release {
        let (config, index) = (self.round.config(), HolderIndex(holder as u8));
        let seeds: Vec<_> = self
            .sealed
            .iter()
            .map(|sealed| {
                let envelope: Envelope = Federation::envelope(sealed, holder);
                let secret = &self.federation.secrets[holder];
                let seeds = open_envelope(config, &self.context, index, secret, &envelope);
                let Ok(seeds) = seeds else { panic!("a good box") };
                (sealed.header.header.client, seeds)
            })
            .collect();
        let seeds = seeds.iter().map(|(client, seeds)| (*client, seeds));
        let sums = component_sums(config, &self.context, index, seeds);
        let set = set_digest(&self.context, &self.set());
        self.signed(holder, set, sums)
    }

    fn signed(&self, holder: usize, set: Digest, sums: Vec<Vec<u8>>) -> Release {
        let body = Release::body(&set, &sums);
        let signature =
            self.federation.holders[holder].sign(Statement::Release, &self.context, &body);
        let (round_ctx, holder) = (self.context, HolderIndex(holder as u8));
        Release { round_ctx, set, holder, sums, signature }
    }

    fn send_release(&mut self, holder: usize, release: Release) -> Result<(), Refusal> {
        self.holder_says(holder, FromHolder::Released(Box::new(release)))
    }

    fn abandoned(&self) -> &AbandonReason {
        match self.round.outcome() {
            Some(Outcome::Abandoned { reason, .. }) => reason,
            other => panic!("{other:?}"),
        }
    }

    fn report(&self) -> &crate::message::Report {
        match self.round.outcome() {
            Some(Outcome::Abandoned { report, .. } | Outcome::Done(report)) => report,
            None => panic!("not over"),
        }
    }

    fn wait_until(&mut self, at_ms: u64) {
        self.now = Time(at_ms);
        self.round.handle_timeout(self.now);
    }
}

fn malformed(why: &str) -> Refusal {
    Refusal::Malformed(why.to_owned())
}

const OPENED: Opened =
    Opened { aggregate: Digest([1; 32]), key_sum: Digest([2; 32]), count: 5, weight: 5 };
