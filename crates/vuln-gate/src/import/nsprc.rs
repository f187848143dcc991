//! `.nsprc` of better-npm-audit and audit-filter: ids with notes, or a list of exceptions.

use serde_json::{Map, Value};

use super::{Draft, Imported, text_of};

pub(super) fn read(text: &str) -> Result<Imported, String> {
    let document: Map<String, Value> =
        serde_json::from_str(text).map_err(|error| format!("this is no JSON: {error}"))?;
    let mut imported = Imported {
        kind: ".nsprc",
        ..Imported::default()
    };
    if let Some(list) = document.get("exceptions").and_then(Value::as_array) {
        for url in list {
            // The list names pages of advisories; their last part is the id.
            let url = url.as_str().ok_or("`exceptions` is no list of texts")?;
            let id = url
                .trim_end_matches('/')
                .rsplit('/')
                .next()
                .unwrap_or_default();
            if id.is_empty() {
                imported.left.push(format!("`{url}` names no advisory"));
            } else {
                imported.drafts.push(Draft::of(id));
            }
        }
        return Ok(imported);
    }
    for (id, value) in &document {
        if !id.starts_with("GHSA-") && !id.starts_with("CVE-") && !is_number(id) {
            return Err(format!("`{id}` is no id of an advisory"));
        }
        let mut draft = Draft::of(id);
        match value {
            Value::String(notes) => {
                draft.reason = Some(notes.trim().to_owned()).filter(|text| !text.is_empty())
            }
            Value::Object(members) => {
                if members.get("active") == Some(&Value::Bool(false)) {
                    imported.left.push(format!("{id}: it is not active"));
                    continue;
                }
                draft.reason = text_of(members.get("notes"));
                if let Some(expiry) = text_of(members.get("expiry")) {
                    draft.until(&expiry);
                }
            }
            _ => return Err(format!("`{id}` is neither a text nor a table")),
        }
        if is_number(id) {
            draft
                .notes
                .push("a number of npm's old database: better name the GHSA".to_owned());
        }
        imported.drafts.push(draft);
    }
    Ok(imported)
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}
