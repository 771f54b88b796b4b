//! Examples in memory: what a model is given, and what it is to answer.

use std::sync::Arc;

use crate::limits::{DATASET_NUMBERS_MAX, EXAMPLES_MAX};

/// What a model is given, example by example.
#[derive(Clone, PartialEq)]
pub enum Inputs {
    /// Rows of numbers; images channel by channel, row by row.
    Rows {
        /// Example after example.
        numbers: Vec<f32>,
        /// Numbers of one example.
        features: usize,
    },
    /// Windows of a text. They may overlap: the tokens are held once.
    Windows {
        /// The whole text, each token below `vocabulary`.
        tokens: Arc<[i32]>,
        /// Where each window begins.
        starts: Vec<usize>,
        /// Tokens that the model is given of a window.
        length: usize,
        /// Different tokens that there are.
        vocabulary: usize,
    },
}

/// What a model is to answer, example by example.
#[derive(Clone, PartialEq)]
pub enum Targets {
    /// One of several classes.
    Classes {
        /// The class of every example, from 0.
        labels: Vec<u32>,
        /// Classes that labels may name.
        classes: usize,
    },
    /// A real number for every example.
    Numbers(Vec<f32>),
    /// The token after each token of a window: the text itself holds it, one token beyond the
    /// window's end.
    NextToken,
}

/// Examples with their answers.
#[derive(Clone, PartialEq)]
pub struct Dataset {
    inputs: Inputs,
    targets: Targets,
}

// Data is private: not to be printed by accident.
impl std::fmt::Debug for Dataset {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Dataset({} examples, ", self.len())?;
        match &self.inputs {
            Inputs::Rows { features, .. } => write!(f, "{features} features, ")?,
            Inputs::Windows { length, vocabulary, .. } => {
                write!(f, "windows of {length} of {vocabulary} tokens, ")?;
            }
        }
        match &self.targets {
            Targets::Classes { classes, .. } => write!(f, "{classes} classes)"),
            Targets::Numbers(_) => f.write_str("one number each)"),
            Targets::NextToken => f.write_str("next token)"),
        }
    }
}

/// Inputs and targets that make no data set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadDataset(String);

impl Dataset {
    /// A data set of inputs and targets of any kind.
    ///
    /// # Errors
    /// [`BadDataset`] when lengths do not match, a number is not finite, a label is not below the
    /// number of classes, a token not below the vocabulary, a window leaves the text, or there
    /// are too many examples.
    pub fn from_parts(inputs: Inputs, targets: Targets) -> Result<Self, BadDataset> {
        let examples = match &targets {
            Targets::Classes { labels, .. } => labels.len(),
            Targets::Numbers(values) => values.len(),
            Targets::NextToken => match &inputs {
                Inputs::Windows { starts, .. } => starts.len(),
                Inputs::Rows { .. } => {
                    return Err(BadDataset("rows of numbers have no next token".to_owned()));
                }
            },
        };
        if examples > EXAMPLES_MAX {
            return Err(BadDataset(format!("{examples} examples are too many")));
        }
        match &inputs {
            Inputs::Rows { numbers, features } => check_rows(numbers, *features, examples)?,
            Inputs::Windows { tokens, starts, length, vocabulary } => {
                let is_next = matches!(targets, Targets::NextToken);
                if starts.len() != examples {
                    let windows = starts.len();
                    return Err(BadDataset(format!("{windows} windows for {examples} answers")));
                }
                check_windows(tokens, starts, *length + usize::from(is_next), *vocabulary)?;
            }
        }
        match &targets {
            Targets::Classes { labels, classes } => check_labels(labels, *classes)?,
            Targets::Numbers(values) => {
                if let Some(row) = values.iter().position(|value| !value.is_finite()) {
                    return Err(BadDataset(format!("the answer of example {row} is not finite")));
                }
            }
            Targets::NextToken => {}
        }
        Ok(Self { inputs, targets })
    }

    /// `labels.len()` examples of `features` numbers each, each of one class.
    ///
    /// # Errors
    /// [`BadDataset`], as for [`Self::from_parts`].
    pub fn new(
        numbers: Vec<f32>,
        labels: Vec<u32>,
        features: usize,
        classes: usize,
    ) -> Result<Self, BadDataset> {
        Self::from_parts(Inputs::Rows { numbers, features }, Targets::Classes { labels, classes })
    }

