//! A tool: a command with named arguments.

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
    /// What it changes.
    pub effect: Effect,
}

/// What a command changes. Only what reads is offered where nothing else was allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Nothing.
    Reads,
    /// It writes a file, or asks the coordinator for something.
    Writes,
    /// It signs a statement for the ledger and sends it; it asks nobody, since there is nobody to ask.
    Signs,
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
    /// `--config` and `--roster`.
    Pinned,
    /// `--roster`, which the server must have been started with.
    Roster,
    /// The file of this name beside the configuration, as the first argument.
    Beside(&'static str),
    /// None.
    Nothing,
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

/// A parameter that must be given.
#[must_use]
pub const fn given(name: &'static str, kind: Kind, about: &'static str) -> Parameter {
    Parameter { name, about, kind, is_required: true }
}

/// A parameter that may be given.
#[must_use]
pub const fn may(name: &'static str, kind: Kind, about: &'static str) -> Parameter {
    Parameter { name, about, kind, is_required: false }
}

/// A tool that changes nothing.
#[must_use]
pub const fn reads(
    name: &'static str,
    (command, needs): (&'static [&'static str], Needs),
    about: &'static str,
    parameters: &'static [Parameter],
) -> Tool {
    Tool { name, about, command, needs, parameters, effect: Effect::Reads }
}

/// A tool that writes a file, or asks the coordinator for something.
#[must_use]
pub const fn writes(
    name: &'static str,
    at: (&'static [&'static str], Needs),
    about: &'static str,
    parameters: &'static [Parameter],
) -> Tool {
    Tool { effect: Effect::Writes, ..reads(name, at, about, parameters) }
}

/// A tool that signs a statement for the ledger and sends it.
#[must_use]
pub const fn signs(
    name: &'static str,
    command: &'static [&'static str],
    about: &'static str,
    parameters: &'static [Parameter],
) -> Tool {
    Tool { effect: Effect::Signs, ..reads(name, (command, Needs::Signing), about, parameters) }
}

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
                "readOnlyHint": self.effect == Effect::Reads,
                "destructiveHint": self.effect != Effect::Reads,
                "idempotentHint": true,
                "openWorldHint": self.effect != Effect::Reads,
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
        if self.effect == Effect::Signs {
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
        if !matches!(self.needs, Needs::Roster | Needs::Nothing) {
            option("config", &places.config);
        }
        if matches!(self.needs, Needs::Reading | Needs::Signing) {
            option("ledger", &places.ledger);
        }
        if matches!(self.needs, Needs::Reading | Needs::Folder | Needs::Pinned | Needs::Roster) {
            option("roster", &places.roster);
        }
        if self.needs == Needs::Roster && places.roster.is_none() {
            return Err("the server was started without a roster (--roster FILE)".to_owned());
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
