//! The judgement at the end of a run: the last look, and what a pass needs.

use gs_common::verdict::Verdict;

use super::evidence::{Count, under_limit};
use super::numeric::{binomial_at_least, binomial_at_most};
use super::tally::{Kind, Window, without_bursts};
use super::watch::Watch;
use super::{Decision, reason};
use crate::observations::Side;

/// The last look at latency is at the edge that about so many of stable's requests exceed.
const LAST_LOOK_SHARE: f64 = 0.10;

/// Stable's share within which a last look at latency makes sense.
const LAST_LOOK_RANGE: std::ops::Range<f64> = 0.002..0.5;

/// The chance of a side within its limits to look as if it were over one.
const ENVIRONMENT_ALPHA: f64 = 0.01;

/// The share of the time for which the environment has to be sound.
const LEAST_SOUND: f64 = 0.4;

/// A split is wrong if it is off by this factor,
const SPLIT_FACTOR: f64 = 2.0;

/// with a chance below this if it were not.
const SPLIT_ALPHA: f64 = 1e-6;

impl Watch {
    /// Judges at the end. `None` asks for an extension, which `last` forbids.
    pub(super) fn at_end(&mut self, last: bool) -> Option<Decision> {
        if !self.looks.canary_seen {
            let sentence = "no canary pod told its requests".to_owned();
            return Some(self.inconclusive(reason::METRICS_UNAVAILABLE, sentence));
        }
        let whole = self.whole.sum(Side::Canary);
        if whole.requests == 0 {
            let sentence = "the canary got no request".to_owned();
            return Some(self.inconclusive(reason::NO_TRAFFIC, sentence));
        }
        let open = self
            .environment()
            .or_else(|| self.mostly_unsound())
            .map(|sentence| (reason::ENVIRONMENT_UNHEALTHY, sentence))
            .or_else(|| self.undecided());
        if open.is_some() && !last {
            return None;
        }
        // One look, at the very end: it has no guarantee for more.
        if let Some(decision) = self.last_look() {
            return Some(decision);
        }
        if let Some((reason, sentence)) = open {
            return Some(self.inconclusive(reason, sentence));
        }
        Some(self.without_conviction())
    }

    /// What speaks against the canary at this moment and has not convicted it.
    fn undecided(&self) -> Option<(super::Reason, String)> {
        if self.streaks.iter().any(|streak| *streak > 0) {
            let sentence =
                "the evidence against the canary had not yet held long enough".to_owned();
            return Some((reason::UNDECIDED, sentence));
        }
        let over = |kind, limit: f64, dispersion: f64| {
            let (canary, stable) = self.latest(kind);
            breaks(canary, limit, dispersion)
                && !self.shared(canary.share().unwrap_or(0.0), stable.share(), limit)
        };
        let errors = over(
            Kind::Errors,
            self.policy.error_limit,
            self.error_limit.dispersion,
        );
        let slow = self.limit_edges.1.is_some_and(|edge| {
            over(
                Kind::Slow(edge),
                self.policy.slow_limit,
                self.slow_limit.dispersion,
            )
        });
        (errors || slow).then(|| {
            let sentence = "the canary was over a limit at the end, for too short a time to judge";
            (reason::UNDECIDED, sentence.to_owned())
        })
    }

    /// Both sides in the latest minute or so.
    fn latest(&self, kind: Kind) -> (Count, Count) {
        let seconds = self.policy.recent_seconds;
        let window = Window {
            seconds,
            requests: 0,
            most_seconds: seconds,
        };
        self.history
            .window(&window, self.warm_at.unwrap_or(f64::INFINITY), kind)
    }

