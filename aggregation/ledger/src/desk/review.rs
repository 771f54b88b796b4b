//! `review`: what reviewers vote on.

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use covey_aggregation::limits::CONFIG_BYTES_MAX;
use covey_aggregation::net::files;
use covey_aggregation::party::PartyId;
use covey_aggregation::program::{Exit, Failure};
use serde::Serialize;

use super::dispute::{self, DisputeView, PollView, poll_view, state_word};
use super::names::Names;
use super::saying::{Said, Saying, Words, say};
use super::source::{Open, Source};
use super::words::{amount, credits, time};
use super::{Answer, Desk};
use crate::book::{ProposalRecord, State};
use crate::charter::Charter;
use crate::statement::{Budget, Change, Choice, Proposal, Reviewers, Says, Vote};

/// Shown below the help.
pub const EXAMPLES: &str = "Examples:
  review list --ledger ./published
  review show 4f1c --ledger ./published
  review vote 4f1c yes --ledger ./published
  review propose budget --run digits --credits 8000 --why 'twice the rounds' --ledger ./published
  review charter --ledger ./published --json
  review propose charter --dispute-window-h 168 --why 'holidays' --ledger ./published
  review propose reviewers --add st-marys --remove north-dao --why 'a year is over'";

/// The commands.
#[derive(Debug, Subcommand)]
pub enum ReviewCommand {
    /// What is voted on: open disputes and proposals, or all
    List(ReviewListing),
    /// Show one dispute or proposal
    Show(ReviewShowing),
    /// The charter in force, and who reviews
    Charter(CharterShowing),
    /// Vote, as a reviewer. Nobody judges its own, and a vote stands
    Vote(Voting),
    /// Propose something that reviewers then vote on
    #[command(subcommand)]
    Propose(ProposeCommand),
}

/// `review list`.
#[derive(Debug, Args)]
pub struct ReviewListing {
    /// Which ledger.
    #[command(flatten)]
    pub source: Source,
    /// Also what is decided or withdrawn
    #[arg(long)]
    pub all: bool,
}

/// `review show`.
#[derive(Debug, Args)]
pub struct ReviewShowing {
    /// The dispute or proposal: at least four digits of the beginning of its digest
    pub id: String,
    /// Which ledger.
    #[command(flatten)]
    pub source: Source,
}

/// `review charter`.
#[derive(Debug, Args)]
pub struct CharterShowing {
    /// Which ledger.
    #[command(flatten)]
    pub source: Source,
}

/// `review vote`.
#[derive(Debug, Args)]
pub struct Voting {
    /// The dispute or proposal: its digest (with --ledger: the beginning of it)
    pub id: String,
    /// Yes: a dispute's remedy, or what is proposed, shall be
    pub choice: YesOrNo,
    /// How it is signed and sent.
    #[command(flatten)]
    pub saying: Saying,
}

/// Yes or no.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum YesOrNo {
    /// Uphold a dispute, approve a proposal.
    Yes,
    /// Reject it.
    No,
}

/// What is proposed.
#[derive(Debug, Subcommand)]
pub enum ProposeCommand {
    /// What a run may give, where that is more than the charter leaves free
    Budget(BudgetProposal),
    /// Another charter: what you do not say stays as it is
    Charter(Box<CharterProposal>),
    /// Who begins and who ceases to review
    Reviewers(ReviewersProposal),
}

/// `review propose budget`.
#[derive(Debug, Args)]
pub struct BudgetProposal {
    /// The run: its name, or its digest (with --ledger: the beginning of it)
    #[arg(long)]
    pub run: String,
    /// Largest pool of all its rounds together, in credits
    #[arg(long, value_parser = credits)]
    pub credits: u64,
    /// Why, in your own words
    #[arg(long)]
    pub why: String,
    /// How it is signed and sent.
    #[command(flatten)]
    pub saying: Saying,
}

