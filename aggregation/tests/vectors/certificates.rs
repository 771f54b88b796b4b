//! `certificate.json`: sets, votes, and what makes a quorum of them.

use covey_aggregation::config::{HolderIndex, set_digest};
use covey_aggregation::hash::Digest;
use covey_aggregation::message::{Certificate, Countersignature, Vote, countersigned};
use covey_aggregation::signing::Statement;
use serde_json::{Value, json};

use crate::case::{Case, File, NAME, REFUSED, WRONG};
use crate::reference::bytes::{accepts, hash, signed_bytes};
use crate::round::base;
use crate::signatures::signed;

/// Header digests of the round, in order.
fn headers() -> Vec<Digest> {
    base().uploads.iter().map(|upload| upload.header().digest()).collect()
}

/// Signatures of these holders, each (place claimed, whose key, over which body).
fn case(
    name: &str,
    statement: Statement,
    round_ctx: Digest,
    set: Digest,
    by: &[(u8, usize, Digest)],
) -> Value {
    let signatures = by.iter().map(|(claimed, holder, body)| {
        let seed = &base().holder_seeds[*holder];
        json!({ "holder": claimed, "signature": signed(seed, statement, &round_ctx, &body.0) })
    });
    let (headers, text) = match statement {
        Statement::Config => (Vec::new(), "config"),
        _ => (headers().iter().map(ToString::to_string).collect(), "vote"),
    };
    json!({
        "name": name, "statement": text, "round_ctx": round_ctx.to_string(),
        "headers": headers, "set": set.to_string(), "signatures": signatures.collect::<Vec<_>>(),
    })
}

fn votes(name: &str, by: &[(u8, usize)]) -> Value {
    let set = base().set();
    let by: Vec<_> = by.iter().map(|(claimed, holder)| (*claimed, *holder, set)).collect();
    case(name, Statement::Vote, base().round_ctx, set, &by)
}

fn terms(name: &str, by: &[(u8, usize)]) -> Value {
    let round_ctx = base().round_ctx;
    let by: Vec<_> = by.iter().map(|(claimed, holder)| (*claimed, *holder, round_ctx)).collect();
    case(name, Statement::Config, round_ctx, round_ctx, &by)
}

fn invalid(wrong: &str, mut value: Value) -> Value {
    value["wrong"] = json!(wrong);
    let refused = verify(&mut Case::new("new", &value)).expect_err(wrong);
    value["refused"] = json!(refused);
    value
}

pub(crate) fn file() -> File {
    let (round_ctx, set) = (base().round_ctx, base().set());
    let other = Digest([9; 32]);
    let own = [(0, 0, set), (1, 1, set), (2, 2, set)];
    let mut reordered = votes("another order", &[(0, 0), (1, 1), (2, 2)]);
    reordered["headers"].as_array_mut().expect("a list").swap(0, 1);
    let mut fewer = votes("a header less", &[(0, 0), (1, 1), (2, 2)]);
    fewer["headers"].as_array_mut().expect("a list").pop();
    let vote = Statement::Vote;
    File {
        about: "sets, votes for them and certificates of Q = 3 votes; and countersignatures of \
                the terms, of which Q are needed too. All of the round in round.json",
        step: "steps 1 and 10, Terms and Vote",
        fields: &[
            NAME,
            WRONG,
            REFUSED,
            ("statement", "vote: signatures over the set; config: over round_ctx"),
            ("round_ctx", "the round that the certificate is of"),
            ("headers", "for votes: U, header digests by ascending client"),
            ("set", "H(set; round_ctx, then each header digest); for config: round_ctx"),
            ("signatures", "each with the place of its holder in the committee"),
        ],
        valid: vec![
            votes("three votes", &[(0, 0), (1, 1), (2, 2)]),
            votes("three others", &[(0, 0), (2, 2), (3, 3)]),
            votes("all four votes", &[(0, 0), (1, 1), (2, 2), (3, 3)]),
            terms("three countersignatures", &[(0, 0), (1, 1), (3, 3)]),
            terms("four countersignatures", &[(0, 0), (1, 1), (2, 2), (3, 3)]),
        ],
        invalid: vec![
            invalid("two votes, three needed", votes("too few votes", &[(0, 0), (1, 1)])),
            invalid("no vote", votes("no votes", &[])),
            invalid("holder 1 votes twice", votes("a vote twice", &[(0, 0), (1, 1), (1, 1)])),
            invalid("not by ascending holder", votes("not in order", &[(1, 1), (0, 0), (2, 2)])),
            invalid(
                "holder 2's place, holder 1's key",
                votes("a vote in another's name", &[(0, 0), (1, 1), (2, 1)]),
            ),
            invalid("there is no holder 4", votes("nobody's vote", &[(0, 0), (1, 1), (4, 2)])),
            invalid(
                "the third vote is for another set",
                case("another set", vote, round_ctx, set, &[own[0], own[1], (2, 2, other)]),
            ),
            invalid(
                "the certificate is of another round",
                case("another round", vote, other, set, &own),
            ),
            invalid("the first two headers are swapped", reordered),
            invalid("the last header is missing", fewer),
            invalid("two of three", terms("too few countersignatures", &[(0, 0), (1, 1)])),
            invalid("holder 1 twice", terms("a countersignature twice", &[(0, 0), (1, 1), (1, 1)])),
            invalid(
                "signed over another round's terms",
                case(
                    "a countersignature of other terms",
                    Statement::Config,
                    round_ctx,
                    round_ctx,
                    &[(0, 0, round_ctx), (1, 1, round_ctx), (2, 2, other)],
                ),
            ),
        ],
    }
}

