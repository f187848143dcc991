//! The way of Kayenta's default judge, from its published behaviour: one point a minute, a
//! Mann-Whitney test a metric, a weighted score over three groups.
//!
//! A metric is High if the lower end of the 98% confidence interval of the shift lies above a quarter
//! of the absolute shift itself, and the ratio of the means is at least one. Groups weigh a third
//! each: errors, latency, CPU and memory; 75 and more passes. Less than half of the metrics with data
//! scores nothing.

use gs_common::verdict::Verdict;

use super::quantile;
use crate::counts::Ledger;
use crate::judge::tally::Tally;
use crate::judge::{Decision, reason};
use crate::observations::{Header, Scrape, Side};

const POINT_SECONDS: f64 = 60.0;
const TOLERANCE: f64 = 0.25;
/// The normal quantile of a two-sided confidence of 0.98.
const Z: f64 = 2.326_348;
const PASS: f64 = 75.0;
/// Which metrics make up which group: errors, latency, CPU and memory.
const GROUPS: [&[usize]; 3] = [&[0], &[1], &[2, 3]];
const METRICS: usize = 4;

/// The values of one metric on both sides.
#[derive(Clone, Debug, Default)]
struct Points {
    canary: Vec<f64>,
    stable: Vec<f64>,
}

/// The judge, taking one look after the other.
#[derive(Clone, Debug)]
pub struct Kayenta {
    header: Header,
    ledger: Ledger,
    minute: [Tally; 2],
    memory: [(f64, f64); 2],
    next_point: f64,
    points: [Points; METRICS],
    last: f64,
    decision: Option<Decision>,
}

impl Kayenta {
    /// Starts.
    #[must_use]
    pub fn new(header: &Header) -> Self {
        Self {
            header: header.clone(),
            ledger: Ledger::default(),
            minute: Default::default(),
            memory: [(0.0, 0.0); 2],
            next_point: POINT_SECONDS,
            points: Default::default(),
            last: 0.0,
            decision: None,
        }
    }

    /// Takes one look in.
    pub fn step(&mut self, scrape: &Scrape) -> Option<Decision> {
        if self.decision.is_some() {
            return self.decision.clone();
        }
        self.last = scrape.at_seconds;
        let (increments, _) = self.ledger.take(scrape);
        for increment in &increments {
            self.minute[usize::from(increment.side == Side::Stable)].add(increment);
        }
        for pod in scrape.pods.iter().filter(|pod| pod.up) {
            if let Some(bytes) = pod.memory_bytes {
                let sum = &mut self.memory[usize::from(pod.side == Side::Stable)];
                *sum = (sum.0 + bytes, sum.1 + 1.0);
            }
        }
        let slack = 0.2 * self.header.scrape_interval_seconds;
        if scrape.at_seconds + slack >= self.next_point {
            self.next_point += POINT_SECONDS;
            self.point();
        }
        if scrape.at_seconds + slack >= self.header.duration_seconds {
            self.decision = Some(self.judge());
        }
        self.decision.clone()
    }

    /// Says that nothing more comes.
    pub fn finish(&mut self) -> Decision {
        let judged = self.judge();
        self.decision.get_or_insert(judged).clone()
    }

    fn point(&mut self) {
        let minute = std::mem::take(&mut self.minute);
        let memory = std::mem::replace(&mut self.memory, [(0.0, 0.0); 2]);
        let edges = &self.header.edges_seconds;
        for (side, tally) in minute.iter().enumerate() {
            let values = [
                tally.failed().share(),
                quantile(edges, tally, 0.95),
                (tally.requests > 0).then(|| tally.cpu_seconds / tally.requests as f64),
                (memory[side].1 > 0.0).then(|| memory[side].0 / memory[side].1),
            ];
            for (points, value) in self.points.iter_mut().zip(values) {
                let list = if side == 0 {
                    &mut points.canary
                } else {
                    &mut points.stable
                };
                list.extend(value);
            }
        }
    }

    fn judge(&self) -> Decision {
        let outcomes: Vec<Option<bool>> = self.points.iter().map(high).collect();
        let missing = outcomes.iter().filter(|outcome| outcome.is_none()).count();
        let score: f64 = GROUPS
            .iter()
            .map(|group| {
                let known: Vec<bool> = group
                    .iter()
                    .filter_map(|metric| outcomes[*metric])
                    .collect();
                let good = known.iter().filter(|high| !**high).count() as f64;
                // A group without data does not count against the canary.
                if known.is_empty() {
                    100.0
                } else {
                    100.0 * good / known.len() as f64
                }
            })
            .sum::<f64>()
            / GROUPS.len() as f64;
        let score = if 2 * missing >= METRICS { 0.0 } else { score };
        let worst = outcomes.iter().position(|outcome| *outcome == Some(true));
        let (verdict, reason) = if score >= PASS {
            (Verdict::Pass, reason::HEALTHY)
        } else {
            let code = match worst {
                Some(0) => reason::ERROR_RATE,
                Some(1) => reason::LATENCY,
                Some(_) => reason::MEMORY_LEAK,
                None => reason::NO_TRAFFIC,
            };
            (Verdict::Fail, code)
        };
        Decision {
            verdict,
            reason,
            at_seconds: self.last,
            sentence: format!("the score is {score:.0}, {PASS:.0} passes"),
        }
    }
}

/// Whether a metric of the canary is higher than stable's; `None` without enough data. The shift is
/// Hodges and Lehmann's, the median of all differences; its interval is the one that inverts the
/// Mann-Whitney test with the normal approximation (Hollander, Wolfe and Chicken, "Nonparametric
/// Statistical Methods", section 4.3).
fn high(points: &Points) -> Option<bool> {
    let (canary, stable) = (&points.canary, &points.stable);
    if canary.is_empty() || stable.is_empty() {
        return None;
    }
    let mut differences: Vec<f64> = canary
        .iter()
        .flat_map(|own| stable.iter().map(move |other| own - other))
        .collect();
    differences.sort_by(f64::total_cmp);
    let pairs = differences.len();
    let shift = (differences[(pairs - 1) / 2] + differences[pairs / 2]) / 2.0;
    let (m, n) = (canary.len() as f64, stable.len() as f64);
    let rank = m * n / 2.0 - Z * (m * n * (m + n + 1.0) / 12.0).sqrt();
    let lower = if rank < 1.0 {
        f64::NEG_INFINITY
    } else {
        differences[rank as usize - 1]
    };
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    Some(lower > TOLERANCE * shift.abs() && mean(canary) >= mean(stable))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(canary: &[f64], stable: &[f64], expected: Option<bool>) {
        let points = Points {
            canary: canary.to_vec(),
            stable: stable.to_vec(),
        };
        assert_eq!(high(&points), expected);
    }

    #[test]
    fn a_shift_of_all_points_is_high_and_of_a_few_is_not() {
        let stable: Vec<f64> = (0..15).map(|i| 10.0 + f64::from(i) * 0.1).collect();
        let shifted: Vec<f64> = stable.iter().map(|value| value + 5.0).collect();
        check(&shifted, &stable, Some(true));
        check(&stable, &stable, Some(false));
        let mut few = stable.clone();
        few[..3].fill(1000.0);
        check(&few, &stable, Some(false));
        check(&[], &stable, None);
    }
}
