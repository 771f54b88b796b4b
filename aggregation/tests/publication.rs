//! A published round holds when everything is computed again, and every lie in it is found and
//! laid at somebody's door.

mod support;

use std::collections::BTreeMap;

use covey_aggregation::config::{
    CommitteeShape, Control, HolderIndex, Weighting, cohort_digest, set_digest,
};
use covey_aggregation::hash::Digest;
use covey_aggregation::message::{
    BadCertificate, Certificate, Countersignature, MissingReason, Report, SignedHeader, Vote,
};
use covey_aggregation::party::{Name, PartyId, Role};
use covey_aggregation::publication::{
    Blame, ContributionSource, Part, Publication, PublicationFault, RoundResult, verify,
};
use covey_aggregation::roster::{Member, Roster};
use covey_aggregation::signing::{Identity, Statement};
use covey_aggregation::sum::accumulator::Accumulator;
use covey_aggregation::sum::contribution::BadContribution;
use covey_aggregation::sum::open::{KeySum, NotShort, open};
use support::{Fixture, Terms, Upload, agreed, client, identity};

/// Stored contributions in memory.
#[derive(Clone, Default)]
struct Store(BTreeMap<Digest, (Vec<u8>, Vec<Vec<u8>>)>);

impl ContributionSource for Store {
    type Error = String;

    fn correction(&mut self, _: &PartyId, contribution: &Digest) -> Result<Vec<u8>, String> {
        self.0
            .get(contribution)
            .map(|(correction, _)| correction.clone())
            .ok_or_else(|| "gone".to_owned())
    }

    fn chunk(&mut self, _: &PartyId, contribution: &Digest, index: u32) -> Result<Vec<u8>, String> {
        let (_, chunks) = self.0.get(contribution).ok_or("gone")?;
        chunks.get(index as usize).cloned().ok_or_else(|| "no such chunk".to_owned())
    }
}

/// A finished round of four clients, one of which did not answer.
struct Done {
    roster: Roster,
    coordinator: Identity,
    fixture: Fixture,
    uploads: Vec<Upload>,
    store: Store,
    result: RoundResult,
}

impl Done {
    fn new() -> Self {
        let control = Control { range: 0.5, clip_norm: 1.0, owners: 4, variate: Digest([8; 32]) };
        let terms = Terms { counters: 2, control: Some(control), ..Terms::default() };
        let mut fixture = Fixture::new(Terms { dimension: 30_000, ..terms });
        let coordinator = identity(0xc0, 0);
        let mut clients: Vec<Identity> = (0..4).map(client).collect();
        clients.sort_by_key(Identity::id);
        let cohort: Vec<PartyId> = clients.iter().map(Identity::id).collect();
        let roster = roster(&fixture, &coordinator, &cohort);
        fixture.config.federation = roster.digest();
        fixture.config.cohort = cohort_digest(&cohort);
        fixture.config.contributions_min = 3;
        fixture.round_ctx = fixture.config.context();

        let mut uploads: Vec<_> = (0..4)
            .map(|i| (client(i).id(), i))
            .filter(|(id, _)| *id != cohort[3])
            .map(|(_, i)| fixture.seal(i, &vec![i as i32 + 1; 30_000], 1))
            .collect();
        uploads.sort_by_key(Upload::client);
        let result = finish(&fixture, &uploads, cohort);
        let store = store(&uploads);
        Self { roster, coordinator, fixture, uploads, store, result }
    }

    fn verify(&self, result: RoundResult) -> Result<u32, PublicationFault> {
        self.verify_with(result, self.store.clone())
    }

    fn verify_with(&self, result: RoundResult, mut store: Store) -> Result<u32, PublicationFault> {
        let publication = Publication::sign(result, &self.coordinator);
        verify(&publication, &self.roster, &mut store).map(|verified| verified.count)
    }

    /// What is found after a change of the result.
    fn fault(&self, change: impl FnOnce(&mut RoundResult)) -> PublicationFault {
        let mut result = self.result.clone();
        change(&mut result);
        self.verify(result).expect_err("a lie")
    }
}

fn roster(fixture: &Fixture, coordinator: &Identity, clients: &[PartyId]) -> Roster {
    let name = |text: String| Name::try_from(text).expect("a name");
    let member = |text: String, id, role| Member { name: name(text), id, role, sealing_key: None };
    let mut members = vec![member("middle".into(), coordinator.id(), Role::Coordinator)];
    for (h, seat) in fixture.config.committee.iter().enumerate() {
        let holder = member(format!("holder-{h}"), seat.holder, Role::Holder);
        members.push(Member { sealing_key: Some(seat.sealing_key.clone()), ..holder });
    }
    for (i, id) in clients.iter().enumerate() {
        members.push(member(format!("owner-{i}"), *id, Role::DataOwner));
    }
    let roster = Roster::founding(name("test".into()), Digest::ZERO, members);
    roster.validate().expect("a valid roster");
    roster
}

