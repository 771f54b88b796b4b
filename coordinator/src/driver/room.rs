//! Waiting until there is room for a round.

use std::time::Duration;

use super::{Driver, Halt};
use crate::event::Event;
use crate::storage::registry::Wish;

/// How often it is looked.
const LOOK: Duration = Duration::from_secs(1);

/// How often it is said, in looks.
const SAY_EVERY_LOOKS: u32 = 30;

impl Driver {
    /// Waits until there is room for a round that stores so many bytes, serving the members meanwhile.
    /// Says whether it had to wait: who was there before may be gone. Ends with the wish for a round.
    ///
    /// # Errors
    /// [`Halt`].
    pub async fn wait_for_room(&mut self, round: u32, round_bytes: u64) -> Result<bool, Halt> {
        self.room.want(round_bytes);
        let mut looks = 0;
        while let Some(shortage) = self.room.shortage()
            && self.wish() == Wish::Go
        {
            if looks % SAY_EVERY_LOOKS == 0 {
                self.tell(&Event::NoRoom {
                    round,
                    free_bytes: shortage.free_bytes,
                    wanted_bytes: shortage.wanted_bytes,
                });
            }
            looks += 1;
            self.serve_while(tokio::time::sleep(LOOK)).await?;
        }
        Ok(looks > 0)
    }
}
