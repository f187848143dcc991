//! `load-test ab`: two targets in turn, in pairs.
//!
//! The order is base new, new base, base new and so on (ABBA), so that a machine that grows slower by
//! the minute is unfair to neither. Both runs of a pair draw the same requests.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;
use std::time::{Duration, Instant};

use clap::Args;
use gs_common::cli::{OutputArgs, Talk};
use gs_common::config::ConfigError;
use gs_common::outside::Stop;
use gs_common::redact::Redactor;
use gs_common::report::{INTERRUPTED, Report};
use gs_common::units;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::JudgeArgs;
use crate::args::{ConnectionArgs, LoadArgs, PersonaArgs, RunArgs, SafetyArgs};
use crate::compare::judge::{self, LEAST_PAIRS, Policy};
use crate::compare::model::{Metric, Run, TOTAL};
use crate::compare::stats;
use crate::compare::summary::{self, Kind, Outcome};
use crate::config::Config;
use crate::engine::{self, Plan};
use crate::entry;
use crate::judge::reason;
use crate::result::{End, RunResult};

/// `load-test ab`.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  load-test ab --base http://127.0.0.1:8001 --new http://127.0.0.1:8002
      ten pairs of runs of 20 seconds each; about seven minutes
  load-test ab --base http://127.0.0.1:8001 --new http://127.0.0.1:8002 --rate 100 --margin 5% --endpoint total
      at a rate, and only all endpoints together
  load-test ab --base http://127.0.0.1:8001 --self-test
      both sides the same: how small a change can be seen here?")]
pub struct AbArgs {
    /// The version to compare with
    #[arg(long, value_name = "URL")]
    pub base: String,
    /// The version that is judged
    #[arg(
        long,
        value_name = "URL",
        required_unless_present = "self_test",
        conflicts_with = "self_test"
    )]
    pub new: Option<String>,
    /// Run the base against itself: no change may be found, and the smallest visible one is told
    #[arg(long)]
    pub self_test: bool,
    /// Pairs of runs
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u16).range(5..=100))]
    pub pairs: u16,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc would become the help heading's text")]
    pub judge: JudgeArgs,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc would become the help heading's text")]
    pub load: LoadArgs,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc would become the help heading's text")]
    pub personas: PersonaArgs,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc would become the help heading's text")]
    pub safety: SafetyArgs,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc would become the help heading's text")]
    pub connection: ConnectionArgs,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc would become the help heading's text")]
    pub output: OutputArgs,
}

/// Length of one run where none is typed.
const DURATION: &str = "20s";

