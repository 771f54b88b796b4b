//! Invites, and who came by them.

use covey_aggregation::hash::Digest;
use covey_aggregation::net::Request;
use covey_aggregation::net::enrolment::NotEnrolled;
use covey_aggregation::net::invite::{InviteId, InviteSecret};
use covey_aggregation::party::{Name, PartyId, Role};

use super::{MemberEntry, Members, Standing};
use crate::storage::StorageError;
use crate::storage::database::{Row, Transaction, sql};

/// Whether somebody who comes by an invite has to wait for the operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Approval {
    /// No.
    Auto,
    /// Yes: `member approve`.
    Manual,
}

impl Approval {
    const fn word(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Manual => "manual",
        }
    }
}

/// An invite to be recorded.
pub struct NewInvite {
    /// Drawn for it.
    pub id: InviteId,
    /// Digest of its secret.
    pub secret: Digest,
    /// What the newcomer becomes.
    pub role: Role,
    /// What it is called.
    pub name: Name,
    /// Whether the operator has to approve.
    pub approval: Approval,
    /// When, in seconds of Unix time.
    pub created_s: u64,
    /// Until when.
    pub expires_s: u64,
}

/// A recorded invite.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InviteEntry {
    /// Which.
    pub id: InviteId,
    /// What the newcomer becomes.
    pub role: Role,
    /// What it is called.
    pub name: Name,
    /// Whether the operator has to approve.
    pub approval: Approval,
    /// Until when, in seconds of Unix time.
    pub expires_s: u64,
    /// Who used it.
    pub used_by: Option<PartyId>,
    /// Whether it was taken back.
    pub is_revoked: bool,
    secret: Digest,
}

/// Why somebody does not come in.
#[derive(Debug, thiserror::Error)]
pub enum NotJoined {
    /// For the newcomer to know.
    #[error(transparent)]
    Refused(#[from] NotEnrolled),
    /// The disk or the database.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl InviteEntry {
    /// For people: what has become of it.
    #[must_use]
    pub const fn state(&self, now_s: u64) -> &'static str {
        match self {
            Self { used_by: Some(_), .. } => "used",
            Self { is_revoked: true, .. } => "revoked",
            Self { expires_s, .. } if *expires_s <= now_s => "expired",
            _ => "open",
        }
    }
}

