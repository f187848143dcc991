//! The command line from outside: streams, signals and exit codes. The only place that prints.

use std::ffi::OsString;
use std::path::Path;
use std::time::{Duration, Instant};

use gs_common::cli::{self, OutputArgs, Talk};
use gs_common::config::ConfigError;
use gs_common::exit::Exit;
use gs_common::outside::{self, Outside, Variables, in_runtime, interrupted, say};
use gs_common::redact::Redactor;
use gs_common::report::Report;
use gs_common::sink::Sinks;
use jiff::Timestamp;

use crate::args::{Cli, ReplayArgs, SelftestArgs, Verb};
use crate::config::Config;
use crate::judge::Policy;
use crate::{attend, doctor, live, replay, selftest, verbs};

/// Work that goes on is told of at least so often.
const PROGRESS_EVERY: Duration = Duration::from_secs(10);

/// Runs a whole command line and says how to end.
pub fn command_line(line: impl IntoIterator<Item = OsString>, variables: Variables) -> Exit {
    outside::command_line(line, &variables, |cli| dispatch(cli, &variables))
}

fn dispatch(cli: &Cli, variables: &Variables) -> Exit {
    let with_html;
    let plain = OutputArgs::default();
    let output = match &cli.verb {
        None => &cli.run.output,
        Some(Verb::Report(args)) => {
            with_html = verbs::with_html(args);
            &with_html
        }
        Some(Verb::Backtest(args)) => &args.output,
        Some(Verb::Serve(args)) => &args.output,
        Some(Verb::Import(_)) => &plain,
        Some(Verb::Replay(args)) => &args.output,
        Some(Verb::Watch(args)) => &args.output,
        Some(Verb::Doctor(args)) => &args.output,
        Some(Verb::Selftest(args)) => &args.output,
        Some(Verb::Config { .. } | Verb::Completions { .. } | Verb::Man) => &cli.run.output,
    };
    let cwd = std::env::current_dir().unwrap_or_default();
    let outside = Outside {
        variables,
        cwd: &cwd,
        output,
    };
    let done = match &cli.verb {
        None => live::command(&cli.run, &outside),
        Some(Verb::Replay(args)) => judged(&outside, |sinks, talk| {
            let policy = policy(&args.policy, &outside, talk)?;
            let report = replayed(args, &policy)?;
            Ok(outside.finish(report, &Redactor::new(), sinks, talk))
        }),
        Some(Verb::Selftest(args)) => judged(&outside, |sinks, talk| {
            let policy = policy(&args.policy, &outside, talk)?;
            let report = tested(args, &policy, talk)?;
            Ok(outside.finish(report, &Redactor::new(), sinks, talk))
        }),
        Some(Verb::Report(args)) => judged(&outside, |sinks, talk| {
            let policy = policy(&args.policy, &outside, talk)?;
            let report = verbs::report(args, &policy)?;
            Ok(outside.finish(report, &Redactor::new(), sinks, talk))
        }),
        Some(Verb::Backtest(args)) if args.files.is_empty() => {
            backtested(args, &outside, variables, &cwd)
        }
        Some(Verb::Backtest(args)) => judged(&outside, |sinks, talk| {
            let policy = policy(&args.policy, &outside, talk)?;
            let report = verbs::backtest(args, &policy, talk)?;
            Ok(outside.finish(report, &Redactor::new(), sinks, talk))
        }),
        Some(Verb::Serve(args)) => {
            let mut talk = outside.talk(Redactor::new());
            in_runtime(verbs::serve(args, &mut talk, interrupted())).flatten()
        }
        Some(Verb::Import(args)) => verbs::import(args).and_then(|(section, any)| {
            say(|out| out.write_all(section.as_bytes()))?;
            Ok(if any { Exit::Good } else { Exit::NoVerdict })
        }),
        Some(Verb::Watch(args)) => attend::command(args, &outside),
        Some(Verb::Doctor(args)) => doctor::command(args, &outside),
        Some(Verb::Config { run, json }) => Config::resolve(run, variables, &cwd)
            .and_then(|config| say(|out| cli::show_settings(&config.rows, *json, out))),
        Some(Verb::Completions { shell }) => say(|out| cli::completions::<Cli>(*shell, out)),
        Some(Verb::Man) => say(cli::man::<Cli>),
    };
    outside.end(done)
}

/// A verb that ends with a report: its places are checked before anything else.
fn judged(
    outside: &Outside<'_>,
    work: impl FnOnce(&Sinks, &mut Talk) -> Result<Exit, ConfigError>,
) -> Result<Exit, ConfigError> {
    let sinks = outside.sinks()?;
    work(&sinks, &mut outside.talk(Redactor::new()))
}

/// The policy of a verb that judges what was recorded.
fn policy(
    args: &crate::args::PolicyArgs,
    outside: &Outside<'_>,
    talk: &mut Talk,
) -> Result<Policy, ConfigError> {
    let (policy, warnings) = Config::policy(args, outside.variables, outside.cwd)?;
    for warning in &warnings {
        talk.warning(warning);
    }
    Ok(policy)
}

fn replayed(args: &ReplayArgs, policy: &Policy) -> Result<Report, ConfigError> {
    let how = replay::How {
        judge: args.judge,
        recorded_policy: args.recorded_policy,
        legacy_view: args.legacy_view,
    };
    let started_at = Timestamp::now();
    let replayed = args
        .files
        .iter()
        .map(|path| replay::file(path, how, policy))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(replay::report(&replayed, args.judge, started_at))
}

/// A backtest of what a source remembers.
fn backtested(
    args: &verbs::BacktestArgs,
    outside: &Outside<'_>,
    variables: &Variables,
    cwd: &Path,
) -> Result<Exit, ConfigError> {
    let sinks = outside.sinks()?;
    let config = Config::resolve(&verbs::run_of(args), variables, cwd)?;
    let mut talk = outside.talk(config.redactor.clone());
    for warning in &config.warnings {
        talk.warning(warning);
    }
    let report = in_runtime(async {
        tokio::select! {
            report = verbs::backtest_source(args, &config, &mut talk) => report.map(Some),
            () = interrupted() => Ok(None),
        }
    })??;
    match report {
        Some(report) => Ok(outside.finish(report, &config.redactor, &sinks, &mut talk)),
        None => Ok(Exit::Interrupted),
    }
}

fn tested(args: &SelftestArgs, policy: &Policy, talk: &mut Talk) -> Result<Report, ConfigError> {
    if args
        .rate
        .is_some_and(|rate| !(0.01..=10_000.0).contains(&rate))
    {
        return Err(
            ConfigError::new("--rate does not lie between 0.01 and 10000").hint("write --rate 20"),
        );
    }
    let started_at = Timestamp::now();
    let plan = selftest::plan(args);
    if plan.is_empty() {
        return Err(
            ConfigError::new("--scenario: no scenario has a name like that")
                .hint("leave it out to see all of them"),
        );
    }
    let mut rows = Vec::new();
    let (began, mut told) = (Instant::now(), Instant::now());
    for (number, (scenario, world)) in plan.iter().enumerate() {
        let progress = format!(
            "{} of {} cells, {} s: {}",
            number + 1,
            plan.len(),
            began.elapsed().as_secs(),
            scenario.name
        );
        // A log hears of it now and then, who asks for more hears of each.
        if told.elapsed() >= PROGRESS_EVERY {
            told = Instant::now();
            talk.note(&progress);
        } else {
            talk.detail(&progress);
        }
        rows.push(selftest::row(scenario, world, args, policy));
    }
    Ok(selftest::report(&rows, args, started_at))
}
