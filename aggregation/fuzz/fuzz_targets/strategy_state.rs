#![no_main]

covey_fuzz::parser!("strategy_state");
