//! GitHub's workflow commands. A step shows at most ten annotations of a kind, so the worst nine are
//! told and the rest is counted.

use std::io::{self, Write};

use super::text::{counted, visible};
use crate::redact::Redacted;
use crate::report::Check;
use crate::verdict::Verdict;

/// Nine, and one line for the rest.
const MOST: usize = 9;

/// The runner cuts messages at about 4096 characters.
const LONGEST: usize = 3_800;

pub(super) fn render(report: &Redacted, out: &mut dyn Write) -> io::Result<()> {
    let mut poor: Vec<&Check> = report
        .checks
        .iter()
        .filter(|check| check.verdict != Verdict::Pass)
        .collect();
    poor.sort_by_key(|check| std::cmp::Reverse(check.verdict));
    for check in poor.iter().take(MOST) {
        let level = if check.verdict > Verdict::Warn {
            "error"
        } else {
            "warning"
        };
        let mut properties = vec![format!(
            "title={}",
            escape_property(&format!("{}: {}", report.tool.name, check.id))
        )];
        // The built-in suite is no file of the repository.
        if let Some(place) = check
            .place
            .as_ref()
            .filter(|place| !place.path.starts_with("built-in:"))
        {
            properties.push(format!("file={}", escape_property(&place.path)));
            properties.extend(place.line.map(|line| format!("line={line}")));
        }
        let mut message = check.message.clone().unwrap_or_else(|| check.title.clone());
        if let Some(target) = &check.target {
            message = format!("{target}: {message}");
        }
        if let Some(reproduce) = &check.reproduce {
            message = format!("{message}\n{reproduce}");
        }
        let message: String = visible(&message).chars().take(LONGEST).collect();
        writeln!(
            out,
            "::{level} {}::{}",
            properties.join(","),
            escape_data(&message)
        )?;
    }
    if poor.len() > MOST {
        let rest = counted(poor.len() - MOST, "more check");
        writeln!(
            out,
            "::warning title={}::{rest} failed or warned: see the step summary",
            escape_property(&report.tool.name)
        )?;
    }
    if poor.is_empty() && report.verdict >= Verdict::Inconclusive {
        let summary = escape_data(&visible(&report.summary));
        writeln!(
            out,
            "::error title={}::{summary}",
            escape_property(&format!("{}: {}", report.tool.name, report.reason))
        )?;
    }
    Ok(())
}

/// Escapes the data of a workflow command.
#[must_use]
pub fn escape_data(text: &str) -> String {
    text.replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

fn escape_property(text: &str) -> String {
    escape_data(&visible(text))
        .replace(':', "%3A")
        .replace(',', "%2C")
}
