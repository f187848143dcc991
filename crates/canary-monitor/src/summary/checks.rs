//! The checks of a run: one for each test and guard of the judge, for what was looked at, and for each
//! command.

use gs_common::report::{Check, Evidence, Quantity};
use gs_common::verdict::Verdict;

use super::{DRY_RUN, Run};
use crate::judge::{TestView, reason};
use crate::live::hooks::percent as weight_percent;
use crate::live::screen::{bracket, percent, seconds, title};
use crate::log::HookLine;

impl Run<'_> {
    fn is(&self, code: &str) -> bool {
        self.computed
            .is_some_and(|computed| computed.reason == code)
    }

    fn failed(&self, codes: &[&str]) -> bool {
        self.computed.is_some_and(|computed| {
            computed.verdict == Verdict::Fail && codes.contains(&computed.reason.as_str())
        })
    }

    pub(super) fn checks(&self) -> Vec<Check> {
        let mut checks = vec![self.whole()];
        checks.extend(self.view.tests.iter().map(|test| self.test(test)));
        checks.push(self.restarts());
        checks.extend(self.memory());
        checks.extend(self.cpu());
        checks.push(self.coverage());
        checks.extend(self.split());
        checks.extend(self.log());
        let ran = self.state.hooks.iter().filter(|hook| hook.state != DRY_RUN);
        checks.extend(ran.map(hook));
        checks
    }

    /// What the judge says of the whole.
    fn whole(&self) -> Check {
        let mut check = Check::passed("canary", "the canary may be promoted");
        let tests = self.view.tests.iter().map(|test| {
            format!(
                "{}: evidence {:.1} of {:.1}, held at {} of {} checks, dispersion {:.1}",
                title(test.reason),
                test.evidence,
                self.view.fail_line,
                test.held,
                test.needed,
                test.dispersion
            )
        });
        check.evidence.push(Evidence {
            label: "tests".to_owned(),
            text: tests.collect::<Vec<_>>().join("\n"),
        });
        if let Some(computed) = self.computed {
            check.verdict = computed.verdict;
            check.observed = Some(Quantity::of(computed.at_seconds, "s into the run"));
            if computed.verdict != Verdict::Pass {
                check.reason = Some(computed.reason.clone());
                check.message = Some(computed.sentence.clone());
            }
        } else {
            check.verdict = Verdict::Inconclusive;
        }
        if let (Some(legacy), Some(decision)) = (&self.state.legacy, &self.state.decision) {
            check.evidence.push(legacy.evidence(decision));
        }
        check
    }

    fn test(&self, test: &TestView) -> Check {
        let (canary, stable) = (&self.view.canary, &self.view.stable);
        let policy = &self.state.header.policy;
        let limit = seconds(policy.latency_limit_seconds);
        let mut check = Check::passed(test.reason, title(test.reason));
        let (observed, expected, shown) = match test.reason {
            reason::ERROR_RATE => (
                canary.error_share,
                format!("not worse than stable's {}", percent(stable.error_share)),
                None,
            ),
            reason::LATENCY => (
                canary.slow_share,
                format!(
                    "not worse than stable: {} slower than {limit}, P95 {} (canary {})",
                    percent(stable.slow_share),
                    bracket(stable.p95_seconds),
                    bracket(canary.p95_seconds)
                ),
                None,
            ),
            reason::ERROR_LIMIT => (
                canary.error_share,
                format!("under {} errors", percent(Some(policy.error_limit))),
                Some(self.view.shown.0),
            ),
            _ => (
                canary.slow_share,
                format!(
                    "under {} slower than {limit}",
                    percent(Some(policy.slow_limit))
                ),
                Some(self.view.shown.1),
            ),
        };
        check.observed = observed.map(|share| Quantity::of(share, "share"));
        check.expected = Some(expected);
        check.evidence.push(Evidence {
            label: "evidence".to_owned(),
            text: format!(
                "{:.1} of {:.1} nats, held at {} of {} checks, dispersion {:.1}",
                test.evidence, self.view.fail_line, test.held, test.needed, test.dispersion
            ),
        });
        let unknown = match shown {
            _ if self.view.warm_at_seconds.is_none() => Some("the canary never got warm"),
            Some(shown) if shown <= self.view.fail_line => {
                Some("too few requests show that it holds")
            }
            None if stable.requests == 0 => Some("stable got no request to compare with"),
            None if observed.is_none() => Some("the canary does not tell"),
            _ => None,
        };
        let catastrophe = test.reason == reason::ERROR_LIMIT && self.failed(&[reason::CATASTROPHE]);
        if self.failed(&[test.reason]) || catastrophe {
            self.broken(&mut check, Verdict::Fail);
        } else if let Some(why) = unknown {
            check.verdict = Verdict::Inconclusive;
            check.reason = Some("not_shown".to_owned());
            check.message = Some(why.to_owned());
        }
        check
    }

    /// The judge's own sentence on a check that it decided by.
    fn broken(&self, check: &mut Check, verdict: Verdict) {
        check.verdict = verdict;
        if let Some(computed) = self.computed {
            check.reason = Some(computed.reason.clone());
            check.message = Some(computed.sentence.clone());
        }
    }

    fn restarts(&self) -> Check {
        let mut check = Check::passed("restarts", "the canary's pods stay alive");
        let (canary, stable) = (&self.view.canary, &self.view.stable);
        check.observed = Some(Quantity::of(canary.restarts, "restarts"));
        check.expected = Some(format!(
            "under {} restarts (stable: {})",
            self.state.header.policy.restarts, stable.restarts
        ));
        if canary.oom_kills + stable.oom_kills > 0 {
            check.evidence.push(Evidence {
                label: "out of memory".to_owned(),
                text: format!("canary {}, stable {}", canary.oom_kills, stable.oom_kills),
            });
        }
        if self.failed(&[reason::RESTARTS, reason::OOM_KILLED]) {
            self.broken(&mut check, Verdict::Fail);
        } else if self.state.looks() == 0 {
            check.verdict = Verdict::Inconclusive;
            check.reason = Some("not_seen".to_owned());
        }
        check
    }

    fn memory(&self) -> Option<Check> {
        let mut check = Check::passed("memory", "the canary's memory does not run away");
        if !self.state.watch.knows_memory() {
            return None;
        }
        check.expected = Some("no growth that goes on up to the limit".to_owned());
        if self.failed(&[reason::MEMORY_LEAK]) {
            self.broken(&mut check, Verdict::Fail);
        }
        Some(check)
    }

    fn cpu(&self) -> Option<Check> {
        let (canary, stable) = (&self.view.canary.cpu, &self.view.stable.cpu);
        if canary.near_limit_share.is_none() && canary.throttled_share.is_none() {
            return None;
        }
        let told = |cpu: &crate::judge::Cpu| {
            let share = |share: Option<f64>| percent(share);
            format!(
                "near its limit {}, throttled {} of the time",
                share(cpu.near_limit_share),
                share(cpu.throttled_share)
            )
        };
        let mut check = Check::passed("cpu", "the canary has enough CPU");
        check.observed = Some(Quantity::bare(told(canary)));
        check.expected = Some(format!("no shorter of it than stable: {}", told(stable)));
        if self.is(reason::SHORT_OF_CPU) {
            self.broken(&mut check, Verdict::Warn);
        }
        Some(check)
    }

    fn coverage(&self) -> Check {
        let mut check = Check::passed("coverage", "the canary was looked at");
        let (canary, stable) = self.view.coverage;
        let least = self.state.header.policy.coverage;
        check.observed = Some(Quantity::of(canary.min(stable), "share"));
        check.expected = Some(format!("at least {} of the looks", percent(Some(least))));
        check.evidence.push(Evidence {
            label: "looks".to_owned(),
            text: format!(
                "{} looks, {} of those at the canary, {} of those at stable, {} losses",
                self.state.looks(),
                percent(Some(canary)),
                percent(Some(stable)),
                self.state.lost.count
            ),
        });
        if canary.min(stable) < least {
            check.verdict = Verdict::Inconclusive;
            check.reason = Some(reason::COVERAGE.to_owned());
            check.message =
                Some("too many looks were not had, or the watch ended early".to_owned());
        }
        check
    }

    fn split(&self) -> Option<Check> {
        let weight = match &self.state.steps {
            Some(steps) => steps.weights.get(steps.index).copied(),
            None => self.state.header.observations.canary_weight,
        }?;
        let (canary, stable) = (self.view.canary.requests, self.view.stable.requests);
        let mut check = Check::passed("split", "the canary gets the traffic that was declared");
        if canary + stable > 0 {
            let share = canary as f64 / (canary + stable) as f64;
            check.observed = Some(Quantity::of(share, "share"));
        }
        check.expected = Some(format!("about {}%", weight_percent(weight)));
        if self.is(reason::SPLIT) {
            let verdict = self
                .computed
                .map_or(Verdict::Inconclusive, |computed| computed.verdict);
            self.broken(&mut check, verdict);
        } else if canary + stable == 0 {
            check.verdict = Verdict::Inconclusive;
            check.reason = Some(reason::NO_TRAFFIC.to_owned());
        }
        Some(check)
    }

    fn log(&self) -> Option<Check> {
        let path = self.state.log_path()?;
        let mut check = Check::passed("decision_log", "the decision log is whole");
        check.target = Some(path.display().to_string());
        if let Some(why) = self.state.log_broken() {
            check.verdict = Verdict::Inconclusive;
            check.reason = Some(reason::LOG_LOST.to_owned());
            check.message = Some(format!("it could not be written to its end: {why}"));
        }
        Some(check)
    }
}

/// A command as a check.
pub(super) fn hook(line: &HookLine) -> Check {
    let id = match line.step {
        Some(step) if line.hook == "on-step" => format!("{}-{step}", line.hook),
        _ => line.hook.clone(),
    };
    let mut check = Check::passed(&id, format!("--{} {}", line.hook, line.command.join(" ")));
    check.duration_ms = line.took_ms;
    if let Some(output) = &line.output {
        check.evidence.push(Evidence {
            label: "output".to_owned(),
            text: output.clone(),
        });
    }
    match line.state.as_str() {
        "done" => {}
        _ => {
            check.verdict = Verdict::Inconclusive;
            check.reason = Some(reason::HOOK_FAILED.to_owned());
            check.message = line.ended.clone();
        }
    }
    check
}
