//! The command line from outside: streams, signals and exit codes. The only place that prints.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{IsTerminal as _, Read as _, Write};
use std::path::Path;
use std::time::Duration;

use gs_common::cli::{self, Early, OutputArgs, Talk};
use gs_common::config::ConfigError;
use gs_common::exit::Exit;
use gs_common::redact::Redactor;
use gs_common::render::Look;
use gs_common::report::Report;
use gs_common::sink::{Sinks, conclude};
use jiff::Timestamp;
use jiff::civil::Date;

use crate::args::{BaselineVerb, Cli, RunArgs, SettingArgs, Verb};
use crate::config::{Config, Setting};
use crate::ending::{self, Stop};
use crate::summary::{self, Facts};
use crate::{baseline, doctor, run, verbs};

type Variables = BTreeMap<String, String>;

/// A value longer than this is no secret.
const LONGEST_VALUE: u64 = 1 << 20;

/// Runs a whole command line and says how to end.
pub fn command_line(line: impl IntoIterator<Item = OsString>, variables: Variables) -> Exit {
    // First of all: `fingerprint` and `baseline import` read values, too.
    ending::on_panic(|said| {
        let _ = std::io::stderr().write_all(said.as_bytes());
    });
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
        Some(Verb::Doctor(args)) => &args.output,
        _ => &cli.run.output,
    };
    let redactor = Redactor::new();
    let color = output
        .color
        .wanted(variables, std::io::stderr().is_terminal());
    let mut talk = Talk::new(std::io::stderr(), redactor.clone(), color, output);
    let cwd = std::env::current_dir().unwrap_or_default();
    let today = jiff::tz::TimeZone::UTC.to_datetime(Timestamp::now()).date();
    let text = match &cli.verb {
        None => scan(&cli.run, variables, &cwd, today, &redactor, &mut talk).map(Said::Exit),
        Some(Verb::Doctor(args)) => {
            examine(args, variables, &cwd, today, &mut talk).map(Said::Exit)
        }
        Some(Verb::Fingerprint(args)) => fingerprint(args, variables, &cwd, today).map(Said::Text),
        Some(Verb::Baseline(verb)) => list(verb, variables, &cwd, today).map(Said::Text),
        Some(Verb::Explain { fingerprint, from }) => {
            verbs::explain(fingerprint, from).map(Said::Text)
        }
        Some(Verb::Init { path }) => verbs::init(path).map(Said::Text),
        Some(Verb::Config { run, json }) => {
            Config::resolve(run, variables, &cwd, today).and_then(|config| {
                for warning in &config.warnings {
                    talk.warning(warning);
                }
                written(|out| cli::show_settings(&config.rows, *json, out)).map(Said::Text)
            })
        }
        Some(Verb::Completions { shell }) => {
            written(|out| cli::completions::<Cli>(*shell, out)).map(Said::Text)
        }
        Some(Verb::Man) => written(cli::man::<Cli>).map(Said::Text),
    };
    match text {
        Ok(Said::Exit(exit)) => exit,
        Ok(Said::Text(text)) => {
            let _ = std::io::stdout().lock().write_all(text.as_bytes());
            Exit::Good
        }
        Err(error) => {
            talk.config_error(&error);
            Exit::Usage
        }
    }
}

/// What a job leaves: an exit code whose words are said already, or words.
enum Said {
    Exit(Exit),
    Text(String),
}

fn written(
    write: impl FnOnce(&mut dyn Write) -> std::io::Result<()>,
) -> Result<String, ConfigError> {
    let mut text = Vec::new();
    write(&mut text).map_err(|error| ConfigError::new(error.to_string()))?;
    String::from_utf8(text).map_err(|error| ConfigError::new(error.to_string()))
}

fn sinks(output: &OutputArgs) -> Result<Sinks, ConfigError> {
    Sinks::parse(&output.output).map_err(|error| {
        ConfigError::new(error).hint("write --output FORMAT or --output FORMAT=PATH")
    })
}

/// The main job.
fn scan(
    args: &RunArgs,
    variables: &Variables,
    cwd: &Path,
    today: Date,
    redactor: &Redactor,
    talk: &mut Talk,
) -> Result<Exit, ConfigError> {
    let sinks = sinks(&args.output)?;
    let mut config = Config::resolve(args, variables, cwd, today)?;
    for warning in &config.warnings {
        talk.warning(warning);
    }
    let started_at = Timestamp::now();
    let (folder, stop) = private_folder()?;
    let place = folder.path().to_owned();
    let facts = in_runtime(async {
        let scanned = {
            let work = run::run(&mut config, variables, &place, redactor, &stop, talk);
            tokio::select! {
                facts = work => Some(facts),
                () = stop.clone().at_once() => None,
            }
        };
        remove(folder).await;
        scanned
    })?;
    let facts = facts.unwrap_or_else(|| Facts {
        subject: ("repository".to_owned(), summary::shown(&config.path), None),
        interrupted: true,
        ..Facts::default()
    });
    let report = summary::of(facts, &config, started_at);
    Ok(finish(
        report,
        redactor,
        &sinks,
        &args.output,
        variables,
        talk,
    ))
}

