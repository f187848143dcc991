//! A run becomes a report: facts with their numbers, and what to do next.

mod checks;

use gs_common::report::{Report, SCHEMA, Subject, Tool};
use gs_common::verdict::Verdict;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use checks::hook;

use crate::config::Config;
use crate::judge::{View, reason};
use crate::live::events::NotReady;
use crate::live::outcome::Outcome;
use crate::live::state::State;
use crate::log::{DecisionLine, HookLine};

/// Who writes the reports.
#[must_use]
pub fn tool() -> Tool {
    Tool {
        name: "canary-monitor".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    }
}

/// What is judged, for people.
#[must_use]
pub fn subject(config: &Config) -> String {
    config
        .source
        .subject()
        .unwrap_or_else(|| "canary".to_owned())
}

/// The report of a run; without an outcome, as it stands in the middle of it.
#[must_use]
pub fn of(
    config: &Config,
    state: &State,
    outcome: Option<&Outcome>,
    ended_at: Timestamp,
) -> Report {
    let view = state.watch.view();
    let (verdict, code, sentence) = match outcome {
        Some(outcome) => (
            outcome.verdict,
            outcome.reason.clone(),
            outcome.sentence.clone(),
        ),
        None => (
            Verdict::Inconclusive,
            reason::CUT_SHORT.to_owned(),
            "the watch goes on".to_owned(),
        ),
    };
    let run = Run {
        config,
        state,
        view: &view,
        computed: outcome.map(|outcome| &outcome.computed),
    };
    Report {
        schema: SCHEMA.to_owned(),
        tool: tool(),
        subject: Subject {
            kind: "canary".to_owned(),
            name: state.header.subject.clone(),
            commit: None,
        },
        started_at: state.header.started_at,
        ended_at,
        verdict,
        summary: format!("{sentence}{}", run.could_have_seen(verdict)),
        next: next(config, &code, state.log_broken().is_none()),
        checks: run.checks(),
        findings: Vec::new(),
        inputs: Vec::new(),
        not_covered: run.not_covered(),
        series: state.charts.series(),
        details: run.details(outcome),
        reason: code,
    }
}

/// The report where there was nothing to watch.
#[must_use]
pub fn of_nothing(
    config: &Config,
    why: &NotReady,
    outcome: &Outcome,
    hooks: &[HookLine],
    started_at: Timestamp,
    ended_at: Timestamp,
) -> Report {
    let mut hints: Vec<String> = match why {
        NotReady::Source(error, _) => error.hint.iter().cloned().collect(),
        NotReady::Ended(_) => Vec::new(),
    };
    hints.extend(next(config, &outcome.reason, false));
    let mut not_covered = vec!["the canary: nothing was measured".to_owned()];
    not_covered.extend(would_have_run(hooks));
    let mut details = Map::new();
    details.insert("computed".to_owned(), json!(outcome.computed));
    details.insert(
        "on_inconclusive".to_owned(),
        config.pipeline.no_verdict.as_str().into(),
    );
    details.insert("aloud".to_owned(), json!(outcome.aloud));
    details.insert("hooks".to_owned(), json!(hooks));
    Report {
        schema: SCHEMA.to_owned(),
        tool: tool(),
        subject: Subject {
            kind: "canary".to_owned(),
            name: subject(config),
            commit: None,
        },
        started_at,
        ended_at,
        verdict: outcome.verdict,
        reason: outcome.reason.clone(),
        summary: outcome.sentence.clone(),
        next: hints,
        checks: hooks
            .iter()
            .filter(|hook| hook.state != DRY_RUN)
            .map(hook)
            .collect(),
        findings: Vec::new(),
        inputs: Vec::new(),
        not_covered,
        series: Vec::new(),
        details,
    }
}

/// The state of a command that was not run because of `--dry-run`.
const DRY_RUN: &str = "dry_run";

fn would_have_run(hooks: &[HookLine]) -> impl Iterator<Item = String> {
    hooks
        .iter()
        .filter(|hook| hook.state == DRY_RUN)
        .map(|hook| {
            format!(
                "--dry-run: would have run --{} {}",
                hook.hook,
                hook.command.join(" ")
            )
        })
}

/// What to look at, and what to type, most useful first.
fn next(config: &Config, code: &str, has_log: bool) -> Vec<String> {
    let log = config.log.as_ref().map(|path| path.display().to_string());
    let mut next: Vec<String> = Vec::new();
    let look = match code {
        reason::ERROR_RATE | reason::ERROR_LIMIT | reason::CATASTROPHE => {
            "look at the canary's log for its 5xx answers: one route speaks for its code, all routes for its configuration or what it depends on"
        }
        reason::LATENCY | reason::LATENCY_LIMIT => {
            "compare the canary's CPU and its calls to others with stable's: all routes slow speaks for the process, one for its code"
        }
        reason::RESTARTS | reason::OOM_KILLED => {
            "kubectl describe pod shows the last state of the canary's containers, kubectl logs --previous their last words"
        }
        reason::MEMORY_LEAK => "take a memory profile of the canary before it goes",
        reason::NO_TRAFFIC | reason::SPLIT => {
            "check the weight that the ingress or the mesh really gives to the canary"
        }
        reason::LOW_TRAFFIC => {
            "watch longer (--duration), or send traffic to both versions with load-test"
        }
        reason::BASELINE_MISSING => "check that the stable pods are selected and get traffic",
        reason::ENVIRONMENT_UNHEALTHY => {
            "stable breaks the limits, too: find out what they share, then watch again"
        }
        reason::COVERAGE | reason::METRICS_UNAVAILABLE => {
            "canary-monitor doctor, with the same options, asks everything once and says what is missing"
        }
        reason::HOOK_FAILED => "run the command by hand; its output stands in the report",
        reason::LOG_LOST => "make room where the log is, and watch again",
        reason::INTERRUPTED if log.is_some() => "the same command line with --resume goes on",
        _ => "",
    };
    if !look.is_empty() {
        next.push(look.to_owned());
    }
    if let Some(log) = log.filter(|_| has_log) {
        next.push(format!(
            "canary-monitor report {log} --recorded-policy --html canary.html"
        ));
    }
    next
}

