//! The `[privacy]` section: noise that bounds what a model can tell about one owner, and what that
//! comes to. Without it, the sum of updates is opened as it is.

use std::ops::Range;

use covey_privacy::delta::Delta;
use covey_privacy::event::{BadEvent, Event, Sampled};
use covey_privacy::spent::Spent;

use crate::config::{BadNoise, Noise, NoisePlan, Quantiser, Weighting};
use crate::credit::Training as CreditTraining;
use crate::limits::{
    CLIP_RATE_MAX, CONTRIBUTIONS_MAX, NOISE_MULTIPLIER_MAX, NOISE_MULTIPLIER_MIN,
    PRIVACY_DELTA_MIN, RECORD_CLIP_MAX, RECORD_CLIP_MIN,
};
use crate::strategy::{BadState, ClipSteps, Clipping, State, Strategy};

use super::error::{Code, Collector};
use super::layer::{self, LayerKind};
use super::model::Body;
use super::section::{At, Section};
use super::{Plan, Training};

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
        /// How the clip follows the owners' lengths; none where it is the plan's in every round.
        clipping: Option<Clipping>,
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

impl RoundCost {
    /// Of an owner of so many training examples, at least one, who trains with this much noise on
    /// Poisson samples: every step is an event.
    ///
    /// # Errors
    /// [`BadEvent`] where the accountant takes no such noise, or no such small a share of examples.
    pub fn of_records(
        training: &Training,
        noise_multiplier: f64,
        examples: u64,
    ) -> Result<Self, BadEvent> {
        let event = Sampled::new(noise_multiplier, training.sampling_rate(examples))?;
        Ok(Self { event: Event::Sampled(event), count: training.steps(examples) })
    }
}

impl Plan {
    /// Each contribution's noise in rounds of a model of `parameters` parameters, which has room beside
    /// the update and can be accounted for; none where the plan asks for none, or where the noise is in
    /// the training.
    ///
    /// # Errors
    /// [`BadNoise`] of noise that no round can have.
    pub fn noise(&self, parameters: u64) -> Result<Option<Noise>, BadNoise> {
        let Some(privacy) = &self.privacy else { return Ok(None) };
        let Unit::Owner { colluding_max, clipping } = privacy.unit else { return Ok(None) };
        let quantiser = self.quantiser();
        let plan = NoisePlan {
            multiplier: privacy.noise_multiplier,
            contributions_min: self.cohort.minimum,
            colluding_max,
            has_vote: clipping.is_some(),
        };
        let noise = Noise::of(plan, &quantiser, parameters)?;
        noise.bounds(&quantiser, parameters)?;
        noise.release(parameters, self.contributions())?;
        Ok(Some(noise))
    }

    /// How the clip follows the owners' lengths, if it does.
    #[must_use]
    pub fn clipping(&self) -> Option<Clipping> {
        match self.privacy?.unit {
            Unit::Owner { clipping, .. } => clipping,
            Unit::Record { .. } => None,
        }
    }

    /// The quantiser of a round that begins with `state`.
    #[must_use]
    pub fn quantiser_at(&self, state: &State) -> Quantiser {
        let base = self.quantiser();
        state.clip.map_or(base, |steps| steps.of(&base))
    }

    /// What is kept before the first round, of a model of `parameters` parameters.
    #[must_use]
    pub fn initial_state(&self, parameters: usize) -> State {
        let clip = self.clipping().map(|_| ClipSteps::default());
        State { clip, ..self.strategy.initial(parameters) }
    }

    /// Where the clip of some terms is, if it follows the owners' lengths.
    ///
    /// # Errors
    /// [`BadState::Clip`] of a quantiser that no round of the plan has.
    pub fn clip_of(&self, terms: &Quantiser) -> Result<Option<ClipSteps>, BadState> {
        let base = self.quantiser();
        if self.clipping().is_none() {
            return if base == *terms { Ok(None) } else { Err(BadState::Clip) };
        }
        ClipSteps::between(&base, terms).map(Some).ok_or(BadState::Clip)
    }

    /// Fewest and most contributions of a sum.
    const fn contributions(&self) -> (u32, u32) {
        (self.cohort.minimum, self.cohort.maximum)
    }

