//! The simulation as a whole: listeners on a thread of their own, and a handle to them.

use std::fmt::Display;
use std::io;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use crate::metrics::Served;
use crate::plan::{Fault, Plan, Pod};
use crate::world::World;
use crate::{control, server, tls};

/// How long a count is waited for.
const COUNTED_WITHIN: Duration = Duration::from_secs(10);

/// A running simulation on a thread of its own. Dropping it ends it, and every connection to it.
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
    /// The plan makes no sense (`InvalidInput`), or an address cannot be listened on.
    pub fn start(plan: &Plan) -> io::Result<Self> {
        plan.check()
            .map_err(|why| io::Error::new(io::ErrorKind::InvalidInput, why))?;
        let (acceptor, authority_pem) = match plan.tls {
            None => (None, None),
            Some(mode) => {
                tls::make(mode).map(|made| (Some(made.acceptor), Some(made.authority_pem)))?
            }
        };
        let world = Arc::new(World::new(plan));
        let (service, orders) = (
            listen(plan.listen.as_str())?,
            listen(plan.control.as_str())?,
        );
        let (address, control) = (service.local_addr()?, orders.local_addr()?);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let (service, orders) = {
            let _inside = runtime.enter();
            (
                tokio::net::TcpListener::from_std(service)?,
                tokio::net::TcpListener::from_std(orders)?,
            )
        };
        let (stop, stopped) = oneshot::channel::<()>();
        let shared = Arc::clone(&world);
        let thread = std::thread::Builder::new()
            .name("gs-sim".to_owned())
            .spawn(move || {
                runtime.block_on(async move {
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

    /// The service's URL, without a slash at the end.
    #[must_use]
    pub fn url(&self) -> String {
        let scheme = if self.authority_pem.is_some() {
            "https"
        } else {
            "http"
        };
        format!("{scheme}://{}", self.address)
    }

    /// The URL of a WebSocket channel, or of any path.
    #[must_use]
    pub fn ws_url(&self, path: &str) -> String {
        let scheme = if self.authority_pem.is_some() {
            "wss"
        } else {
            "ws"
        };
        format!("{scheme}://{}{path}", self.address)
    }

    /// The control listener's URL, without a slash at the end.
    #[must_use]
    pub fn control_url(&self) -> String {
        format!("http://{}", self.control)
    }

    /// The authority that clients have to trust, as PEM; `None` without TLS.
    #[must_use]
    pub fn authority_pem(&self) -> Option<&str> {
        self.authority_pem.as_deref()
    }

    /// Writes the authority to a file, for clients that take one.
    ///
    /// # Errors
    /// There is no TLS, or the file cannot be written.
    pub fn write_authority(&self, path: &Path) -> io::Result<()> {
        let pem = self
            .authority_pem()
            .ok_or_else(|| io::Error::other("this simulation speaks no TLS"))?;
        write_whole(path, pem)
    }

    /// Replaces the faults. What they count and draw begins anew.
    pub fn set_faults(&self, faults: impl IntoIterator<Item = Fault>) {
        self.world.set_faults(faults.into_iter().collect());
    }

    /// Replaces the pods; an empty list changes nothing.
    pub fn set_pods(&self, pods: impl IntoIterator<Item = Pod>) {
        self.world.set_pods(pods.into_iter().collect());
    }

    /// The answers so far, by route and status.
    #[must_use]
    pub fn served(&self) -> Vec<Served> {
        self.world.served_list()
    }

    /// How often a route answered, with whatever status. `method` is `WS` for a WebSocket's handshake.
    #[must_use]
    pub fn count(&self, method: &str, endpoint: &str) -> u64 {
        count(&self.served(), method, endpoint)
    }

    /// [`Self::served`], once it is at least so many answers; after ten seconds, whatever it is by then.
    /// An answer is counted when all of it was sent: its client may have read it a moment before.
    #[must_use]
    pub fn served_once(&self, at_least: u64) -> Vec<Served> {
        self.world.served_once(COUNTED_WITHIN, |all| {
            all.iter().map(|served| served.count).sum::<u64>() >= at_least
        })
    }

    /// [`Self::count`], once it is at least so much, as [`Self::served_once`] waits.
    #[must_use]
    pub fn count_once(&self, method: &str, endpoint: &str, at_least: u64) -> u64 {
        let enough = |all: &[Served]| count(all, method, endpoint) >= at_least;
        let all = self.world.served_once(COUNTED_WITHIN, enough);
        count(&all, method, endpoint)
    }

    /// The state, to look at or to change.
    #[must_use]
    pub fn world(&self) -> &World {
        &self.world
    }

    /// Ends the simulation and waits until its listeners are closed.
    pub fn stop(self) {
        drop(self);
    }
}

fn count(all: &[Served], method: &str, endpoint: &str) -> u64 {
    all.iter()
        .filter(|served| served.method == method && served.endpoint == endpoint)
        .map(|served| served.count)
        .sum()
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

pub(crate) fn listen(address: impl ToSocketAddrs + Display) -> io::Result<TcpListener> {
    let listener = TcpListener::bind(&address)
        .map_err(|error| io::Error::new(error.kind(), format!("{address}: {error}")))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Writes a file beside its place and renames it, so that nobody reads half of it.
pub(crate) fn write_whole(path: &Path, text: &str) -> io::Result<()> {
    use std::io::Write as _;
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.part", std::process::id()));
    let beside = path.with_file_name(name);
    let written = std::fs::File::create(&beside)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .and_then(|()| std::fs::rename(&beside, path));
    if written.is_err() {
        // It may not be there at all.
        let _ = std::fs::remove_file(&beside);
    }
    written
}
