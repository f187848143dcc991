//! What is meant: everything typed and configured, checked before a report is read.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use gs_common::config::{ConfigError, Project, Row, Settings, did_you_mean};
use gs_common::finding::Severity;
use gs_common::suppression::Glob;
use gs_common::units;

use crate::accept;
use crate::args::PolicyArgs;
use crate::judge::{Accepted, Effect, Policy, Required};
use crate::merge::SeverityFrom;
use crate::model::{Class, Format, Gap};

/// A gate with nothing left to guess about.
#[derive(Clone, Debug)]
pub struct Config {
    /// What the judge goes by.
    pub policy: Policy,
    /// What was accepted on record.
    pub accept: accept::Config,
    /// Whose severity counts.
    pub severity_from: SeverityFrom,
    /// The reports of the base.
    pub base: Vec<String>,
    /// So many findings are listed at most.
    pub max_findings: usize,
    /// Every setting with its origin.
    pub rows: Vec<Row>,
    /// What deserves a look before the run.
    pub warnings: Vec<String>,
}

impl Config {
    /// Resolves a command line against the configuration file and the environment.
    ///
    /// # Errors
    /// Something typed or configured is wrong.
    pub fn resolve(
        args: &PolicyArgs,
        variables: &BTreeMap<String, String>,
        cwd: &Path,
    ) -> Result<Self, ConfigError> {
        let project = Project::find(args.config.config.as_deref(), cwd)?;
        let mut set = Settings::new("vuln-gate", &project, variables)?;
        let plain = Policy::default();
        let thresholds = set.list("fail-on", &args.fail_on, threshold)?;
        let mut fail_on = plain.fail_on.clone();
        for (class, severity) in &thresholds {
            match class {
                Some(class) => {
                    fail_on.insert(*class, *severity);
                }
                // Maintenance has a threshold only where it is named: its findings are no flaws.
                None => {
                    for (class, slot) in &mut fail_on {
                        if *class != Class::Maintenance && !named(&thresholds, *class) {
                            *slot = *severity;
                        }
                    }
                }
            }
        }
        if thresholds
            .iter()
            .filter(|(class, _)| class.is_none())
            .count()
            > 1
        {
            return Err(ConfigError::new("fail-on: two thresholds for all classes")
                .hint("give one, and others with their class: `--fail-on high,license=critical`"));
        }
        let effect = |text: &str| text.parse::<Effect>();
        let unknown = set.value("unknown", args.unknown.as_deref(), "warn", effect)?;
        let severity_from = set.value(
            "severity-from",
            args.severity_from.as_deref(),
            "highest",
            |text| match text {
                "highest" => Ok(SeverityFrom::Highest),
                "scanner" => Ok(SeverityFrom::Scanner),
                _ => Err(format!("`{text}` is none of highest, scanner")),
            },
        )?;
        let development = set.value("development", args.development.as_deref(), "block", effect)?;
        if args.ignore_unfixed && args.unfixed.is_some() {
            return Err(
                ConfigError::new("--ignore-unfixed is the same as --unfixed warn")
                    .hint("give one of the two"),
            );
        }
        let short = args.ignore_unfixed.then_some("warn");
        let unfixed = set.value(
            "unfixed",
            args.unfixed.as_deref().or(short),
            "block",
            effect,
        )?;
        let grace = set.optional("unfixed-grace", args.unfixed_grace.as_deref(), days)?;
        if grace.is_some() && unfixed == Effect::Block {
            return Err(
                ConfigError::new("unfixed-grace means nothing while `unfixed` is `block`")
                    .hint("add --ignore-unfixed"),
            );
        }
        let ignored_targets = set.list("ignore-target", &args.ignore_target, glob)?;
        let base = set.list("base", &args.base, some_text)?;
        let (accept, sla) = accept::Config::resolve(&args.accept, &mut set)?;
        let trust = &args.trust;
        let policy = Policy {
            fail_on,
            unknown,
            development,
            unfixed,
            unfixed_grace_days: grace,
            ignored_targets,
            sla,
            required: set.list("require", &trust.require, required)?,
            expected_targets: set.list("expect-target", &trust.expect_target, some_text)?,
            max_age: set.value("max-age", trust.max_age.as_deref(), "7d", age)?,
            max_database_age: set.value("max-db-age", trust.max_db_age.as_deref(), "14d", age)?,
            accepted: set.list("accept-partial", &trust.accept_partial, accepted)?,
        };
        let max_findings = set.value(
            "max-findings",
            trust.max_findings.as_deref(),
            "25000",
            |text| match text.parse::<usize>() {
                Ok(number) if number > 0 => Ok(number),
                _ => Err(format!("`{text}` is no whole number above 0")),
            },
        )?;
        let (rows, warnings) = set.finish()?;
        Ok(Self {
            policy,
            accept,
            severity_from,
            base,
            max_findings,
            rows,
            warnings,
        })
    }
}

