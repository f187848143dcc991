//! The faces of a report. Each is a file with one pure function from a [`Redacted`] report to a
//! writer; the one `match` from format to face is [`render`]. No tool asks which format is on.

mod axis;
mod cause;
mod chart;
mod findings;
mod github;
mod html;
mod human;
mod json;
mod junit;
mod markdown;
mod prometheus;
mod sarif;
mod spread;
mod tables;
mod tap;
#[cfg(test)]
mod tests;
mod text;

use std::io::{self, Write};
use std::str::FromStr;

use crate::config::did_you_mean;
use crate::redact::Redacted;

pub use cause::{Cause, causes};
pub use github::escape_data;
pub use json::{schema, schema_text};
pub use markdown::within;
pub use sarif::left_out;
pub use text::visible;

/// A face of the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// For a terminal or a log.
    Human,
    /// The promise to machines, `gs.report/v1`.
    Json,
    /// For CI systems that read test results.
    Junit,
    /// For step summaries and pull requests.
    Markdown,
    /// GitHub's workflow commands: annotations.
    Github,
    /// One file for people, without network.
    Html,
    /// A text file for the node exporter or a push gateway.
    Prometheus,
    /// Test Anything Protocol, version 14.
    Tap,
    /// SARIF 2.1.0, for code scanning.
    Sarif,
}

/// How the human face looks.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    /// With colour.
    pub color: bool,
    /// Columns of the terminal.
    pub width: usize,
    /// 0, or how often `-v` was given.
    pub verbose: u8,
    /// Only the verdict.
    pub quiet: bool,
}

impl Default for Look {
    fn default() -> Self {
        Self {
            color: false,
            width: 100,
            verbose: 0,
            quiet: false,
        }
    }
}

/// Writes one face of a report.
///
/// # Errors
/// The writer fails.
pub fn render(
    format: Format,
    report: &Redacted,
    look: &Look,
    out: &mut dyn Write,
) -> io::Result<()> {
    match format {
        Format::Human => human::render(report, look, out),
        Format::Json => json::render(report, out),
        Format::Junit => junit::render(report, out),
        Format::Markdown => markdown::render(report, out),
        Format::Github => github::render(report, out),
        Format::Html => html::render(report, out),
        Format::Prometheus => prometheus::render(report, out),
        Format::Tap => tap::render(report, out),
        Format::Sarif => sarif::render(report, out),
    }
}

impl Format {
    /// All of them with the names that `--output` knows.
    pub const ALL: [(Self, &'static str); 9] = [
        (Self::Human, "human"),
        (Self::Json, "json"),
        (Self::Junit, "junit"),
        (Self::Markdown, "markdown"),
        (Self::Github, "github"),
        (Self::Html, "html"),
        (Self::Prometheus, "prometheus"),
        (Self::Tap, "tap"),
        (Self::Sarif, "sarif"),
    ];
}

impl FromStr for Format {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        if let Some((format, _)) = Self::ALL.into_iter().find(|(_, known)| *known == name) {
            return Ok(format);
        }
        let known = Self::ALL.map(|(_, known)| known);
        Err(match did_you_mean(name, known) {
            Some(word) => format!("unknown format `{name}`: did you mean `{word}`?"),
            None => format!("unknown format `{name}`: there are {}", known.join(", ")),
        })
    }
}
