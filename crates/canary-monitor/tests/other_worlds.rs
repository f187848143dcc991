//! The judge on worlds that were made elsewhere: each has a wanted verdict, whatever the seed, the shape
//! of the latencies, the interval, the edges and the number of pods.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

mod worlds;

use canary_monitor::judge::{Decision, Policy, Watch, reason};
use canary_monitor::observations::{PodSample, Side};
use gs_common::verdict::Verdict;
use worlds::{Shape, World, make};

fn judge(world: &World) -> Decision {
    let (header, scrapes) = make(world);
    let mut watch = Watch::new(Policy::default(), &header);
    let early = scrapes.iter().find_map(|scrape| watch.step(scrape));
    early.unwrap_or_else(|| watch.finish())
}

/// Judges one world from several seeds; all have to end so, but for `but` of them.
#[track_caller]
fn check_but(but: usize, verdict: Verdict, reasons: &[&str], make: impl Fn(u64) -> World) {
    let mut wrong = Vec::new();
    for seed in 0..SEEDS {
        let decision = judge(&make(seed));
        let named = reasons.is_empty() || reasons.contains(&decision.reason);
        if decision.verdict != verdict || !named {
            wrong.push((seed, decision));
        }
    }
    assert!(wrong.len() <= but, "{} of {SEEDS}: {wrong:#?}", wrong.len());
}

#[track_caller]
fn check(verdict: Verdict, reasons: &[&str], make: impl Fn(u64) -> World) {
    check_but(0, verdict, reasons, make);
}

const SEEDS: u64 = 8;

fn shape(seed: u64) -> Shape {
    [Shape::Gamma, Shape::Bimodal, Shape::Heavy][(seed % 3) as usize]
}

fn healthy(seed: u64) -> World {
    World {
        shape: shape(seed),
        ..World::healthy(seed)
    }
}

#[test]
fn healthy_passes_whatever_the_interval_and_the_pods() {
    for interval in [5.0, 10.0, 15.0, 30.0, 60.0] {
        check(Verdict::Pass, &[], |seed| World {
            interval,
            swing: 0.6,
            jitter: 0.1 * interval,
            ..healthy(seed)
        });
    }
    for (canaries, stables) in [(1, 1), (1, 2), (1, 3), (3, 9), (2, 30)] {
        check(Verdict::Pass, &[], |seed| World {
            canaries,
            stables,
            rate: 5.0,
            ..healthy(seed)
        });
    }
}

#[test]
fn errors_that_come_in_clumps_are_no_reason() {
    check_but(1, Verdict::Pass, &[], |seed| World {
        clump: 9,
        errors: 0.01,
        ..healthy(seed)
    });
    check_but(1, Verdict::Pass, &[], |seed| World {
        clump: 9,
        errors: 0.01,
        stables: 1,
        ..healthy(seed)
    });
}

#[test]
fn what_all_pods_share_is_no_reason() {
    check(Verdict::Pass, &[], |seed| World {
        burst: Some((300.0, 420.0, 0.08, 2.0)),
        ..healthy(seed)
    });
    check(Verdict::Pass, &[], |seed| World {
        burst: Some((500.0, 560.0, 0.3, 1.0)),
        ..healthy(seed)
    });
}

#[test]
fn an_environment_that_breaks_down_is_no_verdict() {
    check(
        Verdict::Inconclusive,
        &[reason::ENVIRONMENT_UNHEALTHY],
        |seed| World {
            burst: Some((200.0, 2000.0, 0.12, 1.0)),
            ..healthy(seed)
        },
    );
}

#[test]
fn a_cold_start_is_left_out() {
    check(Verdict::Pass, &[], |seed| World {
        cold_until: 75.0,
        ..healthy(seed)
    });
}

#[test]
fn more_errors_fail_whatever_the_interval_and_the_pods() {
    for interval in [5.0, 15.0, 30.0, 60.0] {
        check(Verdict::Fail, &[reason::ERROR_RATE], |seed| World {
            interval,
            errors: 0.008,
            canary_errors: Some((0.0, 0.03)),
            ..healthy(seed)
        });
        check(
            Verdict::Fail,
            &[reason::ERROR_RATE, reason::ERROR_LIMIT],
            |seed| World {
                interval,
                canary_errors: Some((400.0, 0.09)),
                ..healthy(seed)
            },
        );
    }
    for (canaries, stables) in [(1, 1), (1, 2), (3, 9), (2, 30)] {
        check(Verdict::Fail, &[reason::ERROR_RATE], |seed| World {
            canaries,
            stables,
            canary_errors: Some((0.0, 0.03)),
            ..healthy(seed)
        });
    }
    check(Verdict::Fail, &[], |seed| World {
        canary_errors: Some((600.0, 0.8)),
        ..healthy(seed)
    });
}

#[test]
fn a_catastrophe_fails_within_a_minute_or_so_also_after_a_long_peace() {
    for seed in 0..SEEDS {
        let decision = judge(&World {
            canary_errors: Some((600.0, 0.9)),
            ..healthy(seed)
        });
        assert!(
            decision.verdict == Verdict::Fail && decision.at_seconds <= 660.0,
            "{decision:?}"
        );
    }
}

#[test]
fn slower_requests_fail_whatever_the_edges() {
    for edges in [
        vec![
            0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
        ],
        vec![0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56],
        vec![0.1, 0.45, 1.2, 5.0],
    ] {
        check(Verdict::Fail, &[reason::LATENCY], |seed| World {
            edges: edges.clone(),
            canary_slower: Some((0.0, 2.2)),
            ..healthy(seed)
        });
        check(Verdict::Pass, &[], |seed| World {
            edges: edges.clone(),
            ..healthy(seed)
        });
    }
}

