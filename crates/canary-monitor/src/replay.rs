//! Judging files of observations again, or for the first time.

use std::path::Path;

use gs_common::config::read_text;
use gs_common::report::{Check, Input, Quantity, Report, SCHEMA, Series, Subject, Tool};
use gs_common::verdict::Verdict;
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use crate::args::Judge;
use crate::judge::{Decision, Policy, View, Watch, reason};
use crate::observations::{self, Observations};
use crate::peers::kayenta::Kayenta;
use crate::peers::limits::Limits;

/// A file larger than this is not read.
const LARGEST: u64 = 1 << 30;

/// What came of one file.
#[derive(Clone, Debug)]
pub struct Replayed {
    /// The path as given.
    pub path: String,
    /// The judgement.
    pub decision: Decision,
    /// The judge's knowledge at that moment, where our judge judged.
    pub view: Option<View>,
    /// What could not be used of the file.
    pub lost: Vec<String>,
    sha256: Option<String>,
    readable: bool,
}

/// Judges one file. A file without observations that can be read is no verdict.
///
/// # Errors
/// The file cannot be read at all; one sentence.
pub fn file(
    path: &Path,
    judge: Judge,
    policy: &Policy,
) -> Result<Replayed, gs_common::config::ConfigError> {
    let shown = path.display().to_string();
    // A path that leads nowhere was typed wrongly; what stands in the file was not.
    std::fs::metadata(path).map_err(|error| {
        gs_common::config::ConfigError::new(format!("cannot read `{shown}`: {error}"))
            .hint("check the path")
    })?;
    let unreadable = |message: String| Replayed {
        path: shown.clone(),
        decision: Decision {
            verdict: Verdict::Inconclusive,
            reason: reason::UNREADABLE,
            at_seconds: 0.0,
            sentence: format!("{shown}: {message}"),
        },
        view: None,
        lost: Vec::new(),
        sha256: None,
        readable: false,
    };
    let text = match read_text(path, LARGEST) {
        Ok(text) => text,
        Err(error) => return Ok(unreadable(error.to_string())),
    };
    let sha256 = Some(format!("{:x}", Sha256::digest(text.as_bytes())));
    match observations::read(&text) {
        Err(error) => Ok(Replayed {
            sha256,
            ..unreadable(error.to_string())
        }),
        Ok(seen) => {
            let (decision, view) = decide(&seen, judge, policy);
            Ok(Replayed {
                path: shown,
                decision,
                view,
                lost: seen.lost,
                sha256,
                readable: true,
            })
        }
    }
}

/// Judges observations.
#[must_use]
pub fn decide(seen: &Observations, judge: Judge, policy: &Policy) -> (Decision, Option<View>) {
    let (header, scrapes) = (&seen.header, &seen.scrapes);
    match judge {
        Judge::Sequential => {
            let mut watch = Watch::new(policy.clone(), header);
            let early = scrapes.iter().find_map(|scrape| watch.step(scrape));
            let decision = early.unwrap_or_else(|| watch.finish());
            (decision, Some(watch.view()))
        }
        Judge::Limits => {
            let mut limits = Limits::new(policy.clone(), header);
            let early = scrapes.iter().find_map(|scrape| limits.step(scrape));
            (early.unwrap_or_else(|| limits.finish()), None)
        }
        Judge::Kayenta => {
            let mut kayenta = Kayenta::new(header);
            let early = scrapes.iter().find_map(|scrape| kayenta.step(scrape));
            (early.unwrap_or_else(|| kayenta.finish()), None)
        }
    }
}

