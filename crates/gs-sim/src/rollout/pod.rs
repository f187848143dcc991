//! The life of one pod, in simulated time. What it does depends on its seed and on the moments of
//! orders, never on when somebody looks.

use std::sync::Arc;

use fastrand::Rng;

use super::behaviour::{Behaviour, Bursts};
use super::plan::{PodPlan, Side};
use crate::metrics::EDGES;

/// Where requests go, and which share of them.
pub(super) const ROUTES: [(&str, f64); 3] = [
    ("/api/v1/signals", 0.5),
    ("/api/v1/market-data/{symbol}", 0.3),
    // Labels as FastAPI's: a reader that stops at the first `}` loses this line.
    ("/signals/{symbol}", 0.2),
];

/// The statuses that a pod answers with. 404 is a client's error, not ours.
pub(super) const STATUSES: [u16; 4] = [200, 404, 500, 503];

const HEALTHY_ERRORS: f64 = 0.001;
const NOT_FOUND: f64 = 0.01;

const P95_SECONDS: f64 = 0.2;
const SIGMA: f64 = 0.557;
/// The standard normal's 95th percentile.
const Z95: f64 = 1.644_854;

const CPU_OF_REQUEST: f64 = 0.01;
const CPU_IDLE: f64 = 0.02;

const MIB: f64 = 1_048_576.0;

/// The memory that a pod may use.
pub(super) const MEMORY_LIMIT: f64 = 2048.0 * MIB;

/// Requests before the simulation are drawn up to so many; a longer past is these, several times.
const PAST_REQUESTS: u64 = 2000;

/// The counters of one route.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Route {
    /// In the order of [`STATUSES`].
    pub statuses: [u64; STATUSES.len()],
    /// Per bucket, not cumulative; the last one is above all edges.
    pub buckets: [u64; EDGES.len() + 1],
    pub sum_seconds: f64,
}

/// The state of a pod at one moment, all times in simulated seconds since the start of the simulation.
#[derive(Clone, Debug, PartialEq)]
pub struct Look {
    /// Its name.
    pub pod: Arc<str>,
    /// Which version it runs.
    pub side: Side,
    /// Whether it can be reached. Its counters mean nothing while it cannot.
    pub up: bool,
    /// Start of its process; negative for one that was there before.
    pub started_seconds: f64,
    /// How often its process has started again.
    pub restarts: u64,
    /// CPU time of its process.
    pub cpu_seconds: f64,
    /// Memory of its process.
    pub memory_bytes: f64,
    pub(super) routes: [Route; ROUTES.len()],
}

impl Look {
    /// Requests since the start of the process.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.routes.iter().flat_map(|route| route.statuses).sum()
    }

    /// Requests since the start of the process that were answered with 500 and over.
    #[must_use]
    pub fn errors(&self) -> u64 {
        let errors = |route: &Route| -> u64 {
            let answers = STATUSES.iter().zip(route.statuses);
            answers
                .filter(|(status, _)| **status >= 500)
                .map(|(_, count)| count)
                .sum()
        };
        self.routes.iter().map(errors).sum()
    }

    /// Requests since the start of the process that took longer than an edge of the histogram, in
    /// seconds: the nearest one that is at least `seconds`.
    #[must_use]
    pub fn slower_than(&self, seconds: f64) -> u64 {
        let first = EDGES.partition_point(|edge| *edge < seconds) + 1;
        let above = |route: &Route| -> u64 { route.buckets.iter().skip(first).sum() };
        self.routes.iter().map(above).sum()
    }
}

/// A pod.
#[derive(Clone, Debug)]
pub(super) struct Pod {
    pub name: Arc<str>,
    pub side: Side,
    pub rate: f64,
    pub behaviour: Behaviour,
    random: Rng,
    /// Where this pod's bursts and noise come from, and the bursts of all.
    own_seed: u64,
    shared_seed: u64,
    weather: Option<Weather>,
    now: f64,
    next_request: f64,
    started: f64,
    restarts: u64,
    /// The crash loop's beginning, and how many of its rounds are over.
    loop_from: f64,
    rounds: u64,
    routes: [Route; ROUTES.len()],
    cpu_of_requests: f64,
}

