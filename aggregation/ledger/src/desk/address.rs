//! `address`: where a member is paid.

use clap::{Args, Subcommand};
use covey_aggregation::program::Failure;

use super::saying::{Said, Saying, say};
use super::{Answer, Desk};
use crate::payout::Address;
use crate::statement::{Says, SetAddress};

/// Shown below the help.
pub const EXAMPLES: &str = "Examples:
  address set 0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed --ledger ./published
  address set --none --yes";

/// The commands.
#[derive(Debug, Subcommand)]
pub enum AddressCommand {
    /// Say where you are paid from now on. What was paid elsewhere stays there
    Set(AddressSetting),
}

/// An address, or none.
#[derive(Debug, Args)]
pub struct AddressSetting {
    /// 0x and 40 hexadecimal digits, whose capitals are the checksum (EIP-55)
    #[arg(required_unless_present = "none")]
    pub address: Option<Address>,
    /// Take the address back: nothing more is paid until another one is set
    #[arg(long, conflicts_with = "address")]
    pub none: bool,
    /// How it is signed and sent.
    #[command(flatten)]
    pub saying: Saying,
}

/// Carries a command out.
///
/// # Errors
/// [`Failure`].
pub fn answer(command: &AddressCommand, desk: &Desk<'_>) -> Result<Answer, Failure> {
    let AddressCommand::Set(setting) = command;
    set(setting, desk).map(|said| Answer::of(&said))
}

/// Sets an address.
///
/// # Errors
/// As [`say`].
pub fn set(setting: &AddressSetting, desk: &Desk<'_>) -> Result<Said, Failure> {
    let address = setting.address.filter(|_| !setting.none);
    say(desk, &setting.saying, |_| {
        let line = match address {
            Some(address) => format!("pay me at {address} from now on"),
            None => "pay me nowhere: what I am owed is held back".to_owned(),
        };
        Ok((Says::Address(SetAddress { address }), vec![line]))
    })
}
