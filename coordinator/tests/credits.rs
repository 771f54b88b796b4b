//! Credits of a whole run, over real connections, as anybody checks them afterwards: what coordinator
//! and holders computed is computed again, and every lie in it is found and named.

mod federation;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use covey_aggregation::audit::crediting::CreditRecord;
use covey_aggregation::net::IdentityKey;
use covey_aggregation::net::roster_file::ROSTER_FILE;
use covey_aggregation::program::{Exit, Failure};
use covey_aggregation::publication::{Publication, RoundResult};
use covey_aggregation::signing::Identity;
use covey_client::credits::{Retraining, Sources, Verified, verify};
use covey_coordinator::event::Event;
use covey_model::data::{DataSource, Header};
use federation::{Federation, Members, Operator, POOL_FILE, PlanOptions, round_of};
use tempfile::TempDir;
use tokio::runtime::Runtime;

const OWNERS: usize = 5;

/// Folds of 30: the pool is spent after two.
const POOL_ROWS: usize = 60;

/// Rounds in all, of which two find a fold.
const ROUNDS: u32 = 3;

/// What is left of a run once everybody has gone home.
struct Left {
    /// Names in the operator's folder, and contents.
    files: Vec<(PathBuf, Vec<u8>)>,
    coordinator: Arc<Identity>,
    /// Rounds of which the coordinator said that nobody is credited, with its reason.
    uncredited: Vec<(Option<u32>, String)>,
    /// How many owners each round counted.
    counted: Vec<usize>,
}

static RUN: LazyLock<Left> = LazyLock::new(|| {
    std::thread::spawn(|| Runtime::new().expect("a runtime").block_on(Left::of_a_run()))
        .join()
        .expect("the run ends")
});

impl Left {
    async fn of_a_run() -> Self {
        let options = PlanOptions {
            rounds: ROUNDS,
            minimum: 5,
            is_audited: true,
            pool_rows: POOL_ROWS,
            more: "[credit]\nbudget = 10\nfold = 30\nsteps = 3\n",
            ..PlanOptions::default()
        };
        let federation = Federation::new(OWNERS, &options);
        let mut operator = Operator::start(federation.config(OWNERS));
        let members = Members::start(&federation, OWNERS);
        let (mut uncredited, mut counted) = (Vec::new(), Vec::new());
        while counted.len() < ROUNDS as usize {
            operator
                .wait_for(|event| {
                    if let Event::Uncredited { round, why } = event {
                        uncredited.push((*round, why.clone()));
                    }
                    round_of(event).map(|summary| {
                        assert!(summary.done, "{summary}");
                        counted.push(summary.counted.len());
                    })
                })
                .await;
        }
        operator.finished().await.expect("done");
        drop(members);
        let dir = federation.dir();
        let mut files = Vec::new();
        for name in ["plan.toml", POOL_FILE, ROSTER_FILE] {
            files.push((PathBuf::from(name), fs::read(dir.join(name)).expect("read")));
        }
        for folder in ["round-0001", "round-0002", "round-0003", "credits"] {
            for entry in fs::read_dir(federation.published().join(folder)).expect("published") {
                let path = entry.expect("listed").path();
                if path.is_file() {
                    let name = path.strip_prefix(&dir).expect("within").to_owned();
                    files.push((name, fs::read(&path).expect("read")));
                }
            }
        }
        let coordinator = IdentityKey::load(&dir).expect("the operator's key").identity();
        Self { files, coordinator: Arc::new(coordinator), uncredited, counted }
    }
}

/// A copy of what the run left.
struct Copy(TempDir);

impl Copy {
    fn new() -> Self {
        let copy = Self(tempfile::tempdir().expect("a folder"));
        for (name, bytes) in &RUN.files {
            let path = copy.path(name);
            fs::create_dir_all(path.parent().expect("a folder")).expect("made");
            fs::write(path, bytes).expect("written");
        }
        copy
    }

    fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.0.path().join(name)
    }

    fn published(&self) -> PathBuf {
        self.path("state/published")
    }

    fn publication(&self, round: u32) -> Publication {
        let path = self.published().join(format!("round-{round:04}/publication.covey"));
        Publication::decode(&fs::read(path).expect("read")).expect("well-formed")
    }

    fn pool(&self) -> DataSource {
        DataSource::Csv { path: self.path(POOL_FILE), header: Header::Absent }
    }

    fn verify(&self) -> Result<Verified, Failure> {
        let (plan, pool) = (self.path("plan.toml"), self.pool());
        self.verify_with(Some((&plan, &pool)))
    }

    fn verify_with(&self, training: Option<(&Path, &DataSource)>) -> Result<Verified, Failure> {
        verify(&Sources {
            folder: &self.published(),
            credits: &self.published().join("credits"),
            roster: &self.path(ROSTER_FILE),
            config: None,
            training,
        })
    }

    fn change(&self, name: impl AsRef<Path>, old: &str, new: &str) {
        let text = fs::read_to_string(self.path(&name)).expect("read");
        assert!(text.contains(old), "no {old} in {}", name.as_ref().display());
        fs::write(self.path(name), text.replacen(old, new, 1)).expect("written");
    }
}

