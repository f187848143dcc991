//! Kingfisher, in the form in which version 2.14 writes its reports, and Betterleaks, which has the command
//! line of Gitleaks: what they find, and that none of their ways to break is a pass.

#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "tests"
)]

mod common;

use common::World;
use serde_json::{Value, json};

/// A finding as Kingfisher writes it. Like its own, it has the value in its commands, too.
fn row(value: &str, outcome: &str, status: &str, commit: Option<&str>) -> Value {
    let mut row = json!({
        "rule": {
            "title": "GITHUB-PAT => [KINGFISHER.GITHUB.1]", "name": "github-pat",
            "id": "kingfisher.github.1", "description": "a token"
        },
        "finding": {
            "snippet": value, "fingerprint": "6353310882424120643", "confidence": "high",
            "entropy": "4.56",
            "validation": {"outcome": outcome, "status": status, "response": format!("asked with {value}")},
            "language": "Python", "line": 2, "column_start": 9, "column_end": 48, "path": "app.py",
            "validate_command": format!("kingfisher validate --rule 'kingfisher.github.1' '{value}'")
        }
    });
    if let Some(commit) = commit {
        row["finding"]["git_metadata"] = json!({
            "repository_url": "/srv/app",
            "commit": {
                "id": commit, "date": "2026-03-04",
                "committer": {"name": "Ada", "email": "ada@example.com"},
                "author": {"name": "Ada", "email": "ada@example.com"}
            },
            "file": {"path": "src/app.py", "git_command": format!("git show {commit}:src/app.py")}
        });
    }
    row
}

fn audit(commits: u64, bytes: u64) -> Value {
    json!({
        "schema": "kingfisher.repository-audit.v1",
        "started_at": "2026-11-26T14:18:26Z", "completed_at": "2026-11-26T14:18:27Z",
        "summary": {
            "discovered": 1, "fetch_succeeded": 0, "fetch_failed": 0, "scan_succeeded": 1,
            "scan_partial": 0, "scan_failed": 0, "pending": 0
        },
        "repositories": [{
            "key": "local:/srv/app", "scan": {"status": "completed"},
            "git": {"scope": "all_fetched_git_objects", "shallow": false, "fetched_commit_count": commits},
            "stats": {"findings": 1, "blobs_scanned": 30, "bytes_scanned": bytes}
        }]
    })
}

fn document(findings: &[Value], audit: &Value) -> Value {
    json!({"findings": findings, "audit": audit, "metadata": {"kingfisher_version": "2.14.0"}})
}

/// The numbers that stand at the end of both forms.
fn numbers(findings: usize) -> Value {
    json!({"findings": findings, "rules_applied": 488, "blobs_scanned": 30, "bytes_scanned": 900,
        "kingfisher": {"version_used": "2.14.0"}, "findings_by_rule": []})
}

fn lines(items: &[Value]) -> String {
    items.iter().map(|item| format!("{item}\n")).collect()
}

fn judged(text: &str) -> common::Run {
    let world = World::new();
    let path = world.path("report.json");
    std::fs::write(&path, text).unwrap();
    world.run(&["--report", path.to_str().unwrap(), "--output", "json"])
}

/// Gitleaks and Kingfisher over two commits; the script is what the latter does with its scan.
fn world(script: &str) -> World {
    let mut world = World::new();
    world.commit("one.txt", "hello\n");
    world.commit("two.txt", "world\n");
    let count = "echo '3:53AM INF 2 commits scanned.' >&2";
    let bytes = "echo '3:53AM INF scanned ~100 bytes (100 bytes) in 1ms' >&2";
    world.engine(
        "gitleaks",
        &format!("case \"$1\" in version) echo 8.30.1 ;; *) {count}; {bytes}; echo '[]' ;; esac"),
    );
    world.engine(
        "kingfisher",
        &format!("case \"$1\" in --version) echo 'kingfisher 2.14.0' ;; *) {script} ;; esac"),
    );
    world
}

