//! Evidence that may be looked at after every cell without losing its meaning: mixtures of
//! likelihood ratios, started anew every minute.
//!
//! Under the hypothesis, the product of likelihood ratios is a fair (or losing) bet, so its chance of
//! ever exceeding `1/alpha` is at most `alpha` (Ville's inequality). Counts of two versions side by
//! side as the subject of such bets: Lindon and Malek, "Anytime-valid inference for multinomial count
//! data", NeurIPS 2022. Starts in mid-run: Shin, Ramdas and Rinaldo, "E-detectors", 2022.

use super::numeric::{ln_add, ln_mean_exp};

/// How many alternatives a mixture has.
pub const ALTERNATIVES: usize = 5;

/// How many times worse than tolerated the alternatives of a comparison are.
const RATIOS: [f64; ALTERNATIVES] = [1.3, 2.0, 4.0, 10.0, 40.0];

/// The same for a limit. A share cannot exceed one: the last ones are cut.
const MULTIPLES: [f64; ALTERNATIVES] = [1.3, 2.0, 4.0, 10.0, 18.0];

/// How much better than a limit the alternatives are when it is to be shown that it holds.
const FRACTIONS: [f64; 6] = [0.02, 0.1, 0.25, 0.5, 0.75, 0.9];

/// The highest share that an alternative supposes.
const HIGHEST_SHARE: f64 = 0.97;

/// Log likelihood ratios of one cell, one an alternative.
pub type CellRatios = [f64; ALTERNATIVES];

/// Events and trials of one side in one cell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Requests.
    pub requests: u64,
    /// Those that failed, or were slow.
    pub events: u64,
}

impl Count {
    /// Both together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            requests: self.requests + other.requests,
            events: self.events + other.events,
        }
    }

    /// Events a request; `None` without requests.
    #[must_use]
    pub fn share(self) -> Option<f64> {
        (self.requests > 0).then(|| self.events as f64 / self.requests as f64)
    }
}

/// The log likelihood ratios against "the canary's rate is at most `tolerated` times the stable's".
///
/// Given the `x + y` events of a cell, each is the canary's with probability
/// `φ n_c / (φ n_c + n_s)`, φ being the ratio of the rates. With φ = r and φ = r k:
/// `l = x ln k - (x + y) [ln(r k n_c + n_s) - ln(r n_c + n_s)]`. The traffic of the very cell stands in
/// the formula, so changes of weight and bursts that both sides share cancel.
#[must_use]
pub fn comparison(canary: Count, stable: Count, tolerated: f64) -> CellRatios {
    if canary.requests == 0 || stable.requests == 0 {
        return [0.0; ALTERNATIVES];
    }
    let (n, m) = (canary.requests as f64, stable.requests as f64);
    let x = canary.events as f64;
    let both = x + stable.events as f64;
    let at_most = (tolerated * n + m).ln();
    RATIOS.map(|worse| x * worse.ln() - both * ((tolerated * worse * n + m).ln() - at_most))
}

/// The log likelihood ratios against "the share is at most `limit`".
#[must_use]
pub fn over_limit(count: Count, limit: f64) -> CellRatios {
    let (x, good) = (
        count.events as f64,
        (count.requests - count.events.min(count.requests)) as f64,
    );
    MULTIPLES.map(|multiple| {
        let share = (limit * multiple).min(HIGHEST_SHARE);
        x * (share / limit).ln() + good * ((1.0 - share) / (1.0 - limit)).ln()
    })
}

/// The evidence, in nats, that a share is below `limit`: a mixture over smaller shares. It speaks of
/// the requests of this run, not of all runs to come, so it is not divided by the dispersion.
#[must_use]
pub fn under_limit(count: Count, limit: f64) -> f64 {
    let (x, good) = (
        count.events as f64,
        (count.requests - count.events.min(count.requests)) as f64,
    );
    let ratios = FRACTIONS.map(|fraction| {
        let share = limit * fraction;
        x * fraction.ln() + good * ((1.0 - share) / (1.0 - limit)).ln()
    });
    ln_mean_exp(&ratios)
}

/// A test that goes on: cells come in, evidence comes out.
#[derive(Clone, Debug, Default)]
pub struct Bets {
    cells: Vec<CellRatios>,
}

impl Bets {
    /// Takes a cell in.
    pub fn push(&mut self, cell: CellRatios) {
        self.cells.push(cell);
    }

    /// Takes a cell in that is as long as several, as so many equal parts: where looks are rarer than
    /// checks, what one cell may add stays the same by time. The root of a fair bet is a losing one, so
    /// a start between two parts keeps the guarantee.
    pub fn push_long(&mut self, cell: CellRatios, parts: u32) {
        let parts = parts.max(1);
        let part = cell.map(|ratio| ratio / f64::from(parts));
        (0..parts).for_each(|_| self.push(part));
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.cells.clear();
    }

