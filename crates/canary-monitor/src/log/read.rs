//! Reading logs, whole or while they grow.

use serde_json::Value;

use super::{DecisionLine, Line, LogHeader, SCHEMA};
use crate::observations::{self, Header, Observations, ReadError, Scrape};

/// A log or bare observations, read whole.
#[derive(Clone, Debug, PartialEq)]
pub struct Recording {
    /// What holds for the whole run.
    pub header: Header,
    /// The first line of a log; absent for bare observations.
    pub log: Option<LogHeader>,
    /// The other lines, in their order; only scrapes for bare observations.
    pub lines: Vec<Line>,
    /// Sentences about what could not be used.
    pub lost: Vec<String>,
    /// Bytes of a log up to the end of its last whole line.
    pub whole_bytes: u64,
}

impl From<Observations> for Recording {
    fn from(seen: Observations) -> Self {
        Self {
            header: seen.header,
            log: None,
            lines: seen.scrapes.into_iter().map(Line::Scrape).collect(),
            lost: seen.lost,
            whole_bytes: 0,
        }
    }
}

impl Recording {
    /// The looks.
    pub fn scrapes(&self) -> impl Iterator<Item = &Scrape> {
        self.lines.iter().filter_map(|line| match line {
            Line::Scrape(scrape) => Some(scrape),
            _ => None,
        })
    }

    /// What the judge of the run decided.
    #[must_use]
    pub fn decision(&self) -> Option<&DecisionLine> {
        super::standing(&self.lines).find_map(|line| match line {
            Line::Decision(decision) => Some(decision),
            _ => None,
        })
    }

    /// How the run ended: verdict, reason and sentence.
    #[must_use]
    pub fn outcome(&self) -> Option<(gs_common::verdict::Verdict, &str, &str)> {
        super::standing(&self.lines).find_map(|line| match line {
            Line::Outcome {
                verdict,
                reason,
                sentence,
                ..
            } => Some((*verdict, reason.as_str(), sentence.as_str())),
            _ => None,
        })
    }
}

/// Reads a whole file: a decision log, or bare observations.
///
/// # Errors
/// The first line is neither's, a line is none, or the counters break their own laws.
pub fn read(text: &str) -> Result<Recording, ReadError> {
    let first = text.lines().find(|line| !line.trim().is_empty());
    if !first.is_some_and(is_log) {
        return Ok(observations::read(text)?.into());
    }
    let mut reader = Reader::default();
    let mut lines = Vec::new();
    let mut lost = Vec::new();
    let mut whole_bytes = 0;
    for (index, line) in text.split_inclusive('\n').enumerate() {
        if !line.ends_with('\n') {
            lost.push(format!(
                "line {} is torn: the run that wrote it was killed, or its disk was full",
                index + 1
            ));
            break;
        }
        lines.extend(reader.take(line)?);
        whole_bytes += line.len() as u64;
    }
    let Some(log) = reader.header else {
        return Err(ReadError {
            line: 1,
            message: "the first line is torn: the log holds nothing".to_owned(),
        });
    };
    Ok(Recording {
        header: log.observations.clone(),
        log: Some(log),
        lines,
        lost,
        whole_bytes,
    })
}

fn is_log(line: &str) -> bool {
    /// Enough of a line to see its schema, which is written first.
    #[derive(serde::Deserialize)]
    struct Start {
        schema: String,
    }
    serde_json::from_str::<Start>(line).is_ok_and(|start| start.schema == SCHEMA)
}

/// Reads a log line by line, also one that still grows.
#[derive(Clone, Debug, Default)]
pub struct Reader {
    header: Option<LogHeader>,
    line: usize,
    last_scrape: Option<f64>,
}

impl Reader {
    /// The first line, once it was read.
    #[must_use]
    pub fn header(&self) -> Option<&LogHeader> {
        self.header.as_ref()
    }

    /// Takes the next whole line. The first one, and empty ones, give nothing.
    ///
    /// # Errors
    /// It is no line of a log.
    pub fn take(&mut self, text: &str) -> Result<Option<Line>, ReadError> {
        self.line += 1;
        let wrong = |message: String| ReadError {
            line: self.line,
            message,
        };
        if text.trim().is_empty() {
            return Ok(None);
        }
        let Some(header) = &self.header else {
            self.header = Some(read_header(text).map_err(wrong)?);
            return Ok(None);
        };
        let line = read_line(text, &header.observations).map_err(wrong)?;
        if let Line::Scrape(scrape) = &line {
            if self
                .last_scrape
                .is_some_and(|last| scrape.at_seconds <= last)
            {
                return Err(wrong(format!(
                    "at_seconds {} does not come after {}",
                    scrape.at_seconds,
                    self.last_scrape.unwrap_or_default()
                )));
            }
            self.last_scrape = Some(scrape.at_seconds);
        }
        Ok(Some(line))
    }
}

pub(super) fn read_header(text: &str) -> Result<LogHeader, String> {
    let value: Value = serde_json::from_str(text).map_err(|error| format!("no JSON: {error}"))?;
    match value.get("schema").and_then(Value::as_str) {
        Some(SCHEMA) => {}
        Some(other) => return Err(format!("the schema is `{other}`, not `{SCHEMA}`")),
        None => return Err(format!("the first line has no schema `{SCHEMA}`")),
    }
    // The same laws as for bare observations.
    let inner = value.get("observations").cloned().unwrap_or_default();
    observations::read_header(&inner.to_string())
        .map_err(|error| format!("observations: {error}"))?;
    serde_json::from_value(value).map_err(|error| format!("no header of a log: {error}"))
}

/// Reads any line but the first.
///
/// # Errors
/// One sentence about what is wrong.
pub fn read_line(text: &str, header: &Header) -> Result<Line, String> {
    let value: Value = serde_json::from_str(text).map_err(|error| format!("no JSON: {error}"))?;
    match value.get("type").and_then(Value::as_str) {
        Some("scrape") => observations::scrape_of(value, header).map(Line::Scrape),
        Some(_) => {
            serde_json::from_value(value).map_err(|error| format!("no line of a log: {error}"))
        }
        None => Err("the line has no type".to_owned()),
    }
}
