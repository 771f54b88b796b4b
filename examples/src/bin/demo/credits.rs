//! What the coordinator published of credits, computed and settled again by another program.

use std::fmt;
use std::path::Path;

use covey_aggregation::credit::{Account, Amount, Flag, MICRO, Settlement};
use covey_aggregation::program::credits::PublishedEpoch;
use serde_json::{Value, json};

use crate::federation::{Federation, owner_name};
use crate::process::run_to_end;
use crate::role::Role;

/// The epoch's credits.
pub(crate) struct Credits {
    /// What the outside program said, or why it failed.
    pub(crate) recomputed: Result<String, String>,
    /// What another owner says of the first one's proof of its own numbers.
    pub(crate) proven: Result<String, String>,
    /// As published; none where that cannot be read.
    published: Option<Published>,
}

/// What was published, for people.
struct Published {
    rounds: usize,
    pool: Amount,
    paid: Amount,
    /// Of the owners with evidence, in order.
    lines: Vec<Line>,
}

/// One owner's account.
struct Line {
    owner: String,
    role: Role,
    account: Account,
    flags: Vec<String>,
}

impl Credits {
    /// Has the owners' own program check the published rounds, draw and train on every fold again, settle
    /// the evidence again, and compare the first owner's numbers with what it sent.
    pub(crate) fn check(federation: &Federation) -> Self {
        let folder = federation.credits();
        let text = |path: &Path| path.display().to_string();
        let home = federation.root.join(owner_name(1));
        let (roster, config) = (text(&home.join("roster.json")), text(&home.join("client.toml")));
        let published = text(&federation.published());
        let plan = text(&federation.root.join("coordinator").join("plan.toml"));
        let pool = federation.pool();
        let mut command =
            vec!["credits", "verify", &published, "--roster", &roster, "--config", &config];
        command.extend(["--plan", &plan]);
        command.extend(pool.iter().map(String::as_str));
        let recomputed = run_to_end("client", &command);
        let proven = prove(federation, (&published, &roster, &config));
        // Shown also where they do not follow from the evidence: `recomputed` says so.
        let epoch = PublishedEpoch::read(&folder).ok();
        let published = epoch.map(|epoch| Published::new(&epoch.settlement, federation));
        Self { recomputed, proven, published }
    }

    /// Whether all of it holds.
    pub(crate) fn is_good(&self) -> bool {
        self.recomputed.is_ok() && self.proven.is_ok()
    }

    /// One object for each owner; amounts are in whole credits.
    pub(crate) fn to_json(&self) -> Value {
        let lines = self.published.iter().flat_map(|published| &published.lines);
        lines.map(Line::to_json).collect()
    }
}

/// Has the first owner write the proof of its numbers in the first round that has some, and another one check it.
fn prove(
    federation: &Federation,
    (published, roster, config): (&str, &str, &str),
) -> Result<String, String> {
    let epoch = PublishedEpoch::read(&federation.credits()).map_err(|error| error.to_string())?;
    let round = epoch.rounds.first().map_or(1, |evidence| evidence.round()).to_string();
    let proof = federation.root.join("own-numbers.json").display().to_string();
    let prove = ["credits", "prove", published, "--roster", roster, "--config", config];
    run_to_end("client", &[&prove[..], &["--round", &round, "--out", &proof]].concat())?;
    let theirs = federation.root.join(owner_name(2)).join("roster.json").display().to_string();
    run_to_end("client", &["credits", "judge", &proof, published, "--roster", &theirs])
}

impl Published {
    fn new(settlement: &Settlement, federation: &Federation) -> Self {
        let mut lines: Vec<(usize, Line)> = Vec::new();
        for account in &settlement.accounts {
            let Some(number) = federation.owner_number(&account.owner) else { continue };
            let flag = |flag: &Flag| match flag {
                Flag::Duplicate { with } => {
                    format!("duplicate of {}", federation.name_of(with))
                }
                flag => flag.kind().to_string(),
            };
            let flags = account.flags.iter().map(flag).collect();
            let (owner, role) = (owner_name(number), federation.roles[number - 1]);
            lines.push((number, Line { owner, role, account: account.clone(), flags }));
        }
        lines.sort_by_key(|(number, _)| *number);
        Self {
            rounds: settlement.rounds.len(),
            pool: settlement.pool_micro.into(),
            paid: settlement.paid_micro.into(),
            lines: lines.into_iter().map(|(_, line)| line).collect(),
        }
    }
}

impl Line {
    fn to_json(&self) -> Value {
        let credits = |micro: i64| micro as f64 / MICRO as f64;
        let Account { credit_micro, low_micro, high_micro, payment_micro, .. } = self.account;
        json!({
            "owner": self.owner,
            "role": self.role.word(),
            "credit": credits(credit_micro),
            "low": credits(low_micro),
            "high": credits(high_micro),
            "paid": payment_micro as f64 / MICRO as f64,
            "flags": self.flags,
        })
    }
}

impl fmt::Display for Credits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(Published { rounds, pool, paid, lines }) = &self.published else {
            return write!(f, "Credits   none were published");
        };
        writeln!(f, "Credits   {paid} of {pool} paid for {rounds} rounds\n")?;
        writeln!(
            f,
            "{:<9} {:<13} {:>9}  {:>9} .. {:<9}  {:>9}  flags",
            "owner", "role", "credit", "low", "high", "paid"
        )?;
        for line in lines {
            let account = &line.account;
            let [credit, low, high] = [account.credit_micro, account.low_micro, account.high_micro]
                .map(|micro| format!("{:.2}", Amount::from(micro)));
            let paid = format!("{:.2}", Amount::from(account.payment_micro));
            let flags = if line.flags.is_empty() { "-".to_owned() } else { line.flags.join(", ") };
            writeln!(
                f,
                "{:<9} {:<13} {credit:>9}  {low:>9} .. {high:<9}  {paid:>9}  {flags}",
                line.owner, line.role
            )?;
        }
        Ok(())
    }
}
