//! The validation pool: public examples of which a round's fold is drawn. Everybody who holds the
//! same examples in the same order has the same root, whatever file they were read from.

use covey_aggregation::credit::pool::{example_leaf, pool_root};
use covey_aggregation::hash::Digest;
use covey_aggregation::plan::Data;

use crate::data::{DataError, DataSource, Dataset, Targets};

/// Examples that say what quality is, with their root.
#[derive(Clone, PartialEq)]
pub struct ValidationPool {
    data: Dataset,
    classes: Vec<u32>,
    root: Digest,
}

// The examples are public, but thousands of numbers tell nobody anything.
impl std::fmt::Debug for ValidationPool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ValidationPool({} examples, {} classes)", self.len(), self.data.classes())
    }
}

impl ValidationPool {
    /// The pool of these examples, in this order.
    #[must_use]
    pub fn new(data: Dataset) -> Self {
        let classes = match data.targets() {
            Targets::Classes { labels, .. } => labels.clone(),
            Targets::Numbers(_) | Targets::NextToken => vec![0; data.len()],
        };
        let numbered = (0..).zip(&classes);
        let leaves: Vec<Digest> = numbered
            .map(|(index, class)| example_leaf(index, *class, &bytes(&data, index as usize)))
            .collect();
        Self { root: pool_root(&leaves), classes, data }
    }

    /// Reads a pool of the form that the plan declares.
    ///
    /// # Errors
    /// [`DataError`], as for [`Dataset::load`].
    pub fn load(source: &DataSource, data: &Data) -> Result<Self, DataError> {
        Dataset::load(source, data).map(Self::new)
    }

    /// The root of all examples, which stands in every round's terms.
    #[must_use]
    pub const fn root(&self) -> Digest {
        self.root
    }

    /// Number of examples.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.classes.len()
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.classes.is_empty()
    }

    /// The class of every example, in order; 0 of all where no class is predicted.
    #[must_use]
    pub fn classes(&self) -> &[u32] {
        &self.classes
    }

    /// The examples with these places, in the order given; none where there is no such example.
    #[must_use]
    pub fn fold(&self, examples: &[u32]) -> Option<Dataset> {
        let places: Vec<usize> = examples.iter().map(|&index| index as usize).collect();
        let is_here = places.iter().all(|&place| place < self.len());
        is_here.then(|| self.data.subset(&places))
    }
}

