//! The listener of a rollout: pages, targets and orders.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;
use tokio::time::MissedTickBehavior;

use super::history::History;
use super::page;
use super::plan::{Away, RolloutPlan};
use super::pod::Look;
use super::simulation::{Clock, Simulation};
use crate::exchange::{self, End, Reply};
use crate::server::Request;

const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

const KNOWN: &str = "there are GET /targets, /pods, /pods/NAME/metrics and /containers/metrics; PUT /behaviour, \
/pods/NAME/behaviour and /prefix; POST /pods/NAME/restart and /pods/NAME/replace";

/// What the listener and the handle share.
#[derive(Debug)]
pub(super) struct Stage {
    simulation: Mutex<Simulation>,
    history: History,
    began: Instant,
    clock: Clock,
    address: SocketAddr,
    away: Away,
    scrape_interval: Duration,
}

impl Stage {
    pub(super) fn new(plan: &RolloutPlan, address: SocketAddr) -> Result<Self, String> {
        let simulation = Mutex::new(Simulation::new(plan)?);
        Ok(Self {
            simulation,
            history: History::default(),
            began: Instant::now(),
            clock: Clock {
                began_unix_seconds: Timestamp::now().as_millisecond() as f64 / 1e3,
                time_scale: plan.time_scale,
            },
            address,
            away: plan.away,
            scrape_interval: plan.scrape_interval,
        })
    }

    pub(super) fn clock(&self) -> Clock {
        self.clock
    }

    pub(super) fn history(&self) -> History {
        self.history.clone()
    }

    /// Does something with the simulation as it is now. The clock is monotonic: a wall clock that is
    /// set while it runs moves nothing.
    pub(super) fn now<T>(&self, act: impl FnOnce(&mut Simulation) -> T) -> T {
        let mut simulation = self
            .simulation
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        simulation.advance(self.began.elapsed().as_secs_f64() * self.clock.time_scale);
        act(&mut simulation)
    }
}

/// Goes on with the simulation and writes its history, until its task is dropped.
pub(super) async fn record(stage: Arc<Stage>) {
    // Seldom looks would make each of them long.
    let step = stage.scrape_interval.min(Duration::from_millis(500));
    let mut ticks = tokio::time::interval(step);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut recorded: Option<Instant> = None;
    loop {
        ticks.tick().await;
        let due = recorded.is_none_or(|last| last.elapsed() + step / 2 >= stage.scrape_interval);
        stage.now(|simulation| {
            if due {
                recorded = Some(Instant::now());
                let at = stage.clock.unix(simulation.seconds());
                stage
                    .history
                    .record(simulation, stage.clock, at, &stage.address.to_string());
            }
        });
    }
}

/// Serves until its task is dropped.
pub(super) async fn serve(listener: TcpListener, stage: Arc<Stage>) {
    exchange::serve(listener, move |request| {
        stage.now(|simulation| answer(&stage, simulation, request))
    })
    .await;
}

fn answer(stage: &Stage, simulation: &mut Simulation, request: &Request) -> Reply {
    let path: Vec<&str> = request.path.split('/').skip(1).collect();
    let shown = match (request.method.as_str(), path.as_slice()) {
        ("GET", ["targets"]) => Ok(targets(stage, simulation)),
        ("GET", ["containers", "metrics"]) => {
            return Reply::new(200, TEXT, simulation.containers_page());
        }
        ("GET", ["pods", pod, "metrics"]) => return page_of(stage, simulation, pod),
        ("GET", ["pods"]) => Ok(pods(simulation)),
        (method, path) => obey(simulation, method, path, &request.body),
    };
    match shown {
        Ok(body) => Reply::json(200, &body),
        Err((status, why)) => Reply::error(status, why),
    }
}

fn page_of(stage: &Stage, simulation: &Simulation, pod: &str) -> Reply {
    match (
        simulation.page(pod, &stage.clock),
        simulation.look(pod),
        stage.away,
    ) {
        (Some(text), ..) => Reply::new(200, TEXT, text),
        (None, None, _) => Reply::error(404, format!("there is no pod `{pod}`")),
        (None, Some(_), Away::Refuses) => Reply::new(503, "text/plain", "no healthy upstream\n"),
        (None, Some(_), Away::Breaks) => Reply {
            end: End::Silent,
            ..Reply::new(503, "text/plain", "")
        },
    }
}

/// The targets in the form of Prometheus' `http_sd_configs` and `file_sd_configs`.
fn targets(stage: &Stage, simulation: &Simulation) -> Value {
    let looks = simulation.looks();
    let target = |look: &Look| {
        let mut labels: Map<String, Value> = page::target_labels(&look.pod, look.side)
            .map(|(name, value)| (name.to_owned(), value.into()))
            .into_iter()
            .collect();
        let path = format!("/pods/{}/metrics", look.pod);
        labels.insert("__metrics_path__".to_owned(), path.into());
        json!({"targets": [stage.address.to_string()], "labels": labels})
    };
    looks.iter().map(target).collect()
}

fn pods(simulation: &Simulation) -> Value {
    let looks = simulation.looks();
    let pod = |look: &Look| {
        json!({
            "pod": *look.pod,
            "side": look.side,
            "behaviour": simulation.behaviour(&look.pod),
            "up": look.up,
            "started_seconds": look.started_seconds,
            "restarts": look.restarts,
            "requests": look.requests(),
            "errors": look.errors(),
        })
    };
    json!({
        "seconds": simulation.seconds(),
        "pods": looks.iter().map(pod).collect::<Vec<_>>(),
    })
}

/// Carries out an order; what it changed is the answer.
fn obey(
    simulation: &mut Simulation,
    method: &str,
    path: &[&str],
    body: &[u8],
) -> Result<Value, (u16, String)> {
    let wrong = |why: String| (400, why);
    let known = |simulation: &Simulation, pod: &str| match simulation.look(pod) {
        Some(_) => Ok(()),
        None => Err((404, format!("there is no pod `{pod}`"))),
    };
    match (method, path) {
        ("PUT", ["behaviour"]) => simulation.behave(None, read(body)?).map_err(wrong)?,
        ("PUT", ["pods", pod, "behaviour"]) => {
            known(simulation, pod)?;
            simulation.behave(Some(pod), read(body)?).map_err(wrong)?;
        }
        ("PUT", ["prefix"]) => {
            let prefix: String = read(body)?;
            simulation.rename(&prefix).map_err(wrong)?;
        }
        ("POST", ["pods", pod, "restart"]) => {
            known(simulation, pod)?;
            simulation.restart(pod).map_err(wrong)?;
        }
        ("POST", ["pods", pod, "replace"]) => {
            known(simulation, pod)?;
            let name = simulation.replace(pod).map_err(wrong)?;
            return Ok(json!({ "pod": name }));
        }
        _ => return Err((404, KNOWN.to_owned())),
    }
    Ok(pods(simulation))
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, (u16, String)> {
    serde_json::from_slice(body).map_err(|error| (400, format!("no JSON to take: {error}")))
}
