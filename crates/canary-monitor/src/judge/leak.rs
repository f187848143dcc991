//! Whether the memory of a pod grows without end.

use std::collections::VecDeque;

/// Fewer looks than this show no growth.
pub(super) const LEAST_POINTS: usize = 8;

/// Growth within the window, as a share of what was there, that is worth a thought.
const LEAST_GROWTH: f64 = 0.05;

/// The same where no memory limit is known.
const LEAST_GROWTH_UNLIMITED: f64 = 0.10;

/// Mann and Kendall's statistic above this: it grows, and hardly ever falls.
const MONOTONE: f64 = 4.0;

/// Few points cannot reach that even if they never fall: then this share of the most they can.
const MONOTONE_SHARE: f64 = 0.85;

/// A cache that fills slows down: the second half of the window grows by less than this share of the
/// first. An exponential approach with a time constant of five minutes has 0.61 over five minutes.
const STEADY: f64 = 0.7;

/// The same over everything since the warm-up, which tells slower caches from leaks.
const STEADY_LONG: f64 = 0.55;

/// Everything since the warm-up tells more than the window if it is so many times longer,
const LONG: f64 = 1.4;

/// and no longer than this, in seconds.
pub(super) const MOST_LONG_SECONDS: f64 = 3600.0;

/// Points above that in one window are thinned: slopes are compared pair by pair.
const MOST_POINTS: usize = 60;

/// A run of memory figures of one pod: seconds and bytes.
pub(super) type Points = VecDeque<(f64, f64)>;

/// What is remembered of one pod.
#[derive(Clone, Debug, Default)]
pub(super) struct Memory {
    pub(super) points: Points,
    pub(super) limit: Option<f64>,
    pub(super) started_at_seconds: Option<f64>,
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

/// Growth that is steady and reaches the limit within the horizon.
pub(super) fn growing(
    pod: &str,
    memory: &Memory,
    window: f64,
    since: f64,
    horizon: f64,
) -> Option<Leak> {
    let points = thinned(&memory.points, window);
    let (first, last) = (points.first()?, points.last()?);
    let span = last.0 - first.0;
    if points.len() < LEAST_POINTS || span < 0.85 * window {
        return None;
    }
    let slope = slope(&points)?;
    let least = if memory.limit.is_some() {
        LEAST_GROWTH
    } else {
        LEAST_GROWTH_UNLIMITED
    };
    if slope * span < least * first.1 {
        return None;
    }
    if mann_kendall(&points) <= monotone(points.len()) || steadiness(&points) < STEADY {
        return None;
    }
    let started = memory.started_at_seconds.unwrap_or(f64::NEG_INFINITY);
    let all = thinned(&memory.points, last.0 - since.max(started));
    let long = all
        .first()
        .is_some_and(|first| last.0 - first.0 >= LONG * window);
    if long && steadiness(&all) < STEADY_LONG {
        return None;
    }
    let left = memory.limit.map(|limit| (limit - last.1).max(0.0) / slope);
    if left.is_some_and(|left| left > horizon) {
        return None;
    }
    Some(Leak {
        pod: pod.to_owned(),
        slope,
        bytes: last.1,
        reaches_limit_in_seconds: left,
    })
}

/// The slope of the second half, as a share of that of the first.
fn steadiness(points: &[(f64, f64)]) -> f64 {
    let middle = points.len() / 2;
    let growth = |points: &[(f64, f64)]| slope(points).unwrap_or(0.0);
    let (early, late) = (growth(&points[..=middle]), growth(&points[middle..]));
    if early > 0.0 {
        late / early
    } else {
        f64::INFINITY
    }
}

/// The points of the last `window` seconds, thinned.
pub(super) fn thinned(points: &Points, window: f64) -> Vec<(f64, f64)> {
    let from = points.back().map_or(0.0, |(at, _)| at - window - 1.0);
    let within: Vec<(f64, f64)> = points
        .iter()
        .rev()
        .take_while(|(at, _)| *at >= from)
        .copied()
        .collect();
    let step = within.len().div_ceil(MOST_POINTS).max(1);
    within.into_iter().step_by(step).rev().collect()
}

/// What the statistic of so many points has to exceed.
fn monotone(points: usize) -> f64 {
    let n = points as f64;
    let most = n * (n - 1.0) / 2.0 / (n * (n - 1.0) * (2.0 * n + 5.0) / 18.0).sqrt();
    MONOTONE.min(MONOTONE_SHARE * most)
}

/// Theil and Sen's slope: the median over all pairs, deaf to outliers.
pub(super) fn slope(points: &[(f64, f64)]) -> Option<f64> {
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

pub(super) fn median(mut values: Vec<f64>) -> Option<f64> {
    if values.is_empty() {
        return None;
    }
    let middle = values.len() / 2;
    let (_, value, _) = values.select_nth_unstable_by(middle, f64::total_cmp);
    Some(*value)
}
