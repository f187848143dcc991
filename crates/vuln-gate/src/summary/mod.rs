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
use crate::model::{InputReport, Text, Vulnerability};
use crate::plan;
use crate::run::Judged;
use finding::Maker;
use tally::Tally;

/// Upgrades that are told in the report's `next`; all of them are in `details.plan`.
const MOST_STEPS: usize = 3;

/// Makes the findings of all vulnerabilities, in their order.
#[must_use]
pub fn findings(judged: &Judged, accepted: &Accepted) -> Vec<Finding> {
    let mut maker = Maker::new(&judged.inputs);
    let both = judged.vulnerabilities.iter().zip(&judged.decisions);
    both.enumerate()
        .map(|(at, (vulnerability, decision))| {
            let mut finding = maker.finding(vulnerability, decision, judged.introduced(at));
            accepted.mark(at, &mut finding);
            finding
        })
        .collect()
}

/// The stable identity of a vulnerability's finding.
#[must_use]
pub fn fingerprint(vulnerability: &Vulnerability) -> String {
    finding::fingerprint_of(vulnerability)
}

/// Makes the report.
#[must_use]
pub fn report(
    config: &Config,
    mut judged: Judged,
    accepted: &Accepted,
    started_at: Timestamp,
) -> Report {
    let mut tally = Tally::default();
    let mut standings = Vec::with_capacity(judged.vulnerabilities.len());
    let both = judged.vulnerabilities.iter().zip(&judged.decisions);
    for (at, (vulnerability, decision)) in both.enumerate() {
        let scanner = finding::suppression(vulnerability, decision).map(|_| finding::SCANNER);
        let by = scanner.or(accepted.by(at));
        tally.add(vulnerability, decision, by);
        standings.push(Standing {
            blocking: decision.effect == Effect::Block && by.is_none(),
            suppressed: by.is_some(),
        });
    }
    let blocking = judged.vulnerabilities.iter().zip(&standings);
    let plan = plan::of(
        blocking
            .filter(|(_, standing)| standing.blocking)
            .map(|(vulnerability, _)| vulnerability),
    );
    let (steps, plan) = (plan.next(MOST_STEPS), plan.to_json());
    let findings = listed(config, &mut judged, accepted, &standings);
    let judged = &judged;
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
    let next = words::next(judged, verdict, &findings, steps);
    let mut details = details(judged, &tally, findings.len());
    details.insert("plan".to_owned(), plan);
    if let Some(rows) = accepted.rows() {
        details.insert("exceptions".to_owned(), rows);
    }
    if accepted.statements > 0 {
        details.insert("vex_statements".to_owned(), accepted.statements.into());
    }
    let mut not_covered = words::not_covered(judged, &tally);
    not_covered.extend(accepted.notes.iter().chain(&accepted.vex).cloned());
    if standings.len() > findings.len() {
        not_covered.push(format!(
            "the report lists the worst {} of {} findings; all were judged and counted (--max-findings)",
            findings.len(),
            standings.len()
        ));
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

/// What became of a vulnerability.
struct Standing {
    blocking: bool,
    suppressed: bool,
}

/// The findings that the report lists, the worst first: what counts before what does not, then by severity, then by
/// name. A large report has tens of thousands of rows: each is let go once it is a finding.
fn listed(
    config: &Config,
    judged: &mut Judged,
    accepted: &Accepted,
    standings: &[Standing],
) -> Vec<Finding> {
    fn name(vulnerability: &Vulnerability) -> Option<&Text> {
        vulnerability.package().map(|package| &package.name)
    }
    let mut vulnerabilities = std::mem::take(&mut judged.vulnerabilities);
    // What is sorted are numbers: a vulnerability is large, and a sort holds half of what it sorts twice.
    let both = vulnerabilities.iter().zip(standings);
    let mut order: Vec<(usize, (&Vulnerability, &Standing))> = both.enumerate().collect();
    order.sort_by(|(_, (left, one)), (_, (right, other))| {
        other
            .blocking
            .cmp(&one.blocking)
            .then(one.suppressed.cmp(&other.suppressed))
            .then(right.severity.cmp(&left.severity))
            .then_with(|| left.rule.cmp(&right.rule))
            .then_with(|| name(left).cmp(&name(right)))
            .then_with(|| fingerprint(left).cmp(&fingerprint(right)))
    });
    let order: Vec<usize> = order.into_iter().map(|(at, _)| at).collect();
    let (first, others) = order.split_at(order.len().min(config.max_findings));
    for at in others {
        if let Some(vulnerability) = vulnerabilities.get_mut(*at) {
            vulnerability.rows = Vec::new();
        }
    }
    let mut findings = Vec::with_capacity(first.len());
    let mut maker = Maker::new(&judged.inputs);
    for at in first {
        let decision = judged.decisions.get(*at);
        if let (Some(vulnerability), Some(decision)) = (vulnerabilities.get_mut(*at), decision) {
            let mut finding = maker.finding(vulnerability, decision, judged.introduced(*at));
            accepted.mark(*at, &mut finding);
            findings.push(finding);
            vulnerability.rows = Vec::new();
        }
    }
    findings
}

fn details(judged: &Judged, tally: &Tally, listed: usize) -> Map<String, Value> {
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
    details.insert("listed".to_owned(), listed.into());
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
