//! The statistics of comparing: pure functions of numbers, without clock or I/O.
//!
//! The unit of sampling is a run, never a request: requests of one run are correlated, so their
//! number says little about the noise between runs. What is judged is the natural logarithm of
//! new over base, one value for each pair of runs ([`log_ratio`]); a difference of logarithms is
//! the same for a fast and for a slow endpoint.
//!
//! - [`pseudo_median`] estimates the change (Hodges and Lehmann 1963): one disturbed run moves it
//!   little.
//! - [`interval`] is a bootstrap interval of it, seeded: the percentile interval (Efron and
//!   Tibshirani 1993, chapter 13), expanded for few values as Hesterberg proposes (The American
//!   Statistician 69, 2015, "What teachers should know about the bootstrap"), because the plain one
//!   is too narrow there.
//! - [`signed_rank`] is Wilcoxon's exact test (1945), computed over the whole distribution of the
//!   ranks that are there, ties included (Pratt 1959 for values of zero). Pairs that were run in
//!   turn are symmetric around zero if nothing changed, whatever the shape of the noise, and the
//!   test asks for no more than that.
//! - [`holm`] corrects for many endpoints (Holm 1979).
//! - [`prediction`] serves stored runs, which have no partner: the spread of the baseline runs says
//!   how far a new one may lie.

/// The natural logarithm of `new` over `base`; nothing where either is not a positive number.
#[must_use]
pub fn log_ratio(base: f64, new: f64) -> Option<f64> {
    (base > 0.0 && new > 0.0 && base.is_finite() && new.is_finite()).then(|| (new / base).ln())
}

/// The arithmetic mean; not a number for no values.
#[must_use]
pub fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// The standard deviation of a sample (divisor n - 1); not a number for fewer than two values.
#[must_use]
pub fn deviation(values: &[f64]) -> f64 {
    let mean = mean(values);
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (squares / (values.len() as f64 - 1.0)).sqrt()
}

/// The middle value; not a number for no values.
#[must_use]
pub fn median(values: &[f64]) -> f64 {
    middle(&mut values.to_vec())
}

fn middle(values: &mut [f64]) -> f64 {
    if values.is_empty() {
        return f64::NAN;
    }
    let odd = values.len() % 2 == 1;
    let half = values.len() / 2;
    let (below, upper, _) = values.select_nth_unstable_by(half, f64::total_cmp);
    let lower = below.iter().copied().max_by(f64::total_cmp);
    match lower {
        Some(lower) if !odd => f64::midpoint(lower, *upper),
        _ => *upper,
    }
}

/// The median of the means of all pairs of values, each with itself too (Hodges and Lehmann): an
/// estimate of the centre that a single wild value moves little. Not a number for no values.
#[must_use]
pub fn pseudo_median(values: &[f64]) -> f64 {
    let mut means = Vec::with_capacity(values.len() * (values.len() + 1) / 2);
    walsh(values, &mut means);
    middle(&mut means)
}

fn walsh(values: &[f64], means: &mut Vec<f64>) {
    means.clear();
    for (place, first) in values.iter().enumerate() {
        means.extend(
            values[place..]
                .iter()
                .map(|second| f64::midpoint(*first, *second)),
        );
    }
}

/// A range that holds the true value with the confidence that was asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

impl Interval {
    /// Every number: nothing is known.
    pub const UNKNOWN: Self = Self {
        low: f64::NEG_INFINITY,
        high: f64::INFINITY,
    };
}

/// So many times the values are drawn anew.
const RESAMPLES: usize = 1000;

/// The bootstrap interval of [`pseudo_median`] at `confidence` (0.95 is 95%). The same values, in
/// whatever order, and the same seed give the same interval. Fewer than three values give
/// [`Interval::UNKNOWN`].
#[must_use]
pub fn interval(values: &[f64], confidence: f64, seed: u64) -> Interval {
    if values.len() < 3 || values.iter().any(|value| !value.is_finite()) {
        return Interval::UNKNOWN;
    }
    // In order, so that the order of the runs cannot decide what is drawn.
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let mut random = fastrand::Rng::with_seed(seed);
    let mut drawn = vec![0.0; sorted.len()];
    let mut means = Vec::new();
    let mut estimates: Vec<f64> = (0..RESAMPLES)
        .map(|_| {
            for value in &mut drawn {
                *value = sorted[random.usize(..sorted.len())];
            }
            walsh(&drawn, &mut means);
            middle(&mut means)
        })
        .collect();
    estimates.sort_by(f64::total_cmp);
    // Hesterberg's expansion: the tail share that makes the interval as wide as one of Student's.
    let n = sorted.len() as f64;
    let tail = f64::midpoint(1.0, -confidence);
    let tail = normal(-(n / (n - 1.0)).sqrt() * student_quantile(1.0 - tail, n - 1.0));
    let last = RESAMPLES - 1;
    let place = ((tail * RESAMPLES as f64).floor() as usize).min(last / 2);
    Interval {
        low: estimates[place],
        high: estimates[last - place],
    }
}

