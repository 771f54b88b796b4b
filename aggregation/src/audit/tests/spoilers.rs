//! Owners that pass the audit with something that honest owners never seal, to make everybody's sum
//! not open. It opens, and holds exactly what they sealed.

use super::attacks::{Digits, add_to_word, decoded, forged, vector};
use super::*;
use crate::audit::element::Element;
use crate::audit::lift::Lift;
use crate::audit::weighing::wrong_check_digits;
use crate::limits::SENTINELS;
use crate::sum::accumulator::Accumulator;
use crate::sum::modulus::add_mod;
use crate::sum::open::{Aggregate, KeySum, Spoiled, Summands, combine, open_with_rest};
use crate::sum::pack::{pack_residues, unpack_residues};
use crate::sum::pad::Padder;
use crate::sum::share::component_sums;

const OWNERS: usize = 5;
const DIMENSION: usize = 12_000;

/// Five owners with updates of a fifth of the clip.
fn world() -> (World, Vec<Client>) {
    let world = World::new(CommitteeShape::Four, DIMENSION as u64);
    let client = |i: usize| world.client(i, &full(&world.config, i as u8 + 1, 0.2));
    let clients = (0..OWNERS).map(client).collect();
    (world, clients)
}

/// The sum of the parameters that the owners meant to send.
fn meant(clients: &[Client]) -> Vec<i32> {
    (0..DIMENSION).map(|i| clients.iter().map(|client| client.units[i]).sum()).collect()
}

fn accumulate(world: &World, clients: &[Client]) -> (Accumulator, KeySum) {
    let config = &world.config;
    let mut sum = Accumulator::new(config).expect("terms");
    for client in clients {
        sum.add_correction(&client.sealed.correction).expect("a correction");
        let mut chunks = (0..).zip(&client.chunks);
        chunks.try_for_each(|(i, chunk)| sum.add_chunk(i, chunk)).expect("chunks");
    }
    let context = config.context();
    let sums = (0..config.shape.members() as u8).map(|holder| {
        let holder = HolderIndex(holder);
        let own = |client: &Client| world.seeds(client).swap_remove(usize::from(holder.0));
        let seeds: Vec<_> = clients.iter().map(|client| (client.id(), own(client))).collect();
        let seeds = seeds.iter().map(|(id, seeds)| (*id, seeds));
        (holder, component_sums(config, &context, holder, seeds))
    });
    let sums: Vec<_> = sums.collect();
    let given: Vec<_> = sums.iter().map(|(holder, sums)| (*holder, &sums[..])).collect();
    let components = combine(config, &given).components;
    let components: Vec<_> = components.into_iter().map(|one| one.expect("agreed")).collect();
    let key = KeySum::recover(config, &sum, &components, clients.len() as u32);
    (sum, key.expect("audited keys may be long"))
}

fn opened(
    world: &World,
    (sum, key): &(Accumulator, KeySum),
    declared: u64,
) -> Result<(Aggregate, Vec<i32>), Spoiled> {
    let summands = Summands { count: OWNERS as u32, declared: Some(declared) };
    open_with_rest(&world.config, &world.config.context(), sum, key, summands)
}

/// Adds `units` to coordinate `i`, behind the quantiser's back; `i` is in the first chunk.
fn add_units(world: &World, client: &mut Client, i: u64, units: i64) {
    let packing = world.config.packing;
    let place = world.config.place(i);
    assert_eq!(place.chunk, 0);
    let shift = packing.noise_bits + place.lane * packing.lane_bits;
    add_to_word(world, client, place.coefficient, (i128::from(units) << shift).cast_unsigned());
}

/// What the client's proof comes to, made for what its ciphertext really holds.
fn verdict(world: &World, client: &Client, honest: &[Vec<u8>]) -> Result<(), Failure> {
    let checked = Checked::new(world.question(), 3);
    let v = vector(&checked, &decoded(&checked, client, honest));
    forged(world, &checked, client, &v)
}

