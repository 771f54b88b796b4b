//! Credits a second time, from the rules in README.md: by definition, with the products that fit
//! 128 bits for the numbers of the vectors, and without a line of the library.

use std::collections::{BTreeMap, BTreeSet};

use super::bytes::{hash, varint};

pub(crate) type Owner = [u8; 32];

pub(crate) struct Evidence {
    pub(crate) owner: Owner,
    pub(crate) count: u64,
    pub(crate) s: i64,
    pub(crate) novelty: i64,
    pub(crate) harm: i64,
    pub(crate) public: Option<i64>,
}

/// Ascending by owner.
pub(crate) struct Round {
    pub(crate) number: u64,
    pub(crate) context: [u8; 32],
    pub(crate) evidence: Vec<Evidence>,
}

/// A numerator and a denominator.
pub(crate) type Ratio = (u64, u64);

pub(crate) struct Terms {
    pub(crate) budget: u64,
    pub(crate) rounds: u64,
    pub(crate) cap_medians: u64,
    pub(crate) lambda: Ratio,
    pub(crate) interval: Ratio,
    pub(crate) flag: Ratio,
    pub(crate) duplicate: Ratio,
    pub(crate) contributions_min: u64,
}

/// A flag's statistic: rounds, sum, standard error, bounds.
pub(crate) type Statistic = (u64, i128, i128, i128, i128);

#[derive(Debug, PartialEq)]
pub(crate) struct Account {
    pub(crate) owner: Owner,
    pub(crate) rounds: u64,
    pub(crate) rounds_negative: u64,
    pub(crate) rounds_capped: u64,
    pub(crate) credit: i128,
    pub(crate) error: i128,
    pub(crate) low: i128,
    pub(crate) high: i128,
    pub(crate) carried: i128,
    pub(crate) payable: i128,
    pub(crate) payment: i128,
    pub(crate) debt: i128,
    /// Novelty, harm, public.
    pub(crate) statistics: [Option<Statistic>; 3],
}

pub(crate) struct Settlement {
    pub(crate) terms: [u8; 32],
    pub(crate) evidence: [u8; 32],
    pub(crate) accounts: Vec<Account>,
    /// Pairs with at least eight common rounds and a correlation of at least the threshold: of each
    /// owner the one it goes most with, to a millionth; of equals the smallest key.
    pub(crate) duplicates: Vec<(Owner, Owner, u64, f64)>,
}

impl Terms {
    pub(crate) fn digest(&self) -> [u8; 32] {
        let ratios = [self.lambda, self.interval, self.flag, self.duplicate];
        let ratios = ratios.into_iter().flat_map(|(n, d)| [n, d]);
        let numbers = [self.budget, self.rounds, self.cap_medians].into_iter().chain(ratios);
        let numbers = numbers.chain([self.contributions_min]).flat_map(varint);
        hash("credit-terms", &[&[1].into_iter().chain(numbers).collect::<Vec<_>>()])
    }
}

/// Digest of the evidence of rounds, ascending.
pub(crate) fn evidence_digest(terms: &[u8; 32], rounds: &[Round]) -> [u8; 32] {
    let digests: Vec<u8> = rounds.iter().flat_map(|round| round.digest(terms)).collect();
    hash("credit-evidence", &[terms, b"rounds", &digests])
}

impl Round {
    fn digest(&self, terms: &[u8; 32]) -> [u8; 32] {
        let mut bytes = vec![1];
        bytes.extend(varint(self.number));
        bytes.extend(self.context);
        bytes.extend(varint(self.evidence.len() as u64));
        for one in &self.evidence {
            bytes.extend(one.owner);
            bytes.extend((one.count as u32).to_le_bytes());
            for score in [one.s, one.novelty, one.harm] {
                bytes.extend(score.to_le_bytes());
            }
        }
        let public: Vec<_> = self.evidence.iter().filter_map(|one| one.public).collect();
        bytes.push(u8::from(!public.is_empty()));
        if !public.is_empty() {
            bytes.extend(varint(public.len() as u64));
            bytes.extend(public.iter().flat_map(|score| score.to_le_bytes()));
        }
        hash("credit-evidence", &[terms, &bytes])
    }

    /// What counts at most, and c of each.
    pub(crate) fn claims(&self, terms: &Terms) -> (u64, Vec<i128>) {
        let cap = cap(terms, self.evidence.iter().map(|one| one.count).collect());
        let claim = |one: &Evidence| {
            let square = u128::from(one.count.min(cap)) << 64;
            root_down(square) as i128 * i128::from(one.s)
        };
        (cap, self.evidence.iter().map(claim).collect())
    }
}

