//! The decision log, `gs.canary-log/v1`: JSON lines, only ever appended to. The first line says who
//! judges what by which policy; then everything that was seen, as raw counts, everything that was done,
//! and at the end the decision.
//!
//! The judge sees only what went through the text of a line: [`Line::encode`] first, then [`read_line`].
//! A replay reads the same text and so cannot come to another decision.

mod read;
#[cfg(test)]
mod tests;
mod write;

use std::collections::BTreeMap;

use gs_common::report::Tool;
use gs_common::verdict::Verdict;
use serde::{Deserialize, Serialize};

use crate::judge::{Decision, Policy, View, Watch};
use crate::observations::{Header, Scrape};

pub use read::{Reader, Recording, read, read_line};
pub use write::{Log, OpenError};

/// The schema name of this version of the log.
pub const SCHEMA: &str = "gs.canary-log/v1";

/// The first line of a log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LogHeader {
    /// Always [`SCHEMA`].
    pub schema: String,
    /// Who judges.
    pub tool: Tool,
    /// Names the run: the same after a resume, another for every new run.
    pub run: String,
    /// What is judged, for people.
    pub subject: String,
    /// When second 0 of the run was; RFC 3339.
    pub started_at: jiff::Timestamp,
    /// The header of the observations.
    pub observations: Header,
    /// Every parameter of the judge.
    pub policy: Policy,
    /// The settings that the run is judged by, as text.
    pub settings: BTreeMap<String, String>,
    /// SHA-256 of those.
    pub settings_sha256: String,
    /// What is asked of the source, as it is sent, without credentials.
    pub queries: Vec<String>,
    /// The weights to go through; empty without steps.
    #[serde(default)]
    pub steps: Vec<f64>,
    /// So many seconds of the run in each second of the wall clock; 1 but for simulations.
    pub time_scale: f64,
    /// What deserved a look before the run.
    #[serde(default)]
    pub warnings: Vec<String>,
}

impl LogHeader {
    /// The header as everybody else will read it: through its text.
    ///
    /// # Errors
    /// It has no form in JSON, or breaks the laws of observations; one sentence.
    pub fn settled(&self) -> Result<Self, String> {
        let text = serde_json::to_string(self).map_err(|error| error.to_string())?;
        read::read_header(&text)
    }
}

/// Any other line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Line {
    /// All pods at one moment.
    Scrape(Scrape),
    /// What the judge made of it at a check. For people: a replay computes it again.
    Check(CheckLine),
    /// Something that was to be seen and was not.
    Lost {
        /// Seconds of the run.
        at_seconds: f64,
        /// One sentence.
        what: String,
    },
    /// The watch is over at another time than was planned.
    Until {
        /// Seconds of the run.
        at_seconds: f64,
        /// The new end, in seconds of the run.
        until_seconds: f64,
        /// Why.
        why: String,
    },
    /// A person did something.
    Operator {
        /// Seconds of the run.
        at_seconds: f64,
        /// The wall clock.
        at: jiff::Timestamp,
        /// Who.
        who: String,
        /// `abort`, `hold`, `release`, `extend` or `note`.
        action: String,
        /// What was written, of a note.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        text: Option<String>,
    },
    /// A step of the rollout began: its weight was set.
    Step {
        /// Seconds of the run.
        at_seconds: f64,
        /// Counted from 1.
        step: usize,
        /// The share of the canary.
        weight: f64,
    },
    /// A command of the pipeline.
    Hook(HookLine),
    /// Another process took the run over.
    Resumed {
        /// The wall clock.
        at: jiff::Timestamp,
        /// The last look before, in seconds of the run.
        from_seconds: f64,
        /// Now, in seconds of the run.
        to_seconds: f64,
        /// Looks that the source still knew of; absent where it has no memory.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        back_filled: Option<usize>,
    },
    /// The watch ended, and not by a look.
    End {
        /// Seconds of the run.
        at_seconds: f64,
        /// Whether that was before its time.
        short: bool,
        /// The code: `over`, `deadline`, `interrupted`, `aborted_by_operator`, `step_held`, `hook_failed`.
        reason: String,
        /// Why.
        why: String,
    },
    /// What the judge decided.
    Decision(DecisionLine),
    /// How the run ended, after everything that people and pipelines had to say.
    Outcome {
        /// The wall clock.
        at: jiff::Timestamp,
        /// The verdict of the report.
        verdict: Verdict,
        /// Its reason.
        reason: String,
        /// Its sentence.
        sentence: String,
    },
    /// Of a later version.
    #[serde(other)]
    Unknown,
}

