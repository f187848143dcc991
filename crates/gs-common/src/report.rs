//! The one report that every tool's `run` returns: facts, not sentences about them.
//!
//! The JSON form is a promise (`gs.report/v1`): members may be added, none renamed or removed.
//! Absent is absent, never zero. Times are UTC, durations carry their unit in the name.
//! The JSON Schema in `docs/schemas/` is generated from these types.

use std::time::Duration;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::finding::Finding;
use crate::members::Members;
use crate::verdict::Verdict;

/// The schema name of this version of the report.
pub const SCHEMA: &str = "gs.report/v1";

/// The reason of a run that was ended by Ctrl-C or SIGTERM; such a run exits 130.
pub const INTERRUPTED: &str = "interrupted";

/// What one run of one tool found out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Report {
    /// Always [`SCHEMA`].
    pub schema: String,
    /// Who judged.
    pub tool: Tool,
    /// What was judged.
    pub subject: Subject,
    /// When the run began.
    #[serde(with = "utc_millis")]
    #[schemars(with = "String")]
    pub started_at: Timestamp,
    /// When the run ended.
    #[serde(with = "utc_millis")]
    #[schemars(with = "String")]
    pub ended_at: Timestamp,
    /// The verdict over everything.
    pub verdict: Verdict,
    /// A stable code in snake_case, documented per tool.
    pub reason: String,
    /// One plain sentence: what broke, with number against limit.
    pub summary: String,
    /// What an engineer should type or look at next, most useful first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub next: Vec<String>,
    /// Every named thing that was judged, in the order of its source.
    #[serde(default)]
    pub checks: Vec<Check>,
    /// What is wrong at a place, the worst first.
    #[serde(default)]
    pub findings: Vec<Finding>,
    /// The files that were read.
    #[serde(default)]
    pub inputs: Vec<Input>,
    /// Sentences that say what was not looked at.
    #[serde(default)]
    pub not_covered: Vec<String>,
    /// Numbers over time, for charts.
    #[serde(default)]
    pub series: Vec<Series>,
    /// The tool's own members, named in the contract.
    #[serde(default)]
    pub details: Map<String, Value>,
}

/// Name and version of the tool that wrote the report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Tool {
    /// The binary's name.
    pub name: String,
    /// Its version.
    pub version: String,
}

/// What was judged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Subject {
    /// `url`, `deployment`, `repository` and so on.
    pub kind: String,
    /// The address or name of it.
    pub name: String,
    /// The commit, where it is known.
    pub commit: Option<String>,
}

/// One named thing that was judged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Check {
    /// Stable name, usable in `--only`.
    pub id: String,
    /// The same for people.
    pub title: String,
    /// What was asked, without host: `GET /api/v1/signals`.
    pub target: Option<String>,
    /// The verdict of this check.
    pub verdict: Verdict,
    /// The stable code of what broke; absent where nothing did.
    pub reason: Option<String>,
    /// One sentence for people: what broke, expected against actual. Absent where nothing did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The value that decided.
    pub observed: Option<Quantity>,
    /// What it was held against, in words.
    pub expected: Option<String>,
    /// How often it was tried; absent where it never was.
    pub attempts: Option<u32>,
    /// Wall time over all attempts and waits between them, in milliseconds.
    pub duration_ms: Option<f64>,
    /// What proves the verdict, most telling first.
    #[serde(default)]
    pub evidence: Vec<Evidence>,
    /// One line to paste into a shell.
    pub reproduce: Option<String>,
    /// Where the check is written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
    /// The groups that it belongs to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// It passed, but not at the first attempt.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub flaky: bool,
    /// The single attempts, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tries: Vec<Try>,
    /// Every assertion that did not hold, the deciding one first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub broken: Vec<Broken>,
}

impl Check {
    /// A check that passed, with nothing more to say of it: what there is to say is set on it, or beside it
    /// (`Check { message, ..Check::passed(id, title) }`).
    #[must_use]
    pub fn passed(id: impl Into<String>, title: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            title: title.into(),
            target: None,
            verdict: Verdict::Pass,
            reason: None,
            message: None,
            observed: None,
            expected: None,
            attempts: None,
            duration_ms: None,
            evidence: Vec::new(),
            reproduce: None,
            place: None,
            tags: Vec::new(),
            flaky: false,
            tries: Vec::new(),
            broken: Vec::new(),
        }
    }
}

