//! The command line from outside: streams, signals and exit codes. The only place that prints.

use std::ffi::OsString;

use gs_common::cli::{self, Talk};
use gs_common::config::ConfigError;
use gs_common::exit::Exit;
use gs_common::outside::{self, Outside, Variables, interrupted, print, say, told};
use gs_common::redact::Redactor;
use gs_common::report::Report;

use crate::args::{Cli, RunArgs, Verb};
use crate::config::Config;
use crate::extras::Extras;
use crate::{jobs, run, verbs};

/// Runs a whole command line and says how to end.
pub fn command_line(line: impl IntoIterator<Item = OsString>, variables: Variables) -> Exit {
    outside::command_line(line, &variables, |cli| dispatch(cli, &variables))
}

fn dispatch(cli: &Cli, variables: &Variables) -> Exit {
    let output = match &cli.verb {
        Some(Verb::Check(args)) => &args.output,
        Some(Verb::Ab(args)) => &args.output,
        Some(Verb::Compare(args)) => &args.output,
        Some(Verb::FindMax(args)) => &args.run.output,
        Some(Verb::Merge(args)) => &args.output,
        _ => &cli.run.output,
    };
    let cwd = std::env::current_dir().unwrap_or_default();
    let outside = Outside {
        variables,
        cwd: &cwd,
        output,
    };
    let text = |text: String| print(text.as_bytes());
    outside.end(match &cli.verb {
        None => load(&cli.run, false, &outside),
        Some(Verb::Check(args)) => load(args, true, &outside),
        Some(Verb::Ab(args)) => job(&outside, |talk| jobs::ab(args, variables, &cwd, talk)),
        Some(Verb::Compare(args)) => job(&outside, |_| jobs::compare(args)),
        Some(Verb::FindMax(args)) => {
            job(&outside, |talk| jobs::find_max(args, variables, &cwd, talk))
        }
        Some(Verb::Merge(args)) => job(&outside, |_| jobs::merge(args)),
        Some(Verb::Import(args)) => jobs::import(args).map(text),
        Some(Verb::Init { path }) => verbs::init(path).map(text),
        Some(Verb::Validate(args)) => verbs::validate(args, variables, &cwd).map(text),
        Some(Verb::DryRun { personas, json }) => {
            verbs::dry_run(personas, *json, variables, &cwd).map(text)
        }
        Some(Verb::Config { run, json }) => Config::rows(run, variables, &cwd)
            .and_then(|rows| say(|out| cli::show_settings(&rows, *json, out))),
        Some(Verb::Completions { shell }) => say(|out| cli::completions::<Cli>(*shell, out)),
        Some(Verb::Man) => say(cli::man::<Cli>),
    })
}

/// A job that makes a report of its own. The redactor is the job's, since only it knows the secrets.
fn job(
    outside: &Outside<'_>,
    work: impl FnOnce(&dyn Fn(Redactor) -> Talk) -> Result<(Report, Redactor), ConfigError>,
) -> Result<Exit, ConfigError> {
    let sinks = outside.sinks()?;
    let (report, redactor) = work(&|redactor| outside.talk(redactor))?;
    let mut talk = outside.talk(redactor.clone());
    Ok(outside.finish(report, &redactor, &sinks, &mut talk))
}

/// The main job, and the check that is its little sister.
fn load(args: &RunArgs, check_only: bool, outside: &Outside<'_>) -> Result<Exit, ConfigError> {
    let sinks = outside.sinks()?;
    let mut config = Config::resolve(args, outside.variables, outside.cwd)?;
    let extras = Extras::resolve(args, outside.variables, &mut config)?;
    let redactor = config.redactor.clone();
    let mut talk = outside.talk(redactor.clone());
    let quiet = args.output.quiet;
    let threads = config.plan.threads;
    let done = in_runtime(threads, async {
        if check_only {
            run::check(config, &mut talk, interrupted()).await
        } else {
            let mut stop = std::pin::pin!(interrupted());
            match extras.wait(&mut talk, stop.as_mut()).await {
                Some(report) => report,
                None => run::run(config, &extras, &mut talk, quiet, stop).await,
            }
        }
    })
    .map(|report| outside.finish(report, &redactor, &sinks, &mut talk));
    Ok(told(done, &mut talk))
}

/// Runs a future on so many threads. One thread is the cheapest: nothing is handed from one to another.
pub(crate) fn in_runtime<T>(
    threads: usize,
    work: impl Future<Output = T>,
) -> Result<T, ConfigError> {
    if threads > 1 {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        outside::in_runtime_of(builder.worker_threads(threads), work)
    } else {
        outside::in_runtime(work)
    }
}
