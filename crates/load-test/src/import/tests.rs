use super::*;
use crate::compare::model::{Metric, TOTAL};
use proptest::prelude::*;

const LOCUST: &str = include_str!("../../tests/fixtures/foreign/locust-2.47-stats.csv");
const PYTEST: &str = include_str!("../../tests/fixtures/foreign/pytest-benchmark.json");
const K6_EXPORT: &str = include_str!("../../tests/fixtures/foreign/k6-summary-export.json");
const K6_HANDLE: &str = include_str!("../../tests/fixtures/foreign/k6-handle-summary.json");
const K6_LIST: &str = include_str!("../../tests/fixtures/foreign/k6-machine-readable.json");

fn read(text: &str) -> Imported {
    run("file", text.as_bytes()).unwrap()
}

#[track_caller]
fn refuses(text: &str, why: &str) {
    let error = run("file", text.as_bytes()).unwrap_err();
    assert!(error.message.contains(why), "{error}");
}

#[test]
fn locusts_stats_are_read_with_method_and_name() {
    let imported = read(LOCUST);
    assert_eq!(imported.format, "locust-csv");
    let rows = &imported.run.rows;
    let names: Vec<&str> = rows.keys().map(String::as_str).collect();
    assert_eq!(names, ["GET /", "GET /missing \"quoted\", [x]", TOTAL]);
    let total = &rows[TOTAL];
    assert_eq!(total.requests, 724);
    assert_eq!(total.metrics[&Metric::P95], 13.0);
    assert!((total.metrics[&Metric::Failures] - 184.0 / 724.0).abs() < 1e-12);
    assert!((total.metrics[&Metric::Throughput] - 181.157_907_798_507_52).abs() < 1e-9);
    // An older Locust calls the type of the last row `None`, and has percentiles that are not there.
    let old = "\"Type\",\"Name\",\"Request Count\",\"Failure Count\",\"Median Response Time\",\"Requests/s\",\"95%\"\n\
               \"GET\",\"/\",10,0,4,1.5,N/A\n\"None\",\"Aggregated\",10,0,4,1.5,N/A\n";
    let old = read(old).run;
    assert_eq!(old.rows[TOTAL].metrics.get(&Metric::P95), None);
    assert_eq!(old.rows[TOTAL].metrics[&Metric::P50], 4.0);
}

#[test]
fn locusts_stats_that_were_cut_or_are_others_are_refused() {
    refuses(
        "Type,Name,Request Count,Median\nGET,/,1,1\n",
        "no column `Failure Count`",
    );
    let cut = LOCUST.lines().take(2).collect::<Vec<_>>().join("\n");
    refuses(&cut, "counts no request");
    let short = format!("{}\nGET,/x,5", LOCUST.lines().next().unwrap());
    refuses(&short, "line 2 ends early");
    refuses(
        &LOCUST.replace(",540,0,", ",540,541,"),
        "more failures than requests",
    );
    refuses(&LOCUST.replace(",540,0,", ",many,0,"), "holds no number");
    refuses(&LOCUST.replace(",540,0,", ",-1,0,"), "holds no number");
    let doubled = format!("{LOCUST}{}", LOCUST.lines().nth(1).unwrap());
    refuses(&doubled, "comes twice");
}

#[test]
fn both_older_forms_of_k6_say_the_same() {
    let (export, handle) = (read(K6_EXPORT), read(K6_HANDLE));
    assert_eq!((export.format, handle.format), ("k6-summary", "k6-summary"));
    assert_eq!(export.run.rows, handle.run.rows);
    // What k6 adds of itself is no endpoint.
    assert!(
        export
            .run
            .rows
            .keys()
            .all(|name| !name.contains("expected_response"))
    );
    let total = &export.run.rows[TOTAL];
    assert_eq!(total.requests, 441);
    assert_eq!(total.metrics[&Metric::P50], 3.958464);
    assert_eq!(total.metrics[&Metric::P95], 11.61276);
    assert_eq!(total.metrics[&Metric::Failures], 41.0 / 441.0);
    assert_eq!(export.run.rows["signals"].requests, 400);
    // How many requests a sub-metric has is not told here, so it can be judged by nothing.
    assert_eq!(export.run.rows["missing"].value(Metric::P50), None);
    refuses(
        &K6_EXPORT.replace("\"count\": 441", "\"count\": 0"),
        "counts no HTTP request",
    );
    refuses(
        &K6_EXPORT.replace("\"med\": 3.958464", "\"med\": -1"),
        "no positive number",
    );
    refuses(
        &K6_EXPORT.replace("\"value\": 0.09", "\"value\": 7.09"),
        "no share",
    );
}

