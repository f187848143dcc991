//! What was found and done becomes a report.

use std::path::Path;

use gs_common::finding::{Finding, Suppressed};
use gs_common::report::{Check, Input, Quantity, Report, SCHEMA, Subject, Tool, millis};
use gs_common::suppression::{Applied, Standing};
use gs_common::verdict::Verdict;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::advice;
use crate::config::{Config, TOOL};
use crate::engine::{Outcome, Pass, PassRun};
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
        rule: incident.rule.clone(),
        title: kind.name.to_owned(),
        severity: judge::severity(incident.verification),
        ids: Vec::new(),
        package: None,
        place,
        places,
        sources: incident.sources.clone(),
        fingerprint: incident.fingerprint.clone(),
        blocking: config.fail_on.blocks(incident.verification),
        suppressed: None,
        message: Some(format!("{shown}: {}", message(incident))),
        advice,
        more: more
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect(),
    }
}

/// Whether no commit has it.
fn all_in_tree(incident: &Incident) -> bool {
    incident.places.iter().all(|place| place.commit.is_none())
}

fn message(incident: &Incident) -> String {
    let mut parts = Vec::new();
    parts.push(match incident.verification {
        Verification::Verified => "live: its issuer accepts it".to_owned(),
        Verification::Failed => "perhaps live: its issuer could not be asked".to_owned(),
        Verification::NotTried => "perhaps live: nobody asked its issuer".to_owned(),
        Verification::Unverified => "not found to be live".to_owned(),
    });
    match incident.in_head {
        Some(true) => parts.push("in HEAD".to_owned()),
        Some(false) if all_in_tree(incident) => parts.push("not committed yet".to_owned()),
        Some(false) => parts.push("in the history only".to_owned()),
        None => {}
    }
    let commits = incident
        .places
        .iter()
        .filter_map(|place| place.commit.as_deref());
    let commits = commits.collect::<std::collections::BTreeSet<_>>().len();
    parts.push(match (incident.places.len(), commits) {
        (1, 0) => "one place".to_owned(),
        (places, 0) => format!("{places} places"),
        (1, _) => "one place, one commit".to_owned(),
        (places, 1) => format!("{places} places, one commit"),
        (places, commits) => format!("{places} places, {commits} commits"),
    });
    parts.push(format!("found by {}", incident.sources.join(" and ")));
    if incident.is_weak {
        parts.push("its value was masked before the report was written, so rows were joined by rule and path, which may join several secrets".to_owned());
    }
    parts.join("; ")
}

