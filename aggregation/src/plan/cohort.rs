//! How many owners a round needs, and how long its phases may take.

use crate::limits::{CONTRIBUTIONS_FLOOR, CONTRIBUTIONS_MAX, DEADLINE_MS_MAX};

use super::error::{Code, Collector};
use super::section::Section;

/// The `[cohort]` section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cohort {
    /// Fewest contributions that are opened.
    pub minimum: u32,
    /// Most contributions that are summed.
    pub maximum: u32,
    /// How long each phase may take.
    pub deadlines: Deadlines,
    /// What is done about a round that too few contribute to.
    pub on_shortfall: OnShortfall,
}

/// What is done about a round that fewer than the minimum contribute to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnShortfall {
    /// Collecting goes on once more, as long as it may take, before the round is abandoned.
    ExtendOnce,
    /// The round is abandoned, and the next begins.
    #[default]
    SkipRound,
    /// The round is abandoned, and the run is over.
    Stop,
}

impl OnShortfall {
    /// Its word in a plan.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::ExtendOnce => "extend-once",
            Self::SkipRound => "skip-round",
            Self::Stop => "stop",
        }
    }

    /// All of them.
    pub const ALL: [Self; 3] = [Self::ExtendOnce, Self::SkipRound, Self::Stop];
}

impl Cohort {
    /// How long a round collects once more when too few have contributed; 0 for not at all.
    #[must_use]
    pub const fn collect_again_ms(&self) -> u64 {
        match self.on_shortfall {
            OnShortfall::ExtendOnce => self.deadlines.collect_ms,
            OnShortfall::SkipRound | OnShortfall::Stop => 0,
        }
    }
}

/// The longest each phase of a round may take, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadlines {
    /// Finding the cohort and agreeing on the terms.
    pub select_ms: u64,
    /// Training and sending.
    pub collect_ms: u64,
    /// Agreeing on the set of contributions.
    pub vote_ms: u64,
    /// Proving that an update is small, where rounds are audited.
    pub audit_ms: u64,
    /// Opening the sum.
    pub release_ms: u64,
}

pub(super) fn read(mut section: Section<'_>, errors: &mut Collector<'_>) -> Option<Cohort> {
    let minimum = section.whole(errors, "minimum", 1..=CONTRIBUTIONS_MAX.into());
    let maximum = section.whole(errors, "maximum", 1..=CONTRIBUTIONS_MAX.into());
    let deadlines = match section.optional("deadlines") {
        Some(field) => field.section(errors).and_then(|section| read_deadlines(section, errors)),
        None => Some(DEFAULT_DEADLINES),
    };
    let choices = OnShortfall::ALL.map(|one| (one.word(), one));
    let on_shortfall = match section.optional("on_shortfall") {
        Some(field) => field.choice(errors, &choices),
        None => Some(OnShortfall::default()),
    };
    section.finish(errors);
    if let Some(minimum) = &minimum
        && minimum.value < u64::from(CONTRIBUTIONS_FLOOR)
    {
        let message = format!(
            "cohort.minimum = {} lets one owner learn another's update from the sum",
            minimum.value
        );
        let help = format!("use at least {CONTRIBUTIONS_FLOOR}; most owners will ask for 10");
        errors.push(&minimum.span, Code::CohortTooSmall, message, help);
    }
    let (minimum, maximum) = (minimum?, maximum?);
    if minimum.value > maximum.value {
        let message = format!("cohort.minimum = {} is above the maximum", minimum.value);
        let help = format!("raise cohort.maximum = {} or lower the minimum", maximum.value);
        errors.push(&minimum.span, Code::CohortOrder, message, help);
    }
    let (least, most) = (minimum.value as u32, maximum.value as u32);
    let (deadlines, on_shortfall) = (deadlines?, on_shortfall?);
    Some(Cohort { minimum: least, maximum: most, deadlines, on_shortfall })
}

const DEFAULT_DEADLINES: Deadlines = Deadlines {
    select_ms: 60_000,
    collect_ms: 600_000,
    vote_ms: 60_000,
    audit_ms: 60_000,
    release_ms: 60_000,
};

fn read_deadlines(mut section: Section<'_>, errors: &mut Collector<'_>) -> Option<Deadlines> {
    let mut deadline = |name, default_ms| match section.optional(name) {
        Some(field) => field.duration_ms(errors, DEADLINE_MS_MAX),
        None => Some(default_ms),
    };
    let select = deadline("select", DEFAULT_DEADLINES.select_ms);
    let collect = deadline("collect", DEFAULT_DEADLINES.collect_ms);
    let vote = deadline("vote", DEFAULT_DEADLINES.vote_ms);
    let audit = deadline("audit", DEFAULT_DEADLINES.audit_ms);
    let release = deadline("release", DEFAULT_DEADLINES.release_ms);
    section.finish(errors);
    Some(Deadlines {
        select_ms: select?,
        collect_ms: collect?,
        vote_ms: vote?,
        audit_ms: audit?,
        release_ms: release?,
    })
}
