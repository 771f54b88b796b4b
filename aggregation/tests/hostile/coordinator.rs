//! A coordinator that lies, to real holders and real owners. `simulation/cheat.rs` tries thousands
//! of strategies made of such moves; here each has its name.

use covey_aggregation::config::{CommitteeShape, HolderIndex, cohort_digest};
use covey_aggregation::hash::{Digest, Domain, hash, merkle_path, merkle_root};
use covey_aggregation::message::{
    Countersignature, Decline, Envelope, FromClient, FromHolder, MissingReason, Outcome, Receipt,
    Refusal, Report, ToClient, ToHolder, Vote,
};
use covey_aggregation::participant::{Participant, ParticipantEffect, ParticipantSetup, Uncounted};
use covey_aggregation::party::PartyId;
use covey_aggregation::signing::Statement;
use covey_aggregation::sum::contribution::{BadContribution, ContributionCheck};
use covey_aggregation::time::Time;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::stage::{Cast, Change, Keeper, Offer};

const SHAPES: [CommitteeShape; 2] = [CommitteeShape::Four, CommitteeShape::Seven];
const OWNERS: usize = 5;
const MINIMUM: u32 = 3;

/// Terms of round 2: honest ones; with another model to start from; for the round before; with
/// one client fewer.
const HONEST: usize = 0;
const OTHER_MODEL: usize = 1;
const EARLIER: usize = 2;
const FEWER: usize = 3;
const OFFERS: [Change; 4] = [
    |_| {},
    |terms| terms.config.model = Digest([77; 32]),
    |terms| terms.config.round = 1,
    |terms| {
        terms.cohort.remove(0);
        terms.config.cohort = cohort_digest(&terms.cohort);
    },
];

fn cast(shape: CommitteeShape) -> Cast {
    Cast::new(shape, OWNERS, MINIMUM, &OFFERS)
}

/// The honest holders; those behind them are on the coordinator's side and sign anything.
fn keepers(cast: &Cast, shape: CommitteeShape) -> Vec<Keeper> {
    (0..shape.members() - shape.faults()).map(|holder| cast.keeper(holder)).collect()
}

/// The only answer.
#[track_caller]
fn only(mut said: Vec<FromHolder>) -> FromHolder {
    assert_eq!(said.len(), 1, "{said:?}");
    said.remove(0)
}

#[track_caller]
fn refused(said: Vec<FromHolder>) -> Refusal {
    match only(said) {
        FromHolder::Refused { refusal, .. } => refusal,
        other => panic!("not refused: {other:?}"),
    }
}

#[track_caller]
fn voted(said: Vec<FromHolder>) -> Vote {
    match only(said) {
        FromHolder::Voted { vote, .. } => vote,
        other => panic!("no vote: {other:?}"),
    }
}

#[track_caller]
fn countersigned(said: Vec<FromHolder>) -> Countersignature {
    match only(said) {
        FromHolder::Countersigned { signature, .. } => signature,
        other => panic!("not countersigned: {other:?}"),
    }
}

/// Shows a holder the terms and all contributions.
#[track_caller]
fn show(keeper: &mut Keeper, holder: usize, offer: &Offer) {
    countersigned(keeper.tell(offer.propose()));
    let all = offer.everybody();
    let checked = only(keeper.tell(offer.envelopes(holder, &all, all.len())));
    assert!(matches!(checked, FromHolder::Checked { .. }), "{checked:?}");
}

/// Everybody that can sign for the coordinator's friends.
fn friends(cast: &Cast, shape: CommitteeShape, offer: &Offer, set: &[Digest]) -> Vec<Vote> {
    let digest = offer.set_digest(set);
    let friends = shape.members() - shape.faults()..shape.members();
    friends.map(|holder| cast.vote(holder, &offer.context, &digest)).collect()
}

/// Votes of a quorum, as if Q holders were on the coordinator's side.
fn quorum(cast: &Cast, shape: CommitteeShape, offer: &Offer, set: &[Digest]) -> Vec<Vote> {
    let digest = offer.set_digest(set);
    (0..shape.quorum()).map(|holder| cast.vote(holder, &offer.context, &digest)).collect()
}

