//! All independent checks at once, chains in order, and an end that always comes.

use std::sync::{Arc, PoisonError};

use gs_common::verdict::Verdict;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::judge::{self, reason};
use crate::probe::{self, Outcome, Progress, World};
use crate::progress::Ticker;
use crate::suite::model::Check;

/// Why the schedule ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Everything was done.
    Done,
    /// The deadline of the run came first.
    Deadline,
    /// Ctrl-C or SIGTERM came first.
    Interrupted,
}

/// What became of one check.
#[derive(Clone, Debug)]
pub(crate) struct Done {
    /// The check.
    pub check: Arc<Check>,
    /// What it came to; without any try where it was not run.
    pub outcome: Outcome,
}

enum State {
    Waiting,
    Running(Progress),
    Done(Box<Outcome>),
}

/// Runs the checks, at most `jobs` at a time. The answer has the order of the checks, whatever
/// finished first. `interrupt` ends the run early.
pub(crate) async fn run(
    world: &Arc<World>,
    checks: Vec<Arc<Check>>,
    jobs: usize,
    mut ticker: Ticker<'_>,
    interrupt: impl Future<Output = ()>,
) -> (Vec<Done>, End) {
    let mut states: Vec<State> = checks.iter().map(|_| State::Waiting).collect();
    let mut running = JoinSet::new();
    let deadline = world.began + world.deadline;
    tokio::pin!(interrupt);
    let end = loop {
        while running.len() < jobs {
            let Some(index) = next(world, &checks, &mut states) else {
                break;
            };
            let progress = Progress::default();
            let (world, check) = (Arc::clone(world), Arc::clone(&checks[index]));
            states[index] = State::Running(Arc::clone(&progress));
            running.spawn(async move {
                probe::run(&world, &check, &progress).await;
                index
            });
        }
        if running.is_empty() {
            break End::Done;
        }
        tokio::select! {
            biased;
            () = &mut interrupt => break End::Interrupted,
            () = tokio::time::sleep_until(deadline) => break End::Deadline,
            Some(finished) = running.join_next() => {
                // A task that panicked is a bug of ours: its check stays without a try, no verdict.
                if let Ok(index) = finished {
                    finish(world, &checks[index], &mut states[index]);
                } else {
                    close_lost(&mut states, &running);
                }
            }
            () = ticker.tick() => ticker.tell(&open(&checks, &states)),
        }
    };
    running.abort_all();
    ticker.done();
    (collect(world, checks, states, end), end)
}

/// Marks checks whose task is gone. Only after a panic, so it need not be quick.
fn close_lost(states: &mut [State], running: &JoinSet<usize>) {
    if running.is_empty() {
        for state in states {
            if let State::Running(progress) = state {
                let outcome =
                    std::mem::take(&mut *progress.lock().unwrap_or_else(PoisonError::into_inner));
                *state = State::Done(Box::new(outcome));
            }
        }
    }
}

fn finish(world: &World, check: &Check, state: &mut State) {
    if let State::Running(progress) = state {
        let outcome = std::mem::take(&mut *progress.lock().unwrap_or_else(PoisonError::into_inner));
        if outcome.seen.verdict() < Verdict::Inconclusive {
            world.capture(&outcome.seen.captured);
        }
        debug_assert!(!outcome.tries.is_empty(), "{} was never tried", check.id);
        *state = State::Done(Box::new(outcome));
    }
}

/// The next check that may start. Those whose needs failed are closed on the way.
fn next(world: &World, checks: &[Arc<Check>], states: &mut [State]) -> Option<usize> {
    loop {
        let mut closed = false;
        for index in 0..checks.len() {
            if !matches!(states[index], State::Waiting) {
                continue;
            }
            match needs(checks, states, &checks[index]) {
                Needs::Open => {}
                Needs::Met if world.is_dead() => {
                    states[index] = not_run(
                        reason::NOT_RUN,
                        "not started: the target gives no sign of life",
                    );
                    closed = true;
                }
                Needs::Met => return Some(index),
                Needs::Unmet(id) => {
                    states[index] = not_run(
                        reason::UNMET_NEED,
                        &format!("not started: it needs `{id}`, which did not pass"),
                    );
                    closed = true;
                }
            }
        }
        if !closed {
            return None;
        }
    }
}

fn not_run(code: &str, message: &str) -> State {
    let mut outcome = Outcome::default();
    outcome
        .seen
        .broken
        .push(judge::broken(Verdict::Inconclusive, code, message));
    State::Done(Box::new(outcome))
}

enum Needs {
    Met,
    Open,
    Unmet(String),
}

fn needs(checks: &[Arc<Check>], states: &[State], check: &Check) -> Needs {
    for need in &check.needs {
        let Some(index) = checks.iter().position(|other| other.id == *need) else {
            return Needs::Unmet(need.clone());
        };
        match &states[index] {
            State::Done(outcome) if outcome.seen.verdict() < Verdict::Inconclusive => {}
            State::Done(_) => return Needs::Unmet(need.clone()),
            _ => return Needs::Open,
        }
    }
    Needs::Met
}

fn open<'a>(checks: &'a [Arc<Check>], states: &[State]) -> Vec<&'a str> {
    checks
        .iter()
        .zip(states)
        .filter(|(_, state)| !matches!(state, State::Done(_)))
        .map(|(check, _)| check.id.as_str())
        .collect()
}

fn collect(world: &World, checks: Vec<Arc<Check>>, states: Vec<State>, end: End) -> Vec<Done> {
    let why = match end {
        End::Interrupted => "the run was interrupted",
        _ => "the deadline of the run came first",
    };
    checks
        .into_iter()
        .zip(states)
        .map(|(check, state)| {
            let outcome = match state {
                State::Done(outcome) => *outcome,
                State::Waiting => match not_run(reason::NOT_RUN, &format!("not started: {why}")) {
                    State::Done(outcome) => *outcome,
                    _ => Outcome::default(),
                },
                State::Running(progress) => {
                    let mut outcome = std::mem::take(
                        &mut *progress.lock().unwrap_or_else(PoisonError::into_inner),
                    );
                    outcome.took = Instant::now().duration_since(world.began);
                    // A try that failed has answered already; one that was cut off has not.
                    if outcome.seen.verdict() < Verdict::Fail {
                        let message = format!("not finished: {why}");
                        outcome.seen.broken = vec![judge::broken(
                            Verdict::Inconclusive,
                            reason::NOT_RUN,
                            message,
                        )];
                    }
                    outcome
                }
            };
            Done { check, outcome }
        })
        .collect()
}
