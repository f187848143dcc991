//! OSV-Scanner JSON: <https://google.github.io/osv-scanner/output/>; each vulnerability is in the OSV format,
//! <https://ossf.github.io/osv-schema/>.

use serde::Deserialize;

use super::cursor::{Cursor, ReadError};
use super::lenient::{Many, Maybe, Word};
use super::sink::{Sink, day};
use crate::model::{Class, Row, Scope, Status, Text};

#[derive(Default, Deserialize)]
#[serde(default)]
struct Entry {
    package: Package,
    vulnerabilities: Option<Vec<Vulnerability>>,
    groups: Option<Vec<Group>>,
    dependency_groups: Many<Word>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Package {
    name: Word,
    version: Word,
    ecosystem: Word,
    commit: Word,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Group {
    ids: Many<Word>,
    aliases: Many<Word>,
    max_severity: Word,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Vulnerability {
    id: Word,
    aliases: Many<Word>,
    upstream: Many<Word>,
    summary: Word,
    published: Word,
    withdrawn: Word,
    severity: Many<Score>,
    affected: Many<Affected>,
    database_specific: Maybe<Specific>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Score {
    #[serde(rename = "type")]
    kind: Word,
    score: Word,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Affected {
    package: Maybe<Package>,
    ranges: Many<Range>,
    severity: Many<Score>,
    database_specific: Maybe<Specific>,
    ecosystem_specific: Maybe<Specific>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Range {
    events: Many<Event>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Event {
    fixed: Word,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Specific {
    severity: Word,
    cvss: Word,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Place {
    path: Word,
}

/// Reads a report.
///
/// # Errors
/// The text is not in this shape.
pub fn read(cursor: &mut Cursor<'_>, sink: &mut Sink) -> Result<(), ReadError> {
    sink.tool = Some("osv-scanner".to_owned());
    cursor.object(|cursor, key| {
        if key != "results" {
            return cursor.skip();
        }
        cursor.list(|cursor| {
            let mut path: Option<Text> = None;
            let first = sink.rows.len();
            cursor.object(|cursor, key| match key {
                "source" => {
                    let place: Place = cursor.value()?;
                    path = place.path.get().map(|path| sink.target(path));
                    Ok(())
                }
                "packages" => cursor.each(|entry: Entry| package(&entry, sink)),
                _ => cursor.skip(),
            })?;
            for row in sink.rows.iter_mut().skip(first) {
                row.target.clone_from(&path);
                row.path.clone_from(&path);
            }
            Ok(())
        })
    })
}

fn package(entry: &Entry, sink: &mut Sink) {
    let dev = |group: &str| matches!(group, "dev" | "development" | "test" | "dev-dependencies");
    let groups: Vec<&str> = entry.dependency_groups.texts().collect();
    let scope = match groups.as_slice() {
        [] => Scope::Unknown,
        groups if groups.iter().all(|group| dev(group)) => Scope::Development,
        _ => Scope::Production,
    };
    for found in entry.vulnerabilities.iter().flatten() {
        let id = found.id.get().unwrap_or_default();
        let mut row = Row {
            class: Class::Vulnerability,
            id: sink.text(id),
            title: sink.title(found.summary.get()),
            package: sink.package(
                entry.package.ecosystem.get(),
                // A package that was vendored from a commit has no name.
                entry.package.name.get().or(entry.package.commit.get()),
                entry.package.version.get(),
                None,
            ),
            scope,
            published: day(found.published.get()),
            withdrawn: found.withdrawn.get().is_some(),
            url: Some(sink.text(&format!("https://osv.dev/vulnerability/{id}"))),
            ..Row::default()
        };
        let group = entry
            .groups
            .iter()
            .flatten()
            .find(|group| group.ids.texts().any(|other| other == id));
        let others = group
            .into_iter()
            .flat_map(|group| group.ids.texts().chain(group.aliases.texts()));
        for alias in found
            .aliases
            .texts()
            .chain(found.upstream.texts())
            .chain(others)
        {
            let alias = sink.text(alias);
            if !row.aliases.contains(&alias) {
                row.aliases.push(alias);
            }
        }
        let mine = |affected: &&Affected| match &affected.package.0 {
            Some(package) => {
                package.name.get().is_none() || package.name.get() == entry.package.name.get()
            }
            None => true,
        };
        for affected in found.affected.0.iter().filter(mine) {
            for event in affected.ranges.0.iter().flat_map(|range| &range.events.0) {
                if let Some(fixed) = event.fixed.get() {
                    let fixed = sink.text(fixed);
                    if !row.fixed.contains(&fixed) {
                        row.fixed.push(fixed);
                    }
                }
            }
        }
        row.status = if row.fixed.is_empty() {
            Status::Affected
        } else {
            Status::Fixed
        };
        let source = id.split('-').next().unwrap_or("osv").to_ascii_lowercase();
        let own = found.database_specific.0.as_ref();
        let mut label = sink.label(&mut row, &source, own.and_then(|own| own.severity.get()));
        for score in &found.severity.0 {
            label = label.or(rate(&mut row, sink, &source, score));
        }
        // What counts for this row ends here; the rest counts when rows are merged.
        let severity = label
            .filter(|label| *label != gs_common::finding::Severity::Unknown)
            .unwrap_or_else(|| crate::severity::of_scores(&row.ratings));
        for affected in found.affected.0.iter().filter(mine) {
            for score in &affected.severity.0 {
                rate(&mut row, sink, &source, score);
            }
            for specific in [&affected.database_specific, &affected.ecosystem_specific] {
                if let Some(specific) = &specific.0 {
                    sink.label(&mut row, &source, specific.severity.get());
                    sink.cvss(&mut row, &source, 3, None, specific.cvss.get());
                }
            }
        }
        if let Some(group) = group {
            sink.cvss(&mut row, "osv group", 3, group.max_severity.number(), None);
        }
        row.severity = severity;
        sink.keep(row);
    }
}

/// A severity of the OSV format: a vector, or a word where the type says so (`Ubuntu`).
fn rate(
    row: &mut Row,
    sink: &mut Sink,
    source: &str,
    score: &Score,
) -> Option<gs_common::finding::Severity> {
    if score
        .kind
        .get()
        .is_some_and(|kind| kind.starts_with("CVSS"))
    {
        // The standard says a vector; some databases write a number.
        let number = score.score.number();
        let vector = score.score.get().filter(|_| number.is_none());
        sink.cvss(row, source, 3, number, vector);
        return None;
    }
    let source = score.kind.get().unwrap_or(source).to_ascii_lowercase();
    sink.label(row, &source, score.score.get())
}
