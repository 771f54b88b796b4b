//! Values over rounds, with the band that they are in where there is one.

use super::scale::Scale;
use super::svg::Drawing;
use super::{Figure, legend};
use crate::block::{Cell, Column, Table};

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 260.0;
const LEFT: f64 = 62.0;
const RIGHT: f64 = 626.0;
const TOP: f64 = 28.0;
const BOTTOM: f64 = 214.0;

/// With more points than this, marks would be a band of ink.
const MARKS_MAX: usize = 40;

/// A chart of lines.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lines {
    pub(crate) title: String,
    pub(crate) summary: String,
    /// What goes along, for people.
    pub(crate) across: &'static str,
    /// What goes up, with its unit.
    pub(crate) up: &'static str,
    pub(crate) lines: Vec<Line>,
    /// A value that matters, drawn across, with its name.
    pub(crate) limit: Option<(String, f64)>,
    /// Digits after the point in the table.
    pub(crate) digits: usize,
}

/// A line with its name.
#[derive(Clone, Debug, Default)]
pub(crate) struct Line {
    pub(crate) name: String,
    pub(crate) points: Vec<Point>,
}

/// A value, and between what it lies.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Point {
    pub(crate) x: u64,
    pub(crate) y: f64,
    pub(crate) band: Option<(f64, f64)>,
}

impl Point {
    pub(crate) const fn at(x: u64, y: f64) -> Self {
        Self { x, y, band: None }
    }
}

impl Lines {
    /// The picture and the table.
    pub(crate) fn draw(self) -> Figure {
        let is_empty = self.lines.iter().all(|line| line.points.is_empty());
        let svg = if is_empty { String::new() } else { self.picture() };
        let several = self.lines.len() > 1;
        let names = self.lines.iter().map(|line| line.name.as_str());
        let legend = if several { legend(names) } else { Vec::new() };
        let table = self.table();
        Figure { title: self.title, summary: self.summary, svg, legend, table }
    }

    fn points(&self) -> impl Iterator<Item = &Point> {
        self.lines.iter().flat_map(|line| &line.points)
    }

    fn picture(&self) -> String {
        let mut drawing = Drawing::new(WIDTH, HEIGHT);
        let bands = self.points().flat_map(|point| point.band.map(|(low, high)| [low, high]));
        let limit = self.limit.iter().map(|(_, value)| *value);
        let values = self.points().map(|point| point.y).chain(bands.flatten()).chain(limit);
        let up = Scale::over(values, 5, (BOTTOM, TOP));
        let across = Across::over(self.points().map(|point| point.x));
        for (value, label) in up.ticks() {
            let y = up.place(value);
            drawing.line("grid", (LEFT, y), (RIGHT, y));
            drawing.text("tick", "end", (LEFT - 8.0, y + 4.0), &label);
        }
        for x in across.ticks() {
            drawing.text("tick", "middle", (across.place(x), BOTTOM + 18.0), &x.to_string());
        }
        drawing.line("axis", (LEFT, BOTTOM), (RIGHT, BOTTOM));
        drawing.text("label", "middle", (f64::midpoint(LEFT, RIGHT), HEIGHT - 8.0), self.across);
        drawing.text("label", "start", (2.0, 12.0), self.up);
        if let Some((name, value)) = &self.limit {
            let y = up.place(*value);
            drawing.line("limit", (LEFT, y), (RIGHT, y));
            drawing.text("tick", "end", (RIGHT, y - 5.0), name);
        }
        for (series, line) in self.lines.iter().enumerate() {
            draw_line(&mut drawing, series, line, (&across, &up));
        }
        drawing.finish(&self.title, &self.summary)
    }

    fn table(&self) -> Table {
        let name = Column::text("Series", "series");
        let x = Column { label: self.across, name: "at", is_number: true };
        let columns = vec![
            name,
            x,
            Column { label: self.up, name: "value", is_number: true },
            Column::number("From", "low"),
            Column::number("To", "high"),
        ];
        let digits = self.digits;
        let rows = self.lines.iter().flat_map(|line| {
            line.points.iter().map(move |point| {
                let ends = point.band.map_or([Cell::none(), Cell::none()], |(low, high)| {
                    [Cell::decimal(low, digits), Cell::decimal(high, digits)]
                });
                let [low, high] = ends;
                let y = Cell::decimal(point.y, digits);
                vec![Cell::text(line.name.clone()), Cell::number(point.x), y, low, high]
            })
        });
        let mut table = Table::new(self.title.clone(), columns).with(rows);
        drop_column(&mut table, 4, self.points().all(|point| point.band.is_none()));
        drop_column(&mut table, 3, self.points().all(|point| point.band.is_none()));
        drop_column(&mut table, 0, self.lines.len() <= 1);
        table
    }
}

/// Takes a column out that says nothing.
fn drop_column(table: &mut Table, at: usize, is_idle: bool) {
    if is_idle && at < table.columns.len() {
        table.columns.remove(at);
        table.rows.iter_mut().for_each(|row| {
            row.remove(at);
        });
    }
}

fn draw_line(drawing: &mut Drawing, series: usize, line: &Line, (across, up): (&Across, &Scale)) {
    let class = series % super::SERIES_MAX;
    let place = |x: u64, y: f64| (across.place(x), up.place(y));
    let banded = line.points.iter().filter_map(|point| point.band.map(|band| (point.x, band)));
    let banded: Vec<_> = banded.collect();
    if banded.len() > 1 {
        let lows = banded.iter().map(|(x, (low, _))| place(*x, *low));
        let highs = banded.iter().rev().map(|(x, (_, high))| place(*x, *high));
        drawing.path(&format!("band s{class}"), &lows.chain(highs).collect::<Vec<_>>(), true);
    }
    let points: Vec<_> = line.points.iter().filter(|point| point.y.is_finite()).collect();
    let places: Vec<_> = points.iter().map(|point| place(point.x, point.y)).collect();
    drawing.path(&format!("line s{class}"), &places, false);
    if points.len() <= MARKS_MAX {
        for (point, place) in points.iter().zip(places) {
            let y = crate::text::decimal(point.y, 4);
            drawing.mark(series, place, &format!("{} at {}: {y}", line.name, point.x));
        }
    }
}

/// Whole numbers along.
struct Across {
    first: u64,
    last: u64,
}

impl Across {
    fn over(values: impl Iterator<Item = u64>) -> Self {
        let (first, last) =
            values.fold((u64::MAX, 0), |(first, last), value| (first.min(value), last.max(value)));
        Self { first: first.min(last), last }
    }

    fn place(&self, x: u64) -> f64 {
        let (at, whole) = (x.saturating_sub(self.first), self.last - self.first);
        let part = if whole == 0 { 0.5 } else { at as f64 / whole as f64 };
        LEFT + 10.0 + part * (RIGHT - LEFT - 20.0)
    }

    fn ticks(&self) -> Vec<u64> {
        let whole = self.last - self.first;
        let steps = [1, 2, 5].into_iter();
        let step = (0..19)
            .map(|power| 10u64.pow(power))
            .flat_map(|ten| steps.clone().map(move |step| step * ten));
        let step = step.into_iter().find(|step| whole / step <= 10).unwrap_or(whole.max(1));
        let begin = self.first.div_ceil(step).saturating_mul(step);
        (0..=10).map_while(|at| begin.checked_add(at * step)).filter(|x| *x <= self.last).collect()
    }
}
