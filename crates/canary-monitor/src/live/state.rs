//! A run as it stands. Everything that is known of it came as a line of the log: what happens becomes a
//! line, the line becomes text, the text is read back and only then counts. A run that is resumed reads
//! the same lines and so knows the same.

use std::collections::BTreeMap;

use gs_common::verdict::Verdict;

use super::operator::{EXTEND_SECONDS, Order};
use crate::charts::Charts;
use crate::judge::{Decision, Policy, Watch, reason};
use crate::log::{self, DecisionLine, HookLine, Line, Log, LogHeader, Recording};
use crate::observations::{Scrape, Side};
use crate::peers::legacy::Legacy;
use crate::source::Look;

/// Different sentences about lost looks that are kept; more are only counted.
const MOST_LOST: usize = 40;

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
    last_look: Option<f64>,
    looks: u64,
    step_looks: [u32; 3],
    step_requests: u64,
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

/// What was to be seen and was not.
#[derive(Clone, Debug, Default)]
pub struct Lost {
    /// How often.
    pub count: u64,
    /// The sentences, with how often and when first and last.
    pub sentences: BTreeMap<String, (u64, f64, f64)>,
    /// The last one.
    pub last: Option<String>,
}

/// Where a rollout stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Steps {
    /// The weights.
    pub weights: Vec<f64>,
    /// How long each is watched.
    pub seconds: f64,
    /// The one that is set, or being set.
    pub index: usize,
    /// When it was set; absent while it is being set.
    pub since: Option<f64>,
}

/// What a run has beside its header.
#[derive(Clone, Copy, Debug, Default)]
pub struct Extras {
    /// How long each step is watched, in seconds of the run.
    pub step_seconds: f64,
    /// Whether the guide's plain rule runs beside the judge.
    pub legacy: bool,
}

/// What the run has to do next.
#[derive(Clone, Debug, PartialEq)]
pub enum Due {
    /// Set the weight of the step with this index.
    Step(usize),
    /// End the watch.
    End(Ended),
}

/// How a watch ends.
#[derive(Clone, Debug, PartialEq)]
pub enum Ended {
    /// The judge decided on a look.
    Decided,
    /// Its time is over.
    Over,
    /// `--deadline` passed.
    Deadline,
    /// Ctrl-C or SIGTERM.
    Interrupted,
    /// A person ended it: who.
    Aborted(String),
    /// The canary was not fit for the next step: why.
    StepHeld(String),
    /// A command failed: which, and how.
    HookFailed(String),
}

