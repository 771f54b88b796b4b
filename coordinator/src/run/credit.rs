//! What rounds with credit leave to the next, and the settlement of a run.
//!
//! # Decisions
//! - What was opened of a validation pool is remembered for the pool, not for the run: in `pools/` of
//!   the state folder, under the pool's root. It is durable before the round counts as over. Holders
//!   remember it, too, and refuse terms that would draw an opened fold again.
//! - A run is one epoch: its credits are settled once it is over, from what its rounds published, into
//!   `published/credits`. A run that is extended afterwards is not settled again.

use std::path::PathBuf;
use std::sync::Arc;

use covey_aggregation::audit::crediting::CreditRecord;
use covey_aggregation::config::RoundConfig;
use covey_aggregation::credit::pool::{retire, unopened};
use covey_aggregation::credit::{Attested, CreditConfig, CreditState, Debt, RoundEvidence};
use covey_aggregation::hash::Digest;
use covey_aggregation::limits::{EPOCH_ROUNDS_MIN, FRAME_BYTES_MAX, POOL_EXAMPLES_MAX};
use covey_aggregation::net::files;
use covey_aggregation::program::credits::{CREDITS_FILE, published_files};
use covey_aggregation::program::published::PUBLICATION_FILE;
use covey_aggregation::program::{Exit, Failure};
use covey_aggregation::publication::Publication;
use covey_aggregation::round::Round;
use covey_aggregation::wire;
use serde::{Deserialize, Serialize};

use super::conclude::broken;
use super::{Run, Standing};
use crate::directing::stored_directions;
use crate::event::Event;
use crate::storage::StorageError;
use crate::storage::blobs::{Blobs, round_name};

/// Folder of what was opened of validation pools, in the state folder.
const POOLS_FOLDER: &str = "pools";

/// Folder of a run's credits, beside its published rounds.
const CREDITS_FOLDER: &str = "credits";

/// Bytes of what is remembered of a pool: places of five bytes, and an attestation.
const MEMORY_BYTES_MAX: usize = 5 * POOL_EXAMPLES_MAX + FRAME_BYTES_MAX as usize;

/// What was opened of a pool.
#[derive(Serialize, Deserialize)]
struct Memory {
    attested: Attested,
    retired: Vec<u32>,
}

/// What a round's terms say of credit.
#[derive(Default)]
pub(super) struct RoundCredit {
    pub(super) config: Option<CreditConfig>,
    pub(super) retired: Vec<u32>,
    pub(super) attested: Option<Box<Attested>>,
}

