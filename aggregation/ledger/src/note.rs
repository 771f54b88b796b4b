//! Signed notes: a text, and lines with signatures over it
//! ([C2SP signed-note](https://c2sp.org/signed-note)).

use std::fmt;
use std::str::FromStr;

use covey_aggregation::party::PartyId;
use covey_aggregation::signing::{BadNoteText, Identity, Signature, check_note_text};
use data_encoding::{BASE64, HEXLOWER};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// Bytes of a note: room for a checkpoint and for the most signatures, even larger ones to come.
pub const NOTE_BYTES_MAX: usize = 64 << 10;
/// Signatures of a note: a log's and those of a committee of witnesses, with room. The specification
/// asks for 16 at least.
pub const NOTE_SIGNATURES_MAX: usize = 64;
/// Bytes of a key's name: a federation's name, a slash and a member's.
pub const KEY_NAME_BYTES_MAX: usize = 256;

/// What every signature line begins with: an em dash and a space.
const DASH: &str = "\u{2014} ";

/// The name of a key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct KeyName(String);

/// The text is no name of a key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is no name of a key: it has 1 to {KEY_NAME_BYTES_MAX} bytes, none of them a space, a plus sign or a control character"
)]
pub struct BadKeyName {
    /// What was given.
    pub text: String,
}

/// How a key signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Algorithm {
    /// Ed25519 over the note's text.
    Ed25519,
    /// A witness's cosignature with its time, by Ed25519.
    Cosignature,
}

impl Algorithm {
    const fn byte(self) -> u8 {
        match self {
            Self::Ed25519 => 1,
            Self::Cosignature => 4,
        }
    }
}

/// A key that verifies. As text, `<name>+<key id>+<base64 of the algorithm and the key>`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct VerifierKey {
    /// Its name.
    pub name: KeyName,
    /// How it signs.
    pub algorithm: Algorithm,
    /// The Ed25519 key.
    pub key: PartyId,
}

/// The text is no verifier key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadVerifierKey {
    /// Not a name, an id and a key with plus signs between.
    #[error("it is not <name>+<key id>+<key>")]
    Malformed,
    /// None of the algorithms known here.
    #[error("its algorithm {0:#04x} is not known here")]
    Algorithm(u8),
    /// The id belongs to another name or key.
    #[error("its key id belongs to another name or key")]
    Id,
}

/// One line of a note.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignatureLine {
    /// The key's name.
    pub name: KeyName,
    /// The key's id.
    pub id: [u8; 4],
    /// What the key's algorithm makes of the text.
    pub signature: Vec<u8>,
}

/// A text, and signatures over it that nobody has checked yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    text: String,
    signatures: Vec<SignatureLine>,
}

/// The bytes are no signed note.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadNote {
    /// Too long.
    #[error("it has {got} bytes, {NOTE_BYTES_MAX} are allowed")]
    Long {
        /// So many.
        got: usize,
    },
    /// No text of a note.
    #[error(transparent)]
    Text(#[from] BadNoteText),
    /// Not UTF-8.
    #[error("it is not UTF-8")]
    Encoding,
    /// No empty line, or nothing after it.
    #[error("no signatures follow its text")]
    Unsigned,
    /// A line after the text that is no signature.
    #[error("line {0} after its text is no signature line")]
    Line(usize),
    /// Too many signatures.
    #[error("it has more than {NOTE_SIGNATURES_MAX} signatures")]
    Signatures,
}

impl KeyName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl VerifierKey {
    /// A key under a name.
    #[must_use]
    pub const fn new(name: KeyName, algorithm: Algorithm, key: PartyId) -> Self {
        Self { name, algorithm, key }
    }

    /// What names the key in signature lines: the first bytes of SHA-256 over its name, a newline, its
    /// algorithm and the key.
    #[must_use]
    pub fn id(&self) -> [u8; 4] {
        let hash = Sha256::new()
            .chain_update(self.name.as_str())
            .chain_update([b'\n', self.algorithm.byte()])
            .chain_update(self.key.0)
            .finalize();
        [hash[0], hash[1], hash[2], hash[3]]
    }

    /// Whether a line claims to be by this key.
    #[must_use]
    pub fn is_of(&self, line: &SignatureLine) -> bool {
        line.name == self.name && line.id == self.id()
    }
}

