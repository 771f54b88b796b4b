//! What a holder may complain of, who is found at fault, and what is nobody's complaint but the
//! coordinator's doing.

mod support;

use covey_aggregation::config::HolderIndex;
use covey_aggregation::hash::{Digest, Domain, hash};
use covey_aggregation::message::{Complaint, ComplaintKind, Envelope};
use covey_aggregation::signing::Statement;
use covey_aggregation::sum::contribution::BadContribution;
use covey_aggregation::sum::sealed_box::SealingSecret;
use covey_aggregation::sum::share::{
    BadBox, Verdict, check_complaint, check_envelope, open_envelope,
};
use support::{Fixture, Terms, Upload, resigned};
use zeroize::Zeroizing;

const HOLDER: HolderIndex = HolderIndex(1);

fn fixture() -> Fixture {
    Fixture::new(Terms::default())
}

/// A holder's signed complaint.
fn complain(fixture: &Fixture, upload: &Upload, kind: ComplaintKind) -> Complaint {
    let header = upload.sealed.header.header.digest();
    let body = Complaint::body(&header, HOLDER, &kind);
    let signature = fixture.holders[1].sign(Statement::Complaint, &fixture.round_ctx, &body);
    Complaint { round_ctx: fixture.round_ctx, header, holder: HOLDER, kind, signature }
}

fn judge(fixture: &Fixture, upload: &Upload, complaint: &Complaint) -> Verdict {
    let (header, sealed_box) = (&upload.sealed.header, &upload.sealed.boxes[1]);
    check_complaint(&fixture.config, &fixture.round_ctx, header, sealed_box, complaint)
}

fn complaint_of(fixture: &Fixture, upload: &Upload) -> ComplaintKind {
    let envelope = fixture.envelope(upload, 1);
    check_envelope(&fixture.config, &fixture.round_ctx, HOLDER, &envelope).expect("signed for");
    let secret = &fixture.secrets[1];
    let opened = open_envelope(&fixture.config, &fixture.round_ctx, HOLDER, secret, &envelope);
    let Err(BadBox::Complaint(kind)) = opened else { panic!("{:?}", opened.err()) };
    kind
}

/// Signs for whatever is in the boxes now.
fn commit_to_boxes(upload: &mut Upload) {
    let boxes = &upload.sealed.boxes;
    let digest = |sealed: &Vec<u8>| hash(Domain::SealedBox, &[sealed]);
    upload.sealed.header.header.boxes = boxes.iter().map(digest).collect();
}

#[test]
fn a_box_that_does_not_open_is_the_clients_fault_for_all_to_see() {
    let fixture = fixture();
    let upload = resigned(&fixture, |upload| {
        upload.sealed.boxes[1][1150] ^= 1; // contents only: the key still matches
        commit_to_boxes(upload);
    });
    let kind = complaint_of(&fixture, &upload);
    assert!(matches!(kind, ComplaintKind::Contents { .. }));
    assert_eq!(
        judge(&fixture, &upload, &complain(&fixture, &upload, kind)),
        Verdict::ClientAtFault
    );
}

#[test]
fn wrong_seeds_are_the_clients_fault_for_all_to_see() {
    let fixture = fixture();
    // com_T of component {0}, which holder 1 knows.
    let upload = resigned(&fixture, |upload| {
        upload.sealed.header.header.components[0].0[0] ^= 1;
    });
    let kind = complaint_of(&fixture, &upload);
    assert!(matches!(kind, ComplaintKind::Contents { .. }));
    assert_eq!(
        judge(&fixture, &upload, &complain(&fixture, &upload, kind)),
        Verdict::ClientAtFault
    );
    // Component {1} is not holder 1's: it has nothing to complain of.
    let upload = resigned(&fixture, |upload| {
        upload.sealed.header.header.components[1].0[0] ^= 1;
    });
    fixture.seeds(&upload, 1);
}

#[test]
fn a_box_for_another_key_cannot_be_decided() {
    let fixture = fixture();
    let upload = resigned(&fixture, |upload| {
        upload.sealed.boxes[1][0] ^= 1;
        commit_to_boxes(upload);
    });
    let kind = complaint_of(&fixture, &upload);
    assert_eq!(kind, ComplaintKind::Key);
    assert_eq!(judge(&fixture, &upload, &complain(&fixture, &upload, kind)), Verdict::Undecidable);
}

