//! Runs, rounds, evidence and credits.

use covey_aggregation::credit::{CreditTerms, Debt, RoundEvidence, Settlement};

use super::*;
use crate::document::{BadDocument, Held};
use crate::entry::{
    Attested, CreditsSettled, EvidenceGiven, FoldOpened, MeasuredBy, PlanAccepted, RoundClosed,
    RoundOutcome, RunEnded, RunExtended,
};
use crate::facts::{self, NoCredits};

macro_rules! before {
    ($kind:ident) => {{
        let (example, _) = settled();
        let (example, body) = before(&example, Kind::$kind);
        let Body::$kind(body) = body else { panic!("another kind") };
        (example, *body)
    }};
}

#[test]
fn a_plan_is_what_its_text_says_under_the_charter() {
    let (example, body) = before!(PlanAccepted);
    let with = |change: fn(&mut PlanAccepted)| {
        let mut body = body.clone();
        change(&mut body);
        refused(&example, body)
    };
    let is_plan = |refused| matches!(refused, Refused::Plan(_));
    assert!(is_plan(with(|one| one.plan = Digest::ZERO)));
    assert!(is_plan(with(|one| one.name = "other".parse().expect("a name"))));
    assert!(is_plan(with(|one| one.parameters += 1)));
    assert!(is_plan(with(|one| one.flops_per_example = None)));
    assert!(is_plan(with(|one| one.first_round = 0)));
    assert!(is_plan(with(|one| one.rounds = 0)));
    assert_eq!(with(|one| one.terms = None), Refused::OtherTerms);
    let other = |change: fn(&mut covey_aggregation::credit::TermsDraft)| {
        let mut draft = *body.terms.expect("terms").get();
        change(&mut draft);
        let terms = CreditTerms::check(draft).ok();
        refused(&example, PlanAccepted { terms, ..body.clone() })
    };
    assert_eq!(other(|draft| draft.budget_micro += 1), Refused::OtherTerms);
    assert_eq!(other(|draft| draft.lambda.numerator = 1), Refused::OtherTerms);
    let text = |one: &mut PlanAccepted| one.text.as_mut().expect("a text").push('\n');
    assert_eq!(with(text), Refused::Document(BadDocument::Altered(body.document)));
    let strangers = PlanAccepted { launched_by: PartyId([9; 32]), ..body.clone() };
    assert_eq!(refused(&example, strangers), Refused::UnknownMember(PartyId([9; 32])));
    // A text that is too long for the entry is looked for among the documents.
    let long = PlanAccepted { text: None, name: "other".parse().expect("a name"), ..body };
    assert!(is_plan(refused(&example, long)));
}

#[test]
fn rounds_follow_one_another() {
    let (example, body) = before!(RoundClosed);
    let with = |change: fn(&mut RoundClosed)| {
        let mut body = body.clone();
        change(&mut body);
        refused(&example, body)
    };
    assert_eq!(with(|one| one.run = Digest::ZERO), Refused::UnknownRun(Digest::ZERO));
    assert_eq!(with(|one| one.round = 5), Refused::RoundOrder { expected: 4, got: 5 });
    assert_eq!(with(|one| one.model_before = Digest::ZERO), Refused::ModelChain(4));
    let is_round = |refused| matches!(refused, Refused::Round { round: 4, .. });
    assert!(is_round(with(|one| one.counted -= 1)));
    assert!(is_round(with(|one| one.joined -= 1)));
    assert!(is_round(with(|one| one.invited += 1)));
    assert!(is_round(with(|one| one.outcome = RoundOutcome::Degraded)));
    assert!(is_round(with(|one| one.outcome = RoundOutcome::Abandoned)));
    assert!(is_round(with(|one| one.published = None)));
    let owners = |change: fn(&mut Vec<crate::entry::Participation>)| {
        let Held::Here(mut owners) = body.owners.clone() else { panic!("a list") };
        change(&mut owners);
        refused(&example, RoundClosed { owners: Held::Here(owners), ..body.clone() })
    };
    assert_eq!(owners(|list| list.swap(0, 1)), Refused::Order("owners of a round"));
    let nobody = PartyId([255; 32]);
    assert_eq!(owners(|list| list[5].owner = PartyId([255; 32])), Refused::UnknownMember(nobody));
    let votes = |bad| Refused::Votes { what: "set", bad };
    let few = with(|one| one.published.as_mut().expect("a sum").votes.truncate(2));
    assert_eq!(few, votes(BadVotes::TooFew { got: 2, needed: 3 }));
    let set = with(|one| one.published.as_mut().expect("a sum").set = Digest::ZERO);
    assert_eq!(set, votes(BadVotes::Vote(0)));
    assert_eq!(with(|one| one.round_ctx = Digest::ZERO), votes(BadVotes::Vote(0)));
}

