//! A Prometheus as a source: whole runs over a history that is told to misbehave, in no time.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

mod common;

use std::time::Duration;

use canary_monitor::judge::{Policy, Watch};
use canary_monitor::source::{Plan, Source as _};
use common::{Ran, after, block, configured, plan, run, source};
use gs_common::redact::Redactor;
use gs_common::verdict::Verdict;
use gs_sim::prometheus::{Misbehaving, Mood};
use gs_sim::rollout::{Behaviour, History, RolloutPlan};
use jiff::Timestamp;

/// The history reaches from before the run to after its end.
const BEFORE: f64 = 150.0;
const AFTER: f64 = 100.0;
const DURATION: f64 = 900.0;
/// Long enough for a healthy canary to pass.
const SHORT: f64 = 300.0;

struct World {
    prometheus: Misbehaving,
    plan: Plan,
}

fn world_of(rollout: &RolloutPlan, duration: f64) -> World {
    let now = Timestamp::now();
    let end = now.as_millisecond() as f64 / 1e3;
    let history = History::of(rollout, end, BEFORE + duration + AFTER, 15.0).unwrap();
    World {
        prometheus: Misbehaving::start(history).unwrap(),
        plan: plan(after(now, -duration - AFTER), duration),
    }
}

fn world(behaviour: &str) -> World {
    let behaviour = Behaviour::parse_short(behaviour).unwrap();
    world_of(&RolloutPlan::new(6, 1, 20.0, behaviour), DURATION)
}

fn short() -> World {
    world_of(&RolloutPlan::new(3, 1, 20.0, Behaviour::Healthy), SHORT)
}

impl World {
    fn run(&self, before: impl FnMut(f64)) -> Ran {
        let url = self.prometheus.url();
        let mut source = source(&["--prometheus", &url, "--max-answer", "2MiB"]);
        run(&mut source, &self.plan, 15.0, before)
    }

    /// A healthy canary's run with a mood from one moment to another.
    fn with(&self, mood: &Mood, from: f64, until: f64) -> Ran {
        let mut bad = false;
        self.run(|at| {
            let wanted = (from..until).contains(&at);
            if wanted != bad {
                self.prometheus
                    .set(if wanted { mood.clone() } else { Mood::Right });
                bad = wanted;
            }
        })
    }
}

/// The verdict on a whole run that lies in the past.
fn judged(world: &World) -> (Verdict, &'static str, Vec<String>, usize) {
    block(async {
        let mut source = source(&["--prometheus", &world.prometheus.url()]);
        let prepared = source.prepare(&world.plan).await.unwrap();
        let header = &prepared.header;
        assert_eq!(header.scrape_interval_seconds, 15.0);
        assert!(header.edges_seconds.contains(&1.0), "{header:?}");
        let first = &prepared.queries[0];
        assert!(
            first.starts_with("{__name__=\"http_requests_total\",namespace=\"production\"")
                || first.starts_with("{__name__=\"up\""),
            "{first}"
        );
        let mut watch = Watch::new(Policy::default(), header);
        let from = after(world.plan.started_at, -16.0);
        let to = after(world.plan.started_at, DURATION + 20.0);
        let looks = source.past(&world.plan, from, to).await.unwrap().unwrap();
        let mut lost = Vec::new();
        let mut decision = None;
        for look in &looks {
            lost.extend(look.lost.clone());
            decision = decision.or_else(|| watch.step(look.scrape.as_ref()?));
        }
        let decision = decision.unwrap_or_else(|| watch.finish());
        (decision.verdict, decision.reason, lost, looks.len())
    })
}

#[test]
fn a_healthy_canary_passes_and_bad_ones_fail() {
    let (verdict, reason, lost, looks) = judged(&world("healthy"));
    assert_eq!((verdict, reason), (Verdict::Pass, "healthy"));
    assert_eq!(lost, Vec::<String>::new());
    assert!(looks >= 60, "{looks}");
    let is = |behaviour: &str, verdict, reason| {
        let (found, why, lost, _) = judged(&world(behaviour));
        assert_eq!((found, why), (verdict, reason), "{behaviour}: {lost:?}");
    };
    is("slow,factor=2", Verdict::Fail, "latency");
    is("errors,share=0.03", Verdict::Fail, "error_rate");
    is("crash-loop", Verdict::Fail, "restarts");
    is("leak", Verdict::Fail, "memory_leak");
    is("no-traffic", Verdict::Inconclusive, "no_traffic");
}

#[test]
fn labels_that_hold_anything_count() {
    let nasty = RolloutPlan {
        nasty_labels: true,
        ..RolloutPlan::new(6, 1, 20.0, Behaviour::Healthy)
    };
    world_of(&nasty, SHORT)
        .run(|_| {})
        .is(Verdict::Pass, "healthy");
}

