//! The simulation as a whole: state, listeners, and a handle to it.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::fault::{Asked, Faults};
use crate::metrics::Metrics;
use crate::plan::{Fault, Kind, Plan, Pod, Spread};
use crate::{control, server, tls};

/// What all connections share.
#[derive(Debug)]
pub struct World {
    seed: u64,
    prefix: String,
    began: Instant,
    began_at: jiff::Timestamp,
    pods: Mutex<Vec<(Pod, Instant)>>,
    turn: AtomicUsize,
    faults: Mutex<Faults>,
    metrics: Mutex<Metrics>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl World {
    fn new(plan: &Plan) -> Self {
        let now = Instant::now();
        Self {
            seed: plan.seed,
            prefix: plan.metrics_prefix.clone(),
            began: now,
            began_at: jiff::Timestamp::now(),
            pods: Mutex::new(plan.pods.iter().map(|pod| (pod.clone(), now)).collect()),
            turn: AtomicUsize::new(0),
            faults: Mutex::new(Faults::new(plan.faults.clone(), plan.seed)),
            metrics: Mutex::default(),
        }
    }

    /// The seed.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Seconds since the start.
    #[must_use]
    pub fn seconds(&self) -> f64 {
        self.began.elapsed().as_secs_f64()
    }

    /// Whose turn it is: the pods answer one after the other, request by request.
    pub fn next_pod(&self) -> usize {
        let pods = lock(&self.pods).len();
        self.turn.fetch_add(1, Ordering::Relaxed) % pods.max(1)
    }

    /// The version of a pod.
    #[must_use]
    pub fn version_of(&self, pod: usize) -> String {
        lock(&self.pods)
            .get(pod)
            .map_or_else(String::new, |(pod, _)| pod.version.clone())
    }

    /// Seconds that a pod has been up.
    #[must_use]
    pub fn uptime_of(&self, pod: usize) -> f64 {
        lock(&self.pods).get(pod).map_or(0.0, |(pod, since)| {
            pod.age_seconds as f64 + since.elapsed().as_secs_f64()
        })
    }

    /// The pods.
    #[must_use]
    pub fn pods(&self) -> Vec<Pod> {
        lock(&self.pods)
            .iter()
            .map(|(pod, _)| pod.clone())
            .collect()
    }

    /// Replaces the pods. A pod that stays as it was keeps running.
    pub fn set_pods(&self, pods: Vec<Pod>) {
        let mut running = lock(&self.pods);
        let now = Instant::now();
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
        lock(&self.faults).list().to_vec()
    }

    /// Replaces the faults; what they count starts anew.
    pub fn set_faults(&self, faults: Vec<Fault>) {
        *lock(&self.faults) = Faults::new(faults, self.seed);
    }

    /// What goes wrong with a request.
    pub fn meeting(&self, asked: Asked<'_>) -> Vec<Kind> {
        lock(&self.faults).meeting(asked)
    }

    /// Draws a wait in milliseconds.
    pub fn draw(&self, spread: &Spread) -> f64 {
        spread.draw(lock(&self.faults).random())
    }

    /// Counts an answer.
    pub fn served(&self, method: &str, endpoint: &str, status: u16, took: Duration) {
        lock(&self.metrics).served(method, endpoint, status, took);
    }

    /// Answers so far.
    #[must_use]
    pub fn total_served(&self) -> u64 {
        lock(&self.metrics).total()
    }

    /// Answers by endpoint.
    #[must_use]
    pub fn served_by_endpoint(&self) -> BTreeMap<String, u64> {
        lock(&self.metrics).by_endpoint()
    }

    /// What a scraper gets.
    #[must_use]
    pub fn metrics_text(&self) -> String {
        lock(&self.metrics).text(&self.prefix, self.began_at.as_millisecond() as f64 / 1e3)
    }
}

/// A running simulation on a thread of its own. Dropping it ends it.
#[derive(Debug)]
pub struct Sim {
    address: SocketAddr,
    control: SocketAddr,
    authority_pem: Option<String>,
    world: Arc<World>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Sim {
    /// Starts a simulation. It listens when this returns.
    ///
    /// # Errors
    /// The plan makes no sense, or an address cannot be listened on.
    pub fn start(plan: &Plan) -> io::Result<Self> {
        plan.check()
            .map_err(|why| io::Error::new(io::ErrorKind::InvalidInput, why))?;
        let material = plan
            .tls
            .map(tls::make)
            .transpose()
            .map_err(io::Error::other)?;
        let world = Arc::new(World::new(plan));
        let service = std::net::TcpListener::bind(&plan.listen)?;
        let orders = std::net::TcpListener::bind(&plan.control)?;
        let (address, control) = (service.local_addr()?, orders.local_addr()?);
        service.set_nonblocking(true)?;
        orders.set_nonblocking(true)?;
        let (stop, stopped) = oneshot::channel::<()>();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let shared = Arc::clone(&world);
        let (acceptor, authority_pem) = material
            .map(|made| (made.acceptor, made.authority_pem))
            .unzip();
        let thread = std::thread::Builder::new()
            .name("gs-sim".to_owned())
            .spawn(move || {
                runtime.block_on(async move {
                    let (Ok(service), Ok(orders)) = (
                        TcpListener::from_std(service),
                        TcpListener::from_std(orders),
                    ) else {
                        return;
                    };
                    tokio::spawn(server::serve(service, Arc::clone(&shared), acceptor));
                    tokio::spawn(control::serve(orders, shared));
                    // Ends with the handle, whichever way that goes.
                    let _ = stopped.await;
                });
            })?;
        Ok(Self {
            address,
            control,
            authority_pem,
            world,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// The service's address.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The service's URL.
    #[must_use]
    pub fn url(&self) -> String {
        let scheme = if self.authority_pem.is_some() {
            "https"
        } else {
            "http"
        };
        format!("{scheme}://{}", self.address)
    }

    /// The control listener's URL.
    #[must_use]
    pub fn control_url(&self) -> String {
        format!("http://{}", self.control)
    }

    /// The authority that clients have to trust, as PEM; `None` without TLS.
    #[must_use]
    pub fn authority_pem(&self) -> Option<&str> {
        self.authority_pem.as_deref()
    }

    /// The state, to look at or to change.
    #[must_use]
    pub fn world(&self) -> &World {
        &self.world
    }
}

impl Drop for Sim {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic there has been printed already.
            let _ = thread.join();
        }
    }
}
