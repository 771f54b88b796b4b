//! What a run published, fetched into a folder laid out as the coordinator's, so that everything
//! that checks such a folder checks this one.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use covey_aggregation::hash::Digest;
use covey_aggregation::limits::PUBLICATION_BYTES_MAX;
use covey_aggregation::party::Name;
use covey_aggregation::program::answer::note;
use covey_aggregation::program::published::{
    CHUNKS_FILE, CONTRIBUTIONS_FOLDER, CORRECTION_FILE, PUBLICATION_FILE,
};
use covey_aggregation::program::{Exit, Failure};
use covey_aggregation::publication::Publication;
use covey_aggregation::research::{FromResearcher, Part, ToResearcher};
use covey_aggregation::sum::contribution::correction_bytes;
use tempfile::TempDir;

use super::talk::{Talk, out_of_turn};
use super::{Config, show};

/// A run's plan and its published rounds. Gone when dropped.
pub(super) struct Fetched {
    folder: TempDir,
}

impl Fetched {
    /// The folder of the rounds.
    pub(super) fn published(&self) -> PathBuf {
        self.folder.path().join("published")
    }

    /// The plan.
    pub(super) fn plan(&self) -> PathBuf {
        self.folder.path().join("plan.toml")
    }
}

/// Fetches the plan and the rounds up to `upto` and the one after it, which confirms it.
///
/// # Errors
/// [`Failure`]: there is no link, no such run, or what came is not what was published.
pub(super) async fn fetch(
    config: &Config,
    run: &Name,
    upto: Option<u32>,
    with_ciphertexts: bool,
) -> Result<Fetched, Failure> {
    let mut talk = Talk::open(config).await?;
    let shown = show(&mut talk, run).await?;
    // By its digest from here on.
    let run: Name =
        shown.run.run.parse().map_err(|error| Failure::new(Exit::Failed, "BUG", error))?;
    let folder = tempfile::tempdir().map_err(|error| failed(Path::new("a folder"), &error))?;
    let fetched = Fetched { folder };
    let ToResearcher::Plan(plan) = talk.ask(&FromResearcher::Plan { run: run.clone() }).await?
    else {
        return Err(out_of_turn());
    };
    let path = fetched.plan();
    fs::write(&path, plan.as_bytes()).map_err(|error| failed(&path, &error))?;
    let done = shown.rounds.iter().filter(|round| round.done).map(|round| round.round);
    let rounds: Vec<u32> = match upto {
        None => done.collect(),
        Some(upto) => {
            let (mut within, after): (Vec<_>, Vec<_>) = done.partition(|round| *round <= upto);
            within.extend(after.first());
            within
        }
    };
    if rounds.is_empty() {
        let message = format!("run {} has published no round yet", shown.run.name);
        return Err(Failure::new(Exit::BadInput, "NO_ROUND", message)
            .with_help("wait for one: covey-client run watch"));
    }
    let published = fetched.published();
    for round in rounds {
        let mut round =
            Round { talk: &mut talk, run: &run, round, folder: published.join(name_of(round)) };
        let bytes = round.fetch(with_ciphertexts).await?;
        note(format!("fetched round {}: {bytes} bytes", round.round));
    }
    Ok(fetched)
}

fn name_of(round: u32) -> String {
    format!("round-{round:04}")
}

fn failed(path: &Path, error: &io::Error) -> Failure {
    let message = format!("cannot write {}: {error}", path.display());
    Failure::new(Exit::Failed, "FILE", message)
}

fn unverified(message: String) -> Failure {
    Failure::new(Exit::Unverified, "NOT_VERIFIED", message)
}

/// One round on its way.
struct Round<'a> {
    talk: &'a mut Talk,
    run: &'a Name,
    round: u32,
    folder: PathBuf,
}

impl Round<'_> {
    /// Fetches the round; returns its bytes.
    async fn fetch(&mut self, with_ciphertexts: bool) -> Result<u64, Failure> {
        create(&self.folder)?;
        let path = self.folder.join(PUBLICATION_FILE);
        let mut sum = self.part(Part::Publication, None, &path).await?;
        let bytes = fs::read(&path).map_err(|error| failed(&path, &error))?;
        let publication = Publication::decode(&bytes).map_err(|error| {
            unverified(format!("the publication of round {}: {error}", self.round))
        })?;
        if !with_ciphertexts {
            return Ok(sum);
        }
        let config = &publication.result.config;
        // Lengths follow from terms that hold together only.
        config
            .validate_layout()
            .map_err(|error| unverified(format!("the terms of round {}: {error}", self.round)))?;
        let lengths = (correction_bytes(config) as u64, config.payload_bytes());
        let headers: Vec<Digest> =
            publication.result.headers.iter().map(|signed| signed.header.digest()).collect();
        for header in headers {
            let folder = self.folder.join(CONTRIBUTIONS_FOLDER).join(header.to_string());
            create(&folder)?;
            let (correction, chunks) = (Part::Correction(header), Part::Chunks(header));
            sum += self.part(correction, Some(lengths.0), &folder.join(CORRECTION_FILE)).await?;
            sum += self.part(chunks, Some(lengths.1), &folder.join(CHUNKS_FILE)).await?;
        }
        Ok(sum)
    }

    /// Fetches a part, piece by piece, to a file; `length` if it is known what it must be.
    async fn part(&mut self, part: Part, length: Option<u64>, path: &Path) -> Result<u64, Failure> {
        let mut file = File::create(path).map_err(|error| failed(path, &error))?;
        let mut offset = 0;
        loop {
            let (run, round) = (self.run.clone(), self.round);
            let request = FromResearcher::Fetch { run, round, part, offset };
            let ToResearcher::Piece { total, bytes } = self.talk.ask(&request).await? else {
                return Err(out_of_turn());
            };
            let is_wrong = match length {
                Some(length) => total != length,
                None => total > PUBLICATION_BYTES_MAX as u64,
            };
            let bytes = bytes.as_bytes();
            let after = offset + bytes.len() as u64;
            if is_wrong || after > total || (bytes.is_empty() && after < total) {
                return Err(unverified(format!(
                    "round {}: a part of {total} bytes is not one that its terms allow",
                    self.round
                )));
            }
            file.write_all(bytes).map_err(|error| failed(path, &error))?;
            offset = after;
            if offset == total {
                return Ok(total);
            }
        }
    }
}

fn create(folder: &Path) -> Result<(), Failure> {
    fs::create_dir_all(folder).map_err(|error| failed(folder, &error))
}
