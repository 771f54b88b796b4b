//! The log as a whole: what is written, stopped, damaged and read again.

mod audits;
mod crashes;
mod receipts;
mod support;
