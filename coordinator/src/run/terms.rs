//! A round's terms, from plan, roster and where the run stands.

use covey_aggregation::audit::deal::ComponentKey;
use covey_aggregation::config::{CommitteeShape, Control, KeyLayer, RoundConfig, cohort_digest};
use covey_aggregation::party::{PartyId, Role};
use covey_aggregation::program::enrol::secret;
use covey_aggregation::program::{Exit, Failure};
use covey_aggregation::round::{Terms, Timings};
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;

use super::credit::RoundCredit;
use super::place::Place;
use super::{Run, Standing};

impl Run<'_> {
    /// The committee's shape.
    pub(super) fn shape(&self) -> Option<CommitteeShape> {
        CommitteeShape::of_members(self.driver.roster.committee().len())
    }

    pub(super) fn no_committee(&self) -> Failure {
        let holders = self.driver.roster.committee().len();
        let what = format!("{holders} key holders in the roster: a committee has 4 or 7");
        Failure::new(Exit::BadInput, "BAD_ROSTER", what)
            .with_help("enrol holders: covey-coordinator enrol --dir DIR REQUEST.json")
    }

    /// The second vector of the next round's terms, where the strategy has one: its control
    /// variate is a mean over all data owners of the roster.
    fn control(&self, place: &Place) -> Option<Control> {
        let owners = self.driver.roster.with_role(Role::DataOwner).count();
        let owners = u32::try_from(owners).unwrap_or(u32::MAX);
        self.learning.plan.control(owners, place.variate?)
    }

    /// The terms of round `number` with these owners.
    pub(super) fn terms(
        &self,
        standing: &Standing,
        number: u32,
        owners: Vec<PartyId>,
        beacons: Vec<ComponentKey>,
    ) -> Result<Terms, Failure> {
        let Some(shape) = self.shape() else { return Err(self.no_committee()) };
        let (plan, roster) = (&self.learning.plan, &self.driver.roster);
        let cohort = draw(owners, plan.cohort.maximum as usize)?;
        let deadlines = plan.cohort.deadlines;
        let dimension = self.learning.task.parameters() as u64;
        let noise = plan.noise(dimension).map_err(|bad| {
            Failure::new(Exit::BadInput, "BAD_NOISE", format!("the noise of the plan: {bad}"))
                .with_help("covey-client plan check says what would fit; launch that plan")
        })?;
        let mut config = RoundConfig {
            federation: roster.digest(),
            run: standing.run.run,
            round: number,
            plan: self.learning.plan_digest,
            manifest: self.learning.task.manifest_digest(),
            model: standing.place.model,
            dimension,
            profile: plan.secure_aggregation.profile,
            key_layer: KeyLayer::ReplicatedSeeds,
            quantiser: plan.quantiser_at(&standing.place.state),
            counters: plan.counters(),
            control: self.control(&standing.place),
            noise,
            packing: plan.packing(),
            contributions_min: plan.cohort.minimum,
            contributions_max: plan.cohort.maximum,
            shape,
            committee: roster.committee(),
            cohort: cohort_digest(&cohort),
            beacon_commitments: beacons.iter().map(|key| key.key.commitment).collect(),
            audit: plan.secure_aggregation.audit,
            credit: None,
            collect_ms: deadlines.collect_ms,
        };
        let RoundCredit { config: credit, retired, attested } = self.round_credit(&config)?;
        config.credit = credit;
        // It leaves room for updates that count several times, where credit weighs them.
        if let Some(packing) = config.derive_packing() {
            config.packing = packing;
        }
        let timings = Timings {
            select_ms: deadlines.select_ms,
            collect_ms: deadlines.collect_ms,
            collect_again_ms: plan.cohort.collect_again_ms(),
            vote_ms: deadlines.vote_ms,
            audit_ms: deadlines.audit_ms,
            release_ms: deadlines.release_ms,
            resend_ms: u64::from(self.config.rounds.resend_ms.value()),
        };
        Ok(Terms { config, cohort, timings, beacons, retired, attested })
    }
}

/// At most `maximum` of the owners, ascending.
fn draw(mut owners: Vec<PartyId>, maximum: usize) -> Result<Vec<PartyId>, Failure> {
    if owners.len() > maximum {
        let mut rng = StdRng::from_seed(*secret()?);
        owners.shuffle(&mut rng);
        owners.truncate(maximum);
    }
    owners.sort_unstable();
    Ok(owners)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cohort_is_ascending_and_never_above_the_maximum() {
        let owners: Vec<_> = (0..20).rev().map(|i| PartyId([i; 32])).collect();
        let all = draw(owners.clone(), 20).expect("drawn");
        assert_eq!(all.len(), 20);
        assert!(all.is_sorted());
        let some = draw(owners, 7).expect("drawn");
        assert_eq!(some.len(), 7);
        assert!(some.windows(2).all(|pair| pair[0] < pair[1]));
    }
}
