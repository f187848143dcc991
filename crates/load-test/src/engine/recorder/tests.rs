use super::*;
use proptest::prelude::*;

fn recorder(began: Instant, warm_up: Duration) -> Recorder {
    Recorder::new(Frame {
        began,
        warm_up,
        stages: vec![Stage {
            name: "hold".to_owned(),
            from: 1.0,
            target: 1.0,
            duration: Duration::from_secs(10),
        }],
        personas: vec!["a".to_owned()],
        endpoints: vec!["/".to_owned()],
        slow_limit: Duration::from_secs(1),
    })
}

fn open(due: Instant) -> Open {
    Open {
        persona: 0,
        endpoint: 0,
        due,
        trace: 7,
    }
}

fn good(sent: Instant, ended: Instant) -> Done {
    Done {
        sent: Some(sent),
        ended,
        first_byte: None,
        connect: None,
        status: Some(200),
        body_bytes: 1,
        checks: Some(true),
        error: None,
    }
}

fn interval() -> Interval {
    Interval {
        start_seconds: 0.0,
        seconds: 1.0,
        requests: 0,
        failures: 0,
        users: 1,
        response: interval_histogram(),
    }
}

#[test]
fn response_counts_from_the_due_time_and_service_from_the_send() {
    let began = Instant::now();
    let mut recorder = recorder(began, Duration::ZERO);
    let key = recorder.begin(open(began));
    let sent = began + Duration::from_millis(900);
    recorder.end(key, good(sent, sent + Duration::from_millis(100)));
    let merged = Recorder::merge(vec![recorder]);
    let stats = &merged.cells[&(0, 0, 0)].stats;
    assert_eq!(stats.response.max() / 10_000, 100);
    assert_eq!(stats.service.max() / 10_000, 10);
    assert!(merged.slow.is_empty(), "1.0 s is not over the limit");
}

#[test]
fn what_is_open_at_the_end_is_counted_and_stays_counted_once() {
    let began = Instant::now();
    let mut recorder = recorder(began, Duration::ZERO);
    let key = recorder.begin(open(began));
    recorder.cut(began + Duration::from_secs(5));
    recorder.end(key, good(began, began));
    recorder.drop_waiting(&open(began), began + Duration::from_secs(5));
    assert_eq!(
        (recorder.open(), recorder.unfinished, recorder.dropped),
        (0, 1, 1)
    );
    let merged = Recorder::merge(vec![recorder]);
    let stats = &merged.cells[&(0, 0, 0)].stats;
    assert_eq!(
        (stats.requests, stats.failures, stats.service.len()),
        (2, 2, 0)
    );
    assert!(stats.response.max() >= 4_990_000);
    assert_eq!(merged.slow["/"], 2);
}

#[test]
fn an_interval_is_the_sum_of_its_endpoints_and_is_taken_once() {
    let began = Instant::now();
    let mut recorder = recorder(began, Duration::ZERO);
    let mut endpoints = vec![Live::new("/")];
    for round in 1..=2 {
        let key = recorder.begin(open(began));
        recorder.end(key, good(began, began + Duration::from_millis(5)));
        recorder.drop_waiting(&open(began), began + Duration::from_millis(9));
        let mut interval = interval();
        endpoints[0].recent = 0;
        recorder.take_interval(&mut interval, &mut endpoints);
        assert_eq!((interval.requests, interval.failures), (2, 1));
        assert_eq!(interval.response.len(), 2);
        let live = &endpoints[0];
        assert_eq!(
            (
                live.recent,
                live.requests,
                live.failures,
                live.response.len()
            ),
            (2, 2 * round, round, 2 * round)
        );
    }
}

proptest! {
    /// The time line, the live table and an early end read the interval; the verdict reads the
    /// cell. They speak of the same requests, to the 1% of an interval's histogram.
    #[test]
    fn an_interval_tells_the_same_times_as_the_cells(
        times in prop::collection::vec((0_u32..33).prop_flat_map(|bits| 0..(1_u64 << bits)), 1..40),
    ) {
        let began = Instant::now();
        let mut recorder = recorder(began, Duration::ZERO);
        for time in &times {
            let key = recorder.begin(open(began));
            recorder.end(key, good(began, began + Duration::from_micros(*time)));
        }
        let mut interval = interval();
        let mut endpoints = vec![Live::new("/")];
        recorder.take_interval(&mut interval, &mut endpoints);
        let merged = Recorder::merge(vec![recorder]);
        let whole = &merged.cells[&(0, 0, 0)].stats.response;
        let near = |a: f64, b: f64| (a - b).abs() <= 1.0 + 0.011 * a.max(b);
        for seen in [&interval.response, &endpoints[0].response] {
            prop_assert_eq!(seen.len(), times.len() as u64);
            prop_assert!(near(seen.mean(), whole.mean()), "{} {}", seen.mean(), whole.mean());
            for q in [0.0, 0.5, 0.95, 0.99, 1.0] {
                let (a, b) = (seen.value_at_quantile(q), whole.value_at_quantile(q));
                prop_assert!(near(a as f64, b as f64), "quantile {q}: {a} {b}");
            }
        }
    }
}

#[test]
fn the_warm_up_is_left_out_and_counted() {
    let began = Instant::now();
    let mut recorder = recorder(began, Duration::from_secs(1));
    let key = recorder.begin(open(began));
    recorder.end(key, good(began, began));
    assert_eq!(recorder.warm_up_requests, 1);
    assert!(Recorder::merge(vec![recorder]).cells.is_empty());
}

#[test]
fn the_slowest_twenty_are_kept_in_order() {
    let began = Instant::now();
    let mut recorder = recorder(began, Duration::ZERO);
    for millis in (0..100).rev().chain(100..150) {
        let key = recorder.begin(open(began));
        recorder.end(key, good(began, began + Duration::from_millis(millis)));
    }
    let slowest = Recorder::merge(vec![recorder]).slowest;
    let millis: Vec<u128> = slowest
        .iter()
        .map(|slow| slow.response.as_millis())
        .collect();
    assert_eq!(millis, (130..150).rev().collect::<Vec<u128>>());
}
