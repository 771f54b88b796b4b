//! The description of plan files says what the reader of plans does: every section of it is put
//! into a plan, in every variant, and the reader is asked which fields it takes and needs, which
//! types, bounds and words each has, and what stands where it is absent. A field that is added to
//! the one and not to the other fails here.

mod node;
mod place;
mod values;

use std::collections::{BTreeMap, BTreeSet};

use covey_aggregation::plan::schema::{Need, Rule};
use covey_aggregation::plan::{Code, Plan, PlanError};

use node::{Node, minimal, sample_of, with_partners};
use place::{crediting, each, each_within, fitting, measuring};
use values::{DATE, probe, refuses, takes_words};

/// A name that no section has, and a word that no field takes.
const NONSENSE: &str = "zzzzzzzzzz";

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
    for complete in [fitting, |plan| measuring(fitting(plan)), |plan| crediting(fitting(plan))] {
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
