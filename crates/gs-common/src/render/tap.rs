//! Test Anything Protocol, version 14, with YAML diagnostics.

use std::io::{self, Write};

use super::findings::{self, State};
use super::text::line;
use crate::redact::Redacted;
use crate::verdict::Verdict;

pub(super) fn render(report: &Redacted, out: &mut dyn Write) -> io::Result<()> {
    let points = report.checks.len() + report.findings.len();
    writeln!(out, "TAP version 14\n1..{points}")?;
    for (index, check) in report.checks.iter().enumerate() {
        let ok = if check.verdict > Verdict::Warn {
            "not ok"
        } else {
            "ok"
        };
        let skip = if check.attempts.is_none() && check.verdict == Verdict::Inconclusive {
            " # SKIP not run"
        } else {
            ""
        };
        writeln!(out, "{ok} {} - {}{skip}", index + 1, description(&check.id))?;
        writeln!(out, "  ---\n  verdict: {}", check.verdict)?;
        for (key, value) in [
            ("reason", check.reason.clone()),
            ("message", check.message.clone()),
            ("target", check.target.clone()),
            ("expected", check.expected.clone()),
            ("observed", check.observed.as_ref().map(ToString::to_string)),
            ("at", check.place.as_ref().map(ToString::to_string)),
            ("reproduce", check.reproduce.clone()),
        ] {
            if let Some(value) = value {
                // A JSON text is a YAML one too, with every escape defined.
                writeln!(out, "  {key}: {}", serde_json::Value::from(line(&value)))?;
            }
        }
        if let Some(ms) = check.duration_ms {
            writeln!(out, "  duration_ms: {ms}")?;
        }
        writeln!(out, "  ...")?;
    }
    let found = State::ALL.into_iter().flat_map(|state| {
        let found = findings::ranked(report, state);
        found.into_iter().map(move |finding| (state, finding))
    });
    for (index, (state, finding)) in found.enumerate() {
        let (ok, skip) = match state {
            State::Blocking => ("not ok", ""),
            State::Open => ("ok", ""),
            State::Suppressed => ("ok", " # SKIP suppressed"),
        };
        let number = report.checks.len() + index + 1;
        let name = format!("{} {}", finding.rule, findings::package(finding));
        writeln!(
            out,
            "{ok} {number} - {}{skip}",
            description(name.trim_end())
        )?;
        writeln!(out, "  ---\n  severity: {}", finding.severity)?;
        for (key, value) in [
            ("message", finding.title.to_string()),
            ("at", findings::place(finding)),
            ("accepted", findings::suppression(finding)),
            ("fingerprint", finding.fingerprint.to_string()),
        ] {
            if !value.is_empty() {
                writeln!(out, "  {key}: {}", serde_json::Value::from(line(&value)))?;
            }
        }
        writeln!(out, "  ...")?;
    }
    if report.verdict > Verdict::Warn {
        writeln!(
            out,
            "# {} ({}): {}",
            report.verdict,
            report.reason,
            line(&report.summary)
        )?;
    }
    Ok(())
}

/// `#` begins a directive and `\` an escape.
fn description(text: &str) -> String {
    line(text).replace('\\', "\\\\").replace('#', "\\#")
}
