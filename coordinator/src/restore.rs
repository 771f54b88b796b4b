//! `restore`: a backup becomes a coordinator again, on either database; or is only looked at.

use covey_aggregation::net::Boxed;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use covey_aggregation::hash::Digest;
use covey_aggregation::net::IdentityKey;
use covey_aggregation::net::key::KEY_FILE;
use covey_aggregation::net::text::to_hex;
use covey_aggregation::program::enrol::secret;
use covey_aggregation::program::published::PUBLICATION_FILE;
use covey_aggregation::program::{Exit, Failure, StateFolder};
use covey_aggregation::signing::Identity;
use covey_aggregation::time::Time;
use serde_json::json;

use crate::backup::manifest::{Manifest, StoreEntry, below};
use crate::backup::vault::{BackupKey, Kept, VAULT_FILE, write_folder};
use crate::backup::{BULK, BackupError, STATE, below_runs, bulk, create_empty, failed};
use crate::config::Config;
use crate::run::replay_round;
use crate::setup::{Answer, CONFIG_FILE};
use crate::storage::StorageError;
use crate::storage::blobs::{Depot, round_name};
use crate::storage::durable::remove_folder;
use crate::storage::journal::Journal;
use crate::storage::place::{self, Databases};
use crate::storage::stores::{Store, format, load};

/// What to restore, and where to.
pub struct Restore<'a> {
    /// The backup.
    pub from: &'a Path,
    /// Its key.
    pub key: &'a Path,
    /// The federation's folder to be; none to look only.
    pub dir: Option<&'a Path>,
    /// The state folder to be, where it is not the one that the settings say.
    pub state_dir: Option<&'a Path>,
    /// The database, where it is not the one that the settings say.
    pub databases: Option<Databases>,
    /// Whether to restore into a temporary place first, and replay every journal.
    pub verify: bool,
}

/// Where a backup has no coordinator.toml in the federation's folder.
const NO_SETTINGS: &str = "listen = \"0.0.0.0:7443\"\n";

/// What replaying found.
#[derive(Default)]
struct Found {
    runs: u32,
    rounds: u64,
    records: u64,
    /// Rounds that are not over, which serving goes on with.
    open: Vec<String>,
}

