//! The engine: load by a plan, and a record of what came of it.
//!
//! [`run`] is the whole of it. `closed` starts users and takes them away, `open` sends by a schedule
//! ([`schedule`]); `user` does what a persona does, over a `sender` that times one request on one
//! connection, which a `trunk` shares among several; `websocket` holds channels; `recorder` counts.
//! [`health`] looks at the process itself.

mod check;
mod closed;
pub(crate) mod dialled;
pub mod health;
mod open;
mod recorder;
mod request;
pub mod schedule;
mod sender;
mod timeline;
mod trunk;
mod user;
mod websocket;
mod world;

use std::future::Future;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use gs_common::http::{Client, ClientConfig, Limits, Stream};
use hdrhistogram::Histogram;
use jiff::Timestamp;
use url::Url;

use crate::judge::reason;
use crate::persona::Personas;
use crate::result::{End, Generator, Interval, Model, RunResult, Setup, Stage, interval_histogram};
pub use check::{Checked, check};
use recorder::Recorder;
use timeline::{TimeLine, interval_length};
use world::World;

/// Everything that decides a run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Scheme, host and port.
    pub target: Url,
    /// Who uses it.
    pub personas: Arc<Personas>,
    /// Closed or open.
    pub model: Model,
    /// The stages; users in the closed model, requests a second in the open one.
    pub stages: Vec<Stage>,
    /// Left out from the start.
    pub warm_up: Duration,
    /// The seed of all draws.
    pub seed: u64,
    /// Limit of one request, from the send.
    pub timeout: Duration,
    /// After the end, open requests are waited for at most so long.
    pub drain: Duration,
    /// Requests a second, at most, over all users.
    pub max_rate: Option<f64>,
    /// Threads that send.
    pub threads: usize,
    /// Keep connections between requests.
    pub keep_alive: bool,
    /// Offer HTTP/2 (with TLS).
    pub http2: bool,
    /// Speak HTTP/2 over plain http without asking whether the target does.
    pub prior_knowledge: bool,
    /// Requests on one connection at the same time; more than one needs HTTP/2.
    pub streams: usize,
    /// How to connect.
    pub client: ClientConfig,
    /// Headers of every request; their values may be secrets.
    pub headers: Vec<gs_common::way::SecretHeader>,
    /// Largest body that is read, in bytes.
    pub max_body: usize,
    /// What is slower is slow.
    pub slow_limit: Duration,
    /// One request in a hundred may be handed on so late by this machine itself.
    pub lateness_limit: Duration,
    /// Index and number of shards.
    pub shard: Option<(u32, u32)>,
}

/// What a run tells while it goes on.
#[derive(Debug)]
pub struct Tick<'a> {
    /// Since the start.
    pub elapsed: Duration,
    /// The planned length.
    pub length: Duration,
    /// The stage.
    pub stage: &'a Stage,
    /// The interval that has just ended.
    pub interval: &'a Interval,
    /// Users at work; connections in use in the open model.
    pub users: u64,
    /// Requests on their way.
    pub open: u64,
    /// Requests that wait for a connection.
    pub waiting: u64,
    /// Requests that ended so far.
    pub requests: u64,
    /// Those that ended badly.
    pub failures: u64,
    /// The endpoints, in the personas' order; those that nobody asked for among them.
    pub endpoints: &'a [Live],
}

/// An endpoint while a run goes on.
#[derive(Clone, Debug)]
pub struct Live {
    /// Its name.
    pub name: String,
    /// Requests that ended so far.
    pub requests: u64,
    /// Those that ended badly.
    pub failures: u64,
    /// Requests that ended in the interval that has just ended.
    pub recent: u64,
    /// Response times of all that ended so far, microseconds.
    pub response: Histogram<u32>,
}

impl Live {
    pub(crate) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            requests: 0,
            failures: 0,
            recent: 0,
            response: interval_histogram(),
        }
    }
}

/// Why a run cannot begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoStart {
    /// No connection to the target comes about; the sentence says why.
    Unreachable(String),
    /// The limit of open descriptors is too low for so many connections.
    Descriptors {
        /// Connections that are needed.
        needed: u64,
        /// The limit.
        limit: u64,
    },
    /// The start of a persona, which the open model does once, went wrong.
    Start(String),
    /// The run was cancelled before the load began.
    Cancelled,
    /// The deadline came before the load began.
    Deadline,
}