const BOTH: [&str; 4] = ["--engine", "gitleaks,kingfisher", "--deadline", "20s"];

/// Writes a report to a file that a stand-in shows, so that no shell takes its quotes apart.
fn shows(world: &World, text: &str, code: i32) {
    let path = world.path("report");
    std::fs::write(&path, text).unwrap();
    let script = format!(
        "case \"$1\" in --version) echo 'kingfisher 2.14.0' ;; *) echo \"$*\" > {}; cat {}; exit {code} ;; esac",
        world.path("call").display(),
        path.display()
    );
    world.engine("kingfisher", &script);
}

#[test]
fn findings_of_kingfisher_have_place_and_verification() {
    for (outcome, status, verification, severity) in [
        (
            "verified_active",
            "Active Credential",
            "verified",
            "critical",
        ),
        (
            "verified_inactive",
            "Inactive Credential",
            "unverified",
            "high",
        ),
        ("unavailable", "Inconclusive Validation", "failed", "high"),
        ("skipped", "Validation Skipped", "not_tried", "high"),
        (
            "assumed",
            "Assumed Valid (Not Live-Validated)",
            "not_tried",
            "high",
        ),
        ("not_attempted", "Not Attempted", "not_tried", "high"),
        ("something_new", "Something New", "failed", "high"),
    ] {
        let token = common::github_token(21);
        let commit = "a".repeat(40);
        let found = [row(&token, outcome, status, Some(&commit))];
        let whole = lines(&[document(&found, &audit(2, 900)), numbers(1)]);
        let by_line = lines(&[
            found[0].clone(),
            json!({"audit": audit(2, 900)}),
            numbers(1),
        ]);
        for text in [whole, by_line, lines(&found)] {
            let run = judged(&text);
            let reason = if verification == "verified" {
                "verified_secrets"
            } else {
                "secrets_found"
            };
            run.is(1, "fail", reason);
            assert_eq!(run.report["inputs"][0]["format"], "kingfisher");
            let finding = &run.report["findings"][0];
            assert_eq!(finding["verification"], verification, "{outcome}");
            assert_eq!(finding["severity"], severity, "{outcome}");
            assert_eq!(
                finding["places"],
                json!([{"path": "src/app.py", "line": 2, "commit": commit}])
            );
            assert_eq!(finding["first_seen"], "2026-03-04T00:00:00Z");
            for form in common::forms(&token) {
                assert!(!run.out.contains(&form) && !run.err.contains(&form));
            }
        }
    }
}

#[test]
fn every_repository_of_a_kingfisher_report_counts() {
    let (one, other) = (common::github_token(22), common::github_token(23));
    let of = |token: &str| [row(token, "not_attempted", "Not Attempted", None)];
    let text = lines(&[
        document(&[], &audit(2, 900)),
        document(&of(&one), &audit(2, 900)),
        document(&of(&other), &audit(2, 900)),
        numbers(2),
    ]);
    let run = judged(&text);
    run.is(1, "fail", "secrets_found");
    assert_eq!(run.report["findings"].as_array().unwrap().len(), 2);
    // One that failed is an error whatever the others say.
    let mut failed = audit(2, 900);
    failed["summary"]["scan_failed"] = 1.into();
    let text = lines(&[document(&[], &audit(2, 900)), document(&[], &failed)]);
    assert_eq!(judged(&text).report["inputs"][0]["outcome"], "error");
}

#[test]
fn a_kingfisher_report_that_lost_a_part_is_none() {
    let token = common::github_token(24);
    let found = row(&token, "not_attempted", "Not Attempted", None);
    let whole = lines(&[
        found.clone(),
        found,
        json!({"audit": audit(2, 900)}),
        numbers(2),
    ]);
    let lost = whole.lines().skip(1).collect::<Vec<_>>().join("\n");
    assert_eq!(judged(&lost).report["inputs"][0]["outcome"], "not_a_report");
    let cut = &whole[..whole.len() - 40];
    assert_eq!(judged(cut).report["inputs"][0]["outcome"], "not_a_report");
    // Clean, and with nothing scanned.
    let clean = |bytes| lines(&[json!({"audit": audit(2, bytes)}), numbers(0)]);
    assert_eq!(judged(&clean(900)).report["inputs"][0]["outcome"], "clean");
}

