//! Every fault that the simulation can inject, and what smoke-test says of it. None may pass, hang past
//! the deadline, or end without a whole report.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

mod common;

use std::time::Duration;

use common::{broken, pods, run, sim, suite};
use gs_sim::plan::Spread;
use gs_sim::{Fault, Kind, Plan, Sim, TlsMode};

/// The table: a fault, the checks that are run, the wanted reason.
#[track_caller]
fn fails(fault: Fault, only: &str, reason: &str) {
    let shown = format!("{fault:?}");
    let sim = sim(vec![fault]);
    let run = run(&[
        &sim.url(),
        "--only",
        only,
        "--timeout",
        "2s",
        "--deadline",
        "10s",
        "--retries",
        "0",
    ]);
    assert_eq!(run.code, 1, "{shown}: {}", run.report["summary"]);
    assert_eq!(run.report["verdict"], "fail", "{shown}");
    let reasons = run.reasons("fail");
    assert!(
        reasons.iter().any(|(code, _)| code == reason),
        "{shown}: {reasons:?}"
    );
    assert!(
        run.took < Duration::from_secs(12),
        "{shown} took {:?}",
        run.took
    );
}

#[test]
fn answers_that_are_wrong() {
    fails(
        Fault::on(
            Kind::Status {
                status: 500,
                retry_after: None,
            },
            "/",
        ),
        "root",
        "status",
    );
    fails(
        Fault::on(
            Kind::Status {
                status: 503,
                retry_after: Some(1),
            },
            "/",
        ),
        "root",
        "status",
    );
    fails(
        Fault::on(
            Kind::Redirect {
                to: "/login".into(),
            },
            "/",
        ),
        "root",
        "redirected",
    );
    fails(
        Fault::on(
            Kind::ErrorBody {
                message: "x".into(),
            },
            "/api/v1/pipeline/stats",
        ),
        "services",
        "error_body",
    );
    fails(
        Fault::on(Kind::EmptyList, "/api/v1/signals"),
        "core",
        "too_few_items",
    );
    fails(
        Fault::on(Kind::EmptyList, "*/historical"),
        "core",
        "too_few_items",
    );
    fails(Fault::on(Kind::NoData, "*/insights"), "core", "json_value");
    fails(
        Fault::on(Kind::Invented, "/api/v1/market-data/*"),
        "errors",
        "status",
    );
    fails(
        Fault::new(Kind::ShadowedRoute),
        "services",
        "shadowed_route",
    );
    fails(Fault::new(Kind::ShadowedRoute), "routes", "shadowed_route");
    fails(Fault::on(Kind::NotJson, "/"), "root", "not_json");
}

#[test]
fn answers_that_are_late() {
    let slow = Kind::Delay {
        millis: 1100.0,
        spread: Spread::Fixed,
    };
    let service = sim(vec![Fault::on(slow, "/api/v1/signals")]);
    let run = run(&[&service.url(), "--only", "signals-latency"]);
    assert_eq!(
        (run.code, run.reasons("fail")[0].0.as_str()),
        (1, "slow"),
        "{}",
        run.report["summary"]
    );
    let slower = Kind::Delay {
        millis: 5000.0,
        spread: Spread::Fixed,
    };
    fails(Fault::on(slower, "/"), "root", "timeout");
}

#[test]
fn answers_that_do_not_come() {
    fails(Fault::on(Kind::Drop, "/"), "root", "closed");
    fails(Fault::on(Kind::Reset, "/"), "root", "reset");
    fails(Fault::on(Kind::Silent, "/"), "root", "timeout");
    fails(Fault::new(Kind::Stall), "core", "timeout");
}

