//! A source of the page made from an example of a ledger: published as a coordinator would, and changed
//! where a test asks for a server that cheats.

#![allow(dead_code, reason = "each test uses a part of it")]

pub(crate) mod browser;
pub(crate) mod tamper;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use covey_aggregation::hash::Digest;
use covey_aggregation::signing::Identity;
use covey_ledger::book::Book;
use covey_ledger::checkpoint::{Checkpoint, TreeHead};
use covey_ledger::cosignature::cosign;
use covey_ledger::example::{Example, Shape};
use covey_ledger::quorum::{Quorum, origin, witness_name};
use covey_ledger::tile::{Kind, Tile, encode_hashes, new_tiles, push_entry};
use covey_ledger::tree::{Frontier, Hash, fold, leaf_hash};
use covey_page::{Federation, Live, Reading, Source};
use tokio::sync::watch;

/// Files by their paths.
pub(crate) type Files = BTreeMap<String, Vec<u8>>;

/// The log of an example: signed by its coordinator, cosigned by its holders.
pub(crate) struct Log<'a> {
    pub(crate) example: &'a Example,
}

impl Log<'_> {
    /// Everything that is published of a log with these entries; the first `witnesses` holders cosign.
    pub(crate) fn publish(&self, entries: &[Vec<u8>], witnesses: usize) -> Files {
        let mut tree = Frontier::default();
        let leaves: Vec<_> = entries.iter().map(|entry| leaf_hash(entry)).collect();
        leaves.iter().for_each(|leaf| tree.push(*leaf));
        let size = entries.len() as u64;
        let mut files: Files = new_tiles(0, size)
            .into_iter()
            .map(|tile| (tile.to_string(), bytes_of(&tile, entries, &leaves)))
            .collect();
        let head = TreeHead { size, root: tree.root() };
        files.insert("checkpoint".to_owned(), self.checkpoint(head, witnesses));
        files
    }

    fn checkpoint(&self, head: TreeHead, witnesses: usize) -> Vec<u8> {
        let federation = self.example.book.federation();
        let checkpoint = Checkpoint::new(origin(federation).expect("an origin"), head);
        let mut note = checkpoint.sign(&self.example.coordinator).expect("a signed note");
        let seats = self.example.book.founding().holders.iter().zip(&self.example.holders);
        for (seat, key) in seats.take(witnesses) {
            let name = witness_name(federation, &seat.name).expect("a name");
            let time_s = self.example.now_ms / 1000;
            let line = cosign(&checkpoint.to_string(), name, time_s, key).expect("a cosignature");
            note.push(line).expect("room for it");
        }
        note.to_string().into_bytes()
    }

    /// Whose log it is.
    pub(crate) fn federation(&self) -> Federation {
        let quorum = Quorum::of_roster(&self.example.roster).expect("a committee");
        Federation {
            origin: quorum.log().name.as_str().to_owned(),
            log: quorum.log().to_string(),
            witnesses: quorum.witnesses().iter().map(ToString::to_string).collect(),
            quorum: quorum.needed() as u32,
        }
    }
}

/// The bytes of a tile or bundle.
fn bytes_of(tile: &Tile, entries: &[Vec<u8>], leaves: &[Hash]) -> Vec<u8> {
    let (first, width) = (tile.index as usize * 256, usize::from(tile.width));
    match tile.kind {
        Kind::Entries => {
            let mut bundle = Vec::new();
            for entry in &entries[first..first + width] {
                push_entry(&mut bundle, entry).expect("an entry that fits");
            }
            bundle
        }
        Kind::Hashes(level) => {
            let over = 256usize.pow(level.into());
            let hash = |at: usize| fold(&leaves[at * over..(at + 1) * over]).expect("leaves");
            encode_hashes(&(first..first + width).map(hash).collect::<Vec<_>>())
        }
    }
}

/// What the page reads.
pub(crate) struct Served {
    pub(crate) book: Option<Arc<Book>>,
    pub(crate) federation: Federation,
    pub(crate) entries: Vec<Vec<u8>>,
    pub(crate) documents: BTreeMap<String, Vec<u8>>,
    pub(crate) files: Mutex<Files>,
    pub(crate) live: watch::Sender<Live>,
    pub(crate) now_ms: u64,
}

impl Served {
    /// An honest server of an example.
    pub(crate) fn of(example: &Example) -> Self {
        let log = Log { example };
        let files = log.publish(&example.entries, example.holders.len());
        Self {
            book: Some(Arc::new(example.book.clone())),
            federation: log.federation(),
            entries: example.entries.clone(),
            documents: hexed(&example.documents),
            files: Mutex::new(files),
            live: watch::Sender::new(Live::default()),
            now_ms: example.now_ms,
        }
    }

    /// A server of a ledger without entries.
    pub(crate) fn of_nothing(example: &Example) -> Self {
        let files = Mutex::new(Log { example }.publish(&[], example.holders.len()));
        let (book, entries) = (None, Vec::new());
        Self { book, entries, files, ..Self::of(example) }
    }
}

fn hexed(documents: &BTreeMap<Digest, Vec<u8>>) -> BTreeMap<String, Vec<u8>> {
    documents.iter().map(|(digest, bytes)| (digest.to_string(), bytes.clone())).collect()
}

fn now<'a>(bytes: Option<Vec<u8>>) -> Reading<'a> {
    Box::pin(std::future::ready(Ok(bytes)))
}

