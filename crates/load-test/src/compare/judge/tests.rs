use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

/// A run whose endpoints have these p95 in milliseconds, with plenty of requests.
fn run(times: &[(&str, f64)]) -> Run {
    Run {
        rows: times
            .iter()
            .map(|(name, p95)| {
                let metrics = BTreeMap::from([(Metric::P95, *p95)]);
                let requests = 10_000;
                ((*name).to_owned(), Row { requests, metrics })
            })
            .collect(),
        ..Run::default()
    }
}

fn row(requests: u64, p95: f64, failures: f64) -> Row {
    Row {
        requests,
        metrics: BTreeMap::from([
            (Metric::P50, p95 / 2.0),
            (Metric::P90, p95 * 0.9),
            (Metric::P95, p95),
            (Metric::Failures, failures),
            (Metric::Throughput, 100.0),
        ]),
    }
}

/// A normal deviate, by Box and Muller.
fn gauss(random: &mut fastrand::Rng) -> f64 {
    let radius = (-2.0 * (1.0 - random.f64()).ln()).sqrt();
    radius * (std::f64::consts::TAU * random.f64()).cos()
}

/// Runs in the order base, new, new, base and so on, of a machine whose speed drifts and whose noise
/// has a memory; `slowdown` holds for the new side.
fn abba(
    random: &mut fastrand::Rng,
    pairs: usize,
    names: &[&str],
    noise: impl Fn(&mut fastrand::Rng) -> f64,
    slowdown: f64,
) -> Vec<(Run, Run)> {
    let mut memory = 0.0;
    let mut slot = 0.0;
    let mut one = |random: &mut fastrand::Rng, factor: f64| {
        // Drift of 2% a run and autocorrelation of 0.6, shared by all endpoints as a busy neighbour is.
        memory = 0.6 * memory + noise(random);
        slot += 1.0;
        let shared = 0.02 * slot + memory;
        let times: Vec<(&str, f64)> = names
            .iter()
            .map(|name| (*name, 20.0 * factor * (shared + 0.3 * noise(random)).exp()))
            .collect();
        run(&times)
    };
    (0..pairs)
        .map(|pair| {
            if pair % 2 == 0 {
                let base = one(random, 1.0);
                (base, one(random, slowdown))
            } else {
                let new = one(random, slowdown);
                (one(random, 1.0), new)
            }
        })
        .collect()
}

fn has(comparison: &Comparison, change: Change) -> bool {
    comparison
        .judged
        .iter()
        .any(|judged| judged.change == change)
}

const NAMES: [&str; 3] = [TOTAL, "a", "b"];

/// How many of 60 comparisons of equals call anything worse, with no margin that would help.
fn false_alarms(pairs: usize, noise: impl Fn(&mut fastrand::Rng) -> f64 + Copy) -> usize {
    let policy = Policy {
        margin: 0.0,
        ..Policy::default()
    };
    let mut random = fastrand::Rng::with_seed(3);
    (0..60)
        .filter(|_| {
            let pairs = abba(&mut random, pairs, &NAMES, noise, 1.0);
            has(&super::pairs(&pairs, &policy), Change::Worse)
        })
        .count()
}

#[test]
fn equals_are_called_worse_no_more_often_than_promised() {
    // 5% of 60 are 3; three standard deviations above are 8.
    for pairs in [5, 10] {
        let gaussian = false_alarms(pairs, |random| 0.1 * gauss(random));
        assert!(gaussian <= 8, "{gaussian} with {pairs} pairs");
        // Bursts: one run in ten is three times as slow.
        let bursts = false_alarms(pairs, |random| {
            0.05 * gauss(random) + if random.f64() < 0.1 { 1.1 } else { 0.0 }
        });
        assert!(bursts <= 8, "{bursts} with bursts and {pairs} pairs");
        // Coarse: times that come in steps, so that many differences are zero or alike.
        let coarse = false_alarms(pairs, |random| 0.05 * f64::from(random.u8(0..3)));
        assert!(coarse <= 8, "{coarse} with steps and {pairs} pairs");
    }
}

#[test]
fn a_clear_slowdown_is_found_and_a_small_one_is_not_called_worse() {
    let mut random = fastrand::Rng::with_seed(5);
    let noise = |random: &mut fastrand::Rng| 0.03 * gauss(random);
    let found = (0..20)
        .filter(|_| {
            let pairs = abba(&mut random, 10, &NAMES, noise, 1.5);
            let comparison = super::pairs(&pairs, &Policy::default());
            comparison
                .judged
                .iter()
                .filter(|judged| is_time(judged))
                .all(|judged| judged.change == Change::Worse)
        })
        .count();
    assert!(found >= 18, "{found} of 20");
    let small = (0..20)
        .filter(|_| {
            let pairs = abba(&mut random, 10, &NAMES, noise, 1.03);
            has(&super::pairs(&pairs, &Policy::default()), Change::Worse)
        })
        .count();
    assert_eq!(small, 0);
    let pairs = abba(&mut random, 10, &NAMES, noise, 0.6);
    let faster = super::pairs(&pairs, &Policy::default());
    assert!(
        faster
            .judged
            .iter()
            .filter(|judged| is_time(judged))
            .all(|judged| judged.change == Change::Better)
    );
}

