//! The laws of judging an answer, on suites written as users write them.

use std::time::Duration;

use gs_common::http::{Connection, Phases, Response};
use gs_common::report::Broken;
use gs_common::verdict::Verdict;
use http::{HeaderMap, StatusCode, Version};
use proptest::prelude::*;

use super::{Answer, answer, is_error_body, quantile};
use crate::suite::model::{Probe, Suite};
use crate::suite::{Inputs, Scope, Source, read};

fn suite(check: &str) -> Suite {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("suite.toml");
    let text = format!("[[checks]]\nid = 'a'\nget = '/'\n{check}\n");
    gs_common::file::write_atomic(&path, |out| out.write_all(text.as_bytes())).unwrap();
    read(&Source::File(path), &Inputs::default()).unwrap()
}

fn response(status: u16, media: &str, body: &[u8]) -> Response {
    Response {
        status: StatusCode::from_u16(status).unwrap(),
        version: Version::HTTP_11,
        headers: HeaderMap::from_iter([(http::header::CONTENT_TYPE, media.parse().unwrap())]),
        body: body.to_vec().into(),
        wire_bytes: body.len() as u64,
        phases: Phases {
            total: Duration::from_millis(100),
            ..Phases::default()
        },
        connection: Connection::default(),
    }
}

fn judged(check: &str, response: &Response) -> Vec<Broken> {
    let suite = suite(check);
    let Probe::Http(probe) = &suite.checks[0].probe else {
        panic!("no request")
    };
    let totals = [response.phases.total];
    let now = "2026-11-24T02:00:00Z".parse().unwrap();
    let seen = Answer {
        response,
        totals: &totals,
        scope: &Scope::new(),
        now,
    };
    answer(
        &probe.expect,
        probe.shadowed_by.as_ref(),
        suite.checks[0].severity,
        seen,
    )
}

/// The deciding reason for a 200 JSON answer; empty is a pass.
#[track_caller]
fn check(expect: &str, body: &str, expected: &str) {
    let found = judged(expect, &response(200, "application/json", body.as_bytes()));
    let first = found.first().map_or("", |broken| broken.reason.as_str());
    assert_eq!(first, expected, "{expect} on {body}: {found:?}");
}

#[test]
fn an_error_object_with_status_200_fails_unasked() {
    check(
        "expect = { status = 200 }",
        r#"{"error": "Monitoring service not available"}"#,
        "error_body",
    );
    check(
        "expect = { status = 200 }",
        r#"{"detail": "Not Found"}"#,
        "error_body",
    );
    check(
        "expect = { status = 200 }",
        r#"{"errors": ["a"]}"#,
        "error_body",
    );
    check(
        "expect = { status = 200 }",
        r#"{"success": false}"#,
        "error_body",
    );
    check(
        "expect = { status = 200 }",
        r#"{"status": "error", "data": null}"#,
        "error_body",
    );
    check(
        "expect = { status = 200, allow_error_body = true }",
        r#"{"error": "x"}"#,
        "",
    );
}

#[test]
fn what_only_speaks_of_errors_is_none() {
    for healthy in [
        r#"{"error": null, "data": []}"#,
        r#"{"errors": 0, "requests": 9}"#,
        r#"{"error_rate": 0.0}"#,
        r#"{"errors": {"5xx": 0}, "requests": 9}"#,
        r#"{"status": "ok", "message": "tracked"}"#,
        r#"{"detail": "long", "price": 1}"#,
        "[]",
        r#""error""#,
    ] {
        assert!(
            !is_error_body(&serde_json::from_str(healthy).unwrap()),
            "{healthy}"
        );
    }
}

#[test]
fn a_status_is_told_alone() {
    let found = judged(
        "expect = { required = ['a'] }",
        &response(503, "text/html", b"<html>"),
    );
    assert_eq!(
        found.iter().map(|b| b.reason.as_str()).collect::<Vec<_>>(),
        ["status"]
    );
    assert_eq!(found[0].message, "status 503, expected 200");
}

#[test]
fn a_redirect_is_told_with_its_goal() {
    let mut moved = response(302, "text/html", b"");
    moved
        .headers
        .insert(http::header::LOCATION, "/login".parse().unwrap());
    let found = judged("expect = { status = '2xx' }", &moved);
    assert_eq!(found[0].reason, "redirected");
    assert!(found[0].message.contains("/login"), "{}", found[0].message);
}

