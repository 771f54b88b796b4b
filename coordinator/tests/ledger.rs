//! The ledger of a whole run, over real connections: what it says, who has cosigned it, and what members
//! state in it afterwards.

mod federation;

use std::fs;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use covey_aggregation::net::{Route, write_roster};
use covey_aggregation::party::{PartyId, Role};
use covey_aggregation::program::desk;
use covey_aggregation::program::{Exit, Failure, Stop};
use covey_aggregation::research::StatementBytes;
use covey_committee::config::{CONFIG_FILE as HOLDER_CONFIG, Config as HolderConfig};
use covey_committee::serve::Event as HolderEvent;
use covey_coordinator::cli::{LedgerExport, Payout, PayoutList, PayoutRecord};
use covey_coordinator::config::Config;
use covey_coordinator::event::Event;
use covey_coordinator::ledger::export;
use covey_coordinator::payout::payout;
use covey_ledger::book::State;
use covey_ledger::desk::ledger::{At, LedgerCommand, OneRound, OneRun, WholeLedger};
use covey_ledger::desk::source::Pinned;
use covey_ledger::desk::{Answer, Desk};
use covey_ledger::entry::{Kind, Verdict};
use covey_ledger::folder::{Folder, Ledger};
use covey_ledger::quorum::Quorum;
use covey_ledger::statement::{Choice, Dispute, Remedy, Says, SetAddress, Signed, Statement, Vote};
use federation::{Federation, Members, Operator, PATIENCE, PlanOptions, free_port, round_of};
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

/// Settings of a federation whose credits can be disputed for so many seconds.
fn config_with_window(federation: &Federation, seconds: u32) -> Config {
    federation.config(OWNERS);
    let path = federation.dir().join("coordinator.toml");
    let text = fs::read_to_string(&path).expect("written");
    let window = format!("[ledger]\ndispute_window_hours = {}\n", f64::from(seconds) / 3600.0);
    fs::write(&path, text + &window).expect("written");
    Config::load(&path).expect("valid")
}

