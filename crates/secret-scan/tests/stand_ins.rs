//! Engines that break in every way that engines break in: each ends as what it is, and none as a pass.

#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "tests"
)]

mod common;

use common::{BYTES, COUNT, FINISHED, gitleaks, world};

#[track_caller]
fn breaks(name: &str, script: &str, outcome: &str) {
    let world = world();
    if name == "gitleaks" {
        gitleaks(&world, script);
    } else {
        world.engine(name, script);
    }
    let run = world.scan(&["--deadline", "20s"]);
    run.is(3, "inconclusive", outcome);
    assert_eq!(run.engine(name)["outcome"], outcome);
    let other = if name == "gitleaks" {
        "trufflehog"
    } else {
        "gitleaks"
    };
    assert_eq!(run.engine(other)["outcome"], "complete");
}

#[test]
fn engines_that_do_their_work_and_find_nothing_pass() {
    let run = world().scan(&[]);
    run.is(0, "pass", "no_secrets");
    let engine = run.engine("gitleaks");
    assert_eq!(
        (&engine["commits_expected"], &engine["commits_scanned"]),
        (&2.into(), &2.into())
    );
    assert_eq!(engine["version"], "8.30.1");
    assert_eq!(run.engine("trufflehog")["version"], "3.97.0");
}

#[test]
fn an_engine_that_is_not_there() {
    let world = world();
    std::fs::remove_file(world.path("bin/trufflehog")).unwrap();
    let run = world.scan(&[]);
    run.is(3, "inconclusive", "missing");
    assert_eq!(run.engine("trufflehog")["outcome"], "missing");
    let next = run.report["next"].to_string();
    assert!(next.contains("make tools"), "{next}");
    // Written down, it is a warning; and with nothing left that could look, it is none.
    world.write(
        "goldensignals.toml",
        "[secret-scan]\nallow-missing = [\"trufflehog\"]\n",
    );
    world.scan(&[]).is(0, "warn", "engine_missing");
    assert_eq!(world.run(&["--strict", "--no-verification"]).code, 1);
    world
        .scan(&["--engine", "trufflehog"])
        .is(3, "inconclusive", "missing");
}

#[test]
fn an_engine_that_crashes() {
    breaks("gitleaks", "exit 2", "crashed");
    breaks("trufflehog", "exit 1", "crashed");
    breaks(
        "gitleaks",
        "echo 'panic: runtime error' >&2; exit 2",
        "crashed",
    );
}

#[test]
fn an_engine_that_is_killed() {
    breaks("gitleaks", "kill -9 $$", "killed");
    breaks("trufflehog", "kill -15 $$", "killed");
}

#[test]
fn an_engine_that_hangs_dies_with_its_children() {
    let world = world();
    let mark = world.path("alive");
    world.engine(
        "trufflehog",
        &format!(
            "( sleep 600; touch {0} ) & echo $! > {0}.pid; sleep 600",
            mark.display()
        ),
    );
    let run = world.scan(&["--deadline", "3s"]);
    run.is(3, "inconclusive", "timed_out");
    assert_eq!(run.engine("trufflehog")["outcome"], "timed_out");
    let pid = std::fs::read_to_string(world.path("alive.pid")).unwrap();
    assert!(
        !std::path::Path::new(&format!("/proc/{}", pid.trim()))
            .join("exe")
            .exists()
    );
}

#[test]
fn an_engine_that_prints_junk() {
    breaks(
        "gitleaks",
        &format!("{COUNT}; echo 'hello there'"),
        "bad_report",
    );
    breaks(
        "trufflehog",
        &format!("{FINISHED}; echo 'hello there'"),
        "bad_report",
    );
    breaks(
        "gitleaks",
        &format!("{COUNT}; echo '{{\"a\":1}}'"),
        "bad_report",
    );
}

#[test]
fn an_engine_that_writes_no_or_half_a_report() {
    breaks("gitleaks", COUNT, "no_report");
    breaks(
        "gitleaks",
        &format!("{COUNT}; echo '[{{\"RuleID\":\"r\",\"Fi'; exit 77"),
        "bad_report",
    );
    breaks(
        "trufflehog",
        &format!("{FINISHED}; printf '{{\"SourceMetadata\":{{'; exit 183"),
        "bad_report",
    );
    breaks(
        "gitleaks",
        &format!("{COUNT}; echo '[]'; exit 77"),
        "bad_report",
    );
}

#[test]
fn an_old_clean_report_is_one() {
    let world = world();
    gitleaks(&world, &format!("{COUNT}; {BYTES}; echo null"));
    world.scan(&[]).is(0, "pass", "no_secrets");
}

#[test]
fn an_engine_that_scans_nothing() {
    let none = r#"echo "3:53AM INF 0 commits scanned." >&2; echo "3:53AM INF no leaks found" >&2; echo '[]'"#;
    breaks("gitleaks", none, "nothing_scanned");
    let none = FINISHED.replace(":50", ":0").replace(":900", ":0");
    breaks("trufflehog", &none, "nothing_scanned");
}