#[test]
fn kingfisher_scans_beside_gitleaks_and_no_comment_excuses_a_line() {
    let world = world("");
    shows(
        &world,
        &lines(&[document(&[], &audit(2, 900)), numbers(0)]),
        0,
    );
    let run = world.scan(&BOTH);
    run.is(0, "pass", "no_secrets");
    let engine = run.engine("kingfisher");
    assert_eq!(engine["version"], "2.14.0");
    assert_eq!(engine["commits_scanned"], 2);
    let call = std::fs::read_to_string(world.path("call")).unwrap();
    for flag in [
        "--no-ignore",
        "--no-validate",
        "--no-update-check",
        "--git-history full",
    ] {
        assert!(call.contains(flag), "{call}");
    }
    world.write("goldensignals.toml", "[secret-scan]\ninline-allow = true\n");
    world.scan(&BOTH).is(0, "pass", "no_secrets");
    let call = std::fs::read_to_string(world.path("call")).unwrap();
    assert!(!call.contains("--no-ignore"), "{call}");
}

#[test]
fn a_secret_that_kingfisher_alone_finds_fails() {
    let world = world("");
    let token = common::github_token(25);
    let found = row(
        &token,
        "not_attempted",
        "Not Attempted",
        Some(&"b".repeat(40)),
    );
    shows(
        &world,
        &lines(&[document(&[found], &audit(2, 900)), numbers(1)]),
        200,
    );
    let run = world.scan(&BOTH);
    run.is(1, "fail", "secrets_found");
    let finding = run.finding(&world.fingerprint(&token)).unwrap();
    assert_eq!(finding["sources"], json!(["kingfisher"]));
    assert!(!run.out.contains(&token));
}

#[track_caller]
fn breaks(script: &str, outcome: &str) {
    let run = world(script).scan(&BOTH);
    run.is(3, "inconclusive", outcome);
    assert_eq!(run.engine("kingfisher")["outcome"], outcome);
    assert_eq!(run.engine("gitleaks")["outcome"], "complete");
}

#[test]
fn a_kingfisher_that_breaks_is_no_verdict() {
    breaks("exit 101", "crashed");
    breaks("echo \"thread 'main' panicked\" >&2; exit 101", "crashed");
    breaks(
        "echo 'Error: unrecognized scan target' >&2; exit 1",
        "scan_error",
    );
    breaks("kill -9 $$", "killed");
    breaks("echo hello there", "bad_report");
    breaks("echo '{\"findings\":['", "bad_report");
    breaks("exit 0", "no_report");
    let world = world("sleep 600");
    let run = world.scan(&["--engine", "gitleaks,kingfisher", "--deadline", "2s"]);
    run.is(3, "inconclusive", "timed_out");
    assert_eq!(run.engine("kingfisher")["outcome"], "timed_out");
}

#[track_caller]
fn reports(text: &str, code: i32, outcome: &str) {
    let world = world("");
    shows(&world, text, code);
    let run = world.scan(&BOTH);
    run.is(3, "inconclusive", outcome);
    assert_eq!(run.engine("kingfisher")["outcome"], outcome);
}