impl SignatureLine {
    /// Parses one line, with or without its newline.
    #[must_use]
    pub fn parse(line: &str) -> Option<Self> {
        let line = line.strip_suffix('\n').unwrap_or(line);
        let (name, signature) = line.strip_prefix(DASH)?.split_once(' ')?;
        let bytes = BASE64.decode(signature.as_bytes()).ok()?;
        let (id, signature) = bytes.split_first_chunk::<4>()?;
        let name = KeyName::from_str(name).ok()?;
        (!signature.is_empty()).then(|| Self { name, id: *id, signature: signature.to_vec() })
    }
}

impl Note {
    /// Signs a text with one Ed25519 key, under a name.
    ///
    /// # Errors
    /// [`BadNoteText`] when a note cannot have this text.
    pub fn sign(text: String, name: KeyName, identity: &Identity) -> Result<Self, BadNoteText> {
        let signature = identity.sign_note(&text)?.to_bytes().to_vec();
        let id = VerifierKey::new(name.clone(), Algorithm::Ed25519, identity.id()).id();
        Ok(Self { text, signatures: vec![SignatureLine { name, id, signature }] })
    }

    /// Parses a note. No signature is checked.
    ///
    /// # Errors
    /// [`BadNote`], by the first fault.
    pub fn parse(bytes: &[u8]) -> Result<Self, BadNote> {
        if bytes.len() > NOTE_BYTES_MAX {
            return Err(BadNote::Long { got: bytes.len() });
        }
        let note = std::str::from_utf8(bytes).map_err(|_| BadNote::Encoding)?;
        check_note_text(note)?;
        // The text ends with the newline before the last empty line.
        let end = note.rfind("\n\n").ok_or(BadNote::Unsigned)? + 1;
        let (text, lines) = (&note[..end], &note[end + 1..]);
        if lines.is_empty() {
            return Err(BadNote::Unsigned);
        }
        let lines = lines.split_inclusive('\n').enumerate().map(|(number, line)| {
            if number == NOTE_SIGNATURES_MAX {
                return Err(BadNote::Signatures);
            }
            SignatureLine::parse(line).ok_or(BadNote::Line(number + 1))
        });
        Ok(Self { text: text.to_owned(), signatures: lines.collect::<Result<_, _>>()? })
    }

    /// What is signed.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The signatures, none of them checked.
    #[must_use]
    pub fn signatures(&self) -> &[SignatureLine] {
        &self.signatures
    }

    /// Whether an Ed25519 key has signed the text, in a line that names it, and no such line is false.
    #[must_use]
    pub fn is_signed_by(&self, key: &VerifierKey) -> bool {
        let mut lines = self.signatures.iter().filter(|line| key.is_of(line)).peekable();
        let holds = |line: &SignatureLine| {
            let signature = line.signature.as_slice().try_into().map(Signature::from_bytes);
            signature.is_ok_and(|signature| key.key.verify_note(&self.text, &signature).is_ok())
        };
        key.algorithm == Algorithm::Ed25519 && lines.peek().is_some() && lines.all(holds)
    }

    /// The same text with some of its lines.
    #[must_use]
    pub fn only(self, keep: impl Fn(&SignatureLine) -> bool) -> Self {
        let signatures = self.signatures.into_iter().filter(keep).collect();
        Self { text: self.text, signatures }
    }

    /// Adds a line in the place of those by the same key.
    pub fn replace(&mut self, line: SignatureLine) {
        self.signatures.retain(|other| (&other.name, other.id) != (&line.name, line.id));
        self.signatures.push(line);
    }

    /// Adds a line, unless it is there already.
    ///
    /// # Errors
    /// [`BadNote::Signatures`] when there is no room for another.
    pub fn push(&mut self, line: SignatureLine) -> Result<(), BadNote> {
        if self.signatures.contains(&line) {
            return Ok(());
        }
        if self.signatures.len() >= NOTE_SIGNATURES_MAX {
            return Err(BadNote::Signatures);
        }
        self.signatures.push(line);
        Ok(())
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.text)?;
        self.signatures.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}

