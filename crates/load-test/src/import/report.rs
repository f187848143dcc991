//! A JSON report of load-test as a run, and a result that is at hand.

use std::collections::BTreeMap;
use std::net::IpAddr;

use gs_common::report::{INTERRUPTED, SCHEMA};
use serde_json::{Map, Value};
use url::Url;

use super::Unreadable;
use crate::compare::model::{Metric, Row, Run, TOTAL};
use crate::judge::saturation;
use crate::result::{Arrivals, End, Model, RunResult, Setup, Stats};

/// What must be the same in two runs for their times to be comparable: name and value. A report has
/// it as `details.identity`.
#[must_use]
pub fn identity(target: &str, setup: &Setup, version: &str) -> BTreeMap<String, String> {
    let model = match setup.model {
        Model::Closed { users } => format!("closed, {users} users"),
        Model::Open {
            rate,
            arrivals,
            connections,
        } => {
            let arrivals = match arrivals {
                Arrivals::Even => "even",
                Arrivals::Poisson => "Poisson",
            };
            format!("open, {rate} requests/s, {arrivals}, at most {connections} connections")
        }
    };
    let stages: Vec<String> = setup
        .stages
        .iter()
        .map(|stage| {
            let duration = gs_common::units::show_duration(stage.duration);
            let (from, to) = (stage.from, stage.target);
            format!("{} from {from} to {to} in {duration}", stage.name)
        })
        .collect();
    let warm_up = gs_common::units::show_duration(setup.warm_up);
    let kept = if setup.keep_alive {
        "kept"
    } else {
        "one a request"
    };
    let compressed = if setup.compression {
        ", compressed"
    } else {
        ""
    };
    let proxied = if setup.proxy { ", by a proxy" } else { "" };
    BTreeMap::from([
        ("format".to_owned(), "load-test".to_owned()),
        ("tool".to_owned(), format!("load-test {version}")),
        ("personas".to_owned(), setup.personas_sha256.clone()),
        (
            "model".to_owned(),
            format!("{model}; {}; warm-up {warm_up}", stages.join(", ")),
        ),
        (
            "connections".to_owned(),
            format!("{}, {kept}{compressed}{proxied}", setup.protocol),
        ),
        ("target".to_owned(), target_class(target)),
    ])
}

/// The host, without scheme and port; all of the loopback is one, since its ports are handed out.
fn target_class(target: &str) -> String {
    let Ok(url) = Url::parse(target) else {
        return target.to_owned();
    };
    let host = url.host_str().unwrap_or_default().to_owned();
    let is_loopback = host == "localhost"
        || host
            .trim_start_matches('[')
            .trim_end_matches(']')
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback());
    if is_loopback {
        "loopback".to_owned()
    } else {
        host
    }
}

/// A result as a run.
#[must_use]
pub fn of_result(source: &str, result: &RunResult, version: &str) -> Run {
    let seconds = result.measured_seconds;
    let mut rows = BTreeMap::from([(TOTAL.to_owned(), row(&result.total(), seconds))]);
    for endpoint in result.endpoints() {
        let stats = result.sum(|cell| cell.endpoint == endpoint);
        rows.insert(endpoint.to_owned(), row(&stats, seconds));
    }
    // Times under a quarter of the load say nothing of the whole.
    let part = result
        .setup
        .shard
        .map(|(index, count)| part_of(index, count));
    let void = part.or_else(|| match &result.end {
        End::Complete => {
            saturation(result).map(|why| format!("its generator was saturated: {why}"))
        }
        End::Interrupted => Some("it was interrupted".to_owned()),
        End::Deadline => Some("its deadline ended it early".to_owned()),
        End::Aborted(why) | End::Broken(why) => Some(why.clone()),
    });
    Run {
        source: source.to_owned(),
        identity: identity(&result.target, &result.setup, version),
        rows,
        void,
        started_at: Some(result.started_at.as_millisecond() as f64 / 1e3),
    }
}

fn part_of(index: u32, count: u32) -> String {
    format!("it is shard {index} of {count}: merge all of them first")
}

fn row(stats: &Stats, seconds: f64) -> Row {
    let mut row = Row {
        requests: stats.requests,
        metrics: BTreeMap::new(),
    };
    if stats.requests == 0 {
        return row;
    }
    let millis = |micros: f64| micros / 1e3;
    row.metrics
        .insert(Metric::Mean, millis(stats.response.mean()));
    for (metric, quantile) in [
        (Metric::P50, 0.5),
        (Metric::P90, 0.9),
        (Metric::P95, 0.95),
        (Metric::P99, 0.99),
    ] {
        let value = stats.response.value_at_quantile(quantile);
        row.metrics.insert(metric, millis(value as f64));
    }
    row.metrics.insert(
        Metric::Failures,
        stats.failures as f64 / stats.requests as f64,
    );
    if seconds > 0.0 {
        row.metrics
            .insert(Metric::Throughput, stats.requests as f64 / seconds);
    }
    row
}

