//! What engines write to stderr: nothing makes the reader panic, and taking log lines out leaves the rest.
#![no_main]

use libfuzzer_sys::fuzz_target;
use secret_scan::engine::scrub;
use secret_scan::formats::log;

fuzz_target!(|text: &str| {
    let stated = log::read(text);
    let (rest, split) = log::split(text);
    assert_eq!(stated, split);
    assert!(rest.len() <= text.len() + 1);
    let _ = scrub::text(text);
});