/// Half of the honest holders are asked to vote for one set, half for another. With the votes of
/// all its friends it can certify one of them at most, and whoever voted for the other one never
/// votes again.
#[test]
fn coordinator_with_two_sets_for_two_holders_has_one_of_them_certified_at_most() {
    for shape in SHAPES {
        let cast = cast(shape);
        let mut keepers = keepers(&cast, shape);
        let offer = &cast.offers[HONEST];
        let all = offer.everybody();
        let sets = [offer.set(&all), offer.set(&all[1..])];
        let mut votes = sets.clone().map(|set| friends(&cast, shape, offer, &set));
        for (holder, keeper) in keepers.iter_mut().enumerate() {
            show(keeper, holder, offer);
            let which = holder % 2;
            votes[which].push(voted(keeper.tell(offer.ask_vote(&sets[which]))));
            let other = &sets[1 - which];
            assert_eq!(refused(keeper.tell(offer.ask_vote(other))), Refusal::AlreadyVoted);
        }
        let mut certified = 0;
        for (set, mut votes) in sets.iter().zip(votes) {
            votes.sort_by_key(|vote| vote.holder);
            let has_quorum = votes.len() >= shape.quorum();
            certified += usize::from(has_quorum);
            for keeper in &mut keepers {
                let said = only(keeper.tell(offer.ask_release(set, votes.clone())));
                match said {
                    FromHolder::Released(_) => assert!(has_quorum),
                    FromHolder::Refused { refusal, .. } => {
                        assert!(!has_quorum);
                        assert_eq!(refusal, Refusal::BadCertificate);
                    }
                    other => panic!("{other:?}"),
                }
            }
        }
        assert!(certified <= 1, "{shape:?}");
    }
}

/// Neither votes nor a certificate by Q holders on its side get a small set opened, and no terms
/// with a lower minimum than the protocol's are countersigned.
#[test]
fn coordinator_with_a_set_below_the_minimum_is_refused() {
    for shape in SHAPES {
        let cast = cast(shape);
        let mut keepers = keepers(&cast, shape);
        let offer = &cast.offers[HONEST];
        for (holder, keeper) in keepers.iter_mut().enumerate() {
            show(keeper, holder, offer);
            for size in 0..MINIMUM {
                let set = offer.set(&offer.everybody()[..size as usize]);
                let small = Refusal::SetSize { got: size, min: MINIMUM, max: OWNERS as u32 };
                assert_eq!(refused(keeper.tell(offer.ask_vote(&set))), small);
                let votes = quorum(&cast, shape, offer, &set);
                assert_eq!(refused(keeper.tell(offer.ask_release(&set, votes))), small);
            }
            let mut config = Box::new(offer.config.clone());
            (config.contributions_min, config.round) = (2, 3);
            let lower = ToHolder::Propose {
                config,
                cohort: offer.cohort.clone(),
                beacons: Vec::new(),
                attested: None,
            };
            assert!(matches!(refused(keeper.tell(lower)), Refusal::Terms(_)));
        }
    }
}

