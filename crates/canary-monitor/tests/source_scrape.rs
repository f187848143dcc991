//! Pods' pages as a source: a simulated rollout in its own time, and a server that answers as told.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

mod common;

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use canary_monitor::observations::{PodSample, Side};
use canary_monitor::source::{AnySource, Look, Source as _};
use common::{after, block, configured, plan, source};
use gs_common::redact::Redactor;
use gs_common::verdict::Verdict;
use gs_sim::rollout::{Behaviour, Rollout, RolloutPlan};
use jiff::Timestamp;

/// A pod whose page is a text that may change; it answers one request a connection.
struct Page {
    url: String,
    answer: Arc<Mutex<String>>,
}

impl Page {
    fn start(page: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let answer = Arc::new(Mutex::new(String::new()));
        let shared = Arc::clone(&answer);
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
                let answer = shared.lock().unwrap().clone();
                drop(stream.write_all(answer.as_bytes()));
            }
        });
        let made = Self { url, answer };
        made.says(page);
        made
    }

    fn says(&self, page: &str) {
        self.answers("200 OK", "text/plain; version=0.0.4", page);
    }

    fn answers(&self, status: &str, kind: &str, body: &str) {
        *self.answer.lock().unwrap() = format!(
            "HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
            body.len()
        );
    }
}

/// What a client library shows after so many requests.
fn page(ok: u64, failed: u64, started: u64) -> String {
    let all = ok + failed;
    let mut page = format!(
        "# HELP http_requests_total Answers.\n# TYPE http_requests_total counter\n\
         http_requests_total{{endpoint=\"/s/{{symbol}}\",status=\"200\"}} {ok}\n\
         # TYPE http_request_duration_seconds histogram\n"
    );
    if failed > 0 {
        page +=
            &format!("http_requests_total{{endpoint=\"/s/{{symbol}}\",status=\"500\"}} {failed}\n");
    }
    for (edge, count) in [("0.5", ok), ("1.0", all), ("+Inf", all)] {
        page += &format!("http_request_duration_seconds_bucket{{le=\"{edge}\"}} {count}\n");
    }
    page + &format!(
        "http_request_duration_seconds_count {all}\nprocess_start_time_seconds {started}\n\
         process_cpu_seconds_total 1.5\nprocess_resident_memory_bytes 1000\n"
    )
}

const START: u64 = 1_700_000_000;

struct Two {
    canary: Page,
    stable: Page,
    source: AnySource,
    at: f64,
}

impl Two {
    fn start() -> Self {
        let canary = Page::start(&page(90, 10, START));
        let stable = Page::start(&page(900, 1, START));
        let line = [
            format!("canary:c={}", canary.url),
            format!("stable:s={}", stable.url),
        ];
        let source = source(&[
            "--scrape",
            &line[0],
            "--scrape",
            &line[1],
            "--timeout",
            "2s",
        ]);
        let mut two = Self {
            canary,
            stable,
            source,
            at: 0.0,
        };
        let plan = plan(Timestamp::UNIX_EPOCH, 900.0);
        let prepared = block(two.source.prepare(&plan)).unwrap();
        assert_eq!(prepared.header.edges_seconds, [0.5, 1.0]);
        assert_eq!(prepared.warnings, Vec::<String>::new());
        two
    }

    fn look(&mut self) -> Look {
        let plan = plan(Timestamp::UNIX_EPOCH, 900.0);
        self.at += 15.0;
        let look = block(self.source.look(&plan, after(plan.started_at, self.at))).unwrap();
        assert_eq!(look.scrape.as_ref().unwrap().at_seconds, self.at);
        look
    }

    /// The canary at the next look, when its page says this.
    fn canary(&mut self, page: &str) -> (PodSample, Vec<String>) {
        self.canary.says(page);
        let look = self.look();
        let pods = look.scrape.unwrap().pods;
        assert_eq!(pods[1].requests, Some(901), "stable goes on");
        (pods[0].clone(), look.lost)
    }
}

#[test]
fn a_page_becomes_counters() {
    let mut two = Two::start();
    let (canary, lost) = two.canary(&page(97, 13, START));
    assert_eq!(
        canary,
        PodSample {
            up: true,
            started_at_seconds: Some(START as f64),
            requests: Some(110),
            errors: Some(13),
            le: Some(vec![97, 110]),
            cpu_seconds: Some(1.5),
            memory_bytes: Some(1000.0),
            ..PodSample::down("c", Side::Canary)
        }
    );
    assert_eq!(lost, Vec::<String>::new());
}

