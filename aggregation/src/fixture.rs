//! For unit tests: a federation of four holders and five owners, its terms, and contributions.

use std::sync::Arc;

use zeroize::Zeroizing;

use crate::config::{
    Audit, HolderIndex, KeyLayer, Packing, Profile, Quantiser, RoundConfig, Weighting,
    cohort_digest, set_digest,
};
use crate::hash::Digest;
use crate::holder::{Holder, HolderEffect, HolderSetup};
use crate::message::{
    Certificate, Countersignature, Envelope, FromHolder, SignedHeader, ToHolder, Vote,
};
use crate::participant::{Participant, ParticipantEffect, ParticipantSetup};
use crate::party::{PartyId, Role};
use crate::record::{HolderRecord, ParticipantRecord};
use crate::roster::{Member, Roster};
use crate::round::{Round, RoundEffect, Terms, Timings};
use crate::signing::{Identity, Statement};
use crate::sum::quantise::Quantised;
use crate::sum::seal::{Sealed, seal};
use crate::sum::sealed_box::SealingSecret;

pub(crate) const OWNERS: usize = 5;
pub(crate) const MINIMUM: u32 = 3;
pub(crate) const TIMINGS: Timings = Timings {
    select_ms: 1_000,
    collect_ms: 2_000,
    collect_again_ms: 0,
    vote_ms: 3_000,
    release_ms: 4_000,
    audit_ms: 2_500,
    resend_ms: 100,
};

/// A way to make good terms bad.
pub(crate) type Spoil = fn(&mut Terms);

/// A deterministic identity.
pub(crate) fn identity(kind: u8, index: usize) -> Arc<Identity> {
    let mut seed = [kind; 32];
    seed[0] = index as u8;
    Arc::new(Identity::from_seed(&Zeroizing::new(seed)))
}

pub(crate) struct Federation {
    pub(crate) coordinator: Arc<Identity>,
    pub(crate) holders: Vec<Arc<Identity>>,
    pub(crate) secrets: Vec<Arc<SealingSecret>>,
    /// In the order of their ids.
    pub(crate) owners: Vec<Arc<Identity>>,
    pub(crate) roster: Roster,
}

impl Federation {
    pub(crate) fn new() -> Self {
        let coordinator = identity(0xee, 0);
        let holders: Vec<_> = (0..4).map(|index| identity(0xa0, index)).collect();
        let secret = |index| SealingSecret::from_seed(&Zeroizing::new([index; 96]));
        let secrets: Vec<_> = (0..4).map(|index| Arc::new(secret(index))).collect();
        let mut owners: Vec<_> = (0..OWNERS).map(|index| identity(0xc1, index)).collect();
        owners.sort_by_key(|owner| owner.id());
        let member = |name: String, id, role, sealing_key| Member {
            name: name.parse().expect("a plain name"),
            id,
            role,
            sealing_key,
        };
        let mut members = vec![member("middle".into(), coordinator.id(), Role::Coordinator, None)];
        for (index, (holder, secret)) in holders.iter().zip(&secrets).enumerate() {
            let key = Some(secret.public());
            members.push(member(format!("holder-{index}"), holder.id(), Role::Holder, key));
        }
        for (index, owner) in owners.iter().enumerate() {
            members.push(member(format!("owner-{index}"), owner.id(), Role::DataOwner, None));
        }
        let federation = "tested".parse().expect("a plain name");
        let roster = Roster::founding(federation, Digest([9; 32]), members);
        Self { coordinator, holders, secrets, owners, roster }
    }

    pub(crate) fn cohort(&self) -> Vec<PartyId> {
        self.owners.iter().map(|owner| owner.id()).collect()
    }

    /// Terms of round number `round`.
    pub(crate) fn terms(&self, round: u32) -> Terms {
        let quantiser =
            Quantiser { bits: 8, range: 1.0, clip_norm: 1.0, weighting: Weighting::Uniform };
        let config = RoundConfig {
            federation: self.roster.digest(),
            run: Digest([2; 32]),
            round,
            plan: Digest([3; 32]),
            manifest: Digest([4; 32]),
            model: Digest([5; 32]),
            dimension: 4,
            profile: Profile::A,
            key_layer: KeyLayer::ReplicatedSeeds,
            quantiser,
            counters: 0,
            control: None,
            noise: None,
            packing: Packing::derive(Profile::A, 8, OWNERS as u32).expect("a packing"),
            contributions_min: MINIMUM,
            contributions_max: OWNERS as u32,
            shape: crate::config::CommitteeShape::Four,
            committee: self.roster.committee(),
            cohort: cohort_digest(&self.cohort()),
            beacon_commitments: Vec::new(),
            audit: Audit::Off,
            credit: None,
            collect_ms: TIMINGS.collect_ms,
        };
        let (beacons, retired) = (Vec::new(), Vec::new());
        let cohort = self.cohort();
        Terms { config, cohort, timings: TIMINGS, beacons, retired, attested: None }
    }

