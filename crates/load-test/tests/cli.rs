//! The tool from outside: what is typed, what is printed, how it ends.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

mod common;

use std::time::Duration;

use common::{personas, run, run_in, sim, tool};

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
fn users_of_the_built_in_personas_get_their_answers() {
    let sim = sim(Vec::new());
    let run = run(&[
        &sim.url(),
        "--users",
        "20",
        "--ramp",
        "500ms",
        "--duration",
        "3s",
        "--seed",
        "7",
    ]);
    assert_eq!(
        (run.code, run.text("reason")),
        (0, "goals_met"),
        "{}",
        run.report["summary"]
    );
    let details = &run.report["details"];
    assert_eq!(details["users"]["started"], 20);
    assert_eq!(details["setup"]["seed"], 7);
    assert!(run.total("requests") > 20 && run.total("failures") == 0);
    let total = &details["total"];
    for name in ["mean", "p50", "p90", "p95", "p99", "p99_9", "max"] {
        for clock in ["response_ms", "service_ms"] {
            assert!(total[clock][name].is_number(), "{clock}.{name}");
        }
    }
    assert_eq!(total["response_ms"]["count"], total["requests"]);
    let names: Vec<&str> = details["endpoints"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["name"].as_str().unwrap())
        .collect();
    assert!(names.contains(&"/"), "{names:?}");
    let sum: u64 = details["endpoints"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["requests"].as_u64().unwrap())
        .sum();
    assert_eq!(sum, run.total("requests"));
    for name in ["cpu_seconds", "lateness_ms", "dropped", "unfinished"] {
        assert!(!details["generator"][name].is_null(), "{name}");
    }
    assert!(details["slowest"][0]["trace_id"].as_str().unwrap().len() == 32);
    assert_eq!(run.report["series"].as_array().unwrap().len(), 6);
    assert_eq!(
        common::served(&sim, run.total("requests")),
        run.total("requests"),
        "what was counted is what was served"
    );
}

#[test]
fn a_rate_is_kept_and_every_arrival_is_counted() {
    let sim = sim(Vec::new());
    let run = run(&[
        &sim.url(),
        "--rate",
        "200",
        "--duration",
        "2s",
        "--connections",
        "20",
        "--goal",
        "mean<1s",
        "--goal",
        "rps>=190",
    ]);
    assert_eq!(run.total("requests"), 400, "{}", run.report["summary"]);
    assert_eq!(common::served(&sim, 400), 400);
    assert_eq!(run.report["details"]["model"]["kind"], "open");
    assert!(
        run.report["details"]["generator"]["connections_most"]
            .as_u64()
            .unwrap()
            <= 20
    );
}

#[test]
fn draws_repeat_with_the_seed() {
    let counts = |seed: &str| {
        let sim = sim(Vec::new());
        let run = run(&[
            &sim.url(),
            "--rate",
            "100",
            "--duration",
            "1s",
            "--seed",
            seed,
            "--goal",
            "mean<10s",
        ]);
        let mut served: Vec<_> = sim
            .served_once(run.total("requests"))
            .into_iter()
            .map(|served| (served.method, served.endpoint, served.count))
            .collect();
        served.sort();
        served
    };
    assert_eq!(counts("1"), counts("1"));
    assert_ne!(counts("1"), counts("2"));
}

#[test]
fn what_is_typed_wrong_is_exit_2_on_stderr() {
    let here = "http://127.0.0.1:9";
    usage(&[], "no target");
    usage(&["staging.example"], "no URL");
    usage(&["ftp://x"], "no web address");
    usage(&["http://127.0.0.1/api"], "has a path");
    usage(
        &["http://goldensignals.ai"],
        "nobody has allowed load on it",
    );
    usage(
        &["http://10.1.2.3", "--allow-host", "10.1.2.4"],
        "nobody has allowed",
    );
    usage(&[here, "--users", "5", "--rate", "5"], "two models");
    usage(&[here, "--users", "0"], "no whole number");
    usage(&[here, "--rate", "0"], "no rate");
    usage(&[here, "--rate", "30000"], "over the cap");
    usage(
        &[here, "--users", "5", "--connections", "5"],
        "--connections caps",
    );
    usage(&[here, "--duration", "5"], "the unit is missing");
    usage(
        &[here, "--warm-up", "1h"],
        "the warm-up takes the whole run",
    );
    usage(&[here, "--goal", "p95<200"], "the unit is missing");
    usage(
        &[here, "--goal", "p95<200ms for /api/v1/signal"],
        "did you mean `/api/v1/signals`",
    );
    usage(
        &[here, "--goal", "p95<200ms for persona moblie"],
        "did you mean `mobile`",
    );
    usage(
        &[here, "--goal", "p95<200ms for stage peak"],
        "there are ramp, hold",
    );
    usage(
        &[here, "--goal", "eror-rate<1%"],
        "did you mean `error-rate`",
    );
    usage(&[here, "--persona", "pwoer"], "did you mean `power`");
    usage(
        &[here, "--rate", "5", "--persona", "live"],
        "holds a WebSocket",
    );
    usage(&[here, "--stage", "5"], "TARGET:DURATION");
    usage(&[here, "--stage", "5:1s", "--ramp", "1s"], "say it again");
    usage(&[here, "--personas", "/no/such.toml"], "/no/such.toml");
    usage(&[here, "--allow-host", "http://x"], "no host");
    usage(
        &[here, "--header-env", "authorization=NOT_SET_HERE"],
        "`NOT_SET_HERE` is not set",
    );
    usage(&[here, "--output", "jsn"], "did you mean `json`?");
    usage(&["--no-such-option"], "--no-such-option");
}

