//! `attestation.json`: what holders sign of a round's credit: parts of what is opened, and what they
//! attest.

use covey_aggregation::audit::part::{Agreed, Part};
use covey_aggregation::config::{Component, HolderIndex};
use covey_aggregation::credit::{Attestation, Attested, CreditState, ModelStep};
use covey_aggregation::hash::{Digest, Domain, hash as library_hash};
use covey_aggregation::message::{Certificate, Vote};
use covey_aggregation::signing::{Signature, Statement};
use covey_aggregation::wire;
use serde_json::{Value, json};

use crate::case::{Case, File, NAME, REFUSED, WRONG, hex};
use crate::reference::bytes::{accepts, hash, signed_bytes};
use crate::round::base;

/// The component that holder 2 lacks.
const COMPONENT: u16 = 1 << 2;

/// What is signed.
#[derive(Clone)]
struct Signed {
    kind: &'static str,
    round_ctx: Digest,
    /// Of a part: the functions and the accepted set.
    functions: Vec<u8>,
    set: Digest,
    component: u16,
    /// Of a part: its openings. Of an attestation: its bytes.
    body: Vec<u8>,
    /// What the signatures are for: the digest of the functions, or of the attestation.
    digest: Digest,
    signatures: Vec<(u8, Signature)>,
}

impl Signed {
    /// The bytes that holders sign, and as what.
    fn statement(&self) -> (Statement, Vec<u8>) {
        match self.kind {
            "part" => {
                let parts: [&[u8]; 3] = [&self.digest.0, &self.component.to_le_bytes(), &self.body];
                (Statement::CreditPart, library_hash(Domain::AuditPart, &parts).0.to_vec())
            }
            _ => (Statement::Evidence, self.digest.0.to_vec()),
        }
    }

    /// With signatures of these seats by these keys.
    fn signed(mut self, by: &[(u8, usize)]) -> Self {
        let (statement, body) = self.statement();
        self.signed_as(statement, &body, by);
        self
    }

    fn signed_as(&mut self, statement: Statement, body: &[u8], by: &[(u8, usize)]) {
        let sign = |&(seat, key): &(u8, usize)| {
            (seat, base().holder(key).sign(statement, &self.round_ctx, body))
        };
        self.signatures = by.iter().map(sign).collect();
    }

    fn case(&self, name: &str) -> Value {
        let signature = |(holder, signature): &(u8, Signature)| json!({ "holder": holder, "signature": hex(&signature.to_bytes()) });
        json!({
            "name": name, "kind": self.kind, "round_ctx": self.round_ctx.to_string(),
            "functions": hex(&self.functions), "set": self.set.to_string(),
            "component": self.component, "body": hex(&self.body),
            "digest": self.digest.to_string(),
            "signatures": self.signatures.iter().map(signature).collect::<Vec<_>>(),
        })
    }

    fn invalid(&self, name: &str, wrong: &str) -> Value {
        let mut value = self.case(name);
        value["wrong"] = json!(wrong);
        value["refused"] = json!(self.judge().expect_err(name));
        value
    }

    /// The library's judgement.
    fn judge(&self) -> Result<(), String> {
        let config = &base().config;
        let seats =
            self.signatures.iter().map(|(seat, signature)| (HolderIndex(*seat), *signature));
        if self.kind == "part" {
            let (component, openings) = (Component(self.component), self.body.clone());
            let agreed = Agreed { component, openings, signatures: seats.collect() };
            let of = library_hash(Domain::CreditFunctions, &[&self.set.0, &self.functions]);
            let round = (config, &base().round_ctx);
            let holds = agreed.verify_as(Statement::CreditPart, round, &of);
            return holds.map_err(|bad| bad.to_string());
        }
        let attestation: Attestation =
            wire::decode(&self.body, 1 << 20).map_err(|malformed| malformed.to_string())?;
        let votes = seats.map(|(holder, signature)| Vote { holder, signature }).collect();
        let certificate = Certificate { round_ctx: self.round_ctx, set: self.digest, votes };
        let attested = Attested { attestation, certificate };
        attested.verify(config).map_err(|bad| bad.to_string())
    }
}

