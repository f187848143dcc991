//! A run becomes a report: facts with their numbers, and what to do next.

use gs_common::report::{Check, Evidence, Quantity, Report, SCHEMA, Subject, Tool};
use gs_common::verdict::Verdict;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::config::Config;
use crate::judge::{TestView, View, reason};
use crate::live::hooks::percent as weight_percent;
use crate::live::outcome::Outcome;
use crate::live::run::NotReady;
use crate::live::screen::{bracket, percent, seconds, title};
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
pub fn not_ready(
    config: &Config,
    why: &NotReady,
    started_at: Timestamp,
    ended_at: Timestamp,
) -> Report {
    let (code, sentence, hint) = match why {
        NotReady::Source(error, attempts) => (
            reason::METRICS_UNAVAILABLE,
            format!("{error} ({attempts} attempts)"),
            error.hint.clone(),
        ),
        NotReady::Ended(ended) => (
            ended.code(),
            format!("{} before the metrics could be read", ended.why()),
            None,
        ),
    };
    let mut next: Vec<String> = hint.into_iter().collect();
    next.extend(self::next(config, code, false));
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
        verdict: Verdict::Inconclusive,
        reason: code.to_owned(),
        summary: sentence,
        next,
        checks: Vec::new(),
        findings: Vec::new(),
        inputs: Vec::new(),
        not_covered: vec!["the canary: nothing was measured, and no command was run".to_owned()],
        series: Vec::new(),
        details: Map::new(),
    }
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
        next.push(format!("canary-monitor replay {log} --judge limits"));
    }
    next
}

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

    fn is(&self, code: &str) -> bool {
        self.computed
            .is_some_and(|computed| computed.reason == code)
    }

    fn failed(&self, codes: &[&str]) -> bool {
        self.computed.is_some_and(|computed| {
            computed.verdict == Verdict::Fail && codes.contains(&computed.reason.as_str())
        })
    }

    fn checks(&self) -> Vec<Check> {
        let mut checks = vec![self.whole()];
        checks.extend(self.view.tests.iter().map(|test| self.test(test)));
        checks.push(self.restarts());
        checks.extend(self.memory());
        checks.extend(self.cpu());
        checks.push(self.coverage());
        checks.extend(self.split());
        checks.extend(self.log());
        let ran = self
            .state
            .hooks
            .iter()
            .filter(|hook| hook.state != "dry_run");
        checks.extend(ran.map(hook));
        checks
    }

    /// What the judge says of the whole.
    fn whole(&self) -> Check {
        let mut check = named("canary", "the canary may be promoted");
        let tests = self.view.tests.iter().map(|test| {
            format!(
                "{}: evidence {:.1} of {:.1}, held at {} of {} checks, dispersion {:.1}",
                title(test.reason),
                test.evidence,
                self.view.fail_line,
                test.held,
                test.needed,
                test.dispersion
            )
        });
        check.evidence.push(Evidence {
            label: "tests".to_owned(),
            text: tests.collect::<Vec<_>>().join("\n"),
        });
        if let Some(computed) = self.computed {
            check.verdict = computed.verdict;
            check.observed = Some(Quantity::of(computed.at_seconds, "s into the run"));
            if computed.verdict != Verdict::Pass {
                check.reason = Some(computed.reason.clone());
                check.message = Some(computed.sentence.clone());
            }
        } else {
            check.verdict = Verdict::Inconclusive;
        }
        if let (Some(legacy), Some(decision)) = (&self.state.legacy, &self.state.decision) {
            check.evidence.push(legacy.evidence(decision));
        }
        check
    }

    fn test(&self, test: &TestView) -> Check {
        let (canary, stable) = (&self.view.canary, &self.view.stable);
        let policy = &self.state.header.policy;
        let limit = seconds(policy.latency_limit_seconds);
        let mut check = named(test.reason, title(test.reason));
        let (observed, expected, shown) = match test.reason {
            reason::ERROR_RATE => (
                canary.error_share,
                format!("not worse than stable's {}", percent(stable.error_share)),
                None,
            ),
            reason::LATENCY => (
                canary.slow_share,
                format!(
                    "not worse than stable: {} slower than {limit}, P95 {} (canary {})",
                    percent(stable.slow_share),
                    bracket(stable.p95_seconds),
                    bracket(canary.p95_seconds)
                ),
                None,
            ),
            reason::ERROR_LIMIT => (
                canary.error_share,
                format!("under {} errors", percent(Some(policy.error_limit))),
                Some(self.view.shown.0),
            ),
            _ => (
                canary.slow_share,
                format!(
                    "under {} slower than {limit}",
                    percent(Some(policy.slow_limit))
                ),
                Some(self.view.shown.1),
            ),
        };
        check.observed = observed.map(|share| Quantity::of(share, "share"));
        check.expected = Some(expected);
        check.evidence.push(Evidence {
            label: "evidence".to_owned(),
            text: format!(
                "{:.1} of {:.1} nats, held at {} of {} checks, dispersion {:.1}",
                test.evidence, self.view.fail_line, test.held, test.needed, test.dispersion
            ),
        });
        let unknown = match shown {
            _ if self.view.warm_at_seconds.is_none() => Some("the canary never got warm"),
            Some(shown) if shown <= self.view.fail_line => {
                Some("too few requests show that it holds")
            }
            None if stable.requests == 0 => Some("stable got no request to compare with"),
            None if observed.is_none() => Some("the canary does not tell"),
            _ => None,
        };
        let catastrophe = test.reason == reason::ERROR_LIMIT && self.failed(&[reason::CATASTROPHE]);
        if self.failed(&[test.reason]) || catastrophe {
            self.broken(&mut check, Verdict::Fail);
        } else if let Some(why) = unknown {
            check.verdict = Verdict::Inconclusive;
            check.reason = Some("not_shown".to_owned());
            check.message = Some(why.to_owned());
        }
        check
    }

    /// The judge's own sentence on a check that it decided by.
    fn broken(&self, check: &mut Check, verdict: Verdict) {
        check.verdict = verdict;
        if let Some(computed) = self.computed {
            check.reason = Some(computed.reason.clone());
            check.message = Some(computed.sentence.clone());
        }
    }

    fn restarts(&self) -> Check {
        let mut check = named("restarts", "the canary's pods stay alive");
        let (canary, stable) = (&self.view.canary, &self.view.stable);
        check.observed = Some(Quantity::of(canary.restarts, "restarts"));
        check.expected = Some(format!(
            "under {} restarts (stable: {})",
            self.state.header.policy.restarts, stable.restarts
        ));
        if canary.oom_kills + stable.oom_kills > 0 {
            check.evidence.push(Evidence {
                label: "out of memory".to_owned(),
                text: format!("canary {}, stable {}", canary.oom_kills, stable.oom_kills),
            });
        }
        if self.failed(&[reason::RESTARTS, reason::OOM_KILLED]) {
            self.broken(&mut check, Verdict::Fail);
        } else if self.state.looks() == 0 {
            check.verdict = Verdict::Inconclusive;
            check.reason = Some("not_seen".to_owned());
        }
        check
    }

    fn memory(&self) -> Option<Check> {
        let mut check = named("memory", "the canary's memory does not run away");
        if !self.state.watch.knows_memory() {
            return None;
        }
        check.expected = Some("no growth that goes on up to the limit".to_owned());
        if self.failed(&[reason::MEMORY_LEAK]) {
            self.broken(&mut check, Verdict::Fail);
        }
        Some(check)
    }

    fn cpu(&self) -> Option<Check> {
        let (canary, stable) = (&self.view.canary.cpu, &self.view.stable.cpu);
        if canary.near_limit_share.is_none() && canary.throttled_share.is_none() {
            return None;
        }
        let told = |cpu: &crate::judge::Cpu| {
            let share = |share: Option<f64>| percent(share);
            format!(
                "near its limit {}, throttled {} of the time",
                share(cpu.near_limit_share),
                share(cpu.throttled_share)
            )
        };
        let mut check = named("cpu", "the canary has enough CPU");
        check.observed = Some(Quantity::bare(told(canary)));
        check.expected = Some(format!("no shorter of it than stable: {}", told(stable)));
        if self.is(reason::SHORT_OF_CPU) {
            self.broken(&mut check, Verdict::Warn);
        }
        Some(check)
    }

    fn coverage(&self) -> Check {
        let mut check = named("coverage", "the canary was looked at");
        let (canary, stable) = self.view.coverage;
        let least = self.state.header.policy.coverage;
        check.observed = Some(Quantity::of(canary.min(stable), "share"));
        check.expected = Some(format!("at least {} of the looks", percent(Some(least))));
        check.evidence.push(Evidence {
            label: "looks".to_owned(),
            text: format!(
                "{} looks, {} of those at the canary, {} of those at stable, {} losses",
                self.state.looks(),
                percent(Some(canary)),
                percent(Some(stable)),
                self.state.lost.count
            ),
        });
        if canary.min(stable) < least {
            check.verdict = Verdict::Inconclusive;
            check.reason = Some(reason::COVERAGE.to_owned());
            check.message =
                Some("too many looks were not had, or the watch ended early".to_owned());
        }
        check
    }

    fn split(&self) -> Option<Check> {
        let weight = match &self.state.steps {
            Some(steps) => steps.weights.get(steps.index).copied(),
            None => self.state.header.observations.canary_weight,
        }?;
        let (canary, stable) = (self.view.canary.requests, self.view.stable.requests);
        let mut check = named("split", "the canary gets the traffic that was declared");
        if canary + stable > 0 {
            let share = canary as f64 / (canary + stable) as f64;
            check.observed = Some(Quantity::of(share, "share"));
        }
        check.expected = Some(format!("about {}%", weight_percent(weight)));
        if self.is(reason::SPLIT) {
            let verdict = self
                .computed
                .map_or(Verdict::Inconclusive, |computed| computed.verdict);
            self.broken(&mut check, verdict);
        } else if canary + stable == 0 {
            check.verdict = Verdict::Inconclusive;
            check.reason = Some(reason::NO_TRAFFIC.to_owned());
        }
        Some(check)
    }

    fn log(&self) -> Option<Check> {
        let path = self.state.log_path()?;
        let mut check = named("decision_log", "the decision log is whole");
        check.target = Some(path.display().to_string());
        if let Some(why) = self.state.log_broken() {
            check.verdict = Verdict::Inconclusive;
            check.reason = Some(reason::LOG_LOST.to_owned());
            check.message = Some(format!("it could not be written to its end: {why}"));
        }
        Some(check)
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
        for hook in self
            .state
            .hooks
            .iter()
            .filter(|hook| hook.state == "dry_run")
        {
            let command = hook.command.join(" ");
            say(&format!(
                "--dry-run: would have run --{} {command}",
                hook.hook
            ));
        }
        if self.state.resumes > 0 {
            say(&format!(
                "the time without a runner: the run was resumed {} times",
                self.state.resumes
            ));
        }
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

fn hook(line: &HookLine) -> Check {
    let id = match line.step {
        Some(step) if line.hook == "on-step" => format!("{}-{step}", line.hook),
        _ => line.hook.clone(),
    };
    let mut check = named(&id, &format!("--{} {}", line.hook, line.command.join(" ")));
    check.duration_ms = line.took_ms;
    if let Some(output) = &line.output {
        check.evidence.push(Evidence {
            label: "output".to_owned(),
            text: output.clone(),
        });
    }
    match line.state.as_str() {
        "done" => {}
        _ => {
            check.verdict = Verdict::Inconclusive;
            check.reason = Some(reason::HOOK_FAILED.to_owned());
            check.message = line.ended.clone();
        }
    }
    check
}

fn named(id: &str, title: &str) -> Check {
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
