//! What a round is opened with.

use serde::{Deserialize, Serialize};

use crate::audit::deal::ComponentKey;
use crate::config::{BadConfig, RoundConfig, cohort_digest};
use crate::credit::pool::retired_digest;
use crate::credit::{Attested, CreditState};
use crate::party::PartyId;

/// How long things take at most, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timings {
    /// Select: for holders to countersign.
    pub select_ms: u64,
    /// Collect: for clients to train, seal and upload.
    pub collect_ms: u64,
    /// Collect, once more, where too few have contributed when its time is over; 0: it is not
    /// extended.
    pub collect_again_ms: u64,
    /// Vote: for holders to check (half of it) and vote.
    pub vote_ms: u64,
    /// Release: for holders to release, and once more for the coordinator to open.
    pub release_ms: u64,
    /// Audit: for clients to prove. The holders' steps of that phase have `vote_ms` each, and
    /// `release_ms` where they open and judge.
    pub audit_ms: u64,
    /// How often an unanswered question is repeated.
    pub resend_ms: u64,
}

/// A round's terms, and what only the coordinator needs beside them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Terms {
    /// What everybody signs.
    pub config: RoundConfig,
    /// Admitted clients, ascending.
    pub cohort: Vec<PartyId>,
    /// Deadlines.
    pub timings: Timings,
    /// The beacon keys of all components, in canonical order; none when the audit is off.
    pub beacons: Vec<ComponentKey>,
    /// Examples of the validation pool that earlier folds opened, ascending; none without credit.
    pub retired: Vec<u32>,
    /// What the credit's state goes on from; none at a pool's first round, and without credit.
    pub attested: Option<Box<Attested>>,
}

/// Terms that no round can be opened with.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadTerms {
    /// The configuration does not hold together.
    #[error("the configuration: {0}")]
    Config(#[from] BadConfig),
    /// The cohort is not in ascending order, or not the one that the configuration names.
    #[error("the cohort is not the ascending list that the configuration names")]
    Cohort,
    /// Fewer clients than must contribute, or more than may be summed.
    #[error("a cohort of {got}, the configuration says {min}..={max} contributions")]
    CohortSize {
        /// Clients.
        got: usize,
        /// n_min.
        min: u32,
        /// n_max.
        max: u32,
    },
    /// Not the beacon keys that the configuration commits to.
    #[error("the beacon keys are not those that the configuration commits to")]
    Beacons,
    /// Not what the credit's state says.
    #[error("the credit does not go on from what is attested: {0}")]
    Credit(&'static str),
    /// A time of zero.
    #[error("{0} must be above zero")]
    Timing(&'static str),
    /// Clients are told another time than the coordinator keeps.
    #[error("the configuration tells clients {told} ms for Collect, the timings say {kept} ms")]
    CollectTime {
        /// In the configuration.
        told: u64,
        /// In the timings.
        kept: u64,
    },
}

impl Terms {
    /// Checks that a round can be opened.
    ///
    /// # Errors
    /// [`BadTerms`] by the first fault.
    pub fn validate(&self) -> Result<(), BadTerms> {
        let Self { config, cohort, timings, beacons, .. } = self;
        config.validate()?;
        let ascending = cohort.windows(2).all(|pair| pair[0] < pair[1]);
        if !ascending || cohort_digest(cohort) != config.cohort {
            return Err(BadTerms::Cohort);
        }
        let (got, min, max) = (cohort.len(), config.contributions_min, config.contributions_max);
        if got < min as usize || got > max as usize {
            return Err(BadTerms::CohortSize { got, min, max });
        }
        let committed = beacons.iter().map(|key| key.key.commitment);
        let components = config.shape.components();
        let fits = |(component, key): (_, &ComponentKey)| key.key.fits(config.shape, component);
        if !committed.eq(config.beacon_commitments.iter().copied())
            || !components.into_iter().zip(beacons).all(fits)
        {
            return Err(BadTerms::Beacons);
        }
        self.validate_credit()?;
        timings.validate()?;
        let (told, kept) = (config.collect_ms, timings.collect_ms);
        if told == kept { Ok(()) } else { Err(BadTerms::CollectTime { told, kept }) }
    }
}

impl Terms {
    fn validate_credit(&self) -> Result<(), BadTerms> {
        let Some(credit) = &self.config.credit else {
            let none = self.retired.is_empty() && self.attested.is_none();
            return none.then_some(()).ok_or(BadTerms::Credit("the terms have none"));
        };
        if retired_digest(&credit.state.pool, &self.retired) != credit.state.retired {
            return Err(BadTerms::Credit("other examples were opened"));
        }
        let expected = match &self.attested {
            None => CreditState::first(credit.state.pool),
            Some(attested) => attested.state_for(&self.config.run),
        };
        let goes_on = credit.state == expected;
        goes_on.then_some(()).ok_or(BadTerms::Credit("it begins with another state"))
    }
}

impl Timings {
    /// Checks that no time is zero.
    ///
    /// # Errors
    /// [`BadTerms::Timing`], naming the first.
    pub fn validate(&self) -> Result<(), BadTerms> {
        let named = [
            ("select_ms", self.select_ms),
            ("collect_ms", self.collect_ms),
            ("vote_ms", self.vote_ms),
            ("release_ms", self.release_ms),
            ("audit_ms", self.audit_ms),
            ("resend_ms", self.resend_ms),
        ];
        let zero = named.iter().find(|(_, value)| *value == 0);
        zero.map_or(Ok(()), |(name, _)| Err(BadTerms::Timing(name)))
    }
}
