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
use jiff::Timestamp;

use crate::args::{Cli, ReplayArgs, SelftestArgs, Verb};
use crate::config::Config;
use crate::judge::Policy;
use crate::{attend, doctor, live, replay, selftest};

/// The environment's variables.
pub(crate) type Variables = BTreeMap<String, String>;

/// What every verb gets from outside.
pub(crate) struct Outside<'a> {
    pub(crate) variables: &'a Variables,
    pub(crate) cwd: &'a Path,
    pub(crate) output: &'a OutputArgs,
}

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
        None => &cli.run.output,
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
            let policy = outside.policy(&args.policy, talk)?;
            let report = replayed(args, &policy)?;
            Ok(outside.finish(report, &Redactor::new(), sinks, talk))
        }),
        Some(Verb::Selftest(args)) => judged(&outside, |sinks, talk| {
            let policy = outside.policy(&args.policy, talk)?;
            let report = tested(args, &policy, talk)?;
            Ok(outside.finish(report, &Redactor::new(), sinks, talk))
        }),
        Some(Verb::Watch(args)) => attend::command(args, &outside),
        Some(Verb::Doctor(args)) => doctor::command(args, &outside),
        Some(Verb::Config { run, json }) => Config::resolve(run, variables, &cwd)
            .and_then(|config| say(|out| cli::show_settings(&config.rows, *json, out))),
        Some(Verb::Completions { shell }) => say(|out| cli::completions::<Cli>(*shell, out)),
        Some(Verb::Man) => say(cli::man::<Cli>),
    };
    done.unwrap_or_else(|error| {
        outside.talk(Redactor::new()).config_error(&error);
        Exit::Usage
    })
}

/// A verb that ends with a report: its places are checked before anything else.
fn judged(
    outside: &Outside<'_>,
    work: impl FnOnce(&Sinks, &mut Talk) -> Result<Exit, ConfigError>,
) -> Result<Exit, ConfigError> {
    let sinks = outside.sinks()?;
    work(&sinks, &mut outside.talk(Redactor::new()))
}

impl Outside<'_> {
    /// Where the faces of the report go.
    pub(crate) fn sinks(&self) -> Result<Sinks, ConfigError> {
        Sinks::parse(&self.output.output).map_err(|error| {
            ConfigError::new(error).hint("write --output FORMAT or --output FORMAT=PATH")
        })
    }

    /// How to talk to people, on stderr.
    pub(crate) fn talk(&self, redactor: Redactor) -> Talk {
        let color = self
            .output
            .color
            .wanted(self.variables, std::io::stderr().is_terminal());
        Talk::new(std::io::stderr(), redactor, color, self.output)
    }

    /// The policy of a verb that judges what was recorded.
    fn policy(
        &self,
        args: &crate::args::PolicyArgs,
        talk: &mut Talk,
    ) -> Result<Policy, ConfigError> {
        let (policy, warnings) = Config::policy(args, self.variables, self.cwd)?;
        for warning in &warnings {
            talk.warning(warning);
        }
        Ok(policy)
    }

    /// Delivers a report and turns it into an exit code.
    pub(crate) fn finish(
        &self,
        report: Report,
        redactor: &Redactor,
        sinks: &Sinks,
        talk: &mut Talk,
    ) -> Exit {
        let mut stdout = std::io::stdout().lock();
        let look = self.look(stdout.is_terminal());
        conclude(
            report,
            redactor,
            sinks,
            self.output,
            self.variables,
            &look,
            &mut stdout,
            &mut std::io::stderr(),
            talk,
        )
    }

    /// How the human face looks on a stream.
    pub(crate) fn look(&self, is_terminal: bool) -> Look {
        let columns = self
            .variables
            .get("COLUMNS")
            .and_then(|columns| columns.parse().ok());
        Look {
            color: self.output.color.wanted(self.variables, is_terminal),
            width: columns.unwrap_or_else(|| terminal_width(is_terminal)),
            verbose: self.output.verbose,
            quiet: self.output.quiet,
        }
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

/// Writes a text to stdout; a reader that has seen enough is no failure.
fn say(write: impl FnOnce(&mut dyn Write) -> std::io::Result<()>) -> Result<Exit, ConfigError> {
    let mut text = Vec::new();
    write(&mut text).map_err(|error| ConfigError::new(error.to_string()))?;
    let _ = std::io::stdout().lock().write_all(&text);
    Ok(Exit::Good)
}

fn replayed(args: &ReplayArgs, policy: &Policy) -> Result<Report, ConfigError> {
    let started_at = Timestamp::now();
    let replayed = args
        .files
        .iter()
        .map(|path| replay::file(path, args.judge, policy, args.recorded_policy))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(replay::report(&replayed, args.judge, started_at))
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
    for (number, (scenario, world)) in plan.iter().enumerate() {
        talk.detail(&format!(
            "{} of {}: {}",
            number + 1,
            plan.len(),
            scenario.name
        ));
        rows.push(selftest::row(scenario, world, args, policy));
    }
    Ok(selftest::report(&rows, args, started_at))
}