#[track_caller]
fn loses(page: &str, requests: Option<u64>, said: &str) {
    let mut two = Two::start();
    two.look();
    let (canary, lost) = two.canary(page);
    assert_eq!(canary.requests, requests, "{lost:?}");
    assert!(
        lost.iter().any(|lost| lost.contains(said)),
        "{said}: {lost:?}"
    );
}

#[test]
fn what_is_not_read_is_said() {
    let good = page(97, 13, START);
    loses(
        &good.replace("status=\"200\"", "status=\"200"),
        None,
        "line 3 of its page is not read, and http_requests_total stands in it",
    );
    loses(
        &good.replace("13\nhttp", "1 3 5\nhttp"),
        None,
        "something follows",
    );
    loses(
        &good.replace("le=\"0.5\"", "le=0.5"),
        Some(110),
        "http_request_duration_seconds_bucket stands in it",
    );
    loses(&good.replace("} 97", "} NaN"), None, "is not a number");
    loses(
        &good.replace("http_requests", "goldensignals_http_requests"),
        None,
        "c: ",
    );
    loses(good.trim_end(), Some(110), "");
    loses("hello\n", None, "which is not a metrics page");
    loses("<html></html>\n", None, "a page for people");
    loses("", None, "answered with nothing");
}

#[test]
fn a_page_that_is_cut_is_not_read() {
    let whole = page(97, 13, START).replace("# TYPE http_requests_total", "# TYPE http_requests");
    let mut two = Two::start();
    let open = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    two.canary
        .answers("200 OK", open, &format!("{whole}# EOF\n"));
    assert_eq!(two.look().scrape.unwrap().pods[0].requests, Some(110));
    two.canary.answers("200 OK", open, &whole);
    let look = two.look();
    assert!(!look.scrape.unwrap().pods[0].up);
    assert!(look.lost[0].contains("without `# EOF`"), "{:?}", look.lost);
}

#[test]
fn a_pod_that_does_not_answer_is_down() {
    let mut two = Two::start();
    for (status, said) in [
        ("503 Service Unavailable", "(503)"),
        ("302 Found", "redirects"),
        ("404 Not Found", "(404)"),
    ] {
        two.canary.answers(status, "text/plain", "x");
        let look = two.look();
        let pods = look.scrape.unwrap().pods;
        assert_eq!(pods[0], PodSample::down("c", Side::Canary));
        assert!(pods[1].up && look.lost[0].contains(said), "{:?}", look.lost);
    }
    two.stable.says(&page(5, 0, START));
    let (canary, _) = {
        two.canary.says(&page(97, 13, START));
        let look = two.look();
        (look.scrape.unwrap().pods[0].clone(), ())
    };
    assert_eq!(canary.requests, Some(110), "it is back");
}

#[test]
fn several_processes_behind_one_address_are_not_judged() {
    let mut two = Two::start();
    two.canary(&page(90, 10, START));
    two.canary(&page(20, 1, START + 60));
    let (canary, lost) = two.canary(&page(91, 10, START));
    assert_eq!(canary.requests, None);
    assert!(lost[0].contains("several processes"), "{lost:?}");
}

#[test]
fn samples_with_times_of_their_own_are_watched() {
    let stamped = page(97, 13, START).replace("} 97\n", "} 97 1700000000000\n");
    let mut two = Two::start();
    let (canary, _) = two.canary(&stamped);
    assert_eq!(canary.requests, Some(110));
    let (canary, lost) = two.canary(&stamped);
    assert_eq!(canary.requests, None);
    assert!(lost[0].contains("not newer"), "{lost:?}");
}