/// Left out after a receipt, an owner is told that the promise was broken, and its receipt shows
/// anybody that there was one.
#[test]
fn coordinator_with_a_dropped_contribution_is_caught_by_its_own_receipt() {
    let cast = cast(CommitteeShape::Four);
    let offer = &cast.offers[HONEST];
    let upload = &offer.uploads[0];
    let (client, header) = (upload.header.header.client, upload.header.header.digest());
    let signature = cast.coordinator.sign(Statement::Receipt, &offer.context, &header.0);
    let receipt = Receipt { round_ctx: offer.context, header, signature };
    let lies = [
        vec![],
        vec![(client, MissingReason::NoAnswer)],
        vec![(client, MissingReason::Declined(Decline::Policy))],
    ];
    for missing in lies {
        let mut owner = owner(&cast, client);
        owner.handle(Time(0), open(&cast, offer));
        assert!(
            drain(&mut owner).iter().any(|one| matches!(one, ParticipantEffect::Prepare { .. }))
        );
        owner.handle_prepared(Time(1), &offer.context, Ok(upload.header.clone()));
        drain(&mut owner);
        owner.handle(Time(2), ToClient::Receipt(receipt.clone()));
        assert!(drain(&mut owner).contains(&ParticipantEffect::Promised(receipt.clone())));
        let outcome = Outcome::Done(Report { missing, ..Report::default() });
        owner.handle(Time(3), ToClient::Ended { round_ctx: offer.context, outcome });
        let round_ctx = offer.context;
        let why = Uncounted::PromiseBroken(receipt.clone());
        let told = ParticipantEffect::NotCounted { round_ctx, why };
        assert!(drain(&mut owner).contains(&told));
    }
    let coordinator = cast.roster.coordinator().expect("one");
    let promise = &receipt.signature;
    coordinator.verify(Statement::Receipt, &offer.context, &header.0, promise).expect("proof");
}

/// A ciphertext can be changed to mean something else: whoever adds again finds which, and no
/// holder takes an envelope that its client did not sign.
#[test]
fn coordinator_with_an_altered_contribution_is_found_and_refused() {
    let cast = cast(CommitteeShape::Four);
    let offer = &cast.offers[HONEST];
    let good = &offer.uploads[0];
    let check = |chunk: &[u8]| {
        let mut check = ContributionCheck::new(&offer.config, &good.header)?;
        check.correction(&good.correction)?;
        for (holder, sealed_box) in (0..).map(HolderIndex).zip(&good.boxes) {
            check.sealed_box(holder, sealed_box)?;
        }
        check.chunk(0, chunk)?;
        check.finish()
    };
    assert_eq!(good.chunks.len(), 1);
    assert_eq!(check(&good.chunks[0]), Ok(()));
    let mut shifted = good.chunks[0].clone();
    shifted[1] ^= 0x10;
    assert_eq!(check(&shifted), Err(BadContribution::Chunks));

    let mut keeper = cast.keeper(1);
    countersigned(keeper.tell(offer.propose()));
    let changes: [fn(&mut Envelope); 5] = [
        |envelope| envelope.correction.0[0] ^= 1,
        |envelope| envelope.chunks_root.0[0] ^= 1,
        |envelope| envelope.box_key.0[0] ^= 1,
        |envelope| envelope.components.0[0] ^= 1,
        |envelope| envelope.sealed_box[40] ^= 1,
    ];
    for change in changes {
        let mut envelope = good.envelope(1);
        change(&mut envelope);
        let said = keeper.tell(offer.show(vec![envelope], OWNERS));
        assert_eq!(refused(said), Refusal::BadSignature);
    }
    // Of what was refused nothing can be voted for.
    let set = offer.set(&offer.everybody());
    let lacking = only(keeper.tell(offer.ask_vote(&set)));
    assert_eq!(lacking, FromHolder::Lacking { round_ctx: offer.context });
}

