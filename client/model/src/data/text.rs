//! Running text as tokens: its bytes, or its characters by the plan's vocabulary.

use std::collections::HashMap;
use std::io::Read;
use std::path::Path;

use covey_aggregation::plan::{Data, Text, Tokens, UnknownCharacter};

use crate::limits::{EXAMPLES_MAX, HOLDOUT_STRETCH_WINDOWS};

use super::error::{DataError, DataErrorKind, Place};
use super::holdout::Keys;
use super::source::{ReadLimits, failed, open};
use super::{Dataset, Loaded};

/// Bytes read at a time.
const CHUNK_BYTES: usize = 64 * 1024;

/// Bytes of a token in memory (it is copied once) and of the place of a window with its key.
const TOKEN_BYTES: u64 = 8;
const WINDOW_BYTES: u64 = 16;

pub(super) fn read(path: &Path, data: &Data, limits: ReadLimits) -> Result<Loaded, DataError> {
    let Data::Text(text) = data else {
        let problem = "running text, the plan asks for something else";
        let help = "give a file of the plan's form; for a table use format = \"csv\"";
        return Err(DataError::new(DataErrorKind::Shape, path, Place::File, problem, help));
    };
    let mut tokens = Vec::new();
    let mut tokenizer = Tokenizer::new(path, text);
    for_each_chunk(path, |chunk| {
        let bytes = (tokens.len() + chunk.len()) as u64 * TOKEN_BYTES;
        if bytes > limits.dataset_bytes_max || tokens.try_reserve(chunk.len()).is_err() {
            return Err(too_large(path, limits));
        }
        tokenizer.push(chunk, &mut tokens)
    })?;
    tokenizer.finish()?;
    let (starts, keys) = windows(tokens.len(), text, path, limits)?;
    let (length, vocabulary) = (text.context as usize, text.vocabulary());
    let dataset = Dataset::text(tokens.into(), starts, length, vocabulary);
    let dataset = dataset.map_err(|error| {
        let help = "report this: a token passed the reader that should not have";
        DataError::new(DataErrorKind::Shape, path, Place::File, error.to_string(), help)
    })?;
    Ok(Loaded { dataset, keys })
}

/// Gives a file to `take`, chunk by chunk.
pub(super) fn for_each_chunk(
    path: &Path,
    mut take: impl FnMut(&[u8]) -> Result<(), DataError>,
) -> Result<(), DataError> {
    let mut reader = open(path)?;
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        match reader.read(&mut chunk).map_err(|error| failed(path, &error))? {
            0 => return Ok(()),
            read => take(&chunk[..read])?,
        }
    }
}

/// Where windows begin. With a holdout, the text falls into stretches that are kept or trained on
/// as a whole, and no window lies in two of them: else a window trained on would show what
/// another is measured by.
fn windows(
    tokens: usize,
    text: &Text,
    path: &Path,
    limits: ReadLimits,
) -> Result<(Vec<usize>, Keys), DataError> {
    let (context, stride) = (text.context as usize, text.stride as usize);
    let stretch = if text.rows.holdout > 0.0 {
        context.saturating_add(1).saturating_mul(HOLDOUT_STRETCH_WINDOWS)
    } else {
        tokens.max(1)
    };
    let most = (tokens / stride + 1) as u64;
    let bytes = most * WINDOW_BYTES + tokens as u64 * TOKEN_BYTES;
    if most > EXAMPLES_MAX as u64 || bytes > limits.dataset_bytes_max {
        return Err(too_large(path, limits));
    }
    let (mut starts, mut keys) = (Vec::new(), Vec::new());
    for (number, begin) in (0..tokens).step_by(stretch).enumerate() {
        let end = tokens.min(begin + stretch);
        let mut start = begin;
        while start + context < end {
            starts.push(start);
            keys.push(number as u64);
            start += stride;
        }
    }
    if starts.is_empty() {
        let problem = format!("{tokens} tokens, a window takes {}", context + 1);
        let help = "give a longer text, or a smaller context in the plan";
        return Err(DataError::new(DataErrorKind::Empty, path, Place::File, problem, help));
    }
    Ok((starts, Keys::Given(keys)))
}

fn too_large(path: &Path, limits: ReadLimits) -> DataError {
    let problem = format!("a text that takes more than {} bytes", limits.dataset_bytes_max);
    let help = "divide the file, or raise dataset_bytes_max; a data set is held in memory";
    DataError::new(DataErrorKind::TooLarge, path, Place::File, problem, help)
}

