//! Four hospitals learn to tell ill hearts from healthy ones: together, against one owner of all
//! records, and against each hospital alone. `cargo run --release --bin heart -- --data FOLDER`
//! prints the table.
//!
//! Five-fold cross-validation, three times. Folds are drawn within each hospital, ill and healthy
//! alike; nobody trains on a fold that is measured. All train the model of `plans/heart-mlp.toml`
//! with 40 passes over their records. In each fold everybody chooses the best of six settings by
//! records set aside of those to train on, and never sees the fold that is measured; rows "as it
//! ships" choose nothing. The plan's holdout is taken for training, because the folds are one.

mod table;
mod way;

use std::panic::resume_unwind;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, available_parallelism};

use clap::Parser;
use covey_aggregation::program::Failure;
use covey_examples::hospitals::{Hospital, Part};
use covey_examples::plans::HEART_MLP;
use covey_examples::variant::Variant;
use covey_examples::{end, failed, pooled};
use covey_model::train::Trainer;

use crate::table::{Fold, Score, Table};
use crate::way::Way;

const FOLDS: usize = 5;

/// Compares a federation of four hospitals with pooled training and with each of them alone.
#[derive(Parser)]
struct Args {
    /// The folder with the four files processed.*.data of the UCI heart disease data set.
    #[arg(long, env = "COVEY_HEART_DISEASE")]
    data: PathBuf,
    /// Seeds of folds, of first parameters and of all that training draws; one cross-validation
    /// each.
    #[arg(long, value_delimiter = ',', default_value = "11,12,13")]
    seeds: Vec<u64>,
    /// Choose nothing: only the plan as it ships.
    #[arg(long)]
    as_it_ships: bool,
}

fn main() -> ExitCode {
    end(compare(&Args::parse()))
}

fn compare(args: &Args) -> Result<(), Failure> {
    let variant = Variant::of(HEART_MLP)?.with("data.holdout", 0.0);
    let plan = variant.plan()?;
    let hospitals = Hospital::read_all(&args.data, &plan.data)?;
    let trainer = pooled::trainer(&plan)?;
    let folder = tempfile::tempdir().map_err(failed)?;
    let work: Vec<(u64, usize)> =
        args.seeds.iter().flat_map(|&seed| (0..FOLDS).map(move |fold| (seed, fold))).collect();
    let fold = |&(seed, fold): &(u64, usize)| {
        let folder = folder.path().join(format!("{seed}-{fold}"));
        std::fs::create_dir(&folder).map_err(failed)?;
        let part = |hospital: &Hospital| {
            hospital.parts(FOLDS, seed, &plan.data, &folder).map(|mut parts| parts.remove(fold))
        };
        let parts: Vec<Part> = hospitals.iter().map(part).collect::<Result<_, _>>()?;
        let parts: Vec<&Part> = parts.iter().collect();
        let variant = variant.clone().with("seed", seed.cast_signed());
        measure(&variant, seed, &trainer, &parts, args.as_it_ships)
    };
    let folds = in_parallel(&work, fold).into_iter().collect::<Result<Vec<_>, _>>()?;
    let seeds = folds.chunks(FOLDS).map(<[Fold]>::to_vec).collect();
    print!("{}", Table { records: hospitals.iter().map(|one| one.data().len()).collect(), seeds });
    Ok(())
}

/// Every way's score in one fold: of the plan as it ships, then with the setting chosen.
fn measure(
    plan: &Variant,
    seed: u64,
    trainer: &Trainer,
    parts: &[&Part],
    is_as_it_ships: bool,
) -> Result<Fold, Failure> {
    let mut fold = Fold::default();
    for way in Way::all() {
        let model = way.train(plan, None, parts)?;
        fold.as_it_ships.push(Score::of(trainer, &model, parts)?);
        if !is_as_it_ships {
            let setting = way.choose(plan, seed, parts)?;
            let model = way.train(plan, Some(setting), parts)?;
            fold.chosen.push(Score::of(trainer, &model, parts)?);
            eprintln!("seed {seed}: {way}: {setting}");
        }
    }
    Ok(fold)
}

/// Does `work` for every item, on as many threads as there are processors; results in order.
fn in_parallel<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let threads = available_parallelism().map_or(1, usize::from).min(items.len());
    let mut results: Vec<(usize, R)> = thread::scope(|scope| {
        let run = || {
            let mut done = Vec::new();
            loop {
                let place = next.fetch_add(1, Ordering::Relaxed);
                let Some(item) = items.get(place) else { return done };
                done.push((place, work(item)));
            }
        };
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(run)).collect();
        running
            .into_iter()
            .flat_map(|one| one.join().unwrap_or_else(|panic| resume_unwind(panic)))
            .collect()
    });
    results.sort_by_key(|(place, _)| *place);
    results.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_the_order_of_the_items() {
        let items: Vec<u32> = (0..100).collect();
        assert_eq!(in_parallel(&items, |item| 2 * item), (0..200).step_by(2).collect::<Vec<_>>());
        assert!(in_parallel(&[], |item: &u32| *item).is_empty());
    }
}
