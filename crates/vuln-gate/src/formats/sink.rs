//! Where a reader puts what it finds: rows with shared texts, and what the report says about itself.

use std::sync::Arc;

use gs_common::finding::Severity;
use gs_common::versions::normal_name;
use hashbrown::{HashMap, HashSet};
use jiff::Timestamp;
use jiff::civil::Date;

use super::cursor::ReadError;
use crate::model::{Class, Format, Gap, Note, Outcome, PackageRef, Rating, Row, Text};
use crate::names;

/// More rows than this are no report of one scan.
const MOST_ROWS: usize = 2_000_000;

/// Notes of one kind that are kept one by one; what is beyond is counted.
const MOST_NOTES: usize = 200;

/// Titles are for one line.
const LONGEST_TITLE: usize = 200;

/// What a reader has found so far.
#[derive(Debug, Default)]
pub struct Sink {
    texts: HashSet<Text>,
    scores: HashMap<Text, Option<(u8, f32)>>,
    ratings: HashSet<Arc<Rating>>,
    /// The rows.
    pub rows: Vec<Box<Row>>,
    /// What was left out.
    pub notes: Vec<Note>,
    dropped_notes: u64,
    /// What was scanned.
    pub targets: Vec<Text>,
    /// Numbers that the report states.
    pub stated: Vec<(&'static str, u64)>,
    /// When the report was made.
    pub created: Option<Timestamp>,
    /// When the database was made.
    pub database: Option<Timestamp>,
    /// The tool and version that the report names.
    pub tool: Option<String>,
    failure: Option<String>,
    unchecked: Option<String>,
    too_many: bool,
}

impl Sink {
    /// The shared form of a text.
    pub fn text(&mut self, text: &str) -> Text {
        let known = self.texts.get_or_insert_with(text, |text| text.into());
        known.clone()
    }

    /// The same where there may be none.
    pub fn some(&mut self, text: Option<&str>) -> Option<Text> {
        text.map(|text| self.text(text))
    }

    /// The first line of a text, short enough for a title.
    pub fn title(&mut self, text: Option<&str>) -> Option<Text> {
        let line = text?.lines().map(str::trim).find(|line| !line.is_empty())?;
        if line.chars().count() <= LONGEST_TITLE {
            return Some(self.text(line));
        }
        let cut: String = line.chars().take(LONGEST_TITLE).chain(['…']).collect();
        Some(self.text(&cut))
    }

    /// A package as the row names it; its URL, where there is one, decides on ecosystem and name.
    pub fn package(
        &mut self,
        ecosystem: Option<&str>,
        name: Option<&str>,
        version: Option<&str>,
        purl: Option<&str>,
    ) -> Option<PackageRef> {
        let parsed = purl.and_then(names::purl);
        let (kind, full, own) = match (parsed, name) {
            (Some((kind, name, version)), _) => (Some(kind), name, version),
            (None, Some(name)) => {
                let kind = ecosystem.and_then(names::ecosystem);
                let name = normal_name(kind.as_deref(), name);
                (kind, name, None)
            }
            (None, None) => return None,
        };
        let version = version.or(own.as_deref());
        Some(PackageRef {
            ecosystem: self.some(kind.as_deref()),
            name: self.text(&full),
            version: self.some(version),
            purl: self.some(purl),
        })
    }

    /// Adds what a source says in a word. A word that is none of a severity is kept as `unknown`.
    pub fn label(&mut self, row: &mut Row, source: &str, label: Option<&str>) -> Option<Severity> {
        let severity = Severity::of_label(label?).unwrap_or(Severity::Unknown);
        self.said(row, source, severity);
        Some(severity)
    }

    /// Adds what a source says of the severity, where that is anything.
    pub fn said(&mut self, row: &mut Row, source: &str, severity: Severity) {
        if severity != Severity::Unknown {
            let source = self.text(source);
            let rating = Rating {
                source,
                severity,
                score: None,
                cvss: 0,
                vector: None,
            };
            self.rate(row, rating);
        }
    }