/// `restore`.
///
/// # Errors
/// [`Failure`]; a backup that is damaged, cut off or of another key restores nothing.
pub fn restore(options: Restore<'_>) -> Boxed<'_, Result<Answer, Failure>> {
    Box::pin(async move { Ok(carry_out(options).await?) })
}

async fn carry_out(options: Restore<'_>) -> Result<Answer, BackupError> {
    let key = BackupKey::read(options.key)?;
    let manifest = Manifest::read(options.from, &key)?;
    manifest.check(options.from)?;
    let kept = key.open_files(&options.from.join(VAULT_FILE))?;
    let (files, stores) = (manifest.files.len(), manifest.stores.len());
    let mut text = format!(
        "{} of {}: {files} files as they were written, {stores} stores, roster {}",
        options.from.display(),
        manifest.federation,
        manifest.roster
    );
    let mut data = json!({
        "federation": manifest.federation,
        "made_s": manifest.made_s,
        "roster": manifest.roster,
        "files": files,
        "stores": stores,
        "left_out": manifest.left_out,
    });
    if options.verify {
        let found = verify(options.from, &manifest, &kept).await?;
        text += &format!(
            "\nreplayed: {} runs, {} rounds, {} records",
            found.runs, found.rounds, found.records
        );
        for open in &found.open {
            text += &format!("\nserving goes on with {open}");
        }
        data["replayed"] = json!({
            "runs": found.runs,
            "rounds": found.rounds,
            "records": found.records,
            "open": found.open,
        });
    }
    match options.dir {
        Some(dir) => text += &install(&options, &manifest, &kept, dir).await?,
        None => text += "\nnothing was restored: --dir says where to",
    }
    data["restored"] = options.dir.is_some().into();
    Ok(Answer { text, data })
}

async fn install(
    options: &Restore<'_>,
    manifest: &Manifest,
    kept: &[Kept],
    dir: &Path,
) -> Result<String, BackupError> {
    create_empty(dir)?;
    let config_path = dir.join(CONFIG_FILE);
    let settings = kept.iter().find(|file| file.path == CONFIG_FILE);
    let settings = settings.and_then(|file| std::str::from_utf8(&file.bytes).ok());
    let said = Config::places_of(settings.unwrap_or(NO_SETTINGS), &config_path);
    let said = said.map_err(Failure::from)?;
    let state_dir = options.state_dir.map_or_else(|| said.state_dir.clone(), Path::to_owned);
    let databases = options.databases.clone().unwrap_or_else(|| said.databases.clone());
    let stores = placed(manifest)?;
    for (store, _) in &stores {
        let place = store.place(&databases, &state_dir, dir);
        if format(&place).await?.is_some() {
            return Err(StorageError::Occupied { path: place.shown() }.into());
        }
    }
    let depot = Depot::new(&state_dir, said.objects.as_ref())?;
    write_folder(dir, kept)?;
    create_empty(&state_dir)?;
    // Whoever serves before everything is there is told so.
    place::begin_restoring(&state_dir)?;
    let lock = StateFolder::open(&state_dir).map_err(Failure::from)?;
    for (store, entry) in &stores {
        read_store(*store, entry, options.from, &databases, (&state_dir, dir)).await?;
    }
    put_bulk(options.from, manifest, &stores, &depot)?;
    for file in &manifest.files {
        if let Some(name) = file.path.strip_prefix(STATE).and_then(|name| name.strip_prefix('/')) {
            bulk::copy(&options.from.join(&file.path), &state_dir.join(below(name)?))?;
        }
    }
    sync_folders(&state_dir)?;
    place::settle(&databases, &[dir])?;
    place::end_restoring(&state_dir, &databases)?;
    drop(lock);
    let mut text = format!("\nrestored into {} and {}", dir.display(), state_dir.display());
    if databases != Databases::Files {
        text += &format!(", and {databases}");
    }
    if state_dir != said.state_dir {
        text += &format!("\nset state_dir in {} before it serves", config_path.display());
    }
    if databases != said.databases {
        text += &format!("\nset database in {} before it serves", config_path.display());
    }
    for name in &manifest.left_out {
        text += &format!("\nnot in the backup, copy it yourself: {name}");
    }
    text += &format!("\nnext: covey-coordinator serve --config {}", config_path.display());
    Ok(text)
}

/// Puts all bulk bytes where the restored settings say: in the state folder, or in a bucket.
fn put_bulk(
    from: &Path,
    manifest: &Manifest,
    stores: &[(Store, &StoreEntry)],
    depot: &Depot,
) -> Result<(), BackupError> {
    let runs = stores.iter().filter_map(|(store, _)| match store {
        Store::Run(run) => Some((below_runs(run), depot.of_run(run))),
        _ => None,
    });
    let depots = runs.chain([(PathBuf::new(), depot.clone())]);
    for (root, depot) in depots {
        // Opened, not only read: a bucket that another state folder uses is refused.
        let blobs = depot.open()?;
        let folder = from.join(BULK).join(&root);
        for file in &manifest.files {
            if let Some((of, key)) = bulk::key_of(&file.path)
                && of == root
            {
                bulk::put(&blobs, &folder, key)?;
            }
        }
    }
    Ok(())
}

/// The stores of a backup.
fn placed(manifest: &Manifest) -> Result<Vec<(Store, &StoreEntry)>, BackupError> {
    let store = |entry: &StoreEntry| {
        let what = || format!("no store is called {:?}", entry.store);
        entry
            .store
            .parse::<Store>()
            .map_err(|()| BackupError::Damaged { path: PathBuf::from(&entry.path), what: what() })
    };
    manifest.stores.iter().map(|entry| Ok((store(entry)?, entry))).collect()
}

async fn read_store(
    store: Store,
    entry: &StoreEntry,
    from: &Path,
    databases: &Databases,
    (state_dir, member_dir): (&Path, &Path),
) -> Result<(), BackupError> {
    if let Store::Run(run) = store {
        let folder = state_dir.join(below_runs(&run));
        std::fs::create_dir_all(&folder).map_err(failed("create the folder", &folder))?;
    }
    let path = from.join(below(&entry.path)?);
    let file = File::open(&path).map_err(failed("read", &path))?;
    let place = store.place(databases, state_dir, member_dir);
    let loaded = load(store, &place, &mut BufReader::new(file)).await?;
    if (loaded.format, loaded.rows) == (entry.format, entry.rows) {
        return Ok(());
    }
    Err(BackupError::Damaged { path, what: "not as the manifest says".to_owned() })
}

/// A folder that is gone when this is.
struct Temporary(PathBuf);

impl Temporary {
    fn new() -> Result<Self, BackupError> {
        let name = secret::<32>()?;
        let name = format!("covey-restore-{}", to_hex(&name[..8]));
        let path = std::env::temp_dir().join(name);
        covey_aggregation::net::files::create_private_folder(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if let Err(error) = remove_folder(&self.0) {
            tracing::warn!(%error, "a temporary folder stays");
        }
    }
}

/// Restores the stores into a temporary place, replays every round of every journal as a start
/// does, and looks whether the bulk bytes that they name are there.
async fn verify(from: &Path, manifest: &Manifest, kept: &[Kept]) -> Result<Found, BackupError> {
    let temporary = Temporary::new()?;
    let (state_dir, member_dir) = (temporary.0.join("state"), temporary.0.join("federation"));
    for folder in [&state_dir, &member_dir] {
        std::fs::create_dir(folder).map_err(failed("create the folder", folder))?;
    }
    let identity = identity(kept, &member_dir)?;
    let mut found = Found::default();
    for (store, entry) in placed(manifest)? {
        let databases = Databases::Files;
        read_store(store, entry, from, &databases, (&state_dir, &member_dir)).await?;
        let root = match store {
            Store::Journal => PathBuf::new(),
            Store::Run(run) => below_runs(&run),
            Store::Members | Store::Runs => continue,
        };
        let place = store.place(&databases, &state_dir, &member_dir);
        let bulk = Bulk { from, manifest, root: Path::new(BULK).join(root) };
        let journal = Journal::open(&place).await?;
        replay(journal, &bulk, &identity, &mut found).await?;
    }
    Ok(found)
}

fn identity(kept: &[Kept], folder: &Path) -> Result<Arc<Identity>, BackupError> {
    let missing = || BackupError::Damaged {
        path: PathBuf::from(VAULT_FILE),
        what: format!("it holds no {KEY_FILE}"),
    };
    let key = kept.iter().find(|file| file.path == KEY_FILE).ok_or_else(missing)?;
    covey_aggregation::net::files::create_private(&folder.join(KEY_FILE), &key.bytes)?;
    Ok(Arc::new(IdentityKey::load(folder)?.identity()))
}

/// Bulk bytes of a run in a backup.
struct Bulk<'a> {
    from: &'a Path,
    manifest: &'a Manifest,
    root: PathBuf,
}

impl Bulk<'_> {
    fn need(&self, key: &str) -> Result<(), BackupError> {
        let path = self.root.join(key);
        let is_there = self.manifest.files.iter().any(|file| Path::new(&file.path) == path);
        let what = || "a journal names it, and it is not in the backup".to_owned();
        let at = self.from.join(path);
        is_there.then_some(()).ok_or_else(|| BackupError::Damaged { path: at, what: what() })
    }

    fn need_object(&self, digest: &Digest) -> Result<(), BackupError> {
        self.need(&format!("objects/{digest}"))
    }
}

