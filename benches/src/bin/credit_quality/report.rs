//! What is printed: tables for readers or objects for programs, and what the figures must be.

use crate::attack::{ATTACKS, Attack};
use crate::baseline::BASELINES;
use crate::figures::{Figure, Summary};
use crate::measure::{ENCRYPTED, EXACT};
use crate::metric::mean;
use crate::scenario::{SCENARIOS, Scenario};

/// What is printed of a scenario.
const OF_SCENARIO: [Figure; 11] = [
    Figure::Spearman,
    Figure::Kendall,
    Figure::Auc,
    Figure::Misallocated,
    Figure::WorthlessPaid,
    Figure::NoveltyHit,
    Figure::NoveltyFalse,
    Figure::HarmHit,
    Figure::HarmFalse,
    Figure::PublicFalse,
    Figure::Agreement,
];

/// What is printed of an attack.
const OF_ATTACK: [Figure; 7] = [
    Figure::Paid,
    Figure::Gain,
    Figure::NoveltyFlagged,
    Figure::HarmFlagged,
    Figure::Flagged,
    Figure::PublicFlagged,
    Figure::RecallChange,
];

/// A method's name is at most so long, a scenario's too.
const NAME_WIDTH: usize = 23;

/// All that was measured.
#[derive(Default)]
pub(crate) struct Report {
    pub(crate) scenarios: Vec<Summary>,
    pub(crate) attacks: Vec<Summary>,
}

impl Report {
    /// One object for each scenario and method.
    pub(crate) fn print_json(&self) {
        for summary in &self.scenarios {
            println!("{}", summary.json(&OF_SCENARIO));
        }
        for summary in &self.attacks {
            println!("{}", summary.json(&OF_ATTACK));
        }
    }

    /// Tables, and whether the figures are what they must be.
    pub(crate) fn print(&self) {
        for (title, summaries, figures) in [
            ("scenario", &self.scenarios, &OF_SCENARIO[..]),
            ("attack", &self.attacks, &OF_ATTACK[..]),
        ] {
            if summaries.is_empty() {
                continue;
            }
            print!("{title:<NAME_WIDTH$} {:<NAME_WIDTH$}", "method");
            figures.iter().for_each(|figure| print!(" {:>15}", figure.word()));
            println!();
            for summary in summaries {
                print!("{:<NAME_WIDTH$} {:<NAME_WIDTH$}", summary.scenario, summary.method);
                figures.iter().for_each(|figure| print!(" {:>15}", cell(summary, *figure)));
                println!();
            }
            println!();
        }
        println!("It must show:");
        for Demand { what, value, is_met } in self.demands() {
            let word = match is_met {
                None => "not measured",
                Some(true) => "pass",
                Some(false) => "FAIL",
            };
            let value = value.map_or_else(String::new, |value| format!("{value:.3}"));
            println!("{word:<13} {value:>7}  {what}");
        }
    }

    /// What the figures of the encrypted run must be.
    pub(crate) fn demands(&self) -> Vec<Demand> {
        let mut demands = Vec::new();
        let spearman = [
            (Scenario::Mixed, 0.85),
            (Scenario::Label, 0.85),
            (Scenario::DirichletLabel, 0.72),
            (Scenario::MixedDirichlet, 0.80),
            (Scenario::Counts, 0.75),
        ];
        for (scenario, least) in spearman {
            let value = self.of(scenario.word(), ENCRYPTED, Figure::Spearman);
            demands.push(Demand::least(format!("Spearman, {scenario}"), value, least));
        }
        for scenario in SCENARIOS.into_iter().filter(|one| *one != Scenario::Counts) {
            let value = self.of(scenario.word(), ENCRYPTED, Figure::Auc);
            demands.push(Demand::least(format!("AUC, {scenario}"), value, 0.95));
        }
        let value = self.of(Scenario::Mixed.word(), ENCRYPTED, Figure::Misallocated);
        demands.push(Demand::most("misallocated, mixed".to_owned(), value, 0.12));
        for attack in [Attack::Zero, Attack::Random, Attack::SignFlip, Attack::Noise] {
            let value = self.of(&attack.to_string(), ENCRYPTED, Figure::Paid);
            demands.push(Demand::most(format!("paid, {attack}"), value, 0.02));
        }
        for scenario in SCENARIOS {
            let value = self.of(scenario.word(), ENCRYPTED, Figure::WorthlessPaid);
            let has_worthless = !matches!(scenario, Scenario::Rare | Scenario::Counts);
            if has_worthless {
                let what = format!("paid, worthless owners of {scenario}");
                demands.push(Demand::most(what, value, 0.02));
            }
        }
        for attack in [Attack::Replay, Attack::HiddenPoison] {
            let value = self.of(&attack.to_string(), ENCRYPTED, Figure::Flagged);
            demands.push(Demand::least(format!("flagged, {attack}"), value, 0.8));
        }
        let what = "rank agreement with exact inner products, mean of scenarios";
        let value = self.mean_of_six(ENCRYPTED, Figure::Agreement);
        demands.push(Demand::least(what.to_owned(), value, 0.97));
        let own = self.mean_of_six(ENCRYPTED, Figure::Spearman);
        for baseline in BASELINES {
            let other = self.mean_of_six(baseline.word(), Figure::Spearman);
            let lead = own.zip(other).map(|(own, other)| own - other);
            let what = format!("lead over {} in Spearman, mean of six", baseline.word());
            demands.push(Demand::least(what, lead, 0.0));
        }
        demands
    }

