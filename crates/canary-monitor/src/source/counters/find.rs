//! What a reading holds: series checked one by one, and histograms by their laws.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use super::{Counter, Found, Reading, Slot};
use crate::source::config::MetricConfig;
use crate::source::exposition::{self, Labels};
use crate::source::fetch::said;
use crate::source::names::Names;

/// The label of a bucket's upper edge.
const LE: &str = "le";

/// Above that a floating number skips integers.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// Labels where a status may be found, in the order of their weight.
pub(super) const STATUS_LABELS: [&str; 3] = ["status", "status_code", "code"];

/// A count of something: whole, not negative, and exact.
///
/// # Errors
/// It is none.
fn count(value: f64) -> Result<u64, &'static str> {
    if value.is_nan() {
        Err("is not a number (NaN)")
    } else if value.is_infinite() {
        Err("is infinite")
    } else if value < 0.0 {
        Err("is negative")
    } else if value.fract() != 0.0 {
        Err("is no whole number: is it a rate, and not a counter?")
    } else if value > EXACT {
        Err("is too large to be exact")
    } else {
        Ok(value as u64)
    }
}

/// Whether a status is an error of the server: `503`, or `5xx` where a library groups them.
///
/// # Errors
/// It is no status.
fn is_error(status: &str) -> Result<bool, ()> {
    let [class @ b'1'..=b'5', rest @ ..] = status.as_bytes() else {
        return Err(());
    };
    let number = rest.len() == 2 && rest.iter().all(u8::is_ascii_digit);
    let group = matches!(rest, [b'x' | b'X', b'x' | b'X']);
    if number || group {
        Ok(*class == b'5')
    } else {
        Err(())
    }
}

fn key(kind: u8, labels: &Labels) -> u64 {
    let mut hasher = DefaultHasher::new();
    kind.hash(&mut hasher);
    labels.hash(&mut hasher);
    hasher.finish()
}

/// `endpoint="/a",method="GET"`, for sentences.
fn shown(labels: &Labels) -> String {
    let pairs: Vec<String> = labels
        .iter()
        .map(|(name, value)| format!("{name}={value:?}"))
        .collect();
    said(&pairs.join(","))
}

/// One histogram of a pod: the buckets of a route.
type Buckets = Vec<(f64, u64)>;

/// The histograms of a pod by their labels without `le`, each checked against its laws: every bucket counts
/// what the ones below it count, and the one without an end is there.
fn histograms(reading: &Reading) -> Result<Vec<(Labels, Buckets)>, String> {
    let mut groups: BTreeMap<Labels, Buckets> = BTreeMap::new();
    for (labels, value) in &reading.buckets {
        let mut route = labels.clone();
        let edge = route.remove(LE);
        let edge = edge
            .as_deref()
            .and_then(exposition::number)
            .filter(|edge| !edge.is_nan());
        let Some(edge) = edge else {
            return Err(format!("a bucket of {} has no edge", shown(labels)));
        };
        let count =
            count(*value).map_err(|why| format!("the bucket of {} {why}", shown(labels)))?;
        groups.entry(route).or_default().push((edge, count));
    }
    for (route, group) in &mut groups {
        group.sort_by(|a, b| a.0.total_cmp(&b.0));
        if group.windows(2).any(|pair| pair[0].0 == pair[1].0) {
            return Err(format!("a bucket of {} is there twice", shown(route)));
        }
        if group.windows(2).any(|pair| pair[0].1 > pair[1].1) {
            return Err(format!(
                "the buckets of {} fall, though each holds the ones below it",
                shown(route)
            ));
        }
        if group.last().is_none_or(|(edge, _)| *edge != f64::INFINITY) {
            return Err(format!(
                "the histogram of {} has no +Inf bucket",
                shown(route)
            ));
        }
    }
    for (route, value) in &reading.counts {
        let last = groups.get(route).and_then(|group| group.last());
        if last.is_some_and(|(_, last)| *last as f64 != *value) {
            return Err(format!(
                "the +Inf bucket of {} is not its _count",
                shown(route)
            ));
        }
    }
    Ok(groups.into_iter().collect())
}

