//! The line of a plan that an error is about.

/// Characters of a line that are shown, at most.
const CHARACTERS_MAX: usize = 80;

/// The line with its number, and below it a mark under the column; both from 1. Control characters
/// are shown as dots: a plan that somebody else wrote must not write to a terminal.
pub(crate) fn excerpt(text: &str, line: u32, column: u32) -> Option<String> {
    let source = text.lines().nth(line.checked_sub(1)? as usize)?;
    let column = column.checked_sub(1)? as usize;
    // Long lines are shown around the column.
    let start = column.saturating_sub(CHARACTERS_MAX / 2);
    let shown: String = source
        .chars()
        .skip(start)
        .take(CHARACTERS_MAX)
        .map(|c| if c.is_control() { '.' } else { c })
        .collect();
    let number = line.to_string();
    let (gap, before) = (" ".repeat(number.len()), " ".repeat(column - start));
    Some(format!("  {number} | {shown}\n  {gap} | {before}^"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mark_is_under_the_column() {
        let text = "a = 1\nbits = 28\n";
        assert_eq!(excerpt(text, 2, 8).expect("shown"), "  2 | bits = 28\n    |        ^");
        assert_eq!(excerpt(text, 3, 1), None);
        assert_eq!(excerpt(text, 0, 1), None);
        let long = format!("x = {}", "é".repeat(1000));
        let shown = excerpt(&long, 1, 900).expect("shown");
        let lines: Vec<_> = shown.lines().collect();
        let mark = lines[1].chars().position(|c| c == '^');
        assert_eq!(mark, Some("  1 | ".len() + CHARACTERS_MAX / 2));
        assert!(lines[0].chars().count() <= "  1 | ".len() + CHARACTERS_MAX);
    }

    #[test]
    fn a_plan_does_not_write_to_the_terminal() {
        let shown = excerpt("a\u{1b}[2Jb\u{85}\tc", 1, 1).expect("shown");
        assert!(!shown.chars().any(|c| c.is_control() && c != '\n'), "{shown:?}");
    }
}