    /// The contribution of owner `index`.
    pub(crate) fn sealed(&self, config: &RoundConfig, index: usize) -> Sealed {
        let quantised = Quantised::from_units(&[1, 0, 0, 0], 1, &config.quantiser);
        let quantised = quantised.expect("units in range");
        let entropy = Zeroizing::new([index as u8; 32]);
        let mut chunks: Vec<Vec<u8>> = Vec::new();
        seal(config, &self.owners[index], &quantised, &entropy, &mut chunks).expect("it seals")
    }

    /// What holder `holder` is sent of a contribution.
    pub(crate) fn envelope(sealed: &Sealed, holder: usize) -> Envelope {
        let sealed_box = sealed.boxes[holder].clone();
        let holder = HolderIndex(holder as u8);
        Envelope::new(&sealed.header, holder, sealed_box).expect("a seat of the committee")
    }

    pub(crate) fn propose(terms: &Terms) -> ToHolder {
        let config = Box::new(terms.config.clone());
        ToHolder::Propose {
            config,
            cohort: terms.cohort.clone(),
            beacons: Vec::new(),
            attested: None,
        }
    }

    pub(crate) fn countersignature(&self, holder: usize, context: &Digest) -> Countersignature {
        let signature = self.holders[holder].sign(Statement::Config, context, &context.0);
        Countersignature { holder: HolderIndex(holder as u8), signature }
    }

    pub(crate) fn countersignatures(&self, context: &Digest) -> Vec<Countersignature> {
        (0..3).map(|holder| self.countersignature(holder, context)).collect()
    }

    pub(crate) fn vote(&self, holder: usize, context: &Digest, set: &Digest) -> Vote {
        let signature = self.holders[holder].sign(Statement::Vote, context, &set.0);
        Vote { holder: HolderIndex(holder as u8), signature }
    }

    /// The votes of these holders for a set.
    pub(crate) fn certificate(
        &self,
        context: &Digest,
        set: &[Digest],
        holders: &[usize],
    ) -> Certificate {
        let set = set_digest(context, set);
        let votes = holders.iter().map(|&holder| self.vote(holder, context, &set)).collect();
        Certificate { round_ctx: *context, set, votes }
    }

    /// Holder `index`, with what it remembers.
    pub(crate) fn holder(&self, index: usize, records: &[HolderRecord]) -> Holder {
        let (identity, secret) = (self.holders[index].clone(), self.secrets[index].clone());
        let setup = HolderSetup { identity, secret, roster: self.roster.clone() };
        Holder::new(setup, records.iter().copied()).expect("a holder of the roster")
    }

    /// Owner `index`, with what it remembers.
    pub(crate) fn participant(&self, index: usize, records: &[ParticipantRecord]) -> Participant {
        let setup = ParticipantSetup {
            identity: self.owners[index].clone(),
            roster: self.roster.clone(),
            resend_ms: 100,
            patience_ms: 10_000,
        };
        Participant::new(setup, records.iter().cloned()).expect("an owner of the roster")
    }
}

/// The digests of these contributions, in their order.
pub(crate) fn digests(sealed: &[Sealed]) -> Vec<Digest> {
    sealed.iter().map(|one| one.header.header.digest()).collect()
}

/// Changes a header and signs it again.
pub(crate) fn resign(
    signed: &SignedHeader,
    owner: &Identity,
    change: impl FnOnce(&mut crate::message::Header),
) -> SignedHeader {
    let mut header = signed.header.clone();
    change(&mut header);
    SignedHeader::sign(header, owner)
}

/// Stores all records at once and returns what the holder says, and what it remembers.
pub(crate) fn drain_holder(holder: &mut Holder) -> (Vec<FromHolder>, Vec<HolderRecord>) {
    let (mut said, mut records) = (Vec::new(), Vec::new());
    while let Some(effect) = holder.poll_effect() {
        match effect {
            HolderEffect::Append { sequence, record } => {
                records.push(record);
                holder.handle_stored(sequence);
            }
            HolderEffect::Send(message) => said.push(message),
            HolderEffect::Reread { .. } | HolderEffect::Direct { .. } => {
                panic!("no round of these is audited")
            }
        }
    }
    (said, records)
}

/// Stores all records at once and returns the other effects.
pub(crate) fn drain_round(round: &mut Round) -> Vec<RoundEffect> {
    let mut effects = Vec::new();
    while let Some(effect) = round.poll_effect() {
        match effect {
            RoundEffect::Append { sequence, .. } => round.handle_stored(sequence),
            other => effects.push(other),
        }
    }
    effects
}

/// Stores all records at once and returns the other effects, and the records.
pub(crate) fn drain_participant(
    participant: &mut Participant,
) -> (Vec<ParticipantEffect>, Vec<ParticipantRecord>) {
    let (mut effects, mut records) = (Vec::new(), Vec::new());
    while let Some(effect) = participant.poll_effect() {
        match effect {
            ParticipantEffect::Append { sequence, record } => {
                records.push(record);
                participant.handle_stored(sequence);
            }
            other => effects.push(other),
        }
    }
    (effects, records)
}
