//! The query listener: right answers from a history, and each way to go wrong.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

mod common;

use std::io::Write as _;
use std::net::TcpStream;
use std::time::Duration;

use common::{Answer, End, ask_at, connect, read_all, request};
use gs_sim::prometheus::{Misbehaving, Mood};
use gs_sim::rollout::{Behaviour, History, Rollout, RolloutPlan};
use jiff::Timestamp;
use serde_json::Value;

/// The last scrape of the histories here.
const END: f64 = 1_700_000_900.0;

/// 15 minutes, scraped every 15 seconds.
fn history(behaviour: &str) -> History {
    let plan = RolloutPlan::new(3, 1, 20.0, Behaviour::parse_short(behaviour).unwrap());
    History::of(&plan, END, 900.0, 15.0).unwrap()
}

fn listener(behaviour: &str) -> Misbehaving {
    Misbehaving::start(history(behaviour)).unwrap()
}

fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

fn ask(prometheus: &Misbehaving, path: &str) -> Answer {
    ask_at(prometheus.address(), "GET", path, "")
}

/// The answer to an instant query.
fn query_at(prometheus: &Misbehaving, query: &str, at: f64) -> Answer {
    ask(
        prometheus,
        &format!("/api/v1/query?query={}&time={at}", encoded(query)),
    )
}

#[track_caller]
fn data(answer: &Answer, kind: &str) -> Vec<Value> {
    let json = answer.json();
    assert_eq!(
        (answer.status, &json["status"]),
        (200, &"success".into()),
        "{json}"
    );
    assert_eq!(json["data"]["resultType"], kind);
    json["data"]["result"].as_array().unwrap().clone()
}

fn value(point: &Value) -> f64 {
    point[1].as_str().unwrap().parse().unwrap()
}

#[test]
fn a_range_of_raw_counters_is_what_the_scrapes_found() {
    let prometheus = listener("healthy");
    let query = r#"http_requests_total{deployment="goldensignals-canary",endpoint="/signals/{symbol}",status="200"}[60s]"#;
    let found = data(&query_at(&prometheus, query, END), "matrix");
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0]["metric"]["pod"], "canary-0");
    assert_eq!(found[0]["metric"]["namespace"], "production");
    assert_eq!(found[0]["metric"]["__name__"], "http_requests_total");
    let points = found[0]["values"].as_array().unwrap();
    // The left end of a range is open.
    let moments: Vec<f64> = points
        .iter()
        .map(|point| point[0].as_f64().unwrap())
        .collect();
    assert_eq!(moments, [END - 45.0, END - 30.0, END - 15.0, END]);
    assert!(points.is_sorted_by(|a, b| value(a) <= value(b)));

    let by_form = request(
        "POST",
        "/api/v1/query",
        &format!("query={}&time={END}", encoded(query)),
    );
    let mut stream = connect(prometheus.address());
    stream.write_all(by_form.as_bytes()).unwrap();
    let answer = Answer::of(&read_all(&mut stream, 1 << 20).0);
    assert_eq!(data(&answer, "matrix"), found);
    assert_eq!(prometheus.asked()[1].param("query"), Some(query));
}

#[test]
fn an_instant_and_a_range_query_agree() {
    let prometheus = listener("healthy");
    let query = r#"http_request_duration_seconds_bucket{le="1.0",deployment=~"goldensignals.*"}"#;
    let instant = data(&query_at(&prometheus, query, END), "vector");
    // Three routes on four pods.
    assert_eq!(instant.len(), 12);
    let path = format!(
        "/api/v1/query_range?query={}&start={}&end={END}&step=30s",
        encoded(query),
        END - 300.0
    );
    let range = data(&ask(&prometheus, &path), "matrix");
    assert_eq!(range.len(), 12);
    for (now, over_time) in instant.iter().zip(&range) {
        let points = over_time["values"].as_array().unwrap();
        assert_eq!((points.len(), &now["metric"]), (11, &over_time["metric"]));
        assert_eq!(now["value"], points[10]);
    }
}

