//! A comparison as a report.

use gs_common::report::{Check, Evidence, Quantity, Report, SCHEMA, Subject, Tool};
use gs_common::verdict::Verdict;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::judge::{Change, Comparison, Judged, LEAST_BASELINE, Measured, Policy, Why};
use super::model::{Difference, Metric, TOTAL};
use super::reason::{self, Reason};

/// How the runs came about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Read from files.
    Stored,
    /// Run in turn.
    Interleaved,
    /// Run in turn against one target, to see what noise looks like.
    SelfTest,
}

impl Kind {
    fn name(&self) -> &'static str {
        match self {
            Self::Stored => "stored",
            Self::Interleaved => "interleaved",
            Self::SelfTest => "self_test",
        }
    }
}

/// What became of a comparison.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// Files that cannot be read, with the reason.
    Unreadable(Vec<String>),
    /// The runs are not alike.
    NotComparable(Vec<Difference>),
    /// Too few runs say anything; a sentence for each that does not.
    Void(Vec<String>),
    /// Ended before there was enough to judge.
    Ended {
        /// [`gs_common::report::INTERRUPTED`] or `deadline`.
        reason: Reason,
        /// Why, a sentence.
        why: String,
    },
    /// Judged.
    Judged {
        /// The judgement.
        comparison: Comparison,
        /// Runs that were left out, a sentence for each.
        void: Vec<String>,
        /// For a self-test: the smallest change of each endpoint that would be seen, as a share.
        smallest: Vec<(String, Option<f64>)>,
    },
}

/// Makes the report. Inputs are the caller's.
#[must_use]
pub fn report(
    kind: &Kind,
    subject: &str,
    outcome: &Outcome,
    policy: &Policy,
    started_at: Timestamp,
) -> Report {
    let mut report = Report {
        schema: SCHEMA.to_owned(),
        tool: Tool {
            name: "load-test".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        },
        subject: Subject {
            kind: if *kind == Kind::Stored { "runs" } else { "url" }.to_owned(),
            name: subject.to_owned(),
            commit: None,
        },
        started_at,
        ended_at: Timestamp::now(),
        verdict: Verdict::Inconclusive,
        reason: String::new(),
        summary: String::new(),
        next: Vec::new(),
        checks: Vec::new(),
        findings: Vec::new(),
        inputs: Vec::new(),
        not_covered: Vec::new(),
        series: Vec::new(),
        details: Map::new(),
    };
    report
        .details
        .insert("comparison".to_owned(), json!({"kind": kind.name()}));
    let mut end = |reason: Reason, summary: String, next: &[&str]| {
        report.reason = reason.to_owned();
        report.summary = summary;
        report.next = next.iter().map(|next| (*next).to_owned()).collect();
    };
    match outcome {
        Outcome::Unreadable(why) => end(
            reason::UNREADABLE,
            format!("no verdict: {}", why.join("; ")),
            &["name files that load-test, Locust, k6 or pytest-benchmark wrote, whole"],
        ),
        Outcome::NotComparable(differences) => {
            let shown: Vec<String> = differences.iter().map(ToString::to_string).collect();
            end(
                reason::NOT_COMPARABLE,
                format!(
                    "no verdict: the runs cannot be compared: {}",
                    shown.join("; ")
                ),
                &[
                    "run both sides alike, or allow the difference aloud with --allow-different MEMBER",
                ],
            );
            report.details.insert(
                "differences".to_owned(),
                differences
                    .iter()
                    .map(|difference| {
                        json!({
                            "member": difference.member,
                            "one": {"run": difference.one.0, "value": difference.one.1},
                            "other": {"run": difference.other.0, "value": difference.other.1},
                        })
                    })
                    .collect(),
            );
        }
        Outcome::Void(why) => end(
            reason::RUNS_VOID,
            format!(
                "no verdict: too few runs say anything about the target: {}",
                why.join("; ")
            ),
            &["lower the load, or give the generator a machine of its own"],
        ),
        Outcome::Ended { reason, why } => end(reason, format!("no verdict: {why}"), &[]),
        Outcome::Judged {
            comparison,
            void,
            smallest,
        } => judged(&mut report, kind, comparison, void, smallest, policy),
    }
    report
}