impl Pod {
    /// A pod that begins at `now`, with the past that its age says.
    pub(super) fn new(plan: &PodPlan, now: f64, random: &mut Rng, shared_seed: u64) -> Self {
        let mut own = random.fork();
        let own_seed = own.u64(..);
        let mut pod = Self {
            name: plan.name.as_str().into(),
            side: plan.side,
            rate: plan.rate,
            behaviour: plan.behaviour,
            random: own,
            own_seed,
            shared_seed,
            weather: None,
            now,
            next_request: now,
            started: now - plan.age_seconds,
            restarts: 0,
            loop_from: now,
            rounds: 0,
            routes: Default::default(),
            cpu_of_requests: 0.0,
        };
        pod.live_the_past(plan.rate * plan.age_seconds);
        pod.behave(plan.behaviour);
        pod.next_request = now + pod.wait();
        pod
    }

    fn live_the_past(&mut self, requests: f64) {
        let drawn = PAST_REQUESTS.min(requests as u64);
        for _ in 0..drawn {
            self.request(1.0, HEALTHY_ERRORS);
        }
        let times = (requests / PAST_REQUESTS as f64).round().max(1.0);
        for route in &mut self.routes {
            let counts = route.statuses.iter_mut().chain(&mut route.buckets);
            counts.for_each(|count| *count *= times as u64);
            route.sum_seconds *= times;
        }
        self.cpu_of_requests *= times;
    }

    /// Takes another behaviour, from now on.
    pub(super) fn behave(&mut self, behaviour: Behaviour) {
        self.behaviour = behaviour;
        self.loop_from = self.now;
        self.rounds = 0;
        let seed = match behaviour {
            Behaviour::SharedBursts(_) => self.shared_seed,
            _ => self.own_seed,
        };
        self.weather = behaviour.bursts().map(|bursts| Weather::new(bursts, seed));
    }

    /// The process ends and starts again at once: counters begin at zero.
    pub(super) fn restart(&mut self, at: f64) {
        self.started = at;
        self.restarts += 1;
        self.routes = Default::default();
        self.cpu_of_requests = 0.0;
    }

    /// Lives on until a moment.
    pub(super) fn advance(&mut self, to: f64) {
        while self.next_request <= to {
            let at = self.next_request;
            self.start_due_processes(at);
            let share = self.error_share(at);
            let factor = self.latency_factor(at);
            if self.is_up(at) && self.behaviour != Behaviour::NoTraffic {
                self.request(factor, share);
            } else {
                // The same draws, so that the same seed brings the same requests whatever is done to them.
                self.draw();
            }
            self.next_request = at + self.wait();
        }
        self.now = self.now.max(to);
        self.start_due_processes(self.now);
    }

    fn wait(&mut self) -> f64 {
        // Inversion; `1 - u` lies in (0, 1], so that the logarithm is finite. No rate: never.
        -(1.0 - self.random.f64()).ln().min(-f64::MIN_POSITIVE) / self.rate
    }

    fn start_due_processes(&mut self, at: f64) {
        if let Some((round, length)) = self.round(at)
            && round > self.rounds
        {
            // More than one may have passed since the last request.
            let passed = round - self.rounds;
            self.rounds = round;
            self.restart(self.loop_from + round as f64 * length);
            self.restarts += passed - 1;
        }
    }

    /// Which round of a crash loop runs, and how long one takes.
    fn round(&self, at: f64) -> Option<(u64, f64)> {
        let Behaviour::CrashLoop {
            up_seconds,
            down_seconds,
        } = self.behaviour
        else {
            return None;
        };
        let length = up_seconds + down_seconds;
        Some((((at - self.loop_from) / length).max(0.0) as u64, length))
    }

    fn is_up(&self, at: f64) -> bool {
        match self.behaviour {
            Behaviour::Down => false,
            Behaviour::CrashLoop { up_seconds, .. } => {
                self.round(at).is_none_or(|(round, length)| {
                    at - self.loop_from - round as f64 * length < up_seconds
                })
            }
            _ => true,
        }
    }

