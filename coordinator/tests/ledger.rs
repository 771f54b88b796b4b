//! The ledger of a whole run, over real connections: what it says, who has cosigned it, and what members
//! state in it afterwards.

mod federation;

use std::fs;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use covey_aggregation::net::{Route, write_roster};
use covey_aggregation::party::{PartyId, Role};
use covey_aggregation::program::desk;
use covey_aggregation::program::{Exit, Failure};
use covey_aggregation::research::StatementBytes;
use covey_coordinator::cli::LedgerExport;
use covey_coordinator::event::Event;
use covey_coordinator::ledger::export;
use covey_ledger::book::State;
use covey_ledger::desk::ledger::{At, LedgerCommand, OneRound, OneRun, WholeLedger};
use covey_ledger::desk::source::Pinned;
use covey_ledger::desk::{Answer, Desk};
use covey_ledger::entry::{Kind, Verdict};
use covey_ledger::folder::{Folder, Ledger};
use covey_ledger::quorum::Quorum;
use covey_ledger::statement::{Choice, Dispute, Remedy, Says, Signed, Statement, Vote};
use federation::{Federation, Members, Operator, PlanOptions, free_port, round_of};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const OWNERS: usize = 5;

const ROUNDS: u32 = 3;

fn options() -> PlanOptions {
    PlanOptions {
        rounds: ROUNDS,
        minimum: 5,
        is_audited: true,
        pool_rows: 100,
        more: "[credit]\nbudget = 10\nfold = 30\nsteps = 3\n",
        ..PlanOptions::default()
    }
}

/// The published ledger, all of it checked with the roster alone.
fn ledger(federation: &Federation) -> Ledger {
    let quorum = Quorum::of_roster(&federation.roster()).expect("a committee");
    Folder::new(&federation.published().join("ledger")).open(&quorum).expect("it holds")
}

async fn wait_for_cosigned(operator: &mut Operator, entries: u64) {
    let is_there = |event: &Event| matches!(event, Event::Ledger { size } if *size >= entries);
    operator.wait_for(|event| is_there(event).then_some(())).await;
}

/// Signs a statement as a member, and has it recorded by the member's own program.
async fn state(federation: &Federation, folder: &Path, says: Says) -> Result<u64, Failure> {
    let signed = sign(federation, folder, says);
    send(federation, folder, &signed).await
}

fn sign(federation: &Federation, folder: &Path, says: Says) -> Signed {
    let membership = federation.membership(folder);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    let statement = Statement {
        federation: membership.roster().authority,
        member: membership.member().id,
        number: u64::try_from(now.as_millis()).expect("64 bits"),
        says,
    };
    statement.sign(membership.identity())
}

async fn send(federation: &Federation, folder: &Path, signed: &Signed) -> Result<u64, Failure> {
    let bytes = serde_json::to_vec(signed).expect("JSON");
    let statement = StatementBytes::new(bytes).expect("short");
    let route = Route::from(federation.address.to_string());
    desk::state(folder, &route, statement).await
}

