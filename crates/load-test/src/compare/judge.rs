//! Is the new side worse? Pure: runs and a policy in, a judgement for each endpoint out.
//!
//! An endpoint is *worse* only if the whole interval of its change lies beyond the margin and an
//! exact test, corrected for the number of tests, says the same. It is *no worse* only if the
//! whole interval lies within the margin and the exact test agrees. Everything between is not
//! known, and what is not known is no pass.

use std::collections::BTreeSet;

use super::model::{Metric, Row, Run, TOTAL};
use super::stats::{self, Interval};

/// Fewer pairs show nothing: five alike happen by chance once in 32 times.
pub const LEAST_PAIRS: usize = 5;

/// Fewer stored baseline runs do not show how far they spread.
pub const LEAST_BASELINE: usize = 5;

/// What the judge goes by.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// The metric that gates each endpoint.
    pub metric: Metric,
    /// How much slower is allowed, as a share: 0.1 lets 10% pass.
    pub margin: f64,
    /// How many more failures are allowed, as a share of all requests.
    pub failure_margin: f64,
    /// The chance of calling anything worse that is not, over all tests together.
    pub alpha: f64,
    /// Judge these endpoints only; empty for all.
    pub only: Vec<String>,
    /// Seed of the bootstrap.
    pub seed: u64,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            metric: Metric::P95,
            margin: 0.1,
            failure_margin: 0.01,
            alpha: 0.05,
            only: Vec::new(),
            seed: 1,
        }
    }
}

impl Policy {
    fn wants(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| only == name)
    }

    /// The confidence of the intervals.
    #[must_use]
    pub fn confidence(&self) -> f64 {
        1.0 - self.alpha
    }
}

/// What became of an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Change {
    /// Faster, and shown to be.
    Better,
    /// Shown to be within the margin.
    Same,
    /// Not shown to be anything.
    Unknown,
    /// Slower than the margin allows, and shown to be.
    Worse,
}

impl Change {
    /// As reports say it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Better => "better",
            Self::Same => "no_worse",
            Self::Unknown => "inconclusive",
            Self::Worse => "worse",
        }
    }
}

/// Why nothing is known of an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// The interval holds the margin: it may be worse, or not.
    Wide,
    /// Too few requests in some run for any quantile.
    FewRequests,
    /// Fewer baseline runs than [`LEAST_BASELINE`].
    FewBaselines,
    /// Fewer pairs than [`LEAST_PAIRS`].
    FewPairs,
    /// The base has it, the new side does not.
    Missing,
}

/// One metric of one endpoint on both sides.
#[derive(Clone, Debug, PartialEq)]
pub struct Measured {
    /// Which one.
    pub metric: Metric,
    /// The middle of the base runs.
    pub base: f64,
    /// The middle of the new runs.
    pub new: f64,
    /// The change: a ratio (1 is none), for failures a difference of shares (0 is none).
    pub change: f64,
    /// Where the change lies.
    pub interval: Interval,
}

/// The judgement of one endpoint.
#[derive(Clone, Debug, PartialEq)]
pub struct Judged {
    /// The endpoint, or [`TOTAL`].
    pub name: String,
    /// The metric that was judged, which may be another than the policy's where a run had too few
    /// requests.
    pub metric: Metric,
    /// Its values; nothing where no run had enough.
    pub measured: Option<Measured>,
    /// The probability of so bad an outcome with a change at the margin, corrected.
    pub probability: f64,
    /// What became of it.
    pub change: Change,
    /// Why nothing is known, where that is so.
    pub why: Option<Why>,
    /// The other metrics, for information; they do not decide.
    pub others: Vec<Measured>,
    /// The least number of requests of any run.
    pub least_requests: u64,
}

/// The judgement over all endpoints.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Comparison {
    /// The endpoints by name, total first.
    pub judged: Vec<Judged>,
    /// Endpoints that only the new side has: there is nothing to compare them with.
    pub only_new: Vec<String>,
    /// How many tests were corrected for.
    pub tests: usize,
    /// How many pairs, or base runs and new runs, were used.
    pub used: (usize, usize),
}

