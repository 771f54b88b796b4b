//! Published rounds against the credits that were settled from them: who attests the evidence, that it
//! follows from what holders opened; with plan and pool, that they opened it for the right fold and
//! directions; and, for an owner, that its numbers are its own, exactly.

use std::fmt;
use std::path::{Path, PathBuf};

use covey_aggregation::audit::weighing::Weights;
use covey_aggregation::credit::RoundEvidence;
use covey_aggregation::net::Membership;
use covey_aggregation::party::PartyId;
use covey_aggregation::program::credits::PublishedEpoch;
use covey_aggregation::program::published::{read_publication, round_folders};
use covey_aggregation::program::rosters::Rosters;
use covey_aggregation::program::{Exit, Failure};
use covey_aggregation::publication::{RoundResult, verify_but_sum};
use covey_model::data::DataSource;
use serde::Serialize;

use super::Retraining;
use super::proof::{Numbers, numbers};
use crate::config::Config;
use crate::sketches::Sketches;

/// What is verified, and with what.
#[derive(Clone, Copy, Debug)]
pub struct Sources<'a> {
    /// The published rounds.
    pub folder: &'a Path,
    /// The settled credits.
    pub credits: &'a Path,
    /// The checker's own roster.
    pub roster: &'a Path,
    /// An owner's configuration: its own numbers are computed again, too.
    pub config: Option<&'a Path>,
    /// The run's plan and the validation pool: folds and directions are computed again, too.
    pub training: Option<(&'a Path, &'a DataSource)>,
}

/// What was verified.
#[derive(Debug, Serialize)]
pub struct Verified {
    /// The published rounds.
    pub folder: PathBuf,
    /// Rounds whose evidence holds.
    pub rounds: Vec<u32>,
    /// Rounds without evidence, with the reason where it is published.
    pub uncredited: Vec<(u32, String)>,
    /// Of these, rounds in which the examples that owners declare do not add up to the sum's weight.
    pub misweighed: Vec<(u32, Weights)>,
    /// Of these, rounds whose fold, directions and functions were computed again from plan and pool.
    pub retrained: Option<Vec<u32>>,
    /// Of these, rounds in which the owner's numbers were computed again from its own projections.
    pub own: Option<Vec<u32>>,
    /// What was checked, and what was not.
    pub checked: Vec<String>,
}

/// An owner, and where it keeps what it sent.
pub(super) struct Own {
    pub(super) id: PartyId,
    pub(super) sketches: Sketches,
}

/// Verifies credits against the published rounds.
///
/// # Errors
/// [`Failure`] with [`Exit::Unverified`] that names the round and what does not hold; others when a
/// file is missing.
pub fn verify(sources: &Sources<'_>) -> Result<Verified, Failure> {
    let Sources { folder, credits, roster, config, training } = *sources;
    let rosters = Rosters::read(roster, folder)?;
    let own = config.map(owner).transpose()?;
    let begin = |(plan, pool)| Retraining::begin(plan, pool, folder);
    let mut retraining = training.map(begin).transpose()?;
    let epoch = super::checked(credits)?;
    let mut verified = Verified {
        folder: folder.to_owned(),
        rounds: Vec::new(),
        uncredited: Vec::new(),
        misweighed: Vec::new(),
        retrained: retraining.as_ref().map(|_| Vec::new()),
        own: own.as_ref().map(|_| Vec::new()),
        checked: Vec::new(),
    };
    for path in round_folders(folder)? {
        let publication = read_publication(&path).map_err(|error| Failure::file(&error))?;
        let round = publication.result.config.round;
        let no = |what: String| unverified(&path, &what);
        let roster = rosters.of_round(&publication.result.config.federation);
        verify_but_sum(&publication, roster).map_err(|fault| no(fault.to_string()))?;
        if let Some(retraining) = &mut retraining
            && retraining.round(&path, &publication)?
        {
            verified.retrained.get_or_insert_default().push(round);
        }
        let evidence = epoch.rounds.iter().find(|one| one.round() == round);
        let credit = publication.result.audit.as_ref().and_then(|audit| audit.credit.as_ref());
        let Some(credit) = credit else {
            if evidence.is_some() {
                return Err(no("credits are settled for a round that published none".to_owned()));
            }
            let why = publication.result.report.no_credit.as_ref();
            let why =
                why.map_or_else(|| "its terms have no credit".to_owned(), ToString::to_string);
            verified.uncredited.push((round, why));
            continue;
        };
        if evidence != Some(&credit.evidence) {
            return Err(no("the credits are settled from other evidence".to_owned()));
        }
        verified.rounds.push(round);
        if !credit.weights.are_equal() {
            verified.misweighed.push((round, credit.weights));
        }
        if let Some(own) = &own
            && own.check(&publication.result).map_err(no)?
        {
            verified.own.get_or_insert_default().push(round);
        }
    }
    verified.complete(&epoch, own.is_some(), retraining.as_ref())?;
    Ok(verified)
}

