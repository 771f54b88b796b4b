//! A play, divided by who speaks.

use std::collections::BTreeMap;

/// All that one role says in a file of plays, in order, without the role's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Role {
    /// The name, as it stands before every speech.
    pub name: String,
    /// The speeches, an empty line between two.
    pub speech: String,
}

/// What a role says, in three pieces that follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pieces<'a> {
    /// What is trained on.
    pub training: &'a str,
    /// What settings are chosen by.
    pub validation: &'a str,
    /// What the result is measured on: the end of the role.
    pub test: &'a str,
}

/// The `count` roles that say most, the longest first. A speech is a block of lines below a line
/// that ends with a colon; blocks are divided by empty lines.
#[must_use]
pub fn longest_roles(text: &str, count: usize) -> Vec<Role> {
    let text = text.replace("\r\n", "\n");
    let mut speeches = BTreeMap::<&str, String>::new();
    for block in text.split("\n\n").map(str::trim) {
        let Some((name, speech)) = block.split_once('\n') else { continue };
        let Some(name) = name.strip_suffix(':') else { continue };
        let all = speeches.entry(name).or_default();
        all.push_str(speech);
        all.push_str("\n\n");
    }
    let role = |(name, speech): (&str, String)| Role { name: name.to_owned(), speech };
    let mut roles: Vec<Role> = speeches.into_iter().map(role).collect();
    roles.sort_by_key(|role| std::cmp::Reverse(role.speech.len()));
    roles.truncate(count);
    roles
}

impl Role {
    /// The pieces: shares of the end for the test and, before that, for the validation. They are
    /// cut between lines.
    #[must_use]
    pub fn pieces(&self, validation: f64, test: f64) -> Pieces<'_> {
        let whole = self.speech.as_str();
        let cut = |share: f64| {
            let from = (whole.len() as f64 * (1.0 - share)) as usize;
            let end = whole.bytes().skip(from).position(|byte| byte == b'\n');
            end.map_or(whole.len(), |line| from + line + 1)
        };
        let (rest, end) = whole.split_at(cut(test));
        let (training, validation) = rest.split_at(cut(test + validation).min(rest.len()));
        Pieces { training, validation, test: end }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAY: &str = "First Citizen:\nBefore we proceed any further, hear me speak.\n\n\
                        All:\nSpeak, speak.\n\n\nFirst Citizen:\nYou are all resolved\nrather to \
                        die: than to famish?\n\nAll:\nResolved.\n\nA line of nobody.\n";

    #[test]
    fn a_role_has_its_speeches_and_not_its_name() {
        let roles = longest_roles(PLAY, 5);
        let names: Vec<_> = roles.iter().map(|role| role.name.as_str()).collect();
        assert_eq!(names, ["First Citizen", "All"]);
        assert_eq!(roles[1].speech, "Speak, speak.\n\nResolved.\n\n");
        assert!(roles[0].speech.ends_with("rather to die: than to famish?\n\n"));
        assert_eq!(longest_roles(PLAY, 1), roles[..1]);
        assert_eq!(longest_roles(&PLAY.replace('\n', "\r\n"), 5), roles);
    }

    #[test]
    fn pieces_are_the_whole_in_order_and_cut_between_lines() {
        let speech: String = (0..100).map(|line| format!("líne {line}\n")).collect();
        let role = Role { name: "A".to_owned(), speech };
        let Pieces { training, validation, test } = role.pieces(0.1, 0.2);
        assert_eq!([training, validation, test].concat(), role.speech);
        let lines = [training, validation, test].map(|piece| piece.lines().count());
        assert!(lines[0].abs_diff(70) < 3 && lines[1].abs_diff(10) < 3, "{lines:?}");
        assert!(training.ends_with('\n') && validation.ends_with('\n'));
        let none = Role { name: "B".to_owned(), speech: "one line\n".to_owned() };
        assert_eq!(none.pieces(0.1, 0.1).training, "one line\n");
    }
}
