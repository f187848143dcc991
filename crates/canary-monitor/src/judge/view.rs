//! What the judge knows, for people: the sides, the tests, and sentences with numbers.

use super::guards::Cpu;
use super::leak::Leak;
use super::tally::{Kind, Tally};
use super::watch::Watch;
use super::{Reason, power, reason};
use crate::observations::Side;

/// One side at a glance.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SideView {
    /// Pods that served since the start.
    pub pods: usize,
    /// Requests of the whole run.
    pub requests: u64,
    /// Share of errors since the warm-up.
    pub error_share: Option<f64>,
    /// Share of requests over the latency limit since the warm-up.
    pub slow_share: Option<f64>,
    /// The bucket that holds the 95th percentile since the warm-up, in seconds: from, to.
    pub p95_seconds: Option<(f64, f64)>,
    /// CPU seconds a request.
    pub cpu_per_request: Option<f64>,
    /// Restarts.
    pub restarts: u64,
    /// Kills for want of memory.
    pub oom_kills: u64,
    /// How short of CPU its pods were.
    pub cpu: Cpu,
}

/// One test at a glance.
#[derive(Clone, Debug, PartialEq)]
pub struct TestView {
    /// The reason that it would give.
    pub reason: Reason,
    /// The evidence in nats.
    pub evidence: f64,
    /// By which the evidence was divided.
    pub dispersion: f64,
    /// Checks in a row for which it has held.
    pub held: u32,
    /// So many are needed.
    pub needed: u32,
}

/// A run at a glance.
#[derive(Clone, Debug, PartialEq)]
pub struct View {
    /// Seconds of the run.
    pub at_seconds: f64,
    /// When warming up ended.
    pub warm_at_seconds: Option<f64>,
    /// The canary.
    pub canary: SideView,
    /// Stable.
    pub stable: SideView,
    /// The tests that go on.
    pub tests: Vec<TestView>,
    /// The evidence that fails, in nats.
    pub fail_line: f64,
    /// The evidence that errors, and slow requests, are below their limits; over the line both pass.
    pub shown: (f64, f64),
    /// Share of the looks at canary and stable that were had.
    pub coverage: (f64, f64),
    /// The smallest ratio of error rates that is found with 80% probability.
    pub smallest_error_ratio: Option<f64>,
    /// Each stable pod and canary pod with its distance from the stable pods, errors then latency, in
    /// standard deviations of a healthy pod.
    pub placebo: Vec<(String, Side, Option<f64>, Option<f64>)>,
}

impl Watch {
    /// The run at a glance.
    #[must_use]
    pub fn view(&self) -> View {
        let needed = self.needed();
        let slow_dispersion = self
            .worst_edge()
            .map_or(1.0, |edge| self.slow[edge].dispersion);
        let rows = [
            (
                reason::ERROR_RATE,
                self.errors.evidence,
                self.errors.dispersion,
            ),
            (reason::LATENCY, self.latency_evidence, slow_dispersion),
            (
                reason::ERROR_LIMIT,
                self.error_limit.evidence,
                self.error_limit.dispersion,
            ),
            (
                reason::LATENCY_LIMIT,
                self.slow_limit.evidence,
                self.slow_limit.dispersion,
            ),
        ];
        let tests = rows
            .into_iter()
            .zip(self.streaks.into_iter().zip(needed))
            .map(
                |((reason, evidence, dispersion), (held, needed))| TestView {
                    reason,
                    evidence,
                    dispersion,
                    held,
                    needed,
                },
            )
            .collect();
        View {
            at_seconds: self.at_seconds,
            warm_at_seconds: self.warm_at,
            canary: self.side(Side::Canary),
            stable: self.side(Side::Stable),
            tests,
            fail_line: self.policy.fail_line(),
            shown: self.shown(),
            coverage: self.coverage(),
            smallest_error_ratio: self.smallest_ratio(),
            placebo: self.placebos(),
        }
    }

    fn side(&self, side: Side) -> SideView {
        let (whole, since) = (self.whole.sum(side), self.totals.sum(side));
        SideView {
            pods: self.whole.side(side).count(),
            requests: whole.requests,
            error_share: since.failed().share(),
            slow_share: self.limit_edges.1.and_then(|edge| since.slow(edge).share()),
            p95_seconds: self.p95(&since),
            cpu_per_request: (whole.requests > 0 && whole.cpu_seconds > 0.0)
                .then(|| whole.cpu_seconds / whole.requests as f64),
            restarts: self.guards.restarts(side),
            oom_kills: self.guards.oom_kills(side),
            cpu: self.guards.cpu(side),
        }
    }

    /// The bucket of the 95th percentile; open at the end where that lies above all edges.
    fn p95(&self, tally: &Tally) -> Option<(f64, f64)> {
        if tally.told_latency == 0 || tally.slower.is_empty() {
            return None;
        }
        let edges = &self.header.edges_seconds;
        let above = 0.05 * tally.told_latency as f64;
        let bucket = tally
            .slower
            .iter()
            .position(|slower| *slower as f64 <= above);
        Some(match bucket {
            Some(edge) => (if edge == 0 { 0.0 } else { edges[edge - 1] }, edges[edge]),
            None => (edges.last().copied().unwrap_or(0.0), f64::INFINITY),
        })
    }

