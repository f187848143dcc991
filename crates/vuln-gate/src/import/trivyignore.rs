//! Trivy: `.trivyignore` and `.trivyignore.yaml`.

use serde_json::Value;

use super::{Draft, Imported, text_of};

/// The lines that say something, with their numbers from 1.
pub(super) fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines()
        .enumerate()
        .map(|(index, line)| (index + 1, line.split('#').next().unwrap_or_default().trim()))
        .filter(|(_, line)| !line.is_empty())
}

pub(super) fn plain(text: &str) -> Imported {
    let mut imported = Imported {
        kind: ".trivyignore",
        ..Imported::default()
    };
    // Comments above an id are often its reason; whether they are, a person decides.
    let mut comments: Vec<String> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let (line, comment) = match line.split_once('#') {
            Some((line, comment)) => (line.trim(), Some(comment.trim())),
            None => (line.trim(), None),
        };
        comments.extend(comment.filter(|text| !text.is_empty()).map(str::to_owned));
        if line.is_empty() {
            if comment.is_none() {
                comments.clear();
            }
            continue;
        }
        let mut words = line.split_whitespace();
        let id = words.next().unwrap_or_default();
        if id.contains(['*', '?']) {
            imported
                .left
                .push(format!("line {}: `{id}` is a pattern", index + 1));
            comments.clear();
            continue;
        }
        let mut draft = Draft::of(id);
        for word in words {
            draft.until(word.trim_start_matches("exp:"));
        }
        draft.notes.append(&mut comments);
        imported.drafts.push(draft);
    }
    imported
}

pub(super) fn yaml(document: &Value) -> Result<Imported, String> {
    let mut imported = Imported {
        kind: ".trivyignore.yaml",
        ..Imported::default()
    };
    for class in [
        "vulnerabilities",
        "misconfigurations",
        "secrets",
        "licenses",
    ] {
        let list = match document.get(class) {
            None | Some(Value::Null) => continue,
            Some(Value::Array(list)) => list,
            Some(_) => return Err(format!("`{class}` is no list")),
        };
        for (index, entry) in list.iter().enumerate() {
            let place = format!("{class}[{index}]");
            let id = text_of(entry.get("id")).ok_or_else(|| format!("{place} has no id"))?;
            if id.contains(['*', '?']) {
                imported.left.push(format!("{place}: `{id}` is a pattern"));
                continue;
            }
            let mut draft = Draft::of(&id);
            draft.reason = text_of(entry.get("statement"));
            if let Some(written) = text_of(entry.get("expired_at")) {
                draft.until(&written);
            }
            narrowed(&mut imported, &place, &draft, entry);
        }
    }
    Ok(imported)
}

/// One exception for each path or package URL: the lists of one entry are alternatives.
fn narrowed(imported: &mut Imported, place: &str, draft: &Draft, entry: &Value) {
    let texts = |key: &str| -> Vec<String> {
        let list = entry.get(key).and_then(Value::as_array);
        let list = list.into_iter().flatten();
        list.filter_map(|value| text_of(Some(value))).collect()
    };
    let (paths, purls) = (texts("paths"), texts("purls"));
    let paths: Vec<Option<String>> = if paths.is_empty() {
        vec![None]
    } else {
        paths.into_iter().map(Some).collect()
    };
    let purls: Vec<Option<String>> = if purls.is_empty() {
        vec![None]
    } else {
        purls.into_iter().map(Some).collect()
    };
    for path in &paths {
        if let Some(path) = path
            && let Err(why) = path.parse::<gs_common::suppression::Glob>()
        {
            imported.left.push(format!("{place}: {why}"));
            continue;
        }
        for purl in &purls {
            let mut one = draft.clone();
            one.what.extend(purl.clone().map(|purl| ("package", purl)));
            one.what.extend(path.clone().map(|path| ("path", path)));
            imported.drafts.push(one);
        }
    }
}
