//! The work tree and HEAD: how much there is to scan, and whether a secret is still there.

use std::collections::BTreeSet;
use std::path::Path;

use gs_common::secret::Secret;

use super::git::{Git, GitError};

/// Files beyond this many are not counted: the answer that matters is "some".
const MOST_FILES: u64 = 1_000_000;

/// Files of a folder that an engine could read something in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FileCount {
    /// Files with content, without git's own folder.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Folders that could not be read.
    pub unreadable: u64,
}

/// Counts the files of a folder as an engine walks them: no links, nothing below `.git`.
#[must_use]
pub fn work_tree_files(folder: &Path) -> FileCount {
    let mut count = FileCount::default();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(&folder) else {
            count.unreadable += 1;
            continue;
        };
        for entry in entries.flatten() {
            let Ok(kind) = entry.file_type() else {
                continue;
            };
            if kind.is_dir() {
                if entry.file_name() != ".git" {
                    folders.push(entry.path());
                }
            } else if kind.is_file() {
                let size = entry.metadata().map_or(0, |file| file.len());
                count.files += u64::from(size > 0);
                count.bytes += size;
            }
            if count.files >= MOST_FILES {
                return count;
            }
        }
    }
    count
}

/// Which of the values HEAD holds, by their index. The values go to git on stdin, never as arguments.
///
/// Of a value with several lines, its longest line stands for it.
///
/// # Errors
/// Git cannot search.
pub async fn holds(git: &Git, head: &str, values: &[&Secret]) -> Result<BTreeSet<usize>, GitError> {
    let telling: Vec<String> = values
        .iter()
        .map(|value| telling_line(value.expose()))
        .collect();
    let patterns: BTreeSet<&str> = telling
        .iter()
        .map(String::as_str)
        .filter(|line| !line.is_empty())
        .collect();
    if patterns.is_empty() {
        return Ok(BTreeSet::new());
    }
    let mut stdin = Vec::new();
    for pattern in &patterns {
        stdin.extend_from_slice(pattern.as_bytes());
        stdin.push(b'\n');
    }
    let out = git
        .asked(
            &[
                "grep",
                "-F",
                "-a",
                "-h",
                "--no-color",
                "--full-name",
                "-f",
                "-",
                head,
                "--",
            ],
            stdin,
        )
        .await?
        .unwrap_or_default();
    let mut found = BTreeSet::new();
    // The lines that git found are few; which value each holds is looked up here.
    let Ok(search) = regex::bytes::RegexSet::new(telling.iter().map(|line| {
        if line.is_empty() {
            "$^x".to_owned()
        } else {
            format!("(?-u){}", regex::escape(line))
        }
    })) else {
        return Err(GitError::Failed(
            "too many secrets to look for in HEAD".to_owned(),
        ));
    };
    for line in out.split(|byte| *byte == b'\n') {
        found.extend(search.matches(line));
    }
    Ok(found)
}

fn telling_line(value: &str) -> String {
    let lines = value.lines().map(str::trim);
    let lines = lines.filter(|line| !line.starts_with("-----") || value.lines().count() == 1);
    lines
        .max_by_key(|line| line.len())
        .unwrap_or_default()
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_line_stands_for_a_key() {
        let key = format!(
            "-----BEGIN {0}-----\nshort\nmuch-longer-line\n-----END {0}-----",
            "KEY"
        );
        assert_eq!(telling_line(&key), "much-longer-line");
        assert_eq!(telling_line("one"), "one");
    }

    #[test]
    fn empty_files_links_and_git_do_not_count() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            gs_common::file::write_atomic(&folder.path().join(name), |out| {
                out.write_all(text.as_bytes())
            })
            .unwrap();
        };
        std::fs::create_dir_all(folder.path().join(".git/x")).unwrap();
        std::fs::create_dir_all(folder.path().join("a")).unwrap();
        write("a/one", "12345");
        write("empty", "");
        write(".git/x/two", "12345");
        let count = work_tree_files(folder.path());
        assert_eq!((count.files, count.bytes), (1, 5));
    }
}
