//! What may happen to pods in mid-run, as a Prometheus tells it: renamed counters, a new process, another pod.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

mod common;

use std::time::Duration;

use canary_monitor::observations::{PodSample, Scrape};
use canary_monitor::source::{AnySource, Look, Plan, Source as _};
use common::{block, plan, source};
use gs_sim::prometheus::Misbehaving;
use gs_sim::rollout::{Away, Behaviour, Rollout, RolloutPlan};
use jiff::Timestamp;

/// Seconds of the wall clock from one scrape to the next.
const INTERVAL: Duration = Duration::from_millis(200);

/// A rollout that runs, and a Prometheus that scrapes it.
struct World {
    rollout: Rollout,
    _prometheus: Misbehaving,
    source: AnySource,
    plan: Plan,
}

impl World {
    fn start(behaviour: Behaviour) -> Self {
        let simulated = RolloutPlan {
            scrape_interval: INTERVAL,
            away: Away::Breaks,
            ..RolloutPlan::new(2, 1, 20.0, behaviour).with_time_scale(10.0)
        };
        let rollout = Rollout::start(&simulated).unwrap();
        let prometheus = Misbehaving::start(rollout.history()).unwrap();
        let source = source(&["--prometheus", &prometheus.url(), "--settle", "0s"]);
        let mut world = Self {
            rollout,
            _prometheus: prometheus,
            source,
            plan: plan(Timestamp::now(), 900.0),
        };
        world.scraped(6);
        let prepared = block(world.source.prepare(&world.plan)).unwrap();
        let found = prepared.header.scrape_interval_seconds;
        assert!((0.1..0.5).contains(&found), "{found}");
        world.plan.started_at = Timestamp::now();
        world
    }

    /// Waits until so many more scrapes have happened.
    fn scraped(&self, more: usize) {
        let until = self.rollout.history().len() + more;
        while self.rollout.history().len() < until {
            std::thread::park_timeout(Duration::from_millis(10));
        }
    }

    /// The first look from now on that sees something and is as wished.
    #[track_caller]
    fn until(&mut self, wished: impl Fn(&Scrape, &[String]) -> bool) -> (Scrape, Vec<String>) {
        let mut all = Vec::new();
        for _ in 0..150 {
            let Look { scrape, lost } =
                block(self.source.look(&self.plan, Timestamp::now())).unwrap();
            all.extend(lost);
            if let Some(scrape) = scrape.filter(|scrape| wished(scrape, &all)) {
                return (scrape, all);
            }
            std::thread::park_timeout(Duration::from_millis(20));
        }
        panic!("{all:?}");
    }
}

fn canary(scrape: &Scrape) -> &PodSample {
    &scrape.pods[0]
}

#[test]
fn renamed_counters_are_lost_and_named() {
    let mut world = World::start(Behaviour::Healthy);
    world.until(|scrape, _| scrape.pods.iter().all(|pod| pod.requests.is_some()));
    world.rollout.rename("goldensignals_").unwrap();
    let (scrape, lost) =
        world.until(|scrape, _| scrape.pods.iter().all(|pod| pod.requests.is_none()));
    assert!(
        scrape.pods.iter().all(|pod| pod.up && pod.le.is_none()),
        "{scrape:?}"
    );
    assert!(
        lost.iter()
            .any(|lost| lost.contains("has no series of http_requests_total any more")),
        "{lost:?}"
    );
}

#[test]
fn a_new_process_is_seen_by_its_start() {
    let mut world = World::start(Behaviour::Healthy);
    let (before, _) =
        world.until(|scrape, _| canary(scrape).requests.is_some_and(|count| count > 100));
    world.rollout.restart("canary-0").unwrap();
    let old = canary(&before).started_at_seconds.unwrap();
    let (after, _) = world.until(|scrape, _| {
        let pod = canary(scrape);
        pod.started_at_seconds.is_some_and(|at| at > old) && pod.requests.is_some()
    });
    assert!(
        canary(&after).requests < canary(&before).requests,
        "{after:?}"
    );
}

#[test]
fn a_pod_in_the_place_of_another_is_named() {
    let mut world = World::start(Behaviour::Healthy);
    world.until(|scrape, _| canary(scrape).requests.is_some());
    let new = world.rollout.replace("canary-0").unwrap();
    let (scrape, lost) = world.until(|scrape, _| scrape.pods.iter().any(|pod| pod.pod == new));
    assert!(
        scrape.pods.iter().all(|pod| pod.pod != "canary-0"),
        "{scrape:?}"
    );
    let said = |what: &str| lost.iter().any(|lost| lost.contains(what));
    assert!(
        said("canary pod canary-0: is gone from Prometheus"),
        "{lost:?}"
    );
    assert!(said(&format!("canary pod {new}: is new")), "{lost:?}");
}

#[test]
fn a_pod_that_does_not_answer_is_down() {
    let mut world = World::start(Behaviour::Healthy);
    world.until(|scrape, _| canary(scrape).up);
    world
        .rollout
        .behave(Some("canary-0"), Behaviour::Down)
        .unwrap();
    let (scrape, lost) = world.until(|scrape, _| !canary(scrape).up);
    assert_eq!(scrape.pods.len(), 3);
    assert!(
        lost.iter()
            .any(|lost| lost.contains("canary-0: did not answer Prometheus")),
        "{lost:?}"
    );
}
