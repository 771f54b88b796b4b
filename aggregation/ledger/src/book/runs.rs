//! Runs.

use std::collections::{BTreeMap, BTreeSet};

use covey_aggregation::credit::{CreditTerms, MICRO};
use covey_aggregation::hash::Digest;
use covey_aggregation::plan::Plan;

use super::members::At;
use super::records::{RunPrivacy, RunRecord, Status};
use super::{Book, Refused};
use crate::charter::CreditRules;
use crate::compute::flops_per_example;
use crate::document::{BadDocument, Documents};
use crate::entry::{INTEGER_MAX, PlanAccepted, RunEnded, RunExtended};

impl Book {
    pub(super) fn plan_accepted(
        &mut self,
        (index, time_ms): At,
        body: &PlanAccepted,
        documents: &dyn Documents,
    ) -> Result<(), Refused> {
        let is_active = |member: &super::MemberRecord| member.status == Status::Active;
        self.member_who(&body.launched_by, "an active member", is_active)?;
        if body.first_round == 0 || body.rounds < body.first_round {
            return Err(Refused::Plan("it has no round".to_owned()));
        }
        let rules = &self.charter().credit;
        let privacy = match plan_text(body, documents)? {
            Some(text) => RunPrivacy::of(&check_plan(body, &text, rules)?, body.parameters),
            // What it gives is by the rules all the same.
            None => {
                check_terms(body.terms.as_ref(), None, body.rounds, rules)?;
                None
            }
        };
        self.run_at.insert(body.run, self.runs.len());
        self.runs.push(RunRecord {
            plan: body.clone(),
            entry: index,
            accepted_ms: time_ms,
            rounds_asked: body.rounds,
            terms: body.terms,
            terms_ever: body.terms.iter().map(CreditTerms::digest).collect::<BTreeSet<_>>(),
            charter: self.charters.len() - 1,
            privacy,
            rounds: BTreeMap::new(),
            ended: None,
            credits: None,
            budget: None,
        });
        Ok(())
    }

    pub(super) fn run_extended(&mut self, _: At, body: &RunExtended) -> Result<(), Refused> {
        let at = self.run_index(&body.run)?;
        let by = self.members.get(&body.by).ok_or(Refused::UnknownMember(body.by))?;
        if by.status != Status::Active {
            return Err(Refused::MayNot { member: body.by, what: "an active member" });
        }
        let run = &self.runs[at];
        if body.rounds <= run.rounds_asked {
            return Err(Refused::Plan("it has no more rounds than before".to_owned()));
        }
        let rules = &self.charters[run.charter].1.credit;
        let budget = run.plan.terms.map(|terms| terms.get().budget_micro);
        match (&body.terms, budget) {
            (Some(_), None) => return Err(Refused::OtherTerms),
            // An epoch may have too many rounds: then nothing is settled.
            (terms, budget) => check_terms(terms.as_ref(), budget, body.rounds, rules)?,
        }
        let run = &mut self.runs[at];
        (run.rounds_asked, run.ended) = (body.rounds, None);
        if run.credits.is_none() {
            run.terms = body.terms;
            run.terms_ever.extend(body.terms.iter().map(CreditTerms::digest));
        }
        Ok(())
    }

    pub(super) fn run_ended(&mut self, (index, _): At, body: &RunEnded) -> Result<(), Refused> {
        let at = self.run_index(&body.run)?;
        let run = &self.runs[at];
        if run.ended.is_some() {
            return Err(Refused::Plan("the run is over already".to_owned()));
        }
        let (expected, model) = run.last();
        if body.round != expected {
            return Err(Refused::RoundOrder { expected, got: body.round });
        }
        if model.is_some_and(|model| model != body.model) {
            return Err(Refused::ModelChain(body.round));
        }
        self.runs[at].ended = Some((body.clone(), index));
        Ok(())
    }

    /// The terms of a plan with this budget, by the rules that are in force: what a plan that is accepted
    /// now must have.
    #[must_use]
    pub fn terms_for(&self, budget: u32, rounds: u32) -> Option<CreditTerms> {
        self.charter().credit.terms(u64::from(budget) * MICRO, rounds).ok()
    }
}

impl RunRecord {
    /// Number of the last round that is over, and the model that it came to.
    pub(crate) fn last(&self) -> (u32, Option<Digest>) {
        let last = self.rounds.last_key_value();
        let none = (self.plan.first_round.saturating_sub(1), None);
        last.map_or(none, |(number, round)| (*number, Some(round.closed.model_after)))
    }
}

/// The plan's text, where it is at hand.
fn plan_text(body: &PlanAccepted, documents: &dyn Documents) -> Result<Option<String>, Refused> {
    let document = body.document;
    let bytes = match &body.text {
        Some(text) => text.clone().into_bytes(),
        None => match documents.document(&document) {
            Some(bytes) => bytes,
            None => return Ok(None),
        },
    };
    if !document.is(&bytes) {
        return Err(BadDocument::Altered(document).into());
    }
    let text = String::from_utf8(bytes).map_err(|_| BadDocument::Form(document))?;
    Ok(Some(text))
}

fn check_plan(body: &PlanAccepted, text: &str, rules: &CreditRules) -> Result<Plan, Refused> {
    let other = |what: &str| Err(Refused::Plan(format!("its {what} is not that of its text")));
    if Plan::digest(text.as_bytes()) != body.plan {
        return other("digest");
    }
    let plan = Plan::parse(text).map_err(|errors| Refused::Plan(errors.to_string()))?;
    if plan.name != body.name {
        return other("name");
    }
    if plan.blueprint().is_some_and(|blueprint| blueprint.parameters() != body.parameters) {
        return other("number of parameters");
    }
    let flops = flops_per_example(&plan).filter(|flops| *flops <= INTEGER_MAX);
    if flops != body.flops_per_example {
        return other("estimate of operations");
    }
    let budget = plan.credit.map(|credit| u64::from(credit.budget) * MICRO);
    if budget.is_none() && body.terms.is_some() {
        return Err(Refused::OtherTerms);
    }
    check_terms(body.terms.as_ref(), budget, body.rounds, rules)?;
    Ok(plan)
}

/// Checks terms against the rules, and the budget where it is known. Without terms, there must be
/// none by these rules.
fn check_terms(
    terms: Option<&CreditTerms>,
    budget: Option<u64>,
    rounds: u32,
    rules: &CreditRules,
) -> Result<(), Refused> {
    let budget = budget.or_else(|| terms.map(|terms| terms.get().budget_micro));
    let expected = budget.and_then(|budget| rules.terms(budget, rounds).ok());
    if terms == expected.as_ref() { Ok(()) } else { Err(Refused::OtherTerms) }
}
