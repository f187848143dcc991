//! JUnit XML: one case per check. `failure` is judged and not good, `error` could not be judged,
//! `skipped` was not started. A finding is a case too: `failure` where it counts against the verdict,
//! `skipped` where it is suppressed.

use std::io::{self, Write};
use std::time::Duration;

use quick_junit::{NonSuccessKind, Property, Report as Junit, TestCase, TestCaseStatus, TestSuite};

use super::findings::{self, State};
use super::text::{line, visible};
use crate::finding::Finding;
use crate::redact::Redacted;
use crate::report::Check;
use crate::verdict::Verdict;

pub(super) fn render(report: &Redacted, out: &mut dyn Write) -> io::Result<()> {
    let mut suite = TestSuite::new(line(&report.subject.name));
    suite.set_time(seconds(
        report
            .ended_at
            .duration_since(report.started_at)
            .as_secs_f64()
            * 1e3,
    ));
    suite.add_property(Property::new("verdict", report.verdict.as_str()));
    suite.add_property(Property::new("reason", &report.reason));
    suite.add_property(Property::new("summary", line(&report.summary)));
    suite.add_property(Property::new(
        "started_at",
        format!("{:.3}", report.started_at),
    ));
    for check in &report.checks {
        suite.add_test_case(case(&report.tool.name, check));
    }
    for state in State::ALL {
        for finding in findings::ranked(report, state) {
            suite.add_test_case(found(&report.tool.name, finding, state));
        }
    }
    // A run without checks must not look like a file without failures.
    if report.checks.is_empty()
        && report.findings.is_empty()
        && report.verdict >= Verdict::Inconclusive
    {
        let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
        status
            .set_type(report.reason.as_str())
            .set_message(line(&report.summary));
        suite.add_test_case(TestCase::new("run", status));
    }
    let mut junit = Junit::new(&report.tool.name);
    junit.add_test_suite(suite);
    junit.serialize(out).map_err(io::Error::other)
}

fn case(tool: &str, check: &Check) -> TestCase {
    let reason = check.reason.as_deref().unwrap_or_default();
    let message = line(check.message.as_deref().unwrap_or(reason));
    let mut status = match check.verdict {
        Verdict::Pass | Verdict::Warn => TestCaseStatus::success(),
        Verdict::Fail => TestCaseStatus::non_success(NonSuccessKind::Failure),
        Verdict::Inconclusive if matches!(reason, "not_run" | "unmet_need") => {
            TestCaseStatus::skipped()
        }
        Verdict::Inconclusive => TestCaseStatus::non_success(NonSuccessKind::Error),
    };
    if check.verdict > Verdict::Warn {
        status.set_message(message.as_str());
        if !matches!(status, TestCaseStatus::Skipped { .. }) {
            status.set_type(reason).set_description(description(check));
        }
    }
    let mut case = TestCase::new(line(&check.id), status);
    let tag = check
        .tags
        .first()
        .map_or_else(String::new, |tag| format!(".{}", line(tag)));
    case.set_classname(format!("{tool}{tag}"));
    if let Some(ms) = check.duration_ms {
        case.set_time(seconds(ms));
    }
    case.add_property(Property::new("title", line(&check.title)));
    case.add_property(Property::new("verdict", check.verdict.as_str()));
    for (name, value) in [
        ("target", check.target.clone()),
        ("attempts", check.attempts.map(|count| count.to_string())),
        ("flaky", check.flaky.then(|| "true".to_owned())),
        (
            "warning",
            (check.verdict == Verdict::Warn).then_some(message),
        ),
    ] {
        if let Some(value) = value {
            case.add_property(Property::new(name, line(&value)));
        }
    }
    case
}

fn found(tool: &str, finding: &Finding, state: State) -> TestCase {
    let mut status = match state {
        State::Blocking => TestCaseStatus::non_success(NonSuccessKind::Failure),
        State::Open => TestCaseStatus::success(),
        State::Suppressed => TestCaseStatus::skipped(),
    };
    match state {
        State::Blocking => {
            let mut lines = vec![finding.title.to_string()];
            lines.extend(finding.message.as_deref().map(str::to_owned));
            lines.extend(findings::places(finding).map(ToString::to_string));
            lines.extend(finding.advice.iter().map(|advice| format!("fix: {advice}")));
            status
                .set_type(finding.severity.as_str())
                .set_message(line(&finding.title))
                .set_description(visible(&lines.join("\n")));
        }
        State::Suppressed => {
            status.set_message(line(&findings::suppression(finding)));
        }
        State::Open => {}
    }
    let parts = [
        finding.rule.to_string(),
        findings::package(finding),
        findings::place(finding),
    ];
    let name: Vec<&str> = parts
        .iter()
        .map(String::as_str)
        .filter(|part| !part.is_empty())
        .collect();
    let mut case = TestCase::new(line(&name.join(", ")), status);
    case.set_classname(format!("{tool}.findings"));
    for (name, value) in [
        ("severity", finding.severity.as_str().to_owned()),
        ("ids", finding.ids.join(", ")),
        ("sources", finding.sources.join(", ")),
        ("fingerprint", finding.fingerprint.to_string()),
    ] {
        if !value.is_empty() {
            case.add_property(Property::new(name, line(&value)));
        }
    }
    case
}

fn description(check: &Check) -> String {
    let mut lines: Vec<String> = check
        .broken
        .iter()
        .map(|broken| format!("{}: {}", broken.reason, broken.message))
        .collect();
    if let Some(expected) = &check.expected {
        lines.push(format!("expected: {expected}"));
    }
    lines.extend(
        check
            .evidence
            .iter()
            .map(|evidence| format!("{}: {}", evidence.label, evidence.text)),
    );
    lines.extend(check.place.iter().map(|place| format!("suite: {place}")));
    lines.extend(
        check
            .reproduce
            .iter()
            .map(|line| format!("reproduce: {line}")),
    );
    visible(&lines.join("\n"))
}

fn seconds(ms: f64) -> Duration {
    Duration::try_from_secs_f64(ms / 1e3).unwrap_or_default()
}
