//! Which run's bulk bytes are served.

use std::sync::{Arc, Mutex, PoisonError};

use super::blobs::Blobs;

/// The folder of the run at hand, for whoever serves its members.
#[derive(Debug)]
pub struct Shelf(Mutex<Arc<Blobs>>);

impl Shelf {
    /// With this folder on it.
    #[must_use]
    pub fn new(blobs: Arc<Blobs>) -> Self {
        Self(Mutex::new(blobs))
    }

    /// Puts another folder there.
    pub fn put(&self, blobs: Arc<Blobs>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = blobs;
    }

    /// What is there now.
    #[must_use]
    pub fn blobs(&self) -> Arc<Blobs> {
        Arc::clone(&self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
