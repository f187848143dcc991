//! The sentences of a report.

use gs_common::finding::Finding;
use serde_json::Value;

use super::Facts;
use crate::config::Config;
use crate::engine::{Outcome, PassRun};
use crate::formats::Verification;
use crate::incident::Incident;
use crate::judge::{self, Decision};
use crate::value::mask;

pub(super) fn message(incident: &Incident) -> String {
    let mut parts = Vec::new();
    parts.push(match incident.verification {
        Verification::Verified => "live: its issuer accepts it".to_owned(),
        Verification::Failed => "perhaps live: its issuer could not be asked".to_owned(),
        Verification::NotTried => "perhaps live: nobody asked its issuer".to_owned(),
        Verification::Unverified => "not found to be live".to_owned(),
    });
    match incident.in_head {
        Some(true) => parts.push("in HEAD".to_owned()),
        Some(false) if all_in_tree(incident) => parts.push("not committed yet".to_owned()),
        Some(false) => parts.push("in the history only".to_owned()),
        None => {}
    }
    let commits = incident
        .places
        .iter()
        .filter_map(|place| place.commit.as_deref());
    let commits = commits.collect::<std::collections::BTreeSet<_>>().len();
    parts.push(match (incident.places.len(), commits) {
        (1, 0) => "one place".to_owned(),
        (places, 0) => format!("{places} places"),
        (1, _) => "one place, one commit".to_owned(),
        (places, 1) => format!("{places} places, one commit"),
        (places, commits) => format!("{places} places, {commits} commits"),
    });
    parts.push(format!("found by {}", incident.sources.join(" and ")));
    if incident.is_weak {
        parts.push("its value was masked before the report was written, so rows were joined by rule and path, which may join several secrets".to_owned());
    }
    parts.join("; ")
}

/// Whether no commit has it.
pub(super) fn all_in_tree(incident: &Incident) -> bool {
    incident.places.iter().all(|place| place.commit.is_none())
}

pub(super) fn plural(count: usize, one: &str, many: &str) -> String {
    if count == 1 {
        format!("1 {one}")
    } else {
        format!("{count} {many}")
    }
}

pub(super) fn sentence(facts: &Facts, findings: &[Finding], decision: Decision) -> String {
    let blocking: Vec<&Finding> = findings.iter().filter(|one| one.blocking).collect();
    let accepted = findings
        .iter()
        .filter(|one| one.suppressed.is_some())
        .count();
    let broken: Vec<&PassRun> = facts
        .passes
        .iter()
        .filter(|pass| pass.outcome != Outcome::Complete)
        .collect();
    let mut what = Vec::new();
    if facts.interrupted {
        what.push("interrupted before the scan was whole".to_owned());
    }
    if !blocking.is_empty() {
        let live = blocking
            .iter()
            .filter(|one| one.more.get("verified") == Some(Value::Bool(true)))
            .count();
        let mut text = plural(blocking.len(), "secret", "secrets");
        text.push_str(" that nothing accepts");
        if live > 0 {
            text.push_str(&format!(", {live} of them live"));
        }
        if let Some(first) = blocking.first() {
            let place = first
                .place
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default();
            let shown = mask(&first.fingerprint);
            text.push_str(&format!(": {} {shown} at {place}", first.title));
            if blocking.len() > 1 {
                text.push_str(&format!(" and {} more", blocking.len() - 1));
            }
        }
        what.push(text);
    }
    if let Some(problem) = facts.problem.as_ref().filter(|_| !facts.interrupted) {
        what.push(problem.message.clone());
    }
    for pass in &broken {
        if let Some(message) = &pass.message {
            what.push(format!(
                "{} of the {}: {message}",
                pass.kind.as_str(),
                pass.pass.as_str()
            ));
        }
    }
    for (input, code) in facts.inputs.iter().zip(&facts.input_codes) {
        if let Some(code) = code {
            what.push(format!("`{}`: {}", input.path, told(code)));
        }
    }
    if what.is_empty() {
        let looked = looked_at(facts);
        what.push(match decision.reason {
            judge::reason::NOTHING_ADDED => format!("no line of text was added ({looked})"),
            judge::reason::NOTHING_TO_SCAN => "there is nothing to scan".to_owned(),
            _ if findings.len() > accepted => format!(
                "{} that the policy excuses ({looked})",
                plural(findings.len() - accepted, "secret", "secrets")
            ),
            _ if accepted > 0 => format!(
                "no secret but {} ({looked})",
                plural(accepted, "accepted one", "accepted ones")
            ),
            _ => format!("no secret was found ({looked})"),
        });
    }
    what.join("; ")
}