#[test]
fn shapes_are_judged() {
    check("expect = { kind = 'object' }", "[]", "wrong_kind");
    check("expect = { kind = ['array', 'object'] }", "[]", "");
    check(
        "expect = { required = ['a.b', 'x|y'] }",
        r#"{"a": {"b": 1}, "y": 1}"#,
        "",
    );
    check(
        "expect = { required = ['a.b'] }",
        r#"{"a": {}}"#,
        "missing_member",
    );
    check("expect = { min_items = 1 }", "[]", "too_few_items");
    check("expect = { min_items = 1 }", "{}", "wrong_kind");
    check(
        "expect = { items_at = '$.data[*]', min_items = 1 }",
        r#"{"data": []}"#,
        "too_few_items",
    );
    check(
        "expect = { each = ['symbol'] }",
        r#"[{"symbol": 1}, {}]"#,
        "missing_member",
    );
    check("expect = { kind = 'object' }", "", "not_json");
    check("expect = { kind = 'object' }", "{\"a\": NaN}", "not_json");
    check(
        "expect = { schema = { type = 'object', required = ['a'] } }",
        "{}",
        "schema",
    );
    let shadow =
        "shadowed_by = { template = '/s/{x}', kind = 'array' }\nexpect = { kind = 'object' }";
    check(shadow, "[]", "shadowed_route");
    check(shadow, "{}", "");
}

#[test]
fn json_that_is_none_is_told_even_unasked() {
    let found = judged(
        "expect = { status = 200 }",
        &response(200, "application/json", b"<html>"),
    );
    assert_eq!(found[0].reason, "not_json");
    assert!(
        judged(
            "expect = { status = 200 }",
            &response(200, "text/html", b"<html>")
        )
        .is_empty()
    );
    let bomb = "[".repeat(100_000);
    check("expect = { status = 200 }", &bomb, "not_json");
}

