//! What makes a task's network, and what is done with it there: the network's type is known here
//! alone.

use std::sync::Arc;

use burn::tensor::Device;
use covey_aggregation::shape::Blueprint;

use crate::data::Dataset;
use crate::evaluate::{Take, answers};
use crate::family::{AnyFamily, Form};
use crate::fit::run_fit;
use crate::model::build;
use crate::record::{Asked, Way, run_records, sum_records};
use crate::slope::slope;
use crate::train::{FitContext, FitError, FitReport, Trainer};

use super::Task;

/// What makes the network.
pub(super) enum Maker {
    Layers(Blueprint),
    Family(Arc<dyn AnyFamily>, Form),
}

impl std::fmt::Debug for Maker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Layers(blueprint) => blueprint.fmt(f),
            Self::Family(_, form) => form.fmt(f),
        }
    }
}

impl Task {
    pub(crate) fn fit(
        &self,
        trainer: &Trainer,
        parameters: &[f32],
        data: &Dataset,
        context: FitContext<'_>,
    ) -> Result<FitReport, FitError> {
        match &self.inner.body {
            Maker::Layers(blueprint) => {
                let built = |device: &Device| Ok(build(blueprint, parameters, self.base(), device));
                let precision = trainer.compute().precision();
                run_fit(trainer, precision, &built, parameters, data, context)
            }
            Maker::Family(family, form) => family.fit(form, trainer, parameters, data, context),
        }
    }

    pub(crate) fn fit_records(
        &self,
        trainer: &Trainer,
        parameters: &[f32],
        asked: &Asked<'_>,
        context: FitContext<'_>,
    ) -> Result<FitReport, FitError> {
        match &self.inner.body {
            Maker::Layers(blueprint) => {
                let built = |device: &Device| Ok(build(blueprint, parameters, self.base(), device));
                run_records(trainer, &built, parameters, asked, context)
            }
            Maker::Family(family, form) => {
                family.fit_records(form, trainer, parameters, asked, context)
            }
        }
    }

    pub(crate) fn sum_records(
        &self,
        trainer: &Trainer,
        parameters: &[f32],
        data: &Dataset,
        clip_norm: f64,
        way: Way,
    ) -> Result<Vec<f64>, FitError> {
        match &self.inner.body {
            Maker::Layers(blueprint) => {
                let built = |device: &Device| Ok(build(blueprint, parameters, self.base(), device));
                sum_records(trainer, &built, data, clip_norm, way)
            }
            Maker::Family(family, form) => {
                family.sum_records(form, trainer, parameters, data, clip_norm)
            }
        }
    }

    pub(crate) fn slope(
        &self,
        trainer: &Trainer,
        parameters: &[f32],
        data: &Dataset,
    ) -> Result<Vec<f32>, FitError> {
        match &self.inner.body {
            Maker::Layers(blueprint) => {
                let built = |device: &Device| Ok(build(blueprint, parameters, self.base(), device));
                slope(trainer, &built, data)
            }
            Maker::Family(family, form) => family.slope(form, trainer, parameters, data),
        }
    }

    pub(crate) fn answers(
        &self,
        parameters: &[f32],
        data: &Dataset,
        device: &Device,
        take: Take<'_>,
    ) -> Result<(), FitError> {
        match &self.inner.body {
            Maker::Layers(blueprint) => {
                let built = build(blueprint, parameters, self.base(), device);
                answers(&built.network, built.averages, data, device, take)
            }
            Maker::Family(family, form) => family.answers(form, parameters, data, device, take),
        }
    }
}
