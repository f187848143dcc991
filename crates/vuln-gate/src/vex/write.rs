//! OpenVEX out: what our exceptions say, for those who get the product.
//!
//! An exception whose `state` is `not_affected` or `false_positive` becomes `not_affected`. One that is
//! merely `accepted` is not: the product is affected, and its statement says so, with what was decided as
//! its action. Nothing is stated that nobody wrote down.

use gs_common::fingerprint;
use gs_common::suppression::Exception;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

/// What a document is about.
#[derive(Clone, Debug)]
pub struct About<'a> {
    /// Who says so: a person or an organisation.
    pub author: &'a str,
    /// The document's IRI; absent is one made of its content.
    pub id: Option<&'a str>,
    /// When.
    pub at: Timestamp,
}

/// An exception with the package URLs that it is about.
#[derive(Clone, Debug)]
pub struct Stated<'a> {
    /// The exception.
    pub exception: &'a Exception,
    /// The vulnerability's main id.
    pub id: String,
    /// Its other ids.
    pub aliases: Vec<String>,
    /// The package URLs in use, each with its version.
    pub products: Vec<String>,
}

/// An OpenVEX document of exceptions, and the sentences on those that are left out.
#[must_use]
pub fn document(about: &About<'_>, stated: &[Stated<'_>]) -> (Value, Vec<String>) {
    let mut statements = Vec::new();
    let mut left_out = Vec::new();
    for one in stated {
        if one.products.is_empty() {
            left_out.push(format!(
                "the exception for {} ({}) is left out: no package URL is known for it",
                one.exception.what, one.exception.place
            ));
            continue;
        }
        statements.push(statement(one));
    }
    let content = Value::Array(statements.clone()).to_string();
    let id = match about.id {
        Some(id) => id.to_owned(),
        None => format!(
            "https://openvex.dev/docs/vuln-gate/{}",
            fingerprint::plain("openvex", &[about.author, &content])
        ),
    };
    let document = json!({
        "@context": "https://openvex.dev/ns/v0.2.0",
        "@id": id,
        "author": about.author,
        "timestamp": format!("{:.0}", about.at),
        "version": 1,
        "tooling": format!("vuln-gate {}", env!("CARGO_PKG_VERSION")),
        "statements": statements,
    });
    (document, left_out)
}

fn statement(stated: &Stated<'_>) -> Value {
    let exception = stated.exception;
    let mut vulnerability = Map::new();
    vulnerability.insert("name".to_owned(), stated.id.clone().into());
    if !stated.aliases.is_empty() {
        vulnerability.insert("aliases".to_owned(), stated.aliases.clone().into());
    }
    let products: Vec<Value> = stated
        .products
        .iter()
        .map(|purl| json!({"@id": purl, "identifiers": {"purl": purl}}))
        .collect();
    let mut statement = Map::new();
    statement.insert("vulnerability".to_owned(), vulnerability.into());
    statement.insert("products".to_owned(), products.into());
    let harmless = matches!(
        exception.state.as_deref(),
        Some("not_affected" | "false_positive")
    );
    if harmless {
        statement.insert("status".to_owned(), "not_affected".into());
        if let Some(word) = &exception.justification {
            statement.insert("justification".to_owned(), word.clone().into());
        }
        statement.insert(
            "impact_statement".to_owned(),
            exception.reason.clone().into(),
        );
    } else {
        statement.insert("status".to_owned(), "affected".into());
        let action = format!(
            "accepted by {} until {}: {}",
            exception.owner, exception.expires, exception.reason
        );
        statement.insert("action_statement".to_owned(), action.into());
    }
    statement.into()
}
