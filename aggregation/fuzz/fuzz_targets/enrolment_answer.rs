#![no_main]

covey_fuzz::parser!("enrolment_answer");
