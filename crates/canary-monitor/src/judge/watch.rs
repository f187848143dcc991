//! One run of the judge: a state that takes one look after the other.

use std::collections::BTreeMap;

use gs_common::verdict::Verdict;

use super::evidence::{Bets, Count, comparison, over_limit};
use super::guards::Guards;
use super::noise::{Noise, Placebo, placebo};
use super::numeric::ln_mean_exp;
use super::policy::Policy;
use super::tally::{Cell, History, Kind, Pods, Window};
use super::{Decision, Reason, reason, tolerance};
use crate::counts::Ledger;
use crate::observations::{Header, PodSample, Scrape, Side};

/// Stable shares above this make an edge useless for a comparison: half of everything is slow.
const MOST_SLOW: f64 = 0.5;

/// A limit is not held against a canary that is less than this many times worse than a stable that
/// breaks it too.
const BLAME: f64 = 1.5;

/// The alternatives of the catastrophe stop at a share of 0.97 by themselves; fewer requests than
/// these are none.
const CATASTROPHE_REQUESTS: u64 = 20;

/// A fall of the slow share from one cell to the next counts as warming up if it is so many standard
/// deviations of independent counts.
const FALLING: f64 = 3.0;

/// A cell that is longer than a check counts as so many cells at most: a gap is no proof of anything.
const MOST_PARTS: f64 = 2.0;

/// A look that comes early by this share of the interval is on time.
const SLACK: f64 = 0.2;

/// One of the four tests that go on, with its state.
#[derive(Clone, Debug, Default)]
pub(super) struct Test {
    pub(super) bets: Bets,
    pub(super) noise: Noise,
    pub(super) dispersion: f64,
    pub(super) evidence: f64,
}

impl Test {
    fn clear(&mut self) {
        *self = Self {
            dispersion: 1.0,
            ..Self::default()
        };
    }
}

/// A run of the judge.
#[derive(Clone, Debug)]
pub struct Watch {
    pub(super) policy: Policy,
    pub(super) header: Header,
    pub(super) ledger: Ledger,
    pub(super) guards: Guards,
    /// The edges that tell "slower than the limit" from below and from above; the same where an edge is
    /// the limit.
    pub(super) limit_edges: (Option<usize>, Option<usize>),

    cell: Pods,
    /// What was counted since the last whole minute, and for how many seconds.
    minute: (Pods, f64),
    next_check: f64,
    last_check: f64,
    pub(super) history: History,

    /// When the canary answered its first request.
    first_request: Option<f64>,
    /// When warming up ended.
    pub(super) warm_at: Option<f64>,
    /// Counts since then.
    pub(super) totals: Pods,
    /// Counts of the whole run.
    pub(super) whole: Pods,
    /// The canary's failures and slow requests in cells in which stable kept the limits.
    pub(super) sound: Sound,

    pub(super) errors: Test,
    pub(super) slow: Vec<Test>,
    pub(super) tolerated: Vec<f64>,
    pub(super) compared_edges: Vec<usize>,
    pub(super) latency_evidence: f64,
    pub(super) error_limit: Test,
    pub(super) slow_limit: Test,
    pub(super) catastrophe: Bets,

    /// The declared weights, one after the other, with the requests of canary and stable meanwhile.
    pub(super) splits: Vec<Split>,

    pub(super) streaks: [u32; 4],
    pub(super) looks: Looks,
    pub(super) at_seconds: f64,
    /// When the watch is over: at first the header's duration.
    pub(super) ends_at: f64,
    pub(super) decision: Option<Decision>,
}

/// What is held against the limits at the end: cells in which stable itself breaks a limit say nothing
/// about the canary, and whether a cell counts does not depend on the canary.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sound {
    pub(super) errors: Count,
    pub(super) slow: Count,
    pub(super) cells: u32,
    pub(super) of: u32,
}

/// The requests of canary and stable under one declared weight.
#[derive(Clone, Copy, Debug)]
pub(super) struct Split {
    pub(super) weight: Option<f64>,
    pub(super) requests: [u64; 2],
}

/// Which looks were had.
#[derive(Clone, Debug, Default)]
pub(super) struct Looks {
    pub(super) canary: f64,
    pub(super) stable: f64,
    pub(super) canary_seen: bool,
    pub(super) stable_seen: bool,
    /// When each pod was first and last up.
    up: BTreeMap<String, (f64, f64)>,
}