#[test]
fn an_engine_that_scans_too_little_or_does_not_say_so() {
    breaks(
        "gitleaks",
        &format!("echo '3:53AM INF 1 commits scanned.' >&2; {BYTES}; echo '[]'"),
        "incomplete",
    );
    breaks("gitleaks", "echo '[]'", "incomplete");
    breaks("trufflehog", "exit 0", "incomplete");
    breaks("trufflehog", &FINISHED.replace(":50", ":1"), "incomplete");
    breaks(
        "gitleaks",
        &format!("{COUNT}; echo '3:53AM WRN partial scan completed in 1ms' >&2; echo '[]'"),
        "incomplete",
    );
}

#[test]
fn git_that_fails_below_an_engine() {
    breaks(
        "gitleaks",
        "echo '3:53AM ERR [git] fatal: bad object' >&2; echo '3:53AM INF 0 commits scanned.' >&2; echo '[]'",
        "git_error",
    );
    breaks(
        "gitleaks",
        &format!("{COUNT}; echo 'fatal: not a git repository' >&2; echo '[]'"),
        "git_error",
    );
    let waiting = r#"echo '{"level":"info-2","ts":"x","logger":"trufflehog","msg":"Error waiting for git command to complete.","error":"exit status 128"}' >&2"#;
    breaks("trufflehog", &format!("{waiting}; {FINISHED}"), "git_error");
}

#[test]
fn errors_of_the_scan_that_end_well() {
    breaks(
        "gitleaks",
        &format!("{COUNT}; echo '3:53AM ERR could not open file' >&2; echo '[]'"),
        "scan_error",
    );
    let error = r#"echo '{"level":"error","ts":"x","logger":"trufflehog","msg":"error scanning chunk","error":"boom"}' >&2"#;
    breaks("trufflehog", &format!("{error}; {FINISHED}"), "scan_error");
}

#[test]
fn the_tree_counts_like_the_history() {
    let world = world();
    world.engine(
        "gitleaks",
        &format!(
            "TOP='{}'\ncase \"$1\" in\nversion) echo 8.30.1 ;;\ngit) {COUNT}; {BYTES}; echo '[]' ;;\n*) echo '3:53AM INF scanned ~0 bytes (0) in 1ms' >&2; echo '[]' ;;\nesac",
            world.repo().display()
        ),
    );
    world.scan(&[]).is(3, "inconclusive", "nothing_scanned");
}

#[test]
fn what_was_found_fails_even_if_another_engine_broke() {
    let world = world();
    let token = common::github_token(1);
    let row = format!(
        "[{{\"RuleID\":\"github-pat\",\"StartLine\":1,\"Secret\":\"{token}\",\"File\":\"one.txt\",\"Commit\":\"\"}}]"
    );
    gitleaks(&world, &format!("{COUNT}; {BYTES}; echo '{row}'; exit 77"));
    world.engine("trufflehog", "exit 1");
    let run = world.scan(&[]);
    run.is(1, "fail", "secrets_found");
    assert!(run.finding(&world.fingerprint(&token)).is_some());
    assert!(!run.out.contains(&token));
    assert!(
        run.report["summary"]
            .as_str()
            .unwrap()
            .contains("trufflehog")
    );
}

fn trufflehog_row(token: &str, verified: &str) -> String {
    format!(
        "{{\"SourceMetadata\":{{\"Data\":{{\"Git\":{{\"commit\":\"\",\"file\":\"one.txt\",\"line\":1}}}}}},\"DetectorName\":\"Github\",{verified},\"Raw\":\"{token}\"}}"
    )
}

#[test]
fn live_is_critical_and_not_known_is_never_clean() {
    let world = world();
    let token = common::github_token(2);
    for (verified, flag, code, reason, severity) in [
        (
            "\"Verified\":true",
            "any",
            1,
            "verified_secrets",
            "critical",
        ),
        ("\"Verified\":false", "any", 1, "secrets_found", "high"),
        (
            "\"Verified\":false",
            "possibly-live",
            0,
            "unverified_secrets",
            "high",
        ),
        (
            "\"Verified\":false,\"VerificationError\":\"no route\"",
            "possibly-live",
            1,
            "secrets_found",
            "high",
        ),
        (
            "\"Verified\":true",
            "possibly-live",
            1,
            "verified_secrets",
            "critical",
        ),
    ] {
        let row = trufflehog_row(&token, verified);
        world.engine("trufflehog", &format!("{FINISHED}; echo '{row}'; exit 183"));
        let run = world.run(&["--fail-on", flag, "--output", "json"]);
        run.is(code, if code == 1 { "fail" } else { "warn" }, reason);
        assert_eq!(run.report["findings"][0]["severity"], severity);
    }
}

#[test]
fn an_engine_that_shouts_secrets_is_not_repeated() {
    let world = world();
    let token = common::github_token(3);
    let shout = format!(
        "echo '3:53AM ERR cannot read {token} at https://bob:{token}@host.example/' >&2; echo 'panic: {token}' >&2; echo '{token}'; exit 2"
    );
    gitleaks(&world, &shout);
    let page = world.path("page.html");
    let run = world.run(&[
        "-vv",
        "--no-verification",
        "--output",
        &format!("html={}", page.display()),
    ]);
    assert_eq!(run.code, 3);
    let page = std::fs::read_to_string(page).unwrap();
    for form in common::forms(&token) {
        assert!(!run.out.contains(&form) && !run.err.contains(&form) && !page.contains(&form));
    }
}
