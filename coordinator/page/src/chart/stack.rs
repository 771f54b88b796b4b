//! Bars of parts, one on the other.

use super::scale::Scale;
use super::svg::Drawing;
use super::{Figure, SERIES_MAX, legend};
use crate::block::{Cell, Column, Table};

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 260.0;
const LEFT: f64 = 62.0;
const RIGHT: f64 = 626.0;
const TOP: f64 = 28.0;
const BOTTOM: f64 = 214.0;

/// Labels along; of more bars every so many has one.
const LABELS_MAX: usize = 12;

/// A chart of stacked bars. Values below 0 are not drawn.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stacks {
    pub(crate) title: String,
    pub(crate) summary: String,
    pub(crate) across: &'static str,
    pub(crate) up: &'static str,
    /// Names of the parts.
    pub(crate) series: Vec<String>,
    /// Each bar's name and parts.
    pub(crate) bars: Vec<(String, Vec<f64>)>,
    /// Digits after the point in the table.
    pub(crate) digits: usize,
}

impl Stacks {
    /// The picture and the table. More series than have a colour are drawn as one, the rest.
    pub(crate) fn draw(self) -> Figure {
        let table = self.table();
        let folded = self.folded();
        let svg = if folded.bars.is_empty() { String::new() } else { folded.picture() };
        let legend = legend(folded.series.iter().map(String::as_str));
        Figure { title: self.title, summary: self.summary, svg, legend, table }
    }

    fn folded(&self) -> Self {
        let mut folded = self.clone();
        if folded.series.len() > SERIES_MAX {
            let kept = SERIES_MAX - 1;
            let rest = folded.series.len() - kept;
            folded.series.truncate(kept);
            folded.series.push(format!("{rest} others"));
            for (_, parts) in &mut folded.bars {
                let others = parts.iter().skip(kept).filter(|part| **part > 0.0).sum();
                parts.truncate(kept);
                parts.resize(kept, 0.0);
                parts.push(others);
            }
        }
        folded
    }

    fn picture(&self) -> String {
        let mut drawing = Drawing::new(WIDTH, HEIGHT);
        let total = |parts: &[f64]| parts.iter().filter(|part| **part > 0.0).sum::<f64>();
        let totals = self.bars.iter().map(|(_, parts)| total(parts));
        let up = Scale::over(totals.chain([0.0]), 5, (BOTTOM, TOP));
        for (value, label) in up.ticks() {
            let y = up.place(value);
            drawing.line("grid", (LEFT, y), (RIGHT, y));
            drawing.text("tick", "end", (LEFT - 8.0, y + 4.0), &label);
        }
        let room = (RIGHT - LEFT) / self.bars.len() as f64;
        let width = (room * 0.7).min(64.0);
        let every = self.bars.len().div_ceil(LABELS_MAX);
        for (at, (name, parts)) in self.bars.iter().enumerate() {
            let middle = LEFT + room * (at as f64 + 0.5);
            let mut sum = 0.0;
            for (series, part) in parts.iter().enumerate().filter(|(_, part)| **part > 0.0) {
                let (top, bottom) = (up.place(sum + part), up.place(sum));
                let place = (middle - width / 2.0, top);
                drawing.rect(
                    &format!("bar s{}", series % SERIES_MAX),
                    place,
                    (width, bottom - top),
                );
                sum += part;
            }
            if at % every == 0 {
                drawing.text("tick", "middle", (middle, BOTTOM + 18.0), name);
            }
        }
        drawing.line("axis", (LEFT, BOTTOM), (RIGHT, BOTTOM));
        drawing.text("label", "middle", (f64::midpoint(LEFT, RIGHT), HEIGHT - 8.0), self.across);
        drawing.text("label", "start", (2.0, 12.0), self.up);
        drawing.finish(&self.title, &self.summary)
    }

    fn table(&self) -> Table {
        let columns = vec![
            Column { label: self.across, name: "at", is_number: false },
            Column::text("Part", "part"),
            Column { label: self.up, name: "value", is_number: true },
        ];
        let digits = self.digits;
        let rows = self.bars.iter().flat_map(|(bar, parts)| {
            parts.iter().zip(&self.series).map(move |(part, name)| {
                vec![
                    Cell::text(bar.clone()),
                    Cell::text(name.clone()),
                    Cell::decimal(*part, digits),
                ]
            })
        });
        Table::new(self.title.clone(), columns).with(rows)
    }
}
