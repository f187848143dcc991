//! Which checks of a suite to run.

use std::collections::BTreeSet;

use gs_common::config::{ConfigError, did_you_mean};

use super::model::{Check, Suite};

/// Checks with one of these tags run only when they are named, by the tag or by their id.
pub const OPT_IN: [&str; 2] = ["slow", "legacy"];

impl Check {
    /// Whether it has to be named to run.
    #[must_use]
    pub fn is_opt_in(&self) -> bool {
        self.tags.iter().any(|tag| OPT_IN.contains(&tag.as_str()))
    }
}

impl Suite {
    /// The checks to run, in suite order. A pattern is an id or a tag, with `*` for any text;
    /// without `only`, everything but what is [opt-in](OPT_IN). What a chosen check needs comes
    /// along, unless it is skipped: then so is what needs it.
    ///
    /// # Errors
    /// A pattern means nothing in this suite.
    pub fn select(&self, only: &[String], skip: &[String]) -> Result<Vec<&Check>, ConfigError> {
        for pattern in only.iter().chain(skip) {
            self.means_something(pattern)?;
        }
        let chosen = |check: &Check| {
            if only.is_empty() {
                !check.is_opt_in()
            } else {
                only.iter().any(|pattern| named(check, pattern))
            }
        };
        let skipped = |check: &Check| skip.iter().any(|pattern| named(check, pattern));
        let mut wanted: BTreeSet<&str> = BTreeSet::new();
        let mut open: Vec<&Check> = self
            .checks
            .iter()
            .filter(|check| chosen(check) && !skipped(check))
            .collect();
        while let Some(check) = open.pop() {
            if wanted.insert(&check.id) {
                open.extend(
                    self.checks
                        .iter()
                        .filter(|other| check.needs.contains(&other.id)),
                );
            }
        }
        // A skipped need takes along what cannot run without it.
        loop {
            let lost: Vec<&str> = self
                .checks
                .iter()
                .filter(|check| wanted.contains(check.id.as_str()))
                .filter(|check| {
                    skipped(check)
                        || check
                            .needs
                            .iter()
                            .any(|need| !wanted.contains(need.as_str()))
                })
                .map(|check| check.id.as_str())
                .collect();
            if lost.is_empty() {
                break;
            }
            wanted.retain(|id| !lost.contains(id));
        }
        Ok(self
            .checks
            .iter()
            .filter(|check| wanted.contains(check.id.as_str()))
            .collect())
    }

    fn means_something(&self, pattern: &str) -> Result<(), ConfigError> {
        if self.checks.iter().any(|check| named(check, pattern)) {
            return Ok(());
        }
        let words = || {
            let tags = self
                .checks
                .iter()
                .flat_map(|check| check.tags.iter().map(String::as_str));
            tags.chain(self.checks.iter().map(|check| check.id.as_str()))
        };
        let hint = match did_you_mean(pattern, words()) {
            Some(word) => format!("did you mean `{word}`?"),
            None => {
                let tags: BTreeSet<&str> = self
                    .checks
                    .iter()
                    .flat_map(|check| check.tags.iter().map(String::as_str))
                    .collect();
                format!(
                    "tags here: {}; `smoke-test list` shows the ids",
                    tags.into_iter().collect::<Vec<_>>().join(", ")
                )
            }
        };
        Err(ConfigError::new(format!("no check has the id or tag `{pattern}`")).hint(hint))
    }
}

fn named(check: &Check, pattern: &str) -> bool {
    std::iter::once(&check.id)
        .chain(&check.tags)
        .any(|word| matches(pattern, word))
}

/// Whether a word fits a pattern with `*` for any text.
fn matches(pattern: &str, word: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| word.strip_prefix(first)) else {
        return false;
    };
    let mut last = None;
    for part in parts {
        last = Some(part);
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    // The end must be the end: find took the first place, the last part may stand in a later one.
    match last {
        None => rest.is_empty(),
        Some(last) => rest.is_empty() || last.is_empty() || word.ends_with(last),
    }
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn a_star_is_any_text() {
        for (pattern, word, expected) in [
            ("core", "core", true),
            ("core", "score", false),
            ("market-*", "market-data-spy", true),
            ("*-spy", "market-data-spy", true),
            ("m*spy", "market-data-spy", true),
            ("*", "anything", true),
            ("*a*b", "aab", true),
            ("*b", "bab", true),
            ("*x*", "abc", false),
        ] {
            assert_eq!(matches(pattern, word), expected, "{pattern} {word}");
        }
    }
}
