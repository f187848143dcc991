use proptest::prelude::*;

use super::*;

const EDGES: [f64; 2] = [0.5, 1.0];

fn labels(pairs: &[(&str, &str)]) -> Labels {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    pairs.iter().map(owned).collect()
}

fn names() -> Names {
    Names {
        requests: "r_total".to_owned(),
        duration: "d".to_owned(),
    }
}

/// Routes with their counts by status, and one histogram.
fn reading(requests: &[(&str, &str, f64)], buckets: &[(&str, f64)]) -> Reading {
    Reading {
        requests: requests
            .iter()
            .map(|(route, status, value)| {
                (labels(&[("endpoint", route), ("status", status)]), *value)
            })
            .collect(),
        buckets: buckets
            .iter()
            .map(|(edge, value)| (labels(&[("le", edge)]), *value))
            .collect(),
        ..Reading::default()
    }
}

fn full(ok: f64, failed: f64) -> Reading {
    let all = ok + failed;
    reading(
        &[("/{a}", "200", ok), ("/{a}", "503", failed)],
        &[("0.5", ok), ("1.0", all), ("+Inf", all)],
    )
}

struct Watched(Track, Vec<String>);

impl Watched {
    fn new() -> Self {
        Self(Track::default(), Vec::new())
    }

    fn take(&mut self, reading: &Reading) -> Sums {
        let Self(track, notes) = self;
        track.take(reading, &names(), &MetricConfig::default(), &EDGES, notes)
    }

    #[track_caller]
    fn said(&self, what: &str) {
        assert!(
            self.1.iter().any(|note| note.contains(what)),
            "{:?}",
            self.1
        );
    }
}

fn sums(requests: u64, errors: u64) -> Sums {
    Sums {
        requests: Some(requests),
        errors: Some(errors),
        timed: Some(requests),
        le: Some(vec![requests - errors, requests]),
    }
}

#[test]
fn series_are_summed_and_client_errors_are_none() {
    let mut pod = Watched::new();
    assert_eq!(pod.take(&full(97.0, 3.0)), sums(100, 3));
    let grouped = reading(
        &[
            ("/", "2xx", 5.0),
            ("/", "4xx", 2.0),
            ("/", "5xx", 1.0),
            ("/", "404", 1.0),
        ],
        &[],
    );
    let read = Watched::new().take(&grouped);
    assert_eq!(
        (read.requests, read.errors, read.le),
        (Some(9), Some(1), None)
    );
    assert_eq!(pod.1, Vec::<String>::new());
}

#[test]
fn no_errors_yet_is_no_errors_and_no_counter_is_not_known() {
    let read = Watched::new().take(&reading(&[("/", "200", 5.0)], &[]));
    assert_eq!((read.requests, read.errors), (Some(5), Some(0)));
    let read = Watched::new().take(&reading(&[], &[]));
    assert_eq!(read, Sums::default());
    let read = Watched::new().take(&reading(&[], &[("0.5", 7.0), ("1", 8.0), ("+Inf", 8.0)]));
    assert_eq!((read.requests, read.timed), (None, Some(8)));
    // Nothing was timed, so nothing was counted.
    let read = Watched::new().take(&reading(&[], &[("0.5", 0.0), ("1", 0.0), ("+Inf", 0.0)]));
    assert_eq!(read, sums(0, 0));
    let declared = Reading {
        requests_declared: true,
        buckets_declared: true,
        ..Reading::default()
    };
    assert_eq!(Watched::new().take(&declared), sums(0, 0));
}

#[track_caller]
fn unknown(value: f64, said: &str) {
    let mut pod = Watched::new();
    let read = pod.take(&reading(&[("/", "200", value)], &[]));
    assert_eq!((read.requests, read.errors), (None, None));
    pod.said(said);
}

#[test]
fn what_counts_nothing_is_not_known() {
    unknown(f64::NAN, "NaN");
    unknown(f64::INFINITY, "infinite");
    unknown(-1.0, "negative");
    unknown(1.5, "no whole number");
    unknown(1e17, "too large");
    let mut pod = Watched::new();
    let read = pod.take(&reading(&[("/", "ok", 3.0)], &[]));
    assert_eq!((read.requests, read.errors), (Some(3), None));
    pod.said("`ok` is no status");
    let twice = [("/", "200", 3.0), ("/", "200", 3.0)];
    assert_eq!(Watched::new().take(&reading(&twice, &[])).requests, None);
}

#[track_caller]
fn broken(buckets: &[(&str, f64)], said: &str) {
    let mut pod = Watched::new();
    let read = pod.take(&reading(&[("/", "200", 9.0)], buckets));
    assert_eq!((read.requests, read.timed, read.le), (Some(9), None, None));
    pod.said(said);
}

#[test]
fn a_histogram_that_breaks_its_laws_is_not_known() {
    broken(&[("0.5", 5.0), ("1.0", 4.0), ("+Inf", 9.0)], "fall");
    broken(&[("0.5", 5.0), ("1.0", 9.0)], "no +Inf");
    broken(
        &[("0.5", 5.0), ("1", 8.0), ("1.0", 8.0), ("+Inf", 9.0)],
        "twice",
    );
    broken(&[("0.5", f64::NAN), ("1.0", 8.0), ("+Inf", 9.0)], "NaN");
    broken(&[("x", 5.0), ("+Inf", 9.0)], "no edge");
    broken(
        &[("0.25", 5.0), ("1.0", 8.0), ("+Inf", 9.0)],
        "no bucket that ends at 0.5 s",
    );
    let mut counted = full(9.0, 0.0);
    counted.counts = vec![(Labels::new(), 8.0)];
    let mut pod = Watched::new();
    assert_eq!(pod.take(&counted).le, None);
    pod.said("_count");
}

