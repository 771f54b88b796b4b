//! Renyi differential privacy: divergences at a grid of orders, which add up over events, and the
//! epsilon that follows.
//!
//! Every number is an upper bound, rounded up; epsilon is the least over the orders of a bound that
//! holds for each, so a coarser grid could only have given more.

mod sampled;

use crate::delta::Delta;
use crate::event::Event;

/// How many orders are looked at.
pub const ORDERS: usize = 156;

/// Covers the rounding of a few additions and logarithms.
const UP: f64 = 1.0 + 1e-12;

/// Below this order the conversion to epsilon is numerically unstable, and of no use.
const ORDER_MIN: f64 = 1.01;

/// The orders, all above 1: those that Google's `dp-accounting` 0.4.4 takes unless told otherwise,
/// 1.1 to 10.9 by tenths, 11 to 63, 128, 256, 512, 1024.
#[must_use]
pub fn orders() -> [f64; ORDERS] {
    std::array::from_fn(|index| match index {
        0..99 => 1.0 + (index + 1) as f64 / 10.0,
        99..152 => (index - 88) as f64,
        _ => f64::from(1u32 << (index - 145)),
    })
}

/// The divergences of all that happened, at [`orders`], add-or-remove-one.
#[derive(Clone, Debug, PartialEq)]
pub struct Rdp {
    divergences: [f64; ORDERS],
}

impl Default for Rdp {
    /// Of nothing.
    fn default() -> Self {
        Self { divergences: [0.0; ORDERS] }
    }
}

impl Rdp {
    /// Adds `count` times the event. Divergences add up, also where each event is chosen after
    /// looking at those before (Mironov 2017, arXiv 1702.07476, proposition 1).
    pub fn add(&mut self, event: &Event, count: u64) {
        for (sum, order) in self.divergences.iter_mut().zip(orders()) {
            let one = match event {
                Event::Sampled(sampled) => sampled::divergence(sampled, order),
                Event::Distributed(shares) => shares.rdp(order),
            };
            *sum += UP * one * count as f64;
        }
    }

    /// The divergences at [`orders`].
    #[must_use]
    pub fn divergences(&self) -> &[f64; ORDERS] {
        &self.divergences
    }

    /// An epsilon of at least 0 such that what happened is (epsilon, `delta`)-private; rounded up.
    ///
    /// For each order a and divergence r, r + ln((a - 1) / a) - (ln delta + ln a) / (a - 1):
    /// Canonne, Kamath, Steinke 2020 (arXiv 2004.00010), proposition 12; Balle and others 2020
    /// (arXiv 1905.09982), theorem 21. And 0 where delta is at least sqrt(1 - exp(-r)), which bounds
    /// the total variation (Bretagnolle and Huber).
    #[must_use]
    pub fn epsilon(&self, delta: Delta) -> f64 {
        let delta = delta.get();
        let each = self.divergences.iter().zip(orders()).map(|(&divergence, order)| {
            if divergence == 0.0 || delta * delta + libm::expm1(-divergence) > 0.0 {
                return 0.0;
            }
            if order <= ORDER_MIN {
                return f64::INFINITY;
            }
            let epsilon =
                divergence + libm::log1p(-1.0 / order) - libm::log(delta * order) / (order - 1.0);
            // The sum's terms may be larger than the sum.
            epsilon + (UP - 1.0) * (divergence + 100.0)
        });
        each.fold(f64::INFINITY, f64::min).max(0.0)
    }

    /// A delta of at most 1 such that what happened is (`epsilon`, delta)-private; rounded up. The
    /// same bounds as for [`Rdp::epsilon`], solved for delta.
    #[must_use]
    pub fn delta(&self, epsilon: f64) -> f64 {
        let each = self.divergences.iter().zip(orders()).map(|(&divergence, order)| {
            if divergence == 0.0 {
                return 0.0;
            }
            let variation = (-libm::expm1(-divergence)).sqrt();
            if order <= ORDER_MIN {
                return variation;
            }
            let exponent = (order - 1.0) * (divergence - epsilon + libm::log1p(-1.0 / order));
            (libm::exp(exponent - libm::log(order)) * (1.0 + 1e-9)).min(variation)
        });
        each.fold(1.0, f64::min)
    }
}

#[cfg(test)]
mod tests {
    use super::{Rdp, orders};
    use crate::delta::Delta;
    use crate::event::{Event, Sampled};

    fn sampled(noise: f64, rate: f64) -> Event {
        Event::Sampled(Sampled::new(noise, rate).expect("an event"))
    }

    #[test]
    fn orders_are_those_of_the_reference() {
        let orders = orders();
        assert_eq!((orders[0], orders[9], orders[98], orders[99]), (1.1, 2.0, 10.9, 11.0));
        assert_eq!(orders[151..], [63.0, 128.0, 256.0, 512.0, 1024.0]);
        assert!(orders.is_sorted());
    }

    #[test]
    fn a_gaussian_has_half_its_order_over_its_variance() {
        let mut rdp = Rdp::default();
        rdp.add(&sampled(2.0, 1.0), 3);
        for (divergence, order) in rdp.divergences().iter().zip(orders()) {
            assert!((divergence / (3.0 * order / 8.0) - 1.0).abs() < 1e-11);
        }
    }

    #[test]
    fn delta_and_epsilon_are_inverse_to_each_other() {
        let mut rdp = Rdp::default();
        rdp.add(&sampled(1.1, 0.01), 1_000);
        for delta in [1e-3, 1e-6, 1e-12] {
            let epsilon = rdp.epsilon(Delta::new(delta).expect("a delta"));
            let ratio = rdp.delta(epsilon) / delta;
            assert!((0.999..1.001).contains(&ratio), "{delta}: {ratio}");
        }
    }

    #[test]
    fn nothing_costs_nothing() {
        let nothing = Rdp::default();
        assert_eq!(nothing.epsilon(Delta::new(1e-9).expect("a delta")), 0.0);
        assert_eq!(nothing.delta(0.0), 0.0);
    }
}
