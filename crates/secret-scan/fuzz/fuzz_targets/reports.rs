//! Reports of Gitleaks, TruffleHog and Kingfisher: no bytes make the readers panic, and what they read can be
//! joined.
#![no_main]

use libfuzzer_sys::fuzz_target;
use secret_scan::{formats, incident, value::Key};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(reading) = formats::read(bytes) {
        assert!(reading.unique() <= reading.rows.len());
        let incidents = incident::join(&reading.rows, &Key::default());
        let rows: usize = incidents.iter().map(|one| one.rows).sum();
        assert_eq!(rows, reading.rows.len(), "no row is lost or counted twice");
    }
});
