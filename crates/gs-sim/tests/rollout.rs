//! The laws of simulated rollouts, in simulated time.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

use std::collections::BTreeMap;

use gs_sim::rollout::{Behaviour, Clock, Look, RolloutPlan, Simulation};
use proptest::prelude::*;

const CLOCK: Clock = Clock {
    began_unix_seconds: 1e9,
    time_scale: 1.0,
};

fn behaviour(text: &str) -> Behaviour {
    Behaviour::parse_short(text).unwrap()
}

/// Three stable pods and a canary at 50 requests a second.
fn plan(text: &str) -> RolloutPlan {
    RolloutPlan::new(3, 1, 50.0, behaviour(text))
}

fn simulation(text: &str) -> Simulation {
    Simulation::new(&plan(text)).unwrap()
}

/// What a pod did between two moments.
struct Done {
    requests: f64,
    errors: f64,
    /// Slower than the edge at half a second.
    slow: f64,
    memory_mib: f64,
}

impl Done {
    fn between(simulation: &mut Simulation, pod: &str, from: f64, to: f64) -> Self {
        simulation.advance(from);
        let before = simulation.look(pod).unwrap();
        simulation.advance(to);
        let after = simulation.look(pod).unwrap();
        let of = |count: fn(&Look) -> u64| (count(&after) - count(&before)) as f64;
        Self {
            requests: of(Look::requests),
            errors: of(Look::errors),
            slow: of(|look| look.slower_than(0.5)),
            memory_mib: (after.memory_bytes - before.memory_bytes) / f64::from(1 << 20),
        }
    }
}

/// A value that is a count over many: within five standard deviations.
#[track_caller]
fn near(count: f64, of: f64, share: f64) {
    let deviation = (of * share * (1.0 - share)).sqrt().max(1.0);
    assert!(
        (count - of * share).abs() < 5.0 * deviation,
        "{count} of {of}, not {share}"
    );
}

#[test]
fn a_healthy_pod_has_the_shares_that_are_promised() {
    let mut healthy = simulation("healthy");
    for pod in ["canary-0", "stable-0"] {
        let done = Done::between(&mut healthy.clone(), pod, 0.0, 900.0);
        near(done.requests, 1e9, 45e-6);
        near(done.errors, done.requests, 0.001);
        // ln(0.5/0.2)/0.557 above the 95th percentile: 3.290 deviations above the median.
        near(done.slow, done.requests, 0.0005);
    }
    let done = Done::between(&mut healthy, "canary-0", 0.0, 180.0);
    assert!(
        (180.0..215.0).contains(&done.memory_mib),
        "{}",
        done.memory_mib
    );
}

#[test]
fn a_behaviour_changes_the_canary_and_only_that() {
    let canary = |text: &str, from, to| Done::between(&mut simulation(text), "canary-0", from, to);
    let slow = canary("slow,factor=2", 0.0, 900.0);
    // 2.045 deviations above the median.
    near(slow.slow, slow.requests, 0.0204);
    near(canary("slow,at_seconds=300", 0.0, 300.0).slow, 15e3, 0.0005);
    near(canary("errors,share=0.03", 0.0, 300.0).errors, 15e3, 0.03);
    assert_eq!(canary("error-step", 0.0, 300.0).errors, 0.0);
    near(canary("error-step", 300.0, 600.0).errors, 15e3, 0.08);
    let cold = canary("cold-start", 0.0, 60.0);
    assert!(cold.slow / cold.requests > 0.5, "{}", cold.slow);
    near(canary("cold-start", 60.0, 360.0).slow, 15e3, 0.0005);
    let leak = canary("leak", 600.0, 1200.0).memory_mib;
    assert!((180.0..220.0).contains(&leak), "{leak}");
    assert_eq!(canary("no-traffic", 0.0, 900.0).requests, 0.0);

    let stable = |text: &str| {
        let mut simulation = simulation(text);
        simulation.advance(900.0);
        simulation.looks()[1..].to_vec()
    };
    let healthy = stable("healthy");
    for text in [
        "slow",
        "errors",
        "error-step",
        "leak",
        "crash-loop",
        "cold-start",
        "no-traffic",
        "down",
    ] {
        assert_eq!(stable(text), healthy, "{text}");
    }
}