#[test]
fn a_series_that_is_away_while_its_process_lives_does_not_fall_the_sum() {
    let mut pod = Watched::new();
    let routes = |small: Option<f64>, large: f64| {
        let mut all = vec![("/large", "200", large)];
        all.extend(small.map(|small| ("/small", "200", small)));
        reading(&all, &[])
    };
    assert_eq!(pod.take(&routes(Some(5.0), 100.0)).requests, Some(105));
    assert_eq!(pod.take(&routes(None, 110.0)).requests, Some(115), "held");
    assert_eq!(pod.take(&routes(Some(7.0), 120.0)).requests, Some(127));
    // The large one is too much to be passed over.
    assert_eq!(
        pod.take(&reading(&[("/small", "200", 8.0)], &[])).requests,
        None
    );
    pod.said("away while its process lives");
    assert_eq!(pod.take(&routes(Some(9.0), 140.0)).requests, Some(149));
}

#[test]
fn errors_that_are_away_lose_the_look() {
    let mut pod = Watched::new();
    pod.take(&full(1000.0, 1.0));
    let read = pod.take(&reading(&[("/{a}", "200", 1100.0)], &[]));
    assert_eq!((read.requests, read.errors), (None, None));
    pod.said("errors are away");
    let back = pod.take(&full(1200.0, 2.0));
    assert_eq!((back.requests, back.errors), (Some(1202), Some(2)));
}

#[test]
fn renamed_counters_are_not_known_any_more() {
    let mut pod = Watched::new();
    pod.take(&full(100.0, 1.0));
    assert_eq!(pod.take(&reading(&[], &[])), Sums::default());
}

#[test]
fn a_new_process_counts_from_zero() {
    let started = |at: f64, ok: f64| Reading {
        started: Some(at),
        ..full(ok, 0.0)
    };
    let mut pod = Watched::new();
    assert_eq!(pod.take(&started(10.0, 1000.0)).requests, Some(1000));
    assert_eq!(pod.take(&started(70.0, 40.0)).requests, Some(40));
    // The same without a start: all counters fall.
    let mut pod = Watched::new();
    pod.take(&full(1000.0, 3.0));
    assert_eq!(pod.take(&full(40.0, 0.0)).requests, Some(40));
    pod.said("began anew");
}

#[test]
fn a_counter_that_falls_alone_counts_on() {
    let routes =
        |small: f64, large: f64| reading(&[("/s", "200", small), ("/l", "200", large)], &[]);
    let mut pod = Watched::new();
    assert_eq!(pod.take(&routes(50.0, 1000.0)).requests, Some(1050));
    assert_eq!(pod.take(&routes(10.0, 1010.0)).requests, Some(1070));
    pod.said("fell alone");
    assert_eq!(pod.take(&routes(12.0, 1010.0)).requests, Some(1072));
}

#[test]
fn several_processes_behind_one_name_are_not_known() {
    let started = |at: f64| Reading {
        started: Some(at),
        ..full(100.0, 0.0)
    };
    let mut pod = Watched::new();
    pod.take(&started(10.0));
    pod.take(&started(40.0));
    assert_eq!(pod.take(&started(10.0)), Sums::default());
    pod.said("several processes");
    assert_eq!(
        pod.take(&started(40.0)),
        Sums::default(),
        "and stay unknown"
    );
}

#[test]
fn a_thing_is_said_once_until_it_was_right_again() {
    let mut pod = Watched::new();
    let bad = reading(&[("/", "200", f64::NAN)], &[]);
    pod.take(&bad);
    pod.take(&bad);
    assert_eq!(pod.1.len(), 1);
    pod.take(&full(1.0, 0.0));
    pod.take(&bad);
    assert_eq!(pod.1.len(), 2);
}

#[test]
fn edges_are_those_that_all_routes_have() {
    let mut all = full(5.0, 0.0);
    all.buckets.extend([
        (labels(&[("le", "0.5"), ("e", "x")]), 1.0),
        (labels(&[("le", "2.5"), ("e", "x")]), 1.0),
        (labels(&[("le", "+Inf"), ("e", "x")]), 1.0),
    ]);
    assert_eq!(edges(&all), Ok(Some(vec![0.5])));
    assert_eq!(edges(&Reading::default()), Ok(None));
}

proptest! {
    /// However series come and go within a process, sums never fall.
    #[test]
    fn sums_of_a_process_never_fall(steps in prop::collection::vec((0_u32..50, 0_u32..50, any::<bool>(), any::<bool>()), 1..30)) {
        let (mut a, mut b) = (1000.0, 1.0);
        let mut pod = Watched::new();
        let mut last = 0;
        for (more_a, more_b, show_a, show_b) in steps {
            a += f64::from(more_a);
            b += f64::from(more_b);
            let mut all = Vec::new();
            if show_a { all.push(("/a", "200", a)); }
            if show_b { all.push(("/b", "200", b)); }
            let mut reading = reading(&all, &[]);
            reading.started = Some(5.0);
            if let Some(requests) = pod.take(&reading).requests {
                prop_assert!(requests >= last);
                last = requests;
            }
        }
    }

    #[test]
    fn no_values_make_it_panic(values in prop::collection::vec(any::<f64>(), 0..12), start in any::<f64>()) {
        let mut pod = Watched::new();
        for pair in values.chunks(2) {
            let buckets = [("0.5", pair[0]), ("1", pair[0]), ("+Inf", *pair.last().unwrap())];
            let mut one = reading(&[("/", "200", pair[0])], &buckets);
            one.started = Some(start);
            pod.take(&one);
        }
    }
}
