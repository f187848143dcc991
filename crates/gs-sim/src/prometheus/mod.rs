//! A query listener that answers `/api/v1/query` and its kin from the history of a rollout, or goes
//! wrong as told. For tests of whoever asks Prometheus.
//!
//! ```
//! use gs_sim::prometheus::{Misbehaving, Mood};
//! use gs_sim::rollout::{Rollout, RolloutPlan};
//!
//! let rollout = Rollout::start(&RolloutPlan::default())?;
//! let prometheus = Misbehaving::start(rollout.history())?;
//! println!("ask {}", prometheus.url());
//! prometheus.set(Mood::Html);
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! Its right answers know selectors only (`metric{label="value"}[5m] offset 1m`, also with `=~`, `!=`
//! and `!~`), numbers and `time()`; a function is answered with 400, as a wrong query is. Series become
//! stale as in Prometheus: one that the newest scrape has not is gone, and 5 minutes after the last
//! scrape all are.

mod answer;
mod mood;
mod selector;

use std::collections::VecDeque;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::{oneshot, watch};

use crate::exchange::{self, Reply};
use crate::rollout::History;
use crate::server::Request;
use crate::sim::listen;
use answer::{Store, Wrong};
pub use mood::Mood;
use mood::{page, spoil};

/// What was asked is remembered up to so many requests; the oldest are forgotten first.
const MOST_ASKED: usize = 1000;

/// A port opens or closes sooner.
const LONGEST_CHANGE: Duration = Duration::from_secs(5);

/// A request that came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The method.
    pub method: String,
    /// The path without query.
    pub path: String,
    /// The members of the query and of a form, decoded.
    pub params: Vec<(String, String)>,
    /// Headers with lowercase names, in order.
    pub headers: Vec<(String, String)>,
}

impl Asked {
    /// The first member of this name.
    #[must_use]
    pub fn param(&self, name: &str) -> Option<&str> {
        of_name(&self.params, name)
    }

    /// The first header of this lowercase name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        of_name(&self.headers, name)
    }
}

fn of_name<'a>(pairs: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let found = pairs.iter().find(|(other, _)| other == name);
    found.map(|(_, value)| value.as_str())
}

#[derive(Debug, Default)]
struct State {
    mood: Mood,
    /// Moods of the next answers, before the standing one.
    next: VecDeque<Mood>,
    /// The `authorization` header without which the answer is 401.
    demanded: Option<String>,
    asked: VecDeque<Asked>,
}

/// Whether the port is open. A plain condition variable: callers may stand in a runtime of their own.
#[derive(Debug)]
struct Listens(Mutex<bool>, Condvar);

impl Listens {
    fn set(&self, up: bool) {
        *lock(&self.0) = up;
        self.1.notify_all();
    }

    fn wait_for(&self, up: bool) {
        let waited = self
            .1
            .wait_timeout_while(lock(&self.0), LONGEST_CHANGE, |now| *now != up);
        // Past it, somebody else has taken the port: connections show it.
        drop(waited);
    }
}

