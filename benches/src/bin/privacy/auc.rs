//! How well a statistic tells two cases apart.

/// A mean or an area, and its standard error.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Measured {
    pub(crate) value: f64,
    pub(crate) error: f64,
}

impl Measured {
    /// The mean of independent values, with its standard error.
    pub(crate) fn mean(values: &[f64]) -> Self {
        let n = values.len() as f64;
        let value = values.iter().sum::<f64>() / n.max(1.0);
        Self { value, error: (variance(values, value) / n.max(1.0)).sqrt() }
    }

    /// A bound, whose uncertainty is in it already.
    pub(crate) const fn bound(value: f64) -> Self {
        Self { value, error: 0.0 }
    }
}

/// The chance that the statistic is larger for a random one of `present` than of `absent`, which is
/// the area under the curve of hits against false alarms. Standard error after DeLong 1988.
pub(crate) fn auc(present: &[f64], absent: &[f64]) -> Measured {
    // How many of `sorted` are below `x`, ties counting half.
    let share = |sorted: &[f64], x: f64| {
        let below = sorted.partition_point(|other| *other < x);
        let up_to = sorted.partition_point(|other| *other <= x);
        (below + up_to) as f64 / (2 * sorted.len()) as f64
    };
    let (sorted_present, sorted_absent) = (sorted(present), sorted(absent));
    let of_present: Vec<f64> = present.iter().map(|x| share(&sorted_absent, *x)).collect();
    let of_absent: Vec<f64> = absent.iter().map(|x| 1.0 - share(&sorted_present, *x)).collect();
    let value = Measured::mean(&of_present).value;
    let error = variance(&of_present, value) / present.len() as f64
        + variance(&of_absent, value) / absent.len() as f64;
    Measured { value, error: error.sqrt() }
}

fn sorted(values: &[f64]) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    sorted
}

fn variance(values: &[f64], mean: f64) -> f64 {
    let squares: f64 = values.iter().map(|x| (x - mean).powi(2)).sum();
    squares / (values.len() as f64 - 1.0).max(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_area_is_the_share_of_pairs_in_order() {
        assert_eq!(auc(&[3.0, 4.0], &[1.0, 2.0]), Measured { value: 1.0, error: 0.0 });
        assert_eq!(auc(&[1.0, 4.0], &[2.0, 3.0]).value, 0.5);
        assert_eq!(auc(&[1.0; 3], &[1.0; 5]).value, 0.5);
        assert_eq!(auc(&[2.0, 2.0, 5.0], &[1.0, 2.0]).value, (1.5 + 1.5 + 2.0) / 6.0);
    }

    #[test]
    fn a_mean_has_the_error_of_its_values() {
        let mean = Measured::mean(&[1.0, 2.0, 3.0, 4.0]);
        assert_eq!(mean.value, 2.5);
        assert!((mean.error - (5.0f64 / 3.0 / 4.0).sqrt()).abs() < 1e-12);
    }
}
