//! A simulated rollout: stable and canary pods with traffic of their own, whose counters a scraper reads.
//!
//! ```
//! use gs_sim::rollout::{Behaviour, Rollout, RolloutPlan};
//!
//! let slow = Behaviour::parse_short("slow,factor=2")?;
//! let rollout = Rollout::start(&RolloutPlan::new(6, 1, 20.0, slow).with_time_scale(20.0))?;
//! println!("scrape {}", rollout.page_url("canary-0"));
//! rollout.behave(None, Behaviour::Healthy)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The traffic has no sockets: each pod draws the moments, routes, latencies and fates of its requests
//! from its seed. Only the pages are served over HTTP. In reading order: `plan` and `behaviour` say
//! what to simulate, `pod` is the life of one of them, [`Simulation`] all of them without a clock,
//! `page` what a scraper reads, `serve` the listener, `history` what a query listener answers from.
//!
//! With a time scale of 1 everything is exact. A larger one makes everything happen so many times
//! sooner: a scraper that knows nothing of it sees rates (of requests, of CPU time, of a leak) that are
//! so many times higher, and a start of the process that lies so many times nearer. Shares, latencies
//! and memory stay as they are.

mod behaviour;
mod history;
mod page;
mod plan;
mod pod;
mod serve;
mod simulation;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::sync::oneshot;

pub use behaviour::{Behaviour, Bursts};
pub use history::History;
pub(crate) use history::Scrape;
pub use plan::{Away, PodPlan, RolloutPlan, Side};
pub use pod::Look;
pub use simulation::{Clock, Simulation};

use crate::sim::listen;
use serve::Stage;

/// A running rollout on a thread of its own. Dropping it ends it.
#[derive(Debug)]
pub struct Rollout {
    address: SocketAddr,
    stage: Arc<Stage>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Rollout {
    /// Starts a rollout. It listens when this returns.
    ///
    /// # Errors
    /// The plan makes no sense (`InvalidInput`), or its address cannot be listened on.
    pub fn start(plan: &RolloutPlan) -> io::Result<Self> {
        plan.check().map_err(invalid)?;
        let listener = listen(plan.listen)?;
        let address = listener.local_addr()?;
        let stage = Arc::new(Stage::new(plan, address).map_err(invalid)?);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let listener = {
            let _inside = runtime.enter();
            tokio::net::TcpListener::from_std(listener)?
        };
        let (stop, stopped) = oneshot::channel::<()>();
        let shared = Arc::clone(&stage);
        let thread = std::thread::Builder::new()
            .name("gs-sim-rollout".to_owned())
            .spawn(move || {
                runtime.block_on(async move {
                    tokio::spawn(serve::record(Arc::clone(&shared)));
                    tokio::spawn(serve::serve(listener, shared));
                    // Ends with the handle, whichever way that goes.
                    let _ = stopped.await;
                });
            })?;
        Ok(Self {
            address,
            stage,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// The listener's address.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The listener's URL, without a slash at the end. It takes orders, too.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Where Prometheus finds the targets (`http_sd_configs`).
    #[must_use]
    pub fn targets_url(&self) -> String {
        format!("{}/targets", self.url())
    }

    /// Where the page of a pod is.
    #[must_use]
    pub fn page_url(&self, pod: &str) -> String {
        format!("{}/pods/{pod}/metrics", self.url())
    }

    /// The state of all pods, now.
    #[must_use]
    pub fn looks(&self) -> Vec<Look> {
        self.stage.now(|simulation| simulation.looks())
    }

    /// Simulated seconds since the start.
    #[must_use]
    pub fn seconds(&self) -> f64 {
        self.stage.now(|simulation| simulation.seconds())
    }

    /// How simulated time and the wall clock's time belong together.
    #[must_use]
    pub fn clock(&self) -> Clock {
        self.stage.clock()
    }

    /// What was to be seen over time; it grows while the rollout runs.
    #[must_use]
    pub fn history(&self) -> History {
        self.stage.history()
    }

    /// Changes the behaviour of a pod, or of the rollout: see [`Simulation::behave`].
    ///
    /// # Errors
    /// There is no such pod, or the behaviour makes no sense.
    pub fn behave(&self, pod: Option<&str>, behaviour: Behaviour) -> Result<(), String> {
        self.stage
            .now(|simulation| simulation.behave(pod, behaviour))
    }

    /// Ends the process of a pod and starts it again: its counters begin at zero.
    ///
    /// # Errors
    /// There is no such pod.
    pub fn restart(&self, pod: &str) -> Result<(), String> {
        self.stage.now(|simulation| simulation.restart(pod))
    }

    /// Replaces a pod by a new one; its name is the answer.
    ///
    /// # Errors
    /// There is no such pod.
    pub fn replace(&self, pod: &str) -> Result<String, String> {
        self.stage.now(|simulation| simulation.replace(pod))
    }

    /// Renames the HTTP metrics.
    ///
    /// # Errors
    /// The prefix is neither empty nor `goldensignals_`.
    pub fn rename(&self, prefix: &str) -> Result<(), String> {
        self.stage.now(|simulation| simulation.rename(prefix))
    }

    /// Ends the rollout and waits until its listener is closed.
    pub fn stop(self) {
        drop(self);
    }
}

impl Drop for Rollout {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic there has been printed already.
            let _ = thread.join();
        }
    }
}

fn invalid(why: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, why)
}
