//! Exactly one round's terms. Holders countersign them, clients check the countersignatures, and
//! every message of the round carries their hash, `round_ctx`.

mod committee;
mod noise;
mod packing;
mod summands;

use serde::{Deserialize, Serialize};

pub use self::committee::{CommitteeShape, Component, HolderIndex, SealingKey, Seat};
pub use self::noise::{BadNoise, Noise, NoiseBounds, NoisePlan};
pub use self::packing::{Packing, Profile};

use crate::audit::terms::BadTerms as BadAudit;
use crate::credit::{BadCredit, CreditConfig};
use crate::hash::{Digest, Domain, hash};
use crate::limits::{
    AUDITED_CONTRIBUTIONS_MAX, CONTRIBUTIONS_FLOOR, CONTRIBUTIONS_MAX, COUNTER_DIGITS, COUNTER_MAX,
    COUNTERS_MAX, PARAMETERS_MAX, QUANTISED_BITS_MAX, QUANTISED_BITS_MIN, SENTINELS, WEIGHT_DIGITS,
    WEIGHT_MAX,
};
use crate::party::PartyId;
use crate::wire;

/// How the client's key reaches the committee. In the format so that another can be added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum KeyLayer {
    /// Replicated sharing in which every component is a seed sealed to its holders.
    ReplicatedSeeds,
}

/// How owners count in the average.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Weighting {
    /// Every owner alike.
    Uniform,
    /// By number of examples up to this cap; weights travel inside the encryption.
    CappedExamples(u32),
}

/// How an update becomes integers.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Quantiser {
    /// w: bits of a coordinate.
    pub bits: u8,
    /// Bound of a coordinate's absolute value; one step is `range / (2^(w-1) - 1)`.
    pub range: f32,
    /// Bound of the update's L2 norm; a longer update is scaled down.
    pub clip_norm: f32,
    /// How owners count.
    pub weighting: Weighting,
}

impl Quantiser {
    /// The offset that makes coordinates non-negative: 2^(w-1).
    #[must_use]
    pub const fn offset(&self) -> u32 {
        1 << (self.bits - 1)
    }

    /// Largest absolute quantised value: 2^(w-1) - 1.
    #[must_use]
    pub const fn magnitude_max(&self) -> u32 {
        self.offset() - 1
    }

    /// The real value of one unit.
    #[must_use]
    pub fn step(&self) -> f64 {
        f64::from(self.range) / f64::from(self.magnitude_max())
    }

    /// Largest counter of one owner: what its digits hold, and at most [`COUNTER_MAX`].
    #[must_use]
    pub const fn counter_max(&self) -> u64 {
        let bits = COUNTER_DIGITS as u32 * self.bits as u32;
        let held = if bits < u64::BITS { (1 << bits) - 1 } else { u64::MAX };
        if held < COUNTER_MAX { held } else { COUNTER_MAX }
    }
}

/// A second vector inside every contribution: the change of an owner's control variate (SCAFFOLD;
/// Karimireddy et al., 2020). As long as the update and as wide, clipped and scaled on its own;
/// every owner's counts alike, whatever the weighting of the updates.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Control {
    /// Bound of a coordinate's absolute value.
    pub range: f32,
    /// Bound of the vector's L2 norm.
    pub clip_norm: f32,
    /// N: owners over whom the federation's control variate is a mean.
    pub owners: u32,
    /// Digest of the federation's control variate, which owners start from.
    pub variate: Digest,
}

impl Control {
    /// How the vector becomes integers of `bits` bits.
    #[must_use]
    pub const fn quantiser(&self, bits: u8) -> Quantiser {
        let (range, clip_norm) = (self.range, self.clip_norm);
        Quantiser { bits, range, clip_norm, weighting: Weighting::Uniform }
    }
}

/// Whether contributions are audited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Audit {
    /// Updates are range-limited by their lanes, nothing else is checked, and no credit is given.
    Off,
    /// The closed audit of [`crate::audit`]: norms are bounded, nothing but pass or fail and the
    /// credit's numbers comes out.
    Closed {
        /// J: random linear forms over all coefficients.
        rows: u16,
    },
}

