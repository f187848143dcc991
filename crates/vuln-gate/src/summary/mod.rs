//! What was judged, as a [`Report`].

mod checks;
mod finding;
mod input;
mod tally;
mod words;

use std::collections::BTreeMap;

use gs_common::finding::{Finding, Severity};
use gs_common::report::{Report, SCHEMA, Subject, Tool};
use gs_common::verdict::Verdict;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::accept::Accepted;
use crate::config::Config;
use crate::judge::{self, Effect, reason};
use crate::model::InputReport;
use crate::plan;
use crate::run::Judged;
use tally::Tally;

/// Makes the findings of all vulnerabilities, in their order.
#[must_use]
pub fn findings(judged: &Judged) -> Vec<Finding> {
    let change = judged.change.as_ref();
    judged
        .vulnerabilities
        .iter()
        .zip(&judged.decisions)
        .enumerate()
        .map(|(at, (vulnerability, decision))| {
            let introduced = change.and_then(|change| change.introduced.get(at).copied());
            finding::finding(vulnerability, decision, introduced, judged)
        })
        .collect()
}

/// Makes the report. `findings` are those of [`findings`], after exceptions have been put to them.
#[must_use]
pub fn report(
    config: &Config,
    judged: &Judged,
    mut findings: Vec<Finding>,
    accepted: &Accepted,
    started_at: Timestamp,
) -> Report {
    let warned = |at: usize, finding: &Finding| {
        finding.suppressed.is_none()
            && judged
                .decisions
                .get(at)
                .is_some_and(|decision| decision.effect == Effect::Warn)
    };
    let warns: Vec<bool> = findings
        .iter()
        .enumerate()
        .map(|(at, finding)| warned(at, finding))
        .collect();
    let tally = Tally::of(judged, &findings, &warns);
    let mut checks = checks::checks(config, judged, &tally);
    checks.extend(checks::exceptions_check(accepted));
    let verdict = Verdict::over(checks.iter().map(|check| check.verdict));
    let worst = checks.iter().find(|check| check.verdict == verdict);
    let reason = match verdict {
        Verdict::Pass => reason::NOTHING_BLOCKS.to_owned(),
        _ => worst
            .and_then(|check| check.reason.clone())
            .unwrap_or_default(),
    };
    let summary = words::sentence(verdict, judged, &tally, &checks, &findings);
    let blocking = judged.vulnerabilities.iter().zip(&findings);
    let plan = plan::of(
        blocking
            .filter(|(_, finding)| finding.blocking)
            .map(|(v, _)| v),
    );
    let next = words::next(judged, verdict, &findings, &plan);
    let mut details = details(judged, &tally, findings.len(), config.max_findings);
    details.insert("plan".to_owned(), plan.to_json());
    if let Some(rows) = accepted.rows() {
        details.insert("exceptions".to_owned(), rows);
    }
    if accepted.statements > 0 {
        details.insert("vex_statements".to_owned(), accepted.statements.into());
    }
    let mut not_covered = words::not_covered(judged, &tally);
    not_covered.extend(accepted.notes.iter().chain(&accepted.vex).cloned());
    sort(&mut findings);
    if findings.len() > config.max_findings {
        not_covered.push(format!(
            "the report lists the worst {} of {} findings; all were judged and counted (--max-findings)",
            config.max_findings,
            findings.len()
        ));
        findings.truncate(config.max_findings);
        findings.shrink_to_fit();
    }
    Report {
        schema: SCHEMA.to_owned(),
        tool: Tool {
            name: "vuln-gate".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        },
        subject: Subject {
            kind: "reports".to_owned(),
            name: subject(&judged.inputs),
            commit: None,
        },
        started_at,
        ended_at: Timestamp::now().max(started_at),
        verdict,
        reason,
        summary,
        next,
        checks,
        findings,
        inputs: judged
            .inputs
            .iter()
            .zip(&judged.counts)
            .map(|(input, counts)| input::input_of(input, counts, judged.now))
            .collect(),
        not_covered,
        series: Vec::new(),
        details,
    }
}

fn subject(inputs: &[InputReport]) -> String {
    let mut targets: Vec<&str> = inputs
        .iter()
        .filter_map(|input| input.targets.first().map(|target| &**target))
        .collect();
    targets.sort_unstable();
    targets.dedup();
    match (targets.as_slice(), inputs) {
        ([one], _) => (*one).to_owned(),
        (_, [one]) => one.path.clone(),
        (_, many) => format!("{} reports", many.len()),
    }
}

/// The worst first: what counts before what does not, then by severity, then by name.
fn sort(findings: &mut [Finding]) {
    let package = |finding: &Finding| finding.package.as_ref().map(|package| package.name.clone());
    findings.sort_by(|left, right| {
        right
            .blocking
            .cmp(&left.blocking)
            .then(left.suppressed.is_some().cmp(&right.suppressed.is_some()))
            .then(right.severity.cmp(&left.severity))
            .then_with(|| left.rule.cmp(&right.rule))
            .then_with(|| package(left).cmp(&package(right)))
            .then_with(|| left.fingerprint.cmp(&right.fingerprint))
    });
}

fn details(judged: &Judged, tally: &Tally, listed: usize, most: usize) -> Map<String, Value> {
    let severities = |counts: &BTreeMap<Severity, u64>| -> Map<String, Value> {
        Severity::ALL
            .iter()
            .map(|severity| {
                let count = counts.get(severity).copied().unwrap_or(0);
                (severity.as_str().to_owned(), count.into())
            })
            .collect()
    };
    let classes: Map<String, Value> = tally
        .all
        .iter()
        .map(|(class, counts)| (class.as_str().to_owned(), severities(counts).into()))
        .collect();
    let mut details = Map::new();
    details.insert("findings".to_owned(), tally.total().into());
    details.insert("listed".to_owned(), listed.min(most).into());
    details.insert("blocking".to_owned(), tally.blocking().into());
    details.insert("warning".to_owned(), tally.warning().into());
    details.insert("suppressed".to_owned(), json!(tally.suppressed));
    details.insert("classes".to_owned(), classes.into());
    details.insert("rules".to_owned(), json!(tally.rules));
    if let Some(change) = &judged.change {
        let introduced = change.introduced.iter().filter(|new| **new).count();
        let fixed: Vec<Value> = change
            .fixed
            .iter()
            .take(1000)
            .map(|one| {
                json!({"rule": &*one.rule, "severity": one.severity, "package": one.package().map(|package| package.name.to_string())})
            })
            .collect();
        details.insert(
            "change".to_owned(),
            json!({
                "introduced": introduced,
                "unchanged": change.introduced.len() - introduced,
                "fixed": change.fixed.len(),
                "fixed_findings": fixed,
                "base": judged.base.iter().map(judge::shown).collect::<Vec<_>>(),
            }),
        );
    }
    details
}