fn store(uploads: &[Upload]) -> Store {
    let stored = uploads.iter().map(|upload| {
        let parts = (upload.sealed.correction.clone(), upload.chunks.clone());
        (upload.sealed.header.header.digest(), parts)
    });
    Store(stored.collect())
}

/// Everything after Collect, honestly.
fn finish(fixture: &Fixture, uploads: &[Upload], cohort: Vec<PartyId>) -> RoundResult {
    let (config, round_ctx) = (&fixture.config, &fixture.round_ctx);
    let headers: Vec<SignedHeader> = uploads.iter().map(|u| u.sealed.header.clone()).collect();
    let mut accumulator = Accumulator::new(config).expect("valid terms");
    for upload in uploads {
        fixture.add(&mut accumulator, upload);
    }
    let all: Vec<usize> = (0..config.shape.members()).collect();
    let components = agreed(&fixture.combine(&fixture.releases(uploads), &all));
    let count = uploads.len() as u32;
    let key_sum = KeySum::recover(config, &accumulator, &components, count).expect("short");
    let aggregate = open(config, round_ctx, &accumulator, &key_sum, count).expect("opens");
    let counted: Vec<PartyId> = uploads.iter().map(Upload::client).collect();
    let missing = cohort.iter().filter(|client| !counted.contains(client));
    let missing = missing.map(|client| (*client, MissingReason::NoAnswer)).collect();
    RoundResult {
        countersignatures: countersign(fixture),
        certificate: certify(fixture, &headers),
        audit: None,
        config: config.clone(),
        cohort,
        headers,
        key_sum: key_sum.to_bytes(),
        aggregate,
        report: Report { counted, missing, faults: Vec::new(), no_credit: None },
    }
}

fn countersign(fixture: &Fixture) -> Vec<Countersignature> {
    let round_ctx = &fixture.round_ctx;
    let sign = |h: usize| Countersignature {
        holder: HolderIndex(h as u8),
        signature: fixture.holders[h].sign(Statement::Config, round_ctx, &round_ctx.0),
    };
    (0..fixture.config.shape.quorum()).map(sign).collect()
}

fn certify(fixture: &Fixture, headers: &[SignedHeader]) -> Certificate {
    let round_ctx = fixture.round_ctx;
    let digests: Vec<_> = headers.iter().map(|signed| signed.header.digest()).collect();
    let set = set_digest(&round_ctx, &digests);
    let vote = |h: usize| Vote {
        holder: HolderIndex(h as u8),
        signature: fixture.holders[h].sign(Statement::Vote, &round_ctx, &set.0),
    };
    let votes = (0..fixture.config.shape.quorum()).map(vote).collect();
    Certificate { round_ctx, set, votes }
}

#[test]
fn an_honest_publication_holds_after_a_round_trip() {
    let done = Done::new();
    let publication = Publication::sign(done.result.clone(), &done.coordinator);
    let bytes = publication.encode();
    let decoded = Publication::decode(&bytes).expect("its own encoding");
    assert_eq!(decoded, publication);
    let verified = verify(&decoded, &done.roster, &mut done.store.clone()).expect("holds");
    assert_eq!(verified.count, 3);
    assert_eq!(verified.round_ctx, done.fixture.round_ctx);
    assert_eq!(verified.aggregate, done.result.aggregate.digest());
    assert_eq!(verified.bytes, 3 * (51_200 + done.fixture.config.payload_bytes()));
    for upload in &done.uploads {
        let found = done.result.contribution_of(&upload.client()).expect("counted");
        assert_eq!(*found, upload.sealed.header.header);
    }
    assert!(Publication::decode(&bytes[..bytes.len() - 1]).is_err());
    assert!(Publication::decode(&[bytes.as_slice(), &[0]].concat()).is_err());
}

#[test]
fn of_another_federation_or_not_signed() {
    let done = Done::new();
    let publication = Publication::sign(done.result.clone(), &client(0));
    let checked = verify(&publication, &done.roster, &mut done.store.clone());
    assert_eq!(checked.err(), Some(PublicationFault::NotSigned));
    let mut altered = Publication::sign(done.result.clone(), &done.coordinator);
    altered.result.aggregate.sums[0] += 1;
    let checked = verify(&altered, &done.roster, &mut done.store.clone()).expect_err("altered");
    assert_eq!(checked, PublicationFault::NotSigned);
    assert_eq!(checked.blame(), Blame::Nobody);
    let mut other = done.roster.clone();
    other.members.pop();
    let publication = Publication::sign(done.result.clone(), &done.coordinator);
    let checked = verify(&publication, &other, &mut done.store.clone());
    assert_eq!(checked.err(), Some(PublicationFault::OtherFederation));
}

