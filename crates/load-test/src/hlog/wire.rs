//! What a log says beside its histograms, as JSON on one comment line.
//!
//! These types are the format; the result model may change without them. Times are whole
//! microseconds and rates are texts, so that a number that is read is the number that was written, to
//! the last bit.

use std::collections::BTreeMap;
use std::time::Duration;

use gs_common::redact::Redactor;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::result::{
    Arrivals, Cell, Channel, End, ErrorKind, Errors, Example, Generator, Interval, MOST_INTERVALS,
    Model, RunResult, SLOWEST, Setup, Slow, Stage, Stats, interval_histogram, micros_histogram,
};

/// The name of this version of the format.
pub const SCHEMA: &str = "gs.hlog/v1";

/// More cells are no log of ours: each costs up to 760 KB of memory when read.
const MOST_CELLS: usize = 1024;

/// More WebSocket channels are no log of ours.
const MOST_CHANNELS: usize = 256;

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Head {
    pub(super) schema: String,
    pub(super) tool_version: String,
    pub(super) goals: Vec<String>,
    target: String,
    setup: WireSetup,
    started_at_us: i64,
    measured_us: u64,
    end: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    end_why: Option<String>,
    users_started: u64,
    users_most: u64,
    warm_up_requests: u64,
    cells: Vec<WireCell>,
    /// Start and length in microseconds, requests, failures, users.
    intervals: Vec<(u64, u64, u64, u64, u64)>,
    slowest: Vec<WireSlow>,
    slow: BTreeMap<String, u64>,
    generator: WireGenerator,
    websockets: Vec<WireChannel>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WireSetup {
    personas_sha256: String,
    personas_from: String,
    model: WireModel,
    /// Name, load at the start and at the end, length in microseconds.
    stages: Vec<(String, String, String, u64)>,
    warm_up_us: u64,
    seed: u64,
    keep_alive: bool,
    protocol: String,
    /// Absent where it is off, as in logs from before there was any.
    #[serde(default, skip_serializing_if = "is_off")]
    compression: bool,
    #[serde(default, skip_serializing_if = "is_off")]
    proxy: bool,
    timeout_us: u64,
    shard: Option<(u32, u32)>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
enum WireModel {
    Closed {
        users: u64,
    },
    Open {
        rate: String,
        arrivals: WireArrivals,
        connections: usize,
    },
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum WireArrivals {
    Even,
    Poisson,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WireCell {
    endpoint: String,
    persona: String,
    stage: usize,
    requests: u64,
    failures: u64,
    checks_passed: u64,
    checks_made: u64,
    body_bytes: u64,
    statuses: BTreeMap<u16, u64>,
    errors: BTreeMap<String, WireErrors>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WireErrors {
    count: u64,
    first: Option<WireExample>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WireExample {
    message: String,
    request: String,
    status: Option<u16>,
    body: String,
    trace_id: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WireSlow {
    endpoint: String,
    persona: String,
    due_us: u64,
    response_us: u64,
    service_us: Option<u64>,
    outcome: String,
    trace_id: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WireGenerator {
    cpu_us: u64,
    threads: usize,
    waited: u64,
    dropped: u64,
    unfinished: u64,
    connections_opened: u64,
    connections_most: u64,
    retried: u64,
    held_back: u64,
    descriptor_limit: Option<u64>,
    lateness_limit_us: u64,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WireChannel {
    name: String,
    persona: String,
    attempts: u64,
    opened: u64,
    messages: u64,
    gaps: u64,
    longest_gap_us: u64,
    drops: u64,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the shape that serde wants"
)]
fn is_off(on: &bool) -> bool {
    !on
}

fn us(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

fn seconds_to_us(seconds: f64) -> u64 {
    (seconds.max(0.0) * 1e6).round() as u64
}

fn us_to_seconds(us: u64) -> f64 {
    us as f64 / 1e6
}

impl Head {
    /// What a result has beside its histograms. Texts that came from the target are redacted: the log
    /// is a file that others get.
    pub(super) fn of(
        result: &RunResult,
        goals: &[String],
        version: &str,
        redactor: &Redactor,
    ) -> Self {
        let clean = |text: &str| redactor.text(text).into_owned();
        let example = |example: &Example| WireExample {
            message: clean(&example.message),
            request: clean(&example.request),
            status: example.status,
            body: clean(&example.body),
            trace_id: example.trace_id.clone(),
        };
        let (end, end_why) = match &result.end {
            End::Complete => ("complete", None),
            End::Interrupted => ("interrupted", None),
            End::Deadline => ("deadline", None),
            End::Aborted(why) => ("aborted", Some(clean(why))),
            End::Broken(why) => ("broken", Some(clean(why))),
        };
        Self {
            schema: SCHEMA.to_owned(),
            tool_version: version.to_owned(),
            goals: goals.to_vec(),
            target: clean(&result.target),
            setup: WireSetup::of(&result.setup),
            started_at_us: result.started_at.as_microsecond(),
            measured_us: seconds_to_us(result.measured_seconds),
            end: end.to_owned(),
            end_why,
            users_started: result.users_started,
            users_most: result.users_most,
            warm_up_requests: result.warm_up_requests,
            cells: result
                .cells
                .iter()
                .map(|cell| WireCell {
                    endpoint: cell.endpoint.clone(),
                    persona: cell.persona.clone(),
                    stage: cell.stage,
                    requests: cell.stats.requests,
                    failures: cell.stats.failures,
                    checks_passed: cell.stats.checks_passed,
                    checks_made: cell.stats.checks_made,
                    body_bytes: cell.stats.body_bytes,
                    statuses: cell.stats.statuses.clone(),
                    errors: cell
                        .stats
                        .errors
                        .iter()
                        .map(|(kind, errors)| {
                            let errors = WireErrors {
                                count: errors.count,
                                first: errors.first.as_ref().map(example),
                            };
                            (kind.code().to_owned(), errors)
                        })
                        .collect(),
                })
                .collect(),
            intervals: result
                .intervals
                .iter()
                .map(|interval| {
                    (
                        seconds_to_us(interval.start_seconds),
                        seconds_to_us(interval.seconds),
                        interval.requests,
                        interval.failures,
                        interval.users,
                    )
                })
                .collect(),
            slowest: result
                .slowest
                .iter()
                .map(|slow| WireSlow {
                    endpoint: slow.endpoint.clone(),
                    persona: slow.persona.clone(),
                    due_us: seconds_to_us(slow.due_seconds),
                    response_us: us(slow.response),
                    service_us: slow.service.map(us),
                    outcome: slow.outcome.clone(),
                    trace_id: slow.trace_id.clone(),
                })
                .collect(),
            slow: result.slow.clone(),
            generator: WireGenerator {
                cpu_us: seconds_to_us(result.generator.cpu_seconds),
                threads: result.generator.threads,
                waited: result.generator.waited,
                dropped: result.generator.dropped,
                unfinished: result.generator.unfinished,
                connections_opened: result.generator.connections_opened,
                connections_most: result.generator.connections_most,
                retried: result.generator.retried,
                held_back: result.generator.held_back,
                descriptor_limit: result.generator.descriptor_limit,
                lateness_limit_us: us(result.generator.lateness_limit),
            },
            websockets: result
                .websockets
                .iter()
                .map(|channel| WireChannel {
                    name: channel.name.clone(),
                    persona: channel.persona.clone(),
                    attempts: channel.attempts,
                    opened: channel.opened,
                    messages: channel.messages,
                    gaps: channel.gaps,
                    longest_gap_us: us(channel.longest_gap),
                    drops: channel.drops,
                })
                .collect(),
        }
    }

    /// The result with empty histograms, after the counts were checked against each other.
    pub(super) fn result(self) -> Result<RunResult, String> {
        if self.schema != SCHEMA {
            return Err(format!(
                "its format is `{}`, not `{SCHEMA}`",
                clip(&self.schema)
            ));
        }
        if self.cells.len() > MOST_CELLS {
            return Err(format!("it has more than {MOST_CELLS} cells"));
        }
        if self.websockets.len() > MOST_CHANNELS {
            return Err(format!("it has more than {MOST_CHANNELS} channels"));
        }
        // A plan's end may fall into one interval more than planned, and draining into some.
        if self.intervals.len() as u64 > 2 * MOST_INTERVALS + 600 {
            return Err("it has too many intervals".to_owned());
        }
        if self.slowest.len() > SLOWEST {
            return Err(format!("it has more than {SLOWEST} slowest requests"));
        }
        let setup = self.setup.setup()?;
        let end = match (self.end.as_str(), self.end_why) {
            ("complete", None) => End::Complete,
            ("interrupted", None) => End::Interrupted,
            ("deadline", None) => End::Deadline,
            ("aborted", Some(why)) => End::Aborted(why),
            ("broken", Some(why)) => End::Broken(why),
            (other, _) => return Err(format!("its end is `{}`", clip(other))),
        };
        let stages = setup.stages.len();
        Ok(RunResult {
            target: self.target,
            setup,
            started_at: Timestamp::from_microsecond(self.started_at_us)
                .map_err(|error| format!("its start is no time: {error}"))?,
            measured_seconds: us_to_seconds(self.measured_us),
            end,
            users_started: self.users_started,
            users_most: self.users_most,
            warm_up_requests: self.warm_up_requests,
            cells: self
                .cells
                .into_iter()
                .map(|cell| cell.cell(stages))
                .collect::<Result<_, _>>()?,
            intervals: self
                .intervals
                .into_iter()
                .map(|(start, length, requests, failures, users)| Interval {
                    start_seconds: us_to_seconds(start),
                    seconds: us_to_seconds(length),
                    requests,
                    failures,
                    users,
                    response: interval_histogram(),
                })
                .collect(),
            slowest: self
                .slowest
                .into_iter()
                .map(|slow| Slow {
                    endpoint: slow.endpoint,
                    persona: slow.persona,
                    due_seconds: us_to_seconds(slow.due_us),
                    response: Duration::from_micros(slow.response_us),
                    service: slow.service_us.map(Duration::from_micros),
                    outcome: slow.outcome,
                    trace_id: slow.trace_id,
                })
                .collect(),
            slow: self.slow,
            generator: Generator {
                cpu_seconds: us_to_seconds(self.generator.cpu_us),
                threads: self.generator.threads,
                waited: self.generator.waited,
                dropped: self.generator.dropped,
                unfinished: self.generator.unfinished,
                connections_opened: self.generator.connections_opened,
                connections_most: self.generator.connections_most,
                retried: self.generator.retried,
                held_back: self.generator.held_back,
                descriptor_limit: self.generator.descriptor_limit,
                lateness_limit: Duration::from_micros(self.generator.lateness_limit_us),
                ..Generator::default()
            },
            websockets: self
                .websockets
                .into_iter()
                .map(|channel| Channel {
                    name: channel.name,
                    persona: channel.persona,
                    attempts: channel.attempts,
                    opened: channel.opened,
                    connect: micros_histogram(),
                    messages: channel.messages,
                    latency: micros_histogram(),
                    gaps: channel.gaps,
                    longest_gap: Duration::from_micros(channel.longest_gap_us),
                    drops: channel.drops,
                })
                .collect(),
        })
    }
}

impl WireSetup {
    fn of(setup: &Setup) -> Self {
        Self {
            personas_sha256: setup.personas_sha256.clone(),
            personas_from: setup.personas_from.clone(),
            model: match setup.model {
                Model::Closed { users } => WireModel::Closed { users },
                Model::Open {
                    rate,
                    arrivals,
                    connections,
                } => WireModel::Open {
                    rate: rate.to_string(),
                    arrivals: match arrivals {
                        Arrivals::Even => WireArrivals::Even,
                        Arrivals::Poisson => WireArrivals::Poisson,
                    },
                    connections,
                },
            },
            stages: setup
                .stages
                .iter()
                .map(|stage| {
                    let load = (stage.from.to_string(), stage.target.to_string());
                    (stage.name.clone(), load.0, load.1, us(stage.duration))
                })
                .collect(),
            warm_up_us: us(setup.warm_up),
            seed: setup.seed,
            keep_alive: setup.keep_alive,
            protocol: setup.protocol.clone(),
            compression: setup.compression,
            proxy: setup.proxy,
            timeout_us: us(setup.timeout),
            shard: setup.shard,
        }
    }

    fn setup(self) -> Result<Setup, String> {
        if let Some((index, count)) = self.shard
            && (index >= count || count > 100_000)
        {
            return Err(format!("shard {index} of {count} does not exist"));
        }
        Ok(Setup {
            personas_sha256: self.personas_sha256,
            personas_from: self.personas_from,
            model: match self.model {
                WireModel::Closed { users } => Model::Closed { users },
                WireModel::Open {
                    rate,
                    arrivals,
                    connections,
                } => Model::Open {
                    rate: number(&rate)?,
                    arrivals: match arrivals {
                        WireArrivals::Even => Arrivals::Even,
                        WireArrivals::Poisson => Arrivals::Poisson,
                    },
                    connections,
                },
            },
            stages: self
                .stages
                .into_iter()
                .map(|(name, from, target, duration)| {
                    Ok(Stage {
                        name,
                        from: number(&from)?,
                        target: number(&target)?,
                        duration: Duration::from_micros(duration),
                    })
                })
                .collect::<Result<_, String>>()?,
            warm_up: Duration::from_micros(self.warm_up_us),
            seed: self.seed,
            keep_alive: self.keep_alive,
            protocol: self.protocol,
            compression: self.compression,
            proxy: self.proxy,
            timeout: Duration::from_micros(self.timeout_us),
            shard: self.shard,
        })
    }
}

impl WireCell {
    fn cell(self, stages: usize) -> Result<Cell, String> {
        if self.stage >= stages {
            return Err(format!(
                "endpoint `{}` is of a stage that does not exist",
                clip(&self.endpoint)
            ));
        }
        if self.failures > self.requests || self.checks_passed > self.checks_made {
            return Err(format!(
                "the counts of endpoint `{}` break their laws",
                clip(&self.endpoint)
            ));
        }
        let mut errors = BTreeMap::new();
        for (code, wire) in self.errors {
            let kind = ErrorKind::ALL
                .into_iter()
                .map(|(kind, ..)| kind)
                .find(|kind| kind.code() == code)
                .ok_or_else(|| format!("`{}` is no kind of error", clip(&code)))?;
            errors.insert(
                kind,
                Errors {
                    count: wire.count,
                    first: wire.first.map(|first| Example {
                        message: first.message,
                        request: first.request,
                        status: first.status,
                        body: first.body,
                        trace_id: first.trace_id,
                    }),
                },
            );
        }
        Ok(Cell {
            endpoint: self.endpoint,
            persona: self.persona,
            stage: self.stage,
            stats: Stats {
                requests: self.requests,
                failures: self.failures,
                checks_passed: self.checks_passed,
                checks_made: self.checks_made,
                body_bytes: self.body_bytes,
                statuses: self.statuses,
                errors,
                ..Stats::default()
            },
        })
    }
}

fn number(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() && number >= 0.0 => Ok(number),
        _ => Err(format!("`{}` is no rate", clip(text))),
    }
}

fn clip(text: &str) -> String {
    text.chars().take(60).collect()
}