#[test]
fn values_are_judged() {
    let json = |demand: &str| format!("expect = {{ json = [{{ path = '$.a', {demand} }}] }}");
    check(&json("equals = 1"), r#"{"a": 1.0}"#, "");
    check(&json("equals = 1"), r#"{"a": "1"}"#, "json_value");
    check(
        &json("differs = 'NO_DATA'"),
        r#"{"a": "NO_DATA"}"#,
        "json_value",
    );
    check(&json("differs = 'NO_DATA'"), "{}", "missing_member");
    check(
        &json("one_of = ['BUY', 'SELL']"),
        r#"{"a": "HOLD"}"#,
        "json_value",
    );
    check(&json("min = 0, max = 1"), r#"{"a": 1.5}"#, "json_value");
    check(&json("min = 0"), r#"{"a": "5"}"#, "json_value");
    check(&json("is = 'array'"), r#"{"a": {}}"#, "json_value");
    check(&json("min_length = 2"), r#"{"a": "ä"}"#, "json_value");
    check(&json("matches = '^B'"), r#"{"a": "BUY"}"#, "");
    check(&json("exists = false"), r#"{"a": null}"#, "json_value");
    check(&json("exists = false"), "{}", "");
    check(&json("equals = 1, optional = true"), "{}", "");
    check(
        &json("younger_than = '15m'"),
        r#"{"a": "2026-11-24T01:50:00Z"}"#,
        "",
    );
    check(
        &json("younger_than = '15m'"),
        r#"{"a": "2026-11-24T01:50:00.123456"}"#,
        "",
    );
    check(
        &json("younger_than = '15m'"),
        r#"{"a": "2026-11-24T01:40:00Z"}"#,
        "stale",
    );
    check(
        &json("younger_than = '15m'"),
        r#"{"a": 1795484000}"#,
        "stale",
    );
    check(
        &json("younger_than = '15m'"),
        r#"{"a": "yesterday"}"#,
        "stale",
    );
    check(
        &json("equals = 9007199254740993"),
        r#"{"a": 9007199254740992}"#,
        "json_value",
    );
}

#[test]
fn invariants_are_judged() {
    let fails = |that: &str| {
        format!("expect = {{ invariants = [{{ that = \"{that}\", severity = 'fail' }}] }}")
    };
    check(&fails("$.low <= $.price"), r#"{"low": 1, "price": 1}"#, "");
    check(
        &fails("$.low <= $.price"),
        r#"{"low": 2, "price": 1}"#,
        "invariant",
    );
    check(&fails("$.low <= $.price"), r#"{"price": 1}"#, "invariant");
    check(
        &fails("$.low <= $.price"),
        r#"{"low": "1", "price": 2}"#,
        "invariant",
    );
    check(
        &fails("sign($.c) == sign($.p)"),
        r#"{"c": -0.5, "p": -3}"#,
        "",
    );
    check(
        &fails("sign($.c) == sign($.p)"),
        r#"{"c": -0.5, "p": 3}"#,
        "invariant",
    );
    check(&fails("$.a < 'b'"), r#"{"a": "a"}"#, "");
    let each = "expect = { invariants = [{ that = '@.stop < @.entry', each = '$[*]', severity = 'fail' }] }";
    check(
        each,
        r#"[{"stop": 1, "entry": 2}, {"stop": 3, "entry": 2}]"#,
        "invariant",
    );
    check(each, "[]", "invariant");
    let found = judged(
        "expect = { invariants = ['$.a < 1'] }",
        &response(200, "application/json", b"{\"a\": 1}"),
    );
    assert_eq!(
        found[0].verdict,
        Verdict::Warn,
        "data warns unless told otherwise"
    );
}

#[test]
fn texts_headers_and_sizes_are_judged() {
    check("expect = { body_matches = 'a+' }", "\"b\"", "body_text");
    check(
        "expect = { body_lacks = ['Traceback'] }",
        "\"Traceback (most\"",
        "body_text",
    );
    check("expect = { max_bytes = '1B' }", "12", "size");
    check("expect = { min_bytes = '1KiB' }", "12", "size");
    check(
        "expect = { sha256 = '6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b' }",
        "1",
        "",
    );
    check(
        "expect = { sha256 = '6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b' }",
        "2",
        "hash",
    );
    check(
        "expect = { headers = { content-type = 'text/plain' } }",
        "1",
        "header",
    );
    check(
        "expect = { headers = { Content-Type = { matches = '^application/' } } }",
        "1",
        "",
    );
    check(
        "expect = { headers = { x-a = { exists = false } } }",
        "1",
        "",
    );
    check(
        "expect = { headers = { x-a = { exists = true } } }",
        "1",
        "header",
    );
    check(
        "expect = { headers = { x-a = { differs = 'b' } } }",
        "1",
        "",
    );
    check("expect = { http_version = 'HTTP/2' }", "1", "http_version");
}

#[test]
fn times_have_two_levels() {
    let limits = |warn: &str, max: &str| {
        format!("expect = {{ timings = {{ total = {{ warn = '{warn}', max = '{max}' }} }} }}")
    };
    let verdict = |check: &str| {
        judged(check, &response(200, "text/plain", b""))
            .first()
            .map(|b| b.verdict)
    };
    assert_eq!(
        verdict(&limits("100ms", "200ms")),
        None,
        "the limit itself is allowed"
    );
    assert_eq!(verdict(&limits("99ms", "200ms")), Some(Verdict::Warn));
    assert_eq!(verdict(&limits("50ms", "99ms")), Some(Verdict::Fail));
}

#[test]
fn quantiles_are_by_nearest_rank() {
    let values: Vec<Duration> = (1..=20).rev().map(Duration::from_millis).collect();
    assert_eq!(quantile(&values, 0.95), Some(Duration::from_millis(19)));
    assert_eq!(quantile(&values, 0.5), Some(Duration::from_millis(10)));
    assert_eq!(
        quantile(&values[..5], 0.95),
        Some(Duration::from_millis(20))
    );
    assert_eq!(quantile(&[], 0.5), None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]
    #[test]
    fn a_longer_time_never_betters_the_verdict(a in 0_u64..3000, b in 0_u64..3000) {
        let text = "expect = { timings = { total = { warn = '1s', max = '2s' } } }";
        let verdict = |millis| {
            let mut seen = response(200, "text/plain", b"");
            seen.phases.total = Duration::from_millis(millis);
            Verdict::over(judged(text, &seen).into_iter().map(|b| b.verdict).chain([Verdict::Pass]))
        };
        prop_assert!(verdict(a.min(b)) <= verdict(a.max(b)));
    }

    #[test]
    fn no_body_makes_the_judge_panic(body in prop::collection::vec(any::<u8>(), 0..100)) {
        let text = "expect = { kind = 'object', required = ['a'], json = [{ path = '$..a', equals = 1 }], invariants = ['$.a < $.b'] }";
        let _ = judged(text, &response(200, "application/json", &body));
    }
}
