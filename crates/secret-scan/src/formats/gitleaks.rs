//! Gitleaks' JSON: the array of version 8, the one of the versions before it, and its SARIF.
//!
//! Sources: `report/finding.go` and `report/json.go` of Gitleaks 8; reports of versions 6 and 7. Version 8
//! writes `[]` for a clean run, some older ones `null`. With `--redact`, `Secret` and `Match` are masked.

use gs_common::secret::Secret;
use jiff::Timestamp;
use serde_json::Value;

use super::{Row, Verification, line, path_of, text};

/// The name in `sources`.
pub const NAME: &str = "gitleaks";

/// Whether this is a row of version 8.
#[must_use]
pub fn is_row(value: &Value) -> bool {
    value.get("RuleID").is_some_and(Value::is_string)
        && value.get("File").is_some_and(Value::is_string)
        && value.get("Secret").is_some_and(Value::is_string)
}

/// Whether this is a row of a version before 8.
#[must_use]
pub fn is_old_row(value: &Value) -> bool {
    value.get("rule").is_some_and(Value::is_string)
        && value.get("offender").is_some_and(Value::is_string)
}

/// The rows of version 8; `None` where one of them is none.
#[must_use]
pub fn rows(items: &[Value]) -> Option<Vec<Row>> {
    items.iter().map(row).collect()
}

fn row(item: &Value) -> Option<Row> {
    if !is_row(item) {
        return None;
    }
    Some(Row {
        engine: NAME,
        rule: text(item, "RuleID").unwrap_or_default().to_owned(),
        value: text(item, "Secret").map(Secret::new),
        others: Vec::new(),
        path: path_of(text(item, "File").unwrap_or_default()),
        line: line(item, "StartLine"),
        commit: text(item, "Commit").map(str::to_owned),
        at: text(item, "Date").and_then(time),
        verification: match text(item, "ValidationStatus") {
            // Gitleaks asks nobody; Betterleaks does, where it is told to.
            None | Some("none") => Verification::NotTried,
            Some("valid") => Verification::Verified,
            Some("invalid" | "revoked") => Verification::Unverified,
            Some(_) => Verification::Failed,
        },
    })
}

/// The rows of a version before 8; `None` where one of them is none.
#[must_use]
pub fn old_rows(items: &[Value]) -> Option<Vec<Row>> {
    items.iter().map(old_row).collect()
}

fn old_row(item: &Value) -> Option<Row> {
    if !is_old_row(item) {
        return None;
    }
    Some(Row {
        engine: NAME,
        rule: text(item, "rule").unwrap_or_default().to_owned(),
        value: text(item, "offender").map(Secret::new),
        others: Vec::new(),
        path: path_of(text(item, "file").unwrap_or_default()),
        line: line(item, "lineNumber"),
        commit: text(item, "commit").map(str::to_owned),
        at: text(item, "date").and_then(time),
        ..Row::default()
    })
}

/// Whether this is Gitleaks' SARIF.
#[must_use]
pub fn is_sarif(value: &Value) -> bool {
    let name = value
        .pointer("/runs/0/tool/driver/name")
        .and_then(Value::as_str);
    name.is_some_and(|name| {
        ["gitleaks", "betterleaks"].contains(&name.to_ascii_lowercase().as_str())
    })
}

/// Whether each run of a SARIF report lists its results, and there is one.
#[must_use]
pub fn sarif_has_results(value: &Value) -> bool {
    let runs = value.get("runs").and_then(Value::as_array);
    runs.is_some_and(|runs| {
        !runs.is_empty()
            && runs
                .iter()
                .all(|run| !matches!(run.get("results"), None | Some(Value::Null)))
    })
}

/// The rows of Gitleaks' SARIF, which holds the values in the snippets; `None` where one of them is none.
#[must_use]
pub fn sarif_rows(value: &Value) -> Option<Vec<Row>> {
    let mut rows = Vec::new();
    for run in value.get("runs")?.as_array()? {
        for result in run.get("results")?.as_array()? {
            let place = result.pointer("/locations/0/physicalLocation")?;
            let uri = place
                .pointer("/artifactLocation/uri")
                .and_then(Value::as_str)?;
            let region = place.get("region").unwrap_or(&Value::Null);
            let snippet = region.pointer("/snippet/text").and_then(Value::as_str);
            let prints = result.get("partialFingerprints").unwrap_or(&Value::Null);
            rows.push(Row {
                engine: NAME,
                rule: text(result, "ruleId")?.to_owned(),
                value: snippet.filter(|text| !text.is_empty()).map(Secret::new),
                path: path_of(uri),
                line: line(region, "startLine"),
                commit: text(prints, "commitSha").map(str::to_owned),
                at: text(prints, "date").and_then(time),
                ..Row::default()
            });
        }
    }
    Some(rows)
}

/// RFC 3339. Go's zero time is what a row without a commit has.
fn time(text: &str) -> Option<Timestamp> {
    let at = text.parse::<Timestamp>().ok()?;
    (at.as_second() > 0).then_some(at)
}
