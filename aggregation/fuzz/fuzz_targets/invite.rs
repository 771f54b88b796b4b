#![no_main]

covey_fuzz::parser!("invite");
