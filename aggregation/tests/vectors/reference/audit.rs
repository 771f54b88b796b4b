//! The closed audit of one contribution, from its public bytes and all components' seeds: every
//! product modulo both primes by itself, every row bit by bit, every interpolation from its
//! definition.

use super::bytes::{Stream, hash, pack, unpack};
use super::ring::{PRIMES, Ring, power, times};

/// An element of Z_q.
pub(crate) type Pair = [u64; 2];

fn each(f: impl Fn(usize, u64) -> u64) -> Pair {
    [f(0, PRIMES[0]), f(1, PRIMES[1])]
}

fn plus(a: Pair, b: Pair) -> Pair {
    each(|l, q| (a[l] + b[l]) % q)
}

fn minus(a: Pair, b: Pair) -> Pair {
    each(|l, q| (a[l] + q - b[l]) % q)
}

fn product(a: Pair, b: Pair) -> Pair {
    each(|l, q| times(a[l], b[l], q))
}

fn of(x: i128) -> Pair {
    each(|_, q| x.rem_euclid(i128::from(q)) as u64)
}

/// The integer in (-q/2, q/2) with these residues: Garner's.
fn centred(x: Pair) -> i128 {
    let [q1, q2] = PRIMES;
    let inverse = power(q1 % q2, q2 - 2, q2);
    let multiple = times((x[1] + q2 - x[0] % q2) % q2, inverse, q2);
    let value = i128::from(x[0]) + i128::from(q1) * i128::from(multiple);
    let q = i128::from(q1) * i128::from(q2);
    if value > q / 2 { value - q } else { value }
}

fn elements(stream: impl Fn(u64) -> Stream, number: usize) -> Vec<Pair> {
    let first = stream(0).uniform(PRIMES[0], number);
    let second = stream(1).uniform(PRIMES[1], number);
    first.into_iter().zip(second).map(|(a, b)| [a, b]).collect()
}

/// Entries of {-1, 0, 1}, two bits each.
fn trits(stream: &mut Stream, number: usize) -> Vec<i64> {
    let bytes = stream.bytes(number.div_ceil(4));
    let pair = |i: usize| bytes[i / 4] >> (2 * (i % 4)) & 3;
    (0..number).map(|i| [0, 1, 0, -1][usize::from(pair(i))]).collect()
}

/// Weights of the values at 0..=degree in the value at `point` (Lagrange).
fn lagrange(degree: usize, point: Pair) -> Vec<Pair> {
    let weight = |i: usize| {
        each(|l, q| {
            let (mut above, mut below) = (1, 1);
            for j in (0..=degree).filter(|j| *j != i) {
                above = times(above, (point[l] + q - j as u64) % q, q);
                below = times(below, (i as u64 + q - j as u64) % q, q);
            }
            times(above, power(below, q - 2, q), q)
        })
    };
    (0..=degree).map(weight).collect()
}

fn dot(weights: &[Pair], values: &[Pair]) -> Pair {
    weights.iter().zip(values).fold([0; 2], |sum, (w, v)| plus(sum, product(*w, *v)))
}

/// `round(word q / 2^P)`, a bit at a time.
fn scaled(word: u128, bits: u32) -> u128 {
    let q = u128::from(PRIMES[0]) * u128::from(PRIMES[1]);
    let (mut whole, mut fraction) = (0, 0);
    for i in (0..bits).rev() {
        (whole, fraction) = (2 * whole, 2 * fraction);
        if word >> i & 1 == 1 {
            (whole, fraction) = (whole + (q >> bits), fraction + q % (1 << bits));
        }
        (whole, fraction) = (whole + (fraction >> bits), fraction % (1 << bits));
    }
    whole + (fraction >> (bits - 1))
}

/// Lengths and bounds, from J, k, L, R, D and C^2.
pub(crate) struct Sizes {
    pub(crate) rows: usize,
    pub(crate) lanes: usize,
    pub(crate) lane_bits: u32,
    pub(crate) noise_bits: u32,
    pub(crate) coefficients: usize,
    pub(crate) norm_squared: u128,
}

impl Sizes {
    fn bits(&self) -> u32 {
        self.lanes as u32 * self.lane_bits + self.noise_bits
    }