/// The cap of these counts: medians, the median of an even number being the mean of two.
pub(crate) fn cap(terms: &Terms, mut counts: Vec<u64>) -> u64 {
    counts.sort_unstable();
    let n = counts.len();
    let twice = if n % 2 == 1 { 2 * counts[n / 2] } else { counts[n / 2 - 1] + counts[n / 2] };
    terms.cap_medians * twice / 2
}

/// The largest number whose square is not above.
fn root_down(square: u128) -> u128 {
    let (mut low, mut high) = (0u128, 1 << 60);
    while high - low > 1 {
        let middle = (low + high) / 2;
        if middle * middle <= square { low = middle } else { high = middle }
    }
    low
}

fn times_up(value: i128, (numerator, denominator): Ratio) -> i128 {
    let (numerator, denominator) = (i128::from(numerator), i128::from(denominator));
    (value * numerator + denominator - 1) / denominator
}

/// By largest remainder; of equal ones those with the smaller digest of their place and owner.
pub(crate) fn divide(total: u64, weights: &[u128], place: &[u8; 32], owners: &[Owner]) -> Vec<u64> {
    let whole: u128 = weights.iter().sum();
    if whole == 0 {
        return vec![0; weights.len()];
    }
    let product = |weight: &u128| weight.checked_mul(u128::from(total)).expect("small numbers");
    let mut parts: Vec<u64> = weights.iter().map(|one| (product(one) / whole) as u64).collect();
    let mut rest: BTreeSet<_> = (weights.iter().enumerate())
        .map(|(i, one)| {
            let tie = hash("credit-tie", &[place, &owners[i]]);
            (u128::MAX - product(one) % whole, tie, i)
        })
        .collect();
    while parts.iter().sum::<u64>() < total {
        let (_, _, first) = rest.pop_first().expect("less left than weights");
        parts[first] += 1;
    }
    parts
}

/// Parts of a billion, those within the tolerance of 0 at 0.
fn shares(scores: &[i64]) -> Vec<i128> {
    let n = scores.len() as i128;
    let sum = |scores: &[i128]| scores.iter().map(|one| one.abs()).sum::<i128>();
    let scores: Vec<_> = scores.iter().map(|one| i128::from(*one)).collect();
    let whole = sum(&scores);
    let is_counted = |one: i128| one.abs() * 10_000 >= whole || one.abs() * 1000 * n >= whole;
    let counted: Vec<_> =
        scores.iter().map(|one| if is_counted(*one) { *one } else { 0 }).collect();
    let whole = sum(&counted).max(1);
    // Division rounds towards 0.
    counted.iter().map(|one| one * 1_000_000_000 / whole).collect()
}

/// The least integer that is not below the standard error of the sum of these values.
fn error(values: &[i128]) -> i128 {
    let (n, sum) = (values.len() as i128, values.iter().sum::<i128>());
    // n^2 times the sum of squared deviations from the mean.
    let deviations: i128 = values.iter().map(|value| (n * value - sum).pow(2)).sum();
    let (mut low, mut high) = (-1, 1 << 52);
    while high - low > 1 {
        let middle = (low + high) / 2;
        if middle * middle * n * (n - 1) >= deviations { high = middle } else { low = middle }
    }
    high
}

fn statistic(values: &[i128], z: Ratio) -> Option<Statistic> {
    (values.len() >= 4).then(|| {
        let (sum, error) = (values.iter().sum::<i128>(), error(values));
        let margin = times_up(error, z);
        (values.len() as u64, sum, error, sum - margin, sum + margin)
    })
}

#[derive(Default)]
struct Own {
    credits: Vec<i128>,
    capped: u64,
    scores: [Vec<i128>; 3],
    shares: BTreeMap<usize, i128>,
}

