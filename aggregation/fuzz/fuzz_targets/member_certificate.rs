#![no_main]

covey_fuzz::parser!("member_certificate");
