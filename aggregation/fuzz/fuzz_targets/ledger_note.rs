#![no_main]

covey_fuzz::ledger_parser!("ledger_note");
