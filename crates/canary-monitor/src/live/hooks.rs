//! The commands of a pipeline. The judge changes nothing in the world; they do.

use std::path::{Path, PathBuf};
use std::time::Duration;

use gs_common::file::write_atomic;
use gs_common::fingerprint::sha256;
use gs_common::process::{Ended, Program, Ran};
use gs_common::redact::Redactor;
use gs_common::render::{Format, Look, render};
use gs_common::report::Report;

use super::outcome::Outcome;
use crate::config::{Config, Hooks};
use crate::log::HookLine;

/// Of what a command writes, so many bytes at the end stand in the log and the report.
const KEPT_OUTPUT: usize = 2000;

/// Of what a command writes, so many bytes are read before the end is taken.
const READ_OUTPUT: usize = 1 << 18;

/// When a command is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// At the start of a step.
    Step,
    /// After a pass.
    Pass,
    /// After a fail.
    Fail,
    /// Without a verdict.
    Inconclusive,
}

impl When {
    /// The flag that names it, without its dashes.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Step => "on-step",
            Self::Pass => "on-pass",
            Self::Fail => "on-fail",
            Self::Inconclusive => "on-inconclusive",
        }
    }
}

impl Hooks {
    /// The command that follows from an outcome, where there is one.
    #[must_use]
    pub fn after(&self, outcome: &Outcome) -> Option<(When, &[String])> {
        let when = outcome.hook()?;
        let command = match when {
            When::Step => &self.step,
            When::Pass => &self.pass,
            When::Fail => &self.fail,
            When::Inconclusive => &self.inconclusive,
        };
        Some((when, command.as_deref()?))
    }
}

/// A command with everything that it is told.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// When it is run.
    pub when: When,
    /// The words.
    pub command: Vec<String>,
    /// The step, counted from 1, and its weight.
    pub step: Option<(usize, f64)>,
    /// The verdict and its reason; at a step there is none yet.
    pub verdict: Option<(String, String)>,
    /// The same for every attempt at the same thing.
    pub key: String,
}

impl Call {
    /// A command of a run. The key depends on the run, on when it is run and on the step only: a command
    /// that is run again after a resume sees the same one.
    #[must_use]
    pub fn new(
        when: When,
        command: &[String],
        run: &str,
        step: Option<(usize, f64)>,
        verdict: Option<(String, String)>,
    ) -> Self {
        let number = step.map_or(0, |(number, _)| number);
        let mut key = sha256(format!("{run} {} {number}", when.as_str()).as_bytes());
        key.truncate(32);
        Self {
            when,
            command: command.to_vec(),
            step,
            verdict,
            key,
        }
    }

    /// The line of the log.
    #[must_use]
    pub fn line(&self, at_seconds: f64, state: &str) -> HookLine {
        HookLine {
            at_seconds,
            hook: self.when.as_str().to_owned(),
            step: self.step.map(|(number, _)| number),
            key: self.key.clone(),
            state: state.to_owned(),
            command: self.command.clone(),
            ended: None,
            took_ms: None,
            output: None,
        }
    }

    /// What is run: no shell, a group of its own, and the verdict in its environment.
    fn program(&self, report: &Path, timeout: Duration) -> Program {
        let mut words = self.command.iter();
        let mut program = Program::new(words.next().cloned().unwrap_or_default())
            .args(words)
            .deadline(timeout)
            .most_output(READ_OUTPUT)
            .variable("GS_HOOK", self.when.as_str())
            .variable("GS_REPORT", report)
            .variable("GS_IDEMPOTENCY_KEY", &self.key);
        if let Some((verdict, reason)) = &self.verdict {
            program = program
                .variable("GS_VERDICT", verdict)
                .variable("GS_REASON", reason);
        }
        if let Some((number, weight)) = self.step {
            program = program
                .variable("GS_STEP", number.to_string())
                .variable("GS_WEIGHT", percent(weight));
        }
        program
    }
}

/// A weight in per cent, without a sign and without needless digits.
#[must_use]
pub fn percent(share: f64) -> String {
    format!("{}", (share * 1e8).round() / 1e6)
}

/// What became of a command.
#[derive(Clone, Debug, PartialEq)]
pub struct Done {
    /// Which one.
    pub call: Call,
    /// It ended by itself with code 0.
    pub good: bool,
    /// How it ended, in words.
    pub ended: String,
    /// How long it took.
    pub took: Duration,
    /// The end of what it wrote, without secrets.
    pub output: String,
    /// Somebody wanted it to end.
    pub was_cancelled: bool,
}

impl Done {
    /// A command that could not even be started: why.
    #[must_use]
    pub fn never(call: Call, why: String) -> Self {
        Self {
            call,
            good: false,
            ended: why,
            took: Duration::ZERO,
            output: String::new(),
            was_cancelled: false,
        }
    }

    /// The line of the log.
    #[must_use]
    pub fn line(&self, at_seconds: f64) -> HookLine {
        HookLine {
            ended: Some(self.ended.clone()),
            took_ms: Some(gs_common::report::millis(self.took)),
            output: (!self.output.is_empty()).then(|| self.output.clone()),
            ..self
                .call
                .line(at_seconds, if self.good { "done" } else { "failed" })
        }
    }

