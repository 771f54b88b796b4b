#![no_main]

covey_fuzz::parser!("key_vectors");
