//! Reading and writing the files: a case gives each of its fields once, and must have none left.

use std::path::PathBuf;

use covey_aggregation::hash::{Digest, Domain, hash};
use covey_aggregation::party::PartyId;
use covey_aggregation::signing::Signature;
use serde_json::{Map, Value, json};

/// One case of a file.
pub(crate) struct Case {
    pub(crate) name: String,
    fields: Map<String, Value>,
}

impl Case {
    pub(crate) fn new(file: &str, value: &Value) -> Self {
        let mut fields = value.as_object().expect("a case is an object").clone();
        let name = fields.remove("name").expect("a case has a name");
        Self { name: format!("{file}: {}", name.as_str().expect("text")), fields }
    }

    pub(crate) fn value(&mut self, field: &str) -> Value {
        self.fields.remove(field).unwrap_or_else(|| panic!("{}: no field {field:?}", self.name))
    }

    pub(crate) fn text(&mut self, field: &str) -> String {
        self.value(field).as_str().expect("text").to_owned()
    }

    pub(crate) fn number(&mut self, field: &str) -> u64 {
        self.value(field).as_u64().expect("a number without sign")
    }

    pub(crate) fn list(&mut self, field: &str) -> Vec<Value> {
        self.value(field).as_array().expect("a list").clone()
    }

    /// Sums as they are opened.
    pub(crate) fn sums(&mut self, field: &str) -> Vec<i32> {
        let sums = self.numbers(field).into_iter();
        sums.map(|sum| i32::try_from(sum).expect("a sum")).collect()
    }

    pub(crate) fn numbers(&mut self, field: &str) -> Vec<i64> {
        self.list(field).iter().map(|one| one.as_i64().expect("an integer")).collect()
    }

    pub(crate) fn bytes(&mut self, field: &str) -> Vec<u8> {
        unhex(&self.text(field))
    }

    pub(crate) fn bytes_list(&mut self, field: &str) -> Vec<Vec<u8>> {
        self.list(field).iter().map(|one| unhex(one.as_str().expect("text"))).collect()
    }

    pub(crate) fn array<const N: usize>(&mut self, field: &str) -> [u8; N] {
        self.bytes(field).try_into().expect("as many bytes as the field says")
    }

    pub(crate) fn digest(&mut self, field: &str) -> Digest {
        Digest(self.array(field))
    }

    pub(crate) fn party(&mut self, field: &str) -> PartyId {
        PartyId(self.array(field))
    }

    pub(crate) fn signature(&mut self, field: &str) -> Signature {
        Signature::from_bytes(self.array(field))
    }

    /// Of an invalid case: what is wrong, in words, and how it is refused.
    pub(crate) fn refusal(&mut self) -> String {
        assert!(!self.text("wrong").is_empty(), "{}", self.name);
        self.text("refused")
    }

    /// Every field was used.
    pub(crate) fn done(self) {
        let left: Vec<_> = self.fields.keys().collect();
        assert!(left.is_empty(), "{}: nothing checks {left:?}", self.name);
    }
}

/// What a file says of itself, and its cases.
pub(crate) struct File {
    pub(crate) about: &'static str,
    pub(crate) step: &'static str,
    pub(crate) fields: &'static [(&'static str, &'static str)],
    pub(crate) valid: Vec<Value>,
    pub(crate) invalid: Vec<Value>,
}

impl File {
    pub(crate) fn json(self) -> Value {
        let fields: Map<String, Value> =
            self.fields.iter().map(|(name, text)| ((*name).to_owned(), json!(text))).collect();
        json!({
            "about": self.about, "step": self.step, "fields": fields,
            "valid": self.valid, "invalid": self.invalid,
        })
    }
}

/// The field of every invalid case.
pub(crate) const WRONG: (&str, &str) = ("wrong", "what is wrong, in words");
/// The field of every invalid case.
pub(crate) const REFUSED: (&str, &str) =
    ("refused", "the refusal in this implementation's words; another must refuse in its own");
/// The field of every case.
pub(crate) const NAME: (&str, &str) = ("name", "name of the case");

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn unhex(text: &str) -> Vec<u8> {
    let pairs = text.as_bytes().chunks(2);
    pairs
        .map(|pair| {
            std::str::from_utf8(pair).ok().and_then(|pair| u8::from_str_radix(pair, 16).ok())
        })
        .collect::<Option<_>>()
        .expect("hexadecimal digits")
}

/// Digest of bytes too long to print.
pub(crate) fn digest(bytes: &[u8]) -> String {
    hash(Domain::Body, &[bytes]).to_string()
}

/// `{at, remove, insert}`: what makes `new` of `old`.
pub(crate) fn splice_between(old: &[u8], new: &[u8]) -> Value {
    let at = old.iter().zip(new).take_while(|(a, b)| a == b).count();
    let (old, new) = (&old[at..], &new[at..]);
    let same = old.iter().rev().zip(new.iter().rev()).take_while(|(a, b)| a == b).count();
    json!({ "at": at, "remove": old.len() - same, "insert": hex(&new[..new.len() - same]) })
}

/// Applies `{at, remove, insert}`.
pub(crate) fn spliced(bytes: &[u8], splice: &Value) -> Vec<u8> {
    let number = |field: &str| splice[field].as_u64().expect("a number") as usize;
    let (at, insert) = (number("at"), unhex(splice["insert"].as_str().expect("text")));
    let mut bytes = bytes.to_vec();
    bytes.splice(at..at + number("remove"), insert);
    bytes
}

pub(crate) fn folder() -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests", "vectors"].iter().collect()
}

/// A file as it is checked in.
pub(crate) fn read(name: &str) -> Value {
    let text = std::fs::read_to_string(folder().join(name)).expect("the vectors are checked in");
    serde_json::from_str(&text).expect("JSON")
}
