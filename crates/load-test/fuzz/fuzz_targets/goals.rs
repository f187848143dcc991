//! No text makes the reader of goals panic; what it reads is read the same again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use load_test::goal::Goal;

fuzz_target!(|text: &str| {
    if let Ok(goal) = Goal::parse(text) {
        assert_eq!(Goal::parse(&goal.text), Ok(goal));
    }
});
