//! What stands behind the question mark of an address (`application/x-www-form-urlencoded`, WHATWG URL).

/// Names and values, decoded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    pub(crate) fn parse(text: &str) -> Self {
        let pair = |pair: &str| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decoded(&name.replace('+', " ")), decoded(&value.replace('+', " ")))
        };
        Self(text.split('&').filter(|pair| !pair.is_empty()).map(pair).collect())
    }

    /// The first value of a name; empty where there is none.
    pub(crate) fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(one, _)| one == name).map_or("", |(_, value)| value)
    }

    /// A value as a number.
    pub(crate) fn number(&self, name: &str) -> Option<u64> {
        self.get(name).trim().trim_start_matches('#').parse().ok()
    }
}

/// Text with `%` escapes decoded; what is not UTF-8 is replaced.
pub(crate) fn decoded(text: &str) -> String {
    let (mut bytes, mut rest) = (Vec::with_capacity(text.len()), text.as_bytes());
    while let Some((&first, tail)) = rest.split_first() {
        let digits = tail.get(..2).filter(|_| first == b'%');
        let digits = digits.and_then(|two| std::str::from_utf8(two).ok());
        let byte = digits.filter(|two| two.bytes().all(|digit| digit.is_ascii_hexdigit()));
        match byte.and_then(|two| u8::from_str_radix(two, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            None => {
                bytes.push(first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Text that stands in a query or a segment of a path.
pub(crate) fn encoded(text: &str) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~".contains(byte);
    let escape = |byte: u8| match byte {
        byte if plain(&byte) => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    text.bytes().map(escape).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_is_decoded_again() {
        for text in ["", "a b", "<script>&=%", "\u{1f426}"] {
            assert_eq!(decoded(&encoded(text)), text);
            assert_eq!(Query::parse(&format!("x=1&q={}", encoded(text))).get("q"), text);
        }
        assert_eq!(Query::parse("q=a+b%20c&&n=%237").get("q"), "a b c");
        assert_eq!(Query::parse("n=%237").number("n"), Some(7));
        assert_eq!(decoded("%zz%+1%4"), "%zz%+1%4");
    }
}
