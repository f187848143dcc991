//! Grype: the rules below `ignore` in `.grype.yaml`.

use serde_json::Value;

use super::{Draft, Imported, text_of};
use crate::names::ecosystem;

pub(super) fn read(document: &Value) -> Result<Imported, String> {
    let rules = match document.get("ignore") {
        Some(Value::Array(rules)) => rules,
        None | Some(Value::Null) => &Vec::new(),
        Some(_) => return Err("`ignore` is no list".to_owned()),
    };
    let mut imported = Imported {
        kind: ".grype.yaml",
        ..Imported::default()
    };
    for (index, rule) in rules.iter().enumerate() {
        match draft(rule) {
            Ok(draft) => imported.drafts.push(draft),
            Err(why) => imported.left.push(format!("ignore[{index}]: {why}")),
        }
    }
    Ok(imported)
}

fn draft(rule: &Value) -> Result<Draft, String> {
    let Some(members) = rule.as_object() else {
        return Err("it is no rule".to_owned());
    };
    // Whatever narrows the rule and has no word here would be lost, and the exception wider than it was.
    let known = ["vulnerability", "include-aliases", "reason", "package"];
    if let Some(other) = members.keys().find(|key| !known.contains(&key.as_str())) {
        let hint = if other == "fix-state" {
            "; what has no fix is set with `unfixed`"
        } else {
            ""
        };
        return Err(format!(
            "it goes by `{other}`, which no exception can{hint}"
        ));
    }
    let Some(id) = text_of(rule.get("vulnerability")) else {
        return Err("it names no vulnerability".to_owned());
    };
    let mut draft = Draft::of(id);
    draft.reason = text_of(rule.get("reason"));
    if rule.get("include-aliases") != Some(&Value::Bool(true)) {
        draft
            .notes
            .push("Grype ignored this id only; an exception names its aliases as well".to_owned());
    }
    if let Some(package) = rule.get("package").filter(|package| !package.is_null()) {
        narrowed(&mut draft, package)?;
    }
    Ok(draft)
}

fn narrowed(draft: &mut Draft, package: &Value) -> Result<(), String> {
    let Some(members) = package.as_object() else {
        return Err("`package` is no table".to_owned());
    };
    let known = ["name", "version", "type", "location"];
    if let Some(other) = members.keys().find(|key| !known.contains(&key.as_str())) {
        return Err(format!(
            "it goes by `package.{other}`, which no exception can"
        ));
    }
    let name = text_of(package.get("name"));
    if let Some(name) = &name
        && name.contains(['*', '?', '(', '[', '|', '^', '$', '\\', '{'])
    {
        return Err(format!("the package `{name}` is a pattern"));
    }
    let kind = text_of(package.get("type")).and_then(|kind| ecosystem(&kind));
    match (name, kind) {
        (Some(name), Some(kind)) => draft.what.push(("package", format!("pkg:{kind}/{name}"))),
        (Some(name), None) => draft.what.push(("package", name)),
        (None, Some(_)) => return Err("it goes by a package's type alone".to_owned()),
        (None, None) => {}
    }
    if let Some(version) = text_of(package.get("version")) {
        if !draft.what.iter().any(|(key, _)| *key == "package") {
            return Err("it goes by a version without a package".to_owned());
        }
        draft.what.push(("versions", format!("={version}")));
    }
    if let Some(path) = text_of(package.get("location")) {
        path.parse::<gs_common::suppression::Glob>()?;
        draft.what.push(("path", path));
    }
    Ok(())
}
