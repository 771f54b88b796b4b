//! Holders that lie, stay silent, or say different things.

use super::*;
use crate::audit::beacon::{BeaconKey, Use, beacon};
use crate::audit::opening::Undecided;

fn audited_client(world: &World) -> (Checked<'_>, Client, Proof) {
    let checked = Checked::new(world.question(), 3);
    let client = world.client(0, &full(&world.config, 1, 1.0));
    let proof = client.prove(&checked.question);
    (checked, client, proof)
}

/// Every way to change one answer.
fn lies() -> [fn(&mut Vec<Opening>); 5] {
    [
        |parts| parts[0].relation += Element::ONE,
        |parts| parts[1].value += Element::ONE,
        |parts| parts[2].polynomials[3] += Element::ONE,
        |parts| parts.iter_mut().for_each(|part| part.relation += Element::ONE),
        |parts| drop(parts.pop()),
    ]
}

use crate::audit::element::Element;

#[test]
fn any_f_lying_holders_are_outvoted_and_named_at_every_opening() {
    for shape in BOTH {
        let world = World::new(shape, 3_000);
        let (checked, client, proof) = audited_client(&world);
        let honest = checked.answers(&world, &client, &proof);
        let expected = agree(checked.question.config.shape, &honest).expect("all answered");
        for first in 0..shape.members() {
            let liars: Vec<usize> =
                (first..first + shape.faults()).map(|i| i % shape.members()).collect();
            for lie in lies() {
                let mut answers = honest.clone();
                for &liar in &liars {
                    lie(answers[liar].as_mut().expect("answered"));
                }
                let opened =
                    agree(checked.question.config.shape, &answers).expect("enough are honest");
                assert_eq!(opened.parts, expected.parts);
                let mut named: Vec<u8> = liars.iter().map(|&liar| liar as u8).collect();
                named.sort_unstable();
                assert_eq!(opened.liars, named.into_iter().map(HolderIndex).collect::<Vec<_>>());
            }
        }
    }
}

#[test]
fn any_f_silent_holders_change_nothing() {
    for shape in BOTH {
        let world = World::new(shape, 3_000);
        let (checked, client, proof) = audited_client(&world);
        let honest = checked.answers(&world, &client, &proof);
        let expected = agree(checked.question.config.shape, &honest).expect("all answered");
        for first in 0..shape.members() {
            let mut answers = honest.clone();
            for silent in first..first + shape.faults() {
                answers[silent % shape.members()] = None;
            }
            assert_eq!(agree(checked.question.config.shape, &answers), Ok(expected.clone()));
        }
    }
}

#[test]
fn one_of_four_missing_and_one_lying_is_never_accepted() {
    let world = World::new(CommitteeShape::Four, 3_000);
    let (checked, client, proof) = audited_client(&world);
    let mut answers = checked.answers(&world, &client, &proof);
    answers[0] = None;
    for part in answers[1].as_mut().expect("answered") {
        part.relation += Element::ONE;
    }
    // The component that holder 2 lacks is known to 0, 1 and 3: one silent, one lying, one honest.
    let undecided = agree(checked.question.config.shape, &answers).expect_err("no two agree");
    assert_eq!((undecided.needed, undecided.missing), (2, 1));
    assert!(matches!(undecided, Undecided { component: 2, .. }), "{undecided:?}");
}

#[test]
fn lies_about_the_numbers_are_outvoted_and_named() {
    let world = World::new(CommitteeShape::Four, 3_000);
    let (checked, client, proof) = audited_client(&world);
    let functions = functions(&checked.question);
    let about = (&client.id(), &proof);
    let mut answers: Vec<_> = (world.seeds(&client).iter())
        .map(|seeds| Some(credit::open(&checked.question, &functions, about, seeds)))
        .collect();
    answers[2].as_mut().expect("answered")[1][2] += Element::ONE;
    let opened = agree(checked.question.config.shape, &answers).expect("enough are honest");
    assert_eq!(opened.liars, [HolderIndex(2)]);
    let got = credit::numbers(&functions, &proof, &opened.parts);
    assert_eq!(got, numbers(&world, &checked.question, &functions, &client, &proof));
}

#[test]
fn a_beacon_needs_every_key_and_hangs_on_round_use_and_set() {
    let shape = CommitteeShape::Four;
    let key = |i: usize| BeaconKey::new(Zeroizing::new([i as u8; 32]));
    let draw = |changed: Option<usize>, round: u8, usage, set: u8| {
        let value = |i: usize| {
            let key = if changed == Some(i) { key(99) } else { key(i) };
            key.value(&Digest([round; 32]), usage, &Digest([set; 32]))
        };
        beacon(&(0..shape.components().len()).map(value).collect::<Vec<_>>())
    };
    let one = draw(None, 1, Use::Rows, 2);
    assert_eq!(draw(None, 1, Use::Rows, 2), one);
    let mut others: Vec<Digest> = (0..4).map(|i| draw(Some(i), 1, Use::Rows, 2)).collect();
    others.extend([
        draw(None, 3, Use::Rows, 2),
        draw(None, 1, Use::Rows, 3),
        draw(None, 1, Use::Check, 2),
        draw(None, 1, Use::Fold, 2),
        one,
    ]);
    let count = others.len();
    others.sort_unstable();
    others.dedup();
    assert_eq!(others.len(), count);
    let [first, second] = [shape.components()[0], shape.components()[1]];
    assert_ne!(key(1).commitment(first), key(1).commitment(second));
    assert_ne!(key(1).commitment(first), key(2).commitment(first));
}
