//! What the findings mean for the release. Pure: policy, reports and the time in, decisions out.

use std::collections::BTreeMap;
use std::time::Duration;

mod decide;
mod trust;

use gs_common::finding::Severity;
use gs_common::suppression::Glob;

use crate::model::{Class, Format, Gap, Text};
use crate::sla::Sla;

pub use decide::{decide, unfixed};
pub use trust::{Doubt, age_seconds, database_age_seconds, doubts, shown};

/// The stable codes of reports and checks, each with the words of its page.
pub mod reason {
    macro_rules! codes {
        ($($name:ident = $code:literal, $words:literal;)*) => {
            $(#[doc = $words] pub const $name: &str = $code;)*
            /// All of them, with what they mean.
            pub const ALL: &[(&str, &str)] = &[$(($name, $words)),*];
        };
    }
    codes! {
        NOTHING_BLOCKS = "nothing_blocks", "every report was looked at and nothing in it counts against the release";
        FINDINGS_BLOCK = "findings_block", "findings at or above the threshold of their class";
        FINDINGS_WARN = "findings_warn", "findings that the policy only warns of";
        REPORT_FAILED = "report_failed", "the scanner says in its report that it failed";
        REPORT_EMPTY = "report_empty", "the file has no bytes: the scanner crashed before it wrote any";
        NOT_A_REPORT = "not_a_report", "the file is missing, cut off, or in no format that is known";
        NOTHING_CHECKED = "nothing_checked", "a whole report of a run that checked nothing";
        REQUIRED_MISSING = "required_missing", "a report that --require asks for is not among those that were looked at";
        TARGET_MISSING = "target_missing", "no report is about what --expect-target names";
        REPORT_TOO_OLD = "report_too_old", "the report is older than --max-age";
        DATABASE_TOO_OLD = "database_too_old", "the scanner's database is older than --max-db-age";
        CLOCK_WRONG = "clock_wrong", "the report says that it was made in the future";
        PARTIAL_SCAN = "partial_scan", "the report says that parts were not looked at";
        EXCEPTIONS_STALE = "exceptions_stale", "an exception has expired or soon will, names nothing, or could not be held against what was found";
        BASE_UNUSABLE = "base_unusable", "a report of --base was not looked at, so nothing can be told apart as new";
    }
}

/// The rules that decide on a finding (`findings[].decided_by`), in the order in which they are asked.
pub const RULES: &[(&str, &str)] = &[
    ("withdrawn", "its source withdrew the advisory: listed"),
    (
        "not_affected",
        "the vendor says that this package is not affected: listed",
    ),
    (
        "scanner_suppressed",
        "every scanner that found it was told to ignore it, and that has not expired: listed",
    ),
    (
        "ignored_target",
        "all its places fit `ignore-target`: listed",
    ),
    ("unchanged", "the reports of `base` have it already: listed"),
    (
        "class_never_blocks",
        "its class has the threshold `never`: warned of from high on, else listed",
    ),
    (
        "malicious",
        "the package itself is malicious (`MAL-`): blocks",
    ),
    (
        "known_exploited",
        "a report says that it is exploited (CISA KEV): blocks",
    ),
    (
        "unknown_severity",
        "no source gives a severity: what `unknown` says",
    ),
    (
        "threshold",
        "its severity is at or above the threshold of its class: blocks",
    ),
    (
        "below_threshold",
        "its severity is below the threshold of its class: listed",
    ),
    (
        "sla_within",
        "its days to be mended are not over: warned of",
    ),
    ("sla_over", "its days to be mended are over: blocks"),
    (
        "sla_no_date",
        "it has days to be mended, and no report says when they began: at least warned of",
    ),
    (
        "development",
        "only development needs it: what `development` says",
    ),
    ("unfixed", "there is no fix: what `unfixed` says"),
    (
        "grace_over",
        "there is no fix, and its days of grace are over or not known: as by its severity",
    ),
];

/// What is done with something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effect {
    /// It is listed, and that is all.
    Ignore,
    /// The verdict is at least `warn`.
    Warn,
    /// The verdict is `fail`.
    #[default]
    Block,
}

impl Effect {
    /// The word for people and machines alike.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ignore => "ignore",
            Self::Warn => "warn",
            Self::Block => "block",
        }
    }
}

impl std::str::FromStr for Effect {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "ignore" => Ok(Self::Ignore),
            "warn" => Ok(Self::Warn),
            "block" => Ok(Self::Block),
            _ => Err(format!("`{text}` is none of block, warn, ignore")),
        }
    }
}

/// A report that has to be there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Required {
    /// The format.
    pub format: Format,
    /// A part of the tool's name, for SARIF: `sarif:codeql`.
    pub tool: Option<String>,
}

impl std::fmt::Display for Required {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.format.as_str())?;
        match &self.tool {
            Some(tool) => write!(f, ":{tool}"),
            None => Ok(()),
        }
    }
}

/// A gap in a report that is known and accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// Which kind.
    pub gap: Gap,
    /// Only for this subject: a skipped package's name.
    pub subject: Option<String>,
}

/// What the gate goes by.
#[derive(Clone, Debug)]
pub struct Policy {
    /// The lowest severity that blocks, by class; `None` never blocks.
    pub fail_on: BTreeMap<Class, Option<Severity>>,
    /// What a finding without any severity means.
    pub unknown: Effect,
    /// What a finding means that only development needs.
    pub development: Effect,
    /// What a vulnerability means for which there is no fix.
    pub unfixed: Effect,
    /// Days from publication during which `unfixed` holds; after them it counts like any other.
    pub unfixed_grace_days: Option<u32>,
    /// Targets and paths whose findings are only listed.
    pub ignored_targets: Vec<Glob>,
    /// Days to mend, by severity.
    pub sla: Sla,
    /// Gaps that are accepted.
    pub accepted: Vec<Accepted>,
    /// Reports that have to be there.
    pub required: Vec<Required>,
    /// Targets that some report has to be about.
    pub expected_targets: Vec<String>,
    /// The oldest that a report may be.
    pub max_age: Option<Duration>,
    /// The oldest that a database may be.
    pub max_database_age: Option<Duration>,
}

impl Default for Policy {
    /// Critical and high block, in every class but `maintenance`.
    fn default() -> Self {
        let fail_on = Class::ALL.into_iter().map(|class| {
            let threshold = (class != Class::Maintenance).then_some(Severity::High);
            (class, threshold)
        });
        Self {
            fail_on: fail_on.collect(),
            unknown: Effect::Warn,
            development: Effect::Block,
            unfixed: Effect::Block,
            unfixed_grace_days: None,
            ignored_targets: Vec::new(),
            sla: Sla::default(),
            accepted: Vec::new(),
            required: Vec::new(),
            expected_targets: Vec::new(),
            max_age: Some(Duration::from_secs(7 * 86_400)),
            max_database_age: Some(Duration::from_secs(14 * 86_400)),
        }
    }
}

/// What one vulnerability means, and which rule says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// What is done.
    pub effect: Effect,
    /// The rule's stable name.
    pub rule: &'static str,
    /// The rule in words, with its values.
    pub words: Text,
}

impl Decision {
    fn new(effect: Effect, rule: &'static str, words: impl Into<Text>) -> Self {
        Self {
            effect,
            rule,
            words: words.into(),
        }
    }
}

#[cfg(test)]
mod tests;