/// What `verify` says when the coordinator signs a changed result of round 2 anew, and nobody else does.
fn published(change: impl FnOnce(&mut RoundResult)) -> Failure {
    let copy = Copy::new();
    let mut result = copy.publication(2).result;
    change(&mut result);
    let publication = Publication::sign(result, &RUN.coordinator);
    let path = copy.published().join("round-0002/publication.covey");
    fs::write(path, publication.encode()).expect("written");
    let failure = copy.verify().expect_err("a lie");
    assert_eq!(failure.exit, Exit::Unverified, "{failure}");
    assert!(failure.message.contains("round-0002"), "{failure}");
    failure
}

fn record(result: &mut RoundResult) -> &mut CreditRecord {
    let audit = result.audit.as_mut().expect("audited");
    audit.credit.as_mut().expect("credited")
}

/// What is found when coordinator and all holders lie about round 2 together, so that every signature
/// holds: field, as published, as computed.
fn attested(change: impl FnOnce(&mut RoundResult)) -> [String; 3] {
    let copy = Copy::new();
    let folder = copy.published();
    let retraining = Retraining::begin(&copy.path("plan.toml"), &copy.pool(), &folder);
    let mut retraining = retraining.expect("plan and pool are read");
    assert_eq!(retraining.round(&folder, &copy.publication(1)), Ok(true));
    let mut second = copy.publication(2);
    change(&mut second.result);
    let failure = retraining.round(&folder, &second).expect_err("a lie");
    assert_eq!((failure.exit, failure.code), (Exit::Unverified, "CREDIT_DIFFERS"), "{failure}");
    let details = failure.details.as_ref().expect("details");
    assert_eq!(details["round"], 2);
    let value = |name: &str| details[name].as_str().expect("a value").to_owned();
    let found = [value("field"), value("published"), value("computed")];
    assert!(found.iter().all(|part| failure.message.contains(part)), "{failure}");
    assert_ne!(found[1], found[2]);
    found
}

fn assert_field(field: &str, change: impl FnOnce(&mut RoundResult)) {
    assert_eq!(attested(change)[0], field);
}

/// Weights of a function, eight bytes each.
fn negated(functions: &[u8]) -> Vec<u8> {
    let weights = functions.as_chunks().0.iter();
    weights.flat_map(|weight| (-i64::from_le_bytes(*weight)).to_le_bytes()).collect()
}

#[test]
fn an_honest_run_is_found_equal_when_everything_is_computed_again() {
    let copy = Copy::new();
    let verified = copy.verify().expect("everything holds");
    assert_eq!((&verified.rounds, verified.retrained.as_ref()), (&vec![1, 2], Some(&vec![1, 2])));
    let said = verified.to_string();
    for part in ["folds, the retired examples", "trained here", "attested only: each owner's"] {
        assert!(said.contains(part), "{part} in {said}");
    }
    assert!(!said.contains("--plan"), "{said}");
    let verified = copy.verify_with(None).expect("the rest holds");
    let said = verified.to_string();
    assert_eq!(verified.retrained, None);
    assert!(said.contains("attested only: that folds, directions and functions"), "{said}");
}

/// A pool has folds for so many rounds. The run goes on.
#[test]
fn rounds_after_the_pool_is_spent_are_done_without_credit_and_it_is_said() {
    assert_eq!(RUN.counted, [OWNERS; ROUNDS as usize]);
    let [(Some(3), why)] = &RUN.uncredited[..] else { panic!("{:?}", RUN.uncredited) };
    assert!(why.contains("0 examples of class 0 are left in the validation pool"), "{why}");
    let copy = Copy::new();
    let third = copy.publication(3).result;
    assert_eq!((third.config.credit, third.report.counted.len()), (None, OWNERS));
    let verified = copy.verify().expect("everything holds");
    assert_eq!(verified.uncredited, [(3, "its terms have no credit".to_owned())]);
}

#[test]
fn another_pool_file_is_found_and_named() {
    let copy = Copy::new();
    copy.change(POOL_FILE, "7", "8");
    let failure = copy.verify().expect_err("one pixel differs");
    assert_eq!((failure.exit, failure.code), (Exit::Unverified, "CREDIT_DIFFERS"), "{failure}");
    let details = failure.details.expect("details");
    assert_eq!((&details["round"], &details["field"]), (&1.into(), &"pool".into()));
    let root = copy.publication(1).result.config.credit.expect("credited").state.pool.to_string();
    assert_eq!(details["published"], root);
    assert_ne!(details["computed"], root);
}