#[test]
fn lies_about_terms_and_cohort_are_the_coordinators() {
    use PublicationFault as Fault;
    let done = Done::new();
    let fault = done.fault(|result| result.config.packing.lanes = 3);
    assert!(matches!(fault, Fault::Terms(_)));
    assert_eq!(fault.blame(), Blame::Coordinator);
    let fault = done.fault(|result| result.config.committee.swap(0, 1));
    assert_eq!(fault, Fault::Committee);
    // Any change of the terms loses the countersignatures.
    let fault = done.fault(|result| {
        result.config.quantiser.weighting = Weighting::CappedExamples(9);
    });
    assert_eq!(fault, Fault::NotCountersigned);
    let fault = done.fault(|result| result.countersignatures.truncate(2));
    assert_eq!(fault, Fault::NotCountersigned);
    let fault = done.fault(|result| result.cohort.swap(0, 1));
    assert_eq!(fault, Fault::Cohort);
    let fault = done.fault(|result| result.cohort.truncate(3));
    assert_eq!(fault, Fault::Cohort);
}

#[test]
fn lies_about_the_set_are_found() {
    use PublicationFault as Fault;
    let done = Done::new();
    let second = done.result.headers[1].header.client;
    let first = done.result.headers[0].header.client;
    let fault = done.fault(|result| result.headers.swap(0, 1));
    assert_eq!(fault, Fault::Order { client: first });
    let fault = done.fault(|result| result.headers[1] = result.headers[0].clone());
    assert_eq!(fault, Fault::Order { client: first });
    let fault = done.fault(|result| result.headers[1].header.correction.0[0] ^= 1);
    assert_eq!(fault, Fault::Header { client: second, fault: BadContribution::Signature });
    // A contribution left out after the vote.
    let fault = done.fault(|result| result.headers.retain(|signed| signed.header.client != second));
    assert_eq!(fault, Fault::OtherSet);
    let fault = done.fault(|result| result.certificate.votes.truncate(2));
    let few = BadCertificate::TooFewVotes { got: 2, needed: 3 };
    assert_eq!(fault, Fault::Certificate(few));
    let fault = done.fault(|result| {
        let copy = result.certificate.votes[0].clone();
        result.certificate.votes[1] = copy;
    });
    assert!(matches!(fault, Fault::Certificate(BadCertificate::TooFewVotes { .. })));
    let fault = done.fault(|result| result.certificate.set.0[0] ^= 1);
    assert_eq!(fault, Fault::Certificate(BadCertificate::Vote(0)));
    let stranger = done.fixture.seal(77, &vec![0; 30_000], 1);
    let fault = done.fault(|result| {
        result.headers.push(stranger.sealed.header.clone());
        result.headers.sort_by_key(|signed| signed.header.client);
    });
    assert_eq!(fault, Fault::NotAdmitted { client: stranger.client() });
}

/// Two contributions where the terms ask for three: nothing a coordinator alone can do, so the
/// holders who certified it are named.
#[test]
fn a_set_below_the_minimum_names_the_holders_who_certified_it() {
    let done = Done::new();
    let uploads = &done.uploads[..2];
    let result = finish(&done.fixture, uploads, done.result.cohort.clone());
    let fault = done.verify(result).expect_err("too few");
    let voters: Vec<_> = (0..3).map(HolderIndex).collect();
    let expected = PublicationFault::SetSize { got: 2, min: 3, max: 10, voters: voters.clone() };
    assert_eq!(fault, expected);
    assert_eq!(fault.blame(), Blame::Holders(voters));
}

#[test]
fn lies_about_who_took_part_are_found() {
    let done = Done::new();
    let changes: [fn(&mut RoundResult); 4] = [
        |result| result.report.missing.clear(),
        |result| result.report.counted.truncate(2),
        |result| {
            let client = result.report.counted[0];
            result.report.missing.push((client, MissingReason::NoAnswer));
        },
        |result| result.report.counted.swap(0, 1),
    ];
    for change in changes {
        assert_eq!(done.fault(change), PublicationFault::Report);
    }
}

