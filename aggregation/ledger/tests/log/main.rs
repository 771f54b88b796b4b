//! The log as a whole: what is written, stopped, damaged and read again.

mod audits;
mod crashes;
mod oracle;
mod receipts;
mod support;
mod vectors;
