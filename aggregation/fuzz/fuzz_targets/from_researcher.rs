#![no_main]

covey_fuzz::parser!("from_researcher");
