//! What Gitleaks, TruffleHog and Kingfisher report, as rows of one shape.
//!
//! A report is known by its content, never by its name. Everything is read with types of our own; what
//! is not understood is said, never skipped: a report of which only a part can be read is no report.

pub mod gitleaks;
pub mod kingfisher;
pub mod log;
pub mod trufflehog;

use std::collections::BTreeSet;

use gs_common::secret::Secret;
use jiff::Timestamp;
use serde_json::Value;

use crate::value::is_redacted;

/// What verifying a secret with its issuer said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verification {
    /// Nobody asked.
    #[default]
    NotTried,
    /// The engine did not find it to be live: the issuer refused it, or there was no way to ask.
    Unverified,
    /// The issuer could not be asked: nothing is known.
    Failed,
    /// The issuer accepts it: it is live.
    Verified,
}

impl Verification {
    /// The word in reports.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotTried => "not_tried",
            Self::Unverified => "unverified",
            Self::Failed => "failed",
            Self::Verified => "verified",
        }
    }
}

/// One row of an engine's report.
#[derive(Clone, Debug, Default)]
pub struct Row {
    /// `gitleaks`, `trufflehog`, `kingfisher`.
    pub engine: &'static str,
    /// The rule or detector.
    pub rule: String,
    /// The value as reported; absent where a rule goes by the path alone.
    pub value: Option<Secret>,
    /// Further readings of the same secret: the second half of a pair, the text around it.
    pub others: Vec<Secret>,
    /// The path, with `/`; what is no UTF-8 is shown escaped.
    pub path: String,
    /// Line, counted from 1.
    pub line: Option<u32>,
    /// The commit; absent is the work tree.
    pub commit: Option<String>,
    /// When the commit was made.
    pub at: Option<Timestamp>,
    /// What the issuer says.
    pub verification: Verification,
}

impl Row {
    /// Whether the value was taken out before the report was written.
    #[must_use]
    pub fn is_redacted(&self) -> bool {
        self.value
            .as_ref()
            .is_some_and(|value| is_redacted(value.expose()))
    }
}

/// What an engine says about its own run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stated {
    /// Commits scanned.
    pub commits: Option<u64>,
    /// Bytes scanned.
    pub bytes: Option<u64>,
    /// Chunks scanned.
    pub chunks: Option<u64>,
    /// Secrets that it says it found.
    pub secrets: u64,
    /// It says that it came to the end.
    pub finished: bool,
    /// It says that it did only a part.
    pub partial: bool,
    /// Files and folders that it left out, aloud.
    pub skipped: u64,
    /// Errors that it logged.
    pub errors: Vec<String>,
    /// Errors of git that it logged or passed on.
    pub git_errors: Vec<String>,
    /// It fell over: a stack trace instead of an end.
    pub panicked: bool,
    /// Its version.
    pub version: Option<String>,
}

impl Stated {
    /// The first error, whatever kind of one.
    #[must_use]
    pub fn first_error(&self) -> Option<&str> {
        let all = self.git_errors.iter().chain(&self.errors);
        all.map(String::as_str).next()
    }

    /// Both together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            commits: self.commits.or(other.commits),
            bytes: self.bytes.or(other.bytes),
            chunks: self.chunks.or(other.chunks),
            secrets: self.secrets.saturating_add(other.secrets),
            finished: self.finished || other.finished,
            partial: self.partial || other.partial,
            skipped: self.skipped + other.skipped,
            errors: [self.errors, other.errors].concat(),
            git_errors: [self.git_errors, other.git_errors].concat(),
            panicked: self.panicked || other.panicked,
            version: self.version.or(other.version),
        }
    }
}

/// Whose report it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// The JSON array of Gitleaks 8 and of what is compatible with it.
    Gitleaks,
    /// The JSON array of Gitleaks before version 8.
    Gitleaks7,
    /// The SARIF of Gitleaks.
    GitleaksSarif,
    /// TruffleHog 3, JSON lines.
    TruffleHog,
    /// TruffleHog 2, JSON lines.
    TruffleHog2,
    /// Kingfisher, JSON.
    Kingfisher,
}

