//! Tools: commands with named arguments.

use std::path::Path;

use covey_aggregation::program::config::beside;
use serde_json::{Map, Value, json};

use super::Places;

/// A command as a tool.
#[derive(Debug)]
pub struct Tool {
    /// Its name.
    pub name: &'static str,
    /// What it does.
    pub about: &'static str,
    /// The command.
    pub command: &'static [&'static str],
    /// Which of the places that the server was started with it is given.
    pub needs: Needs,
    /// Its arguments.
    pub parameters: &'static [Parameter],
    /// Whether it signs or sends.
    pub writes: bool,
}

/// What a command is told of places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// `--config`.
    Config,
    /// `--config`, `--ledger` and `--roster`.
    Reading,
    /// `--config` and `--ledger`.
    Signing,
    /// `--config`, `--roster`, and the ledger's folder as the first argument.
    Folder,
    /// The file of this name beside the configuration, as the first argument.
    Beside(&'static str),
}

/// An argument.
#[derive(Debug)]
pub struct Parameter {
    /// Its name.
    pub name: &'static str,
    /// What it means.
    pub about: &'static str,
    /// How it is given to the command.
    pub kind: Kind,
    /// Whether the command needs it.
    pub is_required: bool,
}

/// How an argument is given to a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// By its place.
    Word,
    /// By its place, a number.
    Number,
    /// After an option.
    Text(&'static str),
    /// After an option, a number.
    Count(&'static str),
    /// A list, each after the option.
    List(&'static str),
    /// The option alone, where it is true.
    Switch(&'static str),
}

const fn given(name: &'static str, kind: Kind, about: &'static str) -> Parameter {
    Parameter { name, about, kind, is_required: true }
}

const fn may(name: &'static str, kind: Kind, about: &'static str) -> Parameter {
    Parameter { name, about, kind, is_required: false }
}

const RUN: &str = "The run: its name, or at least four digits of the beginning of its digest";
const DISPUTE: &str = "At least four digits of the beginning of the digest";
const WHY: &str = "Why, in words. Everybody reads it";
const ALL: Parameter =
    may("all", Kind::Switch("--all"), "Also what is decided or withdrawn; else only what is open");
const NUMBER: Parameter = may(
    "number",
    Kind::Count("--number"),
    "Idempotency key: the same number with the same words is the same statement, recorded once. The \
     answer of the first call has it",
);
const DRY_RUN: Parameter =
    may("dry_run", Kind::Switch("--dry-run"), "Only show the text that would be signed");

const fn reads(
    name: &'static str,
    (command, needs): (&'static [&'static str], Needs),
    about: &'static str,
    parameters: &'static [Parameter],
) -> Tool {
    Tool { name, about, command, needs, parameters, writes: false }
}

const fn signs(
    name: &'static str,
    command: &'static [&'static str],
    about: &'static str,
    parameters: &'static [Parameter],
) -> Tool {
    Tool { name, about, command, needs: Needs::Signing, parameters, writes: true }
}

/// The tools of [`super::super::DeskCommand`].
pub const TOOLS: &[Tool] = &[
    reads(
        "ledger_verify",
        (&["ledger", "verify"], Needs::Folder),
        "Check the whole ledger: signatures, quorum, every entry. Tells how many statements are checked, \
         attested by a quorum, or only asserted, and every doubt",
        &[],
    ),
    reads(
        "ledger_entry",
        (&["ledger", "entry"], Needs::Folder),
        "An entry of the ledger, and what each of its statements is worth",
        &[given("number", Kind::Number, "The entry's number, from 0")],
    ),
    reads(
        "ledger_round",
        (&["ledger", "round"], Needs::Folder),
        "A round, checked against what was published of it",
        &[
            given("run", Kind::Word, RUN),
            given("round", Kind::Number, "The round's number, from 1"),
        ],
    ),
    reads(
        "ledger_credits",
        (&["ledger", "credits"], Needs::Folder),
        "A run's credits, computed again; of one owner with the reasons",
        &[
            given("run", Kind::Word, RUN),
            may(
                "owner",
                Kind::Word,
                "Only this owner: its name, or at least four digits of its key",
            ),
        ],
    ),
    reads("dispute_list", (&["dispute", "list"], Needs::Reading), "Disputes of credits", &[ALL]),
    reads(
        "dispute_show",
        (&["dispute", "show"], Needs::Reading),
        "A dispute: what is doubted, what would change, the votes",
        &[given("dispute", Kind::Word, DISPUTE)],
    ),
    reads(
        "review_list",
        (&["review", "list"], Needs::Reading),
        "What reviewers vote on: disputes and proposals",
        &[ALL],
    ),
    reads(
        "review_charter",
        (&["review", "charter"], Needs::Reading),
        "The charter in force, and who reviews",
        &[],
    ),
    reads(
        "payout_preview",
        (&["payout", "preview"], Needs::Reading),
        "Who would be paid what now, what is held back, and why",
        &[may("run", Kind::List("--run"), "Only these runs, beside those of earlier payouts")],
    ),
    signs(
        "dispute_open",
        &["dispute", "open"],
        "Sign and record a dispute of an owner's credit in a run, which is then held back until reviewers \
         have decided. Give either pay or without",
        &[
            given("run", Kind::Text("--run"), RUN),
            given("owner", Kind::Text("--owner"), "Whose credit: its name, or digits of its key"),
            may("pay", Kind::Text("--pay"), "What it should be paid for the run, in credits: 12.5"),
            may("without", Kind::Text("--without"), "The rounds to settle without, such as 1,3-5"),
            given("why", Kind::Text("--why"), WHY),
            may("evidence", Kind::List("--evidence"), "Files; only their digests are signed"),
            NUMBER,
            DRY_RUN,
        ],
    ),
    signs(
        "dispute_withdraw",
        &["dispute", "withdraw"],
        "Sign and record that the member's own dispute is withdrawn",
        &[given("dispute", Kind::Word, DISPUTE), NUMBER, DRY_RUN],
    ),
    signs(
        "review_vote",
        &["review", "vote"],
        "Sign and record a reviewer's vote. It stands",
        &[
            given("id", Kind::Word, DISPUTE),
            given("choice", Kind::Word, "yes or no"),
            NUMBER,
            DRY_RUN,
        ],
    ),
    signs(
        "address_set",
        &["address", "set"],
        "Sign and record where the member is paid. Give either address or none",
        &[
            may("address", Kind::Word, "0x and 40 hexadecimal digits with the checksum of EIP-55"),
            may("none", Kind::Switch("--none"), "Take the address back"),
            NUMBER,
            DRY_RUN,
        ],
    ),
];

impl Tool {
    /// As a client is told of it.
    #[must_use]
    pub fn describe(&self) -> Value {
        let schema = |parameter: &Parameter| {
            let (kind, items) = match parameter.kind {
                Kind::Word | Kind::Text(_) => ("string", None),
                Kind::Number | Kind::Count(_) => ("integer", None),
                Kind::List(_) => ("array", Some(json!({ "type": "string" }))),
                Kind::Switch(_) => ("boolean", None),
            };
            let mut schema = json!({ "type": kind, "description": parameter.about });
            if let Some(items) = items {
                schema["items"] = items;
            }
            (parameter.name.to_owned(), schema)
        };
        let properties: Map<_, _> = self.parameters.iter().map(schema).collect();
        let required = self.parameters.iter().filter(|parameter| parameter.is_required);
        let required: Vec<_> = required.map(|parameter| parameter.name).collect();
        json!({
            "name": self.name,
            "description": self.about,
            "inputSchema": {
                "type": "object",
                "properties": properties,
                "required": required,
                "additionalProperties": false,
            },
            "annotations": {
                "readOnlyHint": !self.writes,
                "destructiveHint": self.writes,
                "idempotentHint": true,
                "openWorldHint": self.writes,
            },
        })
    }

    /// The command line of a call. Options are given as `--option=value` and words stand after `--`, so that
    /// no argument is taken for an option.
    ///
    /// # Errors
    /// What is wrong with the arguments.
    pub fn command_line(&self, arguments: &Value, places: &Places) -> Result<Vec<String>, String> {
        let arguments = arguments.as_object().ok_or("the arguments are no object")?;
        let is_known = |name: &String| self.parameters.iter().any(|one| one.name == *name);
        if let Some(unknown) = arguments.keys().find(|name| !is_known(name)) {
            return Err(format!("no argument {unknown:?}"));
        }
        let mut line: Vec<_> = self.command.iter().map(|&word| word.to_owned()).collect();
        let mut words = Vec::new();
        self.places(places, &mut line, &mut words)?;
        for parameter in self.parameters {
            match arguments.get(parameter.name).filter(|value| !value.is_null()) {
                Some(value) => parameter.give(value, &mut line, &mut words)?,
                None if parameter.is_required => {
                    return Err(format!("the argument {:?} is missing", parameter.name));
                }
                None => {}
            }
        }
        if self.writes {
            line.push("--yes".to_owned());
        }
        if !words.is_empty() {
            line.push("--".to_owned());
            line.extend(words);
        }
        Ok(line)
    }

    fn places(
        &self,
        places: &Places,
        line: &mut Vec<String>,
        words: &mut Vec<String>,
    ) -> Result<(), String> {
        let mut option = |name: &str, value: &Option<String>| {
            line.extend(value.iter().map(|value| format!("--{name}={value}")));
        };
        if let Needs::Beside(name) = self.needs {
            let config = Path::new(places.config.as_deref().unwrap_or_default());
            words.push(beside(config, Path::new(name)).display().to_string());
            return Ok(());
        }
        option("config", &places.config);
        if matches!(self.needs, Needs::Reading | Needs::Signing) {
            option("ledger", &places.ledger);
        }
        if matches!(self.needs, Needs::Reading | Needs::Folder) {
            option("roster", &places.roster);
        }
        if self.needs == Needs::Folder {
            let folder = places.ledger.clone();
            words.push(folder.ok_or("the server was started without a ledger (--ledger DIR)")?);
        }
        Ok(())
    }
}

impl Parameter {
    fn give(
        &self,
        value: &Value,
        line: &mut Vec<String>,
        words: &mut Vec<String>,
    ) -> Result<(), String> {
        let wrong = |what: &str| format!("the argument {:?} is {what}", self.name);
        let text = || value.as_str().ok_or_else(|| wrong("no text"));
        let number = || value.as_u64().ok_or_else(|| wrong("no whole number"));
        match self.kind {
            Kind::Word => words.push(text()?.to_owned()),
            Kind::Number => words.push(number()?.to_string()),
            Kind::Text(option) => line.push(format!("{option}={}", text()?)),
            Kind::Count(option) => line.push(format!("{option}={}", number()?)),
            Kind::List(option) => {
                for one in value.as_array().ok_or_else(|| wrong("no list"))? {
                    let one = one.as_str().ok_or_else(|| wrong("no list of texts"))?;
                    line.push(format!("{option}={one}"));
                }
            }
            Kind::Switch(option) => match value.as_bool() {
                Some(true) => line.push(option.to_owned()),
                Some(false) => {}
                None => return Err(wrong("neither true nor false")),
            },
        }
        Ok(())
    }
}
