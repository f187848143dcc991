//! Markdown for the step summary and the pull request. Sections are kept or dropped whole.

use std::fmt::Write as _;
use std::io::{self, Write};

use super::cause::causes;
use super::findings::{self, State};
use super::text::{counted, line, millis, visible};
use crate::finding::Finding;
use crate::redact::Redacted;
use crate::report::{Check, Report};
use crate::verdict::Verdict;

/// GitHub refuses a step summary of over 1 MiB whole; this leaves room for its own.
const LARGEST: usize = 1_000_000;

pub(super) fn render(report: &Redacted, out: &mut dyn Write) -> io::Result<()> {
    out.write_all(within(report, LARGEST).as_bytes())
}

/// The page in at most so many bytes: whole sections are dropped from the end, and this is said.
/// The verdict is never dropped.
#[must_use]
pub fn within(report: &Redacted, bytes: usize) -> String {
    let (head, sections) = sections(report);
    let note = |dropped: usize| {
        format!(
            "\n_{} left out: the page would be too large; the JSON report has all._\n",
            counted(dropped, "section")
        )
    };
    let reserve = note(usize::MAX).len();
    let mut page = head;
    for (index, section) in sections.iter().enumerate() {
        let last = index + 1 == sections.len();
        if page.len() + section.len() + if last { 0 } else { reserve } > bytes {
            page.push_str(&note(sections.len() - index));
            break;
        }
        page.push_str(section);
    }
    page
}

fn sections(report: &Report) -> (String, Vec<String>) {
    let icon = match report.verdict {
        Verdict::Pass => "✅",
        Verdict::Warn => "⚠️",
        Verdict::Fail => "❌",
        Verdict::Inconclusive => "❔",
    };
    let mut head = format!(
        "## {icon} {}: {} (`{}`)\n\n{}\n\n{}\n\n",
        report.tool.name,
        report.verdict,
        report.reason,
        escape(&report.summary),
        code(&report.subject.name),
    );
    let causes = causes(report);
    if !causes.is_empty() {
        for cause in causes.iter().take(5) {
            let ids: Vec<String> = cause.checks.iter().take(10).map(|id| code(id)).collect();
            let more = if cause.checks.len() > 10 { ", …" } else { "" };
            let _ = writeln!(
                head,
                "- {}: {}{more}",
                escape(&cause.sentence),
                ids.join(", ")
            );
        }
        head.push('\n');
    }
    if let Some(told) = findings::told(report) {
        let _ = writeln!(head, "{told}.\n");
    }
    for next in &report.next {
        let _ = writeln!(head, "Next: {}\n", code(next));
    }
    let mut sections = Vec::new();
    let poor: Vec<&Check> = report
        .checks
        .iter()
        .filter(|check| check.verdict != Verdict::Pass)
        .collect();
    for chunk in poor.chunks(50) {
        let mut table = "| | check | target | what |\n|---|---|---|---|\n".to_owned();
        for check in chunk {
            let what = check
                .message
                .as_deref()
                .or(check.reason.as_deref())
                .unwrap_or_default();
            let target = check.target.as_deref().map(code).unwrap_or_default();
            let _ = writeln!(
                table,
                "| {} | {} | {target} | {} |",
                check.verdict,
                code(&check.id),
                escape(what)
            );
        }
        table.push('\n');
        sections.push(table);
    }
    found(report, &mut sections);
    sections.extend(
        poor.iter()
            .filter(|check| check.verdict > Verdict::Warn)
            .map(|check| details(check)),
    );
    let passed: Vec<&Check> = report
        .checks
        .iter()
        .filter(|check| check.verdict == Verdict::Pass)
        .collect();
    for chunk in passed.chunks(100) {
        let mut folded = format!(
            "<details><summary>{} passed</summary>\n\n| check | target | time |\n|---|---|---|\n",
            counted(chunk.len(), "check")
        );
        for check in chunk {
            let flaky = if check.flaky { " (flaky)" } else { "" };
            let target = check.target.as_deref().map(code).unwrap_or_default();
            let time = check.duration_ms.map(millis).unwrap_or_default();
            let _ = writeln!(folded, "| {}{flaky} | {target} | {time} |", code(&check.id));
        }
        folded.push_str("\n</details>\n\n");
        sections.push(folded);
    }
    if !report.not_covered.is_empty() {
        let mut text = "Not looked at:\n\n".to_owned();
        for sentence in &report.not_covered {
            let _ = writeln!(text, "- {}", escape(sentence));
        }
        sections.push(text);
    }
    (head, sections)
}