/// In what sense each accepted one is accepted.
fn mark_states(findings: &mut [Finding], applied: &Applied) {
    for one in &applied.uses {
        let state = one.exception.state.as_deref().unwrap_or("accepted");
        for index in &one.findings {
            let Some(finding) = findings.get_mut(*index) else {
                continue;
            };
            if let Some(Suppressed { by, .. }) = &mut finding.suppressed {
                "baseline".clone_into(by);
                finding.more.insert("state".to_owned(), state.into());
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
        "verified": count(&|one| one.more.get("verified") == Some(&Value::Bool(true))),
        "in_head": count(&|one| one.more.get("in_head") == Some(&Value::Bool(true))),
    })
}

fn plural(count: usize, one: &str, many: &str) -> String {
    if count == 1 {
        format!("1 {one}")
    } else {
        format!("{count} {many}")
    }
}

fn sentence(facts: &Facts, findings: &[Finding], decision: Decision) -> String {
    let blocking: Vec<&Finding> = findings.iter().filter(|one| one.blocking).collect();
    let accepted = findings
        .iter()
        .filter(|one| one.suppressed.is_some())
        .count();
    let broken: Vec<&PassRun> = facts
        .passes
        .iter()
        .filter(|pass| pass.outcome != Outcome::Complete)
        .collect();
    let mut what = Vec::new();
    if facts.interrupted {
        what.push("interrupted before the scan was whole".to_owned());
    }
    if !blocking.is_empty() {
        let live = blocking
            .iter()
            .filter(|one| one.more.get("verified") == Some(&Value::Bool(true)))
            .count();
        let mut text = plural(blocking.len(), "secret", "secrets");
        text.push_str(" that nothing accepts");
        if live > 0 {
            text.push_str(&format!(", {live} of them live"));
        }
        if let Some(first) = blocking.first() {
            let place = first
                .place
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default();
            let shown = mask(&first.fingerprint);
            text.push_str(&format!(": {} {shown} at {place}", first.title));
            if blocking.len() > 1 {
                text.push_str(&format!(" and {} more", blocking.len() - 1));
            }
        }
        what.push(text);
    }
    if let Some(problem) = &facts.problem {
        what.push(problem.message.clone());
    }
    for pass in &broken {
        if let Some(message) = &pass.message {
            what.push(format!(
                "{} of the {}: {message}",
                pass.kind.as_str(),
                pass.pass.as_str()
            ));
        }
    }
    for (input, code) in facts.inputs.iter().zip(&facts.input_codes) {
        if let Some(code) = code {
            what.push(format!("`{}`: {}", input.path, told(code)));
        }
    }
    if what.is_empty() {
        let looked = looked_at(facts);
        what.push(match decision.reason {
            judge::reason::NOTHING_ADDED => format!("no line of text was added ({looked})"),
            judge::reason::NOTHING_TO_SCAN => "there is nothing to scan".to_owned(),
            _ if findings.len() > accepted => format!(
                "{} that the policy excuses ({looked})",
                plural(findings.len() - accepted, "secret", "secrets")
            ),
            _ if accepted > 0 => format!(
                "no secret but {} ({looked})",
                plural(accepted, "accepted one", "accepted ones")
            ),
            _ => format!("no secret was found ({looked})"),
        });
    }
    what.join("; ")
}

fn told(code: &str) -> String {
    let known = judge::reason::ALL.iter().find(|(known, _)| *known == code);
    let words = known.map_or(code, |(_, words)| words);
    words.trim_start_matches("no verdict: ").to_owned()
}

fn looked_at(facts: &Facts) -> String {
    if !facts.inputs.is_empty() {
        return plural(facts.inputs.len(), "report", "reports");
    }
    let commits = facts
        .passes
        .iter()
        .filter_map(|pass| pass.expected.commits)
        .max();
    let files = facts
        .passes
        .iter()
        .filter_map(|pass| pass.expected.files)
        .max();
    let mut parts = Vec::new();
    parts.extend(
        commits.map(|count| plural(count as usize, "commit with text", "commits with text")),
    );
    parts.extend(files.map(|count| plural(count as usize, "file", "files")));
    let mut engines: Vec<&str> = facts.passes.iter().map(|pass| pass.kind.as_str()).collect();
    engines.dedup();
    parts.push(engines.join(" and "));
    parts.join(", ")
}

fn next(facts: &Facts, findings: &[Finding], config: &Config) -> Vec<String> {
    let mut next = Vec::new();
    if let Some(problem) = &facts.problem {
        next.push(problem.fix.clone());
    }
    if let Some(first) = findings.iter().find(|one| one.blocking) {
        next.extend(first.advice.first().cloned());
        next.push(format!(
            "if it is none, or of no use any more: `secret-scan baseline add {} --state false_positive --reason TEXT --owner NAME --expires DATE`",
            first.fingerprint
        ));
    }
    for pass in &facts.passes {
        let fix = match pass.outcome {
            Outcome::Missing => format!("get {}: {}", pass.kind.as_str(), pass.kind.install()),
            Outcome::TimedOut => format!(
                "give it more time than {}: --deadline",
                gs_common::units::show_duration(config.deadline)
            ),
            Outcome::Complete => continue,
            _ => format!("see why by hand: {}", reproduce(pass)),
        };
        if !next.contains(&fix) {
            next.push(fix);
        }
    }
    next
}

/// A line to paste, without what was only there for this run.
fn reproduce(pass: &PassRun) -> String {
    let quoted = |word: &String| {
        if word.contains([' ', '^', '*', '\'']) {
            format!("'{}'", word.replace('\'', "'\\''"))
        } else {
            word.clone()
        }
    };
    let words: Vec<String> = pass.arguments.iter().map(quoted).collect();
    let redact = match pass.kind {
        crate::engine::Kind::Gitleaks => " --redact",
        _ => "",
    };
    format!("{} {}{redact}", pass.kind.as_str(), words.join(" "))
}

fn checks(facts: &Facts, config: &Config, applied: &Applied) -> Vec<Check> {
    let mut checks: Vec<Check> = facts
        .passes
        .iter()
        .map(|pass| check(pass, config))
        .collect();
    let expired = applied.count("expired");
    let notes = &config.setting.notes;
    if !applied.uses.is_empty() || !notes.is_empty() {
        let mut one = empty_check("baseline", "accepted secrets");
        one.verdict = if notes.is_empty() {
            Verdict::Pass
        } else {
            Verdict::Warn
        };
        one.reason = (!notes.is_empty()).then(|| judge::reason::POLICY_EDITED.to_owned());
        one.message = notes.first().cloned();
        one.observed = Some(Quantity::of(applied.uses.len() as u64, "exceptions"));
        one.expected = Some(format!(
            "{expired} expired, {} unused",
            applied.count("unused")
        ));
        checks.push(one);
    }
    checks
}

pub(crate) fn empty_check(id: &str, title: &str) -> Check {
    Check {
        id: id.to_owned(),
        title: title.to_owned(),
        target: None,
        verdict: Verdict::Pass,
        reason: None,
        message: None,
        observed: None,
        expected: None,
        attempts: None,
        duration_ms: None,
        evidence: Vec::new(),
        reproduce: None,
        place: None,
        tags: Vec::new(),
        flaky: false,
        tries: Vec::new(),
        broken: Vec::new(),
    }
}

fn check(pass: &PassRun, config: &Config) -> Check {
    let name = pass.kind.as_str();
    let mut check = empty_check(
        &format!("{name}-{}", pass.pass.as_str()),
        &format!("{name} over the {}", title_of(pass.pass)),
    );
    let allowed = pass.outcome == Outcome::Missing && config.allow_missing.contains(&pass.kind);
    check.verdict = match pass.outcome {
        Outcome::Complete => Verdict::Pass,
        _ if allowed => Verdict::Warn,
        _ => Verdict::Inconclusive,
    };
    if pass.outcome != Outcome::Complete {
        check.reason = Some(pass.outcome.as_str().to_owned());
        check.message.clone_from(&pass.message);
        check.reproduce = Some(reproduce(pass));
    }
    check.observed = match (pass.stated.commits, pass.stated.chunks, pass.stated.bytes) {
        (Some(commits), ..) if pass.expected.commits.is_some() => {
            Some(Quantity::of(commits, "commits"))
        }
        (_, Some(chunks), _) => Some(Quantity::of(chunks, "chunks")),
        (_, _, Some(bytes)) => Some(Quantity::of(bytes, "bytes")),
        _ => None,
    };
    check.expected = match (pass.expected.commits, pass.expected.files) {
        (Some(commits), _) => Some(format!("{commits} commits with text")),
        (_, Some(files)) => Some(format!("{files} files")),
        _ => None,
    };
    check.duration_ms = Some(millis(pass.took));
    check
}

fn title_of(pass: Pass) -> &'static str {
    match pass {
        Pass::History => "history",
        Pass::Range => "commits of the range",
        Pass::Merges => "merge commits",
        Pass::Tree => "files",
        Pass::Staged => "staged changes",
    }
}

