//! From files to a suite: includes, variables, and the laws that hold across checks.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use gs_common::config::fields::{self, Fields, File, Item};
use gs_common::config::{ConfigError, did_you_mean, read_text};
use gs_common::redact;
use gs_common::verdict::Verdict;
use serde_json::Value;

use super::check::{Defaults, check};
use super::model::{Retry, Suite, Variable};
use super::template::is_name;
use super::whole::whole;

/// A suite file larger than this is not one.
const LARGEST: u64 = 4 << 20;

/// More files than this are a mistake of someone's generator.
const MOST_FILES: usize = 100;

/// More checks than this are one too. The laws across checks look at pairs of them.
const MOST_CHECKS: usize = 5000;

/// So many further problems of a file are told beside the first.
const FURTHER: usize = 5;

/// Where a suite comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A file.
    File(PathBuf),
    /// The GoldenSignals suite that is built in.
    BuiltIn,
}

/// What a suite is read with.
#[derive(Clone, Debug, Default)]
pub struct Inputs {
    /// The environment whose variables apply.
    pub environment: Option<String>,
    /// The process' environment, for variables that come from it.
    pub process: BTreeMap<String, String>,
    /// Variables from the command line.
    pub variables: Vec<(String, String)>,
    /// Limit of a try where the suite does not say.
    pub timeout: Option<Duration>,
    /// Retries where the suite does not say.
    pub retries: Option<u32>,
    /// Nothing will be sent: an environment variable that is missing is a warning.
    pub dry: bool,
}

/// Reads a suite with everything it includes.
///
/// # Errors
/// A file is missing, is no TOML, says something unknown or wrong, or the whole makes no sense: a
/// cycle of `include` or `needs`, an id written twice, a name that nothing gives a value. The error
/// has the place.
pub fn read(source: &Source, inputs: &Inputs) -> Result<Suite, ConfigError> {
    let mut reader = Reader {
        inputs,
        suite: Suite {
            name: String::new(),
            warnings: Vec::new(),
            variables: BTreeMap::new(),
            checks: Vec::new(),
        },
        open: Vec::new(),
        files: 0,
        environments: BTreeSet::new(),
        unset: BTreeMap::new(),
    };
    match source {
        Source::BuiltIn => {
            let file = File {
                name: super::builtin::NAME.to_owned(),
                text: super::builtin::TEXT.to_owned(),
            };
            reader.file(&file)?;
        }
        Source::File(path) => reader.path(path)?,
    }
    if reader.suite.name.is_empty() {
        reader.suite.name = match source {
            Source::BuiltIn => "goldensignals".to_owned(),
            Source::File(path) => path
                .file_stem()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned(),
        };
    }
    reader.command_line_variables()?;
    reader.environment_is_known()?;
    reader.everything_is_set()?;
    whole(&reader.suite, source)?;
    Ok(reader.suite)
}

struct Reader<'a> {
    inputs: &'a Inputs,
    suite: Suite,
    /// The files that are being read, outermost first.
    open: Vec<PathBuf>,
    files: usize,
    environments: BTreeSet<String>,
    /// Variables whose environment variable is not set, with the complaint. Another definition may
    /// still give them a value: an environment of the suite, the including file, the command line.
    unset: BTreeMap<String, ConfigError>,
}

