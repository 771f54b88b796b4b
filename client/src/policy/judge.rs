//! Every rule of a policy, applied to a round of a plan.

use covey_aggregation::config::RoundConfig;
use covey_aggregation::party::Name;
use covey_aggregation::plan::{Body, Data, Layer, LayerKind, Plan};
use covey_aggregation::time::Time;

use super::hours::Minute;
use super::pattern::matches;
use super::rule::{Finding, Outcome, Rule, Verdict};
use super::{Policy, Unknown};
use crate::privacy::{Cost, Known, Standing, cost_of, delta_of};
use crate::runs::{Answer, Decision};
use crate::volume::Volume;

/// What is asked of an owner.
#[derive(Clone, Copy)]
pub struct Asked<'a> {
    /// The plan.
    pub plan: &'a Plan,
    /// The terms of a round of it; without seats where no committee is known yet.
    pub terms: &'a RoundConfig,
    /// The name of the data that are to be trained on, if they have one.
    pub data: Option<&'a Name>,
    /// What the owner has said about the run.
    pub decision: Option<&'a Decision>,
    /// When, and what was sealed on that day; none where no round is offered yet.
    pub moment: Option<Moment>,
    /// What rounds with noise have cost so far; none where that is not known, or the round has none.
    pub privacy: Option<&'a Standing>,
    /// Training examples of the owner, where they have been read.
    pub examples: Option<u64>,
}

/// A moment of a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// The time.
    pub now: Time,
    /// Bytes of other updates that were sealed on its day.
    pub sealed_bytes: u64,
}

/// What comes of a rule, and why.
type Judged = (Outcome, String);

fn weigh(holds: bool, why: String) -> Judged {
    (if holds { Outcome::Pass } else { Outcome::Fail }, why)
}

/// A number that may not be above the owner's, where there is one.
fn at_most<T: PartialOrd + std::fmt::Display>(
    (got, what): (T, &str),
    rule: Rule,
    most: Option<T>,
) -> Judged {
    let setting = rule.setting();
    match most {
        None => (Outcome::Pass, format!("{what}: {got}; {setting} is not set")),
        Some(most) => weigh(got <= most, format!("{what}: {got}; {setting} allows {most}")),
    }
}

impl Policy {
    /// Whether the owner allows this round of this plan: what comes of every rule.
    #[must_use]
    pub fn judge(&self, asked: &Asked<'_>) -> Verdict {
        let findings = Rule::ALL.iter().map(|rule| {
            let (outcome, why) = self.apply(*rule, asked);
            Finding { rule: *rule, outcome, why }
        });
        Verdict(findings.collect())
    }

    fn apply(&self, rule: Rule, asked: &Asked<'_>) -> Judged {
        let (plan, terms) = (asked.plan, asked.terms);
        let rounds = plan.training.rounds;
        match rule {
            Rule::Purpose => self.purpose(asked),
            Rule::NotDenied => not_denied(asked.decision),
            Rule::Hours => self.hours(asked.moment),
            Rule::Rounds => {
                let got = (rounds.max(terms.round), "rounds of the plan, or of its extension");
                at_most(got, rule, Some(self.limits.max_rounds))
            }
            Rule::ExtraRounds => {
                let got = (terms.round.saturating_sub(rounds), "rounds beyond the plan's");
                at_most(got, rule, Some(self.limits.extra_rounds))
            }
            Rule::Counters => {
                let got = (terms.counters, "counts of held-out examples in a round");
                at_most(got, rule, Some(self.limits.max_counters))
            }
            Rule::Cohort => {
                let (got, least) = (terms.contributions_min, self.require.min_cohort);
                let why = format!("fewest owners in a sum: {got}; {} is {least}", rule.setting());
                weigh(got >= least, why)
            }
            Rule::Control => {
                let (has, may) = (terms.control.is_some(), self.limits.control);
                let got = if has { "a second vector leaves" } else { "no second vector leaves" };
                weigh(may || !has, format!("{got}; {} is {may}", rule.setting()))
            }
            Rule::Released => {
                let got = (plan.released_numbers(), "numbers about you alone in a round");
                at_most(got, rule, Some(self.limits.max_released))
            }
            Rule::LocalEpochs => self.local_epochs(plan),
            Rule::Parameters => {
                let got = (terms.dimension, "parameters that are trained");
                at_most(got, rule, self.allow.max_parameters)
            }
            Rule::Layers => self.layers(&plan.model.body),
            Rule::Audit => {
                let (is_audited, must) = (terms.is_audited(), self.require.audit);
                let got = if is_audited { "updates are audited" } else { "nothing is audited" };
                weigh(is_audited || !must, format!("{got}; {} is {must}", rule.setting()))
            }
            Rule::KeyHolders => self.key_holders(terms.committee.len()),
            Rule::Clip => {
                let got = (terms.quantiser.clip_norm, "length of an update at most");
                at_most(got, rule, self.require.clip_max)
            }
            Rule::Columns => self.columns(&plan.data, asked.data),
            Rule::Upload => self.upload(Volume::of(terms).total(), asked.moment),
            Rule::Privacy => self.privacy(asked),
        }
    }

