//! The page's door: the published ledger for everybody who reaches it, by plain HTTP, and what goes on at
//! this moment. Reads what is published, and nothing else.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use covey_aggregation::hash::Digest;
use covey_aggregation::net::{GuestList, Membership};
use covey_aggregation::program::answer::note;
use covey_aggregation::program::{Exit, Failure, Stop};
use covey_aggregation::research::Now;
use covey_aggregation::roster::succession::CertifiedRoster;
use covey_ledger::book::Book;
use covey_ledger::bundle::CHECKPOINT_PATH;
use covey_ledger::quorum::Quorum;
use covey_ledger::tile::{bundle_of, decode_entries};
use covey_page::{Federation, Live, Reading, Source, router};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::{JoinHandle, spawn_blocking};

use crate::clock::Clock;
use crate::config::Config;
use crate::ledger::Shown;
use crate::ledger::files::LedgerFiles;
use crate::ledger::published;
use crate::storage::blobs::Depot;
use crate::view::View;

/// How often a stored ledger is looked at for new entries.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// The page, open until it is dropped.
pub struct Page {
    address: SocketAddr,
    tasks: Vec<JoinHandle<()>>,
}

/// What the page reads.
pub struct PageParts {
    /// Everybody: who signs the ledger.
    pub guests: GuestList,
    /// The ledger's files.
    pub files: LedgerFiles,
    /// What it has come to.
    pub shown: watch::Receiver<Shown>,
    /// What goes on; none where nothing is run.
    pub view: Option<(watch::Receiver<View>, Clock)>,
}

impl Page {
    /// Opens it at `address`; port 0 takes a free one.
    ///
    /// # Errors
    /// [`Failure`] when the address cannot be listened at.
    pub async fn open(address: SocketAddr, parts: PageParts) -> Result<Self, Failure> {
        let failed = |error: io::Error| {
            let what = format!("cannot listen at {address} (TCP), the page's address: {error}");
            Failure::new(Exit::NoAccess, "PAGE_ADDRESS", what)
                .with_help("set another `page` in coordinator.toml, or leave it out")
        };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let (live, watching) = watch::channel(Live::default());
        let PageParts { guests, files, shown, view } = parts;
        let mut tasks = Vec::new();
        if let Some((view, clock)) = view {
            tasks.push(tokio::spawn(follow(view, clock, shown.clone(), live)));
        }
        let source = Arc::new(Published { guests, files, shown, live: watching });
        let router = router(source);
        tasks.push(tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                tracing::error!(%error, "the page is no longer served");
            }
        }));
        Ok(Self { address, tasks })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// What is published.
struct Published {
    guests: GuestList,
    files: LedgerFiles,
    shown: watch::Receiver<Shown>,
    live: watch::Receiver<Live>,
}

impl Published {
    /// Reads beside the page's own threads.
    fn reading<'a>(
        &self,
        read: impl FnOnce(&LedgerFiles) -> io::Result<Option<Vec<u8>>> + Send + 'static,
    ) -> Reading<'a> {
        let files = self.files.clone();
        Box::pin(async move {
            let read = spawn_blocking(move || read(&files)).await;
            read.unwrap_or_else(|died| Err(io::Error::other(died)))
        })
    }
}

impl Source for Published {
    fn federation(&self) -> Federation {
        let now = self.guests.now();
        // No committee, no keys: there is nothing to verify yet.
        Quorum::of_roster(&now.certified.roster).map(|quorum| keys(&quorum)).unwrap_or_default()
    }

    fn book(&self) -> Option<Arc<Book>> {
        self.shown.borrow().published.clone()
    }

    fn now_ms(&self) -> u64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }

    fn entry(&self, index: u64) -> Reading<'_> {
        let size = self.book().map_or(0, |book| book.size());
        self.reading(move |files| {
            let Some((tile, place)) = bundle_of(index, size) else { return Ok(None) };
            let bytes = files.read(&tile.to_string()).map_err(io::Error::other)?;
            let Some(bytes) = bytes else { return Ok(None) };
            let entries = decode_entries(&tile, &bytes).map_err(io::Error::other)?;
            Ok(entries.get(place).map(|entry| entry.to_vec()))
        })
    }

    fn published<'a>(&'a self, path: &'a str) -> Reading<'a> {
        let path = path.to_owned();
        self.reading(move |files| files.read(&path).map_err(io::Error::other))
    }

    fn document<'a>(&'a self, sha256: &'a str) -> Reading<'a> {
        let (book, sha256) = (self.book(), Digest::from_hex(sha256));
        self.reading(move |files| {
            let (Some(book), Some(sha256)) = (book, sha256) else { return Ok(None) };
            Ok(files.document_named(&book, &sha256))
        })
    }

    fn live(&self) -> watch::Receiver<Live> {
        self.live.clone()
    }
}

