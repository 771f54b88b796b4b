//! `credit-message.json`: what coordinator and holders say to each other of a round's credit, what they
//! remember, and what is published of it, byte by byte.

use covey_aggregation::audit::carry::Carry;
use covey_aggregation::audit::crediting::{CreditRecord, Directed, REST_MAX};
use covey_aggregation::audit::drawing::{Drawing, Drawn};
use covey_aggregation::audit::functions::Directions;
use covey_aggregation::audit::part::{Agreed, Part};
use covey_aggregation::audit::verdict::Verdict;
use covey_aggregation::audit::weighing::Weights;
use covey_aggregation::config::HolderIndex;
use covey_aggregation::credit::{Attested, CreditState, Evidence, RoundEvidence};
use covey_aggregation::hash::Digest;
use covey_aggregation::message::{Certificate, CreditQuestion, FromHolder, ToHolder, Vote};
use covey_aggregation::party::PartyId;
use covey_aggregation::record::{HolderRecord, RoundRecord};
use covey_aggregation::time::Time;
use covey_aggregation::wire;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use crate::attestations::{certified, sent};
use crate::case::{Case, File, NAME, REFUSED, WRONG, hex};
use crate::reference::layout::{self, Layout};
use crate::round::base;

const AT: Time = Time(1_700_000_000_123);

const fn digest(n: u8) -> Digest {
    Digest([n; 32])
}

/// Reads and writes `bytes` as a value of `kind`.
fn again(kind: &str, bytes: &[u8]) -> Result<Vec<u8>, String> {
    fn of<T: Serialize + DeserializeOwned>(bytes: &[u8]) -> Result<Vec<u8>, String> {
        let value: Result<T, _> = wire::decode(bytes, 1 << 20);
        value.map(|value| wire::encode(&value)).map_err(|malformed| malformed.to_string())
    }
    match kind {
        "to-holder" => of::<ToHolder>(bytes),
        "from-holder" => of::<FromHolder>(bytes),
        "round-record" => of::<RoundRecord>(bytes),
        "holder-record" => of::<HolderRecord>(bytes),
        "credit-record" => of::<CreditRecord>(bytes),
        other => panic!("no kind {other:?}"),
    }
}

fn certificate() -> Certificate {
    base().result.certificate.clone()
}

fn drawing() -> Drawing {
    let (_, vote) = sent(0);
    let drawn = |holder| Drawn {
        holder: HolderIndex(holder),
        values: vec![digest(20), digest(21), digest(22)],
        signature: vote.signature,
    };
    Drawing { drawn: vec![drawn(0), drawn(1)] }
}

fn directed() -> Directed {
    Directed {
        examples: vec![0, 5, 130, 20_000],
        aggregate: digest(5),
        after: digest(6),
        directions: digest(7),
        functions: (-3i64..3).flat_map(|weight| (weight << 30).to_le_bytes()).collect(),
        rest: vec![-2048, 0, 300, -1],
    }
}

fn agreed() -> Agreed {
    let (first, second) = (sent(0).0, sent(1).0);
    let signatures = [&first, &second].map(|part| (part.holder, part.signature)).to_vec();
    Agreed { component: first.component, openings: first.openings, signatures }
}

fn question() -> CreditQuestion {
    CreditQuestion {
        set: vec![digest(1), digest(2)],
        verdict: Verdict { list: digest(3), openings: digest(4), set: digest(8) },
        certificate: certificate(),
        fold: drawing(),
        retired: vec![1, 2, 300],
        directed: directed(),
    }
}

fn record() -> CreditRecord {
    let directions = Directions::new(&[0.5, -1.0, 0.25], &[0.0; 3], &[vec![0.5, 0.25, -0.5]]);
    let one = |n: u8, s| Evidence { owner: PartyId([n; 32]), count: 200, s, novelty: -7, harm: 0 };
    let evidence = RoundEvidence::new(1, base().round_ctx, vec![one(1, 1 << 40), one(2, -3)]);
    CreditRecord {
        fold: drawing(),
        retired: vec![1, 2, 300],
        directed: directed(),
        directions: directions.expect("finite"),
        parts: vec![agreed()],
        carries: vec![Carry { coordinate: 300, by: -1 }],
        weights: Weights { declared: 400, sealed: 401 },
        evidence: evidence.expect("in range"),
        attested: certified(),
    }
}

impl Layout {
    fn digest(&mut self, meaning: &str, digest: &Digest) -> &mut Self {
        self.raw(meaning, &digest.0)
    }

    fn places(&mut self, meaning: &str, places: &[u32]) -> &mut Self {
        self.number(&format!("{meaning}: how many"), places.len() as u64);
        places.iter().fold(self, |all, place| all.number(meaning, (*place).into()))
    }

