#![no_main]

covey_fuzz::parser!("credits_file");
