//! A round at the layer of the sum, without machines: terms, a committee, owners, and the way
//! from updates to the opened aggregate.
#![allow(dead_code, reason = "each test file uses its part")]

use covey_aggregation::config::{
    Audit, CommitteeShape, Control, HolderIndex, KeyLayer, Noise, Packing, Profile, Quantiser,
    RoundConfig, Seat, Weighting,
};
use covey_aggregation::hash::Digest;
use covey_aggregation::message::{Envelope, SignedHeader};
use covey_aggregation::party::PartyId;
use covey_aggregation::signing::Identity;
use covey_aggregation::sum::accumulator::Accumulator;
use covey_aggregation::sum::contribution::ContributionCheck;
use covey_aggregation::sum::open::{Aggregate, Combined, KeySum, combine, open};
use covey_aggregation::sum::quantise::Quantised;
use covey_aggregation::sum::seal::{Sealed, seal};
use covey_aggregation::sum::sealed_box::SealingSecret;
use covey_aggregation::sum::share::{Seeds, check_envelope, component_sums, open_envelope};
use zeroize::Zeroizing;

/// What a test chooses of a round.
#[derive(Clone, Copy)]
pub(crate) struct Terms {
    pub(crate) profile: Profile,
    pub(crate) shape: CommitteeShape,
    pub(crate) bits: u8,
    pub(crate) contributions_max: u32,
    pub(crate) dimension: u64,
    pub(crate) weighting: Weighting,
    pub(crate) round: u32,
    pub(crate) counters: u16,
    pub(crate) control: Option<Control>,
    pub(crate) noise: Option<Noise>,
}

impl Default for Terms {
    fn default() -> Self {
        Self {
            profile: Profile::B,
            shape: CommitteeShape::Four,
            bits: 8,
            contributions_max: 10,
            dimension: 300,
            weighting: Weighting::Uniform,
            round: 1,
            counters: 0,
            control: None,
            noise: None,
        }
    }
}

/// A committee and its round.
pub(crate) struct Fixture {
    pub(crate) config: RoundConfig,
    pub(crate) round_ctx: Digest,
    pub(crate) secrets: Vec<SealingSecret>,
    pub(crate) holders: Vec<Identity>,
}

/// A sealed update with its chunks.
pub(crate) struct Upload {
    pub(crate) sealed: Sealed,
    pub(crate) chunks: Vec<Vec<u8>>,
}

impl Upload {
    /// Whose it is.
    pub(crate) fn client(&self) -> PartyId {
        self.sealed.header.header.client
    }
}

/// A deterministic identity.
pub(crate) fn identity(kind: u8, index: u32) -> Identity {
    let mut seed = [kind; 32];
    seed[..4].copy_from_slice(&index.to_le_bytes());
    Identity::from_seed(&Zeroizing::new(seed))
}

/// A client's identity.
pub(crate) fn client(index: u32) -> Identity {
    identity(0xc1, index)
}

impl Fixture {
    pub(crate) fn new(terms: Terms) -> Self {
        let members = terms.shape.members();
        let secrets: Vec<_> = (0..members)
            .map(|h| SealingSecret::from_seed(&Zeroizing::new([h as u8 + 1; 96])))
            .collect();
        let holders: Vec<_> = (0..members).map(|h| identity(0xa0, h as u32)).collect();
        let seats = holders.iter().zip(&secrets);
        let config = RoundConfig {
            federation: Digest([1; 32]),
            run: Digest([2; 32]),
            round: terms.round,
            plan: Digest([3; 32]),
            manifest: Digest([4; 32]),
            model: Digest([5; 32]),
            dimension: terms.dimension,
            profile: terms.profile,
            key_layer: KeyLayer::ReplicatedSeeds,
            quantiser: Quantiser {
                bits: terms.bits,
                range: 1.0,
                clip_norm: 1e6,
                weighting: terms.weighting,
            },
            counters: terms.counters,
            control: terms.control,
            noise: terms.noise,
            packing: Packing::derive(terms.profile, terms.bits, terms.contributions_max)
                .expect("a packing exists"),
            contributions_min: 2.min(terms.contributions_max),
            contributions_max: terms.contributions_max,
            shape: terms.shape,
            committee: seats
                .map(|(holder, secret)| Seat { holder: holder.id(), sealing_key: secret.public() })
                .collect(),
            cohort: Digest([6; 32]),
            beacon_commitments: Vec::new(),
            audit: Audit::Off,
            credit: None,
            collect_ms: 1000,
        };
        let round_ctx = config.context();
        Self { config, round_ctx, secrets, holders }
    }

    /// Seals integers as client `index`, zeros as control and counters.
    pub(crate) fn seal(&self, index: u32, units: &[i32], weight: u32) -> Upload {
        let control = self.config.control.map(|_| vec![0; units.len()]).unwrap_or_default();
        let counters = vec![0; usize::from(self.config.counters)];
        self.seal_all(index, (units, weight), &control, &counters)
    }