    fn vote(&mut self, Vote { holder, signature }: &Vote) -> &mut Self {
        self.byte("holder", holder.0).raw("signature", &signature.to_bytes())
    }

    fn certificate(&mut self, Certificate { round_ctx, set, votes }: &Certificate) -> &mut Self {
        self.digest("certificate: round", round_ctx).digest("certificate: of", set);
        self.number("certificate: votes", votes.len() as u64);
        votes.iter().fold(self, |all, vote| all.vote(vote))
    }

    fn drawing(&mut self, drawing: &Drawing) -> &mut Self {
        self.number("beacon: holders", drawing.drawn.len() as u64);
        for Drawn { holder, values, signature } in &drawing.drawn {
            self.byte("holder", holder.0).number("values", values.len() as u64);
            values.iter().fold(&mut *self, |all, value| all.digest("value", value));
            self.raw("signature", &signature.to_bytes());
        }
        self
    }

    fn directed(&mut self, directed: &Directed) -> &mut Self {
        let Directed { examples, aggregate, after, directions, functions, rest } = directed;
        self.places("fold", examples).digest("opened sum", aggregate);
        self.digest("model that the round came to", after).digest("directions", directions);
        self.string("functions: eight bytes a weight", functions);
        self.number("rest: how many", rest.len() as u64);
        rest.iter().fold(self, |all, sum| all.signed("sum of the rest", (*sum).into()))
    }

    fn agreed(&mut self, Agreed { component, openings, signatures }: &Agreed) -> &mut Self {
        self.number("component: who lacks it", component.0.into());
        self.string("openings", openings).number("signatures", signatures.len() as u64);
        signatures.iter().fold(self, |all, (holder, signature)| {
            all.byte("holder", holder.0).raw("signature", &signature.to_bytes())
        })
    }

    fn part(&mut self, part: &Part) -> &mut Self {
        let Part { round_ctx, list, holder, component, openings, signature } = part;
        self.digest("round", round_ctx).digest("functions", list).byte("holder", holder.0);
        self.number("component: who lacks it", component.0.into());
        self.string("openings", openings).raw("signature", &signature.to_bytes())
    }

    fn state(&mut self, state: &CreditState) -> &mut Self {
        let CreditState { pool, opened, retired, steps, standings } = state;
        self.digest("pool", pool).number("folds opened", (*opened).into());
        self.digest("retired", retired).number("last steps", steps.len() as u64);
        steps.iter().fold(&mut *self, |all, step| {
            all.digest("model before", &step.before).digest("model after", &step.after)
        });
        self.number("standings", standings.all().len() as u64);
        standings.all().iter().fold(self, |all, one| {
            all.raw("owner", &one.owner.0).signed("share", one.share);
            all.number("rounds", one.rounds.into())
        })
    }

    fn attested(&mut self, Attested { attestation, certificate }: &Attested) -> &mut Self {
        self.digest("run", &attestation.run).number("round", attestation.round.into());
        self.digest("evidence", &attestation.evidence).state(&attestation.state);
        self.certificate(certificate)
    }

    fn question(&mut self, question: &CreditQuestion) -> &mut Self {
        let CreditQuestion { set, verdict, certificate, fold, retired, directed } = question;
        self.number("accepted", set.len() as u64);
        set.iter().fold(&mut *self, |all, header| all.digest("header", header));
        self.digest("verdict: list", &verdict.list).digest("verdict: openings", &verdict.openings);
        self.digest("verdict: set", &verdict.set).certificate(certificate).drawing(fold);
        self.places("retired", retired).directed(directed)
    }

    fn credit_record(&mut self, record: &CreditRecord) -> &mut Self {
        self.drawing(&record.fold).places("retired", &record.retired).directed(&record.directed);
        let Directions { trained, path, steps } = &record.directions;
        let units = |units: &[i32]| -> Vec<u8> {
            units.iter().flat_map(|unit| (*unit as i16).to_le_bytes()).collect()
        };
        self.string("direction of the fold: two bytes a number", &units(&trained.integers()));
        self.string("direction of the path", &units(&path.integers()));
        self.number("directions of the past", steps.len() as u64);
        steps.iter().fold(&mut *self, |all, step| all.string("one", &units(&step.integers())));
        self.number("parts", record.parts.len() as u64);
        record.parts.iter().fold(&mut *self, |all, part| all.agreed(part));
        self.number("carries", record.carries.len() as u64);
        for Carry { coordinate, by } in &record.carries {
            self.number("coordinate", *coordinate).byte("by", by.cast_unsigned());
        }
        self.number("declared", record.weights.declared).signed("sealed", record.weights.sealed);
        self.number("evidence: round", record.evidence.round().into());
        self.digest("evidence: context", record.evidence.context());
        let owners = record.evidence.contributions();
        self.number("owners", owners.len() as u64);
        for one in owners {
            self.raw("owner", &one.owner.0).raw("count", &one.count.to_le_bytes());
            let scores = [("s", one.s), ("novelty", one.novelty), ("harm", one.harm)];
            scores
                .iter()
                .fold(&mut *self, |all, (name, score)| all.raw(name, &score.to_le_bytes()));
        }
        self.byte("no fourth score", 0).attested(&record.attested)
    }
}

