//! What was recorded and judged becomes the report.

mod figures;
mod proof;

use std::path::Path;

use gs_common::report::{Check, Evidence, Input, Quantity, Report, SCHEMA, Subject, Tool, millis};
use gs_common::units::show_duration;
use gs_common::verdict::Verdict;
use jiff::Timestamp;
use serde_json::Map;

use crate::engine::{Checked, NoStart, Plan};
use crate::judge::{Judged, Judgement, reason};
use crate::result::{End, ErrorKind, RunResult, Stats};
use figures::{clip, details, model, series};
pub use figures::{row, times};
use proof::proof;

pub(crate) fn empty(target: &str, started_at: Timestamp) -> Report {
    Report {
        schema: SCHEMA.to_owned(),
        tool: Tool {
            name: "load-test".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        },
        subject: Subject {
            kind: "url".to_owned(),
            name: target.to_owned(),
            commit: None,
        },
        started_at,
        ended_at: Timestamp::now(),
        verdict: Verdict::Inconclusive,
        reason: reason::NOTHING_MEASURED.to_owned(),
        summary: String::new(),
        next: Vec::new(),
        checks: Vec::new(),
        findings: Vec::new(),
        inputs: Vec::new(),
        not_covered: Vec::new(),
        series: Vec::new(),
        details: Map::new(),
    }
}

/// The report of a run.
#[must_use]
pub fn report(run: &RunResult, judgement: &Judgement) -> Report {
    let total = run.total();
    let mut report = empty(&run.target, run.started_at);
    report.verdict = judgement.verdict;
    report.reason = judgement.reason.to_owned();
    report.summary = sentence(run, judgement, &total);
    report.checks = judgement
        .goals
        .iter()
        .map(|judged| check(run, judged))
        .collect();
    report.next = next(run, judgement);
    report.series = series(run);
    report.not_covered = not_covered(run, judgement);
    report.details = details(run, judgement, &total);
    report
}

/// The report of a run that could not begin.
#[must_use]
pub fn no_start(plan: &Plan, started_at: Timestamp, why: &NoStart) -> Report {
    let target = plan.target.to_string();
    let mut report = empty(target.trim_end_matches('/'), started_at);
    let next = match why {
        NoStart::Cancelled | NoStart::Deadline => None,
        NoStart::Unreachable(_) => Some(format!("smoke-test {}", report.subject.name)),
        NoStart::Descriptors { needed, .. } => Some(format!("ulimit -n {}", needed + 100)),
        NoStart::Start(_) => Some(format!("load-test check {}", report.subject.name)),
    };
    report.reason = why.reason().to_owned();
    report.summary = format!("no verdict: {why}; no load was sent");
    report.next.extend(next);
    report
        .not_covered
        .push("every goal: no request was measured".to_owned());
    report
        .details
        .insert("model".to_owned(), model(&plan.model));
    report
}

/// The persona file as an input of the report.
#[must_use]
pub fn persona_input(path: &Path, sha256: &str) -> Input {
    Input {
        path: path.display().to_string(),
        format: "load-personas".to_owned(),
        outcome: "read".to_owned(),
        sha256: Some(sha256.to_owned()),
        ..Input::default()
    }
}

/// The report of a check.
#[must_use]
pub fn check_report(
    plan: &Plan,
    started_at: Timestamp,
    checked: &[Checked],
    whole: bool,
) -> Report {
    let target = plan.target.to_string();
    let mut report = empty(target.trim_end_matches('/'), started_at);
    report.checks = checked.iter().map(one_check).collect();
    let failed = checked.iter().filter(|one| one.error.is_some()).count();
    let total = checked.len();
    (report.verdict, report.reason, report.summary) = if !whole {
        (
            if failed > 0 {
                Verdict::Fail
            } else {
                Verdict::Inconclusive
            },
            gs_common::report::INTERRUPTED.to_owned(),
            format!("interrupted: {failed} of the {total} requests sent so far got no good answer"),
        )
    } else if total == 0 {
        (
            Verdict::Inconclusive,
            reason::NOTHING_MEASURED.to_owned(),
            "no verdict: the chosen personas send no request".to_owned(),
        )
    } else if failed > 0 {
        (
            Verdict::Fail,
            reason::CHECKS_FAILED.to_owned(),
            format!("{failed} of {total} requests got no good answer"),
        )
    } else {
        (
            Verdict::Pass,
            reason::CHECKS_PASSED.to_owned(),
            format!("all {total} requests got a good answer"),
        )
    };
    let channels = plan
        .personas
        .personas
        .iter()
        .filter(|persona| persona.websocket.is_some());
    report.not_covered.extend(
        channels.map(|persona| format!("the WebSocket of `{}` was not opened", persona.name)),
    );
    report
}

