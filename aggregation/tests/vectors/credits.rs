//! `credits.json` and `credit-weights.json`.

use covey_aggregation::credit::{
    Candidate, CreditTerms, Debt, Duplicate, Evidence, RoundEvidence, Settlement, TermsDraft,
    Weight, settle, weights,
};
use covey_aggregation::hash::Digest;
use covey_aggregation::limits::SCORE_MAX;
use covey_aggregation::party::PartyId;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::case::{Case, File, NAME, REFUSED, WRONG, unhex};
use crate::reference::credits as reference;

const BUDGET: u64 = 1_000_000_000;

/// A case before it is settled, as it is written: what is wrong with an invalid one may be that it
/// cannot be read.
#[derive(Clone)]
struct Epoch {
    terms: Value,
    rounds: Vec<Value>,
    carried: Value,
}

impl Epoch {
    fn new(draft: TermsDraft, rounds: &[RoundEvidence], carried: &[Debt]) -> Self {
        Self {
            terms: json!(draft),
            rounds: rounds.iter().map(|one| json!(one)).collect(),
            carried: json!(carried),
        }
    }

    fn settle(&self) -> Result<(CreditTerms, Settlement), String> {
        let terms: CreditTerms = read(&self.terms)?;
        let rounds: Vec<RoundEvidence> = self.rounds.iter().map(read).collect::<Result<_, _>>()?;
        let carried: Vec<Debt> = read(&self.carried)?;
        let settlement = settle(&terms, &rounds, &carried).map_err(|bad| bad.to_string())?;
        Ok((terms, settlement))
    }

    fn valid(&self, name: &str) -> Value {
        let (terms, settlement) = self.settle().expect("a good case");
        json!({
            "name": name, "terms": self.terms, "rounds": self.rounds, "carried": self.carried,
            "terms_digest": terms.digest().to_string(), "settlement": settlement,
            "settlement_digest": settlement.digest().to_string(),
        })
    }

    fn invalid(&self, name: &str, wrong: &str, change: impl FnOnce(&mut Self)) -> Value {
        let mut changed = self.clone();
        change(&mut changed);
        let refused = changed.settle().expect_err(name);
        json!({
            "name": name, "wrong": wrong, "terms": changed.terms, "rounds": changed.rounds,
            "carried": changed.carried, "refused": refused,
        })
    }
}

pub(crate) fn read<T: DeserializeOwned>(value: &Value) -> Result<T, String> {
    serde_json::from_value(value.clone()).map_err(|error| error.to_string())
}

fn owner(index: u8) -> PartyId {
    PartyId([0x11 * index; 32])
}

/// One owner's numbers: count, s, novelty, harm; `None` where it is absent.
type Numbers = Option<(u32, i64, i64, i64)>;

fn round(number: u32, owners: &[Numbers]) -> RoundEvidence {
    let one = |(index, numbers): (u8, &Numbers)| {
        let (count, s, novelty, harm) = (*numbers)?;
        Some(Evidence { owner: owner(index), count, s, novelty, harm })
    };
    let contributions = (1..).zip(owners).filter_map(one).collect();
    RoundEvidence::new(number, Digest([number as u8; 32]), contributions).expect("good evidence")
}

/// Sixteen rounds of seven owners: three honest ones of unequal counts, one that is there every
/// other round, a free-rider, one that works against the others, and a second of the first.
pub(crate) fn federation() -> Vec<RoundEvidence> {
    // Some noise that no two owners have in common.
    // Noise that no two owners have in common (splitmix64).
    let noise = |round: u64, index: u64| {
        let state = (round << 32 | index).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        8000 + ((mixed ^ mixed >> 31) % 4001) as i64
    };
    (1..=16)
        .map(|number| {
            let score = |index| noise(u64::from(number), index);
            let honest = |count, index| Some((count, score(index), score(index) / 2, score(index)));
            round(
                number,
                &[
                    honest(100, 1),
                    honest(5000, 2),
                    honest(37, 3),
                    if number % 2 == 0 { honest(120, 4) } else { None },
                    Some((100, 0, 0, 0)),
                    Some((90, -2 * score(6), -score(6), -3 * score(6))),
                    honest(100, 1),
                ],
            )
        })
        .collect()
}

