//! Signals, and readers who do not read: the engines die, and what was found by then is told.

#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "tests"
)]

mod common;

use common::{BYTES, COUNT, FINISHED, World, gitleaks, world};

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
    begun_by(world, &[])
}

/// The same started by another program.
fn begun_by(world: &World, words: &[&str]) -> std::process::Child {
    let tool = assert_cmd::cargo::cargo_bin("secret-scan");
    let words = words.iter().map(std::ffi::OsStr::new);
    let mut words = words.chain([tool.as_os_str()]);
    std::process::Command::new(words.next().unwrap())
        .args(words)
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
    for name in ["-TERM", "-INT", "-HUP"] {
        let world = world();
        // A child of it is one of its group, and ends with it.
        let hangs = |engine: &str| format!("{}; sleep 600 & wait", up(&world, engine));
        gitleaks(&world, &hangs("one"));
        world.engine("trufflehog", &hangs("two"));
        // Whoever runs the tests may have been started with SIGHUP ignored.
        let child = begun_by(&world, &["env", "--default-signal=HUP"]);
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
fn who_was_started_to_outlive_the_terminal_does() {
    let world = world();
    let waits = format!(
        "{COUNT}; {BYTES}; {}; while [ ! -e {} ]; do sleep 0.05; done; echo '[]'",
        up(&world, "one"),
        world.path("go-on").display()
    );
    gitleaks(&world, &waits);
    let child = begun_by(&world, &["nohup"]);
    awaited(&world.path("one"));
    signal(&child, "-HUP");
    std::fs::write(world.path("go-on"), "").unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["verdict"], "pass");
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
