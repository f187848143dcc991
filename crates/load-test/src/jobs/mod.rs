//! The verbs around a run: each takes what was typed and makes a report, or a text for stdout.

mod ab;
mod find_max;

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use gs_common::cli::OutputArgs;
use gs_common::config::{ConfigError, did_you_mean};
use gs_common::fingerprint;
use gs_common::redact::Redactor;
use gs_common::report::{Input, Report, Subject};
use gs_common::units;
use gs_common::verdict::Verdict;
use jiff::Timestamp;
use serde_json::json;

pub use ab::{AbArgs, ab};
pub use find_max::{FindMaxArgs, find_max};

use crate::compare::judge::Policy;
use crate::compare::model::Metric;
use crate::compare::{reason, stored};
use crate::export::ExportArgs;
use crate::goal::{self, Clock, Goal};
use crate::hlog::{self, Log};
use crate::judge::{judge, saturation};
use crate::merge::{Merged, Refusal};
use crate::result::Model;
use crate::{extras, import, summary};

/// What decides a comparison.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Comparison")]
pub struct JudgeArgs {
    /// What is compared: mean, p50, p90, p95 or p99; a lower percentile where a run has too few requests
    #[arg(long, value_name = "METRIC", default_value = "p95")]
    pub metric: String,
    /// So much slower is allowed
    #[arg(long, value_name = "SHARE", default_value = "10%")]
    pub margin: String,
    /// So many more of all requests may fail
    #[arg(long, value_name = "SHARE", default_value = "1%")]
    pub failure_margin: String,
    /// The chance of a false alarm, over all endpoints together
    #[arg(long, value_name = "SHARE", default_value = "5%")]
    pub alpha: String,
    /// Judge this endpoint only (`total` for all together); repeatable
    #[arg(long, value_name = "NAME")]
    pub endpoint: Vec<String>,
}

impl JudgeArgs {
    /// What is meant.
    ///
    /// # Errors
    /// A text is no metric or no share.
    pub fn policy(&self, seed: u64) -> Result<Policy, ConfigError> {
        let wrong = |flag: &str, why: String| ConfigError::new(format!("--{flag}: {why}"));
        let share = |flag: &str, text: &str| {
            units::share(text).map_err(|error| wrong(flag, error.to_string()))
        };
        let metric = Metric::of(&self.metric)
            .filter(|metric| !matches!(metric, Metric::Throughput | Metric::Failures))
            .ok_or_else(|| {
                wrong(
                    "metric",
                    format!("`{}` is none that is compared", self.metric),
                )
                .hint(
                    "write mean, p50, p90, p95 or p99; failures and throughput are always compared",
                )
            })?;
        let alpha = share("alpha", &self.alpha)?;
        if !(0.0001..=0.2).contains(&alpha) {
            return Err(wrong(
                "alpha",
                "it does not lie between 0.01% and 20%".to_owned(),
            ));
        }
        Ok(Policy {
            metric,
            margin: share("margin", &self.margin)?,
            failure_margin: share("failure-margin", &self.failure_margin)?,
            alpha,
            only: self.endpoint.clone(),
            seed,
        })
    }
}

/// `load-test compare`.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  load-test compare base-1.json base-2.json base-3.json base-4.json base-5.json new.json
      the last file is the new run, all before it are the baseline
  load-test compare base-1.json base-2.json --new new-1.json --new new-2.json
      several new runs
  load-test compare old-bench.json new-bench.json --metric p50
      two pytest-benchmark files: the ratio is shown, but one baseline run never fails

A baseline of fewer than five runs shows no spread, so it never fails a run.")]
pub struct CompareArgs {
    /// Runs: JSON reports or .hlog of load-test, Locust stats CSV, k6 summary, pytest-benchmark JSON
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
    /// A new run; then all other files are the baseline; repeatable
    #[arg(long, value_name = "FILE")]
    pub new: Vec<PathBuf>,
    /// Runs may differ in this: format, tool, personas, model, connections, target, machine, version
    #[arg(long, value_name = "MEMBER")]
    pub allow_different: Vec<String>,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc would become the help heading's text")]
    pub judge: JudgeArgs,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc would become the help heading's text")]
    pub output: OutputArgs,
}

