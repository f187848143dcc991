//! `load-test find-max`: the highest rate at which the goals hold.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use clap::Args;
use gs_common::cli::Talk;
use gs_common::config::ConfigError;
use gs_common::outside::Stop;
use gs_common::redact::Redactor;
use gs_common::report::{Check, Evidence, Quantity, Report, Series};
use gs_common::units;
use gs_common::verdict::Verdict;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::ab::one;
use crate::args::RunArgs;
use crate::compare::reason;
use crate::config::Config;
use crate::engine::Plan;
use crate::entry;
use crate::find_max::search::{self, Found, Held, Next, Search, Step};
use crate::goal::{Goal, Metric, Scope};
use crate::judge::{BEYOND, FEW, Judgement, judge};
use crate::result::{Arrivals, Model, RunResult, Stage};
use crate::summary;

/// `load-test find-max`.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  load-test find-max http://127.0.0.1:8000 --goal 'p95<200ms'
      doubles the rate from 20 requests a second on, then halves the gap, then confirms
  load-test find-max http://127.0.0.1:8000 --goal 'p95<200ms' --from 100 --most 2000 --at-least 300
      fails if the target takes less than 300 requests a second")]
pub struct FindMaxArgs {
    /// Requests a second of the first step
    #[arg(long, value_name = "N", default_value_t = 20.0)]
    pub from: f64,
    /// No higher rate is tried
    #[arg(long, value_name = "N", default_value_t = 10_000.0)]
    pub most: f64,
    /// How near the highest rate that held and the lowest that failed have to be
    #[arg(long, value_name = "SHARE", default_value = "5%")]
    pub precision: String,
    /// Fail if the rate that is found is lower
    #[arg(long, value_name = "N")]
    pub at_least: Option<f64>,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc would become the help heading's text")]
    pub run: RunArgs,
}

/// Length of one step where none is typed.
const DURATION: &str = "15s";

/// A search takes at most so long where no deadline is given.
const LONGEST: Duration = Duration::from_secs(1800);

/// The confirming run is so many times as long as a step.
const CONFIRMING: u32 = 2;

/// Searches the highest rate that holds.
///
/// # Errors
/// Something was typed or configured wrongly.
pub fn find_max(
    args: &FindMaxArgs,
    variables: &BTreeMap<String, String>,
    cwd: &Path,
    talk: &dyn Fn(Redactor) -> Talk,
) -> Result<(Report, Redactor), ConfigError> {
    let (config, plan) = resolve(args, variables, cwd)?;
    let redactor = config.redactor.clone();
    let started_at = Timestamp::now();
    let mut talk = talk(redactor.clone());
    for warning in &config.warnings {
        talk.warning(warning);
    }
    let limit = config.deadline.unwrap_or(LONGEST);
    let (trials, end) = entry::in_runtime(
        config.plan.threads,
        climb(
            &config,
            Search::new(plan),
            Instant::now() + limit,
            &mut talk,
        ),
    )?;
    let report = report(args, &config, &trials, &end, started_at);
    Ok((report, redactor))
}

fn resolve(
    args: &FindMaxArgs,
    variables: &BTreeMap<String, String>,
    cwd: &Path,
) -> Result<(Config, search::Plan), ConfigError> {
    let load = &args.run.load;
    let given = [
        (load.users.is_some(), "--users"),
        (load.rate.is_some(), "--rate"),
        (!load.stage.is_empty(), "--stage"),
        (load.ramp.is_some(), "--ramp"),
        (load.ramp_down.is_some(), "--ramp-down"),
        (args.run.shard.shard.is_some(), "--shard"),
        (args.run.shard.start_at.is_some(), "--start-at"),
        (args.run.export.hlog.is_some(), "--hlog"),
        (args.run.export.csv.is_some(), "--csv"),
        (args.run.export.benchmark_json.is_some(), "--benchmark-json"),
        (args.run.goals.abort_after.is_some(), "--abort-after"),
    ];
    if let Some((_, flag)) = given.into_iter().find(|(is_given, _)| *is_given) {
        return Err(ConfigError::new(format!(
            "{flag} means nothing to find-max: it chooses rates by itself"
        ))
        .hint("leave it out; `--from`, `--most` and `--duration` shape the search"));
    }
    let rate = |flag: &str, rate: f64| {
        if (0.1..=1e6).contains(&rate) {
            return Ok(rate);
        }
        Err(ConfigError::new(format!(
            "{flag}: {rate} does not lie between 0.1 and 1000000 requests a second"
        )))
    };
    let (from, most) = (rate("--from", args.from)?, rate("--most", args.most)?);
    if let Some(least) = args.at_least {
        rate("--at-least", least)?;
        if least > most {
            return Err(
                ConfigError::new("--at-least is above --most: it could never be reached")
                    .hint("raise --most"),
            );
        }
    }
    if from > most {
        return Err(ConfigError::new("--from is above --most").hint("lower --from"));
    }
    let precision = units::share(&args.precision)
        .map_err(|error| ConfigError::new(format!("--precision: {error}")))?;
    if !(0.01..=0.5).contains(&precision) {
        return Err(ConfigError::new(
            "--precision does not lie between 1% and 50%",
        ));
    }
    let mut run = args.run.clone();
    run.load.rate = Some(from.to_string());
    run.load.duration.get_or_insert_with(|| DURATION.to_owned());
    let config = Config::resolve(&run, variables, cwd)?;
    let cap = config.plan.max_rate.unwrap_or(f64::INFINITY);
    Ok((
        config,
        search::Plan {
            from,
            most: most.min(cap),
            precision,
        },
    ))
}

