#![no_main]

covey_fuzz::parser!("to_researcher");