fn part() -> Signed {
    let functions: Vec<u8> = (-30i64..30).flat_map(|weight| (weight << 20).to_le_bytes()).collect();
    let set = base().set();
    let digest = library_hash(Domain::CreditFunctions, &[&set.0, &functions]);
    Signed {
        kind: "part",
        round_ctx: base().round_ctx,
        functions,
        set,
        component: COMPONENT,
        body: (0..75).collect(),
        digest,
        signatures: Vec::new(),
    }
}

fn attestation() -> Attestation {
    let pool = Digest([9; 32]);
    let step = |n: u8| ModelStep { before: Digest([n; 32]), after: Digest([n + 1; 32]) };
    let state =
        CreditState::first(pool).next(&[1, 2, 300], step(1)).next(&[1, 2, 40, 300], step(2));
    let (run, round) = (base().config.run, base().config.round);
    Attestation { run, round, evidence: Digest([5; 32]), state }
}

fn attested(attestation: &Attestation) -> Signed {
    Signed {
        kind: "attestation",
        body: wire::encode(attestation),
        digest: attestation.digest(),
        functions: Vec::new(),
        component: 0,
        ..part()
    }
}

pub(crate) fn file() -> File {
    let (votes, other) = (attested(&attestation()), Digest([1; 32]));
    let for_another = |change: fn(&mut Attestation)| {
        let mut one = attestation();
        change(&mut one);
        Signed { digest: votes.digest, ..attested(&one) }.signed(&[(0, 0), (1, 1), (2, 2)])
    };
    let mut as_verdict = votes.clone();
    as_verdict.signed_as(Statement::Verdict, &votes.digest.0, &[(0, 0), (1, 1), (2, 2)]);
    let mut as_audit = part();
    let (_, body) = as_audit.statement();
    as_audit.signed_as(Statement::AuditPart, &body, &[(0, 0), (1, 1)]);
    let changed = |change: fn(&mut Signed)| {
        let mut signed = part().signed(&[(0, 0), (1, 1)]);
        change(&mut signed);
        signed
    };
    let of_another_round = Signed { round_ctx: other, ..part() }.signed(&[(0, 0), (1, 1)]);
    let by = |by: &[(u8, usize)]| votes.clone().signed(by);
    File {
        about: "what holders sign of a round's credit: the parts of what is opened, of which f + 1 = 2 \
                must be equal, and the attestation, with Q = 3 votes. Of the committee of round.json",
        step: "Evidence, steps 4 and 7",
        fields: &[
            NAME,
            WRONG,
            REFUSED,
            ("kind", "part, or attestation"),
            ("round_ctx", "what it is signed in"),
            ("functions", "of a part: the weights of s, novelty and harm, eight bytes each"),
            ("set", "of a part: H(U')"),
            ("component", "of a part: the mask of the holders that lack it"),
            (
                "body",
                "of a part: its openings, signed as `credit-part` over H(audit-part; digest, component \
                 in two bytes, openings). Of an attestation: its encoding",
            ),
            (
                "digest",
                "H(credit-functions; set, functions), or H(attestation; body), which is signed as \
                 `evidence`",
            ),
            ("signatures", "each with the place of its holder in the committee"),
        ],
        valid: vec![
            part().signed(&[(0, 0), (1, 1)]).case("a part by two holders"),
            part().signed(&[(0, 0), (1, 1), (3, 3)]).case("a part by three holders"),
            by(&[(0, 0), (1, 1), (2, 2)]).case("three votes"),
            by(&[(0, 0), (1, 1), (2, 2), (3, 3)]).case("four votes"),
        ],
        invalid: vec![
            part().signed(&[(0, 0)]).invalid("a part by one holder", "two are needed"),
            part()
                .signed(&[(0, 0), (2, 2)])
                .invalid("a part by a holder without it", "holder 2 lacks the component"),
            part().signed(&[(1, 1), (0, 0)]).invalid("a part in another order", "1 before 0"),
            part()
                .signed(&[(0, 0), (1, 0)])
                .invalid("a part in another's name", "holder 1's place, holder 0's key"),
            as_audit.invalid("a part of the audit", "signed as `audit-part`"),
            of_another_round.invalid("a part of another round", "signed in another context"),
            changed(|signed| signed.body[3] ^= 1)
                .invalid("other openings", "a bit differs from what was signed"),
            changed(|signed| signed.functions[0] ^= 1)
                .invalid("other functions", "a bit differs from what was opened"),
            changed(|signed| signed.set.0[0] ^= 1)
                .invalid("another set", "opened for other clients"),
            by(&[(0, 0), (1, 1)]).invalid("two votes", "three are needed"),
            by(&[(0, 0), (1, 1), (1, 1)]).invalid("a vote twice", "holder 1 votes twice"),
            by(&[(1, 1), (0, 0), (2, 2)]).invalid("votes in another order", "1 before 0"),
            by(&[(0, 0), (1, 1), (4, 2)]).invalid("nobody's vote", "there is no holder 4"),
            as_verdict.invalid("votes for a verdict", "signed as `verdict`"),
            for_another(|one| one.evidence.0[0] ^= 1)
                .invalid("other evidence", "a bit differs from what was attested"),
            for_another(|one| one.state.opened = 1).invalid("fewer folds", "two were attested"),
            for_another(|one| one.state.steps.truncate(1))
                .invalid("a step less", "two were attested"),
            Signed {
                body: votes.body[..votes.body.len() - 1].to_vec(),
                ..by(&[(0, 0), (1, 1), (2, 2)])
            }
            .invalid("an attestation cut short", "the last byte is missing"),
        ],
    }
}