pub(crate) fn draft(rounds: u32) -> TermsDraft {
    TermsDraft { contributions_min: 3, ..TermsDraft::usual(BUDGET, rounds) }
}

pub(crate) fn file() -> File {
    let one = Some((10, 5, 5, 5));
    let equal = [round(1, &[one, one, one]), round(2, &[one, one, one])];
    let base = Epoch::new(draft(16), &federation(), &[Debt { owner: owner(2), micro: 7_000_000 }]);
    File {
        about: "credits: an epoch settled, by the rules of README.md",
        step: "credits",
        fields: &[
            NAME,
            WRONG,
            REFUSED,
            ("terms", "budget of a round in micro-credits, rounds of an epoch, and constants"),
            ("rounds", "the evidence of each round"),
            ("carried", "debts from the epoch before, in micro-credits"),
            ("terms_digest", "digest of the terms"),
            ("settlement", "what comes of it"),
            ("settlement_digest", "digest of the settlement"),
        ],
        valid: valid(&base, &equal),
        invalid: invalid(&Epoch::new(
            draft(3),
            &federation()[..3],
            &[Debt { owner: owner(2), micro: 7_000_000 }],
        )),
    }
}

fn valid(base: &Epoch, equal: &[RoundEvidence]) -> Vec<Value> {
    let plain = |name: &str, draft: TermsDraft, rounds: &[RoundEvidence], carried: &[Debt]| {
        Epoch::new(draft, rounds, carried).valid(name)
    };
    let none = [round(3, &[Some((1, 0, 0, 0)); 3]), round(9, &[Some((2, -4, 0, 0)); 4])];
    let public = |number| {
        let numbers = [Some((8, 500, 40, 3)), Some((9, 400, 70, -1)), Some((10, 100, 0, 90))];
        let public = vec![40 + i64::from(number), 0, -7];
        round(number, &numbers).with_public(public).expect("good scores")
    };
    let public: Vec<_> = (1..=5).map(public).collect();
    // The second and the third go together exactly, the first nearly; the others do not.
    let together = |number: u32| {
        let wave = i64::from(number * number % 7) + 1;
        let one = |s: i64| Some((50, s, s, s));
        round(
            number,
            &[
                one(1000 * wave + 300 * i64::from(number % 2)),
                one(500 * wave),
                one(250 * wave),
                one(2000 - 200 * wave),
                one(if number.is_multiple_of(3) { 900 } else { 4000 }),
            ],
        )
    };
    let together: Vec<_> = (1..=8).map(together).collect();
    let large = Some((u32::MAX, SCORE_MAX >> 8, SCORE_MAX, -SCORE_MAX));
    let small = Some((1, 1, 1, 1));
    let ratios = TermsDraft {
        lambda: covey_aggregation::credit::Ratio { numerator: 0, denominator: 7 },
        interval: covey_aggregation::credit::Ratio { numerator: 196, denominator: 100 },
        count_cap_medians: 1,
        ..draft(4)
    };
    vec![
        base.valid("seven owners, sixteen rounds, a debt"),
        plain("three equals: two units left over in two rounds", draft(2), equal, &[]),
        plain("two that go together, and a third nearly", draft(8), &together, &[]),
        plain("fewer rounds than the epoch has", draft(16), &federation()[..3], &[]),
        plain("nobody to be paid", draft(2), &none, &[]),
        plain("scores without opened folds", draft(5), &public, &[]),
        plain(
            "a debtor that is away, and one that owes more than is carried on",
            draft(2),
            equal,
            &[Debt { owner: owner(3), micro: 3 * BUDGET }, Debt { owner: owner(9), micro: 1 }],
        ),
        plain(
            "large beside small",
            TermsDraft { budget_micro: 1000, ..draft(2) },
            &[round(1, &[large, small, small]), round(2, &[small, small, small, large])],
            &[],
        ),
        plain("no margin, another interval, one median", ratios, &federation()[4..8], &[]),
    ]
}

