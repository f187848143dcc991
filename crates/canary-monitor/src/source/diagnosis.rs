//! What `doctor` says: one check for each question that a source has to answer before a run.

use gs_common::report::{Check, Evidence, Quantity};
use gs_common::verdict::Verdict;

use super::SourceError;

/// A stable code of what `doctor` found.
pub type Code = &'static str;

/// The source did not answer, or not rightly.
pub const UNREACHABLE: Code = "source_unreachable";
/// No series has the labels that were asked for.
pub const NO_SERIES: Code = "no_series";
/// A label has no such value, but a similar one.
pub const LABEL_TYPO: Code = "label_typo";
/// Canary and stable are the same pods, or share some.
pub const SAME_PODS: Code = "same_pods";
/// There is no counter of requests.
pub const NO_COUNTER: Code = "no_counter";
/// The counter of requests has no label with a status.
pub const NO_STATUS: Code = "no_status";
/// There is no histogram of response times.
pub const NO_HISTOGRAM: Code = "no_histogram";
/// The histogram breaks its own laws.
pub const BROKEN_HISTOGRAM: Code = "broken_histogram";
/// No bucket of the histogram ends at the latency limit.
pub const EDGE_MISSING: Code = "edge_missing";
/// Lines of a metrics page could not be read.
pub const REJECTED_LINES: Code = "rejected_lines";
/// A side has had no requests.
pub const NO_TRAFFIC: Code = "no_traffic";
/// Several processes answer in turn.
pub const SEVERAL_PROCESSES: Code = "several_processes";
/// A pod is scraped twice.
pub const SCRAPED_TWICE: Code = "scraped_twice";
/// The scrape interval is not known, or too long for a run.
pub const SCRAPE_INTERVAL: Code = "scrape_interval";
/// The server's clock and this machine's differ.
pub const CLOCK_SKEW: Code = "clock_skew";
/// The server says that part of the data is missing.
pub const WARNED: Code = "server_warned";
/// Nothing tells when a process started.
pub const NO_START: Code = "no_start_time";
/// Nothing tells CPU and memory.
pub const NO_RESOURCES: Code = "no_resources";
/// A right in the cluster is missing.
pub const RIGHTS: Code = "missing_right";

/// All codes with what they mean, in the order of the documentation.
pub const ALL: [(Code, &str); 19] = [
    (UNREACHABLE, "the source did not answer, or not rightly"),
    (NO_SERIES, "no series has the labels that were asked for"),
    (LABEL_TYPO, "a label has no such value, but a similar one"),
    (
        SAME_PODS,
        "canary and stable are the same pods, or share some",
    ),
    (NO_COUNTER, "there is no counter of requests"),
    (
        NO_STATUS,
        "the counter of requests has no label with a status",
    ),
    (NO_HISTOGRAM, "there is no histogram of response times"),
    (BROKEN_HISTOGRAM, "the histogram breaks its own laws"),
    (
        EDGE_MISSING,
        "no bucket of the histogram ends at the latency limit",
    ),
    (REJECTED_LINES, "lines of a metrics page could not be read"),
    (NO_TRAFFIC, "a side has had no requests"),
    (SEVERAL_PROCESSES, "several processes answer in turn"),
    (SCRAPED_TWICE, "a pod is scraped twice"),
    (
        SCRAPE_INTERVAL,
        "the scrape interval is not known, or too long for a run",
    ),
    (CLOCK_SKEW, "the server's clock and this machine's differ"),
    (WARNED, "the server says that part of the data is missing"),
    (NO_START, "nothing tells when a process started"),
    (NO_RESOURCES, "nothing tells CPU and memory"),
    (RIGHTS, "a right in the cluster is missing"),
];

/// A check that holds.
pub(super) fn good(id: &str, title: impl Into<String>, target: &str) -> Check {
    Check {
        target: (!target.is_empty()).then(|| target.to_owned()),
        attempts: Some(1),
        ..Check::passed(id, title)
    }
}

/// A check that does not hold, or could not be made.
pub(super) fn bad(
    id: &str,
    title: impl Into<String>,
    target: &str,
    verdict: Verdict,
    reason: Code,
    message: impl Into<String>,
) -> Check {
    Check {
        verdict,
        reason: Some(reason.to_owned()),
        message: Some(message.into()),
        ..good(id, title, target)
    }
}

/// The source did not answer.
pub(super) fn unreachable(id: &str, title: &str, target: &str, error: &SourceError) -> Check {
    let hint = error.hint.iter().map(|hint| Evidence {
        label: "hint".to_owned(),
        text: hint.clone(),
    });
    Check {
        evidence: hint.collect(),
        ..bad(
            id,
            title,
            target,
            Verdict::Inconclusive,
            UNREACHABLE,
            error.what.clone(),
        )
    }
}

/// The same with what was seen.
pub(super) fn seen(mut check: Check, value: impl Into<serde_json::Value>, unit: &str) -> Check {
    let unit = (!unit.is_empty()).then(|| unit.to_owned());
    check.observed = Some(Quantity {
        value: value.into(),
        unit,
    });
    check
}

/// What the edges tell of a limit.
pub(super) fn edge_check(edges: &[f64], limit: f64) -> Check {
    const ID: &str = "edge-at-limit";
    let title = format!("a bucket of the histogram ends at {limit} s");
    if edges.iter().any(|edge| (edge - limit).abs() < 1e-9 * limit) {
        return good(ID, title, "");
    }
    let below = edges.iter().rev().find(|edge| **edge < limit);
    let above = edges.iter().find(|edge| **edge > limit);
    let (verdict, message) = match (below, above) {
        (Some(below), Some(above)) => (
            Verdict::Warn,
            format!(
                "{limit} s lies between the edges {below} s and {above} s: that the limit is broken shows at {above} s, that it holds at {below} s"
            ),
        ),
        (Some(below), None) => (
            Verdict::Warn,
            format!(
                "{limit} s lies above all edges, the last of which is {below} s: that the limit is broken cannot be shown"
            ),
        ),
        (None, Some(above)) => (
            Verdict::Fail,
            format!(
                "{limit} s lies below all edges, the first of which is {above} s: that the limit holds cannot be shown"
            ),
        ),
        (None, None) => (
            Verdict::Fail,
            "no histogram, no edges: nothing is known of the response times".to_owned(),
        ),
    };
    let check = bad(ID, title, "", verdict, EDGE_MISSING, message);
    Check {
        evidence: vec![Evidence {
            label: "edges in seconds".to_owned(),
            text: edges
                .iter()
                .map(f64::to_string)
                .collect::<Vec<_>>()
                .join(", "),
        }],
        ..check
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique() {
        let mut codes: Vec<&str> = ALL.iter().map(|(code, _)| *code).collect();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), ALL.len());
    }

    #[track_caller]
    fn check(edges: &[f64], verdict: Verdict, said: &str) {
        let check = edge_check(edges, 1.0);
        assert_eq!(check.verdict, verdict);
        let message = check.message.unwrap_or_default();
        assert!(message.contains(said), "{message}");
    }

    #[test]
    fn a_missing_edge_is_bracketed() {
        check(&[0.5, 1.0, 2.5], Verdict::Pass, "");
        check(
            &[0.5, 2.5],
            Verdict::Warn,
            "between the edges 0.5 s and 2.5 s",
        );
        check(&[0.25, 0.5], Verdict::Warn, "the last of which is 0.5 s");
        check(&[2.5], Verdict::Fail, "the first of which is 2.5 s");
        check(&[], Verdict::Fail, "no histogram");
    }
}