#[test]
fn counts_are_exact() {
    let world = world("errors,share=0.05");
    let mut source = source(&["--prometheus", &world.prometheus.url()]);
    block(async {
        source.prepare(&world.plan).await.unwrap();
        let from = after(world.plan.started_at, -20.0);
        let to = after(world.plan.started_at, DURATION);
        let looks = source.past(&world.plan, from, to).await.unwrap().unwrap();
        assert!(looks.len() >= 60, "{}", looks.len());
        let scrapes: Vec<_> = looks
            .iter()
            .filter_map(|look| look.scrape.as_ref())
            .collect();
        let spacing = scrapes
            .windows(2)
            .map(|pair| pair[1].at_seconds - pair[0].at_seconds);
        assert!(spacing.clone().all(|seconds| (seconds - 15.0).abs() < 0.01));
        for pair in scrapes.windows(2) {
            for (before, now) in pair[0].pods.iter().zip(&pair[1].pods) {
                assert_eq!(before.pod, now.pod);
                assert!(before.requests < now.requests && before.errors <= now.errors);
                assert_eq!(now.all_timed(), now.requests);
            }
        }
        let canary = &scrapes.last().unwrap().pods[0];
        assert_eq!(
            (canary.pod.as_str(), canary.memory_limit_bytes),
            ("canary-0", Some(2_147_483_648.0))
        );
        let share = canary.errors.unwrap() as f64 / canary.requests.unwrap() as f64;
        assert!((share - 0.05).abs() < 0.01, "{share}");
    });
}

#[test]
fn the_past_is_what_live_looks_saw() {
    let world = world("crash-loop");
    let url = world.prometheus.url();
    let mut live = Vec::new();
    block(async {
        let mut source = source(&["--prometheus", &url]);
        source.prepare(&world.plan).await.unwrap();
        let mut at = 0.0;
        while at < 400.0 {
            let look = source
                .look(&world.plan, after(world.plan.started_at, at))
                .await
                .unwrap();
            live.extend(look.scrape);
            at += 15.0;
        }
        let mut resumed = common::source(&["--prometheus", &url]);
        resumed.prepare(&world.plan).await.unwrap();
        let from = after(world.plan.started_at, live[9].at_seconds);
        let to = after(
            world.plan.started_at,
            live.last().unwrap().at_seconds + 14.0,
        );
        let past = resumed.past(&world.plan, from, to).await.unwrap().unwrap();
        let past: Vec<_> = past.into_iter().filter_map(|look| look.scrape).collect();
        assert_eq!(past.len(), live.len() - 10);
        // A pod that was away is listed only by who has seen it before.
        let up = |scrape: &canary_monitor::observations::Scrape| {
            let pods = scrape.pods.iter().filter(|pod| pod.up).cloned();
            (scrape.at_seconds, pods.collect::<Vec<_>>())
        };
        for (one, other) in past.iter().zip(&live[10..]) {
            assert_eq!(up(one), up(other));
        }
        // And the next look goes on from there.
        let next = resumed
            .look(&world.plan, after(world.plan.started_at, 500.0))
            .await
            .unwrap();
        assert!(next.scrape.unwrap().at_seconds > live.last().unwrap().at_seconds);
    });
}

#[test]
fn a_run_without_a_mood_passes_and_one_that_lost_too_much_does_not() {
    short()
        .with(&Mood::Right, 90.0, 210.0)
        .is(Verdict::Pass, "healthy");
    let down = short().with(&Mood::Down, 90.0, 210.0);
    down.named("refuses connections");
    let no_numbers = short().with(&Mood::NAN, 90.0, 210.0);
    no_numbers.named("is not a number (NaN)");
}

