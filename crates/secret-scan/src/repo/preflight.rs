//! Looked at first: is there a repository, is it whole, and are the ends of the range in it?
//!
//! Each problem here makes engines report less without a word. So nothing is scanned, and the fix is said.

use std::path::{Path, PathBuf};

use super::git::{Git, GitError};

/// A repository that can be scanned.
#[derive(Clone, Debug)]
pub struct Repository {
    /// The root of the work tree; absent in a bare repository.
    pub root: Option<PathBuf>,
    /// Git's own folder.
    pub git_dir: PathBuf,
    /// Git in that folder.
    pub git: Git,
    /// The commit of HEAD; absent before the first commit.
    pub head: Option<String>,
    /// The range, both ends as commits.
    pub range: Option<Range>,
    /// The version of git.
    pub version: String,
}

/// A range of commits: all that the second end has and the first one does not, by all parents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Range {
    /// As typed.
    pub typed: String,
    /// The commit of the first end.
    pub base: String,
    /// The commit of the second end.
    pub head: String,
    /// The commit that both grew from.
    pub fork: String,
}

/// Why nothing was scanned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The stable code, one of `judge::reason`.
    pub reason: &'static str,
    /// What is wrong, one sentence.
    pub message: String,
    /// What to do.
    pub fix: String,
}

impl Problem {
    fn new(reason: &'static str, message: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
            fix: fix.into(),
        }
    }
}

/// Looks at a repository. `needs_history` is false where only the tree or the index is scanned: then a
/// shallow clone is whole enough.
///
/// # Errors
/// It cannot be scanned so that the answer would mean something.
pub async fn look(
    path: &Path,
    git: &Git,
    range: Option<&str>,
    needs_history: bool,
) -> Result<Repository, Problem> {
    if !path.is_dir() {
        return Err(Problem::new(
            "not_a_repository",
            format!("there is no folder `{}`", path.display()),
            "name the folder of a checkout",
        ));
    }
    let git = git.within(path);
    let git_dir = match git.line(&["rev-parse", "--absolute-git-dir"]).await {
        Ok(folder) => PathBuf::from(folder),
        Err(error) => return Err(unusable(path, &error)),
    };
    let inside = git.within(&git_dir);
    let (root, version, head) = tokio::join!(
        git.line(&["rev-parse", "--show-toplevel"]),
        git.line(&["--version"]),
        inside.line(&["rev-parse", "--verify", "--quiet", "HEAD^{commit}"])
    );
    let root = root.ok().filter(|root| !root.is_empty()).map(PathBuf::from);
    let mut repository = Repository {
        root,
        git_dir,
        git: inside,
        head: head.ok(),
        range: None,
        version: version.unwrap_or_default().replace("git version ", ""),
    };
    if let Some(typed) = range {
        repository.range = Some(ends(&repository, typed).await?);
    }
    if needs_history {
        whole(&repository).await?;
    }
    Ok(repository)
}

fn unusable(path: &Path, error: &GitError) -> Problem {
    let shown = path.display();
    match error {
        GitError::Missing => Problem::new(
            "git_missing",
            "there is no `git` on the PATH",
            "install git: `apt-get install git`",
        ),
        GitError::Failed(why) if why.contains("dubious ownership") => Problem::new(
            "unsafe_repository",
            format!(
                "`{shown}` belongs to another user, so git refuses to read it, and engines then report nothing"
            ),
            format!("git config --global --add safe.directory '{shown}'"),
        ),
        GitError::Failed(why) if why.contains("not a git repository") => Problem::new(
            "not_a_repository",
            format!("`{shown}` is not a git repository"),
            "name the folder of a checkout, or scan a plain folder with `--scope tree`",
        ),
        other => Problem::new(
            "not_a_repository",
            format!("`{shown}` cannot be read: {other}"),
            "run `git status` there to see why",
        ),
    }
}

