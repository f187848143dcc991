//! `cargo audit --json`: <https://github.com/rustsec/rustsec>, the model in `rustsec/src/report.rs`.
//!
//! Its warnings (unmaintained, unsound, yanked) are read as rows of their own class, since they are no
//! vulnerabilities.

use serde::Deserialize;

use gs_common::finding::Severity;

use super::cursor::{Cursor, ReadError};
use super::lenient::{Many, Maybe, Word};
use super::sink::{Sink, day, time};
use crate::model::{Class, Gap, Row, Status};

#[derive(Default, Deserialize)]
#[serde(default)]
struct Entry {
    kind: Word,
    advisory: Maybe<Advisory>,
    versions: Maybe<Versions>,
    package: Package,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Advisory {
    id: Word,
    title: Word,
    date: Word,
    aliases: Many<Word>,
    cvss: Word,
    url: Word,
    withdrawn: Word,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Versions {
    patched: Many<Word>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Package {
    name: Word,
    version: Word,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Database {
    #[serde(rename = "advisory-count")]
    advisory_count: Word,
    #[serde(rename = "last-updated")]
    last_updated: Word,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Lockfile {
    #[serde(rename = "dependency-count")]
    dependency_count: Word,
}

/// Reads a report.
///
/// # Errors
/// The text is not in this shape.
pub fn read(cursor: &mut Cursor<'_>, sink: &mut Sink) -> Result<(), ReadError> {
    sink.tool = Some("cargo-audit".to_owned());
    let mut count = None;
    let mut listed = 0_u64;
    cursor.object(|cursor, key| {
        match key {
            "database" => {
                let database: Database = cursor.value()?;
                sink.database = time(database.last_updated.get());
                let advisories = database.advisory_count.number();
                sink.state("advisories_in_database", advisories);
                if advisories == Some(0.0) {
                    sink.unchecked("the advisory database of cargo-audit is empty");
                }
            }
            "lockfile" => {
                let lockfile: Lockfile = cursor.value()?;
                let packages = lockfile.dependency_count.number();
                sink.state("packages", packages);
                if packages == Some(0.0) {
                    sink.gap(Gap::NothingNamed, "", "the lock file has no dependency");
                }
            }
            "vulnerabilities" => cursor.object(|cursor, key| match key {
                "count" => {
                    let word: Word = cursor.value()?;
                    count = word.number();
                    Ok(())
                }
                "list" => cursor.each(|entry: Entry| {
                    listed += 1;
                    one(&entry, false, sink);
                }),
                _ => cursor.skip(),
            })?,
            "warnings" => {
                cursor.object(|cursor, _| cursor.each(|entry: Entry| one(&entry, true, sink)))?
            }
            _ => cursor.skip()?,
        }
        Ok::<_, ReadError>(())
    })?;
    if let Some(count) = count
        && count > listed as f64
    {
        sink.gap(
            Gap::MissingRows,
            "",
            format!("cargo-audit counts {count} vulnerabilities and lists {listed}"),
        );
    }
    Ok(())
}

fn one(entry: &Entry, warning: bool, sink: &mut Sink) {
    let advisory = entry.advisory.0.as_ref();
    let kind = entry.kind.get().unwrap_or("warning");
    let patched = entry.versions.0.as_ref().map(|versions| &versions.patched);
    let fixed: Vec<_> = patched
        .into_iter()
        .flat_map(|patched| patched.texts())
        .map(|version| sink.text(version))
        .collect();
    let mut row = Row {
        class: if warning {
            Class::Maintenance
        } else {
            Class::Vulnerability
        },
        id: sink.text(advisory.and_then(|known| known.id.get()).unwrap_or(kind)),
        title: sink.title(advisory.and_then(|known| known.title.get()).or(Some(kind))),
        package: sink.package(
            Some("cargo"),
            entry.package.name.get(),
            entry.package.version.get(),
            None,
        ),
        status: if fixed.is_empty() {
            Status::Affected
        } else {
            Status::Fixed
        },
        fixed,
        ..Row::default()
    };
    if let Some(advisory) = advisory {
        row.aliases = advisory
            .aliases
            .texts()
            .map(|alias| sink.text(alias))
            .collect();
        row.published = day(advisory.date.get());
        row.withdrawn = advisory.withdrawn.get().is_some();
        row.url = sink.some(advisory.url.get());
        sink.cvss(&mut row, "rustsec", 3, None, advisory.cvss.get());
    }
    let label = warning.then_some(if kind == "unsound" {
        Severity::Low
    } else {
        Severity::Info
    });
    sink.row(row, label);
}
