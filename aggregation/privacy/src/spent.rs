//! What has been spent: all events about the same people, over rounds and runs.

use serde::{Deserialize, Serialize};

use crate::delta::Delta;
use crate::event::Event;
use crate::pld::{Grid, Pld};
use crate::rdp::Rdp;

/// How often one event may have happened. Keeps the rounding of as many additions far below what
/// epsilon is raised by.
pub const COUNT_MAX: u64 = 1_000_000_000;

/// Different events that are told apart. Time grows with their number.
pub const KINDS_MAX: usize = 4096;

/// Events and their counts. Knows nothing of when and in which order: composition is the same in
/// every order, and for a run that was interrupted and resumed as for one that was not.
///
/// Epsilons of what is spent are upper bounds by two methods, each rounded up by itself. They grow
/// with every event: by Renyi-DP strictly, by losses up to the grid (see [`crate::pld`]).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Vec<Entry>", into = "Vec<Entry>")]
pub struct Spent {
    /// By [`order_of`], no event twice.
    entries: Vec<Entry>,
}

/// An event and how often it happened.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// What happened.
    pub event: Event,
    /// How often, at least once.
    pub count: u64,
}

/// What cannot be added to what is spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadEntry {
    /// An event that did not happen. Nothing is to be added for it.
    #[error("an event happened 0 times")]
    Never,
    /// More than [`COUNT_MAX`] together.
    #[error("an event happened {0} times, which is more than 1000000000")]
    TooOften(u64),
    /// More than [`KINDS_MAX`].
    #[error("more than 4096 different events")]
    TooManyKinds,
}

/// Epsilon at one delta, by each accountant.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Epsilon {
    /// By Renyi-DP.
    pub rdp: f64,
    /// By the privacy-loss distribution; none where an event has no such distribution
    /// ([`Event::Distributed`]).
    pub pld: Option<f64>,
}

impl Epsilon {
    /// The less of both: each holds by itself.
    #[must_use]
    pub fn least(&self) -> f64 {
        self.pld.map_or(self.rdp, |pld| pld.min(self.rdp))
    }
}

impl Spent {
    /// Adds `count` times the event.
    ///
    /// # Errors
    /// [`BadEntry`]; nothing is added then.
    pub fn add(&mut self, event: Event, count: u64) -> Result<(), BadEntry> {
        if count == 0 {
            return Err(BadEntry::Never);
        }
        let order = order_of(&event);
        match self.entries.binary_search_by_key(&order, |entry| order_of(&entry.event)) {
            Ok(index) => {
                let entry = &mut self.entries[index];
                entry.count = checked(entry.count.saturating_add(count))?;
            }
            Err(_) if self.entries.len() >= KINDS_MAX => return Err(BadEntry::TooManyKinds),
            Err(index) => self.entries.insert(index, Entry { event, count: checked(count)? }),
        }
        Ok(())
    }

    /// Adds all that another run has spent.
    ///
    /// # Errors
    /// [`BadEntry::TooOften`] and [`BadEntry::TooManyKinds`]; nothing is added then.
    pub fn merge(&mut self, other: &Self) -> Result<(), BadEntry> {
        let mut merged = self.clone();
        for entry in &other.entries {
            merged.add(entry.event, entry.count)?;
        }
        *self = merged;
        Ok(())
    }

    /// What was spent, in an order that depends on nothing else.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Epsilon at a delta, by both accountants and the default grid.
    #[must_use]
    pub fn epsilon(&self, delta: Delta) -> Epsilon {
        self.epsilon_on(Grid::default(), delta)
    }

    /// The same on another grid.
    #[must_use]
    pub fn epsilon_on(&self, grid: Grid, delta: Delta) -> Epsilon {
        Epsilon {
            rdp: self.rdp().epsilon(delta),
            pld: self.pld(grid).map(|pld| pld.epsilon(delta)),
        }
    }

    /// As Renyi divergences.
    #[must_use]
    pub fn rdp(&self) -> Rdp {
        let mut rdp = Rdp::default();
        for entry in &self.entries {
            rdp.add(&entry.event, entry.count);
        }
        rdp
    }

    /// As a privacy-loss distribution, where every event has one.
    #[must_use]
    pub fn pld(&self, grid: Grid) -> Option<Pld> {
        let sampled = self.entries.iter().map(|entry| match entry.event {
            Event::Sampled(sampled) => Some((sampled, entry.count)),
            Event::Distributed(_) => None,
        });
        Some(Pld::new(&sampled.collect::<Option<Vec<_>>>()?, grid))
    }
}

fn checked(count: u64) -> Result<u64, BadEntry> {
    if count > COUNT_MAX { Err(BadEntry::TooOften(count)) } else { Ok(count) }
}

/// Tells events apart, bit by bit. Numbers above 0 are in order of their bits.
fn order_of(event: &Event) -> [u64; 8] {
    match event {
        Event::Sampled(sampled) => {
            let (noise, rate) = (sampled.noise_multiplier(), sampled.sampling_rate());
            [0, noise.to_bits(), rate.to_bits(), 0, 0, 0, 0, 0]
        }
        Event::Distributed(shares) => shares.order(),
    }
}

