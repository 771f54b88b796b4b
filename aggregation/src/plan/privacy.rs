//! The `[privacy]` section: noise that bounds what a model can tell about one owner, and what that
//! comes to. Without it, the sum of updates is opened as it is.

use std::ops::Range;

use covey_privacy::delta::Delta;
use covey_privacy::event::{Event, Sampled};
use covey_privacy::spent::Spent;

use crate::config::{BadNoise, Noise, Weighting};
use crate::credit::Training as CreditTraining;
use crate::limits::{
    CONTRIBUTIONS_MAX, NOISE_MULTIPLIER_MAX, NOISE_MULTIPLIER_MIN, PRIVACY_DELTA_MIN,
    RECORD_CLIP_MAX, RECORD_CLIP_MIN,
};
use crate::strategy::Strategy;

use super::Plan;
use super::error::{Code, Collector};
use super::layer::{self, LayerKind};
use super::model::Body;
use super::section::{At, Section};

/// The `[privacy]` section.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Privacy {
    /// Whose presence is hidden.
    pub unit: Unit,
    /// Standard deviation of the noise of a sum over what one unit moves it by, at most.
    pub noise_multiplier: f64,
    /// The probability with which the guarantee may fail.
    pub delta: Delta,
    /// What the whole plan may cost an owner, if it says.
    pub epsilon_max: Option<f64>,
}

/// Whose presence is hidden.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Unit {
    /// An owner with all its data, from everybody who sees what is opened.
    Owner {
        /// Owners of a sum that may be in league with whoever looks.
        colluding_max: u32,
    },
    /// One example among those of its owner, from everybody who sees anything of the update.
    Record {
        /// What each example's gradient is clipped to (L2 norm).
        clip_norm: f64,
    },
}

/// What one round costs: an event, and how often it happens.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RoundCost {
    /// What happens to privacy.
    pub event: Event,
    /// How often.
    pub count: u64,
}

impl Plan {
    /// Each contribution's noise in rounds of a model of `parameters` parameters; none where the
    /// plan asks for none.
    ///
    /// # Errors
    /// [`BadNoise::Variance`].
    pub fn noise(&self, parameters: u64) -> Result<Option<Noise>, BadNoise> {
        let Some(privacy) = &self.privacy else { return Ok(None) };
        // Where examples are hidden, the noise is in the training.
        let Unit::Owner { colluding_max } = privacy.unit else { return Ok(None) };
        let (quantiser, least) = (self.quantiser(), self.cohort.minimum);
        Noise::of(privacy.noise_multiplier, &quantiser, parameters, least, colluding_max).map(Some)
    }

    /// What one round of a model of `parameters` parameters costs an owner, of so many training
    /// examples where examples are hidden; none where nothing bounds it.
    #[must_use]
    pub fn round_cost(&self, parameters: u64, examples: u64) -> Option<RoundCost> {
        let privacy = self.privacy.as_ref()?;
        match privacy.unit {
            Unit::Owner { .. } => {
                let release = self.layout_terms(parameters).release().ok().flatten()?;
                Some(RoundCost { event: Event::Distributed(release), count: 1 })
            }
            Unit::Record { .. } => {
                let rate = f64::from(self.training.batch_size) / examples.max(1) as f64;
                let event = Sampled::new(privacy.noise_multiplier, rate.min(1.0)).ok()?;
                let count = self.training.steps(examples.max(1));
                Some(RoundCost { event: Event::Sampled(event), count })
            }
        }
    }

    /// Epsilon, at the plan's delta, of so many rounds of a model of `parameters` parameters; where
    /// examples are hidden, of an owner with the fewest examples that the plan allows, to whom each
    /// counts most. None where nothing bounds it. Rounded up.
    #[must_use]
    pub fn epsilon(&self, parameters: u64, rounds: u32) -> Option<f64> {
        let delta = self.privacy.as_ref()?.delta;
        let cost = self.round_cost(parameters, self.data.rows().minimum.into())?;
        let mut spent = Spent::default();
        if rounds > 0 {
            spent.add(cost.event, cost.count.checked_mul(rounds.into())?).ok()?;
        }
        Some(spent.epsilon(delta).least())
    }

