//! No file makes a reader of runs panic; what is read has counts and times that can be compared.
#![no_main]

use libfuzzer_sys::fuzz_target;
use load_test::import;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(imported) = import::run("fuzz", bytes) {
        assert!(!imported.run.rows.is_empty());
        for row in imported.run.rows.values() {
            for value in row.metrics.values() {
                assert!(value.is_finite() && *value >= 0.0);
            }
        }
    }
});