/// A look in each mood counts nothing, and says why.
#[test]
fn whatever_goes_wrong_is_named_and_counts_nothing() {
    let world = short();
    let url = world.prometheus.url();
    let mut source = source(&["--prometheus", &url, "--max-answer", "2MiB"]);
    let failed = "{\"status\":\"error\",\"errorType\":\"internal\",\"error\":\"disk\"}";
    let moods = [
        (Mood::Down, "refuses connections"),
        (Mood::Silent, "closed the connection without an answer"),
        (
            Mood::Status(401),
            "wants other credentials (401): none were sent",
        ),
        (Mood::Status(403), "does not allow this (403)"),
        (
            Mood::Status(422),
            "cannot execute the query (422): query processing would load",
        ),
        (
            Mood::Status(503),
            "not able to answer now (503): query timed out",
        ),
        (
            Mood::Status(502),
            "a proxy before it failed (502): a page for people (HTML)",
        ),
        (
            Mood::Html,
            "a page for people (HTML), not with an answer of Prometheus",
        ),
        (Mood::Login, "redirects to `/login` (302)"),
        (
            Mood::Warnings(vec!["store down".to_owned()]),
            "data are missing: store down",
        ),
        (Mood::Empty, "no sample of any pod"),
        (Mood::Huge(3 << 20), "more than 2MiB"),
        (Mood::Cut, "broke off in the middle"),
        (
            Mood::Body("[1".to_owned()),
            "which is not an answer of Prometheus",
        ),
        (
            Mood::Body(failed.to_owned()),
            "it says that it failed (internal): disk",
        ),
        (Mood::NAN, "is not a number (NaN)"),
        (Mood::INFINITE, "is infinite"),
        (Mood::ClockAhead(600), "is 10m ahead of this machine's"),
        (Mood::ClockAhead(-600), "is 10m behind this machine's"),
    ];
    block(async {
        source.prepare(&world.plan).await.unwrap();
        for (index, (mood, said)) in moods.into_iter().enumerate() {
            world.prometheus.set(mood);
            let at = after(world.plan.started_at, 20.0 + 15.0 * index as f64);
            let lost = match source.look(&world.plan, at).await {
                Ok(look) => {
                    let pods = look.scrape.into_iter().flat_map(|scrape| scrape.pods);
                    let told: Vec<_> = pods.filter(|pod| pod.requests.is_some()).collect();
                    assert!(told.is_empty(), "{said}: {told:?}");
                    look.lost
                }
                Err(error) => {
                    assert!(error.hint.is_some(), "{error}");
                    vec![error.what]
                }
            };
            assert!(
                lost.iter().any(|lost| lost.contains(said)),
                "{said}: {lost:?}"
            );
        }
        world.prometheus.set(Mood::Right);
        let at = after(world.plan.started_at, SHORT + 30.0);
        let look = source.look(&world.plan, at).await.unwrap();
        let pods = look.scrape.unwrap().pods;
        assert!(pods.iter().all(|pod| pod.requests.is_some()), "{pods:?}");
        // A header's date that is off is a proxy's: the server's own clock decides.
        world.prometheus.set(Mood::DateAhead(600));
        let at = after(world.plan.started_at, SHORT + 45.0);
        source.look(&world.plan, at).await.unwrap().scrape.unwrap();
    });
}

#[test]
fn a_server_that_is_slow_is_named() {
    let world = short();
    let url = world.prometheus.url();
    let mut source = source(&["--prometheus", &url, "--timeout", "3s"]);
    block(async {
        source.prepare(&world.plan).await.unwrap();
        world.prometheus.set(Mood::Slow(Duration::from_secs(60)));
        let at = after(world.plan.started_at, 60.0);
        let error = source.look(&world.plan, at).await.unwrap_err();
        assert!(error.what.contains("did not answer within 3s"), "{error}");
    });
}

#[test]
fn one_lost_answer_is_made_up_for() {
    let world = short();
    let ran = world.run(|at| {
        if at == 90.0 {
            world.prometheus.set_next([Mood::Status(503), Mood::Silent]);
        }
    });
    ran.is(Verdict::Pass, "healthy");
    assert!(
        ran.looks >= 20 && !ran.lost.is_empty(),
        "{} {:?}",
        ran.looks,
        ran.lost
    );
}

#[track_caller]
fn not_prepared(mood: Option<Mood>, line: &[&str], said: &str) {
    let world = short();
    let url = world.prometheus.url();
    let line: Vec<&str> = ["--prometheus", &url]
        .into_iter()
        .chain(line.iter().copied())
        .collect();
    if let Some(mood) = mood {
        world.prometheus.set(mood);
    }
    let error = block(source(&line).prepare(&world.plan)).unwrap_err();
    assert!(error.what.contains(said), "{error}");
    assert!(error.hint.is_some());
}

#[test]
fn what_cannot_be_watched_is_said_before_the_run() {
    not_prepared(Some(Mood::ClockAhead(600)), &[], "10m ahead of");
    not_prepared(Some(Mood::Html), &[], "a page for people");
    not_prepared(
        None,
        &["--canary-selector", "deployment=\"nowhere\""],
        "no series of canary",
    );
    not_prepared(
        None,
        &["--stable-selector", "namespace=\"production\""],
        "the selectors overlap",
    );
    not_prepared(
        None,
        &["--requests-metric", "requests_total"],
        "no counter of requests",
    );
}