/// Makes the report of some files; the worst verdict is the verdict.
#[must_use]
pub fn report(replayed: &[Replayed], judge: Judge, started_at: Timestamp) -> Report {
    let worst = replayed.iter().max_by_key(|one| one.decision.verdict);
    let verdict = Verdict::over(replayed.iter().map(|one| one.decision.verdict));
    let (code, sentence) = worst.map_or((reason::METRICS_UNAVAILABLE, String::new()), |one| {
        (one.decision.reason, one.decision.sentence.clone())
    });
    let who = match judge {
        Judge::Sequential => "",
        Judge::Limits => "the guide's plain rule says: ",
        Judge::Kayenta => "the way of Kayenta says: ",
    };
    let subject = match replayed {
        [one] => one.path.clone(),
        many => format!("{} files", many.len()),
    };
    let mut details = Map::new();
    let replays: Vec<Value> = replayed.iter().map(replay_of).collect();
    details.insert("replays".to_owned(), replays.into());
    Report {
        schema: SCHEMA.to_owned(),
        tool: Tool {
            name: "canary-monitor".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        },
        subject: Subject {
            kind: "observations".to_owned(),
            name: subject,
            commit: None,
        },
        started_at,
        ended_at: Timestamp::now(),
        verdict,
        reason: code.to_owned(),
        summary: format!("{who}{sentence}"),
        next: Vec::new(),
        checks: replayed.iter().map(check_of).collect(),
        findings: Vec::new(),
        inputs: replayed.iter().map(input_of).collect(),
        not_covered: replayed
            .iter()
            .flat_map(|one| one.lost.iter().map(|lost| format!("{}: {lost}", one.path)))
            .collect(),
        series: Vec::<Series>::new(),
        details,
    }
}

fn replay_of(one: &Replayed) -> Value {
    let mut value = json!({
        "path": one.path,
        "verdict": one.decision.verdict,
        "reason": one.decision.reason,
        "decided_at_seconds": one.decision.at_seconds,
    });
    if let (Some(view), Some(members)) = (&one.view, value.as_object_mut()) {
        let tests: Vec<Value> = view
            .tests
            .iter()
            .map(|test| {
                json!({
                    "reason": test.reason, "evidence_nats": test.evidence, "dispersion": test.dispersion,
                    "held_checks": test.held, "needed_checks": test.needed,
                })
            })
            .collect();
        members.insert("tests".to_owned(), tests.into());
        members.insert("fail_line_nats".to_owned(), view.fail_line.into());
        members.insert(
            "smallest_error_ratio_seen".to_owned(),
            json!(view.smallest_error_ratio),
        );
        members.insert("canary_requests".to_owned(), view.canary.requests.into());
        members.insert("stable_requests".to_owned(), view.stable.requests.into());
        let placebo: Vec<Value> = view
            .placebo
            .iter()
            .map(|(pod, side, errors, latency)| {
                json!({"pod": pod, "side": side.as_str(), "errors_distance": errors, "latency_distance": latency})
            })
            .collect();
        members.insert("placebo".to_owned(), placebo.into());
    }
    value
}

fn check_of(one: &Replayed) -> Check {
    let decision = &one.decision;
    let passed = decision.verdict == Verdict::Pass;
    Check {
        id: one.path.clone(),
        title: "the canary may be promoted".to_owned(),
        target: None,
        verdict: decision.verdict,
        reason: (!passed).then(|| decision.reason.to_owned()),
        message: (!passed).then(|| decision.sentence.clone()),
        observed: Some(Quantity::of(decision.at_seconds, "s into the run")),
        expected: None,
        attempts: None,
        duration_ms: None,
        evidence: one.view.as_ref().map(evidence_of).unwrap_or_default(),
        reproduce: Some(format!("canary-monitor replay {}", one.path)),
        place: None,
        tags: Vec::new(),
        flaky: false,
        tries: Vec::new(),
        broken: Vec::new(),
    }
}

fn evidence_of(view: &View) -> Vec<gs_common::report::Evidence> {
    let mut lines: Vec<String> = view
        .tests
        .iter()
        .map(|test| {
            format!(
                "{}: evidence {:.1} of {:.1}, held at {} of {} checks, dispersion {:.1}",
                test.reason, test.evidence, view.fail_line, test.held, test.needed, test.dispersion
            )
        })
        .collect();
    if let Some(ratio) = view.smallest_error_ratio {
        lines.push(format!(
            "could have seen: an error rate {ratio:.1} times stable's, with 80% probability"
        ));
    }
    vec![gs_common::report::Evidence {
        label: "tests".to_owned(),
        text: lines.join("\n"),
    }]
}

fn input_of(one: &Replayed) -> Input {
    Input {
        path: one.path.clone(),
        format: observations::SCHEMA.to_owned(),
        outcome: if one.readable { "read" } else { "unreadable" }.to_owned(),
        sha256: one.sha256.clone(),
        ..Input::default()
    }
}
