//! Sections in the plans around them.

use covey_aggregation::plan::schema::{Form, PLAN, Section, Variant};
use covey_aggregation::plan::{Plan, PlanError};

use super::node::{Node, list, minimal};

/// A section in the plan around it.
pub(crate) struct Place<'a> {
    pub(crate) path: String,
    pub(crate) section: &'static Section,
    /// The plan with this section's body.
    pub(crate) around: Box<dyn Fn(Node) -> Node + 'a>,
}

impl Place<'_> {
    pub(crate) fn path_of(&self, field: &str) -> String {
        if self.path.is_empty() { field.to_owned() } else { format!("{}.{field}", self.path) }
    }

    /// Reads the plan with this body.
    pub(crate) fn read(&self, body: Node) -> Result<Plan, Vec<PlanError>> {
        read(&(self.around)(body))
    }

    pub(crate) fn errors(&self, body: Node) -> Vec<PlanError> {
        self.read(body).err().unwrap_or_default()
    }
}

pub(crate) fn read(plan: &Node) -> Result<Plan, Vec<PlanError>> {
    let Node::Table(fields) = plan else { panic!("a table") };
    let lines: Vec<_> = fields.iter().map(|(name, node)| format!("{name} = {node}\n")).collect();
    let text = lines.concat();
    Plan::parse(&text).map_err(|errors| errors.errors().to_vec())
}

/// Visits every section of the description, in every variant of those around it.
pub(crate) fn walk(place: Place<'_>, inside: &[&str], visit: &mut dyn FnMut(&Place<'_>, &Variant)) {
    if inside.iter().filter(|name| **name == place.section.name).count() > 1 {
        return;
    }
    let inside = [inside, &[place.section.name]].concat();
    for variant in place.section.variants() {
        visit(&place, &variant);
        let body = minimal(&variant);
        for field in &variant.fields {
            let path = place.path_of(field.name);
            for (suffix, section, wrap) in sections(&field.form) {
                let (around, body) = (&place.around, body.clone());
                let around: Box<dyn Fn(Node) -> Node> =
                    Box::new(move |inner| around(body.with(field.name, wrap(inner))));
                let path = format!("{path}{suffix}");
                walk(Place { path, section, around }, &inside, visit);
            }
        }
    }
}

pub(crate) type Wrap = Box<dyn Fn(Node) -> Node>;

/// The sections that a field may hold, each with its place in the field's value.
pub(crate) fn sections(form: &'static Form) -> Vec<(String, &'static Section, Wrap)> {
    match form {
        Form::Section(section) => vec![(String::new(), *section, Box::new(|inner| inner))],
        Form::Either(forms) => forms.iter().flat_map(sections).collect(),
        Form::List(of, least, _) => sections(of)
            .into_iter()
            .map(|(suffix, section, wrap)| {
                let wrap: Wrap = Box::new(move |inner| list(of, wrap(inner), *least));
                (format!("[0]{suffix}"), section, wrap)
            })
            .collect(),
        _ => Vec::new(),
    }
}

pub(crate) fn each(visit: impl FnMut(&Place<'_>, &Variant)) {
    each_within(|plan| plan, visit);
}

/// Visits every section, in plans to which `complete` adds what the sections lack.
pub(crate) fn each_within(complete: fn(Node) -> Node, mut visit: impl FnMut(&Place<'_>, &Variant)) {
    let place = Place { path: String::new(), section: &PLAN, around: Box::new(complete) };
    walk(place, &[], &mut visit);
}

/// A plan in which something is measured, for what needs that.
pub(crate) fn measuring(plan: Node) -> Node {
    let Node::Table(fields) = &plan else { panic!("a table") };
    let data = fields.iter().find(|(name, _)| *name == "data").map(|(_, data)| data.clone());
    let data = data.filter(|data| matches!(data, Node::Table(_)));
    let plan = match data {
        Some(data) => plan.with("data", data.with("holdout", Node::raw("0.2"))),
        None => plan,
    };
    if plan.has("evaluation") {
        return plan;
    }
    let metrics = Node::List(vec![Node::text("accuracy")]);
    plan.with("evaluation", Node::Table(vec![("metrics", metrics)]))
}

/// A plan whose rounds can be credited, where it asks for credit.
pub(crate) fn crediting(plan: Node) -> Node {
    let sections = ["credit", "training", "cohort", "secure_aggregation"];
    if sections.iter().any(|name| !matches!(plan.get(name), Some(Node::Table(_)))) {
        return plan;
    }
    let values = [
        ("training", "rounds", "16"),
        ("cohort", "minimum", "5"),
        ("cohort", "maximum", "9"),
        ("secure_aggregation", "profile", "\"B\""),
        ("secure_aggregation", "audit", "\"closed\""),
    ];
    values.into_iter().fold(plan, |plan, (section, field, value)| match plan.get(section) {
        Some(body) => plan.with(section, body.with(field, Node::raw(value))),
        None => plan,
    })
}

/// The same plan with layers that fit each other, or with a model whose layers are not looked at,
/// and with data that its loss is for.
pub(crate) fn fitting(plan: Node) -> Node {
    let Some(Node::Table(model)) = plan.get("model") else { return plan };
    let model = Node::Table(model.clone());
    let kind = |node: &Node| node.get("kind").map(Node::to_string).unwrap_or_default();
    let plan = match model.get("layers") {
        Some(Node::List(layers)) if layers.len() == 1 => match kind(&layers[0]).trim_matches('"') {
            "linear" if !model.has("lora") && !model.has("start") => {
                plan.with("model", Node::Table(vec![("family", Node::text("any"))]))
            }
            kind => {
                let over_steps = ["1d", "lstm", "gru", "encoder", "_step", "_steps"];
                let is_over_steps = over_steps.iter().any(|end| kind.ends_with(end));
                let before =
                    is_over_steps.then(|| Node::raw("{ kind = \"sequence\", features = 8 }"));
                let after = ["{ kind = \"flatten\" }", "{ kind = \"linear\", out = 2 }"];
                let layers = before.into_iter().chain(layers.clone());
                let layers = layers.chain(after.map(Node::raw)).collect();
                let data = "{ kind = \"image\", height = 8, width = 8, classes = 2 }";
                plan.with("data", Node::raw(data))
                    .with("model", model.with("layers", Node::List(layers)))
            }
        },
        _ => plan,
    };
    let loss = plan.get("training").and_then(|training| training.get("loss"));
    let is_huber = loss.is_some_and(|loss| loss.to_string().contains("huber"));
    if !is_huber {
        return plan;
    }
    let columns = "[{ name = \"a\", type = \"float\", min = 0, max = 1 }]";
    let target = "{ column = \"b\", type = \"float\" }";
    let data = format!("{{ kind = \"tabular\", columns = {columns}, target = {target} }}");
    plan.with("data", Node::raw(data))
}