fn is_time(judged: &Judged) -> bool {
    !matches!(judged.metric, Metric::Throughput | Metric::Failures)
}

#[test]
fn fewer_than_the_least_pairs_decide_nothing() {
    let pairs: Vec<(Run, Run)> = (0..4)
        .map(|_| (run(&[(TOTAL, 10.0)]), run(&[(TOTAL, 90.0)])))
        .collect();
    let comparison = super::pairs(&pairs, &Policy::default());
    assert!(
        comparison
            .judged
            .iter()
            .all(|judged| judged.change == Change::Unknown)
    );
}

#[test]
fn more_failures_are_worse_however_fast_they_are() {
    let side = |p95: f64, failures: f64| Run {
        rows: BTreeMap::from([(TOTAL.to_owned(), row(1000, p95, failures))]),
        ..Run::default()
    };
    let pairs: Vec<(Run, Run)> = (0..8)
        .map(|n| {
            (
                side(20.0 + f64::from(n), 0.0),
                side(2.0 + f64::from(n), 0.3),
            )
        })
        .collect();
    let comparison = super::pairs(&pairs, &Policy::default());
    let of = |metric: Metric| {
        comparison
            .judged
            .iter()
            .find(|judged| judged.metric == metric)
            .map(|judged| judged.change)
    };
    assert_eq!(of(Metric::P95), Some(Change::Better));
    assert_eq!(of(Metric::Failures), Some(Change::Worse));
    assert_eq!(of(Metric::Throughput), Some(Change::Same));
}

#[test]
fn less_throughput_is_worse() {
    let side = |rate: f64| {
        let mut row = row(1000, 20.0, 0.0);
        row.metrics.insert(Metric::Throughput, rate);
        Run {
            rows: BTreeMap::from([(TOTAL.to_owned(), row)]),
            ..Run::default()
        }
    };
    let pairs: Vec<(Run, Run)> = (0..8)
        .map(|n| (side(100.0 + f64::from(n)), side(50.0 + f64::from(n))))
        .collect();
    let comparison = super::pairs(&pairs, &Policy::default());
    let judged = comparison
        .judged
        .iter()
        .find(|judged| judged.metric == Metric::Throughput)
        .unwrap();
    assert_eq!(judged.change, Change::Worse);
    let measured = judged.measured.as_ref().unwrap();
    assert!(measured.interval.low <= measured.change && measured.change <= measured.interval.high);
    assert!((measured.change - 0.52).abs() < 0.02, "{}", measured.change);
}

#[test]
fn a_single_stored_baseline_never_fails() {
    for factor in [0.5, 1.0, 3.0, 100.0] {
        let comparison = stored(
            &[run(&[(TOTAL, 20.0)])],
            &[run(&[(TOTAL, 20.0 * factor)])],
            &Policy::default(),
        );
        let judged = &comparison.judged[0];
        assert_eq!(
            (judged.change, judged.why),
            (Change::Unknown, Some(Why::FewBaselines))
        );
        let ratio = judged.measured.as_ref().unwrap().change;
        assert!((ratio - factor).abs() < 1e-9, "{ratio}");
    }
}

#[test]
fn five_stored_baselines_show_what_is_noise() {
    let base: Vec<Run> = [19.8, 20.0, 20.2, 20.1, 19.9]
        .map(|p95| run(&[(TOTAL, p95)]))
        .to_vec();
    let against =
        |p95: f64| stored(&base, &[run(&[(TOTAL, p95)])], &Policy::default()).judged[0].change;
    assert_eq!(against(40.0), Change::Worse);
    assert_eq!(against(20.0), Change::Same);
    assert_eq!(against(10.0), Change::Better);
    // Beyond the margin, but not beyond the noise.
    assert_eq!(against(22.5), Change::Unknown);
    // What a baseline has reached before is no alarm.
    let wild: Vec<Run> = [20.0, 20.0, 20.0, 20.0, 90.0]
        .map(|p95| run(&[(TOTAL, p95)]))
        .to_vec();
    let comparison = stored(&wild, &[run(&[(TOTAL, 80.0)])], &Policy::default());
    assert_ne!(comparison.judged[0].change, Change::Worse);
}