#[test]
fn credentials_are_sent_and_hidden_and_read_again() {
    let world = short();
    let url = world.prometheus.url();
    let redactor = Redactor::new();
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    let write = |text: &str| {
        gs_common::file::write_atomic(&token, |out| out.write_all(text.as_bytes())).unwrap();
    };
    write("first-token\n");
    world.prometheus.demand(Some("Bearer first-token"));
    let line = [
        "--prometheus",
        &url,
        "--bearer-file",
        token.to_str().unwrap(),
    ];
    let config = configured(&line, &[], &redactor).unwrap();
    let mut source = canary_monitor::source::open(&config).unwrap();
    block(async {
        source.prepare(&world.plan).await.unwrap();
        write("second-token");
        world.prometheus.demand(Some("Bearer second-token"));
        source
            .look(&world.plan, after(world.plan.started_at, 60.0))
            .await
            .unwrap();
        world.prometheus.demand(Some("Bearer third-token"));
        let error = source
            .look(&world.plan, after(world.plan.started_at, 90.0))
            .await
            .unwrap_err();
        assert!(
            error.what.contains("(401): a bearer token was sent"),
            "{error}"
        );
        assert!(!error.what.contains("second-token"));
    });
    assert_eq!(redactor.text("first-token second-token"), "*** ***");
}

#[test]
fn every_way_to_authenticate_reaches_the_server() {
    #[track_caller]
    fn sends(line: &[&str], variables: &[(&str, &str)], header: &str, value: &str) {
        let world = short();
        let url = world.prometheus.url();
        let line: Vec<&str> = ["--prometheus", &url]
            .into_iter()
            .chain(line.iter().copied())
            .collect();
        let config = configured(&line, variables, &Redactor::new()).unwrap();
        let mut source = canary_monitor::source::open(&config).unwrap();
        block(source.prepare(&world.plan)).unwrap();
        let asked = world.prometheus.asked();
        for one in &asked {
            let sent = one.header(header).unwrap_or_default();
            assert!(sent.starts_with(value), "{sent}");
            assert_eq!(one.method, "POST");
        }
        assert!(asked.len() > 5);
    }
    sends(
        &["--bearer-env", "TOKEN"],
        &[("TOKEN", "tok-1234")],
        "authorization",
        "Bearer tok-1234",
    );
    sends(
        &["--basic-user", "me", "--basic-password-env", "PASSWORD"],
        &[("PASSWORD", "open sesame")],
        "authorization",
        "Basic bWU6b3BlbiBzZXNhbWU=",
    );
    sends(
        &["--header-env", "X-Scope-OrgID=TENANT"],
        &[("TENANT", "7")],
        "x-scope-orgid",
        "7",
    );
    let aws = [
        ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
        ("AWS_SECRET_ACCESS_KEY", "secret-key"),
        ("AWS_SESSION_TOKEN", "session"),
    ];
    sends(
        &["--sigv4-region", "eu-central-1"],
        &aws,
        "authorization",
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/",
    );
    sends(
        &["--sigv4-region", "eu-central-1"],
        &aws,
        "x-amz-security-token",
        "session",
    );
}

#[test]
fn doctor_finds_what_is_wrong() {
    let world = short();
    let url = world.prometheus.url();
    let ask = |line: &[&str]| {
        let line: Vec<&str> = ["--prometheus", &url]
            .into_iter()
            .chain(line.iter().copied())
            .collect();
        let checks = block(source(&line).doctor(&world.plan, Timestamp::now()));
        checks
            .into_iter()
            .map(|check| {
                (
                    check.id,
                    check.verdict,
                    check.reason.unwrap_or_default(),
                    check.message.unwrap_or_default(),
                )
            })
            .collect::<Vec<_>>()
    };
    let well = ask(&[]);
    assert!(
        well.iter()
            .all(|(_, verdict, _, _)| *verdict == Verdict::Pass),
        "{well:?}"
    );
    assert!(well.len() >= 14, "{well:?}");
    #[track_caller]
    fn finds(checks: &[(String, Verdict, String, String)], reason: &str, said: &str) {
        let found = checks.iter().find(|(_, _, code, _)| code == reason);
        let (_, verdict, _, message) = found.unwrap_or_else(|| panic!("{checks:?}"));
        assert_ne!(*verdict, Verdict::Pass);
        assert!(message.contains(said), "{message}");
    }
    let typo = ask(&["--canary-selector", "deployment=\"goldensignals-canari\""]);
    finds(&typo, "label_typo", "did you mean `goldensignals-canary`?");
    let label = ask(&["--canary-selector", "deployed=\"x\""]);
    finds(&label, "label_typo", "no series has a label `deployed`");
    let same = ask(&["--stable-selector", "namespace=\"production\""]);
    finds(&same, "same_pods", "canary-0 among them");
    let counter = ask(&["--requests-metric", "http_request_total"]);
    finds(&counter, "no_counter", "http_request_total");
    world.prometheus.set(Mood::ClockAhead(600));
    finds(&ask(&[]), "clock_skew", "10m ahead of");
    world.prometheus.set(Mood::Down);
    finds(&ask(&[]), "source_unreachable", "refuses connections");
}
