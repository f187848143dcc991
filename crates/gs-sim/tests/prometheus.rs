//! The metrics of the simulation, read by the real Prometheus.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use gs_sim::prometheus::Misbehaving;
use gs_sim::rollout::{Rollout, RolloutPlan};
use gs_sim::{Plan, Sim};
use serde_json::{Value, json};

/// One request on a connection of its own; the body of the answer.
fn get(address: SocketAddr, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    write!(
        stream,
        "GET {path} HTTP/1.0\r\nhost: x\r\nconnection: close\r\n\r\n"
    )?;
    let mut answer = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        let read = stream.read(&mut chunk)?;
        answer.extend_from_slice(&chunk[..read]);
        let text = String::from_utf8_lossy(&answer);
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let length = head.lines().find_map(|line| {
            line.to_lowercase()
                .strip_prefix("content-length: ")?
                .parse::<usize>()
                .ok()
        });
        if read == 0 || length.is_some_and(|length| body.len() >= length) {
            return Ok(body.to_owned());
        }
    }
}

#[test]
#[ignore = "needs promtool: run make tools"]
fn promtool_has_nothing_to_say_against_the_metrics() {
    let sim = Sim::start(&Plan::default()).unwrap();
    for path in ["/", "/api/v1/signals", "/api/v1/market-data/SPY", "/nope"] {
        get(sim.address(), path).unwrap();
    }
    let text = get(sim.address(), "/metrics").unwrap();
    assert!(
        text.contains("endpoint=\"/api/v1/market-data/{symbol}\""),
        "{text}"
    );
    lint(&text);
}

#[test]
#[ignore = "needs promtool: run make tools"]
fn promtool_has_nothing_to_say_against_the_pages_of_a_rollout() {
    let plan = RolloutPlan {
        nasty_labels: true,
        ..RolloutPlan::default()
    };
    let rollout = Rollout::start(&plan).unwrap();
    for path in ["/pods/canary-0/metrics", "/pods/stable-3/metrics"] {
        lint(&get(rollout.address(), path).unwrap());
    }
}

#[track_caller]
fn lint(text: &str) {
    let mut lint = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    lint.stdin
        .take()
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
    let output = lint.wait_with_output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// A process that ends with the test.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
#[ignore = "needs Prometheus: run make tools"]
fn a_real_prometheus_counts_what_was_served() {
    let sim = Sim::start(&Plan::default()).unwrap();
    for _ in 0..7 {
        get(sim.address(), "/api/v1/market-data/SPY").unwrap();
    }
    let target = format!("static_configs: [{{ targets: ['{}'] }}]", sim.address());
    let prometheus = Prometheus::start(&target);
    let query = "http_requests_total{endpoint=\"/api/v1/market-data/{symbol}\"}";
    prometheus.until(query, |answer| answer.contains("\"7\"]"));
}

/// The labels of an answer's series, but for those that tell who scraped.
fn metrics(answer: &str) -> BTreeSet<String> {
    let json: Value = serde_json::from_str(answer).unwrap_or_default();
    let series = json["data"]["result"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let labels = series.into_iter().map(|mut series| {
        let labels = series["metric"].as_object_mut().unwrap();
        labels.retain(|label, _| label != "job" && label != "instance");
        labels.sort_keys();
        json!(labels).to_string()
    });
    labels.collect()
}

#[test]
#[ignore = "needs Prometheus: run make tools"]
fn a_real_prometheus_finds_the_pods_by_http_sd_as_the_query_listener_shows_them() {
    let plan = RolloutPlan {
        nasty_labels: true,
        ..RolloutPlan::default().with_time_scale(20.0)
    };
    let rollout = Rollout::start(&plan).unwrap();
    let simulated = Misbehaving::start(rollout.history()).unwrap();
    let target = format!(
        "http_sd_configs: [{{ url: '{}', refresh_interval: 1s }}]",
        rollout.targets_url()
    );
    let prometheus = Prometheus::start(&target);
    let up = prometheus.until("up == 1", |answer| metrics(answer).len() == 7);
    assert!(up.contains("\"namespace\":\"production\""), "{up}");
    for query in [
        "up",
        "http_request_duration_seconds_bucket{le=\"1.0\",deployment=\"goldensignals-canary\"}",
        // Whether a dot takes a line feed depends on the version of Prometheus, unless it is said.
        "http_requests_total{status=~\"2..\",endpoint=~\"(?s:/signals.*)\"}",
        "{__name__=~\"process_.*|goldensignals_build_info\"}",
    ] {
        let ours = get(simulated.address(), &query_path(query)).unwrap();
        let theirs = prometheus.ask(query);
        assert!(!metrics(&ours).is_empty(), "{query}: {ours}");
        assert_eq!(metrics(&ours), metrics(&theirs), "{query}");
    }
}

/// The path of an instant query.
fn query_path(query: &str) -> String {
    let encoded: String = query.bytes().map(|byte| format!("%{byte:02X}")).collect();
    format!("/api/v1/query?query={encoded}")
}

/// A real one with one job.
struct Prometheus {
    address: SocketAddr,
    _process: Ended,
    _folder: tempfile::TempDir,
}

impl Prometheus {
    fn start(targets: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("prometheus.yml");
        let text = format!(
            "global: {{ scrape_interval: 1s }}\nscrape_configs:\n  - job_name: gs\n    {targets}\n"
        );
        std::fs::File::create(&config)
            .unwrap()
            .write_all(text.as_bytes())
            .unwrap();
        // Prometheus takes no port 0: one that was free a moment ago is the next best thing.
        let address = std::net::TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        let process = Command::new("prometheus")
            .arg(format!("--config.file={}", config.display()))
            .arg(format!(
                "--storage.tsdb.path={}",
                folder.path().join("data").display()
            ))
            .arg(format!("--web.listen-address={address}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self {
            address,
            _process: Ended(process),
            _folder: folder,
        }
    }

    fn ask(&self, query: &str) -> String {
        get(self.address, &query_path(query)).unwrap_or_default()
    }

    /// Asks until the answer is as wished.
    #[track_caller]
    fn until(&self, query: &str, wished: impl Fn(&str) -> bool) -> String {
        let began = Instant::now();
        loop {
            let answer = self.ask(query);
            if wished(&answer) {
                return answer;
            }
            assert!(began.elapsed() < Duration::from_secs(30), "{answer}");
            std::thread::park_timeout(Duration::from_millis(200));
        }
    }
}
