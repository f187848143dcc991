use super::*;

fn ask<'a>(method: &'a str, path: &'a str, query: &'a str, body: &'a [u8]) -> Ask<'a> {
    Ask {
        method,
        path,
        query,
        body,
        seed: 1,
        uptime: 5.0,
        version: "2.0.0",
        now: Timestamp::UNIX_EPOCH,
        served: 9,
        wrapped_signals: false,
    }
}

fn get(path: &str, faults: &[Kind]) -> Value {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    answer(ask("GET", path, query, b""), faults).body
}

#[track_caller]
fn check(line: &str, body: &[u8], status: u16) {
    let (method, target) = line.split_once(' ').unwrap();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let reply = answer(ask(method, path, query, body), &[]);
    assert_eq!(reply.status, status, "{line}: {}", reply.body);
    if status != 200 {
        assert!(!reply.body["detail"].is_null(), "{line}: {}", reply.body);
    }
}

#[test]
fn every_documented_path_answers() {
    let document = get("/openapi.json", &[]);
    for (path, item) in document["paths"].as_object().unwrap() {
        // Made of the counters, by the server.
        if item.get("get").is_some() && path != "/metrics" {
            check(
                &format!("GET {}", path.replace("{symbol}", "SPY")),
                b"",
                200,
            );
        }
    }
}

#[test]
fn what_is_wrong_is_told_as_wrong() {
    check("GET /api/v1/market-data/INVALID123", b"", 404);
    check("GET /api/v1/market-data/WAYTOOLONGSYMBOL", b"", 400);
    check("GET /api/v1/market-data/INVALID123/historical", b"", 404);
    check(
        "GET /api/v1/market-data/SPY/historical?period=1mo&interval=1d",
        b"",
        200,
    );
    check("GET /api/v1/market-data/SPY/historical?period=2y", b"", 422);
    check("GET /api/v1/nonexistent", b"", 404);
    check("GET /api/v1/signals/latest?limit=3", b"", 200);
    check("GET /api/v1/signals/latest?limit=0", b"", 422);
    check("HEAD /", b"", 405);
    check("GET /api/v1/monitoring/track-entry", b"", 405);
    check(
        "POST /api/v1/signals/batch",
        br#"{"symbols": ["AAPL", "SPY", "AMD"], "parameters": {"min_confidence": 0.7}}"#,
        200,
    );
    check("POST /api/v1/signals/batch", b"{}", 422);
    check("POST /api/v1/signals/batch", b"not json", 422);
    let entry = br#"{"signal_id": "1", "symbol": "SPY", "entry_price": 1, "quantity": 1, "entry_time": "2026-01-02T15:00:00Z"}"#;
    check("POST /api/v1/monitoring/track-entry", entry, 200);
    check(
        "POST /api/v1/monitoring/track-entry",
        br#"{"symbol": "SPY"}"#,
        422,
    );
}

#[test]
fn a_path_with_another_method_says_which_it_has() {
    let reply = answer(ask("DELETE", "/api/v1/signals/batch", "", b""), &[]);
    assert_eq!(reply.allow.as_deref(), Some("GET, POST"));
}

#[test]
fn both_shapes_of_the_signals_can_be_had() {
    let wrapped = Ask {
        wrapped_signals: true,
        ..ask("GET", "/api/v1/signals", "", b"")
    };
    assert_eq!(
        answer(wrapped, &[]).body["signals"],
        get("/api/v1/signals", &[])
    );
}

#[test]
fn faults_of_the_data_spoil_it() {
    assert_eq!(
        get("/api/v1/pipeline/stats", &[Kind::error_body()]),
        json!({"error": "Monitoring service not available"})
    );
    assert_eq!(get("/api/v1/signals", &[Kind::EmptyList]), json!([]));
    assert_eq!(
        get("/api/v1/market-data/SPY/historical", &[Kind::EmptyList])["data"],
        json!([])
    );
    assert_eq!(
        get("/api/v1/signals/SPY/insights", &[Kind::NoData])["recommendation"],
        "NO_DATA"
    );
    assert_eq!(
        get("/api/v1/market-data/INVALID123", &[Kind::Invented])["symbol"],
        "INVALID123"
    );
    assert_eq!(
        get("/api/v1/market-data/SPY", &[Kind::Stale])["timestamp"],
        "1969-12-31T00:00:00Z"
    );
    let quote = get("/api/v1/market-data/SPY", &[Kind::Incoherent]);
    assert!(
        quote["low"].as_f64() > quote["price"].as_f64()
            && quote["bid"].as_f64() > quote["ask"].as_f64(),
        "{quote}"
    );
}

#[test]
fn a_fault_of_the_data_leaves_refusals_alone() {
    let reply = answer(
        ask("GET", "/api/v1/nonexistent", "", b""),
        &[Kind::error_body(), Kind::EmptyList],
    );
    assert_eq!(
        (reply.status, reply.body),
        (404, json!({"detail": "Not Found"}))
    );
}

#[test]
fn a_shadowed_route_answers_a_list_and_is_declared_late() {
    for path in [
        "/api/v1/signals/quality-report",
        "/api/v1/signals/precise-options?symbol=SPY",
    ] {
        assert!(get(path, &[]).is_object(), "{path}");
        assert_eq!(get(path, &[Kind::ShadowedRoute]), json!([]), "{path}");
    }
    let place = |faults: &[Kind], path: &str| {
        get("/openapi.json", faults)["paths"]
            .as_object()
            .unwrap()
            .keys()
            .position(|other| other == path)
    };
    let (template, literal) = ("/api/v1/signals/{symbol}", "/api/v1/signals/quality-report");
    assert!(place(&[], literal) < place(&[], template));
    assert!(place(&[Kind::ShadowedRoute], literal) > place(&[Kind::ShadowedRoute], template));
}
