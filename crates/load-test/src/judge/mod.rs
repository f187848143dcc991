//! Goals and what was recorded, to a verdict. Pure: no clock, no I/O, and it cannot fail.

mod patience;
pub mod reason;

use std::time::Duration;

use gs_common::units::show_share;
use gs_common::verdict::Verdict;
use hdrhistogram::Histogram;

use crate::goal::{Clock, Goal, Metric, Scope};
use crate::result::{End, ErrorKind, RunResult, Stats};
pub use patience::Patience;

/// A quantile needs at least so many requests beyond it: `p95` 200 requests, `p99` 1,000.
pub const BEYOND: f64 = 10.0;

/// A mean or a rate needs so many requests.
pub const FEW: u64 = 20;

/// With fewer requests than needed, a goal is missed only if so many bad ones come about by chance with
/// at most this probability where the goal is just met.
pub const CHANCE: f64 = 0.01;

/// An arrival that waits longer for a connection is late.
pub const LATE: Duration = Duration::from_millis(50);

/// Where its threads were busy for more than [`BUSY`] of the time, a generator may be late by so much less
/// before it is saturated.
pub const BUSY_DIVISOR: u32 = 10;

/// The share of CPU time from which a thread is busy.
pub const BUSY: f64 = 0.95;

/// Errors that are no doing of the target, which was never reached, and what befell the requests.
const OWN_FAULTS: [(ErrorKind, &str); 2] = [
    (
        ErrorKind::Local,
        "found no socket, port or descriptor on this machine",
    ),
    (ErrorKind::Proxy, "were lost by the proxy"),
];

/// What came of a run.
#[derive(Clone, Debug)]
pub struct Judgement {
    /// The verdict over everything.
    pub verdict: Verdict,
    /// The stable code.
    pub reason: &'static str,
    /// Every goal, each of its subjects apart.
    pub goals: Vec<Judged>,
    /// Why the generator is not to be trusted, if it is not.
    pub saturated: Option<String>,
}

/// A goal, judged.
#[derive(Clone, Debug)]
pub struct Judged {
    /// The goal.
    pub goal: Goal,
    /// What it was held against: `all`, an endpoint, `persona x`, `stage x`.
    pub subject: String,
    /// The verdict.
    pub verdict: Verdict,
    /// The code of what is wrong.
    pub reason: Option<&'static str>,
    /// One sentence on what is wrong.
    pub message: Option<String>,
    /// What was measured, in the metric's unit.
    pub observed: Option<f64>,
    /// The requests that it rests on.
    pub samples: u64,
}

/// Judges a run.
#[must_use]
pub fn judge(run: &RunResult, goals: &[Goal]) -> Judgement {
    let saturated = saturation(run);
    let mut judged = Vec::new();
    for goal in goals {
        for (subject, stats) in subjects(run, &goal.scope) {
            // A metric that has no subject in this run has nothing to say.
            if goal.metric == Metric::WsDrops && run.websockets.is_empty() {
                continue;
            }
            if matches!(goal.metric, Metric::Late | Metric::Dropped) && !is_open(run) {
                continue;
            }
            judged.push(one(run, goal, subject, &stats, saturated.as_deref()));
        }
    }
    let verdict = Verdict::over(judged.iter().map(|judged| judged.verdict));
    let total = run.total();
    let (verdict, reason) = match (&run.end, verdict) {
        (End::Interrupted, verdict) => (
            verdict.max(Verdict::Inconclusive),
            gs_common::report::INTERRUPTED,
        ),
        (End::Aborted(_), _) if saturated.is_none() => (Verdict::Fail, reason::GOAL_LOST),
        (_, Verdict::Fail) => (Verdict::Fail, reason::GOALS_MISSED),
        (End::Broken(_), _) => (Verdict::Inconclusive, reason::ENGINE_FAILED),
        (End::Deadline, _) => (Verdict::Inconclusive, reason::DEADLINE),
        _ if total.requests == 0 => (Verdict::Inconclusive, reason::NOTHING_MEASURED),
        _ if saturated.is_some() => (Verdict::Inconclusive, reason::GENERATOR_SATURATED),
        (_, Verdict::Inconclusive) => (Verdict::Inconclusive, reason::TOO_FEW_SAMPLES),
        (_, Verdict::Warn) => (Verdict::Warn, reason::GOALS_WARNED),
        (_, Verdict::Pass) => (Verdict::Pass, reason::GOALS_MET),
    };
    Judgement {
        verdict,
        reason,
        goals: judged,
        saturated,
    }
}