pub(super) fn told(code: &str) -> String {
    let known = judge::reason::ALL.iter().find(|(known, _)| *known == code);
    let words = known.map_or(code, |(_, words)| words);
    words.trim_start_matches("no verdict: ").to_owned()
}

pub(super) fn looked_at(facts: &Facts) -> String {
    if !facts.inputs.is_empty() {
        return plural(facts.inputs.len(), "report", "reports");
    }
    let commits = facts
        .passes
        .iter()
        .filter_map(|pass| pass.expected.commits)
        .max();
    let files = facts
        .passes
        .iter()
        .filter_map(|pass| pass.expected.files)
        .max();
    let mut parts = Vec::new();
    parts.extend(
        commits.map(|count| plural(count as usize, "commit with text", "commits with text")),
    );
    parts.extend(files.map(|count| plural(count as usize, "file", "files")));
    let mut engines: Vec<&str> = facts.passes.iter().map(|pass| pass.kind.as_str()).collect();
    engines.dedup();
    parts.push(engines.join(" and "));
    parts.join(", ")
}

pub(super) fn next(facts: &Facts, findings: &[Finding], config: &Config) -> Vec<String> {
    let mut next = Vec::new();
    if facts.interrupted {
        // Why nothing came of it is known.
        next.push("run it again, and let it come to its end".to_owned());
    } else if let Some(problem) = &facts.problem {
        next.push(problem.fix.clone());
    }
    if let Some(first) = findings.iter().find(|one| one.blocking) {
        next.extend(first.advice.first().cloned());
        next.push(format!(
            "if it is none, or of no use any more: `secret-scan baseline add {} --state false_positive --reason TEXT --owner NAME --expires DATE`",
            first.fingerprint
        ));
    }
    let to_mend = if facts.interrupted {
        &[]
    } else {
        facts.passes.as_slice()
    };
    for pass in to_mend {
        let fix = match pass.outcome {
            Outcome::Missing => format!("get {}: {}", pass.kind.as_str(), pass.kind.install()),
            Outcome::TimedOut => format!(
                "give it more time than {}: --deadline",
                gs_common::units::show_duration(config.deadline)
            ),
            Outcome::Replaced => format!(
                "see which program it is: `secret-scan doctor`; if it is the right one, write its SHA-256 as {}-sha256",
                pass.kind.as_str()
            ),
            Outcome::Complete => continue,
            _ => format!("see why by hand: {}", reproduce(pass)),
        };
        if !next.contains(&fix) {
            next.push(fix);
        }
    }
    next
}

/// A line to paste, without what was only there for this run.
pub(super) fn reproduce(pass: &PassRun) -> String {
    let quoted = |word: &String| {
        if word.contains([' ', '^', '*', '\'']) {
            format!("'{}'", word.replace('\'', "'\\''"))
        } else {
            word.clone()
        }
    };
    let words: Vec<String> = pass.arguments.iter().map(quoted).collect();
    let redact = match pass.kind {
        crate::engine::Kind::Gitleaks => " --redact",
        _ => "",
    };
    format!("{} {}{redact}", pass.kind.as_str(), words.join(" "))
}