#[test]
fn noise_that_the_audit_allows_spoils_no_sum() {
    let (world, mut clients) = world();
    let honest = clients[2].chunks.clone();
    // Far above what honest noise of five adds up to, and within the audit's bound.
    add_to_word(&world, &mut clients[2], 9, 14);
    assert_eq!(verdict(&world, &clients[2], &honest), Ok(()));
    let (aggregate, rest) = opened(&world, &accumulate(&world, &clients), 5).expect("opens");
    assert_eq!(aggregate.sums, meant(&clients));
    assert_eq!(wrong_check_digits(&world.config, &rest), 0);
}

#[test]
fn whatever_an_owner_passes_the_audit_with_opens() {
    let (world, mut clients) = world();
    let honest = clients[2].chunks.clone();
    let rest = world.config.rest();
    let digits = rest.start + SENTINELS as u64;
    // Parameters beyond what five quantised values add up to, above and below; check digits; the
    // weight's highest digit, so that the sum of weights is far below zero; padding.
    let odd: [(u64, i64); 7] = [
        (7, 700),
        (8, -740),
        (rest.start + 3, 5),
        (rest.start + 60, -90),
        (digits + 3, -100),
        (digits, 60),
        (rest.end - 1, 30),
    ];
    for (i, units) in odd {
        add_units(&world, &mut clients[2], i, units);
    }
    assert_eq!(verdict(&world, &clients[2], &honest), Ok(()));
    let (aggregate, found) = opened(&world, &accumulate(&world, &clients), 5).expect("opens");
    let mut sums = meant(&clients);
    let magnitude_max = world.config.quantiser.magnitude_max() as i32 * OWNERS as i32;
    for (i, units) in &odd[..2] {
        sums[*i as usize] += *units as i32;
        assert!(sums[*i as usize].abs() > magnitude_max, "nobody honest can add up to it");
    }
    assert_eq!(aggregate.sums, sums);
    assert_eq!(aggregate.weight, 5, "what is declared counts");
    let untouched = accumulate(&world, &world_of_the_honest(&world));
    let (_, before) = opened(&world, &untouched, 5).expect("opens");
    for (place, (found, before)) in rest.clone().zip(found.iter().zip(&before)) {
        let added = odd.iter().find(|(i, _)| *i == place).map_or(0, |(_, units)| *units as i32);
        assert_eq!(found - before, added, "coordinate {place}");
    }
    assert_eq!(wrong_check_digits(&world.config, &found), 3);
}

/// The five owners again, none of whom cheats.
fn world_of_the_honest(world: &World) -> Vec<Client> {
    (0..OWNERS).map(|i| world.client(i, &full(&world.config, i as u8 + 1, 0.2))).collect()
}

#[test]
fn a_weight_that_nobody_can_declare_is_no_weight() {
    let (world, clients) = world();
    let sum = accumulate(&world, &clients);
    assert_eq!(opened(&world, &sum, 6).map(|_| ()), Err(Spoiled::Weight));
    assert_eq!(opened(&world, &sum, 4).map(|_| ()), Err(Spoiled::Weight));
}

