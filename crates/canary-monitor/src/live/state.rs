//! A run as it stands. Everything that is known of it came as a line of the log: what happens becomes a
//! line, the line becomes text, the text is read back and only then counts. A run that is resumed reads
//! the same lines and so knows the same.

use gs_common::verdict::Verdict;

use super::lost::Lost;
use super::operator::{EXTEND_SECONDS, Order};
use super::steps::{Ended, Steps};
use crate::charts::Charts;
use crate::judge::{Decision, Policy, Watch, reason};
use crate::log::{self, DecisionLine, HookLine, Line, Log, LogHeader, Recording};
use crate::observations::{Scrape, Side};
use crate::peers::legacy::Legacy;
use crate::source::Look;

/// Actions of people and commands that are kept for the report.
const MOST_ACTIONS: usize = 1000;

/// A run.
#[derive(Debug)]
pub struct State {
    /// The first line of the log.
    pub header: LogHeader,
    /// The judge.
    pub watch: Watch,
    /// Its decision.
    pub decision: Option<Decision>,
    /// How the watch ended, where that was not by a look: code and sentence.
    pub end: Option<(String, String)>,
    /// What was lost.
    pub lost: Lost,
    /// A person holds the run.
    pub held: bool,
    /// What people did.
    pub operator: Vec<OperatorLine>,
    /// What commands did.
    pub hooks: Vec<HookLine>,
    /// The steps of the rollout; absent without any.
    pub steps: Option<Steps>,
    /// Numbers over time.
    pub charts: Charts,
    /// The guide's plain rule beside the judge, where that is wanted.
    pub legacy: Option<Legacy>,
    /// Runners that took the run over.
    pub resumes: u32,
    /// How the run ended.
    pub outcome: Option<(Verdict, String, String)>,
    log: Option<Log>,
    pub(super) last_look: Option<f64>,
    looks: u64,
    pub(super) step_looks: [u32; 3],
    pub(super) step_requests: u64,
    checks: usize,
}

/// What a person did.
#[derive(Clone, Debug, PartialEq)]
pub struct OperatorLine {
    /// Seconds of the run.
    pub at_seconds: f64,
    /// The wall clock.
    pub at: jiff::Timestamp,
    /// Who.
    pub who: String,
    /// What.
    pub action: String,
    /// Of a note.
    pub text: Option<String>,
}

/// What a run has beside its header.
#[derive(Clone, Copy, Debug, Default)]
pub struct Extras {
    /// How long each step is watched, in seconds of the run.
    pub step_seconds: f64,
    /// Whether the guide's plain rule runs beside the judge.
    pub legacy: bool,
}

impl State {
    /// Starts a run, and its log.
    #[must_use]
    pub fn new(header: LogHeader, mut log: Option<Log>, extras: Extras) -> Self {
        if let Some(log) = &mut log {
            log.start(&header);
        }
        Self::of(header, log, extras)
    }

    /// A run as its log tells it.
    #[must_use]
    pub fn resumed(
        header: LogHeader,
        recording: &Recording,
        log: Option<Log>,
        extras: Extras,
    ) -> Self {
        let mut state = Self::of(header, log, extras);
        // An interrupt ends a process and not a rollout.
        let interrupted = log::standing(&recording.lines)
            .any(|line| matches!(line, Line::End { reason, .. } if reason == reason::INTERRUPTED));
        for line in log::standing(&recording.lines) {
            if !(interrupted && line.is_ending()) {
                state.absorb(line);
            }
        }
        state
    }

    fn of(header: LogHeader, log: Option<Log>, extras: Extras) -> Self {
        let steps = (!header.steps.is_empty()).then(|| Steps {
            weights: header.steps.clone(),
            seconds: extras.step_seconds,
            index: 0,
            since: None,
        });
        let legacy = extras
            .legacy
            .then(|| Legacy::new(&header.policy, &header.observations));
        Self {
            watch: Watch::new(header.policy.clone(), &header.observations),
            charts: Charts::new(&header.observations, &header.policy),
            header,
            legacy,
            decision: None,
            end: None,
            lost: Lost::default(),
            held: false,
            operator: Vec::new(),
            hooks: Vec::new(),
            steps,
            resumes: 0,
            outcome: None,
            log,
            last_look: None,
            looks: 0,
            step_looks: [0; 3],
            step_requests: 0,
            checks: 0,
        }
    }

