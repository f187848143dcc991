//! Our reader of the text format beside `prometheus-parse`: the same on whatever that one can read.
//!
//! It is no reader to judge by: its labels end at the first `}`, and a line that it cannot read is gone without
//! a word. The last test holds the reason for a reader of our own.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

use std::collections::BTreeMap;

use canary_monitor::source::exposition::{self, Labels};
use gs_sim::rollout::{Behaviour, Clock, RolloutPlan, Simulation};
use prometheus_parse::{Scrape, Value};
use proptest::prelude::*;

/// Counts by name and labels; the buckets as samples of their own.
type Counts = BTreeMap<(String, Labels), f64>;

fn theirs(page: &str) -> Counts {
    let lines = page.lines().map(|line| Ok(line.to_owned()));
    let scrape = Scrape::parse(lines).unwrap();
    let mut counts = Counts::new();
    for sample in scrape.samples {
        let labels: Labels = sample
            .labels
            .iter()
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        match sample.value {
            Value::Counter(value) | Value::Gauge(value) | Value::Untyped(value) => {
                counts.insert((sample.metric, labels), value);
            }
            Value::Histogram(buckets) => {
                for bucket in buckets {
                    let mut own = labels.clone();
                    own.insert("le".to_owned(), format!("{:?}", bucket.less_than));
                    counts.insert((format!("{}_bucket", sample.metric), own), bucket.count);
                }
            }
            Value::Summary(_) => {}
        }
    }
    counts
}

fn ours(page: &str, names: &[&str]) -> Counts {
    let read = exposition::read(page.as_bytes(), false, names);
    assert_eq!(read.lines.rejected, 0, "{:?}", read.rejected);
    let samples = read.samples.into_iter().map(|sample| {
        let mut labels = sample.labels;
        // An edge in one spelling; on what is no bucket, `le` is a label like any other.
        if sample.name.ends_with("_bucket")
            && let Some(edge) = labels.get_mut("le")
        {
            *edge = format!("{:?}", exposition::number(edge).unwrap());
        }
        ((sample.name, labels), sample.value)
    });
    samples.collect()
}

#[test]
fn a_simulated_pod_is_read_alike_but_for_the_route_with_a_brace() {
    let mut simulation =
        Simulation::new(&RolloutPlan::new(1, 1, 20.0, Behaviour::Healthy)).unwrap();
    simulation.advance(60.0);
    let clock = Clock {
        began_unix_seconds: 1_700_000_000.0,
        time_scale: 1.0,
    };
    let page = simulation.page("canary-0", &clock).unwrap();
    let names = [
        "http_requests_total",
        "http_request_duration_seconds_bucket",
        "process_cpu_seconds_total",
    ];
    let ours = ours(&page, &names);
    let theirs = theirs(&page);
    let brace = |labels: &Labels| {
        labels
            .get("endpoint")
            .is_some_and(|value| value.contains('}'))
    };
    let same: Counts = ours
        .iter()
        .filter(|((_, labels), _)| !brace(labels))
        .map(|(key, value)| (key.clone(), *value))
        .collect();
    assert!(same.len() > 10 && same.len() < ours.len(), "{ours:?}");
    for (key, value) in &same {
        assert_eq!(theirs.get(key), Some(value), "{key:?}");
    }
    // Why there is a reader of our own: what it cannot read is gone without a word.
    assert!(!theirs.keys().any(|(_, labels)| brace(labels)));
}

proptest! {
    #[test]
    fn simple_pages_are_read_alike(
        series in prop::collection::btree_map(
            prop::collection::btree_map("[a-z_][a-z0-9_]{0,6}", "[a-zA-Z0-9/._ -]{1,8}", 0..4),
            0_u32..1_000_000,
            1..8,
        ),
        kind in prop::sample::select(vec!["counter", "gauge", "untyped"]),
    ) {
        let mut page = format!("# HELP m_total Help.\n# TYPE m_total {kind}\n");
        for (labels, value) in &series {
            let pairs: Vec<String> = labels.iter().map(|(name, value)| format!("{name}=\"{value}\"")).collect();
            let labels = if pairs.is_empty() { String::new() } else { format!("{{{}}}", pairs.join(",")) };
            page += &format!("m_total{labels} {value}\n");
        }
        prop_assert_eq!(ours(&page, &["m_total"]), theirs(&page));
    }
}
