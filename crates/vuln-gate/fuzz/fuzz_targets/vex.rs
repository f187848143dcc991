//! No text makes the VEX readers panic, and what they read suppresses no package that it does not name.
#![no_main]

use gs_common::purl::Purl;
use libfuzzer_sys::fuzz_target;
use vuln_gate::model::{PackageRef, Row};
use vuln_gate::vex::{Vex, read};

fuzz_target!(|text: &str| {
    if let Ok(statements) = read("fuzz", text) {
        let row = Row {
            id: "CVE-2021-23337".into(),
            package: Some(PackageRef {
                ecosystem: Some("npm".into()),
                name: "zzz-not-named".into(),
                version: Some("1.0.0".into()),
                purl: Some("pkg:npm/zzz-not-named@1.0.0".into()),
            }),
            ..Row::default()
        };
        // What a document names is what stands in it decoded: JSON and package URLs have escapes for every letter.
        let products = statements.iter().flat_map(|statement| &statement.products);
        let is_named = products
            .flat_map(|product| &product.names)
            .filter_map(|name| Purl::read(name))
            .any(|purl| purl.name.to_lowercase().contains("zzz"));
        let covered = Vex::new(statements, Vec::new()).covers(&["CVE-2021-23337".into()], &row);
        assert!(covered.is_none() || is_named);
    }
});
