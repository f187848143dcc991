//! Why a finding blocks, or why it does not: everything that was said about one id, and the rule that
//! decided.

use std::fmt::Write as _;

use gs_common::finding::Finding;

use crate::judge::{self, Effect};
use crate::model::{Rating, Row, Vulnerability};
use crate::run::Judged;

/// The text for an id, and whether any input names it. `findings` stand in the order of the judged
/// vulnerabilities.
#[must_use]
pub fn text(judged: &Judged, findings: &[Finding], id: &str) -> (String, bool) {
    let mut out = String::new();
    let mut found = false;
    let all = judged
        .vulnerabilities
        .iter()
        .zip(&judged.decisions)
        .zip(findings);
    for ((vulnerability, decision), finding) in all {
        if !vulnerability
            .ids
            .iter()
            .any(|other| other.eq_ignore_ascii_case(id))
        {
            continue;
        }
        if found {
            out.push('\n');
        }
        found = true;
        about(&mut out, vulnerability, finding);
        for (number, row) in &vulnerability.rows {
            if let Some(input) = judged.inputs.get(*number) {
                // Writing to a text cannot fail.
                let _ = writeln!(out, "  in {} ({})", judge::shown(input), input.format);
                about_row(&mut out, row);
            }
        }
        let _ = writeln!(out, "  decided by `{}`: {}", decision.rule, decision.words);
        if let Some(suppressed) = &finding.suppressed {
            let _ = write!(out, "  suppressed by {}", suppressed.by);
            for (label, value) in [
                ("", &suppressed.reason),
                ("owner ", &suppressed.owner),
                ("until ", &suppressed.expires),
                ("at ", &suppressed.place),
            ] {
                if let Some(value) = value {
                    let _ = write!(out, ", {label}{value}");
                }
            }
            out.push('\n');
        }
        let effect = if finding.blocking && finding.suppressed.is_none() {
            "it blocks the release"
        } else if decision.effect == Effect::Warn && finding.suppressed.is_none() {
            "it is warned of, and does not block"
        } else {
            "it does not block"
        };
        let _ = writeln!(out, "  so {effect}");
    }
    if !found {
        let _ = writeln!(out, "no report that was looked at names {id}");
    }
    for input in judged
        .inputs
        .iter()
        .filter(|input| !input.outcome.looked_at())
    {
        let why = input.why.as_deref().unwrap_or("not looked at");
        let _ = writeln!(out, "{} was not looked at: {why}", judge::shown(input));
    }
    (out, found)
}

fn about(out: &mut String, vulnerability: &Vulnerability, finding: &Finding) {
    let _ = write!(out, "{}: {}", finding.rule, finding.severity);
    if let Some(package) = &finding.package {
        let _ = write!(out, " in {}", package.name);
        if let Some(version) = &package.version {
            let _ = write!(out, " {version}");
        }
        let fixed = package.fixed.as_deref().unwrap_or("no fix is told");
        let _ = write!(out, " (fixed in: {fixed})");
    }
    out.push('\n');
    let _ = writeln!(out, "  {}", finding.title);
    let aliases: Vec<&str> = vulnerability
        .ids
        .iter()
        .filter(|id| **id != vulnerability.rule)
        .map(|id| &**id)
        .collect();
    if !aliases.is_empty() {
        let _ = writeln!(out, "  also known as {}", aliases.join(", "));
    }
    if let Some(differs) = &vulnerability.disagreement {
        let _ = writeln!(
            out,
            "  its sources disagree: {} to {}; the highest counts",
            differs.lowest, differs.highest
        );
    }
}

fn about_row(out: &mut String, row: &Row) {
    let place = match (&row.path, row.line, &row.target) {
        (Some(path), Some(line), _) => format!(" at {path}:{line}"),
        (Some(path), None, _) => format!(" at {path}"),
        (None, _, Some(target)) => format!(" at {target}"),
        (None, _, None) => String::new(),
    };
    let version = row
        .package
        .as_ref()
        .and_then(|package| package.version.as_deref());
    let version = version
        .map(|version| format!(", version {version}"))
        .unwrap_or_default();
    let _ = writeln!(out, "    {} {}{version}{place}", row.id, row.severity);
    let mut said: Vec<String> = Vec::new();
    for rating in &row.ratings {
        let words = rating_words(rating);
        if !said.contains(&words) {
            let _ = writeln!(out, "      {words}");
            said.push(words);
        }
    }
    if let Some(suppressed) = &row.suppressed {
        let reason = suppressed.reason.as_deref().unwrap_or("no reason given");
        let until = suppressed
            .expires
            .map(|day| format!(", until {day}"))
            .unwrap_or_default();
        let _ = writeln!(out, "      suppressed there: {reason}{until}");
    }
}

fn rating_words(rating: &Rating) -> String {
    let mut words = format!("{} says {}", rating.source, rating.severity);
    if let Some(score) = rating.score {
        words += &format!(", CVSS {} score {score:.1}", rating.cvss);
    }
    if let Some(vector) = &rating.vector {
        words += &format!(" ({vector})");
    }
    words
}
