//! The listener of a simulated rollout from outside.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

mod common;

use std::io::Write as _;

use common::{End, ask_at, connect, read_all, request};
use gs_sim::rollout::{Away, Behaviour, Rollout, RolloutPlan};
use serde_json::{Value, json};

/// Three stable pods and a canary.
fn plan(text: &str) -> RolloutPlan {
    RolloutPlan::new(3, 1, 50.0, Behaviour::parse_short(text).unwrap())
}

/// How many samples a page has.
fn samples(page: &[u8]) -> usize {
    let text = std::str::from_utf8(page).unwrap();
    text.lines().filter(|line| !line.starts_with('#')).count()
}

#[test]
fn one_listener_serves_all_pages_the_targets_and_orders() {
    let rollout = Rollout::start(&plan("healthy").with_time_scale(100.0)).unwrap();
    let ask = |method: &str, path: &str, body: &str| ask_at(rollout.address(), method, path, body);
    let targets = ask("GET", "/targets", "");
    assert_eq!(targets.header("content-type"), Some("application/json"));
    let first = json!({
        "targets": [rollout.address().to_string()],
        "labels": {
            "pod": "canary-0",
            "deployment": "goldensignals-canary",
            "namespace": "production",
            "__metrics_path__": "/pods/canary-0/metrics",
        },
    });
    assert_eq!(targets.json()[0], first);
    assert_eq!(targets.json()[1]["labels"]["deployment"], "goldensignals");
    assert_eq!(targets.json().as_array().unwrap().len(), 4);
    for target in targets.json().as_array().unwrap() {
        let page = ask(
            "GET",
            target["labels"]["__metrics_path__"].as_str().unwrap(),
            "",
        );
        assert_eq!(page.status, 200);
        assert!(samples(&page.body) > 40);
    }
    // Four of each of four pods.
    assert_eq!(samples(&ask("GET", "/containers/metrics", "").body), 16);

    let canary = |path: &str| ask("GET", path, "").json()["pods"][0]["behaviour"].clone();
    assert_eq!(canary("/pods")["behaviour"], "healthy");
    let order = json!({"behaviour": "slow", "factor": 3.0});
    assert_eq!(ask("PUT", "/behaviour", &order.to_string()).status, 200);
    assert_eq!(canary("/pods")["factor"], 3.0);
    assert_eq!(
        ask(
            "PUT",
            "/pods/canary-0/behaviour",
            r#"{"behaviour": "down"}"#
        )
        .status,
        200
    );
    assert_eq!(ask("GET", "/pods/canary-0/metrics", "").status, 503);
    assert_eq!(ask("POST", "/pods/stable-0/restart", "").status, 200);
    let replaced: Value = ask("POST", "/pods/stable-1/replace", "").json();
    assert_eq!(replaced, json!({"pod": "stable-4"}));
    assert_eq!(ask("GET", "/pods/stable-1/metrics", "").status, 404);
    assert_eq!(ask("PUT", "/prefix", "\"goldensignals_\"").status, 200);
    for (method, path, body, status) in [
        ("PUT", "/behaviour", "{}", 400),
        (
            "PUT",
            "/behaviour",
            r#"{"behaviour": "slow", "fact": 2}"#,
            400,
        ),
        (
            "PUT",
            "/pods/nobody/behaviour",
            r#"{"behaviour": "slow"}"#,
            404,
        ),
        ("POST", "/pods/nobody/restart", "", 404),
        ("PUT", "/prefix", "\"x\"", 400),
        ("GET", "/nowhere", "", 404),
    ] {
        let answer = ask(method, path, body);
        assert_eq!(
            (answer.status, answer.json()["error"].is_string()),
            (status, true),
            "{path}"
        );
    }
}

#[test]
fn a_pod_that_is_away_may_break_the_connection() {
    let plan = RolloutPlan {
        away: Away::Breaks,
        ..plan("down")
    };
    let rollout = Rollout::start(&plan).unwrap();
    let mut stream = connect(rollout.address());
    let asked = request("GET", "/pods/canary-0/metrics", "");
    stream.write_all(asked.as_bytes()).unwrap();
    assert_eq!(read_all(&mut stream, 1000), (Vec::new(), End::Closed));
}