    /// One sentence fragment for people.
    #[must_use]
    pub fn sentence(&self) -> String {
        let shown = self.call.command.join(" ");
        format!("--{} `{shown}` {}", self.call.when.as_str(), self.ended)
    }
}

/// Runs a command to its end, or until `cancelled` is ready.
pub async fn run(
    call: Call,
    report: &Path,
    timeout: Duration,
    redactor: &Redactor,
    cancelled: impl Future<Output = ()>,
) -> Done {
    let ran = call.program(report, timeout).run_until(cancelled).await;
    match ran {
        Err(error) => Done::never(call, format!("could not be started: {}", error.cause)),
        Ok(ran) => Done {
            good: ran.ended.is_good(),
            ended: match ran.ended {
                Ended::TimedOut => format!(
                    "did not end within {} and was killed with its process group",
                    gs_common::units::show_duration(timeout)
                ),
                other => other.to_string(),
            },
            took: ran.took,
            output: tail(&ran, redactor),
            was_cancelled: ran.ended == Ended::Cancelled,
            call,
        },
    }
}

/// Writes a report for a command to read, without secrets.
///
/// # Errors
/// It cannot be written; one sentence.
pub fn write_report(config: &Config, folder: &Path, report: Report) -> Result<PathBuf, String> {
    let path = folder.join("report.json");
    let report = config.redactor.report(report);
    write_atomic(&path, |out| {
        render(Format::Json, &report, &Look::default(), out)
    })
    .map_err(|error| error.to_string())?;
    Ok(path)
}

/// The end of both outputs. Secrets go first, so that none is cut in two and slips through.
fn tail(ran: &Ran, redactor: &Redactor) -> String {
    let both = format!("{}{}", ran.stdout.text(), ran.stderr.text());
    let clean = redactor.text(&both);
    let clean = clean.trim_end();
    let mut start = clean.len().saturating_sub(KEPT_OUTPUT);
    while !clean.is_char_boundary(start) {
        start += 1;
    }
    let cut = if start > 0 { "…" } else { "" };
    format!("{cut}{}", &clean[start..])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(script: &str, verdict: Option<(String, String)>) -> Call {
        let words = ["/bin/sh", "-c", script].map(str::to_owned);
        Call::new(When::Step, &words, "run-1", Some((2, 0.25)), verdict)
    }

    async fn ran(call: Call, redactor: &Redactor) -> Done {
        let timeout = Duration::from_secs(20);
        run(
            call,
            Path::new("/tmp/report.json"),
            timeout,
            redactor,
            std::future::pending(),
        )
        .await
    }

    #[tokio::test]
    async fn a_command_is_told_the_step_and_the_verdict() {
        let script = "echo $GS_HOOK $GS_STEP $GS_WEIGHT $GS_VERDICT $GS_REASON $GS_REPORT $GS_IDEMPOTENCY_KEY";
        let verdict = Some(("fail".to_owned(), "latency".to_owned()));
        let call = call(script, verdict);
        let key = call.key.clone();
        let done = ran(call, &Redactor::new()).await;
        assert!(done.good);
        assert_eq!(
            done.output,
            format!("on-step 2 25 fail latency /tmp/report.json {key}")
        );
    }

    #[tokio::test]
    async fn a_failure_is_named_and_secrets_stay_hidden() {
        let redactor = Redactor::new();
        redactor.add("token", "tok-12345").unwrap();
        let done = ran(call("echo tok-12345; exit 7", None), &redactor).await;
        assert!(!done.good);
        assert_eq!(
            (done.ended.as_str(), done.output.as_str()),
            ("ended with code 7", "***")
        );
        let missing = Call::new(When::Pass, &["/no/such".to_owned()], "run-1", None, None);
        let done = ran(missing, &redactor).await;
        assert!(
            !done.good && done.ended.starts_with("could not be started"),
            "{}",
            done.ended
        );
    }

    #[tokio::test]
    async fn a_command_that_hangs_is_killed() {
        let done = run(
            call("sleep 60", None),
            Path::new("r"),
            Duration::from_millis(100),
            &Redactor::new(),
            std::future::pending(),
        )
        .await;
        assert!(
            !done.good && done.ended.contains("killed with its process group"),
            "{}",
            done.ended
        );
    }

    #[test]
    fn the_key_is_the_same_for_the_same_thing_only() {
        let key = |when, run, step| Call::new(when, &["x".to_owned()], run, step, None).key;
        let one = key(When::Step, "run-1", Some((1, 0.1)));
        assert_eq!(one, key(When::Step, "run-1", Some((1, 0.1))));
        assert_ne!(one, key(When::Step, "run-1", Some((2, 0.1))));
        assert_ne!(one, key(When::Step, "run-2", Some((1, 0.1))));
        assert_ne!(
            key(When::Pass, "run-1", None),
            key(When::Fail, "run-1", None)
        );
    }

    #[test]
    fn weights_are_plain_numbers() {
        assert_eq!(
            [0.1, 0.25, 0.333, 1.0, 0.07].map(percent),
            ["10", "25", "33.3", "100", "7"]
        );
    }
}