fn is_open(run: &RunResult) -> bool {
    matches!(run.setup.model, crate::result::Model::Open { .. })
}

/// Why the generator's times say nothing of the target, if that is so.
#[must_use]
pub fn saturation(run: &RunResult) -> Option<String> {
    let generator = &run.generator;
    let total = run.total();
    for (kind, what) in OWN_FAULTS {
        let own = total.errors.get(&kind);
        if let Some(errors) = own.filter(|errors| errors.count > 0) {
            let said = errors
                .first
                .as_ref()
                .map_or_else(String::new, |first| format!(": {}", first.message));
            return Some(format!(
                "{} of {} requests {what}{said}",
                errors.count, total.requests
            ));
        }
    }
    if generator.lateness.len() < FEW {
        return None;
    }
    let late = Duration::from_micros(generator.lateness.value_at_quantile(0.99));
    let busy = if run.measured_seconds > 0.0 {
        generator.cpu_seconds / (run.measured_seconds * generator.threads.max(1) as f64)
    } else {
        0.0
    };
    let millis = late.as_secs_f64() * 1e3;
    if late > generator.lateness_limit {
        return Some(format!(
            "1 request in 100 was handed on more than {millis:.0} ms late by this machine itself"
        ));
    }
    if busy > BUSY && late > generator.lateness_limit / BUSY_DIVISOR {
        return Some(format!(
            "its threads were busy {} of the time, and 1 request in 100 was handed on more than {millis:.0} ms late",
            show_share((busy.min(1.0) * 1000.0).round() / 1000.0)
        ));
    }
    None
}

/// What a scope means in this run.
fn subjects(run: &RunResult, scope: &Scope) -> Vec<(String, Stats)> {
    let stage_index = |name: &str| run.setup.stages.iter().position(|stage| stage.name == name);
    match scope {
        Scope::All => vec![("all".to_owned(), run.total())],
        Scope::Endpoint(name) => vec![(name.clone(), run.sum(|cell| cell.endpoint == *name))],
        Scope::Persona(name) => vec![(
            format!("persona {name}"),
            run.sum(|cell| cell.persona == *name),
        )],
        Scope::Stage(name) => vec![(
            format!("stage {name}"),
            run.sum(|cell| Some(cell.stage) == stage_index(name)),
        )],
        Scope::EachEndpoint => run
            .endpoints()
            .into_iter()
            .map(|name| (name.to_owned(), run.sum(|cell| cell.endpoint == name)))
            .collect(),
        Scope::EachPersona => run
            .personas()
            .into_iter()
            .map(|name| {
                (
                    format!("persona {name}"),
                    run.sum(|cell| cell.persona == name),
                )
            })
            .collect(),
        Scope::EachStage => (0..run.setup.stages.len())
            .filter(|index| run.cells.iter().any(|cell| cell.stage == *index))
            .map(|index| {
                (
                    format!("stage {}", run.setup.stages[index].name),
                    run.sum(|cell| cell.stage == index),
                )
            })
            .collect(),
    }
}

fn histogram(stats: &Stats, clock: Clock) -> &Histogram<u64> {
    match clock {
        Clock::Response => &stats.response,
        Clock::Service => &stats.service,
        Clock::FirstByte => &stats.first_byte,
        Clock::Connect => &stats.connect,
    }
}

