//! The binary from outside, without an engine: reports, the look at the repository, the baseline.

#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "tests"
)]

mod common;

use common::{World, github_token};
use serde_json::Value;

fn fixture(name: &str) -> String {
    format!("{}/fixtures/{name}", env!("CARGO_MANIFEST_DIR"))
}

fn judged(text: &str) -> common::Run {
    let world = World::new();
    let path = world.path("report.json");
    std::fs::write(&path, text).unwrap();
    world.run(&["--report", path.to_str().unwrap(), "--output", "json"])
}

#[track_caller]
fn check(text: &str, outcome: &str, code: i32) {
    let run = judged(text);
    assert_eq!(
        (run.report["inputs"][0]["outcome"].as_str(), run.code),
        (Some(outcome), code),
        "{}{}",
        run.out,
        run.err
    );
}

const DONE: &str = r#"{"level":"info-0","ts":"x","logger":"trufflehog","msg":"finished scanning","chunks":11,"bytes":235}"#;

#[test]
fn reports_from_elsewhere_are_judged_by_the_same_law() {
    check("[]", "clean", 0);
    check("null", "clean", 0);
    check("", "empty", 3);
    check("hello", "not_a_report", 3);
    check(
        &std::fs::read_to_string(fixture("gitleaks-8.json")).unwrap()[..400],
        "not_a_report",
        3,
    );
    check(DONE, "clean", 0);
    check(&DONE.replace("11", "0").replace("235", "0"), "unchecked", 3);
    // The log alone, whose rows went to stdout.
    let counted = DONE.replace("\"chunks\"", "\"unverified_secrets\":1,\"chunks\"");
    assert_ne!(counted, DONE);
    check(&counted, "unchecked", 3);
    let error = r#"{"level":"error","ts":"x","logger":"trufflehog","msg":"error running scan","error":"boom"}"#;
    check(&format!("{error}\n{DONE}"), "error", 3);
    check(
        r#"{"level":"info-0","ts":"x","logger":"trufflehog","msg":"running source"}"#,
        "unchecked",
        3,
    );
    check(
        "3:53AM INF 0 commits scanned.\n3:53AM INF no leaks found\n[]\n",
        "unchecked",
        3,
    );
    check("3:53AM ERR [git] fatal: bad revision\n[]\n", "error", 3);
}

#[test]
fn rows_are_counted_and_secrets_joined() {
    let world = World::new();
    let run = world.run(&[
        "--report",
        &fixture("gitleaks-8.json"),
        &fixture("trufflehog-3.json"),
        "--output",
        "json",
    ]);
    run.is(1, "fail", "verified_secrets");
    let inputs = run.report["inputs"].as_array().unwrap();
    assert_eq!(
        (&inputs[0]["rows"], &inputs[0]["unique"]),
        (&4.into(), &3.into())
    );
    assert_eq!(
        (&inputs[1]["rows"], &inputs[1]["verified"]),
        (&4.into(), &4.into())
    );
    assert_eq!(run.report["findings"].as_array().unwrap().len(), 6);
    assert_eq!(run.report["findings"][0]["severity"], "critical");
    let run = world.run(&[
        "--report",
        &fixture("gitleaks-7-redacted.json"),
        "--output",
        "json",
    ]);
    run.is(1, "fail", "secrets_found");
    assert_eq!(run.report["findings"][0]["weak_grouping"], true);
}

#[test]
fn a_report_that_is_not_there_or_too_old_is_no_verdict() {
    let world = World::new();
    let run = world.run(&["--report", "/no/such/file", "--output", "json"]);
    run.is(3, "inconclusive", "missing_report");
    let path = world.path("old.json");
    std::fs::write(&path, "[]").unwrap();
    let touched = std::process::Command::new("touch")
        .args(["-d", "2 days ago"])
        .arg(&path)
        .status();
    assert!(touched.unwrap().success());
    let path = path.display().to_string();
    world
        .run(&["--report", &path, "--max-age", "1d", "--output", "json"])
        .is(3, "inconclusive", "report_too_old");
    world
        .run(&["--report", &path, "--max-age", "3d", "--output", "json"])
        .is(0, "pass", "no_secrets");
}