impl Watch {
    /// Starts a run.
    #[must_use]
    pub fn new(policy: Policy, header: &Header) -> Self {
        let edges = header.edges_seconds.len();
        let mut watch = Self {
            next_check: policy.check_seconds,
            limit_edges: bracket(&header.edges_seconds, policy.latency_limit_seconds),
            header: header.clone(),
            policy,
            ledger: Ledger::default(),
            guards: Guards::default(),
            cell: Pods::default(),
            minute: (Pods::default(), 0.0),
            last_check: 0.0,
            history: History::default(),
            first_request: None,
            warm_at: None,
            totals: Pods::default(),
            whole: Pods::default(),
            sound: Sound::default(),
            errors: Test::default(),
            slow: vec![Test::default(); edges],
            tolerated: Vec::new(),
            compared_edges: Vec::new(),
            latency_evidence: 0.0,
            error_limit: Test::default(),
            slow_limit: Test::default(),
            catastrophe: Bets::default(),
            splits: Vec::new(),
            streaks: [0; 4],
            looks: Looks::default(),
            at_seconds: 0.0,
            ends_at: header.duration_seconds,
            decision: None,
        };
        watch.forget();
        watch.set_weight(header.canary_weight);
        watch
    }

    /// Says which share of the requests the canary is meant to get from now on. Evidence carries over:
    /// the traffic of each cell stands in its formula.
    pub fn set_weight(&mut self, weight: Option<f64>) {
        self.splits.push(Split {
            weight,
            requests: [0; 2],
        });
    }

    /// Takes one look in. The answer is the decision, once there is one; later looks do not change it.
    pub fn step(&mut self, scrape: &Scrape) -> Option<Decision> {
        if self.decision.is_some() {
            return self.decision.clone();
        }
        self.at_seconds = scrape.at_seconds;
        self.looks.take(scrape);
        let (increments, events) = self.ledger.take(scrape);
        self.guards.take(scrape, &events, &self.policy);
        for increment in &increments {
            if increment.side == Side::Canary && increment.requests > 0 {
                self.first_request.get_or_insert(self.last_check);
            }
            self.cell.add(increment);
            self.whole.add(increment);
            if let Some(split) = self.splits.last_mut() {
                split.requests[usize::from(increment.side == Side::Stable)] += increment.requests;
            }
        }
        // A scraper is never quite on time.
        let slack = SLACK * self.header.scrape_interval_seconds;
        if scrape.at_seconds + slack >= self.next_check {
            self.decision = self.check(scrape.at_seconds);
            let passed = ((scrape.at_seconds + slack) / self.policy.check_seconds).floor();
            self.next_check = (passed + 1.0) * self.policy.check_seconds;
        }
        if self.decision.is_none() && scrape.at_seconds + slack >= self.ends_at {
            let last = scrape.at_seconds + slack >= self.ends_at + self.policy.extension_seconds;
            self.decision = self.at_end(last);
        }
        self.decision.clone()
    }

    /// Says that nothing more comes.
    pub fn finish(&mut self) -> Decision {
        if let Some(decision) = &self.decision {
            return decision.clone();
        }
        let decision = self.at_end(true).unwrap_or_else(|| {
            self.inconclusive(
                reason::METRICS_UNAVAILABLE,
                "nothing was measured".to_owned(),
            )
        });
        self.decision = Some(decision.clone());
        decision
    }

    /// Closes a cell and looks at the evidence.
    fn check(&mut self, at: f64) -> Option<Decision> {
        let pods = std::mem::take(&mut self.cell);
        let cell = Cell {
            end: at,
            seconds: at - self.last_check,
            canary: pods.sum(Side::Canary),
            stable: pods.sum(Side::Stable),
        };
        self.last_check = at;
        // A check without a new look at the canary changes nothing.
        let looked = cell.canary.requests > 0;
        self.history.push(cell.clone());
        if let Some(decision) = self.guarded() {
            return Some(decision);
        }
        self.catastrophe
            .push(over_limit(cell.canary.failed(), self.policy.catastrophe));
        if let Some(decision) = self.catastrophic() {
            return Some(decision);
        }
        if self.warm_at.is_none() {
            self.warm(at);
            return None;
        }
        self.gather(&pods, &cell);
        if looked { self.convict() } else { None }
    }