impl NoStart {
    /// The stable code of the report.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Unreachable(_) => reason::TARGET_UNREACHABLE,
            Self::Descriptors { .. } => reason::DESCRIPTOR_LIMIT,
            Self::Start(_) => reason::START_FAILED,
            Self::Cancelled => gs_common::report::INTERRUPTED,
            Self::Deadline => reason::DEADLINE,
        }
    }
}

impl std::fmt::Display for NoStart {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unreachable(why) => f.write_str(why),
            Self::Descriptors { needed, limit } => write!(
                f,
                "{needed} connections are needed, but this process may open {limit} descriptors"
            ),
            Self::Start(why) => f.write_str(why),
            Self::Cancelled => f.write_str("interrupted before the load began"),
            Self::Deadline => f.write_str("the deadline came before the load began"),
        }
    }
}

/// The connection test is tried so often.
const TRIES: u32 = 3;

/// Longer than any run.
const FOREVER: Duration = Duration::from_secs(365 * 86_400);

/// The pause between two tries.
const BETWEEN_TRIES: Duration = Duration::from_millis(200);

/// The end is looked for so often while what is open is waited for.
const DRAIN_STEP: Duration = Duration::from_millis(5);

/// Makes room, resolves the target's name once for the whole run, and opens one connection to see
/// whether anybody is there. Sends no request.
///
/// # Errors
/// The run cannot begin.
pub async fn prepare(plan: &mut Plan) -> Result<Option<u64>, NoStart> {
    let needed = match plan.model {
        Model::Closed { users } => users.div_ceil(plan.streams.max(1) as u64),
        // Those are opened when they are needed.
        Model::Open { .. } => 8,
    };
    let limit = health::make_room(match plan.model {
        Model::Closed { .. } => needed,
        Model::Open { connections, .. } => connections as u64,
    });
    let limit = match limit {
        Ok(limit) => limit,
        Err(limit) if limit < needed + 24 => return Err(NoStart::Descriptors { needed, limit }),
        Err(limit) => Some(limit),
    };
    dialled::pin_addresses(plan).await?;
    let limits = Limits {
        total: plan.timeout,
        connect: plan.timeout.min(Duration::from_secs(5)),
        body: 0,
    };
    let client = Client::new(plan.client.clone());
    let mut why = String::new();
    for attempt in 0..TRIES {
        if attempt > 0 {
            tokio::time::sleep(BETWEEN_TRIES).await;
        }
        match client.open_for(&plan.target, limits, !plan.http2).await {
            // The load would not be what was asked for.
            Ok((stream, connection, _)) if plan.http2 => {
                return if sender::speaks_http2(&connection, plan.prior_knowledge)
                    && answers_http2(stream, limits.connect).await
                {
                    Ok(limit)
                } else {
                    let why = "the target does not speak HTTP/2, which `--http2` asks for";
                    Err(NoStart::Unreachable(why.to_owned()))
                };
            }
            Ok(_) => return Ok(limit),
            Err(failure) => why = failure.message,
        }
    }
    Err(NoStart::Unreachable(why))
}

/// Whether HTTP/2 comes back on a connection: a ping is answered, and no request is sent.
async fn answers_http2(stream: Stream, within: Duration) -> bool {
    let asked = async {
        let (_sender, mut connection) = h2::client::handshake(stream).await.ok()?;
        let mut ping = connection.ping_pong()?;
        tokio::select! {
            pong = ping.ping(h2::Ping::opaque()) => pong.ok(),
            _ = connection => None,
        }
    };
    matches!(tokio::time::timeout(within, asked).await, Ok(Some(_)))
}

/// What sends.
type Conductor = Pin<Box<dyn Future<Output = Result<(), String>> + Send>>;

