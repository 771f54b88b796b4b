//! Reading a file field by field: every field is asked for by name, what is left over is unknown, and
//! all errors are told at once, each with its line, a stable code and what to do. Plans are read with
//! it, and other files that people write.

use toml::Spanned;
use toml::de::DeTable;

use crate::limits::PLAN_BYTES_ALL_SYNTAX_ERRORS;

use super::error::Code;

pub use super::error::Collector;
pub use super::section::{At, Field, Section};

/// The fields of a file that is `what`, such as `a plan`, and that begins with this schema; none
/// where it does not, or is no TOML.
pub fn root<'i>(
    text: &'i str,
    what: &'static str,
    schema: &str,
    errors: &mut Collector<'_>,
) -> Option<Section<'i>> {
    let table = match parse_table(text) {
        Ok(table) => table,
        Err(syntax) => {
            for error in &syntax {
                let at = error.span().unwrap_or_default();
                let help = "see https://toml.io for the syntax";
                errors.push(&at, Code::Syntax, error.message(), help);
            }
            return None;
        }
    };
    let mut root = Section::root(what, table.into_inner());
    let help = format!("begin the file with `schema = \"{schema}\"`");
    let found = root.required(errors, "schema", &help)?.text(errors)?;
    if found.value == schema {
        return Some(root);
    }
    let message = format!("schema {:?} is not one that this program reads", found.value);
    errors.push(&found.span, Code::Schema, message, help);
    None
}

/// All syntax errors of a file that people write, the first of a longer one.
fn parse_table(text: &str) -> Result<Spanned<DeTable<'_>>, Vec<toml::de::Error>> {
    if text.len() > PLAN_BYTES_ALL_SYNTAX_ERRORS {
        return DeTable::parse(text).map_err(|first| vec![first]);
    }
    let (table, errors) = DeTable::parse_recoverable(text);
    if errors.is_empty() { Ok(table) } else { Err(errors) }
}
