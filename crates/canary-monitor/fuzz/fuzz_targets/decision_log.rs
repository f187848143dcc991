//! No decision log makes the reader or the judge panic, and a line that was read can be written and read
//! again.
#![no_main]

use canary_monitor::judge::Policy;
use canary_monitor::log::{judge, read, read_line};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(recording) = read(text) else {
        return;
    };
    for line in &recording.lines {
        let text = line.encode().expect("a line that was read has a form in JSON");
        let again = read_line(&text, &recording.header);
        assert!(again.is_ok(), "{again:?}");
    }
    let _ = judge(&recording, &Policy::default());
});
