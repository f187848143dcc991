//! Every pass held against our own count.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::Scan;
use crate::engine::{Expected, Kind, Pass, PassRun};
use crate::judge::reason;
use crate::repo::{self, FileCount, GitError, History, Problem};
use crate::summary::Facts;

/// Holds every pass against the count. Hands back when each commit was made.
pub(super) fn judge_history(
    facts: &mut Facts,
    scan: &Scan<'_>,
    wanted: bool,
    counted: Option<&Result<History, GitError>>,
    files: Option<FileCount>,
) -> BTreeMap<String, Timestamp> {
    let history = match counted {
        Some(Err(error)) => {
            facts.problem = Some(unreadable(error));
            None
        }
        Some(Ok(history)) => Some(history),
        None => None,
    };
    let is_range = scan.repository.range.is_some();
    let has_files = files.is_some_and(|files| files.files > 0);
    if let Some(history) = history {
        let adds_text = history.commits.values().any(|commit| commit.adds_text);
        facts.adds_nothing = is_range && !adds_text;
        if !is_range && history.with_text() == 0 && !has_files {
            facts.problem = Some(nothing());
        }
    } else if !wanted && !has_files {
        facts.problem = Some(nothing());
    }
    for pass in &mut facts.passes {
        let expected = match pass.pass {
            Pass::Tree => Expected {
                files: files.map(|files| files.files),
                something: has_files,
                ..Expected::default()
            },
            Pass::Merges => Expected {
                commits: history.map(History::merges_with_text),
                something: true,
                ..Expected::default()
            },
            _ => of_commits(pass, history, is_range),
        };
        pass.prove(expected);
    }
    let commits = history.map(|history| &history.commits);
    let times = commits.into_iter().flatten();
    times
        .filter_map(|(hash, commit)| Some((hash.clone(), commit.at?)))
        .collect()
}

pub(super) fn of_commits(pass: &PassRun, history: Option<&History>, is_range: bool) -> Expected {
    let Some(history) = history else {
        // Not known, so that nothing less than some work counts.
        return Expected {
            something: true,
            ..Expected::default()
        };
    };
    let (commits, chunks) = match pass.kind {
        Kind::Gitleaks => (history.with_text(), None),
        _ if is_range => (history.with_text(), None),
        Kind::TruffleHog => (history.plain_with_text(), history.cloned_plain_text),
        Kind::Kingfisher => (history.plain_with_text(), None),
    };
    let adds = |commit: &repo::Commit| commit.adds_text || (commit.has_text && !is_range);
    Expected {
        commits: Some(commits),
        chunks,
        files: None,
        something: match pass.kind {
            Kind::Gitleaks => commits > 0,
            _ => history.commits.values().any(adds),
        },
    }
}

pub(super) fn nothing() -> Problem {
    Problem {
        reason: reason::NOTHING_TO_SCAN,
        message: "there is no commit with text and no file with content".to_owned(),
        fix: "is it the right folder?".to_owned(),
    }
}

pub(super) fn unreadable(error: &GitError) -> Problem {
    Problem {
        reason: match error {
            GitError::TimedOut => "timed_out",
            GitError::Missing => "git_missing",
            _ => reason::HISTORY_UNREADABLE,
        },
        message: format!(
            "what there is to scan cannot be counted: {}",
            crate::engine::scrub::text(&error.to_string())
        ),
        fix: "run `git fsck` and `git log --all --numstat` there to see why".to_owned(),
    }
}
