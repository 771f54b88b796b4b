//! The `[model]` section: layers or a family, what a run starts from, adapters.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::hash::Digest;
use crate::limits::{
    ADAPTER_RANK_MAX, ADAPTER_TARGETS_MAX, LABEL_BYTES_MAX, LAYER_SIZE_MAX, PARAMETERS_MAX,
};
use crate::shape::{self, Blueprint, Shape};

use super::data::Data;
use super::error::{Code, Collector};
use super::layer::{self, Layer, LayerKind};
use super::section::{Field, Section};

/// The `[model]` section.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    /// What is computed.
    pub body: Body,
    /// The parameters that a run begins with; without it they are drawn from the plan's seed.
    pub start: Option<Start>,
    /// Low-rank adapters: only they are trained, and only they travel.
    pub lora: Option<Lora>,
}

/// What a model computes.
#[derive(Clone, Debug, PartialEq)]
pub enum Body {
    /// These layers, one after the other.
    Layers(Vec<Layer>),
    /// A model that owners have compiled into their clients.
    Family(Family),
}

/// A model by its name.
#[derive(Clone, Debug, PartialEq)]
pub struct Family {
    /// The name under which it is registered.
    pub name: String,
    /// What its builder is given.
    pub args: BTreeMap<String, Arg>,
    /// Line in the plan, from 1.
    pub line: u32,
    /// Character within the line, from 1.
    pub column: u32,
}

/// One argument of a family.
#[derive(Clone, Debug, PartialEq)]
pub enum Arg {
    /// A number.
    Number(f64),
    /// A truth value.
    Flag(bool),
    /// Text.
    Text(String),
}

/// Parameters that exist already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Start {
    /// Digest of the flat parameter vector, as rounds name models. Without `lora`, the first
    /// round's model; with it, the base that is adapted.
    pub digest: Digest,
    /// Where the coordinator finds them: a safetensors file, or the bytes of a model as a run
    /// stores them. Clients fetch them by digest.
    pub file: Option<PathBuf>,
}

/// Low-rank adapters (Hu et al., 2021): a weight W acts as `W + (alpha / rank) A B`, where W is
/// fixed and A, B are trained.
#[derive(Clone, Debug, PartialEq)]
pub struct Lora {
    /// Columns of A and rows of B.
    pub rank: u64,
    /// Scale.
    pub alpha: f64,
    /// Which weights: the name of a layer such as `layers.2.linear`, or the end of names such as
    /// `linear` or `query`.
    pub targets: Vec<String>,
    /// Line in the plan, from 1.
    pub line: u32,
    /// Character within the line, from 1.
    pub column: u32,
}

pub(super) fn read(mut section: Section<'_>, errors: &mut Collector<'_>) -> Option<Model> {
    let body = read_body(&mut section, errors);
    let start = match section.optional("start") {
        Some(field) => read_start(field, errors).map(Some),
        None => Some(None),
    };
    let lora = match section.optional("lora") {
        Some(field) => read_lora(field, errors).map(Some),
        None => Some(None),
    };
    section.finish(errors);
    let model = Model { body: body?, start: start?, lora: lora? };
    check_lora(&model, errors);
    Some(model)
}

/// Infers all shapes; none of a family.
pub(super) fn blueprint(
    model: &Model,
    data: &Data,
    errors: &mut Collector<'_>,
) -> Option<Blueprint> {
    let Body::Layers(layers) = &model.body else { return None };
    let blueprint = match shape::infer(layers, Shape::of(data), data.goal()) {
        Ok(blueprint) => blueprint,
        Err(error) => {
            let message = error.to_string();
            errors.push_at((error.line, error.column), Code::Shape, message, error.help);
            return None;
        }
    };
    let Some(lora) = &model.lora else { return Some(blueprint) };
    match blueprint.adapted(lora) {
        Ok(adapted) if adapted.parameters() <= PARAMETERS_MAX => Some(adapted),
        Ok(adapted) => {
            let message = format!("the adapters have {} parameters", adapted.parameters());
            let help =
                format!("at most {PARAMETERS_MAX} may travel: lower the rank, or name fewer");
            errors.push_at((lora.line, lora.column), Code::Adapters, message, help);
            None
        }
        Err(error) => {
            let help = match error.known.first() {
                None => "the model has no weight that can be adapted".to_owned(),
                Some(_) => format!("name some of {}, or the ends of these", shown(&error.known)),
            };
            let at = (lora.line, lora.column);
            errors.push_at(at, Code::Adapters, error.to_string(), help);
            None
        }
    }
}

/// The first of many names.
fn shown(names: &[String]) -> String {
    const SHOWN: usize = 8;
    let more = if names.len() > SHOWN { ", ..." } else { "" };
    format!("{}{more}", names[..names.len().min(SHOWN)].join(", "))
}