/// A round's terms.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RoundConfig {
    /// Digest of the roster that everybody has pinned.
    pub federation: Digest,
    /// The run: random, chosen once when a plan is launched.
    pub run: Digest,
    /// From 1.
    pub round: u32,
    /// Digest of the plan's bytes.
    pub plan: Digest,
    /// Digest of the manifest of the model's parameters.
    pub manifest: Digest,
    /// Digest of the parameters that owners start from.
    pub model: Digest,
    /// d: parameters in the vector.
    pub dimension: u64,
    /// Ring and modulus.
    pub profile: Profile,
    /// How keys are shared.
    pub key_layer: KeyLayer,
    /// How an update becomes integers.
    pub quantiser: Quantiser,
    /// Counters that travel beside the update, each summed exactly; the plan says what they count.
    pub counters: u16,
    /// The second vector, if there is one.
    pub control: Option<Control>,
    /// Noise that every contribution carries, if any.
    pub noise: Option<Noise>,
    /// Must equal [`RoundConfig::derive_packing`].
    pub packing: Packing,
    /// Fewest contributions that may be opened.
    pub contributions_min: u32,
    /// Most contributions that may be summed.
    pub contributions_max: u32,
    /// m, f and Q.
    pub shape: CommitteeShape,
    /// The committee, in order.
    pub committee: Vec<Seat>,
    /// Digest of the ordered list of admitted clients ([`cohort_digest`]).
    pub cohort: Digest,
    /// H(kappa_T) of the beacon keys, one per component, when the audit is on; empty when off.
    pub beacon_commitments: Vec<Digest>,
    /// Audit terms.
    pub audit: Audit,
    /// How credit is measured, where it is: only with the audit.
    pub credit: Option<CreditConfig>,
    /// Length of Collect in milliseconds, for clients to plan by.
    pub collect_ms: u64,
}