#[test]
fn a_kingfisher_that_scanned_too_little_is_no_verdict() {
    reports(
        &lines(&[document(&[], &audit(2, 0)), numbers(0)]),
        0,
        "nothing_scanned",
    );
    reports(
        &lines(&[document(&[], &audit(1, 900)), numbers(0)]),
        0,
        "incomplete",
    );
    let mut audited = audit(2, 900);
    audited["summary"]["scan_partial"] = 1.into();
    reports(&lines(&[document(&[], &audited)]), 0, "incomplete");
    let mut audited = audit(2, 900);
    audited["repositories"][0]["git"]["shallow"] = true.into();
    reports(&lines(&[document(&[], &audited)]), 0, "incomplete");
    let mut audited = audit(2, 900);
    audited["summary"]["pending"] = 1.into();
    reports(&lines(&[document(&[], &audited)]), 0, "scan_error");
    // The exit code says that there are findings, and the report has none; and the other way round.
    reports(&lines(&[document(&[], &audit(2, 900))]), 200, "bad_report");
    let found = row("value", "not_attempted", "Not Attempted", None);
    let world = world("");
    shows(&world, &lines(&[document(&[found], &audit(2, 900))]), 0);
    world.scan(&BOTH).is(1, "fail", "secrets_found");
}

/// Betterleaks 1.8 answers with the rows of Gitleaks and members of its own.
#[test]
fn betterleaks_is_called_and_read_like_gitleaks() {
    let world = world("");
    let token = common::github_token(26);
    let row = json!([{
        "RuleID": "github-pat", "Description": "a token", "StartLine": 1, "EndLine": 1,
        "Secret": token, "Match": token, "File": "one.txt", "SymlinkFile": "", "Commit": "",
        "Entropy": 4.5, "Author": "", "Email": "", "Date": "", "Message": "", "Tags": [],
        "Fingerprint": "one.txt:github-pat:1", "ValidationStatus": "none", "MatchContext": ""
    }]);
    std::fs::write(world.path("row"), row.to_string()).unwrap();
    let script = format!(
        "case \"$1\" in version) echo 1.8.1 ;; git) echo \"$*\" > {0}; echo '3:53AM INF 2 commits scanned.' >&2; \
         echo '3:53AM INF scanned ~100 bytes (100 bytes) in 1ms' >&2; cat {1}; exit 77 ;; \
         *) echo '3:53AM INF scanned ~100 bytes (100 bytes) in 1ms' >&2; echo '[]' ;; esac",
        world.path("call").display(),
        world.path("row").display()
    );
    world.engine("betterleaks", &script);
    let words = ["--engine", "gitleaks", "--gitleaks-bin", "betterleaks"];
    let run = world.scan(&words);
    run.is(1, "fail", "secrets_found");
    assert!(run.finding(&world.fingerprint(&token)).is_some());
    assert_eq!(run.engine("gitleaks")["version"], "1.8.1");
    let call = std::fs::read_to_string(world.path("call")).unwrap();
    for flag in [
        "--exit-code 77",
        "--report-path -",
        "--ignore-gitleaks-allow",
        "--log-opts",
    ] {
        assert!(call.contains(flag), "{call}");
    }
    // Version 2 has another command line, and another report: neither is mistaken for a clean one.
    world.engine(
        "betterleaks",
        "case \"$1\" in version) echo 2.0.0 ;; *) echo 'unknown flag: --report-format' >&2; exit 1 ;; esac",
    );
    world.scan(&words).is(3, "inconclusive", "crashed");
    world.engine(
        "betterleaks",
        "case \"$1\" in version) echo 2.0.0 ;; *) echo '{\"schema_version\":\"1\",\"findings\":[],\"scan\":{\"state\":\"complete\"}}' ;; esac",
    );
    world.scan(&words).is(3, "inconclusive", "bad_report");
}

#[test]
fn what_betterleaks_asked_an_issuer_counts() {
    for (status, verification) in [
        ("valid", "verified"),
        ("invalid", "unverified"),
        ("revoked", "unverified"),
        ("error", "failed"),
        ("unknown", "failed"),
        ("", "not_tried"),
    ] {
        let row = json!([{"RuleID": "r", "File": "f", "Secret": common::github_token(27),
            "StartLine": 1, "ValidationStatus": status}]);
        let run = judged(&row.to_string());
        assert_eq!(
            run.report["findings"][0]["verification"], verification,
            "{status}"
        );
    }
}