/// Turns a text into tokens as it arrives.
struct Tokenizer<'a> {
    path: &'a Path,
    characters: Option<(HashMap<char, i32>, UnknownCharacter)>,
    decoder: Decoder<'a>,
}

impl<'a> Tokenizer<'a> {
    fn new(path: &'a Path, text: &Text) -> Self {
        let characters = match &text.tokens {
            Tokens::Bytes => None,
            Tokens::Characters { vocabulary, unknown } => {
                Some((vocabulary.iter().copied().zip(0..).collect(), *unknown))
            }
        };
        Self { path, characters, decoder: Decoder::new(path) }
    }

    fn push(&mut self, chunk: &[u8], tokens: &mut Vec<i32>) -> Result<(), DataError> {
        let Some((places, unknown)) = &self.characters else {
            tokens.extend(chunk.iter().map(|byte| i32::from(*byte)));
            return Ok(());
        };
        let path = self.path;
        self.decoder.push(chunk, |character, line| {
            match (places.get(&character), unknown) {
                (Some(place), _) => tokens.push(*place),
                (None, UnknownCharacter::Skip) => {}
                (None, UnknownCharacter::Token) => tokens.push(places.len() as i32),
                (None, UnknownCharacter::Refuse) => {
                    let problem = format!("character {character:?} is not in the vocabulary");
                    let help = "correct the text, or ask for `unknown = \"skip\"` or \"token\" in \
                                the plan";
                    let place = Place::Line(line);
                    return Err(DataError::new(DataErrorKind::Value, path, place, problem, help));
                }
            }
            Ok(())
        })
    }

    fn finish(self) -> Result<(), DataError> {
        if self.characters.is_some() { self.decoder.finish() } else { Ok(()) }
    }
}

/// UTF-8 that arrives in pieces. A mark of the byte order at the beginning is passed over.
pub(super) struct Decoder<'a> {
    path: &'a Path,
    /// The beginning of a character whose end has not arrived.
    rest: Vec<u8>,
    line: u64,
    is_start: bool,
}

impl<'a> Decoder<'a> {
    pub(super) const fn new(path: &'a Path) -> Self {
        Self { path, rest: Vec::new(), line: 1, is_start: true }
    }

    /// Gives every character that is whole by now, with its line, to `take`.
    pub(super) fn push(
        &mut self,
        chunk: &[u8],
        mut take: impl FnMut(char, u64) -> Result<(), DataError>,
    ) -> Result<(), DataError> {
        let bytes = [&std::mem::take(&mut self.rest)[..], chunk].concat();
        let (whole, rest) = match std::str::from_utf8(&bytes) {
            Ok(text) => (text, &[][..]),
            Err(error) => {
                let (whole, rest) = bytes.split_at(error.valid_up_to());
                let whole = std::str::from_utf8(whole).unwrap_or_default();
                if error.error_len().is_some() {
                    self.line += whole.matches('\n').count() as u64;
                    return Err(self.not_utf8());
                }
                (whole, rest)
            }
        };
        for character in whole.chars() {
            if !(std::mem::take(&mut self.is_start) && character == '\u{feff}') {
                take(character, self.line)?;
            }
            self.line += u64::from(character == '\n');
        }
        self.rest = rest.to_vec();
        Ok(())
    }

    pub(super) fn finish(self) -> Result<(), DataError> {
        if self.rest.is_empty() { Ok(()) } else { Err(self.not_utf8()) }
    }

    fn not_utf8(&self) -> DataError {
        let place = Place::Line(self.line);
        let problem = "a byte that is not UTF-8";
        let help = "save the file as UTF-8, or use `tokens = \"bytes\"` in the plan";
        DataError::new(DataErrorKind::Unreadable, self.path, place, problem, help)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_cut_between_two_pieces_are_read_whole() {
        let text = "aé\n\u{1f600}z";
        for cut in 0..text.len() {
            let mut decoder = Decoder::new(Path::new("x"));
            let mut read = Vec::new();
            for piece in [&text.as_bytes()[..cut], &text.as_bytes()[cut..]] {
                let taken = decoder.push(piece, |character, line| {
                    read.push((character, line));
                    Ok(())
                });
                assert!(taken.is_ok(), "{cut}");
            }
            assert!(decoder.finish().is_ok());
            assert_eq!(read, [('a', 1), ('é', 1), ('\n', 1), ('\u{1f600}', 2), ('z', 2)]);
        }
    }
}
