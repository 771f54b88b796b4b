//! Clients that cheat, each with the best proof that it can make.
//!
//! A cheater's projections are decoded from what its ciphertext really holds, so the relation is
//! met; where a bound leaves no slack, slack is made from square roots modulo q, which meets it
//! modulo q; what cannot be met is left as it is.

use super::*;
use crate::audit::element::Element;
use crate::audit::lift::Lift;
use crate::audit::proof::Forgery;
use crate::audit::terms::SLACK;
use crate::sum::modulus::{PRIMES, pow_mod};
use crate::sum::quantise::BadUnits;

/// v as a cheater wants it: projections of update and noise, then slack is added.
pub(super) struct Digits {
    pub(super) updates: Vec<i128>,
    pub(super) noises: Vec<i128>,
}

/// What the rows make of the ciphertext as it stands now, taken apart into lanes from the top, each
/// digit rounded to the nearest: the shortest vector that meets the relation, or nearly.
pub(super) fn decoded(checked: &Checked<'_>, client: &Client, honest: &[Vec<u8>]) -> Digits {
    let question = &checked.question;
    let (config, terms) = (question.config, &question.terms);
    let projections = client.witness.project(question);
    let factors = Lift::new(config).factors();
    let lanes = factors.len();
    let mut sums: Vec<Element> = (projections.noises.iter().enumerate())
        .map(|(j, &noise)| {
            let units = &projections.updates[j * lanes..(j + 1) * lanes];
            let units = units.iter().zip(&factors).map(|(&y, &factor)| factor * y.into());
            units.sum::<Element>() + noise.into()
        })
        .collect();
    for (chunk, (bytes, before)) in (0..).zip(client.chunks.iter().zip(honest)) {
        let lifted = |bytes: &[u8]| {
            let mut lifted = Vec::new();
            Lift::new(config).for_chunk(chunk, bytes, |_, word| {
                lifted.push(Element::of_reduced(word));
            });
            lifted
        };
        let changes: Vec<Element> =
            lifted(bytes).into_iter().zip(lifted(before)).map(|(a, b)| a - b).collect();
        question.rows.for_chunk(config, chunk, |j, row| {
            for (&entry, &change) in row.iter().zip(&changes) {
                if change != Element::ZERO {
                    sums[j] += Element::from(i64::from(entry)) * change;
                }
            }
        });
    }
    let mut digits = Digits { updates: Vec::new(), noises: Vec::new() };
    for sum in sums {
        let mut rest = sum.centred();
        let mut lanes: Vec<i128> = Vec::new();
        for factor in factors.iter().rev().map(|factor| factor.centred().rem_euclid(modulus())) {
            let digit = (2 * rest + factor).div_euclid(2 * factor);
            rest -= digit * factor;
            lanes.push(digit);
        }
        digits.updates.extend(lanes.into_iter().rev());
        digits.noises.push(rest);
    }
    assert_eq!(digits.updates.len(), terms.projections());
    digits
}

fn modulus() -> i128 {
    crate::audit::element::MODULUS as i128
}

/// A square root modulo `prime`, if there is one (Tonelli, Shanks).
fn root(a: u64, prime: u64) -> Option<u64> {
    let times = |a: u64, b: u64| (u128::from(a) * u128::from(b) % u128::from(prime)) as u64;
    if a == 0 {
        return Some(0);
    }
    if pow_mod(a, prime / 2, prime) != 1 {
        return None;
    }
    let twos = (prime - 1).trailing_zeros();
    let odd = (prime - 1) >> twos;
    let residue = |z: &u64| pow_mod(*z, prime / 2, prime) == prime - 1;
    let mut power = pow_mod((2..).find(residue).expect("half are"), odd, prime);
    let (mut order, mut rest, mut root) =
        (twos, pow_mod(a, odd, prime), pow_mod(a, odd.div_ceil(2), prime));
    while rest != 1 {
        let mut squares = std::iter::successors(Some(rest), |&x| Some(times(x, x)));
        let i = squares.position(|x| x == 1)? as u32;
        let step = (0..order - i - 1).fold(power, |x, _| times(x, x));
        (order, power) = (i, times(step, step));
        (rest, root) = (times(rest, power), times(root, step));
    }
    Some(root)
}

