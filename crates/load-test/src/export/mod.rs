//! What was recorded, in the forms of other tools.

use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};

use crate::import::csv::field;
use crate::result::{RunResult, Stats};

/// Files beside the report.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Export")]
pub struct ExportArgs {
    /// Write all histograms as an interval log (HdrHistogram V2), for `merge` and `compare`
    #[arg(long, value_name = "FILE")]
    pub hlog: Option<PathBuf>,
    /// Write counts and percentiles by endpoint, with the columns of Locust's stats
    #[arg(long, value_name = "FILE")]
    pub csv: Option<PathBuf>,
    /// Write percentiles for github-action-benchmark (`customSmallerIsBetter`)
    #[arg(long, value_name = "FILE")]
    pub benchmark_json: Option<PathBuf>,
}

/// The columns of Locust's stats, percentiles last.
const COLUMNS: [&str; 11] = [
    "Type",
    "Name",
    "Request Count",
    "Failure Count",
    "Median Response Time",
    "Average Response Time",
    "Min Response Time",
    "Max Response Time",
    "Average Content Size",
    "Requests/s",
    "Failures/s",
];

const PERCENTILES: [(&str, f64); 11] = [
    ("50%", 0.5),
    ("66%", 0.66),
    ("75%", 0.75),
    ("80%", 0.8),
    ("90%", 0.9),
    ("95%", 0.95),
    ("98%", 0.98),
    ("99%", 0.99),
    ("99.9%", 0.999),
    ("99.99%", 0.9999),
    ("100%", 1.0),
];

/// The stats by endpoint with Locust's columns, the row `Aggregated` last. Times are milliseconds, not
/// rounded to two digits as Locust's are; the type is empty, since an endpoint's name has the method
/// where it needs one.
#[must_use]
pub fn csv(result: &RunResult) -> String {
    let head: Vec<&str> = COLUMNS
        .into_iter()
        .chain(PERCENTILES.map(|(name, _)| name))
        .collect();
    let mut text = head.join(",");
    text.push('\n');
    for name in result.endpoints() {
        let stats = result.sum(|cell| cell.endpoint == name);
        text.push_str(&line(name, &stats, result.measured_seconds));
    }
    text.push_str(&line(
        "Aggregated",
        &result.total(),
        result.measured_seconds,
    ));
    text
}

fn line(name: &str, stats: &Stats, seconds: f64) -> String {
    let times = &stats.response;
    let number = |value: f64| format!("{}", (value * 1e3).round() / 1e3);
    let millis = |micros: f64| number(micros / 1e3);
    let known = |text: String| {
        if times.is_empty() {
            "N/A".to_owned()
        } else {
            text
        }
    };
    let rate = |count: u64| {
        if seconds > 0.0 {
            number(count as f64 / seconds)
        } else {
            "N/A".to_owned()
        }
    };
    let size = if stats.requests > 0 {
        number(stats.body_bytes as f64 / stats.requests as f64)
    } else {
        "N/A".to_owned()
    };
    let mut fields = vec![
        String::new(),
        field(name),
        stats.requests.to_string(),
        stats.failures.to_string(),
        known(millis(times.value_at_quantile(0.5) as f64)),
        known(millis(times.mean())),
        known(millis(times.min() as f64)),
        known(millis(times.max() as f64)),
        size,
        rate(stats.requests),
        rate(stats.failures),
    ];
    fields.extend(
        PERCENTILES.map(|(_, quantile)| known(millis(times.value_at_quantile(quantile) as f64))),
    );
    format!("{}\n", fields.join(","))
}

/// The list that github-action-benchmark reads as `customSmallerIsBetter`: percentiles in milliseconds and
/// the share of failures in per cent. An endpoint without a request is left out, for 0 would be the best.
#[must_use]
pub fn benchmark_json(result: &RunResult) -> Value {
    let total = ("total", result.total());
    let endpoints = result
        .endpoints()
        .into_iter()
        .map(|name| (name, result.sum(|cell| cell.endpoint == name)));
    let mut entries = Vec::new();
    for (name, stats) in std::iter::once(total).chain(endpoints) {
        if stats.requests == 0 {
            continue;
        }
        let extra = format!("{} requests, {} failed", stats.requests, stats.failures);
        for (label, quantile) in [("p50", 0.5), ("p95", 0.95), ("p99", 0.99)] {
            let micros = stats.response.value_at_quantile(quantile);
            entries.push(json!({
                "name": format!("{name} {label}"),
                "unit": "ms",
                "value": micros as f64 / 1e3,
                "extra": extra,
            }));
        }
        let share = stats.failures as f64 / stats.requests as f64;
        entries.push(json!({
            "name": format!("{name} failures"),
            "unit": "%",
            "value": (share * 1e6).round() / 1e4,
            "extra": extra,
        }));
    }
    Value::Array(entries)
}