fn invalid(base: &Epoch) -> Vec<Value> {
    type Change = fn(&mut Epoch);
    let cases: [(&str, &str, Change); 20] = [
        ("no budget", "the budget is 0", |epoch| epoch.terms["budget_micro"] = json!(0)),
        ("a budget beyond the limit", "more than a million credits a round", |epoch| {
            epoch.terms["budget_micro"] = json!(1_000_000_000_001u64);
        }),
        ("an epoch of one round", "no spread between rounds", |epoch| {
            epoch.terms["rounds"] = json!(1);
        }),
        ("a ratio over nothing", "a denominator of 0", |epoch| {
            epoch.terms["lambda"]["denominator"] = json!(0);
        }),
        ("a correlation above one", "the threshold of duplicates is 1001 / 1000", |epoch| {
            epoch.terms["duplicate"]["numerator"] = json!(1001);
        }),
        ("sums of two", "fewer contributions than a round may sum", |epoch| {
            epoch.terms["contributions_min"] = json!(2);
        }),
        ("more rounds than the epoch has", "three rounds in an epoch of two", |epoch| {
            epoch.terms["rounds"] = json!(2);
        }),
        ("evidence of one round", "no spread between rounds", |epoch| epoch.rounds.truncate(1)),
        ("a round twice", "round 1 stands twice", |epoch| epoch.rounds[2]["round"] = json!(1)),
        ("a context twice", "round 3 has the context of round 1", |epoch| {
            epoch.rounds[2]["context"] = epoch.rounds[0]["context"].clone();
        }),
        ("round zero", "rounds are numbered from 1", |epoch| epoch.rounds[0]["round"] = json!(0)),
        ("too few owners", "two contributions in a round", |epoch| {
            contributions(epoch, 2).truncate(2);
        }),
        ("an owner twice", "the second contribution is the first owner's", |epoch| {
            let owners = contributions(epoch, 2);
            owners[1]["owner"] = owners[0]["owner"].clone();
        }),
        ("owners out of order", "two contributions have changed places", |epoch| {
            contributions(epoch, 2).swap(1, 2);
        }),
        ("no example", "a count of 0", |epoch| contributions(epoch, 1)[0]["count"] = json!(0)),
        ("a score beyond the limit", "2^53 is not exact in every reader of JSON", |epoch| {
            contributions(epoch, 1)[0]["harm"] = json!(-(SCORE_MAX + 1));
        }),
        ("a score of one owner only", "public scores for some contributions", |epoch| {
            epoch.rounds[0]["public"] = json!([1, 2]);
        }),
        ("a key in capitals", "hexadecimal digits have one form", |epoch| {
            contributions(epoch, 0)[0]["owner"] = json!("AB".repeat(32));
        }),
        ("a debt twice", "two debts of one owner", |epoch| {
            let debt = epoch.carried[0].clone();
            epoch.carried = json!([debt, debt]);
        }),
        ("a debt of nothing", "a debt of 0", |epoch| epoch.carried[0]["micro"] = json!(0)),
    ];
    cases.into_iter().map(|(name, wrong, change)| base.invalid(name, wrong, change)).collect()
}

fn contributions(epoch: &mut Epoch, round: usize) -> &mut Vec<Value> {
    epoch.rounds[round]["contributions"].as_array_mut().expect("a list")
}

pub(crate) fn check(case: &mut Case, is_valid: bool) {
    let epoch = Epoch {
        terms: case.value("terms"),
        rounds: case.list("rounds"),
        carried: case.value("carried"),
    };
    let settled = epoch.settle();
    if !is_valid {
        assert_eq!(settled.err(), Some(case.refusal()), "{}", case.name);
        return;
    }
    let (terms, settlement) = settled.unwrap_or_else(|error| panic!("{}: {error}", case.name));
    let (expected, digest) = (case.value("settlement"), case.digest("settlement_digest"));
    assert_eq!(json!(settlement), expected, "{}", case.name);
    assert_eq!(settlement.digest(), digest);
    assert_eq!(terms.digest(), case.digest("terms_digest"));

    let rounds: Vec<_> = epoch.rounds.iter().map(reference_round).collect();
    let carried: Vec<_> = (epoch.carried.as_array().expect("a list").iter())
        .map(|debt| (key(&debt["owner"]), number(&debt["micro"])))
        .collect();
    let again = reference::settle(&reference_terms(&epoch.terms), &rounds, &carried);
    check_settlement(&expected, &again);
    let total: u64 = list(&expected["accounts"]).map(|one| number(&one["payment_micro"])).sum();
    assert_eq!(number(&expected["paid_micro"]), total);
    assert_eq!(reference_digest(&expected), digest.0, "{}", case.name);
}

