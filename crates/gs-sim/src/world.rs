//! What all connections share: the pods, the faults, the counters.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::time::sleep;

use crate::fault::{Asked, Faults, Met};
use crate::metrics::{Metrics, Served};
use crate::plan::{Balance, Fault, Plan, Pod};

/// A stalled process looks so often whether it may go on.
const STALL_CHECK: Duration = Duration::from_millis(10);

/// The state of a simulation. It can be looked at and changed while the simulation runs.
#[derive(Debug)]
pub struct World {
    seed: u64,
    prefix: String,
    balance: Balance,
    wrapped_signals: bool,
    began: Instant,
    began_at: Timestamp,
    pods: Mutex<Vec<(Pod, Instant)>>,
    /// Whose turn it is.
    next: AtomicUsize,
    request_ids: AtomicU64,
    faults: Mutex<Faults>,
    /// Spares healthy requests the look at the faults.
    may_stall: AtomicBool,
    metrics: Mutex<Metrics>,
    /// Told after each answer that was counted.
    counted: Condvar,
    total_served: AtomicU64,
}

/// The pod that is to answer, as it is now.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Turn {
    pub pod: usize,
    pub version: String,
    pub uptime_seconds: f64,
}

/// A thread that panicked while it held a lock leaves counters that are good enough.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl World {
    pub(crate) fn new(plan: &Plan) -> Self {
        let now = Instant::now();
        let faults = Faults::new(plan.faults.clone(), plan.seed);
        Self {
            seed: plan.seed,
            prefix: plan.metrics_prefix.clone(),
            balance: plan.balance,
            wrapped_signals: plan.wrapped_signals,
            began: now,
            began_at: Timestamp::now(),
            pods: Mutex::new(plan.pods.iter().map(|pod| (pod.clone(), now)).collect()),
            next: AtomicUsize::new(0),
            request_ids: AtomicU64::new(1),
            may_stall: AtomicBool::new(faults.may_stall()),
            faults: Mutex::new(faults),
            metrics: Mutex::default(),
            counted: Condvar::new(),
            total_served: AtomicU64::new(0),
        }
    }

    pub(crate) fn seed(&self) -> u64 {
        self.seed
    }

    pub(crate) fn wrapped_signals(&self) -> bool {
        self.wrapped_signals
    }

    /// Seconds since the start: the clock of the faults' windows.
    #[must_use]
    pub fn seconds(&self) -> f64 {
        self.began.elapsed().as_secs_f64()
    }

    /// A request id that nobody had before.
    pub(crate) fn next_request_id(&self) -> String {
        format!(
            "sim-{:08x}",
            self.request_ids.fetch_add(1, Ordering::Relaxed)
        )
    }

    /// The pod that a new connection stays with, if connections do.
    pub(crate) fn home(&self) -> Option<usize> {
        (self.balance == Balance::Connection).then(|| self.next.fetch_add(1, Ordering::Relaxed))
    }

    /// Who answers the next request of a connection.
    pub(crate) fn turn(&self, home: Option<usize>) -> Turn {
        let next = home.unwrap_or_else(|| self.next.fetch_add(1, Ordering::Relaxed));
        let pods = lock(&self.pods);
        // There is always one.
        let pod = next % pods.len().max(1);
        pods.get(pod).map_or(
            Turn {
                pod,
                version: String::new(),
                uptime_seconds: 0.0,
            },
            |(running, since)| Turn {
                pod,
                version: running.version.clone(),
                uptime_seconds: running.age_seconds as f64 + since.elapsed().as_secs_f64(),
            },
        )
    }

    /// The pods.
    #[must_use]
    pub fn pods(&self) -> Vec<Pod> {
        lock(&self.pods)
            .iter()
            .map(|(pod, _)| pod.clone())
            .collect()
    }

    /// Replaces the pods. One that stays as it was, at the same place, keeps running; any other starts
    /// now. A service without pods cannot be: an empty list changes nothing.
    pub fn set_pods(&self, pods: Vec<Pod>) {
        if pods.is_empty() {
            return;
        }
        let now = Instant::now();
        let mut running = lock(&self.pods);
        *running = pods
            .into_iter()
            .enumerate()
            .map(|(index, pod)| match running.get(index) {
                Some((old, since)) if *old == pod => (pod, *since),
                _ => (pod, now),
            })
            .collect();
    }

    /// The faults in force.
    #[must_use]
    pub fn faults(&self) -> Vec<Fault> {
        lock(&self.faults).list()
    }

    /// Replaces the faults. What they count and draw begins anew; the clock of their windows does not.
    pub fn set_faults(&self, faults: Vec<Fault>) {
        let faults = Faults::new(faults, self.seed);
        let mut current = lock(&self.faults);
        self.may_stall.store(faults.may_stall(), Ordering::Relaxed);
        *current = faults;
    }

    /// What goes wrong with a request.
    pub(crate) fn meet(&self, asked: Asked<'_>) -> Met {
        lock(&self.faults).meet(asked)
    }

    /// Waits while the whole process stalls.
    pub(crate) async fn while_stalled(&self) {
        while self.may_stall.load(Ordering::Relaxed) && lock(&self.faults).stalled(self.seconds()) {
            sleep(STALL_CHECK).await;
        }
    }

    pub(crate) fn served(&self, method: &str, endpoint: &'static str, status: u16, took: Duration) {
        self.total_served.fetch_add(1, Ordering::Relaxed);
        lock(&self.metrics).served(method, endpoint, status, took);
        self.counted.notify_all();
    }

    pub(crate) fn handshake(&self, endpoint: &'static str, status: u16) {
        lock(&self.metrics).handshake(endpoint, status);
        self.counted.notify_all();
    }

    /// HTTP answers so far, whole or cut short; connections broken off before an answer are none.
    #[must_use]
    pub fn total_served(&self) -> u64 {
        self.total_served.load(Ordering::Relaxed)
    }

    /// The answers by route and status, WebSocket handshakes among them.
    #[must_use]
    pub fn served_list(&self) -> Vec<Served> {
        lock(&self.metrics).list()
    }

    /// The same as soon as it is enough, or the time is over.
    pub(crate) fn served_once(
        &self,
        within: Duration,
        mut enough: impl FnMut(&[Served]) -> bool,
    ) -> Vec<Served> {
        let metrics = lock(&self.metrics);
        let waited = self
            .counted
            .wait_timeout_while(metrics, within, |metrics| !enough(&metrics.list()));
        let (metrics, _) = waited.unwrap_or_else(PoisonError::into_inner);
        metrics.list()
    }

    /// The answers by route, whatever the method and status; WebSocket handshakes by channel.
    #[must_use]
    pub fn served_by_endpoint(&self) -> BTreeMap<String, u64> {
        let mut counts = BTreeMap::new();
        for served in self.served_list() {
            *counts.entry(served.endpoint.to_owned()).or_insert(0) += served.count;
        }
        counts
    }

    /// What a scraper gets.
    pub(crate) fn metrics_text(&self) -> String {
        let versions: Vec<String> = self.pods().into_iter().map(|pod| pod.version).collect();
        lock(&self.metrics).text(
            &self.prefix,
            &versions,
            self.began_at.as_millisecond() as f64 / 1e3,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pods_take_turns_by_request_or_by_connection() {
        let mut plan = Plan::with_pods(&["1", "2", "3"]);
        let turns = |plan: &Plan| {
            let world = World::new(plan);
            let home = world.home();
            (0..4).map(|_| world.turn(home).version).collect::<Vec<_>>()
        };
        assert_eq!(turns(&plan), ["1", "2", "3", "1"]);
        plan.balance = Balance::Connection;
        assert_eq!(turns(&plan), ["1", "1", "1", "1"]);
        let world = World::new(&plan);
        assert_eq!(
            [(); 4].map(|()| world.home()),
            [Some(0), Some(1), Some(2), Some(3)]
        );
    }

    #[test]
    fn a_pod_that_stays_keeps_running() {
        let world = World::new(&Plan::with_pods(&["1", "1"]));
        let began = lock(&world.pods)[0].1;
        world.set_pods(vec![Pod::new("1"), Pod::new("2")]);
        let pods = lock(&world.pods);
        assert_eq!(pods[0].1, began);
        assert_ne!(pods[1].1, began);
    }

    #[test]
    fn there_is_always_a_pod() {
        let world = World::new(&Plan::default());
        world.set_pods(Vec::new());
        assert_eq!(world.pods().len(), 1);
    }
}