impl Format {
    /// The word in reports.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Gitleaks => "gitleaks",
            Self::Gitleaks7 => "gitleaks-7",
            Self::GitleaksSarif => "gitleaks-sarif",
            Self::TruffleHog => "trufflehog",
            Self::TruffleHog2 => "trufflehog-2",
            Self::Kingfisher => "kingfisher",
        }
    }
}

/// A report that was understood to its end.
#[derive(Clone, Debug)]
pub struct Reading {
    /// Whose it is.
    pub format: Format,
    /// Its rows, in its order.
    pub rows: Vec<Row>,
    /// What else it says of the run.
    pub stated: Stated,
}

impl Reading {
    /// How many rows differ in rule or in value, both as reported.
    #[must_use]
    pub fn unique(&self) -> usize {
        let of = |row: &Row| {
            let value = row.value.as_ref();
            (
                row.rule.clone(),
                value.map_or_else(String::new, |value| value.expose().to_owned()),
            )
        };
        self.rows.iter().map(of).collect::<BTreeSet<_>>().len()
    }
}

/// Why a text is no report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoReport {
    /// No bytes, or only white space.
    #[error("it is empty")]
    Empty,
    /// It begins like one of the reports and breaks off or breaks down.
    #[error("it begins like a report of {0}, but cannot be read to its end: is it cut short?")]
    Broken(&'static str),
    /// It has no list of results, which is how SARIF says that no scan was attempted (2.1.0, section 3.14.23).
    #[error("it is a report of {0} without a list of results: no scan was attempted")]
    NoResults(&'static str),
    /// It is something else.
    #[error("it is no report of Gitleaks, TruffleHog or Kingfisher")]
    Unknown,
}

/// Reads a report of any engine, found out by its content.
///
/// # Errors
/// It is empty, something else, or cannot be read to its end.
pub fn read(bytes: &[u8]) -> Result<Reading, NoReport> {
    let text = text_of(bytes)?;
    let text = text.trim();
    if text.is_empty() {
        return Err(NoReport::Empty);
    }
    match serde_json::from_str::<Value>(text) {
        Ok(value) => whole(value),
        Err(_) => lines(text),
    }
}

/// UTF-8, or UTF-16 with a byte order mark, as PowerShell's `>` writes it.
fn text_of(bytes: &[u8]) -> Result<String, NoReport> {
    let wide = |bytes: &[u8], of: fn([u8; 2]) -> u16| {
        let units: Vec<u16> = bytes
            .as_chunks::<2>()
            .0
            .iter()
            .map(|pair| of(*pair))
            .collect();
        String::from_utf16(&units).map_err(|_| NoReport::Unknown)
    };
    match bytes {
        [0xff, 0xfe, rest @ ..] => wide(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => wide(rest, u16::from_be_bytes),
        [0xef, 0xbb, 0xbf, rest @ ..] => Ok(String::from_utf8_lossy(rest).into_owned()),
        bytes => Ok(String::from_utf8_lossy(bytes).into_owned()),
    }
}

fn whole(value: Value) -> Result<Reading, NoReport> {
    let reading = |format, rows| Reading {
        format,
        rows,
        stated: Stated::default(),
    };
    match value {
        // An older Gitleaks writes this for a clean run.
        Value::Null => Ok(reading(Format::Gitleaks, Vec::new())),
        Value::Array(items) if items.is_empty() => Ok(reading(Format::Gitleaks, Vec::new())),
        Value::Array(items) => {
            let first = items.first().unwrap_or(&Value::Null);
            if gitleaks::is_row(first) {
                let rows = gitleaks::rows(&items).ok_or(NoReport::Broken("Gitleaks"))?;
                Ok(reading(Format::Gitleaks, rows))
            } else if gitleaks::is_old_row(first) {
                let rows = gitleaks::old_rows(&items).ok_or(NoReport::Broken("Gitleaks"))?;
                Ok(reading(Format::Gitleaks7, rows))
            } else if kingfisher::is_row(first) || kingfisher::is_document(first) {
                kingfisher::objects(&items).ok_or(NoReport::Broken("Kingfisher"))
            } else if trufflehog::is_row(first) || trufflehog::is_old_row(first) {
                // Lines that were gathered into one array, `jq -s` does that.
                trufflehog::objects(items)
            } else {
                Err(NoReport::Unknown)
            }
        }
        value
            if kingfisher::is_document(&value)
                || kingfisher::is_row(&value)
                || kingfisher::is_audit(&value) =>
        {
            kingfisher::objects(&[value]).ok_or(NoReport::Broken("Kingfisher"))
        }
        value if gitleaks::is_sarif(&value) => {
            if !gitleaks::sarif_has_results(&value) {
                return Err(NoReport::NoResults("Gitleaks"));
            }
            let rows = gitleaks::sarif_rows(&value).ok_or(NoReport::Broken("Gitleaks"))?;
            Ok(reading(Format::GitleaksSarif, rows))
        }
        value if trufflehog::is_any(&value) => trufflehog::objects(vec![value]),
        _ => Err(NoReport::Unknown),
    }
}

/// Not one JSON value: JSON lines, or a report with an engine's log around it.
fn lines(text: &str) -> Result<Reading, NoReport> {
    let (report, stated) = log::split(text);
    let report = report.trim();
    if report.is_empty() {
        // Only a log: TruffleHog's says by itself whether the run was clean.
        return if stated == Stated::default() {
            Err(NoReport::Unknown)
        } else {
            let format = if stated.chunks.is_some() || stated.version.is_some() {
                Format::TruffleHog
            } else if stated.commits.is_some() || stated.bytes.is_some() {
                // Gitleaks writes `[]` where it finds nothing: without it there is no report.
                return Err(NoReport::Broken("Gitleaks"));
            } else {
                Format::TruffleHog
            };
            Ok(Reading {
                format,
                rows: Vec::new(),
                stated,
            })
        };
    }
    if report.starts_with('[') || report == "null" {
        let value = serde_json::from_str::<Value>(report);
        let mut reading = whole(value.map_err(|_| NoReport::Broken("Gitleaks"))?)?;
        reading.stated = stated;
        return Ok(reading);
    }
    if !report.starts_with('{') {
        return Err(NoReport::Unknown);
    }
    let mut objects = Vec::new();
    for object in serde_json::Deserializer::from_str(report).into_iter::<Value>() {
        objects.push(object.map_err(|_| NoReport::Broken("TruffleHog"))?);
    }
    let is_kingfisher = |value: &Value| {
        kingfisher::is_document(value) || kingfisher::is_row(value) || kingfisher::is_audit(value)
    };
    if objects.iter().any(is_kingfisher) {
        let mut reading = kingfisher::objects(&objects).ok_or(NoReport::Broken("Kingfisher"))?;
        reading.stated = reading.stated.and(stated);
        return Ok(reading);
    }
    let mut reading = trufflehog::objects(objects)?;
    reading.stated = reading.stated.and(stated);
    Ok(reading)
}

/// A member as text, absent where it is empty or something else.
fn text<'a>(object: &'a Value, member: &str) -> Option<&'a str> {
    object
        .get(member)
        .and_then(Value::as_str)
        .filter(|text| !text.is_empty())
}

fn line(object: &Value, member: &str) -> Option<u32> {
    let number = object.get(member).and_then(Value::as_u64)?;
    u32::try_from(number).ok().filter(|line| *line > 0)
}

fn path_of(text: &str) -> String {
    text.replace('\\', "/")
}

#[cfg(test)]
mod tests;
