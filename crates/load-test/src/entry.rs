//! The command line from outside: streams, signals and exit codes. The only place that prints.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{IsTerminal as _, Write};
use std::path::Path;

use gs_common::cli::{self, Early, OutputArgs, Talk};
use gs_common::config::ConfigError;
use gs_common::exit::Exit;
use gs_common::redact::Redactor;
use gs_common::render::Look;
use gs_common::report::Report;
use gs_common::sink::{Sinks, conclude};

use crate::args::{Cli, RunArgs, Verb};
use crate::config::Config;
use crate::extras::Extras;
use crate::{jobs, run, verbs};

/// The environment's variables.
pub(crate) type Variables = BTreeMap<String, String>;

/// Runs a whole command line and says how to end.
pub fn command_line(line: impl IntoIterator<Item = OsString>, variables: Variables) -> Exit {
    match cli::parse::<Cli>(line) {
        Err(early) => say_early(&early, &variables),
        Ok(cli) => dispatch(&cli, &variables),
    }
}

fn say_early(early: &Early, variables: &Variables) -> Exit {
    // A closed pipe has nobody left who could be told.
    if early.to_stdout {
        let text = early.shown(variables, std::io::stdout().is_terminal());
        let _ = std::io::stdout().lock().write_all(text.as_bytes());
    } else {
        let text = early.shown(variables, std::io::stderr().is_terminal());
        let _ = std::io::stderr().lock().write_all(text.as_bytes());
    }
    early.exit
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
    let talk = |redactor: Redactor| {
        let color = output
            .color
            .wanted(variables, std::io::stderr().is_terminal());
        Talk::new(std::io::stderr(), redactor, color, output)
    };
    let text = match &cli.verb {
        None => return load(&cli.run, false, variables, &cwd, talk),
        Some(Verb::Check(args)) => return load(args, true, variables, &cwd, talk),
        Some(Verb::Ab(args)) => {
            return job(&args.output, variables, talk, |talk| {
                jobs::ab(args, variables, &cwd, talk)
            });
        }
        Some(Verb::Compare(args)) => {
            return job(&args.output, variables, talk, |_| jobs::compare(args));
        }
        Some(Verb::FindMax(args)) => {
            return job(&args.run.output, variables, talk, |talk| {
                jobs::find_max(args, variables, &cwd, talk)
            });
        }
        Some(Verb::Merge(args)) => {
            return job(&args.output, variables, talk, |_| jobs::merge(args));
        }
        Some(Verb::Import(args)) => jobs::import(args),
        Some(Verb::Init { path }) => verbs::init(path),
        Some(Verb::Validate(args)) => verbs::validate(args, variables, &cwd),
        Some(Verb::DryRun { personas, json }) => verbs::dry_run(personas, *json, variables, &cwd),
        Some(Verb::Config { run, json }) => Config::rows(run, variables, &cwd)
            .and_then(|rows| written(|out| cli::show_settings(&rows, *json, out))),
        Some(Verb::Completions { shell }) => written(|out| cli::completions::<Cli>(*shell, out)),
        Some(Verb::Man) => written(cli::man::<Cli>),
    };
    match text {
        Ok(text) => {
            let _ = std::io::stdout().lock().write_all(text.as_bytes());
            Exit::Good
        }
        Err(error) => {
            talk(Redactor::new()).config_error(&error);
            Exit::Usage
        }
    }
}

fn written(
    write: impl FnOnce(&mut dyn Write) -> std::io::Result<()>,
) -> Result<String, ConfigError> {
    let mut text = Vec::new();
    write(&mut text).map_err(|error| ConfigError::new(error.to_string()))?;
    String::from_utf8(text).map_err(|error| ConfigError::new(error.to_string()))
}

/// A job that makes a report of its own. The redactor is the job's, since only it knows the secrets.
fn job(
    output: &OutputArgs,
    variables: &Variables,
    talk: impl Fn(Redactor) -> Talk,
    work: impl FnOnce(&dyn Fn(Redactor) -> Talk) -> Result<(Report, Redactor), ConfigError>,
) -> Exit {
    let done = sinks(output).and_then(|sinks| Ok((sinks, work(&talk)?)));
    match done {
        Ok((sinks, (report, redactor))) => {
            let mut talk = talk(redactor.clone());
            finish(report, &redactor, &sinks, output, variables, &mut talk)
        }
        Err(error) => {
            talk(Redactor::new()).config_error(&error);
            Exit::Usage
        }
    }
}