fn valid<T: Serialize>(name: &str, kind: &str, value: &T, describe: impl Fn(&mut Layout)) -> Value {
    let mut layout = Layout::default();
    describe(&mut layout);
    json!({
        "name": name, "kind": kind, "bytes": hex(&wire::encode(value)), "layout": layout.0,
    })
}

fn messages() -> Vec<Value> {
    let (round_ctx, (part, vote)) = (base().round_ctx, sent(1));
    let attestation = certified().attestation.digest();
    let from = |name, value, describe: &dyn Fn(&mut Layout)| {
        valid(name, "from-holder", &value, |layout| describe(layout))
    };
    let to = |name, value, describe: &dyn Fn(&mut Layout)| {
        valid(name, "to-holder", &value, |layout| describe(layout))
    };
    vec![
        to("Credit", ToHolder::Credit(Box::new(question())), &|layout| {
            layout.number("variant", 13).question(&question());
        }),
        to("CreditPart", ToHolder::CreditPart { round_ctx, part: Box::new(agreed()) }, &|layout| {
            layout.number("variant", 14).digest("round", &round_ctx).agreed(&agreed());
        }),
        to("Attest", ToHolder::Attest { round_ctx }, &|layout| {
            layout.number("variant", 15).digest("round", &round_ctx);
        }),
        from("Credited", FromHolder::Credited(Box::new(part.clone())), &|layout| {
            layout.number("variant", 11).part(&part);
        }),
        from(
            "Attested",
            FromHolder::Attested { round_ctx, attestation, vote: vote.clone() },
            &|layout| {
                layout.number("variant", 12).digest("round", &round_ctx);
                layout.digest("attestation", &attestation).vote(&vote);
            },
        ),
    ]
}

fn records() -> Vec<Value> {
    let (round_ctx, run, at) = (base().round_ctx, base().config.run, AT);
    let of_round = |name, value, describe: &dyn Fn(&mut Layout)| {
        valid(name, "round-record", &value, |layout| describe(layout))
    };
    let of_holder = |name, value, describe: &dyn Fn(&mut Layout)| {
        valid(name, "holder-record", &value, |layout| describe(layout))
    };
    let (directed, projections) = (Box::new(directed()), vec![-5, 0, 1 << 40]);
    let state = certified().attestation.state;
    let attestation = certified().attestation.digest();
    let numbered = HolderRecord::Numbered { run, round_ctx, functions: digest(9) };
    let attested = HolderRecord::Attested {
        run,
        round_ctx,
        attestation,
        pool: state.pool,
        opened: state.opened,
        retired: state.retired,
    };
    vec![
        of_round(
            "Directed",
            RoundRecord::Directed { directed, projections: projections.clone(), at },
            &|layout| {
                layout.number("variant", 17).directed(&self::directed());
                layout.number("projections", projections.len() as u64);
                projections.iter().fold(&mut *layout, |all, one| all.signed("projection", *one));
                layout.number("time", at.0);
            },
        ),
        of_round("Numbered", RoundRecord::Numbered { parts: vec![agreed(); 2], at }, &|layout| {
            layout.number("variant", 18).number("parts", 2);
            layout.agreed(&agreed()).agreed(&agreed()).number("time", at.0);
        }),
        of_round(
            "record Credited",
            RoundRecord::Credited { certificate: certificate(), at },
            &|layout| {
                layout.number("variant", 19).certificate(&certificate()).number("time", at.0);
            },
        ),
        of_holder("numbers opened", numbered, &|layout| {
            layout.number("variant", 5).digest("run", &run).digest("round", &round_ctx);
            layout.digest("functions", &digest(9));
        }),
        of_holder("evidence attested", attested, &|layout| {
            layout.number("variant", 6).digest("run", &run).digest("round", &round_ctx);
            layout.digest("attestation", &attestation).digest("pool", &state.pool);
            layout.number("folds opened", state.opened.into()).digest("retired", &state.retired);
        }),
        valid("published", "credit-record", &record(), |layout| {
            layout.credit_record(&record());
        }),
    ]
}

