//! No file of somebody else makes `import` panic, and what it prints is always one section of TOML.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    if let Ok(imported) = canary_monitor::import::read(text) {
        let parsed: toml::Table = imported.toml().parse().expect("a section of TOML");
        assert!(parsed.keys().all(|key| key == "canary-monitor"));
    }
});