impl TryFrom<Vec<Entry>> for Spent {
    type Error = BadEntry;

    fn try_from(entries: Vec<Entry>) -> Result<Self, BadEntry> {
        let mut spent = Self::default();
        for entry in entries {
            spent.add(entry.event, entry.count)?;
        }
        Ok(spent)
    }
}

impl From<Spent> for Vec<Entry> {
    fn from(spent: Spent) -> Self {
        spent.entries
    }
}

#[cfg(test)]
mod tests {
    use super::{BadEntry, COUNT_MAX, KINDS_MAX, Spent};
    use crate::delta::Delta;
    use crate::distributed::Distributed;
    use crate::event::{Event, Sampled};
    use crate::variance::Variance;

    fn sampled(noise: f64, rate: f64) -> Event {
        Event::Sampled(Sampled::new(noise, rate).expect("an event"))
    }

    fn shares() -> Event {
        let share = Variance::new(100, 7).expect("a variance");
        Event::Distributed(Distributed::new(share, 8..=10, 1_000, f64::MAX, 30.0).expect("a sum"))
    }

    #[test]
    fn the_order_of_events_and_the_cut_of_runs_do_not_matter() {
        let (mut one, mut two, mut three) = (Spent::default(), Spent::default(), Spent::default());
        for (event, count) in [(sampled(1.1, 0.1), 30), (shares(), 5), (sampled(2.0, 1.0), 7)] {
            one.add(event, count).expect("added");
        }
        for (event, count) in [(sampled(2.0, 1.0), 7), (sampled(1.1, 0.1), 10)] {
            two.add(event, count).expect("added");
        }
        for (event, count) in [(shares(), 5), (sampled(1.1, 0.1), 20)] {
            three.add(event, count).expect("added");
        }
        two.merge(&three).expect("merged");
        assert_eq!(one, two);
    }

    #[test]
    fn what_is_stored_reads_back_as_the_very_same() {
        let mut spent = Spent::default();
        // Numbers that decimal parsers like to get wrong by a bit.
        spent.add(sampled(0.1 + 0.2, 1.0 / 3.0), 30).expect("added");
        spent.add(sampled(1.000_000_000_000_000_2, 5e-9), 1).expect("added");
        spent.add(shares(), 3).expect("added");
        let text = serde_json::to_string(&spent).expect("text");
        assert_eq!(serde_json::from_str::<Spent>(&text).expect("read"), spent);
        assert!(text.contains(r#""noise_multiplier":"0.30000000000000004""#), "{text}");
    }

    #[test]
    fn a_stored_text_that_no_ledger_wrote_is_refused() {
        let entry = |noise: &str, rate: &str, count: &str| {
            let text = format!(
                r#"[{{"event":{{"sampled":{{"noise_multiplier":"{noise}","sampling_rate":"{rate}"}}}},"count":{count}}}]"#
            );
            serde_json::from_str::<Spent>(&text)
        };
        assert!(entry("1.1", "0.5", "1").is_ok());
        for (noise, rate, count) in [
            ("NaN", "0.5", "1"),
            ("-1", "0.5", "1"),
            ("inf", "0.5", "1"),
            ("1.1", "0", "1"),
            ("1.1", "1.5", "1"),
            ("1.1", "0.5", "0"),
            ("1.1", "0.5", "-1"),
            ("1.1", "0.5", "1000000001"),
            ("", "0.5", "1"),
        ] {
            assert!(entry(noise, rate, count).is_err(), "{noise} {rate} {count}");
        }
    }

    #[test]
    fn counts_never_wrap_and_never_saturate() {
        let mut spent = Spent::default();
        let event = sampled(1.0, 0.5);
        assert_eq!(spent.add(event, 0), Err(BadEntry::Never));
        spent.add(event, COUNT_MAX).expect("added");
        let before = spent.clone();
        for count in [1, u64::MAX] {
            assert!(matches!(spent.add(event, count), Err(BadEntry::TooOften(_))));
        }
        assert!(matches!(spent.merge(&before), Err(BadEntry::TooOften(_))));
        assert_eq!(spent, before);
        for kind in 1..KINDS_MAX {
            spent.add(sampled(1.0 + kind as f64, 0.5), 1).expect("added");
        }
        assert_eq!(spent.add(sampled(0.5, 0.5), 1), Err(BadEntry::TooManyKinds));
    }

    #[test]
    fn sums_of_shares_have_an_epsilon_by_renyi_only() {
        let mut spent = Spent::default();
        spent.add(sampled(2.0, 1.0), 1).expect("added");
        let delta = Delta::new(1e-6).expect("a delta");
        let before = spent.epsilon(delta);
        assert!(before.pld.is_some_and(|pld| pld < before.rdp));
        spent.add(shares(), 1).expect("added");
        let after = spent.epsilon(delta);
        assert!(after.pld.is_none() && after.rdp > before.rdp && after.least() == after.rdp);
    }
}
