//! What was found and done becomes a report.

mod rows;
mod words;

use std::path::Path;

use gs_common::finding::Finding;
use gs_common::report::{Input, Report, SCHEMA, Subject, Tool};
use gs_common::suppression::{Applied, Standing};
use gs_common::text::Text;
use gs_common::verdict::Verdict;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use rows::{checks, engines};
use words::{all_in_tree, message, next, sentence};

use crate::advice;
use crate::config::{Config, TOOL};
use crate::engine::PassRun;
use crate::engine::binary::Binary;
use crate::formats::Verification;
use crate::incident::Incident;
use crate::judge::{self, Decision, Found, Work};
use crate::repo::Problem;
use crate::value::mask;

/// Places beyond this many are counted, not listed: one secret can stand in every commit.
const MOST_PLACES: usize = 200;

/// All that a run came to know.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    /// What was scanned: kind, name, commit.
    pub(crate) subject: (String, String, Option<String>),
    /// The secrets.
    pub(crate) incidents: Vec<Incident>,
    /// What the engines did.
    pub(crate) passes: Vec<PassRun>,
    /// The version of each engine.
    pub(crate) versions: Vec<(crate::engine::Kind, Option<String>)>,
    /// The file of each engine that is there.
    pub(crate) binaries: Vec<Binary>,
    /// Reports that were written elsewhere.
    pub(crate) inputs: Vec<Input>,
    /// The code of what each of them is worth; absent where it counts.
    pub(crate) input_codes: Vec<Option<&'static str>>,
    /// Why nothing was scanned.
    pub(crate) problem: Option<Problem>,
    /// Our own count says that nothing could hold a secret.
    pub(crate) adds_nothing: bool,
    /// What was not looked at.
    pub(crate) not_covered: Vec<String>,
    /// More of the tool's own members.
    pub(crate) details: Map<String, Value>,
    /// The run was ended from outside.
    pub(crate) interrupted: bool,
}

/// Makes the report.
pub(crate) fn of(facts: Facts, config: &Config, started_at: Timestamp) -> Report {
    let mut findings: Vec<Finding> = facts
        .incidents
        .iter()
        .map(|incident| finding(incident, config))
        .collect();
    let today = jiff::tz::TimeZone::UTC.to_datetime(started_at).date();
    let policy = gs_common::suppression::Policy::on(today);
    let applied = config.setting.accepted.apply(&mut findings, &policy);
    let expired: Vec<usize> = applied
        .uses
        .iter()
        .filter(|one| one.standing == Standing::Expired)
        .flat_map(|one| one.findings.iter().copied())
        .collect();
    mark_states(&mut findings, &applied);
    let found: Vec<Found> = findings
        .iter()
        .zip(&facts.incidents)
        .enumerate()
        .map(|(index, (finding, incident))| Found {
            verification: incident.verification,
            blocking: finding.blocking,
            accepted: finding.suppressed.is_some(),
            expired: expired.contains(&index),
        })
        .collect();
    let mut work: Vec<Work> = facts
        .passes
        .iter()
        .map(|pass| Work::Pass {
            outcome: pass.outcome,
            may_be_missing: config.allow_missing.contains(&pass.kind),
        })
        .collect();
    work.extend(facts.input_codes.iter().map(|code| Work::Report(*code)));
    let notes = &config.setting.notes;
    let mut decision = judge::judge(&found, &work, facts.adds_nothing, !notes.is_empty());
    if let Some(problem) = &facts.problem
        && !facts.interrupted
        && decision.verdict != Verdict::Fail
    {
        decision = Decision {
            verdict: Verdict::Inconclusive,
            reason: problem.reason,
        };
    }
    if facts.interrupted {
        decision = Decision {
            verdict: decision.verdict.and(Verdict::Inconclusive),
            reason: gs_common::report::INTERRUPTED,
        };
    }
    let summary = sentence(&facts, &findings, decision);
    let next = next(&facts, &findings, config);
    let mut not_covered = facts.not_covered.clone();
    not_covered.extend(notes.iter().cloned());
    not_covered.extend(applied.sentences());
    let mut details = facts.details.clone();
    details.insert("engines".to_owned(), engines(&facts).into());
    details.insert("totals".to_owned(), totals(&findings));
    if !applied.uses.is_empty() {
        details.insert("exceptions".to_owned(), applied.rows().into());
    }
    let (kind, name, commit) = facts.subject.clone();
    sort(&mut findings);
    Report {
        schema: SCHEMA.to_owned(),
        tool: Tool {
            name: TOOL.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        },
        subject: Subject { kind, name, commit },
        started_at,
        ended_at: Timestamp::now(),
        verdict: decision.verdict,
        reason: decision.reason.to_owned(),
        summary,
        next,
        checks: checks(&facts, config, &applied),
        findings,
        inputs: facts.inputs,
        not_covered,
        series: Vec::new(),
        details,
    }
}