    /// Adds what a source says by CVSS: its own score, the score of its vector, or both where they
    /// differ. `version` is what the report says of the score's version, for scores without a vector.
    pub fn cvss(
        &mut self,
        row: &mut Row,
        source: &str,
        version: u8,
        score: Option<f64>,
        vector: Option<&str>,
    ) {
        if score.is_none() && vector.is_none() {
            return;
        }
        let source = self.text(source);
        let vector = self.some(vector);
        let computed = vector.as_ref().and_then(|vector| self.score_of(vector));
        let stated = score
            .filter(|score| (0.0..=10.0).contains(score))
            // A score of 0 beside no vector is how npm writes "not scored".
            .filter(|score| *score > 0.0 || vector.is_some())
            .map(|score| score as f32);
        let mut push = |row: &mut Row, cvss, score: f32, vector: Option<Text>| {
            if let Some(severity) = Severity::of_score(f64::from((score * 10.0).round() / 10.0)) {
                let rating = Rating {
                    source: source.clone(),
                    severity,
                    score: Some(score),
                    cvss,
                    vector,
                };
                self.rate(row, rating);
            }
        };
        match (stated, computed) {
            (Some(stated), Some((cvss, computed))) if (stated - computed).abs() > 0.051 => {
                push(row, cvss, stated, None);
                push(row, cvss, computed, vector);
            }
            (_, Some((cvss, computed))) => push(row, cvss, computed, vector),
            (Some(stated), None) => push(row, version, stated, vector),
            (None, None) => {}
        }
    }

    /// Adds what a source says, which other rows may say as well.
    fn rate(&mut self, row: &mut Row, rating: Rating) {
        let known = self
            .ratings
            .get_or_insert_with(&rating, |rating| Arc::new(rating.clone()));
        row.ratings.push(Arc::clone(known));
    }

    fn score_of(&mut self, vector: &Text) -> Option<(u8, f32)> {
        if let Some(known) = self.scores.get(vector) {
            return *known;
        }
        let score = crate::severity::score(vector);
        self.scores.insert(vector.clone(), score);
        score
    }

    /// Keeps a row. Its severity is the label where that says something, else that of the best CVSS
    /// version among its ratings.
    pub fn row(&mut self, mut row: Row, label: Option<Severity>) {
        let known = label.filter(|severity| *severity != Severity::Unknown);
        row.severity = known.unwrap_or_else(|| crate::severity::of_scores(&row.ratings));
        self.keep(row);
    }

    /// Keeps a row whose severity is set already.
    pub fn keep(&mut self, mut row: Row) {
        if self.rows.len() >= MOST_ROWS {
            self.too_many = true;
            return;
        }
        row.aliases
            .retain(|alias| !alias.is_empty() && *alias != row.id);
        row.aliases.shrink_to_fit();
        row.ratings.shrink_to_fit();
        self.rows.push(Box::new(row));
    }

    /// Says that something was left out.
    pub fn gap(&mut self, gap: Gap, subject: impl Into<String>, message: impl Into<String>) {
        if self.notes.iter().filter(|note| note.gap == gap).count() >= MOST_NOTES {
            self.dropped_notes += 1;
            return;
        }
        self.notes.push(Note {
            gap,
            subject: subject.into(),
            message: message.into(),
        });
    }

    /// Names something that was scanned.
    pub fn target(&mut self, target: &str) -> Text {
        let target = self.text(target);
        if !self.targets.contains(&target) && self.targets.len() < 1000 {
            self.targets.push(target.clone());
        }
        target
    }

    /// A number that the report states.
    pub fn state(&mut self, name: &'static str, number: Option<f64>) {
        if let Some(number) = number.filter(|number| (0.0..1e15).contains(number)) {
            self.stated.push((name, number as u64));
        }
    }

    /// The scanner says that it failed.
    pub fn fail(&mut self, why: impl Into<String>) {
        self.failure.get_or_insert_with(|| why.into());
    }

