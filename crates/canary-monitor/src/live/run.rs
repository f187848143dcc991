//! The loop around the judge: it waits, looks, and hears people and commands. It decides nothing.

use std::path::Path;
use std::pin::pin;
use std::time::Duration;

use gs_common::cli::Talk;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until};

use super::clock::Steady;
use super::events::{Event, Events, Running};
use super::face::Face;
use super::hooks::{self, Call, Done, When};
use super::operator::Order;
use super::outcome::Outcome;
use super::state::State;
use super::steps::{Due, Ended};
use crate::config::Config;
use crate::judge::Decision;
use crate::log::Line;
use crate::source::{Plan, Source};
use crate::summary;

/// A look may come so many intervals late, and this many seconds of the wall clock on top.
const LATE_INTERVALS: f64 = 4.0;
const LATE_SECONDS: f64 = 10.0;

/// A source that is behind by more intervals than this is asked again at once.
const BEHIND_INTERVALS: f64 = 2.5;

/// But not more often than this in one turn.
const MOST_AT_ONCE: usize = 10_000;

/// Everything that a watch needs beside the source.
pub struct Session<'a> {
    /// What is meant.
    pub config: &'a Config,
    /// The run as it stands.
    pub state: State,
    /// When second 0 was.
    pub plan: Plan,
    /// The time.
    pub clock: Steady,
    /// What happens beside the looks.
    pub events: Events,
    /// What people see.
    pub face: Face,
    /// Where the reports for commands are written.
    pub folder: &'a Path,
    /// Who sits at the keys.
    pub who: String,
    /// Somebody was told that the log is broken.
    pub log_was_told: bool,
}