/// Live ones first, then those that nothing accepts; then by rule, place and fingerprint.
fn sort(findings: &mut [Finding]) {
    findings.sort_by(|a, b| {
        let key = |one: &Finding| {
            (
                !one.blocking,
                one.suppressed.is_some(),
                std::cmp::Reverse(one.severity),
                one.rule.clone(),
                one.place.clone(),
                one.fingerprint.clone(),
            )
        };
        key(a).cmp(&key(b))
    });
}

fn finding(incident: &Incident, config: &Config) -> Finding {
    let kind = advice::kind(&incident.rule);
    let shown = mask(&incident.fingerprint);
    let mut places = incident.places.clone();
    // The work tree first, then the newest way in: the place where somebody can do something.
    let place = places
        .iter()
        .find(|place| place.commit.is_none())
        .or_else(|| places.first())
        .cloned();
    let all = places.len();
    places.truncate(MOST_PLACES);
    let rotate = match kind.link {
        Some(link) => format!("Rotate it first: {} ({link}).", kind.rotate),
        None => format!("Rotate it first: {}.", kind.rotate),
    };
    let advice = match incident.in_head {
        // Nobody else has seen it.
        Some(false) if all_in_tree(incident) => {
            vec!["It is not committed yet: take it out before it is.".to_owned()]
        }
        Some(true) => vec![rotate, "Then take it out of the files. Rewriting the history alone helps nobody: clones and caches have it.".to_owned()],
        Some(false) => vec![rotate, "It is no longer in HEAD, but in the history, where everyone with a clone can read it: only rotating helps.".to_owned()],
        None => vec![rotate, "Taking it out of the files does not take it out of the history.".to_owned()],
    };
    let verified = match incident.verification {
        Verification::Verified => Value::Bool(true),
        Verification::Unverified => Value::Bool(false),
        Verification::Failed | Verification::NotTried => Value::Null,
    };
    let time = |at: Option<Timestamp>| at.map(|at| at.to_string());
    let more = [
        ("verified", verified),
        ("verification", incident.verification.as_str().into()),
        ("in_head", json!(incident.in_head)),
        ("kind", kind.name.into()),
        ("rules", json!(incident.rules)),
        ("fingerprints", json!(incident.fingerprints)),
        ("rows", incident.rows.into()),
        ("places_total", all.into()),
        ("first_seen", json!(time(incident.first_seen))),
        ("last_seen", json!(time(incident.last_seen))),
        ("weak_grouping", incident.is_weak.into()),
    ];
    Finding {
        rule: incident.rule.as_str().into(),
        title: kind.name.into(),
        severity: judge::severity(incident.verification),
        ids: Vec::new(),
        package: None,
        place,
        places,
        sources: incident.sources.iter().map(Into::into).collect(),
        fingerprint: incident.fingerprint.as_str().into(),
        blocking: config.fail_on.blocks(incident.verification),
        suppressed: None,
        message: Some(format!("{shown}: {}", message(incident)).into()),
        advice,
        more: more.into_iter().collect(),
    }
}

/// In what sense each accepted one is accepted.
fn mark_states(findings: &mut [Finding], applied: &Applied) {
    for one in &applied.uses {
        let state = one.exception.state.as_deref().unwrap_or("accepted");
        for index in &one.findings {
            let Some(finding) = findings.get_mut(*index) else {
                continue;
            };
            if let Some(suppressed) = &mut finding.suppressed {
                "baseline".clone_into(&mut suppressed.by);
                finding.more.insert("state", Text::from(state));
            }
        }
    }
}

fn totals(findings: &[Finding]) -> Value {
    let count = |of: &dyn Fn(&Finding) -> bool| findings.iter().filter(|one| of(one)).count();
    json!({
        "secrets": findings.len(),
        "blocking": count(&|one| one.blocking),
        "accepted": count(&|one| one.suppressed.is_some()),
        "verified": count(&|one| one.more.get("verified") == Some(Value::Bool(true))),
        "in_head": count(&|one| one.more.get("in_head") == Some(Value::Bool(true))),
    })
}

/// How a repository is called as the subject of a report: by the name of its folder, which is the same on
/// every machine.
pub(crate) fn shown(path: &Path) -> String {
    let whole = path.canonicalize();
    let whole = whole.as_deref().unwrap_or(path);
    match whole.file_name() {
        Some(name) => name.to_string_lossy().into_owned(),
        None => whole.display().to_string(),
    }
}
