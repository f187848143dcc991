//! VEX: what a supplier, or we ourselves, say about a vulnerability in a product.
//!
//! A statement suppresses only where it says `not_affected` or `fixed`, and only for exactly the product
//! that it names. What is under investigation, or stated without a reason, suppresses nothing. Of several
//! statements on one product and vulnerability the later one counts, so that a supplier can take a
//! statement back. A document that cannot be read whole is an error: half of it would be a guess.
//!
//! [`openvex`] and [`cyclonedx`] read the two forms, [`mod@write`] writes OpenVEX. Nothing here judges how bad
//! anything is.

pub mod cyclonedx;
pub mod openvex;
pub mod product;
pub mod write;

use gs_common::finding::Suppressed;
use jiff::Timestamp;
use serde::Deserialize;

use crate::model::{Row, Text};
use product::{Fit, Product};

/// A larger document is none.
pub const LARGEST: u64 = 16 << 20;

/// What a statement says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// The product is not affected.
    NotAffected,
    /// The product is affected.
    Affected,
    /// This version of the product has the fix.
    Fixed,
    /// Nobody knows yet.
    UnderInvestigation,
}

impl Status {
    /// OpenVEX's word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotAffected => "not_affected",
            Self::Affected => "affected",
            Self::Fixed => "fixed",
            Self::UnderInvestigation => "under_investigation",
        }
    }
}

/// One statement on one vulnerability.
#[derive(Clone, Debug)]
pub struct Statement {
    /// The ids of the vulnerability, aliases included.
    pub ids: Vec<String>,
    /// The products that it is about.
    pub products: Vec<Product>,
    /// What it says.
    pub status: Status,
    /// Why, in the document's words.
    pub reason: Option<String>,
    /// Who says so.
    pub author: Option<String>,
    /// When; a statement without a time is older than any with one.
    pub at: Option<Timestamp>,
    /// Where it stands: `vex.json, statement 3`.
    pub place: String,
    /// Why it does not count although it says that all is well.
    pub void: Option<&'static str>,
}

/// Why a document cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name}: {message}")]
pub struct VexError {
    /// The document's name.
    pub name: String,
    /// What is wrong, one lowercase fragment with the place in it.
    pub message: String,
    /// What to do.
    pub hint: &'static str,
}

impl VexError {
    fn new(name: &str, message: impl Into<String>, hint: &'static str) -> Self {
        Self {
            name: name.to_owned(),
            message: message.into(),
            hint,
        }
    }

    fn invalid(name: &str, message: impl Into<String>) -> Self {
        Self::new(
            name,
            message,
            "have its author mend the document: a part of one is not used",
        )
    }
}

/// All statements of all documents of a run.
#[derive(Clone, Debug, Default)]
pub struct Vex {
    statements: Vec<Statement>,
    /// What is released, for statements about it as a whole.
    released: Vec<String>,
    used: Vec<bool>,
    told: Vec<String>,
}

#[derive(Deserialize)]
struct Sniff {
    #[serde(rename = "@context")]
    context: Option<serde_json::Value>,
    #[serde(rename = "bomFormat")]
    bom_format: Option<String>,
    document: Option<serde::de::IgnoredAny>,
}

/// Reads one document, recognised by its content.
///
/// # Errors
/// It is no JSON, no VEX document of a form that is known, or a statement in it is not valid.
pub fn read(name: &str, text: &str) -> Result<Vec<Statement>, VexError> {
    const WANTED: &str =
        "give an OpenVEX document, or a CycloneDX one with `vulnerabilities[].analysis`, as JSON";
    if text.trim().is_empty() {
        return Err(VexError::new(name, "the VEX document is empty", WANTED));
    }
    // serde would take a list for a struct, member by member.
    if text.trim_start().starts_with('[') {
        return Err(VexError::new(name, "this is no VEX document", WANTED));
    }
    let sniff: Sniff = serde_json::from_str(text).map_err(|error| {
        let message = if error.is_data() {
            "this is no VEX document".to_owned()
        } else {
            format!("this is no JSON: {error}")
        };
        VexError::new(name, message, WANTED)
    })?;
    let context = sniff.context.as_ref().and_then(serde_json::Value::as_str);
    if context.is_some_and(|context| context.starts_with("https://openvex.dev/ns")) {
        return openvex::read(name, text);
    }
    if sniff.bom_format.as_deref() == Some("CycloneDX") {
        return cyclonedx::read(name, text);
    }
    let message = if sniff.document.is_some() {
        "this looks like CSAF, which is not read"
    } else {
        "this is no VEX document"
    };
    Err(VexError::new(name, message, WANTED))
}

