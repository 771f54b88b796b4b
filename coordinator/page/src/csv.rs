//! Tables as comma-separated values (RFC 4180).

use crate::block::Table;

/// The table's columns and rows.
pub(crate) fn of(table: &Table) -> String {
    let mut out = line(table.columns.iter().map(|column| column.name));
    for row in &table.rows {
        out += &line(table.cells(row).map(|(_, cell)| cell.value()));
    }
    out
}

fn line<'a>(fields: impl Iterator<Item = &'a str>) -> String {
    let fields: Vec<_> = fields.map(field).collect();
    format!("{}\r\n", fields.join(","))
}

/// A field in quotes where it needs them. What a spreadsheet would take for a formula gets an
/// apostrophe before it; numbers below zero are none.
fn field(text: &str) -> String {
    let is_number = text.parse::<f64>().is_ok();
    let is_formula = !is_number && text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let text = if is_formula { format!("'{text}") } else { text.to_owned() };
    if text.contains(['"', ',', '\n', '\r']) || is_formula {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::{Cell, Column};

    #[test]
    fn fields_are_quoted_where_they_must_and_formulas_are_disarmed() {
        let columns = vec![Column::text("A", "a"), Column::number("B", "b")];
        let row = |text: &str| vec![Cell::text(text), Cell::number(-5)];
        let texts = ["plain", "two, \"quoted\"", "=1+1", "line\nbreak"];
        let table = Table::new("", columns).with(texts.into_iter().map(row));
        let expected = "a,b\r\nplain,-5\r\n\"two, \"\"quoted\"\"\",-5\r\n\"'=1+1\",-5\r\n\
                        \"line\nbreak\",-5\r\n";
        assert_eq!(of(&table), expected);
    }
}
