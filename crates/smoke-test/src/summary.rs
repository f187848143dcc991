//! From what the checks came to, to the report.

use gs_common::redact::redact_url;
use gs_common::render::causes;
use gs_common::report::{Broken, Check as ReportCheck, Report, SCHEMA, Subject, Tool, millis};
use gs_common::verdict::Verdict;
use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::config::Config;
use crate::judge::{self, reason};
use crate::probe::World;
use crate::reproduce;
use crate::run::{Ended, verdict_of};
use crate::schedule::{Done, End};
use crate::suite::model::{Check, Probe};

/// Makes the report of a run.
pub(crate) fn report(config: &Config, world: &World, dones: Vec<Done>, ended: &Ended) -> Report {
    let ended_at = Timestamp::now();
    let (dones, absent): (Vec<Done>, Vec<Done>) = dones
        .into_iter()
        .partition(|done| !nothing_to_look_at(done));
    let mut not_covered = ended.not_covered.clone();
    not_covered.extend(
        absent
            .iter()
            .flat_map(|done| &done.outcome.seen.broken)
            .map(|broken| broken.message.clone()),
    );
    let mut facts = Map::new();
    let checks: Vec<ReportCheck> = dones
        .iter()
        .map(|done| {
            facts.insert(
                done.check.id.clone(),
                Value::Object(done.outcome.seen.facts.clone()),
            );
            check(config, world, done, ended_at)
        })
        .collect();
    let judged: Vec<_> = checks
        .iter()
        .map(|check| (check.verdict, check.reason.clone()))
        .collect();
    let (verdict, code) = verdict_of(&dones, ended, &judged);
    let mut report = Report {
        schema: SCHEMA.to_owned(),
        tool: Tool {
            name: "smoke-test".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        },
        subject: Subject {
            kind: "url".to_owned(),
            name: redact_url(&config.url).trim_end_matches('/').to_owned(),
            commit: None,
        },
        started_at: world.began_at,
        ended_at,
        verdict,
        reason: code.to_owned(),
        summary: String::new(),
        next: Vec::new(),
        checks,
        findings: Vec::new(),
        inputs: Vec::new(),
        not_covered,
        series: Vec::new(),
        details: details(config, world, facts),
    };
    report.summary = sentence(&report, ended);
    report.next = next(&report);
    report
}

/// Without an OpenAPI document there are no routes to judge: that is no verdict on the service, and
/// no pass either, so it stands among what was not looked at.
fn nothing_to_look_at(done: &Done) -> bool {
    done.outcome
        .seen
        .broken
        .iter()
        .any(|broken| broken.verdict == Verdict::Warn && broken.reason == reason::NO_ROUTES)
}

fn details(config: &Config, world: &World, facts: Map<String, Value>) -> Map<String, Value> {
    let mut details = Map::new();
    details.insert("run_id".to_owned(), world.run_id.clone().into());
    details.insert("seed".to_owned(), config.seed.into());
    details.insert("jobs".to_owned(), config.jobs.into());
    details.insert("checks".to_owned(), Value::Object(facts));
    details
}

fn check(config: &Config, world: &World, done: &Done, now: Timestamp) -> ReportCheck {
    let Done { check, outcome } = done;
    let mut broken = outcome.seen.broken.clone();
    if let Some(known) = &check.known_failure {
        let today = jiff::tz::Offset::UTC.to_datetime(now).date();
        broken = judge::known_failure(known, broken, today);
    }
    let passed = broken
        .iter()
        .all(|broken| broken.verdict < Verdict::Inconclusive);
    let flaky = passed && outcome.tries.len() > 1;
    if flaky && config.fail_on_flaky {
        let first = outcome
            .tries
            .first()
            .and_then(|attempt| attempt.message.clone())
            .unwrap_or_default();
        let message = format!("it passed only at try {}: {first}", outcome.tries.len());
        broken.insert(0, judge::broken(Verdict::Fail, reason::FLAKY, message));
    }
    let deciding: Option<Broken> = broken.first().cloned();
    let verdict = broken
        .iter()
        .map(|broken| broken.verdict)
        .max()
        .unwrap_or(Verdict::Pass);
    let tried = !outcome.tries.is_empty();
    ReportCheck {
        id: check.id.clone(),
        title: check.title.clone(),
        target: Some(target(world, check)),
        verdict,
        reason: deciding.as_ref().map(|broken| broken.reason.clone()),
        message: deciding.as_ref().map(|broken| broken.message.clone()),
        observed: deciding.as_ref().and_then(|broken| broken.observed.clone()),
        expected: deciding.and_then(|broken| broken.expected),
        attempts: tried.then(|| u32::try_from(outcome.tries.len()).unwrap_or(u32::MAX)),
        duration_ms: tried.then(|| millis(outcome.took)),
        evidence: if verdict == Verdict::Pass {
            shortened(&outcome.seen.evidence)
        } else {
            outcome.seen.evidence.clone()
        },
        reproduce: reproduce::line(config, world, check),
        place: Some(check.place.clone()),
        tags: check.tags.clone(),
        flaky,
        tries: outcome.tries.clone(),
        broken,
    }
}

/// A check that passed needs no body as proof.
fn shortened(evidence: &[gs_common::report::Evidence]) -> Vec<gs_common::report::Evidence> {
    evidence
        .iter()
        .filter(|evidence| evidence.label != "body")
        .cloned()
        .collect()
}

