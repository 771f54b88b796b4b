//! From the model that a round begins with to the integers that are sealed. What the program at
//! work and the simulation share, so that both come to the same numbers: everything here follows
//! from the round's terms, the plan, the owner's name and its data.

use covey_aggregation::config::RoundConfig;
use covey_aggregation::evaluation::Tally;
use covey_aggregation::party::PartyId;
use covey_aggregation::plan::{Plan, Privacy, Unit};
use covey_aggregation::strategy::{control_change, gradient_offset, sent_change};
use covey_aggregation::sum::quantise::{Quantised, quantise, quantise_with_noise, quantise_within};
use covey_model::data::Dataset;
use covey_model::record::{RecordPrivacy, RecordSeed};
use covey_model::train::{Cancel, FitContext, FitReport, FitSeed, Progress, Trainer};
use zeroize::Zeroizing;

use crate::prepare::Declined;

/// An owner at work on a plan.
pub(crate) struct Owner<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) trainer: &'a Trainer,
    pub(crate) id: PartyId,
    pub(crate) training: &'a Dataset,
    /// Examples kept out of training; none where the plan keeps none, or none fell to them.
    pub(crate) held_out: Option<&'a Dataset>,
}

/// What a round begins with.
pub(crate) struct Start {
    pub(crate) parameters: Vec<f32>,
    /// The federation's control variate, where the strategy has one.
    pub(crate) variate: Option<Vec<f32>>,
}

/// What training and measuring gave.
pub(crate) struct Work {
    pub(crate) report: FitReport,
    counters: Zeroizing<Vec<u64>>,
}

/// What is sealed.
pub(crate) struct Made {
    pub(crate) quantised: Quantised,
    /// The change of the owner's control variate, to be kept if it is counted.
    pub(crate) change: Option<Vec<f64>>,
}

impl Owner<'_> {
    /// Measures the round's first model on what is held out, then trains. `own` is the owner's
    /// control variate, where the strategy has one, and what is drawn from where examples are hidden.
    pub(crate) fn work(
        &self,
        terms: &RoundConfig,
        start: &Start,
        (own, seed): (Option<&[f64]>, Option<&[u8; 32]>),
        cancel: &Cancel,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Work, Declined> {
        let counters = self.measure(terms, &start.parameters)?;
        let offset = start.variate.as_ref().zip(own);
        let offset = offset.map(|(variate, own)| gradient_offset(variate, own));
        let mut context = FitContext::new(self.seed(terms), cancel, progress)
            .in_round(terms.round)
            .watching(self.held_out);
        context.gradient_offset = offset.as_deref();
        let report = match self.plan.privacy {
            Some(Privacy { unit: Unit::Record { clip_norm }, noise_multiplier, .. }) => {
                let privacy = RecordPrivacy::new(noise_multiplier, clip_norm);
                let privacy = privacy.map_err(Declined::training)?;
                let seed = seed.ok_or_else(|| Declined::training("no seed of noise: a bug"))?;
                let seed = RecordSeed::new(*seed);
                let (parameters, data) = (&start.parameters, self.training);
                self.trainer.fit_records(parameters, data, &privacy, seed, context)
            }
            _ => self.trainer.fit(&start.parameters, self.training, context),
        };
        Ok(Work { report: report.map_err(Declined::training)?, counters })
    }

    /// Clips and rounds, and adds noise where the terms ask for it: drawn from `noise_seed`.
    pub(crate) fn quantise(
        &self,
        terms: &RoundConfig,
        start: &Start,
        work: &Work,
        noise_seed: Option<&[u8; 32]>,
    ) -> Result<Made, Declined> {
        let Work { report, counters } = work;
        let mut rng = self.seed(terms).rounding();
        if let Some(bounds) = terms.noise_bounds().map_err(Declined::training)? {
            let seed = noise_seed.ok_or_else(|| Declined::training("no seed of noise: a bug"))?;
            let (update, quantiser) = (&report.update, &terms.quantiser);
            let quantised = quantise_with_noise(update, quantiser, &bounds, &mut rng, seed);
            // Nothing travels beside noise: the terms were checked.
            return Ok(Made { quantised: quantised.map_err(Declined::training)?, change: None });
        }
        // Where the round is audited, rounding must not make a clipped update longer than its bound.
        let round = if terms.is_audited() { quantise_within } else { quantise };
        let quantised = round(&report.update, &terms.quantiser, report.examples, &mut rng)
            .map_err(Declined::training)?
            .with_counters(counters)
            .map_err(Declined::training)?;
        let Some((control, variate)) = terms.control.as_ref().zip(start.variate.as_ref()) else {
            return Ok(Made { quantised, change: None });
        };
        let change = control_change(variate, &report.update, report.lr_sum)
            .ok_or_else(|| Declined::training("no training step was done"))?;
        let quantised = quantised.with_control(&change, control, &mut rng);
        let quantised = quantised.map_err(Declined::training)?;
        let change = Some(sent_change(&quantised, control));
        Ok(Made { quantised, change })
    }

    fn seed(&self, terms: &RoundConfig) -> FitSeed {
        FitSeed::derive(self.plan.seed, terms.round, &self.id)
    }

    /// What the round's first model does on the held-out examples, as counters.
    fn measure(
        &self,
        terms: &RoundConfig,
        parameters: &[f32],
    ) -> Result<Zeroizing<Vec<u64>>, Declined> {
        let Some(layout) = self.plan.layout() else { return Ok(Zeroizing::default()) };
        let mut tally = Tally::new(&layout, &terms.quantiser);
        if let Some(held_out) = self.held_out {
            self.trainer.tally(parameters, held_out, &mut tally).map_err(Declined::training)?;
        }
        Ok(tally.counters())
    }
}
