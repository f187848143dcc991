//! One HTML file for people: no network, light and dark, readable on a phone and without scripts.

use std::io::{self, Write};

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::cause::causes;
use super::chart::charts;
use super::findings::{self, State};
use super::spread::spread;
use super::tables::tables;
use super::text::{counted, millis, visible};
use crate::finding::{Finding, Severity};
use crate::redact::Redacted;
use crate::report::{Check, Report};
use crate::verdict::Verdict;

const STYLE: &str = include_str!("page.css");

/// Hides the rows that do not fit what was typed; without scripts the box is not there.
const SCRIPT: &str = include_str!("page.js");

/// The phases in their order, with the class that colours each.
const PHASES: [&str; 5] = ["dns", "tcp", "tls", "first_byte", "body"];

pub(super) fn render(report: &Redacted, out: &mut dyn Write) -> io::Result<()> {
    out.write_all(page(report).into_string().as_bytes())
}

fn page(report: &Report) -> Markup {
    let verdict = report.verdict.as_str();
    let title = format!("{}: {verdict}", report.tool.name);
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                header class=(verdict) {
                    p.tool { (report.tool.name) " " (report.tool.version) }
                    h1 { span.verdict { (word(report.verdict)) } " " (visible(&report.subject.name)) }
                    p.summary { (visible(&report.summary)) }
                    p.facts {
                        code { (report.reason) } " · " (format!("{:.0}", report.started_at)) " · "
                        (millis(report.ended_at.duration_since(report.started_at).as_secs_f64() * 1e3))
                    }
                    (counts(report))
                }
                main {
                    (likely_causes(report))
                    (next_steps(report))
                    (found(report))
                    (checks(report))
                    (tables(&report.details))
                    div.plots { (charts(&report.series)) (spread(&report.details)) }
                    (not_covered(report))
                }
                footer { "Report " code { (report.schema) } ", made by " (report.tool.name) ". Times are UTC." }
                script { (PreEscaped(SCRIPT)) }
            }
        }
    }
}

fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "PASS",
        Verdict::Warn => "WARN",
        Verdict::Inconclusive => "NO VERDICT",
        Verdict::Fail => "FAIL",
    }
}

fn counts(report: &Report) -> Markup {
    let all = [
        Verdict::Fail,
        Verdict::Inconclusive,
        Verdict::Warn,
        Verdict::Pass,
    ];
    html! {
        ul.counts {
            @for verdict in all {
                @let count = report.checks.iter().filter(|check| check.verdict == verdict).count();
                @if count > 0 { li class=(verdict.as_str()) { b { (count) } " " (verdict) } }
            }
        }
    }
}

fn likely_causes(report: &Report) -> Markup {
    let causes = causes(report);
    html! {
        @if !causes.is_empty() {
            section {
                h2 { "What broke" }
                ol.causes {
                    @for cause in &causes {
                        li class=(cause.verdict.as_str()) {
                            (visible(&cause.sentence)) " "
                            span.who { @for id in &cause.checks { a href={ "#check-" (id) } { (id) } " " } }
                        }
                    }
                }
            }
        }
    }
}

fn next_steps(report: &Report) -> Markup {
    html! {
        @if !report.next.is_empty() {
            section {
                h2 { "Next" }
                @for next in &report.next { pre { (visible(next)) } }
            }
        }
    }
}

fn checks(report: &Report) -> Markup {
    let longest = report
        .checks
        .iter()
        .filter_map(|check| check.duration_ms)
        .fold(1.0, f64::max);
    html! {
        @if !report.checks.is_empty() {
            section {
                h2 { (counted(report.checks.len(), "check")) }
                label.filter hidden { "Filter " input type="search" id="filter" autocomplete="off"; }
                div.checks {
                    @for check in &report.checks { (row(check, longest)) }
                }
            }
        }
    }
}

/// Findings by what became of them. Without scripts all are shown, and the boxes are not there.
fn found(report: &Report) -> Markup {
    html! {
        @if let Some(told) = findings::told(report) {
            section {
                h2 { (told) }
                fieldset.severities hidden {
                    legend { "Show" }
                    @for severity in Severity::ALL {
                        @let count = report.findings.iter().filter(|finding| finding.severity == severity).count();
                        @if count > 0 {
                            label class=(severity.as_str()) {
                                input type="checkbox" name="severity" value=(severity.as_str()) checked;
                                " " (severity) " " b { (count) }
                            }
                        }
                    }
                }
                @for state in State::ALL {
                    @let ranked = findings::ranked(report, state);
                    @if !ranked.is_empty() {
                        h3 { (state.as_str()) " (" (ranked.len()) ")" }
                        @for finding in ranked { (finding_row(finding, state)) }
                    }
                }
            }
        }
    }
}

