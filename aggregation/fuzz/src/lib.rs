//! What the fuzz targets have in common. `parsers` is also a module of `tests/decoding.rs`,
//! `machines` of `tests/machines.rs`.

#[path = "../../tests/parsers/mod.rs"]
pub mod parsers;

pub mod ledger;
pub mod machines;

pub use libfuzzer_sys::fuzz_target;

use peak_alloc::PeakAlloc;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// The parser of this name.
///
/// # Panics
/// Where there is none.
#[must_use]
pub fn parser(name: &str) -> &'static parsers::Parser {
    let mut all = parsers::PARSERS.iter();
    all.find(|parser| parser.name == name).unwrap_or_else(|| panic!("no parser {name}"))
}

/// The fuzz target of a parser.
#[macro_export]
macro_rules! parser {
    ($name:literal) => {
        static CHECK: std::sync::LazyLock<fn(&[u8]) -> bool> =
            std::sync::LazyLock::new(|| $crate::parser($name).check);
        $crate::fuzz_target!(|bytes: &[u8]| {
            (*CHECK)(bytes);
        });
    };
}

/// The fuzz target of a parser of the ledger.
#[macro_export]
macro_rules! ledger_parser {
    ($name:literal) => {
        static CHECK: std::sync::LazyLock<fn(&[u8])> =
            std::sync::LazyLock::new(|| $crate::ledger::parser($name).check);
        $crate::fuzz_target!(|bytes: &[u8]| {
            (*CHECK)(bytes);
        });
    };
}