fn sinks(output: &OutputArgs) -> Result<Sinks, ConfigError> {
    Sinks::parse(&output.output).map_err(|error| {
        ConfigError::new(error).hint("write --output FORMAT or --output FORMAT=PATH")
    })
}

/// The main job, and the check that is its little sister.
fn load(
    args: &RunArgs,
    check_only: bool,
    variables: &Variables,
    cwd: &Path,
    talk: impl Fn(Redactor) -> Talk,
) -> Exit {
    let prepared = sinks(&args.output).and_then(|sinks| {
        let mut config = Config::resolve(args, variables, cwd)?;
        let extras = Extras::resolve(args, variables, &mut config)?;
        Ok((sinks, config, extras))
    });
    let (sinks, config, extras) = match prepared {
        Ok(prepared) => prepared,
        Err(error) => {
            talk(Redactor::new()).config_error(&error);
            return Exit::Usage;
        }
    };
    let redactor = config.redactor.clone();
    let mut talk = talk(redactor.clone());
    let quiet = args.output.quiet;
    let threads = config.plan.threads;
    let outcome = in_runtime(threads, async {
        if check_only {
            run::check(config, &mut talk, interrupted()).await
        } else {
            let mut stop = std::pin::pin!(interrupted());
            match extras.wait(&mut talk, stop.as_mut()).await {
                Some(report) => report,
                None => run::run(config, &extras, &mut talk, quiet, stop).await,
            }
        }
    });
    match outcome {
        Ok(report) => finish(
            report,
            &redactor,
            &sinks,
            &args.output,
            variables,
            &mut talk,
        ),
        Err(error) => {
            talk.config_error(&error);
            Exit::Usage
        }
    }
}

/// Runs a future on so many threads. One thread is the cheapest: nothing is handed from one to another.
pub(crate) fn in_runtime<T>(
    threads: usize,
    work: impl Future<Output = T>,
) -> Result<T, ConfigError> {
    let mut builder = if threads > 1 {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        builder.worker_threads(threads);
        builder
    } else {
        tokio::runtime::Builder::new_current_thread()
    };
    let runtime = builder
        .enable_all()
        .build()
        .map_err(|error| ConfigError::new(format!("cannot start: {error}")))?;
    let done = runtime.block_on(work);
    // Users that were cut off must not hold up the end.
    runtime.shutdown_background();
    Ok(done)
}

/// Ends with the first Ctrl-C or SIGTERM.
pub(crate) async fn interrupted() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        match signal(SignalKind::terminate()) {
            Ok(mut terminate) => tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            },
            Err(_) => drop(tokio::signal::ctrl_c().await),
        }
    }
    #[cfg(not(unix))]
    drop(tokio::signal::ctrl_c().await);
}

/// Delivers a report and turns it into an exit code.
pub(crate) fn finish(
    report: Report,
    redactor: &Redactor,
    sinks: &Sinks,
    output: &OutputArgs,
    variables: &Variables,
    talk: &mut Talk,
) -> Exit {
    let mut stdout = std::io::stdout().lock();
    let look = look(output, variables, stdout.is_terminal());
    conclude(
        report,
        redactor,
        sinks,
        output,
        variables,
        &look,
        &mut stdout,
        &mut std::io::stderr(),
        talk,
    )
}

pub(crate) fn look(output: &OutputArgs, variables: &Variables, is_terminal: bool) -> Look {
    let columns = variables
        .get("COLUMNS")
        .and_then(|columns| columns.parse().ok());
    let width = columns.unwrap_or_else(|| terminal_width(is_terminal));
    Look {
        color: output.color.wanted(variables, is_terminal),
        width,
        verbose: output.verbose,
        quiet: output.quiet,
    }
}

fn terminal_width(is_terminal: bool) -> usize {
    let columns = console::Term::stdout()
        .size_checked()
        .map_or(100, |(_, columns)| usize::from(columns));
    if is_terminal {
        columns.clamp(40, 160)
    } else {
        100
    }
}