    pub(crate) fn bounds(&self) -> [u128; 2] {
        let j = self.rows as u128;
        let unit = 1u128 << (2 * (100 - self.bits()));
        let rounding = self.coefficients as u128 * (unit + 492);
        let noise = (rounding + 3 * self.lanes as u128 * self.norm_squared) / 12;
        [3 * j * self.norm_squared / 4, 3 * j * noise / 2]
    }

    /// A - B.
    fn range(&self) -> i64 {
        let [update, noise] = self.bounds();
        let spread = 10 * ((update + noise) / 2).isqrt() as i64 + 1;
        1024 * spread - spread
    }

    fn updates(&self) -> usize {
        self.rows * self.lanes + 4
    }

    pub(crate) fn entries(&self) -> usize {
        self.updates() + self.rows + 4
    }

    /// c, G_Y, G_N.
    fn layout(&self) -> (usize, usize, usize) {
        let column = (1..).find(|c| c * c >= 2 * self.entries()).expect("there is one");
        (column, self.updates().div_ceil(column), (self.rows + 4).div_ceil(column))
    }

    fn columns(&self) -> usize {
        self.layout().1 + self.layout().2
    }

    /// Column (from 1) and row of entry i.
    fn place(&self, i: usize) -> (usize, usize) {
        let (column, updates, _) = self.layout();
        match i.checked_sub(self.updates()) {
            None => (1 + i / column, i % column),
            Some(i) => (1 + updates + i / column, i % column),
        }
    }
}

/// Everything public, and who is asked.
pub(crate) struct Public<'a> {
    pub(crate) sizes: Sizes,
    pub(crate) round_ctx: &'a [u8],
    pub(crate) set: &'a [u8],
    pub(crate) rows_beacon: [u8; 32],
    pub(crate) check_beacon: [u8; 32],
    pub(crate) client: &'a [u8],
    pub(crate) correction: &'a [u8],
    /// Words of P bits of the one chunk, less the public offsets, modulo 2^P.
    pub(crate) words: &'a [u128],
    pub(crate) proof: &'a [u8],
}

/// A proof, taken apart.
struct Parts {
    salt: Vec<u8>,
    shared: Vec<u8>,
    entries: Vec<Pair>,
    values: Vec<Pair>,
    masks: Vec<Pair>,
    range: Vec<i64>,
}

/// What a component, or the public part, comes to.
#[derive(Clone)]
pub(crate) struct Opened {
    polynomials: Vec<Pair>,
    value: Pair,
    relation: Pair,
}

impl Opened {
    /// As it travels: 50 bits for each residue, filled up to 50 bytes.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let all = self.polynomials.iter().chain([&self.value, &self.relation]);
        let mut words: Vec<u128> = all.flatten().map(|x| u128::from(*x)).collect();
        words.resize(words.len().next_multiple_of(8), 0);
        pack(&words, 50)
    }

    fn add(&mut self, other: &Self) {
        let sums = self.polynomials.iter_mut().zip(&other.polynomials);
        sums.for_each(|(sum, x)| *sum = plus(*sum, *x));
        self.value = plus(self.value, other.value);
        self.relation = plus(self.relation, other.relation);
    }
}

pub(crate) struct Audit<'a> {
    public: Public<'a>,
    parts: Parts,
    factors: Vec<Pair>,
    chi: Vec<Pair>,
    nodes: Vec<Pair>,
    values: Vec<Pair>,
    r: Vec<Pair>,
    g: [Vec<u64>; 2],
    range_rows: Vec<Vec<i64>>,
}