type Threshold = (Option<Class>, Option<Severity>);

fn named(thresholds: &[Threshold], class: Class) -> bool {
    thresholds.iter().any(|(other, _)| *other == Some(class))
}

fn threshold(text: &str) -> Result<Threshold, String> {
    let (class, word) = match text.split_once('=') {
        Some((class, word)) => (Some(class.trim().parse::<Class>()?), word.trim()),
        None => (None, text.trim()),
    };
    if word == "never" {
        return Ok((class, None));
    }
    match word.parse::<Severity>() {
        Ok(Severity::Unknown) => {
            Err("`unknown` is no threshold: what it means is set with --unknown".to_owned())
        }
        Ok(severity) => Ok((class, Some(severity))),
        Err(_) => {
            let words = ["critical", "high", "medium", "low", "info", "never"];
            Err(wrong_word("severity", word, &words))
        }
    }
}

fn wrong_word(what: &str, word: &str, words: &[&str]) -> String {
    match did_you_mean(word, words.iter().copied()) {
        Some(meant) => format!("`{word}` is no {what}: did you mean `{meant}`?"),
        None => format!("`{word}` is no {what}: there are {}", words.join(", ")),
    }
}

fn required(text: &str) -> Result<Required, String> {
    let (word, tool) = match text.split_once(':') {
        Some((word, tool)) => (word, Some(tool)),
        None => (text, None),
    };
    let format = Format::ALL
        .into_iter()
        .find(|format| format.as_str() == word.trim());
    let Some(format) = format else {
        return Err(wrong_word("format", word, &Format::ALL.map(Format::as_str)));
    };
    match tool {
        Some(_) if format != Format::Sarif => Err(format!(
            "`{text}`: only sarif is written by more than one tool"
        )),
        Some("") => Err(format!("`{text}` names no tool after `:`")),
        tool => Ok(Required {
            format,
            tool: tool.map(str::to_owned),
        }),
    }
}

fn accepted(text: &str) -> Result<Accepted, String> {
    let (word, subject) = match text.split_once(':') {
        Some((word, subject)) => (word, Some(subject.to_owned())),
        None => (text, None),
    };
    let words = Gap::ALL.map(|(gap, _)| gap.as_str());
    let gap = Gap::ALL
        .into_iter()
        .map(|(gap, _)| gap)
        .find(|gap| gap.as_str() == word);
    match gap {
        Some(gap) => Ok(Accepted { gap, subject }),
        None => Err(wrong_word("kind of gap", word, &words)),
    }
}

fn days(text: &str) -> Result<u32, String> {
    let time = units::duration(text).map_err(|error| error.to_string())?;
    u32::try_from(time.as_secs() / 86_400).map_err(|_| format!("`{text}` is too long"))
}

fn age(text: &str) -> Result<Option<Duration>, String> {
    if text == "off" {
        return Ok(None);
    }
    let time = units::duration(text).map_err(|error| error.to_string())?;
    if time.is_zero() {
        return Err("no report is that young; write `off` for any age".to_owned());
    }
    Ok(Some(time))
}

fn glob(text: &str) -> Result<Glob, String> {
    text.parse::<Glob>().map_err(|error| error.to_string())
}

fn some_text(text: &str) -> Result<String, &'static str> {
    if text.trim().is_empty() {
        Err("it is empty: is the pipeline's variable set?")
    } else {
        Ok(text.to_owned())
    }
}
