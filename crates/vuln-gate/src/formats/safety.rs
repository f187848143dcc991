//! `safety check --json` of version 1 (a list of lists) and of versions 2 and 3 (an object), and
//! `safety scan --output json` of version 3.
//!
//! A Safety that crashes leaves an empty file: the reader of files says so, not this module.

use serde::Deserialize;

use gs_common::finding::Severity;

use super::cursor::{Cursor, Kind, ReadError};
use super::lenient::{Many, Maybe, Word};
use super::sink::{Sink, day, time};
use crate::model::{Class, Gap, Row, ScannerSuppression, Status};

#[derive(Default, Deserialize)]
#[serde(default)]
struct Vulnerability {
    vulnerability_id: Word,
    package_name: Word,
    ignored: Word,
    ignored_reason: Word,
    ignored_expires: Word,
    analyzed_version: Word,
    fixed_versions: Many<Word>,
    advisory: Word,
    is_transitive: Word,
    published_date: Word,
    more_info_url: Word,
    #[serde(rename = "CVE")]
    cve: Maybe<Scores>,
    severity: Maybe<Scores>,
}

/// The same form stands under `severity` and, in version 2, under `CVE`.
#[derive(Clone, Default, Debug, PartialEq, Deserialize)]
#[serde(default)]
struct Scores {
    name: Word,
    source: Word,
    cvssv2: Maybe<Score>,
    cvssv3: Maybe<Score>,
    cvssv4: Maybe<Score>,
}