fn finding_row(finding: &Finding, state: State) -> Markup {
    let severity = finding.severity.as_str();
    let aliases = findings::aliases(finding);
    html! {
        details class={ "finding " (state.as_str()) " " (severity) } data-severity=(severity) id={ "finding-" (finding.fingerprint) } {
            summary {
                span.severity { (severity) }
                span.name {
                    b { (visible(&finding.rule)) } " " code { (visible(&findings::package(finding))) }
                    span.title { (visible(&finding.title)) }
                }
            }
            @if let Some(message) = &finding.message { p.message { (visible(message)) } }
            @for advice in &finding.advice { p { (visible(advice)) } }
            dl {
                @if state == State::Suppressed { dt { "accepted" } dd { (visible(&findings::suppression(finding))) } }
                @if let Some(link) = findings::link(&finding.rule) { dt { "advisory" } dd { a href=(link) rel="noreferrer" { (finding.rule) } } }
                @if !aliases.is_empty() { dt { "also" } dd { (visible(&aliases.join(", "))) } }
                @for place in findings::places(finding) {
                    dt { "place" } dd { code { (visible(&place.to_string())) } }
                }
                @if !finding.sources.is_empty() { dt { "found by" } dd { (visible(&finding.sources.join(", "))) } }
                dt { "identity" } dd { code { (finding.fingerprint) } }
            }
        }
    }
}

fn row(check: &Check, longest: f64) -> Markup {
    let verdict = check.verdict.as_str();
    html! {
        details class={ "check " (verdict) } id={ "check-" (check.id) } open[check.verdict > Verdict::Warn] {
            summary {
                span.verdict { (word(check.verdict)) }
                span.name {
                    b { (check.id) }
                    @if check.flaky { " " span.flaky { "flaky" } }
                    @if check.title != check.id { span.title { (visible(&check.title)) } }
                }
                span.time { (took_or_observed(check)) }
                (waterfall(check, longest))
            }
            @if let Some(message) = &check.message { p.message { (visible(message)) } }
            @if check.broken.len() > 1 {
                ul { @for broken in check.broken.iter().skip(1) { li { code { (broken.reason) } " " (visible(&broken.message)) } } }
            }
            dl {
                @if let Some(target) = &check.target { dt { "target" } dd { code { (visible(target)) } } }
                @if let Some(reason) = &check.reason { dt { "reason" } dd { code { (reason) } } }
                @if let Some(expected) = &check.expected { dt { "expected" } dd { (visible(expected)) } }
                @if let Some(observed) = &check.observed { dt { "observed" } dd { (visible(&observed.to_string())) } }
                @if let Some(place) = &check.place { dt { "suite" } dd { code { (visible(&place.to_string())) } } }
                @for evidence in &check.evidence {
                    dt { (visible(&evidence.label)) }
                    dd { @if evidence.text.len() > 60 { pre { (visible(&evidence.text)) } } @else { code { (visible(&evidence.text)) } } }
                }
            }
            @if check.tries.len() > 1 {
                table {
                    thead { tr { th { "try" } th { "at" } th { "took" } th { "outcome" } } }
                    tbody {
                        @for (index, attempt) in check.tries.iter().enumerate() {
                            tr {
                                td { (index + 1) } td { (millis(attempt.at_ms)) } td { (millis(attempt.duration_ms)) }
                                td { (attempt.outcome) @if let Some(message) = &attempt.message { ": " (visible(message)) } }
                            }
                        }
                    }
                }
            }
            @if let Some(reproduce) = &check.reproduce { pre.reproduce { (visible(reproduce)) } }
        }
    }
}

/// What is worth a look without opening the check: how long it took, or else the number that was measured.
fn took_or_observed(check: &Check) -> String {
    if let Some(ms) = check.duration_ms {
        return millis(ms);
    }
    let Some(observed) = &check.observed else {
        return String::new();
    };
    match (observed.value.as_f64(), observed.unit.as_deref()) {
        (Some(ms), Some("ms")) => millis(ms),
        (Some(share), Some("share")) => format!("{:.2}%", share * 100.0),
        (Some(_), _) => visible(&observed.to_string()),
        // A text may be long, and stands below.
        (None, _) => String::new(),
    }
}

/// A bar of the last try's phases, on one scale for the whole page.
fn waterfall(check: &Check, longest: f64) -> Markup {
    let Some(last) = check.tries.last().filter(|last| !last.phases_ms.is_empty()) else {
        return html! {};
    };
    let width = |ms: f64| (ms / longest * 100.0).clamp(0.0, 100.0);
    let mut x = 0.0;
    let bars: Vec<(f64, f64, &str, f64)> = PHASES
        .iter()
        .filter_map(|name| {
            let ms = last.phases_ms.get(*name)?.as_f64()?;
            let bar = (x, width(ms).max(0.3), *name, ms);
            x += bar.1;
            Some(bar)
        })
        .collect();
    let spoken: Vec<String> = bars
        .iter()
        .map(|(_, _, name, ms)| format!("{} {}", name.replace('_', " "), millis(*ms)))
        .collect();
    html! {
        svg.phases viewBox="0 0 100 4" preserveAspectRatio="none" role="img" aria-label=(spoken.join(", ")) {
            @for (x, width, name, ms) in &bars {
                rect x=(format!("{x:.2}")) y="0" width=(format!("{width:.2}")) height="4" class=(name) {
                    title { (name.replace('_', " ")) " " (millis(*ms)) }
                }
            }
        }
    }
}

fn not_covered(report: &Report) -> Markup {
    html! {
        @if !report.not_covered.is_empty() {
            section {
                h2 { "Not looked at" }
                ul { @for sentence in &report.not_covered { li { (visible(sentence)) } } }
            }
        }
    }
}
