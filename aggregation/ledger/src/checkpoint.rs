//! Checkpoints: what a log says of itself at one size
//! ([C2SP tlog-checkpoint](https://c2sp.org/tlog-checkpoint)).

use std::fmt;

use covey_aggregation::signing::Identity;

use crate::note::{BadNote, KeyName, Note};
use crate::tree::Hash;

/// A log's size and root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TreeHead {
    /// Entries.
    pub size: u64,
    /// Over all of them.
    pub root: Hash,
}

/// The text of a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Which log.
    pub origin: KeyName,
    /// Its size and root.
    pub head: TreeHead,
    /// Further lines, which say nothing here. This log writes none.
    pub extensions: Vec<String>,
}

/// The bytes are no checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadCheckpoint {
    /// No note at all.
    #[error("the checkpoint is no signed note: {0}")]
    Note(#[from] BadNote),
    /// Not an origin, a size and a root, one a line.
    #[error("the checkpoint's text is not an origin, a size and a root")]
    Text,
}

impl Checkpoint {
    /// Of a log, without further lines.
    #[must_use]
    pub const fn new(origin: KeyName, head: TreeHead) -> Self {
        Self { origin, head, extensions: Vec::new() }
    }

    /// Signs it with the log's key, under the log's name.
    ///
    /// # Errors
    /// [`BadCheckpoint::Note`] when an extension line has control characters.
    pub fn sign(&self, identity: &Identity) -> Result<Note, BadCheckpoint> {
        let signed = Note::sign(self.to_string(), self.origin.clone(), identity);
        Ok(signed.map_err(BadNote::from)?)
    }

    /// Parses a note and its text. No signature is checked.
    ///
    /// # Errors
    /// [`BadCheckpoint`] when the bytes are no note, or no checkpoint is in it.
    pub fn parse(bytes: &[u8]) -> Result<(Self, Note), BadCheckpoint> {
        let note = Note::parse(bytes)?;
        Ok((Self::of_text(note.text())?, note))
    }

    /// Parses a note's text.
    ///
    /// # Errors
    /// [`BadCheckpoint::Text`] when it is no checkpoint's.
    pub fn of_text(text: &str) -> Result<Self, BadCheckpoint> {
        let bad = BadCheckpoint::Text;
        let mut lines = text.strip_suffix('\n').ok_or(bad)?.split('\n');
        let mut next = || lines.next().ok_or(bad);
        let origin = next()?.parse().map_err(|_| bad)?;
        let size = decimal(next()?).ok_or(bad)?;
        let root = next()?.parse().map_err(|_| bad)?;
        let extensions: Vec<_> = lines.map(str::to_owned).collect();
        if extensions.iter().any(String::is_empty) {
            return Err(bad);
        }
        Ok(Self { origin, head: TreeHead { size, root }, extensions })
    }
}

/// What a note has as its text.
impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n{}\n{}", self.origin, self.head.size, self.head.root)?;
        self.extensions.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}

/// A number as it is written in one way only: no sign, no leading zeroes.
pub(crate) fn decimal(text: &str) -> Option<u64> {
    let number = text.parse::<u64>().ok()?;
    (number.to_string() == text).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: &str = "example.com/behind-the-sofa\n20852163\n\
                           CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n";
    const LINE: &str = "\u{2014} example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n";

    #[test]
    fn the_example_of_the_specification_is_read_and_written() {
        let bytes = format!("{EXAMPLE}\n{LINE}");
        let (checkpoint, note) = Checkpoint::parse(bytes.as_bytes()).expect("a checkpoint");
        assert_eq!(checkpoint.origin.as_str(), "example.com/behind-the-sofa");
        assert_eq!(checkpoint.head.size, 20_852_163);
        assert_eq!((checkpoint.to_string().as_str(), note.to_string()), (EXAMPLE, bytes));
    }

    #[test]
    fn extension_lines_are_kept_and_empty_ones_refused() {
        let text = format!("{EXAMPLE}an extension\nanother\n");
        let checkpoint = Checkpoint::of_text(&text).expect("a checkpoint");
        assert_eq!(checkpoint.extensions, ["an extension", "another"]);
        assert_eq!(checkpoint.to_string(), text);
        let empty = format!("{EXAMPLE}\nanother\n");
        assert_eq!(Checkpoint::of_text(&empty), Err(BadCheckpoint::Text));
    }

    #[test]
    fn other_texts_are_refused() {
        let root = "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=";
        let texts = [
            String::new(),
            "log\n".to_owned(),
            "log\n1\n".to_owned(),
            format!("log\n1\n{root}"),
            format!("\n1\n{root}\n"),
            format!("a log\n1\n{root}\n"),
            format!("log\n01\n{root}\n"),
            format!("log\n+1\n{root}\n"),
            format!("log\n-1\n{root}\n"),
            format!("log\n18446744073709551616\n{root}\n"),
            format!("log\n1\n{}\n", &root[1..]),
            format!("cosignature/v1\ntime 1\nlog\n1\n{root}\n"),
        ];
        for text in texts {
            assert_eq!(Checkpoint::of_text(&text), Err(BadCheckpoint::Text), "{text:?}");
        }
    }
}