    /// `values.len()` examples of `features` numbers each, each with a number to predict.
    ///
    /// # Errors
    /// [`BadDataset`], as for [`Self::from_parts`].
    pub fn regression(
        numbers: Vec<f32>,
        values: Vec<f32>,
        features: usize,
    ) -> Result<Self, BadDataset> {
        Self::from_parts(Inputs::Rows { numbers, features }, Targets::Numbers(values))
    }

    /// A text in windows of `length` tokens that begin at `starts`; after each token the next is
    /// predicted, so a window takes `length + 1` tokens of the text.
    ///
    /// # Errors
    /// [`BadDataset`], as for [`Self::from_parts`].
    pub fn text(
        tokens: Arc<[i32]>,
        starts: Vec<usize>,
        length: usize,
        vocabulary: usize,
    ) -> Result<Self, BadDataset> {
        let inputs = Inputs::Windows { tokens, starts, length, vocabulary };
        Self::from_parts(inputs, Targets::NextToken)
    }

    /// What the model is given.
    #[must_use]
    pub const fn inputs(&self) -> &Inputs {
        &self.inputs
    }

    /// What the model is to answer.
    #[must_use]
    pub const fn targets(&self) -> &Targets {
        &self.targets
    }

    /// Number of examples.
    #[must_use]
    pub fn len(&self) -> usize {
        match &self.inputs {
            Inputs::Rows { numbers, features } => numbers.len() / features,
            Inputs::Windows { starts, .. } => starts.len(),
        }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Numbers of one example; of a text, the tokens of a window.
    #[must_use]
    pub const fn features(&self) -> usize {
        match &self.inputs {
            Inputs::Rows { features, .. } => *features,
            Inputs::Windows { length, .. } => *length,
        }
    }

    /// Answers about each example: one, or one for each token of a window.
    #[must_use]
    pub const fn answers(&self) -> usize {
        match (&self.targets, &self.inputs) {
            (Targets::NextToken, Inputs::Windows { length, .. }) => *length,
            _ => 1,
        }
    }

    /// Classes that labels may name; 0 where no class is predicted.
    #[must_use]
    pub const fn classes(&self) -> usize {
        match &self.targets {
            Targets::Classes { classes, .. } => *classes,
            _ => 0,
        }
    }

    /// The label of every example; none where no class is predicted.
    #[must_use]
    pub fn labels(&self) -> &[u32] {
        match &self.targets {
            Targets::Classes { labels, .. } => labels,
            _ => &[],
        }
    }

    /// The number to predict of every example; none where none is predicted.
    #[must_use]
    pub fn values(&self) -> &[f32] {
        match &self.targets {
            Targets::Numbers(values) => values,
            _ => &[],
        }
    }

    /// The numbers of one example; none of a text.
    ///
    /// # Panics
    /// When there is no such example.
    #[must_use]
    pub fn example(&self, number: usize) -> &[f32] {
        match &self.inputs {
            Inputs::Rows { numbers, features } => {
                &numbers[number * features..(number + 1) * features]
            }
            Inputs::Windows { .. } => &[],
        }
    }

    /// The tokens of one window, and the one after it where the next token is predicted; none of
    /// rows of numbers.
    ///
    /// # Panics
    /// When there is no such example.
    #[must_use]
    pub fn window(&self, number: usize) -> &[i32] {
        match &self.inputs {
            Inputs::Rows { .. } => &[],
            Inputs::Windows { tokens, starts, length, .. } => {
                let more = usize::from(matches!(self.targets, Targets::NextToken));
                &tokens[starts[number]..starts[number] + length + more]
            }
        }
    }

    /// How many examples each class has.
    #[must_use]
    pub fn class_counts(&self) -> Vec<u32> {
        let mut counts = vec![0; self.classes()];
        for label in self.labels() {
            counts[*label as usize] += 1;
        }
        counts
    }

    /// The examples with these numbers, in this order.
    ///
    /// # Panics
    /// When there is no such example.
    #[must_use]
    pub fn subset(&self, examples: &[usize]) -> Self {
        let inputs = match &self.inputs {
            Inputs::Rows { features, .. } => {
                let mut numbers = Vec::with_capacity(examples.len() * features);
                examples.iter().for_each(|&one| numbers.extend_from_slice(self.example(one)));
                Inputs::Rows { numbers, features: *features }
            }
            Inputs::Windows { tokens, starts, length, vocabulary } => Inputs::Windows {
                tokens: Arc::clone(tokens),
                starts: examples.iter().map(|&one| starts[one]).collect(),
                length: *length,
                vocabulary: *vocabulary,
            },
        };
        let targets = match &self.targets {
            Targets::Classes { labels, classes } => Targets::Classes {
                labels: examples.iter().map(|&one| labels[one]).collect(),
                classes: *classes,
            },
            Targets::Numbers(values) => {
                Targets::Numbers(examples.iter().map(|&one| values[one]).collect())
            }
            Targets::NextToken => Targets::NextToken,
        };
        Self { inputs, targets }
    }
}

fn check_rows(numbers: &[f32], features: usize, examples: usize) -> Result<(), BadDataset> {
    if examples.checked_mul(features) != Some(numbers.len()) || features == 0 {
        let got = numbers.len();
        return Err(BadDataset(format!("{got} numbers for {examples} examples of {features}")));
    }
    if numbers.len() > DATASET_NUMBERS_MAX {
        return Err(BadDataset(format!("{examples} examples are too many")));
    }
    match numbers.iter().position(|number| !number.is_finite()) {
        Some(index) => Err(BadDataset(format!("example {} is not finite", index / features))),
        None => Ok(()),
    }
}

/// `taken` is how many tokens of the text a window takes.
fn check_windows(
    tokens: &[i32],
    starts: &[usize],
    taken: usize,
    vocabulary: usize,
) -> Result<(), BadDataset> {
    if tokens.len() > DATASET_NUMBERS_MAX {
        return Err(BadDataset(format!("{} tokens are too many", tokens.len())));
    }
    let ends_inside = |start: &usize| {
        taken > 0 && start.checked_add(taken).is_some_and(|end| end <= tokens.len())
    };
    if let Some(window) = starts.iter().position(|start| !ends_inside(start)) {
        return Err(BadDataset(format!("window {window} does not lie in the text")));
    }
    let is_known = |token: &i32| usize::try_from(*token).is_ok_and(|token| token < vocabulary);
    match tokens.iter().position(|token| !is_known(token)) {
        Some(at) => Err(BadDataset(format!("token {at} is none of {vocabulary}"))),
        None => Ok(()),
    }
}

fn check_labels(labels: &[u32], classes: usize) -> Result<(), BadDataset> {
    match labels.iter().position(|label| *label as usize >= classes) {
        Some(row) => {
            let label = labels[row];
            Err(BadDataset(format!("example {row} has label {label} of {classes} classes")))
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(starts: Vec<usize>, length: usize) -> Result<Dataset, BadDataset> {
        Dataset::text(vec![0, 1, 2, 1, 0].into(), starts, length, 3)
    }

    #[test]
    fn windows_take_one_token_more_than_the_model_is_given() {
        let set = text(vec![0, 2], 2).expect("both lie in the text");
        assert_eq!((set.len(), set.features(), set.classes()), (2, 2, 0));
        assert_eq!(set.window(0), [0, 1, 2]);
        assert_eq!(set.subset(&[1]).window(0), [2, 1, 0]);
        assert!(set.example(0).is_empty() && set.labels().is_empty());
    }

    #[test]
    fn what_makes_no_data_set_is_refused() {
        assert!(text(vec![3], 2).is_err(), "beyond the end");
        assert!(text(vec![usize::MAX], 2).is_err(), "far beyond the end");
        assert!(Dataset::text(vec![0, 3].into(), vec![0], 1, 3).is_err(), "an unknown token");
        assert!(Dataset::text(vec![0, -1].into(), vec![0], 1, 3).is_err(), "a negative token");
        assert!(Dataset::regression(vec![1.0, 2.0], vec![f32::NAN], 2).is_err());
        assert!(Dataset::regression(vec![1.0, 2.0], vec![0.5, 0.5], 2).is_err());
        assert!(Dataset::new(vec![1.0], vec![2], 1, 2).is_err());
        let rows = Inputs::Rows { numbers: vec![1.0], features: 1 };
        assert!(Dataset::from_parts(rows, Targets::NextToken).is_err());
    }

    #[test]
    fn values_follow_their_rows() {
        let set = Dataset::regression(vec![1.0, 2.0, 3.0, 4.0], vec![0.5, 0.25], 2);
        let set = set.expect("a data set").subset(&[1]);
        assert_eq!((set.example(0), set.values()), (&[3.0, 4.0][..], &[0.25][..]));
        assert!(!format!("{set:?}").contains("0.25"));
    }
}