/// Two squares that add up to `rest` modulo q only.
fn modular_slack(rest: Element) -> [Element; SLACK] {
    let found = (1i64..).find_map(|x| {
        let first = Element::from(x);
        let second = rest - first * first;
        let roots = [0, 1].map(|l| root(second.0[l], PRIMES[l]));
        let [Some(a), Some(b)] = roots else { return None };
        Some([first, Element([a, b]), Element::ZERO, Element::ZERO])
    });
    found.expect("a quarter of all have roots")
}

/// Elements of v with slack that is true where there is any, and modular elsewhere.
pub(super) fn vector(checked: &Checked<'_>, digits: &Digits) -> Vec<Element> {
    let terms = &checked.question.terms;
    let mut v = Vec::new();
    for (part, bound) in
        [(&digits.updates, terms.update_bound), (&digits.noises, terms.noise_bound)]
    {
        let elements: Vec<Element> = part.iter().map(|&x| x.into()).collect();
        let squares: Element = elements.iter().map(|&x| x * x).sum();
        let small = part.iter().all(|x| x.unsigned_abs() < 1 << 60);
        let exact = small.then(|| part.iter().map(|x| x.unsigned_abs().pow(2)).sum::<u128>());
        let slack = exact
            .and_then(|squares| bound.checked_sub(squares))
            .and_then(crate::audit::squares::four_squares)
            .map_or_else(
                || modular_slack(Element::from(bound as i128) - squares),
                |roots| roots.map(Element::from),
            );
        v.extend(elements);
        v.extend(slack);
    }
    v
}

/// The verdict on `client` whose v is as given, and whether its range rows look right.
pub(super) fn forged(
    world: &World,
    checked: &Checked<'_>,
    client: &Client,
    v: &[Element],
) -> Result<(), Failure> {
    checked.verdict(world, client, &forge(checked, client, v, &|_| {}, &|_| {}))
}

/// The proof of `v`, spoiled before and after its range rows are drawn.
fn forge(
    checked: &Checked<'_>,
    client: &Client,
    v: &[Element],
    shared: &dyn Fn(&mut Proof),
    range: &dyn Fn(&mut Proof),
) -> Proof {
    let forgery = Forgery { v, shared, range };
    Proof::forged(&checked.question, &client.id(), &client.witness, &forgery)
}

/// Adds `change` to the word of coefficient `c` of the first chunk.
pub(super) fn add_to_word(world: &World, client: &mut Client, c: usize, change: u128) {
    let bits = world.config.packing.pad_bits() as usize;
    let mask = (1u128 << bits) - 1;
    let bytes = &mut client.chunks[0];
    let get = |bytes: &[u8], bit: usize| u128::from(bytes[bit / 8] >> (bit % 8) & 1);
    let place = c * bits;
    let word = (0..bits).fold(0, |word, i| word | get(bytes, place + i) << i);
    let word = word.wrapping_add(change) & mask;
    for i in 0..bits {
        let (at, shift) = ((place + i) / 8, (place + i) % 8);
        bytes[at] = bytes[at] & !(1 << shift) | ((word >> i & 1) as u8) << shift;
    }
}

struct Cheat {
    name: &'static str,
    /// Of the update before the change, of the full norm.
    scale: f64,
    change: fn(&World, &mut Client),
    expected: Failure,
}

fn half(world: &World) -> u128 {
    1 << (world.config.packing.pad_bits() - 1)
}

fn one_lane(world: &World, lane: u32, value: u128) -> u128 {
    value << (world.config.packing.noise_bits + lane * world.config.packing.lane_bits)
}

