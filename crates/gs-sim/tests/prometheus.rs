//! The metrics of the simulation, read by the real Prometheus.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use gs_sim::{Plan, Sim};

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
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("prometheus.yml");
    let text = format!(
        "global: {{ scrape_interval: 1s }}\nscrape_configs:\n  - job_name: gs\n    static_configs: [{{ targets: ['{}'] }}]\n",
        sim.address()
    );
    std::fs::File::create(&config)
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
    // Prometheus takes no port 0: one that was free a moment ago is the next best thing.
    let free = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let server = Command::new("prometheus")
        .arg(format!("--config.file={}", config.display()))
        .arg(format!(
            "--storage.tsdb.path={}",
            folder.path().join("data").display()
        ))
        .arg(format!("--web.listen-address={free}"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let _server = Ended(server);
    let began = Instant::now();
    let query = "/api/v1/query?query=http_requests_total%7Bendpoint%3D%22%2Fapi%2Fv1%2Fmarket-data%2F%7Bsymbol%7D%22%7D";
    loop {
        let answer = get(free, query).unwrap_or_default();
        if answer.contains("\"7\"]") {
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(30), "{answer}");
        std::thread::park_timeout(Duration::from_millis(200));
    }
}
