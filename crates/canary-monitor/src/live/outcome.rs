//! How a run ends: what the judge decided, and what people, the pipeline, the log and the clock have to
//! say about it. Pure. Nothing here makes a verdict better, but for `--on-inconclusive pass`, aloud.

use gs_common::verdict::Verdict;

use super::hooks::{Done, When};
use super::steps::Ended;
use crate::config::NoVerdict;
use crate::judge::{Decision, reason};
use crate::log::DecisionLine;

/// What was measured and did not suffice. Only such a run may count as passed by `--on-inconclusive
/// pass`: where nothing could be measured, or something broke, there is nothing to wave through.
pub const MAY_BE_WAVED_THROUGH: [&str; 7] = [
    reason::NO_TRAFFIC,
    reason::LOW_TRAFFIC,
    reason::COVERAGE,
    reason::ENVIRONMENT_UNHEALTHY,
    reason::BASELINE_MISSING,
    reason::SPLIT,
    reason::UNDECIDED,
];

/// How a run ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// The verdict of the report.
    pub verdict: Verdict,
    /// Its reason.
    pub reason: String,
    /// Its sentence.
    pub sentence: String,
    /// What the judge decided. Nothing erases it.
    pub computed: DecisionLine,
    /// What has to be said aloud.
    pub aloud: Vec<String>,
}

impl Outcome {
    /// The outcome before any command was run.
    #[must_use]
    pub fn of(
        decision: &Decision,
        ended: &Ended,
        log_broken: Option<&str>,
        no_verdict: NoVerdict,
    ) -> Self {
        let mut outcome = Self {
            verdict: decision.verdict,
            reason: decision.reason.to_owned(),
            sentence: decision.sentence.clone(),
            computed: decision.into(),
            aloud: Vec::new(),
        };
        outcome.take_end(ended);
        if let Some(why) = log_broken {
            outcome.aloud.push(format!(
                "the decision log is not whole: {why}; the run cannot be replayed or resumed"
            ));
            if outcome.verdict <= Verdict::Warn {
                let sentence = format!(
                    "the decision log could not be written ({why}); the judge said: {}",
                    outcome.sentence
                );
                outcome.set(Verdict::Inconclusive, reason::LOG_LOST, sentence);
            }
        }
        outcome.take_choice(no_verdict);
        outcome
    }

    fn set(&mut self, verdict: Verdict, reason: &str, sentence: String) {
        self.verdict = verdict;
        self.reason = reason.to_owned();
        self.sentence = sentence;
    }

    fn take_end(&mut self, ended: &Ended) {
        let found = self.verdict == Verdict::Fail;
        let at = self.computed.at_seconds;
        match ended {
            Ended::Decided | Ended::Over => {}
            Ended::Aborted(who) => {
                let sentence = format!(
                    "{who} ended the run at {at:.0} s; the judge had said: {}",
                    self.sentence
                );
                self.set(Verdict::Fail, reason::ABORTED_BY_OPERATOR, sentence);
            }
            Ended::Interrupted => {
                let sentence = format!("interrupted; {}", self.sentence);
                self.set(self.verdict, reason::INTERRUPTED, sentence);
            }
            Ended::Deadline | Ended::StepHeld(_) | Ended::HookFailed(_) if !found => {
                let sentence = match ended {
                    Ended::StepHeld(why) | Ended::HookFailed(why) => why.clone(),
                    _ => self.sentence.clone(),
                };
                self.set(Verdict::Inconclusive, ended.code(), sentence);
            }
            Ended::Deadline | Ended::StepHeld(_) | Ended::HookFailed(_) => {}
        }
    }

    fn take_choice(&mut self, no_verdict: NoVerdict) {
        if self.verdict != Verdict::Inconclusive || self.reason == reason::INTERRUPTED {
            return;
        }
        let code = self.reason.clone();
        match no_verdict {
            NoVerdict::Hold => {}
            NoVerdict::Pass if !MAY_BE_WAVED_THROUGH.contains(&code.as_str()) => {
                self.aloud.push(format!(
                    "--on-inconclusive pass does not cover `{code}`: something could not be measured or done"
                ));
            }
            NoVerdict::Fail | NoVerdict::Pass => {
                let word = no_verdict.as_str();
                self.aloud.push(format!(
                    "--on-inconclusive {word}: the judge came to no verdict ({code}), it counts as {word}"
                ));
                let sentence = format!(
                    "no verdict counts as {word} here (--on-inconclusive {word}): {}",
                    self.sentence
                );
                let verdict = match no_verdict {
                    NoVerdict::Fail => Verdict::Fail,
                    _ => Verdict::Pass,
                };
                self.set(verdict, &code, sentence);
            }
        }
    }

    /// What a command is told: verdict and reason.
    #[must_use]
    pub fn told(&self) -> (String, String) {
        (self.verdict.as_str().to_owned(), self.reason.clone())
    }

    /// The command that follows from it; none after an interrupt.
    #[must_use]
    pub fn hook(&self) -> Option<When> {
        if self.reason == reason::INTERRUPTED {
            return None;
        }
        Some(match self.verdict {
            Verdict::Pass | Verdict::Warn => When::Pass,
            Verdict::Fail => When::Fail,
            Verdict::Inconclusive => When::Inconclusive,
        })
    }

