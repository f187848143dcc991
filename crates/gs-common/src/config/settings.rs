//! One tool's values, each with its origin.

use std::collections::BTreeMap;
use std::path::PathBuf;

use toml::de::DeValue;

use super::error::{ConfigError, did_you_mean, known_words};
use super::project::Project;

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Typed on the command line: `flag --deadline`.
    Flag(String),
    /// An environment variable: `environment GS_SMOKE_TEST_DEADLINE`.
    Variable(String),
    /// The configuration file and its line.
    File(String, u32),
    /// Built in.
    Default,
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Flag(flag) => write!(f, "flag {flag}"),
            Self::Variable(name) => write!(f, "environment {name}"),
            Self::File(path, line) => write!(f, "{path}:{line}"),
            Self::Default => f.write_str("default"),
        }
    }
}

/// One line of what `TOOL config` prints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The key as in the file.
    pub key: String,
    /// The value as text; empty where there is none.
    pub value: String,
    /// Where it came from.
    pub origin: Origin,
}

/// Resolves the values of one tool, one call per key; a key that was never asked for is unknown.
///
/// Every value is read from its text by one function, wherever it came from, so that `5m` means
/// the same on the command line, in a variable and in the file.
#[derive(Debug)]
pub struct Settings<'a> {
    tool: &'static str,
    project: &'a Project,
    variables: &'a BTreeMap<String, String>,
    section: BTreeMap<String, Entry>,
    rows: Vec<Row>,
}

#[derive(Clone, Debug)]
struct Entry {
    texts: Result<Vec<String>, &'static str>,
    key: std::ops::Range<usize>,
    value: std::ops::Range<usize>,
}

/// The texts of a value, first origin that has any.
struct Found {
    texts: Vec<String>,
    origin: Origin,
    span: Option<std::ops::Range<usize>>,
}

impl<'a> Settings<'a> {
    /// Starts with a tool's section of the file and the environment's variables.
    ///
    /// # Errors
    /// The file is no TOML.
    pub fn new(
        tool: &'static str,
        project: &'a Project,
        variables: &'a BTreeMap<String, String>,
    ) -> Result<Self, ConfigError> {
        let root = project.root()?;
        let section = match root
            .get_ref()
            .get(tool)
            .and_then(|value| value.get_ref().as_table())
        {
            None => BTreeMap::new(),
            Some(table) => table
                .iter()
                .map(|(key, value)| {
                    let entry = Entry {
                        texts: texts_of(value.get_ref()),
                        key: key.span(),
                        value: value.span(),
                    };
                    (key.get_ref().to_string(), entry)
                })
                .collect(),
        };
        Ok(Self {
            tool,
            project,
            variables,
            section,
            rows: Vec::new(),
        })
    }

    /// A value that has a default, itself a text that is read like any other.
    ///
    /// # Errors
    /// The text cannot be read; the error names its origin.
    pub fn value<T, E: std::fmt::Display>(
        &mut self,
        key: &'static str,
        flag: Option<&str>,
        default: &str,
        read: impl Fn(&str) -> Result<T, E>,
    ) -> Result<T, ConfigError> {
        let found = self
            .find(key, flag.map(|text| vec![text.to_owned()]))?
            .unwrap_or(Found {
                texts: vec![default.to_owned()],
                origin: Origin::Default,
                span: None,
            });
        self.read_one(key, found, read)
    }

    /// A value that may be absent.
    ///
    /// # Errors
    /// The text cannot be read; the error names its origin.
    pub fn optional<T, E: std::fmt::Display>(
        &mut self,
        key: &'static str,
        flag: Option<&str>,
        read: impl Fn(&str) -> Result<T, E>,
    ) -> Result<Option<T>, ConfigError> {
        match self.find(key, flag.map(|text| vec![text.to_owned()]))? {
            Some(found) => self.read_one(key, found, read).map(Some),
            None => {
                self.row(key, String::new(), Origin::Default);
                Ok(None)
            }
        }
    }

