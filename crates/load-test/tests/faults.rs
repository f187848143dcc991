//! What can go wrong under load, and what load-test says of it. Nothing may pass, hang past its stated end,
//! or end without a whole report.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

mod common;

use std::time::Duration;

use common::{Run, SIMPLE, broken, personas, run, sim};
use gs_sim::plan::Spread;
use gs_sim::{Fault, Kind, Plan, Sim, TlsMode};

/// Load of one path at a rate for a second.
#[track_caller]
fn load(url: &str, more: &[&str]) -> Run {
    let folder = tempfile::tempdir().unwrap();
    let path = personas(folder.path(), SIMPLE);
    let mut arguments = vec![url, "--rate", "40", "--duration", "1s", "--personas", &path];
    for (option, value) in [("--timeout", "1s"), ("--drain", "2s")] {
        if !more.contains(&option) {
            arguments.extend([option, value]);
        }
    }
    arguments.extend(more);
    run(&arguments)
}

/// A fault is a failed goal, with the kind of error and no lost request.
#[track_caller]
fn fails(kind: Kind, error: &str) {
    let shown = format!("{kind:?}");
    let sim = broken(kind);
    let run = load(&sim.url(), &[]);
    assert_eq!(
        (run.code, run.text("reason")),
        (1, "goals_missed"),
        "{shown}: {}",
        run.report["summary"]
    );
    assert_eq!(
        run.total("requests"),
        40,
        "{shown}: {}",
        run.report["summary"]
    );
    assert_eq!(
        run.errors().get(error).and_then(serde_json::Value::as_u64),
        Some(40),
        "{shown}: {:?}",
        run.errors()
    );
    let first = &run.report["details"]["errors"][0]["first"];
    assert_eq!(
        first["trace_id"].as_str().map(str::len),
        Some(32),
        "{shown}"
    );
}

#[test]
fn answers_that_are_wrong() {
    fails(Kind::status(500), "status");
    fails(Kind::status(404), "status");
    fails(Kind::error_body(), "check");
    fails(Kind::NotJson, "check");
    fails(Kind::WrongContentType, "check");
}

#[test]
fn answers_that_break_off() {
    fails(Kind::Drop, "closed");
    fails(Kind::Reset, "reset");
    fails(Kind::Truncated, "truncated");
    fails(Kind::HalfClosed, "truncated");
    fails(Kind::TruncatedChunks, "truncated");
    fails(Kind::Malformed, "malformed");
}

#[test]
fn answers_that_never_come() {
    fails(Kind::Silent, "timeout");
    fails(Kind::SlowDrip { millis: 200 }, "timeout");
}

#[test]
fn a_bad_body_is_kept() {
    let sim = broken(Kind::error_body());
    let run = load(&sim.url(), &[]);
    let first = &run.report["details"]["errors"][0]["first"];
    assert!(first["body"].as_str().unwrap().contains("error"), "{first}");
    assert!(
        run.check("error-rate<=1%")["evidence"][0]["text"]
            .as_str()
            .unwrap()
            .contains("`error` member")
    );
}

#[test]
fn slow_answers_are_named_and_warn() {
    let sim = broken(Kind::Delay {
        millis: 1100.0,
        spread: Spread::Fixed,
    });
    let run = load(
        &sim.url(),
        &["--timeout", "5s", "--drain", "5s", "--goal", "p50<5s"],
    );
    assert_eq!(
        run.text("reason"),
        "goals_warned",
        "{}",
        run.report["summary"]
    );
    assert_eq!(run.report["details"]["slow"][0]["name"], "/api/v1/signals");
    assert_eq!(run.report["details"]["slow"][0]["requests"], 40);
    let strict = load(
        &sim.url(),
        &[
            "--timeout",
            "5s",
            "--drain",
            "5s",
            "--goal",
            "p50<5s",
            "--strict",
        ],
    );
    assert_eq!((run.code, strict.code), (0, 1));
}

#[test]
fn what_is_open_at_the_end_is_counted() {
    let sim = broken(Kind::Silent);
    let run = load(&sim.url(), &["--timeout", "1m", "--drain", "500ms"]);
    assert_eq!(run.code, 1, "{}", run.report["summary"]);
    assert_eq!(run.report["details"]["generator"]["unfinished"], 40);
    assert_eq!(run.total("requests"), 40);
    assert!(run.took < Duration::from_secs(20));
}

#[test]
fn arrivals_without_a_connection_are_counted() {
    let sim = broken(Kind::Silent);
    let run = load(
        &sim.url(),
        &["--timeout", "1m", "--drain", "500ms", "--connections", "4"],
    );
    let generator = &run.report["details"]["generator"];
    assert_eq!(
        (
            generator["unfinished"].as_u64(),
            generator["dropped"].as_u64()
        ),
        (Some(4), Some(36))
    );
    assert_eq!((run.code, run.total("requests")), (1, 40));
    assert_eq!(run.check("dropped<=0")["verdict"], "fail");
    assert_eq!(run.check("late<=1%")["verdict"], "fail");
}

