//! What one party computed of a round's fold and functions, beside what another published: holders
//! ask before they open anything, and so does anybody who computes a published round again.

use std::fmt;

use crate::audit::credit::{BadFunctions, Functions};
use crate::audit::crediting::Directed;
use crate::audit::estimate::is_close;
use crate::audit::functions::{Directions, Units};
use crate::audit::question::Question;
use crate::hash::{Digest, Domain, hash};
use crate::holder::OwnDirections;

/// Names of the three functions, in their order.
pub const FUNCTIONS: [&str; 3] = ["s", "novelty", "harm"];

/// Places of a fold that are told one by one: twice the usual fold, and short enough for a refusal.
const PLACES_SHOWN: usize = 60;

/// Two parties have something else.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{field}: published {published}, computed {computed}")]
pub struct Differs {
    /// What differs.
    pub field: String,
    /// As published.
    pub published: String,
    /// As computed.
    pub computed: String,
}

/// Published functions that are not those of the round.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum NotOwn {
    /// Another fold, or functions too far from one's own.
    #[error(transparent)]
    Differs(#[from] Differs),
    /// No functions at all.
    #[error("the functions: {0}")]
    Functions(#[from] BadFunctions),
}

impl Differs {
    /// `field` is `published` there and `computed` here.
    #[must_use]
    pub fn new(
        field: impl Into<String>,
        published: impl fmt::Display,
        computed: impl fmt::Display,
    ) -> Self {
        let (published, computed) = (published.to_string(), computed.to_string());
        Self { field: field.into(), published, computed }
    }

    /// Nothing, where both are equal.
    ///
    /// # Errors
    /// [`Differs`].
    pub fn unless_equal<T: PartialEq + fmt::Display>(
        field: &str,
        published: T,
        computed: T,
    ) -> Result<(), Self> {
        if published == computed { Ok(()) } else { Err(Self::new(field, published, computed)) }
    }
}

impl OwnDirections {
    /// The published functions, if fold and functions are one's own: the fold exactly, each function
    /// within 2 % in norm ([`is_close`]), as floats differ between machines.
    ///
    /// # Errors
    /// [`NotOwn`], by the first that differs.
    pub fn compare(
        &self,
        question: &Question<'_>,
        directed: &Directed,
    ) -> Result<Functions, NotOwn> {
        let (published, computed) = (&directed.examples, &self.examples);
        if published != computed {
            return Err(Differs::new("fold", Places(published), Places(computed)).into());
        }
        let theirs = Functions::from_bytes(question, &directed.functions)?;
        let own = Functions::from_bytes(question, &self.functions)?;
        for (name, (theirs, own)) in
            FUNCTIONS.iter().zip(theirs.weights().iter().zip(own.weights()))
        {
            close(&format!("function {name}"), theirs, own)?;
        }
        Ok(theirs)
    }
}

impl Directions {
    /// Whether these are `own`: as many of them, each within 2 % in norm.
    ///
    /// # Errors
    /// [`Differs`], by the first that is not.
    pub fn compare(&self, own: &Self) -> Result<(), Differs> {
        Differs::unless_equal("directions of the past", self.steps.len(), own.steps.len())?;
        let wide = |units: &Units| units.integers().into_iter().map(i64::from).collect::<Vec<_>>();
        let is_close = |field: &str, published: &Units, own: &Units| {
            close(field, &wide(published), &wide(own))
        };
        is_close("direction of the fold", &self.trained, &own.trained)?;
        is_close("direction of the path", &self.path, &own.path)?;
        let steps = self.steps.iter().zip(&own.steps).zip(1..);
        for ((published, own), number) in steps {
            is_close(&format!("direction {number} of the past"), published, own)?;
        }
        Ok(())
    }
}

fn close(field: &str, published: &[i64], own: &[i64]) -> Result<(), Differs> {
    if is_close(published, own) {
        return Ok(());
    }
    Err(Differs::new(field, Vector(published), Vector(own)))
}

/// A vector in words: too long to be shown.
struct Vector<'a>(&'a [i64]);

impl fmt::Display for Vector<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes: Vec<u8> = self.0.iter().flat_map(|value| value.to_le_bytes()).collect();
        let digest: Digest = hash(Domain::Body, &[b"vector", &bytes]);
        let norm = self.0.iter().map(|&value| (value as f64).powi(2)).sum::<f64>().sqrt();
        write!(f, "{} ({} numbers, norm {norm:.4e})", digest.short(), self.0.len())
    }
}

/// Places in the pool, in words.
pub struct Places<'a>(pub &'a [u32]);

impl fmt::Display for Places<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = &self.0[..self.0.len().min(PLACES_SHOWN)];
        f.debug_list().entries(shown).finish()?;
        match self.0.len() - shown.len() {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directions(change: impl FnOnce(&mut [f32])) -> Directions {
        let mut trained: Vec<f32> = (0..500).map(|i| ((i * 37 % 101) as f32) - 50.0).collect();
        let (path, step) =
            (trained.iter().map(|x| x * 0.5 + 1.0).collect::<Vec<_>>(), trained.clone());
        change(&mut trained);
        Directions::new(&trained, &path, &[step]).expect("finite")
    }

    #[test]
    fn directions_may_differ_as_floats_do_and_no_more() {
        let own = directions(|_| {});
        let nearly = directions(|trained| trained[7] += 0.9);
        assert_ne!(nearly, own);
        assert_eq!(nearly.compare(&own), Ok(()));
        let other = directions(|trained| trained[..250].reverse());
        let differs = other.compare(&own).expect_err("another one");
        assert_eq!(differs.field, "direction of the fold");
        assert_ne!(differs.published, differs.computed);
        let fewer = Directions { steps: Vec::new(), ..own.clone() };
        let differs = fewer.compare(&own).expect_err("one step is missing");
        let expected = ("directions of the past", "0", "1");
        assert_eq!((&*differs.field, &*differs.published, &*differs.computed), expected);
        let still = Directions { trained: Units::default(), ..own.clone() };
        assert!(still.compare(&own).is_err(), "nothing for something");
    }
}