    fn smallest_ratio(&self) -> Option<f64> {
        let share = self.totals.sum(Side::Stable).failed().share()?;
        let requests = self.totals.sum(Side::Canary).requests;
        let effective = requests as f64 / self.errors.dispersion.max(1.0);
        power::smallest_ratio(self.policy.error_ratio, effective as u64, share)
    }

    /// The same comparison for every pod: a stable pod against the other stable pods.
    fn placebos(&self) -> Vec<(String, Side, Option<f64>, Option<f64>)> {
        let edge = self.worst_edge();
        let all = [Side::Canary, Side::Stable]
            .into_iter()
            .flat_map(|side| self.totals.side(side).map(move |(pod, _)| (side, pod)));
        all.map(|(side, pod)| {
            let distance = |kind: Kind| {
                let one: Vec<_> = self
                    .totals
                    .side(side)
                    .filter(|(other, _)| *other == pod)
                    .map(|(_, tally)| tally.of(kind))
                    .collect();
                let others: Vec<_> = self
                    .totals
                    .side(Side::Stable)
                    .filter(|(other, _)| *other != pod)
                    .map(|(_, tally)| tally.of(kind))
                    .collect();
                super::noise::placebo(&one, &others).map(|placebo| placebo.distance)
            };
            (
                self.ledger.name(pod).to_owned(),
                side,
                distance(Kind::Errors),
                edge.and_then(|edge| distance(Kind::Slow(edge))),
            )
        })
        .collect()
    }

    /// One sentence with the numbers behind a reason.
    pub(super) fn sentence_of(&self, reason: Reason) -> String {
        let (canary, stable) = (self.totals.sum(Side::Canary), self.totals.sum(Side::Stable));
        let limit = |share: f64| percent(Some(share));
        match reason {
            reason::ERROR_RATE => format!(
                "{} of the canary's requests fail, {} of stable's",
                percent(canary.failed().share()),
                percent(stable.failed().share())
            ),
            reason::LATENCY => self
                .worst_edge()
                .map_or_else(String::new, |edge| self.slow_sentence(edge)),
            reason::ERROR_LIMIT => format!(
                "{} of the canary's latest requests fail, {} are allowed",
                percent(self.now(Kind::Errors).0.share()),
                limit(self.policy.error_limit)
            ),
            reason::LATENCY_LIMIT => {
                let edge = self.limit_edges.1.unwrap_or(0);
                format!(
                    "{} of the canary's latest requests are slower than {} s, {} are allowed",
                    percent(self.now(Kind::Slow(edge)).0.share()),
                    self.header.edges_seconds.get(edge).copied().unwrap_or(0.0),
                    limit(self.policy.slow_limit)
                )
            }
            reason::CATASTROPHE => {
                let newest = self.history.newest().next();
                let share = newest.and_then(|cell| cell.canary.failed().share());
                format!("{} of the canary's latest requests fail", percent(share))
            }
            reason::RESTARTS => format!(
                "the canary's pods restarted {} times",
                self.guards.restarts(Side::Canary)
            ),
            reason::OOM_KILLED => format!(
                "the canary's pods were killed for want of memory {} times",
                self.guards.oom_kills(Side::Canary)
            ),
            reason::HEALTHY => format!(
                "{} of the canary's {} requests fail ({} of stable's), {} are slower than {} s",
                percent(canary.failed().share()),
                canary.requests,
                percent(stable.failed().share()),
                percent(
                    self.limit_edges
                        .0
                        .and_then(|edge| canary.slow(edge).share())
                ),
                self.policy.latency_limit_seconds
            ),
            _ => format!(
                "{} requests of the canary, {} of them failed, do not show that less than {} fail and less than {} are slow",
                canary.requests,
                canary.errors,
                limit(self.policy.error_limit),
                limit(self.policy.slow_limit)
            ),
        }
    }

    pub(super) fn slow_sentence(&self, edge: usize) -> String {
        let share = |side| percent(self.totals.sum(side).slow(edge).share());
        format!(
            "{} of the canary's requests are slower than {} s, {} of stable's",
            share(Side::Canary),
            self.header.edges_seconds.get(edge).copied().unwrap_or(0.0),
            share(Side::Stable)
        )
    }
}

/// What a leak looks like, in words.
pub(super) fn leak_sentence(leak: &Leak) -> String {
    const MIB: f64 = 1_048_576.0;
    let until = leak
        .reaches_limit_in_seconds
        .map_or_else(String::new, |left| {
            format!(", its limit is reached in {:.0} minutes", left / 60.0)
        });
    format!(
        "memory of {} grows by {:.1} MiB a minute without slowing down, now {:.0} MiB{until}",
        leak.pod,
        leak.slope * 60.0 / MIB,
        leak.bytes / MIB
    )
}

/// A share in per cent with the digits that tell, `?` where it is not known.
fn percent(share: Option<f64>) -> String {
    match share {
        None => "?".to_owned(),
        Some(0.0) => "0%".to_owned(),
        Some(share) if share < 0.001 => format!("{:.3}%", share * 100.0),
        Some(share) if share < 0.1 => format!("{:.2}%", share * 100.0),
        Some(share) => format!("{:.1}%", share * 100.0),
    }
}
