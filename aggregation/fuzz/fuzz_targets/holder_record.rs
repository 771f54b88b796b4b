#![no_main]

covey_fuzz::parser!("holder_record");
