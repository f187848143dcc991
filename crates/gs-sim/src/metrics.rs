//! Counters and histograms of what was really served, as Prometheus text.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use serde::Serialize;

/// The edges of the histogram in seconds: the default ones of the Prometheus clients.
pub(crate) const EDGES: [f64; 11] = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

/// Everything that was served.
#[derive(Clone, Debug, Default)]
pub(crate) struct Metrics {
    requests: BTreeMap<(&'static str, &'static str, u16), u64>,
    durations: BTreeMap<(&'static str, &'static str), Histogram>,
    handshakes: BTreeMap<(&'static str, u16), u64>,
}

#[derive(Clone, Debug, Default)]
struct Histogram {
    /// Per bucket, not cumulative; the last one is above all edges.
    buckets: [u64; EDGES.len() + 1],
    sum_seconds: f64,
}

/// How often one route answered with one status.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Served {
    /// The method, or `WS` for a WebSocket's handshake.
    pub method: &'static str,
    /// The template of the route, `unmatched` for none.
    pub endpoint: &'static str,
    /// The status.
    pub status: u16,
    /// How often.
    pub count: u64,
}

impl Metrics {
    /// Counts one answer.
    pub(crate) fn served(
        &mut self,
        method: &str,
        endpoint: &'static str,
        status: u16,
        took: Duration,
    ) {
        let method = known(method);
        let seconds = took.as_secs_f64();
        *self.requests.entry((method, endpoint, status)).or_insert(0) += 1;
        let histogram = self.durations.entry((method, endpoint)).or_default();
        histogram.buckets[EDGES.partition_point(|edge| *edge < seconds)] += 1;
        histogram.sum_seconds += seconds;
    }

    /// Counts one answer to a request for a WebSocket. It stays out of the HTTP metrics: a conversation
    /// of an hour is no request of an hour.
    pub(crate) fn handshake(&mut self, endpoint: &'static str, status: u16) {
        *self.handshakes.entry((endpoint, status)).or_insert(0) += 1;
    }

    /// All counts.
    pub(crate) fn list(&self) -> Vec<Served> {
        let requests = self
            .requests
            .iter()
            .map(|(&(method, endpoint, status), &count)| Served {
                method,
                endpoint,
                status,
                count,
            });
        let handshakes = self
            .handshakes
            .iter()
            .map(|(&(endpoint, status), &count)| Served {
                method: "WS",
                endpoint,
                status,
                count,
            });
        requests.chain(handshakes).collect()
    }

    /// The text that a scraper gets. `versions` are those of the pods, `started_seconds` is Unix time.
    pub(crate) fn text(&self, prefix: &str, versions: &[String], started_seconds: f64) -> String {
        let mut text = String::new();
        self.write(&mut text, prefix, versions, started_seconds);
        text
    }

    fn write(&self, text: &mut String, prefix: &str, versions: &[String], started_seconds: f64) {
        let total = format!("{prefix}http_requests_total");
        family(text, &total, "counter", "Answers by route and status.");
        for ((method, endpoint, status), count) in &self.requests {
            line(
                text,
                &total,
                &[
                    ("method", method),
                    ("endpoint", endpoint),
                    ("status", &status.to_string()),
                ],
                *count as f64,
            );
        }

        let duration = format!("{prefix}http_request_duration_seconds");
        family(
            text,
            &duration,
            "histogram",
            "Time from the last byte of a request to the last byte of its answer.",
        );
        for ((method, endpoint), histogram) in &self.durations {
            let route = [("method", *method), ("endpoint", *endpoint)];
            let mut cumulative = 0;
            let edges = EDGES.map(|edge| format!("{edge:?}"));
            for (bucket, edge) in histogram
                .buckets
                .iter()
                .zip(edges.iter().map(String::as_str).chain(["+Inf"]))
            {
                cumulative += bucket;
                line(
                    text,
                    &format!("{duration}_bucket"),
                    &[route[0], route[1], ("le", edge)],
                    cumulative as f64,
                );
            }
            line(
                text,
                &format!("{duration}_sum"),
                &route,
                histogram.sum_seconds,
            );
            line(
                text,
                &format!("{duration}_count"),
                &route,
                cumulative as f64,
            );
        }

        family(
            text,
            "websocket_handshakes_total",
            "counter",
            "Answers to requests for a WebSocket.",
        );
        for ((endpoint, status), count) in &self.handshakes {
            let labels = [("endpoint", *endpoint), ("status", &status.to_string())];
            line(text, "websocket_handshakes_total", &labels, *count as f64);
        }

        family(
            text,
            "goldensignals_build_info",
            "gauge",
            "The version of each pod.",
        );
        for (pod, version) in versions.iter().enumerate() {
            line(
                text,
                "goldensignals_build_info",
                &[("pod", &pod.to_string()), ("version", version)],
                1.0,
            );
        }
        family(
            text,
            "process_start_time_seconds",
            "gauge",
            "Start of the process, Unix time.",
        );
        line(text, "process_start_time_seconds", &[], started_seconds);
        if let Some(bytes) = resident_bytes() {
            family(
                text,
                "process_resident_memory_bytes",
                "gauge",
                "Memory of the process.",
            );
            line(text, "process_resident_memory_bytes", &[], bytes);
        }
        if let Some(seconds) = cpu_seconds() {
            family(
                text,
                "process_cpu_seconds_total",
                "counter",
                "CPU time of the process, user and system.",
            );
            line(text, "process_cpu_seconds_total", &[], seconds);
        }
    }
}