    fn purpose(&self, asked: &Asked<'_>) -> Judged {
        let purpose = &asked.plan.purpose;
        let pattern = self.allow.purposes.iter().find(|pattern| matches(pattern, purpose));
        let none = format!("{purpose:?} matches none of allow.purposes");
        let is_approved = asked.decision.is_some_and(|one| one.answer == Answer::Approved);
        match (pattern, self.unknown) {
            (Some(pattern), _) => (Outcome::Pass, format!("{purpose:?} matches {pattern:?}")),
            (None, Unknown::Deny) => (Outcome::Fail, format!("{none}; unknown is \"deny\"")),
            (None, Unknown::Ask) if is_approved => {
                (Outcome::Pass, format!("{none}; you approved this run"))
            }
            (None, Unknown::Ask) => (Outcome::Asks, format!("{none}; unknown is \"ask\"")),
        }
    }

    fn hours(&self, moment: Option<Moment>) -> Judged {
        let Some(hours) = self.limits.hours else {
            return (Outcome::Pass, "at any time; limits.hours is not set".to_owned());
        };
        let allows = format!("limits.hours allows {hours} UTC");
        match moment.map(|moment| Minute::of(moment.now)) {
            None => (Outcome::Later, allows),
            Some(now) => weigh(hours.contain(now), format!("it is {now} UTC; {allows}")),
        }
    }

    /// Where a plan counts steps, an owner with the plan's fewest examples makes the most passes.
    fn local_epochs(&self, plan: &Plan) -> Judged {
        let (training, rows) = (&plan.training, plan.data.rows().minimum.max(1));
        let (got, what) = match training.local_steps {
            None => (training.local_epochs, "passes over your data in a round".to_owned()),
            Some(steps) => {
                let examples = u64::from(steps) * u64::from(training.batch_size);
                let passes = examples.div_ceil(rows.into());
                let what = format!(
                    "passes over your data in a round, {steps} steps of {} examples over at least \
                     {rows}",
                    training.batch_size
                );
                (u32::try_from(passes).unwrap_or(u32::MAX), what)
            }
        };
        at_most((got, &what), Rule::LocalEpochs, self.limits.max_local_epochs)
    }

    fn layers(&self, body: &Body) -> Judged {
        let Some(allowed) = &self.allow.layers else {
            return (Outcome::Pass, "any layer; allow.layers is not set".to_owned());
        };
        match body {
            Body::Family(family) => {
                let why = format!("the family {:?}; allow.layers is of layers only", family.name);
                (Outcome::Fail, why)
            }
            Body::Layers(layers) => {
                let mut others = Vec::new();
                find_others(layers, &|word| allowed.contains(word), &mut others);
                let list: Vec<_> = allowed.iter().copied().collect();
                let list = list.join(", ");
                let got = match &others[..] {
                    [] => "no other layer".to_owned(),
                    others => format!("the layers {}", others.join(", ")),
                };
                weigh(others.is_empty(), format!("{got}; allow.layers has {list}"))
            }
        }
    }

    fn key_holders(&self, got: usize) -> Judged {
        let setting = "require.key_holders.at_least";
        match self.require.key_holders_at_least {
            None => (Outcome::Pass, format!("any committee; {setting} is not set")),
            Some(least) if got == 0 => (Outcome::Later, format!("{setting} is {least}")),
            Some(least) => {
                let holds = got as u64 >= u64::from(least);
                weigh(holds, format!("key holders: {got}; {setting} is {least}"))
            }
        }
    }