    fn error_share(&mut self, at: f64) -> f64 {
        let burst = self
            .weather
            .as_mut()
            .is_some_and(|weather| weather.is_on(at));
        match self.behaviour {
            Behaviour::Errors { share } => share,
            Behaviour::ErrorStep { share, at_seconds } if at >= at_seconds => share,
            Behaviour::ErrorStep { .. } => 0.0,
            Behaviour::SharedBursts(bursts) | Behaviour::PodBursts(bursts) if burst => {
                bursts.share.max(HEALTHY_ERRORS)
            }
            _ => HEALTHY_ERRORS,
        }
    }

    fn latency_factor(&self, at: f64) -> f64 {
        match self.behaviour {
            Behaviour::Slow { factor, at_seconds } if at >= at_seconds => factor,
            Behaviour::ColdStart { factor, seconds } if at - self.started < seconds => factor,
            _ => 1.0,
        }
    }

    /// What is drawn for one request: route, latency, fate.
    fn draw(&mut self) -> (f64, f64, f64) {
        let random = &mut self.random;
        // Box and Muller, 1958: two even draws make a normal one.
        let radius = (-2.0 * (1.0 - random.f64()).ln()).sqrt();
        let normal = radius * (std::f64::consts::TAU * random.f64()).cos();
        (random.f64(), normal, random.f64())
    }

    fn request(&mut self, factor: f64, error_share: f64) {
        let (route, normal, fate) = self.draw();
        let mut passed = 0.0;
        let place = ROUTES
            .iter()
            .take(ROUTES.len() - 1)
            .take_while(|(_, share)| {
                passed += share;
                route >= passed
            });
        let route = &mut self.routes[place.count()];
        let seconds = factor * P95_SECONDS * (SIGMA * (normal - Z95)).exp();
        route.buckets[EDGES.partition_point(|edge| *edge < seconds)] += 1;
        route.sum_seconds += seconds;
        let status = match fate {
            fate if fate < error_share * 0.75 => 2,
            fate if fate < error_share => 3,
            fate if fate > 1.0 - NOT_FOUND * (1.0 - error_share) => 1,
            _ => 0,
        };
        route.statuses[status] += 1;
        self.cpu_of_requests += CPU_OF_REQUEST * factor;
    }

    /// The state at the moment up to which it has lived.
    pub(super) fn look(&self) -> Look {
        let age = self.now - self.started;
        let leak = match self.behaviour {
            Behaviour::Leak { mib_per_minute } => {
                mib_per_minute * (self.now - self.loop_from.max(self.started)) / 60.0
            }
            _ => 0.0,
        };
        let memory = 600.0 - 200.0 * (-age / 60.0).exp() + leak + self.memory_noise();
        Look {
            pod: Arc::clone(&self.name),
            side: self.side,
            up: self.is_up(self.now),
            started_seconds: self.started,
            restarts: self.restarts,
            cpu_seconds: CPU_IDLE * age + self.cpu_of_requests,
            memory_bytes: (memory * MIB).round().min(MEMORY_LIMIT),
            routes: self.routes,
        }
    }

    /// A few MiB up or down, another each second: drawn from the moment, not from the looks.
    fn memory_noise(&self) -> f64 {
        let mut random = Rng::with_seed(self.own_seed ^ self.now.floor().to_bits().rotate_left(17));
        (0..4).map(|_| random.f64() - 0.5).sum::<f64>() * 6.0
    }
}

/// Bursts over time. It looks forward only.
#[derive(Clone, Debug)]
struct Weather {
    bursts: Bursts,
    random: Rng,
    on: bool,
    until: f64,
}

impl Weather {
    /// Its beginning is that of the simulation, so that all who share a seed share their bursts.
    fn new(bursts: Bursts, seed: u64) -> Self {
        let mut random = Rng::with_seed(seed);
        let on = random.f64() < bursts.on_seconds / (bursts.on_seconds + bursts.off_seconds);
        let mut weather = Self {
            bursts,
            random,
            on,
            until: 0.0,
        };
        weather.until = weather.length();
        weather
    }

    fn length(&mut self) -> f64 {
        let mean = if self.on {
            self.bursts.on_seconds
        } else {
            self.bursts.off_seconds
        };
        (-mean * (1.0 - self.random.f64()).ln()).max(1e-3)
    }

    fn is_on(&mut self, at: f64) -> bool {
        while self.until <= at {
            self.on = !self.on;
            self.until += self.length();
        }
        self.on
    }
}