    fn without_conviction(&self) -> Decision {
        if !self.looks.stable_seen || self.whole.sum(Side::Stable).requests == 0 {
            let what = if self.looks.stable_seen {
                "stable got no request"
            } else {
                "no stable pod was seen"
            };
            return self.inconclusive(reason::BASELINE_MISSING, what.to_owned());
        }
        if let Some(sentence) = self.unmeasured() {
            return self.inconclusive(reason::METRICS_UNAVAILABLE, sentence);
        }
        let (canary, stable) = self.coverage();
        let least = self.policy.coverage;
        if canary.min(stable) < least {
            let sentence = format!(
                "{:.0}% of the looks at the canary and {:.0}% of those at stable were had, {:.0}% are needed",
                canary * 100.0,
                stable * 100.0,
                least * 100.0
            );
            return self.inconclusive(reason::COVERAGE, sentence);
        }
        if let Some(sentence) = self.blind_at_the_end() {
            return self.inconclusive(reason::COVERAGE, sentence);
        }
        if let Some(sentence) = self.split() {
            return if self.guards.restarts(Side::Canary) > 0 {
                let restarts = self.guards.restarts(Side::Canary);
                self.fail(
                    reason::SPLIT,
                    format!("{sentence}, and its pods restarted {restarts} times"),
                )
            } else {
                self.inconclusive(reason::SPLIT, sentence)
            };
        }
        let line = self.policy.fail_line();
        let (errors, slow) = self.shown();
        if errors > line && slow > line {
            let sentence = self.sentence_of(reason::HEALTHY);
            return match self.guards.short_of_cpu() {
                None => self.decided(Verdict::Pass, reason::HEALTHY, sentence),
                Some(short) => {
                    let sentence = format!("{short}; {sentence}");
                    self.decided(Verdict::Warn, reason::SHORT_OF_CPU, sentence)
                }
            };
        }
        if errors > line
            && let Some(sentence) = self.between_edges(line)
        {
            return self.inconclusive(reason::METRICS_UNAVAILABLE, sentence);
        }
        self.inconclusive(reason::LOW_TRAFFIC, self.sentence_of(reason::LOW_TRAFFIC))
    }

    /// The evidence that errors and slow requests are below their limits while the environment is sound.
    pub(super) fn shown(&self) -> (f64, f64) {
        let errors = under_limit(self.sound.errors, self.policy.error_limit);
        let slow = if self.limit_edges.0.is_some() {
            under_limit(self.sound.slow, self.policy.slow_limit)
        } else {
            f64::NEG_INFINITY
        };
        (errors, slow)
    }

    /// The share of the expected looks that were had at the canary and at stable.
    pub(super) fn coverage(&self) -> (f64, f64) {
        let until = self.at_seconds.max(self.ends_at);
        let expected = (until / self.header.scrape_interval_seconds)
            .floor()
            .max(1.0);
        let share = |had: f64| (had / expected).min(1.0);
        (share(self.looks.canary), share(self.looks.stable))
    }

    /// A side that was not seen lately: an outage or a renamed metric in the last fifth of a run leaves
    /// enough coverage, and says nothing about the canary as it is now.
    fn blind_at_the_end(&self) -> Option<String> {
        let until = self.at_seconds.max(self.ends_at);
        let longest =
            (2.0 * self.policy.recent_seconds).max(3.0 * self.header.scrape_interval_seconds);
        [
            ("the canary", self.looks.canary_last),
            ("stable", self.looks.stable_last),
        ]
        .into_iter()
        .map(|(who, last)| (who, until - last))
        .find(|(_, blind)| *blind > longest)
        .map(|(who, blind)| {
            format!("{who} was not seen in the last {blind:.0} seconds, at most {longest:.0} may be missing at the end")
        })
    }

    /// What the pods did not tell.
    fn unmeasured(&self) -> Option<String> {
        for side in [Side::Canary, Side::Stable] {
            let (who, tally) = (side.as_str(), self.whole.sum(side));
            let mostly = |told: u64| told as f64 >= self.policy.coverage * tally.requests as f64;
            if !mostly(tally.told_errors) {
                return Some(format!(
                    "{who} does not tell how many of its requests failed"
                ));
            }
            if !mostly(tally.told_latency) {
                return Some(format!("{who} does not tell how long its requests took"));
            }
        }
        if self.limit_edges.0.is_none() {
            return Some(format!(
                "no bucket of the histogram ends at or below {} s: that the limit holds cannot be shown",
                self.policy.latency_limit_seconds
            ));
        }
        None
    }

    /// Whether only an edge at the limit is missing: the next one above it would show that the limit
    /// holds, the next one below it does not.
    fn between_edges(&self, line: f64) -> Option<String> {
        let (Some(below), Some(above)) = self.limit_edges else {
            return None;
        };
        let slow = self.totals.sum(Side::Canary).slow(above);
        let holds = below != above && under_limit(slow, self.policy.slow_limit) > line;
        holds.then(|| {
            let edge = |edge: usize| self.header.edges_seconds[edge];
            format!(
                "no bucket ends at the limit of {} s: the requests between {} s and {} s may be within it or not",
                self.policy.latency_limit_seconds,
                edge(below),
                edge(above)
            )
        })
    }