/// A federation whose first owner was awarded a credit by the reviewers, and its coordinator, which serves;
/// none where the machine is too slow to dispute anything in so many seconds.
async fn awarded(seconds: u32) -> Option<(Federation, Members, Operator)> {
    let federation = Federation::new(OWNERS, &options());
    let mut operator = Operator::start(config_with_window(&federation, seconds));
    let members = Members::start(&federation, OWNERS);
    operator.finished().await.expect("done");
    let config = Config { plan: None, ..config_with_window(&federation, seconds) };
    let operator = Operator::start(config);
    let book = ledger(&federation).book;
    let owner = federation.membership(&federation.owner(0)).member().id;
    let dispute = Says::Dispute(Dispute {
        run: book.runs()[0].plan.run,
        owner,
        remedy: Remedy::Pay(1_500_000),
        why: "It was a good one.".to_owned(),
        evidence: Vec::new(),
    });
    let signed = sign(&federation, &federation.owner(0), dispute);
    send(&federation, &federation.owner(0), &signed).await.ok()?;
    for seat in 0..3 {
        let vote = Says::Vote(Vote { on: signed.id(), choice: Choice::Yes });
        state(&federation, &federation.holder(seat), vote).await.expect("voted");
    }
    Some((federation, members, operator))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payout_is_recorded_once_at_the_operators_word_also_when_nobody_serves() {
    let mut found = None;
    for seconds in [8, 30, 100] {
        found = awarded(seconds).await;
        if found.is_some() {
            break;
        }
    }
    let (federation, members, operator) = found.expect("a machine that is fast enough");
    let serve = || Operator::start(federation.open_config(OWNERS));
    let config = federation.open_config(OWNERS);
    let record = |dry_run, wait_s| {
        let config = Default::default();
        Payout::Record(PayoutRecord { config, run: Vec::new(), hold_back: false, dry_run, wait_s })
    };
    // The window is open, or nobody has said yet where to be paid.
    let nobody = payout(&record(false, 0), &config).await.err().expect("no address");
    assert_eq!((nobody.code, nobody.exit), ("NO_PAYOUT", Exit::BadInput));
    let address = format!("0x{}", "17".repeat(20));
    let says = Says::Address(SetAddress { address: address.parse().ok() });
    state(&federation, &federation.owner(0), says).await.expect("recorded");
    let paid = async {
        loop {
            let preview = payout(&record(true, 0), &config).await.expect("a preview");
            match preview.data["owners"].as_array().expect("owners").len() {
                0 => tokio::time::sleep(std::time::Duration::from_millis(100)).await,
                paid => return paid,
            }
        }
    };
    let paid = tokio::time::timeout(PATIENCE, paid).await.expect("after the window");
    assert_eq!(paid, 1);
    operator.kill().await;

    let later = payout(&record(false, 0), &config).await.err().expect("nobody serves");
    assert_eq!((later.code, later.exit), ("NOT_YET", Exit::TimedOut));
    let mut operator = serve();
    let told = |event: &Event| match event {
        Event::Payout { number, entry } => Some((*number, entry.clone())),
        _ => None,
    };
    let (number, entry) = operator.wait_for(told).await;
    assert_eq!(number, 1);
    let entry = entry.expect("recorded");
    wait_for_cosigned(&mut operator, entry + 1).await;
    // What it was asked for is done, and there is nothing new.
    let again = payout(&record(false, 0), &config).await.err().expect("nothing new");
    assert_eq!(again.code, "NO_PAYOUT");
    let list = PayoutList { config: Default::default() };
    let list = payout(&Payout::List(list), &config).await.expect("listed");
    let [one] = list.data["payouts"].as_array().expect("a list").as_slice() else {
        panic!("{}", list.text)
    };
    assert_eq!((&one["number"], &one["entry"]), (&1.into(), &entry.into()));
    assert_eq!(one["payees"], paid);
    let file = one["file"].as_str().and_then(|file| file.strip_prefix("published/"));
    let file = fs::read(federation.published().join(file.expect("a file"))).expect("there");
    let ledger = ledger(&federation);
    let verified = covey_ledger::payout::verify(&file, &ledger.book).expect("it follows");
    assert_eq!((verified.payout.number, verified.entry), (1, entry));
    assert_eq!(ledger.book.count(Kind::PayoutMade), 1);
    drop((operator, members));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_holder_whose_state_was_lost_learns_it_from_its_own_signature_and_stops() {
    let federation = Federation::new(OWNERS, &options());
    let mut members = run_to_its_end(&federation).await;
    let lost = members.holders.remove(0);
    lost.abort();
    assert!(lost.await.is_err_and(|error| error.is_cancelled()));
    let config = HolderConfig::read(&federation.holder(0).join(HOLDER_CONFIG)).expect("valid");
    fs::remove_dir_all(&config.state).expect("lost");
    let operator = Operator::start(federation.open_config(OWNERS));
    let serve = async |config: &HolderConfig, watch: &mut (dyn FnMut(HolderEvent) + Send)| {
        let (_stopper, stop) = Stop::manual();
        tokio::time::timeout(PATIENCE, covey_committee::serve::serve(config, stop, watch)).await
    };
    let served = serve(&config, &mut |_| {}).await.expect("in time");
    let failure = served.expect_err("it could sign another set of a round");
    assert_eq!((failure.code, failure.exit), ("BEHIND", Exit::Failed), "{failure}");
    let again = serve(&config, &mut |_| {}).await.expect("in time");
    assert_eq!(again.expect_err("nothing has changed").code, "BEHIND");

    // A person knows that no round was under way.
    let mut config = config;
    config.accept_loss = true;
    let (cosigned, mut sizes) = tokio::sync::mpsc::unbounded_channel();
    let serving = tokio::spawn(async move {
        let mut watch = |event| {
            if let HolderEvent::Cosigned { size } = event {
                // The test may be satisfied already.
                let _ = cosigned.send(size);
            }
        };
        let (_stopper, stop) = Stop::manual();
        covey_committee::serve::serve(&config, stop, &mut watch).await
    });
    let size = tokio::time::timeout(PATIENCE, sizes.recv()).await.expect("in time");
    assert_eq!(size, Some(ledger(&federation).book.size()), "it goes on from what it had signed");
    serving.abort();
    drop((operator, members));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_whose_cosignatures_were_lost_before_it_was_published_is_cosigned_again() {
    let federation = Federation::new(OWNERS, &options());
    let members = run_to_its_end(&federation).await;
    let size = ledger(&federation).book.size();
    // As if the coordinator had been killed once the key holders had answered.
    fs::remove_file(federation.published().join("ledger/checkpoint")).expect("published");
    let mut operator = Operator::start(federation.open_config(OWNERS));
    wait_for_cosigned(&mut operator, size).await;
    assert_eq!(ledger(&federation).book.size(), size);
    drop((operator, members));
}