    /// Whether warming up has ended: long enough ago that the canary served its first request, and the
    /// slow share does not fall any more.
    fn warm(&mut self, at: f64) {
        let Some(first) = self.first_request else {
            return;
        };
        let long = at - first;
        if long + 1e-9 < self.policy.warm_up_seconds {
            return;
        }
        if long < self.policy.longest_warm_up_seconds && self.falling() {
            return;
        }
        self.warm_at = Some(at);
        self.forget();
        let stable = self.whole.sum(Side::Stable);
        let edges = &self.header.edges_seconds;
        self.tolerated = tolerance::ratios(
            edges,
            &stable.slower,
            stable.told_latency,
            self.policy.slow_stretch,
            self.policy.slow_ratio,
        );
        self.tolerated.resize(edges.len(), self.policy.slow_ratio);
        self.compared_edges = (0..edges.len())
            .filter(|edge| {
                stable
                    .slow(*edge)
                    .share()
                    .is_none_or(|share| share <= MOST_SLOW)
            })
            .collect();
    }

    fn falling(&self) -> bool {
        let mut newest = self.history.newest();
        let (Some(now), Some(before)) = (newest.next(), newest.next()) else {
            return false;
        };
        (0..self.header.edges_seconds.len()).any(|edge| {
            let (now, before) = (now.canary.slow(edge), before.canary.slow(edge));
            let (Some(share), Some(was)) = (now.share(), before.share()) else {
                return false;
            };
            let both = now.and(before).share().unwrap_or(0.0);
            let scatter =
                (both * (1.0 - both) * (1.0 / now.requests as f64 + 1.0 / before.requests as f64))
                    .sqrt();
            share < was - FALLING * scatter
        })
    }

    fn forget(&mut self) {
        self.totals = Pods::default();
        self.sound = Sound::default();
        self.minute = (Pods::default(), 0.0);
        self.errors.clear();
        self.error_limit.clear();
        self.slow_limit.clear();
        self.slow.iter_mut().for_each(Test::clear);
    }

    /// Puts a cell into all tests.
    fn gather(&mut self, pods: &Pods, cell: &Cell) {
        self.totals.merge(pods);
        self.minute.0.merge(pods);
        self.minute.1 += cell.seconds;
        let slack = SLACK * self.header.scrape_interval_seconds;
        let whole_minute = self.minute.1 + slack >= 60.0;
        let minute = whole_minute.then(|| std::mem::take(&mut self.minute).0);
        let parts = (cell.seconds / self.policy.check_seconds)
            .round()
            .clamp(1.0, MOST_PARTS) as u32;
        let take = |test: &mut Test, kind: Kind, totals: &Pods| {
            if let Some(minute) = &minute {
                test.noise.take(&minute.counts(Side::Stable, kind));
            }
            test.dispersion = test.noise.dispersion(&totals.counts(Side::Stable, kind));
        };
        let both = |kind| (cell.canary.of(kind), cell.stable.of(kind));

        let (canary, stable) = both(Kind::Errors);
        take(&mut self.errors, Kind::Errors, &self.totals);
        self.errors
            .bets
            .push_long(comparison(canary, stable, self.policy.error_ratio), parts);
        self.error_limit.dispersion = self.errors.dispersion;
        self.error_limit
            .bets
            .push_long(over_limit(canary, self.policy.error_limit), parts);
        for edge in &self.compared_edges {
            let (canary, stable) = both(Kind::Slow(*edge));
            let test = &mut self.slow[*edge];
            take(test, Kind::Slow(*edge), &self.totals);
            test.bets
                .push_long(comparison(canary, stable, self.tolerated[*edge]), parts);
        }
        if let Some(edge) = self.limit_edges.1 {
            let canary = cell.canary.slow(edge);
            take(&mut self.slow_limit, Kind::Slow(edge), &self.totals);
            self.slow_limit
                .bets
                .push_long(over_limit(canary, self.policy.slow_limit), parts);
        }
        let kept = |kind, limit: f64| {
            cell.stable
                .of(kind)
                .share()
                .is_none_or(|share| share <= limit)
        };
        self.sound.of += 1;
        if kept(Kind::Errors, self.policy.error_limit)
            && self
                .limit_edges
                .1
                .is_none_or(|edge| kept(Kind::Slow(edge), self.policy.slow_limit))
        {
            self.sound.cells += 1;
            self.sound.errors = self.sound.errors.and(canary);
            if let Some(edge) = self.limit_edges.0 {
                self.sound.slow = self.sound.slow.and(cell.canary.slow(edge));
            }
        }
        self.weigh();
    }