    /// Seals integers, control and counters as client `index`.
    pub(crate) fn seal_all(
        &self,
        index: u32,
        (units, weight): (&[i32], u32),
        control: &[i32],
        counters: &[u64],
    ) -> Upload {
        let mut quantised = Quantised::from_units(units, weight, &self.config.quantiser)
            .and_then(|quantised| quantised.with_counters(counters))
            .expect("units and counters within the quantiser's range");
        if let Some(terms) = &self.config.control {
            quantised = quantised.with_control_units(control, terms).expect("within the range");
        }
        let mut chunks = Vec::new();
        let mut entropy = Zeroizing::new([0; 32]);
        entropy[..4].copy_from_slice(&index.to_le_bytes());
        let sealed =
            seal(&self.config, &client(index), &quantised, &entropy, &mut chunks).expect("seals");
        Upload { sealed, chunks }
    }

    /// What holder `holder` is sent of an upload.
    pub(crate) fn envelope(&self, upload: &Upload, holder: usize) -> Envelope {
        let sealed_box = upload.sealed.boxes[holder].clone();
        Envelope::new(&upload.sealed.header, HolderIndex(holder as u8), sealed_box).expect("a seat")
    }

    /// Checks an upload as the coordinator does.
    pub(crate) fn check(
        &self,
        upload: &Upload,
    ) -> Result<(), covey_aggregation::sum::contribution::BadContribution> {
        let mut check = ContributionCheck::new(&self.config, &upload.sealed.header)?;
        check.correction(&upload.sealed.correction)?;
        for (holder, sealed_box) in (0..).map(HolderIndex).zip(&upload.sealed.boxes) {
            check.sealed_box(holder, sealed_box)?;
        }
        for (index, chunk) in (0..).zip(&upload.chunks) {
            check.chunk(index, chunk)?;
        }
        check.finish()
    }

    /// Opens an upload's box as holder `holder`.
    pub(crate) fn seeds(&self, upload: &Upload, holder: usize) -> Seeds {
        let (index, envelope) = (HolderIndex(holder as u8), self.envelope(upload, holder));
        check_envelope(&self.config, &self.round_ctx, index, &envelope).expect("a good envelope");
        open_envelope(&self.config, &self.round_ctx, index, &self.secrets[holder], &envelope)
            .unwrap_or_else(|complaint| panic!("holder {holder} complains: {complaint:?}"))
    }

    /// The component sums of holder `holder` over seeds it has opened.
    pub(crate) fn sums(&self, holder: usize, seeds: &[(PartyId, Seeds)]) -> Vec<Vec<u8>> {
        let seeds = seeds.iter().map(|(client, seeds)| (*client, seeds));
        component_sums(&self.config, &self.round_ctx, HolderIndex(holder as u8), seeds)
    }

    /// Every holder's release over these uploads.
    pub(crate) fn releases(&self, uploads: &[Upload]) -> Vec<Vec<Vec<u8>>> {
        (0..self.config.shape.members())
            .map(|holder| {
                let seeds: Vec<_> = uploads
                    .iter()
                    .map(|upload| (upload.client(), self.seeds(upload, holder)))
                    .collect();
                self.sums(holder, &seeds)
            })
            .collect()
    }

    /// Combines the releases of some holders; `releases` has all holders up to the last of them.
    pub(crate) fn combine(&self, releases: &[Vec<Vec<u8>>], holders: &[usize]) -> Combined {
        let given: Vec<_> =
            holders.iter().map(|&h| (HolderIndex(h as u8), releases[h].as_slice())).collect();
        combine(&self.config, &given)
    }

    /// Adds uploads.
    pub(crate) fn add(&self, accumulator: &mut Accumulator, upload: &Upload) {
        accumulator.add_correction(&upload.sealed.correction).expect("a good correction");
        for (index, chunk) in (0..).zip(&upload.chunks) {
            accumulator.add_chunk(index, chunk).expect("a good chunk");
        }
    }

    /// From uploads to the aggregate, with all holders honest.
    pub(crate) fn open(&self, uploads: &[Upload]) -> Aggregate {
        let mut accumulator = Accumulator::new(&self.config).expect("valid terms");
        for upload in uploads {
            self.add(&mut accumulator, upload);
        }
        let releases = self.releases(uploads);
        let all: Vec<usize> = (0..self.config.shape.members()).collect();
        let combined = self.combine(&releases, &all);
        assert!(combined.liars.is_empty());
        let components = agreed(&combined);
        let count = uploads.len() as u32;
        let key_sum =
            KeySum::recover(&self.config, &accumulator, &components, count).expect("short");
        open(&self.config, &self.round_ctx, &accumulator, &key_sum, count).expect("opens")
    }
}

/// The components, all of them agreed.
pub(crate) fn agreed(combined: &Combined) -> Vec<Vec<u8>> {
    combined.components.iter().map(|one| one.clone().expect("agreed")).collect()
}

/// An upload of client 0 with its header changed and signed again by the client itself.
pub(crate) fn resigned(fixture: &Fixture, change: impl FnOnce(&mut Upload)) -> Upload {
    let mut upload = fixture.seal(0, &[5; 300], 1);
    change(&mut upload);
    upload.sealed.header = SignedHeader::sign(upload.sealed.header.header.clone(), &client(0));
    upload
}
