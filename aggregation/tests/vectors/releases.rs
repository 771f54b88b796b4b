//! `release.json` and `combine.json`.

use covey_aggregation::config::{CommitteeShape, HolderIndex, Profile, RoundConfig};
use covey_aggregation::hash::Digest;
use covey_aggregation::message::{Envelope, Release};
use covey_aggregation::party::PartyId;
use covey_aggregation::signing::Statement;
use covey_aggregation::sum::open::combine;
use covey_aggregation::sum::share::{Seeds, component_sums, open_envelope};
use serde_json::{Value, json};

use crate::case::{Case, File, NAME, REFUSED, WRONG, digest, hex};
use crate::reference::boxes::{self, Place};
use crate::reference::bytes::{accepts, hash, pack, signed_bytes};
use crate::reference::ring::Ring;
use crate::round::base;
use crate::signatures::signed;
use crate::support::{Fixture, Terms};

/// What holder `index` releases for these uploads, by the library.
pub(crate) fn sums(index: usize, uploads: &[usize]) -> Vec<Vec<u8>> {
    let (config, round_ctx) = (&base().config, &base().round_ctx);
    let (holder, secret) = (HolderIndex(index as u8), base().sealing_secret(index));
    let open = |upload: &usize| -> (PartyId, Seeds) {
        let upload = &base().uploads[*upload];
        let header = upload.signed_header();
        let client = header.header.client;
        let envelope = Envelope::new(&header, holder, upload.boxes[index].clone()).expect("a seat");
        let seeds = open_envelope(config, round_ctx, holder, &secret, &envelope);
        (client, seeds.unwrap_or_else(|_| panic!("a good box")))
    };
    let seeds: Vec<_> = uploads.iter().map(open).collect();
    let seeds = seeds.iter().map(|(client, seeds)| (*client, seeds));
    component_sums(config, round_ctx, holder, seeds)
}

/// The same from the text.
fn plain_sums(index: usize, uploads: &[usize]) -> Vec<Vec<u8>> {
    let (ring, round_ctx) = (Ring::of("A"), base().round_ctx.0);
    let mut sums = vec![vec![vec![0u64; ring.n]]; 3];
    for upload in uploads {
        let upload = &base().uploads[*upload];
        let client = &upload.header[33..65];
        let place = Place { round_ctx: &round_ctx, client, holder: index as u8 };
        let seed = &base().sealing_seeds[index];
        let (_, contents) = boxes::open(seed, &place, &upload.boxes[index]).expect("opens");
        for (sum, seed) in sums.iter_mut().zip(contents.chunks(32)) {
            ring.add(sum, &ring.expand(seed, &round_ctx, client), false);
        }
    }
    sums.iter().map(|sum| ring.bytes(sum)).collect()
}

fn case(name: &str, holder: usize, uploads: &[usize]) -> Value {
    let (round_ctx, set) = (base().round_ctx, base().set());
    let sums = sums(holder, uploads);
    let body = Release::body(&set, &sums);
    let signature = signed(&base().holder_seeds[holder], Statement::Release, &round_ctx, &body);
    json!({
        "name": name, "holder": holder, "uploads": uploads, "round_ctx": round_ctx.to_string(),
        "set": set.to_string(), "sum_digests": sums.iter().map(|one| digest(one)).collect::<Vec<_>>(),
        "body": hex(&body), "signature": signature,
    })
}

fn invalid(name: &str, wrong: &str, change: fn(&mut Value)) -> Value {
    let mut value = case(name, 2, &[0, 1, 2]);
    change(&mut value);
    value["wrong"] = json!(wrong);
    value["refused"] = json!("not a release of that holder for that set");
    value
}

pub(crate) fn file() -> File {
    File {
        about: "what a holder releases for a certified set: R_T for each component it knows, in \
                canonical order, and a signature over H(release; set, each sum). Boxes and seeds \
                are those of round.json",
        step: "step 11, Release",
        fields: &[
            NAME,
            WRONG,
            REFUSED,
            ("holder", "who releases, from 0"),
            ("uploads", "the uploads of round.json that are summed"),
            ("round_ctx", "the round's context"),
            ("set", "H(U), 32 bytes"),
            ("sum_digests", "H(body) of each R_T"),
            ("body", "H(release; set, each sum)"),
            ("signature", "over the body, as `release`"),
        ],
        valid: (0..4).map(|holder| case(&format!("holder {holder}"), holder, &[0, 1, 2])).collect(),
        invalid: vec![
            invalid("a contribution left out", "the sums are those of two uploads", |value| {
                *value = case("a contribution left out", 2, &[0, 1]);
                value["uploads"] = json!([0, 1, 2]);
            }),
            invalid("another holder's sums", "signed by holder 3, claimed for holder 2", |value| {
                *value = case("another holder's sums", 3, &[0, 1, 2]);
                value["holder"] = json!(2);
            }),
            invalid("another set", "the set is changed after signing", |value| {
                value["set"] = json!(Digest([9; 32]).to_string());
            }),
            invalid("another round", "the round is changed after signing", |value| {
                value["round_ctx"] = json!(Digest([9; 32]).to_string());
            }),
            invalid("a body that does not belong", "one digit of the body differs", |value| {
                value["body"] = json!(Digest([9; 32]).to_string());
            }),
        ],
    }
}