    /// A path that may be absent. In the file it is relative to the file.
    ///
    /// # Errors
    /// The value is no single text.
    pub fn path(
        &mut self,
        key: &'static str,
        flag: Option<&str>,
    ) -> Result<Option<PathBuf>, ConfigError> {
        let folder = self.project.folder().to_owned();
        let from_file = flag.is_none()
            && !self.variables.contains_key(&self.variable(key))
            && self.section.contains_key(key);
        self.optional(key, flag, |text| {
            Ok::<_, ConfigError>(if from_file {
                folder.join(text)
            } else {
                PathBuf::from(text)
            })
        })
    }

    /// A switch, off by default. A flag can only turn it on.
    ///
    /// # Errors
    /// The text is neither `true` nor `false`.
    pub fn switch(&mut self, key: &'static str, flag: bool) -> Result<bool, ConfigError> {
        self.value(key, flag.then_some("true"), "false", |text| {
            text.parse::<bool>().map_err(|_| "write `true` or `false`")
        })
    }

    /// A list: repeated flags, an array in the file, commas in a variable. The first origin that
    /// has any wins whole. Empty where none has.
    ///
    /// # Errors
    /// One of the texts cannot be read; the error names its origin.
    pub fn list<T, E: std::fmt::Display>(
        &mut self,
        key: &'static str,
        flags: &[String],
        read: impl Fn(&str) -> Result<T, E>,
    ) -> Result<Vec<T>, ConfigError> {
        let flags = (!flags.is_empty()).then(|| flags.to_vec());
        let Some(found) = self.find(key, flags)? else {
            self.row(key, String::new(), Origin::Default);
            return Ok(Vec::new());
        };
        let mut items = Vec::new();
        for text in &found.texts {
            items.push(read(text).map_err(|error| self.wrong(key, &found, &error.to_string()))?);
        }
        self.row(key, found.texts.join(","), found.origin);
        Ok(items)
    }

    /// What `TOOL config` prints, and the sentences about variables that look like ours and are
    /// not. Call it last.
    ///
    /// # Errors
    /// The section has a key that was never asked for.
    pub fn finish(self) -> Result<(Vec<Row>, Vec<String>), ConfigError> {
        let known = || self.rows.iter().map(|row| row.key.as_str());
        for (key, entry) in &self.section {
            if !known().any(|known| known == key) {
                let hint = did_you_mean(key, known()).map_or_else(
                    || known_words(known()),
                    |word| format!("did you mean `{word}`?"),
                );
                let message = format!("unknown key `{key}` in section `{}`", self.tool);
                return Err(self.project.error(entry.key.clone(), message).hint(hint));
            }
        }
        let prefix = self.variable("");
        let names: Vec<String> = known().map(|key| self.variable(key)).collect();
        let strange = self
            .variables
            .keys()
            .filter(|name| name.starts_with(&prefix) && !names.contains(name));
        let warnings = strange
            .map(
                |name| match did_you_mean(name, names.iter().map(String::as_str)) {
                    Some(word) => {
                        format!("variable `{name}` means nothing: did you mean `{word}`?")
                    }
                    None => format!("variable `{name}` means nothing to {}", self.tool),
                },
            )
            .collect();
        Ok((self.rows, warnings))
    }

    /// `GS_SMOKE_TEST_DEADLINE` for the key `deadline` of `smoke-test`.
    fn variable(&self, key: &str) -> String {
        format!("GS_{}_{}", self.tool, key)
            .replace('-', "_")
            .to_uppercase()
    }

    fn find(&self, key: &str, flags: Option<Vec<String>>) -> Result<Option<Found>, ConfigError> {
        if let Some(texts) = flags {
            return Ok(Some(Found {
                texts,
                origin: Origin::Flag(format!("--{key}")),
                span: None,
            }));
        }
        let variable = self.variable(key);
        // An empty variable is how CI systems write an absent one.
        if let Some(text) = self
            .variables
            .get(&variable)
            .filter(|text| !text.is_empty())
        {
            let texts = text.split(',').map(|part| part.trim().to_owned()).collect();
            return Ok(Some(Found {
                texts,
                origin: Origin::Variable(variable),
                span: None,
            }));
        }
        let Some(entry) = self.section.get(key) else {
            return Ok(None);
        };
        let texts = entry.texts.clone().map_err(|why| {
            self.project
                .error(entry.value.clone(), format!("`{key}` is {why}"))
                .hint("write a text, a number, `true` or `false`, or a list of those")
        })?;
        let (line, _) = super::line_and_column(self.project.source(), entry.key.start);
        let origin = Origin::File(self.project.shown(), line);
        Ok(Some(Found {
            texts,
            origin,
            span: Some(entry.value.clone()),
        }))
    }

