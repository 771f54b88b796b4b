//! What the clients have: one data set divided among them, or a file each.

use covey_aggregation::plan::Plan;
use covey_aggregation::program::{Exit, Failure};
use covey_model::data::{DataSource, Inputs, Parts, Pool, ReadLimits, TooFew};

use super::attack::Share;
use super::options::Options;
use super::partition::Partition;
use crate::check::data_failure;

/// What each client has.
pub(super) enum Holdings {
    /// One data set, and the numbers of each client's examples.
    Divided { pool: Pool, examples: Vec<Vec<usize>> },
    /// Each client's own.
    Own(Vec<Pool>),
}

impl Holdings {
    /// Reads `sources`, of which there is one, or one for each client.
    pub(super) fn open(
        options: &Options,
        sources: &[DataSource],
        plan: &Plan,
        limits: ReadLimits,
        seed: u64,
    ) -> Result<Self, Failure> {
        let load = |source| {
            Pool::load(source, &plan.data, plan.seed, limits).map_err(|error| data_failure(&error))
        };
        match (&options.partition, sources) {
            (Partition::ByFile, files) if files.len() == options.clients => {
                Ok(Self::Own(files.iter().map(load).collect::<Result<_, _>>()?))
            }
            (Partition::ByFile, files) => {
                let what = format!("{} files for {} clients", files.len(), options.clients);
                Err(bad(&what, "by-file gives each client a file of its own: one --data for each"))
            }
            (partition, [source]) => {
                let pool = load(source)?;
                let examples = partition.divide(&pool, source, plan, options.clients, seed)?;
                Ok(Self::Divided { pool, examples })
            }
            (_, files) => {
                let what = format!("{} data sets to divide", files.len());
                Err(bad(&what, "give one --data, or one for each client with --partition by-file"))
            }
        }
    }

    /// Examples of all clients together.
    pub(super) fn examples(&self) -> usize {
        self.pools().iter().map(|pool| pool.dataset().len()).sum()
    }

    /// Classes that there are; 0 where none is predicted.
    pub(super) fn classes(&self) -> usize {
        self.pools().iter().map(|pool| pool.dataset().classes()).max().unwrap_or(0)
    }

    /// Whether a model is given numbers, not text.
    pub(super) fn has_rows(&self) -> bool {
        let is_rows = |pool: &Pool| matches!(pool.dataset().inputs(), Inputs::Rows { .. });
        self.pools().iter().all(is_rows)
    }

    /// What a client with this share trains on and keeps, as the real program reads it.
    pub(super) fn parts(&self, share: Share) -> Result<Parts, TooFew> {
        match self {
            Self::Divided { pool, examples } => {
                pool.parts(&share.take(examples[share.of].iter().copied()))
            }
            Self::Own(pools) => {
                let pool = &pools[share.of];
                pool.parts(&share.take(0..pool.dataset().len()))
            }
        }
    }

    fn pools(&self) -> &[Pool] {
        match self {
            Self::Divided { pool, .. } => std::slice::from_ref(pool),
            Self::Own(pools) => pools,
        }
    }
}

fn bad(what: &str, help: &str) -> Failure {
    Failure::new(Exit::BadInput, "BAD_SIMULATION", what).with_help(help)
}