/// Terms that start from another model are other terms: nobody countersigns both, too few
/// countersign either, and an owner trains for none that Q holders have not signed.
#[test]
fn coordinator_with_biased_terms_for_some_reaches_neither_holders_nor_owners() {
    for shape in SHAPES {
        let cast = cast(shape);
        let mut keepers = keepers(&cast, shape);
        let offers = [HONEST, OTHER_MODEL].map(|which| &cast.offers[which]);
        let friends = shape.members() - shape.faults()..shape.members();
        let mut signatures = offers.map(|offer| {
            let sign = |holder: usize| countersign(&cast, holder, offer);
            friends.clone().map(sign).collect::<Vec<_>>()
        });
        for (holder, keeper) in keepers.iter_mut().enumerate() {
            let which = holder % 2;
            signatures[which].push(countersigned(keeper.tell(offers[which].propose())));
            let other = offers[1 - which].propose();
            assert_eq!(refused(keeper.tell(other)), Refusal::Replayed);
        }
        let client = cast.offers[HONEST].cohort[0];
        let mut accepted = 0;
        for (offer, mut countersignatures) in offers.into_iter().zip(signatures) {
            countersignatures.sort_by_key(|one| one.holder);
            let has_quorum = countersignatures.len() >= shape.quorum();
            let config = Box::new(offer.config.clone());
            let mut owner = owner(&cast, client);
            owner.handle(Time(0), ToClient::Open { config, countersignatures });
            let effects = drain(&mut owner);
            if has_quorum {
                accepted += 1;
                assert!(matches!(effects[..], [ParticipantEffect::Prepare { .. }]), "{effects:?}");
            } else {
                let (round_ctx, reason) = (offer.context, Decline::Terms);
                let declined = FromClient::Declined { round_ctx, reason };
                assert_eq!(effects, [ParticipantEffect::Send(declined)]);
            }
        }
        assert!(accepted <= 1, "{shape:?}");
    }
}

/// Neither the round again with other terms, nor an earlier one, nor contributions to another one
/// are taken; not after a restart either.
#[test]
fn coordinator_with_a_replayed_round_is_refused() {
    let cast = cast(CommitteeShape::Four);
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let offer = &cast.offers[HONEST];
    let mut keeper = cast.keeper(0);
    let first = countersigned(keeper.tell(offer.propose()));
    for _ in 0..2 {
        for other in [OTHER_MODEL, EARLIER, FEWER] {
            let said = keeper.tell(cast.offers[other].propose());
            assert_eq!(refused(said), Refusal::Replayed);
        }
        assert_eq!(countersigned(keeper.tell(offer.propose())), first, "the same is the same");
        let stale = cast.offers[EARLIER].uploads[0].envelope(0);
        let said = keeper.tell(offer.show(vec![stale], OWNERS));
        assert_eq!(refused(said), Refusal::BadSignature);
        keeper.crash(&cast.roster, &mut rng);
    }
}

/// The certificate names its set; and once a holder has released for one set, not even a quorum of
/// votes for another one makes it release again, after a restart neither.
#[test]
fn coordinator_with_a_set_changed_after_the_certificate_is_refused() {
    for shape in SHAPES {
        let cast = cast(shape);
        let mut rng = ChaCha8Rng::seed_from_u64(6);
        let offer = &cast.offers[HONEST];
        let all = offer.everybody();
        let (set, other) = (offer.set(&all), offer.set(&all[1..]));
        let votes = quorum(&cast, shape, offer, &set);
        let mut keeper = cast.keeper(0);
        show(&mut keeper, 0, offer);
        let mut swapped = offer.ask_release(&set, votes.clone());
        if let ToHolder::Certified { set, .. } = &mut swapped {
            set.clone_from(&other);
        }
        let why = "not the set that the certificate names".to_owned();
        assert_eq!(refused(keeper.tell(swapped)), Refusal::BadSet(why));
        let swapped = offer.ask_release(&other, votes.clone());
        assert_eq!(refused(keeper.tell(swapped)), Refusal::BadCertificate);

        let release = only(keeper.tell(offer.ask_release(&set, votes.clone())));
        assert!(matches!(release, FromHolder::Released(_)));
        let others = quorum(&cast, shape, offer, &other);
        let said = keeper.tell(offer.ask_release(&other, others.clone()));
        assert_eq!(refused(said), Refusal::Conflict);
        keeper.crash(&cast.roster, &mut rng);
        show(&mut keeper, 0, offer);
        let said = keeper.tell(offer.ask_release(&other, others));
        assert_eq!(refused(said), Refusal::Conflict);
        assert_eq!(only(keeper.tell(offer.ask_release(&set, votes))), release, "as before");
    }
}

