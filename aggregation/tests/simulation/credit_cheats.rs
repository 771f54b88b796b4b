//! A coordinator that cheats a holder in a round's credit: it has the messages of an honest round, and
//! changes them.

use covey_aggregation::hash::Digest;
use covey_aggregation::message::{CreditQuestion, FromHolder, Refusal, ToHolder};

use crate::audit_cheats::Cheated;
use crate::credits::credited;

fn cheated(rounds: u32) -> Cheated {
    let mut scenario = credited(12);
    (scenario.owners, scenario.rounds) = (6, rounds);
    Cheated::of(scenario)
}

const fn is_credit(message: &ToHolder) -> bool {
    matches!(message, ToHolder::Credit(_))
}

const fn is_part(message: &ToHolder) -> bool {
    matches!(message, ToHolder::CreditPart { .. })
}

const fn is_attest(message: &ToHolder) -> bool {
    matches!(message, ToHolder::Attest { .. })
}

const fn is_propose(message: &ToHolder) -> bool {
    matches!(message, ToHolder::Propose { .. })
}

fn question(cheated: &Cheated) -> CreditQuestion {
    let ToHolder::Credit(question) = cheated.honest(is_credit).remove(0) else { unreachable!() };
    *question
}

/// Weights of a function, eight bytes each.
fn negated(functions: &[u8]) -> Vec<u8> {
    let weights = functions.as_chunks().0.iter();
    weights.flat_map(|weight| (-i64::from_le_bytes(*weight)).to_le_bytes()).collect()
}

fn opens(said: &[FromHolder]) -> bool {
    said.iter().any(|message| matches!(message, FromHolder::Credited(_)))
}

/// A way to change an honest question.
type Change = fn(&mut CreditQuestion);

#[test]
fn numbers_are_opened_for_the_rounds_own_fold_and_directions_alone() {
    let changes: [(&str, Change); 9] = [
        ("functions", |q| q.directed.functions = negated(&q.directed.functions)),
        ("one function", |q| {
            q.directed.functions[..8].copy_from_slice(&(1i64 << 39).to_le_bytes())
        }),
        ("fewer weights", |q| q.directed.functions.truncate(8)),
        ("fold", |q| q.directed.examples[0] ^= 1),
        ("retired", |q| q.retired.push(3)),
        ("beacon", |q| q.fold.drawn[0].values[0] = Digest::ZERO),
        ("certificate", |q| q.certificate.votes.truncate(2)),
        ("verdict", |q| q.verdict.list = Digest::ZERO),
        ("set", |q| q.set.truncate(q.set.len() - 1)),
    ];
    for (what, change) in changes {
        let mut cheated = cheated(1);
        cheated.until(is_credit);
        let mut other = question(&cheated);
        change(&mut other);
        assert!(cheated.refusal(ToHolder::Credit(Box::new(other))).is_some(), "{what}");
    }
    let mut cheated = cheated(1);
    cheated.until(is_credit);
    let honest = question(&cheated);
    assert!(opens(&cheated.tell(ToHolder::Credit(Box::new(honest)))));
}

#[test]
fn no_second_numbers_are_opened_even_after_a_restart() {
    let mut cheated = cheated(1);
    cheated.until(is_credit);
    let honest = ToHolder::Credit(Box::new(question(&cheated)));
    // So little that the holder's own are close to it.
    let mut other = question(&cheated);
    other.directed.functions[0] ^= 1;
    let other = ToHolder::Credit(Box::new(other));
    let first = cheated.tell(honest.clone());
    assert!(opens(&first));
    assert_eq!(cheated.refusal(other.clone()), Some(Refusal::Conflict));
    assert_eq!(cheated.tell(honest.clone()), first, "the same again");
    cheated.restart();
    cheated.until(is_credit);
    assert_eq!(cheated.refusal(other), Some(Refusal::Conflict));
    cheated.restart();
    cheated.until(is_credit);
    assert!(opens(&cheated.tell(honest)));
}

#[test]
fn evidence_that_does_not_add_up_with_the_opened_sum_is_not_attested() {
    let mut cheated = cheated(1);
    cheated.until(is_credit);
    let mut question = question(&cheated);
    // As if the sum were another one.
    question.directed.rest[0] += 1;
    let parts = cheated.honest(is_part);
    assert!(opens(&cheated.tell(ToHolder::Credit(Box::new(question)))));
    for part in parts {
        assert_eq!(cheated.tell(part), Vec::new());
    }
    let attest = cheated.honest(is_attest).remove(0);
    assert!(matches!(cheated.refusal(attest), Some(Refusal::Evidence(_))));
}

#[test]
fn nothing_is_attested_before_all_parts_are_there_and_one_thing_ever() {
    let mut cheated = cheated(1);
    cheated.until(is_part);
    let attest = cheated.honest(is_attest).remove(0);
    let lacking = |said: &[FromHolder]| matches!(said, [FromHolder::Lacking { .. }]);
    assert!(lacking(&cheated.tell(attest.clone())));
    for part in cheated.honest(is_part) {
        let mut altered = part.clone();
        if let ToHolder::CreditPart { part, .. } = &mut altered {
            part.openings[0] ^= 1;
        }
        assert!(matches!(cheated.refusal(altered), Some(Refusal::Malformed(_))));
        cheated.tell(part);
    }
    let first = cheated.tell(attest.clone());
    assert!(matches!(first[..], [FromHolder::Attested { .. }]), "{first:?}");
    cheated.restart();
    cheated.until(is_attest);
    assert_eq!(cheated.tell(attest), first);
}

/// The second round goes on from what a quorum attested of the first.
#[test]
fn terms_that_would_draw_an_opened_fold_again_are_not_countersigned() {
    let mut cheated = cheated(2);
    let is_second = |message: &ToHolder| matches!(message, ToHolder::Propose { config, .. } if config.round == 2);
    let second = cheated.honest(is_propose).into_iter().find(is_second).expect("a second round");
    let mut told = cheated.told.iter();
    told.by_ref().find(|message| is_attest(message));
    let first_round: Vec<_> = cheated.told[..cheated.told.len() - told.as_slice().len()].to_vec();
    for message in first_round {
        cheated.tell(message);
    }
    type Spoil = fn(&mut ToHolder);
    let spoils: [(&str, Spoil); 4] = [
        ("nothing was opened", |message| {
            let ToHolder::Propose { config, attested, .. } = message else { unreachable!() };
            let credit = config.credit.as_mut().expect("it has credit");
            credit.state = covey_aggregation::credit::CreditState::first(credit.state.pool);
            *attested = None;
        }),
        ("other examples", |message| {
            let ToHolder::Propose { config, .. } = message else { unreachable!() };
            config.credit.as_mut().expect("it has credit").state.retired = Digest::ZERO;
        }),
        ("no quorum", |message| {
            let ToHolder::Propose { attested, .. } = message else { unreachable!() };
            attested.as_mut().expect("attested").certificate.votes.truncate(2);
        }),
        ("another model", |message| {
            let ToHolder::Propose { config, .. } = message else { unreachable!() };
            config.model = Digest::ZERO;
        }),
    ];
    for (what, spoil) in spoils {
        let mut other = second.clone();
        spoil(&mut other);
        assert!(matches!(cheated.refusal(other), Some(Refusal::Terms(_))), "{what}");
    }
    let said = cheated.tell(second);
    assert!(matches!(said[..], [FromHolder::Countersigned { .. }]), "{said:?}");
}
