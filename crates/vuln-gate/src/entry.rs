//! The command line from outside: streams and exit codes. The only place that prints.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::io::Read as _;
use std::path::Path;

use gs_common::cli::{self, Talk};
use gs_common::config::{ConfigError, read_text};
use gs_common::exit::Exit;
use gs_common::file::write_atomic;
use gs_common::outside::{self, Outside, Variables, print, say, told};
use gs_common::redact::Redactor;
use gs_common::suppression::LARGEST;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::accept::args::VexArgs;
use crate::args::{Cli, ExplainArgs, RunArgs, ValidateArgs, Verb};
use crate::config::Config;
use crate::{accept, explain, import, init, judge, merge, run, summary, vex};

/// Runs a whole command line and says how to end.
pub fn command_line(line: impl IntoIterator<Item = OsString>, variables: Variables) -> Exit {
    outside::command_line(line, &variables, |cli: &Cli| {
        let output = match &cli.verb {
            Some(Verb::Explain(args)) => &args.run.output,
            _ => &cli.run.output,
        };
        let cwd = std::env::current_dir().unwrap_or_default();
        let outside = Outside {
            variables: &variables,
            cwd: &cwd,
            output,
        };
        let mut talk = outside.talk(Redactor::new());
        told(dispatch(cli, &outside, &mut talk), &mut talk)
    })
}

fn dispatch(cli: &Cli, outside: &Outside<'_>, talk: &mut Talk) -> Result<Exit, ConfigError> {
    match &cli.verb {
        None => gate(&cli.run, outside, talk),
        Some(Verb::Explain(args)) => explained(args, outside, talk),
        Some(Verb::Validate(args)) => validated(args),
        Some(Verb::Import(args)) => imported(&args.file, talk),
        Some(Verb::Vex(args)) => stated(args, outside, talk),
        Some(Verb::Init { path, exceptions }) => write_start(path, *exceptions),
        Some(Verb::Config { policy, json }) => {
            let config = Config::resolve(policy, outside.variables, outside.cwd)?;
            say(|out| cli::show_settings(&config.rows, *json, out))
        }
        Some(Verb::Completions { shell }) => say(|out| cli::completions::<Cli>(*shell, out)),
        Some(Verb::Man) => say(|out| cli::man::<Cli>(out)),
    }
}

fn files(args: &RunArgs) -> Result<&[String], ConfigError> {
    if args.files.is_empty() {
        return Err(ConfigError::new("no reports: which files are to be judged?").hint(
            "name the scanners' reports, such as `vuln-gate trivy.json npm-audit.json`; `-` is stdin",
        ));
    }
    Ok(&args.files)
}

fn warned(config: Config, talk: &mut Talk) -> Config {
    for warning in &config.warnings {
        talk.warning(warning);
    }
    config
}

fn gate(args: &RunArgs, outside: &Outside<'_>, talk: &mut Talk) -> Result<Exit, ConfigError> {
    let sinks = outside.sinks()?;
    let config = warned(
        Config::resolve(&args.policy, outside.variables, outside.cwd)?,
        talk,
    );
    let started_at = Timestamp::now();
    let sources = config.accept.load(outside.variables, today(started_at))?;
    let inputs = run::read(files(args)?);
    let base = run::read(&config.base);
    let judged = run::judge(&config, inputs, base, started_at);
    let accepted = accept::apply(&sources, &judged.vulnerabilities, summary::fingerprint);
    let report = summary::report(&config, judged, &accepted, started_at);
    Ok(outside.finish(report, &Redactor::new(), &sinks, talk))
}

fn explained(
    args: &ExplainArgs,
    outside: &Outside<'_>,
    talk: &mut Talk,
) -> Result<Exit, ConfigError> {
    let config = warned(
        Config::resolve(&args.run.policy, outside.variables, outside.cwd)?,
        talk,
    );
    let now = Timestamp::now();
    let sources = config.accept.load(outside.variables, today(now))?;
    let inputs = run::read(files(&args.run)?);
    let base = run::read(&config.base);
    let judged = run::judge(&config, inputs, base, now);
    let accepted = accept::apply(&sources, &judged.vulnerabilities, summary::fingerprint);
    for told in accepted.told() {
        talk.note(&told);
    }
    let findings = summary::findings(&judged, &accepted);
    let (text, found) = explain::text(&judged, &findings, &args.id);
    print(text.as_bytes());
    Ok(if found { Exit::Good } else { Exit::NoVerdict })
}

fn today(now: Timestamp) -> Date {
    TimeZone::UTC.to_datetime(now).date()
}

