//! Any bytes as a file: unwrapped, guessed, read, merged and judged.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vuln_gate::{formats, judge, merge};

fuzz_target!(|data: &[u8]| {
    let mut inputs = formats::read("fuzz", std::io::Cursor::new(data.to_vec()), None);
    assert!(!inputs.is_empty(), "a file is never nothing");
    let policy = judge::Policy::default();
    for input in &inputs {
        let counts = merge::counts(input);
        assert!(counts.unique <= counts.rows);
    }
    let rows: usize = inputs.iter().map(|input| input.rows.len()).sum();
    let merged = merge::merge(&mut inputs, merge::SeverityFrom::Highest);
    assert_eq!(merged.iter().map(|one| one.rows.len()).sum::<usize>(), rows);
    let today = jiff::civil::date(2026, 11, 26);
    for one in &merged {
        let _ = judge::decide(&policy, one, None, today);
    }
});