/// A configuration that nobody should sign.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadConfig {
    /// n_min or n_max out of bounds.
    #[error(
        "contributions {min}..={max}: need {CONTRIBUTIONS_FLOOR} <= minimum <= maximum <= {CONTRIBUTIONS_MAX}"
    )]
    Contributions {
        /// Minimum asked.
        min: u32,
        /// Maximum asked.
        max: u32,
    },
    /// Width, range or clip make no quantiser.
    #[error("quantiser: {0}")]
    Quantiser(&'static str),
    /// The dimension is zero or beyond the limit.
    #[error("dimension {0}: need 1..={PARAMETERS_MAX}")]
    Dimension(u64),
    /// More counters than may travel.
    #[error("{0} counters: at most {COUNTERS_MAX}")]
    Counters(u16),
    /// The second vector has no usable range, clip or number of owners.
    #[error("control: {0}")]
    Control(&'static str),
    /// Noise that cannot be drawn, hidden or accounted for.
    #[error("noise: {0}")]
    Noise(#[from] BadNoise),
    /// Not the packing that the other fields imply.
    #[error("packing {got:?}, expected {expected:?}")]
    Packing {
        /// As configured.
        got: Packing,
        /// As derived.
        expected: Option<Packing>,
    },
    /// Seats do not fit the shape, or a party sits twice, or a key has the wrong length.
    #[error("committee: {0}")]
    Committee(&'static str),
    /// Beacon commitments without an audit, or not one for each component.
    #[error("beacon commitments: {0}")]
    Beacons(&'static str),
    /// The round cannot be audited.
    #[error("the audit: {0}")]
    Audit(#[from] BadAudit),
    /// Credit cannot be measured.
    #[error("the credit: {0}")]
    Credit(#[from] BadCredit),
    /// More contributions than an audited round may have.
    #[error("at most {0} contributions: an audited round has at most {AUDITED_CONTRIBUTIONS_MAX}")]
    Audited(u32),
    /// Rounds count from 1.
    #[error("round number 0: rounds count from 1")]
    Round,
}

impl RoundConfig {
    /// `round_ctx`.
    #[must_use]
    pub fn context(&self) -> Digest {
        hash(Domain::RoundConfig, &[&wire::encode(self)])
    }

    /// Everything that can be checked without knowing who is asked.
    ///
    /// # Errors
    /// [`BadConfig`] by the first field that is wrong.
    pub fn validate(&self) -> Result<(), BadConfig> {
        let (min, max) = (self.contributions_min, self.contributions_max);
        if min < CONTRIBUTIONS_FLOOR || min > max || max > CONTRIBUTIONS_MAX {
            return Err(BadConfig::Contributions { min, max });
        }
        if self.round == 0 {
            return Err(BadConfig::Round);
        }
        self.validate_audit()?;
        if let Some(credit) = &self.credit {
            credit.validate(self)?;
        }
        self.validate_layout()
    }

    fn validate_audit(&self) -> Result<(), BadConfig> {
        if self.audit == Audit::Off {
            let none = self.beacon_commitments.is_empty();
            let why = "the audit is off, there must be none";
            return none.then_some(()).ok_or(BadConfig::Beacons(why));
        }
        if self.contributions_max > AUDITED_CONTRIBUTIONS_MAX {
            return Err(BadConfig::Audited(self.contributions_max));
        }
        if self.beacon_commitments.len() != self.shape.components().len() {
            return Err(BadConfig::Beacons("one for each component"));
        }
        crate::audit::Terms::new(self)?;
        Ok(())
    }

    /// Most examples that an owner declares beside its proof: the cap of the weights, where there are
    /// any; else 1, as all count alike. What is declared is the weight of an audited sum: of the
    /// weight that is sealed nobody can tell who made it impossible.
    #[must_use]
    pub const fn declared_max(&self) -> u32 {
        match (self.audit, self.quantiser.weighting) {
            (Audit::Closed { .. }, Weighting::CappedExamples(cap)) => cap,
            _ => 1,
        }
    }

    /// Whether the round is audited.
    #[must_use]
    pub const fn is_audited(&self) -> bool {
        matches!(self.audit, Audit::Closed { .. })
    }

    /// Checks what every length and place follows from: quantiser, dimension, bounds, packing and
    /// committee. All that the layer of the sum needs, which also sums two.
    ///
    /// # Errors
    /// [`BadConfig`] by the first field that is wrong.
    pub fn validate_layout(&self) -> Result<(), BadConfig> {
        let (min, max) = (self.contributions_min, self.contributions_max);
        if min == 0 || min > max || self.summands_max() > CONTRIBUTIONS_MAX {
            return Err(BadConfig::Contributions { min, max });
        }
        if self.dimension == 0 || self.dimension > PARAMETERS_MAX {
            return Err(BadConfig::Dimension(self.dimension));
        }
        if self.counters > COUNTERS_MAX {
            return Err(BadConfig::Counters(self.counters));
        }
        self.validate_quantiser()?;
        self.validate_control()?;
        self.validate_noise()?;
        let expected = self.derive_packing();
        if expected != Some(self.packing) {
            return Err(BadConfig::Packing { got: self.packing, expected });
        }
        self.validate_committee()
    }

    /// The packing that the other fields imply; `None` where none fits.
    #[must_use]
    pub fn derive_packing(&self) -> Option<Packing> {
        match self.audit {
            Audit::Off => Packing::derive(self.profile, self.quantiser.bits, self.summands_max()),
            Audit::Closed { .. } => crate::audit::Terms::new(self).ok().map(|terms| terms.packing),
        }
    }

    fn validate_quantiser(&self) -> Result<(), BadConfig> {
        let quantiser = &self.quantiser;
        if !(QUANTISED_BITS_MIN..=QUANTISED_BITS_MAX).contains(&quantiser.bits) {
            return Err(BadConfig::Quantiser("bits must be 2..=16"));
        }
        if !positive(quantiser.range) || !positive(quantiser.clip_norm) {
            return Err(BadConfig::Quantiser("range and clip_norm must be positive numbers"));
        }
        match quantiser.weighting {
            Weighting::CappedExamples(cap) if cap == 0 || cap > WEIGHT_MAX => {
                Err(BadConfig::Quantiser("the example cap must be 1..=65535"))
            }
            Weighting::CappedExamples(cap)
                if u64::from(cap) >= 1 << (WEIGHT_DIGITS * usize::from(quantiser.bits)).min(32) =>
            {
                Err(BadConfig::Quantiser("the example cap does not fit the weight digits"))
            }
            _ => Ok(()),
        }
    }

    fn validate_control(&self) -> Result<(), BadConfig> {
        match &self.control {
            Some(Control { range, clip_norm, .. })
                if !positive(*range) || !positive(*clip_norm) =>
            {
                Err(BadConfig::Control("range and clip_norm must be positive numbers"))
            }
            Some(control) if control.owners < self.contributions_min => {
                Err(BadConfig::Control("fewer owners than must contribute"))
            }
            _ => Ok(()),
        }
    }

    fn validate_committee(&self) -> Result<(), BadConfig> {
        if self.committee.len() != self.shape.members() {
            return Err(BadConfig::Committee("as many seats as the shape says"));
        }
        let mut holders: Vec<_> = self.committee.iter().map(|seat| seat.holder).collect();
        holders.sort_unstable();
        holders.dedup();
        if holders.len() != self.committee.len() {
            return Err(BadConfig::Committee("a holder sits twice"));
        }
        if self.committee.iter().any(|seat| seat.sealing_key.ml_kem.len() != 1184) {
            return Err(BadConfig::Committee("an ML-KEM-768 key has 1184 bytes"));
        }
        Ok(())
    }

    /// The seat of `holder`, if it has one.
    #[must_use]
    pub fn seat_of(&self, holder: &PartyId) -> Option<HolderIndex> {
        let index = self.committee.iter().position(|seat| seat.holder == *holder)?;
        u8::try_from(index).ok().map(HolderIndex)
    }

    /// Coordinates of vectors: the update's, and as many of the control's where there is one; or the
    /// vote on the clip.
    #[must_use]
    pub const fn vector_coordinates(&self) -> u64 {
        let votes = match &self.noise {
            Some(noise) => noise.votes(),
            None => 0,
        };
        let control = if self.control.is_some() { self.dimension } else { 0 };
        self.dimension + control + votes
    }

    /// Coordinates that travel: those of the vectors, then [`SENTINELS`], then [`WEIGHT_DIGITS`],
    /// then [`COUNTER_DIGITS`] of each counter.
    #[must_use]
    pub const fn coordinates(&self) -> u64 {
        let counters = self.counters as u64 * COUNTER_DIGITS as u64;
        self.vector_coordinates() + SENTINELS as u64 + WEIGHT_DIGITS as u64 + counters
    }

    /// The coordinates behind the vectors: sentinels, digits, and the padding that the last chunk
    /// has.
    #[must_use]
    pub const fn rest(&self) -> std::ops::Range<u64> {
        let last = self.chunks() - 1;
        let of_last = self.chunk_coefficients(last) as u64 * self.packing.lanes as u64;
        self.vector_coordinates()..last as u64 * self.chunk_coordinates() + of_last
    }

    /// What is taken off coordinate `i` before it counts as an owner's own: the offset of units,
    /// the sentinels' value, the middle of a digit's range. It is the same for all owners.
    #[must_use]
    pub const fn centre(&self, i: u64) -> u16 {
        let vectors = self.vector_coordinates();
        let offset = self.quantiser.offset() as u16;
        if i < vectors {
            offset
        } else if i < vectors + SENTINELS as u64 {
            1
        } else if i < self.coordinates() {
            offset
        } else {
            0
        }
    }

    /// Coordinates of a whole chunk: N k.
    #[must_use]
    pub const fn chunk_coordinates(&self) -> u64 {
        self.profile.ring_dimension() as u64 * self.packing.lanes as u64
    }

    /// Chunks of a contribution.
    #[must_use]
    pub const fn chunks(&self) -> u32 {
        self.coordinates().div_ceil(self.chunk_coordinates()) as u32
    }

    /// Coefficients that travel of chunk `index`: N, but the last chunk is cut after the last
    /// coefficient in use (rounded up to 8, so that it ends on a byte).
    #[must_use]
    pub const fn chunk_coefficients(&self, index: u32) -> usize {
        let rest = self.coordinates() - index as u64 * self.chunk_coordinates();
        let used = rest.div_ceil(self.packing.lanes as u64).next_multiple_of(8);
        if used < self.profile.ring_dimension() as u64 {
            used as usize
        } else {
            self.profile.ring_dimension()
        }
    }

    /// Bytes of chunk `index`.
    #[must_use]
    pub const fn chunk_bytes(&self, index: u32) -> usize {
        self.chunk_coefficients(index) * self.packing.pad_bits() as usize / 8
    }

    /// Bytes of all chunks of one contribution.
    #[must_use]
    pub const fn payload_bytes(&self) -> u64 {
        let last = self.chunks() - 1;
        last as u64 * self.chunk_bytes(0) as u64 + self.chunk_bytes(last) as u64
    }

    /// Where coordinate `i` lies: chunk `i / (N k)`, and within it lane `i mod k` of coefficient
    /// `(i mod N k) / k`. (N k is a multiple of k, so the lane is `i mod k` over the whole vector.)
    #[must_use]
    pub const fn place(&self, i: u64) -> Place {
        let lanes = self.packing.lanes as u64;
        Place {
            chunk: (i / self.chunk_coordinates()) as u32,
            coefficient: (i % self.chunk_coordinates() / lanes) as usize,
            lane: (i % lanes) as u32,
        }
    }
}

fn positive(x: f32) -> bool {
    x.is_finite() && x > 0.0
}

/// Where a coordinate lies in a contribution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Chunk, from 0.
    pub chunk: u32,
    /// Coefficient within the chunk, from 0.
    pub coefficient: usize,
    /// Lane within the coefficient, from 0 (the lowest).
    pub lane: u32,
}

/// Digest of the admitted clients, which must be in ascending order.
#[must_use]
pub fn cohort_digest(clients: &[PartyId]) -> Digest {
    let parts: Vec<&[u8]> = clients.iter().map(|client| client.0.as_slice()).collect();
    hash(Domain::Cohort, &parts)
}

/// H(U): digest of the ordered header digests of a set, in the round `context`.
#[must_use]
pub fn set_digest(context: &Digest, headers: &[Digest]) -> Digest {
    let mut parts: Vec<&[u8]> = vec![&context.0];
    parts.extend(headers.iter().map(|header| header.0.as_slice()));
    hash(Domain::Set, &parts)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Terms with an empty committee, for tests of lengths and places.
    pub(crate) fn config(profile: Profile, bits: u8, n: u32, dimension: u64) -> RoundConfig {
        let weighting = Weighting::Uniform;
        RoundConfig {
            federation: Digest::ZERO,
            run: Digest::ZERO,
            round: 1,
            plan: Digest::ZERO,
            manifest: Digest::ZERO,
            model: Digest::ZERO,
            dimension,
            profile,
            key_layer: KeyLayer::ReplicatedSeeds,
            quantiser: Quantiser { bits, range: 1.0, clip_norm: 1.0, weighting },
            counters: 0,
            control: None,
            noise: None,
            packing: Packing::derive(profile, bits, n).expect("a packing exists"),
            contributions_min: 3,
            contributions_max: n,
            shape: CommitteeShape::Four,
            committee: Vec::new(),
            cohort: Digest::ZERO,
            beacon_commitments: Vec::new(),
            audit: Audit::Off,
            credit: None,
            collect_ms: 1,
        }
    }

    /// Bytes per parameter, to two digits, of the design note's table (section 3): profile B,
    /// zero failure.
    #[test]
    fn payload_is_the_design_notes_table() {
        let table = [
            (8, 10, 1.57),
            (8, 100, 2.05),
            (8, 1000, 2.56),
            (8, 10_000, 3.33),
            (12, 10, 2.10),
            (12, 100, 2.59),
            (12, 1000, 3.17),
            (12, 10_000, 3.83),
            (16, 10, 2.62),
            (16, 100, 3.17),
            (16, 1000, 3.71),
            (16, 10_000, 4.62),
        ];
        for (bits, n, expected) in table {
            for dimension in [1_000_000, 10_000_000] {
                let config = config(Profile::B, bits, n, dimension);
                let got = config.payload_bytes() as f64 / dimension as f64;
                assert!((got - expected).abs() < 0.006, "w = {bits}, n = {n}: {got}");
            }
        }
    }

    #[test]
    fn chunks_cover_the_coordinates_and_end_on_a_byte() {
        for (profile, lanes) in [(Profile::A, 2), (Profile::B, 5)] {
            for dimension in [1, 100, 20_000, 20_411, 20_412, 20_413, 50_000] {
                let config = config(profile, 8, 100, dimension);
                assert_eq!(config.packing.lanes, lanes);
                let last = config.chunks() - 1;
                let held: u64 = (0..=last).map(|i| config.chunk_coefficients(i) as u64).sum();
                let needed = config.coordinates().div_ceil(u64::from(lanes));
                assert!((needed..needed + 8).contains(&held), "{held} for {needed}");
                assert_eq!(config.place(config.coordinates() - 1).chunk, last);
                let bytes: u64 = (0..=last).map(|i| config.chunk_bytes(i) as u64).sum();
                assert_eq!(bytes, config.payload_bytes());
                assert_eq!(bytes * 8, held * u64::from(config.packing.pad_bits()));
            }
        }
    }

    #[test]
    fn place_is_the_index_formula() {
        // k = 4: a chunk is 4096 * 4 = 16,384 coordinates.
        let config = config(Profile::B, 8, 1000, 100_000);
        let place = |i| {
            let Place { chunk, coefficient, lane } = config.place(i);
            (chunk, coefficient, lane)
        };
        assert_eq!(place(0), (0, 0, 0));
        assert_eq!(place(3), (0, 0, 3));
        assert_eq!(place(4), (0, 1, 0));
        assert_eq!(place(16_383), (0, 4095, 3));
        assert_eq!(place(16_384), (1, 0, 0));
        assert_eq!(place(100_000), (6, 424, 0));
    }
}