#[test]
fn a_folder_that_is_no_repository() {
    let world = World::new();
    let home = world.path("home").display().to_string();
    let run = world.scan(&[&home]);
    run.is(3, "inconclusive", "not_a_repository");
    assert!(run.report["next"].to_string().contains("--scope tree"));
    world
        .scan(&["/no/such/folder"])
        .is(3, "inconclusive", "not_a_repository");
}

#[test]
fn a_shallow_clone_is_no_verdict_and_the_fix_is_said() {
    let mut world = World::new();
    for text in ["a", "b", "c"] {
        world.commit("f", text);
    }
    let clone = world.path("clone").display().to_string();
    let source = format!("file://{}", world.repo().display());
    world.git(&["clone", "--quiet", "--depth", "1", &source, &clone]);
    let run = world.scan(&[&clone]);
    run.is(3, "inconclusive", "shallow_clone");
    assert!(run.report["next"].to_string().contains("fetch-depth: 0"));
}

#[test]
fn a_folder_of_another_user_is_no_verdict_and_the_fix_is_said() {
    let mut world = World::new();
    world.commit("f", "a");
    let words = ["--no-verification", "--output", "json"];
    // Git's own switch for tests: as if somebody else owned everything.
    let other = ("GIT_TEST_ASSUME_DIFFERENT_OWNER", "true");
    let run = world.run_with(&words, "", &[other]);
    run.is(3, "inconclusive", "unsafe_repository");
    assert!(run.report["next"].to_string().contains("safe.directory"));
    // A runner that trusts the folder by the environment goes on trusting it.
    let root = world.repo().canonicalize().unwrap().display().to_string();
    let run = world.run_with(
        &words,
        "",
        &[
            other,
            ("GIT_CONFIG_COUNT", "1"),
            ("GIT_CONFIG_KEY_0", "safe.directory"),
            ("GIT_CONFIG_VALUE_0", &root),
        ],
    );
    assert_ne!(run.report["reason"], "unsafe_repository");
}

#[test]
fn a_shallow_clone_is_whole_enough_for_a_range_within_it() {
    let mut world = World::new();
    for text in ["a", "b", "c", "d"] {
        world.commit("f", text);
    }
    let clone = world.path("clone").display().to_string();
    let source = format!("file://{}", world.repo().display());
    world.git(&["clone", "--quiet", "--depth", "3", &source, &clone]);
    let run = world.scan(&[&clone, "--range", "HEAD~1..HEAD"]);
    run.is(3, "inconclusive", "missing");
    world
        .scan(&[&clone, "--range", "HEAD~2..HEAD"])
        .is(3, "inconclusive", "missing");
    world
        .scan(&[&clone, "--range", "HEAD~3..HEAD"])
        .is(3, "inconclusive", "unknown_revision");
}

#[test]
fn a_partial_clone_is_no_verdict() {
    let mut world = World::new();
    world.commit("f", "a");
    world.commit("f", "b");
    world.git(&["config", "uploadpack.allowFilter", "true"]);
    let clone = world.path("clone").display().to_string();
    let source = format!("file://{}", world.repo().display());
    world.git(&[
        "clone",
        "--quiet",
        "--filter=blob:none",
        "--no-checkout",
        &source,
        &clone,
    ]);
    world.scan(&[&clone]).is(3, "inconclusive", "partial_clone");
}

#[test]
fn the_ends_of_a_range_are_looked_at_first() {
    let mut world = World::new();
    world.commit("f", "a");
    world.commit("f", "b");
    world
        .scan(&["--range", "nosuch..HEAD"])
        .is(3, "inconclusive", "unknown_revision");
    let zeros = "0".repeat(40);
    world
        .scan(&["--range", &format!("{zeros}..HEAD")])
        .is(3, "inconclusive", "unknown_revision");
    world
        .scan(&["--range", "HEAD..HEAD"])
        .is(3, "inconclusive", "empty_range");
    // Nor is a range whose ends were swapped.
    world
        .scan(&["--range", "HEAD..HEAD~1"])
        .is(3, "inconclusive", "empty_range");
    assert_eq!(world.run(&["--range", ""]).code, 2);
}

