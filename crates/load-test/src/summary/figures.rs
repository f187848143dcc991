//! The figures of a report: its series and its details.

use gs_common::report::{Series, millis};
use hdrhistogram::Histogram;
use serde_json::{Map, Value, json};

use crate::export::shape;
use crate::judge::Judgement;
use crate::result::{Arrivals, Cell, ErrorKind, Model, RunResult, Setup, Stats};

/// As much of a bad body as the report shows.
const SHOWN_BODY: usize = 400;

/// What a line of a chart shows of an interval.
type OfInterval<'a> = dyn Fn(&crate::result::Interval) -> Option<f64> + 'a;

pub(super) fn series(run: &RunResult) -> Vec<Series> {
    let points = |value: &OfInterval<'_>| {
        run.intervals
            .iter()
            .map(|interval| {
                let at = interval.start_seconds + interval.seconds / 2.0;
                let round = |value: f64| (value * 1e3).round() / 1e3;
                (round(at), value(interval).map(round))
            })
            .collect::<Vec<_>>()
    };
    let quantile = |q: f64| {
        move |interval: &crate::result::Interval| {
            (!interval.response.is_empty())
                .then(|| interval.response.value_at_quantile(q) as f64 / 1e3)
        }
    };
    let per_second = |count: u64, interval: &crate::result::Interval| {
        (interval.seconds > 0.0).then(|| count as f64 / interval.seconds)
    };
    let users = match run.setup.model {
        Model::Closed { .. } => "users",
        Model::Open { .. } => "open requests",
    };
    let all: [(&str, &str, &OfInterval<'_>); 6] = [
        ("requests: ended", "1/s", &|interval| {
            per_second(interval.requests, interval)
        }),
        ("requests: failed", "1/s", &|interval| {
            per_second(interval.failures, interval)
        }),
        ("response: p50", "ms", &quantile(0.5)),
        ("response: p95", "ms", &quantile(0.95)),
        ("response: p99", "ms", &quantile(0.99)),
        (users, "", &|interval| Some(interval.users as f64)),
    ];
    all.into_iter()
        .map(|(name, unit, value)| Series {
            name: name.to_owned(),
            unit: unit.to_owned(),
            points: points(value),
        })
        .collect()
}

/// A histogram as the contract has it, in milliseconds; null without a sample.
#[must_use]
pub fn times(histogram: &Histogram<u64>) -> Value {
    if histogram.is_empty() {
        return Value::Null;
    }
    let ms = |micros: f64| micros.round() / 1e3;
    let at = |q: f64| ms(histogram.value_at_quantile(q) as f64);
    json!({
        "mean": ms(histogram.mean()),
        "p50": at(0.5), "p90": at(0.9), "p95": at(0.95), "p99": at(0.99), "p99_9": at(0.999),
        "max": ms(histogram.max() as f64),
        "count": histogram.len(),
    })
}

/// Counts and times of one name, as the contract has them.
#[must_use]
pub fn row(name: &str, stats: &Stats, seconds: f64) -> Value {
    let rate = (seconds > 0.0).then(|| (stats.requests as f64 / seconds * 1e3).round() / 1e3);
    json!({
        "name": name,
        "requests": stats.requests,
        "failures": stats.failures,
        "requests_per_second": rate,
        "response_ms": times(&stats.response),
        "service_ms": times(&stats.service),
        "first_byte_ms": times(&stats.first_byte),
        "connect_ms": times(&stats.connect),
        "checks": {"made": stats.checks_made, "passed": stats.checks_passed},
        "body_bytes": stats.body_bytes,
        "statuses": stats.statuses.iter().map(|(status, count)| (status.to_string(), json!(count))).collect::<Map<_, _>>(),
        "errors": stats.errors.iter().map(|(kind, errors)| (kind.code().to_owned(), json!(errors.count))).collect::<Map<_, _>>(),
    })
}

pub(super) fn details(run: &RunResult, judgement: &Judgement, total: &Stats) -> Map<String, Value> {
    let seconds = run.measured_seconds;
    let setup = &run.setup;
    let mut details = Map::new();
    let mut put = |name: &str, value: Value| details.insert(name.to_owned(), value);
    // What has to be the same in another run before the two may be compared.
    let version = env!("CARGO_PKG_VERSION");
    let identity = crate::import::report::identity(&run.target, setup, version);
    put("identity", json!(identity));
    put("total", row("total", total, seconds));
    put(
        "endpoints",
        run.endpoints()
            .into_iter()
            .map(|name| row(name, &run.sum(|cell| cell.endpoint == name), seconds))
            .collect(),
    );
    put(
        "personas",
        run.personas()
            .into_iter()
            .map(|name| row(name, &run.sum(|cell| cell.persona == name), seconds))
            .collect(),
    );
    put(
        "stages",
        setup
            .stages
            .iter()
            .enumerate()
            .map(|(index, stage)| {
                let mut row = row(
                    &stage.name,
                    &run.sum(|cell| cell.stage == index),
                    stage.duration.as_secs_f64(),
                );
                row["from"] = json!(stage.from);
                row["target"] = json!(stage.target);
                row["duration_seconds"] = json!(stage.duration.as_secs_f64());
                row
            })
            .collect(),
    );
    put("curves", shape::curves(run));
    put("heatmap", shape::heatmap(run));
    put("generator", generator(run, judgement));
    put("model", model(&setup.model));
    put("setup", setup_value(setup));
    put("measured_seconds", json!((seconds * 1e3).round() / 1e3));
    put(
        "users",
        json!({"started": run.users_started, "most": run.users_most}),
    );
    put("warm_up_requests", json!(run.warm_up_requests));
    put(
        "slow",
        run.slow
            .iter()
            .map(|(name, count)| json!({"name": name, "requests": count}))
            .collect(),
    );
    put(
        "slowest",
        run.slowest
            .iter()
            .map(|slow| {
                json!({
                    "name": slow.endpoint, "persona": slow.persona,
                    "due_seconds": (slow.due_seconds * 1e3).round() / 1e3,
                    "response_ms": millis(slow.response), "service_ms": slow.service.map(millis),
                    "outcome": slow.outcome, "trace_id": slow.trace_id,
                })
            })
            .collect(),
    );
    put(
        "errors",
        error_rows(run, |_| true)
            .into_iter()
            .map(|row| {
                json!({
                    "kind": row.kind.code(), "name": row.endpoint, "count": row.count,
                    "first": {
                        "message": row.message, "request": row.request, "status": row.status,
                        "body": row.body, "trace_id": row.trace_id,
                    },
                })
            })
            .collect(),
    );
    put(
        "websockets",
        run.websockets
            .iter()
            .map(|channel| {
                json!({
                    "name": channel.name, "persona": channel.persona,
                    "attempts": channel.attempts, "opened": channel.opened,
                    "connect_ms": times(&channel.connect), "messages": channel.messages,
                    "latency_ms": times(&channel.latency), "gaps": channel.gaps,
                    "longest_gap_ms": millis(channel.longest_gap), "drops": channel.drops,
                })
            })
            .collect(),
    );
    details
}