#[test]
fn lies_about_the_sum_are_found() {
    use PublicationFault as Fault;
    let done = Done::new();
    let fault = done.fault(|result| result.aggregate.sums[29_999] += 1);
    assert_eq!(fault, Fault::Aggregate { parameter: Some(29_999) });
    assert_eq!(fault.blame(), Blame::Coordinator);
    let fault = done.fault(|result| result.aggregate.weight += 1);
    assert_eq!(fault, Fault::Aggregate { parameter: None });
    let fault = done.fault(|result| result.aggregate.counters[1] += 1);
    assert_eq!(fault, Fault::Aggregate { parameter: None });
    let fault = done.fault(|result| result.aggregate.control[29_999] += 1);
    assert_eq!(fault, Fault::Aggregate { parameter: None });
    let fault = done.fault(|result| result.aggregate.counters.push(0));
    assert_eq!(fault, Fault::Counters { got: 3, expected: 2 });
    let fault = done.fault(|result| result.aggregate.control.truncate(29_999));
    assert_eq!(fault, Fault::Control { got: 29_999, expected: 30_000 });
    let fault = done.fault(|result| result.aggregate.sums.truncate(29_999));
    assert_eq!(fault, Fault::Length { got: 29_999, expected: 30_000 });
    let fault = done.fault(|result| result.key_sum.truncate(16_383));
    let short = NotShort::Length { got: 16_383, expected: 16_384 };
    assert_eq!(fault, Fault::KeySum(short));
    let fault = done.fault(|result| result.key_sum[0] ^= 1);
    assert!(matches!(fault, Fault::Spoiled(_)));
    assert_eq!(fault.blame(), Blame::Coordinator);
}

#[test]
fn altered_or_missing_bytes_are_the_storages() {
    use PublicationFault as Fault;
    let done = Done::new();
    let name = done.uploads[1].sealed.header.header.digest();
    let client = done.uploads[1].client();
    let with = |change: &dyn Fn(&mut Store)| {
        let mut store = done.store.clone();
        change(&mut store);
        done.verify_with(done.result.clone(), store).expect_err("altered")
    };
    let fault = with(&|store| store.0.get_mut(&name).expect("stored").0[9] ^= 1);
    assert_eq!(fault, Fault::Altered { client, part: Part::Correction });
    assert_eq!(fault.blame(), Blame::Storage);
    let fault = with(&|store| store.0.get_mut(&name).expect("stored").1[1][0] ^= 1);
    assert_eq!(fault, Fault::Altered { client, part: Part::Chunks });
    let fault = with(&|store| store.0.get_mut(&name).expect("stored").1[1].truncate(9));
    assert_eq!(fault, Fault::Altered { client, part: Part::Chunk(1) });
    let fault = with(&|store| store.0.get_mut(&name).expect("stored").1.truncate(1));
    let reason = "no such chunk".to_owned();
    assert_eq!(fault, Fault::Unreadable { client, part: Part::Chunk(1), reason });
    let fault = with(&|store| drop(store.0.remove(&name)));
    let reason = "gone".to_owned();
    assert_eq!(fault, Fault::Unreadable { client, part: Part::Correction, reason });
}

/// A correction that its client signed for and no honest client makes.
#[test]
fn a_malformed_correction_is_its_clients() {
    let mut done = Done::new();
    let signer = (0..4).map(client).find(|c| c.id() == done.uploads[1].client()).expect("one");
    let upload = &mut done.uploads[1];
    upload.sealed.correction[..7].fill(0xff);
    let mut header = upload.sealed.header.header.clone();
    header.correction = covey_aggregation::hash::hash(
        covey_aggregation::hash::Domain::Correction,
        &[&upload.sealed.correction],
    );
    upload.sealed.header = SignedHeader::sign(header, &signer);
    let mut result = done.result.clone();
    result.headers[1] = upload.sealed.header.clone();
    result.certificate = certify(&done.fixture, &result.headers);
    let fault = done.verify_with(result, store(&done.uploads)).expect_err("malformed");
    let client = signer.id();
    let refused = BadContribution::CorrectionResidue { entry: 0 };
    assert_eq!(fault, PublicationFault::Contribution { client, fault: refused });
    assert_eq!(fault.blame(), Blame::Client(client));
}

#[test]
fn committees_of_seven_publish_too() {
    let mut done = Done::new();
    let terms = Terms { shape: CommitteeShape::Seven, dimension: 100, ..Terms::default() };
    let mut fixture = Fixture::new(terms);
    done.roster = roster(&fixture, &done.coordinator, &done.result.cohort);
    fixture.config.federation = done.roster.digest();
    fixture.config.cohort = cohort_digest(&done.result.cohort);
    fixture.config.contributions_min = 3;
    fixture.round_ctx = fixture.config.context();
    let mut uploads: Vec<_> = (0..4).map(|i| fixture.seal(i, &[1; 100], 1)).collect();
    uploads.sort_by_key(Upload::client);
    let result = finish(&fixture, &uploads, done.result.cohort.clone());
    assert_eq!(done.verify_with(result, store(&uploads)), Ok(4));
}
