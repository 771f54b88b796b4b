//! Who takes part: an owner's examples, what it says of them, and what it does.

use covey_aggregation::party::PartyId;
use covey_client::sim::AttackKind;
use covey_model::data::Dataset;

use crate::mlp::Examples;

/// What an owner does with a round.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Conduct {
    /// Trains on what it has.
    Honest,
    /// An attacker of `covey-client sim`.
    Attack(AttackKind),
    /// Trains on the fold that it will be judged by, which it should not know yet.
    CurrentFold,
    /// Trains on the folds of earlier rounds, which everybody knows; in the first on what it has.
    OpenedFolds,
    /// Wants the model to take one class for another, and hides it: a step on the other classes of
    /// opened folds, which looks honest, and one on its own examples with the other label.
    HiddenPoison {
        /// The class that is to be forgotten.
        from: u32,
        /// What it is to be taken for.
        to: u32,
    },
}

/// What is known of an owner beforehand, to measure by; no method is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Truths {
    /// Its data or updates are bad.
    pub(crate) is_bad: bool,
    /// It deserves nothing: zero, random, changed sign, 60 % noise.
    pub(crate) is_worthless: bool,
    /// It brings nothing new.
    pub(crate) is_free_rider: bool,
    /// It does harm on purpose.
    pub(crate) is_harmful: bool,
}

/// One owner.
#[derive(Clone)]
pub(crate) struct Owner {
    pub(crate) data: Dataset,
    pub(crate) examples: Examples,
    /// Examples that it says it has.
    pub(crate) claimed: u32,
    pub(crate) conduct: Conduct,
    pub(crate) truths: Truths,
}

impl Owner {
    /// An honest one.
    pub(crate) fn honest(data: Dataset) -> Self {
        let examples = Examples::new(&data);
        let claimed = data.len() as u32;
        let truths = Truths::default();
        Self { data, examples, claimed, conduct: Conduct::Honest, truths }
    }

    /// One that attacks as `covey-client sim` does; `seed` says what it draws of its data.
    pub(crate) fn attacker(data: Dataset, kind: AttackKind, seed: &[&[u8]]) -> Self {
        let owner = Self::honest(kind.spoil_data(data, seed));
        let claimed = kind.spoil_examples(owner.claimed);
        Self { claimed, conduct: Conduct::Attack(kind), ..owner }
    }

    /// The same, with what is known of it.
    pub(crate) const fn known(mut self, truths: Truths) -> Self {
        self.truths = truths;
        self
    }
}

/// An owner's name.
pub(crate) fn name(place: usize) -> PartyId {
    PartyId([place as u8 + 1; 32])
}
