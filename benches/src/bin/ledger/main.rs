//! How many entries the ledger takes in a second, durably and cosigned, and how long a proof of inclusion
//! takes in a log of a million entries. `cargo run --release -p covey-benches --bin ledger`.
//!
//! Appending is all that a coordinator does, against a local folder (`--folder`, else a temporary one):
//! every file is flushed, renamed into place, and its folder flushed; four witnesses check each
//! checkpoint's proof, make their head durable and cosign. Beside it stands the physical limit: one durable
//! file with the same entries, once a batch. A proof reads its tiles from files; beside it stands reading
//! those files, and no more. Times are by the wall clock, as a disk has no other.
//!
//! `--json`: one object per figure.

mod folder;
mod writer;

use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::Parser;
use covey_benches::{Conditions, Figure, Report};
use covey_ledger::bundle::audit;
use covey_ledger::proof::{check_inclusion, inclusion, inclusion_nodes};
use covey_ledger::tile::{Tiles, tiles_of};
use covey_ledger::tree::{leaf_hash, node_hash};
use serde::Serialize;

use folder::Folder;
use writer::{Writer, entry};

/// Entries of a batch: a round of a dozen owners, one of a hundred, and one of a thousand, with a few
/// entries for each.
const BATCHES: [usize; 3] = [50, 412, 4_096];

/// Asked of the ledger.
const ENTRIES_ASKED: f64 = 1_000.0;

/// How many entries the ledger takes in a second, and how long a proof takes.
#[derive(Parser)]
struct Args {
    /// Where the log is written; a temporary folder if not given.
    #[arg(long)]
    folder: Option<PathBuf>,
    /// Entries of the log that proofs are made in.
    #[arg(long, default_value_t = 1_000_000)]
    entries: u64,
    /// Seconds of appending, for each size of batch.
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// One JSON object for each figure.
    #[arg(long)]
    json: bool,
}

/// Under which terms a figure was taken.
#[derive(Clone, Serialize)]
struct Terms {
    #[serde(skip)]
    text: String,
    entries: u64,
    batch: usize,
}

impl Conditions for Terms {
    fn text(&self) -> &str {
        &self.text
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args = Args::parse();
    let report = Report::new(args.json);
    let temporary = tempfile::tempdir()?;
    let folder = args.folder.as_deref().unwrap_or_else(|| temporary.path());
    report.note(&format!(
        "in {}; asked: {ENTRIES_ASKED} entries/s, a proof in 1 ms",
        folder.display()
    ));
    hashing(&report);
    for batch in BATCHES {
        appending(&report, &folder.join(format!("batch-{batch}")), batch, args.seconds)?;
    }
    proving(&report, &folder.join("proofs"), args.entries)?;
    Ok(())
}

/// The rate of SHA-256 by which everything else can be judged.
fn hashing(report: &Report) {
    let terms = Terms { text: "SHA-256 of two hashes".to_owned(), entries: 0, batch: 0 };
    let (began, rounds) = (Instant::now(), 1_000_000u32);
    let first = leaf_hash(b"");
    let last = (0..rounds).fold(first, |hash, _| node_hash(&first, &hash));
    black_box(last);
    let rate = f64::from(rounds) / began.elapsed().as_secs_f64();
    report.figure(&Figure::new("sha256.node", &terms, rate / 1e6, "million/s"));
}

fn appending(
    report: &Report,
    folder: &Path,
    batch: usize,
    seconds: u64,
) -> Result<(), Box<dyn std::error::Error>> {
    let plain = Folder::create(&folder.join("plain"))?;
    let mut writer = Writer::create(Folder::create(&folder.join("log"))?, true)?;
    // In turn, so that a disk that slows down slows both.
    let (mut ours, mut theirs, mut batches) = (0.0, 0.0, 0u32);
    let began = Instant::now();
    while began.elapsed().as_secs() < seconds || batches < 3 {
        let first = writer.size();
        let entries: Vec<_> = (first..first + batch as u64).map(entry).collect();
        let start = Instant::now();
        plain.write_durably(&format!("batch-{batches}"), &entries.concat())?;
        theirs += start.elapsed().as_secs_f64();
        let start = Instant::now();
        writer.append(&entries)?;
        ours += start.elapsed().as_secs_f64();
        batches += 1;
    }
    let entries = u64::from(batches) * batch as u64;
    let text = format!("batches of {batch}, four witnesses");
    let terms = Terms { text, entries, batch };
    let rate = |seconds: f64| entries as f64 / seconds;
    let figure = Figure::new("log.append", &terms, rate(ours), "entries/s");
    report.figure(&figure.beside("one durable file a batch", rate(theirs)));
    let figure = Figure::new("log.batch", &terms, ours * 1e3 / f64::from(batches), "ms");
    report.figure(&figure.beside("one durable file", theirs * 1e3 / f64::from(batches)));
    Ok(())
}

fn proving(report: &Report, folder: &Path, size: u64) -> Result<(), Box<dyn std::error::Error>> {
    let mut writer = Writer::create(Folder::create(folder)?, false)?;
    while writer.size() < size {
        let first = writer.size();
        let entries: Vec<_> = (first..size.min(first + 32_768)).map(entry).collect();
        writer.append(&entries)?;
    }
    let head = writer.head().ok_or("an empty log has no proofs")?;
    let files = writer.folder();
    let read = |path: &str| files.read(path);
    let (mut ours, mut plain) = (Vec::new(), Vec::new());
    for number in 0..1_000u64 {
        // All over the log.
        let index = number.wrapping_mul(0x9E37_79B9_7F4A_7C15) % size;
        let start = Instant::now();
        let proof = inclusion(&Tiles::new(size, read), index, size)?;
        ours.push(start.elapsed());
        check_inclusion(&proof, index, leaf_hash(&entry(index)), size, &head.root)?;
        let start = Instant::now();
        for tile in tiles_of(&inclusion_nodes(index, size), size) {
            black_box(read(&tile.to_string()));
        }
        plain.push(start.elapsed());
    }
    ours.sort_unstable();
    plain.sort_unstable();
    let terms = Terms { text: format!("in {size} entries"), entries: size, batch: 0 };
    let ms = |times: &[std::time::Duration], place: usize| times[place].as_secs_f64() * 1e3;
    for (name, place) in [("proof.median", 500), ("proof.p99", 990)] {
        let figure = Figure::new(name, &terms, ms(&ours, place), "ms");
        report.figure(&figure.beside("reading its tiles", ms(&plain, place)));
    }
    let start = Instant::now();
    let mut bytes = 0;
    audit(read, writer.quorum(), |_, entry| bytes += entry.len())?;
    let rate = size as f64 / start.elapsed().as_secs_f64();
    report.figure(&Figure::new("log.audit", &terms, rate, "entries/s"));
    Ok(())
}
