//! A k6 summary as a run: what `--summary-export FILE` writes, and the object that a script's
//! `handleSummary` is given.
//!
//! Three forms are in use. The export has the numbers of a metric beside its thresholds, the object for
//! scripts has them in `values`; `--new-machine-readable-summary` (k6 1.x) makes one form of both, a
//! list of metrics below `results`. Times are milliseconds in all of them, whatever
//! `--summary-time-unit` says. All have sub-metrics such as `http_req_duration{name:signals}` only where
//! the script sets a threshold on them; those become endpoints.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::Unreadable;
use crate::compare::model::{Metric, Row, Run, TOTAL};

const DURATION: &str = "http_req_duration";

/// What k6 writes unasked beside the whole: the requests that did not fail. No endpoint, and not counted.
const SUCCESSFUL: &str = "{expected_response:true}";

/// The first number of the version of the list form.
const KNOWN_VERSION: &str = "1";

/// What a summary tells, in whichever form.
struct Summary<'a> {
    /// The numbers of each metric.
    metrics: BTreeMap<&'a str, &'a Value>,
    /// How long the run took, where counters come without a rate.
    seconds: Option<f64>,
}

/// Whether a JSON document looks like a summary of k6.
#[must_use]
pub fn is_summary(document: &Map<String, Value>) -> bool {
    let of_scripts = document.get("metrics").is_some_and(Value::is_object)
        && (document.contains_key("root_group") || document.contains_key("state"));
    of_scripts || is_list(document)
}

/// Whether it says of itself that it is the newer form.
fn is_list(document: &Map<String, Value>) -> bool {
    let metadata = document.get("metadata");
    document.contains_key("results")
        && metadata.is_some_and(|metadata| metadata.get("k6_version").is_some())
}

