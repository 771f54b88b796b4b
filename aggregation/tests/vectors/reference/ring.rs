//! Arithmetic of the ring, from its definition.

use super::bytes::{Stream, hash, pack, unpack};

/// q1 and q2.
pub(crate) const PRIMES: [u64; 2] = [(1 << 50) - (1 << 14) + 1, (1 << 50) - 13 * (1 << 14) + 1];

/// Profile A or B.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Ring {
    pub(crate) n: usize,
    pub(crate) primes: &'static [u64],
    pub(crate) modulus_bits: u32,
    pub(crate) pad_bits_max: u32,
}

impl Ring {
    pub(crate) fn of(profile: &str) -> Self {
        match profile {
            "A" => Self { n: 2048, primes: &PRIMES[..1], modulus_bits: 50, pad_bits_max: 46 },
            "B" => Self { n: 4096, primes: &PRIMES, modulus_bits: 100, pad_bits_max: 96 },
            other => panic!("no profile {other}"),
        }
    }

    pub(crate) fn modulus(self) -> u128 {
        self.primes.iter().map(|q| u128::from(*q)).product()
    }

    /// A vector over Z_q from its bytes, one list for each prime.
    pub(crate) fn residues(self, bytes: &[u8]) -> Vec<Vec<u64>> {
        let words = unpack(bytes, 50);
        let limb = |l: usize| {
            words.iter().skip(l).step_by(self.primes.len()).map(|word| *word as u64).collect()
        };
        (0..self.primes.len()).map(limb).collect()
    }

    pub(crate) fn bytes(self, limbs: &[Vec<u64>]) -> Vec<u8> {
        let words: Vec<u128> =
            (0..self.n).flat_map(|i| limbs.iter().map(move |limb| u128::from(limb[i]))).collect();
        pack(&words, 50)
    }

    /// A seed's vector over Z_q.
    pub(crate) fn expand(self, seed: &[u8], round_ctx: &[u8], client: &[u8]) -> Vec<Vec<u64>> {
        let key = hash("share", &[seed, round_ctx, client]);
        (0..).zip(self.primes).map(|(l, q)| Stream::new(&key, l).uniform(*q, self.n)).collect()
    }

    /// Adds (or subtracts) vectors over Z_q.
    pub(crate) fn add(self, sum: &mut [Vec<u64>], other: &[Vec<u64>], negative: bool) {
        for ((sum, other), q) in sum.iter_mut().zip(other).zip(self.primes) {
            for (sum, x) in sum.iter_mut().zip(other) {
                *sum = (*sum + if negative { q - x } else { *x }) % q;
            }
        }
    }

    /// A short key from its residues: the same small integer in every prime.
    pub(crate) fn short(self, limbs: &[Vec<u64>], bound: i64) -> Vec<i64> {
        let centred = |x: u64, q: u64| if x > q / 2 { x as i64 - q as i64 } else { x as i64 };
        let entry = |i: usize| {
            let entry = centred(limbs[0][i], self.primes[0]);
            let equal =
                limbs.iter().zip(self.primes).all(|(limb, q)| centred(limb[i], *q) == entry);
            assert!(equal && entry.abs() <= bound, "entry {i} is not short");
            entry
        };
        (0..self.n).map(entry).collect()
    }

    /// The mask A of a chunk as a polynomial. Value i of the stream is `A(root^(2 rev(i) + 1))`,
    /// rev reversing log2 N bits: interpolation gives
    /// `a_c = 1/N sum over i of value_i root^(-(2 rev(i) + 1) c)`.
    pub(crate) fn mask(self, round_ctx: &[u8], chunk: u64, limb: usize) -> Vec<u64> {
        let (q, n) = (self.primes[limb], self.n);
        let key = hash("mask", &[round_ctx]);
        let values = Stream::new(&key, 4 * chunk + limb as u64).uniform(q, n);
        let inverse = power(root(q, n), q - 2, q);
        let bits = n.trailing_zeros();
        let mut sums = vec![0u64; n];
        for (i, value) in values.iter().enumerate() {
            let reversed = (i as u64).reverse_bits() >> (64 - bits);
            let step = power(inverse, 2 * reversed + 1, q);
            let mut term = *value;
            for sum in &mut sums {
                *sum = (*sum + term) % q;
                term = times(term, step, q);
            }
        }
        let length = power(n as u64, q - 2, q);
        sums.iter().map(|sum| times(*sum, length, q)).collect()
    }