/// One example as the model is given it, little-endian: its numbers, or the tokens of its window
/// with the last one that is predicted; then the number to predict, if it is one.
fn bytes(data: &Dataset, place: usize) -> Vec<u8> {
    let numbers = data.example(place).iter().flat_map(|number| number.to_le_bytes());
    let tokens = data.window(place).iter().flat_map(|token| token.to_le_bytes());
    let wanted = data.values().get(place).into_iter().flat_map(|number| number.to_le_bytes());
    numbers.chain(tokens).chain(wanted).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::data::Header;
    use crate::model::tests::plan;

    const NUMBERS: [f32; 6] = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];

    fn labelled(numbers: [f32; 6], labels: [u32; 3]) -> ValidationPool {
        let data = Dataset::new(numbers.to_vec(), labels.to_vec(), 2, 3);
        ValidationPool::new(data.expect("a data set"))
    }

    fn valued(values: [f32; 3]) -> ValidationPool {
        let data = Dataset::regression(NUMBERS.to_vec(), values.to_vec(), 2);
        ValidationPool::new(data.expect("a data set"))
    }

    fn text(tokens: [i32; 6], starts: [usize; 2]) -> ValidationPool {
        let data = Dataset::text(tokens.into(), starts.to_vec(), 2, 4);
        ValidationPool::new(data.expect("a data set"))
    }

    #[test]
    fn the_root_hangs_on_every_number_and_label_and_on_the_order() {
        let root = labelled(NUMBERS, [0, 1, 2]).root();
        assert_eq!(root, labelled(NUMBERS, [0, 1, 2]).root());
        for place in 0..NUMBERS.len() {
            let mut numbers = NUMBERS;
            numbers[place] = numbers[place].next_up();
            assert_ne!(root, labelled(numbers, [0, 1, 2]).root(), "number {place}");
        }
        for labels in [[1, 1, 2], [0, 0, 2], [0, 1, 1]] {
            assert_ne!(root, labelled(NUMBERS, labels).root(), "{labels:?}");
        }
        assert_ne!(root, labelled([3.0, 4.0, 1.0, 2.0, 5.0, 6.0], [1, 0, 2]).root());
    }

    #[test]
    fn the_root_hangs_on_every_number_to_predict() {
        let root = valued([0.1, 0.2, 0.3]).root();
        assert_eq!(root, valued([0.1, 0.2, 0.3]).root());
        for values in [[0.0, 0.2, 0.3], [0.1, 0.0, 0.3], [0.1, 0.2, 0.0]] {
            assert_ne!(root, valued(values).root(), "{values:?}");
        }
    }

    #[test]
    fn the_root_hangs_on_every_token_of_a_window_and_on_the_one_to_predict() {
        let root = text([0, 1, 2, 3, 2, 1], [0, 3]).root();
        for place in 0..6 {
            let mut tokens = [0, 1, 2, 3, 2, 1];
            tokens[place] = (tokens[place] + 1) % 4;
            assert_ne!(root, text(tokens, [0, 3]).root(), "token {place}");
        }
        assert_ne!(root, text([0, 1, 2, 3, 2, 1], [3, 0]).root());
    }

    /// Other programs recompute it from the same bytes.
    #[test]
    fn leaves_are_the_little_endian_bytes_of_what_the_model_is_given() {
        let hex = [0, 0, 128, 63, 0, 0, 0, 64];
        let leaves = [example_leaf(0, 2, &hex)];
        let data = Dataset::new(vec![1.0, 2.0], vec![2], 2, 3).expect("a data set");
        assert_eq!(ValidationPool::new(data).root(), pool_root(&leaves));
        let leaves = [example_leaf(0, 0, &[0, 0, 128, 63, 0, 0, 0, 63])];
        let data = Dataset::regression(vec![1.0], vec![0.5], 1).expect("a data set");
        assert_eq!(ValidationPool::new(data).root(), pool_root(&leaves));
        let leaves = [example_leaf(0, 0, &[1, 0, 0, 0, 3, 0, 0, 0])];
        let data = Dataset::text(vec![1, 3].into(), vec![0], 1, 4).expect("a data set");
        assert_eq!(ValidationPool::new(data).root(), pool_root(&leaves));
    }

    #[test]
    fn a_fold_is_the_examples_that_are_named() {
        let pool = labelled(NUMBERS, [0, 1, 2]);
        let fold = pool.fold(&[2, 0]).expect("both are here");
        assert_eq!((fold.len(), fold.labels()), (2, &[2, 0][..]));
        assert_eq!((fold.example(0), fold.example(1)), (&NUMBERS[4..], &NUMBERS[..2]));
        assert_eq!(pool.fold(&[0, 3]), None);
        assert_eq!(pool.fold(&[]).map(|fold| fold.len()), Some(0));
        let window = text([0, 1, 2, 3, 2, 1], [0, 3]).fold(&[1]).expect("it is here");
        assert_eq!(window.window(0), [3, 2, 1]);
    }

    #[test]
    fn examples_without_classes_are_all_of_class_zero() {
        assert_eq!(labelled(NUMBERS, [0, 2, 1]).classes(), [0, 2, 1]);
        assert_eq!(valued([0.1, 0.2, 0.3]).classes(), [0, 0, 0]);
        assert_eq!(text([0, 1, 2, 3, 2, 1], [0, 3]).classes(), [0, 0]);
    }

    #[test]
    fn a_pool_of_no_examples_has_a_root_too() {
        let empty = ValidationPool::new(Dataset::new(vec![], vec![], 2, 3).expect("a data set"));
        assert!(empty.is_empty() && empty.classes().is_empty());
        assert_eq!(empty.root(), pool_root(&[]));
    }

    #[test]
    fn printing_a_pool_shows_counts_alone() {
        let text = format!("{:?}", labelled(NUMBERS, [0, 1, 2]));
        assert_eq!(text, "ValidationPool(3 examples, 3 classes)");
    }

    #[test]
    fn a_pool_from_a_file_is_that_of_its_examples() {
        let section = "kind = \"tabular\"\n\
                       columns = [{ name = \"a\", type = \"float\", min = 0, max = 1 }]\n\
                       target = { column = \"y\", type = \"float\" }";
        let plan = plan(section, "{ kind = \"linear\", out = 1 }");
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("pool.csv");
        fs::write(&path, "a,y\n0.25,3\n1,4\n").expect("it is written");
        let source = DataSource::Csv { path, header: Header::Present };
        let pool = ValidationPool::load(&source, &plan.data).expect("it is read");
        let data = Dataset::load(&source, &plan.data).expect("it is read");
        assert_eq!((pool.len(), pool.root()), (2, ValidationPool::new(data).root()));
        let missing = DataSource::Csv { path: "none.csv".into(), header: Header::Present };
        assert!(ValidationPool::load(&missing, &plan.data).is_err());
    }
}
