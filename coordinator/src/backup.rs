//! `backup`: everything that a coordinator would need to go on elsewhere, taken while it serves.
//!
//! ```text
//! stores/{members,runs,journal,<run>}.jsonl   what the database holds, readable without one
//! bulk/...                                    bulk bytes by their keys, also those of a bucket
//! bulk/runs/<run>/...                         and of each run that was submitted
//! state/...                                   what else the state folder has
//! federation.sealed                           the federation's folder with its keys, encrypted
//! manifest.json                               every file's digest; manifest.tag: made with the key
//! ```
//!
//! # Decisions
//! - Journals come first and working copies of the rounds at hand at once after them. When a round
//!   ended in between both are taken again, so that the copies are those that the journals name.
//! - Everything else that a journal names only grows, and is copied after. Then the federation's
//!   folder, and the members last: a roster that is named anywhere is in them.
//! - The ledger's checkpoint comes before everything: then its lock, which is among the runs, is as far or
//!   further.
//! - The manifest is written last: a backup without one was cut off.

pub(crate) mod bulk;
pub(crate) mod manifest;
pub(crate) mod vault;

use covey_aggregation::net::Boxed;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use covey_aggregation::hash::Digest;
use covey_aggregation::net::roster_file::ROSTER_FILE;
use covey_aggregation::net::{FileError, read_roster};
use covey_aggregation::program::{Exit, Failure};
use serde_json::json;

use crate::config::Config;
use crate::registrar::now_s;
use crate::setup::{Answer, file_failure};
use crate::storage::StorageError;
use crate::storage::blobs::Depot;
use crate::storage::place::{self, Place};
use crate::storage::stores::{self, Store, dump, last_round};
use bulk::Part;
use manifest::{FileEntry, Manifest, StoreEntry};
use vault::{BackupKey, VAULT_FILE, read_folder};

/// The folder of dumps in a backup.
pub(crate) const STORES: &str = "stores";

/// The folder of bulk bytes in a backup.
pub(crate) const BULK: &str = "bulk";

/// The folder of other files of the state folder in a backup.
pub(crate) const STATE: &str = "state";

/// How often journals and working copies are taken again because a round ended in between.
const TRIES: u32 = 50;

/// Why there is no backup, or no restoring it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BackupError {
    /// A file of the backup, or of what is backed up.
    #[error("cannot {action} {}: {source}", .path.display())]
    File { action: &'static str, path: PathBuf, source: std::io::Error },
    #[error("{} is no key of a backup: it has not 32 bytes", .path.display())]
    NoKey { path: PathBuf },
    #[error("the federation's folder is too long to be encrypted in one piece")]
    TooLong,
    #[error("{} has no {}: this backup was cut off", .folder.display(), manifest::MANIFEST_FILE)]
    CutOff { folder: PathBuf },
    #[error("the manifest of {} was made with another key, or changed", .folder.display())]
    OtherKey { folder: PathBuf },
    #[error("{} is damaged: {what}", .path.display())]
    Damaged { path: PathBuf, what: String },
    #[error("{} is not empty", .path.display())]
    NotEmpty { path: PathBuf },
    #[error("rounds end faster than their working copies can be copied")]
    TooFast,
    #[error(transparent)]
    Storage(#[from] StorageError),
    #[error(transparent)]
    Credentials(#[from] FileError),
    #[error("{0}")]
    Other(Failure),
}

impl From<Failure> for BackupError {
    fn from(failure: Failure) -> Self {
        Self::Other(failure)
    }
}

impl From<BackupError> for Failure {
    fn from(error: BackupError) -> Self {
        let (exit, code, help) = match &error {
            BackupError::Storage(_) | BackupError::Credentials(_) | BackupError::Other(_) => {
                return match error {
                    BackupError::Storage(error) => error.into(),
                    BackupError::Credentials(error) => file_failure(error),
                    BackupError::Other(failure) => failure,
                    other => Self::new(Exit::Failed, "BUG", other),
                };
            }
            BackupError::File { .. } => (Exit::Failed, "STORAGE", "check the disk and its rights"),
            BackupError::NoKey { .. } | BackupError::OtherKey { .. } => {
                (Exit::BadInput, "BAD_KEY", "give the key file that this backup was made with")
            }
            BackupError::TooLong => {
                (Exit::Failed, "TOO_LONG", "move data out of the federation's folder")
            }
            BackupError::CutOff { .. } => {
                (Exit::Failed, "BAD_BACKUP", "use an older one that is whole, or take it again")
            }
            BackupError::Damaged { .. } => {
                (Exit::Failed, "BAD_BACKUP", "use another backup; this one cannot be restored")
            }
            BackupError::NotEmpty { .. } => {
                (Exit::BadInput, "NOT_EMPTY", "name a folder that is empty, or not there yet")
            }
            BackupError::TooFast => {
                (Exit::Failed, "TOO_FAST", "pause the run for the time of a backup")
            }
        };
        Self::new(exit, code, &error).with_help(help)
    }
}

/// Attaches what was tried; for `map_err`.
pub(crate) fn failed(
    action: &'static str,
    path: &Path,
) -> impl FnOnce(std::io::Error) -> BackupError + use<> {
    let path = path.to_owned();
    move |source| BackupError::File { action, path, source }
}

/// A state folder, or a run's below it.
struct Root {
    /// Below `bulk`, and below the state folder.
    below: PathBuf,
    store: Store,
    place: Place,
    depot: Depot,
}

/// `backup`.
///
/// # Errors
/// [`Failure`].
pub fn backup<'a>(
    config: &'a Config,
    to: &'a Path,
    key: &'a Path,
) -> Boxed<'a, Result<Answer, Failure>> {
    Box::pin(async move { Ok(take(config, to, key).await?) })
}

