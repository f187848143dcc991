//! No ignore file makes the readers panic, and what is printed is TOML, without a reason or owner made up.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vuln_gate::import::{read, to_toml};

fuzz_target!(|text: &str| {
    if let Ok(imported) = read("fuzz", text) {
        let written: toml::Table = toml::from_str(&to_toml("fuzz", &imported)).unwrap();
        let list = written.get("exceptions").and_then(toml::Value::as_array);
        for exception in list.into_iter().flatten() {
            assert_eq!(exception["owner"].as_str(), Some(""));
        }
    }
});
