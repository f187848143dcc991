//! What is wrong at a place: the one model that every tool uses that finds something.
//!
//! A finding stays in the report when it is suppressed; it then says by what, and does not block.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::members::Members;
use crate::text::Text;

/// How bad a finding is. The order is that of harm: `Unknown` stands below all, and what it means for
/// a gate is a policy of its own, never "harmless".
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Nobody said.
    #[default]
    Unknown,
    /// For information; also "negligible" and "none".
    Info,
    /// CVSS 0.1 to 3.9.
    Low,
    /// CVSS 4.0 to 6.9; also "moderate".
    Medium,
    /// CVSS 7.0 to 8.9; also "important".
    High,
    /// CVSS 9.0 and more.
    Critical,
}

impl Severity {
    /// All of them, the worst first: the order in which people read them.
    pub const ALL: [Self; 6] = [
        Self::Critical,
        Self::High,
        Self::Medium,
        Self::Low,
        Self::Info,
        Self::Unknown,
    ];

    /// The word for people and machines alike.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Info => "info",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }

    /// The severity that a label means, in any case and in the words of any scanner; `None` for a word
    /// that is none of theirs.
    #[must_use]
    pub fn of_label(label: &str) -> Option<Self> {
        const WORDS: [(&str, Severity); 14] = [
            ("critical", Severity::Critical),
            ("high", Severity::High),
            ("important", Severity::High),
            ("medium", Severity::Medium),
            ("moderate", Severity::Medium),
            ("low", Severity::Low),
            ("info", Severity::Info),
            ("informational", Severity::Info),
            ("information", Severity::Info),
            ("negligible", Severity::Info),
            ("none", Severity::Info),
            ("unknown", Severity::Unknown),
            ("unspecified", Severity::Unknown),
            ("", Severity::Unknown),
        ];
        let label = label.trim();
        let known = WORDS
            .iter()
            .find(|(word, _)| word.eq_ignore_ascii_case(label))?;
        Some(known.1)
    }

    /// The severity of a CVSS base score, by the rating scale that versions 3 and 4 define and that is
    /// used for version 2 as well: <https://www.first.org/cvss/v4-0/specification-document>, section
    /// "Qualitative Severity Rating Scale". A score outside of 0 to 10 is none.
    #[must_use]
    pub fn of_score(score: f64) -> Option<Self> {
        match score {
            score if !(0.0..=10.0).contains(&score) => None,
            score if score >= 9.0 => Some(Self::Critical),
            score if score >= 7.0 => Some(Self::High),
            score if score >= 4.0 => Some(Self::Medium),
            score if score > 0.0 => Some(Self::Low),
            _ => Some(Self::Info),
        }
    }
}

impl std::fmt::Display for Severity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

impl std::str::FromStr for Severity {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|known| known.as_str() == text);
        found.ok_or_else(|| {
            let known = Self::ALL.map(Self::as_str).join(", ");
            format!("`{text}` is no severity: there are {known}")
        })
    }
}

/// What is wrong at a place.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Finding {
    /// The rule that says so: an advisory id, the name of a secret's kind, a licence class.
    pub rule: Text,
    /// The same for people.
    pub title: Text,
    /// How bad it is: the highest that any source gives.
    pub severity: Severity,
    /// Every id that names the same thing, aliases included, sorted.
    #[serde(default)]
    pub ids: Vec<Text>,
    /// The package that it is in.
    pub package: Option<Package>,
    /// The place that tells most.
    pub place: Option<Spot>,
    /// All places.
    #[serde(default)]
    pub places: Vec<Spot>,
    /// The scanners or engines that found it, sorted.
    #[serde(default)]
    pub sources: Vec<Text>,
    /// Its stable identity, independent of places and times.
    pub fingerprint: Text,
    /// Whether it counts against the verdict.
    pub blocking: bool,
    /// What accepts it.
    pub suppressed: Option<Box<Suppressed>>,
    /// One sentence on what it means here, where the title does not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<Text>,
    /// What to do about it, most useful first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub advice: Vec<String>,
    /// The tool's own members, named on its page.
    #[serde(flatten)]
    pub more: Members,
}

/// A package with its version.
#[derive(
    Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
pub struct Package {
    /// As in a package URL: `npm`, `pypi`, `cargo`, `deb`, `golang` and so on; absent where the report
    /// does not tell.
    pub ecosystem: Option<Text>,
    /// Its name, as the ecosystem normalises it.
    pub name: Text,
    /// The version that is in use.
    pub version: Option<Text>,
    /// The versions that mend it, as the sources write them.
    pub fixed: Option<Text>,
}

/// A place: a file, a line in it, a commit.
#[derive(
    Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
pub struct Spot {
    /// The path, with `/` and without a leading one where it is relative.
    pub path: Text,
    /// Line, counted from 1.
    pub line: Option<u32>,
    /// The commit; absent is the work tree, or a report that knows of none.
    pub commit: Option<Text>,
}

impl std::fmt::Display for Spot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.path)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        match &self.commit {
            Some(commit) => write!(f, " in {}", commit.get(..12).unwrap_or(commit)),
            None => Ok(()),
        }
    }
}

/// What accepts a finding.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Suppressed {
    /// `exception`, `baseline`, `vex`, `scanner`.
    pub by: String,
    /// Why, in the words of whoever accepted it.
    pub reason: Option<String>,
    /// Who answers for it.
    pub owner: Option<String>,
    /// The last day on which it holds, `2026-12-31`.
    pub expires: Option<String>,
    /// Where it is written: `file:line`, or the scanner's own place.
    pub place: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn words_of_scanners_are_understood_and_others_are_not_guessed() {
        for (word, severity) in [
            ("CRITICAL", Severity::Critical),
            ("Important", Severity::High),
            ("moderate", Severity::Medium),
            ("Negligible", Severity::Info),
            ("none", Severity::Info),
            ("", Severity::Unknown),
        ] {
            assert_eq!(Severity::of_label(word), Some(severity), "{word}");
        }
        assert_eq!(Severity::of_label("spicy"), None);
    }

    #[test]
    fn the_edges_of_the_rating_scale() {
        for (score, severity) in [
            (0.0, Severity::Info),
            (0.1, Severity::Low),
            (3.9, Severity::Low),
            (4.0, Severity::Medium),
            (6.9, Severity::Medium),
            (7.0, Severity::High),
            (8.9, Severity::High),
            (9.0, Severity::Critical),
            (10.0, Severity::Critical),
        ] {
            assert_eq!(Severity::of_score(score), Some(severity), "{score}");
        }
        assert_eq!(Severity::of_score(10.1), None);
        assert_eq!(Severity::of_score(f64::NAN), None);
    }

    proptest! {
        #[test]
        fn a_higher_score_is_never_less_severe(low in 0.0..=10.0f64, high in 0.0..=10.0f64) {
            let (low, high) = if low <= high { (low, high) } else { (high, low) };
            prop_assert!(Severity::of_score(low) <= Severity::of_score(high));
        }
    }

    #[test]
    fn names_read_back() {
        for severity in Severity::ALL {
            assert_eq!(severity.as_str().parse(), Ok(severity));
        }
        assert!("High".parse::<Severity>().is_err());
    }
}