/// Reads a JSON report.
///
/// # Errors
/// It is a report of another tool, or of a verb of this one that recorded no run, or a member is
/// not what it ought to be.
pub fn read(source: &str, document: &Map<String, Value>) -> Result<Run, Unreadable> {
    let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
    let schema = text(document.get("schema")).unwrap_or_default();
    if schema != SCHEMA {
        return Err(Unreadable::new(format!("its schema is not `{SCHEMA}`")));
    }
    let tool = text(document.get("tool").and_then(|tool| tool.get("name"))).unwrap_or_default();
    if tool != "load-test" {
        return Err(Unreadable::new(
            "it is a report of another tool than load-test",
        ));
    }
    let empty = Map::new();
    let details = document
        .get("details")
        .and_then(Value::as_object)
        .unwrap_or(&empty);
    let no_run = || {
        Unreadable::new("it is a report without a recorded run")
            .hint("name the JSON report of `load-test URL`, or of `load-test merge`")
    };
    let identity = details
        .get("identity")
        .and_then(Value::as_object)
        .ok_or_else(no_run)?;
    let identity = identity
        .iter()
        .map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())))
        .collect::<Option<BTreeMap<_, _>>>()
        .ok_or_else(|| Unreadable::new("a member of `details.identity` is no text"))?;
    let total = details.get(TOTAL).ok_or_else(no_run)?;
    let mut rows = BTreeMap::from([(TOTAL.to_owned(), read_row(total, TOTAL)?)]);
    let endpoints = details.get("endpoints").and_then(Value::as_array);
    for endpoint in endpoints.into_iter().flatten() {
        let name = endpoint
            .get("name")
            .and_then(Value::as_str)
            .ok_or_else(|| Unreadable::new("an endpoint has no name"))?;
        rows.insert(name.to_owned(), read_row(endpoint, name)?);
    }
    let reason = text(document.get("reason")).unwrap_or_default();
    let shard = details.get("shard").map(|shard| {
        let number = |key: &str| shard.get(key).and_then(Value::as_u64).unwrap_or(0);
        part_of(number("index") as u32, number("count") as u32)
    });
    let void = shard.or(match reason.as_str() {
        INTERRUPTED => Some("it was interrupted".to_owned()),
        // Whoever makes load too late measures itself.
        "generator_saturated" => Some("its generator was saturated".to_owned()),
        "deadline" => Some("its deadline ended it early".to_owned()),
        _ => None,
    });
    let started_at = text(document.get("started_at"))
        .and_then(|text| text.parse::<jiff::Timestamp>().ok())
        .map(|time| time.as_millisecond() as f64 / 1e3);
    Ok(Run {
        source: source.to_owned(),
        identity,
        rows,
        void,
        started_at,
    })
}

fn read_row(value: &Value, name: &str) -> Result<Row, Unreadable> {
    let count = |key: &str| {
        value
            .get(key)
            .and_then(Value::as_u64)
            .ok_or_else(|| Unreadable::new(format!("`{key}` of `{name}` is no count")))
    };
    let number = |value: Option<&Value>, key: &str| match value {
        None | Some(Value::Null) => Ok(None),
        Some(value) => match value.as_f64() {
            Some(number) if number.is_finite() && number >= 0.0 => Ok(Some(number)),
            _ => Err(Unreadable::new(format!(
                "`{key}` of `{name}` is no positive number"
            ))),
        },
    };
    let (requests, failures) = (count("requests")?, count("failures")?);
    if failures > requests {
        return Err(Unreadable::new(format!(
            "`{name}` has more failures than requests"
        )));
    }
    let mut row = Row {
        requests,
        metrics: BTreeMap::new(),
    };
    if requests > 0 {
        row.metrics
            .insert(Metric::Failures, failures as f64 / requests as f64);
    }
    if let Some(rate) = number(value.get("requests_per_second"), "requests_per_second")? {
        row.metrics.insert(Metric::Throughput, rate);
    }
    for metric in [
        Metric::Mean,
        Metric::P50,
        Metric::P90,
        Metric::P95,
        Metric::P99,
    ] {
        let key = metric.name();
        let member = value.get("response_ms").and_then(|times| times.get(key));
        if let Some(time) = number(member, key)? {
            row.metrics.insert(metric, time);
        }
    }
    Ok(row)
}