fn judged(
    report: &mut Report,
    kind: &Kind,
    comparison: &Comparison,
    void: &[String],
    smallest: &[(String, Option<f64>)],
    policy: &Policy,
) {
    report.checks = comparison
        .judged
        .iter()
        .map(|judged| check(judged, kind, comparison, policy))
        .collect();
    for name in &comparison.only_new {
        report
            .not_covered
            .push(format!("`{name}`: only the new side has it"));
    }
    report.not_covered.extend(
        void.iter()
            .map(|why| format!("a run that was left out: {why}")),
    );
    report.verdict = Verdict::over(report.checks.iter().map(|check| check.verdict));
    let (reason, summary) = concluded(report.verdict, kind, comparison, policy);
    report.reason = reason.to_owned();
    report.summary = summary;
    report.next = next(reason, kind, comparison, policy);
    let rows: Vec<Value> = comparison
        .judged
        .iter()
        .map(|judged| row(judged, smallest))
        .collect();
    let (base_runs, new_runs) = comparison.used;
    report.details.insert(
        "comparison".to_owned(),
        json!({
            "kind": kind.name(),
            "base_runs": base_runs,
            "new_runs": new_runs,
            "metric": policy.metric.name(),
            "margin": policy.margin,
            "failure_margin": policy.failure_margin,
            "confidence": policy.confidence(),
            "tests": comparison.tests,
            "seed": policy.seed,
            "rows": rows,
        }),
    );
    if *kind == Kind::SelfTest {
        let shown: Vec<String> = smallest
            .iter()
            .map(|(name, change)| match change {
                Some(change) => format!("{name}: {}", percent(*change)),
                None => format!("{name}: none up to 100 times as slow"),
            })
            .collect();
        if !shown.is_empty() {
            report.summary = format!(
                "{} The smallest slowing down that would be called worse in 8 of 10 comparisons: {}.",
                report.summary,
                shown.join(", ")
            );
        }
    }
}

/// Whether an endpoint has too few requests to be judged alone, while all of them together were judged,
/// and nobody asked for it by name.
fn only_in_total(judged: &Judged, comparison: &Comparison, policy: &Policy) -> bool {
    let total = |other: &Judged| {
        other.name == TOTAL && is_latency(other.metric) && other.change != Change::Unknown
    };
    judged.why == Some(Why::FewRequests)
        && judged.name != TOTAL
        && policy.only.is_empty()
        && comparison.judged.iter().any(total)
}

fn check(judged: &Judged, kind: &Kind, comparison: &Comparison, policy: &Policy) -> Check {
    // In a self-test any claim is a false one, a better one too.
    let verdict = match (judged.change, kind) {
        (Change::Worse, _) | (Change::Better, Kind::SelfTest) => Verdict::Fail,
        (Change::Unknown, _) if only_in_total(judged, comparison, policy) => Verdict::Warn,
        (Change::Unknown, _) => Verdict::Inconclusive,
        (Change::Better | Change::Same, _) => Verdict::Pass,
    };
    let reason = (verdict != Verdict::Pass).then(|| reason_of(judged, kind));
    let mut evidence = Vec::new();
    if let Some(measured) = &judged.measured {
        evidence.push(Evidence {
            label: "base and new".to_owned(),
            text: format!(
                "{} and {}",
                shown(measured.metric, measured.base),
                shown(measured.metric, measured.new)
            ),
        });
        evidence.push(Evidence {
            label: format!(
                "{}% interval of the change",
                round(policy.confidence() * 100.0)
            ),
            text: interval(measured),
        });
    }
    if judged.metric != policy.metric && is_latency(judged.metric) {
        evidence.push(Evidence {
            label: "judged by".to_owned(),
            text: format!(
                "{}, because a run has only {} requests",
                judged.metric, judged.least_requests
            ),
        });
    }
    Check {
        target: (judged.name != TOTAL).then(|| judged.name.clone()),
        verdict,
        reason: reason.map(str::to_owned),
        message: (verdict != Verdict::Pass).then(|| message(judged, policy)),
        observed: judged.measured.as_ref().map(observed),
        expected: Some(expected(judged.metric, policy)),
        evidence,
        tags: vec![judged.change.as_str().to_owned()],
        ..Check::passed(
            format!("{}:{}", judged.name, judged.metric),
            format!("{} of {}", judged.metric, judged.name),
        )
    }
}

fn is_latency(metric: Metric) -> bool {
    !matches!(metric, Metric::Throughput | Metric::Failures)
}

fn reason_of(judged: &Judged, kind: &Kind) -> Reason {
    match (judged.change, judged.why) {
        (Change::Worse | Change::Better, _) if *kind == Kind::SelfTest => reason::SELF_TEST_ALARM,
        (Change::Worse, _) if judged.metric == Metric::Failures => reason::MORE_FAILURES,
        (Change::Worse, _) if judged.metric == Metric::Throughput => reason::LESS_THROUGHPUT,
        (Change::Worse, _) => reason::WORSE,
        (_, Some(Why::FewRequests)) => reason::TOO_FEW_REQUESTS,
        (_, Some(Why::FewBaselines)) => reason::TOO_FEW_BASELINES,
        (_, Some(Why::FewPairs)) => reason::TOO_FEW_PAIRS,
        (_, Some(Why::Missing)) => reason::ENDPOINT_MISSING,
        (_, Some(Why::Wide) | None) => reason::UNDECIDED,
    }
}

