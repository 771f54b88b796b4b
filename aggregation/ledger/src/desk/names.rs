//! What people call members, runs, disputes and proposals, and what a ledger calls them.

use covey_aggregation::hash::Digest;
use covey_aggregation::party::PartyId;
use covey_aggregation::program::{Exit, Failure};
use covey_aggregation::roster::Roster;

use crate::book::{Book, DIGITS_MIN};

/// Who and what is known: by the book of a ledger, where one is at hand, and by the reader's roster.
#[derive(Clone, Copy)]
pub struct Names<'a> {
    /// The book, if any.
    pub book: Option<&'a Book>,
    /// The reader's roster.
    pub roster: &'a Roster,
}

impl Names<'_> {
    /// A member: by its name, or by its key or at least four digits of the beginning of it.
    ///
    /// # Errors
    /// [`Failure`]: nobody, or more than one.
    pub fn member(&self, text: &str) -> Result<PartyId, Failure> {
        let in_book = self.book.and_then(|book| book.member_named(text)).map(|member| member.id);
        let mut members = self.roster.members.iter();
        let named = members.find(|member| member.name.as_str() == text).map(|member| member.id);
        if let Some(id) = in_book.or(named) {
            return Ok(id);
        }
        let known = self.book.into_iter().flat_map(|book| book.members().map(|member| member.id));
        let keys = known.chain(self.roster.members.iter().map(|member| member.id));
        one("member", text, keys.map(|id| Digest(id.0))).map(|digest| PartyId(digest.0))
    }

    /// A run: by its name where only one has it, or by its digest or the beginning of it. Without a ledger
    /// only by its whole digest.
    ///
    /// # Errors
    /// [`Failure`]: none, or more than one.
    pub fn run(&self, text: &str) -> Result<Digest, Failure> {
        let Some(book) = self.book else { return whole("run", text) };
        let named = book.runs().iter().filter(|run| run.plan.name.as_str() == text);
        let named: Vec<_> = named.map(|run| run.plan.run).collect();
        match named[..] {
            [] => one("run", text, book.runs().iter().map(|run| run.plan.run)),
            [run] => Ok(run),
            _ => {
                let digests: Vec<_> = named.iter().map(ToString::to_string).collect();
                let message = format!("{} runs are called {text:?}", named.len());
                Err(Failure::new(Exit::BadInput, "AMBIGUOUS", message)
                    .with_help(format!("give the digest of one: {}", digests.join(", "))))
            }
        }
    }

    /// A dispute, by its digest or the beginning of it. Without a ledger only by its whole digest.
    ///
    /// # Errors
    /// [`Failure`]: none, or more than one.
    pub fn dispute(&self, text: &str) -> Result<Digest, Failure> {
        let Some(book) = self.book else { return whole("dispute", text) };
        one("dispute", text, book.disputes().into_iter().map(|one| one.id))
    }

    /// A dispute or a proposal, likewise.
    ///
    /// # Errors
    /// [`Failure`]: none, or more than one.
    pub fn judged(&self, text: &str) -> Result<Digest, Failure> {
        let Some(book) = self.book else { return whole("dispute or proposal", text) };
        let disputes = book.disputes().into_iter().map(|one| one.id);
        let proposals = book.proposals().into_iter().map(|one| one.id);
        one("dispute or proposal", text, disputes.chain(proposals))
    }

    /// A member's name; with its key's first digits where nobody is known by the key.
    #[must_use]
    pub fn of(&self, id: &PartyId) -> String {
        match self.book.filter(|book| book.member(id).is_some()) {
            Some(book) => book.name_of(id),
            None => self.roster.name_of(id),
        }
    }

    /// A run's name and digits.
    #[must_use]
    pub fn of_run(&self, run: &Digest) -> String {
        match self.book.and_then(|book| book.run(run)) {
            Some(record) => format!("{} ({})", record.plan.name, run.short()),
            None => run.to_string(),
        }
    }
}

fn whole(what: &str, text: &str) -> Result<Digest, Failure> {
    Digest::from_hex(text).ok_or_else(|| {
        let message = format!("{text:?} is not the digest of a {what}");
        Failure::new(Exit::BadInput, "NO_SUCH", message)
            .with_help("give all 64 digits, or a ledger to look it up in (--ledger DIR)")
    })
}

fn one(what: &str, text: &str, all: impl Iterator<Item = Digest>) -> Result<Digest, Failure> {
    let is_digits = text.len() >= DIGITS_MIN && text.bytes().all(|c| c.is_ascii_hexdigit());
    let lower = text.to_ascii_lowercase();
    let mut found: Vec<_> =
        all.filter(|one| is_digits && one.to_string().starts_with(&lower)).collect();
    found.sort_unstable();
    found.dedup();
    match found[..] {
        [found] => Ok(found),
        [] => {
            let message = format!("no {what} is {text:?}");
            Err(Failure::new(Exit::BadInput, "NO_SUCH", message).with_help(format!(
                "give a name as it stands in the ledger, or at least {DIGITS_MIN} digits"
            )))
        }
        _ => {
            let message = format!("more than one {what} begins with {text:?}");
            Err(Failure::new(Exit::BadInput, "AMBIGUOUS", message).with_help("give more digits"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::example::{Example, Shape};

    #[test]
    fn what_people_call_things_is_found_and_the_rest_is_refused() {
        let example = Example::new(Shape::default()).expect("an example");
        let names = Names { book: Some(&example.book), roster: &example.roster };
        let owner = example.owners[2].id();
        assert_eq!(names.member("clinic-3"), Ok(owner));
        assert_eq!(names.member(&Digest(owner.0).to_string()[..12]), Ok(owner));
        let run = example.book.runs()[0].plan.run;
        assert_eq!(names.run("digits"), Ok(run));
        assert_eq!(names.run(&run.to_string()), Ok(run));
        let code = |failure: Failure| (failure.exit, failure.code);
        let bad = (Exit::BadInput, "NO_SUCH");
        assert_eq!(names.member("clinic-99").map_err(code), Err(bad));
        assert_eq!(names.run("abc").map_err(code), Err(bad), "too few digits");
        assert_eq!(names.dispute(&"0".repeat(64)).map_err(code), Err(bad));
        let dispute = example.book.disputes()[0].id;
        assert_eq!(names.judged(&dispute.to_string()[..16]), Ok(dispute));
        let bare = Names { book: None, roster: &example.roster };
        assert_eq!(bare.run("digits").map_err(code), Err(bad), "nothing to look it up in");
        assert_eq!(bare.run(&run.to_string()), Ok(run));
        assert_eq!(bare.member("clinic-3"), Ok(owner));
    }

    #[test]
    fn two_that_begin_alike_are_not_mixed_up() {
        let [mut one_digest, mut other] = [[7; 32], [7; 32]];
        (one_digest[31], other[31]) = (1, 2);
        let all = [Digest(one_digest), Digest(other)];
        let failure = one("run", "0707", all.into_iter()).expect_err("two");
        assert_eq!((failure.exit, failure.code), (Exit::BadInput, "AMBIGUOUS"));
        let text = Digest(other).to_string();
        assert_eq!(one("run", &text, all.into_iter()), Ok(Digest(other)));
    }
}
