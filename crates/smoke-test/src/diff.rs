//! What changed between two runs: verdicts, statuses, shapes of bodies, and times.

use std::collections::BTreeSet;
use std::path::Path;

use gs_common::config::{ConfigError, read_text};
use gs_common::fingerprint;
use gs_common::report::{Check, Input, Quantity, Report, SCHEMA};
use gs_common::verdict::Verdict;
use serde_json::{Map, Value};

use crate::judge::reason;

/// A saved report larger than this is not one of ours.
const LARGEST: u64 = 64 << 20;

/// A shape has at most so many members; what is deeper or wider is left out.
const LARGEST_SHAPE: usize = 300;

/// A time counts as changed beyond this factor, and this many milliseconds: one sample is noise.
const SLOWER: (f64, f64) = (2.0, 50.0);

/// Reads a saved run.
///
/// # Errors
/// It cannot be read, or is no report of a smoke test.
pub fn load(path: &Path) -> Result<Report, ConfigError> {
    let shown = path.display();
    let text = read_text(path, LARGEST)?;
    let hint = "save one with `smoke-test URL --output json=FILE`";
    let report: Report = serde_json::from_str(&text)
        .map_err(|error| ConfigError::new(format!("`{shown}` is no report: {error}")).hint(hint))?;
    if report.schema != SCHEMA {
        return Err(ConfigError::new(format!(
            "`{shown}` has the schema `{}`, not `{SCHEMA}`",
            report.schema
        ))
        .hint(hint));
    }
    if report.tool.name != "smoke-test" {
        return Err(ConfigError::new(format!(
            "`{shown}` was written by {}, not by smoke-test",
            report.tool.name
        ))
        .hint(hint));
    }
    Ok(report)
}

/// How a document is built: one line per member with its kind, list items together, sorted.
#[must_use]
pub fn shape(document: &Value) -> Vec<String> {
    let mut lines = BTreeSet::new();
    walk(document, "$", 0, &mut lines);
    lines.into_iter().collect()
}

fn walk(value: &Value, path: &str, depth: usize, lines: &mut BTreeSet<String>) {
    if lines.len() >= LARGEST_SHAPE || depth > 8 {
        return;
    }
    let kind = match value {
        Value::Object(_) => "object",
        Value::Array(_) => "array",
        Value::String(_) => "string",
        Value::Number(_) => "number",
        Value::Bool(_) => "boolean",
        Value::Null => "null",
    };
    lines.insert(format!("{path}: {kind}"));
    match value {
        Value::Object(members) => {
            members.iter().for_each(|(name, member)| {
                walk(member, &format!("{path}.{name}"), depth + 1, lines)
            });
        }
        Value::Array(items) => {
            items
                .iter()
                .take(20)
                .for_each(|item| walk(item, &format!("{path}[]"), depth + 1, lines));
        }
        _ => {}
    }
}

/// A change of one check.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// The check's id.
    pub id: String,
    /// `Fail` where it got worse, `Warn` where it is only different.
    pub verdict: Verdict,
    /// What changed, in one sentence.
    pub sentence: String,
}

/// The tag of checks that a comparison made.
const TAG: &str = "diff";