    /// Whether each contribution's noise can be drawn, has room beside the update and can be accounted
    /// for, with a model of `parameters` parameters.
    ///
    /// # Errors
    /// [`BadNoise`].
    fn check_noise(&self, parameters: u64) -> Result<(), BadNoise> {
        self.noise(parameters)?;
        let terms = self.layout_terms(parameters);
        terms.noise_bounds()?;
        terms.release()?;
        Ok(())
    }
}

pub(super) fn read(
    root: &mut Section<'_>,
    errors: &mut Collector<'_>,
) -> Option<Option<At<Privacy>>> {
    let Some(field) = root.optional("privacy") else { return Some(None) };
    let span = field.span.clone();
    let mut section = field.section(errors)?;
    let help = "write `unit = \"owner\"`: a sum tells little of any owner; or \"record\": an update \
                tells little of any example";
    let unit = section.required(errors, "unit", help);
    let unit = unit.and_then(|field| field.choice(errors, &[("owner", true), ("record", false)]));
    let unit = unit.and_then(|is_owner| read_unit(is_owner, &mut section, errors));
    let noise_multiplier = section.positive(errors, "noise_multiplier");
    let help = "write `delta = 1e-6`: below one in as many people as the owners have data of";
    let delta = section.required(errors, "delta", help).and_then(|field| {
        let span = field.span.clone();
        field.fraction(errors).map(|value| At { value, span })
    });
    let epsilon_max = match section.optional("epsilon_max") {
        Some(field) => field.positive(errors).map(|at| Some(at.value)),
        None => Some(None),
    };
    section.finish(errors);
    let (noise, delta, unit) = (noise_multiplier?, delta?, unit?);
    if !(NOISE_MULTIPLIER_MIN..=NOISE_MULTIPLIER_MAX).contains(&noise.value) {
        let message = format!("privacy.noise_multiplier = {} protects nobody, or all", noise.value);
        let help = format!("use {NOISE_MULTIPLIER_MIN} to {NOISE_MULTIPLIER_MAX}, such as 1.0");
        errors.push(&noise.span, Code::Privacy, message, help);
    }
    let small = Delta::new(delta.value).ok().filter(|_| delta.value >= PRIVACY_DELTA_MIN);
    if small.is_none() {
        let message = format!("privacy.delta = {} is too small", delta.value);
        let help = format!("use {PRIVACY_DELTA_MIN:e} or more, such as 1e-6");
        errors.push(&delta.span, Code::Privacy, message, help);
    }
    let value =
        Privacy { unit, noise_multiplier: noise.value, delta: small?, epsilon_max: epsilon_max? };
    Some(Some(At { value, span }))
}

fn read_unit(
    is_owner: bool,
    section: &mut Section<'_>,
    errors: &mut Collector<'_>,
) -> Option<Unit> {
    if is_owner {
        let bounds = 0..=CONTRIBUTIONS_MAX.into();
        let colluding = section.whole_or(errors, "colluding_max", bounds, COLLUDING_DEFAULT)?;
        return Some(Unit::Owner { colluding_max: colluding as u32 });
    }
    let At { value, span } = section.positive(errors, "clip_norm")?;
    if !(RECORD_CLIP_MIN..=RECORD_CLIP_MAX).contains(&value) {
        let message = format!("privacy.clip_norm = {value} clips every gradient, or none");
        let help = format!("use {RECORD_CLIP_MIN:e} to {RECORD_CLIP_MAX:e}, such as 1.0");
        errors.push(&span, Code::Privacy, message, help);
    }
    Some(Unit::Record { clip_norm: value })
}