async fn ends(repository: &Repository, typed: &str) -> Result<Range, Problem> {
    let git = &repository.git;
    // Three dots mean the same here: what the second end has and the first one does not.
    let (base, head) = match typed.split_once("...").or_else(|| typed.split_once("..")) {
        Some((base, head)) => (base.trim(), head.trim()),
        None => (typed.trim(), "HEAD"),
    };
    let head = if head.is_empty() { "HEAD" } else { head };
    let base = if base.is_empty() { "HEAD" } else { base };
    let unknown = |end: &str| {
        Problem::new(
            "unknown_revision",
            format!("this clone has no commit `{end}`, an end of the range `{typed}`"),
            "fetch it first: `fetch-depth: 0` in actions/checkout, or `git fetch --unshallow origin`; a new branch has no `before`: name the branch that it grew from",
        )
    };
    let mut commits = Vec::new();
    for end in [base, head] {
        // The push event of a new branch has zeros where the old commit would stand.
        if end.len() >= 40 && end.bytes().all(|byte| byte == b'0') {
            return Err(unknown(end));
        }
        let wanted = format!("{end}^{{commit}}");
        let found = git
            .line(&[
                "rev-parse",
                "--verify",
                "--quiet",
                "--end-of-options",
                &wanted,
            ])
            .await;
        commits.push(found.map_err(|_| unknown(end))?);
    }
    let (base, head) = (commits.swap_remove(0), commits.swap_remove(0));
    if base == head {
        return Err(Problem::new(
            "empty_range",
            format!(
                "both ends of the range `{typed}` are the same commit: there is nothing between them"
            ),
            "name the commit before the push (`github.event.before`) or the base of the pull request",
        ));
    }
    let fork = git.line(&["merge-base", &base, &head]).await;
    let fork = fork.map_err(|_| {
        Problem::new(
            "unknown_revision",
            format!("the ends of the range `{typed}` have no commit in common in this clone"),
            "fetch the whole history: `fetch-depth: 0` in actions/checkout, or `git fetch --unshallow`",
        )
    })?;
    if fork == head {
        return Err(Problem::new(
            "empty_range",
            format!(
                "the range `{typed}` holds no commit: its end is among the commits before its beginning"
            ),
            "turn it round, if its ends were swapped",
        ));
    }
    Ok(Range {
        typed: typed.to_owned(),
        base,
        head,
        fork,
    })
}

async fn whole(repository: &Repository) -> Result<(), Problem> {
    let git = &repository.git;
    let shallow = git.line(&["rev-parse", "--is-shallow-repository"]).await;
    if shallow.as_deref() == Ok("true") {
        let cut = cut_commits(repository).await;
        let matters = match &repository.range {
            None => true,
            Some(range) => reaches(git, range, &cut).await,
        };
        if matters {
            return Err(Problem::new(
                "shallow_clone",
                "this clone is shallow: most of the history is not here, and engines do not say so",
                "fetch-depth: 0 in actions/checkout, GIT_DEPTH: 0 in GitLab, or `git fetch --unshallow`",
            ));
        }
    }
    let partial = git
        .line(&[
            "config",
            "--get-regexp",
            r"^(remote\..*\.promisor|extensions\.partialclone)$",
        ])
        .await;
    if partial.is_ok_and(|text| !text.is_empty()) {
        let ends = match &repository.range {
            Some(range) => vec![range.head.clone(), format!("^{}", range.base)],
            None => vec!["--all".to_owned()],
        };
        let mut arguments = vec!["rev-list", "--objects", "--missing=print"];
        arguments.extend(ends.iter().map(String::as_str));
        let objects = git.run(&arguments).await.unwrap_or_else(|_| b"?".to_vec());
        let missing = objects.split(|byte| *byte == b'\n');
        let missing = missing.filter(|line| line.first() == Some(&b'?')).count();
        if missing > 0 {
            return Err(Problem::new(
                "partial_clone",
                format!("this is a partial clone: {missing} objects of the history are not here"),
                "clone without `filter`, or fetch the rest: `git fetch --refetch --no-filter origin`",
            ));
        }
    }
    Ok(())
}

/// The commits at which a shallow clone was cut off.
async fn cut_commits(repository: &Repository) -> Vec<String> {
    let file = repository
        .git
        .line(&["rev-parse", "--git-path", "shallow"])
        .await;
    let Ok(file) = file else {
        return Vec::new();
    };
    let text = std::fs::read_to_string(repository.git_dir.join(file)).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

/// Whether a range reaches a cut. What cannot be told is taken for yes.
async fn reaches(git: &Git, range: &Range, cut: &[String]) -> bool {
    let list = git
        .line(&["rev-list", &range.head, &format!("^{}", range.base)])
        .await;
    match list {
        Ok(list) => {
            cut.is_empty()
                || list
                    .lines()
                    .any(|commit| cut.iter().any(|one| one == commit))
        }
        Err(_) => true,
    }
}
