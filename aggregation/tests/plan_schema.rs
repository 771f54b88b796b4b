//! The description of plan files says what the reader of plans does: every section of it is put
//! into a plan, in every variant, and the reader is asked which fields it takes and needs, which
//! types, bounds and words each has, and what stands where it is absent. A field that is added to
//! the one and not to the other fails here.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use covey_aggregation::limits::PLAN_BYTES_MAX;
use covey_aggregation::plan::schema::{Field, Form, Need, PLAN, Rule, Section, Variant};
use covey_aggregation::plan::{Code, Plan, PlanError};

/// A name that no section has, and a word that no field takes.
const NONSENSE: &str = "zzzzzzzzzz";

/// A date: no field takes one.
const DATE: &str = "1979-05-27";

/// A TOML value.
#[derive(Clone)]
enum Node {
    Raw(String),
    List(Vec<Self>),
    Table(Vec<(&'static str, Self)>),
}

impl Node {
    fn raw(text: impl Into<String>) -> Self {
        Self::Raw(text.into())
    }

    /// A text in quotes.
    fn text(text: &str) -> Self {
        Self::Raw(format!("{text:?}"))
    }

    /// This table with one field more, or with another value for it.
    fn with(&self, name: &'static str, value: Self) -> Self {
        let Self::Table(mut fields) = self.without(name) else { panic!("a table") };
        fields.push((name, value));
        Self::Table(fields)
    }

    fn get(&self, name: &str) -> Option<&Self> {
        let Self::Table(fields) = self else { return None };
        fields.iter().find(|(other, _)| *other == name).map(|(_, node)| node)
    }

    fn has(&self, name: &str) -> bool {
        matches!(self, Self::Table(fields) if fields.iter().any(|(other, _)| *other == name))
    }

    fn without(&self, name: &str) -> Self {
        let Self::Table(fields) = self else { panic!("a table") };
        Self::Table(fields.iter().filter(|(other, _)| *other != name).cloned().collect())
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Raw(text) => f.write_str(text),
            Self::List(nodes) => {
                let nodes: Vec<_> = nodes.iter().map(Self::to_string).collect();
                write!(f, "[{}]", nodes.join(", "))
            }
            Self::Table(fields) => {
                let pairs = fields.iter().map(|(name, node)| format!("{name} = {node}"));
                write!(f, "{{ {} }}", pairs.collect::<Vec<_>>().join(", "))
            }
        }
    }
}

/// A value that a field may hold.
fn sample(form: &'static Form) -> Node {
    match form {
        Form::Whole(least, most) => Node::raw(least.max(&2).min(most).to_string()),
        Form::Number => Node::raw("1"),
        Form::Positive => Node::raw("1.5"),
        Form::Fraction => Node::raw("0.5"),
        Form::Within(least, _) => Node::raw(least.to_string()),
        Form::Args => Node::Table(vec![("width", Node::raw("8"))]),
        Form::Flag => Node::raw("true"),
        Form::Text(..) | Form::Label(..) | Form::Name | Form::Plain => Node::text("text"),
        Form::Exactly(text) => Node::text(text),
        Form::Case => panic!("a variant has the word"),
        Form::Words(words) => Node::text(words[0].0),
        Form::Duration(_) => Node::text("60s"),
        Form::List(of, least, _) => list(of, sample(of), *least),
        Form::Section(section) => minimal(&section.variants()[0]),
        Form::Either(forms) => sample(&forms[0]),
    }
}

/// A list that begins with `first` and has at least `least` values.
fn list(of: &'static Form, first: Node, least: usize) -> Node {
    let more = (1..least).map(|index| match of {
        Form::Section(_) => sample(of),
        _ => Node::text(&format!("more{index}")),
    });
    Node::List([first].into_iter().chain(more).collect())
}

fn sample_of(field: &'static Field) -> Node {
    if field.example.is_empty() { sample(&field.form) } else { Node::raw(field.example) }
}

/// A section with what it must have.
fn minimal(variant: &Variant) -> Node {
    let words = variant.words.iter().map(|(field, word, _)| (field.name, Node::text(word)));
    let any_of: BTreeSet<_> = variant
        .rules
        .iter()
        .filter_map(|rule| match rule {
            Rule::AnyOf(groups) => Some(groups[0]),
            _ => None,
        })
        .flatten()
        .collect();
    let fields = variant
        .fields
        .iter()
        .filter(|field| field.need == Need::Required || any_of.contains(&field.name))
        .map(|field| (field.name, sample_of(field)));
    Node::Table(words.chain(fields).collect())
}

/// A section in the plan around it.
struct Place<'a> {
    path: String,
    section: &'static Section,
    /// The plan with this section's body.
    around: Box<dyn Fn(Node) -> Node + 'a>,
}

