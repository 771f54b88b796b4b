//! Joining by invite, over real QUIC, with the real coordinator and key holders: a federation founded
//! and grown, everybody who must not get in, members that are shut out, and rosters that only a quorum of
//! the committee can change.

mod federation;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use covey_aggregation::net::enrolment::{Answer, Application, Desk, NotEnrolled, Waiting};
use covey_aggregation::net::roster_file::ROSTER_FILE;
use covey_aggregation::net::{
    IdentityKey, Invite, LinkError, Membership, Request, Route, Stranger, TransportChoice,
};
use covey_aggregation::net::{read_roster, write_roster};
use covey_aggregation::party::Role;
use covey_aggregation::program::joining::{self, Joined, Joining, Progress};
use covey_aggregation::program::renewal::{leave, renew};
use covey_aggregation::program::{Exit, Failure, Stop};
use covey_committee::config::{CONFIG_FILE, Config as HolderConfig};
use covey_coordinator::cli::{
    Adopt, FederationDir, Invite as InviteCommand, InviteCreate, InvitedRole, MemberCommand,
    MemberName,
};
use covey_coordinator::config::Config;
use covey_coordinator::event::Event;
use covey_coordinator::office;
use covey_coordinator::storage::members::Approval;
use covey_ledger::book::{Book, Status};
use covey_ledger::entry::Kind;
use covey_ledger::folder::Folder;
use covey_ledger::quorum::Quorum;
use federation::{Federation, Operator, PATIENCE, PlanOptions, name, owner, round_of};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use zeroize::Zeroizing;

fn folder_of(federation: &Federation) -> FederationDir {
    FederationDir { path: federation.dir() }
}

/// An invite, made as the operator does.
async fn invite(federation: &Federation, role: InvitedRole, who: &str, expires_s: u64) -> Invite {
    let options = InviteCreate {
        dir: folder_of(federation),
        role,
        name: name(who),
        expires: expires_s,
        approval: Some(Approval::Auto),
        address: Some(federation.address.to_string()),
    };
    let answer = office::invite(&InviteCommand::Create(options), None).await.expect("an invite");
    Invite::from_text(answer.data["invite"].as_str().expect("its text")).expect("an invite")
}

async fn member(federation: &Federation, command: fn(MemberName) -> MemberCommand, who: &str) {
    let who = MemberName { dir: folder_of(federation), name: name(who) };
    office::member(&command(who), None).await.expect("done");
}

/// Joins as an owner or a researcher does.
async fn join(folder: &Path, invite: &Invite) -> Result<Joined, Failure> {
    let config = ("client.toml", "x = 1\n");
    let (transport, patience) = (TransportChoice::Auto, PATIENCE);
    let joining = Joining { folder, invite, sealing_key: None, config, transport, patience };
    let mut watch = |progress| {
        eprintln!("{progress}");
        // Owners join here once the committee is complete, and are told nothing else.
        let is_stale = matches!(progress, Progress::Waiting(Waiting::Committee { .. }));
        assert!(!is_stale, "{progress}");
    };
    joining::join(joining, &mut watch).await
}

async fn join_owner(federation: &Federation, who: &str) -> PathBuf {
    let folder = federation.path(who);
    let invite = invite(federation, InvitedRole::DataOwner, who, 600).await;
    let joined = join(&folder, &invite).await.expect("a member");
    assert_eq!((joined.name.as_str(), joined.role), (who, Role::DataOwner));
    assert_eq!(joined.holders.len(), 4);
    folder
}

fn serve_holder(folder: &Path) -> JoinHandle<()> {
    let config = HolderConfig::read(&folder.join(CONFIG_FILE)).expect("valid");
    tokio::spawn(async move {
        let (_stopper, stop) = Stop::manual();
        let mut tell = |event| eprintln!("a holder: {event}");
        let served = covey_committee::serve::serve(&config, stop, &mut tell).await;
        served.expect("a holder serves until it is stopped");
    })
}

