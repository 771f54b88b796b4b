//! What a researcher asks for, as data: no code travels. A plan is a TOML file (`plan/1`); its
//! bytes are hashed into every round's terms, and coordinator and clients read it with this same
//! code. Reading tells all errors at once, each with its line, a stable code and what to do.
//!
//! ```toml
//! schema = "plan/1"
//! name = "digits"
//! purpose = "Learn to read handwritten digits"
//! seed = 42
//! [data]
//! kind = "image"
//! height = 8
//! width = 8
//! pixel_max = 16
//! classes = 10
//! [model]
//! layers = [{ kind = "flatten" }, { kind = "linear", out = 10 }]
//! [training]
//! rounds = 10
//! batch_size = 32
//! optimizer = { name = "sgd", lr = 0.05, momentum = 0.9 }
//! weighting = "uniform"
//! [cohort]
//! minimum = 3
//! maximum = 100
//! deadlines = { collect = "60s" }
//! [secure_aggregation]
//! profile = "B"
//! bits = 12
//! range = 0.5
//! clip_norm = 5.0
//! audit = "off"
//! ```

mod audit;
mod cohort;
mod credit;
mod data;
mod error;
mod evaluation;
mod goal;
mod guarantee;
mod layer;
mod model;
mod privacy;
mod protection;
pub mod reading;
mod schedule;
pub mod schema;
mod section;
mod stop;
mod strategy;
mod training;

pub use cohort::{Cohort, Deadlines, OnShortfall};
pub use credit::Credit;
pub use data::{
    Class, Column, ColumnKind, Data, Fill, Image, MISSING_VALUES, Missing, Numeric, Outside, Rows,
    Scale, Tabular, Target, Text, Tokens, Unknown, UnknownCharacter, canonical,
};
pub use error::{Code, PlanError, PlanErrors};
pub use evaluation::Evaluation;
pub use goal::Goal;
pub use layer::{Buffers, Layer, LayerKind, Recurrent, Window};
pub use model::{Arg, Body, Family, Lora, Model, Start};
pub use privacy::{Privacy, RoundCost, Unit};
pub use protection::SecureAggregation;
pub use schedule::{Decay, Schedule};
pub use section::parse_duration_ms;
pub use training::{EarlyStop, Loss, Optimizer, Training, Watch};

use crate::config::{Control, Packing, Profile, Quantiser, RoundConfig};
use crate::evaluation::Layout;
use crate::hash::{Digest, Domain, hash};
use crate::limits::{NAME_BYTES_MAX, PLAN_BYTES_MAX, PURPOSE_BYTES_MAX};
use crate::party::Name;
use crate::shape::Blueprint;
use crate::stop::StopRules;
use crate::strategy::{BadState, BadStep, State, Stepped, Strategy};
use crate::sum::open::Aggregate;

use error::Collector;
use section::{At, Section};

/// The version of the plan format that this code reads.
pub const SCHEMA: &str = "plan/1";

/// A well-formed plan, whose layers fit each other.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Plan {
    /// A short name.
    pub name: Name,
    /// Why; shown word for word to every owner.
    pub purpose: String,
    /// Public seed of everything that training draws.
    pub seed: u64,
    /// What the data must look like.
    pub data: Data,
    /// The model.
    pub model: Model,
    /// How owners train.
    pub training: Training,
    /// How aggregates become the next model.
    pub strategy: Strategy,
    /// What owners measure on examples kept out of training, if anything.
    pub evaluation: Option<Evaluation>,
    /// When the run ends before its last round.
    pub stop: StopRules,
    /// How many owners, and how long they have.
    pub cohort: Cohort,
    /// How updates are limited and encrypted.
    pub secure_aggregation: SecureAggregation,
    /// What owners are credited, if anything.
    pub credit: Option<Credit>,
    /// Noise that hides an owner, if any.
    pub privacy: Option<Privacy>,
    packing: Packing,
    blueprint: Option<Blueprint>,
}

impl Plan {
    /// Reads a plan.
    ///
    /// # Errors
    /// [`PlanErrors`]: everything that is wrong, in the order of the file.
    pub fn parse(text: &str) -> Result<Self, PlanErrors> {
        let mut errors = Collector::new(text);
        match read(text, &mut errors) {
            Some(plan) if errors.is_empty() => Ok(plan),
            _ => Err(errors.finish()),
        }
    }