impl Run<'_> {
    fn memory_path(&self, pool: &Digest) -> PathBuf {
        self.driver.state_dir().join(POOLS_FOLDER).join(pool.to_string())
    }

    fn memory(&self, pool: &Digest) -> Result<Option<Memory>, Failure> {
        let path = self.memory_path(pool);
        let damaged = |what: String| {
            let help = "restore it from a backup: without it, folds that are known would be drawn \
                        again, which holders refuse";
            Failure::new(Exit::Failed, "STORAGE", format!("{}: {what}", path.display()))
                .with_help(help)
        };
        match std::fs::read(&path) {
            Ok(bytes) => wire::decode(&bytes, MEMORY_BYTES_MAX)
                .map(Some)
                .map_err(|error| damaged(error.to_string())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(damaged(error.to_string())),
        }
    }

    /// The credit of a round with the terms `config`, which have none yet. None where the plan gives
    /// none, or where none can be given: that is told.
    pub(super) fn round_credit(&self, config: &RoundConfig) -> Result<RoundCredit, Failure> {
        let (Some(plan), Some((_, pool))) = (self.learning.plan.credit, self.learning.validation())
        else {
            return Ok(RoundCredit::default());
        };
        let memory = self.memory(&pool.root())?;
        let (retired, attested) = match memory {
            Some(Memory { attested, retired }) => (retired, Some(Box::new(attested))),
            None => (Vec::new(), None),
        };
        let why = match attested.as_ref().map(|attested| attested.verify(config)) {
            Some(Err(_)) => Some(
                "the validation pool was used with another committee: take another pool".to_owned(),
            ),
            _ => unopened(pool.classes(), &retired, plan.fold).err().map(|no| no.to_string()),
        };
        if let Some(why) = why {
            self.driver.tell(&Event::Uncredited { round: Some(config.round), why });
            return Ok(RoundCredit::default());
        }
        let state = match &attested {
            Some(attested) => attested.state_for(&config.run),
            None => CreditState::first(pool.root()),
        };
        let config = self.learning.plan.credit_config(state);
        Ok(RoundCredit { config, retired, attested })
    }

    /// What is published of the credit of a round that is over.
    pub(super) fn credit_record(&self, round: &Round) -> Result<Option<CreditRecord>, Failure> {
        let Some(credit) = round.credit() else { return Ok(None) };
        let fold = round.fold().ok_or_else(|| broken("credit without a fold"))?;
        let (number, directions) = (round.config().round, &credit.directed.directions);
        Ok(Some(CreditRecord {
            fold: fold.clone(),
            retired: round.terms().retired.clone(),
            directed: credit.directed.clone(),
            directions: stored_directions(&self.driver.blobs, number, directions)?,
            parts: credit.parts.to_vec(),
            carries: credit.carries.to_vec(),
            weights: credit.weights,
            evidence: credit.evidence.clone(),
            attested: credit.attested,
        }))
    }

    /// Remembers what the round at hand opened of the pool, durably.
    pub(super) fn remember_credit(&self) -> Result<(), Failure> {
        let Some(round) = self.driver.round() else { return Ok(()) };
        let Some(credit) = round.credit() else { return Ok(()) };
        let retired = retire(&round.terms().retired, &credit.directed.examples);
        let path = self.memory_path(&credit.attested.attestation.state.pool);
        let folder = self.driver.state_dir().join(POOLS_FOLDER);
        let failed = |error| Failure::file(&error);
        files::create_private_folder(&folder).map_err(failed)?;
        let memory = Memory { attested: credit.attested, retired };
        files::write_durably(&path, &wire::encode(&memory)).map_err(failed)
    }

    /// Settles a run that is over, if it gives credit and was not settled before.
    pub(super) async fn settle(&mut self, standing: &Standing) -> Result<(), Failure> {
        let Some(terms) = self.learning.plan.credit_terms(standing.run.rounds) else {
            return Ok(());
        };
        if self.driver.blobs.is_published(&format!("{CREDITS_FOLDER}/{CREDITS_FILE}"))? {
            return Ok(());
        }
        let folder = self.driver.blobs.published().join(CREDITS_FOLDER);
        let done = standing.rounds.iter().filter(|row| row.aggregate.is_some());
        let done: Vec<u32> = done.map(|row| row.round).collect();
        let blobs = Arc::clone(&self.driver.blobs);
        let debts = self.debts(&standing.run.run).await?;
        let work = tokio::task::spawn_blocking(move || {
            let rounds = published_evidence(&blobs, &done)?;
            if rounds.len() < EPOCH_ROUNDS_MIN as usize {
                return Ok(Err(format!(
                    "{} rounds with evidence, {EPOCH_ROUNDS_MIN} at least are needed",
                    rounds.len()
                )));
            }
            let (settlement, files) = match published_files(&terms, &rounds, &debts) {
                Ok(settled) => settled,
                // The run is done all the same, and its evidence is published.
                Err(failure) => return Ok::<_, Failure>(Err(failure.message)),
            };
            for (name, text) in files {
                let name = format!("{CREDITS_FOLDER}/{name}");
                if let Err(error) = blobs.put_published(&name, text.as_bytes()) {
                    return Ok(Err(error.to_string()));
                }
            }
            Ok(Ok(settlement))
        });
        let settled = self.driver.serve_while(work).await?;
        let settled = settled.map_err(|_| broken("the worker that settles credits died"))??;
        self.driver.tell(&match settled {
            Err(why) => Event::Uncredited { round: None, why },
            Ok(settlement) => Event::Settled {
                folder,
                owners: settlement.accounts.len(),
                rounds: settlement.rounds.len(),
                pool_micro: settlement.pool_micro,
                paid_micro: settlement.paid_micro,
            },
        });
        Ok(())
    }
}

impl Run<'_> {
    /// What owners owe from earlier runs: as the ledger has it, which settles the runs in the order in
    /// which they end.
    async fn debts(&mut self, run: &Digest) -> Result<Vec<Debt>, Failure> {
        let ledger = self.driver.ledger.clone();
        self.driver.serve_while(ledger.settled()).await?;
        Ok(self.driver.ledger.debts_into(run))
    }
}

/// The evidence of these rounds, as it is published.
fn published_evidence(blobs: &Blobs, rounds: &[u32]) -> Result<Vec<RoundEvidence>, Failure> {
    let mut all = Vec::new();
    for round in rounds {
        let name = format!("{}/{PUBLICATION_FILE}", round_name(*round));
        let damaged = |what: &str| StorageError::Damaged {
            path: blobs.published().join(&name),
            what: what.to_owned(),
        };
        let bytes = blobs.published_file(&name)?.ok_or_else(|| damaged("it is missing"))?;
        let publication = Publication::decode(&bytes);
        let publication = publication.map_err(|error| damaged(&error.to_string()))?;
        let credit = publication.result.audit.and_then(|audit| audit.credit);
        all.extend(credit.map(|credit| credit.evidence));
    }
    Ok(all)
}
