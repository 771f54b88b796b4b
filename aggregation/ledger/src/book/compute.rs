//! What rounds took: as owners say, as it is computed from the plan, and what that bought. Never part of
//! credit.

use std::collections::BTreeSet;

use covey_aggregation::party::PartyId;
use serde::Serialize;

use super::records::{Given, RoundRecord, RunRecord};
use crate::entry::MeasuredBy;
use crate::form::{decimal, hex};
use crate::statement::Compute;

/// Millionths in a hundredth.
const HUNDREDTH: u128 = 10_000;

/// What an owner says that a round took it, and what is computed of that.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ComputeReport {
    /// The round.
    pub round: u32,
    /// Whose.
    #[serde(with = "hex")]
    pub owner: PartyId,
    /// Asserted: what it says, its reference benchmark among it.
    pub said: Compute,
    /// Asserted: what its device would have done in that time at the speed of its benchmark, in
    /// floating-point operations.
    #[serde(with = "decimal")]
    pub benchmark_flops: u128,
    /// Computed: the asserted examples times the plan's estimate; none where the plan has none.
    pub flops: Option<String>,
    /// The entry.
    pub entry: u64,
}

/// What a run's owners say that it took them, and what is computed of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ComputeTotal {
    /// Whose; none for all together.
    #[serde(with = "hex")]
    pub owner: Option<PartyId>,
    /// Rounds that were reported.
    pub rounds: u32,
    /// Asserted: examples that were trained on, each as often as it was.
    pub examples: u64,
    /// Asserted: how long devices worked, in milliseconds.
    pub device_ms: u64,
    /// Asserted: bytes sent.
    pub bytes_up: u64,
    /// Asserted: bytes received.
    pub bytes_down: u64,
    /// Asserted: what devices would have done in that time at the speed of their reference benchmark,
    /// in floating-point operations.
    #[serde(with = "decimal")]
    pub benchmark_flops: u128,
    /// Computed: the asserted examples times the plan's estimate; none where the plan has none.
    pub flops: Option<String>,
    /// The entries, ascending.
    pub inputs: Vec<u64>,
}

/// What compute bought.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Quality {
    /// The metric.
    pub metric: String,
    /// Who measured it.
    pub by: MeasuredBy,
    /// Its first and its last value, in millionths.
    pub from_to_millionths: (i64, i64),
    /// By how much it became better, in millionths; below 0 it became worse.
    pub gain_millionths: i64,
    /// What each hundredth of the metric took; none where nothing was gained, or nobody reported.
    pub price: Option<Price>,
}

/// What a hundredth of a metric took, of all that owners reported; rounded down.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Price {
    /// Asserted: device time, in milliseconds.
    pub device_ms: u64,
    /// Asserted: that time at the speeds of the devices' benchmarks, in floating-point operations: what
    /// devices of different speeds can be compared by. None where one of them has run no benchmark.
    pub benchmark_flops: Option<String>,
    /// Computed: floating-point operations, of the plan's estimate; none where the plan has none.
    pub flops: Option<String>,
}

/// Operations of a device in a time at its benchmark's speed. Millions of operations a second are
/// thousands of operations a millisecond.
fn benchmark_flops(said: &Compute) -> u128 {
    u128::from(said.benchmark_mflops) * 1000 * u128::from(said.device_ms)
}

impl RunRecord {
    /// What its owners say that its rounds took them, ascending by round, then by key.
    pub fn reports(&self) -> impl Iterator<Item = ComputeReport> {
        let of_round = |round: &RoundRecord| {
            let report = |given: &Given<Compute>| ComputeReport {
                round: given.what.round,
                owner: given.member,
                said: given.what,
                benchmark_flops: benchmark_flops(&given.what),
                flops: self.flops(given.what.examples).map(|flops| flops.to_string()),
                entry: given.entry,
            };
            round.compute.iter().map(report).collect::<Vec<_>>()
        };
        self.rounds.values().flat_map(of_round)
    }

    /// Operations that training on so many examples takes, by the plan's estimate.
    fn flops(&self, examples: u64) -> Option<u128> {
        self.plan.flops_per_example.map(|each| u128::from(each) * u128::from(examples))
    }

    /// What its owners say that it took them, ascending by key.
    #[must_use]
    pub fn compute(&self) -> Vec<ComputeTotal> {
        let given = self.rounds.values().flat_map(|round| &round.compute);
        let owners: BTreeSet<_> = given.map(|given| given.member).collect();
        owners.into_iter().map(|owner| self.compute_of(Some(owner))).collect()
    }

    /// The same for one owner, or for all together.
    #[must_use]
    pub fn compute_of(&self, owner: Option<PartyId>) -> ComputeTotal {
        let mut total = ComputeTotal {
            owner,
            rounds: 0,
            examples: 0,
            device_ms: 0,
            bytes_up: 0,
            bytes_down: 0,
            benchmark_flops: 0,
            flops: None,
            inputs: Vec::new(),
        };
        let given = self.rounds.values().flat_map(|round| &round.compute);
        for given in given.filter(|given| owner.is_none_or(|owner| owner == given.member)) {
            let one = &given.what;
            total.rounds += 1;
            total.examples = total.examples.saturating_add(one.examples);
            total.device_ms = total.device_ms.saturating_add(one.device_ms);
            total.bytes_up = total.bytes_up.saturating_add(one.bytes_up);
            total.bytes_down = total.bytes_down.saturating_add(one.bytes_down);
            total.benchmark_flops = total.benchmark_flops.saturating_add(benchmark_flops(one));
            total.inputs.push(given.entry);
        }
        total.flops = self.flops(total.examples).map(|flops| flops.to_string());
        total.inputs.push(self.entry);
        total.inputs.sort_unstable();
        total
    }

    /// What compute bought, of a metric that is the better the larger (or the smaller).
    #[must_use]
    pub fn quality(&self, metric: &str, by: MeasuredBy, is_gain: bool) -> Option<Quality> {
        let curve = self.curve(metric, by);
        let (first, last) = (curve.first()?.millionths, curve.last()?.millionths);
        let difference = last.saturating_sub(first);
        let gain = if is_gain { difference } else { difference.saturating_neg() };
        Some(Quality {
            metric: metric.to_owned(),
            by,
            from_to_millionths: (first, last),
            gain_millionths: gain,
            price: u64::try_from(gain).ok().and_then(|gain| self.price(gain)),
        })
    }

    /// What each hundredth of a gain in millionths took.
    fn price(&self, gain: u64) -> Option<Price> {
        let total = self.compute_of(None);
        if gain == 0 || total.device_ms == 0 {
            return None;
        }
        let each = |all: u128| all.saturating_mul(HUNDREDTH) / u128::from(gain);
        let device_ms = each(total.device_ms.into());
        let flops = self.flops(total.examples);
        let is_measured = self.reports().all(|one| one.said.benchmark_mflops > 0);
        let benchmark_flops = is_measured.then(|| each(total.benchmark_flops).to_string());
        Some(Price {
            device_ms: u64::try_from(device_ms).unwrap_or(u64::MAX),
            benchmark_flops,
            flops: flops.map(|flops| each(flops).to_string()),
        })
    }
}