/// The judgement once more, from the text.
fn plain(signed: &Signed) -> bool {
    let (is_part, needed) = if signed.kind == "part" { (true, 2) } else { (false, 3) };
    let (statement, digest) = if is_part {
        ("credit-part", hash("credit-functions", &[&signed.set.0, &signed.functions]))
    } else {
        ("evidence", hash("attestation", &[&signed.body]))
    };
    let message = if is_part {
        let body = hash("audit-part", &[&digest, &signed.component.to_le_bytes(), &signed.body]);
        signed_bytes(statement, &base().round_ctx.0, &body)
    } else {
        signed_bytes(statement, &signed.round_ctx.0, &digest)
    };
    let is_good = |(seat, signature): &(u8, Signature)| {
        let known = signed.component.checked_shr((*seat).into()).is_none_or(|mask| mask & 1 == 0);
        let key = base().config.committee.get(usize::from(*seat));
        let good = key.is_some_and(|seat| accepts(&seat.holder.0, &message, &signature.to_bytes()));
        known && good
    };
    digest == signed.digest.0
        && signed.signatures.len() >= needed
        && signed.signatures.is_sorted_by(|one, next| one.0 < next.0)
        && signed.signatures.iter().all(is_good)
}

pub(crate) fn check(case: &mut Case, is_valid: bool) {
    let kind = match case.text("kind").as_str() {
        "part" => "part",
        "attestation" => "attestation",
        other => panic!("no kind {other:?}"),
    };
    let signatures = (case.list("signatures").iter())
        .map(|value| {
            let seat = value["holder"].as_u64().expect("a number") as u8;
            let mut one =
                Case::new("signature", &json!({"name": "", "signature": value["signature"]}));
            (seat, one.signature("signature"))
        })
        .collect();
    let signed = Signed {
        kind,
        round_ctx: case.digest("round_ctx"),
        functions: case.bytes("functions"),
        set: case.digest("set"),
        component: case.number("component") as u16,
        body: case.bytes("body"),
        digest: case.digest("digest"),
        signatures,
    };
    assert_eq!(plain(&signed), is_valid, "{}", case.name);
    let refused = signed.judge().err();
    assert_eq!(refused, (!is_valid).then(|| case.refusal()), "{}", case.name);
}

/// A part and a vote as one holder sends them.
pub(crate) fn sent(holder: u8) -> (Part, Vote) {
    let signed = part();
    let seat = HolderIndex(holder);
    let identity = base().holder(holder.into());
    let about = (signed.round_ctx, signed.digest);
    let component = Component(signed.component);
    let part =
        Part::sign_as(Statement::CreditPart, about, component, signed.body, (seat, &identity));
    let digest = attestation().digest();
    let signature = identity.sign(Statement::Evidence, &base().round_ctx, &digest.0);
    (part, Vote { holder: seat, signature })
}

/// An attestation with its certificate.
pub(crate) fn certified() -> Attested {
    let votes = (0..3).map(|holder| sent(holder).1).collect();
    let attestation = attestation();
    let set = attestation.digest();
    let certificate = Certificate { round_ctx: base().round_ctx, set, votes };
    Attested { attestation, certificate }
}