    /// Whether stable breaks a limit in the recent past, with some certainty.
    fn environment(&self) -> Option<String> {
        let window = |kind| {
            let window = Window {
                seconds: self.policy.environment_seconds,
                requests: 0,
                most_seconds: self.policy.environment_seconds,
            };
            self.history.window(&window, 0.0, kind).1
        };
        let errors = window(Kind::Errors);
        if breaks(errors, self.policy.error_limit, self.error_limit.dispersion) {
            return Some(format!(
                "{:.1}% of stable's requests fail too, {:.1}% are allowed",
                errors.share().unwrap_or(0.0) * 100.0,
                self.policy.error_limit * 100.0
            ));
        }
        let edge = self.limit_edges.1?;
        let slow = window(Kind::Slow(edge));
        breaks(slow, self.policy.slow_limit, self.slow_limit.dispersion).then(|| {
            format!(
                "{:.1}% of stable's requests are slower than {} s too, {:.1}% are allowed",
                slow.share().unwrap_or(0.0) * 100.0,
                self.header.edges_seconds[edge],
                self.policy.slow_limit * 100.0
            )
        })
    }

    /// Whether stable broke a limit for most of the time.
    fn mostly_unsound(&self) -> Option<String> {
        let (sound, of) = (self.sound.cells, self.sound.of);
        (f64::from(sound) < LEAST_SOUND * f64::from(of))
            .then(|| format!("stable kept its own limits at {sound} of {of} checks only"))
    }

    /// Whether the canary's share of the requests was off a declared weight.
    fn split(&self) -> Option<String> {
        self.splits.iter().find_map(|split| {
            let weight = split.weight?;
            let [canary, stable] = split.requests;
            let all = canary + stable;
            let share = canary as f64 / all.max(1) as f64;
            let (low, high) = (weight / SPLIT_FACTOR, (weight * SPLIT_FACTOR).min(1.0));
            let off = (share < low && binomial_at_most(canary, all, low) < SPLIT_ALPHA)
                || (share > high && binomial_at_least(canary, all, high) < SPLIT_ALPHA);
            off.then(|| {
                format!(
                    "the canary got {:.1}% of the requests, {:.1}% were declared",
                    share * 100.0,
                    weight * 100.0
                )
            })
        })
    }

    /// One exact test on the totals, which finds what was too thin for the sequential ones:
    /// `P(X >= floor(x/D))` for `X` binomial of `floor((x + y)/D)` and `r n / (r n + m)`.
    fn last_look(&self) -> Option<Decision> {
        let stable = self.totals.sum(Side::Stable);
        let found = |kind: Kind, dispersion: f64| {
            let since = self.warm_at.unwrap_or(f64::INFINITY);
            let x = without_bursts(self.history.after(since), kind);
            let y = stable.of(kind);
            if x.requests == 0 || y.requests == 0 {
                return false;
            }
            let (tolerated, floor) = self.tolerance_of(kind);
            if x.share().unwrap_or(0.0) <= floor || !self.stands_out(kind) {
                return false;
            }
            let scaled = |value: u64| (value as f64 / dispersion.max(1.0)).floor() as u64;
            let weighted = tolerated * x.requests as f64;
            let chance = weighted / (weighted + y.requests as f64);
            binomial_at_least(scaled(x.events), scaled(x.events + y.events), chance)
                < self.policy.alpha
        };
        if found(Kind::Errors, self.errors.dispersion) {
            let sentence = self.sentence_of(reason::ERROR_RATE);
            return Some(self.fail(reason::ERROR_RATE, sentence));
        }
        let edge = self.last_look_edge()?;
        found(Kind::Slow(edge), self.slow[edge].dispersion).then(|| {
            let sentence = self.slow_sentence(edge);
            self.fail(reason::LATENCY, sentence)
        })
    }

    /// The edge whose share of stable's requests is nearest to a tenth.
    fn last_look_edge(&self) -> Option<usize> {
        let stable = self.totals.sum(Side::Stable);
        let distance = |edge: &usize| {
            let share = stable.slow(*edge).share()?;
            LAST_LOOK_RANGE
                .contains(&share)
                .then(|| (share / LAST_LOOK_SHARE).ln().abs())
        };
        let edges = self.compared_edges.iter().copied();
        edges
            .filter_map(|edge| Some((edge, distance(&edge)?)))
            .min_by(|a, b| a.1.total_cmp(&b.1))
            .map(|(edge, _)| edge)
    }
}

/// Whether a share is over its limit with some certainty.
fn breaks(count: Count, limit: f64, dispersion: f64) -> bool {
    let scaled = |value: u64| (value as f64 / dispersion.max(1.0)).floor() as u64;
    let tail = binomial_at_least(scaled(count.events), scaled(count.requests), limit);
    count.share().is_some_and(|share| share > limit) && tail < ENVIRONMENT_ALPHA
}
