//! The page: reads the ledger, and nothing else, and shows it to people and programs.