#[test]
fn a_rollout_is_read_in_its_own_time() {
    let simulated = RolloutPlan {
        nasty_labels: true,
        ..RolloutPlan::new(3, 1, 20.0, Behaviour::Healthy)
    };
    let rollout = Rollout::start(&simulated).unwrap();
    let pods = ["canary-0", "stable-0", "stable-1", "stable-2"];
    let line: Vec<String> = pods
        .iter()
        .map(|pod| {
            let side = pod.split('-').next().unwrap();
            format!("--scrape={side}:{pod}={}", rollout.page_url(pod))
        })
        .collect();
    let line: Vec<&str> = line.iter().map(String::as_str).collect();
    let mut source = source(&line);
    let plan = plan(Timestamp::now(), 900.0);
    // Until every pod has a series of its counter, whose name stands from then on.
    while rollout.looks().iter().any(|look| look.requests() == 0) {
        std::thread::park_timeout(std::time::Duration::from_millis(5));
    }
    let before = rollout.looks();
    let (look, renamed) = block(async {
        let prepared = source.prepare(&plan).await.unwrap();
        assert_eq!(prepared.warnings, Vec::<String>::new());
        assert_eq!(prepared.header.edges_seconds.len(), 11);
        let look = source.look(&plan, Timestamp::now()).await.unwrap();
        rollout.rename("goldensignals_").unwrap();
        let renamed = source.look(&plan, Timestamp::now()).await.unwrap();
        (look, renamed)
    });
    let after = rollout.looks();
    assert_eq!(look.lost, Vec::<String>::new());
    for pod in &look.scrape.unwrap().pods {
        let truth = |looks: &[gs_sim::rollout::Look]| {
            let own = looks.iter().find(|look| *look.pod == *pod.pod).unwrap();
            (
                own.requests(),
                own.errors(),
                own.requests() - own.slower_than(1.0),
            )
        };
        let (least, most) = (truth(&before), truth(&after));
        let within = pod.le.as_ref().unwrap()[7];
        let told = (pod.requests.unwrap(), pod.errors.unwrap(), within);
        assert!(
            least.0 <= told.0 && told.0 <= most.0,
            "{least:?} {told:?} {most:?}"
        );
        assert!(
            least.1 <= told.1 && told.1 <= most.1,
            "{least:?} {told:?} {most:?}"
        );
        assert!(
            least.2 <= told.2 && told.2 <= most.2,
            "{least:?} {told:?} {most:?}"
        );
        assert!(pod.started_at_seconds.unwrap() < 1.0);
    }
    let pods = renamed.scrape.unwrap().pods;
    assert!(
        pods.iter().all(|pod| pod.up && pod.requests.is_none()),
        "{pods:?}"
    );
    assert!(
        renamed
            .lost
            .iter()
            .any(|lost| lost.contains("goldensignals_http_requests_total is there instead")),
        "{:?}",
        renamed.lost
    );
}

#[test]
fn a_canary_that_was_asked_nothing_has_no_requests() {
    let rollout = Rollout::start(&RolloutPlan::new(1, 1, 20.0, Behaviour::NoTraffic)).unwrap();
    let canary = format!("canary={}", rollout.page_url("canary-0"));
    let stable = format!("stable={}", rollout.page_url("stable-0"));
    let mut source = source(&["--scrape", &canary, "--scrape", &stable]);
    let plan = plan(Timestamp::now(), 900.0);
    let look = block(async {
        source.prepare(&plan).await.unwrap();
        source.look(&plan, Timestamp::now()).await.unwrap()
    });
    let pods = look.scrape.unwrap().pods;
    assert_eq!(
        (pods[0].requests, pods[0].errors),
        (Some(0), Some(0)),
        "{pods:?}"
    );
}

#[test]
fn doctor_looks_at_every_page() {
    let two = Two::start();
    let checks = |two: &Two, limit: f64| {
        let line = [
            format!("canary:c={}", two.canary.url),
            format!("stable:s={}", two.stable.url),
        ];
        let mut source = source(&["--scrape", &line[0], "--scrape", &line[1]]);
        let mut plan = plan(Timestamp::UNIX_EPOCH, 900.0);
        plan.latency_limit_seconds = limit;
        block(source.doctor(&plan, Timestamp::now()))
    };
    let well = checks(&two, 1.0);
    assert!(
        well.iter().all(|check| check.verdict == Verdict::Pass),
        "{well:?}"
    );
    let finds = |checks: &[gs_common::report::Check], reason: &str| {
        let found = checks
            .iter()
            .any(|check| check.reason.as_deref() == Some(reason));
        assert!(found, "{reason}: {checks:?}");
    };
    finds(&checks(&two, 0.7), "edge_missing");
    two.canary
        .says(&page(0, 0, START).replace("http_requests_total{", "http_request_total{"));
    finds(&checks(&two, 1.0), "no_traffic");
    two.canary
        .says("# TYPE http_request_total counter\nhttp_request_total 1\n");
    let checked = checks(&two, 1.0);
    finds(&checked, "no_counter");
    assert!(
        checked.iter().any(|check| check
            .message
            .as_deref()
            .is_some_and(|text| text.contains("did you mean `http_request_total`?"))),
        "{checked:?}"
    );
    two.canary
        .says(&page(9, 1, START).replace("status=\"500\"", "status=\"500"));
    finds(&checks(&two, 1.0), "rejected_lines");
    two.canary
        .says(&page(9, 1, START).replace("status=", "outcome="));
    finds(&checks(&two, 1.0), "no_status");
    two.canary.answers("500 Oops", "text/plain", "x");
    finds(&checks(&two, 1.0), "source_unreachable");
}