#[test]
fn a_list_that_is_too_long_is_a_document() {
    let (mut example, body) = before!(RoundClosed);
    let Held::Here(owners) = body.owners.clone() else { panic!("a list") };
    let (owners, bytes) = Held::new(owners, 10);
    let long = RoundClosed { owners, ..body };
    let document = *long.owners.document().expect("a document");
    let missing = Refused::Document(BadDocument::Missing(document));
    assert_eq!(refused(&example, long.clone()), missing);
    let altered = BTreeMap::from([(document.sha256, b"[]".to_vec())]);
    let other = Refused::Document(BadDocument::Altered(document));
    assert_eq!(refused_with(&example, long.clone(), &altered), other);
    example.documents.insert(document.sha256, bytes.expect("bytes"));
    example.write(long).expect("a round");
}

#[test]
fn no_example_of_a_pool_is_opened_twice() {
    let (example, body) = before!(FoldOpened);
    let with = |change: fn(&mut FoldOpened)| {
        let mut body = body.clone();
        change(&mut body);
        refused(&example, body)
    };
    let first = body.examples.get(&()).expect("a list")[0];
    assert_eq!(with(|one| one.examples = Held::Here(vec![3])), Refused::FoldAgain(3));
    assert_eq!(
        with(|one| one.examples = Held::Here(vec![100, 99])),
        Refused::Order("examples of a fold")
    );
    assert!(matches!(with(|one| one.retired = 0), Refused::Fold(_)));
    assert_eq!(with(|one| one.round = 3), Refused::NoRound(3), "nothing was opened in it");
    assert!(first > 0);
}

#[test]
fn evidence_is_what_the_committee_attests_of_the_owners_in_the_sum() {
    let (example, body) = before!(EvidenceGiven);
    let with = |change: fn(&mut EvidenceGiven)| {
        let mut body = body.clone();
        change(&mut body);
        refused(&example, body)
    };
    let votes = |bad| Refused::Votes { what: "evidence", bad };
    assert_eq!(with(|one| one.votes.truncate(1)), votes(BadVotes::TooFew { got: 1, needed: 3 }));
    assert_eq!(with(|one| one.votes[0].holder = 3), votes(BadVotes::Order));
    assert_eq!(with(|one| one.votes[2].holder = 3), votes(BadVotes::Vote(3)));
    assert_eq!(with(|one| one.terms = Digest::ZERO), Refused::OtherTerms);
    assert_eq!(
        with(|one| one.round = 2),
        Refused::Duplicate { subject: format!("evidence/{}/2", body.run), first: 12 }
    );
    assert_eq!(with(|one| one.round = 3), Refused::NoRound(3));
    let not_one = with(|one| one.attestation = Held::Here(Attested(vec![1, 2])));
    assert_eq!(not_one, Refused::Attestation("not one"));

    let evidence = body.evidence.get(&()).expect("evidence");
    let changed = |change: &dyn Fn(&mut Vec<covey_aggregation::credit::Evidence>)| {
        let mut list = evidence.contributions().to_vec();
        change(&mut list);
        let evidence = RoundEvidence::new(4, *evidence.context(), list).expect("evidence");
        refused(&example, EvidenceGiven { evidence: Held::Here(evidence), ..body.clone() })
    };
    let other = Refused::Attestation("of other evidence");
    assert_eq!(changed(&|list| list[0].s += 1), other);
    assert_eq!(changed(&|list| list[0].count += 1), other);
    assert!(matches!(changed(&|list| list.truncate(5)), Refused::Evidence(_)));
}

