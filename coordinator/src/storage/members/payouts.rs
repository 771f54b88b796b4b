//! Payouts that the operator wants in the ledger, and what became of each. The next payout's number is the
//! key: asked twice it is recorded once.

use covey_aggregation::hash::Digest;
use covey_aggregation::wire;

use super::Members;
use crate::storage::StorageError;
use crate::storage::database::{Row, Transaction, sql};

/// Bytes of the list of runs of an order at most.
const RUNS_BYTES_MAX: usize = 1 << 20;

/// Which payout is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PayoutOrder {
    /// Its number, from 1.
    pub number: u32,
    /// These runs beside those of earlier payouts; none for all that can be paid.
    pub runs: Option<Vec<Digest>>,
    /// Whether credits under dispute are held back; else they refuse the payout.
    pub hold_back: bool,
    /// When it was asked for, in seconds of Unix time.
    pub asked_s: u64,
}

/// What became of an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PayoutAnswer {
    /// It is in the ledger.
    Recorded {
        /// The entry's number.
        entry: u64,
    },
    /// It cannot be, and why. Asking again replaces it.
    Refused(String),
}

impl Members {
    /// Records what is wanted, unless that number is wanted already: what is wanted of it then. One that was
    /// refused is wanted anew.
    ///
    /// # Errors
    /// [`StorageError`].
    pub async fn order_payout(&mut self, new: &PayoutOrder) -> Result<PayoutOrder, StorageError> {
        let order = sql("INSERT INTO payouts (number, runs, hold_back, asked_s)
             VALUES ($1, $2, $3, $4)
             ON CONFLICT (number) DO UPDATE
             SET runs = $2, hold_back = $3, asked_s = $4, refused = NULL
             WHERE payouts.refused IS NOT NULL")
        .bind(new.number)
        .bind(new.runs.as_ref().map(wire::encode))
        .bind(u32::from(new.hold_back))
        .bind(new.asked_s.cast_signed());
        let ordered = async |transaction: &mut Transaction<'_>| transaction.execute(order).await;
        self.database.write::<_, StorageError>(ordered).await?;
        let found = self.payout(new.number).await?;
        let (order, _) =
            found.ok_or_else(|| self.database.damaged("an order is missing".to_owned()))?;
        Ok(order)
    }

    /// What is wanted of a payout, and what became of it.
    ///
    /// # Errors
    /// [`StorageError`].
    pub async fn payout(
        &mut self,
        number: u32,
    ) -> Result<Option<(PayoutOrder, Option<PayoutAnswer>)>, StorageError> {
        let payout = sql("SELECT * FROM payouts WHERE number = $1").bind(number);
        let row = self.database.row(payout).await?;
        row.map(|row| self.payout_of(&row)).transpose()
    }

    /// Orders that nothing has become of yet, by number.
    ///
    /// # Errors
    /// [`StorageError`].
    pub async fn payouts_wanted(&mut self) -> Result<Vec<PayoutOrder>, StorageError> {
        let wanted = sql("SELECT * FROM payouts WHERE entry IS NULL AND refused IS NULL
             ORDER BY number");
        let rows = self.database.rows(wanted).await?;
        rows.iter().map(|row| self.payout_of(row).map(|(order, _)| order)).collect()
    }

    /// Records what became of an order.
    ///
    /// # Errors
    /// [`StorageError`].
    pub async fn answer_payout(
        &mut self,
        number: u32,
        answer: &PayoutAnswer,
    ) -> Result<(), StorageError> {
        let (entry, refused) = match answer {
            PayoutAnswer::Recorded { entry } => (Some(entry.cast_signed()), None),
            PayoutAnswer::Refused(why) => (None, Some(why.as_str())),
        };
        let answer = sql("UPDATE payouts SET entry = $1, refused = $2 WHERE number = $3");
        let answer = answer.bind(entry).bind(refused).bind(number);
        let answered = async |transaction: &mut Transaction<'_>| transaction.execute(answer).await;
        self.database.write(answered).await.map(|_| ())
    }

    fn payout_of(&self, row: &Row) -> Result<(PayoutOrder, Option<PayoutAnswer>), StorageError> {
        let runs: Option<Vec<u8>> = self.database.column(row, "runs")?;
        let runs = runs.map(|bytes| wire::decode(&bytes, RUNS_BYTES_MAX)).transpose();
        let runs = runs.map_err(|error| {
            self.database.damaged(format!("the runs of a payout that was asked for: {error}"))
        })?;
        let asked_s: i64 = self.database.column(row, "asked_s")?;
        let order = PayoutOrder {
            number: self.database.number(row, "number")?,
            runs,
            hold_back: self.database.number(row, "hold_back")? != 0,
            asked_s: asked_s.cast_unsigned(),
        };
        let entry: Option<i64> = self.database.column(row, "entry")?;
        let refused: Option<String> = self.database.column(row, "refused")?;
        let answer = match (entry, refused) {
            (Some(entry), _) => Some(PayoutAnswer::Recorded { entry: entry.cast_unsigned() }),
            (None, Some(why)) => Some(PayoutAnswer::Refused(why)),
            (None, None) => None,
        };
        Ok((order, answer))
    }
}
