//! `credit-multiplicities.json`.

use covey_aggregation::credit::{RoundEvidence, Standings, multiplicities};
use covey_aggregation::hash::Digest;
use covey_aggregation::party::PartyId;
use serde_json::{Value, json};

use crate::case::{Case, File, NAME, REFUSED, WRONG};
use crate::credits::{draft, federation, key, list, read, reference_round, reference_terms};
use crate::reference::credits as reference;

/// How often each of `owners` counts after these rounds.
fn counted(rounds: &[Value], minimum: u32, owners: &Value) -> Result<Vec<u32>, String> {
    let mut standings = Standings::default();
    for round in rounds {
        standings = standings.after(&read::<RoundEvidence>(round)?);
    }
    let owners: Vec<_> = list(owners).map(|owner| PartyId(key(owner))).collect();
    multiplicities(&standings, minimum, &owners).map_err(|once| once.to_string())
}

pub(crate) fn file() -> File {
    let owners = |indices: &[u8]| {
        let ids = indices.iter().map(|index| Digest([0x11 * index; 32]).to_string());
        json!(ids.collect::<Vec<_>>())
    };
    let federation: Vec<_> = federation().iter().map(|one| json!(one)).collect();
    let case = |name: &str, rounds: usize, minimum: u32, owners: Value| {
        let rounds = &federation[..rounds];
        let times = counted(rounds, minimum, &owners).expect("a good case");
        json!({
            "name": name, "rounds": rounds, "minimum": minimum, "owners": owners, "times": times,
        })
    };
    let once = |name: &str, wrong: &str, rounds: usize, minimum: u32| {
        let (rounds, owners) = (&federation[..rounds], owners(&[1, 2, 3, 4, 5, 6]));
        let refused = counted(rounds, minimum, &owners).expect_err(name);
        json!({
            "name": name, "wrong": wrong, "rounds": rounds, "minimum": minimum, "owners": owners,
            "refused": refused,
        })
    };
    File {
        about: "how often the updates of a round's owners count in its sum, from the evidence of \
                the rounds before it, by the rules of README.md",
        step: "credits",
        fields: &[
            NAME,
            (WRONG.0, "why all count once"),
            (REFUSED.0, "the same in the library's words"),
            ("rounds", "the evidence of all rounds before, as in credits.json"),
            ("minimum", "fewest contributions that may be opened"),
            ("owners", "of the accepted set, in order"),
            ("times", "how often each counts"),
        ],
        valid: vec![
            case("three rounds before", 3, 3, owners(&[1, 2, 3, 4, 5, 6])),
            case("eight rounds before", 8, 3, owners(&[1, 2, 3, 4, 5, 6])),
            case("some are missing", 8, 3, owners(&[1, 2, 4])),
            case("a newcomer", 4, 3, owners(&[1, 2, 3, 4, 8])),
        ],
        invalid: vec![
            once("no round before", "nobody is told from another", 0, 3),
            once("two rounds before", "nobody has three rounds", 2, 3),
            once("too few would count", "fewer than the minimum", 8, 6),
        ],
    }
}

pub(crate) fn check(case: &mut Case, is_valid: bool) {
    let (rounds, owners) = (case.list("rounds"), case.value("owners"));
    let minimum = case.number("minimum");
    let counted = counted(&rounds, minimum as u32, &owners);
    let past: Vec<_> = rounds.iter().map(reference_round).collect();
    let owners: Vec<_> = list(&owners).map(key).collect();
    let terms = reference_terms(&json!(draft(16)));
    let again = reference::multiplicities(&terms, &past, minimum, &owners);
    if !is_valid {
        assert_eq!(counted.err(), Some(case.refusal()), "{}", case.name);
        assert_eq!(again, None, "{}", case.name);
        return;
    }
    let times: Vec<u64> = case.numbers("times").iter().map(|times| *times as u64).collect();
    let counted: Vec<u64> = counted.expect("a good case").into_iter().map(u64::from).collect();
    assert_eq!(counted, times, "{}", case.name);
    assert_eq!(again, Some(times), "{}", case.name);
}
