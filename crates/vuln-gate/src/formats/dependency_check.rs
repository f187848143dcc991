//! OWASP Dependency-Check, JSON: the template `jsonReport.vsl` of its source. The XML form is in
//! [`super::dependency_check_xml`]; both end in [`row_of`].

use serde::Deserialize;

use super::cursor::{Cursor, ReadError};
use super::lenient::{Many, Maybe, Word};
use super::sink::{Sink, time};
use crate::model::{Class, Gap, Row, ScannerSuppression};

#[derive(Default, Deserialize)]
#[serde(default)]
struct ScanInfo {
    #[serde(rename = "engineVersion")]
    engine_version: Word,
    #[serde(rename = "dataSource")]
    data_source: Many<DataSource>,
    #[serde(rename = "analysisExceptions")]
    exceptions: Many<Exception>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct DataSource {
    name: Word,
    timestamp: Word,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Exception {
    exception: Maybe<Message>,
    message: Word,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Message {
    message: Word,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ProjectInfo {
    name: Word,
    #[serde(rename = "reportDate")]
    report_date: Word,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Dependency {
    #[serde(rename = "fileName")]
    file_name: Word,
    #[serde(rename = "filePath")]
    file_path: Word,
    packages: Many<Identifier>,
    vulnerabilities: Option<Vec<Vulnerability>>,
    #[serde(rename = "suppressedVulnerabilities")]
    suppressed: Option<Vec<Vulnerability>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Identifier {
    id: Word,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Vulnerability {
    source: Word,
    name: Word,
    severity: Word,
    description: Word,
    notes: Word,
    cvssv2: Maybe<Cvss>,
    cvssv3: Maybe<Cvss>,
    cvssv4: Maybe<Cvss>,
    #[serde(rename = "knownExploitedVulnerability")]
    exploited: Maybe<Exploited>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Cvss {
    score: Word,
    #[serde(rename = "baseScore")]
    base_score: Word,
    #[serde(rename = "vectorString")]
    vector: Word,
    #[serde(rename = "baseSeverity")]
    base_severity: Word,
    severity: Word,
}

#[derive(Deserialize)]
struct Exploited {}

/// What either form tells of one CVSS score.
#[derive(Clone, Debug, Default)]
pub(super) struct Score {
    /// 2, 3 or 4.
    pub(super) version: u8,
    pub(super) score: Option<f64>,
    pub(super) vector: Option<String>,
    pub(super) label: Option<String>,
}

/// What either form tells of one vulnerability.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) source: Option<String>,
    pub(super) name: Option<String>,
    pub(super) severity: Option<String>,
    pub(super) description: Option<String>,
    pub(super) notes: Option<String>,
    pub(super) scores: Vec<Score>,
    pub(super) exploited: bool,
    pub(super) suppressed: bool,
}

/// What either form tells of the file that a vulnerability is in.
#[derive(Debug, Default)]
pub(super) struct Home {
    pub(super) file: Option<String>,
    pub(super) path: Option<String>,
    /// The package URL or coordinates, the most certain first.
    pub(super) package: Option<String>,
}

/// Makes a row of what either form tells.
pub(super) fn row_of(found: &Found, home: &Home, sink: &mut Sink) {
    let coordinates = home.package.as_deref();
    let purl = coordinates.filter(|text| text.starts_with("pkg:"));
    // Before version 5 `group:artifact:version`.
    let parts: Vec<&str> = coordinates
        .filter(|_| purl.is_none())
        .map(|text| text.rsplitn(2, ':').collect())
        .unwrap_or_default();
    let (name, version) = match (purl, parts.as_slice()) {
        (Some(_), _) => (None, None),
        (None, [version, name]) => (Some(*name), Some(*version)),
        _ => (home.file.as_deref(), None),
    };
    let ecosystem =
        (parts.len() == 2 && name.is_some_and(|name| name.contains(':'))).then_some("maven");
    let mut row = Row {
        class: Class::Vulnerability,
        id: sink.text(found.name.as_deref().unwrap_or_default()),
        title: sink.title(found.description.as_deref()),
        package: sink.package(ecosystem, name, version, purl),
        path: sink.some(home.path.as_deref()),
        target: sink.some(home.file.as_deref()),
        known_exploited: found.exploited,
        suppressed: found.suppressed.then(|| {
            Box::new(ScannerSuppression {
                reason: sink.some(found.notes.as_deref()),
                expires: None,
                place: Some(sink.text("suppression file of Dependency-Check")),
            })
        }),
        ..Row::default()
    };
    let source = found
        .source
        .as_deref()
        .unwrap_or("nvd")
        .to_ascii_lowercase();
    let label = sink.label(&mut row, &source, found.severity.as_deref());
    // Some sources write their score where the word should be.
    let number = found
        .severity
        .as_deref()
        .and_then(|text| text.trim().parse().ok());
    if number.is_some() {
        sink.cvss(&mut row, &source, 3, number, None);
    }
    let mut scores: Vec<_> = found.scores.iter().collect();
    scores.sort_by_key(|score| std::cmp::Reverse(score.version));
    for known in scores {
        let vector = known.vector.as_deref();
        sink.cvss(&mut row, &source, known.version, known.score, vector);
        // Not the row's own label: where that is missing the newest version's score counts.
        sink.label(&mut row, &source, known.label.as_deref());
    }
    sink.row(row, label);
}

/// Takes the age of the NVD data, which is the newest that is told.
pub(super) fn data_source(name: Option<&str>, at: Option<&str>, sink: &mut Sink) {
    if name.is_some_and(|name| name.starts_with("NVD")) {
        // Newer versions write the time of the last check in seconds.
        let seconds = at.and_then(|at| at.trim().parse::<i64>().ok());
        let seconds = seconds.and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
        sink.database = sink.database.max(seconds.or(time(at)));
    }
}

/// Says that parts of the analysis failed.
pub(super) fn exception(message: &str, sink: &mut Sink) {
    let line = message.lines().next().unwrap_or_default();
    sink.gap(Gap::AnalysisFailed, "", line);
}

/// Says what the whole means.
pub(super) fn finish(dependencies: u64, sink: &mut Sink) {
    sink.state("packages", Some(dependencies as f64));
    if dependencies == 0 {
        sink.gap(
            Gap::NothingNamed,
            "",
            "Dependency-Check lists no dependency at all",
        );
    }
}

/// Reads a JSON report.
///
/// # Errors
/// The text is not in this shape.
pub fn read(cursor: &mut Cursor<'_>, sink: &mut Sink) -> Result<(), ReadError> {
    sink.tool = Some("dependency-check".to_owned());
    let mut dependencies = 0_u64;
    cursor.object(|cursor, key| {
        match key {
            "scanInfo" => {
                let info: ScanInfo = cursor.value()?;
                if let Some(version) = info.engine_version.get() {
                    sink.tool = Some(format!("dependency-check {version}"));
                }
                for source in &info.data_source.0 {
                    data_source(source.name.get(), source.timestamp.get(), sink);
                }
                for known in &info.exceptions.0 {
                    let nested = known
                        .exception
                        .0
                        .as_ref()
                        .and_then(|nested| nested.message.get());
                    let message = nested.or(known.message.get());
                    exception(message.unwrap_or("an error without a message"), sink);
                }
            }
            "projectInfo" => {
                let info: ProjectInfo = cursor.value()?;
                sink.created = time(info.report_date.get());
                if let Some(name) = info.name.get() {
                    sink.target(name);
                }
            }
            "dependencies" => cursor.each(|dependency: Dependency| {
                dependencies += 1;
                take(&dependency, sink);
            })?,
            _ => cursor.skip()?,
        }
        Ok::<_, ReadError>(())
    })?;
    finish(dependencies, sink);
    Ok(())
}

fn take(dependency: &Dependency, sink: &mut Sink) {
    let home = Home {
        file: dependency.file_name.get().map(str::to_owned),
        path: dependency.file_path.get().map(str::to_owned),
        package: dependency
            .packages
            .0
            .iter()
            .find_map(|known| known.id.get().map(str::to_owned)),
    };
    let listed = dependency
        .vulnerabilities
        .iter()
        .flatten()
        .map(|found| (found, false));
    let ignored = dependency
        .suppressed
        .iter()
        .flatten()
        .map(|found| (found, true));
    for (found, suppressed) in listed.chain(ignored) {
        let text = |word: &Word| word.get().map(str::to_owned);
        let mut scores = Vec::new();
        for (version, cvss) in [(4, &found.cvssv4), (3, &found.cvssv3), (2, &found.cvssv2)] {
            if let Some(cvss) = &cvss.0 {
                scores.push(Score {
                    version,
                    score: cvss.base_score.number().or(cvss.score.number()),
                    vector: text(&cvss.vector),
                    label: text(&cvss.base_severity).or(text(&cvss.severity)),
                });
            }
        }
        let found = Found {
            source: text(&found.source),
            name: text(&found.name),
            severity: text(&found.severity),
            description: text(&found.description),
            notes: text(&found.notes),
            scores,
            exploited: found.exploited.0.is_some(),
            suppressed,
        };
        row_of(&found, &home, sink);
    }
}

/// The texts of an element that holds a package's coordinates, most certain first.
pub(super) fn better(old: &mut Option<String>, new: &str) {
    let purl = |text: &str| text.starts_with("pkg:");
    if old.as_deref().is_none_or(|old| purl(new) && !purl(old)) {
        *old = Some(new.to_owned());
    }
}
