//! Comparing, merging, searching and importing from outside: the binary against a simulated service on
//! the loopback, and against files.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use std::path::{Path, PathBuf};

use common::{Run, broken, run, run_in, sim, tool};
use gs_sim::Kind;
use serde_json::{Value, json};

const PERSONAS: &str = r#"
[[personas]]
name = "quick"
think = { min = "5ms", max = "15ms" }

[[personas.tasks]]
name = "signals"
weight = 3
steps = [{ get = "/api/v1/signals" }]

[[personas.tasks]]
name = "performance"
steps = [{ get = "/api/v1/performance" }]
"#;

/// A folder with the personas of these tests.
fn folder() -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let personas = folder.path().join("personas.toml");
    put(&personas, PERSONAS);
    let shown = personas.display().to_string();
    (folder, shown)
}

fn put(path: &Path, text: &str) {
    gs_common::file::write_atomic(path, |out| out.write_all(text.as_bytes())).unwrap();
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/foreign")
        .join(name)
}

/// A verb that reads files: no load, so no limit of lateness.
#[track_caller]
fn judged(arguments: &[&str]) -> Run {
    let output = tool(arguments).args(["--output", "json"]).output().unwrap();
    common::Run::read(&output, std::time::Duration::ZERO)
}

#[test]
fn shards_are_merged_into_one_report_with_the_goals_of_the_run() {
    let sim = sim(Vec::new());
    let (folder, personas) = folder();
    let file = |name: &str| folder.path().join(name).display().to_string();
    let shard = |index: &str| {
        let log = file(&format!("{index}.hlog"));
        let share = format!("/{}", 2);
        let run = run_in(
            &[
                &sim.url(),
                "--personas",
                &personas,
                "--users",
                "5",
                "--ramp",
                "0s",
                "--duration",
                "1500ms",
                "--seed",
                "7",
                "--shard",
                &share,
                "--hlog",
                &log,
                "--goal",
                "p50<10s",
            ],
            |command| {
                command.env("JOB_COMPLETION_INDEX", index);
            },
        );
        assert_eq!(run.report["details"]["shard"]["count"], 2, "{}", run.report);
        (
            log,
            run.report["details"]["total"]["requests"].as_u64().unwrap(),
        )
    };
    let (first, one) = std::thread::scope(|scope| {
        let other = scope.spawn(|| shard("1"));
        (shard("0"), other.join().unwrap())
    });
    let merged = judged(&[
        "merge",
        &one.0,
        &first.0,
        "--csv",
        &file("all.csv"),
        "--hlog",
        &file("all.hlog"),
    ]);
    let report = &merged.report;
    assert_eq!(
        report["details"]["total"]["requests"].as_u64(),
        Some(first.1 + one.1),
        "{report}"
    );
    assert_eq!(report["details"]["users"]["started"], 5);
    // It took as long as the load, whenever the logs are merged.
    let time = |name: &str| -> jiff::Timestamp { report[name].as_str().unwrap().parse().unwrap() };
    let took = time("ended_at")
        .duration_since(time("started_at"))
        .as_secs_f64();
    let measured = report["details"]["setup"]["measured_seconds"].as_f64();
    assert!((1.4..5.0).contains(&took), "{took} s, {measured:?}");
    let goals: Vec<&str> = report["checks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|check| check["id"].as_str().unwrap())
        .collect();
    assert!(goals.contains(&"p50<10s"), "{goals:?}");
    assert_eq!(merged.code, 0, "{report}");
    for name in ["total", "generator", "endpoints"] {
        assert!(!report["details"][name].is_null(), "{name}");
    }
    assert_eq!(report["inputs"][0]["outcome"], "measured");
    // The whole as one log is a run by itself, and says the same.
    let again = judged(&["merge", &file("all.hlog")]);
    assert_eq!(again.report["details"]["total"], report["details"]["total"]);
    // And with the columns of Locust it can be read as such.
    let compared = judged(&["compare", &file("all.csv"), &file("all.csv")]);
    assert_eq!(compared.report["inputs"][0]["format"], "locust-csv");
    // One of two, or one twice, is no run.
    for (files, reason) in [
        (vec![&first.0], "shards_missing"),
        (vec![&first.0, &first.0], "not_together"),
    ] {
        let mut line = vec!["merge"];
        line.extend(files.iter().map(|file| file.as_str()));
        let refused = judged(&line);
        assert_eq!(
            (refused.code, refused.report["reason"].as_str()),
            (3, Some(reason))
        );
    }
}

#[test]
fn a_run_whose_requests_fail_is_not_good_under_other_goals_either() {
    let down = broken(Kind::Reset);
    let (folder, personas) = folder();
    let log = folder.path().join("down.hlog").display().to_string();
    let url = down.url();
    let mut line = vec![
        &*url,
        "--personas",
        &personas,
        "--users",
        "8",
        "--ramp",
        "0s",
    ];
    line.extend(["--duration", "1s", "--hlog", &log]);
    assert_eq!(run(&line).code, 1);
    let again = judged(&["merge", &log, "--goal", "max<30s"]);
    assert_eq!(again.code, 1, "{}", again.report["summary"]);
    assert_eq!(again.check("error-rate<=1%")["verdict"], "fail");
    // And a goal that says nothing of this run is no goal that was met.
    let vain = common::tool(&["merge", &log, "--goal", "late<1%"]);
    let output = { vain }.output().unwrap();
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn a_shard_needs_a_seed_and_a_share_that_exists() {
    for (arguments, said) in [
        (vec!["--shard", "0/2"], "common seed"),
        (vec!["--shard", "2/2", "--seed", "1"], "does not exist"),
        (vec!["--shard", "/2", "--seed", "1"], "JOB_COMPLETION_INDEX"),
        (
            vec!["--shard", "0/200", "--seed", "1"],
            "fewer than 200 shards",
        ),
        (vec!["--start-at", "soon"], "no time"),
    ] {
        let mut line = vec!["http://127.0.0.1:9"];
        line.extend(arguments);
        let output = tool(&line).output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{line:?}: {stderr}");
        assert!(stderr.contains(said), "{line:?}: {stderr}");
        assert!(output.stdout.is_empty());
    }
    // A common start on another day is no start.
    let run = run(&["http://127.0.0.1:9", "--start-at", "2001-01-01T00:00:00Z"]);
    assert_eq!(
        (run.code, run.report["reason"].as_str()),
        (3, Some("start_failed")),
        "{}",
        run.report
    );
}

/// Such as a pod whose image took longer than the run of the others: the merge would refuse its log, so its load
/// would be for nothing.
#[test]
fn a_shard_that_comes_after_the_others_are_done_sends_nothing() {
    let sim = sim(Vec::new());
    let (folder, personas) = folder();
    let url = sim.url();
    let log = folder.path().join("late.hlog").display().to_string();
    let late = |seconds: i64, shard: &str| {
        let at = jiff::Timestamp::now() - jiff::SignedDuration::from_secs(seconds);
        run(&[
            &url,
            "--personas",
            &personas,
            "--users",
            "4",
            "--ramp",
            "1s",
            "--duration",
            "2s",
            "--seed",
            "7",
            "--shard",
            shard,
            "--start-at",
            &at.to_string(),
            "--hlog",
            &log,
            "--goal",
            "p50<10s",
        ])
    };
    let refused = late(4, "1/2");
    assert_eq!(
        (refused.code, refused.report["reason"].as_str()),
        (3, Some("start_failed")),
        "{}",
        refused.report
    );
    assert_eq!(common::served(&sim, 0), 0);
    assert!(!Path::new(&log).exists());
    // In time to meet the others, it runs; and so does a run that has none.
    assert_eq!(late(1, "1/2").code, 0);
    assert_eq!(late(4, "0/1").code, 0);
}

#[test]
fn an_export_that_cannot_be_written_is_no_good_end() {
    let sim = sim(Vec::new());
    let (folder, personas) = folder();
    let lost = folder.path().join("missing/run.hlog").display().to_string();
    let run = run(&[
        &sim.url(),
        "--personas",
        &personas,
        "--users",
        "4",
        "--ramp",
        "0s",
        "--duration",
        "1s",
        "--hlog",
        &lost,
        "--goal",
        "p50<10s",
    ]);
    assert_eq!(
        (run.code, run.report["reason"].as_str()),
        (3, Some("export_failed")),
        "{}",
        run.report
    );
    let summary = run.report["summary"].as_str().unwrap();
    assert!(
        summary.contains("missing") && summary.contains("no load was sent"),
        "{summary}"
    );
    // It is known before the load, and so nobody is bothered with it.
    assert_eq!(common::served(&sim, 0), 0);
}

#[test]
fn a_disk_that_is_full_in_the_end_is_excused_by_nothing() {
    let sim = sim(Vec::new());
    let (_folder, personas) = folder();
    let missed = |more: &[&str]| {
        let url = sim.url();
        let mut line = vec![
            &*url,
            "--personas",
            &personas,
            "--users",
            "4",
            "--ramp",
            "0s",
        ];
        line.extend([
            "--duration",
            "1s",
            "--hlog",
            "/dev/full",
            "--goal",
            "p50<1us",
        ]);
        line.extend(more);
        run(&line)
    };
    // A missed goal stays a fail, and whoever only wants the files is told that one is not there.
    assert_eq!(missed(&[]).code, 1);
    let excused = missed(&["--report-only"]);
    assert_eq!(
        (excused.code, excused.report["reason"].as_str()),
        (3, Some("export_failed"))
    );
}

#[test]
fn equals_in_turn_are_not_called_worse_and_a_slow_version_is() {
    let (base, slow) = (
        sim(Vec::new()),
        broken(Kind::delay(std::time::Duration::from_millis(60))),
    );
    let (_folder, personas) = folder();
    let pairs = |new: &[&str]| {
        let base = base.url();
        let mut line = vec!["ab", "--base", &base];
        line.extend(new);
        line.extend([
            "--pairs",
            "8",
            "--users",
            "4",
            "--ramp",
            "0s",
            "--duration",
            "500ms",
            "--endpoint",
            "total",
            "--metric",
            "p50",
            "--seed",
            "3",
            "--personas",
            &personas,
        ]);
        run(&line)
    };
    let slower = pairs(&["--new", &slow.url()]);
    assert_eq!(
        (slower.code, slower.report["reason"].as_str()),
        (1, Some("worse")),
        "{}",
        slower.report
    );
    let row = &slower.report["details"]["comparison"]["rows"][0];
    assert_eq!(
        (row["name"].as_str(), row["change"].as_str()),
        (Some("total"), Some("worse"))
    );
    assert!(
        row["judged"]["interval"][0].as_f64().unwrap() > 1.1,
        "{row}"
    );
    assert_eq!(
        slower.report["details"]["pairs"].as_array().unwrap().len(),
        8
    );
    // Both sides the same: whatever the noise of this machine, it is never called worse beyond the margin. That it
    // is called a change at all has the probability that the page states, and is then said (`self_test_alarm`).
    let quiet = pairs(&["--self-test"]);
    let rows = quiet.report["details"]["comparison"]["rows"]
        .as_array()
        .unwrap();
    assert!(
        rows.iter().all(|row| row["change"] != "worse"),
        "{}",
        quiet.report
    );
    assert!(
        quiet.code != 1 || quiet.report["reason"] == "self_test_alarm",
        "{}",
        quiet.report
    );
    assert_eq!(quiet.report["details"]["comparison"]["kind"], "self_test");
    assert!(!quiet.report["details"]["comparison"]["rows"][0]["judged"].is_null());
    assert!(
        quiet.report["summary"]
            .as_str()
            .unwrap()
            .contains("smallest slowing down"),
        "{}",
        quiet.report
    );
}

#[test]
fn pairs_that_could_never_fail_are_refused_before_any_load() {
    let output = tool(&[
        "ab",
        "--base",
        "http://127.0.0.1:9",
        "--new",
        "http://127.0.0.1:9",
        "--pairs",
        "5",
    ])
    .output()
    .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(
        stderr.contains("can never show") && stderr.contains("at least"),
        "{stderr}"
    );
    let strange = tool(&["ab", "--base", "http://example.com", "--self-test"])
        .output()
        .unwrap();
    assert_eq!(strange.status.code(), Some(2));
    // A side that is not there is no verdict, and no pass.
    let dead = run(&[
        "ab",
        "--base",
        "http://127.0.0.1:9",
        "--self-test",
        "--endpoint",
        "total",
    ]);
    assert_eq!(
        (dead.code, dead.report["reason"].as_str()),
        (3, Some("target_unreachable"))
    );
}

#[test]
fn the_search_ends_below_what_fails_and_confirms_it() {
    let fast = sim(Vec::new());
    let (_folder, personas) = folder();
    let search = |url: &str, more: &[&str]| {
        let mut line = vec![
            "find-max",
            url,
            "--personas",
            &personas,
            "--duration",
            "500ms",
            "--precision",
            "30%",
        ];
        line.extend(more);
        run(&line)
    };
    let beyond = search(
        &fast.url(),
        &[
            "--goal",
            "p50<10s",
            "--goal",
            "late<=100%",
            "--from",
            "40",
            "--most",
            "80",
        ],
    );
    let report = &beyond.report;
    assert_eq!(
        (beyond.code, report["reason"].as_str()),
        (0, Some("capacity_beyond")),
        "{report}"
    );
    assert_eq!(report["details"]["capacity"]["requests_per_second"], 80.0);
    let steps = report["details"]["capacity"]["steps"].as_array().unwrap();
    assert_eq!(steps.last().unwrap()["confirms"], true);
    let slow = broken(Kind::delay(std::time::Duration::from_millis(50)));
    let low = tool(&["find-max", &fast.url(), "--at-least", "90", "--most", "80"])
        .output()
        .unwrap();
    assert_eq!(low.status.code(), Some(2));
    let typed = tool(&["find-max", "http://127.0.0.1:9", "--users", "5"])
        .output()
        .unwrap();
    assert_eq!(typed.status.code(), Some(2));
    // The time is bounded.
    let bounded = search(&slow.url(), &["--goal", "p50<20ms", "--deadline", "700ms"]);
    assert_eq!(
        (bounded.code, bounded.report["reason"].as_str()),
        (3, Some("deadline")),
        "{}",
        bounded.report
    );
}

/// A pytest-benchmark document with this median in seconds.
fn benchmark(median: f64, processor: &str) -> String {
    let text = std::fs::read_to_string(fixture("pytest-benchmark.json")).unwrap();
    let mut document: Value = serde_json::from_str(&text).unwrap();
    document["machine_info"]["processor"] = json!(processor);
    for benchmark in document["benchmarks"].as_array_mut().unwrap() {
        benchmark["stats"]["median"] = json!(median);
        benchmark["stats"]["mean"] = json!(median * 1.1);
    }
    document.to_string()
}

#[test]
fn benchmarks_of_the_api_are_judged_by_the_same_rule() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        put(&path, text);
        path.display().to_string()
    };
    let base: Vec<String> = [0.0100, 0.0101, 0.0099, 0.01005, 0.00995]
        .iter()
        .enumerate()
        .map(|(number, median)| write(&format!("base-{number}.json"), &benchmark(*median, "x")))
        .collect();
    let against = |new: &str, base: &[String], more: &[&str]| {
        let mut line = vec!["compare"];
        line.extend(base.iter().map(String::as_str));
        line.push(new);
        line.extend(more);
        let run = judged(&line);
        (run.code, run.report["reason"].as_str().unwrap().to_owned())
    };
    let slow = write("slow.json", &benchmark(0.02, "x"));
    let same = write("same.json", &benchmark(0.01, "x"));
    let other = write("other.json", &benchmark(0.02, "y"));
    assert_eq!(against(&slow, &base, &[]), (1, "worse".to_owned()));
    assert_eq!(against(&same, &base, &[]), (0, "no_worse".to_owned()));
    // One stored run never fails, however slow the new one is.
    assert_eq!(
        against(&slow, &base[..1], &[]),
        (3, "too_few_baselines".to_owned())
    );
    // Another machine is not comparable, unless that is allowed aloud.
    assert_eq!(
        against(&other, &base, &[]),
        (3, "not_comparable".to_owned())
    );
    assert_eq!(
        against(&other, &base, &["--allow-different", "machine"]),
        (1, "worse".to_owned())
    );
    assert_eq!(
        against(&slow, &base, &["--report-only"]),
        (0, "worse".to_owned())
    );
    // Two formats, a file that is cut, and one that is not there.
    let k6 = fixture("k6-handle-summary.json").display().to_string();
    assert_eq!(against(&k6, &base, &[]).0, 3);
    let cut = write("cut.json", &benchmark(0.01, "x")[..200]);
    assert_eq!(against(&cut, &base, &[]), (3, "unreadable".to_owned()));
    assert_eq!(
        against("nowhere.json", &base, &[]),
        (3, "unreadable".to_owned())
    );
    let alone = tool(&["compare", &slow]).output().unwrap();
    assert_eq!(alone.status.code(), Some(2));
    let strange = tool(&["compare", &slow, &same, "--allow-different", "machin"])
        .output()
        .unwrap();
    assert!(String::from_utf8_lossy(&strange.stderr).contains("did you mean `machine`"));
}

