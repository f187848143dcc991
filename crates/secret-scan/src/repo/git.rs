//! Calling git: bounded, without prompts, without the network, and with settings that no configuration
//! of a user or machine bends.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use gs_common::outside::Stop;
use gs_common::process::{Ended, Program};

/// Settings that would change what `git log -p` prints: colours and signatures in between, other
/// prefixes, paths relative to somewhere, no patch for the first commit.
const SETTINGS: [(&str, &str); 10] = [
    ("color.ui", "false"),
    ("core.quotePath", "true"),
    ("diff.mnemonicPrefix", "false"),
    ("diff.noprefix", "false"),
    ("diff.relative", "false"),
    ("diff.orderFile", "/dev/null"),
    ("diff.renames", "true"),
    ("log.follow", "false"),
    ("log.showRoot", "true"),
    ("log.showSignature", "false"),
];

/// Variables that would point git at another repository or change an engine's ways: hooks set some.
const TAKEN_AWAY: [&str; 17] = [
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_PREFIX",
    "GIT_NAMESPACE",
    "GIT_EXTERNAL_DIFF",
    "GIT_PAGER",
    "GIT_TRACE",
    "GIT_LITERAL_PATHSPECS",
    "GIT_GLOB_PATHSPECS",
    "BETTERLEAKS_CONFIG",
    "BETTERLEAKS_CONFIG_TOML",
    "GITLEAKS_CONFIG",
    "GITLEAKS_CONFIG_TOML",
    // TruffleHog changes its results and its exit code where it finds these.
    "PRE_COMMIT",
    "HUSKY",
    "GIT_TRACE2",
];

/// A quick question is answered within this.
const QUICK: Duration = Duration::from_secs(5);

/// How much of what git says is kept.
const MOST_OUTPUT: usize = 1 << 30;

/// Git in one folder, with the time that is left.
#[derive(Clone, Debug)]
pub struct Git {
    folder: PathBuf,
    variables: Vec<(String, String)>,
    index: Option<PathBuf>,
    ends_at: Instant,
    stop: Stop,
}

/// Why git gave no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GitError {
    /// There is no git.
    #[error("there is no `git` on the PATH")]
    Missing,
    /// It says no.
    #[error("git says: {0}")]
    Failed(String),
    /// It did not answer in time.
    #[error("git did not answer in time")]
    TimedOut,
    /// The run was ended from outside.
    #[error("git was stopped")]
    Stopped,
    /// It answered more than can be kept.
    #[error("git's answer is larger than 1 GiB")]
    TooLarge,
}

impl Git {
    /// Git in a folder, for so long from now. `variables` is the environment of this process, for the
    /// settings in it.
    #[must_use]
    pub fn new(folder: &Path, variables: &BTreeMap<String, String>, deadline: Duration) -> Self {
        Self {
            folder: folder.to_owned(),
            variables: settings(variables),
            index: None,
            ends_at: Instant::now() + deadline,
            stop: Stop::never(),
        }
    }

    /// The same until somebody stops the run: git, and the engines that get their environment from here.
    #[must_use]
    pub fn until(self, stop: Stop) -> Self {
        Self { stop, ..self }
    }

    /// Who stops the run.
    #[must_use]
    pub fn stop(&self) -> Stop {
        self.stop.clone()
    }