/// The judge at a check.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CheckLine {
    /// Seconds of the run.
    pub at_seconds: f64,
    /// When warming up ended, in seconds of the run.
    pub warm_at_seconds: Option<f64>,
    /// The evidence that fails, in nats.
    pub fail_line_nats: f64,
    /// The tests that go on.
    pub tests: Vec<TestLine>,
    /// The evidence that errors, and slow requests, keep their limits, in nats; absent where there can
    /// be none.
    pub shown_nats: [Option<f64>; 2],
    /// Share of the looks at canary and stable that were had.
    pub coverage: [f64; 2],
}

/// One test at a check.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TestLine {
    /// The reason that it would give.
    pub reason: String,
    /// The evidence, in nats.
    pub evidence_nats: f64,
    /// By which it was divided.
    pub dispersion: f64,
    /// Checks in a row for which it has held.
    pub held_checks: u32,
    /// So many are needed.
    pub needed_checks: u32,
}

/// A command that was run, or would have been.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HookLine {
    /// Seconds of the run.
    pub at_seconds: f64,
    /// `on-step`, `on-pass`, `on-fail` or `on-inconclusive`.
    pub hook: String,
    /// The step, counted from 1, where there are steps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<usize>,
    /// The same for every attempt at the same thing.
    pub key: String,
    /// `started`, `done`, `failed` or `dry_run`.
    pub state: String,
    /// The words of the command.
    pub command: Vec<String>,
    /// How it ended, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<String>,
    /// How long it took, in milliseconds of the wall clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub took_ms: Option<f64>,
    /// The end of what it wrote, without secrets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
}

/// A judgement as it stands in a log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DecisionLine {
    /// Pass, fail or inconclusive.
    pub verdict: Verdict,
    /// The code.
    pub reason: String,
    /// When it was made, in seconds of the run.
    pub at_seconds: f64,
    /// One sentence with the numbers behind it.
    pub sentence: String,
}

impl From<&Decision> for DecisionLine {
    fn from(decision: &Decision) -> Self {
        Self {
            verdict: decision.verdict,
            reason: decision.reason.to_owned(),
            at_seconds: decision.at_seconds,
            sentence: decision.sentence.clone(),
        }
    }
}

impl From<&View> for CheckLine {
    fn from(view: &View) -> Self {
        let finite = |nats: f64| nats.is_finite().then_some(nats);
        Self {
            at_seconds: view.at_seconds,
            warm_at_seconds: view.warm_at_seconds,
            fail_line_nats: view.fail_line,
            tests: view
                .tests
                .iter()
                .map(|test| TestLine {
                    reason: test.reason.to_owned(),
                    evidence_nats: test.evidence,
                    dispersion: test.dispersion,
                    held_checks: test.held,
                    needed_checks: test.needed,
                })
                .collect(),
            shown_nats: [finite(view.shown.0), finite(view.shown.1)],
            coverage: [view.coverage.0, view.coverage.1],
        }
    }
}

impl Line {
    /// The text of the line, its end included.
    ///
    /// # Errors
    /// It holds something that JSON has no form for.
    pub fn encode(&self) -> Result<String, serde_json::Error> {
        Ok(serde_json::to_string(self)? + "\n")
    }

    /// Whether it belongs to the end of a run.
    #[must_use]
    pub fn is_ending(&self) -> bool {
        matches!(
            self,
            Self::End { .. } | Self::Decision(_) | Self::Outcome { .. }
        )
    }
}

/// Tells a judge what a line says. The answer is its decision, once there is one. Lines that are for
/// people change nothing.
pub fn apply(watch: &mut Watch, line: &Line) -> Option<Decision> {
    match line {
        Line::Scrape(scrape) => watch.step(scrape),
        Line::Until { until_seconds, .. } => {
            watch.watch_until(*until_seconds);
            None
        }
        Line::Step { weight, .. } => {
            watch.set_weight(Some(*weight));
            None
        }
        Line::End {
            short: true, why, ..
        } => Some(watch.cut_short(why)),
        Line::End { short: false, .. } => Some(watch.finish()),
        _ => None,
    }
}

/// The lines that count: an end that was followed by a resume was none.
pub fn standing(lines: &[Line]) -> impl Iterator<Item = &Line> {
    let resumed = lines
        .iter()
        .rposition(|line| matches!(line, Line::Resumed { .. }))
        .unwrap_or(0);
    lines
        .iter()
        .enumerate()
        .filter_map(move |(index, line)| (index >= resumed || !line.is_ending()).then_some(line))
}

/// Judges a recording from its beginning to its end. A log that has no end is that of a run that was
/// killed: it is cut short.
#[must_use]
pub fn judge(recording: &Recording, policy: &Policy) -> (Decision, Watch) {
    let mut watch = Watch::new(policy.clone(), &recording.header);
    let decided = standing(&recording.lines).find_map(|line| apply(&mut watch, line));
    let decision = decided.unwrap_or_else(|| {
        let early = watch.is_early();
        if recording.log.is_some() && early {
            watch.cut_short("the log has no end, its run was killed")
        } else {
            watch.finish()
        }
    });
    (decision, watch)
}
