//! `mcp`: what an assistant may use of this program.

mod tools;

use std::io;

use covey_aggregation::program::Failure;
use covey_ledger::desk::mcp::{Places, Server, TOOLS, run_self};

use crate::arguments::Mcp;

/// Answers at stdin and stdout until the other side ends.
///
/// # Errors
/// [`Failure`]: they are broken.
pub(crate) fn serve(arguments: Mcp) -> Result<(), Failure> {
    let Mcp { config, ledger, roster, allow_write } = arguments;
    let server = Server {
        name: "covey-client",
        tools: TOOLS.iter().chain(tools::OWN).collect(),
        may_write: allow_write,
        places: Places { config, ledger, roster },
        run: &run_self,
    };
    server.serve(io::stdin().lock(), io::stdout().lock())
}

#[cfg(test)]
mod tests;
