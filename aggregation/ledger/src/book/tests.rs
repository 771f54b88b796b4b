//! The rules of the book, each by an entry that breaks it.

mod payouts;
mod reviews;
mod runs;

use covey_aggregation::roster::Member;

use super::*;
use crate::document::sha256;
use crate::example::{Example, Shape, stranger};
use crate::statement::{BadStatement, Says, SetAddress, Signed};

/// The example after its founding.
fn founded() -> Example {
    Example::founded(Shape::default()).expect("a founding")
}

/// The example after its first run.
fn settled() -> (Example, Digest) {
    let mut example = founded();
    let run = example.first_run().expect("a run");
    (example, run)
}

/// Why the book refuses this as its next entry; that it stays as it was is checked.
fn refused(example: &Example, body: impl Into<Body>) -> Refused {
    refused_with(example, body, &example.documents)
}

fn refused_with(
    example: &Example,
    body: impl Into<Body>,
    documents: &BTreeMap<Digest, Vec<u8>>,
) -> Refused {
    let mut book = example.book.clone();
    let time_ms = book.time_ms().max(example.now_ms) + 1;
    let entry = Entry::new(book.federation().clone(), time_ms, body);
    let refused = book.apply(&entry, documents).expect_err("an entry that breaks a rule");
    assert_eq!(format!("{book:?}"), format!("{:?}", example.book), "the book stays as it was");
    refused
}

/// The body of the last entry of a kind.
fn last(example: &Example, kind: Kind) -> Body {
    let record = example.book.entries().iter().rev().find(|entry| entry.kind == kind);
    let index = record.expect("an entry of the kind").index;
    Entry::parse(&example.entries[index as usize]).expect("an entry").body
}

/// The example before its last entry of a kind, and what that says.
fn before(example: &Example, kind: Kind) -> (Example, Body) {
    let record = example.book.entries().iter().rev().find(|entry| entry.kind == kind);
    let index = record.expect("an entry of the kind").index as usize;
    let mut earlier = founded();
    earlier.documents.clone_from(&example.documents);
    for bytes in &example.entries[1..index] {
        let entry = Entry::parse(bytes).expect("an entry");
        earlier.book.apply(&entry, &earlier.documents).expect("an entry of the example");
        earlier.entries.push(bytes.clone());
    }
    let entry = Entry::parse(&example.entries[index]).expect("an entry");
    earlier.now_ms = entry.time_ms;
    (earlier, entry.body)
}

#[test]
fn the_example_is_read_again_from_its_bytes() {
    let example = Example::new(Shape::default()).expect("an example");
    let entries = || example.entries.iter().map(Vec::as_slice);
    let book = Book::read(entries(), &example.documents).expect("the same book");
    assert_eq!(format!("{book:?}"), format!("{:?}", example.book));
    assert_eq!(book.payouts().len(), 1);
    let again = Example::new(Shape::default()).expect("an example");
    assert_eq!(again.entries, example.entries, "the same shape gives the same bytes");
    let other = Example::new(Shape { seed: 2, owners: 9, rounds: 7 }).expect("a larger example");
    assert_ne!(other.entries[0], example.entries[0]);
}

#[test]
fn entries_out_of_order_twice_or_left_out_are_refused() {
    let example = Example::new(Shape::default()).expect("an example");
    let all: Vec<_> = example.entries.iter().map(Vec::as_slice).collect();
    assert!(matches!(
        Book::read(all[1..].iter().copied(), &example.documents),
        Err(Fault { index: 0, refused: Refused::Founding })
    ));
    assert!(Book::read([], &()).is_err());
    // Whatever is left out, what builds on it is refused, or nothing builds on it.
    let mut left_out = 0;
    for at in 1..all.len() {
        let mut swapped = all.clone();
        swapped.swap(at - 1, at);
        assert!(Book::read(swapped, &example.documents).is_err(), "{at} before {}", at - 1);
        let twice = all[..=at].iter().chain(&all[at..=at]).copied();
        let fault = Book::read(twice, &example.documents).expect_err("an entry twice");
        assert!(matches!(fault.refused, Refused::Duplicate { .. }), "{fault}");
        let rest = all[..at].iter().chain(&all[at + 1..]).copied();
        left_out += usize::from(Book::read(rest, &example.documents).is_err());
    }
    assert!(left_out > all.len() / 3, "{left_out} of {} are needed by others", all.len());
}