/// Pairs of runs, base first, that were run in turn.
#[must_use]
pub fn pairs(pairs: &[(Run, Run)], policy: &Policy) -> Comparison {
    let base: Vec<&Run> = pairs.iter().map(|(base, _)| base).collect();
    let new: Vec<&Run> = pairs.iter().map(|(_, new)| new).collect();
    compare(&base, &new, policy, &|base, new, limit, seed| {
        let changes: Vec<f64> = base.iter().zip(new).map(|(base, new)| new - base).collect();
        let mirrored: Vec<f64> = changes.iter().map(|change| -change).collect();
        Evidence {
            change: stats::pseudo_median(&changes),
            interval: stats::interval(&changes, policy.confidence(), seed),
            above: stats::signed_rank(&changes, limit),
            below: stats::signed_rank(&mirrored, -limit),
            under_zero: stats::signed_rank(&mirrored, 0.0),
            outside: true,
            enough: changes.len() >= LEAST_PAIRS,
            scarce: Why::FewPairs,
        }
    })
}

/// Stored runs without partners: the spread of the base runs is what a new one is held against.
#[must_use]
pub fn stored(base: &[Run], new: &[Run], policy: &Policy) -> Comparison {
    let (base, new): (Vec<&Run>, Vec<&Run>) = (base.iter().collect(), new.iter().collect());
    compare(&base, &new, policy, &|base, new, limit, _| {
        let confidence = policy.confidence();
        let at = |limit| stats::prediction(base, new, limit, confidence);
        let change = stats::mean(new) - stats::mean(base);
        let Some(found) = at(limit) else {
            return Evidence {
                change,
                interval: Interval::UNKNOWN,
                above: 1.0,
                below: 1.0,
                under_zero: 1.0,
                outside: false,
                enough: false,
                scarce: Why::FewBaselines,
            };
        };
        let slowest = base.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        Evidence {
            change,
            interval: found.interval,
            above: found.probability_above,
            below: found.probability_below,
            under_zero: at(0.0).map_or(1.0, |found| found.probability_below),
            // Runs of different days are not as normal as the formula wants them: what a baseline
            // run has reached before is no alarm.
            outside: stats::mean(new) > slowest,
            enough: base.len() >= LEAST_BASELINE,
            scarce: Why::FewBaselines,
        }
    })
}

/// What the values of one metric say; up is worse.
struct Evidence {
    change: f64,
    interval: Interval,
    /// Probability of such values if the change were the limit: small speaks for worse.
    above: f64,
    /// The same in the other direction: small speaks for no worse.
    below: f64,
    under_zero: f64,
    outside: bool,
    enough: bool,
    /// What to say where it is not enough.
    scarce: Why,
}

type Weigh<'a> = &'a dyn Fn(&[f64], &[f64], f64, u64) -> Evidence;

fn compare(base: &[&Run], new: &[&Run], policy: &Policy, weigh: Weigh<'_>) -> Comparison {
    let names = |runs: &[&Run]| -> BTreeSet<String> {
        runs.iter()
            .flat_map(|run| run.rows.keys().cloned())
            .collect()
    };
    let (in_base, in_new) = (names(base), names(new));
    let wanted = |name: &&String| policy.wants(name);
    let mut tests: Vec<(Judged, Option<Evidence>, f64)> = Vec::new();
    // Total first: it is what one reads first.
    let ordered = in_base
        .iter()
        .filter(|name| *name == TOTAL)
        .chain(in_base.iter().filter(|name| *name != TOTAL))
        .filter(wanted);
    for name in ordered {
        let sides = Sides::of(name, base, new);
        tests.push(sides.test(&[policy.metric], policy, weigh, policy.margin.ln_1p()));
        if name == TOTAL {
            // Fewer requests a second at the same load, or more failures, are worse whatever the
            // percentiles say: an error is a fast answer.
            for (metric, limit) in [
                (Metric::Throughput, policy.margin.ln_1p()),
                (Metric::Failures, policy.failure_margin),
            ] {
                if sides.is_known(metric) {
                    tests.push(sides.test(&[metric], policy, weigh, limit));
                }
            }
        }
    }
    let above: Vec<f64> = tests
        .iter()
        .filter_map(|(_, evidence, _)| evidence.as_ref().map(|evidence| evidence.above))
        .collect();
    let under_zero: Vec<f64> = tests
        .iter()
        .filter_map(|(_, evidence, _)| evidence.as_ref().map(|evidence| evidence.under_zero))
        .collect();
    let mut corrected = stats::holm(&above)
        .into_iter()
        .zip(stats::holm(&under_zero));
    let judged = tests
        .into_iter()
        .map(|(judged, evidence, limit)| match evidence {
            None => judged,
            Some(evidence) => {
                let (worse, better) = corrected.next().unwrap_or((1.0, 1.0));
                decided(judged, &evidence, limit, (worse, better), policy.alpha)
            }
        })
        .collect();
    Comparison {
        judged,
        only_new: in_new
            .difference(&in_base)
            .filter(wanted)
            .cloned()
            .collect(),
        tests: above.len(),
        used: (base.len(), new.len()),
    }
}

