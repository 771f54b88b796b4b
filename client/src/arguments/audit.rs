//! `audit`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use covey_aggregation::program::clock::parse_since;
use covey_aggregation::time::Time;

use crate::outbound::report::Filter;

#[derive(Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Audit {
    #[command(subcommand)]
    pub(crate) command: Option<AuditCommand>,
    #[command(flatten)]
    pub(crate) chosen: Chosen,
}

/// Which log, and which entries of it.
#[derive(Args)]
pub(crate) struct Chosen {
    #[command(flatten)]
    pub(crate) log: AuditLog,
    /// Only messages of this run: its identity, or the beginning of that.
    #[arg(long, value_name = "ID")]
    run: Option<String>,
    /// Only entries from this time on: 2026-11-28, 2026-11-28T10:58:02Z, or how long ago: 90m, 7d.
    #[arg(long, value_name = "T", value_parser = parse_since)]
    since: Option<Time>,
}

impl Chosen {
    pub(crate) fn filter(&self) -> Filter {
        Filter { run: self.run.clone(), since: self.since }
    }
}

#[derive(Args)]
pub(crate) struct AuditLog {
    /// The owner's configuration.
    #[arg(long, env = "COVEY_CONFIG", default_value = "client.toml")]
    pub(crate) config: PathBuf,
}

#[derive(Subcommand)]
pub(crate) enum AuditCommand {
    /// Check every entry by its hash and by the one before. Exit code 6 names the entry that was
    /// changed.
    Verify {
        #[command(flatten)]
        log: AuditLog,
        /// A file that `audit export` wrote, in the place of this client's own log.
        #[arg(long, value_name = "FILE")]
        file: Option<PathBuf>,
        /// The hash of an entry, noted earlier, which must be in the log: a log whose end was cut
        /// is whole otherwise.
        #[arg(long, value_name = "HASH")]
        head: Option<String>,
    },
    /// Write entries to a file, or to stdout.
    Export {
        #[command(flatten)]
        chosen: Chosen,
        /// As the log has them, one JSON object a line; or for a spreadsheet.
        #[arg(long, value_enum, default_value_t)]
        format: ExportFormat,
        /// A new file; stdout if not given.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExportFormat {
    /// JSON lines with hashes, which `audit verify --file` can check where nothing was left out.
    #[default]
    Jsonl,
    /// CSV.
    Csv,
}