    fn of(&self, scenario: &str, method: &str, figure: Figure) -> Option<f64> {
        let mut all = self.scenarios.iter().chain(&self.attacks);
        all.find(|one| one.scenario == scenario && one.method == method)?.mean(figure)
    }

    /// Nothing unless all six were measured.
    fn mean_of_six(&self, method: &str, figure: Figure) -> Option<f64> {
        let of = |scenario: &Scenario| self.of(scenario.word(), method, figure);
        mean(&SCENARIOS.iter().map(of).collect::<Option<Vec<_>>>()?)
    }
}

/// A figure, and whether it is what it must be.
pub(crate) struct Demand {
    pub(crate) what: String,
    pub(crate) value: Option<f64>,
    /// Nothing where it was not measured.
    pub(crate) is_met: Option<bool>,
}

impl Demand {
    fn least(what: String, value: Option<f64>, least: f64) -> Self {
        let is_met = value.map(|value| value >= least);
        Self { what: format!("{what}: at least {least}"), value, is_met }
    }

    fn most(what: String, value: Option<f64>, most: f64) -> Self {
        let is_met = value.map(|value| value <= most);
        Self { what: format!("{what}: at most {most}"), value, is_met }
    }
}

/// Mean and deviation.
fn cell(summary: &Summary, figure: Figure) -> String {
    match (summary.mean(figure), summary.deviation(figure)) {
        (None, _) => "-".to_owned(),
        (Some(mean), None) => format!("{mean:.3}"),
        (Some(mean), Some(deviation)) => format!("{mean:.3} ({deviation:.3})"),
    }
}

/// The summaries of attacks, from each seed's figures in the order of [`ATTACKS`].
pub(crate) fn attack_summaries() -> Vec<Summary> {
    let of = |attack: Attack| {
        [ENCRYPTED, EXACT].map(|method| Summary {
            scenario: attack.to_string(),
            method,
            seeds: Vec::new(),
        })
    };
    ATTACKS.into_iter().flat_map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::Figures;

    fn report(spearman: f64) -> Report {
        let of = |scenario: Scenario, method, value| {
            let mut figures = Figures::default();
            figures.set(Figure::Spearman, Some(value));
            Summary { scenario: scenario.to_string(), method, seeds: vec![figures] }
        };
        let scenarios = SCENARIOS
            .into_iter()
            .flat_map(|one| [of(one, ENCRYPTED, spearman), of(one, "cosine", 0.79)])
            .collect();
        Report { scenarios, attacks: Vec::new() }
    }

    #[test]
    fn a_demand_is_met_missed_or_not_measured() {
        let met = |report: &Report, what: &str| {
            let demands = report.demands();
            let demand = demands.iter().find(|demand| demand.what.starts_with(what));
            demand.expect("it is demanded").is_met
        };
        assert_eq!(met(&report(0.8), "Spearman, mixed-dirichlet"), Some(true));
        assert_eq!(met(&report(0.8), "Spearman, mixed:"), Some(false));
        assert_eq!(met(&report(0.8), "lead over cosine"), Some(true));
        assert_eq!(met(&report(0.7), "lead over cosine"), Some(false));
        assert_eq!(met(&report(0.8), "lead over fedsv "), None);
        assert_eq!(met(&report(0.8), "paid, zero"), None);
        let mut five = report(0.8);
        five.scenarios.retain(|summary| summary.scenario != "rare");
        assert_eq!(met(&five, "lead over cosine"), None);
    }
}