impl<'a> Audit<'a> {
    pub(crate) fn new(public: Public<'a>) -> Self {
        let sizes = &public.sizes;
        let columns = sizes.columns();
        let number = sizes.rows + 96 + 2;
        let mut stream = Stream::new(&public.check_beacon, 0);
        let first = stream.uniform(PRIMES[0], number);
        let chi = first.into_iter().zip(stream.uniform(PRIMES[1], number)).map(|(a, b)| [a, b]);
        let chi: Vec<Pair> = chi.collect();
        let mut stream = Stream::new(&public.check_beacon, 1);
        let mut beyond = |q| loop {
            let x = stream.uniform(q, 1)[0];
            if x > 2 * columns as u64 {
                return x;
            }
        };
        let point = [beyond(PRIMES[0]), beyond(PRIMES[1])];
        let mut r = vec![[0; 2]; sizes.coefficients];
        for (j, weight) in (0..).zip(&chi[..sizes.rows]) {
            let row = trits(&mut Stream::new(&public.rows_beacon, j), sizes.coefficients);
            for (r, entry) in r.iter_mut().zip(row) {
                *r = plus(*r, product(*weight, of(entry.into())));
            }
        }
        let g = [0, 1].map(|l| adjoint(public.round_ctx, l, &r));
        let unit = |lane: usize| 1u128 << (sizes.noise_bits + lane as u32 * sizes.lane_bits);
        let factor = |lane| of(scaled(unit(lane), sizes.bits()) as i128);
        let factors = (0..sizes.lanes).map(factor).collect();
        let parts = Parts::read(sizes, public.proof);
        let context =
            [public.round_ctx, public.set, &public.rows_beacon, public.client, &parts.salt];
        let key = hash("range-rows", &[&context[..], &[&parts.shared[..]]].concat());
        let row = |t| trits(&mut Stream::new(&key, t), sizes.entries());
        Self {
            range_rows: (0..96).map(row).collect(),
            nodes: lagrange(columns, point),
            values: lagrange(2 * columns, point),
            parts,
            factors,
            chi,
            r,
            g,
            public,
        }
    }

    fn forms(&self, v: &[Pair], blinds: &[Pair], p: &[Pair], mu: &[Pair]) -> Opened {
        let sizes = &self.public.sizes;
        let (column, updates, _) = sizes.layout();
        let mut polynomials: Vec<Pair> =
            blinds.iter().map(|blind| product(*blind, self.nodes[0])).collect();
        polynomials.resize(column, [0; 2]);
        let mut relation = [0; 2];
        let mut add = |weight: Pair, x: Pair| relation = plus(relation, product(weight, x));
        for (i, entry) in v.iter().enumerate() {
            let (g, row) = sizes.place(i);
            polynomials[row] = plus(polynomials[row], product(self.nodes[g], *entry));
            if i < sizes.rows * sizes.lanes {
                let (j, l) = (i / sizes.lanes, i % sizes.lanes);
                add(product(self.chi[j], self.factors[l]), *entry);
            } else if let Some(j) = i.checked_sub(sizes.updates()).filter(|j| *j < sizes.rows) {
                add(self.chi[j], *entry);
            }
            for (t, row) in self.range_rows.iter().enumerate() {
                add(product(self.chi[sizes.rows + t], of(row[i].into())), *entry);
            }
        }
        mu.iter().enumerate().for_each(|(t, x)| add(self.chi[sizes.rows + t], *x));
        let [update, noise] = [0, 1].map(|i| self.chi[sizes.rows + 96 + i]);
        p[1..=updates].iter().for_each(|x| add(update, *x));
        p[1 + updates..=sizes.columns()].iter().for_each(|x| add(noise, *x));
        Opened { polynomials, value: dot(&self.values, p), relation }
    }

    fn tau(&self, seed: &[u8]) -> [u8; 32] {
        let public = &self.public;
        let parts: [&[u8]; 6] = [
            public.round_ctx,
            public.set,
            &public.rows_beacon,
            public.client,
            &self.parts.salt,
            seed,
        ];
        hash("audit-key", &parts)
    }

    /// What whoever knows `seed` must answer.
    pub(crate) fn component(&self, seed: &[u8]) -> Opened {
        let sizes = &self.public.sizes;
        let tau = self.tau(seed);
        let part = |kind: u64, number| elements(|l| Stream::new(&tau, 2 * kind + l), number);
        let mut opened = self.forms(
            &part(0, sizes.entries()),
            &part(1, sizes.layout().0),
            &part(2, 2 * sizes.columns() + 1),
            &part(3, 96),
        );
        let key = Ring::of("B").expand(seed, self.public.round_ctx, self.public.client);
        opened.relation = plus(opened.relation, self.key_product(&key));
        opened
    }

    /// `<g, x>`.
    fn key_product(&self, x: &[Vec<u64>]) -> Pair {
        each(|l, q| self.g[l].iter().zip(&x[l]).fold(0, |sum, (g, x)| (sum + times(*g, *x, q)) % q))
    }

