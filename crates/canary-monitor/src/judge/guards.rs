//! What is wrong with a canary without a statistic: restarts, kills, a leak.

use std::collections::{BTreeMap, VecDeque};

use super::policy::Policy;
use crate::counts::{Event, EventKind};
use crate::observations::{Scrape, Side};

/// Fewer looks than this show no growth.
const LEAST_POINTS: usize = 8;

/// Growth within the window, as a share of what was there, that is worth a thought.
const LEAST_GROWTH: f64 = 0.05;

/// The same where no memory limit is known.
const LEAST_GROWTH_UNLIMITED: f64 = 0.10;

/// Mann and Kendall's statistic above this: it grows, and hardly ever falls.
const MONOTONE: f64 = 4.0;

/// A cache that fills slows down: its second half grows by less than this share of its first.
const STEADY: f64 = 0.5;

/// Growth that stable shows too is not the canary's: it has to exceed it by this factor.
const BEYOND_STABLE: f64 = 2.0;

/// Checks in a row for which it has to grow.
const LEAK_CHECKS: u32 = 3;

/// Points above that in one window are thinned: slopes are compared pair by pair.
const MOST_POINTS: usize = 120;

/// A run of memory figures of one pod: seconds and bytes.
type Points = VecDeque<(f64, f64)>;

/// What is remembered for the guards.
#[derive(Clone, Debug, Default)]
pub struct Guards {
    restarts: [u64; 2],
    oom_kills: [u64; 2],
    memory: BTreeMap<(Side, String), Memory>,
    growing_checks: u32,
}

#[derive(Clone, Debug, Default)]
struct Memory {
    points: Points,
    limit: Option<f64>,
}

/// A leak that was seen.
#[derive(Clone, Debug, PartialEq)]
pub struct Leak {
    /// The pod.
    pub pod: String,
    /// Bytes a second.
    pub slope: f64,
    /// Bytes at the last look.
    pub bytes: f64,
    /// Seconds until the limit, where one is known.
    pub reaches_limit_in_seconds: Option<f64>,
}

impl Guards {
    /// Takes one look in.
    pub fn take(&mut self, scrape: &Scrape, events: &[Event], policy: &Policy) {
        for event in events {
            match event.kind {
                EventKind::Restart => self.restarts[index(event.side)] += 1,
                EventKind::OomKills(kills) => self.oom_kills[index(event.side)] += kills,
            }
        }
        for sample in scrape.pods.iter().filter(|sample| sample.up) {
            let Some(bytes) = sample.memory_bytes else {
                continue;
            };
            let memory = self
                .memory
                .entry((sample.side, sample.pod.clone()))
                .or_default();
            memory.limit = sample.memory_limit_bytes.or(memory.limit);
            // A process that starts anew starts its memory anew.
            if memory
                .points
                .back()
                .is_some_and(|(_, last)| bytes < 0.5 * last)
            {
                memory.points.clear();
            }
            memory.points.push_back((scrape.at_seconds, bytes));
            let oldest = scrape.at_seconds - policy.leak_seconds - 1.0;
            while memory.points.front().is_some_and(|(at, _)| *at < oldest) {
                memory.points.pop_front();
            }
        }
    }

    /// Restarts of a side so far.
    #[must_use]
    pub fn restarts(&self, side: Side) -> u64 {
        self.restarts[index(side)]
    }

    /// Kills for want of memory of a side so far.
    #[must_use]
    pub fn oom_kills(&self, side: Side) -> u64 {
        self.oom_kills[index(side)]
    }

    /// Whether any canary pod told its memory.
    #[must_use]
    pub fn knows_memory(&self) -> bool {
        self.memory.keys().any(|(side, _)| *side == Side::Canary)
    }

    /// Looks for a leak at a check; it has to be there at several in a row.
    pub fn leak(&mut self, policy: &Policy) -> Option<Leak> {
        let stable = median(
            self.memory
                .iter()
                .filter(|((side, _), _)| *side == Side::Stable)
                .filter_map(|(_, memory)| slope(&thinned(&memory.points)))
                .collect(),
        )
        .unwrap_or(0.0);
        let canaries = self
            .memory
            .iter()
            .filter(|((side, _), _)| *side == Side::Canary);
        let found = canaries
            .filter_map(|((_, pod), memory)| growing(pod, memory, stable, policy))
            .next();
        self.growing_checks = if found.is_some() {
            self.growing_checks + 1
        } else {
            0
        };
        found.filter(|_| self.growing_checks >= LEAK_CHECKS)
    }
}

fn index(side: Side) -> usize {
    usize::from(side == Side::Stable)
}