/// Prints exceptions made of another tool's ignore file.
fn imported(file: &str, talk: &mut Talk) -> Result<Exit, ConfigError> {
    let text = if file == "-" {
        let mut bytes = Vec::new();
        let read = std::io::stdin().take(LARGEST + 1).read_to_end(&mut bytes);
        read.map_err(|error| ConfigError::new(format!("cannot read stdin: {error}")))?;
        if bytes.len() as u64 > LARGEST {
            return Err(ConfigError::new(
                "stdin holds more than an ignore file does",
            ));
        }
        String::from_utf8(bytes)
            .map_err(|_| ConfigError::new("stdin is no UTF-8 text").hint("save it as UTF-8"))?
    } else {
        read_text(file.as_ref(), LARGEST)?
    };
    let name = if file == "-" { "stdin" } else { file };
    let imported = import::read(name, &text)?;
    for left in &imported.left {
        talk.warning(&format!("not taken over: {left}"));
    }
    talk.note("fill in every `reason`, `owner` and `expires`: what the file did not say is empty");
    say(|out| out.write_all(import::to_toml(name, &imported).as_bytes()))
}

/// Prints an OpenVEX document of the exceptions that hold.
fn stated(args: &VexArgs, outside: &Outside<'_>, talk: &mut Talk) -> Result<Exit, ConfigError> {
    let config = warned(
        Config::resolve(&args.run.policy, outside.variables, outside.cwd)?,
        talk,
    );
    if config.accept.exceptions.is_none() {
        return Err(ConfigError::new("no exceptions: what is to be stated?")
            .hint("name the file with --exceptions, or in `[vuln-gate]`"));
    }
    let now = Timestamp::now();
    let sources = config.accept.load(outside.variables, today(now))?;
    let judged = run::judge(&config, run::read(&args.run.files), Vec::new(), now);
    for input in judged
        .inputs
        .iter()
        .filter(|input| !input.outcome.looked_at())
    {
        let why = input.why.as_deref().unwrap_or("not looked at");
        talk.warning(&format!("{}: {why}", judge::shown(input)));
    }
    let findings = summary::findings(&judged, &accept::Accepted::default());
    let stated = accept::stated(&sources, &judged.vulnerabilities, &findings);
    let about = vex::write::About {
        author: &args.author,
        id: args.id.as_deref(),
        at: now,
    };
    let (document, left_out) = vex::write::document(&about, &stated);
    for left in &left_out {
        talk.warning(left);
    }
    if document["statements"].as_array().is_none_or(Vec::is_empty) {
        talk.error(
            "nothing to state: no exception that holds names a package that is known",
            Some("give the scanners' reports as well, or name the packages in the exceptions as package URLs with their version"),
        );
        return Ok(Exit::NoVerdict);
    }
    say(|out| writeln!(out, "{document:#}"))
}

fn validated(args: &ValidateArgs) -> Result<Exit, ConfigError> {
    let inputs = run::read(&args.files);
    let good = inputs.iter().all(|input| input.outcome.looked_at());
    let mut text = String::new();
    if args.json {
        let list: Vec<serde_json::Value> = inputs
            .iter()
            .map(|input| {
                serde_json::json!({
                    "path": input.path, "document": input.document, "format": input.format.as_str(),
                    "outcome": input.outcome.as_str(), "tool": input.tool, "why": input.why,
                    "rows": merge::counts(input).rows,
                })
            })
            .collect();
        let _ = writeln!(text, "{:#}", serde_json::Value::Array(list));
    } else {
        for input in &inputs {
            let counts = merge::counts(input);
            let _ = write!(
                text,
                "{}: {}, {}",
                judge::shown(input),
                input.format,
                input.outcome.as_str()
            );
            if input.outcome.looked_at() {
                let _ = write!(text, ", {} rows", counts.rows);
            }
            if let Some(why) = &input.why {
                let _ = write!(text, ": {why}");
            }
            text.push('\n');
            for note in &input.notes {
                let _ = writeln!(
                    text,
                    "  {}: {} {}",
                    note.gap.as_str(),
                    note.subject,
                    note.message
                );
            }
        }
    }
    print(text.as_bytes());
    Ok(if good { Exit::Good } else { Exit::NoVerdict })
}

fn write_start(path: &str, exceptions: bool) -> Result<Exit, ConfigError> {
    let text = if exceptions {
        gs_common::suppression::init_text(&accept::FORM, today(Timestamp::now()))
    } else {
        init::TEXT.to_owned()
    };
    if path == "-" {
        return say(|out| out.write_all(text.as_bytes()));
    }
    let path = Path::new(path);
    if path.exists() {
        return Err(
            ConfigError::new(format!("`{}` is there already", path.display())).hint(
                "name another file, or print it with `vuln-gate init -` and copy what you need",
            ),
        );
    }
    write_atomic(path, |out| out.write_all(text.as_bytes()))
        .map_err(|error| ConfigError::new(error.to_string()).hint(error.hint()))?;
    Ok(Exit::Good)
}