fn invalid(name: &str, wrong: &str, kind: &str, bytes: &[u8]) -> Value {
    let refused = again(kind, bytes).expect_err(name);
    json!({
        "name": name, "wrong": wrong, "kind": kind, "bytes": hex(bytes), "refused": refused,
    })
}

fn refusals() -> Vec<Value> {
    let round_ctx = base().round_ctx;
    let attest = wire::encode(&ToHolder::Attest { round_ctx });
    let credit = |change: fn(&mut CreditQuestion)| {
        let mut question = question();
        change(&mut question);
        wire::encode(&ToHolder::Credit(Box::new(question)))
    };
    let published = |change: fn(&mut CreditRecord)| {
        let mut record = record();
        change(&mut record);
        wire::encode(&record)
    };
    let mut signatures = agreed();
    signatures.signatures = vec![signatures.signatures[0]; 8];
    let crowded = ToHolder::CreditPart { round_ctx, part: Box::new(signatures) };
    let parts = RoundRecord::Numbered { parts: vec![agreed(); 22], at: AT };
    let padded = [&attest[..1], &[15 | 128, 0], &attest[2..]].concat();
    vec![
        invalid(
            "another version",
            "the first byte is 2",
            "to-holder",
            &[&[2], &attest[1..]].concat(),
        ),
        invalid("a message cut short", "a byte less", "to-holder", &attest[..attest.len() - 1]),
        invalid("a message and more", "a byte more", "to-holder", &[&attest[..], &[0]].concat()),
        invalid("a longer number", "variant 15 in two bytes", "to-holder", &padded),
        invalid("no such message", "there is no variant 16", "to-holder", &{
            let mut bytes = attest.clone();
            bytes[1] = 16;
            bytes
        }),
        invalid("a holder's message", "Attest is none", "from-holder", &attest),
        invalid("a question cut short", "the last digit is missing", "to-holder", &{
            let mut bytes = credit(|_| {});
            bytes.pop();
            bytes
        }),
        invalid(
            "too many sums of the rest",
            "16389 of them: the weight and 4096 counters have 16388",
            "to-holder",
            &credit(|question| question.directed.rest = vec![0; REST_MAX + 1]),
        ),
        invalid(
            "a beacon of eight holders",
            "there are seven at most",
            "to-holder",
            &credit(|question| {
                let one = question.fold.drawn[0].clone();
                question.fold.drawn = vec![one; 8];
            }),
        ),
        invalid(
            "eight signatures",
            "there are seven at most",
            "to-holder",
            &wire::encode(&crowded),
        ),
        invalid("22 parts", "seven have 21 components", "round-record", &wire::encode(&parts)),
        invalid(
            "four carries",
            "three are put right at most",
            "credit-record",
            &published(|record| record.carries = vec![record.carries[0]; 4]),
        ),
        invalid(
            "four steps of the past",
            "three count",
            "credit-record",
            &published(|record| {
                let steps = &mut record.attested.attestation.state.steps;
                *steps = vec![steps[0]; 4];
            }),
        ),
        invalid("evidence out of order", "the second owner before the first", "credit-record", &{
            let mut swapped = wire::encode(&record());
            let owner = |n: u8| [&[n; 32][..], &200u32.to_le_bytes()].concat();
            for (old, new) in [(1, 9), (2, 1), (9, 2)] {
                let at = swapped.windows(36).position(|window| window == owner(old));
                let at = at.expect("the owner");
                swapped[at..at + 36].copy_from_slice(&owner(new));
            }
            swapped
        }),
    ]
}

pub(crate) fn file() -> File {
    File {
        about: "what coordinator and holders say of a round's credit, what they remember of it, and what \
                is published, byte by byte. The parties are those of round.json; numbers stand for any",
        step: "Evidence; Formats",
        fields: &[
            NAME,
            WRONG,
            REFUSED,
            ("kind", "to-holder, from-holder, round-record, holder-record or credit-record"),
            ("bytes", "as they travel or are stored"),
            (
                "layout",
                "what they are, in order, after the version 01: meaning, kind and value. number: seven \
                 bits a byte, lowest first; signed: folded to 0, -1, 1, -2, ... and then the same; \
                 byte; raw: as many bytes as there are; string: after their number",
            ),
        ],
        valid: [messages(), records()].concat(),
        invalid: refusals(),
    }
}

pub(crate) fn check(case: &mut Case, is_valid: bool) {
    let (kind, bytes) = (case.text("kind"), case.bytes("bytes"));
    let again = again(&kind, &bytes);
    if !is_valid {
        assert_eq!(again, Err(case.refusal()), "{}", case.name);
        return;
    }
    assert_eq!(again.as_ref(), Ok(&bytes), "{}", case.name);
    assert_eq!(layout::bytes(&case.list("layout")), bytes, "{}", case.name);
}