/// The library's judgement, and beside it that of the naive implementation.
fn verify(case: &mut Case) -> Result<(), String> {
    let (config, this) = (&base().config, base().round_ctx);
    let statement = case.text("statement");
    let (round_ctx, set) = (case.digest("round_ctx"), case.digest("set"));
    let headers: Vec<Digest> = case
        .bytes_list("headers")
        .into_iter()
        .map(|one| Digest(one.try_into().expect("32 bytes")))
        .collect();
    let signatures: Vec<_> = (case.list("signatures").into_iter())
        .map(|value| {
            let holder = HolderIndex(value["holder"].as_u64().expect("a number") as u8);
            let mut one =
                Case::new("signature", &json!({"name": "", "signature": value["signature"]}));
            (holder, one.signature("signature"))
        })
        .collect();

    let valid = signatures.iter().filter(|(holder, signature)| {
        let seat = config.committee.get(usize::from(holder.0));
        let message = signed_bytes(&statement, &this.0, &set.0);
        seat.is_some_and(|seat| accepts(&seat.holder.0, &message, &signature.to_bytes()))
    });
    let is_ascending = signatures.is_sorted_by(|a, b| a.0 < b.0);
    let mut parts: Vec<&[u8]> = vec![&this.0];
    parts.extend(headers.iter().map(|header| header.0.as_slice()));
    let is_of_headers = statement == "config" || hash("set", &parts) == set.0;
    let holds = valid.count() == signatures.len()
        && signatures.len() >= 3
        && is_ascending
        && is_of_headers
        && round_ctx == this;

    let result = if statement == "config" {
        let list: Vec<_> = (signatures.into_iter())
            .map(|(holder, signature)| Countersignature { holder, signature })
            .collect();
        countersigned(config, &round_ctx, &list)
            .then_some(())
            .ok_or_else(|| "the terms are not countersigned by a quorum".to_owned())
    } else {
        let votes: Vec<_> = (signatures.into_iter())
            .map(|(holder, signature)| Vote { holder, signature })
            .collect();
        let certificate = Certificate { round_ctx, set, votes };
        let verified = certificate.verify(config, &this).map_err(|bad| bad.to_string());
        verified.and_then(|()| {
            (set_digest(&this, &headers) == set)
                .then_some(())
                .ok_or_else(|| "the certificate is for another set".to_owned())
        })
    };
    assert_eq!(result.is_ok(), holds, "{}", case.name);
    result
}

pub(crate) fn check(case: &mut Case, is_valid: bool) {
    let refused = verify(case).err();
    assert_eq!(refused, (!is_valid).then(|| case.refusal()), "{}", case.name);
}
