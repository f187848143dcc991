//! Test Anything Protocol, version 14, with YAML diagnostics.

use std::io::{self, Write};

use super::text::line;
use crate::redact::Redacted;
use crate::verdict::Verdict;

pub(super) fn render(report: &Redacted, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "TAP version 14\n1..{}", report.checks.len())?;
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