/// What was measured, and on how many samples; no value without a sample.
fn measure(run: &RunResult, goal: &Goal, subject: &str, stats: &Stats) -> (Option<f64>, u64) {
    let timed = |clock, value: fn(&Histogram<u64>) -> f64| {
        let histogram = histogram(stats, clock);
        let samples = histogram.len();
        ((samples > 0).then(|| value(histogram) / 1e3), samples)
    };
    let share = |part: u64, whole: u64| ((whole > 0).then(|| part as f64 / whole as f64), whole);
    match goal.metric {
        Metric::Quantile(clock, q) => {
            let histogram = histogram(stats, clock);
            let samples = histogram.len();
            let value = histogram.value_at_quantile(q) as f64 / 1e3;
            ((samples > 0).then_some(value), samples)
        }
        Metric::Mean(clock) => timed(clock, Histogram::mean),
        Metric::Max(clock) => timed(clock, |histogram| histogram.max() as f64),
        Metric::ErrorRate => share(stats.failures, stats.requests),
        Metric::Checks => share(stats.checks_passed, stats.checks_made),
        Metric::Rps => {
            let seconds = seconds_of(run, subject);
            (
                (seconds > 0.0 && stats.requests > 0).then(|| stats.requests as f64 / seconds),
                stats.requests,
            )
        }
        Metric::Late => {
            let late = run
                .generator
                .wait
                .iter_recorded()
                .filter(|step| u128::from(step.value_iterated_to()) > LATE.as_micros())
                .map(|step| step.count_at_value())
                .sum::<u64>();
            share(late + run.generator.dropped, stats.requests)
        }
        Metric::Dropped => (
            (stats.requests > 0).then_some(run.generator.dropped as f64),
            stats.requests,
        ),
        Metric::WsDrops => share(
            run.websockets.iter().map(|channel| channel.drops).sum(),
            run.websockets.iter().map(|channel| channel.opened).sum(),
        ),
    }
}

/// How long what a goal speaks of was under load.
fn seconds_of(run: &RunResult, subject: &str) -> f64 {
    let Some(name) = subject.strip_prefix("stage ") else {
        return run.measured_seconds;
    };
    let mut start = 0.0;
    for stage in &run.setup.stages {
        let end = start + stage.duration.as_secs_f64();
        if stage.name == name {
            let from = start.max(run.setup.warm_up.as_secs_f64());
            let to = end.min(run.setup.warm_up.as_secs_f64() + run.measured_seconds);
            return (to - from).max(0.0);
        }
        start = end;
    }
    0.0
}

fn one(
    run: &RunResult,
    goal: &Goal,
    subject: String,
    stats: &Stats,
    saturated: Option<&str>,
) -> Judged {
    let (observed, samples) = measure(run, goal, &subject, stats);
    let mut judged = Judged {
        goal: goal.clone(),
        subject,
        verdict: Verdict::Pass,
        reason: None,
        message: None,
        observed,
        samples,
    };
    let Some(value) = observed else {
        judged.verdict = Verdict::Inconclusive;
        judged.reason = Some(reason::NOTHING_MEASURED);
        judged.message = Some(match goal.metric {
            Metric::Checks => "no answer had a check to make".to_owned(),
            Metric::WsDrops => "no WebSocket opened".to_owned(),
            _ => "no request that this goal speaks of ended".to_owned(),
        });
        return judged;
    };
    let own_fault = |stats: &Stats| {
        OWN_FAULTS
            .iter()
            .any(|(kind, _)| stats.errors.contains_key(kind))
    };
    if let Some(why) = saturated
        && (goal.metric.is_time() || own_fault(stats))
    {
        judged.verdict = Verdict::Inconclusive;
        judged.reason = Some(reason::GENERATOR_SATURATED);
        judged.message = Some(format!("not judged: {why}"));
        return judged;
    }
    let holds = goal.op.holds(value, goal.limit);
    let needed = needed(goal.metric);
    if samples < needed && !(holds && goal.metric == Metric::Max(Clock::Response) && goal.warns) {
        let proven = !holds && beyond_chance(goal, stats, samples);
        if !proven {
            judged.verdict = Verdict::Inconclusive;
            judged.reason = Some(reason::TOO_FEW_SAMPLES);
            judged.message = Some(format!(
                "{samples} requests are too few to judge `{}`: it takes {needed}",
                goal.text
            ));
            return judged;
        }
    }
    if holds {
        return judged;
    }
    judged.verdict = if goal.warns {
        Verdict::Warn
    } else {
        Verdict::Fail
    };
    judged.reason = Some(reason::GOALS_MISSED);
    judged.message = Some(format!(
        "{} is {}, wanted {}, over {samples} requests",
        name(goal),
        shown(goal.metric, value),
        goal.limit_text()
    ));
    judged
}

