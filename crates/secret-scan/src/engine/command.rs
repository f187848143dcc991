//! The command lines of the engines. No secret is ever part of one.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use super::Kind;
use crate::formats::Row;
use crate::repo::{Git, LOG_OPTIONS, Merges, Selection};

/// Gitleaks' exit code for "there are leaks". Its own default is 1, which also means every error.
pub const LEAKS: i32 = 77;

/// What a `file://` address cannot hold.
const ADDRESS: &AsciiSet = &CONTROLS.add(b'%').add(b'#').add(b'?').add(b' ').add(b'"');

/// What to look at.
#[derive(Clone, Debug)]
pub enum Job {
    /// Commits, read by the engine itself.
    Commits {
        /// Git's folder.
        git_dir: PathBuf,
        /// The folder that a clone is made of: the work tree, or git's folder of a bare repository.
        source: PathBuf,
        /// Which commits.
        selection: Selection,
        /// How merges are shown.
        merges: Merges,
        /// Whether an engine that would clone may read the repository where it lies.
        in_place: bool,
    },
    /// The files of a folder.
    Tree {
        /// The folder.
        root: PathBuf,
    },
    /// A text on stdin.
    Text(Vec<u8>),
    /// The index.
    Staged {
        /// Git's folder.
        git_dir: PathBuf,
    },
}

/// What all engines of a run have in common.
#[derive(Clone, Debug)]
pub struct Setup<'a> {
    /// A folder of this run alone, removed at its end.
    pub folder: &'a Path,
    /// Git as it is called here, with its environment.
    pub git: &'a Git,
    /// When the run has to end.
    pub ends_at: Instant,
    /// Whether issuers may be asked.
    pub verify: bool,
    /// Gitleaks' rules; absent are its own.
    pub gitleaks_config: Option<&'a Path>,
    /// Whether a `gitleaks:allow` in a line counts.
    pub inline_allow: bool,
    /// Whether other engines run at the same time.
    pub is_shared: bool,
}

impl Setup<'_> {
    /// The time that is left.
    #[must_use]
    pub fn time_left(&self) -> Duration {
        self.ends_at.saturating_duration_since(Instant::now())
    }
}

/// The arguments and what goes to stdin.
#[must_use]
pub fn of(kind: Kind, job: &Job, setup: &Setup<'_>) -> (Vec<String>, Vec<u8>) {
    let arguments = match kind {
        Kind::Gitleaks => gitleaks(job, setup),
        Kind::TruffleHog => trufflehog(job, setup),
        Kind::Kingfisher => kingfisher(job, setup),
    };
    let stdin = match job {
        Job::Text(text) => text.clone(),
        _ => Vec::new(),
    };
    (arguments, stdin)
}

/// The arguments as a report shows them: without the folder that was there for this run only.
#[must_use]
pub fn shown_arguments(arguments: &[String], setup: &Setup<'_>) -> Vec<String> {
    let folder = shown(setup.folder);
    arguments
        .iter()
        .map(|argument| argument.replace(&folder, "FOLDER"))
        .collect()
}

fn owned(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn shown(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

fn address(path: &Path) -> String {
    utf8_percent_encode(&shown(path), ADDRESS).to_string()
}

fn gitleaks(job: &Job, setup: &Setup<'_>) -> Vec<String> {
    let verb = match job {
        Job::Commits { .. } | Job::Staged { .. } => "git",
        Job::Tree { .. } => "dir",
        Job::Text(_) => "stdin",
    };
    let mut arguments = owned(&[verb, "--no-banner", "--no-color", "--exit-code"]);
    arguments.push(LEAKS.to_string());
    arguments.extend(owned(&["--report-format", "json", "--report-path", "-"]));
    // Its ignore file goes by line numbers. From here it finds none, but for one in the tree itself.
    arguments.extend(owned(&["--gitleaks-ignore-path", "."]));
    if !setup.inline_allow {
        arguments.push("--ignore-gitleaks-allow".to_owned());
    }
    if let Some(config) = setup.gitleaks_config {
        arguments.extend(["--config".to_owned(), shown(config)]);
    }
    match job {
        Job::Commits {
            git_dir,
            selection,
            merges,
            ..
        } => {
            let mut options = owned(&LOG_OPTIONS);
            options.push(merges.option().to_owned());
            options.extend(selection.arguments());
            arguments.extend(["--log-opts".to_owned(), options.join(" "), shown(git_dir)]);
        }
        Job::Staged { git_dir } => arguments.extend(["--staged".to_owned(), shown(git_dir)]),
        Job::Tree { root } => arguments.push(shown(root)),
        Job::Text(_) => {}
    }
    arguments
}

fn trufflehog(job: &Job, setup: &Setup<'_>) -> Vec<String> {
    let mut arguments = match job {
        // From git's own folder, where no `.gitattributes` of the files can hide a text as binary.
        Job::Commits {
            git_dir,
            in_place: true,
            ..
        } => owned(&[
            "git",
            &format!("file://{}", address(git_dir)),
            "--bare",
            "--trust-local-git-config",
        ]),
        Job::Commits { source, .. } => {
            let address = address(source);
            let mut arguments = vec!["git".to_owned(), format!("file://{address}")];
            if !source.join(".git").exists() {
                arguments.push("--bare".to_owned());
            }
            arguments
        }
        Job::Staged { git_dir } => owned(&["git", &format!("file://{}", address(git_dir))]),
        Job::Tree { root } => owned(&["filesystem", &shown(root)]),
        Job::Text(_) => owned(&["stdin"]),
    };
    // At level 2 it also says what git wrote to stderr and how git ended.
    arguments.extend(owned(&[
        "--json",
        "--no-update",
        "--no-color",
        "--log-level=2",
        "--fail",
        "--fail-on-scan-errors",
        "--results=verified,unknown,unverified",
    ]));
    if !setup.verify {
        arguments.push("--no-verification".to_owned());
    }
    arguments
}

fn kingfisher(job: &Job, setup: &Setup<'_>) -> Vec<String> {
    let target = match job {
        Job::Commits { source, .. } => shown(source),
        Job::Tree { root } => shown(root),
        Job::Staged { git_dir } => shown(git_dir),
        Job::Text(_) => "-".to_owned(),
    };
    let mut arguments = owned(&[
        "scan",
        &target,
        "--format",
        "json",
        "--no-update-check",
        "--no-dedup",
    ]);
    arguments.extend(owned(match job {
        Job::Tree { .. } => &["--git-history", "none"],
        _ => &["--git-history", "full"],
    }));
    if !setup.inline_allow {
        // Comments that call a line harmless, of Kingfisher and of others.
        arguments.push("--no-ignore".to_owned());
    }
    if !setup.verify {
        arguments.push("--no-validate".to_owned());
    }
    arguments
}

/// Makes a row's path relative to the repository, as engines that were given a whole path do not.
pub fn place(row: &mut Row, job: &Job, setup: &Setup<'_>) {
    let roots = match job {
        Job::Tree { root } => vec![root.as_path()],
        Job::Commits {
            source, git_dir, ..
        } => vec![source.as_path(), git_dir.as_path()],
        Job::Text(_) | Job::Staged { .. } => vec![setup.folder],
    };
    for root in roots {
        let root = format!("{}/", shown(root).trim_end_matches('/'));
        if let Some(inside) = row.path.strip_prefix(&root) {
            row.path = inside.to_owned();
            return;
        }
    }
    if let Some(inside) = row.path.strip_prefix("./") {
        row.path = inside.to_owned();
    }
}