/// What a page answers: its status line, and everything.
async fn get(address: std::net::SocketAddr, path: &str) -> (String, String) {
    let mut stream = TcpStream::connect(address).await.expect("the page is served");
    let request = format!("GET {path} HTTP/1.1\r\nHost: page\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.expect("answered");
    let answer = String::from_utf8_lossy(&answer).into_owned();
    (answer.lines().next().unwrap_or_default().to_owned(), answer)
}

/// Runs the plan; the members stay, and dial on.
async fn run_to_its_end(federation: &Federation) -> Members {
    let mut operator = Operator::start(federation.config(OWNERS));
    let members = Members::start(federation, OWNERS);
    for _ in 0..ROUNDS {
        let done = operator.wait_for(|event| round_of(event).map(|summary| summary.done)).await;
        assert!(done);
    }
    operator.finished().await.expect("done");
    members
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_in_the_ledger_and_what_members_state_of_it_is_decided() {
    let federation = Federation::new(OWNERS, &options());
    let members = run_to_its_end(&federation).await;
    let before = ledger(&federation);
    for (kind, count) in [
        (Kind::Founding, 1),
        (Kind::PlanAccepted, 1),
        (Kind::RoundClosed, ROUNDS as usize),
        (Kind::EvidenceGiven, ROUNDS as usize),
        (Kind::FoldOpened, ROUNDS as usize),
        (Kind::RunEnded, 1),
        (Kind::CreditsSettled, 1),
    ] {
        assert_eq!(before.book.count(kind), count, "{kind}");
    }
    assert!(before.cosigned.witnesses.len() >= 3, "{:?}", before.cosigned.witnesses);
    let run = &before.book.runs()[0];
    let owners: Vec<PartyId> =
        federation.roster().with_role(Role::DataOwner).map(|owner| owner.id).collect();
    for round in run.rounds.values() {
        assert_eq!(round.owners.len(), OWNERS);
    }
    assert!(owners.iter().all(|owner| before.book.explain(&run.plan.run, owner).is_some()));

    // The same state folder goes on, and nothing is entered twice.
    let mut config = federation.open_config(OWNERS);
    let page = free_port();
    config.page = Some(page);
    let mut operator = Operator::start(config);
    let (run, owner) = (run.plan.run, owners[0]);
    let dispute = Says::Dispute(Dispute {
        run,
        owner,
        remedy: Remedy::Pay(1_000_000),
        why: "The third round counted half of it.".to_owned(),
        evidence: Vec::new(),
    });
    let owner_folder = federation.owner(0);
    let signed = sign(&federation, &owner_folder, dispute.clone());
    let index = send(&federation, &owner_folder, &signed).await.expect("recorded");
    assert_eq!(index, before.book.size());
    // Said again it is the same entry; said by another member it is refused.
    assert_eq!(send(&federation, &owner_folder, &signed).await.expect("known"), index);
    let theirs = send(&federation, &federation.owner(1), &signed).await.expect_err("not theirs");
    assert_eq!((theirs.code, theirs.exit), ("NOT_RECORDED", Exit::BadInput));
    let vote = |choice| Says::Vote(Vote { on: signed.id(), choice });
    // Owners do not review here, and nobody votes twice.
    let no = state(&federation, &owner_folder, vote(Choice::Yes)).await.expect_err("no reviewer");
    assert_eq!(no.code, "NOT_RECORDED");
    for seat in 0..3 {
        let folder = federation.holder(seat);
        state(&federation, &folder, vote(Choice::Yes)).await.expect("voted");
    }
    // One dispute, three votes, one resolution.
    wait_for_cosigned(&mut operator, before.book.size() + 5).await;
    let after = ledger(&federation);
    let decided = after.book.dispute(&signed.id()).expect("there");
    assert!(matches!(decided.state, State::Decided(Verdict::Upheld, _)), "{:?}", decided.state);
    let credits = after.book.run(&run).and_then(|run| run.credits.as_ref()).expect("settled");
    assert_eq!(credits.payment_micro(&owner), 1_000_000);

    for path in ["/", "/runs", "/ledger", "/disputes", "/checkpoint", "/credits.json"] {
        let (status, answer) = get(page, path).await;
        assert_eq!(status, "HTTP/1.1 200 OK", "{path}: {answer}");
    }
    let (status, _) = get(page, "/nowhere").await;
    assert_eq!(status, "HTTP/1.1 404 Not Found");
    let (_, shown) = get(page, &format!("/disputes/{}", signed.id())).await;
    assert!(shown.contains("The third round counted half of it."), "{shown}");
    drop((operator, members));
}

/// A command of everybody's, by the roster alone: what it answers, and that nothing is doubted.
fn check(folder: &Path, roster: &Path, command: impl FnOnce(At) -> LedgerCommand) -> Answer {
    let pinned = Pinned { roster: Some(roster.to_owned()), ..Pinned::default() };
    let at = At { dir: folder.to_owned(), pinned, published: Vec::new() };
    let answer = covey_ledger::desk::ledger::answer(&command(at), &Desk::new(&[]));
    let answer = answer.expect("an answer");
    assert_eq!(answer.exit, Exit::Done, "{}", answer.text);
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bundle_is_checked_by_everybody_and_its_rounds_are_added_again() {
    let federation = Federation::new(OWNERS, &options());
    run_to_its_end(&federation).await;
    let folder = tempfile::tempdir().expect("a folder");
    let (bundle, roster) = (folder.path().join("bundle"), folder.path().join("roster.json"));
    write_roster(&roster, &federation.roster()).expect("written");
    let wanted =
        LedgerExport { config: Default::default(), to: bundle.clone(), publications: true };
    let config = federation.config(OWNERS);
    let exported = export::export(&wanted, &config).expect("exported");
    assert_eq!(exported.data["documents_missing"], 0, "{}", exported.text);
    let again = export::export(&wanted, &config).expect("exported");
    assert_eq!(again.data["files"], 0, "{}", again.text);
    for place in [&bundle, &federation.published()] {
        let whole = check(place, &roster, |at| {
            LedgerCommand::Verify(WholeLedger { at, checkpoint: Vec::new(), statements: true })
        });
        assert!(!whole.text.contains("not at hand"), "{}", whole.text);
        let credits = check(place, &roster, |at| {
            LedgerCommand::Credits(OneRun { at, run: "small".to_owned(), owner: None })
        });
        assert_eq!(credits.data["owners"].as_array().map(Vec::len), Some(OWNERS));
    }
    for round in 1..=ROUNDS {
        let shown = check(&federation.published(), &roster, |at| {
            LedgerCommand::Round(OneRound { at, run: "small".to_owned(), round })
        });
        assert_eq!(shown.data["added_again"], OWNERS, "{}", shown.text);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_coordinator_that_is_killed_at_any_entry_goes_on_with_the_same_ledger() {
    let federation = Federation::new(OWNERS, &options());
    let members = Members::start(&federation, OWNERS);
    let mut heads: Vec<(u64, Vec<u8>)> = Vec::new();
    for _ in 0..4 {
        let mut operator = Operator::start(federation.config(OWNERS));
        let last = heads.last().map_or(0, |(size, _)| *size);
        wait_for_cosigned(&mut operator, last + 1).await;
        operator.kill().await;
        let read = ledger(&federation);
        let bytes = fs::read(federation.published().join("ledger/checkpoint")).expect("there");
        heads.push((read.book.size(), bytes));
    }
    let mut operator = Operator::start(federation.config(OWNERS));
    operator.finished().await.expect("done");
    drop(members);
    let last = ledger(&federation);
    let quorum = Quorum::of_roster(&federation.roster()).expect("a committee");
    for (size, checkpoint) in heads {
        let head = quorum.check(&checkpoint).expect("final").checkpoint.head;
        assert_eq!(head.size, size);
        let tree = covey_ledger::tree::Frontier::default();
        let tree = last.entries.iter().take(size as usize).fold(tree, |mut tree, entry| {
            tree.push(covey_ledger::tree::leaf_hash(entry));
            tree
        });
        assert_eq!(tree.root(), head.root, "the ledger of {size} entries is the beginning");
    }
    assert_eq!(last.book.count(Kind::CreditsSettled), 1);
    assert_eq!(last.book.count(Kind::RoundClosed), ROUNDS as usize);
}
