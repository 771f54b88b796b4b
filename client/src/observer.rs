//! What a program that embeds a [`crate::Client`] may see of an update before it is sealed: for
//! demonstrations and experiments that compare with the plain sum.
//!
//! Reached only by a trait object given in Rust code ([`crate::Client::with_observer`]). The
//! shipped program gives none, and no flag, variable or configuration makes it.

use covey_aggregation::config::RoundConfig;
use covey_aggregation::sum::quantise::Quantised;
use covey_model::train::FitReport;

/// Sees updates in the clear, on this machine.
pub trait Observer: Send + Sync {
    /// Training is done; `report.update` is what goes into the quantiser.
    fn trained(&self, terms: &RoundConfig, report: &FitReport) {
        let _ = (terms, report);
    }

    /// The integers that are sealed next. Should sealing fail, or the program be killed, they are
    /// made again and this is called again: the last call for a round counts.
    fn quantised(&self, terms: &RoundConfig, quantised: &Quantised) {
        let _ = (terms, quantised);
    }
}
