//! Payouts that the operator wants: computed from the book, and written into it.

use covey_ledger::desk::payout::{Terms, body_of};
use tokio::task::block_in_place;

use super::catching_up::Batch;
use super::{Keeper, LedgerError};
use crate::event::Event;
use crate::storage::members::{PayoutAnswer, PayoutOrder};

impl Keeper {
    /// Records what is wanted, and says what became of it.
    pub(super) async fn pay(&mut self) -> Result<(), LedgerError> {
        if self.book().is_none() {
            return Ok(());
        }
        let wanted = self.registrar.members().await.payouts_wanted().await?;
        if wanted.is_empty() {
            return Ok(());
        }
        self.catch_up().await?;
        for order in wanted {
            let mut batch = Batch::new();
            let answer = match self.enter_payout(&order, &mut batch)? {
                Ok(entry) => PayoutAnswer::Recorded { entry },
                Err(why) => PayoutAnswer::Refused(why),
            };
            self.append(batch).await?;
            let told = match &answer {
                PayoutAnswer::Recorded { entry } => Ok(*entry),
                PayoutAnswer::Refused(why) => Err(why.clone()),
            };
            self.tell(&Event::Payout { number: order.number, entry: told });
            self.registrar.members().await.answer_payout(order.number, &answer).await?;
        }
        Ok(())
    }

    /// Enters a payout that is not in the book yet; why not, in words.
    fn enter_payout(
        &mut self,
        order: &PayoutOrder,
        batch: &mut Batch,
    ) -> Result<Result<u64, String>, LedgerError> {
        let Some(book) = self.book() else { return Ok(Err("there is no ledger".to_owned())) };
        // Recorded, and the program was gone before it said so.
        let recorded = book.payouts().iter().find(|one| one.payout.number == order.number);
        if let Some(recorded) = recorded {
            return Ok(Ok(recorded.entry));
        }
        let at_ms = self.clock.now().0;
        let terms = Terms { runs: order.runs.clone(), at_ms, hold_back: order.hold_back };
        let built = match block_in_place(|| body_of(book, &terms)) {
            Ok(built) if built.entry.number == order.number => built,
            Ok(built) => return Ok(Err(format!("the next payout is {}", built.entry.number))),
            Err(failure) => return Ok(Err(failure.message)),
        };
        let documents = built.held_back.iter().chain([&built.file]);
        block_in_place(|| {
            documents.into_iter().try_for_each(|one| self.files.write_document(one))
        })?;
        let entered = self.enter(built.entry.into(), batch);
        Ok(entered.map_err(|no| no.to_string()))
    }
}
