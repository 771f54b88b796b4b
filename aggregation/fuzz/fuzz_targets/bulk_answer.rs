#![no_main]

covey_fuzz::parser!("bulk_answer");