impl Source for Served {
    fn federation(&self) -> Federation {
        self.federation.clone()
    }

    fn book(&self) -> Option<Arc<Book>> {
        self.book.clone()
    }

    fn now_ms(&self) -> u64 {
        self.now_ms
    }

    fn entry(&self, index: u64) -> Reading<'_> {
        now(self.entries.get(index as usize).cloned())
    }

    fn published<'a>(&'a self, path: &'a str) -> Reading<'a> {
        now(self.files.lock().expect("nobody panicked").get(path).cloned())
    }

    fn document<'a>(&'a self, sha256: &'a str) -> Reading<'a> {
        now(self.documents.get(sha256).cloned())
    }

    fn live(&self) -> watch::Receiver<Live> {
        self.live.subscribe()
    }
}

/// The example of a seed.
pub(crate) fn example(seed: u64) -> Example {
    Example::new(Shape { seed, ..Shape::default() }).expect("a story that the book takes")
}

/// A larger one, for pictures.
pub(crate) fn large() -> Example {
    let shape = Shape { seed: 7, owners: 9, rounds: 12 };
    Example::new(shape).expect("a story that the book takes")
}

/// The run at hand of an example, in the middle of a round.
pub(crate) fn at_hand(example: &Example) -> Live {
    let run = example.book.runs().iter().rev().find(|run| run.is_live());
    let run = run.expect("the story ends with a run that goes on");
    Live {
        number: 7,
        run: Some(run.plan.run.to_string()),
        name: run.plan.name.to_string(),
        round: run.rounds.len() as u32 + 1,
        rounds: run.rounds_asked,
        phase: "collecting updates".to_owned(),
        waiting_for: "owners".to_owned(),
        have: 4,
        need: 6,
        deadline_ms: Some(example.now_ms + 90_000),
    }
}

/// Another key than any of an example's.
pub(crate) fn stranger() -> Identity {
    covey_ledger::example::stranger(99)
}

/// Every address of the page of a book.
pub(crate) fn addresses(book: &Book) -> Vec<String> {
    let fixed = [
        "/",
        "/runs",
        "/credits",
        "/members",
        "/ledger",
        "/payouts",
        "/disputes",
        "/disputes/new",
        "/how",
        "/api",
        "/search?q=clinic",
    ];
    let mut all: Vec<String> = fixed.into_iter().map(str::to_owned).collect();
    let runs: Vec<_> = book.runs().iter().map(|run| run.plan.run.to_string()).collect();
    all.push(format!("/runs/compare?ids={}", runs.join(",")));
    all.extend(
        runs.iter().flat_map(|run| [format!("/runs/{run}"), format!("/runs/{run}/compute")]),
    );
    all.extend((0..book.size()).map(|index| format!("/entries/{index}")));
    all.extend(book.members().map(|member| format!("/members/{}", Digest(member.id.0))));
    all.extend(book.payouts().iter().map(|one| format!("/payouts/{}", one.payout.number)));
    all.extend(book.disputes().iter().map(|one| format!("/disputes/{}", one.id)));
    all.extend(book.proposals().iter().map(|one| format!("/proposals/{}", one.id)));
    for credits in book.settlements() {
        all.push(format!("/credits?epoch={}", credits.epoch));
        let accounts = credits.settlement.accounts.iter();
        all.extend(
            accounts.map(|one| format!("/entries/{}?owner={}", credits.entry, Digest(one.owner.0))),
        );
    }
    all
}

/// One address of each kind of page of a book.
pub(crate) fn kinds(book: &Book) -> Vec<(&'static str, String)> {
    let credits = tamper::credits(book);
    let last = book.settlements().next_back().expect("the story has credits");
    let owner = Digest(credits.settlement.accounts[0].owner.0);
    let runs: Vec<_> = book.runs().iter().map(|run| run.plan.run.to_string()).collect();
    let mut all = vec![
        ("overview", "/".to_owned()),
        ("runs", "/runs".to_owned()),
        ("run", format!("/runs/{}", credits.run)),
        ("compute", format!("/runs/{}/compute", credits.run)),
        ("compare", format!("/runs/compare?ids={}", runs.join(","))),
        ("credits", "/credits".to_owned()),
        ("members", "/members".to_owned()),
        ("member", format!("/members/{owner}")),
        ("why", format!("/entries/{}?owner={owner}", credits.entry)),
        ("entry", "/entries/0".to_owned()),
        ("ledger", "/ledger".to_owned()),
        ("payouts", "/payouts".to_owned()),
        ("disputes", "/disputes".to_owned()),
        (
            "prepare",
            format!("/disputes/new?entry={}&owner={owner}&remedy=pay&value=1&why=test", last.entry),
        ),
        ("search", "/search?q=clinic".to_owned()),
        ("how", "/how".to_owned()),
        ("api", "/api".to_owned()),
        ("not-found", "/nothing".to_owned()),
    ];
    all.extend(runs.last().map(|run| ("run-live", format!("/runs/{run}"))));
    all.extend(
        book.payouts().first().map(|one| ("payout", format!("/payouts/{}", one.payout.number))),
    );
    all.extend(book.disputes().first().map(|one| ("dispute", format!("/disputes/{}", one.id))));
    all.extend(book.proposals().first().map(|one| ("proposal", format!("/proposals/{}", one.id))));
    all
}