/// The probability of rank sums at least as large as that of the values above `limit`, if the values
/// were symmetric around it: Wilcoxon's signed rank test, one-sided, exact.
///
/// Small means: the centre of the values is above the limit. The least that `n` values can say is
/// 2^-n. 1 for no values.
#[must_use]
pub fn signed_rank(values: &[f64], limit: f64) -> f64 {
    let mut shifted: Vec<f64> = values.iter().map(|value| value - limit).collect();
    if shifted.iter().any(|value| value.is_nan()) {
        return 1.0;
    }
    shifted.sort_by(|a, b| a.abs().total_cmp(&b.abs()));
    // Twice the rank, so that the mean rank of tied values is whole.
    let mut ranks: Vec<(usize, bool)> = Vec::new();
    let mut first = 0;
    while first < shifted.len() {
        let size = shifted[first].abs();
        let after = first
            + shifted[first..]
                .iter()
                .take_while(|value| value.abs() == size)
                .count();
        // Ranks first + 1 to after; a value on the limit keeps its rank and speaks for neither side.
        let twice = first + 1 + after;
        if size > 0.0 {
            ranks.extend(
                shifted[first..after]
                    .iter()
                    .map(|value| (twice, *value > 0.0)),
            );
        }
        first = after;
    }
    let observed: usize = ranks
        .iter()
        .filter(|(_, above)| *above)
        .map(|(rank, _)| rank)
        .sum();
    let total: usize = ranks.iter().map(|(rank, _)| rank).sum();
    // The share of all sign patterns with each sum: every rank is in or out with the same chance.
    let mut shares = vec![0.0; total + 1];
    shares[0] = 1.0;
    let mut reached = 0;
    for (rank, _) in &ranks {
        for sum in (0..=reached).rev() {
            let half = shares[sum] / 2.0;
            shares[sum] = half;
            shares[sum + rank] += half;
        }
        reached += rank;
    }
    shares[observed..].iter().sum::<f64>().min(1.0)
}

/// The least probability that [`signed_rank`] can give for so many pairs.
#[must_use]
pub fn least_probability(pairs: usize) -> f64 {
    0.5_f64.powi(i32::try_from(pairs).unwrap_or(i32::MAX))
}

/// Holm's correction: for each of several tests the probability that may be held against the level
/// of all of them together.
#[must_use]
pub fn holm(probabilities: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..probabilities.len()).collect();
    order.sort_by(|a, b| probabilities[*a].total_cmp(&probabilities[*b]));
    let mut adjusted = vec![1.0; probabilities.len()];
    let mut least: f64 = 0.0;
    for (place, index) in order.into_iter().enumerate() {
        let factor = (probabilities.len() - place) as f64;
        least = least.max((probabilities[index] * factor).min(1.0));
        adjusted[index] = least;
    }
    adjusted
}

/// What stored runs say about the mean of new ones.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Prediction {
    /// The new mean less the base mean.
    pub change: f64,
    /// Where it lies, at the confidence that was asked for.
    pub interval: Interval,
    /// The probability of such a change or a larger one, above the limit, if there were none.
    pub probability_above: f64,
    /// The probability of such a change or a smaller one, if the true one were the limit.
    pub probability_below: f64,
}

