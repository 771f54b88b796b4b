//! Who takes part.

use clap::ValueEnum;

use crate::role::Role;

/// Who takes part beside the honest owners.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Scenario {
    /// Nobody.
    Honest,
    /// Two more owners: one with random labels, and one with nothing but noise
    Mixed,
}

impl Scenario {
    /// In one word.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Honest => "honest",
            Self::Mixed => "mixed",
        }
    }

    /// What each owner is, the `honest` ones first.
    pub(crate) fn roles(self, honest: usize) -> Vec<Role> {
        let bad: &[Role] = match self {
            Self::Honest => &[],
            Self::Mixed => &[Role::RandomLabels, Role::FreeRider],
        };
        let mut roles = vec![Role::Honest; honest];
        roles.extend(bad);
        roles
    }
}
