//! The Kubernetes API beside another source: a server that answers as told, and one that speaks TLS.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

mod common;

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use canary_monitor::observations::PodSample;
use canary_monitor::source::{AnySource, Look, Source as _, open};
use common::{block, configured, plan};
use gs_common::config::ConfigError;
use gs_common::redact::Redactor;
use gs_common::verdict::Verdict;
use gs_sim::rollout::{Behaviour, Rollout, RolloutPlan};
use gs_sim::{Plan as SimPlan, Sim};
use jiff::{Timestamp, ToSpan as _};
use serde_json::json;

const USAGE: &str = "/apis/metrics.k8s.io/v1beta1/namespaces/production/pods";
const PODS: &str = "/api/v1/namespaces/production/pods";

/// Requests that came: the path with its query, and who asked.
type Asked = Arc<Mutex<Vec<(String, String)>>>;

/// A server that answers each path with a status and a text.
struct Api {
    url: String,
    answers: Arc<Mutex<BTreeMap<String, (u16, String)>>>,
    asked: Asked,
}

impl Api {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let api = Self {
            url: format!("http://{}", listener.local_addr().unwrap()),
            answers: Arc::default(),
            asked: Arc::default(),
        };
        let (answers, asked) = (Arc::clone(&api.answers), Arc::clone(&api.asked));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { return };
                let mut seen = Vec::new();
                let mut chunk = [0; 1024];
                while !seen.windows(4).any(|end| end == b"\r\n\r\n") {
                    match stream.read(&mut chunk) {
                        Ok(0) | Err(_) => break,
                        Ok(read) => seen.extend_from_slice(&chunk[..read]),
                    }
                }
                let head = String::from_utf8_lossy(&seen).into_owned();
                let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
                let who = head.lines().find_map(|line| {
                    let (name, value) = line.split_once(": ")?;
                    name.eq_ignore_ascii_case("authorization")
                        .then(|| value.to_owned())
                });
                asked
                    .lock()
                    .unwrap()
                    .push((path.clone(), who.unwrap_or_default()));
                let plain = path.split('?').next().unwrap_or_default().to_owned();
                let answers = answers.lock().unwrap();
                let found = answers.get(&path).or_else(|| answers.get(&plain)).cloned();
                let (status, body) = found.unwrap_or((
                    404,
                    "{\"kind\":\"Status\",\"message\":\"not found\"}".to_owned(),
                ));
                let answer = format!(
                    "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                    body.len()
                );
                drop(stream.write_all(answer.as_bytes()));
            }
        });
        api
    }

    fn says(&self, path: &str, status: u16, body: &serde_json::Value) {
        let mut answers = self.answers.lock().unwrap();
        answers.insert(path.to_owned(), (status, body.to_string()));
    }
}

fn usage(at: Timestamp, cpu: &str, memory: &str) -> serde_json::Value {
    json!({"kind": "PodMetricsList", "apiVersion": "metrics.k8s.io/v1beta1", "metadata": {}, "items": [
        {"metadata": {"name": "canary-0"}, "timestamp": at, "window": "15s",
         "containers": [{"name": "app", "usage": {"cpu": cpu, "memory": memory}}]}]})
}

