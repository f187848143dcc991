//! Judging files of observations again, or for the first time.

use std::path::Path;

use gs_common::config::read_text;
use gs_common::fingerprint;
use gs_common::report::{Check, Input, Quantity, Report, SCHEMA, Series, Subject, Tool};
use gs_common::verdict::Verdict;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::args::Judge;
use crate::judge::{Decision, Policy, View, reason};
use crate::log::{self, DecisionLine, Recording};
use crate::observations;
use crate::peers::kayenta::Kayenta;
use crate::peers::legacy::Legacy;
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
    /// The guide's plain rule beside it, where it was asked for.
    pub legacy: Option<Legacy>,
    /// What could not be used of the file.
    pub lost: Vec<String>,
    /// What the file itself says of how it was judged and how it ended; absent for bare observations.
    pub recorded: Option<Recorded>,
    format: &'static str,
    sha256: Option<String>,
    readable: bool,
}

/// What a decision log says of its own run.
#[derive(Clone, Debug, PartialEq)]
pub struct Recorded {
    /// The decision; absent where the run was killed.
    pub decision: Option<DecisionLine>,
    /// The verdict and the reason of its report.
    pub outcome: Option<(Verdict, String)>,
    /// Whether it was judged by the policy that judges now.
    pub same_policy: bool,
    /// The version of the tool.
    pub version: String,
}

/// How to judge a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct How {
    /// Who judges.
    pub judge: Judge,
    /// Judge by the policy that stands in a log, instead of the given one.
    pub recorded_policy: bool,
    /// Show what the guide's plain rule says beside the verdict.
    pub legacy_view: bool,
}

/// Judges one file. A file without observations that can be read is no verdict.
///
/// # Errors
/// The file cannot be read at all; one sentence.
pub fn file(
    path: &Path,
    how: How,
    policy: &Policy,
) -> Result<Replayed, gs_common::config::ConfigError> {
    let shown = path.display().to_string();
    let judge = how.judge;
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
        legacy: None,
        lost: Vec::new(),
        recorded: None,
        format: observations::SCHEMA,
        sha256: None,
        readable: false,
    };
    let text = match read_text(path, LARGEST) {
        Ok(text) => text,
        Err(error) => return Ok(unreadable(error.to_string())),
    };
    let sha256 = Some(fingerprint::sha256(text.as_bytes()));
    match log::read(&text) {
        Err(error) => Ok(Replayed {
            sha256,
            ..unreadable(error.to_string())
        }),
        Ok(seen) => {
            let header = seen.log.as_ref();
            let policy = match header {
                Some(header) if how.recorded_policy => &header.policy,
                _ => policy,
            };
            let (decision, view) = decide(&seen, judge, policy);
            let recorded = header.map(|header| Recorded {
                decision: seen.decision().cloned(),
                outcome: seen
                    .outcome()
                    .map(|(verdict, reason, _)| (verdict, reason.to_owned())),
                same_policy: header.policy == *policy,
                version: header.tool.version.clone(),
            });
            let lost = [
                seen.lost.clone(),
                differences(recorded.as_ref(), judge, &decision),
            ]
            .concat();
            let legacy = how.legacy_view.then(|| beside(&seen, policy, &decision));
            Ok(Replayed {
                path: shown,
                decision,
                view,
                legacy,
                lost,
                format: if recorded.is_some() {
                    log::SCHEMA
                } else {
                    observations::SCHEMA
                },
                recorded,
                sha256,
                readable: true,
            })
        }
    }
}

/// The plain rule on the same looks, up to the decision.
fn beside(seen: &Recording, policy: &Policy, decision: &Decision) -> Legacy {
    let mut legacy = Legacy::new(policy, &seen.header);
    let until = seen
        .scrapes()
        .take_while(|scrape| scrape.at_seconds <= decision.at_seconds);
    until.for_each(|scrape| legacy.step(scrape));
    legacy
}

/// Where a replay and the run that it replays are not the same, and why.
fn differences(recorded: Option<&Recorded>, judge: Judge, decision: &Decision) -> Vec<String> {
    let Some(recorded) = recorded else {
        return Vec::new();
    };
    let mut told = Vec::new();
    if !recorded.same_policy {
        told.push(
            "the run was judged by another policy than this replay: --recorded-policy takes that of the log"
                .to_owned(),
        );
    }
    match &recorded.decision {
        None => told.push("the log has no decision: its run was killed, or goes on".to_owned()),
        Some(theirs) if judge == Judge::Sequential && *theirs != DecisionLine::from(decision) => {
            told.push(format!(
                "the run itself had decided {} ({}) at {} s, with version {}",
                theirs.verdict, theirs.reason, theirs.at_seconds, recorded.version
            ));
        }
        Some(_) => {}
    }
    if let (Some((verdict, reason)), Some(theirs)) = (&recorded.outcome, &recorded.decision)
        && *verdict != theirs.verdict
    {
        told.push(format!(
            "the run ended as {verdict} ({reason}), whatever its judge had decided"
        ));
    }
    told
}

/// Judges a recording.
#[must_use]
pub fn decide(seen: &Recording, judge: Judge, policy: &Policy) -> (Decision, Option<View>) {
    let header = &seen.header;
    match judge {
        Judge::Sequential => {
            let (decision, watch) = log::judge(seen, policy);
            (decision, Some(watch.view()))
        }
        Judge::Limits => {
            let mut limits = Limits::new(policy.clone(), header);
            let early = seen.scrapes().find_map(|scrape| limits.step(scrape));
            (early.unwrap_or_else(|| limits.finish()), None)
        }
        Judge::Kayenta => {
            let mut kayenta = Kayenta::new(header);
            let early = seen.scrapes().find_map(|scrape| kayenta.step(scrape));
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
    if let (Some(legacy), Some(members)) = (&one.legacy, value.as_object_mut()) {
        members.insert("legacy".to_owned(), legacy.details());
    }
    if let (Some(recorded), Some(members)) = (&one.recorded, value.as_object_mut()) {
        let same = recorded.decision.as_ref() == Some(&DecisionLine::from(&one.decision));
        members.insert(
            "recorded".to_owned(),
            json!({
                "decision": recorded.decision,
                "outcome": recorded.outcome.as_ref().map(|(verdict, reason)| json!({"verdict": verdict, "reason": reason})),
                "same_decision": same,
                "same_policy": recorded.same_policy,
            }),
        );
    }
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
    let tests = one.view.as_ref().map(evidence_of).unwrap_or_default();
    let legacy = one.legacy.as_ref().map(|legacy| legacy.evidence(decision));
    Check {
        verdict: decision.verdict,
        reason: (!passed).then(|| decision.reason.to_owned()),
        message: (!passed).then(|| decision.sentence.clone()),
        observed: Some(Quantity::of(decision.at_seconds, "s into the run")),
        evidence: tests.into_iter().chain(legacy).collect(),
        reproduce: Some(format!("canary-monitor replay {}", one.path)),
        ..Check::passed(one.path.clone(), "the canary may be promoted")
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
        format: one.format.to_owned(),
        outcome: if one.readable { "read" } else { "unreadable" }.to_owned(),
        sha256: one.sha256.clone(),
        ..Input::default()
    }
}
