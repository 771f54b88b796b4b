//! A store as text that neither database is needed to read: JSON, a line for each row.
//!
//! ```text
//! {"store":"runs","format":1}
//! {"table":"runs","columns":[["number","integer"],["run","bytes"], ...]}
//! [1,"base64", ...]
//! {"end":"runs","rows":1}
//! ```
//!
//! Bytes are base64, reals the sixteen digits of their bits (so that each comes back as it was, also
//! one that is no number). A dump whose last line is missing was cut off.

use std::io::{BufRead, Write};

use data_encoding::BASE64;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use sqlx::AssertSqlSafe;

use super::schema::{Schema, Table, bring_up};
use super::{Access, Database, Row, Statement, Transaction, Value, sql};
use crate::storage::StorageError;
use crate::storage::place::Place;

/// Rows that are read, or written, at once.
const ROWS_AT_ONCE: usize = 64;

/// What a dump says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Dumped {
    /// The store's format.
    pub(crate) format: i64,
    /// Rows of all its tables.
    pub(crate) rows: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Line {
    Store { store: String, format: i64 },
    Table { table: String, columns: Vec<(String, Kind)> },
    Row(Vec<Json>),
    End { end: String, rows: u64 },
}

#[derive(Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Integer,
    Real,
    Text,
    Bytes,
}

/// Writes a store as it is at one moment.
///
/// # Errors
/// [`StorageError`].
pub(crate) async fn dump(
    place: &Place,
    schema: &Schema,
    to: &mut (dyn Write + Send),
) -> Result<Dumped, StorageError> {
    let mut database = Database::open_to_read(place, schema).await?;
    let (name, format) = (schema.name.to_owned(), schema.format());
    write_line(place, to, &Line::Store { store: name.clone(), format })?;
    let mut rows = 0;
    let mut look = database.connection.begin_to_look(place).await?;
    for table in schema.contents {
        rows += dump_table(&mut look, place, table, to).await?;
    }
    drop(look);
    database.close().await?;
    write_line(place, to, &Line::End { end: name, rows })?;
    Ok(Dumped { format, rows })
}

async fn dump_table(
    look: &mut Transaction<'_>,
    place: &Place,
    table: &Table,
    to: &mut (dyn Write + Send),
) -> Result<u64, StorageError> {
    let keys: Vec<&str> = table.key.split(", ").map(|key| key.trim_matches('"')).collect();
    let mut after: Option<Vec<Value>> = None;
    let mut count = 0;
    loop {
        let found = look.rows(page(table, keys.len(), after.take())).await?;
        let Some(last) = found.last() else { return Ok(count) };
        if count == 0 {
            let columns = values(place, last)?.into_iter();
            let columns = columns.map(|(name, value)| (name, Kind::of(&value))).collect();
            write_line(place, to, &Line::Table { table: table.name.to_owned(), columns })?;
        }
        for row in &found {
            let row = values(place, row)?.into_iter().map(|(_, value)| to_json(value)).collect();
            write_line(place, to, &Line::Row(row))?;
            count += 1;
        }
        let mut last = values(place, last)?;
        let key = |key: &&str| {
            let at = last.iter().position(|(name, _)| name == key);
            at.map(|at| last.swap_remove(at).1).ok_or_else(|| bad(place, "a key is missing"))
        };
        after = Some(keys.iter().map(key).collect::<Result<_, _>>()?);
    }
}

/// The next rows of a table in the order of its key.
fn page(table: &Table, keys: usize, after: Option<Vec<Value>>) -> Statement {
    let Table { name, key } = table;
    let marks: Vec<_> = (1..=keys).map(|number| format!("${number}")).collect();
    let beyond = match after {
        Some(_) => format!("WHERE ({key}) > ({})", marks.join(", ")),
        None => String::new(),
    };
    // Made of this program's own constants; the values are bound.
    let text = format!("SELECT * FROM {name} {beyond} ORDER BY {key} LIMIT {ROWS_AT_ONCE}");
    after.into_iter().flatten().fold(sql(AssertSqlSafe(text)), Statement::bind)
}

