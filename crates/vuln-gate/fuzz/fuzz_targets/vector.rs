//! CVSS vectors of all versions: a score is between 0 and 10 or there is none.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Some((version, score)) = vuln_gate::severity::score(text) {
        assert!((2..=4).contains(&version) && (0.0..=10.0).contains(&score), "{text}: {score}");
    }
});
