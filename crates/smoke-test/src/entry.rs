//! The command line from outside: streams, signals and exit codes. The only place that prints.

use std::ffi::OsString;
use std::path::Path;

use gs_common::cli;
use gs_common::config::ConfigError;
use gs_common::exit::Exit;
use gs_common::outside::{self, Outside, Variables, in_runtime, interrupted, print, say, told};
use gs_common::redact::Redactor;

use crate::args::{Cli, DiffArgs, RunArgs, Verb};
use crate::config::Config;
use crate::{diff, run, verbs, watch};

/// Runs a whole command line and says how to end.
pub fn command_line(line: impl IntoIterator<Item = OsString>, variables: Variables) -> Exit {
    outside::command_line(line, &variables, |cli| dispatch(cli, &variables))
}

fn dispatch(cli: &Cli, variables: &Variables) -> Exit {
    let output = match &cli.verb {
        Some(Verb::Watch(args)) => &args.run.output,
        Some(Verb::Diff(args)) => &args.output,
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
        None => smoke(&cli.run, &outside),
        Some(Verb::Watch(args)) => watch::command(args, &outside),
        Some(Verb::Diff(args)) => compare(args, &outside),
        Some(Verb::Init { path }) => verbs::init(path).map(text),
        Some(Verb::Validate(args)) => verbs::validate(args, variables, &cwd).map(text),
        Some(Verb::List { suite, json }) => verbs::list(suite, *json, variables, &cwd).map(text),
        Some(Verb::Import(args)) => verbs::import(args).map(text),
        Some(Verb::Config { run, json }) => Config::settings(run, variables, &cwd)
            .and_then(|(_, config)| say(|out| cli::show_settings(&config.rows, *json, out))),
        Some(Verb::Completions { shell }) => say(|out| cli::completions::<Cli>(*shell, out)),
        Some(Verb::Man) => say(cli::man::<Cli>),
    })
}

/// The main job.
fn smoke(args: &RunArgs, outside: &Outside<'_>) -> Result<Exit, ConfigError> {
    let sinks = outside.sinks()?;
    let config = Config::resolve(args, outside.variables, outside.cwd)?;
    let redactor = config.redactor.clone();
    let mut talk = outside.talk(redactor.clone());
    let done = in_runtime(run::run(
        config,
        &mut talk,
        args.output.quiet,
        interrupted(),
    ))?
    .map(|report| outside.finish(report, &redactor, &sinks, &mut talk));
    Ok(told(done, &mut talk))
}

fn compare(args: &DiffArgs, outside: &Outside<'_>) -> Result<Exit, ConfigError> {
    let sinks = outside.sinks()?;
    let read = |path: &Path| diff::load(path);
    let (before, after) = (read(&args.before)?, read(&args.after)?);
    let report = diff::report((&args.before, &before), (&args.after, &after));
    let redactor = Redactor::new();
    let mut talk = outside.talk(redactor.clone());
    Ok(outside.finish(report, &redactor, &sinks, &mut talk))
}
