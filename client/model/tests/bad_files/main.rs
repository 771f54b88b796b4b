//! Files that are refused: each with its own kind, its place, what is wrong and what to do. And
//! whatever a file holds, no reader panics or takes memory for what it only claims.

#[path = "../files/mod.rs"]
mod files;

mod arrays;
mod damage;
mod parquets;
mod pictures;
mod tables;
mod texts;

use std::path::Path;

use covey_model::data::{
    DataError, DataErrorKind as Kind, DataSource, Dataset, Format, Header, Preview,
};
use files::{
    Folder, LIMITS, PATIENTS, PATIENTS_SCHEMA, column, data, f32s, gzip, i64s, idx, load, npy,
    npy_of_header, parquet, patients_parquet, png, safetensors,
};
use parquet::basic::{Compression, ZstdLevel};
use parquet::data_type::{
    BoolType, ByteArray, ByteArrayType, DoubleType, FixedLenByteArray, FixedLenByteArrayType,
    Int32Type, Int64Type,
};
use proptest::prelude::*;

const TABLE: &str = r#"kind = "tabular"
columns = [
  { name = "age", type = "float", min = 0, max = 100 },
  { name = "sex", type = "category", values = ["f", "m"] },
  { name = "visits", type = "integer", min = 0, max = 9 },
  { name = "smoker", type = "boolean" },
]
target = { column = "ill", classes = ["no", "yes"] }"#;

const REGRESSION: &str = r#"kind = "tabular"
columns = [{ name = "x", type = "float", min = 0, max = 1, outside = "clamp" }]
target = { column = "y", type = "float", min = 0, max = 10 }"#;

const GREY: &str = "kind = \"image\"\nheight = 2\nwidth = 2\nclasses = [\"cat\", \"dog\"]";

const LETTERS: &str = "kind = \"text\"\ntokens = \"characters\"\nvocabulary = \"ab\\n\"\n\
                       unknown = \"refuse\"\ncontext = 3";

/// One bad file and its error: the section, the kind, and what the message holds.
struct Case {
    what: &'static str,
    error: DataError,
    kind: Kind,
    parts: Vec<&'static str>,
}

#[derive(Default)]
struct Cases(Vec<Case>);

impl Cases {
    /// Notes how reading `source` fails.
    #[track_caller]
    fn add(
        &mut self,
        what: &'static str,
        section: &str,
        source: &DataSource,
        kind: Kind,
        parts: &[&'static str],
    ) {
        let error = load(source, section).expect_err(what);
        self.0.push(Case { what, error, kind, parts: parts.to_vec() });
    }

    /// Every error has its kind and parts, a remedy, and a text of its own.
    fn check(self, fewest: usize) {
        assert!(self.0.len() >= fewest, "{} cases", self.0.len());
        let mut texts = std::collections::BTreeMap::new();
        for Case { what, error, kind, parts } in self.0 {
            assert_eq!(error.kind, kind, "{what}: {error}");
            let text = error.to_string();
            for part in parts {
                assert!(text.contains(part), "{what}: {text}\nexpected {part:?}");
            }
            let file = error.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            assert!(!error.help.is_empty() && text.contains(&file), "{what}: {text}");
            if let Some(other) = texts.insert((error.problem, error.place.to_string(), file), what)
            {
                panic!("{what} and {other} have one message");
            }
        }
    }
}
