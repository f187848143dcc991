use super::*;
use crate::result::{
    Arrivals, Cell, Errors, Generator, Interval, Model, Setup, Stage, interval_histogram, micros,
};
use proptest::prelude::*;

/// A run with these response times in milliseconds, of which so many failed.
fn run(millis: &[u64], failures: u64) -> RunResult {
    let mut stats = Stats::default();
    for time in millis {
        stats.requests += 1;
        let value = micros(Duration::from_millis(*time));
        stats.response.record(value).unwrap();
        stats.service.record(value).unwrap();
    }
    stats.failures = failures;
    RunResult {
        target: "http://127.0.0.1:1".to_owned(),
        setup: Setup {
            personas_sha256: String::new(),
            personas_from: "built-in".to_owned(),
            model: Model::Open {
                rate: 100.0,
                arrivals: Arrivals::Even,
                connections: 10,
            },
            stages: vec![Stage {
                name: "hold".to_owned(),
                from: 100.0,
                target: 100.0,
                duration: Duration::from_secs(10),
            }],
            warm_up: Duration::ZERO,
            seed: 1,
            keep_alive: true,
            protocol: "http/1.1".to_owned(),
            compression: false,
            proxy: false,
            timeout: Duration::from_secs(10),
            shard: None,
        },
        started_at: jiff::Timestamp::UNIX_EPOCH,
        measured_seconds: 10.0,
        end: End::Complete,
        cells: vec![Cell {
            endpoint: "/a".to_owned(),
            persona: "p".to_owned(),
            stage: 0,
            stats,
        }],
        warm_up_requests: 0,
        intervals: Vec::new(),
        slowest: Vec::new(),
        slow: std::collections::BTreeMap::new(),
        generator: Generator::default(),
        websockets: Vec::new(),
        users_started: 1,
        users_most: 1,
    }
}

fn goal(text: &str) -> Goal {
    Goal::parse(text).unwrap()
}

#[track_caller]
fn check(run: &RunResult, text: &str, verdict: Verdict, code: &str) {
    let judgement = judge(run, &[goal(text)]);
    assert_eq!(
        (judgement.verdict, judgement.reason),
        (verdict, code),
        "{text}: {:?}",
        judgement.goals
    );
}

#[test]
fn a_goal_is_met_or_missed() {
    let quick = run(&[100; 1000], 5);
    check(&quick, "p95<200ms", Verdict::Pass, "goals_met");
    check(&quick, "p95<=50ms", Verdict::Fail, "goals_missed");
    check(&quick, "warn:p95<50ms", Verdict::Warn, "goals_warned");
    check(&quick, "error-rate<1%", Verdict::Pass, "goals_met");
    check(&quick, "error-rate<=0.1%", Verdict::Fail, "goals_missed");
    check(&quick, "rps>=100", Verdict::Pass, "goals_met");
    check(&quick, "rps>=101", Verdict::Fail, "goals_missed");
    check(&quick, "mean<=200ms for /a", Verdict::Pass, "goals_met");
    check(
        &quick,
        "mean<=20ms for persona p",
        Verdict::Fail,
        "goals_missed",
    );
    check(
        &quick,
        "mean<=20ms for stage hold",
        Verdict::Fail,
        "goals_missed",
    );
    check(
        &quick,
        "mean<=20ms for each endpoint",
        Verdict::Fail,
        "goals_missed",
    );
}

#[test]
fn nothing_measured_is_no_pass() {
    check(
        &run(&[], 0),
        "p95<200ms",
        Verdict::Inconclusive,
        "nothing_measured",
    );
    check(
        &run(&[], 0),
        "error-rate<1%",
        Verdict::Inconclusive,
        "nothing_measured",
    );
    check(
        &run(&[], 0),
        "dropped<=0",
        Verdict::Inconclusive,
        "nothing_measured",
    );
    assert_eq!(judge(&run(&[], 0), &[]).verdict, Verdict::Inconclusive);
    // Requests, but none of those that the goal speaks of.
    check(
        &run(&[1; 100], 0),
        "p95<200ms for /b",
        Verdict::Inconclusive,
        "too_few_samples",
    );
    check(
        &run(&[1; 100], 0),
        "checks>=99%",
        Verdict::Inconclusive,
        "too_few_samples",
    );
}

#[test]
fn too_few_samples_prove_a_miss_but_never_a_pass() {
    check(
        &run(&[100; 40], 0),
        "p95<200ms",
        Verdict::Inconclusive,
        "too_few_samples",
    );
    check(
        &run(&[900; 40], 0),
        "p95<200ms",
        Verdict::Fail,
        "goals_missed",
    );
    check(
        &run(&[100; 999], 0),
        "p99<200ms",
        Verdict::Inconclusive,
        "too_few_samples",
    );
    check(
        &run(&[100; 1000], 0),
        "p99<200ms",
        Verdict::Pass,
        "goals_met",
    );
    check(
        &run(&[100; 10], 0),
        "mean<200ms",
        Verdict::Inconclusive,
        "too_few_samples",
    );
    check(
        &run(&[900; 10], 0),
        "mean<200ms",
        Verdict::Fail,
        "goals_missed",
    );
    check(
        &run(&[100; 10], 0),
        "error-rate<1%",
        Verdict::Inconclusive,
        "too_few_samples",
    );
    check(
        &run(&[100; 10], 10),
        "error-rate<1%",
        Verdict::Fail,
        "goals_missed",
    );
}

