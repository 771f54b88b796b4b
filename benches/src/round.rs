//! A round's terms and its committee, as every bench needs them.

use covey_aggregation::config::{
    Audit, CommitteeShape, KeyLayer, Packing, Profile, Quantiser, RoundConfig, Seat,
};
use covey_aggregation::hash::Digest;
use covey_aggregation::signing::Identity;
use covey_aggregation::sum::sealed_box::SealingSecret;
use zeroize::Zeroizing;

/// What a bench chooses of a round.
#[derive(Clone, Copy)]
pub struct RoundChoice {
    /// Ring and modulus.
    pub profile: Profile,
    /// The committee.
    pub shape: CommitteeShape,
    /// Parameters.
    pub dimension: u64,
    /// Most contributions.
    pub contributions_max: u32,
    /// How an update becomes integers.
    pub quantiser: Quantiser,
    /// Whether contributions are audited.
    pub audit: Audit,
}

impl RoundChoice {
    /// The round's terms, and its holders' secrets in their order.
    ///
    /// # Panics
    /// When no packing fits: a bench chooses what has one.
    #[must_use]
    pub fn round(&self) -> (RoundConfig, Vec<SealingSecret>) {
        let secret = |h| SealingSecret::from_seed(&Zeroizing::new([h as u8 + 1; 96]));
        let secrets: Vec<_> = (0..self.shape.members()).map(secret).collect();
        let seat = |(h, secret): (usize, &SealingSecret)| Seat {
            holder: identity(100 + h as u8).id(),
            sealing_key: secret.public(),
        };
        let mut config = RoundConfig {
            federation: Digest([1; 32]),
            run: Digest([2; 32]),
            round: 1,
            plan: Digest([3; 32]),
            manifest: Digest([4; 32]),
            model: Digest([5; 32]),
            dimension: self.dimension,
            profile: self.profile,
            key_layer: KeyLayer::ReplicatedSeeds,
            quantiser: self.quantiser,
            counters: 0,
            control: None,
            noise: None,
            // Follows from the rest.
            packing: Packing { lanes: 1, lane_bits: 1, noise_bits: 1 },
            contributions_min: 2,
            contributions_max: self.contributions_max,
            shape: self.shape,
            committee: secrets.iter().enumerate().map(seat).collect(),
            cohort: Digest([6; 32]),
            beacon_commitments: Vec::new(),
            audit: self.audit,
            credit: None,
            collect_ms: 1000,
        };
        config.packing = config.derive_packing().expect("a packing exists");
        (config, secrets)
    }
}

/// A deterministic identity.
#[must_use]
pub fn identity(index: u8) -> Identity {
    Identity::from_seed(&Zeroizing::new([index; 32]))
}
