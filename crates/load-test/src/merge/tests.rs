use super::*;
use std::time::Duration;

use gs_common::redact::Redactor;
use proptest::prelude::*;

use crate::result::{
    ErrorKind, Errors, Example, Model, Setup, Slow, Stage, Stats, interval_histogram, micros,
    micros_histogram,
};

/// One request of a made-up run.
#[derive(Clone, Debug)]
struct Request {
    endpoint: usize,
    persona: usize,
    stage: usize,
    second: usize,
    micros: u64,
    status: u16,
}

const ENDPOINTS: [&str; 3] = [
    "/api/v1/signals",
    "/api/v1/market-data/[symbol]",
    "POST /a b,c;d%",
];
const PERSONAS: [&str; 2] = ["regular", "power user"];

fn empty(shard: Option<(u32, u32)>) -> RunResult {
    RunResult {
        target: "http://127.0.0.1:8080".to_owned(),
        setup: Setup {
            personas_sha256: "ab".repeat(32),
            personas_from: "built-in".to_owned(),
            model: Model::Closed { users: 10 },
            stages: vec![
                Stage {
                    name: "ramp".to_owned(),
                    from: 0.0,
                    target: 10.0,
                    duration: Duration::from_secs(2),
                },
                Stage {
                    name: "hold".to_owned(),
                    from: 10.0,
                    target: 10.0,
                    duration: Duration::from_secs(3),
                },
            ],
            warm_up: Duration::ZERO,
            seed: 7,
            keep_alive: true,
            protocol: "http/1.1".to_owned(),
            compression: false,
            proxy: false,
            timeout: Duration::from_secs(10),
            shard,
        },
        started_at: "2026-11-26T10:00:00.5Z".parse().unwrap(),
        measured_seconds: 5.0,
        end: End::Complete,
        cells: Vec::new(),
        warm_up_requests: 0,
        intervals: (0..5)
            .map(|second| Interval {
                start_seconds: f64::from(second),
                seconds: 1.0,
                requests: 0,
                failures: 0,
                users: 0,
                response: interval_histogram(),
            })
            .collect(),
        slowest: Vec::new(),
        slow: BTreeMap::new(),
        generator: Generator::default(),
        websockets: Vec::new(),
        users_started: 0,
        users_most: 0,
    }
}

/// The result of a run that made these requests.
fn recorded(requests: &[Request], shard: Option<(u32, u32)>) -> RunResult {
    let mut result = empty(shard);
    for (number, request) in requests.iter().enumerate() {
        let failed = request.status >= 400;
        let mut stats = Stats {
            requests: 1,
            failures: u64::from(failed),
            body_bytes: 100,
            statuses: BTreeMap::from([(request.status, 1)]),
            ..Stats::default()
        };
        stats.response.record(request.micros).unwrap();
        stats.service.record(request.micros / 2 + 1).unwrap();
        if failed {
            stats.errors.insert(
                ErrorKind::Status,
                Errors {
                    count: 1,
                    first: None,
                },
            );
        }
        let cell = Cell {
            endpoint: ENDPOINTS[request.endpoint].to_owned(),
            persona: PERSONAS[request.persona].to_owned(),
            stage: request.stage,
            stats,
        };
        super::add_cell(&mut result.cells, cell);
        let interval = &mut result.intervals[request.second];
        interval.requests += 1;
        interval.failures += u64::from(failed);
        interval.response.record(request.micros).unwrap();
        result
            .generator
            .lateness
            .record(request.micros / 100 + 1)
            .unwrap();
        result.generator.connections_opened += 1;
        if request.micros > 1_000_000 {
            *result
                .slow
                .entry(ENDPOINTS[request.endpoint].to_owned())
                .or_default() += 1;
        }
        result.slowest.push(Slow {
            endpoint: ENDPOINTS[request.endpoint].to_owned(),
            persona: PERSONAS[request.persona].to_owned(),
            due_seconds: request.second as f64,
            response: Duration::from_micros(request.micros),
            service: (number % 2 == 0).then(|| Duration::from_micros(request.micros / 2)),
            outcome: request.status.to_string(),
            trace_id: format!("{:032x}", request.micros),
        });
        hlog::put_slowest_first(&mut result.slowest);
        result.slowest.truncate(SLOWEST);
    }
    result
}