#[test]
fn another_plan_is_found_and_named() {
    let copy = Copy::new();
    copy.change("plan.toml", "lr = 0.1", "lr = 0.2");
    let failure = copy.verify().expect_err("another plan");
    assert_eq!((failure.exit, failure.code), (Exit::BadInput, "OTHER_PLAN"), "{failure}");
    let named = copy.publication(1).result.config.plan.to_string();
    assert!(failure.message.contains(&named), "{failure}");
}

#[test]
fn changed_evidence_is_found() {
    let copy = Copy::new();
    copy.change("state/published/credits/evidence-0002.json", "\"count\": ", "\"count\": 1");
    let failure = copy.verify().expect_err("one count differs");
    assert_eq!(failure.exit, Exit::Unverified, "{failure}");
    let failure = published(|result| {
        let evidence = &mut record(result).evidence;
        let mut all = evidence.contributions().to_vec();
        all[1].s += 1;
        let (round, context) = (evidence.round(), *evidence.context());
        *evidence =
            covey_aggregation::credit::RoundEvidence::new(round, context, all).expect("in range");
    });
    assert!(failure.message.contains("the evidence is not what the numbers give"), "{failure}");
}

/// Of an owner's declared examples, and of the weight in the sum.
#[test]
fn a_changed_weight_is_found() {
    let failure = published(|result| {
        let audit = result.audit.as_mut().expect("audited");
        audit.proofs[1].examples += 1;
    });
    assert!(failure.message.contains("the proof is not signed by its owner"), "{failure}");
    let failure = published(|result| result.aggregate.weight += 1);
    assert!(failure.message.contains("published sum"), "{failure}");
    let failure = published(|result| {
        result.aggregate.weight += 1;
        record(result).directed.aggregate = result.aggregate.digest();
    });
    assert!(failure.message.contains("the weights are not those"), "{failure}");
    let failure = published(|result| record(result).weights.declared -= 1);
    assert!(failure.message.contains("the weights are not those"), "{failure}");
}

#[test]
fn a_changed_fold_is_found() {
    let failure = published(|result| record(result).directed.examples[0] ^= 1);
    assert!(failure.message.contains("attest something else"), "{failure}");
    let fold = |round| {
        let mut result = Copy::new().publication(round).result;
        record(&mut result).directed.examples.clone()
    };
    // One that the first round's fold has opened, in the place of another.
    let mut other = fold(2);
    other[0] = fold(1)[0];
    let told = format!("{other:?}");
    let found = attested(|result| record(result).directed.examples = other);
    assert_eq!(found, ["fold".to_owned(), told, format!("{:?}", fold(2))]);
}

#[test]
fn a_changed_direction_is_found() {
    let failure = published(|result| {
        let directions = &mut record(result).directions;
        directions.trained = directions.path.clone();
    });
    assert!(failure.message.contains("the directions are not those"), "{failure}");
    assert_field("direction of the fold", |result| {
        let directions = &mut record(result).directions;
        directions.trained = directions.path.clone();
    });
    assert_field("direction of the path", |result| {
        let directions = &mut record(result).directions;
        directions.path = directions.trained.clone();
    });
    assert_field("direction 1 of the past", |result| {
        let directions = &mut record(result).directions;
        directions.steps[0] = directions.trained.clone();
    });
}

#[test]
fn changed_functions_are_found() {
    let change = |result: &mut RoundResult| {
        let directed = &mut record(result).directed;
        directed.functions = negated(&directed.functions);
    };
    let failure = published(change);
    assert!(failure.message.contains("functions are not those of the directions"), "{failure}");
    assert_field("function s", change);
    assert_field("function harm", |result| {
        let functions = &mut record(result).directed.functions;
        let third = functions.len() / 3 * 2;
        let other = negated(&functions[third..]);
        functions.splice(third.., other);
    });
}

#[test]
fn a_changed_model_or_sum_is_found() {
    assert_field("model", |result| record(result).directed.after.0[0] ^= 1);
    assert_field("sum", |result| record(result).directed.aggregate.0[0] ^= 1);
}

#[test]
fn a_changed_state_is_found() {
    let state = |result: &mut RoundResult| {
        let credit = result.config.credit.as_mut().expect("credited");
        credit.state.clone()
    };
    let set = |result: &mut RoundResult, state| {
        result.config.credit.as_mut().expect("credited").state = state;
    };
    assert_field("pool", |result| {
        let mut other = state(result);
        other.pool.0[0] ^= 1;
        set(result, other);
    });
    assert_field("number of opened folds", |result| {
        let mut other = state(result);
        other.opened += 1;
        set(result, other);
    });
    assert_field("retired examples", |result| {
        let mut other = state(result);
        other.retired.0[0] ^= 1;
        set(result, other);
    });
    assert_field("retired examples", |result| record(result).retired.truncate(3));
    assert_field("last steps", |result| {
        let mut other = state(result);
        other.steps.clear();
        set(result, other);
    });
    assert_field("attested last steps", |result| {
        record(result).attested.attestation.state.steps.truncate(1);
    });
    assert_field("attested number of opened folds", |result| {
        record(result).attested.attestation.state.opened = 1;
    });
}
