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

use crate::args::{Cli, DiffArgs, RunArgs, Verb};
use crate::config::Config;
use crate::{diff, run, verbs, watch};

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
        Some(Verb::Watch(args)) => &args.run.output,
        Some(Verb::Diff(args)) => &args.output,
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
        None => return smoke(&cli.run, variables, &cwd, talk),
        Some(Verb::Watch(args)) => return watch::command(args, variables, &cwd, talk),
        Some(Verb::Diff(args)) => return compare(args, variables, talk(Redactor::new())),
        Some(Verb::Init { path }) => verbs::init(path),
        Some(Verb::Validate(args)) => verbs::validate(args, variables, &cwd),
        Some(Verb::List { suite, json }) => verbs::list(suite, *json, variables, &cwd),
        Some(Verb::Import(args)) => verbs::import(args),
        Some(Verb::Config { run, json }) => Config::settings(run, variables, &cwd)
            .and_then(|(_, config)| written(|out| cli::show_settings(&config.rows, *json, out))),
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

/// The main job.
fn smoke(
    args: &RunArgs,
    variables: &Variables,
    cwd: &Path,
    talk: impl Fn(Redactor) -> Talk,
) -> Exit {
    let prepared = Sinks::parse(&args.output.output)
        .map_err(|error| {
            ConfigError::new(error).hint("write --output FORMAT or --output FORMAT=PATH")
        })
        .and_then(|sinks| Ok((sinks, Config::resolve(args, variables, cwd)?)));
    let (sinks, config) = match prepared {
        Ok(prepared) => prepared,
        Err(error) => {
            talk(Redactor::new()).config_error(&error);
            return Exit::Usage;
        }
    };
    let redactor = config.redactor.clone();
    let mut talk = talk(redactor.clone());
    let quiet = args.output.quiet;
    let outcome = in_runtime(async { run::run(config, &mut talk, quiet, interrupted()).await });
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

/// Runs a future on one thread: the work waits, it does not compute.
pub(crate) fn in_runtime<T>(
    work: impl Future<Output = Result<T, ConfigError>>,
) -> Result<T, ConfigError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| ConfigError::new(format!("cannot start: {error}")))?;
    let done = runtime.block_on(work);
    // A resolver that hangs in its own thread must not hold up the end.
    runtime.shutdown_background();
    done
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

fn compare(args: &DiffArgs, variables: &Variables, mut talk: Talk) -> Exit {
    let sinks = match Sinks::parse(&args.output.output) {
        Ok(sinks) => sinks,
        Err(error) => {
            talk.error(&error, None);
            return Exit::Usage;
        }
    };
    let read = |path: &Path| diff::load(path);
    match (read(&args.before), read(&args.after)) {
        (Ok(before), Ok(after)) => {
            let report = diff::report((&args.before, &before), (&args.after, &after));
            finish(
                report,
                &Redactor::new(),
                &sinks,
                &args.output,
                variables,
                &mut talk,
            )
        }
        (Err(error), _) | (_, Err(error)) => {
            talk.config_error(&error);
            Exit::Usage
        }
    }
}