fn bytes(result: &RunResult) -> Vec<u8> {
    let mut bytes = Vec::new();
    hlog::write(
        result,
        &["p95<200ms".to_owned()],
        &Redactor::new(),
        &mut bytes,
    )
    .unwrap();
    bytes
}

/// Written and read again, as shards are.
fn log(result: &RunResult) -> Log {
    hlog::read(&bytes(result)).unwrap()
}

fn requests(count: usize, seed: u64) -> Vec<Request> {
    let mut random = fastrand::Rng::with_seed(seed);
    (0..count)
        .map(|_| Request {
            endpoint: random.usize(..3),
            persona: random.usize(..2),
            stage: random.usize(..2),
            second: random.usize(..5),
            // Far apart, so that no two are equal and share a place among the slowest.
            micros: (random.f64() * 14.0).exp() as u64 + 1,
            status: if random.u8(..) < 20 { 500 } else { 200 },
        })
        .collect()
}

/// What a whole run would have as numbers of its own that the shards have in parts.
fn as_whole(mut whole: RunResult, shards: &[RunResult]) -> RunResult {
    whole.generator.threads = shards.iter().map(|shard| shard.generator.threads).sum();
    whole
}

#[test]
fn four_shards_merged_are_one_log_bit_for_bit() {
    let all = requests(240, 1);
    let shards: Vec<RunResult> = (0..4)
        .map(|index| {
            let part: Vec<Request> = all.iter().skip(index).step_by(4).cloned().collect();
            let mut shard = recorded(&part, Some((index as u32, 4)));
            // Who was slowest, and by which half, is told of the whole.
            shard
                .slowest
                .iter_mut()
                .for_each(|slow| slow.service = None);
            shard
        })
        .collect();
    let mut whole = as_whole(recorded(&all, None), &shards);
    whole
        .slowest
        .iter_mut()
        .for_each(|slow| slow.service = None);
    let mut logs: Vec<(String, Log)> = shards
        .iter()
        .map(|shard| ("shard".to_owned(), log(shard)))
        .collect();
    // In whatever order they are named.
    logs.swap(0, 3);
    logs.swap(1, 2);
    let merged = merge(logs).unwrap();
    assert_eq!(merged.warnings, Vec::<String>::new());
    let merged = merged.log.result;
    assert_eq!(
        String::from_utf8(bytes(&merged)).unwrap(),
        String::from_utf8(bytes(&whole)).unwrap()
    );
    // And so is every percentile.
    let (a, b) = (merged.total(), whole.total());
    for quantile in [0.5, 0.9, 0.95, 0.99, 0.999, 1.0] {
        assert_eq!(
            a.response.value_at_quantile(quantile),
            b.response.value_at_quantile(quantile)
        );
    }
}

