//! Our own count of what there is to scan, made the way Gitleaks makes its own: a healthy scan must not
//! look incomplete, nor an incomplete one healthy.
//!
//! Gitleaks counts a commit once it has seen a hunk of text in it (`sources/git.go`, `detect/detect.go`,
//! version 8.30): no binary files, no deleted files, no pure renames or changes of mode. `--numstat` gives
//! the same, since a file with a hunk has a line added or removed.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::git::{Git, GitError};
use super::preflight::Range;

/// What Gitleaks itself would give `git log`, and what keeps a user's settings out of it. Its own default
/// leaves out deleted, broken, unmerged, unknown files and changes of type.
pub const LOG_OPTIONS: [&str; 4] = [
    "--full-history",
    "--diff-filter=tuxdb",
    "--no-textconv",
    "--no-ext-diff",
];

/// How merge commits are shown: engines by themselves show nothing of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Merges {
    /// Against the merge that git would have made: exactly what the merge commit itself adds.
    Remerge,
    /// Against each parent: more than that. For git before 2.35, and where it cannot write.
    Separate,
}

impl Merges {
    /// The option of `git log`.
    #[must_use]
    pub fn option(self) -> &'static str {
        match self {
            Self::Remerge => "--diff-merges=remerge",
            Self::Separate => "--diff-merges=separate",
        }
    }
}

/// Which commits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selection {
    /// Everything that a ref or HEAD reaches.
    All,
    /// A range.
    Range(Range),
}

impl Selection {
    /// The arguments of `git log`.
    #[must_use]
    pub fn arguments(&self) -> Vec<String> {
        match self {
            Self::All => vec!["--all".to_owned()],
            Self::Range(range) => vec![range.head.clone(), format!("^{}", range.base)],
        }
    }
}

/// One commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Commit {
    /// When it was made.
    pub at: Option<Timestamp>,
    /// Whether its patch has a hunk of text.
    pub has_text: bool,
    /// Whether it adds a line.
    pub adds_text: bool,
    /// Whether a file that was added or changed in place has a hunk: TruffleHog leaves renames out.
    pub has_plain_text: bool,
    /// Whether it has several parents.
    pub is_merge: bool,
}

/// What there is to scan.
#[derive(Clone, Debug)]
pub struct History {
    /// All commits that change something other than by deleting files.
    pub commits: BTreeMap<String, Commit>,
    /// All commits of the selection.
    pub total: u64,
    /// Files that git takes for binary, counted once a commit.
    pub binaries: u64,
    /// How merges are shown.
    pub merges: Merges,
    /// Commits that add or change a file in place and that a clone has (branches, tags, HEAD): of these
    /// TruffleHog has to make at least one chunk each.
    pub cloned_plain_text: Option<u64>,
}

impl History {
    /// How many commits an engine has to have scanned that reads patches as text.
    #[must_use]
    pub fn with_text(&self) -> u64 {
        self.commits
            .values()
            .filter(|commit| commit.has_text)
            .count() as u64
    }

    /// The same without merge commits: what an engine sees by itself.
    #[must_use]
    pub fn plain_with_text(&self) -> u64 {
        let plain = |commit: &&Commit| commit.has_text && !commit.is_merge;
        self.commits.values().filter(plain).count() as u64
    }

    /// Merge commits that add text of their own.
    #[must_use]
    pub fn merges_with_text(&self) -> u64 {
        let merge = |commit: &&Commit| commit.adds_text && commit.is_merge;
        self.commits.values().filter(merge).count() as u64
    }
}

/// Counts.
///
/// # Errors
/// Git cannot show the history.
pub async fn history(
    git: &Git,
    selection: &Selection,
    merges: Merges,
) -> Result<History, GitError> {
    let mut arguments = vec!["rev-list".to_owned(), "--count".to_owned()];
    arguments.extend(selection.arguments());
    let texts: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let total = git.line(&texts).await?;
    let total = total
        .parse()
        .map_err(|_| GitError::Failed(format!("`{total}` is no count of commits")))?;
    log(git, selection, merges, total).await
}

/// How this git can show merges here: an old one does not know a remerge, and a repository that cannot be
/// written to has no place for it.
pub async fn merges_shown(git: &Git) -> Merges {
    let mut probe = vec!["log", "-1", "--merges", "--numstat", "--all"];
    probe.push(Merges::Remerge.option());
    match git.run(&probe).await {
        Ok(_) => Merges::Remerge,
        Err(_) => Merges::Separate,
    }
}

