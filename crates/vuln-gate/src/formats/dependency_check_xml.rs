//! OWASP Dependency-Check, XML: schemas `dependency-check.1.3.xsd` to `4.x`.
//!
//! Names are taken without their namespace, since that changes with every version. A document type and
//! entities other than XML's own five are refused: no report has them, and they are how XML bombs are made.

use quick_xml::Reader;
use quick_xml::events::Event;

use super::cursor::ReadError;
use super::dependency_check::{Found, Home, Score, better, data_source, exception, finish, row_of};
use super::sink::{Sink, time};
use super::source::Source;

/// Deeper nesting is no report.
const DEEPEST: usize = 64;

/// The largest text of one element that is kept.
const LONGEST: usize = 64 * 1024;

/// Reads an XML report.
///
/// # Errors
/// The text is no XML, has a document type, is no Dependency-Check report, or ends early.
pub fn read(source: &mut Source, sink: &mut Sink) -> Result<(), ReadError> {
    let mut walk = Walk::default();
    let mut reader = Reader::from_reader(source);
    reader.config_mut().trim_text(true);
    let mut buffer = Vec::new();
    loop {
        let offset = reader.buffer_position();
        let shape = |message: String| ReadError::Shape { offset, message };
        let event = match reader.read_event_into(&mut buffer) {
            Ok(event) => event,
            Err(quick_xml::Error::Io(error)) => {
                return Err(ReadError::Io(std::io::Error::other(error.to_string())));
            }
            Err(error) => {
                return Err(shape(format!("this is no XML: {error}")));
            }
        };
        match event {
            Event::Start(tag) => {
                let name = String::from_utf8_lossy(tag.local_name().as_ref()).into_owned();
                walk.open(name).map_err(shape)?;
            }
            Event::Empty(tag) => {
                let name = String::from_utf8_lossy(tag.local_name().as_ref()).into_owned();
                walk.open(name).map_err(shape)?;
                walk.close(sink);
            }
            Event::End(_) => walk.close(sink),
            Event::Text(text) => {
                let text = text.decode().map_err(|error| shape(error.to_string()))?;
                walk.text(&text);
            }
            Event::CData(text) => {
                let text = text.decode().map_err(|error| shape(error.to_string()))?;
                walk.text(&text);
            }
            Event::GeneralRef(reference) => {
                let known = match reference.resolve_char_ref() {
                    Ok(Some(character)) => Some(character),
                    Ok(None) => match &*reference as &[u8] {
                        b"amp" => Some('&'),
                        b"lt" => Some('<'),
                        b"gt" => Some('>'),
                        b"quot" => Some('"'),
                        b"apos" => Some('\''),
                        _ => None,
                    },
                    Err(_) => None,
                };
                let Some(character) = known else {
                    let name = String::from_utf8_lossy(reference.as_ref()).into_owned();
                    return Err(shape(format!("the entity `{name}` is none of XML's own")));
                };
                walk.text(character.encode_utf8(&mut [0; 4]));
            }
            Event::DocType(_) => {
                return Err(shape(
                    "it has a document type, which no report of Dependency-Check has".to_owned(),
                ));
            }
            Event::Eof => break,
            Event::Decl(_) | Event::Comment(_) | Event::PI(_) => {}
        }
        buffer.clear();
    }
    if !walk.whole {
        return Err(ReadError::Truncated {
            offset: reader.buffer_position(),
            inside: "an element",
        });
    }
    finish(walk.dependencies, sink);
    Ok(())
}

#[derive(Default)]
struct Walk {
    path: Vec<String>,
    text: String,
    /// The root element was closed.
    whole: bool,
    dependencies: u64,
    home: Home,
    found: Found,
    score: Score,
    source: (Option<String>, Option<String>),
    /// The old form has one CVSS 2 score straight below the vulnerability.
    old_score: Option<f64>,
}