/// Serves the page of a stored ledger until asked to stop: beside a coordinator that runs, or without one.
///
/// # Errors
/// [`Failure`]: the settings, the ledger, the address.
pub async fn serve(config: &Config, address: SocketAddr, mut stop: Stop) -> Result<(), Failure> {
    let membership = Membership::load_founding(&config.member_dir);
    let membership = membership.map_err(crate::setup::file_failure)?;
    let roster = membership.roster().as_ref().clone();
    let guests = GuestList::new(CertifiedRoster { roster, votes: Vec::new() });
    let depot = Depot::new(&config.state_dir, config.objects.as_ref())?;
    let files = LedgerFiles::new(depot);
    let (show, shown) = watch::channel(Shown::default());
    let mut read = None;
    look(&membership, &files, &mut read, &show)?;
    let parts = PageParts { guests, files: files.clone(), shown, view: None };
    let page = Page::open(address, parts).await?;
    note(format!("the page is at http://{}/", page.address()));
    loop {
        tokio::select! {
            _ = stop.draining() => return Ok(()),
            () = tokio::time::sleep(LOOK_EVERY) => look(&membership, &files, &mut read, &show)?,
        }
    }
}

/// Reads the ledger again if another checkpoint is published.
fn look(
    membership: &Membership,
    files: &LedgerFiles,
    read: &mut Option<Vec<u8>>,
    show: &watch::Sender<Shown>,
) -> Result<(), Failure> {
    let checkpoint = files.read(CHECKPOINT_PATH)?;
    if checkpoint == *read {
        return Ok(());
    }
    let book = tokio::task::block_in_place(|| published::book(files, membership.roster()));
    let book = Some(Arc::new(book?));
    show.send_replace(Shown { published: book.clone(), book });
    *read = checkpoint;
    Ok(())
}

fn keys(quorum: &Quorum) -> Federation {
    Federation {
        origin: quorum.log().name.to_string(),
        log: quorum.log().to_string(),
        witnesses: quorum.witnesses().iter().map(ToString::to_string).collect(),
        quorum: u32::try_from(quorum.needed()).unwrap_or(u32::MAX),
    }
}

/// Tells what goes on, whenever that changes.
async fn follow(
    mut view: watch::Receiver<View>,
    clock: Clock,
    shown: watch::Receiver<Shown>,
    live: watch::Sender<Live>,
) {
    loop {
        let seen = view.borrow_and_update().clone();
        let book = shown.borrow().book.clone();
        live.send_modify(|live| {
            let number = live.number + 1;
            *live = Live { number, ..told(&seen, clock, book.as_deref()) };
        });
        if view.changed().await.is_err() {
            return;
        }
    }
}

fn told(view: &View, clock: Clock, book: Option<&Book>) -> Live {
    let Some(run) = &view.run else { return Live::default() };
    let record = book.and_then(|book| book.run(run));
    let live = Live {
        run: Some(run.to_string()),
        name: record.map_or_else(String::new, |run| run.plan.name.to_string()),
        rounds: record.map_or(0, |run| run.rounds_asked),
        ..Live::default()
    };
    let now = clock.now();
    let deadline = |left_ms: u64| Some(now.0.saturating_add(left_ms));
    match view.of(run, now) {
        Some(Now::Gathering { round, needed, missing, left_ms }) => Live {
            round,
            phase: "gathering".to_owned(),
            waiting_for: format!("{}; not there: {missing}", needed.as_str()),
            deadline_ms: deadline(left_ms),
            ..live
        },
        Some(Now::Round { round, phase, answered, waiting, left_ms }) => Live {
            round,
            phase: format!("{phase:?}").to_lowercase(),
            waiting_for: waiting.to_string(),
            have: answered,
            need: answered.saturating_add(waiting.count()),
            deadline_ms: deadline(left_ms),
            ..live
        },
        None => live,
    }
}
