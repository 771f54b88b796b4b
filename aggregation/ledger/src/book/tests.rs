//! The rules of the book, each by an entry that breaks it.

use super::*;
use crate::example::{Example, Shape};

#[test]
fn the_example_is_read_again_from_its_bytes() {
    let example = Example::new(Shape::default()).expect("an example");
    let entries = example.entries.iter().map(Vec::as_slice);
    let book = Book::read(entries, &example.documents).expect("the same book");
    assert_eq!(book.size(), example.book.size());
    assert_eq!(book.payouts().len(), 1);
    let again = Example::new(Shape::default()).expect("an example");
    assert_eq!(again.entries, example.entries, "the same shape gives the same bytes");
}