/// A running query listener on a thread of its own. Dropping it ends it.
#[derive(Debug)]
pub struct Misbehaving {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    /// Whether it is to listen, and whether it does.
    listening: watch::Sender<bool>,
    listens: Arc<Listens>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Misbehaving {
    /// Starts a listener on a free port of the loopback. Its mood is [`Mood::Right`].
    ///
    /// # Errors
    /// It cannot listen.
    pub fn start(history: History) -> io::Result<Self> {
        Self::start_at((Ipv4Addr::LOCALHOST, 0).into(), history)
    }

    /// The same on this address.
    ///
    /// # Errors
    /// It cannot listen.
    pub fn start_at(address: SocketAddr, history: History) -> io::Result<Self> {
        let listener = listen(address)?;
        let address = listener.local_addr()?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let listener = {
            let _inside = runtime.enter();
            TcpListener::from_std(listener)?
        };
        let state = Arc::<Mutex<State>>::default();
        let (stop, stopped) = oneshot::channel::<()>();
        let (listening, wanted) = watch::channel(true);
        let listens = Arc::new(Listens(Mutex::new(true), Condvar::new()));
        let reached = Arc::clone(&listens);
        let shared = Arc::clone(&state);
        let thread = std::thread::Builder::new()
            .name("gs-sim-prometheus".to_owned())
            .spawn(move || {
                runtime.block_on(async move {
                    tokio::spawn(up_and_down(
                        listener, address, wanted, reached, history, shared,
                    ));
                    // Ends with the handle, whichever way that goes.
                    let _ = stopped.await;
                });
            })?;
        Ok(Self {
            address,
            state,
            listening,
            listens,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// The address, also while nobody listens there.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL, without a slash at the end.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Changes the mood, from the next request on; what [`Self::set_next`] left is forgotten.
    pub fn set(&self, mood: Mood) {
        let up = mood != Mood::Down;
        {
            let mut state = lock(&self.state);
            state.next.clear();
            state.mood = mood;
        }
        let changed = self.listening.send_replace(up) != up;
        if changed {
            // Until the port is closed or open, so that the next connection sees it.
            self.listens.wait_for(up);
        }
    }

    /// Answers the next requests in these moods, one each, then as before. `Down` is `Silent` here.
    pub fn set_next(&self, moods: impl IntoIterator<Item = Mood>) {
        lock(&self.state).next = moods.into_iter().collect();
    }

    /// Answers 401 to whoever does not send exactly this `authorization` header; `None` for everybody.
    pub fn demand(&self, authorization: Option<&str>) {
        lock(&self.state).demanded = authorization.map(str::to_owned);
    }

    /// The requests that came, the oldest first.
    #[must_use]
    pub fn asked(&self) -> Vec<Asked> {
        lock(&self.state).asked.iter().cloned().collect()
    }

    /// Ends the listener and waits until it is closed.
    pub fn stop(self) {
        drop(self);
    }
}

impl Drop for Misbehaving {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic there has been printed already.
            let _ = thread.join();
        }
    }
}

/// Serves, or has the port closed, as wanted.
async fn up_and_down(
    listener: TcpListener,
    address: SocketAddr,
    mut wanted: watch::Receiver<bool>,
    reached: Arc<Listens>,
    history: History,
    state: Arc<Mutex<State>>,
) {
    let mut first = Some(listener);
    loop {
        let listener = match first.take() {
            Some(listener) => listener,
            None => match TcpListener::bind(address).await {
                Ok(listener) => listener,
                // Somebody else may have taken the port for a moment.
                Err(_) => {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                    continue;
                }
            },
        };
        reached.set(true);
        let (history, state) = (history.clone(), Arc::clone(&state));
        let serving = exchange::serve(listener, move |request| {
            answer_to(request, &history, &state)
        });
        let down = wanted.wait_for(|up| !up);
        tokio::select! {
            () = serving => return,
            done = down => if done.is_err() { return },
        }
        reached.set(false);
        if wanted.wait_for(|up| *up).await.is_err() {
            return;
        }
    }
}

fn answer_to(request: &Request, history: &History, state: &Mutex<State>) -> Reply {
    let mut params = exchange::form(&request.query);
    if request.method == "POST" {
        params.extend(exchange::form(&String::from_utf8_lossy(&request.body)));
    }
    let mood = {
        let mut state = lock(state);
        if state.asked.len() == MOST_ASKED {
            state.asked.pop_front();
        }
        state.asked.push_back(Asked {
            method: request.method.clone(),
            path: request.path.clone(),
            params: params.clone(),
            headers: request.headers.clone(),
        });
        let refused = state
            .demanded
            .as_deref()
            .is_some_and(|demanded| request.header("authorization") != Some(demanded));
        match state.next.pop_front() {
            Some(mood) => mood,
            None if refused => Mood::Status(401),
            None => state.mood.clone(),
        }
    };
    if request.path == "/login" {
        return page("Log in");
    }
    let ahead = if let Mood::ClockAhead(seconds) = mood {
        seconds
    } else {
        0
    };
    let store = Store {
        history,
        ahead_seconds: ahead as f64,
    };
    spoil(&mood, right(request, &params, &store))
}

/// The right answer: `data`, or a reply of its own.
fn right(request: &Request, params: &answer::Params, store: &Store<'_>) -> Result<Value, Reply> {
    let data = match (request.method.as_str(), request.path.as_str()) {
        ("GET" | "POST", "/api/v1/query") => store.instant(params),
        ("GET" | "POST", "/api/v1/query_range") => store.over_time(params),
        ("GET" | "POST", "/api/v1/series") => store.series(params),
        ("GET", "/api/v1/status/buildinfo") => {
            Ok(json!({"version": "3.0.0", "revision": "gs-sim"}))
        }
        ("GET", "/-/healthy" | "/-/ready") => {
            return Err(Reply::new(
                200,
                "text/plain",
                "Prometheus Server is Ready.\n",
            ));
        }
        ("GET", path) => match path
            .strip_prefix("/api/v1/label/")
            .and_then(|rest| rest.strip_suffix("/values"))
        {
            Some(label) => Ok(store.values_of(label)),
            None => return Err(Reply::new(404, "text/plain", "404 page not found\n")),
        },
        _ => return Err(Reply::new(405, "text/plain", "Method Not Allowed\n")),
    };
    data.map_err(|Wrong(kind, why)| {
        Reply::json(
            400,
            &json!({"status": "error", "errorType": kind, "error": why}),
        )
    })
}