#[test]
fn answers_that_do_not_end_well() {
    fails(Fault::on(Kind::HalfClosed, "/"), "root", "truncated");
    fails(Fault::on(Kind::Truncated, "/"), "root", "truncated");
    fails(Fault::on(Kind::TruncatedChunks, "/"), "root", "truncated");
    fails(Fault::on(Kind::Endless, "/"), "root", "too_large");
    fails(
        Fault::on(Kind::SlowDrip { millis: 200 }, "/"),
        "root",
        "timeout",
    );
    fails(Fault::on(Kind::Malformed, "/"), "root", "malformed");
    fails(Fault::on(Kind::HugeHead, "/"), "root", "malformed");
    fails(Fault::on(Kind::GzipBomb, "/"), "root", "too_large");
    fails(Fault::on(Kind::BadGzip, "/"), "root", "bad_encoding");
}

#[test]
fn conversations_that_break() {
    fails(
        Fault::on(Kind::WsSilent, "/ws/signals"),
        "ws-signals",
        "ws_silent",
    );
    fails(Fault::on(Kind::WsSilent, "/ws"), "ws", "ws_silent");
    fails(
        Fault::on(Kind::WsLate { millis: 6000 }, "/ws"),
        "ws",
        "ws_silent",
    );
    fails(
        Fault::on(Kind::WsClosed { code: 1011 }, "/ws/signals"),
        "ws-signals",
        "ws_closed",
    );
    fails(
        Fault::on(Kind::WsDropped, "/ws/signals"),
        "ws-signals",
        "ws_closed",
    );
    fails(Fault::on(Kind::WsGarbage, "/ws"), "ws", "ws_protocol");
    fails(
        Fault::on(Kind::WsRefused { status: 403 }, "/ws"),
        "ws",
        "ws_refused",
    );
}

#[test]
fn a_wrong_content_type_is_seen_where_it_is_demanded() {
    let folder = tempfile::tempdir().unwrap();
    let text = "[[checks]]\nid = 'root'\nget = '/'\nexpect = { headers = { content-type = 'application/json' } }\n";
    let path = suite(folder.path(), text);
    let sim = broken(Kind::WrongContentType);
    let run = run(&[&sim.url(), "--suite", &path]);
    assert_eq!(
        (run.code, run.check("root")["reason"].as_str()),
        (1, Some("header"))
    );
}

#[test]
fn incoherent_data_warns() {
    let sim = sim(vec![Fault::on(Kind::Incoherent, "/api/v1/market-data/SPY")]);
    let run = run(&[&sim.url(), "--only", "market-data"]);
    assert_eq!(
        (run.code, run.report["verdict"].as_str()),
        (0, Some("warn"))
    );
    assert_eq!(run.check("market-data")["reason"], "invariant");
}

