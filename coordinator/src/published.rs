//! `published`: what a federation published, taken to a folder.

use covey_aggregation::net::Boxed;
use covey_aggregation::program::{Exit, Failure};
use serde_json::json;

use crate::cli::PublishedFetch;
use crate::config::Config;
use crate::setup::Answer;
use crate::storage::blobs::Depot;
use crate::storage::registry::{NotRecorded, Registry};

/// Copies everything that was published into a folder.
///
/// # Errors
/// [`Failure`]: the settings, no such run, or a file or object.
pub fn fetch(options: &PublishedFetch) -> Boxed<'_, Result<Answer, Failure>> {
    Box::pin(async { copy(options, &Config::load(&options.config)?).await })
}

/// As [`fetch`], with these settings.
///
/// # Errors
/// As [`fetch`].
pub fn fetch_by<'a>(
    options: &'a PublishedFetch,
    config: &'a Config,
) -> Boxed<'a, Result<Answer, Failure>> {
    Box::pin(copy(options, config))
}

async fn copy(options: &PublishedFetch, config: &Config) -> Result<Answer, Failure> {
    let depot = Depot::new(&config.state_dir, config.objects.as_ref())?;
    let depot = match &options.run {
        None => depot,
        Some(run) => {
            let mut registry =
                Registry::open_to_read(&config.databases.runs(&config.state_dir)).await?;
            let found = registry.find(run).await.map_err(|error| match error {
                NotRecorded::Storage(error) => Failure::from(error),
                NotRecorded::Refused(refusal) => Failure::new(Exit::BadInput, "NO_RUN", refusal)
                    .with_help("covey-coordinator status lists the runs that were submitted"),
            })?;
            depot.of_run(&found.run)
        }
    };
    let (blobs, folder) = (depot.read(), options.to.clone());
    let copied = tokio::task::spawn_blocking(move || blobs.copy_published(&folder)).await;
    let copied = copied.map_err(|_| Failure::new(Exit::Failed, "BUG", "copying failed"))??;
    let to = options.to.display();
    if copied.files + copied.kept == 0 {
        return Err(Failure::new(Exit::Failed, "NOT_PUBLISHED", "no round is published yet"));
    }
    let text = format!(
        "{} file(s) with {} bytes fetched into {to}; {} were there already",
        copied.files, copied.bytes, copied.kept
    );
    let data = json!({
        "folder": options.to, "files": copied.files, "bytes": copied.bytes, "kept": copied.kept,
    });
    Ok(Answer { text, data })
}