const CHEATS: [Cheat; 6] = [
    Cheat {
        name: "half of q in one coefficient",
        scale: 0.5,
        change: |world, client| add_to_word(world, client, 3, half(world)),
        expected: Failure::Range,
    },
    Cheat {
        name: "half of q in two coefficients",
        scale: 0.5,
        change: |world, client| {
            add_to_word(world, client, 3, half(world));
            add_to_word(world, client, 77, half(world));
        },
        expected: Failure::Range,
    },
    Cheat {
        name: "four times the bound in one lane",
        scale: 0.1,
        change: |world, client| {
            let c = (world.config.quantiser.norm_squared_max() as f64).sqrt() as u128;
            add_to_word(world, client, 5, one_lane(world, 1, 4 * c));
        },
        expected: Failure::Range,
    },
    Cheat {
        name: "half of the noise's range in one coefficient",
        scale: 0.5,
        change: |world, client| {
            add_to_word(world, client, 9, 1 << (world.config.packing.noise_bits - 1));
        },
        expected: Failure::Range,
    },
    Cheat {
        name: "noise of a quarter of its range in every other coefficient",
        scale: 0.5,
        change: |world, client| {
            for c in (0..300).step_by(2) {
                add_to_word(world, client, c, 1 << (world.config.packing.noise_bits - 2));
            }
        },
        expected: Failure::Range,
    },
    Cheat {
        name: "twice the norm in a second update on top",
        scale: 1.0,
        change: |world, client| {
            for c in 0..300 {
                for lane in 0..world.config.packing.lanes {
                    add_to_word(world, client, c, one_lane(world, lane, 40));
                }
            }
        },
        expected: Failure::Range,
    },
];

/// Whatever the ciphertext holds, the shortest digits are out of bounds, and slack that is true
/// only modulo q is far out of range.
#[test]
fn ciphertexts_out_of_bounds_are_rejected_whatever_is_proved_of_them() {
    let world = World::new(CommitteeShape::Four, 3_000);
    let checked = Checked::new(world.question(), 3);
    for cheat in CHEATS {
        let mut client = world.client(0, &full(&world.config, 1, cheat.scale));
        let honest = client.chunks.clone();
        (cheat.change)(&world, &mut client);
        let v = vector(&checked, &decoded(&checked, &client, &honest));
        assert_eq!(forged(&world, &checked, &client, &v), Err(cheat.expected), "{}", cheat.name);
        // Range rows that are in range, but of nothing: then the relation is not met.
        let proof = forge(&checked, &client, &v, &|_| {}, &|proof| proof.range.fill(0));
        let verdict = checked.verdict(&world, &client, &proof);
        assert_eq!(verdict, Err(Failure::Relation), "{}", cheat.name);
        // The proof of the update as if nothing had been changed.
        let proof = client.prove(&checked.question);
        let verdict = checked.verdict(&world, &client, &proof);
        assert_eq!(verdict, Err(Failure::Relation), "{}", cheat.name);
    }
}

/// A lane that overflows by its whole range is the neighbour's unit and minus one of its own: a
/// small vector, and accepted as what it is.
#[test]
fn a_lane_that_wraps_into_a_small_vector_is_that_small_vector() {
    let world = World::new(CommitteeShape::Four, 3_000);
    let checked = Checked::new(world.question(), 3);
    let mut client = world.client(0, &full(&world.config, 1, 0.5));
    let honest = client.chunks.clone();
    let whole = (1 << world.config.packing.lane_bits) - 1;
    add_to_word(&world, &mut client, 5, one_lane(&world, 0, whole));
    let digits = decoded(&checked, &client, &honest);
    let v = vector(&checked, &digits);
    assert_eq!(forged(&world, &checked, &client, &v), Ok(()));
    // And its numbers are those of that vector.
    client.units[5 * world.config.packing.lanes as usize] -= 1;
    client.units[5 * world.config.packing.lanes as usize + 1] += 1;
    let (mut units, _) = client.witness.vectors();
    units[..client.units.len()].copy_from_slice(&client.units);
    let y = project(&world.config, checked.question.rows(), &units);
    assert_eq!(digits.updates, y.iter().map(|&y| i128::from(y)).collect::<Vec<_>>());
}

