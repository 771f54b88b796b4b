//! What a federation's ledger begins with: section `[ledger]` of coordinator.toml. It counts once, when
//! the committee is complete; from then on reviewers change it by their votes.

use covey_aggregation::party::{Name, PartyId, Role};
use covey_aggregation::roster::Roster;
use covey_ledger::charter::{Charter, WINDOW_MS_MAX};
use covey_ledger::entry::INTEGER_MAX;
use serde::Deserialize;

/// Milliseconds of an hour.
const HOUR_MS: u64 = 3_600_000;

/// Micro-credits of a credit.
const MICRO: u64 = 1_000_000;

/// What a ledger begins with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, try_from = "Typed")]
pub struct Founding {
    /// Who reviews credits; the key holders if not given.
    reviewers: Option<Vec<Name>>,
    dispute_window_ms: Option<u64>,
    vote_window_ms: Option<u64>,
    budget_free_micro: Option<u64>,
}

/// The section as typed.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Typed {
    reviewers: Option<Vec<Name>>,
    dispute_window_hours: Option<f64>,
    vote_window_hours: Option<f64>,
    budget_free_credits: Option<u64>,
}

impl TryFrom<Typed> for Founding {
    type Error = String;

    fn try_from(typed: Typed) -> Result<Self, String> {
        let window = |name: &str, hours: Option<f64>| {
            let Some(hours) = hours else { return Ok(None) };
            let ms = hours * HOUR_MS as f64;
            if (1.0..=WINDOW_MS_MAX as f64).contains(&ms) {
                return Ok(Some(ms as u64));
            }
            let most = WINDOW_MS_MAX / HOUR_MS;
            Err(format!("{name} = {hours}: use more than 0 and at most {most}"))
        };
        let credits = typed.budget_free_credits;
        if credits.is_some_and(|credits| credits > INTEGER_MAX / MICRO) {
            return Err(format!("budget_free_credits: use at most {}", INTEGER_MAX / MICRO));
        }
        Ok(Self {
            reviewers: typed.reviewers,
            dispute_window_ms: window("dispute_window_hours", typed.dispute_window_hours)?,
            vote_window_ms: window("vote_window_hours", typed.vote_window_hours)?,
            budget_free_micro: credits.map(|credits| credits * MICRO),
        })
    }
}

impl Founding {
    /// Reviewers and charter of a federation with this founding roster. Whoever is named and not on it
    /// does not review.
    #[must_use]
    pub fn of(&self, roster: &Roster) -> (Vec<PartyId>, Charter) {
        let is_one = |member: &&covey_aggregation::roster::Member| match &self.reviewers {
            Some(names) => names.contains(&member.name),
            None => member.role == Role::Holder,
        };
        let reviewers: Vec<_> = roster.members.iter().filter(is_one).map(|one| one.id).collect();
        let free = self.budget_free_micro.unwrap_or(INTEGER_MAX);
        let mut charter = Charter::usual(reviewers.len(), free);
        if let Some(window_ms) = self.dispute_window_ms {
            charter.dispute_window_ms = window_ms;
        }
        if let Some(window_ms) = self.vote_window_ms {
            charter.vote_window_ms = window_ms;
        }
        (reviewers, charter)
    }
}
