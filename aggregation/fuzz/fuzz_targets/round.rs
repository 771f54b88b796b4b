#![no_main]

covey_fuzz::fuzz_target!(|bytes: &[u8]| {
    covey_fuzz::machines::round::run(bytes);
});
