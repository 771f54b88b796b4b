//! What members and everybody else do with a ledger at a command line, the same in every program that has
//! it: dispute a credit, vote, propose, say where one is paid; compute payouts; check all of it offline.
//! Part of feature `desk`; the rest of this package knows nothing of it.
//!
//! - [`address`], [`dispute`], [`review`]: what is signed; [`saying`]: how it is shown, agreed to and sent
//! - [`payout`]: what is computed; [`ledger`]: what is checked
//! - [`seat`]: whose keys; [`source`]: which ledger, by whose roster; [`names`]: what people call things
//! - [`mod@answer`]: what a command answers
//! - [`mcp`]: the same for programs that hold a conversation
//!
//! A program adds [`DeskCommand`] to its own commands and calls [`carry_out`].

pub mod address;
pub mod answer;
pub mod dispute;
pub mod ledger;
pub mod mcp;
pub mod names;
pub mod payout;
pub mod review;
pub mod saying;
pub mod seat;
pub mod source;
pub mod words;

use std::io::{BufRead as _, IsTerminal as _};

use clap::Subcommand;
use covey_aggregation::program::answer::note;
use covey_aggregation::program::{Exit, Failure, Format, clock};
use covey_aggregation::research::StatementBytes;

pub use self::answer::Answer;
pub use self::seat::Seat;

/// The commands.
#[derive(Debug, Subcommand)]
pub enum DeskCommand {
    /// Disputes of credits: open one, withdraw it, look at them
    #[command(subcommand, after_help = dispute::EXAMPLES)]
    Dispute(dispute::DisputeCommand),
    /// What reviewers vote on: look at it, vote, propose a budget, a charter, or who reviews
    #[command(subcommand, after_help = review::EXAMPLES)]
    Review(review::ReviewCommand),
    /// Where you are paid
    #[command(subcommand, after_help = address::EXAMPLES)]
    Address(address::AddressCommand),
    /// Payouts, computed from a ledger: amounts, tables, the file for a contract. Nothing is signed or sent
    #[command(subcommand, after_help = payout::EXAMPLES)]
    Payout(payout::PayoutCommand),
    /// Check a ledger offline: what is checked, what a quorum attests, what is only asserted.
    /// Exit code 6 on any doubt
    #[command(subcommand, after_help = ledger::EXAMPLES)]
    Ledger(ledger::LedgerCommand),
}

/// How a signed statement is sent; the number of its entry.
pub type Sender<'a> = &'a dyn Fn(&Seat, StatementBytes) -> Result<u64, Failure>;

/// Asks a person: the answer, or none where there is nobody to ask.
pub type Asker<'a> = &'a dyn Fn(&str) -> Option<bool>;

/// What a command is carried out with.
#[derive(Clone, Copy)]
pub struct Desk<'a> {
    /// Names of the program's configurations, looked for in this order where none is given.
    pub configs: &'a [&'a str],
    /// The time, in milliseconds since the Unix epoch.
    pub now_ms: u64,
    /// How statements are sent.
    pub send: Sender<'a>,
    /// How a person is asked.
    pub ask: Asker<'a>,
}

impl<'a> Desk<'a> {
    /// A desk of this machine: its clock, its network, its terminal.
    #[must_use]
    pub fn new(configs: &'a [&'a str]) -> Self {
        Self { configs, now_ms: clock::now().0, send: &seat::send, ask: &ask }
    }
}

/// Carries a command out and prints its answer; how the program ends.
///
/// # Errors
/// [`Failure`]: why there is no answer.
pub fn carry_out(command: &DeskCommand, desk: &Desk<'_>, format: Format) -> Result<Exit, Failure> {
    Ok(answer(command, desk)?.tell(format))
}

/// Carries a command out.
///
/// # Errors
/// [`Failure`]: why there is no answer.
pub fn answer(command: &DeskCommand, desk: &Desk<'_>) -> Result<Answer, Failure> {
    match command {
        DeskCommand::Dispute(command) => dispute::answer(command, desk),
        DeskCommand::Review(command) => review::answer(command, desk),
        DeskCommand::Address(command) => address::answer(command, desk),
        DeskCommand::Payout(command) => payout::answer(command, desk),
        DeskCommand::Ledger(command) => ledger::answer(command, desk),
    }
}

/// Asks at the terminal.
fn ask(question: &str) -> Option<bool> {
    if !std::io::stdin().is_terminal() {
        return None;
    }
    note(format_args!("{question} [y/N]"));
    let mut line = String::new();
    // Who cannot be heard has not said yes.
    let heard = std::io::stdin().lock().read_line(&mut line).is_ok();
    Some(heard && matches!(line.trim(), "y" | "Y" | "yes"))
}
