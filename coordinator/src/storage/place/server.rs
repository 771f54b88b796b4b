//! A PostgreSQL server, by its URL.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection, PgSslMode};
use sqlx::{AssertSqlSafe, ConnectOptions as _};

use super::super::StorageError;
use super::super::database::{Transaction, sql};

/// Longest wait for a server to answer who dials it.
const CONNECT_WAIT: Duration = Duration::from_secs(15);

/// How schemas begin where the URL names no other prefix.
const PREFIX: &str = "covey";

/// Longest prefix: with what follows it, a name has 63 bytes at most.
const PREFIX_BYTES_MAX: usize = 24;

/// What every session has. A transaction is durable when it is acknowledged, whatever the server's
/// own setting; and a machine that is gone gives its locks back within half a minute, not after the
/// two hours that systems wait by default.
const SESSION: &str = "
    SET synchronous_commit = on;
    SET client_min_messages = warning;
    SET tcp_keepalives_idle = 10;
    SET tcp_keepalives_interval = 5;
    SET tcp_keepalives_count = 3;
    SET idle_in_transaction_session_timeout = '60s';
    SET lock_timeout = '20s';
";

/// A server, and how this federation's schemas are called on it.
#[derive(Clone)]
pub struct Server {
    /// With a password, perhaps: never shown.
    options: PgConnectOptions,
    prefix: String,
}

/// A text that names no server. The text is not in it: it may hold a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadUrl {
    /// Another kind of database, or no URL.
    #[error(
        "write postgres://USER@HOST:PORT/DATABASE (a password is best kept in PGPASSFILE), or files"
    )]
    Kind,
    /// Some part of it.
    #[error("this is no URL of a PostgreSQL server: {0}")]
    Part(String),
    /// A prefix that is none.
    #[error("prefix: 1 to {PREFIX_BYTES_MAX} lower-case letters, digits and '_', a letter first")]
    Prefix,
}

impl FromStr for Server {
    type Err = BadUrl;

    fn from_str(text: &str) -> Result<Self, BadUrl> {
        if !text.starts_with("postgres://") && !text.starts_with("postgresql://") {
            return Err(BadUrl::Kind);
        }
        let (address, query) = text.split_once('?').unwrap_or((text, ""));
        let (mut prefix, mut others) = (PREFIX, Vec::new());
        for part in query.split('&').filter(|part| !part.is_empty()) {
            match part.strip_prefix("prefix=") {
                Some(named) => prefix = named,
                None => others.push(part),
            }
        }
        let is_good = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'_';
        let is_prefix = prefix.len() <= PREFIX_BYTES_MAX
            && prefix.bytes().next().is_some_and(|first| first.is_ascii_lowercase())
            && prefix.bytes().all(is_good);
        if !is_prefix {
            return Err(BadUrl::Prefix);
        }
        let url = format!("{address}?{}", others.join("&"));
        // What the parser says names the part, and does not repeat it.
        let options = PgConnectOptions::from_str(&url);
        let options = options.map_err(|error| BadUrl::Part(error.to_string()))?;
        Ok(Self { options, prefix: prefix.to_owned() })
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (options, database) = (&self.options, self.options.get_database().unwrap_or_default());
        match options.get_socket() {
            Some(socket) => write!(f, "postgres://{}/{database}", socket.display())?,
            None => {
                write!(f, "postgres://{}:{}/{database}", options.get_host(), options.get_port())?;
            }
        }
        if self.prefix == PREFIX { Ok(()) } else { write!(f, "?prefix={}", self.prefix) }
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl PartialEq for Server {
    fn eq(&self, other: &Self) -> bool {
        self.to_string() == other.to_string()
    }
}

impl Eq for Server {}

impl Server {
    /// How this federation's schemas begin.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    pub(super) fn with_prefix(&self, prefix: &str) -> Self {
        Self { prefix: prefix.to_owned(), ..self.clone() }
    }

    /// The name of a schema.
    pub(super) fn schema(&self, name: &str) -> String {
        format!("{}_{name}", self.prefix)
    }

    /// Whether whoever stands between would be noticed: on this machine, or by its certificate.
    #[must_use]
    pub fn is_private(&self) -> bool {
        let is_loopback = match self.options.get_host().parse::<std::net::IpAddr>() {
            Ok(address) => address.is_loopback(),
            Err(_) => self.options.get_host() == "localhost",
        };
        self.options.get_socket().is_some()
            || self.options.get_host().starts_with('/')
            || is_loopback
            || matches!(self.options.get_ssl_mode(), PgSslMode::VerifyFull)
    }

    /// A session whose tables are those of this schema.
    pub(super) async fn connect(
        &self,
        schema: &str,
        is_read_only: bool,
    ) -> Result<PgConnection, sqlx::Error> {
        let dial = async {
            let options = self
                .options
                .clone()
                .application_name(&format!("covey-coordinator {}", self.prefix));
            let mut connection = options.disable_statement_logging().connect().await?;
            let read_only = if is_read_only { "on" } else { "off" };
            let session = format!(
                "{SESSION} SET default_transaction_read_only = {read_only};
                 SET search_path TO \"{schema}\""
            );
            sqlx::raw_sql(AssertSqlSafe(session)).execute(&mut connection).await?;
            Ok(connection)
        };
        match tokio::time::timeout(CONNECT_WAIT, dial).await {
            Ok(dialled) => dialled,
            Err(late) => Err(sqlx::Error::Io(late.into())),
        }
    }

    pub(in crate::storage) async fn has_schema(
        &self,
        transaction: &mut Transaction<'_>,
        name: &str,
    ) -> Result<bool, StorageError> {
        let there = sql("SELECT 1::BIGINT AS found FROM pg_catalog.pg_namespace
             WHERE nspname = $1");
        Ok(transaction.row(there.bind(name)).await?.is_some())
    }
}