#[test]
fn the_same_seed_brings_the_same_requests_whatever_is_done_to_them() {
    let requests = |text: &str, seed: u64| {
        let mut simulation = Simulation::new(&plan(text).with_seed(seed)).unwrap();
        simulation.advance(300.0);
        simulation.look("canary-0").unwrap().requests()
    };
    assert_eq!(requests("healthy", 1), requests("slow", 1));
    assert_eq!(requests("healthy", 1), requests("errors", 1));
    assert_ne!(requests("healthy", 1), requests("healthy", 2));
}

/// In which minutes a pod had a burst.
fn bursts(text: &str, pod: &str) -> Vec<bool> {
    let mut simulation = simulation(text);
    let minute = |index: u32| {
        let from = f64::from(index) * 60.0;
        let done = Done::between(&mut simulation, pod, from, from + 60.0);
        done.errors / done.requests > 0.02
    };
    (0..240).map(minute).collect()
}

#[test]
fn bursts_are_shared_or_each_pods_own() {
    // Minutes are cut at the edge of a burst where the share may lie to either side of the limit.
    let differ = |a: &[bool], b: &[bool]| a.iter().zip(b).filter(|(a, b)| a != b).count();
    let [canary, stable] = ["canary-0", "stable-0"].map(|pod| bursts("shared-bursts", pod));
    let minutes = canary.iter().filter(|burst| **burst).count();
    assert!((20..120).contains(&minutes), "{minutes}");
    assert!(
        differ(&canary, &stable) < 12,
        "{}",
        differ(&canary, &stable)
    );
    let [canary, stable] = ["canary-0", "stable-0"].map(|pod| bursts("pod-bursts", pod));
    assert!(canary.contains(&true) && stable.contains(&true));
    assert!(differ(&canary, &stable) > 12);
}

#[test]
fn a_crash_loop_resets_the_counters_and_moves_the_start() {
    let mut crashing = simulation("crash-loop");
    let at = |simulation: &mut Simulation, seconds: f64| {
        simulation.advance(seconds);
        let look = simulation.look("canary-0").unwrap();
        assert_eq!(look.up, simulation.page("canary-0", &CLOCK).is_some());
        look
    };
    assert!(at(&mut crashing, 44.0).up);
    assert!(!at(&mut crashing, 46.0).up);
    let served = crashing.look("canary-0").unwrap().requests();
    assert_eq!(
        at(&mut crashing, 89.0).requests(),
        served,
        "somebody served while it was away"
    );
    let second = at(&mut crashing, 91.0);
    assert_eq!(
        (second.up, second.started_seconds, second.restarts),
        (true, 90.0, 1)
    );
    assert!(second.requests() < served / 5);
    // Also where nobody looked for some rounds.
    assert_eq!(at(&mut crashing, 901.0).restarts, 10);
}

/// A page as a strict reader sees it: series and values, family by family.
#[track_caller]
fn parse(text: &str) -> BTreeMap<String, f64> {
    let mut series = BTreeMap::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (name, value) = line.rsplit_once(' ').unwrap();
        let value: f64 = value.parse().unwrap();
        assert!(
            series.insert(name.to_owned(), value).is_none(),
            "twice: {line}"
        );
    }
    series
}

/// Whether a series is a counter, or a part of a histogram.
fn counts(name: &str) -> bool {
    let name = name.split('{').next().unwrap();
    ["_total", "_bucket", "_sum", "_count"]
        .iter()
        .any(|end| name.ends_with(end))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn counters_only_grow_and_looks_change_nothing(
        seed in any::<u64>(),
        kind in proptest::sample::select(vec!["healthy", "slow", "errors", "error-step,at_seconds=60", "leak", "crash-loop", "cold-start", "no-traffic", "shared-bursts", "pod-bursts"]),
        looks in proptest::collection::vec(0.0..40.0_f64, 1..12),
    ) {
        let plan = plan(kind).with_seed(seed);
        let mut looked = Simulation::new(&plan).unwrap();
        let mut last: BTreeMap<String, (f64, BTreeMap<String, f64>)> = BTreeMap::new();
        let mut now = 0.0;
        for step in looks {
            now += step;
            looked.advance(now);
            for look in looked.looks() {
                let Some(page) = looked.page(&look.pod, &CLOCK) else { continue };
                let page = parse(&page);
                let started = page["process_start_time_seconds"];
                if let Some((_, old)) = last.get(&*look.pod).filter(|(then, _)| *then == started) {
                    for (name, value) in old.iter().filter(|(name, _)| counts(name)) {
                        prop_assert!(page[name] >= *value, "{} of {} fell", name, look.pod);
                    }
                }
                last.insert(look.pod.to_string(), (started, page));
            }
        }
        let mut unseen = Simulation::new(&plan).unwrap();
        unseen.advance(now);
        prop_assert_eq!(unseen.looks(), looked.looks());
    }
}

