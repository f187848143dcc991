//! How response times are spread: the curve of each endpoint over its quantiles, and a heatmap over time.
//! Data for charts; nothing in it judges.

use hdrhistogram::{Counter, Histogram};
use serde_json::{Value, json};

use crate::result::RunResult;

/// The quantiles of a curve, ever closer to 1: a tail is where a service is slow.
const QUANTILES: [f64; 15] = [
    0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.975, 0.99, 0.995, 0.999, 0.9995, 0.9999, 0.99999, 1.0,
];

/// At most so many columns of a heatmap; intervals are added up in longer runs.
const COLUMNS: usize = 120;

/// Rows of a heatmap double in width; the first ends at 1 ms, the last has no end.
const ROWS: usize = 17;

/// `details.curves`: pairs of quantile and milliseconds of each endpoint that has a request. A quantile
/// beyond the number of requests is left out: it would be the slowest request again.
#[must_use]
pub fn curves(result: &RunResult) -> Value {
    result
        .endpoints()
        .into_iter()
        .map(|name| {
            let stats = result.sum(|cell| cell.endpoint == name);
            json!({"name": name, "requests": stats.requests, "response_ms": curve(&stats.response)})
        })
        .collect()
}

fn curve(times: &Histogram<u64>) -> Value {
    let count = times.len() as f64;
    QUANTILES
        .into_iter()
        .filter(|quantile| *quantile == 1.0 || (1.0 - quantile) * count >= 1.0)
        .filter(|_| !times.is_empty())
        .map(|quantile| json!([quantile, times.value_at_quantile(quantile) as f64 / 1e3]))
        .collect()
}

/// `details.heatmap`: the upper edges of the rows in milliseconds (the last row has none), and for each
/// stretch of time how many requests ended in each row. Every request that ended is in one cell.
#[must_use]
pub fn heatmap(result: &RunResult) -> Value {
    let edges: Vec<f64> = (0..ROWS - 1).map(|row| 2.0_f64.powi(row as i32)).collect();
    let width = result.intervals.len().div_ceil(COLUMNS).max(1);
    let columns: Vec<Value> = result
        .intervals
        .chunks(width)
        .map(|intervals| {
            let mut counts = [0_u64; ROWS];
            for interval in intervals {
                add(&interval.response, &mut counts);
            }
            let start = intervals
                .first()
                .map_or(0.0, |interval| interval.start_seconds);
            let seconds: f64 = intervals.iter().map(|interval| interval.seconds).sum();
            json!({"at_seconds": start, "seconds": seconds, "counts": counts})
        })
        .collect();
    json!({"edges_ms": edges, "columns": columns})
}

fn add<T: Counter>(times: &Histogram<T>, counts: &mut [u64; ROWS]) {
    for step in times.iter_recorded() {
        let millis = step.value_iterated_to() as f64 / 1e3;
        let row = (0..ROWS - 1)
            .find(|row| millis <= 2.0_f64.powi(*row as i32))
            .unwrap_or(ROWS - 1);
        counts[row] += step.count_since_last_iteration();
    }
}
