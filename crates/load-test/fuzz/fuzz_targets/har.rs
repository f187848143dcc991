//! No recording makes the import panic; a draft can be read as a persona file.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use load_test::import::har::draft;
use load_test::persona::read::{Inputs, read_str};

fuzz_target!(|text: &str| {
    if let Ok(draft) = draft(text) {
        let inputs = Inputs {
            dry: true,
            ..Inputs::default()
        };
        assert!(read_str("draft.toml", &draft, Path::new("."), &inputs).is_ok());
    }
});
