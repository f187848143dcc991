//! The JSON Schema of the file, for editors. The types exist for it alone; a test holds their keys
//! against those that the reader knows.
#![allow(dead_code, reason = "only their shape matters")]

use schemars::{JsonSchema, schema_for};

/// The schema's text, as it is committed in `docs/schemas/exceptions.v1.schema.json`.
#[must_use]
pub fn schema_text() -> String {
    let mut schema = schema_for!(ExceptionsFile).to_value();
    without_null(&mut schema);
    format!("{schema:#}\n")
}

/// TOML has no null: an absent key is absent.
fn without_null(schema: &mut serde_json::Value) {
    match schema {
        serde_json::Value::Object(members) => {
            if let Some(serde_json::Value::Array(kinds)) = members.get_mut("type") {
                kinds.retain(|kind| kind != "null");
                if let [one] = kinds.as_slice() {
                    let one = one.clone();
                    members.insert("type".to_owned(), one);
                }
            }
            members.values_mut().for_each(without_null);
        }
        serde_json::Value::Array(items) => items.iter_mut().for_each(without_null),
        _ => {}
    }
}

/// Findings that somebody accepted.
#[derive(JsonSchema)]
#[schemars(
    title = "GoldenSignals exceptions, gs.exceptions/v1",
    deny_unknown_fields
)]
struct ExceptionsFile {
    /// The form of this file.
    #[schemars(extend("const" = super::SCHEMA))]
    schema: Option<String>,
    /// The exceptions; all keys of one have to fit.
    #[serde(default)]
    exceptions: Vec<ExceptionEntry>,
}

/// An accepted finding. Which of the naming keys mean something is on the tool's page.
#[derive(JsonSchema)]
#[schemars(rename = "Exception", deny_unknown_fields)]
struct ExceptionEntry {
    /// An id of the finding, or any of its aliases: CVE, GHSA, PYSEC, RUSTSEC and so on.
    id: Option<String>,
    /// The rule that made the finding.
    rule: Option<String>,
    /// A package URL (`pkg:npm/lodash`, with a version or without), or a bare name.
    package: Option<String>,
    /// A range of the package's versions: `<4.17.21`, `>=1.2, <1.5`, `=1.0 || >=2.0`.
    versions: Option<String>,
    /// A file, or a glob of files (`*`, `?`, `**`); every place of the finding has to fit.
    path: Option<String>,
    /// The finding's stable identity, from the report.
    fingerprint: Option<String>,
    /// Why it is accepted.
    #[schemars(length(min = 1))]
    reason: String,
    /// Who answers for it.
    #[schemars(length(min = 1))]
    owner: String,
    /// The last day on which it holds.
    #[schemars(extend("format" = "date"))]
    expires: String,
    /// The day on which it was accepted.
    #[schemars(extend("format" = "date"))]
    created: Option<String>,
    /// Where it is discussed.
    ticket: Option<String>,
    /// In what sense it is accepted; the words are on the tool's page.
    state: Option<String>,
    /// Why it does no harm; the words are on the tool's page.
    justification: Option<String>,
}
