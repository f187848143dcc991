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

use common::World;

const COUNT: &str =
    r#"echo "3:53AM INF $(git -C "$TOP" rev-list --all --count) commits scanned." >&2"#;
const BYTES: &str = r#"echo "3:53AM INF scanned ~100 bytes (100 bytes) in 1ms" >&2"#;
const FINISHED: &str = r#"echo '{"level":"info-0","ts":"2026-01-01T00:00:00Z","logger":"trufflehog","msg":"finished scanning","chunks":50,"bytes":900,"trufflehog_version":"3.97.0"}' >&2"#;

/// Two commits with text, and engines that find nothing in them.
fn world() -> World {
    let mut world = World::new();
    world.commit("one.txt", "hello\n");
    world.commit("two.txt", "world\n");
    healthy(&world);
    world
}

fn healthy(world: &World) {
    gitleaks(world, &format!("{COUNT}; {BYTES}; echo '[]'"));
    world.engine("trufflehog", &format!("{FINISHED}; exit 0"));
}

/// A Gitleaks whose work over the history is this; over the files it is well.
fn gitleaks(world: &World, history: &str) {
    let top = world.repo().display().to_string();
    let script = format!(
        "TOP='{top}'\ncase \"$1\" in\nversion) echo 8.30.1 ;;\ngit) {history} ;;\n*) {BYTES}; echo '[]' ;;\nesac"
    );
    world.engine("gitleaks", &script);
}

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

/// Waits for a file that an engine moves there when it is whole.
fn awaited(path: &std::path::Path) -> String {
    let began = std::time::Instant::now();
    while !path.exists() {
        assert!(
            began.elapsed() < std::time::Duration::from_secs(60),
            "{} never came",
            path.display()
        );
        std::thread::yield_now();
    }
    std::fs::read_to_string(path).unwrap()
}

/// Leaves the number of this process, and writes into the temporary folder, as a clone does.
fn up(world: &World, name: &str) -> String {
    let path = world.path(name);
    format!(
        "echo part > \"$TMPDIR/left-by-{name}\"; echo $$ > {0}.new; mv {0}.new {0}",
        path.display()
    )
}

fn signal(child: &std::process::Child, name: &str) {
    let sent = std::process::Command::new("kill")
        .args([name, &child.id().to_string()])
        .status();
    assert!(sent.unwrap().success());
}

fn begun(world: &World) -> std::process::Child {
    std::process::Command::new(assert_cmd::cargo::cargo_bin("secret-scan"))
        .args(["--no-verification", "--output", "json"])
        .current_dir(world.repo())
        .env(
            "PATH",
            format!("{}:/usr/bin:/bin", world.path("bin").display()),
        )
        .env("TMPDIR", world.path("tmp"))
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap()
}

/// The report of a run that was interrupted; nothing is left of it.
fn ended(world: &World, mut child: std::process::Child, engines: &[&str]) -> common::Run {
    let mut out = String::new();
    std::io::Read::read_to_string(child.stdout.as_mut().unwrap(), &mut out).unwrap();
    let run = common::Run {
        code: child.wait().unwrap().code().unwrap(),
        report: serde_json::from_str(&out).unwrap(),
        err: String::new(),
        out,
    };
    for engine in engines {
        let pid = awaited(&world.path(engine));
        // It was killed; on a busy machine it takes a moment until it is gone. It would sleep for ten minutes.
        let began = std::time::Instant::now();
        while std::path::Path::new(&format!("/proc/{}/exe", pid.trim())).exists() {
            assert!(
                began.elapsed() < std::time::Duration::from_secs(60),
                "{engine} lives on"
            );
            std::thread::yield_now();
        }
    }
    let left: Vec<_> = std::fs::read_dir(world.path("tmp")).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
    run
}

#[test]
fn an_interrupt_ends_both_engines_and_says_so() {
    for name in ["-TERM", "-INT"] {
        let world = world();
        // A child of it is one of its group, and ends with it.
        let hangs = |engine: &str| format!("{}; sleep 600 & wait", up(&world, engine));
        gitleaks(&world, &hangs("one"));
        world.engine("trufflehog", &hangs("two"));
        let child = begun(&world);
        awaited(&world.path("one"));
        awaited(&world.path("two"));
        signal(&child, name);
        let run = ended(&world, child, &["one", "two"]);
        run.is(130, "inconclusive", "interrupted");
        for engine in ["gitleaks", "trufflehog"] {
            assert_eq!(run.engine(engine)["outcome"], "killed");
        }
    }
}