/// Reads a summary.
///
/// # Errors
/// It is no such document, a number is none, or no request was made.
pub fn read(source: &str, document: &Map<String, Value>) -> Result<Run, Unreadable> {
    let summary = if is_list(document) {
        Summary::of_list(document)?
    } else {
        Summary::of_members(document)?
    };
    let requests = summary.number("http_reqs", &["count"])?.unwrap_or(0.0);
    if requests < 1.0 {
        return Err(Unreadable::new("it counts no HTTP request (`http_reqs`)"));
    }
    let mut rows = BTreeMap::new();
    for name in summary.metrics.keys() {
        let Some(tags) = name.strip_prefix(DURATION) else {
            continue;
        };
        match tags {
            "" => {
                rows.insert(TOTAL.to_owned(), summary.row("", requests)?);
            }
            SUCCESSFUL => {}
            tags if tags.starts_with('{') && tags.ends_with('}') => {
                let requests = summary.requests_of(tags)?.unwrap_or(0.0);
                rows.insert(endpoint(tags), summary.row(tags, requests)?);
            }
            _ => {}
        }
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

impl<'a> Summary<'a> {
    /// The two older forms: metrics are members, and have their numbers in `values` or beside it.
    fn of_members(document: &'a Map<String, Value>) -> Result<Self, Unreadable> {
        let metrics = document
            .get("metrics")
            .and_then(Value::as_object)
            .ok_or_else(|| Unreadable::new("it has no member `metrics`"))?;
        Ok(Self {
            metrics: metrics
                .iter()
                .map(|(name, metric)| (name.as_str(), metric.get("values").unwrap_or(metric)))
                .collect(),
            seconds: None,
        })
    }

    /// The newer form: a list of metrics with their names, and the length of the run apart.
    fn of_list(document: &'a Map<String, Value>) -> Result<Self, Unreadable> {
        let version = document.get("version").and_then(Value::as_str);
        if version.and_then(|version| version.split('.').next()) != Some(KNOWN_VERSION) {
            let version = document.get("version").map(Value::to_string);
            return Err(Unreadable::new(format!(
                "it is a k6 summary of version {}, and only version {KNOWN_VERSION} is known",
                version.as_deref().unwrap_or("none")
            ))
            .hint("write it with `k6 run --summary-export FILE` without `--new-machine-readable-summary`"));
        }
        let list = document
            .get("results")
            .and_then(|results| results.get("metrics"))
            .and_then(Value::as_array)
            .ok_or_else(|| Unreadable::new("it has no list `results.metrics`"))?;
        let mut metrics = BTreeMap::new();
        for (index, metric) in list.iter().enumerate() {
            let (Some(name), Some(values)) = (
                metric.get("name").and_then(Value::as_str),
                metric.get("values"),
            ) else {
                return Err(Unreadable::new(format!(
                    "entry {} of `results.metrics` has no `name` or no `values`",
                    index + 1
                )));
            };
            if metrics.insert(name, values).is_some() {
                return Err(Unreadable::new(format!("metric `{name}` comes twice")));
            }
        }
        let seconds = match document.get("config").and_then(|it| it.get("duration")) {
            None | Some(Value::Null) => None,
            Some(value) => match value.as_f64() {
                Some(seconds) if seconds.is_finite() && seconds > 0.0 => Some(seconds),
                _ => {
                    return Err(Unreadable::new(
                        "`config.duration` is no positive number of seconds",
                    ));
                }
            },
        };
        Ok(Self { metrics, seconds })
    }

    /// Requests of a sub-metric, where the summary tells.
    fn requests_of(&self, tags: &str) -> Result<Option<f64>, Unreadable> {
        for (metric, key) in [
            ("http_reqs", "count"),
            (DURATION, "count"),
            ("http_req_failed", "total"),
        ] {
            let count = self.number(&format!("{metric}{tags}"), &[key])?;
            if count.is_some() {
                return Ok(count);
            }
        }
        Ok(None)
    }

    fn row(&self, tags: &str, requests: f64) -> Result<Row, Unreadable> {
        let duration = format!("{DURATION}{tags}");
        let mut row = Row {
            requests: requests as u64,
            metrics: BTreeMap::new(),
        };
        for (metric, keys) in [
            (Metric::Mean, &["avg"] as &[_]),
            (Metric::P50, &["med", "p(50)", "p50"]),
            (Metric::P90, &["p(90)", "p90"]),
            (Metric::P95, &["p(95)", "p95"]),
            (Metric::P99, &["p(99)", "p99"]),
        ] {
            if let Some(value) = self.number(&duration, keys)? {
                row.metrics.insert(metric, value);
            }
        }
        let sent = format!("http_reqs{tags}");
        let rate = match (self.number(&sent, &["rate"])?, self.seconds) {
            (None, Some(seconds)) => {
                let count = self.number(&sent, &["count"])?;
                count
                    .map(|count| count / seconds)
                    .filter(|rate| rate.is_finite())
            }
            (rate, _) => rate,
        };
        if let Some(rate) = rate {
            row.metrics.insert(Metric::Throughput, rate);
        }
        // The export calls the share `value`, the others call it `rate`. Its `passes` or `matches` are
        // the requests that failed, since the metric is the truth of "failed".
        let failed = format!("http_req_failed{tags}");
        if let Some(share) = self.number(&failed, &["value", "rate"])? {
            if share > 1.0 {
                return Err(Unreadable::new(format!("`{failed}` is no share: {share}")));
            }
            row.metrics.insert(Metric::Failures, share);
        }
        Ok(row)
    }

    /// A number of a metric by the first of these names that it has; nothing where it is absent or null.
    fn number(&self, name: &str, keys: &[&str]) -> Result<Option<f64>, Unreadable> {
        let Some(numbers) = self.metrics.get(name) else {
            return Ok(None);
        };
        let found = keys
            .iter()
            .filter_map(|key| Some((key, numbers.get(key)?)))
            .find(|(_, value)| !value.is_null());
        match found {
            None => Ok(None),
            Some((key, value)) => match value.as_f64() {
                Some(number) if number.is_finite() && number >= 0.0 => Ok(Some(number)),
                _ => Err(Unreadable::new(format!(
                    "`{key}` of metric `{name}` is no positive number"
                ))),
            },
        }
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
