//! The verbs around a run, from outside: report, backtest, import, serve.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "tests"
)]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Output, Stdio};
use std::time::Duration;

use assert_cmd::Command;
use canary_monitor::simulate::{World, make, scenario};
use serde_json::Value;

fn run(words: &[&str]) -> Output {
    let mut command = Command::cargo_bin("canary-monitor").unwrap();
    command.env_clear().args(words).output().unwrap()
}

fn record(folder: &Path, name: &str, duration_seconds: f64) -> String {
    let size = World {
        rate: 20.0,
        stable_pods: 6,
        duration_seconds,
        extra_seconds: 0.0,
        seed: 8,
    };
    let (header, scrapes) = make(scenario::find(name).unwrap(), &size);
    let mut text = serde_json::to_string(&header).unwrap() + "\n";
    for scrape in &scrapes {
        text += &(serde_json::to_string(scrape).unwrap() + "\n");
    }
    let path = folder.join(format!("{name}.jsonl"));
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

#[test]
fn a_report_is_one_page_with_charts_and_the_same_verdict() {
    let folder = tempfile::tempdir().unwrap();
    let log = record(folder.path(), "errors-1-to-3", 900.0);
    let page = folder.path().join("page.html");
    let output = run(&[
        "report",
        &log,
        "--html",
        page.to_str().unwrap(),
        "--output",
        "json",
    ]);
    assert_eq!(output.status.code(), Some(1));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["reason"], "error_rate");
    let names: Vec<&str> = report["series"]
        .as_array()
        .unwrap()
        .iter()
        .map(|series| series["name"].as_str().unwrap())
        .collect();
    for wanted in [
        "Errors: canary",
        "Errors: stable",
        "Evidence against the canary: fails above",
        "Memory: stable, its median pod",
    ] {
        assert!(names.contains(&wanted), "{names:?}");
    }
    let page = std::fs::read_to_string(page).unwrap();
    assert!(page.matches("<svg class=\"lines\"").count() >= 6);
    assert!(
        !page.contains("http://") && !page.contains("https://"),
        "the page asks nobody"
    );
}