impl Ended {
    /// The code in the log.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Decided => "decided",
            Self::Over => "over",
            Self::Deadline => reason::DEADLINE,
            Self::Interrupted => reason::INTERRUPTED,
            Self::Aborted(_) => reason::ABORTED_BY_OPERATOR,
            Self::StepHeld(_) => reason::STEP_HELD,
            Self::HookFailed(_) => reason::HOOK_FAILED,
        }
    }

    /// Why, in words.
    #[must_use]
    pub fn why(&self) -> String {
        match self {
            Self::Decided | Self::Over => "its time is over".to_owned(),
            Self::Deadline => "--deadline passed".to_owned(),
            Self::Interrupted => "it was interrupted".to_owned(),
            Self::Aborted(who) => format!("{who} ended it"),
            Self::StepHeld(why) | Self::HookFailed(why) => why.clone(),
        }
    }
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

    fn policy(&self) -> &Policy {
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
        if matches!(line, Line::Resumed { .. }) && self.end.is_some() {
            // The end before it was none; the judge cannot go back, so what follows is only counted.
            self.outcome = None;
        }
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
    fn note(&mut self, line: Line) {
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

    /// What has to be done at this second of the run; `patience_seconds` are granted to looks that come
    /// late.
    #[must_use]
    pub fn due(&self, now: f64, patience_seconds: f64) -> Option<Due> {
        if self.decision.is_some() {
            return Some(Due::End(Ended::Decided));
        }
        if let Some(due) = self.step_due(now, patience_seconds) {
            return Some(due);
        }
        if self.held || self.is_between_steps() {
            return None;
        }
        let policy = self.policy();
        let last = self.last_look.unwrap_or(0.0);
        let ends = self.watch.ends_at_seconds();
        // Past its end the judge may ask for more looks, as long as there are any.
        let silent = now >= ends.max(last) + patience_seconds;
        let long = now >= ends + policy.extension_seconds + patience_seconds;
        (silent || long).then_some(Due::End(Ended::Over))
    }

    fn step_due(&self, now: f64, patience_seconds: f64) -> Option<Due> {
        let steps = self.steps.as_ref()?;
        let Some(since) = steps.since else {
            // Nothing was set yet, or a runner was lost while it was.
            return Some(Due::Step(steps.index));
        };
        let over = since + steps.seconds;
        if steps.index + 1 >= steps.weights.len() || now < over || self.held {
            return None;
        }
        let unfit = self.unfit(steps);
        match unfit {
            None => Some(Due::Step(steps.index + 1)),
            Some(why) if now >= over + self.policy().extension_seconds + patience_seconds => {
                Some(Due::End(Ended::StepHeld(format!(
                    "step {} of {} did not end: {why}",
                    steps.index + 1,
                    steps.weights.len()
                ))))
            }
            Some(_) => None,
        }
    }

    /// Why the canary should not get more traffic now: more of it is given only to one that was seen, is
    /// under no suspicion, and is shown to keep the limits.
    fn unfit(&self, steps: &Steps) -> Option<String> {
        let view = self.watch.view();
        let interval = self.header.observations.scrape_interval_seconds;
        let expected = (steps.seconds / interval).floor().max(1.0);
        let [looks, canary, stable] = self.step_looks.map(f64::from);
        let least = self.policy().coverage * expected;
        if canary < least || stable < least {
            return Some(format!(
                "the canary was seen at {canary:.0} and stable at {stable:.0} of {:.0} looks",
                looks.max(expected)
            ));
        }
        if view.canary.requests == self.step_requests {
            return Some("the canary got no request".to_owned());
        }
        if self.watch.is_suspicious() {
            return Some("there is evidence against the canary that is not decided yet".to_owned());
        }
        let (errors, slow) = view.shown;
        if view.warm_at_seconds.is_none() {
            return Some("the canary is still warming up".to_owned());
        }
        (errors <= view.fail_line || slow <= view.fail_line).then(|| {
            format!(
                "its {} requests do not show yet that it keeps the limits",
                view.canary.requests
            )
        })
    }

    fn is_between_steps(&self) -> bool {
        self.steps
            .as_ref()
            .is_some_and(|steps| steps.since.is_none() || steps.index + 1 < steps.weights.len())
    }

    /// The judge must not come to its end while a person holds the run, or steps are left.
    fn keep_open(&mut self, at: f64) {
        if self.watch.is_early_at(at) || !(self.held || self.is_between_steps()) {
            return;
        }
        let check = self.policy().check_seconds;
        let (more, why) = match &self.steps {
            Some(steps) if self.is_between_steps() => (
                steps.seconds * (steps.weights.len() - steps.index) as f64,
                "steps are left",
            ),
            _ => (check, "a person holds the run"),
        };
        self.note(Line::Until {
            at_seconds: at,
            until_seconds: at + more.max(check),
            why: why.to_owned(),
        });
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

impl Lost {
    fn add(&mut self, at: f64, what: &str) {
        self.count += 1;
        self.last = Some(what.to_owned());
        if let Some((count, _, last)) = self.sentences.get_mut(what) {
            *count += 1;
            *last = at;
        } else if self.sentences.len() < MOST_LOST {
            self.sentences.insert(what.to_owned(), (1, at, at));
        }
    }

    /// The sentences, most frequent first, with how often and when.
    #[must_use]
    pub fn told(&self) -> Vec<String> {
        let mut all: Vec<_> = self.sentences.iter().collect();
        all.sort_by_key(|(_, (count, ..))| std::cmp::Reverse(*count));
        let mut told: Vec<String> = all
            .into_iter()
            .map(|(what, (count, first, last))| match count {
                1 => format!("at {first:.0} s: {what}"),
                _ => format!("{count} times between {first:.0} s and {last:.0} s: {what}"),
            })
            .collect();
        let kept: u64 = self.sentences.values().map(|(count, ..)| count).sum();
        if kept < self.count {
            told.push(format!("{} more losses of other kinds", self.count - kept));
        }
        told
    }
}
