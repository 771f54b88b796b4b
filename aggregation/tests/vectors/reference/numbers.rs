//! Sizes, from their definitions.

/// k, L and R for given log2 q, largest P, w and n: L holds `n (2^w - 1)`; R is the least with
/// `2^R >= n + 4 + 128 n 2^P / 2^(log2 q)`; k is the largest for which P = k L + R fits.
pub(crate) fn packing(modulus_bits: u32, pad_bits_max: u32, w: u32, n: u64) -> (u32, u32, u32) {
    let mut lane_bits = 0;
    while 1u128 << lane_bits <= u128::from(n) * ((1 << w) - 1) {
        lane_bits += 1;
    }
    let mut best = (0, lane_bits, 0);
    for lanes in 1..=pad_bits_max / lane_bits {
        let noise_bits = (1..pad_bits_max - lanes * lane_bits + 1).find(|noise_bits| {
            // Both sides times 2^(log2 q) / 2^P.
            let finer = modulus_bits - (lanes * lane_bits + noise_bits);
            let n = u128::from(n);
            1u128 << (noise_bits + finer) >= ((n + 4) << finer) + 128 * n
        });
        if let Some(noise_bits) = noise_bits {
            best = (lanes, lane_bits, noise_bits);
        }
    }
    best
}

/// Coefficients that travel of each chunk, for `coordinates` in `lanes` lanes of a ring of `n`.
pub(crate) fn chunk_coefficients(coordinates: u64, lanes: u64, n: u64) -> Vec<u64> {
    let mut rest = coordinates;
    let mut chunks = Vec::new();
    while rest > 0 {
        let here = rest.min(n * lanes);
        chunks.push((here.div_ceil(lanes).div_ceil(8) * 8).min(n));
        rest -= here;
    }
    chunks
}

/// Units of an update, without an optimisation: clip, clamp, weigh, divide, round at random.
pub(crate) struct Rule {
    pub(crate) bits: u32,
    pub(crate) range: f32,
    pub(crate) clip_norm: f32,
    pub(crate) cap: Option<u64>,
}

impl Rule {
    pub(crate) fn units(&self, update: &[f32], weight: u64, random: &[u8]) -> Vec<i64> {
        let max = f64::from((1u32 << (self.bits - 1)) - 1);
        let range = f64::from(self.range);
        let clip = (f64::from(self.clip_norm) / norm(update)).min(1.0);
        let share = self.cap.map_or(1.0, |cap| weight as f64 / cap as f64);
        let scale = share * max / range;
        let unit = |(value, random): (&f32, &[u8])| {
            let clamped = (f64::from(*value) * clip).clamp(-range, range);
            let units = (clamped * scale).clamp(-max, max);
            let random = u32::from_le_bytes(random.try_into().expect("4 bytes"));
            let fixed = (units * 4_294_967_296.0).round_ties_even() as i64;
            (fixed + i64::from(random)).div_euclid(1 << 32)
        };
        update.iter().zip(random.chunks(4)).map(unit).collect()
    }
}

/// The Euclidean norm in binary64, in the order that is part of the format: value i of the whole
/// blocks of sixteen is added to sum `i mod 16`, then those sums in order, then the rest's sum.
fn norm(update: &[f32]) -> f64 {
    let whole = update.len() / 16 * 16;
    let mut sums = [0f64; 16];
    for (i, x) in update[..whole].iter().enumerate() {
        sums[i % 16] += f64::from(*x) * f64::from(*x);
    }
    let rest: f64 = update[whole..].iter().map(|x| f64::from(*x) * f64::from(*x)).sum();
    (sums.iter().sum::<f64>() + rest).sqrt()
}