#[test]
fn a_dead_target_is_no_verdict() {
    let address = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    for model in [["--users", "3"], ["--rate", "10"]] {
        let run = run(&[
            &format!("http://{address}"),
            model[0],
            model[1],
            "--duration",
            "1s",
        ]);
        assert_eq!((run.code, run.text("reason")), (3, "target_unreachable"));
        assert!(
            run.text("summary").contains("refused"),
            "{}",
            run.text("summary")
        );
    }
}

#[test]
fn a_target_that_dies_on_the_way_fails() {
    let sim = sim(vec![Fault {
        from_seconds: Some(1.0),
        ..Fault::new(Kind::Drop)
    }]);
    let folder = tempfile::tempdir().unwrap();
    let path = personas(folder.path(), SIMPLE);
    let run = run(&[
        &sim.url(),
        "--users",
        "3",
        "--ramp",
        "0s",
        "--duration",
        "3s",
        "--personas",
        &path,
    ]);
    assert_eq!(
        (run.code, run.text("reason")),
        (1, "goals_missed"),
        "{}",
        run.report["summary"]
    );
}

#[test]
fn tls_is_spoken_and_its_faults_are_told() {
    let secure = |mode| {
        Sim::start(&Plan {
            tls: Some(mode),
            ..Plan::default()
        })
        .unwrap()
    };
    let folder = tempfile::tempdir().unwrap();
    let authority = folder.path().join("ca.pem");
    let good = secure(TlsMode::Valid);
    good.write_authority(&authority).unwrap();
    let authority = authority.to_str().unwrap();
    let run = load(&good.url(), &["--cacert", authority, "--goal", "mean<5s"]);
    assert_eq!(
        (run.code, run.total("failures")),
        (0, 0),
        "{}",
        run.report["summary"]
    );
    for mode in [TlsMode::Expired, TlsMode::SelfSigned] {
        let sim = secure(mode);
        let run = load(&sim.url(), &["--cacert", authority]);
        assert_eq!(
            (run.code, run.text("reason")),
            (3, "target_unreachable"),
            "{mode:?}"
        );
        assert!(
            run.text("summary").contains("TLS"),
            "{}",
            run.text("summary")
        );
    }
}

#[test]
fn connections_may_be_fresh() {
    let sim = sim(Vec::new());
    let kept = load(&sim.url(), &["--goal", "mean<5s"]);
    let fresh = load(&sim.url(), &["--goal", "mean<5s", "--no-keep-alive"]);
    let opened = |run: &Run| {
        run.report["details"]["generator"]["connections_opened"]
            .as_u64()
            .unwrap()
    };
    assert!(opened(&kept) < 40, "{}", opened(&kept));
    assert_eq!((opened(&fresh), fresh.total("failures")), (40, 0));
}

/// A server that closes every connection after one answer, and says so only by doing it.
fn closing() -> std::net::SocketAddr {
    use std::io::{Read as _, Write as _};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let mut buffer = [0; 2048];
                if stream.read(&mut buffer).is_ok_and(|read| read > 0) {
                    let _ = stream
                        .write_all(b"HTTP/1.0 200 OK\r\ncontent-type: application/json\r\n\r\n{}");
                }
            });
        }
    });
    address
}

#[test]
fn a_server_that_closes_after_each_answer_is_asked_again() {
    let url = format!("http://{}", closing());
    for model in [["--users", "4"], ["--rate", "40"]] {
        let folder = tempfile::tempdir().unwrap();
        let path = personas(folder.path(), SIMPLE);
        let run = run(&[
            &url,
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
        ]);
        assert_eq!(
            (run.code, run.total("failures")),
            (0, 0),
            "{}",
            run.report["details"]["errors"]
        );
        assert!(run.total("requests") > 50, "{}", run.text("summary"));
        let opened = run.report["details"]["generator"]["connections_opened"].as_u64();
        assert_eq!(opened, Some(run.total("requests")));
    }
}

/// A persona that holds a WebSocket.
const LIVE: &str = r#"
[[personas]]
name = "live"
[personas.websocket]
path = "/ws/signals"
send = [{ type = "subscribe", topic = "signals" }]
expect = [{ path = "$.action", equals = "confirmed" }]
within = "1s"
hold = "1s"
ping = "200ms"
reconnect = "100ms"
"#;

#[track_caller]
fn live(faults: Vec<Fault>) -> Run {
    let sim = sim(faults);
    let folder = tempfile::tempdir().unwrap();
    let path = personas(folder.path(), LIVE);
    run(&[
        &sim.url(),
        "--users",
        "5",
        "--ramp",
        "0s",
        "--duration",
        "3s",
        "--personas",
        &path,
        "--goal",
        "mean<5s",
    ])
}

#[test]
fn users_hold_websockets() {
    let run = live(Vec::new());
    let channel = &run.report["details"]["websockets"][0];
    assert!(channel["opened"].as_u64().unwrap() >= 10, "{channel}");
    assert_eq!(channel["opened"], channel["attempts"]);
    assert_eq!(
        (channel["drops"].as_u64(), run.total("failures")),
        (Some(0), 0),
        "{}",
        run.report["details"]["errors"]
    );
    assert!(channel["latency_ms"]["p95"].is_number() && channel["connect_ms"]["p95"].is_number());
}