async fn replay(
    mut journal: Journal,
    bulk: &Bulk<'_>,
    identity: &Arc<Identity>,
    found: &mut Found,
) -> Result<(), BackupError> {
    let Some(run) = journal.run().await? else { return Ok(journal.close().await?) };
    found.runs += 1;
    let rounds = journal.rounds().await?;
    for digest in [Some(run.plan), Some(run.model), run.state].iter().flatten() {
        bulk.need_object(digest)?;
    }
    for row in &rounds {
        for digest in [Some(row.model), row.state].iter().flatten() {
            bulk.need_object(digest)?;
        }
        if row.aggregate.is_some() {
            bulk.need(&format!("published/{}/{PUBLICATION_FILE}", round_name(row.round)))?;
        }
    }
    let next = rounds.last().map_or(run.first_round, |last| last.round + 1);
    for number in run.first_round..=next {
        let records = journal.replay(number, 0).await?;
        if records.is_empty() {
            continue;
        }
        found.records += records.len() as u64;
        found.rounds += 1;
        let place = PathBuf::from(format!("the journal of run {}", run.run.short()));
        let round = replay_round(place, number, &records, identity, Time(0))?;
        if number == next && run.ending.is_none() {
            found.open.push(format!("round {number} of run {}", run.run.short()));
            for header in round.set() {
                let header = header.header.digest();
                for file in ["correction", "boxes", "chunks"] {
                    bulk.need(&format!("rounds/{}/{header}/{file}", round_name(number)))?;
                }
            }
        }
    }
    Ok(journal.close().await?)
}

fn sync_folders(root: &Path) -> Result<(), BackupError> {
    let mut waiting = vec![root.to_owned()];
    while let Some(folder) = waiting.pop() {
        for entry in std::fs::read_dir(&folder).map_err(failed("read the folder", &folder))? {
            let entry = entry.map_err(failed("read the folder", &folder))?;
            if entry.file_type().map_err(failed("read", &folder))?.is_dir() {
                waiting.push(entry.path());
            }
        }
        crate::storage::durable::sync_folder(&folder)?;
    }
    Ok(())
}

/// Whether anything is to be done at all.
///
/// # Errors
/// [`Failure`]: neither looking nor restoring was asked for.
pub fn check_asked(options: &Restore<'_>) -> Result<(), Failure> {
    if options.verify || options.dir.is_some() {
        return Ok(());
    }
    let what = "say where to restore with --dir, or only look with --verify";
    Err(Failure::new(Exit::BadInput, "NOTHING_ASKED", what))
}
