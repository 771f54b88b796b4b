//! What owners are worth: the exact Shapley value of training again with every coalition. It takes
//! 2^n trainings, so that what they gave is kept on disk.

use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use covey_aggregation::hash::{Digest, Domain, Hasher};
use covey_model::data::Dataset;

use crate::federation::{Federation, utility};
use crate::mlp::Examples;
use crate::plan::{BATCH, CLIP_NORM, EXAMPLES_CAP, LR, ROUNDS, STEPS};

/// The worth of every coalition: accuracy on the test.
///
/// # Errors
/// When what is kept cannot be read or written.
pub(crate) fn worth(federation: &Federation<'_>, test: &Dataset) -> io::Result<Vec<f64>> {
    let examples = Examples::new(test);
    let coalitions = 1u32 << federation.owners.len();
    let path = folder().join(format!("{}.json", key(federation, test)));
    match std::fs::read(&path) {
        Ok(bytes) => {
            let worth: Vec<f64> = serde_json::from_slice(&bytes)?;
            if worth.len() == coalitions as usize {
                return Ok(worth);
            }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let worth = train_all(coalitions, |members| utility(&federation.train(members), &examples));
    std::fs::create_dir_all(folder())?;
    // Whole or not at all, also when this is ended meanwhile.
    let part = path.with_extension(format!("part-{}", std::process::id()));
    std::fs::write(&part, serde_json::to_vec(&worth)?)?;
    std::fs::rename(&part, &path)?;
    Ok(worth)
}

/// On all cores.
fn train_all(coalitions: u32, worth: impl Fn(u32) -> f64 + Sync) -> Vec<f64> {
    let next = AtomicU32::new(0);
    let (next, worth) = (&next, &worth);
    let work = move || {
        let mut done = Vec::new();
        loop {
            let members = next.fetch_add(1, Ordering::Relaxed);
            if members >= coalitions {
                return done;
            }
            done.push((members, worth(members)));
        }
    };
    let mut all = vec![0.0; coalitions as usize];
    thread::scope(|scope| {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let running: Vec<_> = (0..cores).map(|_| scope.spawn(work)).collect();
        for thread in running {
            for (members, worth) in thread.join().expect("training does not panic") {
                all[members as usize] = worth;
            }
        }
    });
    all
}

/// Everything that the worth hangs on: data, what owners do, the plan, the test; and of the training
/// code what it makes of all owners and of half of them, to the last bit.
fn key(federation: &Federation<'_>, test: &Dataset) -> Digest {
    let Federation { owners, seed, initial, .. } = federation;
    let mut hasher = Hasher::new(Domain::Training);
    hasher.part(b"credit-quality-worth");
    let plan = (ROUNDS, STEPS, BATCH, EXAMPLES_CAP, LR.to_bits(), CLIP_NORM.to_bits());
    hasher.part(format!("{seed} {plan:?}").as_bytes());
    numbers(&mut hasher, initial);
    for owner in *owners {
        hasher.part(format!("{} {:?}", owner.claimed, owner.conduct).as_bytes());
        data(&mut hasher, &owner.data);
    }
    data(&mut hasher, test);
    let all = (1u32 << owners.len()) - 1;
    for members in [all, all & 0x5555_5555] {
        numbers(&mut hasher, &federation.train(members));
    }
    hasher.finish()
}

fn data(hasher: &mut Hasher, data: &Dataset) {
    let examples = (0..data.len()).flat_map(|number| data.example(number));
    numbers(hasher, &examples.copied().collect::<Vec<_>>());
    hasher.part(&data.labels().iter().flat_map(|label| label.to_le_bytes()).collect::<Vec<_>>());
}

fn numbers(hasher: &mut Hasher, numbers: &[f32]) {
    hasher.part(&numbers.iter().flat_map(|number| number.to_le_bytes()).collect::<Vec<_>>());
}

/// Among what is built, so that cleaning up takes it along.
fn folder() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../target")),
        PathBuf::from,
    );
    target.join("credit_quality")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digits::Digits;
    use crate::owner::Owner;
    use crate::scenario::Scenario;

    #[test]
    fn the_key_changes_with_data_conduct_and_claims_and_with_nothing_else() {
        let digits = Digits::open(1).expect("they ship");
        let key =
            |owners: &[Owner], seed| key(&Federation::new(owners, &digits, seed), &digits.test);
        let owners = Scenario::Mixed.owners(&digits, 1);
        let own = key(&owners, 1);
        assert_eq!(own, key(&owners, 1));
        assert_ne!(own, key(&owners, 2), "another seed");
        let changes: [fn(&mut Vec<Owner>); 3] = [
            |owners| owners[0].claimed += 1,
            |owners| owners[0].conduct = owners[9].conduct,
            |owners| owners.swap(0, 1),
        ];
        for (number, change) in changes.into_iter().enumerate() {
            let mut changed = owners.clone();
            change(&mut changed);
            assert_ne!(own, key(&changed, 1), "change {number}");
        }
    }

    #[test]
    fn every_coalition_is_trained_once() {
        let worth = train_all(1024, f64::from);
        assert!(worth.iter().zip(0..).all(|(worth, members)| *worth == f64::from(members)));
    }

    #[test]
    fn a_free_rider_of_zeros_only_slows_the_others() {
        let digits = Digits::open(3).expect("they ship");
        let owners = Scenario::Mixed.owners(&digits, 3);
        let federation = Federation::new(&owners, &digits, 3);
        let test = Examples::new(&digits.test);
        let alone = federation.train(1 << 8);
        assert_eq!(alone, federation.initial);
        let clean = utility(&federation.train(0b1111), &test);
        assert!(clean > 0.85, "{clean}");
        assert!(utility(&federation.train(0b1_1110_0000), &test) < clean);
    }
}