pub(crate) fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().expect("a list").iter()
}

fn number(value: &Value) -> u64 {
    value.as_u64().expect("a number without sign")
}

fn signed(value: &Value) -> i128 {
    value.as_i64().expect("an integer").into()
}

pub(crate) fn key(value: &Value) -> [u8; 32] {
    unhex(value.as_str().expect("text")).try_into().expect("32 bytes")
}

pub(crate) fn reference_terms(terms: &Value) -> reference::Terms {
    let ratio =
        |name: &str| (number(&terms[name]["numerator"]), number(&terms[name]["denominator"]));
    reference::Terms {
        budget: number(&terms["budget_micro"]),
        rounds: number(&terms["rounds"]),
        cap_medians: number(&terms["count_cap_medians"]),
        lambda: ratio("lambda"),
        interval: ratio("interval"),
        flag: ratio("flag"),
        duplicate: ratio("duplicate"),
        contributions_min: number(&terms["contributions_min"]),
    }
}

pub(crate) fn reference_round(round: &Value) -> reference::Round {
    let score = |value: &Value| value.as_i64().expect("an integer");
    let evidence =
        list(&round["contributions"]).enumerate().map(|(index, one)| reference::Evidence {
            owner: key(&one["owner"]),
            count: number(&one["count"]),
            s: score(&one["s"]),
            novelty: score(&one["novelty"]),
            harm: score(&one["harm"]),
            public: round["public"].as_array().map(|public| score(&public[index])),
        });
    reference::Round {
        number: number(&round["round"]),
        context: key(&round["context"]),
        evidence: evidence.collect(),
    }
}

/// What the file says and what the reference comes to.
fn check_settlement(expected: &Value, again: &reference::Settlement) {
    assert_eq!(key(&expected["terms"]), again.terms);
    assert_eq!(key(&expected["evidence"]), again.evidence);
    let statistic = |value: &Value| -> Option<reference::Statistic> {
        (!value.is_null()).then(|| {
            let part = |name: &str| signed(&value[name]);
            (number(&value["rounds"]), part("sum"), part("error"), part("low"), part("high"))
        })
    };
    let accounts: Vec<_> = list(&expected["accounts"])
        .map(|one| reference::Account {
            owner: key(&one["owner"]),
            rounds: number(&one["rounds"]),
            rounds_negative: number(&one["rounds_negative"]),
            rounds_capped: number(&one["rounds_capped"]),
            credit: signed(&one["credit_micro"]),
            error: signed(&one["error_micro"]),
            low: signed(&one["low_micro"]),
            high: signed(&one["high_micro"]),
            carried: signed(&one["carried_micro"]),
            payable: signed(&one["payable_micro"]),
            payment: signed(&one["payment_micro"]),
            debt: signed(&one["debt_micro"]),
            statistics: ["novelty", "harm", "public"]
                .map(|name| statistic(&one["statistics"][name])),
        })
        .collect();
    assert_eq!(accounts, again.accounts);

    let pairs: Vec<Duplicate> = read(&expected["duplicates"]).expect("duplicates");
    assert_eq!(pairs.len(), again.duplicates.len());
    for (pair, (one, other, rounds, correlation)) in pairs.iter().zip(&again.duplicates) {
        assert_eq!(pair.owners.map(|owner| owner.0), [*one, *other]);
        assert_eq!(u64::from(pair.rounds), *rounds);
        assert!((f64::from(pair.correlation_millionths) / 1e6 - correlation).abs() < 2e-6);
    }
    for one in list(&expected["accounts"]) {
        let (owner, raised) = (key(&one["owner"]), raised(one, &pairs));
        let flags: Vec<String> = list(&one["flags"])
            .map(|flag| match flag.as_str() {
                Some(word) => word.to_owned(),
                None => flag["duplicate"]["with"].as_str().expect("text").to_owned(),
            })
            .collect();
        assert_eq!(flags, raised, "{owner:?}");
    }
}

