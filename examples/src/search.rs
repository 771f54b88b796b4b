//! A search for the best setting that gives every method the same number of tries.

use std::collections::BTreeMap;

/// A number that is tuned: `start` times a power of `factor`.
#[derive(Clone, Debug, PartialEq)]
pub struct Axis {
    /// The field of the plan.
    pub field: &'static str,
    /// The value in the middle.
    pub start: f64,
    /// How far it is from one value to the next.
    pub factor: f64,
}

/// A setting: steps from the start on each axis.
pub type Point = Vec<i32>;

/// What a search found.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// The best setting.
    pub best: Point,
    /// Its score.
    pub score: f64,
    /// Every setting that was tried, with its score.
    pub tried: BTreeMap<Point, f64>,
}

impl Axis {
    /// The value after so many steps.
    #[must_use]
    pub fn value(&self, steps: i32) -> f64 {
        // Rounded, so that 0.1 times two is written as such.
        format!("{:.4e}", self.start * self.factor.powi(steps)).parse().unwrap_or(self.start)
    }
}

/// Tries exactly `budget` settings of `axes` numbers, first the start, then always the one nearest
/// to the best so far (fewest steps on all axes together). So the grid grows on the side where
/// things get better, and the best has been compared with all its neighbours if the budget
/// reaches.
///
/// # Errors
/// What `score` gives.
pub fn search<E>(
    axes: usize,
    budget: usize,
    mut score: impl FnMut(&[i32]) -> Result<f64, E>,
) -> Result<Found, E> {
    let start = vec![0; axes];
    let first = score(&start)?;
    let mut found =
        Found { best: start.clone(), score: first, tried: BTreeMap::from([(start, first)]) };
    while found.tried.len() < budget {
        let nearest = (1..).flat_map(|steps| around(&found.best, steps));
        let Some(next) = nearest.into_iter().find(|point| !found.tried.contains_key(point)) else {
            break;
        };
        let value = score(&next)?;
        if value > found.score {
            (found.best, found.score) = (next.clone(), value);
        }
        found.tried.insert(next, value);
    }
    Ok(found)
}

impl Found {
    /// Whether a step on any axis, up or down, was tried and is no better.
    #[must_use]
    pub fn is_interior(&self) -> bool {
        around(&self.best, 1).iter().all(|point| self.tried.contains_key(point))
    }
}

/// The points so many steps from `point`, in a fixed order.
fn around(point: &[i32], steps: i32) -> Vec<Point> {
    let Some((first, rest)) = point.split_first() else {
        return if steps == 0 { vec![Vec::new()] } else { Vec::new() };
    };
    let mut points = Vec::new();
    for own in (-steps..=steps).rev() {
        for tail in around(rest, steps - own.abs()) {
            points.push([vec![first + own], tail].concat());
        }
    }
    points
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    #[test]
    fn points_around_are_all_of_that_distance_once() {
        assert_eq!(around(&[5], 2), [[7], [3]]);
        for (axes, steps, count) in [(2, 1, 4), (2, 2, 8), (3, 1, 6), (3, 2, 18)] {
            let points = around(&vec![1; axes], steps);
            let distance =
                |point: &Point| point.iter().map(|place| (place - 1i32).abs()).sum::<i32>();
            assert!(points.iter().all(|point| distance(point) == steps));
            let distinct: std::collections::BTreeSet<_> = points.iter().collect();
            assert_eq!((points.len(), distinct.len()), (count, count));
        }
    }

    #[test]
    fn a_search_climbs_beyond_where_it_began_and_spends_its_budget() {
        // Best at (4, -2).
        let score = |point: &[i32]| {
            let far = (point[0] - 4).pow(2) + (point[1] + 2).pow(2);
            Ok::<_, Infallible>(-f64::from(far))
        };
        let Ok(found) = search(2, 30, score);
        assert_eq!((found.best.as_slice(), found.score), (&[4, -2][..], 0.0));
        assert!(found.is_interior() && found.tried.len() == 30);
        let Ok(found) = search(2, 4, score);
        assert!(!found.is_interior() && found.tried.len() == 4);
    }

    #[test]
    fn values_are_powers_of_a_factor() {
        let axis = Axis { field: "training.optimizer.lr", start: 0.1, factor: 2.0 };
        assert_eq!([-1, 0, 3].map(|steps| axis.value(steps)), [0.05, 0.1, 0.8]);
    }
}