fn pods(restarts: u64, killed: bool) -> serde_json::Value {
    let end = if killed {
        json!({"terminated": {"reason": "OOMKilled"}})
    } else {
        json!({})
    };
    json!({"kind": "PodList", "metadata": {}, "items": [
        {"metadata": {"name": "canary-0"}, "spec": {"containers": [{"name": "app", "resources": {"limits": {"cpu": "500m", "memory": "1Gi"}}}]},
         "status": {"podIP": "10.0.0.7", "containerStatuses": [{"name": "app", "restartCount": restarts,
           "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}}, "lastState": end}]}}]})
}

fn kubeconfig(folder: &Path, server: &str, cluster: &str, user: &str) -> String {
    let path = folder.join("config");
    let text = format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: here\ncontexts:\n- name: here\n  context: {{cluster: c, user: u, namespace: production}}\n\
         clusters:\n- name: c\n  cluster: {{server: '{server}'{cluster}}}\nusers:\n- name: u\n  user: {{{user}}}\n"
    );
    gs_common::file::write_atomic(&path, |out| out.write_all(text.as_bytes())).unwrap();
    path.to_str().unwrap().to_owned()
}

/// A rollout that is read pod by pod, with a cluster beside it.
struct World {
    _rollout: Rollout,
    _folder: tempfile::TempDir,
    source: Result<AnySource, ConfigError>,
}

fn world(server: &str, cluster: &str, user: &str, redactor: &Redactor) -> World {
    let rollout = Rollout::start(&RolloutPlan::new(1, 1, 20.0, Behaviour::Healthy)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = kubeconfig(folder.path(), server, cluster, user);
    let canary = format!("canary:canary-0={}", rollout.page_url("canary-0"));
    let stable = format!("stable:stable-0={}", rollout.page_url("stable-0"));
    let line = [
        "--scrape",
        &canary,
        "--scrape",
        &stable,
        "--kubernetes",
        "--kubeconfig",
        &file,
    ];
    let config = configured(&line, &[], redactor).unwrap();
    assert!(!config.is_loopback(), "a cluster is elsewhere");
    World {
        _rollout: rollout,
        _folder: folder,
        source: open(&config),
    }
}

fn look(source: &mut AnySource) -> (PodSample, Look) {
    let plan = plan(Timestamp::UNIX_EPOCH, 900.0);
    let look = block(source.look(&plan, Timestamp::now())).unwrap();
    let pods = &look.scrape.as_ref().unwrap().pods;
    (pods[0].clone(), look)
}

#[test]
fn the_cluster_tells_what_pods_use_and_may_use() {
    let api = Api::start();
    let now = Timestamp::now();
    api.says(USAGE, 200, &usage(now, "250m", "100Mi"));
    api.says(PODS, 200, &pods(7, true));
    let redactor = Redactor::new();
    let mut world = world(&api.url, "", "token: cluster-token", &redactor);
    let source = world.source.as_mut().unwrap();
    let prepared = block(source.prepare(&plan(Timestamp::UNIX_EPOCH, 900.0))).unwrap();
    assert!(
        prepared
            .queries
            .iter()
            .any(|query| query.contains("/apis/metrics.k8s.io/")),
        "{prepared:?}"
    );
    let (canary, first) = look(source);
    assert_eq!(first.lost, Vec::<String>::new());
    assert_eq!(canary.memory_limit_bytes, Some(1_073_741_824.0));
    assert_eq!(canary.cpu_limit_cores, Some(0.5));
    assert_eq!(canary.memory_bytes, Some(104_857_600.0));
    assert_eq!((canary.cpu_seconds, canary.oom_kills), (Some(0.0), Some(0)));
    // The same measurement again is nothing new; a later one is.
    let (canary, _) = look(source);
    assert_eq!((canary.memory_bytes, canary.cpu_seconds), (None, Some(0.0)));
    api.says(USAGE, 200, &usage(now + 20.seconds(), "250m", "110Mi"));
    api.says(PODS, 200, &pods(8, true));
    let (canary, _) = look(source);
    assert_eq!(canary.memory_bytes, Some(115_343_360.0));
    assert!((canary.cpu_seconds.unwrap() - 5.0).abs() < 1e-9);
    assert_eq!(canary.oom_kills, Some(1));
    let asked = api.asked.lock().unwrap();
    assert!(
        asked.iter().all(|(_, who)| who == "Bearer cluster-token"),
        "{asked:?}"
    );
    assert_eq!(redactor.text("cluster-token"), "***");
}

#[test]
fn a_cluster_that_does_not_answer_costs_no_counts_and_is_said() {
    let api = Api::start();
    let mut world = world(&api.url, "", "token: cluster-token", &Redactor::new());
    let source = world.source.as_mut().unwrap();
    block(source.prepare(&plan(Timestamp::UNIX_EPOCH, 900.0))).unwrap();
    let message = json!({"kind": "Status", "message": "pods is forbidden"});
    for (status, said) in [
        (401, "(401)"),
        (403, "(403)"),
        (404, "(404)"),
        (503, "(503)"),
    ] {
        api.says(USAGE, status, &message);
        api.says(PODS, status, &message);
        let (canary, look) = look(source);
        assert!(
            canary.requests.is_some() && canary.memory_bytes.is_none(),
            "{canary:?}"
        );
        assert!(
            look.lost.iter().all(|lost| lost.contains(said)) && look.lost.len() == 2,
            "{:?}",
            look.lost
        );
    }
    let old = Timestamp::now() - 10.minutes();
    api.says(USAGE, 200, &usage(old, "250m", "100Mi"));
    api.says(PODS, 200, &json!({"kind": "PodList", "items": "none"}));
    let (canary, look) = look(source);
    assert_eq!(canary.memory_bytes, None);
    assert!(
        look.lost.iter().any(|lost| lost.contains("too long ago")),
        "{:?}",
        look.lost
    );
    assert!(
        look.lost
            .iter()
            .any(|lost| lost.contains("not a list of pods")),
        "{:?}",
        look.lost
    );
}

#[test]
fn a_list_has_pages() {
    let api = Api::start();
    api.says(USAGE, 200, &usage(Timestamp::now(), "1", "1Mi"));
    let first = json!({"kind": "PodList", "metadata": {"continue": "more"}, "items": []});
    api.says(&format!("{PODS}?limit=500"), 200, &first);
    api.says(
        &format!("{PODS}?limit=500&continue=more"),
        200,
        &pods(0, false),
    );
    let mut world = world(&api.url, "", "token: cluster-token", &Redactor::new());
    let (canary, look) = look(world.source.as_mut().unwrap());
    assert_eq!(canary.cpu_limit_cores, Some(0.5), "{:?}", look.lost);
    // Without an end it is not read at all.
    api.says(&format!("{PODS}?limit=500&continue=more"), 200, &first);
    let (canary, look) = self::look(world.source.as_mut().unwrap());
    assert_eq!(canary.cpu_limit_cores, None);
    assert!(
        look.lost[0].contains("more pods than are read"),
        "{:?}",
        look.lost
    );
}

#[test]
fn doctor_names_the_right_that_is_missing() {
    let api = Api::start();
    let message = json!({"kind": "Status", "message": "pods is forbidden"});
    api.says(USAGE, 403, &message);
    api.says(
        PODS,
        200,
        &json!({"kind": "PodList", "metadata": {}, "items": []}),
    );
    let mut world = world(&api.url, "", "token: cluster-token", &Redactor::new());
    let source = world.source.as_mut().unwrap();
    let checks = block(source.doctor(&plan(Timestamp::UNIX_EPOCH, 900.0), Timestamp::now()));
    let of = |id: &str| checks.iter().find(|check| check.id == id).unwrap();
    let usage = of("kubernetes-usage");
    assert_eq!(
        (usage.verdict, usage.reason.as_deref()),
        (Verdict::Fail, Some("missing_right"))
    );
    assert!(
        usage.evidence[0]
            .text
            .contains("deploy/canary-monitor-rbac.yaml"),
        "{usage:?}"
    );
    let known = of("kubernetes-known");
    assert!(
        known
            .message
            .as_deref()
            .unwrap()
            .contains("canary-0, stable-0"),
        "{known:?}"
    );
}

#[test]
fn a_cluster_speaks_tls_and_its_authority_may_be_inside_of_the_file() {
    let fault = |route: &str, body: serde_json::Value| {
        serde_json::from_value(json!({"kind": "answer", "route": route, "body": body})).unwrap()
    };
    let sim = Sim::start(&SimPlan {
        tls: Some(gs_sim::TlsMode::Valid),
        faults: vec![
            fault(USAGE, usage(Timestamp::now(), "250m", "100Mi")),
            fault(PODS, pods(0, false)),
        ],
        ..SimPlan::default()
    })
    .unwrap();
    let server = format!("https://{}", sim.address());
    let pem = base64::prelude::BASE64_STANDARD.encode(sim.authority_pem().unwrap());
    let trusted = format!(", certificate-authority-data: {pem}");
    let mut good = world(&server, &trusted, "token: cluster-token", &Redactor::new());
    let (canary, told) = look(good.source.as_mut().unwrap());
    assert_eq!(
        (canary.memory_bytes, told.lost.len()),
        (Some(104_857_600.0), 0),
        "{told:?}"
    );
    let mut strange = world(&server, "", "token: cluster-token", &Redactor::new());
    let (_, told) = look(strange.source.as_mut().unwrap());
    assert!(
        told.lost[0].contains("has no TLS that is accepted"),
        "{:?}",
        told.lost
    );
    let by_name = format!("{trusted}, tls-server-name: gs.example");
    let mut named = world(&server, &by_name, "token: cluster-token", &Redactor::new());
    assert_eq!(
        look(named.source.as_mut().unwrap()).1.lost,
        Vec::<String>::new()
    );
}

#[track_caller]
fn refuses(cluster: &str, user: &str, said: &str) {
    let world = world("http://127.0.0.1:9", cluster, user, &Redactor::new());
    let error = world.source.unwrap_err();
    assert!(error.to_string().contains(said), "{error}");
    assert!(error.hint.is_some(), "{error}");
}

#[test]
fn a_kubeconfig_that_is_of_no_use_is_said() {
    refuses(
        "",
        "exec: {command: aws}",
        "the program `aws` (exec), which is not run here",
    );
    refuses(
        ", certificate-authority-data: '%%%'",
        "token: abcd-efgh",
        "is no base64",
    );
    refuses(
        "",
        "client-certificate-data: AAAA",
        "a client certificate without a key",
    );
    refuses("", "token: abc", "fewer than 4 characters");
}