/// The interval of the mean of `new` runs as a prediction from the spread of `base` runs: Student's
/// distribution with n - 1 degrees of freedom, standard error s * sqrt(1/n + 1/m) (Hahn and Meeker,
/// Statistical Intervals, section 4.8). The spread of the new runs is not used, so that one is
/// enough. Nothing for fewer than two base runs or no new run.
#[must_use]
pub fn prediction(base: &[f64], new: &[f64], limit: f64, confidence: f64) -> Option<Prediction> {
    if base.len() < 2 || new.is_empty() {
        return None;
    }
    let change = mean(new) - mean(base);
    let freedom = base.len() as f64 - 1.0;
    let error = deviation(base) * (1.0 / base.len() as f64 + 1.0 / new.len() as f64).sqrt();
    if !change.is_finite() || !error.is_finite() {
        return None;
    }
    let reach = student_quantile(f64::midpoint(1.0, confidence), freedom) * error;
    let above = |distance: f64| {
        if error > 0.0 {
            1.0 - student(distance / error, freedom)
        } else if distance > 0.0 {
            0.0
        } else {
            1.0
        }
    };
    Some(Prediction {
        change,
        interval: Interval {
            low: change - reach,
            high: change + reach,
        },
        probability_above: above(change - limit),
        probability_below: above(limit - change),
    })
}

/// The normal distribution function, by the error function's expansion of Abramowitz and Stegun
/// 7.1.5 near zero and the continued fraction 26.2.14 beyond.
#[must_use]
pub fn normal(x: f64) -> f64 {
    let size = x.abs();
    let upper = if size > 38.0 {
        0.0
    } else {
        let density = (-0.5 * size * size).exp() / std::f64::consts::TAU.sqrt();
        if size < 2.0 {
            // 26.2.11: the sum of x^(2k+1) / (1 * 3 * ... * (2k+1)).
            let mut term = size;
            let mut sum = size;
            let mut odd = 1.0;
            while term > sum * 1e-17 && odd < 400.0 {
                odd += 2.0;
                term *= size * size / odd;
                sum += term;
            }
            0.5 - density * sum
        } else {
            let fraction = (1..=200)
                .rev()
                .fold(size, |rest, k| size + f64::from(k) / rest);
            density / fraction
        }
    };
    if x > 0.0 { 1.0 - upper } else { upper }
}

/// Student's distribution function with `freedom` degrees of freedom, by the incomplete beta
/// function (Abramowitz and Stegun 26.7.1 and 26.5.8).
#[must_use]
pub fn student(t: f64, freedom: f64) -> f64 {
    if t.is_nan() {
        return f64::NAN;
    }
    let tail = 0.5 * incomplete_beta(freedom / 2.0, 0.5, freedom / (freedom + t * t));
    if t > 0.0 { 1.0 - tail } else { tail }
}

/// The value that [`student`] gives `share` for, by bisection; `share` lies between 0 and 1.
#[must_use]
pub fn student_quantile(share: f64, freedom: f64) -> f64 {
    if share < 0.5 {
        return -student_quantile(1.0 - share, freedom);
    }
    let (mut low, mut high) = (0.0, 1.0);
    while student(high, freedom) < share && high < 1e12 {
        high *= 2.0;
    }
    for _ in 0..200 {
        let between = f64::midpoint(low, high);
        if student(between, freedom) < share {
            low = between;
        } else {
            high = between;
        }
    }
    f64::midpoint(low, high)
}

/// I_x(a, b), by the continued fraction of Abramowitz and Stegun 26.5.8 in Lentz's form.
fn incomplete_beta(a: f64, b: f64, x: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    if x >= 1.0 {
        return 1.0;
    }
    // The fraction converges fast on one side only; the other is its mirror.
    if x > (a + 1.0) / (a + b + 2.0) {
        return 1.0 - incomplete_beta(b, a, 1.0 - x);
    }
    let front = (log_gamma(a + b) - log_gamma(a) - log_gamma(b) + a * x.ln() + b * (1.0 - x).ln())
        .exp()
        / a;
    let tiny = 1e-300;
    let solid = |value: f64| if value.abs() < tiny { tiny } else { value };
    let mut c = 1.0;
    let mut d = 1.0 / solid(1.0 - (a + b) * x / (a + 1.0));
    let mut result = d;
    for step in 1..500 {
        let m = f64::from(step);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        d = 1.0 / solid(1.0 + even * d);
        c = solid(1.0 + even / c);
        result *= d * c;
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        d = 1.0 / solid(1.0 + odd * d);
        c = solid(1.0 + odd / c);
        let delta = d * c;
        result *= delta;
        if (delta - 1.0).abs() < 1e-15 {
            break;
        }
    }
    front * result
}

