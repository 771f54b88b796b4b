//! Who may become a member, who is one, and which rosters that made: `members.db` in the federation's
//! folder. The operator's commands and the program that serves both open it; each change is one
//! transaction. What else the operator wants of the program that serves is here, too: payouts.
//!
//! # Decisions
//! - Of an invite's secret only a digest is kept.
//! - An invite is used up by the transaction that records the newcomer: of any number who come at the
//!   same time exactly one gets in. The same key may ask again and again.
//! - Members that were enrolled by files stand in the roster alone, until something happens to them.
//! - A roster is stored before any holder is asked to sign it, and its number is never used again.

mod fold;
mod invites;
mod payouts;

use std::path::Path;

use covey_aggregation::hash::Digest;
use covey_aggregation::message::Vote;
use covey_aggregation::net::Request;
use covey_aggregation::party::{Name, PartyId, Role};
use covey_aggregation::roster::succession::CertifiedRoster;
use covey_aggregation::roster::{Member, Roster};
use covey_aggregation::wire;

use super::StorageError;
use super::database::{Access, Database, Row, Schema, Table, Transaction, sql};
use super::faults::Faults;
use super::place::Place;

pub use fold::{founded, next_members};
pub use invites::{Approval, InviteEntry, NewInvite, NotJoined};
pub use payouts::{PayoutAnswer, PayoutOrder};

/// The file's name in the federation's folder.
pub const MEMBERS_FILE: &str = "members.db";

/// Longest encoded roster: one that was founded by files may be longer than one that is sent.
const ROSTER_BYTES_MAX: usize = 16 << 20;

pub(super) const SCHEMA: Schema = Schema {
    name: "members",
    base: 1,
    tables: "
    CREATE TABLE invites (
        id BLOB PRIMARY KEY,
        secret BLOB NOT NULL,
        role TEXT NOT NULL,
        name TEXT NOT NULL,
        approval TEXT NOT NULL,
        created_s INTEGER NOT NULL,
        expires_s INTEGER NOT NULL,
        used_by BLOB,
        used_s INTEGER,
        revoked_s INTEGER
    ) STRICT;
    CREATE TABLE members (
        number INTEGER PRIMARY KEY,
        id BLOB NOT NULL UNIQUE,
        name TEXT NOT NULL,
        role TEXT NOT NULL,
        standing TEXT NOT NULL,
        since_s INTEGER NOT NULL,
        invite BLOB,
        request TEXT NOT NULL
    ) STRICT;
    CREATE UNIQUE INDEX names ON members (name) WHERE standing NOT IN ('revoked', 'left');
    CREATE TABLE rosters (
        number INTEGER PRIMARY KEY,
        digest BLOB NOT NULL UNIQUE,
        roster BLOB NOT NULL,
        votes BLOB
    ) STRICT;
",
    steps: &[
        // Whose members these are: on a server, two federations could meet.
        "CREATE TABLE federation (
            \"only\" INTEGER PRIMARY KEY CHECK (\"only\" = 1),
            authority BLOB NOT NULL
        ) STRICT;",
        // Payouts that are wanted; `runs` is none for all that can be paid.
        "CREATE TABLE payouts (
            number INTEGER PRIMARY KEY,
            runs BLOB,
            hold_back INTEGER NOT NULL,
            asked_s INTEGER NOT NULL,
            entry INTEGER,
            refused TEXT
        ) STRICT;",
    ],
    contents: &[
        Table { name: "federation", key: "\"only\"" },
        Table { name: "invites", key: "id" },
        Table { name: "members", key: "number" },
        Table { name: "rosters", key: "number" },
        Table { name: "payouts", key: "number" },
    ],
};

/// Where a member stands with the operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// Waits for the operator.
    Waiting,
    /// A member, once the roster says so.
    Approved,
    /// Shut out until it is approved again.
    Suspended,
    /// Shut out for good; its name is free.
    Revoked,
    /// Went of its own accord; its name is free.
    Left,
}

impl Standing {
    const ALL: [Self; 5] =
        [Self::Waiting, Self::Approved, Self::Suspended, Self::Revoked, Self::Left];

    /// In the database, and for people.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Approved => "approved",
            Self::Suspended => "suspended",
            Self::Revoked => "revoked",
            Self::Left => "left",
        }
    }

    /// Whether whoever stands so is shut out at once.
    #[must_use]
    pub const fn is_shut_out(self) -> bool {
        matches!(self, Self::Suspended | Self::Revoked | Self::Left)
    }
}

/// Somebody that the operator had to do with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberEntry {
    /// Who; for holders with its sealing key.
    pub member: Member,
    /// Where it stands.
    pub standing: Standing,
    /// Since when, in seconds of Unix time.
    pub since_s: u64,
}

/// The open file.
pub struct Members {
    database: Database,
}

impl Members {
    /// From now on writing fails as `faults` says.
    #[must_use]
    pub fn with_faults(mut self, faults: &Faults) -> Self {
        self.database.set_faults(faults.clone());
        self
    }