#[track_caller]
fn refuses(line: &[&str], said: &str) {
    let error = configured(
        line,
        &[("EMPTY", ""), ("TOKEN", "tok-1234")],
        &Redactor::new(),
    )
    .unwrap_err();
    assert!(error.to_string().contains(said), "{error}");
    assert!(!error.to_string().contains("hunter2"), "{error}");
}

#[test]
fn what_is_typed_wrongly_is_said() {
    let good = [
        "--scrape",
        "canary=http://a:1",
        "--scrape",
        "stable=http://b:1",
    ];
    refuses(&["--prometheus", "localhost:9090"], "no web address");
    refuses(
        &["--prometheus", "http://me:hunter2@p:9090"],
        "a password does not belong in a URL",
    );
    refuses(&["--scrape", "http://a"], "no side");
    refuses(&["--scrape", "blue=http://a"], "`blue` is no side");
    refuses(&["--scrape", "canary=http://a"], "no pod of stable");
    refuses(
        &["--scrape", "canary=http://a", "--scrape", "stable=http://a"],
        "named twice",
    );
    refuses(
        &[
            "--scrape",
            "canary:x=http://a",
            "--scrape",
            "stable:x=http://b",
        ],
        "two pods are called `x`",
    );
    refuses(
        &[
            "--prometheus",
            "http://p",
            good[0],
            good[1],
            good[2],
            good[3],
        ],
        "both --prometheus and --scrape",
    );
    refuses(
        &["--prometheus", "http://p", "--canary-selector", "a=b"],
        "no quotes",
    );
    refuses(
        &[
            "--prometheus",
            "http://p",
            "--canary-selector",
            "a=\"b\"",
            "--stable-selector",
            "{a='b'}",
        ],
        "same selector",
    );
    refuses(
        &["--prometheus", "http://p", "--bearer-env", "MISSING"],
        "`MISSING` is not set",
    );
    refuses(
        &["--prometheus", "http://p", "--bearer-env", "EMPTY"],
        "`EMPTY` is not set",
    );
    refuses(
        &[
            "--prometheus",
            "http://p",
            "--bearer-env",
            "TOKEN",
            "--basic-user",
            "me",
        ],
        "both say who we are",
    );
    refuses(
        &["--prometheus", "http://p", "--basic-user", "me"],
        "has no password",
    );
    refuses(
        &["--prometheus", "http://p", "--cert", "Cargo.toml"],
        "needs --cert and --key",
    );
    refuses(
        &["--prometheus", "http://p", "--sigv4-region", "eu-west-1"],
        "AWS_ACCESS_KEY_ID",
    );
    refuses(
        &["--prometheus", "http://p", "--timeout", "0s"],
        "does not lie between",
    );
    refuses(
        &["--prometheus", "http://p", "--kubernetes"],
        "finds no cluster",
    );
}

#[test]
fn what_is_meant_is_known() {
    let config = |line: &[&str]| configured(line, &[], &Redactor::new()).unwrap();
    let local = config(&[
        "--scrape",
        "canary=http://127.0.0.1:1/x/metrics",
        "--scrape",
        "stable=http://[::1]:2",
    ]);
    assert!(local.is_loopback());
    assert_eq!(local.subject().as_deref(), Some("127.0.0.1:1/x"));
    assert_eq!(local.targets()[1].as_str(), "http://[::1]:2/metrics");
    let prometheus = config(&["--prometheus", "https://p.example/prom/api/v1/query"]);
    assert_eq!(prometheus.targets()[0].as_str(), "https://p.example/prom/");
    assert_eq!(
        prometheus.subject().as_deref(),
        Some("goldensignals-canary")
    );
    assert!(!prometheus.is_loopback());
    let error = canary_monitor::source::open(&config(&[])).unwrap_err();
    assert!(error.to_string().contains("no source"), "{error}");
}
