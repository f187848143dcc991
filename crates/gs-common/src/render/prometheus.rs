//! Prometheus text for the node exporter's textfile collector, a push gateway, or `watch`.

use std::io::{self, Write};

use super::findings::{self, State};
use crate::finding::Severity;
use crate::redact::Redacted;
use crate::verdict::Verdict;

const VERDICTS: [Verdict; 4] = [
    Verdict::Pass,
    Verdict::Warn,
    Verdict::Inconclusive,
    Verdict::Fail,
];

pub(super) fn render(report: &Redacted, out: &mut dyn Write) -> io::Result<()> {
    let tool = escape(&report.tool.name);
    let subject = escape(&report.subject.name);
    let common = format!("tool=\"{tool}\",subject=\"{subject}\"");
    header(
        out,
        "gs_report_verdict",
        "1 for the verdict of the last run, 0 for the others.",
    )?;
    for verdict in VERDICTS {
        let value = u8::from(report.verdict == verdict);
        writeln!(
            out,
            "gs_report_verdict{{{common},verdict=\"{verdict}\"}} {value}"
        )?;
    }
    header(
        out,
        "gs_report_timestamp_seconds",
        "End of the last run, Unix time.",
    )?;
    writeln!(
        out,
        "gs_report_timestamp_seconds{{{common}}} {}",
        report.ended_at.as_millisecond() as f64 / 1e3
    )?;
    header(
        out,
        "gs_report_duration_seconds",
        "How long the last run took.",
    )?;
    let took = report
        .ended_at
        .duration_since(report.started_at)
        .as_secs_f64();
    writeln!(out, "gs_report_duration_seconds{{{common}}} {took}")?;
    if findings::has_numbers(report) {
        header(
            out,
            "gs_findings",
            "Findings of the last run by severity and by what became of them.",
        )?;
        for severity in Severity::ALL {
            for state in State::ALL {
                writeln!(
                    out,
                    "gs_findings{{{common},severity=\"{severity}\",state=\"{}\"}} {}",
                    state.as_str(),
                    findings::count(report, severity, state)
                )?;
            }
        }
    }
    if report.checks.is_empty() {
        return Ok(());
    }
    header(
        out,
        "gs_check_verdict",
        "1 for the verdict of a check in the last run, 0 for the others.",
    )?;
    for check in &report.checks {
        for verdict in VERDICTS {
            let value = u8::from(check.verdict == verdict);
            writeln!(
                out,
                "gs_check_verdict{{{common},check=\"{}\",verdict=\"{verdict}\"}} {value}",
                escape(&check.id)
            )?;
        }
    }
    header(
        out,
        "gs_check_attempts",
        "How often a check was tried in the last run.",
    )?;
    for check in &report.checks {
        if let Some(attempts) = check.attempts {
            writeln!(
                out,
                "gs_check_attempts{{{common},check=\"{}\"}} {attempts}",
                escape(&check.id)
            )?;
        }
    }
    header(
        out,
        "gs_check_duration_seconds",
        "How long a check took in the last run, waits included.",
    )?;
    for check in &report.checks {
        if let Some(ms) = check.duration_ms {
            writeln!(
                out,
                "gs_check_duration_seconds{{{common},check=\"{}\"}} {}",
                escape(&check.id),
                ms / 1e3
            )?;
        }
    }
    Ok(())
}

fn header(out: &mut dyn Write, name: &str, help: &str) -> io::Result<()> {
    writeln!(out, "# HELP {name} {help}\n# TYPE {name} gauge")
}

/// A label's value in the text format: backslash, quote and line feed are escaped.
fn escape(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
        .replace('\r', " ")
}