/// The logarithm of the gamma function for positive numbers, by Stirling's series (Abramowitz and
/// Stegun 6.1.41) after the argument was raised to where it converges.
fn log_gamma(mut x: f64) -> f64 {
    let mut shift = 0.0;
    while x < 10.0 {
        shift -= x.ln();
        x += 1.0;
    }
    let square = 1.0 / (x * x);
    let series = (1.0 / 12.0
        - square * (1.0 / 360.0 - square * (1.0 / 1260.0 - square * (1.0 / 1680.0))))
        / x;
    shift + (x - 0.5) * x.ln() - x + 0.5 * std::f64::consts::TAU.ln() + series
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn near(actual: f64, expected: f64, tolerance: f64) {
        assert!(
            (actual - expected).abs() <= tolerance,
            "{actual} is not {expected}"
        );
    }

    #[test]
    fn distributions_agree_with_the_printed_tables() {
        // Abramowitz and Stegun, tables 26.1 and 26.10.
        near(normal(1.0), 0.841_344_746_068_543, 1e-13);
        near(normal(-1.96), 0.024_997_895_148_220, 1e-13);
        near(normal(3.0), 0.998_650_101_968_370, 1e-13);
        near(normal(0.0), 0.5, 0.0);
        near(student_quantile(0.975, 4.0), 2.776_445, 1e-5);
        near(student_quantile(0.975, 9.0), 2.262_157, 1e-5);
        near(student_quantile(0.95, 1.0), 6.313_752, 1e-5);
        near(student_quantile(0.999_5, 30.0), 3.645_959, 1e-5);
        near(student(0.0, 7.0), 0.5, 1e-12);
        near(log_gamma(5.0), 24.0_f64.ln(), 1e-12);
        near(log_gamma(0.5), std::f64::consts::PI.sqrt().ln(), 1e-12);
    }

    #[test]
    fn the_signed_rank_test_is_exact() {
        // By hand: all five above zero is one of 32 patterns.
        near(
            signed_rank(&[1.0, 2.0, 3.0, 4.0, 5.0], 0.0),
            1.0 / 32.0,
            1e-15,
        );
        // Only the rank of 1 below: sums 14 and 15, two patterns.
        near(
            signed_rank(&[-1.0, 2.0, 3.0, 4.0, 5.0], 0.0),
            2.0 / 32.0,
            1e-15,
        );
        // Tied values share their rank: 2, 2 and 2, one below.
        near(signed_rank(&[-1.0, 1.0, 1.0], 0.0), 4.0 / 8.0, 1e-15);
        // What lies on the limit speaks for nobody.
        near(signed_rank(&[0.0, 0.0, 1.0, 2.0], 0.0), 1.0 / 4.0, 1e-15);
        near(signed_rank(&[], 0.0), 1.0, 0.0);
        near(signed_rank(&[0.0; 6], 0.0), 1.0, 0.0);
        near(least_probability(10), 1.0 / 1024.0, 1e-15);
    }

    #[test]
    fn holm_steps_down() {
        // Holm's own scheme: the smallest times n, the next times n - 1, never falling.
        let adjusted = holm(&[0.01, 0.04, 0.03, 0.005]);
        for (actual, expected) in adjusted.iter().zip([0.03, 0.06, 0.06, 0.02]) {
            near(*actual, expected, 1e-12);
        }
        assert!(holm(&[]).is_empty());
    }

    #[test]
    fn estimates_are_the_textbooks() {
        near(median(&[3.0, 1.0, 2.0]), 2.0, 0.0);
        near(median(&[4.0, 1.0, 2.0, 3.0]), 2.5, 0.0);
        near(median(&[1.0, 2.0]), 1.5, 0.0);
        near(median(&[7.0]), 7.0, 0.0);
        assert!(median(&[]).is_nan());
        // Walsh averages of 1, 2, 9: 1 1.5 2 5 5.5 9.
        near(pseudo_median(&[1.0, 2.0, 9.0]), 3.5, 0.0);
        near(
            deviation(&[2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0]),
            (32.0_f64 / 7.0).sqrt(),
            1e-12,
        );
        assert_eq!(log_ratio(0.0, 1.0), None);
        near(log_ratio(2.0, 1.0).unwrap(), -(2.0_f64.ln()), 1e-15);
    }

    #[test]
    fn few_values_are_known_to_be_few() {
        assert_eq!(interval(&[0.1, 0.2], 0.95, 1), Interval::UNKNOWN);
        assert_eq!(interval(&[0.1, f64::NAN, 0.2], 0.95, 1), Interval::UNKNOWN);
        assert_eq!(prediction(&[1.0], &[1.0], 0.0, 0.95), None);
        assert_eq!(prediction(&[1.0, 2.0], &[], 0.0, 0.95), None);
    }

    #[test]
    fn a_prediction_knows_how_wide_the_baseline_is() {
        // n = 5, s = 1, m = 1: reach 2.776445 * sqrt(1.2).
        let spread = 0.4_f64.sqrt();
        let base = [-2.0, -1.0, 0.0, 1.0, 2.0].map(|value| value * spread);
        let found = prediction(&base, &[1.0], 0.0, 0.95).unwrap();
        near(found.interval.high - 1.0, 2.776_445 * 1.2_f64.sqrt(), 1e-5);
        near(found.change, 1.0, 1e-12);
        near(found.probability_above + found.probability_below, 1.0, 1e-9);
        // No spread at all: any change is beyond it.
        let flat = prediction(&[1.0; 5], &[2.0], 0.5, 0.95).unwrap();
        assert_eq!((flat.probability_above, flat.interval.low), (0.0, 1.0));
    }

    #[test]
    fn the_interval_holds_the_truth_as_often_as_it_says() {
        for pairs in [5_usize, 10] {
            let mut random = fastrand::Rng::with_seed(11);
            let rounds = 100;
            let held = (0..rounds)
                .filter(|round| {
                    let values: Vec<f64> = (0..pairs).map(|_| 0.3 + gauss(&mut random)).collect();
                    let found = interval(&values, 0.95, *round);
                    found.low <= 0.3 && 0.3 <= found.high
                })
                .count();
            // 95 of 100; three standard deviations below are 88.
            assert!(held >= 88, "{held} of {rounds} with {pairs} pairs");
        }
    }

    /// A normal deviate, by Box and Muller.
    fn gauss(random: &mut fastrand::Rng) -> f64 {
        let radius = (-2.0 * (1.0 - random.f64()).ln()).sqrt();
        radius * (std::f64::consts::TAU * random.f64()).cos()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn the_order_of_runs_decides_nothing(
            mut values in prop::collection::vec(-3.0..3.0_f64, 0..9), seed in any::<u64>(),
        ) {
            let before = (
                signed_rank(&values, 0.1), interval(&values, 0.95, seed), pseudo_median(&values),
            );
            values.reverse();
            fastrand::Rng::with_seed(seed).shuffle(&mut values);
            prop_assert_eq!(before.0, signed_rank(&values, 0.1));
            prop_assert_eq!(before.1, interval(&values, 0.95, seed));
            let after = pseudo_median(&values);
            prop_assert!(before.2.is_nan() && after.is_nan() || (before.2 - after).abs() < 1e-12);
        }

        #[test]
        fn a_higher_limit_is_harder_to_exceed(
            values in prop::collection::vec(-3.0..3.0_f64, 1..15), limit in -2.0..2.0_f64, more in 0.0..1.0_f64,
        ) {
            prop_assert!(signed_rank(&values, limit) <= signed_rank(&values, limit + more) + 1e-12);
        }

        #[test]
        fn both_sides_together_are_certain(values in prop::collection::vec(-3.0..3.0_f64, 1..15)) {
            let mirrored: Vec<f64> = values.iter().map(|value| -value).collect();
            prop_assert!(signed_rank(&values, 0.0) + signed_rank(&mirrored, 0.0) >= 1.0 - 1e-12);
            prop_assert!(signed_rank(&values, 0.0) >= least_probability(values.len()) - 1e-15);
        }

        #[test]
        fn holm_never_helps_and_keeps_the_order(
            probabilities in prop::collection::vec(0.0..=1.0_f64, 1..12),
        ) {
            let adjusted = holm(&probabilities);
            for (a, b) in probabilities.iter().zip(&adjusted) {
                prop_assert!(b >= a && *b <= 1.0);
            }
            for (i, a) in probabilities.iter().enumerate() {
                for (j, b) in probabilities.iter().enumerate() {
                    prop_assert!(a > b || adjusted[i] <= adjusted[j]);
                }
            }
        }

        #[test]
        fn student_is_a_distribution(t in -50.0..50.0_f64, freedom in 1.0..200.0_f64) {
            let share = student(t, freedom);
            prop_assert!((0.0..=1.0).contains(&share));
            prop_assert!((share + student(-t, freedom) - 1.0).abs() < 1e-12);
            prop_assert!(student(t + 0.1, freedom) >= share);
        }
    }
}