/// `carried`: owners and what they owe.
pub(crate) fn settle(terms: &Terms, rounds: &[Round], carried: &[(Owner, u64)]) -> Settlement {
    let mut owners: BTreeMap<Owner, Own> = BTreeMap::new();
    for (place, round) in rounds.iter().enumerate() {
        let (cap, claims) = round.claims(terms);
        let keys: Vec<_> = round.evidence.iter().map(|one| one.owner).collect();
        let weights: Vec<_> = claims.iter().map(|claim| claim.unsigned_abs()).collect();
        let credits = divide(terms.budget, &weights, &round.context, &keys);
        let of = |score: fn(&Evidence) -> i64| {
            shares(&round.evidence.iter().map(score).collect::<Vec<_>>())
        };
        let all = [of(|one| one.novelty), of(|one| one.harm), of(|one| one.public.unwrap_or(0))];
        let s = of(|one| one.s);
        for (i, one) in round.evidence.iter().enumerate() {
            let own = owners.entry(one.owner).or_default();
            own.credits.push(i128::from(credits[i]) * claims[i].signum());
            own.capped += u64::from(one.count > cap);
            own.shares.insert(place, s[i]);
            let kinds = if one.public.is_some() { 3 } else { 2 };
            (0..kinds).for_each(|kind| own.scores[kind].push(all[kind][i]));
        }
    }
    let pool = terms.budget * rounds.len() as u64;
    let debt_max = i128::from(pool) / owners.len() as i128;
    let duplicates = duplicates(terms, &owners);
    for (owner, _) in carried {
        owners.entry(*owner).or_default();
    }
    let evidence = evidence_digest(&terms.digest(), rounds);
    let mut accounts: Vec<_> = owners
        .into_iter()
        .map(|(owner, own)| {
            let owed = carried.iter().find(|(debtor, _)| *debtor == owner);
            let owed = owed.map_or(0, |(_, micro)| i128::from(*micro));
            own.account(terms, owner, rounds.len(), (owed, debt_max))
        })
        .collect();
    let weights: Vec<_> = accounts.iter().map(|one| one.payable as u128).collect();
    let keys: Vec<_> = accounts.iter().map(|one| one.owner).collect();
    let payments = divide(pool, &weights, &evidence, &keys);
    accounts.iter_mut().zip(payments).for_each(|(one, paid)| one.payment = i128::from(paid));
    Settlement { terms: terms.digest(), evidence, accounts, duplicates }
}

impl Own {
    fn account(
        &self,
        terms: &Terms,
        owner: Owner,
        rounds: usize,
        (carried, debt_max): (i128, i128),
    ) -> Account {
        let mut every = self.credits.clone();
        every.resize(rounds, 0);
        let (credit, error) = (every.iter().sum::<i128>(), error(&every));
        let margin = times_up(error, terms.interval);
        let statistic = |kind: usize| statistic(&self.scores[kind], terms.flag);
        Account {
            owner,
            rounds: self.credits.len() as u64,
            rounds_negative: self.credits.iter().filter(|credit| **credit < 0).count() as u64,
            rounds_capped: self.capped,
            credit,
            error,
            low: credit - margin,
            high: credit + margin,
            carried,
            payable: (credit - carried - times_up(error, terms.lambda)).max(0),
            payment: 0,
            debt: (carried - credit).clamp(0, debt_max),
            statistics: [statistic(0), statistic(1), statistic(2)],
        }
    }
}

fn duplicates(terms: &Terms, owners: &BTreeMap<Owner, Own>) -> Vec<(Owner, Owner, u64, f64)> {
    let threshold = terms.duplicate.0 as f64 / terms.duplicate.1 as f64;
    let mut pairs = BTreeMap::new();
    for (one, own) in owners {
        let with = |(other, others): (&Owner, &Own)| {
            let common: Vec<(f64, f64)> = (own.shares.iter())
                .filter_map(|(place, x)| Some((*x as f64, *others.shares.get(place)? as f64)))
                .collect();
            let correlation = if common.len() < 8 { 0.0 } else { correlation(&common) };
            // A float may be a little below what it stands for.
            let millionths = (correlation * 1e6 + 1e-4).floor() as i64;
            let is_one = other != one && correlation + 1e-10 >= threshold;
            is_one.then_some((millionths, *other, common.len() as u64, correlation))
        };
        let most = owners.iter().filter_map(with).min_by_key(|(most, other, ..)| (-most, *other));
        if let Some((_, other, rounds, correlation)) = most {
            pairs.insert((*one.min(&other), *one.max(&other)), (rounds, correlation));
        }
    }
    pairs.into_iter().map(|((one, other), (n, found))| (one, other, n, found)).collect()
}

/// Pearson's; of two that never change 1 where they are equal and not 0.
fn correlation(pairs: &[(f64, f64)]) -> f64 {
    let n = pairs.len() as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| pairs.iter().map(of).sum::<f64>() / n;
    let (x, y) = (mean(|pair| pair.0), mean(|pair| pair.1));
    let sum =
        |of: &dyn Fn(f64, f64) -> f64| pairs.iter().map(|(a, b)| of(a - x, b - y)).sum::<f64>();
    let (xx, yy, xy) = (sum(&|a, _| a * a), sum(&|_, b| b * b), sum(&|a, b| a * b));
    if xx == 0.0 && yy == 0.0 {
        return f64::from(u8::from(x == y && x != 0.0));
    }
    if xx == 0.0 || yy == 0.0 { 0.0 } else { xy / (xx * yy).sqrt() }
}