/// Another owner alone learns nothing from knowing its own noise.
const COLLUDING_DEFAULT: u64 = 1;

/// Refuses a plan that lets something leave without noise, or whose noise has no room or costs too
/// much. Whether nothing was refused.
pub(super) fn check(plan: &Plan, at: &Range<usize>, errors: &mut Collector<'_>) -> bool {
    let Some(privacy) = &plan.privacy else { return true };
    let before = errors.len();
    match privacy.unit {
        Unit::Owner { .. } => check_beside(plan, at, errors),
        Unit::Record { .. } => check_training(plan, at, errors),
    }
    if let Unit::Owner { colluding_max } = privacy.unit
        && colluding_max >= plan.cohort.minimum
    {
        let message = format!(
            "privacy.colluding_max = {colluding_max} leaves none of cohort.minimum = {} to hide \
             among",
            plan.cohort.minimum
        );
        errors.push(at, Code::Privacy, message, "raise cohort.minimum, or lower colluding_max");
    }
    // Of a family only its owners know how many parameters there are.
    let is_fine = |errors: &Collector<'_>| errors.len() == before;
    let Some(blueprint) = plan.blueprint().filter(|_| is_fine(errors)) else {
        return is_fine(errors);
    };
    let parameters = blueprint.parameters();
    match plan.check_noise(parameters) {
        Err(bad) => {
            errors.push(at, Code::Privacy, format!("the noise: {bad}"), room(plan, parameters))
        }
        Ok(()) => check_epsilon(plan, parameters, at, errors),
    }
    is_fine(errors)
}

/// Nothing may look at examples but the noisy gradients.
fn check_training(plan: &Plan, at: &Range<usize>, errors: &mut Collector<'_>) {
    let mut push = |message: &str, help: &str| errors.push(at, Code::Privacy, message, help);
    if plan.training.early_stop.is_some() {
        push(
            "hidden examples beside training.early_stop, which looks at them without noise",
            "remove early_stop",
        );
    }
    if plan.evaluation.is_some() {
        push(
            "hidden examples beside [evaluation]: the counts of held-out examples carry no noise",
            "remove [evaluation], and measure the model on data of your own",
        );
    }
    let is_batchnorm = |kind: &LayerKind| matches!(kind, LayerKind::BatchNorm { .. });
    if let Body::Layers(layers) = &plan.model.body
        && layer::any(layers, is_batchnorm)
    {
        push(
            "hidden examples beside a batchnorm, which mixes those of a batch",
            "use groupnorm or layernorm",
        );
    }
}

/// Everything that is opened must carry noise.
fn check_beside(plan: &Plan, at: &Range<usize>, errors: &mut Collector<'_>) {
    let mut push = |message: &str, help: &str| errors.push(at, Code::Privacy, message, help);
    if plan.training.weighting != Weighting::Uniform {
        push(
            "noise beside weights: the sum of owners' examples would be opened without any",
            "write `weighting = \"uniform\"` in [training]",
        );
    }
    if plan.evaluation.is_some() {
        push(
            "noise beside [evaluation]: the counts of held-out examples would be opened without any",
            "remove [evaluation], and measure the model on data of your own",
        );
    }
    if let Strategy::Scaffold { .. } = plan.strategy {
        push("noise beside scaffold: its second vector would carry none", "use another strategy");
    }
    if plan.credit.is_some_and(|credit| credit.training == CreditTraining::Evidence) {
        push(
            "noise beside updates that count several times: one owner would move the sum by more",
            "write `training = \"off\"` in [credit]",
        );
    }
}