#[test]
fn updates_longer_than_the_clip_are_rejected() {
    let world = World::new(CommitteeShape::Four, 3_000);
    let checked = Checked::new(world.question(), 3);
    // 1.3^2 = 1.7 is beyond 1.5 by less than the projections' spread at J = 64, k = 6; twice is not.
    for scale in [2.0, 3.0, 8.0] {
        let client = world.client(0, &full(&world.config, 1, scale));
        let honest = client.chunks.clone();
        let v = vector(&checked, &decoded(&checked, &client, &honest));
        assert_eq!(forged(&world, &checked, &client, &v), Err(Failure::Range), "{scale}");
    }
}

#[test]
fn false_digits_are_rejected_even_with_true_squares() {
    let world = World::new(CommitteeShape::Four, 3_000);
    let checked = Checked::new(world.question(), 3);
    let client = world.client(0, &full(&world.config, 1, 0.3));
    let honest = client.chunks.clone();
    let factors = Lift::new(&world.config).factors();
    let digits = || decoded(&checked, &client, &honest);
    assert_eq!(forged(&world, &checked, &client, &vector(&checked, &digits())), Ok(()));
    let mut zeros = digits();
    zeros.updates.fill(0);
    let verdict = forged(&world, &checked, &client, &vector(&checked, &zeros));
    assert_eq!(verdict, Err(Failure::Relation), "zeros as digits");
    let mut shifted = digits();
    shifted.updates[0] += 1;
    shifted.noises[0] -= factors[0].centred().rem_euclid(modulus());
    let verdict = forged(&world, &checked, &client, &vector(&checked, &shifted));
    assert_eq!(verdict, Err(Failure::Range), "shifted by a lattice vector");
    // Huge digits that meet the lanes' relation and the squares modulo q only.
    let mut wrapped = digits();
    let huge = modulus() / 3;
    let balance = Element::from(huge) * factors[0] * factors[1].inverse();
    wrapped.updates[0] += huge;
    wrapped.updates[1] = (Element::from(wrapped.updates[1]) - balance).centred();
    let verdict = forged(&world, &checked, &client, &vector(&checked, &wrapped));
    assert_eq!(verdict, Err(Failure::Range), "squares that hold modulo q only");
}

#[test]
fn a_false_proof_polynomial_is_rejected() {
    let world = World::new(CommitteeShape::Four, 3_000);
    let checked = Checked::new(world.question(), 3);
    let client = world.client(0, &full(&world.config, 1, 0.3));
    let honest = client.chunks.clone();
    let digits = decoded(&checked, &client, &honest);
    let v = vector(&checked, &digits);
    let spoiled = |v: &[Element], spoil: &dyn Fn(&mut Proof)| {
        checked.verdict(&world, &client, &forge(&checked, &client, v, spoil, &|_| {}))
    };
    assert_eq!(spoiled(&v, &|_| {}), Ok(()));
    // One value beyond the columns, which no sum shows.
    let last = |proof: &mut Proof| *proof.values.last_mut().expect("values") += Element::ONE;
    assert_eq!(spoiled(&v, &last), Err(Failure::Proof));
    // Two values whose change cancels in the sum of the update's columns.
    let two = |proof: &mut Proof| {
        proof.values[1] += Element::ONE;
        proof.values[2] -= Element::ONE;
    };
    assert_eq!(spoiled(&v, &two), Err(Failure::Proof));
    // No slack at all, and a value that makes up for it: or not even that.
    let mut bare = v.clone();
    let slack = checked.question.terms.projections();
    let missing: Element = bare[slack..slack + SLACK].iter().map(|&x| x * x).sum();
    bare[slack..slack + SLACK].fill(Element::ZERO);
    assert_eq!(spoiled(&bare, &|proof| proof.values[1] += missing), Err(Failure::Proof));
    assert_eq!(spoiled(&bare, &|_| {}), Err(Failure::Relation));
}

