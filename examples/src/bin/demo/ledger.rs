//! What the coordinator published as its ledger, read and checked by what the members have pinned; and the
//! page of it.

use std::fmt;
use std::io::IsTerminal as _;

use covey_aggregation::net::read_roster;
use covey_ledger::entry::Kind;
use covey_ledger::folder::Folder;
use covey_ledger::quorum::Quorum;
use serde_json::Value;

use crate::args::Args;
use crate::federation::{Federation, owner_name};
use crate::process::{Process, run_to_end};

/// The ledger, checked.
pub(crate) struct Ledger {
    /// Entries.
    pub(crate) entries: u64,
    /// Key holders that have cosigned all of it.
    pub(crate) cosigned_by: usize,
    /// Receipts of rounds that the owners have between them, each checked by its owner's own program.
    pub(crate) receipts: usize,
    /// The same of credits.
    pub(crate) credit_receipts: usize,
    /// What owners have told of what rounds took them.
    pub(crate) compute_reports: usize,
}

impl Ledger {
    /// Reads and checks all of the ledger with an owner's roster, and has every owner check its receipts.
    ///
    /// # Errors
    /// What does not hold, in words.
    pub(crate) fn check(federation: &Federation) -> Result<Self, String> {
        let words = |error: &dyn fmt::Display| error.to_string();
        let roster = federation.root.join(owner_name(1)).join("roster.json");
        let roster = read_roster(&roster).map_err(|error| words(&error))?;
        let quorum = Quorum::of_roster(&roster).map_err(|error| words(&error))?;
        let ledger = Folder::new(&federation.published().join("ledger")).open(&quorum);
        let ledger = ledger.map_err(|error| words(&error))?;
        let (mut rounds, mut credits) = (0, 0);
        for number in 1..=federation.roles.len() {
            let config = federation.root.join(owner_name(number)).join("client.toml");
            let config = config.display().to_string();
            let answer = run_to_end("client", &["receipts", "--config", &config, "--json"])?;
            let answer: Value = serde_json::from_str(&answer).map_err(|error| words(&error))?;
            let receipts = answer["data"]["receipts"].as_array().map_or(&[][..], Vec::as_slice);
            let of = |kind: &str| receipts.iter().filter(|one| one["kind"] == kind).count();
            rounds += of("round");
            credits += of("credits");
        }
        let closed = ledger.book.runs().iter().flat_map(|run| run.rounds.values());
        let owners = closed.flat_map(|round| &round.owners);
        let counted = owners.filter(|owner| owner.missing.is_none()).count();
        if rounds != counted {
            return Err(format!("{rounds} receipts of rounds with {counted} updates that counted"));
        }
        let accounts: usize =
            ledger.book.settlements().map(|one| one.settlement.accounts.len()).sum();
        if credits != accounts {
            return Err(format!(
                "{credits} receipts of credits with {accounts} owners that have some"
            ));
        }
        Ok(Self {
            entries: ledger.book.size(),
            cosigned_by: ledger.cosigned.witnesses.len(),
            receipts: rounds,
            credit_receipts: credits,
            compute_reports: ledger.book.count(Kind::ComputeReported),
        })
    }
}

impl fmt::Display for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { entries, cosigned_by, receipts, credit_receipts, compute_reports } = self;
        write!(
            f,
            "{entries} entries, cosigned by {cosigned_by} key holders; every entry follows from \
             those before it\n{receipts} receipts of rounds and {credit_receipts} of credits with the \
             owners, each checked with its owner's roster alone\n{compute_reports} reports of owners of \
             what a round took them"
        )
    }
}

/// The page, while a person looks at it.
pub(crate) struct Page {
    address: String,
    process: Process,
}

impl Page {
    /// Whether it was asked for, or somebody sits before a terminal.
    pub(crate) fn is_wanted(args: &Args) -> bool {
        args.page || (!args.json && std::io::stdout().is_terminal())
    }

    /// Serves it, with the operator's command.
    ///
    /// # Errors
    /// It does not start.
    pub(crate) fn open(federation: &Federation) -> Result<Self, String> {
        let address = covey_examples::free_address().map_err(|error| error.to_string())?;
        let address = address.to_string();
        let home = federation.root.join("coordinator");
        let config = home.join("coordinator.toml").display().to_string();
        let arguments = ["page", "--config", &config, "--listen", &address];
        let started = Process::start("coordinator", &arguments, &home.join("page.txt"), false);
        let (mut process, _) = started.map_err(|error| error.to_string())?;
        let began = std::time::Instant::now();
        while std::net::TcpStream::connect(&address).is_err() {
            if process.ended().is_some() || began.elapsed() > std::time::Duration::from_secs(20) {
                return Err(format!("the page does not come up:\n  {}", process.last_words()));
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        Ok(Self { address, process })
    }

    /// Where it is.
    pub(crate) fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// Waits until somebody ends it.
    pub(crate) fn wait(mut self) {
        while self.process.ended().is_none() {
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
    }
}