#[test]
fn a_series_is_stale_once_a_scrape_has_not_found_it() {
    let prometheus = listener("crash-loop");
    let at = |query: &str, seconds: f64| {
        let query = format!("{query}{{deployment=\"goldensignals-canary\"}}");
        data(
            &query_at(&prometheus, &query, END - 900.0 + seconds),
            "vector",
        )
    };
    assert_eq!(at("process_start_time_seconds", 40.0).len(), 1);
    assert_eq!(value(&at("up", 40.0)[0]["value"]), 1.0);
    assert_eq!(at("process_start_time_seconds", 70.0).len(), 0);
    assert_eq!(value(&at("up", 70.0)[0]["value"]), 0.0);
    assert_eq!(at("up", 900.0 + 299.0).len(), 1);
    assert_eq!(at("up", 900.0 + 300.0).len(), 0);
    let restarts = r#"kube_pod_container_status_restarts_total{pod="canary-0"}"#;
    assert_eq!(
        value(&data(&query_at(&prometheus, restarts, END), "vector")[0]["value"]),
        10.0
    );
}

#[test]
fn series_labels_numbers_and_the_build_are_known() {
    let prometheus = listener("healthy");
    let series = ask(
        &prometheus,
        &format!("/api/v1/series?match[]={}", encoded("up{}")),
    )
    .json();
    assert_eq!(series["data"].as_array().unwrap().len(), 4);
    let pods = ask(&prometheus, "/api/v1/label/pod/values").json();
    assert_eq!(
        pods["data"],
        serde_json::json!(["canary-0", "stable-0", "stable-1", "stable-2"])
    );
    let now = query_at(&prometheus, "time()", 5.5).json();
    assert_eq!(now["data"]["result"], serde_json::json!([5.5, "5.5"]));
    assert!(ask(&prometheus, "/api/v1/status/buildinfo").json()["data"]["version"].is_string());
    assert_eq!(ask(&prometheus, "/-/ready").status, 200);
    assert_eq!(ask(&prometheus, "/nowhere").status, 404);
}

#[track_caller]
fn refuses(path: &str, said: &str) {
    let answer = ask(&listener("healthy"), path);
    let json = answer.json();
    assert_eq!(
        (answer.status, &json["errorType"]),
        (400, &"bad_data".into()),
        "{json}"
    );
    assert!(json["error"].as_str().unwrap().contains(said), "{json}");
}

#[test]
fn a_wrong_query_is_answered_as_prometheus_does() {
    refuses("/api/v1/query", "\"query\"");
    refuses("/api/v1/query?query=sum(up)", "parse error");
    refuses("/api/v1/query?query=up&time=noon", "valid timestamp");
    refuses("/api/v1/query_range?query=up&start=1&end=2", "\"step\"");
    refuses(
        "/api/v1/query_range?query=up&start=2&end=1&step=1",
        "before",
    );
    refuses(
        "/api/v1/query_range?query=up&start=0&end=1e9&step=1",
        "11,000",
    );
    refuses(
        "/api/v1/query_range?query=up[5m]&start=1&end=2&step=1",
        "range vector",
    );
}

/// What a mood makes of a query that has one right answer.
fn in_mood(mood: Mood) -> Answer {
    let prometheus = listener("healthy");
    prometheus.set(mood);
    query_at(&prometheus, "up{pod=\"canary-0\"}", END)
}

#[test]
fn answers_go_wrong_as_told() {
    assert_eq!(in_mood(Mood::Status(401)).status, 401);
    let busy = in_mood(Mood::Status(503));
    assert_eq!(
        (busy.status, &busy.json()["status"]),
        (503, &"error".into())
    );
    assert_eq!(
        in_mood(Mood::Status(502)).header("content-type"),
        Some("text/html; charset=utf-8")
    );
    let html = in_mood(Mood::Html);
    assert_eq!(
        (html.status, html.body.starts_with(b"<!doctype html>")),
        (200, true)
    );
    assert_eq!(in_mood(Mood::Body("[1".to_owned())).body, b"[1");
    let warned = in_mood(Mood::Warnings(vec!["half is missing".to_owned()]));
    assert_eq!(
        (
            warned.json()["warnings"][0].as_str(),
            data(&warned, "vector").len()
        ),
        (Some("half is missing"), 1)
    );
    assert_eq!(data(&in_mood(Mood::Empty), "vector").len(), 0);
    assert_eq!(data(&in_mood(Mood::NAN), "vector")[0]["value"][1], "NaN");
    assert_eq!(
        data(&in_mood(Mood::INFINITE), "vector")[0]["value"][1],
        "+Inf"
    );
    let huge = in_mood(Mood::Huge(3 << 20));
    assert!(huge.body.len() > 3 << 20 && data(&huge, "vector").len() > 1000);
    let login = in_mood(Mood::Login);
    assert_eq!(
        (login.status, login.header("location")),
        (302, Some("/login"))
    );
}

