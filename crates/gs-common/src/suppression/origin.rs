//! Where the exceptions are read from. In a pull request the base branch: what a change says about
//! itself is no exception yet.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::LARGEST;
use crate::config::{ConfigError, read_text};

/// Where a file of exceptions is read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The file as it lies there.
    WorkTree,
    /// The file as the base of the change has it.
    Base {
        /// What was typed or given: `origin/main`, a commit, the name of a branch.
        name: String,
        /// The revisions to try, in their order.
        candidates: Vec<String>,
    },
}

/// A file of exceptions, read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Loaded {
    /// What complaints and reports call it: the path, with `REF:` before it where it is from the base.
    pub name: String,
    /// Its text; empty where the base has no such file.
    pub text: String,
    /// Sentences that the report has to say: that the base was read, that the change edits the file.
    pub notes: Vec<String>,
}

impl Origin {
    /// What a flag (`--exceptions-from REF`) says, else the base branch of the pull request that GitHub
    /// Actions runs for (`GITHUB_BASE_REF`), else the work tree. `--exceptions-from .` is the work tree,
    /// for those who want to see what their change would do.
    #[must_use]
    pub fn of(flag: Option<&str>, variables: &BTreeMap<String, String>) -> Self {
        match flag {
            Some(".") => Self::WorkTree,
            Some(name) => Self::Base {
                name: name.to_owned(),
                candidates: vec![name.to_owned()],
            },
            None => match variables
                .get("GITHUB_BASE_REF")
                .filter(|name| !name.is_empty())
            {
                // What was fetched comes first: a local branch of that name may be old.
                Some(name) => Self::Base {
                    name: name.clone(),
                    candidates: vec![
                        format!("refs/remotes/origin/{name}"),
                        format!("refs/heads/{name}"),
                    ],
                },
                None => Self::WorkTree,
            },
        }
    }

    /// Reads a file from there. Calls `git`, without the network; nothing of the work tree is changed.
    ///
    /// # Errors
    /// The file cannot be read, or the base is not known to this clone. A file that the base does not have
    /// is no error: there is no exception yet, and a note says so.
    pub fn load(&self, path: &Path) -> Result<Loaded, ConfigError> {
        let Self::Base { name, candidates } = self else {
            return Ok(Loaded {
                name: path.display().to_string(),
                text: read_text(path, LARGEST)?,
                notes: Vec::new(),
            });
        };
        let (folder, inside) = split(path);
        let git = Git { folder: &folder };
        let mut commit = None;
        for candidate in candidates {
            commit = git.commit(candidate)?;
            if commit.is_some() {
                break;
            }
        }
        let commit = commit.ok_or_else(|| {
            ConfigError::new(format!(
                "cannot read the exceptions `{}` as `{name}` has them: this clone does not know `{name}`",
                path.display()
            ))
            .hint(format!(
                "fetch it first: `git fetch --depth=1 origin {name}:refs/remotes/origin/{name}`, or `fetch-depth: 0` for actions/checkout"
            ))
        })?;
        let shown = format!("{name}:{}", path.display());
        let here = std::fs::read(path).ok();
        let there = git.blob(&format!("{commit}:./{inside}"))?;
        let mut loaded = Loaded {
            name: shown,
            text: String::new(),
            notes: Vec::new(),
        };
        match (there, here) {
            (None, None) => {
                return Err(ConfigError::new(format!(
                    "there is no `{}`, neither here nor in `{name}`",
                    path.display()
                ))
                .hint("check the path of the exceptions"));
            }
            (None, Some(_)) => loaded.notes.push(format!(
                "`{name}` has no `{}`: the exceptions of this change count once they are merged",
                path.display()
            )),
            (Some(there), here) => {
                if here.as_ref() != Some(&there) {
                    loaded.notes.push(format!(
                        "this change has another `{}` than `{name}`, whose exceptions count",
                        path.display()
                    ));
                }
                let text = String::from_utf8(there).map_err(|_| {
                    ConfigError::new(format!("`{}` is no UTF-8 text", loaded.name))
                        .hint("save it as UTF-8")
                })?;
                loaded.text = text
                    .strip_prefix('\u{feff}')
                    .map(str::to_owned)
                    .unwrap_or(text);
            }
        }
        Ok(loaded)
    }
}

/// The nearest folder that exists, and the rest of the path with `/`: a change may have removed the
/// folder of the file.
fn split(path: &Path) -> (PathBuf, String) {
    let mut folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    };
    while !folder.is_dir() {
        match folder.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => folder = parent.to_owned(),
            _ => {
                folder = PathBuf::from(".");
                break;
            }
        }
    }
    let inside = path.strip_prefix(&folder).unwrap_or(path);
    let inside = inside.display().to_string().replace('\\', "/");
    (folder, inside)
}

struct Git<'a> {
    folder: &'a Path,
}

impl Git<'_> {
    fn run(&self, args: &[&str]) -> Result<std::process::Output, ConfigError> {
        Command::new("git")
            .arg("-C")
            .arg(self.folder)
            .args(args)
            // A partial clone would fetch what is missing; an offline gate must not.
            .env("GIT_NO_LAZY_FETCH", "1")
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("LC_ALL", "C")
            .stdin(std::process::Stdio::null())
            .output()
            .map_err(|error| {
                ConfigError::new(format!(
                    "cannot run `git` to read the exceptions of the base: {error}"
                ))
                .hint(
                    "install git, or name `--exceptions-from .` to read the file as it lies there",
                )
            })
    }

    /// The commit that a revision means; `None` where this clone does not know it.
    fn commit(&self, revision: &str) -> Result<Option<String>, ConfigError> {
        let wanted = format!("{revision}^{{commit}}");
        let output = self.run(&[
            "rev-parse",
            "--verify",
            "--quiet",
            "--end-of-options",
            &wanted,
        ])?;
        // With --quiet an unknown revision is silent; all else is a repository that cannot be read.
        if !output.status.success() && !output.stderr.is_empty() {
            return Err(failed(&output));
        }
        let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        Ok((output.status.success() && !text.is_empty()).then_some(text))
    }

    /// The bytes of a file in a commit, as they are stored; `None` where there is none.
    fn blob(&self, name: &str) -> Result<Option<Vec<u8>>, ConfigError> {
        let object = self.run(&["rev-parse", "--verify", "--quiet", "--end-of-options", name])?;
        if !object.status.success() {
            return Ok(None);
        }
        let object = String::from_utf8_lossy(&object.stdout).trim().to_owned();
        let size = self.run(&["cat-file", "-s", &object])?;
        let bytes: u64 = String::from_utf8_lossy(&size.stdout)
            .trim()
            .parse()
            .unwrap_or(0);
        if bytes > LARGEST {
            let limit = crate::units::show_size(LARGEST);
            return Err(
                ConfigError::new(format!("the base's exceptions are larger than {limit}"))
                    .hint("name the right file"),
            );
        }
        let blob = self.run(&["cat-file", "blob", &object])?;
        if !blob.status.success() {
            return Err(failed(&blob));
        }
        Ok(Some(blob.stdout))
    }
}

fn failed(output: &std::process::Output) -> ConfigError {
    let said = String::from_utf8_lossy(&output.stderr);
    let said = said.lines().next().unwrap_or("it said nothing").to_owned();
    ConfigError::new(format!("cannot read the exceptions of the base: git: {said}"))
        .hint("run in a checkout of the repository, or name `--exceptions-from .` to read the file as it lies there")
}