#[test]
fn a_rare_endpoint_warns_and_fails_nothing_unless_it_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let stats = |number: u32, rare: u32| {
        let path = folder.path().join(format!("{number}-{rare}.csv"));
        let time = 100 + number;
        put(
            &path,
            &format!(
                "Type,Name,Request Count,Failure Count,Median Response Time,Requests/s,95%\n\
                 GET,/often,1000,0,{time},50,{time}\nGET,/rare,{rare},0,{time},1,{time}\n,Aggregated,1000,0,{time},50,{time}\n"
            ),
        );
        path.display().to_string()
    };
    let files: Vec<String> = (0..6).map(|number| stats(number, 3)).collect();
    let compare = |more: &[&str]| {
        let mut line = vec!["compare"];
        line.extend(files.iter().map(String::as_str));
        line.extend(more);
        let run = judged(&line);
        (run.code, run.report["reason"].as_str().unwrap().to_owned())
    };
    assert_eq!(compare(&[]), (0, "not_all_judged".to_owned()));
    assert_eq!(compare(&["--strict"]), (1, "not_all_judged".to_owned()));
    assert_eq!(
        compare(&["--endpoint", "GET /rare"]),
        (3, "too_few_requests".to_owned())
    );
}

#[test]
fn a_recording_is_printed_as_personas_that_validate() {
    let folder = tempfile::tempdir().unwrap();
    let output = tool(&[
        "import",
        "--har",
        &fixture("session.har").display().to_string(),
    ])
    .output()
    .unwrap();
    assert!(output.status.success());
    let draft = String::from_utf8(output.stdout).unwrap();
    assert!(!draft.contains("hunter2"));
    let path = folder.path().join("draft.toml");
    put(&path, &draft);
    let valid = tool(&["validate", "--personas", &path.display().to_string()])
        .output()
        .unwrap();
    assert!(
        valid.status.success(),
        "{}",
        String::from_utf8_lossy(&valid.stderr)
    );
    let none = tool(&["import", "--har", "nowhere.har"]).output().unwrap();
    assert_eq!(none.status.code(), Some(2));
}

#[test]
fn the_page_lists_every_reason_with_the_words_of_the_code() {
    let page = include_str!("../../../docs/load-compare.md");
    for (code, doc) in load_test::compare::reason::ALL {
        assert!(
            page.contains(&format!("| `{code}` | {doc} |")),
            "`{code}`: {doc}"
        );
    }
}