    fn read_one<T, E: std::fmt::Display>(
        &mut self,
        key: &'static str,
        found: Found,
        read: impl Fn(&str) -> Result<T, E>,
    ) -> Result<T, ConfigError> {
        let text = match (&found.origin, found.texts.as_slice()) {
            // A comma is part of a single value.
            (Origin::Variable(name), _) => self.variables.get(name).cloned().unwrap_or_default(),
            (_, [text]) => text.clone(),
            (_, texts) => {
                let why = format!("one value is wanted, not {}", texts.len());
                return Err(self.wrong(key, &found, &why));
            }
        };
        let value = read(&text).map_err(|error| self.wrong(key, &found, &error.to_string()))?;
        self.row(key, text, found.origin);
        Ok(value)
    }

    fn wrong(&self, key: &str, found: &Found, why: &str) -> ConfigError {
        match (&found.origin, &found.span) {
            (_, Some(span)) => self.project.error(span.clone(), format!("`{key}`: {why}")),
            (Origin::Flag(flag), _) => ConfigError::new(format!("{flag}: {why}")),
            (Origin::Variable(name), _) => ConfigError::new(format!("variable {name}: {why}")),
            _ => ConfigError::new(format!("{key}: {why}")),
        }
    }

    fn row(&mut self, key: &str, value: String, origin: Origin) {
        self.rows.push(Row {
            key: key.to_owned(),
            value,
            origin,
        });
    }
}