    /// `round((A s + e) 2^P / q) mod 2^P` for the first coefficients of a chunk: schoolbook
    /// product modulo X^N + 1, remainders put together, long division.
    pub(crate) fn pad(
        self,
        (round_ctx, chunk, bits): (&[u8], u64, u32),
        key: &[i64],
        noise: &[i64],
        coefficients: usize,
    ) -> Vec<Scaled> {
        let masks: Vec<_> =
            (0..self.primes.len()).map(|l| self.mask(round_ctx, chunk, l)).collect();
        let coefficient = |c: usize| {
            let residue = |(mask, q): (&Vec<u64>, &u64)| {
                let product: i128 = (0..self.n)
                    .map(|i| {
                        let j = (c + self.n - i) % self.n;
                        let sign = if i <= c { 1 } else { -1 };
                        sign * i128::from(key[i]) * i128::from(mask[j])
                    })
                    .sum();
                (product + i128::from(noise[c])).rem_euclid(i128::from(*q)) as u64
            };
            let residues: Vec<u64> = masks.iter().zip(self.primes).map(residue).collect();
            self.scaled(&residues, bits)
        };
        (0..coefficients).map(coefficient).collect()
    }

    /// The rounding of the format: `x = x1 + q1 t`, and
    /// `(t floor(2^(P+64) / q2) + x1 floor(2^(P+64) / q) + 2^63) / 2^64`, rounded down.
    fn fixed_point(self, x: u128, bits: u32) -> u128 {
        let (q1, rest) = (u128::from(self.primes[0]), self.modulus() / u128::from(self.primes[0]));
        let (t, x1) = (x / q1, x % q1);
        let factor = if rest == 1 { 0 } else { power_of_two_over(bits + 64, rest) };
        let low = t * (factor % (1 << 64)) + x1 * power_of_two_over(bits + 64, self.modulus());
        t * (factor >> 64) + ((low + (1 << 63)) >> 64)
    }

    /// `x 2^P / q`, rounded, from the residues of x.
    fn scaled(self, residues: &[u64], bits: u32) -> Scaled {
        let q = self.modulus();
        let x = match residues {
            [x] => u128::from(*x),
            [x1, x2] => {
                let (q1, q2) = (self.primes[0], self.primes[1]);
                let difference = (x2 + 2 * q2 - x1) % q2;
                let t = times(difference, power(q1 % q2, q2 - 2, q2), q2);
                u128::from(*x1) + u128::from(q1) * u128::from(t)
            }
            _ => unreachable!("one or two primes"),
        };
        let (mut quotient, mut rest) = (0u128, x);
        for _ in 0..bits {
            rest *= 2;
            quotient = quotient * 2 + u128::from(rest >= q);
            rest %= q;
        }
        let mask = (1u128 << bits) - 1;
        let up = u128::from(2 * rest > q);
        Scaled {
            fixed: self.fixed_point(x, bits) & mask,
            nearest: (quotient + up) & mask,
            // An implementation may round with an error of 2^-13 of a unit (README, step 5).
            other: (rest.abs_diff(q / 2) <= (q >> 13) + 1).then_some((quotient + 1 - up) & mask),
        }
    }
}

/// `floor(2^exponent / divisor)`.
fn power_of_two_over(exponent: u32, divisor: u128) -> u128 {
    (0..exponent)
        .fold((0u128, 1u128), |(quotient, rest), _| {
            (quotient * 2 + rest * 2 / divisor, rest * 2 % divisor)
        })
        .0
}

/// A rounded quotient, and its neighbour where the two are nearly as near.
pub(crate) struct Scaled {
    /// As the format rounds.
    pub(crate) fixed: u128,
    nearest: u128,
    other: Option<u128>,
}

impl Scaled {
    pub(crate) fn accepts(&self, word: u128) -> bool {
        word == self.nearest || Some(word) == self.other
    }
}

/// `a b mod q` for q a little below 2^50: what lies above 50 bits is folded down.
pub(crate) fn times(a: u64, b: u64, q: u64) -> u64 {
    let fold = (1u64 << 50) - q;
    let product = u128::from(a) * u128::from(b);
    let once = (product >> 50) * u128::from(fold) + product % (1 << 50);
    let twice = (once >> 50) as u64 * fold + once as u64 % (1 << 50);
    twice % q
}

pub(crate) fn power(base: u64, mut exponent: u64, q: u64) -> u64 {
    let (mut square, mut power) = (base, 1);
    while exponent > 0 {
        if exponent % 2 == 1 {
            power = times(power, square, q);
        }
        square = times(square, square, q);
        exponent /= 2;
    }
    power
}

/// The root that the masks refer to, a 2N-th root of unity (`pad.json`, field `roots`).
pub(crate) fn root(q: u64, n: usize) -> u64 {
    let found = ROOTS.iter().find(|(prime, length, _)| *prime == q && *length == n);
    found.expect("a root for every prime and length").2
}

/// (prime, N, root).
pub(crate) const ROOTS: [(u64, usize, u64); 3] = [
    (PRIMES[0], 2048, 765_727_830_662_934),
    (PRIMES[0], 4096, 1_094_367_314_627_419),
    (PRIMES[1], 4096, 709_280_883_825_816),
];

/// Whether `root` is a primitive 2N-th root of unity: its N-th power is -1.
pub(crate) fn is_root(q: u64, n: usize, root: u64) -> bool {
    power(root, n as u64, q) == q - 1
}
