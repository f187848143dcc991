//! After the engines: what was not looked at, which rows are one secret, and what HEAD still has.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::json;

use super::Scan;
use crate::config::Config;
use crate::engine::Kind;
use crate::formats::Row;
use crate::incident;
use crate::repo::{self, FileCount, GitError, History, Merges, Repository};
use crate::summary::Facts;

/// What was not looked at.
pub(super) fn cover(
    facts: &mut Facts,
    scan: &Scan<'_>,
    counted: Option<&Result<History, GitError>>,
    files: Option<FileCount>,
    tree: bool,
) {
    let say = &mut facts.not_covered;
    if let Some(Ok(history)) = counted {
        if history.binaries > 0 {
            say.push(format!(
                "{} binary files in the history: engines look at text",
                history.binaries
            ));
        }
        if history.merges == Merges::Separate {
            say.push(
                "merge commits were compared with each parent: this git cannot redo them here"
                    .to_owned(),
            );
        }
        facts.details.insert(
            "history".to_owned(),
            json!({
                "commits": history.total,
                "commits_with_text": history.with_text(),
                "merges_with_text": history.merges_with_text(),
                "binary_files": history.binaries,
            }),
        );
    }
    if let Some(range) = &scan.repository.range {
        facts.details.insert(
            "range".to_owned(),
            json!({
                "base": range.base,
                "head": range.head,
                "fork": range.fork,
                "origin": scan.config.range_note.as_ref().map_or("typed", |_| "event"),
            }),
        );
    }
    if let Some(files) = files {
        if files.unreadable > 0 {
            say.push(format!("{} folders that cannot be read", files.unreadable));
        }
        facts.details.insert(
            "tree".to_owned(),
            json!({"files": files.files, "bytes": files.bytes}),
        );
    }
    if !tree {
        say.push("files of the work tree that are not committed".to_owned());
    }
    if let Some(root) = &scan.repository.root {
        if root.join(".gitmodules").exists() {
            say.push("submodules: each is a repository of its own".to_owned());
        }
        let is_gitleaks = scan
            .config
            .engines
            .iter()
            .all(|one| one.kind != Kind::Gitleaks || one.program.ends_with("gitleaks"));
        for name in [".betterleaks.toml", ".betterleaksignore"] {
            if tree && !is_gitleaks && root.join(name).exists() {
                say.push(format!(
                    "lines of files that `{name}` excuses: Betterleaks may go by it"
                ));
            }
        }
        if tree && root.join(".gitleaksignore").exists() {
            say.push("lines of files that `.gitleaksignore` names and that are not committed yet: import it with `secret-scan baseline import`, then delete it".to_owned());
        }
    }
    let skipped: u64 = facts.passes.iter().map(|pass| pass.stated.skipped).sum();
    if skipped > 0 {
        say.push(format!(
            "{skipped} files or folders that an engine left out, aloud"
        ));
    }
}

/// Joins the rows to incidents and looks for them in HEAD.
pub(super) async fn finish(
    facts: &mut Facts,
    config: &Config,
    repository: Option<&Repository>,
    commits: &BTreeMap<String, Timestamp>,
) {
    let mut rows: Vec<Row> = Vec::new();
    for pass in &facts.passes {
        for row in &pass.rows {
            let mut row = row.clone();
            // The commit itself knows best when it was made.
            let known = row.commit.as_ref().and_then(|commit| commits.get(commit));
            row.at = known.copied().or(row.at);
            rows.push(row);
        }
    }
    facts.incidents = incident::join(&rows, &config.setting.key);
    let Some(repository) = repository else { return };
    let head = match (&repository.range, &repository.head) {
        (Some(range), _) => range.head.clone(),
        (None, Some(head)) => head.clone(),
        (None, None) => return,
    };
    let mut values = Vec::new();
    let mut owners = Vec::new();
    for (index, one) in facts.incidents.iter().enumerate() {
        for value in &one.values {
            values.push(value);
            owners.push(index);
        }
    }
    match repo::holds(&repository.git, &head, &values).await {
        Ok(found) => {
            let held: Vec<usize> = found
                .into_iter()
                .filter_map(|index| owners.get(index).copied())
                .collect();
            for (index, one) in facts.incidents.iter_mut().enumerate() {
                if !one.values.is_empty() {
                    one.in_head = Some(held.contains(&index));
                }
            }
        }
        Err(error) => facts.not_covered.push(format!(
            "whether HEAD still has what was found: {}",
            crate::engine::scrub::text(&error.to_string())
        )),
    }
}
