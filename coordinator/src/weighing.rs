//! How often each owner's update counted in a round's sum, where the plan lets evidence weigh it, as
//! it is told: read from the round's terms, in which nobody can say anything else.

use std::fmt;

use covey_aggregation::config::RoundConfig;
use covey_aggregation::party::{Name, PartyId};
use covey_aggregation::roster::Roster;
use serde::{Deserialize, Serialize};

/// How often one owner's update counted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counting {
    /// Whose.
    pub name: Name,
    /// How often; 0 where it is in no sum, though it is audited and credited.
    pub times: u32,
}

/// A weighed round's owners.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Weighing {
    /// Of each owner of the accepted set, in its order.
    pub times: Vec<Counting>,
    /// Why all count once, where they do.
    pub once: Option<String>,
}

impl Weighing {
    /// Of a round with these terms that counted these owners; none where evidence weighs nothing.
    pub(crate) fn of(config: &RoundConfig, counted: &[PartyId], roster: &Roster) -> Option<Self> {
        let once = config.weighed(counted)?.err().map(|why| why.to_string());
        let times = config.multiplicities(counted.iter().copied());
        let counting = |(id, times)| {
            let name = roster.member(id)?.name.clone();
            Some(Counting { name, times })
        };
        Some(Self { times: counted.iter().zip(times).filter_map(counting).collect(), once })
    }
}

impl fmt::Display for Weighing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(why) = &self.once {
            return write!(f, "all updates count once: {why}");
        }
        let of = |Counting { name, times }: &Counting| format!("{name} {times}");
        let times: Vec<_> = self.times.iter().map(of).collect();
        write!(f, "times that each counts, by earlier evidence: {}", times.join(", "))
    }
}
