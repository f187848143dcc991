//! Stored runs of two sides: read, checked for being comparable, judged.

use std::path::{Path, PathBuf};

use gs_common::fingerprint;
use gs_common::report::{Input, Report};
use jiff::Timestamp;

use super::judge::{self, Comparison, Policy};
use super::model::{self, Difference, Run};
use super::summary::{self, Kind, Outcome};
use crate::import;

/// What to compare.
#[derive(Clone, Debug)]
pub struct Files {
    /// The runs to hold the new ones against.
    pub base: Vec<PathBuf>,
    /// The new runs.
    pub new: Vec<PathBuf>,
    /// Members of the identity that may differ.
    pub allowed: Vec<String>,
}

/// Reads and compares files. What cannot be read or compared is no verdict, never a pass.
#[must_use]
pub fn compare(files: &Files, policy: &Policy, started_at: Timestamp) -> Report {
    let mut inputs = Vec::new();
    let mut unreadable = Vec::new();
    let mut side = |paths: &[PathBuf]| -> Vec<Run> {
        let mut runs = Vec::new();
        for path in paths {
            let (input, run) = read(path, started_at);
            inputs.push(input);
            match run {
                Ok(run) => runs.push(run),
                Err(error) => unreadable.push(error),
            }
        }
        runs
    };
    let (base, new) = (side(&files.base), side(&files.new));
    let outcome = if unreadable.is_empty() {
        judged(&base, &new, &files.allowed, policy)
    } else {
        Outcome::Unreadable(unreadable)
    };
    let subject = files
        .new
        .iter()
        .map(|path| path.display().to_string())
        .collect::<Vec<_>>()
        .join(", ");
    let mut report = summary::report(&Kind::Stored, &subject, &outcome, policy, started_at);
    report.inputs = inputs;
    if !files.allowed.is_empty() {
        report.not_covered.push(format!(
            "whether the runs are alike in: {} (allowed to differ)",
            files.allowed.join(", ")
        ));
    }
    report
}

fn judged(base: &[Run], new: &[Run], allowed: &[String], policy: &Policy) -> Outcome {
    let differences: Vec<Difference> = model::differences(base.iter().chain(new), allowed);
    if !differences.is_empty() {
        return Outcome::NotComparable(differences);
    }
    let (base, void_base) = without_void(base, true);
    let (new, void_new) = without_void(new, false);
    let void: Vec<String> = void_base.into_iter().chain(void_new).collect();
    if base.is_empty() || new.is_empty() {
        return Outcome::Void(void);
    }
    let comparison: Comparison = judge::stored(&base, &new, policy);
    Outcome::Judged {
        comparison,
        void,
        smallest: Vec::new(),
    }
}

/// The runs that say something, and a sentence for each that does not.
fn without_void(runs: &[Run], is_base: bool) -> (Vec<Run>, Vec<String>) {
    let mut kept = Vec::new();
    let mut void = Vec::new();
    for run in runs {
        match run.says_nothing(is_base) {
            None => kept.push(run.clone()),
            Some(why) => void.push(format!("{}: {why}", run.source)),
        }
    }
    (kept, void)
}

fn read(path: &Path, now: Timestamp) -> (Input, Result<Run, String>) {
    let shown = path.display().to_string();
    let mut input = Input {
        path: shown.clone(),
        format: "unknown".to_owned(),
        outcome: "unreadable".to_owned(),
        ..Input::default()
    };
    let bytes = match import::bytes(path) {
        Ok(bytes) => bytes,
        Err(error) => return (input, Err(format!("{shown}: {error}"))),
    };
    input.sha256 = Some(fingerprint::sha256(&bytes));
    match import::run(&shown, &bytes) {
        Err(error) => {
            let hint = error
                .hint
                .map_or_else(String::new, |hint| format!(" ({hint})"));
            (input, Err(format!("{shown}: {}{hint}", error.message)))
        }
        Ok(imported) => {
            input.format = imported.format.to_owned();
            input.outcome = "measured".to_owned();
            input.age_seconds = imported
                .run
                .started_at
                .map(|start| now.as_millisecond() as f64 / 1e3 - start)
                .filter(|age| *age >= 0.0);
            (input, Ok(imported.run))
        }
    }
}