fn engines(facts: &Facts) -> Vec<Value> {
    let mut engines = Vec::new();
    for (kind, version) in &facts.versions {
        let passes: Vec<&PassRun> = facts
            .passes
            .iter()
            .filter(|pass| pass.kind == *kind)
            .collect();
        let worst = passes
            .iter()
            .map(|pass| pass.outcome)
            .max()
            .unwrap_or_default();
        let main = passes
            .iter()
            .find(|pass| matches!(pass.pass, Pass::History | Pass::Range))
            .or_else(|| passes.first());
        let message = passes.iter().find(|pass| pass.outcome == worst);
        let stated = passes.iter().find_map(|pass| pass.stated.version.clone());
        engines.push(json!({
            "name": kind.as_str(),
            "version": version.clone().or(stated),
            "outcome": worst.as_str(),
            "message": message.and_then(|pass| pass.message.clone()),
            "commits_expected": main.and_then(|pass| pass.expected.commits),
            "commits_scanned": main.and_then(|pass| pass.stated.commits),
            "passes": passes.iter().map(|pass| pass_row(pass)).collect::<Vec<_>>(),
        }));
    }
    engines
}

fn pass_row(pass: &PassRun) -> Value {
    json!({
        "pass": pass.pass.as_str(),
        "outcome": pass.outcome.as_str(),
        "message": pass.message,
        "commits_expected": pass.expected.commits,
        "commits_scanned": pass.stated.commits,
        "files_expected": pass.expected.files,
        "bytes_scanned": pass.stated.bytes,
        "chunks_scanned": pass.stated.chunks,
        "rows": pass.rows.len(),
        "duration_ms": millis(pass.took),
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
