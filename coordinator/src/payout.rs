//! `payout`: the operator's word that the next payout be recorded. What is in it follows from the ledger, so
//! nobody chooses an amount; the program that serves computes it, and writes its file and its entry.

use std::time::Duration;

use covey_aggregation::hash::Digest;
use covey_aggregation::net::Membership;
use covey_aggregation::program::clock::now;
use covey_aggregation::program::{Exit, Failure, StateFolder};
use covey_aggregation::roster::Roster;
use covey_ledger::book::{Book, PayoutRecord as Recorded};
use covey_ledger::bundle::CHECKPOINT_PATH;
use covey_ledger::desk::names::Names;
use covey_ledger::desk::payout::{Terms, body_of, look};
use serde_json::{Value, json};
use tokio::task::block_in_place;
use tokio::time::{Instant, sleep};

use crate::cli::{Payout, PayoutList, PayoutRecord};
use crate::config::Config;
use crate::ledger::files::{LEDGER_FOLDER, LedgerFiles, document_path};
use crate::ledger::published;
use crate::registrar::now_s;
use crate::setup::{Answer, file_failure};
use crate::storage::blobs::Depot;
use crate::storage::members::{Members, PayoutAnswer, PayoutOrder};

/// How often an answer is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// What the commands have to do with.
struct Office<'a> {
    config: &'a Config,
    roster: Roster,
    files: LedgerFiles,
    members: Members,
}

/// Carries a command out.
///
/// # Errors
/// [`Failure`]: the settings, no ledger, a payout that cannot be, or nobody who serves.
pub async fn payout(command: &Payout, config: &Config) -> Result<Answer, Failure> {
    let membership = Membership::load_founding(&config.member_dir).map_err(file_failure)?;
    let roster = membership.roster().as_ref().clone();
    let mut members = Members::open_at(&config.databases.members(&config.member_dir)).await?;
    members.belong_to(&roster.authority).await?;
    let files = LedgerFiles::new(Depot::new(&config.state_dir, config.objects.as_ref())?);
    let mut office = Office { config, roster, files, members };
    match command {
        Payout::Record(options) => office.record(options).await,
        Payout::List(PayoutList { .. }) => office.list().await,
    }
}

