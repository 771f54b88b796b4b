//! A message as the tokens that its bytes are made of, in order: what postcard does with each is said
//! here once more.

use serde_json::{Value, json};

use super::bytes::varint;
use crate::case::{hex, unhex};

/// Tokens, each with what it means.
#[derive(Clone, Default)]
pub(crate) struct Layout(pub(crate) Vec<Value>);

impl Layout {
    /// A number without sign, or which variant, or how many: seven bits a byte.
    pub(crate) fn number(&mut self, meaning: &str, value: u64) -> &mut Self {
        self.0.push(json!([meaning, "number", value]));
        self
    }

    /// A number with sign: folded (0, -1, 1, -2, ...), then the same.
    pub(crate) fn signed(&mut self, meaning: &str, value: i64) -> &mut Self {
        self.0.push(json!([meaning, "signed", value]));
        self
    }

    /// One byte.
    pub(crate) fn byte(&mut self, meaning: &str, value: u8) -> &mut Self {
        self.0.push(json!([meaning, "byte", value]));
        self
    }

    /// Bytes of a length that is known.
    pub(crate) fn raw(&mut self, meaning: &str, bytes: &[u8]) -> &mut Self {
        self.0.push(json!([meaning, "raw", hex(bytes)]));
        self
    }

    /// A byte string after its length.
    pub(crate) fn string(&mut self, meaning: &str, bytes: &[u8]) -> &mut Self {
        self.0.push(json!([meaning, "string", hex(bytes)]));
        self
    }
}

/// The bytes that tokens stand for, after the version.
pub(crate) fn bytes(tokens: &[Value]) -> Vec<u8> {
    let mut bytes = vec![1];
    for token in tokens {
        let (kind, value) = (token[1].as_str().expect("a kind"), &token[2]);
        match kind {
            "number" => bytes.extend(varint(value.as_u64().expect("a number"))),
            "signed" => {
                let value = value.as_i64().expect("an integer");
                let folded =
                    if value < 0 { 2 * value.unsigned_abs() - 1 } else { 2 * value as u64 };
                bytes.extend(varint(folded));
            }
            "byte" => bytes.push(value.as_u64().expect("a byte") as u8),
            "raw" => bytes.extend(unhex(value.as_str().expect("text"))),
            "string" => {
                let string = unhex(value.as_str().expect("text"));
                bytes.extend(varint(string.len() as u64));
                bytes.extend(string);
            }
            other => panic!("no token {other:?}"),
        }
    }
    bytes
}
