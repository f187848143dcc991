//! A pytest-benchmark JSON (`--benchmark-json FILE`) as a run: one benchmark is one endpoint, one
//! round one request.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::Unreadable;
use crate::compare::model::{Metric, Row, Run};

/// Members of `machine_info` that change from one minute to the next on the same machine: clock
/// readings.
const READINGS: [&str; 4] = [
    "hz_actual",
    "hz_actual_friendly",
    "hz_advertised",
    "hz_advertised_friendly",
];

/// Whether a JSON document looks like that of pytest-benchmark.
#[must_use]
pub fn is_benchmark(document: &Map<String, Value>) -> bool {
    document.contains_key("benchmarks") && document.contains_key("machine_info")
}

/// Reads a document. Its seconds become milliseconds. What must be the same in all runs is
/// `machine` (all of `machine_info` but for clock readings) and `version` of the plugin.
///
/// # Errors
/// It is no such document, a benchmark lacks its statistics, or there is none.
pub fn read(source: &str, document: &Map<String, Value>) -> Result<Run, Unreadable> {
    let benchmarks = document
        .get("benchmarks")
        .and_then(Value::as_array)
        .ok_or_else(|| Unreadable::new("`benchmarks` is no list"))?;
    let mut rows = BTreeMap::new();
    for (place, benchmark) in benchmarks.iter().enumerate() {
        let text = |key: &str| benchmark.get(key).and_then(Value::as_str);
        let name = text("fullname")
            .or_else(|| text("name"))
            .ok_or_else(|| Unreadable::new(format!("benchmark {} has no name", place + 1)))?;
        let stats = benchmark
            .get("stats")
            .and_then(Value::as_object)
            .ok_or_else(|| Unreadable::new(format!("benchmark `{name}` has no `stats`")))?;
        let seconds = |key: &str| match stats.get(key).map(Value::as_f64) {
            Some(Some(number)) if number.is_finite() && number >= 0.0 => Ok(number),
            _ => Err(Unreadable::new(format!(
                "`{key}` of benchmark `{name}` is no positive number"
            ))),
        };
        let rounds = stats.get("rounds").and_then(Value::as_u64).ok_or_else(|| {
            Unreadable::new(format!("`rounds` of benchmark `{name}` is no count"))
        })?;
        let metrics = BTreeMap::from([
            (Metric::P50, seconds("median")? * 1e3),
            (Metric::Mean, seconds("mean")? * 1e3),
        ]);
        let row = Row {
            requests: rounds,
            metrics,
        };
        if rows.insert(name.to_owned(), row).is_some() {
            return Err(Unreadable::new(format!("benchmark `{name}` comes twice")));
        }
    }
    if rows.is_empty() {
        return Err(Unreadable::new("it holds no benchmark")
            .hint("did the tests run without --benchmark-disable and --benchmark-skip?"));
    }
    let mut identity = BTreeMap::from([("format".to_owned(), "pytest-benchmark".to_owned())]);
    identity.insert(
        "machine".to_owned(),
        machine(document.get("machine_info").unwrap_or(&Value::Null)),
    );
    if let Some(version) = document.get("version").and_then(Value::as_str) {
        identity.insert("version".to_owned(), version.to_owned());
    }
    Ok(Run {
        source: source.to_owned(),
        identity,
        rows,
        void: None,
        started_at: started_at(document),
    })
}

/// The document's `datetime`; older versions write it without an offset, and mean UTC.
fn started_at(document: &Map<String, Value>) -> Option<f64> {
    let text = document.get("datetime")?.as_str()?;
    let time: jiff::Timestamp = text.parse().or_else(|_| format!("{text}Z").parse()).ok()?;
    Some(time.as_millisecond() as f64 / 1e3)
}

/// The machine as one text with its members in order, so that two are the same only if all of them
/// are.
fn machine(info: &Value) -> String {
    let mut members = BTreeMap::new();
    flatten("", info, 0, &mut members);
    let shown: Vec<String> = members
        .into_iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    shown.join(" ")
}

fn flatten(prefix: &str, value: &Value, depth: usize, members: &mut BTreeMap<String, String>) {
    match value {
        Value::Object(inner) if depth < 8 => {
            for (key, value) in inner {
                if !READINGS.contains(&key.as_str()) {
                    let name = if prefix.is_empty() {
                        key.clone()
                    } else {
                        format!("{prefix}.{key}")
                    };
                    flatten(&name, value, depth + 1, members);
                }
            }
        }
        Value::String(text) => {
            members.insert(prefix.to_owned(), text.clone());
        }
        other => {
            members.insert(prefix.to_owned(), other.to_string());
        }
    }
}