/// Members of an identity that may be allowed to differ.
const MEMBERS: [&str; 8] = [
    "format",
    "tool",
    "personas",
    "model",
    "connections",
    "target",
    "machine",
    "version",
];

/// Compares stored runs.
///
/// # Errors
/// Something was typed wrongly. What cannot be read or compared is a report without verdict.
pub fn compare(args: &CompareArgs) -> Result<(Report, Redactor), ConfigError> {
    let mut base = args.files.clone();
    let mut new = args.new.clone();
    if new.is_empty() {
        new.extend(base.pop());
    }
    if base.is_empty() {
        return Err(ConfigError::new("there is nothing to compare with")
            .hint("name the baseline's files first, and the new run last"));
    }
    for name in &args.allow_different {
        if !MEMBERS.contains(&name.as_str()) {
            let hint = match did_you_mean(name, MEMBERS) {
                Some(word) => format!("did you mean `{word}`?"),
                None => format!("write one of {}", MEMBERS.join(", ")),
            };
            return Err(ConfigError::new(format!(
                "--allow-different: `{name}` is nothing that runs have"
            ))
            .hint(hint));
        }
    }
    let policy = args.judge.policy(1)?;
    let files = stored::Files {
        base,
        new,
        allowed: args.allow_different.clone(),
    };
    Ok((
        stored::compare(&files, &policy, Timestamp::now()),
        Redactor::new(),
    ))
}

/// `load-test merge`.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  load-test merge shard-0.hlog shard-1.hlog shard-2.hlog shard-3.hlog
      one report of four machines, with the goals that they were given
  load-test merge *.hlog --goal 'p99<500ms' --hlog whole.hlog
      other goals, and the whole as one log")]
pub struct MergeArgs {
    /// The logs of all shards of one run
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
    /// Goals instead of those that the shards were given; repeatable
    #[arg(long, value_name = "GOAL")]
    pub goal: Vec<String>,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc would become the help heading's text")]
    pub export: ExportArgs,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc would become the help heading's text")]
    pub output: OutputArgs,
}

/// Makes one run of the logs of all shards.
///
/// # Errors
/// A goal was typed wrongly. Logs that cannot be read or merged are a report without verdict.
pub fn merge(args: &MergeArgs) -> Result<(Report, Redactor), ConfigError> {
    let typed = args
        .goal
        .iter()
        .map(|text| Goal::parse(text))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|why| ConfigError::new(format!("--goal {why}")))?;
    let started_at = Timestamp::now();
    let mut inputs = Vec::new();
    let mut logs = Vec::new();
    let mut broken = Vec::new();
    for path in &args.files {
        let (input, log) = read(path);
        inputs.push(input);
        match log {
            Ok(log) => logs.push((path.display().to_string(), log)),
            Err(why) => broken.push(format!("{}: {why}", path.display())),
        }
    }
    // Each generator for itself: a mean over four hides the one that was late.
    let saturated: Vec<String> = logs
        .iter()
        .filter_map(|(path, log)| Some(format!("{path}: {}", saturation(&log.result)?)))
        .collect();
    let none = |code: &str, why: String| {
        let mut report = summary::empty("shards", started_at);
        report.subject = Subject {
            kind: "runs".to_owned(),
            name: inputs
                .iter()
                .map(|input: &Input| input.path.as_str())
                .collect::<Vec<_>>()
                .join(", "),
            commit: None,
        };
        report.reason = code.to_owned();
        report.summary = format!("no verdict: {why}");
        report
    };
    if !broken.is_empty() {
        let mut report = none(reason::UNREADABLE, broken.join("; "));
        report.inputs = inputs;
        return Ok((report, Redactor::new()));
    }
    let mut report = match crate::merge::merge(logs) {
        Err(refusal) => {
            let code = match refusal {
                Refusal::Missing(_) => reason::SHARDS_MISSING,
                Refusal::NotTogether(_) => reason::NOT_TOGETHER,
            };
            none(code, refusal.to_string())
        }
        Ok(merged) => merged_report(&merged, typed, &saturated, args)?,
    };
    report.inputs = inputs;
    Ok((report, Redactor::new()))
}

