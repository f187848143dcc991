//! The added lines of a range or of merge commits, as one text with the place of each line.
//!
//! For engines that cannot be told to look at these commits: they get the text on stdin, and what they
//! find in it is put back to its place.

use std::path::Path;

use gs_common::finding::Spot;

use super::count::{LOG_OPTIONS, Merges, Selection};
use super::git::{Git, GitError};

/// Added lines.
#[derive(Clone, Default)]
pub struct Added {
    /// All lines, each with its line end.
    pub text: Vec<u8>,
    /// Start of each line in the text, in ascending order.
    starts: Vec<usize>,
    places: Vec<(u32, u32, u32)>,
    commits: Vec<String>,
    paths: Vec<String>,
}

impl std::fmt::Debug for Added {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Added({} lines)", self.starts.len())
    }
}

impl Added {
    /// Every place at which a value begins.
    #[must_use]
    pub fn places_of(&self, value: &str) -> Vec<Spot> {
        let needle = value.trim().as_bytes();
        if needle.is_empty() {
            return Vec::new();
        }
        let Ok(search) = regex::bytes::Regex::new(&format!("(?-u){}", regex::escape(value.trim())))
        else {
            return Vec::new();
        };
        let mut places = Vec::new();
        for found in search.find_iter(&self.text) {
            let line = self.starts.partition_point(|start| *start <= found.start());
            let Some((commit, path, number)) =
                line.checked_sub(1).and_then(|at| self.places.get(at))
            else {
                continue;
            };
            places.push(Spot {
                path: self
                    .paths
                    .get(*path as usize)
                    .map(Into::into)
                    .unwrap_or_default(),
                line: Some(*number),
                commit: self.commits.get(*commit as usize).map(Into::into),
            });
        }
        places
    }

    fn push(&mut self, line: &[u8], number: u32) {
        let (Some(commit), Some(path)) = (
            self.commits.len().checked_sub(1),
            self.paths.len().checked_sub(1),
        ) else {
            return;
        };
        self.starts.push(self.text.len());
        self.text.extend_from_slice(line);
        self.text.push(b'\n');
        let index = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        self.places.push((index(commit), index(path), number));
    }
}

/// Gathers the added lines of a selection, of its merge commits only or of all.
///
/// # Errors
/// Git cannot show them.
pub async fn added_lines(
    git: &Git,
    selection: &Selection,
    merges: Merges,
    only_merges: bool,
) -> Result<Added, GitError> {
    let mut arguments = vec!["log", "-p", "-U0", "--format=%x01%H", merges.option()];
    arguments.extend(LOG_OPTIONS);
    if only_merges {
        arguments.push("--merges");
    }
    let ends = selection.arguments();
    arguments.extend(ends.iter().map(String::as_str));
    let out = git.run(&arguments).await?;
    Ok(read(&out))
}

fn read(out: &[u8]) -> Added {
    let mut added = Added::default();
    // Lines of a hunk that are still to come: only a counted line is content, whatever it looks like.
    let (mut removed_left, mut added_left, mut number) = (0_u64, 0_u64, 0_u32);
    for line in out.split(|byte| *byte == b'\n') {
        match line.first() {
            Some(b'-') if removed_left > 0 => removed_left -= 1,
            Some(b'+') if added_left > 0 => {
                added_left -= 1;
                added.push(&line[1..], number);
                number = number.saturating_add(1);
            }
            Some(b'\x01') => {
                added
                    .commits
                    .push(String::from_utf8_lossy(&line[1..]).trim().to_owned());
            }
            Some(b'+') if line.starts_with(b"+++ ") => {
                added.paths.push(path_of(&line[4..]));
            }
            Some(b'@') => {
                if let Some(hunk) = hunk(line) {
                    (removed_left, added_left, number) = hunk;
                }
            }
            _ => {}
        }
    }
    added
}

