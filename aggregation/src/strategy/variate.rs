//! SCAFFOLD at the owner (Karimireddy et al., 2020, algorithm 1 with option II): c is the
//! federation's control variate, c_i the owner's.

use crate::config::Control;
use crate::hash::{Digest, Domain, Hasher};
use crate::sum::quantise::Quantised;

/// Digest of the federation's control variate as owners take it, bound to the model's manifest:
/// over its length and the little-endian bytes of every number.
#[must_use]
pub fn variate_digest(manifest: &Digest, variate: &[f32]) -> Digest {
    let mut hasher = Hasher::new(Domain::Variate);
    hasher.part(&manifest.0);
    hasher.raw(&(variate.len() as u64).to_le_bytes());
    for block in variate.chunks(4096) {
        let bytes: Vec<u8> = block.iter().flat_map(|number| number.to_le_bytes()).collect();
        hasher.raw(&bytes);
    }
    hasher.finish()
}

/// What is added to every gradient of local training: `c - c_i`.
#[must_use]
pub fn gradient_offset(variate: &[f32], own: &[f64]) -> Vec<f32> {
    variate.iter().zip(own).map(|(c, own)| (f64::from(*c) - own) as f32).collect()
}

/// The change of the owner's control variate by a round's training: `c_i+ - c_i`, with
/// `c_i+ = c_i - c + (x - y) / (K eta_l)` (option II). `update` is `y - x`; `lr_sum` is K eta_l, or
/// the sum of the learning rates of all K steps where they differ. None when there was no step.
#[must_use]
pub fn control_change(variate: &[f32], update: &[f32], lr_sum: f64) -> Option<Vec<f32>> {
    let is_usable = lr_sum.is_finite() && lr_sum > 0.0;
    let change = |(c, moved): (&f32, &f32)| (-f64::from(*c) - f64::from(*moved) / lr_sum) as f32;
    is_usable.then(|| variate.iter().zip(update).map(change).collect())
}

/// The change that was really sent: clipped and rounded. The owner adds this, and nothing else,
/// to its control variate when the round's end says that it was counted; so the federation's
/// variate stays the mean of the owners'.
#[must_use]
pub fn sent_change(quantised: &Quantised, control: &Control) -> Vec<f64> {
    let step = control.quantiser(quantised.quantiser().bits).step();
    quantised.control_units().map(|unit| f64::from(unit) * step).collect()
}
