//! The numbers in a table, column by column.

/// A column, and the bounds of what stands in it.
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) low: f64,
    pub(crate) high: f64,
}

impl Column {
    /// Whether it is the one with the labels.
    pub(crate) fn is_label(&self) -> bool {
        self.name == "label"
    }
}

/// Every column of the table, in order.
///
/// # Errors
/// The first field that is no number.
pub(crate) fn columns(header: &str, lines: &[String]) -> Result<Vec<Column>, String> {
    let text = format!("{header}\n{}\n", lines.join("\n"));
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let names = reader.headers().map_err(|error| error.to_string())?;
    let unseen = |name: &str| Column {
        name: name.trim().to_owned(),
        low: f64::INFINITY,
        high: f64::NEG_INFINITY,
    };
    let mut columns: Vec<Column> = names.iter().map(unseen).collect();
    for row in reader.records() {
        let row = row.map_err(|error| error.to_string())?;
        for (field, column) in row.iter().zip(&mut columns) {
            let value: f64 = field.trim().parse().map_err(|_| {
                format!("column {:?} holds {field:?}: the demo reads numbers only", column.name)
            })?;
            column.low = column.low.min(value);
            column.high = column.high.max(value);
        }
    }
    Ok(columns)
}