impl Walk {
    fn open(&mut self, name: String) -> Result<(), String> {
        if self.path.is_empty() && name != "analysis" {
            return Err(format!(
                "the root element is `{name}`, not the `analysis` of Dependency-Check"
            ));
        }
        if self.whole {
            return Err("there is more after the root element".to_owned());
        }
        if self.path.len() >= DEEPEST {
            return Err(format!("it is nested deeper than {DEEPEST} levels"));
        }
        self.text.clear();
        match name.as_str() {
            "dependency" if self.parent() == "dependencies" => self.home = Home::default(),
            "vulnerability" | "suppressedVulnerability" => {
                self.found = Found {
                    suppressed: name == "suppressedVulnerability",
                    ..Found::default()
                };
                self.old_score = None;
            }
            "cvssV2" | "cvssV3" | "cvssV4" => self.score = Score::default(),
            "knownExploitedVulnerability" => self.found.exploited = true,
            "dataSource" => self.source = (None, None),
            _ => {}
        }
        self.path.push(name);
        Ok(())
    }

    fn parent(&self) -> &str {
        self.path.last().map_or("", String::as_str)
    }

    fn text(&mut self, text: &str) {
        if self.text.len() + text.len() <= LONGEST {
            self.text.push_str(text);
        }
    }

    fn close(&mut self, sink: &mut Sink) {
        let Some(name) = self.path.pop() else {
            return;
        };
        if self.path.is_empty() {
            self.whole = true;
        }
        let text = std::mem::take(&mut self.text).trim().to_owned();
        let some = (!text.is_empty()).then_some(text);
        let parent = self.path.last().cloned().unwrap_or_default();
        match (parent.as_str(), name.as_str()) {
            ("scanInfo", "engineVersion") => {
                sink.tool = some.map(|version| format!("dependency-check {version}"));
            }
            ("dataSource", "name") => self.source.0 = some,
            ("dataSource", "timestamp") => self.source.1 = some,
            ("scanInfo", "dataSource") => {
                data_source(self.source.0.as_deref(), self.source.1.as_deref(), sink);
            }
            ("analysisExceptions", "exception") => {
                exception(
                    &some.unwrap_or_else(|| "an error without a message".to_owned()),
                    sink,
                );
            }
            ("exception", "message") => {
                // The words of the exception that is about to be closed.
                self.text = some.unwrap_or_default();
            }
            ("projectInfo", "reportDate") => sink.created = time(some.as_deref()),
            ("projectInfo", "name") => {
                if let Some(name) = some {
                    sink.target(&name);
                }
            }
            ("dependencies", "dependency") => self.dependencies += 1,
            ("dependency", "fileName") => self.home.file = some,
            ("dependency", "filePath") => self.home.path = some,
            ("package", "id") if !self.path.iter().any(|name| name == "relatedDependency") => {
                if let Some(id) = some {
                    better(&mut self.home.package, &id);
                }
            }
            // Until version 4: coordinates of Maven, or a CPE, which is no package.
            ("identifier", "name") if !self.path.iter().any(|name| name == "relatedDependency") => {
                if let Some(id) = some.filter(|id| !id.starts_with("cpe:")) {
                    let id = id.trim_start_matches('(').trim_end_matches(')');
                    better(&mut self.home.package, id);
                }
            }
            ("vulnerability" | "suppressedVulnerability", member) => self.member(member, some),
            ("cvssV2" | "cvssV3" | "cvssV4", "score" | "baseScore") => {
                self.score.score = some.and_then(|text| text.parse().ok());
            }
            ("cvssV4", "vectorString") => self.score.vector = some,
            ("cvssV2" | "cvssV3" | "cvssV4", "severity" | "baseSeverity") => {
                self.score.label = some
            }
            ("vulnerabilities", "vulnerability" | "suppressedVulnerability") => {
                if let Some(score) = self.old_score.take() {
                    self.found.scores.push(Score {
                        version: 2,
                        score: Some(score),
                        ..Score::default()
                    });
                }
                row_of(&std::mem::take(&mut self.found), &self.home, sink);
            }
            _ => {}
        }
    }

    fn member(&mut self, member: &str, some: Option<String>) {
        match member {
            "name" => self.found.name = some,
            "source" => self.found.source = some,
            "severity" => self.found.severity = some,
            "description" => self.found.description = some,
            "notes" => self.found.notes = some,
            "cvssScore" => self.old_score = some.and_then(|text| text.parse().ok()),
            "cvssV2" | "cvssV3" | "cvssV4" => {
                let mut score = std::mem::take(&mut self.score);
                score.version = match member {
                    "cvssV2" => 2,
                    "cvssV3" => 3,
                    _ => 4,
                };
                self.found.scores.push(score);
            }
            _ => {}
        }
    }
}
