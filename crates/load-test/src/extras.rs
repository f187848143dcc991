//! What is added to a run from outside: a shard's share of the load, the common start, files beside the
//! report.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::pin::Pin;

use gs_common::cli::Talk;
use gs_common::config::ConfigError;
use gs_common::file::{FileError, check_writable, write_atomic};
use gs_common::redact::Redactor;
use gs_common::report::{INTERRUPTED, Report};
use gs_common::units::show_duration;
use gs_common::verdict::Verdict;
use jiff::Timestamp;
use serde_json::json;

use crate::args::RunArgs;
use crate::compare::reason;
use crate::config::Config;
use crate::export::{self, ExportArgs};
use crate::goal::Goal;
use crate::hlog;
use crate::result::{Model, RunResult, Setup, Stage};
use crate::shard::{self, Shard, Start};
use crate::summary;

/// What is added to a run.
#[derive(Clone, Debug, Default)]
pub struct Extras {
    exports: ExportArgs,
    /// The exit code excuses what was judged.
    report_only: bool,
    whole: Option<Whole>,
    start: Option<Timestamp>,
    target: String,
}

/// The plan before it was split: a shard's log says it, so that shards can tell whether they belong
/// together.
#[derive(Clone, Debug)]
struct Whole {
    model: Model,
    stages: Vec<Stage>,
    seed: u64,
    shard: Shard,
}

impl Extras {
    /// Resolves what was typed, and takes a shard's share out of the plan.
    ///
    /// # Errors
    /// The shard does not exist or has no load, the time is none, two exports go to one file.
    pub fn resolve(
        args: &RunArgs,
        variables: &BTreeMap<String, String>,
        config: &mut Config,
    ) -> Result<Self, ConfigError> {
        let start = args
            .shard
            .start_at
            .as_deref()
            .map(|text| {
                text.parse::<Timestamp>().map_err(|error| {
                    ConfigError::new(format!("--start-at: `{text}` is no time: {error}"))
                        .hint("write it as RFC 3339, such as 2026-11-26T10:00:00Z")
                })
            })
            .transpose()?;
        let whole = args
            .shard
            .shard
            .as_deref()
            .map(|text| {
                let shard = Shard::parse(text, variables)
                    .map_err(|error| ConfigError::new(format!("--shard: {error}")))?;
                if args.personas.seed.is_none()
                    && config
                        .rows
                        .iter()
                        .any(|row| row.key == "seed" && row.value.is_empty())
                {
                    return Err(ConfigError::new(
                        "--shard: the shards need a common seed, and none is given",
                    )
                    .hint("give all of them the same `--seed N`; each adds its index"));
                }
                split(config, shard)
            })
            .transpose()?;
        let paths: Vec<&Path> = files(&args.export).collect();
        for (place, path) in paths.iter().enumerate() {
            if paths[..place].contains(path) {
                return Err(ConfigError::new(format!(
                    "two exports go to `{}`",
                    path.display()
                )));
            }
        }
        Ok(Self {
            exports: args.export.clone(),
            report_only: args.output.report_only,
            whole,
            start,
            target: config.plan.target.to_string(),
        })
    }

    /// Waits for the common start. A report only where the run must not begin: a file that was asked for could
    /// not be written in the end, it was interrupted, or the clock is far off.
    pub async fn wait(
        &self,
        talk: &mut Talk,
        stop: Pin<&mut impl Future<Output = ()>>,
    ) -> Option<Report> {
        let ended = |reason: &str, summary: String| {
            let mut report = summary::empty(self.target.trim_end_matches('/'), Timestamp::now());
            report.reason = reason.to_owned();
            report.summary = summary;
            Some(report)
        };
        // Now, not after minutes of load on somebody's service that nobody could read about.
        if let Some(problem) = files(&self.exports).find_map(|path| check_writable(path).err()) {
            return ended(
                reason::EXPORT_FAILED,
                format!(
                    "no verdict: {problem}; {}; no load was sent",
                    problem.hint()
                ),
            );
        }
        let at = self.start?;
        match shard::start(at, Timestamp::now()) {
            Err(why) => ended(
                crate::judge::reason::START_FAILED,
                format!("no verdict: the common start cannot be kept: {why}; no load was sent"),
            ),
            // The merge would refuse its log.
            Ok(Start::Late(by)) if self.others_are_done(by) => ended(
                crate::judge::reason::START_FAILED,
                format!(
                    "no verdict: the common start {at} was {} ago, and the other shards are done: their logs and one of this shard would not belong together; no load was sent",
                    show_duration(std::time::Duration::from_secs(by.as_secs()))
                ),
            ),
            Ok(Start::Late(by)) => {
                talk.warning(&format!(
                    "the common start {at} was {} ago: the other shards are ahead of this one; check the clocks, or start later",
                    show_duration(std::time::Duration::from_millis(by.as_millis() as u64))
                ));
                None
            }
            Ok(Start::In(wait)) => {
                talk.note(&format!("waiting for the common start {at}"));
                tokio::select! {
                    () = tokio::time::sleep(wait) => None,
                    () = stop => ended(
                        INTERRUPTED,
                        "interrupted while waiting for the common start; no load was sent".to_owned(),
                    ),
                }
            }
        }
    }