#[test]
fn a_wrong_persona_file_is_exit_2_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = personas(folder.path(), "[[personas]]\nname = \"a\"\nwieght = 3\n");
    usage(
        &["http://127.0.0.1:9", "--personas", &path],
        "personas.toml:3:1: unknown key `wieght`",
    );
    usage(&["validate", "--personas", &path], "personas.toml:3:1");
    usage(&["dry-run", "--personas", &path], "did you mean `weight`?");
}

#[test]
fn hosts_may_be_allowed_in_the_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("goldensignals.toml");
    let text = "[load-test]\nallow-host = [\"no-such-host.invalid\"]\n";
    gs_common::file::write_atomic(&path, |out| out.write_all(text.as_bytes())).unwrap();
    let run = run(&[
        "http://no-such-host.invalid",
        "--config",
        path.to_str().unwrap(),
        "--users",
        "1",
        "--duration",
        "1s",
    ]);
    assert_eq!((run.code, run.text("reason")), (3, "target_unreachable"));
}

#[test]
fn the_small_verbs_answer() {
    let ok = |arguments: &[&str]| {
        let output = tool(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mine.toml");
    let path = path.to_str().unwrap();
    assert!(ok(&["init", path]).contains("wrote"));
    usage(&["init", path], "exists already");
    assert!(ok(&["validate", "--personas", path]).contains("is valid: 3 personas"));
    let shown = ok(&["dry-run"]);
    assert!(
        shown.contains("22.73% of tasks    signals (1 request)"),
        "{shown}"
    );
    let json: serde_json::Value = serde_json::from_str(&ok(&["dry-run", "--json"])).unwrap();
    let regular = &json["personas"][0];
    let sum: f64 = regular["tasks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|task| task["percent"].as_f64().unwrap())
        .sum();
    assert!((sum - 100.0).abs() < 0.1, "{sum}");
    assert!(ok(&["config"]).contains("default"));
    assert!(ok(&["completions", "bash"]).contains("load-test"));
    assert!(ok(&["man"]).contains("load"));
    assert!(ok(&["--help"]).contains("Examples:"));
}

#[test]
fn a_check_sends_one_request_for_each_step() {
    let sim = sim(Vec::new());
    let run = run(&["check", &sim.url(), "--persona", "regular"]);
    assert_eq!((run.code, run.text("reason")), (0, "checks_passed"));
    assert_eq!(
        (
            common::served(&sim, 11),
            run.report["checks"].as_array().unwrap().len()
        ),
        (11, 11)
    );
}

#[test]
fn a_login_gives_what_later_steps_need() {
    let sim = sim(vec![]);
    let folder = tempfile::tempdir().unwrap();
    let text = r#"
[variables]
TOKEN = { env = "LOAD_TOKEN", secret = true }
[headers]
authorization = "Bearer {{TOKEN}}"
[[personas]]
name = "one"
think = "10ms"
start = [{ get = "/", save = { version = "$.version" } }]
[[personas.tasks]]
name = "echo"
steps = [{ get = "/api/v1/signals", query = { v = "{{version}}" }, name = "/signals" }]
"#;
    let path = personas(folder.path(), text);
    for model in [["--users", "2"], ["--rate", "20"]] {
        let run = run_in(
            &[
                &sim.url(),
                model[0],
                model[1],
                "--ramp",
                "0s",
                "--duration",
                "2s",
                "--personas",
                &path,
                "--goal",
                "mean<5s",
            ],
            |command| {
                command.env("LOAD_TOKEN", "t0k3n-t0k3n-t0k3n");
            },
        );
        assert_eq!(
            (run.code, run.total("failures")),
            (0, 0),
            "{}",
            run.report["summary"]
        );
        let all = format!("{}{}", run.report, run.stderr);
        assert!(!all.contains("t0k3n-t0k3n-t0k3n"));
        assert_eq!(run.report["inputs"][0]["format"], "load-personas");
    }
    usage(&[&sim.url(), "--personas", &path], "LOAD_TOKEN is not set");
}

#[test]
fn the_warm_up_is_left_out_and_stages_are_told_apart() {
    let sim = sim(Vec::new());
    let run = run(&[
        &sim.url(),
        "--rate",
        "100",
        "--ramp",
        "1s",
        "--duration",
        "2s",
        "--warm-up",
        "1s",
        "--goal",
        "mean<5s for stage hold",
    ]);
    assert_eq!(run.total("requests"), 200, "{}", run.report["summary"]);
    assert_eq!(run.report["details"]["warm_up_requests"], 50);
    assert_eq!(run.check("mean<5s for stage hold")["verdict"], "pass");
}

#[test]
fn too_few_requests_are_no_verdict() {
    let sim = sim(Vec::new());
    let run = run(&[
        &sim.url(),
        "--rate",
        "50",
        "--duration",
        "1s",
        "--goal",
        "p99<5s",
    ]);
    assert_eq!(
        (run.code, run.text("reason")),
        (3, "too_few_samples"),
        "{}",
        run.report["summary"]
    );
    assert_eq!(run.check("p99<5s")["verdict"], "inconclusive");
}

#[test]
fn the_deadline_ends_a_run_whole() {
    let sim = sim(Vec::new());
    let run = run(&[
        &sim.url(),
        "--users",
        "5",
        "--duration",
        "1h",
        "--deadline",
        "2s",
    ]);
    assert_eq!(
        (run.code, run.text("reason")),
        (3, "deadline"),
        "{}",
        run.report["summary"]
    );
    assert!(run.took < Duration::from_secs(20));
}

#[test]
fn a_lost_goal_ends_the_run_early() {
    // Failures are seen at once; times only where the time line tells them right.
    let slow = Duration::from_millis(60);
    for (kind, goal) in [
        (gs_sim::Kind::status(500), "error-rate<0.01"),
        (gs_sim::Kind::delay(slow), "p95<50ms"),
        (gs_sim::Kind::delay(slow), "mean<50ms"),
    ] {
        let sim = common::broken(kind);
        let run = run(&[
            &sim.url(),
            "--rate",
            "50",
            "--duration",
            "5m",
            "--abort-after",
            "2s",
            "--goal",
            goal,
        ]);
        assert_eq!(
            (run.code, run.text("reason")),
            (1, "goal_lost"),
            "{goal}: {}",
            run.report["summary"]
        );
        assert!(run.took < Duration::from_secs(30), "{goal}");
    }
}

#[test]
fn a_report_that_cannot_be_written_is_no_good_end() {
    let sim = sim(Vec::new());
    let folder = tempfile::tempdir().unwrap();
    let place = format!("json={}", folder.path().join("none/report.json").display());
    let output = tool(&[
        &sim.url(),
        "--rate",
        "100",
        "--duration",
        "1s",
        "--goal",
        "mean<5s",
        "--max-lateness",
        "10s",
        "--output",
        &place,
    ])
    .output()
    .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{stderr}");
    assert!(stderr.contains("create the folder first"), "{stderr}");
}

#[test]
fn what_shows_why_a_goal_is_missed_is_of_the_same_endpoint_persona_or_stage() {
    let slow = gs_sim::Kind::delay(Duration::from_millis(60));
    let sim = sim(vec![gs_sim::Fault::on(slow, "/api/v1/performance")]);
    let folder = tempfile::tempdir().unwrap();
    let one = |name: &str, think: &str, path: &str| {
        format!(
            "[[personas]]\nname = \"{name}\"\nthink = \"{think}\"\n[[personas.tasks]]\nname = \"t\"\nsteps = [{{ get = \"{path}\" }}]\n"
        )
    };
    // Fewer slow requests than the report keeps, so that it keeps those of both stages.
    let text =
        one("quick", "20ms", "/api/v1/signals") + &one("slow", "200ms", "/api/v1/performance");
    let path = personas(folder.path(), &text);
    let run = run(&[
        &sim.url(),
        "--users",
        "4",
        "--stage",
        "4:1s",
        "--stage",
        "4:1s",
        "--personas",
        &path,
        // Nobody is so quick.
        "--goal",
        "mean<1us for each endpoint",
        "--goal",
        "mean<1us for each persona",
        "--goal",
        "mean<1us for each stage",
    ]);
    assert_eq!(run.code, 1);
    let proof = |id: &str| run.check(id)["evidence"][0]["text"].as_str().unwrap_or("");
    for (check, has, has_not) in [
        ("endpoint (/api/v1/performance)", "performance", "signals"),
        ("persona (persona slow)", "performance", "signals"),
    ] {
        let text = proof(&format!("mean<1us for each {check}"));
        assert!(
            text.contains(has) && !text.contains(has_not),
            "{check}: {text}"
        );
    }
    // The slowest requests of the run are none of these; others than theirs are never named.
    for check in ["endpoint (/api/v1/signals)", "persona (persona quick)"] {
        let text = proof(&format!("mean<1us for each {check}"));
        assert!(!text.contains("performance"), "{check}: {text}");
    }
    let stages = [1, 2].map(|stage| {
        let text = proof(&format!("mean<1us for each stage (stage stage-{stage})")).to_owned();
        assert!(!text.is_empty());
        text
    });
    assert_ne!(stages[0], stages[1]);
}
