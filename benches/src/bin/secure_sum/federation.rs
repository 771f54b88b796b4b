//! Terms, holders and owners of one measurement.

use std::convert::Infallible;
use std::hint::black_box;

use covey_aggregation::config::{
    Audit, CommitteeShape, HolderIndex, Packing, Profile, Quantiser, RoundConfig, Weighting,
};
use covey_aggregation::message::Envelope;
use covey_aggregation::sum::path::Path;
use covey_aggregation::sum::quantise::{Quantised, quantise};
use covey_aggregation::sum::seal::{ChunkSink, Sealed, seal};
use covey_aggregation::sum::sealed_box::SealingSecret;
use covey_benches::{Figure, RoundChoice, Terms, identity};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use zeroize::Zeroizing;

/// What a measurement chooses.
#[derive(Clone, Copy)]
pub(crate) struct Choice {
    pub(crate) profile: Profile,
    pub(crate) shape: CommitteeShape,
    pub(crate) dimension: u64,
    pub(crate) contributions_max: u32,
    pub(crate) bits: u8,
}

/// A round about to be measured.
pub(crate) struct Federation {
    pub(crate) config: RoundConfig,
    pub(crate) secrets: Vec<SealingSecret>,
    pub(crate) terms: Terms,
}

impl Federation {
    pub(crate) fn new(choice: Choice) -> Self {
        let Choice { profile, shape, dimension, contributions_max, bits } = choice;
        let quantiser =
            Quantiser { bits, range: 0.1, clip_norm: 1e4, weighting: Weighting::Uniform };
        let audit = Audit::Off;
        let round = RoundChoice { profile, shape, dimension, contributions_max, quantiser, audit };
        let (config, secrets) = round.round();
        let packing = config.packing;
        let Packing { lanes, lane_bits, noise_bits } = packing;
        let holders = shape.members();
        let text = format!(
            "{profile:?} m={holders} d={dimension} n={contributions_max} w={bits} \
             {lanes}/{lane_bits}/{noise_bits}"
        );
        let terms = Terms {
            text,
            d: dimension,
            n_max: contributions_max,
            w: bits,
            profile: format!("{profile:?}"),
            holders,
            path: Path::current().name(),
        };
        Self { config, secrets, terms }
    }

    /// Runs of each measurement.
    pub(crate) const fn repeats(&self) -> usize {
        match self.config.dimension {
            0..=200_000 => 25,
            200_001..=2_000_000 => 9,
            2_000_001..=20_000_000 => 3,
            _ => 1,
        }
    }

    /// Nanoseconds per parameter.
    pub(crate) fn per(&self, ns: f64) -> f64 {
        ns / self.config.dimension as f64
    }

    pub(crate) fn figure(&self, name: &'static str, ns: f64) -> Figure {
        Figure::new(name, &self.terms, self.per(ns), "ns/parameter")
    }

    pub(crate) fn quantise(&self, update: &[f32]) -> Quantised {
        let mut rng = ChaCha8Rng::seed_from_u64(9);
        quantise(update, &self.config.quantiser, 1, &mut rng).expect("finite")
    }

    pub(crate) fn seal(&self, client: u8, update: &Quantised, sink: &mut Vec<Vec<u8>>) -> Sealed {
        sink.clear();
        seal(&self.config, &identity(client), update, &entropy(client), sink).expect("seals")
    }
}

pub(crate) fn entropy(client: u8) -> Zeroizing<[u8; 32]> {
    Zeroizing::new([client; 32])
}

pub(crate) fn holder(index: usize) -> HolderIndex {
    HolderIndex(index as u8)
}

pub(crate) fn envelope(sealed: &Sealed, index: usize) -> Envelope {
    let sealed_box = sealed.boxes[index].clone();
    Envelope::new(&sealed.header, holder(index), sealed_box).expect("a seat of the committee")
}

pub(crate) fn update(dimension: u64) -> Vec<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    (0..dimension).map(|_| rng.random_range(-0.1f32..0.1)).collect()
}

/// A sink that only looks at the bytes.
pub(crate) struct Counting(pub(crate) u64);

impl ChunkSink for Counting {
    type Error = Infallible;

    fn chunk(&mut self, _index: u32, bytes: &[u8]) -> Result<(), Self::Error> {
        self.0 += black_box(bytes).len() as u64;
        Ok(())
    }
}
