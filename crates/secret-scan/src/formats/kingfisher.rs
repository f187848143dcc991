//! Kingfisher's JSON: one document with `findings` and an `audit` of what was scanned, or findings alone.
//!
//! Source: reports of Kingfisher 2.14. `snippet` is the value; `validate_command` and its neighbours hold
//! it too and are not read.

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

/// Reads a document; `None` where a finding is none.
#[must_use]
pub fn document(value: &Value) -> Option<Reading> {
    let findings = value.get("findings")?.as_array()?;
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
    Some(Reading {
        format: Format::Kingfisher,
        rows: rows(findings)?,
        stated,
    })
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
    let outcome = finding
        .pointer("/validation/outcome")
        .and_then(Value::as_str);
    let status = finding
        .pointer("/validation/status")
        .and_then(Value::as_str);
    let status = status.unwrap_or_default().to_ascii_lowercase();
    let verification = match outcome.unwrap_or_default() {
        "not_attempted" => Verification::NotTried,
        _ if status.starts_with("active") => Verification::Verified,
        _ if status.starts_with("inactive") => Verification::Unverified,
        _ if status.starts_with("not attempted") || status.is_empty() => Verification::NotTried,
        _ => Verification::Failed,
    };
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
            .and_then(|commit| commit.pointer("/committer/timestamp"))
            .and_then(Value::as_str)
            .and_then(|text| text.parse::<Timestamp>().ok()),
        verification,
    })
}