/// Compares two runs, check by check, in the order of the newer one.
#[must_use]
pub fn changes(before: &Report, after: &Report) -> Vec<Change> {
    let mut changes = Vec::new();
    let of = |report: &Report, id: &str| report.checks.iter().find(|check| check.id == id).cloned();
    // What an earlier comparison found is no check of the service: it would be found again, and as new.
    let own = |check: &&Check| !check.tags.iter().any(|tag| tag == TAG);
    for check in after.checks.iter().filter(own) {
        let change = |verdict, sentence| Change {
            id: check.id.clone(),
            verdict,
            sentence,
        };
        let Some(old) = of(before, &check.id) else {
            if check.verdict > Verdict::Warn {
                changes.push(change(
                    Verdict::Fail,
                    format!("it is new, and its verdict is {}", check.verdict),
                ));
            }
            continue;
        };
        if check.verdict != old.verdict {
            let worse = check.verdict > old.verdict && check.verdict > Verdict::Warn;
            let verdict = if worse { Verdict::Fail } else { Verdict::Warn };
            let why = check
                .message
                .as_deref()
                .map(|message| format!(": {message}"))
                .unwrap_or_default();
            changes.push(change(
                verdict,
                format!("{} became {}{why}", old.verdict, check.verdict),
            ));
        }
        let (was, is) = (facts(before, &check.id), facts(after, &check.id));
        changes.extend(
            factual(was, is)
                .into_iter()
                .map(|(verdict, sentence)| change(verdict, sentence)),
        );
    }
    for old in before
        .checks
        .iter()
        .filter(own)
        .filter(|old| of(after, &old.id).is_none())
    {
        let sentence = "it is not in the newer run".to_owned();
        changes.push(Change {
            id: old.id.clone(),
            verdict: Verdict::Warn,
            sentence,
        });
    }
    changes
}

fn facts<'a>(report: &'a Report, id: &str) -> Option<&'a Map<String, Value>> {
    report.details.get("checks")?.get(id)?.as_object()
}

fn factual(
    was: Option<&Map<String, Value>>,
    is: Option<&Map<String, Value>>,
) -> Vec<(Verdict, String)> {
    let (Some(was), Some(is)) = (was, is) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for (name, word) in [
        ("status", "status"),
        ("content_type", "content type"),
        ("versions", "versions seen"),
    ] {
        if let (Some(old), Some(new)) = (was.get(name), is.get(name))
            && old != new
        {
            found.push((Verdict::Warn, format!("{word} {old} became {new}")));
        }
    }
    let lines = |facts: &Map<String, Value>| -> Option<BTreeSet<String>> {
        let lines = facts.get("shape")?.as_array()?;
        Some(
            lines
                .iter()
                .filter_map(|line| line.as_str().map(str::to_owned))
                .collect(),
        )
    };
    if let (Some(old), Some(new)) = (lines(was), lines(is)) {
        let few = |lines: Vec<&String>| {
            let more = if lines.len() > 5 { ", …" } else { "" };
            lines
                .iter()
                .take(5)
                .map(|line| format!("`{line}`"))
                .collect::<Vec<_>>()
                .join(", ")
                + more
        };
        let lost: Vec<&String> = old.difference(&new).collect();
        let gained: Vec<&String> = new.difference(&old).collect();
        if !lost.is_empty() {
            found.push((Verdict::Warn, format!("the body lost {}", few(lost))));
        }
        if !gained.is_empty() {
            found.push((Verdict::Warn, format!("the body gained {}", few(gained))));
        }
    }
    if let (Some(old), Some(new)) = (
        was.get("total_ms").and_then(Value::as_f64),
        is.get("total_ms").and_then(Value::as_f64),
    ) && new > old * SLOWER.0
        && new - old > SLOWER.1
    {
        found.push((
            Verdict::Warn,
            format!("{old:.0} ms became {new:.0} ms (one sample each)"),
        ));
    }
    found
}

/// The comparison of two saved runs as a report of its own.
#[must_use]
pub fn report(before: (&Path, &Report), after: (&Path, &Report)) -> Report {
    let found = changes(before.1, after.1);
    let compared = before
        .1
        .checks
        .iter()
        .filter(|old| after.1.checks.iter().any(|check| check.id == old.id))
        .count();
    let worst = found.iter().map(|change| change.verdict).max();
    let (verdict, code) = match worst {
        _ if compared == 0 => (Verdict::Inconclusive, reason::NOTHING_MEASURED),
        Some(Verdict::Fail) => (Verdict::Fail, reason::WORSE),
        Some(_) => (Verdict::Warn, reason::CHANGED),
        None => (Verdict::Pass, reason::UNCHANGED),
    };
    let summary = match verdict {
        Verdict::Inconclusive => "no verdict: the two runs have no check in common".to_owned(),
        Verdict::Pass => format!("nothing changed in {compared} checks"),
        _ => {
            let worse = found
                .iter()
                .filter(|change| change.verdict == Verdict::Fail)
                .count();
            format!(
                "{worse} changes for the worse and {} others in {compared} checks",
                found.len() - worse
            )
        }
    };
    let now = jiff::Timestamp::now();
    let mut report = after.1.clone();
    report.verdict = verdict;
    report.reason = code.to_owned();
    report.summary = summary;
    report.next = Vec::new();
    report.not_covered = Vec::new();
    report.started_at = now;
    report.ended_at = now;
    report.details = Map::new();
    report.inputs = [before, after]
        .map(|(path, read)| input(path, read, now))
        .to_vec();
    report.checks = found.into_iter().map(as_check).collect();
    report
}