pub(crate) fn check(case: &mut Case, is_valid: bool) {
    let holder = case.number("holder") as usize;
    let uploads: Vec<usize> = case.numbers("uploads").iter().map(|i| *i as usize).collect();
    let (round_ctx, set) = (case.digest("round_ctx"), case.digest("set"));
    let (body, signature) = (case.bytes("body"), case.signature("signature"));
    let sums = sums(holder, &uploads);
    assert_eq!(sums, plain_sums(holder, &uploads), "{}", case.name);
    let mut parts: Vec<&[u8]> = vec![&set.0];
    parts.extend(sums.iter().map(Vec::as_slice));
    assert_eq!(Release::body(&set, &sums), hash("release", &parts));
    let own = Release::body(&set, &sums);
    let seat = base().config.committee[holder].holder;
    let is_signed = seat.verify(Statement::Release, &round_ctx, &body, &signature).is_ok();
    let message = signed_bytes("release", &round_ctx.0, &body);
    assert_eq!(is_signed, accepts(&seat.0, &message, &signature.to_bytes()));
    let digests = case.list("sum_digests");
    let are_given = digests.iter().zip(&sums).all(|(given, sum)| *given == digest(sum));
    let holds = is_signed && own == body && are_given && digests.len() == sums.len();
    assert_eq!(holds, is_valid, "{}", case.name);
    if !is_valid {
        case.refusal();
    }
}

fn terms(members: u64) -> RoundConfig {
    let shape = CommitteeShape::of_members(members as usize).expect("4 or 7");
    Fixture::new(Terms { profile: Profile::A, shape, ..Terms::default() }).config
}

/// A vector over Z_q with the same entry everywhere.
fn filled(entry: u64) -> Vec<u8> {
    pack(&vec![u128::from(entry); 2048], 50)
}

/// Components and liars, `None` where nothing is agreed; entries stand for vectors.
type Agreement = (Vec<Option<u64>>, Vec<u64>);

fn library(members: u64, releases: &[(u64, Vec<u64>)]) -> Agreement {
    let config = terms(members);
    let sums: Vec<(HolderIndex, Vec<Vec<u8>>)> = (releases.iter())
        .map(|(holder, entries)| {
            let vectors = entries.iter().map(|entry| filled(*entry)).collect();
            (HolderIndex(*holder as u8), vectors)
        })
        .collect();
    let given: Vec<_> = sums.iter().map(|(holder, sums)| (*holder, sums.as_slice())).collect();
    let combined = combine(&config, &given);
    let entry =
        |bytes: &Vec<u8>| u64::from_le_bytes(bytes[..8].try_into().expect("8 bytes")) % (1 << 50);
    let components = combined.components.iter().map(|one| one.as_ref().map(entry)).collect();
    (components, combined.liars.iter().map(|holder| u64::from(holder.0)).collect())
}

/// From the text: the value that f + 1 holders give equally; who gives anything else, or nothing
/// that is a vector, lies. Of two releases of a holder the first counts.
fn plain(members: u64, releases: &[(u64, Vec<u64>)]) -> Agreement {
    let faults = (members - 1) / 3;
    let (mut components, mut liars) = (Vec::new(), Vec::new());
    let masks: Vec<u64> =
        (0..1u64 << members).filter(|mask| u64::from(mask.count_ones()) == faults).collect();
    let prime = (1u64 << 50) - (1 << 14) + 1;
    for mask in &masks {
        let knows = |holder: u64| holder < members && mask >> holder & 1 == 0;
        let mut given: Vec<(u64, Option<u64>)> = Vec::new();
        for (holder, entries) in releases {
            if knows(*holder) && given.iter().all(|(other, _)| other != holder) {
                let own = masks.iter().filter(|one| *one >> holder & 1 == 0);
                let at = own.clone().take_while(|one| *one != mask).count();
                let whole = own.count() == entries.len();
                given.push((*holder, entries.get(at).copied().filter(|x| whole && *x < prime)));
            }
        }
        let copies = |value: u64| given.iter().filter(|(_, one)| *one == Some(value)).count();
        let agreed = given.iter().filter_map(|(_, one)| *one).find(|x| copies(*x) as u64 > faults);
        for (holder, value) in given {
            let lies = value.is_none() || (agreed.is_some() && value != agreed);
            if lies && !liars.contains(&holder) {
                liars.push(holder);
            }
        }
        components.push(agreed);
    }
    liars.sort_unstable();
    (components, liars)
}

fn combine_case(name: &str, members: u64, releases: &[(u64, Vec<u64>)]) -> Value {
    let (components, liars) = library(members, releases);
    let releases = releases.iter().map(|(holder, sums)| json!({ "holder": holder, "sums": sums }));
    json!({
        "name": name, "committee": members, "releases": releases.collect::<Vec<_>>(),
        "components": components, "liars": liars,
    })
}