#[test]
fn what_was_found_before_an_interrupt_is_reported() {
    let world = world();
    let token = common::github_token(4);
    let row = format!(
        "[{{\"RuleID\":\"github-pat\",\"StartLine\":1,\"Secret\":\"{token}\",\"File\":\"one.txt\",\"Commit\":\"\"}}]"
    );
    gitleaks(
        &world,
        &format!(
            "{COUNT}; {BYTES}; {}; echo '{row}'; exit 77",
            up(&world, "one")
        ),
    );
    // It tidies up when it is asked to end, and gets the time for it.
    world.engine(
        "trufflehog",
        &format!(
            "trap '{}; exit 1' TERM; {}; while :; do sleep 0.05; done",
            up(&world, "tidy"),
            up(&world, "two")
        ),
    );
    let child = begun(&world);
    awaited(&world.path("two"));
    let pid = awaited(&world.path("one"));
    while std::path::Path::new(&format!("/proc/{}/exe", pid.trim())).exists() {
        std::thread::yield_now();
    }
    signal(&child, "-TERM");
    let run = ended(&world, child, &["one", "two", "tidy"]);
    run.is(130, "fail", "interrupted");
    assert!(run.finding(&world.fingerprint(&token)).is_some());
    assert!(!run.out.contains(&token));
}

#[test]
fn a_second_signal_waits_for_nobody() {
    let world = world();
    // It hears that it is to end, says so, and goes on.
    world.engine(
        "trufflehog",
        &format!(
            "trap '{}' TERM; {}; while :; do sleep 0.05; done",
            up(&world, "asked"),
            up(&world, "two")
        ),
    );
    let child = begun(&world);
    awaited(&world.path("two"));
    signal(&child, "-TERM");
    awaited(&world.path("asked"));
    signal(&child, "-TERM");
    let run = ended(&world, child, &["two"]);
    run.is(130, "inconclusive", "interrupted");
}

