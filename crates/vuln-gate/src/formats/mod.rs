//! Reading reports: bytes become rows, whatever the scanner and whatever they are wrapped in.
//!
//! In reading order: `ahead` reads and hashes the bytes, [`source`] unwraps them, [`sniff`] tells the format by its
//! members, [`cursor`] walks through JSON without holding it, [`lenient`] reads values as scanners really write them, [`sink`] takes
//! rows; then one module for each format.

mod ahead;
pub mod cargo_audit;
pub mod cursor;
pub mod dependency_check;
pub mod dependency_check_xml;
pub mod grype;
pub mod lenient;
pub mod npm;
pub mod osv;
pub mod pip_audit;
pub mod safety;
pub mod sarif;
pub mod sink;
pub mod sniff;
pub mod source;
pub mod trivy;
pub mod yarn;

use std::fs::File;
use std::io::Read;
use std::path::Path;

use jiff::Timestamp;

use cursor::{Cursor, ReadError};
use sink::Sink;
use sniff::Guess;
use source::Source;

use crate::model::{Format, Gap, InputReport, Note, Outcome};

/// More documents in one file than this are no reports.
const MOST_DOCUMENTS: usize = 1000;

/// Reads every report in a file; `-` is stdin. What cannot be read becomes an input of outcome
/// `not_a_report`, never nothing.
#[must_use]
pub fn read_path(path: &str, stdin: impl Read + Send + 'static) -> Vec<InputReport> {
    if path == "-" {
        return read(path, stdin, None);
    }
    let file = Path::new(path);
    let opened = std::fs::metadata(file).and_then(|known| {
        if known.is_dir() {
            return Err(std::io::Error::other("it is a folder, not a file"));
        }
        Ok((File::open(file)?, known.modified().ok()))
    });
    match opened {
        Ok((file, modified)) => {
            let modified = modified.and_then(|at| Timestamp::try_from(at).ok());
            read(path, file, modified)
        }
        Err(error) => vec![blank(
            path,
            Outcome::NotAReport,
            Some(format!("cannot read it: {error}")),
        )],
    }
}

/// Reads every report that a reader gives.
#[must_use]
pub fn read(
    path: &str,
    reader: impl Read + Send + 'static,
    modified: Option<Timestamp>,
) -> Vec<InputReport> {
    let mut source = match Source::open(reader) {
        Ok(source) => source,
        Err(error) => {
            return vec![blank(
                path,
                Outcome::NotAReport,
                Some(format!("cannot read it: {error}")),
            )];
        }
    };
    let mut reports = documents(path, &mut source);
    let seen = source.finish();
    for report in &mut reports {
        report.modified = modified;
        match &seen {
            Ok(seen) => {
                report.sha256 = Some(seen.sha256.clone());
                report.bytes = seen.bytes;
            }
            Err(error) if report.outcome.looked_at() => {
                report.outcome = Outcome::NotAReport;
                report.why = Some(format!("it cannot be read to its end: {error}"));
            }
            Err(_) => {}
        }
    }
    reports
}

fn blank(path: &str, outcome: Outcome, why: Option<String>) -> InputReport {
    InputReport {
        path: path.to_owned(),
        document: 1,
        format: Format::Unknown,
        tool: None,
        outcome,
        why,
        rows: Vec::new(),
        sha256: None,
        bytes: 0,
        created: None,
        modified: None,
        database: None,
        targets: Vec::new(),
        notes: Vec::new(),
        stated: Vec::new(),
    }
}