async fn log(
    git: &Git,
    selection: &Selection,
    merges: Merges,
    total: u64,
) -> Result<History, GitError> {
    let mut arguments = vec![
        "log",
        "--numstat",
        "--format=%x01%H %ct %P",
        merges.option(),
    ];
    arguments.extend(LOG_OPTIONS);
    let ends = selection.arguments();
    arguments.extend(ends.iter().map(String::as_str));
    let out = git.run(&arguments).await?;
    let mut history = History {
        commits: BTreeMap::new(),
        total,
        binaries: 0,
        merges,
        cloned_plain_text: None,
    };
    read(&out, &mut history);
    if *selection == Selection::All {
        let cloned = git
            .run(&["rev-list", "--branches", "--tags", "HEAD"])
            .await
            .ok();
        history.cloned_plain_text = cloned.map(|out| {
            let hashes = String::from_utf8_lossy(&out).into_owned();
            let known = hashes.lines().filter_map(|hash| history.commits.get(hash));
            known
                .filter(|commit| commit.has_plain_text && !commit.is_merge)
                .count() as u64
        });
    }
    Ok(history)
}

fn read(out: &[u8], history: &mut History) {
    let mut current: Option<String> = None;
    for line in out.split(|byte| *byte == b'\n') {
        if let Some(head) = line.strip_prefix(b"\x01") {
            let head = String::from_utf8_lossy(head);
            let mut words = head.split(' ');
            let Some(hash) = words.next() else { continue };
            let seconds = words.next().and_then(|seconds| seconds.parse().ok());
            let commit = Commit {
                at: seconds.and_then(|seconds| Timestamp::from_second(seconds).ok()),
                has_text: false,
                adds_text: false,
                has_plain_text: false,
                is_merge: words.filter(|parent| !parent.is_empty()).count() > 1,
            };
            history.commits.entry(hash.to_owned()).or_insert(commit);
            current = Some(hash.to_owned());
            continue;
        }
        let mut words = line.split(|byte| *byte == b'\t');
        let (Some(added), Some(removed), Some(path)) = (words.next(), words.next(), words.next())
        else {
            continue;
        };
        if added == b"-" {
            history.binaries += 1;
            continue;
        }
        let commit = current
            .as_ref()
            .and_then(|hash| history.commits.get_mut(hash));
        if let Some(commit) = commit {
            commit.adds_text |= added != b"0";
            let has_text = added != b"0" || removed != b"0";
            commit.has_text |= has_text;
            commit.has_plain_text |= has_text && !path.windows(4).any(|four| four == b" => ");
        }
    }
}

/// Whether the index adds text to HEAD; `None` where it does not differ from HEAD at all.
///
/// # Errors
/// Git cannot compare them.
pub async fn staged_adds_text(git: &Git) -> Result<Option<bool>, GitError> {
    let out = git
        .run(&[
            "diff",
            "--staged",
            "--numstat",
            "--no-textconv",
            "--no-ext-diff",
        ])
        .await?;
    let mut changes = false;
    let mut adds = false;
    for line in out
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
    {
        changes = true;
        let added = line.split(|byte| *byte == b'\t').next().unwrap_or_default();
        adds |= added != b"0" && added != b"-";
    }
    Ok(changes.then_some(adds))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(out: &[u8]) -> History {
        let mut history = History {
            commits: BTreeMap::new(),
            total: 0,
            binaries: 0,
            merges: Merges::Remerge,
            cloned_plain_text: None,
        };
        read(out, &mut history);
        history
    }

    #[test]
    fn what_counts_is_a_hunk_of_text() {
        let history = of(
            b"\x01a 100 p\n\n3\t0\tf\n\x01b 90 p\n\n0\t1\tf\n\x01c 80 p\n\n0\t0\tf => g\n\x01d 70 p q\n\n-\t-\tbin\n\x01e 60 p q\n\n1\t1\tx\n",
        );
        assert_eq!(history.commits.len(), 5);
        assert_eq!((history.with_text(), history.plain_with_text()), (3, 2));
        assert_eq!((history.merges_with_text(), history.binaries), (1, 1));
        assert_eq!(history.commits["a"].at, Timestamp::from_second(100).ok());
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = of(&bytes).with_text();
        }
    }
}
