//! The command line from outside: streams, signals and exit codes. The only place that prints.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{IsTerminal as _, Write};
use std::path::Path;
use std::time::{Duration, Instant};

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
use crate::{attend, doctor, live, replay, selftest, verbs};

/// Work that goes on is told of at least so often.
const PROGRESS_EVERY: Duration = Duration::from_secs(10);

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
            let policy = outside.policy(&args.policy, talk)?;
            let report = replayed(args, &policy)?;
            Ok(outside.finish(report, &Redactor::new(), sinks, talk))
        }),
        Some(Verb::Selftest(args)) => judged(&outside, |sinks, talk| {
            let policy = outside.policy(&args.policy, talk)?;
            let report = tested(args, &policy, talk)?;
            Ok(outside.finish(report, &Redactor::new(), sinks, talk))
        }),
        Some(Verb::Report(args)) => judged(&outside, |sinks, talk| {
            let policy = outside.policy(&args.policy, talk)?;
            let report = verbs::report(args, &policy)?;
            Ok(outside.finish(report, &Redactor::new(), sinks, talk))
        }),
        Some(Verb::Backtest(args)) if args.files.is_empty() => {
            backtested(args, &outside, variables, &cwd)
        }
        Some(Verb::Backtest(args)) => judged(&outside, |sinks, talk| {
            let policy = outside.policy(&args.policy, talk)?;
            let report = verbs::backtest(args, &policy, talk)?;
            Ok(outside.finish(report, &Redactor::new(), sinks, talk))
        }),
        Some(Verb::Serve(args)) => {
            let mut talk = outside.talk(Redactor::new());
            in_runtime(verbs::serve(args, &mut talk, interrupted()))
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
    })?;
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
