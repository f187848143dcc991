//! TruffleHog's JSON lines: versions 3 and 2, with its log between them.
//!
//! Sources: `pkg/output/json.go` and `proto/source_metadata.proto` of TruffleHog 3. `Redacted` is not
//! safe to show (it holds whole key ids and the first part of private keys) and is not read.

use gs_common::secret::Secret;
use jiff::Timestamp;
use serde_json::Value;

use super::{Format, NoReport, Reading, Row, Stated, Verification, line, log, path_of, text};

/// The name in `sources`.
pub const NAME: &str = "trufflehog";

/// Whether this is a result of version 3.
#[must_use]
pub fn is_row(value: &Value) -> bool {
    value.get("SourceMetadata").is_some()
        && (value.get("DetectorName").is_some() || value.get("DetectorType").is_some())
}

/// Whether this is a result of version 2.
#[must_use]
pub fn is_old_row(value: &Value) -> bool {
    value.get("stringsFound").is_some_and(Value::is_array) && value.get("reason").is_some()
}

/// Whether this is a line of any kind that TruffleHog writes with `--json`.
#[must_use]
pub fn is_any(value: &Value) -> bool {
    is_row(value) || is_old_row(value) || log::is_log(value)
}

/// Results and log lines in the order in which they were written.
///
/// # Errors
/// One of them is neither.
pub fn objects(items: Vec<Value>) -> Result<Reading, NoReport> {
    let mut reading = Reading {
        format: Format::TruffleHog,
        rows: Vec::new(),
        stated: Stated::default(),
    };
    let mut known = false;
    for item in &items {
        if log::is_log(item) {
            log::structured(item, &mut reading.stated);
        } else if is_row(item) {
            reading.rows.push(row(item));
        } else if is_old_row(item) {
            reading.format = Format::TruffleHog2;
            reading.rows.extend(old_rows(item));
        } else if known {
            return Err(NoReport::Broken("TruffleHog"));
        } else {
            return Err(NoReport::Unknown);
        }
        known = true;
    }
    Ok(reading)
}

fn row(item: &Value) -> Row {
    let raw = text(item, "Raw");
    let second = text(item, "RawV2").filter(|second| Some(*second) != raw);
    // `SourceMetadata.Data` has one member, named for the kind of source.
    let data = item
        .pointer("/SourceMetadata/Data")
        .and_then(Value::as_object);
    let place = data.and_then(|data| data.values().next());
    let place = place.unwrap_or(&Value::Null);
    let verified = item.get("Verified").and_then(Value::as_bool) == Some(true);
    let verification = if verified {
        Verification::Verified
    } else if text(item, "VerificationError").is_some() {
        Verification::Failed
    } else {
        Verification::Unverified
    };
    let number = || item.get("DetectorType").map(ToString::to_string);
    Row {
        engine: NAME,
        rule: text(item, "DetectorName")
            .map(str::to_owned)
            .or_else(number)
            .unwrap_or_default(),
        value: raw.or(second).map(Secret::new),
        others: second.into_iter().map(Secret::new).collect(),
        path: path_of(
            text(place, "file")
                .or_else(|| text(place, "link"))
                .unwrap_or_default(),
        ),
        line: line(place, "line"),
        commit: text(place, "commit").map(str::to_owned),
        at: text(place, "timestamp").and_then(time),
        verification,
    }
}

fn old_rows(item: &Value) -> Vec<Row> {
    let strings = item.get("stringsFound").and_then(Value::as_array);
    let strings = strings.into_iter().flatten().filter_map(Value::as_str);
    strings
        .map(|found| Row {
            engine: NAME,
            rule: text(item, "reason").unwrap_or_default().to_owned(),
            value: Some(Secret::new(found)),
            path: path_of(text(item, "path").unwrap_or_default()),
            commit: text(item, "commitHash").map(str::to_owned),
            ..Row::default()
        })
        .collect()
}

/// `2022-06-16 10:17:40 -0700 -0700`, as Go prints a time with an unnamed zone, or RFC 3339.
fn time(text: &str) -> Option<Timestamp> {
    if let Ok(at) = text.parse::<Timestamp>() {
        return Some(at);
    }
    let mut words = text.split_whitespace();
    let (date, clock, zone) = (words.next()?, words.next()?, words.next()?);
    let (hours, minutes) = zone.split_at_checked(3)?;
    format!("{date}T{clock}{hours}:{minutes}").parse().ok()
}