impl Place<'_> {
    fn path_of(&self, field: &str) -> String {
        if self.path.is_empty() { field.to_owned() } else { format!("{}.{field}", self.path) }
    }

    /// Reads the plan with this body.
    fn read(&self, body: Node) -> Result<Plan, Vec<PlanError>> {
        read(&(self.around)(body))
    }

    fn errors(&self, body: Node) -> Vec<PlanError> {
        self.read(body).err().unwrap_or_default()
    }
}

fn read(plan: &Node) -> Result<Plan, Vec<PlanError>> {
    let Node::Table(fields) = plan else { panic!("a table") };
    let lines: Vec<_> = fields.iter().map(|(name, node)| format!("{name} = {node}\n")).collect();
    let text = lines.concat();
    Plan::parse(&text).map_err(|errors| errors.errors().to_vec())
}

/// Visits every section of the description, in every variant of those around it.
fn walk(place: Place<'_>, inside: &[&str], visit: &mut dyn FnMut(&Place<'_>, &Variant)) {
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

type Wrap = Box<dyn Fn(Node) -> Node>;

/// The sections that a field may hold, each with its place in the field's value.
fn sections(form: &'static Form) -> Vec<(String, &'static Section, Wrap)> {
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

fn each(visit: impl FnMut(&Place<'_>, &Variant)) {
    each_within(|plan| plan, visit);
}

/// Visits every section, in plans to which `complete` adds what the sections lack.
fn each_within(complete: fn(Node) -> Node, mut visit: impl FnMut(&Place<'_>, &Variant)) {
    let place = Place { path: String::new(), section: &PLAN, around: Box::new(complete) };
    walk(place, &[], &mut visit);
}

/// A plan in which something is measured, for what needs that.
fn measuring(plan: Node) -> Node {
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

/// The same plan with layers that fit each other, or with a model whose layers are not looked at,
/// and with data that its loss is for.
fn fitting(plan: Node) -> Node {
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

/// Whether an error says that the plan has not the form that the description gives it.
fn is_of_form(error: &PlanError) -> bool {
    use Code::{MissingField, OutOfRange, Syntax, Text, UnknownChoice, UnknownField, WrongType};
    let codes = [Syntax, UnknownField, MissingField, WrongType, OutOfRange, UnknownChoice, Text];
    codes.contains(&error.code)
}

/// The words in quotes, or the names between commas, at the end of a help text.
fn listed(help: &str, after: &str) -> BTreeSet<String> {
    let (_, list) = help.rsplit_once(after).unwrap_or_else(|| panic!("{help}"));
    let words = list.split(", ").flat_map(|words| words.split(" or "));
    words.map(|word| word.trim_matches('"').to_owned()).collect()
}

#[test]
fn what_the_description_asks_for_is_a_plan_in_every_variant() {
    let mut count = 0;
    each(|place, variant| {
        let mut errors = place.errors(minimal(variant));
        // Whether all of it goes together is another matter.
        errors.retain(is_of_form);
        assert!(errors.is_empty(), "{} {}: {errors:#?}", place.path, minimal(variant));
        count += 1;
    });
    assert!(count > 40, "{count} variants");
}

#[test]
fn the_reader_takes_the_fields_of_the_description_and_no_others() {
    each(|place, variant| {
        let body = minimal(variant);
        let known: BTreeSet<String> = variant
            .fields
            .iter()
            .map(|field| field.name)
            .chain(variant.words.iter().map(|(field, ..)| field.name))
            .map(str::to_owned)
            .collect();
        // Which fields the reader asks for may depend on which are there.
        let mut all = body.clone();
        let mut bodies = vec![body.clone()];
        for field in variant.fields.iter().filter(|field| field.need != Need::Required) {
            all = all.with(field.name, sample_of(field));
            bodies.push(body.with(field.name, sample_of(field)));
        }
        bodies.push(all);
        let mut asked = BTreeSet::new();
        for body in bodies {
            let errors = place.errors(body.with(NONSENSE, Node::raw("1")));
            for error in errors.iter().filter(|error| error.code == Code::UnknownField) {
                assert!(error.message.contains(NONSENSE), "{}: {error}", place.path);
                asked.extend(listed(&error.help, "has the fields "));
            }
        }
        assert_eq!(asked, known, "{} {body}", place.path);
    });
}

#[test]
fn the_reader_needs_what_the_description_needs() {
    each(|place, variant| {
        let body = minimal(variant);
        let misses = |body: Node, name: &str| {
            let message = format!("{} is missing", place.path_of(name));
            place.errors(body).iter().any(|error| error.message == message)
        };
        let words = variant.words.iter().map(|(field, ..)| *field);
        for field in variant.fields.iter().copied().chain(words) {
            let is_needed = variant.rules.iter().any(|rule| match rule {
                Rule::AnyOf(groups) => groups[0].contains(&field.name),
                _ => false,
            });
            let is_needed = is_needed || field.need == Need::Required;
            let missed = misses(body.without(field.name), field.name);
            assert_eq!(missed, is_needed, "{} without {}", body, place.path_of(field.name));
        }
        let sample = |name: &str| {
            let field = variant.fields.iter().find(|field| field.name == name);
            sample_of(field.unwrap_or_else(|| panic!("{name} in {}", place.path)))
        };
        for rule in &variant.rules {
            let broken = match rule {
                Rule::With(first, second) => body.with(first, sample(first)).without(second),
                Rule::NotBoth(first, second) => {
                    body.with(first, sample(first)).with(second, sample(second))
                }
                Rule::AnyOf(groups) => groups
                    .iter()
                    .copied()
                    .flatten()
                    .fold(body.clone(), |body, name| body.without(name)),
            };
            // That its layers do not fit is no answer: they may not have before.
            let told = place.errors(broken.clone());
            let is_told = told.iter().any(|error| error.code != Code::Shape);
            assert!(is_told, "{}: {broken} {rule:?}", place.path);
        }
        for rule in &variant.rules {
            let Rule::AnyOf(groups) = rule else { continue };
            let bare = groups
                .iter()
                .copied()
                .flatten()
                .fold(body.clone(), |body, name| body.without(name));
            for group in *groups {
                let body =
                    group.iter().fold(bare.clone(), |body, name| body.with(name, sample(name)));
                let mut errors = place.errors(body.clone());
                errors.retain(is_of_form);
                assert!(errors.is_empty(), "{}: {body} {errors:?}", place.path);
            }
        }
    });
}

#[test]
fn the_reader_takes_the_values_of_the_description_and_no_others() {
    each(|place, variant| {
        let body = minimal(variant);
        for field in &variant.fields {
            let path = place.path_of(field.name);
            let body = with_partners(&body, variant, field.name);
            let put = |node| place.errors(body.with(field.name, node));
            probe(&field.form, &path, &put);
        }
        for (field, ..) in &variant.words {
            let path = place.path_of(field.name);
            let put = |node| place.errors(body.with(field.name, node));
            refuses(&put, Node::raw(DATE), &path, "is a date, expected text in quotes");
        }
    });
    // Which words decide is a matter of a whole section.
    let mut seen = BTreeSet::new();
    each(|place, variant| {
        for (at, (field, ..)) in variant.words.iter().enumerate() {
            let outer = &variant.words[..at];
            let words: BTreeSet<String> = place
                .section
                .variants()
                .iter()
                .filter(|other| {
                    let same = |(a, b): (&(_, &str, _), &(_, &str, _))| a.1 == b.1;
                    other.words.len() > at && outer.iter().zip(&other.words).all(same)
                })
                .map(|other| other.words[at].1.to_owned())
                .collect();
            let put = |node| place.errors(minimal(variant).with(field.name, node));
            takes_words(&put, &place.path_of(field.name), &words);
            seen.insert((place.section.name, field.name));
        }
    });
    assert!(seen.len() >= 5, "{seen:?}");
}

type Put<'a> = &'a dyn Fn(Node) -> Vec<PlanError>;

#[track_caller]
fn refuses(put: Put<'_>, node: Node, path: &str, part: &str) {
    let errors = put(node.clone());
    let name = path.rsplit('.').next().unwrap_or(path);
    let is_told = |error: &PlanError| {
        let told = error.message.contains(path) || error.message.contains(name);
        told && (error.message.contains(part) || error.help.contains(part))
    };
    let text: String = node.to_string().chars().take(80).collect();
    assert!(errors.iter().any(is_told), "{path} = {text} {part:?}: {errors:#?}");
}

#[track_caller]
fn takes(put: Put<'_>, node: Node, path: &str) {
    let errors = put(node.clone());
    let found = errors.iter().find(|error| {
        is_of_form(error)
            && (error.message.contains(&format!("{path} "))
                || error.message.contains(&format!("{path}:")))
    });
    assert!(found.is_none(), "{path} = {node}: {found:?}");
}

fn takes_words(put: Put<'_>, path: &str, words: &BTreeSet<String>) {
    let errors = put(Node::text(NONSENSE));
    let error = errors.iter().find(|error| error.message.contains(NONSENSE));
    let error = error.unwrap_or_else(|| panic!("{path}: {errors:?}"));
    // There is no audit yet; the reader says what its absence means instead.
    if error.code != Code::Audit {
        assert_eq!(error.code, Code::UnknownChoice, "{error}");
        assert_eq!(&listed(&error.help, "use "), words, "{path}");
    }
}

/// What a reader says it expected.
fn expected(form: &Form) -> Vec<&'static str> {
    match form {
        Form::Whole(..) => vec!["a whole number"],
        Form::Number | Form::Positive | Form::Fraction | Form::Within(..) => vec!["a number"],
        Form::Flag => vec!["true or false"],
        Form::List(..) => vec!["a list in square brackets"],
        Form::Section(_) | Form::Args => vec!["a table of fields"],
        Form::Either(forms) => forms.iter().flat_map(expected).collect(),
        _ => vec!["text in quotes"],
    }
}

/// Asks the reader about a value of every kind.
fn probe(form: &'static Form, path: &str, put: Put<'_>) {
    let errors = put(Node::raw(DATE));
    let told: Vec<_> = expected(form)
        .into_iter()
        .map(|expected| format!("{path} is a date, expected {expected}"))
        .collect();
    assert!(errors.iter().any(|error| told.contains(&error.message)), "{told:?} {errors:?}");
    probe_values(form, path, put);
}

/// Asks the reader about values of the right type.
fn probe_values(form: &'static Form, path: &str, put: Put<'_>) {
    match form {
        Form::Whole(least, most) => {
            for value in [*least, *most] {
                takes(put, Node::raw(value.to_string()), path);
            }
            let below = i128::from(*least) - 1;
            for value in [below, i128::from(*most) + 1] {
                refuses(put, Node::raw(value.to_string()), path, &value.to_string());
            }
        }
        Form::Number => {
            takes(put, Node::raw("-1.5e3"), path);
            refuses(put, Node::raw("inf"), path, "no finite number");
        }
        Form::Positive => {
            takes(put, Node::raw("1e-3"), path);
            refuses(put, Node::raw("0.0"), path, "must be above 0");
        }
        Form::Fraction => {
            takes(put, Node::raw("0"), path);
            for bad in ["1.0", "-0.1"] {
                refuses(put, Node::raw(bad), path, "below 1");
            }
        }
        Form::Within(least, most) => {
            for value in [least, most] {
                takes(put, Node::raw(format!("{value}.0")), path);
            }
            let below = i64::from(*least) - 1;
            for value in [below, i64::from(*most) + 1] {
                refuses(put, Node::raw(value.to_string()), path, &value.to_string());
            }
        }
        Form::Args => {
            takes(put, Node::Table(vec![("a", Node::text("b")), ("c", Node::raw("true"))]), path);
            refuses(
                put,
                Node::Table(vec![("a", Node::raw(DATE))]),
                &format!("{path}.a"),
                "a number",
            );
        }
        Form::Text(least, most) => {
            takes(put, Node::text(&"a".repeat(*least)), path);
            for length in [least - 1, most + 1] {
                refuses(put, Node::text(&"a".repeat(length)), path, "");
            }
        }
        Form::Label(least, most) => {
            takes(put, Node::text(&"a".repeat(*most)), path);
            refuses(put, Node::raw("\"\\u0007\""), path, "");
            for length in [least - 1, most + 1] {
                refuses(put, Node::text(&"a".repeat(length)), path, "");
            }
        }
        Form::Name => refuses(put, Node::text("No Name"), path, "no name"),
        Form::Exactly(_) => refuses(put, Node::text(NONSENSE), path, NONSENSE),
        Form::Words(words) => {
            let all = words.iter().map(|(word, _)| (*word).to_owned()).collect();
            takes_words(put, path, &all);
            for (word, _) in *words {
                takes(put, Node::text(word), path);
            }
        }
        Form::Duration(most) => {
            takes(put, Node::text(&format!("{most}ms")), path);
            for bad in ["0s".to_owned(), format!("{}ms", most + 1), "1 s".to_owned()] {
                refuses(put, Node::text(&bad), path, "no usable duration");
            }
        }
        Form::Plain => {
            for value in ["1", "true", "1.5"] {
                takes(put, Node::raw(value), path);
            }
        }
        Form::List(of, least, most) => probe_list(of, *least, *most, path, put),
        Form::Either(forms) => forms.iter().for_each(|form| probe_values(form, path, put)),
        Form::Flag | Form::Section(_) | Form::Case => {}
    }
}

fn probe_list(of: &'static Form, least: usize, most: usize, path: &str, put: Put<'_>) {
    let element = format!("{path}[0]");
    let put_element = |node: Node| put(list(of, node, least));
    probe(of, &element, &put_element);
    if least > 0 {
        let Node::List(mut nodes) = list(of, sample(of), least) else { panic!("a list") };
        nodes.pop();
        refuses(put, Node::List(nodes), path, "");
    }
    let many = Node::List(vec![sample(of); most + 1]);
    if many.to_string().len() < PLAN_BYTES_MAX as usize / 2 {
        refuses(put, many, path, "");
    }
}

/// A section with what a field of it needs beside it.
fn with_partners(body: &Node, variant: &Variant, name: &str) -> Node {
    let mut body = body.clone();
    let mut names = vec![name];
    while let Some(name) = names.pop() {
        for rule in &variant.rules {
            let Rule::With(first, second) = *rule else { continue };
            if first != name || body.has(second) {
                continue;
            }
            let field = variant.fields.iter().find(|field| field.name == second);
            body = body.with(second, sample_of(field.expect("a field of the rule")));
            names.push(second);
        }
    }
    body
}

/// A plan without the places of its layers.
fn without_places(plan: &Plan) -> String {
    let text = format!("{plan:?}");
    let mut parts = text.split(", line: ");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| {
        let rest = part.split_once('}').map_or("", |(_, rest)| rest);
        format!("{text} }}{rest}")
    })
}

#[test]
fn defaults_are_those_of_the_reader() {
    let mut checked = BTreeMap::new();
    for complete in [fitting, |plan| measuring(fitting(plan))] {
        each_within(complete, |place, variant| {
            let body = minimal(variant);
            let words = variant.words.iter().map(|(field, word, _)| (*field, Some(*word)));
            for (field, word) in variant.fields.iter().map(|field| (*field, None)).chain(words) {
                let Need::Default(default) = field.need else { continue };
                if word.is_some_and(|word| default.trim_matches('"') != word) {
                    continue;
                }
                let count = checked.entry((place.section.name, field.name)).or_insert(0);
                let body = with_partners(&body, variant, field.name);
                let absent = place.read(body.without(field.name));
                let given = place.read(body.with(field.name, Node::raw(default)));
                let path = place.path_of(field.name);
                match (absent, given) {
                    (Ok(absent), Ok(given)) => {
                        let (absent, given) = (without_places(&absent), without_places(&given));
                        assert_eq!(absent, given, "{path} = {default}");
                        *count += 1;
                    }
                    (Err(absent), Err(given)) => {
                        let codes = |errors: &[PlanError]| -> Vec<_> {
                            errors.iter().map(|error| error.code).collect()
                        };
                        assert_eq!(codes(&absent), codes(&given), "{path} = {default}");
                    }
                    (absent, given) => panic!("{path} = {default}: {absent:?} {given:?}"),
                }
            }
        });
    }
    assert!(checked.len() > 20, "{checked:?}");
    let never: Vec<_> = checked.iter().filter(|(_, count)| **count == 0).collect();
    assert!(never.is_empty(), "in no valid plan: {never:?}");
}
