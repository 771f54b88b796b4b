//! From values to places, with round numbers at the axis.

/// A range of values and the places between which it is drawn.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scale {
    low: f64,
    high: f64,
    from: f64,
    to: f64,
    step: f64,
}

/// Values larger than this are drawn as this: a picture of them says nothing anyhow.
const VALUE_MAX: f64 = 1e15;

impl Scale {
    /// Over all finite `values`, widened to whole steps, of which there are about `ticks`; drawn from
    /// place `from` to place `to`.
    pub(super) fn over(
        values: impl Iterator<Item = f64>,
        ticks: usize,
        (from, to): (f64, f64),
    ) -> Self {
        let finite = values.filter(|value| value.is_finite()).map(clamp);
        let (low, high) = finite
            .fold((f64::MAX, f64::MIN), |(low, high), value| (low.min(value), high.max(value)));
        let (low, high) = if low > high { (0.0, 1.0) } else { (low, high) };
        let room = if low == high { low.abs().max(1.0) * 0.5 } else { 0.0 };
        let (low, high) = (low - room, high + room);
        let step = step_of((high - low) / ticks.max(1) as f64);
        let (low, high) = ((low / step).floor() * step, (high / step).ceil() * step);
        Self { low, high, from, to, step }
    }

    /// Where a value is drawn; odd values at an end.
    pub(super) fn place(&self, value: f64) -> f64 {
        let value = if value.is_nan() { self.low } else { clamp(value).clamp(self.low, self.high) };
        self.from + (value - self.low) / (self.high - self.low) * (self.to - self.from)
    }

    /// Round values with their texts.
    pub(super) fn ticks(&self) -> Vec<(f64, String)> {
        let digits = (-self.step.log10().floor()).clamp(0.0, 9.0) as usize;
        let count = ((self.high - self.low) / self.step).round() as usize;
        let tick = |at: usize| {
            let value = self.low + at as f64 * self.step;
            // Not a negative zero.
            let value = if value.abs() < self.step / 2.0 { 0.0 } else { value };
            (value, label(value, digits))
        };
        (0..=count.min(50)).map(tick).collect()
    }
}

fn clamp(value: f64) -> f64 {
    value.clamp(-VALUE_MAX, VALUE_MAX)
}

/// 1, 2 or 5 times a power of ten, not below `rough`.
fn step_of(rough: f64) -> f64 {
    let power = 10f64.powf(rough.max(1e-9).log10().floor());
    let lead = rough.max(1e-9) / power;
    let round = [1.0, 2.0, 5.0, 10.0].into_iter().find(|round| lead <= round * 1.000_001);
    round.unwrap_or(10.0) * power
}

fn label(value: f64, digits: usize) -> String {
    match value.abs() {
        0.0..1e6 => crate::text::decimal(value, digits),
        1e6..1e9 => format!("{} M", crate::text::decimal(value / 1e6, 1)),
        _ => format!("{value:.0e}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_have_round_numbers_and_hold_all_values() {
        let scale = Scale::over([0.13, 0.82].into_iter(), 5, (100.0, 0.0));
        let ticks: Vec<_> = scale.ticks().into_iter().map(|(_, text)| text).collect();
        assert_eq!(ticks, ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
        assert_eq!(scale.place(0.0), 100.0);
        assert_eq!(scale.place(1.0), 0.0);
        assert_eq!(scale.place(f64::NAN), 100.0);
        assert_eq!(scale.place(f64::INFINITY), 0.0);
    }

    #[test]
    fn a_single_value_and_none_have_an_axis() {
        for values in [vec![], vec![3.0], vec![0.0], vec![-7e300], vec![f64::NAN]] {
            let scale = Scale::over(values.into_iter(), 5, (0.0, 10.0));
            assert!(scale.ticks().len() >= 2);
            assert!(scale.place(1.0).is_finite());
        }
    }
}