    /// A whole report of a run that checked nothing.
    pub fn unchecked(&mut self, why: impl Into<String>) {
        self.unchecked.get_or_insert_with(|| why.into());
    }

    /// Rows that count as the report's findings: what the report itself suppresses does not, and what
    /// Trivy and cargo-audit list beside vulnerabilities is counted apart.
    #[must_use]
    pub fn counted(format: Format, row: &Row) -> bool {
        row.suppressed.is_none()
            && (format == Format::Sarif || matches!(row.class, Class::Vulnerability | Class::Code))
    }

    /// What became of the input, and why where it does not count.
    ///
    /// # Errors
    /// There are more rows than can be kept.
    pub fn outcome(&mut self, format: Format) -> Result<(Outcome, Option<String>), ReadError> {
        if self.too_many {
            return Err(ReadError::Shape {
                offset: 0,
                message: format!("it has more than {MOST_ROWS} rows"),
            });
        }
        if self.dropped_notes > 0 {
            let more = format!("{} more of the same kinds", self.dropped_notes);
            if let Some(last) = self.notes.last_mut() {
                last.message = format!("{}; and {more}", last.message);
            }
        }
        let rows = self.rows.iter().any(|row| Self::counted(format, row));
        let others = !self.rows.is_empty();
        Ok(match (self.failure.take(), self.unchecked.take()) {
            (Some(why), _) if others => {
                self.notes.push(Note {
                    gap: Gap::ExecutionFailed,
                    subject: String::new(),
                    message: why,
                });
                (
                    if rows {
                        Outcome::Findings
                    } else {
                        Outcome::Clean
                    },
                    None,
                )
            }
            (Some(why), _) => (Outcome::Error, Some(why)),
            (None, Some(why)) if !others => (Outcome::Unchecked, Some(why)),
            _ if rows => (Outcome::Findings, None),
            _ => (Outcome::Clean, None),
        })
    }
}

/// A time as reports write it: RFC 3339, or without a zone, which then is UTC.
#[must_use]
pub fn time(text: Option<&str>) -> Option<Timestamp> {
    let text = text?.trim();
    if let Ok(time) = text.parse::<Timestamp>() {
        return Some(time);
    }
    let text = text.trim_end_matches(" UTC").replacen(' ', "T", 1);
    let plain: jiff::civil::DateTime = text.parse().ok()?;
    jiff::tz::TimeZone::UTC.to_timestamp(plain).ok()
}

/// A day as reports write it: `2022-02-03`, a whole time, or Safety's `2022-Feb-03`.
#[must_use]
pub fn day(text: Option<&str>) -> Option<Date> {
    let text = text?.trim();
    let head = text.get(..10).unwrap_or(text);
    head.parse::<Date>()
        .ok()
        .or_else(|| Date::strptime("%Y-%b-%d", text).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_days_as_scanners_write_them() {
        for text in [
            "2022-04-30T15:27:39Z",
            "2022-04-30 15:27:39",
            "2022-04-30T17:27:39+02:00",
            "2022-04-30 15:27:39 UTC",
        ] {
            let time = time(Some(text)).unwrap();
            assert_eq!(time.to_string(), "2022-04-30T15:27:39Z", "{text}");
        }
        assert_eq!(time(Some("yesterday")), None);
        for text in ["2022-02-03", "2022-Feb-03", "2022-02-03T10:00:00Z"] {
            assert_eq!(day(Some(text)).unwrap().to_string(), "2022-02-03", "{text}");
        }
    }

    #[test]
    fn a_score_and_a_vector_that_differ_are_both_kept() {
        let mut sink = Sink::default();
        let mut row = Row::default();
        let vector = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H";
        sink.cvss(&mut row, "nvd", 3, Some(9.8), Some(vector));
        assert_eq!(row.ratings.len(), 1);
        sink.cvss(&mut row, "vendor", 3, Some(5.0), Some(vector));
        let scores: Vec<_> = row.ratings.iter().map(|rating| rating.score).collect();
        assert_eq!(scores, [Some(9.8), Some(5.0), Some(9.8)]);
    }
}
