//! The arrows between our crates: a tool may use gs-common and nothing else of ours; gs-common and
//! gs-sim use none of ours. Tests of a tool may start gs-sim.

#![allow(clippy::expect_used, reason = "tests")]

use std::process::Command;

use serde_json::Value;

/// The binaries of the workspace that are no tools.
const NO_TOOL: [&str; 2] = ["gs-common", "gs-sim"];

fn metadata() -> Value {
    let output = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--format-version",
            "1",
            "--no-deps",
            "--offline",
        ])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).expect("metadata is JSON")
}

fn texts<'a>(list: &'a Value, member: &'a str) -> impl Iterator<Item = &'a str> {
    list.as_array()
        .into_iter()
        .flatten()
        .filter_map(move |item| item[member].as_str())
}

#[test]
fn crates_of_ours_depend_only_where_the_architecture_says() {
    let metadata = metadata();
    let packages = metadata["packages"].as_array().expect("packages");
    let ours: Vec<&str> = texts(&metadata["packages"], "name").collect();
    assert!(ours.contains(&"gs-common"), "{ours:?}");
    let mut arrows = 0;
    for package in packages {
        let from = package["name"].as_str().expect("a name");
        for dependency in package["dependencies"].as_array().expect("dependencies") {
            let to = dependency["name"].as_str().expect("a name");
            if !ours.contains(&to) {
                continue;
            }
            arrows += 1;
            let for_tests = dependency["kind"] == "dev";
            let allowed =
                !NO_TOOL.contains(&from) && (to == "gs-common" || (to == "gs-sim" && for_tests));
            assert!(
                allowed,
                "a new arrow: {from} -> {to}; see docs/architecture.md"
            );
        }
    }
    assert!(arrows > 0, "a check without arrows proves nothing");
}

#[test]
fn a_binary_bears_the_name_of_its_crate() {
    for package in metadata()["packages"].as_array().expect("packages") {
        let name = package["name"].as_str().expect("a name");
        let binaries: Vec<&str> = package["targets"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|target| target["kind"][0] == "bin")
            .filter_map(|target| target["name"].as_str())
            .collect();
        let wanted: &[&str] = if name == "gs-common" { &[] } else { &[name] };
        assert_eq!(binaries, wanted, "{name}");
    }
}
