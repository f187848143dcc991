//! The real Prometheus between a simulated rollout and the source.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

mod common;

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use canary_monitor::judge::{Decision, Policy, Watch};
use canary_monitor::source::{AnySource, Plan, Prepared, Source as _, SourceError, open};
use common::{block, configured, plan, source};
use gs_common::redact::Redactor;
use gs_common::verdict::Verdict;
use gs_sim::rollout::{Behaviour, Rollout, RolloutPlan};
use jiff::Timestamp;

/// Simulated seconds in one second of the wall clock.
const SCALE: f64 = 20.0;

/// The longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(45);

/// A process that ends with the test.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

struct Prometheus {
    address: SocketAddr,
    _process: Ended,
    _folder: tempfile::TempDir,
}

fn write(path: &Path, text: &str) {
    gs_common::file::write_atomic(path, |out| out.write_all(text.as_bytes())).unwrap();
}

impl Prometheus {
    /// Scrapes the pods and their containers every second.
    fn start(rollout: &Rollout, more: &[String]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("prometheus.yml");
        let text = format!(
            "global: {{ scrape_interval: 1s }}\nscrape_configs:\n\
             \x20 - job_name: goldensignals\n    http_sd_configs: [{{ url: '{}', refresh_interval: 1s }}]\n\
             \x20 - job_name: kubelet\n    metrics_path: /containers/metrics\n    honor_labels: true\n    static_configs: [{{ targets: ['{}'] }}]\n",
            rollout.targets_url(),
            rollout.address()
        );
        write(&config, &text);
        // Prometheus takes no port 0: one that was free a moment ago is the next best thing.
        let address = TcpListener::bind("127.0.0.1:0")
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
            .args(more)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let made = Self {
            address,
            _process: Ended(process),
            _folder: folder,
        };
        let began = Instant::now();
        while TcpStream::connect(address).is_err() {
            assert!(began.elapsed() < PATIENCE, "Prometheus does not listen");
            std::thread::park_timeout(Duration::from_millis(100));
        }
        made
    }
}

fn scaled(duration_seconds: f64) -> Plan {
    Plan {
        time_scale: SCALE,
        ..plan(Timestamp::now(), duration_seconds)
    }
}

/// Asks until the pods have been scraped a few times.
#[track_caller]
fn prepared(source: &mut AnySource, plan: &Plan) -> Prepared {
    let began = Instant::now();
    loop {
        // That the canary is younger is so.
        let wrong = match block(source.prepare(plan)) {
            Ok(prepared) => {
                let mut warnings = prepared.warnings.iter();
                match warnings.find(|warning| !warning.contains("much older")) {
                    None => return prepared,
                    Some(warning) => warning.clone(),
                }
            }
            Err(SourceError { what, .. }) => what,
        };
        assert!(began.elapsed() < PATIENCE, "{wrong}");
        std::thread::park_timeout(Duration::from_millis(300));
    }
}

/// A whole run in its own, faster time.
fn judged(behaviour: &str) -> (Decision, Vec<String>) {
    let behaviour = Behaviour::parse_short(behaviour).unwrap();
    let simulated = RolloutPlan {
        nasty_labels: true,
        ..RolloutPlan::new(6, 1, 20.0, behaviour).with_time_scale(SCALE)
    };
    let rollout = Rollout::start(&simulated).unwrap();
    let prometheus = Prometheus::start(&rollout, &[]);
    let url = format!("http://{}", prometheus.address);
    let mut source = source(&["--prometheus", &url]);
    let header = prepared(&mut source, &scaled(400.0)).header;
    assert_eq!(header.scrape_interval_seconds, SCALE);
    assert_eq!(header.edges_seconds.len(), 11);
    let plan = scaled(400.0);
    let mut watch = Watch::new(Policy::default(), &header);
    let mut lost = Vec::new();
    let began = Instant::now();
    while began.elapsed() < PATIENCE {
        let look = block(source.look(&plan, Timestamp::now())).unwrap();
        lost.extend(look.lost);
        if let Some(decision) = look.scrape.and_then(|scrape| watch.step(&scrape)) {
            return (decision, lost);
        }
        std::thread::park_timeout(Duration::from_millis(250));
    }
    (watch.finish(), lost)
}

#[test]
#[ignore = "needs Prometheus: run make tools"]
fn a_healthy_canary_passes() {
    let (decision, lost) = judged("healthy");
    assert_eq!(
        (decision.verdict, decision.reason),
        (Verdict::Pass, "healthy"),
        "{decision:?} {lost:?}"
    );
}

#[test]
#[ignore = "needs Prometheus: run make tools"]
fn a_slow_canary_fails() {
    let (decision, lost) = judged("slow,factor=2");
    assert_eq!(
        (decision.verdict, decision.reason),
        (Verdict::Fail, "latency"),
        "{decision:?} {lost:?}"
    );
}

