//! Kingfisher's JSON: a document for each repository, with `findings` and an `audit` of what was scanned; and
//! its JSON lines: a finding a line, then the `audit`. A summary of numbers follows either.
//!
//! Sources: reports of Kingfisher 2.14, and its pages of usage and of the audit log. `snippet` is the value;
//! `validate_command` and its neighbours hold it too and are not read.

use gs_common::secret::Secret;
use jiff::Timestamp;
use serde_json::Value;

use super::{Format, Reading, Row, Stated, Verification, line, path_of, text};

/// The name in `sources`.
pub const NAME: &str = "kingfisher";

/// Whether this is one finding.
#[must_use]
pub fn is_row(value: &Value) -> bool {
    value.pointer("/rule/id").is_some_and(Value::is_string)
        && value
            .pointer("/finding/snippet")
            .is_some_and(Value::is_string)
}

/// Whether this is a whole document.
#[must_use]
pub fn is_document(value: &Value) -> bool {
    value.get("findings").is_some_and(Value::is_array)
        && (value.get("audit").is_some() || value.get("metadata").is_some())
}

/// Whether this is what its JSON lines end with.
#[must_use]
pub fn is_audit(value: &Value) -> bool {
    value.pointer("/audit/summary").is_some()
}

/// Whether this stands beside the findings and holds none: the numbers of the run, and what a live secret
/// gives access to.
fn is_aside(value: &Value) -> bool {
    value.get("findings").is_some_and(Value::is_u64)
        || (value.get("access_map").is_some() && value.get("findings").is_none())
}

/// Reads all that one run wrote; `None` where a finding is none, or where there is something else.
#[must_use]
pub fn objects(items: &[Value]) -> Option<Reading> {
    let mut all = Vec::new();
    let mut stated: Option<Stated> = None;
    let mut numbers = None;
    for item in items {
        if is_row(item) {
            all.extend(row(item));
        } else if is_document(item) || is_audit(item) {
            if let Some(findings) = item.get("findings").and_then(Value::as_array) {
                all.extend(rows(findings)?);
            }
            stated = Some(match stated {
                Some(so_far) => both(so_far, audit(item)),
                None => audit(item),
            });
        } else if is_aside(item) {
            let number = |name: &str| item.get(name).and_then(Value::as_u64);
            numbers = number("findings").or(numbers);
        } else {
            return None;
        }
    }
    // Its own count of what it reported: less is a report that lost its beginning.
    if numbers.is_some_and(|count| (all.len() as u64) < count) {
        return None;
    }
    Some(Reading {
        format: Format::Kingfisher,
        rows: all,
        stated: stated.unwrap_or_default(),
    })
}

/// What is stated of two repositories.
fn both(one: Stated, other: Stated) -> Stated {
    let sum = |a: Option<u64>, b: Option<u64>| Some(a? + b?);
    Stated {
        commits: sum(one.commits, other.commits),
        bytes: sum(one.bytes, other.bytes),
        chunks: sum(one.chunks, other.chunks),
        finished: one.finished && other.finished,
        partial: one.partial || other.partial,
        errors: [one.errors, other.errors].concat(),
        version: one.version.or(other.version),
        ..Stated::default()
    }
}

fn audit(value: &Value) -> Stated {
    let number = |pointer: &str| value.pointer(pointer).and_then(Value::as_u64);
    let repositories = value
        .pointer("/audit/repositories")
        .and_then(Value::as_array);
    let sum = |pointer: &str| -> Option<u64> {
        let all = repositories?.iter().map(|one| one.pointer(pointer));
        all.map(|one| one.and_then(Value::as_u64)).sum()
    };
    let mut stated = Stated {
        commits: sum("/git/fetched_commit_count"),
        bytes: sum("/stats/bytes_scanned"),
        chunks: sum("/stats/blobs_scanned"),
        finished: value.pointer("/audit/completed_at").is_some(),
        version: value
            .pointer("/metadata/kingfisher_version")
            .and_then(Value::as_str)
            .map(str::to_owned),
        ..Stated::default()
    };
    for (pointer, what) in [
        ("/audit/summary/scan_failed", "failed"),
        ("/audit/summary/fetch_failed", "could not be fetched"),
        ("/audit/summary/pending", "were not scanned"),
    ] {
        if let Some(count @ 1..) = number(pointer) {
            stated.errors.push(format!("{count} repositories {what}"));
        }
    }
    stated.partial = number("/audit/summary/scan_partial").is_some_and(|count| count > 0);
    let shallow = |one: &Value| one.pointer("/git/shallow") == Some(&Value::Bool(true));
    stated.partial |= repositories.is_some_and(|all| all.iter().any(shallow));
    stated
}

/// Rows of findings; `None` where one of them is none.
#[must_use]
pub fn rows(items: &[Value]) -> Option<Vec<Row>> {
    items.iter().map(row).collect()
}

fn row(item: &Value) -> Option<Row> {
    if !is_row(item) {
        return None;
    }
    let rule = item.get("rule")?;
    let finding = item.get("finding")?;
    let commit = finding.pointer("/git_metadata/commit");
    let in_history = finding
        .pointer("/git_metadata/file/path")
        .and_then(Value::as_str);
    Some(Row {
        engine: NAME,
        rule: text(rule, "name")
            .or_else(|| text(rule, "id"))
            .unwrap_or_default()
            .to_owned(),
        value: text(finding, "snippet").map(Secret::new),
        others: Vec::new(),
        path: path_of(
            in_history
                .or_else(|| text(finding, "path"))
                .unwrap_or_default(),
        ),
        line: line(finding, "line"),
        commit: commit
            .and_then(|commit| text(commit, "id"))
            .map(str::to_owned),
        at: commit
            .and_then(|commit| {
                let whole = commit.pointer("/committer/timestamp");
                whole.or_else(|| commit.get("date"))
            })
            .and_then(Value::as_str)
            .and_then(time),
        verification: verification(finding),
    })
}

/// A moment, or the beginning of a day.
fn time(text: &str) -> Option<Timestamp> {
    let day = || {
        let day = text.parse::<jiff::civil::Date>().ok()?;
        jiff::tz::TimeZone::UTC.to_timestamp(day.into()).ok()
    };
    text.parse::<Timestamp>().ok().or_else(day)
}

/// What its issuer says, by the word that is meant for programs, else by the one for people (before 2.0).
fn verification(finding: &Value) -> Verification {
    let word = |pointer: &str| finding.pointer(pointer).and_then(Value::as_str);
    match word("/validation/outcome") {
        Some("verified_active") => return Verification::Verified,
        Some("verified_inactive") => return Verification::Unverified,
        // That it is well-formed, or that it is not, says nothing about its issuer.
        Some("not_attempted" | "skipped" | "assumed" | "locally_derived" | "invalid_material") => {
            return Verification::NotTried;
        }
        // `unavailable`, and what is not known yet.
        Some(_) => return Verification::Failed,
        None => {}
    }
    let status = word("/validation/status")
        .unwrap_or_default()
        .to_ascii_lowercase();
    if status.starts_with("active") {
        Verification::Verified
    } else if status.starts_with("inactive") {
        Verification::Unverified
    } else if status.starts_with("not attempted") || status.is_empty() {
        Verification::NotTried
    } else {
        Verification::Failed
    }
}
