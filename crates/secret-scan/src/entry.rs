//! The command line from outside: streams, signals and exit codes. The only place that prints.

use std::ffi::OsString;
use std::io::Read as _;
use std::path::Path;
use std::time::Duration;

use gs_common::cli;
use gs_common::config::ConfigError;
use gs_common::exit::Exit;
use gs_common::outside::{
    self, OnCrash, Outside, Stop, Variables, in_runtime, print, removed_on_crash, say,
};
use gs_common::redact::Redactor;
use jiff::Timestamp;
use jiff::civil::Date;
use tempfile::TempDir;

use crate::args::{BaselineVerb, Cli, RunArgs, SettingArgs, Verb};
use crate::config::{Config, Setting};
use crate::summary::{self, Facts};
use crate::{baseline, doctor, run, verbs};

/// A value longer than this is no secret.
const LONGEST_VALUE: u64 = 1 << 20;

/// Runs a whole command line and says how to end.
pub fn command_line(line: impl IntoIterator<Item = OsString>, variables: Variables) -> Exit {
    outside::command_line(line, &variables, |cli| dispatch(cli, &variables))
}

fn dispatch(cli: &Cli, variables: &Variables) -> Exit {
    let output = match &cli.verb {
        Some(Verb::Doctor(args)) => &args.output,
        _ => &cli.run.output,
    };
    let cwd = std::env::current_dir().unwrap_or_default();
    let outside = Outside {
        variables,
        cwd: &cwd,
        output,
    };
    let today = jiff::tz::TimeZone::UTC.to_datetime(Timestamp::now()).date();
    let text = |text: String| print(text.as_bytes());
    outside.end(match &cli.verb {
        None => scan(&cli.run, &outside, today),
        Some(Verb::Doctor(args)) => examine(args, &outside, today),
        Some(Verb::Fingerprint(args)) => fingerprint(args, variables, &cwd, today).map(text),
        Some(Verb::Baseline(verb)) => list(verb, variables, &cwd, today).map(text),
        Some(Verb::Explain { fingerprint, from }) => verbs::explain(fingerprint, from).map(text),
        Some(Verb::Init { path }) => verbs::init(path).map(text),
        Some(Verb::Config { run, json }) => {
            Config::resolve(run, variables, &cwd, today).and_then(|config| {
                let mut talk = outside.talk(Redactor::new());
                for warning in &config.warnings {
                    talk.warning(warning);
                }
                say(|out| cli::show_settings(&config.rows, *json, out))
            })
        }
        Some(Verb::Completions { shell }) => say(|out| cli::completions::<Cli>(*shell, out)),
        Some(Verb::Man) => say(cli::man::<Cli>),
    })
}

/// The main job.
fn scan(args: &RunArgs, outside: &Outside<'_>, today: Date) -> Result<Exit, ConfigError> {
    let sinks = outside.sinks()?;
    let redactor = Redactor::new();
    let mut talk = outside.talk(redactor.clone());
    let mut config = Config::resolve(args, outside.variables, outside.cwd, today)?;
    for warning in &config.warnings {
        talk.warning(warning);
    }
    let started_at = Timestamp::now();
    let stop = Stop::listen();
    let folder = Folder::new()?;
    let facts = in_runtime(async {
        let scanned = {
            let (place, variables) = (folder.path(), outside.variables);
            let work = run::run(&mut config, variables, place, &redactor, &stop, &mut talk);
            tokio::select! {
                facts = work => Some(facts),
                () = stop.clone().at_once() => None,
            }
        };
        folder.remove().await;
        scanned
    })?;
    let facts = facts.unwrap_or_else(|| Facts {
        subject: ("repository".to_owned(), summary::shown(&config.path), None),
        interrupted: true,
        ..Facts::default()
    });
    let report = summary::of(facts, &config, started_at);
    Ok(outside.finish(report, &redactor, &sinks, &mut talk))
}

fn examine(args: &RunArgs, outside: &Outside<'_>, today: Date) -> Result<Exit, ConfigError> {
    let sinks = outside.sinks()?;
    let config = Config::resolve(args, outside.variables, outside.cwd, today)?;
    let stop = Stop::listen();
    let folder = Folder::new()?;
    let report = in_runtime(async {
        let report = tokio::select! {
            report = doctor::examine(&config, outside.variables, folder.path()) => Some(report),
            () = stop.asked() => None,
        };
        folder.remove().await;
        report
    })?;
    let Some(report) = report else {
        return Ok(Exit::Interrupted);
    };
    let redactor = Redactor::new();
    let mut talk = outside.talk(redactor.clone());
    // Whoever asks the doctor wants to see what is there, not only that all is well.
    let mut output = outside.output.clone();
    output.verbose = output.verbose.max(2);
    let outside = Outside {
        output: &output,
        ..*outside
    };
    Ok(outside.finish(report, &redactor, &sinks, &mut talk))
}

/// A folder that only this user can look into, for what the engines write.
struct Folder {
    folder: TempDir,
    _gone: OnCrash,
}

impl Folder {
    fn new() -> Result<Self, ConfigError> {
        let mut builder = tempfile::Builder::new();
        builder.prefix("gs-secret-scan-");
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o700));
        let folder = builder.tempdir().map_err(|error| {
            ConfigError::new(format!("cannot make a temporary folder: {error}"))
                .hint("make room, or let TMPDIR name a folder that this user may write to")
        })?;
        Ok(Self {
            _gone: removed_on_crash(folder.path()),
            folder,
        })
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Removes the folder with all that an engine left in it. One that was just killed may still be
    /// writing.
    async fn remove(self) {
        let path = self.folder.keep();
        for _ in 0..50 {
            if std::fs::remove_dir_all(&path).is_ok() || !path.exists() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
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
