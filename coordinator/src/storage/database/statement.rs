//! SQL that both databases understand: written once with `$1` placeholders, over values of four
//! kinds.

use covey_aggregation::hash::Digest;
use covey_aggregation::time::Time;
use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use sqlx::{Postgres, Row as _, SqlSafeStr, SqlStr, Sqlite, TypeInfo as _};

/// A value in a column. The kind is known also where there is none: PostgreSQL asks for it.
#[derive(Clone, PartialEq)]
pub(crate) enum Value {
    /// 64 bits with a sign.
    Integer(Option<i64>),
    /// 64 bits.
    Real(Option<f64>),
    /// Text.
    Text(Option<String>),
    /// Bytes.
    Bytes(Option<Vec<u8>>),
}

macro_rules! value_of {
    ($($from:ty => $kind:ident, $value:ident => $to:expr;)*) => {$(
        impl From<$from> for Value {
            fn from($value: $from) -> Self {
                Self::$kind($to)
            }
        }
    )*};
}

value_of! {
    i64 => Integer, value => Some(value);
    Option<i64> => Integer, value => value;
    u32 => Integer, value => Some(value.into());
    Option<u32> => Integer, value => value.map(i64::from);
    Time => Integer, value => Some(millis(value));
    // SQLite keeps no number for what is none; then neither does PostgreSQL.
    Option<f64> => Real, value => value.filter(|value| !value.is_nan());
    &str => Text, value => Some(value.to_owned());
    String => Text, value => Some(value);
    Option<&str> => Text, value => value.map(str::to_owned);
    &[u8] => Bytes, value => Some(value.to_vec());
    Vec<u8> => Bytes, value => Some(value);
    Option<Vec<u8>> => Bytes, value => value;
    Digest => Bytes, value => Some(value.0.to_vec());
    Option<Digest> => Bytes, value => value.map(|digest| digest.0.to_vec());
}

/// Databases have signed integers only; the bits are kept.
const fn millis(time: Time) -> i64 {
    time.0.cast_signed()
}

/// One statement with its values.
pub(crate) struct Statement {
    text: SqlStr,
    values: Vec<Value>,
}

/// A statement without values yet.
pub(crate) fn sql(text: impl SqlSafeStr) -> Statement {
    Statement { text: text.into_sql_str(), values: Vec::new() }
}

macro_rules! query {
    ($statement:expr, $database:ty) => {{
        let (text, values) = $statement.into_parts();
        let mut query = sqlx::query::<$database>(text);
        for value in values {
            query = match value {
                Value::Integer(value) => query.bind(value),
                Value::Real(value) => query.bind(value),
                Value::Text(value) => query.bind(value),
                Value::Bytes(value) => query.bind(value),
            };
        }
        query
    }};
}
pub(super) use query;

impl Statement {
    /// Gives the next placeholder its value.
    pub(crate) fn bind(mut self, value: impl Into<Value>) -> Self {
        self.values.push(value.into());
        self
    }

    pub(super) fn into_parts(self) -> (SqlStr, Vec<Value>) {
        (self.text, self.values)
    }
}

/// A row of either database.
pub(crate) enum Row {
    /// Of a file.
    Sqlite(SqliteRow),
    /// Of a server.
    Postgres(PgRow),
}

/// What a column can be read as, from either.
pub(crate) trait Readable:
    for<'r> sqlx::Decode<'r, Sqlite>
    + sqlx::Type<Sqlite>
    + for<'r> sqlx::Decode<'r, Postgres>
    + sqlx::Type<Postgres>
{
}

impl<T> Readable for T where
    T: for<'r> sqlx::Decode<'r, Sqlite>
        + sqlx::Type<Sqlite>
        + for<'r> sqlx::Decode<'r, Postgres>
        + sqlx::Type<Postgres>
{
}

impl Row {
    pub(in crate::storage) fn get<T: Readable>(&self, name: &str) -> Result<T, sqlx::Error> {
        match self {
            Self::Sqlite(row) => row.try_get(name),
            Self::Postgres(row) => row.try_get(name),
        }
    }

    /// Every column in order: its name and its value.
    pub(crate) fn values(&self) -> Result<Vec<(String, Value)>, sqlx::Error> {
        let columns: Vec<(String, String)> = match self {
            Self::Sqlite(row) => row.columns().iter().map(described).collect(),
            Self::Postgres(row) => row.columns().iter().map(described).collect(),
        };
        let value = |(name, kind): (String, String)| {
            let value = match kind.as_str() {
                "INTEGER" | "INT8" => Value::Integer(self.get(&name)?),
                "REAL" | "FLOAT8" => Value::Real(self.get(&name)?),
                "TEXT" => Value::Text(self.get(&name)?),
                "BLOB" | "BYTEA" => Value::Bytes(self.get(&name)?),
                _ => return Err(sqlx::Error::TypeNotFound { type_name: kind }),
            };
            Ok((name, value))
        };
        columns.into_iter().map(value).collect()
    }
}

fn described<C: sqlx::Column>(column: &C) -> (String, String) {
    (column.name().to_owned(), column.type_info().name().to_owned())
}