    /// Reads a plan from the bytes of a file or a message.
    ///
    /// # Errors
    /// [`PlanErrors`]; also when the bytes are not UTF-8.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, PlanErrors> {
        match std::str::from_utf8(bytes) {
            Ok(text) => Self::parse(text),
            Err(error) => {
                let valid = std::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default();
                let mut errors = Collector::new(valid);
                let end = valid.len();
                let help = "save the file as UTF-8";
                errors.push(&(end..end), Code::File, "a byte that is not UTF-8", help);
                Err(errors.finish())
            }
        }
    }

    /// The digest by which rounds name a plan: over the bytes of the file, exactly.
    #[must_use]
    pub fn digest(bytes: &[u8]) -> Digest {
        hash(Domain::Plan, &[bytes])
    }

    /// The model's shapes and parameters; none of a family, which its owner's client knows.
    #[must_use]
    pub const fn blueprint(&self) -> Option<&Blueprint> {
        self.blueprint.as_ref()
    }

    /// How an update becomes integers.
    #[must_use]
    pub const fn quantiser(&self) -> Quantiser {
        protection::quantiser(&self.secure_aggregation, self.training.weighting)
    }

    /// What each counter of a contribution counts; none where nothing is measured.
    #[must_use]
    pub fn layout(&self) -> Option<Layout> {
        self.evaluation.as_ref().map(|evaluation| evaluation.layout(self.data.goal()))
    }

    /// Counters of a contribution.
    #[must_use]
    pub fn counters(&self) -> u16 {
        // Within the limit: that was checked while reading.
        self.layout().map_or(0, |layout| u16::try_from(layout.len()).unwrap_or(u16::MAX))
    }

    /// The second vector of a contribution, if the strategy has one, for a federation of `owners`
    /// whose control variate has the digest `variate`.
    #[must_use]
    pub const fn control(&self, owners: u32, variate: Digest) -> Option<Control> {
        match self.strategy {
            Strategy::Scaffold { range, clip_norm } => {
                Some(Control { range, clip_norm, owners, variate })
            }
            _ => None,
        }
    }

    /// The next model and state after the round of `config`, which began with `parameters` and
    /// `state`; or why its sum is not applied (the step diverges, or is too long). Then model and
    /// state stay as they were, and the run is over ([`crate::stop::Ending::Diverged`]).
    ///
    /// # Errors
    /// [`BadStep`], but for [`BadStep::Diverged`]: the sum is not one of this plan's.
    pub fn step(
        &self,
        (parameters, state): (&[f32], &State),
        config: &RoundConfig,
        aggregate: &Aggregate,
    ) -> Result<Result<Stepped, String>, BadStep> {
        let server_lr = self.training.server_lr;
        if self.clip_of(&config.quantiser)? != state.clip {
            return Err(BadState::Clip.into());
        }
        match self.strategy.step(server_lr, (parameters, state), config, aggregate) {
            Ok(mut stepped) => {
                if let Some((clipping, steps)) = self.clipping().zip(state.clip) {
                    stepped.state.clip = Some(clipping.next(steps, config, aggregate));
                }
                Ok(self.stop.too_long(stepped.norm).map_or(Ok(stepped), Err))
            }
            Err(error @ BadStep::Diverged { .. }) => Ok(Err(error.to_string())),
            Err(error) => Err(error),
        }
    }

    /// What leaves an owner's machine in every round of a model of `parameters` parameters, in
    /// words.
    #[must_use]
    pub fn sends(&self, parameters: u64) -> String {
        self.strategy.sends(parameters, self.counters(), self.clipping().is_some())
    }

    /// How coordinates are packed for up to [`Cohort::maximum`] contributions.
    #[must_use]
    pub const fn packing(&self) -> Packing {
        self.packing
    }
}

fn read(text: &str, errors: &mut Collector<'_>) -> Option<Plan> {
    if text.len() > PLAN_BYTES_MAX as usize {
        let message = format!("{} bytes are too many for a plan", text.len());
        let help = format!("keep it below {PLAN_BYTES_MAX} bytes; a plan carries no data");
        errors.push(&(0..0), Code::File, message, help);
        return None;
    }
    let mut root = reading::root(text, "a plan", SCHEMA, errors)?;
    let plan = read_fields(&mut root, errors);
    root.finish(errors);
    plan
}

