//! Who has which rows. No row is in two places.

use covey_aggregation::limits::CREDIT_CONTRIBUTIONS_MIN;
use covey_model::random::{shuffle, stream};
use covey_model::split::{dirichlet_by_label, train_test};

use crate::args::Args;
use crate::forgery::{noise, random_labels};
use crate::pool::Pool;
use crate::role::Role;
use crate::scenario::Scenario;
use crate::source::{Rows, Source};

/// Share of the rows held out for the test where there is no test file.
const TEST_SHARE: f64 = 0.2;

/// How unevenly labels are divided: 0.5 gives every owner much of a few classes.
const DIRICHLET_ALPHA: f64 = 0.5;

/// Fewest rows of an owner.
const OWNER_ROWS_MIN: usize = 20;

/// What one owner has.
pub(crate) struct Part {
    pub(crate) role: Role,
    pub(crate) rows: Rows,
}

/// Everybody's rows.
pub(crate) struct Division {
    /// Of the owners, the honest ones first.
    pub(crate) parts: Vec<Part>,
    /// What models are measured on.
    pub(crate) test: Rows,
    /// What owners are credited by; `None` where there are no credits.
    pub(crate) pool: Option<Pool>,
    /// What could not be had as it should be, for people.
    pub(crate) notes: Vec<String>,
}

impl Division {
    /// Sets a pool aside, then a test set where there is none, and divides the rest unevenly by
    /// label.
    ///
    /// # Errors
    /// What is wrong with the rows.
    pub(crate) fn of(args: &Args, source: &Source) -> Result<Self, String> {
        let (pool, rest, notes) = set_aside(args, &source.train);
        let (train, test) = match &source.test {
            Some(test) => (rest, test.clone()),
            None => {
                let (train, test) = train_test(&rest.labels(), TEST_SHARE, args.seed);
                (rest.pick(&train), rest.pick(&test))
            }
        };
        Ok(Self { parts: deal(args, &train)?, test, pool, notes })
    }
}

/// The pool, where credits can be given, the other rows, and what is to be said of it.
fn set_aside(args: &Args, train: &Rows) -> (Option<Pool>, Rows, Vec<String>) {
    if args.owners() < CREDIT_CONTRIBUTIONS_MIN as usize {
        let note = format!(
            "no credits: they take {CREDIT_CONTRIBUTIONS_MIN} owners or more, so the plan goes without its \
             [credit] section"
        );
        return (None, train.clone(), vec![note]);
    }
    let Some((pool, rest)) = Pool::take(train, args.rounds, args.seed) else {
        let note = "no credits: a class has too few rows for a validation pool, so the plan goes \
                    without its [credit] section";
        return (None, train.clone(), vec![note.to_owned()]);
    };
    let mut notes = Vec::new();
    if pool.rounds < args.rounds as usize {
        notes.push(format!(
            "reduced class quotas: the validation pool lasts for {} of {} rounds, later ones will \
             be without credit",
            pool.rounds, args.rounds
        ));
    }
    (Some(pool), rest, notes)
}

