//! Every command is a tool, or it is said why it is none.

use std::collections::BTreeSet;

use clap::{Arg, Command, CommandFactory as _, Parser as _};
use covey_ledger::desk::mcp::{Effect, Kind, Needs, Places, TOOLS, Tool};
use serde_json::{Map, Value, json};

use super::tools::OWN;
use crate::arguments::Arguments;

/// Commands that are no tools, and why.
const EXEMPT: &[(&str, &str)] = &[
    ("init", "keys are born by a person's hand"),
    ("join", "keys are born by a person's hand, and an invite is a secret"),
    ("leave", "it ends a membership for good"),
    ("start", "it runs until it is stopped"),
    ("resume", "it ends a person's word to take no part"),
    ("runs approve", "it loosens what the owner allows"),
    ("policy init", "what an owner allows is written by a person"),
    ("service install", "it takes an administrator"),
    ("service uninstall", "it takes an administrator"),
    ("data add", "which data may be used is the owner's to say"),
    ("data list", "where an owner's data are stays with the owner"),
    ("data remove", "which data may be used is the owner's to say"),
    ("data preview", "it shows what is in the owner's data"),
    ("data check", "it tells of the owner's data where they do not fit"),
    ("data mock", "a file of rows, for a person who tries plans"),
    ("sim", "it tells line by line for as long as it trains"),
    ("run watch", "it tells line by line until the run is over: run_show and run_wait"),
    ("mcp", "it is this"),
];

/// Options that no call says, and why.
const EXEMPT_OPTIONS: &[(&str, &str, &str)] = &[
    ("", "json", "every tool answers with JSON"),
    ("", "help", "a person's"),
    ("", "version", "a person's"),
    ("", "config", "said when the server is started"),
    ("", "roster", "said when the server is started"),
    ("", "ledger", "said when the server is started"),
    ("", "dir", "said when the server is started"),
    ("", "published", "what lies beside the ledger is found"),
    ("", "yes", "given with what signs"),
    ("policy show", "file", "the policy beside the configuration"),
    ("policy check", "file", "the policy beside the configuration"),
    ("plan explain", "data", "it reads the owner's data"),
    ("plan explain", "test_data", "it reads the owner's data"),
    ("plan explain", "clients", "of a simulation on data"),
    ("run submit", "watch", "it tells line by line: run_show and run_wait"),
];

/// One of these must be given, though none of them must.
const ONE_OF: &[(&str, &str)] =
    &[("dispute_open", "pay"), ("address_set", "address"), ("review_propose_reviewers", "add")];

/// Beside a parameter, also this one.
const TOGETHER: &[(&str, &str, &str)] =
    &[("credits_verify", "plan", "pool"), ("credits_verify", "pool", "plan")];

/// In the place of what is given of [`ONE_OF`].
const INSTEAD: &[(&str, &str)] = &[("dispute_open", "without"), ("address_set", "none")];

fn all() -> Vec<&'static Tool> {
    TOOLS.iter().chain(OWN).collect()
}

/// The commands that can be carried out, by their names, with what they take.
fn leaves(command: &Command, path: &str, found: &mut Vec<(String, Command)>) {
    let runs_alone = !command.has_subcommands() || !command.is_subcommand_required_set();
    if runs_alone && !path.is_empty() {
        found.push((path.to_owned(), command.clone()));
    }
    for inner in command.get_subcommands().filter(|inner| inner.get_name() != "help") {
        let path = format!("{path} {}", inner.get_name());
        leaves(inner, path.trim_start(), found);
    }
}

fn commands() -> Vec<(String, Command)> {
    let mut found = Vec::new();
    leaves(&Arguments::command(), "", &mut found);
    found
}

#[test]
fn every_command_is_a_tool_or_it_is_said_why_not() {
    let commands: BTreeSet<_> = commands().into_iter().map(|(path, _)| path).collect();
    let tools: BTreeSet<_> = all().iter().map(|tool| tool.command.join(" ")).collect();
    let exempt: BTreeSet<_> = EXEMPT.iter().map(|(path, _)| (*path).to_owned()).collect();
    assert!(EXEMPT.iter().all(|(_, why)| !why.is_empty()));
    let without: Vec<_> =
        commands.iter().filter(|one| !tools.contains(*one) && !exempt.contains(*one)).collect();
    assert!(without.is_empty(), "neither tools nor exempt: {without:?}");
    let both: Vec<_> = tools.intersection(&exempt).collect();
    assert!(both.is_empty(), "tools and exempt: {both:?}");
    let none: Vec<_> = tools.union(&exempt).filter(|one| !commands.contains(*one)).collect();
    assert!(none.is_empty(), "no commands: {none:?}");
    assert_eq!(all().len(), tools.len(), "each command is one tool");
    let names: BTreeSet<_> = all().iter().map(|tool| tool.name).collect();
    assert_eq!(names.len(), tools.len(), "each tool has a name of its own");
}