/// The flags that an account's statistics and the pairs ask for.
fn raised(account: &Value, pairs: &[Duplicate]) -> Vec<String> {
    let statistics = &account["statistics"];
    let is_none = |name: &str| statistics[name]["low"].as_i64().is_some_and(|low| low <= 0);
    let does_harm = statistics["harm"]["high"].as_i64().is_some_and(|high| high < 0);
    let words =
        [("novelty", is_none("novelty")), ("harm", does_harm), ("public", is_none("public"))];
    let words = words.into_iter().filter(|(_, is_raised)| *is_raised);
    let owner = PartyId(key(&account["owner"]));
    let others = pairs.iter().filter_map(|pair| match pair.owners {
        [one, other] if one == owner => Some(other),
        [one, other] if other == owner => Some(one),
        _ => None,
    });
    let others = others.map(|other| Digest(other.0).to_string());
    words.map(|(word, _)| word.to_owned()).chain(others).collect()
}

/// The settlement's digest, from the bytes of its fields in the order of the file's documentation.
fn reference_digest(settlement: &Value) -> [u8; 32] {
    use crate::reference::bytes::{hash, varint};
    let zigzag = |value: &Value| {
        let value = value.as_i64().expect("an integer");
        varint(((value << 1) ^ (value >> 63)) as u64)
    };
    let mut bytes = vec![1];
    bytes.extend(key(&settlement["terms"]));
    bytes.extend(key(&settlement["evidence"]));
    bytes.extend(varint(list(&settlement["rounds"]).count() as u64));
    list(&settlement["rounds"]).for_each(|round| bytes.extend(varint(number(round))));
    bytes.extend(varint(number(&settlement["pool_micro"])));
    bytes.extend(varint(number(&settlement["paid_micro"])));
    bytes.extend(varint(list(&settlement["accounts"]).count() as u64));
    for one in list(&settlement["accounts"]) {
        bytes.extend(key(&one["owner"]));
        for name in ["rounds", "rounds_negative", "rounds_capped"] {
            bytes.extend(varint(number(&one[name])));
        }
        bytes.extend(zigzag(&one["credit_micro"]));
        bytes.extend(varint(number(&one["error_micro"])));
        bytes.extend(zigzag(&one["low_micro"]));
        bytes.extend(zigzag(&one["high_micro"]));
        for name in ["carried_micro", "payable_micro", "payment_micro", "debt_micro"] {
            bytes.extend(varint(number(&one[name])));
        }
        for name in ["novelty", "harm", "public"] {
            let statistic = &one["statistics"][name];
            bytes.push(u8::from(!statistic.is_null()));
            if !statistic.is_null() {
                bytes.extend(varint(number(&statistic["rounds"])));
                bytes.extend(zigzag(&statistic["sum"]));
                bytes.extend(varint(number(&statistic["error"])));
                bytes.extend(zigzag(&statistic["low"]));
                bytes.extend(zigzag(&statistic["high"]));
            }
        }
        bytes.extend(varint(list(&one["flags"]).count() as u64));
        for flag in list(&one["flags"]) {
            match flag.as_str() {
                Some("novelty") => bytes.push(0),
                Some("harm") => bytes.push(1),
                Some("public") => bytes.push(2),
                _ => {
                    bytes.push(3);
                    bytes.extend(key(&flag["duplicate"]["with"]));
                }
            }
        }
    }
    bytes.extend(varint(list(&settlement["duplicates"]).count() as u64));
    for pair in list(&settlement["duplicates"]) {
        list(&pair["owners"]).for_each(|owner| bytes.extend(key(owner)));
        bytes.extend(varint(number(&pair["rounds"])));
        bytes.extend(varint(number(&pair["correlation_millionths"])));
    }
    hash("credit-settlement", &[&bytes])
}