#[test]
fn a_log_brings_back_all_that_was_recorded() {
    let mut result = recorded(&requests(120, 2), None);
    result.end = End::Aborted("p95 was lost for 10 s".to_owned());
    result.setup.model = Model::Open {
        rate: 33.300_000_000_000_004,
        arrivals: crate::result::Arrivals::Poisson,
        connections: 10,
    };
    result.generator.cpu_seconds = 1.234_567;
    result
        .generator
        .wait
        .record(micros(Duration::from_millis(3)))
        .unwrap();
    result.websockets.push(Channel {
        name: "/ws/signals".to_owned(),
        persona: "live".to_owned(),
        attempts: 3,
        opened: 2,
        connect: micros_histogram(),
        messages: 10,
        latency: micros_histogram(),
        gaps: 1,
        longest_gap: Duration::from_secs(4),
        drops: 1,
    });
    result.websockets[0].latency.record(800).unwrap();
    let stats = &mut result.cells[0].stats;
    stats.errors.insert(
        ErrorKind::Check,
        Errors {
            count: 0,
            first: Some(Example {
                message: "`$.id` is missing".to_owned(),
                request: "GET /x".to_owned(),
                status: Some(200),
                body: "{\"token\": \"tok-12345678\"}\n, ]".to_owned(),
                trace_id: "ff".repeat(16),
            }),
        },
    );
    let read = log(&result);
    assert_eq!(read.goals, ["p95<200ms"]);
    let mut expected = result.clone();
    hlog::put_in_order(&mut expected);
    assert_eq!(
        format!("{:?}", summary(&read.result)),
        format!("{:?}", summary(&expected))
    );
    assert_eq!(bytes(&read.result), bytes(&result));
    // What came from the target is redacted.
    let redactor = Redactor::new();
    redactor.add("token", "tok-12345678").unwrap();
    let mut clean = Vec::new();
    hlog::write(&result, &[], &redactor, &mut clean).unwrap();
    assert!(!String::from_utf8(clean).unwrap().contains("tok-12345678"));
}

#[test]
fn the_csv_has_locusts_columns_and_is_read_back() {
    let result = recorded(&requests(120, 9), None);
    let text = crate::export::csv(&result);
    let run = crate::import::run("file", text.as_bytes()).unwrap().run;
    let total = result.total();
    let read = &run.rows[crate::compare::model::TOTAL];
    assert_eq!(read.requests, total.requests);
    let p95 = total.response.value_at_quantile(0.95) as f64 / 1e3;
    assert!((read.metrics[&crate::compare::model::Metric::P95] - p95).abs() < 1e-9);
    assert_eq!(run.rows.len(), ENDPOINTS.len() + 1);
    let columns = text.lines().map(|line| line.split(',').count());
    assert_eq!(columns.clone().next(), Some(22));
    let empty = crate::export::csv(&empty(None));
    assert!(
        empty.ends_with(
            ",Aggregated,0,0,N/A,N/A,N/A,N/A,N/A,0,0,N/A,N/A,N/A,N/A,N/A,N/A,N/A,N/A,N/A,N/A,N/A\n"
        ),
        "{empty}"
    );
}

#[test]
fn benchmarks_have_a_name_a_unit_and_a_value_and_none_of_nothing() {
    let result = recorded(&requests(120, 9), None);
    let list = crate::export::benchmark_json(&result);
    let list = list.as_array().unwrap();
    assert_eq!(list.len(), 4 * (ENDPOINTS.len() + 1));
    for entry in list {
        assert!(
            entry["name"].is_string() && entry["unit"].is_string() && entry["value"].is_number()
        );
    }
    assert_eq!(
        crate::export::benchmark_json(&empty(None)),
        serde_json::json!([])
    );
}

#[test]
fn every_request_is_in_one_cell_of_the_heatmap_and_curves_rise() {
    let result = recorded(&requests(120, 9), None);
    let heatmap = crate::export::shape::heatmap(&result);
    let counts = heatmap["columns"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|column| column["counts"].as_array().unwrap());
    assert_eq!(
        counts.map(|count| count.as_u64().unwrap()).sum::<u64>(),
        120
    );
    assert_eq!(heatmap["edges_ms"].as_array().unwrap().len(), 16);
    for curve in crate::export::shape::curves(&result).as_array().unwrap() {
        let times: Vec<f64> = curve["response_ms"]
            .as_array()
            .unwrap()
            .iter()
            .map(|pair| pair[1].as_f64().unwrap())
            .collect();
        assert!(times.len() > 3 && times.is_sorted(), "{curve}");
    }
    assert_eq!(
        crate::export::shape::curves(&empty(None)),
        serde_json::json!([])
    );
}

