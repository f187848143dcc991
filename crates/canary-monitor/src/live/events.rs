//! What happens beside the looks: the signal, the deadline, a person, a command that ends; and the wait until
//! there is something to look at.

use std::pin::{Pin, pin};
use std::time::Duration;

use gs_common::cli::Talk;
use gs_common::verdict::Verdict;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval, sleep, sleep_until};

use super::hooks::Done;
use super::operator::Order;
use super::steps::Ended;
use crate::config::Config;
use crate::judge::{Decision, reason};
use crate::source::{Plan, Prepared, Source, SourceError};

/// How often the screen is drawn anew and what is due is looked at.
const TICK: Duration = Duration::from_millis(250);

/// The wait before the first new attempt to prepare, and the longest one.
const RETRY: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(5));

/// What happens beside the looks.
pub struct Events {
    interrupted: Pin<Box<dyn Future<Output = ()> + Send>>,
    was_interrupted: bool,
    deadline: Option<Instant>,
    orders: mpsc::UnboundedReceiver<Order>,
    no_more_orders: bool,
    pub(super) hook: Option<Running>,
    tick: Interval,
}

/// A command that runs while the canary is watched.
pub(super) struct Running {
    pub(super) done: Pin<Box<dyn Future<Output = Done> + Send>>,
    pub(super) stop: Option<oneshot::Sender<()>>,
    pub(super) index: usize,
}

/// Something that happened.
pub(super) enum Event {
    Interrupted,
    Deadline,
    Order(Order),
    Hook(Done, usize),
    Tick,
}

impl Events {
    /// Hears the signal, the deadline (of the wall clock, from now) and a person.
    pub fn new(
        interrupted: impl Future<Output = ()> + Send + 'static,
        deadline: Option<Duration>,
        orders: mpsc::UnboundedReceiver<Order>,
    ) -> Self {
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            interrupted: Box::pin(interrupted),
            was_interrupted: false,
            deadline: deadline.map(|deadline| Instant::now() + deadline),
            orders,
            no_more_orders: false,
            hook: None,
            tick,
        }
    }

    pub(super) async fn next(&mut self) -> Event {
        loop {
            let deadline = self.deadline;
            tokio::select! {
                biased;
                () = &mut self.interrupted, if !self.was_interrupted => {
                    self.was_interrupted = true;
                    return Event::Interrupted;
                }
                () = at(deadline) => {
                    self.deadline = None;
                    return Event::Deadline;
                }
                order = self.orders.recv(), if !self.no_more_orders => match order {
                    Some(order) => return Event::Order(order),
                    None => self.no_more_orders = true,
                },
                done = running(&mut self.hook) => {
                    let index = self.hook.take().map_or(0, |hook| hook.index);
                    return Event::Hook(done, index);
                }
                _ = self.tick.tick() => return Event::Tick,
            }
        }
    }

    /// Ends a command that still runs, gently at first.
    pub(super) async fn stop_hook(&mut self) -> Option<Done> {
        let mut hook = self.hook.take()?;
        drop(hook.stop.take());
        Some(hook.done.await)
    }
}

async fn at(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

async fn running(hook: &mut Option<Running>) -> Done {
    match hook {
        Some(hook) => hook.done.as_mut().await,
        None => std::future::pending().await,
    }
}

/// Why there was nothing to watch.
#[derive(Debug)]
pub enum NotReady {
    /// The source could not be prepared in time.
    Source(SourceError, u32),
    /// Ctrl-C or SIGTERM, or the deadline.
    Ended(Ended),
}

impl NotReady {
    /// What stands in the place of a judgement.
    #[must_use]
    pub fn decision(&self) -> (Decision, Ended) {
        let (reason, sentence, ended) = match self {
            Self::Source(error, attempts) => (
                reason::METRICS_UNAVAILABLE,
                format!("{error} ({attempts} attempts)"),
                Ended::Over,
            ),
            Self::Ended(ended) => (
                reason::CUT_SHORT,
                format!("{} before the metrics could be read", ended.why()),
                ended.clone(),
            ),
        };
        let decision = Decision {
            verdict: Verdict::Inconclusive,
            reason,
            at_seconds: 0.0,
            sentence,
        };
        (decision, ended)
    }
}

/// Prepares the source, again and again until the time for that is over.
///
/// # Errors
/// It cannot be prepared, or somebody did not want to wait.
pub async fn prepare(
    source: &mut impl Source,
    plan: impl Fn() -> Plan,
    config: &Config,
    events: &mut Events,
    talk: &mut Talk,
) -> Result<(Plan, Prepared), NotReady> {
    let until = Instant::now() + config.course.wait_ready;
    let mut attempts = 0;
    let (mut wait, longest) = RETRY;
    loop {
        attempts += 1;
        let plan = plan();
        let prepared = {
            let mut preparing = pin!(source.prepare(&plan));
            loop {
                tokio::select! {
                    prepared = &mut preparing => break prepared,
                    event = events.next() => ended_early(&event)?,
                }
            }
        };
        let error = match prepared {
            Ok(prepared) => return Ok((plan, prepared)),
            Err(error) => error,
        };
        if Instant::now() + wait > until {
            return Err(NotReady::Source(error, attempts));
        }
        if attempts == 1 {
            talk.note(&format!("waiting for the metrics: {error}"));
        }
        let mut pause = pin!(sleep(wait));
        loop {
            tokio::select! {
                () = &mut pause => break,
                event = events.next() => ended_early(&event)?,
            }
        }
        wait = (wait * 2).min(longest);
    }
}

fn ended_early(event: &Event) -> Result<(), NotReady> {
    match event {
        Event::Interrupted => Err(NotReady::Ended(Ended::Interrupted)),
        Event::Deadline => Err(NotReady::Ended(Ended::Deadline)),
        Event::Order(Order::Abort) => Err(NotReady::Ended(Ended::Aborted("a person".to_owned()))),
        _ => Ok(()),
    }
}
