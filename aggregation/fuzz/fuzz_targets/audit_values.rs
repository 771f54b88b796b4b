#![no_main]

covey_fuzz::parser!("audit_values");
