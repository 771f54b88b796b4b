#![no_main]

covey_fuzz::parser!("round_record");