/// `review propose charter`.
#[derive(Debug, Args)]
pub struct CharterProposal {
    /// The whole charter, as `review charter --json` has it. Without it the one in force (--ledger)
    #[arg(long, value_name = "FILE")]
    pub from: Option<PathBuf>,
    /// How long credits may be disputed, in hours
    #[arg(long, value_name = "HOURS")]
    pub dispute_window_h: Option<u64>,
    /// How long reviewers have to vote, in hours
    #[arg(long, value_name = "HOURS")]
    pub vote_window_h: Option<u64>,
    /// How many equal votes decide
    #[arg(long)]
    pub quorum: Option<u32>,
    /// What a run may give without a vote, in credits
    #[arg(long, value_name = "CREDITS", value_parser = credits)]
    pub budget_free: Option<u64>,
    /// Disputes of one member that may be open at once
    #[arg(long)]
    pub disputes_open_max: Option<u32>,
    /// Proposals of one member that may be open at once
    #[arg(long)]
    pub proposals_open_max: Option<u32>,
    /// What one credit is paid, in the smallest units of the token
    #[arg(long)]
    pub units_per_credit: Option<u128>,
    /// Why, in your own words
    #[arg(long)]
    pub why: String,
    /// How it is signed and sent.
    #[command(flatten)]
    pub saying: Saying,
}

/// `review propose reviewers`.
#[derive(Debug, Args)]
pub struct ReviewersProposal {
    /// Who begins to review
    #[arg(long, value_name = "NAME", num_args = 1.., required_unless_present = "remove")]
    pub add: Vec<String>,
    /// Who ceases to
    #[arg(long, value_name = "NAME", num_args = 1..)]
    pub remove: Vec<String>,
    /// Why, in your own words
    #[arg(long)]
    pub why: String,
    /// How it is signed and sent.
    #[command(flatten)]
    pub saying: Saying,
}

/// A proposal, for people and programs.
#[derive(Debug, Serialize)]
pub struct ProposalView {
    /// What names it.
    pub id: String,
    /// Its entry.
    pub entry: u64,
    /// When it was made, in milliseconds since the Unix epoch.
    pub opened_ms: u64,
    /// Who made it.
    pub by: String,
    /// What shall be, in words.
    pub change: Vec<String>,
    /// The same as it is signed.
    pub signed: Change,
    /// Why.
    pub why: String,
    /// Where it stands: `open`, `upheld`, `rejected`, `lapsed`.
    pub state: &'static str,
    /// The entry that says so.
    pub state_entry: Option<u64>,
    /// The vote.
    pub poll: PollView,
}

/// What is voted on.
#[derive(Debug, Serialize)]
pub struct Listing {
    /// Disputes, in the order of their entries.
    pub disputes: Vec<DisputeView>,
    /// Proposals, in the order of their entries.
    pub proposals: Vec<ProposalView>,
}

/// The charter in force.
#[derive(Debug, Serialize)]
pub struct CharterView {
    /// The entry that it is in force from.
    pub since_entry: u64,
    /// Who reviews.
    pub reviewers: Vec<String>,
    /// The charter.
    pub charter: Charter,
}

/// Carries a command out.
///
/// # Errors
/// [`Failure`].
pub fn answer(command: &ReviewCommand, desk: &Desk<'_>) -> Result<Answer, Failure> {
    Ok(match command {
        ReviewCommand::List(ReviewListing { source, all }) => {
            Answer::of(&list(&source.open(desk)?, *all))
        }
        ReviewCommand::Show(ReviewShowing { id, source }) => show(&source.open(desk)?, id)?,
        ReviewCommand::Charter(CharterShowing { source }) => {
            Answer::of(&charter(&source.open(desk)?))
        }
        ReviewCommand::Vote(voting) => Answer::of(&vote(voting, desk)?),
        ReviewCommand::Propose(command) => Answer::of(&propose(command, desk)?),
    })
}

/// What is voted on in a ledger.
#[must_use]
pub fn list(open: &Open, all: bool) -> Listing {
    let proposals = open.ledger.book.proposals().into_iter();
    let proposals = proposals.filter(|one| all || one.state == State::Open);
    Listing {
        disputes: dispute::list(open, all).disputes,
        proposals: proposals.map(|one| view(open, one)).collect(),
    }
}

/// A dispute or a proposal.
///
/// # Errors
/// [`Failure`]: there is none.
pub fn show(open: &Open, text: &str) -> Result<Answer, Failure> {
    let id = open.names().judged(text)?;
    match open.ledger.book.proposal(&id) {
        Some(proposal) => Ok(Answer::of(&view(open, proposal))),
        None => Ok(Answer::of(&dispute::show(open, &id.to_string())?)),
    }
}

