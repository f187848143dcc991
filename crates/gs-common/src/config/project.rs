//! The file `goldensignals.toml`: environments shared by all tools, and a section per tool.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::{ConfigError, did_you_mean, known_words, toml_error};

/// The name that is looked for.
pub const FILE_NAME: &str = "goldensignals.toml";

/// The tools that may have a section. A tool reads its own and leaves the others alone.
pub const TOOLS: [&str; 10] = [
    "smoke-test",
    "canary-monitor",
    "load-test",
    "coverage-gate",
    "license-check",
    "secret-scan",
    "vuln-gate",
    "pipeline-metrics",
    "gs-notify",
    "gs-report",
];

/// A configuration larger than this is not one.
const LARGEST: u64 = 1 << 20;

/// A read configuration file, or the absence of one.
#[derive(Clone, Debug, Default)]
pub struct Project {
    path: Option<PathBuf>,
    source: String,
    environments: BTreeMap<String, Environment>,
}

/// What all tools share of one deployment of the service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Environment {
    /// Its address.
    pub url: String,
    /// The line in the file, counted from 1.
    pub line: u32,
}

impl Project {
    /// Reads the file that `--config` names, or looks for [`FILE_NAME`] from `cwd` upward to the
    /// root of the repository (the folder that holds `.git`). Outside a repository only `cwd`
    /// itself is looked at. No file at all is no error, unless it was named.
    ///
    /// # Errors
    /// The named file is missing; a file cannot be read, is no UTF-8 or TOML, is larger than 1 MiB,
    /// or has a key that does not exist.
    pub fn find(named: Option<&Path>, cwd: &Path) -> Result<Self, ConfigError> {
        match named.map(Path::to_owned).or_else(|| discover(cwd)) {
            Some(path) => Self::read(&path),
            None => Ok(Self::default()),
        }
    }

    fn read(path: &Path) -> Result<Self, ConfigError> {
        Self::of_text(path, read_text(path, LARGEST)?)
    }

    /// The same of a text that was read elsewhere, such as the file as the base of a change has it.
    ///
    /// # Errors
    /// It is no TOML, or has a key that does not exist.
    pub fn of_text(path: &Path, source: String) -> Result<Self, ConfigError> {
        let mut project = Self {
            path: Some(path.to_owned()),
            source,
            environments: BTreeMap::new(),
        };
        project.environments = project.check()?;
        Ok(project)
    }

    /// Where it stands; `None` where there is no file.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// The folder that relative paths in it start from.
    #[must_use]
    pub fn folder(&self) -> &Path {
        match self.path.as_deref().and_then(Path::parent) {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        }
    }

    /// The environments by name.
    #[must_use]
    pub fn environments(&self) -> &BTreeMap<String, Environment> {
        &self.environments
    }

    /// The environment of that name.
    ///
    /// # Errors
    /// There is none; the error names those that there are.
    pub fn environment(&self, name: &str) -> Result<&Environment, ConfigError> {
        self.environments.get(name).ok_or_else(|| {
            let known = self.environments.keys().map(String::as_str);
            let hint = match did_you_mean(name, known.clone()) {
                Some(word) => format!("did you mean `{word}`?"),
                None if self.environments.is_empty() => {
                    format!("add `[environments.{name}]` with a `url` to {FILE_NAME}")
                }
                None => known_words(known),
            };
            ConfigError::new(format!("there is no environment `{name}`")).hint(hint)
        })
    }

    /// The whole text of the file.
    pub(super) fn source(&self) -> &str {
        &self.source
    }

    /// The path as it is shown.
    pub(super) fn shown(&self) -> String {
        self.path
            .as_deref()
            .unwrap_or(Path::new(FILE_NAME))
            .display()
            .to_string()
    }

    /// The file's root table. Parsed anew where it is needed: it borrows the text, and is small.
    pub(super) fn root(&self) -> Result<Spanned<DeTable<'_>>, ConfigError> {
        DeTable::parse(&self.source)
            .map_err(|error| toml_error(&self.shown(), &self.source, &error))
    }

    /// An error at a stretch of the file.
    pub(super) fn error(
        &self,
        span: std::ops::Range<usize>,
        message: impl Into<String>,
    ) -> ConfigError {
        ConfigError::at(&self.shown(), &self.source, span, message)
    }

    fn check(&self) -> Result<BTreeMap<String, Environment>, ConfigError> {
        let root = self.root()?;
        let mut environments = BTreeMap::new();
        for (key, value) in root.get_ref() {
            let name = key.get_ref().as_ref();
            if name == "environments" {
                environments = self.read_environments(value)?;
            } else if !TOOLS.contains(&name) {
                let known = || std::iter::once("environments").chain(TOOLS);
                let hint = did_you_mean(name, known()).map_or_else(
                    || known_words(known()),
                    |word| format!("did you mean `{word}`?"),
                );
                return Err(self
                    .error(key.span(), format!("unknown section `{name}`"))
                    .hint(hint));
            } else if !value.get_ref().is_table() {
                return Err(self
                    .error(value.span(), format!("`{name}` is the section of a tool"))
                    .hint(format!("write `[{name}]` and its keys below it")));
            }
        }
        Ok(environments)
    }

    fn read_environments(
        &self,
        value: &Spanned<DeValue<'_>>,
    ) -> Result<BTreeMap<String, Environment>, ConfigError> {
        let wanted = "write `[environments.NAME]` with `url = \"https://...\"` below it";
        let Some(table) = value.get_ref().as_table() else {
            return Err(self
                .error(value.span(), "`environments` is no table")
                .hint(wanted));
        };
        let mut environments = BTreeMap::new();
        for (name, value) in table {
            let Some(members) = value.get_ref().as_table() else {
                let message = format!("environment `{}` is no table", name.get_ref());
                return Err(self.error(value.span(), message).hint(wanted));
            };
            let mut url = None;
            for (key, value) in members {
                if key.get_ref() != "url" {
                    let hint = did_you_mean(key.get_ref(), ["url"]).map_or_else(
                        || known_words(["url"]),
                        |_| "did you mean `url`?".to_owned(),
                    );
                    let message = format!("unknown key `{}`", key.get_ref());
                    return Err(self.error(key.span(), message).hint(hint));
                }
                let text = value
                    .get_ref()
                    .as_str()
                    .ok_or_else(|| self.error(value.span(), "`url` is no text").hint(wanted))?;
                url = Some(text.to_owned());
            }
            let url = url.ok_or_else(|| {
                self.error(
                    name.span(),
                    format!("environment `{}` has no `url`", name.get_ref()),
                )
                .hint(wanted)
            })?;
            let (line, _) = super::line_and_column(&self.source, name.span().start);
            environments.insert(name.get_ref().to_string(), Environment { url, line });
        }
        Ok(environments)
    }
}

