//! The form that prepares a dispute.

use serde::Serialize;
use utoipa::ToSchema;

use super::parts::quoted;
use super::reader::Reader;
use crate::answer::{Answer, View};
use crate::block::{Block, Cell, Field, Form, Page, Tone};
use crate::text;

/// A dispute in preparation. Nothing is sent: a member signs it with its own key.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PrepareView {
    /// The entry of the settlement.
    entry: Option<u64>,
    /// The owner whose credit it is: a name or a key.
    owner: String,
    /// `pay` or `without`.
    remedy: String,
    /// Credits, or rounds separated by commas.
    value: String,
    /// Why.
    why: String,
    /// Files that show it, separated by commas: the command signs their digests.
    evidence: String,
    /// What is missing, or wrong.
    problem: Option<String>,
    /// The command to sign with.
    command: Option<String>,
    /// Settlements: entry and words.
    #[serde(skip)]
    settlements: Vec<(String, String)>,
}

/// The command that opens a dispute.
pub(crate) fn command(run: &str, owner: &str, remedy: &str, why: &str) -> String {
    format!("covey-client dispute open --run {run} --owner {owner} {remedy} --why {}", quoted(why))
}

pub(crate) fn prepare(reader: &Reader<'_>) -> Answer {
    let query = &reader.query;
    let mut view = PrepareView {
        entry: query.number("entry"),
        owner: query.get("owner").to_owned(),
        remedy: query.get("remedy").to_owned(),
        value: query.get("value").trim().to_owned(),
        why: query.get("why").to_owned(),
        evidence: query.get("evidence").trim().to_owned(),
        problem: None,
        command: None,
        settlements: reader
            .settlements()
            .iter()
            .rev()
            .map(|one| {
                (
                    one.entry.to_string(),
                    format!("epoch {}: {}", one.epoch, reader.which(&one.run).label()),
                )
            })
            .collect(),
    };
    if !view.remedy.is_empty() {
        match prepared(reader, &view) {
            Ok(command) => view.command = Some(command),
            Err(problem) => view.problem = Some(problem),
        }
    }
    Answer::of(&view)
}

fn prepared(reader: &Reader<'_>, view: &PrepareView) -> Result<String, String> {
    let credits = view.entry.and_then(|entry| reader.settlement_at(entry));
    let credits = credits.ok_or("Choose the credits that are disputed.")?;
    let owner = reader.member(view.owner.trim()).ok_or("There is no owner of this name or key.")?;
    credits.settlement.of(&owner.id).ok_or("This owner has no credit there.")?;
    if reader.source.now_ms() > credits.window_end_ms {
        let end = text::time(credits.window_end_ms);
        return Err(format!("These credits could be disputed until {end}."));
    }
    let is_amount = |text: &str| {
        let (whole, rest) = text.split_once('.').unwrap_or((text, "0"));
        let is_digits = |part: &str, max: usize| {
            !part.is_empty() && part.len() <= max && part.bytes().all(|one| one.is_ascii_digit())
        };
        is_digits(whole, 12) && is_digits(rest, 6)
    };
    let remedy = match view.remedy.as_str() {
        "pay" if is_amount(&view.value) => format!("--pay {}", view.value),
        "pay" => return Err("Say how many credits, as 12.5.".to_owned()),
        _ => {
            let rounds: Result<Vec<u32>, _> =
                view.value.split(',').map(|one| one.trim().parse()).collect();
            let mut rounds = rounds.map_err(|_| "Say which rounds, as 3,5.")?;
            rounds.sort_unstable();
            rounds.dedup();
            if let Some(other) = rounds.iter().find(|one| !credits.settlement.rounds.contains(one))
            {
                return Err(format!("Round {other} has no evidence in these credits."));
            }
            let rounds: Vec<_> = rounds.iter().map(u32::to_string).collect();
            format!("--without {}", rounds.join(","))
        }
    };
    if view.why.trim().is_empty() {
        return Err("Say why: reviewers read it.".to_owned());
    }
    let key = covey_aggregation::hash::Digest(owner.id.0).to_string();
    let command = command(&credits.run.to_string(), &key, &remedy, view.why.trim());
    Ok(command + &evidence(&view.evidence))
}

/// The part of the command that names files.
fn evidence(names: &str) -> String {
    let names = names.split(',').map(str::trim).filter(|name| !name.is_empty());
    // What begins with a dash would be taken for an option.
    let path =
        |name: &str| if name.starts_with('-') { format!("./{name}") } else { name.to_owned() };
    let quoted: String = names.map(|name| format!(" {}", quoted(&path(name)))).collect();
    if quoted.is_empty() { quoted } else { format!(" --evidence{quoted}") }
}

impl View for PrepareView {
    fn page(&self) -> Page {
        let mut page = Page::new("Prepare a dispute");
        page.trail = vec![Cell::link("Disputes", "/disputes")];
        page.lead = vec![Cell::text(
            "This page only writes the command. You run it where your key is: it signs the dispute and sends it.",
        )];
        if let Some(problem) = &self.problem {
            page.add(Block::Notice(Tone::Warn, vec![Cell::text(problem.clone())]));
        }
        if let Some(command) = &self.command {
            page.text("Run this where your member key is:");
            page.add(Block::Code("The command", command.clone()));
        }
        let field = |name, label, value: &str, hint| Field {
            name,
            label,
            value: value.to_owned(),
            hint,
            ..Field::default()
        };
        let entry = self.entry.map_or_else(String::new, |entry| entry.to_string());
        let remedies = [("pay", "pay another amount"), ("without", "settle without some rounds")];
        let remedies = remedies.map(|(value, text)| (value.to_owned(), text.to_owned())).to_vec();
        page.add(Block::Form(Form {
            action: "/disputes/new",
            submit: "Write the command",
            fields: vec![
                Field {
                    options: self.settlements.clone(),
                    ..field("entry", "Credits", &entry, "")
                },
                field("owner", "Owner whose credit it is", &self.owner, "Its name or key."),
                Field {
                    options: remedies,
                    ..field("remedy", "What should be instead", &self.remedy, "")
                },
                field(
                    "value",
                    "Credits, or rounds",
                    &self.value,
                    "12.5 to be paid; or 3,5 to settle without rounds 3 and 5.",
                ),
                Field {
                    is_long: true,
                    ..field("why", "Why", &self.why, "In your own words; everybody can read them.")
                },
                field(
                    "evidence",
                    "Files that show it",
                    &self.evidence,
                    "Names of files on your own machine, as log.txt, proof.json; or none. The command signs their \
                     SHA-256 digests: the files stay with you, for reviewers.",
                ),
            ],
        }));
        page
    }
}
