//! What is published of an epoch's credits, as it lies in a folder:
//!
//! ```text
//! evidence-0001.json   one of each round with evidence, under the round's number
//! credits.json         the terms, the debts carried in, and the settlement
//! ```
//!
//! The settlement follows from everything else, so that anybody can compute it again. Each file of
//! evidence names the digest of the terms: terms that were changed later do not fit it. Who attests
//! the evidence is not said here; holders will, once a federation produces it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::credit::{CreditTerms, Debt, RoundEvidence, Settlement, form, settle};
use crate::hash::Digest;
use crate::limits::{CREDITS_FILE_BYTES_MAX, EVIDENCE_FILE_BYTES_MAX};
use crate::net::files;

use super::{Exit, Failure};

/// Terms, debts and settlement, in an epoch's folder.
pub const CREDITS_FILE: &str = "credits.json";

/// How the names of files of evidence begin.
const EVIDENCE_PREFIX: &str = "evidence-";

/// The file of a round's evidence: numbers have four digits, or more.
#[must_use]
pub fn evidence_file(round: u32) -> String {
    format!("{EVIDENCE_PREFIX}{round:04}.json")
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct EvidenceText {
    schema: EvidenceSchema,
    #[serde(with = "form::hex")]
    terms: Digest,
    evidence: RoundEvidence,
}

#[derive(Serialize, Deserialize)]
enum EvidenceSchema {
    #[serde(rename = "covey-evidence/1")]
    Evidence1,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct CreditsText {
    schema: CreditsSchema,
    terms: CreditTerms,
    carried: Vec<Debt>,
    settlement: Settlement,
}

#[derive(Serialize, Deserialize)]
enum CreditsSchema {
    #[serde(rename = "covey-credits/1")]
    Credits1,
}

/// A round's evidence as it is published, under the terms with this digest.
#[must_use]
pub fn evidence_to_json(terms: &Digest, evidence: &RoundEvidence) -> String {
    let schema = EvidenceSchema::Evidence1;
    to_text(&EvidenceText { schema, terms: *terms, evidence: evidence.clone() })
}

/// The digest of the terms that a file of evidence names, and the evidence.
///
/// # Errors
/// What is wrong, with line and column.
pub fn evidence_from_json(text: &[u8]) -> Result<(Digest, RoundEvidence), String> {
    let read: Result<EvidenceText, _> = serde_json::from_slice(text);
    read.map(|text| (text.terms, text.evidence)).map_err(|error| error.to_string())
}

/// [`CREDITS_FILE`] as it is published.
#[must_use]
pub fn credits_to_json(terms: &CreditTerms, carried: &[Debt], settlement: &Settlement) -> String {
    let mut carried = carried.to_vec();
    carried.sort_by_key(|debt| debt.owner);
    let (schema, settlement) = (CreditsSchema::Credits1, settlement.clone());
    to_text(&CreditsText { schema, terms: *terms, carried, settlement })
}

/// The terms, the debts carried in and the settlement in [`CREDITS_FILE`].
///
/// # Errors
/// What is wrong, with line and column.
pub fn credits_from_json(text: &[u8]) -> Result<(CreditTerms, Vec<Debt>, Settlement), String> {
    let read: Result<CreditsText, _> = serde_json::from_slice(text);
    let parts = |text: CreditsText| (text.terms, text.carried, text.settlement);
    read.map(parts).map_err(|error| error.to_string())
}

/// An epoch as it was published. Nothing of it is checked against anything else yet.
pub struct PublishedEpoch {
    /// The folder.
    pub folder: PathBuf,
    /// The terms in [`CREDITS_FILE`].
    pub terms: CreditTerms,
    /// The debts in [`CREDITS_FILE`].
    pub carried: Vec<Debt>,
    /// The settlement in [`CREDITS_FILE`].
    pub settlement: Settlement,
    /// The evidence, in the order of the files' numbers.
    pub rounds: Vec<RoundEvidence>,
    /// Of each of these the terms that its file names.
    named_terms: Vec<Digest>,
    credits: Vec<u8>,
}

/// Settles an epoch and writes everything that is published of it into `folder`, which is made if
/// need be.
///
/// # Errors
/// [`Failure`]: the evidence is bad, an epoch is there already, or a file cannot be written.
pub fn publish(
    folder: &Path,
    terms: &CreditTerms,
    rounds: &[RoundEvidence],
    carried: &[Debt],
) -> Result<Settlement, Failure> {
    let credits = folder.join(CREDITS_FILE);
    if credits.exists() {
        let message = format!("{} exists already and is not overwritten", credits.display());
        return Err(Failure::new(Exit::BadInput, "EXISTS", message)
            .with_help("an epoch is settled once; choose another folder"));
    }
    let (settlement, published) = published_files(terms, rounds, carried)?;
    files::create_private_folder(folder).map_err(|error| Failure::file(&error))?;
    for (name, text) in published {
        files::write_durably(&folder.join(name), text.as_bytes())
            .map_err(|error| Failure::file(&error))?;
    }
    Ok(settlement)
}

/// A file's name and its text.
pub type NamedText = (String, String);

/// Settles an epoch; the settlement, and everything that is published of it in the order in which it
/// is to be written: an epoch that has the last file is whole.
///
/// # Errors
/// [`Failure`]: the evidence is bad.
pub fn published_files(
    terms: &CreditTerms,
    rounds: &[RoundEvidence],
    carried: &[Debt],
) -> Result<(Settlement, Vec<NamedText>), Failure> {
    let settlement = settle(terms, rounds, carried)
        .map_err(|error| Failure::new(Exit::BadInput, "BAD_EVIDENCE", error))?;
    let digest = terms.digest();
    let evidence =
        |round| (evidence_file(RoundEvidence::round(round)), evidence_to_json(&digest, round));
    let mut texts: Vec<_> = rounds.iter().map(evidence).collect();
    texts.push((CREDITS_FILE.to_owned(), credits_to_json(terms, carried, &settlement)));
    Ok((settlement, texts))
}

fn to_text(value: &impl Serialize) -> String {
    // Strings, integers and lists: there is nothing that JSON cannot say.
    serde_json::to_string_pretty(value).unwrap_or_default() + "\n"
}

impl PublishedEpoch {
    /// Reads the epoch in `folder`.
    ///
    /// # Errors
    /// [`Failure`]: the folder holds no epoch ([`Exit::BadInput`]), or a file in it is not what it
    /// should be ([`Exit::Unverified`]).
    pub fn read(folder: &Path) -> Result<Self, Failure> {
        let (credits, evidence) = listed(folder)?;
        let bytes = contents(&credits, CREDITS_FILE_BYTES_MAX)?;
        let (terms, carried, settlement) =
            credits_from_json(&bytes).map_err(|what| altered(&credits, what))?;
        let (mut rounds, mut named_terms) = (Vec::new(), Vec::new());
        for path in evidence {
            let (named, evidence) = evidence_from_json(&contents(&path, EVIDENCE_FILE_BYTES_MAX)?)
                .map_err(|what| altered(&path, what))?;
            let name = evidence_file(evidence.round());
            if path.file_name().is_none_or(|found| *found != *name) {
                let what = format!("this is the evidence of round {}", evidence.round());
                return Err(altered(&path, what));
            }
            rounds.push(evidence);
            named_terms.push(named);
        }
        let folder = folder.to_owned();
        Ok(Self { folder, terms, carried, settlement, rounds, named_terms, credits: bytes })
    }

    /// Settles the evidence again, and compares with what was published, byte for byte.
    ///
    /// # Errors
    /// [`Failure`] with [`Exit::Unverified`] that names the first difference.
    pub fn recompute(&self) -> Result<(), Failure> {
        let digest = self.terms.digest();
        for (round, named) in self.rounds.iter().zip(&self.named_terms) {
            if *named != digest {
                let path = self.folder.join(evidence_file(round.round()));
                let what = format!("it is under the terms {named}, {CREDITS_FILE} has {digest}");
                return Err(altered(&path, what));
            }
        }
        let settlement = settle(&self.terms, &self.rounds, &self.carried).map_err(|error| {
            Failure::new(Exit::Unverified, "BAD_EVIDENCE", error).with_help(ALARM)
        })?;
        let expected = credits_to_json(&self.terms, &self.carried, &settlement);
        if expected.as_bytes() == self.credits {
            return Ok(());
        }
        let path = self.folder.join(CREDITS_FILE);
        let read = |bytes: &[u8]| serde_json::from_slice(bytes).unwrap_or(Value::Null);
        let difference = first_difference(&read(&self.credits), &read(expected.as_bytes()), "");
        let Some(Difference { at, published, recomputed }) = difference else {
            return Err(altered(
                &path,
                "it has the right values, but written otherwise".to_owned(),
            ));
        };
        let message = format!(
            "{} is not what the evidence gives: {at} is {published}, computed again it is {recomputed}",
            path.display()
        );
        let details = json!({ "at": at, "published": published, "recomputed": recomputed });
        Err(Failure::new(Exit::Unverified, "CREDITS_DIFFER", message)
            .with_help(ALARM)
            .with_details(details))
    }

    /// Checks that the debts carried into this epoch are those that `before` left.
    ///
    /// # Errors
    /// [`Failure`] with [`Exit::Unverified`] that names the first difference.
    pub fn follows(&self, before: &Self) -> Result<(), Failure> {
        let left = json!(before.settlement.debts());
        let Some(difference) = first_difference(&json!(self.carried), &left, "carried") else {
            return Ok(());
        };
        let message = format!(
            "{} does not carry the debts that {} left: {} is {}, it was {}",
            self.folder.join(CREDITS_FILE).display(),
            before.folder.join(CREDITS_FILE).display(),
            difference.at,
            difference.published,
            difference.recomputed,
        );
        Err(Failure::new(Exit::Unverified, "DEBTS_DIFFER", message).with_help(ALARM))
    }
}

/// What to do about what was published wrongly.
const ALARM: &str = "the files were altered, or settled wrongly: keep a copy and tell the others";

fn altered(path: &Path, what: String) -> Failure {
    Failure::new(Exit::Unverified, "BAD_EVIDENCE", format!("{}: {what}", path.display()))
        .with_help(ALARM)
}

/// The paths of the credits and of the evidence in a folder, by number.
fn listed(folder: &Path) -> Result<(PathBuf, Vec<PathBuf>), Failure> {
    let failed = |error: io::Error| {
        let message = format!("cannot read the folder {}: {error}", folder.display());
        Failure::new(Exit::BadInput, "BAD_FOLDER", message)
            .with_help(format!("give the folder that holds {CREDITS_FILE}"))
    };
    let mut evidence = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with(EVIDENCE_PREFIX) && name.ends_with(".json") {
            evidence.push(entry.path());
        }
    }
    let credits = folder.join(CREDITS_FILE);
    if !credits.exists() {
        return Err(failed(io::Error::other(format!("there is no {CREDITS_FILE} in it"))));
    }
    evidence.sort_by_cached_key(|path| (path.as_os_str().len(), path.clone()));
    Ok((credits, evidence))
}

fn contents(path: &Path, bytes_max: u64) -> Result<Vec<u8>, Failure> {
    files::read(path, bytes_max).map_err(|error| Failure::file(&error))
}

/// Where two values differ first.
struct Difference {
    at: String,
    published: Value,
    recomputed: Value,
}

/// The first difference, in the order of lists and of names. Elements with an owner are named by it.
fn first_difference(published: &Value, recomputed: &Value, at: &str) -> Option<Difference> {
    let here = |at: String, one: Option<&Value>, other: Option<&Value>| {
        let absent = || json!("absent");
        let published = one.cloned().unwrap_or_else(absent);
        Some(Difference { at, published, recomputed: other.cloned().unwrap_or_else(absent) })
    };
    match (published, recomputed) {
        (Value::Object(one), Value::Object(other)) => {
            let names = one.keys().chain(other.keys().filter(|name| !one.contains_key(*name)));
            names.into_iter().find_map(|name| {
                let at = if at.is_empty() { name.clone() } else { format!("{at}.{name}") };
                match (one.get(name), other.get(name)) {
                    (Some(one), Some(other)) => first_difference(one, other, &at),
                    (one, other) => here(at, one, other),
                }
            })
        }
        (Value::Array(one), Value::Array(other)) => {
            (0..one.len().max(other.len())).find_map(|index| {
                let pair = (one.get(index), other.get(index));
                let owner =
                    |value: Option<&Value>| value?.get("owner")?.as_str().map(str::to_owned);
                let place = match (owner(pair.0), owner(pair.1)) {
                    (Some(one), Some(other)) if one == other => format!("owner {one}"),
                    _ => index.to_string(),
                };
                let at = format!("{at}[{place}]");
                match pair {
                    (Some(one), Some(other)) => first_difference(one, other, &at),
                    (one, other) => here(at, one, other),
                }
            })
        }
        (one, other) if one == other => None,
        (one, other) => here(at.to_owned(), Some(one), Some(other)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credit::{Evidence, TermsDraft};
    use crate::party::PartyId;

    fn rounds() -> Vec<RoundEvidence> {
        let one = |round: u32, index: u8| {
            let s = 100 + i64::from(round) * i64::from(index) % 7;
            Evidence { owner: PartyId([index; 32]), count: 10, s, novelty: s, harm: s }
        };
        let round = |round| {
            let contributions = (1..5).map(|index| one(round, index)).collect();
            RoundEvidence::new(round, Digest([round as u8; 32]), contributions)
        };
        (1..=4).map(|number| round(number).expect("good evidence")).collect()
    }

    fn terms() -> CreditTerms {
        let draft = TermsDraft { contributions_min: 3, ..TermsDraft::usual(1_000_000_000, 4) };
        CreditTerms::check(draft).expect("good terms")
    }

    fn debt(index: u8, micro: u64) -> Debt {
        Debt { owner: PartyId([index; 32]), micro }
    }

    fn code(result: Result<impl Sized, Failure>) -> (Exit, &'static str, String) {
        let failure = result.err().expect("it fails");
        (failure.exit, failure.code, failure.message)
    }

    #[test]
    fn what_is_published_is_read_and_computed_again() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let carried = [debt(4, 5), debt(2, 9)];
        let settlement = publish(folder.path(), &terms(), &rounds(), &carried).expect("published");
        let epoch = PublishedEpoch::read(folder.path()).expect("read");
        assert_eq!((&epoch.settlement, &epoch.rounds), (&settlement, &rounds()));
        epoch.recompute().expect("the same");
        let again = publish(folder.path(), &terms(), &rounds(), &[]);
        assert_eq!(code(again).1, "EXISTS");
        let nowhere = PublishedEpoch::read(&folder.path().join("nowhere"));
        assert_eq!(code(nowhere).0, Exit::BadInput);
    }

    #[test]
    fn every_change_is_found_and_named() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        publish(folder.path(), &terms(), &rounds(), &[debt(4, 5)]).expect("published");
        let changes: [(&str, &str, &str, &str); 9] = [
            ("evidence-0002.json", "\"count\": 10", "\"count\": 11", "credit_micro is"),
            ("evidence-0003.json", "\"s\": 10", "\"s\": 11", "owner 0101"),
            ("evidence-0003.json", "\"novelty\": 10", "\"novelty\": -10", "settlement.accounts["),
            ("evidence-0001.json", "\"round\": 1,", "\"round\": 9,", "of round 9"),
            ("evidence-0001.json", "\"terms\": \"", "\"terms\": \"x", "line 3"),
            ("credits.json", "\"budget_micro\": 1", "\"budget_micro\": 2", "under the terms"),
            ("credits.json", "\"micro\": 5", "\"micro\": 6", "payment_micro is"),
            ("credits.json", "\"payment_micro\": 1", "\"payment_micro\": 2", "payment_micro is 2"),
            ("credits.json", "  \"carried\"", "   \"carried\"", "written otherwise"),
        ];
        for (file, old, new, named) in changes {
            let path = folder.path().join(file);
            let text = fs::read_to_string(&path).expect("read");
            assert!(text.contains(old), "{old}");
            fs::write(&path, text.replacen(old, new, 1)).expect("written");
            let checked = PublishedEpoch::read(folder.path()).and_then(|epoch| epoch.recompute());
            let (exit, code, message) = code(checked);
            assert_eq!(exit, Exit::Unverified, "{code} {message}");
            assert!(message.contains(named), "no {named:?} in {message:?}");
            fs::write(&path, text).expect("written");
        }
        fs::remove_file(folder.path().join("evidence-0004.json")).expect("removed");
        let epoch = PublishedEpoch::read(folder.path()).expect("read");
        let (exit, _, message) = code(epoch.recompute());
        assert_eq!(exit, Exit::Unverified);
        assert!(message.contains("credits.json is not what the evidence gives"), "{message}");
    }

    #[test]
    fn debts_are_those_that_the_epoch_before_left() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = |name: &str| folder.path().join(name);
        let first = publish(&path("1"), &terms(), &rounds(), &[debt(9, 77)]).expect("published");
        assert_eq!(first.debts(), [debt(9, 77)]);
        publish(&path("2"), &terms(), &rounds(), &first.debts()).expect("published");
        publish(&path("3"), &terms(), &rounds(), &[debt(9, 70)]).expect("published");
        let read = |name: &str| PublishedEpoch::read(&path(name)).expect("read");
        read("2").follows(&read("1")).expect("the same debts");
        let (exit, code, message) = code(read("3").follows(&read("1")));
        assert_eq!((exit, code), (Exit::Unverified, "DEBTS_DIFFER"));
        assert!(message.contains("micro is 70, it was 77"), "{message}");
    }
}