/// Refuses a plan that costs more than it says itself.
fn check_epsilon(plan: &Plan, parameters: u64, at: &Range<usize>, errors: &mut Collector<'_>) {
    let Some(privacy) = &plan.privacy else { return };
    let rounds = plan.training.rounds;
    let (Some(most), Some(whole)) = (privacy.epsilon_max, plan.epsilon(parameters, rounds)) else {
        return;
    };
    if whole <= most {
        return;
    }
    let mut options = Vec::new();
    options.extend(noise_for(plan, parameters, most).map(|z| format!("noise_multiplier = {z}")));
    let fits = |rounds| plan.epsilon(parameters, rounds).is_some_and(|epsilon| epsilon <= most);
    let (mut low, mut high) = (0, rounds);
    while high - low > 1 {
        let middle = low.midpoint(high);
        if fits(middle) { low = middle } else { high = middle }
    }
    options.extend((low > 0).then(|| format!("training.rounds = {low}")));
    let mut message = format!(
        "epsilon would be {whole:.2} after {rounds} rounds, over privacy.epsilon_max = {most}"
    );
    if let Unit::Record { .. } = privacy.unit {
        let fewest = plan.data.rows().minimum;
        message += &format!(", for an owner of data.min_rows = {fewest} examples");
        options.push("more data.min_rows".to_owned());
    }
    let help = match options.is_empty() {
        true => "raise noise_multiplier or epsilon_max".to_owned(),
        false => format!("use {}", options.join(" or ")),
    };
    errors.push(at, Code::Privacy, message, help);
}

/// The least noise, in hundredths, with which the whole plan costs no more; none where no noise
/// has room for that.
fn noise_for(plan: &Plan, parameters: u64, most: f64) -> Option<f64> {
    let fits = |hundredths: u32| {
        let other = with_noise(plan, hundredths);
        other.check_noise(parameters).ok()?;
        other.epsilon(parameters, plan.training.rounds).filter(|epsilon| *epsilon <= most)
    };
    // From the plan's on, each a tenth more, until the noise is enough; or it has no room.
    let mut low = (privacy_noise(plan) * 100.0) as u32;
    let most_noise = (NOISE_MULTIPLIER_MAX * 100.0) as u32;
    let mut high = low + 1;
    while fits(high).is_none() {
        if high >= most_noise || !has_room(plan, parameters, high) {
            return None;
        }
        low = high;
        high += high.div_ceil(10);
    }
    while high - low > 1 {
        let middle = low.midpoint(high);
        if fits(middle).is_some() { high = middle } else { low = middle }
    }
    Some(f64::from(high) / 100.0)
}

fn privacy_noise(plan: &Plan) -> f64 {
    plan.privacy.as_ref().map_or(0.0, |privacy| privacy.noise_multiplier)
}

/// The plan with other noise, in hundredths.
fn with_noise(plan: &Plan, hundredths: u32) -> Plan {
    let mut other = plan.clone();
    if let Some(privacy) = &mut other.privacy {
        privacy.noise_multiplier = f64::from(hundredths) / 100.0;
    }
    other
}

fn has_room(plan: &Plan, parameters: u64, hundredths: u32) -> bool {
    with_noise(plan, hundredths).check_noise(parameters).is_ok()
}

/// What to do about noise that has no room.
fn room(plan: &Plan, parameters: u64) -> String {
    let mut other = plan.clone();
    for _ in 0..RANGES_TRIED {
        other.secure_aggregation.range *= 1.1;
        if other.check_noise(parameters).is_ok() {
            let range = f64::from(other.secure_aggregation.range);
            // Two digits, rounded up.
            let digit = 10f64.powf(range.log10().floor() - 1.0);
            let range = (range / digit).ceil() * digit;
            return format!(
                "use secure_aggregation.range = {range:.3} or more: it holds update and noise; or \
                 lower noise_multiplier or clip_norm, or raise cohort.minimum"
            );
        }
    }
    "lower noise_multiplier or clip_norm, or raise secure_aggregation.bits or cohort.minimum"
        .to_owned()
}

/// Each a tenth larger than the one before: up to some twenty thousand times.
const RANGES_TRIED: u32 = 104;

#[cfg(test)]
mod tests;