impl Members {
    /// Records an invite.
    ///
    /// # Errors
    /// [`StorageError`].
    pub async fn invite(&mut self, new: &NewInvite) -> Result<(), StorageError> {
        let insert = sql("INSERT INTO invites
             (id, secret, role, name, approval, created_s, expires_s)
             VALUES ($1, $2, $3, $4, $5, $6, $7)")
        .bind(new.id.0.as_slice())
        .bind(new.secret)
        .bind(new.role.to_string())
        .bind(new.name.as_str())
        .bind(new.approval.word())
        .bind(new.created_s.cast_signed())
        .bind(new.expires_s.cast_signed());
        self.database.write(async |transaction| transaction.execute(insert).await.map(|_| ())).await
    }

    /// All invites, the oldest first.
    ///
    /// # Errors
    /// [`StorageError`].
    pub async fn invites(&mut self) -> Result<Vec<InviteEntry>, StorageError> {
        let rows = self.database.rows(sql("SELECT * FROM invites ORDER BY created_s, id")).await?;
        rows.iter().map(|row| self.invite_entry(row)).collect()
    }

    /// Takes an invite back; whether there was one to take back.
    ///
    /// # Errors
    /// [`StorageError`].
    pub async fn revoke_invite(&mut self, id: InviteId, now_s: u64) -> Result<bool, StorageError> {
        let revoke = sql("UPDATE invites SET revoked_s = $1
             WHERE id = $2 AND used_by IS NULL AND revoked_s IS NULL")
        .bind(now_s.cast_signed())
        .bind(id.0.as_slice());
        let revoked = async |transaction: &mut Transaction<'_>| transaction.execute(revoke).await;
        self.database.write(revoked).await.map(|count| count > 0)
    }

    /// Takes a newcomer in by an invite, or says again where it stands. What the newcomer becomes is for
    /// the invite to say; a request that asks for something else is refused.
    ///
    /// # Errors
    /// [`NotJoined`].
    pub async fn join(
        &mut self,
        id: InviteId,
        secret: &InviteSecret,
        request: &Request,
        now_s: u64,
    ) -> Result<MemberEntry, NotJoined> {
        let invite = self.invite_of(id).await?.ok_or(NotEnrolled::NoInvite)?;
        if !invite.secret.equals(&secret.digest()) {
            return Err(NotEnrolled::NoInvite.into());
        }
        let member = request.member();
        if invite.is_revoked {
            return Err(NotEnrolled::Revoked.into());
        }
        if member.name != invite.name || member.role != invite.role {
            return Err(NotEnrolled::OtherMember { name: invite.name }.into());
        }
        match invite.used_by {
            Some(key) if key == member.id => {
                let entry = self.entry_of(&key).await?;
                return entry.ok_or_else(|| NotEnrolled::Declined.into());
            }
            Some(_) => return Err(NotEnrolled::Used.into()),
            None if invite.expires_s <= now_s => return Err(NotEnrolled::Expired.into()),
            None => {}
        }
        let standing = match invite.approval {
            Approval::Auto => Standing::Approved,
            Approval::Manual => Standing::Waiting,
        };
        let used = async |transaction: &mut Transaction<'_>| {
            use_up(transaction, &invite, request, standing, now_s).await
        };
        match self.database.write(used).await {
            Ok(true) => Ok(MemberEntry { member: member.clone(), standing, since_s: now_s }),
            Ok(false) => Err(NotEnrolled::Used.into()),
            Err(error) if error.is_taken() => Err(NotEnrolled::Taken.into()),
            Err(error) => Err(error.into()),
        }
    }

    async fn invite_of(&mut self, id: InviteId) -> Result<Option<InviteEntry>, StorageError> {
        let invite = sql("SELECT * FROM invites WHERE id = $1").bind(id.0.as_slice());
        let row = self.database.row(invite).await?;
        row.map(|row| self.invite_entry(&row)).transpose()
    }

    fn invite_entry(&self, row: &Row) -> Result<InviteEntry, StorageError> {
        let damaged = |what: &str| self.database.damaged(format!("an invite: {what}"));
        let id: Vec<u8> = self.database.column(row, "id")?;
        let approval: String = self.database.column(row, "approval")?;
        let approval = [Approval::Auto, Approval::Manual]
            .into_iter()
            .find(|one| one.word() == approval)
            .ok_or_else(|| damaged("its approval"))?;
        let expires_s: i64 = self.database.column(row, "expires_s")?;
        let revoked: Option<i64> = self.database.column(row, "revoked_s")?;
        Ok(InviteEntry {
            id: InviteId(id.try_into().map_err(|_| damaged("its number"))?),
            role: self.role(row)?,
            name: self.name(row)?,
            approval,
            expires_s: expires_s.cast_unsigned(),
            used_by: self.database.optional_digest(row, "used_by")?.map(|key| PartyId(key.0)),
            is_revoked: revoked.is_some(),
            secret: self.database.digest(row, "secret")?,
        })
    }
}

/// Records the newcomer and that the invite is used, or neither; false where somebody was faster.
async fn use_up(
    transaction: &mut Transaction<'_>,
    invite: &InviteEntry,
    request: &Request,
    standing: Standing,
    now_s: u64,
) -> Result<bool, StorageError> {
    let member = request.member();
    let used = sql("UPDATE invites SET used_by = $1, used_s = $2
         WHERE id = $3 AND used_by IS NULL AND revoked_s IS NULL")
    .bind(member.id.0.as_slice())
    .bind(now_s.cast_signed())
    .bind(invite.id.0.as_slice());
    if transaction.execute(used).await? == 0 {
        return Ok(false);
    }
    let newcomer = sql("INSERT INTO members
         (number, id, name, role, standing, since_s, invite, request)
         VALUES ((SELECT COALESCE(MAX(number), 0) + 1 FROM members), $1, $2, $3, $4, $5, $6, $7)")
    .bind(member.id.0.as_slice())
    .bind(member.name.as_str())
    .bind(member.role.to_string())
    .bind(standing.word())
    .bind(now_s.cast_signed())
    .bind(invite.id.0.as_slice())
    .bind(request.to_json());
    transaction.execute(newcomer).await?;
    Ok(true)
}