    /// Whether shards that started in time, `by` ago, have come to the end of the plan.
    fn others_are_done(&self, by: std::time::Duration) -> bool {
        self.whole.as_ref().is_some_and(|whole| {
            let plan: std::time::Duration = whole.stages.iter().map(|stage| stage.duration).sum();
            whole.shard.count > 1 && by >= plan
        })
    }

    /// Puts the whole plan into a shard's record.
    pub fn restore(&self, setup: &mut Setup) {
        if let Some(whole) = &self.whole {
            setup.model = whole.model;
            setup.stages.clone_from(&whole.stages);
            setup.seed = whole.seed;
            setup.shard = Some((whole.shard.index, whole.shard.count));
        }
    }

    /// Writes the exports, and says in the report what has to be known of a shard.
    pub fn finish(
        &self,
        result: &RunResult,
        goals: &[Goal],
        redactor: &Redactor,
        report: &mut Report,
    ) {
        if let Some(whole) = &self.whole {
            let Shard { index, count } = whole.shard;
            report
                .details
                .insert("shard".to_owned(), json!({"index": index, "count": count}));
            report.not_covered.push(format!(
                "this is shard {index} of {count}: its goals were held against its own share of the load"
            ));
            report
                .next
                .push("when all shards are done: load-test merge *.hlog".to_owned());
        }
        let report_only = self.report_only;
        export(&self.exports, result, goals, redactor, report, report_only);
    }
}

/// Writes the exports of a result. One that cannot be written makes a good verdict none: whoever asked for
/// it waits for a file that is not there. With `--report-only` that holds for a bad one too: the exit code would
/// excuse it.
pub(crate) fn export(
    exports: &ExportArgs,
    result: &RunResult,
    goals: &[Goal],
    redactor: &Redactor,
    report: &mut Report,
    report_only: bool,
) {
    let texts: Vec<String> = goals.iter().map(|goal| goal.text.clone()).collect();
    let mut problems: Vec<FileError> = Vec::new();
    let mut put = |path: &Option<std::path::PathBuf>,
                   write: &dyn Fn(&mut dyn Write) -> std::io::Result<()>| {
        if let Some(path) = path {
            problems.extend(write_atomic(path, |out| write(out)).err());
        }
    };
    put(&exports.hlog, &|out| {
        hlog::write(result, &texts, redactor, out)
    });
    put(&exports.csv, &|out| {
        out.write_all(redactor.text(&export::csv(result)).as_bytes())
    });
    put(&exports.benchmark_json, &|out| {
        writeln!(out, "{:#}", export::benchmark_json(result))
    });
    for problem in problems {
        let sentence = format!("{problem}; {}", problem.hint());
        if report.verdict < Verdict::Inconclusive || report_only && report.verdict == Verdict::Fail
        {
            report.verdict = Verdict::Inconclusive;
            report.reason = reason::EXPORT_FAILED.to_owned();
            report.summary = format!("no verdict: {sentence}. Of the run: {}", report.summary);
        }
        report.not_covered.push(sentence);
    }
}

fn files(exports: &ExportArgs) -> impl Iterator<Item = &Path> {
    [&exports.hlog, &exports.csv, &exports.benchmark_json]
        .into_iter()
        .filter_map(Option::as_deref)
}

/// Leaves a shard's share in the plan, and hands back the whole.
fn split(config: &mut Config, shard: Shard) -> Result<Whole, ConfigError> {
    let plan = &mut config.plan;
    let whole = Whole {
        model: plan.model,
        stages: plan.stages.clone(),
        seed: plan.seed,
        shard,
    };
    let nothing = |what: &str| {
        ConfigError::new(format!(
            "--shard: {what} are fewer than {} shards: some would have no load",
            shard.count
        ))
        .hint("use fewer shards, or more load")
    };
    let is_closed = matches!(plan.model, Model::Closed { .. });
    match &mut plan.model {
        Model::Closed { users } => {
            if *users < u64::from(shard.count) {
                return Err(nothing(&format!("{users} users")));
            }
            *users = shard.of_count(*users);
        }
        Model::Open {
            rate, connections, ..
        } => {
            if *connections < shard.count as usize {
                return Err(nothing(&format!("{connections} connections")));
            }
            *rate = shard.of_rate(*rate);
            *connections = shard.of_count(*connections as u64) as usize;
        }
    }
    for stage in &mut plan.stages {
        for load in [&mut stage.from, &mut stage.target] {
            *load = if is_closed {
                shard.of_count(load.round() as u64) as f64
            } else {
                shard.of_rate(*load)
            };
        }
    }
    plan.max_rate = plan.max_rate.map(|rate| shard.of_rate(rate));
    plan.seed = shard.seed(plan.seed);
    plan.shard = Some((shard.index, shard.count));
    Ok(whole)
}