#[test]
fn an_empty_repository_and_an_empty_index_are_no_pass() {
    let world = World::new();
    world.scan(&[]).is(3, "inconclusive", "nothing_to_scan");
    world
        .scan(&["--staged"])
        .is(3, "inconclusive", "nothing_staged");
}

#[test]
fn the_fingerprint_of_a_value_comes_from_stdin() {
    let world = World::new();
    let one = world.fingerprint("some-value-1\n");
    assert_eq!(one, world.fingerprint("  some-value-1"));
    assert!(one.starts_with("k1-") && one.len() == 35, "{one}");
    world.write(
        "goldensignals.toml",
        "[secret-scan]\nkey = \"a key of sixteen and more\"\n",
    );
    assert_ne!(one, world.fingerprint("some-value-1"));
    let config = world.run(&["config"]);
    assert!(
        config.out.contains("***") && !config.out.contains("sixteen"),
        "{}",
        config.out
    );
    assert_eq!(world.run(&["fingerprint"]).code, 2);
    world.write("goldensignals.toml", "[secret-scan]\nkey = \"short\"\n");
    assert_eq!(world.run_with(&["fingerprint"], "x-value", &[]).code, 2);
}

/// A report with one secret of which the value is known.
fn with_token(world: &World, seed: u64) -> (String, String) {
    let token = github_token(seed);
    let path = world.path(&format!("report-{seed}.json"));
    let row = serde_json::json!([{"RuleID": "github-pat", "File": "src/a.py", "StartLine": 3, "Secret": token, "Commit": "c0ffee"}]);
    std::fs::write(&path, row.to_string()).unwrap();
    (path.display().to_string(), token)
}

fn add(world: &World, fingerprint: &str, expires: &str) -> common::Run {
    world.run(&[
        "baseline",
        "add",
        fingerprint,
        "--reason",
        "a fixture",
        "--owner",
        "team-a",
        "--expires",
        expires,
        "--state",
        "test_fixture",
    ])
}

#[test]
fn an_accepted_secret_does_not_fail_and_is_still_told() {
    let world = World::new();
    let (report, token) = with_token(&world, 7);
    let fingerprint = world.fingerprint(&token);
    assert_eq!(add(&world, &fingerprint, "2099-12-31").code, 0);
    let run = world.run(&["--report", &report, "--output", "json"]);
    run.is(0, "pass", "no_secrets");
    let finding = run.finding(&fingerprint).unwrap();
    assert_eq!(finding["suppressed"]["owner"], "team-a");
    assert_eq!(finding["suppressed"]["by"], "baseline");
    assert_eq!(
        (&finding["state"], &finding["blocking"]),
        (&"test_fixture".into(), &false.into())
    );
    // Another secret at the very same place is another one.
    let (other, _) = with_token(&world, 8);
    world
        .run(&["--report", &other, "--output", "json"])
        .is(1, "fail", "secrets_found");
    let text = std::fs::read_to_string(world.repo().join("secret-baseline.toml")).unwrap();
    assert!(
        !text.contains(&token) && text.contains(&fingerprint) && !text.contains("line ="),
        "{text}"
    );
}

#[test]
fn an_exception_that_is_over_fails_and_says_so() {
    let world = World::new();
    let (report, token) = with_token(&world, 9);
    let fingerprint = world.fingerprint(&token);
    world.write(
        "secret-baseline.toml",
        format!("[[exceptions]]\nfingerprint = \"{fingerprint}\"\nreason = \"r\"\nowner = \"o\"\nexpires = 2020-01-01\n"),
    );
    let run = world.run(&["--report", &report, "--output", "json"]);
    run.is(1, "fail", "exception_expired");
    assert!(
        run.report["not_covered"]
            .to_string()
            .contains("expired on 2020-01-01")
    );
    let pruned = world.run(&["baseline", "prune"]);
    assert!(
        pruned.code == 0 && pruned.out.contains("expired"),
        "{}",
        pruned.err
    );
    assert!(
        !std::fs::read_to_string(world.repo().join("secret-baseline.toml"))
            .unwrap()
            .contains(&fingerprint)
    );
}