/// Reads a text file whole, if it is UTF-8 and no larger than `largest` bytes. A byte order mark at
/// the front is dropped.
///
/// # Errors
/// It is missing, unreadable, too large, or no UTF-8.
pub fn read_text(path: &Path, largest: u64) -> Result<String, ConfigError> {
    use std::io::Read as _;
    let shown = path.display();
    let unreadable = |error: std::io::Error| {
        ConfigError::new(format!("cannot read `{shown}`: {error}"))
            .hint("check the path and its permissions")
    };
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(unreadable)?;
    file.take(largest + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    if bytes.len() as u64 > largest {
        let limit = crate::units::show_size(largest);
        return Err(
            ConfigError::new(format!("`{shown}` is larger than {limit}"))
                .hint("name the right file"),
        );
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        ConfigError::new(format!("`{shown}` is no UTF-8 text: byte {at} is none"))
            .hint("save it as UTF-8")
    })?;
    Ok(text
        .strip_prefix('\u{feff}')
        .map(str::to_owned)
        .unwrap_or(text))
}

/// From `cwd` upward to the repository's root.
fn discover(cwd: &Path) -> Option<PathBuf> {
    let root = cwd
        .ancestors()
        .find(|folder| folder.join(".git").exists())
        .unwrap_or(cwd);
    cwd.ancestors()
        .take_while(|folder| folder.starts_with(root))
        .map(|folder| folder.join(FILE_NAME))
        .find(|path| path.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(text: &[u8]) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE_NAME);
        crate::file::write_atomic(&path, |out| out.write_all(text)).unwrap();
        (folder, path)
    }

    #[track_caller]
    fn refuses(text: &str, message: &str, hint: &str) {
        let (_folder, path) = written(text.as_bytes());
        let error = Project::find(Some(&path), Path::new("/")).unwrap_err();
        let shown = error.to_string();
        assert!(
            shown.contains(message) && shown.contains(FILE_NAME),
            "{shown}"
        );
        let said = error.hint.unwrap_or_default();
        assert!(said.contains(hint), "hint: {said}");
    }

    #[test]
    fn environments_are_read_with_their_lines() {
        let (_folder, path) = written(b"\xef\xbb\xbf# ours\n[environments.staging]\nurl = 'https://s'\n[smoke-test]\nwhatever = 1\n");
        let project = Project::find(Some(&path), Path::new("/")).unwrap();
        let staging = project.environment("staging").unwrap();
        assert_eq!((staging.url.as_str(), staging.line), ("https://s", 2));
        let error = project.environment("stagign").unwrap_err();
        assert_eq!(error.hint.as_deref(), Some("did you mean `staging`?"));
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        refuses(
            "[environmnets.staging]\nurl = 'x'\n",
            ":1:2: unknown section",
            "`environments`",
        );
        refuses("[environments.staging\nurl = 3\n", ":1:", "");
        refuses(
            "[environments.staging]\nurl = 3\n",
            ":2:7: `url` is no text",
            "url =",
        );
        refuses(
            "[environments.staging]\nulr = 'x'\n",
            "unknown key `ulr`",
            "did you mean `url`",
        );
        refuses("[environments.staging]\n", "has no `url`", "url =");
        refuses("environments = 3\n", "is no table", "environments.NAME");
        refuses("smoke-test = 3\n", "section of a tool", "[smoke-test]");
    }

    #[test]
    fn a_named_file_that_is_missing_is_an_error_and_an_unnamed_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Project::find(Some(&folder.path().join("none.toml")), folder.path()).is_err());
        assert_eq!(Project::find(None, folder.path()).unwrap().path(), None);
    }

    #[test]
    fn the_search_ends_at_the_repository() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("repo/a/b");
        std::fs::create_dir_all(&inner).unwrap();
        std::fs::create_dir(folder.path().join("repo/.git")).unwrap();
        let write = |path: PathBuf| crate::file::write_atomic(&path, |_| Ok(())).unwrap();
        write(folder.path().join(FILE_NAME));
        assert_eq!(discover(&inner), None);
        write(folder.path().join("repo").join(FILE_NAME));
        assert_eq!(
            discover(&inner),
            Some(folder.path().join("repo").join(FILE_NAME))
        );
    }

    #[test]
    fn what_is_no_text_is_refused() {
        let (_folder, path) = written(b"a = '\xff'\n");
        let error = Project::find(Some(&path), Path::new("/")).unwrap_err();
        assert!(error.to_string().contains("no UTF-8"), "{error}");
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let (_folder, path) = written(&bytes);
            let _ = Project::find(Some(&path), Path::new("/")).is_ok();
        }
    }
}
