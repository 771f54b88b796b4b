//! Known answers for every step of the secure sum, in `tests/vectors/*.json`: meant for other
//! implementations, which need nothing but those files and README.md. Every case is checked
//! against the library and, where it is about more than a rule of refusal, against a second, naive
//! implementation (`reference`), so that the files are not the library's own echo.
//!
//! `cargo test -p covey-aggregation -- --ignored write_vectors` writes them anew, after a
//! deliberate change of the format only.

mod attestations;
mod audits;
mod case;
mod certificates;
mod complaints;
mod crediting;
mod credits;
mod digests;
mod envelopes;
mod multiplicities;
mod opening;
mod packings;
mod parts;
mod pools;
mod publications;
mod quantiser;
mod reference;
mod releases;
mod round;
mod seals;
mod signatures;
#[path = "../support/mod.rs"]
mod support;
mod terms;
mod uploads;

use std::collections::BTreeSet;

use covey_aggregation::sum::path::Path;
use serde_json::Value;

use case::{Case, File, folder, read};

/// Who checks a file.
struct Subject {
    name: &'static str,
    /// `None`: `src/sum/vectors.rs` writes it.
    write: Option<fn() -> File>,
    /// Checks a case; `true` for a valid one.
    check: fn(&mut Case, bool),
}

const SUBJECTS: [Subject; 29] = [
    Subject { name: "audit.json", write: Some(audits::file), check: audits::check },
    Subject { name: "hash.json", write: Some(digests::hashes), check: digests::check_hash },
    Subject { name: "merkle.json", write: Some(digests::trees), check: digests::check_tree },
    Subject { name: "signature.json", write: Some(signatures::file), check: signatures::check },
    Subject { name: "terms.json", write: Some(terms::file), check: terms::check },
    Subject { name: "packing.json", write: Some(packings::file), check: packings::check },
    Subject { name: "mask.json", write: None, check: parts::check_mask },
    Subject { name: "quantise.json", write: Some(quantiser::file), check: quantiser::check },
    Subject { name: "gauss.json", write: None, check: parts::check_gauss },
    Subject { name: "pad.json", write: None, check: parts::check_pad },
    Subject { name: "share.json", write: None, check: parts::check_share },
    Subject { name: "box.json", write: None, check: parts::check_box },
    Subject { name: "seal.json", write: Some(seals::file), check: seals::check },
    Subject { name: "round.json", write: Some(round::file), check: round::check },
    Subject { name: "upload.json", write: Some(uploads::file), check: uploads::check },
    Subject { name: "envelope.json", write: Some(envelopes::file), check: envelopes::check },
    Subject { name: "complaint.json", write: Some(complaints::file), check: complaints::check },
    Subject {
        name: "certificate.json",
        write: Some(certificates::file),
        check: certificates::check,
    },
    Subject { name: "release.json", write: Some(releases::file), check: releases::check },
    Subject {
        name: "combine.json",
        write: Some(releases::combinations),
        check: releases::check_combination,
    },
    Subject {
        name: "aggregate.json",
        write: Some(opening::aggregates),
        check: opening::check_aggregate,
    },
    Subject { name: "opening.json", write: Some(opening::file), check: opening::check },
    Subject {
        name: "publication.json",
        write: Some(publications::file),
        check: publications::check,
    },
    Subject { name: "pool.json", write: Some(pools::file), check: pools::check },
    Subject {
        name: "attestation.json",
        write: Some(attestations::file),
        check: attestations::check,
    },
    Subject { name: "credit-message.json", write: Some(crediting::file), check: crediting::check },
    Subject { name: "credits.json", write: Some(credits::file), check: credits::check },
    Subject {
        name: "credit-weights.json",
        write: Some(credits::weights_file),
        check: credits::check_weights,
    },
    Subject {
        name: "credit-multiplicities.json",
        write: Some(multiplicities::file),
        check: multiplicities::check,
    },
];

/// On the fastest path of this processor, then on the portable one.
#[test]
fn every_case_holds_and_no_part_of_it_goes_unchecked() {
    check_every_case();
    Path::force_portable();
    check_every_case();
}

fn check_every_case() {
    for subject in SUBJECTS {
        let file = read(subject.name);
        let mut names = BTreeSet::new();
        for (list, is_valid) in [("valid", true), ("invalid", false)] {
            for value in file[list].as_array().expect("a list") {
                let mut case = Case::new(subject.name, value);
                assert!(names.insert(case.name.clone()), "{} is there twice", case.name);
                (subject.check)(&mut case, is_valid);
                case.done();
            }
        }
        assert!(!names.is_empty(), "{} has no case", subject.name);
    }
}

#[test]
fn every_file_is_known_and_says_what_its_fields_mean() {
    let known: BTreeSet<_> = SUBJECTS.iter().map(|subject| subject.name.to_owned()).collect();
    let names = std::fs::read_dir(folder())
        .expect("the folder")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("a plain name"));
    let found: BTreeSet<_> = names.filter(|name| name.ends_with(".json")).collect();
    assert_eq!(found, known);
    for name in known {
        let file = read(&name);
        let parts: Vec<_> = file.as_object().expect("an object").keys().collect();
        assert_eq!(parts, ["about", "fields", "invalid", "step", "valid"], "{name}");
        let keys = |value: &Value| -> BTreeSet<String> {
            value.as_object().expect("an object").keys().cloned().collect()
        };
        let cases = ["valid", "invalid"].map(|list| file[list].as_array().expect("a list"));
        let used: BTreeSet<_> = cases.into_iter().flatten().flat_map(keys).collect();
        assert_eq!(used, keys(&file["fields"]), "{name}");
    }
}

#[test]
fn every_file_is_what_the_library_writes() {
    for Subject { name, write, .. } in SUBJECTS {
        if let Some(write) = write {
            assert!(write().json() == read(name), "{name} differs; see write_vectors");
        }
    }
}

#[test]
#[ignore = "writes the vectors; only after a deliberate change of the format"]
fn write_vectors() {
    for Subject { name, write, .. } in SUBJECTS {
        if let Some(write) = write {
            let text = serde_json::to_string_pretty(&write().json()).expect("JSON") + "\n";
            std::fs::write(folder().join(name), text).expect("writable");
        }
    }
}