fn observed(measured: &Measured) -> Quantity {
    if measured.metric == Metric::Failures {
        Quantity::of(rounded(measured.change), "share")
    } else {
        Quantity::of(rounded(measured.change), "times the base")
    }
}

fn expected(metric: Metric, policy: &Policy) -> String {
    match metric {
        Metric::Failures => format!(
            "at most {} more of all requests fail",
            gs_common::units::show_share(policy.failure_margin)
        ),
        Metric::Throughput => format!(
            "at least {} times the base",
            round(1.0 / (1.0 + policy.margin))
        ),
        _ => format!("at most {} times the base", round(1.0 + policy.margin)),
    }
}

fn message(judged: &Judged, policy: &Policy) -> String {
    let Some(measured) = &judged.measured else {
        return match judged.why {
            Some(Why::Missing) => "the base has it, the new side does not".to_owned(),
            _ => format!(
                "a run has only {} requests: too few for any quantile; make the runs longer",
                judged.least_requests
            ),
        };
    };
    let change = format!(
        "{} went from {} to {} ({}, interval {})",
        judged.metric,
        shown(measured.metric, measured.base),
        shown(measured.metric, measured.new),
        change(measured.metric, measured.change),
        interval(measured)
    );
    match judged.why {
        Some(Why::FewBaselines) => format!(
            "{}: it takes {LEAST_BASELINE} baseline runs to know what is noise",
            change.replace(", interval unknown", "")
        ),
        Some(_) => format!(
            "{change}: it may be worse than allowed or not ({})",
            expected(judged.metric, policy)
        ),
        None => change,
    }
}

fn concluded(
    verdict: Verdict,
    kind: &Kind,
    comparison: &Comparison,
    policy: &Policy,
) -> (Reason, String) {
    let all = comparison.judged.len();
    let with = |change: Change| -> Vec<&Judged> {
        comparison
            .judged
            .iter()
            .filter(|judged| judged.change == change)
            .collect()
    };
    let worst = |found: &[&Judged]| -> String {
        let told: Vec<String> = found
            .iter()
            .take(3)
            .map(|judged| format!("{}: {}", judged.name, message(judged, policy)))
            .collect();
        let more = found.len().saturating_sub(3);
        let more = if more > 0 {
            format!("; and {more} more")
        } else {
            String::new()
        };
        format!("{}{more}", told.join("; "))
    };
    let (worse, unknown, better) = (
        with(Change::Worse),
        with(Change::Unknown),
        with(Change::Better),
    );
    let (scarce, unknown): (Vec<&Judged>, Vec<&Judged>) = unknown
        .into_iter()
        .partition(|judged| only_in_total(judged, comparison, policy));
    if *kind == Kind::SelfTest {
        let alarms: Vec<&Judged> = worse.iter().chain(&better).copied().collect();
        return match verdict {
            Verdict::Fail => (
                reason::SELF_TEST_ALARM,
                format!(
                    "both sides were the same, and {} of {all} comparisons claim a change: do not trust this setup. {}.",
                    alarms.len(),
                    worst(&alarms)
                ),
            ),
            _ if unknown.iter().any(|judged| judged.measured.is_none()) || all == 0 => (
                unknown
                    .first()
                    .map_or(reason::TOO_FEW_REQUESTS, |judged| reason_of(judged, kind)),
                format!("no verdict: {}.", worst(&unknown)),
            ),
            Verdict::Inconclusive => (
                reason::UNDECIDED,
                format!(
                    "no false alarm in {all} comparisons, but in {} of them the noise is larger than the margin.",
                    unknown.len()
                ),
            ),
            Verdict::Pass | Verdict::Warn => (
                reason::SELF_TEST_QUIET,
                format!("no false alarm in {all} comparisons of equals."),
            ),
        };
    }
    match verdict {
        Verdict::Warn => (
            reason::NOT_ALL_JUDGED,
            format!(
                "none of {all} comparisons is worse, but {} have too few requests to be judged alone: {}",
                scarce.len(),
                scarce
                    .iter()
                    .map(|judged| judged.name.as_str())
                    .collect::<Vec<_>>()
                    .join(", ")
            ),
        ),
        Verdict::Fail => {
            // A latency that is worse says more than what follows from it.
            let first = worse
                .iter()
                .find(|judged| is_latency(judged.metric))
                .or_else(|| worse.first());
            (
                first.map_or(reason::WORSE, |judged| reason_of(judged, kind)),
                format!(
                    "{} of {all} comparisons are worse: {}",
                    worse.len(),
                    worst(&worse)
                ),
            )
        }
        Verdict::Inconclusive if all == 0 => (
            reason::TOO_FEW_REQUESTS,
            "no verdict: there is nothing that could be compared".to_owned(),
        ),
        Verdict::Inconclusive => (
            unknown
                .first()
                .map_or(reason::UNDECIDED, |judged| reason_of(judged, kind)),
            format!(
                "no verdict on {} of {all} comparisons: {}",
                unknown.len(),
                worst(&unknown)
            ),
        ),
        Verdict::Pass => (
            reason::NO_WORSE,
            if better.is_empty() {
                format!("none of {all} comparisons is worse")
            } else {
                format!(
                    "none of {all} comparisons is worse, {} are better: {}",
                    better.len(),
                    worst(&better)
                )
            },
        ),
    }
}

