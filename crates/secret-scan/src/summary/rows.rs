//! What each engine did, as checks and as rows for machines.

use gs_common::report::{Check, Quantity, millis};
use gs_common::suppression::Applied;
use gs_common::verdict::Verdict;
use serde_json::{Value, json};

use super::Facts;
use super::words::reproduce;
use crate::config::Config;
use crate::engine::{Outcome, Pass, PassRun};
use crate::judge;

pub(super) fn checks(facts: &Facts, config: &Config, applied: &Applied) -> Vec<Check> {
    let mut checks: Vec<Check> = facts
        .passes
        .iter()
        .map(|pass| check(pass, config))
        .collect();
    let expired = applied.count("expired");
    let notes = &config.setting.notes;
    if !applied.uses.is_empty() || !notes.is_empty() {
        let mut one = Check::passed("baseline", "accepted secrets");
        one.verdict = if notes.is_empty() {
            Verdict::Pass
        } else {
            Verdict::Warn
        };
        one.reason = (!notes.is_empty()).then(|| judge::reason::POLICY_EDITED.to_owned());
        one.message = notes.first().cloned();
        one.observed = Some(Quantity::of(applied.uses.len() as u64, "exceptions"));
        one.expected = Some(format!(
            "{expired} expired, {} unused",
            applied.count("unused")
        ));
        checks.push(one);
    }
    checks
}

pub(super) fn check(pass: &PassRun, config: &Config) -> Check {
    let name = pass.kind.as_str();
    let mut check = Check::passed(
        format!("{name}-{}", pass.pass.as_str()),
        format!("{name} over the {}", title_of(pass.pass)),
    );
    let allowed = pass.outcome == Outcome::Missing && config.allow_missing.contains(&pass.kind);
    check.verdict = match pass.outcome {
        Outcome::Complete => Verdict::Pass,
        _ if allowed => Verdict::Warn,
        _ => Verdict::Inconclusive,
    };
    if pass.outcome != Outcome::Complete {
        check.reason = Some(pass.outcome.as_str().to_owned());
        check.message.clone_from(&pass.message);
        check.reproduce = Some(reproduce(pass));
    }
    check.observed = match (pass.stated.commits, pass.stated.chunks, pass.stated.bytes) {
        (Some(commits), ..) if pass.expected.commits.is_some() => {
            Some(Quantity::of(commits, "commits"))
        }
        (_, Some(chunks), _) => Some(Quantity::of(chunks, "chunks")),
        (_, _, Some(bytes)) => Some(Quantity::of(bytes, "bytes")),
        _ => None,
    };
    check.expected = match (pass.expected.commits, pass.expected.files) {
        (Some(commits), _) => Some(format!("{commits} commits with text")),
        (_, Some(files)) => Some(format!("{files} files")),
        _ => None,
    };
    check.duration_ms = Some(millis(pass.took));
    check
}

pub(super) fn title_of(pass: Pass) -> &'static str {
    match pass {
        Pass::History => "history",
        Pass::Range => "commits of the range",
        Pass::Merges => "merge commits",
        Pass::Tree => "files",
        Pass::Staged => "staged changes",
    }
}

pub(super) fn engines(facts: &Facts) -> Vec<Value> {
    let mut engines = Vec::new();
    for (kind, version) in &facts.versions {
        let passes: Vec<&PassRun> = facts
            .passes
            .iter()
            .filter(|pass| pass.kind == *kind)
            .collect();
        let worst = passes
            .iter()
            .map(|pass| pass.outcome)
            .max()
            .unwrap_or_default();
        let main = passes
            .iter()
            .find(|pass| matches!(pass.pass, Pass::History | Pass::Range))
            .or_else(|| passes.first());
        let message = passes.iter().find(|pass| pass.outcome == worst);
        let stated = passes.iter().find_map(|pass| pass.stated.version.clone());
        let binary = facts.binaries.iter().find(|binary| binary.kind == *kind);
        engines.push(json!({
            "name": kind.as_str(),
            "path": binary.map(|binary| binary.path.display().to_string()),
            "sha256": binary.and_then(|binary| binary.sha256.as_ref().ok()),
            "version": version.clone().or(stated),
            "outcome": worst.as_str(),
            "message": message.and_then(|pass| pass.message.clone()),
            "commits_expected": main.and_then(|pass| pass.expected.commits),
            "commits_scanned": main.and_then(|pass| pass.stated.commits),
            "passes": passes.iter().map(|pass| pass_row(pass)).collect::<Vec<_>>(),
        }));
    }
    engines
}

pub(super) fn pass_row(pass: &PassRun) -> Value {
    json!({
        "pass": pass.pass.as_str(),
        "outcome": pass.outcome.as_str(),
        "message": pass.message,
        "commits_expected": pass.expected.commits,
        "commits_scanned": pass.stated.commits,
        "files_expected": pass.expected.files,
        "bytes_scanned": pass.stated.bytes,
        "chunks_scanned": pass.stated.chunks,
        "rows": pass.rows.len(),
        "duration_ms": millis(pass.took),
    })
}
