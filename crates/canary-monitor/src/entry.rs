//! The command line from outside: streams and exit codes. The only place that prints.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{IsTerminal as _, Write};

use gs_common::cli::{self, OutputArgs, Talk};
use gs_common::config::ConfigError;
use gs_common::exit::Exit;
use gs_common::redact::Redactor;
use gs_common::render::Look;
use gs_common::report::Report;
use gs_common::sink::{Sinks, conclude};
use jiff::Timestamp;

use crate::args::{Cli, ReplayArgs, SelftestArgs, Verb};
use crate::config::Config;
use crate::{replay, selftest};

type Variables = BTreeMap<String, String>;

/// Runs a whole command line and says how to end.
pub fn command_line(line: impl IntoIterator<Item = OsString>, variables: Variables) -> Exit {
    let cli = match cli::parse::<Cli>(line) {
        Ok(cli) => cli,
        Err(early) => {
            // A closed pipe has nobody left who could be told.
            if early.to_stdout {
                let text = early.shown(&variables, std::io::stdout().is_terminal());
                let _ = std::io::stdout().lock().write_all(text.as_bytes());
            } else {
                let text = early.shown(&variables, std::io::stderr().is_terminal());
                let _ = std::io::stderr().lock().write_all(text.as_bytes());
            }
            return early.exit;
        }
    };
    let plain = OutputArgs::default();
    let output = match &cli.verb {
        Verb::Replay(args) => &args.output,
        Verb::Selftest(args) => &args.output,
        _ => &plain,
    };
    let color = output
        .color
        .wanted(&variables, std::io::stderr().is_terminal());
    let mut talk = Talk::new(std::io::stderr(), Redactor::new(), color, output);
    match run(&cli, &variables, &mut talk) {
        Ok(exit) => exit,
        Err(error) => {
            talk.config_error(&error);
            Exit::Usage
        }
    }
}

fn run(cli: &Cli, variables: &Variables, talk: &mut Talk) -> Result<Exit, ConfigError> {
    let cwd = std::env::current_dir().unwrap_or_default();
    let resolve = |policy| Config::resolve(policy, variables, &cwd);
    match &cli.verb {
        Verb::Replay(args) => {
            let sinks = sinks(&args.output)?;
            let config = warned(resolve(&args.policy)?, talk);
            let report = replayed(args, &config)?;
            Ok(finish(report, &sinks, &args.output, variables, talk))
        }
        Verb::Selftest(args) => {
            let sinks = sinks(&args.output)?;
            let config = warned(resolve(&args.policy)?, talk);
            let report = tested(args, &config, talk)?;
            Ok(finish(report, &sinks, &args.output, variables, talk))
        }
        Verb::Config { policy, json } => {
            let config = resolve(policy)?;
            say(|out| cli::show_settings(&config.rows, *json, out))
        }
        Verb::Completions { shell } => say(|out| cli::completions::<Cli>(*shell, out)),
        Verb::Man => say(|out| cli::man::<Cli>(out)),
    }
}

fn sinks(output: &OutputArgs) -> Result<Sinks, ConfigError> {
    Sinks::parse(&output.output).map_err(|error| {
        ConfigError::new(error).hint("write --output FORMAT or --output FORMAT=PATH")
    })
}

fn warned(config: Config, talk: &mut Talk) -> Config {
    for warning in &config.warnings {
        talk.warning(warning);
    }
    config
}

/// Writes a text to stdout; a reader that has seen enough is no failure.
fn say(write: impl FnOnce(&mut dyn Write) -> std::io::Result<()>) -> Result<Exit, ConfigError> {
    let mut text = Vec::new();
    write(&mut text).map_err(|error| ConfigError::new(error.to_string()))?;
    let _ = std::io::stdout().lock().write_all(&text);
    Ok(Exit::Good)
}

fn replayed(args: &ReplayArgs, config: &Config) -> Result<Report, ConfigError> {
    let started_at = Timestamp::now();
    let replayed = args
        .files
        .iter()
        .map(|path| replay::file(path, args.judge, &config.policy))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(replay::report(&replayed, args.judge, started_at))
}

fn tested(args: &SelftestArgs, config: &Config, talk: &mut Talk) -> Result<Report, ConfigError> {
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
        rows.push(selftest::row(scenario, world, args, &config.policy));
    }
    Ok(selftest::report(&rows, args, started_at))
}

fn finish(
    report: Report,
    sinks: &Sinks,
    output: &OutputArgs,
    variables: &Variables,
    talk: &mut Talk,
) -> Exit {
    let mut stdout = std::io::stdout().lock();
    let width = variables
        .get("COLUMNS")
        .and_then(|columns| columns.parse().ok())
        .unwrap_or(100);
    let look = Look {
        color: output.color.wanted(variables, stdout.is_terminal()),
        width,
        verbose: output.verbose,
        quiet: output.quiet,
    };
    conclude(
        report,
        &Redactor::new(),
        sinks,
        output,
        variables,
        &look,
        &mut stdout,
        &mut std::io::stderr(),
        talk,
    )
}