/// Weights in millionths. `candidates` ascending: owner, count, whether it has a class of its own.
pub(crate) fn weights(
    terms: &Terms,
    past: &[Round],
    candidates: &[(Owner, u64, bool)],
) -> Vec<(Owner, u64)> {
    let mut merits: BTreeMap<Owner, Vec<i128>> = BTreeMap::new();
    for round in past {
        let (_, claims) = round.claims(terms);
        let whole = claims.iter().map(|claim| claim.abs()).sum::<i128>().max(1);
        for (one, claim) in round.evidence.iter().zip(claims) {
            merits.entry(one.owner).or_default().push(claim * 1_000_000_000 / whole);
        }
    }
    let mean = |owner: &Owner| {
        let z = merits.get(owner).filter(|z| z.len() >= 3)?;
        Some((z.iter().sum::<i128>().max(0) << 32) / z.len() as i128)
    };
    let known: Vec<_> = candidates.iter().filter_map(|(owner, ..)| mean(owner)).collect();
    let cap = cap(terms, candidates.iter().map(|(_, count, _)| *count).collect());
    let counted = |count: &u64| i128::from(*count.min(&cap));
    let merit = |(owner, count, _): &(Owner, u64, bool)| {
        let average = known.iter().sum::<i128>() / known.len().max(1) as i128;
        mean(owner).unwrap_or(average) * counted(count)
    };
    let mut left: Vec<i128> = candidates.iter().map(merit).collect();
    if left.iter().sum::<i128>() == 0 {
        left = candidates.iter().map(|(_, count, _)| counted(count)).collect();
    }
    let sole = candidates.iter().filter(|(_, _, is_sole)| *is_sole).count() as i128;
    let floor = 50_000.min(500_000 / sole.max(1));
    let mut floors = BTreeSet::new();
    // Raise one at a time the one that is furthest below.
    loop {
        let rest = 1_000_000 - floor * floors.len() as i128;
        let whole: i128 = left.iter().sum();
        let below = (0..left.len())
            .filter(|i| candidates[*i].2 && !floors.contains(i) && left[*i] * rest < whole * floor)
            .min_by_key(|i| left[*i]);
        let Some(lowest) = below else { break };
        floors.insert(lowest);
        left[lowest] = 0;
    }
    let rest = 1_000_000 - floor * floors.len() as i128;
    let keys: Vec<_> = candidates.iter().map(|(owner, ..)| *owner).collect();
    let place = evidence_digest(&terms.digest(), past);
    let left: Vec<u128> = left.iter().map(|merit| *merit as u128).collect();
    let parts = divide(rest as u64, &left, &place, &keys);
    let part = |(i, part)| if floors.contains(&i) { floor as u64 } else { part };
    keys.iter().copied().zip(parts.into_iter().enumerate().map(part)).collect()
}

/// How often each of `owners` counts; none where all count once.
pub(crate) fn multiplicities(
    terms: &Terms,
    past: &[Round],
    minimum: u64,
    owners: &[Owner],
) -> Option<Vec<u64>> {
    let mut all: BTreeMap<Owner, Vec<i128>> = BTreeMap::new();
    for round in past {
        let (_, claims) = round.claims(terms);
        let whole = claims.iter().map(|claim| claim.abs()).sum::<i128>().max(1);
        for (one, claim) in round.evidence.iter().zip(claims) {
            all.entry(one.owner).or_default().push(claim * 1_000_000_000 / whole);
        }
    }
    all.retain(|_, parts| parts.len() >= 3);
    let mean = |parts: &Vec<i128>| (parts.iter().sum::<i128>().max(0) << 32) / parts.len() as i128;
    let means: BTreeMap<Owner, i128> =
        all.iter().map(|(owner, parts)| (*owner, mean(parts))).collect();
    let mut positive: Vec<i128> = means.values().copied().filter(|mean| *mean > 0).collect();
    positive.sort_unstable();
    let median = *positive.get(positive.len().checked_sub(1)? / 2)?;
    let average = means.values().sum::<i128>() / means.len() as i128;
    let times = |owner: &Owner| {
        let mean = *means.get(owner).unwrap_or(&average);
        // 3 mean / median, by steps of a half: the largest that is reached.
        let reached = |times: &u64| 2 * 3 * mean >= (2 * i128::from(*times) - 1) * median;
        if 4 * mean < median { 0 } else { (3..=4).rev().find(reached).unwrap_or(2) }
    };
    let times: Vec<u64> = owners.iter().map(times).collect();
    let counting = times.iter().filter(|times| **times > 0).count() as u64;
    (counting >= minimum).then_some(times)
}
