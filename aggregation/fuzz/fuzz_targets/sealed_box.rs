#![no_main]

covey_fuzz::parser!("sealed_box");
