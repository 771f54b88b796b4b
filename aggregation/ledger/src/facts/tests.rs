//! What a coordinator knows becomes entries.

use covey_aggregation::config::{
    Audit, CommitteeShape, HolderIndex, KeyLayer, Noise, NoisePlan, Packing, Profile, Quantiser,
    RoundConfig, Weighting, cohort_digest,
};
use covey_aggregation::evaluation::Scores;
use covey_aggregation::message::{
    AbandonReason, Certificate, HolderFault, MissingReason, NoCredit, Outcome, Phase, Report, Vote,
};
use covey_aggregation::publication::{Publication, RoundResult};
use covey_aggregation::signing::Statement as Kind;
use covey_aggregation::sum::open::Aggregate;

use super::*;
use crate::entry::{MeasuredBy, MissingCode, RoundClosed, RoundOutcome};
use crate::example::{Example, Shape};
use crate::verify::{Why, verify};

/// The example with a run whose plan has no credit, and a round of it as it would be published: all
/// but the contributions, which are not summed here.
fn published_round() -> (Example, Publication, Outcome) {
    let mut example = Example::founded(Shape::default()).expect("a founding");
    let run = example.begin("digits").expect("a run");
    let record = example.book.run(&run).expect("a run");
    let mut cohort: Vec<_> = example.owners.iter().map(|owner| owner.id()).collect();
    cohort.sort_unstable();
    let config = RoundConfig {
        federation: example.roster.digest(),
        run,
        round: 1,
        plan: record.plan.plan,
        manifest: Digest([4; 32]),
        model: Digest([5; 32]),
        dimension: 4,
        profile: Profile::A,
        key_layer: KeyLayer::ReplicatedSeeds,
        quantiser: Quantiser { bits: 8, range: 1.0, clip_norm: 1.0, weighting: Weighting::Uniform },
        counters: 0,
        control: None,
        noise: None,
        packing: Packing::derive(Profile::A, 8, 6).expect("a packing"),
        contributions_min: 3,
        contributions_max: 6,
        shape: CommitteeShape::Four,
        committee: example.roster.committee(),
        cohort: cohort_digest(&cohort),
        beacon_commitments: Vec::new(),
        audit: Audit::Off,
        credit: None,
        collect_ms: 2000,
    };
    let (round_ctx, set) = (config.context(), Digest([6; 32]));
    let votes = example.holders.iter().zip(0..).take(3).map(|(holder, index)| Vote {
        holder: HolderIndex(index),
        signature: holder.sign(Kind::Vote, &round_ctx, &set.0),
    });
    let report = Report {
        counted: cohort[..4].to_vec(),
        missing: vec![
            (cohort[4], MissingReason::NoAnswer),
            (cohort[5], MissingReason::Disputed(HolderIndex(2))),
        ],
        faults: vec![(HolderIndex(2), HolderFault::Silent(Phase::Vote))],
        no_credit: Some(NoCredit::NotSound("s".to_owned())),
    };
    let result = RoundResult {
        config,
        cohort,
        countersignatures: Vec::new(),
        headers: Vec::new(),
        certificate: Certificate { round_ctx, set, votes: votes.collect() },
        audit: None,
        key_sum: vec![1; 8],
        aggregate: Aggregate {
            count: 4,
            weight: 4,
            sums: vec![1, -2, 3, -4],
            control: Vec::new(),
            counters: Vec::new(),
        },
        report: report.clone(),
    };
    let publication = Publication::sign(result, &example.coordinator);
    (example, publication, Outcome::Done(report))
}

fn facts_of(publication: &Publication, outcome: &Outcome, bytes: &[u8]) -> Facts {
    let config = &publication.result.config;
    round(&RoundFacts {
        run: config.run,
        round: 1,
        round_ctx: publication.round_ctx(),
        outcome,
        publication: Some((publication, bytes)),
        models: (config.model, Digest([7; 32])),
        metrics: metrics(Some(0.912_345_6), Some(f64::NAN), None),
        phases_ms: &[(Phase::Select, 12), (Phase::Collect, 3400)],
        traffic: None,
        terms: None,
    })
}

