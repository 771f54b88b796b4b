//! What is wrong with a plan, or another file that is read as plans are: where, why, and what to
//! write instead.

use std::fmt;
use std::ops::Range;

use crate::limits::PLAN_ERRORS_MAX;

/// Declares the closed list of codes with their stable text.
macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
        /// A stable code of an error in a plan, or in another file that is read as plans are, for
        /// programs and for looking up.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Code { $($(#[$doc])* $name,)* }

        impl Code {
            /// The code as text, such as `P020`.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// All codes.
            pub const ALL: &[Self] = &[$(Self::$name,)*];
        }
    };
}

codes! {
    /// Not TOML.
    Syntax = "P001";
    /// A field that the file does not have.
    UnknownField = "P002";
    /// A field that the file must have.
    MissingField = "P003";
    /// A value of another type than the field's.
    WrongType = "P004";
    /// A number or length beyond its bounds.
    OutOfRange = "P005";
    /// Not one of the words that the field may hold.
    UnknownChoice = "P006";
    /// Another version of the format.
    Schema = "P007";
    /// The file is too large, or not UTF-8.
    File = "P008";
    /// The same name twice in one list.
    Duplicate = "P009";
    /// Text that cannot be shown or used as a name.
    Text = "P010";
    /// The encrypted sum could overflow.
    NoPacking = "P012";
    /// The example cap does not fit the weight that travels inside the encryption.
    ExampleCap = "P013";
    /// A policy for missing values that the column cannot follow.
    MissingValues = "P015";
    /// A scale that is not whole, or contradicts itself.
    Scaling = "P016";
    /// Characters listed twice, or too few or too many of them.
    Vocabulary = "P017";
    /// So few contributions that a sum would tell about one owner.
    CohortTooSmall = "P020";
    /// The minimum is above the maximum.
    CohortOrder = "P021";
    /// An audit that does not exist yet, or none stated.
    Audit = "P030";
    /// Too many layers, or too deep.
    Layers = "P040";
    /// A layer that does not fit the ones before it.
    Shape = "P050";
    /// A family of models that this program does not have, or cannot make with these arguments.
    Family = "P051";
    /// A model that predicts the next token and can see it.
    Causal = "P060";
    /// A loss that does not go with what is predicted.
    Loss = "P061";
    /// A learning-rate schedule that does not fit the run.
    Schedule = "P062";
    /// Adapters that adapt nothing, or have nothing to adapt.
    Adapters = "P063";
    /// Fields that exclude each other.
    Conflict = "P064";
    /// Text that is no digest.
    BadDigest = "P065";
    /// A strategy that does not go with how owners train.
    Strategy = "P070";
    /// A metric that cannot be measured, or that nobody measures.
    Metrics = "P071";
    /// Credit in a plan whose rounds cannot be credited.
    Credit = "P072";
    /// Noise in a plan that it cannot protect, or that costs more than the plan says.
    Privacy = "P073";
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One error of a file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("error[{code}] line {line}, column {column}: {message}\n  help: {help}")]
pub struct PlanError {
    /// What kind of error.
    pub code: Code,
    /// Line in the file, from 1.
    pub line: u32,
    /// Character within the line, from 1.
    pub column: u32,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: String,
}

/// All errors found in a file, in its order; at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanErrors(Vec<PlanError>);

impl PlanErrors {
    /// The errors, in the order of the file.
    #[must_use]
    pub fn errors(&self) -> &[PlanError] {
        &self.0
    }
}

impl fmt::Display for PlanErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for PlanErrors {}

/// Collects errors while a file is read.
pub struct Collector<'i> {
    text: &'i str,
    errors: Vec<(usize, PlanError)>,
}

impl<'i> Collector<'i> {
    /// For the file of this text.
    #[must_use]
    pub const fn new(text: &'i str) -> Self {
        Self { text, errors: Vec::new() }
    }

    /// Notes an error at a byte range of the text.
    pub fn push(
        &mut self,
        at: &Range<usize>,
        code: Code,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        if self.errors.len() < PLAN_ERRORS_MAX {
            let (line, column) = self.position(at.start);
            let (message, help) = (message.into(), help.into());
            self.errors.push((at.start, PlanError { code, line, column, message, help }));
        }
    }

    /// Notes an error at a place that [`Self::position`] gave.
    pub(super) fn push_at(
        &mut self,
        (line, column): (u32, u32),
        code: Code,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        let lines = self.text.split_inclusive('\n').take(line.saturating_sub(1) as usize);
        let start: usize = lines.map(str::len).sum();
        let rest = self.text.get(start..).unwrap_or_default();
        let characters = rest.char_indices().map(|(at, _)| at);
        let within = characters.take(column as usize).last().unwrap_or(0);
        self.push(&(start + within..start + within), code, message, help);
    }

    /// Line and column, from 1, of a byte offset.
    pub(super) fn position(&self, offset: usize) -> (u32, u32) {
        let before = self.text.get(..offset).unwrap_or(self.text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line = before.bytes().filter(|&byte| byte == b'\n').count() + 1;
        let column = before[line_start..].chars().count() + 1;
        (line as u32, column as u32)
    }

    /// How many were noted.
    pub(super) const fn len(&self) -> usize {
        self.errors.len()
    }

    /// Whether nothing was noted.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.errors.is_empty()
    }

    /// Everything noted, in the order of the text.
    #[must_use]
    pub fn finish(mut self) -> PlanErrors {
        if self.errors.is_empty() {
            // No reader gives up without a reason; should one, it is said rather than a panic.
            self.push(&(0..0), Code::Syntax, "this is no plan", "compare it with an example");
        }
        self.errors.sort_by_key(|(offset, _)| *offset);
        PlanErrors(self.errors.into_iter().map(|(_, error)| error).collect())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_code_has_a_text_of_its_own() {
        let texts: BTreeSet<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(texts.len(), Code::ALL.len());
        assert!(texts.iter().all(|text| text.len() == 4 && text.starts_with('P')));
    }
}