/// `@@ -a,b +c,d @@`: lines removed, lines added, the first added line.
fn hunk(line: &[u8]) -> Option<(u64, u64, u32)> {
    let line = std::str::from_utf8(line.get(..line.len().min(100))?)
        .ok()
        .or_else(|| {
            // The text behind the second `@@` is content, and may be anything.
            let end = line.windows(3).skip(2).position(|three| three == b" @@")? + 2;
            std::str::from_utf8(line.get(..end)?).ok()
        })?;
    let mut words = line.strip_prefix("@@ ")?.split(' ');
    let range = |word: &str, sign: char| -> Option<(u32, u64)> {
        let word = word.strip_prefix(sign)?;
        match word.split_once(',') {
            Some((start, count)) => Some((start.parse().ok()?, count.parse().ok()?)),
            None => Some((word.parse().ok()?, 1)),
        }
    };
    let (_, removed) = range(words.next()?, '-')?;
    let (start, added) = range(words.next()?, '+')?;
    Some((removed, added, start))
}

/// The path of a `+++` line. Git quotes what is no plain ASCII; bytes that are no UTF-8 stay escaped.
fn path_of(text: &[u8]) -> String {
    let text = text.strip_suffix(b"\t").unwrap_or(text);
    let plain = |bytes: &[u8]| {
        let shown = show_bytes(bytes);
        shown.strip_prefix("b/").map(str::to_owned).unwrap_or(shown)
    };
    match text
        .strip_prefix(b"\"")
        .and_then(|text| text.strip_suffix(b"\""))
    {
        Some(quoted) => plain(&unquote(quoted)),
        None => plain(text),
    }
}

/// Git's C-style quoting undone.
fn unquote(text: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.iter().copied();
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        match rest.next() {
            Some(b'n') => bytes.push(b'\n'),
            Some(b't') => bytes.push(b'\t'),
            Some(b'r') => bytes.push(b'\r'),
            Some(digit @ b'0'..=b'3') => {
                let mut value = u32::from(digit - b'0');
                for _ in 0..2 {
                    if let Some(digit @ b'0'..=b'7') = rest.next() {
                        value = value * 8 + u32::from(digit - b'0');
                    }
                }
                bytes.push(u8::try_from(value).unwrap_or(b'?'));
            }
            Some(other) => bytes.push(other),
            None => {}
        }
    }
    bytes
}

/// Bytes as people can read them: what is no UTF-8 as `\xE9`.
pub(super) fn show_bytes(bytes: &[u8]) -> String {
    let mut shown = String::new();
    for chunk in bytes.utf8_chunks() {
        shown.push_str(chunk.valid());
        for byte in chunk.invalid() {
            shown.push_str(&format!("\\x{byte:02X}"));
        }
    }
    shown
}

/// A path as people can read it.
#[must_use]
pub fn show_path(path: &Path) -> String {
    #[cfg(unix)]
    {
        use std::os::unix::ffi::OsStrExt as _;
        show_bytes(path.as_os_str().as_bytes())
    }
    #[cfg(not(unix))]
    path.display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LOG: &[u8] = b"\x01c1\n\ndiff --git a/f b/f\nremerge CONFLICT (content): f\nindex 1..2 100644\n--- a/f\n+++ b/f\n@@ -1 +0,0 @@\n-<<<<<<< x\n@@ -5 +3,2 @@ head\n---- a/f\n+++ b/not-a-path\n+token-token\n\x01c2\n\ndiff --git \"a/caf\\351\" \"b/caf\\351\"\n--- /dev/null\n+++ \"b/caf\\351\"\n@@ -0,0 +1 @@\n+token-token\n";

    #[test]
    fn every_line_knows_its_place() {
        let added = read(LOG);
        let places: Vec<String> = added
            .places_of("token-token")
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(places, ["f:4 in c1", "caf\\xE9:1 in c2"]);
        assert_eq!(
            added.places_of("not-a-path").len(),
            1,
            "content that looks like a header"
        );
        assert!(added.places_of(" ").is_empty());
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = read(&bytes).places_of("a");
        }

        #[test]
        fn a_cut_anywhere_is_no_panic(end in 0..LOG.len()) {
            let _ = read(&LOG[..end]).places_of("token");
        }
    }
}
