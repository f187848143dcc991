//! One check against the world: tries, retries, limits. The only place of this crate that talks to
//! the target.

mod http;
mod routes;
mod version;
mod websocket;

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use gs_common::backoff::Backoff;
use gs_common::http::{Client, Failure, FailureKind, Limits, Phases};
use gs_common::redact::Redactor;
use gs_common::report::{Broken, Evidence, Try, millis};
use gs_common::verdict::Verdict;
use jiff::Timestamp;
use serde_json::{Map, Value};
use tokio::time::Instant;
use url::Url;

use crate::judge::{self, reason};
use crate::suite::Scope;
use crate::suite::model::{Check, Probe, Template};

pub use routes::openapi_checks;

/// After so many dead tries in a row without one sign of life, the target is taken for dead.
const DEAD_AFTER: u32 = 3;

/// The share of the run's deadline that one try may take, so that a silent service is told as
/// silent and not as a deadline.
const SHARE_OF_DEADLINE: f64 = 0.8;

/// What all checks of a run share.
#[derive(Debug)]
pub struct World {
    /// The service.
    pub url: Url,
    /// The client.
    pub client: Client,
    /// What must appear in no output.
    pub redactor: Redactor,
    /// Secret headers of every request.
    pub secret_headers: Vec<gs_common::way::SecretHeader>,
    /// Identifies this run in the service's logs.
    pub run_id: String,
    /// Largest body.
    pub max_body: usize,
    /// When the run began.
    pub began: Instant,
    /// The same by the clock on the wall.
    pub began_at: Timestamp,
    /// How long the run may take.
    pub deadline: Duration,
    /// Seed of the jitter.
    pub seed: u64,
    /// Variables and captures.
    pub scope: Mutex<Scope>,
    /// Something answered once.
    pub alive: AtomicBool,
    /// Dead tries so far.
    pub dead_tries: AtomicU32,
}

/// What one try found out.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// The assertions that do not hold, the deciding one first.
    pub broken: Vec<Broken>,
    /// Where the time went.
    pub phases: Phases,
    /// What proves it.
    pub evidence: Vec<Evidence>,
    /// What later checks may use: name, value, secret.
    pub captured: Vec<(String, String, bool)>,
    /// What `diff` compares.
    pub facts: Map<String, Value>,
    /// The same try may pass a moment later.
    pub worth_a_retry: bool,
    /// What the server asked for by `Retry-After`.
    pub retry_after: Option<Duration>,
}

/// What a check came to.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// The last try.
    pub seen: Seen,
    /// All tries.
    pub tries: Vec<Try>,
    /// Wall time with the waits.
    pub took: Duration,
}

/// Where an unfinished check keeps what it has found, for the moment when the run is cut off.
pub type Progress = Arc<Mutex<Outcome>>;

impl World {
    /// A copy of the values for templates.
    pub fn scope(&self) -> Scope {
        self.scope
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Takes over what a check captured.
    pub fn capture(&self, captured: &[(String, String, bool)]) {
        let mut scope = self.scope.lock().unwrap_or_else(PoisonError::into_inner);
        for (name, value, _) in captured {
            scope.insert(name.clone(), value.clone());
        }
    }

    /// Whether the target is dead: several tries in vain, and never an answer.
    pub fn is_dead(&self) -> bool {
        !self.alive.load(Ordering::Relaxed) && self.dead_tries.load(Ordering::Relaxed) >= DEAD_AFTER
    }

    fn lived(&self) {
        self.alive.store(true, Ordering::Relaxed);
    }

    /// Limits of one try of a check.
    fn limits(&self, check: &Check) -> Limits {
        let total = self.within(check.timeout);
        Limits {
            total,
            connect: total,
            body: self.max_body,
        }
    }

    /// A wait that leaves the run time to tell of it.
    fn within(&self, wanted: Duration) -> Duration {
        wanted.min(self.deadline.mul_f64(SHARE_OF_DEADLINE))
    }

    /// The URL of a path.
    fn address(&self, path: &str) -> Result<Url, Broken> {
        self.url
            .join(path)
            .ok()
            .filter(|url| url.origin() == self.url.origin())
            .ok_or_else(|| {
                judge::broken(
                    Verdict::Inconclusive,
                    reason::NOT_RUN,
                    format!("`{}` is no path on the target", judge::one_line(path)),
                )
            })
    }

    /// Fills a template; the error names the value that is missing.
    fn fill(&self, template: &Template, scope: &Scope) -> Result<String, Broken> {
        template.fill(scope).map_err(|name| {
            let message = format!("`{{{{{name}}}}}` has no value: nothing captured it");
            judge::broken(Verdict::Inconclusive, reason::UNMET_NEED, message)
        })
    }

    /// A failed request as a try.
    fn failed(&self, failure: &Failure, severity: Verdict) -> Seen {
        let mut broken = judge::failure(failure);
        if broken.verdict == Verdict::Fail {
            broken.verdict = severity;
        }
        let answered = failure.partial.is_some()
            || matches!(failure.kind, FailureKind::Tls | FailureKind::Malformed);
        if answered {
            self.lived();
        } else {
            self.dead_tries.fetch_add(1, Ordering::Relaxed);
        }
        let mut evidence = Vec::new();
        if let Some(remote) = failure.connection.remote {
            evidence.push(Evidence {
                label: "remote".to_owned(),
                text: remote.to_string(),
            });
        }
        if let Some(partial) = &failure.partial {
            evidence.push(Evidence {
                label: "status".to_owned(),
                text: partial.status.to_string(),
            });
            evidence.extend(http::telling_headers(&partial.headers));
            evidence.push(Evidence {
                label: "body".to_owned(),
                text: judge::excerpt(&partial.body, http::EXCERPT),
            });
        }
        Seen {
            broken: vec![broken],
            phases: failure.phases,
            evidence,
            worth_a_retry: judge::is_worth_a_retry(failure.kind),
            ..Seen::default()
        }
    }
}

impl Seen {
    fn broken(broken: Broken) -> Self {
        Self {
            broken: vec![broken],
            ..Self::default()
        }
    }