fn decided(
    judged: Judged,
    evidence: &Evidence,
    limit: f64,
    (worse, better): (f64, f64),
    alpha: f64,
) -> Judged {
    let Interval { low, high } = evidence.interval;
    let no_worse = high <= limit && evidence.below <= alpha;
    let (change, why) = if !evidence.enough {
        (Change::Unknown, Some(evidence.scarce))
    } else if low > limit && worse <= alpha && evidence.outside {
        (Change::Worse, None)
    } else if no_worse && high < 0.0 && better <= alpha {
        (Change::Better, None)
    } else if no_worse {
        (Change::Same, None)
    } else {
        (Change::Unknown, Some(Why::Wide))
    };
    Judged {
        probability: worse,
        change,
        why,
        ..judged
    }
}

/// The rows of one endpoint on both sides; nothing where a run lacks it.
struct Sides<'a> {
    name: &'a str,
    base: Vec<Option<&'a Row>>,
    new: Vec<Option<&'a Row>>,
}

impl<'a> Sides<'a> {
    fn of(name: &'a str, base: &[&'a Run], new: &[&'a Run]) -> Self {
        let rows = |runs: &[&'a Run]| runs.iter().map(|run| run.rows.get(name)).collect();
        Self {
            name,
            base: rows(base),
            new: rows(new),
        }
    }

    fn is_known(&self, metric: Metric) -> bool {
        let some = |rows: &[Option<&Row>]| {
            rows.iter()
                .flatten()
                .any(|row| row.metrics.contains_key(&metric))
        };
        some(&self.base) && some(&self.new)
    }

    /// The values of a metric where every run has it.
    fn values(&self, metric: Metric) -> Option<(Vec<f64>, Vec<f64>)> {
        let all = |rows: &[Option<&Row>]| -> Option<Vec<f64>> {
            let values: Option<Vec<f64>> =
                rows.iter().map(|row| row.as_ref()?.value(metric)).collect();
            // A time of zero has no logarithm, and was not measured.
            let positive =
                metric == Metric::Failures || values.iter().flatten().all(|value| *value > 0.0);
            values.filter(|values| !values.is_empty() && positive)
        };
        Some((all(&self.base)?, all(&self.new)?))
    }

    fn test(
        &self,
        metrics: &[Metric],
        policy: &Policy,
        weigh: Weigh<'_>,
        limit: f64,
    ) -> (Judged, Option<Evidence>, f64) {
        let wanted = metrics.first().copied().unwrap_or(policy.metric);
        let candidates = std::iter::once(&wanted).chain(wanted.instead());
        let found = candidates
            .copied()
            .find_map(|metric| Some((metric, self.values(metric)?)));
        let rows = || self.base.iter().chain(&self.new);
        let mut judged = Judged {
            name: self.name.to_owned(),
            metric: found.as_ref().map_or(wanted, |(metric, _)| *metric),
            measured: None,
            probability: 1.0,
            change: Change::Unknown,
            why: Some(if self.new.iter().all(Option::is_none) {
                Why::Missing
            } else {
                Why::FewRequests
            }),
            others: Vec::new(),
            least_requests: rows()
                .map(|row| row.map_or(0, |row| row.requests))
                .min()
                .unwrap_or(0),
        };
        let is_latency = !matches!(wanted, Metric::Throughput | Metric::Failures);
        let evidence = found.map(|(metric, values)| {
            let (measured, evidence) =
                measured(metric, &values, weigh, limit, self.seed(policy, metric));
            judged.measured = Some(measured);
            evidence
        });
        if is_latency {
            judged.others = Metric::ALL
                .into_iter()
                .filter(|metric| *metric != judged.metric)
                .filter_map(|metric| {
                    let values = self.values(metric)?;
                    Some(measured(metric, &values, weigh, 0.0, self.seed(policy, metric)).0)
                })
                .collect();
        }
        (judged, evidence, limit)
    }

    /// A seed of its own for each bootstrap, whatever other endpoints there are.
    fn seed(&self, policy: &Policy, metric: Metric) -> u64 {
        // FNV-1a: any fixed mixing would do.
        self.name
            .bytes()
            .chain(metric.name().bytes())
            .fold(policy.seed ^ 0xcbf2_9ce4_8422_2325, |hash, byte| {
                (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
            })
    }
}

/// Values on the scale where up is worse, and back.
fn measured(
    metric: Metric,
    (base, new): &(Vec<f64>, Vec<f64>),
    weigh: Weigh<'_>,
    limit: f64,
    seed: u64,
) -> (Measured, Evidence) {
    let scale = |values: &[f64]| -> Vec<f64> {
        values
            .iter()
            .map(|value| match metric {
                Metric::Failures => *value,
                Metric::Throughput => -value.ln(),
                _ => value.ln(),
            })
            .collect()
    };
    let evidence = weigh(&scale(base), &scale(new), limit, seed);
    let Interval { low, high } = evidence.interval;
    let (change, interval) = match metric {
        Metric::Failures => (evidence.change, evidence.interval),
        Metric::Throughput => (
            (-evidence.change).exp(),
            Interval {
                low: (-high).exp(),
                high: (-low).exp(),
            },
        ),
        _ => (
            evidence.change.exp(),
            Interval {
                low: low.exp(),
                high: high.exp(),
            },
        ),
    };
    let measured = Measured {
        metric,
        base: stats::median(base),
        new: stats::median(new),
        change,
        interval,
    };
    (measured, evidence)
}

/// The least number of pairs, at least `least`, that can call one of so many tests worse.
#[must_use]
pub fn pairs_needed(tests: usize, alpha: f64) -> usize {
    (LEAST_PAIRS..200)
        .find(|pairs| stats::least_probability(*pairs) * tests.max(1) as f64 <= alpha)
        .unwrap_or(200)
}

/// The smallest slowing down of an endpoint that would be called worse in eight of ten comparisons
/// like this one, as a share: 0.12 is 12% slower. The noise is that of these pairs, drawn anew with
/// the change added. Nothing where even a hundred times as slow would not be seen.
#[must_use]
pub fn smallest_change(
    changes: &[f64],
    limit: f64,
    tests: usize,
    alpha: f64,
    seed: u64,
) -> Option<f64> {
    const ROUNDS: usize = 100;
    const SEEN: usize = 80;
    if changes.len() < LEAST_PAIRS {
        return None;
    }
    // The pairs differ by noise alone, so their centre is noise too.
    let centre = stats::pseudo_median(changes);
    let mut sorted: Vec<f64> = changes.iter().map(|change| change - centre).collect();
    sorted.sort_by(f64::total_cmp);
    let level = alpha / tests.max(1) as f64;
    let seen = |added: f64| {
        let mut random = fastrand::Rng::with_seed(seed);
        let hits = (0..ROUNDS)
            .filter(|_| {
                let drawn: Vec<f64> = sorted
                    .iter()
                    .map(|_| {
                        // Symmetric, as pairs of equals are.
                        let noise = sorted[random.usize(..sorted.len())];
                        added + if random.bool() { noise } else { -noise }
                    })
                    .collect();
                stats::signed_rank(&drawn, limit) <= level
            })
            .count();
        hits >= SEEN
    };
    let (mut low, mut high) = (0.0, 100.0_f64.ln());
    if !seen(high) {
        return None;
    }
    for _ in 0..20 {
        let between = f64::midpoint(low, high);
        if seen(between) {
            high = between;
        } else {
            low = between;
        }
    }
    Some(high.exp_m1())
}

#[cfg(test)]
mod tests;
