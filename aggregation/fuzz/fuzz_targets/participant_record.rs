#![no_main]

covey_fuzz::parser!("participant_record");
