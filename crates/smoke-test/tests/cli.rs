//! The tool from outside: what is typed, what is printed, how it ends.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

mod common;

use std::io::Read as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use common::{broken, pods, run, run_in, sim, suite, tool};
use gs_sim::{Fault, Kind};

#[test]
fn a_healthy_service_passes_with_nothing_to_configure() {
    let sim = sim(Vec::new());
    let run = run(&[&sim.url()]);
    assert_eq!(
        (run.code, run.report["verdict"].as_str()),
        (0, Some("pass")),
        "{}",
        run.report["summary"]
    );
    let targets: Vec<_> = run.report["checks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|check| check["target"].as_str().unwrap())
        .collect();
    assert!(
        targets.contains(&"GET /api/v1/market-data/SPY/historical?period=1mo&interval=1d"),
        "{targets:?}"
    );
    assert!(targets.contains(&"WS /ws/signals"));
}

#[test]
fn the_checks_run_at_once_and_are_told_in_suite_order() {
    let sim = broken(Kind::Delay {
        millis: 200.0,
        spread: gs_sim::plan::Spread::Fixed,
    });
    let run = run(&[&sim.url(), "--only", "core", "--jobs", "16"]);
    let sum: f64 = run.report["checks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|check| check["duration_ms"].as_f64().unwrap())
        .sum();
    assert!(
        run.took.as_secs_f64() * 1e3 < sum / 2.0,
        "{:?} for {sum} ms of checks",
        run.took
    );
    let ids: Vec<_> = run.report["checks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|check| check["id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(&ids[..3], ["root", "api-health", "signals"]);
}

#[track_caller]
fn usage(arguments: &[&str], said: &str) {
    let output = tool(arguments).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {stderr}");
    assert!(
        output.stdout.is_empty() && stderr.contains(said),
        "{arguments:?}: {stderr}"
    );
}

#[test]
fn what_is_typed_wrong_is_exit_2_on_stderr() {
    usage(&[], "no target");
    usage(&["staging.example"], "no URL");
    usage(&["ftp://x"], "only http and https");
    usage(&["http://x/api"], "has a path");
    usage(&["http://x", "--deadline", "5"], "the unit is missing");
    usage(&["http://x", "--jobs", "0"], "no whole number from 1");
    usage(&["http://x", "--output", "jsn"], "did you mean `json`?");
    usage(&["http://x", "--only", "cor"], "did you mean `core`?");
    usage(&["http://x", "--suite", "/no/such.toml"], "/no/such.toml");
    usage(
        &["http://x", "--env", "staging", "--config", "/no/such.toml"],
        "/no/such.toml",
    );
    usage(
        &["http://x", "--connect-to", "a:b"],
        "HOST1:PORT1:HOST2:PORT2",
    );
    usage(
        &["http://x", "--proxy", "http://me:secret@p:1"],
        "password does not belong",
    );
    usage(
        &["http://x", "--header-env", "authorization=NOT_SET_HERE"],
        "`NOT_SET_HERE` is not set",
    );
    usage(&["http://x", "--cert", "/dev/null"], "--cert");
    usage(
        &["http://x", "--expect-version", ""],
        "--expect-version is empty",
    );
    usage(&["--no-such-option"], "--no-such-option");
}

#[test]
fn nothing_measured_is_no_pass() {
    let sim = sim(Vec::new());
    let nothing = run(&[&sim.url(), "--only", "batch"]);
    assert_eq!(
        (nothing.code, nothing.report["reason"].as_str()),
        (3, Some("nothing_measured"))
    );
    let skipped = run(&[
        &sim.url(),
        "--skip",
        "core,services,errors,ws,infra,security",
    ]);
    assert_eq!(
        (skipped.code, skipped.report["reason"].as_str()),
        (3, Some("nothing_measured"))
    );
}

#[test]
fn writes_happen_only_when_allowed() {
    let sim = sim(Vec::new());
    run(&[&sim.url()]);
    assert!(
        !sim.world()
            .served_by_endpoint()
            .contains_key("/api/v1/signals/batch")
    );
    let run = run(&[&sim.url(), "--allow-writes", "--only", "writes"]);
    assert_eq!(run.code, 0, "{}", run.report["summary"]);
    assert_eq!(sim.world().served_by_endpoint()["/api/v1/signals/batch"], 1);
}

#[test]
fn the_openapi_sweep_adds_every_simple_get() {
    let sim = sim(Vec::new());
    let run = run(&[&sim.url(), "--openapi", "--only", "root"]);
    assert_eq!(run.code, 0, "{}", run.report["summary"]);
    assert!(run.report["checks"].as_array().unwrap().len() > 10);
    assert_eq!(
        run.check("openapi.api-v1-pipeline-stats")["verdict"],
        "pass"
    );
}

#[test]
fn captures_feed_later_checks_and_an_unmet_need_is_told_once() {
    let folder = tempfile::tempdir().unwrap();
    let text = |status: u16| {
        format!(
            "[[checks]]\nid = 'first'\nget = '/'\nexpect = {{ status = {status} }}\ncapture = {{ version = {{ json = '$.version' }} }}\n\
             [[checks]]\nid = 'second'\nneeds = ['first']\nrequest = {{ path = '/debug/echo', headers = {{ x-seen = '{{{{version}}}}' }} }}\n\
             expect = {{ json = [{{ path = '$.headers[\"x-seen\"]', equals = '2.0.0' }}] }}\n"
        )
    };
    let sim = sim(Vec::new());
    let good = run(&[&sim.url(), "--suite", &suite(folder.path(), &text(200))]);
    assert_eq!(good.code, 0, "{}", good.report["summary"]);
    let bad = run(&[&sim.url(), "--suite", &suite(folder.path(), &text(204))]);
    assert_eq!(bad.code, 1);
    assert_eq!(bad.check("second")["reason"], "unmet_need");
    assert_eq!(bad.reasons("fail").len(), 1, "one cause, one failure");
}

#[test]
fn known_failures_warn_until_they_expire() {
    let folder = tempfile::tempdir().unwrap();
    let text = |expires: &str| {
        format!(
            "[[checks]]\nid = 'a'\nget = '/nope'\nexpect = {{ status = 200 }}\nknown_failure = {{ reason = 'GS-1', owner = 'ops', expires = {expires} }}\n"
        )
    };
    let sim = sim(Vec::new());
    let kept = run(&[
        &sim.url(),
        "--suite",
        &suite(folder.path(), &text("2999-01-01")),
    ]);
    assert_eq!(
        (kept.code, kept.check("a")["reason"].as_str()),
        (0, Some("known_failure"))
    );
    let strict = run(&[
        &sim.url(),
        "--suite",
        &suite(folder.path(), &text("2999-01-01")),
        "--strict",
    ]);
    assert_eq!(strict.code, 1);
    let expired = run(&[
        &sim.url(),
        "--suite",
        &suite(folder.path(), &text("2020-01-01")),
    ]);
    assert_eq!(
        (expired.code, expired.check("a")["reason"].as_str()),
        (1, Some("known_failure_expired"))
    );
}

#[test]
fn the_deadline_leaves_whole_reports_that_say_what_is_unfinished() {
    let folder = tempfile::tempdir().unwrap();
    let junit = folder.path().join("r.xml");
    // Waiting for something to become so, with nothing failing for good before the deadline.
    let text = "[[checks]]\nid = 'slow'\ntimeout = '30s'\nlimit = '60s'\nwebsocket = { path = '/ws', steps = [{ ping = '5s' }, { expect = { anything = true, within = '20s' } }] }\n\
                [[checks]]\nid = 'after'\nneeds = ['slow']\nget = '/'\nexpect = { status = 200 }\n";
    let path = suite(folder.path(), text);
    let sim = sim(Vec::new());
    let file = format!("junit={}", junit.display());
    let run = run(&[
        &sim.url(),
        "--suite",
        &path,
        "--deadline",
        "1s",
        "--output",
        &file,
    ]);
    assert_eq!(run.check("after")["attempts"], serde_json::Value::Null);
    assert!(
        matches!(run.code, 1 | 3) && run.took < Duration::from_secs(4),
        "{} after {:?}",
        run.code,
        run.took
    );
    assert!(
        std::fs::read_to_string(junit)
            .unwrap()
            .ends_with("</testsuites>\n")
    );
}

#[test]
fn an_interrupt_leaves_a_whole_report() {
    let service = broken(Kind::Silent);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("r.json");
    let mut child = Command::new(env!("CARGO_BIN_EXE_smoke-test"))
        .args([
            &service.url(),
            "--timeout",
            "30s",
            "--output",
            &format!("json={}", path.display()),
        ])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // The service has heard of the run once its first request has come.
    let began = Instant::now();
    while std::fs::read_to_string(format!("/proc/{}/net/tcp", child.id()))
        .is_ok_and(|tcp| !tcp.contains(&format!(":{:04X} ", service.address().port())))
    {
        assert!(began.elapsed() < Duration::from_secs(10));
        std::thread::yield_now();
    }
    let began = Instant::now();
    assert!(
        Command::new("kill")
            .args(["-INT", &child.id().to_string()])
            .status()
            .unwrap()
            .success()
    );
    let code = child.wait().unwrap().code();
    if code.is_none() {
        // The signal came before the handler stood; the kernel ended the process.
        return;
    }
    assert_eq!(code, Some(130));
    assert!(began.elapsed() < Duration::from_secs(5));
    let report: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    assert_eq!(report["reason"], "interrupted");
}

#[test]
fn a_closed_pipe_is_a_quiet_end() {
    let sim = sim(Vec::new());
    for arguments in [
        vec![sim.url()],
        vec!["--help".to_owned()],
        vec!["man".to_owned()],
        vec!["list".to_owned()],
    ] {
        let mut child = Command::new(env!("CARGO_BIN_EXE_smoke-test"))
            .args(&arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let mut said = String::new();
        child
            .stderr
            .take()
            .unwrap()
            .read_to_string(&mut said)
            .unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(0), "{arguments:?}");
        assert!(said.is_empty(), "{arguments:?}: {said}");
    }
}

#[test]
fn a_report_that_cannot_be_written_is_no_good_end() {
    let sim = sim(Vec::new());
    let run = run(&[
        &sim.url(),
        "--only",
        "root",
        "--output",
        "junit=/no/such/folder/r.xml",
    ]);
    assert_eq!(run.code, 3);
    assert!(
        run.stderr.contains("/no/such/folder/r.xml")
            && run.stderr.contains("create the folder first"),
        "{}",
        run.stderr
    );
}

#[test]
fn a_secret_is_in_no_output() {
    let secret = "s3cr3t/pass+word=&";
    let folder = tempfile::tempdir().unwrap();
    let text = "[variables]\ntoken = { env = 'TOKEN', secret = true }\n\
        [[checks]]\nid = 'echo'\nrequest = { path = '/debug/echo?q={{token}}', query = { t = '{{token}}' }, headers = { x-a = '{{token}}', authorization = 'Bearer {{token}}' } }\n\
        expect = { kind = 'array' }\n\
        [[checks]]\nid = 'ws'\nwebsocket = { path = '/ws?t={{token}}', steps = [{ send = '{{token}}' }, { expect = { matches = 'never', within = '300ms' } }] }\n";
    let path = suite(folder.path(), text);
    let sim = sim(Vec::new());
    let mut outputs = Vec::new();
    for format in [
        "human",
        "json",
        "junit",
        "markdown",
        "github",
        "html",
        "prometheus",
        "tap",
    ] {
        let url = sim
            .url()
            .replace("http://", "http://user:s3cr3t%2Fpass%2Bword%3D%26@");
        let output = tool(&[
            &url,
            "--suite",
            &path,
            "--output",
            format,
            "-vv",
            "--header-env",
            "x-key=TOKEN",
        ])
        .env("TOKEN", secret)
        .output()
        .unwrap();
        assert_eq!(
            output.status.code(),
            Some(1),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        outputs.push((
            format,
            String::from_utf8_lossy(&output.stdout).into_owned()
                + &String::from_utf8_lossy(&output.stderr),
        ));
    }
    let base64 = |text: &str| base64::Engine::encode(&base64::prelude::BASE64_STANDARD, text);
    let forms = [
        secret.to_owned(),
        "s3cr3t%2Fpass%2Bword%3D%26".to_owned(),
        "s3cr3t%2fpass%2bword%3d%26".to_owned(),
        "s3cr3t/pass+word=&amp;".to_owned(),
        base64(secret),
        base64(&format!("user:{secret}")),
        base64(&format!("user:{secret}"))[8..28].to_owned(),
        "s3cr3t\\/pass".to_owned(),
    ];
    for (format, text) in outputs {
        for form in &forms {
            assert!(!text.contains(form), "{format} shows {form}:\n{text}");
        }
        assert!(!text.contains("s3cr3t"), "{format}:\n{text}");
    }
}

#[test]
fn a_secret_that_is_too_short_to_hide_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let text = "[variables]\ntoken = { env = 'TOKEN', secret = true }\n[[checks]]\nid = 'a'\nget = '/{{token}}'\nexpect = { status = 200 }\n";
    let path = suite(folder.path(), text);
    let output = tool(&["http://127.0.0.1:1", "--suite", &path])
        .env("TOKEN", "abc")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(!String::from_utf8_lossy(&output.stderr).contains("abc"));
}

#[test]
fn actions_get_their_summary_outputs_and_annotations() {
    let service = sim(vec![Fault::on(
        Kind::ErrorBody {
            message: "x".into(),
        },
        "/api/v1/pipeline/stats",
    )]);
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let run = run_in(&[&service.url()], |command| {
        command
            .env("GITHUB_ACTIONS", "true")
            .env("GITHUB_STEP_SUMMARY", path("summary"))
            .env("GITHUB_OUTPUT", path("output"))
            .env("RUNNER_TEMP", folder.path());
    });
    assert_eq!(run.code, 1);
    assert!(
        run.stderr
            .contains("::error title=smoke-test%3A pipeline-stats::"),
        "{}",
        run.stderr
    );
    assert!(
        std::fs::read_to_string(path("summary"))
            .unwrap()
            .contains("`error_body`")
    );
    assert!(
        std::fs::read_to_string(path("output"))
            .unwrap()
            .contains("checks_failed")
    );
}

#[test]
fn a_saved_run_is_compared_with_a_newer_one() {
    let folder = tempfile::tempdir().unwrap();
    let save = |name: &str, url: &str| {
        let path = folder.path().join(name).display().to_string();
        tool(&[url, "--output", &format!("json={path}"), "-q"])
            .output()
            .unwrap();
        path
    };
    let service = sim(Vec::new());
    let before = save("before.json", &service.url());
    let again = run(&["diff", &before, &before]);
    assert_eq!(
        (again.code, again.report["reason"].as_str()),
        (0, Some("unchanged"))
    );
    service.world().set_faults(vec![Fault::on(
        Kind::ErrorBody {
            message: "x".into(),
        },
        "/api/v1/pipeline/stats",
    )]);
    let after = save("after.json", &service.url());
    let worse = run(&["diff", &before, &after]);
    assert_eq!(
        (worse.code, worse.report["reason"].as_str()),
        (1, Some("worse"))
    );
    assert_eq!(worse.check("pipeline-stats")["reason"], "worse");
    usage(&["diff", &before, "/no/such.json"], "/no/such.json");
}

#[test]
fn the_same_version_as_before_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let before = folder.path().join("before.json").display().to_string();
    let service = pods(&["2.1.0"]);
    tool(&[
        &service.url(),
        "--expect-version",
        "2.1.0",
        "--output",
        &format!("json={before}"),
        "-q",
    ])
    .output()
    .unwrap();
    let same = run(&[
        &service.url(),
        "--expect-version",
        "2.1.0",
        "--differs-from",
        &before,
    ]);
    assert_eq!(same.code, 1, "{}", same.report["summary"]);
    service.world().set_pods(vec![gs_sim::Pod {
        version: "2.2.0".into(),
        age_seconds: 0,
    }]);
    let other = run(&[
        &service.url(),
        "--expect-version",
        "2.2.0",
        "--differs-from",
        &before,
    ]);
    assert_eq!(other.code, 0, "{}", other.report["summary"]);
    // Without the gate no version is seen, and that is known before anything is asked.
    let vain = tool(&[&service.url(), "--differs-from", &before])
        .output()
        .unwrap();
    assert_eq!(vain.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&vain.stderr).contains("add --expect-version"));
}

#[test]
fn a_watch_ends_after_its_count_with_the_last_report() {
    let sim = sim(Vec::new());
    let run = run(&[
        "watch",
        &sim.url(),
        "--every",
        "100ms",
        "--count",
        "3",
        "--only",
        "root",
    ]);
    assert_eq!(run.code, 0);
    assert!(sim.world().served_by_endpoint()["/"] >= 3);
    let lines = tool(&[
        "watch",
        &sim.url(),
        "--every",
        "100ms",
        "--count",
        "2",
        "--only",
        "root",
    ])
    .output()
    .unwrap();
    let text = String::from_utf8_lossy(&lines.stdout).into_owned();
    assert!(
        text.contains(" run 1 pass: ") && text.contains(" run 2 pass: "),
        "{text}"
    );
}

#[test]
fn settings_are_shown_with_their_origin() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("goldensignals.toml");
    let text = "[environments.staging]\nurl = 'https://staging.example'\n[smoke-test]\njobs = 4\n";
    gs_common::file::write_atomic(&path, |out| out.write_all(text.as_bytes())).unwrap();
    let output = tool(&["config", "--env", "staging", "--timeout", "3s"])
        .env("GS_SMOKE_TEST_RETRIES", "1")
        .current_dir(folder.path())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(
        output.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    for wanted in [
        "https://staging.example",
        "goldensignals.toml:1",
        "goldensignals.toml:4",
        "environment GS_SMOKE_TEST_RETRIES",
        "flag --timeout",
        "default",
    ] {
        assert!(text.contains(wanted), "{wanted} in\n{text}");
    }
}

#[test]
fn the_built_in_suite_can_be_written_listed_and_validated() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("my.toml").display().to_string();
    assert!(tool(&["init", &path]).output().unwrap().status.success());
    usage(&["init", &path], "exists already");
    let valid = tool(&["validate", "--suite", &path]).output().unwrap();
    assert!(
        String::from_utf8_lossy(&valid.stdout).contains("is valid"),
        "{valid:?}"
    );
    let listed = tool(&["list", "--only", "ws"]).output().unwrap();
    assert!(String::from_utf8_lossy(&listed.stdout).contains("WS /ws/signals"));
    let sim = sim(Vec::new());
    assert_eq!(run(&[&sim.url(), "--suite", &path]).code, 0);
}
