//! Addresses of the Ethereum kind, with the checksum of EIP-55.

use std::fmt;
use std::str::FromStr;

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};

use super::tree::keccak256;

/// 20 bytes; shown and read as `0x` and 40 hexadecimal digits, whose capitals are the checksum
/// (EIP-55).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Address(pub [u8; 20]);

/// The text is no address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadAddress {
    /// Not of the form.
    #[error("{0:?} is no address: use 0x and 40 hexadecimal digits")]
    Shape(String),
    /// The capitals are not those of the checksum: a digit may be mistyped.
    #[error("the capitals of {0} are not those of its checksum (EIP-55): is a digit mistyped?")]
    Checksum(String),
    /// Nobody can take what is paid there.
    #[error("the zero address belongs to nobody")]
    Zero,
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lower = HEXLOWER.encode(&self.0);
        let hash = keccak256(lower.as_bytes()).0;
        f.write_str("0x")?;
        for (index, digit) in lower.chars().enumerate() {
            let nibble = hash[index / 2] >> (4 * (1 - index % 2)) & 15;
            let shown = if nibble >= 8 { digit.to_ascii_uppercase() } else { digit };
            write!(f, "{shown}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({self})")
    }
}

impl FromStr for Address {
    type Err = BadAddress;

    fn from_str(text: &str) -> Result<Self, BadAddress> {
        let shape = || BadAddress::Shape(text.to_owned());
        let digits = text.strip_prefix("0x").ok_or_else(shape)?;
        let bytes = HEXLOWER.decode(digits.to_ascii_lowercase().as_bytes());
        let bytes: [u8; 20] = bytes.ok().and_then(|one| one.try_into().ok()).ok_or_else(shape)?;
        let address = Self(bytes);
        if bytes == [0; 20] {
            return Err(BadAddress::Zero);
        }
        if address.to_string() == text {
            Ok(address)
        } else {
            Err(BadAddress::Checksum(text.to_owned()))
        }
    }
}

impl TryFrom<String> for Address {
    type Error = BadAddress;

    fn try_from(text: String) -> Result<Self, BadAddress> {
        text.parse()
    }
}

impl From<Address> for String {
    fn from(address: Address) -> Self {
        address.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of EIP-55.
    #[test]
    fn checksums_are_those_of_the_standard() {
        for text in [
            "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
            "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
            "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB",
            "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb",
            "0x52908400098527886E0F7030069857D2E4169EE7",
            "0xde709f2102306220921060314715629080e2fb77",
        ] {
            let address: Address = text.parse().expect("an address");
            assert_eq!(address.to_string(), text);
        }
    }

    #[test]
    fn mistyped_addresses_are_refused() {
        let parse = |text: &str| text.parse::<Address>();
        let wrong = "0x5aaeb6053F3E94C9b9A09f33669435E7Ef1BeAed";
        assert_eq!(parse(wrong), Err(BadAddress::Checksum(wrong.to_owned())));
        let lower = "0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed";
        assert_eq!(parse(lower), Err(BadAddress::Checksum(lower.to_owned())), "no checksum at all");
        for text in ["", "0x", "5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed", "0x5aAeb6053F", "0xé"] {
            assert_eq!(parse(text), Err(BadAddress::Shape(text.to_owned())));
        }
        assert_eq!(parse(&format!("0x{}", "0".repeat(40))), Err(BadAddress::Zero));
    }
}
