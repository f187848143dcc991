//! A healthy service: every path, pods, metrics, and HTTP as it should be.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

mod common;

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::time::Duration;

use common::{Answer, PATIENCE, ask, connect, get, healthy, raw, read_all, request};
use gs_sim::{Balance, Fault, Kind, Plan, Pod, Sim};

#[test]
fn every_path_of_the_service_answers_as_promised() {
    let sim = healthy();
    let has = |target: &str, pointer: &str| {
        let answer = get(&sim, target);
        assert_eq!(answer.status, 200, "{target}");
        assert_eq!(
            answer.header("content-type"),
            Some("application/json"),
            "{target}"
        );
        assert!(
            answer.json().pointer(pointer).is_some(),
            "{target} has no {pointer}: {}",
            answer.json()
        );
    };
    for (target, pointers) in [
        ("/", &["/status", "/version"][..]),
        ("/health", &["/status"]),
        ("/api/v1/health", &["/status", "/services", "/version"]),
        (
            "/api/v1/signals",
            &["/0/symbol", "/7/action", "/0/confidence"],
        ),
        ("/api/v1/signals/latest?limit=2", &["/1/symbol"]),
        (
            "/api/v1/market-data/SPY",
            &[
                "/symbol",
                "/price",
                "/bid",
                "/ask",
                "/low",
                "/high",
                "/change",
                "/timestamp",
            ],
        ),
        (
            "/api/v1/market-data/SPY/historical?period=1mo&interval=1d",
            &["/data/29/close"],
        ),
        ("/api/v1/performance", &["/endpoints", "/uptime"]),
        ("/api/v1/market/opportunities", &["/opportunities/0"]),
        (
            "/api/v1/signals/SPY/insights",
            &["/symbol", "/recommendation"],
        ),
        (
            "/api/v1/signals/quality-report",
            &["/total_signals_generated", "/quality_metrics"],
        ),
        ("/api/v1/signals/precise-options?symbol=SPY", &["/options"]),
        ("/api/v1/monitoring/performance", &["/overall"]),
        (
            "/api/v1/monitoring/active-signals",
            &["/active_signals", "/count"],
        ),
        ("/api/v1/monitoring/recommendations", &["/recommendations"]),
        ("/api/v1/pipeline/stats", &["/filter_stats"]),
    ] {
        pointers.iter().for_each(|pointer| has(target, pointer));
    }
}

#[test]
fn refusals_say_why_in_json() {
    let sim = healthy();
    for (method, target, body, status) in [
        ("GET", "/api/v1/market-data/INVALID123", "", 404),
        ("GET", "/api/v1/market-data/WAYTOOLONGSYMBOL", "", 400),
        ("GET", "/api/v1/nonexistent", "", 404),
        ("GET", "/api/v1/signals/latest?limit=0", "", 422),
        ("POST", "/api/v1/signals/batch", "{}", 422),
        ("POST", "/", "", 405),
    ] {
        let answer = ask(&sim, method, target, body);
        assert_eq!(answer.status, status, "{method} {target}");
        assert!(answer.json().get("detail").is_some(), "{method} {target}");
    }
    assert_eq!(ask(&sim, "POST", "/", "").header("allow"), Some("GET"));
}

#[test]
fn writes_are_taken() {
    let sim = healthy();
    let batch = r#"{"symbols": ["AAPL", "MSFT", "SPY"], "parameters": {"min_confidence": 0.7, "include_indicators": true}}"#;
    assert_eq!(
        ask(&sim, "POST", "/api/v1/signals/batch", batch).json()["signals"]
            .as_array()
            .unwrap()
            .len(),
        3
    );
    let entry = r#"{"signal_id": "1", "symbol": "SPY", "entry_price": 5.0, "quantity": 1, "entry_time": "2026-01-02T15:00:00Z"}"#;
    assert_eq!(
        ask(&sim, "POST", "/api/v1/monitoring/track-entry", entry).json()["status"],
        "tracked"
    );
}

