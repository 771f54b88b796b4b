use std::fs;

use covey_privacy::distributed::Distributed;
use covey_privacy::variance::Variance;
use proptest::prelude::*;

use super::*;

fn event() -> Event {
    let share = Variance::new(10_000, 1).expect("a variance");
    Event::Distributed(Distributed::new(share, 8..=10, 100, f64::MAX, 200.0).expect("a sum"))
}

fn charge(round: u32) -> Charge {
    let run = Digest([7; 32]).to_string();
    Charge { run, round, client: "one".to_owned(), at_ms: 1, event: event(), count: 1 }
}

fn round(number: u8) -> Digest {
    Digest([number; 32])
}

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        fs::create_dir(folder.path().join("state")).expect("made");
        Self(folder)
    }

    fn account(&self) -> Account {
        let beside = self.0.path().join("data.csv.covey-privacy.json");
        Account { beside, state: self.0.path().join("state").join(ACCOUNT_FILE) }
    }
}

#[test]
fn a_round_is_charged_once_and_outlasts_the_loss_of_either_file() {
    let folder = Folder::new();
    let account = folder.account();
    for _ in 0..3 {
        account.charge(&round(1), charge(1), None).expect("charged");
    }
    account.charge(&round(2), charge(2), None).expect("charged");
    assert_eq!(account.charges().expect("read").len(), 2);
    // Joined again with a new state folder; or with a copy of the data.
    for lost in [&account.state, &account.beside] {
        fs::remove_file(lost).expect("removed");
        let standing = account.standing(&round(2)).expect("read");
        assert_eq!(standing.spent.entries()[0].count, 2);
        assert!(standing.is_charged);
        assert!(!account.standing(&round(3)).expect("read").is_charged);
        // The next charge writes both again.
        account.charge(&round(2), charge(2), None).expect("charged");
        assert_eq!(read(lost).expect("read").len(), 2);
    }
}

#[test]
fn a_budget_stops_before_the_round_that_would_exceed_it() {
    let folder = Folder::new();
    let account = folder.account();
    let mut spent = Spent::default();
    spent.add(event(), 2).expect("added");
    let delta = crate::privacy::delta_of(None);
    let budget = Budget::new(spent.epsilon(delta).least(), delta.get()).expect("a budget");
    for number in 1..=2 {
        account.charge(&round(number), charge(1), Some(&budget)).expect("within");
    }
    let refused = account.charge(&round(3), charge(3), Some(&budget)).expect_err("over");
    assert!(matches!(refused, BadCharge::Over(Refused::Over { .. })), "{refused}");
    assert!(refused.to_string().contains("over the budget"), "{refused}");
    // What was charged before may be sent again.
    account.charge(&round(2), charge(2), Some(&budget)).expect("charged before");
    assert_eq!(account.charges().expect("read").len(), 2);
}

#[test]
fn two_clients_with_the_same_data_are_not_in_one_sum() {
    let folder = Folder::new();
    let account = folder.account();
    account.charge(&round(1), charge(1), None).expect("charged");
    let other = Charge { client: "two".to_owned(), ..charge(1) };
    let error = account.charge(&round(1), other.clone(), None).expect_err("twice");
    assert!(matches!(&error, BadCharge::Twice(by) if by == "one"), "{error}");
    account.charge(&round(2), other, None).expect("in another round");
}

#[test]
fn what_cannot_be_read_or_differs_lets_nothing_leave() {
    let folder = Folder::new();
    let account = folder.account();
    account.charge(&round(1), charge(1), None).expect("charged");
    let good = fs::read_to_string(&account.beside).expect("read");
    for bad in ["", "{}", &good.replace("privacy/1", "privacy/2"), &good[..good.len() / 2]] {
        fs::write(&account.beside, bad).expect("written");
        let error = account.charge(&round(2), charge(2), None).expect_err(bad).to_string();
        assert!(error.contains("until it is restored"), "{error}");
    }
    fs::write(&account.beside, good.replace("\"10000\"", "\"20000\"").replace("10000", "20000"))
        .expect("written");
    let error = account.charge(&round(2), charge(2), None).expect_err("differs");
    assert!(matches!(error, BadCharge::Differ(..)), "{error}");
}

#[test]
fn clients_that_share_data_spend_no_more_than_there_is() {
    let folder = Folder::new();
    let account = folder.account();
    let mut spent = Spent::default();
    spent.add(event(), 5).expect("added");
    let delta = crate::privacy::delta_of(None);
    let budget = Budget::new(spent.epsilon(delta).least(), delta.get()).expect("a budget");
    let charged: usize = std::thread::scope(|scope| {
        let clients = (0..4u8).map(|client| {
            let mut account = account.clone();
            account.state = folder.0.path().join(format!("state-{client}")).join(ACCOUNT_FILE);
            scope.spawn(move || {
                let rounds = (1..=4).map(|number| round(10 * client + number));
                let charged =
                    rounds.filter(|round| account.charge(round, charge(1), Some(&budget)).is_ok());
                charged.count()
            })
        });
        let clients: Vec<_> = clients.collect();
        clients.into_iter().map(|client| client.join().expect("joined")).sum()
    });
    assert_eq!(charged, 5);
    assert_eq!(read(&account.beside).expect("read").len(), 5);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// A crash leaves any one file as it was before a charge. Whatever was charged counts.
    #[test]
    fn nothing_charged_is_forgotten_by_a_crash_between_the_files(
        rounds in proptest::collection::vec((1u8..20, any::<bool>()), 1..12),
    ) {
        let folder = Folder::new();
        let account = folder.account();
        let mut expected = std::collections::BTreeSet::new();
        for (number, is_torn) in rounds {
            let before = fs::read(&account.state).ok();
            account.charge(&round(number), charge(number.into()), None).expect("charged");
            if is_torn {
                // The second file was not reached.
                match before {
                    Some(bytes) => fs::write(&account.state, bytes).expect("written"),
                    None => fs::remove_file(&account.state).expect("removed"),
                }
            }
            expected.insert(round(number).to_string());
            let charged: std::collections::BTreeSet<_> =
                account.charges().expect("read").into_keys().collect();
            prop_assert_eq!(&charged, &expected);
        }
    }
}