fn read_body(section: &mut Section<'_>, errors: &mut Collector<'_>) -> Option<Body> {
    let family = section.optional("family");
    let args = section.optional("args");
    let Some(family) = family else {
        if let Some(args) = args {
            let message = format!("{} are given to no family", args.path);
            let help = "remove them, or name a family: `family = \"...\"`";
            errors.push(&args.span, Code::Conflict, message, help);
        }
        let help = "write `layers = [{ kind = \"flatten\" }, { kind = \"linear\", out = 10 }]`";
        let field = section.required(errors, "layers", help)?;
        return layer::read_list(field, errors, 0, &mut 0).map(Body::Layers);
    };
    if let Some(layers) = section.optional("layers") {
        let message = "model has both layers and a family";
        let help = "remove one of them: a family brings its own layers";
        errors.push(&layers.span, Code::Conflict, message, help);
    }
    let (line, column) = errors.position(family.span.start);
    let name = read_name(family, errors);
    let args = args.map_or_else(|| Some(BTreeMap::new()), |args| read_args(args, errors));
    Some(Body::Family(Family { name: name?, args: args?, line, column }))
}

fn read_name(field: Field<'_>, errors: &mut Collector<'_>) -> Option<String> {
    let path = field.path.clone();
    let text = field.text(errors)?;
    let is_printable = !text.value.chars().any(char::is_control);
    if is_printable && (1..=LABEL_BYTES_MAX).contains(&text.value.len()) {
        return Some(text.value);
    }
    let message = format!("{path} = {:?} is no usable name", text.value);
    let help = format!("use 1 to {LABEL_BYTES_MAX} bytes of text without control characters");
    errors.push(&text.span, Code::Text, message, help);
    None
}

fn read_args(field: Field<'_>, errors: &mut Collector<'_>) -> Option<BTreeMap<String, Arg>> {
    let args = field.section(errors)?.into_fields().into_iter().map(|(name, field)| {
        let arg = if field.is_text() {
            field.text(errors).map(|at| Arg::Text(at.value))
        } else if field.is_flag() {
            field.boolean(errors).map(Arg::Flag)
        } else {
            field.number(errors).map(|at| Arg::Number(at.value))
        };
        arg.map(|arg| (name, arg))
    });
    let args: Vec<_> = args.collect();
    args.into_iter().collect()
}

fn read_start(field: Field<'_>, errors: &mut Collector<'_>) -> Option<Start> {
    let mut section = field.section(errors)?;
    let help = "pin the parameters: `digest = \"...\"`, the 64 hexadecimal digits by which a run \
                names its model";
    let digest = section.required(errors, "digest", help).and_then(|field| {
        let text = field.text(errors)?;
        let digest = Digest::from_hex(&text.value);
        if digest.is_none() {
            let message = format!("model.start.digest = {:?} is no digest", text.value);
            errors.push(&text.span, Code::BadDigest, message, help);
        }
        digest
    });
    let file = match section.optional("file") {
        Some(field) => read_name(field, errors).map(|name| Some(PathBuf::from(name))),
        None => Some(None),
    };
    section.finish(errors);
    Some(Start { digest: digest?, file: file? })
}

fn read_lora(field: Field<'_>, errors: &mut Collector<'_>) -> Option<Lora> {
    let (line, column) = errors.position(field.span.start);
    let mut section = field.section(errors)?;
    let rank = section.whole(errors, "rank", 1..=ADAPTER_RANK_MAX.min(LAYER_SIZE_MAX));
    let alpha = section.positive(errors, "alpha");
    let help = "name the weights to adapt: `targets = [\"query\", \"value\"]`, or layers such as \
                \"layers.2.linear\"";
    let targets = section.required(errors, "targets", help).and_then(|field| {
        let span = field.span.clone();
        let fields = field.list(errors)?;
        if fields.is_empty() || fields.len() > ADAPTER_TARGETS_MAX {
            let message = format!("model.lora.targets names {} weights", fields.len());
            errors.push(&span, Code::Adapters, message, help);
            return None;
        }
        let names: Vec<_> = fields.into_iter().map(|field| read_name(field, errors)).collect();
        names.into_iter().collect()
    });
    section.finish(errors);
    Some(Lora { rank: rank?.value, alpha: alpha?.value, targets: targets?, line, column })
}

/// Refuses adapters without a base, and beside averages that would go on moving.
fn check_lora(model: &Model, errors: &mut Collector<'_>) {
    let Some(Lora { line, column, .. }) = model.lora else { return };
    let mut push = |message: &str, help: &str| {
        errors.push_at((line, column), Code::Adapters, message, help);
    };
    if model.start.is_none() {
        let help = "say which model is adapted: `start = { digest = \"...\" }`";
        push("model.lora without model.start: the fixed weights would be random numbers", help);
    }
    match &model.body {
        Body::Family(_) => {
            push("model.lora adapts layers, not a family", "remove it, or list layers");
        }
        Body::Layers(layers) => {
            let is_batchnorm = |kind: &LayerKind| matches!(kind, LayerKind::BatchNorm { .. });
            if layer::any(layers, is_batchnorm) {
                let help = "adapt a model with groupnorm or layernorm";
                push("model.lora beside batchnorm: its averages would move with no owner", help);
            }
        }
    }
}