/// An owner's key and sketches.
pub(super) fn owner(config: &Path) -> Result<Own, Failure> {
    let config = Config::read(config)?;
    let membership = Membership::load(&config.folder).map_err(|error| Failure::identity(&error))?;
    let sketches = Sketches::at(&config.state.join(crate::client::SKETCHES_FOLDER));
    Ok(Own { id: membership.member().id, sketches })
}

impl Own {
    /// Whether the owner's published scores are those of its own projections; `false` where it is not
    /// in the round, or kept nothing of it.
    fn check(&self, result: &RoundResult) -> Result<bool, String> {
        let context = result.config.context();
        let sketch = self.sketches.get(&context).map_err(|error| error.to_string())?;
        let Some(sketch) = sketch else { return Ok(false) };
        match numbers(result, &self.id, &sketch)? {
            Some(Numbers { published, follow }) if published != follow => {
                Err("your published numbers are not those of what you sent".to_owned())
            }
            found => Ok(found.is_some()),
        }
    }
}

impl Verified {
    /// Whether every round of the epoch was found, and what this comes to.
    fn complete(
        &mut self,
        epoch: &PublishedEpoch,
        with_own: bool,
        retraining: Option<&Retraining>,
    ) -> Result<(), Failure> {
        let is_missing = |evidence: &&RoundEvidence| !self.rounds.contains(&evidence.round());
        if let Some(missing) = epoch.rounds.iter().find(is_missing) {
            let what = format!("round {} of the credits is not published", missing.round());
            return Err(unverified(&self.folder, &what));
        }
        let ok = |what: &str| format!("ok       {what}");
        self.checked = vec![
            ok("the settlement is the one that the evidence gives"),
            ok("the evidence is what the holders' openings give, and a quorum attests it"),
            ok("the numbers of all owners add up to those of the published sum"),
        ];
        if self.misweighed.is_empty() {
            let what = "the examples that owners declare add up to the weight in the sum";
            self.checked.push(ok(what));
        }
        self.checked.extend(self.retrained(retraining));
        self.checked.push(match &self.own {
            Some(own) if !own.is_empty() => {
                format!("ok       your own numbers, from what you sent, in {} rounds", own.len())
            }
            _ if with_own => {
                "not checked: your own numbers: nothing was kept of these rounds".into()
            }
            _ => "not checked: any owner's own numbers (--config)".into(),
        });
        self.checked.push(
            "attested only: each owner's three numbers: f + 1 holders opened the same parts of them"
                .to_owned(),
        );
        self.checked.push(
            "not checked: that the sum is that of the contributions (covey-committee verify)"
                .to_owned(),
        );
        Ok(())
    }

    /// What was computed of folds and directions.
    fn retrained(&self, retraining: Option<&Retraining>) -> Vec<String> {
        let (Some(retraining), Some(rounds)) = (retraining, &self.retrained) else {
            let what = "attested only: that folds, directions and functions are those of plan and \
                        pool (--plan, --pool)";
            return vec![what.to_owned()];
        };
        let rounds = rounds.len();
        let mut lines = vec![
            format!(
                "ok       the pool's file, the folds, the retired examples and the last steps of \
                 {rounds} rounds"
            ),
            format!(
                "ok       models, directions and functions of {rounds} rounds, trained here (floats \
                 as near as holders ask)"
            ),
        ];
        match retraining.retired_before() {
            0 => {}
            retired => lines.push(format!(
                "attested only: that {retired} examples of the pool were opened before this run"
            )),
        }
        lines
    }
}

fn unverified(path: &Path, what: &str) -> Failure {
    Failure::new(Exit::Unverified, "CREDIT_UNVERIFIED", format!("{}: {what}", path.display()))
        .with_help("keep a copy and tell the others: somebody published what does not hold")
}

impl fmt::Display for Verified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{}: the evidence of {} rounds holds",
            self.folder.display(),
            self.rounds.len()
        )?;
        for (round, why) in &self.uncredited {
            writeln!(f, "round {round}: nobody is credited: {why}")?;
        }
        for (round, Weights { declared, sealed }) in &self.misweighed {
            writeln!(
                f,
                "round {round}: owners declare {declared} examples, the sum's weight is {sealed}: one \
                 of them declares another number than it sealed; no credit hangs on the difference"
            )?;
        }
        f.write_str(&self.checked.join("\n"))
    }
}