/// What holder `holder` of `members` releases honestly: component i is the vector of 100 + i.
fn honest(members: u64, holder: u64) -> (u64, Vec<u64>) {
    let faults = (members - 1) / 3;
    let masks = (0..1u64 << members).filter(|mask| u64::from(mask.count_ones()) == faults);
    let own = (100..).zip(masks).filter(|(_, mask)| mask >> holder & 1 == 0);
    (holder, own.map(|(entry, _)| entry).collect())
}

fn lying(members: u64, holder: u64, entry: u64) -> (u64, Vec<u64>) {
    let (holder, mut sums) = honest(members, holder);
    sums[0] = entry;
    (holder, sums)
}

pub(crate) fn combinations() -> File {
    let four = |holders: &[u64]| holders.iter().map(|h| honest(4, *h)).collect::<Vec<_>>();
    let seven = |holders: &[u64]| holders.iter().map(|h| honest(7, *h)).collect::<Vec<_>>();
    let with = |mut releases: Vec<(u64, Vec<u64>)>, more: &[(u64, Vec<u64>)]| {
        releases.extend_from_slice(more);
        releases
    };
    let prime = (1u64 << 50) - (1 << 14) + 1;
    let short = |mut one: (u64, Vec<u64>)| {
        one.1.pop();
        one
    };
    let refused = |name: &str, members: u64, releases: &[(u64, Vec<u64>)]| {
        let mut value = combine_case(name, members, releases);
        value["wrong"] = json!(name);
        value["refused"] = json!("some component is not given equally by f + 1 holders");
        value
    };
    File {
        about: "what several releases agree on. A sum is written as one number: the vector of \
                profile A whose 2048 entries are all that number (q1 stands for a malformed one)",
        step: "step 11, Release",
        fields: &[
            NAME,
            WRONG,
            REFUSED,
            ("committee", "m: 4 or 7 holders"),
            (
                "releases",
                "in the order they came; of each holder the sums of the components it \
              knows, in canonical order",
            ),
            ("components", "the agreed sums in canonical order; null where there is none"),
            ("liars", "holders that gave something else than is agreed, or no vector, ascending"),
        ],
        valid: vec![
            combine_case("all four agree", 4, &four(&[0, 1, 2, 3])),
            combine_case("three suffice", 4, &four(&[0, 1, 3])),
            combine_case("one lies", 4, &with(four(&[0, 1, 3]), &[lying(4, 2, 7)])),
            combine_case("one lies first", 4, &with(vec![lying(4, 2, 7)], &four(&[0, 1, 3]))),
            combine_case("not below the prime", 4, &with(four(&[0, 1, 3]), &[lying(4, 2, prime)])),
            combine_case("one sum too few", 4, &with(four(&[0, 1, 3]), &[short(honest(4, 2))])),
            combine_case(
                "a second release of the same holder",
                4,
                &with(four(&[0, 1, 2, 3]), &[lying(4, 2, 7)]),
            ),
            combine_case("nobody's release", 4, &with(four(&[0, 1, 2, 3]), &[(9, vec![7; 3])])),
            combine_case("five of seven suffice", 7, &seven(&[0, 2, 3, 4, 6])),
            combine_case(
                "two of seven lie alike",
                7,
                &with(seven(&[0, 1, 3, 5, 6]), &[lying(7, 2, 7), lying(7, 4, 7)]),
            ),
        ],
        invalid: vec![
            refused("nothing released", 4, &[]),
            refused("two of four", 4, &four(&[0, 1])),
            refused(
                "one missing and one lying of four",
                4,
                &with(four(&[0, 1]), &[lying(4, 2, 7)]),
            ),
            refused("four of seven", 7, &seven(&[0, 1, 2, 3])),
            refused(
                "two missing and two lying of seven",
                7,
                &with(seven(&[0, 1, 2]), &[lying(7, 3, 7), lying(7, 4, 8)]),
            ),
        ],
    }
}

pub(crate) fn check_combination(case: &mut Case, is_valid: bool) {
    let members = case.number("committee");
    let numbers = |value: &Value| -> Vec<u64> {
        let list = value.as_array().expect("a list").iter();
        list.map(|one| one.as_u64().expect("a number")).collect()
    };
    let releases: Vec<_> = (case.list("releases").iter())
        .map(|one| (one["holder"].as_u64().expect("a number"), numbers(&one["sums"])))
        .collect();
    let components: Vec<_> = case.list("components").iter().map(Value::as_u64).collect();
    let liars = numbers(&case.value("liars"));
    let given = (components, liars);
    assert_eq!(library(members, &releases), given, "{}", case.name);
    assert_eq!(plain(members, &releases), given, "{}", case.name);
    assert_eq!(given.0.iter().all(Option::is_some), is_valid, "{}", case.name);
    if !is_valid {
        case.refusal();
    }
}
