//! SVG elements as text. Whatever is written goes through [`escape`].

use std::fmt::Write as _;

use super::SERIES_MAX;

/// A drawing in the making.
pub(super) struct Drawing {
    body: String,
    width: f64,
    height: f64,
}

impl Drawing {
    pub(super) const fn new(width: f64, height: f64) -> Self {
        Self { body: String::new(), width, height }
    }

    pub(super) fn line(&mut self, class: &str, (x1, y1): (f64, f64), (x2, y2): (f64, f64)) {
        self.put(format_args!(
            r#"<line class="{class}" x1="{x1:.1}" y1="{y1:.1}" x2="{x2:.1}" y2="{y2:.1}"/>"#
        ));
    }

    pub(super) fn rect(&mut self, class: &str, (x, y): (f64, f64), (width, height): (f64, f64)) {
        self.put(format_args!(
            r#"<rect class="{class}" x="{x:.1}" y="{y:.1}" width="{:.1}" height="{:.1}"/>"#,
            width.max(0.0),
            height.max(0.0),
        ));
    }

    /// A polyline, or a filled polygon.
    pub(super) fn path(&mut self, class: &str, points: &[(f64, f64)], is_closed: bool) {
        let mut data = String::new();
        for (at, (x, y)) in points.iter().enumerate() {
            let command = if at == 0 { 'M' } else { 'L' };
            _ = write!(data, "{command}{x:.1} {y:.1}");
        }
        let end = if is_closed { "Z" } else { "" };
        self.put(format_args!(r#"<path class="{class}" d="{data}{end}"/>"#));
    }

    /// The mark of a series; `title` is shown when it is pointed at.
    pub(super) fn mark(&mut self, series: usize, at: (f64, f64), title: &str) {
        let shape = shape(series, at);
        let class = series % SERIES_MAX;
        let title = escape(title);
        self.put(format_args!(
            r#"<path class="mark s{class}" d="{shape}"><title>{title}</title></path>"#
        ));
    }

    /// `anchor`: start, middle or end.
    pub(super) fn text(&mut self, class: &str, anchor: &str, (x, y): (f64, f64), text: &str) {
        let text = escape(text);
        self.put(format_args!(
            r#"<text class="{class}" text-anchor="{anchor}" x="{x:.1}" y="{y:.1}">{text}</text>"#
        ));
    }

    /// The element, for people who see it and people who don't.
    pub(super) fn finish(self, title: &str, summary: &str) -> String {
        let (title, summary) = (escape(title), escape(summary));
        let (width, height) = (self.width, self.height);
        format!(
            r#"<svg class="chart" viewBox="0 0 {width:.0} {height:.0}" role="img" aria-label="{title}. {summary}"><title>{title}</title><desc>{summary}</desc>{}</svg>"#,
            self.body
        )
    }

    fn put(&mut self, element: std::fmt::Arguments<'_>) {
        _ = self.body.write_fmt(element);
    }
}

/// A mark by itself, for legends.
pub(super) fn key(series: usize) -> String {
    let shape = shape(series, (8.0, 8.0));
    let class = series % SERIES_MAX;
    format!(
        r#"<svg class="key" viewBox="0 0 16 16" aria-hidden="true" focusable="false"><path class="mark s{class}" d="{shape}"/></svg>"#
    )
}

/// Circle, square, triangle, diamond, cross, and so on.
fn shape(series: usize, (x, y): (f64, f64)) -> String {
    let points: &[(f64, f64)] = match series % SERIES_MAX {
        0 => return format!("M{:.1} {y:.1}a4 4 0 1 0 8 0a4 4 0 1 0 -8 0Z", x - 4.0),
        1 => &[(-3.5, -3.5), (3.5, -3.5), (3.5, 3.5), (-3.5, 3.5)],
        2 => &[(0.0, -4.8), (4.6, 3.4), (-4.6, 3.4)],
        3 => &[(0.0, -5.0), (5.0, 0.0), (0.0, 5.0), (-5.0, 0.0)],
        4 => &[(-4.6, -3.4), (4.6, -3.4), (0.0, 4.8)],
        5 => &[(-5.0, -2.0), (5.0, -2.0), (5.0, 2.0), (-5.0, 2.0)],
        6 => &[(-2.0, -5.0), (2.0, -5.0), (2.0, 5.0), (-2.0, 5.0)],
        _ => &[
            (-5.0, -5.0),
            (0.0, -2.0),
            (5.0, -5.0),
            (2.0, 0.0),
            (5.0, 5.0),
            (0.0, 2.0),
            (-5.0, 5.0),
            (-2.0, 0.0),
        ],
    };
    let mut data = String::new();
    for (at, (dx, dy)) in points.iter().enumerate() {
        let command = if at == 0 { 'M' } else { 'L' };
        _ = write!(data, "{command}{:.1} {:.1}", x + dx, y + dy);
    }
    data + "Z"
}

/// Text that stands between tags, or in an attribute with double quotes.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // No control characters: XML has none.
            letter if letter.is_control() => out.push(' '),
            letter => out.push(letter),
        }
    }
    out
}