/// Runs a plan. `tick` hears of every interval and may end the run with a reason; the run also ends when
/// `cancel` does, or after `deadline`.
///
/// # Errors
/// The run cannot begin; nothing was sent, except the start of personas in the open model.
pub async fn run(
    mut plan: Plan,
    mut tick: impl FnMut(&Tick<'_>) -> ControlFlow<String>,
    cancel: impl Future<Output = ()>,
    deadline: Option<Duration>,
) -> Result<RunResult, NoStart> {
    let called = Instant::now();
    let mut cancel = std::pin::pin!(cancel);
    let begin = async {
        let descriptor_limit = prepare(&mut plan).await?;
        let saved = match plan.model {
            Model::Open { .. } => enter_all(&plan).await?,
            Model::Closed { .. } => Vec::new(),
        };
        Ok((descriptor_limit, saved))
    };
    let (descriptor_limit, saved) = tokio::select! {
        biased;
        () = &mut cancel => return Err(NoStart::Cancelled),
        begun = begin => begun?,
        () = tokio::time::sleep(deadline.unwrap_or(FOREVER)) => return Err(NoStart::Deadline),
    };
    let length = schedule::length(&plan.stages);
    let every = interval_length(length);
    let cpu_before = health::cpu_time();
    let started_at = Timestamp::now();
    let began = Instant::now();
    let world = Arc::new(World::new(plan.clone(), began));
    let mut pool = None;
    let mut conductor: Conductor = match plan.model {
        Model::Closed { .. } => Box::pin(closed::conduct(Arc::clone(&world))),
        Model::Open {
            arrivals,
            connections,
            ..
        } => {
            let most = connections.saturating_mul(plan.streams);
            let shared = Arc::new(open::Pool::new(most, saved));
            pool = Some(Arc::clone(&shared));
            let world = Arc::clone(&world);
            Box::pin(async move {
                open::conduct(world, shared, arrivals).await;
                Ok(())
            })
        }
    };
    let mut line = TimeLine::new(every, &plan.personas.endpoints);
    let mut end = End::Complete;
    let planned_end = began + length;
    let cut_at = deadline.map(|deadline| called + deadline);
    let mut next_tick = began + every;
    let mut conducting = true;
    loop {
        let wake = next_tick
            .min(planned_end)
            .min(cut_at.unwrap_or(planned_end));
        tokio::select! {
            () = &mut cancel => {
                end = End::Interrupted;
                break;
            }
            done = &mut conductor, if conducting => {
                conducting = false;
                if let Err(why) = done {
                    end = End::Broken(why);
                    break;
                }
            }
            () = tokio::time::sleep_until(wake.into()) => {
                let now = Instant::now();
                if now >= next_tick {
                    next_tick += every;
                    let told = line.close(&world, pool.as_deref(), now, length);
                    if let ControlFlow::Break(why) = told.and_tell(&mut tick) {
                        end = End::Aborted(why);
                        break;
                    }
                }
                if now >= planned_end {
                    break;
                }
                if cut_at.is_some_and(|at| now >= at) {
                    end = End::Deadline;
                    break;
                }
            }
        }
    }
    let stopped = Instant::now();
    let complete = end == End::Complete;
    if !complete || pool.is_none() {
        // In the open model, what was due before the end is still handed on below.
        world.stop();
    }
    let drained = if complete {
        plan.drain
    } else {
        // Who ends a run wants its end; what is about to end may still do so.
        plan.drain.min(Duration::from_millis(200))
    };
    let until = cut_at.map_or(stopped + drained, |at| at.min(stopped + drained));
    let mut handing_on = complete && conducting && pool.is_some();
    loop {
        // Asked before `open`: what a connection begins with in between is counted there.
        let not_begun = pool.as_ref().map_or(0, |pool| pool.not_begun());
        if (not_begun == 0 && world.open() == 0 && !handing_on) || Instant::now() >= until {
            break;
        }
        tokio::select! {
            () = &mut cancel, if end != End::Interrupted => {
                end = End::Interrupted;
                break;
            }
            _ = &mut conductor, if handing_on => handing_on = false,
            () = tokio::time::sleep(DRAIN_STEP) => {}
        }
    }
    world.stop();
    drop(conductor);
    let cut = Instant::now();
    if let Some(pool) = &pool {
        pool.close(&world, cut);
    }
    world.each_recorder(|recorder| recorder.cut(cut));
    let _ = line.close(&world, pool.as_deref(), cut, length);
    let cpu = health::cpu_time().saturating_sub(cpu_before);
    let measured = stopped
        .saturating_duration_since(began)
        .saturating_sub(plan.warm_up);
    Ok(collect(
        &world,
        line.intervals,
        End::clone(&end),
        started_at,
        measured,
        cpu,
        descriptor_limit,
    ))
}

/// Does the start of each persona once, where it saves something, and returns what it saved.
async fn enter_all(plan: &Plan) -> Result<Vec<Vec<Option<String>>>, NoStart> {
    let mut all = Vec::new();
    let world = World::new(plan.clone(), Instant::now());
    for (index, persona) in plan.personas.personas.iter().enumerate() {
        let mut user = user::User::new(&world, index as u64, index);
        if persona.start.iter().any(|step| !step.save.is_empty()) {
            for step in &persona.start {
                if !user.step(&world, step, Instant::now()).await {
                    let merged = Recorder::merge(world.take_recorders());
                    let why = merged
                        .cells
                        .values()
                        .flat_map(|cell| cell.stats.errors.values())
                        .find_map(|errors| errors.first.clone())
                        .map_or_else(String::new, |example| {
                            format!(": {}: {}", example.request, example.message)
                        });
                    return Err(NoStart::Start(format!(
                        "the start of `{}` went wrong{why}",
                        persona.name
                    )));
                }
            }
        }
        all.push(user.saved);
    }
    Ok(all)
}

fn collect(
    world: &World,
    intervals: Vec<Interval>,
    end: End,
    started_at: Timestamp,
    measured: Duration,
    cpu: Duration,
    descriptor_limit: Option<u64>,
) -> RunResult {
    let plan = &world.plan;
    let merged = Recorder::merge(world.take_recorders());
    let (connections_opened, connections_most) = world.dialer.counts();
    RunResult {
        target: origin(world.dialer.url()),
        setup: Setup {
            personas_sha256: plan.personas.sha256.clone(),
            personas_from: plan.personas.from.clone(),
            model: plan.model,
            stages: plan.stages.clone(),
            warm_up: plan.warm_up,
            seed: plan.seed,
            keep_alive: plan.keep_alive,
            protocol: protocol(plan),
            compression: plan
                .personas
                .personas
                .iter()
                .any(|persona| persona.compression == Some(true)),
            proxy: dialled::Dialled::of(&plan.target, &plan.client)
                .proxy
                .is_some(),
            timeout: plan.timeout,
            shard: plan.shard,
        },
        started_at,
        measured_seconds: measured.as_secs_f64(),
        end,
        cells: merged.cells.into_values().collect(),
        warm_up_requests: merged.warm_up_requests,
        intervals,
        slowest: merged.slowest,
        slow: merged.slow,
        generator: Generator {
            cpu_seconds: cpu.as_secs_f64(),
            threads: plan.threads,
            lateness: merged.lateness,
            lateness_limit: plan.lateness_limit,
            waited: merged.waited,
            wait: merged.wait,
            dropped: merged.dropped,
            unfinished: merged.unfinished,
            connections_opened,
            connections_most,
            retried: merged.retried,
            held_back: merged.held_back,
            descriptor_limit,
        },
        websockets: merged.channels.into_values().collect(),
        users_started: world.users_started.load(Ordering::Relaxed),
        users_most: world.users_most.load(Ordering::Relaxed),
    }
}

/// What was asked for; `2` streams or more are part of it, since runs that differ in them do not compare.
fn protocol(plan: &Plan) -> String {
    match (plan.http2 || plan.prior_knowledge, plan.streams) {
        (true, 2..) => format!("h2, {} streams", plan.streams),
        (true, _) => "h2".to_owned(),
        (false, _) => "http/1.1".to_owned(),
    }
}

/// Scheme, host and port.
fn origin(url: &Url) -> String {
    let text = url.to_string();
    text.strip_suffix('/').unwrap_or(&text).to_owned()
}

#[cfg(test)]
impl Plan {
    /// A plan for a target that is never asked.
    pub(crate) fn for_tests() -> Self {
        let stage = Stage {
            name: "hold".to_owned(),
            from: 1.0,
            target: 1.0,
            duration: Duration::from_secs(1),
        };
        let mut personas =
            crate::persona::read::read(None, &crate::persona::read::Inputs::default()).unwrap();
        personas.choose(&[]).unwrap();
        Self {
            target: Url::parse("http://127.0.0.1:9").unwrap(),
            personas: Arc::new(personas),
            model: Model::Closed { users: 1 },
            stages: vec![stage],
            warm_up: Duration::ZERO,
            seed: 1,
            timeout: Duration::from_secs(1),
            drain: Duration::from_secs(1),
            max_rate: None,
            threads: 1,
            keep_alive: true,
            http2: false,
            prior_knowledge: false,
            streams: 1,
            client: ClientConfig::default(),
            headers: Vec::new(),
            max_body: 1 << 20,
            slow_limit: Duration::from_secs(1),
            lateness_limit: Duration::from_millis(100),
            shard: None,
        }
    }
}