#[test]
fn websockets_that_do_not_open_or_stay_fail() {
    for (kind, error) in [
        (Kind::WsRefused { status: 503 }, "ws_refused"),
        (Kind::WsSilent, "ws_silent"),
        (Kind::WsNotJson, "ws_silent"),
        (Kind::WsClosed { code: 1011 }, "ws_closed"),
        (Kind::WsDropped, "ws_closed"),
    ] {
        let shown = format!("{kind:?}");
        let run = live(vec![Fault::new(kind)]);
        assert_eq!(run.code, 1, "{shown}: {}", run.report["summary"]);
        assert!(
            run.errors().contains_key(error),
            "{shown}: {:?}",
            run.errors()
        );
    }
}

#[cfg(unix)]
#[test]
fn too_few_descriptors_are_no_verdict() {
    let sim = sim(Vec::new());
    let limited = |arguments: &str| {
        let line = format!(
            "ulimit -n 64 && exec '{}' '{}' {arguments} --output json",
            env!("CARGO_BIN_EXE_load-test"),
            sim.url()
        );
        let began = std::time::Instant::now();
        let output = std::process::Command::new("sh")
            .args(["-c", &line])
            .output()
            .unwrap();
        common::Run::read(&output, began.elapsed())
    };
    let users = limited("--users 100 --duration 2s");
    assert_eq!(
        (users.code, users.text("reason")),
        (3, "descriptor_limit"),
        "{}",
        users.report["summary"]
    );
    sim.set_faults([Fault::new(Kind::Silent)]);
    let rate = limited("--rate 200 --duration 1s --timeout 2s --drain 1s --goal 'mean<10s'");
    assert!(
        rate.code == 3 || rate.code == 1,
        "{}",
        rate.report["summary"]
    );
    assert!(rate.errors().contains_key("local"), "{:?}", rate.errors());
    assert!(rate.report["details"]["generator"]["saturated"].is_string());
}

/// A server of the simplest kind, so that the truth is known: it answers at once, except between two moments
/// after its first request, when it answers nothing. A thread for each connection.
fn stalling(from: Duration, until: Duration) -> std::net::SocketAddr {
    use std::io::{BufRead as _, BufReader, Write as _};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let began = std::sync::Arc::new(std::sync::OnceLock::new());
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let began = std::sync::Arc::clone(&began);
            std::thread::spawn(move || {
                let _ = stream.set_nodelay(true);
                let Ok(mut writer) = stream.try_clone() else {
                    return;
                };
                let mut reader = BufReader::new(stream);
                // Nobody sends on it: waiting for it is a pause that needs no sleep.
                let (_keep, pause) = std::sync::mpsc::channel::<()>();
                loop {
                    let mut line = String::new();
                    loop {
                        line.clear();
                        match reader.read_line(&mut line) {
                            Ok(0) | Err(_) => return,
                            Ok(_) if line == "\r\n" => break,
                            Ok(_) => {}
                        }
                    }
                    let at = began.get_or_init(std::time::Instant::now).elapsed();
                    if (from..until).contains(&at) {
                        let _ = pause.recv_timeout(until - at);
                    }
                    let answer = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}";
                    if writer.write_all(answer).is_err() {
                        return;
                    }
                }
            });
        }
    });
    address
}

/// A run against a server that stops for two seconds, over ten connections.
fn stalled(rate: &str, duration: &str) -> Run {
    let address = stalling(Duration::from_secs(3), Duration::from_secs(5));
    let folder = tempfile::tempdir().unwrap();
    let path = personas(folder.path(), SIMPLE);
    let url = format!("http://{address}");
    run(&[
        &url,
        "--rate",
        rate,
        "--connections",
        "10",
        "--duration",
        duration,
        "--personas",
        &path,
        "--goal",
        "p95<200ms",
    ])
}

fn response_ms(run: &Run, name: &str) -> f64 {
    run.report["details"]["total"]["response_ms"][name]
        .as_f64()
        .unwrap()
}

#[test]
fn a_server_that_stalls_hides_nothing() {
    // Stopped for 2 of 8 s. A quarter of the arrivals is due in the stall and waits evenly for 2 to 0 s: the
    // truth is p95 = 2 s x (1 - 0.05/0.25) = 1.6 s and p99 = 2 s x (1 - 0.01/0.25) = 1.92 s. A busy machine
    // can only add to that.
    let run = stalled("200", "8s");
    assert_eq!(run.total("requests"), 1600, "{}", run.report["summary"]);
    for (name, truth) in [("p95", 1600.0), ("p99", 1920.0)] {
        let seen = response_ms(&run, name);
        assert!(seen > truth * 0.97, "{name}: {seen} ms, {truth} ms is true");
    }
    assert!(
        run.report["details"]["generator"]["waited"]
            .as_u64()
            .unwrap()
            > 300
    );
    assert_eq!((run.code, run.text("reason")), (1, "goals_missed"));
}
