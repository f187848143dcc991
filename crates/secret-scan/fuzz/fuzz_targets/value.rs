//! Values of secrets: nothing makes normalising panic, and a mask never shows a part of the value.
#![no_main]

use libfuzzer_sys::fuzz_target;
use secret_scan::value::{Key, mask, normalise, parts};

fuzz_target!(|text: &str| {
    let _ = normalise(text);
    let _ = parts(text);
    let fingerprint = Key::default().fingerprint(text);
    assert!(gs_common::fingerprint::is_one(&fingerprint));
    assert_eq!(mask(&fingerprint).len(), 9);
});