#[test]
fn k6s_list_of_metrics_is_read_like_its_older_forms() {
    let imported = read(K6_LIST);
    assert_eq!(imported.format, "k6-summary");
    let rows = &imported.run.rows;
    let names: Vec<&str> = rows.keys().map(String::as_str).collect();
    assert_eq!(names, read(K6_EXPORT).run.rows.keys().collect::<Vec<_>>());
    assert_eq!(imported.run.identity, read(K6_EXPORT).run.identity);
    let total = &rows[TOTAL];
    let document: Value = serde_json::from_str(K6_LIST).unwrap();
    let seconds = document["config"]["duration"].as_f64().unwrap();
    assert_eq!(total.requests, 441);
    assert_eq!(total.metrics[&Metric::P50], 4.533507);
    assert_eq!(total.metrics[&Metric::P90], 9.472669);
    assert_eq!(total.metrics[&Metric::P95], 10.996616);
    assert_eq!(total.metrics[&Metric::Failures], 41.0 / 441.0);
    assert_eq!(total.metrics[&Metric::Throughput], 441.0 / seconds);
    assert_eq!(rows["signals"].requests, 400);
    // Percentiles that the script did not ask for are null there, and absent here.
    let fewer = read(&K6_LIST.replace("\"p95\": 10.996616", "\"p95\": null"));
    assert_eq!(fewer.run.rows[TOTAL].metrics.get(&Metric::P95), None);
}

#[test]
fn a_list_of_metrics_that_is_not_known_is_refused() {
    refuses(
        &K6_LIST.replace("\"version\": \"1.0.0\"", "\"version\": \"2.0.0\""),
        "a k6 summary of version \"2.0.0\", and only version 1 is known",
    );
    refuses(
        &K6_LIST.replace("\"version\": \"1.0.0\"", "\"v\": 1"),
        "a k6 summary of version none",
    );
    refuses(
        &K6_LIST.replace("\"name\": \"http_reqs\"", "\"title\": \"http_reqs\""),
        "has no `name`",
    );
    refuses(
        &K6_LIST.replace("\"name\": \"iterations\"", "\"name\": \"http_reqs\""),
        "metric `http_reqs` comes twice",
    );
    refuses(
        &K6_LIST.replace("\"duration\": 0", "\"duration\": -0"),
        "no positive number of seconds",
    );
    refuses(
        &K6_LIST.replace("\"name\": \"http_req_duration\"", "\"name\": \"other\""),
        "no metric `http_req_duration`",
    );
    refuses(
        "{\"metadata\": {\"k6_version\": \"1.8.1\"}, \"version\": \"1.0.0\", \"results\": []}",
        "no list `results.metrics`",
    );
}

