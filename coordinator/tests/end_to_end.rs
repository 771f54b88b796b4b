//! Whole runs over real QUIC, and TCP, real disks and the real machines of all three programs, with the
//! faults that a federation must bear. Every opened sum is compared with the plain one.

mod federation;

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use covey_aggregation::message::Phase;
use covey_aggregation::net::{Route, TcpDoor, TransportChoice};
use covey_aggregation::party::Role;
use covey_aggregation::program::{Exit, Signal};
use covey_coordinator::event::Event;
use covey_coordinator::learning::from_bytes;
use federation::owner::{self, units, weight};
use federation::{Federation, Members, Operator, PlanOptions, RESEND_MS, round_of};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// The opened sum of a round is the plain sum of these owners' updates, and everything that was
/// published holds.
fn assert_exact(federation: &Federation, round: u32, owners: &[usize]) {
    let published = federation.publication(round);
    let aggregate = &published.result.aggregate;
    let dimension = published.result.config.dimension;
    let mut sums = vec![0; dimension as usize];
    for &owner in owners {
        for (sum, unit) in sums.iter_mut().zip(units(owner, round, dimension)) {
            *sum += unit;
        }
    }
    assert_eq!(aggregate.sums, sums, "round {round}");
    assert_eq!(aggregate.count as usize, owners.len());
    let weights: u32 = owners.iter().map(|&owner| weight(owner)).sum();
    assert_eq!(aggregate.weight, u64::from(weights));
    assert!(federation.is_verified(), "the outside check of round {round}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_done_with_the_exact_sum_in_every_round() {
    let federation = Federation::new(6, &PlanOptions { rounds: 2, ..PlanOptions::default() });
    let mut operator = Operator::start(federation.config(6));
    let members = Members::start(&federation, 6);
    for round in 1..=2 {
        let summary = operator.wait_for(round_of).await;
        assert_eq!((summary.round, summary.done), (round, true), "{summary}");
        assert_eq!(summary.counted.len(), 6);
        assert!(summary.missing.is_empty() && summary.faults.is_empty(), "{summary}");
        assert!(summary.accuracy.is_some());
        assert_eq!(summary.phases_ms.len(), 4, "{:?}", summary.phases_ms);
    }
    for owner in 0..6 {
        members.wait_until_counted(owner, 2).await;
        assert_eq!(members.owners[owner].diary.lock().expect("a diary").promised.len(), 2);
    }
    let summary = operator.finished().await.expect("done");
    assert_eq!((summary.rounds_done, summary.rounds_abandoned), (2, 0));
    for round in 1..=2 {
        assert_exact(&federation, round, &[0, 1, 2, 3, 4, 5]);
    }
    // Each round started from the model that the last one left, and the last one is on the disk.
    let (task, replayed) = federation.replay(2);
    let bytes = fs::read(&summary.model_path).expect("the last model");
    let last = replayed.into_iter().last().map(|(_, stepped)| stepped.parameters);
    assert_eq!(from_bytes(&bytes, task.parameters()), last);
    // Working copies are gone; only what is published stays.
    let rounds = fs::read_dir(federation.dir().join("state/rounds")).expect("listed");
    assert_eq!(rounds.count(), 0);
}

/// Proofs, beacons, openings, rereading and verdicts over real connections; and the outside check of
/// all of it.
#[tokio::test(flavor = "multi_thread")]
async fn an_audited_run_is_done_with_the_exact_sum_in_every_round() {
    let options = PlanOptions { rounds: 2, is_audited: true, ..PlanOptions::default() };
    let federation = Federation::new(4, &options);
    let mut operator = Operator::start(federation.config(4));
    let members = Members::start(&federation, 4);
    for round in 1..=2 {
        let summary = operator.wait_for(round_of).await;
        assert_eq!((summary.round, summary.done), (round, true), "{summary}");
        assert_eq!(summary.counted.len(), 4);
        assert!(summary.missing.is_empty() && summary.faults.is_empty(), "{summary}");
        assert_eq!(summary.phases_ms.len(), 5, "{:?}", summary.phases_ms);
    }
    for owner in 0..4 {
        members.wait_until_counted(owner, 2).await;
    }
    operator.finished().await.expect("done");
    for round in 1..=2 {
        assert_exact(&federation, round, &[0, 1, 2, 3]);
        let published = federation.publication(round).result;
        let audit = published.audit.expect("an audit");
        assert_eq!(audit.proofs.len(), 4);
        assert!(audit.rejected.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_coordinator_killed_in_an_audit_goes_on_with_it() {
    let options = PlanOptions { is_audited: true, ..PlanOptions::default() };
    let federation = Federation::new(4, &options);
    let mut operator = Operator::start(federation.config(4));
    let members = Members::start(&federation, 4);
    operator
        .wait_for(|event| match event {
            Event::Phase { phase: Phase::Audit, .. } => Some(()),
            _ => None,
        })
        .await;
    operator.kill().await;
    let mut operator = Operator::start(federation.config(4));
    let summary = operator.wait_for(round_of).await;
    assert!(summary.done, "{summary}");
    assert_eq!(summary.counted.len(), 4, "{summary}");
    for owner in 0..4 {
        members.wait_until_counted(owner, 1).await;
    }
    operator.finished().await.expect("done");
    assert_exact(&federation, 1, &[0, 1, 2, 3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_with_one_holder_killed_is_done_and_names_it() {
    let federation = Federation::new(4, &PlanOptions { vote: "4s", ..PlanOptions::default() });
    let mut operator = Operator::start(federation.config(4));
    let members = Members::start(&federation, 4);
    let in_collect =
        |event: &Event| matches!(event, Event::Phase { phase: Phase::Collect, .. }).then_some(());
    members.gates[0].send_replace(false);
    operator.wait_for(in_collect).await;
    members.holders[2].abort();
    // The round begins as soon as three holders have signed its terms, which this one may not have.
    // It is only named for that if it had the time to: as long as a message waits to be sent again.
    tokio::time::sleep(Duration::from_millis(RESEND_MS)).await;
    members.gates[0].send_replace(true);
    let summary = operator.wait_for(round_of).await;
    assert!(summary.done, "{summary}");
    assert_eq!(summary.counted.len(), 4);
    let faulty: Vec<_> = summary.faults.iter().map(|fault| fault.name.as_str()).collect();
    assert!(faulty.iter().all(|name| *name == "holder-2") && !faulty.is_empty(), "{summary}");
    operator.finished().await.expect("done");
    assert_exact(&federation, 1, &[0, 1, 2, 3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_with_two_holders_killed_opens_nothing_and_says_why() {
    let federation = Federation::new(4, &PlanOptions { vote: "2s", ..PlanOptions::default() });
    let mut operator = Operator::start(federation.config(4));
    let members = Members::start(&federation, 4);
    members.gates[0].send_replace(false);
    let in_collect =
        |event: &Event| matches!(event, Event::Phase { phase: Phase::Collect, .. }).then_some(());
    operator.wait_for(in_collect).await;
    members.holders[1].abort();
    members.holders[3].abort();
    members.gates[0].send_replace(true);
    let summary = operator.wait_for(round_of).await;
    assert!(!summary.done, "{summary}");
    let reason = summary.reason.expect("a reason");
    assert!(reason.contains("holders voted by the deadline"), "{reason}");
    let failure = operator.finished().await.expect_err("the run stops");
    assert_eq!((failure.exit, failure.code), (Exit::Failed, "RUN_ABANDONED"));
    let rounds = covey_aggregation::program::published::round_folders(&federation.published());
    assert_eq!(rounds.expect("listed").len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn owners_that_vanish_are_named_and_the_rest_is_summed() {
    let federation = Federation::new(5, &PlanOptions { collect: "3s", ..PlanOptions::default() });
    let mut operator = Operator::start(federation.config(5));
    let members = Members::start(&federation, 5);
    members.gates[1].send_replace(false);
    operator
        .wait_for(|event| match event {
            Event::Phase { phase: Phase::Collect, .. } => Some(()),
            _ => None,
        })
        .await;
    members.owners[1].task.abort();
    let summary = operator.wait_for(round_of).await;
    assert!(summary.done, "{summary}");
    let missing: Vec<_> = summary.missing.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(missing, ["owner-1"]);
    assert_eq!(summary.missing[0].why, "no answer by the deadline");
    operator.finished().await.expect("done");
    assert_exact(&federation, 1, &[0, 2, 3, 4]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_coordinator_killed_in_mid_round_goes_on_and_keeps_its_receipts() {
    let federation = Federation::new(4, &PlanOptions { rounds: 2, ..PlanOptions::default() });
    let mut operator = Operator::start(federation.config(4));
    let members = Members::start(&federation, 4);
    members.gates[0].send_replace(false);
    // Three of four have contributed and been promised.
    operator
        .wait_for(|event| match event {
            Event::Progress { phase: Phase::Collect, answered, .. } => {
                (answered.len() == 3).then_some(())
            }
            _ => None,
        })
        .await;
    operator.kill().await;
    let before = fs::read(federation.dir().join("state/journal.db")).expect("a journal");
    assert!(!before.is_empty());
    members.gates[0].send_replace(true);

    let mut operator = Operator::start(federation.config(4));
    let resumed = operator
        .wait_for(|event| match event {
            Event::Run { resumed, round, .. } => Some((*round, *resumed)),
            _ => None,
        })
        .await;
    assert_eq!(resumed, (1, true));
    for round in 1..=2 {
        let summary = operator.wait_for(round_of).await;
        assert_eq!((summary.round, summary.done), (round, true), "{summary}");
        assert_eq!(summary.counted.len(), 4, "{summary}");
    }
    operator.finished().await.expect("done");
    for round in 1..=2 {
        assert_exact(&federation, round, &[0, 1, 2, 3]);
    }
    for owner in &members.owners {
        // Each round once, however often the receipt was sent.
        assert_eq!(owner.diary.lock().expect("a diary").counted.len(), 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_coordinator_asked_to_stop_drains_and_goes_on_when_served_again() {
    let federation = Federation::new(4, &PlanOptions::default());
    let mut operator = Operator::start(federation.config(4));
    let members = Members::start(&federation, 4);
    members.gates[0].send_replace(false);
    operator
        .wait_for(|event| match event {
            Event::Progress { phase: Phase::Collect, answered, .. } => {
                (!answered.is_empty()).then_some(())
            }
            _ => None,
        })
        .await;
    operator.stopper.ask(Signal::Terminate);
    let failure = operator.finished().await.expect_err("stopped");
    assert_eq!((failure.exit, failure.code), (Exit::Terminated, "STOPPED"));
    members.gates[0].send_replace(true);
    let mut operator = Operator::start(federation.config(4));
    operator.finished().await.expect("done");
    assert_exact(&federation, 1, &[0, 1, 2, 3]);

    // A third time there is nothing left to do, and it says so at once.
    let mut operator = Operator::start(federation.config(4));
    let summary = operator.finished().await.expect("done already");
    assert_eq!(summary.rounds_done, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_round_without_enough_members_is_not_begun_and_names_them() {
    let federation = Federation::new(4, &PlanOptions::default());
    let mut config = federation.config(4);
    config.start.wait_s = covey_coordinator::config::Positive::of(1);
    let mut operator = Operator::start(config);
    let waiting = operator
        .wait_for(|event| match event {
            Event::Waiting { needed, missing, .. } => Some((needed.clone(), missing.len())),
            _ => None,
        })
        .await;
    let needed = "3 holders (0 connected) and 4 data owners (0 connected)";
    assert_eq!(waiting, (needed.to_owned(), 8));
    let failure = operator.finished().await.expect_err("nobody came");
    assert_eq!((failure.exit, failure.code), (Exit::TimedOut, "MEMBERS_MISSING"));
    assert!(failure.message.contains(needed) && failure.message.contains("owner-2"), "{failure}");
    let owners = federation.roster().with_role(Role::DataOwner).count();
    assert_eq!(owners, 4);
}

/// What the admin address answers: the status, and the body.
async fn get(address: std::net::SocketAddr, path: &str) -> (u16, String) {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut stream = tokio::net::TcpStream::connect(address).await.expect("connected");
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("asked");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("answered");
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
    let body = answer.split_once("\r\n\r\n").expect("a body").1;
    (status.expect("a status"), body.to_owned())
}

/// The numbers of a page for Prometheus, every line of which must be one or a comment.
fn numbers(page: &str) -> std::collections::BTreeMap<String, f64> {
    let lines = page.lines().filter(|line| !line.starts_with("# "));
    lines
        .map(|line| {
            let (name, value) = line.rsplit_once(' ').expect(line);
            assert!(name.starts_with("covey_"), "{line}");
            (name.to_owned(), value.parse().expect(line))
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn health_and_numbers_are_told_at_the_admin_address_and_name_nobody() {
    let federation = Federation::new(4, &PlanOptions::default());
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let admin = free.local_addr().expect("bound");
    drop(free);
    let mut config = federation.config(4);
    config.admin = Some(admin);
    let mut operator = Operator::start(config.clone());
    operator.wait_for(|event| matches!(event, Event::Waiting { .. }).then_some(())).await;
    assert_eq!(get(admin, "/livez").await.0, 200);
    assert_eq!(get(admin, "/readyz").await, (200, "ready\n".to_owned()));
    assert_eq!(get(admin, "/").await.0, 404);
    let (status, page) = get(admin, "/metrics").await;
    let before = numbers(&page);
    assert_eq!(status, 200);
    assert_eq!(before["covey_rounds_total{outcome=\"done\"}"], 0.0);
    assert!(before["covey_cert_expiry_timestamp_seconds"] > 1.7e9);
    assert!(before.keys().any(|name| name.starts_with("covey_build_info{version=")));

    // A round that waits for one owner: the others are counted as connected.
    let members = Members::start(&federation, 4);
    members.gates[0].send_replace(false);
    operator
        .wait_for(|event| match event {
            Event::Progress { phase: Phase::Collect, answered, .. } => {
                (!answered.is_empty()).then_some(())
            }
            _ => None,
        })
        .await;
    let page = get(admin, "/metrics").await.1;
    let during = numbers(&page);
    assert_eq!(during["covey_linked_members{role=\"data-owner\"}"], 4.0);
    assert_eq!(during["covey_linked_members{role=\"holder\"}"], 4.0);
    assert_eq!(during["covey_round_number"], 1.0);
    for member in &federation.roster().members {
        let name = format!("\"{}\"", member.name);
        assert!(!page.contains(&name), "{name} is a label in\n{page}");
    }
    operator.stopper.ask(Signal::Terminate);
    operator.finished().await.expect_err("stopped");
    assert!(tokio::net::TcpStream::connect(admin).await.is_err(), "closed with the program");

    let mut operator = Operator::start(config);
    members.gates[0].send_replace(true);
    operator.wait_for(round_of).await;
    // It ends as soon as the run is done; the last page is whatever it still answers.
    operator.finished().await.expect("done");
}

/// A relay of TCP that breaks everything once, after so many bytes of an upload.
async fn relay(
    to: std::net::SocketAddr,
    bytes_max: usize,
) -> (std::net::SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    let breaks = Arc::new(AtomicUsize::new(0));
    let (broken, passed) = (Arc::clone(&breaks), Arc::new(AtomicUsize::new(0)));
    let (cut, _) = watch::channel(());
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let server = TcpStream::connect(to).await.expect("connected");
            let (broken, passed) = (Arc::clone(&broken), Arc::clone(&passed));
            let (cut, mut is_cut) = (cut.clone(), cut.subscribe());
            tokio::spawn(async move {
                let (mut from_client, mut to_client) = client.into_split();
                let (mut from_server, mut to_server) = server.into_split();
                let up = async {
                    let mut bytes = vec![0; 4096];
                    loop {
                        let read = from_client.read(&mut bytes).await.unwrap_or(0);
                        if read == 0 {
                            return;
                        }
                        let so_far = passed.fetch_add(read, Ordering::Relaxed) + read;
                        if so_far > bytes_max && broken.swap(1, Ordering::Relaxed) == 0 {
                            cut.send_replace(());
                            return;
                        }
                        if to_server.write_all(&bytes[..read]).await.is_err() {
                            return;
                        }
                    }
                };
                tokio::select! {
                    () = up => {}
                    _ = tokio::io::copy(&mut from_server, &mut to_client) => {}
                    _ = is_cut.changed() => {}
                }
            });
        }
    });
    (address, breaks)
}

/// Nobody's UDP gets through but one owner's; another's connections break in the middle of its upload.
#[tokio::test(flavor = "multi_thread")]
async fn a_round_is_done_over_tcp_where_udp_is_blocked() {
    let federation = Federation::new(4, &PlanOptions::default());
    // At the port that everybody knows, UDP is answered by nobody.
    let blocked = std::net::UdpSocket::bind(federation.address).expect("the port is free");
    blocked.set_nonblocking(true).expect("set");
    let mut config = federation.config(4);
    config.listen = "127.0.0.1:0".parse().expect("an address");
    config.listen_tcp = TcpDoor::At(federation.address);
    let mut operator = Operator::start(config);
    let open = operator
        .wait_for(|event| match event {
            Event::Listening { address, tcp } => {
                assert_eq!(*tcp, Some(federation.address));
                Some(*address)
            }
            _ => None,
        })
        .await;
    let holders: Vec<_> = (0..4).map(|index| federation.start_holder(index)).collect();
    let (relayed, breaks) = relay(federation.address, 12_000).await;
    let (_gate, gate) = watch::channel(true);
    let routes = [
        // Its UDP gets through, by a port of its own.
        Route::new(open.to_string(), TransportChoice::Auto),
        Route::new(federation.address.to_string(), TransportChoice::Auto),
        Route::new(federation.address.to_string(), TransportChoice::Auto),
        Route::new(relayed.to_string(), TransportChoice::Tcp),
    ];
    let owners: Vec<_> = (0..)
        .zip(routes)
        .map(|(index, route)| {
            let membership = federation.membership(&federation.owner(index));
            owner::start(index, membership, route, gate.clone())
        })
        .collect();
    let summary = operator.wait_for(round_of).await;
    assert!(summary.done && summary.counted.len() == 4, "{summary}");
    assert!(summary.faults.is_empty(), "{summary}");
    operator.finished().await.expect("done");
    assert_exact(&federation, 1, &[0, 1, 2, 3]);
    assert_eq!(breaks.load(Ordering::Relaxed), 1, "an upload was broken off");
    assert!(blocked.recv_from(&mut [0; 2048]).is_ok(), "UDP was tried");
    drop((owners, holders));
}
