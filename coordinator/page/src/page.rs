//! The pages: from the book to a view, which is what programs get, and from the view to blocks.

mod api;
mod compare;
mod compute;
mod credits;
mod dispute;
mod disputes;
mod entry;
mod how;
mod ledger;
mod member;
mod members;
mod overview;
mod parts;
mod payouts;
mod prepare;
mod reader;
mod run;
mod runs;
mod search;
mod why;

use crate::answer::Answer;

pub(crate) use self::api::llms;
pub(crate) use self::reader::Reader;

pub(crate) mod views {
    //! The views of all pages, for their description.
    pub(crate) use super::api::ApiView;
    pub(crate) use super::compare::CompareView;
    pub(crate) use super::compute::ComputeView;
    pub(crate) use super::credits::CreditsView;
    pub(crate) use super::dispute::{DisputeView, ProposalView};
    pub(crate) use super::disputes::DisputesView;
    pub(crate) use super::entry::EntryView;
    pub(crate) use super::how::HowView;
    pub(crate) use super::ledger::LedgerView;
    pub(crate) use super::member::MemberView;
    pub(crate) use super::members::MembersView;
    pub(crate) use super::overview::OverviewView;
    pub(crate) use super::payouts::{PayoutView, PayoutsView};
    pub(crate) use super::prepare::PrepareView;
    pub(crate) use super::run::RunView;
    pub(crate) use super::runs::RunsView;
    pub(crate) use super::search::SearchView;
}

/// What there is at an address, by its segments.
pub(crate) async fn answer(reader: &Reader<'_>, segments: &[&str]) -> Answer {
    match segments {
        [] => overview::answer(reader),
        ["runs"] => runs::answer(reader),
        ["runs", "compare"] => compare::answer(reader).await,
        ["runs", id] => run::answer(reader, id).await,
        ["runs", id, "compute"] => compute::answer(reader, id),
        ["credits"] => credits::answer(reader),
        ["members"] => members::answer(reader),
        ["members", who] => member::answer(reader, who),
        ["entries", index] => entry::answer(reader, index).await,
        ["entries", index, "proof"] => entry::proof(reader, index).await,
        ["ledger"] => ledger::answer(reader),
        ["payouts"] => payouts::answer(reader),
        ["payouts", number] => payouts::one(reader, number),
        ["disputes"] => disputes::answer(reader),
        ["disputes", "new"] => prepare::prepare(reader),
        ["disputes", id] => dispute::answer(reader, id).await,
        ["proposals", id] => dispute::proposal(reader, id),
        ["search"] => search::answer(reader),
        ["how"] => how::answer(reader),
        ["api"] => api::answer(),
        _ => Answer::Nothing("There is no page at this address.".to_owned()),
    }
}
