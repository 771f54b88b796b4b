//! Which run's bulk bytes are served.

use std::sync::{Arc, Mutex, PoisonError};

use super::blobs::{Blobs, Depot};

/// The bytes of the run at hand, for whoever serves its members; and where those of all runs are.
#[derive(Debug)]
pub struct Shelf {
    depot: Depot,
    blobs: Mutex<Arc<Blobs>>,
}

impl Shelf {
    /// With these bytes on it.
    #[must_use]
    pub fn new(depot: Depot, blobs: Arc<Blobs>) -> Self {
        Self { depot, blobs: Mutex::new(blobs) }
    }

    /// Where bytes are.
    #[must_use]
    pub const fn depot(&self) -> &Depot {
        &self.depot
    }

    /// Puts another run's there.
    pub fn put(&self, blobs: Arc<Blobs>) {
        *self.blobs.lock().unwrap_or_else(PoisonError::into_inner) = blobs;
    }

    /// What is there now.
    #[must_use]
    pub fn blobs(&self) -> Arc<Blobs> {
        Arc::clone(&self.blobs.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