    /// How the watch had ended before a runner was lost at its very end.
    #[must_use]
    pub fn ended_before(&self) -> Option<Ended> {
        let Some((code, why)) = &self.end else {
            return self.decision.is_some().then_some(Ended::Decided);
        };
        Some(match code.as_str() {
            reason::DEADLINE => Ended::Deadline,
            reason::ABORTED_BY_OPERATOR => {
                let who = self.operator.iter().rev().find(|one| one.action == "abort");
                Ended::Aborted(who.map_or_else(|| "somebody".to_owned(), |one| one.who.clone()))
            }
            reason::STEP_HELD => Ended::StepHeld(why.clone()),
            reason::HOOK_FAILED => Ended::HookFailed(why.clone()),
            reason::INTERRUPTED => Ended::Interrupted,
            _ => Ended::Over,
        })
    }

    /// Why the log is not whole, if it is not.
    #[must_use]
    pub fn log_broken(&self) -> Option<&str> {
        self.log.as_ref()?.broken()
    }

    /// Where the log is.
    #[must_use]
    pub fn log_path(&self) -> Option<&std::path::Path> {
        Some(self.log.as_ref()?.path())
    }

    /// When the last look was, in seconds of the run.
    #[must_use]
    pub fn last_look(&self) -> Option<f64> {
        self.last_look
    }

    /// How many looks there were.
    #[must_use]
    pub fn looks(&self) -> u64 {
        self.looks
    }

    pub(super) fn policy(&self) -> &Policy {
        &self.header.policy
    }

    /// Makes something happen: into the log first, then into what is known.
    ///
    /// # Errors
    /// It cannot be written down, and so did not happen: one sentence.
    pub fn commit(&mut self, line: &Line) -> Result<(), String> {
        let text = line.encode().map_err(|error| error.to_string())?;
        let line = log::read_line(&text, &self.header.observations)?;
        if let Some(log) = &mut self.log {
            log.append(&text);
        }
        self.absorb(&line);
        Ok(())
    }

    /// Takes in a line that another process wrote.
    pub fn attend(&mut self, line: &Line) {
        self.absorb(line);
    }

    /// Takes a look in. What it lost, and what cannot be used of it, is said. The answer is whether the
    /// judge made a check.
    pub fn take(&mut self, look: Look) -> bool {
        let at = look
            .scrape
            .as_ref()
            .map(|scrape| scrape.at_seconds)
            .or(self.last_look)
            .unwrap_or(0.0);
        for what in look.lost {
            self.lose(at, what);
        }
        let Some(mut scrape) = look.scrape else {
            return false;
        };
        // Finer than a millisecond is no scraper's clock.
        scrape.at_seconds = (scrape.at_seconds * 1e3).round() / 1e3;
        let at = scrape.at_seconds;
        if self.last_look.is_some_and(|last| at <= last) {
            self.lose(
                at,
                "a look that is not newer than the one before".to_owned(),
            );
            return false;
        }
        self.keep_open(at);
        let checks = self.checks;
        if let Err(why) = self.commit(&Line::Scrape(scrape)) {
            self.lose(at, format!("a look that makes no sense: {why}"));
            return false;
        }
        if self.checks == checks {
            return false;
        }
        let view = self.watch.view();
        self.note(Line::Check((&view).into()));
        true
    }

    /// Remembers something that was not seen.
    pub fn lose(&mut self, at_seconds: f64, what: String) {
        self.note(Line::Lost { at_seconds, what });
    }

    /// Commits what can always be written down.
    pub(super) fn note(&mut self, line: Line) {
        // Lines without foreign numbers have a form in JSON.
        let _ = self.commit(&line);
    }

    /// Does what a person wants. An abort is an end, which is the caller's.
    pub fn obey(&mut self, order: &Order, who: &str, at_seconds: f64, at: jiff::Timestamp) {
        self.note(Line::Operator {
            at_seconds,
            at,
            who: who.to_owned(),
            action: order.as_str().to_owned(),
            text: match order {
                Order::Note(text) => Some(text.clone()),
                _ => None,
            },
        });
        if *order == Order::Extend {
            let until_seconds = self.watch.ends_at_seconds() + EXTEND_SECONDS;
            self.note(Line::Until {
                at_seconds,
                until_seconds,
                why: format!("{who} asked for more time"),
            });
        }
    }

