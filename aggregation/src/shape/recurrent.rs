//! Layers over sequences: recurrence and attention.

use crate::limits::ACTIVATIONS_MAX;
use crate::plan::Recurrent;

use super::infer::{Inference, Inferred, Place};
use super::{Initial, Shape, Step};

impl Inference {
    pub(super) fn lstm(
        &mut self,
        place: &Place<'_>,
        name: &str,
        input: Shape,
        recurrent: Recurrent,
    ) -> Inferred {
        let [steps, features] = place.sequence(input)?;
        let (hidden, is_last) = (recurrent.hidden, recurrent.is_last);
        let initial = Initial::Uniform { fan_in: hidden };
        self.tensor(place, name, "input_weight", &[features, 4 * hidden], initial)?;
        self.tensor(place, name, "hidden_weight", &[hidden, 4 * hidden], initial)?;
        self.tensor(place, name, "bias", &[4 * hidden], Initial::Zeros)?;
        let step = Step::Lstm { input: features as usize, hidden: hidden as usize, is_last };
        Ok((step, states(steps, recurrent)))
    }

    pub(super) fn gru(
        &mut self,
        place: &Place<'_>,
        name: &str,
        input: Shape,
        recurrent: Recurrent,
    ) -> Inferred {
        let [steps, features] = place.sequence(input)?;
        let (hidden, is_last) = (recurrent.hidden, recurrent.is_last);
        let initial = Initial::Uniform { fan_in: hidden };
        self.tensor(place, name, "input_weight", &[features, 3 * hidden], initial)?;
        self.tensor(place, name, "hidden_weight", &[hidden, 3 * hidden], initial)?;
        self.tensor(place, name, "input_bias", &[3 * hidden], Initial::Zeros)?;
        self.tensor(place, name, "hidden_bias", &[3 * hidden], Initial::Zeros)?;
        let step = Step::Gru { input: features as usize, hidden: hidden as usize, is_last };
        Ok((step, states(steps, recurrent)))
    }

    pub(super) fn encoder(
        &mut self,
        place: &Place<'_>,
        name: &str,
        input: Shape,
        [layers, heads, ff]: [u64; 3],
        (causal, dropout): (bool, f64),
    ) -> Inferred {
        let [steps, features] = place.sequence(input)?;
        if !features.is_multiple_of(heads) {
            let expected = format!("features that divide among {heads} heads");
            let help = format!("use a divisor of {features} for heads");
            return Err(place.error(expected, format!("{features} features"), help));
        }
        // Scores of every step with every other, and the feed-forward part.
        let scores = heads.saturating_mul(steps).saturating_mul(steps);
        let most = scores.max(steps.saturating_mul(ff));
        if most > ACTIVATIONS_MAX {
            let expected = format!("at most {ACTIVATIONS_MAX} numbers per example inside a block");
            let help = "use fewer steps (data.context), heads, or features inside";
            return Err(place.error(expected, format!("{most} of {steps} steps"), help));
        }
        for block in 0..layers {
            let part = |part: &str| format!("{name}.{block}.{part}");
            self.scale_and_offset(place, &part("attention_norm"), features)?;
            for projection in ["query", "key", "value", "output"] {
                self.dense(place, &part(projection), [features, features])?;
            }
            self.scale_and_offset(place, &part("ff_norm"), features)?;
            self.dense(place, &part("expand"), [features, ff])?;
            self.dense(place, &part("contract"), [ff, features])?;
        }
        let [layers, features, heads, ff] = [layers, features, heads, ff].map(|size| size as usize);
        Ok((Step::Encoder { layers, features, heads, ff, causal, dropout }, input))
    }
}

/// What a recurrent layer gives on.
const fn states(steps: u64, recurrent: Recurrent) -> Shape {
    let features = recurrent.hidden;
    if recurrent.is_last { Shape::Features(features) } else { Shape::Sequence { steps, features } }
}
