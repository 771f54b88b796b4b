//! `pool.json`: a validation pool, what of it was opened, and the fold that a beacon draws.

use std::collections::BTreeMap;

use covey_aggregation::credit::pool::{draw_fold, example_leaf, pool_root, retire, retired_digest};
use covey_aggregation::hash::Digest;
use serde_json::{Value, json};

use crate::case::{Case, File, NAME, REFUSED, WRONG, hex, unhex};
use crate::reference::bytes::{hash, tree_root};

/// A pool, and a fold to be drawn from it.
#[derive(Clone)]
struct Draw {
    /// Class and bytes of each example.
    examples: Vec<(u32, Vec<u8>)>,
    retired: Vec<u32>,
    beacon: Digest,
    size: u16,
}

/// Eighteen of class 0, twelve of class 1, six of class 2, mixed.
fn examples() -> Vec<(u32, Vec<u8>)> {
    let class = |i: u32| if i.is_multiple_of(6) { 2 } else { u32::from(i % 18 % 3 == 1) };
    (0..36).map(|i| (class(i), format!("example {i}").into_bytes())).collect()
}

fn draw() -> Draw {
    Draw { examples: examples(), retired: Vec::new(), beacon: Digest([7; 32]), size: 10 }
}

fn case(name: &str, draw: &Draw) -> (Value, Result<Vec<u32>, String>) {
    let Draw { examples, retired, beacon, size } = draw;
    let leaves: Vec<_> =
        (0..).zip(examples).map(|(i, (class, bytes))| example_leaf(i, *class, bytes)).collect();
    let root = pool_root(&leaves);
    let classes: Vec<u32> = examples.iter().map(|(class, _)| *class).collect();
    let fold = draw_fold(beacon, &classes, retired, *size).map_err(|no| no.to_string());
    let listed = examples.iter().map(|(class, bytes)| json!({"class": class, "bytes": hex(bytes)}));
    let value = json!({
        "name": name, "examples": listed.collect::<Vec<_>>(), "root": root.to_string(),
        "retired": retired, "retired_digest": retired_digest(&root, retired).to_string(),
        "beacon": beacon.to_string(), "size": size,
    });
    (value, fold)
}

fn valid(name: &str, draw: &Draw) -> Value {
    let (mut value, fold) = case(name, draw);
    let fold = fold.expect("a fold");
    value["then_retired"] = json!(retire(&draw.retired, &fold));
    value["fold"] = json!(fold);
    value
}

fn invalid(name: &str, wrong: &str, change: impl FnOnce(&mut Draw)) -> Value {
    let mut draw = draw();
    change(&mut draw);
    let (mut value, fold) = case(name, &draw);
    value["wrong"] = json!(wrong);
    value["refused"] = json!(fold.expect_err(name));
    value
}

pub(crate) fn file() -> File {
    let first = draw();
    let fold = |value: &Value| -> Vec<u32> {
        serde_json::from_value(value["fold"].clone()).expect("places")
    };
    let one = valid("the first fold", &first);
    let second = Draw { retired: fold(&one), beacon: Digest([8; 32]), ..first.clone() };
    let two = valid("the second fold", &second);
    let other = Draw { beacon: Digest([9; 32]), ..first.clone() };
    let single = (0..12).map(|i| (0, vec![i])).collect();
    let alike = Draw { examples: single, size: 5, ..first };
    File {
        about: "a validation pool: its root, what was opened of it, and the fold that a beacon draws: as \
                many of each class, of those not opened the ones whose H(fold-place; beacon, place) \
                are smallest",
        step: "Evidence",
        fields: &[
            NAME,
            WRONG,
            REFUSED,
            (
                "examples",
                "class and bytes of each; its leaf is H(pool-example; place, class, bytes)",
            ),
            ("root", "of the tree over the leaves"),
            ("retired", "places of the examples that earlier folds opened, ascending"),
            ("retired_digest", "H(retired; root, places of four bytes each)"),
            ("beacon", "Beacon(fold, H(U))"),
            ("size", "examples of a fold, of all classes together; a remainder is left out"),
            ("fold", "the fold's places, ascending"),
            ("then_retired", "what is retired after it"),
        ],
        valid: vec![
            one,
            two,
            valid("another beacon", &other),
            valid("examples without classes", &alike),
        ],
        invalid: vec![
            invalid("a pool that is spent", "class 2 has two left, a fold takes three", |draw| {
                draw.retired = vec![0, 6, 12, 18];
            }),
            invalid("too small a fold", "eight are two of each class", |draw| draw.size = 8),
            invalid("no examples", "the pool is empty", |draw| draw.examples.clear()),
        ],
    }
}

/// The fold once more, from the text.
fn plain_fold(
    classes: &[u32],
    retired: &[u32],
    beacon: &[u8; 32],
    size: usize,
) -> Option<Vec<u32>> {
    let mut of_class: BTreeMap<u32, Vec<([u8; 32], u32)>> = BTreeMap::new();
    for (place, class) in (0u32..).zip(classes) {
        let all = of_class.entry(*class).or_default();
        if !retired.contains(&place) {
            all.push((hash("fold-place", &[beacon, &place.to_le_bytes()]), place));
        }
    }
    let quota = size.checked_div(of_class.len())?;
    if quota < 3 || of_class.values().any(|all| all.len() < quota) {
        return None;
    }
    let mut fold = Vec::new();
    for all in of_class.values_mut() {
        all.sort_unstable();
        fold.extend(all.iter().take(quota).map(|(_, place)| *place));
    }
    fold.sort_unstable();
    Some(fold)
}

pub(crate) fn check(case: &mut Case, is_valid: bool) {
    let examples: Vec<(u32, Vec<u8>)> = (case.list("examples").iter())
        .map(|one| {
            let class = one["class"].as_u64().expect("a class") as u32;
            (class, unhex(one["bytes"].as_str().expect("text")))
        })
        .collect();
    let places = |case: &mut Case, field: &str| -> Vec<u32> {
        serde_json::from_value(case.value(field)).expect("places")
    };
    let (retired, beacon) = (places(case, "retired"), case.digest("beacon"));
    let (root, digest) = (case.digest("root"), case.digest("retired_digest"));
    let size = case.number("size") as u16;
    let leaf = |(place, (class, bytes)): (u32, &(u32, Vec<u8>))| {
        hash("pool-example", &[&place.to_le_bytes(), &class.to_le_bytes(), bytes])
    };
    let leaves: Vec<[u8; 32]> = (0..).zip(&examples).map(leaf).collect();
    assert_eq!(tree_root(&leaves), root.0, "{}", case.name);
    let bytes: Vec<u8> = retired.iter().flat_map(|place| place.to_le_bytes()).collect();
    assert_eq!(hash("retired", &[&root.0, &bytes]), digest.0, "{}", case.name);
    let classes: Vec<u32> = examples.iter().map(|(class, _)| *class).collect();
    let drawn = draw_fold(&beacon, &classes, &retired, size);
    let plain = plain_fold(&classes, &retired, &beacon.0, size.into());
    assert_eq!(drawn.as_ref().ok(), plain.as_ref(), "{}", case.name);
    if !is_valid {
        assert_eq!(drawn.map_err(|no| no.to_string()), Err(case.refusal()), "{}", case.name);
        return;
    }
    let fold = places(case, "fold");
    assert_eq!(plain.as_ref(), Some(&fold), "{}", case.name);
    let mut all = [retired, fold].concat();
    all.sort_unstable();
    assert_eq!(places(case, "then_retired"), all, "{}", case.name);
}