fn next(reason: Reason, kind: &Kind, comparison: &Comparison, policy: &Policy) -> Vec<String> {
    let text = match reason {
        reason::UNDECIDED if *kind == Kind::Stored => {
            "compare more baseline runs, or run both sides in turn: load-test ab --base URL --new URL"
        }
        reason::UNDECIDED => {
            "take more pairs (--pairs) or longer ones (--duration), or allow more (--margin)"
        }
        reason::TOO_FEW_REQUESTS | reason::NOT_ALL_JUDGED => {
            "make the runs longer (--duration), or judge a few endpoints only (--endpoint NAME)"
        }
        reason::TOO_FEW_BASELINES => {
            "store the reports of at least five runs of the base, and name them all"
        }
        reason::ENDPOINT_MISSING => {
            "was the endpoint renamed? judge the others with --endpoint NAME"
        }
        _ => return Vec::new(),
    };
    let mut next = vec![text.to_owned()];
    if *kind == Kind::Interleaved && reason == reason::UNDECIDED {
        let needed = super::judge::pairs_needed(comparison.tests, policy.alpha);
        if needed > comparison.used.0 {
            next.push(format!(
                "{} tests need at least {needed} pairs before any of them can fail",
                comparison.tests
            ));
        }
    }
    next
}

fn row(judged: &Judged, smallest: &[(String, Option<f64>)]) -> Value {
    let measured = |measured: &Measured| {
        json!({
            "metric": measured.metric.name(),
            "unit": measured.metric.unit(),
            "base": rounded(measured.base),
            "new": rounded(measured.new),
            "change": rounded(measured.change),
            "interval": [rounded(measured.interval.low), rounded(measured.interval.high)],
        })
    };
    let mut row = json!({
        "name": judged.name,
        "change": judged.change.as_str(),
        "judged": judged.measured.as_ref().map(measured),
        "probability": rounded(judged.probability),
        "least_requests": judged.least_requests,
        "others": judged.others.iter().map(measured).collect::<Vec<_>>(),
    });
    let found = smallest.iter().find(|(name, _)| *name == judged.name);
    if let (Some((_, change)), true) = (found, is_latency(judged.metric)) {
        row["smallest_change"] = change.map_or(Value::Null, rounded);
    }
    row
}

/// A number for a report: six digits are more than any of this is good for. What is not finite is
/// null.
fn rounded(value: f64) -> Value {
    if value == 0.0 || !value.is_finite() {
        return if value == 0.0 {
            json!(0.0)
        } else {
            Value::Null
        };
    }
    format!("{value:.5e}")
        .parse::<f64>()
        .map_or(Value::Null, Value::from)
}

/// A number for people: three digits behind the point at most.
fn round(value: f64) -> String {
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn percent(share: f64) -> String {
    format!(
        "{}{}%",
        if share >= 0.0 { "+" } else { "" },
        round((share * 1000.0).round() / 10.0)
    )
}

fn change(metric: Metric, value: f64) -> String {
    match metric {
        Metric::Failures => format!("{} of all requests", percent(value)),
        _ => percent(value - 1.0),
    }
}

fn interval(measured: &Measured) -> String {
    let (low, high) = (measured.interval.low, measured.interval.high);
    let shown = |value: f64| {
        if value.is_finite() {
            percent(if measured.metric == Metric::Failures {
                value
            } else {
                value - 1.0
            })
        } else {
            "?".to_owned()
        }
    };
    // The logarithm of an unknown end is infinite, its ratio 0 or infinite.
    if !high.is_finite() {
        return "unknown".to_owned();
    }
    format!("{} to {}", shown(low), shown(high))
}

fn shown(metric: Metric, value: f64) -> String {
    match metric {
        Metric::Failures => gs_common::units::show_share((value * 1e5).round() / 1e5),
        _ => format!("{} {}", round(value), metric.unit()),
    }
}