/// The method as a label: clients must not be able to invent series.
fn known(method: &str) -> &'static str {
    ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"]
        .into_iter()
        .find(|known| *known == method)
        .unwrap_or("OTHER")
}

/// Begins a family of metrics.
pub(crate) fn family(text: &mut String, name: &str, kind: &str, help: &str) {
    // Writing to a string does not fail.
    let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

/// Writes a sample.
pub(crate) fn line(text: &mut String, name: &str, labels: &[(&str, &str)], value: f64) {
    text.push_str(name);
    for (index, (label, value)) in labels.iter().enumerate() {
        let _ = write!(
            text,
            "{}{label}=\"{}\"",
            if index == 0 { '{' } else { ',' },
            escape(value)
        );
    }
    let _ = writeln!(text, "{} {value}", if labels.is_empty() { "" } else { "}" });
}

/// A label's value: backslash, quote and line feed are escaped.
fn escape(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

/// `VmRSS` of proc(5), which is in kibibytes whatever the page size. `None` where there is no `/proc`.
fn resident_bytes() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let kibibytes = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    kibibytes
        .trim()
        .strip_suffix("kB")?
        .trim()
        .parse::<f64>()
        .ok()
        .map(|kibibytes| kibibytes * 1024.0)
}

/// `utime` and `stime` of proc(5), in ticks of USER_HZ, which Linux shows as 100 everywhere.
fn cpu_seconds() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The second member is the name in parentheses and may hold spaces; `utime` is the 14th.
    let (_, rest) = stat.rsplit_once(')')?;
    let mut ticks = rest
        .split_whitespace()
        .skip(11)
        .map_while(|ticks| ticks.parse::<f64>().ok());
    Some((ticks.next()? + ticks.next()?) / 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn has(text: &str, line: &str) {
        assert!(
            text.lines().any(|other| other == line),
            "`{line}` is not in:\n{text}"
        );
    }

    #[test]
    fn the_text_adds_up_with_what_was_served() {
        let mut metrics = Metrics::default();
        metrics.served("GET", "/a/{b}", 200, Duration::from_millis(25));
        metrics.served("GET", "/a/{b}", 200, Duration::from_millis(30));
        metrics.served("GET", "/a/{b}", 500, Duration::from_secs(20));
        metrics.served("BREW", "unmatched", 405, Duration::ZERO);
        let text = metrics.text("goldensignals_", &[], 1.5);
        has(
            &text,
            "goldensignals_http_requests_total{method=\"GET\",endpoint=\"/a/{b}\",status=\"200\"} 2",
        );
        has(
            &text,
            "goldensignals_http_requests_total{method=\"GET\",endpoint=\"/a/{b}\",status=\"500\"} 1",
        );
        has(
            &text,
            "goldensignals_http_requests_total{method=\"OTHER\",endpoint=\"unmatched\",status=\"405\"} 1",
        );
        let bucket = |le: &str, count: u64| {
            has(
                &text,
                &format!(
                    "goldensignals_http_request_duration_seconds_bucket{{method=\"GET\",endpoint=\"/a/{{b}}\",le=\"{le}\"}} {count}"
                ),
            );
        };
        // An edge belongs to its bucket.
        bucket("0.01", 0);
        bucket("0.025", 1);
        bucket("0.05", 2);
        bucket("1.0", 2);
        bucket("10.0", 2);
        bucket("+Inf", 3);
        has(
            &text,
            "goldensignals_http_request_duration_seconds_count{method=\"GET\",endpoint=\"/a/{b}\"} 3",
        );
        has(
            &text,
            "goldensignals_http_request_duration_seconds_sum{method=\"GET\",endpoint=\"/a/{b}\"} 20.055",
        );
        has(&text, "process_start_time_seconds 1.5");
    }

    #[test]
    fn a_label_is_escaped() {
        let text = Metrics::default().text("", &["2.0\"\\\n".to_owned()], 0.0);
        has(
            &text,
            r#"goldensignals_build_info{pod="0",version="2.0\"\\\n"} 1"#,
        );
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_process_is_measured() {
        assert!(resident_bytes().unwrap() > 1e5);
        assert!(cpu_seconds().unwrap() >= 0.0);
    }
}
