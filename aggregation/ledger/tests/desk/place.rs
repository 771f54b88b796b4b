//! A federation's ledger in a folder, as a coordinator publishes it, and its members' own folders.

use std::cell::RefCell;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use clap::Parser;
use covey_aggregation::hash::Digest;
use covey_aggregation::net::roster_file::ROSTER_FILE;
use covey_aggregation::net::{
    Authority, IdentityKey, Validity, authority, files, membership, write_roster,
};
use covey_aggregation::program::{Exit, Failure};
use covey_aggregation::research::StatementBytes;
use covey_ledger::desk::{self, Answer, Desk, DeskCommand, Seat};
use covey_ledger::entry::Entry;
use covey_ledger::example::{Example, Shape, key_seed};
use covey_ledger::log::{Effect, Opening};
use covey_ledger::quorum::{Quorum, witness_name};
use covey_ledger::statement::Signed;
use covey_ledger::tile::Tiles;
use covey_ledger::witness::{Request, Witness};
use tempfile::TempDir;
use zeroize::Zeroizing;

/// The commands as a program has them.
#[derive(Debug, Parser)]
struct Program {
    #[command(subcommand)]
    command: DeskCommand,
}

/// A federation on disk, and a coordinator that records what it is sent.
pub(crate) struct Place {
    folder: TempDir,
    pub(crate) example: RefCell<Example>,
    authority: Authority,
    /// What was sent.
    pub(crate) sent: RefCell<Vec<Signed>>,
    /// What a person would say; none where nobody is there.
    pub(crate) says: Option<bool>,
}

impl Place {
    /// The example's whole story, published.
    pub(crate) fn new() -> Self {
        let name = "north".parse().expect("a name");
        let authority = Authority::create(name, Zeroizing::new([9; 32]), SystemTime::now());
        let authority = authority.expect("an authority");
        let example = Example::new_by(Shape::default(), authority.digest()).expect("an example");
        let place = Self {
            folder: tempfile::tempdir().expect("a folder"),
            example: RefCell::new(example),
            authority,
            sent: RefCell::default(),
            says: None,
        };
        place.publish();
        place
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    /// The ledger's folder.
    pub(crate) fn ledger(&self) -> PathBuf {
        self.path("published/ledger")
    }

    /// Publishes the log of all entries, cosigned by everybody, and the documents.
    pub(crate) fn publish(&self) {
        let example = self.example.borrow();
        let ledger = self.ledger();
        if ledger.exists() {
            fs::remove_dir_all(&ledger).expect("removed");
        }
        let quorum = Quorum::of_roster(&example.roster).expect("a quorum");
        write_log(&ledger, &example, &quorum);
        for (digest, bytes) in &example.documents {
            write(&ledger.join("documents").join(digest.to_string()), bytes);
        }
        write_roster(&self.path("roster.json"), &example.roster).expect("written");
    }

    /// The folder of a member, with its keys and a configuration.
    pub(crate) fn member(&self, who: &str) -> PathBuf {
        let example = self.example.borrow();
        let folder = self.path(who);
        let config = folder.join("client.toml");
        if config.exists() {
            return config;
        }
        files::create_private_folder(&folder).expect("a folder");
        let key = IdentityKey::from_seed(key_seed(example.shape.seed, who));
        key.create(&folder).expect("a key");
        let mut members = example.roster.members.iter();
        let member = members.find(|one| one.name.as_str() == who).expect("a member");
        let validity = Validity { from: SystemTime::now(), days: 7 };
        let pem = self.authority.issue(member, validity).expect("issued");
        write(&folder.join(membership::MEMBER_FILE), pem.as_bytes());
        write(&folder.join(authority::AUTHORITY_FILE), self.authority.pem().as_bytes());
        write_roster(&folder.join(ROSTER_FILE), &example.roster).expect("written");
        write(&config, b"schema = \"client/1\"\ncoordinator = \"127.0.0.1:1\"\nfolder = \".\"\n");
        config
    }

    /// Carries a command line out.
    pub(crate) fn run(&self, line: &[&str]) -> Result<Answer, Failure> {
        let words = std::iter::once("program").chain(line.iter().copied());
        let program = Program::try_parse_from(words).unwrap_or_else(|error| panic!("{error}"));
        let desk = Desk {
            configs: &[],
            now_ms: self.example.borrow().now_ms + 1000,
            send: &|_: &Seat, bytes: StatementBytes| self.record(&bytes),
            ask: &|_: &str| self.says,
        };
        desk::answer(&program.command, &desk)
    }

    /// The same by the ledger and the roster of this place.
    pub(crate) fn read(&self, line: &[&str]) -> Result<Answer, Failure> {
        let (ledger, roster) = (self.text("published"), self.text("roster.json"));
        self.run(&[line, &["--ledger", &ledger, "--roster", &roster]].concat())
    }

    /// The same as a member.
    pub(crate) fn say(&self, who: &str, line: &[&str]) -> Result<Answer, Failure> {
        let (ledger, config) = (self.text("published"), self.member(who).display().to_string());
        self.run(&[line, &["--ledger", &ledger, "--config", &config]].concat())
    }

    /// What a coordinator does: checks and writes, once.
    fn record(&self, bytes: &StatementBytes) -> Result<u64, Failure> {
        let signed = Signed::parse(bytes.as_bytes()).expect("a statement");
        let body = signed.clone().into_body();
        self.sent.borrow_mut().push(signed);
        let mut example = self.example.borrow_mut();
        if let Some(index) = example.book.entry_about(&body.subject()) {
            let entry = Entry::parse(&example.entries[index as usize]).expect("an entry");
            assert_eq!(entry.body, body, "the same subject says the same");
            return Ok(index);
        }
        example.write(body).map_err(|refused| Failure::new(Exit::BadInput, "REFUSED", refused))
    }
}

/// How a command that must not succeed ends.
pub(crate) fn code(result: Result<Answer, Failure>) -> (Exit, &'static str) {
    let failure = result.expect_err("it is refused");
    (failure.exit, failure.code)
}

pub(crate) fn write(path: &Path, bytes: &[u8]) {
    fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
    fs::write(path, bytes).expect("written");
}

/// All files below a folder.
pub(crate) fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() { files.extend(files_below(&path)) } else { files.push(path) }
    }
    files.sort();
    files
}