fn closed(facts: &Facts) -> &RoundClosed {
    match &facts.bodies[0] {
        Body::RoundClosed(closed) => closed,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_publication_becomes_a_round_and_is_compared_with_it() {
    let (mut example, publication, outcome) = published_round();
    let bytes = publication.encode();
    let facts = facts_of(&publication, &outcome, &bytes);
    let body = closed(&facts);
    assert_eq!(body.outcome, RoundOutcome::Degraded);
    assert_eq!((body.invited, body.joined, body.counted), (6, 5, 4));
    assert_eq!(body.reason.as_deref(), Some("the numbers do not add up: s"));
    assert_eq!(body.faults[0].holder, 2);
    assert_eq!(body.phases_ms[1].phase, "collect");
    assert_eq!(body.metrics.len(), 1, "what is no number is left out");
    assert_eq!(body.metrics[0].millionths, 912_346);
    let published = body.published.as_ref().expect("a sum");
    assert!(published.document.is(&bytes));
    assert_eq!(published.aggregate, publication.result.aggregate.digest());
    let owners = body.owners.get(&()).expect("a list");
    let codes: Vec<_> =
        owners.iter().filter_map(|one| one.missing.as_ref().map(|missing| missing.code)).collect();
    assert_eq!(codes, [MissingCode::NoAnswer, MissingCode::Disputed]);
    assert_eq!(facts_of(&publication, &outcome, &bytes), facts, "the same again");
    example.write_facts(facts).expect("a round");

    // Not at hand: nothing to compare. At hand: the summary is checked, and what does not hold is
    // told (this one has no countersignatures).
    let report =
        |example: &Example| verify(example.entries.iter().map(Vec::as_slice), &example.documents);
    assert!(report(&example).holds());
    example.documents.insert(Document::of(&bytes).sha256, bytes);
    let told = report(&example);
    assert!(told.lines.iter().any(|line| line.what.contains("are those of the publication")));
    assert!(matches!(told.doubts[..], [ref one] if matches!(one.why, Why::BadPublication(_))));
}

#[test]
fn a_round_that_differs_from_its_publication_is_a_doubt() {
    let (example, publication, outcome) = published_round();
    let bytes = publication.encode();
    let facts = facts_of(&publication, &outcome, &bytes);
    let changes: [fn(&mut RoundClosed); 5] = [
        |one| one.faults.clear(),
        |one| one.reason = None,
        |one| one.published.as_mut().expect("a sum").aggregate = Digest::ZERO,
        |one| one.published.as_mut().expect("a sum").weight += 1,
        |one| one.published.as_mut().expect("a sum").released.push("s".to_owned()),
    ];
    for change in changes {
        let mut body = closed(&facts).clone();
        change(&mut body);
        let mut example = Example::founded(example.shape).expect("a founding");
        example.begin("digits").expect("a run");
        example.documents.insert(Document::of(&bytes).sha256, bytes.clone());
        example.write(body).expect("a round");
        let report = verify(example.entries.iter().map(Vec::as_slice), &example.documents);
        let is_told = |one: &crate::verify::Doubt| matches!(one.why, Why::Publication(_));
        assert!(report.doubts.iter().any(is_told));
    }
}

#[test]
fn an_abandoned_round_says_why() {
    let (mut example, publication, _) = published_round();
    let config = &publication.result.config;
    let cohort = &publication.result.cohort;
    let missing = cohort.iter().map(|owner| (*owner, MissingReason::Abandoned)).collect();
    let report = Report { missing, ..Report::default() };
    let reason = AbandonReason::NotCertified { got: 2, needed: 3 };
    let outcome = Outcome::Abandoned { reason, report };
    let facts = round(&RoundFacts {
        run: config.run,
        round: 1,
        round_ctx: config.context(),
        outcome: &outcome,
        publication: None,
        models: (config.model, config.model),
        metrics: Vec::new(),
        phases_ms: &[],
        traffic: None,
        terms: None,
    });
    let body = closed(&facts);
    assert_eq!(body.reason.as_deref(), Some("2 of 3 holders voted by the deadline"));
    assert_eq!((body.invited, body.joined, body.counted), (6, 6, 0), "all had contributed");
    example.write_facts(facts).expect("a round");
}

#[test]
fn metrics_are_in_millionths_of_who_measured_them() {
    let scores = Scores {
        examples: 10,
        metrics: [(covey_aggregation::evaluation::Metric::Loss, 0.5)].into(),
    };
    let all = metrics(Some(1.0), Some(2.000_000_4), Some(&scores));
    let told: Vec<_> = all.iter().map(|one| (one.name.as_str(), one.by, one.millionths)).collect();
    let (coordinator, owners) = (MeasuredBy::Coordinator, MeasuredBy::Owners);
    assert_eq!(
        told,
        [
            ("accuracy", coordinator, 1_000_000),
            ("loss", coordinator, 2_000_000),
            ("loss", owners, 500_000),
        ]
    );
    assert_eq!(millionths(f64::INFINITY), None);
    assert_eq!(millionths(1e12), None);
    assert_eq!(millionths(-0.000_000_6), Some(-1));
}

#[test]
fn a_roster_that_changes_a_name_is_somebody_leaving_and_joining() {
    let mut example = Example::founded(Shape::default()).expect("a founding");
    let mut members = example.roster.members.clone();
    members[6].name = "hospital".parse().expect("a name");
    let id = members[6].id;
    example.change_members(members).expect("another name");
    let member = example.book.member(&id).expect("a member");
    assert_eq!(member.name.as_str(), "hospital");
    assert_eq!(member.history, [0, 1, 2]);
}

#[test]
fn what_a_sum_with_noise_told_of_one_owner_is_in_its_entry() {
    let (example, publication, outcome) = published_round();
    let plain = closed(&facts_of(&publication, &outcome, b"bytes")).clone();
    assert_eq!(plain.published.expect("published").epsilon_millionths, None);
    let mut result = publication.result;
    // The share of three owners who all must be relied on: three times the variance, sensitivity 129
    // units (127, and what rounding may add).
    let config = &mut result.config;
    let squared = config.quantiser.rounded_norm_squared_max(config.dimension);
    let plan =
        NoisePlan { multiplier: 1.0, contributions_min: 3, colluding_max: 0, has_vote: false };
    let noise = Noise::of(plan, &config.quantiser, config.dimension).expect("noise");
    assert_eq!(noise.share_numerator / noise.share_denominator, squared / 3);
    config.noise = Some(noise);
    let publication = Publication::sign(result, &example.coordinator);
    let noisy = closed(&facts_of(&publication, &outcome, b"bytes")).clone();
    let told = noisy.published.expect("published").epsilon_millionths.expect("noise");
    // A Gaussian of as much noise as sensitivity, by Renyi-DP at delta 10^-6.
    assert!((5_000_000..5_600_000).contains(&told), "{told}");
}
