//! Reports that engines wrote elsewhere, judged by the same law: what says of itself that it failed, or
//! that it scanned nothing, is no verdict.

use std::io::Read as _;
use std::path::Path;
use std::time::Duration;

use gs_common::fingerprint;
use gs_common::report::Input;
use gs_common::secret::Secret;
use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::engine::scrub;
use crate::formats::{self, Format, NoReport, Reading, Row, Verification};
use crate::judge::reason;

/// A larger report is not read: nobody has so many secrets.
const LARGEST: u64 = 1 << 28;

/// A report with what it is worth.
#[derive(Debug)]
pub(crate) struct Judged {
    /// What the report of this run says of it.
    pub(crate) input: Input,
    /// The code of what is wrong with it; absent where it counts.
    pub(crate) code: Option<&'static str>,
    /// Its rows.
    pub(crate) rows: Vec<Row>,
    /// What it does not cover.
    pub(crate) sentences: Vec<String>,
}

/// Reads a report and says what it is worth. `now` is the time of the run.
pub(crate) fn judge(path: &Path, now: Timestamp, max_age: Option<Duration>) -> Judged {
    let mut judged = Judged {
        input: Input {
            path: path.display().to_string(),
            format: "unknown".to_owned(),
            outcome: "missing".to_owned(),
            ..Input::default()
        },
        code: Some("missing_report"),
        rows: Vec::new(),
        sentences: Vec::new(),
    };
    let bytes = match load(path) {
        Ok(bytes) => bytes,
        Err(why) => {
            judged
                .sentences
                .push(format!("`{}` was not read: {why}", path.display()));
            return judged;
        }
    };
    judged.input.sha256 = Some(fingerprint::sha256(&bytes));
    let written = path.metadata().and_then(|file| file.modified()).ok();
    let age = written.and_then(|at| {
        let at = Timestamp::try_from(at).ok()?;
        Some((now.as_millisecond() - at.as_millisecond()).max(0) as f64 / 1e3)
    });
    judged.input.age_seconds = age;
    match formats::read(&bytes) {
        Ok(reading) => readable(&mut judged, reading, path),
        Err(error) => {
            let outcome = match error {
                NoReport::Empty => "empty",
                NoReport::NoResults(_) => "unchecked",
                NoReport::Broken(_) | NoReport::Unknown => "not_a_report",
            };
            judged.input.outcome = outcome.to_owned();
            judged.code = Some(outcome);
            judged
                .sentences
                .push(format!("`{}`: {error}", path.display()));
        }
    }
    if let (Some(limit), None) = (max_age, judged.code)
        && age.is_none_or(|age| age > limit.as_secs_f64())
    {
        judged.code = Some(reason::REPORT_TOO_OLD);
    }
    judged
}

fn load(path: &Path) -> Result<Vec<u8>, String> {
    let file = std::fs::File::open(path).map_err(|error| error.to_string())?;
    let mut bytes = Vec::new();
    let read = file.take(LARGEST + 1).read_to_end(&mut bytes);
    read.map_err(|error| error.to_string())?;
    if bytes.len() as u64 > LARGEST {
        return Err(format!(
            "it is larger than {}",
            gs_common::units::show_size(LARGEST)
        ));
    }
    Ok(bytes)
}

fn readable(judged: &mut Judged, reading: Reading, path: &Path) {
    let (outcome, code) = worth(&reading);
    judged.input.format = reading.format.as_str().to_owned();
    judged.input.outcome = outcome.to_owned();
    judged.code = code;
    let mut more: Map<String, Value> = Map::new();
    more.insert("rows".to_owned(), reading.rows.len().into());
    more.insert("unique".to_owned(), reading.unique().into());
    let count = |of: fn(&Row) -> bool| reading.rows.iter().filter(|row| of(row)).count();
    more.insert(
        "verified".to_owned(),
        count(|row| row.verification == Verification::Verified).into(),
    );
    more.insert("redacted".to_owned(), count(Row::is_redacted).into());
    for (name, value) in [
        ("commits_scanned", reading.stated.commits),
        ("bytes_scanned", reading.stated.bytes),
        ("chunks_scanned", reading.stated.chunks),
    ] {
        if let Some(value) = value {
            more.insert(name.to_owned(), value.into());
        }
    }
    judged.input.more = more.into();
    let shown = path.display();
    if let Some(error) = reading.stated.first_error() {
        judged.sentences.push(format!(
            "`{shown}` logs an error, so there may be more than it reports: {}",
            scrub::text(error)
        ));
    }
    if outcome == "clean" && reading.stated == formats::Stated::default() {
        judged.sentences.push(format!(
            "`{shown}` does not say how much was scanned: an engine that broke writes the same (run it through secret-scan to know)"
        ));
    }
    judged.rows = reading.rows;
}

/// The outcome, and the code where it does not count.
fn worth(reading: &Reading) -> (&'static str, Option<&'static str>) {
    let stated = &reading.stated;
    if !reading.rows.is_empty() {
        return ("findings", None);
    }
    if stated.first_error().is_some() || stated.panicked || stated.partial {
        return ("error", Some("error"));
    }
    let nothing = stated.commits == Some(0) || stated.bytes == Some(0) || stated.chunks == Some(0);
    let is_lines = matches!(reading.format, Format::TruffleHog | Format::TruffleHog2);
    // No line of a result is a clean run only where the log says that it came to its end, and that it found nothing:
    // the log alone, without what was written to stdout, counts secrets and shows none.
    if nothing || (is_lines && !stated.finished) || stated.secrets > 0 {
        return ("unchecked", Some("unchecked"));
    }
    ("clean", None)
}

/// The values of rows that must not be shown.
pub(crate) fn values(rows: &[Row]) -> impl Iterator<Item = &Secret> {
    rows.iter()
        .filter(|row| !row.is_redacted())
        .flat_map(|row| row.value.iter().chain(&row.others))
}