    fn columns(&self, data: &Data, name: Option<&Name>) -> Judged {
        if self.datasets.is_empty() {
            return (Outcome::Pass, "all columns; no [[dataset]] is listed".to_owned());
        }
        let Some(name) = name else {
            let why = "the data in client.toml have no name, and only the data of a [[dataset]] \
                       may be read";
            return (Outcome::Fail, why.to_owned());
        };
        let Some(allowed) = self.datasets.get(name.as_str()) else {
            return (Outcome::Fail, format!("no [[dataset]] has the name {name}"));
        };
        let Data::Tabular(tabular) = data else {
            let why = format!("{} data are read whole; {name} has a list of columns", data.word());
            return (Outcome::Fail, why);
        };
        let columns = tabular.columns.iter().map(|column| &column.name);
        let columns: Vec<_> = columns.chain([&tabular.column]).collect();
        let others: Vec<_> =
            columns.iter().filter(|name| !allowed.contains(**name)).map(|name| &***name).collect();
        let (read, most) = (columns.len(), allowed.len());
        let mut why = format!("{read} columns of {name} are read, of {most} that may be");
        if !others.is_empty() {
            why += &format!("; not of them: {}", others.join(", "));
        }
        weigh(others.is_empty(), why)
    }

    fn upload(&self, round: u64, moment: Option<Moment>) -> Judged {
        let sealed = moment.map_or(0, |moment| moment.sealed_bytes);
        let what = format!("bytes a round, and {sealed} on this day before");
        let what = if moment.is_some() { &what } else { "bytes a round" };
        let setting = Rule::Upload.setting();
        match self.limits.upload_bytes_per_day_max {
            None => (Outcome::Pass, format!("{what}: {round}; {setting} is not set")),
            Some(most) => {
                let holds = sealed.checked_add(round).is_some_and(|sum| sum <= most);
                weigh(holds, format!("{what}: {round}; {setting} allows {most}"))
            }
        }
    }
}

impl Policy {
    /// Whether what the run tells about the data, to its last round and with all that was told
    /// before, is within what the owner and the plan itself allow.
    fn privacy(&self, asked: &Asked<'_>) -> Judged {
        let (plan, terms, setting) = (asked.plan, asked.terms, Rule::Privacy.setting());
        let budget = self.require.privacy.as_ref();
        let allows = match budget {
            Some(budget) => {
                let (epsilon, delta) = (budget.epsilon(), budget.delta().get());
                format!("{setting} allows epsilon {epsilon} at delta {delta:e}")
            }
            None => format!("{setting} is not set"),
        };
        let cost = match cost_of(plan, terms, asked.examples) {
            Ok(Known::Cost(cost)) => cost,
            Ok(Known::NotYet) => {
                let why = format!("it hangs on how many examples you have; {allows}");
                return (Outcome::Later, why);
            }
            Ok(Known::Unbounded) => {
                let got = "no noise: nothing bounds what is told about you";
                return weigh(budget.is_none(), format!("{got}; {allows}"));
            }
            Err(bad) => return (Outcome::Fail, format!("the noise: {bad}")),
        };
        let (rounds, none) = (plan.training.rounds, Standing::default());
        let most = plan.privacy.and_then(|privacy| privacy.epsilon_max);
        let extended = terms.round.max(rounds);
        if let Some(most) = most
            && let Some(whole) = plan.epsilon(terms.dimension, extended)
            && whole > most
        {
            let why = format!("epsilon {whole:.3} after round {extended}; the plan allows {most}");
            return (Outcome::Fail, why);
        }
        let standing = asked.privacy.unwrap_or(&none);
        let left = rounds.saturating_sub(terms.round) + u32::from(!standing.is_charged);
        let delta = delta_of(budget);
        let Some(Cost { now, after, delta }) = standing.cost(&cost, left, delta) else {
            return (Outcome::Fail, format!("too many rounds to account for; {allows}"));
        };
        let why = format!(
            "epsilon at delta {delta:e}: {now:.3} is spent on these data, {after:.3} after the \
             plan's rounds; {allows}"
        );
        weigh(budget.is_none_or(|budget| after <= budget.epsilon()), why)
    }
}

fn not_denied(decision: Option<&Decision>) -> Judged {
    match decision {
        Some(Decision { answer: Answer::Denied, reason, .. }) => {
            let why = reason.as_deref().unwrap_or("no reason given");
            (Outcome::Fail, format!("you denied this run: {why}"))
        }
        _ => (Outcome::Pass, "you did not deny this run".to_owned()),
    }
}

/// Adds every layer that is not allowed, those inside others too, once each.
fn find_others(
    layers: &[Layer],
    is_allowed: &impl Fn(&str) -> bool,
    others: &mut Vec<&'static str>,
) {
    for layer in layers {
        let word = layer.kind.word();
        if !is_allowed(word) && !others.contains(&word) {
            others.push(word);
        }
        if let LayerKind::Residual { layers } = &layer.kind {
            find_others(layers, is_allowed, others);
        }
    }
}
