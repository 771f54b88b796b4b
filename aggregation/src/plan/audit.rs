//! Whether rounds can be audited as a plan asks, and what everybody is told about it.

use std::ops::Range;

use crate::audit::terms::{BadTerms, Terms};
use crate::config::{Audit, CommitteeShape, KeyLayer, RoundConfig, Weighting};
use crate::credit::CreditState;
use crate::hash::Digest;

use super::Plan;
use super::error::{Code, Collector};

impl Plan {
    /// A round's terms with a committee of four, as far as lengths and bounds follow from the plan and
    /// its model's parameters; without members, cohort and digests.
    #[must_use]
    pub fn layout_terms(&self, parameters: u64) -> RoundConfig {
        let mut terms = RoundConfig {
            federation: Digest::ZERO,
            run: Digest::ZERO,
            round: 1,
            plan: Digest::ZERO,
            manifest: Digest::ZERO,
            model: Digest::ZERO,
            dimension: parameters,
            profile: self.secure_aggregation.profile,
            key_layer: KeyLayer::ReplicatedSeeds,
            quantiser: self.quantiser(),
            counters: self.counters(),
            control: self.control(self.cohort.maximum, Digest::ZERO),
            // None where it does not fit, which the plan's check says.
            noise: self.noise(parameters).unwrap_or_default(),
            packing: self.packing,
            contributions_min: self.cohort.minimum,
            contributions_max: self.cohort.maximum,
            shape: CommitteeShape::Four,
            committee: Vec::new(),
            cohort: Digest::ZERO,
            beacon_commitments: Vec::new(),
            audit: self.secure_aggregation.audit,
            credit: self.credit_config(CreditState::first(Digest::ZERO)),
            collect_ms: self.cohort.deadlines.collect_ms,
        };
        // None where the rounds cannot be audited, which `audit_terms` says.
        if let Some(packing) = terms.derive_packing() {
            terms.packing = packing;
        }
        terms
    }

    /// Lengths and bounds of the audit of a model of `parameters` parameters; none where the plan
    /// asks for no audit.
    ///
    /// # Errors
    /// [`BadTerms`]: its rounds cannot be audited.
    pub fn audit_terms(&self, parameters: u64) -> Result<Option<Terms>, BadTerms> {
        match self.secure_aggregation.audit {
            Audit::Off => Ok(None),
            Audit::Closed { .. } => Terms::new(&self.layout_terms(parameters)).map(Some),
        }
    }

    /// What owners, researcher and page must be told about the audit and the credit.
    #[must_use]
    pub const fn audit_notice(&self) -> &'static str {
        match (self.secure_aggregation.audit, self.credit, self.training.weighting) {
            (Audit::Off, ..) => {
                "audit off: updates are range-limited only, a false one is not detected, and no \
                 credit is given"
            }
            (Audit::Closed { .. }, None, Weighting::CappedExamples(_)) => {
                "audit on: every update is checked to be no longer than the plan allows; pass or \
                 fail and, as owners count by it, each owner's number of its examples are published, \
                 nobody sees an update, and no credit is given"
            }
            (Audit::Closed { .. }, None, Weighting::Uniform) => {
                "audit on: every update is checked to be no longer than the plan allows; only pass \
                 or fail comes out, nobody sees an update, and no credit is given"
            }
            (Audit::Closed { .. }, Some(_), Weighting::Uniform) => {
                "audit on: every update is checked to be no longer than the plan allows, and \
                 nobody sees one; credit is given: pass or fail and three numbers about each owner \
                 are published in every round"
            }
            (Audit::Closed { .. }, Some(_), Weighting::CappedExamples(_)) => {
                "audit on: every update is checked to be no longer than the plan allows, and \
                 nobody sees one; credit is given: pass or fail, three numbers about each owner and \
                 the number of its examples, up to the cap, are published in every round"
            }
        }
    }
}

/// An audit that the plan's own model does not fit.
pub(super) fn check(plan: &Plan, at: &Range<usize>, errors: &mut Collector<'_>) {
    let Some(blueprint) = plan.blueprint() else { return };
    if let Err(bad) = plan.audit_terms(blueprint.parameters()) {
        let help = "lower clip_norm, raise range, lower bits or cohort.maximum; or write \
                    `audit = \"off\"`";
        errors.push(at, Code::Audit, format!("rounds cannot be audited: {bad}"), help);
    }
}