/// All but histograms, which the bytes compare.
fn summary(result: &RunResult) -> impl std::fmt::Debug {
    (
        result.setup.clone(),
        result.started_at,
        result.end.clone(),
        result
            .cells
            .iter()
            .map(|cell| (cell.endpoint.clone(), cell.stats.errors.clone()))
            .collect::<Vec<_>>(),
        result.slowest.clone(),
        result.generator.cpu_seconds,
        result
            .websockets
            .iter()
            .map(|channel| (channel.name.clone(), channel.latency.len()))
            .collect::<Vec<_>>(),
    )
}

#[test]
fn a_log_that_was_cut_anywhere_is_refused() {
    let whole = bytes(&recorded(&requests(30, 3), None));
    assert!(hlog::read(&whole).is_ok());
    // The last line end may be lost: everything is there without it.
    for end in 0..whole.len() - 1 {
        assert!(
            hlog::read(&whole[..end]).is_err(),
            "cut at byte {end} of {}",
            whole.len()
        );
    }
}

#[test]
fn lines_that_are_lost_doubled_or_changed_are_refused() {
    let text = String::from_utf8(bytes(&recorded(&requests(30, 3), None))).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let fails = |lines: &[&str]| hlog::read(lines.join("\n").as_bytes()).unwrap_err().message;
    let tagged = lines
        .iter()
        .position(|line| line.starts_with("Tag="))
        .unwrap();
    let mut lost = lines.clone();
    lost.remove(tagged);
    assert!(fails(&lost).contains("says that there are"));
    let mut doubled = lines.clone();
    doubled.insert(tagged, lines[tagged]);
    assert!(fails(&doubled).contains("came before"));
    let other = lines[tagged].replacen("Tag=", "Tag=x", 1);
    let mut strange = lines.clone();
    strange[tagged] = &other;
    assert!(fails(&strange).contains("not one that the head names"));
    let swapped = format!(
        "{}{}",
        lines[tagged].rsplit_once(',').unwrap().0,
        ",HISTFAAAAAB"
    );
    let mut broken = lines.clone();
    broken[tagged] = &swapped;
    assert!(fails(&broken).contains(&format!("line {}", tagged + 1)));
    let mut more = lines.clone();
    more.push(lines[tagged]);
    assert!(fails(&more).contains("it has no end"));
    more.push(lines[lines.len() - 1]);
    assert!(fails(&more).contains("follows the end"));
    assert!(
        fails(&["#[StartTime: 1 ]", "Tag=a,0,1,1,x"]).contains("not an interval log of load-test")
    );
}

#[test]
fn what_does_not_belong_together_is_refused() {
    let shard = |index: u32, count: u32| log(&recorded(&requests(40, 5), Some((index, count))));
    let named = |logs: Vec<Log>| -> Vec<(String, Log)> {
        logs.into_iter()
            .enumerate()
            .map(|(n, log)| (format!("{n}.hlog"), log))
            .collect()
    };
    let refused = |logs: Vec<Log>| merge(named(logs)).unwrap_err();
    assert_eq!(
        refused(vec![shard(0, 4), shard(2, 4)]),
        Refusal::Missing("of 4 shards, 2 are missing: 1, 3".to_owned())
    );
    assert!(matches!(merge(Vec::new()), Err(Refusal::Missing(_))));
    let twice = refused(vec![shard(0, 2), shard(0, 2)]);
    assert!(
        twice.to_string().contains("are both shard 0 of 2"),
        "{twice}"
    );
    let whole = log(&recorded(&requests(40, 5), None));
    assert!(
        refused(vec![whole.clone(), whole.clone()])
            .to_string()
            .contains("whole runs")
    );
    assert!(
        refused(vec![whole, shard(0, 2)])
            .to_string()
            .contains("numbers of shards")
    );
    type Change = fn(&mut Log);
    let changes: [(&str, Change); 8] = [
        ("persona files", |log| {
            log.result.setup.personas_sha256 = "cd".repeat(32)
        }),
        ("load models", |log| {
            log.result.setup.model = Model::Closed { users: 11 }
        }),
        ("stages", |log| {
            log.result.setup.stages[0].duration = Duration::from_secs(9)
        }),
        ("seeds", |log| log.result.setup.seed = 8),
        ("targets", |log| {
            log.result.target = "http://other".to_owned()
        }),
        ("goals", |log| log.goals = vec!["p99<1s".to_owned()]),
        ("written by", |log| log.version = "0.0.1".to_owned()),
        ("after", |log| {
            log.result.started_at = "2026-11-26T11:00:00Z".parse().unwrap()
        }),
    ];
    for (said, change) in changes {
        let mut other = shard(1, 2);
        change(&mut other);
        let error = refused(vec![shard(0, 2), other]);
        assert!(
            matches!(error, Refusal::NotTogether(_)) && error.to_string().contains(said),
            "{error}"
        );
    }
}