    /// The same in another folder.
    #[must_use]
    pub fn within(&self, folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            ..self.clone()
        }
    }

    /// The same with another index than the repository's: a hook of `git commit FILE` has one.
    #[must_use]
    pub fn with_index(&self, index: Option<PathBuf>) -> Self {
        Self {
            index,
            ..self.clone()
        }
    }

    /// The time of the run that is left, and always enough for a quick question: what an engine found in
    /// time is still looked for in HEAD.
    fn time_left(&self) -> Duration {
        let left = self.ends_at.saturating_duration_since(Instant::now());
        left.max(QUICK)
    }

    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Gives a program the environment that git has here: for the engines, which call git themselves.
    #[must_use]
    pub fn environment(&self, program: Program) -> Program {
        let mut program = program;
        for name in TAKEN_AWAY {
            program = program.without_variable(name);
        }
        for (name, value) in &self.variables {
            program = program.variable(name, value);
        }
        match &self.index {
            Some(index) => program.variable("GIT_INDEX_FILE", index),
            None => program,
        }
    }

    /// Runs git and hands back its stdout.
    ///
    /// # Errors
    /// There is no git, it fails, or it does not end in time.
    pub async fn run(&self, arguments: &[&str]) -> Result<Vec<u8>, GitError> {
        self.fed(arguments, Vec::new()).await
    }

    /// The same with something on stdin.
    ///
    /// # Errors
    /// There is no git, it fails, or it does not end in time.
    pub async fn fed(&self, arguments: &[&str], stdin: Vec<u8>) -> Result<Vec<u8>, GitError> {
        match self.answered(arguments, stdin).await? {
            (Ended::Code(0), stdout, _) => Ok(stdout),
            (ended, _, stderr) => Err(GitError::Failed(reason(&stderr, ended))),
        }
    }

    /// The same where "no" is an answer: `None` for exit code 1.
    ///
    /// # Errors
    /// There is no git, it fails otherwise, or it does not end in time.
    pub async fn asked(
        &self,
        arguments: &[&str],
        stdin: Vec<u8>,
    ) -> Result<Option<Vec<u8>>, GitError> {
        match self.answered(arguments, stdin).await? {
            (Ended::Code(0), stdout, _) => Ok(Some(stdout)),
            (Ended::Code(1), ..) => Ok(None),
            (ended, _, stderr) => Err(GitError::Failed(reason(&stderr, ended))),
        }
    }

    async fn answered(
        &self,
        arguments: &[&str],
        stdin: Vec<u8>,
    ) -> Result<(Ended, Vec<u8>, String), GitError> {
        let program = self.environment(Program::new("git"));
        let ran = program
            .args(["-C".as_ref(), self.folder.as_os_str()])
            .args(arguments)
            .stdin(stdin)
            .deadline(self.time_left())
            .most_output(MOST_OUTPUT)
            .run_until(self.stop().asked())
            .await
            .map_err(|error| {
                if error.is_missing() {
                    GitError::Missing
                } else {
                    GitError::Failed(error.to_string())
                }
            })?;
        if ran.ended == Ended::TimedOut {
            return Err(GitError::TimedOut);
        }
        if ran.ended == Ended::Cancelled {
            return Err(GitError::Stopped);
        }
        if ran.stdout.is_cut() {
            return Err(GitError::TooLarge);
        }
        let stderr = ran.stderr.text().into_owned();
        Ok((ran.ended, ran.stdout.bytes, stderr))
    }

    /// The same as one line of text.
    ///
    /// # Errors
    /// There is no git, it fails, or it does not end in time.
    pub async fn line(&self, arguments: &[&str]) -> Result<String, GitError> {
        let out = self.run(arguments).await?;
        Ok(String::from_utf8_lossy(&out).trim_end().to_owned())
    }
}

fn reason(stderr: &str, ended: Ended) -> String {
    let line = stderr.lines().find(|line| !line.trim().is_empty());
    line.map_or_else(
        || format!("nothing, and {ended}"),
        |line| line.trim().to_owned(),
    )
}

/// Our settings as `GIT_CONFIG_*` variables, behind those that the environment has already: a runner
/// that trusts a folder by them must go on trusting it.
fn settings(variables: &BTreeMap<String, String>) -> Vec<(String, String)> {
    let before = variables
        .get("GIT_CONFIG_COUNT")
        .and_then(|count| count.parse::<usize>().ok())
        .unwrap_or(0);
    let mut set = vec![
        (
            "GIT_CONFIG_COUNT".to_owned(),
            (before + SETTINGS.len()).to_string(),
        ),
        ("GIT_TERMINAL_PROMPT".to_owned(), "0".to_owned()),
        ("GIT_OPTIONAL_LOCKS".to_owned(), "0".to_owned()),
        ("GIT_NO_LAZY_FETCH".to_owned(), "1".to_owned()),
        ("GIT_NO_REPLACE_OBJECTS".to_owned(), "1".to_owned()),
        ("LC_ALL".to_owned(), "C.UTF-8".to_owned()),
    ];
    for (number, (key, value)) in SETTINGS.iter().enumerate() {
        let number = before + number;
        set.push((format!("GIT_CONFIG_KEY_{number}"), (*key).to_owned()));
        set.push((format!("GIT_CONFIG_VALUE_{number}"), (*value).to_owned()));
    }
    set
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_of_the_environment_stay() {
        let variables = BTreeMap::from([("GIT_CONFIG_COUNT".to_owned(), "2".to_owned())]);
        let set = settings(&variables);
        assert_eq!(set[0].1, (2 + SETTINGS.len()).to_string());
        assert!(set.iter().all(|(name, _)| name != "GIT_CONFIG_KEY_1"));
        assert!(set.iter().any(|(name, _)| name == "GIT_CONFIG_KEY_2"));
    }
}
