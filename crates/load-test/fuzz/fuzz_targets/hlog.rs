//! No interval log makes the reader panic; a log that is read is written and read again as the same.
#![no_main]

use gs_common::redact::Redactor;
use libfuzzer_sys::fuzz_target;
use load_test::hlog;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = hlog::decode::<u64>(text, 3);
        let _ = hlog::decode::<u32>(text, 2);
    }
    if let Ok(log) = hlog::read(bytes) {
        let mut again = Vec::new();
        if hlog::write(&log.result, &log.goals, &Redactor::new(), &mut again).is_ok() {
            assert!(hlog::read(&again).is_ok());
        }
    }
});
