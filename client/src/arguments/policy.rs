//! `policy`: what an owner allows.

use std::path::PathBuf;

use clap::Subcommand;

use super::OwnerConfig;

/// Shown below the help.
pub(super) const EXAMPLES: &str = "Examples:
  covey-client policy init ./st-marys/policy.toml
  covey-client policy check ./st-marys/policy.toml
  covey-client policy show ./st-marys/policy.toml --json
  covey-client policy test plan.toml --config ./st-marys/client.toml";

#[derive(Subcommand)]
pub(crate) enum PolicyCommand {
    /// Write a policy to begin with, with every setting and what it means. It allows nothing yet.
    Init {
        /// The file to write, never one that is there.
        #[arg(default_value = "policy.toml")]
        file: PathBuf,
    },
    /// Show a policy with every setting, also those that it does not say.
    Show {
        /// The policy.
        #[arg(default_value = "policy.toml")]
        file: PathBuf,
    },
    /// Tell everything that is wrong with a policy.
    Check {
        /// The policy.
        #[arg(default_value = "policy.toml")]
        file: PathBuf,
    },
    /// Try a plan on your policy: every rule with pass, fail or asks, and what would leave this
    /// machine.
    ///
    /// Exit code 5 where the plan is refused. Rules that hang on the time of day or on the
    /// committee are told when a round is offered.
    Test {
        /// The plan.
        plan: PathBuf,
        #[command(flatten)]
        owner: OwnerConfig,
    },
}
