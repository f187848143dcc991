//! `npm audit --json` of both report versions, and `pnpm audit --json`. The lines of yarn are in [`super::yarn`].
//!
//! npm 7 and later (`auditReportVersion` 2) list packages, whose `via` holds advisories and names of other
//! packages; npm 6, pnpm and yarn list advisories. All of them write an error body to the same place where
//! a report would be, and only its shape tells.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde::Deserialize;

use super::cursor::{Cursor, ReadError};
use super::lenient::{Many, Maybe, Word};
use super::sink::{Sink, day};
use crate::model::{Class, FixBy, Gap, Row, Scope, Status};
use crate::names;

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Advisory {
    id: Word,
    module_name: Word,
    title: Word,
    severity: Word,
    url: Word,
    github_advisory_id: Word,
    cves: Many<Word>,
    patched_versions: Word,
    created: Word,
    cvss: Maybe<Cvss>,
    findings: Many<Finding>,
}

#[derive(Clone, Default, Debug, PartialEq, Eq, Deserialize)]
#[serde(default)]
struct Cvss {
    score: Word,
    #[serde(rename = "vectorString")]
    vector: Word,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Finding {
    version: Word,
    paths: Many<Word>,
    dev: Word,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Package {
    #[serde(rename = "isDirect")]
    is_direct: Word,
    via: Many<Via>,
    effects: Many<Word>,
    nodes: Many<Word>,
    #[serde(rename = "fixAvailable")]
    fix_available: Maybe<Fix>,
}

/// An advisory, or the name of another package: then every member is absent.
type Via = Maybe<Source>;

#[derive(Default, Deserialize)]
#[serde(default)]
struct Source {
    source: Word,
    name: Word,
    title: Word,
    url: Word,
    severity: Word,
    cvss: Maybe<Cvss>,
}

#[derive(Clone, Default, Debug, PartialEq, Eq, Deserialize)]
#[serde(default)]
struct Fix {
    name: Word,
    version: Word,
    #[serde(rename = "isSemVerMajor")]
    major: Word,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Metadata {
    vulnerabilities: Maybe<BTreeMap<String, Word>>,
    dependencies: Maybe<Total>,
    #[serde(rename = "totalDependencies")]
    total: Word,
}

#[derive(Clone, Default, Debug, PartialEq, Eq, Deserialize)]
#[serde(default)]
struct Total {
    total: Word,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Failure {
    code: Word,
    summary: Word,
    detail: Word,
    message: Word,
}

impl Failure {
    fn words(&self) -> String {
        let parts = [&self.code, &self.summary, &self.message, &self.detail];
        let parts: Vec<&str> = parts.into_iter().filter_map(Word::get).collect();
        parts.join(": ")
    }
}

/// Reads a report of npm or pnpm, or the error body that stands in its place.
///
/// # Errors
/// The text is not in this shape.
pub fn read(cursor: &mut Cursor<'_>, sink: &mut Sink) -> Result<(), ReadError> {
    let mut packages: Vec<(String, Package)> = Vec::new();
    let mut entries = 0_u64;
    let mut metadata = None;
    let mut lists = false;
    let mut message: Option<String> = None;
    let mut failed = false;
    cursor.object(|cursor, key| {
        match key {
            "vulnerabilities" => {
                lists = true;
                cursor.object(|cursor, name| {
                    entries += 1;
                    packages.push((name.to_owned(), cursor.value()?));
                    Ok::<_, ReadError>(())
                })?;
            }
            "advisories" => {
                lists = true;
                cursor.object(|cursor, _| {
                    let found: Advisory = cursor.value()?;
                    advisory(&found, None, sink);
                    Ok::<_, ReadError>(())
                })?;
            }
            "metadata" => metadata = Some(cursor.value::<Metadata>()?),
            "error" => {
                failed = true;
                let failure: Maybe<Failure> = cursor.value()?;
                let words = failure.0.map(|failure| failure.words());
                let words = words.or(failure.1.get().map(str::to_owned));
                message = words.filter(|words| !words.is_empty()).or(message.take());
            }
            "message" => {
                let word: Word = cursor.value()?;
                message = message.take().or(word.get().map(str::to_owned));
            }
            "statusCode" | "errors" => {
                failed = true;
                cursor.skip()?;
            }
            _ => cursor.skip()?,
        }
        Ok::<_, ReadError>(())
    })?;
    packages_of_npm_7(&packages, sink);
    if failed || !lists {
        let words = message.unwrap_or_else(|| "no reason given".to_owned());
        sink.fail(format!("the audit did not happen: {}", words.trim()));
        return Ok(());
    }
    if let Some(metadata) = metadata {
        check_metadata(&metadata, entries, sink);
    }
    Ok(())
}

fn check_metadata(metadata: &Metadata, entries: u64, sink: &mut Sink) {
    let counts = metadata.vulnerabilities.0.as_ref();
    let number = |name: &str| counts.and_then(|counts| counts.get(name)?.number());
    let total = number("total").or_else(|| {
        let names = ["critical", "high", "moderate", "low", "info"];
        counts.map(|_| names.iter().filter_map(|name| number(name)).sum())
    });
    sink.state("vulnerable", total);
    let nested = metadata
        .dependencies
        .0
        .as_ref()
        .and_then(|known| known.total.number());
    let flat = metadata.total.number().or(metadata.dependencies.1.number());
    let packages = nested.or(flat);
    sink.state("packages", packages);
    if packages == Some(0.0) && sink.rows.is_empty() {
        sink.gap(
            Gap::NothingNamed,
            "",
            "the audit counts no dependency at all",
        );
    }
    let total = total.unwrap_or(0.0);
    // npm 7 counts packages, which are the entries; the others count paths, which cannot be compared.
    let short = if entries > 0 {
        total > entries as f64
    } else {
        total > 0.0 && sink.rows.is_empty()
    };
    if short {
        let message =
            format!("the report counts {total} vulnerabilities and does not list them all");
        sink.gap(Gap::MissingRows, "", message);
    }
}

/// The ids of an advisory: those that its address and members name, else npm's own number.
pub(super) fn ids_of(number: Option<&str>, url: Option<&str>, more: &[&str]) -> Vec<String> {
    let mut ids: Vec<String> = Vec::new();
    for id in more
        .iter()
        .copied()
        .chain(url.into_iter().flat_map(names::ids_in))
    {
        if !ids.iter().any(|known| known == id) {
            ids.push(id.to_owned());
        }
    }
    ids.sort_by_key(|id| names::fame(id));
    ids.extend(number.map(str::to_owned));
    ids
}

pub(super) fn advisory(found: &Advisory, path: Option<&str>, sink: &mut Sink) {
    let mut more: Vec<&str> = found.cves.texts().collect();
    more.extend(found.github_advisory_id.get());
    let ids = ids_of(found.id.get(), found.url.get(), &more);
    let mut versions: Vec<&str> = found
        .findings
        .0
        .iter()
        .filter_map(|known| known.version.get())
        .collect();
    versions.sort_unstable();
    versions.dedup();
    let paths: Vec<&str> = match path {
        Some(path) => vec![path],
        None => found
            .findings
            .0
            .iter()
            .flat_map(|known| known.paths.texts())
            .collect(),
    };
    let (direct, parents) = roots(&paths);
    let dev: Vec<&Word> = found.findings.0.iter().map(|known| &known.dev).collect();
    let scope = if dev.is_empty() || dev.iter().any(|dev| dev.get().is_none()) {
        Scope::Unknown
    } else if dev.iter().all(|dev| dev.yes()) {
        Scope::Development
    } else {
        Scope::Production
    };
    let patched = found
        .patched_versions
        .get()
        // `<0.0.0` is how the registry says that nothing is patched.
        .filter(|patched| !patched.contains("<0.0.0"));
    let mut row = Row {
        class: Class::Vulnerability,
        id: sink.text(ids.first().map_or("", String::as_str)),
        aliases: ids.iter().skip(1).map(|id| sink.text(id)).collect(),
        title: sink.title(found.title.get()),
        package: sink.package(
            Some("npm"),
            found.module_name.get(),
            (!versions.is_empty())
                .then(|| versions.join(", "))
                .as_deref(),
            None,
        ),
        fixed: patched
            .map(|patched| sink.text(patched))
            .into_iter()
            .collect(),
        status: if patched.is_some() {
            Status::Fixed
        } else {
            Status::Affected
        },
        scope,
        direct,
        parents: parents.iter().map(|parent| sink.text(parent)).collect(),
        published: day(found.created.get()),
        url: sink.some(found.url.get()),
        ..Row::default()
    };
    let label = sink.label(&mut row, "npm", found.severity.get());
    scored(&mut row, &found.cvss, sink);
    sink.row(row, label);
}

fn scored(row: &mut Row, cvss: &Maybe<Cvss>, sink: &mut Sink) {
    if let Some(cvss) = &cvss.0 {
        sink.cvss(row, "ghsa", 3, cvss.score.number(), cvss.vector.get());
    }
}

/// Whether one of the paths `a>b>c` is the package itself, and the first steps of the others. pnpm begins
/// each with the folder of the project.
fn roots<'a>(paths: &[&'a str]) -> (Option<bool>, Vec<&'a str>) {
    let mut direct = None;
    let mut parents: Vec<&str> = Vec::new();
    for path in paths {
        let mut steps: Vec<&str> = path.split('>').map(str::trim).collect();
        if steps
            .first()
            .is_some_and(|first| first.starts_with('.') || first.is_empty())
        {
            steps.remove(0);
        }
        match steps.as_slice() {
            [] => {}
            [_] => direct = Some(true),
            [first, ..] => {
                direct = direct.or(Some(false));
                if !parents.contains(first) {
                    parents.push(first);
                }
            }
        }
    }
    parents.sort_unstable();
    (direct, parents)
}

fn packages_of_npm_7(packages: &[(String, Package)], sink: &mut Sink) {
    let graph: HashMap<&str, &Package> = packages
        .iter()
        .map(|(name, package)| (name.as_str(), package))
        .collect();
    for (name, package) in packages {
        for found in package.via.0.iter().filter_map(|via| via.0.as_ref()) {
            let ids = ids_of(found.source.get(), found.url.get(), &[]);
            let mut row = Row {
                class: Class::Vulnerability,
                id: sink.text(ids.first().map_or("", String::as_str)),
                aliases: ids.iter().skip(1).map(|id| sink.text(id)).collect(),
                title: sink.title(found.title.get()),
                package: sink.package(Some("npm"), found.name.get().or(Some(name)), None, None),
                path: sink.some(package.nodes.texts().next()),
                direct: package.is_direct.get().map(|_| package.is_direct.yes()),
                parents: direct_ancestors(name, &graph)
                    .iter()
                    .map(|parent| sink.text(parent))
                    .collect(),
                url: sink.some(found.url.get()),
                ..Row::default()
            };
            match (&package.fix_available.0, package.fix_available.1.get()) {
                (Some(fix), _) => {
                    row.status = Status::Fixed;
                    if let (Some(name), Some(version)) = (fix.name.get(), fix.version.get()) {
                        row.fix_by = Some(Box::new(FixBy {
                            name: sink.text(name),
                            version: sink.text(version),
                            major: fix.major.yes(),
                        }));
                        if Some(name) == found.name.get() {
                            row.fixed.push(sink.text(version));
                        }
                    }
                }
                (None, Some("true")) => row.status = Status::Fixed,
                (None, Some("false")) => row.status = Status::Affected,
                _ => {}
            }
            let label = sink.label(&mut row, "npm", found.severity.get());
            scored(&mut row, &found.cvss, sink);
            sink.row(row, label);
        }
    }
}

/// The packages that the project itself asks for and that bring this one in, along `effects`.
fn direct_ancestors<'a>(name: &'a str, graph: &HashMap<&'a str, &'a Package>) -> Vec<&'a str> {
    let mut seen = HashSet::from([name]);
    let mut todo = vec![name];
    let mut found = Vec::new();
    while let Some(next) = todo.pop() {
        let Some(package) = graph.get(next) else {
            continue;
        };
        for effect in package.effects.texts() {
            if seen.insert(effect) {
                if graph
                    .get(effect)
                    .is_some_and(|package| package.is_direct.yes())
                {
                    found.push(effect);
                }
                todo.push(effect);
            }
        }
    }
    found.sort_unstable();
    found
}
