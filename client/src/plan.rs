//! What a researcher does with plans before anything runs: begin one, check it, have it explained,
//! compare two. The format is described in one place, [`covey_aggregation::plan::schema`], from
//! which all of this follows.

mod diff;
mod excerpt;
mod explain;
mod fields;
mod json_schema;
mod quantity;
mod sheet;
mod template;
mod tradeoff;

pub(crate) use diff::compare_read;
pub use diff::{Change, Comparison, Fact, compare};
pub(crate) use excerpt::excerpt;
pub use explain::{Explanation, explain};
pub use json_schema::{JsonSchema, json_schema};
pub(crate) use quantity::duration;
pub use sheet::{Sheet, Values};
pub use template::{NewPlan, Template, create};
pub use tradeoff::{Choice, Cohort, Rounds, Tradeoff, Trial, tradeoff};