#[test]
fn a_list_without_reason_owner_or_expiry_is_refused() {
    let world = World::new();
    let (report, token) = with_token(&world, 10);
    let fingerprint = world.fingerprint(&token);
    for missing in ["reason", "owner", "expires"] {
        let mut text = format!("[[exceptions]]\nfingerprint = \"{fingerprint}\"\n");
        for (key, value) in [
            ("reason", "\"r\""),
            ("owner", "\"o\""),
            ("expires", "2099-01-01"),
        ] {
            if key != missing {
                text.push_str(&format!("{key} = {value}\n"));
            }
        }
        world.write("secret-baseline.toml", text);
        let run = world.run(&["--report", &report, "--output", "json"]);
        assert!(
            run.code == 2 && run.err.contains(missing),
            "{missing}: {}",
            run.err
        );
    }
    assert_eq!(add(&world, &fingerprint, "2001-01-01").code, 2);
    assert_eq!(add(&world, "k1-short", "2099-01-01").code, 2);
}

#[test]
fn lists_do_not_depend_on_the_order_of_adding() {
    let (one, other) = (World::new(), World::new());
    let fingerprints: Vec<String> = (0..4)
        .map(|n| one.fingerprint(&format!("value-number-{n}")))
        .collect();
    for fingerprint in &fingerprints {
        assert_eq!(add(&one, fingerprint, "2099-01-01").code, 0);
    }
    for fingerprint in fingerprints.iter().rev() {
        assert_eq!(add(&other, fingerprint, "2099-01-01").code, 0);
    }
    let read =
        |world: &World| std::fs::read_to_string(world.repo().join("secret-baseline.toml")).unwrap();
    assert_eq!(read(&one), read(&other));
}

#[test]
fn two_lists_are_compared() {
    let world = World::new();
    add(&world, &world.fingerprint("value-number-1"), "2099-01-01");
    std::fs::copy(
        world.repo().join("secret-baseline.toml"),
        world.path("old.toml"),
    )
    .unwrap();
    add(&world, &world.fingerprint("value-number-2"), "2099-01-01");
    let old = world.path("old.toml").display().to_string();
    let run = world.run(&["baseline", "diff", &old, "secret-baseline.toml"]);
    assert!(
        run.code == 0 && run.out.starts_with("+ k1-") && run.out.lines().count() == 1,
        "{}",
        run.out
    );
}

