#![no_main]

covey_fuzz::parser!("signed_header");
