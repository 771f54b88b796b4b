//! `migrate`: brings stores of an older format to this program's.

use covey_aggregation::net::Boxed;
use covey_aggregation::program::{Exit, Failure, StateFolder};
use serde_json::json;

use crate::config::Config;
use crate::setup::Answer;
use crate::storage::StorageError;
use crate::storage::place;
use crate::storage::stores::{self, Store};

/// `migrate`.
///
/// # Errors
/// [`Failure`]: a store is of a format that cannot be migrated, or a coordinator is running.
pub fn migrate(config: &Config, is_dry: bool) -> Boxed<'_, Result<Answer, Failure>> {
    Box::pin(migrate_all(config, is_dry))
}

async fn migrate_all(config: &Config, is_dry: bool) -> Result<Answer, Failure> {
    let (state_dir, member_dir) = (&config.state_dir, &config.member_dir);
    place::check(&config.databases, &[state_dir, member_dir])?;
    let lock = if is_dry { None } else { Some(StateFolder::open(state_dir)?) };
    let mut all = vec![Store::Members, Store::Runs, Store::Journal];
    let runs = Store::Runs.place(&config.databases, state_dir, member_dir);
    all.extend(stores::runs(&runs).await?.into_iter().map(Store::Run));
    let (mut text, mut rows, mut to_do) = (String::new(), Vec::new(), 0);
    for store in all {
        let place = store.place(&config.databases, state_dir, member_dir);
        let Some(got) = stores::format(&place).await? else { continue };
        let (oldest, newest) = (store.oldest(), store.newest());
        let path = place.shown();
        if got > newest {
            return Err(StorageError::Newer { path, got, known: newest }.into());
        }
        if got < oldest {
            return Err(StorageError::Older { path, got, known: oldest }.into());
        }
        let what = if got == newest {
            format!("format {got}, nothing to do")
        } else if is_dry {
            to_do += 1;
            format!("format {got}, would become {newest}")
        } else {
            to_do += 1;
            stores::migrate(store, &place).await?;
            format!("format {got} became {newest}")
        };
        text += &format!("{place}: {what}\n");
        rows.push(json!({ "store": store.to_string(), "format": got, "newest": newest }));
    }
    drop(lock);
    if rows.is_empty() {
        return Err(Failure::new(Exit::Failed, "NO_RUN", "there are no stores yet"));
    }
    let data = json!({ "stores": rows, "to_migrate": to_do, "dry_run": is_dry });
    Ok(Answer { text: text.trim_end().to_owned(), data })
}
