//! One run of the judge: a state that takes one look after the other.

use gs_common::verdict::Verdict;

use super::evidence::{Bets, Count, comparison, over_limit};
use super::guards::Guards;
use super::looks::Looks;
use super::noise::Noise;
use super::numeric::ln_mean_exp;
use super::policy::Policy;
use super::tally::{Cell, History, Kind, Pods};
use super::{Decision, Reason, reason, tolerance};
use crate::counts::Ledger;
use crate::observations::{Header, Scrape, Side};

/// Stable shares above this make an edge useless for a comparison: half of everything is slow.
const MOST_SLOW: f64 = 0.5;

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
    pub(super) fn later_starts(&self) -> usize {
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