fn input(path: &Path, read: &Report, now: jiff::Timestamp) -> Input {
    let bytes = std::fs::read(path).unwrap_or_default();
    Input {
        path: path.display().to_string(),
        format: SCHEMA.to_owned(),
        outcome: "read".to_owned(),
        sha256: Some(fingerprint::sha256(&bytes)),
        age_seconds: Some(now.duration_since(read.ended_at).as_secs_f64()),
        ..Input::default()
    }
}

fn as_check(change: Change) -> Check {
    Check {
        verdict: change.verdict,
        reason: Some(
            if change.verdict == Verdict::Fail {
                reason::WORSE
            } else {
                reason::CHANGED
            }
            .to_owned(),
        ),
        message: Some(change.sentence),
        tags: vec![TAG.to_owned()],
        ..Check::passed(change.id.clone(), change.id)
    }
}

/// Folds the comparison with an earlier run into a new one: what got worse fails it.
pub fn fold(before: &Report, after: &mut Report) {
    let found = changes(before, after);
    for (index, change) in found.into_iter().enumerate() {
        let mut check = as_check(change);
        check.id = format!("diff.{}.{}", index + 1, check.id);
        raise(after, check);
    }
}

/// Demands that the answering deployment is another one than in the earlier run: another version,
/// or a process that started since.
pub fn must_differ(other: &Report, report: &mut Report) {
    let versions = |report: &Report| {
        let seen: BTreeSet<String> = report
            .details
            .get("checks")
            .and_then(Value::as_object)
            .into_iter()
            .flat_map(|checks| checks.values())
            .filter_map(|facts| {
                facts
                    .get("versions")?
                    .as_str()
                    .map(|text| text.split(" x").next().unwrap_or(text).to_owned())
            })
            .collect();
        seen
    };
    let (old, new) = (versions(other), versions(report));
    let (verdict, sentence) = if old.is_empty() || new.is_empty() {
        (
            Verdict::Inconclusive,
            "one of the two runs saw no version: both need the version gate (--expect-version)"
                .to_owned(),
        )
    } else if old == new {
        (
            Verdict::Fail,
            format!(
                "the same version answers as in the earlier run: {}",
                new.into_iter().collect::<Vec<_>>().join(", ")
            ),
        )
    } else {
        return;
    };
    let mut check = as_check(Change {
        id: "differs-from".to_owned(),
        verdict,
        sentence,
    });
    check.title = "another version answers than before".to_owned();
    check.observed = Some(Quantity::bare("the same"));
    raise(report, check);
}

