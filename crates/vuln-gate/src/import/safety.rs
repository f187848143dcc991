//! Safety: policy files of versions 2 (`security.ignore-vulnerabilities`) and 3
//! (`report.dependency-vulnerabilities.auto-ignore-in-report.vulnerabilities`).

use serde_json::Value;

use super::{Draft, Imported, text_of};

pub(super) fn read(document: &Value) -> Result<Imported, String> {
    let mut imported = Imported {
        kind: "Safety policy file",
        ..Imported::default()
    };
    let security = document.get("security");
    let report = document.pointer("/report/dependency-vulnerabilities/auto-ignore-in-report");
    let lists = [
        security.and_then(|security| security.get("ignore-vulnerabilities")),
        report.and_then(|report| report.get("vulnerabilities")),
    ];
    for list in lists.into_iter().flatten().filter(|list| !list.is_null()) {
        let members = list
            .as_object()
            .ok_or("the ignored vulnerabilities are no table of ids")?;
        for (id, entry) in members {
            let mut draft = Draft::of(id);
            draft.reason = text_of(entry.get("reason"));
            if let Some(expires) = text_of(entry.get("expires")) {
                draft.until(&expires);
            }
            if entry
                .get("specifications")
                .is_some_and(|value| !value.is_null())
            {
                imported.left.push(format!(
                    "{id}: it goes by `specifications`; name the package and versions yourself"
                ));
                continue;
            }
            imported.drafts.push(draft);
        }
    }
    for (table, key, instead) in [
        (
            security,
            "ignore-cvss-severity-below",
            "`fail-on` is the threshold",
        ),
        (
            security,
            "ignore-cvss-unknown-severity",
            "`unknown` says what they mean",
        ),
        (
            security,
            "continue-on-vulnerability-error",
            "`--report-only` does that aloud",
        ),
        (report, "cvss-severity", "`fail-on` is the threshold"),
        (report, "python", "`ignore-target` names files"),
    ] {
        let value = table.and_then(|table| table.get(key));
        let says_something = match value {
            None | Some(Value::Null | Value::Bool(false)) => false,
            Some(Value::Number(number)) => number.as_f64() != Some(0.0),
            Some(Value::Array(list)) => !list.is_empty(),
            Some(_) => true,
        };
        if says_something {
            imported
                .left
                .push(format!("`{key}` is no exception: {instead}"));
        }
    }
    Ok(imported)
}