impl Office<'_> {
    fn book(&self) -> Result<Book, Failure> {
        if self.files.read(CHECKPOINT_PATH)?.is_none() {
            let what = "no ledger is published yet, so there is nothing to pay";
            return Err(Failure::new(Exit::BadInput, "NOT_PUBLISHED", what));
        }
        block_in_place(|| published::book(&self.files, &self.roster))
    }

    async fn record(&mut self, options: &PayoutRecord) -> Result<Answer, Failure> {
        let book = self.book()?;
        let names = Names { book: Some(&book), roster: &self.roster };
        let runs: Result<Vec<Digest>, _> = options.run.iter().map(|run| names.run(run)).collect();
        let runs = Some(runs?).filter(|runs| !runs.is_empty());
        let terms = Terms { runs: runs.clone(), at_ms: now().0, hold_back: options.hold_back };
        if options.dry_run {
            let preview = look(names, &terms)?;
            let data = serde_json::to_value(&preview).unwrap_or_default();
            return Ok(Answer { text: preview.to_string(), data });
        }
        // Most of what cannot be is said before anybody is asked.
        let number = body_of(&book, &terms)?.entry.number;
        let wanted = PayoutOrder { number, runs, hold_back: options.hold_back, asked_s: now_s() };
        let order = self.members.order_payout(&wanted).await?;
        if (&order.runs, order.hold_back) != (&wanted.runs, wanted.hold_back) {
            let what = format!("payout {number} is asked for already, on other terms");
            return Err(Failure::new(Exit::BadInput, "ASKED_OTHERWISE", what)
                .with_help("wait until it is recorded or refused: covey-coordinator payout list"));
        }
        let until = Instant::now() + Duration::from_secs(options.wait_s);
        let entry = self.answered(number, until).await?;
        let Some(book) = self.published(entry, until).await? else {
            let text = format!(
                "payout {number} is entry {entry} of the ledger; the key holders have not cosigned \
                 it yet"
            );
            return Ok(Answer { text, data: json!({ "number": number, "entry": entry }) });
        };
        let names = Names { book: Some(&book), roster: &self.roster };
        let recorded = book.payouts().iter().find(|one| one.payout.number == number);
        let recorded = recorded.ok_or_else(|| {
            Failure::new(Exit::Failed, "PAYOUT", "the ledger has another entry in its place")
        })?;
        Ok(Answer { text: self.text(recorded, names), data: self.data(recorded, names) })
    }

    /// The entry of a payout, once the program that serves has recorded it.
    async fn answered(&mut self, number: u32, until: Instant) -> Result<u64, Failure> {
        loop {
            match self.members.payout(number).await?.and_then(|(_, answer)| answer) {
                Some(PayoutAnswer::Recorded { entry }) => return Ok(entry),
                Some(PayoutAnswer::Refused(why)) => {
                    let what = format!("payout {number} is not recorded: {why}");
                    return Err(Failure::new(Exit::BadInput, "NOT_RECORDED", what)
                        .with_help("payout record --dry-run says what it comes to"));
                }
                None if Instant::now() >= until => {
                    let is_served = StateFolder::is_in_use(&self.config.state_dir);
                    let help = if is_served {
                        "it is recorded as soon as the ledger can be written: payout list"
                    } else {
                        "it is recorded once the coordinator serves: covey-coordinator serve"
                    };
                    let what = format!("payout {number} is asked for, and not recorded yet");
                    return Err(Failure::new(Exit::TimedOut, "NOT_YET", what).with_help(help));
                }
                None => sleep(LOOK_EVERY).await,
            }
        }
    }

    /// The published ledger, once it has an entry; none where it does not get it in time.
    async fn published(&self, entry: u64, until: Instant) -> Result<Option<Book>, Failure> {
        loop {
            let book = self.book()?;
            if book.size() > entry {
                return Ok(Some(book));
            }
            if Instant::now() >= until {
                return Ok(None);
            }
            sleep(LOOK_EVERY).await;
        }
    }

    async fn list(&mut self) -> Result<Answer, Failure> {
        let book = self.book()?;
        let names = Names { book: Some(&book), roster: &self.roster };
        let mut lines: Vec<_> = book.payouts().iter().map(|one| self.text(one, names)).collect();
        let next = u32::try_from(book.payouts().len()).unwrap_or(u32::MAX).saturating_add(1);
        let wanted = self.members.payout(next).await?;
        match &wanted {
            Some((_, None)) => lines.push(format!("payout {next}: asked for, not recorded yet")),
            Some((_, Some(PayoutAnswer::Refused(why)))) => {
                lines.push(format!("payout {next}: asked for, and refused: {why}"));
            }
            Some((_, Some(PayoutAnswer::Recorded { entry }))) => {
                lines.push(format!("payout {next}: entry {entry}, not cosigned yet"));
            }
            None if lines.is_empty() => lines.push("no payout is recorded".to_owned()),
            None => {}
        }
        let payouts: Vec<_> = book.payouts().iter().map(|one| self.data(one, names)).collect();
        let wanted = wanted.map(|(order, answer)| {
            let refused = match answer {
                Some(PayoutAnswer::Refused(why)) => Some(why),
                _ => None,
            };
            json!({ "number": order.number, "asked_s": order.asked_s, "refused": refused })
        });
        let data = json!({ "payouts": payouts, "wanted": wanted });
        Ok(Answer { text: lines.join("\n"), data })
    }

    /// Where the file of a payout is, among what is published.
    fn file(payout: &Recorded) -> String {
        format!("published/{LEDGER_FOLDER}/{}", document_path(&payout.payout.file.sha256))
    }

    fn text(&self, recorded: &Recorded, names: Names<'_>) -> String {
        let payout = &recorded.payout;
        let runs: Vec<_> = payout.runs.iter().map(|run| names.of_run(run)).collect();
        let held = match recorded.held_back.len() {
            0 => String::new(),
            count => format!("; {count} credit(s) held back"),
        };
        format!(
            "payout {}, entry {}: {} addresses have {} token units, all in all, for {}{held}\n  root \
             0x{}\n  file {}",
            payout.number,
            recorded.entry,
            payout.payees,
            payout.total,
            runs.join(", "),
            payout.root,
            Self::file(recorded),
        )
    }

    fn data(&self, recorded: &Recorded, names: Names<'_>) -> Value {
        let payout = &recorded.payout;
        let runs: Vec<_> = payout.runs.iter().map(|run| names.of_run(run)).collect();
        json!({
            "number": payout.number,
            "entry": recorded.entry,
            "made_ms": recorded.made_ms,
            "runs": runs,
            "payees": payout.payees,
            "total": payout.total.to_string(),
            "root": format!("0x{}", payout.root),
            "held_back": recorded.held_back.len(),
            "file": Self::file(recorded),
        })
    }
}
