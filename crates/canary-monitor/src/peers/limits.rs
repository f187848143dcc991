//! The plain rule of the guide: every 30 s look at the last five minutes; an error share over 5% or a
//! 95th percentile over 1000 ms is a bad check; three bad checks in a row fail.
//!
//! The percentile is interpolated in its bucket, as `histogram_quantile` does (Prometheus: "Functions").
//! One thing is not as the replaced script had it: there, a check without data was a good one. Here it
//! counts for nothing, and a run without any is no verdict.

use std::collections::VecDeque;

use gs_common::verdict::Verdict;

use super::quantile;
use crate::counts::Ledger;
use crate::judge::tally::Tally;
use crate::judge::{Decision, Policy, reason};
use crate::observations::{Header, Scrape, Side};

const WINDOW_SECONDS: f64 = 300.0;
const IN_A_ROW: u32 = 3;
const QUANTILE: f64 = 0.95;

/// The rule, taking one look after the other.
#[derive(Clone, Debug)]
pub struct Limits {
    policy: Policy,
    header: Header,
    ledger: Ledger,
    window: VecDeque<(f64, Tally)>,
    next_check: f64,
    bad: u32,
    measured: bool,
    last: f64,
    decision: Option<Decision>,
    /// The latest check: error share and 95th percentile in seconds.
    pub latest: Option<(f64, Option<f64>)>,
}

impl Limits {
    /// Starts.
    #[must_use]
    pub fn new(policy: Policy, header: &Header) -> Self {
        Self {
            next_check: policy.check_seconds,
            policy,
            header: header.clone(),
            ledger: Ledger::default(),
            window: VecDeque::new(),
            bad: 0,
            measured: false,
            last: 0.0,
            decision: None,
            latest: None,
        }
    }

    /// Bad checks in a row, as they stand.
    #[must_use]
    pub fn bad_in_a_row(&self) -> u32 {
        self.bad
    }

    /// Takes one look in.
    pub fn step(&mut self, scrape: &Scrape) -> Option<Decision> {
        if self.decision.is_some() {
            return self.decision.clone();
        }
        self.last = scrape.at_seconds;
        let (increments, _) = self.ledger.take(scrape);
        let mut tally = Tally::default();
        for increment in increments.iter().filter(|one| one.side == Side::Canary) {
            tally.add(increment);
        }
        self.window.push_back((scrape.at_seconds, tally));
        let oldest = scrape.at_seconds - WINDOW_SECONDS;
        while self.window.front().is_some_and(|(at, _)| *at <= oldest) {
            self.window.pop_front();
        }
        let slack = 0.2 * self.header.scrape_interval_seconds;
        if scrape.at_seconds + slack >= self.next_check {
            self.next_check += self.policy.check_seconds;
            self.check();
        }
        if self.decision.is_none() && scrape.at_seconds + slack >= self.header.duration_seconds {
            self.decision = Some(self.ended());
        }
        self.decision.clone()
    }

    /// Says that nothing more comes.
    pub fn finish(&mut self) -> Decision {
        let ended = self.ended();
        self.decision.get_or_insert(ended).clone()
    }

    fn check(&mut self) {
        let mut sum = Tally::default();
        self.window.iter().for_each(|(_, tally)| sum.merge(tally));
        let Some(errors) = sum.failed().share() else {
            return;
        };
        self.measured = true;
        let p95 = quantile(&self.header.edges_seconds, &sum, QUANTILE);
        self.latest = Some((errors, p95));
        let bad = errors > self.policy.error_limit
            || p95.is_some_and(|p95| p95 > self.policy.latency_limit_seconds);
        self.bad = if bad { self.bad + 1 } else { 0 };
        if self.bad >= IN_A_ROW {
            let over = errors > self.policy.error_limit;
            let p95 = p95.map_or_else(|| "?".to_owned(), |p95| format!("{:.0} ms", p95 * 1e3));
            self.decision = Some(Decision {
                verdict: Verdict::Fail,
                reason: if over {
                    reason::ERROR_LIMIT
                } else {
                    reason::LATENCY_LIMIT
                },
                at_seconds: self.last,
                sentence: format!(
                    "{IN_A_ROW} checks in a row over a limit: {:.1}% errors, P95 {p95}",
                    errors * 100.0
                ),
            });
        }
    }

    fn ended(&self) -> Decision {
        let (verdict, reason, sentence) = if self.measured {
            (
                Verdict::Pass,
                reason::HEALTHY,
                format!("never {IN_A_ROW} checks in a row over a limit"),
            )
        } else {
            (
                Verdict::Inconclusive,
                reason::NO_TRAFFIC,
                "no check had data".to_owned(),
            )
        };
        Decision {
            verdict,
            reason,
            at_seconds: self.last,
            sentence,
        }
    }
}