#[test]
fn every_option_of_a_tools_command_can_be_given_or_it_is_said_why_not() {
    let commands = commands();
    for tool in all() {
        let path = tool.command.join(" ");
        let (_, command) = commands.iter().find(|(one, _)| *one == path).expect("a command");
        let is_exempt = |arg: &Arg| {
            let of = |(on, id, _): &(&str, &str, &str)| {
                (on.is_empty() || *on == path) && arg.get_id().as_str() == *id
            };
            EXEMPT_OPTIONS.iter().any(of)
        };
        let options: Vec<_> = tool
            .parameters
            .iter()
            .filter_map(|parameter| match parameter.kind {
                Kind::Text(option)
                | Kind::Count(option)
                | Kind::List(option)
                | Kind::Switch(option) => option.strip_prefix("--"),
                Kind::Word | Kind::Number => None,
            })
            .collect();
        for arg in command.get_arguments().filter(|arg| !arg.is_positional() && !is_exempt(arg)) {
            let name = arg.get_long().expect("a long option");
            assert!(options.contains(&name), "{path}: --{name} cannot be given");
        }
        let given = tool.parameters.iter();
        let words = given.filter(|one| matches!(one.kind, Kind::Word | Kind::Number)).count();
        let by_place = usize::from(matches!(tool.needs, Needs::Folder | Needs::Beside(_)));
        let takes = command.get_positionals().count();
        assert_eq!(words + by_place, takes, "{path}: words that it takes");
    }
}

/// A value that a parameter can have.
fn value(tool: &Tool, name: &str, kind: Kind) -> Value {
    match kind {
        Kind::Number | Kind::Count(_) => json!(3),
        Kind::Switch(_) => json!(true),
        Kind::List(_) => json!(["one", "another"]),
        Kind::Word | Kind::Text(_) => json!(match (tool.name, name) {
            ("address_set", "address") => "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
            (_, "pay" | "credits" | "budget_free") if tool.name != "credits_verify" => "12.5",
            (_, "without") => "1,3-5",
            (_, "choice") => "yes",
            (_, "at" | "since") => "2026-11-28T10:58:02Z",
            (_, "timeout") => "90s",
            (_, "template") => "image",
            ("run_export", "format") => "onnx",
            (_, "format") => "csv",
            (_, "units_per_credit") => "1000000000000000000",
            _ => "digits",
        }),
    }
}

#[test]
fn every_call_is_a_command_line_that_the_program_takes() {
    let places = Places {
        config: Some("client.toml".to_owned()),
        ledger: Some("published".to_owned()),
        roster: Some("roster.json".to_owned()),
    };
    for tool in all() {
        let mut usual = Map::new();
        let names = |list: &[(&str, &'static str)]| -> Vec<&str> {
            list.iter().filter(|(of, _)| *of == tool.name).map(|(_, name)| *name).collect()
        };
        let one_of = names(ONE_OF);
        for one in tool.parameters {
            if one.is_required || one_of.contains(&one.name) {
                usual.insert(one.name.to_owned(), value(tool, one.name, one.kind));
            }
        }
        // By itself, and with each of what may be given.
        let mut calls = vec![usual.clone()];
        for one in tool.parameters.iter().filter(|one| !usual.contains_key(one.name)) {
            let mut call = usual.clone();
            if names(INSTEAD).contains(&one.name) {
                one_of.iter().for_each(|other| drop(call.remove(*other)));
            }
            call.insert(one.name.to_owned(), value(tool, one.name, one.kind));
            for (_, _, other) in
                TOGETHER.iter().filter(|(of, with, _)| *of == tool.name && *with == one.name)
            {
                call.insert((*other).to_owned(), json!("digits"));
            }
            calls.push(call);
        }
        for call in calls {
            let call = Value::Object(call);
            let line = tool.command_line(&call, &places).expect("a command line");
            let program = ["covey-client".to_owned(), "--json".to_owned()];
            let parsed = Arguments::try_parse_from(program.iter().chain(&line));
            if let Err(error) = parsed {
                panic!("{}: {line:?}: {error}", tool.name);
            }
        }
    }
}

/// What is offered without `--allow-write` writes nothing: neither files of people's choosing nor words that
/// others read.
#[test]
fn what_takes_a_file_to_write_or_a_yes_is_no_reading() {
    let commands = commands();
    for tool in all() {
        let path = tool.command.join(" ");
        let (_, command) = commands.iter().find(|(one, _)| *one == path).expect("a command");
        let has = |id: &str| command.get_arguments().any(|arg| arg.get_id().as_str() == id);
        assert_eq!(has("yes"), tool.effect == Effect::Signs, "{path}");
        if has("out") || has("output") {
            assert_eq!(tool.effect, Effect::Writes, "{path}");
        }
    }
}