    /// `passes`, or the check that does not.
    pub(crate) fn verdict(&self, components: &[Opened]) -> &'static str {
        let sizes = &self.public.sizes;
        if self.parts.range.iter().any(|z| z.abs() > sizes.range()) {
            return "range";
        }
        let Parts { entries, values, masks, range, .. } = &self.parts;
        let mut total = self.forms(entries, &[], values, masks);
        let correction = Ring::of("B").residues(self.public.correction);
        total.relation = plus(total.relation, self.key_product(&correction));
        for (r, word) in self.r.iter().zip(self.public.words) {
            let lifted = of(scaled(*word, sizes.bits()) as i128);
            total.relation = minus(total.relation, product(*r, lifted));
        }
        for (t, z) in range.iter().enumerate() {
            let term = product(self.chi[sizes.rows + t], of((*z).into()));
            total.relation = minus(total.relation, term);
        }
        for (i, bound) in sizes.bounds().into_iter().enumerate() {
            let term = product(self.chi[sizes.rows + 96 + i], of(bound as i128));
            total.relation = minus(total.relation, term);
        }
        components.iter().for_each(|component| total.add(component));
        if total.relation != [0; 2] {
            return "relation";
        }
        let squares = total.polynomials.iter().fold([0; 2], |sum, x| plus(sum, product(*x, *x)));
        if squares == total.value { "passes" } else { "proof" }
    }

    /// `<rho, Y>` of what all `seeds` and the corrections share.
    pub(crate) fn number(&self, rho: &[i64], seeds: &[Vec<u8>]) -> i128 {
        let rho: Vec<Pair> = rho.iter().map(|x| of((*x).into())).collect();
        let part = |seed: &Vec<u8>| self.number_part(&rho, seed);
        let total = seeds.iter().map(part).fold(dot(&rho, &self.parts.entries), plus);
        centred(total)
    }

    fn number_part(&self, rho: &[Pair], seed: &[u8]) -> Pair {
        let tau = self.tau(seed);
        dot(rho, &elements(|l| Stream::new(&tau, l), rho.len()))
    }
}

/// The part of a number that whoever knows `seed` must answer.
impl Audit<'_> {
    pub(crate) fn number_of_component(&self, rho: &[i64], seed: &[u8]) -> Pair {
        let rho: Vec<Pair> = rho.iter().map(|x| of((*x).into())).collect();
        self.number_part(&rho, seed)
    }
}

impl Parts {
    fn read(sizes: &Sizes, bytes: &[u8]) -> Self {
        let values = 2 * sizes.columns() + 1;
        let number = sizes.entries() + values + 96;
        let (salt, rest) = bytes.split_at(16);
        let (shared, range) = rest.split_at(number.div_ceil(4) * 50);
        assert_eq!(range.len(), 96 * 6);
        let words = unpack(shared, 50);
        let all: Vec<Pair> =
            words.chunks(2).take(number).map(|pair| [pair[0] as u64, pair[1] as u64]).collect();
        let signed = |z: &[u8]| {
            let unsigned = z.iter().rev().fold(0i64, |sum, byte| sum << 8 | i64::from(*byte));
            if unsigned >> 47 == 1 { unsigned - (1 << 48) } else { unsigned }
        };
        Self {
            salt: salt.to_vec(),
            shared: shared.to_vec(),
            entries: all[..sizes.entries()].to_vec(),
            values: all[sizes.entries()..][..values].to_vec(),
            masks: all[sizes.entries() + values..].to_vec(),
            range: range.chunks(6).map(signed).collect(),
        }
    }
}

/// A* r of one chunk: g_i = sum over c of r_c A_(c - i), where A_(c - i) = -A_(c - i + N) below 0.
fn adjoint(round_ctx: &[u8], limb: usize, r: &[Pair]) -> Vec<u64> {
    let ring = Ring::of("B");
    let (q, n) = (PRIMES[limb], ring.n);
    let mask = ring.mask(round_ctx, 0, limb);
    let entry = |i: usize| {
        r.iter().enumerate().fold(0, |sum, (c, r)| {
            let term = if c >= i {
                times(r[limb], mask[c - i], q)
            } else {
                q - times(r[limb], mask[c + n - i], q)
            };
            (sum + term) % q
        })
    };
    (0..n).map(entry).collect()
}