fn merged_report(
    merged: &Merged,
    typed: Vec<Goal>,
    saturated: &[String],
    args: &MergeArgs,
) -> Result<Report, ConfigError> {
    let result = &merged.log.result;
    let of_logs = merged
        .log
        .goals
        .iter()
        .map(|text| Goal::parse(text))
        .collect::<Result<Vec<_>, _>>();
    let goals = if typed.is_empty() {
        of_logs.map_err(|why| {
            ConfigError::new(format!("a goal of the logs cannot be read: {why}"))
                .hint("give the goals with --goal")
        })?
    } else {
        let at_a_rate = matches!(result.setup.model, Model::Open { .. });
        goal::fits(&typed, at_a_rate, !result.websockets.is_empty())
            .map_err(|why| ConfigError::new(format!("--goal {why}")))?;
        goal::with_defaults(typed, slow_of(&of_logs.unwrap_or_default()))
    };
    let judgement = judge(result, &goals);
    let mut report = summary::report(result, &judgement);
    // The report is of the run, whenever its logs are merged.
    if let Ok(took) = Duration::try_from_secs_f64(result.measured_seconds)
        && let Ok(ended_at) = report
            .started_at
            .checked_add(took.saturating_add(result.setup.warm_up))
    {
        report.ended_at = ended_at;
    }
    // What was sent late says nothing about times; failures it does not explain.
    let proven = judgement
        .goals
        .iter()
        .any(|judged| judged.verdict == Verdict::Fail && !judged.goal.metric.is_time());
    if let (Some(first), false) = (saturated.first(), proven) {
        report.verdict = Verdict::Inconclusive;
        report.reason = crate::judge::reason::GENERATOR_SATURATED.to_owned();
        report.summary = format!("no verdict: a generator was saturated: {first}");
    }
    report.not_covered.extend(merged.warnings.iter().cloned());
    report.details.insert(
        "merge".to_owned(),
        json!({"logs": args.files.len(), "skew_seconds": (merged.skew_seconds * 1e3).round() / 1e3}),
    );
    extras::export(
        &args.export,
        result,
        &goals,
        &Redactor::new(),
        &mut report,
        args.output.report_only,
    );
    Ok(report)
}

/// What was slow for the run that wrote these goals; a second where they do not tell.
fn slow_of(goals: &[Goal]) -> Duration {
    goals
        .iter()
        .find(|goal| goal.warns && goal.metric == goal::Metric::Max(Clock::Response))
        .map_or(Duration::from_secs(1), |goal| {
            Duration::from_secs_f64(goal.limit / 1e3)
        })
}

fn read(path: &Path) -> (Input, Result<Log, String>) {
    let mut input = Input {
        path: path.display().to_string(),
        format: "hlog".to_owned(),
        outcome: "unreadable".to_owned(),
        ..Input::default()
    };
    let told = |error: import::Unreadable| match error.hint {
        Some(hint) => format!("{} ({hint})", error.message),
        None => error.message,
    };
    let bytes = match import::bytes(path) {
        Ok(bytes) => bytes,
        Err(error) => return (input, Err(told(error))),
    };
    input.sha256 = Some(fingerprint::sha256(&bytes));
    match hlog::read(&bytes) {
        Ok(log) => {
            input.outcome = "measured".to_owned();
            (input, Ok(log))
        }
        Err(error) => (input, Err(told(error))),
    }
}

/// `load-test import`.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  load-test import --har session.har > personas.toml
      a draft of personas; secrets become variables that the environment has to set")]
pub struct ImportArgs {
    /// A HAR 1.2 file, as browsers save it
    #[arg(long, value_name = "FILE")]
    pub har: PathBuf,
}

/// The draft of a persona file.
///
/// # Errors
/// The file cannot be read, or makes no draft.
pub fn import(args: &ImportArgs) -> Result<String, ConfigError> {
    let bytes = import::bytes(&args.har).map_err(|error| error.of(&args.har))?;
    let text = String::from_utf8(bytes).map_err(|error| {
        import::Unreadable::new(format!("it is no text (UTF-8): {error}")).of(&args.har)
    })?;
    import::har::draft(&text).map_err(|error| error.of(&args.har))
}
