//! What a bench is asked for.

/// The number after `name`, from 1.
///
/// # Errors
/// It is none.
pub fn number(arguments: &[String], name: &str) -> Result<Option<usize>, String> {
    let Some(at) = arguments.iter().position(|argument| argument == name) else { return Ok(None) };
    let value = arguments.get(at + 1).and_then(|value| value.parse().ok());
    match value.filter(|value| *value > 0) {
        Some(value) => Ok(Some(value)),
        None => Err(format!("{name} takes a number from 1")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_from_1() {
        let arguments = ["--clients", "0", "--hold", "7"].map(str::to_owned);
        assert!(number(&arguments, "--clients").is_err());
        assert_eq!(number(&arguments, "--hold"), Ok(Some(7)));
        assert_eq!(number(&arguments, "--other"), Ok(None));
    }
}