#[test]
fn lists_of_other_tools_are_imported() {
    let world = World::new();
    let (report, token) = with_token(&world, 11);
    let account = ["--reason", "old", "--owner", "o", "--expires", "2099-01-01"];
    let import = |files: &[&str]| world.run(&[&["baseline", "import"], files, &account].concat());
    assert_eq!(import(&[&report]).code, 0);
    world
        .run(&["--report", &report, "--output", "json"])
        .is(0, "pass", "no_secrets");
    let list = world.repo().join("secret-baseline.toml");
    let text = std::fs::read_to_string(&list).unwrap();
    assert!(
        !text.contains(&token) && text.contains("github-pat, src/a.py"),
        "{text}"
    );

    // Lists of places need a scan that knows what stands there.
    std::fs::remove_file(&list).unwrap();
    let saved = world.path("saved.json").display().to_string();
    world.run(&["--report", &report, "--output", &format!("json={saved}")]);
    let ignore = world.path("ignore").display().to_string();
    std::fs::write(&ignore, "# ours\nc0ffee:src/a.py:github-pat:3\n").unwrap();
    assert_eq!(import(&[&ignore]).code, 2);
    assert_eq!(import(&[&ignore, "--report", &saved]).code, 0);
    world
        .run(&["--report", &report, "--output", "json"])
        .is(0, "pass", "no_secrets");
    std::fs::remove_file(&list).unwrap();
    let detect = world.path("detect.json").display().to_string();
    std::fs::write(&detect, r#"{"plugins_used":[],"results":{"src/a.py":[{"type":"x","line_number":3,"hashed_secret":"00"}]}}"#).unwrap();
    assert_eq!(import(&[&detect, "--report", &saved]).code, 0);
    world
        .run(&["--report", &report, "--output", "json"])
        .is(0, "pass", "no_secrets");
    // A masked report says nothing of values.
    assert_eq!(import(&[&fixture("gitleaks-7-redacted.json")]).code, 2);
}

#[test]
fn a_change_cannot_excuse_itself() {
    let mut world = World::new();
    let (report, token) = with_token(&world, 12);
    world.commit("f", "a");
    world.git(&["branch", "base"]);
    add(&world, &world.fingerprint(&token), "2099-01-01");
    world.commit_all("accept it");
    world
        .run(&["--report", &report, "--output", "json"])
        .is(0, "pass", "no_secrets");
    let run = world.run(&[
        "--report",
        &report,
        "--baseline-from",
        "base",
        "--output",
        "json",
    ]);
    run.is(1, "fail", "secrets_found");
    assert!(run.report["not_covered"].to_string().contains("base"));
    world.git(&["update-ref", "refs/remotes/origin/main", "base"]);
    let run = world.run_with(
        &["--report", &report, "--output", "json"],
        "",
        &[("GITHUB_BASE_REF", "main")],
    );
    run.is(1, "fail", "secrets_found");
}

#[test]
fn a_change_cannot_allow_its_engines_to_be_missing() {
    let mut world = World::new();
    world.commit("f", "a");
    world.git(&["branch", "base"]);
    world.write(
        "goldensignals.toml",
        "[secret-scan]\nallow-missing = [\"gitleaks\", \"trufflehog\"]\nengine = [\"gitleaks\"]\n",
    );
    world.commit_all("allow it");
    let run = world.scan(&["--range", "base..HEAD"]);
    run.is(3, "inconclusive", "missing");
    assert_eq!(run.engine("trufflehog")["outcome"], "missing");
    assert!(
        run.report["not_covered"]
            .to_string()
            .contains("this change edits")
    );
}

#[test]
fn a_saved_report_explains_one_secret() {
    let world = World::new();
    let (report, token) = with_token(&world, 13);
    let saved = world.path("saved.json").display().to_string();
    world.run(&["--report", &report, "--output", &format!("json={saved}")]);
    let fingerprint = world.fingerprint(&token);
    let run = world.run(&["explain", &fingerprint[3..9], "--from", &saved]);
    assert_eq!(run.code, 0, "{}", run.err);
    assert!(
        run.out.contains("src/a.py:3") && run.out.contains("revoke") && !run.out.contains(&token)
    );
    assert_eq!(
        world.run(&["explain", "ffffffff", "--from", &saved]).code,
        2
    );
    assert_eq!(
        world
            .run(&["explain", &fingerprint, "--from", &report])
            .code,
        2
    );
}

#[test]
fn init_makes_a_key_of_its_own() {
    let world = World::new();
    assert_eq!(world.run(&["init"]).code, 0);
    assert_eq!(world.run(&["init"]).code, 2, "nothing is written over");
    let one = world.run(&["init", "-"]).out;
    assert_ne!(one, world.run(&["init", "-"]).out);
    assert_eq!(world.run(&["config"]).code, 0);
}

#[test]
fn two_runs_say_the_same_but_for_times() {
    let world = World::new();
    let run = || {
        let mut report = world
            .run(&[
                "--report",
                &fixture("gitleaks-8.json"),
                &fixture("trufflehog-3.json"),
                "--output",
                "json",
            ])
            .report;
        for name in ["started_at", "ended_at"] {
            report[name] = Value::Null;
        }
        for input in report["inputs"].as_array_mut().unwrap() {
            input["age_seconds"] = Value::Null;
        }
        report
    };
    assert_eq!(run(), run());
}

#[test]
fn on_actions_the_runner_is_told_what_to_hide_and_nothing_else_shows_it() {
    let world = World::new();
    let (report, token) = with_token(&world, 14);
    let summary = world.path("summary").display().to_string();
    let run = world.run_with(
        &["--report", &report],
        "",
        &[
            ("GITHUB_ACTIONS", "true"),
            ("GITHUB_STEP_SUMMARY", &summary),
        ],
    );
    assert_eq!(run.code, 1);
    assert!(run.err.contains(&format!("::add-mask::{token}\n")));
    let rest: String = run
        .err
        .lines()
        .filter(|line| !line.starts_with("::add-mask::"))
        .collect();
    let all = format!(
        "{}{rest}{}",
        run.out,
        std::fs::read_to_string(summary).unwrap()
    );
    for form in common::forms(&token) {
        assert!(!all.contains(&form));
    }
}