fn one_check(one: &Checked) -> Check {
    let mut evidence = Vec::new();
    if !one.body.is_empty() {
        evidence.push(Evidence {
            label: "body".to_owned(),
            text: clip(&one.body),
        });
    }
    Check {
        target: Some(if one.request.is_empty() {
            one.endpoint.clone()
        } else {
            one.request.clone()
        }),
        verdict: if one.error.is_some() {
            Verdict::Fail
        } else {
            Verdict::Pass
        },
        reason: one.error.as_ref().map(|(kind, _)| kind.code().to_owned()),
        message: one.error.as_ref().map(|(_, message)| message.clone()),
        observed: one.status.map(|status| Quantity::of(status, "status")),
        attempts: Some(1),
        duration_ms: Some(millis(one.took)),
        evidence,
        tags: vec![one.persona.clone()],
        ..Check::passed(
            format!("{}/{}/{}", one.persona, one.task, one.endpoint),
            format!("{}: {}", one.persona, one.task),
        )
    }
}

fn check(run: &RunResult, judged: &Judged) -> Check {
    let goal = &judged.goal;
    let id = if goal.scope == crate::goal::Scope::All || goal.text.contains(&judged.subject) {
        goal.text.clone()
    } else {
        format!("{} ({})", goal.text, judged.subject)
    };
    let mut evidence = Vec::new();
    if judged.verdict != Verdict::Pass {
        evidence.extend(proof(run, judged));
    }
    Check {
        target: Some(judged.subject.clone()),
        verdict: judged.verdict,
        reason: judged.reason.map(str::to_owned),
        message: judged.message.clone(),
        observed: judged.observed.map(|value| {
            let rounded = match goal.metric.unit() {
                Some("share") => (value * 1e6).round() / 1e6,
                _ => (value * 1e3).round() / 1e3,
            };
            match goal.metric.unit() {
                Some(unit) => Quantity::of(rounded, unit),
                None => Quantity::bare(rounded),
            }
        }),
        expected: Some(goal.limit_text()),
        evidence,
        ..Check::passed(id.clone(), id)
    }
}

fn sentence(run: &RunResult, judgement: &Judgement, total: &Stats) -> String {
    let count = |verdict| {
        judgement
            .goals
            .iter()
            .filter(|judged| judged.verdict == verdict)
            .count()
    };
    let first = |verdict| {
        judgement
            .goals
            .iter()
            .find(|judged| judged.verdict == verdict)
            .map(|judged| {
                let message = judged.message.as_deref().unwrap_or(&judged.goal.text);
                match judged.subject.as_str() {
                    "all" => message.to_owned(),
                    subject => format!("{subject}: {message}"),
                }
            })
            .unwrap_or_default()
    };
    let goals = judgement.goals.len();
    let seen = seen(total);
    let missed = count(Verdict::Fail);
    match judgement.reason {
        reason::GOALS_MET => format!("all {goals} goals are met: {seen}"),
        reason::GOALS_WARNED => format!(
            "no goal is missed, {} of {goals} warn: {}; {seen}",
            count(Verdict::Warn),
            first(Verdict::Warn)
        ),
        reason::GOALS_MISSED => format!(
            "{missed} of {goals} goals are missed: {}; {seen}",
            first(Verdict::Fail)
        ),
        reason::GOAL_LOST => {
            let why = match &run.end {
                End::Aborted(why) => why.as_str(),
                _ => "",
            };
            format!("ended early: {why}; {seen}")
        }
        reason::GENERATOR_SATURATED => format!(
            "no verdict: {}: {}; {seen}",
            if total.errors.contains_key(&ErrorKind::Proxy) {
                "the way to the target did not hold"
            } else {
                "this machine could not keep up"
            },
            judgement.saturated.as_deref().unwrap_or_default()
        ),
        reason::NOTHING_MEASURED => {
            "no verdict: no request ended, so nothing was measured".to_owned()
        }
        reason::DEADLINE => format!(
            "no verdict: the deadline came before the end of the plan, no goal was missed until then; {seen}"
        ),
        reason::ENGINE_FAILED => {
            let why = match &run.end {
                End::Broken(why) => why.as_str(),
                _ => "",
            };
            format!("no verdict: the load could not go on: {why}")
        }
        gs_common::report::INTERRUPTED => {
            format!("interrupted: {missed} of {goals} goals had been missed; {seen}")
        }
        _ => format!("no verdict: {}; {seen}", first(Verdict::Inconclusive)),
    }
}

