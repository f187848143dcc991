//! The commits of a pull request or push, as GitHub's event file names them.

#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "tests"
)]

mod common;

use common::{World, world};

/// A scan of what an event brought.
fn scan_event(world: &World, name: &str, event: &serde_json::Value) -> common::Run {
    let path = world.path("event.json");
    std::fs::write(&path, event.to_string()).unwrap();
    let path = path.display().to_string();
    let variables = [
        ("GITHUB_EVENT_PATH", path.as_str()),
        ("GITHUB_EVENT_NAME", name),
    ];
    let words = ["--range", "event", "--no-verification", "--output", "json"];
    world.run_with(&words, "", &variables)
}

#[test]
fn an_event_means_the_commits_that_it_brought_and_never_fewer() {
    let mut world = world();
    let main = world.git(&["rev-parse", "HEAD"]);
    world.git(&["checkout", "--quiet", "-b", "change"]);
    world.commit("three.txt", "three\n");
    world.commit("four.txt", "four\n");
    let head = world.commit("five.txt", "five\n");
    let middle = world.git(&["rev-parse", "HEAD~1"]);
    let zeros = "0".repeat(40);
    let gone = "a".repeat(40);
    let push = |before: &str| {
        serde_json::json!({"before": before, "after": head,
            "repository": {"default_branch": "main"}})
    };
    let change =
        serde_json::json!({"pull_request": {"base": {"sha": main}, "head": {"sha": head}}});
    for (name, event, base, commits) in [
        ("pull_request", &change, &main, 3),
        ("push", &push(&middle), &middle, 1),
        ("push", &push(&zeros), &main, 3),
        ("push", &push(&gone), &main, 3),
    ] {
        let run = scan_event(&world, name, event);
        run.is(0, "pass", "no_secrets");
        let range = &run.report["details"]["range"];
        assert_eq!(range["base"], **base, "{name} {event}");
        assert_eq!(range["head"], *head);
        assert_eq!(range["origin"], "event");
        assert_eq!(run.report["details"]["history"]["commits"], commits);
        let said = run.report["not_covered"].to_string();
        assert!(said.contains(&format!("{base}..{head}")), "{said}");
    }
    // Where the branch that it left is not known, everything is scanned, the files too.
    let mut nameless = push(&zeros);
    nameless["repository"]["default_branch"] = "nosuch".into();
    let schedule = serde_json::json!({"schedule": "0 3 * * *"});
    for (name, event) in [("push", &nameless), ("schedule", &schedule)] {
        let run = scan_event(&world, name, event);
        run.is(0, "pass", "no_secrets");
        assert!(run.report["details"]["range"].is_null());
        assert_eq!(run.report["details"]["history"]["commits"], 5);
        assert_eq!(run.report["details"]["tree"]["files"], 5);
        let said = run.report["not_covered"].to_string();
        assert!(said.contains("everything was scanned"), "{said}");
    }
}

#[test]
fn an_event_that_cannot_be_followed_is_no_scan() {
    let mut world = world();
    let head = world.git(&["rev-parse", "HEAD"]);
    let gone = "a".repeat(40);
    // A commit that is not here cannot be scanned.
    let event = serde_json::json!({"pull_request": {"base": {"sha": gone}, "head": {"sha": head}}});
    scan_event(&world, "pull_request", &event).is(3, "inconclusive", "unknown_revision");
    let event = serde_json::json!({"before": head, "after": gone});
    scan_event(&world, "push", &event).is(3, "inconclusive", "unknown_revision");
    let run = scan_event(&world, "pull_request", &serde_json::json!({}));
    assert_eq!(run.code, 2, "{}", run.out);
    assert!(run.err.contains("pull_request.base.sha"), "{}", run.err);
    assert!(run.err.contains("--range BASE..HEAD"), "{}", run.err);
    for path in ["", "/no/such/event.json"] {
        let run = world.run_with(&["--range", "event"], "", &[("GITHUB_EVENT_PATH", path)]);
        assert_eq!(run.code, 2, "{}{}", run.out, run.err);
    }
    let whole = ["--range", "event", "--scope", "tree"];
    assert_eq!(world.run(&whole).code, 2, "a range means commits");
}
