//! What the evidence of a run comes to so far, owner by owner: all that the next round's sum is
//! weighed by. It goes from round to round in what holders attest ([`super::CreditState`]), so that
//! nobody has to remember, or be told, the evidence of earlier rounds.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::evidence::RoundEvidence;
use super::flag::SHARE_UNITS;
use super::share::{claims_of, shares};
use super::terms::COUNT_CAP_MEDIANS;
use crate::limits::STANDINGS_MAX;
use crate::party::PartyId;
use crate::wire::bounded;

/// One owner's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// Whose.
    pub owner: PartyId,
    /// Its parts of the claims of the rounds that it took part in, added up: in billionths of a
    /// round's ([`SHARE_UNITS`]), so at most as many in absolute value as there were rounds.
    pub share: i64,
    /// How many rounds these are; at least 1.
    pub rounds: u32,
}

/// All owners', ascending, each once; at most [`STANDINGS_MAX`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Unchecked")]
pub struct Standings(Vec<Standing>);

#[derive(Deserialize)]
struct Unchecked(#[serde(deserialize_with = "bounded::<_, _, STANDINGS_MAX>")] Vec<Standing>);

/// A list that no rounds leave.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadStandings {
    /// Not ascending by owner.
    #[error("the standing of {0} is not in its place, or a second one")]
    Order(PartyId),
    /// No round, or a share that so many rounds cannot give.
    #[error("the standing of {0} is that of no rounds")]
    Share(PartyId),
}

impl Standings {
    /// Everybody's.
    #[must_use]
    pub fn all(&self) -> &[Standing] {
        &self.0
    }

    /// One owner's; none before its first round with evidence.
    #[must_use]
    pub fn of(&self, owner: &PartyId) -> Option<&Standing> {
        let at = self.0.binary_search_by_key(owner, |standing| standing.owner).ok()?;
        Some(&self.0[at])
    }

    /// After one more round with evidence: each contribution's claim, as it is credited, as a part
    /// of all claims of the round ([`super::settle`]). The order of rounds does not matter. Owners
    /// beyond [`STANDINGS_MAX`] are not remembered.
    #[must_use]
    pub fn after(&self, round: &RoundEvidence) -> Self {
        let mut all: BTreeMap<PartyId, Standing> =
            self.0.iter().map(|standing| (standing.owner, *standing)).collect();
        let shares = shares(&claims_of(COUNT_CAP_MEDIANS, round));
        for (evidence, share) in round.contributions().iter().zip(shares) {
            let owner = evidence.owner;
            if all.len() >= STANDINGS_MAX && !all.contains_key(&owner) {
                continue;
            }
            let standing = all.entry(owner).or_insert(Standing { owner, share: 0, rounds: 0 });
            // At most 2^30 in each of 2^32 rounds.
            standing.share += share;
            standing.rounds = standing.rounds.saturating_add(1);
        }
        Self(all.into_values().collect())
    }
}

impl TryFrom<Unchecked> for Standings {
    type Error = BadStandings;

    fn try_from(Unchecked(all): Unchecked) -> Result<Self, BadStandings> {
        if let Some(pair) = all.windows(2).find(|pair| pair[0].owner >= pair[1].owner) {
            return Err(BadStandings::Order(pair[1].owner));
        }
        let is_of_rounds = |one: &Standing| {
            let most = u64::from(one.rounds) * SHARE_UNITS;
            one.rounds > 0 && one.share.unsigned_abs() <= most
        };
        match all.iter().find(|one| !is_of_rounds(one)) {
            Some(bad) => Err(BadStandings::Share(bad.owner)),
            None => Ok(Self(all)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credit::Evidence;
    use crate::hash::Digest;
    use crate::wire;

    fn owner(index: u8) -> PartyId {
        PartyId([index; 32])
    }

    fn round(number: u32, scores: &[(u8, u32, i64)]) -> RoundEvidence {
        let one = |&(index, count, s): &(u8, u32, i64)| Evidence {
            owner: owner(index),
            count,
            s,
            novelty: 0,
            harm: 0,
        };
        let all = scores.iter().map(one).collect();
        RoundEvidence::new(number, Digest([number as u8; 32]), all).expect("good evidence")
    }

    #[test]
    fn shares_of_the_rounds_that_an_owner_took_part_in_are_added_up_in_any_order() {
        // Roots of counts weigh: 2 x 1, 1 x 2, 1 x -4 of 8.
        let first = round(1, &[(1, 4, 1), (2, 1, 2), (3, 1, -4)]);
        let second = round(2, &[(1, 1, 3), (4, 1, 1)]);
        let standings = Standings::default().after(&first).after(&second);
        assert_eq!(standings, Standings::default().after(&second).after(&first));
        let found: Vec<_> =
            standings.all().iter().map(|one| (one.owner, one.share, one.rounds)).collect();
        let million = 1_000_000;
        let expected = [
            (owner(1), 1000 * million, 2),
            (owner(2), 250 * million, 1),
            (owner(3), -500 * million, 1),
            (owner(4), 250 * million, 1),
        ];
        assert_eq!(found, expected);
        assert_eq!(standings.of(&owner(3)).map(|one| one.rounds), Some(1));
        assert_eq!(standings.of(&owner(9)), None);
        assert_eq!(wire::decode::<Standings>(&wire::encode(&standings), 1 << 16), Ok(standings));
    }

    #[test]
    fn a_list_that_no_rounds_leave_is_refused() {
        let good = Standing { owner: owner(1), share: 5, rounds: 1 };
        let wrongs = [
            vec![good, good],
            vec![Standing { owner: owner(2), ..good }, good],
            vec![Standing { rounds: 0, share: 0, ..good }],
            vec![Standing { share: 1_000_000_001, ..good }],
            vec![Standing { share: i64::MIN, ..good }],
        ];
        for wrong in wrongs {
            let bytes = wire::encode(&Standings(wrong.clone()));
            assert!(wire::decode::<Standings>(&bytes, 1 << 16).is_err(), "{wrong:?}");
        }
    }
}
