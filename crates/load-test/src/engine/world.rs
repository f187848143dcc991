//! What all users of a run share.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use gs_common::http::{Client, Limits};
use http::header::{ACCEPT, HOST, USER_AGENT};
use http::{HeaderMap, HeaderValue, Uri};
use tokio::sync::Notify;

use super::Plan;
use super::recorder::{Frame, Recorder};
use super::request::Standing;
use super::sender::Dialer;
use super::trunk::Trunk;

/// What all users of a run share.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) plan: Plan,
    pub(crate) began: Instant,
    pub(crate) dialer: Dialer,
    /// Headers of every request; `host` among them.
    pub(crate) headers: HeaderMap,
    /// Headers of every request of a persona, by its index.
    pub(crate) standing: Vec<Standing>,
    /// Scheme and authority.
    pub(crate) origin: Uri,
    recorders: Vec<Mutex<Recorder>>,
    /// Connections that are shared, in the order of those who share them.
    trunks: Mutex<Vec<Arc<Trunk>>>,
    stopping: AtomicBool,
    stop: Notify,
    pub(crate) users: AtomicU64,
    pub(crate) users_most: AtomicU64,
    pub(crate) users_started: AtomicU64,
    trace_run: u64,
    trace_next: AtomicU64,
    cap: Option<Cap>,
}

/// What users may send at once after a silence, as a time at the cap's rate: timers wake many of them within the
/// same millisecond, and that is no rate yet.
const BURST_NANOS: u64 = 100_000_000;

/// Holds requests back where there would be too many: the generic cell rate algorithm (ITU-T I.371), which lets
/// through at most `(W + burst) / gap + 1` in any stretch `W`.
#[derive(Debug)]
struct Cap {
    gap_nanos: u64,
    next_nanos: AtomicU64,
}

impl World {
    pub(crate) fn new(plan: Plan, began: Instant) -> Self {
        let frame = Frame {
            began,
            warm_up: plan.warm_up,
            stages: plan.stages.clone(),
            personas: plan
                .personas
                .personas
                .iter()
                .map(|persona| persona.name.clone())
                .collect(),
            endpoints: plan.personas.endpoints.clone(),
            slow_limit: plan.slow_limit,
        };
        let recorders = (0..plan.threads.max(1))
            .map(|_| Mutex::new(Recorder::new(frame.clone())))
            .collect();
        let limits = Limits {
            total: plan.timeout,
            connect: plan.timeout,
            body: plan.max_body,
        };
        let client = Client::new(plan.client.clone());
        let dialer = Dialer::new(client, &plan, limits);
        let (headers, origin) = shared(&plan);
        let standing = plan
            .personas
            .personas
            .iter()
            .map(|persona| Standing::new(&headers, persona))
            .collect();
        let cap = plan.max_rate.map(|rate| Cap {
            gap_nanos: (1e9 / rate) as u64,
            next_nanos: AtomicU64::new(0),
        });
        Self {
            plan,
            began,
            dialer,
            headers,
            standing,
            origin,
            recorders,
            trunks: Mutex::default(),
            stopping: AtomicBool::new(false),
            stop: Notify::new(),
            users: AtomicU64::new(0),
            users_most: AtomicU64::new(0),
            users_started: AtomicU64::new(0),
            // Random and not seeded: two runs with one seed must not share traces.
            trace_run: fastrand::u64(1..),
            trace_next: AtomicU64::new(0),
            cap,
        }
    }

    /// The recorder of a user or connection with this number.
    pub(crate) fn recorder(&self, number: u64) -> MutexGuard<'_, Recorder> {
        let index = usize::try_from(number % self.recorders.len() as u64).unwrap_or(0);
        self.recorders[index]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// The connection that a user with this number, from 0, shares; `None` where each has its own. The
    /// first one is filled before the second is opened.
    pub(crate) fn trunk(&self, number: u64) -> Option<Arc<Trunk>> {
        if self.plan.streams <= 1 {
            return None;
        }
        let index = usize::try_from(number).unwrap_or(0) / self.plan.streams;
        let mut trunks = self.trunks.lock().unwrap_or_else(PoisonError::into_inner);
        if trunks.len() <= index {
            trunks.resize_with(index + 1, Arc::default);
        }
        trunks.get(index).cloned()
    }

    /// Every recorder in turn.
    pub(crate) fn each_recorder(&self, mut work: impl FnMut(&mut Recorder)) {
        for recorder in &self.recorders {
            work(&mut recorder.lock().unwrap_or_else(PoisonError::into_inner));
        }
    }