fn seen(total: &Stats) -> String {
    if total.requests == 0 {
        return "no request ended".to_owned();
    }
    format!(
        "{} requests, {} failed, mean {:.1} ms, p95 {:.1} ms",
        total.requests,
        total.failures,
        total.response.mean() / 1e3,
        total.response.value_at_quantile(0.95) as f64 / 1e3
    )
}

/// What to type or look at next.
fn next(run: &RunResult, judgement: &Judgement) -> Vec<String> {
    let mut next = Vec::new();
    let url = &run.target;
    match judgement.reason {
        reason::GENERATOR_SATURATED => {
            next.push(
                "use a machine with more free CPU, or split the load with several generators"
                    .to_owned(),
            );
        }
        reason::TOO_FEW_SAMPLES => {
            let most = judgement.goals.iter().filter_map(|judged| {
                (judged.reason == Some(reason::TOO_FEW_SAMPLES)).then_some(judged.samples)
            });
            if most.max().is_some() {
                next.push(
                    "give the run a longer `--duration`, or ask for a lower percentile".to_owned(),
                );
            }
        }
        reason::GOALS_MISSED | reason::GOAL_LOST => {
            if let Some(slow) = run.slowest.first() {
                next.push(format!(
                    "look at trace {} ({}, {:.0} ms)",
                    slow.trace_id,
                    slow.endpoint,
                    slow.response.as_secs_f64() * 1e3
                ));
            }
            if run.total().failures > 0 {
                next.push(format!("load-test check {url}"));
            }
        }
        _ => {}
    }
    next
}

fn not_covered(run: &RunResult, judgement: &Judgement) -> Vec<String> {
    let mut all = Vec::new();
    if run.warm_up_requests > 0 || !run.setup.warm_up.is_zero() {
        all.push(format!(
            "{} requests that were due in the warm-up of {} are left out",
            run.warm_up_requests,
            show_duration(run.setup.warm_up)
        ));
    }
    if judgement
        .goals
        .iter()
        .any(|judged| judged.reason == Some(reason::TOO_FEW_SAMPLES))
    {
        all.push("goals with too few requests are not judged".to_owned());
    }
    if run.generator.held_back > 0 {
        all.push(format!(
            "{} requests were held back by the cap on the rate: users were slower than they would be",
            run.generator.held_back
        ));
    }
    all.push("redirects: they are answers, and not followed".to_owned());
    if run.setup.proxy {
        all.push("the target alone: all went by a proxy, which was measured with it".to_owned());
    }
    if !run.setup.compression {
        all.push("compressed answers: none are asked for (--compression does)".to_owned());
    }
    all
}

/// The table that a person reads on stderr after a run: one line an endpoint.
#[must_use]
pub fn table(run: &RunResult) -> Vec<String> {
    let names = run.endpoints();
    let width = names
        .iter()
        .map(|name| name.chars().count())
        .max()
        .unwrap_or(0)
        .clamp(8, 48);
    let mut lines = vec![format!(
        "{:width$} {:>9} {:>8} {:>8} {:>9} {:>9} {:>9} {:>9}",
        "endpoint", "requests", "failed", "per s", "mean ms", "p95 ms", "p99 ms", "max ms"
    )];
    let mut line = |name: &str, stats: &Stats| {
        let at = |q: f64| stats.response.value_at_quantile(q) as f64 / 1e3;
        let shown: String = name.chars().take(width).collect();
        lines.push(format!(
            "{shown:width$} {:>9} {:>8} {:>8.1} {:>9.1} {:>9.1} {:>9.1} {:>9.1}",
            stats.requests,
            stats.failures,
            stats.requests as f64 / run.measured_seconds.max(1e-9),
            stats.response.mean() / 1e3,
            at(0.95),
            at(0.99),
            stats.response.max() as f64 / 1e3,
        ));
    };
    for name in names {
        line(name, &run.sum(|cell| cell.endpoint == name));
    }
    line("total", &run.total());
    lines
}