/// The finite edges that all histograms of a reading have, growing; `None` without a histogram.
///
/// # Errors
/// The histogram breaks its laws.
pub(in crate::source) fn edges(reading: &Reading) -> Result<Option<Vec<f64>>, String> {
    let groups = histograms(reading)?;
    let mut groups = groups.iter().map(|(_, group)| {
        let edges = group.iter().map(|(edge, _)| *edge);
        edges
            .filter(|edge| edge.is_finite() && *edge > 0.0)
            .collect()
    });
    let first: Option<Vec<f64>> = groups.next();
    Ok(first.map(|first| groups.fold(first, |common, other| common_edges(&common, &other))))
}

/// The edges that are in both lists.
#[must_use]
pub(in crate::source) fn common_edges(one: &[f64], other: &[f64]) -> Vec<f64> {
    let both = one.iter().filter(|edge| other.contains(edge));
    both.copied().collect()
}

pub(super) fn find(
    reading: &Reading,
    names: &Names,
    config: &MetricConfig,
    edges: &[f64],
    wrong: &mut Vec<String>,
) -> Found {
    let mut found = Found {
        requests: (reading.requests_declared || !reading.requests.is_empty())
            && !reading.requests_broken,
        histogram: (reading.buckets_declared || !reading.buckets.is_empty())
            && !reading.buckets_broken,
        ..Found::default()
    };
    requests(reading, names, config, &mut found, wrong);
    let name = &names.duration;
    match histograms(reading) {
        Err(why) => {
            found.histogram = false;
            wrong.push(format!("{name}: {why}"));
        }
        Ok(groups) => {
            for (route, group) in &groups {
                if let Some(edge) = add_histogram(route, group, edges, &mut found.counters) {
                    found.histogram = false;
                    wrong.push(format!(
                        "{name}: the histogram of {} has no bucket that ends at {edge} s",
                        shown(route)
                    ));
                    break;
                }
            }
        }
    }
    found
}

fn requests(
    reading: &Reading,
    names: &Names,
    config: &MetricConfig,
    found: &mut Found,
    wrong: &mut Vec<String>,
) {
    let name = &names.requests;
    let label = config.status_label.as_deref().or_else(|| {
        STATUS_LABELS.into_iter().find(|label| {
            reading
                .requests
                .iter()
                .any(|(labels, _)| labels.contains_key(*label))
        })
    });
    found.errors = found.requests;
    for (labels, value) in &reading.requests {
        let value = match count(*value) {
            Ok(value) => value,
            Err(why) => {
                found.requests = false;
                wrong.push(format!("{name}{{{}}} {why}", shown(labels)));
                continue;
            }
        };
        let status = label
            .and_then(|label| labels.get(label))
            .map(String::as_str);
        let error = match status.map(is_error) {
            Some(Ok(error)) => error,
            _ if value == 0 => false,
            _ => {
                found.errors = false;
                wrong.push(match status {
                    Some(status) => {
                        format!("{name}: `{}` is no status", said(status))
                    }
                    None => format!(
                        "{name} has no label with the status of an answer ({})",
                        config
                            .status_label
                            .clone()
                            .unwrap_or_else(|| STATUS_LABELS.join(", "))
                    ),
                });
                false
            }
        };
        found.counters.push(Counter {
            key: key(0, labels),
            slot: Slot::Request { error },
            value,
        });
    }
    let mut keys: Vec<u64> = found.counters.iter().map(|counter| counter.key).collect();
    keys.sort_unstable();
    if keys.windows(2).any(|pair| pair[0] == pair[1]) {
        found.requests = false;
        wrong.push(format!("{name}: a series is there twice"));
    }
    wrong.dedup();
}

/// Adds the counters of a histogram. The answer is the edge that it lacks.
fn add_histogram(
    route: &Labels,
    group: &Buckets,
    edges: &[f64],
    counters: &mut Vec<Counter>,
) -> Option<f64> {
    let mut add = |slot: Slot, edge: f64, value: u64| {
        let mut hasher = DefaultHasher::new();
        (1_u8, edge.to_bits()).hash(&mut hasher);
        route.hash(&mut hasher);
        counters.push(Counter {
            key: hasher.finish(),
            slot,
            value,
        });
    };
    for (index, edge) in edges.iter().enumerate() {
        let Some((_, value)) = group.iter().find(|(other, _)| other == edge) else {
            return Some(*edge);
        };
        add(Slot::Within(index), *edge, *value);
    }
    if let Some((edge, value)) = group.last() {
        add(Slot::Timed, *edge, *value);
    }
    None
}