fn read_fields(root: &mut Section<'_>, errors: &mut Collector<'_>) -> Option<Plan> {
    let name = read_name(root, errors);
    let purpose = read_purpose(root, errors);
    let seed = root.whole(errors, "seed", 0..=u64::MAX >> 1);
    let data = root.section(errors, "data", "add a section [data]");
    let data = data.and_then(|section| data::read(section, errors));
    let model = read_model(root, data.as_ref(), errors);
    let training = root.section(errors, "training", "add a section [training]");
    let training = training.and_then(|section| training::read(section, data.as_ref(), errors));
    let cohort = root.section(errors, "cohort", "add a section [cohort]");
    let cohort = cohort.and_then(|section| cohort::read(section, errors));
    let secure = root.section(errors, "secure_aggregation", "add a section [secure_aggregation]");
    let secure = secure.and_then(|section| protection::read(section, errors));
    let strategy = strategy::read(root, errors);
    let evaluation = evaluation::read(root, errors);
    let stop = stop::read(root, errors);
    let credit = credit::read(root, errors);
    let privacy = privacy::read(root, errors);
    if let (Some((secure, _)), Some((_, weighting))) = (&secure, &training) {
        protection::check_cap(secure, weighting, errors);
        let quantiser = protection::quantiser(secure, weighting.value);
        if let (Some(data), Some(Some(evaluation))) = (&data, &evaluation) {
            evaluation::check(evaluation, data, &quantiser, errors);
        }
    }
    if let (Some(strategy), Some((training, _))) = (&strategy, &training) {
        strategy::check_optimizer(strategy, training, errors);
    }
    if let (Some(strategy), Some((model, _))) = (&strategy, &model) {
        strategy::check_averages(strategy, model, errors);
    }
    let evaluation = evaluation.map(|read| read.map(|at| at.value));
    if let (Some(stop), Some(evaluation)) = (&stop, &evaluation) {
        stop::check(stop, evaluation.as_ref(), errors);
    }
    if let Some(Some(credit)) = &credit {
        let beside = credit::Beside {
            goal: data.as_ref().map(Data::goal),
            rounds: training.as_ref().map(|(training, _)| training.rounds),
            strategy: strategy.as_ref().map(|strategy| &strategy.value),
            minimum: cohort.as_ref().map(|cohort| cohort.minimum),
            audit: secure.as_ref().map(|(secure, _)| secure.audit),
        };
        credit::check(credit, &beside, errors);
    }
    let (secure_aggregation, bits) = secure?;
    let (privacy, privacy_at) = match privacy? {
        Some(At { value, span }) => (Some(value), span),
        None => (None, 0..0),
    };
    let (cohort, (model, blueprint)) = (cohort?, model?);
    let packing = protection::packing(&secure_aggregation, cohort.maximum, &bits, errors);
    let plan = Plan {
        name: name?,
        purpose: purpose?,
        seed: seed?.value,
        data: data?,
        model,
        training: training?.0,
        strategy: strategy?.value,
        evaluation: evaluation?,
        stop: stop?.rules,
        cohort,
        secure_aggregation,
        credit: credit?.map(|at| at.value),
        privacy,
        packing: packing?,
        blueprint,
    };
    // Noise without room has no bounds for an audit.
    let has_room = privacy::check(&plan, &privacy_at, errors);
    if secure_aggregation.profile == Profile::B && has_room {
        audit::check(&plan, &bits.span, errors);
    }
    Some(plan)
}

/// The model, and its shapes where it has layers that fit each other and the data.
fn read_model(
    root: &mut Section<'_>,
    data: Option<&Data>,
    errors: &mut Collector<'_>,
) -> Option<(Model, Option<Blueprint>)> {
    let model = root.section(errors, "model", "add a section [model] with `layers = [...]`");
    let model = model.and_then(|section| model::read(section, errors))?;
    let goal = data.map(Data::goal);
    if let (Some(Goal::NextToken(_)), Body::Layers(layers)) = (goal, &model.body) {
        layer::check_causal(layers, errors);
    }
    let blueprint = data.and_then(|data| model::blueprint(&model, data, errors));
    Some((model, blueprint))
}

fn read_name(root: &mut Section<'_>, errors: &mut Collector<'_>) -> Option<Name> {
    let help = format!(
        "use 1 to {NAME_BYTES_MAX} lower-case letters, digits, '-' or '.', such as \
         `name = \"digits\"`"
    );
    let text = root.required(errors, "name", &help)?.text(errors)?;
    let name = Name::try_from(text.value);
    if let Err(error) = &name {
        errors.push(&text.span, Code::Text, format!("name {:?} is no name", error.text), help);
    }
    name.ok()
}

fn read_purpose(root: &mut Section<'_>, errors: &mut Collector<'_>) -> Option<String> {
    let help = "say in a sentence what the model is for; every owner reads it before consenting";
    let text = root.required(errors, "purpose", help)?.text(errors)?;
    let readable = text.value.chars().all(|c| c == '\n' || !c.is_control());
    if readable && !text.value.trim().is_empty() && text.value.len() <= PURPOSE_BYTES_MAX {
        return Some(text.value);
    }
    let message = format!(
        "purpose must have 1 to {PURPOSE_BYTES_MAX} bytes of text without control characters"
    );
    errors.push(&text.span, Code::Text, message, help);
    None
}

#[cfg(test)]
mod tests;
