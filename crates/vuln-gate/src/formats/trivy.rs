//! Trivy JSON: <https://trivy.dev/latest/docs/configuration/reporting/>.
//!
//! Read are the object of schema version 2, the report on a cluster, and the bare list of versions
//! before 0.20. Absent `Results` are no clean result: Trivy leaves them out when it detected nothing that
//! it could scan.

use std::collections::HashMap;

use gs_common::finding::Severity;
use serde::Deserialize;

use super::cursor::{Cursor, Kind, Lends, ReadError};
use super::lenient::{Lent, Many, Maybe, Members, Number, Word};
use super::sink::{Sink, day, time};
use crate::model::{Class, Gap, Row, ScannerSuppression, Scope, Status, Text};

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Vulnerability<'a> {
    #[serde(rename = "VulnerabilityID", borrow)]
    vulnerability_id: Lent<'a>,
    #[serde(rename = "VendorIDs")]
    vendor_ids: Many<Word>,
    #[serde(rename = "PkgID", borrow)]
    pkg_id: Lent<'a>,
    #[serde(borrow)]
    pkg_name: Lent<'a>,
    #[serde(borrow)]
    pkg_path: Lent<'a>,
    #[serde(borrow)]
    pkg_identifier: Maybe<Identifier<'a>>,
    #[serde(borrow)]
    installed_version: Lent<'a>,
    #[serde(borrow)]
    fixed_version: Lent<'a>,
    #[serde(borrow)]
    status: Lent<'a>,
    #[serde(borrow)]
    severity_source: Lent<'a>,
    #[serde(rename = "PrimaryURL", borrow)]
    primary_url: Lent<'a>,
    #[serde(borrow)]
    title: Lent<'a>,
    #[serde(borrow)]
    severity: Lent<'a>,
    #[serde(borrow)]
    vendor_severity: Members<'a, Number>,
    #[serde(rename = "CVSS", borrow)]
    cvss: Members<'a, Cvss<'a>>,
    #[serde(borrow)]
    published_date: Lent<'a>,
}

/// The rows of a large report are read where they stand.
struct Found;

impl Lends for Found {
    type At<'a> = Vulnerability<'a>;
}

struct FoundAndModified;

impl Lends for FoundAndModified {
    type At<'a> = Modified<Vulnerability<'a>>;
}

#[derive(Clone, Default, Debug, PartialEq, Eq, Deserialize)]
#[serde(default)]
struct Identifier<'a> {
    #[serde(rename = "PURL", borrow)]
    purl: Lent<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Cvss<'a> {
    #[serde(rename = "V2Vector", borrow)]
    v2_vector: Lent<'a>,
    #[serde(rename = "V3Vector", borrow)]
    v3_vector: Lent<'a>,
    #[serde(rename = "V40Vector", borrow)]
    v40_vector: Lent<'a>,
    #[serde(rename = "V2Score")]
    v2_score: Number,
    #[serde(rename = "V3Score")]
    v3_score: Number,
    #[serde(rename = "V40Score")]
    v40_score: Number,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Misconfiguration {
    #[serde(rename = "ID")]
    id: Word,
    #[serde(rename = "AVDID")]
    avd_id: Word,
    title: Word,
    message: Word,
    severity: Word,
    #[serde(rename = "PrimaryURL")]
    primary_url: Word,
    status: Word,
    cause_metadata: Maybe<Cause>,
}

#[derive(Clone, Default, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Cause {
    start_line: Word,
}

