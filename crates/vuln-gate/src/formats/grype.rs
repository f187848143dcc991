//! Grype JSON: <https://github.com/anchore/grype>, the model in `grype/presenter/models`.

use serde::Deserialize;

use super::cursor::{Cursor, ReadError};
use super::lenient::{Many, Maybe, Word};
use super::sink::{Sink, time};
use crate::model::{Class, Row, ScannerSuppression, Status};

#[derive(Default, Deserialize)]
#[serde(default)]
struct Match {
    vulnerability: Vulnerability,
    #[serde(rename = "relatedVulnerabilities")]
    related: Many<Vulnerability>,
    artifact: Artifact,
    #[serde(rename = "appliedIgnoreRules")]
    ignored_by: Many<Rule>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Vulnerability {
    id: Word,
    namespace: Word,
    #[serde(rename = "dataSource")]
    data_source: Word,
    severity: Word,
    description: Word,
    cvss: Many<Cvss>,
    fix: Maybe<Fix>,
    advisories: Many<Advisory>,
    #[serde(rename = "knownExploited")]
    known_exploited: Many<Exploited>,
    epss: Many<Epss>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Cvss {
    source: Word,
    version: Word,
    vector: Word,
    metrics: Maybe<Metrics>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Metrics {
    #[serde(rename = "baseScore")]
    base_score: Word,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Fix {
    state: Word,
    versions: Many<Word>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Advisory {
    id: Word,
}

/// An entry of CISA's catalogue of known exploited vulnerabilities; that it is there is all.
#[derive(Deserialize)]
struct Exploited {}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Epss {
    epss: Word,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Artifact {
    name: Word,
    version: Word,
    #[serde(rename = "type")]
    kind: Word,
    language: Word,
    purl: Word,
    locations: Many<Location>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Location {
    path: Word,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Rule {
    reason: Word,
    vulnerability: Word,
    namespace: Word,
    #[serde(rename = "fix-state")]
    fix_state: Word,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Descriptor {
    version: Word,
    timestamp: Word,
    db: Maybe<Database>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Database {
    built: Word,
    error: Word,
    // Since version 0.88 one level deeper.
    status: Maybe<DatabaseStatus>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct DatabaseStatus {
    built: Word,
    error: Word,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Scanned {
    target: Maybe<Target>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Target {
    #[serde(rename = "userInput")]
    user_input: Word,
}

/// Reads a report.
///
/// # Errors
/// The text is not in this shape.
pub fn read(cursor: &mut Cursor<'_>, sink: &mut Sink) -> Result<(), ReadError> {
    sink.tool = Some("grype".to_owned());
    let mut target = None;
    cursor.object(|cursor, key| {
        match key {
            "matches" => cursor.each(|found: Match| one(&found, false, sink))?,
            "ignoredMatches" => cursor.each(|found: Match| one(&found, true, sink))?,
            "source" => {
                let scanned: Scanned = cursor.value()?;
                let input = scanned
                    .target
                    .0
                    .as_ref()
                    .and_then(|known| known.user_input.get());
                if let Some(name) = input.or(scanned.target.1.get()) {
                    target = Some(sink.target(name));
                }
            }
            "descriptor" => {
                let descriptor: Descriptor = cursor.value()?;
                if let Some(version) = descriptor.version.get() {
                    sink.tool = Some(format!("grype {version}"));
                }
                sink.created = time(descriptor.timestamp.get());
                if let Some(database) = &descriptor.db.0 {
                    let status = database.status.0.as_ref();
                    let built = database
                        .built
                        .get()
                        .or(status.and_then(|known| known.built.get()));
                    sink.database = time(built);
                    let error = database
                        .error
                        .get()
                        .or(status.and_then(|known| known.error.get()));
                    if let Some(error) = error {
                        sink.fail(format!("Grype says of its database: {error}"));
                    }
                }
            }
            _ => cursor.skip()?,
        }
        Ok::<_, ReadError>(())
    })?;
    for row in &mut sink.rows {
        row.target.clone_from(&target);
    }
    Ok(())
}

fn one(found: &Match, ignored: bool, sink: &mut Sink) {
    let main = &found.vulnerability;
    let artifact = &found.artifact;
    let fix = main.fix.0.as_ref();
    let mut row = Row {
        class: Class::Vulnerability,
        id: sink.text(main.id.get().unwrap_or_default()),
        title: sink.title(main.description.get()),
        package: sink.package(
            artifact.kind.get().or(artifact.language.get()),
            artifact.name.get(),
            artifact.version.get(),
            artifact.purl.get(),
        ),
        fixed: fix
            .into_iter()
            .flat_map(|fix| fix.versions.texts())
            .map(|version| sink.text(version))
            .collect(),
        status: match fix.and_then(|fix| fix.state.get()) {
            Some("fixed") => Status::Fixed,
            Some("not-fixed") => Status::Affected,
            Some("wont-fix") => Status::WillNotFix,
            _ => Status::Unknown,
        },
        path: sink.some(
            artifact
                .locations
                .0
                .first()
                .and_then(|known| known.path.get()),
        ),
        url: sink.some(main.data_source.get()),
        known_exploited: std::iter::once(main)
            .chain(&found.related.0)
            .any(|known| !known.known_exploited.0.is_empty()),
        epss: std::iter::once(main)
            .chain(&found.related.0)
            .flat_map(|known| &known.epss.0)
            .filter_map(|epss| epss.epss.number())
            .map(|epss| epss as f32)
            .reduce(f32::max),
        ..Row::default()
    };
    let label = sink.label(&mut row, source(main), main.severity.get());
    let scored = |row: &mut Row, sink: &mut Sink, known: &Vulnerability| {
        for cvss in &known.cvss.0 {
            let version = cvss.version.number().map_or(3, |number| number as u8);
            let score = cvss
                .metrics
                .0
                .as_ref()
                .and_then(|metrics| metrics.base_score.number());
            let who = cvss.source.get().unwrap_or_else(|| source(known));
            sink.cvss(row, who, version, score, cvss.vector.get());
        }
    };
    scored(&mut row, sink, main);
    // The row's own severity is that of the distribution; what others say of the same flaw counts when
    // rows are merged.
    let severity = label
        .filter(|label| *label != gs_common::finding::Severity::Unknown)
        .unwrap_or_else(|| crate::severity::of_scores(&row.ratings));
    for related in &found.related.0 {
        row.aliases.extend(related.id.get().map(|id| sink.text(id)));
        sink.label(&mut row, source(related), related.severity.get());
        scored(&mut row, sink, related);
    }
    for advisory in &main.advisories.0 {
        row.aliases
            .extend(advisory.id.get().map(|id| sink.text(id)));
    }
    if ignored {
        let reasons: Vec<String> = found
            .ignored_by
            .0
            .iter()
            .filter_map(|rule| {
                let what = [
                    &rule.reason,
                    &rule.vulnerability,
                    &rule.fix_state,
                    &rule.namespace,
                ];
                what.into_iter().find_map(Word::get).map(str::to_owned)
            })
            .collect();
        row.suppressed = Some(Box::new(ScannerSuppression {
            reason: (!reasons.is_empty()).then(|| sink.text(&reasons.join("; "))),
            expires: None,
            place: Some(sink.text("ignore rules of Grype")),
        }));
    }
    row.severity = severity;
    sink.keep(row);
}

/// `nvd:cpe` and `github:language:python` are sources.
fn source(known: &Vulnerability) -> &str {
    known
        .namespace
        .get()
        .and_then(|namespace| namespace.split(':').next())
        .unwrap_or("grype")
}
