//! `publication.json`: what anybody finds of a published round.

use covey_aggregation::config::Weighting;
use covey_aggregation::hash::Digest;
use covey_aggregation::party::PartyId;
use covey_aggregation::publication::{
    Blame, ContributionSource, Publication, PublicationFault, RoundResult, Verified, verify,
};
use covey_aggregation::signing::{Identity, Signature, Statement};
use covey_aggregation::wire;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::case::{Case, File, NAME, WRONG, splice_between, spliced};
use crate::round::{Stored, base};

/// Stored contributions, by header digest.
struct Storage(Vec<(Digest, Stored)>);

impl Storage {
    fn find(&self, name: &Digest) -> Result<&Stored, String> {
        let found = self.0.iter().find(|(digest, _)| digest == name);
        found.map(|(_, stored)| stored).ok_or_else(|| "gone".to_owned())
    }
}

impl ContributionSource for Storage {
    type Error = String;

    fn correction(&mut self, _: &PartyId, name: &Digest) -> Result<Vec<u8>, String> {
        Ok(self.find(name)?.correction.clone())
    }

    fn chunk(&mut self, _: &PartyId, name: &Digest, index: u32) -> Result<Vec<u8>, String> {
        self.find(name)?.chunks.get(index as usize).cloned().ok_or_else(|| "gone".to_owned())
    }
}

fn storage() -> Vec<Stored> {
    base().uploads.clone()
}

/// Verifies; a result that does not decode is refused first.
fn judge(result: &[u8], signature: Signature, stored: Vec<Stored>) -> Result<Verified, String> {
    let result: RoundResult =
        wire::decode(result, 1 << 20).map_err(|malformed| malformed.to_string())?;
    let names = base().uploads.iter().map(|upload| upload.header().digest());
    let mut storage = Storage(names.zip(stored).collect());
    let publication = Publication { result, signature };
    verify(&publication, &base().roster, &mut storage)
        .map_err(|fault| format!("{fault} [{}]", blame(&fault)))
}

fn blame(fault: &PublicationFault) -> String {
    match fault.blame() {
        Blame::Nobody => "nobody".to_owned(),
        Blame::Coordinator => "coordinator".to_owned(),
        Blame::Storage => "coordinator or storage".to_owned(),
        Blame::Client(_) => "client".to_owned(),
        Blame::Holders(list) => {
            format!("holders {:?}", list.iter().map(|h| h.0).collect::<Vec<_>>())
        }
    }
}

fn sign(signer: &str, result: &[u8]) -> Signature {
    let honest = wire::encode(&base().result);
    let identity = |seed| Identity::from_seed(&Zeroizing::new(seed));
    let (identity, body) = match signer {
        "coordinator" => (base().coordinator(), result),
        "coordinator, before the change" => (base().coordinator(), honest.as_slice()),
        "client" => (identity(base().uploads[0].seed), result),
        other => panic!("no signer {other}"),
    };
    // A changed config has another context; a result that does not decode has none.
    let config = wire::decode::<RoundResult>(result, 1 << 20).map(|result| result.config);
    let round_ctx = config.map_or_else(|_| base().round_ctx, |config| config.context());
    identity.sign(Statement::Publication, &round_ctx, body)
}

fn case(name: &str, wrong: &str, signer: &str, result: &[u8], stored: Vec<Stored>) -> Value {
    let honest = wire::encode(&base().result);
    let splice = (result != honest).then(|| splice_between(&honest, result));
    let changes = (base().uploads.iter().zip(&stored).enumerate())
        .flat_map(|(index, (old, new))| {
            let mut changes = old.changes_to(new);
            changes.iter_mut().for_each(|change| change["upload"] = json!(index));
            changes
        })
        .collect::<Vec<_>>();
    let refused = judge(result, sign(signer, result), stored).expect_err(name);
    json!({
        "name": name, "wrong": wrong, "signed_by": signer, "result": splice.unwrap_or_default(),
        "stored": changes, "refused": refused,
    })
}

fn lie(name: &str, wrong: &str, change: fn(&mut RoundResult)) -> Value {
    let mut result = base().result.clone();
    change(&mut result);
    case(name, wrong, "coordinator", &wire::encode(&result), storage())
}

fn altered(name: &str, wrong: &str, change: fn(&mut Vec<Stored>)) -> Value {
    let mut stored = storage();
    change(&mut stored);
    case(name, wrong, "coordinator", &wire::encode(&base().result), stored)
}