/// Adds a check, and lets the run's verdict follow.
fn raise(report: &mut Report, check: Check) {
    if check.verdict > report.verdict {
        report.verdict = check.verdict;
        report.reason = match check.verdict {
            Verdict::Fail => reason::WORSE,
            Verdict::Inconclusive => reason::NOTHING_MEASURED,
            _ => reason::CHANGED,
        }
        .to_owned();
        report.summary = format!(
            "{}; {}: {}",
            report.summary,
            check.id,
            check.message.as_deref().unwrap_or_default()
        );
    }
    report.checks.push(check);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn what_a_comparison_found_is_not_compared_again() {
        let (before, mut after) = (
            run(&[("a", Verdict::Pass, json!({}))]),
            run(&[("a", Verdict::Fail, json!({}))]),
        );
        fold(&before, &mut after);
        assert_eq!(after.checks.len(), 2);
        let ids = |before: &Report, after: &Report| -> Vec<String> {
            changes(before, after)
                .into_iter()
                .map(|change| change.id)
                .collect()
        };
        assert_eq!(ids(&before, &after), ["a"]);
        // Nor is it missed by the next run.
        assert_eq!(ids(&after, &before), ["a"]);
        assert_eq!(ids(&after, &after.clone()), Vec::<String>::new());
    }

    #[test]
    fn a_shape_is_members_and_kinds() {
        let document = json!([{"a": 1}, {"a": null, "b": []}]);
        assert_eq!(
            shape(&document),
            [
                "$: array",
                "$[].a: null",
                "$[].a: number",
                "$[].b: array",
                "$[]: object"
            ]
        );
    }

    fn run(checks: &[(&str, Verdict, Value)]) -> Report {
        let mut report: Report = serde_json::from_value(json!({
            "schema": SCHEMA, "tool": {"name": "smoke-test", "version": "0.1.0"},
            "subject": {"kind": "url", "name": "http://a", "commit": null},
            "started_at": "2026-11-24T02:00:00.000Z", "ended_at": "2026-11-24T02:00:01.000Z",
            "verdict": "pass", "reason": "all_passed", "summary": "all passed",
        }))
        .unwrap();
        let mut facts = Map::new();
        for (id, verdict, fact) in checks {
            let mut check = as_check(Change {
                id: (*id).to_owned(),
                verdict: *verdict,
                sentence: "x".to_owned(),
            });
            check.message = None;
            check.tags.clear();
            report.checks.push(check);
            facts.insert((*id).to_owned(), fact.clone());
        }
        report
            .details
            .insert("checks".to_owned(), Value::Object(facts));
        report
    }

    #[track_caller]
    fn check(
        before: &[(&str, Verdict, Value)],
        after: &[(&str, Verdict, Value)],
        expected: (Verdict, &str),
    ) {
        let (before, after) = (run(before), run(after));
        let made = report((Path::new("a"), &before), (Path::new("b"), &after));
        assert_eq!(
            (made.verdict, made.reason.as_str()),
            expected,
            "{:?}",
            made.checks
        );
    }

    #[test]
    fn what_got_worse_fails_and_what_only_changed_warns() {
        let pass = |fact: Value| ("a", Verdict::Pass, fact);
        let fail = |fact: Value| ("a", Verdict::Fail, fact);
        check(
            &[pass(json!({}))],
            &[pass(json!({}))],
            (Verdict::Pass, "unchanged"),
        );
        check(
            &[pass(json!({}))],
            &[fail(json!({}))],
            (Verdict::Fail, "worse"),
        );
        check(
            &[fail(json!({}))],
            &[pass(json!({}))],
            (Verdict::Warn, "changed"),
        );
        check(
            &[pass(json!({"status": 200}))],
            &[pass(json!({"status": 204}))],
            (Verdict::Warn, "changed"),
        );
        check(
            &[pass(json!({"shape": ["$: object", "$.a: number"]}))],
            &[pass(json!({"shape": ["$: object"]}))],
            (Verdict::Warn, "changed"),
        );
        check(
            &[pass(json!({"total_ms": 10}))],
            &[pass(json!({"total_ms": 55}))],
            (Verdict::Pass, "unchanged"),
        );
        check(
            &[pass(json!({"total_ms": 100}))],
            &[pass(json!({"total_ms": 300}))],
            (Verdict::Warn, "changed"),
        );
        check(
            &[pass(json!({}))],
            &[("b", Verdict::Pass, json!({}))],
            (Verdict::Inconclusive, "nothing_measured"),
        );
        check(&[], &[], (Verdict::Inconclusive, "nothing_measured"));
    }

    proptest! {
        #[test]
        fn no_file_makes_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let file = tempfile::NamedTempFile::new().unwrap();
            gs_common::file::write_atomic(file.path(), |out| out.write_all(&bytes)).unwrap();
            let _ = load(file.path()).is_ok();
        }
    }
}