/// Method or `WS`, a space, path and query as sent.
fn target(world: &World, check: &Check) -> String {
    let scope = world.scope();
    let (method, path, query) = match &check.probe {
        Probe::Http(probe) => (
            probe.request.method.as_str(),
            &probe.request.path,
            probe.request.query.as_slice(),
        ),
        Probe::WebSocket(probe) => ("WS", &probe.path, &[][..]),
        Probe::Routes(probe) => ("GET", &probe.path, &[][..]),
        Probe::Version(probe) => ("GET", &probe.path, &[][..]),
        Probe::Certificate(_) => return "TLS /".to_owned(),
    };
    let path = path.fill(&scope).unwrap_or_else(|_| path.0.clone());
    let Ok(mut url) = world.url.join(&path) else {
        return format!("{method} {path}");
    };
    for (name, value) in query {
        let value = value.fill(&scope).unwrap_or_else(|_| value.0.clone());
        url.query_pairs_mut().append_pair(name, &value);
    }
    match url.query() {
        Some(query) => format!("{method} {}?{query}", url.path()),
        None => format!("{method} {}", url.path()),
    }
}

fn sentence(report: &Report, ended: &Ended) -> String {
    let total = report.checks.len();
    let count = |verdict| {
        report
            .checks
            .iter()
            .filter(|check| check.verdict == verdict)
            .count()
    };
    let (failed, unknown, warned) = (
        count(Verdict::Fail),
        count(Verdict::Inconclusive),
        count(Verdict::Warn),
    );
    let flaky = report.checks.iter().filter(|check| check.flaky).count();
    let flaky_note = if flaky > 0 {
        format!(", {flaky} only after a retry")
    } else {
        String::new()
    };
    let first = causes(report)
        .into_iter()
        .next()
        .map(|cause| match cause.checks.as_slice() {
            [id] => format!("{id}: {}", cause.sentence),
            ids => format!("{} of them: {}", ids.len(), cause.sentence),
        });
    let because = first.map(|first| format!(": {first}")).unwrap_or_default();
    let plural = if total == 1 { "check" } else { "checks" };
    if let Some(never) = &ended.never_ready {
        return format!("no verdict: {never}");
    }
    match (report.verdict, ended.end) {
        (Verdict::Fail, End::Done) => format!("{failed} of {total} {plural} failed{because}"),
        (Verdict::Fail, End::Deadline) => format!(
            "{failed} of {total} {plural} failed and {unknown} were not finished before the deadline{because}"
        ),
        (Verdict::Fail, End::Interrupted) => {
            format!("interrupted: {failed} of {total} {plural} had failed{because}")
        }
        (_, End::Interrupted) => {
            format!("interrupted: {unknown} of {total} {plural} were not finished, none had failed")
        }
        (_, End::Deadline) => format!(
            "no verdict: {unknown} of {total} {plural} were not finished before the deadline, none had failed"
        ),
        (Verdict::Inconclusive, _) if total == 0 => {
            "no verdict: no check was selected or could be run, so nothing was measured".to_owned()
        }
        (Verdict::Inconclusive, _) => {
            format!("no verdict: {unknown} of {total} {plural} could not be judged{because}")
        }
        (Verdict::Warn, _) => {
            let warning = report
                .checks
                .iter()
                .find(|check| check.verdict == Verdict::Warn);
            let told = warning
                .and_then(|check| Some(format!(": {}: {}", check.id, check.message.as_deref()?)));
            format!(
                "no check failed, {warned} of {total} warned{flaky_note}{}",
                told.unwrap_or_default()
            )
        }
        (Verdict::Pass, _) => format!("all {total} {plural} passed{flaky_note}"),
    }
}

/// What to type next.
fn next(report: &Report) -> Vec<String> {
    let url = &report.subject.name;
    let mut poor: Vec<&str> = report
        .checks
        .iter()
        .filter(|check| check.verdict == report.verdict && report.verdict >= Verdict::Inconclusive)
        .filter(|check| check.attempts.is_some() && check.tags.iter().all(|tag| tag != "openapi"))
        .map(|check| check.id.as_str())
        .collect();
    let gate = poor.contains(&"deployed-version");
    poor.retain(|id| *id != "deployed-version");
    let mut next = Vec::new();
    if report.reason == reason::NEVER_READY
        || report.reason == reason::TARGET_UNREACHABLE
        || all_dead(report)
    {
        next.push(format!("smoke-test {url} --wait-ready 2m"));
    } else if !poor.is_empty() {
        let ids = if poor.len() > 5 {
            String::new()
        } else {
            format!(" --only {}", poor.join(","))
        };
        next.push(format!("smoke-test {url}{ids} -v"));
    }
    if gate {
        next.push("kubectl rollout status deployment/goldensignals".to_owned());
    }
    next
}

fn all_dead(report: &Report) -> bool {
    let dead = [
        reason::REFUSED,
        reason::RESET,
        reason::CLOSED,
        reason::TIMEOUT,
        reason::NOT_RUN,
    ];
    report.verdict == Verdict::Fail
        && report.checks.iter().all(|check| {
            check
                .reason
                .as_deref()
                .is_some_and(|code| dead.contains(&code))
        })
}