pub(crate) fn file() -> File {
    let honest = wire::encode(&base().result);
    let changed = {
        let mut result = base().result.clone();
        result.aggregate.sums[0] += 1;
        wire::encode(&result)
    };
    let verified = judge(&honest, sign("coordinator", &honest), storage()).expect("holds");
    let valid = json!({
        "name": "as it was published", "signed_by": "coordinator", "result": Value::Null,
        "stored": [], "round_ctx": verified.round_ctx.to_string(),
        "set": verified.set.to_string(), "count": verified.count, "bytes": verified.bytes,
        "key_sum": verified.key_sum.to_string(), "aggregate": verified.aggregate.to_string(),
    });
    let signer = |name: &str, signer: &str| {
        let wrong = "a sum is one too large, and the signature is not the coordinator's over it";
        case(name, wrong, signer, &changed, storage())
    };
    File {
        about: "a published round and the check that anybody can run: the round of round.json, its \
                result or the stored contributions changed",
        step: "step 13, Publish",
        fields: &[
            NAME,
            WRONG,
            ("refused", "the refusal in this implementation's words, and whose fault it is"),
            ("signed_by", "whose signature the publication has, over the changed result"),
            (
                "result",
                "how the encoded result is changed: at `at` take `remove` bytes away and \
              put `insert` there; null: not at all",
            ),
            ("stored", "how stored contributions are changed, as in upload.json"),
            ("round_ctx", "found: the round"),
            ("set", "found: H(U)"),
            ("count", "found: contributions"),
            ("bytes", "found: bytes added again"),
            ("key_sum", "found: digest of S"),
            ("aggregate", "found: digest of the aggregate"),
        ],
        valid: vec![valid],
        invalid: vec![
            signer("signed by an owner", "client"),
            signer("changed after signing", "coordinator, before the change"),
            case(
                "cut short",
                "the last byte is missing",
                "coordinator",
                &honest[..honest.len() - 1],
                storage(),
            ),
            lie("another roster", "the terms name another roster", |result| {
                result.config.federation = Digest::ZERO;
            }),
            lie("bad terms", "one lane fewer than derived", |result| {
                result.config.packing.lanes -= 1
            }),
            lie("another committee", "two seats are swapped", |result| {
                result.config.committee.swap(0, 1);
            }),
            lie("terms changed later", "another weighting", |result| {
                result.config.quantiser.weighting = Weighting::CappedExamples(9);
            }),
            lie("too few countersignatures", "two of three", |result| {
                result.countersignatures.pop();
            }),
            lie("a shorter cohort", "the absent owner is struck out", |result| {
                let absent = result.report.missing[0].0;
                result.cohort.retain(|client| *client != absent);
            }),
            lie("headers out of order", "the first two are swapped", |result| {
                result.headers.swap(0, 1);
            }),
            lie("a header twice", "the first replaces the second", |result| {
                result.headers[1] = result.headers[0].clone();
            }),
            lie("a forged header", "a byte of the first header is changed", |result| {
                result.headers[0].header.correction.0[0] ^= 1;
            }),
            lie("a header less", "the last is missing, the certificate is for three", |result| {
                result.headers.pop();
            }),
            lie("too few votes", "two of three", |result| {
                result.certificate.votes.pop();
            }),
            lie("a report with an owner less", "the absent owner is not named", |result| {
                result.report.missing.clear();
            }),
            lie("a sum less", "19 sums for 20 parameters", |result| {
                result.aggregate.sums.pop();
            }),
            lie("a key sum cut short", "one byte less", |result| {
                result.key_sum.pop();
            }),
            lie("a key sum that is not short", "an entry of 2^24", |result| result.key_sum[3] = 1),
            lie("another key sum", "an entry is one too large", |result| result.key_sum[0] ^= 1),
            lie("another sum", "sum 7 is one too large", |result| result.aggregate.sums[7] += 1),
            lie("another weight", "one too large", |result| result.aggregate.weight += 1),
            altered("a stored correction changed", "a bit of the first", |stored| {
                stored[0].correction[9] ^= 1;
            }),
            altered("a stored chunk changed", "a bit of the last", |stored| {
                stored[2].chunks[0][9] ^= 1;
            }),
            altered("a stored chunk cut", "the last byte of the second is missing", |stored| {
                stored[1].chunks[0].pop();
            }),
        ],
    }
}

pub(crate) fn check(case: &mut Case, is_valid: bool) {
    let mut result = wire::encode(&base().result);
    let splice = case.value("result");
    if !splice.is_null() {
        result = spliced(&result, &splice);
    }
    let mut stored = storage();
    for change in case.list("stored") {
        stored[change["upload"].as_u64().expect("a number") as usize].change(&[change]);
    }
    let signature = sign(&case.text("signed_by"), &result);
    let judged = judge(&result, signature, stored);
    if !is_valid {
        assert_eq!(judged.err(), Some(case.refusal()), "{}", case.name);
        return;
    }
    let verified = judged.expect("holds");
    assert_eq!(case.digest("round_ctx"), verified.round_ctx);
    assert_eq!(case.digest("set"), verified.set);
    assert_eq!(case.number("count"), u64::from(verified.count));
    assert_eq!(case.number("bytes"), verified.bytes);
    assert_eq!(case.digest("key_sum"), verified.key_sum);
    assert_eq!(case.digest("aggregate"), verified.aggregate);
}
