//! Four holders, five owners, four rounds; everything that takes time is computed once.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use covey_aggregation::config::{
    Audit, CommitteeShape, HolderIndex, KeyLayer, Packing, Profile, Quantiser, RoundConfig,
    Weighting, cohort_digest, set_digest,
};
use covey_aggregation::hash::Digest;
use covey_aggregation::message::{Certificate, Countersignature, Envelope, SignedHeader, Vote};
use covey_aggregation::party::{PartyId, Role};
use covey_aggregation::roster::{Member, Roster};
use covey_aggregation::round::{Terms, Timings};
use covey_aggregation::signing::{Identity, Statement};
use covey_aggregation::sum::quantise::Quantised;
use covey_aggregation::sum::seal::{Sealed, seal};
use covey_aggregation::sum::sealed_box::SealingSecret;
use zeroize::Zeroizing;

pub(crate) const HOLDERS: usize = 4;
pub(crate) const OWNERS: usize = 5;
pub(crate) const MINIMUM: usize = 3;
pub(crate) const ROUNDS: usize = 4;
pub(crate) const TIMINGS: Timings = Timings {
    select_ms: 1_000,
    collect_ms: 2_000,
    collect_again_ms: 0,
    vote_ms: 3_000,
    release_ms: 4_000,
    audit_ms: 2_500,
    resend_ms: 100,
};

/// A contribution, as its client made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Good.
    Good,
    /// Good too, but another.
    Other,
    /// Its header commits to other contents of boxes than they have.
    Bad,
}

pub(crate) const KINDS: [Kind; 3] = [Kind::Good, Kind::Other, Kind::Bad];

/// A round, and what there is of it.
pub(crate) struct Case {
    pub(crate) terms: Terms,
    pub(crate) context: Digest,
    /// By owner, and by [`KINDS`].
    pub(crate) sealed: Vec<[Sealed; 3]>,
    pub(crate) countersignatures: Vec<Countersignature>,
    /// All sets that may be opened, by their digests.
    pub(crate) openable: BTreeMap<Digest, Vec<Digest>>,
}

pub(crate) struct Federation {
    pub(crate) coordinator: Arc<Identity>,
    pub(crate) holders: Vec<Arc<Identity>>,
    pub(crate) secrets: Vec<Arc<SealingSecret>>,
    /// In the order of their ids.
    pub(crate) owners: Vec<Arc<Identity>>,
    pub(crate) roster: Roster,
    /// Rounds 1 and 2 of a run, another round 2 of it, round 1 of another run.
    pub(crate) cases: Vec<Case>,
}

pub(crate) static FEDERATION: LazyLock<Federation> = LazyLock::new(Federation::new);

fn identity(kind: u8, index: usize) -> Arc<Identity> {
    let mut seed = [kind; 32];
    seed[0] = index as u8;
    Arc::new(Identity::from_seed(&Zeroizing::new(seed)))
}

impl Federation {
    fn new() -> Self {
        let coordinator = identity(0xee, 0);
        let holders: Vec<_> = (0..HOLDERS).map(|index| identity(0xa0, index)).collect();
        let secret = |index| SealingSecret::from_seed(&Zeroizing::new([index as u8; 96]));
        let secrets: Vec<_> = (0..HOLDERS).map(|index| Arc::new(secret(index))).collect();
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
        let federation = "fuzzed".parse().expect("a plain name");
        let roster = Roster::founding(federation, Digest([9; 32]), members);
        let mut this = Self { coordinator, holders, secrets, owners, roster, cases: Vec::new() };
        let rounds = [(2, 1, 5), (2, 2, 5), (2, 2, 6), (3, 1, 5)];
        this.cases = rounds.map(|(run, round, model)| this.case(run, round, model)).into();
        this
    }

    pub(crate) fn cohort(&self) -> Vec<PartyId> {
        self.owners.iter().map(|owner| owner.id()).collect()
    }