async fn take(config: &Config, to: &Path, key_path: &Path) -> Result<Answer, BackupError> {
    place::check(&config.databases, &[&config.state_dir, &config.member_dir])?;
    create_empty(to)?;
    if is_below(key_path, to) {
        let what = "the key would lie in the backup that it protects";
        let failure = Failure::new(Exit::BadInput, "BAD_KEY", what);
        return Err(failure.with_help("name a file elsewhere with --key").into());
    }
    let (key, is_new) = BackupKey::read_or_make(key_path)?;
    let roots = roots(config).await?;
    for root in &roots {
        bulk::copy_checkpoint(&root.depot.read(), &to.join(BULK).join(&root.below))?;
    }
    let mut stores = take_journals(config, &roots, to).await?;
    for root in &roots {
        let target = to.join(BULK).join(&root.below);
        if !bulk::copy_all(&root.depot.read(), &target, Part::Lasting)? {
            let what = "something that lasts was removed meanwhile".to_owned();
            return Err(BackupError::Damaged { path: target, what });
        }
    }
    bulk::copy_pools(&config.state_dir, &to.join(STATE))?;
    let roster = read_roster(&config.member_dir.join(ROSTER_FILE))?;
    let (kept, left_out) = read_folder(&config.member_dir, &config.state_dir)?;
    let sealed = key.seal_files(&kept)?;
    covey_aggregation::net::files::write_durably(&to.join(VAULT_FILE), &sealed)?;
    let members = config.databases.members(&config.member_dir);
    stores.extend(dump_to(Store::Members, &members, to).await?);

    let mut manifest = Manifest::new(now_s(), roster.federation.to_string(), roster.number);
    (manifest.stores, manifest.left_out) = (stores, left_out);
    manifest.files = every_file(to)?;
    manifest.write(to, &key)?;
    Ok(answer(&manifest, to, key_path, is_new))
}

fn answer(manifest: &Manifest, to: &Path, key: &Path, is_new: bool) -> Answer {
    let bytes: u64 = manifest.files.iter().map(|file| file.bytes).sum();
    let (files, rows) =
        (manifest.files.len(), manifest.stores.iter().map(|store| store.rows).sum::<u64>());
    let mut text = format!(
        "backed up {} to {}: {rows} rows of {} stores, {files} files, {bytes} bytes",
        manifest.federation,
        to.display(),
        manifest.stores.len()
    );
    for name in &manifest.left_out {
        text += &format!("\nnot in it, since it is too long: {name}");
    }
    if is_new {
        text += &format!(
            "\nmade the key {}: keep a copy of it elsewhere; without it the federation's keys in \
             this backup are lost",
            key.display()
        );
    }
    text += &format!(
        "\ncheck it: covey-coordinator restore --verify --from {} --key {}",
        to.display(),
        key.display()
    );
    let data = json!({
        "to": to,
        "federation": manifest.federation,
        "roster": manifest.roster,
        "rows": rows,
        "stores": manifest.stores.len(),
        "files": files,
        "bytes": bytes,
        "left_out": manifest.left_out,
        "key_made": is_new,
    });
    Answer { text, data }
}

