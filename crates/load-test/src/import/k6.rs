//! A k6 summary as a run: what `--summary-export FILE` writes, and the object that a script's
//! `handleSummary` is given.
//!
//! The first has the numbers of a metric beside its thresholds, the second in `values`. Both have
//! sub-metrics such as `http_req_duration{name:signals}` only where the script sets a threshold on
//! them; those become endpoints.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::Unreadable;
use crate::compare::model::{Metric, Row, Run, TOTAL};

const DURATION: &str = "http_req_duration";

/// Whether a JSON document looks like a summary of k6.
#[must_use]
pub fn is_summary(document: &Map<String, Value>) -> bool {
    document.get("metrics").is_some_and(Value::is_object)
        && (document.contains_key("root_group") || document.contains_key("state"))
}

/// Reads a summary.
///
/// # Errors
/// It is no such document, a number is none, or no request was made.
pub fn read(source: &str, document: &Map<String, Value>) -> Result<Run, Unreadable> {
    let metrics = document
        .get("metrics")
        .and_then(Value::as_object)
        .ok_or_else(|| Unreadable::new("it has no member `metrics`"))?;
    let requests = member(metrics, "http_reqs", "count")?.unwrap_or(0.0);
    if requests < 1.0 {
        return Err(Unreadable::new("it counts no HTTP request (`http_reqs`)"));
    }
    let mut rows = BTreeMap::new();
    for name in metrics.keys() {
        let Some(tags) = name.strip_prefix(DURATION) else {
            continue;
        };
        let row = match tags {
            "" => row(metrics, "", requests)?,
            tags if tags.starts_with('{') && tags.ends_with('}') => {
                // A count of its own, or none: k6 does not say how many requests a sub-metric has.
                let count = match member(metrics, &format!("http_reqs{tags}"), "count")? {
                    Some(count) => Some(count),
                    None => member(metrics, name, "count")?,
                };
                row(metrics, tags, count.unwrap_or(0.0))?
            }
            _ => continue,
        };
        let endpoint = match tags {
            "" => TOTAL.to_owned(),
            tags => endpoint(tags),
        };
        rows.insert(endpoint, row);
    }
    if !rows.contains_key(TOTAL) {
        return Err(Unreadable::new(format!("it has no metric `{DURATION}`")));
    }
    Ok(Run {
        source: source.to_owned(),
        identity: BTreeMap::from([("format".to_owned(), "k6-summary".to_owned())]),
        rows,
        void: None,
        started_at: None,
    })
}

fn row(metrics: &Map<String, Value>, tags: &str, requests: f64) -> Result<Row, Unreadable> {
    let duration = format!("{DURATION}{tags}");
    let mut row = Row {
        requests: requests as u64,
        metrics: BTreeMap::new(),
    };
    for (metric, key) in [
        (Metric::Mean, "avg"),
        (Metric::P50, "med"),
        (Metric::P90, "p(90)"),
        (Metric::P95, "p(95)"),
        (Metric::P99, "p(99)"),
    ] {
        if let Some(value) = member(metrics, &duration, key)? {
            row.metrics.insert(metric, value);
        }
    }
    if let Some(rate) = member(metrics, &format!("http_reqs{tags}"), "rate")? {
        row.metrics.insert(Metric::Throughput, rate);
    }
    // The export calls the share `value`, the object for scripts calls it `rate`. Its `passes` are
    // the requests that failed, since the metric is the truth of "failed".
    let failed = format!("http_req_failed{tags}");
    let share = match member(metrics, &failed, "value")? {
        Some(share) => Some(share),
        None => member(metrics, &failed, "rate")?,
    };
    if let Some(share) = share {
        if share > 1.0 {
            return Err(Unreadable::new(format!("`{failed}` is no share: {share}")));
        }
        row.metrics.insert(Metric::Failures, share);
    }
    Ok(row)
}

/// A number of a metric, in either form; nothing where it is absent or null.
fn member(metrics: &Map<String, Value>, name: &str, key: &str) -> Result<Option<f64>, Unreadable> {
    let Some(metric) = metrics.get(name) else {
        return Ok(None);
    };
    let numbers = metric.get("values").unwrap_or(metric);
    match numbers.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => match value.as_f64() {
            Some(number) if number.is_finite() && number >= 0.0 => Ok(Some(number)),
            _ => Err(Unreadable::new(format!(
                "`{key}` of metric `{name}` is no positive number"
            ))),
        },
    }
}

/// `{name:signals}` is the endpoint `signals`; other tags stay as they are.
fn endpoint(tags: &str) -> String {
    let inner = tags.trim_start_matches('{').trim_end_matches('}');
    match inner.strip_prefix("name:") {
        Some(name) if !name.contains(',') && !name.is_empty() => name.to_owned(),
        _ => tags.to_owned(),
    }
}
