//! What the counters are called: named by the user, or found among what is there.

use super::config::MetricConfig;

/// Names of the counter of requests, in the order of their weight: as the service's own metrics call it,
/// and as client libraries and prometheus-fastapi-instrumentator do.
pub(super) const REQUESTS: [&str; 2] = ["goldensignals_http_requests_total", "http_requests_total"];

/// Names of the histogram without `_bucket`. The instrumentator keeps one of few buckets by route, and one
/// of many without labels: the latter tells more.
pub(super) const DURATIONS: [&str; 4] = [
    "goldensignals_http_request_duration_highr_seconds",
    "goldensignals_http_request_duration_seconds",
    "http_request_duration_highr_seconds",
    "http_request_duration_seconds",
];

/// The process' own metrics, as every client library has them.
pub(super) const START: &str = "process_start_time_seconds";
/// CPU time of the process.
pub(super) const CPU: &str = "process_cpu_seconds_total";
/// Memory of the process.
pub(super) const MEMORY: &str = "process_resident_memory_bytes";

/// Names that were found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Names {
    /// The counter of requests.
    pub(super) requests: String,
    /// The histogram, without `_bucket`.
    pub(super) duration: String,
}

impl Names {
    /// The name of the histogram's buckets.
    #[must_use]
    pub(super) fn bucket(&self) -> String {
        format!("{}_bucket", self.duration)
    }

    /// Chooses among what is there; `has` knows which names are. A name that was configured is taken
    /// whether it is there or not. Where several are there, the warning says so.
    #[must_use]
    pub(super) fn choose(
        config: &MetricConfig,
        has: &dyn Fn(&str) -> bool,
    ) -> (Option<Self>, Vec<String>) {
        let mut warnings = Vec::new();
        let requests = config
            .requests
            .clone()
            .or_else(|| first("counters of requests", &REQUESTS, has, &mut warnings));
        // The histogram of the same prefix first: both come from one library then.
        let prefix = requests
            .as_deref()
            .and_then(|name| name.strip_suffix("http_requests_total"))
            .unwrap_or_default()
            .to_owned();
        let mut known = DURATIONS;
        known.sort_by_key(|name| {
            name.strip_prefix(prefix.as_str())
                .is_none_or(|rest| !rest.starts_with("http_"))
        });
        let bucket = |name: &str| has(&format!("{name}_bucket"));
        let duration = config
            .duration
            .clone()
            .or_else(|| first_of(&known, &bucket));
        // A library shows a counter from its first event on, and a histogram before it.
        let requests = requests.or_else(|| {
            let (prefix, _) = duration.as_deref()?.split_once("http_request_duration_")?;
            Some(format!("{prefix}http_requests_total"))
        });
        let duration = duration.unwrap_or_else(|| format!("{prefix}http_request_duration_seconds"));
        (
            requests.map(|requests| Self { requests, duration }),
            warnings,
        )
    }
}

fn first_of(known: &[&str], has: &dyn Fn(&str) -> bool) -> Option<String> {
    known
        .iter()
        .find(|name| has(name))
        .map(|name| (*name).to_owned())
}

fn first(
    what: &str,
    known: &[&str],
    has: &dyn Fn(&str) -> bool,
    warnings: &mut Vec<String>,
) -> Option<String> {
    let there: Vec<&str> = known.iter().filter(|name| has(name)).copied().collect();
    if let [taken, others @ ..] = there.as_slice()
        && !others.is_empty()
    {
        warnings.push(format!(
            "several {what} are there: {taken} is read, {} is not; name one with --requests-metric",
            others.join(", ")
        ));
    }
    there.first().map(|name| (*name).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(there: &[&str], requests: Option<&str>, duration: Option<&str>, warned: bool) {
        let has = |name: &str| there.contains(&name);
        let (names, warnings) = Names::choose(&MetricConfig::default(), &has);
        assert_eq!(
            names.as_ref().map(|names| names.requests.as_str()),
            requests
        );
        assert_eq!(
            names.as_ref().map(|names| names.duration.as_str()),
            duration
        );
        assert_eq!(!warnings.is_empty(), warned, "{warnings:?}");
    }

    #[test]
    fn names_of_one_library_go_together() {
        let plain = [
            "http_requests_total",
            "http_request_duration_seconds_bucket",
        ];
        check(
            &plain,
            Some(plain[0]),
            Some("http_request_duration_seconds"),
            false,
        );
        let own = [
            "goldensignals_http_requests_total",
            "goldensignals_http_request_duration_seconds_bucket",
        ];
        check(
            &own,
            Some(own[0]),
            Some("goldensignals_http_request_duration_seconds"),
            false,
        );
        let fine = "http_request_duration_highr_seconds_bucket";
        check(
            &[plain[0], plain[1], fine],
            Some(plain[0]),
            Some("http_request_duration_highr_seconds"),
            false,
        );
        check(
            &[plain[0], own[1]],
            Some(plain[0]),
            Some("goldensignals_http_request_duration_seconds"),
            false,
        );
        check(
            &[plain[0], plain[1], own[0], own[1]],
            Some(own[0]),
            Some("goldensignals_http_request_duration_seconds"),
            true,
        );
        check(
            &[own[1]],
            Some(own[0]),
            Some("goldensignals_http_request_duration_seconds"),
            false,
        );
        check(&[], None, None, false);
    }
}