    /// Opens the file of a federation's folder, creating it when there is none.
    ///
    /// # Errors
    /// [`StorageError`].
    pub async fn open(folder: &Path) -> Result<Self, StorageError> {
        Self::open_at(&Place::File(folder.join(MEMBERS_FILE))).await
    }

    /// Opens the members' store, creating it when there is none.
    ///
    /// # Errors
    /// [`StorageError`].
    pub async fn open_at(place: &Place) -> Result<Self, StorageError> {
        Ok(Self { database: Database::open(place, &SCHEMA, Access::Shared).await? })
    }

    /// Checks that these are the members of the federation with this authority, and remembers it.
    ///
    /// # Errors
    /// [`StorageError::OtherFederation`].
    pub async fn belong_to(&mut self, authority: &Digest) -> Result<(), StorageError> {
        let path = self.database.place().shown();
        let known = self.database.row(sql("SELECT authority FROM federation")).await?;
        if known.is_none() {
            let remember = sql("INSERT INTO federation (\"only\", authority) VALUES (1, $1)
                 ON CONFLICT DO NOTHING")
            .bind(*authority);
            let written = async |transaction: &mut Transaction<'_>| {
                transaction.execute(remember).await.map(|_| ())
            };
            self.database.write::<(), StorageError>(written).await?;
        }
        let known = self.database.row(sql("SELECT authority FROM federation")).await?;
        let known = known.map(|row| self.database.digest(&row, "authority")).transpose()?;
        if known == Some(*authority) { Ok(()) } else { Err(StorageError::OtherFederation { path }) }
    }

    /// Changes whenever another program has written.
    ///
    /// # Errors
    /// [`StorageError`].
    pub async fn version(&mut self) -> Result<i64, StorageError> {
        self.database.version().await
    }

    /// Everybody, in the order of joining.
    ///
    /// # Errors
    /// [`StorageError`].
    pub async fn all(&mut self) -> Result<Vec<MemberEntry>, StorageError> {
        let rows = self.database.rows(sql("SELECT * FROM members ORDER BY number")).await?;
        rows.iter().map(|row| self.entry(row)).collect()
    }

    /// Somebody by key.
    ///
    /// # Errors
    /// [`StorageError`].
    pub async fn entry_of(&mut self, id: &PartyId) -> Result<Option<MemberEntry>, StorageError> {
        let entry = sql("SELECT * FROM members WHERE id = $1").bind(id.0.as_slice());
        let row = self.database.row(entry).await?;
        row.map(|row| self.entry(&row)).transpose()
    }

