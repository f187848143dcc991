//! Where a run stands, from the text of its decision log (`gs.canary-log/v1`) or its report
//! (`gs.report/v1`). Pure: the time is an argument.

use gs_common::verdict::Verdict;
use jiff::Timestamp;
use serde_json::Value;

use crate::log::SCHEMA as LOG;

/// A moment that lies so far ahead of us was written by a clock that is wrong.
const AHEAD_SECONDS: f64 = 300.0;

/// How old what is known may be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ages {
    /// A run that goes on writes at least so often, in seconds.
    pub silent_seconds: f64,
    /// A verdict is not older than this, in seconds: it may be that of another rollout.
    pub verdict_seconds: f64,
}

/// Where a run stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Standing {
    /// What is known.
    pub state: State,
    /// A stable code: that of the verdict, or why there is none.
    pub reason: String,
    /// One sentence.
    pub sentence: String,
    /// Seconds of the run at the last line of it.
    pub at_seconds: Option<f64>,
    /// Seconds since something was written.
    pub age_seconds: Option<f64>,
}

/// What is known of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It goes on, and its judge has warmed up and has nothing against the canary.
    Calm,
    /// It goes on: too early to say anything, or there is some evidence.
    Open,
    /// It ended with this verdict.
    Ended(Verdict),
    /// Nothing that may be relied on.
    Unknown,
}

impl State {
    /// The word for machines: a verdict, or `running`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Calm | Self::Open => "running",
            Self::Ended(verdict) => verdict.as_str(),
            Self::Unknown => Verdict::Inconclusive.as_str(),
        }
    }
}

/// Reasons of this module, with what they mean; `docs/canary-integrations.md` lists them.
pub const REASONS: [(&str, &str); 6] = [
    (RUNNING, "the run goes on, its verdict is not there yet"),
    (NO_LOG, "the file is not there, or cannot be opened"),
    (
        UNREADABLE,
        "the file is no decision log and no report of canary-monitor, or it is damaged",
    ),
    (
        NO_VERDICT_YET,
        "the log has not begun, or the run was ended before it could say how",
    ),
    (
        STALE,
        "the run has written nothing for longer than `--stale-after`: its runner may be gone",
    ),
    (
        OLD,
        "the verdict is older than `--max-age`, or from the future: it may be that of another rollout",
    ),
];

/// It goes on.
pub const RUNNING: &str = "running";
/// No file.
pub const NO_LOG: &str = "no_log";
/// Not what it should be.
pub const UNREADABLE: &str = "log_unreadable";
/// A beginning and nothing else.
pub const NO_VERDICT_YET: &str = "log_empty";
/// Silent for too long.
pub const STALE: &str = "log_stale";
/// From another day.
pub const OLD: &str = "verdict_old";

impl Standing {
    /// Nothing that may be relied on.
    #[must_use]
    pub fn unknown(reason: &str, sentence: impl Into<String>) -> Self {
        Self {
            state: State::Unknown,
            reason: reason.to_owned(),
            sentence: sentence.into(),
            at_seconds: None,
            age_seconds: None,
        }
    }
}

/// Reads a file's text. `written` is when the file was last written.
#[must_use]
pub fn read(text: &str, written: Timestamp, now: Timestamp, ages: &Ages) -> Standing {
    let read = match text.lines().find(|line| !line.trim().is_empty()) {
        None => Err((NO_VERDICT_YET, "the file is empty".to_owned())),
        Some(first) if schema(first).as_deref() == Some(LOG) => of_log(text, written, now, ages),
        Some(_) => of_report(text, now, ages),
    };
    read.unwrap_or_else(|(reason, sentence)| Standing::unknown(reason, sentence))
}

