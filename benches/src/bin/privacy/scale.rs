//! How much is measured.

/// Numbers of repetitions.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scale {
    /// Of each accuracy: each with other data to train on, another first model and other noise.
    pub(crate) seeds: u64,
    /// Rounds that an attacker looks at, for each protection.
    pub(crate) attack_trials: usize,
    /// Federations whose final models are attacked.
    pub(crate) loss_seeds: u64,
    /// Sums that the lower bound of epsilon is measured on.
    pub(crate) canary_trials: usize,
}

impl Scale {
    /// For figures that are written down.
    pub(crate) const FULL: Self =
        Self { seeds: 10, attack_trials: 400, loss_seeds: 20, canary_trials: 20_000 };

    /// For a look.
    pub(crate) const QUICK: Self =
        Self { seeds: 3, attack_trials: 100, loss_seeds: 5, canary_trials: 4_000 };
}
