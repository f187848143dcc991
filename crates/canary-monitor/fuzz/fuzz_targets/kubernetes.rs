//! No kubeconfig, no answer of the Kubernetes API and no amount makes a reader panic.
#![no_main]

use canary_monitor::source::kubernetes::answer::{read_pods, read_usage};
use canary_monitor::source::kubernetes::{kubeconfig, quantity};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = (read_pods(bytes), read_usage(bytes));
    if let Ok(text) = std::str::from_utf8(bytes) {
        if let Some(amount) = quantity::read(text) {
            assert!(amount.is_finite() && amount >= 0.0);
        }
        if let Ok(file) = kubeconfig::read(text) {
            let _ = file.meant(None);
        }
    }
});
