//! Everything that was published, computed again, without the network and without trusting the
//! coordinator: signatures, certificate, every ciphertext, the sum.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use covey_aggregation::hash::Digest;
use covey_aggregation::program::Failure;
use covey_aggregation::program::published::{Contributions, read_publication, round_folders};
use covey_aggregation::program::rosters::Rosters;
use covey_aggregation::publication::{Blame, Publication, verify};
use covey_aggregation::roster::Roster;
use serde::Serialize;

/// What came of a check.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Whether every round found holds, and there is at least one.
    pub is_verified: bool,
    /// Rounds that hold.
    pub verified: usize,
    /// Rounds that do not, and other doubts.
    pub doubts: usize,
    /// Round by round.
    pub rounds: Vec<RoundReport>,
}

/// What came of one round.
#[derive(Debug, Serialize)]
pub struct RoundReport {
    /// Its folder.
    pub folder: PathBuf,
    /// Its number, where that could be read.
    pub round: Option<u32>,
    /// What holds, if it does.
    pub verified: Option<RoundVerified>,
    /// What does not.
    pub fault: Option<String>,
    /// Whose fault that is.
    pub blame: Option<String>,
}

/// What was computed again and found equal.
#[derive(Debug, Serialize)]
pub struct RoundVerified {
    /// The run.
    pub run: String,
    /// The round's context.
    pub round_ctx: String,
    /// Contributions added again.
    pub contributions: u32,
    /// Bytes of these.
    pub bytes: u64,
    /// Parameters of the aggregate.
    pub parameters: u64,
    /// Digest of the opened aggregate.
    pub aggregate: String,
}

/// Checks every round in `folder` (or the one round that it is), against the reader's own
/// `roster`. `progress` hears of each round as it is checked.
///
/// # Errors
/// [`Failure`] when the folder or the roster cannot be read at all. That a round does not hold is
/// no failure of the check: see [`Report::is_verified`].
pub fn verify_folder(
    folder: &Path,
    roster: &Path,
    mut progress: impl FnMut(&RoundReport),
) -> Result<Report, Failure> {
    let rosters = Rosters::read(roster, folder)?;
    let folders = round_folders(folder)?;
    let mut rounds = Vec::new();
    let mut seen = BTreeMap::new();
    for folder in folders {
        let report = verify_round(folder, &rosters, &mut seen);
        progress(&report);
        rounds.push(report);
    }
    let verified = rounds.iter().filter(|round| round.verified.is_some()).count();
    let doubts = rounds.len() - verified;
    Ok(Report { is_verified: doubts == 0 && verified > 0, verified, doubts, rounds })
}

fn verify_round(
    folder: PathBuf,
    rosters: &Rosters,
    seen: &mut BTreeMap<(Digest, u32), PathBuf>,
) -> RoundReport {
    let mut report = RoundReport { folder, round: None, verified: None, fault: None, blame: None };
    let publication = match read_publication(&report.folder) {
        Ok(publication) => publication,
        Err(fault) => {
            report.fault = Some(fault.to_string());
            return report;
        }
    };
    let config = &publication.result.config;
    report.round = Some(config.round);
    let roster = rosters.of_round(&config.federation);
    let mut source = Contributions::new(&report.folder, config);
    match verify(&publication, roster, &mut source) {
        Ok(verified) => {
            // Two results of one round would let the coordinator show each reader another.
            let first = seen.insert((config.run, config.round), report.folder.clone());
            if let Some(first) = first {
                report.fault =
                    Some(format!("round {} is published in {} too", config.round, first.display()));
                return report;
            }
            report.verified = Some(RoundVerified {
                run: config.run.to_string(),
                round_ctx: verified.round_ctx.to_string(),
                contributions: verified.count,
                bytes: verified.bytes,
                parameters: config.dimension,
                aggregate: verified.aggregate.to_string(),
            });
        }
        Err(fault) => {
            report.blame = Some(blame(&fault.blame(), &publication, roster));
            report.fault = Some(fault.to_string());
        }
    }
    report
}

fn blame(blame: &Blame, publication: &Publication, roster: &Roster) -> String {
    let holder = |index: &covey_aggregation::config::HolderIndex| {
        let seat = publication.result.config.committee.get(usize::from(index.0));
        seat.map_or_else(|| format!("holder {}", index.0), |seat| roster.name_of(&seat.holder))
    };
    match blame {
        Blame::Nobody => "nobody of this federation".to_owned(),
        Blame::Coordinator => "the coordinator".to_owned(),
        Blame::Storage => "the coordinator, or whoever stored the files since".to_owned(),
        Blame::Client(client) => {
            format!("{} (and the coordinator, who should have refused it)", roster.name_of(client))
        }
        Blame::Holders(holders) => {
            let names: Vec<_> = holders.iter().map(holder).collect();
            format!("{} (and the coordinator, who asked for it)", names.join(", "))
        }
    }
}

impl fmt::Display for RoundReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.folder.file_name().unwrap_or(self.folder.as_os_str()).to_string_lossy();
        match (&self.verified, &self.fault) {
            (Some(verified), _) => write!(
                f,
                "{name}  ok    {} contributions, {} bytes added again, {} parameters, aggregate {}",
                verified.contributions,
                verified.bytes,
                verified.parameters,
                &verified.aggregate[..8]
            ),
            (None, fault) => {
                write!(f, "{name}  DOUBT {}", fault.as_deref().unwrap_or("nothing was checked"))?;
                match &self.blame {
                    Some(blame) => write!(f, "\n  at fault: {blame}"),
                    None => Ok(()),
                }
            }
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.rounds.is_empty() {
            return write!(f, "NOT VERIFIED: there is no published round in this folder");
        }
        if self.is_verified {
            writeln!(f, "verified: {} round(s) added again and opened again", self.verified)?;
            write!(
                f,
                "trusted, not checked: that owners' data is genuine, and that no more holders than \
                 the committee may lose worked together"
            )
        } else {
            write!(f, "NOT VERIFIED: {} of {} round(s) in doubt", self.doubts, self.rounds.len())
        }
    }
}
