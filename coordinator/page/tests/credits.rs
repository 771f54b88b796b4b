//! The page's own rules of credit, in JavaScript, give what the program's give, to the last byte.

mod node;

use covey_aggregation::credit::{
    CreditTerms, Debt, Evidence, Ratio, RoundEvidence, TermsDraft, settle,
};
use covey_aggregation::hash::Digest;
use covey_aggregation::party::PartyId;
use serde_json::json;

/// Numbers without a pattern, the same at every run (SplitMix64).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn score(&mut self, max: i64) -> i64 {
        (self.next() % (2 * max as u64 + 1)) as i64 - max
    }
}

fn owner(index: u64) -> PartyId {
    PartyId([index as u8 + 1; 32])
}

/// A case: terms, evidence and debts. Every third has equal owners, whose claims tie; every fourth has
/// owners that go together; every fifth the largest scores.
fn case(number: u64) -> (CreditTerms, Vec<RoundEvidence>, Vec<Debt>) {
    let mut numbers = Numbers(number);
    let (owners, rounds) = (3 + numbers.below(6), 2 + numbers.below(14) as u32);
    let mut draft = TermsDraft::usual(1 + numbers.below(2_000_000_000), rounds);
    draft.contributions_min = 3;
    draft.lambda = Ratio::thousandths(numbers.below(2000) as u32);
    draft.duplicate = Ratio::thousandths(900);
    let score_max = if number.is_multiple_of(5) { (1 << 53) - 1 } else { 100_000 };
    let round = |round: u32, numbers: &mut Numbers| {
        let mut all = Vec::new();
        for index in 0..owners {
            if index >= 3 && numbers.below(4) == 0 {
                continue;
            }
            let (mut count, mut s) = (1 + numbers.below(500) as u32, numbers.score(score_max));
            if number.is_multiple_of(3) {
                (count, s) = (4, 7);
            }
            if number.is_multiple_of(4) && index > 0 {
                s = i64::from(round) * 1000 + numbers.score(10);
            }
            let (novelty, harm) = (numbers.score(score_max), numbers.score(score_max));
            all.push(Evidence { owner: owner(index), count, s, novelty, harm });
        }
        let public = all.iter().map(|_| numbers.score(score_max)).collect();
        let context = Digest([round as u8; 32]);
        let evidence = RoundEvidence::new(round, context, all).expect("good evidence");
        if number.is_multiple_of(2) {
            evidence.with_public(public).expect("good scores")
        } else {
            evidence
        }
    };
    let evidence = (1..=rounds).map(|number| round(number, &mut numbers)).collect();
    let debt = |index| Debt { owner: owner(index), micro: 1 + index * 12_345 };
    let debts = (0..numbers.below(3)).map(|index| debt(index * 4)).collect();
    (CreditTerms::check(draft).expect("good terms"), evidence, debts)
}

#[test]
fn javascript_settles_as_the_program_does_to_the_last_byte() {
    let cases: Vec<_> = (0..300).map(case).collect();
    let line = |(terms, evidence, carried): &(CreditTerms, Vec<RoundEvidence>, Vec<Debt>)| {
        format!("{}\n", json!({ "terms": terms, "evidence": evidence, "carried": carried }))
    };
    let input: String = cases.iter().map(line).collect();
    let Some(output) = node::run("credits.mjs", &[], &input) else { return };
    let lines: Vec<_> = output.lines().collect();
    assert_eq!(lines.len(), cases.len());
    let mut kinds = [0; 3];
    for ((terms, evidence, carried), line) in cases.iter().zip(lines) {
        let settlement = settle(terms, evidence, carried).expect("a settlement");
        assert_eq!(line, serde_json::to_string(&settlement).expect("JSON"));
        kinds[0] += usize::from(!settlement.duplicates.is_empty());
        kinds[1] += usize::from(settlement.accounts.iter().any(|one| one.debt_micro > 0));
        kinds[2] += usize::from(settlement.paid_micro > 0);
    }
    assert!(kinds.iter().all(|count| *count > 10), "the cases are of all kinds: {kinds:?}");
}

#[test]
fn javascript_refuses_evidence_that_the_program_refuses() {
    let (terms, evidence, _) = case(1);
    let text = |change: fn(&mut Vec<serde_json::Value>)| {
        let mut rounds: Vec<_> = evidence.iter().map(|round| json!(round)).collect();
        change(&mut rounds);
        format!("{}\n", json!({ "terms": terms, "evidence": rounds, "carried": [] }))
    };
    let changes: [fn(&mut Vec<serde_json::Value>); 8] = [
        |rounds| rounds.truncate(1),
        |rounds| rounds.push(rounds[0].clone()),
        |rounds| rounds[0]["context"] = rounds[1]["context"].clone(),
        |rounds| rounds[0]["contributions"][0]["count"] = json!(0),
        |rounds| rounds[0]["contributions"][0]["s"] = json!(1u64 << 53),
        |rounds| rounds[0]["contributions"].as_array_mut().expect("a list").reverse(),
        |rounds| rounds[0]["contributions"].as_array_mut().expect("a list").truncate(2),
        |rounds| rounds[0]["public"] = json!([1]),
    ];
    let input: String = changes.iter().map(|change| text(*change)).collect();
    let Some(output) = node::run("credits.mjs", &[], &input) else { return };
    let refused = output.lines().filter(|line| line.starts_with(r#"{"refused":"#)).count();
    assert_eq!(refused, changes.len(), "{output}");
}
