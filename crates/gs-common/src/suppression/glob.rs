//! Which files are meant: a path, or a pattern of paths.

use std::fmt;
use std::str::FromStr;

/// A pattern over paths with `/`: `*` and `?` stay within a folder, `**` crosses folders. All else means
/// itself. A pattern that ends in `/` means everything below.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glob(String);

/// Longer ones are no paths; the bound keeps the search small.
const LONGEST: usize = 1_000;

impl Glob {
    /// Whether a path fits.
    #[must_use]
    pub fn fits(&self, path: &str) -> bool {
        let path = path.strip_prefix("./").unwrap_or(path);
        let pattern: Vec<char> = self.0.chars().collect();
        let path: Vec<char> = path.chars().collect();
        // One row a pattern character: `reach[i]` says whether the pattern so far can end at `i`. So the
        // work is the product of both lengths whatever the pattern is.
        let mut reach = vec![false; path.len() + 1];
        reach[0] = true;
        let mut index = 0;
        while index < pattern.len() {
            let mut next = vec![false; path.len() + 1];
            let crosses = pattern[index..].starts_with(&['*', '*']);
            let between = crosses && pattern.get(index + 2) == Some(&'/');
            match pattern[index] {
                '*' => {
                    // `**/` also means no folder at all, so it is taken as one sign.
                    let mut open = false;
                    for (at, slot) in next.iter_mut().enumerate() {
                        let step = at > 0 && (crosses || path[at - 1] != '/');
                        open = reach[at] || (open && step);
                        *slot = open;
                    }
                    if between {
                        for (at, slot) in next.iter_mut().enumerate() {
                            *slot = reach[at] || (*slot && at > 0 && path[at - 1] == '/');
                        }
                        index += 2;
                    } else if crosses {
                        index += 1;
                    }
                }
                sign => {
                    for at in 0..path.len() {
                        let same = path[at] == sign || (sign == '?' && path[at] != '/');
                        next[at + 1] = reach[at] && same;
                    }
                }
            }
            reach = next;
            index += 1;
        }
        reach[path.len()]
    }
}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Glob {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let text = text.strip_prefix("./").unwrap_or(text);
        if text.chars().all(|c| matches!(c, '*' | '?' | '/' | '.')) {
            return Err(format!("`{text}` names every file, which is no exception"));
        }
        if text.contains('\\') {
            return Err("folders are separated by `/`".to_owned());
        }
        if text.chars().count() > LONGEST {
            return Err(format!("a path of more than {LONGEST} characters is none"));
        }
        let below = if text.ends_with('/') { "**" } else { "" };
        Ok(Self(format!("{text}{below}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(pattern: &str, path: &str, expected: bool) {
        let glob: Glob = pattern.parse().unwrap();
        assert_eq!(glob.fits(path), expected, "{path} by {pattern}");
    }

    #[test]
    fn patterns() {
        check("src/a.rs", "src/a.rs", true);
        check("src/a.rs", "./src/a.rs", true);
        check("src/a.rs", "x/src/a.rs", false);
        check("src/*.rs", "src/a.rs", true);
        check("src/*.rs", "src/b/a.rs", false);
        check("src/**/*.rs", "src/b/c/a.rs", true);
        check("src/**/*.rs", "src/a.rs", true);
        check("**/lock.json", "lock.json", true);
        check("**/lock.json", "a/b/lock.json", true);
        check("**/lock.json", "a/b/xlock.json", false);
        check("vendor/", "vendor/a/b", true);
        check("vendor/**", "vendors/a", false);
        check("a?c", "abc", true);
        check("a?c", "a/c", false);
        check("[id]/page.js", "[id]/page.js", true);
        for wrong in ["", "*", "**", "**/*", "./", "*.*", "a\\b"] {
            assert!(wrong.parse::<Glob>().is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn a_path_fits_itself_and_work_is_bounded(path in "[a-z./]{1,40}x", pattern in "[a*/?]{1,40}x") {
            let itself: Glob = path.parse().unwrap();
            let plain = path.strip_prefix("./").unwrap_or(&path);
            prop_assert!(itself.fits(plain));
            let _ = pattern.parse::<Glob>().unwrap().fits(&"a/".repeat(200));
        }
    }
}