#[test]
fn stored_equals_are_called_worse_no_more_often_than_promised() {
    let policy = Policy {
        margin: 0.0,
        ..Policy::default()
    };
    let mut random = fastrand::Rng::with_seed(8);
    let alarms = (0..1000)
        .filter(|_| {
            let mut one = || {
                let times: Vec<(&str, f64)> = NAMES
                    .iter()
                    .map(|name| (*name, 20.0 * (0.1 * gauss(&mut random)).exp()))
                    .collect();
                run(&times)
            };
            let base: Vec<Run> = (0..5).map(|_| one()).collect();
            has(&stored(&base, &[one()], &policy), Change::Worse)
        })
        .count();
    // 5% of 1000 are 50; three standard deviations above are 71.
    assert!(alarms <= 71, "{alarms}");
}

#[test]
fn an_endpoint_that_is_gone_or_rare_is_not_passed() {
    let mut base = run(&[
        (TOTAL, 20.0),
        ("gone", 10.0),
        ("rare", 10.0),
        ("scarce", 10.0),
    ]);
    base.rows.insert("rare".to_owned(), row(3, 10.0, 0.0));
    base.rows.insert("scarce".to_owned(), row(60, 10.0, 0.0));
    let mut new = base.clone();
    new.rows.remove("gone");
    new.rows.insert("fresh".to_owned(), row(1000, 1.0, 0.0));
    let pairs = vec![(base, new); 6];
    let comparison = super::pairs(&pairs, &Policy::default());
    let of = |name: &str| {
        comparison
            .judged
            .iter()
            .find(|judged| judged.name == name)
            .unwrap()
    };
    assert_eq!(of("gone").why, Some(Why::Missing));
    assert_eq!(of("rare").why, Some(Why::FewRequests));
    // 60 requests are enough for the quantile below.
    assert_eq!(
        (of("scarce").metric, of("scarce").change),
        (Metric::P90, Change::Same)
    );
    assert_eq!(comparison.only_new, ["fresh"]);
    let only = Policy {
        only: vec![TOTAL.to_owned()],
        ..Policy::default()
    };
    let comparison = super::pairs(&pairs, &only);
    assert!(
        comparison
            .judged
            .iter()
            .all(|judged| judged.change == Change::Same)
    );
    assert!(comparison.only_new.is_empty());
}

#[test]
fn how_many_pairs_many_tests_need() {
    assert_eq!(pairs_needed(1, 0.05), 5);
    assert_eq!(pairs_needed(16, 0.05), 9);
    assert_eq!(pairs_needed(51, 0.05), 10);
    assert_eq!(pairs_needed(0, 0.05), 5);
}

#[test]
fn the_smallest_change_grows_with_the_noise_and_shrinks_with_the_pairs() {
    let mut random = fastrand::Rng::with_seed(4);
    let mut noise = |pairs: usize, size: f64| -> Vec<f64> {
        (0..pairs).map(|_| size * gauss(&mut random)).collect()
    };
    let limit = 0.1_f64.ln_1p();
    let quiet = smallest_change(&noise(12, 0.01), limit, 4, 0.05, 1).unwrap();
    let loud = smallest_change(&noise(12, 0.1), limit, 4, 0.05, 1).unwrap();
    let more = smallest_change(&noise(30, 0.1), limit, 4, 0.05, 1).unwrap();
    assert!(
        quiet > 0.1 && quiet < loud && more < loud,
        "{quiet} {loud} {more}"
    );
    // Five pairs cannot fail one of four tests, whatever they say.
    assert_eq!(smallest_change(&noise(5, 0.01), limit, 4, 0.05, 1), None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn a_slower_new_side_is_never_judged_better(
        times in prop::collection::vec((5.0..50.0_f64, 5.0..50.0_f64), 5..9), more in 1.0..3.0_f64,
    ) {
        let judge = |factor: f64| {
            let pairs: Vec<(Run, Run)> = times
                .iter()
                .map(|(base, new)| (run(&[(TOTAL, *base)]), run(&[(TOTAL, *new * factor)])))
                .collect();
            super::pairs(&pairs, &Policy::default()).judged[0].change
        };
        prop_assert!(judge(1.0) <= judge(more));
    }

    #[test]
    fn the_order_of_pairs_decides_nothing(
        times in prop::collection::vec((5.0..50.0_f64, 5.0..50.0_f64), 5..9), seed in any::<u64>(),
    ) {
        let mut pairs: Vec<(Run, Run)> = times
            .iter()
            .map(|(base, new)| (run(&[(TOTAL, *base)]), run(&[(TOTAL, *new)])))
            .collect();
        let before = super::pairs(&pairs, &Policy::default());
        fastrand::Rng::with_seed(seed).shuffle(&mut pairs);
        let after = super::pairs(&pairs, &Policy::default());
        let outcomes = |comparison: &Comparison| -> Vec<(Change, Interval)> {
            let judged = &comparison.judged;
            judged.iter().map(|judged| (judged.change, judged.measured.as_ref().unwrap().interval)).collect()
        };
        prop_assert_eq!(outcomes(&before), outcomes(&after));
    }
}
