//! No persona file makes the reader panic; what it reads can be drawn from.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use load_test::persona::read::{Inputs, read_str};

fuzz_target!(|text: &str| {
    let inputs = Inputs {
        dry: true,
        ..Inputs::default()
    };
    // A schema named by a path would read whatever file the fuzzer finds a name for.
    if text.contains("schema") {
        return;
    }
    if let Ok(personas) = read_str("fuzz.toml", text, Path::new("/nonexistent"), &inputs) {
        assert!(!personas.personas.is_empty());
        for persona in &personas.personas {
            assert!(persona.websocket.is_some() || persona.task_weights() > 0);
        }
    }
});