/// Runs pairs and judges them.
///
/// # Errors
/// Something was typed or configured wrongly, or so few pairs could not fail.
pub fn ab(
    args: &AbArgs,
    variables: &BTreeMap<String, String>,
    cwd: &Path,
    talk: &dyn Fn(Redactor) -> Talk,
) -> Result<(Report, Redactor), ConfigError> {
    let side = |url: &str| {
        let mut connection = args.connection.clone();
        // A rule may be for one side only; one that is for neither is a slip, and stays to be found.
        if let Some(new) = args.new.as_deref() {
            let other = if url == new { args.base.as_str() } else { new };
            connection
                .resolve
                .retain(|rule| is_for(rule, url) || !is_for(rule, other));
        }
        let mut load = args.load.clone();
        if load.stage.is_empty() && load.duration.is_none() {
            load.duration = Some(DURATION.to_owned());
        }
        let run = RunArgs {
            url: Some(url.to_owned()),
            load,
            personas: args.personas.clone(),
            safety: args.safety.clone(),
            connection,
            ..RunArgs::default()
        };
        Config::resolve(&run, variables, cwd)
    };
    let base = side(&args.base)?;
    let new = match &args.new {
        Some(url) => side(url)?,
        None => base.clone(),
    };
    let redactor = base.redactor.clone();
    for secret in new.redactor.secrets() {
        // It was accepted by the other redactor, so it is long enough for this one.
        let _ = redactor.add("secret", &secret);
    }
    let seed = base.plan.seed;
    let policy = args.judge.policy(seed)?;
    let tests = tests(&policy, &base);
    let needed = judge::pairs_needed(tests, policy.alpha);
    let pairs = usize::from(args.pairs);
    if pairs < needed {
        return Err(ConfigError::new(format!(
            "--pairs: {pairs} pairs can never show that one of {tests} comparisons is worse"
        ))
        .hint(format!(
            "take at least {needed} pairs, or judge fewer endpoints: --endpoint total"
        )));
    }
    let kind = if args.self_test {
        Kind::SelfTest
    } else {
        Kind::Interleaved
    };
    let started_at = Timestamp::now();
    let mut talk = talk(redactor.clone());
    for warning in &base.warnings {
        talk.warning(warning);
    }
    let deadline = base.deadline.map(|limit| Instant::now() + limit);
    let plans = Plans {
        base: base.plan.clone(),
        new: Plan {
            seed,
            ..new.plan.clone()
        },
        deadline,
    };
    let (ran, ended) = entry::in_runtime(base.plan.threads, plans.run(pairs, &mut talk))?;
    let outcome = match ended {
        Some((reason, why)) => Outcome::Ended { reason, why },
        None => judged(&ran, &kind, &policy),
    };
    let subject = match kind {
        Kind::SelfTest => base.plan.target.to_string(),
        _ => format!("{} against {}", new.plan.target, base.plan.target),
    };
    let mut report = summary::report(&kind, &subject, &outcome, &policy, started_at);
    report
        .details
        .insert("pairs".to_owned(), ran.iter().map(pair_value).collect());
    report
        .not_covered
        .push("goals: they are those of a run, `load-test URL`".to_owned());
    Ok((report, redactor))
}

/// Whether a `--resolve` is for the host and port of a URL.
fn is_for(rule: &str, url: &str) -> bool {
    let rule: Result<gs_common::http::Resolve, _> = rule.parse();
    let (Ok(rule), Ok(url)) = (rule, url::Url::parse(url)) else {
        return false;
    };
    let host = url.host_str().unwrap_or_default();
    rule.host() == host.trim_matches(['[', ']']) && Some(rule.port()) == url.port_or_known_default()
}

/// How many tests there are going to be, at most.
fn tests(policy: &Policy, config: &Config) -> usize {
    let known = config.plan.personas.endpoints.len();
    let of_total = 3;
    if policy.only.is_empty() {
        return known + of_total;
    }
    let total = policy.only.iter().any(|name| name == TOTAL);
    policy.only.len() + if total { of_total - 1 } else { 0 }
}