/// Four holders join and serve; `approve` is their rule.
async fn found(federation: &Federation, approve: &'static str) -> Vec<JoinHandle<()>> {
    let mut joining = Vec::new();
    for index in 0..4 {
        let (who, folder) = (format!("holder-{index}"), federation.holder(index));
        let invite = invite(federation, InvitedRole::KeyHolder, &who, 600).await;
        joining.push(tokio::spawn(async move {
            let mut watch = |progress| eprintln!("{who}: {progress}");
            let how = (TransportChoice::Auto, PATIENCE);
            covey_committee::init::join(&invite, &folder, how, &mut watch).await
        }));
    }
    for joined in joining {
        let joined = joined.await.expect("no panic").expect("a holder");
        assert_eq!((joined.number, joined.holders.len()), (0, 4));
    }
    let rule = |index: usize| {
        let path = federation.holder(index).join(CONFIG_FILE);
        let text = std::fs::read_to_string(&path).expect("read");
        let text = text.replace("approve = \"auto\"", &format!("approve = \"{approve}\""));
        std::fs::write(&path, text).expect("written");
        serve_holder(&federation.holder(index))
    };
    (0..4).map(rule).collect()
}

/// An owner that takes part in rounds.
fn start_owner(federation: &Federation, index: usize, folder: &Path) -> owner::Owner {
    let (_gate, open) = watch::channel(true);
    let address = federation.address.to_string();
    owner::start(index, federation.membership(folder), address, open)
}

