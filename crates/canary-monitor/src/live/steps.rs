//! What is due in a run: the next step of a rollout, or its end; and how a watch can end.

use super::state::State;
use crate::judge::reason;
use crate::log::Line;

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
    pub(super) fn keep_open(&mut self, at: f64) {
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
}
