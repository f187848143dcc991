//! No log and no report makes `serve` panic, and whatever has an age has one that is a number.
#![no_main]

use canary_monitor::serve::standing::{Ages, read};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let ages = Ages {
        silent_seconds: 120.0,
        verdict_seconds: 3600.0,
    };
    let now = jiff::Timestamp::UNIX_EPOCH;
    let age = read(text, now, now, &ages).age_seconds;
    assert!(age.is_none_or(f64::is_finite));
});
