//! GitHub's workflow commands. A step shows at most ten annotations of a kind, so the worst nine are
//! told and the rest is counted. Findings that block are errors, the others notices; suppressed ones
//! are no annotation.

use std::io::{self, Write};

use super::findings::{self, State};
use super::text::{counted, visible};
use crate::finding::Finding;
use crate::redact::Redacted;
use crate::report::{Check, Report};
use crate::verdict::Verdict;

/// Nine, and one line for the rest.
const MOST: usize = 9;

/// So many checks are told where there are more findings than room.
const MOST_CHECKS_BESIDE: usize = 3;

/// The runner cuts messages at about 4096 characters.
const LONGEST: usize = 3_800;

pub(super) fn render(report: &Redacted, out: &mut dyn Write) -> io::Result<()> {
    let mut poor: Vec<&Check> = report
        .checks
        .iter()
        .filter(|check| check.verdict != Verdict::Pass)
        .collect();
    poor.sort_by_key(|check| std::cmp::Reverse(check.verdict));
    let blocking = findings::ranked(report, State::Blocking);
    let open = findings::ranked(report, State::Open);
    let found = blocking.len() + open.len();
    // A gate that fails says so in one check, and its findings tell which line to look at.
    let checks = poor.len().min(if found == 0 {
        MOST
    } else {
        MOST.saturating_sub(found).max(MOST_CHECKS_BESIDE)
    });
    for check in poor.iter().take(checks) {
        write_check(report, check, out)?;
    }
    let room = MOST - checks;
    for (level, finding) in blocking
        .iter()
        .map(|finding| ("error", finding))
        .chain(open.iter().map(|finding| ("notice", finding)))
        .take(room)
    {
        write_finding(report, level, finding, out)?;
    }
    let rest = [
        (poor.len() - checks, "more check", "failed or warned"),
        (found.saturating_sub(room), "more finding", "are open"),
    ];
    let rest: Vec<String> = rest
        .into_iter()
        .filter(|(count, _, _)| *count > 0)
        .map(|(count, what, became)| format!("{} {became}", counted(count, what)))
        .collect();
    if !rest.is_empty() {
        writeln!(
            out,
            "::warning title={}::{}: see the step summary",
            escape_property(&report.tool.name),
            rest.join(", ")
        )?;
    }
    if poor.is_empty() && found == 0 && report.verdict >= Verdict::Inconclusive {
        let summary = escape_data(&visible(&report.summary));
        writeln!(
            out,
            "::error title={}::{summary}",
            escape_property(&format!("{}: {}", report.tool.name, report.reason))
        )?;
    }
    Ok(())
}

fn write_check(report: &Report, check: &Check, out: &mut dyn Write) -> io::Result<()> {
    let level = if check.verdict > Verdict::Warn {
        "error"
    } else {
        "warning"
    };
    // The built-in suite is no file of the repository.
    let place = check
        .place
        .as_ref()
        .filter(|place| !place.path.starts_with("built-in:"))
        .map(|place| (place.path.as_str(), place.line));
    let mut message = check.message.clone().unwrap_or_else(|| check.title.clone());
    if let Some(target) = &check.target {
        message = format!("{target}: {message}");
    }
    if let Some(reproduce) = &check.reproduce {
        message = format!("{message}\n{reproduce}");
    }
    let title = format!("{}: {}", report.tool.name, check.id);
    command(level, &title, place, &message, out)
}

fn write_finding(
    report: &Report,
    level: &str,
    finding: &Finding,
    out: &mut dyn Write,
) -> io::Result<()> {
    // What is only in history, or outside of the repository, has no line to stand at.
    let place = findings::spot(finding)
        .filter(|spot| spot.commit.is_none() && !spot.path.starts_with('/'))
        .map(|spot| (spot.path.as_str(), spot.line));
    let mut message = format!("{}: {}", finding.severity, finding.title);
    let package = findings::package(finding);
    if !package.is_empty() {
        message = format!("{package}: {message}");
    }
    let advice = finding.advice.iter().map(String::as_str);
    for further in finding.message.as_deref().into_iter().chain(advice) {
        message = format!("{message}\n{further}");
    }
    if place.is_none() && findings::spot(finding).is_some() {
        message = format!("{message}\nat {}", findings::place(finding));
    }
    let title = format!("{}: {}", report.tool.name, finding.rule);
    command(level, &title, place, &message, out)
}

fn command(
    level: &str,
    title: &str,
    place: Option<(&str, Option<u32>)>,
    message: &str,
    out: &mut dyn Write,
) -> io::Result<()> {
    let mut properties = vec![format!("title={}", escape_property(title))];
    if let Some((path, line)) = place {
        properties.push(format!("file={}", escape_property(path)));
        properties.extend(line.map(|line| format!("line={line}")));
    }
    let message: String = visible(message).chars().take(LONGEST).collect();
    let message = escape_data(&message);
    writeln!(out, "::{level} {}::{message}", properties.join(","))
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