fn weigh(terms: &Value, rounds: &[Value], candidates: &Value) -> Result<Vec<Weight>, String> {
    let rounds: Vec<RoundEvidence> = rounds.iter().map(read).collect::<Result<_, _>>()?;
    let candidates: Vec<Candidate> = read(candidates)?;
    weights(&read(terms)?, &rounds, &candidates).map_err(|bad| bad.to_string())
}

pub(crate) fn weights_file() -> File {
    let candidate = |index: u8, count: u32, is_sole: bool| json!({ "owner": Digest([0x11 * index; 32]).to_string(), "count": count, "is_sole": is_sole });
    let terms = json!(draft(16));
    let federation: Vec<_> = federation().iter().map(|one| json!(one)).collect();
    let usual = json!([
        candidate(1, 100, false),
        candidate(2, 5000, false),
        candidate(3, 37, false),
        candidate(4, 120, false),
        candidate(5, 100, false),
        candidate(6, 90, false),
    ]);
    let case = |name: &str, rounds: usize, candidates: &Value| {
        let rounds = &federation[..rounds];
        let weights = weigh(&terms, rounds, candidates).expect("a good case");
        json!({
            "name": name, "terms": terms, "rounds": rounds, "candidates": candidates,
            "weights": weights,
        })
    };
    let bad = |name: &str, wrong: &str, candidates: Value| {
        let rounds = &federation[..1];
        let refused = weigh(&terms, rounds, &candidates).expect_err(name);
        json!({
            "name": name, "wrong": wrong, "terms": terms, "rounds": rounds,
            "candidates": candidates, "refused": refused,
        })
    };
    let twice = json!([candidate(1, 5, false), candidate(2, 5, false), candidate(1, 6, true)]);
    File {
        about: "weights of the owners of a round from the evidence of the rounds before it, in \
                millionths, by the rules of README.md",
        step: "credits",
        fields: &[
            NAME,
            WRONG,
            REFUSED,
            ("terms", "as in credits.json"),
            ("rounds", "the evidence of all rounds before"),
            ("candidates", "owners, the examples they declare, who has a class of its own"),
            ("weights", "parts of a million, ascending by owner"),
        ],
        valid: vec![
            case("no round before", 0, &usual),
            case("two rounds before", 2, &usual),
            case("three rounds before", 3, &usual),
            case("eight rounds before", 8, &usual),
            case("a newcomer", 4, &json!([candidate(1, 10, false), candidate(8, 10, false)])),
            case(
                "two with a class of their own, one of them on the floor",
                4,
                &json!([candidate(1, 500, true), candidate(2, 500, false), candidate(6, 9, true)]),
            ),
            case("nobody helped", 4, &json!([candidate(5, 3, false), candidate(6, 4, false)])),
        ],
        invalid: vec![
            bad("nobody", "no owner to weigh", json!([])),
            bad("an owner twice", "the first owner stands twice", twice),
            bad("no example", "a count of 0", json!([candidate(1, 0, false)])),
        ],
    }
}

pub(crate) fn check_weights(case: &mut Case, is_valid: bool) {
    let (terms, rounds) = (case.value("terms"), case.list("rounds"));
    let candidates = case.value("candidates");
    let weighed = weigh(&terms, &rounds, &candidates);
    if !is_valid {
        assert_eq!(weighed.err(), Some(case.refusal()), "{}", case.name);
        return;
    }
    let expected = case.value("weights");
    assert_eq!(json!(weighed.expect("a good case")), expected, "{}", case.name);
    let rounds: Vec<_> = rounds.iter().map(reference_round).collect();
    let candidates: Vec<_> = list(&candidates)
        .map(|one| (key(&one["owner"]), number(&one["count"]), one["is_sole"] == json!(true)))
        .collect();
    let again = reference::weights(&reference_terms(&terms), &rounds, &candidates);
    let expected: Vec<_> =
        list(&expected).map(|one| (key(&one["owner"]), number(&one["millionths"]))).collect();
    assert_eq!(expected, again, "{}", case.name);
}