#[test]
fn an_entry_of_another_federation_or_time_is_refused() {
    let example = founded();
    let mut book = example.book.clone();
    let body = member_joined(&example);
    let other: Name = "south".parse().expect("a name");
    let entry = Entry::new(other.clone(), book.time_ms(), body.clone());
    assert_eq!(book.apply(&entry, &()), Err(Refused::OtherFederation(other)));
    let entry = Entry::new(book.federation().clone(), book.time_ms() - 1, body);
    assert!(matches!(book.apply(&entry, &()), Err(Refused::TimeWentBack { .. })));
    assert_eq!(
        refused(&example, example.book.founding().clone()),
        Refused::Duplicate { subject: "founding".to_owned(), first: 0 }
    );
}

/// What would be written of a seventh owner.
fn member_joined(example: &Example) -> crate::entry::MemberJoined {
    let mut next = Example::founded(example.shape).expect("the same");
    let (id, role) = (stranger(1).id(), Role::DataOwner);
    let name = "clinic-7".parse().expect("a name");
    let mut members = next.roster.members.clone();
    members.push(Member { name, id, role, sealing_key: None });
    next.change_members(members).expect("another member");
    match last(&next, Kind::MemberJoined) {
        Body::MemberJoined(body) => *body,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_founding_without_a_committee_quorum_or_order_is_refused() {
    let example = founded();
    let with = |change: fn(&mut Founding)| {
        let mut founding = example.book.founding().clone();
        change(&mut founding);
        let entry = Entry::new(example.book.federation().clone(), 1, founding);
        Book::found(&entry).map(|_| ()).expect_err("a founding that breaks a rule")
    };
    assert!(matches!(with(|one| one.holders.truncate(3)), Refused::BadFounding(_)));
    assert!(matches!(with(|one| one.quorum = 2), Refused::BadFounding(_)));
    assert!(matches!(with(|one| one.members[1] = one.members[0].clone()), Refused::BadFounding(_)));
    assert!(matches!(with(|one| one.members[0].role = Role::Holder), Refused::BadFounding(_)));
    assert_eq!(with(|one| one.reviewers.swap(0, 1)), Refused::Order("reviewers"));
    let stranger = PartyId([255; 32]);
    assert_eq!(
        with(|one| one.reviewers.push(PartyId([255; 32]))),
        Refused::UnknownMember(stranger)
    );
    assert!(matches!(with(|one| one.charter.quorum = 9), Refused::Charter(_)));
}

#[test]
fn members_come_by_the_committees_votes_alone() {
    let example = founded();
    let body = member_joined(&example);
    let with = |change: fn(&mut crate::entry::MemberJoined)| {
        let mut body = body.clone();
        change(&mut body);
        refused(&example, body)
    };
    let votes = |bad| Refused::Votes { what: "roster", bad };
    let few = votes(BadVotes::TooFew { got: 2, needed: 3 });
    assert_eq!(with(|one| one.roster.votes.truncate(2)), few);
    let twice =
        |one: &mut crate::entry::MemberJoined| one.roster.votes[1] = one.roster.votes[0].clone();
    assert_eq!(with(twice), votes(BadVotes::Order));
    assert_eq!(with(|one| one.roster.votes[2].holder = 9), votes(BadVotes::Vote(9)));
    assert_eq!(with(|one| one.roster.digest = Digest::ZERO), votes(BadVotes::Vote(1)));
    assert_eq!(with(|one| one.roster.number = 0), Refused::Roster { got: 0, last: 0 });
    assert!(matches!(with(|one| one.role = Role::Holder), Refused::MayNot { .. }));
    let taken = "clinic-1".parse().expect("a name");
    assert_eq!(
        with(|one| one.name = "clinic-1".parse().expect("a name")),
        Refused::MemberTwice(taken)
    );
    let mut next = founded();
    next.write(body.clone()).expect("a member");
    let other = crate::entry::MemberJoined {
        name: "clinic-8".parse().expect("a name"),
        id: PartyId([3; 32]),
        roster: crate::entry::RosterProof { digest: Digest::ZERO, ..body.roster.clone() },
        ..body
    };
    assert_eq!(refused(&next, other), Refused::Roster { got: 1, last: 1 }, "another of its number");
}

#[test]
fn a_member_that_left_may_come_back_and_one_that_was_revoked_may_not() {
    let mut example = founded();
    let members = example.roster.members.clone();
    let without: Vec<_> =
        members.iter().filter(|one| one.name.as_str() != "clinic-1").cloned().collect();
    example.change_members(without).expect("one left");
    let id = example.owners[0].id();
    assert_eq!(example.book.member(&id).map(|member| member.status), Some(Status::Left));
    let Body::MemberLeft(left) = last(&example, Kind::MemberLeft) else { panic!("an entry") };
    let mut again = (*left).clone();
    again.roster.number += 1;
    assert!(matches!(refused(&example, again), Refused::MayNot { .. }), "not a member");
    example.change_members(members).expect("it is back");
    assert_eq!(example.book.member(&id).map(|member| member.status), Some(Status::Active));
    let seat = crate::entry::MemberLeft { id: example.holders[0].id(), ..(*left).clone() };
    assert!(matches!(refused(&example, seat), Refused::MayNot { .. }), "a seat stays");

    let (mut example, revoked) = before(&example, Kind::MemberLeft);
    let Body::MemberLeft(revoked) = revoked else { panic!("an entry") };
    let how = crate::entry::Leaving::Revoked;
    example.write(crate::entry::MemberLeft { how, ..*revoked.clone() }).expect("revoked");
    let name = "clinic-1".parse().expect("a name");
    let back = crate::entry::MemberJoined {
        name,
        id,
        role: Role::DataOwner,
        roster: revoked.roster.clone(),
    };
    assert!(matches!(refused(&example, back), Refused::MayNot { .. }), "its key is no longer good");
    let signed = address(&example, 9).into_body();
    assert!(matches!(refused(&example, signed), Refused::MayNot { .. }), "nor what it signs");
}

fn address(example: &Example, number: u64) -> Signed {
    let who = &example.owners[0];
    let address = Some(example.address_of(&who.id()));
    let mut statement = example.say(who, Says::Address(SetAddress { address })).statement;
    statement.number = number;
    statement.sign(who)
}

#[test]
fn a_statement_counts_once_for_its_signer_and_federation() {
    let mut example = founded();
    example.write(address(&example, 5).into_body()).expect("an address");
    assert!(matches!(
        refused(&example, address(&example, 5).into_body()),
        Refused::Duplicate { .. }
    ));
    let replayed = Refused::Replayed { got: 4, last: 5 };
    assert_eq!(refused(&example, address(&example, 4).into_body()), replayed);

    let with = |change: &dyn Fn(&mut Signed)| {
        let mut signed = address(&example, 6);
        change(&mut signed);
        refused(&example, signed.into_body())
    };
    let is_forged = |refused| matches!(refused, Refused::Statement(BadStatement::Signature(_)));
    let other = Some(example.address_of(&example.owners[1].id()));
    assert!(is_forged(with(&|one| {
        one.statement.says = Says::Address(SetAddress { address: other });
    })));
    assert!(is_forged(with(&|one| one.statement.member = example.owners[1].id())));
    let for_others = with(&|one| {
        one.statement.federation = sha256(b"another founding");
        *one = one.statement.clone().sign(&example.owners[0]);
    });
    assert_eq!(for_others, Refused::Statement(BadStatement::OtherFederation));
    let nobody = stranger(1);
    let unknown = with(&|one| {
        one.statement.member = nobody.id();
        *one = one.statement.clone().sign(&nobody);
    });
    assert_eq!(unknown, Refused::UnknownMember(nobody.id()));
    let kind = crate::entry::VoteCast { signed: address(&example, 6) };
    assert_eq!(refused(&example, kind), Refused::Statement(BadStatement::Kind));
}
