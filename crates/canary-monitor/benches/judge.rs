//! How long the judge takes: a step over 100 pods and 20 edges, and the replay of a 15-minute log. Run it
//! with `cargo bench -p canary-monitor --bench judge`; it measures and prints, and holds nothing to a
//! limit, for a limit on the wall clock says more about the machine than about the judge.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    missing_docs,
    reason = "a bench is run by hand, for its figures"
)]

use std::time::{Duration, Instant};

use canary_monitor::judge::{Policy, Watch};
use canary_monitor::observations::{self, Header, PodSample, SCHEMA, Scrape, Side};

const EDGES: usize = 20;
const LOOKS: u64 = 60;

/// A calm world of so many pods, the first one the canary. Its numbers are drawn by a small generator, so
/// that the bench measures the judge and not the simulator.
fn world(pods: usize) -> (Header, Vec<Scrape>) {
    let edges: Vec<f64> = (0..EDGES)
        .map(|edge| 0.005 * 1.5_f64.powi(edge as i32))
        .collect();
    let header = Header {
        schema: SCHEMA.to_owned(),
        edges_seconds: edges,
        scrape_interval_seconds: 15.0,
        canary_weight: None,
        duration_seconds: 900.0,
    };
    let mut state = 7_u64;
    let mut draw = move |below: u64| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let mut counters = vec![(0_u64, 0_u64, vec![0_u64; EDGES]); pods];
    let scrapes = (1..=LOOKS)
        .map(|look| {
            let samples = counters
                .iter_mut()
                .enumerate()
                .map(|(index, (requests, errors, le))| {
                    let count = 280 + draw(40);
                    *requests += count;
                    *errors += u64::from(draw(4) == 0);
                    let mut within = 0;
                    for (edge, bucket) in le.iter_mut().enumerate() {
                        within = (within + draw(5 * count / EDGES as u64 + 1)).min(count);
                        *bucket += if edge + 1 == EDGES { count } else { within };
                    }
                    let name = if index == 0 {
                        "canary".to_owned()
                    } else {
                        format!("stable-{index}")
                    };
                    let side = if index == 0 {
                        Side::Canary
                    } else {
                        Side::Stable
                    };
                    PodSample {
                        up: true,
                        started_at_seconds: Some(if index == 0 { 0.0 } else { -3600.0 }),
                        requests: Some(*requests),
                        errors: Some(*errors),
                        le: Some(le.clone()),
                        cpu_seconds: Some(look as f64),
                        memory_bytes: Some(6e8 + draw(1_000_000) as f64),
                        memory_limit_bytes: Some(2e9),
                        ..PodSample::down(&name, side)
                    }
                });
            Scrape {
                pods: samples.collect(),
                at_seconds: 15.0 * look as f64,
            }
        })
        .collect();
    (header, scrapes)
}

fn text(header: &Header, scrapes: &[Scrape]) -> String {
    let mut text = serde_json::to_string(header).unwrap() + "\n";
    for scrape in scrapes {
        text += &(serde_json::to_string(scrape).unwrap() + "\n");
    }
    text
}

fn show(what: &str, took: Duration, bar: Duration) {
    let share = took.as_secs_f64() / bar.as_secs_f64();
    println!(
        "{what}: {:.3} ms, {share:.3} of the bar of {} ms",
        took.as_secs_f64() * 1e3,
        bar.as_millis()
    );
}

/// Each look is judged in many runs, and the fastest counts: what other processes take is not the
/// judge's.
fn steps(pods: usize) {
    let (header, scrapes) = world(pods);
    let mut fastest = vec![Duration::MAX; scrapes.len()];
    for _ in 0..40 {
        let mut watch = Watch::new(Policy::default(), &header);
        for (scrape, fastest) in scrapes.iter().zip(&mut fastest) {
            let began = Instant::now();
            let decision = watch.step(scrape);
            *fastest = began.elapsed().min(*fastest);
            assert!(
                decision.is_none() || scrape.at_seconds >= 900.0,
                "{decision:?}"
            );
        }
    }
    let bar = Duration::from_millis(1);
    let mean = fastest.iter().sum::<Duration>() / fastest.len() as u32;
    show(
        &format!("a step over {pods} pods x {EDGES} edges, mean"),
        mean,
        bar,
    );
    show(
        "  its slowest look",
        fastest.into_iter().max().unwrap_or_default(),
        bar,
    );
}

fn replay(pods: usize) {
    let (header, scrapes) = world(pods);
    let text = text(&header, &scrapes);
    let mut fastest = Duration::MAX;
    for _ in 0..20 {
        let began = Instant::now();
        let read = observations::read(&text).unwrap();
        let mut watch = Watch::new(Policy::default(), &read.header);
        let decision = read.scrapes.iter().find_map(|scrape| watch.step(scrape));
        assert_eq!(decision.map(|decision| decision.reason), Some("healthy"));
        fastest = fastest.min(began.elapsed());
    }
    let kib = text.len() / 1024;
    show(
        &format!("replay of 15 minutes, {pods} pods, {kib} KiB"),
        fastest,
        Duration::from_millis(50),
    );
}

fn main() {
    steps(100);
    replay(10);
    replay(100);
}