#[derive(Clone, Default, Debug, PartialEq, Eq, Deserialize)]
#[serde(default)]
struct Score {
    base_score: Word,
    base_severity: Word,
    vector_string: Word,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Meta {
    timestamp: Word,
    safety_version: Word,
    packages_found: Word,
    vulnerabilities_found: Word,
    scanned: Many<Word>,
    scan_location: Word,
    telemetry: Maybe<Telemetry>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Telemetry {
    safety_version: Word,
}

/// Reads a report.
///
/// # Errors
/// The text is not in this shape.
pub fn read(cursor: &mut Cursor<'_>, sink: &mut Sink) -> Result<(), ReadError> {
    sink.tool = Some("safety".to_owned());
    if cursor.kind()? == Kind::List {
        return cursor.list(|cursor| {
            let row: Vec<Maybe<Scores>> = cursor.value()?;
            version_1(&row, sink);
            Ok(())
        });
    }
    let mut found_by_count = None;
    let mut packages = None;
    let mut listed = 0_u64;
    cursor.object(|cursor, key| {
        match key {
            "report_meta" | "meta" => {
                let meta: Meta = cursor.value()?;
                sink.created = time(meta.timestamp.get());
                let told = meta
                    .telemetry
                    .0
                    .as_ref()
                    .and_then(|known| known.safety_version.get());
                if let Some(version) = meta.safety_version.get().or(told) {
                    sink.tool = Some(format!("safety {version}"));
                }
                for target in meta.scanned.texts().chain(meta.scan_location.get()) {
                    sink.target(target);
                }
                packages = meta.packages_found.number();
                sink.state("packages", packages);
                found_by_count = meta.vulnerabilities_found.number();
                sink.state("vulnerable", found_by_count);
            }
            "vulnerabilities" => cursor.each(|found: Vulnerability| {
                listed += 1;
                let ignored = found.ignored.yes();
                one(&found, ignored, sink);
            })?,
            "ignored_vulnerabilities" => {
                cursor.each(|found: Vulnerability| one(&found, true, sink))?;
            }
            "scan_results" => scan(cursor, sink, &mut packages)?,
            _ => cursor.skip()?,
        }
        Ok::<_, ReadError>(())
    })?;
    if packages == Some(0.0) && sink.rows.is_empty() {
        sink.gap(Gap::NothingNamed, "", "Safety found no package to check");
    }
    if let Some(count) = found_by_count
        && count > 0.0
        && listed == 0
        && sink.rows.is_empty()
    {
        let message = format!("Safety counts {count} vulnerabilities and lists none");
        sink.gap(Gap::MissingRows, "", message);
    }
    Ok(())
}

/// `[name, affected versions, version, advisory, id, CVSS 2, CVSS 3]`; the last two may be missing.
fn version_1(row: &[Maybe<Scores>], sink: &mut Sink) {
    let word = |at: usize| row.get(at).and_then(|value| value.1.get());
    let mut found = Row {
        class: Class::Vulnerability,
        id: sink.text(word(4).unwrap_or_default()),
        title: sink.title(word(3)),
        package: sink.package(Some("pypi"), word(0), word(2), None),
        ..Row::default()
    };
    let scores = row.iter().skip(5).filter_map(|value| value.0.as_ref());
    let mut label = None;
    for scores in scores {
        label = label.or(rate(&mut found, scores, sink));
    }
    sink.row(found, label);
}

fn rate(row: &mut Row, scores: &Scores, sink: &mut Sink) -> Option<Severity> {
    let mut label = None;
    let source = scores
        .source
        .get()
        .or(scores.name.get())
        .unwrap_or("safety")
        .to_owned();
    for (version, score) in [
        (4, &scores.cvssv4),
        (3, &scores.cvssv3),
        (2, &scores.cvssv2),
    ] {
        if let Some(score) = &score.0 {
            label = label.or(sink.label(row, &source, score.base_severity.get()));
            let vector = score.vector_string.get();
            sink.cvss(row, &source, version, score.base_score.number(), vector);
        }
    }
    label
}

fn one(found: &Vulnerability, ignored: bool, sink: &mut Sink) {
    let cve = found.cve.0.as_ref();
    let names = found.cve.1.get().or(cve.and_then(|cve| cve.name.get()));
    let fixed: Vec<_> = found
        .fixed_versions
        .texts()
        .map(|version| sink.text(version))
        .collect();
    let mut row = Row {
        class: Class::Vulnerability,
        id: sink.text(found.vulnerability_id.get().unwrap_or_default()),
        aliases: names
            .into_iter()
            .flat_map(|names| names.split([',', ' ']))
            .filter(|name| !name.is_empty())
            .map(|name| sink.text(name))
            .collect(),
        title: sink.title(found.advisory.get()),
        package: sink.package(
            Some("pypi"),
            found.package_name.get(),
            found.analyzed_version.get(),
            None,
        ),
        status: if fixed.is_empty() {
            Status::Affected
        } else {
            Status::Fixed
        },
        fixed,
        direct: found
            .is_transitive
            .get()
            .map(|_| !found.is_transitive.yes()),
        published: day(found.published_date.get()),
        url: sink.some(found.more_info_url.get()),
        ..Row::default()
    };
    if ignored {
        row.suppressed = Some(Box::new(ScannerSuppression {
            reason: sink.some(found.ignored_reason.get()),
            expires: day(found.ignored_expires.get()),
            place: Some(sink.text("policy file of Safety")),
        }));
    }
    let mut label = None;
    for scores in [&found.severity, &found.cve] {
        if let Some(scores) = &scores.0 {
            label = label.or(rate(&mut row, scores, sink));
        }
    }
    // Newer versions may write a bare word.
    label = label.or(sink.label(&mut row, "safety", found.severity.1.get()));
    sink.row(row, label);
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Dependency {
    name: Word,
    specifications: Many<Specification>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Specification {
    raw: Word,
    vulnerabilities: Maybe<Known>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Known {
    known_vulnerabilities: Many<Listed>,
    remediation: Maybe<Remediation>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Listed {
    id: Word,
    ignored: Maybe<Ignored>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Ignored {
    reason: Word,
    expires: Word,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Remediation {
    recommended: Word,
    closest_secure: Maybe<Closest>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Closest {
    upper: Word,
}

/// `scan_results.projects[].files[].results.dependencies[]`. Its vulnerabilities have no severity.
fn scan(
    cursor: &mut Cursor<'_>,
    sink: &mut Sink,
    packages: &mut Option<f64>,
) -> Result<(), ReadError> {
    let mut seen = 0.0;
    cursor.object(|cursor, key| match key {
        "projects" => cursor.list(|cursor| {
            cursor.object(|cursor, key| match key {
                "files" => cursor.list(|cursor| file(cursor, sink, &mut seen)),
                _ => cursor.skip(),
            })
        }),
        _ => cursor.skip(),
    })?;
    *packages = Some(seen);
    sink.state("packages", *packages);
    Ok(())
}

fn file(cursor: &mut Cursor<'_>, sink: &mut Sink, seen: &mut f64) -> Result<(), ReadError> {
    let first = sink.rows.len();
    let mut path = None;
    cursor.object(|cursor, key| match key {
        "location" => {
            let word: Word = cursor.value()?;
            path = word.get().map(|word| sink.target(word));
            Ok(())
        }
        "results" => cursor.object(|cursor, key| match key {
            "dependencies" => cursor.each(|dependency: Dependency| {
                *seen += 1.0;
                dependencies(&dependency, sink);
            }),
            _ => cursor.skip(),
        }),
        _ => cursor.skip(),
    })?;
    for row in sink.rows.iter_mut().skip(first) {
        row.path.clone_from(&path);
        row.target.clone_from(&path);
    }
    Ok::<_, ReadError>(())
}

fn dependencies(dependency: &Dependency, sink: &mut Sink) {
    for specification in &dependency.specifications.0 {
        let Some(known) = &specification.vulnerabilities.0 else {
            continue;
        };
        let raw = specification.raw.get().unwrap_or_default();
        let version = raw.split_once("==").map(|(_, version)| version.trim());
        let remediation = known.remediation.0.as_ref();
        let closest = remediation.and_then(|known| known.closest_secure.0.as_ref());
        let fixed = remediation
            .and_then(|known| known.recommended.get())
            .or(closest.and_then(|known| known.upper.get()));
        for listed in &known.known_vulnerabilities.0 {
            let row = Row {
                class: Class::Vulnerability,
                id: sink.text(listed.id.get().unwrap_or_default()),
                package: sink.package(Some("pypi"), dependency.name.get(), version, None),
                fixed: fixed
                    .map(|version| sink.text(version))
                    .into_iter()
                    .collect(),
                status: if fixed.is_some() {
                    Status::Fixed
                } else {
                    Status::Affected
                },
                suppressed: listed.ignored.0.as_ref().map(|ignored| {
                    Box::new(ScannerSuppression {
                        reason: sink.some(ignored.reason.get()),
                        expires: day(ignored.expires.get()),
                        place: Some(sink.text("policy file of Safety")),
                    })
                }),
                ..Row::default()
            };
            sink.row(row, None);
        }
    }
}