    /// Takes the recorders out; what is recorded afterwards is lost.
    pub(crate) fn take_recorders(&self) -> Vec<Recorder> {
        let empty = Frame {
            began: self.began,
            warm_up: Duration::ZERO,
            stages: Vec::new(),
            personas: Vec::new(),
            endpoints: Vec::new(),
            slow_limit: Duration::MAX,
        };
        let mut taken = Vec::new();
        self.each_recorder(|recorder| {
            taken.push(std::mem::replace(recorder, Recorder::new(empty.clone())));
        });
        taken
    }

    /// Requests on their way.
    pub(crate) fn open(&self) -> usize {
        let mut open = 0;
        self.each_recorder(|recorder| open += recorder.open());
        open
    }

    /// No new request from now on.
    pub(crate) fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
        self.stop.notify_waiters();
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// Sleeps until a moment; `false` where the run stops before.
    pub(crate) async fn sleep_until(&self, at: Instant) -> bool {
        let stopped = self.stop.notified();
        if self.is_stopping() {
            return false;
        }
        // The timer would round up to its next millisecond.
        if Instant::now() >= at {
            return true;
        }
        tokio::select! {
            () = tokio::time::sleep_until(at.into()) => !self.is_stopping(),
            () = stopped => false,
        }
    }

    /// The number of the next request in `traceparent`.
    pub(crate) fn trace(&self) -> u128 {
        let next = self.trace_next.fetch_add(1, Ordering::Relaxed);
        u128::from(self.trace_run) << 64 | u128::from(next)
    }

    /// The moment at which the next request may be sent, if that is later than now.
    pub(crate) fn held_until(&self, now: Instant) -> Option<Instant> {
        let cap = self.cap.as_ref()?;
        let earliest = u64::try_from(now.saturating_duration_since(self.began).as_nanos())
            .unwrap_or(u64::MAX / 2);
        // Slots are counted from a burst before the run: before it there was a silence too.
        let nanos = earliest.saturating_add(BURST_NANOS);
        let slot = cap
            .next_nanos
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |next| {
                Some(next.max(earliest) + cap.gap_nanos)
            })
            .unwrap_or(nanos);
        // The timer's grain is a millisecond; less is no reason to sleep.
        (slot > nanos + 1_000_000)
            .then(|| self.began + Duration::from_nanos(slot.saturating_sub(BURST_NANOS)))
    }

    pub(crate) fn user_began(&self) {
        self.users_started.fetch_add(1, Ordering::Relaxed);
        let now = self.users.fetch_add(1, Ordering::Relaxed) + 1;
        self.users_most.fetch_max(now, Ordering::Relaxed);
    }

    pub(crate) fn user_ended(&self) {
        self.users.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Headers of every request, and the origin.
fn shared(plan: &Plan) -> (HeaderMap, Uri) {
    let host = plan.target.host_str().unwrap_or_default();
    let authority = match plan.target.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    };
    let mut headers = HeaderMap::new();
    if let Ok(value) = HeaderValue::try_from(&authority) {
        headers.insert(HOST, value);
    }
    headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
    headers.insert(
        USER_AGENT,
        HeaderValue::from_static(concat!("load-test/", env!("CARGO_PKG_VERSION"))),
    );
    for (name, value) in &plan.headers {
        headers.insert(name.clone(), value.clone());
    }
    // A URL with a host and no path is a URI always; an empty one would be refused with the first request.
    let origin = format!("{}://{authority}", plan.target.scheme()).parse();
    (headers, origin.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cap_hands_out_slots_at_its_rate() {
        let plan = Plan {
            max_rate: Some(100.0),
            ..Plan::for_tests()
        };
        let began = Instant::now();
        let world = World::new(plan, began);
        let held: Vec<u128> = (0..100)
            .filter_map(|_| world.held_until(began))
            .map(|at| at.duration_since(began).as_millis())
            .collect();
        // After a silence, what comes within a millisecond is let through up to a tenth of a second's worth.
        assert_eq!((held.len(), held[0], held[88]), (100 - 11, 10, 890));
        let later = began + Duration::from_secs(10);
        let held = (0..100).filter_map(|_| world.held_until(later)).count();
        assert_eq!(held, 100 - 11);
    }

    #[test]
    fn traces_differ() {
        let world = World::new(Plan::for_tests(), Instant::now());
        assert_ne!(world.trace(), world.trace());
    }
}