    /// Records where a member stands from now on. One that was enrolled by files is written down.
    ///
    /// # Errors
    /// [`StorageError`].
    pub async fn stand(
        &mut self,
        member: &Member,
        standing: Standing,
        now_s: u64,
    ) -> Result<(), StorageError> {
        let stand = sql("INSERT INTO members (number, id, name, role, standing, since_s, request)
             VALUES ((SELECT COALESCE(MAX(number), 0) + 1 FROM members), $1, $2, $3, $4, $5, '')
             ON CONFLICT (id) DO UPDATE SET standing = $4, since_s = $5")
        .bind(member.id.0.as_slice())
        .bind(member.name.as_str())
        .bind(member.role.to_string())
        .bind(standing.word())
        .bind(now_s.cast_signed());
        self.database.write(async |transaction| transaction.execute(stand).await.map(|_| ())).await
    }

    /// Stores a roster before it is signed, or one that needs no signature.
    ///
    /// # Errors
    /// [`StorageError`].
    pub async fn put_roster(&mut self, roster: &Roster) -> Result<(), StorageError> {
        let put = sql("INSERT INTO rosters (number, digest, roster) VALUES ($1, $2, $3)
             ON CONFLICT (number) DO UPDATE SET digest = $2, roster = $3
             WHERE rosters.number = 0")
        .bind(roster.number)
        .bind(roster.digest())
        .bind(wire::encode(roster));
        self.database.write(async |transaction| transaction.execute(put).await.map(|_| ())).await
    }

    /// Stores who signed a roster.
    ///
    /// # Errors
    /// [`StorageError`].
    pub async fn certify(&mut self, certified: &CertifiedRoster) -> Result<(), StorageError> {
        let votes = sql("UPDATE rosters SET votes = $1 WHERE digest = $2")
            .bind(wire::encode(&certified.votes))
            .bind(certified.roster.digest());
        self.database.write(async |transaction| transaction.execute(votes).await.map(|_| ())).await
    }

    /// Puts a roster that others have in the place of whatever is stored from its number on. Whoever
    /// is approved here, was in the roster `before`, and is not in this one has been shut out since:
    /// they are suspended, and returned by name.
    ///
    /// # Errors
    /// [`StorageError`]; then nothing is changed.
    pub async fn adopt(
        &mut self,
        before: &Roster,
        newer: &CertifiedRoster,
        now_s: u64,
    ) -> Result<Vec<Name>, StorageError> {
        let gone = |entry: &MemberEntry| {
            let id = &entry.member.id;
            entry.standing == Standing::Approved
                && before.member(id).is_some()
                && newer.roster.member(id).is_none()
        };
        let mut gone: Vec<Member> = self
            .all()
            .await?
            .into_iter()
            .filter_map(|entry| gone(&entry).then_some(entry.member))
            .collect();
        let forget = sql("DELETE FROM rosters WHERE number >= $1").bind(newer.roster.number);
        let votes = (!newer.votes.is_empty()).then(|| wire::encode(&newer.votes));
        let put =
            sql("INSERT INTO rosters (number, digest, roster, votes) VALUES ($1, $2, $3, $4)")
                .bind(newer.roster.number)
                .bind(newer.roster.digest())
                .bind(wire::encode(&newer.roster))
                .bind(votes);
        let adopted = async |transaction: &mut Transaction<'_>| {
            transaction.execute(forget).await?;
            transaction.execute(put).await?;
            for member in &gone {
                let suspend = sql("UPDATE members SET standing = $1, since_s = $2 WHERE id = $3")
                    .bind(Standing::Suspended.word())
                    .bind(now_s.cast_signed())
                    .bind(member.id.0.as_slice());
                transaction.execute(suspend).await?;
            }
            Ok(())
        };
        self.database.write::<(), StorageError>(adopted).await?;
        Ok(gone.drain(..).map(|member| member.name).collect())
    }

    /// Rosters from `number` on, the newest last; votes are empty where there are none.
    ///
    /// # Errors
    /// [`StorageError`].
    pub async fn rosters(&mut self, number: u32) -> Result<Vec<CertifiedRoster>, StorageError> {
        let rosters = sql("SELECT * FROM rosters WHERE number >= $1 ORDER BY number").bind(number);
        let rows = self.database.rows(rosters).await?;
        rows.iter().map(|row| self.roster(row)).collect()
    }

    /// A roster by its digest.
    ///
    /// # Errors
    /// [`StorageError`].
    pub async fn roster_of(
        &mut self,
        digest: &Digest,
    ) -> Result<Option<CertifiedRoster>, StorageError> {
        let roster = sql("SELECT * FROM rosters WHERE digest = $1").bind(*digest);
        let row = self.database.row(roster).await?;
        row.map(|row| self.roster(&row)).transpose()
    }

    /// Closes the file in order.
    ///
    /// # Errors
    /// [`StorageError`].
    pub async fn close(self) -> Result<(), StorageError> {
        self.database.close().await
    }

    fn roster(&self, row: &Row) -> Result<CertifiedRoster, StorageError> {
        let bytes: Vec<u8> = self.database.column(row, "roster")?;
        let votes: Option<Vec<u8>> = self.database.column(row, "votes")?;
        let damaged = |error: wire::Malformed| self.database.damaged(format!("a roster: {error}"));
        let roster = wire::decode(&bytes, ROSTER_BYTES_MAX).map_err(damaged)?;
        let votes = votes.map(|votes| wire::decode::<Vec<Vote>>(&votes, ROSTER_BYTES_MAX));
        let votes = votes.transpose().map_err(damaged)?.unwrap_or_default();
        Ok(CertifiedRoster { roster, votes })
    }

    fn entry(&self, row: &Row) -> Result<MemberEntry, StorageError> {
        let (request, standing): (String, String) =
            (self.database.column(row, "request")?, self.database.column(row, "standing")?);
        let damaged = |what: String| self.database.damaged(format!("a member: {what}"));
        let member = if request.is_empty() {
            self.bare(row)?
        } else {
            let request = Request::from_json(&request);
            request.map_err(|error| damaged(error.to_string()))?.member().clone()
        };
        let standing = Standing::ALL.into_iter().find(|one| one.word() == standing);
        let since_s: i64 = self.database.column(row, "since_s")?;
        let standing = standing.ok_or_else(|| damaged("its standing".to_owned()))?;
        Ok(MemberEntry { member, standing, since_s: since_s.cast_unsigned() })
    }

    /// Somebody without a request: enrolled by files.
    fn bare(&self, row: &Row) -> Result<Member, StorageError> {
        let id = PartyId(self.database.digest(row, "id")?.0);
        let (name, role) = (self.name(row)?, self.role(row)?);
        Ok(Member { name, id, role, sealing_key: None })
    }

    fn name(&self, row: &Row) -> Result<Name, StorageError> {
        let text: String = self.database.column(row, "name")?;
        text.parse().map_err(|_| self.database.damaged("a member's name".to_owned()))
    }

    fn role(&self, row: &Row) -> Result<Role, StorageError> {
        let text: String = self.database.column(row, "role")?;
        let role = Role::ALL.into_iter().find(|role| role.to_string() == text);
        role.ok_or_else(|| self.database.damaged("a member's role".to_owned()))
    }
}