#[test]
fn bodies_repeat_with_the_seed() {
    let price = |seed| {
        let sim = Sim::start(&Plan {
            seed,
            ..Plan::default()
        })
        .unwrap();
        get(&sim, "/api/v1/market-data/SPY").json()["price"].clone()
    };
    assert_eq!(price(1), price(1));
    assert_ne!(price(1), price(2));
}

#[test]
fn a_head_request_has_no_body() {
    let sim = healthy();
    let (bytes, _) = {
        let mut stream = connect(sim.address());
        stream
            .write_all(request("HEAD", "/", "").as_bytes())
            .unwrap();
        read_all(&mut stream, 1 << 20)
    };
    let answer = Answer::of(&bytes);
    assert_eq!((answer.status, answer.body.len()), (405, 0));
}

#[test]
fn a_connection_is_kept_and_requests_may_follow_each_other_closely() {
    let sim = healthy();
    let mut stream = connect(sim.address());
    let one = "GET /api/v1/nonexistent HTTP/1.1\r\nhost: sim\r\n\r\n";
    stream.write_all(one.repeat(3).as_bytes()).unwrap();
    let mut reader = BufReader::new(stream);
    let mut ids = BTreeSet::new();
    for _ in 0..3 {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert!(
                reader.read_line(&mut head).unwrap() > 0,
                "closed after {head}"
            );
        }
        let answer = Answer::of(head.as_bytes());
        let mut body = vec![0; answer.header("content-length").unwrap().parse().unwrap()];
        reader.read_exact(&mut body).unwrap();
        ids.insert(answer.header("x-request-id").unwrap().to_owned());
    }
    assert_eq!(ids.len(), 3, "{ids:?}");
}

#[test]
fn what_is_no_request_is_told_so() {
    let sim = healthy();
    for (bytes, status) in [
        (&b"\x16\x03\x01\x00\xa5\x01\r\n\r\n"[..], 400),
        (
            b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
            411,
        ),
        (
            b"POST / HTTP/1.1\r\ncontent-length: 99999999\r\n\r\nabc",
            413,
        ),
    ] {
        let mut stream = connect(sim.address());
        stream.write_all(bytes).unwrap();
        let (answer, _) = read_all(&mut stream, 1 << 20);
        assert_eq!(Answer::of(&answer).status, status);
    }
}

#[test]
fn the_echo_shows_what_was_sent() {
    let sim = healthy();
    let mut stream = connect(sim.address());
    stream.write_all(b"GET /debug/echo?a=b HTTP/1.1\r\nHost: other\r\nX-Two: 1\r\nX-Two: 2\r\nconnection: close\r\n\r\n").unwrap();
    let echo = Answer::of(&read_all(&mut stream, 1 << 20).0).json();
    assert_eq!(
        (&echo["path"], &echo["query"]),
        (&"/debug/echo".into(), &"a=b".into())
    );
    let headers = &echo["headers"];
    assert_eq!(
        (&headers["host"], &headers["x-two"]),
        (&"other".into(), &"1, 2".into()),
        "{echo}"
    );
}