#[test]
fn a_backtest_states_its_rate_and_needs_windows_for_a_claim() {
    let folder = tempfile::tempdir().unwrap();
    let log = record(folder.path(), "healthy", 1800.0);
    let output = run(&["backtest", &log, "--output", "json"]);
    assert_eq!(output.status.code(), Some(3));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let backtest = &report["details"]["backtest"];
    assert_eq!(
        (&backtest["windows"], &backtest["trials"]["pass"]),
        (&2.into(), &12.into())
    );
    assert_eq!(report["reason"], "few_windows");
    assert!(backtest["interval"]["high"].as_f64().unwrap() > 0.5);
    let lenient = run(&["backtest", &log, "--most", "90%"]);
    assert_eq!(lenient.status.code(), Some(0));
    assert_eq!(
        run(&["backtest", &log, "--most", "0%"]).status.code(),
        Some(2)
    );
    assert_eq!(run(&["backtest", "/no/such/file"]).status.code(), Some(2));
    let junk = folder.path().join("junk");
    std::fs::write(&junk, "junk").unwrap();
    let output = run(&["backtest", junk.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(3));
}

#[test]
fn what_is_imported_is_a_section_that_this_tool_reads() {
    let folder = tempfile::tempdir().unwrap();
    for (name, code) in [
        ("argo-success-rate.yaml", 0),
        ("argo-two-metrics.yaml", 0),
        ("kayenta-prometheus.json", 0),
        ("kayenta-newrelic.json", 0),
        ("argo-job.yaml", 3),
        ("README.md", 2),
    ] {
        let path = format!("{}/tests/import/{name}", env!("CARGO_MANIFEST_DIR"));
        let output = run(&["import", &path]);
        assert_eq!(
            output.status.code(),
            Some(code),
            "{name}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        if code == 2 {
            assert!(output.stdout.is_empty());
            continue;
        }
        let section = folder.path().join("goldensignals.toml");
        std::fs::write(&section, &output.stdout).unwrap();
        let config = run(&["config", "--config", section.to_str().unwrap()]);
        let said = String::from_utf8_lossy(&config.stderr).into_owned();
        // A template for the pods of another version has one selector only: that is for a person.
        assert!(
            config.status.code() == Some(0) || said.contains("selector"),
            "{name}: {said}"
        );
    }
}

struct Serving {
    child: Child,
    address: String,
}

impl Serving {
    fn start(logs: &[String]) -> Self {
        let mut command =
            std::process::Command::new(assert_cmd::cargo::cargo_bin("canary-monitor"));
        command
            .env_clear()
            .args(["serve", "--listen", "127.0.0.1:0"]);
        for log in logs {
            command.args(["--log", log]);
        }
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let line = lines.next().unwrap().unwrap();
        let address = line.rsplit("http://").next().unwrap().to_owned();
        Self { child, address }
    }

    /// Status and body.
    fn ask(&self, method: &str, path: &str, body: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        let length = body.len();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}",
            self.address
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
        let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        (status, body.to_owned())
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A log as a run writes it, as far as those who ask read it.
fn log(verdict: Option<&str>) -> String {
    let mut text = String::from("{\"schema\":\"gs.canary-log/v1\",\"run\":\"r\"}\n");
    text += "{\"type\":\"check\",\"at_seconds\":300,\"warm_at_seconds\":90,\"tests\":[{\"reason\":\"error_rate\",\"evidence_nats\":0.1,\"held_checks\":0}]}\n";
    if let Some(verdict) = verdict {
        let now = jiff::Timestamp::now();
        text += &format!(
            "{{\"type\":\"outcome\",\"at\":\"{now}\",\"verdict\":\"{verdict}\",\"reason\":\"healthy\",\"sentence\":\"fine\"}}\n"
        );
    }
    text
}

#[test]
fn the_documented_requests_of_argo_and_flagger_are_answered() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.jsonl");
    let serving = Serving::start(&[format!("test/podinfo={}", path.display())]);
    let flagger = |hook: &str| {
        // As Flagger's documentation shows it.
        let body = r#"{"name": "podinfo", "namespace": "test", "phase": "Progressing", "metadata": {"test": "all", "token": "16688eb5e9f289f1991c"}}"#;
        serving.ask("POST", &format!("/flagger/{hook}"), body)
    };
    let argo = || {
        let (status, body) = serving.ask("GET", "/verdict/test/podinfo", "");
        (status, serde_json::from_str::<Value>(&body).unwrap())
    };

    let (status, said) = argo();
    assert_eq!(
        (status, &said["verdict"], &said["reason"]),
        (200, &"inconclusive".into(), &"no_log".into())
    );
    assert_eq!(flagger("confirm-promotion").0, 412);

    std::fs::write(&path, log(None)).unwrap();
    assert_eq!(argo().1["verdict"], "running");
    assert_eq!(
        (
            flagger("rollout").0,
            flagger("confirm-promotion").0,
            flagger("rollback").0
        ),
        (200, 412, 412)
    );

    std::fs::write(&path, log(Some("fail"))).unwrap();
    let (status, said) = argo();
    assert_eq!(
        (status, &said["verdict"], &said["ok"], &said["score"]),
        (200, &"fail".into(), &false.into(), &0.into())
    );
    let (status, sentence) = flagger("confirm-promotion");
    assert_eq!((status, sentence.as_str()), (412, "fail (healthy): fine\n"));
    assert_eq!((flagger("rollout").0, flagger("rollback").0), (412, 200));

    std::fs::write(&path, log(Some("pass"))).unwrap();
    assert_eq!(argo().1["ok"], true);
    assert_eq!(
        (flagger("confirm-promotion").0, flagger("rollback").0),
        (200, 412)
    );
    let event = r#"{"name":"podinfo","namespace":"test","phase":"Succeeded","metadata":{"eventMessage":"Promotion completed!","eventType":"Normal","timestamp":"1578607635167"}}"#;
    assert_eq!(serving.ask("POST", "/flagger/event", event).0, 200);

    assert_eq!(serving.ask("GET", "/verdict/other", "").0, 404);
    let (status, metrics) = serving.ask("GET", "/metrics", "");
    assert!(
        status == 200 && metrics.contains("verdict=\"pass\"} 1"),
        "{metrics}"
    );
}

#[test]
fn serving_needs_names_and_a_free_address() {
    assert_eq!(run(&["serve"]).status.code(), Some(2));
    assert_eq!(run(&["serve", "--log", "nameless"]).status.code(), Some(2));
    assert_eq!(
        run(&["serve", "--log", "a=b", "--log", "a=c"])
            .status
            .code(),
        Some(2)
    );
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = run(&["serve", "--log", "a=b", "--listen", &address]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("cannot listen"));
}
