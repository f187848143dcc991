//! What other tools recorded, read for comparing or for a start of one's own.
//!
//! [`run`] tells what a file is by its content, never by its name: our own report or interval log, a
//! Locust stats CSV, a k6 summary, a pytest-benchmark JSON. [`har`] makes a draft of a persona
//! file from a browser's recording. All of these are foreign data: what cannot be read is an error with
//! its reason, and the size of a file is bounded.

pub mod csv;
pub mod har;
pub mod k6;
pub mod locust;
pub mod pytest;
pub mod report;

use std::io::Read as _;
use std::path::Path;

use gs_common::config::ConfigError;
use serde_json::Value;

use crate::compare::model::Run;
use crate::hlog;

/// A larger file is no report of a run.
pub const LARGEST_BYTES: u64 = 256 << 20;

/// Why a file cannot be read as a run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Unreadable {
    /// What is wrong, a lowercase fragment.
    pub message: String,
    /// What to do about it, where there is something to do.
    pub hint: Option<String>,
}

impl Unreadable {
    /// A reason without a hint.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            hint: None,
        }
    }

    /// The same with a hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same as a complaint about a file that was named.
    #[must_use]
    pub fn of(self, path: &Path) -> ConfigError {
        ConfigError::new(format!(
            "cannot read `{}`: {}",
            path.display(),
            self.message
        ))
        .maybe_hint(self.hint)
    }
}

/// The bytes of a file, at most [`LARGEST_BYTES`].
///
/// # Errors
/// It cannot be opened or read, or is larger.
pub fn bytes(path: &Path) -> Result<Vec<u8>, Unreadable> {
    let failed = |error: std::io::Error| Unreadable::new(error.to_string());
    let file = std::fs::File::open(path).map_err(failed)?;
    let mut bytes = Vec::new();
    file.take(LARGEST_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    if bytes.len() as u64 > LARGEST_BYTES {
        return Err(Unreadable::new(format!(
            "it is larger than {} MiB",
            LARGEST_BYTES >> 20
        )));
    }
    Ok(bytes)
}

/// What a file was read as.
#[derive(Clone, Debug, PartialEq)]
pub struct Imported {
    /// `load-test-report`, `hlog`, `locust-csv`, `k6-summary` or `pytest-benchmark`.
    pub format: &'static str,
    /// The run in it.
    pub run: Run,
}

/// Reads the run that a file's bytes hold. `source` names the file in messages.
///
/// # Errors
/// The format is none that is known, or the content breaks its laws.
pub fn run(source: &str, bytes: &[u8]) -> Result<Imported, Unreadable> {
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Err(Unreadable::new("it is empty"));
    }
    let text = std::str::from_utf8(bytes)
        .map_err(|error| Unreadable::new(format!("it is no text (UTF-8): {error}")))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if locust::is_stats(text) {
        return Ok(Imported {
            format: "locust-csv",
            run: locust::read(source, text)?,
        });
    }
    if hlog::is_log(text) {
        let log = hlog::read(text.as_bytes())?;
        return Ok(Imported {
            format: "hlog",
            run: report::of_result(source, &log.result, &log.version),
        });
    }
    if !text.trim_start().starts_with('{') {
        return Err(unknown());
    }
    let document: Value = serde_json::from_str(text)
        .map_err(|error| Unreadable::new(format!("it is no JSON: {error}")))?;
    let Some(members) = document.as_object() else {
        return Err(unknown());
    };
    let (format, run) = if members.contains_key("schema") {
        ("load-test-report", report::read(source, members)?)
    } else if pytest::is_benchmark(members) {
        ("pytest-benchmark", pytest::read(source, members)?)
    } else if k6::is_summary(members) {
        ("k6-summary", k6::read(source, members)?)
    } else {
        return Err(unknown());
    };
    Ok(Imported { format, run })
}

fn unknown() -> Unreadable {
    Unreadable::new("it is none of the formats that are known").hint(
        "name a JSON report or an .hlog of load-test, a Locust stats CSV, a k6 summary, or a pytest-benchmark JSON",
    )
}

#[cfg(test)]
mod tests;