fn generator(run: &RunResult, judgement: &Judgement) -> Value {
    let generator = &run.generator;
    let ms = |value: u64| value as f64 / 1e3;
    let ends = |histogram: &Histogram<u64>| {
        if histogram.is_empty() {
            return json!({"p99": null, "max": null, "count": 0});
        }
        json!({
            "p99": ms(histogram.value_at_quantile(0.99)), "max": ms(histogram.max()),
            "count": histogram.len(),
        })
    };
    let share = (run.measured_seconds > 0.0).then(|| {
        let share = generator.cpu_seconds / run.measured_seconds / generator.threads.max(1) as f64;
        (share * 1e3).round() / 1e3
    });
    json!({
        "cpu_seconds": (generator.cpu_seconds * 1e3).round() / 1e3,
        "cpu_share": share,
        "threads": generator.threads,
        "lateness_ms": ends(&generator.lateness),
        "dropped": generator.dropped,
        "unfinished": generator.unfinished,
        "waited": generator.waited,
        "wait_ms": ends(&generator.wait),
        "connections_opened": generator.connections_opened,
        "connections_most": generator.connections_most,
        "retried": generator.retried,
        "held_back": generator.held_back,
        "descriptor_limit": generator.descriptor_limit,
        "saturated": judgement.saturated,
    })
}

pub(super) fn model(model: &Model) -> Value {
    match model {
        Model::Closed { users } => json!({"kind": "closed", "users": users}),
        Model::Open {
            rate,
            arrivals,
            connections,
        } => json!({
            "kind": "open", "rate": rate, "connections": connections,
            "arrivals": match arrivals { Arrivals::Even => "even", Arrivals::Poisson => "poisson" },
        }),
    }
}

fn setup_value(setup: &Setup) -> Value {
    json!({
        "personas": setup.personas_from, "personas_sha256": setup.personas_sha256,
        "seed": setup.seed, "keep_alive": setup.keep_alive, "protocol": setup.protocol, "compression": setup.compression, "proxy": setup.proxy,
        "timeout_seconds": setup.timeout.as_secs_f64(),
        "warm_up_seconds": setup.warm_up.as_secs_f64(),
        "shard": setup.shard.map(|(index, of)| json!({"index": index, "of": of})),
    })
}

/// Errors of one kind at one endpoint.
pub(super) struct ErrorRow {
    pub(super) kind: ErrorKind,
    pub(super) endpoint: String,
    pub(super) count: u64,
    pub(super) message: String,
    pub(super) request: String,
    pub(super) status: Option<u16>,
    pub(super) body: String,
    pub(super) trace_id: String,
}

/// Errors by kind and endpoint, the most first.
pub(super) fn error_rows(run: &RunResult, wanted: impl Fn(&Cell) -> bool) -> Vec<ErrorRow> {
    let mut rows: Vec<ErrorRow> = Vec::new();
    for cell in run.cells.iter().filter(|cell| wanted(cell)) {
        for (kind, errors) in &cell.stats.errors {
            let known = rows
                .iter_mut()
                .find(|row| row.kind == *kind && row.endpoint == cell.endpoint);
            if let Some(row) = known {
                row.count += errors.count;
                continue;
            }
            let first = errors.first.clone();
            let part = |of: fn(&crate::result::Example) -> String| {
                first.as_ref().map_or_else(String::new, of)
            };
            rows.push(ErrorRow {
                kind: *kind,
                endpoint: cell.endpoint.clone(),
                count: errors.count,
                message: part(|first| first.message.clone()),
                request: part(|first| first.request.clone()),
                status: first.as_ref().and_then(|first| first.status),
                body: clip(&part(|first| first.body.clone())),
                trace_id: part(|first| first.trace_id.clone()),
            });
        }
    }
    rows.sort_by(|a, b| b.count.cmp(&a.count).then(a.endpoint.cmp(&b.endpoint)));
    rows
}

pub(super) fn clip(text: &str) -> String {
    let mut clean: String = text.chars().take(SHOWN_BODY).collect();
    if clean.len() < text.len() {
        clean.push('…');
    }
    clean
}