#[test]
fn credits_are_what_follows_and_only_once_the_run_is_over() {
    let (example, body) = before!(CreditsSettled);
    let with = |change: &dyn Fn(&mut CreditsSettled)| {
        let mut body = body.clone();
        change(&mut body);
        refused(&example, body)
    };
    let settlement = body.settlement.get(&()).expect("a settlement");
    let altered = |change: fn(&mut Settlement)| {
        let mut altered = settlement.clone();
        change(&mut altered);
        with(&|one| one.settlement = Held::Here(altered.clone()))
    };
    let owner = settlement.accounts[2].owner;
    let theirs = Refused::OtherSettlement(Some(owner));
    assert_eq!(altered(|one| one.accounts[2].payment_micro += 1), theirs);
    assert_eq!(altered(|one| one.accounts[2].low_micro += 1), theirs);
    assert_eq!(altered(|one| drop(one.accounts.remove(2))), theirs);
    assert_eq!(altered(|one| one.pool_micro += 1), Refused::OtherSettlement(None));
    let debt = Debt { owner, micro: 5 };
    assert_eq!(with(&|one| one.carried = Held::Here(vec![debt])), Refused::OtherDebts);
    let mut draft = *body.terms.get();
    draft.rounds += 1;
    let terms = CreditTerms::check(draft).expect("terms");
    assert_eq!(with(&|one| one.terms = terms), Refused::OtherTerms);
    let (earlier, _) = before(&example, Kind::RunEnded);
    assert_eq!(refused(&earlier, body.clone()), Refused::NotEnded(body.run));
}

#[test]
fn debts_go_on_into_the_next_settlement() {
    let example = Example::new(Shape::default()).expect("an example");
    let settlements: Vec<_> = example.book.settlements().collect();
    let debts = settlements[0].settlement.debts();
    assert!(!debts.is_empty(), "somebody owes");
    assert_eq!(settlements[1].carried, debts);
    let (earlier, body) = before(&example, Kind::CreditsSettled);
    let Body::CreditsSettled(body) = body else { panic!("credits") };
    let forgiven = CreditsSettled { carried: Held::Here(Vec::new()), ..*body };
    assert_eq!(refused(&earlier, forgiven), Refused::OtherDebts);
    assert_eq!(example.book.debts(), settlements[1].settlement.debts());
}

#[test]
fn a_run_ends_once_and_goes_on_only_with_more_rounds() {
    let (mut example, run) = settled();
    let Body::RunEnded(ended) = last(&example, Kind::RunEnded) else { panic!("an end") };
    assert!(matches!(refused(&example, RunEnded { round: 5, ..*ended.clone() }), Refused::Plan(_)));
    let record = example.book.run(&run).expect("a run");
    let rules = example.book.charter().credit;
    let extended = facts::extended(record, &rules, 6, example.researcher.id());
    let Body::RunExtended(body) = &extended.bodies[0] else { panic!("more rounds") };
    let fewer = RunExtended { rounds: 4, ..(**body).clone() };
    assert!(matches!(refused(&example, fewer), Refused::Plan(_)));
    let richer = RunExtended { terms: example.book.terms_for(9999, 6), ..(**body).clone() };
    assert_eq!(refused(&example, richer), Refused::OtherTerms);
    example.write_facts(extended).expect("more rounds");
    assert!(example.book.run(&run).is_some_and(super::super::RunRecord::is_live));
    example.close(&run, 5, None).expect("another round");
    assert_eq!(facts::credits(&example.book, &run), Err(NoCredits::None), "settled once");
}

