//! The binary from outside.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "tests"
)]

use std::process::Output;

use assert_cmd::Command;
use canary_monitor::simulate::{World, make, scenario};
use serde_json::Value;

fn run(words: &[&str]) -> Output {
    let mut command = Command::cargo_bin("canary-monitor").unwrap();
    command.env_clear().args(words).output().unwrap()
}

fn world(name: &str) -> (tempfile::TempDir, String) {
    let size = World {
        rate: 20.0,
        stable_pods: 6,
        duration_seconds: 900.0,
        extra_seconds: 0.0,
        seed: 3,
    };
    let (header, scrapes) = make(scenario::find(name).unwrap(), &size);
    let mut text = serde_json::to_string(&header).unwrap() + "\n";
    for scrape in &scrapes {
        text += &(serde_json::to_string(scrape).unwrap() + "\n");
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("world.jsonl");
    std::fs::write(&path, text).unwrap();
    let path = path.display().to_string();
    (folder, path)
}

#[track_caller]
fn check(name: &str, more: &[&str], code: i32, verdict: &str, reason: &str) {
    let (_folder, path) = world(name);
    let words = [&["replay", path.as_str(), "--output", "json"], more].concat();
    let output = run(&words);
    assert_eq!(output.status.code(), Some(code), "{name}");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let replay = &report["details"]["replays"][0];
    assert_eq!(
        (replay["verdict"].as_str(), replay["reason"].as_str()),
        (Some(verdict), Some(reason)),
        "{name}"
    );
    assert_eq!(report["verdict"], replay["verdict"]);
    // The same file gives the same judgement.
    let again: Value = serde_json::from_slice(&run(&words).stdout).unwrap();
    assert_eq!(report["details"], again["details"]);
}

#[test]
fn worlds_get_the_wanted_verdict() {
    check("healthy", &[], 0, "pass", "healthy");
    check("errors-1-to-3", &[], 1, "fail", "error_rate");
    check("latency-doubled", &[], 1, "fail", "latency");
    check("crash-loop", &[], 1, "fail", "restarts");
    check("leak", &[], 1, "fail", "memory_leak");
    check("no-traffic", &[], 3, "inconclusive", "no_traffic");
}

#[test]
fn other_judges_say_what_they_would_have_said() {
    let limits = ["--judge", "limits"];
    check("errors-1-to-3", &limits, 0, "pass", "healthy");
    check("no-traffic", &limits, 3, "inconclusive", "no_traffic");
    check(
        "latency-5-percent",
        &["--judge", "kayenta"],
        1,
        "fail",
        "latency",
    );
}

#[test]
fn the_plain_rule_is_shown_beside_the_verdict_and_decides_nothing() {
    let (_folder, path) = world("errors-1-to-3");
    let output = run(&["replay", &path, "--legacy-view", "--output", "json"]);
    assert_eq!(output.status.code(), Some(1));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let legacy = &report["details"]["replays"][0]["legacy"];
    assert_eq!(legacy["verdict"], "pass");
    let evidence = report["checks"][0]["evidence"].as_array().unwrap();
    let text = evidence.last().unwrap()["text"].as_str().unwrap();
    assert!(text.contains("this judge says fail (error_rate)"), "{text}");
}

#[test]
fn what_cannot_be_read_is_no_verdict_and_what_is_not_there_a_mistake() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("junk.jsonl");
    std::fs::write(&path, "junk\n").unwrap();
    let output = run(&["replay", path.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&output.stdout).contains("line 1"));
    assert_eq!(run(&["replay", "/no/such/file"]).status.code(), Some(2));
    assert_eq!(run(&[]).status.code(), Some(2));
}

#[test]
fn half_of_a_run_never_passes() {
    let (_folder, path) = world("healthy");
    let text = std::fs::read_to_string(&path).unwrap();
    let half: String = text
        .lines()
        .take(31)
        .map(|line| format!("{line}\n"))
        .collect();
    std::fs::write(&path, half).unwrap();
    let output = run(&["replay", &path]);
    assert_eq!(output.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&output.stdout).contains("coverage"));
}

#[test]
fn the_selftest_counts_every_run() {
    let words = [
        "selftest",
        "--runs",
        "5",
        "--seed",
        "2",
        "--stable-pods",
        "6",
        "--rate",
        "20",
    ];
    let output = run(&[
        &words[..],
        &["--scenario", "errors-1-to-3", "--output", "json"],
    ]
    .concat());
    assert_eq!(output.status.code(), Some(0));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let cell = &report["details"]["cells"][0];
    assert_eq!((&cell["runs"], &cell["fail"]), (&5.into(), &5.into()));
}