#[test]
fn an_old_pod_among_three_is_found() {
    let sim = pods(&["2.1.0", "2.0.9", "2.1.0"]);
    let run = run(&[&sim.url(), "--expect-version", "2.1.0"]);
    assert_eq!(
        (run.code, run.report["reason"].as_str()),
        (1, Some("wrong_version")),
        "{}",
        run.report["summary"]
    );
    let seen = run.check("deployed-version")["observed"]["value"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(
        seen.contains("2.1.0 x") && seen.contains("2.0.9 x"),
        "the spread is shown: {seen}"
    );
}

#[track_caller]
fn tls(mode: TlsMode, reason: Option<&str>, said: &str) {
    let sim = Sim::start(&Plan {
        tls: Some(mode),
        ..Plan::default()
    })
    .unwrap();
    let authority = tempfile::NamedTempFile::new().unwrap();
    gs_common::file::write_atomic(authority.path(), |out| {
        out.write_all(sim.authority_pem().unwrap().as_bytes())
    })
    .unwrap();
    let file = authority.path().display().to_string();
    let run = run(&[
        &sim.url(),
        "--cacert",
        &file,
        "--only",
        "core,ws,certificate",
    ]);
    match reason {
        None => assert_eq!(run.code, 0, "{}", run.report["summary"]),
        Some(reason) => {
            assert_eq!(run.code, 1, "{mode:?}");
            assert!(
                run.reasons("fail").iter().all(|(code, _)| code == reason),
                "{:?}",
                run.reasons("fail")
            );
            assert!(
                run.report["summary"].as_str().unwrap().contains(said),
                "{}",
                run.report["summary"]
            );
        }
    }
}

#[test]
fn certificates_are_judged() {
    tls(TlsMode::Valid, None, "");
    tls(TlsMode::Expired, Some("tls"), "expired on");
    tls(TlsMode::WrongName, Some("tls"), "it is for");
    tls(TlsMode::SelfSigned, Some("tls"), "not trusted");
}

#[test]
fn an_address_where_nobody_listens_fails_within_seconds() {
    let free = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let run = run(&[&format!("http://{free}")]);
    assert_eq!(
        (run.code, run.report["reason"].as_str()),
        (1, Some("checks_failed"))
    );
    assert!(
        run.reasons("fail")
            .iter()
            .all(|(code, _)| code == "refused")
    );
    assert!(run.took < Duration::from_secs(5), "{:?}", run.took);
}

#[test]
fn a_name_that_does_not_resolve_is_no_verdict() {
    let run = run(&["http://no-such-name.invalid"]);
    assert_eq!(
        (run.code, run.report["reason"].as_str()),
        (3, Some("target_unreachable"))
    );
}

#[test]
fn a_silent_service_fails_within_its_limits() {
    let sim = broken(Kind::Silent);
    let run = run(&[&sim.url(), "--timeout", "2s"]);
    assert_eq!(run.code, 1);
    assert!(run.took < Duration::from_secs(8), "{:?}", run.took);
}

#[test]
fn a_pass_after_a_retry_is_seen() {
    let fault = || Fault {
        first: Some(1),
        ..Fault::on(
            Kind::Status {
                status: 503,
                retry_after: None,
            },
            "/",
        )
    };
    let service = sim(vec![fault()]);
    let lenient = run(&[&service.url(), "--only", "root"]);
    let check = lenient.check("root");
    assert_eq!(
        (lenient.code, &check["flaky"], &check["attempts"]),
        (0, &true.into(), &2.into())
    );
    assert_eq!(check["tries"][0]["outcome"], "status");
    let service = sim(vec![fault()]);
    let strict = run(&[&service.url(), "--only", "root", "--fail-on-flaky"]);
    assert_eq!(
        (strict.code, strict.report["reason"].as_str()),
        (1, Some("flaky"))
    );
}

#[test]
fn a_wrong_body_is_not_retried() {
    let sim = broken(Kind::ErrorBody {
        message: "x".into(),
    });
    let run = run(&[&sim.url(), "--only", "pipeline-stats"]);
    assert_eq!(run.check("pipeline-stats")["attempts"], 1);
}

#[test]
fn a_service_that_comes_up_late_is_waited_for() {
    let late = Fault {
        until_seconds: Some(1.5),
        ..Fault::new(Kind::Status {
            status: 503,
            retry_after: None,
        })
    };
    let service = sim(vec![late]);
    let waited = run(&[&service.url(), "--only", "core", "--wait-ready", "20s"]);
    assert_eq!(waited.code, 0, "{}", waited.report["summary"]);
    let never = broken(Kind::Status {
        status: 503,
        retry_after: None,
    });
    let never = run(&[&never.url(), "--only", "core", "--wait-ready", "1500ms"]);
    assert_eq!(
        (never.code, never.report["reason"].as_str()),
        (3, Some("never_ready"))
    );
}

#[test]
fn an_endless_body_does_not_grow_memory() {
    let sim = broken(Kind::Endless);
    let run = run(&[&sim.url(), "--only", "core", "--max-body", "1MiB"]);
    assert!(
        run.reasons("fail")
            .iter()
            .all(|(code, _)| code == "too_large"),
        "{:?}",
        run.reasons("fail")
    );
    assert!(
        run.check("root")["message"]
            .as_str()
            .unwrap()
            .contains("larger than 1MiB")
    );
}