#[test]
fn pytest_benchmarks_are_read_in_milliseconds_with_their_machine() {
    let imported = read(PYTEST);
    assert_eq!(imported.format, "pytest-benchmark");
    let run = &imported.run;
    assert_eq!(run.rows.len(), 2);
    let (name, row) = run.rows.iter().next().unwrap();
    assert!(name.starts_with("test_api.py::test_"), "{name}");
    let document: Value = serde_json::from_str(PYTEST).unwrap();
    let stats = document["benchmarks"]
        .as_array()
        .unwrap()
        .iter()
        .find(|benchmark| benchmark["fullname"] == name.as_str())
        .unwrap()["stats"]
        .clone();
    assert_eq!(
        row.metrics[&Metric::P50],
        stats["median"].as_f64().unwrap() * 1e3
    );
    assert_eq!(row.requests, stats["rounds"].as_u64().unwrap());
    assert!(run.started_at.is_some());
    // A clock that ticks otherwise is the same machine, another processor is not.
    let clock = read(
        &PYTEST
            .replace("1.9963 GHz", "2.1 GHz")
            .replace("1996250000", "2100000000"),
    );
    assert_eq!(clock.run.identity, run.identity);
    let other = read(&PYTEST.replace("AMD EPYC", "Intel Xeon"));
    assert_ne!(other.run.identity, run.identity);
    refuses(
        &PYTEST.replace("\"median\"", "\"midian\""),
        "`median` of benchmark",
    );
    refuses(
        "{\"benchmarks\": [], \"machine_info\": {}}",
        "holds no benchmark",
    );
}

#[test]
fn what_is_nothing_known_is_told_so() {
    refuses("", "it is empty");
    refuses("hello", "none of the formats");
    refuses("[1]", "none of the formats");
    refuses("{\"a\": 1}", "none of the formats");
    refuses(
        "{\"schema\": \"gs.report/v1\", \"tool\": {\"name\": \"smoke-test\"}}",
        "another tool",
    );
    refuses(
        "{\"schema\": \"gs.report/v1\", \"tool\": {\"name\": \"load-test\"}}",
        "without a recorded run",
    );
    refuses("{", "no JSON");
    assert!(run("file", &[0xff, 0xfe]).is_err());
}

/// A JSON report of load-test as far as comparing goes.
fn report(requests: u64, p95: &str) -> String {
    format!(
        r#"{{"schema": "gs.report/v1", "tool": {{"name": "load-test", "version": "0.1.0"}}, "reason": "goals_met",
            "started_at": "2026-11-24T02:00:00.000Z",
            "details": {{"identity": {{"model": "closed"}},
            "total": {{"name": "total", "requests": {requests}, "failures": 1, "requests_per_second": 10.5, "response_ms": {{"p50": 2.5, "p95": {p95}, "p99": null}}}},
            "endpoints": [{{"name": "/a", "requests": 3, "failures": 0, "response_ms": {{}}}}]}}}}"#
    )
}

#[test]
fn our_own_reports_are_read() {
    let run = read(&report(200, "7.5")).run;
    assert_eq!(run.rows[TOTAL].metrics[&Metric::P95], 7.5);
    assert_eq!(run.rows[TOTAL].metrics.get(&Metric::P99), None);
    assert_eq!(run.rows["/a"].requests, 3);
    assert_eq!(run.void, None);
    refuses(&report(0, "7.5"), "more failures than requests");
    refuses(&report(200, "\"fast\""), "no positive number");
    let saturated = report(200, "7.5").replace("goals_met", "generator_saturated");
    assert!(read(&saturated).run.void.is_some());
}

#[test]
fn cut_anywhere_nothing_makes_a_reader_panic() {
    for text in [
        LOCUST,
        PYTEST,
        K6_EXPORT,
        K6_HANDLE,
        K6_LIST,
        &report(200, "1"),
    ] {
        for end in 0..text.len() {
            if text.is_char_boundary(end) {
                let _ = run("file", &text.as_bytes()[..end]);
            }
        }
        // JSON that was cut is never JSON.
        if text.starts_with('{') {
            let end = text.trim_end().len() - 1;
            assert!(run("file", &text.as_bytes()[..end]).is_err());
        }
    }
}

proptest! {
    #[test]
    fn no_bytes_make_a_reader_panic(
        which in 0..5_usize,
        noise in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..5),
    ) {
        let mut bytes = [LOCUST, PYTEST, K6_EXPORT, K6_HANDLE, K6_LIST][which].as_bytes().to_vec();
        for (place, byte) in noise {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        let _ = run("file", &bytes);
    }

    #[test]
    fn no_text_makes_a_reader_panic(text in "(?s)(Type,Name,Request Count,|#\\[|\\{)?.{0,60}") {
        let _ = run("file", text.as_bytes());
    }
}