/// A client seals twice, and binds the boxes of some holders from the one sealing and those of the
/// others from the other under one signed digest, which the coordinator takes. No honest
/// coordinator would: no whole header has that digest. If holders took it, those in the minority
/// would release other sums than the majority and be named for it, though they are honest.
#[test]
fn coordinator_and_client_with_two_seeds_for_two_holders_are_refused() {
    for shape in SHAPES {
        let cast = cast(shape);
        let offer = &cast.offers[HONEST];
        let sealings = [&offer.uploads[0], offer.uploads.last().expect("a second one")];
        let client = sealings[0].header.header.client;
        assert_eq!(client, sealings[1].header.header.client);
        let split = |holder: usize| usize::from(holder > shape.faults());
        let honest = |holder: usize| sealings[split(holder)].envelope(holder);
        let seats: Vec<Digest> = (0..shape.members()).map(|holder| seat(&honest(holder))).collect();
        let list = honest(0);
        let digest = bind(offer, &list, &merkle_root(&seats));
        let identity = cast.owners.iter().find(|owner| owner.id() == client).expect("an owner");
        let signature = identity.sign(Statement::Header, &offer.context, &digest.0);
        for holder in 0..shape.members() {
            let own = honest(holder);
            let (correction, chunks_root, components) =
                (list.correction, list.chunks_root, list.components);
            let path = merkle_path(&seats, holder);
            let envelope = Envelope { correction, chunks_root, components, path, signature, ..own };
            let shape_digest = envelope.digest(&offer.context, shape, HolderIndex(holder as u8));
            assert_eq!(shape_digest, Some(digest), "its signature is good for every holder");
            let mut keeper = cast.keeper(holder);
            countersigned(keeper.tell(offer.propose()));
            let said = keeper.tell(offer.show(vec![envelope], OWNERS));
            if split(holder) == 0 {
                assert_eq!(said, [], "taken: its seeds are of the signed list");
            } else {
                let why =
                    "the commitments to the seeds are not those that the header was made from";
                assert_eq!(refused(said), Refusal::Malformed(why.into()));
            }
        }
    }
}

/// A leaf of the tree over seats.
fn seat(envelope: &Envelope) -> Digest {
    let sealed_box = hash(Domain::SealedBox, &[&envelope.sealed_box]);
    hash(Domain::Seat, &[&envelope.box_key.0, &sealed_box.0, &envelope.contents.0])
}

/// What a client signs.
fn bind(offer: &Offer, envelope: &Envelope, seats: &Digest) -> Digest {
    let Envelope { client, correction, chunks_root, components, .. } = envelope;
    let parts = [&offer.context.0, &client.0, &correction.0, &chunks_root.0];
    let parts = parts.into_iter().chain([&components.0, &seats.0]).map(<[u8; 32]>::as_slice);
    hash(Domain::Header, &parts.collect::<Vec<_>>())
}

fn countersign(cast: &Cast, holder: usize, offer: &Offer) -> Countersignature {
    let identity = cast.identity(holder);
    let signature = identity.sign(Statement::Config, &offer.context, &offer.context.0);
    Countersignature { holder: HolderIndex(holder as u8), signature }
}

fn open(cast: &Cast, offer: &Offer) -> ToClient {
    let quorum = offer.config.shape.quorum();
    let countersignatures = (0..quorum).map(|holder| countersign(cast, holder, offer)).collect();
    ToClient::Open { config: Box::new(offer.config.clone()), countersignatures }
}

fn owner(cast: &Cast, client: PartyId) -> Participant {
    let identity = cast.owners.iter().find(|owner| owner.id() == client).expect("an owner");
    let (identity, roster) = (identity.clone(), cast.roster.clone());
    let setup = ParticipantSetup { identity, roster, resend_ms: 1_000, patience_ms: 60_000 };
    Participant::new(setup, []).expect("an owner")
}

/// What an owner wants done; whatever it stores is durable at once.
fn drain(owner: &mut Participant) -> Vec<ParticipantEffect> {
    let mut effects = Vec::new();
    while let Some(effect) = owner.poll_effect() {
        match effect {
            ParticipantEffect::Append { sequence, .. } => owner.handle_stored(sequence),
            other => effects.push(other),
        }
    }
    effects
}