#[test]
fn false_complaints_accuse_the_holder() {
    let fixture = fixture();
    let upload = fixture.seal(0, &[5; 300], 1);
    // The true key of a box that holds what it should.
    let broken = resigned(&fixture, |upload| {
        upload.sealed.boxes[1][1150] ^= 1;
        commit_to_boxes(upload);
    });
    let true_key = complaint_of(&fixture, &broken);
    let honest = complain(&fixture, &upload, true_key.clone());
    assert_eq!(judge(&fixture, &upload, &honest), Verdict::FalseComplaint);
    // A key that is not the committed one.
    let invented = complain(&fixture, &upload, ComplaintKind::Contents { box_key: [7; 32] });
    assert_eq!(judge(&fixture, &upload, &invented), Verdict::FalseComplaint);

    // Not signed, signed by another, about another contribution, of another round, by nobody.
    let good = complain(&fixture, &broken, true_key);
    assert_eq!(judge(&fixture, &broken, &good), Verdict::ClientAtFault);
    let mut unsigned = good.clone();
    unsigned.kind = ComplaintKind::Key;
    assert_eq!(judge(&fixture, &broken, &unsigned), Verdict::FalseComplaint);
    let mut other_holder = good.clone();
    other_holder.holder = HolderIndex(2);
    assert_eq!(judge(&fixture, &broken, &other_holder), Verdict::FalseComplaint);
    let mut nobody = good.clone();
    nobody.holder = HolderIndex(200);
    assert_eq!(judge(&fixture, &broken, &nobody), Verdict::FalseComplaint);
    assert_eq!(judge(&fixture, &upload, &good), Verdict::FalseComplaint);
    let mut replayed = good;
    replayed.round_ctx = Digest::ZERO;
    assert_eq!(judge(&fixture, &broken, &replayed), Verdict::FalseComplaint);
}

#[test]
fn envelopes_that_were_tampered_with_are_the_coordinators_fault() {
    let fixture = fixture();
    let upload = fixture.seal(0, &[5; 300], 1);
    let good = fixture.envelope(&upload, 1);
    let name = upload.sealed.header.header.digest();
    let check =
        |envelope: &Envelope| check_envelope(&fixture.config, &fixture.round_ctx, HOLDER, envelope);
    assert_eq!(check(&good), Ok(name));
    let mut changed = good.clone();
    changed.sealed_box[77] ^= 1;
    assert_eq!(check(&changed), Err(BadContribution::Signature));
    // Another holder's box, alone and with all that belongs to it.
    let mut others = good.clone();
    others.sealed_box = upload.sealed.boxes[2].clone();
    assert_eq!(check(&others), Err(BadContribution::Signature));
    assert_eq!(check(&fixture.envelope(&upload, 2)), Err(BadContribution::Signature));
    let mut short = good.clone();
    short.sealed_box.pop();
    let refused = BadContribution::BoxLength { holder: HOLDER, got: 1231, expected: 1232 };
    assert_eq!(check(&short), Err(refused));
    let mut long_path = good.clone();
    long_path.path.push(Digest::ZERO);
    assert_eq!(check(&long_path), Err(BadContribution::Vectors));
    let changes: [fn(&mut Envelope); 8] = [
        |envelope| envelope.components.0[0] ^= 1,
        |envelope| envelope.client.0[0] ^= 1,
        |envelope| envelope.correction.0[0] ^= 1,
        |envelope| envelope.chunks_root.0[0] ^= 1,
        |envelope| envelope.box_key.0[0] ^= 1,
        |envelope| envelope.contents.0[0] ^= 1,
        |envelope| envelope.path[0].0[0] ^= 1,
        |envelope| envelope.path.swap(0, 1),
    ];
    for change in changes {
        let mut forged = good.clone();
        change(&mut forged);
        assert_eq!(check(&forged), Err(BadContribution::Signature));
    }
    // What is not signed for itself is found when the box is open.
    let changes: [fn(&mut Envelope); 3] = [
        |envelope| envelope.lacking[0].0[0] ^= 1,
        |envelope| envelope.lacking.clear(),
        |envelope| envelope.lacking.push(Digest::ZERO),
    ];
    for change in changes {
        let mut forged = good.clone();
        change(&mut forged);
        assert_eq!(check(&forged), Ok(name));
        let secret = &fixture.secrets[1];
        let opened = open_envelope(&fixture.config, &fixture.round_ctx, HOLDER, secret, &forged);
        assert_eq!(opened.err(), Some(BadBox::Components));
    }
}

#[test]
fn a_wrong_sealing_secret_opens_nothing() {
    let fixture = fixture();
    let upload = fixture.seal(0, &[5; 300], 1);
    let other = SealingSecret::from_seed(&Zeroizing::new([99; 96]));
    let envelope = fixture.envelope(&upload, 1);
    let opened = open_envelope(&fixture.config, &fixture.round_ctx, HOLDER, &other, &envelope);
    assert_eq!(opened.err(), Some(ComplaintKind::Key.into()));
}