/// The findings, 50 a section: those that block in sight, the others folded.
fn found(report: &Report, sections: &mut Vec<String>) {
    for state in State::ALL {
        for chunk in findings::ranked(report, state).chunks(50) {
            let what = match state {
                State::Suppressed => "accepted",
                State::Blocking | State::Open => "what",
            };
            let mut text = String::new();
            if state != State::Blocking {
                let _ = write!(
                    text,
                    "<details><summary>{}, {}</summary>\n\n",
                    counted(chunk.len(), "finding"),
                    match state {
                        State::Suppressed => "suppressed",
                        State::Blocking | State::Open => "not blocking",
                    }
                );
            }
            let _ = writeln!(
                text,
                "| severity | finding | package | place | {what} | found by |\n|---|---|---|---|---|---|"
            );
            for finding in chunk {
                let _ = writeln!(text, "{}", finding_row(finding, state));
            }
            text.push_str(if state == State::Blocking {
                "\n"
            } else {
                "\n</details>\n\n"
            });
            sections.push(text);
        }
    }
}

fn finding_row(finding: &Finding, state: State) -> String {
    let code_or_nothing = |text: String| {
        if text.is_empty() { text } else { code(&text) }
    };
    let rule = match findings::link(&finding.rule) {
        Some(link) => format!("[{}]({link})", finding.rule),
        None => code(&finding.rule),
    };
    let what = match (state, &finding.message) {
        (State::Suppressed, _) => findings::suppression(finding),
        (_, Some(message)) => format!("{}: {message}", finding.title),
        (_, None) => finding.title.to_string(),
    };
    format!(
        "| {} | {rule} | {} | {} | {} | {} |",
        finding.severity,
        code_or_nothing(findings::package(finding)),
        code_or_nothing(findings::place(finding)),
        escape(&what),
        escape(&finding.sources.join(", ")),
    )
}

fn details(check: &Check) -> String {
    let mut text = format!(
        "<details><summary>{}: {}</summary>\n\n",
        html(&line(&check.id)),
        html(&line(&check.title))
    );
    for broken in &check.broken {
        let _ = writeln!(text, "- `{}`: {}", broken.reason, escape(&broken.message));
    }
    let mut block = String::new();
    for evidence in &check.evidence {
        let _ = writeln!(block, "{}: {}", evidence.label, visible(&evidence.text));
    }
    for (index, attempt) in check.tries.iter().enumerate() {
        let message = attempt.message.as_deref().unwrap_or_default();
        let _ = writeln!(
            block,
            "try {} at {}: {} {message}",
            index + 1,
            millis(attempt.at_ms),
            attempt.outcome
        );
    }
    if let Some(place) = &check.place {
        let _ = writeln!(block, "suite: {place}");
    }
    if let Some(reproduce) = &check.reproduce {
        let _ = writeln!(block, "{}", line(reproduce));
    }
    if !block.is_empty() {
        let _ = writeln!(text, "\n{}", fenced(&visible(&block)));
    }
    text.push_str("\n</details>\n\n");
    text
}

/// A code block whose fence is longer than any run of backticks in it.
fn fenced(text: &str) -> String {
    let fence = "`".repeat(longest_run(text).max(2) + 1);
    format!("{fence}text\n{}\n{fence}", text.trim_end())
}

/// A code span that nothing in it can end, also inside a table.
fn code(text: &str) -> String {
    let text = line(text).replace('|', "\\|");
    let ticks = "`".repeat(longest_run(&text) + 1);
    let pad = if text.starts_with('`') || text.ends_with('`') {
        " "
    } else {
        ""
    };
    format!("{ticks}{pad}{text}{pad}{ticks}")
}

fn longest_run(text: &str) -> usize {
    text.split(|c| c != '`').map(str::len).max().unwrap_or(0)
}

fn html(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

/// Prose that is no markup: what Markdown or HTML could obey is escaped, mentions do not notify.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in html(&line(text)).chars() {
        match c {
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '#' | '~' => {
                escaped.push('\\');
                escaped.push(c);
            }
            // A zero-width joiner after the sign keeps it from being a mention.
            '@' => escaped.push_str("@\u{200d}"),
            _ => escaped.push(c),
        }
    }
    escaped
}
