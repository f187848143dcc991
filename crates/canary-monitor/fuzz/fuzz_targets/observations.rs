//! No file of observations makes the reader panic; what is read keeps the laws of counters.
#![no_main]

use canary_monitor::observations::read;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(read) = read(text) {
        for pod in read.scrapes.iter().flat_map(|scrape| &scrape.pods).filter(|pod| pod.up) {
            if let (Some(errors), Some(requests)) = (pod.errors, pod.requests) {
                assert!(errors <= requests);
            }
        }
    }
});