fn documents(path: &str, source: &mut Source) -> Vec<InputReport> {
    let mut reports: Vec<InputReport> = Vec::new();
    loop {
        let number = reports.len() + 1;
        let failed = |why: String| InputReport {
            document: number,
            ..blank(path, Outcome::NotAReport, Some(why))
        };
        match Cursor::new(source).peek() {
            Ok(None) if reports.is_empty() => {
                let why = "it has no bytes: did the scanner crash before it wrote anything?";
                reports.push(blank(path, Outcome::Empty, Some(why.to_owned())));
                break;
            }
            Ok(None) => break,
            Ok(Some(_)) if number > MOST_DOCUMENTS => {
                reports.push(failed(format!(
                    "it has more than {MOST_DOCUMENTS} documents"
                )));
                break;
            }
            Ok(Some(_)) => {}
            Err(error) => {
                reports.push(failed(error.to_string()));
                break;
            }
        }
        match document(path, number, source) {
            Ok(report) => {
                let unknown = report.format == Format::Unknown;
                reports.push(report);
                // What follows a text that is no report cannot be told apart from it.
                if unknown {
                    break;
                }
            }
            Err((format, error)) => {
                let mut report = failed(error.to_string());
                report.format = format;
                reports.push(report);
                break;
            }
        }
    }
    reports
}

fn document(
    path: &str,
    number: usize,
    source: &mut Source,
) -> Result<InputReport, (Format, ReadError)> {
    let guess = sniff::guess(source).map_err(|error| (Format::Unknown, error))?;
    let mut sink = Sink::default();
    let mut format = match guess {
        Guess::Json(format) => format,
        Guess::YarnLines => Format::YarnAudit,
        Guess::Xml => Format::DependencyCheck,
        Guess::No(words) => {
            return Ok(InputReport {
                document: number,
                ..blank(path, Outcome::NotAReport, Some(words.to_owned()))
            });
        }
    };
    let read = match guess {
        Guess::Xml => dependency_check_xml::read(source, &mut sink),
        _ => json(format, source, &mut sink),
    };
    let told = read.and_then(|()| sink.outcome(format));
    let (outcome, why) = told.map_err(|error| (format, error))?;
    // pnpm's error body differs from npm's in its code only.
    if format == Format::NpmAudit && why.as_deref().is_some_and(|why| why.contains("ERR_PNPM")) {
        format = Format::PnpmAudit;
    }
    Ok(InputReport {
        document: number,
        format,
        tool: sink.tool.take(),
        rows: std::mem::take(&mut sink.rows),
        created: sink.created,
        database: sink.database,
        targets: std::mem::take(&mut sink.targets),
        notes: std::mem::take(&mut sink.notes),
        stated: std::mem::take(&mut sink.stated),
        ..blank(path, outcome, why)
    })
}

fn json(format: Format, source: &mut Source, sink: &mut Sink) -> Result<(), ReadError> {
    let mut cursor = Cursor::new(source);
    match format {
        Format::Trivy => trivy::read(&mut cursor, sink),
        Format::Safety => safety::read(&mut cursor, sink),
        Format::NpmAudit | Format::PnpmAudit => npm::read(&mut cursor, sink),
        Format::YarnAudit => lines_of_yarn(&mut cursor, sink),
        Format::PipAudit => pip_audit::read(&mut cursor, sink),
        Format::DependencyCheck => dependency_check::read(&mut cursor, sink),
        Format::Grype => grype::read(&mut cursor, sink),
        Format::OsvScanner => osv::read(&mut cursor, sink),
        Format::CargoAudit => cargo_audit::read(&mut cursor, sink),
        Format::Sarif => sarif::read(&mut cursor, sink),
        Format::Nothing => {
            sink.notes.push(Note {
                gap: Gap::NothingNamed,
                subject: String::new(),
                message: "an empty list names neither a scanner nor anything that was looked at"
                    .to_owned(),
            });
            cursor.skip()
        }
        Format::Unknown => cursor.skip(),
    }
}

/// Every line of yarn's is a document; together they are one report.
fn lines_of_yarn(cursor: &mut Cursor<'_>, sink: &mut Sink) -> Result<(), ReadError> {
    let mut lines = yarn::Lines::default();
    while cursor.peek()?.is_some() {
        lines.read(cursor, sink)?;
    }
    lines.finish(sink);
    Ok(())
}
