//! Values with the intervals that they are in, each in a row.

use super::Figure;
use super::scale::Scale;
use super::svg::Drawing;
use crate::block::{Cell, Column, Table};

const WIDTH: f64 = 640.0;
const LEFT: f64 = 168.0;
const RIGHT: f64 = 620.0;
const TOP: f64 = 10.0;
const ROW: f64 = 26.0;

/// Letters of a name beside its row.
const NAME_LETTERS_MAX: usize = 20;

/// A chart of intervals.
#[derive(Clone, Debug, Default)]
pub(crate) struct Intervals {
    pub(crate) title: String,
    pub(crate) summary: String,
    /// What goes along, with its unit.
    pub(crate) across: &'static str,
    pub(crate) intervals: Vec<Interval>,
    /// Digits after the point in the table.
    pub(crate) digits: usize,
}

/// A value and its interval.
#[derive(Clone, Debug, Default)]
pub(crate) struct Interval {
    pub(crate) name: String,
    pub(crate) href: String,
    pub(crate) low: f64,
    pub(crate) value: f64,
    pub(crate) high: f64,
    /// Whether it is the one that the page is about.
    pub(crate) is_chosen: bool,
    /// What is beside it in the table.
    pub(crate) note: String,
}

impl Interval {
    fn covers_zero(&self) -> bool {
        self.low <= 0.0 && self.high >= 0.0
    }
}

impl Intervals {
    /// The picture and the table.
    pub(crate) fn draw(self) -> Figure {
        let svg = if self.intervals.is_empty() { String::new() } else { self.picture() };
        let table = self.table();
        Figure { title: self.title, summary: self.summary, svg, legend: Vec::new(), table }
    }

    fn picture(&self) -> String {
        let bottom = TOP + ROW * self.intervals.len() as f64 + 6.0;
        let mut drawing = Drawing::new(WIDTH, bottom + 44.0);
        let values = self.intervals.iter().flat_map(|one| [one.low, one.value, one.high]);
        let scale = Scale::over(values.chain([0.0]), 6, (LEFT, RIGHT));
        for (value, label) in scale.ticks() {
            let x = scale.place(value);
            drawing.line(if value == 0.0 { "zero" } else { "grid" }, (x, TOP), (x, bottom));
            drawing.text("tick", "middle", (x, bottom + 16.0), &label);
        }
        for (at, one) in self.intervals.iter().enumerate() {
            let y = TOP + ROW * (at as f64 + 0.5);
            let series = usize::from(!one.is_chosen);
            let class = if one.covers_zero() { "span open" } else { "span" };
            let class = format!("{class} s{}", if one.is_chosen { 1 } else { 0 });
            let (low, high) = (scale.place(one.low), scale.place(one.high));
            drawing.line(&class, (low, y), (high, y));
            drawing.line(&class, (low, y - 4.0), (low, y + 4.0));
            drawing.line(&class, (high, y - 4.0), (high, y + 4.0));
            let title = self.words(one);
            drawing.mark(1 - series, (scale.place(one.value), y), &title);
            drawing.text("name", "end", (LEFT - 12.0, y + 4.0), &shortened(&one.name));
        }
        let middle = f64::midpoint(LEFT, RIGHT);
        drawing.text("label", "middle", (middle, bottom + 36.0), self.across);
        drawing.finish(&self.title, &self.summary)
    }

    fn words(&self, one: &Interval) -> String {
        let [low, value, high] =
            [one.low, one.value, one.high].map(|value| crate::text::decimal(value, self.digits));
        format!("{}: {value}, between {low} and {high}", one.name)
    }

    fn table(&self) -> Table {
        let columns = vec![
            Column::text("Member", "member"),
            Column { label: self.across, name: "value", is_number: true },
            Column::number("From", "low"),
            Column::number("To", "high"),
            Column::text("Reading", "reading"),
        ];
        let digits = self.digits;
        let rows = self.intervals.iter().map(|one| {
            let reading = match (one.covers_zero(), one.note.is_empty()) {
                (true, true) => "not told from 0".to_owned(),
                (true, false) => format!("not told from 0; {}", one.note),
                (false, _) => one.note.clone(),
            };
            vec![
                Cell::link(one.name.clone(), one.href.clone()),
                Cell::decimal(one.value, digits),
                Cell::decimal(one.low, digits),
                Cell::decimal(one.high, digits),
                Cell::text(reading),
            ]
        });
        Table::new(self.title.clone(), columns).with(rows)
    }
}

fn shortened(name: &str) -> String {
    if name.chars().count() <= NAME_LETTERS_MAX {
        return name.to_owned();
    }
    let start: String = name.chars().take(NAME_LETTERS_MAX - 1).collect();
    format!("{start}\u{2026}")
}