#[test]
fn connections_go_wrong_as_told() {
    let prometheus = listener("healthy");
    let raw = || {
        let mut stream = connect(prometheus.address());
        stream
            .write_all(request("GET", "/api/v1/query?query=up&time=1700000900", "").as_bytes())
            .unwrap();
        read_all(&mut stream, 1 << 20)
    };
    let whole = Answer::of(&raw().0).body.len();
    prometheus.set(Mood::Cut);
    assert_eq!(Answer::of(&raw().0).body.len(), whole / 2);
    prometheus.set(Mood::Silent);
    assert_eq!(raw(), (Vec::new(), End::Closed));
    for _ in 0..3 {
        prometheus.set(Mood::Down);
        assert!(TcpStream::connect(prometheus.address()).is_err());
        prometheus.set(Mood::Right);
        assert_eq!(Answer::of(&raw().0).status, 200);
    }
    prometheus.set_next([Mood::Status(503), Mood::Silent]);
    assert_eq!(Answer::of(&raw().0).status, 503);
    assert_eq!(raw().0, b"");
    assert_eq!(Answer::of(&raw().0).status, 200);
    prometheus.set(Mood::Slow(Duration::from_secs(60)));
    let mut stream = connect(prometheus.address());
    stream
        .set_read_timeout(Some(Duration::from_millis(100)))
        .unwrap();
    stream
        .write_all(request("GET", "/api/v1/query?query=up", "").as_bytes())
        .unwrap();
    assert_eq!(read_all(&mut stream, 1 << 20), (Vec::new(), End::Silent));
}

#[test]
fn a_clock_may_be_off_in_the_header_or_in_everything() {
    let prometheus = listener("healthy");
    let date = |answer: &Answer| {
        let date = answer.header("date").unwrap().replace("GMT", "+0000");
        Timestamp::strptime("%a, %d %b %Y %H:%M:%S %z", date)
            .unwrap()
            .as_second()
    };
    let ahead = |answer: &Answer| date(answer) - Timestamp::now().as_second();
    assert!(ahead(&query_at(&prometheus, "up", END)).abs() < 5);
    prometheus.set(Mood::DateAhead(600));
    let answer = query_at(&prometheus, "up", END);
    assert!((ahead(&answer) - 600).abs() < 5);
    assert_eq!(data(&answer, "vector").len(), 4);
    prometheus.set(Mood::ClockAhead(600));
    let answer = query_at(&prometheus, "up", END);
    assert!((ahead(&answer) - 600).abs() < 5);
    let raw = data(
        &query_at(&prometheus, "up{pod='canary-0'}[1m]", END + 600.0),
        "matrix",
    );
    assert_eq!(raw[0]["values"][3][0], END + 600.0);
    // A server that is behind has nothing yet at the asker's time.
    prometheus.set(Mood::ClockAhead(-600));
    assert_eq!(data(&query_at(&prometheus, "up", END), "vector").len(), 0);
}

#[test]
fn who_does_not_authenticate_is_refused() {
    let prometheus = listener("healthy");
    prometheus.demand(Some("Bearer right"));
    let status = |header: &str| {
        let mut stream = connect(prometheus.address());
        let text =
            format!("GET /api/v1/query?query=up HTTP/1.1\r\nconnection: close\r\n{header}\r\n");
        stream.write_all(text.as_bytes()).unwrap();
        Answer::of(&read_all(&mut stream, 1 << 20).0).status
    };
    assert_eq!(status(""), 401);
    assert_eq!(status("authorization: Bearer wrong\r\n"), 401);
    assert_eq!(status("authorization: Bearer right\r\n"), 200);
    assert_eq!(
        prometheus.asked()[2].header("authorization"),
        Some("Bearer right")
    );
}

#[test]
fn a_running_rollout_writes_its_history() {
    let plan = RolloutPlan {
        scrape_interval: Duration::from_millis(20),
        ..RolloutPlan::default().with_time_scale(100.0)
    };
    let rollout = Rollout::start(&plan).unwrap();
    let prometheus = Misbehaving::start(rollout.history()).unwrap();
    while rollout.history().len() < 5 {
        std::thread::park_timeout(Duration::from_millis(5));
    }
    let now = ask(&prometheus, "/api/v1/query?query=process_cpu_seconds_total");
    assert_eq!(data(&now, "vector").len(), 7);
    let points = data(
        &ask(
            &prometheus,
            "/api/v1/query?query=up%7Bpod%3D%22canary-0%22%7D%5B1m%5D",
        ),
        "matrix",
    );
    assert!(points[0]["values"].as_array().unwrap().len() >= 5);
}