    /// What one round of a model of `parameters` parameters costs an owner, of so many training
    /// examples where examples are hidden; none where nothing bounds it.
    #[must_use]
    pub fn round_cost(&self, parameters: u64, examples: u64) -> Option<RoundCost> {
        let privacy = self.privacy.as_ref()?;
        match privacy.unit {
            Unit::Owner { .. } => {
                let noise = self.noise(parameters).ok()??;
                let people = self.contributions();
                let release = noise.release(parameters, people).ok()?;
                Some(RoundCost { event: Event::Distributed(release), count: 1 })
            }
            Unit::Record { .. } => {
                let (training, noise) = (&self.training, privacy.noise_multiplier);
                RoundCost::of_records(training, noise, examples.max(1)).ok()
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
    // Which other fields there are hangs on the unit.
    let unit = unit?;
    section.finish(errors);
    let (noise, delta) = (noise_multiplier?, delta?);
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
        let colluding = section.whole_or(errors, "colluding_max", bounds, COLLUDING_DEFAULT);
        let clipping = read_clipping(section, errors);
        return Some(Unit::Owner { colluding_max: colluding? as u32, clipping: clipping? });
    }
    let At { value, span } = section.positive(errors, "clip_norm")?;
    if !(RECORD_CLIP_MIN..=RECORD_CLIP_MAX).contains(&value) {
        let message = format!("privacy.clip_norm = {value} clips every gradient, or none");
        let help = format!("use {RECORD_CLIP_MIN:e} to {RECORD_CLIP_MAX:e}, such as 1.0");
        errors.push(&span, Code::Privacy, message, help);
    }
    Some(Unit::Record { clip_norm: value })
}

/// How the clip follows, if it does.
fn read_clipping(
    section: &mut Section<'_>,
    errors: &mut Collector<'_>,
) -> Option<Option<Clipping>> {
    let rate = match section.optional("clip_rate") {
        Some(field) => {
            let span = field.span.clone();
            Some(At { value: field.positive(errors)?.value, span })
        }
        None => None,
    };
    let Some(field) = section.optional("clip_quantile") else {
        if let Some(rate) = rate {
            let message = "privacy.clip_rate without a share of owners that the clip follows";
            let help = "add `clip_quantile = 0.5`, or remove clip_rate: the clip stays";
            errors.push(&rate.span, Code::Privacy, message, help);
        }
        return Some(None);
    };
    let quantile = field.fraction(errors)?;
    if let Some(At { value, span }) = rate.as_ref().filter(|rate| rate.value > CLIP_RATE_MAX) {
        let message = format!("privacy.clip_rate = {value} makes the clip jump");
        errors.push(
            span,
            Code::Privacy,
            message,
            format!("use up to {CLIP_RATE_MAX}, such as 0.2"),
        );
    }
    Some(Some(Clipping { quantile, rate: rate.map_or(CLIP_RATE_DEFAULT, |rate| rate.value) }))
}

/// That of Andrew et al., 2021.
const CLIP_RATE_DEFAULT: f64 = 0.2;

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
    if let Unit::Owner { colluding_max, .. } = privacy.unit
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
    match plan.noise(parameters) {
        Err(bad) => {
            errors.push(at, Code::Privacy, format!("the noise: {bad}"), room(plan, parameters))
        }
        Ok(_) => check_epsilon(plan, parameters, at, errors),
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
    if plan.credit.is_some() && plan.clipping().is_some() {
        push(
            "a clip that follows beside [credit], which compares updates of rounds with one clip",
            "remove clip_quantile or [credit]",
        );
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
    let with = |hundredths: u32| {
        let mut other = plan.clone();
        let privacy = other.privacy.as_mut()?;
        privacy.noise_multiplier = f64::from(hundredths) / 100.0;
        // None where it has no room.
        other.epsilon(parameters, plan.training.rounds)
    };
    let fits = |hundredths| with(hundredths).is_some_and(|epsilon| epsilon <= most);
    // From the plan's on, each a tenth more, until the noise is enough; or it has no room.
    let mut low = (plan.privacy.as_ref()?.noise_multiplier * 100.0) as u32;
    let mut high = low + 1;
    while !fits(high) {
        if f64::from(high) >= NOISE_MULTIPLIER_MAX * 100.0 || with(high).is_none() {
            return None;
        }
        low = high;
        high += high.div_ceil(10);
    }
    while high - low > 1 {
        let middle = low.midpoint(high);
        if fits(middle) { high = middle } else { low = middle }
    }
    Some(f64::from(high) / 100.0)
}

/// What to do about noise that has no room.
fn room(plan: &Plan, parameters: u64) -> String {
    let mut other = plan.clone();
    for _ in 0..RANGES_TRIED {
        other.secure_aggregation.range *= 1.1;
        if other.noise(parameters).is_ok() {
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
pub(super) mod tests;