#[test]
fn a_wrong_key_correction_or_ciphertext_product_is_rejected() {
    let world = World::new(CommitteeShape::Four, 3_000);
    let checked = Checked::new(world.question(), 3);
    let client = world.client(0, &full(&world.config, 1, 0.5));
    let proof = client.prove(&checked.question);
    let parts = agree(checked.question.config.shape, &checked.answers(&world, &client, &proof));
    let parts = parts.expect("all answered").parts;
    let judged = |public: &Public, id: &PartyId, parts: &[Opening]| {
        judge(&checked.question, &checked.check, (id, &proof), public, parts)
    };
    let public = client.public(&checked.question, &checked.batch);
    assert_eq!(judged(&public, &client.id(), &parts), Ok(()));
    // beta off by one: the coordinator's lie, found by reading the chunks again.
    let product = public.product + Element::ONE;
    assert_eq!(judged(&Public { product, ..public }, &client.id(), &parts), Err(Failure::Relation));
    // One bit of d.
    let mut correction = client.sealed.correction.clone();
    correction[100] ^= 4;
    let wrong = Public::new(&checked.batch, &correction, public.product).expect("a vector");
    assert_eq!(judged(&wrong, &client.id(), &parts), Err(Failure::Relation));
    // What is no vector over Z_q of this round is no correction.
    for bytes in [&correction[1..], &[], &vec![0xff; correction.len()]] {
        assert!(Public::new(&checked.batch, bytes, public.product).is_none());
    }
    // Another client's name, so other range rows.
    let other = identity(0xc1, 5).id();
    assert_eq!(judged(&public, &other, &parts), Err(Failure::Relation));
    // Seeds of another key: another client's boxes.
    let stranger = world.client(1, &full(&world.config, 1, 0.5));
    let about = (&client.id(), &proof);
    let answers: Vec<_> = (world.seeds(&stranger).iter())
        .map(|seeds| Some(open(&checked.question, &checked.check, &checked.batch, about, seeds)))
        .collect();
    let parts = agree(checked.question.config.shape, &answers).expect("all answered").parts;
    assert_eq!(judged(&public, &client.id(), &parts), Err(Failure::Relation));
}

#[test]
fn a_proof_of_another_round_set_or_beacon_is_rejected() {
    let world = World::new(CommitteeShape::Four, 3_000);
    let checked = Checked::new(world.question(), 3);
    let client = world.client(0, &full(&world.config, 1, 0.5));
    for (set, beacon) in [(7, 9), (6, 8)] {
        let other = Question::new(&world.config, Digest([set; 32]), Digest([beacon; 32]));
        let proof = client.prove(&other.expect("can be audited"));
        assert_eq!(checked.verdict(&world, &client, &proof), Err(Failure::Relation));
    }
}

#[test]
fn range_rows_out_of_range_are_rejected_before_anything_else() {
    let world = World::new(CommitteeShape::Four, 3_000);
    let checked = Checked::new(world.question(), 3);
    let client = world.client(0, &full(&world.config, 1, 0.5));
    let mut proof = client.prove(&checked.question);
    let terms = checked.question.terms().clone();
    for z in [terms.mask_max - terms.spread + 1, -(terms.mask_max - terms.spread) - 1] {
        proof.range[95] = z;
        assert_eq!(checked.verdict(&world, &client, &proof), Err(Failure::Range));
    }
}

#[test]
fn lanes_too_narrow_for_the_clip_are_refused_with_the_terms() {
    let world = World::new(CommitteeShape::Four, 3_000);
    let mut config = world.config.clone();
    assert_eq!(config.validate_layout(), Ok(()));
    // One more lane of fewer bits, P the same: 2^L = 8 C.
    config.packing.lane_bits -= 1;
    config.packing.noise_bits += config.packing.lanes;
    assert!(config.validate_layout().is_err());
    // And an owner's units beyond the quantiser's width are never sealed.
    let units = vec![128; 3_000];
    let beyond = Quantised::from_units(&units, 1, &world.config.quantiser);
    assert!(matches!(beyond, Err(BadUnits::Range { index: 0 })));
}
