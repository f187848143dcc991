//! Whether a statement's product is the package of a row. A guess here would excuse a flaw that nobody
//! looked at, so what cannot be told is not yes.

use std::collections::BTreeMap;

use gs_common::purl::Purl;
use gs_common::versions::normal_name;

use super::Status;
use crate::model::{PackageRef, Row};
use crate::names::ecosystem;

/// What a statement is about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Product {
    /// Its package URLs and other names; any of them may fit.
    pub names: Vec<String>,
    /// The parts of it that the statement is about; none is all of it.
    pub components: Vec<Vec<String>>,
    /// The versions that a CycloneDX document lists: each with whether it counts as well.
    pub versions: Option<Vec<(String, bool)>>,
}

/// Whether a product fits. In rising order, so that the best of several is their maximum.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fit {
    /// It is another one.
    No,
    /// It cannot be told; the sentence says why.
    Unknown(String),
    /// It is this one.
    Yes,
}

impl Product {
    /// Whether it is what a row is about: the package itself, or (`released`) the product that is released,
    /// with the package among the components where the statement names any.
    #[must_use]
    pub fn fits(&self, row: &Row, status: Status, released: &[String]) -> Fit {
        let is_released = self
            .names
            .iter()
            .any(|name| released.iter().any(|own| same_product(name, own)));
        if is_released {
            if self.components.is_empty() {
                return Fit::Yes;
            }
            let parts = self.components.iter().flatten();
            return best(parts.map(|name| package(name, row, status, None)));
        }
        // A part of another product is none of ours, even where the same package is in both.
        if !self.components.is_empty() {
            return Fit::No;
        }
        let versions = self.versions.as_deref();
        best(
            self.names
                .iter()
                .map(|name| package(name, row, status, versions)),
        )
    }
}

fn best(fits: impl Iterator<Item = Fit>) -> Fit {
    fits.max().unwrap_or(Fit::No)
}

/// The name of what is released: the same text, or the same package URL where one of the two leaves the
/// version or qualifiers out.
fn same_product(stated: &str, own: &str) -> bool {
    if stated == own {
        return true;
    }
    let (Some(a), Some(b)) = (full(stated), full(own)) else {
        return false;
    };
    // What the statement restricts has to be so; what it leaves open fits all.
    a.purl.ecosystem == b.purl.ecosystem
        && a.purl.name == b.purl.name
        && (a.purl.version.is_none() || a.purl.version == b.purl.version)
        && a.qualifiers
            .iter()
            .all(|(key, value)| b.qualifiers.get(key) == Some(value))
}

struct Full {
    purl: Purl,
    qualifiers: BTreeMap<String, String>,
}

fn full(text: &str) -> Option<Full> {
    if !text.starts_with("pkg:") {
        return None;
    }
    let purl = Purl::read(text)?;
    let qualifiers = text
        .split_once('#')
        .map_or(text, |(before, _)| before)
        .split_once('?')
        .map_or("", |(_, qualifiers)| qualifiers)
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(key, value)| {
            let value = percent_encoding::percent_decode_str(value).decode_utf8_lossy();
            (key.to_ascii_lowercase(), value.into_owned())
        })
        .collect();
    Some(Full { purl, qualifiers })
}

fn package(name: &str, row: &Row, status: Status, versions: Option<&[(String, bool)]>) -> Fit {
    let (Some(stated), Some(package)) = (full(name), &row.package) else {
        return Fit::No;
    };
    let own = package.purl.as_deref().and_then(full);
    match same_package(&stated, package, own.as_ref()) {
        Fit::Yes => {}
        other => return other,
    }
    let version = package.version.as_deref();
    if let Some(versions) = versions {
        let Some(version) = version else {
            return unknown_version(package);
        };
        // A document that lists versions is about these only.
        return match versions.iter().find(|(listed, _)| listed == version) {
            Some((_, true)) => Fit::Yes,
            Some((_, false)) | None => Fit::No,
        };
    }
    match (&stated.purl.version, version) {
        (Some(stated), Some(version)) if stated == version => Fit::Yes,
        (Some(_), Some(_)) => Fit::No,
        (Some(_), None) => unknown_version(package),
        // "Not affected" may be said of all versions, "fixed" only of those that have the fix.
        (None, _) if status == Status::Fixed => Fit::Unknown(format!(
            "`fixed` without a version says nothing of the `{}` in use",
            package.name
        )),
        (None, _) => Fit::Yes,
    }
}

fn unknown_version(package: &PackageRef) -> Fit {
    Fit::Unknown(format!(
        "the report does not tell the version of `{}`",
        package.name
    ))
}

/// Type, name and qualifiers. The report's own package URL decides where there is one.
fn same_package(stated: &Full, package: &PackageRef, own: Option<&Full>) -> Fit {
    let kind = stated.purl.ecosystem.as_str();
    if let Some(own) = own {
        let same = own.purl.ecosystem == kind
            && normal_name(Some(kind), &own.purl.name)
                == normal_name(Some(kind), &stated.purl.name)
            && stated
                .qualifiers
                .iter()
                .all(|(key, value)| own.qualifiers.get(key) == Some(value));
        return if same { Fit::Yes } else { Fit::No };
    }
    let distribution = matches!(kind, "deb" | "rpm" | "apk" | "alpm");
    let name = normal_name(Some(kind), &stated.purl.name);
    let last = name.rsplit('/').next().unwrap_or_default();
    let wanted = if distribution { last } else { &name };
    if normal_name(Some(kind), &package.name) != wanted {
        return Fit::No;
    }
    match &package.ecosystem {
        Some(other) if ecosystem(kind).as_deref() != Some(other) => Fit::No,
        Some(_) if !distribution && stated.qualifiers.is_empty() => Fit::Yes,
        // Which distribution, or which build: only a package URL tells.
        _ => Fit::Unknown(format!(
            "the report does not tell whether its `{}` is `{kind}/{name}` as stated",
            package.name
        )),
    }
}
