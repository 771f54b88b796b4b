//! `mcp`.

use clap::Args;

/// What an assistant may use. Which files these are is said here, never by a call.
#[derive(Args)]
pub(crate) struct Mcp {
    /// Your configuration, as for the other commands: client.toml or researcher.toml.
    #[arg(long, value_name = "FILE", env = "COVEY_CONFIG")]
    pub(crate) config: Option<String>,
    /// The folder with the ledger: what the coordinator publishes, or a copy of it.
    #[arg(long, value_name = "DIR", env = "COVEY_LEDGER")]
    pub(crate) ledger: Option<String>,
    /// Your own copy of the federation's roster. Without it, that of your configuration.
    #[arg(long, value_name = "FILE")]
    pub(crate) roster: Option<String>,
    /// Also offer what writes files, asks the coordinator for something (runs), or signs and sends: disputes,
    /// votes, proposals, addresses. What is signed is public, for good, and under your name.
    #[arg(long)]
    pub(crate) allow_write: bool,
}