    /// The worst of what does not hold.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        self.broken
            .iter()
            .map(|broken| broken.verdict)
            .max()
            .unwrap_or(Verdict::Pass)
    }
}

/// Runs a check with its retries, and notes every try in `progress`.
pub async fn run(world: &World, check: &Check, progress: &Progress) {
    let began = Instant::now();
    // Each check has its own stream of jitter, so that the seed repeats whatever runs beside it.
    let mut random = fastrand::Rng::with_seed(world.seed ^ seed_of(&check.id));
    let backoff = Backoff {
        base: check.retry.base,
        cap: check.retry.cap,
    };
    let mut retry = 0;
    loop {
        let tried = Instant::now();
        let left = check.limit.saturating_sub(began.elapsed());
        let seen = match tokio::time::timeout(
            left.max(Duration::from_millis(1)),
            once(world, check),
        )
        .await
        {
            Ok(seen) => seen,
            Err(_) => {
                world.dead_tries.fetch_add(1, Ordering::Relaxed);
                let limit = gs_common::units::show_duration(check.limit);
                Seen::broken(judge::broken(
                    check.severity,
                    reason::TIMEOUT,
                    format!("the check was not done within its limit of {limit}"),
                ))
            }
        };
        let bad = seen.verdict() >= Verdict::Inconclusive
            || (seen.verdict() == Verdict::Warn && check.severity == Verdict::Warn);
        let again = bad && (seen.worth_a_retry || check.retry.until);
        let asked = seen.retry_after;
        note(progress, world, tried, began, seen);
        if !again || retry >= check.retry.retries || world.is_dead() {
            return;
        }
        let wait = backoff.wait_after(retry, random.f64(), asked);
        if began.elapsed() + wait >= check.limit {
            return;
        }
        tokio::time::sleep(wait).await;
        // Others may have found out meanwhile that nobody is there.
        if world.is_dead() {
            return;
        }
        retry += 1;
    }
}

fn note(progress: &Progress, world: &World, tried: Instant, began: Instant, seen: Seen) {
    let mut outcome = progress.lock().unwrap_or_else(PoisonError::into_inner);
    let worst = seen.broken.first();
    outcome.tries.push(Try {
        at_ms: millis(tried.duration_since(world.began)),
        duration_ms: millis(tried.elapsed()),
        outcome: worst.map_or_else(|| "ok".to_owned(), |broken| broken.reason.clone()),
        message: worst.map(|broken| broken.message.clone()),
        phases_ms: phases(&seen.phases),
    });
    outcome.seen = seen;
    outcome.took = began.elapsed();
}

fn phases(phases: &Phases) -> Map<String, Value> {
    [
        ("dns", phases.dns),
        ("tcp", phases.tcp),
        ("tls", phases.tls),
        ("first_byte", phases.first_byte),
        ("body", phases.body),
    ]
    .into_iter()
    .filter_map(|(name, time)| Some((name.to_owned(), Value::from(millis(time?)))))
    .collect()
}

async fn once(world: &World, check: &Check) -> Seen {
    match &check.probe {
        Probe::Http(probe) => http::request(world, check, probe).await,
        Probe::WebSocket(probe) => websocket::conversation(world, check, probe).await,
        Probe::Routes(probe) => routes::routes(world, check, probe).await,
        Probe::Version(probe) => version::version(world, check, probe).await,
        Probe::Certificate(probe) => http::certificate(world, check, probe).await,
    }
}

/// FNV-1a over an id: the same in every run and on every machine.
fn seed_of(id: &str) -> u64 {
    id.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