    /// What its command makes of it: what a pass asks for and was not done is no pass.
    #[must_use]
    pub fn after(mut self, done: &Done, interrupted: bool) -> Self {
        if interrupted {
            let sentence = format!("interrupted during a command; {}", self.sentence);
            self.set(self.verdict, reason::INTERRUPTED, sentence);
            return self;
        }
        if done.good {
            return self;
        }
        let what = done.sentence();
        self.aloud.push(what.clone());
        match done.call.when {
            When::Pass | When::Step => {
                let sentence = format!("{what}; the judge had said: {}", self.sentence);
                self.set(Verdict::Inconclusive, reason::HOOK_FAILED, sentence);
            }
            When::Fail | When::Inconclusive => {
                self.sentence = format!("{}; and {what}", self.sentence);
            }
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::live::hooks::Call;
    use Verdict::{Fail, Inconclusive, Pass, Warn};
    use std::time::Duration;

    fn decision(verdict: Verdict, reason: &'static str) -> Decision {
        Decision {
            verdict,
            reason,
            at_seconds: 450.0,
            sentence: "as measured".to_owned(),
        }
    }

    #[track_caller]
    fn check(
        (verdict, code): (Verdict, &'static str),
        ended: &Ended,
        choice: NoVerdict,
        expected: (Verdict, &str),
    ) {
        let outcome = Outcome::of(&decision(verdict, code), ended, None, choice);
        assert_eq!((outcome.verdict, outcome.reason.as_str()), expected);
        assert_eq!(
            (outcome.computed.verdict, outcome.computed.reason.as_str()),
            (verdict, code)
        );
    }

    const HEALTHY: (Verdict, &str) = (Pass, reason::HEALTHY);
    const SLOW: (Verdict, &str) = (Fail, reason::LATENCY);
    const THIN: (Verdict, &str) = (Inconclusive, reason::LOW_TRAFFIC);
    const CUT: (Verdict, &str) = (Inconclusive, reason::CUT_SHORT);

    #[test]
    fn the_judge_has_the_word_where_nobody_else_spoke() {
        for decided in [HEALTHY, SLOW, THIN, (Warn, reason::SHORT_OF_CPU)] {
            check(decided, &Ended::Decided, NoVerdict::Hold, decided);
        }
    }

    #[test]
    fn an_end_before_its_time_is_named_and_a_fail_stays_one() {
        let held = || Ended::StepHeld("why".to_owned());
        check(
            CUT,
            &Ended::Deadline,
            NoVerdict::Hold,
            (Inconclusive, "deadline"),
        );
        check(CUT, &held(), NoVerdict::Hold, (Inconclusive, "step_held"));
        check(
            CUT,
            &Ended::HookFailed("x".to_owned()),
            NoVerdict::Hold,
            (Inconclusive, "hook_failed"),
        );
        check(SLOW, &Ended::Deadline, NoVerdict::Hold, SLOW);
        check(SLOW, &held(), NoVerdict::Hold, SLOW);
        check(
            CUT,
            &Ended::Interrupted,
            NoVerdict::Fail,
            (Inconclusive, "interrupted"),
        );
        check(
            SLOW,
            &Ended::Interrupted,
            NoVerdict::Hold,
            (Fail, "interrupted"),
        );
        check(
            CUT,
            &Ended::Aborted("me".to_owned()),
            NoVerdict::Pass,
            (Fail, "aborted_by_operator"),
        );
    }

    #[test]
    fn no_verdict_becomes_what_was_chosen_and_a_broken_run_never_a_pass() {
        check(
            THIN,
            &Ended::Decided,
            NoVerdict::Pass,
            (Pass, "low_traffic"),
        );
        check(
            THIN,
            &Ended::Decided,
            NoVerdict::Fail,
            (Fail, "low_traffic"),
        );
        check(SLOW, &Ended::Decided, NoVerdict::Pass, SLOW);
        let unavailable = (Inconclusive, reason::METRICS_UNAVAILABLE);
        check(unavailable, &Ended::Over, NoVerdict::Pass, unavailable);
        check(
            CUT,
            &Ended::Deadline,
            NoVerdict::Pass,
            (Inconclusive, "deadline"),
        );
        check(CUT, &Ended::Deadline, NoVerdict::Fail, (Fail, "deadline"));
    }

    #[test]
    fn a_log_that_broke_takes_the_pass_and_nothing_else() {
        let broken = |(verdict, code)| {
            let outcome = Outcome::of(
                &decision(verdict, code),
                &Ended::Decided,
                Some("no space left"),
                NoVerdict::Pass,
            );
            assert!(!outcome.aloud.is_empty());
            (outcome.verdict, outcome.reason)
        };
        assert_eq!(broken(HEALTHY), (Inconclusive, "log_lost".to_owned()));
        assert_eq!(broken(SLOW), (Fail, "latency".to_owned()));
    }

    #[test]
    fn a_command_that_fails_takes_a_pass_and_leaves_a_fail() {
        let after = |decided: (Verdict, &'static str), good| {
            let outcome = Outcome::of(
                &decision(decided.0, decided.1),
                &Ended::Decided,
                None,
                NoVerdict::Hold,
            );
            let when = outcome.hook().unwrap();
            let done = Done {
                call: Call::new(when, &["promote".to_owned()], "run", None, None),
                good,
                ended: "ended with code 1".to_owned(),
                took: Duration::ZERO,
                output: String::new(),
                was_cancelled: false,
            };
            let outcome = outcome.after(&done, false);
            (outcome.verdict, outcome.reason)
        };
        assert_eq!(after(HEALTHY, true), (Pass, "healthy".to_owned()));
        assert_eq!(
            after(HEALTHY, false),
            (Inconclusive, "hook_failed".to_owned())
        );
        assert_eq!(after(SLOW, false), (Fail, "latency".to_owned()));
        assert_eq!(after(THIN, false), (Inconclusive, "low_traffic".to_owned()));
    }
}
