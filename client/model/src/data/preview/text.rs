//! Running text without a plan.

use std::collections::BTreeSet;
use std::path::Path;

use covey_aggregation::limits::VOCABULARY_MAX;

use super::super::error::{DataError, DataErrorKind, Place};
use super::super::source::Format;
use super::super::text::{Decoder, for_each_chunk};
use super::{Preview, toml_text};

pub(super) fn of(path: &Path) -> Result<Preview, DataError> {
    let mut characters = BTreeSet::new();
    let (mut count, mut lines) = (0u64, 0u64);
    let mut decoder = Decoder::new(path);
    let mut take = |character, _| {
        count += 1;
        lines += u64::from(character == '\n');
        if characters.len() <= VOCABULARY_MAX {
            characters.insert(character);
        }
        Ok(())
    };
    for_each_chunk(path, |chunk| decoder.push(chunk, &mut take))?;
    decoder.finish()?;
    if count == 0 {
        let help = "give a file with text in it";
        return Err(DataError::new(DataErrorKind::Empty, path, Place::File, "no text", help));
    }
    let notes = vec![
        format!("{lines} lines of {} different characters", characters.len()),
        "the vocabulary lists every character of this file; remove what others need not know of"
            .to_owned(),
    ];
    let tokens = if (2..=VOCABULARY_MAX).contains(&characters.len()) {
        let vocabulary: String = characters.into_iter().collect();
        let vocabulary = toml_text(&vocabulary);
        format!("tokens = \"characters\"\nvocabulary = {vocabulary}\nunknown = \"token\"\n")
    } else {
        "tokens = \"bytes\"\n".to_owned()
    };
    let section = format!("[data]\nkind = \"text\"\n{tokens}context = 64\n");
    let (columns, first_rows) = (Vec::new(), Vec::new());
    let format = Format::Text.as_str();
    Ok(Preview { format, examples: count, is_whole: true, columns, first_rows, notes, section })
}