    fn case(&self, run: u8, round: u32, model: u8) -> Case {
        let weighting = Weighting::Uniform;
        let config = RoundConfig {
            federation: self.roster.digest(),
            run: Digest([run; 32]),
            round,
            plan: Digest([3; 32]),
            manifest: Digest([4; 32]),
            model: Digest([model; 32]),
            dimension: 4,
            control: None,
            noise: None,
            counters: 0,
            profile: Profile::A,
            key_layer: KeyLayer::ReplicatedSeeds,
            quantiser: Quantiser { bits: 8, range: 1.0, clip_norm: 1.0, weighting },
            packing: Packing::derive(Profile::A, 8, OWNERS as u32).expect("a packing"),
            contributions_min: MINIMUM as u32,
            contributions_max: OWNERS as u32,
            shape: CommitteeShape::Four,
            committee: self.roster.committee(),
            cohort: cohort_digest(&self.cohort()),
            beacon_commitments: Vec::new(),
            audit: Audit::Off,
            credit: None,
            collect_ms: TIMINGS.collect_ms,
        };
        let context = config.context();
        let sealed = (0..OWNERS).map(|owner| self.sealed(&config, owner)).collect();
        let sign = |holder: usize| Countersignature {
            holder: HolderIndex(holder as u8),
            signature: self.holders[holder].sign(Statement::Config, &context, &context.0),
        };
        let countersignatures = (0..HOLDERS).map(sign).collect();
        let (beacons, retired) = (Vec::new(), Vec::new());
        let cohort = self.cohort();
        let terms = Terms { config, cohort, timings: TIMINGS, beacons, retired, attested: None };
        let openable = BTreeMap::new();
        let mut case = Case { terms, context, sealed, countersignatures, openable };
        // Base three: absent, good, the other.
        for mut code in 0..3usize.pow(OWNERS as u32) {
            let mut set = Vec::new();
            for owner in 0..OWNERS {
                if let Some(kind) = (code % 3).checked_sub(1) {
                    set.push(case.digest(owner, KINDS[kind]));
                }
                code /= 3;
            }
            if set.len() >= MINIMUM {
                case.openable.insert(set_digest(&context, &set), set);
            }
        }
        case
    }

    fn sealed(&self, config: &RoundConfig, owner: usize) -> [Sealed; 3] {
        let identity = &self.owners[owner];
        KINDS.map(|kind| {
            let quantised = Quantised::from_units(&[1, 0, 0, 0], 1, &config.quantiser);
            let entropy = Zeroizing::new([owner as u8 + 16 * kind as u8; 32]);
            let quantised = quantised.expect("units in range");
            let mut chunks: Vec<Vec<u8>> = Vec::new();
            let mut sealed =
                seal(config, identity, &quantised, &entropy, &mut chunks).expect("it seals");
            if kind == Kind::Bad {
                let mut header = sealed.header.header.clone();
                header.components.iter_mut().for_each(|one| one.0[0] ^= 1);
                sealed.header = SignedHeader::sign(header, identity);
            }
            sealed
        })
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
        holders: impl Iterator<Item = usize>,
    ) -> Certificate {
        let set = set_digest(context, set);
        let votes = holders.map(|holder| self.vote(holder, context, &set)).collect();
        Certificate { round_ctx: *context, set, votes }
    }
}

impl Case {
    pub(crate) fn header(&self, owner: usize, kind: Kind) -> &SignedHeader {
        &self.sealed[owner][kind as usize].header
    }

    pub(crate) fn digest(&self, owner: usize, kind: Kind) -> Digest {
        self.header(owner, kind).header.digest()
    }

    pub(crate) fn envelope(&self, owner: usize, kind: Kind, holder: usize) -> Envelope {
        let sealed = &self.sealed[owner][kind as usize];
        let (index, sealed_box) = (HolderIndex(holder as u8), sealed.boxes[holder].clone());
        Envelope::new(&sealed.header, index, sealed_box).expect("a seat of the committee")
    }

    /// Whose and which contribution this is.
    pub(crate) fn find(&self, digest: &Digest) -> Option<(usize, Kind)> {
        let all = (0..OWNERS).flat_map(|owner| KINDS.map(|kind| (owner, kind)));
        all.into_iter().find(|&(owner, kind)| self.digest(owner, kind) == *digest)
    }
}