    /// The evidence in nats: `ln E`, with
    /// `E = 1/2 E(first cell) + 1/2 mean over the planned later starts of E(start)`, a start that is not
    /// reached counting 1; `E(start)` is the mean over the alternatives of
    /// `exp Σ min(l / dispersion, cap)`.
    ///
    /// Every cell but the first is a later start; `later` of them are planned.
    #[must_use]
    pub fn evidence(&self, dispersion: f64, cap: f64, later: usize) -> f64 {
        let mut sums = [0.0; ALTERNATIVES];
        let mut reached = 0;
        let mut starts = f64::NEG_INFINITY;
        for (index, cell) in self.cells.iter().enumerate().rev() {
            for (sum, ratio) in sums.iter_mut().zip(cell) {
                *sum += (ratio / dispersion).min(cap);
            }
            if index > 0 && reached < later {
                reached += 1;
                starts = ln_add(starts, ln_mean_exp(&sums));
            }
        }
        let first = ln_mean_exp(&sums);
        if later == 0 {
            return first;
        }
        let waiting = ((later - reached) as f64).ln();
        let later = ln_add(starts, waiting) - (later as f64).ln();
        ln_add(first, later) - std::f64::consts::LN_2
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rand::SeedableRng as _;
    use rand_distr::{Binomial, Distribution as _};

    fn count(requests: u64, events: u64) -> Count {
        Count { requests, events }
    }

    #[test]
    fn nothing_seen_is_no_evidence() {
        let mut bets = Bets::default();
        assert_eq!(bets.evidence(1.0, 2.0, 30), 0.0);
        bets.push(comparison(count(0, 0), count(100, 1), 1.3));
        assert_eq!(bets.evidence(1.0, 2.0, 30), 0.0);
    }

    #[test]
    fn a_worse_canary_gathers_evidence_and_an_equal_one_loses_it() {
        let mut worse = Bets::default();
        let mut equal = Bets::default();
        for _ in 0..10 {
            worse.push(comparison(count(600, 18), count(5400, 54), 1.3));
            equal.push(comparison(count(600, 6), count(5400, 54), 1.3));
        }
        assert!(worse.evidence(1.0, 2.0, 30) > 5.3);
        assert!(equal.evidence(1.0, 2.0, 30) < 0.0);
    }

    #[test]
    fn one_cell_never_convicts() {
        let mut bets = Bets::default();
        bets.push(comparison(count(600, 600), count(5400, 0), 1.3));
        assert!(bets.evidence(1.0, 1.8, 30) <= 1.8);
    }

    #[test]
    fn a_late_step_costs_little_more_than_an_early_one() {
        let mut bets = Bets::default();
        for _ in 0..20 {
            bets.push(comparison(count(600, 1), count(5400, 9), 1.3));
        }
        for _ in 0..6 {
            bets.push(comparison(count(600, 48), count(5400, 9), 1.3));
        }
        assert!(bets.evidence(1.0, 1.8, 30) > 5.3);
    }

    #[test]
    fn it_takes_some_130_good_requests_to_show_five_per_cent() {
        assert!(under_limit(count(145, 0), 0.05) > 5.3);
        assert!(under_limit(count(115, 0), 0.05) < 5.3);
        assert!(under_limit(count(100_000, 6_000), 0.05) < 0.0);
    }

    /// Ville's inequality, by simulation at the very edge of the hypothesis.
    #[test]
    fn false_alarms_stay_below_alpha() {
        let alpha: f64 = 0.05;
        let mut random = rand::rngs::Xoshiro256PlusPlus::seed_from_u64(7);
        let mut alarms = 0;
        let runs = 2000;
        for _ in 0..runs {
            let mut bets = Bets::default();
            for _ in 0..30 {
                let (n, m) = (random.random_range(50..200), random.random_range(500..1500));
                let draw = |n: u64, p: f64, random: &mut rand::rngs::Xoshiro256PlusPlus| {
                    Binomial::new(n, p).unwrap().sample(random)
                };
                let events = draw(n, 0.013, &mut random);
                let stable = draw(m, 0.01, &mut random);
                bets.push(comparison(count(n, events), count(m, stable), 1.3));
                if bets.evidence(1.0, f64::INFINITY, 30) > -alpha.ln() {
                    alarms += 1;
                    break;
                }
            }
        }
        let share = f64::from(alarms) / f64::from(runs);
        // Three standard errors above the ceiling.
        assert!(
            share < alpha + 3.0 * (alpha / f64::from(runs)).sqrt(),
            "{share}"
        );
    }

    proptest! {
        #[test]
        fn one_more_error_is_never_less_evidence(n in 1_u64..1000, m in 1_u64..10_000, x in 0_u64..50, y in 0_u64..50) {
            let (x, y) = (x.min(n - 1), y.min(m));
            let less = comparison(count(n, x), count(m, y), 1.3);
            let more = comparison(count(n, x + 1), count(m, y), 1.3);
            for (less, more) in less.iter().zip(more) {
                prop_assert!(more >= *less);
            }
            prop_assert!(under_limit(count(n, x + 1), 0.05) <= under_limit(count(n, x), 0.05));
        }
    }
}
