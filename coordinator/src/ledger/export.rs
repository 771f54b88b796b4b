//! `ledger export`: a copy of the ledger that everybody can check offline, made from what is published, also
//! while the coordinator serves. The checkpoint is read first and written last: what a copy's checkpoint
//! says is in the copy.

use std::collections::BTreeSet;
use std::path::Path;

use covey_aggregation::net::files;
use covey_aggregation::program::rosters::{ROSTERS_FOLDER, roster_file};
use covey_aggregation::program::{Exit, Failure};
use covey_ledger::book::Book;
use covey_ledger::bundle::{self, CHECKPOINT_PATH};
use covey_ledger::checkpoint::Checkpoint;
use covey_ledger::document::Document;
use covey_ledger::tile::{Kind, Tile, decode_entries};
use serde_json::{Value, json};

use super::files::{LEDGER_FOLDER, LedgerFiles, document_path};
use crate::cli::LedgerExport;
use crate::config::Config;
use crate::setup::Answer;
use crate::storage::blobs::Depot;

/// A copy, as far as it is made.
struct Export<'a> {
    to: &'a Path,
    files: u64,
    bytes: u64,
    kept: u64,
    /// Documents that entries name and that are not at hand.
    missing: u64,
}

/// Copies the published ledger into a folder.
///
/// # Errors
/// [`Failure`]: the settings, nothing is published, or a file or object.
pub fn export(options: &LedgerExport, config: &Config) -> Result<Answer, Failure> {
    let depot = Depot::new(&config.state_dir, config.objects.as_ref())?;
    let (ledger, blobs) = (LedgerFiles::new(depot.clone()), depot.read());
    let checkpoint = ledger.read(CHECKPOINT_PATH)?.ok_or_else(not_published)?;
    let (parsed, _) = Checkpoint::parse(&checkpoint).map_err(damaged)?;
    let size = parsed.head.size;
    let mut copy = Export { to: &options.to, files: 0, bytes: 0, kept: 0, missing: 0 };
    for path in bundle::paths(size).filter(|path| path != CHECKPOINT_PATH) {
        let missing = || damaged(format!("{path} is missing"));
        let bytes = ledger.read(&path)?.ok_or_else(missing)?;
        copy.put(&format!("{LEDGER_FOLDER}/{path}"), &bytes)?;
    }
    let entries = entries(&ledger, size)?;
    let book = Book::read(entries.iter().map(Vec::as_slice), &ledger).map_err(damaged)?;
    let publications: BTreeSet<_> = publications(&book).collect();
    for document in entries.iter().flat_map(|entry| documents(entry)) {
        if publications.contains(&document) && !options.publications {
            continue;
        }
        match ledger.document_of(&book, &document) {
            Some(bytes) => {
                copy.put(&format!("{LEDGER_FOLDER}/{}", document_path(&document.sha256)), &bytes)?;
            }
            None => copy.missing += 1,
        }
    }
    for (digest, _) in book.rosters() {
        let name = format!("{ROSTERS_FOLDER}/{}", roster_file(digest));
        if let Some(bytes) = blobs.published_file(&name)? {
            copy.put(&name, &bytes)?;
        }
    }
    let path = options.to.join(LEDGER_FOLDER).join(CHECKPOINT_PATH);
    files::write_durably(&path, &checkpoint).map_err(|error| Failure::file(&error))?;
    Ok(copy.answer(size))
}

fn not_published() -> Failure {
    Failure::new(Exit::Failed, "NOT_PUBLISHED", "no ledger is published yet")
        .with_help("it is once a quorum of the key holders has cosigned it")
}

fn damaged(why: impl std::fmt::Display) -> Failure {
    Failure::new(Exit::Failed, "DAMAGED", format!("the published ledger: {why}"))
}

/// All entries, from the bundles.
fn entries(ledger: &LedgerFiles, size: u64) -> Result<Vec<Vec<u8>>, Failure> {
    let mut entries = Vec::new();
    for tile in (0..).map_while(|index| Tile::at(Kind::Entries, index, size)) {
        let path = tile.to_string();
        let bytes = ledger.read(&path)?.ok_or_else(|| damaged(format!("{path} is missing")))?;
        let read = decode_entries(&tile, &bytes).map_err(damaged)?;
        entries.extend(read.into_iter().map(<[u8]>::to_vec));
    }
    Ok(entries)
}

/// The publications of rounds.
fn publications(book: &Book) -> impl Iterator<Item = Document> {
    let rounds = book.runs().iter().flat_map(|run| run.rounds.values());
    rounds.filter_map(|round| round.closed.published.as_ref()).map(|one| one.document)
}

/// The documents that an entry names, wherever in it: values with a digest and a length. Evidence that a
/// member names is one of them, which the coordinator never had.
fn documents(entry: &[u8]) -> Vec<Document> {
    fn find(value: &Value, found: &mut Vec<Document>) {
        match value {
            Value::Object(fields) => match serde_json::from_value(value.clone()) {
                Ok(document) => found.push(document),
                Err(_) => fields.values().for_each(|value| find(value, found)),
            },
            Value::Array(values) => values.iter().for_each(|value| find(value, found)),
            _ => {}
        }
    }
    let mut found = Vec::new();
    find(&serde_json::from_slice(entry).unwrap_or_default(), &mut found);
    found
}

impl Export<'_> {
    /// Writes a file that never changes; one of the same length is left alone.
    fn put(&mut self, name: &str, bytes: &[u8]) -> Result<(), Failure> {
        let path = self.to.join(name);
        if std::fs::metadata(&path).is_ok_and(|meta| meta.len() == bytes.len() as u64) {
            self.kept += 1;
            return Ok(());
        }
        let write = || {
            if let Some(folder) = path.parent() {
                files::create_private_folder(folder)?;
            }
            files::write_durably(&path, bytes)
        };
        write().map_err(|error| Failure::file(&error))?;
        self.files += 1;
        self.bytes += bytes.len() as u64;
        Ok(())
    }

    fn answer(&self, size: u64) -> Answer {
        let Self { to, files, bytes, kept, missing } = self;
        let text = format!(
            "{size} entries exported to {}: {files} new file(s) with {bytes} bytes, {kept} were there \
             already; {missing} document(s) that members name are not the coordinator's\n\
             next:  covey-committee ledger verify {} --roster ROSTER",
            to.display(),
            to.display()
        );
        let data = json!({
            "folder": to, "entries": size, "files": files, "bytes": bytes, "kept": kept,
            "documents_missing": missing,
        });
        Answer { text, data }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_found_wherever_an_entry_names_them() {
        let one = Document::of(b"one");
        let entry = json!({
            "a": [{ "held": { "document": one } }],
            "b": { "sha256": "xx", "bytes": 1 },
            "c": { "sha256": one.sha256.to_string(), "bytes": 3, "more": 1 },
        });
        assert_eq!(documents(entry.to_string().as_bytes()), [one]);
        assert!(documents(b"no JSON").is_empty());
    }
}