/// A TOML value as the texts that the same value would be on a command line.
fn texts_of(value: &DeValue<'_>) -> Result<Vec<String>, &'static str> {
    match value {
        DeValue::String(text) => Ok(vec![text.to_string()]),
        DeValue::Integer(number) => Ok(vec![number.to_string()]),
        DeValue::Float(number) => Ok(vec![number.to_string()]),
        DeValue::Boolean(truth) => Ok(vec![truth.to_string()]),
        DeValue::Datetime(time) => Ok(vec![time.to_string()]),
        DeValue::Array(items) => {
            let mut texts = Vec::new();
            for item in items.iter() {
                match texts_of(item.get_ref())?.as_slice() {
                    [text] if !item.get_ref().is_array() => texts.push(text.clone()),
                    _ => return Err("a list of lists"),
                }
            }
            Ok(texts)
        }
        DeValue::Table(_) => Err("a table"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units;
    use std::path::Path;
    use std::time::Duration;

    struct World {
        _folder: tempfile::TempDir,
        project: Project,
        variables: BTreeMap<String, String>,
    }

    fn world(file: &str, variables: &[(&str, &str)]) -> World {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("goldensignals.toml");
        crate::file::write_atomic(&path, |out| out.write_all(file.as_bytes())).unwrap();
        World {
            project: Project::find(Some(&path), Path::new("/")).unwrap(),
            _folder: folder,
            variables: variables
                .iter()
                .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
                .collect(),
        }
    }

    impl World {
        fn settings(&self) -> Settings<'_> {
            Settings::new("smoke-test", &self.project, &self.variables).unwrap()
        }

        fn deadline(&self, flag: Option<&str>) -> (Result<Duration, ConfigError>, Vec<Row>) {
            let mut settings = self.settings();
            let value = settings.value("deadline", flag, "5m", units::duration);
            (value, settings.rows)
        }
    }

    #[track_caller]
    fn check(file: &str, variable: Option<&str>, flag: Option<&str>, seconds: u64, origin: &str) {
        let variables: Vec<_> = variable
            .map(|v| ("GS_SMOKE_TEST_DEADLINE", v))
            .into_iter()
            .collect();
        let world = world(file, &variables);
        let (value, rows) = world.deadline(flag);
        assert_eq!(value, Ok(Duration::from_secs(seconds)));
        assert!(
            rows[0].origin.to_string().ends_with(origin),
            "{}",
            rows[0].origin
        );
    }

    #[test]
    fn flag_over_variable_over_file_over_default() {
        let file = "[smoke-test]\ndeadline = '3s'\n";
        check(file, Some("2s"), Some("1s"), 1, "flag --deadline");
        check(
            file,
            Some("2s"),
            None,
            2,
            "environment GS_SMOKE_TEST_DEADLINE",
        );
        check(file, None, None, 3, "goldensignals.toml:2");
        check("", None, None, 300, "default");
        check(file, Some(""), None, 3, "goldensignals.toml:2");
    }

    #[track_caller]
    fn wrong(file: &str, variables: &[(&str, &str)], flag: Option<&str>, said: &str) {
        let error = world(file, variables).deadline(flag).0.unwrap_err();
        assert!(error.to_string().contains(said), "{error}");
    }

    #[test]
    fn a_wrong_value_names_its_origin() {
        wrong("", &[], Some("soon"), "--deadline: `soon` is no duration");
        wrong(
            "",
            &[("GS_SMOKE_TEST_DEADLINE", "5")],
            None,
            "GS_SMOKE_TEST_DEADLINE: `5` is no",
        );
        wrong(
            "[smoke-test]\ndeadline = 5\n",
            &[],
            None,
            "goldensignals.toml:2:12: `deadline`",
        );
        wrong(
            "[smoke-test]\ndeadline = ['1s', '2s']\n",
            &[],
            None,
            "one value is wanted",
        );
        wrong(
            "[smoke-test]\ndeadline = {a = 1}\n",
            &[],
            None,
            "is a table",
        );
    }

    #[test]
    fn an_unknown_key_is_an_error_and_an_unknown_variable_a_warning() {
        let strange = world(
            "[smoke-test]\ndaedline = '3s'\n",
            &[("GS_SMOKE_TEST_DEADLIN", "1s")],
        );
        let mut settings = strange.settings();
        settings
            .value("deadline", None, "5m", units::duration)
            .unwrap();
        let error = settings.finish().unwrap_err();
        assert_eq!(error.hint.as_deref(), Some("did you mean `deadline`?"));

        let strange = world("", &[("GS_SMOKE_TEST_DEADLIN", "1s"), ("GS_OTHER", "x")]);
        let mut settings = strange.settings();
        settings
            .value("deadline", None, "5m", units::duration)
            .unwrap();
        let (_, warnings) = settings.finish().unwrap();
        assert_eq!(warnings.len(), 1);
        assert!(
            warnings[0].contains("did you mean `GS_SMOKE_TEST_DEADLINE`?"),
            "{warnings:?}"
        );
    }

    #[test]
    fn a_list_comes_whole_from_one_origin() {
        let world = world("[smoke-test]\nonly = ['core', 'ws']\n", &[]);
        let mut settings = world.settings();
        let read = |text: &str| Ok::<_, ConfigError>(text.to_owned());
        assert_eq!(settings.list("only", &[], read).unwrap(), ["core", "ws"]);
        let mut settings = world.settings();
        assert_eq!(
            settings.list("only", &["x".to_owned()], read).unwrap(),
            ["x"]
        );
    }

    #[test]
    fn a_path_in_the_file_is_relative_to_the_file() {
        let world = world("[smoke-test]\nsuite = 'suites/a.toml'\n", &[]);
        let path = world.settings().path("suite", None).unwrap().unwrap();
        assert!(
            path.is_absolute() && path.ends_with("suites/a.toml"),
            "{}",
            path.display()
        );
        let typed = world.settings().path("suite", Some("a.toml")).unwrap();
        assert_eq!(typed, Some(PathBuf::from("a.toml")));
    }
}