#[test]
fn an_owner_with_a_long_key_spoils_no_sum() {
    let (world, mut clients) = world();
    let config = &world.config;
    let expected = meant(&clients);
    let client = &mut clients[2];
    // As if it had drawn another key: the correction moves by what is not short at all, in both
    // primes differently, and each word by the pad of that.
    let mut key = vec![0i128; config.profile.ring_dimension()];
    (key[0], key[77]) = (1 << 90, -12_345_678_901_234_567_890);
    let mut padder = Padder::new(config, &config.context());
    let transformed = padder.transform_sum(&key);
    let primes = crate::sum::modulus::primes(config.profile);
    let moved = key
        .iter()
        .flat_map(|entry| primes.iter().map(|&prime| entry.rem_euclid(i128::from(prime)) as u64));
    let residues = unpack_residues(&client.sealed.correction).zip(moved).zip(primes.iter().cycle());
    let residues = residues.map(|((d, moved), prime)| add_mod(d, moved, *prime));
    let residues: Vec<u64> = residues.collect();
    client.sealed.correction.clear();
    pack_residues(&residues, &mut client.sealed.correction);
    let honest = client.chunks.clone();
    let checked = Checked::new(world.question(), 3);
    let mut noises = client.witness.project(&checked.question).noises.clone();
    for chunk in 0..config.chunks() {
        let coefficients = config.chunk_coefficients(chunk);
        let mut pads = vec![0u128; coefficients];
        padder.pad(chunk, &transformed, None, pads.iter_mut(), |out, pad| *out = pad);
        assert_eq!(chunk, 0, "words are changed in the first chunk");
        for (c, pad) in pads.iter().enumerate() {
            add_to_word(&world, client, c, *pad);
        }
        let product: Vec<Vec<u64>> =
            (0..2).map(|limb| padder.product(chunk, limb, &transformed).to_vec()).collect();
        let lifted = |bytes: &[u8]| {
            let mut lifted = Vec::new();
            let lift = Lift::new(config);
            lift.for_chunk(chunk, bytes, |_, word| lifted.push(Element::of_reduced(word)));
            lifted
        };
        let (after, before) = (lifted(&client.chunks[0]), lifted(&honest[0]));
        let changes: Vec<i64> = (0..coefficients)
            .map(|c| (after[c] - before[c] - Element([product[0][c], product[1][c]])).centred())
            .map(|change| i64::try_from(change).expect("rounding only"))
            .collect();
        checked.question.rows.for_chunk(config, chunk, |j, row| {
            let by = row.iter().zip(&changes).map(|(entry, change)| i64::from(*entry) * change);
            noises[j] += by.sum::<i64>();
        });
    }
    let updates = client.witness.project(&checked.question).updates.clone();
    let digits = Digits {
        updates: updates.iter().map(|&y| i128::from(y)).collect(),
        noises: noises.iter().map(|&noise| i128::from(noise)).collect(),
    };
    assert_eq!(forged(&world, &checked, client, &vector(&checked, &digits)), Ok(()));
    let sum = accumulate(&world, &clients);
    let bytes = sum.1.to_bytes();
    assert_eq!(bytes.len(), 16 * config.profile.ring_dimension(), "a long sum");
    assert_eq!(KeySum::from_bytes(config, &bytes), Ok(sum.1.clone()));
    let (aggregate, rest) = opened(&world, &sum, 5).expect("opens");
    assert_eq!(aggregate.sums, expected);
    assert_eq!(wrong_check_digits(config, &rest), 0);
}

#[test]
fn a_long_key_sum_is_none_where_nothing_is_audited() {
    let (world, _) = world();
    let mut config = world.config.clone();
    let long: Vec<u8> = (0..config.profile.ring_dimension())
        .flat_map(|i| (if i == 5 { 1i128 << 80 } else { 3 }).to_le_bytes())
        .collect();
    assert!(KeySum::from_bytes(&config, &long).is_ok());
    config.audit = crate::config::Audit::Off;
    assert!(KeySum::from_bytes(&config, &long).is_err());
    // One sum has one form, and all entries are below q / 2.
    config.audit = world.config.audit;
    let short: Vec<u8> = std::iter::repeat_n(3i128, config.profile.ring_dimension())
        .flat_map(i128::to_le_bytes)
        .collect();
    assert!(KeySum::from_bytes(&config, &short).is_err());
    let mut beyond = long;
    beyond[..16].copy_from_slice(&(1i128 << 99).to_le_bytes());
    assert!(KeySum::from_bytes(&config, &beyond).is_err());
}

#[test]
fn garbage_does_not_open_with_the_audit_either() {
    let (world, clients) = world();
    let (sum, _) = accumulate(&world, &clients);
    let (_, other) = accumulate(&world, &clients[..4]);
    let refused = opened(&world, &(sum, other), 5).map(|_| ());
    assert!(matches!(refused, Err(Spoiled::Garbage { .. })), "{refused:?}");
}