type Ended = (&'static str, String);

struct Plans {
    base: Plan,
    new: Plan,
    deadline: Option<Instant>,
}

impl Plans {
    /// The pairs that were run to their end, and why there are no more, if there should be.
    async fn run(&self, pairs: usize, talk: &mut Talk) -> (Vec<(Run, Run)>, Option<Ended>) {
        let stop = Stop::listen();
        let mut ran: Vec<(Run, Run)> = Vec::new();
        for pair in 0..pairs {
            let mut found: [Option<Run>; 2] = [None, None];
            // ABBA.
            let order = if pair.is_multiple_of(2) {
                [0, 1]
            } else {
                [1, 0]
            };
            for side in order {
                let (name, plan) = if side == 0 {
                    ("base", &self.base)
                } else {
                    ("new", &self.new)
                };
                let mut plan = plan.clone();
                plan.seed = plan.seed.wrapping_add(pair as u64);
                match one(plan, &stop, self.deadline).await {
                    Ok(result) => {
                        let source = format!("{name} {}", pair + 1);
                        let run = run_of(&source, &result);
                        talk.note(&told(&run, pairs));
                        found[side] = Some(run);
                    }
                    Err(ended) => return (ran, Some(ended)),
                }
            }
            if let [Some(base), Some(new)] = found {
                ran.push((base, new));
            }
        }
        (ran, None)
    }
}

/// One run, or why the whole job is at its end.
pub(super) async fn one(
    plan: Plan,
    stop: &Stop,
    deadline: Option<Instant>,
) -> Result<RunResult, Ended> {
    let over = || {
        (
            reason::DEADLINE,
            "the deadline came before there was enough to judge".to_owned(),
        )
    };
    let interrupted = || {
        (
            INTERRUPTED,
            "interrupted before there was enough to judge".to_owned(),
        )
    };
    let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
    if left == Some(Duration::ZERO) {
        return Err(over());
    }
    if stop.is_asked() {
        return Err(interrupted());
    }
    let cancel = stop.clone().asked();
    let result = engine::run(plan, |_| ControlFlow::Continue(()), cancel, left)
        .await
        .map_err(|why| {
            let code = why.reason();
            (code, why.to_string())
        })?;
    match &result.end {
        End::Interrupted => Err(interrupted()),
        End::Deadline => Err(over()),
        End::Broken(why) => Err((reason::ENGINE_FAILED, why.clone())),
        End::Complete | End::Aborted(_) => Ok(result),
    }
}

fn run_of(source: &str, result: &RunResult) -> Run {
    crate::import::report::of_result(source, result, env!("CARGO_PKG_VERSION"))
}

fn told(run: &Run, pairs: usize) -> String {
    let total = run.rows.get(TOTAL);
    let of = |metric: Metric| {
        total
            .and_then(|row| row.metrics.get(&metric).copied())
            .unwrap_or(0.0)
    };
    format!(
        "{} of {pairs}: {} requests, p50 {:.1} ms, p95 {:.1} ms, {} failed",
        run.source,
        total.map_or(0, |row| row.requests),
        of(Metric::P50),
        of(Metric::P95),
        units::show_share((of(Metric::Failures) * 1e4).round() / 1e4),
    )
}

/// The judgement over pairs of which both runs say something.
fn judged(ran: &[(Run, Run)], kind: &Kind, policy: &Policy) -> Outcome {
    let mut kept = Vec::new();
    let mut void = Vec::new();
    for (base, new) in ran {
        let why: Vec<String> = [(base, true), (new, false)]
            .into_iter()
            .filter_map(|(run, is_base)| {
                Some(format!("{}: {}", run.source, run.says_nothing(is_base)?))
            })
            .collect();
        if why.is_empty() {
            kept.push((base.clone(), new.clone()));
        } else {
            void.extend(why);
        }
    }
    // One pair in five may be lost; whoever loses more has no generator to rely on.
    if kept.len() < LEAST_PAIRS || (ran.len() - kept.len()) * 5 > ran.len() {
        return Outcome::Void(void);
    }
    let comparison = judge::pairs(&kept, policy);
    let smallest = if *kind == Kind::SelfTest {
        comparison
            .judged
            .iter()
            .filter(|judged| {
                judged.measured.is_some()
                    && !matches!(judged.metric, Metric::Throughput | Metric::Failures)
            })
            .map(|judged| {
                let changes: Vec<f64> = kept
                    .iter()
                    .filter_map(|(base, new)| {
                        let value = |run: &Run| run.rows.get(&judged.name)?.value(judged.metric);
                        stats::log_ratio(value(base)?, value(new)?)
                    })
                    .collect();
                let limit = policy.margin.ln_1p();
                let change = judge::smallest_change(
                    &changes,
                    limit,
                    comparison.tests,
                    policy.alpha,
                    policy.seed,
                );
                (judged.name.clone(), change)
            })
            .collect()
    } else {
        Vec::new()
    };
    Outcome::Judged {
        comparison,
        void,
        smallest,
    }
}

fn pair_value((base, new): &(Run, Run)) -> Value {
    let side = |run: &Run, is_base: bool| {
        let row = run.rows.get(TOTAL);
        let of = |metric: Metric| row.and_then(|row| row.metrics.get(&metric));
        json!({
            "requests": row.map(|row| row.requests),
            "p50_ms": of(Metric::P50),
            "p95_ms": of(Metric::P95),
            "p99_ms": of(Metric::P99),
            "requests_per_second": of(Metric::Throughput),
            "failures": of(Metric::Failures),
            "void": run.says_nothing(is_base),
        })
    };
    json!({"base": side(base, true), "new": side(new, false)})
}