/// A finished step with what was seen.
struct Trial {
    step: Step,
    seconds: f64,
    requests: u64,
    per_second: f64,
    p95_ms: Option<f64>,
    failures: f64,
}

/// How a search ends: by itself, or before.
enum End {
    Found(Found),
    Before(&'static str, String),
}

async fn climb(
    config: &Config,
    mut search: Search,
    deadline: Instant,
    talk: &mut Talk,
) -> (Vec<Trial>, End) {
    let stop = Stop::listen();
    let mut trials = Vec::new();
    loop {
        let (rate, confirms) = match search.next() {
            Next::Done(found) => return (trials, End::Found(found)),
            Next::Try { rate, confirms } => (rate, confirms),
        };
        let number = trials.len() as u64;
        let plan = step_plan(config, rate, confirms, number);
        let result = match one(plan, &stop, Some(deadline)).await {
            Ok(result) => result,
            Err((code, why)) => return (trials, End::Before(code, why)),
        };
        let judgement = judge(&result, &config.goals);
        let step = Step {
            rate,
            confirms,
            held: held(&judgement),
        };
        let trial = trial(step.clone(), &result);
        talk.note(&told(&trial));
        trials.push(trial);
        search.record(step);
    }
}

/// The plan of a step: long enough for its goals' percentiles to be judged.
fn step_plan(config: &Config, rate: f64, confirms: bool, number: u64) -> Plan {
    let mut plan = config.plan.clone();
    let planned = crate::engine::schedule::length(&plan.stages).saturating_sub(plan.warm_up);
    // A tenth more than needed, since arrivals may be Poisson's.
    let needed = Duration::from_secs_f64(1.1 * most_needed(&config.goals) as f64 / rate);
    let mut length = planned.max(needed);
    if confirms {
        length *= CONFIRMING;
    }
    let (arrivals, connections) = match plan.model {
        Model::Open {
            arrivals,
            connections,
            ..
        } => (arrivals, connections),
        Model::Closed { .. } => (Arrivals::Even, 1000),
    };
    plan.model = Model::Open {
        rate,
        arrivals,
        connections,
    };
    plan.stages = vec![Stage {
        name: "hold".to_owned(),
        from: rate,
        target: rate,
        duration: length + plan.warm_up,
    }];
    plan.seed = plan.seed.wrapping_add(number);
    plan
}

/// The requests that the goals on everything need.
fn most_needed(goals: &[Goal]) -> u64 {
    goals
        .iter()
        .filter(|goal| goal.scope == Scope::All)
        .map(|goal| match goal.metric {
            Metric::Quantile(_, quantile) => (BEYOND / (1.0 - quantile)).ceil() as u64,
            _ => FEW,
        })
        .max()
        .unwrap_or(FEW)
}

fn held(judgement: &Judgement) -> Held {
    let why = || {
        judgement
            .goals
            .iter()
            .find(|judged| judged.verdict == judgement.verdict)
            .and_then(|judged| judged.message.clone())
            .or_else(|| judgement.saturated.clone())
            .unwrap_or_else(|| judgement.reason.to_owned())
    };
    // Whoever sends late measures itself: neither a failure nor a success counts.
    if let Some(saturated) = &judgement.saturated {
        return Held::Unknown(format!("the generator was saturated: {saturated}"));
    }
    match judgement.verdict {
        Verdict::Pass | Verdict::Warn => Held::Yes,
        Verdict::Fail => Held::No(why()),
        Verdict::Inconclusive => Held::Unknown(why()),
    }
}

fn trial(step: Step, result: &RunResult) -> Trial {
    let total = result.total();
    let share = if total.requests > 0 {
        total.failures as f64 / total.requests as f64
    } else {
        0.0
    };
    Trial {
        step,
        seconds: result.measured_seconds,
        requests: total.requests,
        per_second: if result.measured_seconds > 0.0 {
            total.requests as f64 / result.measured_seconds
        } else {
            0.0
        },
        p95_ms: (!total.response.is_empty())
            .then(|| total.response.value_at_quantile(0.95) as f64 / 1e3),
        failures: share,
    }
}

fn told(trial: &Trial) -> String {
    let outcome = match &trial.step.held {
        Held::Yes => "held".to_owned(),
        Held::No(why) => format!("lost: {why}"),
        Held::Unknown(why) => format!("not known: {why}"),
    };
    let p95 = trial
        .p95_ms
        .map_or_else(String::new, |p95| format!(", p95 {p95:.1} ms"));
    let again = if trial.step.confirms { " again" } else { "" };
    format!("{} requests/s{again}{p95}: {outcome}", trial.step.rate)
}

fn report(
    args: &FindMaxArgs,
    config: &Config,
    trials: &[Trial],
    end: &End,
    started_at: Timestamp,
) -> Report {
    let target = config.plan.target.to_string();
    let mut report = summary::empty(target.trim_end_matches('/'), started_at);
    let goals: Vec<&str> = config.goals.iter().map(|goal| goal.text.as_str()).collect();
    let (verdict, code, sentence, found) = concluded(args, end);
    report.verdict = verdict;
    code.clone_into(&mut report.reason);
    report.summary = sentence;
    report.checks = vec![check(verdict, code, &report.summary, found, args, trials)];
    report.series = vec![
        series("rate of steps", "1/s", trials, |trial| {
            Some(trial.step.rate)
        }),
        series("response p95", "ms", trials, |trial| trial.p95_ms),
    ];
    report.not_covered.push(
        "what happens beyond the confirming run: a leak or a cache that fills takes longer"
            .to_owned(),
    );
    if code == reason::CAPACITY_BEYOND {
        report
            .next
            .push("raise --most to find the limit".to_owned());
    }
    report.details.insert(
        "capacity".to_owned(),
        json!({
            "requests_per_second": found.map(|(held, _)| held),
            "lowest_lost": found.and_then(|(_, lost)| lost),
            "goals": goals,
            "steps": trials.iter().map(value).collect::<Vec<_>>(),
        }),
    );
    report
}

type Rates = Option<(f64, Option<f64>)>;

fn concluded(args: &FindMaxArgs, end: &End) -> (Verdict, &'static str, String, Rates) {
    let none = |code, why: String| {
        (
            Verdict::Inconclusive,
            code,
            format!("no verdict: {why}"),
            None,
        )
    };
    match end {
        End::Before(code, why) => none(*code, why.clone()),
        End::Found(Found::Unknown(why)) => none(reason::STEP_UNKNOWN, why.clone()),
        End::Found(Found::Unconfirmed) => none(
            reason::CAPACITY_UNCONFIRMED,
            "rates held once, and none held again: the target is not steady".to_owned(),
        ),
        End::Found(Found::Nothing) => (
            Verdict::Fail,
            reason::CAPACITY_NONE,
            format!(
                "the goals are lost at every rate that was tried, from {} requests/s down",
                args.from
            ),
            None,
        ),
        End::Found(Found::Rate { held, lost }) => {
            let rates = Some((*held, *lost));
            if let Some(least) = args.at_least.filter(|least| held < least) {
                return (
                    Verdict::Fail,
                    reason::CAPACITY_TOO_LOW,
                    format!("the goals hold up to {held} requests/s, {least} are wanted"),
                    rates,
                );
            }
            match lost {
                Some(lost) => (
                    Verdict::Pass,
                    reason::CAPACITY_FOUND,
                    format!("the goals hold up to {held} requests/s, and are lost at {lost}"),
                    rates,
                ),
                None => (
                    Verdict::Pass,
                    reason::CAPACITY_BEYOND,
                    format!(
                        "the goals hold up to {held} requests/s, the highest rate that was tried"
                    ),
                    rates,
                ),
            }
        }
    }
}

fn check(
    verdict: Verdict,
    code: &str,
    sentence: &str,
    found: Rates,
    args: &FindMaxArgs,
    trials: &[Trial],
) -> Check {
    Check {
        verdict,
        reason: (verdict != Verdict::Pass).then(|| code.to_owned()),
        message: (verdict != Verdict::Pass).then(|| sentence.to_owned()),
        observed: found.map(|(held, _)| Quantity::of(held, "requests/s")),
        expected: args
            .at_least
            .map(|least| format!("at least {least} requests/s")),
        evidence: vec![Evidence {
            label: "steps".to_owned(),
            text: trials.iter().map(told).collect::<Vec<_>>().join("\n"),
        }],
        ..Check::passed("capacity", "highest rate at which the goals hold")
    }
}

/// The steps one after the other, by the seconds under load.
fn series(name: &str, unit: &str, trials: &[Trial], value: fn(&Trial) -> Option<f64>) -> Series {
    let mut at = 0.0;
    let points = trials
        .iter()
        .map(|trial| {
            let middle = at + trial.seconds / 2.0;
            at += trial.seconds;
            (middle, value(trial))
        })
        .collect();
    Series {
        name: name.to_owned(),
        unit: unit.to_owned(),
        points,
    }
}

fn value(trial: &Trial) -> Value {
    let (held, why) = match &trial.step.held {
        Held::Yes => ("yes", None),
        Held::No(why) => ("no", Some(why)),
        Held::Unknown(why) => ("unknown", Some(why)),
    };
    json!({
        "rate": trial.step.rate,
        "confirms": trial.step.confirms,
        "held": held,
        "why": why,
        "seconds": trial.seconds,
        "requests": trial.requests,
        "requests_per_second": trial.per_second,
        "p95_ms": trial.p95_ms,
        "failures": trial.failures,
    })
}