/// The state folder, and the folder of each run that was submitted.
async fn roots(config: &Config) -> Result<Vec<Root>, BackupError> {
    let state_dir = &config.state_dir;
    let depot = Depot::new(state_dir, config.objects.as_ref())?;
    let mut roots = vec![Root {
        below: PathBuf::new(),
        store: Store::Journal,
        place: config.databases.journal(state_dir),
        depot: depot.clone(),
    }];
    for run in stores::runs(&config.databases.runs(state_dir)).await? {
        roots.push(Root {
            below: below_runs(&run),
            store: Store::Run(run),
            place: config.databases.journal_of(state_dir, &run),
            depot: depot.of_run(&run),
        });
    }
    Ok(roots)
}

/// Where a run's bulk bytes lie below the state folder.
pub(crate) fn below_runs(run: &Digest) -> PathBuf {
    Path::new("runs").join(run.to_string())
}

/// Dumps runs and journals, and copies the working copies that they name.
async fn take_journals(
    config: &Config,
    roots: &[Root],
    to: &Path,
) -> Result<Vec<StoreEntry>, BackupError> {
    'again: for _ in 0..TRIES {
        let mut stores = Vec::new();
        let runs = config.databases.runs(&config.state_dir);
        stores.extend(dump_to(Store::Runs, &runs, to).await?);
        for root in roots {
            let before = last_round(&root.place).await?;
            stores.extend(dump_to(root.store, &root.place, to).await?);
            let target = to.join(BULK).join(&root.below);
            let passing = target.join("rounds");
            if passing.exists() {
                std::fs::remove_dir_all(&passing).map_err(failed("remove", &passing))?;
            }
            let is_whole = bulk::copy_all(&root.depot.read(), &target, Part::Passing)?;
            if !is_whole || last_round(&root.place).await? != before {
                continue 'again;
            }
        }
        return Ok(stores);
    }
    Err(BackupError::TooFast)
}

/// Dumps a store, if there is one.
async fn dump_to(
    store: Store,
    place: &Place,
    to: &Path,
) -> Result<Option<StoreEntry>, BackupError> {
    let name = store.to_string();
    let path = format!("{STORES}/{name}.jsonl");
    let target = to.join(&path);
    let folder = to.join(STORES);
    std::fs::create_dir_all(&folder).map_err(failed("create the folder", &folder))?;
    let file = File::create(&target).map_err(failed("create", &target))?;
    let mut file = BufWriter::new(file);
    let Some(dumped) = dump(store, place, &mut file).await? else {
        std::fs::remove_file(&target).map_err(failed("remove", &target))?;
        return Ok(None);
    };
    file.flush().map_err(failed("write", &target))?;
    file.get_ref().sync_all().map_err(failed("make durable", &target))?;
    Ok(Some(StoreEntry { path, store: name, format: dumped.format, rows: dumped.rows }))
}

fn every_file(folder: &Path) -> Result<Vec<FileEntry>, BackupError> {
    let (mut files, mut waiting) = (Vec::new(), vec![PathBuf::new()]);
    while let Some(below) = waiting.pop() {
        let here = folder.join(&below);
        for entry in std::fs::read_dir(&here).map_err(failed("read the folder", &here))? {
            let entry = entry.map_err(failed("read the folder", &here))?;
            let name = below.join(entry.file_name());
            if entry.file_type().map_err(failed("read", &here))?.is_dir() {
                waiting.push(name);
                continue;
            }
            let path = name.to_string_lossy().into_owned();
            files.push(FileEntry::of(&entry.path(), path)?);
        }
        crate::storage::durable::sync_folder(&here)?;
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

/// Makes a folder that has nothing in it.
pub(crate) fn create_empty(folder: &Path) -> Result<(), BackupError> {
    covey_aggregation::net::files::create_private_folder(folder)?;
    let mut entries = std::fs::read_dir(folder).map_err(failed("read the folder", folder))?;
    match entries.next() {
        None => Ok(()),
        Some(_) => Err(BackupError::NotEmpty { path: folder.to_owned() }),
    }
}

fn is_below(path: &Path, folder: &Path) -> bool {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let parent = parent.unwrap_or_else(|| Path::new(".")).canonicalize();
    matches!((parent, folder.canonicalize()), (Ok(parent), Ok(folder)) if parent.starts_with(&folder))
}