/// The metric's name without the limit.
fn name(goal: &Goal) -> &str {
    let text = goal.text.strip_prefix("warn:").unwrap_or(&goal.text);
    text.split(['<', '>']).next().unwrap_or(text)
}

/// A value for people.
#[must_use]
pub fn shown(metric: Metric, value: f64) -> String {
    match metric.unit() {
        Some("ms") => format!("{value:.1} ms"),
        Some("share") => format!("{:.2}%", value * 100.0),
        Some(unit) => format!("{value:.1} {unit}"),
        None => format!("{value:.0}"),
    }
}

/// The requests that a metric needs.
fn needed(metric: Metric) -> u64 {
    match metric {
        Metric::Quantile(_, q) => (BEYOND / (1.0 - q)).round().max(FEW as f64) as u64,
        Metric::Mean(_) | Metric::ErrorRate | Metric::Checks | Metric::Late => FEW,
        Metric::Max(_) | Metric::Rps | Metric::Dropped | Metric::WsDrops => 1,
    }
}

/// Whether the miss cannot be chance, although the samples are few.
///
/// For a quantile q the requests beyond the limit are, where the goal is just met, at most binomial with
/// n and 1 - q; for a share with n and the limit. The one-sided exact test asks how likely as many are
/// (Clopper and Pearson, Biometrika 26, 1934). A mean is missed beyond doubt where every single request is
/// over the limit and there are five of them.
fn beyond_chance(goal: &Goal, stats: &Stats, samples: u64) -> bool {
    match goal.metric {
        Metric::Quantile(clock, q) => {
            let limit = (goal.limit * 1e3) as u64;
            let over = histogram(stats, clock)
                .iter_recorded()
                .filter(|step| step.value_iterated_to() > limit)
                .map(|step| step.count_at_value())
                .sum::<u64>();
            at_least(over, samples, 1.0 - q) <= CHANCE
        }
        Metric::ErrorRate => at_least(stats.failures, samples, goal.limit) <= CHANCE,
        Metric::Checks => {
            let bad = stats.checks_made - stats.checks_passed;
            at_least(bad, samples, 1.0 - goal.limit) <= CHANCE
        }
        Metric::Mean(clock) => {
            samples >= 5 && histogram(stats, clock).min() as f64 / 1e3 > goal.limit
        }
        _ => true,
    }
}

/// P(X >= k) for a binomial X with n and p.
fn at_least(k: u64, n: u64, p: f64) -> f64 {
    if k == 0 {
        return 1.0;
    }
    if p <= 0.0 {
        return 0.0;
    }
    if p >= 1.0 {
        return 1.0;
    }
    // Term by term: P(i+1) = P(i) (n-i)/(i+1) p/(1-p). The samples are few, so nothing underflows that
    // matters: below e^-700 the tail is 1 to all digits.
    let mut term = (n as f64 * (1.0 - p).ln()).exp();
    let mut below = 0.0;
    for i in 0..k.min(n + 1) {
        below += term;
        term *= (n - i.min(n)) as f64 / (i + 1) as f64 * p / (1.0 - p);
    }
    (1.0 - below).max(0.0)
}

#[cfg(test)]
mod tests;
