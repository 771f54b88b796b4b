//! Charts: pictures as SVG, and the same numbers as a table beside them. Colours are classes of the
//! style sheet (Okabe and Ito's palette), and every series has a shape of its own as well.

mod interval;
mod line;
mod scale;
mod stack;
mod svg;

use crate::block::Table;

pub(crate) use self::interval::{Interval, Intervals};
pub(crate) use self::line::{Line, Lines, Point};
pub(crate) use self::stack::Stacks;

/// Series that have a colour and a shape of their own; more share one.
pub(crate) const SERIES_MAX: usize = 8;

/// A chart.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Figure {
    pub(crate) title: String,
    /// What is to be seen, in a sentence.
    pub(crate) summary: String,
    /// The whole `<svg>` element, everything in it escaped. Empty where there is nothing to draw.
    pub(crate) svg: String,
    pub(crate) legend: Vec<Entry>,
    pub(crate) table: Table,
}

/// A line of a legend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// A small `<svg>` of the mark.
    pub(crate) mark: String,
    pub(crate) name: String,
}

/// A legend of these series, with their marks.
fn legend<'a>(names: impl IntoIterator<Item = &'a str>) -> Vec<Entry> {
    let entry = |(at, name): (usize, &str)| Entry { mark: svg::key(at), name: name.to_owned() };
    names.into_iter().enumerate().map(entry).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVIL: &str = "\"><script>alert(1)</script>&";

    #[test]
    fn no_name_becomes_markup_and_no_number_breaks_a_picture() {
        let odd = [f64::NAN, f64::INFINITY, -1e300, 0.0, 1e300];
        let points: Vec<_> = (1..).zip(odd).map(|(x, y)| Point::at(x, y)).collect();
        let line = Line { name: EVIL.to_owned(), points };
        let lines = Lines {
            title: EVIL.to_owned(),
            lines: vec![line],
            limit: Some((EVIL.to_owned(), 3.0)),
            ..Lines::default()
        };
        let one = Interval {
            name: EVIL.to_owned(),
            low: -1.0,
            value: 1e300,
            high: f64::NAN,
            ..Interval::default()
        };
        let intervals =
            Intervals { title: EVIL.to_owned(), intervals: vec![one], ..Intervals::default() };
        let stacks = Stacks {
            title: EVIL.to_owned(),
            series: vec![EVIL.to_owned(); 20],
            bars: vec![(EVIL.to_owned(), vec![1.0; 20]), ("two".to_owned(), vec![])],
            ..Stacks::default()
        };
        for figure in [lines.draw(), intervals.draw(), stacks.draw()] {
            assert!(!figure.svg.contains("<script"), "{}", figure.svg);
            assert!(!figure.svg.contains("NaN") && !figure.svg.contains("inf"), "{}", figure.svg);
            assert!(figure.svg.contains("&lt;script&gt;"));
        }
    }

    #[test]
    fn charts_of_nothing_are_no_pictures() {
        for figure in
            [Lines::default().draw(), Intervals::default().draw(), Stacks::default().draw()]
        {
            assert_eq!(figure.svg, "");
            assert!(figure.table.rows.is_empty());
        }
    }
}
