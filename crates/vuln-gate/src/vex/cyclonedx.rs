//! CycloneDX VEX, 1.4 to 1.6, JSON: <https://cyclonedx.org/docs/1.6/json/#vulnerabilities>.
//!
//! The vulnerabilities of a bill of materials with an `analysis` are statements; those without one say
//! nothing, and are passed over.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::product::Product;
use super::{Statement, Status, VexError, time};

#[derive(Deserialize)]
struct Document {
    metadata: Option<Metadata>,
    #[serde(default)]
    components: Vec<Component>,
    #[serde(default)]
    vulnerabilities: Vec<Vulnerability>,
}

#[derive(Deserialize)]
struct Metadata {
    timestamp: Option<String>,
    component: Option<Component>,
    supplier: Option<Organisation>,
    manufacturer: Option<Organisation>,
}

#[derive(Deserialize)]
struct Organisation {
    name: Option<String>,
}

#[derive(Deserialize)]
struct Component {
    #[serde(rename = "bom-ref")]
    bom_ref: Option<String>,
    purl: Option<String>,
    #[serde(default)]
    components: Vec<Component>,
}

#[derive(Deserialize)]
struct Vulnerability {
    id: Option<String>,
    #[serde(default)]
    references: Vec<Reference>,
    analysis: Option<Analysis>,
    #[serde(default)]
    affects: Vec<Affected>,
    updated: Option<String>,
}

#[derive(Deserialize)]
struct Reference {
    id: Option<String>,
}

#[derive(Deserialize)]
struct Analysis {
    state: Option<String>,
    justification: Option<String>,
    detail: Option<String>,
    #[serde(rename = "firstIssued")]
    first_issued: Option<String>,
    #[serde(rename = "lastUpdated")]
    last_updated: Option<String>,
}

#[derive(Deserialize)]
struct Affected {
    #[serde(rename = "ref")]
    reference: Option<String>,
    versions: Option<Vec<Version>>,
}

#[derive(Deserialize)]
struct Version {
    version: Option<String>,
    status: Option<String>,
}

/// Words of the specification for `analysis.justification`.
const JUSTIFICATIONS: [&str; 9] = [
    "code_not_present",
    "code_not_reachable",
    "requires_configuration",
    "requires_dependency",
    "requires_environment",
    "protected_by_compiler",
    "protected_at_runtime",
    "protected_at_perimeter",
    "protected_by_mitigating_control",
];

/// Reads a CycloneDX document.
///
/// # Errors
/// It has another shape, or an analysis that the specification does not allow.
pub fn read(name: &str, text: &str) -> Result<Vec<Statement>, VexError> {
    let document: Document = serde_json::from_str(text).map_err(|error| {
        VexError::invalid(name, format!("this is no CycloneDX document: {error}"))
    })?;
    let mut purls = BTreeMap::new();
    let metadata = document.metadata;
    let root = metadata
        .as_ref()
        .and_then(|metadata| metadata.component.as_ref());
    for component in document.components.iter().chain(root) {
        collect(component, &mut purls);
    }
    let own_time = metadata
        .as_ref()
        .and_then(|metadata| metadata.timestamp.as_deref())
        .map(|text| time(name, "metadata.timestamp", text))
        .transpose()?;
    let author = metadata
        .and_then(|metadata| metadata.manufacturer.or(metadata.supplier))
        .and_then(|organisation| organisation.name);
    let mut statements = Vec::new();
    for (index, vulnerability) in document.vulnerabilities.into_iter().enumerate() {
        if vulnerability.analysis.is_none() {
            continue;
        }
        let mut statement = statement(name, index + 1, vulnerability, &purls)?;
        statement.at = statement.at.or(own_time);
        statement.author.clone_from(&author);
        statements.push(statement);
    }
    if statements.is_empty() {
        return Err(VexError::new(
            name,
            "no vulnerability of this CycloneDX document has an `analysis`, so it states nothing",
            "give the document that holds the analysis, or leave it out",
        ));
    }
    Ok(statements)
}