/// Growth that is steady, beyond that of stable, and reaches the limit within the horizon.
fn growing(pod: &str, memory: &Memory, stable_slope: f64, policy: &Policy) -> Option<Leak> {
    let points = thinned(&memory.points);
    let (first, last) = (points.first()?, points.last()?);
    let span = last.0 - first.0;
    if points.len() < LEAST_POINTS || span < 0.9 * policy.leak_seconds {
        return None;
    }
    let slope = slope(&points)?;
    let least = if memory.limit.is_some() {
        LEAST_GROWTH
    } else {
        LEAST_GROWTH_UNLIMITED
    };
    if slope * span < least * first.1 || slope <= BEYOND_STABLE * stable_slope.max(0.0) {
        return None;
    }
    if mann_kendall(&points) <= MONOTONE {
        return None;
    }
    let middle = points.len() / 2;
    let growth = |points: &[(f64, f64)]| self::slope(points).unwrap_or(0.0);
    if growth(&points[middle..]) < STEADY * growth(&points[..=middle]) {
        return None;
    }
    let left = memory.limit.map(|limit| (limit - last.1).max(0.0) / slope);
    if left.is_some_and(|left| left > policy.leak_horizon_seconds) {
        return None;
    }
    Some(Leak {
        pod: pod.to_owned(),
        slope,
        bytes: last.1,
        reaches_limit_in_seconds: left,
    })
}

fn thinned(points: &Points) -> Vec<(f64, f64)> {
    let step = points.len().div_ceil(MOST_POINTS).max(1);
    points.iter().rev().step_by(step).rev().copied().collect()
}

/// Theil and Sen's slope: the median over all pairs, deaf to outliers.
fn slope(points: &[(f64, f64)]) -> Option<f64> {
    let pairs = points.iter().enumerate().flat_map(|(index, early)| {
        points[index + 1..]
            .iter()
            .map(move |late| (late.1 - early.1) / (late.0 - early.0).max(1e-9))
    });
    median(pairs.collect())
}

/// Mann and Kendall's statistic of a trend, without a correction for ties.
fn mann_kendall(points: &[(f64, f64)]) -> f64 {
    let n = points.len() as f64;
    let mut score = 0.0;
    for (index, early) in points.iter().enumerate() {
        for late in &points[index + 1..] {
            score += match late.1.total_cmp(&early.1) {
                std::cmp::Ordering::Greater => 1.0,
                std::cmp::Ordering::Less => -1.0,
                std::cmp::Ordering::Equal => 0.0,
            };
        }
    }
    let variance: f64 = n * (n - 1.0) * (2.0 * n + 5.0) / 18.0;
    score / variance.sqrt()
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    if values.is_empty() {
        return None;
    }
    let middle = values.len() / 2;
    let (_, value, _) = values.select_nth_unstable_by(middle, f64::total_cmp);
    Some(*value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observations::PodSample;

    const MIB: f64 = 1_048_576.0;

    /// Whether a canary whose memory goes like this, in MiB at each second, is ever called leaking.
    #[track_caller]
    fn check(memory: impl Fn(f64) -> f64, limit: Option<f64>, expected: bool) {
        let (mut guards, policy) = (Guards::default(), Policy::default());
        let mut seen = false;
        for look in 1..=60 {
            let at_seconds = f64::from(look) * 15.0;
            let sample = PodSample {
                up: true,
                memory_bytes: Some(memory(at_seconds) * MIB),
                memory_limit_bytes: limit,
                ..PodSample::down("c", Side::Canary)
            };
            let scrape = Scrape {
                at_seconds,
                pods: vec![sample],
            };
            guards.take(&scrape, &[], &policy);
            seen |= look % 2 == 0 && guards.leak(&policy).is_some();
        }
        assert_eq!(seen, expected);
    }

    fn ripple(at: f64) -> f64 {
        3.0 * (at / 7.0).sin()
    }

    #[test]
    fn steady_growth_is_a_leak() {
        check(|at| 600.0 + at / 3.0 + ripple(at), Some(2048.0 * MIB), true);
        check(|at| 600.0 + at / 3.0, None, true);
    }

    #[test]
    fn a_cache_that_fills_is_none() {
        check(
            |at| 600.0 - 200.0 * (-at / 60.0).exp() + ripple(at),
            Some(2048.0 * MIB),
            false,
        );
        check(
            |at| 400.0 + (at / 0.9).min(200.0) + ripple(at),
            Some(2048.0 * MIB),
            false,
        );
    }

    #[test]
    fn a_saw_is_none_and_slow_growth_is_for_others() {
        check(|at| 600.0 + at % 120.0, Some(2048.0 * MIB), false);
        check(|at| 600.0 + at / 300.0, Some(2048.0 * MIB), false);
    }

    #[test]
    fn what_stable_does_too_is_not_the_canarys() {
        let (mut guards, policy) = (Guards::default(), Policy::default());
        for look in 1..=60 {
            let at_seconds = f64::from(look) * 15.0;
            let sample = |pod: &str, side| PodSample {
                up: true,
                memory_bytes: Some((600.0 + at_seconds / 3.0) * MIB),
                ..PodSample::down(pod, side)
            };
            let pods = vec![sample("c", Side::Canary), sample("s", Side::Stable)];
            guards.take(&Scrape { at_seconds, pods }, &[], &policy);
            assert_eq!(guards.leak(&policy), None);
        }
    }
}
