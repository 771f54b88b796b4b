//! What is measured of a method, and its mean and deviation over seeds.

use serde_json::{Map, Value};

use crate::metric::{deviation, mean};

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Figure {
    /// Rank correlation of scores with the truth.
    Spearman,
    /// Kendall's tau-b of the same.
    Kendall,
    /// Probability that a bad owner scores below a good one.
    Auc,
    /// Share of the budget that goes elsewhere than the truth says.
    Misallocated,
    /// What an owner that deserves nothing is paid, in mean payments.
    WorthlessPaid,
    /// Share of free-riders that are flagged for novelty.
    NoveltyHit,
    /// Share of good owners that are.
    NoveltyFalse,
    /// Share of those who do harm that are flagged for it.
    HarmHit,
    /// Share of good owners that are.
    HarmFalse,
    /// Rank correlation with credits by exact inner products.
    Agreement,
    /// What an attacker is paid, in payments of the honest owners beside it.
    Paid,
    /// The same in what a clean honest owner would have been paid in its place.
    Gain,
    /// Share of seeds in which the attacker is flagged for novelty.
    NoveltyFlagged,
    /// Share of seeds in which it is flagged for harm.
    HarmFlagged,
    /// Share of good owners that the number that is not released would flag.
    PublicFalse,
    /// Share of seeds in which it would flag the attacker.
    PublicFlagged,
    /// Share of seeds in which the attacker is flagged for novelty or harm.
    Flagged,
    /// What the model finds of the class that a poison is against, beside an honest owner in the
    /// attacker's place.
    RecallChange,
}

const FIGURES: [(Figure, &str); 18] = [
    (Figure::Spearman, "spearman"),
    (Figure::Kendall, "kendall"),
    (Figure::Auc, "auc"),
    (Figure::Misallocated, "misallocated"),
    (Figure::WorthlessPaid, "worthless_paid"),
    (Figure::NoveltyHit, "novelty_hit"),
    (Figure::NoveltyFalse, "novelty_false"),
    (Figure::HarmHit, "harm_hit"),
    (Figure::HarmFalse, "harm_false"),
    (Figure::Agreement, "agreement"),
    (Figure::Paid, "paid"),
    (Figure::Gain, "gain"),
    (Figure::NoveltyFlagged, "novelty_flagged"),
    (Figure::HarmFlagged, "harm_flagged"),
    (Figure::PublicFalse, "public_false"),
    (Figure::PublicFlagged, "public_flagged"),
    (Figure::Flagged, "flagged"),
    (Figure::RecallChange, "recall_change"),
];

/// Figures of one method with one seed; nothing where a figure means nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Figures([Option<f64>; FIGURES.len()]);

impl Figures {
    pub(crate) const fn set(&mut self, figure: Figure, value: Option<f64>) {
        self.0[figure as usize] = value;
    }

    pub(crate) const fn get(&self, figure: Figure) -> Option<f64> {
        self.0[figure as usize]
    }
}

/// One method in one scenario, over seeds.
pub(crate) struct Summary {
    pub(crate) scenario: String,
    pub(crate) method: &'static str,
    pub(crate) seeds: Vec<Figures>,
}

impl Summary {
    fn values(&self, figure: Figure) -> Vec<f64> {
        self.seeds.iter().filter_map(|figures| figures.get(figure)).collect()
    }

    /// The mean over the seeds that have the figure.
    pub(crate) fn mean(&self, figure: Figure) -> Option<f64> {
        mean(&self.values(figure))
    }

    pub(crate) fn deviation(&self, figure: Figure) -> Option<f64> {
        deviation(&self.values(figure))
    }

    /// One object: every figure of `figures` and its deviation, null where there is none.
    pub(crate) fn json(&self, figures: &[Figure]) -> Value {
        let mut object = Map::new();
        object.insert("scenario".to_owned(), self.scenario.clone().into());
        object.insert("method".to_owned(), self.method.into());
        object.insert("seeds".to_owned(), self.seeds.len().into());
        for figure in figures {
            let word = figure.word();
            object.insert(word.to_owned(), self.mean(*figure).into());
            object.insert(format!("{word}_sd"), self.deviation(*figure).into());
        }
        Value::Object(object)
    }
}

impl Figure {
    /// Its name in JSON.
    pub(crate) const fn word(self) -> &'static str {
        FIGURES[self as usize].1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_figure_has_its_own_place_and_word() {
        for (place, (figure, word)) in FIGURES.into_iter().enumerate() {
            assert_eq!((figure as usize, figure.word()), (place, word));
        }
    }

    #[test]
    fn a_seed_without_a_figure_does_not_count_and_no_figure_is_null() {
        let mut first = Figures::default();
        first.set(Figure::Auc, Some(0.5));
        let mut second = first;
        second.set(Figure::Spearman, Some(0.9));
        let seeds = vec![first, second];
        let summary = Summary { scenario: "mixed".to_owned(), method: "exact", seeds };
        let json = summary.json(&[Figure::Spearman, Figure::Auc, Figure::Kendall]);
        assert_eq!(json["seeds"], 2);
        assert_eq!((&json["spearman"], &json["spearman_sd"]), (&0.9.into(), &Value::Null));
        assert_eq!((&json["auc"], &json["auc_sd"]), (&0.5.into(), &0.0.into()));
        assert!(json["kendall"].is_null());
    }
}