#[test]
fn a_saturated_generator_says_nothing_of_times() {
    let mut late = run(&[100; 1000], 0);
    for _ in 0..1000 {
        late.generator.lateness.record(160_000).unwrap();
    }
    check(
        &late,
        "p95<200ms",
        Verdict::Inconclusive,
        "generator_saturated",
    );
    check(
        &late,
        "p95<20ms",
        Verdict::Inconclusive,
        "generator_saturated",
    );
    // What the server said stays said.
    late.cells[0].stats.failures = 500;
    check(&late, "error-rate<1%", Verdict::Fail, "goals_missed");
    let mut ports = run(&[100; 1000], 400);
    ports.cells[0].stats.errors.insert(
        ErrorKind::Local,
        Errors {
            count: 400,
            first: None,
        },
    );
    check(
        &ports,
        "error-rate<1%",
        Verdict::Inconclusive,
        "generator_saturated",
    );
    let mut busy = run(&[100; 1000], 0);
    busy.generator.cpu_seconds = 9.9;
    check(&busy, "p95<200ms", Verdict::Pass, "goals_met");
    for _ in 0..1000 {
        busy.generator.lateness.record(20_000).unwrap();
    }
    check(
        &busy,
        "p95<200ms",
        Verdict::Inconclusive,
        "generator_saturated",
    );
}

#[test]
fn late_and_dropped_arrivals_break_their_rules() {
    let mut stalled = run(&[100; 1000], 0);
    stalled.generator.waited = 100;
    for _ in 0..100 {
        stalled.generator.wait.record(1_000_000).unwrap();
    }
    check(&stalled, "late<=1%", Verdict::Fail, "goals_missed");
    check(&stalled, "dropped<=0", Verdict::Pass, "goals_met");
    stalled.generator.dropped = 1;
    check(&stalled, "dropped<=0", Verdict::Fail, "goals_missed");
    let mut brief = run(&[100; 1000], 0);
    for _ in 0..100 {
        brief.generator.wait.record(20_000).unwrap();
    }
    check(&brief, "late<=1%", Verdict::Pass, "goals_met");
}

#[test]
fn how_a_run_ended_counts() {
    let with = |end: End, failures| RunResult {
        end,
        ..run(&[100; 1000], failures)
    };
    check(
        &with(End::Interrupted, 0),
        "mean<1s",
        Verdict::Inconclusive,
        "interrupted",
    );
    check(
        &with(End::Interrupted, 900),
        "error-rate<1%",
        Verdict::Fail,
        "interrupted",
    );
    check(
        &with(End::Deadline, 0),
        "mean<1s",
        Verdict::Inconclusive,
        "deadline",
    );
    check(
        &with(End::Deadline, 900),
        "error-rate<1%",
        Verdict::Fail,
        "goals_missed",
    );
    check(
        &with(End::Aborted("x".into()), 0),
        "mean<1s",
        Verdict::Fail,
        "goal_lost",
    );
    check(
        &with(End::Broken("x".into()), 0),
        "mean<1s",
        Verdict::Inconclusive,
        "engine_failed",
    );
}

#[test]
fn patience_ends_with_a_goal_that_stays_lost() {
    let interval = |millis: u64, requests: u64| {
        let mut response = interval_histogram();
        for _ in 0..requests {
            response.record(millis * 1000).unwrap();
        }
        Interval {
            start_seconds: 0.0,
            seconds: 1.0,
            requests,
            failures: 0,
            users: 1,
            response,
        }
    };
    let goals = [goal("p95<200ms"), goal("warn:p95<1ms")];
    let mut patience = Patience::new(&goals, Duration::from_secs(3));
    assert_eq!(patience.step(&interval(900, 10), 0), None);
    assert_eq!(patience.step(&interval(900, 10), 0), None);
    assert_eq!(patience.step(&interval(10, 10), 0), None, "found again");
    assert_eq!(patience.step(&interval(900, 10), 0), None);
    assert_eq!(patience.step(&interval(0, 0), 5), None);
    let said = patience.step(&interval(900, 10), 0).unwrap();
    assert_eq!(said, "`p95<200ms` was lost for 3s");
    let mut idle = Patience::new(&goals, Duration::from_secs(1));
    assert_eq!(
        idle.step(&interval(0, 0), 0),
        None,
        "nothing asked, nothing lost"
    );
}

#[test]
fn the_binomial_tail_is_exact() {
    // By hand: P(X >= 2) for n = 3, p = 1/2 is 4/8.
    assert!((at_least(2, 3, 0.5) - 0.5).abs() < 1e-12);
    assert!((at_least(1, 10, 0.1) - (1.0 - 0.9_f64.powi(10))).abs() < 1e-12);
    assert_eq!((at_least(0, 5, 0.3), at_least(3, 5, 0.0)), (1.0, 0.0));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn a_slower_answer_never_betters_a_verdict(
        times in prop::collection::vec(1_u64..2000, 1..400),
        which in 0_usize..400,
        more in 1_u64..5000,
        text in prop::sample::select(&["p50<500ms", "p95<500ms", "mean<=500ms", "max<1s", "p99<1s"][..]),
    ) {
        let before = judge(&run(&times, 0), &[goal(text)]).verdict;
        let mut slower = times;
        let at = which % slower.len();
        slower[at] += more;
        let after = judge(&run(&slower, 0), &[goal(text)]).verdict;
        // From no verdict to a miss, from a pass to a miss; never the other way.
        prop_assert!(after >= before, "{before} to {after}");
    }

    #[test]
    fn one_more_failure_never_betters_a_verdict(n in 1_u64..300, failures in 0_u64..300) {
        let failures = failures.min(n - 1);
        let times = vec![1; n as usize];
        let rate = [goal("error-rate<=1%")];
        let before = judge(&run(&times, failures), &rate).verdict;
        let after = judge(&run(&times, failures + 1), &rate).verdict;
        prop_assert!(after >= before);
    }
}