/// Without its newline.
impl fmt::Display for SignatureLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = [self.id.as_slice(), &self.signature].concat();
        write!(f, "{DASH}{} {}", self.name, BASE64.encode(&bytes))
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = [[self.algorithm.byte()].as_slice(), &self.key.0].concat();
        let id = HEXLOWER.encode(&self.id());
        write!(f, "{}+{id}+{}", self.name, BASE64.encode(&key))
    }
}

impl FromStr for VerifierKey {
    type Err = BadVerifierKey;

    fn from_str(text: &str) -> Result<Self, BadVerifierKey> {
        let bad = BadVerifierKey::Malformed;
        // A key in base64 may have plus signs, a name and an id have none.
        let [name, id, key] =
            text.splitn(3, '+').collect::<Vec<_>>().try_into().map_err(|_| bad)?;
        let bytes = BASE64.decode(key.as_bytes()).map_err(|_| bad)?;
        let (algorithm, key) = bytes.split_first().ok_or(bad)?;
        let key = PartyId(key.try_into().map_err(|_| bad)?);
        let algorithm = match algorithm {
            1 => Algorithm::Ed25519,
            4 => Algorithm::Cosignature,
            other => return Err(BadVerifierKey::Algorithm(*other)),
        };
        let parsed = Self { name: name.parse().map_err(|_| bad)?, algorithm, key };
        match HEXLOWER.decode(id.as_bytes()) {
            Ok(id) if id == parsed.id() => Ok(parsed),
            Ok(id) if id.len() == 4 => Err(BadVerifierKey::Id),
            _ => Err(bad),
        }
    }
}

impl TryFrom<String> for VerifierKey {
    type Error = BadVerifierKey;

    fn try_from(text: String) -> Result<Self, BadVerifierKey> {
        text.parse()
    }
}

impl From<VerifierKey> for String {
    fn from(key: VerifierKey) -> Self {
        key.to_string()
    }
}

impl FromStr for KeyName {
    type Err = BadKeyName;

    fn from_str(text: &str) -> Result<Self, BadKeyName> {
        Self::try_from(text.to_owned())
    }
}

impl TryFrom<String> for KeyName {
    type Error = BadKeyName;

    fn try_from(text: String) -> Result<Self, BadKeyName> {
        let is_plain = |c: char| !c.is_whitespace() && !c.is_control() && c != '+';
        if (1..=KEY_NAME_BYTES_MAX).contains(&text.len()) && text.chars().all(is_plain) {
            Ok(Self(text))
        } else {
            Err(BadKeyName { text })
        }
    }
}

impl From<KeyName> for String {
    fn from(name: KeyName) -> Self {
        name.0
    }
}

impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use zeroize::Zeroizing;

    use super::*;

    // Known answers of golang.org/x/mod/sumdb/note.
    const PETER: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
    const ENOCH: &str = "EnochRoot+af0cfe78+ATtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop";
    const PETER_SECRET: &str = "AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz";
    const TEXT: &str = "If you think cryptography is the answer to your problem,\n\
                        then you don't know what your problem is.\n";
    const PETER_LINE: &str = "\u{2014} PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";
    const ENOCH_LINE: &str = "\u{2014} EnochRoot rwz+eBzmZa0SO3NbfRGzPCpDckykFXSdeX+MNtCOXm2/5n2tiOHp+vAF1aGrQ5ovTG01oOTGwnWLox33WWd1RvMc+QQ=\n";

    fn verifies(key: &str, note: &Note) -> bool {
        note.is_signed_by(&key.parse().expect("a key"))
    }

    #[test]
    fn a_note_is_signed_as_go_signs_it() {
        let seed = BASE64.decode(PETER_SECRET.as_bytes()).expect("base64")[1..].try_into();
        let identity = Identity::from_seed(&Zeroizing::new(seed.expect("32 bytes")));
        let name = "PeterNeumann".parse().expect("a name");
        let note = Note::sign(TEXT.to_owned(), name, &identity).expect("a text");
        assert_eq!(note.to_string(), format!("{TEXT}\n{PETER_LINE}"));
        assert_eq!(Note::parse(note.to_string().as_bytes()), Ok(note));
    }

    #[test]
    fn notes_that_go_has_signed_verify() {
        let bytes = format!("{TEXT}\n{PETER_LINE}{ENOCH_LINE}");
        let note = Note::parse(bytes.as_bytes()).expect("a note");
        assert_eq!((note.text(), note.signatures().len()), (TEXT, 2));
        assert!(verifies(PETER, &note) && verifies(ENOCH, &note));
        assert_eq!(note.to_string(), bytes);
        let note = Note::parse(format!("{TEXT}\n{ENOCH_LINE}").as_bytes()).expect("a note");
        assert!(!verifies(PETER, &note) && verifies(ENOCH, &note));
    }

    #[test]
    fn a_text_may_have_empty_lines_as_in_the_specification() {
        let text = "Ognuno sta solo sul cuor della terra\ntrafitto da un raggio di sole:\n\n\
                    ed \u{e8} subito sera.\n";
        let line = "\u{2014} quasimodo.example/salvatore NnugSzTjtVAewIS+Z/iJhUPeFDkO/5QQ2i5ddnGITLlC+EhfLW9oJKONrMouFSQU0xMcXxj99ihAQwaqP3ZekRwNtIc=\n";
        let note = Note::parse(format!("{text}\n{line}").as_bytes()).expect("a note");
        assert_eq!(note.text(), text);
        assert_eq!(note.to_string(), format!("{text}\n{line}"));
    }

    #[test]
    fn notes_that_go_refuses_are_refused() {
        let line = PETER_LINE;
        let bad = |note: &str| Note::parse(note.as_bytes()).expect_err("no note");
        assert_eq!(bad(TEXT), BadNote::Unsigned);
        assert_eq!(bad(&format!("{TEXT}\n")), BadNote::Unsigned);
        let cut = format!("{TEXT}\n{}", line.trim_end());
        assert_eq!(bad(&cut), BadNote::Text(BadNoteText));
        assert_eq!(bad(&format!("\u{1}{TEXT}\n{line}")), BadNote::Text(BadNoteText));
        let spaced = line.replace("PeterNeumann", "Bad Name");
        assert_eq!(bad(&format!("{TEXT}\n{spaced}")), BadNote::Line(1));
        assert_eq!(bad(&format!("{TEXT}\n{line}Unexpected line.\n")), BadNote::Line(2));
        assert_eq!(bad(&format!("{TEXT}\n{}", line.repeat(101))), BadNote::Signatures);
        let latin = [b"\xff", TEXT.as_bytes(), b"\n", line.as_bytes()].concat();
        assert_eq!(Note::parse(&latin), Err(BadNote::Encoding));
        let long = format!("{}\n{line}", "x\n".repeat(NOTE_BYTES_MAX / 2));
        assert_eq!(bad(&long), BadNote::Long { got: long.len() });
    }

    #[test]
    fn keys_that_are_mangled_in_any_way_are_refused() {
        for key in [PETER, ENOCH] {
            assert_eq!(key.parse::<VerifierKey>().expect("a key").to_string(), key);
            let parse = |bytes: &[u8]| std::str::from_utf8(bytes).ok()?.parse::<VerifierKey>().ok();
            for start in 0..key.len() {
                for end in start..=key.len() {
                    assert!(
                        end - start == key.len() || parse(&key.as_bytes()[start..end]).is_none()
                    );
                }
            }
            for place in 0..key.len() {
                let mut bytes = key.as_bytes().to_vec();
                bytes[place] += 1;
                assert_eq!(parse(&bytes), None, "byte {place}");
            }
        }
        let parse = |text: &str| text.parse::<VerifierKey>();
        let long = "PeterNeumann+cc469956+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TWBADKEY==";
        assert_eq!(parse(long), Err(BadVerifierKey::Malformed));
        let unknown = "PeterNeumann+173116ae+ZRpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
        assert_eq!(parse(unknown), Err(BadVerifierKey::Algorithm(0x65)));
    }

    #[test]
    fn names_of_keys_have_no_spaces_and_no_plus_signs() {
        for name in ["a", "fed/holder-1", "example.com/log", "\u{e8}"] {
            assert!(name.parse::<KeyName>().is_ok(), "{name}");
        }
        let long = "x".repeat(KEY_NAME_BYTES_MAX + 1);
        for name in ["", "a b", "a+b", "a\u{a0}b", "a\u{2003}b", "a\nb", "a\0", &long] {
            assert!(name.parse::<KeyName>().is_err(), "{name:?}");
        }
    }
}
