//! What must hold of a run that is over, whatever happened meanwhile: read from what every party has on
//! its disk.

use std::collections::{BTreeMap, BTreeSet};

use covey_aggregation::hash::Digest;
use covey_aggregation::limits::FRAME_BYTES_MAX;
use covey_aggregation::message::Outcome;
use covey_aggregation::net::Membership;
use covey_aggregation::party::PartyId;
use covey_aggregation::program::Journal;
use covey_aggregation::program::published::{read_publication, round_folders};
use covey_aggregation::record::{HolderRecord, ParticipantRecord};
use covey_aggregation::wire;
use covey_committee::verify::verify_folder;
use covey_coordinator::storage::journal::{Journal as RoundJournal, RoundRow};
use covey_ledger::checkpoint::Checkpoint;
use covey_ledger::folder::Folder;
use covey_ledger::quorum::Quorum;
use covey_ledger::tree::{Frontier, leaf_hash};
use covey_ledger::witness::Head;

use super::processes::{Federation, HOLDERS, Who};

/// A round that is over.
struct Ended {
    row: RoundRow,
    outcome: Outcome,
    /// Clients in its sum, with their headers' digests.
    published: BTreeMap<PartyId, Digest>,
}

/// Checks everything. All programs must have ended.
pub(crate) fn check(federation: &Federation) {
    let rounds = ended(federation);
    // Every round once, from 1 on, none missing; and every published round is one of them.
    for (expected, round) in (1..).zip(&rounds) {
        assert_eq!(round.row.round, expected, "rounds are recorded once and in order");
        match &round.outcome {
            Outcome::Done(report) => {
                let counted: BTreeSet<_> = report.counted.iter().copied().collect();
                assert_eq!(counted.len(), report.counted.len(), "round {expected}: counted twice");
                let published: BTreeSet<_> = round.published.keys().copied().collect();
                assert_eq!(published, counted, "round {expected}: the report and the sum");
                assert!(counted.len() >= 3, "round {expected}: below the minimum");
            }
            Outcome::Abandoned { reason, .. } => {
                assert!(round.published.is_empty(), "round {expected} was abandoned: {reason}");
            }
        }
    }
    let roster = federation.home(Who::Coordinator).join("roster.json");
    let verified = verify_folder(&federation.published(), &roster, |_| {}).expect("readable");
    assert_eq!(verified.doubts, 0, "what is published holds:\n{verified}");
    let done = rounds.iter().filter(|round| matches!(round.outcome, Outcome::Done(_))).count();
    assert_eq!(verified.verified, done, "what is done is published, and nothing else");
    for index in 0..federation.owners {
        check_owner(federation, Who::Owner(index), &rounds);
    }
    for index in 0..HOLDERS {
        check_holder(federation, Who::Holder(index));
    }
    check_ledger(federation, &rounds);
}

/// The rounds of the coordinator's journal, whose run must be over.
fn ended(federation: &Federation) -> Vec<Ended> {
    let path = federation.state(Who::Coordinator).join("journal.db");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let (run, rows) = runtime.expect("a runtime").block_on(async {
        let mut journal = RoundJournal::open_to_read(&path).await.expect("a journal");
        let run = journal.run().await.expect("readable").expect("a run");
        let rows = journal.rounds().await.expect("readable");
        (run, rows)
    });
    assert!(run.ending.is_some() && run.reason.is_some(), "the run has ended, with a reason");
    let folders = round_folders(&federation.published()).expect("listed");
    let mut published: BTreeMap<u32, BTreeMap<PartyId, Digest>> = BTreeMap::new();
    for folder in folders {
        let result = read_publication(&folder).expect("well-formed").result;
        let mut headers = BTreeMap::new();
        for signed in &result.headers {
            let twice = headers.insert(signed.header.client, signed.header.digest());
            assert!(twice.is_none(), "an owner is in a sum once");
        }
        let twice = published.insert(result.config.round, headers);
        assert!(twice.is_none(), "round {} is published once", result.config.round);
    }
    let ended = |row: RoundRow| {
        let outcome = wire::decode(&row.outcome, FRAME_BYTES_MAX as usize).expect("an outcome");
        let published = published.remove(&row.round).unwrap_or_default();
        Ended { row, outcome, published }
    };
    let rounds: Vec<_> = rows.into_iter().map(ended).collect();
    assert_eq!(published.len(), 0, "only rounds that are over are published");
    rounds
}

/// Every promise to an owner is kept: its contribution is in the sum, or it is named with a reason.
fn check_owner(federation: &Federation, who: Who, rounds: &[Ended]) {
    let id = Membership::load(&federation.home(who)).expect("a member").member().id;
    let path = federation.state(who).join("client.redb");
    let (_, records) = Journal::<ParticipantRecord>::open(&path, &id).expect("whole");
    let mut sealed = BTreeMap::new();
    for record in records {
        match record {
            ParticipantRecord::Sealed { round_ctx, header, .. } => {
                let twice = sealed.insert(round_ctx, header);
                assert!(twice.is_none(), "{who} sealed twice for one round");
            }
            ParticipantRecord::Receipted { receipt } => {
                let round = rounds.iter().find(|round| round.row.context == receipt.round_ctx);
                let round = round.unwrap_or_else(|| panic!("{who} has a receipt of a lost round"));
                assert_eq!(sealed.get(&receipt.round_ctx), Some(&receipt.header), "{who}");
                assert_kept(who, &id, &receipt.header, round);
            }
            ParticipantRecord::Ended { round_ctx, counted } => {
                let round = rounds.iter().find(|round| round.row.context == round_ctx);
                let in_sum = round.is_some_and(|round| round.published.contains_key(&id));
                assert_eq!(counted, in_sum, "{who} was told what is not so");
            }
        }
    }
    check_account(federation, who, sealed.keys());
    // Whoever is in a sum is there with what it sealed.
    for round in rounds {
        if let Some(header) = round.published.get(&id) {
            assert_eq!(sealed.get(&round.row.context), Some(header), "{who}");
        }
    }
}