fn in_force(event: &Event) -> Option<(u32, Vec<String>, Vec<String>)> {
    match event {
        Event::RosterInForce { number, joined, left, .. } => {
            let names = |names: &[covey_aggregation::party::Name]| {
                names.iter().map(ToString::to_string).collect()
            };
            Some((*number, names(joined), names(left)))
        }
        _ => None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_federation_is_founded_by_invites_and_grows_while_it_trains() {
    let plan = PlanOptions { rounds: 3, ..PlanOptions::default() };
    let federation = Federation::empty(&plan);
    let mut config = federation.config(3);
    config.start.settle_s = covey_coordinator::config::Positive::of(1);
    let mut operator = Operator::start(config);
    let founding =
        |event: &Event| matches!(event, Event::Founding { holders: 0, .. }).then_some(());
    operator.wait_for(founding).await;
    let _holders = found(&federation, "auto").await;
    let founding_roster = federation.path("founding.json");
    let pinned = read_roster(&federation.holder(0).join(ROSTER_FILE)).expect("pinned");
    write_roster(&founding_roster, &pinned).expect("kept");

    let mut owners = Vec::new();
    for index in 0..3 {
        let began = Instant::now();
        let folder = join_owner(&federation, &format!("owner-{index}")).await;
        owners.push(start_owner(&federation, index, &folder));
        eprintln!("owner-{index} joined in {:?}", began.elapsed());
    }
    let first = operator.wait_for(round_of).await;
    assert_eq!((first.done, first.counted.len()), (true, 3), "{first}");

    // One more, in the middle of the run.
    let folder = federation.path("late");
    let late = invite(&federation, InvitedRole::DataOwner, "late", 600).await;
    join(&folder, &late).await.expect("a member");
    owners.push(start_owner(&federation, 3, &folder));
    let last = operator.wait_for(|event| round_of(event).filter(|round| round.round == 3)).await;
    assert!(last.done && last.faults.is_empty(), "{last}");
    let summary = operator.finished().await.expect("done");
    assert_eq!(summary.rounds_done, 3);

    // Whoever pinned the founding roster, or the newest, can check every round.
    for roster in [founding_roster, federation.dir().join(ROSTER_FILE), folder.join(ROSTER_FILE)] {
        let report =
            covey_committee::verify::verify_folder(&federation.published(), &roster, |_| {});
        let report = report.expect("readable");
        assert!(report.is_verified && report.verified == 3, "{report}");
    }
    // Joined again, the same folder says that it is a member's.
    assert_eq!(join(&folder, &late).await.expect_err("a member").exit, Exit::BadInput);
}

fn route(invite: &Invite) -> Route {
    invite.address.clone().into()
}

/// Sends an application as a newcomer with this key; the last answer.
async fn apply(
    invite: &Invite,
    key: &IdentityKey,
    application: impl FnOnce(&Desk) -> Application,
) -> Answer {
    let mut desk = Desk::dial_invited(invite, &route(invite), key).await.expect("a desk");
    let application = application(&desk);
    desk.ask(&application).await.expect("asked");
    let answer = tokio::time::timeout(PATIENCE, desk.answer()).await.expect("in time");
    answer.expect("a link").expect("an answer")
}

fn refusal(answer: Answer) -> NotEnrolled {
    match answer {
        Answer::Refused(refusal) => refusal,
        other => panic!("{other:?}"),
    }
}

fn key(seed: u8) -> IdentityKey {
    IdentityKey::from_seed(Zeroizing::new([seed; 32]))
}

fn request(key: &IdentityKey, who: &str, role: Role) -> String {
    Request::create(key, name(who), role, None).expect("a request").to_json()
}

/// What an honest newcomer sends, but for the request.
fn application(invite: &Invite, desk: &Desk, request: &str) -> Application {
    let secret = invite.secret.clone();
    let binding = secret.binding(request, desk.exporter());
    Application::Join { invite: invite.id, secret, request: request.to_owned(), binding }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_joins_by_what_is_no_invite_of_theirs() {
    let federation = Federation::empty(&PlanOptions::default());
    let mut operator = Operator::start(federation.config(3));
    operator.wait_for(|event| matches!(event, Event::Founding { .. }).then_some(())).await;
    let good = invite(&federation, InvitedRole::DataOwner, "ada", 600).await;
    let ada = request(&key(1), "ada", Role::DataOwner);

    // An invite that was never made, and one with another secret.
    let mut other = good.clone();
    other.id.0[0] ^= 1;
    let no = apply(&good, &key(1), |desk| application(&other, desk, &ada)).await;
    assert_eq!(refusal(no), NotEnrolled::NoInvite);
    let expired = invite(&federation, InvitedRole::DataOwner, "bob", 1).await;
    let mut mixed = good.clone();
    mixed.secret = expired.secret.clone();
    let no = apply(&good, &key(1), |desk| application(&mixed, desk, &ada)).await;
    assert_eq!(refusal(no), NotEnrolled::NoInvite);

    // A request for another role, under another name, for another key.
    for (who, role) in [("ada", Role::Researcher), ("bob", Role::DataOwner)] {
        let escalated = request(&key(1), who, role);
        let no = apply(&good, &key(1), |desk| application(&good, desk, &escalated)).await;
        assert_eq!(refusal(no), NotEnrolled::OtherMember { name: name("ada") }, "{who} {role}");
    }
    let no = apply(&good, &key(2), |desk| application(&good, desk, &ada)).await;
    assert_eq!(refusal(no), NotEnrolled::OtherKey);

    // A request that was put in another's place, and an application heard on another connection.
    let swapped = request(&key(2), "ada", Role::DataOwner);
    let no = apply(&good, &key(2), |desk| {
        let honest = application(&good, desk, &ada);
        let Application::Join { invite, secret, binding, .. } = honest else { unreachable!() };
        Application::Join { invite, secret, request: swapped.clone(), binding }
    })
    .await;
    assert_eq!(refusal(no), NotEnrolled::NotBound);
    let elsewhere = Desk::dial_invited(&good, &route(&good), &key(1)).await.expect("a desk");
    let heard = application(&good, &elsewhere, &ada);
    let no = apply(&good, &key(1), |_| heard).await;
    assert_eq!(refusal(no), NotEnrolled::NotBound);

    // What only members may ask.
    let no = apply(&good, &key(1), |_| Application::Renew).await;
    assert_eq!(refusal(no), NotEnrolled::NotMember);

    // Too late, and taken back.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let bob = request(&key(3), "bob", Role::DataOwner);
    let no = apply(&expired, &key(3), |desk| application(&expired, desk, &bob)).await;
    assert_eq!(refusal(no), NotEnrolled::Expired);
    let back = invite(&federation, InvitedRole::Researcher, "eve", 600).await;
    let revoke = InviteCommand::Revoke { dir: folder_of(&federation), id: back.id };
    office::invite(&revoke, None).await.expect("taken back");
    let eve = request(&key(4), "eve", Role::Researcher);
    let no = apply(&back, &key(4), |desk| application(&back, desk, &eve)).await;
    assert_eq!(refusal(no), NotEnrolled::Revoked);

    // None of that has used the invite up.
    let yes = apply(&good, &key(1), |desk| application(&good, desk, &ada)).await;
    assert!(matches!(yes, Answer::Certificate { .. }), "{yes:?}");
    // With the same key it goes on, with another it is used.
    let again = apply(&good, &key(1), |desk| application(&good, desk, &ada)).await;
    assert!(matches!(again, Answer::Certificate { .. }), "{again:?}");
    let thief = request(&key(9), "ada", Role::DataOwner);
    let no = apply(&good, &key(9), |desk| application(&good, desk, &thief)).await;
    assert_eq!(refusal(no), NotEnrolled::Used);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_coordinator_that_is_not_the_invites_learns_nothing() {
    let federation = Federation::empty(&PlanOptions::default());
    let impostor = Federation::empty(&PlanOptions::default());
    let mut operator = Operator::start(impostor.config(3));
    operator.wait_for(|event| matches!(event, Event::Founding { .. }).then_some(())).await;
    // Of the same name, at the address of the invite: whoever stands in between is no better off.
    let mut invite = invite(&federation, InvitedRole::DataOwner, "ada", 600).await;
    invite.address = impostor.address.to_string();
    let error = Desk::dial_invited(&invite, &route(&invite), &key(1)).await.err().expect("refused");
    let wrong = matches!(error, LinkError::Stranger(Stranger::WrongAuthority { .. }));
    assert!(wrong, "{error}");
    let folder = federation.path("ada");
    let failure = join(&folder, &invite).await.expect_err("refused");
    assert_eq!((failure.exit, failure.code), (Exit::NoAccess, "NO_LINK"));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_twenty_who_race_for_one_invite_exactly_one_gets_in() {
    let federation = Federation::empty(&PlanOptions::default());
    let mut operator = Operator::start(federation.config(3));
    operator.wait_for(|event| matches!(event, Event::Founding { .. }).then_some(())).await;
    let invite = invite(&federation, InvitedRole::DataOwner, "ada", 600).await;
    let racing: Vec<_> = (1..=20)
        .map(|seed| {
            let invite = invite.clone();
            tokio::spawn(async move {
                let ada = request(&key(seed), "ada", Role::DataOwner);
                apply(&invite, &key(seed), |desk| application(&invite, desk, &ada)).await
            })
        })
        .collect();
    let (mut inside, mut outside) = (0, 0);
    for answer in racing {
        match answer.await.expect("no panic") {
            Answer::Certificate { .. } => inside += 1,
            Answer::Refused(NotEnrolled::Used) => outside += 1,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((inside, outside), (1, 19));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_suspended_or_leaves_is_cut_off_and_another_roster_follows() {
    let federation = Federation::empty(&PlanOptions { rounds: 1, ..PlanOptions::default() });
    // No round: it needs more owners than there are.
    let mut operator = Operator::start(federation.config(9));
    operator.wait_for(|event| matches!(event, Event::Founding { .. }).then_some(())).await;
    let _holders = found(&federation, "auto").await;
    let (ada, bob) = (join_owner(&federation, "ada").await, join_owner(&federation, "bob").await);
    let _ada = start_owner(&federation, 0, &ada);
    let joined = |who: &'static str| {
        move |event: &Event| {
            matches!(event, Event::Joined { name, .. } if name.as_str() == who).then_some(())
        }
    };
    operator.wait_for(joined("ada")).await;

    let asked = Instant::now();
    member(&federation, MemberCommand::Suspend, "ada").await;
    let suspended = Instant::now();
    let left = |event: &Event| match event {
        Event::Left { name, why, .. } if name.as_str() == "ada" => Some(why.clone()),
        _ => None,
    };
    let why = operator.wait_for(left).await;
    assert!(why.contains("suspended"), "{why}");
    let (since_asked, since_done) = (asked.elapsed(), suspended.elapsed());
    eprintln!(
        "suspended: cut off {since_asked:.2?} after the command began, {since_done:.2?} after it ended"
    );
    // A second is promised; a busy machine may take longer.
    assert!(since_asked < Duration::from_secs(10), "{since_asked:?}");
    let (_, joined_now, left_now) = operator.wait_for(in_force).await;
    assert_eq!((joined_now.len(), left_now), (0, vec!["ada".to_owned()]));

    // Shut out while suspended, in again when approved: with the same key and certificate.
    let dial = |folder: &Path| {
        let membership = federation.membership(folder);
        let address = federation.address.to_string();
        async move {
            let mut dialer = covey_aggregation::net::Dialer::new(membership, address)?;
            dialer.connect_once().await.map(drop)
        }
    };
    let shut = dial(&ada).await.expect_err("shut out");
    let reason = covey_aggregation::net::CloseReason::ShutOut;
    assert!(matches!(shut, LinkError::Closed(closed) if closed == reason), "{shut}");
    member(&federation, MemberCommand::Approve, "ada").await;
    let (number, joined_now, _) = operator.wait_for(in_force).await;
    assert_eq!(joined_now, ["ada"]);
    assert!(matches!(dial(&ada).await, Err(LinkError::Renewed { number: to }) if to == number));
    dial(&ada).await.expect("in again");

    // A certificate is renewed for the same key.
    let membership = Arc::new(Membership::load(&ada).expect("a member"));
    let (_, before) = membership.validity();
    tokio::time::sleep(Duration::from_millis(1100)).await;
    renew(&membership, &federation.address.to_string().into(), None).await.expect("renewed");
    assert!(membership.validity().1 > before);
    assert_eq!(Membership::load(&ada).expect("a member").validity(), membership.validity());

    // Bob goes of his own accord.
    assert!(matches!(dial(&bob).await, Err(LinkError::Renewed { .. })));
    let membership = Arc::new(Membership::load(&bob).expect("a member"));
    leave(&membership, &federation.address.to_string().into()).await.expect("left");
    let (_, _, left_now) = operator.wait_for(in_force).await;
    assert_eq!(left_now, ["bob"]);
    assert!(matches!(dial(&bob).await, Err(LinkError::Closed(closed)) if closed == reason));

    // Ada's key is no longer good.
    member(&federation, MemberCommand::Revoke, "ada").await;
    let (_, _, left_now) = operator.wait_for(in_force).await;
    assert_eq!(left_now, ["ada"]);

    // All of it is in the ledger, cosigned, in its order.
    let of = |folder: &Path| federation.membership(folder).member().id;
    let is_told = |book: &Book| {
        let status = |id| book.member(&id).map(|member| member.status);
        (status(of(&ada)), status(of(&bob))) == (Some(Status::Revoked), Some(Status::Left))
    };
    let book = in_the_ledger(&federation, is_told).await;
    let history = |folder: &Path| -> Vec<Kind> {
        let member = book.member(&of(folder)).expect("a member once");
        member.history.iter().map(|entry| book.entries()[*entry as usize].kind).collect()
    };
    use Kind::{MemberJoined, MemberLeft};
    assert_eq!(history(&ada), [MemberJoined, MemberLeft, MemberJoined, MemberLeft]);
    assert_eq!(history(&bob), [MemberJoined, MemberLeft]);
}

/// The published ledger, checked with the roster alone, once it says so.
async fn in_the_ledger(federation: &Federation, says: impl Fn(&Book) -> bool) -> Book {
    let read = || {
        let quorum = Quorum::of_roster(&federation.roster()).expect("a committee");
        // While it is being published it may not be whole.
        let ledger = Folder::new(&federation.published().join("ledger")).open(&quorum).ok()?;
        Some(ledger.book).filter(&says)
    };
    let wait = async {
        loop {
            match read() {
                Some(book) => return book,
                None => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.expect("in the ledger")
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_quorum_of_holders_nobody_becomes_a_member() {
    let federation = Federation::empty(&PlanOptions::default());
    let mut operator = Operator::start(federation.config(9));
    operator.wait_for(|event| matches!(event, Event::Founding { .. }).then_some(())).await;
    let _holders = found(&federation, "by-hand").await;
    let ada = invite(&federation, InvitedRole::DataOwner, "ada", 600).await;
    let folder = federation.path("ada");
    let joining = tokio::spawn(async move { join(&folder, &ada).await });
    let proposed = |event: &Event| match event {
        Event::RosterProposed { number, joined, .. } => Some((*number, joined.clone())),
        _ => None,
    };
    assert_eq!(operator.wait_for(proposed).await, (1, vec![name("ada")]));
    let config = |index: usize| {
        HolderConfig::read(&federation.holder(index).join(CONFIG_FILE)).expect("valid")
    };
    for index in 0..2 {
        let asked = async {
            loop {
                let waiting = covey_committee::approvals::waiting(&config(index)).expect("read");
                if let [asked] = &waiting.rosters[..] {
                    return asked.digest.clone();
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let digest = tokio::time::timeout(PATIENCE, asked).await.expect("in time");
        covey_committee::approvals::say(&config(index), &digest[..8], true).expect("said");
    }
    // Two of the three that are needed; asked again once a second.
    tokio::time::sleep(Duration::from_millis(2500)).await;
    assert!(!joining.is_finished());
    assert_eq!(federation.roster().number, 0);

    // A coordinator that was killed meanwhile asks for the very same roster again.
    operator.kill().await;
    let mut operator = Operator::start(federation.config(9));
    let digest =
        covey_committee::approvals::waiting(&config(2)).expect("read").rosters[0].digest.clone();
    covey_committee::approvals::say(&config(2), &digest, true).expect("said");
    let (number, joined, _) = operator.wait_for(in_force).await;
    assert_eq!((number, joined), (1, vec!["ada".to_owned()]));
    let joined = tokio::time::timeout(PATIENCE, joining).await.expect("in time");
    let joined = joined.expect("no panic").expect("a member");
    assert_eq!((joined.number, joined.roster.as_str()), (1, digest.as_str()));
}

/// A coordinator from an older backup has an older list of members than the others, and lets nobody
/// in. It says so; with a key holder's list it goes on, and whoever was shut out since stays out.
#[tokio::test(flavor = "multi_thread")]
async fn a_coordinator_from_an_older_backup_takes_over_the_others_list() {
    let plan = PlanOptions { rounds: 3, ..PlanOptions::default() };
    let federation = Federation::empty(&plan);
    let mut config = federation.config(3);
    config.start.settle_s = covey_coordinator::config::Positive::of(1);
    config.plan = None;
    let mut operator = Operator::start(config.clone());
    let founding =
        |event: &Event| matches!(event, Event::Founding { holders: 0, .. }).then_some(());
    operator.wait_for(founding).await;
    let holders = found(&federation, "auto").await;
    for who in ["owner-0", "owner-1", "owner-2"] {
        join_owner(&federation, who).await;
    }
    let (to, key) = (federation.path("backup"), federation.path("backup.key"));
    covey_coordinator::backup::backup(&config, &to, &key).await.expect("backed up");
    let backed_up = read_roster(&federation.dir().join(ROSTER_FILE)).expect("read").number;

    // Since then one was revoked, and another came.
    member(&federation, MemberCommand::Revoke, "owner-2").await;
    operator.wait_for(|event| in_force(event).filter(|(_, _, left)| left == &["owner-2"])).await;
    join_owner(&federation, "owner-3").await;
    let newest = federation.holder(0).join(ROSTER_FILE);
    let number = read_roster(&federation.dir().join(ROSTER_FILE)).expect("read").number;
    assert!(number > backed_up);
    // By all of them: a list that was taken over by a command has no signatures that would convince
    // a holder of an older one.
    let numbers = || {
        let file = |index| federation.holder(index).join(ROSTER_FILE);
        (0..4).map(move |index| read_roster(&file(index)).expect("read").number)
    };
    let taken_over = async {
        while numbers().any(|one| one < number) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, taken_over).await.expect("in time");
    operator.kill().await;
    std::fs::remove_dir_all(federation.dir()).expect("ruined");
    let dir = federation.dir();
    let options = covey_coordinator::restore::Restore {
        from: &to,
        key: &key,
        dir: Some(&dir),
        state_dir: None,
        databases: None,
        verify: false,
    };
    covey_coordinator::restore::restore(options).await.expect("restored");

    let mut operator = Operator::start(config.clone());
    let behind = |event: &Event| match event {
        Event::TurnedAway { why, .. } => why.contains("member adopt").then_some(()),
        _ => None,
    };
    operator.wait_for(behind).await;
    let adopt = || {
        let dir = folder_of(&federation);
        MemberCommand::Adopt(Adopt { dir, roster: newest.clone() })
    };
    let serving = office::member(&adopt(), None).await.err().expect("it serves");
    assert_eq!(serving.code, "ALREADY_RUNNING");
    operator.kill().await;
    let adopted = office::member(&adopt(), None).await.expect("taken over");
    assert_eq!(adopted.data["number"].as_u64(), Some(number.into()));
    assert_eq!(adopted.data["suspended"].as_array().map(Vec::len), Some(1), "{}", adopted.text);
    assert_eq!(office::member(&adopt(), None).await.err().expect("there").code, "NOT_ADOPTED");

    // Whoever was turned away has ended, and is started again. A run with the members of that list,
    // to its end.
    for holder in holders {
        holder.abort();
        // Until it is gone its state folder is taken.
        let _ = holder.await;
    }
    let holders: Vec<_> = (0..4).map(|index| serve_holder(&federation.holder(index))).collect();
    let plan = Some(federation.dir().join("plan.toml"));
    let mut operator = Operator::start(Config { plan, ..config });
    let mut owners = Vec::new();
    for (index, who) in ["owner-0", "owner-1", "owner-3"].into_iter().enumerate() {
        // Those who stayed away take the newest list over first, as any member does.
        let path = federation.path(who).join(ROSTER_FILE);
        write_roster(&path, &read_roster(&newest).expect("read")).expect("written");
        owners.push(start_owner(&federation, index, &federation.path(who)));
    }
    let summary = operator.finished().await.expect("done");
    assert_eq!(summary.rounds_done, 3);
    drop((holders, owners));
}