#[test]
fn clocks_that_disagree_are_told() {
    let shard = |index: u32| log(&recorded(&requests(40, 5), Some((index, 2))));
    let mut late = shard(1);
    late.result.started_at = "2026-11-26T10:00:03Z".parse().unwrap();
    let merged = merge(vec![("a".to_owned(), shard(0)), ("b".to_owned(), late)]).unwrap();
    assert!((merged.skew_seconds - 2.5).abs() < 1e-6);
    assert!(merged.warnings[0].contains("2.5 s apart"));
}

#[test]
fn the_worst_end_of_a_shard_is_the_end_of_all() {
    let mut bad = recorded(&requests(40, 5), Some((1, 2)));
    bad.end = End::Broken("no descriptor is left".to_owned());
    let good = recorded(&requests(40, 6), Some((0, 2)));
    let merged = merge(vec![
        ("a".to_owned(), log(&good)),
        ("b".to_owned(), log(&bad)),
    ])
    .unwrap();
    assert_eq!(
        merged.log.result.end,
        End::Broken("shard 1 of 2: no descriptor is left".to_owned())
    );
}

/// A pod that is deleted in mid-run writes what it has. Whoever merges did not press Ctrl-C: it is no verdict of
/// theirs, and the shard is named.
#[test]
fn a_shard_that_was_interrupted_is_a_part_that_is_missing() {
    let mut bad = recorded(&requests(40, 5), Some((1, 2)));
    bad.end = End::Interrupted;
    let good = recorded(&requests(40, 6), Some((0, 2)));
    let merged = merge(vec![
        ("a".to_owned(), log(&good)),
        ("b".to_owned(), log(&bad)),
    ])
    .unwrap();
    assert_eq!(
        merged.log.result.end,
        End::Broken("shard 1 of 2 was interrupted".to_owned())
    );
    // A whole run that was interrupted stays one.
    let mut whole = recorded(&requests(40, 5), None);
    whole.end = End::Interrupted;
    let merged = merge(vec![("a".to_owned(), log(&whole))]).unwrap();
    assert_eq!(merged.log.result.end, End::Interrupted);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn merging_equals_recording_together(count in 0_usize..60, seed in any::<u64>(), shards in 1_u32..5) {
        let all = requests(count, seed);
        let parts: Vec<RunResult> = (0..shards)
            .map(|index| {
                let part: Vec<Request> =
                    all.iter().skip(index as usize).step_by(shards as usize).cloned().collect();
                recorded(&part, Some((index, shards)))
            })
            .collect();
        let whole = recorded(&all, None).total();
        let logs = parts.iter().map(|part| (String::new(), log(part))).collect();
        let merged = merge(logs).unwrap().log.result.total();
        prop_assert_eq!(merged.requests, whole.requests);
        prop_assert_eq!(merged.failures, whole.failures);
        prop_assert_eq!(merged.response, whole.response);
        prop_assert_eq!(merged.service, whole.service);
        prop_assert_eq!(merged.statuses, whole.statuses);
    }

    #[test]
    fn no_bytes_make_the_reader_panic(noise in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)) {
        let mut text = bytes(&recorded(&requests(10, 3), None));
        for (place, byte) in noise {
            let place = place.index(text.len());
            text[place] = byte;
        }
        let _ = hlog::read(&text);
    }
}