/// `Match` is not read: not even a masked secret leaves this module.
#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Secret {
    #[serde(rename = "RuleID")]
    rule_id: Word,
    severity: Word,
    title: Word,
    start_line: Word,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct License {
    severity: Word,
    category: Word,
    pkg_name: Word,
    file_path: Word,
    name: Word,
    link: Word,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Package {
    #[serde(rename = "ID")]
    id: Word,
    relationship: Word,
    dev: Word,
    depends_on: Many<Word>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Modified<T> {
    #[serde(default)]
    status: Word,
    #[serde(default)]
    statement: Word,
    #[serde(default)]
    source: Word,
    finding: T,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Metadata {
    #[serde(rename = "OS")]
    os: Maybe<Os>,
}

#[derive(Clone, Default, Debug, PartialEq, Eq, Deserialize)]
#[serde(default)]
struct Os {
    #[serde(rename = "Family")]
    family: Word,
    #[serde(rename = "Name")]
    name: Word,
    #[serde(rename = "EOSL")]
    eosl: Word,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Version {
    #[serde(rename = "Version")]
    version: Word,
}

/// Reads a report.
///
/// # Errors
/// The text is not in this shape.
pub fn read(cursor: &mut Cursor<'_>, sink: &mut Sink) -> Result<(), ReadError> {
    let mut results = 0_usize;
    let mut cluster = false;
    if cursor.kind()? == Kind::List {
        return cursor.list(|cursor| result(cursor, sink, None));
    }
    sink.tool = Some("Trivy".to_owned());
    cursor.object(|cursor, key| {
        match key {
            "Results" => cursor.list(|cursor| {
                results += 1;
                result(cursor, sink, None)
            })?,
            "ClusterName" => {
                cluster = true;
                let name: Word = cursor.value()?;
                if let Some(name) = name.get() {
                    sink.target(name);
                }
            }
            // What a cluster's report holds: resources with results of their own.
            "Resources" | "Vulnerabilities" | "Misconfigurations" => {
                cluster = true;
                cursor.list(|cursor| resource(cursor, sink, &mut results))?;
            }
            "CreatedAt" => {
                let at: Word = cursor.value()?;
                sink.created = time(at.get());
            }
            "ArtifactName" => {
                let name: Word = cursor.value()?;
                if let Some(name) = name.get() {
                    sink.target(name);
                }
            }
            "Metadata" => {
                let metadata: Metadata = cursor.value()?;
                end_of_life(&metadata, sink);
            }
            "Trivy" => {
                let version: Version = cursor.value()?;
                if let Some(version) = version.version.get() {
                    sink.tool = Some(format!("Trivy {version}"));
                }
            }
            _ => cursor.skip()?,
        }
        Ok::<_, ReadError>(())
    })?;
    if results == 0 {
        sink.unchecked(if cluster {
            "Trivy lists no result for any resource of the cluster"
        } else {
            "Trivy found nothing that it can scan: no supported operating system, no lock file, or the wrong folder"
        });
    }
    Ok(())
}

fn end_of_life(metadata: &Metadata, sink: &mut Sink) {
    if let Some(os) = &metadata.os.0
        && os.eosl.yes()
    {
        let name = format!(
            "{} {}",
            os.family.get().unwrap_or("the operating system"),
            os.name.get().unwrap_or_default()
        );
        let name = name.trim().to_owned();
        let message = format!(
            "{name} gets no security updates any more, so new flaws in it have no advisory"
        );
        sink.gap(Gap::EndOfLife, name, message);
    }
}

fn resource(
    cursor: &mut Cursor<'_>,
    sink: &mut Sink,
    results: &mut usize,
) -> Result<(), ReadError> {
    let mut name = [const { String::new() }; 3];
    let place = |name: &[String; 3]| {
        let parts: Vec<&str> = name
            .iter()
            .map(String::as_str)
            .filter(|part| !part.is_empty())
            .collect();
        parts.join("/")
    };
    cursor.object(|cursor, key| {
        match key {
            "Namespace" | "Kind" | "Name" => {
                let word: Word = cursor.value()?;
                let at = ["Namespace", "Kind", "Name"]
                    .iter()
                    .position(|known| *known == key);
                if let Some(slot) = at.and_then(|at| name.get_mut(at)) {
                    word.get().unwrap_or_default().clone_into(slot);
                }
            }
            "Metadata" => {
                // One object, or in newer versions one for each image.
                let all: Many<Metadata> = cursor.value()?;
                for metadata in &all.0 {
                    end_of_life(metadata, sink);
                }
            }
            "Error" => {
                let error: Word = cursor.value()?;
                if let Some(error) = error.get() {
                    sink.gap(Gap::AnalysisFailed, place(&name), error);
                }
            }
            "Results" => {
                let place = place(&name);
                let place = (!place.is_empty()).then(|| sink.text(&place));
                cursor.list(|cursor| {
                    *results += 1;
                    result(cursor, sink, place.clone())
                })?;
            }
            _ => cursor.skip()?,
        }
        Ok::<_, ReadError>(())
    })
}

/// What `Packages` tells of one package.
#[derive(Default)]
struct Known {
    dev: Option<bool>,
    direct: Option<bool>,
}

fn result(
    cursor: &mut Cursor<'_>,
    sink: &mut Sink,
    resource: Option<Text>,
) -> Result<(), ReadError> {
    let mut target = None;
    let mut kind: Option<String> = None;
    let mut packages: HashMap<String, Known> = HashMap::new();
    let mut parents_of: HashMap<String, Vec<String>> = HashMap::new();
    let mut lock_file_tells_scope = false;
    let first = sink.rows.len();
    // The package that each of this result's rows names.
    let mut of_row: Vec<Option<String>> = Vec::new();
    let mut unnamed = 0_u64;
    cursor.object(|cursor, key| {
        match key {
            "Target" => {
                let word: Word = cursor.value()?;
                target = word.get().map(|word| sink.target(word));
            }
            "Type" => {
                let word: Word = cursor.value()?;
                kind = word.get().map(str::to_owned);
            }
            "Packages" => cursor.each(|package: Package| {
                let Some(id) = package.id.get() else {
                    return;
                };
                lock_file_tells_scope |= package.dev.yes();
                let direct = package.relationship.get().and_then(|word| match word {
                    "direct" | "root" | "workspace" => Some(true),
                    "indirect" => Some(false),
                    _ => None,
                });
                for on in package.depends_on.texts() {
                    let parents = parents_of.entry(on.to_owned()).or_default();
                    parents.push(id.to_owned());
                }
                if direct.is_some() || package.dev.get().is_some() {
                    let dev = package.dev.get().map(|_| package.dev.yes());
                    packages.insert(id.to_owned(), Known { dev, direct });
                }
            })?,
            "Vulnerabilities" => cursor.each_lent::<Found>(|found| {
                if found.vulnerability_id.get().is_none() {
                    unnamed += 1;
                    return;
                }
                of_row.push(found.pkg_id.get().map(str::to_owned));
                let (row, label) = vulnerability(&found, sink, kind.as_deref());
                sink.row(row, label);
            })?,
            "Misconfigurations" => cursor.each(|found: Misconfiguration| {
                // With --include-non-failures those that passed are listed too.
                if found.status.get().is_none_or(|status| status == "FAIL") {
                    of_row.push(None);
                    misconfiguration(&found, sink);
                }
            })?,
            "Secrets" => cursor.each(|found: Secret| {
                of_row.push(None);
                secret(&found, sink);
            })?,
            "Licenses" => cursor.each(|found: License| {
                of_row.push(None);
                license(&found, sink);
            })?,
            "ExperimentalModifiedFindings" => cursor.each_lent::<FoundAndModified>(|modified| {
                // Findings of other kinds do not have these members: the row then has no id.
                if modified.finding.vulnerability_id.get().is_some() {
                    of_row.push(modified.finding.pkg_id.get().map(str::to_owned));
                    let (mut row, label) = vulnerability(&modified.finding, sink, kind.as_deref());
                    row.suppressed = Some(Box::new(ScannerSuppression {
                        reason: sink.some(modified.statement.get().or(modified.status.get())),
                        expires: None,
                        place: sink.some(modified.source.get()),
                    }));
                    sink.row(row, label);
                }
            })?,
            _ => cursor.skip()?,
        }
        Ok::<_, ReadError>(())
    })?;
    if unnamed > 0 {
        let subject = target.as_deref().unwrap_or_default();
        sink.gap(
            Gap::UnnamedRow,
            subject,
            format!("{unnamed} rows name no vulnerability"),
        );
    }
    let ecosystem = kind
        .as_deref()
        .and_then(crate::names::ecosystem)
        .map(Text::from);
    for (row, id) in sink.rows.iter_mut().skip(first).zip(of_row) {
        // `Target` and `Type` may follow the rows.
        row.target.clone_from(&target);
        if row.path.is_none() {
            row.path.clone_from(&resource);
        }
        if let Some(package) = &mut row.package
            && package.ecosystem.is_none()
        {
            package.ecosystem.clone_from(&ecosystem);
            package.name =
                gs_common::versions::normal_name(ecosystem.as_deref(), &package.name).into();
        }
        let Some(id) = id else { continue };
        let known = packages.get(&id);
        row.direct = known.and_then(|known| known.direct);
        row.scope = match known.and_then(|known| known.dev) {
            Some(true) => Scope::Development,
            // Trivy writes `Dev` only where it is true.
            _ if lock_file_tells_scope => Scope::Production,
            _ => Scope::Unknown,
        };
        if row.direct == Some(false) {
            row.parents = direct_parents(&id, &parents_of, &packages);
        }
    }
    Ok(())
}

/// The direct dependencies from which a package is reached.
fn direct_parents(
    id: &str,
    parents_of: &HashMap<String, Vec<String>>,
    packages: &HashMap<String, Known>,
) -> Vec<Text> {
    /// Graphs of real projects are smaller; a hostile one must not take time.
    const MOST: usize = 10_000;
    let mut seen = std::collections::HashSet::from([id]);
    let mut todo = vec![id];
    let mut found: Vec<Text> = Vec::new();
    while let Some(next) = todo.pop() {
        for parent in parents_of.get(next).into_iter().flatten() {
            if seen.len() > MOST || !seen.insert(parent) {
                continue;
            }
            let direct = packages.get(parent).and_then(|known| known.direct);
            if direct == Some(true) {
                let name = parent
                    .rsplit_once('@')
                    .map_or(parent.as_str(), |(name, _)| name);
                found.push(name.into());
            } else {
                todo.push(parent);
            }
        }
    }
    found.sort();
    found.dedup();
    found
}

fn vulnerability(
    found: &Vulnerability<'_>,
    sink: &mut Sink,
    kind: Option<&str>,
) -> (Row, Option<Severity>) {
    let purl = found
        .pkg_identifier
        .0
        .as_ref()
        .and_then(|known| known.purl.get());
    let mut row = Row {
        class: Class::Vulnerability,
        id: sink.text(found.vulnerability_id.get().unwrap_or_default()),
        aliases: found.vendor_ids.texts().map(|id| sink.text(id)).collect(),
        title: sink.title(found.title.get()),
        package: sink.package(
            kind,
            found.pkg_name.get(),
            found.installed_version.get(),
            purl,
        ),
        // "11.0.14, 10.1.49": one for each line of development.
        fixed: found
            .fixed_version
            .get()
            .into_iter()
            .flat_map(|list| list.split(','))
            .map(str::trim)
            .filter(|version| !version.is_empty())
            .map(|version| sink.text(version))
            .collect(),
        status: status(found),
        path: sink.some(found.pkg_path.get()),
        published: day(found.published_date.get()),
        url: sink.some(found.primary_url.get()),
        ..Row::default()
    };
    let source = found.severity_source.get().unwrap_or("trivy");
    let label = sink.label(&mut row, source, found.severity.get());
    for (source, number) in &found.vendor_severity.0 {
        let severity = match number.0 {
            Some(1.0) => Severity::Low,
            Some(2.0) => Severity::Medium,
            Some(3.0) => Severity::High,
            Some(4.0) => Severity::Critical,
            _ => continue,
        };
        sink.said(&mut row, source.get().unwrap_or_default(), severity);
    }
    for (source, cvss) in &found.cvss.0 {
        let source = source.get().unwrap_or_default();
        for (version, score, vector) in [
            (4, cvss.v40_score, &cvss.v40_vector),
            (3, cvss.v3_score, &cvss.v3_vector),
            (2, cvss.v2_score, &cvss.v2_vector),
        ] {
            sink.cvss(&mut row, source, version, score.0, vector.get());
        }
    }
    (row, label)
}

fn status(found: &Vulnerability<'_>) -> Status {
    match found.status.get() {
        Some("affected") => Status::Affected,
        Some("fixed") => Status::Fixed,
        Some("not_affected") => Status::NotAffected,
        Some("under_investigation") => Status::UnderInvestigation,
        Some("will_not_fix") => Status::WillNotFix,
        Some("fix_deferred") => Status::FixDeferred,
        Some("end_of_life") => Status::EndOfLife,
        _ if found.fixed_version.get().is_some() => Status::Fixed,
        _ => Status::Unknown,
    }
}

fn misconfiguration(found: &Misconfiguration, sink: &mut Sink) {
    let line = found.cause_metadata.0.as_ref();
    let mut row = Row {
        class: Class::Misconfiguration,
        id: sink.text(found.id.get().or(found.avd_id.get()).unwrap_or_default()),
        aliases: found
            .avd_id
            .get()
            .map(|id| sink.text(id))
            .into_iter()
            .collect(),
        title: sink.title(found.message.get().or(found.title.get())),
        line: line.and_then(|cause| line_of(&cause.start_line)),
        url: sink.some(found.primary_url.get()),
        ..Row::default()
    };
    let label = sink.label(&mut row, "trivy", found.severity.get());
    sink.row(row, label);
}

fn secret(found: &Secret, sink: &mut Sink) {
    let mut row = Row {
        class: Class::Secret,
        id: sink.text(found.rule_id.get().unwrap_or_default()),
        title: sink.title(found.title.get()),
        line: line_of(&found.start_line),
        ..Row::default()
    };
    let label = sink.label(&mut row, "trivy", found.severity.get());
    sink.row(row, label);
}

fn license(found: &License, sink: &mut Sink) {
    let title = found
        .category
        .get()
        .map(|category| format!("licence of class `{category}`"));
    let mut row = Row {
        class: Class::License,
        id: sink.text(found.name.get().unwrap_or_default()),
        title: sink.title(title.as_deref()),
        package: sink.package(None, found.pkg_name.get(), None, None),
        path: sink.some(found.file_path.get()),
        url: sink.some(found.link.get()),
        ..Row::default()
    };
    let label = sink.label(&mut row, "trivy", found.severity.get());
    sink.row(row, label);
}

/// A line, counted from 1.
pub(super) fn line_of(word: &Word) -> Option<u32> {
    let line = word.get()?.parse().ok()?;
    (line > 0).then_some(line)
}
