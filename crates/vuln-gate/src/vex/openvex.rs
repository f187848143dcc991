//! OpenVEX, 0.0.1 to 0.2.0: <https://github.com/openvex/spec/blob/main/OPENVEX-SPEC.md>.

use serde::Deserialize;

use super::product::Product;
use super::{JUSTIFICATIONS, Statement, Status, VexError, time};

#[derive(Deserialize)]
struct Document {
    author: Option<String>,
    timestamp: Option<String>,
    last_updated: Option<String>,
    statements: Option<Vec<Stated>>,
}

#[derive(Deserialize)]
struct Stated {
    vulnerability: Option<Vulnerability>,
    products: Option<Vec<Named>>,
    // Beside the products in versions before 0.2.0.
    subcomponents: Option<Vec<Named>>,
    status: Option<String>,
    justification: Option<String>,
    impact_statement: Option<String>,
    status_notes: Option<String>,
    timestamp: Option<String>,
    last_updated: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Vulnerability {
    // Before 0.2.0.
    Id(String),
    Full {
        #[serde(rename = "@id")]
        iri: Option<String>,
        name: Option<String>,
        #[serde(default)]
        aliases: Vec<String>,
    },
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Named {
    Id(String),
    Full {
        #[serde(rename = "@id")]
        iri: Option<String>,
        identifiers: Option<Identifiers>,
        subcomponents: Option<Vec<Named>>,
    },
}

#[derive(Deserialize)]
struct Identifiers {
    purl: Option<String>,
}

/// Reads an OpenVEX document.
///
/// # Errors
/// It has another shape, or a statement that the specification does not allow.
pub fn read(name: &str, text: &str) -> Result<Vec<Statement>, VexError> {
    let document: Document = serde_json::from_str(text).map_err(|error| {
        VexError::invalid(name, format!("this is no OpenVEX document: {error}"))
    })?;
    let stated = document
        .statements
        .ok_or_else(|| VexError::invalid(name, "an OpenVEX document without `statements`"))?;
    // A statement without a time has that of its document.
    let own_time = document.last_updated.or(document.timestamp);
    let own_time = own_time
        .map(|text| time(name, "the document", &text))
        .transpose()?;
    stated
        .into_iter()
        .enumerate()
        .map(|(index, stated)| {
            let mut statement = statement(name, index + 1, stated)?;
            statement.at = statement.at.or(own_time);
            if statement.at.is_none() {
                return Err(VexError::invalid(
                    name,
                    format!(
                        "statement {} and its document have no `timestamp`",
                        index + 1
                    ),
                ));
            }
            statement.author.clone_from(&document.author);
            Ok(statement)
        })
        .collect()
}

fn statement(name: &str, number: usize, stated: Stated) -> Result<Statement, VexError> {
    let ids = ids(stated.vulnerability);
    let place = match ids.first() {
        Some(id) => format!("statement {number} ({id})"),
        None => format!("statement {number}"),
    };
    let wrong = |message: &str| VexError::invalid(name, format!("{place}: {message}"));
    if ids.is_empty() {
        return Err(wrong("it names no vulnerability"));
    }
    let status = match stated.status.as_deref() {
        Some("not_affected") => Status::NotAffected,
        Some("affected") => Status::Affected,
        Some("fixed") => Status::Fixed,
        Some("under_investigation") => Status::UnderInvestigation,
        Some(other) => return Err(wrong(&format!("`{other}` is no status"))),
        None => return Err(wrong("it has no status")),
    };
    let filled = |text: Option<String>| text.filter(|text| !text.trim().is_empty());
    let justification = filled(stated.justification);
    let impact = filled(stated.impact_statement);
    if let Some(word) = &justification
        && !JUSTIFICATIONS.contains(&word.as_str())
    {
        return Err(wrong(&format!("`{word}` is no justification")));
    }
    if status == Status::NotAffected && justification.is_none() && impact.is_none() {
        return Err(wrong(
            "`not_affected` without a `justification` or an `impact_statement`",
        ));
    }
    let common: Vec<Vec<String>> = stated
        .subcomponents
        .into_iter()
        .flatten()
        .map(|part| names(part).0)
        .collect();
    let products: Vec<Product> = stated
        .products
        .into_iter()
        .flatten()
        .map(|product| {
            let (names, parts) = names(product);
            let components = if parts.is_empty() {
                common.clone()
            } else {
                parts
            };
            Product {
                names,
                components,
                versions: None,
            }
        })
        .collect();
    let named = |product: &Product| !product.names.is_empty();
    if !products.iter().all(named) {
        return Err(wrong("a product without a name"));
    }
    if products.is_empty() && matches!(status, Status::NotAffected | Status::Fixed) {
        return Err(wrong(
            "it names no product, so it would be about everything",
        ));
    }
    let at = stated.last_updated.or(stated.timestamp);
    let at = at.map(|text| time(name, &place, &text)).transpose()?;
    let reason = [justification, impact, filled(stated.status_notes)];
    let reason: Vec<String> = reason.into_iter().flatten().collect();
    Ok(Statement {
        ids,
        products,
        status,
        reason: (!reason.is_empty()).then(|| reason.join(": ")),
        author: None,
        at,
        place: format!("{name}, {place}"),
        void: None,
    })
}

fn ids(vulnerability: Option<Vulnerability>) -> Vec<String> {
    let mut ids = match vulnerability {
        None => Vec::new(),
        Some(Vulnerability::Id(id)) => vec![id],
        Some(Vulnerability::Full { iri, name, aliases }) => {
            name.into_iter().chain(aliases).chain(iri).collect()
        }
    };
    ids.retain(|id| !id.trim().is_empty());
    ids
}

/// The names of a product, and those of each of its parts.
fn names(product: Named) -> (Vec<String>, Vec<Vec<String>>) {
    let (mut own, parts) = match product {
        Named::Id(id) => (vec![id], Vec::new()),
        Named::Full {
            iri,
            identifiers,
            subcomponents,
        } => {
            let purl = identifiers.and_then(|identifiers| identifiers.purl);
            // Parts of parts are not looked into: the specification has one level.
            let parts = subcomponents
                .into_iter()
                .flatten()
                .map(|part| names(part).0);
            (iri.into_iter().chain(purl).collect(), parts.collect())
        }
    };
    own.retain(|name| !name.trim().is_empty());
    own.dedup();
    (own, parts)
}