    /// A step's weight is set.
    pub fn enter_step(&mut self, index: usize, at_seconds: f64) {
        let Some(steps) = &self.steps else { return };
        let left = (steps.weights.len() - index) as f64;
        let until_seconds = at_seconds + left * steps.seconds;
        let weight = steps.weights.get(index).copied().unwrap_or(1.0);
        if (until_seconds - self.watch.ends_at_seconds()).abs() > 1.0 {
            self.note(Line::Until {
                at_seconds,
                until_seconds,
                why: format!("step {} began later than planned", index + 1),
            });
        }
        self.note(Line::Step {
            at_seconds,
            step: index + 1,
            weight,
        });
    }

    /// Ends the watch. A decision that was made stays.
    pub fn end(&mut self, ended: &Ended, at_seconds: f64) -> Decision {
        if self.decision.is_none() {
            self.note(Line::End {
                at_seconds,
                short: *ended != Ended::Over,
                reason: ended.code().to_owned(),
                why: ended.why(),
            });
        }
        let decision = self.decision.clone().unwrap_or_else(|| self.watch.finish());
        self.note(Line::Decision(DecisionLine::from(&decision)));
        decision
    }

    fn absorb(&mut self, line: &Line) {
        match line {
            Line::Scrape(scrape) => self.absorb_scrape(scrape, line),
            Line::Until { .. } => {
                log::apply(&mut self.watch, line);
            }
            Line::Lost { at_seconds, what } => self.lost.add(*at_seconds, what),
            Line::Operator {
                at_seconds,
                at,
                who,
                action,
                text,
            } => {
                self.held = match action.as_str() {
                    "hold" => true,
                    "release" => false,
                    _ => self.held,
                };
                if self.operator.len() < MOST_ACTIONS {
                    self.operator.push(OperatorLine {
                        at_seconds: *at_seconds,
                        at: *at,
                        who: who.clone(),
                        action: action.clone(),
                        text: text.clone(),
                    });
                }
            }
            Line::Step {
                at_seconds, step, ..
            } => {
                log::apply(&mut self.watch, line);
                self.step_looks = [0; 3];
                self.step_requests = self.watch.view().canary.requests;
                if let Some(steps) = &mut self.steps {
                    steps.index = step.saturating_sub(1).min(steps.weights.len() - 1);
                    steps.since = Some(*at_seconds);
                }
            }
            Line::Hook(hook) => self.absorb_hook(hook),
            Line::Resumed { .. } => self.resumes += 1,
            Line::End { reason, why, .. } => {
                self.end = Some((reason.clone(), why.clone()));
                let decision = log::apply(&mut self.watch, line);
                self.decision = self.decision.take().or(decision);
            }
            Line::Outcome {
                verdict,
                reason,
                sentence,
                ..
            } => self.outcome = Some((*verdict, reason.clone(), sentence.clone())),
            Line::Check(_) | Line::Decision(_) | Line::Unknown => {}
        }
    }

    fn absorb_scrape(&mut self, scrape: &Scrape, line: &Line) {
        self.last_look = Some(scrape.at_seconds);
        self.looks += 1;
        let told = |side| {
            let mut pods = scrape.pods.iter();
            pods.any(|pod| pod.side == side && pod.up && pod.requests.is_some())
        };
        let seen = [true, told(Side::Canary), told(Side::Stable)];
        for (count, seen) in self.step_looks.iter_mut().zip(seen) {
            *count += u32::from(seen);
        }
        let decision = log::apply(&mut self.watch, line);
        self.decision = self.decision.take().or(decision);
        self.charts.take(scrape, &self.watch);
        if let Some(legacy) = &mut self.legacy {
            legacy.step(scrape);
        }
        let checks = self.watch.checks();
        self.checks = checks;
    }

    fn absorb_hook(&mut self, hook: &HookLine) {
        if hook.state == "started" {
            if let (Some(steps), Some(step), "on-step") =
                (&mut self.steps, hook.step, hook.hook.as_str())
            {
                steps.index = step.saturating_sub(1).min(steps.weights.len() - 1);
                steps.since = None;
            }
        } else if self.hooks.len() < MOST_ACTIONS {
            self.hooks.push(hook.clone());
        }
    }

    /// Whether a command that follows from the verdict has already done its work, for a run that was
    /// resumed at its very end.
    #[must_use]
    pub fn was_done(&self, key: &str) -> bool {
        self.hooks
            .iter()
            .any(|hook| hook.key == key && hook.state == "done")
    }
}
