//! Who has which examples.

use std::fmt;
use std::str::FromStr;

use covey_aggregation::plan::Plan;
use covey_aggregation::program::{Exit, Failure};
use covey_model::data::{DataSource, Pool};
use covey_model::split::{by_group, dirichlet_by_label, iid};

use crate::check::data_failure;

/// How examples are divided among clients.
#[derive(Clone, Debug, PartialEq)]
pub enum Partition {
    /// At random, equally many each.
    Iid,
    /// By label: of every class, the clients' shares are drawn from a Dirichlet distribution with
    /// this parameter.
    Dirichlet(f64),
    /// By a column: a client has examples of one of its values only; of several values where
    /// there are fewer clients than values.
    ByColumn(String),
    /// By file: a client has a data set of its own.
    ByFile,
}

impl FromStr for Partition {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (word, rest) = text.split_once(':').unwrap_or((text, ""));
        match word {
            "iid" if rest.is_empty() => Ok(Self::Iid),
            "dirichlet" => match rest.parse::<f64>() {
                Ok(alpha) if alpha.is_finite() && alpha > 0.0 => Ok(Self::Dirichlet(alpha)),
                _ => Err(format!("{rest:?} is no number above 0: write dirichlet:0.5")),
            },
            "by-column" if !rest.is_empty() => Ok(Self::ByColumn(rest.to_owned())),
            "by-column" => Err("write by-column:NAME".to_owned()),
            "by-file" if rest.is_empty() => Ok(Self::ByFile),
            _ => Err(format!("{text:?}: use iid, dirichlet:A, by-column:NAME or by-file")),
        }
    }
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Iid => f.write_str("iid"),
            Self::Dirichlet(alpha) => write!(f, "dirichlet:{alpha}"),
            Self::ByColumn(column) => write!(f, "by-column:{column}"),
            Self::ByFile => f.write_str("by-file"),
        }
    }
}

impl Partition {
    /// Numbers of the examples of each client, ascending.
    ///
    /// # Errors
    /// [`Failure`] when they cannot be divided so.
    pub fn divide(
        &self,
        pool: &Pool,
        source: &DataSource,
        plan: &Plan,
        clients: usize,
        seed: u64,
    ) -> Result<Vec<Vec<usize>>, Failure> {
        let data = pool.dataset();
        let divided = match self {
            Self::Iid => iid(data.len(), clients, seed),
            Self::Dirichlet(_) if data.labels().is_empty() => {
                let what = "dirichlet divides by class, and this plan predicts none";
                return Err(Failure::new(Exit::BadInput, "BAD_PARTITION", what)
                    .with_help("use iid, or by-column:NAME of a table"));
            }
            Self::Dirichlet(alpha) => dirichlet_by_label(data.labels(), clients, *alpha, 1, seed),
            Self::ByColumn(column) => {
                let groups = pool.groups(source, &plan.data, column);
                by_group(&groups.map_err(|error| data_failure(&error))?, clients, seed)
            }
            Self::ByFile => {
                let what = "by-file divides no file: each client has one of its own";
                return Err(Failure::new(Exit::BadInput, "BAD_PARTITION", what)
                    .with_help("use iid, dirichlet:A or by-column:NAME to divide one"));
            }
        };
        divided.map_err(|error| Failure::new(Exit::BadInput, "BAD_PARTITION", error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_are_read_as_they_are_written() {
        for text in ["iid", "dirichlet:0.5", "by-column:hospital", "by-column:a:b", "by-file"] {
            let partition: Partition = text.parse().expect("a partition");
            assert_eq!(partition.to_string(), text);
        }
        let none = [
            "",
            "iid:1",
            "dirichlet",
            "dirichlet:0",
            "dirichlet:nan",
            "by-column:",
            "by-file:1",
            "x",
        ];
        for text in none {
            assert!(text.parse::<Partition>().is_err(), "{text}");
        }
    }
}