    /// So many later starts are planned: one a check.
    fn later_starts(&self) -> usize {
        (self.header.duration_seconds / self.policy.check_seconds).ceil() as usize
    }

    /// The evidence of each test as it stands.
    fn weigh(&mut self) {
        let later = self.later_starts();
        let (cap, limit_cap) = (self.policy.cell_cap, self.policy.limit_cap);
        let weigh = |test: &mut Test, cap: f64| {
            test.evidence = test.bets.evidence(test.dispersion, cap, later);
        };
        weigh(&mut self.errors, cap);
        weigh(&mut self.error_limit, limit_cap);
        weigh(&mut self.slow_limit, limit_cap);
        for edge in &self.compared_edges {
            weigh(&mut self.slow[*edge], cap);
        }
        let edges: Vec<f64> = self
            .compared_edges
            .iter()
            .map(|edge| self.slow[*edge].evidence)
            .collect();
        self.latency_evidence = if edges.is_empty() {
            0.0
        } else {
            ln_mean_exp(&edges)
        };
    }

    /// The edge with the most evidence.
    pub(super) fn worst_edge(&self) -> Option<usize> {
        let edges = self.compared_edges.iter().copied();
        edges.max_by(|a, b| self.slow[*a].evidence.total_cmp(&self.slow[*b].evidence))
    }

    /// Looks whether some evidence has held long enough.
    fn convict(&mut self) -> Option<Decision> {
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

    fn catastrophic(&mut self) -> Option<Decision> {
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

    fn guarded(&mut self) -> Option<Decision> {
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

    pub(super) fn fail(&self, reason: Reason, sentence: String) -> Decision {
        self.decided(Verdict::Fail, reason, sentence)
    }

    pub(super) fn inconclusive(&self, reason: Reason, sentence: String) -> Decision {
        self.decided(Verdict::Inconclusive, reason, sentence)
    }

    pub(super) fn decided(&self, verdict: Verdict, reason: Reason, sentence: String) -> Decision {
        Decision {
            verdict,
            reason,
            at_seconds: self.at_seconds,
            sentence,
        }
    }
}

/// The edge at the limit, or those next to it.
fn bracket(edges: &[f64], limit: f64) -> (Option<usize>, Option<usize>) {
    let same = edges
        .iter()
        .position(|edge| (edge - limit).abs() < 1e-9 * limit);
    match same {
        Some(edge) => (Some(edge), Some(edge)),
        None => (
            edges.iter().rposition(|edge| *edge < limit),
            edges.iter().position(|edge| *edge > limit),
        ),
    }
}

impl Looks {
    fn take(&mut self, scrape: &Scrape) {
        let now = scrape.at_seconds;
        let told = |pod: &PodSample| pod.up && pod.requests.is_some();
        for pod in scrape.pods.iter().filter(|pod| told(pod)) {
            match self.up.get_mut(&pod.pod) {
                Some(up) => up.1 = now,
                None => {
                    self.up.insert(pod.pod.clone(), (now, now));
                }
            }
        }
        let (canary, stable) = (
            self.had(scrape, Side::Canary),
            self.had(scrape, Side::Stable),
        );
        self.canary += canary;
        self.stable += stable;
        self.canary_seen |= canary > 0.0;
        self.stable_seen |= stable > 0.0;
    }

    /// The share of the pods of a side that told something. A pod that is gone for good is not waited
    /// for once another that came after it stands in its place.
    fn had(&self, scrape: &Scrape, side: Side) -> f64 {
        let (mut told, mut silent, mut gone, mut came) = (0_u32, 0_u32, Vec::new(), Vec::new());
        for pod in scrape.pods.iter().filter(|pod| pod.side == side) {
            match self.up.get(&pod.pod) {
                Some((first, last)) if *last >= scrape.at_seconds => {
                    told += 1;
                    came.push(*first);
                }
                Some((_, last)) => {
                    silent += 1;
                    gone.push(*last);
                }
                None => silent += 1,
            }
        }
        gone.sort_by(f64::total_cmp);
        came.sort_by(f64::total_cmp);
        let mut came = came.into_iter();
        let replaced = gone
            .into_iter()
            .filter(|left| came.any(|first| first > *left))
            .count();
        let all = told + silent.saturating_sub(replaced as u32);
        if all > 0 {
            f64::from(told) / f64::from(all)
        } else {
            0.0
        }
    }
}
