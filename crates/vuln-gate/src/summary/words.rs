//! The sentences of the report.

use gs_common::finding::Finding;
use gs_common::report::Check;
use gs_common::verdict::Verdict;

use super::tally::Tally;
use crate::judge;
use crate::model::Format;
use crate::run::Judged;

pub(super) fn sentence(
    verdict: Verdict,
    judged: &Judged,
    tally: &Tally,
    checks: &[Check],
    findings: &[Finding],
) -> String {
    let looked = judged
        .inputs
        .iter()
        .filter(|input| input.outcome.looked_at())
        .count();
    let inputs = judged.inputs.len();
    let reports = if inputs == 1 {
        "1 report".to_owned()
    } else {
        format!("{inputs} reports")
    };
    let total = tally.total();
    let found = if total == 1 {
        "1 finding".to_owned()
    } else {
        format!("{total} findings")
    };
    let suppressed: u64 = tally.suppressed.values().sum();
    let aside = if suppressed > 0 {
        format!(", {suppressed} suppressed")
    } else {
        String::new()
    };
    match verdict {
        Verdict::Fail => {
            let blocking = tally.blocking();
            let worst = findings
                .iter()
                .find(|finding| finding.blocking && finding.suppressed.is_none());
            let first = worst
                .map(|finding| format!(", the worst is {}", named(finding)))
                .unwrap_or_default();
            let lost = inputs - looked;
            let lost = if lost > 0 {
                format!("; {lost} of {reports} were not looked at")
            } else {
                String::new()
            };
            let blocks = if blocking == 1 { "blocks" } else { "block" };
            format!("{blocking} of {found} {blocks}{first}{aside}{lost}")
        }
        Verdict::Inconclusive => {
            let held: Vec<&Check> = checks
                .iter()
                .filter(|check| check.verdict == Verdict::Inconclusive)
                .collect();
            let first = held
                .first()
                .and_then(|check| check.message.clone())
                .unwrap_or_else(|| "nothing was judged".to_owned());
            let more = held.len().saturating_sub(1);
            let more = if more > 0 {
                format!("; {more} more reasons")
            } else {
                String::new()
            };
            format!("no verdict: {first}{more}")
        }
        Verdict::Warn => {
            let warning = tally.warning();
            if warning > 0 {
                let deserve = if warning == 1 { "deserves" } else { "deserve" };
                format!("nothing blocks, {warning} of {found} {deserve} a look{aside}")
            } else {
                let message = checks
                    .iter()
                    .find(|check| check.verdict == Verdict::Warn)
                    .and_then(|check| check.message.clone());
                format!(
                    "nothing blocks among {found}{aside}; {}",
                    message.unwrap_or_default()
                )
            }
        }
        Verdict::Pass if total == 0 => format!("{reports}, no findings"),
        Verdict::Pass if total == 1 => format!("{reports}, {found}, which does not block{aside}"),
        Verdict::Pass => format!("{reports}, {found}, none of which blocks{aside}"),
    }
}

/// `CVE-2021-1 (critical) in lodash 4.17.4`.
fn named(finding: &Finding) -> String {
    let mut text = format!("{} ({})", finding.rule, finding.severity);
    if let Some(package) = &finding.package {
        text += &format!(" in {}", package.name);
        if let Some(version) = &package.version {
            text += &format!(" {version}");
        }
    } else if let Some(place) = &finding.place {
        text += &format!(" at {place}");
    }
    text
}

pub(super) fn next(
    judged: &Judged,
    verdict: Verdict,
    findings: &[Finding],
    steps: Vec<String>,
) -> Vec<String> {
    let mut next: Vec<String> = Vec::new();
    if verdict == Verdict::Fail
        && let Some(finding) = findings
            .iter()
            .find(|finding| finding.blocking && finding.suppressed.is_none())
    {
        next.extend(steps);
        let paths: Vec<&str> = judged
            .inputs
            .iter()
            .map(|input| input.path.as_str())
            .take(3)
            .collect();
        next.push(format!(
            "vuln-gate explain {} {}",
            finding.rule,
            paths.join(" ")
        ));
    }
    for doubt in judged.doubts.iter().filter(|doubt| !doubt.accepted) {
        if !next.contains(&doubt.hint) && next.len() < 5 {
            next.push(doubt.hint.clone());
        }
    }
    next
}

pub(super) fn not_covered(judged: &Judged, tally: &Tally) -> Vec<String> {
    let mut sentences: Vec<String> = judged
        .doubts
        .iter()
        .map(|doubt| doubt.words.clone())
        .collect();
    let count = |rule: &str| tally.rules.get(rule).copied().unwrap_or(0);
    for (rule, words) in [
        (
            "ignored_target",
            "are in targets that `ignore-target` names",
        ),
        ("scanner_suppressed", "are suppressed by their scanners"),
        (
            "not_affected",
            "are said by their vendor not to affect the package",
        ),
        ("withdrawn", "have an advisory that was withdrawn"),
        ("unchanged", "are in the base already and do not count"),
        ("class_never_blocks", "are of a class that never blocks"),
    ] {
        let count = count(rule);
        if count > 0 {
            sentences.push(format!("{count} findings {words}"));
        }
    }
    for input in &judged.inputs {
        if input.outcome.looked_at() && judge::age_seconds(input, judged.now).is_none() {
            sentences.push(format!("{}: its age is not known", judge::shown(input)));
        }
        if input.outcome.looked_at() && input.format == Format::PipAudit {
            sentences.push(format!(
                "{}: pip-audit tells no severity",
                judge::shown(input)
            ));
        }
    }
    sentences
}
