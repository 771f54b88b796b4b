//! The rules of a policy by their codes, and what comes of one.

use std::fmt;

use serde::{Serialize, Serializer};

/// Declares the closed list of rules with their stable codes.
macro_rules! rules {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $setting:literal;)*) => {
        /// A rule; its code never changes its meaning.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Rule { $($(#[$doc])* $name,)* }

        impl Rule {
            /// The code, such as `Y007`.
            #[must_use]
            pub const fn code(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }

            /// Where an owner sets it.
            #[must_use]
            pub const fn setting(self) -> &'static str {
                match self { $(Self::$name => $setting,)* }
            }

            /// All rules, in the order of their codes.
            pub const ALL: &[Self] = &[$(Self::$name,)*];
        }
    };
}

rules! {
    /// The purpose is allowed, or the owner has approved the run.
    Purpose = "Y001", "allow.purposes";
    /// The owner has not denied the run.
    NotDenied = "Y002", "runs deny";
    /// It is the right part of the day.
    Hours = "Y003", "limits.hours";
    /// Not too many rounds.
    Rounds = "Y004", "limits.max_rounds";
    /// Not too many rounds beyond the plan's.
    ExtraRounds = "Y005", "limits.extra_rounds";
    /// Not too many counts.
    Counters = "Y006", "limits.max_counters";
    /// Enough owners in a sum.
    Cohort = "Y007", "require.min_cohort";
    /// No second vector where none is allowed.
    Control = "Y008", "limits.control";
    /// Not too much is published about the owner alone.
    Released = "Y009", "limits.max_released";
    /// Not too many passes over the data.
    LocalEpochs = "Y010", "limits.max_local_epochs";
    /// Not too many parameters.
    Parameters = "Y011", "allow.max_parameters";
    /// No other layers.
    Layers = "Y012", "allow.layers";
    /// An audit where one is required.
    Audit = "Y013", "require.audit";
    /// Enough key holders.
    KeyHolders = "Y014", "require.key_holders";
    /// Updates are not too long.
    Clip = "Y015", "require.clip_max";
    /// No other data, and no other columns of them.
    Columns = "Y016", "dataset.columns";
    /// Not too many bytes a day.
    Upload = "Y017", "limits.upload_bytes_per_day_max";
    /// Noise where it is required, and no more spent than there is.
    Privacy = "Y018", "require.privacy";
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl Serialize for Rule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

/// What comes of a rule, from the mildest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It holds.
    Pass,
    /// It is decided when a round is offered.
    Later,
    /// The owner has to say.
    Asks,
    /// It does not hold.
    Fail,
}

impl Outcome {
    /// Whether a round may begin with it.
    #[must_use]
    pub const fn allows(self) -> bool {
        matches!(self, Self::Pass | Self::Later)
    }
}

impl Outcome {
    /// What follows from it, in words.
    #[must_use]
    pub const fn said(self) -> &'static str {
        match self {
            Self::Pass => "allowed",
            Self::Later => "allowed, as far as can be told before a round is offered",
            Self::Asks => "asks: not joined until you approve the run",
            Self::Fail => "refused",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Pass => "pass",
            Self::Later => "later",
            Self::Asks => "asks",
            Self::Fail => "fail",
        })
    }
}

/// What came of one rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The rule's code.
    #[serde(rename = "code")]
    pub rule: Rule,
    /// What came of it.
    pub outcome: Outcome,
    /// Why: what is asked, and what is allowed.
    pub why: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rule, outcome, why } = self;
        write!(f, "{outcome:<5}  {rule}  {why}")
    }
}

/// What came of all rules, in the order of their codes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Verdict(pub Vec<Finding>);

impl Verdict {
    /// The strictest outcome of all.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        self.0.iter().map(|finding| finding.outcome).max().unwrap_or(Outcome::Pass)
    }

    /// The rules that do not let the round begin: those that fail, or else those that ask.
    #[must_use]
    pub fn against(&self) -> Vec<&Finding> {
        let outcome = self.outcome();
        let against = self.0.iter().filter(|one| !outcome.allows() && one.outcome == outcome);
        against.collect()
    }

    /// Why the round may not begin, in one line.
    #[must_use]
    pub fn reason(&self) -> String {
        let against = self.against();
        let parts: Vec<_> = against.iter().map(|one| format!("{} {}", one.rule, one.why)).collect();
        parts.join("; ")
    }

    /// How many rules came to what, in words.
    #[must_use]
    pub fn counts(&self) -> String {
        let count = |outcome| self.0.iter().filter(|one| one.outcome == outcome).count();
        let [pass, fail, asks, later] =
            [Outcome::Pass, Outcome::Fail, Outcome::Asks, Outcome::Later].map(count);
        let later = if later > 0 {
            format!(" · {later} told when a round is offered")
        } else {
            String::new()
        };
        format!("{pass} rules pass · {fail} fail · {asks} ask{later}")
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for finding in &self.0 {
            writeln!(f, "{finding}")?;
        }
        f.write_str(&self.counts())
    }
}