#[test]
fn a_report_that_nobody_takes_does_not_hold_up_the_end() {
    let world = world();
    let go = world.path("go");
    world.engine(
        "trufflehog",
        &format!(
            "{}; while [ ! -e {} ]; do sleep 0.05; done; {FINISHED}; exit 0",
            up(&world, "two"),
            go.display()
        ),
    );
    let pipe = world.path("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    // Opening a pipe for writing waits for its reader, and none comes.
    let output = format!("json={}", pipe.display());
    let mut child = std::process::Command::new(assert_cmd::cargo::cargo_bin("secret-scan"))
        .args(["--no-verification", "--output", &output])
        .current_dir(world.repo())
        .env(
            "PATH",
            format!("{}:/usr/bin:/bin", world.path("bin").display()),
        )
        .env("TMPDIR", world.path("tmp"))
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    awaited(&world.path("two"));
    std::fs::write(&go, "").unwrap();
    // The folder goes before the report is written.
    let began = std::time::Instant::now();
    while std::fs::read_dir(world.path("tmp")).unwrap().count() > 0 {
        assert!(began.elapsed() < std::time::Duration::from_secs(60));
        std::thread::yield_now();
    }
    signal(&child, "-TERM");
    assert!(child.try_wait().unwrap().is_none(), "it waits for a reader");
    // Another one: two of the same that nobody has heard yet are one.
    signal(&child, "-INT");
    assert_eq!(child.wait().unwrap().code(), Some(130));
}

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

/// A TruffleHog that notes how it was called for the history.
fn noting(world: &World, otherwise: &str) -> std::path::PathBuf {
    let notes = world.path("calls");
    let script = format!(
        "case \"$*\" in *stdin*) ;; *) echo \"$*\" >> {} ;; esac\n{otherwise}\n{FINISHED}; exit 0",
        notes.display()
    );
    world.engine("trufflehog", &script);
    notes
}

fn calls(notes: &std::path::Path) -> Vec<String> {
    let text = std::fs::read_to_string(notes).unwrap();
    std::fs::remove_file(notes).unwrap();
    text.lines().map(str::to_owned).collect()
}

#[test]
fn a_repository_is_read_in_place_only_where_nothing_bends_what_git_shows() {
    const IN_PLACE: &str = "--trust-local-git-config";
    let mut world = world();
    let notes = noting(&world, "");
    let reads = |world: &World, in_place: bool, why: &str| {
        world.scan(&[]).is(0, "pass", "no_secrets");
        let calls = calls(&notes);
        assert_eq!(calls.len(), 1, "{why}: {calls:?}");
        assert_eq!(calls[0].contains(IN_PLACE), in_place, "{why}: {calls:?}");
    };
    reads(&world, true, "a plain repository");
    world.git(&["config", "remote.origin.url", "https://host.example/x"]);
    reads(&world, true, "a remote");
    world.git(&["config", "diff.noprefix", "true"]);
    reads(&world, false, "a setting of the log");
    world.git(&["config", "--unset", "diff.noprefix"]);
    let more = world.path("more").display().to_string();
    std::fs::write(&more, "[color]\n\tui = always\n").unwrap();
    world.git(&["config", "include.path", &more]);
    reads(&world, false, "the same in an included file");
    world.git(&["config", "--unset", "include.path"]);
    world.write("staged.txt", "staged\n");
    world.git(&["add", "staged.txt"]);
    reads(&world, false, "something staged");
    world.git(&["rm", "--quiet", "--cached", "staged.txt"]);
    let attributes = world.repo().join(".git/info/attributes");
    std::fs::create_dir_all(attributes.parent().unwrap()).unwrap();
    std::fs::write(&attributes, "* -diff\n").unwrap();
    reads(&world, false, "attributes of the clone");
    std::fs::remove_file(&attributes).unwrap();
    world.git(&["replace", "HEAD", "HEAD~1"]);
    reads(&world, false, "a replaced commit");
    world.git(&["replace", "--delete", "HEAD"]);
    reads(&world, true, "a plain repository again");
}

#[test]
fn an_old_trufflehog_that_only_clones_is_called_again() {
    let world = world();
    let refuse = r#"case "$*" in *--trust-local*) echo "trufflehog: error: unknown long flag '--trust-local-git-config', try --help" >&2; exit 1 ;; esac"#;
    let notes = noting(&world, refuse);
    let run = world.scan(&[]);
    run.is(0, "pass", "no_secrets");
    assert_eq!(run.engine("trufflehog")["outcome"], "complete");
    let calls = calls(&notes);
    assert_eq!(calls.len(), 2, "{calls:?}");
    assert!(!calls[1].contains("--trust-local"), "{calls:?}");
}

#[test]
fn a_git_that_breaks_off_below_trufflehog_is_tried_again_from_a_clone() {
    const BROKEN: &str = r#"{"level":"info-2","ts":"x","logger":"trufflehog","msg":"Error waiting for git command to complete.","error":"context canceled"}"#;
    let world = world();
    let broken = format!(r#"case "$*" in *--trust-local*) echo '{BROKEN}' >&2 ;; esac"#);
    let notes = noting(&world, &broken);
    world.scan(&[]).is(0, "pass", "no_secrets");
    assert_eq!(calls(&notes).len(), 2);
    // Not a third time.
    let notes = noting(&world, &format!("echo '{BROKEN}' >&2"));
    world.scan(&[]).is(3, "inconclusive", "git_error");
    assert_eq!(calls(&notes).len(), 2);
}

#[test]
fn any_program_with_the_command_line_of_gitleaks_will_do() {
    let world = world();
    std::fs::rename(world.path("bin/gitleaks"), world.path("bin/betterleaks")).unwrap();
    world
        .scan(&["--gitleaks-bin", "betterleaks"])
        .is(0, "pass", "no_secrets");
}

#[test]
fn the_doctor_says_what_is_there_and_how_to_get_the_rest() {
    let world = world();
    world.engine("trufflehog", "echo 'trufflehog 3.97.0' >&2");
    let run = world.run(&["doctor", "--output", "json"]);
    run.is(0, "pass", "healthy");
    assert_eq!(run.engine("trufflehog")["version"], "3.97.0");
    std::fs::remove_file(world.path("bin/gitleaks")).unwrap();
    let run = world.run(&["doctor"]);
    assert_eq!(run.code, 3);
    assert!(
        run.out
            .contains("go install github.com/zricethezav/gitleaks/v8@v8.30.1"),
        "{}",
        run.out
    );
}

/// The SHA-256 of an engine's file as the system's own program tells it.
fn sha256sum(world: &World, name: &str) -> String {
    let output = std::process::Command::new("sha256sum")
        .arg(world.path("bin").join(name))
        .output()
        .unwrap();
    String::from_utf8_lossy(&output.stdout)[..64].to_owned()
}

fn pin(world: &World, name: &str, hash: &str) {
    let text = format!(
        "[secret-scan]\n{name}-sha256 = [\"{}\", \"{hash}\"]\n",
        "0".repeat(64)
    );
    world.write("goldensignals.toml", text);
}

#[test]
fn the_report_says_which_file_judged() {
    let world = world();
    let doctor = world.run(&["doctor", "--output", "json"]);
    let run = world.scan(&[]);
    for name in ["gitleaks", "trufflehog"] {
        let path = world.path("bin").join(name).display().to_string();
        for report in [&doctor, &run] {
            assert_eq!(report.engine(name)["path"], path);
            assert_eq!(report.engine(name)["sha256"], sha256sum(&world, name));
        }
    }
    let staged_only = world.run(&["doctor"]);
    let shown = staged_only.out + &staged_only.err;
    assert!(shown.contains(&sha256sum(&world, "gitleaks")), "{shown}");
    // Another file with the same behaviour is another file.
    world.engine("trufflehog", &format!("{FINISHED}; exit 0 # swapped"));
    let after = world.scan(&[]);
    after.is(0, "pass", "no_secrets");
    assert_ne!(
        after.engine("trufflehog")["sha256"],
        doctor.engine("trufflehog")["sha256"]
    );
}

#[test]
fn a_pinned_engine_that_was_swapped_is_never_run() {
    let world = world();
    world.engine(
        "trufflehog",
        &format!("case $1 in --version) echo 'trufflehog 3.97.0' >&2 ;; *) {FINISHED} ;; esac"),
    );
    pin(&world, "trufflehog", &sha256sum(&world, "trufflehog"));
    world
        .run(&["doctor", "--output", "json"])
        .is(0, "pass", "healthy");
    world.scan(&[]).is(0, "pass", "no_secrets");
    let mark = world.path("was-run");
    world.engine(
        "trufflehog",
        &format!("touch {}; {FINISHED}; exit 0", mark.display()),
    );
    let doctor = world.run(&["doctor", "--output", "json"]);
    doctor.is(3, "inconclusive", "replaced");
    let run = world.scan(&[]);
    run.is(3, "inconclusive", "replaced");
    assert_eq!(run.engine("trufflehog")["outcome"], "replaced");
    assert_eq!(run.engine("gitleaks")["outcome"], "complete");
    let hash = sha256sum(&world, "trufflehog");
    assert!(run.report["summary"].to_string().contains(&hash));
    assert!(!mark.exists(), "it was run");
    // A pin that is none, and an engine that is not there.
    pin(&world, "trufflehog", "abc");
    assert_eq!(world.run(&["--no-verification"]).code, 2);
    pin(&world, "trufflehog", &hash);
    std::fs::remove_file(world.path("bin/trufflehog")).unwrap();
    world.scan(&[]).is(3, "inconclusive", "missing");
}

#[test]
fn an_engine_that_is_replaced_while_it_runs_is_no_verdict() {
    let world = world();
    let path = world.path("bin/trufflehog");
    let swap = format!(
        "cp {0} {0}.new; echo '# more' >> {0}.new; mv {0}.new {0}; {FINISHED}; exit 0",
        path.display()
    );
    world.engine("trufflehog", &swap);
    let run = world.scan(&[]);
    run.is(3, "inconclusive", "replaced");
    assert_eq!(run.engine("trufflehog")["outcome"], "replaced");
    assert_eq!(run.engine("gitleaks")["outcome"], "complete");
}

#[test]
fn what_lies_in_the_folder_is_no_engine() {
    let world = world();
    std::fs::rename(
        world.path("bin/trufflehog"),
        world.repo().join("trufflehog"),
    )
    .unwrap();
    let path = format!(".::{}:/usr/bin:/bin", world.path("bin").display());
    let words = ["--no-verification", "--output", "json"];
    let run = world.run_with(&words, "", &[("PATH", &path)]);
    run.is(3, "inconclusive", "missing");
}