impl Vex {
    /// Holds statements against rows. `released` are the package URLs or names of what is released, for
    /// statements about it as a whole.
    #[must_use]
    pub fn new(statements: Vec<Statement>, released: Vec<String>) -> Self {
        let used = vec![false; statements.len()];
        Self {
            statements,
            released,
            used,
            told: Vec::new(),
        }
    }

    /// How many statements there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.statements.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.statements.is_empty()
    }

    /// What suppresses a row, if a statement does. `ids` are all ids of the vulnerability that it belongs to.
    pub fn covers(&mut self, ids: &[Text], row: &Row) -> Option<Suppressed> {
        let mut latest: Option<(Option<Timestamp>, usize)> = None;
        for (index, statement) in self.statements.iter().enumerate() {
            let named = |id: &Text| {
                statement
                    .ids
                    .iter()
                    .any(|other| other.eq_ignore_ascii_case(id))
            };
            if !ids.iter().any(named) {
                continue;
            }
            let fits = statement
                .products
                .iter()
                .map(|product| product.fits(row, statement.status, &self.released))
                .max();
            match fits {
                Some(Fit::Yes) => {
                    // Without a difference in time the one that stands further down is the later one.
                    if latest.is_none_or(|(at, _)| at <= statement.at) {
                        latest = Some((statement.at, index));
                    }
                    if let Some(used) = self.used.get_mut(index) {
                        *used = true;
                    }
                }
                Some(Fit::Unknown(why)) => {
                    let told = format!("{} does not count: {why}", statement.place);
                    if !self.told.contains(&told) {
                        self.told.push(told);
                    }
                }
                Some(Fit::No) | None => {}
            }
        }
        let statement = self.statements.get(latest?.1)?;
        if let Some(why) = statement.void {
            let told = format!("{} does not count: {why}", statement.place);
            if !self.told.contains(&told) {
                self.told.push(told);
            }
            return None;
        }
        let says = match statement.status {
            Status::NotAffected | Status::Fixed => statement.status.as_str(),
            Status::Affected | Status::UnderInvestigation => return None,
        };
        let reason = match &statement.reason {
            Some(reason) => format!("{says}: {reason}"),
            None => says.to_owned(),
        };
        Some(Suppressed {
            by: "vex".to_owned(),
            reason: Some(reason),
            owner: statement.author.clone(),
            expires: None,
            place: Some(statement.place.clone()),
        })
    }

    /// Sentences on what deserves a look: statements that could not be held against a row, and how many
    /// are about nothing that was found. Call it after the last row.
    #[must_use]
    pub fn sentences(&self) -> Vec<String> {
        let mut sentences = self.told.clone();
        sentences.sort();
        let unused = self.used.iter().filter(|used| !**used).count();
        if unused > 0 {
            sentences.push(format!(
                "{unused} of {} VEX statements are about nothing that was found",
                self.used.len()
            ));
        }
        sentences
    }
}

/// The words of the OpenVEX specification for why a product is not affected.
pub const JUSTIFICATIONS: [&str; 5] = [
    "component_not_present",
    "vulnerable_code_not_present",
    "vulnerable_code_not_in_execute_path",
    "vulnerable_code_cannot_be_controlled_by_adversary",
    "inline_mitigations_already_exist",
];

fn time(name: &str, place: &str, text: &str) -> Result<Timestamp, VexError> {
    text.parse().map_err(|_| {
        VexError::invalid(
            name,
            format!("{place}: `{text}` is no time such as 2026-01-31T12:00:00Z"),
        )
    })
}

#[cfg(test)]
mod tests;