/// A run as it is told.
struct Run<'a> {
    config: &'a Config,
    state: &'a State,
    view: &'a View,
    computed: Option<&'a DecisionLine>,
}

impl Run<'_> {
    /// Silence says nothing where nothing could have been heard.
    fn could_have_seen(&self, verdict: Verdict) -> String {
        match (verdict, self.view.smallest_error_ratio) {
            (Verdict::Fail, _) | (_, None) => String::new(),
            (_, Some(ratio)) => {
                format!(
                    "; an error rate {ratio:.1} times stable's would have been found with 80% probability"
                )
            }
        }
    }

    fn not_covered(&self) -> Vec<String> {
        let mut told = self.state.lost.told();
        let mut say = |sentence: &str| told.push(sentence.to_owned());
        if !self.state.watch.knows_memory() {
            say("memory: no pod of the canary told any");
        }
        let cpu = &self.view.canary.cpu;
        if cpu.near_limit_share.is_none() && cpu.throttled_share.is_none() {
            say("CPU: the canary's limit, or its throttling, is not known");
        }
        if self.state.steps.is_none() && self.state.header.observations.canary_weight.is_none() {
            say("the split of the traffic: --weight was not given");
        }
        if self.state.header.time_scale != 1.0 {
            say(&format!(
                "real time: --time-scale {} judges a simulation",
                self.state.header.time_scale
            ));
        }
        if self.state.resumes > 0 {
            say(&format!(
                "the time without a runner: the run was resumed {} times",
                self.state.resumes
            ));
        }
        told.extend(would_have_run(&self.state.hooks));
        told
    }

    fn details(&self, outcome: Option<&Outcome>) -> Map<String, Value> {
        let (state, view) = (self.state, self.view);
        let mut details = Map::new();
        let mut put = |name: &str, value: Value| details.insert(name.to_owned(), value);
        put("run", state.header.run.clone().into());
        put("computed", json!(self.computed));
        put("ended_by", json!(state.end.as_ref().map(|(code, _)| code)));
        let choice = self.config.pipeline.no_verdict.as_str();
        put("on_inconclusive", choice.into());
        put(
            "aloud",
            json!(outcome.map_or(&[][..], |outcome| &outcome.aloud)),
        );
        put("duration_seconds", state.watch.ends_at_seconds().into());
        put("warm_at_seconds", json!(view.warm_at_seconds));
        put("time_scale", state.header.time_scale.into());
        put("policy", json!(state.header.policy));
        put(
            "settings_sha256",
            state.header.settings_sha256.clone().into(),
        );
        put("queries", json!(state.header.queries));
        put("canary", side(&view.canary));
        put("stable", side(&view.stable));
        let tests = view.tests.iter().map(|test| {
            json!({
                "reason": test.reason, "evidence_nats": test.evidence, "dispersion": test.dispersion,
                "held_checks": test.held, "needed_checks": test.needed,
            })
        });
        put("tests", tests.collect());
        put("fail_line_nats", view.fail_line.into());
        put(
            "smallest_error_ratio_seen",
            json!(view.smallest_error_ratio),
        );
        let placebo = view.placebo.iter().map(|(pod, side, errors, latency)| {
            json!({"pod": pod, "side": side.as_str(), "errors_distance": errors, "latency_distance": latency})
        });
        put("placebo", placebo.collect());
        put("looks", state.looks().into());
        put(
            "lost",
            json!({"count": state.lost.count, "sentences": state.lost.told()}),
        );
        put("resumes", state.resumes.into());
        if let Some(steps) = &state.steps {
            put(
                "steps",
                json!({"weights": steps.weights, "step_seconds": steps.seconds, "reached": steps.index + 1, "is_set": steps.since.is_some()}),
            );
        }
        put("hooks", json!(state.hooks));
        put("dry_run", self.config.pipeline.dry_run.into());
        let operator = state.operator.iter().map(|one| {
            json!({"at_seconds": one.at_seconds, "at": one.at, "who": one.who, "action": one.action, "text": one.text})
        });
        put("operator", operator.collect());
        if let Some(path) = state.log_path() {
            put("log", path.display().to_string().into());
        }
        if let Some(legacy) = &state.legacy {
            put("legacy", legacy.details());
        }
        details
    }
}

fn side(side: &crate::judge::SideView) -> Value {
    json!({
        "pods": side.pods,
        "requests": side.requests,
        "error_share": side.error_share,
        "slow_share": side.slow_share,
        "p95_seconds": side.p95_seconds.map(|(from, to)| json!({"from": from, "to": to.is_finite().then_some(to)})),
        "cpu_seconds_per_request": side.cpu_per_request,
        "restarts": side.restarts,
        "oom_kills": side.oom_kills,
    })
}
