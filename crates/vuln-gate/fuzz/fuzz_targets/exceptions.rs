//! No file of exceptions makes the reader panic; what it reads has a reason and an owner, and names something.
#![no_main]

use gs_common::suppression::{Policy, Thing, read};
use libfuzzer_sys::fuzz_target;
use vuln_gate::accept::FORM;

fuzz_target!(|text: &str| {
    let policy = Policy::on(jiff::civil::date(2026, 11, 26));
    if let Ok(exceptions) = read("fuzz", text, &FORM, &policy) {
        for exception in &exceptions.list {
            assert!(!exception.reason.is_empty() && !exception.owner.is_empty());
            assert_ne!(exception.what.names(&Thing::default()), gs_common::suppression::Match::Yes);
        }
    }
});
