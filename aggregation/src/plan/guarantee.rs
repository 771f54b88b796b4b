//! What a plan guarantees, in plain words: for owners' sheets, the researcher and the page.

use super::{Plan, Unit};

impl Plan {
    /// What the plan's noise guarantees, of a model of `parameters` parameters, and what it does not cover.
    #[must_use]
    pub fn guarantee(&self, parameters: u64) -> Vec<String> {
        let Some(privacy) = &self.privacy else {
            let none = "this plan adds no noise: nothing bounds what its sums tell about one owner";
            return vec![none.to_owned()];
        };
        let (rounds, delta) = (self.training.rounds, privacy.delta.get());
        let told = |epsilon: Option<f64>| {
            epsilon.map_or_else(
                || "more than can be told".to_owned(),
                |epsilon| format!("{epsilon:.2}"),
            )
        };
        let one = told(self.epsilon(parameters, 1));
        let whole = told(self.epsilon(parameters, rounds));
        let colluding_max = match privacy.unit {
            Unit::Owner { colluding_max, .. } => colluding_max,
            Unit::Record { .. } => return guarantee_of_records(self, &one, &whole),
        };
        let mut lines = vec![
            format!(
                "differential privacy of a whole owner: noise is added on its machine, before \
                 encrypting. Whatever is made of the sums, one round tells at most epsilon {one}, all \
                 {rounds} rounds {whole}, at delta {delta:e}"
            ),
            format!(
                "it holds against everybody, also with the noise of {colluding_max} others of a sum \
                 known, as long as the committee opens nothing but sums"
            ),
        ];
        if self.clipping().is_some() {
            lines.push(
                "it covers the vote on the clip as well: a yes or no of each owner, behind its \
                 update and with the same noise, of which only the noisy sum is opened"
                    .to_owned(),
            );
        }
        let mut open = vec![
            "that an owner takes part, when, and how long it takes; which of seven reasons it \
             declines for"
                .to_owned(),
        ];
        if self.credit.is_some() {
            open.push(
                "the three numbers published for its credit, which are of its own noisy update \
                 alone: no noise of others hides them"
                    .to_owned(),
            );
        }
        open.push("what it says of its work where limits.report_compute allows that".to_owned());
        lines.push(format!("not covered: {}", open.join("; ")));
        lines
    }
}

/// The same where it is about single examples.
fn guarantee_of_records(plan: &Plan, one: &str, whole: &str) -> Vec<String> {
    let (rounds, fewest) = (plan.training.rounds, plan.data.rows().minimum);
    let delta = plan.privacy.map_or(0.0, |privacy| privacy.delta.get());
    vec![
        format!(
            "differential privacy of every example of an owner: it is trained with noise, on its \
             machine. Whatever is made of the update, by whomever, one round tells at most epsilon \
             {one} of one example, all {rounds} rounds {whole}, at delta {delta:e}, where an owner \
             has {fewest} examples, the plan's fewest; with more, less"
        ),
        "it covers the sum, the model, and the numbers published for credit; also a committee that \
         breaks every promise learns no more of one example"
            .to_owned(),
        "not covered: what all of an owner's examples have in common; how many there are, and how \
         long training takes; an example that is in the data several times counts as often"
            .to_owned(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::privacy::tests::without_noise;

    #[test]
    fn every_guarantee_is_told_with_its_numbers_and_with_what_it_does_not_cover() {
        let told = |more: &str| {
            let plan = Plan::parse(&(without_noise() + more)).expect("a plan");
            let epsilon = plan.epsilon(650, 16).map(|epsilon| format!("{epsilon:.2}"));
            (plan.guarantee(650).join("\n"), epsilon)
        };
        let (none, no_epsilon) = told("");
        assert!(none.contains("adds no noise") && no_epsilon.is_none(), "{none}");
        let noise = "noise_multiplier = 2.0\ndelta = 1e-6\n";
        let owner = "[privacy]\nunit = \"owner\"\n";
        let record = "[privacy]\nunit = \"record\"\nclip_norm = 1.0\n";
        let following = format!("{owner}clip_quantile = 0.5\n");
        let cases = [
            (owner, "of a whole owner", "that an owner takes part"),
            (&following, "the vote on the clip", "that an owner takes part"),
            (record, "of every example", "what all of an owner's examples have in common"),
        ];
        for (unit, covered, open) in cases {
            let (text, epsilon) = told(&format!("{unit}{noise}"));
            for part in [covered, open, "not covered", &epsilon.expect("noise")] {
                assert!(text.contains(part), "{unit}: {part}: {text}");
            }
        }
        let credited = "[credit]\nbudget = 10\n".to_owned() + owner + noise;
        assert!(told(&credited).0.contains("published for its credit"));
        assert!(!told(&format!("{owner}{noise}")).0.contains("vote"));
    }
}
