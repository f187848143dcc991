//! What it takes to fail a canary in mid-run: evidence that holds, a catastrophe, a guard.

use super::evidence::Count;
use super::noise::{Placebo, placebo};
use super::tally::{Kind, Window};
use super::watch::Watch;
use super::{Decision, reason};
use crate::observations::Side;

/// A limit is not held against a canary that is less than this many times worse than a stable that
/// breaks it too.
const BLAME: f64 = 1.5;

/// The alternatives of the catastrophe stop at a share of 0.97 by themselves; fewer requests than
/// these are none.
const CATASTROPHE_REQUESTS: u64 = 20;

impl Watch {
    /// The edge with the most evidence.
    pub(super) fn worst_edge(&self) -> Option<usize> {
        let edges = self.compared_edges.iter().copied();
        edges.max_by(|a, b| self.slow[*a].evidence.total_cmp(&self.slow[*b].evidence))
    }

    /// Looks whether some evidence has held long enough.
    pub(super) fn convict(&mut self) -> Option<Decision> {
        let line = self.policy.fail_line();
        let edge = self.worst_edge();

        let holds = [
            self.errors.evidence > line && self.worse_now(Kind::Errors),
            self.latency_evidence > line
                && edge.is_some_and(|edge| self.worse_now(Kind::Slow(edge))),
            self.error_limit.evidence > line
                && self.over_now(Kind::Errors, self.policy.error_limit),
            self.slow_limit.evidence > line
                && self
                    .limit_edges
                    .1
                    .is_some_and(|edge| self.over_now(Kind::Slow(edge), self.policy.slow_limit)),
        ];
        for (streak, holds) in self.streaks.iter_mut().zip(holds) {
            *streak = if holds { *streak + 1 } else { 0 };
        }
        let wanted = self.needed();
        let reasons = [
            reason::ERROR_RATE,
            reason::LATENCY,
            reason::ERROR_LIMIT,
            reason::LATENCY_LIMIT,
        ];
        // The limits are the plainer reason: they go first where both hold.
        [2, 3, 0, 1]
            .into_iter()
            .find(|test| self.streaks[*test] >= wanted[*test])
            .map(|test| self.fail(reasons[test], self.sentence_of(reasons[test])))
    }

    /// Checks in a row for which each of the four tests has to hold. Where looks are rarer than checks, as
    /// many as make the same time, and one more.
    pub(super) fn needed(&self) -> [u32; 4] {
        let few = self.totals.side(Side::Stable).count() < self.policy.placebo_pods;
        let long = if few {
            self.policy.persistence_few
        } else {
            self.policy.persistence
        };
        let (check, cell) = (
            self.policy.check_seconds,
            self.header.scrape_interval_seconds,
        );
        let scaled = |checks: u32| {
            if cell <= check {
                return checks;
            }
            let same_time = (f64::from(checks) * check / cell).ceil() as u32;
            checks.min(same_time + 1)
        };
        let limit = self.policy.persistence_limit;
        [scaled(long), scaled(long), scaled(limit), scaled(limit)]
    }

    pub(super) fn now(&self, kind: Kind) -> (Count, Count) {
        let window = Window {
            seconds: self.policy.recent_seconds,
            requests: self.policy.recent_requests,
            most_seconds: self.policy.recent_most_seconds,
        };
        let since = self.warm_at.unwrap_or(f64::INFINITY);
        self.history.window(&window, since, kind)
    }

    /// Still worse than stable in the recent past, and standing out among healthy pods.
    pub(super) fn worse_now(&self, kind: Kind) -> bool {
        let (canary, stable) = self.now(kind);
        let (Some(share), Some(normal)) = (canary.share(), stable.share()) else {
            return false;
        };
        let (tolerated, floor) = self.tolerance_of(kind);
        share > floor && share > tolerated * normal && self.stands_out(kind)
    }

    pub(super) fn tolerance_of(&self, kind: Kind) -> (f64, f64) {
        match kind {
            Kind::Errors => (self.policy.error_ratio, self.policy.error_floor),
            Kind::Slow(edge) => (
                self.tolerated
                    .get(edge)
                    .copied()
                    .unwrap_or(self.policy.slow_ratio),
                0.0,
            ),
        }
    }

    /// The same test on the stable pods: a canary among them would not be found as far out.
    pub(super) fn stands_out(&self, kind: Kind) -> bool {
        let few = self.totals.side(Side::Stable).count() < self.policy.placebo_pods;
        let alpha = if few {
            self.policy.alpha_few
        } else {
            self.policy.alpha
        };
        self.placebo(kind)
            .is_none_or(|placebo| placebo.stands_out(alpha))
    }

    /// How far the canary stands out since the warm-up.
    #[must_use]
    pub(super) fn placebo(&self, kind: Kind) -> Option<Placebo> {
        placebo(
            &self.totals.counts(Side::Canary, kind),
            &self.totals.counts(Side::Stable, kind),
        )
    }

    /// Over the limit in the recent past, and not only because everything is.
    fn over_now(&self, kind: Kind, limit: f64) -> bool {
        let (canary, stable) = self.now(kind);
        let share = canary.share().unwrap_or(0.0);
        share > limit && !self.shared(share, stable.share(), limit)
    }

    pub(super) fn shared(&self, canary: f64, stable: Option<f64>, limit: f64) -> bool {
        stable.is_some_and(|stable| stable > limit && canary < BLAME * stable)
    }

    pub(super) fn catastrophic(&mut self) -> Option<Decision> {
        let limit = self.policy.catastrophe;
        let evidence = self.catastrophe.evidence(
            self.error_limit.dispersion,
            f64::INFINITY,
            self.later_starts(),
        );
        let newest = self.history.newest().next()?;
        let (now, stable) = (newest.canary.failed(), newest.stable.failed().share());
        let share = now.share()?;
        let certain = evidence > self.policy.fail_line() && now.requests >= CATASTROPHE_REQUESTS;
        if !certain || share <= limit || self.shared(share, stable, limit) {
            return None;
        }
        Some(self.fail(reason::CATASTROPHE, self.sentence_of(reason::CATASTROPHE)))
    }

    pub(super) fn guarded(&mut self) -> Option<Decision> {
        let pods = |side| self.whole.side(side).count().max(1) as f64;
        let (restarts, usual) = (
            self.guards.restarts(Side::Canary),
            self.guards.restarts(Side::Stable) as f64 / pods(Side::Stable),
        );
        let beyond = |count: u64, usual: f64| count as f64 / pods(Side::Canary) > 2.0 * usual;
        if restarts >= self.policy.restarts && beyond(restarts, usual) {
            return Some(self.fail(reason::RESTARTS, self.sentence_of(reason::RESTARTS)));
        }
        let (kills, usual) = (
            self.guards.oom_kills(Side::Canary),
            self.guards.oom_kills(Side::Stable) as f64 / pods(Side::Stable),
        );
        if kills >= 2 && beyond(kills, usual) {
            return Some(self.fail(reason::OOM_KILLED, self.sentence_of(reason::OOM_KILLED)));
        }
        let since = self.warm_at.unwrap_or(0.0);
        let interval = self.header.scrape_interval_seconds;
        let leak = self.guards.leak(&self.policy, interval, since)?;
        // While it warms up, memory may grow.
        self.warm_at?;
        let sentence = super::view::leak_sentence(&leak);
        Some(self.fail(reason::MEMORY_LEAK, sentence))
    }
}