type Unknown = (&'static str, String);

fn schema(line: &str) -> Option<String> {
    let value: Value = serde_json::from_str(line).ok()?;
    Some(value.get("schema")?.as_str()?.to_owned())
}

fn age(of: Timestamp, now: Timestamp) -> f64 {
    now.duration_since(of).as_secs_f64()
}

/// Whether a verdict of that moment is one of now.
fn recent(at: Timestamp, now: Timestamp, ages: &Ages) -> Result<f64, Unknown> {
    let age = age(at, now);
    if age < -AHEAD_SECONDS {
        return Err((
            OLD,
            format!("the verdict is of {at:.0}, which has not come yet: a clock is wrong"),
        ));
    }
    if age > ages.verdict_seconds {
        return Err((
            OLD,
            format!(
                "the verdict is of {at:.0}, {:.0} minutes ago, and may be that of another rollout",
                age / 60.0
            ),
        ));
    }
    Ok(age.max(0.0))
}

fn of_report(text: &str, now: Timestamp, ages: &Ages) -> Result<Standing, Unknown> {
    let report: gs_common::report::Report = serde_json::from_str(text).map_err(|error| {
        (
            UNREADABLE,
            format!("it is neither a decision log nor a report: {error}"),
        )
    })?;
    if report.schema != gs_common::report::SCHEMA || report.tool.name != "canary-monitor" {
        return Err((
            UNREADABLE,
            format!(
                "it is a report of {}, schema {}",
                report.tool.name, report.schema
            ),
        ));
    }
    // Selftests, backtests and replays of files judge no rollout that is going on.
    if report.subject.kind != "canary" && report.subject.kind != "deployment" {
        return Err((
            UNREADABLE,
            format!(
                "it is a report about {}, and not about a run",
                report.subject.kind
            ),
        ));
    }
    let age_seconds = recent(report.ended_at, now, ages)?;
    Ok(Standing {
        state: State::Ended(report.verdict),
        reason: report.reason,
        sentence: report.summary,
        at_seconds: None,
        age_seconds: Some(age_seconds),
    })
}

fn of_log(
    text: &str,
    written: Timestamp,
    now: Timestamp,
    ages: &Ages,
) -> Result<Standing, Unknown> {
    let (mut last_at, mut check, mut outcome, mut decision) = (None, None, None, None);
    let mut lines = 0_usize;
    for (index, line) in text.split_inclusive('\n').enumerate() {
        // The line that is being written has no end yet.
        if index == 0 || !line.ends_with('\n') || line.trim().is_empty() {
            continue;
        }
        let value: Value = serde_json::from_str(line)
            .map_err(|error| (UNREADABLE, format!("line {}: {error}", index + 1)))?;
        lines += 1;
        last_at = value.get("at_seconds").and_then(Value::as_f64).or(last_at);
        match value.get("type").and_then(Value::as_str) {
            Some("check") => check = Some(value),
            Some("outcome") => outcome = Some(value),
            Some("decision") => decision = Some(value),
            // Another process took the run over: what was said before does not hold any more.
            Some("resumed") => (outcome, decision) = (None, None),
            Some(_) => {}
            None => return Err((UNREADABLE, format!("line {} has no type", index + 1))),
        }
    }
    if let Some(outcome) = outcome {
        return ended(&outcome, last_at, now, ages);
    }
    let age_seconds = age(written, now);
    if lines == 0 {
        return Err((NO_VERDICT_YET, "the log has no line yet".to_owned()));
    }
    if age_seconds > ages.silent_seconds || age_seconds < -AHEAD_SECONDS {
        return Err((
            STALE,
            format!("the log has no outcome, and nothing was written for {age_seconds:.0} s"),
        ));
    }
    let calm = decision.is_none() && check.as_ref().is_some_and(is_calm);
    let sentence = match (&decision, last_at) {
        (Some(_), _) => "the judge has decided, the run has not ended yet".to_owned(),
        (None, Some(at)) => format!("the run goes on, at {at:.0} s"),
        (None, None) => "the run goes on".to_owned(),
    };
    Ok(Standing {
        state: if calm { State::Calm } else { State::Open },
        reason: RUNNING.to_owned(),
        sentence,
        at_seconds: last_at,
        age_seconds: Some(age_seconds.max(0.0)),
    })
}

fn ended(
    outcome: &Value,
    at_seconds: Option<f64>,
    now: Timestamp,
    ages: &Ages,
) -> Result<Standing, Unknown> {
    let damaged = |what: &str| (UNREADABLE, format!("the outcome in the log has no {what}"));
    let member = |name: &str| outcome.get(name).and_then(Value::as_str);
    let verdict: Verdict = outcome
        .get("verdict")
        .and_then(|verdict| serde_json::from_value(verdict.clone()).ok())
        .ok_or_else(|| damaged("verdict"))?;
    let at: Timestamp = member("at")
        .and_then(|at| at.parse().ok())
        .ok_or_else(|| damaged("time"))?;
    let age_seconds = recent(at, now, ages)?;
    Ok(Standing {
        state: State::Ended(verdict),
        reason: member("reason")
            .ok_or_else(|| damaged("reason"))?
            .to_owned(),
        sentence: member("sentence").unwrap_or_default().to_owned(),
        at_seconds,
        age_seconds: Some(age_seconds),
    })
}

/// Warmed up, and no test has anything against the canary at the moment.
fn is_calm(check: &Value) -> bool {
    let warm = check.get("warm_at_seconds").is_some_and(Value::is_number);
    let tests = check.get("tests").and_then(Value::as_array);
    let quiet = |test: &Value| test.get("held_checks").and_then(Value::as_u64) == Some(0);
    warm && tests.is_some_and(|tests| !tests.is_empty() && tests.iter().all(quiet))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(crate) const AGES: Ages = Ages {
        silent_seconds: 120.0,
        verdict_seconds: 3600.0,
    };

    pub(crate) fn now() -> Timestamp {
        "2026-11-26T04:00:00Z".parse().unwrap()
    }

    pub(crate) fn seconds_ago(seconds: i64) -> Timestamp {
        now() - jiff::SignedDuration::from_secs(seconds)
    }

    pub(crate) const HEAD: &str = "{\"schema\":\"gs.canary-log/v1\",\"run\":\"r\"}\n";

    pub(crate) fn check(warm: &str, held: u32) -> String {
        format!(
            "{{\"type\":\"check\",\"at_seconds\":300,\"warm_at_seconds\":{warm},\"tests\":[{{\"reason\":\"error_rate\",\"evidence_nats\":0.1,\"held_checks\":{held}}}]}}\n"
        )
    }

    pub(crate) fn outcome(verdict: &str, ago: i64) -> String {
        format!(
            "{{\"type\":\"outcome\",\"at\":\"{}\",\"verdict\":\"{verdict}\",\"reason\":\"healthy\",\"sentence\":\"s\"}}\n",
            seconds_ago(ago)
        )
    }

    #[track_caller]
    fn stands(text: &str, written_ago: i64, state: State, reason: &str) {
        let standing = read(text, seconds_ago(written_ago), now(), &AGES);
        assert_eq!(
            (standing.state, standing.reason.as_str()),
            (state, reason),
            "{}",
            standing.sentence
        );
    }

    #[test]
    fn a_run_goes_on_until_it_says_how_it_ended() {
        let log = |lines: &[&str]| HEAD.to_owned() + &lines.concat();
        stands(&log(&[&check("90", 0)]), 10, State::Calm, RUNNING);
        stands(&log(&[&check("null", 0)]), 10, State::Open, RUNNING);
        stands(&log(&[&check("90", 1)]), 10, State::Open, RUNNING);
        stands(
            &log(&[&check("90", 1), &check("90", 0)]),
            10,
            State::Calm,
            RUNNING,
        );
        let decided = "{\"type\":\"decision\",\"verdict\":\"pass\",\"reason\":\"healthy\",\"at_seconds\":900,\"sentence\":\"\"}\n";
        stands(&log(&[&check("90", 0), decided]), 10, State::Open, RUNNING);
        for (word, verdict) in [
            ("pass", Verdict::Pass),
            ("warn", Verdict::Warn),
            ("fail", Verdict::Fail),
            ("inconclusive", Verdict::Inconclusive),
        ] {
            stands(
                &log(&[decided, &outcome(word, 60)]),
                60,
                State::Ended(verdict),
                "healthy",
            );
        }
        let resumed = "{\"type\":\"resumed\",\"from_seconds\":1,\"to_seconds\":2}\n";
        stands(
            &log(&[&outcome("pass", 60), resumed]),
            1,
            State::Open,
            RUNNING,
        );
    }

    /// The log's own types write these lines: the two places cannot drift apart.
    #[test]
    fn the_lines_that_a_run_writes_are_understood() {
        use crate::log::{CheckLine, Line, TestLine};
        let check = |held_checks| {
            Line::Check(CheckLine {
                at_seconds: 300.0,
                warm_at_seconds: Some(90.0),
                fail_line_nats: 5.3,
                tests: vec![TestLine {
                    reason: "error_rate".to_owned(),
                    evidence_nats: 0.1,
                    dispersion: 1.0,
                    held_checks,
                    needed_checks: 4,
                }],
                shown_nats: [None, None],
                coverage: [1.0, 1.0],
            })
        };
        let outcome = Line::Outcome {
            at: seconds_ago(5),
            verdict: Verdict::Fail,
            reason: "latency".to_owned(),
            sentence: "slow".to_owned(),
        };
        let text = |lines: &[&Line]| -> String {
            let lines = lines.iter().map(|line| line.encode().unwrap());
            HEAD.to_owned() + &lines.collect::<String>()
        };
        stands(&text(&[&check(0)]), 5, State::Calm, RUNNING);
        stands(&text(&[&check(2)]), 5, State::Open, RUNNING);
        stands(
            &text(&[&check(2), &outcome]),
            5,
            State::Ended(Verdict::Fail),
            "latency",
        );
    }

    #[test]
    fn what_is_old_silent_or_damaged_is_not_known() {
        let log = |lines: &[&str]| HEAD.to_owned() + &lines.concat();
        stands(&log(&[&check("90", 0)]), 121, State::Unknown, STALE);
        stands(&log(&[&outcome("pass", 3601)]), 5, State::Unknown, OLD);
        stands(&log(&[&outcome("pass", -3600)]), 5, State::Unknown, OLD);
        stands(HEAD, 5, State::Unknown, NO_VERDICT_YET);
        stands("", 5, State::Unknown, NO_VERDICT_YET);
        stands("junk", 5, State::Unknown, UNREADABLE);
        stands(
            &log(&["{\"type\":\"check\"", "\n"]),
            5,
            State::Unknown,
            UNREADABLE,
        );
        stands(&log(&["{}\n"]), 5, State::Unknown, UNREADABLE);
        stands(
            &log(&["{\"type\":\"outcome\",\"verdict\":\"great\"}\n"]),
            5,
            State::Unknown,
            UNREADABLE,
        );
        // Bare observations say what was seen, and nobody decided anything.
        let bare = "{\"schema\":\"gs.observations/v1\",\"edges_seconds\":[1],\"scrape_interval_seconds\":15,\"duration_seconds\":900}\n";
        stands(bare, 5, State::Unknown, UNREADABLE);
    }

    #[test]
    fn a_line_that_is_being_written_is_not_read_yet() {
        let whole = HEAD.to_owned() + &check("90", 0) + &outcome("pass", 5);
        for cut in HEAD.len()..whole.len() {
            let standing = read(&whole[..cut], now(), now(), &AGES);
            assert!(
                !matches!(standing.state, State::Ended(_)),
                "{cut}: {standing:?}"
            );
        }
        stands(&whole, 5, State::Ended(Verdict::Pass), "healthy");
    }
}
