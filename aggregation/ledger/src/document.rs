//! What is too long for an entry: a document that is published beside the ledger, named by its
//! SHA-256 digest and its length. Anybody with the bytes can check that they are those.

use std::collections::BTreeMap;

use covey_aggregation::hash::Digest;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::form::hex;

/// The SHA-256 digest of bytes.
#[must_use]
pub fn sha256(bytes: &[u8]) -> Digest {
    Digest(Sha256::digest(bytes).into())
}

/// A document, by its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Document {
    /// The SHA-256 digest of its bytes.
    #[serde(with = "hex")]
    pub sha256: Digest,
    /// How many they are.
    pub bytes: u64,
}

impl Document {
    /// The name of these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self { sha256: sha256(bytes), bytes: bytes.len() as u64 }
    }

    /// Whether these are the bytes.
    #[must_use]
    pub fn is(&self, bytes: &[u8]) -> bool {
        self.bytes == bytes.len() as u64 && self.sha256 == sha256(bytes)
    }
}

/// Where documents are looked up.
pub trait Documents {
    /// The bytes of a document, where they are at hand. They need not be the right ones: whoever
    /// asks checks them.
    fn document(&self, document: &Document) -> Option<Vec<u8>>;
}

/// No documents.
impl Documents for () {
    fn document(&self, _: &Document) -> Option<Vec<u8>> {
        None
    }
}

/// Documents in memory, by digest.
impl Documents for BTreeMap<Digest, Vec<u8>> {
    fn document(&self, document: &Document) -> Option<Vec<u8>> {
        self.get(&document.sha256).cloned()
    }
}

impl<D: Documents + ?Sized> Documents for &D {
    fn document(&self, document: &Document) -> Option<Vec<u8>> {
        (**self).document(document)
    }
}

/// A document that is needed and cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadDocument {
    /// It is not at hand.
    #[error("the document {} of {} bytes is not at hand", .0.sha256, .0.bytes)]
    Missing(Document),
    /// Its bytes are other ones.
    #[error("the bytes at hand are not the document {} of {} bytes", .0.sha256, .0.bytes)]
    Altered(Document),
    /// Its bytes are not what the entry says it holds.
    #[error("the document {} is not of the form that the entry says", .0.sha256)]
    Form(Document),
}

/// What an entry may hold itself, or name as a document.
pub trait Content: Clone {
    /// The bytes of the document.
    fn to_document(&self) -> Vec<u8>;
    /// From these bytes; `None` where they are not exactly what [`Content::to_document`] gives.
    fn from_document(bytes: &[u8]) -> Option<Self>;
}

/// Compact JSON.
impl<T: Clone + Serialize + DeserializeOwned> Content for T {
    fn to_document(&self) -> Vec<u8> {
        // Structures with names, strings, integers and lists: there is nothing that JSON cannot say.
        serde_json::to_vec(self).unwrap_or_default()
    }

    fn from_document(bytes: &[u8]) -> Option<Self> {
        let value: Self = serde_json::from_slice(bytes).ok()?;
        (value.to_document() == bytes).then_some(value)
    }
}

/// A value in an entry, or the name of the document that holds it: compact JSON, which for a text is
/// a JSON string.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Held<T> {
    /// In the entry.
    Here(T),
    /// In a document.
    Document(Document),
}

impl<T: Content> Held<T> {
    /// The value, in the entry where its document has at most `bytes_max` bytes; else its name, with
    /// the bytes to publish.
    #[must_use]
    pub fn new(value: T, bytes_max: usize) -> (Self, Option<Vec<u8>>) {
        let bytes = value.to_document();
        if bytes.len() <= bytes_max {
            (Self::Here(value), None)
        } else {
            (Self::Document(Document::of(&bytes)), Some(bytes))
        }
    }

    /// The value, from the entry or from its document.
    ///
    /// # Errors
    /// [`BadDocument`].
    pub fn get(&self, documents: &(impl Documents + ?Sized)) -> Result<T, BadDocument> {
        match self {
            Self::Here(value) => Ok(value.clone()),
            Self::Document(document) => {
                let bytes = documents.document(document);
                let bytes = bytes.ok_or(BadDocument::Missing(*document))?;
                if !document.is(&bytes) {
                    return Err(BadDocument::Altered(*document));
                }
                T::from_document(&bytes).ok_or(BadDocument::Form(*document))
            }
        }
    }

    /// The document, where there is one.
    #[must_use]
    pub const fn document(&self) -> Option<&Document> {
        match self {
            Self::Here(_) => None,
            Self::Document(document) => Some(document),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_long_for_an_entry_is_named_and_found_again() {
        let (short, none) = Held::new("plan".to_owned(), 6);
        assert_eq!((short.clone(), none), (Held::Here("plan".to_owned()), None));
        assert_eq!(short.get(&()), Ok("plan".to_owned()));
        let (long, bytes) = Held::new("plan".to_owned(), 5);
        let (bytes, name) = (bytes.expect("a document"), *long.document().expect("its name"));
        assert_eq!(long.get(&()), Err(BadDocument::Missing(name)));
        let mut at_hand = BTreeMap::from([(name.sha256, bytes)]);
        assert_eq!(long.get(&at_hand), Ok("plan".to_owned()));
        at_hand.insert(name.sha256, b"\"plun\"".to_vec());
        assert_eq!(long.get(&at_hand), Err(BadDocument::Altered(name)));
        let other = Document::of(b"\"p\\u006can\"");
        let at_hand = BTreeMap::from([(other.sha256, b"\"p\\u006can\"".to_vec())]);
        let other_form = Held::<String>::Document(other);
        assert_eq!(other_form.get(&at_hand), Err(BadDocument::Form(other)), "not the one form");
    }
}
