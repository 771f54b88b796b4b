//! Receipts: an entry, and the proof that it is in the log, to be kept and checked offline
//! ([C2SP tlog-proof](https://c2sp.org/tlog-proof)).

use std::fmt;
use std::str::FromStr;

use data_encoding::BASE64;

use crate::checkpoint::decimal;
use crate::note::NOTE_BYTES_MAX;
use crate::proof::{BadProof, PROOF_HASHES_MAX, check_inclusion};
use crate::quorum::{Cosigned, NotFinal, Quorum};
use crate::tile::ENTRY_BYTES_MAX;
use crate::tree::{Hash, leaf_hash};

/// The first line.
const HEADER: &str = "c2sp.org/tlog-proof@v1";
/// Bytes of a receipt at most: an entry in base64, a proof, a checkpoint, and the words between.
pub const RECEIPT_BYTES_MAX: usize =
    ENTRY_BYTES_MAX.div_ceil(3) * 4 + PROOF_HASHES_MAX * 45 + NOTE_BYTES_MAX + 128;

/// The proof that something is in a log. As text, a file of the specification.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InclusionProof {
    /// Which entry.
    pub index: u64,
    /// Beside its way to the root, lowest first.
    pub hashes: Vec<Hash>,
    /// The checkpoint whose tree it is in, with its signatures.
    pub checkpoint: Vec<u8>,
}

/// An entry and its proof. As text, a file of the specification with the entry as its `extra` line, so
/// that one file is all that there is to keep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The bytes of the entry.
    pub entry: Vec<u8>,
    /// That it is in the log.
    pub proof: InclusionProof,
}

/// What a receipt shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Included {
    /// Which entry of the log it is.
    pub index: u64,
    /// The checkpoint and who vouches for it.
    pub cosigned: Cosigned,
}

/// A receipt shows nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadReceipt {
    /// Not a file of the specification.
    #[error("line {line} is not that of a proof (c2sp.org/tlog-proof@v1)")]
    Form {
        /// From 1.
        line: usize,
    },
    /// A proof without its entry.
    #[error("the file has no entry in it (a line \"extra\")")]
    NoEntry,
    /// Too long.
    #[error("the file has {got} bytes, {RECEIPT_BYTES_MAX} are allowed")]
    Long {
        /// So many.
        got: usize,
    },
    /// The checkpoint is not final, or of another log.
    #[error(transparent)]
    Checkpoint(#[from] NotFinal),
    /// The entry is not where the proof says.
    #[error("the entry is not in the log: {0}")]
    Proof(#[from] BadProof),
}

impl InclusionProof {
    /// Checks that `entry` is in the log of `quorum`, by a final checkpoint.
    ///
    /// # Errors
    /// [`BadReceipt::Checkpoint`] or [`BadReceipt::Proof`].
    pub fn check(&self, entry: &[u8], quorum: &Quorum) -> Result<Included, BadReceipt> {
        let cosigned = quorum.check(&self.checkpoint)?;
        let (index, head) = (self.index, cosigned.checkpoint.head);
        check_inclusion(&self.hashes, index, leaf_hash(entry), head.size, &head.root)?;
        Ok(Included { index, cosigned })
    }

    fn write(&self, f: &mut fmt::Formatter<'_>, extra: Option<&[u8]>) -> fmt::Result {
        writeln!(f, "{HEADER}")?;
        if let Some(extra) = extra {
            writeln!(f, "extra {}", BASE64.encode(extra))?;
        }
        writeln!(f, "index {}", self.index)?;
        self.hashes.iter().try_for_each(|hash| writeln!(f, "{hash}"))?;
        write!(f, "\n{}", String::from_utf8_lossy(&self.checkpoint))
    }
}

impl Receipt {
    /// Checks that the entry is in the log of `quorum`, by a final checkpoint.
    ///
    /// # Errors
    /// [`BadReceipt::Checkpoint`] or [`BadReceipt::Proof`].
    pub fn check(&self, quorum: &Quorum) -> Result<Included, BadReceipt> {
        self.proof.check(&self.entry, quorum)
    }
}

impl fmt::Display for InclusionProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, None)
    }
}

impl fmt::Display for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.proof.write(f, Some(&self.entry))
    }
}

impl FromStr for InclusionProof {
    type Err = BadReceipt;

    fn from_str(text: &str) -> Result<Self, BadReceipt> {
        Ok(parse(text)?.0)
    }
}

impl FromStr for Receipt {
    type Err = BadReceipt;

    fn from_str(text: &str) -> Result<Self, BadReceipt> {
        let (proof, extra) = parse(text)?;
        Ok(Self { entry: extra.ok_or(BadReceipt::NoEntry)?, proof })
    }
}

/// The proof, and the extra data beside it.
fn parse(text: &str) -> Result<(InclusionProof, Option<Vec<u8>>), BadReceipt> {
    if text.len() > RECEIPT_BYTES_MAX {
        return Err(BadReceipt::Long { got: text.len() });
    }
    // The checkpoint follows the first empty line.
    let (header, checkpoint) = text.split_once("\n\n").ok_or(BadReceipt::Form { line: 1 })?;
    let mut lines = header.split('\n').zip(1..).peekable();
    let bad = |line: usize| BadReceipt::Form { line };
    if lines.next().is_none_or(|(first, _)| first != HEADER) {
        return Err(bad(1));
    }
    let extra = lines.next_if(|(line, _)| line.starts_with("extra "));
    let extra = extra.map(|(line, number)| {
        let text = line.strip_prefix("extra ").unwrap_or_default();
        BASE64.decode(text.as_bytes()).map_err(|_| bad(number))
    });
    let extra = extra.transpose()?;
    let (line, number) = lines.next().ok_or_else(|| bad(2))?;
    let index = line.strip_prefix("index ").and_then(decimal).ok_or_else(|| bad(number))?;
    let mut hashes = Vec::new();
    for (line, number) in lines {
        if hashes.len() == PROOF_HASHES_MAX {
            return Err(bad(number));
        }
        hashes.push(line.parse().map_err(|_| bad(number))?);
    }
    let checkpoint = checkpoint.as_bytes().to_vec();
    Ok((InclusionProof { index, hashes, checkpoint }, extra))
}