/// Whatever was sealed with noise is charged, each round once, beside the data and in the state folder.
fn check_account<'a>(
    federation: &Federation,
    who: Who,
    sealed: impl Iterator<Item = &'a Digest> + Clone,
) {
    if !federation.has_noise {
        return;
    }
    let beside = federation.home(who).join("data.csv.covey-privacy.json");
    for path in [beside, federation.state(who).join("privacy.json")] {
        let read = std::fs::read(&path);
        if sealed.clone().next().is_none() && read.is_err() {
            continue;
        }
        let read = read.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let account: serde_json::Value = serde_json::from_slice(&read).expect("whole");
        for round in sealed.clone() {
            let charge = &account["charges"][round.to_string()];
            assert_eq!(charge["count"], 1, "{who}: {} lacks a round: {account}", path.display());
        }
    }
}

fn assert_kept(who: Who, id: &PartyId, header: &Digest, round: &Ended) {
    let number = round.row.round;
    let (Outcome::Done(report) | Outcome::Abandoned { report, .. }) = &round.outcome;
    let is_counted = round.published.get(id) == Some(header);
    let is_named = report.missing.iter().any(|(missing, _)| missing == id);
    assert!(is_counted != is_named, "{who}, round {number}: a receipt is counted, or named");
}

/// A holder says each thing once in a round.
fn check_holder(federation: &Federation, who: Who) {
    let id = Membership::load(&federation.home(who)).expect("a member").member().id;
    let path = federation.state(who).join("holder.redb");
    let (_, records) = Journal::<HolderRecord>::open(&path, &id).expect("whole");
    let mut said = BTreeMap::new();
    for record in records {
        let (what, round, value) = match record {
            HolderRecord::Countersigned { run, round, round_ctx } => {
                let before = said.insert(("terms", run, Some(round)), round_ctx);
                assert!(before.is_none_or(|before| before == round_ctx), "{who}: two terms");
                continue;
            }
            HolderRecord::Voted { round_ctx, set, .. } => ("set", round_ctx, set),
            HolderRecord::Released { round_ctx, set, .. } => ("key", round_ctx, set),
            HolderRecord::Listed { round_ctx, list, .. } => ("list", round_ctx, list),
            HolderRecord::Judged { round_ctx, verdict, .. } => ("verdict", round_ctx, verdict),
            HolderRecord::Numbered { round_ctx, functions, .. } => {
                ("numbers", round_ctx, functions)
            }
            HolderRecord::Attested { .. } | HolderRecord::Approved { .. } => continue,
        };
        let before = said.insert((what, round, None), value);
        assert!(before.is_none_or(|before| before == value), "{who} signed two of {what}");
    }
}

/// The ledger says each round once, as the journal does, and it is the one that every holder has cosigned:
/// never were there two checkpoints of one size.
fn check_ledger(federation: &Federation, rounds: &[Ended]) {
    let membership = Membership::load(&federation.home(Who::Coordinator)).expect("a member");
    let quorum = Quorum::of_roster(membership.roster()).expect("a committee");
    let ledger = Folder::new(&federation.published().join("ledger")).open(&quorum);
    let ledger = ledger.expect("the published ledger holds");
    let [run] = ledger.book.runs() else { panic!("one run, not {}", ledger.book.runs().len()) };
    assert!(run.ended.is_some(), "the ledger says that the run is over");
    let entered: Vec<_> =
        run.rounds.iter().map(|(number, one)| (*number, one.closed.round_ctx)).collect();
    let journal: Vec<_> = rounds.iter().map(|one| (one.row.round, one.row.context)).collect();
    assert_eq!(entered, journal, "the ledger has the rounds of the journal");
    let mut frontier = Frontier::default();
    let mut roots = vec![frontier.root()];
    for entry in &ledger.entries {
        frontier.push(leaf_hash(entry));
        roots.push(frontier.root());
    }
    for who in (0..HOLDERS).map(Who::Holder) {
        let folder = federation.state(who).join("ledger");
        let files = std::fs::read_dir(&folder).expect("a witness").flatten();
        let names: Vec<_> = files.map(|file| file.file_name()).collect();
        let fork = names.iter().find(|name| name.to_string_lossy().starts_with("fork"));
        assert_eq!(fork, None, "{who} has seen a fork");
        // One that was away all the time has cosigned nothing.
        let Ok(bytes) = std::fs::read(folder.join("head.json")) else { continue };
        let head: Head = serde_json::from_slice(&bytes).expect("a head");
        let (checkpoint, _) = Checkpoint::parse(head.checkpoint.as_bytes()).expect("a checkpoint");
        let size = usize::try_from(checkpoint.head.size).expect("small");
        assert_eq!(roots.get(size), Some(&checkpoint.head.root), "{who} cosigned {size} entries");
    }
}
