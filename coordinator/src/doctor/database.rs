//! The database: whether it can be reached, read and written, and whether it keeps what it says it
//! keeps.

use covey_aggregation::program::doctor::Diagnosis;

use crate::config::Config;
use crate::storage::StorageError;
use crate::storage::place::{self, Databases};
use crate::storage::stores::{self, Store};

const NAME: &str = "database";

/// Looks at every store, and changes nothing.
pub(super) fn check(diagnosis: &mut Diagnosis, config: &Config) {
    // Whoever calls may be within a runtime, which must not wait for another.
    let looked = std::thread::scope(|scope| {
        let look = scope.spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            Ok::<_, std::io::Error>(runtime.block_on(look(config)))
        });
        look.join()
    });
    match looked {
        Ok(Ok(found)) => {
            for one in found {
                one.tell(diagnosis);
            }
        }
        Ok(Err(error)) => diagnosis.problem(NAME, error, "the system gave no thread to look with"),
        Err(_) => diagnosis.problem(NAME, "looking failed", "report this as a fault of Covey"),
    }
}

/// What was found.
enum Found {
    Ok(String),
    Warn(String, &'static str),
    Problem(String, String),
}

impl Found {
    fn tell(self, diagnosis: &mut Diagnosis) {
        match self {
            Self::Ok(found) => diagnosis.ok(NAME, found),
            Self::Warn(found, fix) => diagnosis.warn(NAME, found, fix),
            Self::Problem(found, fix) => diagnosis.problem(NAME, found, fix),
        }
    }

    /// A problem, with what the command would say to do.
    fn of(error: StorageError) -> Self {
        let failure = covey_aggregation::program::Failure::from(error);
        let fix = failure.help.clone().unwrap_or_else(|| "restore a backup".to_owned());
        Self::Problem(failure.message, fix)
    }
}

async fn look(config: &Config) -> Vec<Found> {
    let (state_dir, member_dir) = (&config.state_dir, &config.member_dir);
    let mut found = Vec::new();
    if let Err(error) = place::check(&config.databases, &[state_dir, member_dir]) {
        return vec![Found::of(error)];
    }
    if let Databases::Server(server) = &config.databases
        && !server.is_private()
    {
        let fix = "add ?sslmode=verify-full to the URL, and sslrootcert=FILE for an authority of \
                   your own";
        let what = format!("{server} is another machine, and its certificate is not checked");
        found.push(Found::Warn(what, fix));
    }
    let runs = Store::Runs.place(&config.databases, state_dir, member_dir);
    let mut all = vec![Store::Members, Store::Runs, Store::Journal];
    match stores::runs(&runs).await {
        Ok(runs) => all.extend(runs.into_iter().map(Store::Run)),
        Err(error) => return vec![Found::of(error)],
    }
    let mut is_examined = false;
    for store in all {
        let place = store.place(&config.databases, state_dir, member_dir);
        match examine(store, &place, &mut is_examined).await {
            Ok(one) => found.extend(one),
            Err(error) => found.push(Found::of(error)),
        }
    }
    found
}

async fn examine(
    store: Store,
    place: &place::Place,
    is_examined: &mut bool,
) -> Result<Vec<Found>, StorageError> {
    let path = place.shown();
    stores::probe(place).await?;
    let (oldest, newest) = (store.oldest(), store.newest());
    let is_server = matches!(place, place::Place::Schema(..));
    let mut found = Vec::new();
    match stores::format(place).await? {
        Some(got) if got > newest => {
            return Err(StorageError::Newer { path, got, known: newest });
        }
        Some(got) if got < oldest => {
            return Err(StorageError::Older { path, got, known: oldest });
        }
        Some(got) if got < newest => found.push(Found::Warn(
            format!("{place}: format {got}, to be migrated to {newest}"),
            "the next serve does it, or covey-coordinator migrate",
        )),
        Some(got) => found.push(Found::Ok(format!("{place}: format {got}, can be written"))),
        // A file will be made where the state folder is checked.
        None if !is_server => return Ok(found),
        None => found.push(Found::Ok(format!("{place} will be made"))),
    }
    // The server is the same for all of its schemas.
    if is_server && std::mem::replace(is_examined, true) {
        return Ok(found);
    }
    let fix = if is_server {
        "set it on in postgresql.conf: without it a power cut can lose what was acknowledged"
    } else {
        "restore a backup: covey-coordinator restore"
    };
    for (what, is_good) in stores::examine(place).await? {
        let what = format!("{place}: {what}");
        found.push(if is_good { Found::Ok(what) } else { Found::Problem(what, fix.to_owned()) });
    }
    Ok(found)
}