/// The charter in force.
#[must_use]
pub fn charter(open: &Open) -> CharterView {
    let (book, names) = (&open.ledger.book, open.names());
    CharterView {
        since_entry: book.charters().last().map_or(0, |(entry, _)| *entry),
        reviewers: book.reviewers().iter().map(|id| names.of(id)).collect(),
        charter: book.charter().clone(),
    }
}

/// Votes.
///
/// # Errors
/// As [`say`].
pub fn vote(voting: &Voting, desk: &Desk<'_>) -> Result<Said, Failure> {
    say(desk, &voting.saying, |names| {
        let on = names.judged(&voting.id)?;
        let (choice, word) = match voting.choice {
            YesOrNo::Yes => (Choice::Yes, "yes"),
            YesOrNo::No => (Choice::No, "no"),
        };
        let mut lines = vec![format!("I vote {word} on {on}")];
        if let Some(book) = names.book {
            let dispute = book.dispute(&on).map(|one| {
                let (owner, run) = (names.of(&one.dispute.owner), names.of_run(&one.dispute.run));
                format!("that is the dispute of the credit of {owner} in {run}")
            });
            let proposal = book.proposal(&on);
            let proposal = proposal.map(|one| change_words(&one.proposal.change, names));
            lines.extend(dispute);
            lines.extend(proposal.unwrap_or_default());
        }
        Ok((Says::Vote(Vote { on, choice }), lines))
    })
}

/// Proposes.
///
/// # Errors
/// As [`say`].
pub fn propose(command: &ProposeCommand, desk: &Desk<'_>) -> Result<Said, Failure> {
    match command {
        ProposeCommand::Budget(BudgetProposal { run, credits, why, saying }) => {
            say(desk, saying, |names| {
                let budget = Budget { run: names.run(run)?, pool_micro: *credits };
                Ok(words(Change::Budget(budget), why, names))
            })
        }
        ProposeCommand::Charter(proposal) => say(desk, &proposal.saying, |names| {
            Ok(words(Change::Charter(proposal.charter(names)?), &proposal.why, names))
        }),
        ProposeCommand::Reviewers(ReviewersProposal { add, remove, why, saying }) => {
            say(desk, saying, |names| {
                let ids = |list: &[String]| {
                    let found: Result<BTreeSet<PartyId>, Failure> =
                        list.iter().map(|name| names.member(name)).collect();
                    found.map(|found| found.into_iter().collect())
                };
                let change = Reviewers { add: ids(add)?, remove: ids(remove)? };
                Ok(words(Change::Reviewers(change), why, names))
            })
        }
    }
}

fn words(change: Change, why: &str, names: &Names<'_>) -> Words {
    let mut lines = vec!["I propose:".to_owned()];
    lines.extend(change_words(&change, names));
    lines.push(format!("why: {why}"));
    (Says::Proposal(Proposal { change, why: why.to_owned() }), lines)
}

impl CharterProposal {
    fn charter(&self, names: &Names<'_>) -> Result<Charter, Failure> {
        let bad = |message: String| Failure::new(Exit::BadInput, "BAD_CHARTER", message);
        let mut charter = match (&self.from, names.book) {
            (Some(path), _) => {
                let bytes = files::read(path, CONFIG_BYTES_MAX);
                let bytes = bytes.map_err(|error| bad(error.to_string()))?;
                serde_json::from_slice(&bytes)
                    .map_err(|error| bad(format!("{}: {error}", path.display())))?
            }
            (None, Some(book)) => book.charter().clone(),
            (None, None) => {
                return Err(bad("which charter is to be changed?".to_owned()).with_help(
                    "give the ledger (--ledger DIR), or a whole charter (--from FILE)",
                ));
            }
        };
        let hours_ms = |hours: u64| hours.saturating_mul(3_600_000);
        let set = |field: &mut u64, value: Option<u64>| *field = value.unwrap_or(*field);
        let set_u32 = |field: &mut u32, value: Option<u32>| *field = value.unwrap_or(*field);
        set(&mut charter.dispute_window_ms, self.dispute_window_h.map(hours_ms));
        set(&mut charter.vote_window_ms, self.vote_window_h.map(hours_ms));
        set(&mut charter.budget_free_micro, self.budget_free);
        set_u32(&mut charter.quorum, self.quorum);
        set_u32(&mut charter.disputes_open_max, self.disputes_open_max);
        set_u32(&mut charter.proposals_open_max, self.proposals_open_max);
        charter.units_per_credit = self.units_per_credit.unwrap_or(charter.units_per_credit);
        if let Some(book) = names.book {
            charter.check(book.reviewers().len()).map_err(|error| bad(error.to_string()))?;
            if charter == *book.charter() {
                return Err(bad("this is the charter that is in force".to_owned()));
            }
        }
        Ok(charter)
    }
}