/// Owners' parts.
fn deal(args: &Args, train: &Rows) -> Result<Vec<Part>, String> {
    let honest = args.clients as usize;
    let mut all: Vec<usize> = (0..train.len()).collect();
    // Rows that one owner mislabels are nobody else's, so they come off before the others' are
    // dealt: an equal share, of which it keeps what the median owner has.
    let mislabelled = match args.scenario {
        Scenario::Honest => Vec::new(),
        Scenario::Mixed => {
            shuffle(&mut all, &mut stream("demo-mislabelled", &[&args.seed.to_le_bytes()]));
            all.split_off(all.len() - all.len() / (honest + 1))
        }
    };
    all.sort_unstable();
    let rest = train.pick(&all);
    let parts =
        dirichlet_by_label(&rest.labels(), honest, DIRICHLET_ALPHA, OWNER_ROWS_MIN, args.seed)
            .map_err(|error| error.to_string())?;
    let mut sizes: Vec<usize> = parts.iter().map(Vec::len).collect();
    sizes.sort_unstable();
    let median = sizes[sizes.len() / 2];
    let mut classes = train.labels();
    classes.sort_unstable();
    classes.dedup();

    let mut parts = parts.iter();
    let mut rows = |role| match role {
        Role::Honest => Ok(rest.pick(parts.next().map_or(&[], Vec::as_slice))),
        Role::RandomLabels => {
            let real = train.pick(&mislabelled[..median.min(mislabelled.len())]);
            Ok(random_labels(&real, &classes, args.seed))
        }
        Role::FreeRider => noise(train, median, &classes, args.seed),
    };
    let roles = args.scenario.roles(honest);
    roles.into_iter().map(|role| Ok(Part { role, rows: rows(role)? })).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use clap::Parser as _;

    use super::*;

    /// Numbered rows of three classes, the last of them with `rare` rows.
    fn source(rare: u32) -> Source {
        let label = |number: u32| if number < 800 { number % 2 } else { 2 };
        let labels: Vec<u32> = (0..800 + rare).map(label).collect();
        let lines = labels.iter().zip(0..).map(|(label, number)| format!("{number},{label}"));
        let train = Rows::Table {
            header: "number,label".to_owned(),
            lines: lines.collect(),
            labels: labels.clone(),
        };
        Source { title: String::new(), train, test: None }
    }

    fn divide(arguments: &str, source: &Source) -> Division {
        let words = arguments.split(' ').filter(|word| !word.is_empty());
        let args = Args::parse_from(std::iter::once("demo").chain(words));
        Division::of(&args, source).expect("a division")
    }

    fn numbers(rows: &Rows) -> Vec<String> {
        let Rows::Table { lines, .. } = rows else { panic!("no table") };
        let number = |line: &String| line.split(',').next().unwrap_or_default().to_owned();
        lines.iter().map(number).collect()
    }

    fn counts(rows: &Rows) -> BTreeMap<u32, usize> {
        let mut counts = BTreeMap::new();
        rows.labels().into_iter().for_each(|label| *counts.entry(label).or_default() += 1);
        counts
    }

    #[test]
    fn no_row_is_in_two_places_and_every_honest_one_is_in_one() {
        for (scenario, owners) in [("honest", 6), ("mixed", 8)] {
            let division = divide(&format!("--rounds 3 --scenario {scenario}"), &source(400));
            assert_eq!(division.parts.len(), owners);
            let pool = &division.pool.expect("a pool").rows;
            let mut seen = [numbers(pool), numbers(&division.test)].concat();
            let real = |part: &&Part| part.role != Role::FreeRider;
            seen.extend(division.parts.iter().filter(real).flat_map(|part| numbers(&part.rows)));
            let all = seen.len();
            seen.sort_unstable();
            seen.dedup();
            assert_eq!(seen.len(), all);
            assert!(all > 1100, "{all}");
            assert!(scenario == "mixed" || all == 1200);
        }
    }

    #[test]
    fn bad_owners_have_about_as_many_rows_as_the_median_owner() {
        let division = divide("--rounds 3 --clients 5", &source(400));
        let mut honest: Vec<usize> = division.parts[..5].iter().map(|p| p.rows.len()).collect();
        honest.sort_unstable();
        let roles: Vec<Role> = division.parts.iter().map(|part| part.role).collect();
        assert_eq!(roles[4..], [Role::Honest, Role::RandomLabels, Role::FreeRider]);
        assert_eq!(division.parts[6].rows.len(), honest[2]);
        let share = division.parts[5].rows.len();
        assert!(share <= honest[2] && share * 2 > honest[2], "{share} of {honest:?}");
    }

    /// Three classes make folds of thirty, ten of each.
    #[test]
    fn the_pool_has_the_same_of_each_class_and_at_most_three_in_ten_of_the_rarest() {
        let Division { pool, notes, .. } = divide("--rounds 3", &source(400));
        let pool = pool.expect("a pool");
        assert_eq!((pool.fold, pool.rounds, notes.len()), (30, 3, 0));
        assert_eq!(counts(&pool.rows), [(0, 30), (1, 30), (2, 30)].into());

        let Division { pool, notes, .. } = divide("--rounds 3", &source(70));
        let pool = pool.expect("a pool");
        assert_eq!((pool.fold, pool.rounds), (30, 2));
        assert_eq!(counts(&pool.rows), [(0, 20), (1, 20), (2, 20)].into());
        assert!(notes[0].contains("2 of 3 rounds"), "{notes:?}");
    }

    #[test]
    fn without_enough_owners_or_rows_there_is_no_pool_and_a_note() {
        for (arguments, rare, why) in [
            ("--clients 4 --scenario honest", 400, "5 owners"),
            ("--clients 6 --scenario honest", 32, "too few rows"),
        ] {
            let Division { pool, notes, .. } = divide(arguments, &source(rare));
            assert!(pool.is_none() && notes[0].contains(why), "{notes:?}");
        }
    }

    #[test]
    fn the_digits_last_for_the_rounds_that_the_demo_runs() {
        let digits = Source::digits().expect("the digits");
        for clients in [3, 6, 10, 20] {
            let division = divide(&format!("--clients {clients}"), &digits);
            let pool = division.pool.expect("a pool");
            assert_eq!((pool.rows.len(), pool.fold, pool.rounds), (300, 30, 10));
            assert!(division.notes.is_empty());
        }
    }
}