impl Session<'_> {
    /// Seconds of the run.
    #[must_use]
    pub fn now(&self) -> f64 {
        self.plan.seconds_at(self.clock.now())
    }

    /// What stands in a log has no secrets either.
    fn clean(&self, text: &str) -> String {
        self.config.redactor.text(text).into_owned()
    }

    fn interval(&self) -> f64 {
        self.state.header.observations.scrape_interval_seconds
    }

    fn patience(&self) -> f64 {
        LATE_INTERVALS * self.interval() + LATE_SECONDS * self.plan.time_scale
    }

    /// Fills in what was missed since the last look of the log, where the source still knows it.
    pub async fn back_fill(&mut self, source: &mut impl Source, talk: &mut Talk) -> Option<Ended> {
        let from_seconds = self.state.last_look().unwrap_or(0.0);
        let to_seconds = self.now();
        let moment = |seconds: f64| {
            let passed = Duration::from_secs_f64((seconds / self.plan.time_scale).max(0.0));
            let passed = jiff::SignedDuration::try_from(passed).unwrap_or_default();
            self.plan.started_at.checked_add(passed)
        };
        let (Ok(from), Ok(to)) = (moment(from_seconds), moment(to_seconds)) else {
            return None;
        };
        let asked = {
            let plan = self.plan.clone();
            let mut asking = pin!(source.past(&plan, from, to));
            loop {
                tokio::select! {
                    looks = &mut asking => break looks,
                    event = self.events.next() => if let Some(ended) = self.hear(event, talk) {
                        return Some(ended);
                    },
                }
            }
        };
        let (looks, lost) = match asked {
            Ok(Some(looks)) => (Some(looks), None),
            Ok(None) => (None, Some("the source has no memory".to_owned())),
            Err(error) => (None, Some(error.to_string())),
        };
        let line = Line::Resumed {
            at: self.clock.now(),
            from_seconds,
            to_seconds,
            back_filled: looks.as_ref().map(Vec::len),
        };
        self.commit(&line, talk);
        if let Some(why) = lost {
            let gap = to_seconds - from_seconds;
            self.state.lose(
                to_seconds,
                format!(
                    "{gap:.0} s passed without a look before the run was resumed: {}",
                    self.clean(&why)
                ),
            );
        }
        let looks = looks.unwrap_or_default();
        talk.note(&format!(
            "resumed at {to_seconds:.0} s, {:.0} s after the last look, {} looks filled in",
            to_seconds - from_seconds,
            looks.len()
        ));
        for mut look in looks {
            for what in &mut look.lost {
                *what = self.clean(what);
            }
            self.state.take(look);
        }
        None
    }

    fn commit(&mut self, line: &Line, talk: &mut Talk) {
        if let Err(error) = self.state.commit(line) {
            talk.warning(&format!("the log cannot hold a line: {error}"));
        }
    }

    /// Watches until there is a reason to end.
    pub async fn watch(&mut self, source: &mut impl Source, talk: &mut Talk) -> Ended {
        let pause = Duration::from_secs_f64(self.interval() / self.plan.time_scale);
        let mut next = Instant::now();
        loop {
            if let Some(ended) = self.due(talk) {
                return ended;
            }
            let look = async {
                sleep_until(next).await;
            };
            tokio::select! {
                biased;
                event = self.events.next() => {
                    if let Some(ended) = self.hear(event, talk) {
                        return ended;
                    }
                    continue;
                }
                () = look => {}
            }
            for _ in 0..MOST_AT_ONCE {
                match self.look(source, talk).await {
                    Err(ended) => return ended,
                    Ok(behind) if behind && self.state.decision.is_none() => {}
                    Ok(_) => break,
                }
            }
            next = (next + pause).max(Instant::now());
        }
    }

    /// One look. The answer is whether the source has more of the past to tell.
    async fn look(&mut self, source: &mut impl Source, talk: &mut Talk) -> Result<bool, Ended> {
        if let Some(jump) = self.clock.jump() {
            let what = format!("the clock of this machine jumped by {} s", jump.as_secs());
            talk.warning(&what);
            self.state.lose(self.now(), what);
        }
        let looked = {
            let plan = self.plan.clone();
            let mut looking = pin!(source.look(&plan, self.clock.now()));
            loop {
                tokio::select! {
                    looked = &mut looking => break looked,
                    event = self.events.next() => if let Some(ended) = self.hear(event, talk) {
                        return Err(ended);
                    },
                }
            }
        };
        let now = self.now();
        let mut behind = false;
        match looked {
            Ok(mut look) => {
                for what in &mut look.lost {
                    *what = self.clean(what);
                }
                behind = look.scrape.as_ref().is_some_and(|scrape| {
                    scrape.at_seconds < now - BEHIND_INTERVALS * self.interval()
                });
                self.warn_of(&look.lost, talk);
                let checked = self.state.take(look);
                self.face.looked(&self.state, now, checked, talk);
            }
            Err(error) => {
                let what = self.clean(&error.what);
                self.warn_of(std::slice::from_ref(&what), talk);
                self.state.lose(now, what);
            }
        }
        self.tell_of_log(talk);
        Ok(behind)
    }

    /// Says once that the log is not whole any more.
    fn tell_of_log(&mut self, talk: &mut Talk) {
        let Some(why) = self.state.log_broken().filter(|_| !self.log_was_told) else {
            return;
        };
        talk.warning(&format!(
            "the decision log cannot be written any more ({why}): the watch goes on, and cannot pass"
        ));
        self.log_was_told = true;
    }

    /// Says a loss the first time that it happens; later it is counted.
    fn warn_of(&mut self, lost: &[String], talk: &mut Talk) {
        for what in lost {
            if !self.state.lost.sentences.contains_key(what) {
                self.face.clear(talk);
                talk.warning(&format!("a look was lost in part: {what}"));
            }
        }
    }

    /// Does what has to be done now.
    fn due(&mut self, talk: &mut Talk) -> Option<Ended> {
        let now = self.now();
        match self.state.due(now, self.patience())? {
            Due::End(ended) => Some(ended),
            Due::Step(_) if self.events.hook.is_some() => None,
            Due::Step(index) => self.enter(index, now, talk),
        }
    }

    /// Starts to set a step's weight.
    fn enter(&mut self, index: usize, now: f64, talk: &mut Talk) -> Option<Ended> {
        let steps = self.state.steps.as_ref()?;
        let weight = steps.weights.get(index).copied().unwrap_or(1.0);
        let step = Some((index + 1, weight));
        let Some(command) = &self.config.pipeline.hooks.step else {
            self.state.enter_step(index, now);
            return None;
        };
        let call = Call::new(When::Step, command, &self.state.header.run, step, None);
        if self.config.pipeline.dry_run {
            self.commit(&Line::Hook(call.line(now, "dry_run")), talk);
            self.state.enter_step(index, now);
            return None;
        }
        let report = match self.report(None) {
            Ok(report) => report,
            Err(why) => return Some(Ended::HookFailed(why)),
        };
        self.commit(&Line::Hook(call.line(now, "started")), talk);
        let (stop, stopped) = oneshot::channel();
        let (timeout, redactor) = (
            self.config.pipeline.hook_timeout,
            self.config.redactor.clone(),
        );
        let done = async move {
            // The sender goes when somebody wants the command to end.
            let cancelled = async { drop(stopped.await) };
            hooks::run(call, &report, timeout, &redactor, cancelled).await
        };
        self.events.hook = Some(Running {
            done: Box::pin(done),
            stop: Some(stop),
            index,
        });
        None
    }

    /// Takes in what happened beside the looks.
    fn hear(&mut self, event: Event, talk: &mut Talk) -> Option<Ended> {
        let now = self.now();
        match event {
            Event::Interrupted => return Some(Ended::Interrupted),
            Event::Deadline => return Some(Ended::Deadline),
            Event::Order(order) => {
                self.state.obey(&order, &self.who, now, self.clock.now());
                if order == Order::Abort {
                    return Some(Ended::Aborted(self.who.clone()));
                }
            }
            Event::Hook(done, index) => {
                self.commit(&Line::Hook(done.line(now)), talk);
                if !done.good {
                    return Some(Ended::HookFailed(done.sentence()));
                }
                self.state.enter_step(index, now);
            }
            Event::Tick => self.face.tick(&self.state, now, talk),
        }
        self.due(talk)
    }

    /// Ends the watch: what the judge says, what follows from it, and the command for that.
    pub async fn conclude(&mut self, ended: &Ended, talk: &mut Talk) -> (Decision, Outcome) {
        self.face.clear(talk);
        if let Some(done) = self.events.stop_hook().await {
            let line = Line::Hook(done.line(self.now()));
            self.commit(&line, talk);
        }
        let now = self.now();
        let decision = self.state.end(ended, now);
        let mut outcome = Outcome::of(
            &decision,
            ended,
            self.state.log_broken(),
            self.config.pipeline.no_verdict,
        );
        let hook = self.config.pipeline.hooks.after(&outcome);
        if let Some((when, command)) = hook {
            outcome = self.follow(outcome, when, command, talk).await;
        }
        for sentence in &outcome.aloud {
            talk.warning(sentence);
        }
        let line = Line::Outcome {
            at: self.clock.now(),
            verdict: outcome.verdict,
            reason: outcome.reason.clone(),
            sentence: self.config.redactor.text(&outcome.sentence).into_owned(),
        };
        self.commit(&line, talk);
        (decision, outcome)
    }

    /// Runs the command that follows from an outcome.
    async fn follow(
        &mut self,
        outcome: Outcome,
        when: When,
        command: &[String],
        talk: &mut Talk,
    ) -> Outcome {
        let step = self.state.steps.as_ref().map(|steps| {
            let weight = steps.weights.get(steps.index).copied().unwrap_or(1.0);
            (steps.index + 1, weight)
        });
        let run = &self.state.header.run;
        let call = Call::new(when, command, run, step, Some(outcome.told()));
        if self.config.pipeline.dry_run {
            let line = Line::Hook(call.line(self.now(), "dry_run"));
            self.commit(&line, talk);
            return outcome;
        }
        if self.state.was_done(&call.key) {
            return outcome;
        }
        let report = match self.report(Some(&outcome)) {
            Ok(report) => report,
            Err(why) => return outcome.after(&Done::never(call, why), false),
        };
        let line = Line::Hook(call.line(self.now(), "started"));
        self.commit(&line, talk);
        talk.note(&format!(
            "running --{}: {}",
            when.as_str(),
            command.join(" ")
        ));
        let (stop, stopped) = oneshot::channel::<()>();
        let mut done = pin!(hooks::run(
            call,
            &report,
            self.config.pipeline.hook_timeout,
            &self.config.redactor,
            async { drop(stopped.await) },
        ));
        let mut stop = Some(stop);
        let mut interrupted = false;
        let done = loop {
            tokio::select! {
                done = &mut done => break done,
                event = self.events.next() => if matches!(event, Event::Interrupted) {
                    interrupted = true;
                    drop(stop.take());
                },
            }
        };
        let line = Line::Hook(done.line(self.plan.seconds_at(self.clock.now())));
        self.commit(&line, talk);
        outcome.after(&done, interrupted)
    }

    /// Writes the report as it stands for a command to read.
    fn report(&self, outcome: Option<&Outcome>) -> Result<std::path::PathBuf, String> {
        let report = summary::of(self.config, &self.state, outcome, self.clock.now());
        hooks::write_report(self.config, self.folder, report)
    }
}
