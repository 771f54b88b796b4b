//! Every setting of a policy as it stands in the file, with what it means. What is not set is
//! commented out.

use std::fmt;
use std::fmt::Display;

use super::file::SCHEMA;
use super::{Policy, Unknown};

/// Where comments begin.
const COMMENT_COLUMN: usize = 41;

/// A setting.
struct Setting {
    name: &'static str,
    /// As TOML; none where it is not set.
    value: Option<String>,
    /// What could stand here.
    example: &'static str,
    about: &'static str,
}

impl Setting {
    fn set(name: &'static str, value: impl Display, about: &'static str) -> Self {
        Self { name, value: Some(value.to_string()), example: "", about }
    }

    fn perhaps(
        name: &'static str,
        value: Option<impl Display>,
        example: &'static str,
        about: &'static str,
    ) -> Self {
        Self { name, value: value.map(|value| value.to_string()), example, about }
    }
}

/// Texts as a TOML list.
fn list<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    let texts: Vec<_> = texts.into_iter().map(|text| toml::Value::from(text).to_string()).collect();
    format!("[{}]", texts.join(", "))
}

impl Policy {
    fn unknown_setting(&self) -> Setting {
        let value = match self.unknown {
            Unknown::Ask => "\"ask\"",
            Unknown::Deny => "\"deny\"",
        };
        let about = "a run whose purpose is not allowed below: ask (recorded; joined once you \
                     approve it) or deny";
        Setting::set("unknown", value, about)
    }

    fn limit_settings(&self) -> Vec<Setting> {
        let limits = &self.limits;
        vec![
            Setting::perhaps(
                "hours",
                limits.hours.map(|hours| format!("\"{hours}\"")),
                "\"20:00-06:00\"",
                "in UTC: when updates are trained and sent",
            ),
            Setting::perhaps(
                "threads",
                limits.threads,
                "8",
                "processor threads of training and encrypting; if not given, all",
            ),
            Setting::perhaps(
                "dataset_bytes_max",
                limits.dataset_bytes_max,
                "4000000000",
                "most bytes of memory to read data into; if not given, half of what is free",
            ),
            Setting::perhaps(
                "device_memory_bytes_max",
                limits.device_memory_bytes_max,
                "8000000000",
                "most bytes of a graphics card's memory to train with",
            ),
            Setting::perhaps(
                "upload_bytes_per_day_max",
                limits.upload_bytes_per_day_max,
                "2000000000",
                "most bytes of updates that are sealed for sending on a day (UTC)",
            ),
            Setting::set("max_rounds", limits.max_rounds, "no plan with more rounds"),
            Setting::set(
                "extra_rounds",
                limits.extra_rounds,
                "rounds beyond the plan's, if the operator extends the run",
            ),
            Setting::perhaps(
                "max_local_epochs",
                limits.max_local_epochs,
                "5",
                "most passes over your data in a round: with more, a model learns them by heart",
            ),
            Setting::set(
                "max_counters",
                limits.max_counters,
                "counts of held-out examples that may leave, inside the sum",
            ),
            Setting::set(
                "control",
                limits.control,
                "whether SCAFFOLD's second vector may leave, inside the sum",
            ),
            Setting::set(
                "max_released",
                limits.max_released,
                "numbers about you alone that a plan with credit may publish in a round; 0: none",
            ),
            Setting::set(
                "report_compute",
                limits.report_compute,
                "whether everybody is told what a round took this machine: examples, time, bytes",
            ),
        ]
    }

    fn require_settings(&self) -> Vec<Setting> {
        let require = &self.require;
        vec![
            Setting::set("audit", require.audit, "only rounds in which every update is audited"),
            Setting::set(
                "min_cohort",
                require.min_cohort,
                "nothing is opened with fewer owners in the sum; 10 is better",
            ),
            Setting::perhaps(
                "key_holders",
                require.key_holders_at_least.map(|least| format!("{{ at_least = {least} }}")),
                "{ at_least = 7 }",
                "fewest key holders of the committee: 4, or 7",
            ),
            Setting::perhaps(
                "clip_max",
                require.clip_max.map(|clip| format!("{clip:?}")),
                "2.0",
                "longest update (L2 norm) that a plan may ask for",
            ),
            Setting::perhaps(
                "privacy",
                require.privacy.map(|budget| {
                    let (epsilon, delta) = (budget.epsilon(), budget.delta().get());
                    format!("{{ epsilon = {epsilon:?}, delta = {delta:?} }}")
                }),
                "{ epsilon = 8.0, delta = 1e-6 }",
                "only rounds with noise: all of them about these data cost no more together",
            ),
        ]
    }

    fn allow_settings(&self) -> Vec<Setting> {
        let allow = &self.allow;
        let layers = allow.layers.as_ref().map(|layers| list(layers.iter().copied()));
        vec![
            Setting::set(
                "purposes",
                list(allow.purposes.iter().map(String::as_str)),
                "purposes of plans that may run, \"*\" for any text: [\"*readmission*\"]",
            ),
            Setting::perhaps(
                "layers",
                layers,
                "[\"linear\", \"relu\"]",
                "layers that a model may have; if not given, any",
            ),
            Setting::perhaps(
                "max_parameters",
                allow.max_parameters,
                "5000000",
                "most parameters that are trained",
            ),
        ]
    }
}

/// The file, with everything that stands in it or by default.
impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "# What may run on this machine and what may leave it. It is read here only, and"
        )?;
        writeln!(f, "# nobody upstream can loosen it. Lines that begin with # are not set.")?;
        writeln!(f, "schema = \"{SCHEMA}\"")?;
        write_all(f, &[self.unknown_setting()])?;
        let sections = [
            ("limits", "how much of this machine and of your data", self.limit_settings()),
            ("require", "what every round must have", self.require_settings()),
            ("allow", "what may run at all", self.allow_settings()),
        ];
        for (name, about, settings) in sections {
            writeln!(f, "\n{:<COMMENT_COLUMN$} # {about}", format!("[{name}]"))?;
            write_all(f, &settings)?;
        }
        writeln!(f)?;
        if self.datasets.is_empty() {
            writeln!(
                f,
                "# Once one is listed, no other data are read, and of it no other columns."
            )?;
            writeln!(f, "# [[dataset]]")?;
            writeln!(f, "# name = \"readmissions\"      # as in covey-client data add")?;
            return write!(f, "# columns = [\"age\", \"readmitted\"]");
        }
        for (index, (name, columns)) in self.datasets.iter().enumerate() {
            let gap = if index > 0 { "\n\n" } else { "" };
            let columns = list(columns.iter().map(String::as_str));
            write!(f, "{gap}[[dataset]]\nname = \"{name}\"\ncolumns = {columns}")?;
        }
        Ok(())
    }
}

fn write_all(f: &mut fmt::Formatter<'_>, settings: &[Setting]) -> fmt::Result {
    for Setting { name, value, example, about } in settings {
        let line = match value {
            Some(value) => format!("{name} = {value}"),
            None => format!("# {name} = {example}"),
        };
        writeln!(f, "{line:<COMMENT_COLUMN$} # {about}")?;
    }
    Ok(())
}
