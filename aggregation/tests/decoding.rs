//! Every parser, on the vectors and on what becomes of them: bytes flipped, lengths that lie, cut
//! short, bytes added, and random ones. `parsers` says what must hold.

mod parsers;

use covey_aggregation::message::{FromHolder, SignedHeader, ToHolder};
use covey_aggregation::publication::RoundResult;
use covey_aggregation::wire::{self, encode};
use parsers::seeds::Seeds;
use parsers::{PARSERS, bounded, decoded};
use peak_alloc::PeakAlloc;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// The seeds that are meant to be refused, by parser: uploads with a changed byte and in another
/// order, and the boxes of clients other than the one whose box is expected.
const REFUSED: [(&str, &[usize]); 2] = [("contribution", &[4, 5]), ("sealed_box", &[1, 2])];

/// Changed inputs of each parser.
const INPUTS: usize = 400;

/// The allocator counts for all threads together: this file has one test.
#[test]
fn parsers_hold_what_they_may_accept_one_form_and_never_panic() {
    let seeds = Seeds::read();
    every_seed_is_parsed(&seeds);
    changed_inputs_are_parsed_or_refused(&seeds);
    lists_of_the_smallest_elements_are_within_the_bound(&seeds);
    announced_lengths_are_not_believed(&seeds);
    texts_that_cost_the_most_are_within_their_bounds();
    rosters_of_the_smallest_members_are_within_the_bound();
}

fn every_seed_is_parsed(seeds: &Seeds) {
    for parser in &PARSERS {
        let refused = REFUSED.iter().find(|(name, _)| *name == parser.name);
        let refused = refused.map_or(&[][..], |(_, refused)| refused);
        for (index, seed) in (parser.seeds)(seeds).iter().enumerate() {
            let accepted = !refused.contains(&index);
            assert_eq!((parser.check)(seed), accepted, "{}: seed {index}", parser.name);
        }
    }
}

fn changed_inputs_are_parsed_or_refused(seeds: &Seeds) {
    for parser in &PARSERS {
        let mut random = ChaCha8Rng::seed_from_u64(7);
        let inputs = (parser.seeds)(seeds);
        for round in 0..INPUTS {
            let mut input = inputs[round % inputs.len()].clone();
            // Near the beginning are the lengths.
            let near = if random.random() { input.len() } else { input.len().min(300) };
            match round % 5 {
                0 => input.truncate(random.random_range(0..=near)),
                1 => input.push(random.random()),
                2 if near > 0 => {
                    input[random.random_range(0..near)] ^= 1 << random.random_range(0..8)
                }
                3 if near > 0 => {
                    let at = random.random_range(0..near);
                    input.splice(at..at, [0xff, 0xff, random.random(), 0x0f]);
                }
                _ => {
                    let at = random.random_range(0..=near);
                    input[at..].fill_with(|| random.random());
                }
            }
            (parser.check)(&input);
        }
    }
}

/// As many as possible of what takes the most memory for its bytes.
fn lists_of_the_smallest_elements_are_within_the_bound(seeds: &Seeds) {
    for count in [1_000, 4_097, 5_000] {
        let mut header = seeds.uploads[0].header.clone();
        shrink(&mut header);
        let mut result: RoundResult = seeds.result.clone();
        result.headers = vec![header; count];
        result.aggregate.sums = vec![-1; 10 * count];
        assert!(decoded::<RoundResult>(&encode(&result)).is_some());
        let set = vec![parsers::digest(1); count];
        assert!(decoded::<ToHolder>(&encode(&ToHolder::Set { round_ctx: set[0], set })).is_some());
    }
}

/// A header with as few bytes as decode.
fn shrink(signed: &mut SignedHeader) {
    signed.header.components.truncate(1);
}

fn announced_lengths_are_not_believed(seeds: &Seeds) {
    let release = &seeds.release()[0];
    // A message about sums, then a count of sums, then of the bytes of each.
    let mut lie = encode(&FromHolder::Lacking { round_ctx: seeds.round_ctx });
    lie[1] = 3;
    lie.extend_from_slice(&release[33..66]);
    lie.extend_from_slice(&[0xff, 0xff, 0x3f]);
    lie.resize(1 << 20, 0xff);
    // Nothing but the slack is held.
    assert!(bounded(0, 1, || wire::decode::<FromHolder>(&lie, 1 << 20).is_err()));
}

/// As the fuzz targets found them, at every size at which a list may just have doubled.
fn texts_that_cost_the_most_are_within_their_bounds() {
    let parts = ["=\n", "{a=1},", "[[a]]\n", "a.", ".", "[", "b,", ", ", "{\"name\":\"\"},"];
    for power in [6, 9, 12, 13, 14] {
        for part in parts {
            let many = part.repeat((1 << power) + 1);
            for text in
                [format!("a=[{many}]"), many.clone(), format!("schema = \"plan/1\"\n{many}")]
            {
                parsers::texts::plan(text.as_bytes());
                parsers::texts::configuration(text.as_bytes());
                parsers::texts::roster(text.as_bytes());
                parsers::texts::request(text.as_bytes());
            }
        }
    }
}

/// At every size at which the list may just have doubled.
fn rosters_of_the_smallest_members_are_within_the_bound() {
    let member = format!("{{\"name\":\"a\",\"role\":\"holder\",\"id\":\"{}\"}},", "0".repeat(64));
    for power in [6, 9, 12, 14] {
        let many = member.repeat((1 << power) + 1);
        // Whole, and with an element at the end that is none.
        for members in [&many[..many.len() - 1], &format!("{many}0")] {
            parsers::texts::roster(
                format!(
                    "{{\"schema\":\"covey-roster/1\",\"federation\":\"a\",\"digest\":\"\",\
                     \"authority\":\"{}\",\"members\":[{members}]}}",
                    "0".repeat(64)
                )
                .as_bytes(),
            );
        }
    }
}