fn collect(component: &Component, purls: &mut BTreeMap<String, String>) {
    if let (Some(reference), Some(purl)) = (&component.bom_ref, &component.purl) {
        purls.insert(reference.clone(), purl.clone());
    }
    for part in &component.components {
        collect(part, purls);
    }
}

fn statement(
    name: &str,
    number: usize,
    vulnerability: Vulnerability,
    purls: &BTreeMap<String, String>,
) -> Result<Statement, VexError> {
    let mut ids: Vec<String> = vulnerability.id.into_iter().collect();
    ids.extend(
        vulnerability
            .references
            .into_iter()
            .filter_map(|one| one.id),
    );
    ids.retain(|id| !id.trim().is_empty());
    let place = match ids.first() {
        Some(id) => format!("vulnerability {number} ({id})"),
        None => format!("vulnerability {number}"),
    };
    let wrong = |message: &str| VexError::invalid(name, format!("{place}: {message}"));
    if ids.is_empty() {
        return Err(wrong("it has no id"));
    }
    let Some(analysis) = vulnerability.analysis else {
        return Err(wrong("it has no analysis"));
    };
    let status = match analysis.state.as_deref() {
        Some("resolved" | "resolved_with_pedigree") => Status::Fixed,
        Some("exploitable") => Status::Affected,
        Some("in_triage") | None => Status::UnderInvestigation,
        Some("not_affected" | "false_positive") => Status::NotAffected,
        Some(other) => return Err(wrong(&format!("`{other}` is no state of an analysis"))),
    };
    let filled = |text: Option<String>| text.filter(|text| !text.trim().is_empty());
    let justification = filled(analysis.justification);
    let detail = filled(analysis.detail);
    if let Some(word) = &justification
        && !JUSTIFICATIONS.contains(&word.as_str())
    {
        return Err(wrong(&format!("`{word}` is no justification")));
    }
    let unreasoned = status == Status::NotAffected && justification.is_none() && detail.is_none();
    let products: Vec<Product> = vulnerability
        .affects
        .into_iter()
        .filter_map(|affected| product(affected, purls))
        .collect();
    if products.is_empty() && matches!(status, Status::NotAffected | Status::Fixed) {
        return Err(wrong(
            "it affects nothing that has a name, so it would be about everything",
        ));
    }
    let at = analysis
        .last_updated
        .or(analysis.first_issued)
        .or(vulnerability.updated);
    let at = at.map(|text| time(name, &place, &text)).transpose()?;
    let reason: Vec<String> = [justification, detail].into_iter().flatten().collect();
    Ok(Statement {
        ids,
        products,
        status,
        reason: (!reason.is_empty()).then(|| reason.join(": ")),
        author: None,
        at,
        place: format!("{name}, {place}"),
        // The specification allows it; whoever reads it has nothing to go by.
        void: unreasoned.then_some("it gives neither a justification nor a detail"),
    })
}

/// The product of a reference: a component of this document, or a package URL in the reference itself or
/// in the last part of a BOM-Link (`urn:cdx:serial/version#reference`).
fn product(affected: Affected, purls: &BTreeMap<String, String>) -> Option<Product> {
    let reference = affected.reference?;
    let local = match reference.strip_prefix("urn:cdx:") {
        Some(link) => {
            let (_, local) = link.split_once('#')?;
            percent_encoding::percent_decode_str(local)
                .decode_utf8()
                .ok()?
                .into_owned()
        }
        None => reference,
    };
    let name = match purls.get(&local) {
        Some(purl) => purl.clone(),
        None if local.trim().is_empty() => return None,
        None => local,
    };
    // A listed version counts where the document says that it is not affected. A range is none that is read.
    let versions = affected.versions.map(|versions| {
        versions
            .into_iter()
            .filter_map(|of| Some((of.version?, of.status.as_deref() == Some("unaffected"))))
            .collect()
    });
    Some(Product {
        names: vec![name],
        components: Vec::new(),
        versions,
    })
}
