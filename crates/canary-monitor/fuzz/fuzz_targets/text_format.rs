//! No page makes the reader panic, and each line is accounted for, in both formats.
#![no_main]

use canary_monitor::source::exposition::{Lines, read};
use libfuzzer_sys::fuzz_target;

const NEEDED: &[&str] = &["http_requests_total", "http_request_duration_seconds_bucket"];

fuzz_target!(|page: &[u8]| {
    for open_metrics in [false, true] {
        let read = read(page, open_metrics, NEEDED);
        let Lines { samples, comments, empty, rejected } = read.lines;
        let lines = page.split_inclusive(|byte| *byte == b'\n').count();
        assert_eq!(samples + comments + empty + rejected, lines);
        assert!(read.samples.len() <= samples);
    }
});