fn write_log(folder: &Path, example: &Example, quorum: &Quorum) {
    let read = |path: &str| fs::read(folder.join(path)).ok();
    let opening = Opening::new(quorum.clone(), None).expect("nothing kept");
    let mut log = opening.open(read).expect("a new log");
    log.append(&example.entries, example.now_ms, &example.coordinator).expect("appended");
    while let Some(effect) = log.effect().cloned() {
        match effect {
            Effect::Write { path, bytes } | Effect::Publish { path, bytes } => {
                write(&folder.join(path), &bytes);
            }
            Effect::Cosign { size, checkpoint } => {
                for (holder, name) in example.holders.iter().zip(holder_names(example)) {
                    let mut witness = Witness::new(name, quorum.clone(), None).expect("a witness");
                    let tiles = Tiles::new(size, read);
                    let request = Request::new(0, size, checkpoint.clone(), &tiles);
                    let request = request.expect("all tiles are there");
                    witness.handle(&request, example.now_ms / 1000).expect("an honest log");
                    log.cosigned(witness.stored(holder).expect("a step")).expect("a witness");
                }
            }
            Effect::Stage { .. }
            | Effect::Commit { .. }
            | Effect::Unstage { .. }
            | Effect::Acknowledge { .. } => {}
        }
        log.done().expect("done");
    }
}

fn holder_names(example: &Example) -> Vec<covey_ledger::note::KeyName> {
    let founding = example.book.founding();
    let federation = example.book.federation();
    let name = |holder: &covey_ledger::entry::Seated| witness_name(federation, &holder.name);
    founding.holders.iter().map(|holder| name(holder).expect("a name")).collect()
}

/// A run's digest.
pub(crate) fn run_of(place: &Place, name: &str) -> Digest {
    let example = place.example.borrow();
    let run = example.book.runs().iter().find(|run| run.plan.name.as_str() == name);
    run.expect("a run").plan.run
}
