//! `pip-audit --format json`: the object of version 2 and the bare list before it. It never tells a
//! severity. Where its service cannot be reached it skips every package and calls that clean.

use serde::Deserialize;

use super::cursor::{Cursor, Kind, ReadError};
use super::lenient::{Many, Word};
use super::sink::Sink;
use crate::model::{Class, Gap, Row, Status};

#[derive(Default, Deserialize)]
#[serde(default)]
struct Dependency {
    name: Word,
    version: Word,
    skip_reason: Word,
    vulns: Option<Vec<Vulnerability>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Vulnerability {
    id: Word,
    aliases: Many<Word>,
    fix_versions: Many<Word>,
    description: Word,
}

/// Reads a report.
///
/// # Errors
/// The text is not in this shape.
pub fn read(cursor: &mut Cursor<'_>, sink: &mut Sink) -> Result<(), ReadError> {
    sink.tool = Some("pip-audit".to_owned());
    let mut audited = 0_u64;
    let mut skipped = 0_u64;
    let mut take = |sink: &mut Sink, dependency: &Dependency| {
        if let Some(reason) = dependency.skip_reason.get() {
            skipped += 1;
            let name = dependency.name.get().unwrap_or_default();
            sink.gap(Gap::SkippedPackage, name, reason);
            return;
        }
        audited += 1;
        for found in dependency.vulns.iter().flatten() {
            one(dependency, found, sink);
        }
    };
    if cursor.kind()? == Kind::List {
        cursor.each(|dependency: Dependency| take(sink, &dependency))?;
    } else {
        cursor.object(|cursor, key| match key {
            "dependencies" => cursor.each(|dependency: Dependency| take(sink, &dependency)),
            _ => cursor.skip(),
        })?;
    }
    sink.state("packages", Some(audited as f64));
    sink.state("skipped", Some(skipped as f64));
    if audited == 0 && skipped > 0 {
        sink.unchecked(format!(
            "pip-audit skipped all {skipped} packages: could it reach its advisory service?"
        ));
    } else if audited == 0 {
        sink.gap(
            Gap::NothingNamed,
            "",
            "pip-audit lists no dependency at all",
        );
    }
    Ok(())
}

fn one(dependency: &Dependency, found: &Vulnerability, sink: &mut Sink) {
    let fixed: Vec<_> = found
        .fix_versions
        .texts()
        .map(|version| sink.text(version))
        .collect();
    let row = Row {
        class: Class::Vulnerability,
        id: sink.text(found.id.get().unwrap_or_default()),
        aliases: found
            .aliases
            .texts()
            .map(|alias| sink.text(alias))
            .collect(),
        title: sink.title(found.description.get()),
        package: sink.package(
            Some("pypi"),
            dependency.name.get(),
            dependency.version.get(),
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
    sink.row(row, None);
}
