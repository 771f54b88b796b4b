//! `privacy`: what was told about the data, and what may be.

use std::path::PathBuf;

use clap::Subcommand;

use super::OwnerConfig;

/// Shown below the help.
pub(super) const EXAMPLES: &str = "Examples:
  covey-client privacy budget --config ./st-marys/client.toml
  covey-client privacy budget --config ./st-marys/client.toml --json
  covey-client privacy explain plan.toml";

#[derive(Subcommand)]
pub(crate) enum PrivacyCommand {
    /// Show what rounds with noise have told about your data, over all runs and memberships, beside
    /// what you allow (require.privacy in policy.toml).
    Budget {
        #[command(flatten)]
        owner: OwnerConfig,
    },
    /// Say in plain words what epsilon and delta mean, and what a plan's guarantee covers and what
    /// not.
    Explain {
        /// The plan.
        plan: Option<PathBuf>,
    },
}
