//! The lines of `yarn audit --json` (yarn 1) and `yarn npm audit --json` (yarn 4), each a JSON document.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::cursor::{Cursor, ReadError};
use super::lenient::{Many, Maybe, Word};
use super::npm::{Advisory, advisory, ids_of};
use super::sink::Sink;
use crate::model::{Class, Gap, Row, Scope, Text};

/// One line of yarn's output. Yarn 1 writes `type` and `data`; yarn 4 `value` and `children`.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Line {
    #[serde(rename = "type")]
    kind: Word,
    data: Maybe<Data>,
    value: Word,
    children: Maybe<Children>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Data {
    resolution: Maybe<Resolution>,
    advisory: Maybe<Advisory>,
    vulnerabilities: Maybe<BTreeMap<String, Word>>,
    #[serde(rename = "totalDependencies")]
    total: Word,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Resolution {
    path: Word,
    dev: Word,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Children {
    #[serde(rename = "ID")]
    id: Word,
    #[serde(rename = "Issue")]
    issue: Word,
    #[serde(rename = "URL")]
    url: Word,
    #[serde(rename = "Severity")]
    severity: Word,
    #[serde(rename = "Tree Versions")]
    versions: Many<Word>,
    #[serde(rename = "Dependents")]
    dependents: Many<Word>,
}

/// What the lines have said so far.
#[derive(Debug, Default)]
pub struct Lines {
    summary: bool,
    new_form: bool,
    errors: Vec<String>,
}

impl Lines {
    /// Reads one line.
    ///
    /// # Errors
    /// The text is not in this shape.
    pub fn read(&mut self, cursor: &mut Cursor<'_>, sink: &mut Sink) -> Result<(), ReadError> {
        let line: Line = cursor.value()?;
        if let Some(children) = &line.children.0 {
            self.new_form = true;
            yarn_4(line.value.get(), children, sink);
            return Ok(());
        }
        let data = line.data.0.as_ref();
        match (line.kind.get(), data) {
            (Some("auditAdvisory"), Some(data)) => {
                if let Some(found) = &data.advisory.0 {
                    let resolution = data.resolution.0.as_ref();
                    advisory(found, resolution.and_then(|known| known.path.get()), sink);
                    // yarn lists an advisory once for each path that leads to it.
                    let path = sink.some(resolution.and_then(|known| known.path.get()));
                    if let Some(row) = sink.rows.last_mut() {
                        row.target = path;
                    }
                    let dev = resolution.map(|known| &known.dev);
                    if let (Some(row), Some(dev)) = (sink.rows.last_mut(), dev)
                        && dev.get().is_some()
                    {
                        row.scope = if dev.yes() {
                            Scope::Development
                        } else {
                            Scope::Production
                        };
                    }
                }
            }
            (Some("auditSummary"), Some(data)) => {
                self.summary = true;
                let packages = data.total.number();
                sink.state("packages", packages);
                let counts = data.vulnerabilities.0.as_ref();
                let total: f64 = counts
                    .into_iter()
                    .flat_map(BTreeMap::values)
                    .filter_map(Word::number)
                    .sum();
                sink.state("vulnerable", Some(total));
                if packages == Some(0.0) && sink.rows.is_empty() {
                    sink.gap(Gap::NothingNamed, "", "yarn audited no dependency at all");
                }
                if total > 0.0 && sink.rows.is_empty() {
                    let message = format!("yarn counts {total} vulnerabilities and lists none");
                    sink.gap(Gap::MissingRows, "", message);
                }
            }
            (Some("error"), _) => {
                let words = line.data.1.get().unwrap_or("no reason given");
                self.errors.push(words.to_owned());
            }
            _ => {}
        }
        Ok(())
    }

    /// What the whole means.
    pub fn finish(&self, sink: &mut Sink) {
        sink.tool = Some("yarn".to_owned());
        if let Some(error) = self.errors.first() {
            sink.fail(format!("the audit did not happen: {error}"));
        } else if !self.summary && !self.new_form {
            // Every whole run of yarn 1 ends with its summary.
            if sink.rows.is_empty() {
                sink.unchecked("yarn wrote no summary of an audit");
            } else {
                sink.gap(
                    Gap::MissingRows,
                    "",
                    "yarn wrote no summary: the output is cut off",
                );
            }
        }
    }
}

fn yarn_4(name: Option<&str>, found: &Children, sink: &mut Sink) {
    let ids = ids_of(found.id.get(), found.url.get(), &[]);
    let versions: Vec<&str> = found.versions.texts().collect();
    let parents: Vec<Text> = found
        .dependents
        .texts()
        .filter(|parent| !parent.contains("@workspace:"))
        .map(|parent| {
            // `name@npm:1.2.3`, and a scope begins with `@` itself.
            let cut = parent
                .char_indices()
                .skip(1)
                .find(|(_, character)| *character == '@');
            let name = cut.map_or(parent, |(at, _)| parent.get(..at).unwrap_or(parent));
            sink.text(name)
        })
        .collect();
    let mut row = Row {
        class: Class::Vulnerability,
        id: sink.text(ids.first().map_or("", String::as_str)),
        aliases: ids.iter().skip(1).map(|id| sink.text(id)).collect(),
        title: sink.title(found.issue.get()),
        package: sink.package(
            Some("npm"),
            name,
            (!versions.is_empty())
                .then(|| versions.join(", "))
                .as_deref(),
            None,
        ),
        direct: Some(
            found
                .dependents
                .texts()
                .any(|parent| parent.contains("@workspace:")),
        ),
        parents,
        url: sink.some(found.url.get()),
        ..Row::default()
    };
    let label = sink.label(&mut row, "npm", found.severity.get());
    sink.row(row, label);
}