#[test]
#[ignore = "needs Prometheus: run make tools"]
fn doctor_has_nothing_to_say_and_finds_a_typo() {
    let rollout = Rollout::start(&RolloutPlan::default()).unwrap();
    let prometheus = Prometheus::start(&rollout, &[]);
    let url = format!("http://{}", prometheus.address);
    let plan = plan(Timestamp::now(), 900.0);
    let mut well = source(&["--prometheus", &url]);
    prepared(&mut well, &plan);
    let checks = block(well.doctor(&plan, Timestamp::now()));
    assert!(
        checks.iter().all(|check| check.verdict == Verdict::Pass),
        "{checks:?}"
    );
    let typo = "namespace=\"production\",deployment=\"goldensignal-canary\"";
    let mut typo = source(&["--prometheus", &url, "--canary-selector", typo]);
    let checks = block(typo.doctor(&plan, Timestamp::now()));
    let found = checks
        .iter()
        .find(|check| check.reason.as_deref() == Some("label_typo"));
    let message = found
        .and_then(|check| check.message.clone())
        .unwrap_or_default();
    assert!(
        message.contains("did you mean `goldensignals-canary`?"),
        "{checks:?}"
    );
    // What Prometheus itself says of a query that it does not understand reaches the person.
    let line = [
        "--prometheus",
        &url,
        "--canary-selector",
        "a=~\"(?P<x>b)\",deployment=~\"\\\\d\"",
    ];
    let error = block(source(&line).prepare(&plan)).unwrap_err();
    assert!(error.what.contains("no series of canary"), "{error}");
}

fn openssl(folder: &Path, line: &str) {
    let output = Command::new("openssl")
        .args(line.split(' '))
        .current_dir(folder)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{line}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
#[ignore = "needs Prometheus and openssl: run make tools"]
fn a_prometheus_that_wants_a_client_certificate_and_a_password_gets_both() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    write(
        &folder.path().join("server.ext"),
        "subjectAltName=IP:127.0.0.1\n",
    );
    write(
        &folder.path().join("client.ext"),
        "extendedKeyUsage=clientAuth\n",
    );
    let curve = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    openssl(
        folder.path(),
        &format!("req -x509 {curve} -keyout ca.key -out ca.pem -subj /CN=authority -days 2"),
    );
    for side in ["server", "client"] {
        openssl(
            folder.path(),
            &format!("req {curve} -keyout {side}.key -out {side}.csr -subj /CN={side}"),
        );
        openssl(
            folder.path(),
            &format!(
                "x509 -req -in {side}.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out {side}.pem -days 2 -extfile {side}.ext"
            ),
        );
    }
    // The hash of `test`, from Prometheus' own guide to basic authentication.
    let web = format!(
        "tls_server_config:\n  cert_file: {}\n  key_file: {}\n  client_ca_file: {}\n  client_auth_type: RequireAndVerifyClientCert\n\
         basic_auth_users:\n  admin: $2b$12$hNf2lSsxfm0.i4a.1kVpSOVyBCfIB51VRjgBUyv6kdnyTlgWj81Ay\n",
        at("server.pem"),
        at("server.key"),
        at("ca.pem")
    );
    write(&folder.path().join("web.yml"), &web);
    let rollout = Rollout::start(&RolloutPlan::default()).unwrap();
    let prometheus = Prometheus::start(&rollout, &[format!("--web.config.file={}", at("web.yml"))]);
    let url = format!("https://{}", prometheus.address);
    let (authority, certificate, key) = (at("ca.pem"), at("client.pem"), at("client.key"));
    let with = |line: &[&str], password: &str| {
        let line: Vec<&str> = [
            "--prometheus",
            &url,
            "--basic-user",
            "admin",
            "--basic-password-env",
            "PASSWORD",
        ]
        .into_iter()
        .chain(line.iter().copied())
        .collect();
        open(&configured(&line, &[("PASSWORD", password)], &Redactor::new()).unwrap()).unwrap()
    };
    let plan = plan(Timestamp::now(), 900.0);
    let whole = [
        "--cacert",
        &authority,
        "--cert",
        &certificate,
        "--key",
        &key,
    ];
    prepared(&mut with(&whole, "test"), &plan);
    let error = block(with(&whole, "wrong").prepare(&plan)).unwrap_err();
    assert!(
        error.what.contains("(401): user and password were sent"),
        "{error}"
    );
    let error = block(with(&whole[..2], "test").prepare(&plan)).unwrap_err();
    assert!(
        error.what.contains("TLS") || error.what.contains("closed"),
        "{error}"
    );
    let error = block(with(&whole[2..], "test").prepare(&plan)).unwrap_err();
    assert!(
        error.what.contains("has no TLS that is accepted"),
        "{error}"
    );
}
