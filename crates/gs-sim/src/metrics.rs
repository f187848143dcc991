//! Counters and histograms of what was really served, as Prometheus text.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

/// The edges of the histogram in seconds: the default ones of the Prometheus clients.
pub const EDGES: [f64; 11] = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

/// Everything that was served.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    requests: BTreeMap<(String, String, u16), u64>,
    durations: BTreeMap<(String, String), Histogram>,
}

#[derive(Clone, Debug, Default)]
struct Histogram {
    buckets: [u64; EDGES.len()],
    count: u64,
    sum: f64,
}

impl Metrics {
    /// Counts one answer.
    pub fn served(&mut self, method: &str, endpoint: &str, status: u16, took: Duration) {
        let seconds = took.as_secs_f64();
        *self
            .requests
            .entry((method.to_owned(), endpoint.to_owned(), status))
            .or_insert(0) += 1;
        let histogram = self
            .durations
            .entry((method.to_owned(), endpoint.to_owned()))
            .or_default();
        histogram.count += 1;
        histogram.sum += seconds;
        for (bucket, edge) in histogram.buckets.iter_mut().zip(EDGES) {
            *bucket += u64::from(seconds <= edge);
        }
    }

    /// All answers so far.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.requests.values().sum()
    }

    /// Answers by endpoint.
    #[must_use]
    pub fn by_endpoint(&self) -> BTreeMap<String, u64> {
        let mut counts = BTreeMap::new();
        for ((_, endpoint, _), count) in &self.requests {
            *counts.entry(endpoint.clone()).or_insert(0) += count;
        }
        counts
    }

    /// The text that a scraper gets.
    #[must_use]
    pub fn text(&self, prefix: &str, start_seconds: f64) -> String {
        let mut text = String::new();
        let header = |text: &mut String, name: &str, kind: &str, help: &str| {
            let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
        };
        let name = format!("{prefix}http_requests_total");
        header(&mut text, &name, "counter", "Requests served.");
        for ((method, endpoint, status), count) in &self.requests {
            let endpoint = escape(endpoint);
            let _ = writeln!(
                text,
                "{name}{{method=\"{method}\",endpoint=\"{endpoint}\",status=\"{status}\"}} {count}"
            );
        }
        let name = format!("{prefix}http_request_duration_seconds");
        header(&mut text, &name, "histogram", "Time to serve a request.");
        for ((method, endpoint), histogram) in &self.durations {
            let labels = format!("method=\"{method}\",endpoint=\"{}\"", escape(endpoint));
            for (bucket, edge) in histogram.buckets.iter().zip(EDGES) {
                let _ = writeln!(text, "{name}_bucket{{{labels},le=\"{edge:?}\"}} {bucket}");
            }
            let _ = writeln!(
                text,
                "{name}_bucket{{{labels},le=\"+Inf\"}} {}",
                histogram.count
            );
            let _ = writeln!(text, "{name}_sum{{{labels}}} {}", histogram.sum);
            let _ = writeln!(text, "{name}_count{{{labels}}} {}", histogram.count);
        }
        header(
            &mut text,
            "process_start_time_seconds",
            "gauge",
            "Start of the process, Unix time.",
        );
        let _ = writeln!(text, "process_start_time_seconds {start_seconds}");
        text
    }
}

/// A label's value: backslash, quote and line feed are escaped.
fn escape(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_adds_up_with_what_was_served() {
        let mut metrics = Metrics::default();
        metrics.served("GET", "/a/{b}", 200, Duration::from_millis(30));
        metrics.served("GET", "/a/{b}", 500, Duration::from_secs(20));
        let text = metrics.text("goldensignals_", 1.5);
        assert!(text.contains("goldensignals_http_requests_total{method=\"GET\",endpoint=\"/a/{b}\",status=\"500\"} 1\n"), "{text}");
        assert!(
            text.contains("_bucket{method=\"GET\",endpoint=\"/a/{b}\",le=\"0.025\"} 0\n"),
            "{text}"
        );
        assert!(
            text.contains("le=\"1.0\"} 1\n") && text.contains("le=\"+Inf\"} 2\n"),
            "{text}"
        );
        assert_eq!(metrics.total(), 2);
    }
}