#[test]
fn compute_is_reported_once_by_who_was_asked() {
    let (example, body) = before!(ComputeReported);
    let Says::Compute(compute) = body.signed.statement.says else { panic!("a report") };
    let by = |who: &covey_aggregation::signing::Identity, round| {
        let says = Says::Compute(crate::statement::Compute { round, ..compute });
        refused(&example, example.say(who, says).into_body())
    };
    assert!(matches!(by(&example.owners[0], 4), Refused::Compute(_)), "twice");
    assert!(matches!(by(&example.researcher, 4), Refused::Compute(_)), "not asked");
    assert_eq!(by(&example.owners[0], 9), Refused::NoRound(9));
    let (whole, run) = settled();
    let run = whole.book.run(&run).expect("a run");
    let total = run.compute_of(None);
    assert_eq!(total.rounds, 14);
    let each = run.plan.flops_per_example.expect("an estimate");
    assert_eq!(total.flops, Some((u128::from(each) * u128::from(total.examples)).to_string()));
}

/// By hand, of all reports of the run: the example's devices have different speeds.
#[test]
fn what_a_hundredth_took_is_of_all_reports_asserted_at_benchmark_speed_and_computed() {
    let (whole, id) = settled();
    let run = whole.book.run(&id).expect("a run");
    let quality = run.quality("accuracy", MeasuredBy::Coordinator, true).expect("a metric");
    let price = quality.price.expect("a gain, and reports");
    let reports: Vec<_> = run.reports().collect();
    let total = run.compute_of(None);
    assert_eq!(reports.len(), total.rounds as usize);
    assert!(reports.is_sorted_by_key(|one| (one.round, one.owner)));
    assert!(reports.iter().all(|one| whole.book.entries()[one.entry as usize].index == one.entry));
    let gain = u128::try_from(quality.gain_millionths).expect("a gain");
    let each = |all: u128| all * 10_000 / gain;
    let sum = |of: fn(&ComputeReport) -> u128| reports.iter().map(of).sum::<u128>();
    let device_ms = sum(|one| one.said.device_ms.into());
    assert_eq!(u128::from(price.device_ms), each(device_ms));
    let at_benchmark =
        sum(|one| u128::from(one.said.device_ms) * u128::from(one.said.benchmark_mflops) * 1000);
    assert_eq!(price.benchmark_flops, Some(each(at_benchmark).to_string()));
    assert_eq!(sum(|one| one.benchmark_flops), at_benchmark);
    let examples = sum(|one| one.said.examples.into());
    let flops = u128::from(run.plan.flops_per_example.expect("an estimate")) * examples;
    assert_eq!(price.flops, Some(each(flops).to_string()));
    // What became worse has no price; nor is there one at benchmark speed where a device has none.
    let worse = run.quality("accuracy", MeasuredBy::Coordinator, false);
    assert_eq!(worse.and_then(|worse| worse.price), None);
    let mut without = run.clone();
    let first = without.rounds.values_mut().next().expect("a round");
    first.compute[0].what.benchmark_mflops = 0;
    let quality = without.quality("accuracy", MeasuredBy::Coordinator, true).expect("a metric");
    let price = quality.price.expect("a price still");
    assert_eq!((u128::from(price.device_ms), price.benchmark_flops), (each(device_ms), None));
}

#[test]
fn what_the_coordinator_makes_again_after_a_crash_is_known() {
    let (mut example, run) = settled();
    let size = example.book.size();
    let ending = covey_aggregation::stop::Ending::Done { rounds: 4 };
    let model = example.book.run(&run).and_then(|run| run.last().1).expect("a model");
    example.write_facts(facts::ended(run, 4, &ending, model)).expect("nothing new");
    assert_eq!(example.book.size(), size);
}