#[test]
fn five_per_cent_slower_is_tolerated() {
    check(Verdict::Pass, &[], |seed| World {
        canary_slower: Some((0.0, 1.05)),
        rate: 30.0,
        ..healthy(seed)
    });
}

#[test]
fn everything_slower_than_the_limit_fails_even_without_stable() {
    check(Verdict::Fail, &[reason::LATENCY_LIMIT], |seed| World {
        stables: 0,
        canary_slower: Some((0.0, 30.0)),
        ..healthy(seed)
    });
    check(Verdict::Inconclusive, &[reason::BASELINE_MISSING], |seed| {
        World {
            stables: 0,
            ..healthy(seed)
        }
    });
}

#[test]
fn a_leak_fails_and_a_cache_does_not() {
    for interval in [5.0, 15.0, 30.0, 60.0] {
        check(Verdict::Fail, &[reason::MEMORY_LEAK], |seed| World {
            interval,
            leak: 16.0,
            ..healthy(seed)
        });
        check(Verdict::Pass, &[], |seed| World {
            interval,
            cache: 150.0,
            ..healthy(seed)
        });
    }
}

#[test]
fn a_crash_loop_fails_and_one_reset_of_every_pod_does_not() {
    check(Verdict::Fail, &[reason::RESTARTS], |seed| World {
        restarts_every: Some(120.0),
        ..healthy(seed)
    });
    check(Verdict::Pass, &[], |seed| World {
        reset_at: Some(450.0),
        ..healthy(seed)
    });
    check(Verdict::Pass, &[], |seed| World {
        reset_at: Some(450.0),
        canaries: 3,
        stables: 9,
        ..healthy(seed)
    });
}

#[test]
fn replaced_pods_are_judged_like_the_old_ones() {
    check(Verdict::Pass, &[], |seed| World {
        replaced_at: Some(400.0),
        ..healthy(seed)
    });
    check(Verdict::Fail, &[], |seed| World {
        replaced_at: Some(400.0),
        errors: 0.005,
        canary_errors: Some((0.0, 0.04)),
        ..healthy(seed)
    });
}

#[test]
fn nothing_asked_is_nothing_known() {
    check(
        Verdict::Inconclusive,
        &[reason::METRICS_UNAVAILABLE],
        |seed| World {
            canaries: 0,
            ..healthy(seed)
        },
    );
    check(Verdict::Inconclusive, &[reason::NO_TRAFFIC], |seed| World {
        rate: 0.0,
        ..healthy(seed)
    });
    check(Verdict::Inconclusive, &[reason::LOW_TRAFFIC], |seed| {
        World {
            rate: 0.05,
            ..healthy(seed)
        }
    });
}

#[test]
fn some_lost_looks_do_not_matter_and_many_do() {
    check(Verdict::Pass, &[], |seed| World {
        lost: 0.08,
        silent: 0.04,
        ..healthy(seed)
    });
    check(Verdict::Inconclusive, &[reason::COVERAGE], |seed| World {
        lost: 0.45,
        ..healthy(seed)
    });
    check(Verdict::Inconclusive, &[reason::COVERAGE], |seed| World {
        silent: 0.45,
        ..healthy(seed)
    });
}

#[test]
fn a_side_that_is_out_of_sight_at_the_end_is_no_pass() {
    for side in [Side::Canary, Side::Stable] {
        for seed in 0..SEEDS {
            let (header, mut scrapes) = make(&healthy(seed));
            // The last sixth: coverage stays above the 80% that a pass needs.
            let from = header.duration_seconds * 5.0 / 6.0;
            for scrape in scrapes.iter_mut().filter(|scrape| scrape.at_seconds > from) {
                for pod in scrape.pods.iter_mut().filter(|pod| pod.side == side) {
                    *pod = PodSample::down(&pod.pod, side);
                }
            }
            let mut watch = Watch::new(Policy::default(), &header);
            let early = scrapes.iter().find_map(|scrape| watch.step(scrape));
            let decision = early.unwrap_or_else(|| watch.finish());
            assert_eq!(decision.verdict, Verdict::Inconclusive, "{decision:?}");
            assert_eq!(decision.reason, reason::COVERAGE, "{decision:?}");
        }
    }
}

#[test]
fn absent_members_are_bridged_or_said() {
    check(Verdict::Pass, &[], |seed| World {
        untold: 0.1,
        ..healthy(seed)
    });
    check(Verdict::Fail, &[], |seed| World {
        untold: 0.3,
        canary_errors: Some((0.0, 0.05)),
        ..healthy(seed)
    });
    check(
        Verdict::Inconclusive,
        &[reason::METRICS_UNAVAILABLE],
        |seed| World {
            untold: 1.0,
            ..healthy(seed)
        },
    );
}

#[test]
fn a_split_that_is_not_the_declared_one_is_no_verdict() {
    check(Verdict::Inconclusive, &[reason::SPLIT], |seed| World {
        weight: Some(0.5),
        ..healthy(seed)
    });
    check(Verdict::Pass, &[], |seed| World {
        weight: Some(1.0 / 7.0),
        ..healthy(seed)
    });
}

#[test]
fn evidence_carries_over_a_change_of_weight() {
    let world = World {
        weight: Some(1.0 / 7.0),
        ..healthy(1)
    };
    let (header, mut scrapes) = make(&world);
    let mut watch = Watch::new(Policy::default(), &header);
    // The same pods, but the canary is told to get half from the middle on: what was declared is off.
    let half = scrapes.split_off(scrapes.len() / 2);
    assert!(
        scrapes
            .iter()
            .find_map(|scrape| watch.step(scrape))
            .is_none()
    );
    watch.set_weight(Some(0.5));
    let decision = half.iter().find_map(|scrape| watch.step(scrape)).unwrap();
    assert_eq!(decision.reason, reason::SPLIT);
}