fn view(open: &Open, record: &ProposalRecord) -> ProposalView {
    let names = open.names();
    let (state, state_entry) = state_word(record.state);
    ProposalView {
        id: record.id.to_string(),
        entry: record.entry,
        opened_ms: record.opened_ms,
        by: names.of(&record.by),
        change: change_words(&record.proposal.change, &names),
        signed: record.proposal.change.clone(),
        why: record.proposal.why.clone(),
        state,
        state_entry,
        poll: poll_view(open, &record.poll),
    }
}

/// What shall be, line by line; of a charter what differs from the one in force.
fn change_words(change: &Change, names: &Names<'_>) -> Vec<String> {
    match change {
        Change::Budget(Budget { run, pool_micro }) => {
            let run = names.of_run(run);
            vec![format!("the run {run} may give up to {}", amount(*pool_micro))]
        }
        Change::Charter(charter) => {
            let before = names.book.map(|book| charter_words(book.charter()));
            let lines = charter_words(charter);
            let Some(before) = before else { return lines };
            let pairs = lines.into_iter().zip(before);
            pairs.filter(|(after, before)| after != before).map(|(after, _)| after).collect()
        }
        Change::Reviewers(Reviewers { add, remove }) => {
            let add = add.iter().map(|id| format!("{} begins to review", names.of(id)));
            let remove = remove.iter().map(|id| format!("{} ceases to review", names.of(id)));
            add.chain(remove).collect()
        }
    }
}

fn charter_words(charter: &Charter) -> Vec<String> {
    let hours = |ms: u64| format!("{} h", ms as f64 / 3_600_000.0);
    // Structures with integers: there is nothing that JSON cannot say.
    let rules = serde_json::to_string(&charter.credit).unwrap_or_default();
    vec![
        format!("credits may be disputed for {}", hours(charter.dispute_window_ms)),
        format!("reviewers have {} to vote", hours(charter.vote_window_ms)),
        format!("{} equal votes decide", charter.quorum),
        format!("a run may give {} without a vote", amount(charter.budget_free_micro)),
        format!("a member may have {} disputes open", charter.disputes_open_max),
        format!("a member may have {} proposals open", charter.proposals_open_max),
        format!("a credit is paid {} token units", charter.units_per_credit),
        format!("credits are settled by the rules {rules}"),
    ]
}

impl fmt::Display for Listing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let disputes = dispute::Listing { disputes: self.disputes.clone() };
        write!(f, "{disputes}")?;
        if self.proposals.is_empty() {
            return f.write_str("\nno proposal");
        }
        for one in &self.proposals {
            write!(
                f,
                "\n{}  {}  {} proposes: {}: {} yes, {} no, {} decide",
                &one.id[..8],
                one.state,
                one.by,
                one.change.join("; "),
                one.poll.yes.len(),
                one.poll.no.len(),
                one.poll.quorum
            )?;
        }
        Ok(())
    }
}

impl fmt::Display for ProposalView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "proposal {}", self.id)?;
        let at = self.state_entry.map_or_else(String::new, |entry| format!(" (entry {entry})"));
        writeln!(f, "  {}{at}", self.state)?;
        writeln!(f, "  by {}, {}, entry {}", self.by, time(self.opened_ms), self.entry)?;
        self.change.iter().try_for_each(|line| writeln!(f, "  {line}"))?;
        writeln!(f, "  why: {}", self.why)?;
        write!(f, "{}", self.poll)
    }
}

impl fmt::Display for CharterView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "in force since entry {}", self.since_entry)?;
        charter_words(&self.charter).iter().try_for_each(|line| writeln!(f, "  {line}"))?;
        write!(f, "reviewers: {}", self.reviewers.join(", "))
    }
}