impl Reader<'_> {
    fn path(&mut self, path: &Path) -> Result<(), ConfigError> {
        let text = read_text(path, LARGEST)?;
        let file = File {
            name: path.display().to_string(),
            text,
        };
        self.open
            .push(path.canonicalize().unwrap_or_else(|_| path.to_owned()));
        self.file(&file)?;
        self.open.pop();
        Ok(())
    }

    fn file(&mut self, file: &File) -> Result<(), ConfigError> {
        self.files += 1;
        if self.files > MOST_FILES {
            return Err(ConfigError::new(format!(
                "{}: more than {MOST_FILES} files are included",
                file.name
            )));
        }
        let root = fields::parse(file)?;
        let fields = Fields::new(file, root.get_ref(), root.span());
        if let Some(name) = fields.text("name")?
            && self.suite.name.is_empty()
        {
            self.suite.name = name;
        }
        for item in fields.get("include").map_or(Ok(Vec::new()), |item| {
            if item.value.get_ref().is_str() {
                Ok(vec![item])
            } else {
                item.items()
            }
        })? {
            self.include(file, &item)?;
        }
        self.variables(fields.fields("variables")?)?;
        if let Some(environments) = fields.fields("environments")? {
            for (name, item) in environments.named() {
                let environment = item.fields()?;
                let variables = environment.fields("variables")?;
                environment.finish()?;
                self.environments.insert(name.get_ref().clone());
                if self.inputs.environment.as_deref() == Some(name.get_ref()) {
                    self.variables(variables)?;
                }
            }
        }
        let base = Defaults {
            tags: Vec::new(),
            severity: Verdict::Fail,
            headers: Vec::new(),
            timeout: self.inputs.timeout.unwrap_or(Duration::from_secs(10)),
            limit: Duration::from_secs(30),
            retry: Retry {
                retries: self.inputs.retries.unwrap_or(2),
                base: Duration::from_millis(200),
                cap: Duration::from_secs(5),
                until: false,
            },
        };
        let defaults = Defaults::read(fields.fields("defaults")?, &base)?;
        let mut problems = Vec::new();
        for item in fields.items("checks")? {
            let check = match check(&item, &defaults) {
                Ok(check) => check,
                Err(problem) => {
                    problems.push(problem);
                    continue;
                }
            };
            if self.suite.checks.len() >= MOST_CHECKS {
                return Err(item
                    .error(format!("the suite has more than {MOST_CHECKS} checks"))
                    .hint("split it into several suites"));
            }
            if let Some(other) = self.suite.checks.iter().find(|other| other.id == check.id) {
                let id = item.fields()?.get("id").unwrap_or(item);
                return Err(id
                    .error(format!(
                        "the id `{}` is taken by the check at {}",
                        check.id, other.place
                    ))
                    .hint("give one of them another id"));
            }
            self.suite.checks.push(check);
        }
        told_together(problems)?;
        fields.finish()
    }

    fn include(&mut self, file: &File, item: &Item<'_>) -> Result<(), ConfigError> {
        if self.open.is_empty() {
            return Err(item.error("the built-in suite includes nothing"));
        }
        let folder = Path::new(&file.name).parent().unwrap_or(Path::new("."));
        let path = folder.join(item.text()?);
        let resolved = path.canonicalize().map_err(|error| {
            let why = match error.kind() {
                std::io::ErrorKind::NotFound => "does not exist".to_owned(),
                _ => format!("cannot be read: {error}"),
            };
            item.error(format!("`{}` {why}", path.display()))
                .hint("an included file is named relative to the file that includes it")
        })?;
        if let Some(start) = self.open.iter().position(|open| *open == resolved) {
            let names: Vec<String> = self.open[start..]
                .iter()
                .chain([&resolved])
                .map(|path| {
                    path.file_name()
                        .unwrap_or_default()
                        .to_string_lossy()
                        .into_owned()
                })
                .collect();
            return Err(item.error(format!("a circle of includes: {}", names.join(" -> "))));
        }
        self.path(&path)
    }

    fn variables(&mut self, fields: Option<Fields<'_>>) -> Result<(), ConfigError> {
        let Some(fields) = fields else { return Ok(()) };
        for (name, item) in fields.named() {
            let name = name.into_inner();
            if !is_name(&name) {
                return Err(item
                    .error(format!("`{name}` is no name for a variable"))
                    .hint("letters, digits, `_` and `-`, starting with a letter"));
            }
            self.unset.remove(&name);
            let variable = if item.is_table() {
                self.process_variable(&name, item.fields()?)?
            } else {
                match item.json()? {
                    Value::String(value) => Variable {
                        value,
                        secret: false,
                    },
                    value @ (Value::Number(_) | Value::Bool(_)) => Variable {
                        value: value.to_string(),
                        secret: false,
                    },
                    _ => return Err(item.wants("a text, a number, or `{ env = \"NAME\" }`")),
                }
            };
            self.suite.variables.insert(name, variable);
        }
        Ok(())
    }

    fn process_variable(
        &mut self,
        name: &str,
        fields: Fields<'_>,
    ) -> Result<Variable, ConfigError> {
        let env = fields.text("env")?;
        let default = fields.text("default")?;
        let secret = fields.truth("secret")?.unwrap_or(false);
        if secret && default.is_some() {
            return Err(fields
                .error(format!("the secret `{name}` has a default in the file"))
                .hint("secrets come from the environment only: write `env`"));
        }
        let from_env = env.as_ref().and_then(|env| self.inputs.process.get(env));
        let value = match (from_env, default, &env) {
            (Some(value), _, _) => value.clone(),
            (None, Some(default), _) => default,
            (None, None, Some(env)) => {
                let why = if secret {
                    "set it: it is a secret, so it has no default".to_owned()
                } else {
                    format!("set it, or add a `default` to `{name}`")
                };
                let complaint = fields
                    .error(format!("the environment variable {env} is not set"))
                    .hint(why);
                self.unset.insert(name.to_owned(), complaint);
                fields.finish()?;
                return Ok(Variable {
                    value: String::new(),
                    secret,
                });
            }
            (None, None, None) => {
                return Err(fields
                    .error(format!("the variable `{name}` has no value"))
                    .hint("write `env`, `default`, or both"));
            }
        };
        if secret && !value.is_empty() && value.chars().count() < redact::SHORTEST {
            return Err(fields.error(format!(
                "the secret `{name}` has fewer than {} characters: it cannot be hidden in reports",
                redact::SHORTEST
            )).hint("use a longer one"));
        }
        if secret && value.is_empty() {
            self.suite
                .warnings
                .push(format!("the secret `{name}` is empty"));
        }
        fields.finish()?;
        Ok(Variable { value, secret })
    }

    fn command_line_variables(&mut self) -> Result<(), ConfigError> {
        for (name, value) in &self.inputs.variables {
            let Some(variable) = self.suite.variables.get_mut(name) else {
                let known = self.suite.variables.keys().map(String::as_str);
                let hint = match did_you_mean(name, known) {
                    Some(word) => format!("did you mean `{word}`?"),
                    None => "the suite's `[variables]` name those that can be given".to_owned(),
                };
                return Err(
                    ConfigError::new(format!("--var: the suite has no variable `{name}`"))
                        .hint(hint),
                );
            };
            if variable.secret {
                return Err(ConfigError::new(format!(
                    "--var: `{name}` is a secret, and a command line is not"
                ))
                .hint("set the environment variable that the suite names"));
            }
            variable.value.clone_from(value);
            self.unset.remove(name);
        }
        Ok(())
    }

    /// Every variable got its value; in a dry run the lack of one is only told.
    fn everything_is_set(&mut self) -> Result<(), ConfigError> {
        let unset = std::mem::take(&mut self.unset);
        if !self.inputs.dry {
            return told_together(unset.into_values().collect());
        }
        let told = |error: ConfigError| match error.at {
            Some(at) => format!("{}:{}: {}", at.path, at.line, error.message),
            None => error.message,
        };
        self.suite.warnings.extend(unset.into_values().map(told));
        Ok(())
    }

    /// An environment that the suite does not know is a typo, unless the suite knows none at all.
    fn environment_is_known(&self) -> Result<(), ConfigError> {
        let Some(name) = &self.inputs.environment else {
            return Ok(());
        };
        if self.environments.is_empty() || self.environments.contains(name) {
            return Ok(());
        }
        let known: Vec<&str> = self.environments.iter().map(String::as_str).collect();
        Err(
            ConfigError::new(format!("the suite has no environment `{name}`"))
                .hint(format!("it has {}", known.join(", "))),
        )
    }
}

/// Several problems as one: the first in full, the others by place and message.
fn told_together(problems: Vec<ConfigError>) -> Result<(), ConfigError> {
    let mut problems = problems.into_iter();
    let Some(first) = problems.next() else {
        return Ok(());
    };
    let others: Vec<String> = problems
        .map(|problem| match problem.at {
            Some(at) => format!("{}:{}:{}: {}", at.path, at.line, at.column, problem.message),
            None => problem.message,
        })
        .collect();
    if others.is_empty() {
        return Err(first);
    }
    let mut hint = first.hint.clone().unwrap_or_else(|| "mend it".to_owned());
    hint.push_str(&format!(
        "\nthere {} more:",
        if others.len() == 1 {
            "is 1".to_owned()
        } else {
            format!("are {}", others.len())
        }
    ));
    for other in others.iter().take(FURTHER) {
        hint.push_str(&format!("\n  {other}"));
    }
    if others.len() > FURTHER {
        hint.push_str(&format!("\n  and {} more", others.len() - FURTHER));
    }
    Err(first.hint(hint))
}
