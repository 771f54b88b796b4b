//! The validation pool: rows that the coordinator and every key holder have, and no owner. Each
//! round draws a fold of it, along which the round's owners are credited.

use covey_aggregation::limits::{CREDIT_FOLD_MIN, FOLD_CLASS_MIN};
use covey_model::random::{shuffle, stream};
use covey_model::split::by_class;

use crate::source::Rows;

/// Largest share of a class that goes into the pool: the rest is to train on.
const CLASS_SHARE_MAX: f64 = 0.3;

/// Rows set aside for validation, equally many of each class.
pub(crate) struct Pool {
    pub(crate) rows: Rows,
    /// Rows of a fold.
    pub(crate) fold: usize,
    /// Rounds that a fold can be drawn for.
    pub(crate) rounds: usize,
}

impl Pool {
    /// A pool out of `train` for so many rounds, or for fewer where a class has few rows, and what is
    /// left to train on; `None` where not even one fold can be had.
    pub(crate) fn take(train: &Rows, rounds: u32, seed: u64) -> Option<(Self, Rows)> {
        let mut classes = by_class(&train.labels());
        let fold = (FOLD_CLASS_MIN * classes.len()).max(CREDIT_FOLD_MIN.into());
        let of_class = fold.checked_div(classes.len())?;
        let rarest = classes.iter().map(Vec::len).min()?;
        let spared = (rarest as f64 * CLASS_SHARE_MAX) as usize;
        let rounds = (spared / of_class).min(rounds as usize);
        if rounds == 0 {
            return None;
        }
        let mut rng = stream("demo-pool", &[&seed.to_le_bytes()]);
        let (mut pool, mut rest) = (Vec::new(), Vec::new());
        for class in &mut classes {
            shuffle(class, &mut rng);
            let (taken, left) = class.split_at(rounds * of_class);
            pool.extend_from_slice(taken);
            rest.extend_from_slice(left);
        }
        pool.sort_unstable();
        rest.sort_unstable();
        Some((Self { rows: train.pick(&pool), fold, rounds }, train.pick(&rest)))
    }
}