/// An assertion that did not hold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Broken {
    /// `Warn` or `Fail`, or `Inconclusive` where it could not be judged.
    pub verdict: Verdict,
    /// The stable code.
    pub reason: String,
    /// One sentence for people.
    pub message: String,
    /// What was seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed: Option<Quantity>,
    /// What was wanted, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected: Option<String>,
}

/// One attempt of a check.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Try {
    /// Milliseconds from the start of the run.
    pub at_ms: f64,
    /// How long it took, in milliseconds.
    pub duration_ms: f64,
    /// `ok`, or the reason code of what broke.
    pub outcome: String,
    /// One sentence on what broke.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Time spent by phase, in milliseconds: `dns`, `tcp`, `tls`, `first_byte`, `body`.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub phases_ms: Map<String, Value>,
}

/// A value with its unit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Quantity {
    /// A number, a text, a truth value; null where the thing itself was null.
    pub value: Value,
    /// `ms`, `bytes`, `share`, `days`; absent where there is none.
    pub unit: Option<String>,
}

impl Quantity {
    /// A value without a unit.
    pub fn bare(value: impl Into<Value>) -> Self {
        Self {
            value: value.into(),
            unit: None,
        }
    }

    /// A value with a unit.
    pub fn of(value: impl Into<Value>, unit: &str) -> Self {
        Self {
            value: value.into(),
            unit: Some(unit.to_owned()),
        }
    }
}

impl std::fmt::Display for Quantity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.value {
            Value::String(text) => f.write_str(text)?,
            other => write!(f, "{other}")?,
        }
        match &self.unit {
            Some(unit) => write!(f, " {unit}"),
            None => Ok(()),
        }
    }
}

/// A labelled piece of proof: the body, a header, a frame, the versions seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Evidence {
    /// What it is: `body`, `request id`, `versions seen`.
    pub label: String,
    /// The text of it, possibly of several lines.
    pub text: String,
}

/// A place in a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Place {
    /// The path as given, or `built-in:NAME`.
    pub path: String,
    /// Line, counted from 1.
    pub line: Option<u32>,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}", self.path),
            None => f.write_str(&self.path),
        }
    }
}

/// A file that was read.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Input {
    /// The path as given.
    pub path: String,
    /// What it was read as.
    pub format: String,
    /// What became of it.
    pub outcome: String,
    /// Lowercase hexadecimal SHA-256 of its bytes.
    pub sha256: Option<String>,
    /// Age at the start of the run, in seconds.
    pub age_seconds: Option<f64>,
    /// The tool's own members, named in the contract.
    #[serde(flatten)]
    pub more: Members,
}

/// Numbers over time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Series {
    /// What it shows.
    pub name: String,
    /// The unit of the values.
    pub unit: String,
    /// Pairs of seconds since the start and value; null is a gap.
    pub points: Vec<(f64, Option<f64>)>,
}

/// Milliseconds, rounded to a thousandth: the form that reports use.
#[must_use]
pub fn millis(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}

/// RFC 3339 in UTC with exactly three decimals, so that texts compare as times do.
mod utc_millis {
    use jiff::Timestamp;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(at: &Timestamp, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&format_args!("{at:.3}"))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Timestamp, D::Error> {
        let text = String::deserialize(from)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A whole report as an earlier release wrote it: what it says must stay readable.
    const GOLDEN: &str = include_str!("../tests/golden/report-v1.json");

    #[test]
    fn the_golden_report_of_version_1_reads_and_writes_back_the_same() {
        let report: Report = serde_json::from_str(GOLDEN).unwrap();
        let written = serde_json::to_string_pretty(&report).unwrap();
        assert_eq!(written.trim_end(), GOLDEN.trim_end());
    }

    #[test]
    fn times_have_three_decimals_and_compare_as_text() {
        let report: Value = serde_json::from_str(GOLDEN).unwrap();
        assert_eq!(report["started_at"], "2026-11-24T02:00:00.000Z");
        assert!(report["started_at"].as_str() < report["ended_at"].as_str());
    }

    #[test]
    fn milliseconds_are_rounded_to_a_thousandth() {
        assert_eq!(millis(Duration::from_nanos(1_234_567)), 1.235);
    }
}