#[test]
fn a_page_adds_up_and_has_labels_with_braces() {
    let mut healthy = simulation("healthy");
    healthy.advance(600.0);
    let look = healthy.look("stable-0").unwrap();
    let page = parse(&healthy.page("stable-0", &CLOCK).unwrap());
    let sum = |start: &str, part: &str| -> f64 {
        let found = page
            .iter()
            .filter(|(name, _)| name.starts_with(start) && name.contains(part));
        found.map(|(_, value)| value).sum()
    };
    assert_eq!(sum("http_requests_total{", ""), look.requests() as f64);
    assert_eq!(
        sum("http_requests_total{", "status=\"5"),
        look.errors() as f64
    );
    assert_eq!(
        sum("http_request_duration_seconds_count{", ""),
        look.requests() as f64
    );
    assert_eq!(
        sum("http_request_duration_seconds_bucket{", "le=\"+Inf\""),
        look.requests() as f64
    );
    let slow = look.requests() as f64 - sum("http_request_duration_seconds_bucket{", "le=\"0.5\"");
    assert_eq!(slow, look.slower_than(0.5) as f64);
    assert!(
        page["http_requests_total{method=\"GET\",endpoint=\"/signals/{symbol}\",status=\"200\"}"]
            > 0.0
    );
    assert_eq!(page["process_start_time_seconds"], 1e9 - 3600.0);
    // An hour at 50 requests a second, before the simulation.
    assert!(look.requests() > 180_000);
}

#[test]
fn every_moment_on_a_page_is_in_the_scrapers_time() {
    let clock = Clock {
        time_scale: 20.0,
        ..CLOCK
    };
    let mut crashing = simulation("crash-loop");
    crashing.advance(95.0);
    let started =
        |pod: &str| parse(&crashing.page(pod, &clock).unwrap())["process_start_time_seconds"];
    assert_eq!(started("canary-0"), 1e9 + 90.0 / 20.0);
    assert_eq!(started("stable-1"), 1e9 - 7200.0 / 20.0);
    assert_eq!(clock.simulated(clock.unix(95.0)), 95.0);
}

#[test]
fn orders_take_effect_from_their_moment_on() {
    let mut ordered = simulation("healthy");
    ordered.advance(100.0);
    ordered.behave(None, behaviour("no-traffic")).unwrap();
    assert_eq!(
        Done::between(&mut ordered, "canary-0", 100.0, 200.0).requests,
        0.0
    );
    near(
        Done::between(&mut ordered, "stable-0", 200.0, 300.0).requests,
        1e9,
        5e-6,
    );
    ordered
        .behave(Some("stable-0"), behaviour("errors,share=0.5"))
        .unwrap();
    near(
        Done::between(&mut ordered, "stable-0", 300.0, 400.0).errors,
        5e3,
        0.5,
    );
    assert_eq!(ordered.behaviour("stable-1"), Some(Behaviour::Healthy));
    ordered.restart("stable-1").unwrap();
    let restarted = ordered.look("stable-1").unwrap();
    assert_eq!(
        (
            restarted.requests(),
            restarted.started_seconds,
            restarted.restarts
        ),
        (0, 400.0, 1)
    );
    let name = ordered.replace("stable-2").unwrap();
    assert!(ordered.look("stable-2").is_none());
    assert_eq!(ordered.look(&name).unwrap().requests(), 0);
    ordered.rename("goldensignals_").unwrap();
    assert!(
        ordered
            .page("canary-0", &CLOCK)
            .unwrap()
            .contains("\ngoldensignals_http_requests_total{")
    );
    for wrong in [
        ordered.behave(Some("nobody"), Behaviour::Healthy),
        ordered.behave(None, Behaviour::Errors { share: 7.0 }),
        ordered.restart("nobody"),
        ordered.replace("stable-2").map(drop),
        ordered.rename("x_"),
    ] {
        assert!(wrong.is_err());
    }
}