/// Reads a dump into a store that is not there yet, and brings it to the newest format.
///
/// # Errors
/// [`StorageError`]: the dump is damaged or of a format that this program does not know, or there is
/// a store already.
pub(crate) async fn load(
    place: &Place,
    schema: &Schema,
    from: &mut (dyn BufRead + Send),
) -> Result<Dumped, StorageError> {
    if Database::format(place).await?.is_some() {
        return Err(StorageError::Occupied { path: place.shown() });
    }
    let Line::Store { store, format } = read_line(place, from)? else {
        return Err(bad(place, "it does not begin as a dump"));
    };
    if store != schema.name {
        return Err(bad(place, &format!("it is one of {store}, not of {}", schema.name)));
    }
    schema.admit(place, format)?;
    let mut database = Database::connect(place, Access::Alone).await?;
    bring_up(&mut database.connection, place, schema, format).await?;
    let (mut insert, mut kinds) = (String::new(), Vec::new());
    let (mut waiting, mut count) = (Vec::new(), 0);
    loop {
        let line = read_line(place, from)?;
        if waiting.len() == ROWS_AT_ONCE || !matches!(line, Line::Row(_)) {
            store_rows(&mut database, std::mem::take(&mut waiting)).await?;
        }
        match line {
            Line::Table { table, columns } => {
                (insert, kinds) = insertion(place, schema, &table, columns)?;
            }
            Line::Row(row) => {
                let mut statement = sql(AssertSqlSafe(insert.clone()));
                if row.len() != kinds.len() || kinds.is_empty() {
                    return Err(bad(place, "a row has other columns than its table"));
                }
                for (value, kind) in row.into_iter().zip(&kinds) {
                    let value = of_json(value, *kind).ok_or_else(|| bad(place, "a value"))?;
                    statement = statement.bind(value);
                }
                waiting.push(statement);
                count += 1;
            }
            Line::End { end, rows } if end == schema.name && rows == count => break,
            Line::End { .. } | Line::Store { .. } => {
                return Err(bad(place, "it does not hold as many rows as it says"));
            }
        }
    }
    database.close().await?;
    // As at every start: a dump of an older format is migrated.
    Database::open(place, schema, Access::Alone).await?.close().await?;
    Ok(Dumped { format, rows: count })
}

async fn store_rows(database: &mut Database, rows: Vec<Statement>) -> Result<(), StorageError> {
    let stored = async |transaction: &mut Transaction<'_>| {
        for row in rows {
            transaction.execute(row).await?;
        }
        Ok(())
    };
    database.write(stored).await
}

/// How a row of a table is stored. Names come from a file, and are checked.
fn insertion(
    place: &Place,
    schema: &Schema,
    table: &str,
    columns: Vec<(String, Kind)>,
) -> Result<(String, Vec<Kind>), StorageError> {
    let is_name =
        |name: &str| !name.is_empty() && name.bytes().all(|c| c.is_ascii_lowercase() || c == b'_');
    let known = schema.contents.iter().any(|one| one.name == table);
    if !known || !columns.iter().all(|(name, _)| is_name(name)) {
        return Err(bad(place, "it holds a table that such a store has not"));
    }
    let names: Vec<_> = columns.iter().map(|(name, _)| format!("\"{name}\"")).collect();
    let marks: Vec<_> = (1..=columns.len()).map(|number| format!("${number}")).collect();
    let (names, marks) = (names.join(", "), marks.join(", "));
    let text = format!("INSERT INTO {table} ({names}) VALUES ({marks})");
    Ok((text, columns.into_iter().map(|(_, kind)| kind).collect()))
}

fn values(place: &Place, row: &Row) -> Result<Vec<(String, Value)>, StorageError> {
    row.values().map_err(|source| place.failed(source))
}

impl Kind {
    const fn of(value: &Value) -> Self {
        match value {
            Value::Integer(_) => Self::Integer,
            Value::Real(_) => Self::Real,
            Value::Text(_) => Self::Text,
            Value::Bytes(_) => Self::Bytes,
        }
    }
}

fn to_json(value: Value) -> Json {
    match value {
        Value::Integer(value) => value.into(),
        Value::Real(value) => value.map(|real| format!("{:016x}", real.to_bits())).into(),
        Value::Text(value) => value.into(),
        Value::Bytes(value) => value.map(|bytes| BASE64.encode(&bytes)).into(),
    }
}

fn of_json(json: Json, kind: Kind) -> Option<Value> {
    let is_null = json.is_null();
    Some(match (kind, json) {
        (Kind::Integer, _) if is_null => Value::Integer(None),
        (Kind::Real, _) if is_null => Value::Real(None),
        (Kind::Text, _) if is_null => Value::Text(None),
        (Kind::Bytes, _) if is_null => Value::Bytes(None),
        (Kind::Integer, json) => Value::Integer(Some(json.as_i64()?)),
        (Kind::Real, json) => {
            let bits = u64::from_str_radix(json.as_str()?, 16).ok()?;
            Value::Real(Some(f64::from_bits(bits)))
        }
        (Kind::Text, Json::String(text)) => Value::Text(Some(text)),
        (Kind::Bytes, json) => Value::Bytes(Some(BASE64.decode(json.as_str()?.as_bytes()).ok()?)),
        _ => return None,
    })
}

fn write_line(place: &Place, to: &mut (dyn Write + Send), line: &Line) -> Result<(), StorageError> {
    let failed =
        |source: std::io::Error| StorageError::file("write a dump of", &place.shown())(source);
    serde_json::to_writer(&mut *to, line).map_err(|error| failed(error.into()))?;
    to.write_all(b"\n").map_err(failed)
}

fn read_line(place: &Place, from: &mut (dyn BufRead + Send)) -> Result<Line, StorageError> {
    let mut text = String::new();
    let read = from.read_line(&mut text);
    read.map_err(StorageError::file("read a dump of", &place.shown()))?;
    if text.is_empty() {
        return Err(bad(place, "it was cut off"));
    }
    serde_json::from_str(&text).map_err(|_| bad(place, "a line of it is no JSON of a dump"))
}

fn bad(place: &Place, what: &str) -> StorageError {
    StorageError::BadDump { path: place.shown(), what: what.to_owned() }
}
