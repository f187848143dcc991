//! The face for a terminal or a log. What matters stands last, where the eye is.

use std::fmt::Write as _;
use std::io::{self, Write};

use anstyle::{AnsiColor, Style};

use super::Look;
use super::cause::causes;
use super::findings::{self, State};
use super::text::{counted, line, millis, visible};
use crate::finding::{Finding, Severity};
use crate::redact::Redacted;
use crate::report::{Check, Report, Try};
use crate::verdict::Verdict;

/// Causes beyond this many are counted, not told.
const MOST_CAUSES: usize = 5;

/// Findings beyond these many are counted, unless `-v` asks for all.
const MOST_BLOCKING: usize = 50;
const MOST_OPEN: usize = 10;

pub(super) fn render(report: &Redacted, look: &Look, out: &mut dyn Write) -> io::Result<()> {
    let mut page = Page {
        text: String::new(),
        look,
    };
    if !look.quiet {
        page.head(report);
        page.checks(report);
        page.findings(report);
        page.not_covered(report);
    }
    page.foot(report);
    out.write_all(page.text.as_bytes())
}

struct Page<'a> {
    text: String,
    look: &'a Look,
}

impl Page<'_> {
    fn paint(&self, color: AnsiColor, text: &str) -> String {
        if !self.look.color {
            return text.to_owned();
        }
        let style = Style::new().bold().fg_color(Some(color.into()));
        format!("{style}{text}{style:#}")
    }

    fn dim(&self, text: &str) -> String {
        if !self.look.color {
            return text.to_owned();
        }
        let style = Style::new().dimmed();
        format!("{style}{text}{style:#}")
    }

    fn word(&self, verdict: Verdict) -> String {
        let (color, word) = match verdict {
            Verdict::Pass => (AnsiColor::Green, "PASS"),
            Verdict::Warn => (AnsiColor::Yellow, "WARN"),
            Verdict::Fail => (AnsiColor::Red, "FAIL"),
            Verdict::Inconclusive => (AnsiColor::Magenta, "????"),
        };
        self.paint(color, word)
    }

    fn push(&mut self, text: &str) {
        self.text.push_str(text);
        self.text.push('\n');
    }

    /// A labelled text, its further lines under its first, wrapped to the width.
    fn labelled(&mut self, label: &str, text: &str) {
        let margin = 7 + 10;
        let width = self.look.width.saturating_sub(margin).max(30);
        let shown = visible(text);
        let mut first = true;
        for part in shown.lines().flat_map(|part| wrap(part, width)) {
            let label = if first { label } else { "" };
            let label = self.dim(&format!("{:<9}", line(label)));
            let _ = writeln!(self.text, "       {label} {part}");
            first = false;
        }
    }

    fn head(&mut self, report: &Report) {
        let about = format!(
            "{} {}  {}",
            report.tool.name,
            report.tool.version,
            line(&report.subject.name)
        );
        self.push(&about);
        self.push("");
    }

    fn checks(&mut self, report: &Report) {
        let widest = report
            .checks
            .iter()
            .map(|check| check.id.chars().count())
            .max()
            .unwrap_or(0)
            .min(28);
        for check in &report.checks {
            self.check(check, widest);
        }
        if !report.checks.is_empty() {
            self.push("");
        }
    }

    fn check(&mut self, check: &Check, widest: usize) {
        let word = self.word(check.verdict);
        let time = check.duration_ms.map(millis).unwrap_or_default();
        let target = check.target.as_deref().map(line).unwrap_or_default();
        let mut marks = String::new();
        if check.flaky {
            let tries = check.attempts.unwrap_or(0);
            marks = format!(
                "  {}",
                self.paint(AnsiColor::Yellow, &format!("flaky: passed at try {tries}"))
            );
        }
        let id = line(&check.id);
        let target = if target.is_empty() {
            line(&check.title)
        } else {
            target
        };
        self.push(&format!(
            "  {word} {id:<widest$}  {time:>7}  {target}{marks}"
        ));
        if check.verdict == Verdict::Pass {
            if self.look.verbose > 0 {
                self.tries(check);
            }
            if self.look.verbose > 1 {
                self.evidence(check);
            }
            return;
        }
        self.labelled("", &check.title);
        if let Some(message) = &check.message {
            self.labelled("", message);
        }
        // The deciding one is told by the message.
        for broken in check.broken.iter().skip(1) {
            self.labelled("also", &broken.message);
        }
        let tells_anew = |text: &str| !check.message.as_deref().unwrap_or_default().contains(text);
        if let Some(expected) = check.expected.as_deref().filter(|text| tells_anew(text)) {
            self.labelled("expected", expected);
        }
        if let Some(observed) = check
            .observed
            .as_ref()
            .map(ToString::to_string)
            .filter(|text| tells_anew(text))
        {
            self.labelled("observed", &observed);
        }
        if check.verdict > Verdict::Warn || self.look.verbose > 0 {
            self.evidence(check);
            if check.tries.len() > 1 || self.look.verbose > 0 {
                self.tries(check);
            }
            if let Some(place) = &check.place {
                self.labelled("suite", &place.to_string());
            }
            // One line to copy: never wrapped.
            if let Some(reproduce) = &check.reproduce {
                let label = self.dim("reproduce");
                self.push(&format!("       {label} {}", line(reproduce)));
            }
        }
    }

    fn evidence(&mut self, check: &Check) {
        for evidence in &check.evidence {
            if evidence.text.contains('\n') || evidence.label.chars().count() > 9 {
                self.labelled("", &format!("{}: {}", evidence.label, evidence.text));
            } else {
                self.labelled(&evidence.label, &evidence.text);
            }
        }
    }

    fn tries(&mut self, check: &Check) {
        for (
            index,
            Try {
                at_ms,
                duration_ms,
                outcome,
                message,
                phases_ms,
            },
        ) in check.tries.iter().enumerate()
        {
            let mut text = format!(
                "at {}: {outcome} after {}",
                millis(*at_ms),
                millis(*duration_ms)
            );
            if let Some(message) = message {
                let _ = write!(text, ", {message}");
            }
            if self.look.verbose > 0 && !phases_ms.is_empty() {
                let phases: Vec<String> = phases_ms
                    .iter()
                    .filter_map(|(name, ms)| {
                        Some(format!(
                            "{} {}",
                            name.replace('_', " "),
                            millis(ms.as_f64()?)
                        ))
                    })
                    .collect();
                let _ = write!(text, " ({})", phases.join(", "));
            }
            self.labelled(&format!("try {}", index + 1), &text);
        }
    }

    fn findings(&mut self, report: &Report) {
        for (state, heading, most) in [
            (State::Blocking, "blocking:", MOST_BLOCKING),
            (State::Open, "not blocking:", MOST_OPEN),
            (State::Suppressed, "suppressed:", 0),
        ] {
            let found = findings::ranked(report, state);
            let shown = if self.look.verbose > 0 {
                found.len()
            } else {
                most.min(found.len())
            };
            // Suppressed ones are counted in the last line.
            if shown == 0 {
                continue;
            }
            self.push(heading);
            let width = |text: fn(&Finding) -> String, most: usize| {
                let widths = found.iter().take(shown);
                widths
                    .map(|finding| line(&text(finding)).chars().count())
                    .max()
                    .unwrap_or(0)
                    .min(most)
            };
            let rules = width(|finding| finding.rule.to_string(), 28);
            let packages = width(findings::package, 40);
            for finding in found.iter().take(shown) {
                self.finding(finding, state, rules, packages);
            }
            if found.len() > shown {
                self.push(&format!(
                    "  and {} (-v shows all)",
                    counted(found.len() - shown, "more finding")
                ));
            }
            self.push("");
        }
    }

    fn finding(&mut self, finding: &Finding, state: State, rules: usize, packages: usize) {
        let color = match finding.severity {
            Severity::Critical | Severity::High => AnsiColor::Red,
            Severity::Medium => AnsiColor::Yellow,
            Severity::Unknown => AnsiColor::Magenta,
            Severity::Low | Severity::Info => AnsiColor::Cyan,
        };
        let severity = self.paint(color, &format!("{:<8}", finding.severity));
        let rule = line(&finding.rule);
        let package = line(&findings::package(finding));
        let place = line(&findings::place(finding));
        let sources = match finding.sources.as_slice() {
            [] => String::new(),
            sources => self.dim(&format!("  [{}]", line(&sources.join(", ")))),
        };
        let row = format!("  {severity} {rule:<rules$}  {package:<packages$}  {place}{sources}");
        self.push(row.trim_end());
        if state == State::Suppressed {
            self.labelled("accepted", &findings::suppression(finding));
            return;
        }
        if state == State::Open && self.look.verbose == 0 {
            return;
        }
        self.labelled("", &finding.title);
        if let Some(message) = &finding.message {
            self.labelled("", message);
        }
        for advice in &finding.advice {
            self.labelled("fix", advice);
        }
        if self.look.verbose > 0 {
            let aliases = findings::aliases(finding);
            if !aliases.is_empty() {
                self.labelled("also", &aliases.join(", "));
            }
            self.labelled("identity", &finding.fingerprint);
        }
    }

    fn not_covered(&mut self, report: &Report) {
        if report.not_covered.is_empty() {
            return;
        }
        self.push("not looked at:");
        for sentence in &report.not_covered {
            self.push(&format!("  {}", line(sentence)));
        }
        self.push("");
    }

    fn foot(&mut self, report: &Report) {
        let count = |verdict| {
            report
                .checks
                .iter()
                .filter(|check| check.verdict == verdict)
                .count()
        };
        let flaky = report.checks.iter().filter(|check| check.flaky).count();
        let mut counts: Vec<String> = [
            (Verdict::Fail, "failed"),
            (Verdict::Inconclusive, "not judged"),
            (Verdict::Warn, "warned"),
            (Verdict::Pass, "passed"),
        ]
        .into_iter()
        .filter(|(verdict, _)| count(*verdict) > 0)
        .map(|(verdict, word)| format!("{} {word}", count(verdict)))
        .collect();
        if flaky > 0 {
            counts.push(format!("{flaky} of them flaky"));
        }
        let took = report
            .ended_at
            .duration_since(report.started_at)
            .as_secs_f64()
            * 1e3;
        if !self.look.quiet {
            let mut parts = Vec::new();
            if !counts.is_empty() {
                parts.push(format!("{} in {}", counts.join(", "), millis(took)));
            }
            parts.extend(findings::told(report));
            if !parts.is_empty() {
                self.push(&parts.join("; "));
            }
        }
        // What was accepted is never out of sight, not even in the shortest form.
        let accepted = match findings::count_all(report, State::Suppressed) {
            count if count > 0 && !report.summary.contains("suppressed") => {
                format!(" [{count} suppressed]")
            }
            _ => String::new(),
        };
        let verdict = match report.verdict {
            Verdict::Pass => self.paint(AnsiColor::Green, "PASS"),
            Verdict::Warn => self.paint(AnsiColor::Yellow, "PASS with warnings"),
            Verdict::Fail => self.paint(AnsiColor::Red, "FAIL"),
            Verdict::Inconclusive => self.paint(AnsiColor::Magenta, "NO VERDICT"),
        };
        self.push(&format!(
            "{verdict} ({}): {}{accepted}",
            report.reason,
            line(&report.summary)
        ));
        if self.look.quiet {
            return;
        }
        let causes = causes(report);
        for cause in causes.iter().take(MOST_CAUSES) {
            let who = match cause.checks.as_slice() {
                [one] => line(one),
                many => counted(many.len(), "check"),
            };
            self.push(&format!("  {who}: {}", line(&cause.sentence)));
        }
        if causes.len() > MOST_CAUSES {
            self.push(&format!(
                "  and {}",
                counted(causes.len() - MOST_CAUSES, "more cause")
            ));
        }
        for next in &report.next {
            self.push(&format!("next: {}", line(next)));
        }
    }
}

/// Breaks a line at spaces; a word that is too long for a line is broken where the line ends.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut current = String::new();
    let mut used = 0;
    for word in text.split_inclusive(' ') {
        let length = word.chars().count();
        if used > 0 && used + word.trim_end().chars().count() > width {
            lines.push(std::mem::take(&mut current).trim_end().to_owned());
            used = 0;
        }
        if length > width {
            for c in word.chars() {
                if used == width {
                    lines.push(std::mem::take(&mut current));
                    used = 0;
                }
                current.push(c);
                used += 1;
            }
        } else {
            current.push_str(word);
            used += length;
        }
    }
    lines.push(current.trim_end().to_owned());
    lines
}