fn versions(sim: &Sim, requests: usize) -> Vec<String> {
    (0..requests)
        .map(|_| get(sim, "/").json()["version"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn pods_answer_in_turn_and_can_be_replaced() {
    let sim = Sim::start(&Plan::with_pods(&["2.0.0", "2.0.0", "1.9.9"])).unwrap();
    assert_eq!(versions(&sim, 4), ["2.0.0", "2.0.0", "1.9.9", "2.0.0"]);
    sim.set_pods([Pod {
        version: "2.1.0".into(),
        age_seconds: 0,
    }]);
    assert_eq!(versions(&sim, 2), ["2.1.0", "2.1.0"]);
    assert_eq!(
        get(&sim, "/openapi.json").json()["info"]["version"],
        "2.1.0"
    );
    assert_eq!(get(&sim, "/").header("x-version"), Some("2.1.0"));
    let uptime = get(&sim, "/api/v1/performance").json()["uptime"]
        .as_f64()
        .unwrap();
    assert!(0.0 < uptime && uptime < 60.0, "{uptime}");
}

#[test]
fn a_connection_stays_with_its_pod_where_the_plan_says_so() {
    let plan = Plan {
        balance: Balance::Connection,
        ..Plan::with_pods(&["1.0.0", "2.0.0"])
    };
    let sim = Sim::start(&plan).unwrap();
    assert_eq!(versions(&sim, 3), ["1.0.0", "2.0.0", "1.0.0"]);
    let mut stream = connect(sim.address());
    stream
        .write_all("GET / HTTP/1.1\r\n\r\n".repeat(2).as_bytes())
        .unwrap();
    stream
        .write_all(request("GET", "/", "").as_bytes())
        .unwrap();
    let (bytes, _) = read_all(&mut stream, 1 << 20);
    let text = String::from_utf8(bytes).unwrap();
    assert_eq!(text.matches("x-version: 2.0.0").count(), 3, "{text}");
}

/// The value of a sample, 0 for none.
fn sample(text: &str, name: &str) -> f64 {
    text.lines()
        .find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
        .unwrap_or(0.0)
}

#[test]
fn metrics_add_up_with_what_was_served() {
    let plan = Plan {
        metrics_prefix: "goldensignals_".into(),
        ..Plan::with_faults([
            Fault::on(Kind::status(503), "/api/v1/signals").first(2),
            Fault::on(
                Kind::delay(Duration::from_millis(30)),
                "/api/v1/performance",
            ),
            Fault::on(Kind::Drop, "/health"),
        ])
    };
    let sim = Sim::start(&plan).unwrap();
    (0..5).for_each(|_| drop(get(&sim, "/api/v1/signals")));
    (0..3).for_each(|_| drop(get(&sim, "/api/v1/performance")));
    get(&sim, "/api/v1/market-data/SPY");
    get(&sim, "/api/v1/market-data/AMD");
    get(&sim, "/api/v1/nonexistent");
    assert!(raw(&sim, "/health").0.is_empty());

    let metrics = get(&sim, "/metrics");
    assert_eq!(
        metrics.header("content-type"),
        Some("text/plain; version=0.0.4; charset=utf-8")
    );
    let text = String::from_utf8(metrics.body).unwrap();
    let total = |endpoint: &str, status: u16| {
        sample(
            &text,
            &format!(
                "goldensignals_http_requests_total{{method=\"GET\",endpoint=\"{endpoint}\",status=\"{status}\"}}"
            ),
        )
    };
    assert_eq!(total("/api/v1/signals", 503), 2.0);
    assert_eq!(total("/api/v1/signals", 200), 3.0);
    assert_eq!(total("/api/v1/market-data/{symbol}", 200), 2.0);
    assert_eq!(total("unmatched", 404), 1.0);
    // A connection that was dropped got no answer, so none was served.
    assert!(!text.contains("endpoint=\"/health\""), "{text}");
    let duration = |rest: &str| {
        sample(
            &text,
            &format!("goldensignals_http_request_duration_seconds{rest}"),
        )
    };
    let route = r#"{method="GET",endpoint="/api/v1/performance""#;
    assert_eq!(duration(&format!("_bucket{route},le=\"0.025\"}}")), 0.0);
    assert_eq!(duration(&format!("_bucket{route},le=\"+Inf\"}}")), 3.0);
    assert_eq!(duration(&format!("_count{route}}}")), 3.0);
    assert!(duration(&format!("_sum{route}}}")) >= 0.09, "{text}");
    assert_eq!(sim.count_once("GET", "/api/v1/signals", 5), 5);
}

#[test]
fn stopping_closes_the_door() {
    let sim = healthy();
    let address = sim.address();
    let mut open = connect(address);
    sim.stop();
    assert_eq!(
        open.read(&mut [0]).unwrap_or(0),
        0,
        "the connection is still open"
    );
    assert!(std::net::TcpStream::connect_timeout(&address, PATIENCE).is_err());
}