fn examine(
    args: &RunArgs,
    variables: &Variables,
    cwd: &Path,
    today: Date,
    talk: &mut Talk,
) -> Result<Exit, ConfigError> {
    let sinks = sinks(&args.output)?;
    let config = Config::resolve(args, variables, cwd, today)?;
    let (folder, stop) = private_folder()?;
    let place = folder.path().to_owned();
    let report = in_runtime(async {
        let report = tokio::select! {
            report = doctor::examine(&config, variables, &place) => Some(report),
            () = stop.asked() => None,
        };
        remove(folder).await;
        report
    })?;
    let Some(report) = report else {
        return Ok(Exit::Interrupted);
    };
    let redactor = Redactor::new();
    // Whoever asks the doctor wants to see what is there, not only that all is well.
    let mut output = args.output.clone();
    output.verbose = output.verbose.max(2);
    Ok(finish(report, &redactor, &sinks, &output, variables, talk))
}

/// A folder that only this user can look into, and who ends the run: from here on nothing may end it
/// without removing that folder.
fn private_folder() -> Result<(tempfile::TempDir, Stop), ConfigError> {
    let stop =
        ending::listen().map_err(|error| ConfigError::new(format!("cannot start: {error}")))?;
    let mut builder = tempfile::Builder::new();
    builder.prefix("gs-secret-scan-");
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o700));
    let folder = builder.tempdir().map_err(|error| {
        ConfigError::new(format!("cannot make a temporary folder: {error}"))
            .hint("make room, or let TMPDIR name a folder that this user may write to")
    })?;
    ending::uses(folder.path());
    Ok((folder, stop))
}

/// Removes the folder with all that an engine left in it. One that was just killed may still be writing.
async fn remove(folder: tempfile::TempDir) {
    let path = folder.keep();
    for _ in 0..50 {
        if std::fs::remove_dir_all(&path).is_ok() || !path.exists() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Runs a future on one thread: the work waits, it does not compute.
fn in_runtime<T>(work: impl Future<Output = T>) -> Result<T, ConfigError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| ConfigError::new(format!("cannot start: {error}")))?;
    let done = runtime.block_on(work);
    // A file of an engine that cannot be read to its end must not hold up that of the run.
    runtime.shutdown_background();
    Ok(done)
}

fn finish(
    report: Report,
    redactor: &Redactor,
    sinks: &Sinks,
    output: &OutputArgs,
    variables: &Variables,
    talk: &mut Talk,
) -> Exit {
    let mut stdout = std::io::stdout().lock();
    let is_terminal = stdout.is_terminal();
    let columns = variables
        .get("COLUMNS")
        .and_then(|columns| columns.parse().ok());
    let look = Look {
        color: output.color.wanted(variables, is_terminal),
        width: columns.unwrap_or_else(|| terminal_width(is_terminal)),
        verbose: output.verbose,
        quiet: output.quiet,
    };
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

fn fingerprint(
    args: &SettingArgs,
    variables: &Variables,
    cwd: &Path,
    today: Date,
) -> Result<String, ConfigError> {
    let setting = Setting::resolve(args, variables, cwd, today)?;
    let mut bytes = Vec::new();
    std::io::stdin()
        .lock()
        .take(LONGEST_VALUE + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| ConfigError::new(format!("cannot read the value from stdin: {error}")))?;
    verbs::fingerprint(&bytes, &setting.key)
}

fn list(
    verb: &BaselineVerb,
    variables: &Variables,
    cwd: &Path,
    today: Date,
) -> Result<String, ConfigError> {
    match verb {
        BaselineVerb::Add(args) => {
            let setting = Setting::resolve(&args.setting, variables, cwd, today)?;
            baseline::add(args, &setting, today)
        }
        BaselineVerb::Prune {
            setting,
            report,
            dry_run,
        } => {
            let setting = Setting::resolve(setting, variables, cwd, today)?;
            baseline::prune(&setting, report.as_deref(), *dry_run, today)
        }
        BaselineVerb::Diff { old, new } => baseline::diff(old, new, today),
        BaselineVerb::Import(args) => {
            let setting = Setting::resolve(&args.setting, variables, cwd, today)?;
            baseline::import(args, &setting, today)
        }
    }
}
