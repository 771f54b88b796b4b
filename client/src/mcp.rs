//! `mcp`: what an assistant may use of this program.

use std::io;

use covey_aggregation::program::Failure;
use covey_ledger::desk::mcp::{Kind, Needs, Parameter, Places, Server, TOOLS, Tool, run_self};

use crate::arguments::Mcp;
use crate::policy::POLICY_FILE;

/// What the owner of a client asks beside the ledger.
const OWN: &[Tool] = &[
    own("policy_show", &["policy", "show"], "The owner's policy, with every setting", &[]),
    Tool {
        needs: Needs::Config,
        ..own(
            "policy_test",
            &["policy", "test"],
            "Try a plan on the owner's policy: every rule with pass, fail or asks, and what would leave",
            &[Parameter {
                name: "plan",
                about: "The plan's file (TOML)",
                kind: Kind::Word,
                is_required: true,
            }],
        )
    },
    Tool {
        needs: Needs::Config,
        ..own("runs_list", &["runs", "list"], "Runs that were offered to this owner", &[])
    },
    Tool {
        needs: Needs::Config,
        ..own(
            "receipts",
            &["receipts"],
            "This owner's receipts: the rounds that counted it and its credits, each checked in the ledger",
            &[],
        )
    },
    Tool {
        needs: Needs::Config,
        ..own(
            "audit",
            &["audit"],
            "Everything that this client has sent: when, what kind, how many bytes, to whom",
            &[Parameter {
                name: "since",
                about: "From when on: 2026-11-28, 2026-11-28T10:58:02Z, or how long ago: 7d",
                kind: Kind::Text("--since"),
                is_required: false,
            }],
        )
    },
];

const fn own(
    name: &'static str,
    command: &'static [&'static str],
    about: &'static str,
    parameters: &'static [Parameter],
) -> Tool {
    Tool { name, about, command, needs: Needs::Beside(POLICY_FILE), parameters, writes: false }
}

/// Answers at stdin and stdout until the other side ends.
///
/// # Errors
/// [`Failure`]: they are broken.
pub(crate) fn serve(arguments: Mcp) -> Result<(), Failure> {
    let Mcp { config, ledger, roster, allow_write } = arguments;
    let server = Server {
        name: "covey-client",
        tools: TOOLS.iter().chain(OWN).collect(),
        may_write: allow_write,
        places: Places { config, ledger, roster },
        run: &run_self,
    };
    server.serve(io::stdin().lock(), io::stdout().lock())
}
